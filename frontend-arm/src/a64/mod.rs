//! The 64-bit instruction set, A64: rows with their meaning, one file a group of the manual's encoding index (Arm ARM DDI
//! 0487, C4.1). A table says which feature its rows need; a CPU without it has them Undefined.
//!
//! **AArch32 at EL0.** A 64-bit kernel may run 32-bit programs: see [`aarch32`].
//!
//! **EL2.** Exception levels are numbers of two bits everywhere, stack pointers are there for all; registers of EL1 stand in
//! [`state::Sys`] so that those of EL2 can stand beside; contexts name regime and VMID.
//!
//! **Floating point and Advanced SIMD** (the group "Data Processing -- Scalar Floating-Point and Advanced SIMD") go to
//! [`fp`] (scalar, and the loads and stores of V registers) and [`simd`] (one file a class of the encoding index). The driver has checked that they are enabled before a row of theirs runs
//! ([`translate`]). A write of less than a V register makes the rest of it zero: [`fp::set`].

pub mod aarch32;
pub mod atomic;
pub mod branch;
pub mod calls;
pub mod crc32;
pub mod debug;
mod events;
pub mod exception;
pub mod exclusive;
pub mod fault;
pub use crate::features;
pub mod flagm;
pub mod fp;
pub mod guarded;
pub mod guest;
pub mod id;
pub mod immediate;
pub mod load_store;
pub mod mmu;
pub mod model;
pub mod names;
pub mod pair;
pub mod pauth;
pub mod pstate;
pub mod register;
pub mod simd;
pub mod state;
pub mod sys;
pub mod system;
pub mod table;
pub mod translate;
pub mod tx;

use emu_ir::pattern::{Decoder, assert_unambiguous};
use std::sync::LazyLock;

pub use features::{Feature, Features};
pub use model::{A64, MODELS, Model};
pub use state::Cpu;
pub use table::{Insn, Row, Table};

/// Data processing on general-purpose registers.
pub const DATA: &[Table] = &[
    immediate::ADDRESS,
    immediate::ARITHMETIC,
    immediate::LOGICAL,
    immediate::MOVE,
    immediate::BIT_FIELD,
    register::LOGICAL,
    register::SHIFTED,
    register::EXTENDED,
    register::CARRY,
    register::COMPARE,
    register::SELECT,
    register::TWO_SOURCES,
    register::ONE_SOURCE,
    register::THREE_SOURCES,
    crc32::CRC32,
    flagm::FLAGM,
    flagm::FLAGM2,
];

/// Branches, exception generation and system instructions.
pub const CONTROL: &[Table] = &[
    branch::DIRECT,
    branch::INDIRECT,
    branch::EXCEPTIONS,
    system::HINTS,
    system::BARRIERS,
    system::SPECULATION,
    system::REGISTERS,
];

/// Loads and stores of general-purpose registers.
pub const MEMORY: &[Table] = &[
    load_store::LITERAL,
    load_store::UNSIGNED,
    load_store::UNSCALED,
    load_store::POST_INDEXED,
    load_store::UNPRIVILEGED,
    load_store::PRE_INDEXED,
    load_store::REGISTER,
    load_store::ORDERED,
    pair::PAIRS,
    exclusive::EXCLUSIVE,
    exclusive::ORDERED,
    exclusive::LIMITED,
    exclusive::RCPC,
    atomic::COMPARE,
    atomic::MODIFY,
];

/// Pointer authentication.
pub const POINTERS: &[Table] = &[pauth::HINTS, pauth::DATA, pauth::BRANCHES, pauth::LOADS];

/// All tables, by group.
pub const TABLES: &[&[Table]] = &[
    DATA,
    CONTROL,
    MEMORY,
    POINTERS,
    fp::TABLES,
    fp::HALVES,
    simd::MEMORY,
    simd::DATA,
];

#[allow(long_running_const_eval)]
const _: () = {
    assert_unambiguous(DATA);
    assert_unambiguous(CONTROL);
    assert_unambiguous(MEMORY);
    assert_unambiguous(POINTERS);
    assert_unambiguous(fp::TABLES);
    assert_unambiguous(fp::HALVES);
    assert_unambiguous(simd::MEMORY);
    assert_unambiguous(simd::DATA);
};

/// Every row.
pub fn rows() -> impl Iterator<Item = &'static Row<Insn>> {
    TABLES
        .iter()
        .flat_map(|group| group.iter())
        .flat_map(|table| table.iter())
}

static DECODER: LazyLock<Decoder<Insn>> = LazyLock::new(|| Decoder::new(&TABLES.concat(), 0xffe0_0c00));

/// The decoder, made at the first call.
pub fn decoder() -> &'static Decoder<Insn> {
    &DECODER
}

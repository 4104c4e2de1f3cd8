//! Modes of 64 bits: blocks at one place that differ above bit 31 alone.

use super::OnePage;
use crate::cases::{Flat, MEMORY, Program};
use crate::engine::{Accel, Exit, Vcpu};
use bytemuck::Zeroable;
use emu_devices::bus::Ram;
use emu_ir::*;
use std::mem::offset_of;
use std::sync::Arc;

/// The mode bit that a program changes as it goes, and one that it never looks at.
const TURN: u64 = 1 << 40;
const IGNORED: u64 = 1 << 41;
/// How many blocks a program runs.
const LENGTH: u64 = 40;

#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct State {
    pc: u64,
    mode: u64,
    fp_flags: u32,
    fp_round: u32,
    /// How often each block ran: by place, and by whether `TURN` was set when it was translated.
    ran: [u64; 4],
    all: u64,
}

const fn long(offset: usize) -> Slot {
    Slot::new(offset, Ty::I64)
}

const MODE: Slot = long(offset_of!(State, mode));
const RAN: Slot = long(offset_of!(State, ran));
const ALL: Slot = long(offset_of!(State, all));

static LAYOUT: Layout = Layout {
    pc: long(offset_of!(State, pc)),
    mode: MODE,
    fp_flags: Slot::new(offset_of!(State, fp_flags), Ty::I32),
    fp_round: Slot::new(offset_of!(State, fp_round), Ty::I32),
    rules: Rules::Arm,
    x87: None,
    insn_shift: 2,
    coherent: false,
    pins: &[],
    names: &[],
    helper: |_| "none",
};

/// Two blocks for ever: the one at 0 changes the mode and goes to the other, which comes back.
struct Turning;

impl Program for Turning {
    type State = State;
    const LAYOUT: &'static Layout = &LAYOUT;

    fn translate(&self, key: BlockKey, at: u32, b: &mut Builder) {
        count(key, at, b);
        b.block.mode_ignored = IGNORED;
        if at == 0 {
            let (mode, turn) = (b.get(MODE), b.imm(Ty::I64, TURN));
            let turned = b.xor(mode, turn);
            b.set(MODE, turned);
            b.goto(0x40, key.mode ^ TURN, Hint::Jump, false);
        } else {
            back(b);
        }
    }
}

/// The same without changing the mode, which the block at 0 ignores.
struct Staying;

impl Program for Staying {
    type State = State;
    const LAYOUT: &'static Layout = &LAYOUT;

    fn translate(&self, key: BlockKey, at: u32, b: &mut Builder) {
        if at == 0 {
            count(BlockKey { mode: 0, ..key }, at, b);
            b.block.mode_ignored = u64::MAX;
            b.goto(0x40, key.mode, Hint::Jump, false);
        } else {
            count(key, at, b);
            b.block.mode_ignored = IGNORED;
            back(b);
        }
    }
}

/// An instruction that counts the block that it is in.
fn count(key: BlockKey, at: u32, b: &mut Builder) {
    b.insn(at as u16, 0);
    b.block.guest_bytes = 4;
    for slot in [RAN.nth(u32::from(at != 0) * 2 + u32::from(key.mode & TURN != 0)), ALL] {
        let (n, one) = (b.get(slot), b.imm(Ty::I64, 1));
        let more = b.add(n, one);
        b.set(slot, more);
    }
}
/// Back to 0, or out if there have been enough.
fn back(b: &mut Builder) {
    let (n, most, end) = (b.get(ALL), b.imm(Ty::I64, LENGTH), b.label());
    let done = b.ule(most, n);
    b.br_if(done, end);
    let start = b.imm(Ty::I64, 0);
    b.goto_val(start, Hint::Jump);
    b.place(end);
    b.exit(Leave::Wait);
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
fn modes_that_differ_above_bit_31_have_blocks_of_their_own() {
    for accel in [Accel::Interp, Accel::Jit] {
        for mode in [0, 5, u64::MAX, 1 << 63 | IGNORED] {
            let bus = Box::new(OnePage(Arc::new(Ram::new(MEMORY).expect("memory"))));
            let start = State {
                mode,
                ..bytemuck::Zeroable::zeroed()
            };
            let mut v = Vcpu::new(Flat(Turning), start, bus, accel, true).expect("a vCPU");

            for round in 1..=2 {
                let state = v.state_mut();
                (state.pc, state.all) = (0, 0);
                assert_eq!(v.run(), Exit::Wait, "{accel:?} {mode:#x}");
                assert_eq!(v.state().ran, [round * 10; 4], "{accel:?} {mode:#x}");
                // What the blocks do not depend on may change.
                v.state_mut().mode ^= IGNORED;
            }
        }
    }
}

/// The branch from the block that both modes share goes straight to the block of one.
#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
fn a_branch_that_is_linked_in_one_mode_finds_the_block_of_another() {
    for accel in [Accel::Interp, Accel::Jit] {
        let bus = Box::new(OnePage(Arc::new(Ram::new(MEMORY).expect("memory"))));
        let mut v = Vcpu::new(Flat(Staying), State::zeroed(), bus, accel, true).expect("a vCPU");

        for round in 1..=6u64 {
            let state = v.state_mut();
            (state.pc, state.all) = (0, 0);
            assert_eq!(v.run(), Exit::Wait, "{accel:?}");
            let (now, before) = (round.div_ceil(2) * 20, round / 2 * 20);
            assert_eq!(v.state().ran, [round * 20, 0, now, before], "{accel:?}");
            v.state_mut().mode ^= TURN;
        }
    }
}

/// Where a jump by address would find code for the place before it.
#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
#[should_panic(expected = "Alignment { addr: 2, access: Execute }")]
fn a_pc_between_places_for_instructions_is_a_fault_though_code_is_known() {
    let bus = Box::new(OnePage(Arc::new(Ram::new(MEMORY).expect("memory"))));
    let mut v = Vcpu::new(Flat(Turning), State::zeroed(), bus, Accel::Jit, true).expect("a vCPU");
    assert_eq!(v.run(), Exit::Wait);

    (v.state_mut().pc, v.state_mut().all) = (2, 0);
    v.run();
}

//! What a row of the register table says.

use super::super::features::{Feature, Features};
use super::super::id::Id;
use super::super::model::{A64, Model};
use super::super::state::Cpu;
use crate::platform::Icc;
use crate::pmu::Source;
use emu_ir::{Env, Fault, Slot};

/// What an access works on.
pub struct Io<'a> {
    /// The CPU: its model and the machine.
    pub guest: &'a mut A64,
    /// Its state.
    pub cpu: &'a mut Cpu,
    /// The engine.
    pub env: &'a mut dyn Env,
    /// The instruction.
    pub word: u32,
    /// Set by a write that ends in an exception.
    pub fault: Option<Fault>,
}

impl Io<'_> {
    /// CRm:op2 of the instruction, for rows of more than one register.
    pub fn which(&self) -> u32 {
        self.word >> 5 & 0x7f
    }
    /// What the CPU has.
    pub fn has(&self, feature: Feature) -> bool {
        self.guest.model.features.has(feature)
    }
}

/// Right to read.
pub const R: u8 = 1;
/// Right to write.
pub const W: u8 = 2;

/// What else an access at EL0 depends on; where it is not open, the access traps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Nothing.
    None,
    /// Bits of SCTLR_EL1.
    Sctlr(u64),
    /// One of some bits of CNTKCTL_EL1.
    Timer(u32),
    /// PMUSERENR_EL0.EN, or other bits of it: for reads, for writes.
    Pmu(u32, u32),
    /// MDSCR_EL1.TDCC.
    DebugChannel,
    /// CPACR_EL1.FPEN, at EL1 too.
    Fp,
}

/// What follows from a register's change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Nothing.
    Nothing,
    /// The translation context may be another.
    Context,
    /// The mode word may be another, and the translation context.
    Mode,
    /// As the same, and where in pointers authentication codes are.
    Layout,
    /// Other instructions or accesses may be debug events, and the mode word another.
    Traps,
}

/// What a register is.
#[derive(Clone, Copy)]
pub enum Act {
    /// A constant; writes, where allowed, do nothing.
    Const(u64),
    /// A constant of the model.
    Model(fn(&Model) -> u64),
    /// An identification register.
    Id(Id),
    /// Eight bytes of the state.
    Field {
        /// Where they are.
        slot: Slot,
        /// The bits that writes change.
        mask: fn(Features) -> u64,
        /// What a change brings about.
        after: After,
    },
    /// A register of the interrupt controller's CPU interface.
    Icc(Icc),
    /// Anything else.
    Fn {
        /// A read.
        get: fn(&mut Io) -> u64,
        /// A write.
        put: fn(&mut Io, u64),
    },
}

/// Where a register is: op0, op1, CRn, and the ranges of CRm and op2 that it answers at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// op0.
    pub op0: u8,
    /// op1.
    pub op1: u8,
    /// CRn.
    pub crn: u8,
    /// First and last CRm.
    pub crm: (u8, u8),
    /// First and last op2.
    pub op2: (u8, u8),
}

/// A row: a register or a system instruction.
pub struct Reg {
    /// Its name in the manual.
    pub name: &'static str,
    /// Where it is.
    pub at: At,
    /// Rights at EL0: [`R`], [`W`].
    pub user: u8,
    /// Rights at EL1.
    pub kernel: u8,
    /// What else an access depends on.
    pub gate: Gate,
    /// The feature that it is there with.
    pub needs: Feature,
    /// The event of the performance monitors that a write is.
    pub event: Option<Source>,
    /// What it is.
    pub act: Act,
}

//! What a row of the register table says.

use crate::cp15::Cp15;
use crate::model::Model;
use crate::platform::{Arm, Icc};
use crate::pmu::Source;
use crate::state::Cpu;
use emu_ir::{Env, Fault};

/// What an access works on.
pub struct Io<'a> {
    /// The CPU: its model and the machine.
    pub arm: &'a mut Arm,
    /// Its state.
    pub cpu: &'a mut Cpu,
    /// The engine.
    pub env: &'a mut dyn Env,
    /// The register's CRm and opc2, for rows of more than one register.
    pub which: u32,
    /// Set by a write that ends in an exception.
    pub fault: Option<Fault>,
}

/// Right to read.
pub const R: u8 = 1;
/// Right to write.
pub const W: u8 = 2;

/// DBGDSCR.UDCCdis: User mode has no access to the debug communications channel.
pub const UDCCDIS: u32 = 1 << 12;

/// What else an access depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Nothing.
    None,
    /// CNTKCTL.PL0PCTEN for User mode.
    Physical,
    /// CNTKCTL.PL0VCTEN for User mode.
    Virtual,
    /// Either of them for User mode: CNTFRQ.
    AnyCounter,
    /// CNTKCTL.PL0PTEN for User mode.
    PhysicalTimer,
    /// CNTKCTL.PL0VTEN for User mode.
    VirtualTimer,
    /// PMUSERENR.EN for User mode.
    Pmu,
    /// SCTLR.CP15BEN.
    Barrier,
    /// TEECR.XED clear for User mode.
    ThumbEe,
    /// DBGDSCR.UDCCdis clear for User mode.
    DebugUser,
    /// The interrupt controller is a GICv3.
    Gic,
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
    /// Other instructions or accesses may be debug events.
    Traps,
}

/// What a register is.
#[derive(Clone, Copy)]
pub enum Act {
    /// A constant; writes, where allowed, do nothing.
    Const(u32),
    /// A constant of the model.
    Model(fn(&Model) -> u32),
    /// A word of the state.
    Word {
        /// Where it is.
        field: fn(&mut Cp15) -> &mut u32,
        /// The bits that writes change.
        mask: u32,
        /// Its value at reset.
        reset: u32,
        /// What a change brings about.
        after: After,
    },
    /// Eight bytes of the state, zero at reset.
    Long {
        /// Where they are.
        field: fn(&mut Cp15) -> &mut u64,
        /// The bits that writes change.
        mask: u64,
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

/// Where a register is: coprocessor, CRn, opc1, and the ranges of CRm and opc2 that it answers at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// Coprocessor: 14 or 15.
    pub cp: u8,
    /// CRn; of 64-bit registers not used.
    pub crn: u8,
    /// opc1.
    pub opc1: u8,
    /// First and last CRm.
    pub crm: (u8, u8),
    /// First and last opc2.
    pub opc2: (u8, u8),
    /// Accessed by MRRC and MCRR.
    pub wide: bool,
}

/// A row: a register.
pub struct Reg {
    /// Its name in the manual.
    pub name: &'static str,
    /// Where it is.
    pub at: At,
    /// Rights of User mode: [`R`], [`W`].
    pub user: u8,
    /// Rights of privileged modes.
    pub kernel: u8,
    /// What else an access depends on.
    pub gate: Gate,
    /// The event of the performance monitors that a write is.
    pub event: Option<Source>,
    /// What it is.
    pub act: Act,
}

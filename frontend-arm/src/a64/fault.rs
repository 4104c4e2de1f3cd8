//! Faults: the exceptions that instructions end in. Of a [`Fault::Guest`] the class is the exception class and the info the
//! instruction specific syndrome, as ESR_ELx has them (Arm ARM DDI 0487, D19.2, ESR_ELx).

use emu_ir::{Access, Fault};

/// Exception classes (ESR_ELx.EC); of an abort or debug exception the one from a lower exception level.
#[allow(missing_docs)]
pub mod class {
    pub const UNKNOWN: u32 = 0x00;
    pub const WFX: u32 = 0x01;
    pub const CP15_32: u32 = 0x03;
    pub const CP15_64: u32 = 0x04;
    pub const CP14_32: u32 = 0x05;
    pub const CP14_LDC: u32 = 0x06;
    pub const FP_ACCESS: u32 = 0x07;
    pub const PAUTH: u32 = 0x09;
    pub const BTI: u32 = 0x0d;
    pub const ILLEGAL_STATE: u32 = 0x0e;
    pub const SVC_32: u32 = 0x11;
    pub const SVC: u32 = 0x15;
    pub const HVC: u32 = 0x16;
    pub const SMC: u32 = 0x17;
    pub const SYSTEM: u32 = 0x18;
    pub const PAC_FAIL: u32 = 0x1c;
    pub const INSTRUCTION_ABORT: u32 = 0x20;
    pub const PC_ALIGNMENT: u32 = 0x22;
    pub const DATA_ABORT: u32 = 0x24;
    pub const SP_ALIGNMENT: u32 = 0x26;
    pub const BREAKPOINT: u32 = 0x30;
    pub const STEP: u32 = 0x32;
    pub const WATCHPOINT: u32 = 0x34;
    pub const BKPT_32: u32 = 0x38;
    pub const BRK: u32 = 0x3c;
    /// No exception, as all that follow: the tag of the pc is to go.
    pub const CLEAN_PC: u32 = 0x100;
    /// The instruction is executed again, after a look at what is pending.
    pub const AGAIN: u32 = 0x101;
    /// The first guarded page that an exception level meets.
    pub const FIRST_GUARDED: u32 = 0x102;
}

/// The pc is fetched from without its tag.
pub const CLEAN_PC: Fault = exception(class::CLEAN_PC, 0);

/// An instruction that waits for the host: it is executed again.
pub const AGAIN: Fault = exception(class::AGAIN, 0);

/// In the syndrome of a write's abort: a read of the same would end in one too. Not architectural.
pub const READ_FAILS: u32 = 1 << 31;
/// In a syndrome: the instruction has 16 bits. Not architectural.
pub const NARROW: u32 = 1 << 30;
/// The bits of a syndrome.
pub const ISS: u32 = 0x1ff_ffff;
/// Fault status code of debug exceptions.
pub const DEBUG: u32 = 0b10_0010;

/// ISS.WnR of a data abort.
pub const WNR: u32 = 1 << 6;
/// ISS.CM of a data abort: cache maintenance or address translation.
pub const CM: u32 = 1 << 8;
/// Fault status code: alignment fault.
pub const ALIGNMENT: u32 = 0b10_0001;
/// Fault status code: synchronous external abort, not on a walk.
pub const EXTERNAL: u32 = 0b01_0000;
/// ISS of an access to floating point that is trapped, and of other traps: CV, and no condition.
pub const FP_TRAP: u32 = 1 << 24 | 0xe << 20;

/// An exception of a class, with a syndrome and no address.
pub const fn exception(class: u32, iss: u32) -> Fault {
    Fault::Guest {
        class,
        addr: 0,
        info: iss,
    }
}

/// No exception: from here on the exception level looks where branches go.
pub const FIRST_GUARDED: Fault = exception(class::FIRST_GUARDED, 0);

/// The exception of an instruction that is Undefined.
pub const UNDEFINED: Fault = exception(class::UNKNOWN, 0);

/// An abort of an access to `va`, with a fault status code.
pub const fn abort(va: u64, access: Access, status: u32) -> Fault {
    let (class, info) = match access {
        Access::Execute => (class::INSTRUCTION_ABORT, status),
        Access::Read => (class::DATA_ABORT, status),
        Access::Write => (class::DATA_ABORT, status | WNR),
    };
    Fault::Guest { class, addr: va, info }
}

/// Whether a fault is an exception.
pub const fn is_exception(fault: Fault) -> bool {
    syndrome(fault).0 < class::CLEAN_PC
}

/// A fault's exception class, syndrome and address.
pub const fn syndrome(fault: Fault) -> (u32, u32, u64) {
    match fault {
        Fault::Guest { class, addr, info } => (class, info, addr),
        Fault::Bus { addr, access } => syndrome(abort(addr, access, EXTERNAL | READ_FAILS)),
        Fault::Alignment {
            addr,
            access: Access::Execute,
        } => (class::PC_ALIGNMENT, 0, addr),
        Fault::Alignment { addr, access } => syndrome(abort(addr, access, ALIGNMENT | READ_FAILS)),
    }
}

//! The functions that translated code calls: several files contribute a part each to the table, [`crate::guest::CALLS`].
//!
//! A part is made with `calls!`: it gives each helper a constant, its index in the whole table. The
//! engine restores pc and IT before it raises what a helper returns, so most need no address.

use crate::fault::{AGAIN, UNDEFINED as UNDEFINED_FAULT, bkpt_fault, svc_fault};
use crate::mmu;
use crate::platform::{Arm, Conduit, FirmwareResult, SemihostingResult};
use crate::pmu;
use crate::state::{Cpu, mode, psr};
use crate::sys;
use emu_ir::{Env, Fault};

/// Makes a part of the table: `calls! { PART at BASE; /// doc NAME kind function; … }` with kind `State`, `Pure`, `Float` or
/// `Flags`. Each `NAME` becomes a `u16` constant: the helper's index.
macro_rules! calls {
    ($part:ident at $base:expr; $( $(#[$d:meta])* $name:ident $kind:ident $f:expr; )*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[repr(u16)]
        enum Index { $($name),* }
        $( $(#[$d])* pub const $name: u16 = $base + Index::$name as u16; )*
        /// This file's part of the table of helpers.
        pub const $part: &[emu_ir::Helper<$crate::platform::Arm>] = &[ $(
            emu_ir::Helper { name: stringify!($name), f: emu_ir::HelperFn::$kind($f) },
        )* ];
    };
}
pub(crate) use calls;

calls! { SYSTEM at 0;
    /// Takes the Undefined Instruction exception.
    UNDEFINED State |_, _, _, _| Err(UNDEFINED_FAULT);
    /// Takes the Supervisor Call exception.
    SVC Raise |_| svc_fault();
    /// HVC: arguments immediate, address of the next instruction. Sets r0 to r3, or is Undefined.
    HVC State |g: &mut Arm, s: &mut Cpu, env, a| firmware(g, s, env, Conduit::Hvc, a[1] as u32);
    /// SMC: arguments immediate, address of the next instruction. Sets r0 to r3, or is Undefined.
    SMC State |g: &mut Arm, s: &mut Cpu, env, a| firmware(g, s, env, Conduit::Smc, a[1] as u32);
    /// BKPT: a Prefetch Abort with the status of a debug event.
    BKPT State |_, _, _, _| Err(bkpt_fault());
    /// MRC of any coprocessor but VFP's: argument the instruction word in its A32 form; the value.
    COPROC_READ State |g: &mut Arm, s: &mut Cpu, env, a| sys::read(g, s, env, a[0] as u32).map(u128::from);
    /// MCR (and CDP, LDC, STC, which are Undefined): arguments instruction word in its A32 form, value.
    COPROC_WRITE State |g: &mut Arm, s: &mut Cpu, env, a| done(sys::write(g, s, env, a[0] as u32, a[1] as u32));
    /// MRRC: argument the instruction word in its A32 form; Rt2:Rt as 64 bits.
    COPROC_READ64 State |g: &mut Arm, s: &mut Cpu, env, a| sys::read64(g, s, env, a[0] as u32).map(u128::from);
    /// MCRR: arguments instruction word in its A32 form, Rt2:Rt as 64 bits.
    COPROC_WRITE64 State |g: &mut Arm, s: &mut Cpu, env, a| done(sys::write64(g, s, env, a[0] as u32, a[1] as u64));
    /// MRS of the CPSR: execution state bits (IT, J, T) read as zero.
    CPSR_READ State |_, s: &mut Cpu, _, _| Ok((s.cpsr() & psr::MRS).into());
    /// MSR of the CPSR: arguments value, mask (the instruction's four mask bits). The mode word and r8 to lr may
    /// change.
    CPSR_WRITE State cpsr_write;
    /// MRS of the SPSR; Undefined in User and System mode.
    SPSR_READ State |_, s: &mut Cpu, _, _| value_or_undefined(s.spsr());
    /// MSR of the SPSR: arguments value, mask (four bits); Undefined in User and System mode.
    SPSR_WRITE State spsr_write;
    /// MRS (banked): argument R:SYSm (six bits); the value. Undefined if the model has no such instructions.
    BANKED_READ State banked_read;
    /// MSR (banked): arguments R:SYSm (six bits), value.
    BANKED_WRITE State banked_write;
    /// CPS: arguments imod (two bits; 2 enables, 3 disables), A:I:F (three bits), 1 if the mode changes, the mode. Does
    /// nothing in User mode.
    CPS State cps;
    /// Return from exception: argument the new pc; CPSR from SPSR. Undefined in User and System mode.
    EXCEPTION_RETURN State exception_return;
    /// ERET of A32: argument the new pc; CPSR from SPSR. Undefined in User and System mode, and if the model has no such
    /// instruction.
    ERET State eret;
    /// RFE: arguments new pc, new CPSR (both loaded before). Undefined in User mode.
    RFE State rfe;
    /// SRS's base: argument the target mode; its SP. Undefined in User and System mode, or for a bad target mode.
    SRS_BASE State |_, s: &mut Cpu, _, a| value_or_undefined(s.srs_base(a[0] as u32));
    /// SRS's write-back: arguments target mode, its new SP.
    SRS_WRITEBACK State |_, s: &mut Cpu, _, a| { s.set_sp_of(a[0] as u32, a[1] as u32); Ok(0) };
    /// STM of user registers: argument the register (0 to 14); its User mode value.
    USER_REG_READ State |_, s: &mut Cpu, _, a| Ok(s.user_reg(a[0] as u32).into());
    /// LDM of user registers: arguments the register (0 to 14), value.
    USER_REG_WRITE State |_, s: &mut Cpu, _, a| { s.set_user_reg(a[0] as u32, a[1] as u32); Ok(0) };
    /// VMRS: argument the system register's number (the instruction's reg field); its value.
    VFP_READ State |g: &mut Arm, s: &mut Cpu, _, a| value_or_undefined(s.vfp_read(g.model, a[0] as u32));
    /// VMSR: arguments the system register's number, value. The mode word may change.
    VFP_WRITE State |_, s: &mut Cpu, _, a| done_or_undefined(s.vfp_write(a[0] as u32, a[1] as u32));
    /// The FPSCR, without access checks.
    FPSCR_READ State |_, s: &mut Cpu, _, _| Ok(s.fpscr().into());
    /// Sets the FPSCR: arguments its value, the control bits that are there; without access checks. The mode word may change.
    FPSCR_WRITE State |_, s: &mut Cpu, _, a| { s.set_fpscr_bits(a[1] as u32, a[0] as u32); Ok(0) };
    /// A semihosting call: argument the address of the next instruction. Sets r0.
    SEMIHOSTING State semihosting;
    /// The performance monitors are to be looked at: see `pmu`. The mode word may change.
    PMU_DUE State |g: &mut Arm, s: &mut Cpu, _, _| { pmu::due(g, s); Ok(0) };
    /// DSB: waits until other CPUs have followed TLB maintenance.
    COMPLETE State |_, _, env, _| { env.complete(); Ok(0) };
    /// WFI and WFE in User mode: arguments 1 for WFE, 1 for T16. On ARMv7 they are allowed.
    WAIT_ALLOWED State |_, _, _, _| Ok(0);
    /// LDC and STC of the debug communications channel in User mode: argument their syndrome, where EL1 is AArch64's. On ARMv7
    /// the access itself is Undefined.
    CHANNEL_ALLOWED State |_, _, _, _| Ok(0);
}

/// Parts after this file's start here.
pub const NEXT: u16 = SYSTEM.len() as u16;

type Answer = Result<u128, Fault>;

fn done(result: Result<(), Fault>) -> Answer {
    result.map(|()| 0)
}

fn done_or_undefined(result: Option<()>) -> Answer {
    result.map(|()| 0).ok_or(UNDEFINED_FAULT)
}

fn value_or_undefined(result: Option<u32>) -> Answer {
    result.map(u128::from).ok_or(UNDEFINED_FAULT)
}

fn firmware(g: &mut Arm, s: &mut Cpu, env: &mut dyn Env, conduit: Conduit, next: u32) -> Answer {
    if s.is_user() {
        return Err(UNDEFINED_FAULT);
    }
    let args = [s.r[0], s.r[1], s.r[2], s.r[3]];
    match g.platform.firmware_call(conduit, args.map(u64::from), false) {
        FirmwareResult::Return(r) => s.r[..4].copy_from_slice(&r.map(|v| v as u32)),
        FirmwareResult::Stop(why) => {
            s.r[15] = next;
            env.stop(why);
        }
        FirmwareResult::Undefined => return Err(UNDEFINED_FAULT),
    }
    Ok(0)
}

fn semihosting(g: &mut Arm, s: &mut Cpu, env: &mut dyn Env, a: &[u128; 4]) -> Answer {
    let args = [s.r[0], s.r[1]].map(u64::from);
    let caller = &*s;
    let mut physical = |va: u64| mmu::probe(caller, env.bus(), va as u32).at(va);
    match g.platform.semihosting(args, false, &mut physical) {
        SemihostingResult::Return(value) => s.r[0] = value as u32,
        SemihostingResult::Wait => return Err(AGAIN),
        SemihostingResult::Stop(why) => {
            s.r[15] = a[0] as u32;
            env.stop(why);
        }
    }
    Ok(0)
}

fn cpsr_write(g: &mut Arm, s: &mut Cpu, env: &mut dyn Env, a: &[u128; 4]) -> Answer {
    let user = s.is_user();
    s.write_cpsr_by_instr(a[0] as u32, a[1] as u32, false);
    note_privilege(s, env, user);
    pmu::turned(g, s, user);
    Ok(0)
}

fn spsr_write(_: &mut Arm, s: &mut Cpu, _: &mut dyn Env, a: &[u128; 4]) -> Answer {
    done_or_undefined(s.write_spsr_by_instr(a[0] as u32, a[1] as u32))
}

fn banked_read(g: &mut Arm, s: &mut Cpu, _: &mut dyn Env, a: &[u128; 4]) -> Answer {
    value_or_undefined(if g.model.virtualization {
        s.banked_read(a[0] as u32)
    } else {
        None
    })
}

fn banked_write(g: &mut Arm, s: &mut Cpu, _: &mut dyn Env, a: &[u128; 4]) -> Answer {
    done_or_undefined(if g.model.virtualization {
        s.banked_write(a[0] as u32, a[1] as u32)
    } else {
        None
    })
}

fn cps(g: &mut Arm, s: &mut Cpu, env: &mut dyn Env, a: &[u128; 4]) -> Answer {
    if s.is_user() {
        return Ok(0);
    }
    let masks = (a[1] as u32 & 7) << 6;
    let mut new = s.cpsr();
    match a[0] {
        2 => new &= !masks,
        3 => new |= masks,
        _ => {}
    }
    if a[2] != 0 {
        new = new & !psr::M | a[3] as u32 & psr::M;
    }
    s.write_cpsr_by_instr(new, 0b0011, false);
    note_privilege(s, env, false);
    pmu::turned(g, s, false);
    Ok(0)
}

fn exception_return(g: &mut Arm, s: &mut Cpu, env: &mut dyn Env, a: &[u128; 4]) -> Answer {
    let spsr = s.spsr().ok_or(UNDEFINED_FAULT)?;
    return_to(g, s, env, a[0] as u32, spsr);
    Ok(0)
}

fn eret(g: &mut Arm, s: &mut Cpu, env: &mut dyn Env, a: &[u128; 4]) -> Answer {
    if g.model.virtualization {
        exception_return(g, s, env, a)
    } else {
        Err(UNDEFINED_FAULT)
    }
}

fn rfe(g: &mut Arm, s: &mut Cpu, env: &mut dyn Env, a: &[u128; 4]) -> Answer {
    if s.is_user() {
        return Err(UNDEFINED_FAULT);
    }
    return_to(g, s, env, a[0] as u32, a[1] as u32);
    Ok(0)
}

/// The common end of exception returns: status, then the branch, aligned for the new instruction set.
fn return_to(g: &mut Arm, s: &mut Cpu, env: &mut dyn Env, pc: u32, status: u32) {
    s.write_cpsr_by_instr(status, 0b1111, true);
    s.r[15] = if s.mode & mode::T != 0 { pc & !1 } else { pc & !3 };
    s.excl_armed = 0;
    note_privilege(s, env, false);
    pmu::returned(g, s, false);
}

/// Tells the engine if the privilege changed, which the translation context holds.
fn note_privilege(s: &Cpu, env: &mut dyn Env, was_user: bool) {
    if s.is_user() != was_user {
        env.context_changed();
    }
}

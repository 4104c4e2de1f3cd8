//! The functions that translated code calls. The engine restores the pc before it raises what a helper returns.

use super::fault::{AGAIN, ALIGNMENT, UNDEFINED as UNDEFINED_FAULT, abort, class, exception};
use super::model::A64;
use super::pauth::field::{self, Which};
use super::state::Cpu;
use super::{aarch32, mmu, sys};
use crate::checksum;
use crate::guest::concat;
use crate::platform::{Conduit, FirmwareResult, SemihostingResult};
use crate::pmu;
use crate::vector::crypto::{sha, sha512, sm};
use crate::vector::{brain, estimate, half, javascript, polynomial};
use emu_ir::{Access, Env, Fault, Helper};

/// Makes the table: as [`crate::calls`] makes its parts.
macro_rules! calls {
    ($( $(#[$d:meta])* $name:ident $kind:ident $f:expr; )*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[repr(u16)]
        enum Index { $($name),* }
        $( $(#[$d])* pub const $name: u16 = Index::$name as u16; )*
        /// AArch64's own.
        pub const OWN: &[emu_ir::Helper<A64>] = &[ $(
            emu_ir::Helper { name: stringify!($name), f: emu_ir::HelperFn::$kind($f) },
        )* ];
    };
}

calls! {
    /// Takes the exception of an instruction that is Undefined.
    UNDEFINED State |_, _, _, _| Err(UNDEFINED_FAULT);
    /// Takes an exception: arguments class and instruction specific syndrome.
    EXCEPTION Raise |a| exception(a[0] as u32, a[1] as u32);
    /// Takes the exception of a base that is SP and not aligned.
    SP_ALIGNMENT State |_, _, _, _| Err(exception(class::SP_ALIGNMENT, 0));
    /// Returns from an exception; Undefined at EL0.
    ERET State eret;
    /// ERETAA and ERETAB: arguments SP, the key, 2 where it is off.
    ERETA State ereta;
    /// Adds an authentication code: arguments pointer, modifier, key; the pointer.
    PAC State |g: &mut A64, s: &mut Cpu, _, a| Ok(field::add(s, g.model.features, a[0] as u64, a[1] as u64, Which(a[2] as u32)).into());
    /// Checks one: arguments pointer, modifier, key, with bit 2 set in a combined instruction; the pointer.
    AUTH State auth;
    /// PACGA: arguments data, modifier.
    PACGA State |g: &mut A64, s: &mut Cpu, _, a| Ok(field::generic(s, g.model.features, a[0] as u64, a[1] as u64).into());
    /// MRS: argument the instruction; the value.
    SYS_READ State |g: &mut A64, s: &mut Cpu, env, a| sys::read(g, s, env, a[0] as u32).map(u128::from);
    /// MSR and SYS: arguments the instruction, the value.
    SYS_WRITE State |g: &mut A64, s: &mut Cpu, env, a| sys::write(g, s, env, a[0] as u32, a[1] as u64).map(|()| 0);
    /// MSR of an immediate: arguments op1:op2, the immediate, the instruction.
    PSTATE_WRITE State pstate_write;
    /// DC ZVA at EL0: argument the instruction.
    ZVA_ALLOWED State |_, s: &mut Cpu, _, a| sys::zva(s, a[0] as u32).map(|()| 0);
    /// DC ZVA of Device memory: the address.
    ZVA_OF_DEVICE State |_, _, _, a| Err(abort(a[0] as u64, Access::Write, ALIGNMENT));
    /// WFI and WFE at EL0: arguments 1 for WFE, 1 for T16.
    WAIT_ALLOWED State |_, s: &mut Cpu, _, a| sys::wait(s, a[0] != 0, a[1] != 0).map(|()| 0);
    /// AArch32's LDC and STC of the debug channel: argument their syndrome.
    CHANNEL_ALLOWED State |_, s: &mut Cpu, _, a| sys::channel(s, a[0] as u32).map(|()| 0);
    /// HVC: argument the address of the next instruction. Sets X0 to X3, or is Undefined.
    HVC State |g: &mut A64, s: &mut Cpu, env, a| firmware(g, s, env, Conduit::Hvc, a[0] as u64);
    /// SMC: argument the address of the next instruction. Sets X0 to X3, or is Undefined.
    SMC State |g: &mut A64, s: &mut Cpu, env, a| firmware(g, s, env, Conduit::Smc, a[0] as u64);
    /// A semihosting call: argument the address of the next instruction. Sets X0.
    SEMIHOSTING State semihosting;
    /// The performance monitors are to be looked at: see [`pmu`]. The mode word may change.
    PMU_DUE State |g: &mut A64, s: &mut Cpu, _, _| { pmu::due(g, s); Ok(0) };
    /// DSB: waits until other CPUs have followed TLB maintenance.
    COMPLETE State |_, _, env, _| { env.complete(); Ok(0) };
    /// CRC32: checksum, data, and how many of its bytes; the checksum.
    CRC32 Pure checksum::ieee;
    /// CRC32C: as CRC32.
    CRC32C Pure checksum::castagnoli;
    /// PMUL: arguments two vectors of bytes.
    PMUL Pure polynomial::vmul_p8;
    /// PMULL of bytes: arguments two V64; a V128.
    PMULL_8 Pure polynomial::vmull_p8;
    /// URECPE: argument a vector.
    URECPE Pure estimate::vrecpe_u32;
    /// URSQRTE: argument a vector.
    URSQRTE Pure estimate::vrsqrte_u32;
    /// FRECPE: arguments a vector, [`estimate::control`], the rounding mode.
    FRECPE Flags estimate::recip;
    /// FRSQRTE: arguments a vector, [`estimate::control`].
    FRSQRTE Flags estimate::rsqrt;
    /// FJCVTZS: arguments a double, whether denormals are flushed; the integer, and in bit 32 Z.
    FJCVTZS Flags javascript::convert;
    /// Halves as singles: arguments a V64, whether denormals are flushed.
    HALVES_AS_SINGLES Pure half::singles;
    /// BFCVT and BFCVTN: arguments a vector of singles, [`estimate::control`], the rounding mode.
    BFCVT Flags brain::convert;
    /// BFDOT: arguments Vd, Vn, Vm.
    BFDOT Float brain::dot;
    /// BFMMLA: arguments Vd, Vn, Vm.
    BFMMLA Float brain::matrix;
    /// SHA1C: arguments a to d, e, words of the schedule.
    SHA1C Pure sha::sha1_choose;
    /// SHA1P: as SHA1C.
    SHA1P Pure sha::sha1_parity;
    /// SHA1M: as SHA1C.
    SHA1M Pure sha::sha1_majority;
    /// SHA1SU1: arguments Vd, Vn.
    SHA1SU1 Pure sha::sha1_schedule;
    /// SHA256H: arguments a to d, e to h, words of the schedule.
    SHA256H Pure sha::sha256_first;
    /// SHA256H2: as SHA256H.
    SHA256H2 Pure sha::sha256_second;
    /// SHA256SU0: arguments Vd, Vn.
    SHA256SU0 Pure sha::sha256_schedule0;
    /// SHA256SU1: arguments Vd, Vn, Vm.
    SHA256SU1 Pure sha::sha256_schedule1;
    /// SHA512H: arguments Vd, Vn, Vm.
    SHA512H Pure sha512::first;
    /// SHA512H2: arguments Vd, Vn, Vm.
    SHA512H2 Pure sha512::second;
    /// SHA512SU0: arguments Vd, Vn.
    SHA512SU0 Pure sha512::schedule0;
    /// SHA512SU1: arguments Vd, Vn, Vm.
    SHA512SU1 Pure sha512::schedule1;
    /// SM3PARTW1: arguments Vd, Vn, Vm.
    SM3PARTW1 Pure sm::part1;
    /// SM3PARTW2: arguments Vd, Vn, Vm.
    SM3PARTW2 Pure sm::part2;
    /// SM3TT1A: arguments Vd, Vn, the word.
    SM3TT1A Pure sm::first_parity;
    /// SM3TT1B: as SM3TT1A.
    SM3TT1B Pure sm::first_majority;
    /// SM3TT2A: as SM3TT1A.
    SM3TT2A Pure sm::second_parity;
    /// SM3TT2B: as SM3TT1A.
    SM3TT2B Pure sm::second_choose;
    /// SM4E: arguments Vd, Vn.
    SM4E Pure sm::encrypt;
    /// SM4EKEY: arguments Vn, Vm.
    SM4EKEY Pure sm::key;
}

/// The table of helpers: AArch64's own, then AArch32's.
pub const CALLS: &[Helper<A64>] =
    &concat::<A64, { OWN.len() + aarch32::calls::CALLS.len() }>(&[OWN, &aarch32::calls::CALLS]);

/// The name of a helper, for listings.
pub fn name(index: u16) -> &'static str {
    CALLS.get(index as usize).map_or("?", |h| h.name)
}

/// What a helper returns.
pub(super) type Answer = Result<u128, Fault>;

fn eret(g: &mut A64, s: &mut Cpu, env: &mut dyn Env, _: &[u128; 4]) -> Answer {
    if s.el() == 0 {
        return Err(UNDEFINED_FAULT);
    }
    let to = s.sys.elr;
    Ok(returned(g, s, env, to))
}

fn returned(g: &mut A64, s: &mut Cpu, env: &mut dyn Env, to: u64) -> u128 {
    s.exception_return(g.model.features, to);
    pmu::returned(g, s, false);
    env.context_changed();
    0
}

fn ereta(g: &mut A64, s: &mut Cpu, env: &mut dyn Env, a: &[u128; 4]) -> Answer {
    if s.el() == 0 {
        return Err(UNDEFINED_FAULT);
    }
    let (mut to, sp, key) = (s.sys.elr, a[0] as u64, a[1] as u32);
    if key < 2 {
        to = field::auth(s, g.model.features, to, sp, Which(key), true)?;
    }
    Ok(returned(g, s, env, to))
}

fn auth(g: &mut A64, s: &mut Cpu, _: &mut dyn Env, a: &[u128; 4]) -> Answer {
    let ([pointer, modifier], how) = ([a[0], a[1]].map(|v| v as u64), a[2] as u32);
    let (which, combined) = (Which(how & 3), how & 4 != 0);
    field::auth(s, g.model.features, pointer, modifier, which, combined).map(u128::from)
}

fn pstate_write(g: &mut A64, s: &mut Cpu, env: &mut dyn Env, a: &[u128; 4]) -> Answer {
    let [field, value, word] = [a[0], a[1], a[2]].map(|v| v as u32);
    sys::write_field(s, g.model.features, field, value, word)?;
    env.context_changed();
    Ok(0)
}

fn semihosting(g: &mut A64, s: &mut Cpu, env: &mut dyn Env, a: &[u128; 4]) -> Answer {
    let (model, caller) = (&g.model, &*s);
    let mut physical = |va: u64| mmu::probe(model, caller, env.bus(), va).at(va);
    match g.platform.semihosting([caller.x[0], caller.x[1]], true, &mut physical) {
        SemihostingResult::Return(value) => s.x[0] = value,
        SemihostingResult::Wait => return Err(AGAIN),
        SemihostingResult::Stop(why) => {
            s.pc = a[0] as u64;
            env.stop(why);
        }
    }
    Ok(0)
}

/// Neither EL2 nor EL3 is there: what would go to them is the machine's to answer.
fn firmware(g: &mut A64, s: &mut Cpu, env: &mut dyn Env, conduit: Conduit, next: u64) -> Answer {
    if s.el() == 0 {
        return Err(UNDEFINED_FAULT);
    }
    let args = [s.x[0], s.x[1], s.x[2], s.x[3]];
    match g.platform.firmware_call(conduit, args, true) {
        FirmwareResult::Return(r) => s.x[..4].copy_from_slice(&r),
        FirmwareResult::Stop(why) => {
            s.pc = next;
            env.stop(why);
        }
        FirmwareResult::Undefined => return Err(UNDEFINED_FAULT),
    }
    Ok(0)
}

//! Control, debug and model-specific registers, and translations of addresses (SDM 2, MOV, LMSW, CLTS, RDMSR, WRMSR, XGETBV,
//! XSETBV, RDPKRU, WRPKRU, INVLPG, INVPCID).

use super::{Answer, Arguments, changed, done, run};
use crate::control::{self, privileged};
use crate::fault::{UD, gp};
use crate::platform::{Refused, X86};
use crate::state::Cpu;
use crate::state::bits::cr4;
use crate::{mmu, msr, x87};
use emu_ir::{Env, Fault};

/// CR8's number.
const TASK_PRIORITY: u8 = 8;

/// [`crate::calls::READ_CR`].
pub fn read_cr(x: &mut X86, s: &mut Cpu, _: &mut dyn Env, a: Arguments) -> Answer {
    let n = a[0] as u8;
    if n == TASK_PRIORITY {
        privileged(s)?;
        return Ok(x.platform.cr8().into());
    }
    control::read_cr(s, n).map(u128::from)
}
/// [`crate::calls::WRITE_CR`].
pub fn write_cr(x: &mut X86, s: &mut Cpu, env: &mut dyn Env, a: Arguments) -> Answer {
    let (n, value) = (a[0] as u8, a[1] as u64);
    if n == TASK_PRIORITY {
        x.platform.set_cr8(control::priority(s, value)?);
        return Ok(0);
    }
    done(run(x, s, env, |m, cpu| control::write_cr(m, cpu, n, value)))
}
/// [`crate::calls::READ_DR`].
pub fn read_dr(_: &mut X86, s: &mut Cpu, _: &mut dyn Env, a: Arguments) -> Answer {
    control::read_dr(s, a[0] as u8).map(u128::from)
}
/// [`crate::calls::WRITE_DR`].
pub fn write_dr(_: &mut X86, s: &mut Cpu, env: &mut dyn Env, a: Arguments) -> Answer {
    control::write_dr(s, a[0] as u8, a[1] as u64)?.apply(env);
    Ok(0)
}
/// [`crate::calls::LMSW`].
pub fn lmsw(x: &mut X86, s: &mut Cpu, env: &mut dyn Env, a: Arguments) -> Answer {
    done(run(x, s, env, |m, cpu| control::lmsw(m, cpu, a[0] as u16)))
}
/// [`crate::calls::CLTS`].
pub fn clts(_: &mut X86, s: &mut Cpu, _: &mut dyn Env, _: Arguments) -> Answer {
    done(control::clts(s))
}

/// IA32_APIC_BASE, IA32_TSC_DEADLINE and x2APIC's: the local APIC's.
const fn is_of_apic(number: u32) -> bool {
    matches!(number, 0x1b | 0x6e0 | 0x800..=0x8ff)
}
fn apic<R>(x: &mut X86, s: &Cpu, number: u32, f: impl FnOnce(&mut X86) -> Result<R, Refused>) -> Result<R, Fault> {
    privileged(s)?;
    let needs = match number {
        0x1b => "apic",
        0x6e0 => "tsc-deadline",
        _ => "x2apic",
    };
    if !x.model.has(needs) {
        return Err(gp(0));
    }
    f(x).map_err(|Refused| gp(0))
}
/// [`crate::calls::RDMSR`].
pub fn rdmsr(x: &mut X86, s: &mut Cpu, _: &mut dyn Env, a: Arguments) -> Answer {
    let number = a[0] as u32;
    let value = if is_of_apic(number) {
        apic(x, s, number, |x| x.platform.read_msr(number))?
    } else {
        msr::rdmsr(s, &x.model, x.platform.tsc(), number)?
    };
    Ok(value.into())
}
/// [`crate::calls::WRMSR`].
pub fn wrmsr(x: &mut X86, s: &mut Cpu, env: &mut dyn Env, a: Arguments) -> Answer {
    let (number, value) = (a[0] as u32, a[1] as u64);
    if is_of_apic(number) {
        apic(x, s, number, |x| x.platform.write_msr(number, value))?;
        return Ok(0);
    }
    let ahead = s.sys.tsc_offset;
    msr::wrmsr(s, &x.model, x.platform.tsc(), number, value)?;
    if s.sys.tsc_offset != ahead {
        x.platform.set_tsc_ahead(s.sys.tsc_offset);
    }
    env.context_changed();
    Ok(0)
}

/// [`crate::calls::XGETBV`].
pub fn xgetbv(x: &mut X86, s: &mut Cpu, _: &mut dyn Env, a: Arguments) -> Answer {
    if s.sys.cr4 & cr4::OSXSAVE == 0 {
        return Err(UD);
    }
    match a[0] {
        0 => Ok(s.sys.xcr0.into()),
        // XINUSE: SDM 1, 13.2. MXCSR is no part of SSE's state there.
        1 if x.model.has("xgetbv1") => Ok((s.sys.xcr0 & x87::in_use(s, false)).into()),
        _ => Err(gp(0)),
    }
}
/// [`crate::calls::XSETBV`].
pub fn xsetbv(x: &mut X86, s: &mut Cpu, _: &mut dyn Env, a: Arguments) -> Answer {
    done(control::xsetbv(s, &x.model, a[0] as u32, a[1] as u64))
}
fn keys(s: &Cpu, zero: u128) -> Result<(), Fault> {
    if s.sys.cr4 & cr4::PKE == 0 {
        return Err(UD);
    }
    if zero != 0 { Err(gp(0)) } else { Ok(()) }
}
/// [`crate::calls::RDPKRU`].
pub fn rdpkru(_: &mut X86, s: &mut Cpu, _: &mut dyn Env, a: Arguments) -> Answer {
    keys(s, a[0])?;
    Ok(s.sys.pkru.into())
}
/// [`crate::calls::WRPKRU`].
pub fn wrpkru(_: &mut X86, s: &mut Cpu, env: &mut dyn Env, a: Arguments) -> Answer {
    keys(s, a[1])?;
    changed(s, env, |cpu| {
        cpu.sys.pkru = a[0] as u32;
        Ok(())
    })
}

/// [`crate::calls::INVLPG`].
pub fn invlpg(_: &mut X86, s: &mut Cpu, env: &mut dyn Env, a: Arguments) -> Answer {
    if let Some(flush) = mmu::invlpg(s, a[0] as u64)? {
        env.flush(flush, false);
    }
    Ok(0)
}
/// [`crate::calls::INVPCID`].
pub fn invpcid(_: &mut X86, s: &mut Cpu, env: &mut dyn Env, a: Arguments) -> Answer {
    let flush = mmu::invpcid(s, a[0] as u64, [a[1] as u64, a[2] as u64])?;
    env.flush(flush, false);
    Ok(0)
}

//! What the processor says of itself, and of time and chance (SDM 2, CPUID, RDTSC, RDRAND, RDSEED).

use super::{Answer, Arguments};
use crate::cpuid;
use crate::fault::gp;
use crate::platform::X86;
use crate::state::Cpu;
use crate::state::bits::cr4;
use emu_ir::Env;

/// [`crate::calls::RDTSC`].
pub fn rdtsc(x: &mut X86, s: &mut Cpu, _: &mut dyn Env, _: Arguments) -> Answer {
    if s.sys.cr4 & cr4::TSD != 0 && s.cpl() != 0 {
        return Err(gp(0));
    }
    Ok(x.platform.tsc().wrapping_add(s.sys.tsc_offset).into())
}
/// [`crate::calls::CPUID`].
pub fn cpuid(x: &mut X86, s: &mut Cpu, _: &mut dyn Env, _: Arguments) -> Answer {
    let [leaf, subleaf] = [s.regs[0], s.regs[1]].map(|v| v as u32);
    let found = cpuid::cpuid(x, s, leaf, subleaf);
    [s.regs[0], s.regs[3], s.regs[1], s.regs[2]] = found.map(u64::from);
    Ok(0)
}
/// [`crate::calls::RANDOM`].
pub fn random(x: &mut X86, _: &mut Cpu, _: &mut dyn Env, _: Arguments) -> Answer {
    Ok(x.platform.random().map_or(0, |v| 1 << 64 | u128::from(v)))
}

//! Segments and descriptor tables (SDM 2, MOV, LLDT, LTR, LGDT, LIDT, LAR, LSL, VERR, VERW).

use super::{Answer, Arguments, done, run};
use crate::memory::Memory;
use crate::platform::X86;
use crate::segment;
use crate::state::Cpu;
use emu_ir::{Env, Fault};

/// What reads descriptors, and after which addresses mean what they did.
fn look<R>(
    x: &X86,
    s: &mut Cpu,
    env: &mut dyn Env,
    f: impl FnOnce(&mut Memory, &mut Cpu) -> Result<R, Fault>,
) -> Result<R, Fault> {
    f(&mut Memory::new(&x.model, env.bus()), s)
}
/// [`crate::calls::LOAD_SEGMENT`].
pub fn load(x: &mut X86, s: &mut Cpu, env: &mut dyn Env, a: Arguments) -> Answer {
    let (n, selector) = (a[0] as u8, a[1] as u16);
    done(look(x, s, env, |m, cpu| segment::load(m, cpu, n, selector)))
}
/// [`crate::calls::LLDT`].
pub fn lldt(x: &mut X86, s: &mut Cpu, env: &mut dyn Env, a: Arguments) -> Answer {
    done(run(x, s, env, |m, cpu| segment::lldt(m, cpu, a[0] as u16)))
}
/// [`crate::calls::LTR`].
pub fn ltr(x: &mut X86, s: &mut Cpu, env: &mut dyn Env, a: Arguments) -> Answer {
    done(run(x, s, env, |m, cpu| segment::ltr(m, cpu, a[0] as u16)))
}
/// [`crate::calls::LGDT`].
pub fn lgdt(_: &mut X86, s: &mut Cpu, _: &mut dyn Env, a: Arguments) -> Answer {
    done(segment::lgdt(s, a[0] as u16, a[1] as u64, a[2] as u8))
}
/// [`crate::calls::LIDT`].
pub fn lidt(_: &mut X86, s: &mut Cpu, _: &mut dyn Env, a: Arguments) -> Answer {
    done(segment::lidt(s, a[0] as u16, a[1] as u64, a[2] as u8))
}
fn found(value: Option<u32>) -> u128 {
    value.map_or(0, |v| 1 << 32 | u128::from(v))
}
/// [`crate::calls::LAR`].
pub fn lar(x: &mut X86, s: &mut Cpu, env: &mut dyn Env, a: Arguments) -> Answer {
    look(x, s, env, |m, cpu| segment::lar(m, cpu, a[0] as u16)).map(found)
}
/// [`crate::calls::LSL`].
pub fn lsl(x: &mut X86, s: &mut Cpu, env: &mut dyn Env, a: Arguments) -> Answer {
    look(x, s, env, |m, cpu| segment::lsl(m, cpu, a[0] as u16)).map(found)
}
/// [`crate::calls::VERR`].
pub fn verr(x: &mut X86, s: &mut Cpu, env: &mut dyn Env, a: Arguments) -> Answer {
    look(x, s, env, |m, cpu| segment::verr(m, cpu, a[0] as u16)).map(u128::from)
}
/// [`crate::calls::VERW`].
pub fn verw(x: &mut X86, s: &mut Cpu, env: &mut dyn Env, a: Arguments) -> Answer {
    look(x, s, env, |m, cpu| segment::verw(m, cpu, a[0] as u16)).map(u128::from)
}

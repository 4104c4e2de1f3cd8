//! What instructions of the system do that is not done in line: functions of the CPU, its state and the machine around it, which
//! [`crate::calls`] names. Where one says that it sets the pc, that is where it goes on; the pc of the next instruction is in
//! place before any.

pub mod flags;
pub mod identify;
pub mod port;
pub mod registers;
pub mod segment;
pub mod transfer;

use crate::platform::X86;
use crate::state::Cpu;
use emu_ir::{Env, Fault};

/// What a helper answers.
pub type Answer = Result<u128, Fault>;
/// A helper's arguments.
pub type Arguments<'a> = &'a [u128; 4];

fn done(result: Result<(), Fault>) -> Answer {
    result.map(|()| 0)
}

/// What changes nothing but the state; the translation of addresses may be another then.
fn changed(s: &mut Cpu, env: &mut dyn Env, f: impl FnOnce(&mut Cpu) -> Result<(), Fault>) -> Answer {
    f(s)?;
    env.context_changed();
    crate::exception::look_for_virtual_interrupt(s, env);
    Ok(0)
}

/// What accesses memory: see [`crate::exception::run`].
fn run<R>(
    x: &X86,
    s: &mut Cpu,
    env: &mut dyn Env,
    f: impl FnOnce(&mut crate::memory::Memory, &mut Cpu) -> Result<R, Fault>,
) -> Result<R, Fault> {
    crate::exception::run(s, &x.model, env, f)
}

//! Programs for 32-bit ARM.

mod code;
mod program;

use crate::MEMORY;
use crate::harness::Subject;
use crate::memory::Shape;
use crate::pattern;
use crate::program::Program;
use emu_frontend_arm::{Arm, Cpu, MODELS, names};
use emu_ir::Fault;
use emu_jit::engine::trace::Entered;
pub use program::Maker;
use std::fmt::Arguments;

impl Subject for Maker {
    type State = Cpu;
    type Guest = Arm;
    const NAME: &'static str = "random programs for 32-bit ARM";
    const MEMORY: Shape = MEMORY;

    fn new() -> Maker {
        Maker::new()
    }
    fn program(&self, seed: u64) -> Program<Cpu> {
        self.program(seed)
    }
    fn guest() -> Arm {
        Arm::alone(&MODELS[0])
    }
    fn reset() -> Cpu {
        Cpu::reset(&MODELS[0])
    }
    fn waits(_: &Cpu, insn: &Entered) -> bool {
        pattern::waits(insn.code)
    }
    fn is_exception(_: Fault) -> bool {
        true
    }
    fn exception(at_vector: &Cpu) -> &'static str {
        names::exception(at_vector)
    }
    fn kinds(state: &Cpu, _: &Entered) -> [Option<&'static str>; 3] {
        let set = names::instruction_set(state.mode);
        [Some(set), Some(names::mode(state.current_mode())), None]
    }
    fn changes(before: &Cpu, after: &Cpu, changed: &mut dyn FnMut(Arguments<'_>, u64)) {
        names::changes(before, after, |name, value, _| changed(name, value));
    }
    fn show(start: &Cpu) -> String {
        format!("{:x?} cpsr={:x}", start.r, start.cpsr())
    }
}

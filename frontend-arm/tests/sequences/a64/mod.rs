//! Programs for AArch64.

mod code;
mod handlers;
mod program;

use crate::harness::Subject;
use crate::program::Program;
use emu_frontend_arm::a64::state::mode;
use emu_frontend_arm::a64::{A64, Cpu, fault, model, names};
use emu_ir::Fault;
use emu_jit::engine::trace::Entered;
pub use program::Maker;
use std::fmt::Arguments;

impl Subject for Maker {
    type State = Cpu;
    type Guest = A64;
    const NAME: &'static str = "random programs for AArch64";

    fn new() -> Maker {
        Maker::new()
    }
    fn program(&self, seed: u64) -> Program<Cpu> {
        self.program(seed)
    }
    fn guest() -> A64 {
        A64::alone(model::find("max").unwrap())
    }
    fn reset() -> Cpu {
        Cpu::reset()
    }
    fn is_exception(fault: Fault) -> bool {
        fault::is_exception(fault)
    }
    fn exception(at_vector: &Cpu) -> &'static str {
        names::exception(at_vector)
    }
    fn kinds(state: &Cpu, insn: &Entered) -> [Option<&'static str>; 3] {
        let checked = state.mode & mode::CHECKED != 0;
        let upper = insn.pc >> 63 != 0;
        [
            Some(names::level(state.psr)),
            checked.then_some("guarded"),
            upper.then_some("upper"),
        ]
    }
    fn changes(before: &Cpu, after: &Cpu, changed: &mut dyn FnMut(Arguments<'_>, u64)) {
        names::changes(before, after, |name, value, _| changed(name, value));
    }
    fn show(start: &Cpu) -> String {
        format!("\n{}", start.show())
    }
}

//! Programs for AArch64.

mod code;
mod handlers;
mod program;
mod service;

use crate::MEMORY;
use crate::harness::Subject;
use crate::memory::Shape;
use crate::pair::Paired;
use crate::pattern;
use crate::program::Program;
use emu_frontend_arm::a64::state::mode;
use emu_frontend_arm::a64::{A64, Cpu, fault, model, names};
use emu_frontend_arm::platform::{Conduit, FirmwareResult, Platform, Timer, TimerOutput};
use emu_ir::Fault;
use emu_jit::engine::trace::Entered;
pub use program::Maker;
use std::fmt::Arguments;

impl Subject for Maker {
    type State = Cpu;
    type Guest = A64;
    const NAME: &'static str = "random programs for AArch64";
    const MEMORY: Shape = MEMORY;

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
    fn waits(_: &Cpu, insn: &Entered) -> bool {
        pattern::waits(insn.code)
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

/// Two CPUs and nothing else.
struct OneOfTwo(u32);

impl Platform for OneOfTwo {
    fn now_ns(&self) -> u64 {
        0
    }
    fn timer(&mut self, _: Timer, _: TimerOutput) {}
    fn pending(&self) -> u32 {
        0
    }
    fn firmware_call(&mut self, _: Conduit, _: [u64; 4], _: bool) -> FirmwareResult {
        FirmwareResult::Undefined
    }
    fn cpu_index(&self) -> u32 {
        self.0
    }
    fn cpu_count(&self) -> u32 {
        2
    }
    fn uncounted(&mut self, _: u32) {}
}

impl Paired for Maker {
    const PAIRS: &'static str = "pairs of random programs for AArch64";

    fn pair(&self, seed: u64) -> [Program<Cpu>; 2] {
        self.pair(seed)
    }
    fn services(state: &Cpu, insn: &Entered) -> [Option<&'static str>; 3] {
        service::kinds(state, insn)
    }
    fn is_own(insn: &Entered) -> bool {
        !service::is_here(insn)
    }
    fn guests() -> [A64; 2] {
        [0, 1].map(|number| A64 {
            platform: Box::new(OneOfTwo(number)),
            ..Maker::guest()
        })
    }
}

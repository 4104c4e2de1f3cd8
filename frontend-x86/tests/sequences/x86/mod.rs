//! Programs for x86 and x86-64.

mod asm;
mod handlers;
mod insn;
mod layout;
mod machine;
mod program;
mod system;
mod tables;

use crate::harness::Subject;
use crate::memory::{PORT, Shape};
use crate::pair::Paired;
use crate::program::Program;
use bytemuck::Zeroable;
use emu_frontend_x86::inspect::names;
use emu_frontend_x86::platform::{INTR, PORTS, X86};
use emu_frontend_x86::state::bits::cr0;
use emu_frontend_x86::state::{Cpu, mode};
use emu_ir::Fault;
use emu_jit::engine::trace::Entered;
use layout::{LOWER, RAISE, SYSTEM};
pub use program::Maker;
use std::fmt::Arguments;

impl Subject for Maker {
    type State = Cpu;
    type Guest = X86;
    const NAME: &'static str = "random programs for x86";
    const MEMORY: Shape = Shape {
        pages: layout::PAGES,
        ports: Some(PORTS),
        line: INTR,
        raise: PORT + RAISE as u32,
        lower: PORT + LOWER as u32,
        shared: false,
    };

    fn new() -> Maker {
        Maker::new()
    }
    fn program(&self, seed: u64) -> Program<Cpu> {
        self.program(seed)
    }
    fn guest() -> X86 {
        machine::cpu(0, 1)
    }
    fn reset() -> Cpu {
        Cpu::zeroed()
    }
    /// With CR0.NE clear an exception of x87 is waited for.
    fn waits(state: &Cpu, _: &Entered) -> bool {
        const ES: u16 = 1 << 7;
        state.sys.cr0 & cr0::NE == 0 && state.x87.status & ES != 0
    }
    fn seen(state: &Cpu) -> Cpu {
        // Of the instruction that the engine has come back to last.
        Cpu { of: 0, ..*state }
    }
    fn is_exception(_: Fault) -> bool {
        true
    }
    /// By the handler.
    fn exception(at_vector: &Cpu) -> &'static str {
        const NAMES: [&str; 20] = [
            "#DE", "#DB", "nmi", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "?", "#TS", "#NP", "#SS", "#GP", "#PF", "?",
            "#MF", "#AC", "#MC", "#XM",
        ];
        let vector = at_vector.pc.wrapping_sub(SYSTEM.into()) / 16;
        match vector {
            0x20 => "interrupt",
            0x21..0x40 => "int",
            _ => NAMES.get(vector as usize).copied().unwrap_or("elsewhere"),
        }
    }
    fn kinds(state: &Cpu, insn: &Entered) -> [Option<&'static str>; 3] {
        let alone = match state.mode {
            m if m & mode::SHADOW != 0 => Some("shadow"),
            m if m & mode::STEP != 0 => Some("step"),
            _ => None,
        };
        let again = insn.pc >= layout::PLAY.into();
        [Some(names::mode(state)), alone, again.then_some("mapped again")]
    }
    fn changes(before: &Cpu, after: &Cpu, changed: &mut dyn FnMut(Arguments<'_>, u64)) {
        names::changes(before, after, |name, value, _| changed(name, value));
    }
    fn show(start: &Cpu) -> String {
        format!("\n{}", names::show(start))
    }
}

/// Each has its own RAM and device at the same linear addresses, and the other's is not there even for tables that a program has
/// damaged: one sees nothing of the other but what is known of code.
impl Paired for Maker {
    const PAIRS: &'static str = "pairs of random programs for x86";

    fn pair(&self, seed: u64) -> [Program<Cpu>; 2] {
        self.pair(seed)
    }
    fn services(state: &Cpu, insn: &Entered) -> [Option<&'static str>; 3] {
        Maker::kinds(state, insn)
    }
    fn is_own(_: &Entered) -> bool {
        true
    }
    fn guests() -> [X86; 2] {
        [0, 1].map(|number| machine::cpu(number, 2))
    }
}

//! What an x86 CPU does, as lines.

use emu_frontend_x86::inspect::names;
use emu_frontend_x86::platform::X86;
use emu_frontend_x86::state::{Cpu, Sys, mode};
use emu_ir::{Context, Fault};
use emu_jit::engine::trace::Cause;

use super::disassembly::{Disassembler, bytes};
use crate::tracer::{Note, Traced};

thread_local! {
    /// A disassembler stays on the thread that made it.
    static DISASSEMBLER: Disassembler = Disassembler::new();
}

impl Traced for X86 {
    type System = Sys;
    const DIGITS: usize = 16;

    fn meaning(word: u32) -> u32 {
        word & (mode::CODE32 | mode::CODE64) as u32
    }

    fn text(code: &[u8], pc: u64, word: u32) -> (String, String) {
        let line = DISASSEMBLER.with(|d| d.lines(code, pc, word.into()).into_iter().next());
        (bytes(code), line.map_or_else(|| "?".into(), |line| line.text))
    }

    fn pc(cpu: &Cpu) -> u64 {
        cpu.pc
    }

    fn mode(cpu: &Cpu) -> String {
        names::mode(cpu).to_owned()
    }

    fn system(cpu: &Cpu) -> Sys {
        cpu.sys
    }

    fn changes(before: &Cpu, after: &Cpu, note: Note) {
        names::changes(before, after, note);
    }

    fn exception(_: &Cpu, cause: Cause) -> &'static str {
        match cause {
            Cause::Fault(fault) => names::exception(fault),
            Cause::Interrupt(_) => "interrupt",
        }
    }

    fn syndrome(at_vector: &Cpu) -> Vec<(&'static str, u64)> {
        vec![("cr2", at_vector.sys.cr2)]
    }

    fn fault(fault: Fault) -> String {
        names::fault(fault)
    }

    fn space(context: &Context) -> String {
        let [table, _, _, _, control, keys] = context.rest;
        format!("table={table:016x} control={control:016x} pkru={keys:08x}")
    }
}

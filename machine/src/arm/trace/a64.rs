//! A64.

use emu_frontend_arm::Arm;
use emu_frontend_arm::a64::state::{Sys, mode::AARCH32};
use emu_frontend_arm::a64::{A64, Cpu, fault, names};
use emu_frontend_arm::names::instruction_set;
use emu_ir::{Context, Fault};
use emu_jit::engine::trace::Cause;

use crate::arm::disassembly::{A64Disassembler, number};
use crate::tracer::{Note, Traced};

thread_local! {
    /// A disassembler stays on the thread that made it.
    static DISASSEMBLER: A64Disassembler = A64Disassembler::new();
}

impl Traced for A64 {
    type System = Sys;
    const DIGITS: usize = 16;

    fn meaning(word: u32) -> u32 {
        match word & AARCH32 {
            0 => 0,
            aarch32 => aarch32 | Arm::meaning(word),
        }
    }

    fn text(code: &[u8], pc: u64, word: u32) -> (String, String) {
        if word & AARCH32 != 0 {
            return Arm::text(code, pc, word);
        }
        let line = DISASSEMBLER.with(|d| d.lines(code, pc).into_iter().next());
        (number(code, false), line.map_or_else(|| "?".into(), |line| line.text))
    }

    fn pc(cpu: &Cpu) -> u64 {
        cpu.pc
    }

    fn mode(cpu: &Cpu) -> String {
        match cpu.is_aarch32() {
            true => format!("usr/{}", instruction_set(cpu.mode)),
            false => names::level(cpu.psr).to_owned(),
        }
    }

    fn system(cpu: &Cpu) -> Sys {
        cpu.sys
    }

    fn changes(before: &Cpu, after: &Cpu, note: Note) {
        names::changes(before, after, note);
    }

    fn exception(at_vector: &Cpu, _: Cause) -> &'static str {
        names::exception(at_vector)
    }

    fn syndrome(at_vector: &Cpu) -> Vec<(&'static str, u64)> {
        names::syndrome(at_vector)
    }

    fn fault(fault: Fault) -> String {
        names::fault(fault)
    }

    fn is_exception(what: Fault) -> bool {
        fault::is_exception(what)
    }

    fn space(context: &Context) -> String {
        let [ttbr0, ttbr1, tcr, control, mair, _] = context.rest;
        format!("ttbr0={ttbr0:016x} ttbr1={ttbr1:016x} tcr={tcr:016x} control={control:010x} mair={mair:016x}")
    }
}

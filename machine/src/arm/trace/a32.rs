//! A32 and T32.

use emu_frontend_arm::cp15::Cp15;
use emu_frontend_arm::state::mode;
use emu_frontend_arm::{Arm, Cpu, names};
use emu_ir::{Context, Fault};
use emu_jit::engine::trace::Cause;

use crate::arm::disassembly::{Disassembler, number};
use crate::tracer::{Note, Traced};

thread_local! {
    /// A disassembler stays on the thread that made it.
    static DISASSEMBLER: Disassembler = Disassembler::new();
}

impl Traced for Arm {
    type System = Cp15;
    const DIGITS: usize = 8;

    fn meaning(word: u32) -> u32 {
        word & (mode::T | mode::IT)
    }

    fn text(code: &[u8], pc: u64, word: u32) -> (String, String) {
        let text = DISASSEMBLER.with(|d| d.one(code, pc as u32, word));
        (number(code, word & mode::T != 0), text)
    }

    fn pc(cpu: &Cpu) -> u64 {
        cpu.r[15].into()
    }

    fn mode(cpu: &Cpu) -> String {
        let (m, set) = (names::mode(cpu.current_mode()), names::instruction_set(cpu.mode));
        format!("{m}/{set}")
    }

    fn system(cpu: &Cpu) -> Cp15 {
        cpu.cp15
    }

    fn changes(before: &Cpu, after: &Cpu, note: Note) {
        names::changes(before, after, note);
    }

    fn exception(at_vector: &Cpu, _: Cause) -> &'static str {
        names::exception(at_vector)
    }

    fn syndrome(at_vector: &Cpu) -> Vec<(&'static str, u64)> {
        let all = names::syndrome(at_vector).into_iter();
        all.map(|(register, value)| (register, value.into())).collect()
    }

    fn fault(fault: Fault) -> String {
        names::fault(fault)
    }

    fn space(context: &Context) -> String {
        let [ttbr0, ttbr1, ttbcr, control, remap, dacr] = context.rest;
        format!(
            "ttbr0={ttbr0:08x} ttbr1={ttbr1:08x} ttbcr={ttbcr:08x} control={control:08x} remap={remap:016x} \
             dacr={dacr:08x}"
        )
    }
}

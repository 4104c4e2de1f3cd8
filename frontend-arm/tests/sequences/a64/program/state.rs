//! What random programs start in.

use super::mapping::MEMORY;
use super::{CHUNK, CODE, DATA, FIRST, Writer};
use crate::a64::code::{ADDRESSES, CHUNKS_LEFT, EXCEPTIONS_LEFT};
use emu_frontend_arm::a64::state::{psr, sctlr, tcr};
use emu_frontend_arm::a64::{A64, Cpu, model};
use emu_frontend_arm::pmu;
use emu_ir::testing::Random;

/// T0SZ and T1SZ of 34: walks start at level 2. TTBR1_EL1's granule is of 4 KiB; addresses have 40 bits.
const RANGES: u64 = 34 | 34 << 16 | 2 << 30 | 2 << 32;

/// The performance monitors count, and the first is soon to overflow.
fn count(cpu: &mut Cpu) {
    let soon = 0xffu32.wrapping_neg();
    pmu::change(&mut A64::alone(model::MODELS[0]), cpu, |pmu| {
        pmu.evtyper = [0x08, 0x04, 0x21, 0x08 | pmu::NOT_PL1, 0x09, 0x0a];
        (pmu.evcntr[0], pmu.evcntr[1]) = (soon, soon);
        (pmu.cnten, pmu.pmcr) = (0x3f, pmu.pmcr | pmu::E);
    });
}

impl Writer<'_> {
    /// PSTATE, with interrupts masked, as SPSR_EL1 has it.
    pub(super) fn pstate(&self, random: &mut Random) -> u32 {
        let level = random.pick(&[0, 0b0100, 0b0100, 0b0101]);
        let more = random.word() & (0xf << 28 | psr::SSBS | psr::DIT | psr::UAO | psr::PAN);
        level | psr::DAIF | more
    }

    fn sys(&self, cpu: &mut Cpu, random: &mut Random) {
        let some = random.next();
        let c = &mut cpu.sys;
        (c.vbar, c.mair, c.cpacr, c.oslock) = (0, MEMORY, 3 << 20, 0);
        let space = random.word_below(2);
        c.ttbr0 = if self.careful {
            self.ttbr0(space)
        } else {
            u64::from(FIRST[space as usize]) | random.below(3) << 48
        };
        c.ttbr1 = self.phys(FIRST[0]);
        let free = tcr::TBI0 | tcr::TBI1 | tcr::TBID0 | tcr::HA | tcr::HD | tcr::AS;
        c.tcr = RANGES
            | some
                & if self.careful {
                    tcr::TBI0 | tcr::TBI1 | tcr::AS
                } else {
                    free
                };
        let always = sctlr::M | sctlr::C | sctlr::I | sctlr::NTWI | sctlr::NTWE;
        let often = sctlr::DZE | sctlr::UCI | sctlr::UCT | sctlr::SPAN;
        let now_and_then = sctlr::SA | sctlr::SA0 | sctlr::A | sctlr::NAA | sctlr::BT0 | sctlr::BT1 | sctlr::EPAN;
        let keys = sctlr::ENIA | sctlr::ENIB | sctlr::ENDA | sctlr::ENDB;
        let (more, rare) = (random.next(), random.next() & random.next());
        c.sctlr |= always | some & keys | more & often | rare & now_and_then;
        if self.big_endian {
            c.sctlr |= sctlr::EE | sctlr::E0E;
        }
        c.keys = [[random.next(), random.next()]; 5];
    }

    pub(super) fn start(&self, chunk: u32, random: &mut Random) -> Cpu {
        let mut cpu = Cpu::reset();
        for x in &mut cpu.x[..16] {
            let any = random.next();
            *x = random.pick(&[0, 1, 0x40, u64::MAX, any, any >> 32]);
        }
        for register in ADDRESSES..ADDRESSES + 4 {
            cpu.x[register as usize] = self.place(random);
        }
        let chunks = if self.half.is_some() { 80 } else { 40 };
        cpu.x[CHUNKS_LEFT as usize] = 1 + random.below(chunks);
        // Each chunk of a pair's is one.
        cpu.x[EXCEPTIONS_LEFT as usize] = if self.half.is_some() { 300 } else { 100 };
        cpu.x[30] = u64::from(CODE);
        for v in &mut cpu.q {
            let any = [random.next(), random.next()];
            *v = random.pick(&[
                [0; 2],
                any,
                [0x3ff0_0000_0000_0000; 2],
                [0x7fc0_0000_3f80_0000, 0x7c01_3c00],
            ]);
        }
        self.sys(&mut cpu, random);
        cpu.sp = [u64::from(DATA) + 0x2800; 4];
        cpu.set_psr(self.pstate(random) & psr::ALL);
        cpu.x[31] = u64::from(DATA) + 0x1800;
        cpu.set_nzcv(random.word());
        cpu.pc = u64::from(CODE + chunk * CHUNK);
        if random.one_in(4) {
            cpu.fpcr_write(random.word());
        }
        // What a pair's CPUs do for one another is not to be counted.
        if random.one_in(8) && self.half.is_none() {
            count(&mut cpu);
        }
        cpu.sound()
    }
}

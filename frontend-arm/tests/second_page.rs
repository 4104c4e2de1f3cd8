//! A 32-bit Thumb instruction across a page's end, whose second page is mapped elsewhere or may not be fetched from any
//! more: in both accelerators, and however control comes to it.
#![allow(clippy::restriction, reason = "this is how a test fails")]

mod ram;

use emu_frontend_arm::Arm;
use emu_frontend_arm::state::{Cpu, psr};
use emu_frontend_arm::{MODELS, cp15::sctlr};
use emu_ir::{Env, Flush};
use emu_jit::engine::{Accel, Exit, Vcpu};
use ram::{BASE, Ram};

const VECTORS: u32 = BASE + 0x1000;
/// The page that the instruction starts in, two that it may end in, and one that branches to it.
const FIRST: u32 = BASE + 0x2000;
const ONE: u32 = BASE + 0x3000;
const TWO: u32 = BASE + 0x4000;
const FAR: u32 = BASE + 0x5000;
/// First and second level tables of two address spaces.
const TABLES: [u32; 2] = [BASE + 0x1_0000, BASE + 0x1_4000];
const PAGES: [u32; 2] = [BASE + 0x1_8000, BASE + 0x1_8400];
/// Where these pages are mapped, one after the other, and once more.
const HERE: u32 = 0x5000_0000;
const THERE: u32 = 0x5000_8000;
/// The instruction's offset: MOVW r0, of the number whose low half is in the second page.
const AT: u32 = 0xffe;

const WFI: u16 = 0xbf30;

/// A small page of ordinary memory of one address space.
fn open(phys: u32) -> u32 {
    phys | 1 << 11 | 0x3e
}

/// B.W (T4) from an address to another.
fn branch(here: u32, to: u32) -> [u16; 2] {
    let offset = to.wrapping_sub(here + 4);
    let sign = offset >> 24 & 1;
    let j = |bit: u32| (offset >> bit & 1) ^ sign ^ 1;
    let high = 0xf000 | sign << 10 | offset >> 12 & 0x3ff;
    [
        high as u16,
        (0x9000 | j(23) << 13 | j(22) << 11 | offset >> 1 & 0x7ff) as u16,
    ]
}

/// How control comes to the instruction.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// From outside.
    Start,
    /// By a branch in the page.
    Near,
    /// By a branch in another page.
    Far,
    /// By the address in a register.
    Register,
}

const WAYS: [Way; 4] = [Way::Start, Way::Near, Way::Far, Way::Register];

struct Bench {
    v: Vcpu<Arm>,
    ram: Ram,
}

impl Bench {
    fn new(accel: Accel) -> Option<Bench> {
        let ram = Ram::new();
        for vector in 0..8 {
            ram.put(VECTORS + 4 * vector, &0xe320_f003u32.to_le_bytes());
        }
        let v = Vcpu::new(
            Arm::alone(&MODELS[0]),
            Cpu::reset(&MODELS[0]),
            Box::new(ram.clone()),
            accel,
            true,
        );
        let mut bench = Bench { v: v.ok()?, ram };
        for (table, pages) in TABLES.into_iter().zip(PAGES) {
            bench.put(table + 0x400 * 4, BASE | 0x1c0e);
            bench.put(table + 0x500 * 4, pages | 1);
        }
        for space in 0..2 {
            for at in [HERE, THERE] {
                bench.map(space, at, open(FIRST));
                bench.map(space, at + 0x1000, open(ONE));
                bench.map(space, at + 0x2000, open(FAR));
            }
        }
        bench.halves(FIRST + 0xff0, &[0xe005]); // b AT
        bench.halves(FIRST + AT, &[0xf240]);
        bench.halves(ONE, &[0x0001, WFI]);
        bench.halves(TWO, &[0x0002, WFI]);
        bench.halves(FAR, &branch(0x2000, AT));
        bench.halves(FAR + 0x10, &[0x4710]); // bx r2
        Some(bench)
    }
    fn put(&self, at: u32, word: u32) {
        self.ram.put(at, &word.to_le_bytes());
    }
    fn halves(&self, at: u32, halves: &[u16]) {
        let bytes: Vec<u8> = halves.iter().flat_map(|h| h.to_le_bytes()).collect();
        self.ram.put(at, &bytes);
    }
    /// Write a second level descriptor.
    fn map(&mut self, space: usize, va: u32, descriptor: u32) {
        self.put(PAGES[space] + (va >> 12 & 0xff) * 4, descriptor);
        self.v
            .inspect(|_, _, env: &mut dyn Env| env.flush(Flush::page(va.into(), None), false));
    }
    /// The number that the instruction gives in an address space, where the pages are mapped at `base`. `None`: it aborts.
    fn run(&mut self, space: usize, base: u32, way: Way) -> Option<u32> {
        let mut cpu = Cpu::reset(&MODELS[0]);
        cpu.set_cpsr(psr::SVC | psr::I | psr::F | psr::A | psr::T);
        cpu.r[2] = base + AT + 1;
        cpu.r[15] = base
            + match way {
                Way::Start => AT,
                Way::Near => 0xff0,
                Way::Far => 0x2000,
                Way::Register => 0x2010,
            };
        (cpu.cp15.vbar, cpu.cp15.dacr, cpu.cp15.ttbr0) = (VECTORS, 1, TABLES[space].into());
        cpu.cp15.contextidr = 1 + space as u32;
        cpu.cp15.sctlr |= sctlr::M;
        cpu.update_mode();
        *self.v.state_mut() = cpu;
        assert_eq!(self.v.run(), Exit::Wait);
        let cpu = self.v.state();
        match cpu.current_mode() {
            psr::SVC => Some(cpu.r[0]),
            psr::ABT => None,
            mode => panic!("in mode {mode:#x}"),
        }
    }
    /// The same by every way in turn, each twice, as the second time takes what the first has linked.
    fn all(&mut self, space: usize, base: u32) -> Vec<Option<u32>> {
        let twice = WAYS.into_iter().flat_map(|way| [way, way]);
        twice.map(|way| self.run(space, base, way)).collect()
    }
}

fn benches() -> Vec<Bench> {
    [Accel::Interp, Accel::Jit].into_iter().filter_map(Bench::new).collect()
}

#[test]
fn a_second_page_mapped_elsewhere_gives_its_own_bytes() {
    for mut bench in benches() {
        assert_eq!(bench.all(0, HERE), [Some(1); 8]);

        bench.map(0, HERE + 0x1000, open(TWO));

        assert_eq!(bench.all(0, HERE), [Some(2); 8]);
        bench.map(0, HERE + 0x1000, open(ONE));
        assert_eq!(bench.all(0, HERE), [Some(1); 8]);
    }
}

#[test]
fn each_way_notices_by_itself_that_the_second_page_is_mapped_elsewhere() {
    for way in WAYS {
        for mut bench in benches() {
            for round in 0..3 {
                let (page, number) = [(ONE, 1), (TWO, 2)][round % 2];
                bench.map(0, HERE + 0x1000, open(page));
                for _ in 0..3 {
                    assert_eq!(bench.run(0, HERE, way), Some(number), "{way:?}, round {round}");
                }
            }
        }
    }
}

#[test]
fn a_second_page_that_may_not_be_fetched_from_aborts() {
    let privileged_only_domain = open(ONE) & !0x30;
    for descriptor in [open(ONE) | 1, 0, privileged_only_domain] {
        for mut bench in benches() {
            assert_eq!(bench.all(0, HERE), [Some(1); 8]);

            bench.map(0, HERE + 0x1000, descriptor);

            assert_eq!(bench.all(0, HERE), [None; 8], "{descriptor:#x}");
            bench.map(0, HERE + 0x1000, open(ONE));
            assert_eq!(bench.all(0, HERE), [Some(1); 8]);
        }
    }
}

#[test]
fn address_spaces_that_share_the_first_page_have_their_own_second() {
    for mut bench in benches() {
        bench.map(1, HERE + 0x1000, open(TWO));

        for _ in 0..3 {
            assert_eq!(bench.all(0, HERE), [Some(1); 8]);
            assert_eq!(bench.all(1, HERE), [Some(2); 8]);
        }
    }
}

#[test]
fn the_first_page_mapped_twice_has_a_second_page_each() {
    for mut bench in benches() {
        bench.map(0, THERE + 0x1000, open(TWO));

        for _ in 0..3 {
            assert_eq!(bench.all(0, HERE), [Some(1); 8]);
            assert_eq!(bench.all(0, THERE), [Some(2); 8]);
        }
    }
}

#[test]
fn the_page_is_its_own_second_page() {
    for mut bench in benches() {
        bench.halves(FIRST, &[0x0003, WFI]);
        bench.map(0, HERE + 0x1000, open(FIRST));

        assert_eq!(bench.all(0, HERE), [Some(3); 8]);
    }
}

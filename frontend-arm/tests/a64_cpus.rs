//! Several CPUs that share memory and translations, each with AArch64 code of its own, in both accelerators.
#![allow(clippy::restriction, reason = "this is how a test fails")]

mod ram;

use emu_frontend_arm::a64::state::{psr, sctlr, tcr};
use emu_frontend_arm::a64::{A64, Cpu, model};
use emu_frontend_arm::platform::{Conduit, FirmwareResult, IRQ, Platform, Timer, TimerOutput};
use emu_ir::testing::{skipped, until};
use emu_ir::{Bus, RamPage};
use emu_jit::engine::{Accel, Exit, Kick, LEAST_CODE_CACHE, Translations, Vcpu};
use ram::{BASE, Ram};
use std::thread::scope;

const VECTORS: u32 = BASE + 0x1000;
/// A page of code for each CPU.
const CODE: [u32; 4] = [BASE + 0x2000, BASE + 0x3000, BASE + 0x4000, BASE + 0x5000];
/// What they call.
const FUNCTION: u32 = BASE + 0x6000;
/// What they tell each other by, in lines of their own.
const FLAG: u32 = BASE + 0x8000;
const ACK: u32 = BASE + 0x8100;
const WORDS: u32 = BASE + 0x8200;
/// Pages that are mapped many times over.
const FRAMES: u32 = BASE + 0x9000;
const TABLES: [u32; 3] = [BASE + 0x1_0000, BASE + 0x1_1000, BASE + 0x1_2000];
/// Where those mappings are, and how many.
const MANY: u64 = BASE as u64 + 0x2_0000;
const COUNT: u64 = 300;
/// Where a device is mapped, and what it reads as.
const DEVICE: u64 = BASE as u64 + 0x1f_f000;
const DEVICE_PHYS: u64 = 0x900_0000;
const DEVICE_READS: u64 = 0x55;

/// Of a page: valid, Access flag, Inner Shareable, global.
const PAGE: u64 = 1 << 10 | 3 << 8 | 3;

const WFI: u32 = 0xd503_207f;
const NOP: u32 = 0xd503_201f;
const RET: u32 = 0xd65f_03c0;

/// A CPU of so many.
struct Board {
    index: u32,
    count: u32,
}

impl Platform for Board {
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
        self.index
    }
    fn cpu_count(&self) -> u32 {
        self.count
    }
    fn uncounted(&mut self, _: u32) {}
}

/// Memory, and a device with one register.
struct Around(Ram);

impl Bus for Around {
    fn load(&mut self, phys: u64, size: u8) -> Option<u64> {
        if phys == DEVICE_PHYS {
            return Some(DEVICE_READS);
        }
        self.0.load(phys, size)
    }
    fn store(&mut self, phys: u64, size: u8, value: u64) -> Option<()> {
        self.0.store(phys, size, value)
    }
    fn ram(&mut self, page: u64) -> Option<RamPage<'_>> {
        self.0.ram(page)
    }
}

struct Bench {
    cpus: Vec<Vcpu<A64>>,
    ram: Ram,
}

impl Bench {
    /// CPUs at EL1 with the MMU on, interrupts open, WFI at every vector, each at code of its own.
    fn new(accel: Accel, programs: &[&[u32]]) -> Option<Bench> {
        let translations = Translations::new(accel, false, LEAST_CODE_CACHE);
        if let Err(why) = &translations {
            skipped("several CPUs with AArch64 code", &why.to_string());
        }
        let translations = translations.ok()?;
        let ram = Ram::new();
        let bench = Bench {
            cpus: Vec::new(),
            ram: ram.clone(),
        };
        bench.code(VECTORS, &[WFI; 0x200]);
        bench.long(TABLES[0] + 8, u64::from(TABLES[1]) | 3);
        bench.long(TABLES[1], u64::from(TABLES[2]) | 3);
        for page in 0..0x20u32 {
            bench.map(page.into(), u64::from(BASE + 0x1000 * page) | PAGE);
        }
        bench.map(0x1ff, DEVICE_PHYS | PAGE | 1 << 2);
        let cpu = |(index, program): (usize, &&[u32])| {
            bench.code(CODE[index], program);
            let guest = A64 {
                model: model::find("max").unwrap(),
                platform: Box::new(Board {
                    index: index as u32,
                    count: programs.len() as u32,
                }),
                semihosting: false,
            };
            let bus = Box::new(Around(ram.clone()));
            Vcpu::sharing(&translations, guest, Bench::state(CODE[index]), bus)
        };
        let cpus = programs.iter().enumerate().map(cpu).collect();
        Some(Bench { cpus, ram })
    }
    fn state(pc: u32) -> Cpu {
        let mut cpu = Cpu::reset();
        cpu.pc = pc.into();
        let c = &mut cpu.sys;
        c.vbar = VECTORS.into();
        c.tcr = 25 | tcr::EPD1 | 2 << 32; // 39 bits, physical addresses of 40
        c.ttbr0 = TABLES[0].into();
        c.mair = 0x00ff;
        c.sctlr |= sctlr::M;
        c.cpacr = 3 << 20;
        cpu.set_psr(psr::SP | 1 << psr::EL_SHIFT);
        cpu.update_mode();
        cpu
    }
    fn code(&self, at: u32, words: &[u32]) {
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        self.ram.put(at, &bytes);
    }
    fn long(&self, at: u32, value: u64) {
        self.ram.put(at, &value.to_le_bytes());
    }
    /// The descriptor of a page after [`BASE`].
    fn map(&self, page: u64, descriptor: u64) {
        self.long(TABLES[2] + 8 * page as u32, descriptor);
    }
    /// Registers of a CPU.
    fn x(&mut self, cpu: usize, values: &[(usize, u64)]) {
        let state = self.cpus[cpu].state_mut();
        values.iter().for_each(|&(n, value)| state.x[n] = value);
    }
    /// Runs all of them until each waits at the end of its program.
    fn run(self, meanwhile: impl FnOnce(&[Kick])) -> Vec<Cpu> {
        /// Ends them, even if there is a panic.
        struct End(Vec<Kick>);
        impl Drop for End {
            fn drop(&mut self) {
                self.0.iter().for_each(Kick::request_exit);
            }
        }
        let kicks: Vec<Kick> = self.cpus.iter().map(Vcpu::kick).collect();
        scope(|s| {
            let go = |mut v: Vcpu<A64>| {
                s.spawn(move || {
                    let end = loop {
                        match v.run() {
                            Exit::Yield => std::thread::yield_now(),
                            end => break end,
                        }
                    };
                    (end, *v.state())
                })
            };
            let running: Vec<_> = self.cpus.into_iter().map(go).collect();
            let end = End(kicks);
            meanwhile(&end.0);
            until("all are at their ends", || running.iter().all(|r| r.is_finished()));
            drop(end);
            let ends = running.into_iter().map(|r| r.join().unwrap());
            ends.map(|(end, state)| {
                assert_eq!(end, Exit::Wait);
                let lost = state.pc.wrapping_sub(VECTORS.into()) < 0x800;
                assert!(
                    !lost,
                    "ESR {:#x} ELR {:#x} FAR {:#x}",
                    state.sys.esr, state.sys.elr, state.sys.far
                );
                state
            })
            .collect()
        })
    }
}

/// A bench for each accelerator that this host can run.
fn benches(programs: &[&[u32]]) -> Vec<(Accel, Bench)> {
    let all = [Accel::Jit, Accel::Interp].map(|accel| Some((accel, Bench::new(accel, programs)?)));
    all.into_iter().flatten().collect()
}

/// Loads of many pages and of a device, round after round, until a flag is set.
const LOADS: [u32; 11] = [
    0xd280_0003, // rounds: mov x3, #0
    0xf863_6824, // 1: ldr x4, [x1, x3]
    0xb940_0045, // ldr w5, [x2]
    0x8b04_00c6, // add x6, x6, x4
    0x9140_0463, // add x3, x3, #1, lsl #12
    0xeb07_007f, // cmp x3, x7
    0x54ff_ff61, // b.ne 1b
    0x9100_054a, // add x10, x10, #1
    0xc8df_fd28, // ldar x8, [x9]
    0xb4ff_fee8, // cbz x8, rounds
    WFI,
];
/// TLB maintenance for all, many times; then the flag is set.
const FORGETS: [u32; 7] = [
    0xd508_831f, // 1: tlbi vmalle1is
    0xd503_3b9f, // dsb ish
    0xf100_0400, // subs x0, x0, #1
    0x54ff_ffa1, // b.ne 1b
    0xd280_0028, // mov x8, #1
    0xc89f_fd28, // stlr x8, [x9]
    WFI,
];

/// Translations go away under CPUs that are using them, and nobody sees another's.
#[test]
fn all_forget_translations_while_all_use_them() {
    for (accel, mut bench) in benches(&[&FORGETS, &LOADS, &LOADS, &LOADS]) {
        for page in 0..COUNT {
            let frame = u64::from(FRAMES) + 0x1000 * (page % 4);
            bench.map(0x20 + page, frame | PAGE);
            bench.long(frame as u32, 1 << (8 * (page % 4)));
        }
        bench.x(0, &[(0, 300), (9, FLAG.into())]);
        for cpu in 1..4 {
            bench.x(cpu, &[(1, MANY), (2, DEVICE), (7, COUNT << 12), (9, FLAG.into())]);
        }

        let ends = bench.run(|_| {});

        for end in &ends[1..] {
            let (rounds, sum) = (end.x[10], (COUNT / 4) * 0x0101_0101);
            assert!(rounds != 0);
            assert_eq!(
                (end.x[5], end.x[6]),
                (DEVICE_READS, rounds.wrapping_mul(sum)),
                "{accel:?}"
            );
        }
    }
}

/// Loads of page after page, none of which is there at first.
const TOUCHES: [u32; 7] = [
    0x9100_06b5, // 1: add x21, x21, #1
    0xf940_0024, // ldr x4, [x1]
    0x8b04_00c6, // add x6, x6, x4
    0x9140_0421, // add x1, x1, #1, lsl #12
    0xeb19_02bf, // cmp x21, x25
    0x54ff_ff61, // b.ne 1b
    WFI,
];
/// Where they abort: it is said, and waited for another's answer.
const ABORTED: [u32; 7] = [
    0x9100_0694, // add x20, x20, #1
    0xc89f_fed5, // stlr x21, [x22]
    0xc8df_ff17, // 1: ldar x23, [x24]
    0xeb15_02ff, // cmp x23, x21
    0x54ff_ffc1, // b.ne 1b
    0xd503_3fdf, // isb
    0xd69f_03e0, // eret
];
/// The answer: a descriptor, no maintenance.
const MAPS: [u32; 10] = [
    0x9100_06b5, // 1: add x21, x21, #1
    0xc8df_fed7, // 2: ldar x23, [x22]
    0xeb15_02ff, // cmp x23, x21
    0x54ff_ffc1, // b.ne 2b
    0xf800_8742, // str x2, [x26], #8
    0xd503_3a9f, // dsb ishst
    0xc89f_ff15, // stlr x21, [x24]
    0xeb19_02bf, // cmp x21, x25
    0x54ff_ff01, // b.ne 1b
    WFI,
];

/// An entry that becomes valid, or whose Access flag is set, needs no maintenance (D8.14.1): each page aborts once.
#[test]
fn what_another_makes_valid_is_there_without_maintenance() {
    for was in [0, u64::from(FRAMES) | PAGE & !(1 << 10)] {
        for (accel, mut bench) in benches(&[&MAPS, &TOUCHES]) {
            bench.code(VECTORS + 0x200, &ABORTED);
            bench.long(FRAMES, 3);
            (0..COUNT).for_each(|page| bench.map(0x20 + page, was));
            let both = [(22, FLAG.into()), (24, ACK.into()), (25, COUNT)];
            bench.x(0, &both);
            bench.x(
                0,
                &[(2, u64::from(FRAMES) | PAGE), (26, u64::from(TABLES[2]) + 8 * 0x20)],
            );
            bench.x(1, &both);
            bench.x(1, &[(1, MANY)]);

            let ends = bench.run(|_| {});

            assert_eq!((ends[1].x[20], ends[1].x[6]), (COUNT, 3 * COUNT), "{accel:?} {was:#x}");
        }
    }
}

/// Replaces the first word of a function by another and back, and waits for each to be noticed.
const PATCHES: [u32; 14] = [
    0x9100_0463, // 1: add x3, x3, #1
    0xca04_00a4, // eor x4, x5, x4
    0xb900_0024, // str w4, [x1]
    0xd50b_7b21, // dc cvau, x1
    0xd503_3b9f, // dsb ish
    0xd50b_7521, // ic ivau, x1
    0xd503_3b9f, // dsb ish
    0xc89f_fd23, // stlr x3, [x9]
    0xc8df_fd68, // 2: ldar x8, [x11]
    0xeb03_011f, // cmp x8, x3
    0x54ff_ffc1, // b.ne 2b
    0xeb07_007f, // cmp x3, x7
    0x54ff_fe81, // b.ne 1b
    WFI,
];
/// Calls the function, which must be the old or the new one; the new one once it has been told.
const CALLS: [u32; 18] = [
    0x9400_0c00, // 1: bl FUNCTION
    0xd100_0406, // sub x6, x0, #1
    0xf100_04df, // cmp x6, #1
    0x5400_01c8, // b.hi 2f
    0xc8df_fd23, // ldar x3, [x9]
    0xeb04_007f, // cmp x3, x4
    0x54ff_ff40, // b.eq 1b
    0xaa03_03e4, // mov x4, x3
    0xd503_3fdf, // isb
    0x9400_0bf7, // bl FUNCTION
    0x9240_0066, // and x6, x3, #1
    0x9100_04c6, // add x6, x6, #1
    0xeb00_00df, // cmp x6, x0
    0x5400_0081, // b.ne 2f
    0xc89f_fd64, // stlr x4, [x11]
    0xeb07_009f, // cmp x4, x7
    0x54ff_fe01, // b.ne 1b
    WFI,         // 2:
];

/// NOP and B may be replaced while others run them (B2.2.5): they see the old or the new one, and after ISB the new one.
#[test]
fn a_word_that_another_replaces_is_the_old_or_the_new_one() {
    const B: u32 = 0x1400_0003; // b FUNCTION + 12
    const ROUNDS: u64 = 2_000;
    for (accel, mut bench) in benches(&[&PATCHES, &CALLS]) {
        bench.code(FUNCTION, &[NOP, 0xd280_0020, RET, 0xd280_0040, RET]); // MOV X0, #1; MOV X0, #2
        let both = [(7, ROUNDS), (9, FLAG.into()), (11, ACK.into())];
        bench.x(0, &both);
        bench.x(0, &[(1, FUNCTION.into()), (4, NOP.into()), (5, u64::from(NOP ^ B))]);
        bench.x(1, &both);

        let ends = bench.run(|_| {});

        assert_eq!(
            (ends[1].x[3], ends[1].x[4]),
            (ROUNDS, ROUNDS),
            "{accel:?} has {}",
            ends[1].x[0]
        );
    }
}

/// Writes of 16 bytes of X4 and X5, all zeros, then of X6 and X7, all ones, or of V4 and V6.
const PAIR_WRITES: [(&str, &[u32]); 4] = [
    (
        "casp",
        &[
            0xaa06_03e8,
            0xaa07_03e9,
            0x4828_7c24,
            0xaa04_03e8,
            0xaa05_03e9,
            0x4828_7c26,
        ],
    ),
    ("stp", &[0xa900_1424, 0xa900_1c26]),
    ("str q", &[0x3d80_0024, 0x3d80_0026]),
    (
        "stxp",
        &[
            0xc87f_2428,
            0xc82a_1424,
            0x35ff_ffca,
            0xc87f_2428,
            0xc82a_1c26,
            0x35ff_ffca,
        ],
    ),
];
/// Reads of them to X2 and X3.
const PAIR_READS: [(&str, &[u32]); 4] = [
    ("ldp", &[0xa940_0c22]),
    ("ldr q", &[0x3dc0_0022, 0x4e08_3c42, 0x4e18_3c43]),
    ("casp", &[0x4822_7c22]),
    ("ldxp", &[0xc87f_0c22, 0xc82a_0c22, 0x35ff_ffca]),
];

/// FEAT_LSE2 and exclusives (B2.2.1): 16 aligned bytes are never half of one value and half of another.
#[test]
fn sixteen_bytes_are_read_and_written_at_once() {
    for (write, writes) in PAIR_WRITES {
        for (read, reads) in PAIR_READS {
            // 1: ...; subs x0, x0, #1; b.ne 1b; mov x8, #1; stlr x8, [x11]; wfi
            let back = |words: usize| 0x5400_0001 | ((words as i32 + 1).wrapping_neg() as u32 & 0x7_ffff) << 5;
            let writer = [
                writes,
                &[0xf100_0400, back(writes.len())],
                &FORGETS[4..5],
                &[0xc89f_fd68, WFI],
            ]
            .concat();
            // 1: ...; cmp x2, x3; b.ne 2f; ldar x8, [x11]; cbz x8, 1b; 2: wfi
            let again = 0xb400_0008 | ((reads.len() as i32 + 3).wrapping_neg() as u32 & 0x7_ffff) << 5;
            let reader = [reads, &[0xeb03_005f, 0x5400_0061, 0xc8df_fd68, again, WFI]].concat();
            for (accel, mut bench) in benches(&[&writer, &reader]) {
                let rounds = if accel == Accel::Jit { 300_000 } else { 10_000 };
                let at = [(1, WORDS.into()), (11, FLAG.into())];
                bench.x(0, &at);
                bench.x(0, &[(0, rounds), (6, u64::MAX), (7, u64::MAX)]);
                bench.cpus[0].state_mut().q[6] = [u64::MAX; 2];
                bench.x(1, &at);

                let ends = bench.run(|_| {});

                let (low, high) = (ends[1].x[2], ends[1].x[3]);
                assert_eq!(low, high, "{accel:?}: {write} and {read}: {low:#x} {high:#x}");
                assert_eq!(ends[1].x[8], 1);
            }
        }
    }
}

/// However a CPU goes round, it takes an interrupt that comes, in the end.
#[test]
fn an_interrupt_comes_to_whoever_spins() {
    let rows: [(&str, &[u32]); 6] = [
        ("a branch to itself", &[0x1400_0000]),
        ("two blocks", &[0x1400_0001, 0x17ff_ffff]),
        ("a window in a mask", &[0xd503_42df, NOP, 0xd503_42ff, 0x17ff_fffd]), // DAIFSet, DAIFClr
        ("a mask that is written", &[0xd51b_4222, 0xd51b_4223, 0x17ff_fffe]),  // MSR DAIF, X2; MSR DAIF, X3
        ("an indirect branch", &[0xd61f_0020]),                                // BR X1
        ("a return", &[0xd69f_03e0]),                                          // ERET
    ];
    for (what, code) in rows {
        for accel in [Accel::Jit, Accel::Interp] {
            for round in 0..20 {
                let Some(mut bench) = Bench::new(accel, &[code]) else {
                    continue;
                };
                // mov x9, #1; stlr x9, [x11]; 1: wfi; b 1b
                bench.code(VECTORS + 0x280, &[0xd280_0029, 0xc89f_fd69, 0xd61f_0140]);
                bench.code(CODE[1], &[WFI, 0x17ff_ffff]);
                bench.x(
                    0,
                    &[(1, CODE[0].into()), (2, 0x80), (10, CODE[1].into()), (11, FLAG.into())],
                );
                let c = &mut bench.cpus[0].state_mut().sys;
                (c.elr, c.spsr) = (CODE[0].into(), 0b0101);

                let ram = bench.ram.clone();
                bench.run(|kicks| {
                    (0..round * 500).for_each(|_| std::hint::spin_loop());
                    kicks[0].set_line(IRQ, true);
                    until(&format!("{accel:?}: {what} ends"), || ram.bytes(FLAG, 1) == [1]);
                    kicks[0].set_line(IRQ, false);
                });
            }
        }
    }
}

/// YIELD and WFE give the host's processor away; WFI waits, but not where an interrupt is pending, which a mask keeps from being
/// taken.
#[test]
fn waiting_gives_way_and_ends_with_a_masked_interrupt() {
    const YIELD: u32 = 0xd503_203f;
    const WFE: u32 = 0xd503_205f;
    for (word, pending, end, at) in [
        (YIELD, false, Exit::Yield, 4),
        (WFE, false, Exit::Yield, 4),
        (WFI, false, Exit::Wait, 4),
        (WFI, true, Exit::Yield, 8),
    ] {
        for (accel, mut bench) in benches(&[&[word, YIELD]]) {
            let v = &mut bench.cpus[0];
            let masked = v.state().psr | psr::DAIF;
            v.state_mut().set_psr(masked);
            v.kick().set_line(IRQ, pending);
            assert_eq!(v.run(), end, "{accel:?} {word:#x}");
            assert_eq!(v.state().pc, u64::from(CODE[0]) + at, "{accel:?} {word:#x}");
        }
    }
}

/// Where atomic operations may lie (FEAT_LSE2) does not depend on how many CPUs there are.
#[test]
fn several_cpus_have_the_alignment_of_one() {
    // at X1, of X2 and X3, and whether it is made so far from a multiple of 16
    let rows = [
        (0xb822_0023, [(0, true), (2, true), (12, true), (14, false)]), // LDADD W2, W3, [X1]
        (0xf822_8023, [(0, true), (7, true), (8, true), (9, false)]),   // SWP X2, X3, [X1]
        (0x4822_7c24, [(0, true), (4, false), (8, false), (12, false)]), // CASP X2, X3, X4, X5, [X1]
        (0xc87f_1023, [(0, true), (4, false), (8, false), (12, false)]), // LDXP X3, X4, [X1]
        (0xc8df_fc23, [(0, true), (3, true), (8, true), (12, false)]),  // LDAR X3, [X1]
    ];
    for (word, places) in rows {
        for (by, made) in places {
            for (accel, mut bench) in benches(&[&[word, WFI], &[WFI]]) {
                bench.x(0, &[(1, u64::from(WORDS) + by)]);
                let v = &mut bench.cpus[0];
                assert_eq!(v.run(), Exit::Wait);
                let end = (v.state().pc == u64::from(CODE[0]) + 8, v.state().sys.esr & !0x40);
                let want = (made, if made { 0 } else { 0x9600_0021 });
                assert_eq!(end, want, "{accel:?}: {word:#x} at {by}");
            }
        }
    }
}

//! AArch64 code that runs in the system: exceptions, interrupts, software step, address spaces, tags, in both accelerators.
#![allow(clippy::restriction, reason = "this is how a test fails")]

mod ram;

use emu_frontend_arm::a64::state::{psr, sctlr, tcr};
use emu_frontend_arm::a64::{A64, Cpu, model};
use emu_frontend_arm::platform::{FIQ, IRQ};
use emu_jit::engine::debug::{Hit, Watch};
use emu_jit::engine::{Accel, Exit, Vcpu};
use ram::{BASE, Ram};

const VECTORS: u32 = BASE + 0x1000;
const CODE: u32 = BASE + 0x2000;
const OTHER: u32 = BASE + 0x3000;
const DATA: u32 = BASE + 0x8000;
/// Tables of levels 1 to 3; the last maps the first 512 pages of RAM one to one.
const TABLES: [u32; 3] = [BASE + 0x1_0000, BASE + 0x1_1000, BASE + 0x1_2000];

const NOP: u32 = 0xd503_201f;
const WFI: u32 = 0xd503_207f;
const ERET: u32 = 0xd69f_03e0;
const SVC: u32 = 0xd400_0001;
const BRK: u32 = 0xd420_0000;

/// Of a page: valid, Access flag, Inner Shareable, not global, EL0 too.
const PAGE: u64 = 1 << 11 | 1 << 10 | 3 << 8 | 1 << 6 | 3;

struct Bench {
    v: Vcpu<A64>,
    ram: Ram,
}

impl Bench {
    /// At EL1 with its stack pointer, MMU on, everything mapped for EL0 as well, interrupts open, WFI at every vector, and this
    /// code.
    fn new(accel: Accel, code: &[u32]) -> Option<Bench> {
        let ram = Ram::new();
        for at in (0..0x800).step_by(4) {
            ram.put(VECTORS + at, &WFI.to_le_bytes());
        }
        let put = |at: u32, d: u64| ram.put(at, &d.to_le_bytes());
        put(TABLES[0] + 8, u64::from(TABLES[1]) | 3); // 1 GiB at 0x4000_0000
        put(TABLES[1], u64::from(TABLES[2]) | 3);
        for page in 0..0x20 {
            put(TABLES[2] + 8 * page, u64::from(BASE + 0x1000 * page) | PAGE & !(1 << 6));
        }
        for page in [2, 3, 8] {
            put(TABLES[2] + 8 * page, u64::from(BASE + 0x1000 * page) | PAGE | 1 << 7);
        }
        put(TABLES[2] + 8 * 8, u64::from(DATA) | PAGE);
        let guest = A64::alone(model::find("max").unwrap());
        let v = Vcpu::new(guest, Cpu::reset(), Box::new(ram.clone()), accel, true).ok()?;
        let mut bench = Bench { v, ram };
        bench.code(CODE, code);
        bench.start();
        Some(bench)
    }
    fn code(&self, at: u32, words: &[u32]) {
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        self.ram.put(at, &bytes);
    }
    fn start(&mut self) {
        let mut cpu = Cpu::reset();
        cpu.pc = CODE.into();
        let c = &mut cpu.sys;
        c.vbar = VECTORS.into();
        c.tcr = 25 | tcr::EPD1 | tcr::TBI0 | 2 << 32; // 39 bits, physical addresses of 40
        c.ttbr0 = TABLES[0].into();
        c.mair = 0xff;
        c.sctlr |= sctlr::M | sctlr::NTWI;
        cpu.set_psr(psr::SP | 1 << psr::EL_SHIFT);
        *self.v.state_mut() = cpu;
    }
    /// The same with floating point, X1, and X6 in the page that most of what X1 points to is in.
    fn start_at(&mut self, x1: u64) -> &mut Cpu {
        self.start();
        let cpu = self.v.state_mut();
        (cpu.sys.cpacr, cpu.x[1]) = (3 << 20, x1);
        cpu.x[6] = ((x1 + 7) & !0xfff) + 0x400;
        cpu.update_mode();
        cpu
    }
    fn cpu(&self) -> &Cpu {
        self.v.state()
    }
    /// The vector that it went to.
    fn vector(&self) -> u64 {
        self.cpu().pc.wrapping_sub(VECTORS.into()) & !0x7f
    }
    fn ec(&self) -> u64 {
        self.cpu().sys.esr >> 26
    }
    /// Steps up to a vector: where an interrupt is pending, nothing waits.
    fn step_to_vector(&mut self) -> &mut Bench {
        let steps = (0..20).take_while(|_| self.vector() >= 0x800 && self.v.step(true) == Exit::Stepped);
        assert!(steps.count() < 20, "no vector was reached");
        self
    }
    /// Runs up to WFI.
    fn run(&mut self) -> &mut Bench {
        assert_eq!(self.v.run(), Exit::Wait);
        self
    }
}

/// A bench for each accelerator that this host can run.
fn benches(code: &[u32]) -> Vec<Bench> {
    let all = [Accel::Interp, Accel::Jit].map(|accel| Bench::new(accel, code));
    all.into_iter().flatten().collect()
}

/// Vectors by where the exception comes from: SP_EL0, SP_EL1, EL0.
#[test]
fn exceptions_go_to_the_vector_of_where_they_come_from() {
    for (pstate, vector) in [(0b0100, 0), (0b0101, 0x200), (0b0000, 0x400)] {
        for mut bench in benches(&[SVC | 7 << 5]) {
            bench.v.state_mut().set_psr(pstate);
            bench.run();
            assert_eq!((bench.vector(), bench.ec()), (vector, 0x15));
            assert_eq!(bench.cpu().sys.esr as u32, 0x5600_0007);
            assert_eq!(bench.cpu().sys.elr, u64::from(CODE) + 4);
            assert_eq!(bench.cpu().sys.spsr, u64::from(pstate));
        }
    }
}

/// The exception class and where it returns to, at EL1.
#[test]
fn instructions_have_their_exceptions() {
    let code = u64::from(CODE);
    let rows = [
        (BRK | 0x123 << 5, 0xf200_0123, code),
        (0, 0x0200_0000, code),                      // UDF
        (0xd400_0000 | 2, 0x0200_0000, code),        // HVC, no firmware
        (0xd440_0000, 0x0200_0000, code),            // HLT
        (0x1e20_2800, 0x1fe0_0000, code),            // FADD S0, S0, S0: CPACR
        (0xd538_0000 | 0xf << 8, 0x0200_0000, code), // an MRS of nothing
    ];
    for (word, esr, elr) in rows {
        for mut bench in benches(&[word]) {
            bench.run();
            let got = (bench.cpu().sys.esr, bench.cpu().sys.elr, bench.vector());
            assert_eq!(got, (esr, elr, 0x200), "{word:#x}");
        }
    }
}

/// HVC and SMC at EL0 are Undefined whatever listens; so is ERET.
#[test]
fn programs_cannot_call_firmware() {
    for word in [0xd400_0002, 0xd400_0003, ERET] {
        for mut bench in benches(&[word]) {
            bench.v.state_mut().set_psr(0);
            bench.run();
            assert_eq!((bench.ec(), bench.cpu().sys.elr), (0, u64::from(CODE)), "{word:#x}");
        }
    }
}

/// An access that crosses into a page that is not there: the address is the page's.
#[test]
fn an_abort_names_the_first_byte_that_it_is_for() {
    // LDR X0, [X1]
    for mut bench in benches(&[0xf940_0020]) {
        bench.v.state_mut().x[1] = u64::from(BASE) + 0x1_fffc;
        bench.run();
        assert_eq!(bench.cpu().sys.far, u64::from(BASE) + 0x2_0000);
        assert_eq!(bench.cpu().sys.esr, 0x9600_0007);
    }
}

/// Atomic operations are reads where a read would fail.
#[test]
fn aborts_of_atomic_operations_are_writes_only_where_a_read_is_allowed() {
    // LDADD X2, X0, [X1]; STXR W0, X2, [X1]
    for (word, at, user, esr) in [
        (0xf822_0020, 0x2_0000, false, 0x9600_0007),
        (0xf822_0020, 0x2000, false, 0x9600_004f),
        (0xf822_0020, 0x4000, true, 0x9200_000f),
        (0xf822_0020, 0x8009, false, 0x9600_0021),
        (0xf900_0022, 0x2_0000, false, 0x9600_0047),
    ] {
        for mut bench in benches(&[word]) {
            bench.v.state_mut().x[1] = u64::from(BASE) + at;
            if user {
                bench.v.state_mut().set_psr(0);
            }
            bench.run();
            assert_eq!(bench.cpu().sys.esr, esr, "{word:#x} {at:#x}");
        }
    }
}

#[test]
fn masks_hold_interrupts_and_their_end_lets_them_in() {
    let code = [
        0xd503_42df, // MSR DAIFSet, #2
        NOP,
        0xd503_42ff, // MSR DAIFClr, #2
        0xd503_42df, // MSR DAIFSet, #2
        WFI,
    ];
    for mut bench in benches(&code) {
        bench.v.state_mut().psr |= psr::I;
        bench.v.kick().set_line(IRQ, true);
        bench.step_to_vector();
        assert_eq!((bench.vector(), bench.cpu().sys.elr), (0x280, u64::from(CODE) + 12));
        bench.start();
        bench.v.kick().set_line(FIQ, true);
        bench.v.state_mut().psr |= psr::I;
        bench.step_to_vector();
        assert_eq!((bench.vector(), bench.cpu().sys.elr), (0x300, u64::from(CODE)));
    }
    // MSR DAIF, X0
    for mut bench in benches(&[0xd51b_4220, NOP, WFI]) {
        bench.v.state_mut().psr |= psr::DAIF;
        bench.v.kick().set_line(IRQ, true);
        bench.step_to_vector();
        assert_eq!(bench.cpu().sys.elr, u64::from(CODE) + 4);
    }
}

/// PSTATE after an exception, and what SPSR keeps of it.
#[test]
fn an_exception_sets_pstate_and_keeps_the_old() {
    for mut bench in benches(&[SVC]) {
        let cpu = bench.v.state_mut();
        cpu.sys.sctlr = cpu.sys.sctlr & !sctlr::SPAN | sctlr::DSSBS;
        cpu.set_psr(psr::UAO | psr::DIT);
        cpu.set_nzcv(0x9000_0000);
        bench.run();
        let cpu = bench.cpu();
        assert_eq!(cpu.sys.spsr as u32, 0x9000_0000 | psr::UAO | psr::DIT);
        let want = psr::DAIF | psr::PAN | psr::SSBS | psr::DIT | 0b0101;
        assert_eq!(cpu.psr, want);
    }
}

/// An illegal return goes where it says and stops there, at the same level.
#[test]
fn an_illegal_return_is_an_exception_where_it_goes() {
    for m in [0b0001, 0b0010, 0b0111, 0b1001, 0b1_0011] {
        for mut bench in benches(&[ERET]) {
            let cpu = bench.v.state_mut();
            (cpu.sys.spsr, cpu.sys.elr) = (0x6000_0340 | m, OTHER.into());
            bench.run();
            assert_eq!((bench.ec(), bench.vector()), (0x0e, 0x200), "{m:#b}");
            assert_eq!(bench.cpu().sys.elr, u64::from(OTHER));
            assert_eq!(bench.cpu().sys.spsr as u32, 0x6000_0340 | psr::IL | 0b0101);
            assert_eq!(bench.cpu().psr & psr::IL, 0);
        }
    }
}

/// Returns to EL0 with software step on.
fn stepping(bench: &mut Bench, spsr: u64) {
    let cpu = bench.v.state_mut();
    (cpu.sys.mdscr, cpu.sys.oslock) = (1, 0);
    (cpu.sys.spsr, cpu.sys.elr) = (spsr, OTHER.into());
    cpu.update_mode();
}

/// One instruction is stepped, then the exception comes; with SPSR.SS clear it comes at once.
#[test]
fn software_step_runs_one_instruction() {
    const SS: u64 = psr::SS as u64;
    let other = u64::from(OTHER);
    // code at EL0, SPSR, ESR, ELR
    let rows = [
        ([NOP, NOP], SS, 0xcb00_0022, other + 4, 0),
        ([NOP, NOP], 0, 0xca00_0022, other, 0),
        ([0xc85f_7c20, NOP], SS, 0xcb00_0062, other + 4, 0), // LDXR X0, [X1]
        ([SVC, NOP], SS, 0x5600_0000, other + 4, 0),
        ([BRK, NOP], SS, 0xf200_0000, other, SS),
        ([0xf940_0000, NOP], SS, 0x9200_0005, other, SS), // LDR X0, [X0]
        ([0x1400_0002, NOP], SS, 0xcb00_0022, other + 8, 0), // B
    ];
    for (code, spsr, esr, elr, after) in rows {
        for mut bench in benches(&[ERET]) {
            bench.code(OTHER, &code);
            stepping(&mut bench, spsr);
            bench.v.state_mut().x[1] = DATA.into();
            bench.run();
            let c = &bench.cpu().sys;
            assert_eq!((c.esr, c.elr, c.spsr & SS), (esr, elr, after), "{code:x?}");
            assert_eq!(bench.vector(), 0x400);
        }
    }
}

/// The step of an instruction that an interrupt comes before is not lost.
#[test]
fn a_step_is_still_to_be_made_after_an_interrupt() {
    for mut bench in benches(&[ERET]) {
        bench.code(OTHER, &[NOP, NOP]);
        stepping(&mut bench, psr::SS.into());
        bench.v.state_mut().set_psr(psr::DAIF | 0b0101);
        bench.v.kick().set_line(IRQ, true);
        bench.step_to_vector();
        assert_eq!((bench.vector(), bench.cpu().sys.elr), (0x480, u64::from(OTHER)));
        assert_eq!(bench.cpu().sys.spsr as u32, psr::SS);
    }
}

#[test]
fn breakpoints_and_watchpoints_are_exceptions_before_their_effect() {
    const MDE: u64 = 1 << 15;
    // STR X0, [X1]
    let code = [NOP, 0xf900_0020, WFI];
    for mut bench in benches(&code) {
        let cpu = bench.v.state_mut();
        (cpu.sys.mdscr, cpu.sys.oslock, cpu.x[1]) = (MDE, 0, u64::from(DATA));
        (cpu.sys.dbgbvr[2], cpu.sys.dbgbcr[2]) = (u64::from(CODE) + 4, 0x1e5); // EL0
        (cpu.sys.dbgwvr[1], cpu.sys.dbgwcr[1]) = (u64::from(DATA), 0x10 << 5 | 2 << 3 | 2 << 1 | 1);
        cpu.set_psr(0);
        bench.run();
        assert_eq!(
            (bench.cpu().sys.esr, bench.cpu().sys.elr),
            (0xc200_0022, u64::from(CODE) + 4)
        );

        let cpu = bench.v.state_mut();
        (cpu.pc, cpu.sys.dbgbcr[2], cpu.x[0]) = (CODE.into(), 0, 5);
        cpu.set_psr(0);
        bench.run();
        let c = &bench.cpu().sys;
        assert_eq!(
            (c.esr, c.elr, c.far),
            (0xd200_0062, u64::from(CODE) + 4, u64::from(DATA) + 4)
        );
        assert_eq!(bench.ram.bytes(DATA, 1), [0], "not stored");

        bench.start();
        let cpu = bench.v.state_mut();
        (cpu.sys.mdscr, cpu.sys.oslock, cpu.x[1]) = (MDE, 0, u64::from(DATA));
        (cpu.sys.dbgwvr[1], cpu.sys.dbgwcr[1]) = (u64::from(DATA), 0xff << 5 | 3 << 3 | 3 << 1 | 1);
        bench.run();
        assert_eq!(bench.cpu().pc, u64::from(CODE) + 12, "nothing from EL1 without KDE");
    }
}

/// STR X5, [X6]; LDR X5, [X6]: of the same page by the same tag, so that it is known.
const BESIDE: [u32; 2] = [0xf900_00c5, 0xf940_00c5];
/// Accesses of eight bytes at X1, whether they are writes to a watchpoint, and whether they may cross into the next page.
const ACCESSES: [(u32, bool, bool); 4] = [
    (0xf900_0020, true, true),   // STR X0, [X1]
    (0xf940_0020, false, true),  // LDR X0, [X1]
    (0xf823_0020, false, false), // LDADD X3, X0, [X1]
    (0x0c40_7c20, false, true),  // LD1 {V0.1D}, [X1]
];
/// What is above an address where TCR_EL1.TBI0 is set.
const TAGS: [u64; 3] = [0, 0x5a, 0xff];

/// D2.10.4: what is ignored of an address is not compared; FAR_EL1 has it as it was.
#[test]
fn watchpoints_meet_accesses_by_any_tag() {
    const MDE_KDE: u64 = 1 << 15 | 1 << 13;
    for (word, write, crosses) in ACCESSES {
        let firsts = if crosses { &[0, 4][..] } else { &[0] };
        for mut bench in benches(&[BESIDE[0], BESIDE[1], word, WFI]) {
            for (tag, before) in TAGS
                .into_iter()
                .flat_map(|tag| firsts.iter().map(move |b| (tag << 56, b)))
            {
                let first = u64::from(DATA) - before;
                // The second time its page is known.
                for _ in 0..2 {
                    bench.start_at(first | tag);
                    bench.run();
                    assert_eq!(bench.cpu().pc, u64::from(CODE) + 16, "not watched");
                }
                let cpu = bench.start_at(first | tag);
                (cpu.sys.mdscr, cpu.sys.oslock) = (MDE_KDE, 0);
                (cpu.sys.dbgwvr[1], cpu.sys.dbgwcr[1]) = (DATA.into(), 1 << 5 | 3 << 3 | 3 << 1 | 1);
                bench.run();
                let c = &bench.cpu().sys;
                let esr = 0xd600_0022 | u64::from(write) << 6;
                let far = u64::from(DATA) | tag;
                assert_eq!(
                    (c.esr, c.elr, c.far),
                    (esr, u64::from(CODE) + 8, far),
                    "{word:#x} {tag:#x}"
                );
            }
        }
    }
}

/// The debugger may name the bytes by any tag as well, and is told of them by its own.
#[test]
fn a_debuggers_watchpoints_meet_accesses_by_any_tag() {
    for (word, _, crosses) in ACCESSES {
        for mut bench in benches(&[BESIDE[0], BESIDE[1], word, WFI]) {
            for (watched, accessed) in TAGS.into_iter().flat_map(|w| TAGS.map(|a| (w, a))) {
                let watch = Watch {
                    start: u64::from(DATA) | watched << 56,
                    len: 2,
                    reads: true,
                    writes: true,
                };
                for (before, met) in [(8, false), (7, true), (0, true)] {
                    if before == 7 && !crosses {
                        continue;
                    }
                    bench.start_at((u64::from(DATA) - before) | accessed << 56);
                    bench.v.set_watchpoints(&[watch]);
                    let want = match met {
                        false => Exit::Wait,
                        true => Exit::Watchpoint(Hit {
                            addr: watch.start,
                            watch,
                        }),
                    };
                    assert_eq!(bench.v.run(), want, "{word:#x} {watched:#x} {accessed:#x} -{before}");
                    bench.v.set_watchpoints(&[]);
                    if met {
                        bench.run();
                    }
                    assert_eq!(bench.cpu().pc, u64::from(CODE) + 16);
                }
            }
        }
    }
}

/// Where the code of a page is gone, its stores are not looked at any more: but for a watchpoint, whatever the tag.
#[test]
fn a_page_that_had_code_stays_watched() {
    let (blr, str, watched) = (0xd63f_0040, 0xf900_0060, 0xf900_0080); // BLR X2; STR X0, [X3]; STR X0, [X4]
    for mut bench in benches(&[blr, str, str, str, str, str, watched, WFI]) {
        const PLACE: u32 = BASE + 0x9000;
        bench.code(PLACE, &[0xd65f_03c0]); // RET
        let tagged = u64::from(PLACE) | 0x5a << 56;
        let cpu = bench.v.state_mut();
        (cpu.x[2], cpu.x[3], cpu.x[4]) = (PLACE.into(), tagged, tagged + 0x800);
        let watch = Watch {
            start: u64::from(PLACE) + 0x800,
            len: 8,
            reads: false,
            writes: true,
        };
        bench.v.set_watchpoints(&[watch]);
        let hit = Hit {
            addr: watch.start,
            watch,
        };
        assert_eq!(bench.v.run(), Exit::Watchpoint(hit));
        assert_eq!(bench.cpu().pc, u64::from(CODE) + 24);
    }
}

/// A branch loses its tag; data keeps it, and TLB maintenance finds the page by any.
#[test]
fn tags_are_ignored() {
    for branch in [0xd61f_0040, 0xd63f_0040, 0xd65f_0040] {
        for mut bench in benches(&[branch]) {
            bench.code(OTHER, &[0x1000_0000, WFI]); // ADR X0, .
            bench.v.state_mut().x[2] = u64::from(OTHER) | 0x5a << 56;
            bench.run();
            assert_eq!(bench.cpu().x[0], u64::from(OTHER), "{branch:#x}");
        }
    }
    let code = [
        0xf940_0020, // LDR X0, [X1]
        0xd508_8725, // TLBI VAE1, X5
        0xf940_0023, // LDR X3, [X1]
        WFI,
    ];
    for mut bench in benches(&code) {
        let tagged = u64::from(DATA) | 0xa5 << 56;
        bench.v.state_mut().x[1] = tagged;
        bench.run();
        assert_eq!(bench.cpu().pc, u64::from(CODE) + 16);
        bench.start();
        bench.ram.put(TABLES[2] + 8 * 8, &[0; 8]);
        bench.v.state_mut().x[1] = tagged;
        bench.v.state_mut().x[5] = u64::from(DATA) >> 12;
        bench.run();
        let c = &bench.cpu().sys;
        assert_eq!((c.elr, c.far), (u64::from(CODE) + 8, tagged));
    }
}

/// Two address spaces with other code at the same address, switched without any maintenance.
#[test]
fn address_spaces_have_their_own_code() {
    // MSR TTBR0_EL1, X3; ISB; BR X2, the other being entered at EL1 from a global page
    let code = [0xd518_2003, 0xd503_3fdf, 0xd63f_0040, WFI];
    for mut bench in benches(&code) {
        let second = [BASE + 0x1_3000, BASE + 0x1_4000, BASE + 0x1_5000];
        let put = |at: u32, d: u64| bench.ram.put(at, &d.to_le_bytes());
        put(second[0] + 8, u64::from(second[1]) | 3);
        put(second[1], u64::from(second[2]) | 3);
        for page in 0..0x20u32 {
            let to = if page == 3 { 4 } else { page };
            put(second[2] + 8 * page, u64::from(BASE + 0x1000 * to) | PAGE & !(1 << 6));
        }
        bench.code(OTHER, &[0xd280_0020, 0xd65f_03c0]); // MOV X0, #1; RET
        bench.code(OTHER + 0x1000, &[0xd280_0040, 0xd65f_03c0]); // MOV X0, #2; RET
        for round in 0..6u64 {
            let which = round % 2;
            let root = [TABLES[0], second[0]][which as usize];
            let cpu = bench.v.state_mut();
            (cpu.pc, cpu.x[2]) = (CODE.into(), OTHER.into());
            cpu.x[3] = u64::from(root) | (which + 1) << 48;
            bench.run();
            assert_eq!(bench.cpu().x[0], which + 1, "round {round}");
        }
    }
}

/// A page that was not there is there without any maintenance, and the Access flag comes by itself.
#[test]
fn what_is_not_valid_is_not_remembered() {
    for mut bench in benches(&[0xf940_0020, WFI]) {
        let entry = TABLES[2] + 8 * 9;
        bench.ram.put(entry, &[0; 8]);
        bench.v.state_mut().x[1] = u64::from(BASE) + 0x9000;
        bench.run();
        assert_eq!(bench.ec(), 0x25);

        let page = (u64::from(BASE) + 0x9000) | PAGE & !(1 << 10);
        bench.ram.put(entry, &page.to_le_bytes());
        bench.start();
        let cpu = bench.v.state_mut();
        cpu.x[1] = u64::from(BASE) + 0x9000;
        cpu.sys.tcr |= tcr::HA;
        bench.run();
        assert_eq!(bench.cpu().pc, u64::from(CODE) + 8);
        assert_eq!(bench.ram.bytes(entry, 8), (page | 1 << 10).to_le_bytes());
    }
}

/// Descriptors are memory, and code may lie there: here its first word, whose Access flag is a bit of an immediate.
#[test]
fn code_in_a_descriptor_that_hardware_changes_is_translated_anew() {
    const DESCRIPTOR: u64 = 0xd65f_03c0_9100_0003; // ADD X3, X0, #0; RET
    for mut bench in benches(&[0xd63f_0040, WFI, 0xf940_0029]) {
        let at = TABLES[2] + 8 * 0x1f;
        bench.ram.put(at, &DESCRIPTOR.to_le_bytes());
        let run = |bench: &mut Bench, offset: u64| {
            bench.start();
            let cpu = bench.v.state_mut();
            cpu.sys.tcr = cpu.sys.tcr & !(7 << 32) | 5 << 32 | tcr::HA;
            cpu.pc = u64::from(CODE) + offset;
            (cpu.x[1], cpu.x[2], cpu.x[3]) = (u64::from(BASE) + 0x1_f000, at.into(), 9);
            bench.run();
            bench.cpu().x[3]
        };

        assert_eq!(run(&mut bench, 0), 0);
        run(&mut bench, 8); // LDR X9, [X1]: nothing answers there
        assert_eq!(bench.cpu().sys.esr, 0x9600_0010);

        assert_eq!(run(&mut bench, 0), 1);
    }
}

/// The system's registers that translated code reads in place.
#[test]
fn registers_are_read_and_written_in_place() {
    let code = [
        0xd518_4101, // MSR SP_EL0, X1
        0xd538_4102, // MRS X2, SP_EL0
        0xd518_4021, // MSR ELR_EL1, X1
        0xd538_4023, // MRS X3, ELR_EL1
        0xd53b_4224, // MRS X4, DAIF
        0xd538_4245, // MRS X5, CurrentEL
        0xd500_40bf, // MSR SPSel, #0
        0x9100_03e6, // MOV X6, SP
        0xd538_d087, // MRS X7, TPIDR_EL1
        WFI,
    ];
    for mut bench in benches(&code) {
        let cpu = bench.v.state_mut();
        (cpu.x[1], cpu.sys.tpidr) = (0x1234_5678_9abc_def0, 7);
        cpu.psr |= psr::D | psr::F;
        bench.run();
        let x = &bench.cpu().x;
        let v = 0x1234_5678_9abc_def0;
        assert_eq!(x[2..8], [v, v, u64::from(psr::D | psr::F), 4, v, 7]);
    }
}

/// PSTATE.PAN keeps EL1 from what EL0 reaches, but not LDTR.
#[test]
fn pan_keeps_el1_from_programs_data() {
    let ldr = [0xf940_0020, WFI]; // LDR X0, [X1]
    let ldtr = [0xf840_0820, WFI]; // LDTR X0, [X1]
    for (code, uao, faults) in [(ldr, 0, true), (ldtr, 0, false), (ldtr, psr::UAO, true)] {
        for mut bench in benches(&code) {
            let cpu = bench.v.state_mut();
            cpu.x[1] = DATA.into();
            cpu.set_psr(cpu.psr | psr::PAN | uao);
            bench.run();
            assert_eq!(bench.cpu().pc != u64::from(CODE) + 8, faults, "{code:x?} {uao:#x}");
        }
    }
}

/// MSR of an immediate: each access that follows is made under what was set, in the same block too.
#[test]
fn fields_of_pstate_are_set_between_accesses() {
    let code = [
        0xd500_409f, // MSR PAN, #0
        0xf940_0020, // LDR X0, [X1]
        0xd500_419f, // MSR PAN, #1
        0xd500_419f, // MSR PAN, #1
        0xd500_417f, // MSR UAO, #1
        0xd503_415f, // MSR DIT, #1
        0xd503_413f, // MSR SSBS, #1
        0xd500_41bf, // MSR SPSel, #1
        0xf940_0022, // LDR X2, [X1]
    ];
    for pan in [0, psr::PAN] {
        for mut bench in benches(&code) {
            let cpu = bench.v.state_mut();
            (cpu.x[0], cpu.x[1], cpu.x[2]) = (1, DATA.into(), 1);
            cpu.set_psr(cpu.psr | pan);
            bench.run();
            let cpu = bench.cpu();
            assert_eq!((cpu.x[0], cpu.x[2]), (0, 1));
            assert_eq!((bench.ec(), cpu.sys.elr), (0x25, u64::from(CODE) + 32));
            let set = psr::PAN | psr::UAO | psr::DIT | psr::SSBS | psr::SP | 1 << psr::EL_SHIFT;
            assert_eq!(cpu.sys.spsr, u64::from(set));
        }
    }
}

/// What has nothing to do goes on in its block, where SCTLR_EL1.UCI allows it.
#[test]
fn an_instruction_cache_that_is_not_there_is_invalidated_where_it_may_be() {
    for (el, control, traps) in [(1, 0, false), (0, 0, true), (0, sctlr::UCI, false)] {
        for mut bench in benches(&[0xd50b_7520, 0xd280_0042, WFI]) {
            let cpu = bench.v.state_mut();
            cpu.sys.sctlr |= control; // IC IVAU, X0; MOV X2, #2
            cpu.set_psr(if el == 0 { 0 } else { psr::SP | 1 << psr::EL_SHIFT });
            bench.run();
            let (ec, x2) = (bench.ec(), bench.cpu().x[2]);
            assert_eq!((ec, x2), if traps { (0x18, 0) } else { (0, 2) }, "EL{el}, {control:#x}");
        }
    }
}

/// DCZID_EL0.DZP says what SCTLR_EL1.DZE forbids EL0.
#[test]
fn the_size_of_zeroed_blocks_says_where_they_are_forbidden() {
    for (el, control, want) in [(1, 0, 4), (0, 0, 20), (0, sctlr::DZE, 4)] {
        for mut bench in benches(&[0xd53b_00e0, WFI]) {
            let cpu = bench.v.state_mut();
            cpu.sys.sctlr |= control;
            cpu.set_psr(if el == 0 { 0 } else { psr::SP | 1 << psr::EL_SHIFT });
            bench.run();
            assert_eq!(bench.cpu().x[0], want, "EL{el}, {control:#x}");
        }
    }
}

/// A misaligned pc and stack pointer (D1.3).
#[test]
fn the_pc_and_the_stack_pointer_must_be_aligned() {
    for mut bench in benches(&[0xd61f_0040]) {
        bench.v.state_mut().x[2] = u64::from(OTHER) + 2;
        bench.run();
        let c = &bench.cpu().sys;
        assert_eq!(
            (c.esr, c.elr, c.far),
            (0x8a00_0000, u64::from(OTHER) + 2, u64::from(OTHER) + 2)
        );
    }
    for mut bench in benches(&[0xf940_03e0, WFI]) {
        let cpu = bench.v.state_mut();
        cpu.x[31] = u64::from(DATA) + 8;
        cpu.sys.sctlr |= sctlr::SA;
        cpu.update_mode();
        bench.run();
        assert_eq!(bench.cpu().sys.esr, 0x9a00_0000);
    }
}

/// Also where the jump table knows code at the address without its lowest bits.
#[test]
fn a_branch_between_instructions_is_an_exception_wherever_code_is_known() {
    // SUBS X5, X5, #1; CSEL X6, X2, X3, NE; BR X6; NOP; B back
    let code = [0xf100_04a5, 0x9a83_1046, 0xd61f_00c0, NOP, 0x17ff_fffc];
    for by in 1..4 {
        for mut bench in benches(&code) {
            let (known, between) = (u64::from(CODE) + 16, u64::from(CODE) + 16 + by);
            let cpu = bench.v.state_mut();
            (cpu.x[2], cpu.x[3], cpu.x[5]) = (known, between, 6);
            bench.run();
            let c = &bench.cpu().sys;
            assert_eq!((c.esr, c.elr, c.far), (0x8a00_0000, between, between));
        }
    }
}

/// The exclusive monitor: an exception return and CLREX clear it; a different size or address does not match it.
#[test]
fn a_store_exclusive_needs_its_load() {
    const LDXR: u32 = 0xc85f_7c20; // LDXR X0, [X1]
    const STXR: u32 = 0xc803_7c22; // STXR W3, X2, [X1]
    let rows = [
        ([LDXR, NOP, STXR, WFI], 0),
        ([NOP, NOP, STXR, WFI], 1),
        ([LDXR, STXR, STXR, WFI], 1),        // stored once
        ([LDXR, 0xd503_3f5f, STXR, WFI], 1), // CLREX
        ([LDXR, 0x9100_2021, STXR, WFI], 1), // ADD X1, X1, #8
        ([LDXR, NOP, 0x8803_7c22, WFI], 1),  // a word
        ([LDXR, NOP, 0xc823_1022, WFI], 1),  // STXP W3, X2, X4, [X1]
    ];
    for (code, status) in rows {
        for mut bench in benches(&code) {
            bench.v.state_mut().x[1] = DATA.into();
            bench.run();
            assert_eq!(bench.cpu().x[3], status, "{code:x?}");
        }
    }
    // LDXR; ERET to where STXR is
    for mut bench in benches(&[LDXR, ERET]) {
        bench.code(OTHER, &[STXR, SVC]);
        let cpu = bench.v.state_mut();
        (cpu.x[1], cpu.sys.spsr, cpu.sys.elr) = (DATA.into(), 0, OTHER.into());
        bench.run();
        assert_eq!((bench.cpu().x[3], bench.ec()), (1, 0x15));
    }
}

/// What the performance monitors count of running code.
#[test]
fn instructions_accesses_and_branches_are_counted() {
    let code = [
        0xf940_0020, // LDR X0, [X1]
        0xf900_0020, // STR X0, [X1]
        0xa940_0022, // LDP X2, X0, [X1]
        0xf822_0023, // LDADD X2, X3, [X1]
        0x1400_0002, // B +8
        NOP,
        0xb500_0040, // CBNZ X0, +8: not taken
        SVC,
        WFI,
    ];
    // instructions, loads, stores, branches, exceptions, returns
    let types = [0x08, 0x06, 0x07, 0x0c, 0x09, 0x0a];
    for mut bench in benches(&code) {
        bench.code(VECTORS + 0x200, &[ERET]);
        bench.v.state_mut().x[1] = DATA.into();
        bench.v.inspect(|guest, cpu, _| {
            emu_frontend_arm::pmu::change(guest, cpu, |pmu| {
                pmu.evtyper = types;
                (pmu.cnten, pmu.pmcr) = (0x3f, emu_frontend_arm::pmu::E);
            });
        });
        bench.run();
        bench.v.inspect(|guest, cpu, _| emu_frontend_arm::pmu::due(guest, cpu));
        // The WFI is an instruction too, as is the handler's ERET, which is a branch.
        assert_eq!(bench.cpu().sys.pmu.evcntr, [9, 3, 2, 2, 1, 1]);
    }
}

/// DC ZVA: the block around the address, at once or not at all; not in Device memory.
#[test]
fn blocks_are_zeroed_in_normal_memory() {
    const DEVICE: u64 = 1 << 2;
    let data = TABLES[2] + 8 * 8;
    for mut bench in benches(&[0xd50b_7421, WFI]) {
        let run = |bench: &mut Bench, page: u64, prepare: fn(&mut Cpu)| {
            bench.ram.put(data, &(u64::from(DATA) | page).to_le_bytes());
            bench.ram.put(DATA, &[0x55; 0x100]);
            bench.v.reset_caches();
            bench.start();
            let cpu = bench.v.state_mut();
            (cpu.x[1], cpu.sys.mair) = (u64::from(DATA) + 0x47, 0x04ff);
            prepare(cpu);
            cpu.update_mode();
            bench.run();
            let zeroed = bench.ram.bytes(DATA, 0x100).iter().filter(|&&byte| byte == 0).count();
            (zeroed, bench.cpu().sys.esr, bench.cpu().sys.far)
        };
        let at = u64::from(DATA) + 0x47;

        assert_eq!(run(&mut bench, PAGE, |_| {}), (64, 0, 0));
        assert_eq!(bench.ram.bytes(DATA + 0x40, 0x40), [0; 0x40]);
        assert_eq!(run(&mut bench, PAGE, |c| c.sys.sctlr |= sctlr::A), (64, 0, 0));
        assert_eq!(run(&mut bench, PAGE | DEVICE, |_| {}), (0, 0x9600_0061, at));
        assert_eq!(
            run(&mut bench, PAGE, |c| c.sys.sctlr &= !sctlr::M),
            (0, 0x9600_0061, at)
        );
        assert_eq!(run(&mut bench, PAGE | 1 << 7, |_| {}), (0, 0x9600_004f, at));
        assert_eq!(run(&mut bench, 0, |_| {}), (0, 0x9600_0047, at));
    }
}

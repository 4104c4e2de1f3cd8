//! Random programs: code in chunks, page tables for two address spaces, data, and the state to start in.
//!
//! RAM is mapped at its own addresses for all, a second time from [`PLAY`] on by tables of each address space that the
//! program changes as it goes, and a third time by a section. Faults skip an instruction or go to the start of a chunk,
//! and are counted; so are the chunks, so that a program ends.
//!
//! Every eighth program is careful: it changes code and tables on purpose only, and does all the maintenance that the
//! architecture asks for (Arm ARM DDI 0406C, A3.5.4, B3.10), so that it means the same to a machine without caches.

mod mapping;

use super::code::{ADDRESSES, Asm, Rows, thumb_of_vector, word_by, word_of};
use crate::PAGES;
use crate::memory::DEVICE;
use crate::program::{self, Piece, Set, Task, put};
use emu_frontend_arm::state::{Cpu, psr};
use emu_frontend_arm::{Arm, MODELS, pmu};
use emu_ir::testing::Random;
use mapping::{NO_MANAGER, careful_switch, dacr, switch};

/// The vectors and handlers, at address 0.
#[rustfmt::skip]
const HANDLERS: [u32; 36] = [
    0xea00_001e, // 00: b end
    0xea00_0005, // 04: b und
    0xea00_0006, // 08: b svc
    0xea00_0006, // 0c: b pabt
    0xea00_000c, // 10: b dabt
    0xea00_0019, // 14: b end
    0xea00_000d, // 18: b irq
    0xea00_000b, // 1c: b fiq
    0xe25d_d001, // 20: und: subs sp, sp, #1
    0xda00_0015, // 24: ble end
    0xe1b0_f00e, // 28: svc: movs pc, lr
    0xe25d_d001, // 2c: pabt: subs sp, sp, #1
    0xda00_0012, // 30: ble end
    0xe20d_e007, // 34: and lr, sp, #7
    0xe1a0_e60e, // 38: lsl lr, lr, #12
    0xe28e_ec14, // 3c: add lr, lr, #0x1400
    0xe36f_f0df, // 40: msr spsr_cxsf, #0xdf
    0xe1b0_f00e, // 44: movs pc, lr
    0xe25d_d001, // 48: dabt: subs sp, sp, #1
    0xda00_000b, // 4c: ble end
    0xe25e_f004, // 50: fiq: subs pc, lr, #4
    0xe24e_e004, // 54: irq: sub lr, lr, #4
    0xe59f_d004, // 58: ldr sp, lower
    0xe58d_d000, // 5c: str sp, [sp]
    0xe1b0_f00e, // 60: movs pc, lr
    DEVICE + 4,  // 64: lower
    0, 0, 0, 0, 0, 0,
    0xe51f_0024, // 80: end: ldr r0, lower
    0xe580_0000, // 84: str r0, [r0]
    0xe320_f003, // 88: wfi
    0xeaff_fffb, // 8c: b end
];
const END: u32 = 0x80;

/// Chunks of code, four to a page: the inner ones A32, the outer ones Thumb, so that an instruction goes from the last
/// chunk of any page to the first of any other, wherever pages are mapped one after the other.
const CHUNKS: u32 = 32;
const CHUNK: u32 = 0x400;
/// Bytes at a page's end that lead to that instruction, its first half included.
const LEAD: u32 = 14;
const CODE: u32 = 0x1000;
const DATA: u32 = 0x9000;
const DATA_PAGES: u32 = 6;
/// Second level tables, 1 KiB each: everyone's, and those of [`PLAY`] for both address spaces.
const TABLES: u32 = 0xf000;
/// First level tables of both address spaces.
const FIRST: [u32; 2] = [0x1_0000, 0x1_4000];
/// Where programs map pages as they like.
const PLAY: u32 = 0x0010_0000;
/// RAM by a section.
const SECTION: u32 = 0x0020_0000;

/// Addresses of words of a piece that are whole instructions, one or two. An IT there must not reach beyond the piece: the
/// NOPs at its end stay.
fn words(piece: &Piece) -> Vec<u32> {
    let thumb = piece.set == Set::Thumb;
    let mut starts = vec![piece.at];
    let mut rest = &piece.bytes[..];
    while let [_, second, ..] = rest {
        let wide = !thumb || second >> 3 >= 0b11101;
        rest = rest.get(if wide { 4 } else { 2 }..).unwrap_or_default();
        starts.push(piece.at + (piece.bytes.len() - rest.len()) as u32);
    }
    let settled = if thumb { Asm::SETTLED } else { 0 };
    let end = piece.at + piece.bytes.len() as u32 - settled;
    let is_word = |at: &u32| at.is_multiple_of(4) && at + 4 <= end && starts.contains(&(at + 4));
    starts.iter().copied().filter(is_word).collect()
}

type Program = program::Program<Cpu>;

fn set_of(thumb: bool) -> Set {
    if thumb { Set::Thumb } else { Set::A32 }
}

/// Whether a chunk is Thumb code.
fn is_thumb(chunk: u32) -> bool {
    matches!(chunk % 4, 0 | 3)
}

pub struct Maker {
    rows: Rows,
    careful: Rows,
}

/// The performance monitors count, and the first is soon to overflow.
fn count(cpu: &mut Cpu) {
    let soon = 0xffu32.wrapping_neg();
    pmu::change(&mut Arm::alone(&MODELS[0]), cpu, |pmu| {
        pmu.evtyper = [0x08, 0x04, 0x76, 0x08 | pmu::NOT_PL1, 0x09, 0x0a];
        (pmu.evcntr[0], pmu.evcntr[1]) = (soon, soon);
        (pmu.cnten, pmu.pmcr) = (0x3f, pmu::E);
    });
}

impl Maker {
    pub fn new() -> Maker {
        Maker {
            rows: Rows::new(),
            careful: Rows::with_known_addresses(),
        }
    }

    /// The program of a seed.
    pub fn program(&self, seed: u64) -> Program {
        let careful = seed.is_multiple_of(8);
        let rows = if careful { &self.careful } else { &self.rows };
        Writer { rows, careful }.program(&mut Random::scattered(seed))
    }
}

/// Writes one program.
struct Writer<'a> {
    rows: &'a Rows,
    careful: bool,
}

impl Writer<'_> {
    fn program(&self, random: &mut Random) -> Program {
        let mut base = vec![0; PAGES * 4096];
        for (i, word) in HANDLERS.into_iter().enumerate() {
            put(&mut base, 4 * i as u32, word);
        }
        for at in (DATA..DATA + DATA_PAGES * 0x1000).step_by(4) {
            put(&mut base, at, random.word());
        }
        self.tables(&mut base, random);
        let used = 2 + random.word_below(10);
        let chunks: Vec<u32> = (0..used).map(|_| random.word_below(CHUNKS)).collect();
        let mut pieces = Vec::new();
        for chunk in 0..CHUNKS {
            let (at, thumb) = ((CODE + chunk * CHUNK) as usize, is_thumb(chunk));
            base[at..at + CHUNK as usize].copy_from_slice(&set_of(thumb).ends(CHUNK as usize));
            self.page_end(chunk, &mut base, random);
            if chunks.contains(&chunk) {
                self.chunk(chunk, &chunks, random, &mut pieces);
            }
        }
        if self.careful {
            self.aim(&mut pieces, random);
        }
        let start = self.start(CODE + chunks[0] * CHUNK, is_thumb(chunks[0]), random);
        Program {
            base,
            pieces,
            start,
            careful: self.careful,
        }
    }

    fn chunk(&self, chunk: u32, chunks: &[u32], random: &mut Random, pieces: &mut Vec<Piece>) {
        let (thumb, first) = (is_thumb(chunk), CODE + chunk * CHUNK);
        // Past the second half of an instruction.
        let mut at = if chunk.is_multiple_of(4) { first + 2 } else { first };
        let mut push = |at: &mut u32, asm: Asm, task: Task| {
            let piece = Piece {
                at: *at,
                set: set_of(thumb),
                bytes: asm.bytes,
                task,
            };
            *at += piece.bytes.len() as u32;
            pieces.push(piece);
        };
        let mut head = Asm::new(thumb);
        head.count_down(END);
        forget(&mut head);
        push(&mut at, head, Task::Other);
        let count = 4 + random.word_below(24);
        for _ in 0..count {
            let mut asm = Asm::new(thumb);
            let task = self.piece(&mut asm, at, chunks, random);
            // The jump at the end is at most as long as this, and the page's end has a use of its own.
            if at + asm.bytes.len() as u32 + 32 + LEAD > first + CHUNK {
                break;
            }
            push(&mut at, asm, task);
        }
        let mut tail = Asm::new(thumb);
        jump(&mut tail, at, chunks, random);
        push(&mut at, tail, Task::Other);
    }

    /// The halves of instructions that go from one page to the next: a chunk's first halfword (alone it does no harm; a
    /// chunk without pieces goes back from there), or its last with some instructions before it.
    fn page_end(&self, chunk: u32, base: &mut [u8], random: &mut Random) {
        let at = (CODE + chunk * CHUNK) as usize;
        if chunk.is_multiple_of(4) {
            base[at] = random.word() as u8 & 0xf7;
            base[at + 1..at + 4].copy_from_slice(&[0, 0x70, 0x47]);
        } else if chunk % 4 == 3 {
            let end = at + CHUNK as usize;
            let mut asm = Asm::new(true);
            (2..LEAD).step_by(2).for_each(|_| self.narrow(&mut asm, random));
            let (address, low) = (8 + random.word_below(4), random.word_below(8));
            asm.narrow(random.pick(&[
                0xf240 | low,     // MOVW r0, #
                0xea80 | low,     // EOR r0, r, r, shift
                0xf1b0 | low,     // SUBS r0, r, #
                0xf8d0 | address, // LDR r0, [r, #]
                0xf8c0 | address, // STR r0, [r, #]
            ]));
            base[end - asm.bytes.len()..end].copy_from_slice(&asm.bytes);
        }
    }

    /// A T16 instruction that computes.
    fn narrow(&self, asm: &mut Asm, random: &mut Random) {
        // No high register is written: those have other tasks.
        let half = word_of(random.pick(&self.rows.narrow), random);
        asm.narrow(if half >> 10 == 0b010001 { half & !0x80 } else { half });
    }

    fn piece(&self, asm: &mut Asm, at: u32, chunks: &[u32], random: &mut Random) -> Task {
        let kind = random.word_below(26);
        if matches!(kind, 17..=19) {
            // What changes mappings must not change its own: until an ISB or an exception either may hold, and a branch in
            // the page asks no TLB in translated code.
            go_home(asm, at);
        }
        match kind {
            0..=6 => self.compute(asm, random),
            7..=10 => self.access(asm, random),
            11 | 12 => self.bases(asm, random),
            13 => self.repeat(asm, random),
            14 => {
                let mut body = Asm::new(asm.thumb);
                self.compute(&mut body, random);
                asm.skip(random.word_below(14), body.bytes.len() as u32);
                asm.bytes.extend(body.bytes);
            }
            15 | 16 => self.modify(asm, Self::code_place(at, random), random),
            17 | 18 => self.remap(asm, random),
            19 if self.careful => careful_switch(asm, random),
            19 => switch(asm, random),
            20 => self.registers(asm, random),
            21 => interrupt(asm),
            22 => trap(asm, random),
            23 | 24 => across(asm, random),
            _ => jump(asm, at, chunks, random),
        }
        match kind {
            0..=6 => Task::Compute,
            15 | 16 => Task::Modify,
            _ => Task::Other,
        }
    }

    fn compute(&self, asm: &mut Asm, random: &mut Random) {
        for _ in 0..1 + random.word_below(4) {
            if random.one_in(6) {
                self.vector(asm, || word_of(random.pick(&self.rows.vector), random));
            } else if !asm.thumb {
                asm.word(word_of(random.pick(&self.rows.arm), random));
            } else if random.one_in(8) {
                // An IT block of one to four instructions.
                asm.narrow(0xbf00 | random.word_below(14) << 4 | (1 + random.word_below(15)));
            } else if random.one_in(3) {
                asm.word(word_of(random.pick(&self.rows.wide), random));
            } else {
                self.narrow(asm, random);
            }
        }
        asm.settle();
    }

    /// An instruction of VFP or Advanced SIMD from its A32 word. One in T32 that is Undefined goes on with its second half,
    /// which in careful programs only computes.
    fn vector(&self, asm: &mut Asm, mut arm: impl FnMut() -> u32) {
        if !asm.thumb {
            return asm.word(arm());
        }
        let harmless = |word: &u32| !self.careful || word & 0xffff < 0x4400;
        let words = std::iter::repeat_with(|| thumb_of_vector(arm()));
        asm.word(words.take(1000).find(harmless).expect("one of many"));
    }

    fn access(&self, asm: &mut Asm, random: &mut Random) {
        for _ in 0..1 + random.word_below(4) {
            let base = ADDRESSES + random.word_below(4);
            if self.careful {
                // What was added to it by accesses before would lead anywhere in the end.
                asm.set(base, self.place(random));
            }
            if random.one_in(5) {
                self.vector(asm, || word_by(random.pick(&self.rows.vector_memory), base, random));
            } else if !asm.thumb {
                asm.word(word_by(random.pick(&self.rows.arm_memory), base, random));
            } else if random.one_in(3) {
                // A low register for an address, and a T16 access by it.
                let low = random.word_below(8);
                asm.narrow(0x4600 | base << 3 | low);
                asm.narrow((0x6000 + random.word_below(0x3000)) & !0x38 | low << 3);
                // A fault skips four bytes.
                asm.narrow(0xbf00);
            } else {
                asm.word(word_by(random.pick(&self.rows.wide_memory), base, random));
            }
        }
        asm.settle();
    }

    /// A loop of a few rounds.
    fn repeat(&self, asm: &mut Asm, random: &mut Random) {
        asm.set(14, 1 + random.word_below(12));
        let before = asm.bytes.len();
        self.compute(asm, random);
        if random.one_in(2) {
            self.access(asm, random);
        }
        asm.decrement();
        let body = asm.bytes.len() - before;
        asm.again(12, body as u32);
    }

    /// Has careful programs store over what computes only: loops end, addresses are what they are meant to be, and nobody
    /// loses his maintenance.
    fn aim(&self, pieces: &mut [Piece], random: &mut Random) {
        let words = |p: &Piece| if p.task == Task::Compute { words(p) } else { vec![] };
        let targets: Vec<u32> = pieces.iter().flat_map(words).collect();
        for piece in pieces.iter_mut().filter(|p| p.task == Task::Modify) {
            let Some(target) = program::target(&targets, piece.at, random) else {
                piece.bytes = piece.set.nops(piece.bytes.len());
                continue;
            };
            let mut asm = Asm::new(piece.set == Set::Thumb);
            self.modify(&mut asm, target, random);
            assert_eq!(asm.bytes.len(), piece.bytes.len(), "every modification has one length");
            piece.bytes = asm.bytes;
        }
    }

    /// Somewhere in code, near or far.
    fn code_place(at: u32, random: &mut Random) -> u32 {
        let near = (at + 4 * random.word_below(36))
            .saturating_sub(64)
            .clamp(CODE, DATA - 4);
        let far = CODE + 4 * random.word_below((DATA - CODE) / 4);
        if random.one_in(2) { near } else { far }
    }

    /// Stores instructions over code, and cleans up after it more or less.
    fn modify(&self, asm: &mut Asm, place: u32, random: &mut Random) {
        let thumb = is_thumb((place - CODE) / CHUNK);
        let mut new = Asm::new(thumb);
        self.compute(&mut new, random);
        new.bytes.resize(4, 0);
        let alias = random.pick(&[0, 0, SECTION]);
        asm.set(
            0,
            u32::from_le_bytes([new.bytes[0], new.bytes[1], new.bytes[2], new.bytes[3]]),
        );
        asm.set(1, place & !3 | alias);
        asm.store(0, 1);
        match random.word_below(4) {
            0 if !self.careful => {}
            1 if !self.careful => asm.isb(),
            _ => {
                asm.write((7, 0, 11, 1), 1); // DCCMVAU
                asm.dsb();
                match random.word_below(2) {
                    0 => asm.write((7, 0, 5, 1), 1), // ICIMVAU
                    _ => asm.write((7, 0, 5, 0), 1), // ICIALLU
                }
                asm.dsb();
                asm.isb();
            }
        }
        forget(asm);
    }

    fn start(&self, pc: u32, thumb: bool, random: &mut Random) -> Cpu {
        let mut cpu = Cpu::reset(&MODELS[0]);
        for i in 0..8 {
            let any = random.word();
            cpu.r[i] = random.pick(&[0, 1, 0x40, u32::MAX, any]);
        }
        for i in 8..12 {
            cpu.r[i] = self.place(random);
        }
        cpu.r[12] = 1 + random.word_below(40);
        for d in &mut cpu.d {
            let any = random.next();
            *d = random.pick(&[0, any, 0x3ff0_0000_0000_0000, 0x7fc0_0000_3f80_0000]);
        }
        let modes = [psr::SYS, psr::SYS, psr::SVC, psr::USR];
        let mode = random.pick(if self.careful { &modes[..3] } else { &modes });
        cpu.switch_mode(psr::ABT);
        cpu.r[13] = 60;
        cpu.switch_mode(psr::UND);
        cpu.r[13] = 60;
        cpu.switch_mode(psr::SVC);
        cpu.r[13] = DATA + 0x1800;
        cpu.switch_mode(mode);
        cpu.r[13] = DATA + 0x2800;
        cpu.set_cpsr(mode | psr::I | psr::F | psr::A | if thumb { psr::T } else { 0 } | random.word() & 0xf000_0000);
        cpu.r[15] = pc;
        let space = random.word_below(2);
        cpu.cp15.ttbr0 = FIRST[space as usize].into();
        cpu.cp15.contextidr = if self.careful { 1 + space } else { random.word_below(3) };
        cpu.cp15.dacr = dacr(random) & if self.careful { NO_MANAGER } else { !0 };
        cpu.cp15.cpacr = 15 << 20;
        cpu.fpexc = 1 << 30;
        // The MMU, branch prediction and caches; alignment checks now and then.
        cpu.cp15.sctlr |= 1 | 1 << 2 | 1 << 11 | 1 << 12 | 1 << 10 | u32::from(random.one_in(8)) << 1;
        if random.one_in(4) {
            cpu.set_fpscr(random.word() & (0x1f << 22));
        }
        cpu.update_mode();
        if cpu.r[12].is_multiple_of(8) {
            count(&mut cpu);
        }
        cpu
    }

    /// An address that is worth an access.
    fn place(&self, random: &mut Random) -> u32 {
        let page = random.word_below(0x1000) & if random.one_in(4) { !0 } else { !7 };
        let end = 0xff0 + random.word_below(16);
        let edge = random.pick(&[page, page, page, end]);
        if self.careful {
            // Far enough from code and tables for any offset, and not to be run.
            let data = DATA + 0x1000 * (1 + random.word_below(DATA_PAGES - 3)) + page;
            return match random.word_below(8) {
                0..=4 => data,
                5 | 6 => PLAY + 0x1000 * random.word_below(16) + edge,
                _ => DEVICE + 0x10 + random.word_below(0x400),
            };
        }
        let data = DATA + 0x1000 * random.word_below(DATA_PAGES) + edge;
        match random.word_below(20) {
            0..=7 => data,
            8..=12 => PLAY + 0x1000 * random.word_below(16) + edge,
            13..=14 => SECTION + data,
            15 => SECTION + CODE + random.word_below(DATA - CODE),
            16 => CODE + random.word_below(DATA - CODE),
            17 => TABLES + 0x400 + random.word_below(0x800),
            18 => DEVICE + 0x10 + random.word_below(0x400),
            _ => random.word(),
        }
    }

    fn bases(&self, asm: &mut Asm, random: &mut Random) {
        for _ in 0..1 + random.word_below(2) {
            asm.set(8 + random.word_below(4), self.place(random));
        }
    }

    /// Reads and writes system registers, and asks for translations.
    fn registers(&self, asm: &mut Asm, random: &mut Random) {
        let register = random.word_below(8);
        match random.word_below(6) {
            0 => asm.read(
                random.pick(&[(5, 0, 0, 0), (6, 0, 0, 0), (5, 0, 0, 1), (6, 0, 0, 2), (7, 0, 4, 0)]),
                register,
            ),
            1 => asm.read(
                random.pick(&[(0, 0, 0, 0), (1, 0, 0, 0), (2, 0, 0, 0), (3, 0, 0, 0), (13, 0, 0, 1)]),
                register,
            ),
            2 => {
                asm.set(register, self.place(random));
                asm.write((7, 0, 8, random.word_below(4)), register); // ATS1
                asm.isb();
                asm.read((7, 0, 4, 0), register); // PAR
            }
            3 => asm.write((13, 0, 0, 2 + random.word_below(3)), register),
            4 => {
                let modes = [psr::SYS, psr::SVC, psr::SYS, psr::USR];
                asm.mode(random.pick(if self.careful { &modes[..3] } else { &modes }));
            }
            _ => asm.word(0xeee1_0a10 | register << 12), // VMSR FPSCR
        }
    }
}

/// Leaves no address of code or tables in a register: half of an instruction that faulted may be a store.
fn forget(asm: &mut Asm) {
    (0..3).for_each(|register| asm.set(register, 0));
}

/// To the next instruction, which lies at `at` and a little, by the mapping that never changes.
fn go_home(asm: &mut Asm, at: u32) {
    let jump = if asm.thumb { 2 } else { 4 };
    asm.set(0, (at + 8 + jump) | u32::from(asm.thumb));
    asm.exchange(0, false);
}

/// Raises the device's interrupt, and takes it a moment later. Where it could be taken at once (a handler that did not
/// return to the CPSID has left that open), it may be at this instruction or at the next.
fn interrupt(asm: &mut Asm) {
    asm.mask_interrupts();
    asm.set(6, DEVICE);
    asm.store(6, 6);
    asm.open_to_interrupts();
}

fn trap(asm: &mut Asm, random: &mut Random) {
    let (arm, thumb) = random.pick(&[
        (0xef00_0000, 0xdf00),
        (0xe7f0_00f0, 0xde00),
        (0xe120_0070, 0xbe00),
        (0xe140_0070, 0xde01),
    ]);
    if asm.thumb {
        asm.narrow(thumb);
    } else {
        asm.word(arm);
    }
}

/// To a page's end, and into the next: of the code, where that is code too, or of whatever is mapped.
fn across(asm: &mut Asm, random: &mut Random) {
    let page = CODE + 0x1000 * random.word_below(CHUNKS / 4 - 1);
    let play = PLAY + 0x1000 * random.word_below(16);
    let alias = random.pick(&[page, SECTION + page, play]);
    let to = alias + 0x1000 - 2 * (1 + random.word_below(LEAD / 2));
    asm.set(0, to | 1);
    asm.exchange(0, true);
}

/// Goes to another chunk, or to the end.
fn jump(asm: &mut Asm, at: u32, chunks: &[u32], random: &mut Random) {
    if random.one_in(16) {
        asm.set(0, END);
        return asm.exchange(0, false);
    }
    let chunk = random.pick(chunks);
    let (address, thumb) = (CODE + chunk * CHUNK, is_thumb(chunk));
    let here = at + asm.bytes.len() as u32;
    match random.word_below(7) {
        0 | 1 if thumb == asm.thumb => asm.branch(here, address, thumb, random.one_in(2)),
        2 => asm.branch(here, address, thumb, true),
        6 => across(asm, random),
        kind => {
            let alias = if kind == 3 {
                PLAY + 0x1000 * random.word_below(16) + address % 0x1000
            } else {
                address
            };
            let to = if kind == 4 { SECTION + address } else { alias };
            asm.set(0, to | u32::from(thumb));
            asm.exchange(0, random.one_in(2));
        }
    }
}

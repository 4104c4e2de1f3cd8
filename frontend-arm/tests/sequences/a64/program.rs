//! Random programs: code in chunks, page tables for two address spaces, data, and the state to start in.
//!
//! RAM is mapped at its own addresses for all, again from [`PLAY`] on by tables of each address space that the program
//! changes as it goes, again by a block, and all of that once more in the upper half of the address space. Faults skip an
//! instruction or go on somewhere else, and are counted; so are the chunks, so that a program ends.
//!
//! Every eighth program is careful: it changes code and tables on purpose only, and does all the maintenance that the
//! architecture asks for (Arm ARM DDI 0487, B2.4.4, D8.14), so that it means the same to a machine without caches. So do the
//! programs of a pair, which have most of that done by the other's CPU. Each has its own RAM and device at the same virtual
//! addresses, so that one sees nothing of the other.

mod mapping;
mod state;
mod steps;

use super::code::{ADDRESSES, Asm, CHUNKS_LEFT, GT, Go, ROUNDS, Rows, word_by, word_of};
use super::handlers::{self, CONTROL, END, RECOVERY, WAYS};
use super::service::{self, Half, SERVICE};
use crate::PAGES;
use crate::memory::DEVICE;
use crate::program::{self, Piece, Set, Task};
use emu_frontend_arm::a64::Cpu;
use emu_ir::testing::Random;

type Program = program::Program<Cpu>;

/// Chunks of code, four to a page.
const CHUNKS: u32 = 32;
const CHUNK: u32 = 0x400;
pub const CODE: u32 = 0x1000;
const DATA: u32 = 0x9000;
const DATA_PAGES: u32 = 6;
/// The table of level 3 that maps RAM at its own addresses.
const FLAT: u32 = 0xf000;
/// Tables of level 3 for [`PLAY`] of both address spaces.
const PLAYS: [u32; 2] = [0x1_0000, 0x1_1000];
/// Tables of level 2 of both, where walks start.
const FIRST: [u32; 2] = [0x1_2000, 0x1_3000];
/// More data.
const SPARE: u32 = 0x1_4000;
/// Where programs map pages as they like, and how many there are.
const PLAY: u32 = 0x0040_0000;
const PLAY_PAGES: u32 = 16;
/// RAM by a block.
const BLOCK: u32 = 0x0060_0000;
/// What is at 0 is there, too: TCR_EL1.T1SZ is 34.
const UPPER: u64 = 0xffff_ffff_c000_0000;

pub struct Maker {
    rows: Rows,
    careful: Rows,
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
        let mut random = Random::scattered(!seed);
        let writer = Writer {
            rows,
            careful,
            big_endian: random.one_in(8),
            guarded: random.one_in(2),
            open: random.one_in(2),
            half: None,
        };
        writer.program(&mut random)
    }
    /// The pair of a seed.
    pub fn pair(&self, seed: u64) -> [Program; 2] {
        let mut random = Random::of("pair", seed);
        let big_endian = [random.one_in(8), random.one_in(8)];
        let chunks = some_chunks(&mut random);
        [0, 1].map(|number| {
            let writer = Writer {
                rows: &self.careful,
                careful: true,
                big_endian: big_endian[number as usize],
                guarded: random.one_in(2),
                open: random.one_in(2),
                half: Some(Half {
                    number,
                    big_endian,
                    chunks: chunks.clone(),
                }),
            };
            writer.program(&mut random)
        })
    }
}

/// Those that a program has, some more than once.
fn some_chunks(random: &mut Random) -> Vec<u32> {
    let used = 2 + random.word_below(10);
    (0..used).map(|_| random.word_below(CHUNKS)).collect()
}

/// Writes one program.
struct Writer<'a> {
    rows: &'a Rows,
    careful: bool,
    /// Data is big-endian.
    big_endian: bool,
    /// There are guarded pages.
    guarded: bool,
    /// EL1 may write to code where it lies.
    open: bool,
    /// It is one of a pair.
    half: Option<Half>,
}

impl Writer<'_> {
    fn program(&self, random: &mut Random) -> Program {
        let mut base = vec![0; PAGES * 4096];
        handlers::put_all(&mut base[..0x1000], self.half.is_some());
        for at in (DATA..FLAT).chain(SPARE..(PAGES as u32) << 12).step_by(8) {
            self.put(&mut base, at, random.next());
        }
        if let Some(half) = &self.half {
            half.put(&mut base[SERVICE as usize..][..0x1000]);
        }
        self.tables(&mut base, random);
        let chunks = match &self.half {
            Some(half) => half.chunks.clone(),
            None => some_chunks(random),
        };
        let mut pieces = Vec::new();
        for chunk in 0..CHUNKS {
            let at = (CODE + chunk * CHUNK) as usize;
            base[at..at + CHUNK as usize].copy_from_slice(&self.ends());
            if chunks.contains(&chunk) {
                self.chunk(chunk, &chunks, random, &mut pieces);
            } else if self.half.is_some() {
                pieces.push(self.detour(chunk, &chunks, random));
            }
        }
        if self.careful {
            self.aim(&mut pieces, random);
        }
        let start = self.start(random.pick(&chunks), random);
        self.put(&mut base, CONTROL, start.sys.sctlr);
        for way in 0..WAYS {
            let to = self.code_at(random.pick(&chunks), random);
            self.put(&mut base, RECOVERY + 16 * way, to);
            self.put(&mut base, RECOVERY + 16 * way + 8, self.pstate(random).into());
        }
        Program {
            base,
            pieces,
            start,
            careful: self.careful,
        }
    }

    /// What ends a program wherever it comes to.
    fn ends(&self) -> Vec<u8> {
        let mut asm = Asm::default();
        asm.svc(service::END);
        match self.half {
            Some(_) => asm.bytes.repeat(CHUNK as usize / 4),
            None => Set::A64.ends(CHUNK as usize),
        }
    }
    /// How many pages of [`PLAY`] it uses.
    fn play_pages(&self) -> u32 {
        if self.half.is_some() { 6 } else { PLAY_PAGES }
    }
    /// A doubleword as the program finds it.
    fn in_order(&self, value: u64) -> u64 {
        if self.big_endian { value.swap_bytes() } else { value }
    }
    fn put(&self, base: &mut [u8], at: u32, value: u64) {
        base[at as usize..at as usize + 8].copy_from_slice(&self.in_order(value).to_le_bytes());
    }

    fn chunk(&self, chunk: u32, chunks: &[u32], random: &mut Random, pieces: &mut Vec<Piece>) {
        let first = CODE + chunk * CHUNK;
        let mut at = first;
        let mut push = |at: &mut u32, asm: Asm, task: Task| {
            let piece = Piece {
                at: *at,
                set: Set::A64,
                bytes: asm.bytes,
                task,
            };
            *at += piece.bytes.len() as u32;
            pieces.push(piece);
        };
        let mut head = Asm::default();
        // BTI jc, c, j; PACIASP; NOP
        head.word(random.pick(&[
            0xd503_24df,
            0xd503_245f,
            0xd503_245f,
            0xd503_249f,
            0xd503_233f,
            0xd503_201f,
        ]));
        if self.half.is_some() {
            head.svc(service::LOOK);
        }
        head.count_down(CHUNKS_LEFT, END.into());
        push(&mut at, head, Task::Other);
        for _ in 0..4 + random.word_below(24) {
            let mut asm = Asm::default();
            let task = self.piece(&mut asm, at, chunks, random);
            // The jump at the end is at most as long as this.
            if at + asm.len() + 64 > first + CHUNK {
                break;
            }
            push(&mut at, asm, task);
        }
        let mut tail = Asm::default();
        self.jump(&mut tail, at, chunks, random);
        push(&mut at, tail, Task::Other);
    }

    /// From a chunk that a program of a pair does not have to one that it has: as a rule it is long enough for the other.
    fn detour(&self, chunk: u32, chunks: &[u32], random: &mut Random) -> Piece {
        let mut asm = Asm::default();
        asm.word(0xd503_24df); // BTI jc
        asm.count_down(CHUNKS_LEFT, END.into());
        asm.set(0, u64::from(CODE + random.pick(chunks) * CHUNK));
        asm.go(Go::Jump, 0);
        Piece {
            at: CODE + chunk * CHUNK,
            set: Set::A64,
            bytes: asm.bytes,
            task: Task::Other,
        }
    }

    fn piece(&self, asm: &mut Asm, at: u32, chunks: &[u32], random: &mut Random) -> Task {
        let kind = random.word_below(if self.half.is_some() { 32 } else { 28 });
        let privileged = matches!(kind, 15..=21);
        if privileged && (self.careful || !random.one_in(4)) {
            asm.svc(0b0101);
        }
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
            14 => self.skip(asm, random),
            15 | 16 => self.modify(asm, Self::code_place(at, random), random),
            17 | 18 => self.remap(asm, random),
            19 if self.careful => self.careful_switch(asm, random),
            19 => self.switch(asm, random),
            20 => self.registers(asm, random),
            21 => interrupt(asm),
            22 => self.trap(asm, random),
            23 => asm.svc(random.pick(&[0, 0, 0b0100, 0b0100, 0b0101])),
            24 => self.exclusive(asm, random),
            25 => self.state_fields(asm, random),
            26 => self.give_back(asm),
            28.. => self.disturb(asm, chunks, random),
            _ => self.jump(asm, at, chunks, random),
        }
        if matches!(kind, 17..=21) && random.one_in(2) {
            asm.svc(random.pick(&[0, 0, 0b0100]));
        }
        match kind {
            0..=6 => Task::Compute,
            15 | 16 => Task::Modify,
            _ => Task::Other,
        }
    }

    fn computing(&self, random: &mut Random) -> u32 {
        let rows = if random.one_in(2) {
            &self.rows.plain
        } else {
            &self.rows.vector
        };
        word_of(random.pick(rows), random)
    }

    fn compute(&self, asm: &mut Asm, random: &mut Random) {
        for _ in 0..1 + random.word_below(4) {
            asm.word(self.computing(random));
        }
    }

    fn access(&self, asm: &mut Asm, random: &mut Random) {
        for _ in 0..1 + random.word_below(4) {
            let mut base = ADDRESSES + random.word_below(4);
            if self.careful {
                // What was added to it by accesses before would lead anywhere in the end.
                asm.set(base, self.place(random));
            } else if random.one_in(20) {
                base = 31;
            }
            let rows = if random.one_in(3) {
                &self.rows.vector_memory
            } else {
                &self.rows.memory
            };
            asm.word(word_by(random.pick(rows), base, random));
        }
    }

    /// A load-exclusive and what may be between it and its store.
    fn exclusive(&self, asm: &mut Asm, random: &mut Random) {
        let base = ADDRESSES + random.word_below(4);
        if self.careful || random.one_in(2) {
            asm.set(base, self.place(random) & !15);
        }
        let named = |name: &str| self.rows.memory.iter().copied().find(|row| row.name == name);
        let (load, store) = random.pick(&[
            ("ldxr", "stxr"),
            ("ldxrb", "stxrb"),
            ("ldxrh", "stxrh"),
            ("ldxp", "stxp"),
            ("ldxr", "stxp"),
        ]);
        asm.word(word_by(named(load).expect("a row"), base, random));
        match random.word_below(4) {
            0 => asm.word(self.computing(random)),
            1 => asm.word(word_by(random.pick(&self.rows.memory), base, random)),
            _ => {}
        }
        if self.careful {
            asm.set(base, self.place(random) & !15);
        }
        asm.word(word_by(named(store).expect("a row"), base, random));
    }

    /// B<cond>, CBZ, CBNZ, TBZ or TBNZ over something that computes.
    fn skip(&self, asm: &mut Asm, random: &mut Random) {
        let mut body = Asm::default();
        self.compute(&mut body, random);
        let by = (body.len() + 4) >> 2;
        let register = random.word_below(16);
        asm.word(match random.word_below(3) {
            0 => 0x5400_0000 | by << 5 | random.word_below(16),
            1 => 0x3400_0000 | random.word() & 0x8100_0000 | by << 5 | register,
            _ => 0x3600_0000 | random.word() & 0x81f8_0000 | by << 5 | register,
        });
        asm.bytes.extend(body.bytes);
    }

    /// A loop of a few rounds.
    fn repeat(&self, asm: &mut Asm, random: &mut Random) {
        asm.set(ROUNDS, 1 + random.below(12));
        let before = asm.len();
        self.compute(asm, random);
        if random.one_in(2) {
            self.access(asm, random);
        }
        asm.decrement(ROUNDS);
        asm.branch_if(GT, before.wrapping_sub(asm.len()));
    }

    /// Has careful programs store over what computes only: loops end, addresses are what they are meant to be, and nobody
    /// loses his maintenance.
    fn aim(&self, pieces: &mut [Piece], random: &mut Random) {
        let words = |p: &Piece| (p.at..p.at + p.bytes.len() as u32).step_by(4);
        let computing = pieces.iter().filter(|p| p.task == Task::Compute);
        let targets: Vec<u32> = computing.flat_map(words).collect();
        for piece in pieces.iter_mut().filter(|p| p.task == Task::Modify) {
            let Some(target) = program::target(&targets, piece.at, random) else {
                piece.bytes = Set::A64.nops(piece.bytes.len());
                continue;
            };
            let mut asm = Asm::default();
            asm.svc(0b0101);
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

    /// Where a chunk starts, by one of its addresses; now and then behind its head.
    fn code_at(&self, chunk: u32, random: &mut Random) -> u64 {
        let chunk = CODE + chunk * CHUNK;
        let behind = if random.one_in(8) { 4 * random.word_below(8) } else { 0 };
        let at = chunk + if self.careful { 0 } else { behind };
        let play = PLAY + 0x1000 * random.word_below(self.play_pages()) + at % 0x1000;
        let low = random.pick(&[at, at, at, BLOCK + at, play, play]);
        let high = if random.one_in(3) { UPPER } else { 0 };
        let tag = if random.one_in(16) && !self.careful {
            random.next() << 56
        } else {
            0
        };
        (u64::from(low) | high) ^ tag
    }

    /// An address that is worth an access.
    fn place(&self, random: &mut Random) -> u64 {
        let page = random.word_below(0x1000) & if random.one_in(4) { !0 } else { !15 };
        let end = 0xfe0 + random.word_below(32);
        let edge = random.pick(&[page, page, page, end]);
        let play = PLAY + 0x1000 * random.word_below(self.play_pages()) + edge;
        if self.careful {
            // Far enough from code and tables for any offset, and not to be run.
            let data = DATA + 0x1000 * (1 + random.word_below(DATA_PAGES - 3)) + page;
            return match random.word_below(8) {
                0..=4 => data,
                5 | 6 => play,
                _ => DEVICE + 0x40 + random.word_below(0x200),
            }
            .into();
        }
        let data = DATA + 0x1000 * random.word_below(DATA_PAGES) + edge;
        let low: u64 = match random.word_below(20) {
            0..=7 => data.into(),
            8..=12 => play.into(),
            13..=14 => (BLOCK + data).into(),
            15 => (BLOCK + CODE + random.word_below(DATA - CODE)).into(),
            16 => (CODE + random.word_below(DATA - CODE)).into(),
            17 => (PLAYS[random.word_below(2) as usize] + random.word_below(8 * PLAY_PAGES)).into(),
            18 => (DEVICE + 0x10 + random.word_below(0x400)).into(),
            _ => return random.next(),
        };
        let high = if random.one_in(4) { UPPER } else { 0 };
        let tag = if random.one_in(4) { random.next() << 56 } else { 0 };
        (low | high) ^ tag
    }

    fn bases(&self, asm: &mut Asm, random: &mut Random) {
        for _ in 0..1 + random.word_below(2) {
            let register = if random.one_in(6) {
                31
            } else {
                ADDRESSES + random.word_below(4)
            };
            let place = self.place(random);
            if register == 31 {
                asm.set(0, place & !15);
                asm.word(0x9100_001f); // MOV SP, X0
            } else {
                asm.set(register, place);
            }
        }
    }

    /// Goes to another chunk, or to the end.
    fn jump(&self, asm: &mut Asm, at: u32, chunks: &[u32], random: &mut Random) {
        if random.one_in(if self.half.is_some() { 64 } else { 16 }) {
            asm.set(0, END.into());
            return asm.go(Go::Jump, 0);
        }
        let chunk = random.pick(chunks);
        let direct = (CODE + chunk * CHUNK).wrapping_sub(at + asm.len());
        match random.word_below(8) {
            0 | 1 => asm.branch(direct, false),
            2 => asm.branch(direct, true),
            3 if !self.careful => self.return_from_exception(asm, self.code_at(chunk, random), random),
            4 => {
                asm.set(0, self.code_at(chunk, random));
                let b = random.word_below(2);
                asm.word(0xdac1_23e0 | b << 10); // PACIZA X0, PACIZB
                asm.word(random.pick(&[0xd61f_081f, 0xd63f_081f]) | b << 10); // BRAAZ, BLRAAZ
            }
            _ => {
                asm.set(0, self.code_at(chunk, random));
                let register = random.pick(&[0, 0, 17]);
                if register != 0 {
                    asm.word(0xaa00_03e0 | register); // MOV X17, X0
                }
                asm.go(random.pick(&[Go::Jump, Go::Jump, Go::Call, Go::Return]), register);
            }
        }
    }

    /// RET, not for ever.
    fn give_back(&self, asm: &mut Asm) {
        asm.count_down(CHUNKS_LEFT, END.into());
        asm.go(Go::Return, 30);
    }
}

/// To the next instruction, which lies at `at` and what has been written since, by the mapping that never changes.
fn go_home(asm: &mut Asm, at: u32) {
    let next = at + asm.len() + 20;
    asm.set(0, next.into());
    asm.go(Go::Return, 0);
}

/// Raises the device's interrupt, and takes it a moment later. Where it could be taken at once (somebody has left that
/// open), it may be at this instruction or at the next.
fn interrupt(asm: &mut Asm) {
    asm.mask_interrupts();
    asm.set(6, DEVICE.into());
    asm.store_word(6, 6);
    asm.open_to_interrupts();
}

//! Random programs: code in chunks, descriptors, page tables for two address spaces, data, and the state to start in.
//!
//! A chunk is the kernel's, the user's, or of 16 bits: the user's, of virtual 8086 mode, or in real mode every one. Faults
//! skip an instruction or go on somewhere else, and are counted; so are the chunks, so that a program ends.
//!
//! Every eighth program is careful: it changes code and tables on purpose only, and has translations forgotten as the
//! architecture asks for (SDM 3, 4.10.4), so that it means the same to a machine without caches.

mod aims;
mod kernel;
mod state;
mod steps;

use super::asm::{Asm, BUNDLE, Near};
use super::insn::Rows;
use super::layout::*;
use super::tables::{Paging, Tables};
use super::{handlers, system};
use crate::program::{self, Piece, Set, Task};
use emu_frontend_x86::state::Cpu;
use emu_ir::testing::Random;

pub type Program = program::Program<Cpu>;

pub struct Maker {
    rows: Rows,
    careful: Rows,
}

/// What kind of program it is.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Real,
    /// Protected mode, with paging or without.
    Protected(Paging),
    Long,
}

/// Whose a chunk is.
#[derive(Clone, Copy, PartialEq)]
enum Level {
    Kernel,
    User,
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
        let mut random = Random::scattered(seed ^ 0x8086 << 40);
        self.writer(seed.is_multiple_of(8), 0, &mut random).program(&mut random)
    }
    /// The pair of a seed: careful ones, with the second's RAM elsewhere.
    pub fn pair(&self, seed: u64) -> [Program; 2] {
        let mut random = Random::of("x86 pair", seed);
        [0, crate::memory::HALF].map(|base| {
            loop {
                let writer = self.writer(true, base, &mut random);
                // Without paging the other's RAM would be in reach, or all there is.
                let apart = base == 0 && writer.kind == Kind::Real;
                if apart || writer.tables.paging != Paging::Off {
                    return writer.program(&mut random);
                }
            }
        })
    }
    fn writer(&self, careful: bool, base: u32, random: &mut Random) -> Writer<'_> {
        let kind = match random.below(10) {
            0 => Kind::Real,
            1 => Kind::Protected(Paging::Off),
            2 | 3 => Kind::Protected(Paging::Bits32),
            4 | 5 => Kind::Protected(Paging::Pae),
            _ => Kind::Long,
        };
        let paging = match kind {
            Kind::Real => Paging::Off,
            Kind::Protected(paging) => paging,
            Kind::Long => Paging::Long,
        };
        Writer {
            rows: if careful { &self.careful } else { &self.rows },
            careful,
            kind,
            virtual_8086: random.one_in(2),
            compatible: random.pick(&[0, 1, 2, 4]),
            tables: Tables { paging, careful, base },
            cr4: state::cr4(kind, random),
            chunks: Vec::new(),
        }
    }
}

/// Writes one program.
struct Writer<'a> {
    rows: &'a Rows,
    careful: bool,
    kind: Kind,
    /// Code of 16 bits is of virtual 8086 mode, in protected mode.
    virtual_8086: bool,
    /// How many of four chunks of the user are of 32 bits in long mode.
    compatible: u32,
    tables: Tables,
    cr4: u64,
    /// Those that are used.
    chunks: Vec<u32>,
}

impl Writer<'_> {
    fn program(mut self, random: &mut Random) -> Program {
        let mut base = vec![0; PAGES << 12];
        let set = self.set_of(0);
        handlers::put_all(
            &mut base,
            set,
            handlers::Mending {
                entry_size: self.tables.entry_size(),
                entry: self.tables.mended(),
            },
        );
        system::put_all(&mut base, set, random);
        for at in (DATA as usize..ROOT as usize).step_by(8) {
            let word = random.next();
            base[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        self.tables.put_all(&mut base, random);
        for left in [LEFT, USER_LEFT] {
            base[left as usize] = 10 + random.below(70) as u8;
        }
        self.choose(random);
        let mut pieces = Vec::new();
        for chunk in 0..CHUNKS {
            self.fill(chunk, &mut base, random);
            if self.chunks.contains(&chunk) {
                self.chunk(chunk, random, &mut pieces);
            }
        }
        self.aim(&mut pieces, random);
        let start = self.start(random);
        Program {
            base,
            pieces,
            start,
            careful: self.careful,
        }
    }

    /// Which chunks there are: some of each kind.
    fn choose(&mut self, random: &mut Random) {
        let mut some = |first: u32, end: u32, most: u32| {
            let count = 1 + random.word_below(most);
            for _ in 0..count {
                self.chunks.push(first + random.word_below(end - first));
            }
        };
        some(0, KERNEL_CHUNKS, 6);
        some(KERNEL_CHUNKS, WIDE_CHUNKS, 4);
        some(WIDE_CHUNKS, CHUNKS, 2);
    }
    fn set_of(&self, chunk: u32) -> Set {
        match self.kind {
            Kind::Real => Set::X16,
            _ if chunk >= WIDE_CHUNKS => Set::X16,
            Kind::Protected(_) => Set::X32,
            Kind::Long if chunk >= KERNEL_CHUNKS && chunk % 4 < self.compatible => Set::X32,
            Kind::Long => Set::X64,
        }
    }
    fn level_of(&self, chunk: u32) -> Level {
        if chunk < KERNEL_CHUNKS {
            Level::Kernel
        } else {
            Level::User
        }
    }
    /// One of the chunks that can be jumped to from this.
    fn another(&self, chunk: u32, random: &mut Random) -> Option<u32> {
        let alike = self.chunks.iter().copied().filter(|c| self.is_like(*c, chunk));
        let alike: Vec<u32> = alike.collect();
        (!alike.is_empty()).then(|| random.pick(&alike))
    }
    fn is_like(&self, a: u32, b: u32) -> bool {
        self.kind == Kind::Real || self.set_of(a) == self.set_of(b) && self.level_of(a) == self.level_of(b)
    }

    /// What a chunk is without pieces: its first bundle, where an instruction of the page before may end; one that goes to
    /// another chunk; what ends the program; and at a page's end an instruction that goes across.
    fn fill(&self, chunk: u32, base: &mut [u8], random: &mut Random) {
        let (at, set) = (chunk_at(chunk), self.set_of(chunk));
        let here = &mut base[at as usize..(at + CHUNK) as usize];
        match self.level_of(chunk) {
            Level::Kernel => here.fill(0xf4),
            Level::User => here.chunks_mut(2).for_each(|int| int.copy_from_slice(&[0xcd, TO_END])),
        }
        let first = BUNDLE as usize;
        here[..first].fill_with(|| harmless(random));
        if let Some(other) = self.another(chunk, random) {
            let mut go = Asm::new(set, at + BUNDLE);
            go.near(Near::Jump, chunk_at(other));
            here[first..first + go.bytes.len()].copy_from_slice(&go.bytes);
        }
        if chunk % 4 == 3 {
            let end = here.len() - BUNDLE as usize;
            here[end..].copy_from_slice(&lead(set, random));
        }
    }

    fn chunk(&self, chunk: u32, random: &mut Random, pieces: &mut Vec<Piece>) {
        let (first, set, level) = (chunk_at(chunk), self.set_of(chunk), self.level_of(chunk));
        let end = first + CHUNK - if chunk % 4 == 3 { 2 * BUNDLE } else { BUNDLE };
        let mut at = first + BUNDLE;
        let mut push = |at: &mut u32, asm: Asm, task: Task| {
            let piece = Piece {
                at: *at,
                set,
                bytes: asm.bytes,
                task,
            };
            *at += piece.bytes.len() as u32;
            pieces.push(piece);
        };
        let mut head = Asm::new(set, at);
        self.head(&mut head, level);
        push(&mut at, head, Task::Other);
        for _ in 0..4 + random.word_below(24) {
            let mut asm = Asm::new(set, at);
            let task = self.step(&mut asm, chunk, random);
            // The jump at the end is at most as long as this.
            if asm.here() + 6 * BUNDLE > end {
                break;
            }
            push(&mut at, asm, task);
        }
        let mut tail = Asm::new(set, at);
        self.jump(&mut tail, chunk, random);
        assert!(tail.here() <= end);
        push(&mut at, tail, Task::Other);
    }

    /// A stack, data segments, and the count of chunks.
    fn head(&self, asm: &mut Asm, level: Level) {
        let kernel = level == Level::Kernel && self.kind != Kind::Real;
        let data = match asm.set {
            Set::X16 if self.kind == Kind::Real || self.is_virtual() => Some(0),
            Set::X64 => None,
            _ if kernel => Some(selector::KERNEL_DATA),
            _ => Some(selector::USER_DATA),
        };
        asm.set(4, if kernel { STACK } else { USER_STACK });
        if let Some(data) = data {
            asm.segment(&[0x1f], data);
            asm.segment(&[0x07], data);
        }
        if kernel {
            asm.count_down(LEFT, |asm, at| asm.near_from(at, Near::Jump, END));
        } else {
            asm.count_down(USER_LEFT, |_, _| vec![0xcd, TO_END]);
        }
    }
    /// Whether user code of 16 bits is of virtual 8086 mode.
    fn is_virtual(&self) -> bool {
        self.virtual_8086 && matches!(self.kind, Kind::Protected(_))
    }
}

/// An instruction of one byte that does no harm, in any code; also as the end of another, or behind a prefix.
fn harmless(random: &mut Random) -> u8 {
    random.pick(&[0x90, 0x90, 0xf8, 0xf9, 0xf5, 0x98, 0x99, 0x9e, 0x9f])
}

/// The bundle at a page's end: its last instruction has some bytes in the next page, where [`harmless`] bytes are, or
/// whatever is mapped.
fn lead(set: Set, random: &mut Random) -> [u8; BUNDLE as usize] {
    let wide: &[&[u8]] = match set {
        Set::X64 => &[
            &[0x48, 0x81, 0xc0], // ADD RAX, #
            &[0x48, 0x3d],       // CMP RAX, #
            &[0x48, 0xb8],       // MOV RAX, #
        ],
        _ => &[
            &[0x81, 0xc0], // ADD EAX, #
            &[0x3d],
            &[0xb8],
        ],
    };
    let any: &[&[u8]] = &[
        &[0xb9],             // MOV ECX, #
        &[0xb2],             // MOV DL, #
        &[0x69, 0xc3],       // IMUL EAX, EBX, #
        &[0x6b, 0xca],       // IMUL ECX, EDX, #
        &[0x0f, 0xba, 0xe1], // BT ECX, #
        &[0x66],
        &[0xf2],
        &[0xf3],
        &[0x2e, 0x66],
        &[0x68], // PUSH #
        &[0xa9], // TEST EAX, #
    ];
    let some = if random.one_in(3) { wide } else { any };
    let last = random.pick(some);
    let mut bundle = [0; BUNDLE as usize];
    bundle.fill_with(|| harmless(random));
    // None of its numbers in this page, or one byte.
    let at = bundle.len() - last.len() - usize::from(last.len() > 1 && random.one_in(3));
    bundle[at..at + last.len()].copy_from_slice(last);
    bundle
}

//! What a program does step by step, at any level.

use super::aims::code_place;
use super::{Kind, Level, Writer};
use crate::program::{Set, Task};
use crate::x86::asm::{Asm, BUNDLE, Near};
use crate::x86::layout::*;
use crate::x86::tables::Paging;
use emu_ir::testing::Random;

/// General registers by their numbers.
pub(super) const A: u8 = 0;
pub(super) const C: u8 = 1;
pub(super) const D: u8 = 2;
pub(super) const B: u8 = 3;
const BP: u8 = 5;
pub(super) const SI: u8 = 6;
pub(super) const DI: u8 = 7;

impl Writer<'_> {
    /// One step of a chunk.
    pub(super) fn step(&self, asm: &mut Asm, chunk: u32, random: &mut Random) -> Task {
        let kernel = self.level_of(chunk) == Level::Kernel && self.kind != Kind::Real;
        match random.word_below(if kernel { 40 } else { 30 }) {
            0..=6 => {
                self.compute(asm, random);
                return Task::Compute;
            }
            7..=11 => self.access(asm, random),
            12 | 13 => self.strings(asm, random),
            14 => self.rounds(asm, kernel, random),
            15 => self.skip(asm, random),
            16 => self.modify_next(asm, random),
            17 => {
                self.modify(asm, code_place(asm.here(), random), asm.set, random);
                return Task::Modify;
            }
            18 => next_byte(asm, random),
            19 => interrupt(asm, random),
            20 | 21 => self.trap(asm, random),
            22 => self.across(asm, chunk, random),
            23 => single_step(asm),
            24 => self.floating(asm, random),
            25 => self.segments(asm, random),
            26 => port(asm, random),
            27 => flags(asm, random),
            28 | 29 if kernel => self.leave(asm, random),
            28 => self.enter_kernel(asm, random),
            29 => self.jump(asm, chunk, random),
            _ => self.govern(asm, random),
        }
        Task::Other
    }

    /// Instructions that compute.
    pub(super) fn compute(&self, asm: &mut Asm, random: &mut Random) {
        for _ in 0..1 + random.word_below(5) {
            let code = self.rows.compute(asm.set, 15, random);
            asm.put(&code);
        }
    }

    /// Accesses to memory.
    fn access(&self, asm: &mut Asm, random: &mut Random) {
        for _ in 0..1 + random.word_below(4) {
            let base = match asm.set {
                Set::X16 => random.pick(&[B, SI, DI, BP]),
                Set::X64 => random.pick(&[B, SI, DI, BP, 8, 9, 10, 11]),
                _ => random.pick(&[B, SI, DI, BP]),
            };
            let place = self.place(asm.set, random);
            asm.set(base, place);
            let code = self.rows.memory(asm.set, base, !self.careful, random);
            asm.put(&code);
        }
    }

    /// An address that is worth an access.
    pub(super) fn place(&self, set: Set, random: &mut Random) -> u32 {
        let within = random.word_below(0x1000) & random.pick(&[!0, !7, !15, !63]);
        let end = 0xfe0 + random.word_below(32);
        let edge = random.pick(&[within, within, end]);
        if set == Set::X16 {
            // Within 64 KiB.
            let data = 0xf000 + if self.careful { within & 0x7ff } else { edge };
            return data - if self.careful || random.one_in(2) { 0 } else { 0x1000 };
        }
        if self.careful {
            // Far enough from code and tables for what any instruction accesses.
            let data = DATA + 0x1000 * (1 + random.word_below(DATA_PAGES - 2)) + within;
            return match random.word_below(9) {
                0..=4 => data,
                5..=7 => PLAY + 0x1000 * random.word_below(PLAY_PAGES) + edge,
                _ => DEVICE_AT + 0x10 + random.word_below(0x400),
            };
        }
        let data = DATA + 0x1000 * random.word_below(DATA_PAGES) + edge;
        match random.word_below(20) {
            0..=6 => data,
            7..=12 => PLAY + 0x1000 * random.word_below(PLAY_PAGES) + edge,
            13 | 14 => LARGE + data,
            15 => LARGE + CODE + random.word_below(DATA - CODE),
            16 => CODE + random.word_below(DATA - CODE),
            17 => DEVICE_AT + 0x10 + random.word_below(0x400),
            18 => PLAY_TABLE + random.word_below(0x1000),
            _ => random.word(),
        }
    }

    /// String instructions, with a repeat prefix or without, up to where they may fault and beyond.
    fn strings(&self, asm: &mut Asm, random: &mut Random) {
        for register in [SI, DI] {
            let place = self.place(asm.set, random);
            asm.set(register, place);
        }
        let most = random.pick(&[1, 5, 40]);
        asm.set(C, random.word_below(most + 1));
        if random.one_in(2) {
            asm.put(&[if random.one_in(3) { 0xfd } else { 0xfc }]);
        }
        let opcode = random.pick(&[
            0xa4, 0xa5, 0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf, 0x6c, 0x6d, 0x6e, 0x6f,
        ]);
        if opcode < 0x70 {
            asm.set(D, 0x100 + random.word_below(0x100));
        }
        let mut code: Vec<u8> = Vec::new();
        if random.one_in(8) {
            code.push(random.pick(&[0x26, 0x2e, 0x36, 0x64, 0x65]));
        }
        if random.word_below(4) != 0 {
            code.push(random.pick(&[0xf3, 0xf3, 0xf2]));
        }
        match (random.word_below(4), asm.set) {
            (0, _) => code.push(0x66),
            (1, Set::X64) => code.push(0x48),
            _ => {}
        }
        code.push(opcode);
        asm.put(&code);
    }

    /// A loop of a few rounds.
    fn rounds(&self, asm: &mut Asm, kernel: bool, random: &mut Random) {
        let count = if kernel { ROUNDS } else { USER_ROUNDS };
        asm.store(count, 1 + random.word_below(12));
        asm.align();
        let back = asm.here();
        self.compute(asm, random);
        if random.one_in(2) {
            self.access(asm, random);
        }
        asm.count_rounds(count, back);
    }

    /// Instructions that are jumped over on a condition.
    fn skip(&self, asm: &mut Asm, random: &mut Random) {
        asm.align();
        let mut body = Asm::new(asm.set, asm.here() + BUNDLE);
        self.compute(&mut body, random);
        asm.near(Near::If(random.word_below(16) as u8), body.here());
        asm.align();
        asm.bytes.extend(body.bytes);
    }

    /// Which exceptions of floating point are masked, and how numbers are rounded.
    fn floating(&self, asm: &mut Asm, random: &mut Random) {
        if asm.set == Set::X16 {
            return asm.put(random.pick(&[&[0xdb, 0xe3][..], &[0xd9, 0xeb], &[0xdb, 0xe2], &[0x9b]]));
        }
        let pop = [0x58 | A];
        if random.one_in(2) {
            // FLDCW: what is masked, how it is rounded.
            let control = 0x37f & !(random.word() & 0x33f) | random.word() & 0xc00;
            asm.push(if random.one_in(3) { 0x37f } else { control });
            asm.put(&[0xd9, 0x2c, 0x24]);
        } else {
            let control = 0x1f80 & !(random.word() & random.word() & 0x1f80) | random.word() & 0xe040;
            asm.push(if random.one_in(3) { 0x1f80 } else { control });
            asm.put(&[0x0f, 0xae, 0x14, 0x24]); // LDMXCSR
        }
        asm.put(&pop);
    }

    /// Other segments for data.
    fn segments(&self, asm: &mut Asm, random: &mut Random) {
        let real = asm.set == Set::X16 && (self.kind == Kind::Real || self.is_virtual());
        let any = random.word() as u16;
        let value = match real {
            true if self.careful => 0,
            true => random.pick(&[0, 1, 0x500, 0xe00, 0xf00, any]),
            false => random.pick(&[
                selector::USER_DATA,
                selector::LIMITED,
                selector::LIMITED,
                selector::EXPAND_DOWN,
                selector::READ_ONLY,
                selector::KERNEL_DATA,
                selector::ABSENT,
                selector::USER_CODE32,
                selector::CONFORMING,
                0,
                3,
            ]),
        };
        let loads: &[&[u8]] = match asm.set {
            Set::X64 => &[&[0x0f, 0xa1], &[0x0f, 0xa9]],
            _ => &[
                &[0x0f, 0xa1],
                &[0x0f, 0xa9],
                &[0x0f, 0xa1],
                &[0x0f, 0xa9],
                &[0x1f],
                &[0x07],
            ],
        };
        if random.one_in(2) {
            return asm.segment(random.pick(loads), value);
        }
        // MOV: also of DS and ES in 64-bit code, and CS, which cannot be.
        asm.set(A, value.into());
        let which = random.pick(&[0, 3, 4, 5, 4, 5, 1]);
        asm.put(&[0x8e, 0xc0 | which << 3]);
    }

    /// What is an exception, or may be one.
    fn trap(&self, asm: &mut Asm, random: &mut Random) {
        let number = random.pick(&[3, 4, 5, 0x32, 0x33, 0x3f]);
        let all: &[&[u8]] = &[
            &[0xcc],
            &[0xcd, number],
            &[0x0f, 0x0b],
            &[0xce],
            &[0xf1],
            &[0x31, 0xd2, 0xf7, 0xf2], // XOR EDX, EDX; DIV EDX
            &[0xd4, 0x00],             // AAM 0
            &[0x0f, 0x06],             // CLTS
            &[0x0f, 0x20, 0xc0],       // MOV rAX, CR0
            &[0x0f, 0x32],             // RDMSR
            &[0x0f, 0x01, 0xd0],       // XGETBV
            &[0x0f, 0xff, 0xc0],       // UD0
            &[0xf0, 0x90],             // LOCK NOP
            &[
                0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90,
            ],
            &[0x0f, 0xa2],       // CPUID
            &[0x0f, 0x21, 0xf0], // MOV rAX, DR6
            &[0x0f, 0x09],       // WBINVD
            &[0x0f, 0x01, 0xf8], // SWAPGS
            &[0x9b],             // FWAIT
        ];
        asm.put(random.pick(all));
    }

    /// To a page's end, and into the next: of the code, where that is code too, or of whatever is mapped.
    pub(super) fn across(&self, asm: &mut Asm, chunk: u32, random: &mut Random) {
        let page = chunk_at(chunk) & !0xfff;
        let alias = if asm.set == Set::X16 || self.tables.paging == Paging::Off {
            page
        } else {
            match random.word_below(4) {
                0 | 1 => page,
                2 => LARGE + page,
                _ => self.play_page(page, random),
            }
        };
        asm.set(A, alias + 0x1000 - BUNDLE);
        asm.go(A, random.one_in(2));
    }
    /// A page of [`PLAY`]; where data that is mapped there could be run, careful programs keep away.
    fn play_page(&self, instead: u32, random: &mut Random) -> u32 {
        match self.careful && self.tables.entry_size() == 4 {
            true => instead,
            false => PLAY + 0x1000 * random.word_below(PLAY_PAGES),
        }
    }

    /// Goes to another chunk, or to the end.
    pub(super) fn jump(&self, asm: &mut Asm, chunk: u32, random: &mut Random) {
        let kernel = self.level_of(chunk) == Level::Kernel && self.kind != Kind::Real;
        if random.one_in(24) {
            return match kernel {
                true => asm.near(Near::Jump, END),
                false => asm.put(&[0xcd, TO_END]),
            };
        }
        let to = chunk_at(self.another(chunk, random).unwrap_or(chunk));
        match random.word_below(9) {
            0 | 1 => asm.near(Near::Jump, to),
            2 => asm.near(Near::Call, to),
            3 => {
                asm.near(Near::If(random.word_below(16) as u8), to);
                asm.near(Near::Jump, to);
            }
            4 => {
                asm.push(to);
                asm.put(&[0xc3]);
            }
            5 if asm.set != Set::X16 && self.tables.paging != Paging::Off => {
                let alias = match random.one_in(2) {
                    true => LARGE + to,
                    false => self.play_page(to & !0xfff, random) + to % 0x1000,
                };
                asm.set(A, alias);
                asm.go(A, random.one_in(2));
            }
            6 => self.jump_far(asm, kernel, to, random),
            7 => self.across(asm, chunk, random),
            _ => {
                asm.set(A, to);
                asm.go(A, random.one_in(2));
            }
        }
    }

    /// A far jump to the same level.
    fn jump_far(&self, asm: &mut Asm, kernel: bool, to: u32, random: &mut Random) {
        match asm.set {
            Set::X16 if self.kind == Kind::Real || self.is_virtual() => {
                let segment = random.word_below(to >> 4) as u16;
                asm.far(segment, to - (u32::from(segment) << 4));
            }
            Set::X16 => asm.far(selector::USER_CODE16, to),
            Set::X32 if kernel => {
                let (selector, base) = random.pick(&[
                    (selector::KERNEL_CODE, 0),
                    (selector::CONFORMING, 0),
                    (selector::KERNEL_BASED, KERNEL_BASE),
                ]);
                asm.far(selector, to - base);
            }
            Set::X32 => {
                let (selector, base) = random.pick(&[
                    (selector::USER_CODE32, 0),
                    (selector::CONFORMING | 3, 0),
                    (selector::USER_BASED, USER_BASE),
                ]);
                let conforming = selector == selector::CONFORMING | 3;
                // In long mode that is 64-bit code.
                match conforming && self.kind == Kind::Long {
                    true => asm.far(selector::USER_CODE32, to),
                    false => asm.far(selector, to - base),
                }
            }
            _ if kernel => {
                let pointer = POINTERS + 16 * ((to - CODE) / CHUNK);
                asm.join(&[&[0xff, 0x2c, 0x25], &pointer.to_le_bytes()]);
                asm.near(Near::Jump, to);
            }
            _ => {
                // RET to the same level.
                asm.push(selector::USER_CODE64.into());
                asm.push(to);
                asm.ret_far();
            }
        }
    }

    /// Goes to the kernel, or there and back.
    fn enter_kernel(&self, asm: &mut Asm, random: &mut Random) {
        if self.kind == Kind::Real {
            return asm.put(&[0xcd, 0x33]);
        }
        let chunks = self.chunks.iter().copied().filter(|c| *c < KERNEL_CHUNKS);
        let chunks: Vec<u32> = chunks.collect();
        let here = asm.set;
        match random.word_below(6) {
            0 | 1 => {
                asm.set(A, random.pick(&chunks));
                asm.put(&[0xcd, TO_KERNEL]);
            }
            2 if here == Set::X64 => asm.put(&[0x0f, 0x05]),
            3 if here != Set::X16 => {
                // SYSENTER, which leaves it to the program where to return.
                asm.align();
                asm.set(C, USER_STACK);
                let back = (asm.here() + 2 * BUNDLE) & !(BUNDLE - 1);
                asm.set(D, back);
                asm.put(&[0x0f, 0x34]);
                while asm.here() < back {
                    asm.bytes.push(0x90);
                }
            }
            4 if here == Set::X32 => {
                let gate = match self.kind {
                    Kind::Long => selector::GATE,
                    _ => random.pick(&[selector::GATE, selector::COPYING_GATE]),
                };
                asm.join(&[&[0x9a], &random.word().to_le_bytes(), &gate.to_le_bytes()]);
            }
            _ => asm.put(&[0xcd, random.pick(&[0x32, 3, 0x3e])]),
        }
    }
}

/// A byte of the next instruction is stored just before it.
fn next_byte(asm: &mut Asm, random: &mut Random) {
    let number = random.word() as u8;
    let length = asm.store_byte(0, 0).len() as u32;
    let next = [0xb0, 0]; // MOV AL, 0
    if asm.here() % BUNDLE + length + 2 > BUNDLE {
        asm.align();
    }
    let store = asm.store_byte(asm.here() + length + 1, number);
    asm.join(&[&store, &next]);
}

/// Raises the device's interrupt, which is taken a moment later: after the instruction in the shadow of STI, or of a load of SS.
fn interrupt(asm: &mut Asm, random: &mut Random) {
    asm.put(&[0xfa, 0xe6, RAISE]); // CLI; OUT
    let shadow: &[&[u8]] = &[
        &[0xfb],             // STI
        &[0xfb, 0xfa, 0xfb], // STI; CLI; STI
        &[0xfb, 0xfb],
        &[0x8c, 0xd0, 0xfb, 0x8e, 0xd0], // MOV EAX, SS; STI; MOV SS, EAX
        &[0xfb, 0xf4],                   // STI; HLT
        &[0xfb, 0xcc],                   // STI; INT3
        &[0xfb, 0x9c, 0x9d],             // STI; PUSHF; POPF
    ];
    asm.put(random.pick(shadow));
    asm.put(&[0x90, 0xf8, 0x90, 0xf5]);
    if random.one_in(2) {
        asm.put(&[0xfa]);
    }
}

/// What the stack pointer addresses, OR of a number: of EFLAGS that were pushed, which are popped then.
fn or_flags(asm: &mut Asm, bits: u32) {
    asm.put(&[0x9c]); // PUSHF
    if asm.set == Set::X16 {
        asm.put(&[0x55, 0x89, 0xe5]); // PUSH BP; MOV BP, SP
        let [low, high, ..] = bits.to_le_bytes();
        asm.put(&[0x81, 0x76, 2, low, high]); // XOR [BP+2]
        asm.put(&[0x5d]);
    } else {
        asm.join(&[&[0x81, 0x34, 0x24], &bits.to_le_bytes()]); // XOR [rSP]
    }
    asm.put(&[0x9d]); // POPF
}

/// EFLAGS.TF.
fn single_step(asm: &mut Asm) {
    or_flags(asm, 1 << 8);
}

/// Other flags: IF, DF, IOPL, NT, AC, ID.
fn flags(asm: &mut Asm, random: &mut Random) {
    let bits = random.pick(&[1 << 9, 1 << 10, 3 << 12, 1 << 14, 1 << 18, 1 << 21, 0xcd5, 1 << 19]);
    or_flags(asm, bits);
}

/// IN and OUT; no device answers twice the same.
fn port(asm: &mut Asm, random: &mut Random) {
    asm.set(D, random.word_below(0x400));
    let port = 0x10 + random.word_below(0x80) as u8;
    let codes: &[&[u8]] = &[
        &[0xe4, port],
        &[0xe5, port],
        &[0xec],
        &[0xed],
        &[0x66, 0xed],
        &[0xe6, port],
        &[0xef],
    ];
    asm.put(random.pick(codes));
}

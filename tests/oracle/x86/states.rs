//! States that instructions run on: random and hard ones, in which operands in memory mostly are where there is some.

use super::super::arm::states::{HARD32, doubleword};
use super::super::{Random, Row};
use super::record::{CODE16, CODE64, DATA, DATA_SIZE, FLAT, READ_ONLY, Record, WINDOW, WINDOW_SIZE, descriptor};
use super::words::{insn, is_float, target};
use super::x87;
use emu_frontend_x86::decode::insn::{Insn, Memory};
use emu_frontend_x86::decode::row::{Method, flag};
use emu_frontend_x86::state::Descriptor;
use emu_frontend_x86::state::bits::mxcsr;

/// At the edges of doublewords, words, halfwords and bytes.
const EXTREME: &[u64] = &[
    0,
    1,
    2,
    u64::MAX,
    i64::MAX as u64,
    1 << 63,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0xffff_ffff_8000_0000,
    0xffff_ffff_7fff_ffff,
    0x8080_8080_8080_8080,
    0x7fff,
    0x8000,
    0xffff,
    0xffff_8000,
    0xff,
    0x80,
    0x7f,
    0xff80,
    0x9999,
    0x9a,
    0x0f,
];
/// Shift counts and lengths at the edges.
pub const COUNTS: &[u64] = &[
    0, 1, 2, 7, 8, 9, 15, 16, 17, 18, 24, 30, 31, 32, 33, 34, 47, 48, 62, 63, 64, 65, 127, 128, 255, 256,
];

/// Numbers of general registers.
pub const AX: usize = 0;
pub const CX: usize = 1;
pub const DX: usize = 2;
pub const BX: usize = 3;
const SP: usize = 4;
const BP: usize = 5;
pub const SI: usize = 6;
pub const DI: usize = 7;

/// An operand of arithmetic.
fn operand(random: &mut Random) -> u64 {
    match random.below(8) {
        0 | 1 => random.pick(EXTREME),
        2 => random.pick(EXTREME).wrapping_add(random.below(5)).wrapping_sub(2),
        3 => random.pick(COUNTS),
        4 => u64::from(random.pick(HARD32)) << 32 | u64::from(random.pick(HARD32)),
        5 => random.next() >> random.below(64),
        _ => random.next(),
    }
}

/// The linear address of an operand: mostly in the window, aligned as much as any instruction asks; now and then at an edge of
/// what is mapped or may be written, or where nothing is.
pub fn place(random: &mut Random) -> u64 {
    let edge = random.below(40);
    match random.below(40) {
        0 => DATA + edge - 20,
        1 | 2 => READ_ONLY + edge - 20,
        3 => DATA + DATA_SIZE as u64 + edge - 36,
        4 => 0x6000_0000 | random.below(1 << 28),
        5 | 6 => DATA + 4096 + edge - 20,
        7 => READ_ONLY + 64 * random.below(8),
        _ => {
            let mask = random.pick(&[0, 1, 3, 7, 15, 15, 31, 31, 31, 63]);
            (WINDOW + 128 + random.below(WINDOW_SIZE as u64 - 256)) & !mask
        }
    }
}

/// A state that is being made for an instruction.
pub struct Maker<'a> {
    pub r: &'a mut Record,
    pub random: &'a mut Random,
    /// Nothing if it is none.
    pub insn: Option<Insn>,
}

impl Maker<'_> {
    pub fn name(&self) -> &'static str {
        self.insn.map_or("", |insn| insn.row.name)
    }
    pub fn uses(&self, methods: &[Method]) -> bool {
        let operands = self.insn.iter().flat_map(|insn| insn.row.operands);
        operands.into_iter().any(|o| methods.contains(&o.method))
    }
    /// The base of a segment register by its number.
    fn base(&self, segment: u8) -> u64 {
        match self.r.cs {
            CODE64 if segment >= 4 => self.r.base[usize::from(segment) - 4],
            CODE64 => 0,
            _ => Descriptor(descriptor(self.r.selector(segment))).base().into(),
        }
    }
    /// Where in a segment a linear address is.
    pub fn offset(&self, segment: u8, at: u64) -> u64 {
        let offset = at.wrapping_sub(self.base(segment));
        if self.r.cs == CODE64 {
            offset
        } else {
            offset & 0xffff_ffff
        }
    }
    /// Set a register: all of it where code has 64 bits.
    pub fn set(&mut self, n: usize, value: u64) {
        self.r.regs[n] = if self.r.cs == CODE64 {
            value
        } else {
            value & 0xffff_ffff
        };
    }
    /// Somewhere for control to go to, as an offset in CS.
    pub fn target(&mut self) -> u64 {
        target(self.random, self.r.cs == CODE16)
    }
    /// Put a number into the window, at a linear address.
    pub fn put(&mut self, at: u64, bytes: &[u8]) {
        let start = at.wrapping_sub(WINDOW) as usize;
        let end = start.saturating_add(bytes.len());
        if let Some(held) = self.r.memory().get_mut(start..end) {
            held.copy_from_slice(bytes);
        }
    }
    pub fn put_word(&mut self, at: u64, value: u64, size: u8) {
        self.put(at, &value.to_le_bytes()[..usize::from(size)]);
    }

    fn segments(&mut self) {
        let random = &mut *self.random;
        if self.r.cs == CODE64 {
            self.r.ss = FLAT;
            (self.r.ds, self.r.es) = (random.pick(&[0, FLAT]), random.pick(&[0, FLAT]));
            for base in &mut self.r.base {
                let any = random.next() & 0x7fff_ffff_ffff;
                *base = random.pick(&[0, 0x1000, DATA, 0x7fff_0000_0000, any]);
            }
            return;
        }
        let flat: u64 = if self.r.cs == CODE16 { 3 } else { 10 };
        let mut pick = |others: &[u16]| {
            if random.below(16) < flat {
                FLAT
            } else {
                random.pick(others)
            }
        };
        self.r.ss = pick(&[0x0f, 0x0f, 0x0f, 0x17, 0x1f, 0x47]);
        for segment in [&mut self.r.ds, &mut self.r.es, &mut self.r.fs, &mut self.r.gs] {
            *segment = pick(&[0x0f, 0x0f, 0x0f, 0x0f, 0x17, 0x1f, 0x27, 0x47, 0x3f, 0]);
        }
    }

    /// Registers such that the memory operand is at a linear address; what is fixed by the instruction is left so.
    fn address(&mut self, memory: &Memory, at: u64) {
        let size = self.insn.map_or(8, |insn| insn.address_size);
        let bits = 8 * u32::from(size);
        let mask = u64::MAX >> (64 - bits);
        let want = self
            .offset(memory.segment as u8, at)
            .wrapping_sub(memory.displacement as u64);
        let vectors = self.insn.is_some_and(|insn| insn.row.flags & flag::VSIB != 0);
        let set = |maker: &mut Self, n: u8, value: u64| {
            // What is above does not count, and is something.
            let above = if bits < 64 { maker.random.next() & !mask } else { 0 };
            let above = if maker.random.one_in(2) { above } else { 0 };
            maker.set(n.into(), value & mask | above);
        };
        match (memory.base, memory.index) {
            (base, Some(_)) if vectors => {
                if let Some(base) = base {
                    set(self, base, want);
                }
            }
            (Some(base), Some(index)) if base != index => {
                let any = self.random.next();
                let by = self.random.pick(&[0, 1, 4, 8, 0xffff_ffff_ffff_fff0, any]);
                set(self, index, by);
                let by = self.r.regs[usize::from(index)] << memory.scale;
                set(self, base, want.wrapping_sub(by));
            }
            (Some(both), Some(_)) => set(self, both, want / ((1 << memory.scale) + 1)),
            (Some(base), None) => set(self, base, want),
            (None, Some(index)) => set(self, index, want >> memory.scale),
            (None, None) => {
                let base = at.wrapping_sub(memory.displacement as u64);
                // Linux takes no other.
                if self.r.cs == CODE64 && memory.segment as u8 >= 4 && base < 0x7fff_ffff_f000 {
                    self.r.base[memory.segment as usize - 4] = base;
                }
            }
        }
    }
    /// The linear address of the memory operand, as the state has it now.
    fn at(&self, memory: &Memory) -> u64 {
        let insn = self.insn.expect("it has memory");
        let register = |n: Option<u8>| n.map_or(0, |n| self.r.regs[usize::from(n)]);
        let next = if memory.relative {
            self.r.rip + u64::from(insn.length)
        } else {
            0
        };
        let offset = register(memory.base)
            .wrapping_add(register(memory.index) << memory.scale)
            .wrapping_add(memory.displacement as u64)
            .wrapping_add(next);
        let mask = u64::MAX >> (64 - 8 * u32::from(insn.address_size));
        (offset & mask).wrapping_add(self.base(memory.segment as u8))
    }

    /// What the window holds: numbers of some kind.
    fn window(&mut self, float: bool) {
        for at in (0..WINDOW_SIZE).step_by(8) {
            let number = match self.random.below(8) {
                0..3 if float => doubleword(self.random),
                0..2 => operand(self.random),
                2 => doubleword(self.random),
                _ => self.random.next(),
            };
            self.r.memory()[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        if float && self.random.one_in(2) {
            for at in (0..WINDOW_SIZE - 16).step_by(16) {
                let st = x87::number(self.random);
                self.r.memory()[at..at + 16].copy_from_slice(&st);
            }
        }
    }

    fn vectors(&mut self) {
        for ymm in &mut self.r.ymm {
            for quarter in ymm.as_chunks_mut().0 {
                let integer = self.random.one_in(4);
                let bits = if integer {
                    operand(self.random)
                } else {
                    doubleword(self.random)
                };
                *quarter = u64::to_le_bytes(bits);
            }
        }
        // Some pairs are equal or nearly so.
        for _ in 0..3 {
            let (to, from) = (self.random.below(16) as usize, self.random.below(16) as usize);
            self.r.ymm[to] = self.r.ymm[from];
            let at = self.random.below(32) as usize;
            self.r.ymm[to][at] ^= self.random.pick(&[0, 0, 1, 0x80]);
        }
        let random = &mut *self.random;
        self.r.mxcsr = random.word() & (mxcsr::RC | mxcsr::FLAGS) | mxcsr::MASKS;
        if random.one_in(3) {
            self.r.mxcsr |= random.word() & (mxcsr::DAZ | mxcsr::FTZ);
        }
        if random.one_in(6) {
            self.r.mxcsr &= !(random.word() & mxcsr::MASKS);
        }
    }

    /// The state's general registers, and what they point to.
    fn registers(&mut self) {
        for n in 0..16 {
            let value = operand(self.random);
            self.set(n, value);
        }
        let top = self.stack_top();
        self.implied();
        if let Some((insn, memory)) = self.insn.and_then(|insn| Some((insn, insn.memory?))) {
            let at = if needs_area(insn.row.name) {
                self.area()
            } else {
                place(self.random)
            };
            // A base that is RSP or EBP may be the one that the instruction has its stack by.
            if insn.row.name != "enter" && insn.row.name != "leave" {
                self.address(&memory, at);
            }
            let at = self.at(&memory);
            self.pointed(at);
        }
        self.stacked(top);
    }

    /// Where an area for XSAVE and the like is.
    fn area(&mut self) -> u64 {
        match self.random.below(12) {
            0 => WINDOW + 16 * self.random.below(8),
            1 => place(self.random),
            _ => WINDOW,
        }
    }

    /// A stack: what is on top of it, linear.
    fn stack_top(&mut self) -> u64 {
        let at = match self.random.below(12) {
            0 => place(self.random),
            1 => READ_ONLY + 8 * self.random.below(4),
            _ => WINDOW + 512 + self.random.below(32) * 8 - 128,
        };
        let at = at + if self.random.one_in(8) { self.random.below(8) } else { 0 };
        let offset = self.offset(2, at);
        self.set(SP, offset);
        if self.r.cs == CODE64 && self.random.one_in(60) {
            self.set(SP, 0x8000_0000_0000 | at);
        }
        let frame = at + 8 * self.random.below(16);
        let frame = self.offset(2, frame);
        if self.random.one_in(2) || matches!(self.name(), "leave" | "enter") {
            self.set(BP, frame);
        }
        at
    }
}

/// Whether instructions of this name access as much as the window has.
fn needs_area(name: &str) -> bool {
    ["fxsave", "fxrstor", "xsave", "xrstor", "xsaveopt", "xsavec"].contains(&name)
}

/// The state before the row's instruction.
pub fn state(row: &Row, r: &mut Record, random: &mut Random) {
    let insn = insn(r).ok();
    let mut maker = Maker { r, random, insn };
    maker.segments();
    maker.window(is_float(row));
    maker.vectors();
    maker.registers();
    x87::state(maker.r, maker.random);
}

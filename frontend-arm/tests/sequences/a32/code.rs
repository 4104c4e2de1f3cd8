//! Encoding of the instructions that sequences are made of.

use crate::pattern::{field, put_field};
use crate::program;
use emu_frontend_arm::a32::{self, Insn, Set};
use emu_ir::pattern::Row;
use emu_ir::testing::Random;

/// Rows by what they do; those that would leave the sequence are in none.
pub struct Rows {
    /// Computing, in A32, T32 and T16, and VFP and Advanced SIMD in both sets.
    pub arm: Vec<&'static Row<Insn>>,
    pub wide: Vec<&'static Row<Insn>>,
    pub narrow: Vec<&'static Row<Insn>>,
    pub vector: Vec<&'static Row<Insn>>,
    /// Loads and stores.
    pub arm_memory: Vec<&'static Row<Insn>>,
    pub wide_memory: Vec<&'static Row<Insn>>,
    pub vector_memory: Vec<&'static Row<Insn>>,
}

/// Rows that branch, wait, or change what the sequence relies on: made on purpose elsewhere.
fn is_apart(name: &str) -> bool {
    let branches = [
        "b", "bl", "bx", "bxj", "blx", "cbz", "cbnz", "tbb", "tbh", "bkpt", "svc", "hvc", "smc", "rfe", "srs",
    ];
    let system = [
        "wfi",
        "wfe",
        "yield_",
        "sev",
        "cps",
        "msr",
        "mcr",
        "mrc",
        "mcrr",
        "mrrc",
        "subs_pc_lr",
        "setend",
        "it",
    ];
    let first = name.split('_').next().unwrap_or_default();
    branches.contains(&first) || system.contains(&first) || system.contains(&name)
}

fn is_memory(name: &str) -> bool {
    ["ld", "st", "vld", "vst", "swp", "push", "pop"]
        .iter()
        .any(|start| name.starts_with(start))
}

impl Rows {
    pub fn new() -> Rows {
        let simd: Vec<&str> = a32::vfp::TABLES
            .iter()
            .chain(a32::neon::TABLES)
            .flat_map(|t| t.iter())
            .map(|r| r.pattern.text)
            .collect();
        let pick = |set, memory| -> Vec<_> {
            let all = a32::rows(set).filter(|r| !is_apart(r.name) && is_memory(r.name) == memory);
            all.filter(|r| !simd.contains(&r.pattern.text)).collect()
        };
        let vector = |memory| -> Vec<_> {
            let all = a32::rows(Set::A32).filter(|r| simd.contains(&r.pattern.text));
            all.filter(|r| is_memory(r.name) == memory).collect()
        };
        Rows {
            arm: pick(Set::A32, false),
            wide: pick(Set::T32, false),
            narrow: pick(Set::T16, false),
            vector: vector(false),
            arm_memory: pick(Set::A32, true),
            wide_memory: pick(Set::T32, true),
            vector_memory: vector(true),
        }
    }
}

impl Rows {
    /// Without what may access, or move the stack pointer to, just any address.
    pub fn with_known_addresses() -> Rows {
        let mut rows = Rows::new();
        for memory in [&mut rows.arm_memory, &mut rows.wide_memory, &mut rows.vector_memory] {
            memory.retain(|row| field(row.pattern.text, 'm').count_ones() != 4);
        }
        rows.narrow.retain(|row| row.pattern.bits >> 8 != 0xb0);
        rows
    }
}

/// The first of four registers that hold addresses.
pub const ADDRESSES: u32 = 8;

/// A word of the row: registers r0 to r7, for addresses r8 to r11, small offsets.
pub fn word_of(row: &Row<Insn>, random: &mut Random) -> u32 {
    let base = ADDRESSES + random.word_below(4);
    word_by(row, base, random)
}

/// The same, with this register for an address.
pub fn word_by(row: &Row<Insn>, base: u32, random: &mut Random) -> u32 {
    let (text, memory) = (row.pattern.text, is_memory(row.name));
    let mut word = random.word() & !row.pattern.mask | row.pattern.bits;
    if row.pattern.width == 16 {
        return word & 0xffff;
    }
    if text.starts_with("----") {
        let always = random.word_below(4) != 0;
        word = put_field(word, 0xf000_0000, if always { 14 } else { random.word_below(14) });
    }
    for name in "ndmasthleru".chars() {
        let mask = field(text, name);
        if mask.count_ones() == 4 {
            word = put_field(word, mask, random.word_below(8));
        }
    }
    if memory {
        word = put_field(word, field(text, 'n'), base);
        let offset = field(text, 'i');
        if offset.count_ones() == 12 && !random.one_in(16) {
            word &= !(offset & 0xf80);
        }
        let list = field(text, 'l');
        if list.count_ones() == 16 {
            word = word & !list | random.word() & 0xff | 1 << random.word_below(8);
        }
    }
    word
}

/// The T32 form of an A32 word of VFP or Advanced SIMD.
pub fn thumb_of_vector(word: u32) -> u32 {
    match word >> 24 {
        0xf2 => word & 0x00ff_ffff | 0xef00_0000,
        0xf3 => word & 0x00ff_ffff | 0xff00_0000,
        0xf4 => word & 0x00ff_ffff | 0xf900_0000,
        _ => word & 0x0fff_ffff | 0xe000_0000,
    }
}

/// Instructions of one set, one after the other.
#[derive(Clone, Default)]
pub struct Asm {
    pub thumb: bool,
    pub bytes: Vec<u8>,
}

impl Asm {
    pub fn new(thumb: bool) -> Asm {
        Asm {
            thumb,
            bytes: Vec::new(),
        }
    }
    /// A T16 instruction.
    pub fn narrow(&mut self, half: u32) {
        self.bytes.extend((half as u16).to_le_bytes());
    }
    /// A 32-bit instruction of the set.
    pub fn word(&mut self, word: u32) {
        if self.thumb {
            self.narrow(word >> 16);
            self.narrow(word);
        } else {
            self.bytes.extend(word.to_le_bytes());
        }
    }
    fn either(&mut self, arm: u32, thumb: u32) {
        self.word(if self.thumb { thumb } else { arm });
    }
    /// MOVW and MOVT.
    pub fn set(&mut self, register: u32, value: u32) {
        for (arm, thumb, half) in [
            (0xe300_0000, 0xf240_0000, value & 0xffff),
            (0xe340_0000, 0xf2c0_0000, value >> 16),
        ] {
            self.either(
                arm | half >> 12 << 16 | register << 12 | half & 0xfff,
                thumb | half >> 12 << 16 | (half >> 11 & 1) << 26 | (half >> 8 & 7) << 12 | register << 8 | half & 0xff,
            );
        }
    }
    /// STR, without an offset.
    pub fn store(&mut self, register: u32, base: u32) {
        self.either(
            0xe580_0000 | base << 16 | register << 12,
            0xf8c0_0000 | base << 16 | register << 12,
        );
    }
    /// MCR p15.
    pub fn write(&mut self, (crn, opc1, crm, opc2): (u32, u32, u32, u32), register: u32) {
        self.word(0xee00_0f10 | opc1 << 21 | crn << 16 | register << 12 | opc2 << 5 | crm);
    }
    /// MRC p15.
    pub fn read(&mut self, (crn, opc1, crm, opc2): (u32, u32, u32, u32), register: u32) {
        self.word(0xee10_0f10 | opc1 << 21 | crn << 16 | register << 12 | opc2 << 5 | crm);
    }
    pub fn isb(&mut self) {
        self.either(0xf57f_f06f, 0xf3bf_8f6f);
    }
    pub fn dsb(&mut self) {
        self.either(0xf57f_f04f, 0xf3bf_8f4f);
    }
    /// CPSID I.
    pub fn mask_interrupts(&mut self) {
        self.either(0xf10c_0080, 0xf3af_8640);
    }
    /// CPSIE I, CPSID I: where an interrupt that is pending is taken.
    pub fn open_to_interrupts(&mut self) {
        self.either(0xf108_0080, 0xf3af_8440);
        self.mask_interrupts();
    }
    /// CPS to a mode.
    pub fn mode(&mut self, mode: u32) {
        self.either(0xf102_0000 | mode, 0xf3af_8100 | mode);
    }
    /// BX, or BLX, to the address in a register.
    pub fn exchange(&mut self, register: u32, link: bool) {
        match (self.thumb, link) {
            (true, _) => self.narrow(0x4700 | u32::from(link) << 7 | register << 3),
            (false, true) => self.word(0xe12f_ff30 | register),
            (false, false) => self.word(0xe12f_ff10 | register),
        }
    }
    /// Counts r12 down; at zero to `end`, below 0x100, in A32.
    pub fn count_down(&mut self, end: u32) {
        self.either(0xe25c_c001, 0xf1bc_0c01);
        if self.thumb {
            self.narrow(0xdc01);
            self.narrow(0x2000 | end);
            self.narrow(0x4700);
        } else {
            self.word(0xd3a0_f000 | end);
        }
    }
    /// B or BL from `here` (which is where it will lie) to an address in the same set, or BLX to one in the other.
    pub fn branch(&mut self, here: u32, to: u32, to_thumb: bool, link: bool) {
        if !self.thumb {
            let offset = to.wrapping_sub(here + 8);
            return self.word(match (to_thumb, link) {
                (true, _) => 0xfa00_0000 | (offset >> 1 & 1) << 24 | offset >> 2 & 0xff_ffff,
                (false, true) => 0xeb00_0000 | offset >> 2 & 0xff_ffff,
                (false, false) => 0xea00_0000 | offset >> 2 & 0xff_ffff,
            });
        }
        let base = if to_thumb { here + 4 } else { (here + 4) & !3 };
        let offset = to.wrapping_sub(base);
        let sign = offset >> 24 & 1;
        let j = |bit: u32| (offset >> bit & 1) ^ sign ^ 1;
        let second = match (to_thumb, link) {
            (false, _) => 0xc000,
            (true, true) => 0xd000,
            (true, false) => 0x9000,
        };
        let high = 0xf000 | sign << 10 | offset >> 12 & 0x3ff;
        self.word(high << 16 | second | j(23) << 13 | j(22) << 11 | offset >> 1 & 0x7ff);
    }
    /// B<cond> over the next `bytes` bytes.
    pub fn skip(&mut self, condition: u32, bytes: u32) {
        if self.thumb {
            self.narrow(0xd000 | condition << 8 | (bytes.wrapping_sub(2) >> 1 & 0xff));
        } else {
            self.word(0x0a00_0000 | condition << 28 | (bytes.wrapping_sub(4) >> 2 & 0xff_ffff));
        }
    }
    /// B<cond> back over the `bytes` bytes before it.
    pub fn again(&mut self, condition: u32, bytes: u32) {
        if self.thumb {
            self.narrow(0xd000 | condition << 8 | ((bytes + 4).wrapping_neg() >> 1 & 0xff));
        } else {
            self.word(0x0a00_0000 | condition << 28 | ((bytes + 8).wrapping_neg() >> 2 & 0xff_ffff));
        }
    }
    /// SUBS lr, lr, #1.
    pub fn decrement(&mut self) {
        self.either(0xe25e_e001, 0xf1be_0e01);
    }
    /// Bytes of the NOPs that settle a piece.
    pub const SETTLED: u32 = 8;
    /// NOPs that an IT block, or a fault that skips too much, may run into without harm.
    pub fn settle(&mut self) {
        if self.thumb {
            self.bytes.extend(program::Set::Thumb.nops(Asm::SETTLED as usize));
        }
    }
}

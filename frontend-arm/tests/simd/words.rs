//! Instruction words and states to run them on: random ones, and hard ones.

use crate::machine::{APSR, MEMORY, Record, THUMB};
use bytemuck::Zeroable;
use emu_frontend_arm::a32::Insn;
use emu_ir::pattern::Row;

/// Pseudo-random words (SplitMix64), the same in every run.
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// Words that are hard as floats, as fixed point, or as vectors of bytes and halfwords.
#[rustfmt::skip]
const HARD32: &[u32] = &[
    0, 0x8000_0000, 0x3f80_0000, 0xbf80_0000, 0x4000_0000, 0x7f80_0000, 0xff80_0000, 0x7fc0_0000, 0xffc1_2345, 0x7f80_0001,
    0xffa0_0000, 1, 0x8000_0001, 0x007f_ffff, 0x807f_ffff, 0x0080_0000, 0x8080_0000, 0x7f7f_ffff, 0xff7f_ffff, 0x3f7f_ffff,
    0x4f00_0000, 0xcf00_0000, 0x4f80_0000, 0x4eff_ffff, 0x4700_0000, 0xc700_0000, 0x477f_ff00, 0x46ff_fe00, 0x3f00_0000,
    0x4020_0000, 0xbf00_0000, 0x3fc0_0000, 0xc020_0000, 0x1f80_0000, 0x2000_0000, 0x6000_0000, 0x7e80_0000, 0x7f00_0000,
    0x3380_0000, 0x3880_0000, 0x387f_ffff, 0x477f_efff, 0x477f_f000, 0x3300_0000, 0x7fff_ffff, 0x8000_8000, 0x7fff_8000,
    0x8000_7fff, 0x8080_8080, 0x7f7f_7f7f, 0xffff_ffff, 0x0001_0001, 0x0080_ff7f, 0x7c00_fc00, 0x7e01_7c01, 0x03ff_8400,
    0x0000_0010, 0x0000_00f0, 0x2030_1f0f, 0xe0f8_08ff,
];
/// Doubles at the edges of their classes, of single precision, and of the integers.
#[rustfmt::skip]
const HARD64: &[u64] = &[
    0, 1 << 63, 0x3ff0_0000_0000_0000, 0xbff0_0000_0000_0000, 0x7ff0_0000_0000_0000, 0xfff0_0000_0000_0000,
    0x7ff8_0000_0000_0000, 0xfff8_dead_0000_beef, 0x7ff0_0000_0000_0001, 0xfff4_0000_0000_0000, 1, 0x800f_ffff_ffff_ffff,
    0x0010_0000_0000_0000, 0x8010_0000_0000_0000, 0x7fef_ffff_ffff_ffff, 0xffef_ffff_ffff_ffff, 0x41e0_0000_0000_0000,
    0xc1e0_0000_0000_0000, 0xc1e0_0000_0010_0000, 0x41df_ffff_ffc0_0000, 0x41ef_ffff_ffe0_0000, 0x41f0_0000_0000_0000,
    0x3fe0_0000_0000_0000, 0x4004_0000_0000_0000, 0xbfe0_0000_0000_0000, 0x3810_0000_0000_0000, 0x380f_ffff_ffff_ffff,
    0x3690_0000_0000_0000, 0x47ef_ffff_e000_0000, 0x47ef_ffff_f000_0000, 0x3ff0_0000_1000_0000, 0x40df_ffff_0000_0000,
    0x40e0_0000_0000_0000, 0x40ef_ffe0_0000_0000, 0xc0e0_0000_0000_0001, 0x7fff_ffff_ffff_ffff, u64::MAX,
];

/// A doubleword: words or doubles that are hard, near each other, or random.
fn operand(random: &mut Random) -> u64 {
    let hard = |random: &mut Random| u64::from(random.pick(HARD32));
    let near = |random: &mut Random, exponents: u64| {
        let bits = random.next();
        (bits & 0x807f_ffff) | (120 + random.below(exponents)) << 23
    };
    match random.below(8) {
        0 | 1 => random.pick(HARD64),
        2 | 3 => hard(random) << 32 | hard(random),
        4 => near(random, 16) << 32 | near(random, 16),
        5 => near(random, 40) << 32 | hard(random),
        6 => random.next() & !(0x7ff << 52) | (1010 + random.below(40)) << 52,
        _ => random.next(),
    }
}

/// The bits of a pattern's field, if it has it.
fn field(text: &str, name: char) -> u32 {
    text.chars()
        .filter(|c| *c != ' ')
        .fold(0, |mask, c| mask << 1 | u32::from(c == name))
}

/// A word of the row: condition AL, no stack pointer or pc where core registers are named.
pub fn word_of(row: &Row<Insn>, random: &mut Random, vfp: bool) -> u32 {
    let (text, memory) = (
        row.pattern.text,
        row.name.starts_with("vld") || row.name.starts_with("vst"),
    );
    let mut word = random.next() as u32 & !row.pattern.mask | row.pattern.bits;
    if vfp {
        word = word & 0x0fff_ffff | 0xe000_0000;
    }
    if memory {
        word = word & !(15 << 16) | (random.below(10) as u32) << 16;
        if !vfp {
            word &= !(8 << 12); // no registers past the last
        }
    }
    if matches!(row.name, "vtrn" | "vuzp" | "vzip") && (word ^ word >> 12) & 15 == 0 {
        word ^= 2; // not the same register twice
    }
    for mask in ['t', 'u']
        .map(|f| field(text, f))
        .into_iter()
        .filter(|m| vfp && !memory && m.count_ones() == 4)
    {
        while matches!((word & mask) >> mask.trailing_zeros(), 13 | 15) {
            word ^= 4 << mask.trailing_zeros();
        }
    }
    if row.name.starts_with("vmov_from") && (word >> 12 ^ word >> 16) & 15 == 0 {
        word ^= 2 << 12; // nor core register
    }
    if row.name.ends_with("two_singles") {
        word &= !8; // there is none after S31
    }
    if vfp && memory && row.name.len() > 4 && random.below(4) > 0 {
        word &= !0xf0; // short enough to fit the registers, more often than not
    }
    if row.name.ends_with("fixed") && word & 0x80 == 0 {
        word &= !8; // no negative number of fraction bits
    }
    if row.name == "vmsr" || row.name == "vmrs" {
        word = word & !(15 << 16) | 1 << 16;
    }
    word
}

/// The T32 form of an A32 word of these instruction sets.
fn t32(word: u32) -> u32 {
    match word >> 24 {
        0xf2 => word & 0x00ff_ffff | 0xef00_0000,
        0xf3 => word & 0x00ff_ffff | 0xff00_0000,
        0xf4 => word & 0x00ff_ffff | 0xf900_0000,
        _ => word,
    }
}

/// An A32 or T32 instruction, data little or big-endian, on a state.
pub fn record(word: u32, random: &mut Random) -> Record {
    let mut r = Record::zeroed();
    r.set = random.below(4) as u32;
    r.word = if r.set & THUMB != 0 { t32(word) } else { word };
    let modes = random.next() as u32;
    r.fpscr = modes & (7 << 24 | 3 << 22);
    if random.below(4) == 0 {
        r.fpscr |= random.next() as u32 & 0xf800_009f;
    }
    r.apsr = random.next() as u32 & APSR;
    for (i, v) in r.r.iter_mut().enumerate() {
        let align = random.pick(&[0, 0, 0, 32, 16, 8, 4, 2, 1, 12]);
        *v = match i {
            // QEMU checks alignment to 16 bytes at most.
            0..10 if word >> 24 == 0xf4 && word & 0x30 == 0x30 => MEMORY + 2048 + (align & !16),
            0..10 => MEMORY + 2048 + align,
            10 => random.next() as u32,
            _ => random.pick(HARD32),
        };
    }
    r.d.iter_mut().for_each(|d| *d = operand(random));
    // Some pairs of operands are equal or opposite.
    for _ in 0..4 {
        let (to, from) = (random.below(32) as usize, random.below(32) as usize);
        r.d[to] = r.d[from] ^ random.pick(&[0, 1 << 63, 1 << 31, 1, 1 << 32]);
    }
    let memory: [u64; 512] = std::array::from_fn(|_| random.next());
    r.memory = bytemuck::cast(memory);
    r
}

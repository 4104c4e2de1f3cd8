//! States that instructions run on: random and hard ones.

use super::super::{Random, Row};
use super::record::{CODE, CODE_SIZE, DATA, DATA_SIZE, Record};
use super::runs;
use super::words::{Fields, touches_memory};

/// Words that are hard as integers, as shift counts, as floats, as fixed point, or as vectors of bytes and halfwords.
#[rustfmt::skip]
pub const HARD32: &[u32] = &[
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
/// Shift counts at the edges.
const COUNTS: &[u32] = &[
    0, 1, 2, 7, 8, 15, 16, 24, 30, 31, 32, 33, 40, 63, 64, 127, 128, 224, 255, 256, 0x101,
];

/// A doubleword: words or doubles that are hard, near each other, or random.
pub fn doubleword(random: &mut Random) -> u64 {
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

/// Words at the edges of words, halfwords and bytes.
const EXTREME: &[u32] = &[
    0,
    1,
    u32::MAX,
    0x7fff_ffff,
    0x8000_0000,
    0x8000_8000,
    0x8000_8000,
    0x7fff_7fff,
    0x8000_7fff,
    0x8080_8080,
];

/// An operand of data processing.
fn operand(random: &mut Random) -> u32 {
    match random.below(8) {
        0 | 1 => random.pick(EXTREME),
        2 | 3 => random.pick(HARD32),
        4 => random.pick(COUNTS),
        5 => random.pick(HARD32).wrapping_add(random.below(5) as u32).wrapping_sub(2),
        _ => random.word(),
    }
}

/// An address of data: of any alignment, now and then at the edge of what is mapped, of code, or of nothing.
fn pointer(random: &mut Random) -> u32 {
    let by = random.pick(&[0, 0, 0, 0, 0, 0, 0, 32, 32, 16, 8, 4, 2, 1, 12, 64]);
    let edge = random.below(40) as u32;
    match random.below(32) {
        0 => DATA.wrapping_sub(20) + edge,
        1 => DATA + DATA_SIZE as u32 - 20 - edge,
        2 => CODE + CODE_SIZE as u32 / 2 + by,
        3 => 0x5000_0000 | random.word() >> 4,
        _ => DATA + DATA_SIZE as u32 / 2 + by,
    }
}

/// Somewhere to go: into code, in either state, or astray.
fn target(random: &mut Random) -> u32 {
    match random.below(8) {
        0 => 0x5000_0000 | random.word() >> 4,
        1 => random.below(128) as u32,
        2 => DATA + random.below(DATA_SIZE as u64) as u32,
        n => {
            let at = CODE + random.below(CODE_SIZE as u64) as u32;
            // Thumb, or A32 at a word.
            if n & 1 == 0 { at | 1 } else { at & !3 }
        }
    }
}

/// An index that is small after a shift by the constant `k` (imm5:type).
fn index(k: u32, random: &mut Random) -> u32 {
    let (by, kind) = (k >> 2, k & 3);
    let small = random.pick(&[
        0,
        1,
        2,
        3,
        4,
        8,
        12,
        20,
        64,
        0xff,
        0u32.wrapping_sub(4),
        0u32.wrapping_sub(16),
    ]);
    match kind {
        0 if by > 10 => random.below(2) as u32 & u32::from(by < 20),
        1 | 2 if by == 0 => random.word(),
        1 => small.wrapping_shl(by) | random.word() & ((1 << by) - 1),
        2 => small << by | random.word() & ((1 << by) - 1),
        3 => small.rotate_left(by),
        _ => small,
    }
}

/// The core registers, by what the row does with them.
fn registers(row: &Row, r: &mut Record, random: &mut Random) {
    if row.file == runs::FILE {
        r.r = std::array::from_fn(|_| operand(random));
        r.r[13] = DATA + DATA_SIZE as u32 / 2;
        return;
    }
    let (fields, word) = (Fields::of(row), r.word);
    let to_pc = fields.value('d', word) == Some(15) || matches!(row.name.as_str(), "bx" | "blx" | "bxj");
    let memory = touches_memory(&row.name);
    for v in &mut r.r {
        *v = match random.below(4) {
            0..3 if memory => pointer(random),
            // Far from where the oracle's program is.
            _ if memory => random.word() & 0x8fff_ffff | 0x6000_0000,
            _ if to_pc => target(random),
            _ => operand(random),
        };
    }
    if memory {
        r.r[13] = pointer(random);
        if row.file == "neon" && word & 0x30 == 0x30 {
            // The oracle checks alignment to 16 bytes at most.
            r.r.iter_mut().for_each(|v| *v &= !16);
        }
        let index_field = fields.value('m', word).or(fields.value('x', word));
        if let Some(m @ 0..15) = index_field
            && Some(m) != fields.value('n', word)
        {
            let k = fields.value('k', word).unwrap_or(0);
            let k = if fields.mask('k').count_ones() == 2 { k << 2 } else { k };
            let words = row.name.starts_with("ldrd") || row.name.starts_with("strd");
            r.r[m as usize] = index(k, random) & if words { !3 } else { !0 };
        }
    }
    if let ("cbz" | "cbnz", Some(n)) = (row.name.as_str(), fields.value('n', word)) {
        r.r[n as usize] &= random.pick(&[0, u32::MAX]);
    }
    if let (true, Some(count @ 0..15)) = (row.name.ends_with("_rsr"), fields.value('r', word)) {
        r.r[count as usize] = random.pick(COUNTS) | random.word() << 8;
    }
    // Some operands are equal or nearly so.
    if let (Some(m @ 0..15), Some(n @ 0..15)) = (fields.value('m', word), fields.value('n', word))
        && !memory
        && random.one_in(3)
    {
        r.r[m as usize] = r.r[n as usize] ^ random.pick(&[0, 0, u32::MAX, 1, 1 << 31]);
    }
}

/// The state before the row's instruction.
pub fn state(row: &Row, r: &mut Record, random: &mut Random) {
    r.fpscr = random.word() & (7 << 24 | 3 << 22);
    if random.one_in(4) {
        r.fpscr |= random.word() & 0xf800_009f;
    }
    registers(row, r, random);
    r.d.iter_mut().for_each(|d| *d = doubleword(random));
    // Some pairs of operands are equal or opposite.
    for _ in 0..4 {
        let (to, from) = (random.below(32) as usize, random.below(32) as usize);
        r.d[to] = r.d[from] ^ random.pick(&[0, 1 << 63, 1 << 31, 1, 1 << 32]);
    }
}

//! Hard operands: zeros, ones, extremes, counts at and past the width, NaNs, denormals, halfway values.

use emu_ir::testing::Random;
use emu_ir::{
    Lane, STATUS_AUXILIARY, STATUS_CARRY, STATUS_FIXED, STATUS_OVERFLOW, STATUS_PARITY, STATUS_SIGN, STATUS_ZERO, Ty,
};

/// What kind of values an operand takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An integer.
    Int(Ty),
    /// 0 or 1.
    Bool,
    /// A word of status flags.
    Status,
    /// A float.
    Float(Ty),
    /// A half precision float in an I16.
    Half,
    /// A vector of lanes.
    Vec(Ty, Lane),
    /// An I32 address in or around the test memory.
    Address,
}

/// A word of status flags by number, 0 to 63.
fn status(n: u128) -> u128 {
    let flags = [
        STATUS_OVERFLOW,
        STATUS_CARRY,
        STATUS_PARITY,
        STATUS_AUXILIARY,
        STATUS_ZERO,
        STATUS_SIGN,
    ];
    let set = flags.iter().enumerate().filter(|(k, _)| n >> k & 1 != 0);
    set.fold(STATUS_FIXED, |word, (_, flag)| word | flag).into()
}

impl Kind {
    /// Its type.
    pub fn ty(self) -> Ty {
        match self {
            Kind::Int(ty) | Kind::Float(ty) | Kind::Vec(ty, _) => ty,
            Kind::Bool => Ty::I8,
            Kind::Half | Kind::Status => Ty::I16,
            Kind::Address => Ty::I32,
        }
    }
    /// Its hard values (for vectors: those of one lane).
    fn hard(self) -> Vec<u128> {
        match self {
            Kind::Int(ty) => integers(ty.bits()),
            Kind::Bool => vec![0, 1],
            Kind::Status => (0..64u128).map(status).collect(),
            Kind::Float(ty) => hard_float(ty).into_iter().map(u128::from).collect(),
            Kind::Half => HARD_HALF.map(|v| v as u128).to_vec(),
            Kind::Vec(_, e) => scalar(e).hard(),
            Kind::Address => vec![
                0,
                1,
                2,
                3,
                4,
                8,
                0x7f,
                0x100,
                0x123,
                0xff0,
                0xff8,
                0xffc,
                0xffe,
                0xfff,
                0x1000,
                0xffff_fff0,
            ],
        }
    }
    /// A value: mostly hard ones, else random bits.
    fn pick(self, random: &mut Random) -> u128 {
        match self {
            Kind::Vec(ty, e) => {
                let lanes = (0..ty.bits() / e.bits()).map(|_| scalar(e).pick(random));
                lanes.enumerate().fold(0, |v, (i, l)| v | l << (i as u32 * e.bits()))
            }
            Kind::Bool => random.below(2) as u128,
            Kind::Status => status(random.below(64) as u128),
            Kind::Address => random.below(super::MEMORY - 32) as u128,
            Kind::Int(_) | Kind::Float(_) | Kind::Half => {
                let hard = self.hard();
                match random.below(4) {
                    0 => (random.next() as u128 | (random.next() as u128) << 64) & self.ty().mask(),
                    _ => hard[random.below(hard.len() as u64) as usize],
                }
            }
        }
    }
}

/// Vectors that are hard in one lane, so that its flags are seen: the others hold ones.
fn one_lane(kinds: &[Kind], random: &mut Random) -> Vec<u128> {
    let lane = random.next();
    let mut vector = |kind: &Kind| {
        let Kind::Vec(ty, e) = *kind else {
            unreachable!("a vector")
        };
        let (width, count) = (e.bits(), ty.bits() / e.bits());
        let one = match e {
            Lane::F16 => 0x3c00,
            Lane::F32 => 1f32.to_bits() as u128,
            Lane::F64 => 1f64.to_bits() as u128,
            Lane::I8 | Lane::I16 | Lane::I32 | Lane::I64 => 1,
        };
        let at = (lane % count as u64) as u32;
        let bits = |i| if i == at { scalar(e).pick(random) } else { one };
        (0..count)
            .map(bits)
            .enumerate()
            .fold(0, |v, (i, l)| v | l << (i as u32 * width))
    };
    kinds.iter().map(&mut vector).collect()
}

/// The kind of one lane.
fn scalar(e: Lane) -> Kind {
    match e {
        Lane::F16 => Kind::Half,
        Lane::F32 | Lane::F64 => Kind::Float(e.scalar()),
        Lane::I8 | Lane::I16 | Lane::I32 | Lane::I64 => Kind::Int(e.scalar()),
    }
}

fn integers(bits: u32) -> Vec<u128> {
    let mask = u128::MAX >> (128 - bits);
    let min = 1u128 << (bits - 1);
    let w = bits as u128;
    let mut all = vec![
        0,
        1,
        2,
        3,
        7,
        w - 1,
        w,
        w + 1,
        2 * w - 1,
        min - 1,
        min,
        min + 1,
        mask - 1,
        mask,
        0x55,
        0x5555_5555_5555_5555,
        0xaaaa_aaaa_aaaa_aaaa,
        0x0123_4567_89ab_cdef,
        0x8000_0000,
        0xffff_ffff,
    ];
    all.iter_mut().for_each(|v| *v &= mask);
    all.sort_unstable();
    all.dedup();
    all
}

const HARD_SINGLE: [u32; 28] = [
    0,
    0x8000_0000,
    1,
    0x8000_0001,
    0x0040_0000,
    0x007f_ffff,
    0x807f_ffff,
    0x0080_0000,
    0x8080_0000,
    0x0080_0001,
    0x3f80_0000,
    0xbf80_0000,
    0x3f80_0001,
    0x3f7f_ffff,
    0x3f00_0000,
    0x3fc0_0000,
    0x4020_0000,
    0x4f00_0000,
    0xcf00_0000,
    0x4f80_0000,
    0x5f00_0000,
    0x7f7f_ffff,
    0xff7f_ffff,
    0x7f80_0000,
    0xff80_0000,
    0x7fc0_1234,
    0x7f80_0001,
    0xffa0_5678,
];

const HARD_DOUBLE: [u64; 28] = [
    0,
    1 << 63,
    1,
    0x8000_0000_0000_0001,
    0x0008_0000_0000_0000,
    0x000f_ffff_ffff_ffff,
    0x800f_ffff_ffff_ffff,
    0x0010_0000_0000_0000,
    0x8010_0000_0000_0000,
    0x3ff0_0000_0000_0000,
    0xbff0_0000_0000_0000,
    0x3ff0_0000_0000_0001,
    0x3fef_ffff_ffff_ffff,
    0x3fe0_0000_0000_0000,
    0x3ff8_0000_0000_0000,
    0x4004_0000_0000_0000,
    0x41e0_0000_0000_0000,
    0xc1e0_0000_0000_0000,
    0x41f0_0000_0000_0000,
    0x43e0_0000_0000_0000,
    0x36a0_0000_0000_0000,
    0x380f_ffff_ffff_ffff,
    0x7fef_ffff_ffff_ffff,
    0x7ff0_0000_0000_0000,
    0xfff0_0000_0000_0000,
    0x7ff8_0000_0000_1234,
    0x7ff0_0000_0000_0001,
    0xfff4_5678_0000_0000,
];

const HARD_HALF: [u16; 16] = [
    0, 0x8000, 1, 0x8001, 0x200, 0x3ff, 0x400, 0x3c00, 0xbc00, 0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x7e01, 0x7c01, 0xfd55,
];

/// Hard bit patterns of F32 or F64.
pub fn hard_float(ty: Ty) -> Vec<u64> {
    match ty {
        Ty::F32 => HARD_SINGLE.map(|v| v as u64).to_vec(),
        _ => HARD_DOUBLE.to_vec(),
    }
}

/// Rows of operands: every pair of hard values, or a sample; random ones.
pub(super) fn rows(name: &str, kinds: &[Kind]) -> Vec<Vec<u128>> {
    let mut random = Random::new(
        name.bytes()
            .fold(kinds.len() as u64, |h, b| h.wrapping_mul(31) + b as u64),
    );
    let exhaustive = kinds.iter().all(|k| !matches!(k, Kind::Vec(..)));
    let mut rows = vec![Vec::new()];
    if exhaustive {
        for kind in kinds {
            let hard = kind.hard();
            rows = rows
                .iter()
                .flat_map(|r| hard.iter().map(move |v| [&r[..], &[*v]].concat()))
                .collect();
        }
    } else {
        rows.clear();
    }
    const LIMIT: usize = 900;
    while rows.len() > LIMIT {
        let at = random.below(rows.len() as u64) as usize;
        rows.swap_remove(at);
    }
    let vectors = !kinds.is_empty() && kinds.iter().all(|k| matches!(k, Kind::Vec(..)));
    let lanes = if vectors { 150 } else { 0 };
    rows.extend((0..lanes).map(|_| one_lane(kinds, &mut random)));
    let extra = if kinds.is_empty() { 0 } else { 150 };
    rows.extend((0..extra).map(|_| kinds.iter().map(|k| k.pick(&mut random)).collect()));
    rows
}

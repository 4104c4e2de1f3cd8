//! States that instructions run on: random and hard ones.

use super::super::arm::states::{HARD32, doubleword};
use super::super::{Random, Row};
use super::machine::{features, state_of};
use super::record::{CODE, CODE_SIZE, DATA, DATA_SIZE, Record, initial_data};
use super::words::{Fields, touches_memory};
use emu_frontend_arm::a64::pauth::field::{Which, add};
use std::sync::LazyLock;

/// What memory holds.
static INITIAL: LazyLock<Vec<u8>> = LazyLock::new(initial_data);

/// At the edges of doublewords, words, halfwords and bytes.
const EXTREME: &[u64] = &[
    0,
    1,
    u64::MAX,
    i64::MAX as u64,
    1 << 63,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0xffff_ffff_8000_0000,
    0xffff_ffff_7fff_ffff,
    0x7fff_ffff_8000_0000,
    0x8080_8080_8080_8080,
    0x7fff,
    0x8000,
    0xff,
    0x80,
];
/// Shift counts at the edges.
const COUNTS: &[u64] = &[
    0, 1, 7, 8, 15, 16, 30, 31, 32, 33, 47, 48, 62, 63, 64, 65, 127, 128, 255, 256,
];

/// An operand of data processing.
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

/// An address of data: of any alignment, now and then at the edge of what is mapped, of code, or of nothing.
fn pointer(random: &mut Random) -> u64 {
    let by = random.pick(&[0, 0, 0, 0, 0, 0, 0, 32, 32, 16, 8, 4, 2, 1, 12, 64]);
    let edge = random.below(40);
    match random.below(32) {
        0 => DATA - 20 + edge,
        1 => DATA + DATA_SIZE as u64 - 20 - edge,
        2 => CODE + CODE_SIZE as u64 / 2 + by,
        3 => astray(random),
        _ => DATA + DATA_SIZE as u64 / 2 + by,
    }
}

/// Where nothing is, far from the oracle's program.
fn astray(random: &mut Random) -> u64 {
    0x6000_0000 | random.below(1 << 28)
}

/// Somewhere to go: into code, between words of it, or astray.
fn target(random: &mut Random) -> u64 {
    match random.below(8) {
        0 => astray(random) & !3,
        1 => CODE + random.below(CODE_SIZE as u64),
        _ => CODE + random.below(CODE_SIZE as u64 / 4) * 4,
    }
}

/// An index that is small.
fn index(random: &mut Random) -> u64 {
    random.pick(&[
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
        4u64.wrapping_neg(),
        16u64.wrapping_neg(),
    ])
}

/// The general-purpose registers, by what the row does with them.
fn registers(row: &Row, r: &mut Record, random: &mut Random) {
    let (fields, word) = (Fields::of(row), r.word);
    let branches = ["br", "blr", "ret"].iter().any(|start| row.name.starts_with(start)) && !row.name.starts_with("brk");
    let memory = touches_memory(&row.name) || matches!(row.name.as_str(), "sys" | "dc_zva");
    for v in &mut r.x {
        *v = match random.below(4) {
            0..3 if memory => pointer(random),
            _ if memory => astray(random),
            _ if branches => target(random),
            _ => operand(random),
        };
    }
    if memory && !row.name.starts_with("prf") {
        data(row, r, random);
    }
    if row.name.starts_with("cb")
        && let Some(t) = fields.value('t', word)
    {
        r.x[t as usize] &= random.pick(&[0, u64::MAX, u64::MAX << 32]);
    }
    if row.name.ends_with('v')
        && let Some(count) = fields.value('m', word)
    {
        r.x[count as usize] = random.pick(COUNTS) | random.next() << 8;
    }
    // Some operands are equal or nearly so.
    if let (Some(m), Some(n)) = (fields.value('m', word), fields.value('n', word))
        && !memory
        && random.one_in(3)
    {
        r.x[m as usize] = r.x[n as usize] ^ random.pick(&[0, 0, u64::MAX, 1, 1 << 31, 1 << 63]);
    }
}

/// What a load or store takes besides an address: an index, and values, some of which are what memory holds.
fn data(row: &Row, r: &mut Record, random: &mut Random) {
    let (fields, word) = (Fields::of(row), r.word);
    let base = fields.value('n', word);
    for name in ['t', 'u', 's']
        .into_iter()
        .filter(|f| fields.mask(*f).count_ones() == 5)
    {
        if let Some(t) = fields
            .value(name, word)
            .filter(|t| Some(*t) != base && random.one_in(2))
        {
            r.x[t as usize] = operand(random);
        }
    }
    if let Some(m) = fields.value('m', word).filter(|m| Some(*m) != base && *m != 31) {
        let small = index(random);
        let is_word = fields.value('o', word).is_some_and(|o| o & 1 == 0);
        r.x[m as usize] = if is_word { small | random.next() << 32 } else { small };
    }
    if let (true, Some(n), Some(s)) = (row.name.starts_with("cas"), base, fields.value('s', word))
        && s != n
        && s + 1 != n
        && s < 30
        && !random.one_in(3)
    {
        let at = r.x[n as usize].wrapping_sub(DATA) as usize;
        let held = |at: usize| {
            let bytes = INITIAL.get(at..at.saturating_add(8)).and_then(|b| b.try_into().ok());
            u64::from_le_bytes(bytes.unwrap_or_default())
        };
        let words = row.name == "casp" && word >> 30 & 1 == 0;
        r.x[s as usize] = held(at);
        if row.name == "casp" && s & 1 == 0 {
            r.x[s as usize + 1] = held(at.wrapping_add(if words { 4 } else { 8 }));
        }
    }
}

/// What the row checks the authentication code of: a register, the key, and the modifier.
fn checked(row: &Row, r: &Record) -> Option<(usize, Which, u64)> {
    let (fields, word) = (Fields::of(row), r.word);
    let get = |field| fields.value(field, word).unwrap_or(0);
    let (b, x) = (get('b'), |n: u32| r.x[n as usize]);
    if fields.mask('a') != 0 && get('a') == 0 {
        return None;
    }
    Some(match row.name.as_str() {
        "pac" => (get('d') as usize, Which(get('k')), x(get('n'))),
        "pac_zero" => (get('d') as usize, Which(get('k')), 0),
        "pac_1716" => (17, Which(b), x(16)),
        "pac_x30" => (30, Which(b), if get('s') == 1 { x(31) } else { 0 }),
        "braa" | "blraa" => (get('n') as usize, Which(b), x(get('m'))),
        "braaz" | "blraaz" => (get('n') as usize, Which(b), 0),
        "retaa" => (30, Which(b), x(31)),
        "ldraa" => (get('n') as usize, Which(2 | b), 0),
        _ => return None,
    })
}

/// Most of what is checked is right.
fn sign(row: &Row, r: &mut Record, random: &mut Random) {
    let Some((register, which, modifier)) = checked(row, r) else {
        return;
    };
    if random.below(8) != 0 {
        r.x[register] = add(&state_of(r), features(), r.x[register], modifier, which);
    }
}

/// Numbers of half precision at the edges of their classes, and of the integers.
const HARD16: &[u64] = &[
    0, 0x8000, 1, 0x8001, 0x3ff, 0x83ff, 0x400, 0x8400, 0x401, 0x3bff, 0x3c00, 0xbc00, 0x3c01, 0x3e00, 0x4000, 0xc000,
    0x4200, 0x7bff, 0xfbff, 0x7800, 0x7c00, 0xfc00, 0x7c01, 0xfd55, 0x7e00, 0xfe01, 0x3800, 0xb800, 0x3555, 0x2c00,
    0x0200,
];

/// Four numbers of half precision: hard, near one another, or random.
fn halves(random: &mut Random) -> u64 {
    (0..4).fold(0, |all, _| {
        let one = match random.below(4) {
            0 | 1 => random.pick(HARD16),
            2 => random.next() & 0x83ff | (10 + random.below(10)) << 10,
            _ => random.next() & 0xffff,
        };
        all << 16 | one
    })
}

/// The state before the row's instruction.
pub fn state(row: &Row, r: &mut Record, random: &mut Random) {
    r.fpcr = random.word() & (7 << 24 | 3 << 22);
    if random.one_in(4) {
        r.fpsr = random.word() & 0x0800_009f;
    }
    registers(row, r, random);
    if row.file == "pauth" {
        sign(row, r, random);
    }
    r.v = std::array::from_fn(|_| [doubleword(random), doubleword(random)]);
    if row.file == "half" {
        r.fpcr |= random.word() & 1 << 19;
        for v in &mut r.v {
            if random.below(4) != 0 {
                *v = [halves(random), halves(random)];
            }
        }
    }
    // Some pairs of operands are equal or opposite.
    for _ in 0..4 {
        let (to, from) = (random.below(32) as usize, random.below(32) as usize);
        let by = random.pick(&[0, 1 << 63, 1 << 31, 1, 1 << 32]);
        r.v[to] = r.v[from].map(|half| half ^ by);
    }
}

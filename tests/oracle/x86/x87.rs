//! States of x87: stacks that are full, empty or partly so, hard numbers, and exceptions that are masked, unmasked or wait.

use super::super::Random;
use super::record::Record;

/// Exceptions: IE, DE, ZE, OE, UE, PE in the status word, and their masks in the control word.
const EXCEPTIONS: u16 = 0x3f;
/// The status word's ES and B.
const SUMMARY: u16 = 1 << 7 | 1 << 15;
/// Precision and rounding control.
const MODES: u16 = 0xf << 8;
const TOP: u16 = 7 << 11;

/// Significands at the edges of classes and of the integers.
const SIGNIFICANDS: [u64; 16] = [
    0,
    1,
    1 << 63,
    1 << 63 | 1,
    u64::MAX,
    0xc000_0000_0000_0000,
    0xbfff_ffff_ffff_ffff,
    0xa000_0000_0000_0000,
    0x8000_0000_0000_0400,
    0x8000_0080_0000_0000,
    0xffff_ff80_0000_0000,
    0xffff_ffff_ffff_fc00,
    0xffff_ff7f_ffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0x4000_0000_0000_0000,
    0xc90f_daa2_2168_c235,
];
/// Exponents at the edges of classes, of single and double precision, and of the integers.
const EXPONENTS: [u16; 24] = [
    0,
    0,
    1,
    2,
    0x7ffe,
    0x7fff,
    0x7fff,
    0x3fff,
    0x3ffe,
    0x4000,
    0x3fff + 15,
    0x3fff + 30,
    0x3fff + 31,
    0x3fff + 62,
    0x3fff + 63,
    0x3fff + 64,
    0x3fff - 126,
    0x3fff - 127,
    0x3fff - 149,
    0x3fff + 127,
    0x3fff + 128,
    0x3fff - 1022,
    0x3fff - 1074,
    0x3fff + 1023,
];

/// A number of 80 bits, in 16 bytes: of any class, or near 1.
pub fn number(random: &mut Random) -> [u8; 16] {
    let (mut significand, mut exponent) = match random.below(8) {
        0..3 => (random.pick(&SIGNIFICANDS), random.pick(&EXPONENTS)),
        3 => (random.next() | 1 << 63, random.pick(&EXPONENTS)),
        4 => (
            random.pick(&SIGNIFICANDS) | 1 << 63,
            0x3fff + random.below(70) as u16 - 3,
        ),
        5 => (
            random.next() << random.below(64) | 1 << 63,
            0x3fff + random.below(66) as u16,
        ),
        _ => (random.next() | 1 << 63, 0x3fff + random.below(12) as u16 - 6),
    };
    if random.one_in(64) {
        // As MMX leaves them.
        (significand, exponent) = (random.next(), 0x7fff);
    }
    let sign = (random.word() as u16) << 15;
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&significand.to_le_bytes());
    bytes[8..10].copy_from_slice(&(exponent | sign).to_le_bytes());
    bytes
}

/// A control word: mostly all is masked.
pub fn control(random: &mut Random) -> u16 {
    let modes = random.word() as u16 & MODES;
    let precision = random.pick(&[0, 0x200, 0x300, 0x300, 0x300]);
    let masks = match random.below(4) {
        0 => random.word() as u16 & EXCEPTIONS,
        _ => EXCEPTIONS,
    };
    modes & !0x300 | precision | masks | 0x40
}

/// The state before an instruction.
pub fn state(r: &mut Record, random: &mut Random) {
    r.control = control(random);
    r.status = random.word() as u16 & (TOP | 0x4700);
    if random.one_in(2) {
        r.status |= random.word() as u16 & (EXCEPTIONS | 0x40);
        // One that is unmasked waits to be reported; mostly there is none.
        if random.below(3) != 0 {
            r.status &= r.control | !EXCEPTIONS;
        }
    }
    if r.status & !r.control & EXCEPTIONS != 0 {
        r.status |= SUMMARY;
        // Else they are not to be seen.
        r.opcode = random.word() as u16 & 0x7ff;
        r.pointers = [0, 1].map(|_| random.next() & 0xffff_ffff);
    }
    r.tags = match random.below(8) {
        0 => 0,
        1 | 2 => random.word() as u16 & 0xff,
        _ => 0xff,
    };
    for n in 0..8 {
        r.st[n] = number(random);
    }
    // Some are equal, opposite or near.
    if random.one_in(3) {
        let (to, from) = (random.below(8) as usize, random.below(8) as usize);
        r.st[to] = r.st[from];
        r.st[to][9] ^= random.pick(&[0, 0x80]);
        r.st[to][0] ^= random.pick(&[0, 1]);
    }
}

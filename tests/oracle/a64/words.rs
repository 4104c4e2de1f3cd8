//! Instructions of a row: every free bit is random, though fields whose values are mostly reserved or without effect take
//! the others more often.

use super::super::{Random, Row};
use super::record::{CODE, CODE_WORDS, Record, UDF};
use bytemuck::Zeroable;
use emu_frontend_arm::a64::{Features, calls::CALLS, decoder, state::mode, translate::translate};
use emu_ir::{BlockKey, Builder, Effect, Fault, Fetch, HelperFn, Op};

/// A row's fields: where their bits are.
pub struct Fields<'a>(&'a str);

impl Fields<'_> {
    pub fn of(row: &Row) -> Fields<'_> {
        Fields(&row.pattern)
    }
    /// The bits of the field, if the row has it.
    pub fn mask(&self, name: char) -> u32 {
        let bits = self.0.chars().filter(|c| *c != ' ');
        bits.fold(0, |mask, c| mask << 1 | u32::from(c == name))
    }
    /// The value of the field in a word, if the row has it.
    pub fn value(&self, name: char, word: u32) -> Option<u32> {
        let mask = self.mask(name);
        (mask != 0).then(|| emu_ir::pattern::extract(word, mask))
    }
    /// A word with another value of a field.
    pub fn with(&self, name: char, word: u32, value: u32) -> u32 {
        let mask = self.mask(name);
        let shift = mask.trailing_zeros().min(31);
        word & !mask | value << shift & mask
    }
}

/// Whether instructions of that name access memory by a base register `n`.
pub fn touches_memory(name: &str) -> bool {
    let starts = ["ld", "st", "cas", "swp", "prf"];
    starts.iter().any(|start| name.starts_with(start)) && !name.ends_with("_literal")
}

/// System registers that programs may access and whose values are not the oracle's own: NZCV, FPCR, FPSR; DAIF, which is
/// trapped; one that does not exist.
const REGISTERS: [u32; 5] = [0xda10, 0xda20, 0xda21, 0xda11, 0xdfff];
/// Instructions that programs may use: IC IVAU, DC CVAC, CVAU and CIVAC; one that does not exist.
const SYSTEM: [u32; 5] = [0x5ba9, 0x5bd1, 0x5bd9, 0x5bf1, 0x5fff];
/// Fields of PSTATE: DAIFSet, DAIFClr (both trapped), SPSel, and one that does not exist.
const PSTATE: [(u32, u32); 4] = [(3, 6), (3, 7), (0, 5), (1, 1)];

/// A word of the row, which no finer row takes.
pub fn word_of(row: &Row, random: &mut Random) -> u32 {
    let fields = Fields::of(row);
    let (ones, fixed) = (fields.mask('1'), fields.mask('0') | fields.mask('1'));
    let mut word = 0;
    for _ in 0..1000 {
        word = random.word() & !fixed | ones;
        if !random.one_in(12) {
            word = tamed(row, word, random);
        }
        if is_of(row, word) {
            break;
        }
    }
    word
}

/// Whether the decoder finds this row for the word.
pub fn is_of(row: &Row, word: u32) -> bool {
    let found = decoder().find(word);
    found.is_some_and(|f| f.name == row.name && f.pattern.text == row.pattern)
}

/// The word with fewer reserved fields.
fn tamed(row: &Row, word: u32, random: &mut Random) -> u32 {
    let fields = Fields::of(row);
    let name = row.name.as_str();
    match name {
        "mrs" | "msr" => word & !(0xffff << 5) | random.pick(&REGISTERS) << 5,
        "sys" => word & !(0xffff << 5) | random.pick(&SYSTEM) << 5,
        "msr_imm" => {
            let (o, p) = random.pick(&PSTATE);
            fields.with('p', fields.with('o', word, o), p)
        }
        "casp" => word & !(1 << 16 | 1),
        // A literal in the area of code.
        _ if name.ends_with("_literal") => {
            let words = random.word_below(0x400).wrapping_sub(0x200);
            fields.with('i', word, words & 0x7_ffff)
        }
        // An offset within memory, whatever the size.
        "str_imm" | "ldr_imm" if row.file == "fp" => word & !(0xe00 << 10),
        // An aligned offset.
        _ if name.starts_with("stlur") || name.starts_with("ldapur") => word & !(7 << 12),
        _ if name.ends_with("_extended") => fields.with('k', word, random.word_below(5)),
        _ if fields.mask('h').count_ones() == 2 && fields.value('h', word) == Some(3) && fields.mask('k') != 0 => {
            fields.with('h', word, random.word_below(3))
        }
        _ => word,
    }
}

/// Whether the word's result is the oracle's own, or would disturb it.
fn is_foreign(row: &Row, word: u32) -> bool {
    let register = word >> 5 & 0xffff;
    match row.name.as_str() {
        "mrs" | "msr" => !REGISTERS.contains(&register),
        "sys" | "sysl" => !SYSTEM.contains(&register) && row.name == "sys",
        "msr_imm" => {
            let field = (word >> 16 & 7, word >> 5 & 7);
            !PSTATE.contains(&field)
        }
        _ => false,
    }
}

/// The load-exclusive that arms the monitor for a store-exclusive.
fn load_exclusive(row: &Row, word: u32, random: &mut Random) -> Option<u32> {
    if !row.name.starts_with("stx") || random.one_in(5) {
        return None;
    }
    // By another register now and then, if it is not one that holds data: a fault outside of the addresses that the oracle's
    // host has does not say where it was.
    let data = [word & 31, word >> 10 & 31, word >> 16 & 31];
    let other = Some(random.word_below(31)).filter(|r| random.one_in(6) && !data.contains(r));
    let n = other.unwrap_or(word >> 5 & 31);
    let pair = word >> 21 & 1 != 0;
    let used = |r: u32| [word & 31, word >> 5 & 31, word >> 10 & 31, word >> 16 & 31, n].contains(&r);
    let mut free = (0..30).filter(|r| !used(*r));
    let (t, u) = (free.next()?, free.next()?);
    let second = if pair { u } else { 31 };
    Some(word & 0xc000_0000 | 0x085f_0000 | u32::from(pair) << 21 | second << 10 | n << 5 | t)
}

/// A random instruction of the row, and what leads to it: an armed monitor.
pub fn code(row: &Row, random: &mut Random) -> Record {
    let mut word = word_of(row, random);
    while is_foreign(row, word) {
        word = word_of(row, random);
    }
    let lead = load_exclusive(row, word, random);
    let mut code = [UDF; CODE_WORDS];
    code.iter_mut()
        .zip(lead.into_iter().chain([word]))
        .for_each(|(to, from)| *to = from);
    Record {
        code,
        pc: CODE + 0x1000 + random.below(0x3f8) * 4,
        nzcv: random.word() & 0xf000_0000,
        word,
        ..Record::zeroed()
    }
}

/// Code words from the start of a page.
pub struct Words<'a>(pub &'a [u32]);

impl Fetch for Words<'_> {
    fn u16(&mut self, offset: u32) -> Result<u16, Fault> {
        let word = self.0[offset as usize / 4];
        Ok((word >> (offset % 4 * 8)) as u16)
    }
}

/// Whether the row computes in floating point: by what its instructions are translated to.
pub fn is_float(row: &Row) -> bool {
    let computes = |i: &emu_ir::Inst| match i.op {
        Op::Call { helper, .. } => matches!(CALLS[helper as usize].f, HelperFn::Flags(_)),
        op => op.effect() == Effect::Fp || matches!(op, Op::FNeg { .. } | Op::FAbs { .. }),
    };
    (0..16).any(|n| {
        let (r, mut b) = (code(row, &mut Random::of(&row.id(), n)), Builder::new());
        let key = BlockKey {
            phys: 0,
            mode: mode::FP.into(),
            marked: false,
        };
        translate(Features::ALL, key, 0, 1, &mut Words(&[r.word]), &mut b).expect("code is there");
        b.block.insts.iter().any(computes)
    })
}

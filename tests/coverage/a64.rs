//! A64.

use super::Isa;
use crate::oracle::Random;
use capstone::Capstone;
use emu_frontend_arm::a64::{self, Features, calls::UNDEFINED, decoder, translate::translate};
use emu_ir::{BlockKey, Builder, Fault, Fetch, Op};

struct A64(Capstone);

impl A64 {
    fn new() -> A64 {
        use capstone::prelude::*;
        let capstone = Capstone::new().arm64().mode(arch::arm64::ArchMode::Arm).build();
        A64(capstone.expect("capstone knows A64"))
    }
}

/// Whether a word is of a group that has rows: all but the scalable vectors and matrices.
fn has_rows(word: u32) -> bool {
    !matches!(word >> 25 & 15, 0b0000..=0b0011)
}

/// Bits of the opcode, whatever the group; bits 20 to 16 and 11 to 10 tell some instructions apart, too.
const OPCODE: u32 = 0xffe0_fc00;

/// Bits of the opcode of data processing on vectors and floats: in some classes those that name a register in others.
const VECTOR: u32 = 0xf1ff_fc00;

/// Spread the bits of `value` over those of `mask`.
fn spread(mut value: u32, mask: u32) -> u32 {
    let (mut out, mut left) = (0, mask);
    while left != 0 {
        let bit = left & left.wrapping_neg();
        out |= if value & 1 != 0 { bit } else { 0 };
        (value, left) = (value >> 1, left & !bit);
    }
    out
}

impl Isa for A64 {
    fn name(&self) -> &'static str {
        "A64"
    }
    /// Every value of the opcode's bits, registers at random; the system instructions; vectors; then some at random.
    fn words(&self, random: &mut Random) -> Box<dyn Iterator<Item = u32> + '_> {
        let mut random = Random::of(&random.next().to_string(), 0);
        let mut other = Random::of("coverage", 64);
        let by_opcode = (0..1 << OPCODE.count_ones()).map(move |n| spread(n, OPCODE) | other.word() & !OPCODE);
        let system = (0..1 << 17).map(|n| 0xd500_001f | n << 5);
        let mut third = Random::of("coverage of vectors", 64);
        let vectors =
            (0..1 << VECTOR.count_ones()).map(move |n| 7 << 25 | spread(n, VECTOR) | third.word_below(1 << 10));
        let some = (0..200_000).map(move |_| random.word());
        Box::new(
            by_opcode
                .chain(system)
                .chain(vectors)
                .chain(some)
                .filter(|w| has_rows(*w)),
        )
    }
    fn disassemble(&self, word: u32) -> Option<(String, String)> {
        let insns = self.0.disasm_count(&word.to_le_bytes(), 0x1000, 1).ok()?;
        let insn = insns.iter().next()?;
        let mnemonic = insn.mnemonic()?.to_string();
        let text = format!("{mnemonic} {}", insn.op_str().unwrap_or(""));
        Some((mnemonic, text))
    }
    fn row(&self, word: u32) -> Option<&'static str> {
        decoder().find(word).map(|r| r.name)
    }
    fn words_of_rows(&self, random: &mut Random) -> Vec<(&'static str, Vec<u32>)> {
        let mut word = |row: &a64::Row<a64::Insn>| {
            // Bits that should be one are ignored by rows, and not by capstone.
            let bits = row.pattern.text.chars().filter(|c| *c != ' ');
            let ignored = bits.fold(0, |mask, c| mask << 1 | u32::from(c == '-'));
            let ignored = if random.one_in(2) { ignored } else { 0 };
            random.word() & !row.pattern.mask | row.pattern.bits | ignored
        };
        let words = |row: &'static a64::Row<a64::Insn>| (row.name, (0..100).map(|_| word(row)).collect());
        a64::rows().map(words).collect()
    }
    fn may_be_unknown(&self, row: &str) -> bool {
        UNKNOWN.contains(&row)
    }
    fn is_named(&self, row: &str, mnemonic: &str) -> bool {
        let name = row.split('_').next().unwrap_or(row);
        let aliases = ALIASES.iter().find(|(n, _)| *n == name).map_or(&[][..], |(_, a)| a);
        mnemonic.starts_with(name) || aliases.iter().any(|a| mnemonic.starts_with(a))
    }
    fn reason(&self, _: u32, mnemonic: &str, text: &str) -> Option<&'static str> {
        if mnemonic.starts_with('m') && text.contains("s0_") {
            return Some("system instructions whose op0 is 0, other than hints, barriers and PSTATE: unallocated");
        }
        let table = REASONS
            .iter()
            .find(|(_, starts)| starts.iter().any(|s| mnemonic.starts_with(s)));
        table.map(|(reason, _)| *reason)
    }
}

/// Rows that capstone does not know.
const UNKNOWN: &[&str] = &[
    "udf", "rmif", "setf8", "setf16", "cfinv", "xaflag", "axflag", "sb", "stllrb", "stllrh", "stllr", "ldlarb",
    "ldlarh", "ldlar",
];

/// By how the mnemonics start.
const REASONS: &[(&str, &[&str])] = &[
    ("memory copy and set (FEAT_MOPS): Armv8.8", &["cpy", "set"]),
    ("branches with a hint (FEAT_HBC): Armv8.8", &["bc."]),
    (
        "memory tagging (FEAT_MTE): Armv8.5, no CPU model has it",
        &[
            "addg", "subg", "gmi", "irg", "ldg", "st2g", "stg", "stz", "subp", "cmpp",
        ],
    ),
    (
        "transactions (FEAT_TME): Armv9",
        &["tstart", "tcommit", "tcancel", "ttest"],
    ),
    ("64-byte accesses (FEAT_LS64): Armv8.7", &["ld64b", "st64b"]),
    ("waits with a timeout (FEAT_WFxT): Armv8.7", &["wfet", "wfit"]),
    ("barriers of FEAT_XS: Armv8.7", &["dsb"]),
];

/// What else capstone calls a row's instruction than by the row's name up to the first underscore.
const ALIASES: &[(&str, &[&str])] = &[
    ("add", &["mov"]),
    ("adds", &["cmn"]),
    ("sub", &["neg"]),
    ("subs", &["cmp", "neg"]),
    ("ands", &["tst"]),
    ("orr", &["mov"]),
    ("dup", &["mov"]),
    ("ins", &["mov"]),
    ("umov", &["mov"]),
    ("not", &["mvn"]),
    ("orn", &["mvn"]),
    ("movn", &["mov"]),
    ("movz", &["mov"]),
    ("sbc", &["ngc"]),
    ("sbcs", &["ngc"]),
    ("sbfm", &["asr", "sbf", "sxt"]),
    ("bfm", &["bf"]),
    ("ubfm", &["lsl", "lsr", "ubf", "uxt"]),
    ("extr", &["ror"]),
    ("lslv", &["lsl"]),
    ("lsrv", &["lsr"]),
    ("asrv", &["asr"]),
    ("rorv", &["ror"]),
    ("csinc", &["cset", "cinc"]),
    ("csinv", &["cset", "cinv"]),
    ("csneg", &["cneg"]),
    ("madd", &["mul"]),
    ("msub", &["mneg"]),
    ("smaddl", &["smull"]),
    ("smsubl", &["smnegl"]),
    ("umaddl", &["umull"]),
    ("umsubl", &["umnegl"]),
    ("hint", &["psb", "tsb", "dgh", "nop"]),
    ("pac", &["aut"]),
    ("braa", &["brab"]),
    ("braaz", &["brabz"]),
    ("blraa", &["blrab"]),
    ("blraaz", &["blrabz"]),
    ("retaa", &["retab"]),
    ("eretaa", &["eretab"]),
    ("ldraa", &["ldrab"]),
    ("bti", &["hint"]),
    ("csdb", &["hint"]),
    ("dsb", &["ssbb", "pssbb", "dfb"]),
    ("dmb", &["dmb"]),
    ("sys", &["dc", "ic", "at", "tlbi", "cfp", "dvp", "cpp"]),
    ("msr", &["smst"]),
    ("casb", &["cas"]),
    ("cash", &["cas"]),
    ("stp", &["stnp"]),
    ("ldp", &["ldnp"]),
    ("stxr", &["stlxr"]),
    ("stxrb", &["stlxrb"]),
    ("stxrh", &["stlxrh"]),
    ("stxp", &["stlxp"]),
    ("ldxr", &["ldaxr"]),
    ("ldxrb", &["ldaxrb"]),
    ("ldxrh", &["ldaxrh"]),
    ("ldxp", &["ldaxp"]),
    ("ldadd", &["stadd"]),
    ("ldclr", &["stclr"]),
    ("ldeor", &["steor"]),
    ("ldset", &["stset"]),
    ("ldsmax", &["stsmax"]),
    ("ldsmin", &["stsmin"]),
    ("ldumax", &["stumax"]),
    ("ldumin", &["stumin"]),
];

#[test]
fn what_capstone_accepts_is_a_row_or_not_required() {
    insta::assert_snapshot!("a64_not_implemented", super::not_implemented("a64", &[A64::new()]));
}

#[test]
fn every_row_disassembles_to_its_own_mnemonic() {
    let wrong = super::misnamed(&A64::new());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Code bytes from the start of the page.
struct Code([u8; 4]);

impl Fetch for Code {
    fn u16(&mut self, offset: u32) -> Result<u16, Fault> {
        let at = offset as usize;
        Ok(u16::from_le_bytes([self.0[at], self.0[at + 1]]))
    }
}

fn block(word: u32) -> Builder {
    let (mut b, key) = (
        Builder::new(),
        BlockKey {
            phys: 0,
            mode: 0,
            marked: false,
        },
    );
    translate(Features::ALL, key, 0, 1, &mut Code(word.to_le_bytes()), &mut b).expect("code is there");
    b
}

#[test]
fn branches_go_where_capstone_says() {
    const DIRECT: &[&str] = &["b", "b_cond", "bl", "cbz", "cbnz", "tbz", "tbnz"];
    let isa = A64::new();
    let rows = isa.words_of_rows(&mut Random::of(isa.name(), 2));
    for (row, words) in rows.into_iter().filter(|(row, _)| DIRECT.contains(row)) {
        for word in words {
            let Some((_, text)) = isa.disassemble(word) else {
                continue;
            };
            let to = text
                .rsplit_once("#0x")
                .map(|(_, hex)| u64::from_str_radix(hex, 16).expect("an address"));

            let gone = block(word).block.insts.iter().find_map(|i| match i.op {
                Op::Goto { offset, .. } => Some(0x1000_u64.wrapping_add_signed(offset.into())),
                _ => None,
            });

            assert_eq!(gone, to, "{row} {word:#010x}: {text}");
        }
    }
}

#[test]
fn what_capstone_accepts_is_not_undefined() {
    let isa = A64::new();
    let undefined = |word: &u32| {
        let is = |i: &emu_ir::Inst| matches!(i.op, Op::Call { helper, .. } if helper == UNDEFINED);
        block(*word).block.insts.iter().any(is)
    };
    const UNDEFINED_ROWS: &[&str] = &["hvc", "smc", "hlt", "drps", "dcps1", "dcps2", "dcps3", "udf", "sysl"];
    let words = isa.words(&mut Random::of(isa.name(), 3)).step_by(7);
    let known = words.filter(|w| isa.row(*w).is_some_and(|row| !UNDEFINED_ROWS.contains(&row)));

    let wrong: Vec<_> = known
        .filter(undefined)
        .filter_map(|word| Some(format!("{word:08x} {}", isa.disassemble(word)?.1)))
        .take(20)
        .collect();

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

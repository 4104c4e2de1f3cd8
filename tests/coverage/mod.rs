//! What instruction sets have, as capstone knows them, against the rows of the decode tables: what capstone accepts has a
//! row or stands in the snapshot of what is not implemented, with the reason why the CPU models do not have it; and every
//! row is what capstone calls by its name. An instruction set joins by an [`Isa`].
//!
//! After a change, `INSTA_UPDATE=always cargo test --test emu coverage` writes the snapshot anew.

mod a64;
mod arm;

use crate::oracle::Random;
use std::collections::BTreeMap;
use std::io::Write;

/// An instruction set, or one of an architecture's.
pub trait Isa {
    /// For messages.
    fn name(&self) -> &'static str;
    /// Words to look at: systematic ones, and random ones.
    fn words(&self, random: &mut Random) -> Box<dyn Iterator<Item = u32> + '_>;
    /// Mnemonic and text by capstone of an instruction that fills its bytes.
    fn disassemble(&self, word: u32) -> Option<(String, String)>;
    /// The name of the word's row.
    fn row(&self, word: u32) -> Option<&'static str>;
    /// For each row its name and words of it.
    fn words_of_rows(&self, random: &mut Random) -> Vec<(&'static str, Vec<u32>)>;
    /// Whether capstone may not know a row's words.
    fn may_be_unknown(&self, row: &str) -> bool;
    /// Whether a row's instruction may have this mnemonic.
    fn is_named(&self, row: &str, mnemonic: &str) -> bool;
    /// Why the CPU models need not have an instruction.
    fn reason(&self, word: u32, mnemonic: &str, text: &str) -> Option<&'static str>;
}

/// What has no row: by instruction set and reason, the mnemonics; of each one word as an example.
type Missing = BTreeMap<(&'static str, &'static str), BTreeMap<String, String>>;

/// The reason of what has no row and needs one.
const REQUIRED: &str = "REQUIRED";

/// Looks at all words of a set; how many there were.
fn sweep(isa: &dyn Isa, missing: &mut Missing) -> usize {
    let mut count = 0;
    for word in isa.words(&mut Random::of(isa.name(), 0)) {
        count += 1;
        if isa.row(word).is_some() {
            continue;
        }
        if let Some((mnemonic, text)) = isa.disassemble(word) {
            let reason = isa.reason(word, &mnemonic, &text).unwrap_or(REQUIRED);
            let found = missing.entry((isa.name(), reason)).or_default();
            found.entry(mnemonic).or_insert_with(|| format!("{word:08x} {text}"));
        }
    }
    count
}

/// Sweeps all sets of an architecture; says how it went, past the test harness, and gives the list of what has no row.
#[track_caller]
fn not_implemented(architecture: &str, sets: &[impl Isa]) -> String {
    let mut missing = Missing::new();
    let words: usize = sets.iter().map(|isa| sweep(isa, &mut missing)).sum();
    let mnemonics: usize = missing.values().map(BTreeMap::len).sum();
    let line = format!("\n*** {architecture} by capstone: {words} encodings, {mnemonics} mnemonics not implemented\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
    let required: Vec<_> = missing.iter().filter(|((_, reason), _)| *reason == REQUIRED).collect();
    assert!(required.is_empty(), "without a row and a reason: {required:#?}");
    list(&missing)
}

/// Every row's own words must be what capstone calls by the row's name; what is wrong.
fn misnamed(isa: &impl Isa) -> Vec<String> {
    let (mut random, mut wrong) = (Random::of(isa.name(), 1), Vec::new());
    for (row, words) in isa.words_of_rows(&mut random) {
        let known: Vec<_> = words
            .into_iter()
            .filter_map(|w| Some((w, isa.disassemble(w)?)))
            .collect();
        if known.is_empty() && !isa.may_be_unknown(row) {
            wrong.push(format!("{} {row}: never an instruction", isa.name()));
        }
        let other = known.iter().find(|(word, (mnemonic, _))| {
            let found = isa.row(*word).unwrap_or("?");
            !isa.is_named(found, mnemonic)
        });
        if let Some((word, (_, text))) = other {
            wrong.push(format!("{} {word:#010x}: row {row} is {text}", isa.name()));
        }
    }
    wrong
}

/// The list as text: under each reason its mnemonics.
fn list(missing: &Missing) -> String {
    let mut text = String::new();
    for ((set, reason), mnemonics) in missing {
        text += &format!("\n{set}, {}: {reason}\n   ", mnemonics.len());
        let mut column = 3;
        for mnemonic in mnemonics.keys() {
            if column + mnemonic.len() > 118 {
                text += "\n   ";
                column = 3;
            }
            text += &format!(" {mnemonic}");
            column += 1 + mnemonic.len();
        }
        text += "\n";
    }
    text
}

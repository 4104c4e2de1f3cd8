//! Instructions against oracles that no one here wrote: the rows of every decode table, on random and hard states.
//!
//! What an oracle answered is kept in files ([`vectors`]), which are held against the interpreter and the JIT wherever the
//! tests run; where the oracle itself is installed, it is asked anew with fresh states. An instruction set joins by an
//! [`Isa`]: its rows, its records, a way to run them here, and the command that runs them there.
//!
//! `EMU_ORACLE_WRITE=1` writes the files anew, `EMU_ORACLE_ROUNDS` says how many fresh states each row gets,
//! `EMU_ORACLE_SEED` which, and `EMU_ORACLE_ROW` restricts all but the writing to the rows whose names start so.

mod a64;
mod areas;
mod arm;
mod check;
mod process;
mod vectors;
mod watch;
mod x86;

pub use emu_ir::testing::Random;
pub use process::Oracle;

use bytemuck::Pod;
use emu_jit::engine::Accel;

/// A row of a decode table, in one of the instruction sets that have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The file of its vectors: an instruction set or a part of one.
    pub file: String,
    /// The name of the function that it runs.
    pub name: String,
    /// Its bits, as the table has them.
    pub pattern: String,
}

impl Row {
    /// What its random numbers and messages go by.
    pub fn id(&self) -> String {
        format!("{} {} \"{}\"", self.file, self.name, self.pattern)
    }
}

/// An instruction set with an oracle.
pub trait Isa: Sync {
    /// In the names of files and messages.
    const NAME: &'static str;
    /// Instructions with the state before or after: whole 32-bit words, first those that say what is executed.
    type Record: Pod + PartialEq + Send + Sync;
    /// How many words at a record's start say what is executed: vector files hold them.
    const CODE_WORDS: usize;
    /// Something that runs records.
    type Machine;
    /// Names of rows that the oracle cannot run, and why.
    const NOT_RUN: &'static [(&'static str, &'static str)];
    /// Names of rows of which the oracle can only say that they are refused, and why.
    const REFUSED: &'static [(&'static [&'static str], &'static str)];

    /// Every row.
    fn rows() -> Vec<Row>;
    /// How many vectors the row needs: more where it computes in floating point.
    fn enough(row: &Row) -> usize;
    /// A random instruction of the row; the rest of the record is zero.
    fn code(row: &Row, random: &mut Random) -> Self::Record;
    /// A random state for it. Depends on the row and its code and nothing else, so that files need not hold it.
    fn state(row: &Row, record: &mut Self::Record, random: &mut Random);
    /// A machine of ours. `None`: this host has no such accelerator.
    fn machine(accel: Accel) -> Option<Self::Machine>;
    /// The record as our instructions leave it.
    fn run(machine: &mut Self::Machine, record: &Self::Record) -> Self::Record;
    /// The oracle, or why there is none here.
    fn oracle() -> Result<Oracle, String>;
    /// Whether a record that the oracle left is an answer: it may have gone on without end, or not be repeatable.
    fn is_answer(after: &Self::Record) -> bool;
    /// Where the record by the oracle and the record by us may differ, given the one before: the manual's words.
    fn allowed(row: &Row, before: &Self::Record, want: &Self::Record, got: &Self::Record) -> Option<&'static str>;
    /// Whether a record's instruction had no effect, being Undefined, faulting, or under a condition that does not hold.
    fn is_refused(before: &Self::Record, after: &Self::Record) -> bool;
    /// Whether the row is not translated yet: it is run all the same, and is wrong if it works.
    fn not_yet(_: &Row) -> bool {
        false
    }
    /// What a record executes, for messages.
    fn show(record: &Self::Record) -> String;
    /// The name of a word of a record.
    fn field(word: usize) -> String;
}

//! What a decode table is made of.

use super::tx::Tx;
pub use emu_ir::pattern::Row;

/// What a row runs: translates the instruction, given as its word.
pub type Insn = fn(&mut Tx, u32);
/// A table of rows.
pub type Table = &'static [Row<Insn>];

//! Translation of a block of instructions to IR.

use crate::model::Model;
use crate::{calls, state};
use emu_ir::{BlockKey, Builder, Fault, Fetch, Leave, Ty};

/// [`emu_ir::Guest::translate`].
///
/// # Errors
/// Only if the first instruction cannot be fetched.
pub fn translate(
    _model: &Model,
    _key: BlockKey,
    offset: u32,
    _limit: u32,
    fetch: &mut dyn Fetch,
    b: &mut Builder,
) -> Result<(), Fault> {
    fetch.u16(offset)?;
    b.insn(offset as u16, 0);
    b.call(Ty::I32, calls::UNDEFINED, &[]);
    let next = b.pc_rel(Ty::I32, offset as i32);
    b.set(state::R[15], next);
    b.exit(Leave::Sync);
    b.block.guest_bytes = 2;
    Ok(())
}

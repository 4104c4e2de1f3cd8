//! The translation driver: fetch, decode, and where a block ends.

use crate::decode::insn::Insn;
use crate::decode::{Code, Failed, LONGEST, Size, decode};
use crate::fault::vector;
use crate::model::Model;
use crate::ops;
use crate::state::{mode, number};
use crate::tx::Tx;
use emu_ir::{BlockKey, Builder, Fault, Fetch, Ty};

/// A block ends after the instruction that exceeds this many operations.
const MAX_OPS: usize = 4000;
/// Bytes in a page of guest memory.
const PAGE: u32 = 4096;

/// What code is to the decoder of a CPU in a mode.
pub fn code(mode: u64, model: &Model) -> Code {
    Code {
        size: match mode & (mode::CODE64 | mode::CODE32) {
            0 => Size::Bits16,
            mode::CODE32 => Size::Bits32,
            _ => Size::Bits64,
        },
        vex: mode & mode::PROTECTED != 0 && mode & mode::VIRTUAL == 0,
        wide_branches: !model.amd,
        features: model.features,
    }
}

/// Translate the block at `key`, `offset` bytes into its page; see [`emu_ir::Guest::translate`].
///
/// # Errors
/// If the first instruction cannot be fetched.
pub fn translate(
    model: &Model,
    key: BlockKey,
    offset: u32,
    limit: u32,
    fetch: &mut dyn Fetch,
    b: &mut Builder,
) -> Result<(), Fault> {
    let code = code(key.mode, model);
    let alone = key.mode & (mode::STEP | mode::SHADOW | mode::RESUME | mode::X87_CALLS) != 0;
    let limit = if alone { 1 } else { limit };
    let (mut at, mut left) = (offset, Vec::new());
    for n in 0.. {
        let decoded = decode(&code, |k| fetch.u8(at + u32::from(k)));
        let insn = match decoded {
            Ok(insn) => Ok(insn),
            Err(Failed::Fetch(fault)) if n == 0 => return Err(fault),
            Err(Failed::Fetch(_)) => {
                b.goto(at as i32, key.mode, emu_ir::Hint::Jump, false);
                break;
            }
            Err(Failed::TooLong) => Err((vector::GP, LONGEST)),
            Err(Failed::Undefined) => Err((vector::UD, 1)),
        };
        let mut t = Tx::new(b, model.features, key.mode, at);
        t.left = left;
        match insn {
            Ok(insn) => instruction(&mut t, insn),
            Err((vector, length)) => t.no_instruction(vector, length),
        }
        at = t.next();
        let full = n + 1 >= limit || t.b.len() > MAX_OPS || at >= PAGE;
        if !t.ended && (t.stop || full) {
            t.goto_next();
        }
        left = std::mem::take(&mut t.left);
        if t.ended {
            break;
        }
    }
    crate::ops::leave_to_calls(b, key.mode, &left);
    b.block.guest_bytes = at - offset;
    Ok(())
}

fn instruction(t: &mut Tx, insn: Insn) {
    t.insn = insn;
    t.b.insn(t.offset as u16, t.aux());
    t.check_code();
    let Some(run) = ops::find(insn.row) else {
        return t.undefined();
    };
    if t.admits_vectors() {
        run(t);
        t.enter_mmx();
    }
}

impl Tx<'_> {
    /// The bytes are no instruction: an exception.
    fn no_instruction(&mut self, vector: u8, length: u8) {
        self.insn.length = length;
        self.b.insn(self.offset as u16, self.aux());
        self.fault(vector, 0);
    }
    /// All of the instruction must be inside of CS.
    fn check_code(&mut self) {
        if self.is_64() || self.is_flat(number::CS) {
            return;
        }
        let next = self.next_ip();
        let last = self.plus(next, -1);
        let last = self.mask(last, 0xffff_ffff);
        let limit = self.b.get(crate::state::CODE_LIMIT);
        let limit = self.b.zext(Ty::I64, limit);
        let outside = self.b.ult(limit, last);
        self.fault_if(outside, vector::GP, 0);
    }
}

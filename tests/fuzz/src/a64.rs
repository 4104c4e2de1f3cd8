//! What AArch64's code holds.

use emu_frontend_arm::a64::{A64, Features, calls::CALLS};
use emu_ir::{BlockKey, Op};
use emu_jit::listing;

use crate::Input;

/// Code: translated, optimised, emitted; each stage holds what the verifier asks for.
pub fn decode(data: &[u8]) {
    let mut input = Input::new(data);
    let (kind, mode, offset) = (input.u8(), input.u32(), u64::from(input.u16()) & 0xffc);
    let features = if kind & 1 == 0 { Features::ALL } else { Features::BASE };
    let key = BlockKey {
        phys: offset,
        mode: mode.into(),
        marked: false,
    };
    let Ok(stages) = listing::stages(&A64::with(features), key, input.take(usize::MAX)) else {
        return;
    };
    for block in [&stages.ir, &stages.optimised] {
        emu_ir::verify::verify(block).unwrap_or_else(|e| panic!("{e}"));
        for inst in &block.insts {
            if let Op::Call { helper, .. } = inst.op {
                assert!(usize::from(helper) < CALLS.len());
            }
        }
    }
}

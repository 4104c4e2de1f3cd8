//! The passes over a block: one forward, one backward, each linear.
//!
//! [`forward`] folds constants, applies identities, reuses equal values and slot contents; [`backward`] removes pure
//! operations nobody uses and slot stores nobody can see. Both keep the state exact at every point that can observe it:
//! guest memory accesses and state helpers (they may fault), and the ends of paths.

mod backward;
mod cse;
mod fold;
mod forward;
mod slots;
#[cfg(test)]
mod tests;

use emu_ir::{Block, Guest, HelperFn, Layout};

/// What calling a helper does to the guest's state: its [`HelperFn`] without the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEffect {
    /// Nothing.
    Pure,
    /// Raises floating-point flags.
    Flags,
    /// Anything; may fault.
    State,
}

impl CallEffect {
    /// The effect of entry `helper` of a guest's table.
    pub fn of<G: Guest>(helper: u16) -> CallEffect {
        match G::HELPERS[helper as usize].f {
            HelperFn::Pure(_) => CallEffect::Pure,
            HelperFn::Flags(_) => CallEffect::Flags,
            HelperFn::State(_) => CallEffect::State,
        }
    }
}

/// Working memory of [`run`], used again and again.
#[derive(Debug, Default)]
pub struct Scratch {
    forward: forward::Tables,
    backward: backward::Tables,
    old: Block,
}

/// Improve a verified block; `effect` is [`CallEffect::of`] its guest. The result is verified in debug builds.
pub fn run(block: &mut Block, layout: &Layout, effect: fn(u16) -> CallEffect, scratch: &mut Scratch) {
    std::mem::swap(block, &mut scratch.old);
    forward::run(&mut scratch.old, block, layout, effect, &mut scratch.forward);
    check(block);
    backward::run(block, layout, effect, &mut scratch.backward);
    check(block);
}

fn check(block: &Block) {
    if cfg!(debug_assertions) {
        let checked = emu_ir::verify::verify(block);
        assert!(checked.is_ok(), "{checked:?} in {:#?}", block.insts);
    }
}

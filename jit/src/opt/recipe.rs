//! Status flags that are made again where somebody looks at them.
//!
//! Nearly every instruction of x86 changes the flags, and between two of them that do there is often an access to memory,
//! which may fault and then shows the flags to the guest. Faults are rare: rather than storing flags before each access, the
//! accelerator keeps what they are made from, and its way to a fault makes them again.

use crate::pins::Pins;
use emu_ir::{Arith, Block, Effect, Op, Slot, Ty, Val};

/// How many operations before status flags the one that leaves them may be: the emitter looks ahead further than that.
const MAKER_WITHIN: usize = 5;
/// Steps that a recipe has at most.
const STEPS: usize = 2;

/// How status flags are made again from values that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recipe {
    /// Where they are to be stored.
    pub slot: Slot,
    /// The flags of these one after the other; the first ones there may be none of.
    pub steps: [Option<Step>; STEPS],
    /// They start from what lies in the slot.
    pub from_slot: bool,
}

/// The flags of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub how: Arith,
    pub ty: Ty,
    /// The first operand; or what the operation made of it, from which it is found again.
    pub a: Val,
    /// Which of the two it is.
    pub made: bool,
    /// The second, of sums and differences.
    pub b: Option<Val>,
}

impl Recipe {
    /// For the flags `status`, which operation `set` would store in a slot. `None`: they are not to be had so.
    pub fn of(block: &Block, pins: &Pins, slot: Slot, status: Val, set: usize) -> Option<Recipe> {
        let mut recipe = Recipe {
            slot,
            steps: [None; STEPS],
            from_slot: false,
        };
        let mut flags = status;
        let mut left = recipe.steps.iter_mut().rev();
        loop {
            match block.insts.get(flags.index())?.op {
                Op::Status { how, c, .. } => {
                    *left.next()? = Some(Step::of(block, pins, flags)?);
                    if !how.takes_status() {
                        return Some(recipe);
                    }
                    flags = c;
                }
                Op::Get { slot: off } if off == slot.off => {
                    let between = block.insts.get(flags.index()..set)?;
                    recipe.from_slot = true;
                    return between.iter().all(|inst| leaves(inst.op, slot)).then_some(recipe);
                }
                _ => return None,
            }
        }
    }
    /// The values that it needs.
    pub fn values(&self) -> impl Iterator<Item = Val> {
        let steps = self.steps.into_iter().flatten();
        steps.flat_map(|step| [Some(step.a), step.b]).flatten()
    }
}

/// Whether an operation leaves a slot as it is.
fn leaves(op: Op, slot: Slot) -> bool {
    match op.effect() {
        Effect::Pure | Effect::Get | Effect::Load | Effect::Store | Effect::Position => true,
        Effect::Set => !matches!(op, Op::Set { slot: off, .. } if off == slot.off),
        _ => false,
    }
}

impl Step {
    fn of(block: &Block, pins: &Pins, status: Val) -> Option<Step> {
        let inst = block.insts.get(status.index())?;
        let Op::Status { how, a, b, .. } = inst.op else {
            return None;
        };
        let made = match how {
            Arith::Adc | Arith::Sbb => return None,
            Arith::Add | Arith::Sub => maker(block, pins, status),
            Arith::Inc | Arith::Dec | Arith::Rol | Arith::Ror => made_of(block, status, how, a),
            Arith::Logic | Arith::Shl | Arith::Shr | Arith::Sar => None,
        };
        Some(Step {
            how,
            ty: inst.ty,
            a: made.unwrap_or(a),
            made: made.is_some(),
            b: how.takes_b().then_some(b),
        })
    }
}

/// The sum or difference whose making leaves these status flags in the host's: between the two are only operations that
/// change no flags of the host.
pub(crate) fn maker(block: &Block, pins: &Pins, status: Val) -> Option<Val> {
    let inst = block.insts.get(status.index())?;
    let Op::Status { how, a, b, .. } = inst.op else {
        return None;
    };
    let from = status.index().saturating_sub(MAKER_WITHIN);
    for (k, before) in block.insts.iter().enumerate().take(status.index()).skip(from).rev() {
        match (before.op, how) {
            (Op::Add { a: x, b: y }, Arith::Add) | (Op::Sub { a: x, b: y }, Arith::Sub) => {
                return ((x, y, before.ty) == (a, b, inst.ty)).then_some(Val(k as u16));
            }
            (Op::Const { .. } | Op::Zext { .. } | Op::Insn { .. }, _) => {}
            (Op::Set { slot: off, .. }, _) if pins.pin(Slot { off, ty: before.ty }).is_some() => {}
            _ => return None,
        }
    }
    None
}

/// What steps by one, and rotates of which the last is by one, have made of `a`, shortly before their flags.
fn made_of(block: &Block, status: Val, how: Arith, a: Val) -> Option<Val> {
    let ty = block.insts.get(status.index())?.ty;
    let constant = |v: Val| block.constant(v).map(|c| c & ty.mask() as u64);
    // A rotate by one of `a`, or by one more of what `a` was rotated from.
    let (from, by) = match block.insts.get(a.index())?.op {
        Op::Rotr { a: from, b } if block.insts.get(a.index())?.ty == ty => (from, constant(b)),
        _ => (Val::NONE, None),
    };
    let width = u64::from(ty.bits());
    let one = match how {
        Arith::Ror => 1,
        _ => width - 1,
    };
    let from_there = |n: u64| by.is_some_and(|by| n == (by + one) % width);
    let first = status.index().saturating_sub(2 * MAKER_WITHIN);
    let before = block.insts.iter().enumerate().take(status.index()).skip(first).rev();
    let mut before = before.filter(|(_, inst)| inst.ty == ty);
    let found = before.find(|(_, inst)| match (how, inst.op) {
        (Arith::Inc, Op::Add { a: x, b }) | (Arith::Dec, Op::Sub { a: x, b }) => x == a && constant(b) == Some(1),
        (Arith::Rol | Arith::Ror, Op::Rotr { a: x, b }) => {
            let n = constant(b);
            x == a && n == Some(one) || x == from && n.is_some_and(from_there)
        }
        _ => false,
    });
    found.map(|(k, _)| Val(k as u16))
}

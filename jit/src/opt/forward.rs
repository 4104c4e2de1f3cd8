//! The forward pass: constants, identities, copies, equal values, slot contents, branches on constants.
//!
//! Rewrites the block into a new one. At a label only what was known before the earliest branch to it, and still is,
//! stays known; values made in between are not defined behind it.

use super::values::{Operands, Values};
use super::{CallEffect, cse, fold, slots};
use emu_ir::block::Inst;
use emu_ir::{Block, Effect, Label, Layout, Op, Rule, Slot, Val};

/// Working memory.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// From values of the old block to those of the new.
    map: Vec<Val>,
    /// Values of the new block that are constants.
    constants: Vec<u128>,
    slots: slots::Contents,
    cse: cse::Table,
    /// For each label, the position of the earliest branch to it.
    branched: Vec<Option<u16>>,
}

/// Rewrite `old` into `new`; `old` is left without content.
pub(super) fn run(old: &mut Block, new: &mut Block, layout: &Layout, effect: fn(u16) -> CallEffect, t: &mut Tables) {
    new.clear();
    std::mem::swap(&mut new.pool, &mut old.pool);
    std::mem::swap(&mut new.modes, &mut old.modes);
    new.labels = old.labels;
    (new.mode_ignored, new.guest_insns, new.guest_bytes) = (old.mode_ignored, old.guest_insns, old.guest_bytes);
    t.map.clear();
    t.map.resize(old.insts.len(), Val::NONE);
    t.slots.forget_all();
    t.cse.start();
    t.branched.clear();
    t.branched.resize(old.labels as usize, None);
    let values = Values {
        block: new,
        constants: &mut t.constants,
        cse: &mut t.cse,
    };
    let mut pass = Forward {
        values,
        layout,
        effect,
        map: &mut t.map,
        slots: &mut t.slots,
        branched: &mut t.branched,
        dead: false,
    };
    for (i, inst) in old.insts.iter().enumerate() {
        pass.step(i, *inst);
    }
}

/// The pass at work on one block.
struct Forward<'a> {
    values: Values<'a>,
    layout: &'a Layout,
    effect: fn(u16) -> CallEffect,
    map: &'a mut [Val],
    slots: &'a mut slots::Contents,
    branched: &'a mut [Option<u16>],
    /// Nothing reaches here.
    dead: bool,
}

impl Forward<'_> {
    fn step(&mut self, i: usize, mut inst: Inst) {
        if let Op::Place { label } = inst.op {
            return self.place(label, &inst);
        }
        if self.dead {
            return;
        }
        match inst.op {
            Op::Insn { .. } => return self.values.block.insts.push(inst),
            Op::Const { .. } => return self.map[i] = self.values.reuse(&inst, Operands::default()),
            _ => {}
        }
        let operands = self.values.operands(inst.op.rename(self.map));
        // By reference from here on: a copy made at once would wait for the short stores of the rewriting.
        let inst = &inst;
        self.map[i] = match inst.op.effect() {
            Effect::Pure => self.pure(inst, operands),
            Effect::Get => self.get(inst),
            Effect::Set => self.set(inst),
            Effect::Fp => {
                self.slots.forget(self.layout.fp_flags);
                self.values.push(inst)
            }
            Effect::Load | Effect::Store | Effect::Atomic | Effect::Fence | Effect::Position => self.values.push(inst),
            Effect::Call => self.call(inst, operands),
            Effect::Branch | Effect::Leave => self.flow(inst),
        };
    }
    fn pure(&mut self, inst: &Inst, operands: Operands) -> Val {
        let mut simpler;
        let (mut inst, mut operands) = (inst, operands);
        // Each rewrite leaves a simpler operation; the bound is a safeguard against a pair of rules that undo each other.
        for _ in 0..4 {
            if operands.count == 0 {
                break;
            }
            if operands.constants == operands.count {
                let bits = crate::interp::pure(self.values.block, inst, self.values.constants, 0);
                return self.values.make(inst.result().unwrap_or(inst.ty), bits);
            }
            match fold::simplify(&mut self.values, inst, operands.first) {
                fold::Rewrite::Keep => break,
                fold::Rewrite::Value(v) => return v,
                fold::Rewrite::Inst(next) => {
                    simpler = next;
                    inst = &simpler;
                    operands = self.values.operands(inst.op.operands());
                }
            }
        }
        if inst.op.rule() == Rule::Bool {
            // Made again next to its use, where it fuses with a branch or a flag store: cheaper than keeping it.
            return self.values.push(inst);
        }
        self.values.reuse(inst, operands)
    }
    fn get(&mut self, inst: &Inst) -> Val {
        let Op::Get { slot } = inst.op else {
            return self.values.push(inst);
        };
        let slot = Slot { off: slot, ty: inst.ty };
        if let Some(a) = self.slots.value(slot) {
            if self.values.ty(a) == inst.ty {
                return a;
            }
            let op = Op::Bitcast { a };
            let inst = Inst { op, ty: inst.ty };
            let operands = self.values.operands(inst.op.operands());
            return self.pure(&inst, operands);
        }
        let v = self.values.push(inst);
        self.slots.learn(slot, v, v.0);
        v
    }
    fn set(&mut self, inst: &Inst) -> Val {
        let Op::Set { slot, a } = inst.op else {
            return self.values.push(inst);
        };
        let slot = Slot { off: slot, ty: inst.ty };
        if self.slots.value(slot) == Some(a) {
            return Val::NONE;
        }
        let v = self.values.push(inst);
        self.slots.learn(slot, a, v.0);
        v
    }
    fn call(&mut self, inst: &Inst, operands: Operands) -> Val {
        let Op::Call { helper, .. } = inst.op else {
            return self.values.push(inst);
        };
        match (self.effect)(helper) {
            CallEffect::Pure => return self.values.reuse(inst, operands),
            CallEffect::Flags => self.slots.forget(self.layout.fp_flags),
            CallEffect::State => self.slots.forget_all(),
        }
        self.values.push(inst)
    }
    fn flow(&mut self, inst: &Inst) -> Val {
        let mut inst = *inst;
        if let Op::BrIf { cond, label } = inst.op {
            match self.values.constant(cond) {
                Some(0) => return Val::NONE,
                Some(_) => inst.op = Op::Br { label },
                None => {}
            }
        }
        if let Op::Br { label } | Op::BrIf { label, .. } = inst.op {
            let here = self.values.here();
            self.branched[label.0 as usize].get_or_insert(here);
        }
        self.dead = inst.op.ends();
        self.values.push(&inst)
    }
    fn place(&mut self, label: Label, inst: &Inst) {
        let Some(from) = self.branched[label.0 as usize] else {
            return;
        };
        let here = self.values.here();
        self.dead = false;
        self.slots.forget_since(from);
        self.values.cse.hide(from, here);
        self.values.push(inst);
    }
}

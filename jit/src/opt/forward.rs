//! The forward pass: constants, identities, copies, equal values, slot contents, branches on constants.
//!
//! Rewrites the block into a new one. At a label only what was known before the earliest branch to it, and still is,
//! stays known; values made in between are not defined behind it.
//!
//! What is hardly ever done, a fault that is raised under a condition, is moved behind all else: the path around it then has
//! no label, behind which less is known and fewer values are in registers.

use super::values::{Operands, Values};
use super::{CallEffect, cse, fold, slots};
use emu_ir::block::Inst;
use emu_ir::{Block, Effect, Label, Layout, Op, Rule, Slot, Ty, Val};
use std::ops::Range;

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
    /// For each label, how many branches there are to it, and where it is placed.
    labels: Vec<(u16, usize)>,
    aside: Vec<Aside>,
}

/// Operations of the old block that are moved behind all else, to a label of their own.
#[derive(Debug)]
struct Aside {
    label: Label,
    /// The guest instruction that they belong to.
    insn: Option<Inst>,
    range: Range<usize>,
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
    count(old, &mut t.labels);
    t.aside.clear();
    let mut pass = Forward {
        values,
        layout,
        effect,
        map: &mut t.map,
        slots: &mut t.slots,
        branched: &mut t.branched,
        labels: &t.labels,
        dead: false,
    };
    // Up to where a branch goes that was met already: what is made before there is not known behind.
    let mut open = 0;
    let (mut i, mut insn) = (0, None);
    while let Some(inst) = old.insts.get(i) {
        match inst.op {
            Op::Insn { .. } => insn = Some(*inst),
            Op::Br { label } | Op::X87Need { label, .. } => open = open.max(pass.labels[label.0 as usize].1),
            Op::BrIf { cond, label } => {
                let range = pass.rare(old, i, label).filter(|_| open < i && !pass.dead);
                if let Some(range) = range {
                    i = range.end + 1;
                    pass.branch_aside(cond, label);
                    t.aside.push(Aside { label, insn, range });
                    continue;
                }
                open = open.max(pass.labels[label.0 as usize].1);
            }
            _ => {}
        }
        pass.step(i, *inst);
        i += 1;
    }
    // The last first: what is made behind a branch is not defined behind where that goes.
    for Aside { label, insn, range } in t.aside.drain(..).rev() {
        let place = Op::Place { label };
        pass.place(label, &Inst { op: place, ty: Ty::I8 });
        if let Some(insn) = insn.filter(|_| !pass.dead) {
            pass.values.push(&insn);
        }
        range.for_each(|i| pass.step(i, old.insts[i]));
    }
}

/// How many branches there are to each label, and where it is placed.
fn count(block: &Block, labels: &mut Vec<(u16, usize)>) {
    labels.clear();
    labels.resize(block.labels as usize, (0, 0));
    if block.labels == 0 {
        return;
    }
    for (i, inst) in block.insts.iter().enumerate() {
        match inst.op {
            Op::Br { label } | Op::BrIf { label, .. } | Op::X87Need { label, .. } => labels[label.0 as usize].0 += 1,
            Op::Place { label } => labels[label.0 as usize].1 = i,
            _ => {}
        }
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
    labels: &'a [(u16, usize)],
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
            Effect::X87 => {
                for slot in self.layout.x87.iter().flat_map(emu_ir::X87Slots::all) {
                    self.slots.forget(slot);
                }
                self.values.push(inst)
            }
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
        if let Op::Br { label } | Op::BrIf { label, .. } | Op::X87Need { label, .. } = inst.op {
            let here = self.values.here();
            self.branched[label.0 as usize].get_or_insert(here);
        }
        self.dead = inst.op.ends();
        self.values.push(&inst)
    }
    /// What a branch to `label` goes around, if that is a path that calls a helper which may fault, and goes nowhere else.
    fn rare(&self, old: &Block, branch: usize, label: Label) -> Option<Range<usize>> {
        let (branches, place) = self.labels[label.0 as usize];
        let range = branch + 1..place;
        let path = old.insts.get(range.clone())?;
        let ends = path.last().is_some_and(|inst| inst.op.ends());
        let is_plain = |inst: &Inst| inst.op.effect() != Effect::Branch;
        let faults = |inst: &Inst| match inst.op {
            Op::Call { helper, .. } => (self.effect)(helper) == CallEffect::State,
            _ => false,
        };
        (branches == 1 && ends && path.iter().all(is_plain) && path.iter().any(faults)).then_some(range)
    }
    /// A branch to `label` where a condition of the old block does not hold.
    fn branch_aside(&mut self, cond: Val, label: Label) {
        let cond = self.map[cond.index()];
        let one = self.values.make(Ty::I8, 1);
        let op = Op::Xor { a: cond, b: one };
        let inst = Inst { op, ty: Ty::I8 };
        let operands = self.values.operands(inst.op.operands());
        let cond = self.pure(&inst, operands);
        let op = Op::BrIf { cond, label };
        self.flow(&Inst { op, ty: Ty::I8 });
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

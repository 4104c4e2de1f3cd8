//! The forward pass: constants, identities, copies, equal values, slot contents, branches on constants.
//!
//! Rewrites the block into a new one. At a label only what was known before the earliest branch to it, and still is,
//! stays known; values made in between are not defined behind it.

use super::{CallEffect, cse, fold, slots};
use emu_ir::block::Inst;
use emu_ir::ops;
use emu_ir::{Block, Effect, Imm, Label, Layout, Op, Rule, Slot, Ty, Val};

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
    new.labels = old.labels;
    (new.mode_ignored, new.guest_insns, new.guest_bytes) = (old.mode_ignored, old.guest_insns, old.guest_bytes);
    t.map.clear();
    t.map.resize(old.insts.len(), Val::NONE);
    t.slots.forget_all();
    t.cse.start();
    t.branched.clear();
    t.branched.resize(old.labels as usize, None);
    let mut pass = Forward {
        new,
        layout,
        effect,
        t,
        dead: false,
    };
    for (i, inst) in old.insts.iter().enumerate() {
        pass.step(i, *inst);
    }
}

/// The pass at work on one block.
pub(super) struct Forward<'a> {
    new: &'a mut Block,
    layout: &'a Layout,
    effect: fn(u16) -> CallEffect,
    t: &'a mut Tables,
    /// Nothing reaches here.
    dead: bool,
}

/// What is to be known of an operation's operands, gathered in one go.
#[derive(Clone, Copy, Default)]
struct Operands {
    count: u32,
    /// How many are constants.
    constants: u32,
    /// The first is a constant.
    first: bool,
    hash: u64,
}

impl Operands {
    #[inline]
    fn add(&mut self, v: Val, made: &[Inst]) {
        let constant = matches!(made[v.index()].op, Op::Const { .. } | Op::Const128 { .. });
        self.first |= constant && self.count == 0;
        self.count += 1;
        self.constants += constant as u32;
        self.hash = cse::mix(self.hash, v.0 as u64);
    }
}

impl Forward<'_> {
    fn here(&self) -> u16 {
        self.new.insts.len() as u16
    }
    /// The operation that makes a value.
    pub(super) fn def(&self, v: Val) -> Inst {
        self.new.insts[v.index()]
    }
    /// The type of a value.
    pub(super) fn ty(&self, v: Val) -> Ty {
        self.new.ty(v)
    }
    /// The value of a constant of up to 64 bits.
    pub(super) fn constant(&self, v: Val) -> Option<u64> {
        self.new.constant(v)
    }
    /// A constant, made if need be.
    pub(super) fn make(&mut self, ty: Ty, bits: u128) -> Val {
        let bits = bits & ty.mask();
        let op = if ty == Ty::V128 {
            let at = self.new.pool.iter().position(|p| *p == bits).unwrap_or_else(|| {
                self.new.pool.push(bits);
                self.new.pool.len() - 1
            });
            Op::Const128 { pool: at as u16 }
        } else {
            let imm = Imm::new(bits as u64);
            Op::Const { imm }
        };
        self.reuse(&Inst { op, ty }, Operands::default())
    }
    /// An equal value made before, or `inst` appended.
    fn reuse(&mut self, inst: &Inst, operands: Operands) -> Val {
        if let Some(v) = self.t.cse.find(self.new, inst, operands.hash) {
            return v;
        }
        let v = self.push(inst);
        match inst.op {
            Op::Const { imm } => self.note(v.index(), imm.get() as u128),
            Op::Const128 { pool } => self.note(v.index(), self.new.pool[pool as usize]),
            _ => {}
        }
        v
    }
    #[inline]
    fn push(&mut self, inst: &Inst) -> Val {
        let v = Val(self.here());
        self.new.insts.push(*inst);
        v
    }
    fn note(&mut self, at: usize, bits: u128) {
        if self.t.constants.len() <= at {
            self.t.constants.resize(at + 64, 0);
        }
        self.t.constants[at] = bits;
    }
    fn step(&mut self, i: usize, mut inst: Inst) {
        if let Op::Place { label } = inst.op {
            return self.place(label, &inst);
        }
        if self.dead {
            return;
        }
        match inst.op {
            Op::Insn { .. } => return self.new.insts.push(inst),
            Op::Const { .. } => return self.t.map[i] = self.reuse(&inst, Operands::default()),
            _ => {}
        }
        let operands = self.operands(inst.op.rename(&self.t.map));
        // By reference from here on: a copy made at once would wait for the short stores of the rewriting.
        let inst = &inst;
        self.t.map[i] = match inst.op.effect() {
            Effect::Pure => self.pure(inst, operands),
            Effect::Get => self.get(inst),
            Effect::Set => self.set(inst),
            Effect::Fp => {
                self.t.slots.forget(self.layout.fp_flags);
                self.push(inst)
            }
            Effect::Mem => self.push(inst),
            Effect::Call => self.call(inst, operands),
            Effect::Flow => self.flow(inst),
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
                let bits = crate::interp::pure(self.new, inst, &self.t.constants, 0);
                return self.make(inst.result().unwrap_or(inst.ty), bits);
            }
            match fold::simplify(self, inst, operands.first) {
                fold::Rewrite::Keep => break,
                fold::Rewrite::Value(v) => return v,
                fold::Rewrite::Inst(next) => {
                    simpler = next;
                    inst = &simpler;
                    operands = self.operands(inst.op.operands());
                }
            }
        }
        if inst.op.rule() == Rule::Bool {
            // Made again next to its use, where it fuses with a branch or a flag store: cheaper than keeping it.
            return self.push(inst);
        }
        self.reuse(inst, operands)
    }
    fn operands(&self, of: ops::Operands) -> Operands {
        let mut operands = Operands::default();
        of.iter().for_each(|v| operands.add(v, &self.new.insts));
        operands
    }
    fn get(&mut self, inst: &Inst) -> Val {
        let Op::Get { slot } = inst.op else {
            return self.push(inst);
        };
        let slot = Slot { off: slot, ty: inst.ty };
        if let Some(a) = self.t.slots.value(slot) {
            if self.ty(a) == inst.ty {
                return a;
            }
            let op = Op::Bitcast { a };
            let inst = Inst { op, ty: inst.ty };
            let operands = self.operands(inst.op.operands());
            return self.pure(&inst, operands);
        }
        let v = self.push(inst);
        self.t.slots.learn(slot, v, v.0);
        v
    }
    fn set(&mut self, inst: &Inst) -> Val {
        let Op::Set { slot, a } = inst.op else {
            return self.push(inst);
        };
        let slot = Slot { off: slot, ty: inst.ty };
        if self.t.slots.value(slot) == Some(a) {
            return Val::NONE;
        }
        let v = self.push(inst);
        self.t.slots.learn(slot, a, v.0);
        v
    }
    fn call(&mut self, inst: &Inst, operands: Operands) -> Val {
        let Op::Call { helper, .. } = inst.op else {
            return self.push(inst);
        };
        match (self.effect)(helper) {
            CallEffect::Pure => return self.reuse(inst, operands),
            CallEffect::Flags => self.t.slots.forget(self.layout.fp_flags),
            CallEffect::State => self.t.slots.forget_all(),
        }
        self.push(inst)
    }
    fn flow(&mut self, inst: &Inst) -> Val {
        let mut inst = *inst;
        if let Op::BrIf { cond, label } = inst.op {
            match self.constant(cond) {
                Some(0) => return Val::NONE,
                Some(_) => inst.op = Op::Br { label },
                None => {}
            }
        }
        if let Op::Br { label } | Op::BrIf { label, .. } = inst.op {
            let here = self.here();
            self.t.branched[label.0 as usize].get_or_insert(here);
        }
        self.dead = inst.op.ends();
        self.push(&inst)
    }
    fn place(&mut self, label: Label, inst: &Inst) {
        let Some(from) = self.t.branched[label.0 as usize] else {
            return;
        };
        let here = self.here();
        self.dead = false;
        self.t.slots.forget_since(from);
        self.t.cse.hide(from, here);
        self.push(inst);
    }
}

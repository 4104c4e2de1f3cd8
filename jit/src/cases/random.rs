//! Random valid blocks.

use super::{Case, Kind, Random, any, pinned};
use emu_ir::{Arith, Block, Builder, Hint, Label, Leave, Slot, Ty, Val};

/// Source of random blocks: picks operations from all cases.
pub struct Blocks {
    cases: Vec<Case>,
}

struct Growing<'a> {
    b: Builder,
    random: &'a mut Random,
    /// Values defined on every path to here.
    vals: Vec<Val>,
    /// Open branches: the label, and how many values were defined before.
    open: Vec<(Label, usize)>,
    /// What was stored or loaded last: stays likely to be used again.
    slots: Vec<Slot>,
}

impl Blocks {
    /// From all single-operation cases.
    pub fn new() -> Blocks {
        let cases = super::all()
            .into_iter()
            .filter(|c| c.inst().is_some_and(|i| !i.op.ends()));
        // One case an operation and type: environments and lane numbers would crowd out the rest.
        let mut seen = std::collections::HashMap::new();
        let cases = cases.filter(|c| {
            let n = seen.entry((c.name, c.inst().map(|i| i.ty))).or_insert(0);
            *n += 1;
            *n <= 6
        });
        Blocks { cases: cases.collect() }
    }
    /// A block of about `len` operations, some of them in regions that a branch may skip.
    pub fn block(&self, random: &mut Random, len: usize) -> Block {
        let (b, vals, open, slots) = (Builder::new(), Vec::new(), Vec::new(), Vec::new());
        let mut g = Growing {
            b,
            random,
            vals,
            open,
            slots,
        };
        g.b.insn(0, 0);
        while g.b.len() < len {
            g.step(&self.cases);
        }
        while g.close() {}
        g.finish();
        g.b.block
    }
}

impl Default for Blocks {
    fn default() -> Self {
        Blocks::new()
    }
}

impl Growing<'_> {
    fn step(&mut self, cases: &[Case]) {
        match self.random.below(20) {
            0 => {
                let offset = (self.b.block.guest_insns as u16 * 4) & 0xffc;
                let aux = self.random.next() as u32;
                self.b.insn(offset, aux);
            }
            1 => self.branch(),
            2 => {
                self.close();
            }
            3..=5 => {
                let slot = self.slot(None);
                let v = self.b.get(slot);
                self.vals.push(v);
            }
            6..=9 => {
                if let Some(v) = self.any_value() {
                    let slot = self.slot(Some(self.b.ty(v)));
                    self.b.set(slot, v);
                }
            }
            10 => {
                // The rounding mode: four values only.
                let (slot, mode) = (super::LAYOUT.fp_round, self.random.below(4) as u32);
                let v = self.b.i32(mode);
                self.b.set(slot, v);
            }
            _ => self.operation(cases),
        }
    }
    fn any_value(&mut self) -> Option<Val> {
        let n = self.vals.len() as u64;
        (n > 0).then(|| self.vals[self.random.below(n) as usize])
    }
    fn slot(&mut self, ty: Option<Ty>) -> Slot {
        let known = self.random.below(3) > 0;
        let old = self
            .slots
            .iter()
            .rev()
            .filter(|s| ty.is_none_or(|t| t == s.ty))
            .nth(self.random.below(3) as usize);
        if let (true, Some(s)) = (known, old) {
            return *s;
        }
        let ty = ty.unwrap_or(Ty::ALL[self.random.below(8) as usize]);
        let i = self.random.below(8) as u32;
        let slot = match (ty, self.random.below(3)) {
            (Ty::I32, 0) => pinned(i),
            // Few places, so that slots overlap.
            (_, 1) => Slot {
                off: any(0, ty).off + (i as u16 * 4).min(16 - ty.bytes() as u16),
                ty,
            },
            _ => any(i, ty),
        };
        self.slots.push(slot);
        slot
    }
    /// A value of a kind: one there is, a slot's, or a constant.
    fn value(&mut self, kind: Kind) -> Val {
        let ty = kind.ty();
        if kind == Kind::Bool {
            let (a, b) = (self.value(Kind::Int(Ty::I32)), self.value(Kind::Int(Ty::I32)));
            return self.b.ult(a, b);
        }
        if kind == Kind::Status {
            let (a, b) = (self.value(Kind::Int(Ty::I32)), self.value(Kind::Int(Ty::I32)));
            let how = [Arith::Add, Arith::Sub, Arith::Logic][self.random.below(3) as usize];
            return self.b.status(how, a, b, a);
        }
        if kind == Kind::Address && self.random.below(8) > 0 {
            let at = self.random.below(super::MEMORY - 16) as u32;
            return self.b.i32(at);
        }
        let found: Vec<Val> = self
            .vals
            .iter()
            .rev()
            .copied()
            .filter(|v| self.b.ty(*v) == ty)
            .take(6)
            .collect();
        match (self.random.below(8), found.len()) {
            (0, _) => {
                let bits = self.random.below(3).wrapping_sub(1) as u128;
                super::constant(&mut self.b, ty, bits & ty.mask())
            }
            (1, _) => {
                let bits = self.random.next() as u128 >> self.random.below(64);
                super::constant(&mut self.b, ty, bits & ty.mask())
            }
            (2..=6, n @ 1..) => found[self.random.below(n as u64) as usize],
            _ => {
                let slot = self.slot(Some(ty));
                self.b.get(slot)
            }
        }
    }
    fn operation(&mut self, cases: &[Case]) {
        let case = &cases[self.random.below(cases.len() as u64) as usize];
        let operands: Vec<Val> = case.operands.iter().map(|k| self.value(*k)).collect();
        if let Some(v) = case.emit(&mut self.b, &operands) {
            self.vals.push(v);
        }
        if self.random.below(12) == 0 {
            let (arg, helper) = (self.value(Kind::Int(Ty::I32)), self.random.below(4) as u16);
            let v = self.b.call(Ty::I32, helper, &[arg]);
            self.vals.push(v);
        }
    }
    fn branch(&mut self) {
        let cond = self.value(Kind::Bool);
        let label = match (self.random.below(4), self.open.last()) {
            // A second branch to a label that is open already.
            (0, Some((label, _))) => *label,
            _ => {
                let label = self.b.label();
                self.open.push((label, self.vals.len()));
                label
            }
        };
        self.b.br_if(cond, label);
    }
    /// Place the innermost open label, perhaps after an end or an else part; whether there was one.
    fn close(&mut self) -> bool {
        let Some((label, defined)) = self.open.pop() else {
            return false;
        };
        match self.random.below(4) {
            0 => self.finish(),
            1 => {
                let end = self.b.label();
                self.b.br(end);
                self.open.push((end, defined));
            }
            _ => {}
        }
        self.b.place(label);
        // Which instruction a fault past a label belongs to must not depend on how the label was reached.
        let offset = 4 * self.b.block.guest_insns as u16;
        self.b.insn(offset, offset as u32);
        self.vals.truncate(defined);
        true
    }
    fn finish(&mut self) {
        match self.random.below(3) {
            0 => self.b.goto(0x100, 0, Hint::Jump, false),
            1 => {
                let addr = self.value(Kind::Int(Ty::I32));
                self.b.goto_val(addr, Hint::Jump);
            }
            _ => self.b.exit(Leave::Sync),
        }
    }
}

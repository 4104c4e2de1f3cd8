//! The backward pass: unused pure operations and unseen slot stores go, then the block closes ranks.
//!
//! A store is unseen if all its bytes are written again before anything can look at them: a read of the slot, an access
//! to guest memory or a state helper (either may fault, and a fault shows the whole state), or the end of a path. On a
//! branch only the stores past its label count, which are those of both ways.

use super::CallEffect;
use emu_ir::{Block, Effect, Layout, Op, Slot, Ty, Val};

/// Working memory.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// Values that something uses.
    used: Vec<bool>,
    /// From old positions to new ones.
    map: Vec<Val>,
    overwritten: Overwritten,
    /// For each label, what is overwritten there.
    marks: Vec<Vec<u64>>,
}

/// The bytes of the state that are certainly written before they are looked at, seen from the current position: a bit
/// each.
#[derive(Debug, Default)]
struct Overwritten {
    words: Vec<u64>,
}

impl Overwritten {
    /// The words that a slot's bytes lie in, and which bits they are.
    fn bits(slot: Slot) -> [(usize, u64); 2] {
        let (word, shift) = (slot.off as usize / 64, slot.off % 64);
        let bits = (1u64 << slot.ty.bytes()) - 1;
        [(word, bits << shift), (word + 1, bits >> 1 >> (63 - shift))]
    }
    fn all(&self, slot: Slot) -> bool {
        let word = |i: usize| self.words.get(i).copied().unwrap_or(0);
        Self::bits(slot).iter().all(|&(i, bits)| word(i) & bits == bits)
    }
    fn add(&mut self, slot: Slot) {
        for (i, bits) in Self::bits(slot).into_iter().filter(|&(_, bits)| bits != 0) {
            if self.words.len() <= i {
                self.words.resize(i + 1, 0);
            }
            self.words[i] |= bits;
        }
    }
    fn read(&mut self, slot: Slot) {
        for (i, bits) in Self::bits(slot) {
            if let Some(word) = self.words.get_mut(i) {
                *word &= !bits;
            }
        }
    }
    fn read_all(&mut self) {
        self.words.clear();
    }
    /// Only what is overwritten here and there.
    fn meet(&mut self, other: &[u64]) {
        let other = other.iter().copied().chain(std::iter::repeat(0));
        self.words.iter_mut().zip(other).for_each(|(word, o)| *word &= o);
    }
}

/// Remove what has no effect.
pub(super) fn run(block: &mut Block, layout: &Layout, effect: fn(u16) -> CallEffect, t: &mut Tables) {
    t.used.clear();
    t.used.resize(block.insts.len(), false);
    t.overwritten.read_all();
    if t.marks.len() < block.labels as usize {
        t.marks.resize(block.labels as usize, Vec::new());
    }
    let mut removed = false;
    for i in (0..block.insts.len()).rev() {
        let inst = block.insts[i];
        if let Op::Insn { .. } = inst.op {
            t.used[i] = true;
            continue;
        }
        let keep = keeps(t, &inst.op, inst.ty, layout, effect) || t.used[i];
        if !keep {
            removed = true;
            continue;
        }
        t.used[i] = true;
        if let Op::Get { slot } = inst.op {
            t.overwritten.read(Slot { off: slot, ty: inst.ty });
        }
        let used = &mut t.used;
        inst.op.vals(|v| used[v.index()] = true);
    }
    if removed {
        compact(block, t);
    }
}

/// Whether an operation stays though nothing uses its value; its effect on what is overwritten.
fn keeps(t: &mut Tables, op: &Op, ty: Ty, layout: &Layout, effect: fn(u16) -> CallEffect) -> bool {
    let o = &mut t.overwritten;
    match op.effect() {
        Effect::Pure | Effect::Get => return false,
        Effect::Set => {
            let Op::Set { slot, .. } = *op else { return true };
            let slot = Slot { off: slot, ty };
            if o.all(slot) {
                return false;
            }
            o.add(slot);
        }
        Effect::Fp => flags(o, layout),
        Effect::Mem if matches!(op, Op::Barrier { .. }) => {}
        Effect::Mem => o.read_all(),
        Effect::Call => {
            let Op::Call { helper, .. } = *op else { return true };
            match effect(helper) {
                CallEffect::Pure => return false,
                CallEffect::Flags => flags(o, layout),
                CallEffect::State => o.read_all(),
            }
        }
        Effect::Flow => flow(t, op, layout),
    }
    true
}

/// Cumulative flags are read and written, the rounding mode is read.
fn flags(o: &mut Overwritten, layout: &Layout) {
    o.read(layout.fp_flags);
    o.read(layout.fp_round);
}

fn flow(t: &mut Tables, op: &Op, layout: &Layout) {
    let o = &mut t.overwritten;
    match *op {
        Op::Goto { .. } | Op::GotoVal { .. } => {
            o.read_all();
            o.add(layout.pc);
        }
        Op::Exit { .. } => o.read_all(),
        Op::Place { label } => t.marks[label.0 as usize].clone_from(&o.words),
        Op::Br { label } | Op::BrIf { label, .. } => o.meet(&t.marks[label.0 as usize]),
        _ => {}
    }
}

/// Move what is used together, renaming values.
fn compact(block: &mut Block, t: &mut Tables) {
    t.map.clear();
    t.map.resize(block.insts.len(), Val::NONE);
    let mut to = 0;
    for i in 0..block.insts.len() {
        if !t.used[i] {
            continue;
        }
        let map = &t.map;
        // In place: a copy changed and moved at once would wait for its own short stores.
        block.insts[to] = block.insts[i];
        if !matches!(block.insts[to].op, Op::Insn { .. } | Op::Const { .. }) {
            block.insts[to].op.rewrite(|v| *v = map[v.index()]);
        }
        t.map[i] = Val(to as u16);
        to += 1;
    }
    block.insts.truncate(to);
}

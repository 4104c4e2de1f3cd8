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
    /// For each label, how far the log of overwritten bytes went there.
    marks: Vec<usize>,
}

/// The bytes of the state that are certainly written before they are looked at, seen from the current position.
#[derive(Debug, Default)]
struct Overwritten {
    /// For each byte, 1 + its place in the log, or less than `start` + 1 where it is not overwritten.
    at: Vec<u32>,
    log: Vec<u16>,
    /// Log entries before this are void: something looks at the whole state.
    start: usize,
}

impl Overwritten {
    fn clear(&mut self) {
        for byte in self.log.drain(..) {
            self.at[byte as usize] = 0;
        }
        self.start = 0;
    }
    fn bytes(slot: Slot) -> std::ops::Range<usize> {
        slot.off as usize..slot.off as usize + slot.ty.bytes() as usize
    }
    fn all(&self, slot: Slot) -> bool {
        Self::bytes(slot).all(|b| self.at.get(b).is_some_and(|at| *at as usize > self.start))
    }
    fn add(&mut self, slot: Slot) {
        let bytes = Self::bytes(slot);
        if self.at.len() < bytes.end {
            self.at.resize(bytes.end, 0);
        }
        for b in bytes {
            if self.at[b] as usize <= self.start {
                self.log.push(b as u16);
                self.at[b] = self.log.len() as u32;
            }
        }
    }
    fn read(&mut self, slot: Slot) {
        for b in Self::bytes(slot) {
            if let Some(at) = self.at.get_mut(b) {
                *at = 0;
            }
        }
    }
    fn read_all(&mut self) {
        self.start = self.log.len();
    }
    /// Only what was overwritten when the log had `mark` entries still is.
    fn rewind(&mut self, mark: usize) {
        for i in mark.max(self.start)..self.log.len() {
            let byte = self.log[i] as usize;
            if self.at[byte] as usize == i + 1 {
                self.at[byte] = 0;
            }
        }
    }
}

/// Remove what has no effect.
pub(super) fn run(block: &mut Block, layout: &Layout, effect: fn(u16) -> CallEffect, t: &mut Tables) {
    t.used.clear();
    t.used.resize(block.insts.len(), false);
    t.overwritten.clear();
    t.marks.clear();
    t.marks.resize(block.labels as usize, 0);
    let mut removed = false;
    for i in (0..block.insts.len()).rev() {
        let inst = block.insts[i];
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
        Op::Place { label } => t.marks[label.0 as usize] = o.log.len(),
        Op::Br { label } | Op::BrIf { label, .. } => o.rewind(t.marks[label.0 as usize]),
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
        block.insts[to].op.rewrite(|v| *v = map[v.index()]);
        t.map[i] = Val(to as u16);
        to += 1;
    }
    block.insts.truncate(to);
}

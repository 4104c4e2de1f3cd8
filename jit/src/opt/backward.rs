//! The backward pass: what is needed, until when, and where it is best made.
//!
//! Pure operations nobody uses are not needed, nor are slot stores nobody can see. A store is unseen if all its bytes are
//! written again before anything can look at them: a read of the slot, an access to guest memory or a state helper
//! (either may fault, and a fault shows the whole state), or the end of a path. On a branch only the stores past its label
//! count, which are those of both ways.

use super::CallEffect;
use super::recipe::{Recipe, maker};
use crate::pins::{self, PINNED, Pins};
use emu_ir::{Block, Effect, Layout, Op, Rule, Rules, Slot, Ty, Val};

/// What is known of an operation and its value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    /// One past the operation that uses its value last; past itself if it is there for its effect; 0: it is not needed.
    pub end: u16,
    /// The pin that its value is best made in: it is set to that next, and nothing between leaves the block, looks at the
    /// slot or changes it. Or [`pins::LATER`].
    pub hint: u8,
    /// How many operations further the next comparison is, at most 255.
    pub comparison: u8,
}

impl Life {
    pub const UNKNOWN: Life = Life {
        end: 0,
        hint: pins::NONE,
        comparison: u8::MAX,
    };
    /// Whether the operation stays.
    #[inline]
    pub fn needed(&self) -> bool {
        self.end != 0
    }
}

/// What the pass finds out about a block.
#[derive(Default)]
pub struct Lives {
    /// For each operation.
    pub(crate) vals: Vec<Life>,
    /// Which operation uses which value last, from the block's end to its start.
    pub(crate) deaths: Vec<(u16, Val)>,
    /// For each label, the operation that places it.
    pub(crate) places: Vec<u16>,
    /// The layout's pins.
    pub(crate) pins: Pins,
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
    /// The word that a slot's first byte lies in, and the bits there and in the next.
    #[inline]
    fn bits(slot: Slot) -> (usize, u64, u64) {
        let (word, shift) = (slot.off as usize / 64, slot.off % 64);
        let bits = (1u64 << slot.ty.bytes()) - 1;
        (word, bits << shift, bits >> 1 >> (63 - shift))
    }
    fn word(&self, i: usize) -> u64 {
        self.words.get(i).copied().unwrap_or(0)
    }
    /// Add a slot; whether it was there already.
    fn add(&mut self, slot: Slot) -> bool {
        let (i, here, next) = Self::bits(slot);
        if self.word(i) & here == here && (next == 0 || self.word(i + 1) & next == next) {
            return true;
        }
        let words = i + 1 + usize::from(next != 0);
        if self.words.len() < words {
            self.words.resize(words, 0);
        }
        self.words[i] |= here;
        if next != 0 {
            self.words[i + 1] |= next;
        }
        false
    }
    fn read(&mut self, slot: Slot) {
        let (i, here, next) = Self::bits(slot);
        for (i, bits) in [(i, here), (i + 1, next)] {
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

/// Find out what is needed of a block.
pub(super) fn run(block: &Block, layout: &'static Layout, effect: fn(u16) -> CallEffect, l: &mut Lives) {
    l.vals.clear();
    l.vals.resize(block.insts.len(), Life::UNKNOWN);
    l.deaths.clear();
    l.places.clear();
    l.places.resize(block.labels as usize, 0);
    l.pins.know(layout);
    l.overwritten.read_all();
    if l.marks.len() < block.labels as usize {
        l.marks.resize(block.labels as usize, Vec::new());
    }
    let mut pass = Backward {
        l,
        block,
        layout,
        effect,
        wanted: [Val::NONE; PINNED],
        comparison: u8::MAX,
        later: None,
    };
    for (i, inst) in block.insts.iter().enumerate().rev() {
        pass.step(i as u16, &inst.op, inst.ty);
    }
}

/// The pass at work on one block.
struct Backward<'a> {
    l: &'a mut Lives,
    block: &'a Block,
    layout: &'a Layout,
    effect: fn(u16) -> CallEffect,
    /// For each pin, the value it is set to next, if nothing forbids to make it there.
    wanted: [Val; PINNED],
    comparison: u8,
    /// Status flags are stored further on.
    later: Option<Later>,
}

/// Status flags are stored in a slot, and what is there before that nobody looks at but a fault.
#[derive(Clone, Copy, Debug)]
struct Later {
    slot: Slot,
    /// The last access to memory before they are stored.
    access: Option<u16>,
}

impl Backward<'_> {
    #[inline]
    fn step(&mut self, i: u16, op: &Op, ty: Ty) {
        let life = &mut self.l.vals[i as usize];
        let used = life.needed();
        life.comparison = self.comparison;
        // Most blocks have many of these first ones, and little is to be done for them.
        match *op {
            Op::Insn { .. } => life.end = i + 1,
            Op::Const { .. } if !used => return,
            Op::Const { .. } => {}
            Op::Set { slot, a } => {
                let slot = Slot { off: slot, ty };
                if self.l.overwritten.add(slot) {
                    return;
                }
                if ty == Ty::I16 && self.stores_status(i, slot, a) {
                    return;
                }
                let life = &mut self.l.vals[i as usize];
                life.end = i + 1;
                self.uses(i, a);
                if let Some(p) = self.l.pins.pin(slot) {
                    self.wanted[p as usize] = a;
                    self.l.vals[a.index()].hint = p;
                }
            }
            Op::Get { .. } if !used => return,
            Op::Get { slot } => {
                let slot = Slot { off: slot, ty };
                self.made(i);
                self.l.overwritten.read(slot);
                self.later = self.later.filter(|later| later.slot != slot);
                if let Some(p) = self.l.pins.pin(slot) {
                    self.wanted[p as usize] = Val::NONE;
                }
            }
            Op::Place { label } => {
                life.end = i + 1;
                self.later = None;
                self.l.places[label.0 as usize] = i;
                self.l.marks[label.0 as usize].clone_from(&self.l.overwritten.words);
                self.wanted = [Val::NONE; PINNED];
            }
            _ => {
                let effect = op.effect();
                if !used {
                    let pure = match *op {
                        Op::Call { helper, .. } => (self.effect)(helper) == CallEffect::Pure,
                        _ => effect == Effect::Pure,
                    };
                    if pure {
                        return;
                    }
                    life.end = i + 1;
                    if op.rule() != Rule::None {
                        self.l.deaths.push((i, Val(i)));
                    }
                }
                self.made(i);
                if self.l.vals[i as usize].hint == pins::LATER {
                    return op.operands().iter().for_each(|v| self.left(i, v));
                }
                match self.maker(i, op) {
                    Some(v) => self.uses(i, v),
                    None => op.operands().iter().for_each(|v| self.uses(i, v)),
                }
                match effect {
                    Effect::Pure => {
                        if matches!(op.rule(), Rule::Bool | Rule::Status) {
                            self.comparison = 0;
                        }
                        if let Op::Zext { a } = *op {
                            self.extends(i, a);
                        }
                    }
                    Effect::Fp => self.flags(),
                    Effect::X87 => {
                        self.later = None;
                        self.x87();
                    }
                    Effect::Get | Effect::Set | Effect::Position => {}
                    Effect::Load
                    | Effect::Store
                    | Effect::Atomic
                    | Effect::Fence
                    | Effect::Call
                    | Effect::Branch
                    | Effect::Leave => {
                        self.wanted = [Val::NONE; PINNED];
                        self.shows(i, op, effect);
                    }
                }
            }
        }
        self.comparison = self.comparison.saturating_add(1);
    }
    /// Status flags are stored; whether that is put off.
    fn stores_status(&mut self, i: u16, slot: Slot, a: Val) -> bool {
        let of_status = matches!(self.block.insts[a.index()].op, Op::Status { .. });
        if !of_status && self.later.is_none_or(|later| later.slot != slot) {
            return false;
        }
        let put_off = of_status && self.put_off(i, slot, a);
        self.later = Some(Later { slot, access: None });
        put_off
    }
    /// [`maker`] of status flags: it is needed then, and its operands need not be kept for them.
    fn maker(&self, i: u16, op: &Op) -> Option<Val> {
        match op {
            Op::Status { .. } => maker(self.block, &self.l.pins, Val(i)),
            _ => None,
        }
    }
    /// A value that is zero-extended for a pin is best made there, too.
    fn extends(&mut self, i: u16, a: Val) {
        let hint = self.l.vals[i as usize].hint;
        if let Some(wanted) = self.wanted.get_mut(hint as usize) {
            *wanted = a;
            self.l.vals[a.index()].hint = hint;
        }
    }
    /// Status flags that are stored over again before anybody but a fault looks at them need not be stored: what they are
    /// made from is kept up to the last access that may fault. Whether that can be.
    fn put_off(&mut self, i: u16, slot: Slot, status: Val) -> bool {
        let Some(Later {
            access: Some(access), ..
        }) = self.later.filter(|later| later.slot == slot)
        else {
            return false;
        };
        let Some(recipe) = Recipe::of(self.block, &self.l.pins, slot, status, i as usize) else {
            return false;
        };
        for v in recipe.values() {
            self.kept(access, v);
        }
        self.left(i, status);
        let life = &mut self.l.vals[i as usize];
        (life.end, life.hint) = (i + 1, pins::LATER);
        true
    }
    /// A value is kept up to an operation that was looked at already.
    fn kept(&mut self, until: u16, v: Val) {
        let life = &mut self.l.vals[v.index()];
        if life.hint == pins::LATER {
            (life.hint, life.end) = (pins::NONE, 0);
        }
        if life.end > until {
            return;
        }
        let before = std::mem::replace(&mut life.end, until + 1);
        let deaths = &mut self.l.deaths;
        if before != 0
            && let Some(at) = deaths.iter().rposition(|&death| death == (before - 1, v))
        {
            deaths.remove(at);
        }
        let at = deaths.partition_point(|&(i, _)| i >= until);
        deaths.insert(at, (until, v));
    }
    /// A value is an operand of what is not made, and is not made either unless somebody else uses it.
    fn left(&mut self, i: u16, v: Val) {
        let life = &mut self.l.vals[v.index()];
        if life.needed() {
            return;
        }
        match self.block.insts[v.index()].op.effect() {
            Effect::Pure | Effect::Get => (life.end, life.hint) = (i + 1, pins::LATER),
            _ => self.uses(i, v),
        }
    }
    #[inline]
    fn uses(&mut self, i: u16, v: Val) {
        let life = &mut self.l.vals[v.index()];
        let left = life.hint == pins::LATER;
        if left {
            life.hint = pins::NONE;
        }
        if left || !life.needed() {
            life.end = i + 1;
            self.l.deaths.push((i, v));
        }
    }
    /// Here a value is made: what it is wanted for holds for nothing before.
    #[inline]
    fn made(&mut self, i: u16) {
        let hint = &mut self.l.vals[i as usize].hint;
        if let Some(wanted) = self.wanted.get_mut(*hint as usize) {
            if *wanted == Val(i) {
                *wanted = Val::NONE;
            } else {
                *hint = pins::NONE;
            }
        }
    }
    /// What memory accesses, calls and branches mean for the stores before them.
    fn shows(&mut self, i: u16, op: &Op, effect: Effect) {
        match (effect, *op) {
            (Effect::Load | Effect::Store, _) => {
                if let Some(later) = &mut self.later {
                    later.access.get_or_insert(i);
                }
            }
            (Effect::Call, Op::Call { helper, .. }) if (self.effect)(helper) != CallEffect::State => {}
            (Effect::Fence, _) => {}
            _ => self.later = None,
        }
        let o = &mut self.l.overwritten;
        match *op {
            Op::Call { helper, .. } => match (self.effect)(helper) {
                CallEffect::Pure => {}
                CallEffect::Flags => self.flags(),
                CallEffect::State => o.read_all(),
            },
            Op::Goto { .. } | Op::GotoVal { .. } => {
                o.read_all();
                o.add(self.layout.pc);
            }
            Op::Br { label } | Op::BrIf { label, .. } => o.meet(&self.l.marks[label.0 as usize]),
            Op::X87Need { label, .. } => {
                o.meet(&self.l.marks[label.0 as usize]);
                self.x87();
            }
            _ if effect == Effect::Fence => {}
            _ => o.read_all(),
        }
    }
    /// The x87 unit is read.
    fn x87(&mut self) {
        for slot in self.layout.x87.iter().flat_map(emu_ir::X87Slots::all) {
            self.l.overwritten.read(slot);
        }
    }
    /// Cumulative flags are read and written, the rounding mode and what else operations depend on are read.
    fn flags(&mut self) {
        if let Rules::X86 { mxcsr } = self.layout.rules {
            self.l.overwritten.read(mxcsr);
        }
        self.l.overwritten.read(self.layout.fp_flags);
        self.l.overwritten.read(self.layout.fp_round);
    }
}

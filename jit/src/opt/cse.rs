//! Equal pure operations found again: a small direct-mapped table, checked on every hit.

use emu_ir::block::Inst;
use emu_ir::{Block, Val};
use std::hash::{Hash, Hasher};

const WAYS: usize = 256;

#[derive(Debug)]
pub(super) struct Table {
    at: Box<[u16; WAYS]>,
    /// Regions that a branch may skip, behind their labels: `from..to`, disjoint and ascending.
    hidden: Vec<(u16, u16)>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            at: Box::new([u16::MAX; WAYS]),
            hidden: Vec::new(),
        }
    }
}

/// A multiplicative hash: good enough for a table of hints.
#[derive(Default)]
struct Mix(u64);

impl Mix {
    fn add(&mut self, v: u64) {
        self.0 = (self.0.rotate_left(5) ^ v).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes
            .chunks(8)
            .for_each(|c| self.add(c.iter().fold(0, |v, b| v << 8 | *b as u64)));
    }
    fn write_u8(&mut self, v: u8) {
        self.add(v as u64);
    }
    fn write_u16(&mut self, v: u16) {
        self.add(v as u64);
    }
    fn write_u32(&mut self, v: u32) {
        self.add(v as u64);
    }
    fn write_u64(&mut self, v: u64) {
        self.add(v);
    }
    fn write_usize(&mut self, v: usize) {
        self.add(v as u64);
    }
    fn write_isize(&mut self, v: isize) {
        self.add(v as u64);
    }
}

impl Table {
    /// Start a block. Entries of another block that remain are harmless: what they name is compared.
    pub(super) fn start(&mut self) {
        self.hidden.clear();
    }
    /// Values from position `from` up to `to` are no longer defined on every path.
    pub(super) fn hide(&mut self, from: u16, to: u16) {
        let mut from = from;
        while let Some(&(f, t)) = self.hidden.last() {
            if t < from {
                break;
            }
            from = from.min(f);
            self.hidden.pop();
        }
        self.hidden.push((from, to));
    }
    fn visible(&self, v: u16) -> bool {
        let inside = self
            .hidden
            .iter()
            .rev()
            .take_while(|(_, to)| *to > v)
            .any(|(from, _)| *from <= v);
        !inside
    }
    /// An earlier operation equal to `inst`, else remember that it comes next.
    pub(super) fn find(&mut self, block: &Block, inst: &Inst) -> Option<Val> {
        let mut h = Mix::default();
        inst.hash(&mut h);
        let entry = &mut self.at[(h.finish() >> 56) as usize];
        let known = *entry;
        if block.insts.get(known as usize) == Some(inst) && self.visible(known) {
            return Some(Val(known));
        }
        self.at[(h.finish() >> 56) as usize] = block.insts.len() as u16;
        None
    }
}

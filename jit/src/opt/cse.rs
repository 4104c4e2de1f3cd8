//! Equal pure operations found again: a small direct-mapped table, checked on every hit.

use emu_ir::block::Inst;
use emu_ir::{Block, Op, Val};
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

/// One step of a multiplicative hash: good enough for a table of hints.
#[inline]
pub(super) fn mix(h: u64, v: u64) -> u64 {
    (h.rotate_left(5) ^ v).wrapping_mul(0x517c_c1b7_2722_0a95)
}

/// Which operation it is.
#[derive(Default)]
struct Discriminant(u64);

impl Hasher for Discriminant {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |h, b| mix(h, *b as u64));
    }
    fn write_isize(&mut self, v: isize) {
        self.0 = v as u64;
    }
}

/// The table's place for an operation, given a hash of its operands. Of other fields only those of constants count.
#[inline]
fn place(inst: &Inst, operands: u64) -> usize {
    let operands = match inst.op {
        Op::Const { imm } => imm.get(),
        Op::PcRel { offset } => offset as u64,
        _ => operands,
    };
    let mut which = Discriminant::default();
    std::mem::discriminant(&inst.op).hash(&mut which);
    let h = mix(mix(operands, which.0), inst.ty as u64);
    (h >> 56) as usize
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
    /// An earlier operation equal to `inst`, else remember that it comes next; `operands` is a hash of its operands.
    pub(super) fn find(&mut self, block: &Block, inst: &Inst, operands: u64) -> Option<Val> {
        let place = place(inst, operands);
        let known = self.at[place];
        if block.insts.get(known as usize) == Some(inst) && self.visible(known) {
            return Some(Val(known));
        }
        self.at[place] = block.insts.len() as u16;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use emu_ir::{Imm, Ty};

    #[test]
    fn regions_behind_their_labels_are_hidden_and_grow_together() {
        let mut table = Table::default();
        let seen = |table: &Table, all: &[u16]| all.iter().map(|&v| table.visible(v)).collect::<Vec<_>>();

        table.hide(5, 10);
        table.hide(20, 30);
        assert_eq!(seen(&table, &[4, 5, 9, 10, 19]), [true, false, false, true, true]);
        assert_eq!(seen(&table, &[20, 29, 30]), [false, false, true]);

        table.hide(8, 40);
        assert_eq!(seen(&table, &[4, 5, 15, 39, 40]), [true, false, false, false, true]);

        table.hide(60, 70);
        assert_eq!(seen(&table, &[39, 40, 59, 60]), [false, true, true, false]);

        table.start();
        assert_eq!(seen(&table, &[5, 39, 60]), [true; 3]);
    }

    #[test]
    fn an_equal_operation_is_found_where_it_is_defined() {
        let constant = |bits| Inst {
            op: Op::Const { imm: Imm::new(bits) },
            ty: Ty::I32,
        };
        let (mut block, mut table) = (Block::default(), Table::default());
        for bits in 0..3 {
            assert_eq!(table.find(&block, &constant(bits), 0), None);
            block.insts.push(constant(bits));
        }

        assert_eq!(table.find(&block, &constant(1), 0), Some(Val(1)));
        table.hide(1, 3);
        assert_eq!(table.find(&block, &constant(0), 0), Some(Val(0)));
        assert_eq!(table.find(&block, &constant(1), 0), None, "made on one way only");
    }
}

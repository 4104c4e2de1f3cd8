//! The values of the block that the forward pass makes: what they are, and new ones, each made once.

use super::cse;
use emu_ir::block::Inst;
use emu_ir::ops;
use emu_ir::{Block, Imm, Op, Ty, Val};

/// What is to be known of an operation's operands, gathered in one go.
#[derive(Clone, Copy, Default)]
pub(super) struct Operands {
    pub count: u32,
    /// How many are constants.
    pub constants: u32,
    /// The first is a constant.
    pub first: bool,
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

/// The new block, and what is known of the values in it.
pub(super) struct Values<'a> {
    pub block: &'a mut Block,
    /// Those of constants.
    pub constants: &'a mut Vec<u128>,
    pub cse: &'a mut cse::Table,
}

impl Values<'_> {
    /// The position of the next operation.
    pub(super) fn here(&self) -> u16 {
        self.block.insts.len() as u16
    }
    /// The operation that makes a value.
    pub(super) fn def(&self, v: Val) -> Inst {
        self.block.insts[v.index()]
    }
    /// The type of a value.
    pub(super) fn ty(&self, v: Val) -> Ty {
        self.block.ty(v)
    }
    /// The value of a constant of up to 64 bits.
    pub(super) fn constant(&self, v: Val) -> Option<u64> {
        self.block.constant(v)
    }
    /// A constant, made if need be.
    pub(super) fn make(&mut self, ty: Ty, bits: u128) -> Val {
        let bits = bits & ty.mask();
        let op = if ty == Ty::V128 {
            let at = self.block.pool.iter().position(|p| *p == bits).unwrap_or_else(|| {
                self.block.pool.push(bits);
                self.block.pool.len() - 1
            });
            Op::Const128 { pool: at as u16 }
        } else {
            let imm = Imm::new(bits as u64);
            Op::Const { imm }
        };
        self.reuse(&Inst { op, ty }, Operands::default())
    }
    /// An equal value made before, or `inst` appended.
    pub(super) fn reuse(&mut self, inst: &Inst, operands: Operands) -> Val {
        if let Some(v) = self.cse.find(self.block, inst, operands.hash) {
            return v;
        }
        let v = self.push(inst);
        match inst.op {
            Op::Const { imm } => self.note(v.index(), imm.get() as u128),
            Op::Const128 { pool } => self.note(v.index(), self.block.pool[pool as usize]),
            _ => {}
        }
        v
    }
    /// `inst` appended.
    #[inline]
    pub(super) fn push(&mut self, inst: &Inst) -> Val {
        let v = Val(self.here());
        self.block.insts.push(*inst);
        v
    }
    fn note(&mut self, at: usize, bits: u128) {
        if self.constants.len() <= at {
            self.constants.resize(at + 64, 0);
        }
        self.constants[at] = bits;
    }
    /// What there is to know of operands.
    pub(super) fn operands(&self, of: ops::Operands) -> Operands {
        let mut operands = Operands::default();
        of.iter().for_each(|v| operands.add(v, &self.block.insts));
        operands
    }
}

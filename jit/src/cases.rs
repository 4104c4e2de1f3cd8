//! Test support: for every operation blocks and hard operands, that interpreter, passes and emitter run alike.
//!
//! "Interpreter = emitter" is one loop:
//!
//! ```text
//! for case in cases::all() {
//!     for how in Operands::ALL {
//!         for (n, row) in case.rows().iter().enumerate() {
//!             let block = case.block(*how, row);       // for Operands::Slots one block serves every row
//!             let state = case.state(row, n as u32);   // run both from here, with TestMemory::default()
//! ```
//!
//! and compares final states, memory, and where the block went. [`random`] has whole random blocks.

mod flat;
mod float;
mod flow;
mod guest;
mod integer;
mod operands;
pub mod random;
mod vector;
pub mod x87;

pub use emu_ir::testing::Random;
pub use flat::{Flat, Program};
pub use guest::*;
pub use operands::{Kind, hard_float};

use emu_ir::block::Inst;
use emu_ir::{Block, Builder, Lane, Leave, Op, Slot, Ty, Val};

/// Builds what a case is about from its operands; the value to look at, if there is one.
pub type Build = fn(&mut Builder, &[Val]) -> Option<Val>;

#[derive(Clone, Copy, Debug)]
enum Make {
    /// One operation; its operands are named `Val(0)`, `Val(1)` …
    Op(Inst, u128),
    /// Several.
    Build(Build),
}

/// One operation with its type and parameters, to be run on many operands.
#[derive(Clone, Debug)]
pub struct Case {
    /// The operation, as in [`Op::ALL`].
    pub name: &'static str,
    /// The operands' kinds: type and which values are hard.
    pub operands: Vec<Kind>,
    make: Make,
}

/// How operands reach the operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operands {
    /// From slots that have no host register.
    Slots,
    /// I32 operands from pinned slots, the result to one.
    Pinned,
    /// As constants.
    Constants,
    /// The first from a slot, the others as constants.
    LastConstant,
    /// All operands of the first one's kind are the first.
    Same,
    /// From slots, with more values alive than any host has registers.
    Spilled,
}

impl Operands {
    /// Every way.
    pub const ALL: &'static [Operands] = &[
        Operands::Slots,
        Operands::Pinned,
        Operands::Constants,
        Operands::LastConstant,
        Operands::Same,
        Operands::Spilled,
    ];
    /// Whether the block depends on the operands.
    pub fn embeds(self) -> bool {
        matches!(self, Operands::Constants | Operands::LastConstant)
    }
}

const RESULT: u32 = 15;
/// Integer values kept alive by [`Operands::Spilled`]; as many vectors.
const PRESSURE: u32 = 8;

/// Where a case puts its result, but for an I32 under [`Operands::Pinned`].
pub fn result(ty: Ty) -> Slot {
    any(RESULT, ty)
}

/// Every case of every operation.
pub fn all() -> Vec<Case> {
    let float = float::cases(&float::environments());
    [integer::cases(), float, vector::cases(), flow::cases(), x87::cases()].concat()
}

/// The cases of floating point for a guest whose rules are x86's.
pub fn of_x86() -> Vec<Case> {
    let environments = float::of_x86();
    let mut all = float::cases(&environments);
    for (ty, e) in [
        (Ty::V128, Lane::F32),
        (Ty::V128, Lane::F64),
        (Ty::V64, Lane::F32),
        (Ty::V64, Lane::F64),
    ] {
        all.extend(vector::floats(ty, e, &environments));
    }
    all
}

impl Case {
    pub(crate) fn op(op: Op, ty: Ty, operands: &[Kind]) -> Case {
        Case::pooled(op, ty, operands, 0)
    }
    /// With a pool entry, which `op` names as number 0.
    fn pooled(op: Op, ty: Ty, operands: &[Kind], pool: u128) -> Case {
        let make = Make::Op(Inst { op, ty }, pool);
        Case {
            name: op.name(),
            operands: operands.to_vec(),
            make,
        }
    }
    fn build(name: &'static str, operands: &[Kind], f: Build) -> Case {
        let make = Make::Build(f);
        Case {
            name,
            operands: operands.to_vec(),
            make,
        }
    }
    /// The operation itself, with operands named `Val(0)`, `Val(1)` …, where the case is just one.
    pub fn inst(&self) -> Option<Inst> {
        match self.make {
            Make::Op(inst, _) => Some(inst),
            Make::Build(_) => None,
        }
    }
    /// The pool entry it uses, if it uses one.
    pub fn pool(&self) -> u128 {
        match self.make {
            Make::Op(_, pool) => pool,
            Make::Build(_) => 0,
        }
    }
    /// Append the operation itself to a block under construction.
    pub fn emit(&self, b: &mut Builder, operands: &[Val]) -> Option<Val> {
        match self.make {
            Make::Build(f) => f(b, operands),
            Make::Op(inst, pool) => {
                let mut op = inst.op;
                op.vals_mut(&mut |v| *v = operands[v.index()]);
                if let Op::Const128 { pool: at } | Op::VPerm { pool: at, .. } = &mut op {
                    *at = b.pool(pool);
                }
                let v = b.push(inst.ty, op);
                inst.result().map(|_| v)
            }
        }
    }
    /// Operand rows: hard values against each other, and random ones.
    pub fn rows(&self) -> Vec<Vec<u128>> {
        operands::rows(self.name, &self.operands)
    }
    /// The state to start from, for the `n`th row: operands in slots 0 to 3 (and pinned ones), the rounding mode `n` % 4.
    pub fn state(&self, row: &[u128], n: u32) -> State {
        let mut s: State = bytemuck::Zeroable::zeroed();
        let mut random = Random::new(n as u64);
        s.v.as_flattened_mut().fill_with(|| random.next());
        s.r.fill_with(|| random.next() as u32);
        (s.pc, s.fp_round) = (0x8000_0000, n % 4);
        x87::fill(&mut s, &mut random);
        for (i, v) in row.iter().enumerate() {
            s.v[i] = [*v as u64, (*v >> 64) as u64];
            s.r[i] = *v as u32;
        }
        s
    }
    /// The block that runs the case. It starts with an `Insn` and ends with an exit, unless the case itself ends it.
    pub fn block(&self, how: Operands, row: &[u128]) -> Block {
        let mut b = Builder::new();
        b.insn(0x10, 0x77);
        let held = if how == Operands::Spilled {
            pressure(&mut b)
        } else {
            Vec::new()
        };
        let vals = self.operand_values(&mut b, how, row);
        if let Some(v) = self.emit(&mut b, &vals) {
            let ty = b.ty(v);
            let pin = how == Operands::Pinned && ty == Ty::I32;
            b.set(if pin { pinned(3) } else { result(ty) }, v);
        }
        if !b.block.insts.last().is_some_and(|l| l.op.ends()) {
            release(&mut b, &held);
            b.exit(Leave::Sync);
        }
        b.block
    }
    fn operand_values(&self, b: &mut Builder, how: Operands, row: &[u128]) -> Vec<Val> {
        let mut vals: Vec<Val> = Vec::new();
        for (i, kind) in self.operands.iter().enumerate() {
            let ty = kind.ty();
            let first = vals.first().copied().filter(|_| self.operands.first() == Some(kind));
            vals.push(match (how, first) {
                (Operands::Same, Some(v)) => v,
                (Operands::Constants, _) => constant(b, ty, row[i]),
                (Operands::LastConstant, _) if i > 0 => constant(b, ty, row[i]),
                (Operands::Pinned, _) if ty == Ty::I32 => b.get(pinned(i as u32)),
                _ => b.get(any(i as u32, ty)),
            });
        }
        vals
    }
}

/// A constant of any type.
fn constant(b: &mut Builder, ty: Ty, bits: u128) -> Val {
    match ty {
        Ty::V128 => b.vec(ty, bits),
        _ => b.imm(ty, bits as u64),
    }
}

/// Values to be kept alive.
fn pressure(b: &mut Builder) -> Vec<(Slot, Val)> {
    let mut held = Vec::new();
    for i in 0..PRESSURE {
        for ty in [Ty::I64, Ty::V128, Ty::F64] {
            let slot = any(4 + i, ty);
            let v = b.get(slot);
            let v = if ty == Ty::F64 { b.fneg(v) } else { b.not(v) };
            held.push((slot, v));
        }
        let slot = pinned(i);
        let v = b.get(slot);
        held.push((slot, b.not(v)));
    }
    held
}

fn release(b: &mut Builder, held: &[(Slot, Val)]) {
    for (slot, v) in held {
        b.set(*slot, *v);
    }
}

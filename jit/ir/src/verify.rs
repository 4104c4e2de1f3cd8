//! The verifier: what every pass and frontend may rely on. Always on in tests and debug builds.
#![expect(
    clippy::indexing_slicing,
    reason = "lists are as long as the block and its labels, and labels are looked at first"
)]

use crate::{Block, Lane, Op, Ty, Val};

/// Check a block: operands defined before use on every path and of the right type, labels placed once and branched to
/// forward only, every path ended, pool indices in range.
///
/// # Errors
/// One line naming the operation and what is wrong with it.
pub fn verify(b: &Block) -> Result<(), String> {
    let mut placed = vec![None; b.labels as usize];
    for (i, inst) in b.insts.iter().enumerate() {
        if let Op::Place { label } = inst.op {
            let at = placed
                .get_mut(label.0 as usize)
                .ok_or(format!("%{i}: label out of range"))?;
            if at.replace(i).is_some() {
                return Err(format!("%{i}: label {} placed twice", label.0));
            }
        }
    }
    let mut region = Regions::new(b);
    for (i, inst) in b.insts.iter().enumerate() {
        region.step(i, &inst.op, &placed)?;
        let mut bad = None;
        inst.op.vals(|v| {
            if v.index() >= i || b.insts.get(v.index()).is_none_or(|d| d.result().is_none()) || !region.visible(v) {
                bad = Some(v);
            }
        });
        if let Some(v) = bad {
            return Err(format!(
                "%{i}: {} uses {v:?}, which is not defined there",
                inst.op.name()
            ));
        }
        types(b, inst.op, inst.ty).map_err(|e| format!("%{i}: {}.{:?}: {e}", inst.op.name(), inst.ty))?;
    }
    match b.insts.last() {
        Some(l) if l.op.ends() => Ok(()),
        _ => Err("block does not end".into()),
    }
}

/// Which values are defined on every path to here: a forward branch over a definition hides it behind the label.
struct Regions {
    hidden: Vec<bool>,
    earliest: Vec<Option<usize>>,
    ended: bool,
}

impl Regions {
    fn new(b: &Block) -> Self {
        Self {
            hidden: vec![false; b.insts.len()],
            earliest: vec![None; b.labels as usize],
            ended: false,
        }
    }
    fn visible(&self, v: Val) -> bool {
        !self.hidden[v.index()]
    }
    fn step(&mut self, i: usize, op: &Op, placed: &[Option<usize>]) -> Result<(), String> {
        if self.ended && !matches!(op, Op::Place { .. }) {
            return Err(format!("%{i}: {} follows the end of a path", op.name()));
        }
        match op {
            Op::Br { label } | Op::BrIf { label, .. } | Op::X87Need { label, .. } => {
                match placed.get(label.0 as usize).copied().flatten() {
                    Some(at) if at > i => {}
                    _ => return Err(format!("%{i}: branch to label {}, which is not ahead", label.0)),
                }
                self.earliest[label.0 as usize].get_or_insert(i);
            }
            Op::Place { label } => {
                if let Some(from) = self.earliest[label.0 as usize] {
                    self.hidden[from..i].fill(true);
                }
            }
            _ => {}
        }
        self.ended = op.ends();
        Ok(())
    }
}

fn want(ok: bool, what: &str) -> Result<(), String> {
    if ok { Ok(()) } else { Err(what.to_string()) }
}

fn same(b: &Block, ty: Ty, vals: &[Val]) -> Result<(), String> {
    want(vals.iter().all(|&v| b.ty(v) == ty), "operands are of another type")
}

/// Whether what x87 loads or stores may be a value of a type.
fn x87_memory(ty: Ty) -> bool {
    ty.is_int() || ty == Ty::V128
}

fn types(b: &Block, op: Op, ty: Ty) -> Result<(), String> {
    let of = |v: Val| b.ty(v);
    let pool = |p: u16| want((p as usize) < b.pool.len(), "no such pool entry");
    match op {
        Op::Const { imm } => want(
            ty != Ty::V128 && imm.get() as u128 & !ty.mask() == 0,
            "constant exceeds the type",
        ),
        Op::Const128 { pool: p } => want(ty == Ty::V128, "is V128").and(pool(p)),
        Op::Get { .. } | Op::Call { .. } => Ok(()),
        Op::Set { a, .. } => same(b, ty, &[a]),
        Op::PcRel { .. } => want(matches!(ty, Ty::I32 | Ty::I64), "is I32 or I64"),
        Op::And { a, b: c } | Op::Or { a, b: c } | Op::Xor { a, b: c } | Op::AndNot { a, b: c } => {
            want(!ty.is_float(), "is int or vec").and(same(b, ty, &[a, c]))
        }
        Op::Not { a } => want(!ty.is_float(), "is int or vec").and(same(b, ty, &[a])),
        Op::Add { a, b: c }
        | Op::Sub { a, b: c }
        | Op::Mul { a, b: c }
        | Op::Shl { a, b: c }
        | Op::ShrU { a, b: c }
        | Op::ShrS { a, b: c }
        | Op::Rotr { a, b: c }
        | Op::AddCarry { a, b: c }
        | Op::AddOvf { a, b: c }
        | Op::SubOvf { a, b: c }
        | Op::Eq { a, b: c }
        | Op::Ne { a, b: c }
        | Op::Ult { a, b: c }
        | Op::Ule { a, b: c }
        | Op::Slt { a, b: c }
        | Op::Sle { a, b: c } => want(ty.is_int(), "is int").and(same(b, ty, &[a, c])),
        Op::MulHiU { a, b: c } | Op::MulHiS { a, b: c } | Op::DivU { a, b: c } | Op::DivS { a, b: c } => {
            want(matches!(ty, Ty::I32 | Ty::I64), "is I32 or I64").and(same(b, ty, &[a, c]))
        }
        Op::AddShl { a, b: c, n } => {
            let scaled = matches!(ty, Ty::I32 | Ty::I64) && (1..=3).contains(&n);
            want(scaled, "is I32 or I64, scaled by 2, 4 or 8").and(same(b, ty, &[a, c]))
        }
        Op::Neg { a } => want(ty.is_int(), "is int").and(same(b, ty, &[a])),
        Op::Clz { a } | Op::Ctz { a } | Op::Popcnt { a } | Op::BitRev { a } => {
            want(matches!(ty, Ty::I32 | Ty::I64), "is I32 or I64").and(same(b, ty, &[a]))
        }
        Op::Bswap { a } => want(ty.is_int() && ty != Ty::I8, "is I16, I32 or I64").and(same(b, ty, &[a])),
        Op::Adc { a, b: x, c } | Op::Sbb { a, b: x, c } | Op::AdcCarry { a, b: x, c } | Op::AdcOvf { a, b: x, c } => {
            want(ty.is_int() && of(c) == Ty::I8, "is int with a boolean").and(same(b, ty, &[a, x]))
        }
        Op::Status { how, a, b: x, c } => want(ty.is_int(), "is int")
            .and(same(b, ty, &[a, x]))
            .and(want(!how.takes_status() || of(c) == Ty::I16, "takes status flags")),
        Op::Cond { a, cc } => want(ty == Ty::I16 && cc < 16, "is a condition of status flags").and(same(b, ty, &[a])),
        Op::Insert { a, b: x, at } => want(
            ty.is_int() && of(x).is_int() && u32::from(at) + of(x).bits() <= ty.bits() && of(x) != ty,
            "inserts a narrower int",
        )
        .and(same(b, ty, &[a])),
        Op::Select { c, a, b: x } => want(of(c) == Ty::I8, "condition is a boolean").and(same(b, ty, &[a, x])),
        Op::Zext { a } | Op::Sext { a } => want(
            ty.is_int() && of(a).is_int() && of(a).bytes() < ty.bytes(),
            "extends a narrower int",
        ),
        Op::Trunc { a } => want(
            ty.is_int() && of(a).is_int() && of(a).bytes() > ty.bytes(),
            "truncates a wider int",
        ),
        Op::Bitcast { a } => want(of(a).bytes() == ty.bytes(), "sizes differ"),
        Op::Load { addr, mem } => want(mem.bytes() <= ty.bytes(), "access exceeds the type")
            .and(want(mem.pieces.log2() <= mem.size, "a piece exceeds the access"))
            .and(want(of(addr).is_int(), "address is int")),
        Op::Store { addr, a, mem } => want(mem.bytes() <= ty.bytes(), "access exceeds the type")
            .and(want(mem.pieces.log2() <= mem.size, "a piece exceeds the access"))
            .and(want(of(addr).is_int(), "address is int"))
            .and(same(b, ty, &[a])),
        Op::Cas { addr, old, new, mem } => {
            let pair = ty == Ty::V128 && mem.align == 4;
            want(
                (ty.is_int() || pair) && mem.bytes() == ty.bytes(),
                "is int, or V128 that is aligned, of the access size",
            )
            .and(want(of(addr).is_int(), "address is int"))
            .and(same(b, ty, &[old, new]))
        }
        Op::Swap { addr, a, mem } | Op::Rmw { addr, a, mem, .. } => {
            want(ty.is_int() && mem.bytes() == ty.bytes(), "is int of the access size")
                .and(want(of(addr).is_int(), "address is int"))
                .and(same(b, ty, &[a]))
        }
        Op::FAdd { a, b: c, .. }
        | Op::FSub { a, b: c, .. }
        | Op::FMul { a, b: c, .. }
        | Op::FDiv { a, b: c, .. }
        | Op::FEq { a, b: c, .. }
        | Op::FLt { a, b: c, .. }
        | Op::FLe { a, b: c, .. }
        | Op::FUn { a, b: c, .. }
        | Op::FStatus { a, b: c, .. } => want(ty.is_float(), "is float").and(same(b, ty, &[a, c])),
        Op::FSqrt { a, .. } | Op::FRound { a, .. } | Op::FNeg { a } | Op::FAbs { a } => {
            want(ty.is_float(), "is float").and(same(b, ty, &[a]))
        }
        Op::FMulAdd { c, a, b: x, .. } => want(ty.is_float(), "is float").and(same(b, ty, &[a, x, c])),
        Op::FCvt { a, .. } => want(ty.is_float() && of(a).is_float() && of(a) != ty, "converts F32 and F64"),
        Op::FFromHalf { a, .. } => want(ty.is_float() && of(a) == Ty::I16, "converts I16 to float"),
        Op::FToHalf { a, .. } => want(ty == Ty::I16 && of(a).is_float(), "converts float to I16"),
        Op::FToS { a, .. } | Op::FToU { a, .. } => want(
            matches!(ty, Ty::I32 | Ty::I64) && of(a).is_float(),
            "converts float to I32 or I64",
        ),
        Op::SToF { a, .. } | Op::UToF { a, .. } => want(
            ty.is_float() && matches!(of(a), Ty::I32 | Ty::I64),
            "converts I32 or I64 to float",
        ),
        Op::VAdd { a, b: c, .. }
        | Op::VSub { a, b: c, .. }
        | Op::VMul { a, b: c, .. }
        | Op::VMinS { a, b: c, .. }
        | Op::VMinU { a, b: c, .. }
        | Op::VMaxS { a, b: c, .. }
        | Op::VMaxU { a, b: c, .. }
        | Op::VQAddS { a, b: c, .. }
        | Op::VQAddU { a, b: c, .. }
        | Op::VQSubS { a, b: c, .. }
        | Op::VQSubU { a, b: c, .. }
        | Op::VEq { a, b: c, .. }
        | Op::VGtS { a, b: c, .. }
        | Op::VGtU { a, b: c, .. }
        | Op::VShlV { a, b: c, .. }
        | Op::VShrUV { a, b: c, .. }
        | Op::VShrSV { a, b: c, .. }
        | Op::VMulHiS { a, b: c }
        | Op::VMulHiU { a, b: c }
        | Op::VMulRound { a, b: c }
        | Op::VMulEvenS { a, b: c }
        | Op::VMulEvenU { a, b: c }
        | Op::VMulAdd { a, b: c }
        | Op::VMulAddUS { a, b: c }
        | Op::VSumAbsDiff { a, b: c }
        | Op::VFAdd { a, b: c, .. }
        | Op::VFSub { a, b: c, .. }
        | Op::VFMul { a, b: c, .. }
        | Op::VFDiv { a, b: c, .. }
        | Op::VFMax { a, b: c, .. }
        | Op::VFMin { a, b: c, .. }
        | Op::VFEq { a, b: c, .. }
        | Op::VFGt { a, b: c, .. }
        | Op::VFGe { a, b: c, .. }
        | Op::VFCmp { a, b: c, .. } => want(ty.is_vec(), "is vec").and(same(b, ty, &[a, c])),
        Op::VFMulAdd { c, a, b: x, .. } => want(ty.is_vec(), "is vec").and(same(b, ty, &[a, x, c])),
        Op::VMulWideS { a, b: c, .. } | Op::VMulWideU { a, b: c, .. } | Op::VMulPoly { a, b: c } => {
            want(ty == Ty::V128, "is V128").and(same(b, Ty::V64, &[a, c]))
        }
        Op::VAvgU { a, b: c, e } | Op::VPackS { a, b: c, e } | Op::VPackU { a, b: c, e } => want(
            ty.is_vec() && matches!(e, Lane::I8 | Lane::I16),
            "is vec, of bytes or words",
        )
        .and(same(b, ty, &[a, c])),
        Op::VSigns { a, e } => want(
            ty == Ty::I32 && of(a).is_vec() && matches!(e, Lane::I8 | Lane::I32 | Lane::I64),
            "is I32, of a vec's lanes",
        ),
        Op::VAes { a, .. } => want(ty == Ty::V128, "is V128").and(same(b, ty, &[a])),
        Op::VAbs { a, .. } | Op::VClz { a, .. } | Op::VPopcnt { a } | Op::VFSqrt { a, .. } | Op::VFRound { a, .. } => {
            want(ty.is_vec(), "is vec").and(same(b, ty, &[a]))
        }
        Op::VShl { a, n, e } => want(ty.is_vec() && (n as u32) < e.bits(), "count in range").and(same(b, ty, &[a])),
        Op::VShrU { a, n, e } | Op::VShrS { a, n, e } => {
            want(ty.is_vec() && n as u32 <= e.bits(), "count in range").and(same(b, ty, &[a]))
        }
        Op::VWidenS { a, .. } | Op::VWidenU { a, .. } => want(ty == Ty::V128 && of(a) == Ty::V64, "V64 to V128"),
        Op::VNarrow { a, .. } | Op::VNarrowSS { a, .. } | Op::VNarrowSU { a, .. } | Op::VNarrowUU { a, .. } => {
            want(ty == Ty::V64 && of(a) == Ty::V128, "V128 to V64")
        }
        Op::VDup { a, e } => want(
            ty.is_vec() && of(a).bits() == e.bits() && !of(a).is_vec(),
            "scalar of the lane",
        ),
        Op::VGetLane { a, i } => want(
            of(a).is_vec() && !ty.is_vec() && (i as u32 + 1) * ty.bits() <= of(a).bits(),
            "lane in range",
        ),
        Op::VSetLane { a, b: x, i } => want(
            ty.is_vec() && !of(x).is_vec() && (i as u32 + 1) * of(x).bits() <= ty.bits() && of(a) == ty,
            "lane in range",
        ),
        Op::VPerm { a, b: x, pool: p } => want(ty.is_vec(), "is vec").and(same(b, ty, &[a, x])).and(pool(p)),
        Op::VLookup { a, idx } | Op::VShuffle { a, idx } => {
            want(ty.is_vec() && of(a) == Ty::V128 && of(idx) == ty, "V128 table")
        }
        Op::VConcat { lo, hi } => want(ty == Ty::V128, "is V128").and(same(b, Ty::V64, &[lo, hi])),
        Op::VHalf { a, .. } => want(ty == Ty::V64 && of(a) == Ty::V128, "V128 to V64"),
        Op::VFToS { a, .. } | Op::VFToU { a, .. } | Op::VSToF { a, .. } | Op::VUToF { a, .. } => {
            want(ty.is_vec(), "is vec").and(same(b, ty, &[a]))
        }
        Op::BrIf { cond, .. } => want(of(cond) == Ty::I8, "condition is a boolean"),
        Op::X87Operand { insn, a, .. } if !insn.is_memory() => want(of(a) == Ty::I16, "takes status flags"),
        Op::X87Operand { a, .. } => want(x87_memory(of(a)), "operand is int or V128"),
        Op::X87Output { .. } => want(x87_memory(ty), "is int or V128"),
        Op::X87Compare { .. } => want(ty == Ty::I16, "is I16"),
        Op::X87 { .. } | Op::X87Need { .. } => Ok(()),
        Op::GotoVal { addr, .. } => want(of(addr).is_int(), "address is int"),
        Op::Goto { mode, .. } => want((mode.0 as usize) < b.modes.len(), "no such mode"),
        Op::Barrier { .. } | Op::Insn { .. } | Op::Place { .. } | Op::Br { .. } | Op::Exit { .. } => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::*;

    #[test]
    fn accepts_a_conditional_add() {
        let mut b = Builder::new();
        let r = Slot::new(0, Ty::I32);
        b.insn(0, 0);
        let (x, y) = (b.get(r), b.i32(1));
        let (c, skip) = (b.eq(x, y), b.label());
        b.br_if(c, skip);
        let sum = b.add(x, y);
        b.set(r, sum);
        b.place(skip);
        b.goto(4, 0, Hint::Jump, false);
        assert_eq!(verify(&b.block), Ok(()));
    }

    #[test]
    fn rejects_a_value_from_a_skipped_region() {
        let mut b = Builder::new();
        let (x, skip) = (b.bool(true), b.label());
        b.br_if(x, skip);
        let inside = b.i32(1);
        b.place(skip);
        b.set(Slot::new(0, Ty::I32), inside);
        b.goto(4, 0, Hint::Jump, false);
        assert!(verify(&b.block).unwrap_err().contains("not defined there"));
    }

    #[test]
    fn rejects_backward_branches_open_ends_and_wrong_types() {
        let mut b = Builder::new();
        let l = b.label();
        b.place(l);
        b.br(l);
        assert!(verify(&b.block).unwrap_err().contains("not ahead"));
        let mut b = Builder::new();
        b.i32(1);
        assert!(verify(&b.block).unwrap_err().contains("does not end"));
        let mut b = Builder::new();
        let (x, y) = (b.i32(1), b.bool(true));
        b.push(Ty::I32, Op::Add { a: x, b: y });
        b.exit(Leave::Sync);
        assert!(verify(&b.block).unwrap_err().contains("another type"));
    }
}

//! Vectors, and floats as bits: which instructions make an operation.
//!
//! A V64 value has zeros in bits 64 to 127 of its register, always: lanes past it then are +0.0 or 0, which no operation
//! on floats trips over, and a permutation may pick them as the zeros they are. Whatever makes a V64 sees to it. The
//! unused bits of a register that holds an F32 or F64 are arbitrary.
//!
//! [`vec_int`](super::vec_int) has arithmetic on integer lanes, [`vec_move`](super::vec_move) what moves lanes about.

use super::{Emit, cond};
use crate::classes::{const_ops, effect_ops, fp_ops, int_ops};
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use emu_ir::{Aes, Inst, Lane, Op, Ty, Val};

/// `op d, x, ...` of vector registers.
macro_rules! xop {
    ($e:expr, $op:ident $(, $r:expr)* $(; $n:expr)?) => {
        dynasm!($e.a ; .arch x64 ; $op $(Rx($r)),* $(, $n)?)
    };
}
/// `op d, x, y, n`, for vcmpps, vcmppd, vpalignr, vpblendw and vshufps: of these the assembler (dynasm 5.1) encodes the two
/// sources the wrong way round when both are registers.
macro_rules! xop_imm {
    ($e:expr, $op:ident, $d:expr, $x:expr, $y:expr; $n:expr) => {
        dynasm!($e.a ; .arch x64 ; $op Rx($d), Rx($y), Rx($x), $n)
    };
}
/// `op d, x, [constant]`.
macro_rules! xmem {
    ($e:expr, $op:ident, $d:expr, $x:expr, $c:expr) => {{
        let label = $e.pool_label($c);
        dynasm!($e.a ; .arch x64 ; $op Rx($d), Rx($x), [=>label])
    }};
}
/// The instruction of a list that fits the lane's width: of 8, 16, 32 and, if there are four, 64 bits.
macro_rules! by_lane {
    ($e:expr, $lane:expr, $b:ident $w:ident $d:ident $q:ident $(, $r:expr)* $(; $n:expr)?) => {
        match $lane.bits() {
            8 => xop!($e, $b $(, $r)* $(; $n)?),
            16 => xop!($e, $w $(, $r)* $(; $n)?),
            32 => xop!($e, $d $(, $r)* $(; $n)?),
            _ => xop!($e, $q $(, $r)* $(; $n)?),
        }
    };
    ($e:expr, $lane:expr, $b:ident $w:ident $d:ident $(, $r:expr)* $(; $n:expr)?) => {
        match $lane.bits() {
            8 => xop!($e, $b $(, $r)* $(; $n)?),
            16 => xop!($e, $w $(, $r)* $(; $n)?),
            _ => xop!($e, $d $(, $r)* $(; $n)?),
        }
    };
}
pub(super) use {by_lane, xmem, xop, xop_imm};

/// A 128-bit constant with `bits` in each lane.
pub(super) fn splat(e: Lane, bits: u64) -> u128 {
    let (width, lane) = (e.bits(), bits as u128 & e.scalar().mask());
    (0..128 / width).fold(0, |v, i| v | lane << (i * width))
}

/// Lanes of 64 bits, for which some operations are not defined and AVX2 has no instructions.
fn long(e: Lane) -> bool {
    e.bits() == 64
}

impl Emit<'_> {
    /// A pure operation whose type is a float or a vector.
    #[expect(clippy::unreachable, reason = "`Emit::op` sends what makes floats or vectors")]
    pub fn vec(&mut self, v: Val, inst: Inst) {
        let ty = inst.ty;
        match inst.op {
            // ---- bits
            Op::FNeg { a } => self.sign(v, ty, a, true),
            Op::FAbs { a } => self.sign(v, ty, a, false),
            Op::Bitcast { a } => self.bits(v, ty, a),
            Op::And { a, b } => self.pair(v, a, b, |e, d, x, y| xop!(e, vpand, d, x, y)),
            Op::Or { a, b } => self.pair(v, a, b, |e, d, x, y| xop!(e, vpor, d, x, y)),
            Op::Xor { a, b } => self.pair(v, a, b, |e, d, x, y| xop!(e, vpxor, d, x, y)),
            Op::AndNot { a, b } => self.pair(v, a, b, |e, d, x, y| xop!(e, vpandn, d, y, x)),
            Op::Not { a } => self.single(v, a, |e, d, x| xmem!(e, vpxor, d, x, ty.mask())),
            Op::Select { c, a, b } => self.choose(v, c, a, b),

            // ---- lanes moved
            Op::VDup { a, e } => self.dup(v, ty, a, e),
            Op::VGetLane { a, i } => self.float_lane(v, ty, a, i),
            Op::VSetLane { a, b, i } => self.set_lane(v, ty, a, b, i),
            Op::VPerm { a, b, pool } => self.perm(v, ty, a, b, self.b.pool[pool as usize]),
            Op::VLookup { a, idx } => self.lookup(v, ty, a, idx),
            Op::VShuffle { a, idx } => self.pair(v, a, idx, |s, d, x, y| {
                xop!(s, vpshufb, d, x, y);
                s.clear_high(ty, d);
            }),
            Op::VConcat { lo, hi } if self.b.constant(hi) == Some(0) => {
                self.single(v, lo, |e, d, x| xop!(e, vmovdqa, d, x))
            }
            Op::VConcat { lo, hi } => self.pair(v, lo, hi, |e, d, x, y| xop!(e, vpunpcklqdq, d, x, y)),
            Op::VHalf { a, hi: false } => self.single(v, a, |e, d, x| xop!(e, vmovq, d, x)),
            Op::VHalf { a, hi: true } => self.single(v, a, |e, d, x| xop!(e, vpsrldq, d, x; 8)),

            // ---- integer lanes. Of 64 bits only those that are defined for them.
            Op::VMul { e, .. }
            | Op::VMulWideS { e, .. }
            | Op::VMulWideU { e, .. }
            | Op::VAbs { e, .. }
            | Op::VMinS { e, .. }
            | Op::VMinU { e, .. }
            | Op::VMaxS { e, .. }
            | Op::VMaxU { e, .. }
            | Op::VWidenS { e, .. }
            | Op::VWidenU { e, .. }
            | Op::VNarrow { e, .. }
            | Op::VNarrowSS { e, .. }
            | Op::VNarrowSU { e, .. }
            | Op::VNarrowUU { e, .. }
            | Op::VClz { e, .. }
                if long(e) =>
            {
                self.interpret(v, inst)
            }
            Op::VAdd { a, b, e } => self.pair(
                v,
                a,
                b,
                |s, d, x, y| by_lane!(s, e, vpaddb vpaddw vpaddd vpaddq, d, x, y),
            ),
            Op::VSub { a, b, e } => self.pair(
                v,
                a,
                b,
                |s, d, x, y| by_lane!(s, e, vpsubb vpsubw vpsubd vpsubq, d, x, y),
            ),
            Op::VMul { a, b, e: Lane::I8 } => self.mul_bytes(v, a, b),
            Op::VMul { a, b, e } => self.pair(v, a, b, |s, d, x, y| match e {
                Lane::I16 => xop!(s, vpmullw, d, x, y),
                _ => xop!(s, vpmulld, d, x, y),
            }),
            Op::VMulWideS { a, b, e } => self.mul_wide(v, a, b, e, true),
            Op::VMulWideU { a, b, e } => self.mul_wide(v, a, b, e, false),
            Op::VMulHiS { a, b } => self.pair(v, a, b, |s, d, x, y| xop!(s, vpmulhw, d, x, y)),
            Op::VMulHiU { a, b } => self.pair(v, a, b, |s, d, x, y| xop!(s, vpmulhuw, d, x, y)),
            Op::VMulRound { a, b } => self.pair(v, a, b, |s, d, x, y| xop!(s, vpmulhrsw, d, x, y)),
            Op::VMulEvenS { a, b } => self.pair(v, a, b, |s, d, x, y| xop!(s, vpmuldq, d, x, y)),
            Op::VMulEvenU { a, b } => self.pair(v, a, b, |s, d, x, y| xop!(s, vpmuludq, d, x, y)),
            Op::VMulAdd { a, b } => self.pair(v, a, b, |s, d, x, y| xop!(s, vpmaddwd, d, x, y)),
            Op::VMulAddUS { a, b } => self.pair(v, a, b, |s, d, x, y| xop!(s, vpmaddubsw, d, x, y)),
            Op::VSumAbsDiff { a, b } => self.pair(v, a, b, |s, d, x, y| xop!(s, vpsadbw, d, x, y)),
            Op::VAvgU { a, b, e } => self.pair(v, a, b, |s, d, x, y| match e {
                Lane::I8 => xop!(s, vpavgb, d, x, y),
                _ => xop!(s, vpavgw, d, x, y),
            }),
            Op::VPackS { a, b, e } => self.pack(v, ty, a, b, |s, d, x, y| match e {
                Lane::I8 => xop!(s, vpacksswb, d, x, y),
                _ => xop!(s, vpackssdw, d, x, y),
            }),
            Op::VPackU { a, b, e } => self.pack(v, ty, a, b, |s, d, x, y| match e {
                Lane::I8 => xop!(s, vpackuswb, d, x, y),
                _ => xop!(s, vpackusdw, d, x, y),
            }),
            Op::VMulPoly { a, b } if self.info.extensions.pclmulqdq => {
                self.pair(v, a, b, |e, d, x, y| xop!(e, vpclmulqdq, d, x, y; 0))
            }
            Op::VAes { a, part } if self.info.extensions.aes => self.aes(v, a, part),
            Op::VMulPoly { .. } | Op::VAes { .. } => self.interpret(v, inst),
            Op::VAbs { a, e } => self.single(v, a, |s, d, x| by_lane!(s, e, vpabsb vpabsw vpabsd, d, x)),
            Op::VMinS { a, b, e } => self.pair(v, a, b, |s, d, x, y| by_lane!(s, e, vpminsb vpminsw vpminsd, d, x, y)),
            Op::VMinU { a, b, e } => self.pair(v, a, b, |s, d, x, y| by_lane!(s, e, vpminub vpminuw vpminud, d, x, y)),
            Op::VMaxS { a, b, e } => self.pair(v, a, b, |s, d, x, y| by_lane!(s, e, vpmaxsb vpmaxsw vpmaxsd, d, x, y)),
            Op::VMaxU { a, b, e } => self.pair(v, a, b, |s, d, x, y| by_lane!(s, e, vpmaxub vpmaxuw vpmaxud, d, x, y)),
            Op::VQAddS { a, b, e } => self.saturating_signed(v, a, b, e, false),
            Op::VQSubS { a, b, e } => self.saturating_signed(v, a, b, e, true),
            Op::VQAddU { a, b, e } => self.add_saturating(v, a, b, e),
            Op::VQSubU { a, b, e } => self.sub_saturating(v, a, b, e),
            Op::VEq { a, b, e } => self.pair(v, a, b, |s, d, x, y| {
                by_lane!(s, e, vpcmpeqb vpcmpeqw vpcmpeqd vpcmpeqq, d, x, y);
                s.clear_high(ty, d);
            }),
            Op::VGtS { a, b, e } => self.pair(
                v,
                a,
                b,
                |s, d, x, y| by_lane!(s, e, vpcmpgtb vpcmpgtw vpcmpgtd vpcmpgtq, d, x, y),
            ),
            Op::VGtU { a, b, e } => self.pair(v, a, b, |s, d, x, y| {
                let (t, u) = (s.xtemp(), s.xtemp());
                s.above(e, d, x, y, t, u);
            }),
            Op::VShl { a, n, e } => self.shift_left(v, a, n, e),
            Op::VShrU { a, n, e } => self.shift_right(v, a, n, e),
            Op::VShrS { a, n, e } => self.shift_arithmetic(v, a, n, e),
            Op::VShlV { a, b, e } | Op::VShrUV { a, b, e } | Op::VShrSV { a, b, e } => {
                self.shift_lanes(v, inst.op, a, b, e)
            }
            Op::VWidenS { a, e } => self.single(v, a, |s, d, x| by_lane!(s, e, vpmovsxbw vpmovsxwd vpmovsxdq, d, x)),
            Op::VWidenU { a, e } => self.single(v, a, |s, d, x| by_lane!(s, e, vpmovzxbw vpmovzxwd vpmovzxdq, d, x)),
            Op::VNarrow { a, e } => self.single(v, a, |s, d, x| s.narrow_lanes(e, d, x)),
            Op::VNarrowSS { a, e } => self.narrow_signed(v, a, e),
            Op::VNarrowSU { a, e } => self.narrow_to_unsigned(v, a, e),
            Op::VNarrowUU { a, e } => self.narrow_unsigned(v, a, e),
            Op::VPopcnt { a } => self.popcnt(v, a),
            Op::VClz { a, e } => self.leading_zeros(v, ty, a, e),

            const_ops!() | int_ops!() | fp_ops!() | effect_ops!() => {
                unreachable!("{} makes no float or vector", inst.op.name())
            }
        }
    }

    /// An operation on one vector.
    pub fn single(&mut self, v: Val, a: Val, f: impl FnOnce(&mut Self, u8, u8)) {
        let x = self.xreg(a);
        let d = self.xdst(v);
        f(self, d, x);
    }
    /// An operation on two vectors. The destination is neither's register.
    pub fn pair(&mut self, v: Val, a: Val, b: Val, f: impl FnOnce(&mut Self, u8, u8, u8)) {
        let (x, y) = (self.xreg(a), self.xreg(b));
        let d = self.xdst(v);
        f(self, d, x, y);
    }
    /// The upper half of a V64's register becomes zero.
    pub fn clear_high(&mut self, ty: Ty, d: u8) {
        if ty == Ty::V64 {
            xop!(self, vmovq, d, d);
        }
    }

    /// A round's parts as rounds whose keys are zero.
    fn aes(&mut self, v: Val, a: Val, part: Aes) {
        let x = self.xreg(a);
        if part == Aes::InvMix {
            let d = self.xdst(v);
            return xop!(self, vaesimc, d, x);
        }
        let (d, key) = (self.xdst(v), self.xtemp());
        xop!(self, vpxor, key, key, key);
        match part {
            Aes::Sub => xop!(self, vaesenclast, d, x, key),
            Aes::SubMix => xop!(self, vaesenc, d, x, key),
            Aes::InvSub => xop!(self, vaesdeclast, d, x, key),
            Aes::InvSubMix => xop!(self, vaesdec, d, x, key),
            // What a round does before its columns are mixed is undone first.
            Aes::Mix | Aes::InvMix => {
                xop!(self, vaesdeclast, d, x, key);
                xop!(self, vaesenc, d, d, key);
            }
        }
    }

    fn sign(&mut self, v: Val, ty: Ty, a: Val, flip: bool) {
        let sign = if ty == Ty::F32 { 1u128 << 31 } else { 1 << 63 };
        self.single(v, a, |e, d, x| match flip {
            true => xmem!(e, vpxor, d, x, sign),
            false => xmem!(e, vpand, d, x, ty.mask() & !sign),
        });
    }
    /// Another type's bits into a vector register.
    fn bits(&mut self, v: Val, ty: Ty, a: Val) {
        if self.b.ty(a).is_int() {
            let r = self.reg(a);
            let d = self.xdst(v);
            dynasm!(self.a ; .arch x64 ; vmovq Rx(d), Rq(r));
        } else {
            self.single(v, a, |e, d, x| match ty {
                Ty::V64 => xop!(e, vmovq, d, x),
                _ => xop!(e, vmovdqa, d, x),
            });
        }
    }
    fn choose(&mut self, v: Val, c: Val, a: Val, b: Val) {
        if let Some(c) = self.b.constant(c) {
            let chosen = if c == 0 { b } else { a };
            return self.single(v, chosen, |e, d, x| xop!(e, vmovdqa, d, x));
        }
        let (x, y) = (self.xreg(a), self.xreg(b));
        let d = self.xdst(v);
        let cc = self.condition(c);
        let over = self.a.new_dynamic_label();
        xop!(self, vmovdqa, d, x);
        cond::jcc(self.a, cc, over);
        xop!(self, vmovdqa, d, y);
        dynasm!(self.a ; .arch x64 ; =>over);
    }
}

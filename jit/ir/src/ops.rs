//! The operation table: one documented line an operation. Enum, names, operand visitors, effects, the builder's plain
//! methods and the classes that matches are made of come from it.
//!
//! A section `Effect class { … }` has the operations of one [`Effect`]; `class!()` is a pattern of them all where a crate
//! has one made of the table. A line is `Name { fields } -> result, method;`, where result is `same` (the instruction's
//! type), `bool` (I8, 0 or 1; the instruction's type is that of the operands), `status` (I16; the same) or `none`. A line with a method has it made
//! in [`Builder`](crate::Builder): its arguments are the fields, the lane before the others, and its first value has the
//! instruction's type. Each operation accepts the classes of types in its comment: int = I8..I64, float = F32 F64,
//! vec = V64 V128.

use crate::X87Insn;
use crate::ty::*;

/// What the result of an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Of the instruction's type.
    Same,
    /// A boolean: I8, 0 or 1.
    Bool,
    /// A word of status flags: I16 (see [`STATUS_OVERFLOW`](crate::STATUS_OVERFLOW)).
    Status,
    /// Nothing.
    None,
}

/// What an operation touches besides its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: unused ones may go, equal ones may merge.
    Pure,
    /// Floating point: pure but for cumulative flags, and depends on the current rounding mode.
    Fp,
    /// Reads a slot.
    Get,
    /// Writes a slot.
    Set,
    /// Reads guest memory: may fault, is observable.
    Load,
    /// Writes guest memory: may fault, is observable.
    Store,
    /// Reads and writes guest memory at once: may fault, is observable.
    Atomic,
    /// Orders accesses to guest memory.
    Fence,
    /// A helper: effects as its table entry says.
    Call,
    /// Reads and writes the x87 unit, whose slots [`Layout::x87`](crate::Layout) names.
    X87,
    /// Says where in the guest's code it is.
    Position,
    /// A branch inside the block, or where one goes.
    Branch,
    /// Ends the block.
    Leave,
}

/// A field of an operation.
pub trait Operand {
    /// Call `f` on each value in it, for rewriting.
    fn rewrite(&mut self, f: &mut impl FnMut(&mut Val));
    /// Call `f` on each value in it.
    fn vals(&self, f: &mut impl FnMut(Val));
}
macro_rules! plain {
    ($($t:ty)*) => { $(
        impl Operand for $t {
            #[inline]
            fn rewrite(&mut self, _: &mut impl FnMut(&mut Val)) {}
            #[inline]
            fn vals(&self, _: &mut impl FnMut(Val)) {}
        }
    )* }
}
plain! { u8 u16 u32 i32 bool Imm Label Mem Fence Fenv Hint Leave Lane ModeIndex Rmw Aes Arith Relation X87Insn }
impl Operand for Val {
    #[inline]
    fn rewrite(&mut self, f: &mut impl FnMut(&mut Val)) {
        f(self)
    }
    #[inline]
    fn vals(&self, f: &mut impl FnMut(Val)) {
        f(*self)
    }
}
impl Operand for [Val; 4] {
    #[inline]
    fn rewrite(&mut self, f: &mut impl FnMut(&mut Val)) {
        self.iter_mut().filter(|v| v.is_some()).for_each(f)
    }
    #[inline]
    fn vals(&self, f: &mut impl FnMut(Val)) {
        self.iter().copied().filter(|v| v.is_some()).for_each(f)
    }
}

/// Calls a macro with the whole table.
#[macro_export]
macro_rules! for_each_op {
    ($m:ident) => {
        $m! {
            // ---- Constants
            Pure const_ops {
                /// A constant (int, float bits, V64 bits).
                Const { imm: Imm } -> same;
                /// A V128 constant: index into the block's pool.
                Const128 { pool: u16 } -> same;
            }
            // ---- Integers (int)
            Pure int_ops {
                /// The virtual address `offset` bytes from the start of the block's page (I32 or I64).
                PcRel { offset: i32 } -> same;
                /// Wrapping addition.
                Add { a: Val, b: Val } -> same, add;
                /// Wrapping subtraction.
                Sub { a: Val, b: Val } -> same, sub;
                /// Wrapping multiplication, low half.
                Mul { a: Val, b: Val } -> same, mul;
                /// High half of the unsigned product.
                MulHiU { a: Val, b: Val } -> same, mul_hi_u;
                /// High half of the signed product.
                MulHiS { a: Val, b: Val } -> same, mul_hi_s;
                /// Unsigned division; by zero gives 0.
                DivU { a: Val, b: Val } -> same, div_u;
                /// Signed division toward zero; by zero gives 0, MIN / -1 gives MIN.
                DivS { a: Val, b: Val } -> same, div_s;
                /// `a + (b << n)`, 1 <= n <= 3, wrapping (I32, I64).
                AddShl { a: Val, b: Val, n: u8 } -> same;
                /// Two's complement negation.
                Neg { a: Val } -> same, neg;
                /// Left shift by an unsigned count of the same type; counts >= width give 0.
                Shl { a: Val, b: Val } -> same, shl;
                /// Logical right shift; counts >= width give 0.
                ShrU { a: Val, b: Val } -> same, shr_u;
                /// Arithmetic right shift; counts >= width give the sign.
                ShrS { a: Val, b: Val } -> same, shr_s;
                /// Rotate right; the count is taken modulo the width.
                Rotr { a: Val, b: Val } -> same, rotr;
                /// Leading zeros; the width for 0 (I32, I64).
                Clz { a: Val } -> same, clz;
                /// Trailing zeros; the width for 0 (I32, I64).
                Ctz { a: Val } -> same, ctz;
                /// Set bits (I32, I64).
                Popcnt { a: Val } -> same, popcnt;
                /// Bytes reversed (I16, I32, I64).
                Bswap { a: Val } -> same, bswap;
                /// Bits reversed (I32, I64).
                BitRev { a: Val } -> same, bit_rev;
                // ---- carries and overflows (int)
                /// Unsigned carry out of `a + b`.
                AddCarry { a: Val, b: Val } -> bool, add_carry;
                /// Signed overflow of `a + b`.
                AddOvf { a: Val, b: Val } -> bool, add_ovf;
                /// Signed overflow of `a - b`. (The borrow is `Ult`.)
                SubOvf { a: Val, b: Val } -> bool, sub_ovf;
                /// `a + b + c`, `c` a boolean.
                Adc { a: Val, b: Val, c: Val } -> same, adc;
                /// Unsigned carry out of `a + b + c`.
                AdcCarry { a: Val, b: Val, c: Val } -> bool, adc_carry;
                /// Signed overflow of `a + b + c`.
                AdcOvf { a: Val, b: Val, c: Val } -> bool, adc_ovf;
                /// `a - b - c`, `c` a boolean.
                Sbb { a: Val, b: Val, c: Val } -> same, sbb;
                /// The status flags of arithmetic, as x86 defines them. Where it takes no `b` or `c` these are `a`, else `c` is a word
                /// of status flags.
                Status { how: Arith, a: Val, b: Val, c: Val } -> status;
                /// Whether a condition of x86 (0 to 15, SDM 2, Appendix B.1.4.7) holds of a word of status flags.
                Cond { a: Val, cc: u8 } -> bool;
                // ---- comparisons (int)
                /// `a == b`.
                Eq { a: Val, b: Val } -> bool, eq;
                /// `a != b`.
                Ne { a: Val, b: Val } -> bool, ne;
                /// Unsigned `a < b`.
                Ult { a: Val, b: Val } -> bool, ult;
                /// Unsigned `a <= b`.
                Ule { a: Val, b: Val } -> bool, ule;
                /// Signed `a < b`.
                Slt { a: Val, b: Val } -> bool, slt;
                /// Signed `a <= b`.
                Sle { a: Val, b: Val } -> bool, sle;
                // ---- conversions of representation
                /// Zero extension of a narrower int.
                Zext { a: Val } -> same;
                /// Sign extension of a narrower int.
                Sext { a: Val } -> same;
                /// Low bits of a wider int.
                Trunc { a: Val } -> same;
                /// `a` with its bits from `at` on replaced by a narrower int.
                Insert { a: Val, b: Val, at: u8 } -> same, insert;
                /// The sign bits of the lanes `e` (I8 I32 I64) of a vec, the first lane's lowest (I32).
                VSigns { a: Val, e: Lane } -> same;
            }
            // ---- Bits, of an int or a vec
            Pure any_ops {
                /// Bitwise and (int, vec).
                And { a: Val, b: Val } -> same, and;
                /// Bitwise or (int, vec).
                Or { a: Val, b: Val } -> same, or;
                /// Bitwise exclusive or (int, vec).
                Xor { a: Val, b: Val } -> same, xor;
                /// `a & !b` (int, vec).
                AndNot { a: Val, b: Val } -> same, and_not;
                /// Bitwise complement (int, vec).
                Not { a: Val } -> same, not;
                /// `c ? a : b`, `c` a boolean (any type).
                Select { c: Val, a: Val, b: Val } -> same;
                /// The same bits as another type of the same size.
                Bitcast { a: Val } -> same;
                /// Lane `i` of the vector `a` as a scalar: the result type is the lane's scalar type.
                VGetLane { a: Val, i: u8 } -> same;
            }
            // ---- Floats as bits (float), and vectors of integers (vec; `e` the lane)
            Pure vec_ops {
                /// Sign flipped; NaNs too, no flags.
                FNeg { a: Val } -> same, fneg;
                /// Sign cleared; NaNs too, no flags.
                FAbs { a: Val } -> same, fabs;
                /// Lanewise wrapping addition.
                VAdd { a: Val, b: Val, e: Lane } -> same, vadd;
                /// Lanewise wrapping subtraction.
                VSub { a: Val, b: Val, e: Lane } -> same, vsub;
                /// Lanewise product, low half (I8 I16 I32).
                VMul { a: Val, b: Val, e: Lane } -> same, vmul;
                /// V64 x V64 -> V128: signed products of lanes `e` (I8 I16 I32) at twice the width.
                VMulWideS { a: Val, b: Val, e: Lane } -> same;
                /// V64 x V64 -> V128: unsigned products of lanes `e` (I8 I16 I32) at twice the width.
                VMulWideU { a: Val, b: Val, e: Lane } -> same;
                /// High halves of the signed products of lanes of 16 bits.
                VMulHiS { a: Val, b: Val } -> same, vmul_hi_s;
                /// High halves of the unsigned products of lanes of 16 bits.
                VMulHiU { a: Val, b: Val } -> same, vmul_hi_u;
                /// Signed products of lanes of 16 bits, rounded to the nearest multiple of 2^15, halves up: bits 30 to 15.
                VMulRound { a: Val, b: Val } -> same, vmul_round;
                /// Signed products of the even lanes of 32 bits, at 64 bits.
                VMulEvenS { a: Val, b: Val } -> same, vmul_even_s;
                /// Unsigned products of the even lanes of 32 bits, at 64 bits.
                VMulEvenU { a: Val, b: Val } -> same, vmul_even_u;
                /// Signed products of lanes of 16 bits, neighbours added at 32 bits, wrapping.
                VMulAdd { a: Val, b: Val } -> same, vmul_add;
                /// Products of the unsigned bytes of `a` and the signed ones of `b`, neighbours added at 16 bits, saturating.
                VMulAddUS { a: Val, b: Val } -> same, vmul_add_us;
                /// Absolute differences of unsigned bytes, each eight of them added at 64 bits.
                VSumAbsDiff { a: Val, b: Val } -> same, vsum_abs_diff;
                /// Lanewise unsigned mean, halves up (I8 I16).
                VAvgU { a: Val, b: Val, e: Lane } -> same, vavg_u;
                /// Lanewise absolute value, wrapping (I8 I16 I32).
                VAbs { a: Val, e: Lane } -> same;
                /// Lanewise signed minimum (I8 I16 I32).
                VMinS { a: Val, b: Val, e: Lane } -> same, vmin_s;
                /// Lanewise unsigned minimum (I8 I16 I32).
                VMinU { a: Val, b: Val, e: Lane } -> same, vmin_u;
                /// Lanewise signed maximum (I8 I16 I32).
                VMaxS { a: Val, b: Val, e: Lane } -> same, vmax_s;
                /// Lanewise unsigned maximum (I8 I16 I32).
                VMaxU { a: Val, b: Val, e: Lane } -> same, vmax_u;
                /// Lanewise signed saturating addition.
                VQAddS { a: Val, b: Val, e: Lane } -> same, vqadd_s;
                /// Lanewise unsigned saturating addition.
                VQAddU { a: Val, b: Val, e: Lane } -> same, vqadd_u;
                /// Lanewise signed saturating subtraction.
                VQSubS { a: Val, b: Val, e: Lane } -> same, vqsub_s;
                /// Lanewise unsigned saturating subtraction.
                VQSubU { a: Val, b: Val, e: Lane } -> same, vqsub_u;
                /// Lanewise equality: all ones or zero.
                VEq { a: Val, b: Val, e: Lane } -> same, veq;
                /// Lanewise signed `a > b`: all ones or zero.
                VGtS { a: Val, b: Val, e: Lane } -> same, vgt_s;
                /// Lanewise unsigned `a > b`: all ones or zero.
                VGtU { a: Val, b: Val, e: Lane } -> same, vgt_u;
                /// Lanewise left shift by `n`, 0 <= n < width.
                VShl { a: Val, n: u8, e: Lane } -> same, vshl;
                /// Lanewise logical right shift by `n`, 0 <= n <= width.
                VShrU { a: Val, n: u8, e: Lane } -> same, vshr_u;
                /// Lanewise arithmetic right shift by `n`, 0 <= n <= width.
                VShrS { a: Val, n: u8, e: Lane } -> same, vshr_s;
                /// Lanewise left shift by unsigned lane counts; counts >= width give 0.
                VShlV { a: Val, b: Val, e: Lane } -> same, vshl_v;
                /// Lanewise logical right shift by unsigned lane counts; counts >= width give 0.
                VShrUV { a: Val, b: Val, e: Lane } -> same, vshr_uv;
                /// Lanewise arithmetic right shift by unsigned lane counts; counts >= width give the sign.
                VShrSV { a: Val, b: Val, e: Lane } -> same, vshr_sv;
                /// V64 -> V128: lanes `e` (I8 I16 I32) sign-extended to twice the width.
                VWidenS { a: Val, e: Lane } -> same;
                /// V64 -> V128: lanes `e` (I8 I16 I32) zero-extended to twice the width.
                VWidenU { a: Val, e: Lane } -> same;
                /// V128 -> V64: lanes to narrow lanes `e` (I8 I16 I32), truncating.
                VNarrow { a: Val, e: Lane } -> same;
                /// V128 -> V64: signed wide lanes to signed narrow lanes `e`, saturating.
                VNarrowSS { a: Val, e: Lane } -> same;
                /// V128 -> V64: signed wide lanes to unsigned narrow lanes `e`, saturating.
                VNarrowSU { a: Val, e: Lane } -> same;
                /// V128 -> V64: unsigned wide lanes to unsigned narrow lanes `e`, saturating.
                VNarrowUU { a: Val, e: Lane } -> same;
                /// Lanes of `a`, then of `b`, to lanes `e` (I8 I16) of half the width: signed to signed, saturating.
                VPackS { a: Val, b: Val, e: Lane } -> same, vpack_s;
                /// The same of signed lanes to unsigned ones.
                VPackU { a: Val, b: Val, e: Lane } -> same, vpack_u;
                /// Set bits of each byte.
                VPopcnt { a: Val } -> same, vpopcnt;
                /// Leading zeros of each lane (I8 I16 I32); the width for 0.
                VClz { a: Val, e: Lane } -> same;
                /// V64 x V64 -> V128: the product of polynomials over {0, 1}.
                VMulPoly { a: Val, b: Val } -> same;
                /// A part of a round of AES (V128): the state column by column.
                VAes { a: Val, part: Aes } -> same;
                // ---- vectors: moving lanes
                /// Every lane is the scalar `a` (int or float of the lane's width).
                VDup { a: Val, e: Lane } -> same;
                /// The vector `a` with lane `i` (of `b`'s type) replaced by the scalar `b`.
                VSetLane { a: Val, b: Val, i: u8 } -> same, vset_lane;
                /// Bytes picked by a constant pattern (V128 pool entry): byte k of the result is byte `p[k]` of `a` (0..=15) or
                /// of `b` (16..=31), or 0 (above). For V64 results only the low eight pattern bytes count, and `b` is still
                /// at 16 (of a V64 operand bytes 8 to 15 read as 0).
                VPerm { a: Val, b: Val, pool: u16 } -> same;
                /// Byte k of the result is byte `idx[k]` of the 16-byte table `a` (V128), 0 where `idx[k]` > 15.
                VLookup { a: Val, idx: Val } -> same;
                /// Byte k of the result is byte `idx[k] & 15` of the 16-byte table `a` (V128), 0 where bit 7 of `idx[k]` is set.
                VShuffle { a: Val, idx: Val } -> same;
                /// V64, V64 -> V128: low half, high half.
                VConcat { lo: Val, hi: Val } -> same;
                /// V128 -> V64: the low half, or with `hi` the high half.
                VHalf { a: Val, hi: bool } -> same;
            }
            // ---- Floating point, scalar (float)
            Fp float_ops {
                /// Addition.
                FAdd { a: Val, b: Val, env: Fenv } -> same, fadd;
                /// Subtraction.
                FSub { a: Val, b: Val, env: Fenv } -> same, fsub;
                /// Multiplication.
                FMul { a: Val, b: Val, env: Fenv } -> same, fmul;
                /// Division.
                FDiv { a: Val, b: Val, env: Fenv } -> same, fdiv;
                /// Square root.
                FSqrt { a: Val, env: Fenv } -> same, fsqrt;
                /// The integral number nearest by the rounding mode; the sign of zero is that of the operand. `env.flag`: raises
                /// inexact.
                FRound { a: Val, env: Fenv } -> same, fround;
                /// Fused `c + a * b`, rounded once (operand order for NaNs as Arm's FPMulAdd: c, a, b; 0 * inf with a quiet
                /// NaN c is invalid and gives the default NaN; of x86: a, b, c, and it is that NaN).
                FMulAdd { c: Val, a: Val, b: Val, env: Fenv } -> same, fmul_add;
                /// `a == b`; false when unordered. The instruction's type is that of the operands.
                FEq { a: Val, b: Val, env: Fenv } -> bool, feq;
                /// `a < b`; false when unordered.
                FLt { a: Val, b: Val, env: Fenv } -> bool, flt;
                /// `a <= b`; false when unordered.
                FLe { a: Val, b: Val, env: Fenv } -> bool, fle;
                /// Unordered: one is a NaN.
                FUn { a: Val, b: Val, env: Fenv } -> bool, fun;
                /// The status flags of a comparison, as x86 defines them (SDM 2, COMISS): less is carry, equal zero, unordered
                /// carry, zero and parity; the others are 0. The instruction's type is that of the operands.
                FStatus { a: Val, b: Val, env: Fenv } -> status, fstatus;
                /// F32 to F64 or back.
                FCvt { a: Val, env: Fenv } -> same;
                /// Half precision (I16) to float; `env.flag`: alternative format.
                FFromHalf { a: Val, env: Fenv } -> same;
                /// Float to half precision (result I16); `env.flag`: alternative format.
                FToHalf { a: Val, env: Fenv } -> same;
                /// Float to signed fixed point with `frac` fraction bits (I32, I64), saturating, NaN gives 0; of x86 what does not
                /// fit and NaN give the least number.
                FToS { a: Val, frac: u8, env: Fenv } -> same;
                /// Float to unsigned fixed point with `frac` fraction bits (I32, I64), saturating, NaN gives 0.
                FToU { a: Val, frac: u8, env: Fenv } -> same;
                /// Signed fixed point (I32, I64) with `frac` fraction bits to float.
                SToF { a: Val, frac: u8, env: Fenv } -> same;
                /// Unsigned fixed point (I32, I64) with `frac` fraction bits to float.
                UToF { a: Val, frac: u8, env: Fenv } -> same;
            }
            // ---- Floating point, vectors (vec; `e` F16, F32 or F64)
            Fp vec_float_ops {
                /// Lanewise addition.
                VFAdd { a: Val, b: Val, e: Lane, env: Fenv } -> same, vfadd;
                /// Lanewise subtraction.
                VFSub { a: Val, b: Val, e: Lane, env: Fenv } -> same, vfsub;
                /// Lanewise multiplication.
                VFMul { a: Val, b: Val, e: Lane, env: Fenv } -> same, vfmul;
                /// Lanewise division.
                VFDiv { a: Val, b: Val, e: Lane, env: Fenv } -> same, vfdiv;
                /// Lanewise square root.
                VFSqrt { a: Val, e: Lane, env: Fenv } -> same, vfsqrt;
                /// Lanewise integral number, as `FRound`.
                VFRound { a: Val, e: Lane, env: Fenv } -> same, vfround;
                /// Lanewise maximum as Arm's FPMax: NaNs propagate, +0 > -0. Of x86 as MAXPS: `a > b ? a : b`, any NaN is invalid.
                VFMax { a: Val, b: Val, e: Lane, env: Fenv } -> same, vfmax;
                /// Lanewise minimum as Arm's FPMin: NaNs propagate, -0 < +0. Of x86 as MINPS: `a < b ? a : b`, any NaN is invalid.
                VFMin { a: Val, b: Val, e: Lane, env: Fenv } -> same, vfmin;
                /// Lanewise `a == b`: all ones or zero; false when unordered.
                VFEq { a: Val, b: Val, e: Lane, env: Fenv } -> same, vfeq;
                /// Lanewise `a > b`.
                VFGt { a: Val, b: Val, e: Lane, env: Fenv } -> same, vfgt;
                /// Lanewise `a >= b`.
                VFGe { a: Val, b: Val, e: Lane, env: Fenv } -> same, vfge;
                /// Lanewise whether `a` relates to `b` in one of the ways that `is` has.
                VFCmp { a: Val, b: Val, is: Relation, e: Lane, env: Fenv } -> same, vfcmp;
                /// Lanewise fused `c + a * b`.
                VFMulAdd { c: Val, a: Val, b: Val, env: Fenv, e: Lane } -> same, vfmul_add;
                /// Lanewise float to signed fixed point of the same width.
                VFToS { a: Val, frac: u8, e: Lane, env: Fenv } -> same;
                /// Lanewise float to unsigned fixed point of the same width.
                VFToU { a: Val, frac: u8, e: Lane, env: Fenv } -> same;
                /// Lanewise signed fixed point to float of the same width.
                VSToF { a: Val, frac: u8, e: Lane, env: Fenv } -> same;
                /// Lanewise unsigned fixed point to float of the same width.
                VUToF { a: Val, frac: u8, e: Lane, env: Fenv } -> same;
            }
            Get get_ops {
                /// Read guest state at a byte offset.
                Get { slot: u16 } -> same;
            }
            Set set_ops {
                /// Write guest state at a byte offset.
                Set { slot: u16, a: Val } -> none;
            }
            // ---- Memory: faults are precise, at the latest `Insn`
            Load load_ops {
                /// Load (any type; see `Mem`).
                Load { addr: Val, mem: Mem } -> same;
            }
            Store store_ops {
                /// Store (any type; see `Mem`; the instruction's type is that of `a`).
                Store { addr: Val, a: Val, mem: Mem } -> none;
            }
            Atomic atomic_ops {
                /// Atomic compare and swap (int, or V128 aligned to 16; size = that of the type): the old value; stores
                /// `new` if it equals `old`.
                Cas { addr: Val, old: Val, new: Val, mem: Mem } -> same;
                /// Atomic exchange (int): the old value.
                Swap { addr: Val, a: Val, mem: Mem } -> same;
                /// Atomic read-modify-write (int): the old value; stores what `how` makes of it and `a`.
                Rmw { addr: Val, a: Val, how: Rmw, mem: Mem } -> same;
            }
            Fence fence_ops {
                /// Memory barrier.
                Barrier { kind: Fence } -> none;
            }
            // ---- Calls
            Call call_ops {
                /// Call entry `helper` of the guest's table ([`Guest::HELPERS`](crate::Guest)); the result is truncated to
                /// the instruction's type. Unused arguments are `Val::NONE`.
                Call { helper: u16, args: [Val; 4] } -> same;
            }
            // ---- The x87 unit: see `Env::x87`. `at` is the instruction's offset in the page, `modrm` its ModRM byte: the unit keeps
            // both. What registers hold and whether exceptions are masked, `X87Need` sees to; where not, the operations are slow.
            X87 x87_ops {
                /// Execute an instruction. If it stores, that was done already: see `X87Output`.
                X87 { insn: X87Insn, modrm: u8, at: u16 } -> none;
                /// The same with its operand in memory (int, or 80 bits in a V128) or, of FCMOVcc, a word of status flags (I16).
                X87Operand { insn: X87Insn, modrm: u8, at: u16, a: Val } -> none;
                /// The same of one that compares to status flags, the others of which are 0.
                X87Compare { insn: X87Insn, modrm: u8, at: u16 } -> status;
                /// What an instruction would store (int, or 80 bits in a V128); the unit stays as it is.
                X87Output { insn: X87Insn } -> same;
            }
            // ---- Position and control flow
            Position position_ops {
                /// A guest instruction starts: its offset in the page and what else [`Guest::restore`](crate::Guest) needs.
                Insn { offset: u16, aux: u32 } -> none;
            }
            Branch branch_ops {
                /// A forward branch's target. An `Insn` follows before the next operation that may fault.
                Place { label: Label } -> none;
                /// Branch forward.
                Br { label: Label } -> none;
                /// Branch forward if the boolean `cond` is 1.
                BrIf { cond: Val, label: Label } -> none;
                /// Branch forward unless the x87 unit masks all exceptions, its registers ST(i) of bits i in `full` are full, and
                /// those in `empty` empty.
                X87Need { full: u8, empty: u8, label: Label } -> none;
            }
            Leave leave_ops {
                /// Continue at `offset` bytes from the start of the page (may lie outside it), in mode `mode` (the state's
                /// mode slot already holds it). With `poll`, pending interrupts are looked at even if attention was not asked for.
                Goto { offset: i32, mode: ModeIndex, hint: Hint, poll: bool } -> none;
                /// Continue at the virtual address `addr` (the guest's address width), in the state's mode.
                GotoVal { addr: Val, hint: Hint } -> none;
                /// Hand over to the engine; the state's pc slot holds where to go on.
                Exit { why: Leave } -> none;
            }
        }
    };
}

macro_rules! rule {
    (same) => {
        Rule::Same
    };
    (bool) => {
        Rule::Bool
    };
    (status) => {
        Rule::Status
    };
    (none) => {
        Rule::None
    };
}

macro_rules! define {
    ($( $e:ident $class:ident {
        $( $(#[$d:meta])* $n:ident { $($f:ident : $t:ty),* } -> $r:ident $(, $method:ident)?; )*
    } )*) => {
        /// An operation of the IR.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs)]
        pub enum Op { $( $( $(#[$d])* $n { $($f: $t),* }, )* )* }

        impl Op {
            /// Every operation's name, for tests of completeness.
            pub const ALL: &'static [&'static str] = &[ $( $( stringify!($n) ),* ),* ];
            /// Its name.
            pub const fn name(&self) -> &'static str {
                match self { $( $( Op::$n { .. } => stringify!($n), )* )* }
            }
            /// What its result is.
            #[inline(always)]
            pub const fn rule(&self) -> Rule {
                match self { $( $( Op::$n { .. } => rule!($r), )* )* }
            }
            /// What it touches.
            #[inline(always)]
            pub const fn effect(&self) -> Effect {
                match self { $( $( Op::$n { .. } => Effect::$e, )* )* }
            }
            /// Its fields as text: `a: %1, e: I8`.
            pub(crate) fn fields(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self { $( $( Op::$n { $($f),* } => {
                    let fields: &[(&str, &dyn std::fmt::Debug)] = &[ $( (stringify!($f), $f) ),* ];
                    write_fields(f, fields)
                } )* )* }
            }
            /// Call `f` on each value operand, for rewriting.
            pub fn vals_mut(&mut self, f: &mut dyn FnMut(&mut Val)) {
                self.rewrite(f);
            }
            #[inline(always)]
            fn rewrite(&mut self, mut f: impl FnMut(&mut Val)) {
                match self { $( $( Op::$n { $($f),* } => { $( Operand::rewrite($f, &mut f); )* } )* )* }
            }
            /// Call `f` on each value operand.
            #[inline]
            pub fn vals(&self, mut f: impl FnMut(Val)) {
                match self { $( $( Op::$n { $($f),* } => { $( Operand::vals($f, &mut f); )* } )* )* }
            }
        }
    };
}
for_each_op!(define);

fn write_fields(f: &mut std::fmt::Formatter<'_>, fields: &[(&str, &dyn std::fmt::Debug)]) -> std::fmt::Result {
    fields.iter().enumerate().try_for_each(|(i, (name, value))| {
        let comma = if i == 0 { "" } else { "," };
        write!(f, "{comma} {name}: {value:?}")
    })
}

/// The values that an operation uses, in order: 16 bits each, behind the last all ones ([`Val::NONE`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operands(u64);

impl Operands {
    const NONE: Operands = Operands(u64::MAX);

    #[inline(always)]
    fn put(&mut self, n: &mut u32, v: Val) {
        self.0 = self.0 & !(0xffff << (16 * *n)) | (v.0 as u64) << (16 * *n);
        *n += 1;
    }
    /// One after the other.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = Val> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let v = Val(left as u16);
            left = left >> 16 | 0xffff << 48;
            v.is_some().then_some(v)
        })
    }
}

/// These are compiled once, for all passes: what is done with each operand, compiled into every arm of a match on all
/// operations, is more code than the instruction cache has room for.
impl Op {
    /// The values it uses.
    #[inline(never)]
    pub fn operands(&self) -> Operands {
        let (mut operands, mut n) = (Operands::NONE, 0);
        self.vals(|v| operands.put(&mut n, v));
        operands
    }
    /// Let it use, for each value, what a table has at its index; the values it uses then.
    #[inline(never)]
    #[expect(
        clippy::indexing_slicing,
        reason = "a table has an entry for each value of the block"
    )]
    pub fn rename(&mut self, table: &[Val]) -> Operands {
        let (mut operands, mut n) = (Operands::NONE, 0);
        self.rewrite(|v| {
            *v = table[v.index()];
            operands.put(&mut n, *v);
        });
        operands
    }
}

impl Op {
    /// Whether nothing after it in straight line is reached.
    pub const fn ends(&self) -> bool {
        matches!(self.effect(), Effect::Leave) || matches!(self, Op::Br { .. })
    }
}

//! Arithmetic on integer lanes. Where AVX2 lacks a width, it is made of another.

use super::Emit;
use super::vec::{by_lane, splat, xmem, xop, xop_imm};
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use emu_ir::{Lane, Op, Ty, Val};

impl Emit<'_> {
    /// Products of bytes: those at even and at odd places as words.
    pub fn mul_bytes(&mut self, v: Val, a: Val, b: Val) {
        self.pair(v, a, b, |e, d, x, y| {
            let (t, u) = (e.xtemp(), e.xtemp());
            e.byte_products(d, x, y, t, u);
        });
    }
    fn byte_products(&mut self, d: u8, x: u8, y: u8, t: u8, u: u8) {
        xop!(self, vpsrlw, t, x; 8);
        xop!(self, vpsrlw, u, y; 8);
        xop!(self, vpmullw, t, t, u);
        xop!(self, vpsllw, t, t; 8);
        xop!(self, vpmullw, u, x, y);
        xmem!(self, vpand, u, u, splat(Lane::I16, 0xff));
        xop!(self, vpor, d, t, u);
    }
    pub fn mul_wide(&mut self, v: Val, a: Val, b: Val, e: Lane, signed: bool) {
        self.pair(v, a, b, |s, d, x, y| {
            let t = s.xtemp();
            match (e, signed) {
                (Lane::I8, true) => {
                    xop!(s, vpmovsxbw, t, x);
                    xop!(s, vpmovsxbw, d, y);
                    xop!(s, vpmullw, d, d, t);
                }
                (Lane::I8, false) => {
                    xop!(s, vpmovzxbw, t, x);
                    xop!(s, vpmovzxbw, d, y);
                    xop!(s, vpmullw, d, d, t);
                }
                (Lane::I16, _) => {
                    xop!(s, vpmullw, t, x, y);
                    if signed {
                        xop!(s, vpmulhw, d, x, y);
                    } else {
                        xop!(s, vpmulhuw, d, x, y);
                    }
                    xop!(s, vpunpcklwd, d, t, d);
                }
                (_, signed) => {
                    xop!(s, vpmovzxdq, t, x);
                    xop!(s, vpmovzxdq, d, y);
                    if signed {
                        xop!(s, vpmuldq, d, d, t);
                    } else {
                        xop!(s, vpmuludq, d, d, t);
                    }
                }
            }
        });
    }

    /// `d` = lanes where unsigned `x > y`.
    pub fn above(&mut self, e: Lane, d: u8, x: u8, y: u8, t: u8, u: u8) {
        let bias = splat(e, 1 << (e.bits() - 1));
        xmem!(self, vpxor, t, x, bias);
        xmem!(self, vpxor, u, y, bias);
        by_lane!(self, e, vpcmpgtb vpcmpgtw vpcmpgtd vpcmpgtq, d, t, u);
    }

    // ---- saturation

    pub fn saturating_signed(&mut self, v: Val, a: Val, b: Val, e: Lane, sub: bool) {
        self.pair(v, a, b, |s, d, x, y| match (e, sub) {
            (Lane::I8, false) => xop!(s, vpaddsb, d, x, y),
            (Lane::I8, true) => xop!(s, vpsubsb, d, x, y),
            (Lane::I16, false) => xop!(s, vpaddsw, d, x, y),
            (Lane::I16, true) => xop!(s, vpsubsw, d, x, y),
            (e, sub) => s.wide_saturating(e, d, x, y, sub),
        });
    }
    /// Sum or difference of 32 or 64 bits; where the signs say that it overflowed, the limit on `x`'s side.
    fn wide_saturating(&mut self, e: Lane, d: u8, x: u8, y: u8, sub: bool) {
        let (t, u) = (self.xtemp(), self.xtemp());
        let wide = e.bits() == 64;
        match (wide, sub) {
            (false, false) => xop!(self, vpaddd, d, x, y),
            (false, true) => xop!(self, vpsubd, d, x, y),
            (true, false) => xop!(self, vpaddq, d, x, y),
            (true, true) => xop!(self, vpsubq, d, x, y),
        }
        // Adding overflows if the sum's sign is neither operand's; subtracting, if the operands' signs differ and the
        // difference's is not x's.
        xop!(self, vpxor, t, d, x);
        if sub {
            xop!(self, vpxor, u, x, y);
        } else {
            xop!(self, vpxor, u, d, y);
        }
        xop!(self, vpand, t, t, u);
        xop!(self, vpxor, u, u, u);
        let limit = splat(e, u64::MAX >> (65 - e.bits()));
        if wide {
            xop!(self, vpcmpgtq, u, u, x);
            xmem!(self, vpxor, u, u, limit);
            xop!(self, vblendvpd, d, d, u, t);
        } else {
            xop!(self, vpcmpgtd, u, u, x);
            xmem!(self, vpxor, u, u, limit);
            xop!(self, vblendvps, d, d, u, t);
        }
    }
    pub fn add_saturating(&mut self, v: Val, a: Val, b: Val, e: Lane) {
        self.pair(v, a, b, |s, d, x, y| match e {
            Lane::I8 => xop!(s, vpaddusb, d, x, y),
            Lane::I16 | Lane::F16 => xop!(s, vpaddusw, d, x, y),
            Lane::I32 | Lane::F32 => {
                // x + min(y, !x)
                let t = s.xtemp();
                xmem!(s, vpxor, t, x, u128::MAX);
                xop!(s, vpminud, t, t, y);
                xop!(s, vpaddd, d, x, t);
            }
            Lane::I64 | Lane::F64 => {
                let (t, u, sum) = (s.xtemp(), s.xtemp(), s.xtemp());
                xop!(s, vpaddq, sum, x, y);
                s.above(e, d, x, sum, t, u);
                xop!(s, vpor, d, d, sum);
            }
        });
    }
    pub fn sub_saturating(&mut self, v: Val, a: Val, b: Val, e: Lane) {
        self.pair(v, a, b, |s, d, x, y| match e {
            Lane::I8 => xop!(s, vpsubusb, d, x, y),
            Lane::I16 | Lane::F16 => xop!(s, vpsubusw, d, x, y),
            Lane::I32 | Lane::F32 => {
                xop!(s, vpmaxud, d, x, y);
                xop!(s, vpsubd, d, d, y);
            }
            Lane::I64 | Lane::F64 => {
                let (t, u) = (s.xtemp(), s.xtemp());
                s.above(e, d, x, y, t, u);
                xop!(s, vpsubq, t, x, y);
                xop!(s, vpand, d, d, t);
            }
        });
    }

    // ---- shifts by a constant

    pub fn shift_left(&mut self, v: Val, a: Val, n: u8, e: Lane) {
        self.single(v, a, |s, d, x| match e.bits() {
            _ if n == 0 => xop!(s, vmovdqa, d, x),
            8 if n == 1 => xop!(s, vpaddb, d, x, x),
            8 => {
                xop!(s, vpsllw, d, x; n as i8);
                xmem!(s, vpand, d, d, splat(Lane::I8, 0xff << n));
            }
            16 => xop!(s, vpsllw, d, x; n as i8),
            32 => xop!(s, vpslld, d, x; n as i8),
            _ => xop!(s, vpsllq, d, x; n as i8),
        });
    }
    pub fn shift_right(&mut self, v: Val, a: Val, n: u8, e: Lane) {
        self.single(v, a, |s, d, x| s.shift_right_by(e, d, x, n));
    }
    fn shift_right_by(&mut self, e: Lane, d: u8, x: u8, n: u8) {
        match e.bits() {
            _ if n == 0 => xop!(self, vmovdqa, d, x),
            width if n as u32 >= width => xop!(self, vpxor, d, d, d),
            8 => {
                xop!(self, vpsrlw, d, x; n as i8);
                xmem!(self, vpand, d, d, splat(Lane::I8, 0xff >> n));
            }
            16 => xop!(self, vpsrlw, d, x; n as i8),
            32 => xop!(self, vpsrld, d, x; n as i8),
            _ => xop!(self, vpsrlq, d, x; n as i8),
        }
    }
    pub fn shift_arithmetic(&mut self, v: Val, a: Val, n: u8, e: Lane) {
        let n = n.min(e.bits() as u8 - 1);
        self.single(v, a, |s, d, x| match e.bits() {
            _ if n == 0 => xop!(s, vmovdqa, d, x),
            16 => xop!(s, vpsraw, d, x; n as i8),
            32 => xop!(s, vpsrad, d, x; n as i8),
            width if n as u32 == width - 1 => {
                xop!(s, vpxor, d, d, d);
                if width == 8 {
                    xop!(s, vpcmpgtb, d, d, x);
                } else {
                    xop!(s, vpcmpgtq, d, d, x);
                }
            }
            width => {
                // Where the sign ended up, it is extended upward.
                let sign = splat(e, 1 << (width - 1 - n as u32));
                s.shift_right_by(e, d, x, n);
                xmem!(s, vpxor, d, d, sign);
                if width == 8 {
                    xmem!(s, vpsubb, d, d, sign);
                } else {
                    xmem!(s, vpsubq, d, d, sign);
                }
            }
        });
    }

    // ---- shifts by lanes

    pub fn shift_lanes(&mut self, v: Val, op: Op, a: Val, b: Val, e: Lane) {
        self.pair(v, a, b, |s, d, x, y| match (e.bits(), op) {
            (8, Op::VShlV { .. }) => {
                let (p, t, u) = (s.xtemp(), s.xtemp(), s.xtemp());
                s.powers(p, y, 8, |n| 1u8.checked_shl(n).unwrap_or(0));
                s.byte_products(d, x, p, t, u);
            }
            (8, Op::VShrSV { .. }) => s.shift_bytes(d, x, y, true),
            (8, _) => s.shift_bytes(d, x, y, false),
            (16, _) => s.shift_words(op, d, x, y),
            (32, Op::VShlV { .. }) => xop!(s, vpsllvd, d, x, y),
            (32, Op::VShrSV { .. }) => xop!(s, vpsravd, d, x, y),
            (32, _) => xop!(s, vpsrlvd, d, x, y),
            (_, Op::VShlV { .. }) => xop!(s, vpsllvq, d, x, y),
            (_, Op::VShrSV { .. }) => {
                // The complement of a negative number shifts zeros in as well.
                let t = s.xtemp();
                xop!(s, vpxor, t, t, t);
                xop!(s, vpcmpgtq, t, t, x);
                xop!(s, vpxor, d, x, t);
                xop!(s, vpsrlvq, d, d, y);
                xop!(s, vpxor, d, d, t);
            }
            _ => xop!(s, vpsrlvq, d, x, y),
        });
    }
    /// `t` = for each byte of `y`, at most `most`, `f` of it.
    fn powers(&mut self, t: u8, y: u8, most: u8, f: impl Fn(u32) -> u8) {
        let table: [u8; 16] = std::array::from_fn(|n| if n <= most as usize { f(n as u32) } else { 0 });
        let label = self.pool_label(u128::from_le_bytes(table));
        let u = self.xtemp();
        xmem!(self, vpminub, u, y, splat(Lane::I8, most as u64));
        dynasm!(self.a ; .arch x64 ; vmovdqu Rx(t), [=>label]);
        xop!(self, vpshufb, t, t, u);
    }
    /// Right shifts of bytes: the high halves of products with powers of two, bytes standing in the high half of words.
    fn shift_bytes(&mut self, d: u8, x: u8, y: u8, signed: bool) {
        let (p, zero, t, u) = (self.xtemp(), self.xtemp(), self.xtemp(), self.xtemp());
        // 2^(7 - n); a logical shift by 8 or more gives zero, an arithmetic one goes as by 7.
        let most = if signed { 7 } else { 8 };
        self.powers(p, y, most, |n| 0x80u8.checked_shr(n).unwrap_or(0));
        xop!(self, vpxor, zero, zero, zero);
        for (high, product) in [(false, t), (true, d)] {
            if high {
                xop!(self, vpunpckhbw, product, zero, x);
                xop!(self, vpunpckhbw, u, p, zero);
            } else {
                xop!(self, vpunpcklbw, product, zero, x);
                xop!(self, vpunpcklbw, u, p, zero);
            }
            xop!(self, vpaddw, u, u, u);
            if signed {
                xop!(self, vpmulhw, product, product, u);
            } else {
                xop!(self, vpmulhuw, product, product, u);
            }
        }
        if signed {
            xop!(self, vpacksswb, d, t, d);
        } else {
            xop!(self, vpackuswb, d, t, d);
        }
    }
    /// Shifts of words: those at odd places where they are, those at even places, both in double words.
    fn shift_words(&mut self, op: Op, d: u8, x: u8, y: u8) {
        let (n, zero, t) = (self.xtemp(), self.xtemp(), self.xtemp());
        xop!(self, vpsrld, n, y; 16);
        xop!(self, vpxor, zero, zero, zero);
        match op {
            Op::VShlV { .. } => {
                xop_imm!(self, vpblendw, t, zero, x; 0xaa_u8 as i8);
                xop!(self, vpsllvd, t, t, n);
            }
            Op::VShrSV { .. } => xop!(self, vpsravd, t, x, n),
            _ => xop!(self, vpsrlvd, t, x, n),
        }
        xop_imm!(self, vpblendw, n, zero, y; 0x55);
        match op {
            Op::VShlV { .. } => xop!(self, vpsllvd, d, x, n),
            Op::VShrSV { .. } => {
                xop!(self, vpslld, d, x; 16);
                xop!(self, vpsrad, d, d; 16);
                xop!(self, vpsravd, d, d, n);
            }
            _ => {
                xop_imm!(self, vpblendw, d, zero, x; 0x55);
                xop!(self, vpsrlvd, d, d, n);
            }
        }
        xop_imm!(self, vpblendw, d, d, t; 0xaa_u8 as i8);
    }

    // ---- narrowing: V128 to V64, zeros above

    /// The low half of each lane of twice the width of `e`.
    pub fn narrow_lanes(&mut self, e: Lane, d: u8, x: u8) {
        let size = e.bits() as u8 / 8;
        let pick = |k: u8| if k < 8 { k / size * 2 * size + k % size } else { 0x80 };
        let pattern: [u8; 16] = std::array::from_fn(|k| pick(k as u8));
        xmem!(self, vpshufb, d, x, u128::from_le_bytes(pattern));
    }
    /// 64-bit lanes brought between two limits.
    fn clamp_long(&mut self, d: u8, x: u8, low: i64, high: i64) {
        let (t, limit) = (self.xtemp(), self.xtemp());
        for (bound, above) in [(high, true), (low, false)] {
            let label = self.pool_label(splat(Lane::I64, bound as u64));
            dynasm!(self.a ; .arch x64 ; vmovdqu Rx(limit), [=>label]);
            let from = if above { x } else { d };
            if above {
                xop!(self, vpcmpgtq, t, from, limit);
            } else {
                xop!(self, vpcmpgtq, t, limit, from);
            }
            xop!(self, vblendvpd, d, from, limit, t);
        }
    }
    pub fn narrow_signed(&mut self, v: Val, a: Val, e: Lane) {
        self.single(v, a, |s, d, x| match e {
            Lane::I8 | Lane::I16 => {
                xop!(s, vpxor, d, d, d);
                if e == Lane::I8 {
                    xop!(s, vpacksswb, d, x, d);
                } else {
                    xop!(s, vpackssdw, d, x, d);
                }
            }
            _ => {
                s.clamp_long(d, x, i32::MIN as i64, i32::MAX as i64);
                s.narrow_lanes(e, d, d);
            }
        });
    }
    pub fn narrow_to_unsigned(&mut self, v: Val, a: Val, e: Lane) {
        self.single(v, a, |s, d, x| match e {
            Lane::I8 | Lane::I16 => {
                xop!(s, vpxor, d, d, d);
                if e == Lane::I8 {
                    xop!(s, vpackuswb, d, x, d);
                } else {
                    xop!(s, vpackusdw, d, x, d);
                }
            }
            _ => {
                s.clamp_long(d, x, 0, u32::MAX as i64);
                s.narrow_lanes(e, d, d);
            }
        });
    }
    pub fn narrow_unsigned(&mut self, v: Val, a: Val, e: Lane) {
        self.single(v, a, |s, d, x| match e {
            Lane::I8 => {
                xmem!(s, vpminuw, d, x, splat(Lane::I16, 0xff));
                s.narrow_lanes(e, d, d);
            }
            Lane::I16 => {
                xmem!(s, vpminud, d, x, splat(Lane::I32, 0xffff));
                s.narrow_lanes(e, d, d);
            }
            _ => {
                // Ones below where the high half is not zero.
                let t = s.xtemp();
                xop!(s, vpxor, t, t, t);
                xop!(s, vpsrlq, d, x; 32);
                xop!(s, vpcmpgtd, t, d, t);
                xop!(s, vpsrad, d, d; 31);
                xop!(s, vpor, d, d, t);
                xop!(s, vpor, d, d, x);
                s.narrow_lanes(e, d, d);
            }
        });
    }

    /// Lanes of two vectors, narrowed by an instruction of V128s.
    pub fn pack(&mut self, v: Val, ty: Ty, a: Val, b: Val, f: impl FnOnce(&mut Self, u8, u8, u8)) {
        self.pair(v, a, b, |s, d, x, y| match ty {
            Ty::V64 => {
                let t = s.xtemp();
                xop!(s, vpunpcklqdq, d, x, y);
                xop!(s, vpxor, t, t, t);
                f(s, d, d, t);
            }
            _ => f(s, d, x, y),
        });
    }

    // ---- counting

    pub fn popcnt(&mut self, v: Val, a: Val) {
        self.single(v, a, |s, d, x| {
            let (table, low, t) = (s.xtemp(), s.xtemp(), s.xtemp());
            let counts: [u8; 16] = std::array::from_fn(|n| n.count_ones() as u8);
            s.nibbles(table, low, t, d, x, counts);
            xop!(s, vpaddb, d, d, t);
        });
    }
    /// `t` = a table's entries for the low nibbles of `x`, `d` = those for the high ones, which stay in `low`.
    fn nibbles(&mut self, table: u8, low: u8, t: u8, d: u8, x: u8, entries: [u8; 16]) {
        let label = self.pool_label(u128::from_le_bytes(entries));
        let mask = splat(Lane::I8, 15);
        dynasm!(self.a ; .arch x64 ; vmovdqu Rx(table), [=>label]);
        xmem!(self, vpand, low, x, mask);
        xop!(self, vpshufb, t, table, low);
        xop!(self, vpsrlw, low, x; 4);
        xmem!(self, vpand, low, low, mask);
        xop!(self, vpshufb, d, table, low);
    }
    pub fn leading_zeros(&mut self, v: Val, ty: Ty, a: Val, e: Lane) {
        self.single(v, a, |s, d, x| {
            let (zero, high, t) = (s.xtemp(), s.xtemp(), s.xtemp());
            let counts: [u8; 16] = std::array::from_fn(|n| 4 - (16 - (n as u16).leading_zeros()) as u8);
            s.nibbles(zero, high, t, d, x, counts);
            // The low nibble counts where the high one is zero; so does the low half of a wider lane.
            xop!(s, vpxor, zero, zero, zero);
            xop!(s, vpcmpeqb, high, high, zero);
            xop!(s, vpand, t, t, high);
            xop!(s, vpaddb, d, d, t);
            if e.bits() >= 16 {
                xmem!(s, vpcmpeqb, t, d, splat(Lane::I8, 8));
                xop!(s, vpsrlw, t, t; 8);
                xop!(s, vpand, t, t, d);
                xop!(s, vpsrlw, d, d; 8);
                xop!(s, vpaddw, d, d, t);
            }
            if e.bits() == 32 {
                xmem!(s, vpcmpeqw, t, d, splat(Lane::I16, 16));
                xop!(s, vpsrld, t, t; 16);
                xop!(s, vpand, t, t, d);
                xop!(s, vpsrld, d, d; 16);
                xop!(s, vpaddd, d, d, t);
            }
            s.clear_high(ty, d);
        });
    }
}

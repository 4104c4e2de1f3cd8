//! Moving lanes about.

use super::Emit;
use super::vec::{xmem, xop, xop_imm};
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use emu_ir::{Lane, Ty, Val};

impl Emit<'_> {
    pub fn dup(&mut self, v: Val, ty: Ty, a: Val, e: Lane) {
        if let Some(bits) = self.b.constant(a) {
            let label = self.pool_label(super::vec::splat(e, bits) & ty.mask());
            let d = self.xdst(v);
            dynasm!(self.a ; .arch x64 ; vmovdqu Rx(d), [=>label]);
            return;
        }
        self.single(v, a, |s, d, x| match (e.bits(), ty) {
            (64, Ty::V64) => xop!(s, vmovq, d, x),
            (8, _) => xop!(s, vpbroadcastb, d, x),
            (16, _) => xop!(s, vpbroadcastw, d, x),
            (32, _) => xop!(s, vpbroadcastd, d, x),
            _ => xop!(s, vpbroadcastq, d, x),
        });
        if e.bits() < 64 {
            let d = self.xreg(v);
            self.clear_high(ty, d);
        }
    }
    /// A lane as an F32 or F64.
    pub fn float_lane(&mut self, v: Val, ty: Ty, a: Val, i: u8) {
        self.single(v, a, |s, d, x| match (ty, i) {
            (_, 0) => xop!(s, vmovdqa, d, x),
            (Ty::F32, _) => xop!(s, vpshufd, d, x; i as i8),
            _ => xop!(s, vpsrldq, d, x; 8),
        });
    }
    pub fn set_lane(&mut self, v: Val, ty: Ty, a: Val, b: Val, i: u8) {
        let scalar = self.b.ty(b);
        let x = self.xreg(a);
        if scalar.is_int() {
            let r = self.reg(b);
            let d = self.xdst(v);
            match scalar {
                Ty::I8 => dynasm!(self.a ; .arch x64 ; vpinsrb Rx(d), Rx(x), Rd(r), i as i8),
                Ty::I16 => dynasm!(self.a ; .arch x64 ; vpinsrw Rx(d), Rx(x), Rd(r), i as i8),
                Ty::I32 => dynasm!(self.a ; .arch x64 ; vpinsrd Rx(d), Rx(x), Rd(r), i as i8),
                _ => dynasm!(self.a ; .arch x64 ; vpinsrq Rx(d), Rx(x), Rq(r), i as i8),
            }
            return;
        }
        let y = self.xreg(b);
        let d = self.xdst(v);
        match (scalar, ty, i) {
            (Ty::F32, ..) => xop!(self, vinsertps, d, x, y; (i << 4) as i8),
            (_, Ty::V64, _) => xop!(self, vmovq, d, y),
            (_, _, 0) => xop_imm!(self, vpblendw, d, x, y; 0x0f),
            _ => xop!(self, vpunpcklqdq, d, x, y),
        }
    }
    pub fn lookup(&mut self, v: Val, ty: Ty, a: Val, idx: Val) {
        self.pair(v, a, idx, |s, d, x, y| {
            // Bit 7 asks for zero: indices of 16 and more get it.
            xmem!(s, vpaddusb, d, y, super::vec::splat(Lane::I8, 0x70));
            xop!(s, vpshufb, d, x, d);
            s.clear_high(ty, d);
        });
    }

    /// Bytes picked by a constant pattern: by one instruction if there is one.
    pub fn perm(&mut self, v: Val, ty: Ty, a: Val, b: Val, pattern: u128) {
        let want = wanted(ty, pattern);
        let fits = |got: [u8; 16], n: usize| (0..n).all(|k| same(ty, got[k], want[k]));
        for n in [16, 8] {
            if n == 8 && ty != Ty::V64 {
                break;
            }
            if let Some((shuffle, [first, second])) = Shuffle::find(want, |got| fits(got, n)) {
                let (x, y) = (
                    self.xreg(if first { b } else { a }),
                    self.xreg(if second { b } else { a }),
                );
                let d = self.xdst(v);
                self.shuffle(shuffle, d, x, y);
                if n == 8 {
                    self.clear_high(ty, d);
                }
                return;
            }
        }
        self.pick_bytes(v, a, b, want);
    }
    /// Any pattern, by byte shuffles of one or both operands.
    fn pick_bytes(&mut self, v: Val, a: Val, b: Val, want: [u8; 16]) {
        let from = |base: u8| want.map(|p| if p & 0xf0 == base { p & 15 } else { 0x80 });
        let used = |base: u8| want.iter().any(|p| p & 0xf0 == base);
        match (used(0), used(16)) {
            (false, false) => {
                let d = self.xdst(v);
                xop!(self, vpxor, d, d, d);
            }
            (true, false) => self.single(v, a, |s, d, x| xmem!(s, vpshufb, d, x, u128::from_le_bytes(from(0)))),
            (false, true) => self.single(v, b, |s, d, x| xmem!(s, vpshufb, d, x, u128::from_le_bytes(from(16)))),
            (true, true) => self.pair(v, a, b, |s, d, x, y| {
                let t = s.xtemp();
                xmem!(s, vpshufb, t, x, u128::from_le_bytes(from(0)));
                xmem!(s, vpshufb, d, y, u128::from_le_bytes(from(16)));
                xop!(s, vpor, d, d, t);
            }),
        }
    }
    fn shuffle(&mut self, shuffle: Shuffle, d: u8, x: u8, y: u8) {
        use Shuffle::*;
        match shuffle {
            Move => xop!(self, vmovdqa, d, x),
            LowHalf => xop!(self, vmovq, d, x),
            Low(1) => xop!(self, vpunpcklbw, d, x, y),
            Low(2) => xop!(self, vpunpcklwd, d, x, y),
            Low(4) => xop!(self, vpunpckldq, d, x, y),
            Low(_) => xop!(self, vpunpcklqdq, d, x, y),
            High(1) => xop!(self, vpunpckhbw, d, x, y),
            High(2) => xop!(self, vpunpckhwd, d, x, y),
            High(4) => xop!(self, vpunpckhdq, d, x, y),
            High(_) => xop!(self, vpunpckhqdq, d, x, y),
            Right(n) => xop!(self, vpsrldq, d, x; n as i8),
            Left(n) => xop!(self, vpslldq, d, x; n as i8),
            Align(n) => xop_imm!(self, vpalignr, d, y, x; n as i8),
            Words(imm) => xop!(self, vpshufd, d, x; imm as i8),
            Pairs(imm) => xop_imm!(self, vshufps, d, x, y; imm as i8),
            Blend(imm) => xop_imm!(self, vpblendw, d, x, y; imm as i8),
            Every(1) => xop!(self, vpbroadcastb, d, x),
            Every(_) => xop!(self, vpbroadcastw, d, x),
        }
    }
}

/// No byte: zero.
const ZERO: u8 = 0xff;

/// A pattern with one name for zero. The upper bytes of V64 operands are zero, and so is the upper half of a V64.
fn wanted(ty: Ty, pattern: u128) -> [u8; 16] {
    let pattern = pattern.to_le_bytes();
    std::array::from_fn(|k| match pattern[k] {
        _ if k >= ty.bytes() as usize => ZERO,
        p if p >= 32 || (p & 15) as u32 >= ty.bytes() => ZERO,
        p => p,
    })
}
/// Whether the byte `got` is the byte `want` is.
fn same(ty: Ty, got: u8, want: u8) -> bool {
    got == want || want == ZERO && (got >= 32 || (got & 15) as u32 >= ty.bytes())
}

/// An instruction that permutes bytes of one or two registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shuffle {
    /// The first operand.
    Move,
    /// Its low eight bytes.
    LowHalf,
    /// Units of so many bytes of the low halves, in turns.
    Low(u8),
    /// The same of the high halves.
    High(u8),
    /// The first operand, so many bytes down.
    Right(u8),
    /// So many bytes up.
    Left(u8),
    /// From so many bytes into the first operand on into the second.
    Align(u8),
    /// Four double words of the first operand.
    Words(u8),
    /// Two double words of the first operand, two of the second.
    Pairs(u8),
    /// Words of one or the other, at their places.
    Blend(u8),
    /// The lowest unit of so many bytes, everywhere.
    Every(u8),
}

impl Shuffle {
    /// The first instruction whose pattern is right, and which operands it takes (true: the second).
    fn find(want: [u8; 16], fits: impl Fn([u8; 16]) -> bool) -> Option<(Shuffle, [bool; 2])> {
        let of = |s: Shuffle, o: [bool; 2]| fits(s.pattern(o.map(|b| if b { 16 } else { 0 }))).then_some((s, o));
        let one = [[false, false], [true, true]];
        let two = [[false, true], [true, false], [false, false], [true, true]];
        let simple = [Shuffle::Move, Shuffle::LowHalf, Shuffle::Every(1), Shuffle::Every(2)].into_iter();
        let single = simple.chain((1..16).flat_map(|n| [Shuffle::Right(n), Shuffle::Left(n)]));
        let units = [1, 2, 4, 8].into_iter();
        let double = units
            .flat_map(|n| [Shuffle::Low(n), Shuffle::High(n)])
            .chain((1..16).map(Shuffle::Align));
        single
            .flat_map(|s| one.map(|o| (s, o)))
            .chain(double.flat_map(|s| two.map(|o| (s, o))))
            .find_map(|(s, o)| of(s, o))
            .or_else(|| {
                // Only one immediate can be right: what the units' first bytes ask for.
                let fields = (0..4).fold(0, |imm, k| imm | (want[4 * k] >> 2 & 3) << (2 * k));
                let sides = |from: u8| (0..8).fold(0, |imm, k| imm | ((want[2 * k] & 16 == from) as u8) << k);
                let wide = [
                    (Shuffle::Words(fields), [false, false]),
                    (Shuffle::Words(fields), [true, true]),
                    (Shuffle::Pairs(fields), [false, true]),
                    (Shuffle::Pairs(fields), [true, false]),
                    (Shuffle::Blend(sides(16)), [false, true]),
                ];
                wide.into_iter().find_map(|(s, o)| of(s, o))
            })
    }
    /// Which byte each byte of the result is; `base` is the number of each operand's first byte.
    fn pattern(self, base: [u8; 2]) -> [u8; 16] {
        std::array::from_fn(|k| {
            let k = k as u8;
            let turns = |n: u8, half: u8| base[(k / n % 2) as usize] + half + k / (2 * n) * n + k % n;
            let field = |imm: u8, at: u8| (imm >> (2 * at) & 3) * 4 + k % 4;
            match self {
                Shuffle::Move => base[0] + k,
                Shuffle::LowHalf if k < 8 => base[0] + k,
                Shuffle::LowHalf => ZERO,
                Shuffle::Low(n) => turns(n, 0),
                Shuffle::High(n) => turns(n, 8),
                Shuffle::Right(n) if k + n < 16 => base[0] + k + n,
                Shuffle::Left(n) if k >= n => base[0] + k - n,
                Shuffle::Right(_) | Shuffle::Left(_) => ZERO,
                Shuffle::Align(n) if k + n < 16 => base[0] + k + n,
                Shuffle::Align(n) => base[1] + k + n - 16,
                Shuffle::Words(imm) => base[0] + field(imm, k / 4),
                Shuffle::Pairs(imm) => base[(k / 8) as usize] + field(imm, k / 4),
                Shuffle::Blend(imm) => base[(imm >> (k / 2) & 1) as usize] + k,
                Shuffle::Every(n) => base[0] + k % n,
            }
        })
    }
}

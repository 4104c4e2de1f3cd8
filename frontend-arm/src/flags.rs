//! The condition flags while a block is translated: in their slots, and besides, as far as it is known, what they were made
//! of, so that a condition becomes one comparison. Both execution states have the same flags and conditions (Arm ARM DDI
//! 0406C, A8.3; DDI 0487, C1.2.4).

use emu_ir::{Builder, Slot, Ty, Val};

/// How the flags were last set in this block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagSource {
    /// Nothing is known: conditions read the flag slots.
    Slots,
    /// `a - b`: CMP, SUBS.
    Sub {
        /// Minuend.
        a: Val,
        /// Subtrahend.
        b: Val,
        /// The difference, where a register keeps it.
        diff: Option<Val>,
    },
    /// N and Z from `value`; C and V are in the slots.
    Nz {
        /// The result.
        value: Val,
    },
    /// N and Z from `value`; V is 0, and C is in its slot.
    Logical {
        /// The result.
        value: Val,
    },
}

/// The flags of a block.
#[derive(Debug)]
pub struct Flags {
    /// The slots of N, Z, C and V, a boolean each.
    slots: [Slot; 4],
    source: FlagSource,
    writes: u32,
}

impl Flags {
    /// At the start of a block: N, Z, C and V are in these slots.
    pub const fn new(slots: [Slot; 4]) -> Flags {
        Flags {
            slots,
            source: FlagSource::Slots,
            writes: 0,
        }
    }
    /// Note that they were written, and what is known about them besides the slots.
    pub fn written(&mut self, source: FlagSource) {
        self.source = source;
        self.writes += 1;
    }
    /// How many times they were written so far.
    pub fn writes(&self) -> u32 {
        self.writes
    }
    /// Set N and Z from a result.
    pub fn set_nz(&mut self, b: &mut Builder, value: Val) {
        let zero = b.imm(b.ty(value), 0);
        let n = b.slt(value, zero);
        let z = b.eq(value, zero);
        let [n_slot, z_slot, ..] = self.slots;
        b.set(n_slot, n);
        b.set(z_slot, z);
        self.written(FlagSource::Nz { value });
    }
    /// Set C and V.
    pub fn set_cv(&mut self, b: &mut Builder, c: Val, v: Val) {
        let [.., c_slot, v_slot] = self.slots;
        b.set(c_slot, c);
        b.set(v_slot, v);
    }
    /// Set all four from a result: C and V to 0, as A64's logical operations do.
    pub fn set_logical(&mut self, b: &mut Builder, value: Val) {
        self.set_nz(b, value);
        let no = b.bool(false);
        self.set_cv(b, no, no);
        self.source = FlagSource::Logical { value };
    }
    /// Set all four from `x - y`, whose difference is `diff`; `kept` if that goes to a register.
    pub fn set_sub(&mut self, b: &mut Builder, x: Val, y: Val, diff: Val, kept: bool) {
        let zero = b.imm(b.ty(diff), 0);
        let n = b.slt(diff, zero);
        let z = if kept { b.eq(diff, zero) } else { b.eq(x, y) };
        let [n_slot, z_slot, ..] = self.slots;
        b.set(n_slot, n);
        b.set(z_slot, z);
        let c = b.ule(y, x);
        let v = b.sub_ovf(x, y);
        self.set_cv(b, c, v);
        let diff = kept.then_some(diff);
        self.written(FlagSource::Sub { a: x, b: y, diff });
    }
    /// Set all four to booleans.
    pub fn set_all(&mut self, b: &mut Builder, values: [Val; 4]) {
        for (slot, value) in self.slots.into_iter().zip(values) {
            b.set(slot, value);
        }
        self.written(FlagSource::Slots);
    }
    /// Whether a condition (0 to 13) holds, as a boolean.
    pub fn cond(&self, b: &mut Builder, cond: u32) -> Val {
        match self.source {
            FlagSource::Sub { a, b: y, diff } => self.cond_sub(b, cond, (a, y), diff),
            FlagSource::Nz { value } if matches!(cond, 0 | 1 | 4 | 5) => self.cond_zero(b, cond, value),
            FlagSource::Logical { value } if matches!(cond, 0 | 1 | 4 | 5 | 10..14) => self.cond_zero(b, cond, value),
            _ => self.cond_slots(b, cond),
        }
    }
    /// A condition after `value - 0`.
    fn cond_zero(&self, b: &mut Builder, cond: u32, value: Val) -> Val {
        let zero = b.imm(b.ty(value), 0);
        self.cond_sub(b, cond, (value, zero), Some(value))
    }
    /// A condition after `x - y`.
    fn cond_sub(&self, b: &mut Builder, cond: u32, (x, y): (Val, Val), diff: Option<Val>) -> Val {
        match cond {
            0 | 1 => {
                let (x, y) = alike(b, x, y, diff);
                if cond == 0 { b.eq(x, y) } else { b.ne(x, y) }
            }
            2 => b.ule(y, x),
            3 => b.ult(x, y),
            4 | 5 => {
                let (diff, zero) = (diff.unwrap_or_else(|| b.sub(x, y)), b.imm(b.ty(x), 0));
                if cond == 4 {
                    b.slt(diff, zero)
                } else {
                    b.sle(zero, diff)
                }
            }
            8 => b.ult(y, x),
            9 => b.ule(x, y),
            10 => b.sle(y, x),
            11 => b.slt(x, y),
            12 => b.slt(y, x),
            13 => b.sle(x, y),
            _ => self.cond_slots(b, cond),
        }
    }
    /// A condition from the flag slots.
    fn cond_slots(&self, b: &mut Builder, cond: u32) -> Val {
        let [n, z, c, v] = self.slots;
        let holds = match cond >> 1 {
            0 => b.get(z),
            1 => b.get(c),
            2 => b.get(n),
            3 => b.get(v),
            4 => {
                let (c, z) = (b.get(c), b.get(z));
                b.and_not(c, z)
            }
            5 => {
                let (n, v) = (b.get(n), b.get(v));
                b.eq(n, v)
            }
            _ => {
                let (n, v, z) = (b.get(n), b.get(v), b.get(z));
                let ge = b.eq(n, v);
                b.and_not(ge, z)
            }
        };
        if cond & 1 == 0 {
            return holds;
        }
        let one = b.bool(true);
        b.xor(holds, one)
    }
}

/// What is equal if `x` and `y` are: their difference and 0 where that is at hand, so that neither need be.
fn alike(b: &mut Builder, x: Val, y: Val, diff: Option<Val>) -> (Val, Val) {
    diff.map_or((x, y), |diff| (diff, b.imm(b.ty(diff), 0)))
}

/// Bit `k` of an int as a boolean.
pub fn bit(b: &mut Builder, v: Val, k: u32) -> Val {
    let ty = b.ty(v);
    let at = b.imm(ty, k.into());
    let low = if k == 0 { v } else { b.shr_u(v, at) };
    let one = b.imm(ty, 1);
    let bit = b.and(low, one);
    b.trunc(Ty::I8, bit)
}

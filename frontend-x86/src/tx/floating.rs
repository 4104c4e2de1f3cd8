//! Floating point of SSE and AVX: in which environment, and exceptions that are not masked (SDM 1, 11.5 "SSE, SSE2, and SSE3
//! Exceptions").
//!
//! While every exception is masked, MXCSR's flags gather by themselves. Where one is not, which the mode word says, an
//! instruction computes with no flags set, what it raised is looked at, and only then its result is written.

use super::{Tx, Vector};
use crate::calls;
use crate::state::{self, mode};
use emu_ir::{Fenv, Round, Ty, Val};

impl Tx<'_> {
    fn simd_traps(&self) -> bool {
        self.mode & mode::SIMD_TRAPS != 0
    }
    /// MXCSR's rounding mode. What is inexact is told.
    pub fn fenv(&self) -> Fenv {
        let round = if self.simd_traps() {
            Round::Unmasked
        } else {
            Round::Current
        };
        Fenv {
            round,
            flag: true,
            ..Fenv::IEEE
        }
    }
    /// The same of a comparison, or of what rounds in a way of its own; `flag` as [`Fenv::flag`].
    pub const fn fenv_of(round: Round, flag: bool) -> Fenv {
        Fenv {
            round,
            flag,
            ..Fenv::IEEE
        }
    }
    /// As [`Tx::fenv`], or rounding in a way of its own, until [`Tx::end_rounding`].
    pub fn fenv_rounding(&mut self, own: Option<Round>) -> Fenv {
        let env = self.fenv();
        match own {
            // The one way that tells what a trap is of is to round by the current mode.
            Some(round) if self.simd_traps() => {
                self.saved_round = Some(self.b.get(state::FP_ROUND));
                let round = self.b.i32(round as u32);
                self.b.set(state::FP_ROUND, round);
                env
            }
            Some(round) => Fenv { round, ..env },
            None => env,
        }
    }
    /// The current mode is as it was before [`Tx::fenv_rounding`].
    pub fn end_rounding(&mut self) {
        if let Some(round) = self.saved_round.take() {
            self.b.set(state::FP_ROUND, round);
        }
    }
    /// Compute, and raise the exceptions of it that are not masked. Operands were read before, and the result is written after.
    pub fn checked<T>(&mut self, compute: impl FnOnce(&mut Self) -> T) -> T {
        if !self.simd_traps() {
            return compute(self);
        }
        let before = self.b.call(Ty::I32, calls::SIMD_BEGIN, &[]);
        let result = compute(self);
        self.b.call(Ty::I32, calls::SIMD_CHECK, &[before]);
        result
    }
    /// Operand 0 becomes something of operand 1 that may raise exceptions, half by half.
    pub fn float_of_one(&mut self, f: impl Fn(&mut Tx, Val) -> Val) {
        let a = self.vector(1);
        let v = self.checked(|t| Vector {
            low: f(t, a.low),
            high: a.high.map(|high| f(t, high)),
        });
        self.set_vector(0, v);
    }
    /// The same of operands 1 and 2.
    pub fn float_of_two(&mut self, f: impl Fn(&mut Tx, Val, Val) -> Val) {
        let (a, b) = (self.vector(1), self.vector(2));
        let v = self.checked(|t| Vector {
            low: f(t, a.low, b.low),
            high: a.high.zip(b.high).map(|(a, b)| f(t, a, b)),
        });
        self.set_vector(0, v);
    }
    /// The lowest lane of operand 0 becomes something of those of operands 1 and 2; what is above it is operand 1's.
    pub fn scalar_of_two(&mut self, ty: Ty, f: impl Fn(&mut Tx, Val, Val) -> Val) {
        let (a, b) = (self.scalar(1, ty), self.scalar(2, ty));
        let v = self.checked(|t| f(t, a, b));
        self.set_scalar(0, 1, v);
    }
    /// The same of operand 2's, of a type.
    pub fn scalar_of_one(&mut self, from: Ty, f: impl Fn(&mut Tx, Val) -> Val) {
        let a = self.scalar(2, from);
        let v = self.checked(|t| f(t, a));
        self.set_scalar(0, 1, v);
    }
}

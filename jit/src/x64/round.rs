//! Rounding in ways of one's own: to nearest with ties away from zero, which the host does not know, and what is rounded up,
//! down or so before it is converted to an integer.

use super::Emit;
use super::guard::{Lanes, integral};
use super::vec::{splat, xmem, xop};
use crate::fp::Format;
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use emu_ir::{Fenv, Lane, Round, Ty};

/// Toward zero, and inexact is not raised.
const TRUNCATE: i8 = 3 | 8;

/// The instruction for a single, a double, or vectors of them.
macro_rules! by_lanes {
    ($e:expr, $lanes:expr, $ss:ident $sd:ident $ps:ident $pd:ident, $d:expr, $x:expr, $y:expr) => {
        match ($lanes.all, $lanes.wide) {
            (false, false) => xop!($e, $ss, $d, $x, $y),
            (false, true) => xop!($e, $sd, $d, $x, $y),
            (true, false) => xop!($e, $ps, $d, $x, $y),
            (true, true) => xop!($e, $pd, $d, $x, $y),
        }
    };
}

/// Whether a conversion to integers rounds before it converts.
pub fn rounds_first(env: Fenv) -> bool {
    matches!(env.round, Round::Up | Round::Down | Round::Away)
}

impl Emit<'_> {
    /// `d` = a scalar as an integral number. Inexact is not raised.
    pub fn whole(&mut self, ty: Ty, env: Fenv, d: u8, x: u8, temps: (u8, u8)) {
        let quiet = Fenv { flag: false, ..env };
        match integral(quiet) {
            Some(how) => self.round_host(Lanes::of(ty), d, x, how),
            None => self.round_away(Lanes::of(ty), d, x, temps),
        }
    }
    fn round_host(&mut self, lanes: Lanes, d: u8, x: u8, how: i8) {
        match (lanes.all, lanes.wide) {
            (false, false) => xop!(self, vroundss, d, x, x; how),
            (false, true) => xop!(self, vroundsd, d, x, x; how),
            (true, false) => xop!(self, vroundps, d, x; how),
            (true, true) => xop!(self, vroundpd, d, x; how),
        }
    }
    /// `d` = the nearest integral number, of two the one away from zero: one more than what is left without the fraction if
    /// that is a half or more. Inexact is not raised.
    pub fn round_away(&mut self, lanes: Lanes, d: u8, x: u8, (t, u): (u8, u8)) {
        let (format, lane) = match lanes.wide {
            true => (Format::Double, Lane::I64),
            false => (Format::Single, Lane::I32),
        };
        let all = |bits: u64| splat(lane, bits);
        let sign = 1 << (lane.bits() - 1);
        // What has no fraction for its size, infinities and NaNs count as zero.
        let limit = self.pool_label(all(format.power_of_two(if lanes.wide { 52 } else { 23 })));
        xmem!(self, vpand, u, x, all(sign - 1));
        dynasm!(self.a ; .arch x64 ; vmovdqu Rx(t), [=>limit]);
        self.greater(lanes, t, t, u);
        xop!(self, vpand, t, t, x);
        self.round_host(lanes, u, t, TRUNCATE);
        by_lanes!(self, lanes, vsubss vsubsd vsubps vsubpd, t, t, u);
        xmem!(self, vpand, t, t, all(sign - 1));
        match lanes.wide {
            true => xmem!(self, vpcmpgtq, t, t, all(format.power_of_two(-1) - 1)),
            false => xmem!(self, vpcmpgtd, t, t, all(format.power_of_two(-1) - 1)),
        }
        xmem!(self, vpand, t, t, all(format.power_of_two(0)));
        xmem!(self, vpand, u, x, all(sign));
        xop!(self, vpor, t, t, u);
        self.round_host(lanes, d, x, TRUNCATE);
        by_lanes!(self, lanes, vaddss vaddsd vaddps vaddpd, d, d, t);
    }
    /// Signed integers.
    fn greater(&mut self, lanes: Lanes, d: u8, x: u8, y: u8) {
        match lanes.wide {
            true => xop!(self, vpcmpgtq, d, x, y),
            false => xop!(self, vpcmpgtd, d, x, y),
        }
    }
}

//! Where an authentication code lies in a pointer, and putting it there, checking it, and taking it away (Arm ARM DDI 0487,
//! D8.10; shared pseudocode AddPAC, Auth, Strip, CalculateBottomPACBit, EffectiveTBI).

use super::super::fault::{class, exception};
use super::super::features::{Feature, Features};
use super::super::state::{Cpu, pac, tcr};
use super::cipher::{self, Key};
use emu_ir::Fault;

/// Which key: bit 0 of its number is set for B, bit 1 for data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Which(pub u32);

impl Which {
    /// APIAKey.
    pub const IA: Which = Which(0);
    /// APIBKey.
    pub const IB: Which = Which(1);
    /// APDAKey.
    pub const DA: Which = Which(2);
    /// APDBKey.
    pub const DB: Which = Which(3);

    /// It is for pointers to data.
    pub const fn is_data(self) -> bool {
        self.0 & 2 != 0
    }
}

/// The bit that tells which half of the address space a pointer is to.
const HALF: u32 = 55;

/// A half's size of addresses in bits, as far as TCR_EL1 may say it; sizes out of range are those at its end.
fn address_bits(t: u64, high: bool) -> u32 {
    let (size, granule) = if high { (t >> 16, t >> 30) } else { (t, t >> 14) };
    let wide = granule & 3 == if high { 3 } else { 1 };
    let (least, most) = if wide { (12, 47) } else { (16, 48) };
    64 - ((size & 0x3f) as u32).clamp(least, most)
}

/// Whether the top byte of a half's pointers is a tag.
fn is_tagged(t: u64, high: bool, data: bool) -> bool {
    let (tag, but_code) = if high {
        (tcr::TBI1, tcr::TBID1)
    } else {
        (tcr::TBI0, tcr::TBID0)
    };
    t & tag != 0 && (data || t & but_code == 0)
}

/// The bits of an authentication code in pointers to a half, by TCR_EL1.
pub fn bits(t: u64, high: bool, data: bool) -> u64 {
    let all = u64::MAX << address_bits(t, high) & !(1 << HALF);
    if is_tagged(t, high, data) {
        all & u64::MAX >> 8
    } else {
        all
    }
}

/// What [`super::super::state::Sys::pac`] is for a TCR_EL1.
pub fn layout(t: u64) -> [u64; 4] {
    let of = |data| {
        let [low, high] = [false, true].map(|high| bits(t, high, data));
        [low, low ^ high]
    };
    let ([code, code_differs], [data, data_differs]) = (of(false), of(true));
    [code, code_differs, data, data_differs]
}

/// Whether a TCR_EL1 has pointers as most kernels want them: 48 bits of address in both halves, and a tag in the low one.
pub fn is_usual(t: u64) -> bool {
    [false, true].iter().all(|&high| address_bits(t, high) == 48) && is_tagged(t, false, false)
}

/// All ones or all zeros: a bit of `v`.
const fn sign(v: u64, bit: u32) -> u64 {
    ((v << (63 - bit)) as i64 >> 63) as u64
}

/// The bits of the code where the half is as `sign` says.
fn mask(s: &Cpu, data: bool, sign: u64) -> u64 {
    let at = if data { pac::DATA } else { pac::CODE };
    let get = |i: usize| s.sys.pac.get(i).copied().unwrap_or(0);
    get(at) ^ get(at + pac::DIFFERS) & sign
}

/// The code of a pointer whose field holds its extension: of a mask's bits.
fn code(s: &Cpu, f: Features, extended: u64, modifier: u64, which: Which, mask: u64) -> u64 {
    let key = s.sys.keys.get(which.0 as usize & 3).copied().unwrap_or_default();
    if f.has(Feature::Qarma5) {
        cipher::qarma5(extended, modifier, key)
    } else {
        cipher::cheap(extended, modifier, key) & mask
    }
}

/// AddPAC.
pub fn add(s: &Cpu, f: Features, pointer: u64, modifier: u64, which: Which) -> u64 {
    let (t, data) = (s.sys.tcr, which.is_data());
    let tagged = is_tagged(t, pointer >> HALF & 1 != 0, data);
    let any = [false, true].iter().any(|&high| is_tagged(t, high, data));
    let half = sign(pointer, if any { HALF } else { 63 });
    let mask = mask(s, data, half);
    let field = mask | 1 << HALF;
    let extended = pointer & !field | half & field;
    let mut code = code(s, f, extended, modifier, which, mask);
    if f.has(Feature::PAuth2) {
        return pointer & !(1 << HALF) ^ code & mask | half & 1 << HALF;
    }
    let top = if tagged { HALF } else { 63 };
    // Uniform from the field's lowest bit to its top, or what comes out is to fail.
    let whole = u64::MAX >> (63 - top) & u64::MAX << mask.trailing_zeros();
    if pointer & whole != 0 && pointer & whole != whole {
        code ^= 1 << (top - 1);
    }
    pointer & !field | code & mask | half & 1 << HALF
}

/// Auth, with what a failure is where FEAT_FPAC is; `combined` with another instruction.
///
/// # Errors
/// The exception of a code that is wrong.
pub fn auth(s: &Cpu, f: Features, pointer: u64, modifier: u64, which: Which, combined: bool) -> Result<u64, Fault> {
    let half = sign(pointer, HALF);
    let mask = mask(s, which.is_data(), half);
    let extended = pointer & !mask | half & mask;
    let code = code(s, f, extended, modifier, which, mask) & mask;
    if f.has(Feature::PAuth2) {
        let result = pointer ^ code;
        let faults = f.has(if combined { Feature::FpacCombine } else { Feature::Fpac });
        if faults && (result ^ half) & mask != 0 {
            return Err(exception(class::PAC_FAIL, which.0));
        }
        return Ok(result);
    }
    if pointer & mask == code {
        return Ok(extended);
    }
    // The number of the key as an error, in the two bits below the sign or the tag's.
    let (at, error) = (if mask >> 56 == 0 { 53 } else { 61 }, 1 + u64::from(which.0 & 1));
    Ok(extended & !(3 << at) | error << at)
}

/// ComputePAC for PACGA.
pub fn generic(s: &Cpu, f: Features, data: u64, modifier: u64) -> u64 {
    let [.., key]: [Key; 5] = s.sys.keys;
    let code = if f.has(Feature::Qarma5) {
        cipher::qarma5(data, modifier, key)
    } else {
        cipher::mixed(data, modifier.rotate_left(32), key)
    };
    code & 0xffff_ffff << 32
}

//! XSAVE and its like: SDM 1, chapter 13.

use crate::calls;
use crate::fault::vector;
use crate::state::bits::xcr0;
use crate::state::{self, mode, reg};
use crate::tx::Tx;
use crate::x87::MXCSR;
use emu_ir::{Ty, Val};

/// Where the header is: XSTATE_BV, XCOMP_BV, and what is reserved.
const HEADER: i64 = 512;
const HEADER_WORDS: i64 = 8;
/// Where what is extended begins: in either form the upper halves of YMM registers.
const EXTENDED: i64 = 576;
const YMM_BYTES: i64 = 256;
/// Where PKRU is in the standard form.
const PKRU_AT: i64 = 2688;
/// Bytes that any area has.
const SHORTEST: u32 = EXTENDED as u32;
/// XCOMP_BV: the area is compact.
const COMPACT: u64 = 1 << 63;
const SSE_OR_AVX: u64 = xcr0::SSE | xcr0::AVX;

/// How components are saved.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Save {
    /// All that are asked for.
    All,
    /// Those of them that are in use.
    InUse,
    /// The same, in the compact form.
    Compact,
}

/// XSAVE.
pub fn xsave(t: &mut Tx) {
    t.save(Save::All, false);
}
/// XSAVEOPT.
pub fn xsaveopt(t: &mut Tx) {
    t.save(Save::InUse, false);
}
/// XSAVEC.
pub fn xsavec(t: &mut Tx) {
    t.save(Save::Compact, false);
}
/// XSAVES.
pub fn xsaves(t: &mut Tx) {
    t.save(Save::Compact, true);
}
/// XRSTOR.
pub fn xrstor(t: &mut Tx) {
    t.restore(false);
}
/// XRSTORS.
pub fn xrstors(t: &mut Tx) {
    t.restore(true);
}

impl Tx<'_> {
    /// Whether it is there at all and may be executed: #UD, #GP and #NM.
    fn has_xsave(&mut self, supervisor: bool) -> bool {
        if self.mode & mode::OSXSAVE == 0 {
            self.undefined();
        } else if supervisor && mode::cpl(self.mode) != 0 {
            self.fault(vector::GP, 0);
        } else if self.mode & mode::TS != 0 {
            self.fault(vector::NM, 0);
        }
        !self.ended
    }
    /// The components that there are: XCR0, of supervisors' instructions IA32_XSS as well.
    fn components(&mut self, supervisor: bool) -> Val {
        let user = self.b.get(state::XCR0);
        if !supervisor {
            return user;
        }
        let system = self.b.get(state::XSS);
        self.b.or(user, system)
    }
    /// Those that are asked for by EDX:EAX.
    fn asked(&mut self, there: Val) -> Val {
        let (low, high) = (self.b.get(reg(0)), self.b.get(reg(2)));
        let (low, high) = (self.mask(low, 0xffff_ffff), self.shl(high, 32));
        let asked = self.b.or(low, high);
        self.b.and(asked, there)
    }
    /// Whether a word of components has one of these.
    fn any(&mut self, components: Val, of: u64) -> Val {
        let among = self.mask(components, of);
        let none = self.is_zero(among);
        self.not(none)
    }
    /// Do it where a word of components has one of these.
    fn where_any(&mut self, components: Val, of: u64, f: impl FnOnce(&mut Self)) {
        let any = self.any(components, of);
        self.where_true(any, f);
    }
    pub(super) fn where_true(&mut self, condition: Val, f: impl FnOnce(&mut Self)) {
        let (none, done) = (self.not(condition), self.b.label());
        self.b.br_if(none, done);
        f(self);
        self.b.place(done);
        self.position();
    }
    /// Where PKRU is, in the compact form behind the components that are before it.
    fn place_of_pkru(&mut self, at: Val, compact: Val, components: Val) -> Val {
        let has_ymm = self.any(components, xcr0::AVX);
        let [full, first, behind] = [PKRU_AT, EXTENDED, EXTENDED + YMM_BYTES].map(|offset| self.plus(at, offset));
        let packed = self.b.select(has_ymm, behind, first);
        self.b.select(compact, packed, full)
    }

    fn save(&mut self, how: Save, supervisor: bool) {
        if !self.has_xsave(supervisor) {
            return;
        }
        let at = self.area(SHORTEST, 64, true);
        let there = self.components(supervisor);
        let asked = self.asked(there);
        let compact = how == Save::Compact;
        let with_mxcsr = self.imm(Ty::I8, compact.into());
        let in_use = self.b.call(Ty::I64, calls::XSAVE_IN_USE, &[with_mxcsr]);
        let used = self.b.and(asked, in_use);
        let saved = if how == Save::All { asked } else { used };

        // What will be stored can be, before any of it is.
        let header = self.plus(at, HEADER);
        self.load_to_write(Ty::I8, at);
        let had = self.load_to_write(Ty::I64, header);
        self.where_any(saved, xcr0::AVX, |t| {
            let ymm = t.plus(at, EXTENDED);
            t.probe_area(ymm, YMM_BYTES as u32);
        });
        let is_compact = self.b.bool(compact);
        let pkru_at = self.place_of_pkru(at, is_compact, asked);
        self.where_any(saved, xcr0::PKRU, |t| {
            t.load_to_write(Ty::I64, pkru_at);
        });

        self.where_any(saved, xcr0::X87, |t| t.store_x87_area(at));
        let mxcsr = if compact {
            self.any(saved, xcr0::SSE)
        } else {
            self.any(asked, SSE_OR_AVX)
        };
        self.where_true(mxcsr, |t| t.store_mxcsr_area(at));
        self.where_any(saved, xcr0::SSE, |t| t.store_xmm_area(at));
        self.where_any(saved, xcr0::AVX, |t| {
            let ymm = t.plus(at, EXTENDED);
            t.store_ymm(ymm);
        });
        self.where_any(saved, xcr0::PKRU, |t| {
            let pkru = t.b.get(state::PKRU);
            let pkru = t.b.zext(Ty::I64, pkru);
            t.store(pkru_at, pkru);
        });
        let kept = self.b.and_not(had, asked);
        let present = if compact { used } else { self.b.or(kept, used) };
        self.store(header, present);
        if compact {
            let bit = self.imm(Ty::I64, COMPACT);
            let form = self.b.or(asked, bit);
            let to = self.plus(header, 8);
            self.store(to, form);
        }
    }

    fn restore(&mut self, supervisor: bool) {
        if !self.has_xsave(supervisor) {
            return;
        }
        let at = self.area(SHORTEST, 64, false);
        let there = self.components(supervisor);
        let asked = self.asked(there);
        let header = self.plus(at, HEADER);
        self.load(Ty::I8, at);
        let present = self.load(Ty::I64, header);
        let from = self.plus(header, 8);
        let form = self.load(Ty::I64, from);
        let compact = self.bit(form, 63);
        self.check_header([header, present, form, compact, there], supervisor);
        let (restored, cleared) = (self.b.and(asked, present), self.b.and_not(asked, present));

        // What will be loaded can be, before any of it is.
        let pkru_at = self.place_of_pkru(at, compact, form);
        self.where_any(restored, xcr0::AVX, |t| {
            let last = t.plus(at, EXTENDED + YMM_BYTES - 1);
            t.load(Ty::I8, last);
        });
        self.where_any(restored, xcr0::PKRU, |t| {
            t.load(Ty::I64, pkru_at);
        });
        // MXCSR is a part of SSE in the compact form; in the other it is always what memory has, of AVX too.
        let full = self.not(compact);
        let (sse_or_avx, sse) = (self.any(asked, SSE_OR_AVX), self.any(restored, xcr0::SSE));
        let loads = self.b.select(full, sse_or_avx, sse);
        let (found, initial) = (self.mxcsr_of_area(at), self.imm(Ty::I32, MXCSR.into()));
        let mxcsr = self.b.select(loads, found, initial);
        self.check_mxcsr(mxcsr);

        self.where_any(restored, xcr0::SSE, |t| t.load_xmm_area(at));
        self.where_any(cleared, xcr0::SSE, Self::clear_xmm);
        self.where_any(restored, xcr0::AVX, |t| {
            let ymm = t.plus(at, EXTENDED);
            t.load_ymm(ymm);
        });
        self.where_any(cleared, xcr0::AVX, Self::clear_ymm);
        let pkru = |t: &mut Self, value: Val| {
            t.b.call(Ty::I32, calls::LOAD_PKRU, &[value]);
        };
        self.where_any(restored, xcr0::PKRU, |t| {
            let value = t.load(Ty::I32, pkru_at);
            pkru(t, value);
        });
        self.where_any(cleared, xcr0::PKRU, |t| {
            let zero = t.imm(Ty::I32, 0);
            pkru(t, zero);
        });
        let any_sse = self.any(asked, xcr0::SSE);
        let sets = self.b.select(full, sse_or_avx, any_sse);
        self.begin_leaving();
        self.where_any(restored, xcr0::X87, |t| {
            let area = t.load_x87_area(at);
            t.set_x87_area(area);
        });
        self.where_any(cleared, xcr0::X87, |t| {
            t.b.call(Ty::I32, calls::X87_RESET, &[]);
        });
        self.where_true(sets, |t| {
            t.b.call(Ty::I32, calls::LDMXCSR, &[mxcsr]);
        });
        self.finish_leaving();
    }

    /// A header that is not as it must be is #GP (SDM 1, 13.8, 13.12).
    fn check_header(&mut self, [header, present, form, compact, there]: [Val; 5], supervisor: bool) {
        let reserved = |t: &mut Self, words: std::ops::Range<i64>| {
            let mut all = t.imm(Ty::I64, 0);
            for word in words {
                let from = t.plus(header, 8 * word);
                let word = t.load(Ty::I64, from);
                all = t.b.or(all, word);
            }
            all
        };
        let third = reserved(self, 2..3);
        let others = reserved(self, 3..HEADER_WORDS);
        // The standard form: of what is reserved, eight bytes count.
        let in_both = self.b.or(form, third);
        let not_there = self.b.and_not(present, there);
        let wrong_full = self.b.or(in_both, not_there);
        let wrong_full = self.any(wrong_full, u64::MAX);
        let listed = self.mask(form, !COMPACT);
        let (unknown, unlisted) = (self.b.and_not(listed, there), self.b.and_not(present, listed));
        let wrong = self.b.or(unknown, unlisted);
        let all = self.b.or(third, others);
        let wrong = self.b.or(wrong, all);
        let wrong_compact = self.any(wrong, u64::MAX);
        let wrong_full = if supervisor { self.b.bool(true) } else { wrong_full };
        let wrong = self.b.select(compact, wrong_compact, wrong_full);
        self.fault_if(wrong, vector::GP, 0);
    }
}

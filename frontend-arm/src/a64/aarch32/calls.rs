//! The functions that translated code of AArch32 calls: those of [`crate::guest::CALLS`], at the end of AArch64's table. They
//! see a state of AArch32 that is made from this one, and it takes from that what they may have changed.

use super::super::calls::{Answer, OWN};
use super::super::fault::{AGAIN, UNDEFINED, class, exception};
use super::super::model::A64;
use super::super::state::{self, sctlr};
use super::super::sys::TDCC;
use super::model_of;
use super::pstate::USER;
use crate::cp15::sctlr as a32_sctlr;
use crate::fault::Class;
use crate::guest::CALLS as THEIRS;
use crate::platform::{Arm, NoPlatform};
use crate::state::{Cpu, psr};
use crate::sys::table::UDCCDIS;
use crate::sys::{is_gated, is_gated64};
use crate::{calls, fault};
use emu_ir::{Env, Fault, Helper, HelperFn};

/// The index of a helper of AArch32.
pub const fn index(theirs: u16) -> u16 {
    OWN.len() as u16 + theirs
}

/// Makes [`CALLS`] from their numbers.
macro_rules! all {
    ($($n:literal)*) => {
        /// AArch32's helpers.
        pub const CALLS: [Helper<A64>; THEIRS.len()] = [$(helper::<$n>()),*];
    };
}
all! {
    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43
    44 45 46 47 48 49 50 51 52 53
}

#[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
const fn helper<const N: usize>() -> Helper<A64> {
    let Helper { name, f } = &THEIRS[N];
    Helper {
        name,
        f: match f {
            HelperFn::Pure(f) => HelperFn::Pure(*f),
            HelperFn::Float(f) => HelperFn::Float(*f),
            HelperFn::Flags(f) => HelperFn::Flags(*f),
            HelperFn::State(_) => HelperFn::State(call::<N>),
            // Of these AArch32 has SVC alone, which is another exception here.
            HelperFn::Raise(_) => HelperFn::Raise(|_| UNDEFINED),
        },
    }
}

fn call<const N: usize>(g: &mut A64, s: &mut state::Cpu, env: &mut dyn Env, a: &[u128; 4]) -> Answer {
    let Some(HelperFn::State(f)) = THEIRS.get(N).map(|helper| &helper.f) else {
        return Err(UNDEFINED);
    };
    let mut arm = Arm {
        model: model_of(&g.model),
        platform: std::mem::replace(&mut g.platform, Box::new(NoPlatform)),
        semihosting: false,
    };
    let mut view = view(s);
    let done = f(&mut arm, &mut view, env, a);
    g.platform = arm.platform;
    take(s, &view);
    done.map_err(|why| translated(why, N as u16, a))
}

/// The fault as AArch64 has it. EL1 decides what EL0 may do with system registers of timers and performance monitors, and is
/// told what it was.
fn translated(why: Fault, helper: u16, a: &[u128; 4]) -> Fault {
    match why {
        fault::AGAIN => AGAIN,
        Fault::Guest { class, .. } if class == Class::Undefined as u32 => {
            trapped(helper, a[0] as u32).unwrap_or(UNDEFINED)
        }
        _ => UNDEFINED,
    }
}

/// The trap of an access to registers that EL1 may open, of performance monitors, timers and the debug channel, by an
/// instruction in its A32 form (DDI 0487, D19.2, ESR_ELx, "ISS encoding for an exception from an MCR or MRC access").
fn trapped(helper: u16, word: u32) -> Option<Fault> {
    const ALWAYS: u32 = 1 << 24 | 0xe << 20;
    let write = matches!(helper, calls::COPROC_WRITE | calls::COPROC_WRITE64);
    let (rt, crm) = (word >> 12 & 15, word & 15);
    match helper {
        calls::COPROC_READ | calls::COPROC_WRITE if is_gated(word, write) => {
            let class = if word >> 8 & 15 == 15 {
                class::CP15_32
            } else {
                class::CP14_32
            };
            let (opc1, crn, opc2) = (word >> 21 & 7, word >> 16 & 15, word >> 5 & 7);
            let read = u32::from(helper == calls::COPROC_READ);
            Some(exception(
                class,
                ALWAYS | opc2 << 17 | opc1 << 14 | crn << 10 | rt << 5 | crm << 1 | read,
            ))
        }
        calls::COPROC_READ64 | calls::COPROC_WRITE64 if is_gated64(word, write) => {
            let (opc1, rt2) = (word >> 4 & 15, word >> 16 & 15);
            let read = u32::from(helper == calls::COPROC_READ64);
            Some(exception(
                class::CP15_64,
                ALWAYS | opc1 << 16 | rt2 << 10 | rt << 5 | crm << 1 | read,
            ))
        }
        _ => None,
    }
}

/// FPCR's bits that FPSCR has too: AHP, DN, FZ, FZ16.
const FPSCR: u32 = 7 << 24 | 1 << 19;

/// The state as AArch32 has it.
fn view(s: &state::Cpu) -> Cpu {
    let mut v = <Cpu as bytemuck::Zeroable>::zeroed();
    for (r, x) in v.r.iter_mut().zip(s.x.iter().take(15).chain([&s.pc])) {
        *r = *x as u32;
    }
    (v.n, v.z, v.c, v.v, v.q, v.ge) = (s.n, s.z, s.c, s.v, s.aarch32.q, s.aarch32.ge);
    [v.fp_n, v.fp_z, v.fp_c, v.fp_v] = s.aarch32.fp_nzcv;
    v.psr = USER | s.psr & (psr::A | psr::I | psr::F);
    v.mode = s.mode & !super::UPPER;
    (v.fp_flags, v.fp_round, v.fpscr) = (s.fp_flags, s.fp_round, s.fpcr & FPSCR);
    v.fpexc = 1 << 30; // EN
    (v.excl_armed, v.excl_addr, v.excl_value) = (s.excl_armed, s.excl_addr as u32, s.excl_value[0]);
    for (d, q) in v.d.iter_mut().zip(s.q.as_flattened()) {
        *d = *q;
    }
    v.qc = s.qc;
    let c = &mut v.cp15;
    // What else it says is in the mode word, which [`take`] makes anew.
    if s.sys.sctlr & sctlr::CP15BEN != 0 {
        c.sctlr = a32_sctlr::CP15BEN;
    }
    c.cpacr = if s.fp_enabled() { 0xf << 20 } else { 0 };
    (c.tpidruro, c.tpidrurw) = (s.sys.tpidrro_el0 as u32, s.sys.tpidr_el0 as u32);
    // There is no ThumbEE.
    c.teecr = 1;
    if s.sys.mdscr & TDCC != 0 {
        c.dbgdscr = UDCCDIS;
    }
    (c.cntkctl, c.cntfrq) = (s.sys.cntkctl as u32, s.sys.cntfrq as u32);
    (c.cntp_ctl, c.cntp_cval) = (s.sys.cntp_ctl, s.sys.cntp_cval);
    (c.cntv_ctl, c.cntv_cval) = (s.sys.cntv_ctl, s.sys.cntv_cval);
    c.pmu = s.sys.pmu;
    v
}

/// Takes from a view what a helper of User mode may change.
fn take(s: &mut state::Cpu, v: &Cpu) {
    for (x, r) in s.x.iter_mut().zip(v.r.iter().take(15)) {
        *x = (*r).into();
    }
    s.pc = v.r.last().copied().unwrap_or_default().into();
    (s.n, s.z, s.c, s.v, s.aarch32.q, s.aarch32.ge) = (v.n, v.z, v.c, v.v, v.q, v.ge);
    s.aarch32.fp_nzcv = [v.fp_n, v.fp_z, v.fp_c, v.fp_v];
    (s.fp_flags, s.fp_round, s.fpcr) = (v.fp_flags, v.fp_round, s.fpcr & !FPSCR | v.fpscr & FPSCR);
    (s.excl_armed, s.excl_addr, s.excl_value[0]) = (v.excl_armed, v.excl_addr.into(), v.excl_value);
    for (q, d) in s.q.as_flattened_mut().iter_mut().zip(&v.d) {
        *q = *d;
    }
    s.qc = v.qc;
    let c = &v.cp15;
    (s.sys.tpidr_el0, s.sys.pmu) = (c.tpidrurw.into(), c.pmu);
    (s.sys.cntp_ctl, s.sys.cntp_cval) = (c.cntp_ctl, c.cntp_cval);
    (s.sys.cntv_ctl, s.sys.cntv_cval) = (c.cntv_ctl, c.cntv_cval);
    s.set_mode_32(v.mode);
    s.update_mode();
}

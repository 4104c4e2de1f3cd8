//! Self-hosted debug (Arm ARM DDI 0487, D2): what breakpoints, watchpoints and software step make of instructions and
//! accesses.

use super::fault::{DEBUG, WNR, class};
use super::mmu::{UNPRIVILEGED, canonical};
use super::state::{Cpu, psr, stepped};
use emu_ir::{Access, Fault, Traps, Watch};

/// MDSCR_EL1.SS: software step.
const SS: u64 = 1 << 0;
/// MDSCR_EL1.KDE: debug exceptions from EL1.
const KDE: u64 = 1 << 13;
/// MDSCR_EL1.MDE: breakpoints and watchpoints.
const MDE: u64 = 1 << 15;
/// DBGBCR.E and DBGWCR.E: enabled.
const E: u64 = 1;
/// The first of the breakpoints that can compare CONTEXTIDR_EL1; they are the last two.
const CONTEXT_AWARE: usize = 4;
/// Syndrome of software step: ISV and EX.
const ISV: u32 = 1 << 24;
const EX: u32 = 1 << 6;

/// DBGBCR.BT: what a breakpoint compares.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Address { linked: bool },
    Context { linked: bool },
    Reserved,
}

impl Type {
    fn of(bcr: u64) -> Type {
        let linked = bcr >> 20 & 1 != 0;
        match bcr >> 21 & 7 {
            0 => Type::Address { linked },
            1 => Type::Context { linked },
            _ => Type::Reserved,
        }
    }
}

/// An address of a debug register: bits 48 to 2, sign-extended.
fn address(value: u64) -> u64 {
    ((value << 15) as i64 >> 15) as u64 & !3
}

/// The bytes that a watchpoint watches: the first, and how many from there to the last (D2.10.5, BAS and MASK).
fn bytes(wvr: u64, wcr: u64) -> Option<(u64, u64)> {
    let (wvr, mask) = (address(wvr), wcr >> 24 & 31);
    if mask >= 3 {
        return Some((wvr >> mask << mask, 1 << mask));
    }
    let select = wcr >> 5 & if wvr & 4 != 0 { 0x0f } else { 0xff };
    let first = (select != 0).then(|| select.trailing_zeros())?;
    Some((wvr + u64::from(first), u64::from(select.ilog2() - first + 1)))
}

impl Cpu {
    fn is_unlocked(&self) -> bool {
        self.sys.oslock & 1 == 0 && self.sys.osdlr & 1 == 0
    }
    /// Whether software step is on at this exception level, PSTATE.D aside.
    pub(super) fn steps(&self) -> bool {
        self.sys.mdscr & SS != 0 && self.is_unlocked() && (self.el() == 0 || self.sys.mdscr & KDE != 0)
    }
    /// Whether software step is on.
    pub(super) fn steps_now(&self) -> bool {
        self.steps() && self.is_open()
    }
    /// Whether PSTATE.D leaves debug exceptions of this exception level alone.
    fn is_open(&self) -> bool {
        self.el() == 0 || self.psr & psr::D == 0
    }
    /// Whether breakpoints and watchpoints are exceptions anywhere.
    fn monitored(&self) -> bool {
        self.sys.mdscr & MDE != 0 && self.is_unlocked()
    }
    /// Whether they are here.
    fn monitored_now(&self) -> bool {
        self.monitored() && self.is_open() && (self.el() == 0 || self.sys.mdscr & KDE != 0)
    }
    fn breakpoints(&self) -> impl Iterator<Item = (usize, u64, u64)> {
        let all = self.sys.dbgbvr.into_iter().zip(self.sys.dbgbcr);
        let all = all.enumerate().map(|(n, (bvr, bcr))| (n, bvr, bcr));
        all.filter(|&(.., bcr)| bcr & E != 0)
    }
    fn watchpoints(&self) -> impl Iterator<Item = (u64, u64)> {
        let all = self.sys.dbgwvr.into_iter().zip(self.sys.dbgwcr);
        all.filter(|&(_, wcr)| wcr & E != 0)
    }

    /// What the debug registers ask to be looked at.
    pub(super) fn traps(&self) -> Traps {
        let mut traps = Traps {
            every: self.sys.mdscr & SS != 0 && self.is_unlocked(),
            ..Traps::default()
        };
        if !self.monitored() {
            return traps;
        }
        for (n, bvr, bcr) in self.breakpoints() {
            match Type::of(bcr) {
                Type::Address { .. } => traps.at.push(address(bvr)),
                Type::Context { linked: false } => traps.every |= n >= CONTEXT_AWARE,
                Type::Context { linked: true } | Type::Reserved => {}
            }
        }
        for (wvr, wcr) in self.watchpoints() {
            traps.data.extend(bytes(wvr, wcr).map(|(start, len)| Watch {
                start,
                len,
                reads: wcr & 1 << 3 != 0,
                writes: wcr & 1 << 4 != 0,
            }));
        }
        traps
    }

    /// The exception of software step, or of a breakpoint at the pc.
    pub(super) fn trap(&self) -> Option<Fault> {
        let fault = |class, info| Some(Fault::Guest { class, addr: 0, info });
        if self.steps_now() && self.psr & psr::SS == 0 {
            let set = |bit: u32, iss: u32| if self.stepped & bit != 0 { iss } else { 0 };
            let what = set(stepped::INSN, ISV) | set(stepped::EXCLUSIVE, EX);
            return fault(class::STEP, what | DEBUG);
        }
        let breaks = self.monitored_now() && self.breakpoints().any(|(n, bvr, bcr)| self.breaks(n, bvr, bcr));
        if breaks { fault(class::BREAKPOINT, DEBUG) } else { None }
    }
    fn breaks(&self, n: usize, bvr: u64, bcr: u64) -> bool {
        let here = bcr >> 1 & if self.el() == 0 { 2 } else { 1 } != 0;
        here && match Type::of(bcr) {
            Type::Address { linked } => address(bvr) == self.pc && (!linked || self.in_context(bcr >> 16 & 15)),
            Type::Context { linked: false } => n >= CONTEXT_AWARE && bvr as u32 == self.sys.contextidr as u32,
            Type::Context { linked: true } | Type::Reserved => false,
        }
    }
    /// Whether the breakpoint that another is linked to finds its context.
    fn in_context(&self, n: u64) -> bool {
        let context = Type::Context { linked: true };
        let mut all = self.breakpoints();
        let found = all.find(|&(k, _, bcr)| k as u64 == n && k >= CONTEXT_AWARE && Type::of(bcr) == context);
        found.is_some_and(|(_, bvr, _)| bvr as u32 == self.sys.contextidr as u32)
    }

    /// The exception of a watchpoint that an access meets, with the first byte that does.
    pub(super) fn data_trap(&self, addr: u64, len: u32, access: Access, idx: u8) -> Option<Fault> {
        let user = self.el() == 0 || idx == UNPRIVILEGED;
        let write = access == Access::Write;
        let plain = canonical(self, addr);
        let met = |(wvr, wcr): (u64, u64)| {
            let privilege = wcr >> 1 & if user { 2 } else { 1 };
            let kind = wcr >> 3 & if write { 2 } else { 1 };
            let linked = wcr & 1 << 20 == 0 || self.in_context(wcr >> 16 & 15);
            if privilege == 0 || kind == 0 || !linked {
                return None;
            }
            let (first, count) = bytes(wvr, wcr)?;
            (0..u64::from(len)).find(|k| {
                let a = plain.wrapping_add(*k);
                let selected = wcr >> 24 & 31 >= 3 || wcr >> (5 + (a.wrapping_sub(address(wvr)) & 7)) & 1 != 0;
                a.wrapping_sub(first) < count && selected
            })
        };
        let into = self.monitored_now().then(|| self.watchpoints().find_map(met))??;
        Some(Fault::Guest {
            class: class::WATCHPOINT,
            addr: addr.wrapping_add(into),
            info: DEBUG | if write { WNR } else { 0 },
        })
    }
}

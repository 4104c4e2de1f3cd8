//! Software debug events (Arm ARM DDI 0406C, C3): what the breakpoints, watchpoints and vector catches of CP14 make of
//! instructions and accesses. In Monitor debug-mode each is an exception; there is no Halting debug-mode here.

use crate::fault::{Class, Status};
use crate::state::{Cpu, psr};
use emu_ir::{Access, Fault, Traps, Watch};

/// DBGDSCR.MDBGen: Monitor debug-mode.
const MDBGEN: u32 = 1 << 15;
/// DBGBCR.E and DBGWCR.E: enabled.
const E: u32 = 1;
/// The vectors that DBGVCR can catch, of those its bits stand for: not those of the aborts, which in Monitor debug-mode
/// would come to themselves (C3.4.1).
const CAUGHT: u32 = 0b1100_0111;
/// The first of the breakpoints that can compare CONTEXTIDR; they are the last two.
const CONTEXT_AWARE: usize = 4;

/// DBGBCR.BT: what a breakpoint compares (C11.11.1, table C11-6).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Address { linked: bool },
    Context { linked: bool },
    Mismatch { linked: bool },
    Reserved,
}

impl Type {
    fn of(bcr: u32) -> Type {
        let linked = bcr >> 20 & 1 != 0;
        match bcr >> 21 & 7 {
            0 => Type::Address { linked },
            1 => Type::Context { linked },
            2 => Type::Mismatch { linked },
            _ => Type::Reserved,
        }
    }
}

/// The halfwords that DBGBCR.BAS selects of the word at `bvr`. An ARM instruction begins at the first.
fn halfwords(bvr: u32, bcr: u32) -> impl Iterator<Item = u32> {
    let selected = move |&offset: &u32| bcr >> (5 + offset) & 1 != 0;
    [0, 2].into_iter().filter(selected).map(move |offset| bvr + offset)
}

/// The bytes that a watchpoint watches: the first, and how many from there to the last (C11.11.44, BAS and MASK).
fn bytes(wvr: u32, wcr: u32) -> Option<(u32, u64)> {
    let mask = wcr >> 24 & 31;
    if mask >= 3 {
        return Some((wvr >> mask << mask, 1 << mask));
    }
    let word = wvr & 4 != 0;
    let select = wcr >> 5 & if word { 0x0f } else { 0xff };
    let first = (select != 0).then(|| select.trailing_zeros())?;
    Some((wvr + first, u64::from(select.ilog2() - first + 1)))
}

impl Cpu {
    /// Whether debug events are exceptions (C2.3): Monitor debug-mode, no lock set.
    fn monitored(&self) -> bool {
        let c = &self.cp15;
        c.dbgdscr & MDBGEN != 0 && c.dbgoslock == 0 && c.dbgosdlr == 0
    }
    fn breakpoints(&self) -> impl Iterator<Item = (usize, u32, u32)> {
        let all = self.cp15.dbgbvr.into_iter().zip(self.cp15.dbgbcr);
        let all = all.enumerate().map(|(n, (bvr, bcr))| (n, bvr, bcr));
        all.filter(|&(.., bcr)| bcr & E != 0)
    }
    fn watchpoints(&self) -> impl Iterator<Item = (u32, u32)> {
        let all = self.cp15.dbgwvr.into_iter().zip(self.cp15.dbgwcr);
        all.filter(|&(_, wcr)| wcr & E != 0)
    }

    /// What the debug registers ask to be looked at.
    pub(crate) fn traps(&self) -> Traps {
        let mut traps = Traps::default();
        if !self.monitored() {
            return traps;
        }
        for (n, bvr, bcr) in self.breakpoints() {
            match Type::of(bcr) {
                Type::Address { .. } => traps.at.extend(halfwords(bvr, bcr).map(u64::from)),
                Type::Context { linked: false } => traps.every |= n >= CONTEXT_AWARE,
                Type::Mismatch { .. } => traps.every = true,
                Type::Context { linked: true } | Type::Reserved => {}
            }
        }
        traps.at.extend(self.caught().map(u64::from));
        for (wvr, wcr) in self.watchpoints() {
            traps.data.extend(bytes(wvr, wcr).map(|(start, len)| Watch {
                start: start.into(),
                len,
                reads: wcr & 1 << 3 != 0,
                writes: wcr & 1 << 4 != 0,
            }));
        }
        traps
    }

    /// The exception of a breakpoint at the pc, or of a vector that is caught.
    pub(crate) fn trap(&self) -> Option<Fault> {
        if !self.monitored() {
            return None;
        }
        let class = if self.breakpoints().any(|(n, bvr, bcr)| self.breaks(n, bvr, bcr)) {
            Class::Breakpoint
        } else if !self.is_user() && self.caught().any(|at| at == self.r[15]) {
            Class::VectorCatch
        } else {
            return None;
        };
        Some(Fault::Guest {
            class: class as u32,
            addr: 0,
            info: Status::DEBUG.bits(),
        })
    }
    /// The vectors that are caught.
    fn caught(&self) -> impl Iterator<Item = u32> {
        let (set, base) = (self.cp15.dbgvcr & CAUGHT, self.vectors());
        (0..8)
            .filter(move |k| set >> k & 1 != 0)
            .map(move |k| base.wrapping_add(4 * k))
    }
    fn breaks(&self, n: usize, bvr: u32, bcr: u32) -> bool {
        let mode = self.current_mode();
        let here = match bcr >> 1 & 3 {
            0b00 => matches!(mode, psr::USR | psr::SYS | psr::SVC),
            0b01 => mode != psr::USR,
            0b10 => mode == psr::USR,
            _ => true,
        };
        let linked = |linked: bool| !linked || self.in_context(bcr >> 16 & 15);
        let matches = || halfwords(bvr, bcr).any(|at| at == self.r[15]);
        here && match Type::of(bcr) {
            Type::Address { linked: l } => matches() && linked(l),
            // In privileged modes its handler would not get a step further (C3.3.5).
            Type::Mismatch { linked: l } => mode == psr::USR && !matches() && linked(l),
            Type::Context { linked: false } => n >= CONTEXT_AWARE && bvr == self.cp15.contextidr,
            Type::Context { linked: true } | Type::Reserved => false,
        }
    }
    /// Whether the breakpoint that another is linked to finds its context.
    fn in_context(&self, n: u32) -> bool {
        let context = Type::Context { linked: true };
        let mut all = self.breakpoints();
        let found = all.find(|&(k, _, bcr)| k == n as usize && k >= CONTEXT_AWARE && Type::of(bcr) == context);
        found.is_some_and(|(_, bvr, _)| bvr == self.cp15.contextidr)
    }

    /// The exception of a watchpoint that an access meets, with the first byte that does; `idx` 1: an unprivileged
    /// access.
    pub(crate) fn data_trap(&self, addr: u32, len: u32, access: Access, idx: u8) -> Option<Fault> {
        let privileged = !self.is_user() && idx == 0;
        let write = access == Access::Write;
        let met = |(wvr, wcr): (u32, u32)| {
            let privilege = wcr >> 1 & if privileged { 1 } else { 2 };
            let kind = wcr >> 3 & if write { 2 } else { 1 };
            let linked = wcr & 1 << 20 == 0 || self.in_context(wcr >> 16 & 15);
            if privilege == 0 || kind == 0 || !linked {
                return None;
            }
            let (first, count) = bytes(wvr, wcr)?;
            (0..len).map(|k| addr.wrapping_add(k)).find(|a| {
                let inside = a.wrapping_sub(first);
                let selected = wcr >> 24 & 31 >= 3 || wcr >> (5 + (a.wrapping_sub(wvr) & 7)) & 1 != 0;
                u64::from(inside) < count && selected
            })
        };
        let addr = self.monitored().then(|| self.watchpoints().find_map(met))??;
        let status = if write { Status::DEBUG.write() } else { Status::DEBUG };
        Some(Fault::Guest {
            class: Class::Watchpoint as u32,
            addr: addr.into(),
            info: status.bits(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MODELS;

    fn monitored(mode: u32) -> Cpu {
        let mut cpu = Cpu::reset(&MODELS[0]);
        (cpu.cp15.dbgdscr, cpu.cp15.dbgoslock) = (MDBGEN, 0);
        cpu.set_cpsr(mode);
        cpu.r[15] = 0x8002;
        cpu
    }

    #[test]
    fn a_breakpoint_is_for_modes() {
        let modes = [psr::USR, psr::SYS, psr::SVC, psr::IRQ];
        let rows = [
            (0b00, [true, true, true, false]),
            (0b01, [false, true, true, true]),
            (0b10, [true, false, false, false]),
            (0b11, [true; 4]),
        ];
        for (pmc, want) in rows {
            let got = modes.map(|mode| {
                let mut cpu = monitored(mode);
                (cpu.cp15.dbgbvr[2], cpu.cp15.dbgbcr[2]) = (0x8000, 0xf << 5 | pmc << 1 | E);
                cpu.trap().is_some()
            });
            assert_eq!(got, want, "{pmc:#b}");
        }
    }

    #[test]
    fn a_breakpoint_selects_halfwords() {
        for (bas, at, hit) in [
            (0xf, vec![0x8000, 0x8002], true),
            (0x3, vec![0x8000], false),
            (0xc, vec![0x8002], true),
            (0x0, vec![], false),
        ] {
            let mut cpu = monitored(psr::USR);
            (cpu.cp15.dbgbvr[0], cpu.cp15.dbgbcr[0]) = (0x8000, bas << 5 | 3 << 1 | E);
            assert_eq!((cpu.traps().at, cpu.trap().is_some()), (at, hit), "{bas:#x}");
        }
    }

    #[test]
    fn contexts_are_compared_alone_and_for_others() {
        for (here, hit) in [(7, true), (8, false)] {
            let mut cpu = monitored(psr::USR);
            cpu.cp15.contextidr = here;
            (cpu.cp15.dbgbvr[4], cpu.cp15.dbgbcr[4]) = (7, 2 << 20 | 3 << 1 | E);
            assert_eq!((cpu.traps().every, cpu.trap().is_some()), (true, hit));

            cpu.cp15.dbgbcr[4] = 3 << 20 | 3 << 1 | E;
            assert_eq!(
                (cpu.traps().every, cpu.trap().is_some()),
                (false, false),
                "for others only"
            );
            (cpu.cp15.dbgbvr[0], cpu.cp15.dbgbcr[0]) = (0x8000, 1 << 20 | 4 << 16 | 0x1e7);
            assert_eq!(cpu.trap().is_some(), hit);
            cpu.cp15.dbgbcr[0] = 1 << 20 | 3 << 16 | 0x1e7;
            assert_eq!(cpu.trap(), None, "linked to one that compares no context");
        }
    }

    #[test]
    fn a_vector_is_caught_in_privileged_modes_where_it_is() {
        let mut cpu = monitored(psr::SVC);
        (cpu.cp15.dbgvcr, cpu.cp15.vbar) = (0xdf, 0x8000);
        let all = [0x8000, 0x8004, 0x8008, 0x8018, 0x801c];
        assert_eq!(cpu.traps().at, all, "not those of the aborts");
        for (mode, pc, caught) in [
            (psr::SVC, 0x8008, true),
            (psr::SVC, 0x800c, false),
            (psr::USR, 0x8008, false),
        ] {
            cpu.set_cpsr(mode);
            cpu.r[15] = pc;
            let class = |fault| match fault {
                Fault::Guest { class, .. } => class,
                Fault::Bus { .. } | Fault::Alignment { .. } => 0,
            };
            assert_eq!(
                cpu.trap().map(class),
                caught.then_some(Class::VectorCatch as u32),
                "{pc:#x}"
            );
        }
        cpu.cp15.sctlr |= crate::cp15::sctlr::V;
        assert_eq!(cpu.traps().at[1], 0xffff_0004);
    }

    #[test]
    fn nothing_is_an_event_without_monitor_mode_or_when_locked() {
        let changes: [fn(&mut Cpu); 3] = [
            |c| c.cp15.dbgdscr = 0,
            |c| c.cp15.dbgoslock = 1,
            |c| c.cp15.dbgosdlr = 1,
        ];
        for change in changes {
            let mut cpu = monitored(psr::USR);
            (cpu.cp15.dbgbvr[0], cpu.cp15.dbgbcr[0]) = (0x8000, 0x1e7);
            (cpu.cp15.dbgwvr[0], cpu.cp15.dbgwcr[0]) = (0x9000, 0x1fff);
            change(&mut cpu);
            assert_eq!(cpu.traps(), Traps::default());
            assert_eq!((cpu.trap(), cpu.data_trap(0x9000, 4, Access::Read, 0)), (None, None));
        }
    }

    #[test]
    fn a_watchpoint_selects_bytes_privilege_and_direction() {
        let select = |bas: u32| bas << 5 | 3 << 3 | 3 << 1 | E;
        let rows = [
            // WVR, WCR, address, bytes: the first one met
            (0x9000, select(0x01), 0x8ffd, 4, Some(0x9000)),
            (0x9000, select(0x01), 0x9001, 4, None),
            (0x9000, select(0x81), 0x9001, 4, None),
            (0x9000, select(0x81), 0x9004, 4, Some(0x9007)),
            (0x9004, select(0xf0), 0x9000, 16, None),
            (0x9004, select(0x0c), 0x9000, 16, Some(0x9006)),
            (0x9008, 12 << 24 | select(0xff), 0x9ffc, 4, Some(0x9ffc)),
            (0x9008, 12 << 24 | select(0xff), 0xa000, 4, None),
        ];
        for (wvr, wcr, addr, len, want) in rows {
            let mut cpu = monitored(psr::USR);
            (cpu.cp15.dbgwvr[0], cpu.cp15.dbgwcr[0]) = (wvr, wcr);
            let got = cpu.data_trap(addr, len, Access::Read, 0);
            let met = |fault| match fault {
                Fault::Guest { addr, .. } => addr,
                Fault::Bus { .. } | Fault::Alignment { .. } => 0,
            };
            assert_eq!(got.map(met), want, "{wvr:#x} {wcr:#x} {addr:#x}");
        }
        let met = |mode, wcr, access, idx| {
            let mut cpu = monitored(mode);
            (cpu.cp15.dbgwvr[0], cpu.cp15.dbgwcr[0]) = (0x9000, wcr);
            cpu.data_trap(0x9000, 1, access, idx).is_some()
        };
        let (loads, stores) = (0x1fe0 | 1 << 3 | 3 << 1 | E, 0x1fe0 | 2 << 3 | 3 << 1 | E);
        assert!(met(psr::USR, loads, Access::Read, 0) && !met(psr::USR, loads, Access::Write, 0));
        assert!(met(psr::USR, stores, Access::Write, 0) && !met(psr::USR, stores, Access::Read, 0));
        let user = loads & !2;
        assert!(met(psr::USR, user, Access::Read, 0) && !met(psr::SVC, user, Access::Read, 0));
        assert!(met(psr::SVC, user, Access::Read, 1), "LDRT");
    }
}

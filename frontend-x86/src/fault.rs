//! Faults: the exceptions that instructions end in (SDM 3, chapter 6). Of a [`Fault::Guest`] the class is the vector; the
//! info is the error code, of #DB the bits of DR6, and above it what kind of event it is ([`Kind`]).

use crate::state::bits::dr6;
use crate::state::{Cpu, of};
use emu_ir::{Access, Fault};

/// Vectors of exceptions.
#[allow(missing_docs)]
pub mod vector {
    pub const DE: u8 = 0;
    pub const DB: u8 = 1;
    pub const NMI: u8 = 2;
    pub const BP: u8 = 3;
    pub const OF: u8 = 4;
    pub const BR: u8 = 5;
    pub const UD: u8 = 6;
    pub const NM: u8 = 7;
    pub const DF: u8 = 8;
    pub const TS: u8 = 10;
    pub const NP: u8 = 11;
    pub const SS: u8 = 12;
    pub const GP: u8 = 13;
    pub const PF: u8 = 14;
    pub const MF: u8 = 16;
    pub const AC: u8 = 17;
    pub const MC: u8 = 18;
    pub const XM: u8 = 19;
}

/// Bits of a #PF's error code (SDM 3, 4.7).
pub mod pf {
    /// The page is there.
    pub const P: u32 = 1 << 0;
    /// It was a write.
    pub const W: u32 = 1 << 1;
    /// It was an access of user mode.
    pub const U: u32 = 1 << 2;
    /// A reserved bit is set in an entry.
    pub const RSVD: u32 = 1 << 3;
    /// It was a fetch.
    pub const I: u32 = 1 << 4;
    /// PKRU forbids it.
    pub const PK: u32 = 1 << 5;
}

/// Bits of a selector's error code (SDM 3, 6.13).
pub mod code {
    /// The event came from outside of the program.
    pub const EXT: u32 = 1;
    /// The index is one of the IDT.
    pub const IDT: u32 = 2;
    /// All of a selector but its RPL.
    pub const SELECTOR: u32 = 0xfffc;
}

/// What kind of event is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An exception that the processor found, at the pc.
    Exception = 0,
    /// INT n: the return address is after it, and the gate's privilege counts.
    Software = 1,
    /// INT3 and INTO: as INT n, and they are not redirected in virtual 8086 mode.
    Breakpoint = 2,
    /// INT1: the return address is after it.
    Int1 = 3,
    /// An interrupt, or NMI.
    External = 4,
}

const KIND_SHIFT: u32 = 16;
/// Not architectural: an address is not canonical, which is #GP(0), or #SS(0) in the stack segment.
const NON_CANONICAL: u32 = 0x100;
/// Not architectural: a shutdown of the processor.
const SHUTDOWN: u32 = 0x101;

const fn of_class(class: u32, addr: u64, info: u32) -> Fault {
    Fault::Guest { class, addr, info }
}
/// An exception with an error code, if its vector has one.
pub const fn exception(vector: u8, code: u32) -> Fault {
    of_class(vector as u32, 0, code)
}
/// Divide error.
pub const DE: Fault = exception(vector::DE, 0);
/// BOUND range exceeded.
pub const BR: Fault = exception(vector::BR, 0);
/// Invalid opcode.
pub const UD: Fault = exception(vector::UD, 0);
/// Device not available.
pub const NM: Fault = exception(vector::NM, 0);
/// x87 error.
pub const MF: Fault = exception(vector::MF, 0);
/// SIMD error.
pub const XM: Fault = exception(vector::XM, 0);
/// Machine check.
pub const MC: Fault = exception(vector::MC, 0);
/// General protection.
pub const fn gp(code: u32) -> Fault {
    exception(vector::GP, code)
}
/// Stack fault.
pub const fn ss(code: u32) -> Fault {
    exception(vector::SS, code)
}
/// Segment not present.
pub const fn np(code: u32) -> Fault {
    exception(vector::NP, code)
}
/// Invalid TSS.
pub const fn ts(code: u32) -> Fault {
    exception(vector::TS, code)
}
/// Page fault.
pub const fn page(addr: u64, code: u32) -> Fault {
    of_class(vector::PF as u32, addr, code)
}
/// Debug exception, for reasons that are bits of DR6.
pub const fn debug(reasons: u32) -> Fault {
    exception(vector::DB, reasons)
}
/// The address of an operand is not canonical.
pub const fn non_canonical(addr: u64) -> Fault {
    of_class(NON_CANONICAL, addr, 0)
}
/// INT n.
pub const fn int(vector: u8) -> Fault {
    of_class(vector as u32, 0, (Kind::Software as u32) << KIND_SHIFT)
}
/// INT3.
pub const INT3: Fault = of_class(vector::BP as u32, 0, (Kind::Breakpoint as u32) << KIND_SHIFT);
/// INTO, where OF is set.
pub const INTO: Fault = of_class(vector::OF as u32, 0, (Kind::Breakpoint as u32) << KIND_SHIFT);
/// INT1.
pub const INT1: Fault = of_class(vector::DB as u32, 0, (Kind::Int1 as u32) << KIND_SHIFT);
/// The processor gives up, as after a fault of delivering a double fault.
pub const GIVE_UP: Fault = of_class(SHUTDOWN, 0, 0);

/// An event that is to be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its vector.
    pub vector: u8,
    /// What it is.
    pub kind: Kind,
    /// The error code, of #DB bits of DR6.
    pub code: u32,
    /// Of a page fault: where.
    pub addr: u64,
}

impl Event {
    /// An interrupt.
    pub const fn external(vector: u8) -> Event {
        Event {
            vector,
            kind: Kind::External,
            code: 0,
            addr: 0,
        }
    }

    /// What a fault of the instruction at hand, which is as [`Cpu::of`] says, is to the guest. `None`: a shutdown.
    pub fn of_fault(cpu: &Cpu, fault: Fault) -> Option<Event> {
        let stack = cpu.of & of::STACK != 0;
        let (class, addr, info) = match fault {
            Fault::Guest { class, addr, info } => (class, addr, info),
            // SDM 2, 2.4 "AVX and SSE Instruction Exception Classification", and SDM 3, "Interrupt 17".
            Fault::Alignment { .. } if cpu.of & of::ALIGNED != 0 => (vector::GP.into(), 0, 0),
            Fault::Alignment { .. } => (vector::AC.into(), 0, 0),
            Fault::Bus { .. } => (vector::MC.into(), 0, 0),
        };
        let (class, info) = match class {
            SHUTDOWN => return None,
            NON_CANONICAL if stack => (vector::SS.into(), 0),
            NON_CANONICAL => (vector::GP.into(), 0),
            _ => (class, info),
        };
        Some(Event {
            vector: class as u8,
            kind: match info >> KIND_SHIFT {
                1 => Kind::Software,
                2 => Kind::Breakpoint,
                3 => Kind::Int1,
                4 => Kind::External,
                _ => Kind::Exception,
            },
            code: info & 0xffff,
            addr,
        })
    }

    /// The error code that is pushed, if one is (SDM 3, table 6-1).
    pub fn pushed(&self) -> Option<u32> {
        let has = matches!(self.vector, vector::DF | vector::TS..=vector::PF | vector::AC);
        (has && self.kind == Kind::Exception).then_some(self.code)
    }
    /// The EXT bit of errors in its delivery (SDM 3, 6.13): it is not an instruction that asks for an interrupt.
    pub fn ext(&self) -> u32 {
        match self.kind {
            Kind::Software | Kind::Breakpoint => 0,
            Kind::Exception | Kind::Int1 | Kind::External => code::EXT,
        }
    }
    /// It comes of an instruction, after which the program goes on.
    pub fn is_after(&self) -> bool {
        matches!(self.kind, Kind::Software | Kind::Breakpoint | Kind::Int1)
    }
    /// A gate's privilege level counts.
    pub fn is_checked(&self) -> bool {
        matches!(self.kind, Kind::Software | Kind::Breakpoint)
    }
    /// EFLAGS.RF is set in the image that is pushed (SDM 3, 18.3.1.1 "Instruction-Breakpoint Exception Condition"): it is of
    /// class fault, and no breakpoint on an instruction. Of #DB only general detect is a fault then; #DF and #MC are aborts.
    pub fn resumes(&self) -> bool {
        match (self.kind, self.vector) {
            (Kind::Exception, vector::DB) => self.code & dr6::BD != 0,
            (Kind::Exception, vector::NMI | vector::DF | vector::MC | vector::BP | vector::OF) => false,
            (kind, _) => kind == Kind::Exception,
        }
    }

    /// What comes of a second event while this one is delivered (SDM 3, table 6-5).
    pub fn then(&self, second: Event) -> Then {
        let severity = |e: &Event| match (e.kind, e.vector) {
            (Kind::Exception, vector::DF) => Severity::Double,
            (Kind::Exception, vector::DE | vector::TS..=vector::GP) => Severity::Contributory,
            (Kind::Exception, vector::PF) => Severity::Page,
            _ => Severity::Benign,
        };
        match (severity(self), severity(&second)) {
            (Severity::Double, _) => Then::Shutdown,
            (Severity::Page, Severity::Contributory | Severity::Page)
            | (Severity::Contributory, Severity::Contributory) => Then::Double,
            _ => Then::Second,
        }
    }
}

/// Classes of events (SDM 3, table 6-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Severity {
    Benign,
    Contributory,
    Page,
    Double,
}

/// What comes of a second event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It is delivered; the first is forgotten, or happens again.
    Second,
    /// A double fault.
    Double,
    /// The processor stops.
    Shutdown,
}

/// The error code's bits of an access that a #PF is of.
pub const fn access(access: Access) -> u32 {
    match access {
        Access::Read => 0,
        Access::Write => pf::W,
        Access::Execute => pf::I,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytemuck::Zeroable;

    fn event(fault: Fault) -> Event {
        Event::of_fault(&Cpu::zeroed(), fault).unwrap()
    }

    /// SDM 3, table 6-5 "Conditions for Generating a Double Fault".
    #[test]
    fn two_faults_are_a_double_fault_only_where_the_table_says_so() {
        let (benign, contributory, paging) = ([UD, NM, MF, debug(1)], [DE, ts(8), np(8), ss(0), gp(0)], page(4, 2));
        for first in benign.into_iter().chain([int(13), int(14), INT3]) {
            for second in contributory.into_iter().chain([paging, UD]) {
                assert_eq!(event(first).then(event(second)), Then::Second, "{first:?} {second:?}");
            }
        }
        for first in contributory {
            assert_eq!(event(first).then(event(gp(8))), Then::Double, "{first:?}");
            assert_eq!(event(first).then(event(paging)), Then::Second, "{first:?}");
            assert_eq!(event(first).then(event(UD)), Then::Second, "{first:?}");
        }
        assert_eq!(event(paging).then(event(paging)), Then::Double);
        assert_eq!(event(paging).then(event(np(8))), Then::Double);
        assert_eq!(event(paging).then(event(NM)), Then::Second);
        for second in [UD, gp(0), paging] {
            assert_eq!(event(exception(vector::DF, 0)).then(event(second)), Then::Shutdown);
        }
    }

    /// SDM 3, table 6-1: who has an error code; INT n has none, whatever its vector.
    #[test]
    fn error_codes_are_pushed_by_exceptions_that_have_one() {
        for (fault, code) in [
            (exception(vector::DF, 0), Some(0)),
            (ts(0x18), Some(0x18)),
            (np(0x21), Some(0x21)),
            (ss(4), Some(4)),
            (gp(0xfffb), Some(0xfffb)),
            (page(0x1000, pf::W | pf::U), Some(6)),
            (exception(vector::AC, 0), Some(0)),
            (DE, None),
            (debug(dr6::BS), None),
            (UD, None),
            (NM, None),
            (MF, None),
            (XM, None),
            (MC, None),
            (int(13), None),
            (int(8), None),
            (INT3, None),
        ] {
            assert_eq!(event(fault).pushed(), code, "{fault:?}");
        }
    }

    /// SDM 3, 6.13: INT n, INT3 and INTO are the program's own doing; INT1 is not said to be.
    #[test]
    fn only_instructions_that_ask_for_an_interrupt_are_not_external() {
        for (fault, ext) in [(int(3), 0), (INT3, 0), (INTO, 0), (INT1, 1), (UD, 1), (gp(0), 1)] {
            assert_eq!(event(fault).ext(), ext, "{fault:?}");
        }
        assert_eq!(Event::external(3).ext(), 1);
    }

    /// SDM 3, 18.3.1.1.
    #[test]
    fn faults_push_rf_traps_and_aborts_do_not() {
        for (fault, rf) in [
            (gp(0), true),
            (page(0, 0), true),
            (DE, true),
            (MF, true),
            (debug(dr6::BD), true),
            (debug(dr6::BS), false),
            (debug(1), false),
            (exception(vector::DF, 0), false),
            (MC, false),
            (int(13), false),
            (INT3, false),
            (INT1, false),
        ] {
            assert_eq!(event(fault).resumes(), rf, "{fault:?}");
        }
        assert!(!Event::external(13).resumes());
    }

    #[test]
    fn what_an_address_is_used_for_decides_what_its_fault_is() {
        let (addr, access) = (3, Access::Read);
        for (of, fault, vector) in [
            (0, non_canonical(1 << 63), vector::GP),
            (of::STACK, non_canonical(1 << 63), vector::SS),
            (0, Fault::Alignment { addr, access }, vector::AC),
            (of::ALIGNED, Fault::Alignment { addr, access }, vector::GP),
            (0, Fault::Bus { addr, access }, vector::MC),
        ] {
            let cpu = Cpu { of, ..Cpu::zeroed() };

            let event = Event::of_fault(&cpu, fault).unwrap();

            assert_eq!((event.vector, event.code), (vector, 0), "{fault:?}");
        }
        assert_eq!(Event::of_fault(&Cpu::zeroed(), GIVE_UP), None);
    }
}

//! Faults: the exceptions that instructions end in, what went wrong, and the two encodings of that (Arm ARM DDI 0406C,
//! tables B3-23 and B3-24).

use crate::cp15::ttbcr;
use crate::state::Cpu;
use emu_ir::{Access, Fault};

/// What [`Fault::Guest`]'s class means here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Class {
    /// Undefined Instruction; no syndrome.
    Undefined = 1,
    /// Supervisor Call; no syndrome.
    Svc = 2,
    /// Prefetch Abort; the syndrome is a [`Status`].
    PrefetchAbort = 3,
    /// Data Abort; the syndrome is a [`Status`].
    DataAbort = 4,
    /// Prefetch Abort of a breakpoint; the syndrome is a [`Status`].
    Breakpoint = 5,
    /// Data Abort of a watchpoint; the syndrome is a [`Status`].
    Watchpoint = 6,
    /// Prefetch Abort of BKPT; the syndrome is a [`Status`].
    Bkpt = 7,
    /// Prefetch Abort of a vector catch; the syndrome is a [`Status`].
    VectorCatch = 8,
    /// None: the instruction is executed again, after a look at what is pending.
    Again = 9,
}

/// An instruction that waits for the host: it is executed again.
pub const AGAIN: Fault = Fault::Guest {
    class: Class::Again as u32,
    addr: 0,
    info: 0,
};

/// The Undefined Instruction exception as a fault.
pub const UNDEFINED: Fault = Fault::Guest {
    class: Class::Undefined as u32,
    addr: 0,
    info: 0,
};

/// The Supervisor Call exception as a fault.
pub const fn svc_fault() -> Fault {
    Fault::Guest {
        class: Class::Svc as u32,
        addr: 0,
        info: 0,
    }
}

/// BKPT without a debugger: a Prefetch Abort with a debug event's status.
pub const fn bkpt_fault() -> Fault {
    Fault::Guest {
        class: Class::Bkpt as u32,
        addr: 0,
        info: Status::DEBUG.bits(),
    }
}

/// An abort found by a page walk for an access to `va`.
pub fn abort(va: u32, access: Access, status: Status) -> Fault {
    let (class, info) = match access {
        Access::Execute => (Class::PrefetchAbort, status.bits()),
        Access::Read => (Class::DataAbort, status.bits()),
        Access::Write => (Class::DataAbort, status.write().bits()),
    };
    Fault::Guest {
        class: class as u32,
        addr: va.into(),
        info,
    }
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// Alignment fault.
    Alignment = 1,
    /// Debug event (BKPT).
    Debug = 2,
    /// Translation fault.
    Translation = 3,
    /// Access flag fault.
    AccessFlag = 4,
    /// Domain fault (short descriptors only).
    Domain = 5,
    /// Permission fault.
    Permission = 6,
    /// Synchronous external abort on a translation table walk.
    ExternalOnWalk = 7,
    /// Synchronous external abort.
    External = 8,
}

const KINDS: [Kind; 8] = [
    Kind::Alignment,
    Kind::Debug,
    Kind::Translation,
    Kind::AccessFlag,
    Kind::Domain,
    Kind::Permission,
    Kind::ExternalOnWalk,
    Kind::External,
];

/// A fault's kind, level (1 to 3, where it has one), domain (short descriptors), WnR and CM, packed for
/// [`emu_ir::Fault::Guest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(u32);

impl Status {
    /// Alignment fault.
    pub const ALIGNMENT: Status = Status::new(Kind::Alignment, 0);
    /// Debug event.
    pub const DEBUG: Status = Status::new(Kind::Debug, 0);
    /// External abort of the access itself.
    pub const EXTERNAL: Status = Status::new(Kind::External, 0);

    /// A fault at a level of the walk.
    pub const fn new(kind: Kind, level: u32) -> Status {
        Status(kind as u32 | (level & 3) << 4)
    }
    /// With the domain of the descriptor.
    pub const fn domain(self, domain: u32) -> Status {
        Status(self.0 & !0xf00 | (domain & 15) << 8)
    }
    /// Of a write.
    pub const fn write(self) -> Status {
        Status(self.0 | 1 << 16)
    }
    /// Of a cache maintenance or address translation operation, which count as writes.
    pub const fn maintenance(self) -> Status {
        Status(self.write().0 | 1 << 17)
    }
    /// As a syndrome.
    pub const fn bits(self) -> u32 {
        self.0
    }
    /// From a syndrome.
    pub const fn from_bits(bits: u32) -> Status {
        Status(bits)
    }
    /// What went wrong; External for a syndrome that is none.
    pub fn kind(self) -> Kind {
        KINDS
            .into_iter()
            .find(|&k| k as u32 == self.0 & 15)
            .unwrap_or(Kind::External)
    }
    /// The level of the walk.
    pub const fn level(self) -> u32 {
        self.0 >> 4 & 3
    }

    /// As DFSR and IFSR have it with short descriptors.
    pub fn short(self) -> u32 {
        let second = self.level() == 2;
        let fs = match self.kind() {
            Kind::Alignment => 0b0_0001,
            Kind::Debug => 0b0_0010,
            Kind::Translation => 0b0_0101 | u32::from(second) << 1,
            Kind::AccessFlag if second => 0b0_0110,
            Kind::AccessFlag => 0b0_0011,
            Kind::Domain => 0b0_1001 | u32::from(second) << 1,
            Kind::Permission => 0b0_1101 | u32::from(second) << 1,
            Kind::ExternalOnWalk => 0b0_1100 | u32::from(second) << 1,
            Kind::External => 0b0_1000,
        };
        fs & 15 | (fs >> 4) << 10 | (self.0 >> 8 & 15) << 4 | self.kind_of_access()
    }

    /// As DFSR and IFSR have it with long descriptors.
    pub fn long(self) -> u32 {
        let level = self.level();
        let status = match self.kind() {
            Kind::Alignment => 0b10_0001,
            Kind::Debug => 0b10_0010,
            Kind::Translation => 0b00_0100 | level,
            Kind::AccessFlag => 0b00_1000 | level,
            Kind::Permission => 0b00_1100 | level,
            Kind::ExternalOnWalk => 0b01_0100 | level,
            Kind::External => 0b01_0000,
            Kind::Domain => 0b11_1100 | level,
        };
        status | 1 << 9 | self.kind_of_access()
    }

    /// CM and WnR.
    fn kind_of_access(self) -> u32 {
        (self.0 >> 17 & 1) << 13 | (self.0 >> 16 & 1) << 11
    }
}

/// A status in the format that TTBCR.EAE selects.
pub fn status_of(s: &Cpu, status: Status) -> u32 {
    if s.cp15.ttbcr & ttbcr::EAE != 0 {
        status.long()
    } else {
        status.short()
    }
}

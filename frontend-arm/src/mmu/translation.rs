//! What both formats of translation tables come to (Arm ARM DDI 0406C, B3): a translation, and the rights in it.

use super::attributes::Attributes;
use crate::cp15::sctlr;
use crate::fault::{Kind, Status};
use crate::state::Cpu;
use emu_ir::Bus;

/// What the tables say of an address, for one privilege.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// Physical address of the byte: 40 bits.
    pub phys: u64,
    /// Loads are allowed.
    pub read: bool,
    /// Stores are allowed.
    pub write: bool,
    /// Fetches are allowed.
    pub exec: bool,
    /// Not tagged by ASID.
    pub global: bool,
    /// Branches to code there are looked at (AArch64's FEAT_BTI).
    pub guarded: bool,
    /// log2 of the bytes that the descriptor maps: 12 to 30; 24 is a supersection.
    pub size: u8,
    /// The memory's type, cacheability and shareability.
    pub attributes: Attributes,
}

/// What a descriptor grants, before control bits apply; by default nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rights {
    /// Read and write at PL0.
    pub user: (bool, bool),
    /// Read and write at PL1.
    pub kernel: (bool, bool),
    pub xn: bool,
    pub pxn: bool,
}

/// Read, write and execute for a privilege, with SCTLR.WXN and UWXN applied (B3.7.2).
pub(super) fn permissions(s: &Cpu, r: Rights, user: bool) -> (bool, bool, bool) {
    let (read, write) = if user { r.user } else { r.kernel };
    let wxn = s.cp15.sctlr & sctlr::WXN != 0 && write;
    let uwxn = s.cp15.sctlr & sctlr::UWXN != 0 && r.user.1 && !user;
    let never = r.xn || r.pxn && !user || wxn || uwxn;
    (read, write, read && !never)
}

/// Loads a descriptor of `size` bytes, in SCTLR.EE's byte order.
pub(super) fn descriptor(s: &Cpu, bus: &mut dyn Bus, phys: u64, size: u8, level: u32) -> Result<u64, Status> {
    let raw = bus.load(phys, size).ok_or(Status::new(Kind::ExternalOnWalk, level))?;
    Ok(match (s.cp15.sctlr & sctlr::EE != 0, size) {
        (false, _) => raw,
        (true, 4) => (raw as u32).swap_bytes().into(),
        (true, _) => raw.swap_bytes(),
    })
}

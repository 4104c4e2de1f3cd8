//! The debug registers (Arm ARM DDI 0487, D19.3).

use super::table::Io;

/// MDSCR_EL1.TDCC: EL0 has no access to the debug communications channel.
pub const TDCC: u64 = 1 << 12;
/// OSLSR_EL1.OSLM: there is an OS lock.
const OSLM: u64 = 1 << 3;
/// What a breakpoint's control keeps.
pub(super) const BCR: u64 = 0x00ff_e1e7;
/// What a watchpoint's control keeps.
pub(super) const WCR: u64 = 0x1f1f_ffff;
/// What MDSCR_EL1 keeps: SS, TDCC, KDE and MDE; with the OS lock, what an external debugger has as well.
const MDSCR: u64 = 1 | TDCC | 1 << 13 | 1 << 15;
const SAVED: u64 = 1 << 6 | 1 << 14 | 3 << 22 | 7 << 29;

pub(super) fn mdscr(io: &mut Io) -> u64 {
    io.cpu.sys.mdscr
}

pub(super) fn set_mdscr(io: &mut Io, v: u64) {
    let locked = io.cpu.sys.oslock & 1 != 0;
    let mask = if locked { MDSCR | SAVED } else { MDSCR };
    io.cpu.sys.mdscr = io.cpu.sys.mdscr & !mask | v & mask;
    io.cpu.update_mode();
    io.env.traps_changed();
}

pub(super) fn set_oslar(io: &mut Io, v: u64) {
    io.cpu.sys.oslock = v & 1;
    io.cpu.update_mode();
    io.env.traps_changed();
}

pub(super) fn oslsr(io: &mut Io) -> u64 {
    OSLM | io.cpu.sys.oslock << 1
}

pub(super) fn claimed(io: &mut Io) -> u64 {
    io.cpu.sys.dbgclaim
}

pub(super) fn claim(io: &mut Io, v: u64) {
    io.cpu.sys.dbgclaim |= v & 0xff;
}

pub(super) fn unclaim(io: &mut Io, v: u64) {
    io.cpu.sys.dbgclaim &= !v;
}

/// Functions of an array of debug registers, by CRm: what a write keeps.
macro_rules! array {
    ($field:ident $len:literal $get:ident $set:ident $mask:expr) => {
        #[expect(clippy::indexing_slicing, reason = "the remainder is below the length")]
        pub(super) fn $get(io: &mut Io) -> u64 {
            io.cpu.sys.$field[(io.which() >> 3) as usize % $len]
        }
        #[expect(clippy::indexing_slicing, reason = "the remainder is below the length")]
        pub(super) fn $set(io: &mut Io, v: u64) {
            io.cpu.sys.$field[(io.which() >> 3) as usize % $len] = v & $mask;
            io.env.traps_changed();
        }
    };
}
array!(dbgbvr 6 bvr set_bvr u64::MAX);
array!(dbgbcr 6 bcr set_bcr BCR);
array!(dbgwvr 4 wvr set_wvr !3);
array!(dbgwcr 4 wcr set_wcr WCR);

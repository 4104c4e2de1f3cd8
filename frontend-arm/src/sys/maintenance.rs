//! TLB maintenance and address translation operations (Arm ARM DDI 0406C, B4.2).

use super::table::Io;
use crate::cp15::ttbcr;
use crate::fault::{Kind, Status, abort};
use crate::mmu::{self, Attributes, Translation};
use emu_ir::{Access, Flush};

/// log2 of the bytes of a supersection.
const SUPERSECTION: u8 = 24;

/// CRm of the operations that reach every CPU of the Inner Shareable domain.
const INNER_SHAREABLE: u32 = 3;

/// TLB maintenance: opc2 says what, CRm for whom. Instruction, data and unified TLBs are one.
pub(super) fn tlbi(io: &mut Io, value: u64) {
    let addr = value & 0xffff_f000;
    let asid = value as u32 & 0xff;
    let what = match io.which & 7 {
        0 => Flush::ALL,
        1 => Flush::page(addr, Some(asid)),
        2 => Flush::asid(asid),
        _ => Flush::page(addr, None),
    };
    io.env.flush(what, io.which >> 3 == INNER_SHAREABLE);
}

/// CP15DSB: maintenance is complete, that of other CPUs too.
pub(super) fn dsb(io: &mut Io, _: u64) {
    io.env.complete();
}

/// ATS1CPR, ATS1CPW, ATS1CUR, ATS1CUW: opc2 bit 0 is write, bit 1 is unprivileged. The result goes to the PAR, but an
/// external abort of the walk is taken.
pub(super) fn ats1c(io: &mut Io, value: u64) {
    let access = if io.which & 1 != 0 { Access::Write } else { Access::Read };
    let user = io.which & 2 != 0;
    let long = io.cpu.cp15.ttbcr & ttbcr::EAE != 0;
    let result = mmu::translate(io.cpu, io.env.bus(), value as u32, access, user);
    if let Err(status) = result
        && status.kind() == Kind::ExternalOnWalk
    {
        io.fault = Some(abort(value as u32, access, status.maintenance()));
        return;
    }
    io.cpu.cp15.par = match (result, long) {
        (Ok(t), false) => short_par(&t).into(),
        (Ok(t), true) => t.phys & 0xff_ffff_f000 | long_attributes(t.attributes),
        (Err(status), false) => (short_fault(status) << 1 | 1).into(),
        (Err(status), true) => u64::from((status.long() & 0x3f) << 1 | 1 << 11 | 1),
    };
}

/// The PAR's 32-bit format (B4.1.112): of a supersection, bits 39:32 of the address are in bits 23:16.
fn short_par(t: &Translation) -> u32 {
    let address = if t.size == SUPERSECTION {
        t.phys as u32 & 0xff00_0000 | ((t.phys >> 32) as u32 & 0xff) << 16 | 1 << 1
    } else {
        t.phys as u32 & 0xffff_f000
    };
    address | t.attributes.par()
}

/// FS of the PAR: DFSR's ExT, FS\[4\] and FS\[3:0\].
fn short_fault(status: Status) -> u32 {
    let fsr = status.short();
    fsr & 15 | (fsr >> 10 & 1) << 4 | (fsr >> 12 & 1) << 5
}

fn long_attributes(a: Attributes) -> u64 {
    u64::from(a.mair) << 56 | u64::from(a.sh) << 7 | 1 << 11
}

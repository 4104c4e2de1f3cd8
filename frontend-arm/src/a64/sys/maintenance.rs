//! Maintenance of TLBs and caches, and address translation instructions (Arm ARM DDI 0487, C5.3 to C5.5).

use super::super::fault::{CM, WNR, abort};
use super::super::mmu::{self, EL1_0, Request, status};
use super::table::Io;
use crate::mmu::{Attributes, Translation};
use emu_ir::{Access, Flush, Which};

fn flush(io: &mut Io, which: Which) {
    let what = Flush {
        regimes: 1 << EL1_0,
        vmid: None,
        which,
    };
    // CRm: 7 and 6 are this CPU's own, the others its Inner or Outer Shareable domain's.
    let own = matches!(io.which() >> 3, 7 | 6);
    io.env.flush(what, !own);
}

/// The address space in the operand of TLB maintenance, if only its entries are meant (op2 bit 1: all are).
fn asid(io: &Io, operand: u64) -> Option<u32> {
    let of_all = io.which() & 2 != 0;
    (!of_all).then(|| (operand >> 48) as u32 & mmu::asid_mask(io.cpu))
}

/// TLBI VMALLE1 and its like.
pub(super) fn tlbi_all(io: &mut Io, _: u64) {
    flush(io, Which::All);
}

/// TLBI ASIDE1 and its like.
pub(super) fn tlbi_asid(io: &mut Io, operand: u64) {
    let asid = (operand >> 48) as u32 & mmu::asid_mask(io.cpu);
    flush(io, Which::Asid(asid));
}

/// TLBI VAE1, VAAE1, VALE1, VAALE1 and their like: the operand's low bits are those of the address from 12 on.
pub(super) fn tlbi_va(io: &mut Io, operand: u64) {
    let first = ((operand << 20) as i64 >> 8) as u64 & !0xfff;
    let asid = asid(io, operand);
    let last = first;
    flush(io, Which::Pages { first, last, asid });
}

/// TLBI RVAE1 and its like (FEAT_TLBIRANGE): a number of granules from an address that is counted in them.
pub(super) fn tlbi_range(io: &mut Io, operand: u64) {
    let granule = match operand >> 46 & 3 {
        1 => 12,
        2 => 14,
        3 => 16,
        _ => return flush(io, Which::All), // reserved
    };
    let (scale, num) = (operand >> 44 & 3, operand >> 39 & 0x1f);
    let first = ((operand << 27) as i64 >> 27 << granule) as u64;
    let bytes = (num + 1) << (5 * scale + 1) << granule;
    let last = first.saturating_add(bytes - 1);
    let asid = asid(io, operand);
    flush(io, Which::Pages { first, last, asid });
}

/// AT S1E1R, S1E1W, S1E0R, S1E0W, and S1E1RP and S1E1WP, which heed PSTATE.PAN: op2 bit 0 is write, bit 1 is EL0. The result
/// goes to PAR_EL1, but an external abort of the walk is taken.
pub(super) fn at(io: &mut Io, va: u64) {
    let which = io.which();
    let request = Request {
        va,
        access: if which & 1 != 0 { Access::Write } else { Access::Read },
        user: which & 2 != 0,
        pan: which >> 3 == 9,
        made: false,
    };
    let result = mmu::translate(&io.guest.model, io.cpu, io.env.bus(), request);
    io.cpu.sys.par = match result {
        Ok(t) => translated(&t),
        Err(status) if status & !3 == status::EXTERNAL_ON_WALK => {
            io.fault = Some(abort(va, Access::Write, status | CM));
            return;
        }
        Err(status) => u64::from(status) << 1 | 1 << 11 | 1,
    };
}

/// PAR_EL1 of a translation.
fn translated(t: &Translation) -> u64 {
    let Attributes { mair, sh } = t.attributes;
    // Device memory and memory that is not cacheable are Outer Shareable.
    let sh = if t.attributes.is_device() || mair == 0x44 {
        2
    } else {
        sh
    };
    u64::from(mair) << 56 | t.phys & 0xf_ffff_ffff_f000 | 1 << 11 | u64::from(sh) << 7
}

/// DC by address: memory has no caches here, but the address must be mapped, and readable at EL0.
pub(super) fn dc(io: &mut Io, va: u64) {
    let user = io.cpu.el() == 0;
    cache(io, va, Access::Read, user);
}

/// DC IVAC: what it throws away could be written.
pub(super) fn dc_ivac(io: &mut Io, va: u64) {
    cache(io, va, Access::Write, false);
}

fn cache(io: &mut Io, va: u64, access: Access, user: bool) {
    let request = Request {
        va,
        access,
        user,
        pan: false,
        made: false,
    };
    if let Err(status) = mmu::translate(&io.guest.model, io.cpu, io.env.bus(), request) {
        io.fault = Some(abort(va, Access::Read, status | CM | WNR));
    }
}

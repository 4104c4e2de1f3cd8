//! The PL1&0 translation regime (Arm ARM DDI 0406C, B3): from a virtual address to a physical one, or a fault.
//!
//! [`short`] and [`long`] read the two formats of translation tables; here is what they share: which one applies, the
//! permission checks, the engine's page and context.

mod attributes;
mod long;
mod short;
#[cfg(test)]
mod tests;
mod translation;

pub use attributes::Attributes;
pub use translation::Translation;

use crate::cp15::{sctlr, ttbcr};
use crate::fault::{Status, abort};
use crate::state::{Cpu, mode};
use emu_ir::{Access, Bus, Context, Fault, Page, Span};

/// Accesses as the current mode makes them.
pub const CURRENT: u8 = 0;
/// Accesses as User mode makes them (LDRT, STRT).
pub const UNPRIVILEGED: u8 = 1;

/// Whether accesses to address space `idx` are unprivileged.
fn unprivileged(s: &Cpu, idx: u8) -> bool {
    idx == UNPRIVILEGED || s.mode & mode::USER != 0
}

/// Translates `va` for an access of the given privilege, and checks that it is allowed.
///
/// # Errors
/// Why not, without the WnR bit.
pub fn translate(s: &Cpu, bus: &mut dyn Bus, va: u32, access: Access, user: bool) -> Result<Translation, Status> {
    if s.cp15.sctlr & sctlr::M == 0 {
        return Ok(flat(va));
    }
    let (t, denied) = lookup(s, bus, va, user)?;
    let allowed = match access {
        Access::Read => t.read,
        Access::Write => t.write,
        Access::Execute => t.exec,
    };
    if allowed { Ok(t) } else { Err(denied) }
}

/// What the tables say of an address, and the status of an access that they do not allow.
fn lookup(s: &Cpu, bus: &mut dyn Bus, va: u32, user: bool) -> Result<(Translation, Status), Status> {
    if s.cp15.ttbcr & ttbcr::EAE != 0 {
        long::lookup(s, bus, va, user)
    } else {
        short::lookup(s, bus, va, user)
    }
}

/// Where `va` is, whatever the access rights, the domain and the access flag: for debuggers.
pub fn probe(s: &Cpu, bus: &mut dyn Bus, va: u32) -> Span {
    if s.cp15.sctlr & sctlr::M == 0 {
        return Span {
            size: 32,
            phys: Some(0),
        };
    }
    match lookup(s, bus, va, false) {
        Ok((t, _)) => Span {
            size: t.size,
            phys: Some(t.phys >> t.size << t.size),
        },
        Err(_) => Span { size: 12, phys: None },
    }
}

/// With the MMU off, addresses are physical and data is Strongly-ordered (B3.2.1).
fn flat(va: u32) -> Translation {
    Translation {
        phys: va.into(),
        read: true,
        write: true,
        exec: true,
        global: true,
        guarded: false,
        size: 12,
        attributes: Attributes::STRONGLY_ORDERED,
    }
}

/// [`emu_ir::Guest::walk`].
///
/// # Errors
/// The abort to take.
pub fn walk(s: &Cpu, bus: &mut dyn Bus, va: u32, access: Access, idx: u8) -> Result<Page, Fault> {
    let t = translate(s, bus, va, access, unprivileged(s, idx)).map_err(|status| abort(va, access, status))?;
    Ok(Page {
        phys: t.phys & !0xfff,
        read: t.read,
        write: t.write,
        exec: t.exec,
        global: t.global,
        // With the MMU off, code looks at alignment itself: see `mode::ALIGN`.
        strict: t.attributes.is_device() && s.cp15.sctlr & sctlr::M != 0,
        size: t.size,
        marked: false,
    })
}

/// [`emu_ir::Guest::context`]: all that a walk depends on besides the tables. The words are TTBR0, TTBR1, TTBCR, SCTLR with
/// the privilege above it, PRRR and NMRR (or MAIR0 and MAIR1), DACR; bits that the format does not look at are left out.
pub fn context(s: &Cpu, idx: u8) -> Context {
    let c = &s.cp15;
    if c.sctlr & sctlr::M == 0 {
        return Context::default();
    }
    let control = c.sctlr & (sctlr::M | sctlr::WXN | sctlr::UWXN | sctlr::EE | sctlr::TRE | sctlr::AFE);
    let control = u64::from(control) | u64::from(unprivileged(s, idx)) << 32;
    let memory = u64::from(c.prrr) | u64::from(c.nmrr) << 32;
    let asid = asid(s);
    if c.ttbcr & ttbcr::EAE != 0 {
        const BASE: u64 = 0xff_ffff_ffff;
        let sizes = c.ttbcr & (ttbcr::EAE | 7 | ttbcr::EPD0 | 7 << 16 | ttbcr::EPD1);
        return Context {
            asid,
            rest: [c.ttbr0 & BASE, c.ttbr1 & BASE, sizes.into(), control, memory, 0],
            ..Context::default()
        };
    }
    const BASE: u64 = 0xffff_ffff;
    let sizes = c.ttbcr & (7 | ttbcr::PD0 | ttbcr::PD1);
    let remap = if c.sctlr & sctlr::TRE != 0 { memory } else { 0 };
    let dacr = c.dacr.into();
    Context {
        asid,
        rest: [c.ttbr0 & BASE, c.ttbr1 & BASE, sizes.into(), control, remap, dacr],
        ..Context::default()
    }
}

/// The current address space identifier (B3.10.4).
pub fn asid(s: &Cpu) -> u32 {
    let c = &s.cp15;
    if c.ttbcr & ttbcr::EAE == 0 {
        return c.contextidr & 0xff;
    }
    let base = if c.ttbcr & ttbcr::A1 != 0 { c.ttbr1 } else { c.ttbr0 };
    (base >> 48) as u32 & 0xff
}

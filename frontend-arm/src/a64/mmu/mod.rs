//! The EL1&0 translation regime (Arm ARM DDI 0487, D8): from a virtual address to a physical one, or a fault.
//!
//! [`lookup`] goes through the tables. Here is what follows from the descriptor that it finds: rights, the flags that hardware
//! keeps in descriptors, and what the engine is told. Room for EL2: contexts and flushes name their regime and VMID.

mod half;
mod lookup;
#[cfg(test)]
mod tests;

pub use half::{canonical, canonical_code, ignored};

use super::fault::{CLEAN_PC, FIRST_GUARDED, READ_FAILS, abort};
use super::features::Feature;
use super::model::Model;
use super::state::{Cpu, psr, sctlr, tcr};
use crate::mmu::{Attributes, Translation};
use emu_ir::{Access, Bus, Context, Fault, Page, Span};
use half::Half;
use lookup::Leaf;
use std::ops::RangeInclusive;

/// Accesses as the current exception level makes them.
pub const CURRENT: u8 = 0;
/// Accesses as EL0 makes them (LDTR, STTR).
pub const UNPRIVILEGED: u8 = 1;

/// The number of the regime in contexts and flushes.
pub const EL1_0: u8 = 0;

/// Fault status codes, of a level where they have one (ESR_EL1.DFSC).
pub mod status {
    /// Address size fault.
    pub const ADDRESS_SIZE: u32 = 0b00_0000;
    /// Translation fault.
    pub const TRANSLATION: u32 = 0b00_0100;
    /// Access flag fault.
    pub const ACCESS_FLAG: u32 = 0b00_1000;
    /// Permission fault.
    pub const PERMISSION: u32 = 0b00_1100;
    /// Synchronous External abort on a translation table walk.
    pub const EXTERNAL_ON_WALK: u32 = 0b01_0100;
}

/// An access to be translated.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Its address.
    pub va: u64,
    /// Its kind.
    pub access: Access,
    /// It is made as EL0 makes it.
    pub user: bool,
    /// PSTATE.PAN concerns it.
    pub pan: bool,
    /// The flags in descriptors that hardware keeps are brought up to date; else it is only asked what would be.
    pub made: bool,
}

/// Translates an address for an access, and checks that it is allowed.
///
/// # Errors
/// The fault status code.
pub fn translate(model: &Model, s: &Cpu, bus: &mut dyn Bus, r: Request) -> Result<Translation, u32> {
    let va = of_kind(s, r.va, r.access);
    if s.sys.sctlr & sctlr::M == 0 {
        return flat(model, va);
    }
    for _ in 0..TRIES {
        let leaf = lookup::lookup(model, s, bus, va, r.user)?;
        let new = check(model, s, &leaf, r)?;
        if !r.made || new == leaf.descriptor || leaf.update(s, bus, new)? {
            return Ok(translation(
                model,
                s,
                &Leaf {
                    descriptor: new,
                    ..leaf
                },
                r,
                va,
            ));
        }
    }
    Err(status::EXTERNAL_ON_WALK | 3)
}

/// How often a descriptor is looked at anew that changed before hardware's flags were noted in it. Memory does not change
/// as often meanwhile: a device's registers may.
const TRIES: usize = 1000;

/// The address of an access without its tag, if it has one.
fn of_kind(s: &Cpu, va: u64, access: Access) -> u64 {
    if access == Access::Execute {
        canonical_code(s, va)
    } else {
        canonical(s, va)
    }
}

/// With the MMU off, addresses are physical and data is Device memory (D8.2.10).
fn flat(model: &Model, va: u64) -> Result<Translation, u32> {
    if va >> model.address_bits() != 0 {
        return Err(status::ADDRESS_SIZE);
    }
    Ok(Translation {
        phys: va,
        read: true,
        write: true,
        exec: true,
        global: true,
        size: 12,
        guarded: false,
        attributes: Attributes { mair: 0, sh: 2 },
    })
}

/// Whether a control bit is set that a feature gives a meaning.
fn on(model: &Model, s: &Cpu, feature: Feature, bit: u64) -> bool {
    model.features.has(feature) && s.sys.tcr & bit != 0
}

/// Whether a descriptor's page is writable and clean: hardware notes the first write (D8.4.6).
fn is_clean(model: &Model, s: &Cpu, leaf: &Leaf) -> bool {
    const DBM: u64 = 1 << 51;
    let d = leaf.descriptor;
    d & DBM != 0 && d & lookup::READ_ONLY != 0 && on(model, s, Feature::Hafdbs, tcr::HD) && has_flag(model, s)
}

/// Whether hardware sets the Access flag.
fn has_flag(model: &Model, s: &Cpu) -> bool {
    on(model, s, Feature::Haf, tcr::HA)
}

/// Checks that an access is allowed; what the descriptor is after it.
fn check(model: &Model, s: &Cpu, leaf: &Leaf, r: Request) -> Result<u64, u32> {
    let mut new = leaf.descriptor;
    if new & lookup::ACCESS_FLAG == 0 {
        if !has_flag(model, s) {
            return Err(status::ACCESS_FLAG | leaf.level);
        }
        new |= lookup::ACCESS_FLAG;
    }
    let clean = is_clean(model, s, leaf);
    let rights = rights(model, s, leaf, clean, r);
    let allowed = match r.access {
        Access::Read => rights.read,
        Access::Write => rights.write,
        Access::Execute => rights.exec,
    };
    if !allowed {
        return Err(status::PERMISSION | leaf.level);
    }
    if clean && r.access == Access::Write {
        new &= !lookup::READ_ONLY;
    }
    Ok(new)
}

struct Rights {
    read: bool,
    write: bool,
    exec: bool,
}

/// What a descriptor, the tables above it and control bits allow (D8.4.1 to D8.4.3); `clean`: writable although it says that
/// it is not.
fn rights(model: &Model, s: &Cpu, leaf: &Leaf, clean: bool, r: Request) -> Rights {
    let d = leaf.descriptor;
    let el0 = d & lookup::EL0 != 0 && !leaf.above.no_el0;
    let writable = (d & lookup::READ_ONLY == 0 || clean) && !leaf.above.read_only;
    let uxn = d >> 54 & 1 != 0 || leaf.above.uxn;
    let pxn = d >> 53 & 1 != 0 || leaf.above.pxn;
    let wxn = s.sys.sctlr & sctlr::WXN != 0;
    let user_writes = el0 && writable;
    let user_exec = !(uxn || wxn && user_writes);
    if r.user {
        return Rights {
            read: el0,
            write: user_writes,
            exec: user_exec,
        };
    }
    let epan = model.features.has(Feature::Pan3) && s.sys.sctlr & sctlr::EPAN != 0;
    let never = r.pan && s.psr & psr::PAN != 0 && (el0 || epan && user_exec);
    Rights {
        read: !never,
        write: writable && !never,
        exec: !(pxn || user_writes || wxn && writable),
    }
}

fn translation(model: &Model, s: &Cpu, leaf: &Leaf, r: Request, va: u64) -> Translation {
    let d = leaf.descriptor;
    // Hardware notes the first write: it must come here.
    let rights = rights(model, s, leaf, false, r);
    let within = u64::MAX >> (64 - u32::from(leaf.size));
    Translation {
        phys: leaf.base & !within | va & within,
        read: rights.read,
        write: rights.write,
        exec: rights.exec,
        global: d >> 11 & 1 == 0,
        size: leaf.covers,
        guarded: d & lookup::GUARDED != 0 && model.features.has(Feature::Bti),
        attributes: Attributes {
            mair: (s.sys.mair >> (8 * (d >> 2 & 7))) as u8,
            sh: (d >> 8 & 3) as u8,
        },
    }
}

/// Whether accesses to address space `idx` are EL0's.
fn is_user(s: &Cpu, idx: u8) -> bool {
    idx == UNPRIVILEGED || s.el() == 0
}

/// [`emu_ir::Guest::walk`].
///
/// # Errors
/// The abort to take.
pub fn walk(model: &Model, s: &Cpu, bus: &mut dyn Bus, va: u64, access: Access, idx: u8) -> Result<Page, Fault> {
    let tagged = of_kind(s, va, access) != va;
    if tagged && access == Access::Execute {
        return Err(CLEAN_PC);
    }
    let r = Request {
        va,
        access,
        user: is_user(s, idx),
        pan: true,
        made: true,
    };
    let t = translate(model, s, bus, r).map_err(|status| failed(model, s, bus, r, status))?;
    if access == Access::Execute && t.guarded && !s.has_met_guarded(s.el()) {
        return Err(FIRST_GUARDED);
    }
    Ok(Page {
        phys: t.phys & !0xfff,
        read: t.read,
        write: t.write,
        exec: t.exec,
        global: t.global,
        // With the MMU off, code looks at alignment itself: see `mode::ALIGN`.
        strict: t.attributes.is_device() && s.sys.sctlr & sctlr::M != 0,
        // Addresses with other tags are the same to who forgets it, wherever that is.
        size: if tagged { 64 } else { t.size },
        marked: t.guarded,
    })
}

/// The abort of an access that is not allowed. Of a write it says whether a read is not allowed either.
fn failed(model: &Model, s: &Cpu, bus: &mut dyn Bus, r: Request, status: u32) -> Fault {
    let read = Request {
        access: Access::Read,
        made: false,
        ..r
    };
    let neither = r.access == Access::Write && translate(model, s, bus, read).is_err();
    abort(r.va, r.access, status | if neither { READ_FAILS } else { 0 })
}

/// Where `va` is, whatever the access rights and the Access flag: for debuggers.
pub fn probe(model: &Model, s: &Cpu, bus: &mut dyn Bus, va: u64) -> Span {
    let va = canonical(s, va);
    if s.sys.sctlr & sctlr::M == 0 {
        return Span {
            size: model.address_bits(),
            phys: flat(model, va).is_ok().then_some(0),
        };
    }
    match lookup::lookup(model, s, bus, va, false) {
        Ok(leaf) => Span {
            size: leaf.size,
            phys: Some(leaf.base >> leaf.size << leaf.size),
        },
        Err(status) => Span {
            size: Half::of(model, s, va).shift(status & 3) as u8,
            phys: None,
        },
    }
}

/// The virtual addresses that there may be something behind: for debuggers.
pub fn ranges(model: &Model, s: &Cpu) -> Vec<RangeInclusive<u64>> {
    if s.sys.sctlr & sctlr::M == 0 {
        return vec![0..=u64::MAX >> (64 - model.address_bits())];
    }
    let bits = |half| Half::of(model, s, half).address_bits(model);
    let low = bits(0).map(|bits| 0..=u64::MAX >> (64 - bits));
    let high = bits(u64::MAX).map(|bits| u64::MAX << bits..=u64::MAX);
    low.into_iter().chain(high).collect()
}

/// [`emu_ir::Guest::context`]: all that a walk depends on besides the tables. The words are TTBR0, TTBR1, TCR, SCTLR with the
/// privilege, PSTATE.PAN and whether guarded pages have been met, and MAIR; HCR and VTTBR are to come.
pub fn context(s: &Cpu, idx: u8) -> Context {
    let c = &s.sys;
    let user = is_user(s, idx);
    let guarded = u64::from(s.has_met_guarded(if user { 0 } else { s.el() })) << 34;
    const TAGS: u64 = tcr::TBI0 | tcr::TBI1 | tcr::TBID0 | tcr::TBID1;
    if c.sctlr & sctlr::M == 0 {
        return Context {
            regime: EL1_0,
            rest: [0, 0, c.tcr & TAGS, guarded, 0, 0],
            ..Context::default()
        };
    }
    const BASE: u64 = 0xffff_ffff_fffe;
    let pan = !user && s.psr & psr::PAN != 0;
    let control = c.sctlr & (sctlr::M | sctlr::WXN | sctlr::EE | sctlr::EPAN);
    let control = control | u64::from(user) << 32 | u64::from(pan) << 33 | guarded;
    Context {
        asid: asid(s),
        regime: EL1_0,
        rest: [c.ttbr0 & BASE, c.ttbr1 & BASE, c.tcr, control, c.mair, 0],
        ..Context::default()
    }
}

/// The current address space identifier (D8.13.2).
pub fn asid(s: &Cpu) -> u32 {
    let base = if s.sys.tcr & tcr::A1 != 0 {
        s.sys.ttbr1
    } else {
        s.sys.ttbr0
    };
    (base >> 48) as u32 & asid_mask(s)
}

/// The bits that an ASID has.
pub fn asid_mask(s: &Cpu) -> u32 {
    if s.sys.tcr & tcr::AS != 0 { 0xffff } else { 0xff }
}

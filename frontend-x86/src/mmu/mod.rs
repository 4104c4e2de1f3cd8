//! Paging (SDM 3, chapter 4): from a linear address to a physical one, or a fault.
//!
//! [`tables`] goes through the paging structures. Here is what follows from what it finds: rights, the accessed and dirty
//! flags, and what the engine is told. Room for nested paging: contexts and flushes name their regime.

mod probe;
mod tables;
#[cfg(test)]
mod tests;

pub use probe::{probe, ranges};

use crate::fault::{self, gp, pf};
use crate::model::{Model, is_canonical};
use crate::platform::SMM;
use crate::state::bits::{cr0, cr4, efer, eflags};
use crate::state::{Cpu, mode, pending};
use emu_ir::{Access, Bus, Context, Fault, Flush, Page};
use tables::{Failed, Used, Walk, Walked, entry};

/// Accesses at the current privilege level.
pub const CURRENT: u8 = 0;
/// Implicit accesses of the supervisor: to descriptor tables and the TSS, whatever the level (SDM 3, 4.6.1).
pub const SYSTEM: u8 = 1;

/// How addresses are translated (SDM 3, 4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paging {
    /// They are physical.
    None,
    /// 32-bit paging.
    Bits32,
    /// PAE paging.
    Pae,
    /// 4-level paging.
    Level4,
    /// 5-level paging.
    Level5,
}

impl Paging {
    /// The one in use.
    pub fn of(cpu: &Cpu) -> Paging {
        let s = &cpu.sys;
        let set = |bit| s.cr4 & bit != 0;
        match (s.cr0 & cr0::PG != 0, s.efer & efer::LMA != 0) {
            (false, _) => Paging::None,
            (true, true) if set(cr4::LA57) => Paging::Level5,
            (true, true) => Paging::Level4,
            (true, false) if set(cr4::PAE) => Paging::Pae,
            (true, false) => Paging::Bits32,
        }
    }
    /// Bits of a linear address.
    pub const fn bits(self) -> u32 {
        match self {
            Paging::None | Paging::Bits32 | Paging::Pae => 32,
            Paging::Level4 => 48,
            Paging::Level5 => 57,
        }
    }
}

/// Whether an address is one that there is in the current mode: always, outside of long mode.
pub fn is_valid(cpu: &Cpu, addr: u64) -> bool {
    let bits = Paging::of(cpu).bits();
    bits == 32 || is_canonical(addr, bits)
}

/// A physical address as it leaves the processor: with A20M# asserted, bit 20 of it is 0; system management mode sees memory
/// of its own.
pub fn physical(cpu: &Cpu, addr: u64) -> u64 {
    let masked = if cpu.sys.pending & pending::A20M != 0 {
        addr & !(1 << 20)
    } else {
        addr
    };
    let view = if cpu.mode & mode::SMM != 0 { SMM } else { 0 };
    masked | view
}

/// As whom an access is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// A program at a privilege level: 3 is user mode, the others are supervisor mode.
    Level(u8),
    /// The processor itself, in supervisor mode whatever the level.
    System,
}

impl Who {
    /// Of an address space of [`emu_ir::Guest::walk`].
    pub fn of(cpu: &Cpu, idx: u8) -> Who {
        if idx == SYSTEM {
            Who::System
        } else {
            Who::Level(cpu.cpl())
        }
    }
    /// User mode.
    pub fn is_user(self) -> bool {
        self == Who::Level(3)
    }
    /// SMAP keeps it from user pages (SDM 3, 4.6.1).
    fn is_kept_out(self, cpu: &Cpu) -> bool {
        let smap = cpu.sys.cr4 & cr4::SMAP != 0;
        let lifted = self != Who::System && cpu.eflags & eflags::AC != 0;
        smap && !self.is_user() && !lifted
    }
}

/// How often tables are looked at anew that changed before their flags were noted. Memory does not change as often
/// meanwhile: a device's registers may.
const TRIES: usize = 1000;

/// Translates an address for an access, with all that it brings about.
///
/// # Errors
/// The fault to raise.
pub fn translate(
    cpu: &Cpu,
    model: &Model,
    bus: &mut dyn Bus,
    addr: u64,
    access: Access,
    who: Who,
) -> Result<Page, Fault> {
    let paging = Paging::of(cpu);
    let va = if paging.bits() == 32 { addr & 0xffff_ffff } else { addr };
    if paging == Paging::None {
        return Ok(flat(cpu, va));
    }
    if !is_valid(cpu, va) {
        return Err(if access == Access::Execute {
            gp(0)
        } else {
            fault::non_canonical(va)
        });
    }
    let walk = Walk::new(cpu, model, paging);
    for _ in 0..TRIES {
        let error = |code| fault::page(va, code | whose(cpu, access, who));
        let walked = walk.run(bus, va).map_err(|why| {
            error(match why {
                Failed::Absent => 0,
                Failed::Reserved => pf::P | pf::RSVD,
            })
        })?;
        let rights = Rights::of(cpu, &walked, who);
        if !rights.allow(access) {
            let key = if forbidden_by_key(cpu, &walked, access, who) {
                pf::PK
            } else {
                0
            };
            return Err(error(pf::P | key));
        }
        if let Some(leaf) = note(bus, &walked, access) {
            return Ok(page(cpu, &walked, leaf, rights, va));
        }
    }
    Err(fault::MC)
}

/// Without paging, linear addresses are physical.
fn flat(cpu: &Cpu, va: u64) -> Page {
    Page {
        phys: physical(cpu, va & !0xfff),
        read: true,
        write: true,
        exec: true,
        global: false,
        strict: false,
        size: 12,
        marked: false,
    }
}

/// The bits of an error code that say what was tried (SDM 3, 4.7).
fn whose(cpu: &Cpu, access: Access, who: Who) -> u32 {
    let s = &cpu.sys;
    let fetches = s.cr4 & cr4::SMEP != 0 || s.cr4 & cr4::PAE != 0 && s.efer & efer::NXE != 0;
    let what = match access {
        Access::Execute if !fetches => 0,
        _ => fault::access(access),
    };
    what | if who.is_user() { pf::U } else { 0 }
}

/// What is allowed (SDM 3, 4.6.1).
#[derive(Clone, Copy)]
struct Rights {
    read: bool,
    write: bool,
    exec: bool,
}

impl Rights {
    fn of(cpu: &Cpu, walked: &Walked, who: Who) -> Rights {
        let protects = cpu.sys.cr0 & cr0::WP != 0;
        let by_key = |access| !forbidden_by_key(cpu, walked, access, who);
        if who.is_user() {
            return Rights {
                read: walked.user && by_key(Access::Read),
                write: walked.user && walked.writable && by_key(Access::Write),
                exec: walked.user && !walked.no_execute,
            };
        }
        let smep = cpu.sys.cr4 & cr4::SMEP != 0;
        let data = !(walked.user && who.is_kept_out(cpu));
        Rights {
            read: data && by_key(Access::Read),
            write: data && (walked.writable || !protects) && by_key(Access::Write),
            exec: !(walked.no_execute || walked.user && smep),
        }
    }
    fn allow(self, access: Access) -> bool {
        match access {
            Access::Read => self.read,
            Access::Write => self.write,
            Access::Execute => self.exec,
        }
    }
}

/// Whether PKRU is in effect.
fn has_keys(cpu: &Cpu) -> bool {
    cpu.sys.cr4 & cr4::PKE != 0 && cpu.sys.efer & efer::LMA != 0
}

/// Whether the protection key of a user page forbids an access (SDM 3, 4.6.2).
fn forbidden_by_key(cpu: &Cpu, walked: &Walked, access: Access, who: Who) -> bool {
    if !has_keys(cpu) || !walked.user || access == Access::Execute {
        return false;
    }
    let key = walked.leaf() >> 59 & 15;
    let (no_access, no_write) = (cpu.sys.pkru >> (2 * key) & 1 != 0, cpu.sys.pkru >> (2 * key) & 2 != 0);
    let writes = access == Access::Write && (who.is_user() || cpu.sys.cr0 & cr0::WP != 0);
    no_access || no_write && writes
}

/// Sets the accessed flags, and for a write the dirty flag, each if the entry is still what it was (SDM 3, 4.8); what the
/// last one is then. `None`: one has changed, and all is to be looked at anew.
fn note(bus: &mut dyn Bus, walked: &Walked, access: Access) -> Option<u64> {
    let mut leaf = walked.leaf();
    for (n, &Used { at, value }) in walked.used.iter().enumerate().take(walked.count) {
        let last = n + 1 == walked.count;
        let dirty = if last && access == Access::Write { entry::D } else { 0 };
        let new = value | entry::A | dirty;
        if last {
            leaf = new;
        }
        if new != value {
            let held = bus.compare_exchange(at, walked.entry_size, value, new);
            if held.is_some_and(|held| held != value) {
                return None;
            }
        }
    }
    Some(leaf)
}

fn page(cpu: &Cpu, walked: &Walked, leaf: u64, rights: Rights, va: u64) -> Page {
    let within = (1 << walked.size) - 1;
    Page {
        phys: physical(cpu, (walked.base | va & within) & !0xfff),
        read: rights.read,
        // The first write is to come here, for the dirty flag.
        write: rights.write && leaf & entry::D != 0,
        exec: rights.exec,
        global: leaf & entry::G != 0 && cpu.sys.cr4 & cr4::PGE != 0,
        strict: false,
        size: walked.size as u8,
        marked: false,
    }
}

/// [`emu_ir::Guest::walk`].
///
/// # Errors
/// The fault to raise.
pub fn walk(cpu: &Cpu, model: &Model, bus: &mut dyn Bus, va: u64, access: Access, idx: u8) -> Result<Page, Fault> {
    translate(cpu, model, bus, va, access, Who::of(cpu, idx))
}

/// The current address space: PCID, 0 where there are none.
pub fn asid(cpu: &Cpu) -> u32 {
    if cpu.sys.cr4 & cr4::PCIDE != 0 {
        cpu.sys.cr3 as u32 & 0xfff
    } else {
        0
    }
}

/// [`emu_ir::Guest::context`]: all that a walk depends on besides memory. The words are where tables are, in PAE paging the
/// four registers; control bits with privilege; PKRU. What has no effect at a privilege level is left out, so that levels
/// share what they can.
pub fn context(cpu: &Cpu, idx: u8) -> Context {
    const SMM: u64 = 1 << 57;
    const USER: u64 = 1 << 58;
    const KEPT_OUT: u64 = 1 << 59;
    const A20M: u64 = 1 << 60;
    let s = &cpu.sys;
    let flag = |on: bool, bit: u64| if on { bit } else { 0 };
    let outside = flag(s.pending & pending::A20M != 0, A20M) | flag(cpu.mode & mode::SMM != 0, SMM);
    let paging = Paging::of(cpu);
    if paging == Paging::None {
        return Context {
            rest: [0, 0, 0, 0, outside, 0],
            ..Context::default()
        };
    }
    let who = Who::of(cpu, idx);
    let by_all = s.cr0 & cr0::PG | s.efer & (efer::NXE | efer::LMA) | (s.cr4 & CR4) << 32;
    let by_level = match who.is_user() {
        true => USER,
        false => s.cr0 & cr0::WP | flag(who.is_kept_out(cpu), KEPT_OUT) | (s.cr4 & cr4::SMEP) << 32,
    };
    let [a, b, c, d] = match paging {
        Paging::Pae => s.pdpte,
        Paging::Bits32 => [s.cr3 & 0xffff_f000, 0, 0, 0],
        _ => [s.cr3 & entry::ADDRESS, 0, 0, 0],
    };
    let keys = if has_keys(cpu) { s.pkru } else { 0 };
    Context {
        asid: asid(cpu),
        rest: [a, b, c, d, by_all | by_level | outside, keys.into()],
        ..Context::default()
    }
}
/// Bits of CR4 that every walk depends on.
const CR4: u64 = cr4::PSE | cr4::PAE | cr4::PGE | cr4::LA57 | cr4::PKE;

/// INVLPG: what is to be forgotten; of an address that is not canonical nothing (SDM 2, INVLPG).
///
/// # Errors
/// #GP(0) above level 0.
pub fn invlpg(cpu: &Cpu, addr: u64) -> Result<Option<Flush>, Fault> {
    if cpu.cpl() != 0 {
        return Err(gp(0));
    }
    let addr = if cpu.mode & mode::CODE64 != 0 {
        addr
    } else {
        addr & 0xffff_ffff
    };
    Ok(is_valid(cpu, addr).then(|| Flush::page(addr, Some(asid(cpu)))))
}

/// INVPCID of a type and a descriptor, which has a PCID and an address (SDM 2, INVPCID).
///
/// # Errors
/// #GP(0) where the type or the descriptor is none, and above level 0.
pub fn invpcid(cpu: &Cpu, kind: u64, [pcid, addr]: [u64; 2]) -> Result<Flush, Fault> {
    let single = kind < 2;
    let other = single && cpu.sys.cr4 & cr4::PCIDE == 0 && pcid != 0;
    if cpu.cpl() != 0 || pcid > 0xfff || other || kind == 0 && !is_valid(cpu, addr) {
        return Err(gp(0));
    }
    match kind {
        0 => Ok(Flush::page(addr, Some(pcid as u32))),
        1 => Ok(Flush::asid(pcid as u32)),
        // All contexts, with global translations or without, which may be forgotten as well.
        2 | 3 => Ok(Flush::ALL),
        _ => Err(gp(0)),
    }
}

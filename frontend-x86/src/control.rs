//! Control and debug registers (SDM 2, MOV to and from control and debug registers, LMSW, SMSW, CLTS, XSETBV; SDM 3, 2.5, 4.1,
//! 9.8.5 and 18.2).

use crate::fault::{UD, debug, gp};
use crate::memory::{Effects, Memory};
use crate::mmu::{self, Paging, physical};
use crate::model::Model;
use crate::segment::{is_long, kind};
use crate::state::bits::{cr0, cr4, dr6, dr7, efer, xcr0};
use crate::state::{Attributes, Cpu, mode, number};
use emu_ir::{Fault, Flush};

/// What is only for level 0.
///
/// # Errors
/// #GP(0).
pub fn privileged(cpu: &Cpu) -> Result<(), Fault> {
    if cpu.cpl() == 0 { Ok(()) } else { Err(gp(0)) }
}

/// MOV from a control register but for CR8, which is the local APIC's.
///
/// # Errors
/// #UD where there is none of the number, #GP(0) above level 0.
pub fn read_cr(cpu: &Cpu, n: u8) -> Result<u64, Fault> {
    let s = &cpu.sys;
    let value = match n {
        0 => s.cr0,
        2 => s.cr2,
        3 => s.cr3,
        4 => s.cr4,
        _ => return Err(UD),
    };
    privileged(cpu)?;
    Ok(value)
}

/// MOV to a control register but for CR8.
///
/// # Errors
/// As [`read_cr`]; #GP(0) of a value that it cannot hold.
pub fn write_cr(m: &mut Memory, cpu: &mut Cpu, n: u8, value: u64) -> Result<(), Fault> {
    if !matches!(n, 0 | 2 | 3 | 4) {
        return Err(UD);
    }
    privileged(cpu)?;
    match n {
        0 => write_cr0(m, cpu, value),
        3 => write_cr3(m, cpu, value),
        4 => write_cr4(m, cpu, value),
        _ => {
            cpu.sys.cr2 = value;
            Ok(())
        }
    }
}

/// The task priority that MOV to CR8 gives the local APIC.
///
/// # Errors
/// #GP(0) above level 0, and of a value above 15.
pub fn priority(cpu: &Cpu, value: u64) -> Result<u8, Fault> {
    privileged(cpu)?;
    u8::try_from(value).ok().filter(|&v| v < 16).ok_or(gp(0))
}

const CR0: u64 = cr0::PE | cr0::MP | cr0::EM | cr0::TS | cr0::NE | cr0::WP | cr0::AM | cr0::NW | cr0::CD | cr0::PG;

fn write_cr0(m: &mut Memory, cpu: &mut Cpu, value: u64) -> Result<(), Fault> {
    let set = |bit: u64| value & bit != 0;
    let high = value >> 32 != 0;
    if high || set(cr0::PG) && !set(cr0::PE) || set(cr0::NW) && !set(cr0::CD) {
        return Err(gp(0));
    }
    let new = value & CR0 | cr0::ET;
    let changed = cpu.sys.cr0 ^ new;
    let mut next = *cpu;
    next.sys.cr0 = new;
    if changed & cr0::PG != 0 {
        change_paging(&mut next, cpu)?;
    }
    if changed & (cr0::PG | cr0::CD | cr0::NW) != 0 {
        load_pdptes(m, &mut next)?;
    }
    if changed & cr0::PG != 0 {
        m.effects.add(flush_all());
    }
    *cpu = next;
    cpu.settle();
    Ok(())
}

/// CR0.PG changes: long mode is entered or left where EFER.LME says so (SDM 3, 9.8.5).
fn change_paging(next: &mut Cpu, cpu: &Cpu) -> Result<(), Fault> {
    let (s, code64) = (&mut next.sys, cpu.mode & mode::CODE64 != 0);
    if s.cr0 & cr0::PG == 0 {
        if code64 || s.cr4 & cr4::PCIDE != 0 {
            return Err(gp(0));
        }
        s.efer &= !efer::LMA;
    } else if s.efer & efer::LME != 0 {
        let of_16 = matches!(s.tr.attributes & 0x1f, t if t == kind::TSS16 || t == kind::TSS16 | kind::BUSY);
        let code = cpu.segment(number::CS);
        if s.cr4 & cr4::PAE == 0 || code.has(Attributes::L) || of_16 && s.tr.has(Attributes::P) {
            return Err(gp(0));
        }
        s.efer |= efer::LMA;
    }
    Ok(())
}

const fn flush_all() -> Effects {
    Effects {
        flush: Some(Flush::ALL),
        traps: false,
    }
}

/// The four PDPTE registers from memory, where PAE paging is in use (SDM 3, 4.4.1).
fn load_pdptes(m: &mut Memory, cpu: &mut Cpu) -> Result<(), Fault> {
    if Paging::of(cpu) != Paging::Pae {
        return Ok(());
    }
    let table = cpu.sys.cr3 & 0xffff_ffe0;
    let reserved = 0x1e6 | !m.model.address_mask();
    let mut pdpte = [0; 4];
    for (n, entry) in pdpte.iter_mut().enumerate() {
        let at = physical(cpu, table + 8 * n as u64);
        *entry = m.bus().load(at, 8).unwrap_or(u64::MAX);
        if *entry & 1 != 0 && *entry & reserved != 0 {
            return Err(gp(0));
        }
    }
    cpu.sys.pdpte = pdpte;
    Ok(())
}

/// Bit 63 of what is written to CR3 with PCIDs: nothing is to be forgotten.
const KEEP: u64 = 1 << 63;

fn write_cr3(m: &mut Memory, cpu: &mut Cpu, value: u64) -> Result<(), Fault> {
    if is_long(cpu) {
        let keep = if cpu.sys.cr4 & cr4::PCIDE != 0 { KEEP } else { 0 };
        if value & !m.model.address_mask() & !keep != 0 {
            return Err(gp(0));
        }
    }
    load_cr3(m, cpu, value)
}

/// CR3 is loaded, by MOV or a task switch.
///
/// # Errors
/// #GP(0) of a PDPTE with reserved bits set; CR3 is what it was then.
pub(crate) fn load_cr3(m: &mut Memory, cpu: &mut Cpu, value: u64) -> Result<(), Fault> {
    let keeps = cpu.sys.cr4 & cr4::PCIDE != 0 && value & KEEP != 0;
    let before = std::mem::replace(&mut cpu.sys.cr3, value & !KEEP);
    if let Err(fault) = load_pdptes(m, cpu) {
        cpu.sys.cr3 = before;
        return Err(fault);
    }
    if !keeps && cpu.sys.cr0 & cr0::PG != 0 {
        m.effects.add(Effects {
            flush: Some(Flush::asid(mmu::asid(cpu))),
            traps: false,
        });
    }
    Ok(())
}

/// Bits of CR4, each with the feature that it is there with (SDM 3, 2.5).
const CR4: [(u64, &str); 18] = [
    (cr4::VME | cr4::PVI, "vme"),
    (cr4::TSD, "tsc"),
    (cr4::DE, "de"),
    (cr4::PSE, "pse"),
    (cr4::PAE, "pae"),
    (cr4::MCE, "mce"),
    (cr4::PGE, "pge"),
    // RDPMC came with the processors that have MMX.
    (cr4::PCE, "mmx"),
    (cr4::OSFXSR, "fxsr"),
    (cr4::OSXMMEXCPT, "sse"),
    (cr4::UMIP, "umip"),
    (cr4::LA57, "la57"),
    (cr4::FSGSBASE, "fsgsbase"),
    (cr4::PCIDE, "pcid"),
    (cr4::OSXSAVE, "xsave"),
    (cr4::SMEP, "smep"),
    (cr4::SMAP, "smap"),
    (cr4::PKE, "pku"),
];

/// The bits of a register that a CPU has.
fn there(model: &Model, bits: &[(u64, &str)]) -> u64 {
    let has = bits.iter().filter(|(_, feature)| model.has(feature));
    has.fold(0, |all, (bits, _)| all | bits)
}

/// Whether CR4 can hold a value, in long mode or outside of it.
pub(crate) fn can_hold_cr4(model: &Model, value: u64, long: bool) -> bool {
    value & !there(model, &CR4) == 0 && (!long || value & cr4::PAE != 0)
}

fn write_cr4(m: &mut Memory, cpu: &mut Cpu, value: u64) -> Result<(), Fault> {
    /// What a change of makes paging another.
    const PAGING: u64 = cr4::PAE | cr4::PGE | cr4::PSE | cr4::SMEP | cr4::LA57;
    let (long, old) = (is_long(cpu), cpu.sys.cr4);
    let changed = old ^ value;
    let now = changed & value;
    let leaves = long && changed & cr4::LA57 != 0;
    let numbers = now & cr4::PCIDE != 0 && (!long || cpu.sys.cr3 & 0xfff != 0);
    if !can_hold_cr4(m.model, value, long) || leaves || numbers {
        return Err(gp(0));
    }
    cpu.sys.cr4 = value;
    if changed & (cr4::PAE | cr4::PGE | cr4::PSE | cr4::SMEP) != 0
        && let Err(fault) = load_pdptes(m, cpu)
    {
        cpu.sys.cr4 = old;
        return Err(fault);
    }
    if changed & PAGING != 0 || changed & old & cr4::PCIDE != 0 {
        m.effects.add(flush_all());
    }
    cpu.settle();
    Ok(())
}

/// LMSW: the low four bits of CR0, of which PE can only be set.
///
/// # Errors
/// #GP(0) above level 0.
pub fn lmsw(m: &mut Memory, cpu: &mut Cpu, value: u16) -> Result<(), Fault> {
    privileged(cpu)?;
    const BITS: u64 = cr0::PE | cr0::MP | cr0::EM | cr0::TS;
    let old = cpu.sys.cr0;
    write_cr0(m, cpu, old & !BITS | u64::from(value) & BITS | old & cr0::PE)
}

/// SMSW: CR0, of which a destination takes what it has room for.
///
/// # Errors
/// #GP(0) where CR4.UMIP keeps it from this level.
pub fn smsw(cpu: &Cpu) -> Result<u64, Fault> {
    crate::segment::may_store(cpu)?;
    Ok(cpu.sys.cr0)
}

/// CLTS.
///
/// # Errors
/// #GP(0) above level 0.
pub fn clts(cpu: &mut Cpu) -> Result<(), Fault> {
    privileged(cpu)?;
    cpu.sys.cr0 &= !cr0::TS;
    cpu.settle();
    Ok(())
}

/// XSETBV: ECX and EDX:EAX.
///
/// # Errors
/// #UD where XSAVE is not on, #GP(0) above level 0, of another register than XCR0, and of a value that it cannot hold.
pub fn xsetbv(cpu: &mut Cpu, model: &Model, index: u32, value: u64) -> Result<(), Fault> {
    if cpu.sys.cr4 & cr4::OSXSAVE == 0 {
        return Err(UD);
    }
    privileged(cpu)?;
    const BITS: [(u64, &str); 4] = [
        (xcr0::X87, "fpu"),
        (xcr0::SSE, "sse"),
        (xcr0::AVX, "avx"),
        (xcr0::PKRU, "pku"),
    ];
    let avx_alone = value & xcr0::AVX != 0 && value & xcr0::SSE == 0;
    if index != 0 || value & !there(model, &BITS) != 0 || value & xcr0::X87 == 0 || avx_alone {
        return Err(gp(0));
    }
    cpu.sys.xcr0 = value;
    cpu.settle();
    Ok(())
}

/// EFER is written: LMA stays what it is.
///
/// # Errors
/// #GP(0) of bits that the CPU does not have, and of LME that changes under paging.
pub(crate) fn write_efer(cpu: &mut Cpu, model: &Model, value: u64) -> Result<(), Fault> {
    const BITS: [(u64, &str); 4] = [
        (efer::SCE, "syscall"),
        (efer::LME | efer::LMA, "lm"),
        (efer::NXE, "nx"),
        (efer::FFXSR, "fxsr-opt"),
    ];
    let changed = cpu.sys.efer ^ value;
    let enabled = cpu.sys.cr0 & cr0::PG != 0;
    if value & !there(model, &BITS) != 0 || changed & efer::LME != 0 && enabled {
        return Err(gp(0));
    }
    cpu.sys.efer = value & !efer::LMA | cpu.sys.efer & efer::LMA;
    cpu.settle();
    Ok(())
}

/// The debug register of a number: 4 and 5 are 6 and 7, unless CR4.DE is set.
fn debug_register(cpu: &Cpu, n: u8) -> Result<u8, Fault> {
    let n = match n {
        4 | 5 if cpu.sys.cr4 & cr4::DE != 0 => return Err(UD),
        4 | 5 => n + 2,
        0..=7 => n,
        _ => return Err(UD),
    };
    privileged(cpu)?;
    if cpu.sys.dr7 & dr7::GD != 0 {
        return Err(debug(dr6::BD));
    }
    Ok(n)
}

/// MOV from a debug register.
///
/// # Errors
/// #UD where there is none of the number, #GP(0) above level 0, #DB where DR7.GD is set.
pub fn read_dr(cpu: &Cpu, n: u8) -> Result<u64, Fault> {
    let s = &cpu.sys;
    Ok(match debug_register(cpu, n)? {
        6 => s.dr6,
        7 => s.dr7,
        n => s.dr.get(usize::from(n)).copied().unwrap_or(0),
    })
}

/// MOV to a debug register; what follows.
///
/// # Errors
/// As [`read_dr`]; #GP(0) of DR6 and DR7 with bits in the upper half.
pub fn write_dr(cpu: &mut Cpu, n: u8, value: u64) -> Result<Effects, Fault> {
    let n = debug_register(cpu, n)?;
    if n >= 6 && value >> 32 != 0 {
        return Err(gp(0));
    }
    const DR6: u64 = (dr6::B | dr6::BD | dr6::BS | dr6::BT) as u64;
    match n {
        6 => cpu.sys.dr6 = value & DR6 | u64::from(dr6::FIXED),
        7 => cpu.sys.dr7 = value & dr7::WRITABLE | dr7::FIXED,
        n => {
            if let Some(dr) = cpu.sys.dr.get_mut(usize::from(n)) {
                *dr = value;
            }
        }
    }
    Ok(Effects {
        flush: None,
        traps: true,
    })
}

#[cfg(test)]
mod tests;

//! Short-descriptor translation tables (Arm ARM DDI 0406C, B3.5).

use super::attributes::Attributes;
use super::translation::{Rights, Translation, descriptor, permissions};
use crate::cp15::{sctlr, ttbcr};
use crate::fault::{Kind, Status};
use crate::state::Cpu;
use emu_ir::Bus;

/// A leaf of the tables, its fields gathered from where the format scatters them.
struct Leaf {
    phys: u64,
    /// AP\[2:0\].
    ap: u32,
    tex_cb: u32,
    shareable: bool,
    global: bool,
    xn: bool,
    pxn: bool,
    size: u8,
}

/// Finds the leaf for `va`: the translation, and the status of a denied access. The order of checks is that of B3.13.2.
pub(super) fn lookup(s: &Cpu, bus: &mut dyn Bus, va: u32, user: bool) -> Result<(Translation, Status), Status> {
    let first = descriptor(s, bus, first_level(s, va)?, 4, 1)? as u32;
    let domain = if first & 3 != 1 && first >> 18 & 1 != 0 {
        0
    } else {
        first >> 5 & 15
    };
    let (leaf, level) = match first & 3 {
        0 => return Err(Status::new(Kind::Translation, 1)),
        1 => (
            second_level(s, bus, first, va).map_err(|status| status.domain(domain))?,
            2,
        ),
        _ => (section(first, va), 1),
    };
    let fault = |kind| Status::new(kind, level).domain(domain);
    let simple = s.cp15.sctlr & sctlr::AFE != 0;
    let (rights, denied) = match s.cp15.dacr >> (2 * domain) & 3 {
        _ if simple && leaf.ap & 1 == 0 => (Rights::default(), Kind::AccessFlag),
        1 => {
            let rights = Rights {
                xn: leaf.xn,
                pxn: leaf.pxn,
                ..access_permissions(leaf.ap, simple)
            };
            (rights, Kind::Permission)
        }
        3 => {
            let rights = Rights {
                user: (true, true),
                kernel: (true, true),
                xn: false,
                pxn: false,
            };
            (rights, Kind::Permission)
        }
        _ => (Rights::default(), Kind::Domain),
    };
    let (read, write, exec) = permissions(s, rights, user);
    let t = Translation {
        phys: leaf.phys,
        read,
        write,
        exec,
        global: leaf.global,
        guarded: false,
        size: leaf.size,
        attributes: Attributes::short(s, leaf.tex_cb, leaf.shareable),
    };
    Ok((t, fault(denied)))
}

/// The address of the first-level descriptor, through TTBR0 or TTBR1.
fn first_level(s: &Cpu, va: u32) -> Result<u64, Status> {
    let c = &s.cp15;
    let n = c.ttbcr & 7;
    let low = n == 0 || va >> (32 - n) == 0;
    let (base, disabled, n) = match low {
        true => (c.ttbr0 as u32, c.ttbcr & ttbcr::PD0 != 0, n),
        false => (c.ttbr1 as u32, c.ttbcr & ttbcr::PD1 != 0, 0),
    };
    if disabled {
        return Err(Status::new(Kind::Translation, 1));
    }
    let size = 14 - n;
    let index = (va << n >> n) >> 20;
    Ok((base >> size << size | index << 2).into())
}

fn section(d: u32, va: u32) -> Leaf {
    let supersection = d >> 18 & 1 != 0;
    let phys = if supersection {
        let high = u64::from(d >> 20 & 15 | (d >> 5 & 15) << 4);
        high << 32 | u64::from(d & 0xff00_0000 | va & 0x00ff_ffff)
    } else {
        (d & 0xfff0_0000 | va & 0x000f_ffff).into()
    };
    Leaf {
        phys,
        ap: d >> 10 & 3 | (d >> 15 & 1) << 2,
        tex_cb: (d >> 12 & 7) << 2 | d >> 2 & 3,
        shareable: d >> 16 & 1 != 0,
        global: d >> 17 & 1 == 0,
        xn: d >> 4 & 1 != 0,
        pxn: d & 1 != 0,
        size: if supersection { 24 } else { 20 },
    }
}

fn second_level(s: &Cpu, bus: &mut dyn Bus, first: u32, va: u32) -> Result<Leaf, Status> {
    let at = first & !0x3ff | (va >> 12 & 0xff) << 2;
    let d = descriptor(s, bus, at.into(), 4, 2)? as u32;
    let (phys, xn, tex) = match d & 3 {
        0 => return Err(Status::new(Kind::Translation, 2)),
        1 => (d & 0xffff_0000 | va & 0xffff, d >> 15 & 1, d >> 12 & 7),
        _ => (d & 0xffff_f000 | va & 0xfff, d & 1, d >> 6 & 7),
    };
    Ok(Leaf {
        phys: phys.into(),
        ap: d >> 4 & 3 | (d >> 9 & 1) << 2,
        tex_cb: tex << 2 | d >> 2 & 3,
        shareable: d >> 10 & 1 != 0,
        global: d >> 11 & 1 == 0,
        xn: xn != 0,
        pxn: first >> 2 & 1 != 0,
        size: if d & 3 == 1 { 16 } else { 12 },
    })
}

/// AP\[2:0\], or AP\[2:1\] with the access flag in use (tables B3-8 and B3-6).
fn access_permissions(ap: u32, simple: bool) -> Rights {
    let (kernel, user) = match (simple, ap) {
        (true, _) => {
            let write = ap & 4 == 0;
            let user = ap & 2 != 0;
            ((true, write), (user, user && write))
        }
        (false, 0b001) => ((true, true), (false, false)),
        (false, 0b010) => ((true, true), (true, false)),
        (false, 0b011) => ((true, true), (true, true)),
        (false, 0b101) => ((true, false), (false, false)),
        (false, 0b110 | 0b111) => ((true, false), (true, false)),
        (false, _) => ((false, false), (false, false)),
    };
    Rights {
        user,
        kernel,
        xn: false,
        pxn: false,
    }
}

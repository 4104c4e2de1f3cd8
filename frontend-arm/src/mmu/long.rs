//! Long-descriptor translation tables: the Large Physical Address Extension (Arm ARM DDI 0406C, B3.6).

use super::attributes::Attributes;
use super::translation::{Rights, Translation, descriptor, permissions};
use crate::cp15::ttbcr;
use crate::fault::{Kind, Status};
use crate::state::Cpu;
use emu_ir::Bus;

/// Physical addresses have 40 bits.
const ADDRESS: u64 = 0xff_ffff_ffff;

/// Where a walk starts: the table's address, its level, and the highest bit of the address that it looks at.
struct Start {
    base: u64,
    level: u32,
    top: u32,
}

/// Restrictions that the tables on the way put on what lies below them.
#[derive(Default)]
struct Inherited {
    no_user: bool,
    read_only: bool,
    xn: bool,
    pxn: bool,
}

/// Finds the leaf for `va`: the translation, and the status of a denied access.
pub(super) fn lookup(s: &Cpu, bus: &mut dyn Bus, va: u32, user: bool) -> Result<(Translation, Status), Status> {
    let Start {
        mut base,
        level: first,
        mut top,
    } = start(s, va)?;
    let mut above = Inherited::default();
    for level in first..=3 {
        let low = 39 - 9 * level;
        let index = u64::from(va) & ((2 << top) - 1);
        let d = descriptor(s, bus, base | (index >> low) << 3, 8, level)?;
        match (d & 3, level) {
            (0 | 2, _) | (1, 3) => return Err(Status::new(Kind::Translation, level)),
            (3, 1 | 2) => {
                above.no_user |= d >> 61 & 1 != 0;
                above.read_only |= d >> 62 & 1 != 0;
                above.xn |= d >> 60 & 1 != 0;
                above.pxn |= d >> 59 & 1 != 0;
                base = d & ADDRESS & !0xfff;
                top = low - 1;
            }
            _ => return leaf(s, d, va, level, &above, user),
        }
    }
    Err(Status::new(Kind::Translation, 3))
}

/// Chooses between TTBR0 and TTBR1 (B3.6.4).
fn start(s: &Cpu, va: u32) -> Result<Start, Status> {
    let c = &s.cp15;
    let (t0, t1) = (c.ttbcr & 7, c.ttbcr >> 16 & 7);
    let in0 = t0 == 0 || va >> (32 - t0) == 0;
    let in1 = if t1 == 0 { !in0 } else { !va >> (32 - t1) == 0 };
    let (base, size, disabled) = match (in0, in1) {
        (_, true) => (c.ttbr1, t1, c.ttbcr & ttbcr::EPD1 != 0),
        (true, _) => (c.ttbr0, t0, c.ttbcr & ttbcr::EPD0 != 0),
        _ => return Err(Status::new(Kind::Translation, 1)),
    };
    if disabled {
        return Err(Status::new(Kind::Translation, 1));
    }
    let level = if size < 2 { 1 } else { 2 };
    let low = 9 * level - size - 4;
    Ok(Start {
        base: base & ADDRESS & (u64::MAX << low),
        level,
        top: 31 - size,
    })
}

fn leaf(s: &Cpu, d: u64, va: u32, level: u32, above: &Inherited, user: bool) -> Result<(Translation, Status), Status> {
    let within = (1u64 << (39 - 9 * level)) - 1;
    let write = d >> 7 & 1 == 0 && !above.read_only;
    let pl0 = d >> 6 & 1 != 0 && !above.no_user;
    let (rights, denied) = if d >> 10 & 1 == 0 {
        (Rights::default(), Kind::AccessFlag)
    } else {
        let rights = Rights {
            user: (pl0, pl0 && write),
            kernel: (true, write),
            xn: d >> 54 & 1 != 0 || above.xn,
            pxn: d >> 53 & 1 != 0 || above.pxn,
        };
        (rights, Kind::Permission)
    };
    let (read, write, exec) = permissions(s, rights, user);
    let t = Translation {
        phys: d & ADDRESS & !within | u64::from(va) & within,
        read,
        write,
        exec,
        global: d >> 11 & 1 == 0,
        guarded: false,
        size: 39 - 9 * level as u8,
        attributes: Attributes::long(s, (d >> 2 & 7) as u32, (d >> 8 & 3) as u32),
    };
    Ok((t, Status::new(denied, level)))
}

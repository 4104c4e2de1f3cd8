//! Finds a register's row, in constant time.

use super::rows::ROWS;
use super::table::Reg;

/// No row.
const NONE: u8 = u8::MAX;
const _: () = assert!(ROWS.len() < NONE as usize);

/// Slots of the 32-bit registers: coprocessor (14, 15), CRn, opc1, CRm, opc2.
const NARROW: usize = 1 << 15;
/// Slots of the 64-bit registers: coprocessor (14, 15), opc1, CRm.
const WIDE: usize = 1 << 9;

const fn narrow(cp: u32, crn: u32, opc1: u32, crm: u32, opc2: u32) -> usize {
    ((cp & 1) << 14 | (crn & 15) << 10 | (opc1 & 7) << 7 | (crm & 15) << 3 | opc2 & 7) as usize
}

const fn wide(cp: u32, opc1: u32, crm: u32) -> usize {
    ((cp & 1) << 8 | (opc1 & 15) << 4 | crm & 15) as usize
}

struct Index {
    narrow: [u8; NARROW],
    wide: [u8; WIDE],
}

static INDEX: Index = build();

/// Fills the index; two rows in one place are a compile error.
#[expect(
    clippy::indexing_slicing,
    reason = "evaluated at compile time, where an index out of range is an error"
)]
const fn build() -> Index {
    let mut index = Index {
        narrow: [NONE; NARROW],
        wide: [NONE; WIDE],
    };
    let mut row = 0;
    while row < ROWS.len() {
        let at = &ROWS[row].at;
        let (cp, opc1) = (at.cp as u32, at.opc1 as u32);
        let mut crm = at.crm.0 as u32;
        while crm <= at.crm.1 as u32 {
            if at.wide {
                let slot = &mut index.wide[wide(cp, opc1, crm)];
                assert!(*slot == NONE, "two rows for one register");
                *slot = row as u8;
            } else {
                let mut opc2 = at.opc2.0 as u32;
                while opc2 <= at.opc2.1 as u32 {
                    let slot = &mut index.narrow[narrow(cp, at.crn as u32, opc1, crm, opc2)];
                    assert!(*slot == NONE, "two rows for one register");
                    *slot = row as u8;
                    opc2 += 1;
                }
            }
            crm += 1;
        }
        row += 1;
    }
    index
}

fn row(cp: u32, at: u8) -> Option<&'static Reg> {
    if cp & 14 == 14 { ROWS.get(at as usize) } else { None }
}

/// The row of a 32-bit register.
#[expect(
    clippy::indexing_slicing,
    reason = "`narrow` masks what it is given to the index's size"
)]
pub(super) fn find(cp: u32, crn: u32, opc1: u32, crm: u32, opc2: u32) -> Option<&'static Reg> {
    row(cp, INDEX.narrow[narrow(cp, crn, opc1, crm, opc2)])
}

/// The row of a 64-bit register.
#[expect(
    clippy::indexing_slicing,
    reason = "`wide` masks what it is given to the index's size"
)]
pub(super) fn find64(cp: u32, opc1: u32, crm: u32) -> Option<&'static Reg> {
    row(cp, INDEX.wide[wide(cp, opc1, crm)])
}

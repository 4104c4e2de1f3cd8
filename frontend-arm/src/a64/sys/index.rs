//! Finds a register's row, in constant time.

use super::rows::ROWS;
use super::table::Reg;

/// No row.
const NONE: u8 = u8::MAX;
const _: () = assert!(ROWS.len() < NONE as usize);

/// A slot for each encoding: op0:op1:CRn:CRm:op2, of op0 its low two bits.
static INDEX: [u8; 1 << 16] = build();

const fn slot(op0: u32, op1: u32, crn: u32, crm: u32, op2: u32) -> usize {
    ((op0 & 3) << 14 | (op1 & 7) << 11 | (crn & 15) << 7 | (crm & 15) << 3 | op2 & 7) as usize
}

/// Fills the index; two rows in one place are a compile error.
#[expect(
    clippy::indexing_slicing,
    reason = "evaluated at compile time, where an index out of range is an error"
)]
const fn build() -> [u8; 1 << 16] {
    let mut index = [NONE; 1 << 16];
    let mut row = 0;
    while row < ROWS.len() {
        let at = &ROWS[row].at;
        let mut crm = at.crm.0 as u32;
        while crm <= at.crm.1 as u32 {
            let mut op2 = at.op2.0 as u32;
            while op2 <= at.op2.1 as u32 {
                let slot = slot(at.op0 as u32, at.op1 as u32, at.crn as u32, crm, op2);
                assert!(index[slot] == NONE, "two rows for one register");
                index[slot] = row as u8;
                op2 += 1;
            }
            crm += 1;
        }
        row += 1;
    }
    index
}

/// The row of an encoding, [`super::encoding`].
pub(super) fn find(encoding: u32) -> Option<&'static Reg> {
    let row = INDEX.get(encoding as usize & 0xffff)?;
    ROWS.get(usize::from(*row))
}

//! The distributor's registers: IHI 0069, section 12.9.

use super::{GROUPS, GicV3, ID_BITS, IIDR, INTERRUPTS, PRIORITY, Reg, Row, SPI_ROWS};
use crate::bus::At;
use crate::irq::fields::{bytes, edges, set_bytes, set_edges};

/// GICD_CTLR.
mod ctlr {
    /// Affinity routing: always.
    pub const ARE: u32 = 1 << 4;
    /// One Security state: always.
    pub const DS: u32 = 1 << 6;
    /// Whether CPUs whose interface does not take group 1 are woken for interrupts that any may take: stored.
    pub const E1NWF: u32 = 1 << 7;
}

/// GICD_IROUTER: one of the CPUs that participate takes it.
pub(super) const ROUTE_ANY: u64 = 1 << 31;
/// The bits of GICD_IROUTER that are there: that, and Aff3 to Aff0.
const ROUTE: u64 = 0xff_0000_0000 | ROUTE_ANY | 0xff_ffff;

/// GICD_TYPER: the range selector of SGIs, affinity level 3, bits of a number, LPIs, rows of interrupts.
const TYPER: u32 = 1 << 26 | 1 << 24 | (ID_BITS - 1) << 19 | 1 << 17 | (INTERRUPTS / 32 - 1) as u32;
/// GICD_PIDR4 to 7, PIDR0 to 3, CIDR0 to 3: a GICv3 of Arm's.
const ID: [u8; 12] = [0x44, 0, 0, 0, 0x92, 0xb4, 0x3b, 0x00, 0x0d, 0xf0, 0x05, 0xb1];

/// Whether a register is the distributor's.
pub(super) fn has(reg: Reg) -> bool {
    (reg as u32) <= Reg::GICD_ID as u32
}

impl GicV3 {
    pub(super) fn read_distributor(&self, reg: Reg, n: usize) -> u64 {
        let of_row = |n: usize, get: fn(&Row) -> u32| self.spis(n).map_or(0, get);
        let value = match reg {
            Reg::GICD_CTLR => self.state.ctlr | ctlr::ARE | ctlr::DS,
            Reg::GICD_TYPER => TYPER,
            Reg::GICD_IIDR => IIDR,
            Reg::GICD_IGROUPR => of_row(n, |row| row.group),
            Reg::GICD_ISENABLER | Reg::GICD_ICENABLER => of_row(n, |row| row.enabled),
            Reg::GICD_ISPENDR | Reg::GICD_ICPENDR => {
                let row = self.spis(n);
                row.map_or(0, |row| row.pending(self.spi_input(n - 1)))
            }
            Reg::GICD_ISACTIVER | Reg::GICD_ICACTIVER => of_row(n, |row| row.active),
            Reg::GICD_IPRIORITYR => self.spis(n / 8).map_or(0, |row| bytes(&row.priority, n)),
            Reg::GICD_ICFGR => self.spis(n / 2).map_or(0, |row| edges(row.edge, n)),
            Reg::GICD_IROUTER if n < 32 * SPI_ROWS => return self.state.routes[n / 32][n % 32],
            Reg::GICD_ID => ID.get(n).copied().unwrap_or(0).into(),
            // What reads as zero; the others' registers do not come here.
            _ => 0,
        };
        value.into()
    }

    pub(super) fn write_distributor(&mut self, reg: Reg, at: At, value: u64) {
        let (n, word) = (at.n, value as u32);
        match reg {
            Reg::GICD_CTLR => self.state.ctlr = at.merge_u32(self.state.ctlr, word) & (GROUPS | ctlr::E1NWF),
            Reg::GICD_IGROUPR => self.change(n, |row| row.group = at.merge_u32(row.group, word)),
            Reg::GICD_ISENABLER => self.change(n, |row| row.enabled |= word),
            Reg::GICD_ICENABLER => self.change(n, |row| row.enabled &= !word),
            Reg::GICD_ISPENDR => self.change(n, |row| row.latched |= word),
            Reg::GICD_ICPENDR => self.change(n, |row| row.latched &= !word),
            Reg::GICD_ISACTIVER => self.change(n, |row| row.active |= word),
            Reg::GICD_ICACTIVER => self.change(n, |row| row.active &= !word),
            Reg::GICD_IPRIORITYR => self.change(n / 8, |row| set_priorities(row, at, word)),
            Reg::GICD_ICFGR => self.change(n / 2, |row| set_edges(&mut row.edge, at, word)),
            Reg::GICD_IROUTER if n < 32 * SPI_ROWS => {
                let route = &mut self.state.routes[n / 32][n % 32];
                *route = at.merge(*route, value) & ROUTE;
                self.resolve(n / 32, n % 32);
            }
            // What is fixed with one Security state and affinity routing, and read-only registers.
            _ => return,
        }
        self.mark_all();
    }

    /// Interrupts `32 * n ..`, of which the first 32 are the redistributors'.
    fn spis(&self, n: usize) -> Option<&Row> {
        (1..=SPI_ROWS).contains(&n).then(|| &self.state.spi[n - 1])
    }

    /// Changes a row; those that are not here ignore writes.
    fn change(&mut self, n: usize, change: impl FnOnce(&mut Row)) {
        if (1..=SPI_ROWS).contains(&n) {
            change(&mut self.state.spi[n - 1]);
        }
    }
}

/// Writes the priorities that `at` covers, as far as they have bits.
pub(super) fn set_priorities(row: &mut Row, at: At, value: u32) {
    let there = u32::from_le_bytes([PRIORITY; 4]);
    set_bytes(&mut row.priority, at, value & there);
}

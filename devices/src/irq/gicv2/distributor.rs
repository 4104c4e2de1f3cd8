//! The distributor's registers: IHI 0048B, section 4.3.

use super::{GicV2, INTERRUPTS, Reg, Row, SGIS};
use crate::bus::{At, Registers, misuse};
use crate::irq::fields::{bytes, edges, set_bytes, set_edges};

/// GICD_CTLR: both groups can be forwarded.
const CTLR_ALL: u32 = 3;
/// GICD_IIDR: Arm.
const IIDR: u32 = 0x0000_043b;
/// GICD_PIDR4 to 7, PIDR0 to 3, CIDR0 to 3: a GICv2 of Arm's.
const ID: [u8; 12] = [0x04, 0, 0, 0, 0x90, 0xb4, 0x2b, 0x00, 0x0d, 0xf0, 0x05, 0xb1];

impl GicV2 {
    pub(super) fn read_distributor(&mut self, reg: Reg, cpu: usize, n: usize) -> u32 {
        match reg {
            Reg::GICD_CTLR => self.state.ctlr,
            Reg::GICD_TYPER => (INTERRUPTS / 32 - 1) as u32 | (self.cpus as u32 - 1) << 5,
            Reg::GICD_IIDR => IIDR,
            Reg::GICD_IGROUPR => self.row(cpu, n).map_or(0, |row| row.group),
            Reg::GICD_ISENABLER | Reg::GICD_ICENABLER => self.row(cpu, n).map_or(0, |row| row.enabled),
            Reg::GICD_ISPENDR | Reg::GICD_ICPENDR => self.pending(cpu, n),
            Reg::GICD_ISACTIVER | Reg::GICD_ICACTIVER => self.row(cpu, n).map_or(0, |row| row.active),
            Reg::GICD_IPRIORITYR => self.row(cpu, n / 8).map_or(0, |row| bytes(&row.priority, n)),
            Reg::GICD_ITARGETSR => self.targets(cpu, n),
            Reg::GICD_ICFGR => self.row(cpu, n / 2).map_or(0, |row| edges(row.edge, n)),
            Reg::GICD_CPENDSGIR | Reg::GICD_SPENDSGIR => bytes(&self.state.sgi[cpu], n),
            Reg::GICD_ID => ID.get(n).copied().unwrap_or(0).into(),
            // GICD_NSACR; write-only registers and the CPU interface's do not come here.
            _ => 0,
        }
    }

    pub(super) fn write_distributor(&mut self, reg: Reg, cpu: usize, at: At, value: u32) {
        let n = at.n;
        // SGIs cannot be disabled, and are made pending by their own registers only.
        let not_sgi = if n == 0 { value & !SGIS } else { value };
        match reg {
            Reg::GICD_CTLR => self.state.ctlr = at.merge_u32(self.state.ctlr, value) & CTLR_ALL,
            Reg::GICD_IGROUPR => self.change(cpu, n, |row| row.group = at.merge_u32(row.group, value)),
            Reg::GICD_ISENABLER => self.change(cpu, n, |row| row.enabled |= value),
            Reg::GICD_ICENABLER => self.change(cpu, n, |row| row.enabled &= !not_sgi),
            Reg::GICD_ISPENDR => self.change(cpu, n, |row| row.latched |= not_sgi),
            Reg::GICD_ICPENDR => self.change(cpu, n, |row| row.latched &= !not_sgi),
            Reg::GICD_ISACTIVER => self.change(cpu, n, |row| row.active |= value),
            Reg::GICD_ICACTIVER => self.change(cpu, n, |row| row.active &= !value),
            Reg::GICD_IPRIORITYR => self.change(cpu, n / 8, |row| set_bytes(&mut row.priority, at, value)),
            // Those of private interrupts, and all of them with one CPU, are not looked at.
            Reg::GICD_ITARGETSR => {
                let there = 0x0101_0101 * ((1u32 << self.cpus) - 1);
                self.change(cpu, n / 8, |row| set_bytes(&mut row.targets, at, value & there));
            }
            Reg::GICD_ICFGR if n >= 1 => self.change(cpu, n / 2, |row| set_edges(&mut row.edge, at, value)),
            Reg::GICD_SGIR => self.send_sgi(cpu, value),
            Reg::GICD_CPENDSGIR => self.set_pending_sgis(cpu, n, |old, bits| old & !bits, value),
            Reg::GICD_SPENDSGIR => self.set_pending_sgis(cpu, n, |old, bits| old | bits, value),
            // Fixed bits, GICD_NSACR and read-only registers.
            _ => {}
        }
    }

    /// Changes a row; rows past the last interrupt ignore writes.
    fn change(&mut self, cpu: usize, n: usize, change: impl FnOnce(&mut Row)) {
        if let Some(row) = self.row(cpu, n) {
            change(row);
        }
    }

    /// GICD_ITARGETSR: with one CPU it reads as zero; private interrupts target the CPU that reads (4.3.12).
    fn targets(&mut self, cpu: usize, n: usize) -> u32 {
        match n {
            _ if self.cpus == 1 => 0,
            0..8 => 0x0101_0101 << cpu,
            _ => self.row(cpu, n / 8).map_or(0, |row| bytes(&row.targets, n)),
        }
    }

    /// GICD_SGIR: TargetListFilter in bits 24 and 25, CPUTargetList in 16 to 23, SGIINTID in 0 to 3.
    fn send_sgi(&mut self, cpu: usize, value: u32) {
        let id = (value & 0xf) as usize;
        let targets = match value >> 24 & 3 {
            0 => value >> 16 & 0xff,
            1 => !(1 << cpu),
            2 => 1 << cpu,
            _ => {
                let what = misuse::Misuse::BadValue("reserved TargetListFilter (no SGI sent)");
                return misuse::report(Self::MODEL, what, 0xf00, value.into());
            }
        };
        for target in (0..self.cpus).filter(|target| targets >> target & 1 != 0) {
            self.state.sgi[target][id] |= 1 << cpu;
            self.state.private[target].latched |= 1 << id;
        }
    }

    /// GICD_CPENDSGIR and GICD_SPENDSGIR: SGIs `4 * n ..`, a byte of sources each.
    fn set_pending_sgis(&mut self, cpu: usize, n: usize, change: fn(u8, u8) -> u8, value: u32) {
        let there = ((1u32 << self.cpus) - 1) as u8;
        for (id, bits) in (4 * n..).zip(value.to_le_bytes()) {
            let sources = &mut self.state.sgi[cpu][id];
            *sources = change(*sources, bits & there);
            let latched = &mut self.state.private[cpu].latched;
            *latched = *latched & !(1 << id) | u32::from(*sources != 0) << id;
        }
    }

    /// The row, in it the bit, of an interrupt. There is no such row for ids that are not there or special.
    pub(super) fn place(id: u32) -> (usize, u32) {
        (id as usize / 32, 1 << (id % 32))
    }
}

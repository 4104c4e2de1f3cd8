//! The redistributors' registers: IHI 0069, sections 12.10 and 12.11.

use super::distributor::set_priorities;
use super::{GROUPS, GicV3, IIDR, Reg, Row, SGIS};
use crate::bus::At;
use crate::irq::fields::{bytes, edges, set_edges};

/// GICR_CTLR.
mod ctlr {
    /// LPIs are taken.
    pub const ENABLE_LPIS: u32 = 1;
    /// DPG0 and DPG1NS: this CPU takes no interrupts of the group that any may take.
    pub const DPG_SHIFT: u32 = 24;
}

/// GICR_TYPER.
mod typer {
    /// There are physical LPIs.
    pub const PLPIS: u64 = 1;
    /// The last one.
    pub const LAST: u64 = 1 << 4;
    /// GICR_CTLR has DPG0 and DPG1NS.
    pub const DPGS: u64 = 1 << 5;
}

/// GICR_WAKER: ProcessorSleep, which can be written, and ChildrenAsleep, which follows at once.
mod waker {
    pub const PROCESSOR_SLEEP: u32 = 1 << 1;
    pub const CHILDREN_ASLEEP: u32 = 1 << 2;
}

/// GICR_PIDR4 to 7, PIDR0 to 3, CIDR0 to 3: a GICv3 of Arm's.
const ID: [u8; 12] = [0x44, 0, 0, 0, 0x93, 0xb4, 0x3b, 0x00, 0x0d, 0xf0, 0x05, 0xb1];

impl GicV3 {
    /// A register of CPU number `cpu`'s, whoever reads it; zero where there is no such CPU.
    pub(super) fn read_redistributor(&self, reg: Reg, cpu: usize, n: usize) -> u64 {
        if cpu >= self.cpus() {
            return 0;
        }
        let this = &self.state.cpus[cpu];
        let row = &this.private;
        let value = match reg {
            Reg::GICR_CTLR => u32::from(this.lpis.enabled) | this.declines << ctlr::DPG_SHIFT,
            Reg::GICR_IIDR => IIDR,
            Reg::GICR_TYPER => return self.redistributor_typer(cpu),
            Reg::GICR_WAKER if this.asleep => waker::PROCESSOR_SLEEP | waker::CHILDREN_ASLEEP,
            Reg::GICR_PROPBASER => return this.lpis.propbaser,
            Reg::GICR_PENDBASER => return this.lpis.pendbaser(),
            Reg::GICR_ID => ID.get(n).copied().unwrap_or(0).into(),
            Reg::GICR_IGROUPR0 => row.group,
            Reg::GICR_ISENABLER0 | Reg::GICR_ICENABLER0 => row.enabled,
            Reg::GICR_ISPENDR0 | Reg::GICR_ICPENDR0 => row.pending(self.inputs[cpu]),
            Reg::GICR_ISACTIVER0 | Reg::GICR_ICACTIVER0 => row.active,
            Reg::GICR_IPRIORITYR => bytes(&row.priority, n),
            Reg::GICR_ICFGR => edges(row.edge, n),
            // What reads as zero; the others' registers do not come here.
            _ => 0,
        };
        value.into()
    }

    fn redistributor_typer(&self, cpu: usize) -> u64 {
        let affinity = self.affinities.get(cpu).copied().unwrap_or(0);
        let last = if cpu + 1 == self.cpus() { typer::LAST } else { 0 };
        u64::from(affinity) << 32 | (cpu as u64) << 8 | typer::DPGS | last | typer::PLPIS
    }

    pub(super) fn write_redistributor(&mut self, reg: Reg, at: At, value: u64) {
        let cpu = at.frame;
        if cpu >= self.cpus() {
            return;
        }
        let word = value as u32;
        let this = &mut self.state.cpus[cpu];
        match reg {
            Reg::GICR_CTLR => {
                let old = this.declines << ctlr::DPG_SHIFT;
                let new = at.merge_u32(old, word);
                this.declines = new >> ctlr::DPG_SHIFT & GROUPS;
                if new & ctlr::ENABLE_LPIS != 0 {
                    self.enable_lpis(cpu);
                }
                return self.mark_all();
            }
            Reg::GICR_WAKER => {
                let old = if this.asleep { waker::PROCESSOR_SLEEP } else { 0 };
                this.asleep = at.merge_u32(old, word) & waker::PROCESSOR_SLEEP != 0;
                return self.mark_all();
            }
            Reg::GICR_PROPBASER => this.lpis.set_propbaser(at, value),
            Reg::GICR_PENDBASER => this.lpis.set_pendbaser(at, value),
            _ => write_private(&mut this.private, reg, at, word),
        }
        self.mark(cpu);
    }
}

/// Writes to the frame of SGIs and PPIs.
fn write_private(row: &mut Row, reg: Reg, at: At, value: u32) {
    match reg {
        Reg::GICR_IGROUPR0 => row.group = at.merge_u32(row.group, value),
        Reg::GICR_ISENABLER0 => row.enabled |= value,
        Reg::GICR_ICENABLER0 => row.enabled &= !value,
        Reg::GICR_ISPENDR0 => row.latched |= value,
        Reg::GICR_ICPENDR0 => row.latched &= !value,
        Reg::GICR_ISACTIVER0 => row.active |= value,
        Reg::GICR_ICACTIVER0 => row.active &= !value,
        Reg::GICR_IPRIORITYR => set_priorities(row, at, value),
        Reg::GICR_ICFGR => {
            set_edges(&mut row.edge, at, value);
            row.edge |= SGIS;
        }
        // What is fixed with one Security state, and read-only registers.
        _ => {}
    }
}

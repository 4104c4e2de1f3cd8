//! GICv2: Arm Generic Interrupt Controller Architecture Specification 2.0, IHI 0048B.
//!
//! Without the Security Extensions: both groups exist, and every access behaves as the manual describes Secure accesses
//! or says for a GIC without them. 16 SGIs, 16 PPIs and 256 SPIs, up to 8 CPUs, 8 bits of priority, no bypass inputs.
//!
//! One device with both register blocks: the distributor at offset 0, the CPU interface of whichever CPU accesses at
//! [`CPU_INTERFACE`]. A board maps the two blocks where it has them. A system programs this chip at every interrupt, so
//! the register table is indexed, interrupts are kept 32 to a word, and an update looks at nine words for each CPU.

mod distributor;
mod interface;
#[cfg(test)]
mod tests;

use crate::bus::{At, Bank, Controller, CpuInputs, CpuLine, Irq, Lines, Registers, Shared, Wiring};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Offset of the CPU interface's registers in the device.
pub const CPU_INTERFACE: u64 = 0x1_0000;
/// Most CPUs a GICv2 serves.
pub const MAX_CPUS: usize = 8;
/// Interrupts: SGIs 0 to 15, PPIs 16 to 31, SPIs 32 to 287.
pub const INTERRUPTS: usize = 32 * (1 + SPI_ROWS);

const SPI_ROWS: usize = 8;
/// The SGIs in a row of private interrupts.
const SGIS: u32 = 0xffff;
/// No interrupt (3.2.5).
const SPURIOUS: u32 = 1023;
/// The interrupt belongs to the other group (3.2.5).
const OTHER_GROUP: u32 = 1022;
/// Running priority when idle; no interrupt has it.
const IDLE: u32 = 0x100;

crate::regs! {
    /// Distributor control (4.3.1)
    0x000 GICD_CTLR           Rw
    /// Interrupt controller type (4.3.2)
    0x004 GICD_TYPER          Ro
    /// Distributor implementer (4.3.3)
    0x008 GICD_IIDR           Ro
    /// Interrupt groups (4.3.4)
    0x080 GICD_IGROUPR[32]    Rw
    /// Set-enable (4.3.5)
    0x100 GICD_ISENABLER[32]  Rw
    /// Clear-enable (4.3.6)
    0x180 GICD_ICENABLER[32]  Rw
    /// Set-pending (4.3.7)
    0x200 GICD_ISPENDR[32]    Rw
    /// Clear-pending (4.3.8)
    0x280 GICD_ICPENDR[32]    Rw
    /// Set-active (4.3.9)
    0x300 GICD_ISACTIVER[32]  Rw
    /// Clear-active (4.3.10)
    0x380 GICD_ICACTIVER[32]  Rw
    /// Priorities, a byte each (4.3.11)
    0x400 GICD_IPRIORITYR[255] Rw
    /// Targets, a byte each (4.3.12)
    0x800 GICD_ITARGETSR[255] Rw
    /// Configuration, two bits each (4.3.13)
    0xc00 GICD_ICFGR[64]      Rw
    /// Non-secure access control: without Security Extensions, reads as zero (4.3.14)
    0xe00 GICD_NSACR[64]      Rw
    /// Software generated interrupt (4.3.15)
    0xf00 GICD_SGIR           Wo
    /// SGI clear-pending, a byte of sources each (4.3.16)
    0xf10 GICD_CPENDSGIR[4]   Rw
    /// SGI set-pending, a byte of sources each (4.3.17)
    0xf20 GICD_SPENDSGIR[4]   Rw
    /// Peripheral and component identification (4.3.18)
    0xfd0 GICD_ID[12]         Ro

    /// CPU interface control (4.4.1)
    0x10000 GICC_CTLR         Rw
    /// Priority mask (4.4.2)
    0x10004 GICC_PMR          Rw
    /// Binary point (4.4.3)
    0x10008 GICC_BPR          Rw
    /// Interrupt acknowledge (4.4.4)
    0x1000c GICC_IAR          Ro
    /// End of interrupt (4.4.5)
    0x10010 GICC_EOIR         Wo
    /// Running priority (4.4.6)
    0x10014 GICC_RPR          Ro
    /// Highest priority pending interrupt (4.4.7)
    0x10018 GICC_HPPIR        Ro
    /// Aliased binary point (4.4.8)
    0x1001c GICC_ABPR         Rw
    /// Aliased interrupt acknowledge (4.4.9)
    0x10020 GICC_AIAR         Ro
    /// Aliased end of interrupt (4.4.10)
    0x10024 GICC_AEOIR        Wo
    /// Aliased highest priority pending interrupt (4.4.11)
    0x10028 GICC_AHPPIR       Ro
    /// Active priorities, group 0 (4.4.12)
    0x100d0 GICC_APR[4]       Rw
    /// Active priorities, group 1 (4.4.13)
    0x100e0 GICC_NSAPR[4]     Rw
    /// CPU interface identification (4.4.14)
    0x100fc GICC_IIDR         Ro
    /// Deactivate interrupt (4.4.15)
    0x11000 GICC_DIR          Wo
}

/// 32 interrupts; bit n of a word is the nth of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Row {
    /// Group 1.
    group: u32,
    enabled: u32,
    /// Latched: an edge, a write to set-pending or an SGI. A level-sensitive interrupt is also pending while its input
    /// is high.
    latched: u32,
    active: u32,
    /// Edge-triggered.
    edge: u32,
    priority: Bank<u8, 32>,
    /// CPUs an SPI goes to, one bit each.
    targets: Bank<u8, 32>,
}

/// A CPU interface's registers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Interface {
    ctlr: u32,
    pmr: u32,
    bpr: u32,
    abpr: u32,
    /// Active priorities of group 0, bit `priority / 2`.
    apr: Bank<u32, 4>,
    /// The same of group 1.
    nsapr: Bank<u32, 4>,
}

/// Everything a snapshot holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// GICD_CTLR.
    ctlr: u32,
    /// SGIs and PPIs of each CPU.
    private: Bank<Row, MAX_CPUS>,
    spi: Bank<Row, SPI_ROWS>,
    /// Pending SGIs of each CPU: for each, the CPUs that sent it.
    sgi: Bank<Bank<u8, 16>, MAX_CPUS>,
    interface: Bank<Interface, MAX_CPUS>,
}

/// The interrupt controller: state plus wiring.
pub struct GicV2 {
    state: State,
    cpus: usize,
    lines: Arc<Lines>,
    /// Levels of the inputs as last taken in: rows of the CPUs, then of the SPIs.
    inputs: Bank<u32, { MAX_CPUS + SPI_ROWS }>,
    outputs: Arc<dyn CpuInputs>,
    /// What the outputs were last set to: IRQ and FIQ of each CPU.
    driven: Bank<(bool, bool), MAX_CPUS>,
}

impl GicV2 {
    /// A controller for `cpus` CPUs (1 to 8; other numbers are brought into range) that drives `outputs`.
    ///
    /// The caller connects it: `wiring.connect(vec![gic.controller()])`.
    pub fn new(wiring: &Arc<Wiring>, cpus: usize, outputs: Arc<dyn CpuInputs>) -> Shared<GicV2> {
        let cpus = cpus.clamp(1, MAX_CPUS);
        let gic = GicV2 {
            state: State::default(),
            cpus,
            lines: Lines::new(wiring, 32 * (MAX_CPUS + SPI_ROWS)),
            inputs: Bank::default(),
            outputs,
            driven: Bank::default(),
        };
        Shared::new(wiring, gic)
    }

    /// Input of shared peripheral interrupt `n`, counted from 0 (its INTID is 32 + n). Past the last one: unconnected.
    pub fn spi(&self, n: usize) -> Irq {
        self.lines.irq(n.saturating_add(32 * MAX_CPUS))
    }

    /// Input of the private peripheral interrupt with this INTID (16 to 31) at `cpu`. Others: unconnected.
    pub fn ppi(&self, cpu: usize, intid: usize) -> Irq {
        let there = cpu < self.cpus && (16..32).contains(&intid);
        if there {
            self.lines.irq(32 * cpu + intid)
        } else {
            Irq::unconnected()
        }
    }

    /// The row of interrupts `32 * n ..` as `cpu` sees it.
    fn row(&mut self, cpu: usize, n: usize) -> Option<&mut Row> {
        match n {
            0 => Some(&mut self.state.private[cpu]),
            1..=SPI_ROWS => Some(&mut self.state.spi[n - 1]),
            _ => None,
        }
    }

    /// Which interrupts of this row are pending.
    fn pending(&self, cpu: usize, n: usize) -> u32 {
        let (row, input) = match n {
            0 => (&self.state.private[cpu], self.inputs[cpu]),
            1..=SPI_ROWS => (&self.state.spi[n - 1], self.inputs[MAX_CPUS + n - 1]),
            _ => return 0,
        };
        row.latched | input & !row.edge
    }
}

impl Default for State {
    /// As after reset.
    fn default() -> State {
        let private = Row {
            enabled: SGIS,
            edge: SGIS,
            ..Row::default()
        };
        let interface = Interface {
            ctlr: 0,
            pmr: 0,
            bpr: 0,
            abpr: 1,
            apr: Bank::default(),
            nsapr: Bank::default(),
        };
        State {
            ctlr: 0,
            private: Bank([private; _]),
            spi: Bank::default(),
            sgi: Bank::default(),
            interface: Bank([interface; _]),
        }
    }
}

impl Controller for GicV2 {
    fn inputs_changed(&mut self) {
        let rows = self.state.private.iter_mut().chain(self.state.spi.iter_mut());
        for (word, (row, input)) in rows.zip(self.inputs.iter_mut()).enumerate() {
            *input = self.lines.level_word(word);
            row.latched |= self.lines.take_risen_word(word) & row.edge;
        }
        self.update();
    }
}

impl Registers for GicV2 {
    const MODEL: &'static str = "gicv2";
    type Reg = Reg;
    type State = State;

    fn state(&mut self) -> &mut State {
        &mut self.state
    }

    fn check(&self, state: &State) -> Result<(), String> {
        for (cpu, interface) in state.interface.iter().enumerate() {
            if interface.bpr > 7 || !(1..=7).contains(&interface.abpr) || interface.pmr > 0xff {
                return Err(format!("binary point or priority mask of CPU {cpu}"));
            }
            let sent = state.sgi[cpu]
                .iter()
                .rev()
                .fold(0, |word, &sources| word << 1 | u32::from(sources != 0));
            if sent != state.private[cpu].latched & SGIS {
                return Err(format!("pending SGIs of CPU {cpu} without their senders"));
            }
        }
        Ok(())
    }

    #[inline]
    fn get(&mut self, reg: Reg, at: At) -> u64 {
        let cpu = if at.cpu < self.cpus { at.cpu } else { 0 };
        let value = match reg {
            Reg::GICC_IAR => self.acknowledge(cpu),
            Reg::GICC_AIAR => self.acknowledge_group1(cpu),
            Reg::GICC_HPPIR => self.highest_pending(cpu),
            Reg::GICC_AHPPIR => self.highest_pending_group1(cpu),
            Reg::GICC_RPR => self.state.interface[cpu].running_priority().min(0xff),
            Reg::GICC_CTLR => self.state.interface[cpu].ctlr,
            Reg::GICC_PMR => self.state.interface[cpu].pmr,
            Reg::GICC_BPR => self.state.interface[cpu].bpr,
            Reg::GICC_ABPR => self.state.interface[cpu].abpr,
            Reg::GICC_APR => self.state.interface[cpu].apr[at.n],
            Reg::GICC_NSAPR => self.state.interface[cpu].nsapr[at.n],
            Reg::GICC_IIDR => interface::IIDR,
            _ => self.read_distributor(reg, cpu, at.n),
        };
        value.into()
    }

    #[inline]
    fn put(&mut self, reg: Reg, at: At, value: u64) {
        let value = value as u32;
        let cpu = if at.cpu < self.cpus { at.cpu } else { 0 };
        let interface = &mut self.state.interface[cpu];
        match reg {
            Reg::GICC_EOIR | Reg::GICC_AEOIR => self.end_of_interrupt(cpu, value),
            Reg::GICC_DIR => self.deactivate(cpu, value),
            Reg::GICC_CTLR => interface.ctlr = value & interface::ctlr::ALL,
            Reg::GICC_PMR => interface.pmr = value & 0xff,
            Reg::GICC_BPR => interface.bpr = value & 7,
            Reg::GICC_ABPR => interface.abpr = (value & 7).max(1),
            Reg::GICC_APR => interface.apr[at.n] = at.merge_u32(interface.apr[at.n], value),
            Reg::GICC_NSAPR => interface.nsapr[at.n] = at.merge_u32(interface.nsapr[at.n], value),
            _ => self.write_distributor(reg, cpu, at, value),
        }
    }

    /// Drives the CPUs' inputs.
    fn update(&mut self) {
        for cpu in 0..self.cpus {
            let signal = self.signal(cpu);
            let before = std::mem::replace(&mut self.driven[cpu], signal);
            if signal.0 != before.0 {
                self.outputs.set(cpu, CpuLine::Irq, signal.0);
            }
            if signal.1 != before.1 {
                self.outputs.set(cpu, CpuLine::Fiq, signal.1);
            }
        }
    }
}

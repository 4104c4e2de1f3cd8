//! GICv3: Arm Generic Interrupt Controller Architecture Specification, GIC architecture version 3, IHI 0069.
//!
//! One Security state (GICD_CTLR.DS is 1), affinity routing always on. 16 SGIs, 16 PPIs, 256 SPIs, 57,344 LPIs; 5 bits of
//! priority, all of which preempt. The CPU interfaces are system registers only ([`Icc`]).
//!
//! One device with all register blocks: the distributor at offset 0, the ITS at [`ITS`], the redistributors from
//! [`REDISTRIBUTORS`] on. A board maps the blocks where it has them. Interrupts are kept 32 to a word; what changes marks the
//! CPUs that may see it, and only their outputs are computed anew.

mod distributor;
mod interface;
mod its;
mod lpi;
mod redistributor;
mod registers;
#[cfg(test)]
mod tests;

pub use interface::Icc;
pub use registers::{ITS, ITS_SIZE, REDISTRIBUTOR_SIZE, REDISTRIBUTORS, Reg};

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::bus::{
    At, Bank, Bell, Controller, CpuInputs, CpuLine, Each, Frames, GuestMemory, Irq, Lines, Next, Registers, Shared,
    Wiring, Works,
};
use crate::irq::fields::of_groups;
use interface::Interface;
use lpi::Lpis;
use serde::{Deserialize, Serialize};

/// Most CPUs it serves here: a bit each in a word.
pub const MAX_CPUS: usize = u128::BITS as usize;
/// Interrupts but for LPIs: SGIs 0 to 15, PPIs 16 to 31, SPIs 32 to 287.
pub const INTERRUPTS: usize = 32 * (1 + SPI_ROWS);

const SPI_ROWS: usize = 8;
/// The SGIs in a row of private interrupts.
const SGIS: u32 = 0xffff;
/// The first LPI.
const FIRST_LPI: u32 = 8192;
/// Bits of an interrupt's number.
const ID_BITS: u32 = 16;
/// No interrupt.
const SPURIOUS: u32 = 1023;
/// The bits of a priority that are there.
const PRIORITY: u8 = 0xf8;
/// The enable bits of both groups: in GICD_CTLR, and as this code has them elsewhere.
const GROUPS: u32 = 3;
/// GICD_IIDR and its like: Arm.
const IIDR: u32 = 0x0000_043b;

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
}

impl Row {
    /// Which are pending.
    fn pending(&self, input: u32) -> u32 {
        self.latched | input & !self.edge
    }

    /// Which could be signalled, in these groups.
    fn ready(&self, input: u32, groups: u32) -> u32 {
        self.pending(input) & self.enabled & !self.active & of_groups(self.group, groups)
    }
}

/// What a CPU has of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Cpu {
    /// SGIs and PPIs.
    private: Row,
    /// GICR_WAKER.ProcessorSleep.
    asleep: bool,
    /// GICR_CTLR.DPG0 and DPG1NS, a bit for a group: which it does not take of interrupts that any CPU may.
    declines: u32,
    lpis: Lpis,
    interface: Interface,
}

/// Everything a snapshot holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// GICD_CTLR, what of it can be written.
    ctlr: u32,
    spi: Bank<Row, SPI_ROWS>,
    /// GICD_IROUTER of the SPIs.
    routes: Bank<Bank<u64, 32>, SPI_ROWS>,
    cpus: Each<Cpu>,
    its: its::State,
}

/// Who takes an SPI.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Target {
    /// The CPU with this number.
    Cpu(u8),
    /// One that participates.
    Any,
    /// There is no such CPU.
    #[default]
    Nobody,
}

/// The interrupt controller: state plus wiring.
pub struct GicV3 {
    state: State,
    /// Aff3 to Aff0 of each CPU, from the highest byte down.
    affinities: Vec<u32>,
    lines: Arc<Lines>,
    /// Levels of the inputs as last taken in: rows of the CPUs, then of the SPIs.
    inputs: Each<u32>,
    outputs: Arc<dyn CpuInputs>,
    /// What the outputs were last set to: IRQ and FIQ of each CPU.
    driven: Each<(bool, bool)>,
    /// CPUs for which something may have changed.
    stale: u128,
    /// What the routes come to.
    targets: Bank<Bank<Target, 32>, SPI_ROWS>,
    /// Pending LPIs of each CPU that are enabled: priority and number.
    ready: Each<BTreeSet<(u8, u32)>>,
    /// Where tables and commands are.
    memory: Option<Arc<dyn GuestMemory>>,
    bell: Bell,
}

impl GicV3 {
    /// A controller that drives `outputs`, for the CPUs with these affinities (Aff3 to Aff0, from the highest byte down), of
    /// which it takes the first 128.
    ///
    /// The caller connects it: `wiring.connect(vec![gic.controller()])`. Without [memory](GicV3::attach) there are no LPIs.
    pub fn new(wiring: &Arc<Wiring>, affinities: &[u32], outputs: Arc<dyn CpuInputs>) -> Shared<GicV3> {
        let affinities: Vec<u32> = affinities.iter().take(MAX_CPUS).copied().collect();
        let cpus = affinities.len();
        let mut gic = GicV3 {
            state: State::of(cpus),
            affinities,
            lines: Lines::new(wiring, 32 * (cpus + SPI_ROWS)),
            inputs: Each::new(0, cpus + SPI_ROWS),
            outputs,
            driven: Each::new((false, false), cpus),
            stale: 0,
            targets: Bank::default(),
            ready: Each::new(BTreeSet::new(), cpus),
            memory: None,
            bell: Bell::default(),
        };
        gic.replaced();
        Shared::new(wiring, gic)
    }

    /// Connects guest memory, for LPIs and their translation.
    pub fn attach(&mut self, memory: Arc<dyn GuestMemory>) {
        self.memory = Some(memory);
    }

    /// Input of shared peripheral interrupt `n`, counted from 0 (its INTID is 32 + n). Past the last one: unconnected.
    pub fn spi(&self, n: usize) -> Irq {
        match n < 32 * SPI_ROWS {
            true => self.lines.irq(32 * self.cpus() + n),
            false => Irq::unconnected(),
        }
    }

    /// Input of the private peripheral interrupt with this INTID (16 to 31) at `cpu`. Others: unconnected.
    pub fn ppi(&self, cpu: usize, intid: usize) -> Irq {
        match cpu < self.cpus() && (16..32).contains(&intid) {
            true => self.lines.irq(32 * cpu + intid),
            false => Irq::unconnected(),
        }
    }

    fn cpus(&self) -> usize {
        self.affinities.len()
    }

    /// The level of the inputs of SPIs `32 * n ..`.
    fn spi_input(&self, n: usize) -> u32 {
        self.inputs[self.cpus() + n]
    }

    /// The row, in it the bit, of an interrupt as `cpu` has it; `None` for LPIs and for what is not there.
    fn row_of(&mut self, cpu: usize, id: u32) -> Option<(&mut Row, u32)> {
        let (n, bit) = (id as usize / 32, 1 << (id % 32));
        match n {
            0 => Some((&mut self.state.cpus[cpu].private, bit)),
            1..=SPI_ROWS => Some((&mut self.state.spi[n - 1], bit)),
            _ => None,
        }
    }

    fn mark(&mut self, cpu: usize) {
        self.stale |= 1 << (cpu % MAX_CPUS);
    }

    fn mark_all(&mut self) {
        self.stale = u128::MAX >> (MAX_CPUS - self.cpus().clamp(1, MAX_CPUS));
    }

    /// Marks who may take an SPI.
    fn mark_target(&mut self, row: usize, n: usize) {
        match self.targets[row][n] {
            Target::Cpu(cpu) => self.mark(cpu.into()),
            Target::Any => self.mark_all(),
            Target::Nobody => {}
        }
    }

    /// Looks up anew whom an SPI's route names.
    fn resolve(&mut self, row: usize, n: usize) {
        let route = self.state.routes[row][n];
        let affinity = (route >> 8 & 0xff00_0000 | route & 0x00ff_ffff) as u32;
        let named = self.affinities.iter().position(|one| *one == affinity);
        self.targets[row][n] = match named {
            _ if route & distributor::ROUTE_ANY != 0 => Target::Any,
            Some(cpu) => Target::Cpu(cpu as u8),
            None => Target::Nobody,
        };
    }

    /// What CPU number `cpu` is back at after it was switched off: its CPU interface.
    pub fn reset_interface(&mut self, cpu: usize) {
        if cpu < self.cpus() {
            self.state.cpus[cpu].interface = Interface::default();
            self.mark_all();
            self.update();
        }
    }
}

impl State {
    /// As after reset, for so many CPUs, and as EL3's firmware, which is not here, leaves it: it has woken the
    /// redistributors (GICR_WAKER), which EDK2, for one, relies on.
    fn of(cpus: usize) -> State {
        let private = Row {
            edge: SGIS,
            ..Row::default()
        };
        let cpu = Cpu {
            private,
            asleep: false,
            declines: 0,
            lpis: Lpis::default(),
            interface: Interface::default(),
        };
        State {
            ctlr: 0,
            spi: Bank::default(),
            routes: Bank::default(),
            cpus: Each::new(cpu, cpus),
            its: its::State::default(),
        }
    }
}

impl Default for State {
    fn default() -> State {
        State::of(1)
    }
}

impl Controller for GicV3 {
    fn inputs_changed(&mut self) {
        let cpus = self.cpus();
        for word in 0..cpus + SPI_ROWS {
            let level = self.lines.level_word(word);
            let risen = self.lines.take_risen_word(word);
            let before = std::mem::replace(&mut self.inputs[word], level);
            let mut changed = before ^ level | risen;
            if changed == 0 {
                continue;
            }
            if word < cpus {
                let row = &mut self.state.cpus[word].private;
                row.latched |= risen & row.edge;
                self.mark(word);
                continue;
            }
            let row = &mut self.state.spi[word - cpus];
            row.latched |= risen & row.edge;
            while changed != 0 {
                self.mark_target(word - cpus, changed.trailing_zeros() as usize);
                changed &= changed - 1;
            }
        }
        self.update();
    }
}

impl Registers for GicV3 {
    const MODEL: &'static str = "gicv3";
    type Reg = Reg;
    const FRAMES: Option<Frames> = Some(registers::FRAMES);
    type State = State;

    fn state(&mut self) -> &mut State {
        &mut self.state
    }

    fn initial(&mut self) -> State {
        State::of(self.cpus())
    }

    fn check(&self, state: &State) -> Result<(), String> {
        if state.cpus.len() != self.cpus() {
            return Err(format!("{} CPUs of {}", state.cpus.len(), self.cpus()));
        }
        for (cpu, of_cpu) in state.cpus.iter().enumerate() {
            of_cpu
                .interface
                .check()
                .map_err(|what| format!("{what} of CPU {cpu}"))?;
            of_cpu.lpis.check().map_err(|what| format!("{what} of CPU {cpu}"))?;
        }
        state.its.check()
    }

    fn replaced(&mut self) {
        for row in 0..SPI_ROWS {
            (0..32).for_each(|n| self.resolve(row, n));
        }
        for cpu in 0..self.cpus() {
            self.ready[cpu] = self.state.cpus[cpu].lpis.ready();
        }
        self.mark_all();
        self.bell.ring();
    }

    fn get(&mut self, reg: Reg, at: At) -> u64 {
        if distributor::has(reg) {
            self.read_distributor(reg, at.n)
        } else if its::has(reg) {
            self.read_its(reg, at.n)
        } else {
            self.read_redistributor(reg, at.frame, at.n)
        }
    }

    fn put(&mut self, reg: Reg, at: At, value: u64) {
        if distributor::has(reg) {
            self.write_distributor(reg, at, value);
        } else if its::has(reg) {
            self.write_its(reg, at, value);
        } else {
            self.write_redistributor(reg, at, value);
        }
    }

    /// Drives the CPUs' inputs.
    fn update(&mut self) {
        while self.stale != 0 {
            let cpu = self.stale.trailing_zeros() as usize;
            self.stale &= self.stale - 1;
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

impl Works for GicV3 {
    fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Commands that have not been done when they were given.
    fn next(&mut self) -> Next<Self> {
        let more = self.run_commands();
        self.update();
        if more { Next::More } else { Next::Idle }
    }
}

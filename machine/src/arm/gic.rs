//! The GIC as a board's interrupt controller, and what of a GICv3 is a CPU's.

use std::any::Any;
use std::io;
use std::sync::{Arc, Mutex, Weak};

use emu_devices::bus::{Controller, Device, GuestMemory, Irq, Shared, Threads, Wiring};
use emu_devices::irq::gicv2::GicV2;
use emu_devices::irq::gicv3::{self, GicV3};
use emu_frontend_arm::platform::{GicInterface, Icc, affinity};

use crate::arch::CpuWiring;
use crate::board::{Board, Gic, Interrupts};
use crate::cpus::Cpus;

/// Interrupt id of the first private peripheral interrupt.
const FIRST_PPI: usize = 16;

/// The board's.
pub fn interrupts(board: &Board, wiring: &Arc<Wiring>, cpus: &Arc<Cpus>) -> Box<dyn Interrupts> {
    let affinities: Vec<u32> = (0..cpus.count() as u32).map(affinity).collect();
    match board.gic {
        Gic::V2 => Box::new(GicV2::new(wiring, cpus.count(), cpus.clone())),
        Gic::V3 => Box::new(GicV3::new(wiring, &affinities, cpus.clone())),
    }
}

impl Interrupts for Shared<GicV2> {
    fn device(&self) -> Shared<dyn Device> {
        self.erase()
    }
    fn controller(&self) -> Weak<Mutex<dyn Controller>> {
        Shared::controller(self)
    }
    fn shared(&self, n: u32) -> Irq {
        self.with(|gic| gic.spi(n as usize))
    }
    fn private(&self, cpu: usize, n: u32) -> Irq {
        self.with(|gic| gic.ppi(cpu, FIRST_PPI + n as usize))
    }
}

impl Interrupts for Shared<GicV3> {
    fn attach(&self, memory: Arc<dyn GuestMemory>, threads: &Threads) -> io::Result<()> {
        self.with(|gic| gic.attach(memory));
        self.employ(threads, "emu-its", 1)
    }
    fn device(&self) -> Shared<dyn Device> {
        self.erase()
    }
    fn controller(&self) -> Weak<Mutex<dyn Controller>> {
        Shared::controller(self)
    }
    fn shared(&self, n: u32) -> Irq {
        self.with(|gic| gic.spi(n as usize))
    }
    fn private(&self, cpu: usize, n: u32) -> Irq {
        self.with(|gic| gic.ppi(cpu, FIRST_PPI + n as usize))
    }
}

/// A CPU's interface of a GICv3.
pub struct Interface {
    gic: Shared<GicV3>,
    cpu: usize,
}

impl Interface {
    /// That of the CPU that is wired so, if its interrupt controller is a GICv3.
    pub fn of(around: &CpuWiring) -> Option<Interface> {
        let controller: &dyn Any = around.controller?;
        let gic = controller.downcast_ref::<Shared<GicV3>>()?.clone();
        Some(Interface { gic, cpu: around.cpu })
    }

    /// The CPU is switched off, and its interface with it.
    pub fn switch_off(&self) {
        self.gic.with(|gic| gic.reset_interface(self.cpu));
    }
}

impl GicInterface for Interface {
    fn read(&self, reg: Icc) -> u64 {
        self.gic.with(|gic| gic.icc_read(self.cpu, device(reg)))
    }
    fn write(&self, reg: Icc, value: u64) {
        self.gic.with(|gic| gic.icc_write(self.cpu, device(reg), value));
    }
}

/// What the device calls a register.
fn device(reg: Icc) -> gicv3::Icc {
    match reg {
        Icc::Pmr => gicv3::Icc::Pmr,
        Icc::Iar0 => gicv3::Icc::Iar0,
        Icc::Iar1 => gicv3::Icc::Iar1,
        Icc::Eoir0 => gicv3::Icc::Eoir0,
        Icc::Eoir1 => gicv3::Icc::Eoir1,
        Icc::Hppir0 => gicv3::Icc::Hppir0,
        Icc::Hppir1 => gicv3::Icc::Hppir1,
        Icc::Bpr0 => gicv3::Icc::Bpr0,
        Icc::Bpr1 => gicv3::Icc::Bpr1,
        Icc::Ap0r => gicv3::Icc::Ap0r,
        Icc::Ap1r => gicv3::Icc::Ap1r,
        Icc::Dir => gicv3::Icc::Dir,
        Icc::Rpr => gicv3::Icc::Rpr,
        Icc::Sgi0r => gicv3::Icc::Sgi0r,
        Icc::Sgi1r => gicv3::Icc::Sgi1r,
        Icc::Asgi1r => gicv3::Icc::Asgi1r,
        Icc::Ctlr => gicv3::Icc::Ctlr,
        Icc::Sre => gicv3::Icc::Sre,
        Icc::Igrpen0 => gicv3::Icc::Igrpen0,
        Icc::Igrpen1 => gicv3::Icc::Igrpen1,
    }
}

//! The GICv2 as a board's interrupt controller.

use std::sync::{Mutex, Weak};

use emu_devices::bus::{Controller, Device, Irq, Shared};
use emu_devices::irq::gicv2::GicV2;

use crate::board::Interrupts;

/// Interrupt id of the first private peripheral interrupt.
const FIRST_PPI: usize = 16;

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

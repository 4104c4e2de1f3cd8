//! A board's interrupt controller as the rest of the machine sees it.

use std::sync::{Mutex, Weak};

use emu_devices::bus::{Controller, Device, Irq, Shared};

/// An interrupt controller with its outputs connected to the CPUs.
pub trait Interrupts {
    /// Its registers.
    fn device(&self) -> Shared<dyn Device>;
    /// What takes in the lines.
    fn controller(&self) -> Weak<Mutex<dyn Controller>>;
    /// The line of a shared interrupt, from 0; unconnected where there is none of that number.
    fn shared(&self, n: u32) -> Irq;
    /// The line of a private interrupt of CPU number `cpu`, from 0; unconnected where there is none of that number.
    fn private(&self, cpu: usize, n: u32) -> Irq;
}

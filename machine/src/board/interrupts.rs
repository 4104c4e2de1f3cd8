//! A board's interrupt controller as the rest of the machine sees it.

use std::any::Any;
use std::io;
use std::sync::{Arc, Mutex, Weak};

use emu_devices::bus::{Controller, Device, GuestMemory, Irq, Shared, Threads};

/// An interrupt controller with its outputs connected to the CPUs. What of it a CPU has as registers of its own, the CPU's
/// architecture finds by its type.
pub trait Interrupts: Any {
    /// Connects what it works with: guest memory, and threads where it does what takes time. Once, before anything runs.
    ///
    /// # Errors
    /// The host refuses a thread.
    fn attach(&self, _memory: Arc<dyn GuestMemory>, _threads: &Threads) -> io::Result<()> {
        Ok(())
    }
    /// Its registers. It is loaded last of all devices.
    fn device(&self) -> Shared<dyn Device>;
    /// A part of it that is a device of its own, by its model: number `n` of them.
    fn part(&self, _model: &str, _n: usize) -> Option<Shared<dyn Device>> {
        None
    }
    /// What takes in the lines, the devices' side first.
    fn controllers(&self) -> Vec<Weak<Mutex<dyn Controller>>>;
    /// Sets it up after a reset as firmware leaves it to a kernel, where that is otherwise than the reset does.
    fn set_up(&self) {}
    /// The line of a shared interrupt, from 0; unconnected where there is none of that number.
    fn shared(&self, n: u32) -> Irq;
    /// The line of a private interrupt of CPU number `cpu`, from 0; unconnected where there is none of that number.
    fn private(&self, cpu: usize, n: u32) -> Irq;
    /// Whether an interrupt may come to CPU number `cpu` with nobody changing a register before: one is enabled and let
    /// through. It gets a CPU on that waits, even one that takes none.
    fn may_interrupt(&self, cpu: usize) -> bool;
}

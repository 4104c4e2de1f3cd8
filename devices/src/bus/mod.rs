//! What every device sees of the rest of the machine.

mod bank;
mod clock;
mod device;
mod irq;
mod memory;
pub mod misuse;
mod order;
#[allow(unsafe_code)]
mod ram;
mod registers;
mod saved;
mod threads;
mod worker;

pub use bank::{Bank, Each};
pub use clock::{Clock, Timer};
pub use device::{Access, Device, Shared, WeakShared};
pub use irq::{Controller, CpuInputs, CpuLine, Irq, Lines, Wiring};
pub use memory::{GuestMemory, OutOfRange, RamWatch, RamWindow};
pub use order::order_with_guest;
pub use ram::{Ram, Word};
pub use registers::{At, Entry, Extent, Frames, NO_ROW, RegMap, Registers, Rights, index, span, unit};
pub use saved::{Convert, Format, LoadError, Saved};
pub use threads::{Held, Threads};
pub use worker::{Bell, Finish, Job, Next, Works};

#[cfg(test)]
pub(crate) mod fuzz;

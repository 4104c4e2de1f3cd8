//! Interrupt controllers.

pub mod apic;
mod fields;
pub mod gicv2;
pub mod gicv2m;
pub mod gicv3;
pub mod i8259;

/// An interrupt controller that answers the CPU's interrupt acknowledge cycle itself: an 8259A, behind the local APICs.
pub trait ExtInt: Send + Sync {
    /// The acknowledge cycle: the vector of the interrupt that is then in service; where none is left, what the
    /// controller answers to that. Called with no device locked.
    fn acknowledge(&self) -> u8;
}

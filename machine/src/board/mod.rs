//! Boards as data: which devices, at which addresses, on which interrupt lines.
//!
//! A [`Board`] is a const table. It is read by the wiring ([`build`]), by the device tree that its architecture writes, and
//! by the listing: an address is written once.

pub mod build;
mod interrupts;
mod table;
mod virt;

pub use interrupts::Interrupts;
pub use table::{Board, Chip, Fitted, Trigger, Virtio};
pub use virt::VIRT;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_map_of_virt() {
        insta::assert_snapshot!(VIRT.listing(1 << 30));
    }
}

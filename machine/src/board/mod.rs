//! Boards as data: which devices, at which addresses, on which interrupt lines.
//!
//! A [`Board`] is a table. It is read by the wiring ([`build`]), by the device tree that its architecture writes, and by
//! the listing: an address is written once. What a machine is to be without is taken out of its table first.

pub mod build;
mod interrupts;
mod microvm;
mod table;
mod virt;

pub use interrupts::Interrupts;
pub use microvm::MICROVM;
pub use table::{Board, Chip, Fitted, Gic, Trigger, Virtio};
pub use virt::VIRT;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_map_of_virt() {
        insta::assert_snapshot!(VIRT.listing(1 << 30));
    }

    #[test]
    fn memory_map_of_microvm() {
        insta::assert_snapshot!(MICROVM.listing(4 << 30));
    }

    /// What is at which address but for the devices that are the same with both.
    #[test]
    fn memory_map_of_the_gicv3_of_virt() {
        let (v2, v3) = (VIRT.listing(1 << 30), VIRT.with_gic(Gic::V3).listing(1 << 30));
        let only = |one: &str, other: &str| {
            let lines = one.lines().filter(|line| !other.lines().any(|also| also == *line));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };

        let expected = [
            "0008000000-000800ffff  gicv3-distributor",
            "0008080000-000809ffff  gicv3-its",
            "00080a0000-0008ffffff  gicv3-redistributors",
        ];
        assert_eq!(only(&v3, &v2), expected);
        assert_eq!(only(&v2, &v3).len(), 3);
    }

    #[test]
    fn the_first_interrupt_controller_that_serves_all_cpus() {
        assert_eq!(
            [1, 8, 9, 123].map(|cpus| VIRT.gic_for(cpus)),
            [Gic::V2, Gic::V2, Gic::V3, Gic::V3].map(Some)
        );
        assert_eq!((VIRT.served(Gic::V2), VIRT.max_cpus()), (8, 123));
    }

    /// What `names` leave of the rows of the listing that are no empty transports.
    fn left(names: &[&str]) -> Vec<String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let listing = VIRT.without(&names).listing(1 << 30);
        let named = listing.lines().filter_map(|line| line.split_whitespace().nth(1));
        named.filter(|name| *name != "virtio-mmio").map(str::to_owned).collect()
    }

    #[test]
    fn every_optional_device_can_be_left_out_alone() {
        let all = left(&[]);
        for (name, _) in VIRT.optional().filter(|(name, _)| *name != "virtio-mmio") {
            let others: Vec<String> = all.iter().filter(|other| *other != name).cloned().collect();
            assert!(others.len() < all.len(), "{name} is in {all:?}");
            assert_eq!(left(&[name]), others, "without {name}");
        }
        let transports = |names: &[String]| VIRT.without(names).listing(1 << 30).matches("virtio-mmio").count();
        assert_eq!(transports(&["virtio-rng".to_owned()]), 31, "it leaves its transport");
        assert_eq!(transports(&["virtio-mmio".to_owned()]), 0);
        assert!(!left(&["virtio-mmio"]).iter().any(|name| name.starts_with("virtio")));
    }

    #[test]
    fn without_everything_that_is_optional_there_is_memory_and_an_interrupt_controller() {
        let names: Vec<&str> = VIRT.optional().map(|(name, _)| name).collect();

        assert_eq!(left(&names), ["gicv2-distributor", "gicv2-cpu-interface", "ram"]);
    }
}

//! Boards as data: which devices, at which addresses, on which interrupt lines.
//!
//! A [`Board`] is a const table. It is read by the wiring ([`build`]), by the device tree ([`tree`]) and by the listing:
//! an address is written once.

pub mod build;
pub mod tree;
mod virt;

use std::fmt::Write;
use std::ops::RangeInclusive;

use emu_firmware::fdt::Region;
use emu_firmware::fdt::arm::Trigger;

pub use virt::VIRT;

/// A board for 32-bit ARM CPUs with a GICv2.
#[derive(Debug)]
pub struct Board {
    /// Its name on the command line.
    pub name: &'static str,
    /// `model` and `compatible` of its device tree.
    pub compatible: &'static str,
    /// Physical address of RAM.
    pub ram: u64,
    /// Sizes of RAM that it can have, in bytes.
    pub memory: RangeInclusive<u64>,
    /// Most CPUs.
    pub max_cpus: u32,
    /// Private peripheral interrupts (0 to 15; the interrupt id is 16 more) of each CPU.
    pub private: PrivateInterrupts,
    /// The devices. Interrupt controllers come first.
    pub devices: &'static [Place],
}

/// Private peripheral interrupts of a CPU's own devices, from 0 to 15.
#[derive(Clone, Copy, Debug)]
pub struct PrivateInterrupts {
    /// Secure physical timer.
    pub secure: u32,
    /// Non-secure physical timer.
    pub physical: u32,
    /// Virtual timer.
    pub virt: u32,
    /// Hypervisor timer.
    pub hyp: u32,
    /// Performance monitors.
    pub pmu: u32,
}

/// A row of a board: one device, or several of a kind next to each other.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// What is there.
    pub chip: Chip,
    /// Physical address.
    pub base: u64,
    /// Bytes of the address space that one device takes.
    pub size: u64,
    /// How many devices there are.
    pub count: u32,
    /// Shared peripheral interrupt of the first device, from 0 (the interrupt id is 32 more), and how it is sampled; the
    /// others have the following ones.
    pub line: Option<(u32, Trigger)>,
}

/// A kind of device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chip {
    /// Flash banks; the CPUs' reset vector is in the first.
    Flash,
    /// The GICv2's distributor.
    GicDistributor,
    /// The GICv2's interface of the CPU that accesses it.
    GicCpuInterface,
    /// UART: the console.
    Pl011,
    /// Real-time clock.
    Pl031,
    /// Firmware configuration.
    FwCfg,
    /// Virtio transports.
    VirtioMmio {
        /// What is behind them, the last one first; the others are empty.
        fitted: &'static [Virtio],
    },
    /// GPIO with the power key on one of its pins.
    Pl061 {
        /// The pin, 0 to 7.
        power_key: u32,
    },
}

/// A virtio device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Virtio {
    /// Entropy.
    Rng,
    /// A second console.
    Console,
}

impl Chip {
    /// The model's name, as devices have it.
    pub fn name(self) -> &'static str {
        match self {
            Chip::Flash => "pflash",
            Chip::GicDistributor => "gicv2-distributor",
            Chip::GicCpuInterface => "gicv2-cpu-interface",
            Chip::Pl011 => "pl011",
            Chip::Pl031 => "pl031",
            Chip::FwCfg => "fw_cfg",
            Chip::VirtioMmio { .. } => "virtio-mmio",
            Chip::Pl061 { .. } => "pl061",
        }
    }
}

impl Place {
    const fn new(chip: Chip, base: u64, size: u64) -> Place {
        Place {
            chip,
            base,
            size,
            count: 1,
            line: None,
        }
    }

    /// With a line that is sampled on its rising edge.
    const fn edge(self, spi: u32) -> Place {
        Place {
            line: Some((spi, Trigger::EdgeRising)),
            ..self
        }
    }

    /// `count` of them, next to each other.
    const fn times(self, count: u32) -> Place {
        Place { count, ..self }
    }

    /// With a line that is sampled while it is high.
    const fn level(self, spi: u32) -> Place {
        Place {
            line: Some((spi, Trigger::LevelHigh)),
            ..self
        }
    }

    /// Where device number `n` of the row is.
    pub fn region(&self, n: u32) -> Region {
        Region::new(self.base + u64::from(n) * self.size, self.size)
    }

    /// What is behind virtio transport number `n` of the row.
    pub fn virtio(&self, n: u32) -> Option<Virtio> {
        match self.chip {
            Chip::VirtioMmio { fitted } => fitted.get((self.count - 1).checked_sub(n)? as usize).copied(),
            _ => None,
        }
    }

    /// The interrupt line of device number `n` of the row.
    pub fn spi(&self, n: u32) -> Option<u32> {
        self.line.map(|(first, _)| first + n)
    }
}

impl Board {
    /// Where `size` bytes of RAM are.
    pub fn ram(&self, size: u64) -> Region {
        Region::new(self.ram, size)
    }

    /// The first row with this kind of device.
    pub fn find(&self, chip: Chip) -> Option<&'static Place> {
        self.devices.iter().find(|place| place.chip == chip)
    }

    /// Size in bytes of the flash bank that the reset vector is in.
    pub fn flash_bank(&self) -> u64 {
        self.find(Chip::Flash).map_or(0, |place| place.size)
    }

    /// What is at which address: a line each, in order, for a board with `memory` bytes of RAM.
    pub fn listing(&self, memory: u64) -> String {
        let mut rows = vec![(self.ram(memory), "ram", None)];
        for place in self.devices {
            let name = |n| match place.virtio(n) {
                Some(Virtio::Rng) => "virtio-mmio: rng",
                Some(Virtio::Console) => "virtio-mmio: console",
                None => place.chip.name(),
            };
            rows.extend((0..place.count).map(|n| (place.region(n), name(n), place.spi(n))));
        }
        rows.sort_by_key(|row| row.0.base);
        let mut text = String::new();
        for (region, name, spi) in rows {
            let last = region.end() - 1;
            let line = spi.map_or_else(String::new, |n| format!("  SPI {n}"));
            // Writing to a string does not fail.
            let _ = writeln!(text, "{:010x}-{last:010x}  {name}{line}", region.base);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_map_of_virt() {
        insta::assert_snapshot!(VIRT.listing(1 << 30));
    }
}

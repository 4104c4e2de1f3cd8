//! What a board's table says.

use std::fmt::Write;
use std::ops::RangeInclusive;

use emu_firmware::fdt::Region;

/// A board.
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
    /// The devices. Interrupt controllers come first.
    pub devices: &'static [Fitted],
}

/// How an interrupt controller samples a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// On its rising edge.
    EdgeRising,
    /// While it is high.
    LevelHigh,
}

/// A row of a board: one device, or several of a kind next to each other.
#[derive(Clone, Copy, Debug)]
pub struct Fitted {
    /// What is there.
    pub chip: Chip,
    /// Physical address.
    pub base: u64,
    /// Bytes of the address space that one device takes.
    pub size: u64,
    /// How many devices there are.
    pub count: u32,
    /// Shared interrupt of the first device, from 0, and how it is sampled; the others have the following ones.
    pub lines: Option<(u32, Trigger)>,
}

/// A kind of device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chip {
    /// Flash banks; the CPUs' reset vector is in the first.
    Flash,
    /// Registers of the interrupt controller.
    Interrupts {
        /// What they are called.
        name: &'static str,
        /// Where they are among all of its registers, in bytes.
        offset: u64,
    },
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
            Chip::Interrupts { name, .. } => name,
            Chip::Pl011 => "pl011",
            Chip::Pl031 => "pl031",
            Chip::FwCfg => "fw_cfg",
            Chip::VirtioMmio { .. } => "virtio-mmio",
            Chip::Pl061 { .. } => "pl061",
        }
    }
}

impl Fitted {
    pub(super) const fn new(chip: Chip, base: u64, size: u64) -> Fitted {
        Fitted {
            chip,
            base,
            size,
            count: 1,
            lines: None,
        }
    }

    /// With a line that is sampled on its rising edge.
    pub(super) const fn edge(self, n: u32) -> Fitted {
        Fitted {
            lines: Some((n, Trigger::EdgeRising)),
            ..self
        }
    }

    /// `count` of them, next to each other.
    pub(super) const fn times(self, count: u32) -> Fitted {
        Fitted { count, ..self }
    }

    /// With a line that is sampled while it is high.
    pub(super) const fn level(self, n: u32) -> Fitted {
        Fitted {
            lines: Some((n, Trigger::LevelHigh)),
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
    pub fn line(&self, n: u32) -> Option<u32> {
        self.lines.map(|(first, _)| first + n)
    }
}

impl Board {
    /// Where `size` bytes of RAM are.
    pub fn ram(&self, size: u64) -> Region {
        Region::new(self.ram, size)
    }

    /// The first row with this kind of device.
    pub fn find(&self, chip: Chip) -> Option<&'static Fitted> {
        self.devices.iter().find(|fitted| fitted.chip == chip)
    }

    /// The flash banks. The reset vector is in the first.
    pub fn flash(&self) -> Vec<Region> {
        let all = self.find(Chip::Flash);
        all.map_or_else(Vec::new, |all| (0..all.count).map(|n| all.region(n)).collect())
    }

    /// What is at which address: a line each, in order, for a board with `memory` bytes of RAM.
    pub fn listing(&self, memory: u64) -> String {
        let mut rows = vec![(self.ram(memory), "ram", None)];
        for fitted in self.devices {
            let name = |n| match fitted.virtio(n) {
                Some(Virtio::Rng) => "virtio-mmio: rng",
                Some(Virtio::Console) => "virtio-mmio: console",
                None => fitted.chip.name(),
            };
            rows.extend((0..fitted.count).map(|n| (fitted.region(n), name(n), fitted.line(n))));
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

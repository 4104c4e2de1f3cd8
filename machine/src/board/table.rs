//! What a board's table says.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::ops::RangeInclusive;
use std::str::FromStr;

use emu_firmware::fdt::Region;
use emu_frontend_x86::platform::PORTS;
use serde::{Deserialize, Serialize};

/// Where RAM goes on that does not fit below.
const FOUR_GIB: u64 = 1 << 32;

/// A version of Arm's Generic Interrupt Controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Gic {
    /// GICv2, with the GICv2m extension.
    V2,
    /// GICv3, with an Interrupt Translation Service.
    V3,
}

impl fmt::Display for Gic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Gic::V2 => "2",
            Gic::V3 => "3",
        })
    }
}

impl FromStr for Gic {
    type Err = String;

    fn from_str(text: &str) -> Result<Gic, String> {
        match text {
            "2" => Ok(Gic::V2),
            "3" => Ok(Gic::V3),
            _ => Err("not a version of the interrupt controller; emu has: 2, 3".into()),
        }
    }
}

/// An interrupt controller that a board can have.
#[derive(Debug)]
pub struct Controller {
    /// Its version, where there are several.
    pub gic: Option<Gic>,
    /// Most CPUs that it serves.
    pub max_cpus: u32,
    /// The rows of the board that are its own.
    pub devices: &'static [Fitted],
}

/// A board.
#[derive(Clone, Debug)]
pub struct Board {
    /// Its name on the command line.
    pub name: &'static str,
    /// `model` and `compatible` of its device tree.
    pub compatible: &'static str,
    /// Physical address of RAM.
    pub ram: u64,
    /// Where RAM ends that goes on at 4 GiB, if there is so much; none for RAM in one piece.
    pub ram_end: Option<u64>,
    /// Sizes of RAM that it can have, in bytes.
    pub memory: RangeInclusive<u64>,
    /// The interrupt controllers that it can have; those for fewer CPUs come first.
    pub controllers: &'static [Controller],
    /// The interrupt controller that it has, where there are several.
    pub gic: Option<Gic>,
    /// The devices, but for the interrupt controller's.
    pub others: &'static [Fitted],
    /// The devices, the interrupt controller's first.
    pub devices: Cow<'static, [Fitted]>,
    /// What is behind which virtio transport, by its number; the others are empty.
    pub virtio: Cow<'static, [(u32, Virtio)]>,
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
    /// More registers of the first device, behind those at `base`: each piece's address, which is as far from `base` as the
    /// registers are from the first, and its size in bytes.
    pub more: &'static [(u64, u64)],
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
    /// The frame of a GICv2m; its lines are the SPIs that it makes of messages.
    GicV2m {
        /// How many.
        spis: u32,
    },
    /// UART: the console.
    Pl011,
    /// Real-time clock.
    Pl031,
    /// Firmware configuration.
    FwCfg,
    /// Virtio transports.
    VirtioMmio,
    /// GPIO with the power key on one of its pins.
    Pl061 {
        /// The pin, 0 to 7.
        power_key: u32,
    },
    /// A part of the interrupt controller that is a device of its own.
    Part {
        /// The model's name.
        name: &'static str,
        /// Which one of that name, from 0.
        n: usize,
    },
    /// The interrupt controllers of the CPUs, which each CPU may have elsewhere, or not at all.
    LocalApics,
    /// UART of a PC: the console.
    Uart16550,
    /// Interval timer.
    I8254,
    /// Real-time clock of a PC.
    Mc146818,
    /// The port that ends a run with a status.
    IsaDebugExit,
    /// Fast reset.
    Port92,
    /// ACPI's power button, off switch and reset.
    AcpiGed,
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
            Chip::GicV2m { .. } => "gicv2m",
            Chip::Pl011 => "pl011",
            Chip::Pl031 => "pl031",
            Chip::FwCfg => "fw_cfg",
            Chip::VirtioMmio => "virtio-mmio",
            Chip::Pl061 { .. } => "pl061",
            Chip::Part { name, .. } => name,
            Chip::LocalApics => "local-apics",
            Chip::Uart16550 => "uart16550",
            Chip::I8254 => "i8254",
            Chip::Mc146818 => "mc146818",
            Chip::IsaDebugExit => "isa-debug-exit",
            Chip::Port92 => "port92",
            Chip::AcpiGed => "acpi-ged",
        }
    }

    /// Whether it is the serial port that is the console.
    pub fn is_console(self) -> bool {
        matches!(self, Chip::Pl011 | Chip::Uart16550)
    }

    /// What a machine goes without that is made without it; nothing for what no machine goes without.
    fn optional(self) -> Option<&'static str> {
        match self {
            Chip::Flash => Some("the flash that firmware runs from"),
            Chip::Interrupts { .. } | Chip::Part { .. } | Chip::LocalApics => None,
            Chip::GicV2m { .. } => Some("what makes interrupts of messages, of --gic 2"),
            Chip::Pl011 => Some("the serial port (ttyAMA0)"),
            Chip::Pl031 => Some("the real-time clock"),
            Chip::FwCfg => Some("what hands firmware its kernel"),
            Chip::VirtioMmio => Some("all virtio transports, with what is behind them"),
            Chip::Pl061 { .. } => Some("the power key, which SIGPWR presses, and its GPIO"),
            Chip::Uart16550 => Some("the serial port (ttyS0)"),
            Chip::I8254 => Some("the interval timer"),
            Chip::Mc146818 => Some("the real-time clock"),
            Chip::IsaDebugExit => Some("the port by which programs end the run with a status"),
            Chip::Port92 => Some("the port that resets the machine"),
            Chip::AcpiGed => Some("off switch, reset and the power button, which SIGPWR presses"),
        }
    }
}

impl Virtio {
    /// The model's name, as devices have it.
    pub fn name(self) -> &'static str {
        match self {
            Virtio::Rng => "virtio-rng",
            Virtio::Console => "virtio-console",
        }
    }

    fn optional(self) -> &'static str {
        match self {
            Virtio::Rng => "the source of entropy (/dev/hwrng)",
            Virtio::Console => "the second console (hvc0)",
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
            more: &[],
        }
    }

    /// A device at ports of x86.
    pub(super) const fn ports(chip: Chip, first: u64, count: u64) -> Fitted {
        Fitted::new(chip, PORTS + first, count)
    }

    /// With more registers.
    pub(super) const fn and(self, more: &'static [(u64, u64)]) -> Fitted {
        Fitted { more, ..self }
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

    /// The interrupt line of device number `n` of the row.
    pub fn line(&self, n: u32) -> Option<u32> {
        self.lines.map(|(first, _)| first + n)
    }
}

impl Board {
    /// Where `size` bytes of RAM are; the first piece, if there are two.
    pub fn ram(&self, size: u64) -> Region {
        let most = self.ram_end.map_or(u64::MAX, |end| end - self.ram);
        Region::new(self.ram, size.min(most))
    }

    /// Where all of `size` bytes of RAM are, in ascending order.
    pub fn ram_pieces(&self, size: u64) -> Vec<Region> {
        let first = self.ram(size);
        let rest = Region::new(FOUR_GIB, size - first.size);
        [first, rest].into_iter().filter(|piece| piece.size != 0).collect()
    }

    /// The same board with another interrupt controller, and all its devices; as it is, if it cannot have that.
    pub fn with_gic(&self, gic: Gic) -> Board {
        let Some(controller) = self.controllers.iter().find(|controller| controller.gic == Some(gic)) else {
            return self.clone();
        };
        Board {
            gic: Some(gic),
            devices: controller.devices.iter().chain(self.others).copied().collect(),
            ..self.clone()
        }
    }

    /// Most CPUs that an interrupt controller of it serves; 0 if it cannot have that.
    pub fn served(&self, gic: Gic) -> u32 {
        let controller = self.controllers.iter().find(|controller| controller.gic == Some(gic));
        controller.map_or(0, |controller| controller.max_cpus)
    }

    /// Most CPUs.
    pub fn max_cpus(&self) -> u32 {
        self.controllers
            .iter()
            .map(|controller| controller.max_cpus)
            .max()
            .unwrap_or(0)
    }

    /// The first interrupt controller that serves so many CPUs, where there are several.
    pub fn gic_for(&self, cpus: u32) -> Option<Gic> {
        let enough = self.controllers.iter().find(|controller| cpus <= controller.max_cpus);
        enough.map_or(self.gic, |controller| controller.gic)
    }

    /// What it can be made without, each with what it is then without.
    pub fn optional(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let chips = self.devices.iter().map(|fitted| fitted.chip);
        let chips = chips.filter_map(|chip| Some((chip.name(), chip.optional()?)));
        chips.chain(self.virtio.iter().map(|(_, virtio)| (virtio.name(), virtio.optional())))
    }

    /// The same board without the devices of these names; the transport of a virtio device stays, empty.
    pub fn without(&self, names: &[String]) -> Board {
        let stays = |name| !names.iter().any(|left_out| left_out == name);
        let devices: Vec<Fitted> = self
            .devices
            .iter()
            .filter(|fitted| stays(fitted.chip.name()))
            .copied()
            .collect();
        let has_transports = devices.iter().any(|fitted| fitted.chip == Chip::VirtioMmio);
        let behind = self
            .virtio
            .iter()
            .filter(|(_, virtio)| has_transports && stays(virtio.name()));
        Board {
            virtio: behind.copied().collect(),
            devices: devices.into(),
            ..self.clone()
        }
    }

    /// The first row with this kind of device.
    pub fn find(&self, chip: Chip) -> Option<&Fitted> {
        self.devices.iter().find(|fitted| fitted.chip == chip)
    }

    /// What is behind virtio transport number `n`.
    pub fn virtio(&self, n: u32) -> Option<Virtio> {
        let behind = self.virtio.iter().find(|(transport, _)| *transport == n);
        behind.map(|(_, virtio)| *virtio)
    }

    /// Whether it has this virtio device.
    pub fn has_virtio(&self, device: Virtio) -> bool {
        self.virtio.iter().any(|(_, virtio)| *virtio == device)
    }

    /// The flash banks. The reset vector is in the first.
    pub fn flash(&self) -> Vec<Region> {
        let all = self.find(Chip::Flash);
        all.map_or_else(Vec::new, |all| (0..all.count).map(|n| all.region(n)).collect())
    }

    /// The row with the console.
    pub fn console(&self) -> Option<&Fitted> {
        self.devices.iter().find(|fitted| fitted.chip.is_console())
    }

    /// What is at which address: a line each, in order, for a board with `memory` bytes of RAM. Ports come last.
    pub fn listing(&self, memory: u64) -> String {
        let ram = self.ram_pieces(memory).into_iter();
        let mut rows: Vec<_> = ram.map(|piece| (piece, "ram", None)).collect();
        for fitted in self.devices.iter() {
            let name = |n| match fitted.chip {
                Chip::VirtioMmio => self.virtio(n).map_or(fitted.chip.name(), Virtio::name),
                chip => chip.name(),
            };
            rows.extend((0..fitted.count).map(|n| (fitted.region(n), name(n), fitted.line(n))));
            let more = fitted.more.iter().map(|&(base, size)| Region::new(base, size));
            rows.extend(more.map(|region| (region, name(0), None)));
        }
        rows.sort_by_key(|row| row.0.base);
        let mut text = String::new();
        let kind = if self.gic.is_some() { "SPI" } else { "IRQ" };
        for (region, name, line) in rows {
            let last = region.end() - 1;
            let line = line.map_or_else(String::new, |n| format!("  {kind} {n}"));
            // Writing to a string does not fail.
            let _ = match region.base.checked_sub(PORTS) {
                None => writeln!(text, "{:010x}-{last:010x}  {name}{line}", region.base),
                Some(first) => writeln!(text, "port  {first:04x}-{:04x}       {name}{line}", last - PORTS),
            };
        }
        text
    }
}

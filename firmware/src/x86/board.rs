//! A board without PCI, as the tables of [`super::acpi`] and [`super::mp`] and the command line tell of it.

use crate::fdt::Region;

/// A line to an I/O APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number among the inputs of all I/O APICs (ACPI's global system interrupt).
    pub gsi: u32,
    /// Edges count, not the level.
    pub is_edge: bool,
    /// It is active when low.
    pub is_low: bool,
}

impl Line {
    /// ISA's kind: rising edges.
    pub const fn edge(gsi: u32) -> Line {
        Line {
            gsi,
            is_edge: true,
            is_low: false,
        }
    }

    /// A level, active when high.
    pub const fn level(gsi: u32) -> Line {
        Line {
            gsi,
            is_edge: false,
            is_low: false,
        }
    }

    /// Polarity and trigger mode in two bits each, neither as the bus has it (ACPI 6.5, table 5.26; MP 1.4, table 4-10).
    pub(super) const fn flags(self) -> u16 {
        (if self.is_low { 3 } else { 1 }) | (if self.is_edge { 1 } else { 3 }) << 2
    }
}

/// An I/O APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoApic {
    /// Its APIC ID.
    pub id: u8,
    /// Physical address.
    pub address: u32,
    /// Number of its first input.
    pub first: u32,
    /// How many inputs it has.
    pub inputs: u32,
}

/// An ISA interrupt that is not the I/O APICs' input of the same number, or not of rising edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Override {
    /// ISA's number, 0 to 15.
    pub irq: u8,
    /// What it is.
    pub line: Line,
}

/// A virtio-mmio slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VirtioMmio {
    /// Its registers, below 4 GiB.
    pub region: Region,
    /// Its interrupt.
    pub line: Line,
}

impl VirtioMmio {
    /// What tells Linux of it on the command line, where ACPI does not (drivers/virtio/virtio_mmio.c).
    pub fn argument(&self) -> String {
        let Region { base, size } = self.region;
        format!("virtio_mmio.device={size:#x}@{base:#x}:{}", self.line.gsi)
    }
}

/// A device at ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The first one.
    pub first: u16,
    /// How many.
    pub count: u8,
    /// Its interrupt, if it has one.
    pub line: Option<Line>,
}

/// What switches the board off and resets it, and tells of the power button: ACPI's generic event device and the registers of
/// hardware-reduced ACPI. Addresses are physical.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Power {
    /// A word in which each bit is an event; reading clears it.
    pub events: u32,
    /// The bit of the power button.
    pub button: u32,
    /// The events' interrupt.
    pub line: Line,
    /// The sleep control register, a byte.
    pub control: u32,
    /// The sleep status register, a byte.
    pub status: u32,
    /// What `control` takes for off, 0 to 7.
    pub off: u8,
    /// The reset register, a byte, and what resets.
    pub reset: (u32, u8),
}

/// A board.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Board {
    /// The CPUs' APIC IDs, the one that starts first.
    pub cpus: Vec<u32>,
    /// Physical address of the local APICs.
    pub local_apic: u32,
    /// The I/O APICs.
    pub io_apics: Vec<IoApic>,
    /// ISA's interrupts that are special.
    pub overrides: Vec<Override>,
    /// There are two 8259 too.
    pub has_pic: bool,
    /// The virtio-mmio slots.
    pub virtio: Vec<VirtioMmio>,
    /// The 16550s.
    pub serial: Vec<Ports>,
    /// The real-time clock.
    pub rtc: Option<Ports>,
    /// fw_cfg.
    pub fw_cfg: Option<Ports>,
    /// What switches it off.
    pub power: Option<Power>,
}

impl Board {
    /// What an ISA interrupt is.
    pub(super) fn isa(&self, irq: u8) -> Line {
        let special = self.overrides.iter().find(|it| it.irq == irq);
        special.map_or(Line::edge(irq.into()), |it| it.line)
    }

    /// The lines of devices.
    pub(super) fn lines(&self) -> impl Iterator<Item = Line> + '_ {
        let ports = self.serial.iter().chain(&self.rtc).chain(&self.fw_cfg);
        let slots = self.virtio.iter().map(|slot| slot.line);
        let power = self.power.iter().map(|power| power.line);
        ports.filter_map(|it| it.line).chain(slots).chain(power)
    }
}

/// The tables take more room than there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the board's tables take {size} bytes of {room}")]
pub struct TooLarge {
    /// Bytes that they take.
    pub size: u64,
    /// Bytes that there are.
    pub room: u64,
}

/// Bytes, if they have room.
pub(super) fn fitting(bytes: Vec<u8>, at: Region) -> Result<Vec<u8>, TooLarge> {
    let size = bytes.len() as u64;
    match size > at.size {
        true => Err(TooLarge { size, room: at.size }),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_on_the_command_line() {
        let slot = VirtioMmio {
            region: Region::new(0xfeb0_0e00, 0x200),
            line: Line::edge(12),
        };

        assert_eq!(slot.argument(), "virtio_mmio.device=0x200@0xfeb00e00:12");
    }
}

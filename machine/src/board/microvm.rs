//! The board `microvm`: the addresses and interrupt lines of QEMU's board of that name (hw/i386/microvm, 7.2) with ACPI and a
//! second IOAPIC, so that kernels for it fit unchanged. Lines are ISA's interrupts up to 15, and above those of the IOAPICs.

use std::borrow::Cow;

use emu_devices::misc::acpi_ged;
use emu_frontend_x86::platform::PORTS;

use super::table::{Board, Chip, Controller, Fitted, Virtio};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// Line of the first virtio transport.
const VIRTIO: u32 = 24;

/// The board. The local APICs' eight bits of identification name 255 CPUs.
pub static MICROVM: Board = Board {
    name: "microvm",
    compatible: "",
    ram: 0,
    ram_end: Some(0xe000_0000),
    memory: MIB..=255 * GIB,
    controllers: &[Controller {
        gic: None,
        max_cpus: 255,
        devices: &[],
    }],
    gic: None,
    others: DEVICES,
    devices: Cow::Borrowed(DEVICES),
    virtio: Cow::Borrowed(&[(23, Virtio::Rng), (22, Virtio::Console)]),
};

/// The interrupt controllers last: they are loaded in this order.
const DEVICES: &[Fitted] = &[
    Fitted::ports(Chip::Uart16550, 0x3f8, 8).edge(4),
    Fitted::ports(Chip::I8254, 0x40, 4).edge(0).and(&[(PORTS + 0x61, 1)]),
    Fitted::ports(Chip::Mc146818, 0x70, 2).edge(8),
    Fitted::ports(Chip::Port92, 0x92, 1),
    Fitted::ports(Chip::IsaDebugExit, 0xf4, 4),
    Fitted::ports(Chip::FwCfg, 0x510, 12),
    Fitted::new(Chip::AcpiGed, 0xfea0_0000, acpi_ged::SIZE).edge(9),
    Fitted::new(Chip::VirtioMmio, 0xfeb0_0000, 0x200)
        .times(24)
        .level(VIRTIO),
    Fitted::ports(part("i8259", 0), 0x20, 2).and(&[(PORTS + 0xa0, 2), (PORTS + 0x4d0, 2)]),
    Fitted::new(part("ioapic", 0), 0xfec0_0000, 0x1000),
    Fitted::new(part("ioapic", 1), 0xfec1_0000, 0x1000),
    Fitted::new(Chip::LocalApics, 0xfee0_0000, 0x1000),
];

const fn part(name: &'static str, n: usize) -> Chip {
    Chip::Part { name, n }
}

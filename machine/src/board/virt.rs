//! The board `virt`: the addresses and interrupt lines of QEMU's board of that name (hw/arm/virt, 7.2), so that kernels
//! and firmware for it fit unchanged.

use std::borrow::Cow;

use emu_devices::irq::gicv2;

use super::table::{Board, Chip, Fitted, Virtio};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The board. 255 GiB of RAM from 1 GiB on is what 40 physical address bits leave.
pub static VIRT: Board = Board {
    name: "virt",
    compatible: "linux,dummy-virt",
    ram: GIB,
    memory: MIB..=255 * GIB,
    max_cpus: 8,
    devices: Cow::Borrowed(&[
        Fitted::new(Chip::Flash, 0, 64 * MIB).times(2),
        Fitted::new(GIC_DISTRIBUTOR, 0x0800_0000, 0x1_0000),
        Fitted::new(GIC_CPU_INTERFACE, 0x0801_0000, 0x1_0000),
        Fitted::new(Chip::Pl011, 0x0900_0000, 0x1000).level(1),
        Fitted::new(Chip::Pl031, 0x0901_0000, 0x1000).level(2),
        Fitted::new(Chip::FwCfg, 0x0902_0000, 0x18),
        Fitted::new(Chip::Pl061 { power_key: 3 }, 0x0903_0000, 0x1000).level(7),
        Fitted::new(Chip::VirtioMmio, 0x0a00_0000, 0x200).times(32).edge(16),
    ]),
    // From the last one on, as QEMU fills them.
    virtio: Cow::Borrowed(&[(31, Virtio::Rng), (30, Virtio::Console)]),
};

/// The GICv2's distributor.
const GIC_DISTRIBUTOR: Chip = Chip::Interrupts {
    name: "gicv2-distributor",
    offset: 0,
};
/// The GICv2's interface of the CPU that accesses it.
const GIC_CPU_INTERFACE: Chip = Chip::Interrupts {
    name: "gicv2-cpu-interface",
    offset: gicv2::CPU_INTERFACE,
};

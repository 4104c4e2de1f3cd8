//! The board `virt`: the addresses and interrupt lines of QEMU's board of that name (hw/arm/virt, 7.2), so that kernels
//! and firmware for it fit unchanged.

use std::borrow::Cow;

use emu_devices::irq::{gicv2, gicv3};

use super::table::{Board, Chip, Controller, Fitted, Gic, Virtio};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// As many redistributors as there is room for.
const REDISTRIBUTORS: u32 = 123;

/// The board. 255 GiB of RAM from 1 GiB on is what 40 physical address bits leave.
pub static VIRT: Board = Board {
    name: "virt",
    compatible: "linux,dummy-virt",
    ram: GIB,
    ram_end: None,
    memory: MIB..=255 * GIB,
    controllers: &[
        Controller {
            gic: Some(Gic::V2),
            max_cpus: gicv2::MAX_CPUS as u32,
            devices: GIC_V2,
        },
        Controller {
            gic: Some(Gic::V3),
            max_cpus: REDISTRIBUTORS,
            devices: GIC_V3,
        },
    ],
    gic: Some(Gic::V2),
    others: DEVICES,
    devices: Cow::Borrowed(&joined::<{ GIC_V2.len() + DEVICES.len() }>(GIC_V2, DEVICES)),
    // From the last one on, as QEMU fills them.
    virtio: Cow::Borrowed(&[(31, Virtio::Rng), (30, Virtio::Console)]),
};

const DEVICES: &[Fitted] = &[
    Fitted::new(Chip::Flash, 0, 64 * MIB).times(2),
    Fitted::new(Chip::Pl011, 0x0900_0000, 0x1000).level(1),
    Fitted::new(Chip::Pl031, 0x0901_0000, 0x1000).level(2),
    Fitted::new(Chip::FwCfg, 0x0902_0000, 0x18),
    Fitted::new(Chip::Pl061 { power_key: 3 }, 0x0903_0000, 0x1000).level(7),
    Fitted::new(Chip::VirtioMmio, 0x0a00_0000, 0x200).times(32).edge(16),
];

/// Distributor, the interface of the CPU that accesses it, and the frame for messages.
const GIC_V2: &[Fitted] = &[
    Fitted::new(interrupts("gicv2-distributor", 0), 0x0800_0000, 0x1_0000),
    Fitted::new(
        interrupts("gicv2-cpu-interface", gicv2::CPU_INTERFACE),
        0x0801_0000,
        0x1_0000,
    ),
    Fitted::new(Chip::GicV2m { spis: 64 }, 0x0802_0000, 0x1000).edge(48),
];

/// Distributor, ITS, and the redistributors of all CPUs that there could be.
const GIC_V3: &[Fitted] = &[
    Fitted::new(interrupts("gicv3-distributor", 0), 0x0800_0000, 0x1_0000),
    Fitted::new(interrupts("gicv3-its", gicv3::ITS), 0x0808_0000, gicv3::ITS_SIZE),
    Fitted::new(
        interrupts("gicv3-redistributors", gicv3::REDISTRIBUTORS),
        0x080a_0000,
        REDISTRIBUTORS as u64 * gicv3::REDISTRIBUTOR_SIZE,
    ),
];

/// Registers of the interrupt controller, `offset` bytes from its first.
const fn interrupts(name: &'static str, offset: u64) -> Chip {
    Chip::Interrupts { name, offset }
}

/// Rows behind one another; `N` is how many there are.
#[expect(
    clippy::indexing_slicing,
    reason = "evaluated at compile time, where an index out of range is an error"
)]
const fn joined<const N: usize>(first: &[Fitted], then: &[Fitted]) -> [Fitted; N] {
    let mut all = [first[0]; N];
    let mut n = 0;
    while n < N {
        all[n] = if n < first.len() {
            first[n]
        } else {
            then[n - first.len()]
        };
        n += 1;
    }
    all
}

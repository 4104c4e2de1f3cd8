//! The board `virt`: the addresses and interrupt lines of QEMU's board of that name (hw/arm/virt, 7.2), so that kernels
//! and firmware for it fit unchanged.

use super::{Board, Chip, Place, PrivateInterrupts, Virtio};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The board. 255 GiB of RAM from 1 GiB on is what 40 physical address bits leave.
pub const VIRT: Board = Board {
    name: "virt",
    compatible: "linux,dummy-virt",
    ram: GIB,
    memory: MIB..=255 * GIB,
    max_cpus: 8,
    private: PrivateInterrupts {
        secure: 13,
        physical: 14,
        virt: 11,
        hyp: 10,
        pmu: 7,
    },
    devices: &[
        Place::new(Chip::Flash, 0, 64 * MIB).times(2),
        Place::new(Chip::GicDistributor, 0x0800_0000, 0x1_0000),
        Place::new(Chip::GicCpuInterface, 0x0801_0000, 0x1_0000),
        Place::new(Chip::Pl011, 0x0900_0000, 0x1000).level(1),
        Place::new(Chip::Pl031, 0x0901_0000, 0x1000).level(2),
        Place::new(Chip::FwCfg, 0x0902_0000, 0x18),
        Place::new(Chip::Pl061 { power_key: 3 }, 0x0903_0000, 0x1000).level(7),
        Place::new(Chip::VirtioMmio { fitted: VIRTIO }, 0x0a00_0000, 0x200)
            .times(32)
            .edge(16),
    ],
};

/// Slots are filled from the last one, as QEMU fills them.
const VIRTIO: &[Virtio] = &[Virtio::Rng, Virtio::Console];

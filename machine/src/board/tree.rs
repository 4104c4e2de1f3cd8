//! A board's device tree, from its table.

use emu_firmware::fdt::arm::{self, Conduit, Interrupt, Platform, Trigger};
use emu_firmware::fdt::{Chosen, Node, Region};
use emu_frontend_arm::Model;

use super::{Board, Chip, Place};

/// What a run adds to the board.
#[derive(Clone, Copy, Debug)]
pub struct Fitting {
    /// RAM in bytes.
    pub memory: u64,
    /// Number of CPUs.
    pub cpus: u32,
    /// The CPUs' model.
    pub model: &'static Model,
}

impl Place {
    fn interrupt(&self, n: u32) -> Interrupt {
        let (first, trigger) = self.line.unwrap_or((0, Trigger::LevelHigh));
        Interrupt::Spi(first + n, trigger)
    }

    /// The nodes of this row.
    fn nodes(&self, board: &Board) -> Vec<Node> {
        let place = self.region(0);
        let line = self.interrupt(0);
        match self.chip {
            Chip::Flash => {
                let banks: Vec<Region> = (0..self.count).map(|n| self.region(n)).collect();
                vec![arm::flash(&banks)]
            }
            Chip::GicDistributor => {
                let interface = board.find(Chip::GicCpuInterface);
                let interface = interface.map_or(Region::new(0, 0), |other| other.region(0));
                vec![arm::gic_v2(place, interface)]
            }
            Chip::GicCpuInterface => vec![],
            Chip::Pl011 => vec![arm::pl011(place, line)],
            Chip::Pl031 => vec![arm::pl031(place, line)],
            Chip::FwCfg => vec![arm::fw_cfg(place)],
            Chip::VirtioMmio { .. } => (0..self.count)
                .map(|n| arm::virtio_mmio(self.region(n), self.interrupt(n)))
                .collect(),
            Chip::Pl061 { power_key } => vec![arm::pl061(place, line), arm::power_key(power_key)],
        }
    }
}

impl Board {
    /// Path of the console's node.
    pub fn console(&self) -> Option<String> {
        let node = self.find(Chip::Pl011)?.nodes(self).into_iter().next()?;
        Some(format!("/{}", node.name))
    }

    /// The device tree, with what the boot loader says.
    pub fn tree(&self, fitting: Fitting, chosen: Chosen) -> Node {
        let Fitting { memory, cpus, model } = fitting;
        let ppi = |n| Interrupt::Ppi {
            n,
            trigger: Trigger::LevelHigh,
            cpus,
        };
        let private = self.private;
        let mut devices = vec![
            arm::timer([private.secure, private.physical, private.virt, private.hyp], cpus),
            arm::pmu(&format!("{}-pmu", model.compatible), ppi(private.pmu)),
        ];
        devices.extend(self.devices.iter().flat_map(|place| place.nodes(self)));
        let affinities: Vec<u32> = (0..cpus).collect();
        let serial0 = self.console();
        let platform = Platform {
            name: self.compatible,
            memory: self.ram(memory),
            cpu: model.compatible,
            affinities: &affinities,
            psci: Conduit::Hvc,
            chosen,
            serial0: serial0.as_deref(),
            devices,
        };
        platform.tree()
    }
}

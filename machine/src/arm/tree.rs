//! The device tree of a board with ARM CPUs, from its table.

use emu_devices::irq::{gicv2, gicv3};
use emu_firmware::fdt::arm::{self, Conduit, Interrupt, Platform};
use emu_firmware::fdt::{Chosen, Node, Region, Seeds};
use emu_frontend_arm::platform::affinity;

use super::private;
use crate::arch::Fitting;
use crate::board::{Board, Chip, Fitted, Gic, Trigger};

fn sampled(trigger: Trigger) -> arm::Trigger {
    match trigger {
        Trigger::EdgeRising => arm::Trigger::EdgeRising,
        Trigger::LevelHigh => arm::Trigger::LevelHigh,
    }
}

fn interrupt(fitted: &Fitted, n: u32) -> Interrupt {
    let (first, trigger) = fitted.lines.unwrap_or((0, Trigger::LevelHigh));
    Interrupt::Spi(first + n, sampled(trigger))
}

/// The GIC's node, which the distributor's row stands for: its registers come first.
fn gic(board: &Board, offset: u64, distributor: Region) -> Vec<Node> {
    let is_at = |fitted: &&Fitted, at| matches!(fitted.chip, Chip::Interrupts { offset, .. } if offset == at);
    let part = |at| {
        let row = board.devices.iter().find(|fitted| is_at(fitted, at));
        row.map_or(Region::new(0, 0), |row| row.region(0))
    };
    let frame = board.devices.iter().find(|row| matches!(row.chip, Chip::GicV2m { .. }));
    let (gic, messages) = match board.gic {
        _ if offset != 0 => return vec![],
        Some(Gic::V2) | None => (
            arm::gic_v2(distributor, part(gicv2::CPU_INTERFACE)),
            frame.map(|row| arm::gic_v2m(row.region(0))),
        ),
        Some(Gic::V3) => (
            arm::gic_v3(distributor, part(gicv3::REDISTRIBUTORS)),
            Some(arm::gic_v3_its(part(gicv3::ITS))),
        ),
    };
    vec![messages.into_iter().fold(gic, Node::child)]
}

/// The nodes of a row.
fn nodes(fitted: &Fitted, board: &Board) -> Vec<Node> {
    let place = fitted.region(0);
    let line = interrupt(fitted, 0);
    let all = 0..fitted.count;
    match fitted.chip {
        Chip::Flash => vec![arm::flash(&all.map(|n| fitted.region(n)).collect::<Vec<_>>())],
        Chip::Interrupts { offset, .. } => gic(board, offset, place),
        // The GIC's node has it.
        Chip::GicV2m { .. } => vec![],
        Chip::Pl011 => vec![arm::pl011(place, line)],
        Chip::Pl031 => vec![arm::pl031(place, line)],
        Chip::FwCfg => vec![arm::fw_cfg(place)],
        Chip::VirtioMmio => all
            .map(|n| arm::virtio_mmio(fitted.region(n), interrupt(fitted, n)))
            .collect(),
        Chip::Pl061 { power_key } => vec![arm::pl061(place, line), arm::power_key(power_key)],
        // x86's.
        Chip::Part { .. }
        | Chip::LocalApics
        | Chip::Uart16550
        | Chip::I8254
        | Chip::Mc146818
        | Chip::IsaDebugExit
        | Chip::Port92
        | Chip::AcpiGed => vec![],
    }
}

/// Path of the console's node.
pub fn console(board: &Board) -> Option<String> {
    let node = nodes(board.find(Chip::Pl011)?, board).into_iter().next()?;
    Some(format!("/{}", node.name))
}

/// What the device tree says of the CPUs.
pub struct CpuKind<'a> {
    /// Their name.
    pub compatible: &'a str,
    /// That of their timers, the best first.
    pub timer: &'a [&'a str],
    /// That of their performance monitors, if they have some.
    pub pmu: Option<&'a str>,
    /// They have 64-bit registers.
    pub wide: bool,
}

/// The device tree, with what the boot loader says.
pub fn tree(board: &Board, fitting: Fitting, kind: &CpuKind, chosen: Chosen) -> Node {
    let cpus = match board.gic {
        Some(Gic::V3) => 0,
        _ => fitting.cpus,
    };
    let ppi = |n| Interrupt::Ppi {
        n,
        trigger: arm::Trigger::LevelHigh,
        cpus,
    };
    let timers = [
        private::SECURE_TIMER,
        private::PHYSICAL_TIMER,
        private::VIRTUAL_TIMER,
        private::HYP_TIMER,
    ];
    let mut devices = vec![arm::timer(kind.timer, timers, cpus)];
    devices.extend(kind.pmu.map(|compatible| arm::pmu(compatible, ppi(private::PMU))));
    devices.extend(board.devices.iter().flat_map(|fitted| nodes(fitted, board)));
    let affinities: Vec<u32> = (0..fitting.cpus).map(affinity).collect();
    let serial0 = console(board);
    // 32-bit kernels stay where they are loaded.
    let seeds = chosen.seeds.map(|seeds| Seeds {
        kaslr: seeds.kaslr.filter(|_| kind.wide),
        ..seeds
    });
    let chosen = Chosen { seeds, ..chosen };
    let platform = Platform {
        name: board.compatible,
        memory: board.ram(fitting.memory),
        cpu: kind.compatible,
        wide: kind.wide,
        affinities: &affinities,
        psci: Conduit::Hvc,
        chosen,
        serial0: serial0.as_deref(),
        devices,
    };
    platform.tree()
}

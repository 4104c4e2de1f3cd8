//! What kernels of x86 are told of a board: the memory map, ACPI's tables, the MP table, words on Linux's command line.

use emu_devices::misc::acpi_ged;
use emu_firmware::fdt::Region;
use emu_firmware::x86::board::{Board as Told, IoApic, Line, Override, Ports, Power, TooLarge, VirtioMmio};
use emu_firmware::x86::{Map, acpi, mp, restart};
use emu_frontend_x86::model::{self, Model};
use emu_frontend_x86::platform::PORTS;

use super::TSC_HZ;
use super::controllers::{PINS, TIMER_PIN};
use crate::arch::{Fitting, Tables};
use crate::board::{Board, Chip, Fitted, Trigger};

/// What programs do not take for memory below 1 MiB.
const HOLE: Region = Region::new(0xa_0000, 0x6_0000);
/// ACPI's tables in it, where programs look for them.
const ACPI: Region = Region::new(0xe_0000, 0x1_0000);
/// The MP table.
const MP: Region = Region::new(0xf_0000, restart::AT.base - 0xf_0000);

/// The leaf of CPUID that says how fast the time-stamp counter is; Linux asks Intel's processors alone.
const TSC_LEAF: u32 = 0x15;

/// The line of a row's device number `n`.
fn line(fitted: &Fitted, n: u32) -> Option<Line> {
    let (first, trigger) = fitted.lines?;
    let gsi = match first + n {
        0 => TIMER_PIN as u32,
        n => n,
    };
    Some(match trigger {
        Trigger::EdgeRising => Line::edge(gsi),
        Trigger::LevelHigh => Line::level(gsi),
    })
}

/// A row's ports.
fn ports(fitted: &Fitted) -> Ports {
    Ports {
        first: fitted.base.wrapping_sub(PORTS) as u16,
        count: fitted.size as u8,
        line: line(fitted, 0),
    }
}

/// What switches the board off.
fn power(fitted: &Fitted) -> Option<Power> {
    let base = fitted.base;
    Some(Power {
        events: base as u32,
        button: acpi_ged::BUTTON,
        line: line(fitted, 0)?,
        control: (base + acpi_ged::CONTROL_AT) as u32,
        status: (base + acpi_ged::STATUS_AT) as u32,
        off: acpi_ged::OFF,
        reset: ((base + acpi_ged::RESET_AT) as u32, acpi_ged::RESET_VALUE),
    })
}

/// The board as tables tell of it.
fn told(board: &Board, cpus: u32) -> Told {
    let mut told = Told {
        cpus: (0..cpus).collect(),
        overrides: vec![Override {
            irq: 0,
            line: Line::edge(TIMER_PIN as u32),
        }],
        ..Told::default()
    };
    for fitted in board.devices.iter() {
        match fitted.chip {
            Chip::LocalApics => told.local_apic = fitted.base as u32,
            Chip::Part { name: "ioapic", n } => told.io_apics.push(IoApic {
                id: n as u8,
                address: fitted.base as u32,
                first: (n * PINS) as u32,
                inputs: PINS as u32,
            }),
            Chip::Part { name: "i8259", .. } => told.has_pic = true,
            Chip::Uart16550 => told.serial.push(ports(fitted)),
            Chip::Mc146818 => told.rtc = Some(ports(fitted)),
            Chip::FwCfg => told.fw_cfg = Some(ports(fitted)),
            Chip::AcpiGed => told.power = power(fitted),
            Chip::VirtioMmio => {
                let all = (0..fitted.count).filter_map(|n| {
                    let region = fitted.region(n);
                    line(fitted, n).map(|line| VirtioMmio { region, line })
                });
                told.virtio.extend(all);
            }
            _ => {}
        }
    }
    told
}

/// What kernels are told of a board.
///
/// # Errors
/// It takes more room than there is for it.
pub fn tables(board: &Board, fitting: Fitting) -> Result<Tables, TooLarge> {
    let map = Map::new(&board.ram_pieces(fitting.memory), &[HOLE]);
    let model = model::find(fitting.model).unwrap_or(Model::ALL);
    let restart = (restart::AT.base, restart::code().to_vec());
    if !model.has("apic") {
        return Ok(Tables {
            map,
            rsdp: None,
            placed: vec![restart],
            words: Vec::new(),
            words_without_acpi: Vec::new(),
        });
    }
    let told = told(board, fitting.cpus);
    let acpi = acpi::tables(&told, ACPI)?;
    let mp = mp::table(&told, MP)?;
    let known = model.level >= TSC_LEAF && !model.amd;
    Ok(Tables {
        map,
        rsdp: Some((acpi.address, acpi.rsdp)),
        placed: vec![(acpi.address, acpi.bytes), (MP.base, mp), restart],
        // Where ACPI's hardware is reduced Linux looks at no timer that it could measure the time-stamp counter by.
        words: (!known)
            .then(|| format!("tsc_early_khz={}", TSC_HZ / 1000))
            .into_iter()
            .collect(),
        words_without_acpi: told.virtio.iter().map(VirtioMmio::argument).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::MICROVM;
    use emu_firmware::x86::memory::Kind;

    fn tables_of(memory: u64) -> Tables {
        tables_for("max", memory)
    }

    fn tables_for(model: &str, memory: u64) -> Tables {
        let fitting = Fitting { memory, cpus: 4, model };
        tables(&MICROVM, fitting).unwrap()
    }

    #[test]
    fn linux_is_told_what_its_cpu_does_not_say() {
        let words = |model| tables_for(model, 64 << 20).words;

        assert_eq!(
            (words("max"), words("EPYC")),
            (vec![], vec!["tsc_early_khz=1000000".to_owned()])
        );
        let old = tables_for("486", 64 << 20);
        assert!(old.rsdp.is_none() && old.placed.len() == 1, "it has no APIC");
    }

    #[test]
    fn memory_is_told_without_the_holes() {
        let of = |memory| {
            let ranges = tables_of(memory).map.ranges().to_vec();
            ranges
                .into_iter()
                .map(|range| (range.region.base, range.region.end(), range.kind == Kind::Ram))
                .collect::<Vec<_>>()
        };
        let low = [(0, 0xa_0000, true), (0xa_0000, 0x10_0000, false)];

        assert_eq!(of(64 << 20), [low[0], low[1], (0x10_0000, 64 << 20, true)]);
        let large = [
            low[0],
            low[1],
            (0x10_0000, 0xe000_0000, true),
            (1 << 32, 0x1_2000_0000, true),
        ];
        assert_eq!(of(4 << 30), large);
    }

    #[test]
    fn the_tables_are_where_programs_look_for_them() {
        let tables = tables_of(64 << 20);

        let starts: Vec<(u64, &[u8])> = tables.placed.iter().map(|(at, bytes)| (*at, &bytes[..4])).collect();
        let expected = [(0xe_0000, b"RSD ".as_slice()), (0xf_0000, b"_MP_"), (0xf_ffe0, &[0; 4])];
        assert_eq!(starts, expected);
        assert_eq!(tables.words_without_acpi[23], "virtio_mmio.device=0x200@0xfeb02e00:47");
    }

    #[test]
    fn the_board_is_told_of_as_its_table_has_it() {
        let told = told(&MICROVM, 2);

        assert_eq!(
            (told.local_apic, told.io_apics.len(), told.has_pic),
            (0xfee0_0000, 2, true)
        );
        assert_eq!(told.io_apics[1].first, 24);
        assert_eq!(
            (told.serial[0].first, told.serial[0].line),
            (0x3f8, Some(Line::edge(4)))
        );
        assert_eq!(told.virtio[0].line, Line::level(24));
        assert_eq!(told.power.map(|power| power.reset), Some((0xfea0_0202, 0x42)));
    }
}

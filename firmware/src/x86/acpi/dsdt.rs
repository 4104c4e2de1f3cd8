//! The devices (DSDT), in ACPI's machine language.

use acpi_tables::Aml;
use acpi_tables::aml::{
    And, Device, EISAName, Equal, Field, FieldAccessType, FieldEntry, FieldLockRule, FieldUpdateRule, IO, If,
    Interrupt, Local, Memory32Fixed, Method, Name, Notify, OpRegion, OpRegionSpace, Package, Path, ResourceTemplate,
    Scope, Store, ZERO,
};
use acpi_tables::sdt::Sdt;

use super::{HEADER, OEM, REVISION, TABLE, encoded};
use crate::x86::board::{Board, Line, Ports, Power};

/// Most devices of a kind: their names have room for so many.
const SLOTS: usize = 0x1000;
const PORTS: usize = 10;

/// The table.
pub(super) fn table(board: &Board) -> Vec<u8> {
    let mut table = Sdt::new(*b"DSDT", HEADER, 2, OEM, TABLE, REVISION);
    let mut devices = Vec::new();
    for (n, it) in board.serial.iter().take(PORTS).enumerate() {
        devices.extend(ports(&format!("COM{n}"), &EISAName::new("PNP0501"), n, it));
    }
    if let Some(it) = &board.rtc {
        devices.extend(ports("RTC_", &EISAName::new("PNP0B00"), 0, it));
    }
    if let Some(it) = &board.fw_cfg {
        devices.extend(ports("FWCF", &"QEMU0002", 0, it));
    }
    for (n, slot) in board.virtio.iter().take(SLOTS).enumerate() {
        let (base, size) = (slot.region.base as u32, slot.region.size as u32);
        let memory = Memory32Fixed::new(true, base, size);
        let resources = [&memory as &dyn Aml, &interrupt(slot.line)];
        devices.extend(device(&format!("V{n:03X}"), &"LNRO0005", n, &resources));
    }
    devices.extend(board.power.iter().flat_map(power));
    table.append_slice(&Scope::raw(Path::new("_SB_"), devices));
    if let Some(power) = board.power {
        let off: &dyn Aml = &power.off;
        let sleeps = Package::new(vec![off, &ZERO, &ZERO, &ZERO]);
        table.append_slice(&encoded(&Name::new(Path::new("\\_S5_"), &sleeps)));
    }
    table.as_slice().to_vec()
}

/// A device with a number and resources.
fn device(name: &str, kind: &dyn Aml, number: usize, resources: &[&dyn Aml]) -> Vec<u8> {
    let kind = Name::new(Path::new("_HID"), kind);
    let number = Name::new(Path::new("_UID"), &number);
    let resources = Name::new(Path::new("_CRS"), &ResourceTemplate::new(resources.to_vec()));
    encoded(&Device::new(Path::new(name), vec![&kind, &number, &resources]))
}

/// A device at ports.
fn ports(name: &str, kind: &dyn Aml, number: usize, at: &Ports) -> Vec<u8> {
    let io = IO::new(at.first, at.first, 1, at.count);
    let line = at.line.map(interrupt);
    let line = line.iter().map(|line| line as &dyn Aml);
    device(
        name,
        kind,
        number,
        &[&io as &dyn Aml].into_iter().chain(line).collect::<Vec<_>>(),
    )
}

fn interrupt(line: Line) -> Interrupt {
    Interrupt::new(true, line.is_edge, line.is_low, false, line.gsi)
}

/// The event device (5.6.9) and the button that it tells of.
fn power(power: &Power) -> Vec<u8> {
    const PRESSED: u8 = 0x80;
    let events = Path::new("EVTS");
    let region = OpRegion::new(Path::new("EREG"), OpRegionSpace::SystemMemory, &power.events, &4_u8);
    let whole = vec![FieldEntry::Named(*b"EVTS", 32)];
    let access = (
        FieldAccessType::DWord,
        FieldLockRule::NoLock,
        FieldUpdateRule::WriteAsZeroes,
    );
    let field = Field::new(Path::new("EREG"), access.0, access.1, access.2, whole);
    let seen = Store::new(&Local(0), &events);
    let masked = And::new(&Local(1), &Local(0), &power.button);
    let is_pressed = Equal::new(&Local(1), &power.button);
    let button = Path::new("PWRB");
    let notify = Notify::new(&button, &PRESSED);
    let tell = If::new(&is_pressed, vec![&notify]);
    let handler = Method::new(Path::new("_EVT"), 1, true, vec![&seen, &masked, &tell]);
    let kind = Name::new(Path::new("_HID"), &"ACPI0013");
    let number = Name::new(Path::new("_UID"), &ZERO);
    let line = interrupt(power.line);
    let resources = Name::new(Path::new("_CRS"), &ResourceTemplate::new(vec![&line]));
    let source = Device::new(
        Path::new("GED_"),
        vec![&kind, &number, &resources, &region, &field, &handler],
    );
    let own = Name::new(Path::new("_HID"), &EISAName::new("PNP0C0C"));
    let pressed = Device::new(Path::new("PWRB"), vec![&own, &number]);
    [encoded(&source), encoded(&pressed)].concat()
}

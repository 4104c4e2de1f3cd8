//! ACPI's tables for a board without PCI (ACPI 6.5, hardware-reduced): RSDP, XSDT, FADT, MADT, DSDT.
//!
//! They are written by the `acpi_tables` crate. Of the MADT's structures it has no interrupt source override, no x2APIC and no
//! NMI: these are written here.

mod dsdt;
#[cfg(test)]
mod tests;

use acpi_tables::Aml;
use acpi_tables::fadt::{FADTBuilder, Flags};
use acpi_tables::gas::{AccessSize, AddressSpace, GAS};
use acpi_tables::rsdp::Rsdp;
use acpi_tables::sdt::Sdt;
use acpi_tables::xsdt::XSDT;

use super::board::{Board, TooLarge, fitting};
use crate::fdt::Region;

/// Who made the tables.
const OEM: [u8; 6] = *b"EMU   ";
const TABLE: [u8; 8] = *b"EMU     ";
const REVISION: u32 = 1;
/// Length of the header that all tables have, in bytes.
const HEADER: u32 = 36;
/// What tables' addresses are multiples of, in bytes; programs look for the root pointer at these.
const ALIGN: usize = 16;

/// The tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tables {
    /// Their physical address, which is the root pointer's.
    pub address: u64,
    /// All of them, the root pointer first.
    pub bytes: Vec<u8>,
    /// The root pointer.
    pub rsdp: [u8; 36],
}

/// Makes a board's tables, which will be at the start of `at`: where the programs are to find them that are not told, in
/// 0xe0000 to 0xfffff at a multiple of 16 (5.2.5.1).
///
/// # Errors
///
/// When they take more than `at`.
pub fn tables(board: &Board, at: Region) -> Result<Tables, TooLarge> {
    let mut bytes = vec![0; HEADER as usize];
    let mut add = |table: Vec<u8>| {
        bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
        let address = at.base + bytes.len() as u64;
        bytes.extend(table);
        address
    };
    let dsdt = add(dsdt::table(board));
    let fadt = add(fadt(board, dsdt));
    let madt = add(madt(board));
    let mut xsdt = XSDT::new(OEM, TABLE, REVISION);
    xsdt.add_entry(fadt);
    xsdt.add_entry(madt);
    let root = Rsdp::new(OEM, add(encoded(&xsdt)));
    let root = encoded(&root);
    let mut rsdp = [0; 36];
    rsdp.iter_mut().zip(&root).for_each(|(to, from)| *to = *from);
    bytes.iter_mut().zip(&root).for_each(|(to, from)| *to = *from);
    Ok(Tables {
        address: at.base,
        bytes: fitting(bytes, at)?,
        rsdp,
    })
}

fn encoded(table: &dyn Aml) -> Vec<u8> {
    let mut bytes = Vec::new();
    table.to_aml_bytes(&mut bytes);
    bytes
}

/// A register of a byte.
fn byte(address: u32) -> GAS {
    GAS::new(AddressSpace::SystemMemory, 8, 0, AccessSize::ByteAccess, address.into())
}

/// The fixed description (5.2.9): what there is of registers, and what is missing.
fn fadt(board: &Board, dsdt: u64) -> Vec<u8> {
    /// Boot architecture: no VGA, no real-time clock.
    const NO_VGA: u16 = 1 << 2;
    const NO_RTC: u16 = 1 << 5;
    let mut table = FADTBuilder::new(OEM, TABLE, REVISION)
        .dsdt_64(dsdt)
        .flag(Flags::HwReducedAcpi);
    let missing = NO_VGA | if board.rtc.is_none() { NO_RTC } else { 0 };
    table.iapc_boot_arch = missing.into();
    if let Some(power) = board.power {
        table = table.flag(Flags::ResetRegSup);
        (table.reset_reg, table.reset_value) = (byte(power.reset.0), power.reset.1);
        table.sleep_control_reg = byte(power.control);
        table.sleep_status_reg = byte(power.status);
    }
    encoded(&table.finalize())
}

/// The interrupt controllers (5.2.12).
fn madt(board: &Board) -> Vec<u8> {
    /// Numbers of the structures.
    const LOCAL_APIC: u8 = 0;
    const IO_APIC: u8 = 1;
    const OVERRIDE: u8 = 2;
    const LOCAL_APIC_NMI: u8 = 4;
    const LOCAL_X2APIC: u8 = 9;
    const LOCAL_X2APIC_NMI: u8 = 10;
    /// The CPU can be used.
    const ENABLED: u32 = 1;
    /// IDs from here on are x2APICs'.
    const WIDE: u32 = 255;
    /// All CPUs; as the bus has it; the local input for NMIs.
    const ALL: u32 = u32::MAX;
    const CONFORMS: u16 = 0;
    const LINT1: u8 = 1;
    let flags = u32::from(board.has_pic);
    let mut table = Sdt::new(*b"APIC", HEADER, 5, OEM, TABLE, REVISION);
    table.append_slice(&[board.local_apic, flags].map(u32::to_le_bytes).concat());
    let mut add = |kind: u8, contents: &[&[u8]]| {
        let contents = contents.concat();
        table.append_slice(&[&[kind, 2 + contents.len() as u8], &contents[..]].concat());
    };
    for (uid, &id) in board.cpus.iter().enumerate() {
        let enabled = ENABLED.to_le_bytes();
        match id {
            0..WIDE => add(LOCAL_APIC, &[&[uid as u8, id as u8], &enabled]),
            _ => add(
                LOCAL_X2APIC,
                &[&[0; 2], &id.to_le_bytes(), &enabled, &(uid as u32).to_le_bytes()],
            ),
        }
    }
    for it in &board.io_apics {
        add(
            IO_APIC,
            &[&[it.id, 0], &it.address.to_le_bytes(), &it.first.to_le_bytes()],
        );
    }
    for it in &board.overrides {
        let place = [it.line.gsi.to_le_bytes().as_slice(), &it.line.flags().to_le_bytes()].concat();
        add(OVERRIDE, &[&[0, it.irq], &place]);
    }
    let conforms = CONFORMS.to_le_bytes();
    if board.cpus.iter().any(|&id| id < WIDE) {
        add(LOCAL_APIC_NMI, &[&[ALL as u8], &conforms, &[LINT1]]);
    }
    if board.cpus.iter().any(|&id| id >= WIDE) {
        add(LOCAL_X2APIC_NMI, &[&conforms, &ALL.to_le_bytes(), &[LINT1, 0, 0, 0]]);
    }
    table.as_slice().to_vec()
}

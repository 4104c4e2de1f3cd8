use std::process::Command;

use super::*;
use crate::x86::testing::{board, word};

const AT: Region = Region::new(0xe_0000, 0x1_0000);

/// The table at an address.
fn table(tables: &Tables, address: u32) -> &[u8] {
    let bytes = &tables.bytes[(u64::from(address) - tables.address) as usize..];
    &bytes[..word(bytes, 4) as usize]
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

#[test]
fn every_table_is_found_from_the_root_pointer() {
    let tables = tables(&board(), AT).unwrap();

    assert_eq!(tables.bytes[..36], tables.rsdp);
    assert_eq!(
        (&tables.rsdp[..8], sum(&tables.rsdp[..20]), sum(&tables.rsdp)),
        (&b"RSD PTR "[..], 0, 0)
    );
    let root = table(&tables, word(&tables.rsdp, 24));
    let [fixed, interrupts] = [36, 44].map(|at| table(&tables, word(root, at)));
    let devices = table(&tables, word(fixed, 140));
    for (table, name) in [
        (root, b"XSDT"),
        (fixed, b"FACP"),
        (interrupts, b"APIC"),
        (devices, b"DSDT"),
    ] {
        assert_eq!((&table[..4], sum(table)), (&name[..], 0));
        let at = table.as_ptr().addr() - tables.bytes.as_ptr().addr();
        assert_eq!(at % 16, 0);
    }
}

#[test]
fn the_interrupt_controllers() {
    let table = madt(&board());

    let (mut at, mut structures) = (44, Vec::new());
    while at < table.len() {
        let size = usize::from(table[at + 1]);
        structures.push(table[at..at + size].to_vec());
        at += size;
    }
    assert_eq!([36, 40].map(|at| word(&table, at)), [0xfee0_0000, 1]);
    let expected: [&[u8]; 8] = [
        &[0, 8, 0, 0, 1, 0, 0, 0],
        &[0, 8, 1, 1, 1, 0, 0, 0],
        &[9, 16, 0, 0, 0x2c, 1, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0],
        &[1, 12, 2, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0],
        &[1, 12, 3, 0, 0, 0, 0xc1, 0xfe, 24, 0, 0, 0],
        &[2, 10, 0, 0, 2, 0, 0, 0, 5, 0],
        &[4, 6, 0xff, 0, 0, 1],
        &[10, 12, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0],
    ];
    assert_eq!(structures, expected);
}

#[test]
fn a_board_without_registers_to_switch_it_off_says_so() {
    const RESET: u32 = 1 << 10;
    const REDUCED: u32 = 1 << 20;
    let without = fadt(&Board::default(), 0);
    let with = fadt(&board(), 0x1234);

    assert_eq!([112, 109].map(|at| word(&without, at)), [REDUCED, REDUCED << 24 | 0x24]);
    assert_eq!([112, 140].map(|at| word(&with, at)), [REDUCED | RESET, 0x1234]);
    assert_eq!((word(&with, 120), with[128]), (0xfea0_0202, 0x42));
    assert_eq!([248, 260].map(|at| word(&with, at)), [0xfea0_0200, 0xfea0_0201]);
}

#[test]
fn tables_that_have_no_room() {
    let error = tables(&board(), Region::new(0xe_0000, 64)).unwrap_err();

    assert_eq!(error.room, 64);
    assert!(error.to_string().starts_with("the board's tables take "), "{error}");
}

/// ACPI's own disassembler reads the devices' table.
#[test]
fn the_devices_as_iasl_reads_them() {
    let folder = std::env::temp_dir().join(format!("emu-dsdt-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("dsdt.aml"), dsdt::table(&board())).unwrap();
    let ran = Command::new("iasl")
        .args(["-d", "dsdt.aml"])
        .current_dir(&folder)
        .output();
    let text = std::fs::read_to_string(folder.join("dsdt.dsl"));
    std::fs::remove_dir_all(&folder).unwrap();
    let Ok(output) = ran else {
        return crate::skipped("the_devices_as_iasl_reads_them", "iasl (acpica-tools) is not there");
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let text = text.unwrap_or_else(|e| panic!("{e}: {said}"));
    let code = text.split("DefinitionBlock").nth(1).unwrap();
    insta::assert_snapshot!(plain(code));
}

/// Code without its comments, which differ between versions.
fn plain(code: &str) -> String {
    let line = |line: &str| -> String {
        let line = line.split(" //").next().unwrap_or_default();
        let parts = line
            .split(" /*")
            .map(|part| part.split("*/").last().unwrap_or_default());
        parts.collect::<String>().trim_end().to_owned()
    };
    code.trim_end().lines().map(line).collect::<Vec<_>>().join("\n")
}

//! What is where a PC's firmware starts, on a board that has none: operating systems jump there, in real mode, to restart
//! the machine. Linux does where ACPI's hardware is reduced and there is no UEFI.

use crate::fdt::Region;

/// Where it lies: the end of the first MiB, with the entry, F000:FFF0 or FFFF:0000, in its last 16 bytes.
pub const AT: Region = Region::new(0xf_ffe0, 0x20);
/// What is loaded into IDTR: a table without entries.
const NO_IDT: usize = 8;
/// The entry.
const ENTRY: usize = 0x10;

/// The bytes. With no table of interrupts any interrupt shuts the processor down, which resets the machine (SDM 3, 6.15,
/// "Double Fault Exception"); no device takes part.
pub fn code() -> [u8; AT.size as usize] {
    const CODE: [u8; 11] = [
        0xb8, 0x00, 0xf0, // mov ax, 0f000h
        0x8e, 0xd8, // mov ds, ax
        0x0f, 0x01, 0x1e, 0xe8, 0xff, // lidt [0ffe8h]
        0xcc, // int3
    ];
    const { assert!(AT.base as usize + NO_IDT == 0xf_ffe8 && AT.base as usize + ENTRY == 0xf_fff0) };
    let mut bytes = [0; AT.size as usize];
    let (_, entry) = bytes.split_at_mut(ENTRY);
    entry.iter_mut().zip(CODE).for_each(|(at, byte)| *at = byte);
    bytes
}

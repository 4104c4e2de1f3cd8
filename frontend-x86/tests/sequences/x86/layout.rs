//! Where things are. RAM is mapped at its own addresses, which here are those of a program that has its RAM from 0 on; again
//! from [`PLAY`] on, by tables that the program changes as it goes, of each address space its own; and again by a large page.

/// Pages of RAM.
pub const PAGES: usize = 0x1c;

/// The vectors of real mode and of virtual 8086 mode.
pub const VECTORS: u32 = 0;
/// Handlers: 16 bytes each of the first 64 vectors, and what these have in common.
pub const SYSTEM: u32 = 0x1000;
/// Where a program goes to end.
pub const END: u32 = SYSTEM + 0xf00;
/// Where call gates, SYSCALL and SYSENTER lead.
pub const GATE: u32 = SYSTEM + 0xe00;
pub const SYSCALL: u32 = SYSTEM + 0xe40;
pub const SYSENTER: u32 = SYSTEM + 0xe80;
pub const GDT: u32 = 0x2000;
pub const IDT: u32 = 0x2400;
pub const TSS: u32 = 0x2800;
/// How many exceptions, and chunks of the kernel, there may still be.
pub const LEFT: u32 = 0x2c00;
/// How many rounds a loop of the kernel still has.
pub const ROUNDS: u32 = 0x2c10;
/// Far pointers to the kernel's chunks, 16 bytes apart.
pub const POINTERS: u32 = 0x2d00;
/// The kernel's stacks: its programs', and for exceptions of others.
pub const STACK: u32 = 0x3ff0;
pub const INNER: u32 = 0x4ff0;
pub const SPARE_STACK: u32 = 0x4700;
/// How many chunks of the user there may still be.
pub const USER_LEFT: u32 = 0x5010;
/// How many rounds a loop of the user still has.
pub const USER_ROUNDS: u32 = 0x5020;
pub const USER_STACK: u32 = 0x5ff0;

/// Code, in chunks: the kernel's, the user's, and of 16 bits.
pub const CODE: u32 = 0x6000;
pub const CHUNK: u32 = 0x400;
pub const KERNEL_CHUNKS: u32 = 16;
pub const WIDE_CHUNKS: u32 = 28;
pub const CHUNKS: u32 = 32;
pub const DATA: u32 = CODE + CHUNKS * CHUNK;
pub const DATA_PAGES: u32 = 4;

/// Where walks start, in both address spaces; bit 12 says which it is.
pub const ROOT: u32 = DATA + DATA_PAGES * 0x1000;
pub const POINTER_TABLE: u32 = ROOT + 0x2000;
pub const DIRECTORY: u32 = ROOT + 0x4000;
/// The table that maps RAM at its own addresses.
pub const HOME_TABLE: u32 = ROOT + 0x6000;
/// Those of [`PLAY`].
pub const PLAY_TABLE: u32 = ROOT + 0x8000;

/// Where programs map pages as they like, and how many there are.
pub const PLAY: u32 = 0x0040_0000;
pub const PLAY_PAGES: u32 = 16;
/// Where the device is.
pub const DEVICE_AT: u32 = PLAY + (DEVICE_ENTRY << 12);
pub const DEVICE_ENTRY: u32 = 0x1f0;
/// RAM by a large page.
pub const LARGE: u32 = 0x0080_0000;

/// Ports that raise the device's interrupt, and lower it.
pub const RAISE: u8 = 0xe0;
pub const LOWER: u8 = 0xe4;
/// The interrupt's vector.
pub const INTERRUPT: u8 = 0x20;
/// INT n: to one of the kernel's chunks, by EAX; to the end.
pub const TO_KERNEL: u8 = 0x30;
pub const TO_END: u8 = 0x31;

/// Selectors.
pub mod selector {
    pub const KERNEL_CODE: u16 = 0x08;
    pub const KERNEL_DATA: u16 = 0x10;
    pub const USER_CODE32: u16 = 0x1b;
    pub const USER_DATA: u16 = 0x23;
    pub const USER_CODE64: u16 = 0x2b;
    /// [`USER_DATA`] again, for SYSEXIT.
    pub const USER_DATA_AGAIN: u16 = 0x33;
    /// Takes two places.
    pub const TSS: u16 = 0x38;
    pub const USER_CODE16: u16 = 0x4b;
    /// Data from [`super::DATA`] on, two pages.
    pub const LIMITED: u16 = 0x5b;
    /// Data above a limit.
    pub const EXPAND_DOWN: u16 = 0x63;
    pub const READ_ONLY: u16 = 0x6b;
    /// Code of level 0 that anybody may run.
    pub const CONFORMING: u16 = 0x70;
    /// The user's code with a base, which is [`super::USER_BASE`].
    pub const USER_BASED: u16 = 0x7b;
    /// A call gate to [`super::GATE`], which may take two places.
    pub const GATE: u16 = 0x83;
    pub const ABSENT: u16 = 0x93;
    /// The kernel's code with a base, which is [`super::KERNEL_BASE`].
    pub const KERNEL_BASED: u16 = 0x98;
    /// A call gate that copies two words.
    pub const COPYING_GATE: u16 = 0xa3;
    pub const LIMIT: u32 = 0xaf;
}
pub const USER_BASE: u32 = 0x4000;
pub const KERNEL_BASE: u32 = 0x2000;

/// Where a chunk is.
pub fn chunk_at(chunk: u32) -> u32 {
    CODE + chunk * CHUNK
}

//! The bytes placed in memory before reset: device tree, boot protocols, kernel loaders.
//!
//! Everything here is a function from descriptions and file contents to bytes and addresses: this crate imports none
//! of ours, opens no file and knows no board, CPU or device model. Files are whatever a user has at hand, so every
//! parser is total: it answers any bytes with a value or a typed error.
//!
//! - [`fdt`]: device trees, written from a description (`vm-fdt`) or patched when the user brings one.
//! - [`identify`]: what kind of file some bytes are, so that a refusal can say what was given.
//! - [`kernel`]: zImage, AArch64's Image (packed by gzip, zstd (`ruzstd`) or in an EFI program too), ELF and uImage. The
//!   `linux-loader` crate does none of these in 32-bit ARM's way, and of AArch64's the Image alone, into memory of its own
//!   kind, so the formats are read here (ELF through the `elf` crate).
//! - [`initrd`]: checking initial RAM file systems, and packing small ones (`cpio`).
//! - [`boot`]: Linux's boot protocols on ARM: what goes where in RAM, and the registers at entry.
//! - [`x86`]: the same for x86 (Linux, PVH, multiboot 1 and 2), and what kernels are told of the board: E820h, the MP table, ACPI
//!   (`acpi_tables`).

#![forbid(unsafe_code)]

pub mod boot;
pub mod fdt;
pub mod identify;
pub mod initrd;
pub mod kernel;
pub mod x86;

#[cfg(test)]
mod robustness;

/// Says on the terminal, past the test harness, that something was not tested.
#[cfg(test)]
fn skipped(test: &str, reason: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "\n*** SKIPPED {test}: {reason}");
}

//! How programs without an operating system start: where they are, and where they find the device tree.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::guest::{Emu, kept};

const SOON: Duration = Duration::from_secs(20);
/// `mov r0, #0x40000000`: the start of RAM.
const AT_START: u32 = 0xe3a0_0101;
/// `mov r0, r2`: what r2 says.
const BY_R2: u32 = 0xe1a0_0002;

/// A program that prints Y if there is a device tree where `place` (an instruction) says, else N, and powers off. It runs
/// wherever it is.
const fn looks(place: u32) -> [u32; 12] {
    [
        place,
        0xe590_1000, // ldr r1, [r0]
        0xe59f_2018, // ldr r2, mark
        0xe151_0002, // cmp r1, r2
        0x03a0_3059, // moveq r3, #'Y'
        0x13a0_304e, // movne r3, #'N'
        0xe3a0_4409, // mov r4, #0x09000000
        0xe5c4_3000, // strb r3, [r4]
        0xe59f_0004, // ldr r0, function
        0xe140_0070, // hvc #0
        0xedfe_0dd0, // the mark of a device tree
        0x8400_0008, // PSCI's SYSTEM_OFF
    ]
}

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A file to start.
pub fn put(name: &str, bytes: &[u8]) -> PathBuf {
    fs::create_dir_all(kept()).unwrap();
    let path = kept().join(format!("{name}-{}", std::process::id()));
    fs::write(&path, bytes).unwrap();
    path
}

/// An ELF file for ARM with a segment of `words` at `address`.
pub fn elf(address: u32, entry: u32, words: &[u32]) -> Vec<u8> {
    let size = 4 * words.len() as u32;
    let header = [
        0x464c_457f,
        0x0001_0101,
        0,
        0,
        2 | 40 << 16,
        1,
        entry,
        0x34,
        0,
        0,
        0x34 | 0x20 << 16,
        1,
        0,
    ];
    let segment = [1, 0x54, address, address, size, size, 5, 4];
    bytes(&[&header[..], &segment, words].concat())
}

/// What the guest says of `file` as a kernel.
#[track_caller]
fn says(name: &str, file: &[u8], more: &[&str]) -> String {
    let path = put(name, file);
    let emu = Emu::start(&[&["--kernel", path.to_str().unwrap()], more].concat());
    let (status, output, errors) = emu.end(SOON);
    assert_eq!(status.code(), Some(0), "{errors}");
    output
}

#[test]
fn a_program_finds_the_tree_at_the_start_of_ram() {
    for address in [0x4000_8000, 0x4010_0000] {
        assert_eq!(
            says("at-start", &elf(address, address, &looks(AT_START)), &[]),
            "Y",
            "{address:#x}"
        );
        assert_eq!(
            says("at-start-r2", &elf(address, address, &looks(BY_R2)), &[]),
            "Y",
            "{address:#x}"
        );
    }
}

/// The same for AArch64, where x0 says.
const LOOKS_64: [u32; 11] = [
    0xb940_0001, // ldr w1, [x0]
    0x1800_0122, // ldr w2, mark
    0x6b02_003f, // cmp w1, w2
    0x5280_0b23, // mov w3, #'Y'
    0x5280_09c4, // mov w4, #'N'
    0x1a84_0063, // csel w3, w3, w4, eq
    0xd2a1_2005, // mov x5, #0x09000000
    0x3900_00a3, // strb w3, [x5]
    0x1800_0060, // ldr w0, function
    0xd400_0002, // hvc #0
    0xedfe_0dd0, // the mark of a device tree; what follows is added
];

/// An Image whose header's branch leads to the code behind it.
fn image(code: &[u8]) -> Vec<u8> {
    let mut image = vec![0; 64];
    image[..4].copy_from_slice(&0x1400_0010_u32.to_le_bytes());
    image[16..24].copy_from_slice(&0x1_0000_u64.to_le_bytes());
    image[24] = 0xa;
    image[56..60].copy_from_slice(b"ARM\x64");
    [&image, code].concat()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, bytes).unwrap();
    gzip.finish().unwrap()
}

#[test]
fn kernels_and_raw_code_for_aarch64_find_the_tree_by_x0() {
    let code = bytes(&[&LOOKS_64[..], &[0x8400_0008]].concat());
    let files = [code.clone(), image(&code), gzipped(&image(&code))];
    for (n, file) in files.iter().enumerate() {
        for more in [
            &["--arch", "aarch64"][..],
            &["--arch", "arm64", "--memory", "5G", "--accel", "interp"],
        ] {
            assert_eq!(says("aarch64", file, more), "Y", "{n} {more:?}");
        }
    }
}

#[test]
fn a_program_at_the_start_of_ram_finds_the_tree_by_r2() {
    assert_eq!(
        says("itself", &elf(0x4000_0000, 0x4000_0000, &looks(AT_START)), &[]),
        "N"
    );
    assert_eq!(
        says("itself-r2", &elf(0x4000_0000, 0x4000_0000, &looks(BY_R2)), &[]),
        "Y"
    );
}

#[test]
fn programs_run_in_either_flash_bank() {
    for address in [0, 0x1_0000, 0x400_0000] {
        for accel in ["jit", "interp"] {
            let said = says(
                "in-flash",
                &elf(address, address, &looks(AT_START)),
                &["--accel", accel],
            );

            assert_eq!(said, "Y", "{address:#x} {accel}");
        }
    }
}

#[test]
fn raw_code_runs_64_kib_into_ram() {
    // It looks only if it is there.
    let mut words = vec![
        0xe1a0_100f, // mov r1, pc: two instructions on
        0xe59f_3008, // ldr r3, expected
        0xe151_0003, // cmp r1, r3
        0x0a00_0001, // beq over the constant
        0xeaff_fffe, // b .
        0x4001_0008, // expected
    ];
    words.extend(looks(BY_R2));

    assert_eq!(says("raw", &bytes(&words), &[]), "Y");
}

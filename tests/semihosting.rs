//! Semihosting: each instruction that calls, real C libraries, and that without the option nothing is special.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::guest::{Emu, kept, skipped};
use crate::start::{elf, put};

const SOON: Duration = Duration::from_secs(20);
const BASE: u32 = 0x4001_0000;
/// `svc 0x123456`.
const SVC: u32 = 0xef12_3456;

fn run(name: &str, entry: u32, words: &[u32], more: &[&str]) -> Emu {
    let path = put(name, &elf(BASE, entry, words));
    Emu::start(&[&["--kernel", path.to_str().unwrap()], more].concat())
}

#[test]
fn every_instruction_calls_and_the_exit_has_the_programs_status() {
    // ldr r1, block; mov r0, #SYS_EXIT_EXTENDED; the call; b .; block: ADP_Stopped_ApplicationExit, 7.
    let arm = |call| [0xe59f_1008, 0xe3a0_0020, call, 0xeaff_fffe, BASE + 20, 0x2_0026, 7];
    let thumb = |call: u32| [0x2020_4902, 0xe7fe_0000 | call, 0xbf00_bf00, BASE + 16, 0x2_0026, 7];
    for accel in ["jit", "interp"] {
        for call in [SVC, 0xe10f_0070] {
            let emu = run("call", BASE, &arm(call), &["--semihosting", "--accel", accel]);
            assert_eq!(emu.end(SOON).0.code(), Some(7), "{call:#x} {accel}");
        }
        for call in [0xdfab, 0xbeab, 0xbabc] {
            let emu = run("call-t", BASE | 1, &thumb(call), &["--semihosting", "--accel", accel]);
            assert_eq!(emu.end(SOON).0.code(), Some(7), "{call:#x} {accel}");
        }
    }
}

/// Shows its command line, writes the first five bytes of it to a file, and ends with the file's length.
const TOUR_64: [u32; 46] = [
    0x1000_02d3, // adr x19, blocks
    0x5280_02a0, // mov w0, #SYS_GET_CMDLINE
    0xaa13_03e1, // mov x1, x19
    HLT,
    0x5280_0080, // mov w0, #SYS_WRITE0
    0xf940_0261, // ldr x1, [x19]
    HLT,
    0x5280_0020, // mov w0, #SYS_OPEN
    0x9100_4261, // add x1, x19, #16
    HLT,
    0xf900_2260, // str x0, [x19, #64]
    0x5280_00a0, // mov w0, #SYS_WRITE
    0x9101_0261, // add x1, x19, #64
    HLT,
    0x5280_0180, // mov w0, #SYS_FLEN
    0x9101_0261, // add x1, x19, #64
    HLT,
    0xf900_1a60, // str x0, [x19, #48]
    0x5280_0300, // mov w0, #SYS_EXIT
    0x9100_a261, // add x1, x19, #40
    HLT,
    0x1400_0000,      // b .
    BASE_64 + 0x1000, // blocks: a buffer, 64 bytes long
    0,
    64,
    0,
    BASE_64 + 0xb0, // the file's name, for writing and reading, 4 bytes long
    0,
    6,
    0,
    4,
    0,
    0x2_0026, // exit: in order, with a status
    0,
    0,
    0,
    0,
    0,
    0, // write: a handle, the buffer, 5 bytes
    0,
    BASE_64 + 0x1000,
    0,
    5,
    0,
    u32::from_le_bytes(*b"made"),
    0,
];
const BASE_64: u32 = 0x4008_0000;
/// `hlt #0xf000`.
const HLT: u32 = 0xd45e_0000;

#[test]
fn aarch64_calls_with_words_of_64_bits() {
    let files = kept().join(format!("semihosting-64-{}", std::process::id()));
    fs::create_dir_all(&files).unwrap();
    let code: Vec<u8> = TOUR_64.iter().flat_map(|word| word.to_le_bytes()).collect();
    let code = put("semihosting-64-code", &code);
    for accel in ["jit", "interp"] {
        let emu = Emu::start(&[
            "--arch",
            "aarch64",
            "--kernel",
            code.to_str().unwrap(),
            "--accel",
            accel,
            "--semihosting",
            files.to_str().unwrap(),
            "--semihosting-args",
            "hello you",
        ]);

        let (status, output, errors) = emu.end(SOON);

        assert_eq!((status.code(), output.as_str()), (Some(5), "hello you"), "{errors}");
        assert_eq!(fs::read(files.join("made")).unwrap(), b"hello");
    }
    fs::remove_dir_all(files).unwrap();
}

/// HLT at EL1 is Undefined without a halting debugger: its vector powers off.
#[test]
fn without_the_option_an_hlt_of_aarch64_is_undefined() {
    let mut words = vec![0; 0x280];
    words[..4].copy_from_slice(&[
        0x1000_0000, // adr x0, .
        0xd518_c000, // msr vbar_el1, x0
        HLT,
        0x1400_0000, // b .
    ]);
    // From EL1, with its own stack pointer, 0x200 on: ldr w0, function; hvc #0.
    words[0x80..0x83].copy_from_slice(&[0x1800_0040, 0xd400_0002, 0x8400_0008]);
    let image = crate::guest::firmware("hlt", &words);

    let emu = Emu::start(&["--arch", "aarch64", "--firmware", image.to_str().unwrap()]);

    assert_eq!(emu.end(SOON).0.code(), Some(0));
}

#[test]
fn an_exit_for_another_reason_is_no_success() {
    // mov r0, #SYS_EXIT; mov r1, #0x20000; orr r1, r1, #0x23; svc
    let words = [0xe3a0_0018, 0xe3a0_1802, 0xe381_1023, SVC, 0xeaff_fffe];

    let emu = run("reason", BASE, &words, &["--semihosting"]);

    assert_eq!(emu.end(SOON).0.code(), Some(1));
}

#[test]
fn without_the_option_an_svc_is_an_svc() {
    let spin = 0xeaff_fffe;
    let words = [
        0xe59f_0014, // ldr r0, vectors
        0xee0c_0f10, // mcr p15, 0, r0, c12, c0, 0: VBAR
        SVC,
        spin,
        spin,
        spin,
        spin,
        BASE + 0x20,
        spin,        // reset
        spin,        // undefined instruction
        0xe59f_0000, // supervisor call: ldr r0, function
        0xe140_0070, // hvc #0
        0x8400_0008, // PSCI's SYSTEM_OFF
    ];

    assert_eq!(run("plain", BASE, &words, &[]).end(SOON).0.code(), Some(0));
    let with = run("plain-with", BASE, &words, &["--semihosting"]);
    std::thread::sleep(Duration::from_millis(500));
    with.signal(Signal::TERM);
    assert_eq!(with.end(SOON).0.code(), Some(143), "the call came back");
}

const SYS_WRITE: u32 = 5;
const SYS_READ: u32 = 6;

/// Opens a file in one of SYS_OPEN's modes, moves so many bytes between it and the start of RAM, and ends with how many
/// were left.
fn moves(mode: u32, name: &[u8; 3], operation: u32, count: u32) -> [u32; 24] {
    [
        0xe59f_1028, // ldr r1, open
        0xe3a0_0001, // mov r0, #SYS_OPEN
        SVC,
        0xe59f_1020,             // ldr r1, write
        0xe581_0000,             // str r0, [r1]
        0xe3a0_0000 | operation, // mov r0, #SYS_WRITE or SYS_READ
        SVC,
        0xe59f_1014, // ldr r1, exit
        0xe581_0004, // str r0, [r1, #4]
        0xe3a0_0020, // mov r0, #SYS_EXIT_EXTENDED
        SVC,
        0xeaff_fffe,
        BASE + 60,
        BASE + 72,
        BASE + 84,
        BASE + 92, // open: a name, how, 3 bytes long
        mode,
        3,
        0, // write: a handle, the start of RAM
        0x4000_0000,
        count,
        0x2_0026, // exit: in order, with what was left
        0,
        u32::from_le_bytes([name[0], name[1], name[2], 0]),
    ]
}

#[test]
fn all_is_shown_however_slow_the_reader() {
    const COUNT: u32 = 300_000;
    let words = moves(4, b":tt", SYS_WRITE, COUNT);
    let path = put("slow", &elf(BASE, BASE, &words));
    let (ours, theirs) = rustix::pipe::pipe().unwrap();
    let input = fs::File::open("/dev/null").unwrap().into();

    let mut emu = Emu::start_on(&["--kernel", path.to_str().unwrap(), "--semihosting"], input, theirs);
    std::thread::sleep(Duration::from_secs(1));
    emu.read(fs::File::from(ours));
    let shown = emu.end_bytes(SOON);

    assert_eq!((shown.0.code(), shown.1.len()), (Some(0), COUNT as usize));
}

#[test]
fn a_call_that_takes_long_does_not_hold_the_machine_up() {
    const GIB: u32 = 1 << 30;
    let folder = kept().join("semihosting-long");
    fs::create_dir_all(&folder).unwrap();
    fs::File::create(folder.join("big"))
        .unwrap()
        .set_len(u64::from(2 * GIB))
        .unwrap();
    // Standard error that nobody reads; and more of a file than is read in an instant.
    for (name, mode, operation) in [(b":tt", 8, SYS_WRITE), (b"big", 1, SYS_READ)] {
        let path = put("long", &elf(BASE, BASE, &moves(mode, name, operation, GIB / 2)));
        let (kernel, folder) = (path.to_str().unwrap(), folder.to_str().unwrap());
        let emu = Emu::start(&["--memory", "1G", "--kernel", kernel, "--semihosting", folder]);
        std::thread::sleep(Duration::from_millis(300));

        emu.signal(Signal::TERM);
        let (status, _, errors) = emu.end(SOON);

        assert_eq!(status.code(), Some(143), "{name:?}");
        assert!(!errors.contains("did not stop"), "{name:?}");
    }
}

const PROGRAM: &str = r#"
#include <stdio.h>
int main(void) {
    char line[64];
    FILE *f = fopen("made", "w");
    if (!f || fprintf(f, "forty %d\n", 42) < 0 || fclose(f)) return 2;
    f = fopen("made", "r");
    if (!f || !fgets(line, sizeof line, f)) return 3;
    printf("hello %s", line);
    if (fopen("../outside", "w") || fopen("/tmp/outside", "w")) return 4;
    if (!fgets(line, sizeof line, stdin)) return 5;
    printf("you said %s", line);
#ifndef __PICOLIBC__ /* It reads by SYS_READC, which has no end. */
    if (fgets(line, sizeof line, stdin)) return 6;
#endif
    return 7;
}
"#;

/// Builds the program with a C library, or says why not.
fn build(folder: &Path, library: &str, set: &str) -> Result<PathBuf, String> {
    let (source, program) = (folder.join("program.c"), folder.join(format!("{library}{set}.elf")));
    fs::write(&source, PROGRAM).unwrap();
    let options: &[&str] = match library {
        "newlib" => &["--specs=rdimon.specs", "-Wl,-Ttext=0x40010000"],
        _ => &[
            "--specs=picolibc.specs",
            "--crt0=hosted",
            "--oslib=semihost",
            "-Wl,--defsym=__flash=0x40010000,--defsym=__flash_size=0x100000",
            "-Wl,--defsym=__ram=0x40200000,--defsym=__ram_size=0x200000",
        ],
    };
    let mut compiler = Command::new("arm-none-eabi-gcc");
    compiler
        .args(["-mcpu=cortex-a15", "-O1", set, "-o"])
        .arg(&program)
        .arg(&source)
        .args(options);
    let built = compiler.output().map_err(|e| format!("arm-none-eabi-gcc: {e}"))?;
    match built.status.success() {
        true => Ok(program),
        false => Err(String::from_utf8_lossy(&built.stderr).into_owned()),
    }
}

#[test]
fn programs_of_newlib_and_picolibc_read_write_and_end() {
    let test = "programs_of_newlib_and_picolibc_read_write_and_end";
    for (library, package) in [
        ("newlib", "libnewlib-arm-none-eabi"),
        ("picolibc", "picolibc-arm-none-eabi"),
    ] {
        let folder = kept().join(format!("semihosting-{library}-{}", std::process::id()));
        fs::create_dir_all(folder.join("files")).unwrap();
        for set in ["-marm", "-mthumb"] {
            let program = match build(&folder, library, set) {
                Ok(program) => program,
                Err(reason) => {
                    skipped(test, &format!("{reason} (packages gcc-arm-none-eabi, {package})"));
                    continue;
                }
            };
            let files = folder.join("files");
            let mut emu = Emu::start(&[
                "--kernel",
                program.to_str().unwrap(),
                "--semihosting",
                files.to_str().unwrap(),
            ]);
            emu.send("typed\n");
            emu.close_input();

            let (status, output, errors) = emu.end(SOON);

            assert_eq!(status.code(), Some(7), "{library} {set}: {output}{errors}");
            assert_eq!(output, "hello forty 42\nyou said typed\n", "{library} {set}");
            assert_eq!(fs::read(files.join("made")).unwrap(), b"forty 42\n");
            assert!(!folder.join("outside").exists());
        }
        fs::remove_dir_all(folder).unwrap();
    }
}

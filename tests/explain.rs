//! `emu explain` as a shell sees it.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::guest::{kept, skipped};

const ASSEMBLER: &str = "arm-linux-gnueabihf-as";

fn explain(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_emu"));
    command.arg("explain").args(args).stdin(Stdio::null());
    command
}

#[track_caller]
fn listing(args: &[&str]) -> String {
    let output = explain(args).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{args:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// The one line that it complains with.
#[track_caller]
fn complaint(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{text}");
    let line = text
        .strip_prefix("emu: ")
        .and_then(|t| t.strip_suffix('\n'))
        .unwrap_or_default();
    assert!(!line.is_empty() && !line.contains('\n'), "not one line: {text:?}");
    line.to_owned()
}

/// An object file of `source`; `None` where no assembler is.
fn object(name: &str, source: &str) -> Option<PathBuf> {
    assembled(name, ASSEMBLER, source)
}

/// The same by an assembler.
fn assembled(name: &str, assembler: &str, source: &str) -> Option<PathBuf> {
    fs::create_dir_all(kept()).unwrap();
    let path = kept().join(format!("{name}-{}.o", std::process::id()));
    let text = path.with_extension("s");
    fs::write(&text, source).unwrap();
    match Command::new(assembler).arg("-o").arg(&path).arg(&text).status() {
        Ok(status) => assert!(status.success()),
        Err(_) => {
            skipped(name, &format!("{assembler} is not there"));
            return None;
        }
    }
    Some(path)
}

/// A function with a literal between its instructions, in Thumb code after one in ARM code; and data.
const PROGRAM: &str = "
    .syntax unified
    .arch armv7-a
    .global first, second
    .arm
    .type first, %function
first:
    add r0, r0, #1
    bx lr
    .size first, . - first
    .thumb
    .type second, %function
second:
    ldr r0, 1f
    cbz r0, 2f
    b 2f
    .align 2
1:  .word 0xffffffff
2:  bx lr
    .size second, . - second
    .type values, %object
values: .word 1
    .size values, 4
";

/// Thumb code: NOPs up to the last half-word of a page, and an ADD.W from there on.
#[test]
fn an_instruction_across_a_page_end_is_a_block_that_checks_the_next_page() {
    let code = "00bf".repeat(0x7ff) + "00eb0100";

    let text = listing(&["--thumb", &code]);

    let block = text.split("\nblock at ").find(|block| block.starts_with("0xffe: "));
    let block = block.unwrap_or_else(|| panic!("no such block in {text}"));
    assert!(block.starts_with("0xffe: 1 guest instruction, "), "{block}");
    let checks: Vec<&str> = block.lines().filter(|line| line.ends_with("; the next page")).collect();
    assert_eq!(checks.len(), 1, "{block}");
    assert!(checks[0].contains("0x1000"), "{block}");
    assert!(
        !text.replacen(block, "", 1).contains("the next page"),
        "only that block"
    );
}

#[test]
fn code_that_is_none_is_complained_about_in_one_line() {
    let cases: [(&[&str], &str); 9] = [
        (
            &["0102030"],
            "CODE 0102030: an odd number of hexadecimal digits: a byte has two",
        ),
        (
            &["adc"],
            "CODE adc: an odd number of hexadecimal digits: a byte has two",
        ),
        (
            &["1eff2fe1 ffffffff"],
            "CODE 1eff2fe1 ffffffff: 0xffffffff at 0x4 is an undefined instruction",
        ),
        (
            &["--thumb", "ffff ffff"],
            "CODE ffff ffff: 0xffffffff at 0x0 is an undefined instruction",
        ),
        (
            &["1eff2fe1 00"],
            "CODE 1eff2fe1 00: 1 byte at 0x4, where no whole instruction is",
        ),
        (&["0x"], "CODE 0x: no code at all"),
        (
            &[],
            "command line: there is nothing to explain: name CODE, or --elf FILE --symbol NAME (emu explain --help)",
        ),
        (
            &["--cpu", "z80", "00"],
            "--cpu z80: unknown CPU model; --arch arm has: cortex-a15, cortex-a7",
        ),
        (
            &["nop; .space 9"],
            "CODE nop; .space 9: \".space 9\" is a directive; only instructions and labels are taken",
        ),
    ];
    for (args, wanted) in cases {
        assert_eq!(complaint(&explain(args).output().unwrap()), wanted);
    }
}

#[test]
fn files_without_the_function_are_named_with_the_reason() {
    let folder = kept();
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("explain-{}", std::process::id()));
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0".to_vec();
    elf.resize(0x100, 0);
    let cut = [b"\x7fELF\x01\x01\x01".as_slice(), &[0; 9], &[2, 0, 40, 0]].concat();
    let cases = [
        (elf, "not an ELF file for 32-bit ARM but an ELF file for x86-64"),
        (
            b"just a text\n".to_vec(),
            "not an ELF file for 32-bit ARM but a text file",
        ),
        (Vec::new(), "not an ELF file for 32-bit ARM but an empty file"),
        (cut, "a damaged ELF file: "),
    ];
    let name = path.to_str().unwrap();
    for (bytes, reason) in cases {
        fs::write(&path, bytes).unwrap();

        let line = complaint(&explain(&["--elf", name, "--symbol", "main"]).output().unwrap());

        assert!(
            line.starts_with(&format!("--elf {name} --symbol main: {reason}")),
            "{line}"
        );
    }
    fs::remove_file(&path).unwrap();
    let line = complaint(&explain(&["--elf", name, "--symbol", "main"]).output().unwrap());
    assert_eq!(line, format!("--elf {name}: No such file or directory"));
}

#[test]
fn symbols_that_are_no_functions() {
    let Some(path) = object("no-functions", PROGRAM) else {
        return;
    };
    let name = path.to_str().unwrap();
    let cases = [
        ("values", "it is data"),
        ("firs", "it has no symbol of that name; similar: first"),
        ("main", "it has no symbol of that name"),
    ];
    for (symbol, reason) in cases {
        let line = complaint(&explain(&["--elf", name, "--symbol", symbol]).output().unwrap());

        assert_eq!(line, format!("--elf {name} --symbol {symbol}: {reason}"));
    }
}

#[test]
fn a_function_is_listed_block_by_block_in_its_instruction_set() {
    let Some(path) = object("functions", PROGRAM) else {
        return;
    };
    let name = path.to_str().unwrap();

    let first = listing(&["--elf", name, "--symbol", "first"]);
    let second = listing(&["--elf", name, "--symbol", "second"]);

    assert!(
        first.starts_with("2 guest instructions, ") && first.contains("       4  bx lr\n"),
        "{first}"
    );
    let headings: Vec<&str> = second
        .lines()
        .filter(|l| l.starts_with("block at ") || l.starts_with("data at "))
        .map(|l| l.split(':').next().unwrap())
        .collect();
    assert_eq!(
        headings,
        [
            "block at 0x8",
            "block at 0xc",
            "block at 0xe",
            "data at 0x10",
            "block at 0x14"
        ]
    );
    assert!(second.lines().next().unwrap().ends_with(", 4 blocks"), "{second}");
    assert!(second.contains("      10  0xffffffff\n"), "{second}");
}

#[test]
fn assembly_is_what_its_bytes_are() {
    if Command::new(ASSEMBLER).arg("--version").output().is_err() {
        return skipped("assembly", "arm-linux-gnueabihf-as is not there");
    }
    let cases: [(&[&str], &[&str]); 4] = [
        (&["add r0, r1, r2; bne 8"], &["020081e0 ffffff1a"]),
        (&["--thumb", "1: subs r0, #1; bne 1b @ loop"], &["--thumb", "0138 fdd1"]),
        (&["vfma.f32", "q0,", "q1,", "q2"], &["540c02f2"]),
        (
            &["--thumb", "ite eq\nmoveq r0, #1\nmovne r0, #2"],
            &["--thumb", "0cbf 0120 0220"],
        ),
    ];
    for (text, hex) in cases {
        assert_eq!(listing(text), listing(hex), "{text:?}");
    }
}

#[test]
fn a64_assembly_is_what_its_bytes_are() {
    if Command::new("aarch64-linux-gnu-as").arg("--version").output().is_err() {
        return skipped("a64-assembly", "aarch64-linux-gnu-as is not there");
    }
    let cases: [(&str, &str); 4] = [
        ("add x0, x1, x2; b.ne 8", "2000028b 21000054"),
        ("1: subs w0, w0, 1; b.ne 1b // loop", "00040071 e1ffff54"),
        ("tbz w1, 3, 0; adr x2, end; end: ret", "01001836 22000010 c0035fd6"),
        ("adrp x0, l; add x0, x0, :lo12:l; l: ret", "00000090 00200091 c0035fd6"),
    ];
    for (text, hex) in cases {
        let (text, hex) = (["--arch", "aarch64", text], ["--arch", "arm64", hex]);
        assert_eq!(listing(&text), listing(&hex), "{text:?}");
    }
    let lost = complaint(&explain(&["--arch", "aarch64", "bl nowhere"]).output().unwrap());
    assert_eq!(lost, "CODE bl nowhere: \"nowhere\" is not defined");
}

/// As many bytes as there are, with labels or none, and blocks that begin anywhere.
#[test]
fn x86_assembly_is_what_its_bytes_are() {
    if Command::new("as").arg("--version").output().is_err() {
        return skipped("x86-assembly", "the host's as is not there");
    }
    let cases: [(&str, &str, &str); 5] = [
        ("x86_64", "div ecx", "f7f1"),
        ("x86_64", "nop; ret; inc eax; ret", "90 c3 ffc0 c3"),
        (
            "x86_64",
            "l: lock add dword ptr [rax], 1; dec ecx; jne l",
            "f0830001 ffc9 75f8",
        ),
        ("i386", "inc eax; jne 0 // loop", "40 75fd"),
        ("i386", "call f; hlt; f: ret", "e801000000 f4 c3"),
    ];
    for (arch, text, hex) in cases {
        let (text, hex) = (["--arch", arch, text], ["--arch", arch, hex]);
        assert_eq!(listing(&text), listing(&hex), "{text:?}");
    }
}

/// A function with a literal behind its instructions.
const PROGRAM_64: &str = "
    .global first
    .type first, %function
first:
    ldr x0, 1f
    cbz x0, 2f
    ret
1:  .quad 0xffffffff00000001
2:  ret
    .size first, . - first
";

#[test]
fn a_function_of_an_a64_file_is_listed_with_its_data() {
    let Some(path) = assembled("a64-functions", "aarch64-linux-gnu-as", PROGRAM_64) else {
        return;
    };
    let name = path.to_str().unwrap();

    let text = listing(&["--arch", "aarch64", "--elf", name, "--symbol", "first"]);
    let wrong = complaint(&explain(&["--elf", name, "--symbol", "first"]).output().unwrap());

    assert!(text.starts_with("4 guest instructions, "), "{text}");
    assert!(
        text.contains("\ndata at 0xc: 8 bytes\n       c  0x00000001\n      10  0xffffffff\n"),
        "{text}"
    );
    assert!(text.contains("\nblock at 0x14: 1 guest instruction, "), "{text}");
    assert_eq!(
        wrong,
        format!("--elf {name} --symbol first: not an ELF file for 32-bit ARM but an ELF file for AArch64")
    );
}

#[test]
fn an_assemblers_complaint_names_the_instruction() {
    if Command::new(ASSEMBLER).arg("--version").output().is_err() {
        return skipped("complaint", "arm-linux-gnueabihf-as is not there");
    }
    let wrong = complaint(&explain(&["add r0, r1, r2; sub r0"]).output().unwrap());
    let lost = complaint(&explain(&["bl nowhere"]).output().unwrap());

    assert!(
        wrong.starts_with("CODE add r0, r1, r2; sub r0: \"sub r0\": "),
        "{wrong}"
    );
    assert_eq!(lost, "CODE bl nowhere: \"nowhere\" is not defined");
}

#[test]
fn without_an_assembler_bytes_are_still_taken() {
    let text = explain(&["add r0, r1, r2"])
        .env("PATH", "/nonexistent")
        .output()
        .unwrap();
    let bytes = explain(&["020081e0"]).env("PATH", "/nonexistent").output().unwrap();

    assert_eq!(
        complaint(&text),
        "CODE add r0, r1, r2: assembly needs one of arm-linux-gnueabihf-as, arm-none-eabi-as, clang on PATH; hexadecimal \
         bytes need none"
    );
    assert!(bytes.status.success());
}

#[test]
fn bytes_past_a_branch_are_the_next_block() {
    let text = listing(&["1eff2fe1", "1eff2fe1"]);

    assert!(
        text.starts_with("2 guest instructions, 54 host instructions, 2 blocks\n\nblock at 0x0: "),
        "{text}"
    );
    assert!(
        text.contains("\nblock at 0x4: 1 guest instruction, 27 host instructions\n"),
        "{text}"
    );
}

#[test]
fn an_it_block_goes_on_in_the_next_block() {
    // 63 times MOVS R0, #0; then ITT EQ, whose two instructions come after the limit of 64.
    let code = "0020".repeat(63) + "04bf" + "0120" + "0221";

    let text = listing(&["--thumb", &code]);

    assert!(text.contains("block at 0x80: 2 guest instructions"), "{text}");
    assert!(
        text.contains("aux 0x8\n"),
        "the second block starts in the IT block: {text}"
    );
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    for (no_color, coloured) in [(None, true), (Some("1"), false), (Some(""), true)] {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let terminal = rustix::fs::open(name.as_c_str(), rustix::fs::OFlags::RDWR, rustix::fs::Mode::empty()).unwrap();
        let mut command = explain(&["1eff2fe1"]);
        command.env_remove("NO_COLOR").stdout(terminal);
        if let Some(value) = no_color {
            command.env("NO_COLOR", value);
        }

        let mut child = command.spawn().unwrap();
        drop(command);
        let mut seen = Vec::new();
        // The end of a terminal without another side is an error.
        let _ = fs::File::from(ours).read_to_end(&mut seen);

        assert!(child.wait().unwrap().success());
        assert_eq!(seen.contains(&0x1b), coloured, "NO_COLOR {no_color:?}");
    }
    assert!(!listing(&["1eff2fe1"]).contains('\x1b'));
}

#[test]
fn help_says_what_code_is() {
    let help = listing(&["--help"]);

    for text in ["hexadecimal digits", "--symbol", "NO_COLOR", "--cpu"] {
        assert!(help.contains(text), "{text} is missing");
    }
    assert!(listing(&["--cpu", "help"]).starts_with("cortex-a15"));
}

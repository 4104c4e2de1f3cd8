//! Output that cannot be written is never lost in silence, and what emu says does not cut what the guest says.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::guest::{Emu, firmware, kept};

const SOON: Duration = Duration::from_secs(20);
/// Prints H for ever.
const FOR_EVER: &[u32] = &[0xe3a0_1409, 0xe3a0_0048, 0xe5c1_0000, 0xeaff_fffd];
/// Prints H, then powers off.
const ONCE: &[u32] = &[
    0xe3a0_1409,
    0xe3a0_0048,
    0xe5c1_0000,
    0xe59f_0000,
    0xe140_0070,
    0x8400_0008,
];
/// Prints H, writes a little later where the UART has nothing, prints I and a line feed another little later, powers off.
const MISTAKEN: &[u32] = &[
    0xe3a0_1409, // mov r1, #0x09000000
    0xe3a0_0048, // mov r0, #'H'
    0xe5c1_0000, // strb r0, [r1]
    0xe3a0_2401, // mov r2, #0x01000000
    0xe252_2001, // 1: subs r2, r2, #1
    0x1aff_fffd, // bne 1b
    0xe581_0ffc, // str r0, [r1, #0xffc]
    0xe3a0_2401, // mov r2, #0x01000000
    0xe252_2001, // 1: subs r2, r2, #1
    0x1aff_fffd, // bne 1b
    0xe3a0_0049, // mov r0, #'I'
    0xe5c1_0000, // strb r0, [r1]
    0xe3a0_000a, // mov r0, #10
    0xe5c1_0000, // strb r0, [r1]
    0xe59f_0000, // ldr r0, function
    0xe140_0070, // hvc #0
    0x8400_0008,
];

fn null() -> OwnedFd {
    File::open("/dev/null").unwrap().into()
}

fn full() -> OwnedFd {
    File::options().write(true).open("/dev/full").unwrap().into()
}

fn nobody() -> OwnedFd {
    rustix::pipe::pipe().unwrap().1
}

#[track_caller]
fn ends_with(emu: Emu, line: &str) {
    let (status, _, errors) = emu.end(SOON);

    assert_eq!((status.code(), errors.as_str()), (Some(1), line));
}

#[test]
fn a_console_that_takes_no_more_ends_the_run_with_the_reason() {
    for (name, words) in [("lost-once", ONCE), ("lost-for-ever", FOR_EVER)] {
        let image = firmware(name, words);
        let image = ["--firmware", image.to_str().unwrap()];

        let file = Emu::start(&[&image[..], &["--serial", "file:/dev/full"]].concat());
        ends_with(
            file,
            "emu: cannot write to --serial file:/dev/full: No space left on device\n",
        );
        ends_with(
            Emu::start_on(&image, null(), full()),
            "emu: cannot write to standard output (--serial stdio): No space left on device\n",
        );
        ends_with(
            Emu::start_on(&image, null(), nobody()),
            "emu: cannot write to standard output (--serial stdio): Broken pipe\n",
        );
    }
}

#[test]
fn a_file_as_large_as_the_host_lets_it_be_ends_the_run_with_the_reason() {
    let image = firmware("lost-limit", FOR_EVER);
    let log = kept().join("lost-limit.log");
    let run = |limit: &str| {
        let mut limited = Command::new("sh");
        let script = format!("ulimit -f {limit}; exec \"$@\"");
        limited.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_emu"), "--serial", "null"]);
        limited.args([
            "--memory",
            "1M",
            "--code-cache",
            "8M",
            "--no-device",
            "pflash",
            "--trace",
            "insns",
        ]);
        limited.arg(&log).arg("--kernel").arg(&image).stdin(Stdio::null());
        let ended = limited.output().unwrap();
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
    };

    // Of 512 bytes each. Guest memory is a file of the host's, too.
    let (status, errors) = run("20000");
    let (early, reason) = run("100");

    assert_eq!(status, Some(1), "{errors}");
    assert!(errors.contains("lost-limit.log: File too large\n"), "{errors}");
    assert!(std::fs::metadata(&log).unwrap().len() < 20_001 * 512);
    assert_eq!(early, Some(1), "{reason}");
    assert!(reason.contains("ulimit -f"), "{reason}");
}

#[test]
fn a_device_tree_that_does_not_fit_is_no_success() {
    ends_with(
        Emu::start(&["--dump-dtb", "/dev/full"]),
        "emu: cannot write --dump-dtb /dev/full: No space left on device\n",
    );
}

#[test]
fn texts_that_cannot_be_written_are_no_success() {
    let requests: [&[&str]; 6] = [
        &["--help"],
        &["--version"],
        &["--cpu", "help"],
        &["--completions", "bash"],
        &["--man"],
        &["explain", "e1a00000"],
    ];
    for request in requests {
        ends_with(
            Emu::start_on(request, null(), full()),
            "emu: cannot write to standard output: No space left on device\n",
        );
    }
}

#[test]
fn nobody_to_complain_to_is_no_reason_to_crash() {
    let image = firmware("deaf", MISTAKEN);
    let image = image.to_str().unwrap();
    let cases: [(&[&str], i32); 3] = [
        (&["--nonsense"], 2),
        (&["--firmware", image, "-vvv"], 0),
        (&["--firmware", image, "--gdb", "tcp::0", "--virtio-console", "pty"], 0),
    ];
    for (args, expected) in cases {
        let mut command = Command::new(env!("CARGO_BIN_EXE_emu"));
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(full());

        let status = command.status().unwrap();

        assert_eq!(status.code(), Some(expected), "{args:?}");
    }
}

#[test]
fn what_emu_says_does_not_cut_the_guests_line() {
    let image = firmware("mistaken", MISTAKEN);
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
    let terminal = rustix::fs::open(name.as_c_str(), flags, rustix::fs::Mode::empty()).unwrap();
    let twin = || terminal.as_fd().try_clone_to_owned().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_emu"));
    command.args(["--firmware", image.to_str().unwrap(), "-vv", "--escape", "none"]);
    command.stdin(twin()).stdout(twin()).stderr(twin());

    let status = command.status().unwrap();

    let mut bytes = [0; 4096];
    let count = rustix::io::read(&ours, &mut bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes[..count]);
    assert_eq!(status.code(), Some(0), "{text}");
    assert!(text.contains("HI\r\n"), "{text}");
    assert!(text.contains(" WARN pl011+0xffc: "), "{text}");
}

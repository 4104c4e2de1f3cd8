//! The performance monitors as Linux's driver and `perf_event_open` have them, in a booted guest.

use std::collections::HashMap;
use std::time::Duration;

use crate::boot::{ARM, initrd, kernel};
use crate::guest::Emu;

/// For a boot, on a machine that has other things to do.
const BOOT: Duration = Duration::from_secs(180);

/// What `count.c` says of its events, as its first process in a guest.
fn counts(test: &str) -> Option<HashMap<String, i64>> {
    let kernel = kernel(test)?;
    let init = std::fs::read(ARM.program(test, "tests/perf/count.c", &["-g", "-O0"])?).unwrap();
    let initrd = initrd(test, &init);
    let args = ["--kernel", kernel.to_str()?, "--initrd", initrd.to_str()?];
    let emu = Emu::start(&[&args[..], &["--append", "console=ttyAMA0 quiet"]].concat());

    let (status, output, errors) = emu.end(BOOT);

    assert_eq!(status.code(), Some(0), "{output} {errors}");
    assert!(output.contains("done"), "{output}");
    let pair = |line: &str| {
        let (name, count) = line.trim().split_once(' ')?;
        Some((name.to_owned(), count.parse().ok()?))
    };
    Some(output.lines().filter_map(pair).collect())
}

#[test]
fn linux_counts_what_a_program_does() {
    let Some(counts) = counts("linux_counts_what_a_program_does") else {
        return;
    };

    // A hundred thousand turns of a load, a store, a subtraction and a branch, to the instruction.
    for (name, count) in [
        ("instructions-user", 400_000),
        ("branches-user", 100_000),
        ("branch-misses-user", 100_000),
        ("cache-references-user", 200_000),
        ("cache-misses-user", 200_000),
        ("overflows", 3),
    ] {
        assert_eq!(counts.get(name), Some(&count), "{name}: {counts:?}");
    }
    // Five hundred system calls, a few instructions each in the program and many in the kernel.
    let (user, kernel, both) = (counts["calls-user"], counts["calls-kernel"], counts["calls-both"]);
    assert!(user > 0 && user % 500 == 0, "{counts:?}");
    assert!(kernel > 500 * 50, "{counts:?}");
    assert!(both > user + 500 * 50, "{counts:?}");
    for name in ["cycles-user", "cycles-kernel", "bus-cycles-user"] {
        assert!(counts.contains_key(name), "{name}: {counts:?}");
    }
}

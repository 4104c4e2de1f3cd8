//! Several CPUs, as Linux and its programs have them.
//!
//! For longer, each test of memory taking that many milliseconds:
//!
//!     EMU_LITMUS=60000 cargo test --release --test emu smp::litmus -- --nocapture

mod torture;

use std::time::Duration;

use crate::boot::{AARCH64, ARM, Debian};
use crate::guest::Emu;

/// For a boot, on a machine that has other things to do.
const BOOT: Duration = Duration::from_secs(300);

/// Boots with four CPUs and this program as the first process; what it wrote.
fn run(test: &str, debian: &Debian, source: &str, append: &str, limit: Duration) -> Option<String> {
    let kernel = debian.kernel(test)?;
    let program = debian.program(test, source, &["-O2", "-pthread"])?;
    let initrd = debian.initrd_of(test, &std::fs::read(program).unwrap());
    let args = ["--arch", debian.arch, "--smp", "4", "--kernel", kernel.to_str()?];
    let append = format!("console=ttyAMA0 quiet {append}");
    let more = ["--initrd", initrd.to_str()?, "--append", &append];

    let (status, output, errors) = Emu::start(&[&args[..], &more].concat()).end(limit);

    assert_eq!(status.code(), Some(0), "{output} {errors}");
    Some(output)
}

/// The outcomes that the architecture allows where nothing orders the accesses.
const ALLOWED: [&str; 4] = ["SB", "MP", "LB", "IRIW"];

fn memory_is_ordered_as_promised(test: &str, debian: &Debian) {
    let each: u64 = std::env::var("EMU_LITMUS").map_or(200, |ms| ms.parse().expect("milliseconds"));
    let limit = BOOT + Duration::from_millis(each * 40);
    let append = format!("milliseconds={each}");
    let Some(output) = run(test, debian, "tests/smp/litmus.c", &append, limit) else {
        return;
    };
    println!("{output}");

    let outcomes: Vec<(&str, u64)> = output.lines().filter_map(outcome).collect();

    assert!(output.contains("litmus done") && outcomes.len() >= 17, "{output}");
    let forbidden = |(name, seen): &&(&str, u64)| *seen != 0 && !ALLOWED.contains(name);
    let wrong: Vec<_> = outcomes.iter().filter(forbidden).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    // Or else the tests would not see anything.
    assert!(
        outcomes.iter().any(|(name, seen)| *name == "SB" && *seen != 0),
        "{output}"
    );
}

/// The name of a test, and how many rounds ended as it asks about.
fn outcome(line: &str) -> Option<(&str, u64)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["litmus", name, "rounds", _, "seen", seen] => Some((name, seen.parse().ok()?)),
        _ => None,
    }
}

#[test]
fn litmus_memory_is_ordered_as_arm_promises() {
    memory_is_ordered_as_promised("litmus_memory_is_ordered_as_arm_promises", &ARM);
}

#[test]
fn litmus_memory_is_ordered_as_aarch64_promises() {
    memory_is_ordered_as_promised("litmus_memory_is_ordered_as_aarch64_promises", &AARCH64);
}

#[test]
fn linux_takes_cpus_off_and_on_again() {
    let init = "#!/bin/sh\nmount -t sysfs sys /sys; mount -t proc proc /proc; cd /sys/devices/system/cpu\n\
                echo CPUS $(cat online) of $(grep -c ^processor /proc/cpuinfo)\n\
                for i in 1 2 3 4 5; do echo 0 > cpu1/online; echo 0 > cpu3/online; echo LEFT $(cat online)\n\
                echo 1 > cpu1/online; echo 1 > cpu3/online; done; echo AGAIN $(cat online); poweroff -f\n";
    let test = "linux_takes_cpus_off_and_on_again";
    for debian in [&ARM, &AARCH64] {
        let more = ["--smp", "4", "--memory", debian.memory];
        let Some(emu) = debian.boot(test, init, &more) else {
            continue;
        };

        let (status, output, _) = emu.end(BOOT);

        assert_eq!(status.code(), Some(0), "{output}");
        for line in ["CPUS 0-3 of 4", "LEFT 0,2", "AGAIN 0-3"] {
            assert!(output.contains(line), "no {line}: {output}");
        }
    }
}

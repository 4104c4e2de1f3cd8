//! Programs that torture what several CPUs do to one memory, with more CPUs than the host has processors: the torture
//! tests of userspace-rcu, and the regressions of Concurrency Kit. They check themselves.
//!
//! They run where `EMU_TORTURE` says for how many seconds each suite is to run at least; once through it runs in any
//! case, which takes it some minutes:
//!
//!     EMU_TORTURE=120 cargo test --release --test emu torture -- --nocapture

mod suites;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use emu_firmware::initrd::{File, pack};
use emu_ir::testing::say;

use crate::boot::{AARCH64, ARM, Debian};
use crate::guest::{Emu, kept, skipped};
use suites::{Built, Suite};

/// Code that the suites are built as.
pub struct Code {
    /// What it is, for the report.
    name: &'static str,
    /// Whose kernel and compiler it has.
    debian: &'static Debian,
    /// The compiler's options.
    options: &'static str,
    /// What GNU's configure scripts call the machine.
    host: &'static str,
    /// The options that Concurrency Kit's has for it.
    ck: &'static [&'static str],
}

/// LDREX and STREX, barriers by DMB.
static A32: Code = Code {
    name: "armv7",
    debian: &ARM,
    options: "-march=armv7-a+fp",
    host: "arm-linux-gnueabihf",
    ck: &["--profile=arm", "--platform=arm"],
};
/// LDXR and STXR, with and without acquire and release.
static A64: Code = Code {
    name: "armv8.0",
    debian: &AARCH64,
    options: "-march=armv8-a -mno-outline-atomics",
    host: "aarch64-linux-gnu",
    ck: &["--profile=aarch64", "--platform=aarch64"],
};
/// The atomic instructions of Armv8.1. Concurrency Kit's own use of them does not compile, and its configure script names the
/// macro by which the compiler writes them otherwise than its headers.
static A64_LSE: Code = Code {
    name: "armv8.1",
    options: "-march=armv8.1-a -DCK_USE_CC_BUILTINS",
    ..A64
};

/// CPUs of the guest: twice as many as the host has, as far as a GICv2 goes.
fn cpus() -> usize {
    std::thread::available_parallelism().map_or(4, |n| (2 * n.get()).clamp(4, 8))
}

/// How a command ended, and the end of what it wrote.
#[derive(Debug, PartialEq)]
struct Ended {
    command: String,
    outcome: String,
    wrote: Vec<String>,
}

/// What the guest's init says: `| LINE` of a command's, and then `@ OUTCOME: COMMAND`.
fn ended(console: &str) -> Vec<Ended> {
    let mut wrote = Vec::new();
    let mut all = Vec::new();
    for line in console.lines().map(str::trim_end) {
        if let Some(line) = line.strip_prefix("| ") {
            wrote.push(line.to_owned());
        } else if let Some((outcome, command)) = line.strip_prefix("@ ").and_then(|l| l.split_once(": ")) {
            let [command, outcome] = [command, outcome].map(str::to_owned);
            let wrote = std::mem::take(&mut wrote);
            all.push(Ended {
                command,
                outcome,
                wrote,
            });
        }
    }
    all
}

impl Ended {
    /// What is wrong with it.
    fn wrong(&self) -> Option<String> {
        let stale = self.wrote.iter().any(|line| saw_stale_data(line));
        let outcome = match self.outcome.as_str() {
            "passed" if stale => "readers saw what was freed",
            "passed" => return None,
            outcome => outcome,
        };
        Some(format!("{}: {outcome}\n  {}", self.command, self.wrote.join("\n  ")))
    }
}

/// rcutorture counts readers by the grace periods that what they saw was old, and judges only of the memory's order:
/// more than one grace period is a failure too, as its comment says.
fn saw_stale_data(line: &str) -> bool {
    let counts = line.split_once("rcu_stress_count:").map_or("", |(_, counts)| counts);
    counts.split_whitespace().skip(2).any(|count| count != "0")
}

/// What is wrong, a command each: it ended badly, or did not run at all.
fn wrong(commands: &[String], ended: &[Ended]) -> Vec<String> {
    let ran: BTreeSet<_> = ended.iter().map(|e| &e.command).collect();
    let did_not_run = commands.iter().filter(|c| !ran.contains(c));
    let did_not_run = did_not_run.map(|c| format!("{c}: did not run"));
    ended.iter().filter_map(Ended::wrong).chain(did_not_run).collect()
}

/// A guest that runs a suite's programs.
struct Guest {
    debian: &'static Debian,
    kernel: PathBuf,
    initrd: PathBuf,
    /// How long it runs programs at least.
    seconds: u64,
    /// What it runs.
    commands: Vec<String>,
}

impl Guest {
    /// The guest, if it is to run, and if what it takes can be had; says so if not.
    fn new(test: &str, suite: &Suite, code: &Code) -> Option<Self> {
        let Ok(seconds) = std::env::var("EMU_TORTURE") else {
            skipped(test, "it takes minutes, and runs with EMU_TORTURE=120");
            return None;
        };
        let kernel = code.debian.kernel(test)?;
        let sources = suite.sources(code).map_err(|reason| skipped(test, &reason)).ok()?;
        let init = code.debian.program(test, "tests/smp/torture/init.c", &["-O2", "-s"])?;
        let built = suite.build(&sources, code, cpus()).unwrap();
        let initrd = kept().join(format!("{test}.cpio.gz"));
        fs::write(&initrd, initrd_of(&init, &built)).unwrap();
        Some(Self {
            debian: code.debian,
            kernel,
            initrd,
            seconds: seconds.parse().expect("seconds"),
            commands: built.commands,
        })
    }

    /// Runs it to its end; what it wrote.
    fn run(&self) -> String {
        let limit = Duration::from_secs(3600 + self.seconds);
        let (smp, arch) = (cpus().to_string(), self.debian.arch);
        let append = format!("console=ttyAMA0 quiet seconds={}", self.seconds);
        let (kernel, initrd) = (self.kernel.to_string_lossy(), self.initrd.to_string_lossy());
        let machine = ["--arch", arch, "--memory", "1G", "--smp", &smp];
        let linux = ["--kernel", &kernel, "--initrd", &initrd, "--append", &append];

        let (status, output, errors) = Emu::start(&[&machine[..], &linux].concat()).end(limit);

        assert_eq!(status.code(), Some(0), "{output} {errors}");
        output
    }
}

/// An initrd with the suite's programs and their commands, and an init that runs them.
fn initrd_of(init: &Path, built: &Built) -> Vec<u8> {
    let read = |path: &Path| fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut files = vec![
        ("init".to_owned(), read(init)),
        ("commands".to_owned(), (built.commands.join("\n") + "\n").into_bytes()),
    ];
    let mut folders = BTreeSet::from(["dev".to_owned()]);
    for program in built.programs() {
        let path = format!("programs/{program}");
        folders.extend(path.match_indices('/').map(|(end, _)| path[..end].to_owned()));
        files.push((path, read(&built.folder.join(program))));
    }
    let folders = folders.iter().map(|path| (&**path, File::Directory { mode: 0o755 }));
    let files = files
        .iter()
        .map(|(path, bytes)| (&**path, File::Regular { bytes, mode: 0o755 }));
    pack(&folders.chain(files).collect::<Vec<_>>()).unwrap()
}

/// The suite's programs pass, built as this code.
fn passes(test: &str, suite: &Suite, code: &Code) {
    // One after the other: they compete with themselves for the host.
    static RUNNING: Mutex<()> = Mutex::new(());
    let _running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(guest) = Guest::new(test, suite, code) else {
        return;
    };
    let start = Instant::now();

    let ended = ended(&guest.run());

    let wrong = wrong(&guest.commands, &ended);
    let (all, cpus, took) = (ended.len(), cpus(), start.elapsed().as_secs());
    say(&format!(
        "\n{} of {}: {all} programs on {cpus} CPUs in {took} s, {} went wrong",
        suite.name,
        code.name,
        wrong.len()
    ));
    let initrd = guest.initrd.display();
    assert!(wrong.is_empty(), "In the guest with {initrd}:\n{}", wrong.join("\n"));
}

#[test]
fn torture_by_userspace_rcu_of_armv7() {
    passes("torture_by_userspace_rcu_of_armv7", &suites::LIBURCU, &A32);
}

#[test]
fn torture_by_userspace_rcu_of_armv8_0() {
    passes("torture_by_userspace_rcu_of_armv8_0", &suites::LIBURCU, &A64);
}

#[test]
fn torture_by_userspace_rcu_of_armv8_1() {
    passes("torture_by_userspace_rcu_of_armv8_1", &suites::LIBURCU, &A64_LSE);
}

#[test]
fn torture_by_concurrency_kit_of_armv7() {
    passes("torture_by_concurrency_kit_of_armv7", &suites::CK, &A32);
}

#[test]
fn torture_by_concurrency_kit_of_armv8_0() {
    passes("torture_by_concurrency_kit_of_armv8_0", &suites::CK, &A64);
}

#[test]
fn torture_by_concurrency_kit_of_armv8_1() {
    passes("torture_by_concurrency_kit_of_armv8_1", &suites::CK, &A64_LSE);
}

#[test]
fn torture_is_judged_by_what_the_programs_say() {
    let console = "| # rcu_stress_count: 114618391 14826 0 0 0 0 0 0 0 0 0\r\n@ passed: a 1\r\n\
                   | # rcu_stress_count: 114618391 14826 0 0 1 0 0 0 0 0 0\r\n@ passed: b\r\n\
                   | ERROR\r\n@ signal 6: c\r\n@ end\r\n";
    let commands = ["a 1", "b", "c", "d"].map(str::to_owned);

    let wrong = wrong(&commands, &ended(console));

    let stale = "b: readers saw what was freed\n  # rcu_stress_count: 114618391 14826 0 0 1 0 0 0 0 0 0";
    let failed = "c: signal 6\n  ERROR";
    assert_eq!(wrong, [stale, failed, "d: did not run"]);
}

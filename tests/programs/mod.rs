//! Programs that nobody here wrote, in a booted guest: GCC's torture suite and tests of intrinsics, which check
//! themselves, Valgrind's tests of instructions with their expected output, and Linux's of what it has of x86; and
//! binutils' listings as a second oracle of the decoders. And our own, for what those do not do.
//!
//! A sample of the programs runs by default. All of them, under QEMU too where it is installed, and the sample
//! interpreted, or so only those in whose names there is a regular expression:
//!
//!     EMU_PROGRAMS=all cargo test --release --test emu programs
//!     EMU_PROGRAMS=^torture-.*-i386 cargo test --release --test emu x86_programs

mod build;
mod dejagnu;
mod gas;
mod gas86;
mod machines;
mod runs;
mod selftests;
mod suites;
mod valgrind;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use regex::Regex;

use crate::guest::{kept, skipped};
use build::{Program, build, libraries};
use machines::{AARCH32, ARMV7, ARMV8, COMPATIBILITY, IA32, INTEL64, Machine};
use runs::{Guest, Outcomes, initrd};

/// One program in so many is in the sample.
const SAMPLE: usize = 49;

/// How a program should end on a machine.
fn expected(machine: &Machine, name: &str) -> &'static str {
    let mut otherwise = machine.otherwise.iter().filter(|(start, ..)| name.starts_with(start));
    otherwise.next().map_or("passed", |(_, outcome, _)| outcome)
}

/// Says how many passed.
fn say(machine: &str, outcomes: &Outcomes, since: Instant) {
    const SUITES: [(&str, &str); 3] = [("", "GCC"), ("valgrind-", "Valgrind"), ("selftest-", "Linux")];
    let suite = |name: &str| SUITES.iter().rposition(|(start, _)| name.starts_with(start));
    let count = |(n, (_, whose)): (usize, &(&str, &str))| {
        let of_suite = outcomes.iter().filter(|(name, _)| suite(name) == Some(n));
        let (passed, all) = of_suite.fold((0, 0), |(p, a), (_, o)| (p + usize::from(o == "passed"), a + 1));
        (all > 0).then(|| format!("{passed} of {all} programs of {whose}"))
    };
    let counts: Vec<_> = SUITES.iter().enumerate().filter_map(count).collect();
    print(&format!(
        "{machine} passes {} in {} s",
        counts.join(", "),
        since.elapsed().as_secs()
    ));
}

/// Says on the terminal, past the test harness.
fn print(line: &str) {
    let _ = std::io::stderr().write_all(format!("\n{line}\n").as_bytes());
}

/// Programs, built, in a guest.
struct Prepared {
    machine: &'static Machine,
    programs: Vec<(Program, PathBuf)>,
    initrd: PathBuf,
}

impl Prepared {
    fn new(machine: &'static Machine, programs: &[Program]) -> Result<Self, String> {
        let folder = kept().join("programs");
        let (name, debian) = (machine.name, machine.programs);
        print(&format!(
            "{name}: building {} programs, or taking them from {}",
            programs.len(),
            folder.display()
        ));
        let (programs, all) = (build(programs, &folder)?, programs.len());
        assert!(
            programs.len() * 20 >= all * 19,
            "only {} of {all} could be built",
            programs.len()
        );
        let initrd = initrd(&programs, debian, &folder)?;
        Ok(Self {
            machine,
            programs,
            initrd,
        })
    }

    /// How they end under emu; and those that do not as they should, a line each.
    fn wrong(&self, kernel: &Path, accel: &str) -> (Outcomes, Vec<String>) {
        let start = Instant::now();
        let outcomes = self.guest(kernel).under_emu(accel);
        say(&format!("{}: emu ({accel})", self.machine.name), &outcomes, start);
        let line = |(program, _): &(Program, PathBuf)| {
            let name = &program.name;
            let outcome = outcomes.get(name).map_or("did not run", String::as_str);
            let wanted = expected(self.machine, name);
            (outcome != wanted).then(|| format!("{accel}: {name}: {outcome}, not {wanted}"))
        };
        let wrong = self.programs.iter().filter_map(line).collect();
        (outcomes, wrong)
    }

    /// Those that do not pass and end otherwise under QEMU, a line each, if QEMU is installed. Says which do not pass
    /// under QEMU alone.
    fn worse_than_qemu(&self, kernel: &Path, under_emu: &Outcomes) -> Vec<String> {
        let start = Instant::now();
        let (machine, qemu) = (self.machine.name, self.machine.qemu[0]);
        let Some(under_qemu) = self.guest(kernel).under_qemu() else {
            skipped("the comparison with QEMU", &format!("{qemu} is not installed"));
            return Vec::new();
        };
        say(&format!("{machine}: QEMU"), &under_qemu, start);
        let differ = |(name, outcome): (&String, &String)| {
            let ours = under_emu.get(name).map_or("did not run", String::as_str);
            let line = (ours != outcome).then(|| format!("{name}: {ours}, under QEMU {outcome}"))?;
            if ours != "passed" {
                return Some(line);
            }
            print(&line);
            None
        };
        under_qemu.iter().filter_map(differ).collect()
    }

    fn guest<'a>(&'a self, kernel: &'a Path) -> Guest<'a> {
        Guest {
            machine: self.machine,
            kernel,
            initrd: &self.initrd,
            limit: Duration::from_secs(1800),
        }
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.initrd);
    }
}

/// One in so many of GCC's programs, all instruction sets by turns, and the others but for the slow ones.
fn sample(machine: &Machine, gcc: &[Program], others: &[Program]) -> Vec<Program> {
    let slow = |program: &Program| {
        let mut slow = machine.valgrind.slow.iter().chain([&selftests::SLOW]);
        slow.any(|name| program.name.ends_with(name))
    };
    let others = others.iter().filter(|program| !slow(program));
    gcc.iter().step_by(SAMPLE).chain(others).cloned().collect()
}

/// The sample and, if all are to run, all of a machine's programs.
fn prepared(machine: &'static Machine) -> Result<(Prepared, Option<Prepared>), String> {
    // Without a compiler there is no need to fetch anything.
    libraries(machine.programs.compiler)?;
    let gcc = suites::gcc(machine)?;
    let others = [valgrind::programs(machine)?, selftests::programs(machine)?].concat();
    let Ok(which) = std::env::var("EMU_PROGRAMS") else {
        return Ok((Prepared::new(machine, &sample(machine, &gcc, &others))?, None));
    };
    let which = Regex::new(if which == "all" { "" } else { &which }).map_err(|e| e.to_string())?;
    let [gcc, others] = [gcc, others].map(|programs| {
        let those = programs.into_iter().filter(|program| which.is_match(&program.name));
        those.collect::<Vec<_>>()
    });
    let sample = Prepared::new(machine, &sample(machine, &gcc, &others))?;
    let all = Prepared::new(machine, &[gcc, others].concat())?;
    Ok((sample, Some(all)))
}

/// All of a machine's programs that run pass.
fn pass(test: &str, machine: &'static Machine) {
    let Some(kernel) = machine.kernel.kernel(test) else {
        return;
    };
    let (sample, everything) = match prepared(machine) {
        Ok(prepared) => prepared,
        Err(reason) => return skipped(test, &reason),
    };

    let wrong = match everything {
        None => sample.wrong(&kernel, "jit").1,
        Some(everything) => {
            let (under_emu, wrong) = everything.wrong(&kernel, "jit");
            let than_qemu = everything.worse_than_qemu(&kernel, &under_emu);
            [wrong, than_qemu, sample.wrong(&kernel, "interp").1].concat()
        }
    };

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// One program of ours passes on a machine, compiled for its instruction set `set`.
fn ours_passes(test: &str, machine: &'static Machine, name: &str, set: usize) {
    let Some(kernel) = machine.kernel.kernel(test) else {
        return;
    };
    let program = libraries(machine.programs.compiler).and_then(|_| suites::own(name, machine, set));
    let prepared = match program.and_then(|program| Prepared::new(machine, &[program])) {
        Ok(prepared) => prepared,
        Err(reason) => return skipped(test, &reason),
    };

    let (_, wrong) = prepared.wrong(&kernel, "jit");

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn programs_that_nobody_here_wrote_pass() {
    pass("programs_that_nobody_here_wrote_pass", &ARMV7);
}

#[test]
fn programs_of_32_bits_that_nobody_here_wrote_pass_under_a_64_bit_kernel() {
    let test = "programs_of_32_bits_that_nobody_here_wrote_pass_under_a_64_bit_kernel";
    pass(test, &AARCH32);
}

#[test]
fn a64_programs_that_nobody_here_wrote_pass() {
    pass("a64_programs_that_nobody_here_wrote_pass", &ARMV8);
}

#[test]
fn x86_programs_that_nobody_here_wrote_pass() {
    pass("x86_programs_that_nobody_here_wrote_pass", &IA32);
}

#[test]
fn x86_programs_of_32_bits_that_nobody_here_wrote_pass_under_a_64_bit_kernel() {
    let test = "x86_programs_of_32_bits_that_nobody_here_wrote_pass_under_a_64_bit_kernel";
    pass(test, &COMPATIBILITY);
}

#[test]
fn x86_64_programs_that_nobody_here_wrote_pass() {
    pass("x86_64_programs_that_nobody_here_wrote_pass", &INTEL64);
}

#[test]
fn an_instruction_across_a_page_end_runs_as_both_pages_are_mapped() {
    let test = "an_instruction_across_a_page_end_runs_as_both_pages_are_mapped";
    ours_passes(test, &ARMV7, "second_page", 0);
}

/// The kernel has SETEND, barriers by CP15 and SWP emulated where the CPU says that they are Undefined.
#[test]
fn a_64_bit_kernel_keeps_its_promises_to_32_bit_programs() {
    let test = "a_64_bit_kernel_keeps_its_promises_to_32_bit_programs";
    ours_passes(test, &AARCH32, "compat", 1);
}

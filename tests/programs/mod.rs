//! Programs that nobody here wrote, in a booted guest: GCC's torture suite and tests of Advanced SIMD intrinsics, which
//! check themselves, and Valgrind's tests of ARM instructions with their expected output; and binutils' listings as a
//! second oracle of the decoder. And our own, for what those do not do.
//!
//! A sample of the programs runs by default. All of them, under QEMU too where it is installed, and the sample
//! interpreted:
//!
//!     EMU_PROGRAMS=all cargo test --release --test emu programs

mod build;
mod gas;
mod runs;
mod suites;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::boot;
use crate::guest::{kept, skipped};
use build::{Program, build, libraries};
use runs::{Guest, Outcomes, initrd};

/// One program in so many is in the sample.
const SAMPLE: usize = 49;

/// How a program ends on a guest's architecture: under ARMv7 the first instruction of ARMv8 is Undefined.
fn expected(arch: &str, name: &str) -> &'static str {
    if arch == "arm" && name.starts_with("valgrind-v8") {
        "signal 4"
    } else {
        "passed"
    }
}

/// Says how many passed.
fn say(machine: &str, outcomes: &Outcomes, since: Instant) {
    let count = |valgrind: bool| {
        let suite = outcomes.iter().filter(|(n, _)| n.starts_with("valgrind") == valgrind);
        let (passed, all) = suite.fold((0, 0), |(p, a), (_, o)| (p + usize::from(o == "passed"), a + 1));
        format!("{passed} of {all}")
    };
    let (gcc, valgrind, took) = (count(false), count(true), since.elapsed().as_secs());
    print(&format!(
        "{machine} passes {gcc} programs of GCC, {valgrind} of Valgrind, in {took} s"
    ));
}

/// Says on the terminal, past the test harness.
fn print(line: &str) {
    let _ = std::io::stderr().write_all(format!("\n{line}\n").as_bytes());
}

/// Programs, built, in a guest.
struct Prepared {
    programs: Vec<(Program, PathBuf)>,
    initrd: PathBuf,
}

impl Prepared {
    fn new(programs: &[Program]) -> Result<Self, String> {
        let folder = kept().join("programs");
        print(&format!(
            "building {} programs, or taking them from {}",
            programs.len(),
            folder.display()
        ));
        let (programs, all) = (build(programs, &folder)?, programs.len());
        assert!(
            programs.len() * 20 > all * 19,
            "only {} of {all} could be built",
            programs.len()
        );
        let initrd = initrd(&programs, &folder)?;
        Ok(Self { programs, initrd })
    }

    /// Those that do not end under emu as they should, a line each.
    fn wrong(&self, kernel: &Path, accel: &str) -> (Outcomes, Vec<String>) {
        let start = Instant::now();
        let outcomes = self.guest(kernel).under_emu(accel);
        say(&format!("emu ({accel})"), &outcomes, start);
        let wrong = self.wrong_of(&outcomes, accel, "arm");
        (outcomes, wrong)
    }

    /// The same under a 64-bit kernel.
    fn wrong_in_aarch32(&self) -> Vec<String> {
        let Some(kernel) = boot::AARCH64.kernel("programs of 32 bits under a 64-bit kernel") else {
            return Vec::new();
        };
        let start = Instant::now();
        let guest = Guest {
            arch: "aarch64",
            ..self.guest(&kernel)
        };
        let outcomes = guest.under_emu("jit");
        say("emu (under a 64-bit kernel)", &outcomes, start);
        self.wrong_of(&outcomes, "64-bit kernel", guest.arch)
    }

    /// Those that did not end as they should, a line each.
    fn wrong_of(&self, outcomes: &Outcomes, how: &str, arch: &str) -> Vec<String> {
        let line = |(program, _): &(Program, PathBuf)| {
            let name = &program.name;
            let outcome = outcomes.get(name).map_or("did not run", String::as_str);
            let wanted = expected(arch, name);
            (outcome != wanted).then(|| format!("{how}: {name}: {outcome}, not {wanted}"))
        };
        self.programs.iter().filter_map(line).collect()
    }

    fn guest<'a>(&'a self, kernel: &'a Path) -> Guest<'a> {
        Guest {
            arch: "arm",
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

/// One in so many of GCC's programs, both instruction sets by turns, and Valgrind's but for two that take the
/// compiler half a minute.
fn sample(gcc: &[Program], valgrind: &[Program]) -> Vec<Program> {
    let slow = ["valgrind-v6media", "valgrind-v6intThumb"];
    let valgrind = valgrind.iter().filter(|p| !slow.contains(&p.name.as_str()));
    gcc.iter().step_by(SAMPLE).chain(valgrind).cloned().collect()
}

#[test]
fn programs_that_nobody_here_wrote_pass() {
    let test = "programs_that_nobody_here_wrote_pass";
    let Some(kernel) = boot::kernel(test) else {
        return;
    };
    let all = std::env::var("EMU_PROGRAMS").is_ok_and(|v| v == "all");
    // Without a compiler there is no need to fetch anything.
    let prepared = libraries().and_then(|_| {
        let gcc = suites::gcc()?;
        let valgrind = suites::valgrind()?;
        let sample = Prepared::new(&sample(&gcc, &valgrind))?;
        let rest = all.then(|| Prepared::new(&[gcc, valgrind].concat())).transpose()?;
        Ok((sample, rest))
    });
    let (sample, everything) = match prepared {
        Ok(prepared) => prepared,
        Err(reason) => return skipped(test, &reason),
    };

    let wrong = match everything {
        None => [sample.wrong(&kernel, "jit").1, sample.wrong_in_aarch32()].concat(),
        Some(everything) => {
            let (under_emu, wrong) = everything.wrong(&kernel, "jit");
            let than_qemu = worse_than_qemu(&everything.guest(&kernel), &under_emu);
            let others = [sample.wrong(&kernel, "interp").1, everything.wrong_in_aarch32()];
            [wrong, than_qemu, others.concat()].concat()
        }
    };

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_instruction_across_a_page_end_runs_as_both_pages_are_mapped() {
    let test = "an_instruction_across_a_page_end_runs_as_both_pages_are_mapped";
    let Some(kernel) = boot::kernel(test) else {
        return;
    };
    let prepared = match libraries().and_then(|_| Prepared::new(&[suites::second_page()?])) {
        Ok(prepared) => prepared,
        Err(reason) => return skipped(test, &reason),
    };

    let outcomes = prepared.guest(&kernel).under_emu("jit");

    let outcomes: Vec<&String> = outcomes.values().collect();
    assert_eq!(outcomes, ["passed"]);
}

/// The kernel has SETEND, barriers by CP15 and SWP emulated where the CPU says that they are Undefined.
#[test]
fn a_64_bit_kernel_keeps_its_promises_to_32_bit_programs() {
    let test = "a_64_bit_kernel_keeps_its_promises_to_32_bit_programs";
    let prepared = match libraries().and_then(|_| Prepared::new(&[suites::compat()?])) {
        Ok(prepared) => prepared,
        Err(reason) => return skipped(test, &reason),
    };

    let wrong = prepared.wrong_in_aarch32();

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Those that end otherwise under QEMU, a line each, if QEMU is installed.
fn worse_than_qemu(guest: &Guest, under_emu: &Outcomes) -> Vec<String> {
    let start = Instant::now();
    let Some(under_qemu) = guest.under_qemu() else {
        skipped("the comparison with QEMU", "qemu-system-arm is not installed");
        return Vec::new();
    };
    say("QEMU", &under_qemu, start);
    let differ = |(name, outcome): (&String, &String)| {
        let ours = under_emu.get(name).map_or("did not run", String::as_str);
        (ours != outcome).then(|| format!("{name}: {ours}, under QEMU {outcome}"))
    };
    under_qemu.iter().filter_map(differ).collect()
}

//! The suites, as Debian's sources have them: built by their own scripts, with the commands that their own scripts run.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use regex::Regex;

use super::Code;
use crate::debian::{Archive, once, run, sources};

/// A suite of programs.
pub struct Suite {
    /// The source package.
    pub name: &'static str,
    /// Builds it for this many CPUs in the folder where its sources are.
    build: fn(&Path, &Code, usize) -> Result<(), String>,
    /// The commands for this many CPUs of the suite that was built in the folder.
    commands: fn(&Path, usize) -> Result<Vec<String>, String>,
}

/// The torture tests of userspace-rcu.
pub static LIBURCU: Suite = Suite {
    name: "liburcu",
    build: build_liburcu,
    commands: liburcu_commands,
};
/// The regressions of Concurrency Kit.
pub static CK: Suite = Suite {
    name: "ck",
    build: build_ck,
    commands: ck_commands,
};

/// A suite, built.
pub struct Built {
    /// Where its programs are.
    pub folder: PathBuf,
    /// Paths of programs below the folder, and words for them.
    pub commands: Vec<String>,
}

impl Built {
    /// The programs that the commands name.
    pub fn programs(&self) -> BTreeSet<&str> {
        self.commands
            .iter()
            .filter_map(|command| command.split(' ').next())
            .collect()
    }
}

impl Suite {
    /// Its sources, if these and a compiler can be had.
    pub fn sources(&self, code: &Code) -> Result<PathBuf, String> {
        run(Command::new(code.debian.compiler).arg("--version"))?;
        sources(&Archive::Source(self.name), &["*"])
    }

    /// Builds the suite for this many CPUs, or takes what was built before.
    pub fn build(&self, sources: &Path, code: &Code, cpus: usize) -> Result<Built, String> {
        // By all that says how, so that what was built otherwise is not taken for it.
        let how = format!("{}{:?}{cpus}{}", code.options, code.ck, include_str!("suites.rs"));
        let name = format!("{}-{}-{:08x}", self.name, code.name, crc32fast::hash(how.as_bytes()));
        let folder = once(&name, |folder| {
            run(Command::new("cp").arg("-a").arg(sources.join(".")).arg(folder))?;
            (self.build)(folder, code, cpus)
        })?;
        let commands = (self.commands)(&folder, cpus)?;
        Ok(Built { folder, commands })
    }
}

fn build_liburcu(folder: &Path, code: &Code, _: usize) -> Result<(), String> {
    let mut configure = Command::new(folder.join("configure"));
    configure.arg(format!("--host={}", code.host)).arg("--disable-shared");
    configure.env("CFLAGS", format!("-O2 -w {}", code.options));
    run(configure.current_dir(folder))?;
    run(make(&folder.join("src")).arg("LDFLAGS=-all-static -s"))?;
    for part in ["common", "utils", "regression", "benchmark", "unit"] {
        run(make(&folder.join("tests").join(part)).arg("LDFLAGS=-all-static -s"))?;
    }
    Ok(())
}

/// One in so many of the several hundred commands in `run-urcu-tests.sh`. It runs fifteen programs by turns, so that all
/// are there.
const SAMPLE: usize = 23;

fn liburcu_commands(folder: &Path, cpus: usize) -> Result<Vec<String>, String> {
    let mut commands = Vec::new();
    // The other scripts of rcutorture measure, and check nothing.
    let regressions = files(&folder.join("tests/regression"), ".tap.in")?;
    for script in regressions
        .iter()
        .filter(|path| path.to_string_lossy().contains("_stress_"))
    {
        let script = read(script)?.replace("@NPROC_CMD@", "nproc");
        commands.extend(below("tests/regression", said(&script, cpus)?));
    }
    for (script, every) in [("runhash.sh", 1), ("run-urcu-tests.sh", SAMPLE)] {
        let all = said(&read(&folder.join("tests/benchmark").join(script))?, cpus)?;
        commands.extend(below("tests/benchmark", all.into_iter().step_by(every)));
    }
    commands.extend(UNSCRIPTED.map(str::to_owned));
    Ok(commands)
}

/// What no script runs: two threads that put and two that take, for a second; and what `make check` runs by itself.
/// `test_urcu_wfs` is left out: it keeps its threads in a place behind the array for them, and cannot join them.
const UNSCRIPTED: [&str; 10] = [
    "tests/benchmark/test_urcu_lfq 2 2 1",
    "tests/benchmark/test_urcu_lfs 2 2 1",
    "tests/benchmark/test_urcu_lfs_rcu 2 2 1",
    "tests/benchmark/test_urcu_wfq 2 2 1",
    "tests/benchmark/test_urcu_wfcq 2 2 1",
    "tests/regression/test_urcu_fork.tap",
    "tests/unit/test_arch",
    "tests/unit/test_uatomic",
    "tests/unit/test_urcu_multiflavor",
    "tests/unit/test_urcu_multiflavor_single_unit",
];

/// How often the regressions of Concurrency Kit do what they do. Their own counts, up to a thousand times these, are for a
/// processor each. `make` says how often locks are taken and barriers are met.
const COUNTS: &str = "-DITERATE=$(TIMES) -DPAIRS=200000 -DPAIRS_S=1000 -DSTEPS=100000 -DR_REPEAT=5000 -DITERATIONS=8 \
                      -DITERATE_S=2";

/// How often in one of its folders. Where CPUs share a processor, those that wait for one CPU's turn, or for all, wait for time
/// slices.
fn times(part: &str) -> &'static str {
    let is_of = |names: &[&str]| names.iter().any(|name| part.contains(name));
    if is_of(&["ck_barrier"]) {
        "TIMES=200"
    } else if is_of(&["ck_pflock", "ck_spinlock", "ck_tflock"]) {
        "TIMES=2000"
    } else {
        "TIMES=100000"
    }
}

fn build_ck(folder: &Path, code: &Code, cpus: usize) -> Result<(), String> {
    let mut configure = Command::new(folder.join("configure"));
    configure.args(code.ck).arg(format!("--cores={cpus}"));
    let options = "-std=gnu99 -D_XOPEN_SOURCE=600 -D_DEFAULT_SOURCE -O2 -w -static -s";
    configure.env("CC", code.debian.compiler);
    configure.env("PTHREAD_CFLAGS", "-pthread");
    configure.env("CFLAGS", format!("{options} {} {COUNTS}", code.options));
    run(configure.current_dir(folder))?;
    for part in ck_parts(folder)? {
        run(make(&folder.join(&part)).args([times(&part), "all"]))?;
    }
    Ok(())
}

fn ck_commands(folder: &Path, cpus: usize) -> Result<Vec<String>, String> {
    let mut commands = Vec::new();
    for part in ck_parts(folder)? {
        // What it would do, all being built, in a folder that had another name then.
        let mut check = make(&folder.join(&part));
        check.arg(format!("BUILD_DIR={}", folder.display()));
        check.args(["--no-print-directory", "-n", "-o", "all", "check"]);
        let check = check.output().map_err(|e| e.to_string())?.stdout;
        commands.extend(below(&part, said(&String::from_utf8_lossy(&check), cpus)?));
    }
    Ok(commands)
}

/// The folders of the regressions, which have benchmarks beside them.
fn ck_parts(folder: &Path) -> Result<Vec<String>, String> {
    let parts = files(&folder.join("regressions"), "")?;
    let parts = parts.iter().filter(|part| part.join("validate").is_dir());
    let name = |part: &PathBuf| part.file_name().map(|name| name.to_string_lossy().into_owned());
    Ok(parts
        .filter_map(name)
        .map(|name| format!("regressions/{name}/validate"))
        .collect())
}

fn make(folder: &Path) -> Command {
    let mut make = Command::new("make");
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    make.arg(format!("-j{jobs}")).arg("-C").arg(folder);
    make
}

/// Commands of a folder's programs.
fn below(folder: &str, commands: impl IntoIterator<Item = String>) -> impl Iterator<Item = String> {
    commands
        .into_iter()
        .map(move |command| command.replacen("./", &format!("{folder}/"), 1))
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))
}

fn files(folder: &Path, end: &str) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.to_string_lossy().ends_with(end));
    files.sort();
    Ok(files)
}

/// What a script finds around it: `okx` in front of a command says it, and what else the scripts call does nothing.
const AROUND: &str = r#"
    okx() { [ "$1" != okx ] || shift; echo "$@"; }; plan_tests() { :; }; diag() { :; }; xseq() { seq "$1" "$2"; }
    TMPFILE=/dev/null; set -- 1
"#;

/// The commands of a suite's script, each `./PROGRAM WORDS`, where it is told of this many CPUs, and that a program is to
/// run for a second.
fn said(script: &str, cpus: usize) -> Result<Vec<String>, String> {
    let sources = Regex::new(r"(?m)^(source|\.) .*$").expect("a regex");
    let program = Regex::new(r"(?m)(^|\s)\./").expect("a regex");
    let script = sources.replace_all(script, "");
    let script = program.replace_all(&script, "${1}okx ./");
    let script = format!("nproc() {{ echo {cpus}; }}\n{AROUND}{script}");
    let output = Command::new("bash").arg("-c").arg(script).stdin(Stdio::null()).output();
    let output = output.map_err(|e| format!("bash: {e}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let commands = said.lines().filter(|line| line.starts_with("./"));
    let commands: Vec<_> = commands.map(str::to_owned).collect();
    if commands.is_empty() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("a script has no commands: {errors}"));
    }
    Ok(commands)
}

#[test]
fn a_script_says_its_commands() {
    let script = "#!/bin/sh\n. ./tap.sh\nPROGRAM=./a\nfor i in $(xseq 1 2); do okx $PROGRAM $(nproc) $i $1; done\n\
                  okx $TIME ./\"b\" 2>\"$TMPFILE\"\n./c 1 && ./c 2\necho none\n";

    let commands = said(script, 4).unwrap();

    assert_eq!(commands, ["./a 4 1 1", "./a 4 2 1", "./b", "./c 1", "./c 2"]);
    said("echo none", 4).unwrap_err();
}

//! Programs of GCC's test suites, as Debian's sources have them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

use super::build::{Program, ours};
use super::dejagnu::{Said, Target, said};
use super::machines::{Machine, Set};
use crate::debian::{Archive, sources};

/// What all programs are built with: dynamically linked, as an initial RAM disk has no room for thousands of C libraries.
pub const ALL: &[&str] = &["-w", "-s", "-Wl,-z,max-page-size=4096"];

/// The words as options.
pub fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&w| w.to_owned()).collect()
}

/// A program of ours for a machine's programs, as its instruction set `set`.
pub fn own(name: &str, machine: &Machine, set: usize) -> Result<Program, String> {
    ours(
        name,
        machine.programs,
        owned(&[ALL, machine.sets[set].options].concat()),
    )
}

/// A suite of GCC's.
struct Suite {
    name: &'static str,
    /// Where its sources are, below GCC's tests.
    folder: &'static str,
    /// The options that the script there gives it.
    options: &'static [&'static str],
    /// Whether only what says so is run, and the rest compiled.
    says: bool,
}

#[rustfmt::skip]
const SUITES: [Suite; 7] = [
    Suite { name: "torture", folder: "gcc.c-torture/execute", options: &[], says: false },
    Suite { name: "ieee", folder: "gcc.c-torture/execute/ieee", options: &["-fno-inline"], says: false },
    Suite { name: "builtins", folder: "gcc.c-torture/execute/builtins", options: BUILTINS, says: false },
    Suite { name: "simd", folder: "gcc.target/aarch64/advsimd-intrinsics", options: &[], says: false },
    Suite { name: "aarch64", folder: "gcc.target/aarch64", options: &[], says: true },
    Suite { name: "aarch64-simd", folder: "gcc.target/aarch64/simd", options: &[], says: true },
    Suite { name: "x86", folder: "gcc.target/i386", options: &[], says: true },
];

/// GCC's programs that check themselves, for each instruction set of a machine.
pub fn gcc(machine: &Machine) -> Result<Vec<Program>, String> {
    let root = sources(
        &Archive::Package("gcc-12-source"),
        &[
            "*/gcc/testsuite/gcc.c-torture/execute/*",
            "*/gcc/testsuite/gcc.target/aarch64/*",
            "*/gcc/testsuite/gcc.target/i386/*",
        ],
    )?;
    let mut programs = Vec::new();
    for suite in &SUITES {
        let sets = machine.sets.iter().filter(|set| set.suites.contains(&suite.name));
        for source in c_files(&root.join("gcc/testsuite").join(suite.folder))? {
            programs.extend(sets.clone().filter_map(|set| program(suite, &source, machine, set)));
        }
    }
    Ok(programs)
}

/// The program of one of GCC's sources, if it is one's main source and is for this instruction set.
fn program(suite: &Suite, source: &Path, machine: &Machine, set: &Set) -> Option<Program> {
    let stem = source.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    if stem.ends_with("-lib") {
        return None;
    }
    let own = own_options(suite, source, machine, set)?;
    let beside = |name: &String| source.with_file_name(name);
    let mut sources = vec![source.to_path_buf()];
    sources.extend(own.sources.iter().map(beside));
    if suite.name == "builtins" {
        sources.extend([beside(&format!("{stem}-lib.c")), beside(&"lib/main.c".to_owned())]);
    }
    let more = set.more.iter().filter(|(name, _)| *name == suite.name);
    let more = more.flat_map(|(_, options)| options.iter().copied());
    let options: Vec<_> = [ALL, set.options].concat().into_iter().chain(more).collect();
    Some(Program {
        name: format!("{}-{stem}-{}", suite.name, set.name),
        compiler: machine.programs.compiler,
        sources,
        options: [owned(&options), owned(suite.options), own.options].concat(),
        output: None,
    })
}

/// As `builtins.exp` says.
const BUILTINS: &[&str] = &[
    "-fno-tree-dse",
    "-fno-tree-loop-distribute-patterns",
    "-fno-tracer",
    "-fno-ipa-ra",
    "-fno-inline-functions",
];

fn c_files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut files: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "c"))
        .collect();
    files.sort();
    Ok(files)
}

/// What a source says of itself, in its directives and in the script beside it; `None` if it is not to be run, or asks
/// for an extension that the instruction set has not.
fn own_options(suite: &Suite, source: &Path, machine: &Machine, set: &Set) -> Option<Said> {
    static EXTENSION: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"arm_(?:v8_|crypto)\w*").expect("a regex"));
    let text = String::from_utf8_lossy(&fs::read(source).ok()?).into_owned();
    let target = Target {
        triplet: machine.triplet,
        has: &|name| set.has(name),
    };
    let mut said = said(&text, &target, !suite.says)?;
    let mut options = Vec::new();
    for found in EXTENSION.find_iter(&text) {
        let known = |(name, _): &&(&str, &str)| found.as_str().starts_with(name);
        options.push(set.extensions.iter().find(known)?.1.to_owned());
    }
    options.append(&mut said.options);
    let script = fs::read_to_string(source.with_extension("x")).unwrap_or_default();
    for line in script.lines() {
        let words = line
            .split_once(" additional_flags ")
            .filter(|(verb, _)| ["lappend", "set"].contains(verb));
        if let Some((_, words)) = words {
            options.extend(words.split_whitespace().map(|w| w.trim_matches('"').to_owned()));
        }
    }
    options.retain(|o| !o.ends_with("-save-temps"));
    Some(Said { options, ..said })
}

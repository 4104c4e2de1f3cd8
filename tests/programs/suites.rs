//! Programs of GCC's test suites, as Debian's sources have them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

use super::build::{Program, ours};
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
const SUITES: [Suite; 6] = [
    Suite { name: "torture", folder: "gcc.c-torture/execute", options: &[], says: false },
    Suite { name: "ieee", folder: "gcc.c-torture/execute/ieee", options: &["-fno-inline"], says: false },
    Suite { name: "builtins", folder: "gcc.c-torture/execute/builtins", options: BUILTINS, says: false },
    Suite { name: "simd", folder: "gcc.target/aarch64/advsimd-intrinsics", options: &[], says: false },
    Suite { name: "aarch64", folder: "gcc.target/aarch64", options: &[], says: true },
    Suite { name: "aarch64-simd", folder: "gcc.target/aarch64/simd", options: &[], says: true },
];

/// GCC's programs that check themselves, for each instruction set of a machine.
pub fn gcc(machine: &Machine) -> Result<Vec<Program>, String> {
    let root = sources(
        &Archive::Package("gcc-12-source"),
        &[
            "*/gcc/testsuite/gcc.c-torture/execute/*",
            "*/gcc/testsuite/gcc.target/aarch64/*",
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
    let mut sources = vec![source.to_path_buf()];
    if suite.name == "builtins" {
        sources.push(source.with_file_name(format!("{stem}-lib.c")));
        sources.push(source.with_file_name("lib/main.c"));
    }
    let simd = if suite.name == "simd" { set.simd } else { &[] };
    let own = own_options(suite, source, machine.programs.arch, set)?;
    Some(Program {
        name: format!("{}-{stem}-{}", suite.name, set.name),
        compiler: machine.programs.compiler,
        sources,
        options: [owned(&[ALL, set.options, simd, suite.options].concat()), own].concat(),
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

/// A source's options from its directives for DejaGnu, and from the script beside it; `None` if it is not to be run on
/// this architecture, or asks for an extension that the instruction set has not.
fn own_options(suite: &Suite, source: &Path, arch: &str, set: &Set) -> Option<Vec<String>> {
    static OPTIONS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"dg-(?:additional-)?options +\{? *"([^"]*)"(.*)"#).expect("a regex"));
    static EXTENSION: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"arm_(?:v8_|crypto)\w*").expect("a regex"));
    let text = String::from_utf8_lossy(&fs::read(source).ok()?).into_owned();
    if !is_run(&text, arch) || suite.says && !text.contains("dg-do run") {
        return None;
    }
    let mut options = Vec::new();
    for found in EXTENSION.find_iter(&text) {
        let known = |(name, _): &&(&str, &str)| found.as_str().starts_with(name);
        options.push(set.extensions.iter().find(known)?.1.to_owned());
    }
    let here = |rest: &str| !rest.contains("target") || rest.contains(&format!("target {{ {arch}*"));
    for found in OPTIONS.captures_iter(&text).filter(|c| here(&c[2])) {
        options.extend(found[1].split_whitespace().map(str::to_owned));
    }
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
    Some(options)
}

/// Whether a source is to be run on this architecture, by its directives.
fn is_run(text: &str, arch: &str) -> bool {
    static ELSEWHERE: LazyLock<Regex> = LazyLock::new(|| {
        let only_compiled = r"dg-do (?:compile|assemble)|effective-target aarch64_big_endian";
        let targets = r#"dg-do run \{ target (?:\{ )?(?<only>\w+)|dg-skip-if "[^"]*" \{ (?:(?<not>\w+)\*|! \{ i\?86)"#;
        Regex::new(&format!("{only_compiled}|{targets}")).expect("a regex")
    });
    let mut found = ELSEWHERE.captures_iter(text);
    found.all(|found| match (found.name("only"), found.name("not")) {
        (Some(only), _) => only.as_str() == arch,
        (_, Some(not)) => not.as_str() != arch,
        _ => false,
    })
}

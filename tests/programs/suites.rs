//! Programs of GCC's and Valgrind's test suites, as Debian's sources have them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

use super::build::{Program, ours};
use crate::debian::{Archive, sources};
use crate::guest::kept;

/// What all programs are built with: dynamically linked, as an initial RAM disk has no room for thousands of C libraries.
const ALL: &[&str] = &["-w", "-s", "-Wl,-z,max-page-size=4096"];
/// What GCC's are built with: what a Cortex-A15 has.
const GCC: &[&str] = &["-O2", "-march=armv7-a", "-mfpu=neon-vfpv4", "-mfloat-abi=hard"];

const TORTURE: &str = "gcc/testsuite/gcc.c-torture/execute";
const INTRINSICS: &str = "gcc/testsuite/gcc.target/aarch64/advsimd-intrinsics";

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&w| w.to_owned()).collect()
}

/// An instruction across a page's end, whose second page changes.
pub fn second_page() -> Result<Program, String> {
    ours("second_page", [owned(ALL), owned(GCC), owned(&["-mthumb"])].concat())
}

/// What a 64-bit kernel does for 32-bit programs.
pub fn compat() -> Result<Program, String> {
    ours("compat", [owned(ALL), owned(GCC), owned(&["-marm"])].concat())
}

/// GCC's programs that check themselves, as T32 and as A32 code.
pub fn gcc() -> Result<Vec<Program>, String> {
    let root = sources(
        &Archive::Package("gcc-12-source"),
        &[&format!("*/{TORTURE}/*"), &format!("*/{INTRINSICS}/*")],
    )?;
    let torture = root.join(TORTURE);
    let suites: [(&str, PathBuf, &[&str]); 4] = [
        ("torture", torture.clone(), &[]),
        ("ieee", torture.join("ieee"), &["-fno-inline"]),
        ("builtins", torture.join("builtins"), BUILTINS),
        ("simd", root.join(INTRINSICS), &["-mfp16-format=ieee"]),
    ];
    let mut programs = Vec::new();
    for (suite, folder, options) in suites {
        for source in c_files(&folder)? {
            programs.extend(both_sets(suite, &source, options));
        }
    }
    Ok(programs)
}

/// The programs of one of GCC's sources, if it is one's main source and is for ARMv7.
fn both_sets(suite: &str, source: &Path, options: &[&str]) -> Vec<Program> {
    let stem = source.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut sources = vec![source.to_path_buf()];
    if suite == "builtins" {
        sources.push(source.with_file_name(format!("{stem}-lib.c")));
        sources.push(source.with_file_name("lib/main.c"));
    }
    let own = own_options(source).filter(|_| !stem.ends_with("-lib"));
    let program = |set: &str, own: &[String]| Program {
        name: format!("{suite}-{stem}-{set}"),
        sources: sources.clone(),
        options: [
            owned(ALL),
            owned(GCC),
            owned(options),
            vec![format!("-m{set}")],
            own.to_vec(),
        ]
        .concat(),
        output: None,
    };
    own.map_or_else(Vec::new, |own| ["thumb", "arm"].map(|set| program(set, &own)).to_vec())
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
/// ARMv7.
fn own_options(source: &Path) -> Option<Vec<String>> {
    static ELSEWHERE: LazyLock<Regex> = LazyLock::new(|| {
        let only_compiled = r"dg-do (compile|assemble)";
        let other_target = r#"dg-do run \{ target \{ aarch64|dg-skip-if "[^"]*" \{ (arm\*|! \{ i\?86)"#;
        Regex::new(&format!("{only_compiled}|{other_target}|arm_v8|arm_crypto")).expect("a regex")
    });
    static OPTIONS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"dg-(?:additional-)?options +\{? *"([^"]*)"(.*)"#).expect("a regex"));
    let text = String::from_utf8_lossy(&fs::read(source).ok()?).into_owned();
    if ELSEWHERE.is_match(&text) {
        return None;
    }
    let mut options = Vec::new();
    for found in OPTIONS.captures_iter(&text).filter(|c| !c[2].contains("target")) {
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

/// Valgrind's programs for ARM, by the options that its Makefile.am gives them.
#[rustfmt::skip]
const VALGRIND: &[(&str, &[&str])] = &[
    ("intdiv", &["-O2", "-mcpu=cortex-a15", "-mthumb"]),
    ("ldrt", &["-O2", "-mcpu=cortex-a8", "-mthumb"]),
    // Its stores are in assembly that does not tell the compiler of them.
    ("ldrt_arm", &["-O0", "-mcpu=cortex-a8", "-marm"]),
    ("neon128", &["-O0", "-mcpu=cortex-a8", "-mfpu=neon", "-mthumb"]),
    ("neon64", &["-O0", "-mcpu=cortex-a8", "-mfpu=neon", "-mthumb"]),
    ("v6intARM", &["-O0", "-mcpu=cortex-a8", "-marm"]),
    ("v6intThumb", &["-O0", "-mcpu=cortex-a8", "-mthumb"]),
    ("v6media", &["-O0", "-mcpu=cortex-a8", "-mthumb"]),
    ("v8crypto_a", &["-O0", "-march=armv8-a", "-mfpu=crypto-neon-fp-armv8", "-marm"]),
    ("v8crypto_t", &["-O0", "-march=armv8-a", "-mfpu=crypto-neon-fp-armv8", "-mthumb"]),
    ("v8fpsimd_a", &["-O0", "-march=armv8-a", "-mfpu=crypto-neon-fp-armv8", "-marm"]),
    ("v8fpsimd_t", &["-O0", "-march=armv8-a", "-mfpu=crypto-neon-fp-armv8", "-mthumb"]),
    ("v8memory_a", &["-O0", "-march=armv8-a", "-mfpu=crypto-neon-fp-armv8", "-marm"]),
    ("v8memory_t", &["-O0", "-march=armv8-a", "-mfpu=crypto-neon-fp-armv8", "-mthumb"]),
    ("vcvt_fixed_float_VFP", &["-O2", "-mcpu=cortex-a15", "-mfpu=vfpv3"]),
    ("vfp", &["-O0", "-mcpu=cortex-a8", "-mfpu=neon", "-mthumb"]),
    ("vfpv4_fma", &["-O0", "-mcpu=cortex-a15", "-mfpu=vfpv4", "-marm"]),
];

/// Valgrind's programs, which have an expected output. Those whose names start with `v8` are of ARMv8.
pub fn valgrind() -> Result<Vec<Program>, String> {
    let root = sources(
        &Archive::Source("valgrind"),
        &["*/none/tests/arm/*", "*/tests/malloc.h"],
    )?;
    let folder = root.join("none/tests/arm");
    // What its configure script would write.
    let configured = kept().join("valgrind-config");
    fs::create_dir_all(&configured).map_err(|e| e.to_string())?;
    fs::write(configured.join("config.h"), "").map_err(|e| e.to_string())?;
    let program = |&(name, options): &(&str, &[&str])| {
        let mut all = owned(&[ALL, &["-no-pie"], options].concat());
        all.extend([format!("-I{}", root.display()), format!("-I{}", configured.display())]);
        Program {
            name: format!("valgrind-{name}"),
            sources: vec![folder.join(format!("{name}.c"))],
            options: all,
            output: Some(configured.join(format!("{name}.stdout.exp"))),
        }
    };
    for (name, _) in VALGRIND {
        let file = format!("{name}.stdout.exp");
        let expected = fs::read_to_string(folder.join(&file)).map_err(|e| format!("{file}: {e}"))?;
        fs::write(configured.join(&file), corrected(name, &expected)?).map_err(|e| e.to_string())?;
    }
    Ok(VALGRIND.iter().map(program).collect())
}

/// Valgrind's expectation of the one line in which it is its own, and not a CPU's: VCVTA takes -4191244.5 away from zero (Arm
/// ARM DDI 0487, shared pseudocode, FPToFixed), where Valgrind's own VCVTA takes it to the even neighbour.
fn corrected(name: &str, expected: &str) -> Result<String, String> {
    const EVEN: &str = "  ffc00bf47fffffff0000000000000000  ca7fd03267f241e8015294858d76df30 fpscr=00000000";
    if !name.starts_with("v8fpsimd") {
        return Ok(expected.to_owned());
    }
    match expected.matches(EVEN).count() {
        1 => Ok(expected.replace(EVEN, &EVEN.replace("ffc00bf4", "ffc00bf3"))),
        n => Err(format!("{name} has the line {n} times")),
    }
}

//! Programs of Valgrind's test suite, which have an expected output, as Debian's sources have them.

use std::fs;
use std::path::Path;

use super::build::Program;
use super::machines::Machine;
use super::suites::{ALL, owned};
use crate::debian::{Archive, sources};
use crate::guest::kept;

/// The programs of one of Valgrind's folders.
pub struct Suite {
    /// Where they are, below `none/tests`.
    folder: &'static str,
    /// Their names and the options that its Makefile.am gives them.
    programs: &'static [(&'static str, &'static [&'static str])],
    /// Those that take the compiler, or the interpreter, half a minute.
    pub slow: &'static [&'static str],
}

/// For 32-bit ARM. Those whose names start with `v8` are of ARMv8.
pub static ARM: Suite = Suite {
    folder: "arm",
    #[rustfmt::skip]
    programs: &[
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
    ],
    slow: &["v6media", "v6intThumb"],
};

/// For AArch64.
pub static ARM64: Suite = Suite {
    folder: "arm64",
    #[rustfmt::skip]
    programs: &[
        ("atomics_v81", &["-O0", "-march=armv8.1-a"]),
        ("crc32", &["-O0", "-march=armv8-a+crc"]),
        ("cvtf_imm", &["-O0"]),
        ("fmadd_sub", &["-O0"]),
        ("fp_and_simd", &["-O0", "-march=armv8-a+crypto"]),
        ("fp_and_simd_v82", &["-O0", "-march=armv8.2-a+fp16+crypto"]),
        ("integer", &["-O0", "-DTEST_BFM=0"]),
        ("ldxp_stxp", &["-O0"]),
        ("memory", &["-O0"]),
        ("simd_v81", &["-O0", "-march=armv8.1-a+crypto"]),
    ],
    slow: &["atomics_v81", "fp_and_simd", "fp_and_simd_v82", "memory"],
};

/// Where Valgrind's expectations are its own, and not a CPU's: of which programs, what they say in one place, what a CPU
/// does there (Arm ARM DDI 0487, shared pseudocode), and why.
#[rustfmt::skip]
const CORRECTED: &[(&[&str], &str, &str, &str)] = &[
    (
        &["v8fpsimd_a", "v8fpsimd_t"],
        "  ffc00bf47fffffff0000000000000000  ca7fd03267f241e8015294858d76df30 fpscr=00000000",
        "  ffc00bf37fffffff0000000000000000  ca7fd03267f241e8015294858d76df30 fpscr=00000000",
        "FPToFixed: VCVTA takes -4191244.5 away from zero, not to the even neighbour",
    ),
    (&["fp_and_simd"], "176be12641aeda7c  6dce88bd7d5e91a2", "176be12541aeda7c  6dce88bd7d5e91a2", "FPMulAdd rounds once"),
    (
        &["fp_and_simd"],
        "00000000000000000000000000000000  acdc6e6f4bf5a9501d87ee7e4d861e1c",
        "00000000000000000000000000000001  acdc6e6f4bf5a9501d87ee7e4d861e1c",
        "FPRound, to odd: what is not exact is odd",
    ),
    (&["fp_and_simd"], "190a948900000000  3b2152911c72e8d1", "190a948900000001  3b2152911c72e8d1", "the same"),
    (&["fp_and_simd"], "ff8000008000000093bd9b3960111dfc", "ff7fffff8000000193bd9b3960111dfc", "and never infinite"),
];

/// Valgrind's programs for a machine.
pub fn programs(machine: &Machine) -> Result<Vec<Program>, String> {
    let root = sources(
        &Archive::Source("valgrind"),
        &["*/none/tests/arm*/*", "*/tests/malloc.h"],
    )?;
    let folder = root.join("none/tests").join(machine.valgrind.folder);
    // What its configure script would write.
    let configured = kept().join("valgrind-config");
    fs::create_dir_all(&configured).map_err(|e| e.to_string())?;
    fs::write(configured.join("config.h"), "").map_err(|e| e.to_string())?;
    let program = |&(name, options): &(&str, &[&str])| {
        let mut all = owned(&[ALL, &["-no-pie"], options].concat());
        all.extend([format!("-I{}", root.display()), format!("-I{}", configured.display())]);
        Ok(Program {
            name: format!("valgrind-{name}"),
            compiler: machine.programs.compiler,
            sources: vec![folder.join(format!("{name}.c"))],
            options: all,
            output: Some(corrected(name, &expected(&folder, name)?)?),
        })
    };
    machine.valgrind.programs.iter().map(program).collect()
}

/// What Valgrind expects of a program; of one that it runs in two ways the same of both.
fn expected(folder: &Path, name: &str) -> Result<String, String> {
    let file = |stem: String| fs::read_to_string(folder.join(format!("{stem}.stdout.exp")));
    file(name.to_owned())
        .or_else(|_| file(format!("{name}_basisimpl")))
        .map_err(|e| format!("{name}.stdout.exp: {e}"))
}

/// The same of a CPU.
fn corrected(name: &str, expected: &str) -> Result<String, String> {
    let mut ours = CORRECTED.iter().filter(|(programs, ..)| programs.contains(&name));
    ours.try_fold(expected.to_owned(), |text, (_, theirs, right, _)| {
        match text.matches(theirs).count() {
            1 => Ok(text.replace(theirs, right)),
            n => Err(format!("{name} has {theirs:?} {n} times")),
        }
    })
}

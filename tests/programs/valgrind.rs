//! Programs of Valgrind's test suite, which have an expected output, as Debian's sources have them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::build::Program;
use super::machines::Machine;
use super::suites::{ALL, owned};
use crate::debian::{Archive, once, sources};
use crate::guest::kept;

/// The programs of one of Valgrind's folders.
pub struct Suite {
    /// Where they are, below `none/tests`.
    folder: &'static str,
    /// Their names and the options that its Makefile.am gives them.
    programs: &'static [(&'static str, &'static [&'static str])],
    /// The names of those whose sources a script there makes of descriptions.
    described: &'static [&'static str],
    /// The options of these.
    options: &'static [&'static str],
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
    described: &[],
    options: &[],
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
    described: &[],
    options: &[],
    slow: &["atomics_v81", "fp_and_simd", "fp_and_simd_v82", "memory"],
};

/// For 32-bit x86. Without what only a debugger or a person can judge (`int`, `yield`), and CPUID, which is the model's.
pub static X86: Suite = Suite {
    folder: "x86",
    #[rustfmt::skip]
    programs: &[
        ("aad_aam", SSE), ("badseg", SSE), ("bswapw", SSE), ("bt_everything", SSE), ("bt_literal", SSE), ("bug125959-x86", SSE),
        ("bug126147-x86", SSE), ("bug132813-x86", SSE), ("bug135421-x86", SSE), ("bug137714-x86", SSE), ("bug152818-x86", SSE),
        ("cet_nops", SSE), ("cmpxchg8b", SSE), ("cse_fail", SSE), ("faultstatus", SSE),
        ("fcmovnu", SSE), ("fpu_lazy_eflags", &["-O2", "-march=pentiumpro"]), ("fxtract", SSE), ("getseg", SSE),
        ("incdec_alt", SSE), ("jcxz", SSE), ("lahf", SSE), ("looper", SSE), ("lzcnt32", SSE),
        ("movbe", SSE), ("movx", SSE), ("pushpopseg", SSE), ("sbbmisc", SSE),
        ("shift_ndep", SSE), ("smc1", SSE), ("ssse3_misaligned", SSE),
        ("x86locked", &["-O", "-mmmx", "-msse"]), ("x87trigOOR", SSE), ("xadd", SSE),
    ],
    #[rustfmt::skip]
    described: &[
        "insn_basic", "insn_cmov", "insn_fpu", "insn_mmx", "insn_mmxext", "insn_sse", "insn_sse2", "insn_sse3", "insn_ssse3",
    ],
    options: SSE,
    slow: &["x86locked"],
};
const SSE: &[&str] = &["-O0", "-mmmx", "-msse"];

/// For x86-64. Without FMA4, which AMD's processors had for a time.
pub static AMD64: Suite = Suite {
    folder: "amd64",
    #[rustfmt::skip]
    programs: &[
        ("aes", PLAIN), ("amd64locked", &["-O"]), ("asorep", PLAIN), ("avx-1", PLAIN), ("avx2-1", PLAIN),
        ("bmi", PLAIN), ("bt_flags", PLAIN), ("bug127521-64", PLAIN), ("bug132813-amd64", PLAIN), ("bug132918", PLAIN),
        ("bug137714-amd64", PLAIN), ("bug156404-amd64", PLAIN), ("cet_nops", PLAIN), ("clc", PLAIN), ("cmpxchg", PLAIN),
        ("crc32", PLAIN), ("f16c", PLAIN), ("faultstatus", PLAIN), ("fb_test_amd64", &["-O", "-fno-strict-aliasing"]),
        ("fcmovnu", PLAIN), ("fma", PLAIN), ("fxtract", PLAIN), ("getseg", PLAIN), ("jrcxz", PLAIN), ("looper", PLAIN),
        ("loopnel", PLAIN), ("lzcnt64", PLAIN), ("movbe", PLAIN), ("mpx", PLAIN), ("nan80and64", PLAIN), ("nibz_bennee_mmap", PLAIN),
        ("pcmpstr64", PLAIN), ("pcmpstr64w", PLAIN), ("pcmpxstrx64", PLAIN), ("pcmpxstrx64w", PLAIN),
        ("rcl-amd64", PLAIN), ("rdrand", PLAIN), ("rdseed", PLAIN), ("redundantRexW", PLAIN), ("sbbmisc", PLAIN),
        ("shrld", PLAIN), ("slahf-amd64", PLAIN), ("smc1", PLAIN), ("sse4-64", PLAIN), ("ssse3_misaligned", PLAIN),
        ("x87trigOOR", PLAIN), ("xacq_xrel", PLAIN), ("xadd", PLAIN),
    ],
    #[rustfmt::skip]
    described: &[
        "insn_basic", "insn_fpu", "insn_mmx", "insn_pclmulqdq", "insn_sse", "insn_sse2", "insn_sse3", "insn_ssse3",
    ],
    options: PLAIN,
    slow: &["amd64locked", "fb_test_amd64"],
};
const PLAIN: &[&str] = &["-O0"];

/// Where Valgrind's expectations are its own, and not a CPU's: of which programs, what they say in one place, what a CPU
/// does there (Arm ARM DDI 0487, shared pseudocode; Intel's processors), and why.
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
    (
        &["avx-1"],
        "0000000000000000.0000000000000000\n    06b57c4222c1db13",
        "00000000ffffffff.0000000000000000\n    06b57c4222c1db13",
        "VCMPPS: EQ_UQ is true of a NaN",
    ),
    (
        &["avx-1"],
        "ffffffffffffffff\n    2fadb070c8e1308d",
        "0000000000000000\n    2fadb070c8e1308d",
        "VCMPPD: NEQ_OQ is false of a NaN",
    ),
    (
        &["avx-1"],
        "ac74ce2272b8d1ce\n    0000000000000000.0000000000000000.ffffffffffffffff.ffffffffffffffff",
        "ac74ce2272b8d1ce\n    0000000000000000.0000000000000000.ffffffffffffffff.00000000ffffffff",
        "VCMPPS: the same",
    ),
    (&["bug132918"], "xx1 -> 0x4200", "xx1 -> 0x4000", "FSTP sets C1 as it rounds"),
    (&["bug132918"], "xx -> 0x4300 0.000002", "xx -> 0x4100 0.000002", "the same"),
    (&["nan80and64"], "snan80: 7fffbfffffffffffffff", "snan80: 7fffe000000000000000", "FLD of a double makes it quiet"),
    (&["nan80and64"], "snan80: ffffbfffffffffffffff", "snan80: ffffe000000000000000", "the same"),
    (&["nan80and64"], "snan64: 7ff7ffffffffffff", "snan64: 7ffc000000000000", "FST to a double makes it quiet"),
    (&["nan80and64"], "snan64: fff7ffffffffffff", "snan64: fffc000000000000", "the same"),
];

/// Valgrind's programs for a machine.
pub fn programs(machine: &Machine) -> Result<Vec<Program>, String> {
    let root = sources(
        &Archive::Source("valgrind"),
        &[
            "*/none/tests/arm*/*",
            "*/none/tests/x86/*",
            "*/none/tests/amd64/*",
            "*/tests/*.h",
        ],
    )?;
    let suite = machine.valgrind;
    let folder = root.join("none/tests").join(suite.folder);
    // What its configure script would write, and make.
    let configured = kept().join("valgrind-config");
    fs::create_dir_all(&configured).map_err(|e| e.to_string())?;
    fs::write(configured.join("config.h"), "").map_err(|e| e.to_string())?;
    let program = |name: &str, source: PathBuf, options: &[&str]| {
        let mut all = owned(&[ALL, &["-fno-pie", "-no-pie", "-DVGO_linux"], options].concat());
        all.extend([&root, &configured, &folder].map(|folder| format!("-I{}", folder.display())));
        let output = expected(&folder, name).map(|output| corrected(name, &output));
        Ok(Program {
            name: format!("valgrind-{}-{name}", suite.folder),
            compiler: machine.programs.compiler,
            sources: vec![source],
            options: all,
            output: output.transpose()?,
        })
    };
    let written = suite.programs.iter().map(|&(name, options)| {
        let source = folder.join(format!("{name}.c"));
        program(name, source, options)
    });
    let made = described(suite, &folder)?;
    let described = suite.described.iter().map(|&name| {
        let source = made.join(format!("{name}.c"));
        program(name, source, suite.options)
    });
    written.chain(described).collect()
}

/// The folder with the sources that a script of Valgrind's makes of descriptions.
fn described(suite: &Suite, folder: &Path) -> Result<PathBuf, String> {
    once(&format!("valgrind-{}-described", suite.folder), |made| {
        for name in suite.described {
            let description = folder.join(format!("{name}.def"));
            let input = File::open(&description).map_err(|e| format!("{}: {e}", description.display()))?;
            let mut perl = Command::new("perl");
            let output = perl.arg(folder.join("gen_insn_test.pl")).stdin(input).output();
            let output = output.map_err(|e| format!("perl: {e}"))?;
            if !output.status.success() {
                return Err(format!("{name}.def: {}", String::from_utf8_lossy(&output.stderr)));
            }
            fs::write(made.join(format!("{name}.c")), output.stdout).map_err(|e| e.to_string())?;
        }
        Ok(())
    })
}

/// What Valgrind expects of a program, if anything; of one that it runs in two ways the same of both.
fn expected(folder: &Path, name: &str) -> Option<String> {
    let file = |stem: &str| fs::read(folder.join(format!("{stem}.stdout.exp"))).ok();
    let output = file(name).or_else(|| file(&format!("{name}_basisimpl")))?;
    Some(String::from_utf8_lossy(&output).into_owned())
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

//! The machines that run the programs, and the instruction sets that these are compiled for.

use super::valgrind::{self, Suite};
use crate::boot::{AARCH64, ARM, Debian};

/// An instruction set, as a compiler has it.
pub struct Set {
    /// How the names of its programs end.
    pub name: &'static str,
    /// The compiler's options.
    pub options: &'static [&'static str],
    /// The suites of GCC for it.
    pub suites: &'static [&'static str],
    /// The options that the tests of intrinsics get besides, as `advsimd-intrinsics.exp` says.
    pub simd: &'static [&'static str],
    /// What extensions are called there, and the options for them.
    pub extensions: &'static [(&'static str, &'static str)],
}

/// A machine, and the programs for it.
pub struct Machine {
    /// What it is, for the report.
    pub name: &'static str,
    /// Its kernel.
    pub kernel: &'static Debian,
    /// The same machine of QEMU's: program and CPU.
    pub qemu: [&'static str; 2],
    /// Whose libraries and compiler its programs have.
    pub programs: &'static Debian,
    /// What these are compiled for.
    pub sets: &'static [Set],
    /// Valgrind's programs for it.
    pub valgrind: &'static Suite,
}

const SUITES: &[&str] = &["torture", "ieee", "builtins", "simd"];

/// For 32-bit ARM what a Cortex-A15 has.
const THUMB: Set = Set {
    name: "thumb",
    options: &[
        "-O2",
        "-march=armv7-a",
        "-mfpu=neon-vfpv4",
        "-mfloat-abi=hard",
        "-mthumb",
    ],
    suites: SUITES,
    simd: &["-mfp16-format=ieee"],
    extensions: &[],
};
const A32: Set = Set {
    name: "arm",
    options: &["-O2", "-march=armv7-a", "-mfpu=neon-vfpv4", "-mfloat-abi=hard", "-marm"],
    ..THUMB
};
/// For 32-bit programs on a 64-bit CPU what it has for them besides.
const THUMB_V8: Set = Set {
    name: "thumb8",
    options: &[
        "-O2",
        "-march=armv8-a+simd",
        "-mfpu=auto",
        "-mfloat-abi=hard",
        "-mthumb",
    ],
    suites: &["simd"],
    simd: &["-march=armv8.2-a+fp16", "-mfp16-format=ieee"],
    extensions: EXTENSIONS,
};
const A32_V8: Set = Set {
    name: "arm8",
    options: &["-O2", "-march=armv8-a+simd", "-mfpu=auto", "-mfloat-abi=hard", "-marm"],
    ..THUMB_V8
};
/// What all AArch64 CPUs have.
const A64: Set = Set {
    name: "a64",
    options: &["-O2", "-march=armv8-a"],
    suites: &["torture", "ieee", "builtins", "simd", "aarch64", "aarch64-simd"],
    simd: &["-march=armv8.2-a+fp16"],
    extensions: EXTENSIONS,
};
/// And much of what later ones have: atomics, pointer authentication, complex numbers.
const A64_V8_6: Set = Set {
    name: "a64v8.6",
    options: &["-O3", V8_6, "-mbranch-protection=standard"],
    simd: &[V8_6],
    ..A64
};
const V8_6: &str = "-march=armv8.6-a+fp16+fp16fml+crypto+sha3+sm4+rng";

/// The options of Armv8's extensions, by the start of their names.
const EXTENSIONS: &[(&str, &str)] = &[
    ("arm_crypto", "-march=armv8-a+crypto"),
    ("arm_v8_neon", "-march=armv8-a+simd"),
    ("arm_v8_1a_neon", "-march=armv8.1-a+simd"),
    ("arm_v8_2a_fp16", "-march=armv8.2-a+fp16"),
    ("arm_v8_2a_dotprod", "-march=armv8.2-a+dotprod"),
    ("arm_v8_2a_bf16", "-march=armv8.2-a+bf16"),
];

const QEMU_A64: [&str; 2] = ["qemu-system-aarch64", "max,pauth-impdef=on"];

/// 32-bit ARM.
pub static ARMV7: Machine = Machine {
    name: "arm",
    kernel: &ARM,
    qemu: ["qemu-system-arm", "cortex-a15"],
    programs: &ARM,
    sets: &[THUMB, A32],
    valgrind: &valgrind::ARM,
};
/// 32-bit programs under a 64-bit kernel.
pub static AARCH32: Machine = Machine {
    name: "32 bits under a 64-bit kernel",
    kernel: &AARCH64,
    qemu: QEMU_A64,
    programs: &ARM,
    sets: &[THUMB, A32, THUMB_V8, A32_V8],
    valgrind: &valgrind::ARM,
};
/// AArch64.
pub static ARMV8: Machine = Machine {
    name: "aarch64",
    kernel: &AARCH64,
    qemu: QEMU_A64,
    programs: &AARCH64,
    sets: &[A64, A64_V8_6],
    valgrind: &valgrind::ARM64,
};

//! The machines that run the programs, and the instruction sets that these are compiled for.

use super::selftests::{self, Selftest};
use super::valgrind::{self, Suite};
use crate::boot::{AARCH64, ARM, Debian, I386, X86_64};

/// An instruction set, as a compiler has it.
pub struct Set {
    /// How the names of its programs end.
    pub name: &'static str,
    /// The compiler's options.
    pub options: &'static [&'static str],
    /// The suites of GCC for it.
    pub suites: &'static [&'static str],
    /// The options that the tests of a suite get besides, as its script says.
    pub more: &'static [(&'static str, &'static [&'static str])],
    /// What it has, as GCC's tests call it, beside what all have.
    pub has: &'static [&'static [&'static str]],
    /// What extensions are called there, and the options for them.
    pub extensions: &'static [(&'static str, &'static str)],
}

impl Set {
    /// Whether it has what GCC's tests call so.
    pub fn has(&self, name: &str) -> bool {
        let listed = || [ALL].iter().chain(self.has).any(|names| names.contains(&name));
        listed() || self.extensions.iter().any(|(start, _)| name.starts_with(start))
    }
}

/// A machine, and the programs for it.
pub struct Machine {
    /// What it is, for the report.
    pub name: &'static str,
    /// Its kernel.
    pub kernel: &'static Debian,
    /// The same machine of QEMU's: program, board and CPU.
    pub qemu: [&'static str; 3],
    /// Whose libraries and compiler its programs have.
    pub programs: &'static Debian,
    /// What GCC is configured for there.
    pub triplet: &'static str,
    /// What these are compiled for.
    pub sets: &'static [Set],
    /// Valgrind's programs for it.
    pub valgrind: &'static Suite,
    /// Linux's.
    pub selftests: &'static [Selftest],
    /// What does not pass there: how the names of programs start, how those end, and why.
    pub otherwise: &'static [(&'static str, &'static str, &'static str)],
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
    more: &[("simd", &["-mfp16-format=ieee"])],
    has: &[&["arm_neon_fp16_ok", "arm_neon_fp16_hw"]],
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
    more: &[("simd", &["-march=armv8.2-a+fp16", "-mfp16-format=ieee"])],
    extensions: EXTENSIONS,
    ..THUMB
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
    more: &[("simd", &["-march=armv8.2-a+fp16"])],
    has: &[BITS64],
    extensions: EXTENSIONS,
};
/// And much of what later ones have: atomics, pointer authentication, complex numbers.
const A64_V8_6: Set = Set {
    name: "a64v8.6",
    options: &["-O3", V8_6, "-mbranch-protection=standard"],
    more: &[("simd", &[V8_6])],
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

/// For 32-bit x86 what all have since the Pentium Pro: arithmetic of the x87.
const I686: Set = Set {
    name: "i386",
    options: &["-O2"],
    suites: &["torture", "ieee", "builtins", "x86"],
    more: &[("ieee", &["-ffloat-store"]), SAYS_ALL],
    has: &[BITS32, X86],
    extensions: &[],
};
/// And what processors of 2013 have.
const I686_AVX2: Set = Set {
    name: "i386avx2",
    options: &["-O3", "-march=haswell", "-mfpmath=sse"],
    suites: &["torture", "ieee", "builtins"],
    ..I686
};
/// What all x86-64 CPUs have.
const AMD64: Set = Set {
    name: "amd64",
    more: &[SAYS_ALL],
    has: &[BITS64, X86],
    ..I686
};
const AMD64_AVX2: Set = Set {
    name: "amd64avx2",
    options: &["-O3", "-march=haswell"],
    suites: &["torture", "ieee", "builtins"],
    ..AMD64
};

/// The tests for x86 are optimised only where they say so.
const SAYS_ALL: (&str, &[&str]) = ("x86", &["-O0"]);

/// What GCC's tests ask for, that any of these machines has.
#[rustfmt::skip]
const ALL: &[&str] = &[
    "alloca", "c99_runtime", "double64plus", "fenv", "fenv_exceptions", "fileio", "fpic", "fstack_protector", "indirect_jumps",
    "int32", "int32plus", "label_values", "le", "longlong64", "lto", "mmap", "nonpic", "pie", "pthread", "return_address", "signal",
    "size32plus", "static", "stdint_types", "supports_stack_clash_protection", "sysconf", "tls", "tls_native", "tls_runtime",
    "trampolines", "untyped_assembly", "unwrapped", "vect_condition", "vect_float", "vect_int",
];
const BITS32: &[&str] = &["ia32", "ilp32"];
const BITS64: &[&str] = &["aarch64_little_endian", "aarch64_variant_pcs", "int128", "lp64"];
/// What x86's `max` has, of what they ask for; what else there is of it they find by CPUID, and then have nothing to do.
#[rustfmt::skip]
const X86: &[&str] = &[
    "adx", "aes", "avx", "avx2", "avx2_runtime", "avx_runtime", "bmi", "bmi2", "cet", "dfp", "f16c", "fma", "gfni", "large_long_double",
    "lzcnt", "pclmul", "sha", "sse", "sse2", "sse2_runtime", "sse3", "sse4", "sse4_runtime", "sse_runtime", "ssse3", "vaes", "vpclmul",
    "vpclmulqdq",
];

const QEMU_A64: [&str; 3] = ["qemu-system-aarch64", "virt", "max,pauth-impdef=on"];

/// 32-bit ARM.
pub static ARMV7: Machine = Machine {
    name: "arm",
    kernel: &ARM,
    qemu: ["qemu-system-arm", "virt", "cortex-a15"],
    programs: &ARM,
    triplet: "arm-unknown-linux-gnueabihf",
    sets: &[THUMB, A32],
    valgrind: &valgrind::ARM,
    selftests: &[],
    otherwise: &[(
        "valgrind-arm-v8",
        "signal 4",
        "the first instruction of ARMv8 is Undefined",
    )],
};
/// 32-bit programs under a 64-bit kernel.
pub static AARCH32: Machine = Machine {
    name: "32 bits under AArch64's kernel",
    kernel: &AARCH64,
    qemu: QEMU_A64,
    sets: &[THUMB, A32, THUMB_V8, A32_V8],
    otherwise: &[],
    ..ARMV7
};
/// AArch64.
pub static ARMV8: Machine = Machine {
    name: "aarch64",
    kernel: &AARCH64,
    qemu: QEMU_A64,
    programs: &AARCH64,
    triplet: "aarch64-unknown-linux-gnu",
    sets: &[A64, A64_V8_6],
    valgrind: &valgrind::ARM64,
    selftests: &[],
    otherwise: &[],
};
/// 32-bit x86.
pub static IA32: Machine = Machine {
    name: "i386",
    kernel: &I386,
    qemu: ["qemu-system-i386", "pc", "max"],
    programs: &I386,
    triplet: "i686-pc-linux-gnu",
    sets: &[I686, I686_AVX2],
    valgrind: &valgrind::X86,
    selftests: selftests::BITS32,
    otherwise: &[],
};
/// 32-bit programs under a 64-bit kernel.
pub static COMPATIBILITY: Machine = Machine {
    name: "32 bits under x86-64's kernel",
    kernel: &X86_64,
    qemu: ["qemu-system-x86_64", "pc", "max"],
    otherwise: &[(
        "valgrind-x86-smc1",
        "signal 11",
        "what it writes and executes is data, which a 64-bit kernel lets no program execute",
    )],
    ..IA32
};
/// x86-64.
pub static INTEL64: Machine = Machine {
    name: "x86-64",
    programs: &X86_64,
    triplet: "x86_64-pc-linux-gnu",
    sets: &[AMD64, AMD64_AVX2],
    valgrind: &valgrind::AMD64,
    selftests: selftests::BITS64,
    otherwise: &[
        ("selftest-amx", "exit 1", "there is no AMX"),
        (
            "valgrind-amd64-getseg",
            "differs in line 1: cs(w)=51, expected cs(w)=0",
            "Valgrind has no selectors of 64-bit code",
        ),
        (
            "valgrind-amd64-shrld",
            "differs in line 545:  17 0x112233445566579a 0x4, expected  17 0x112233445566579b 0x0",
            "SHLD of 16 bits by more is undefined, and processors do it otherwise than Valgrind",
        ),
    ],
    ..COMPATIBILITY
};

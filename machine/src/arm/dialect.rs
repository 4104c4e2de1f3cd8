//! How ARM's assembly is written, and by which assemblers.

use crate::assembler::{Assembler, Dialect};

/// ARMv7-A with all that the CPU models have, and the Security and Virtualization Extensions' instructions.
macro_rules! armv7 {
    ($set:literal) => {
        concat!(
            ".syntax unified\n.arch armv7-a\n",
            ".arch_extension sec; .arch_extension virt; .arch_extension idiv; .arch_extension mp\n",
            ".fpu neon-vfpv4\n",
            $set,
            "\n"
        )
    };
}

const A32: Dialect = Dialect {
    known: &[
        Assembler {
            name: "arm-linux-gnueabihf-as",
            args: &["-o"],
        },
        Assembler {
            name: "arm-none-eabi-as",
            args: &["-o"],
        },
        Assembler {
            name: "clang",
            args: &["--target=armv7a-none-eabi", "-c", "-x", "assembler", "-", "-o"],
        },
    ],
    preface: armv7!(".arm"),
    comment: Some('@'),
    branches: |name, has_more| name.starts_with('b') && !has_more && !name.starts_with("bk") || name.starts_with("cb"),
};

const T32: Dialect = Dialect {
    preface: armv7!(".thumb"),
    ..A32
};

/// Assembly for A32, or for T32.
pub fn arm(thumb: bool) -> &'static Dialect {
    if thumb { &T32 } else { &A32 }
}

/// Assembly for A64: Armv8.6-A with its options for computing, and random numbers.
pub static A64: Dialect = Dialect {
    known: &[
        Assembler {
            name: "aarch64-linux-gnu-as",
            args: &["-march=armv8.6-a+crypto+sha3+sm4+fp16+fp16fml+rng", "-o"],
        },
        Assembler {
            name: "aarch64-none-elf-as",
            args: &["-march=armv8.6-a+crypto+sha3+sm4+fp16+fp16fml+rng", "-o"],
        },
        Assembler {
            name: "clang",
            args: &[
                "--target=aarch64-none-elf",
                "-march=armv8.6-a+crypto+sha3+sm4+fp16+fp16fml+rng",
                "-c",
                "-x",
                "assembler",
                "-",
                "-o",
            ],
        },
    ],
    preface: "",
    comment: None,
    branches: |name, has_more| match name {
        "b" | "bl" => !has_more,
        "cbz" | "cbnz" | "tbz" | "tbnz" => has_more,
        _ => name.starts_with("b.") && !has_more,
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_branched_to_become_labels() {
        let cases = [
            ("bne 8", " bne  .Lemu_start+8"),
            ("1: bl #0x10", "1: bl  .Lemu_start+0x10"),
            ("cbz r0, 12", " cbz r0, .Lemu_start+12"),
            ("b loop", "b loop"),
            ("bkpt 0", "bkpt 0"),
            ("bfc r0, #1, #2", "bfc r0, #1, #2"),
            ("bx lr", "bx lr"),
            ("add r0, r1, #8", "add r0, r1, #8"),
            ("nop", "nop"),
            ("vld1.8 {d0}, [r1:64]", "vld1.8 {d0}, [r1:64]"),
            ("1: 2: b 1", "1: 2: b  .Lemu_start+1"),
        ];
        for (given, wanted) in cases {
            assert_eq!(A32.with_labels(given), wanted, "for {given}");
        }
    }

    #[test]
    fn numbers_that_a64_branches_to_become_labels() {
        let cases = [
            ("b.ne 8", " b.ne  .Lemu_start+8"),
            ("BL #0x10", " BL  .Lemu_start+0x10"),
            ("1: cbnz x0, 12", "1: cbnz x0, .Lemu_start+12"),
            ("tbz w1, #3, 0", " tbz w1, #3, .Lemu_start+0"),
            ("b loop", "b loop"),
            ("br x1", "br x1"),
            ("brk #1", "brk #1"),
            ("bic x0, x1, 8", "bic x0, x1, 8"),
            ("tst x0, 8", "tst x0, 8"),
        ];
        for (given, wanted) in cases {
            assert_eq!(A64.with_labels(given), wanted, "for {given}");
        }
    }

    #[test]
    fn comments_are_no_instructions() {
        assert_eq!(
            A32.statements("add r0, r1 @ sum; of two\n  ; 1: b 1b // for ever\n"),
            Ok(vec!["add r0, r1".to_owned(), "1: b 1b".to_owned()])
        );
        assert_eq!(
            A64.statements("add x0, x1, 1 // one\nb f@plt"),
            Ok(vec!["add x0, x1, 1".to_owned(), "b f@plt".to_owned()])
        );
    }

    #[test]
    fn directives_are_refused() {
        assert!(A64.statements("nop; .incbin \"file\"").is_err());
        assert!(A32.statements("label: .space 10").is_err());
    }
}

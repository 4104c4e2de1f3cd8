//! How x86's assembly is written (GNU's, AT&T or Intel's operands), and by which assemblers; its code in ELF files.

use elf::abi::{EM_386, EM_X86_64, R_X86_64_PC32, R_X86_64_PLT32};
use elf::symbol::Symbol;
use emu_frontend_x86::model::Model;
use emu_frontend_x86::state::bits::{cr0, cr4, efer, xcr0};
use emu_frontend_x86::state::{Attributes, Segment, X87, mode, number};

use crate::arch::Kind;
use crate::assembler::{Assembler, Dialect};
use crate::object::Isa;

/// Relocations of 32-bit x86 (System V ABI, Intel386 Supplement): an offset from the field, of a label or a function.
const R_386_PC32: u32 = 2;
const R_386_PLT32: u32 = 4;

/// Operands as Intel's manuals have them.
const PREFACE: &str = ".intel_syntax noprefix\n";

/// 64-bit code.
pub static WIDE: Dialect = Dialect {
    known: &[
        Assembler {
            name: "x86_64-linux-gnu-as",
            args: &["--64", "-o"],
        },
        Assembler {
            name: "as",
            args: &["--64", "-o"],
        },
        Assembler {
            name: "clang",
            args: &["--target=x86_64-none-elf", "-c", "-x", "assembler", "-", "-o"],
        },
    ],
    preface: PREFACE,
    comment: Some('#'),
    branches,
};

/// 32-bit code.
pub static NARROW: Dialect = Dialect {
    known: &[
        Assembler {
            name: "i686-linux-gnu-as",
            args: &["--32", "-o"],
        },
        Assembler {
            name: "x86_64-linux-gnu-as",
            args: &["--32", "-o"],
        },
        Assembler {
            name: "as",
            args: &["--32", "-o"],
        },
        Assembler {
            name: "clang",
            args: &["--target=i386-none-elf", "-c", "-x", "assembler", "-", "-o"],
        },
    ],
    ..WIDE
};

/// Jumps, calls and loops.
fn branches(name: &str, has_more: bool) -> bool {
    !has_more && (name.starts_with('j') || name.starts_with("loop") || name == "call")
}

/// The mode of a program: level 3, flat segments, everything enabled, as under Linux.
pub fn program(wide: bool) -> u64 {
    let mut cpu = emu_frontend_x86::exception::reset(&Model::ALL);
    let s = &mut cpu.sys;
    s.cr0 = cr0::PE | cr0::PG | cr0::WP | cr0::NE | cr0::MP | cr0::ET;
    s.cr4 = cr4::PAE | cr4::OSFXSR | cr4::OSXMMEXCPT | cr4::OSXSAVE;
    s.xcr0 = xcr0::X87 | xcr0::SSE | xcr0::AVX;
    s.efer = if wide { efer::LME | efer::LMA } else { 0 };
    let present = Attributes::P | Attributes::S | Attributes::DPL | Attributes::ACCESSED | Attributes::G;
    let flat = |more| Segment {
        limit: u32::MAX,
        attributes: present | more,
        ..Segment::default()
    };
    cpu.segments = [flat(Attributes::WRITABLE | Attributes::DB); 6];
    let size = if wide { Attributes::L } else { Attributes::DB };
    *cpu.segment_mut(number::CS) = flat(Attributes::CODE | Attributes::READABLE | size);
    cpu.set_mxcsr(0x1f80);
    cpu.x87 = X87::default();
    cpu.settle_at(3);
    cpu.mode & !mode::SHADOW
}

/// x86-64 in ELF files.
pub enum Amd64 {}

/// 32-bit x86 in ELF files.
pub enum Ia32 {}

/// The value of a field of 32 bits at `at` that is an offset from there.
fn relative(insn: &mut [u8; 4], at: u64, target: u64) -> Option<()> {
    let offset = i32::try_from(target.wrapping_sub(at) as i64).ok()?;
    *insn = offset.to_le_bytes();
    Some(())
}

impl Isa for Amd64 {
    const MACHINE: u16 = EM_X86_64;
    const CLASS: u8 = 2;
    const NAME: &'static str = "x86-64";

    fn address(symbol: &Symbol) -> u64 {
        symbol.st_value
    }

    fn kind(_: &Symbol) -> Kind {
        Kind::Insns(program(true))
    }

    fn mapped(_: u8) -> Option<Kind> {
        None
    }

    fn link(relocation: u32, insn: &mut [u8; 4], at: u64, target: u64) -> Option<()> {
        matches!(relocation, R_X86_64_PC32 | R_X86_64_PLT32).then(|| relative(insn, at, target))?
    }
}

impl Isa for Ia32 {
    const MACHINE: u16 = EM_386;
    const CLASS: u8 = 1;
    const NAME: &'static str = "32-bit x86";

    fn address(symbol: &Symbol) -> u64 {
        symbol.st_value & 0xffff_ffff
    }

    fn kind(_: &Symbol) -> Kind {
        Kind::Insns(program(false))
    }

    fn mapped(_: u8) -> Option<Kind> {
        None
    }

    /// The field has the addend.
    fn link(relocation: u32, insn: &mut [u8; 4], at: u64, target: u64) -> Option<()> {
        let addend = i64::from(i32::from_le_bytes(*insn));
        let target = target.wrapping_add_signed(addend);
        matches!(relocation, R_386_PC32 | R_386_PLT32).then(|| relative(insn, at, target))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_branched_to_become_labels() {
        let cases = [
            ("jne 8", " jne  .Lemu_start+8"),
            ("1: call 0x10", "1: call  .Lemu_start+0x10"),
            ("jmp rax", "jmp rax"),
            ("loop 0", " loop  .Lemu_start+0"),
            ("mov eax, 8", "mov eax, 8"),
        ];
        for (given, wanted) in cases {
            assert_eq!(WIDE.with_labels(given), wanted, "for {given}");
        }
    }

    #[test]
    fn programs_run_at_level_3_in_flat_segments() {
        for (wide, size) in [(true, mode::CODE64), (false, mode::CODE32)] {
            let word = program(wide);
            assert_eq!((mode::cpl(word), word & (mode::CODE64 | mode::CODE32)), (3, size));
            assert_eq!(word & mode::AVX, mode::AVX);
            assert_eq!(word & 0xf << mode::FLAT_SHIFT, 0xf << mode::FLAT_SHIFT);
        }
    }

    #[test]
    fn calls_are_linked_with_labels() {
        let mut field = [0; 4];
        assert_eq!(Amd64::link(R_X86_64_PLT32, &mut field, 1, 0x10 - 4), Some(()));
        assert_eq!(i32::from_le_bytes(field), 0x10 - 5);
        let mut field = (-4_i32).to_le_bytes();
        assert_eq!(Ia32::link(R_386_PC32, &mut field, 1, 0x10), Some(()));
        assert_eq!(i32::from_le_bytes(field), 0x10 - 5);
        assert_eq!(Amd64::link(R_X86_64_PC32, &mut field, 0, 1 << 40), None);
        assert_eq!(Amd64::link(1, &mut field, 0, 0), None);
    }
}

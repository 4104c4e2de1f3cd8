//! AArch64 in ELF files (ELF for the Arm 64-bit Architecture, Arm IHI 0056).

use elf::abi::{
    EM_AARCH64, R_AARCH64_ADD_ABS_LO12_NC, R_AARCH64_ADR_PREL_LO21, R_AARCH64_ADR_PREL_PG_HI21, R_AARCH64_CALL26,
    R_AARCH64_CONDBR19, R_AARCH64_JUMP26, R_AARCH64_LD_PREL_LO19, R_AARCH64_TSTBR14,
};
use elf::symbol::Symbol;
use emu_frontend_arm::a64::state::mode;

use crate::arch::Kind;
use crate::object::Isa;

/// A64 instructions.
pub const A64: Kind = Kind::Insns(MODE as u64);
/// EL0, with floating point and Advanced SIMD enabled and a stack pointer that is to be aligned, as under Linux.
pub const MODE: u32 = mode::FP | mode::SP_ALIGN;

/// A64.
pub enum Aarch64 {}

impl Isa for Aarch64 {
    const MACHINE: u16 = EM_AARCH64;
    const CLASS: u8 = 2;
    const NAME: &'static str = "AArch64";

    fn address(symbol: &Symbol) -> u64 {
        symbol.st_value
    }

    fn kind(_: &Symbol) -> Kind {
        A64
    }

    fn mapped(letter: u8) -> Option<Kind> {
        (letter == b'x').then_some(A64)
    }

    fn link(relocation: u32, insn: &mut [u8; 4], at: u64, target: u64) -> Option<()> {
        let field = field(relocation)?;
        let value = match relocation {
            R_AARCH64_ADR_PREL_PG_HI21 => (target & !0xfff).wrapping_sub(at & !0xfff),
            R_AARCH64_ADD_ABS_LO12_NC => target & 0xfff,
            _ => target.wrapping_sub(at),
        };
        *insn = field.put(u32::from_le_bytes(*insn), value)?.to_le_bytes();
        Some(())
    }
}

/// Where an instruction has a number.
enum Field {
    /// `len` bits at bit `at`, a signed number of words.
    Words { at: u32, len: u32 },
    /// ADR's and ADRP's: the low two bits at bit 29, the others at bit 5. A signed number of units of so many bits.
    Split(u32),
    /// 12 bits at bit 10.
    Low12,
}

/// The field that a relocation fills (table 4-10 and following).
fn field(relocation: u32) -> Option<Field> {
    Some(match relocation {
        R_AARCH64_CALL26 | R_AARCH64_JUMP26 => Field::Words { at: 0, len: 26 },
        R_AARCH64_CONDBR19 | R_AARCH64_LD_PREL_LO19 => Field::Words { at: 5, len: 19 },
        R_AARCH64_TSTBR14 => Field::Words { at: 5, len: 14 },
        R_AARCH64_ADR_PREL_LO21 => Field::Split(0),
        R_AARCH64_ADR_PREL_PG_HI21 => Field::Split(12),
        R_AARCH64_ADD_ABS_LO12_NC => Field::Low12,
        _ => return None,
    })
}

/// The number in units of `shift` bits, if it fits into `len` bits.
fn signed(value: u64, shift: u32, len: u32) -> Option<u32> {
    let units = value as i64 >> shift;
    let fits = units << (64 - len) >> (64 - len) == units && (units << shift) as u64 == value;
    fits.then_some(units as u32 & ((1 << len) - 1))
}

impl Field {
    fn put(&self, word: u32, value: u64) -> Option<u32> {
        let (mask, bits) = match *self {
            Field::Words { at, len } => (((1 << len) - 1) << at, signed(value, 2, len)? << at),
            Field::Split(shift) => {
                let units = signed(value, shift, 21)?;
                (3 << 29 | 0x7_ffff << 5, (units & 3) << 29 | units >> 2 << 5)
            }
            Field::Low12 => (0xfff << 10, (value as u32 & 0xfff) << 10),
        };
        Some(word & !mask | bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn linked(relocation: u32, word: u32, at: u64, target: u64) -> Option<u32> {
        let mut insn = word.to_le_bytes();
        Aarch64::link(relocation, &mut insn, at, target).map(|()| u32::from_le_bytes(insn))
    }

    /// As GNU's assembler writes the instructions where it knows the labels' places.
    #[test]
    fn instructions_are_linked_with_labels() {
        let cases = [
            (R_AARCH64_CALL26, 0x9400_0000, 8, 0, 0x97ff_fffe),        // bl
            (R_AARCH64_JUMP26, 0x1400_0000, 4, 0x14, 0x1400_0004),     // b
            (R_AARCH64_CONDBR19, 0x5400_0001, 8, 0, 0x54ff_ffc1),      // b.ne
            (R_AARCH64_TSTBR14, 0x3618_0000, 8, 0, 0x361f_ffc0),       // tbz w0, #3
            (R_AARCH64_ADR_PREL_LO21, 0x1000_0001, 4, 3, 0x70ff_ffe1), // adr x1
            (R_AARCH64_ADR_PREL_PG_HI21, 0x9000_0001, 0x1ffc, 0x5008, 0x9000_0021), // adrp x1
            (R_AARCH64_ADD_ABS_LO12_NC, 0x9100_0021, 0, 0x5008, 0x9100_2021), // add x1, x1
        ];
        for (relocation, word, at, target, expected) in cases {
            assert_eq!(linked(relocation, word, at, target), Some(expected), "{relocation}");
        }
    }

    #[test]
    fn what_is_out_of_reach_is_not_linked() {
        assert_eq!(linked(R_AARCH64_TSTBR14, 0x3618_0000, 0, 0x8000), None);
        assert_eq!(linked(R_AARCH64_CALL26, 0x9400_0000, 0, 2), None);
        assert_eq!(linked(257, 0, 0, 0), None);
    }
}

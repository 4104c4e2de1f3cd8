//! 32-bit ARM in ELF files (ELF for the Arm Architecture, Arm IHI 0044).

use elf::abi::{EM_ARM, R_ARM_CALL, R_ARM_THM_CALL};
use elf::symbol::Symbol;
use emu_frontend_arm::state::mode;

use crate::arch::Kind;
use crate::object::{Isa, is_function};

/// A32 instructions.
pub const A32: Kind = Kind::Insns(MODE as u64);
/// T32 instructions.
pub const T32: Kind = Kind::Insns((MODE | mode::T) as u64);
/// User mode, with VFP and Advanced SIMD enabled.
pub const MODE: u32 = mode::VFP | mode::NEON | mode::USER;

/// A32 and T32.
pub enum Arm {}

impl Isa for Arm {
    const MACHINE: u16 = EM_ARM;
    const CLASS: u8 = 1;
    const NAME: &'static str = "32-bit ARM";

    /// Bit 0 of a function's says that it is Thumb code.
    fn address(symbol: &Symbol) -> u64 {
        symbol.st_value & 0xffff_ffff & !u64::from(is_function(symbol))
    }

    fn kind(symbol: &Symbol) -> Kind {
        match is_function(symbol) && symbol.st_value & 1 != 0 {
            true => T32,
            false => A32,
        }
    }

    fn mapped(letter: u8) -> Option<Kind> {
        match letter {
            b'a' => Some(A32),
            b't' => Some(T32),
            _ => None,
        }
    }

    fn link(relocation: u32, insn: &mut [u8; 4], at: u64, target: u64) -> Option<()> {
        match relocation {
            R_ARM_CALL => call_arm(insn, at as u32, target as u32),
            R_ARM_THM_CALL => call_thumb(insn, at as u32, target as u32),
            _ => return None,
        }
        Some(())
    }
}

/// Makes BL or BLX at `at`, which holds an offset to be added, go to `target` (Arm IHI 0044, R_ARM_CALL).
fn call_arm(insn: &mut [u8; 4], at: u32, target: u32) {
    let word = u32::from_le_bytes(*insn);
    let exchanges = word >> 28 == 15;
    let half = if exchanges { word >> 24 & 1 } else { 0 };
    let addend = (word << 8) as i32 >> 6 | (half << 1) as i32;
    let offset = target.wrapping_add_signed(addend).wrapping_sub(at);
    let half = if exchanges {
        (offset >> 1 & 1) << 24 | word & 0xfe00_0000
    } else {
        word & 0xff00_0000
    };
    *insn = (half | offset >> 2 & 0xff_ffff).to_le_bytes();
}

/// The same for Thumb (R_ARM_THM_CALL).
fn call_thumb(insn: &mut [u8; 4], at: u32, target: u32) {
    let [first, second] = [[insn[0], insn[1]], [insn[2], insn[3]]].map(|b| u32::from(u16::from_le_bytes(b)));
    let sign = first >> 10 & 1;
    // J1 and J2 are the bits below the sign, inverted if it is clear.
    let bit = |j: u32| (second >> j & 1) ^ sign ^ 1;
    let raw = sign << 24 | bit(13) << 23 | bit(11) << 22 | (first & 0x3ff) << 12 | (second & 0x7ff) << 1;
    let addend = (raw << 7) as i32 >> 7;
    let at = if second >> 12 & 1 == 0 { at & !3 } else { at };
    let offset = target.wrapping_add_signed(addend).wrapping_sub(at);
    let sign = offset >> 24 & 1;
    let j = |bit: u32| (offset >> bit & 1) ^ sign ^ 1;
    let first = first & 0xf800 | sign << 10 | offset >> 12 & 0x3ff;
    let second = second & 0xd000 | j(23) << 13 | j(22) << 11 | offset >> 1 & 0x7ff;
    insn[..2].copy_from_slice(&(first as u16).to_le_bytes());
    insn[2..].copy_from_slice(&(second as u16).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `bl` and `blx` to 0x20 are in GNU's assembler, which leaves nothing to a linker, from LLVM's, which does.
    #[test]
    fn calls_are_resolved() {
        let mut bl = 0xeb00_0006_u32.to_le_bytes();
        call_arm(&mut bl, 8, 0);
        assert_eq!(u32::from_le_bytes(bl), 0xeb00_0004);
        let mut blx = 0xfa00_0006_u32.to_le_bytes();
        call_arm(&mut blx, 12, 0);
        assert_eq!(u32::from_le_bytes(blx), 0xfa00_0003);
        let mut thumb = [0x00, 0xf0, 0x0e, 0xf8];
        call_thumb(&mut thumb, 6, 0);
        assert_eq!(thumb, [0x00, 0xf0, 0x0b, 0xf8]);
    }
}

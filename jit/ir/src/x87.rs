//! The x87 unit that every host has (SDM 1, chapter 8). Helpers whose guest has such a unit, too, let it compute: what it
//! makes of numbers, modes and exceptions is what the guest is to see. See [`Env::x87`](crate::Env::x87).

/// An instruction of it that needs nothing but its state, the status flags, and an operand in memory of ten bytes at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct X87Insn {
    opcode: u8,
    form: u8,
}

impl X87Insn {
    /// How many forms an opcode has: see [`X87Insn::form`].
    pub const FORMS: usize = 8 + 64;

    /// Opcode D8 to DF, and its ModRM byte (SDM 2, tables ). `None`: there is no such instruction, or it needs
    /// more than that. Those that control the unit are not among them, but for FLDCW, FINCSTP, FDECSTP, FFREE and FNOP: all
    /// wait for exceptions that are not masked.
    pub const fn new(opcode: u8, modrm: u8) -> Option<X87Insn> {
        let reg = modrm >> 3 & 7;
        let exists = match (opcode, modrm) {
            (0xd9, 0..0xc0) => matches!(reg, 0 | 2 | 3 | 5),
            (0xdb, 0..0xc0) => matches!(reg, 0..=3 | 5 | 7),
            (0xdd, 0..0xc0) => reg < 4,
            (0xd8..=0xdf, 0..0xc0) => true,
            (0xd8 | 0xdc, _) => true,
            (0xd9, _) => matches!(modrm, 0xc0..=0xd0 | 0xd8..=0xe1 | 0xe4 | 0xe5 | 0xe8..=0xee | 0xf0..),
            (0xda, _) => matches!(modrm, 0xc0..=0xdf | 0xe9),
            (0xdb, _) => matches!(modrm, 0xc0..=0xdf | 0xe8..=0xf7),
            (0xdd, _) => modrm < 0xf0,
            (0xde, _) => matches!(modrm, 0xc0..=0xd7 | 0xd9 | 0xe0..),
            (0xdf, _) => matches!(modrm, 0xc0..=0xdf | 0xe8..=0xf7),
            _ => false,
        };
        let form = if modrm < 0xc0 { reg } else { modrm - 0xc0 + 8 };
        if exists { Some(X87Insn { opcode, form }) } else { None }
    }
    /// D8 to DF.
    pub const fn opcode(self) -> u8 {
        self.opcode
    }
    /// ModRM.reg of operands in memory, and from 8 on the register forms, C0 to FF.
    pub const fn form(self) -> u8 {
        self.form
    }
    /// It has an operand in memory.
    pub const fn is_memory(self) -> bool {
        self.form < 8
    }
}

/// Bits of the status word.
pub mod x87_status {
    /// Exceptions, whose masks are at their places in the control word.
    pub const EXCEPTIONS: u16 = 0x3f;
    /// Where TOP is, three bits.
    pub const TOP_SHIFT: u32 = 11;
    /// Which register is on top of the stack.
    pub const TOP: u16 = 7 << TOP_SHIFT;
    /// ES and B: an exception is not masked.
    pub const SUMMARY: u16 = 1 << 7 | 1 << 15;
}

/// Its state, but for what it says of the last instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct X87Unit {
    /// R0 to R7, by their physical numbers: the significand, then sign and exponent in 16 bits.
    pub regs: [[u64; 2]; 8],
    /// The control word.
    pub control: u16,
    /// The status word.
    pub status: u16,
    /// Which registers are not empty: a bit each, by physical number.
    pub full: u8,
}

impl X87Unit {
    /// The number of the register on top of the stack.
    pub const fn top(&self) -> usize {
        ((self.status & x87_status::TOP) >> x87_status::TOP_SHIFT) as usize
    }
    /// Whether an exception is not masked, as control and status words say. Instructions wait for it.
    pub const fn is_waiting(&self) -> bool {
        self.status & !self.control & x87_status::EXCEPTIONS != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_that_are_none_are_not_made() {
        for (opcode, modrm) in [
            (0xd7, 0),
            (0xe0, 0xc0),
            (0xd9, 0x20), // FLDENV
            (0xd9, 0x08),
            (0xd9, 0xd1),
            (0xd9, 0xe2),
            (0xd9, 0xef),
            (0xda, 0xe8),
            (0xdb, 0x20),
            (0xdb, 0xe2), // FNCLEX
            (0xdb, 0xe3), // FNINIT
            (0xdd, 0x38), // FNSTSW
            (0xdd, 0xf0),
            (0xde, 0xd8),
            (0xdf, 0xe0), // FNSTSW AX
        ] {
            assert_eq!(X87Insn::new(opcode, modrm), None, "{opcode:x} {modrm:x}");
        }
        let add = X87Insn::new(0xdc, 0x47).unwrap();
        assert_eq!((add.opcode(), add.form(), add.is_memory()), (0xdc, 0, true));
        let last = X87Insn::new(0xde, 0xff).unwrap();
        assert_eq!((last.form() as usize, last.is_memory()), (X87Insn::FORMS - 1, false));
    }
}

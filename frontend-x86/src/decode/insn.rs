//! A decoded instruction.

use super::row::Row;

/// A segment register, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Segment {
    /// ES.
    Es,
    /// CS.
    Cs,
    /// SS.
    Ss,
    /// DS.
    Ds,
    /// FS.
    Fs,
    /// GS.
    Gs,
}

/// A repeat prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// F3.
    Rep,
    /// F2.
    Repne,
}

/// REX, or what VEX has of it: the highest bits of registers' numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rex {
    /// There is one: byte registers 4 to 7 are SPL to DIL.
    pub present: bool,
    /// Operands have 64 bits.
    pub w: bool,
    /// Of ModRM.reg.
    pub r: bool,
    /// Of SIB.index.
    pub x: bool,
    /// Of ModRM.rm, SIB.base or the opcode.
    pub b: bool,
}

/// What VEX says besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vex {
    /// Vectors have 256 bits.
    pub l: bool,
    /// A register.
    pub vvvv: u8,
}

/// A memory operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// The segment: as the instruction says, or the base's.
    pub segment: Segment,
    /// A general register's number.
    pub base: Option<u8>,
    /// A general register's number; of a vector register where the row says so.
    pub index: Option<u8>,
    /// log2 of what the index is multiplied by.
    pub scale: u8,
    /// What is added, sign-extended.
    pub displacement: i64,
    /// The address of the next instruction is added.
    pub relative: bool,
}

/// An instruction.
#[derive(Clone, Copy, Debug)]
pub struct Insn {
    /// What it is.
    pub row: &'static Row,
    /// Its bytes, 1 to 15.
    pub length: u8,
    /// The opcode's last byte.
    pub opcode: u8,
    /// Bytes of operands of the operand size: 2, 4 or 8.
    pub operand_size: u8,
    /// Bytes of an address: 2, 4 or 8.
    pub address_size: u8,
    /// F0.
    pub locked: bool,
    /// F3 or F2, where it is no mandatory prefix.
    pub repeat: Option<Repeat>,
    /// A segment prefix that counts.
    pub segment: Option<Segment>,
    /// Bits of registers' numbers.
    pub rex: Rex,
    /// What VEX says, if there is one.
    pub vex: Option<Vex>,
    /// The ModRM byte, if there is one.
    pub modrm: u8,
    /// The memory operand that ModRM, or the instruction itself, addresses.
    pub memory: Option<Memory>,
    /// A number in the instruction, sign-extended where the row says so; of a far pointer, the offset.
    pub immediate: u64,
    /// A second one; of a far pointer, the selector.
    pub second: u16,
}

/// What stands for bytes that are no instruction.
static NOTHING: Row = Row::new("nop", "90");

impl Insn {
    /// No instruction, of so many bytes.
    pub fn nothing(length: u8) -> Insn {
        Insn {
            row: &NOTHING,
            length,
            opcode: 0,
            operand_size: 4,
            address_size: 4,
            locked: false,
            repeat: None,
            segment: None,
            rex: Rex::default(),
            vex: None,
            modrm: 0,
            memory: None,
            immediate: 0,
            second: 0,
        }
    }
    /// The register in ModRM.reg.
    pub fn reg(&self) -> u8 {
        self.modrm >> 3 & 7 | u8::from(self.rex.r) << 3
    }
    /// The register in ModRM.rm.
    pub fn rm(&self) -> u8 {
        self.modrm & 7 | u8::from(self.rex.b) << 3
    }
    /// The register in the opcode.
    pub fn low(&self) -> u8 {
        self.opcode & 7 | u8::from(self.rex.b) << 3
    }
    /// The condition in the opcode.
    pub fn condition(&self) -> u8 {
        self.opcode & 15
    }
}

//! The floating-point unit (SDM 1, chapter 8), whose registers are MMX's as well.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

/// Its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable, Serialize, Deserialize)]
#[repr(C)]
pub struct X87 {
    /// R0 to R7, by their physical numbers: the significand, which is MMX's register, then sign and exponent in 16 bits.
    pub regs: [[u64; 2]; 8],
    /// The control word.
    pub control: u16,
    /// The status word but for TOP.
    pub status: u16,
    /// TOP: 0 to 7.
    pub top: u8,
    /// Which registers are not empty: a bit each, by physical number.
    pub full: u8,
    /// The last instruction's opcode, 11 bits.
    pub opcode: u16,
    /// The selector of the last instruction.
    pub code: u16,
    /// The selector of its operand.
    pub data: u16,
    /// Zero: no padding.
    #[serde(skip)]
    pub reserved: u32,
    /// The offset of the last instruction.
    pub instruction: u64,
    /// The offset of its operand.
    pub operand: u64,
}

impl Default for X87 {
    /// As FNINIT leaves it.
    fn default() -> X87 {
        X87 {
            control: 0x37f,
            ..X87::zeroed()
        }
    }
}

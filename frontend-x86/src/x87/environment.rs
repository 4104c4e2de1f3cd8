//! The environment in memory, as FNSTENV and FNSAVE store it: SDM 1, figures 8-9 to 8-12.

use super::X87;
use crate::state::Cpu;

/// How it is laid out: seven words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Words have 32 bits, else 16.
    pub wide: bool,
    /// Pointers are selectors and offsets, as in protected mode; else linear addresses.
    pub protected: bool,
    /// The selectors of such pointers are stored, else 0 (SDM 1, 8.1.8: what deprecates FCS and FDS).
    pub selectors: bool,
}

impl Format {
    /// In a word, with a number of a word of the environment: 0 to 6.
    pub fn pack(self, n: u8) -> u64 {
        u64::from(self.wide) | u64::from(self.protected) << 1 | u64::from(self.selectors) << 2 | u64::from(n) << 3
    }
    fn unpack(word: u64) -> (Format, u8) {
        let format = Format {
            wide: word & 1 != 0,
            protected: word >> 1 & 1 != 0,
            selectors: word >> 2 & 1 != 0,
        };
        (format, (word >> 3) as u8)
    }
    /// A pointer's two words.
    fn pointer(self, selector: u16, offset: u64) -> [u32; 2] {
        if self.protected {
            let selector = if self.selectors { selector } else { 0 };
            return [offset as u32, selector.into()];
        }
        let linear = (u32::from(selector) << 4).wrapping_add(offset as u32);
        let above = if self.wide {
            linear >> 16 << 12
        } else {
            linear >> 4 & 0xf000
        };
        [linear & 0xffff, above]
    }
    /// The pointer of two words: selector, offset.
    fn pointed(self, [low, high]: [u32; 2]) -> (u16, u64) {
        if self.protected {
            return (high as u16, low.into());
        }
        let above = if self.wide {
            high >> 12 << 16
        } else {
            (high & 0xf000) << 4
        };
        (0, (low & 0xffff | above).into())
    }
}

/// In the second word of the instruction's pointer, what is the opcode's: of 32-bit protected mode, and of real mode. 16-bit
/// protected mode has none.
fn opcode_of(format: Format) -> Option<u32> {
    match (format.wide, format.protected) {
        (true, true) => Some(16),
        (_, false) => Some(0),
        (false, true) => None,
    }
}
const OPCODE: u32 = 0x7ff;

/// [`crate::calls::X87_ENVIRONMENT`]: a word of it.
pub fn environment(s: &Cpu, which: u128) -> u128 {
    let (format, n) = Format::unpack(which as u64);
    let x87 = &s.x87;
    // What is reserved is all ones.
    let plain = |word: u16| u32::from(word) | 0xffff_0000;
    let word = match n {
        0 => plain(x87.control),
        1 => plain(x87.status_word()),
        2 => plain(x87.tags()),
        3 | 4 => {
            let [low, high] = format.pointer(x87.code, x87.instruction);
            let opcode = opcode_of(format).map_or(0, |at| u32::from(x87.opcode) << at);
            if n == 3 { low } else { high | opcode }
        }
        _ => {
            let [low, high] = format.pointer(x87.data, x87.operand);
            let reserved = if format.wide && format.protected {
                0xffff_0000
            } else {
                0
            };
            if n == 5 { low } else { high | reserved }
        }
    };
    word.into()
}

/// [`crate::calls::X87_LOAD_ENVIRONMENT`]: a word of it is loaded. The words come in their order.
pub fn load_environment(s: &mut Cpu, which: u128, word: u128) {
    let (format, n) = Format::unpack(which as u64);
    let (x87, word) = (&mut s.x87, word as u32);
    match n {
        0 => x87.set_control_word(word as u16),
        1 => x87.set_status_word(word as u16),
        2 => {
            let full = |n: u32| u8::from(word >> (2 * n) & 3 != u32::from(EMPTY)) << n;
            x87.full = (0..8).map(full).sum();
        }
        3 => (x87.code, x87.instruction) = (0, word.into()),
        4 => {
            (x87.code, x87.instruction) = format.pointed([x87.instruction as u32, word]);
            x87.opcode = opcode_of(format).map_or(0, |at| (word >> at & OPCODE) as u16);
        }
        5 => (x87.data, x87.operand) = (0, word.into()),
        _ => (x87.data, x87.operand) = format.pointed([x87.operand as u32, word]),
    }
    s.settle_x87();
}

/// Tags: SDM 1, figure 8-7.
const VALID: u16 = 0;
const ZERO: u16 = 1;
const SPECIAL: u16 = 2;
const EMPTY: u16 = 3;

impl X87 {
    /// The tag word, which follows from what registers hold.
    pub fn tags(&self) -> u16 {
        let tag = |(n, &[significand, above]): (usize, &[u64; 2])| {
            let tag = match above & 0x7fff {
                _ if self.full >> n & 1 == 0 => EMPTY,
                0 if significand == 0 => ZERO,
                1..0x7fff if significand >> 63 != 0 => VALID,
                _ => SPECIAL,
            };
            tag << (2 * n)
        };
        self.regs.iter().enumerate().map(tag).sum()
    }
}

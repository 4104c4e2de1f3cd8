//! The area of FXSAVE, which XSAVE's begins with: SDM 1, 10.5.1 and 13.4.

use crate::state::Cpu;
use crate::state::bits::{mxcsr, xcr0};
use bytemuck::Zeroable;

/// A piece of the area's first 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes 0 to 15: control, status and tags, the last instruction.
    Control,
    /// Bytes 16 to 23: its operand.
    Operand,
}

impl Piece {
    /// In a word, with what its pointer is.
    pub fn pack(self, pointer: Pointer) -> u64 {
        self as u64 | (pointer as u64) << 1
    }
    fn unpack(word: u128) -> (Piece, Pointer) {
        let piece = if word & 1 == 0 { Piece::Control } else { Piece::Operand };
        let pointer = match word >> 1 & 3 {
            0 => Pointer::Far,
            1 => Pointer::Near,
            _ => Pointer::Offset,
        };
        (piece, pointer)
    }
}

/// What a pointer is in the area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pointer {
    /// An offset of 32 bits, a selector.
    Far,
    /// An offset of 32 bits, 0 where the selector was (SDM 1, 8.1.8: what deprecates FCS and FDS).
    Near,
    /// An offset of 64 bits (REX.W).
    Offset,
}

impl Pointer {
    fn pack(self, selector: u16, offset: u64) -> u64 {
        match self {
            Pointer::Far => offset & 0xffff_ffff | u64::from(selector) << 32,
            Pointer::Near => offset & 0xffff_ffff,
            Pointer::Offset => offset,
        }
    }
    fn unpack(self, pointer: u64) -> (u16, u64) {
        match self {
            Pointer::Far | Pointer::Near => ((pointer >> 32) as u16, pointer & 0xffff_ffff),
            Pointer::Offset => (0, pointer),
        }
    }
}

/// [`crate::calls::X87_AREA`]: a piece of it.
pub fn area(s: &Cpu, which: u128) -> u128 {
    let (piece, pointer) = Piece::unpack(which);
    let x87 = &s.x87;
    match piece {
        Piece::Control => {
            let low = u64::from(x87.control)
                | u64::from(x87.status_word()) << 16
                | u64::from(x87.full) << 32
                | u64::from(x87.opcode) << 48;
            u128::from(low) | u128::from(pointer.pack(x87.code, x87.instruction)) << 64
        }
        Piece::Operand => pointer.pack(x87.data, x87.operand).into(),
    }
}
/// [`crate::calls::X87_LOAD_AREA`].
pub fn load_area(s: &mut Cpu, which: u128, value: u128) {
    let (piece, pointer) = Piece::unpack(which);
    let x87 = &mut s.x87;
    match piece {
        Piece::Control => {
            x87.set_control_word(value as u16);
            x87.set_status_word((value >> 16) as u16);
            x87.full = (value >> 32) as u8;
            x87.opcode = (value >> 48) as u16 & 0x7ff;
            (x87.code, x87.instruction) = pointer.unpack((value >> 64) as u64);
        }
        Piece::Operand => (x87.data, x87.operand) = pointer.unpack(value as u64),
    }
    s.settle_x87();
}
/// [`crate::calls::X87_RESET`]: the initial state of the component (SDM 1, 13.6).
pub fn reset(s: &mut Cpu) {
    s.x87.regs = Zeroable::zeroed();
    super::init(s);
}

/// MXCSR in its initial state.
pub const MXCSR: u32 = mxcsr::MASKS;

/// [`crate::calls::XSAVE_IN_USE`]: which components are not in their initial state (SDM 1, 13.6). MXCSR is one with `mxcsr`, as
/// to XSAVEC and XSAVES.
pub fn in_use(s: &Cpu, mxcsr: bool) -> u64 {
    let initial = super::X87::default();
    let registers = if s.is_64_bit() { 16 } else { 8 };
    let mut all = 0;
    let mut set = |component: u64, used: bool| all |= if used { component } else { 0 };
    set(xcr0::X87, s.x87 != initial);
    let ymm = || s.ymm.iter().take(registers);
    let low = ymm().any(|&[a, b, _, _]| a | b != 0);
    set(xcr0::SSE, low || mxcsr && s.mxcsr() != MXCSR);
    set(xcr0::AVX, ymm().any(|&[_, _, c, d]| c | d != 0));
    set(xcr0::PKRU, s.sys.pkru != 0);
    all
}

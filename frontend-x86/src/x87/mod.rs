//! The x87 unit (SDM 1, chapter 8) as functions of the CPU's state, called by [`crate::calls`]. It computes on the host's:
//! see [`emu_ir::Env::x87`].

mod area;
mod environment;
#[cfg(test)]
mod tests;

pub use area::{MXCSR, Piece, Pointer, area, in_use, load_area, reset};
pub use environment::{Format, environment, load_environment};

use crate::fault;
use crate::state::bits::cr0;
use crate::state::{Cpu, X87, mode, number, pending};
use emu_ir::{Env, Fault, X87Insn, X87Unit, x87_status};

/// An instruction that is executed, as helpers are told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Executed {
    /// D8 to DF.
    pub opcode: u8,
    /// Its ModRM byte.
    pub modrm: u8,
    /// The number of its memory operand's segment.
    pub segment: Option<u8>,
    /// It controls the unit: the pointers stay, as they are of others (SDM 1, 8.1.8).
    pub control: bool,
}

impl Executed {
    const NO_SEGMENT: u64 = 7;

    /// In a word.
    pub fn pack(self) -> u64 {
        let segment = self.segment.map_or(Self::NO_SEGMENT, u64::from);
        u64::from(self.opcode) | u64::from(self.modrm) << 8 | segment << 16 | u64::from(self.control) << 19
    }
    fn unpack(word: u64) -> Executed {
        let segment = word >> 16 & 7;
        Executed {
            opcode: word as u8,
            modrm: (word >> 8) as u8,
            segment: (segment != Self::NO_SEGMENT).then_some(segment as u8),
            control: word >> 19 & 1 != 0,
        }
    }
    /// The unit's and the status flags after it.
    fn on(self, s: &Cpu, env: &mut dyn Env, operand: &mut [u8; 10]) -> (X87Unit, u16) {
        let mut unit = s.x87.unit();
        let Some(insn) = X87Insn::new(self.opcode, self.modrm) else {
            return (unit, s.status as u16);
        };
        let status = env.x87(insn, &mut unit, operand, s.status as u16);
        (unit, status)
    }
}

/// Ten bytes of an argument.
fn operand(a: u128) -> [u8; 10] {
    let [bytes @ .., _, _, _, _, _, _] = a.to_le_bytes();
    bytes
}

/// [`crate::calls::X87_EXECUTE`].
pub fn execute(s: &mut Cpu, env: &mut dyn Env, a: &[u128; 4]) -> Result<u128, Fault> {
    let executed = Executed::unpack(a[0] as u64);
    let (unit, status) = executed.on(s, env, &mut operand(a[1]));
    s.x87.set_unit(&unit);
    s.status = status.into();
    if !executed.control {
        s.x87.opcode = u16::from(executed.opcode & 7) << 8 | u16::from(executed.modrm);
        (s.x87.code, s.x87.instruction) = (s.segment(number::CS).selector, s.offset(a[2]));
        if let Some(segment) = executed.segment {
            (s.x87.data, s.x87.operand) = (s.segment(segment).selector, s.offset(a[3]));
        }
    }
    s.settle_x87();
    Ok(0)
}

/// Bit of what [`output`] returns: nothing is stored.
pub const NOT_STORED: u32 = 127;

/// [`crate::calls::X87_OUTPUT`].
pub fn output(s: &mut Cpu, env: &mut dyn Env, a: &[u128; 4]) -> Result<u128, Fault> {
    let mut bytes = [0; 10];
    let (unit, _) = Executed::unpack(a[0] as u64).on(s, env, &mut bytes);
    // Only inexact results are stored where their exception is not masked (SDM 1, 8.5).
    const BEFORE: u16 = x87_status::EXCEPTIONS & !PE;
    let suppressed = unit.status & !unit.control & BEFORE != 0;
    let mut all = [0; 16];
    for (to, from) in all.iter_mut().zip(bytes) {
        *to = from;
    }
    Ok(u128::from_le_bytes(all) | u128::from(suppressed) << NOT_STORED)
}
/// Inexact.
const PE: u16 = 1 << 5;

/// [`crate::calls::X87_ERROR`]: with CR0.NE #MF, else FERR#, and the processor waits for an interrupt (SDM 1, 8.7).
pub fn error(s: &mut Cpu) -> Result<u128, Fault> {
    s.settle_x87();
    if s.sys.cr0 & cr0::NE != 0 {
        Err(fault::MF)
    } else {
        Ok(0)
    }
}

/// FNINIT.
pub fn init(s: &mut Cpu) {
    s.x87 = X87 {
        regs: s.x87.regs,
        ..X87::default()
    };
    s.settle_x87();
}
/// FNCLEX.
pub fn clear(s: &mut Cpu) {
    const STACK_FAULT: u16 = 1 << 6;
    s.x87.status &= !(x87_status::EXCEPTIONS | STACK_FAULT);
    s.settle_x87();
}

/// After FNSTENV: exceptions are masked.
pub fn mask(s: &mut Cpu) {
    s.x87.control |= x87_status::EXCEPTIONS;
    s.settle_x87();
}

/// [`crate::calls::X87_REGISTER`]: ST(`i`).
pub fn register(s: &Cpu, i: u128) -> u128 {
    let [low, high] = s.x87.st(i as u8);
    u128::from(low) | u128::from(high & 0xffff) << 64
}
/// [`crate::calls::X87_SET_REGISTER`].
pub fn set_register(s: &mut Cpu, i: u128, value: u128) {
    *s.x87.st_mut(i as u8) = [value as u64, (value >> 64) as u64 & 0xffff];
}

impl X87 {
    /// Bits of the control word that there are, and the one that is always 1.
    pub(crate) const CONTROL: u16 = 0x1f3f;
    pub(crate) const CONTROL_FIXED: u16 = 0x40;

    /// Whether an instruction may find that an exception waits, or raise one that then does.
    pub(crate) fn may_trap(&self) -> bool {
        self.control & x87_status::EXCEPTIONS != x87_status::EXCEPTIONS || self.status & x87_status::SUMMARY != 0
    }
    /// What the host's unit is to have.
    pub fn unit(&self) -> X87Unit {
        X87Unit {
            regs: self.regs,
            control: self.control,
            status: self.status_word(),
            full: self.full,
        }
    }
    /// What it had.
    fn set_unit(&mut self, unit: &X87Unit) {
        (self.regs, self.control, self.full) = (unit.regs, unit.control, unit.full);
        self.set_status_word(unit.status);
    }
    /// The status word.
    pub fn status_word(&self) -> u16 {
        self.status | u16::from(self.top & 7) << x87_status::TOP_SHIFT
    }
    fn set_status_word(&mut self, status: u16) {
        self.top = ((status & x87_status::TOP) >> x87_status::TOP_SHIFT) as u8;
        self.status = status & !x87_status::TOP;
    }
    fn set_control_word(&mut self, control: u16) {
        self.control = control & X87::CONTROL | X87::CONTROL_FIXED;
    }
    /// ST(`i`), of whose number three bits count.
    fn st(&self, i: u8) -> [u64; 2] {
        #[expect(clippy::indexing_slicing, reason = "below eight")]
        self.regs[usize::from(self.top.wrapping_add(i) & 7)]
    }
    fn st_mut(&mut self, i: u8) -> &mut [u64; 2] {
        #[expect(clippy::indexing_slicing, reason = "below eight")]
        &mut self.regs[usize::from(self.top.wrapping_add(i) & 7)]
    }
}

impl Cpu {
    /// Whether it is in 64-bit mode.
    fn is_64_bit(&self) -> bool {
        self.mode & mode::CODE64 != 0
    }
    /// An offset in a segment.
    fn offset(&self, offset: u128) -> u64 {
        if self.is_64_bit() {
            offset as u64
        } else {
            offset as u32 as u64
        }
    }
    /// The bit of the mode word.
    pub(crate) fn settle_x87_mode(&mut self) {
        let traps = if self.x87.may_trap() { mode::X87_TRAPS } else { 0 };
        self.mode = self.mode & !mode::X87_TRAPS | traps;
    }
    /// What follows from the control and status words: ES and B, and FERR# where CR0.NE is 0 (SDM 1, 8.1.3.3, 8.7.2).
    pub fn settle_x87(&mut self) {
        let waits = self.x87.unit().is_waiting();
        let summary = if waits { x87_status::SUMMARY } else { 0 };
        self.x87.status = self.x87.status & !x87_status::SUMMARY | summary;
        self.settle_x87_mode();
        self.sys.pending &= !pending::FERR;
        if waits && self.sys.cr0 & cr0::NE == 0 {
            self.sys.pending |= pending::FERR;
        }
    }
}

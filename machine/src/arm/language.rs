//! ARM's instruction sets, for `emu explain`.

use emu_frontend_arm::a64::{self, A64};
use emu_frontend_arm::state::mode;
use emu_frontend_arm::{Arm, calls};
use emu_ir::{Block, BlockKey, Op};
use emu_jit::listing::{self, Host, Stages};

use super::disassembly::{A64Disassembler, Disassembler, first, number};
use super::elf::a32;
use super::{dialect, elf};
use crate::arch::{Code, Kind, Language, Line};
use crate::object;

/// A32 and T32.
pub struct ArmLanguage {
    /// The CPU.
    pub guest: Arm,
    /// For text.
    pub disassembler: Disassembler,
}

/// A64.
pub struct A64Language {
    /// The CPU.
    pub guest: A64,
    /// For text.
    pub disassembler: A64Disassembler,
}

/// The page offset of the first instruction that calls a helper.
fn calling(ir: &Block, wanted: u16) -> Option<u32> {
    let mut offset = 0;
    for inst in &ir.insts {
        match inst.op {
            Op::Insn { offset: at, .. } => offset = at.into(),
            Op::Call { helper, .. } if helper == wanted => return Some(offset),
            _ => {}
        }
    }
    None
}

/// An undefined instruction, as a complaint.
fn undefined(insn: &[u8], thumb: bool, address: u64) -> String {
    format!("{} at {address:#x} is an undefined instruction", number(insn, thumb))
}

fn is_thumb(mode: u64) -> bool {
    mode as u32 & mode::T != 0
}

impl Language for ArmLanguage {
    fn mode(&self, compact: bool) -> Option<u64> {
        Some((a32::MODE | if compact { mode::T } else { 0 }).into())
    }

    fn assemble(&self, text: &str, mode: u64) -> Result<Code, String> {
        let object = dialect::arm(is_thumb(mode)).object(text)?;
        object::object::<a32::Arm>(&object, Kind::Insns(mode))
    }

    fn symbol(&self, file: &[u8], name: &str) -> Result<Code, String> {
        object::symbol::<a32::Arm>(file, name)
    }

    fn stages(&self, key: BlockKey, code: &[u8]) -> Option<Stages> {
        listing::stages(&self.guest, key, code).ok()
    }

    fn undefined(&self, ir: &Block) -> Option<u32> {
        calling(ir, calls::UNDEFINED)
    }

    /// UDF is meant to be undefined.
    fn complaint(&self, code: &[u8], address: u64, mode: u64) -> Option<String> {
        let thumb = is_thumb(mode);
        let insn = first(code, thumb).unwrap_or_default();
        let word = insn.iter().rev().fold(0u32, |word, b| word << 8 | u32::from(*b));
        let udf = match (thumb, insn.len()) {
            (true, 2) => word >> 8 == 0xde,
            (true, _) => word & 0xf000_fff0 == 0xa000_f7f0,
            (false, _) => word & 0x0ff0_00f0 == 0x07f0_00f0,
        };
        (!udf).then(|| undefined(insn, thumb, address))
    }

    fn lines(&self, code: &[u8], address: u64, mode: u64) -> Vec<Line> {
        self.disassembler.lines(code, address as u32, mode as u32)
    }

    fn ir(&self, block: &Block) -> String {
        listing::ir::<Arm>(block)
    }

    fn host(&self, stages: &Stages) -> Host {
        listing::host::<Arm>(stages)
    }

    fn registers(&self) -> String {
        listing::registers::<Arm>()
    }
}

impl Language for A64Language {
    fn mode(&self, compact: bool) -> Option<u64> {
        (!compact).then_some(elf::a64::MODE.into())
    }

    fn assemble(&self, text: &str, mode: u64) -> Result<Code, String> {
        let object = dialect::A64.object(text)?;
        object::object::<elf::a64::Aarch64>(&object, Kind::Insns(mode))
    }

    fn symbol(&self, file: &[u8], name: &str) -> Result<Code, String> {
        object::symbol::<elf::a64::Aarch64>(file, name)
    }

    fn stages(&self, key: BlockKey, code: &[u8]) -> Option<Stages> {
        listing::stages(&self.guest, key, code).ok()
    }

    fn undefined(&self, ir: &Block) -> Option<u32> {
        calling(ir, a64::calls::UNDEFINED)
    }

    /// UDF is meant to be undefined.
    fn complaint(&self, code: &[u8], address: u64, _: u64) -> Option<String> {
        let insn = first(code, false).unwrap_or_default();
        let udf = matches!(insn, [_, _, 0, 0]);
        (!udf).then(|| undefined(insn, false, address))
    }

    fn lines(&self, code: &[u8], address: u64, _: u64) -> Vec<Line> {
        self.disassembler.lines(code, address)
    }

    fn ir(&self, block: &Block) -> String {
        listing::ir::<A64>(block)
    }

    fn host(&self, stages: &Stages) -> Host {
        listing::host::<A64>(stages)
    }

    fn registers(&self) -> String {
        listing::registers::<A64>()
    }
}

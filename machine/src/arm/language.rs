//! ARM's instruction sets, for `emu explain`.

use emu_frontend_arm::Arm;
use emu_frontend_arm::calls::UNDEFINED;
use emu_frontend_arm::state::mode;
use emu_ir::{Block, BlockKey, Op};
use emu_jit::listing::{self, Host, Stages};

use super::disassembly::{Disassembler, first, number};
use super::{assembler, elf};
use crate::arch::{Code, Kind, Language, Line};

/// A32 and T32.
pub struct ArmLanguage {
    /// The CPU.
    pub guest: Arm,
    /// For text.
    pub disassembler: Disassembler,
}

fn is_thumb(mode: u64) -> bool {
    mode as u32 & mode::T != 0
}

impl Language for ArmLanguage {
    fn mode(&self, compact: bool) -> u64 {
        (elf::MODE | if compact { mode::T } else { 0 }).into()
    }

    fn assemble(&self, text: &str, mode: u64) -> Result<Code, String> {
        let object = assembler::object(text, is_thumb(mode))?;
        elf::object(&object, Kind::Insns(mode))
    }

    fn symbol(&self, file: &[u8], name: &str) -> Result<Code, String> {
        elf::symbol(file, name)
    }

    fn stages(&self, key: BlockKey, code: &[u8]) -> Option<Stages> {
        listing::stages(&self.guest, key, code).ok()
    }

    fn undefined(&self, ir: &Block) -> Option<u32> {
        let mut offset = 0;
        for inst in &ir.insts {
            match inst.op {
                Op::Insn { offset: at, .. } => offset = at.into(),
                Op::Call { helper: UNDEFINED, .. } => return Some(offset),
                _ => {}
            }
        }
        None
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
        (!udf).then(|| format!("{} at {address:#x} is an undefined instruction", number(insn, thumb)))
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

//! x86's instruction sets, for `emu explain`.

use emu_frontend_x86::calls::RAISE;
use emu_frontend_x86::fault::vector;
use emu_frontend_x86::platform::X86;
use emu_ir::{Block, BlockKey, Op, Val};
use emu_jit::listing::{self, Host, Stages};

use super::dialect::{self, Amd64, Ia32};
use super::disassembly::{Disassembler, bytes};
use crate::arch::{Code, Kind, Language, Line};
use crate::object;

/// Code of 32 or 64 bits.
pub struct X86Language {
    /// The CPU.
    pub guest: X86,
    /// For text.
    pub disassembler: Disassembler,
    /// 64 bits.
    pub wide: bool,
}

impl Language for X86Language {
    fn mode(&self, compact: bool) -> Option<u64> {
        (!compact).then(|| dialect::program(self.wide))
    }

    fn assemble(&self, text: &str, mode: u64) -> Result<Code, String> {
        match self.wide {
            true => object::object::<Amd64>(&dialect::WIDE.object(text)?, Kind::Insns(mode)),
            false => object::object::<Ia32>(&dialect::NARROW.object(text)?, Kind::Insns(mode)),
        }
    }

    fn symbol(&self, file: &[u8], name: &str) -> Result<Code, String> {
        match self.wide {
            true => object::symbol::<Amd64>(file, name),
            false => object::symbol::<Ia32>(file, name),
        }
    }

    fn stages(&self, key: BlockKey, code: &[u8]) -> Option<Stages> {
        listing::stages(&self.guest, key, code).ok()
    }

    /// An instruction that does nothing but raise #UD.
    fn undefined(&self, ir: &Block) -> Option<u32> {
        let is_ud = |vector: Val| match ir.insts.get(vector.index()).map(|inst| inst.op) {
            Some(Op::Const { imm }) => imm.get() == u64::from(vector::UD),
            _ => false,
        };
        let mut offset = 0;
        for inst in &ir.insts {
            match inst.op {
                Op::Insn { offset: at, .. } => offset = at.into(),
                Op::Call { helper: RAISE, args } if is_ud(args[0]) => return Some(offset),
                _ => {}
            }
        }
        None
    }

    /// UD0, UD1 and UD2 are meant to be undefined.
    fn complaint(&self, code: &[u8], address: u64, mode: u64) -> Option<String> {
        if matches!(code, [0x0f, 0x0b | 0xb9 | 0xff, ..]) {
            return None;
        }
        let line = self.disassembler.lines(code, address, mode).into_iter().next();
        let insn = code.get(..line.map_or(1, |line| line.len)).unwrap_or_default();
        Some(format!("{} at {address:#x} is an undefined instruction", bytes(insn)))
    }

    fn lines(&self, code: &[u8], address: u64, mode: u64) -> Vec<Line> {
        self.disassembler.lines(code, address, mode)
    }

    fn ir(&self, block: &Block) -> String {
        listing::ir::<X86>(block)
    }

    fn host(&self, stages: &Stages) -> Host {
        listing::host::<X86>(stages)
    }

    fn registers(&self) -> String {
        listing::registers::<X86>()
    }
}

//! x86 instructions as text.

use capstone::prelude::*;
use emu_frontend_x86::state::mode;

use crate::arch::Line;

/// Code of 16, 32 and 64 bits.
pub struct Disassembler {
    real: Option<Capstone>,
    protected: Option<Capstone>,
    long: Option<Capstone>,
}

impl Disassembler {
    /// For all three.
    pub fn new() -> Disassembler {
        let made = |mode| Capstone::new().x86().mode(mode).build().ok();
        Disassembler {
            real: made(arch::x86::ArchMode::Mode16),
            protected: made(arch::x86::ArchMode::Mode32),
            long: made(arch::x86::ArchMode::Mode64),
        }
    }

    /// The instructions of `code`, which lies at `address` and runs in the mode of this mode word: bytes where there is none.
    pub fn lines(&self, code: &[u8], address: u64, word: u64) -> Vec<Line> {
        let set = match word & (mode::CODE64 | mode::CODE32) {
            0 => &self.real,
            mode::CODE32 => &self.protected,
            _ => &self.long,
        };
        let mut lines = Vec::new();
        let mut at = 0;
        while let Some(rest) = code.get(at..).filter(|rest| !rest.is_empty()) {
            let here = address.wrapping_add(at as u64);
            let known = set.as_ref().and_then(|set| set.disasm_count(rest, here, 1).ok());
            let known = known.as_ref().and_then(|known| known.iter().next());
            let (len, text) = match known {
                Some(insn) => {
                    let (name, operands) = (insn.mnemonic().unwrap_or("?"), insn.op_str().unwrap_or(""));
                    (insn.len(), format!("{name} {operands}").trim_end().to_owned())
                }
                None => (1, format!(".byte 0x{:02x}", rest.first().copied().unwrap_or_default())),
            };
            lines.push(Line { at, len, text });
            at += len;
        }
        lines
    }
}

/// Bytes as the manual writes them.
pub fn bytes(insn: &[u8]) -> String {
    insn.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_are_others_in_each_mode() {
        let code = [0xb8, 1, 2, 3, 4, 0x48, 0x90];
        let texts = |word| {
            let lines = Disassembler::new().lines(&code, 0x100, word).into_iter();
            lines.map(|line| line.text).collect::<Vec<_>>()
        };

        assert_eq!(texts(mode::CODE64), ["mov eax, 0x4030201", "nop"]);
        assert_eq!(texts(mode::CODE32), ["mov eax, 0x4030201", "dec eax", "nop"]);
        assert_eq!(texts(0)[0], "mov ax, 0x201");
    }

    #[test]
    fn what_is_no_instruction_is_bytes_and_the_rest_follows() {
        let lines = Disassembler::new().lines(&[0x06, 0xc3, 0x0f], 0, mode::CODE64);

        let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, [".byte 0x06", "ret", ".byte 0x0f"]);
        assert_eq!(bytes(&[0x0f, 0x0b]), "0f0b");
    }
}

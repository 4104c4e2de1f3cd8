//! ARM instructions as text.

use capstone::prelude::*;
use emu_frontend_arm::state::mode;

use crate::arch::Line;

/// A32 and T32.
pub struct Disassembler {
    arm: Option<Capstone>,
    thumb: Option<Capstone>,
}

impl Disassembler {
    /// For both instruction sets.
    pub fn new() -> Disassembler {
        let made = |mode| Capstone::new().arm().mode(mode).build().ok();
        Disassembler {
            arm: made(arch::arm::ArchMode::Arm),
            thumb: made(arch::arm::ArchMode::Thumb),
        }
    }

    /// The instructions of `code`, which lies at `address` and runs in the mode of this mode word. Bytes at the end that
    /// make no whole instruction are left out.
    pub fn lines(&self, code: &[u8], address: u32, mode: u32) -> Vec<Line> {
        let thumb = mode & mode::T != 0;
        let set = if thumb { &self.thumb } else { &self.arm };
        lines(set.as_ref(), code, address.into(), thumb)
    }
}

/// A64.
pub struct A64Disassembler(Option<Capstone>);

impl A64Disassembler {
    /// A disassembler.
    pub fn new() -> A64Disassembler {
        let made = Capstone::new().arm64().mode(arch::arm64::ArchMode::Arm).build();
        A64Disassembler(made.ok())
    }

    /// The instructions of `code`, which lies at `address`. Bytes at the end that make no whole instruction are left out.
    pub fn lines(&self, code: &[u8], address: u64) -> Vec<Line> {
        lines(self.0.as_ref(), code, address, false)
    }
}

/// The instructions of `code` by a disassembler; numbers where it knows none.
fn lines(set: Option<&Capstone>, code: &[u8], address: u64, thumb: bool) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut at = 0;
    while let Some((rest, insn)) = code.get(at..).and_then(|rest| Some((rest, first(rest, thumb)?))) {
        if let Some(known) = set.and_then(|cs| cs.disasm_all(rest, address.wrapping_add(at as u64)).ok()) {
            for i in known.iter() {
                let (name, operands) = (i.mnemonic().unwrap_or("?"), i.op_str().unwrap_or(""));
                let text = format!("{name} {operands}").trim_end().to_owned();
                lines.push(Line { at, len: i.len(), text });
                at += i.len();
            }
            if !known.is_empty() {
                continue;
            }
        }
        lines.push(Line {
            at,
            len: insn.len(),
            text: format!(".inst {}", number(insn, thumb)),
        });
        at += insn.len();
    }
    lines
}

impl Disassembler {
    /// One instruction that runs in the mode of this mode word, which says where it is in an IT block.
    pub fn one(&self, insn: &[u8], address: u32, word: u32) -> String {
        let condition = (word & mode::IT) >> (mode::IT_SHIFT + 4);
        let lines = match word & mode::T != 0 && word & mode::IT != 0 {
            true => {
                // IT of one instruction before it.
                let it = [0x08 | (condition as u8) << 4, 0xbf];
                self.lines(&[&it, insn].concat(), address.wrapping_sub(2), word)
            }
            false => self.lines(insn, address, word),
        };
        lines
            .into_iter()
            .next_back()
            .map_or_else(|| "?".into(), |line| line.text)
    }
}

/// The first instruction, if all its bytes are there.
pub fn first(code: &[u8], thumb: bool) -> Option<&[u8]> {
    let half = u16::from_le_bytes(*code.first_chunk()?);
    let len = if thumb && half >> 11 < 0b11101 { 2 } else { 4 };
    code.get(..len)
}

/// An instruction's bytes as the manual writes them; what is none, byte by byte.
pub fn number(insn: &[u8], thumb: bool) -> String {
    match *insn {
        [a, b] => format!("0x{b:02x}{a:02x}"),
        [a, b, c, d] if thumb => format!("0x{b:02x}{a:02x}{d:02x}{c:02x}"),
        [a, b, c, d] => format!("0x{d:02x}{c:02x}{b:02x}{a:02x}"),
        _ => insn
            .iter()
            .fold("0x".to_owned(), |text, byte| text + &format!("{byte:02x}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_capstone_does_not_know_is_a_number_and_the_rest_follows() {
        // An undefined instruction of the media space between two that are known.
        let code = [0x01, 0x00, 0x80, 0xe0, 0x10, 0x00, 0x00, 0xe6, 0x1e, 0xff, 0x2f, 0xe1];

        let lines = Disassembler::new().lines(&code, 0, 0);

        let texts: Vec<&str> = lines.iter().map(|l| l.text.as_str()).collect();
        assert_eq!(texts.len(), 3);
        assert_eq!((texts[0], texts[2]), ("add r0, r0, r1", "bx lr"));
        assert!(texts[1].starts_with(".inst 0xe6"), "{texts:?}");
    }

    #[test]
    fn a64_is_shown_by_its_names() {
        // MOV as an alias, an undefined word, and a branch to an address.
        let code = [
            0xe0, 0x03, 0x01, 0xaa, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x17, 0,
        ];

        let lines = A64Disassembler::new().lines(&code, 0xffff_0000_0000_0000);

        let texts: Vec<&str> = lines.iter().map(|l| l.text.as_str()).collect();
        assert_eq!(texts, ["mov x0, x1", ".inst 0xffffffff", "b #0xffff000000000004"]);
    }

    #[test]
    fn an_it_block_says_its_conditions() {
        let code = [0x0c, 0xbf, 0x01, 0x21, 0x02, 0x21];

        let lines = Disassembler::new().lines(&code, 0, mode::T);

        let texts: Vec<&str> = lines.iter().map(|l| l.text.as_str()).collect();
        assert_eq!(texts, ["ite eq", "moveq r1, #1", "movne r1, #2"]);
    }

    #[test]
    fn instructions_are_numbers_as_the_manual_writes_them() {
        let code = [0x12, 0x34, 0x56, 0x78];
        let parts = [(0, false), (1, false), (2, true), (4, true), (4, false)];

        let numbers = parts.map(|(len, thumb)| number(&code[..len], thumb));

        assert_eq!(numbers, ["0x", "0x12", "0x3412", "0x34127856", "0x78563412"]);
    }

    #[test]
    fn a_cut_instruction_is_left_out() {
        let lines = Disassembler::new().lines(&[0x70, 0x47, 0x00, 0xf0], 0x100, mode::T);

        assert_eq!(
            lines,
            [Line {
                at: 0,
                len: 2,
                text: "bx lr".into()
            }]
        );
    }
}

//! `emu explain`: what becomes of guest instructions, stage by stage.

mod assembler;
mod code;
mod colour;

use std::fmt::Write;
use std::path::PathBuf;

use clap::Parser;
use emu_frontend_arm::calls::UNDEFINED;
use emu_frontend_arm::state::mode;
use emu_frontend_arm::{Arm, model};
use emu_ir::{Block, BlockKey, Op};
use emu_jit::listing::{self, Stages};

use crate::cli;
use crate::config::Arch;
use crate::disassembly::{Disassembler, number};
use crate::error::{Error, shown};
use code::{Code, Kind};

const ABOUT: &str = "\
CODE is bytes if it has nothing but hexadecimal digits, spaces and 0x: in memory order, so that `1eff2fe1` is BX LR.
Anything else is assembly, for an assembler on PATH (arm-linux-gnueabihf-as, arm-none-eabi-as or clang; ARMv7-A with
NEON-VFPv4, virt, sec, idiv): instructions between semicolons, labels, comments after @; no directives. The first
instruction is at address 0, and a number that is branched to is such an address. Several arguments are one text.

The code is translated block by block, as if each was run from its start: a block ends at a branch, a page's end or after
64 instructions, and the next starts there. Instructions are translated for User mode with VFP and Advanced SIMD enabled.
An undefined instruction other than UDF is an error in CODE; in a --symbol it is listed as what it does.

Examples:
  emu explain \"add r0, r1, r2; bne 8\"
  emu explain --thumb 0844 7047
  emu explain --elf vmlinux --symbol memcpy | less

NO_COLOR, set to anything, keeps colours from a terminal.";

/// Show guest instructions as IR, optimised IR and host code.
#[derive(Debug, Parser)]
#[command(name = "emu explain", max_term_width = 110, after_long_help = ABOUT)]
#[command(after_help = "See --help for what CODE can be, with examples.")]
#[command(
    override_usage = "emu explain [--arch arm] [--thumb] [--cpu MODEL] CODE...\n       emu explain [--cpu MODEL] --elf FILE --symbol NAME"
)]
pub struct Explain {
    /// The guest's instruction set
    #[arg(long, value_name = "NAME", default_value = "arm")]
    arch: Arch,
    /// CPU model; `help` lists them [default: cortex-a15]
    #[arg(long, value_name = "MODEL")]
    cpu: Option<String>,
    /// CODE is Thumb code
    #[arg(long, conflicts_with = "elf")]
    thumb: bool,
    /// Explain a function of an ELF file, which says itself what is Thumb code and what is data
    #[arg(long, value_name = "FILE", requires = "symbol", conflicts_with = "code")]
    elf: Option<PathBuf>,
    /// The function's name
    #[arg(long, value_name = "NAME", requires = "elf")]
    symbol: Option<String>,
    /// The instructions: hexadecimal bytes, or assembly
    #[arg(value_name = "CODE")]
    code: Vec<String>,
}

impl Explain {
    /// The listing, in colours if `coloured`.
    ///
    /// # Errors
    /// [`Error::Input`] for code that is none.
    pub fn text(self, coloured: bool) -> Result<String, Error> {
        if self.cpu.as_deref() == Some("help") {
            return Ok(cli::cpu_list(self.arch));
        }
        let (code, option) = self.code()?;
        let strict = self.elf.is_none();
        let name = cli::cpu_model(self.arch, self.cpu)?;
        let unknown = || Error::input("--cpu", &name, "unknown CPU model");
        let guest = Arm::alone(model::find(&name).ok_or_else(unknown)?);
        let listed = Listed::new(&guest, &code, strict);
        let text = listed.map_err(|reason| Error::Input { option, reason })?.text();
        Ok(if coloured { colour::coloured(&text) } else { text })
    }

    /// What is to be explained, and the option that says so.
    fn code(&self) -> Result<(Code, String), Error> {
        if let (Some(path), Some(symbol)) = (&self.elf, &self.symbol) {
            let file = std::fs::read(path).map_err(|e| Error::refused("--elf", path.display(), &e))?;
            let option = shown("--elf", path.display());
            let option = format!("{option} {}", shown("--symbol", symbol));
            let code = Code::of_symbol(&file, symbol);
            return match code {
                Ok(code) => Ok((code, option)),
                Err(reason) => Err(Error::Input { option, reason }),
            };
        }
        let text = self.code.join(" ");
        if text.trim().is_empty() {
            let missing = "there is nothing to explain: name CODE, or --elf FILE --symbol NAME (emu explain --help)";
            return Err(Error::Input {
                option: "command line".into(),
                reason: missing.into(),
            });
        }
        let kind = if self.thumb { Kind::Thumb } else { Kind::Arm };
        let code = if code::is_hex(&text) {
            Code::from_hex(&text, kind)
        } else {
            assembler::object(&text, self.thumb).and_then(|object| Code::of_object(&object, kind))
        };
        match code {
            Ok(code) => Ok((code, shown("CODE", text))),
            Err(reason) => Err(Error::input("CODE", text, reason)),
        }
    }
}

/// A block, or data between blocks.
enum Piece<'a> {
    Block {
        address: u32,
        mode: u32,
        bytes: &'a [u8],
        stages: Box<Stages>,
    },
    Data {
        address: u32,
        bytes: &'a [u8],
    },
}

/// Code, translated.
struct Listed<'a>(Vec<Piece<'a>>);

impl<'a> Listed<'a> {
    /// Translates block by block. `strict`: an undefined instruction is an error.
    fn new(guest: &Arm, code: &'a Code, strict: bool) -> Result<Listed<'a>, String> {
        let mut pieces = Vec::new();
        for (start, kind, bytes) in code.parts() {
            let address = code.address.wrapping_add(start as u32);
            let mode = mode::VFP | mode::NEON | mode::USER;
            match kind {
                Kind::Data => pieces.push(Piece::Data { address, bytes }),
                Kind::Arm => blocks(guest, address, mode, bytes, strict, &mut pieces)?,
                Kind::Thumb => blocks(guest, address, mode | mode::T, bytes, strict, &mut pieces)?,
            }
        }
        match pieces.iter().any(|p| matches!(p, Piece::Block { .. })) {
            true => Ok(Listed(pieces)),
            false => Err("it is data".into()),
        }
    }

    fn text(&self) -> String {
        let blocks: Vec<&Stages> = self.0.iter().filter_map(Piece::stages).collect();
        let guest = blocks.iter().map(|s| s.ir.guest_insns as usize).sum();
        let host = blocks.iter().map(|s| listing::host::<Arm>(s).insns).sum();
        let mut out = counts(guest, host);
        if blocks.len() > 1 {
            let _ = write!(out, ", {} blocks", blocks.len());
        }
        out.push('\n');
        let disassembler = Disassembler::arm();
        for piece in &self.0 {
            if self.0.len() > 1 {
                let _ = write!(out, "\n{}", piece.heading());
            }
            piece.text(&disassembler, &mut out);
        }
        out
    }
}

/// The blocks of one run of instructions.
fn blocks<'a>(
    guest: &Arm,
    address: u32,
    mode: u32,
    bytes: &'a [u8],
    strict: bool,
    pieces: &mut Vec<Piece<'a>>,
) -> Result<(), String> {
    let (mut at, mut state) = (0, mode);
    while at < bytes.len() {
        let rest = &bytes[at..];
        let here = address.wrapping_add(at as u32);
        let key = BlockKey {
            phys: here.into(),
            mode: state,
        };
        let incomplete = |_| {
            format!(
                "{} at {here:#x}, where no whole instruction is",
                count(rest.len(), "byte")
            )
        };
        let stages = Box::new(listing::stages(guest, key, rest).map_err(incomplete)?);
        let len = (stages.ir.guest_bytes as usize).clamp(1, rest.len());
        let (bytes, page) = (&rest[..len], here & !0xfff);
        if let Some(offset) = undefined(&stages.ir).filter(|_| strict) {
            let insn = &bytes[(page + offset - here) as usize..];
            let thumb = mode & mode::T != 0;
            complain_of(
                &insn[..crate::disassembly::length(insn, thumb).unwrap_or(0)],
                page + offset,
                thumb,
            )?;
        }
        state = following(&stages.ir, (here & 0xfff) + len as u32).unwrap_or(mode);
        pieces.push(Piece::Block {
            address: here,
            mode: key.mode,
            bytes,
            stages,
        });
        at += len;
    }
    Ok(())
}

/// The page offset of the first instruction that is translated as an undefined one.
fn undefined(ir: &Block) -> Option<u32> {
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

/// The complaint about an undefined instruction, unless it is UDF, which is meant to be one.
fn complain_of(insn: &[u8], address: u32, thumb: bool) -> Result<(), String> {
    let word = insn.iter().rev().fold(0u32, |word, b| word << 8 | u32::from(*b));
    let udf = match (thumb, insn.len()) {
        (true, 2) => word >> 8 == 0xde,
        (true, _) => word & 0xf000_fff0 == 0xa000_f7f0,
        (false, _) => word & 0x0ff0_00f0 == 0x07f0_00f0,
    };
    match udf {
        true => Ok(()),
        false => Err(format!(
            "{} at {address:#x} is an undefined instruction",
            number(insn, thumb)
        )),
    }
}

/// The mode after a block whose end is fallen through to, as where an IT block goes on.
fn following(ir: &Block, end: u32) -> Option<u32> {
    match ir.insts.last()?.op {
        Op::Goto { offset, mode, .. } if offset == end as i32 => Some(mode),
        _ => None,
    }
}

impl Piece<'_> {
    fn stages(&self) -> Option<&Stages> {
        match self {
            Piece::Block { stages, .. } => Some(stages),
            Piece::Data { .. } => None,
        }
    }

    /// The line that tells it from others.
    fn heading(&self) -> String {
        match self {
            Piece::Block { address, stages, .. } => {
                let host = listing::host::<Arm>(stages).insns;
                format!(
                    "block at {address:#x}: {}\n",
                    counts(stages.ir.guest_insns as usize, host)
                )
            }
            Piece::Data { address, bytes } => format!("data at {address:#x}: {}\n", count(bytes.len(), "byte")),
        }
    }

    fn text(&self, disassembler: &Disassembler, out: &mut String) {
        match self {
            Piece::Data { address, bytes } => {
                for (i, word) in bytes.chunks(4).enumerate() {
                    let digits: String = word.iter().rev().map(|b| format!("{b:02x}")).collect();
                    let _ = writeln!(out, "    {:4x}  0x{digits}", *address as usize + 4 * i);
                }
            }
            Piece::Block {
                address,
                mode,
                bytes,
                stages,
            } => {
                out.push_str("guest:\n");
                for line in disassembler.lines(bytes, *address, *mode) {
                    let _ = writeln!(out, "    {:4x}  {}", *address as usize + line.at, line.text);
                }
                let _ = write!(out, "ir:\n{}", listing::ir::<Arm>(&stages.ir));
                let _ = write!(out, "optimised:\n{}", listing::ir::<Arm>(&stages.optimised));
                let host = listing::host::<Arm>(stages).text;
                let _ = write!(out, "host: {}\n{host}", listing::registers::<Arm>());
            }
        }
    }
}

fn count(n: usize, of: &str) -> String {
    format!("{n} {of}{}", if n == 1 { "" } else { "s" })
}

fn counts(guest: usize, host: usize) -> String {
    format!(
        "{}, {}",
        count(guest, "guest instruction"),
        count(host, "host instruction")
    )
}

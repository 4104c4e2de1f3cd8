//! `emu explain`: what becomes of guest instructions, stage by stage.

mod colour;
mod hex;

use std::fmt::Write;
use std::path::PathBuf;

use clap::Parser;
use emu_ir::{Block, BlockKey, Op};
use emu_jit::listing::Stages;

use crate::arch::{Code, Kind, Language};
use crate::config::Arch;
use crate::error::{Error, shown};

const ABOUT: &str = "\
CODE is bytes if it has nothing but hexadecimal digits, spaces and 0x: in memory order, so that `1eff2fe1` is BX LR.
Anything else is assembly, for an assembler on PATH: instructions between semicolons, labels, comments after // (for arm
after @ too); no directives. For --arch arm the assembler is arm-linux-gnueabihf-as, arm-none-eabi-as or clang (ARMv7-A
with NEON-VFPv4, virt, sec, idiv), for aarch64 it is aarch64-linux-gnu-as, aarch64-none-elf-as or clang (Armv8.6-A with
crypto, sha3, sm4, fp16, fp16fml, rng), for i386 and x86_64 the host's as or clang, with operands as Intel writes them. The
first instruction is at address 0, and a number that is branched to is such an address. Several arguments are one text.

The code is translated block by block, as if each was run from its start: a block ends at a branch, a page's end or after
64 instructions, and the next starts there. Instructions are translated for User mode (EL0, level 3) with VFP and Advanced
SIMD, x87, SSE and AVX enabled. An undefined instruction other than UDF and UD2 is an error in CODE; in a --symbol it is listed as what it does.

Examples:
  emu explain \"add r0, r1, r2; bne 8\"
  emu explain --thumb 0844 7047
  emu explain --arch aarch64 \"ldp x0, x1, [sp], 16; ret\"
  emu explain --arch x86_64 \"lea rax, [rdi + 8*rsi]; ret\"
  emu explain --elf vmlinux --symbol memcpy | less

NO_COLOR, set to anything, keeps colours from a terminal.";

/// Show guest instructions as IR, optimised IR and host code.
#[derive(Debug, Parser)]
#[command(name = "emu explain", max_term_width = 110, after_long_help = ABOUT)]
#[command(after_help = "See --help for what CODE can be, with examples.")]
#[command(
    override_usage = "emu explain [--arch NAME] [--thumb] [--cpu MODEL] CODE...\n       emu explain [--arch NAME] [--cpu MODEL] --elf FILE --symbol NAME"
)]
pub struct Explain {
    /// The guest's instruction set: arm, aarch64 (arm64), i386 or x86_64
    #[arg(long, value_name = "NAME", default_value = "arm")]
    arch: Arch,
    /// CPU model; `help` lists them, the default first
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
            return Ok(self.arch.cpu_list());
        }
        let name = self.cpu.as_deref().unwrap_or_else(|| self.arch.default_cpu());
        self.arch.check_cpu(name)?;
        let unknown = || Error::input("--cpu", name, "unknown CPU model");
        let language = self.arch.architecture().language(name).ok_or_else(unknown)?;
        let (code, option) = self.code(&*language)?;
        let listed = Listed::new(&*language, &code, self.elf.is_none());
        let text = listed.map_err(|reason| Error::Input { option, reason })?.text();
        Ok(if coloured { colour::coloured(&text) } else { text })
    }

    /// What is to be explained, and the option that says so.
    fn code(&self, language: &dyn Language) -> Result<(Code, String), Error> {
        if let (Some(path), Some(symbol)) = (&self.elf, &self.symbol) {
            let file = std::fs::read(path).map_err(|e| Error::refused("--elf", path.display(), &e))?;
            let option = shown("--elf", path.display());
            let option = format!("{option} {}", shown("--symbol", symbol));
            return match language.symbol(&file, symbol) {
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
        let mode = language.mode(self.thumb).ok_or_else(|| Error::Input {
            option: "--thumb".into(),
            reason: format!("--arch {} has one instruction set", self.arch),
        })?;
        let code = if hex::is_hex(&text) {
            hex::code(&text, Kind::Insns(mode))
        } else {
            language.assemble(&text, mode)
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
        address: u64,
        mode: u64,
        bytes: &'a [u8],
        stages: Box<Stages>,
    },
    Data {
        address: u64,
        bytes: &'a [u8],
    },
}

/// Code, translated.
struct Listed<'a> {
    language: &'a dyn Language,
    pieces: Vec<Piece<'a>>,
}

impl<'a> Listed<'a> {
    /// Translates block by block. `strict`: an undefined instruction is an error.
    fn new(language: &'a dyn Language, code: &'a Code, strict: bool) -> Result<Listed<'a>, String> {
        let mut listed = Listed {
            language,
            pieces: Vec::new(),
        };
        for (start, kind, bytes) in code.parts() {
            let address = code.address.wrapping_add(start as u64);
            match kind {
                Kind::Data => listed.pieces.push(Piece::Data { address, bytes }),
                Kind::Insns(mode) => listed.add_blocks(address, mode, bytes, strict)?,
            }
        }
        match listed.pieces.iter().any(|p| matches!(p, Piece::Block { .. })) {
            true => Ok(listed),
            false => Err("it is data".into()),
        }
    }

    /// The blocks of one run of instructions.
    fn add_blocks(&mut self, address: u64, mode: u64, bytes: &'a [u8], strict: bool) -> Result<(), String> {
        let (mut rest, mut state) = (bytes, mode);
        while !rest.is_empty() {
            let here = address.wrapping_add((bytes.len() - rest.len()) as u64);
            let key = BlockKey {
                phys: here,
                mode: state,
                marked: false,
            };
            let incomplete = || {
                format!(
                    "{} at {here:#x}, where no whole instruction is",
                    count(rest.len(), "byte")
                )
            };
            let stages = Box::new(self.language.stages(key, rest).ok_or_else(incomplete)?);
            let len = (stages.ir.guest_bytes as usize).clamp(1, rest.len());
            let (block, after) = rest.split_at(len);
            if let Some(offset) = self.language.undefined(&stages.ir).filter(|_| strict) {
                let insn = (here & !0xfff) + u64::from(offset);
                let code = block.get((insn - here) as usize..).unwrap_or_default();
                let complaint = self.language.complaint(code, insn, mode);
                complaint.map_or(Ok(()), Err)?;
            }
            state = following(&stages.ir, (here & 0xfff) as u32 + len as u32).unwrap_or(mode);
            self.pieces.push(Piece::Block {
                address: here,
                mode: key.mode,
                bytes: block,
                stages,
            });
            rest = after;
        }
        Ok(())
    }

    fn text(&self) -> String {
        let blocks: Vec<&Stages> = self.pieces.iter().filter_map(Piece::stages).collect();
        let guest = blocks.iter().map(|s| s.ir.guest_insns as usize).sum();
        let host = blocks.iter().map(|s| self.language.host(s).insns).sum();
        let mut out = counts(guest, host);
        if blocks.len() > 1 {
            let _ = write!(out, ", {} blocks", blocks.len());
        }
        out.push('\n');
        for piece in &self.pieces {
            if self.pieces.len() > 1 {
                let _ = write!(out, "\n{}", piece.heading(self.language));
            }
            piece.text(self.language, &mut out);
        }
        out
    }
}

/// The mode after a block whose end is fallen through to, as where an IT block goes on.
fn following(ir: &Block, end: u32) -> Option<u64> {
    match ir.insts.last()?.op {
        Op::Goto { offset, mode, .. } if offset == end as i32 => Some(ir.mode(mode)),
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
    fn heading(&self, language: &dyn Language) -> String {
        match self {
            Piece::Block { address, stages, .. } => {
                let host = language.host(stages).insns;
                format!(
                    "block at {address:#x}: {}\n",
                    counts(stages.ir.guest_insns as usize, host)
                )
            }
            Piece::Data { address, bytes } => format!("data at {address:#x}: {}\n", count(bytes.len(), "byte")),
        }
    }

    fn text(&self, language: &dyn Language, out: &mut String) {
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
                for line in language.lines(bytes, *address, *mode) {
                    let _ = writeln!(out, "    {:4x}  {}", *address as usize + line.at, line.text);
                }
                let _ = write!(out, "ir:\n{}", language.ir(&stages.ir));
                let _ = write!(out, "optimised:\n{}", language.ir(&stages.optimised));
                let _ = write!(out, "host: {}\n{}", language.registers(), language.host(stages).text);
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

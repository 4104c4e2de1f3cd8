//! `emu explain`: what becomes of guest instructions, stage by stage.

use std::fmt::Write;

use capstone::prelude::*;
use clap::Parser;
use emu_frontend_arm::guest::{Conduit, FirmwareResult, Platform, Timer, TimerOutput};
use emu_frontend_arm::state::mode;
use emu_frontend_arm::{Arm, MODELS};
use emu_jit::listing;

use crate::config::Arch;
use crate::error::Error;

/// Show guest instructions as IR, optimised IR and host code.
#[derive(Debug, Parser)]
#[command(name = "emu explain", max_term_width = 110)]
pub struct Explain {
    /// The guest's instruction set
    #[arg(long, value_name = "NAME", default_value = "arm")]
    arch: Arch,
    /// Thumb code
    #[arg(long)]
    thumb: bool,
    /// The instructions' bytes in hexadecimal, in memory order; spaces are skipped
    #[arg(value_name = "HEX", required = true)]
    code: Vec<String>,
}

/// A machine around a CPU that never runs.
struct Nowhere;

impl Platform for Nowhere {
    fn now_ns(&self) -> u64 {
        0
    }
    fn timer(&mut self, _: Timer, _: TimerOutput) {}
    fn pending(&self) -> u32 {
        0
    }
    fn firmware_call(&mut self, _: Conduit, args: [u32; 4]) -> FirmwareResult {
        FirmwareResult::Return(args)
    }
    fn cpu_index(&self) -> u32 {
        0
    }
    fn cpu_count(&self) -> u32 {
        1
    }
}

impl Explain {
    /// The listing.
    ///
    /// # Errors
    /// [`Error::Input`] for what is not hexadecimal or no whole instruction.
    pub fn text(&self) -> Result<String, Error> {
        let Arch::Arm = self.arch;
        let bytes = bytes(&self.code.concat())?;
        let guest = Arm {
            model: &MODELS[0],
            platform: Box::new(Nowhere),
        };
        let state = mode::VFP | mode::NEON | mode::USER | if self.thumb { mode::T } else { 0 };
        let incomplete = || Error::input("HEX", self.code.concat(), "no whole instruction is there");
        let stages = listing::stages(&guest, &bytes, 0, state, 64).map_err(|_| incomplete())?;
        let (host, count) = listing::host(&stages);
        let mut out = String::new();
        let insns = stages.ir.guest_insns;
        let _ = writeln!(out, "{insns} guest instructions, {count} host instructions");
        let _ = write!(out, "guest:\n{}", disassembled(&bytes, self.thumb));
        let _ = write!(out, "ir:\n{}", listing::ir::<Arm>(&stages.ir));
        let _ = write!(out, "optimised:\n{}", listing::ir::<Arm>(&stages.optimised));
        let _ = write!(out, "host:\n{host}");
        Ok(out)
    }
}

fn bytes(hex: &str) -> Result<Vec<u8>, Error> {
    let digits: Vec<char> = hex
        .trim_start_matches("0x")
        .chars()
        .filter(|c| !c.is_whitespace())
        .collect();
    let bad = digits.iter().find(|c| !c.is_ascii_hexdigit());
    if let Some(c) = bad {
        return Err(Error::input("HEX", hex, format!("{c:?} is no hexadecimal digit")));
    }
    if !digits.len().is_multiple_of(2) {
        return Err(Error::input("HEX", hex, "an odd number of digits: bytes have two"));
    }
    let value = |c: char| c.to_digit(16).unwrap_or(0) as u8;
    Ok(digits.chunks(2).map(|p| value(p[0]) << 4 | value(p[1])).collect())
}

fn disassembled(bytes: &[u8], thumb: bool) -> String {
    let mode = if thumb {
        arch::arm::ArchMode::Thumb
    } else {
        arch::arm::ArchMode::Arm
    };
    let mut out = String::new();
    let Ok(cs) = Capstone::new().arm().mode(mode).build() else {
        return out;
    };
    if let Ok(all) = cs.disasm_all(bytes, 0) {
        for i in all.iter() {
            let (name, operands) = (i.mnemonic().unwrap_or("?"), i.op_str().unwrap_or(""));
            let _ = writeln!(out, "    {:4x}  {name} {operands}", i.address());
        }
    }
    out
}

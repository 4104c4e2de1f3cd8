//! What becomes of a block: guest bytes, IR, optimised IR, host code. For `emu explain` and for snapshots.

use crate::engine::PASS_LIMIT;
use crate::opt::{self, CallEffect};
use crate::x64::{self, Target, thunks::Thunks};
use emu_ir::print::Listing;
use emu_ir::{Block, BlockKey, Builder, Fault, Fetch, Guest};
use std::fmt::Write;

/// Where listings put the code cache, so that they are the same everywhere.
const BASE: u64 = 0x1000_0000;

struct Bytes<'a>(&'a [u8], u32);

impl Fetch for Bytes<'_> {
    fn u16(&mut self, offset: u32) -> Result<u16, Fault> {
        let at = offset.wrapping_sub(self.1) as usize;
        let nothing = Fault::Bus {
            addr: offset as u64,
            access: emu_ir::Access::Execute,
        };
        let pair = self.0.get(at..at + 2).ok_or(nothing)?;
        Ok(u16::from_le_bytes([pair[0], pair[1]]))
    }
}

/// A block at each stage.
#[derive(Clone, Debug)]
pub struct Stages {
    /// As the frontend wrote it.
    pub ir: Block,
    /// After the passes.
    pub optimised: Block,
    /// Host code, the cold part after `cold` bytes, for address `BASE`.
    pub host: Vec<u8>,
    /// Where the cold part starts.
    pub cold: usize,
}

/// Translate the instructions in `bytes`, which lie `offset` bytes into a page, in the given mode.
///
/// # Errors
/// The fault of fetching the first instruction: no whole instruction is there.
pub fn stages<G: Guest>(guest: &G, bytes: &[u8], offset: u32, mode: u32, count: u32) -> Result<Stages, Fault> {
    let key = BlockKey {
        phys: offset as u64,
        mode,
    };
    let mut builder = Builder::new();
    guest.translate(
        key,
        offset,
        count.clamp(1, PASS_LIMIT),
        &mut Bytes(bytes, offset),
        &mut builder,
    )?;
    let ir = builder.block.clone();
    opt::run(
        &mut builder.block,
        G::LAYOUT,
        CallEffect::of::<G>,
        &mut opt::Scratch::default(),
    );
    let optimised = builder.block;
    let thunks = Thunks::default();
    let target = Target {
        layout: G::LAYOUT,
        state_helper: &x64::is_state::<G>,
        thunks: &thunks,
        base: BASE,
        at: 0x1000,
        alone: false,
        first_site: 0,
    };
    let code = x64::emit(key, &optimised, &target, &mut x64::Scratch::default()).unwrap_or_default();
    Ok(Stages {
        ir,
        optimised,
        host: code.bytes,
        cold: code.cold as usize,
    })
}

/// The host code as text, one instruction a line, the cold part marked; and how many instructions the hot part has.
pub fn host(stages: &Stages) -> (String, usize) {
    use capstone::prelude::*;
    let mut text = String::new();
    let Ok(cs) = Capstone::new().x86().mode(arch::x86::ArchMode::Mode64).build() else {
        return (text, 0);
    };
    let mut hot = 0;
    if let Ok(all) = cs.disasm_all(&stages.host, BASE + 0x1000) {
        for i in all.iter() {
            let at = (i.address() - BASE - 0x1000) as usize;
            if at == stages.cold {
                text.push_str("  cold:\n");
            }
            hot += (at < stages.cold) as usize;
            let _ = writeln!(text, "    {} {}", i.mnemonic().unwrap_or("?"), i.op_str().unwrap_or(""));
        }
    }
    (text, hot)
}

/// A block's IR as text.
pub fn ir<G: Guest>(block: &Block) -> String {
    Listing {
        block,
        layout: G::LAYOUT,
    }
    .to_string()
}

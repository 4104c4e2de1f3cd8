//! What becomes of a block: guest bytes, IR, optimised IR, host code. For `emu explain` and for snapshots.
//!
//! The emitter asks nothing of the host it runs on, and the addresses here are made up: listings are the same everywhere.
#![expect(
    clippy::indexing_slicing,
    reason = "host code is cut where the emitter says that its parts start"
)]

mod host;

use crate::engine::PASS_LIMIT;
use crate::opt::{self, CallEffect, Lives};
use crate::x64::{self, EmitInfo, Extensions, thunks::Thunks};
use emu_ir::print::Listing;
use emu_ir::{Block, BlockKey, Builder, Fault, Fetch, Guest};

/// Bytes of a page.
const PAGE: u32 = 0x1000;
/// Where listings put the code cache.
const BASE: u64 = 0x1000_0000;
/// Where in it they put the block.
const AT: u32 = 0x1000;
/// Where in it they put the thunks: told from one another by address alone.
const THUNKS: Thunks = Thunks {
    enter: 0x00,
    leave: 0x10,
    link: 0x20,
    goto: 0x30,
    lookup: 0x40,
    elsewhere: 0x50,
    slow: 0x60,
    call: 0x70,
    pure: [0x80, 0x81, 0x82, 0x83, 0x84],
    flags: [0x90, 0x91, 0x92, 0x93, 0x94],
};

/// Code bytes for a translator, given as the engine gives them.
struct Bytes<'a> {
    bytes: &'a [u8],
    /// The page offset of the first.
    start: u32,
    /// One instruction is wanted, which may go on in the next page.
    single: bool,
    /// Bytes past the page's end were asked for, and not given.
    refused: bool,
    /// Such bytes were given.
    crosses: bool,
}

impl Bytes<'_> {
    /// `N` bytes from a page offset on.
    fn get<const N: usize>(&mut self, offset: u32) -> Result<[u8; N], Fault> {
        let nothing = Fault::Bus {
            addr: offset as u64,
            access: emu_ir::Access::Execute,
        };
        let is_past = offset as usize + N > PAGE as usize;
        if is_past && !self.single {
            self.refused = true;
            return Err(nothing);
        }
        let rest = self.bytes.get(offset.wrapping_sub(self.start) as usize..);
        let bytes = rest.and_then(<[u8]>::first_chunk).ok_or(nothing)?;
        self.crosses |= is_past;
        Ok(*bytes)
    }
}

impl Fetch for Bytes<'_> {
    fn u16(&mut self, offset: u32) -> Result<u16, Fault> {
        self.get(offset).map(u16::from_le_bytes)
    }

    /// There may be an odd number.
    fn u8(&mut self, offset: u32) -> Result<u8, Fault> {
        self.get(offset).map(u8::from_le_bytes)
    }
}

/// A block at each stage.
#[derive(Clone, Debug)]
pub struct Stages {
    /// As the frontend wrote it.
    pub ir: Block,
    /// After the passes.
    pub optimised: Block,
    /// The physical page after its own, if it is an instruction that goes on there: each way into the block checks that the
    /// page is still the next one. The listing puts it behind the block's own.
    pub next_page: Option<u64>,
    /// As host code. `None`: so many values are alive at once in its one instruction that the engine interprets it.
    pub host: Option<x64::Code>,
}

/// Host code as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// One instruction a line, the cold part marked.
    pub text: String,
    /// How many instructions the hot part has.
    pub insns: usize,
}

/// Translate the block at the start of `bytes`, as the engine does. `key` says where it lies; its page offset is where
/// in a page it starts.
///
/// # Errors
/// The fault of fetching the first instruction: no whole instruction is there.
pub fn stages<G: Guest>(guest: &G, key: BlockKey, bytes: &[u8]) -> Result<Stages, Fault> {
    let offset = key.phys as u32 % PAGE;
    let mut limit = PASS_LIMIT;
    loop {
        let mut builder = Builder::new();
        let mut fetch = Bytes {
            bytes,
            start: offset,
            single: limit == 1,
            refused: false,
            crosses: false,
        };
        match guest.translate(key, offset, limit, &mut fetch, &mut builder) {
            Ok(()) => {}
            // The first instruction crosses into the next page: it is a block of its own.
            Err(_) if fetch.refused => {
                limit = 1;
                continue;
            }
            Err(fault) => return Err(fault),
        }
        let next_page = fetch
            .crosses
            .then(|| (key.phys - u64::from(offset)).wrapping_add(PAGE.into()));
        let ir = builder.block.clone();
        let (mut optimised, mut scratch) = (builder.block, opt::Scratch::default());
        let lives = opt::improve(&mut optimised, G::LAYOUT, CallEffect::of::<G>, &mut scratch);
        let host = emit::<G>(key, next_page, &optimised, lives);
        opt::compact(&mut optimised, &mut scratch);
        if host.is_some() || limit == 1 {
            return Ok(Stages {
                ir,
                optimised,
                next_page,
                host,
            });
        }
        limit /= 2;
    }
}

fn emit<G: Guest>(key: BlockKey, next_page: Option<u64>, block: &Block, lives: &Lives) -> Option<x64::Code> {
    let info = EmitInfo {
        layout: G::LAYOUT,
        state: size_of::<G::State>(),
        effect: CallEffect::of::<G>,
        thunks: &THUNKS,
        at: AT,
        next_page,
        alone: false,
        extensions: Extensions::ALL,
        first_site: 0,
    };
    x64::emit(key, block, lives, &info, &mut x64::Scratch::default()).map(std::mem::take)
}

/// The host code as text, with names for what it refers to.
pub fn host<G: Guest>(stages: &Stages) -> Host {
    match &stages.host {
        Some(code) => host::text(code, G::LAYOUT, stages.next_page),
        None => Host {
            text: "    interpreted: too many values are alive at once\n".into(),
            insns: 0,
        },
    }
}

/// Which host register holds what, as the heading of host code.
pub fn registers<G: Guest>() -> String {
    host::registers(G::LAYOUT)
}

/// A block's IR as text.
pub fn ir<G: Guest>(block: &Block) -> String {
    Listing {
        block,
        layout: G::LAYOUT,
    }
    .to_string()
}

//! The blocks: found by physical page and offset, linked to one another, forgotten when their bytes change.

use super::pages::{ByAddress, Pages};
use crate::cache::{Cache, Offset};
use crate::interp::Prepared;
use crate::opt::{CallEffect, Lives};
#[cfg(doc)]
use crate::tlb::NO_RECORD;
use crate::tlb::{PAGE, Tlb};
use crate::x64::{self, EmitInfo, Site, What, thunks::Thunks};
use emu_ir::{Block, BlockKey, Guest, Layout};
use std::collections::HashMap;
use std::sync::Arc;

/// A block's number, good until the next [`Blocks::era`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found(u32);

const NONE: u32 = u32::MAX;

enum Made {
    Ir(Arc<Prepared>),
    Host { checked: Offset, fast: Offset },
}

/// What a block that is gone was made to.
const GONE: Made = Made::Host { checked: 0, fast: 0 };

struct Entry {
    phys: u64,
    /// The number of its page.
    page: u32,
    mode: u64,
    kept: u64,
    len: u32,
    /// Guest instructions.
    insns: u32,
    /// The next page it reaches into, if it does.
    next_page: Option<u64>,
    made: Made,
    /// The next block at the same place, of another mode or with another next page.
    chain: u32,
    /// Sites whose branches go to it, and where they go while they are not linked.
    incoming: Vec<(u32, Offset)>,
}

impl Entry {
    /// Where its bytes lie, as physical address and length: in its page, and in the next.
    fn parts(&self) -> impl Iterator<Item = (u64, u32)> {
        let here = 4096 - (self.phys & 0xfff) as u32;
        let next = self.next_page.map(|p| (p, self.len.saturating_sub(here).max(1)));
        std::iter::once((self.phys, self.len.min(here))).chain(next)
    }
}

/// All translated code of a vCPU.
pub struct Blocks {
    layout: &'static Layout,
    cache: Option<Cache>,
    thunks: Thunks,
    /// The pages that they were made from.
    pub pages: Pages,
    entries: Vec<Entry>,
    /// Entries of blocks that are gone.
    unused: Vec<u32>,
    /// The first block at each place.
    heads: ByAddress<u32>,
    sites: Vec<Site>,
    /// How many bytes all of this may take.
    limit: usize,
    /// Bytes of the IR in it.
    ir: usize,
    /// Links between blocks.
    links: usize,
    era: u32,
    alone: bool,
    /// Branches to other pages go straight to blocks that are there.
    chained: bool,
    /// Blocks were forgotten since bytes that they were made from changed: who runs one may want to leave it.
    pub rewritten: bool,
}

/// Bytes that a block takes beside its code: its entry, and its places in the map and in its page's list.
const ENTRY: usize = size_of::<Entry>() + 64;
/// Bytes that a link takes in its target's list, which may be twice as long as need be.
const LINK: usize = 2 * size_of::<(u32, Offset)>();
/// Room that the largest block may take.
const ROOM: usize = 1 << 20;

impl Blocks {
    /// In at most `limit` bytes of memory (at least 8 MiB), by host code or else by IR. `alone`: see [`EmitInfo::alone`].
    ///
    /// # Errors
    /// The host's.
    pub fn new(layout: &'static Layout, limit: usize, host: bool, alone: bool) -> std::io::Result<Blocks> {
        // It is mapped twice, and a host counts what is mapped.
        let size = (limit / 2).min(Cache::LARGEST);
        let mut cache = if host { Some(Cache::new(size & !0xfff)?) } else { None };
        let thunks = cache
            .as_mut()
            .map(|c| x64::thunks::build(c, layout))
            .unwrap_or_default();
        Ok(Blocks {
            layout,
            cache,
            pages: Pages::new(layout.insn_shift, thunks.lookup),
            thunks,
            entries: Vec::new(),
            unused: Vec::new(),
            heads: HashMap::default(),
            sites: Vec::new(),
            limit,
            ir: 0,
            links: 0,
            era: 0,
            alone,
            chained: true,
            rewritten: false,
        })
    }
    /// Bytes of memory that all of it takes.
    pub fn held(&self) -> usize {
        let host = self.cache.as_ref().map_or(0, |c| 2 * c.used());
        let known = self.entries.len() * ENTRY + self.sites.len() * size_of::<Site>() + self.links * LINK;
        host + known + self.ir + self.pages.held()
    }
    /// See that there is room for a block.
    fn make_room(&mut self, tlb: &mut Tlb) {
        let full = self.cache.as_ref().is_some_and(|c| c.free() < ROOM);
        if full || self.held() + ROOM > self.limit {
            self.forget_all(tlb);
        }
    }
    /// Executable address of the cache's start.
    pub fn base(&self) -> u64 {
        self.cache.as_ref().map_or(0, Cache::base)
    }
    /// Address of the entering thunk.
    pub fn enter(&self) -> u64 {
        self.base() + self.thunks.enter as u64
    }
    /// Changes when everything was forgotten: block and site numbers of before mean nothing.
    pub fn era(&self) -> u32 {
        self.era
    }
    /// A site by number.
    pub fn site(&self, n: u32) -> &Site {
        &self.sites[n as usize]
    }
    /// Where a `Goto` site goes: bytes from the start of its page.
    #[expect(
        clippy::unreachable,
        reason = "the emitter leaves by the goto thunks with sites of `Goto`"
    )]
    pub fn goto_offset(&self, n: u32) -> i32 {
        match self.site(n).what {
            What::Goto { offset, .. } => offset,
            What::Mem(_) | What::Helper(..) | What::Eval(_) => unreachable!("a goto site"),
        }
    }
    /// Note that control came to a block from the engine: it will come again, so that jumps by address are to find it by
    /// themselves. Its page's record and the address of its jump table, if they may use it.
    pub fn came_to(&mut self, b: Found) -> Option<(u64, u64)> {
        let e = &self.entries[b.0 as usize];
        match e.made {
            Made::Host { checked, .. } if self.chained => {
                Some((e.page.into(), self.pages.enter_again(e.page, e.phys, checked)))
            }
            Made::Host { .. } | Made::Ir(_) => None,
        }
    }
    /// Where the host code that jumps by address find at an offset in a page is: the page by its record's number, of which
    /// [`NO_RECORD`] is none.
    pub fn known(&self, record: u64, pc: u64) -> Option<u64> {
        let entry = self.pages.entry(record, pc)?;
        Some(self.base() + u64::from(entry))
    }
    /// The block for a key, and with that next page if one is given: see [`Blocks::crosses`].
    pub fn lookup(&self, key: BlockKey, next_page: Option<u64>) -> Option<Found> {
        let mut at = *self.heads.get(&key.phys)?;
        while at != NONE {
            let e = &self.entries[at as usize];
            if key.mode & e.kept == e.mode && (next_page.is_none() || e.next_page == next_page) {
                return Some(Found(at));
            }
            at = e.chain;
        }
        None
    }
    /// Whether branches to other pages go straight to blocks that are there; else they come back to the engine. Blocks of
    /// before are to be forgotten.
    pub fn set_chained(&mut self, chained: bool) {
        self.chained = chained;
    }
    /// Where a block's bytes lie: address and length, the next page it reaches into; and how many instructions it has.
    pub fn extent(&self, b: Found) -> (u64, u32, Option<u64>, u32) {
        let e = &self.entries[b.0 as usize];
        (e.phys, e.len, e.next_page, e.insns)
    }
    /// Whether a block is an instruction that reaches into the next page: it may run only where that page is the one it was
    /// made from. Its host code looks by itself; who has it otherwise must.
    pub fn crosses(&self, b: Found) -> bool {
        self.entries[b.0 as usize].next_page.is_some()
    }
    /// A block's IR, if it is to be interpreted.
    pub fn ir(&self, b: Found) -> Option<Arc<Prepared>> {
        match &self.entries[b.0 as usize].made {
            Made::Ir(ir) => Some(ir.clone()),
            Made::Host { .. } => None,
        }
    }
    /// Address of a block's host code for those who know the mode.
    pub fn entry(&self, b: Found) -> Option<u64> {
        match self.entries[b.0 as usize].made {
            Made::Host { fast, .. } => Some(self.base() + fast as u64),
            Made::Ir(_) => None,
        }
    }
    /// Keep a block as IR. May forget everything else first.
    pub fn install_ir(&mut self, key: BlockKey, block: &Block, next_page: Option<u64>, tlb: &mut Tlb) -> Found {
        self.make_room(tlb);
        let ir = Arc::new(Prepared::new(block.clone()));
        self.ir += ir.held();
        self.insert(key, block, next_page, Made::Ir(ir))
    }
    /// Emit a block. `None`: too large, translate a shorter one. May forget everything else first.
    pub fn install<G: Guest>(
        &mut self,
        key: BlockKey,
        (block, lives): (&Block, &Lives),
        next_page: Option<u64>,
        scratch: &mut x64::Scratch,
        tlb: &mut Tlb,
    ) -> Option<Found> {
        self.make_room(tlb);
        let cache = self.cache.as_mut()?;
        let info = EmitInfo {
            layout: self.layout,
            state: size_of::<G::State>(),
            effect: CallEffect::of::<G>,
            thunks: &self.thunks,
            at: cache.next(),
            next_page,
            alone: self.alone,
            first_site: self.sites.len() as u32,
        };
        let code = x64::emit(key, block, lives, &info, scratch)?;
        let checked = cache.push(&code.bytes);
        self.ir += code.sites.iter().map(|site| site.what.held()).sum::<usize>();
        self.sites.append(&mut code.sites);
        let fast = checked + code.fast;
        let made = Made::Host { checked, fast };
        Some(self.insert(key, block, next_page, made))
    }
    fn insert(&mut self, key: BlockKey, block: &Block, next_page: Option<u64>, made: Made) -> Found {
        let number = self.unused.pop().unwrap_or(self.entries.len() as u32);
        let kept = !block.mode_ignored;
        let page = self.pages.number(key.phys);
        if let Made::Host { checked, .. } = made
            && self.chained
        {
            self.pages.enter(page, key.phys, checked);
        }
        let entry = Entry {
            phys: key.phys,
            page,
            mode: key.mode & kept,
            kept,
            len: block.guest_bytes.max(1),
            insns: block.guest_insns,
            next_page,
            made,
            chain: self.heads.insert(key.phys, number).unwrap_or(NONE),
            incoming: Vec::new(),
        };
        self.pages.add(number, entry.parts());
        match self.entries.get_mut(number as usize) {
            Some(unused) => *unused = entry,
            None => self.entries.push(entry),
        }
        Found(number)
    }
    /// Let the branch at a site, which is not linked, go straight to a block: past its check if the site's mode answers it.
    pub fn link(&mut self, site: u32, to: Found) {
        let What::Goto {
            patch: Some(patch),
            mode,
            kept,
            ..
        } = self.sites[site as usize].what
        else {
            return;
        };
        let Some(cache) = &mut self.cache else { return };
        let e = &mut self.entries[to.0 as usize];
        if let Made::Host { checked, fast } = e.made {
            let known = e.kept & !kept == 0 && mode & e.kept == e.mode;
            let before = cache.patch(patch, if known { fast } else { checked });
            e.incoming.push((site, before));
            self.links += 1;
        }
    }
    /// Bytes in one page changed: forget the blocks made from them.
    pub fn invalidate(&mut self, phys: u64, len: u32) {
        if !self.pages.covers(phys, len) {
            return;
        }
        let (from, to) = (phys, phys + len as u64);
        let hit = |&n: &u32| {
            let mut parts = self.entries[n as usize].parts();
            parts.any(|(start, len)| start < to && from < start + u64::from(len))
        };
        let dead: Vec<u32> = self.pages.members(phys).iter().copied().filter(hit).collect();
        self.rewritten |= !dead.is_empty();
        for n in dead {
            self.remove(n);
        }
    }
    /// Bytes in any range changed.
    pub fn invalidate_range(&mut self, phys: u64, len: u64) {
        let mut at = phys;
        let end = phys.saturating_add(len);
        if len >> 12 > self.pages.len() as u64 {
            // Longer than there are pages: ask the pages instead.
            let within = |p: &u64| p + 4096 > phys && *p < end;
            let hit: Vec<u64> = self.pages.addresses().filter(within).collect();
            hit.into_iter().for_each(|p| self.invalidate(p, 4096));
            return;
        }
        while at < end {
            let stop = ((at & PAGE) + 4096).min(end);
            self.invalidate(at, (stop - at) as u32);
            at = stop;
        }
    }
    /// Forget the blocks with a byte at this offset in any page.
    pub fn invalidate_offset(&mut self, offset: u32) {
        let pages: Vec<u64> = self.pages.addresses().collect();
        for page in pages {
            self.invalidate(page | u64::from(offset), 1);
        }
    }
    fn remove(&mut self, n: u32) {
        let e = &mut self.entries[n as usize];
        let (phys, page, next_page, chain) = (e.phys, e.page, e.next_page, e.chain);
        let incoming = std::mem::take(&mut e.incoming);
        if let Made::Ir(ir) = std::mem::replace(&mut e.made, GONE) {
            self.ir -= ir.held();
        }
        self.links -= incoming.len();
        for (site, stub) in incoming {
            self.unlink(site, stub);
        }
        self.unchain(n, phys, chain);
        self.pages.leave(page, phys);
        for page in [Some(phys & PAGE), next_page].into_iter().flatten() {
            let entries = &self.entries;
            self.pages.remove(n, page, |m| entries[m as usize].parts());
        }
        self.unused.push(n);
    }
    /// Take a block out of the list of those at its place; `next` follows it there.
    fn unchain(&mut self, n: u32, phys: u64, next: u32) {
        let head = self.heads.get(&phys).copied().unwrap_or(NONE);
        if head != n {
            let mut before = head;
            while before != NONE && self.entries[before as usize].chain != n {
                before = self.entries[before as usize].chain;
            }
            if before != NONE {
                self.entries[before as usize].chain = next;
            }
        } else if next == NONE {
            self.heads.remove(&phys);
        } else {
            self.heads.insert(phys, next);
        }
    }
    fn unlink(&mut self, site: u32, stub: Offset) {
        let What::Goto { patch: Some(patch), .. } = self.sites[site as usize].what else {
            return;
        };
        if let Some(cache) = &mut self.cache {
            cache.patch(patch, stub);
        }
    }
    /// Forget all blocks, and the fetch entries that point to their tables.
    pub fn forget_all(&mut self, tlb: &mut Tlb) {
        tlb.forget_code();
        self.pages.clear();
        self.entries.clear();
        self.unused.clear();
        self.heads.clear();
        self.sites.clear();
        (self.ir, self.links) = (0, 0);
        self.era += 1;
        if let Some(c) = &mut self.cache {
            c.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::TestGuest;
    use crate::opt;
    use emu_ir::{Builder, Leave};

    const AT: u64 = 0x5010;

    /// Of an interpreter.
    fn blocks() -> Blocks {
        Blocks::new(TestGuest::LAYOUT, 8 << 20, false, true).unwrap()
    }
    fn install(blocks: &mut Blocks, phys: u64, block: &Block, next_page: Option<u64>) -> Found {
        let key = BlockKey { phys, mode: 0 };
        blocks.install_ir(key, block, next_page, &mut Tlb::new(1))
    }

    /// A block there; whether its page was not guarded.
    fn translated(blocks: &mut Blocks) -> bool {
        install(blocks, AT, &Block::default(), None);
        blocks.pages.guard(AT)
    }
    /// Stores over the block until they need not be looked at; how many there were.
    fn stores_until_relaxed(blocks: &mut Blocks) -> usize {
        (1..10_000)
            .find(|_| {
                blocks.invalidate(AT, 4);
                blocks.pages.relax(AT)
            })
            .expect("some day")
    }

    #[test]
    #[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
    fn a_page_that_gets_code_again_and_again_is_guarded_for_longer_and_longer() {
        let mut blocks = blocks();
        assert!(!blocks.pages.guards(AT));

        for want in [2, 4, 8] {
            assert!(translated(&mut blocks), "its TLB entries must be told");
            assert!(blocks.pages.guards(AT));
            assert_eq!(stores_until_relaxed(&mut blocks), want);
        }

        assert!(translated(&mut blocks));
        for _ in 0..100 {
            blocks.invalidate(AT, 4);
            assert!(!blocks.pages.relax(AT), "one store");
            assert!(!translated(&mut blocks), "still guarded");
        }
        (0..20).for_each(|_| {
            stores_until_relaxed(&mut blocks);
            translated(&mut blocks);
        });
        assert_eq!(stores_until_relaxed(&mut blocks), 1024);
    }

    #[test]
    #[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
    fn a_page_with_code_stays_guarded_whatever_is_stored_elsewhere_in_it() {
        let mut blocks = blocks();
        translated(&mut blocks);
        assert!((0..5000).all(|_| !blocks.pages.relax(AT | 0x800)));
    }

    /// A block of four bytes that starts two bytes before its page's end.
    fn crossing(blocks: &mut Blocks, next_page: u64) -> BlockKey {
        let key = BlockKey { phys: 0x5ffe, mode: 0 };
        let block = Block {
            guest_bytes: 4,
            ..Block::default()
        };
        install(blocks, key.phys, &block, Some(next_page));
        key
    }

    #[test]
    fn a_block_that_crosses_is_forgotten_by_a_store_to_either_part() {
        for next_page in [0x6000, 0x9000, 0x5000] {
            for (store, gone) in [
                (0x5ffc, false),
                (0x5ffe, true),
                (next_page, true),
                (next_page + 1, true),
                (next_page + 2, false),
            ] {
                let mut blocks = blocks();
                let key = crossing(&mut blocks, next_page);

                blocks.invalidate(store, 1);

                let left = blocks.lookup(key, None);
                assert_eq!(left.is_none(), gone, "{store:#x} of {next_page:#x}");
            }
        }
    }

    #[test]
    fn a_block_that_crosses_is_seen_in_both_parts_when_another_is_forgotten() {
        for next_page in [0x6000, 0x5000] {
            let mut blocks = blocks();
            crossing(&mut blocks, next_page);
            for phys in [0x5800, next_page + 0x400] {
                install(&mut blocks, phys, &Block::default(), None);
                blocks.invalidate(phys, 1);
            }

            assert!(
                blocks.pages.covers(0x5ffe, 2) && blocks.pages.covers(next_page, 2),
                "{next_page:#x}"
            );
            assert!(!blocks.pages.covers(0x5800, 1) && !blocks.pages.covers(next_page + 0x400, 1));
        }
    }

    #[test]
    fn blocks_that_cross_into_different_pages_are_told_apart() {
        let mut blocks = blocks();
        let key = crossing(&mut blocks, 0x6000);
        crossing(&mut blocks, 0x9000);

        let [six, nine] = [0x6000, 0x9000].map(|page| blocks.lookup(key, Some(page)));

        assert!(six.is_some() && nine.is_some() && six != nine);
        assert_eq!(blocks.lookup(key, Some(0x7000)), None);
    }

    #[test]
    #[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
    fn code_that_is_rewritten_again_and_again_takes_no_more_memory() {
        let mut blocks = blocks();
        let mut held = Vec::new();
        install(&mut blocks, AT + 0x100, &Block::default(), None);
        for _ in 0..1000 {
            install(&mut blocks, AT, &Block::default(), None);
            held.push(blocks.held());
            blocks.invalidate(AT, 4);
        }
        assert_eq!(held.iter().min(), held.iter().max());
        assert_eq!(blocks.era(), 0);
    }

    /// A block in each of many pages, by host code or IR; how much memory they take at most, and how often all were
    /// forgotten.
    fn many(host: bool) -> (usize, u32) {
        let (mut blocks, mut tlb) = (
            Blocks::new(TestGuest::LAYOUT, 8 << 20, host, true).unwrap(),
            Tlb::new(1),
        );
        let (mut passes, mut scratch) = (opt::Scratch::default(), x64::Scratch::default());
        let mut b = Builder::new();
        b.exit(Leave::Sync);
        let mut most = 0;
        for n in 0..100_000 {
            let key = BlockKey { phys: n << 12, mode: 0 };
            let lives = opt::lives(&b.block, TestGuest::LAYOUT, CallEffect::of::<TestGuest>, &mut passes);
            let found = match host {
                true => blocks.install::<TestGuest>(key, (&b.block, lives), None, &mut scratch, &mut tlb),
                false => Some(blocks.install_ir(key, &b.block, None, &mut tlb)),
            };
            assert!(found.is_some() && blocks.lookup(key, None) == found);
            if n % 8 == 0 {
                blocks.came_to(found.expect("installed"));
            }
            most = most.max(blocks.held());
        }
        (most, blocks.era())
    }

    #[test]
    #[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
    fn all_blocks_together_take_no_more_than_they_may() {
        let hosts = [false].into_iter().chain(x64::supported().then_some(true));
        for (host, (most, forgotten)) in hosts.map(|host| (host, many(host))) {
            assert!(most <= 8 << 20, "{most} bytes, host code: {host}");
            assert!(forgotten > 2, "forgotten {forgotten} times, host code: {host}");
        }
    }
}

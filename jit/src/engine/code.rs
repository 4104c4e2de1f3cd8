//! The blocks: found by physical page and offset, linked to one another, forgotten when their bytes change.

use crate::cache::{Cache, Offset};
use crate::interp::Prepared;
use crate::opt::{CallEffect, Lives};
use crate::tlb::{PAGE, Tlb};
use crate::x64::{self, Site, Target, What, thunks::Thunks};
use emu_ir::{Block, BlockKey, Guest, Layout};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

/// A block's number, good until the next [`Code::era`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found(u32);

const NONE: u32 = u32::MAX;

/// Page numbers are well spread already: one multiplication.
#[derive(Default)]
pub struct PageHasher(u64);
impl Hasher for PageHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&b| self.write_u64(b as u64));
    }
    fn write_u64(&mut self, v: u64) {
        self.0 = (self.0 ^ v).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(26);
    }
}

enum Made {
    Ir(Arc<Prepared>),
    Host { checked: Offset, fast: Offset },
}

struct Entry {
    phys: u64,
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

struct Page {
    /// Entry offsets into the cache for jumps by address, one for each possible instruction.
    table: Box<[u32]>,
    /// The first block at each place.
    heads: Box<[u32]>,
    /// Blocks with a byte in this page.
    members: Vec<u32>,
    /// 64-byte pieces that blocks were made from, a bit each.
    pieces: u64,
    /// Stores to it are looked at: every TLB entry for it says so.
    guarded: bool,
    /// Stores since it last had code.
    idle: u16,
    /// How many of those there must be until stores are no longer looked at: more each time that was too early, as
    /// finding the TLB entries again costs far more than looking at a store.
    patience: u16,
}

/// [`Page::patience`] at most.
const PATIENCE: u16 = 1024;

/// All translated code of a vCPU.
pub struct Code {
    layout: &'static Layout,
    cache: Option<Cache>,
    thunks: Thunks,
    pages: HashMap<u64, Page, BuildHasherDefault<PageHasher>>,
    entries: Vec<Entry>,
    sites: Vec<Site>,
    era: u32,
    alone: bool,
    /// Branches to other pages go straight to blocks that are there.
    chained: bool,
    /// Blocks were forgotten since bytes that they were made from changed: who runs one may want to leave it.
    pub rewritten: bool,
}

impl Code {
    /// With a code cache of `size` bytes, or none. `alone`: see [`Target::alone`].
    ///
    /// # Errors
    /// The host's.
    pub fn new(layout: &'static Layout, size: usize, alone: bool) -> std::io::Result<Code> {
        let mut cache = if size == 0 { None } else { Some(Cache::new(size)?) };
        let thunks = cache
            .as_mut()
            .map(|c| x64::thunks::build(c, layout))
            .unwrap_or_default();
        let (pages, entries, sites) = (HashMap::default(), Vec::new(), Vec::new());
        Ok(Code {
            layout,
            cache,
            thunks,
            pages,
            entries,
            sites,
            era: 0,
            alone,
            chained: true,
            rewritten: false,
        })
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
    pub fn goto_offset(&self, n: u32) -> i32 {
        match self.site(n).what {
            What::Goto { offset, .. } => offset,
            What::Mem(_) | What::Helper(..) | What::Eval(_) => unreachable!("a goto site"),
        }
    }
    fn slot(&self, phys: u64) -> usize {
        (phys & 0xfff) as usize >> self.layout.insn_shift
    }
    /// The page's record, made if it is new.
    fn page(&mut self, phys: u64) -> &mut Page {
        let places = 4096 >> self.layout.insn_shift;
        let miss = self.thunks.lookup;
        self.pages.entry(phys & PAGE).or_insert_with(|| Page {
            table: vec![miss; places].into(),
            heads: vec![NONE; places].into(),
            members: Vec::new(),
            pieces: 0,
            guarded: false,
            idle: 0,
            patience: 1,
        })
    }
    /// The address of a page's jump table; good until the next era.
    pub fn table(&mut self, phys: u64) -> u64 {
        self.page(phys).table.as_ptr() as u64
    }
    /// The block for a key, and with that next page if one is given: see [`Code::crosses`].
    pub fn lookup(&mut self, key: BlockKey, next_page: Option<u64>) -> Option<Found> {
        let slot = self.slot(key.phys);
        let page = self.pages.get_mut(&(key.phys & PAGE))?;
        let mut at = page.heads[slot];
        while at != NONE {
            let e = &self.entries[at as usize];
            let there = e.phys == key.phys && key.mode & e.kept == e.mode;
            if there && (next_page.is_none() || e.next_page == next_page) {
                if let Made::Host { checked, .. } = e.made
                    && self.chained
                {
                    page.table[slot] = checked;
                }
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
    /// Keep a block as IR.
    pub fn install_ir(&mut self, key: BlockKey, block: &Block, next_page: Option<u64>) -> Found {
        let made = Made::Ir(Arc::new(Prepared::new(block.clone())));
        self.insert(key, block, next_page, made)
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
        if self.cache.as_ref()?.free() < 1 << 20 {
            self.forget_all(tlb);
        }
        let cache = self.cache.as_mut()?;
        let target = Target {
            layout: self.layout,
            effect: CallEffect::of::<G>,
            thunks: &self.thunks,
            at: cache.next(),
            next_page,
            alone: self.alone,
            first_site: self.sites.len() as u32,
        };
        let code = x64::emit(key, block, lives, &target, scratch)?;
        let checked = cache.push(&code.bytes);
        self.sites.append(&mut code.sites);
        let fast = checked + code.fast;
        let made = Made::Host { checked, fast };
        Some(self.insert(key, block, next_page, made))
    }
    fn insert(&mut self, key: BlockKey, block: &Block, next_page: Option<u64>, made: Made) -> Found {
        let number = self.entries.len() as u32;
        let kept = !block.mode_ignored;
        let slot = self.slot(key.phys);
        let len = block.guest_bytes.max(1);
        let checked = match made {
            Made::Host { checked, .. } if self.chained => Some(checked),
            Made::Host { .. } | Made::Ir(_) => None,
        };
        let page = self.page(key.phys);
        let chain = std::mem::replace(&mut page.heads[slot], number);
        if let Some(checked) = checked {
            page.table[slot] = checked;
        }
        let entry = Entry {
            phys: key.phys,
            mode: key.mode & kept,
            kept,
            len,
            insns: block.guest_insns,
            next_page,
            made,
            chain,
            incoming: Vec::new(),
        };
        for (phys, len) in entry.parts() {
            let page = self.page(phys);
            if page.members.last() != Some(&number) {
                page.members.push(number);
            }
            page.pieces |= pieces(phys, len);
        }
        self.entries.push(entry);
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
        }
    }
    /// Whether blocks were made from bytes in a range that lies in one page.
    pub fn covers(&self, phys: u64, len: u32) -> bool {
        let Some(page) = self.pages.get(&(phys & PAGE)) else {
            return false;
        };
        page.pieces & pieces(phys, len.max(1)) != 0
    }
    /// Whether stores to a page are to be looked at: it has blocks, or had some lately.
    pub fn guards(&self, phys: u64) -> bool {
        self.pages.get(&(phys & PAGE)).is_some_and(|p| p.guarded)
    }
    /// A page has a new block; whether its TLB entries must be told.
    pub fn guard(&mut self, phys: u64) -> bool {
        let page = self.page(phys);
        page.idle = 0;
        let fresh = !page.guarded;
        if fresh {
            page.guarded = true;
            page.patience = (page.patience * 2).min(PATIENCE);
        }
        fresh
    }
    /// A store to a page was looked at; whether the next need not be.
    pub fn relax(&mut self, phys: u64) -> bool {
        let Some(page) = self.pages.get_mut(&(phys & PAGE)) else {
            return true;
        };
        if page.pieces == 0 && page.guarded {
            page.idle += 1;
            page.guarded = page.idle < page.patience;
        }
        !page.guarded
    }
    /// Bytes in one page changed: forget the blocks made from them.
    pub fn invalidate(&mut self, phys: u64, len: u32) {
        if !self.covers(phys, len) {
            return;
        }
        let page = &self.pages[&(phys & PAGE)];
        let (from, to) = (phys, phys + len as u64);
        let hit = |&n: &u32| {
            let mut parts = self.entries[n as usize].parts();
            parts.any(|(start, len)| start < to && from < start + u64::from(len))
        };
        let dead: Vec<u32> = page.members.iter().copied().filter(hit).collect();
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
            let hit: Vec<u64> = self
                .pages
                .keys()
                .copied()
                .filter(|p| p + 4096 > phys && *p < end)
                .collect();
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
        let pages: Vec<u64> = self.pages.keys().copied().collect();
        for page in pages {
            self.invalidate(page | u64::from(offset), 1);
        }
    }
    fn remove(&mut self, n: u32) {
        let (phys, next_page) = (self.entries[n as usize].phys, self.entries[n as usize].next_page);
        let incoming = std::mem::take(&mut self.entries[n as usize].incoming);
        for (site, stub) in incoming {
            self.unlink(site, stub);
        }
        let (slot, miss) = (self.slot(phys), self.thunks.lookup);
        let chain = self.entries[n as usize].chain;
        let mut before = self.pages[&(phys & PAGE)].heads[slot];
        if before == n {
            before = NONE;
        }
        while before != NONE && self.entries[before as usize].chain != n {
            before = self.entries[before as usize].chain;
        }
        match before {
            NONE => self.page(phys).heads[slot] = chain,
            b => self.entries[b as usize].chain = chain,
        }
        self.page(phys).table[slot] = miss;
        for page in [Some(phys & PAGE), next_page].into_iter().flatten() {
            self.page(page).members.retain(|&m| m != n);
            self.recount(page);
        }
    }
    fn recount(&mut self, page: u64) {
        let mut bits = 0;
        for &m in &self.pages[&page].members {
            let parts = self.entries[m as usize].parts();
            let here = parts.filter(|(phys, _)| phys & PAGE == page);
            bits |= here.fold(0, |bits, (phys, len)| bits | pieces(phys, len));
        }
        self.page(page).pieces = bits;
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
        self.sites.clear();
        self.era += 1;
        if let Some(c) = &mut self.cache {
            c.reset();
        }
    }
}

/// The 64-byte pieces of a page that `len >= 1` bytes at a physical address touch.
fn pieces(phys: u64, len: u32) -> u64 {
    let first = (phys & 0xfff) as u32;
    let (a, b) = (first >> 6, (first + len - 1).min(4095) >> 6);
    (u64::MAX >> (63 - (b - a))) << a
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::TestGuest;

    const AT: u64 = 0x5010;

    /// A block there; whether its page was not guarded.
    fn translated(code: &mut Code) -> bool {
        let (key, block) = (BlockKey { phys: AT, mode: 0 }, Block::default());
        code.install_ir(key, &block, None);
        code.guard(AT)
    }
    /// Stores over the block until they need not be looked at; how many there were.
    fn stores_until_relaxed(code: &mut Code) -> usize {
        (1..10_000)
            .find(|_| {
                code.invalidate(AT, 4);
                code.relax(AT)
            })
            .expect("some day")
    }

    #[test]
    fn a_page_that_gets_code_again_and_again_is_guarded_for_longer_and_longer() {
        let mut code = Code::new(TestGuest::LAYOUT, 0, true).unwrap();
        assert!(!code.guards(AT));

        for want in [2, 4, 8] {
            assert!(translated(&mut code), "its TLB entries must be told");
            assert!(code.guards(AT));
            assert_eq!(stores_until_relaxed(&mut code), want);
        }

        assert!(translated(&mut code));
        for _ in 0..100 {
            code.invalidate(AT, 4);
            assert!(!code.relax(AT), "one store");
            assert!(!translated(&mut code), "still guarded");
        }
        (0..20).for_each(|_| {
            stores_until_relaxed(&mut code);
            translated(&mut code);
        });
        assert_eq!(stores_until_relaxed(&mut code), usize::from(PATIENCE));
    }

    #[test]
    fn a_page_with_code_stays_guarded_whatever_is_stored_elsewhere_in_it() {
        let mut code = Code::new(TestGuest::LAYOUT, 0, true).unwrap();
        translated(&mut code);
        assert!((0..5000).all(|_| !code.relax(AT | 0x800)));
    }

    /// A block of four bytes that starts two bytes before its page's end.
    fn crossing(code: &mut Code, next_page: u64) -> BlockKey {
        let key = BlockKey { phys: 0x5ffe, mode: 0 };
        let block = Block {
            guest_bytes: 4,
            ..Block::default()
        };
        code.install_ir(key, &block, Some(next_page));
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
                let mut code = Code::new(TestGuest::LAYOUT, 0, true).unwrap();
                let key = crossing(&mut code, next_page);

                code.invalidate(store, 1);

                let left = code.lookup(key, None);
                assert_eq!(left.is_none(), gone, "{store:#x} of {next_page:#x}");
            }
        }
    }

    #[test]
    fn a_block_that_crosses_is_seen_in_both_parts_when_another_is_forgotten() {
        for next_page in [0x6000, 0x5000] {
            let mut code = Code::new(TestGuest::LAYOUT, 0, true).unwrap();
            crossing(&mut code, next_page);
            for phys in [0x5800, next_page + 0x400] {
                code.install_ir(BlockKey { phys, mode: 0 }, &Block::default(), None);
                code.invalidate(phys, 1);
            }

            assert!(code.covers(0x5ffe, 2) && code.covers(next_page, 2), "{next_page:#x}");
            assert!(!code.covers(0x5800, 1) && !code.covers(next_page + 0x400, 1));
        }
    }

    #[test]
    fn blocks_that_cross_into_different_pages_are_told_apart() {
        let mut code = Code::new(TestGuest::LAYOUT, 0, true).unwrap();
        let key = crossing(&mut code, 0x6000);
        crossing(&mut code, 0x9000);

        let [six, nine] = [0x6000, 0x9000].map(|page| code.lookup(key, Some(page)));

        assert!(six.is_some() && nine.is_some() && six != nine);
        assert_eq!(code.lookup(key, Some(0x7000)), None);
    }
}

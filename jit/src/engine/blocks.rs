//! The blocks: found by physical page and offset, linked to one another, forgotten when their bytes change.
//!
//! [`Blocks`] is what changes as they come and go; [`super::book`] has it behind a lock, with what is read without.

use super::list::List;
use super::pages::{ByAddress, Jumps, Pages};
use crate::cache::{Cache, Offset};
use crate::interp::Prepared;
use crate::opt::{CallEffect, Lives};
use crate::tlb::PAGE;
use crate::x64::{self, EmitInfo, Extensions, Site, What, thunks::Thunks};
use emu_ir::{Block, BlockKey, Guest, Layout};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::*};

/// A block that was found. It may have gone since: what it was is still good to run once more, but nothing is to be
/// linked to it.
#[derive(Clone)]
pub struct Found {
    number: u32,
    /// No other block has had this, or will have: 0 if it was never put in.
    serial: u64,
    /// Where its bytes lie.
    pub extent: Extent,
    /// How it is run.
    pub how: How,
}

/// Where a block's bytes lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Physical address of the first.
    pub phys: u64,
    /// How many.
    pub len: u32,
    /// How many guest instructions.
    pub insns: u32,
    /// The next page, if it reaches into that: it may run only where the page is this one. Host code looks by itself; who
    /// has it otherwise must.
    pub next_page: Option<u64>,
}

/// How a block is run.
#[derive(Clone)]
pub enum How {
    /// By the host code at this address, for those who know the mode.
    Host(u64),
    /// By interpreting.
    Ir(Arc<Ir>),
}

/// A block to be interpreted.
pub struct Ir {
    /// What is to be done.
    pub code: Prepared,
    gone: AtomicBool,
}

impl Ir {
    fn new(block: Block, gone: bool) -> Arc<Ir> {
        Arc::new(Ir {
            code: Prepared::new(block),
            gone: AtomicBool::new(gone),
        })
    }
    /// Whether it is to be looked for anew: its bytes were stored to, or it was never put in.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Acquire)
    }
}

impl Found {
    /// A block that is to be run once, and was not put in.
    pub fn stray(extent: Extent, block: Block) -> Found {
        Found {
            number: NONE,
            serial: 0,
            extent,
            how: How::Ir(Ir::new(block, true)),
        }
    }
}

/// Why a block was not put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It needs more than the emitter has: a shorter one may do.
    Large,
    /// There is no room for any.
    Full,
    /// Its bytes may have changed since they were read.
    Changed,
}

/// Who a block is put in for, and what they made it from.
#[derive(Clone, Copy)]
pub struct Source {
    /// Whose reading it was: see [`Pages::read`].
    pub cpu: u32,
    /// Where, and for which mode.
    pub key: BlockKey,
    /// The page after the block's own, if it reaches into that.
    pub next_page: Option<u64>,
}

const NONE: u32 = u32::MAX;

enum Made {
    Ir(Arc<Ir>),
    Host(Host),
}

/// Places of a block's code in the cache.
#[derive(Clone, Copy)]
struct Host {
    /// Where those enter who come through a jump table.
    checked: Offset,
    /// Where those enter who know the mode.
    fast: Offset,
    /// The branch displacement to who is tried next if the mode or the next page is another; what follows it asks the
    /// engine.
    other: Offset,
}

impl Host {
    /// Where its [`Host::other`] leads to while nobody is to be tried next.
    fn gives_up(&self) -> Offset {
        self.other + 4
    }
}

/// What a block that is gone was made to.
const GONE: Made = Made::Host(Host {
    checked: 0,
    fast: 0,
    other: 0,
});

struct Entry {
    /// See [`Found`]. 0: it is gone.
    serial: u64,
    phys: u64,
    /// Its page is marked: see [`emu_ir::Page::marked`].
    marked: bool,
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
    fn parts(&self) -> impl Iterator<Item = (u64, u32)> + use<> {
        parts(self.phys, self.len, self.next_page)
    }
}

fn is_linked(linked: &[u64], site: u32) -> bool {
    linked
        .get(site as usize / 64)
        .is_some_and(|word| word >> (site % 64) & 1 != 0)
}

/// Where a block's bytes lie, as physical address and length: in its page, and in the next.
fn parts(phys: u64, len: u32, next_page: Option<u64>) -> impl Iterator<Item = (u64, u32)> {
    let here = 4096 - (phys & 0xfff) as u32;
    let next = next_page.map(|p| (p, len.saturating_sub(here).max(1)));
    std::iter::once((phys, len.min(here))).chain(next)
}

/// Blocks, and the code of those that have any.
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
    sites: Arc<List<Site>>,
    /// How many there are.
    site_count: usize,
    /// How many bytes all of this may take.
    limit: usize,
    /// Bytes of the IR in it.
    ir: usize,
    /// Links between blocks.
    links: usize,
    /// For each site a bit: its branch is linked.
    linked: Vec<u64>,
    /// How many blocks there have been.
    serials: u64,
    alone: bool,
    /// See [`EmitInfo::extensions`].
    extensions: Extensions,
    /// Branches to other pages go straight to blocks that are there.
    chained: bool,
}

/// What running code reads of blocks, without asking anybody.
pub struct Parts {
    /// Jump tables.
    pub jumps: Arc<Jumps>,
    /// Sites, by number.
    pub sites: Arc<List<Site>>,
    /// Executable address of the cache's start.
    pub base: u64,
    /// Address of the entering thunk.
    pub enter: u64,
}

/// What blocks are made for.
#[derive(Clone, Copy)]
pub struct Making {
    /// The guest's layout.
    pub layout: &'static Layout,
    /// By host code, or else by IR.
    pub host: bool,
    /// See [`EmitInfo::alone`].
    pub alone: bool,
    /// See [`EmitInfo::extensions`].
    pub extensions: Extensions,
    /// How many bytes of memory they may take, at least 8 MiB.
    pub limit: usize,
}

/// Bytes that a block takes beside its code: its entry, and its places in the map and in its page's list.
const ENTRY: usize = size_of::<Entry>() + 64;
/// Bytes that a link takes in its target's list, which may be twice as long as need be.
const LINK: usize = 2 * size_of::<(u32, Offset)>();
/// Bytes that a site takes.
const SITE: usize = size_of::<std::sync::OnceLock<Site>>();
/// Room that the largest block may take.
const ROOM: usize = 1 << 20;

impl Blocks {
    /// None yet. `chained`: branches to other pages go straight to blocks that are there, else they come back to the engine.
    ///
    /// # Errors
    /// The host's.
    pub fn new(making: &Making, chained: bool) -> std::io::Result<(Blocks, Parts)> {
        let &Making { layout, limit, .. } = making;
        // It is mapped twice, and a host counts what is mapped.
        let size = (limit / 2).min(Cache::LARGEST) & !0xfff;
        let mut cache = if making.host { Some(Cache::new(size)?) } else { None };
        let thunks = cache
            .as_mut()
            .map(|c| x64::thunks::build(c, layout))
            .unwrap_or_default();
        let most = limit / (4096 >> layout.insn_shift) / size_of::<Offset>();
        let jumps = Arc::new(Jumps::new(layout.insn_shift, thunks.lookup, most));
        let sites = Arc::new(List::new(if making.host { limit / size_of::<Site>() } else { 0 }));
        let base = cache.as_ref().map_or(0, Cache::base);
        let parts = Parts {
            jumps: jumps.clone(),
            sites: sites.clone(),
            base,
            enter: base + u64::from(thunks.enter),
        };
        let blocks = Blocks {
            layout,
            cache,
            pages: Pages::new(jumps),
            thunks,
            entries: Vec::new(),
            unused: Vec::new(),
            heads: HashMap::default(),
            sites,
            site_count: 0,
            limit,
            ir: 0,
            links: 0,
            linked: Vec::new(),
            serials: 0,
            alone: making.alone,
            extensions: making.extensions,
            chained,
        };
        Ok((blocks, parts))
    }
    /// Bytes of memory that all of it takes.
    pub fn held(&self) -> usize {
        let host = self.cache.as_ref().map_or(0, |c| 2 * c.used());
        let known = self.entries.len() * ENTRY + self.site_count * SITE + self.links * LINK;
        host + known + self.ir + self.pages.held()
    }
    /// Whether there is no room for another.
    fn is_full(&self) -> bool {
        let full = self.cache.as_ref().is_some_and(|c| c.free() < ROOM);
        full || self.held() + ROOM > self.limit
    }
    /// Note that control came to a block from the engine: it will come again, so that jumps by address are to find it by
    /// themselves. The number of its page's jump table, if they may use it.
    fn came_to(&mut self, number: u32) -> Option<u32> {
        let e = self.entries.get(number as usize)?;
        let (page, phys, marked) = (e.page, e.phys, e.marked);
        if !self.chained || matches!(e.made, Made::Ir(_)) {
            return None;
        }
        let (_, first) = self.host(self.head(phys), marked)?;
        Some(self.pages.enter_again(page, phys, marked, first.checked))
    }
    /// The first block at a place.
    fn head(&self, phys: u64) -> u32 {
        self.heads.get(&phys).copied().unwrap_or(NONE)
    }
    /// From one block at a place on, the first that has host code and is in such a page: its number, and the code. Each of
    /// these leads to the next where it is not what is wanted: the newest, which is the first, reaches them all.
    fn host(&self, mut from: u32, marked: bool) -> Option<(u32, Host)> {
        while from != NONE {
            let e = &self.entries[from as usize];
            if let Made::Host(host) = e.made
                && e.marked == marked
            {
                return Some((from, host));
            }
            from = e.chain;
        }
        None
    }
    /// The block for a key, with any next page or with the one that is given; what [`Found::extent`] says of that is to be
    /// looked at. `came`: see [`Blocks::came_to`].
    pub fn lookup(&mut self, key: BlockKey, next_page: Option<u64>) -> Option<(Found, Option<u32>)> {
        let found = self.find(key, |e| next_page.is_none() || e.next_page == next_page)?;
        let crosses = next_page.is_none() && found.extent.next_page.is_some();
        let table = if crosses { None } else { self.came_to(found.number) };
        Some((found, table))
    }
    fn find(&self, key: BlockKey, wanted: impl Fn(&Entry) -> bool) -> Option<Found> {
        let mut at = self.head(key.phys);
        while at != NONE {
            let e = &self.entries[at as usize];
            if key.mode & e.kept == e.mode && key.marked == e.marked && wanted(e) {
                return Some(self.found(at));
            }
            at = e.chain;
        }
        None
    }
    fn found(&self, number: u32) -> Found {
        let e = &self.entries[number as usize];
        let base = self.cache.as_ref().map_or(0, Cache::base);
        Found {
            number,
            serial: e.serial,
            extent: Extent {
                phys: e.phys,
                len: e.len,
                insns: e.insns,
                next_page: e.next_page,
            },
            how: match &e.made {
                Made::Host(host) => How::Host(base + u64::from(host.fast)),
                Made::Ir(ir) => How::Ir(ir.clone()),
            },
        }
    }
    /// What is there already in place of a block that is to be put in, or why nothing is to be put in.
    fn instead(&self, from: Source, block: &Block) -> Option<Result<Found, Refused>> {
        let Source { cpu, key, next_page } = from;
        let parts = parts(key.phys, block.guest_bytes.max(1), next_page);
        if !self.pages.unchanged(cpu, parts) {
            return Some(Err(Refused::Changed));
        }
        if let Some(found) = self.find(key, |e| e.next_page == next_page) {
            return Some(Ok(found));
        }
        self.is_full().then_some(Err(Refused::Full))
    }
    /// Keep a block as IR; or what somebody else has put in meanwhile.
    ///
    /// # Errors
    /// Why not.
    pub fn install_ir(&mut self, from: Source, block: &Block) -> Result<Found, Refused> {
        if let Some(instead) = self.instead(from, block) {
            return instead;
        }
        let ir = Ir::new(block.clone(), false);
        self.ir += ir.code.held();
        Ok(self.insert(from, block, Made::Ir(ir)))
    }
    /// Emit a block; or what somebody else has put in meanwhile.
    ///
    /// # Errors
    /// Why not.
    pub fn install<G: Guest>(
        &mut self,
        from: Source,
        (block, lives): (&Block, &Lives),
        scratch: &mut x64::Scratch,
    ) -> Result<Found, Refused> {
        if let Some(instead) = self.instead(from, block) {
            return instead;
        }
        let cache = self.cache.as_mut().ok_or(Refused::Large)?;
        let info = EmitInfo {
            layout: self.layout,
            state: size_of::<G::State>(),
            effect: CallEffect::of::<G>,
            thunks: &self.thunks,
            at: cache.next(),
            next_page: from.next_page,
            alone: self.alone,
            extensions: self.extensions,
            first_site: self.site_count as u32,
        };
        let code = x64::emit(from.key, block, lives, &info, scratch).ok_or(Refused::Large)?;
        if self.site_count + code.sites.len() > self.sites.room() {
            return Err(Refused::Full);
        }
        let checked = cache.push(&code.bytes);
        self.ir += code.sites.iter().map(|site| site.what.held()).sum::<usize>();
        for site in code.sites.drain(..) {
            self.sites.put(self.site_count, site);
            self.site_count += 1;
        }
        let host = Host {
            checked,
            fast: checked + code.fast,
            other: checked + code.other,
        };
        Ok(self.insert(from, block, Made::Host(host)))
    }
    fn insert(&mut self, Source { key, next_page, .. }: Source, block: &Block, made: Made) -> Found {
        let number = self.unused.pop().unwrap_or(self.entries.len() as u32);
        let kept = !block.mode_ignored;
        let page = self.pages.number(key.phys);
        // Branches that come in any mode go to the first here, which reaches the others, and that is the new one.
        let others = self.head(key.phys);
        let mut other = others;
        while other != NONE {
            self.let_go(other);
            other = self.entries[other as usize].chain;
        }
        self.serials += 1;
        let entry = Entry {
            serial: self.serials,
            phys: key.phys,
            marked: key.marked,
            page,
            mode: key.mode & kept,
            kept,
            len: block.guest_bytes.max(1),
            insns: block.guest_insns,
            next_page,
            made,
            chain: others,
            incoming: Vec::new(),
        };
        self.heads.insert(key.phys, number);
        self.pages.add(number, entry.parts());
        match self.entries.get_mut(number as usize) {
            Some(unused) => *unused = entry,
            None => self.entries.push(entry),
        }
        if matches!(self.entries[number as usize].made, Made::Host(_)) {
            self.line_up(page, key.phys, key.marked);
        }
        self.found(number)
    }
    /// Let the branch at a site go straight to a block if that is still there, and nobody else has done it: past the
    /// block's check if the site's mode answers it.
    pub fn link(&mut self, site: u32, to: &Found) {
        let Some((patch, mode, kept)) = self.branch(site) else {
            return;
        };
        let Some(e) = self.entries.get(to.number as usize) else {
            return;
        };
        if let Made::Host(host) = e.made
            && e.serial == to.serial
            && !is_linked(&self.linked, site)
        {
            let known = e.kept & !kept == 0 && mode & e.kept == e.mode;
            let (number, entry) = match self.host(self.head(e.phys), e.marked) {
                Some((first, code)) if !known => (first, code.checked),
                _ => (to.number, host.fast),
            };
            let Some(cache) = &mut self.cache else { return };
            let before = cache.patch(patch, entry);
            self.entries[number as usize].incoming.push((site, before));
            self.links += 1;
            self.linked.resize(self.linked.len().max(site as usize / 64 + 1), 0);
            self.linked[site as usize / 64] |= 1 << (site % 64);
        }
    }
    /// The branch at a site that can be linked: its displacement's place in the cache, the mode there, and the bits of it
    /// that are known to hold.
    fn branch(&self, site: u32) -> Option<(Offset, u64, u64)> {
        match self.sites.get(site as usize)?.what {
            What::Goto {
                patch: Some(patch),
                mode,
                kept,
                ..
            } => Some((patch, mode, kept)),
            What::Goto { patch: None, .. } | What::Mem(_) | What::Helper(..) | What::X87(_) | What::Eval(_) => None,
        }
    }
    /// Bytes in one page changed: forget the blocks made from them. Whether there were any.
    pub fn invalidate(&mut self, phys: u64, len: u32) -> bool {
        self.pages.stored(phys, len);
        if !self.pages.covers(phys, len) {
            return false;
        }
        let (from, to) = (phys, phys + len as u64);
        let hit = |&n: &u32| {
            let mut parts = self.entries[n as usize].parts();
            parts.any(|(start, len)| start < to && from < start + u64::from(len))
        };
        let dead: Vec<u32> = self.pages.members(phys).iter().copied().filter(hit).collect();
        dead.iter().for_each(|&n| self.remove(n));
        !dead.is_empty()
    }
    /// Bytes in any range changed. Whether blocks were made from them.
    pub fn invalidate_range(&mut self, phys: u64, len: u64) -> bool {
        let mut at = phys;
        let end = phys.saturating_add(len);
        if len >> 12 > self.pages.len() as u64 {
            // Longer than there are pages: ask the pages instead.
            let within = |p: &u64| p + 4096 > phys && *p < end;
            let hit: Vec<u64> = self.pages.addresses().filter(within).collect();
            return hit.into_iter().fold(false, |any, p| any | self.invalidate(p, 4096));
        }
        let mut any = false;
        while at < end {
            let stop = ((at & PAGE) + 4095).min(end - 1);
            any |= self.invalidate(at, (stop - at) as u32 + 1);
            at = stop.saturating_add(1);
        }
        any
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
        let (phys, marked, page, next_page, chain) = (e.phys, e.marked, e.page, e.next_page, e.chain);
        e.serial = 0;
        let made = std::mem::replace(&mut e.made, GONE);
        self.let_go(n);
        self.unchain(n, phys, chain);
        match made {
            Made::Ir(ir) => {
                ir.gone.store(true, Release);
                self.ir -= ir.code.held();
            }
            Made::Host(_) => self.line_up(page, phys, marked),
        }
        for page in [Some(phys & PAGE), next_page].into_iter().flatten() {
            let entries = &self.entries;
            self.pages.remove(n, page, |m| entries[m as usize].parts());
        }
        self.unused.push(n);
    }
    /// The host code of blocks at one place is another: each leads to the next, and jumps by address to the first.
    fn line_up(&mut self, page: u32, phys: u64, marked: bool) {
        if !self.chained {
            return;
        }
        let mut at = self.host(self.head(phys), marked);
        while let Some((number, host)) = at {
            at = self.host(self.entries[number as usize].chain, marked);
            let to = at.map_or(host.gives_up(), |(_, next)| next.checked);
            if let Some(cache) = &mut self.cache {
                cache.patch(host.other, to);
            }
        }
        let first = self.host(self.head(phys), marked);
        self.pages
            .enter(page, phys, marked, first.map(|(_, host)| host.checked));
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
    /// The branches that go straight to a block do so no more: each is to be linked anew.
    fn let_go(&mut self, n: u32) {
        let incoming = std::mem::take(&mut self.entries[n as usize].incoming);
        self.links -= incoming.len();
        for (site, stub) in incoming {
            self.unlink(site, stub);
        }
    }
    fn unlink(&mut self, site: u32, stub: Offset) {
        if let Some((patch, ..)) = self.branch(site)
            && let Some(cache) = &mut self.cache
        {
            cache.patch(patch, stub);
            self.linked[site as usize / 64] &= !(1 << (site % 64));
        }
    }
}

#[cfg(test)]
mod tests;

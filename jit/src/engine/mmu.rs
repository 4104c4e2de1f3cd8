//! Memory as the guest sees it: TLB look-up, page walks, alignment, page crossing, device access, self-modifying code.

mod access;
mod bytes;

use super::blocks::Found;
use super::book::{Asked, Book, Kind, Mailbox, Shared, Stored};
use super::debug::Watching;
use super::mailbox::Ask;
use super::nothing_there;
use super::recent::Recent;
use super::trace::{MmuEvent, MmuLog};
use crate::interp::Now;
use crate::tlb::{CodeEntry, DEVICE, DataEntry, INVALID, PAGE, SLOW, STRICT, Tlb, host::Memory as HostMemory};
use crate::x64::x87;
use emu_ir::{Access, BlockKey, Bus, Env, Fault, Flush, Guest, Page, RamPage, Stop, X87Insn, X87Unit};
use std::sync::{Arc, Weak};
use std::time::Duration;

pub use access::loading;
pub use bytes::Bytes;

/// Contexts whose translations are kept at once.
const CONTEXTS: usize = 24;

/// A vCPU's way to memory.
pub struct Mmu {
    bus: Box<dyn Bus + Send>,
    /// What table entries point into.
    pub host: HostMemory,
    pub tlb: Tlb,
    /// What it shares with other vCPUs.
    pub shared: Arc<Shared>,
    /// Where they reach it.
    pub mailbox: Arc<Mailbox>,
    /// Its number among them.
    pub cpu: u32,
    /// Its translated code. Fetch entries are of this book.
    book: Arc<Book>,
    /// Blocks of it.
    pub recent: Recent,
    /// All other books.
    others: Vec<Weak<Book>>,
    /// Of `others`.
    generation: u64,
    /// Somebody's new book is to take this one's place.
    outdated: bool,
    /// Translated code is running, or waits for what it has called: `book` stays.
    pub inside: bool,
    /// Broadcasts of the guest's that it has not yet waited for.
    owed: Vec<Asked>,
    /// The tables of address spaces 0 and 1.
    spaces: [usize; 2],
    /// [`Guest::context`] may have changed.
    pub dirty: bool,
    /// [`Guest::traps`] may have changed.
    pub traps_changed: bool,
    /// The guest stopped itself.
    pub stop: Option<Stop>,
    /// What a tracer is to be told.
    pub log: MmuLog,
    /// The debugger's watchpoints.
    pub watching: Watching,
    /// One instruction is run, and what follows it is looked for anew.
    pub alone: bool,
    /// The instruction at hand stores to code, or has accessed data that the guest's debug registers mean: it is to be run
    /// alone.
    pub again: bool,
    /// Debug exceptions of accesses that an instruction run alone has made.
    pub trapped: Vec<Fault>,
}

/// A page of host memory, to be accessed directly: its host address, and the rest as in [`emu_ir::RamPage`].
#[derive(Clone, Copy)]
struct Direct {
    host: u64,
    phys: u64,
    readable: bool,
    writable: bool,
}

/// A page that code is fetched from.
#[derive(Clone, Copy)]
pub struct CodePage {
    /// Its physical address.
    pub phys: u64,
    /// See [`Page::marked`].
    pub marked: bool,
}

impl Mmu {
    pub fn new(bus: Box<dyn Bus + Send>, shared: Arc<Shared>, mailbox: Arc<Mailbox>) -> Mmu {
        let mut tlb = Tlb::new(CONTEXTS);
        let first = tlb.select(emu_ir::Context::default());
        Mmu {
            bus,
            host: HostMemory::default(),
            tlb,
            cpu: shared.enter(&mailbox),
            book: shared.nothing(),
            recent: Recent::default(),
            shared,
            mailbox,
            others: Vec::new(),
            generation: 0,
            outdated: false,
            inside: false,
            owed: Vec::new(),
            spaces: [first; 2],
            dirty: true,
            traps_changed: true,
            stop: None,
            log: MmuLog::default(),
            watching: Watching::default(),
            alone: false,
            again: false,
            trapped: Vec::new(),
        }
    }
    /// Take up the tables of the state's contexts.
    pub fn select<G: Guest>(&mut self, (guest, state): Now<G>) {
        let before = self.log.wanted().then(|| self.spaces.map(|s| self.tlb.context(s)));
        for (i, space) in (0..).zip(&mut self.spaces) {
            let context = guest.context(state, i);
            if !self.tlb.select_again(*space, &context) {
                *space = self.tlb.select(context);
            }
        }
        self.dirty = false;
        let Some(before) = before else { return };
        for (idx, before) in before.into_iter().enumerate() {
            let context = self.tlb.context(self.spaces[idx]);
            if context != before {
                let idx = idx as u8;
                self.log.note(|| MmuEvent::Context { idx, context });
            }
        }
    }
    /// Addresses of the selected tables.
    pub fn tables(&self) -> ([u64; 2], u64) {
        let [a, b] = self.spaces.map(|s| self.tlb.addresses(s));
        ([a.0, b.0], a.1)
    }
    /// Forget all translations of addresses.
    pub fn forget_addresses(&mut self) {
        self.tlb.flush(Flush::ALL);
        self.dirty = true;
    }
    /// Forget where memory is, if it has moved.
    pub fn follow_bus(&mut self) {
        if self.bus.remapped() {
            self.forget_addresses();
        }
    }

    /// The guest's walk, told to the tracer.
    fn walk<G: Guest>(&mut self, at: Now<G>, va: u64, access: Access, idx: u8) -> Result<Page, Fault> {
        let done = at.0.walk(at.1, self, va, access, idx);
        self.log.note(|| match done {
            Ok(page) => MmuEvent::Fill { va, access, idx, page },
            Err(fault) => MmuEvent::Fault { va, access, idx, fault },
        });
        done
    }

    /// The host memory behind a physical page.
    fn ram(&mut self, phys: u64) -> Option<Direct> {
        let page = self.bus.ram(phys)?;
        Some(Direct {
            host: self.host.address(&page)?,
            phys: page.phys,
            readable: page.readable,
            writable: page.writable,
        })
    }

    // ---- the other vCPUs

    /// Its translated code.
    pub fn book(&self) -> &Arc<Book> {
        &self.book
    }
    /// Have other code from now on.
    pub fn take_up(&mut self, book: Arc<Book>) {
        assert!(!self.inside, "code that runs stays where it is");
        self.forget_code();
        self.book = book;
        self.generation = 0;
        self.look_at_books();
    }
    /// Forget what is of its book.
    fn forget_code(&mut self) {
        self.tlb.forget_code();
        self.recent.clear();
    }
    /// Know all books that there are.
    fn look_at_books(&mut self) {
        if self.shared.generation() == self.generation {
            return;
        }
        let (all, generation) = self.shared.all();
        let others = all.iter().filter(|book| !Arc::ptr_eq(book, &self.book));
        self.others = others.map(Arc::downgrade).collect();
        (self.outdated, self.generation) = (self.others.len() == all.len(), generation);
    }
    /// Follow what others have asked for; they may have done so for a book that is new. It is done where nothing that was
    /// read from a TLB entry is still to be used.
    fn follow(&mut self, asks: Vec<Ask>) {
        self.look_at_books();
        for ask in asks {
            match ask {
                Ask::Protect(phys) => self.tlb.protect(phys),
                Ask::Flush(what) => self.tlb.flush(what),
            }
        }
    }
    /// Between blocks: follow what others have asked for, and go over to a new book. Whether there is one.
    pub fn poll(&mut self) -> bool {
        if self.mailbox.has_asks() {
            let (asks, count) = self.mailbox.take();
            self.follow(asks);
            self.mailbox.finish(count);
        }
        self.look_at_books();
        let outdated = self.outdated;
        if outdated {
            self.take_up(self.shared.current());
        }
        outdated
    }
    /// It runs from now on. Whether it has another book than it had.
    pub fn wake(&mut self) -> bool {
        let (book, asks) = self.mailbox.wake();
        let fresh = book.is_none();
        if fresh {
            self.forget_code();
        }
        self.book = book.unwrap_or_else(|| self.shared.current());
        if fresh {
            self.generation = 0;
        }
        self.follow(asks);
        fresh
    }
    /// It runs no more, until [`Mmu::wake`].
    pub fn rest(&mut self) {
        let book = std::mem::replace(&mut self.book, self.shared.nothing());
        let shared = &self.shared;
        self.mailbox
            .rest(|| (book.kind() != Kind::Shared || Arc::ptr_eq(&book, &shared.current())).then_some(book));
    }
    /// Wait until others have done what they were asked. It rests meanwhile, and keeps its book: who asks something of it
    /// need not wait for the host to let it run, and it follows that before it goes on.
    pub fn wait(&mut self, asked: &[Asked]) {
        let all_done = || asked.iter().all(Asked::is_done);
        if all_done() {
            return;
        }
        self.mailbox.rest(|| None);
        let mut turns = 0u32;
        while !all_done() {
            turns = turns.saturating_add(1);
            match turns {
                0..200 => std::hint::spin_loop(),
                200..210 => std::thread::yield_now(),
                _ => std::thread::sleep(Duration::from_micros(20)),
            }
        }
        let (_, asks) = self.mailbox.wake();
        self.follow(asks);
    }
    /// See that every store to a page comes to [`Book::stored`] from now on, those of all vCPUs. False: others had to be
    /// waited for, and what was known of addresses may have changed.
    pub fn guard(&mut self, phys: u64) -> bool {
        let Some(time) = self.book.guard(phys) else { return true };
        self.tlb.protect(phys & PAGE);
        let asked = self.shared.ask_others(&self.mailbox, Ask::Protect(phys & PAGE));
        self.wait(&asked);
        self.book.settle(phys, time);
        asked.is_empty()
    }
    /// Whether stores to a page are to be looked at.
    fn guards(&self, phys: u64) -> bool {
        let guards = |book: Arc<Book>| book.guards(phys);
        self.book.guards(phys) || self.others.iter().filter_map(Weak::upgrade).any(guards)
    }
    /// Memory was stored to, or is about to be, in a page whose stores are looked at.
    fn stored(&mut self, phys: u64, len: u32) -> Stored {
        let mut done = self.book.stored(phys, len);
        for other in self.others.iter().filter_map(Weak::upgrade) {
            let there = other.stored(phys, len);
            done.rewritten |= there.rewritten;
            done.relaxed &= there.relaxed;
        }
        if done.rewritten {
            // Somebody may be running such a block, even this vCPU: it may go to its own start without asking whether it
            // is still there.
            self.shared.look();
        }
        done
    }
    /// One of the guest's functions has stored to a physical address.
    fn stored_by_guest(&mut self, phys: u64, size: u8) {
        let Some(page) = self.ram(phys & PAGE) else { return };
        let at = page.phys | phys & !PAGE;
        if self.guards(at) {
            self.stored(at, size.into());
        }
    }
    /// Whether a store, which has not been made, is to code, and the guest sees it at its next instruction: this one is then
    /// carried out again, alone. The code is forgotten now.
    fn rewrites<G: Guest>(&mut self, e: &DataEntry, va: u64, len: u32) -> Result<(), Fault> {
        if !G::LAYOUT.coherent || self.alone || e.write & SLOW == 0 || e.phys & DEVICE != 0 {
            return Ok(());
        }
        self.again |= self.stored(e.phys & PAGE | va & 0xfff, len).rewritten;
        let fault = Fault::Bus {
            addr: va,
            access: Access::Write,
        };
        if self.again { Err(fault) } else { Ok(()) }
    }

    // ---- fetching

    /// The page that `va` is fetched from, now in the fetch table. No instruction lies between two places for one.
    pub fn fetch_page<G: Guest>(&mut self, at: Now<G>, va: u64) -> Result<CodePage, Fault> {
        if va & ((1 << G::LAYOUT.insn_shift) - 1) != 0 {
            return Err(Fault::Alignment {
                addr: va,
                access: Access::Execute,
            });
        }
        if self.dirty {
            self.select::<G>(at);
        }
        let e = self.tlb.code(self.spaces[0], va);
        if e.tag == va & PAGE {
            return Ok(CodePage {
                phys: e.phys & PAGE,
                marked: e.marked,
            });
        }
        let mut page = self.walk(at, va, Access::Execute, 0)?;
        page.phys = self.ram(page.phys).ok_or(nothing_there(va))?.phys;
        let number = self.book.table(page.phys, page.marked);
        let marks = self.tlb.marks(self.spaces[0], va, page.size, page.global);
        let entry = CodeEntry {
            tag: va & PAGE,
            table: self.book.jumps().address(number),
            phys: page.phys | marks,
            number,
            marked: page.marked,
            reserved: [0; 3],
        };
        self.tlb.fill_code(self.spaces[0], va, entry);
        Ok(CodePage {
            phys: page.phys,
            marked: page.marked,
        })
    }
    /// The block at `pc`, if there is one for its key. One that crosses into the next page is there only where that page
    /// is the one it was made from; the error is the fault of fetching from it.
    pub fn block<G: Guest>(&mut self, at: Now<G>, pc: u64, key: BlockKey) -> Result<Option<Found>, Fault> {
        let mut found = self.book.lookup(key, None);
        if found
            .as_ref()
            .is_some_and(|(found, _)| found.extent.next_page.is_some())
        {
            let next = self.fetch_page::<G>(at, page_after::<G>(pc))?;
            found = self.book.lookup(key, Some(next.phys));
        }
        let Some((found, table)) = found else { return Ok(None) };
        if let Some(number) = table {
            let address = self.book.jumps().address(number);
            let e = self.tlb.code(self.spaces[0], pc);
            (e.number, e.table) = (number, address);
        }
        Ok(Some(found))
    }
    /// Where the host code at `pc` starts, if the page's jump table has it: far cheaper than [`Mmu::block`]. It looks
    /// itself whether it is of the present mode. The error is the fault of fetching from there.
    pub fn known<G: Guest>(&mut self, at: Now<G>, pc: u64) -> Result<Option<u64>, Fault> {
        self.fetch_page::<G>(at, pc)?;
        let number = self.tlb.code(self.spaces[0], pc).number;
        Ok(self.book.known(number, pc))
    }
    /// The `len` bytes at `phys`, those past its page from `next_page`.
    pub fn read_code(&mut self, phys: u64, len: u32, next_page: Option<u64>, out: &mut Vec<u8>) {
        out.clear();
        for offset in (phys & 0xfff..).take(len as usize) {
            let page = if offset < 4096 { Some(phys & PAGE) } else { next_page };
            let host = page.and_then(|p| self.ram(p)).map(|r| r.host);
            out.push(host.map_or(0, |h| self.host.load(h + (offset & 0xfff), 1) as u8));
        }
    }
    /// The host address of the page at `phys`, which `va` is fetched from: code is about to be read from it.
    fn code_at(&mut self, phys: u64, va: u64) -> Result<u64, Fault> {
        let page = self.ram(phys & PAGE).ok_or(nothing_there(va))?;
        self.bus.translating(page.phys);
        Ok(page.host)
    }
    /// The bytes from `pc` on, which lies at `phys`: all of one instruction (`single`), or of several up to the page's
    /// end. Who keeps what they make of them has said so by [`Book::read`], and is told by [`Bytes::unguarded`] of another
    /// page where that is to be done first: `keeps`.
    pub fn fetch<'a, G: Guest>(
        &'a mut self,
        at: Now<'a, G>,
        pc: u64,
        phys: u64,
        (single, keeps): (bool, bool),
    ) -> Result<Bytes<'a, G>, Fault> {
        let first = self.code_at(phys, pc)?;
        Ok(Bytes {
            keeps,
            unguarded: None,
            mmu: self,
            at,
            next: page_after::<G>(pc),
            first,
            second: None,
            single,
            refused: false,
            next_page: None,
        })
    }

    // ---- data

    /// The data entry for `va`, filled by a walk if need be; an access it forbids is a fault.
    fn entry<G: Guest>(&mut self, at: Now<G>, va: u64, access: Access, idx: u8) -> Result<DataEntry, Fault> {
        if self.dirty {
            self.select::<G>(at);
        }
        let space = self.spaces[idx as usize & 1];
        let have = *self.tlb.data(space, va);
        let tag = if access == Access::Write { have.write } else { have.read };
        if tag != INVALID && tag & PAGE == va & PAGE {
            return Ok(have);
        }
        let mut page = self.walk(at, va, access, idx)?;
        // Some memory (flash that answers a command) is for fetches alone.
        let ram = self.ram(page.phys).filter(|r| r.readable);
        page.phys = ram.map_or(page.phys, |r| r.phys);
        let slow = if ram.is_none() { SLOW } else { 0 };
        let strict = if page.strict { STRICT } else { 0 };
        let keep = |other: u64| {
            if other & PAGE == va & PAGE && have.phys & PAGE == page.phys {
                other
            } else {
                INVALID
            }
        };
        let (watch_reads, watch_writes) = self.watching.page(va, watched_as(at));
        let look = |watched: bool| strict | slow | if watched { SLOW } else { 0 };
        let read = if page.read {
            va & PAGE | look(watch_reads)
        } else {
            INVALID
        };
        let mut write = if page.write {
            va & PAGE | look(watch_writes)
        } else {
            INVALID
        };
        if ram.is_some_and(|r| !r.writable) || self.guards(page.phys) {
            write |= SLOW;
        }
        // A walk answers for the access it was asked for; what it says of the other is a bonus.
        let (read, write) = match access {
            Access::Write => (if read == INVALID { keep(have.read) } else { read }, write),
            _ => (read, if write == INVALID { keep(have.write) } else { write }),
        };
        let device = if ram.is_none() { DEVICE } else { 0 };
        let phys = page.phys | self.tlb.marks(space, va, page.size, page.global) | strict | device;
        let addend = ram.map_or(0, |r| r.host.wrapping_sub(va & PAGE));
        let e = DataEntry {
            read,
            write,
            addend,
            phys,
        };
        self.tlb.fill(space, va, e);
        Ok(e)
    }
}

impl Drop for Mmu {
    /// Nobody waits for it.
    fn drop(&mut self) {
        self.mailbox.rest(|| None);
        self.shared.leave(&self.mailbox);
    }
}

/// The bus as the guest's own functions see it (walks, exceptions, helpers): what they store (hardware's flags in page
/// tables, a frame on the stack) is memory where code may lie, and such code is gone.
impl Bus for Mmu {
    fn load(&mut self, phys: u64, size: u8) -> Option<u64> {
        self.bus.load(phys, size)
    }
    fn store(&mut self, phys: u64, size: u8, value: u64) -> Option<()> {
        let done = self.bus.store(phys, size, value);
        self.stored_by_guest(phys, size);
        done
    }
    fn compare_exchange(&mut self, phys: u64, size: u8, old: u64, new: u64) -> Option<u64> {
        let held = self.bus.compare_exchange(phys, size, old, new);
        self.stored_by_guest(phys, size);
        held
    }
    fn ram(&mut self, page: u64) -> Option<RamPage<'_>> {
        self.bus.ram(page)
    }
    fn translating(&mut self, page: u64) {
        self.bus.translating(page);
    }
    fn remapped(&mut self) -> bool {
        self.bus.remapped()
    }
}

impl Env for Mmu {
    fn bus(&mut self) -> &mut dyn Bus {
        self
    }
    fn flush(&mut self, what: Flush, broadcast: bool) {
        self.log.note(|| MmuEvent::Flush(what));
        self.tlb.flush(what);
        if broadcast {
            self.owed.retain(|asked| !asked.is_done());
            self.owed
                .extend(self.shared.ask_others(&self.mailbox, Ask::Flush(what)));
        }
    }
    fn complete(&mut self) {
        let owed = std::mem::take(&mut self.owed);
        self.wait(&owed);
    }
    fn context_changed(&mut self) {
        self.dirty = true;
    }
    fn traps_changed(&mut self) {
        self.traps_changed = true;
    }
    fn stop(&mut self, why: Stop) {
        self.stop = Some(why);
    }
    fn x87(&mut self, insn: X87Insn, unit: &mut X87Unit, operand: &mut [u8; 10], status: u16) -> u16 {
        x87::execute(insn, unit, operand, status)
    }
}

/// [`Guest::watched_as`] now.
fn watched_as<'a, G: Guest>((guest, state): Now<'a, G>) -> impl Fn(u64) -> u64 + Copy + 'a {
    move |va| guest.watched_as(state, va)
}

/// The virtual page after the one that `va` lies in.
fn page_after<G: Guest>(va: u64) -> u64 {
    (va & PAGE).wrapping_add(4096) & G::LAYOUT.pc.ty.mask() as u64
}

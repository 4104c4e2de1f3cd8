//! Translated code as all vCPUs of a machine share it.
//!
//! A [`Book`] is a cache with its blocks. What running code and its ways into Rust read of it (jump tables, sites, whether
//! a page may have code) is read without asking anybody; all that makes, links or forgets blocks is behind one lock, which
//! nobody holds while calling out. A book only fills up: then a new one takes its place ([`Shared::renew`]), every vCPU
//! goes over to that where it next looks for requests, and the last that does takes the old one's memory along.
//!
//! A vCPU whose code is special to it (a debugger's breakpoints, a tracer) has a book of its own for as long.
//!
//! How nobody runs code that is not in memory any more: who translates has the page guarded and waits until every vCPU knows
//! ([`super::mmu`]), notes that it reads ([`Book::read`]), and only then reads. From the first on, each store to the page
//! comes to [`Book::stored`], which forgets the blocks, or finds the reader, who then starts again.

use super::blocks::{Blocks, Found, Making, Parts, Refused, Source};
use super::mailbox::{self, Ask};
use super::pages::Jumps;
use crate::opt::Lives;
use crate::x64::Extensions;
use crate::x64::{self, Site};
use emu_ir::{Block, BlockKey, Guest};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// One vCPU as others reach it, and the book that it goes on with after a rest.
pub type Mailbox = mailbox::Mailbox<Book>;
/// A request that was made of it.
pub type Asked = mailbox::Asked<Book>;

/// Which pages are guarded, or were: a bit for each of many sets of pages. It is asked at every walk.
struct Filter(Box<[AtomicU64]>);

impl Filter {
    const BITS: u32 = 18;

    fn new() -> Filter {
        Filter((0..1 << (Filter::BITS - 6)).map(|_| AtomicU64::new(0)).collect())
    }
    fn place(&self, phys: u64) -> (Option<&AtomicU64>, u64) {
        let set = (phys >> 12).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - Filter::BITS);
        (self.0.get(set as usize / 64), 1 << (set % 64))
    }
    fn note(&self, phys: u64) {
        if let (Some(word), bit) = self.place(phys) {
            word.fetch_or(bit, SeqCst);
        }
    }
    fn may_have(&self, phys: u64) -> bool {
        let (word, bit) = self.place(phys);
        word.is_some_and(|word| word.load(SeqCst) & bit != 0)
    }
}

/// What a store that was looked at has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Blocks were forgotten: who runs one may want to leave it.
    pub rewritten: bool,
    /// The next store to the page need not be looked at.
    pub relaxed: bool,
}

/// A cache with its blocks.
pub struct Book {
    parts: Parts,
    guarded: Filter,
    blocks: Mutex<Blocks>,
    kind: Kind,
}

/// Whose a book is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Everybody's.
    Shared,
    /// One vCPU's. Its blocks are linked, and found by jumps, or come back to the engine.
    Own {
        /// The former.
        chained: bool,
    },
    /// Nobody's: nothing is ever in it.
    Nothing,
}

impl Book {
    fn new(making: &Making, kind: Kind) -> std::io::Result<Book> {
        let (blocks, parts) = Blocks::new(making, kind != Kind::Own { chained: false })?;
        Ok(Book {
            parts,
            guarded: Filter::new(),
            blocks: Mutex::new(blocks),
            kind,
        })
    }
    fn blocks(&self) -> MutexGuard<'_, Blocks> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Whose it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }
    /// Executable address of the cache's start.
    pub fn base(&self) -> u64 {
        self.parts.base
    }
    /// Address of the entering thunk.
    pub fn enter(&self) -> u64 {
        self.parts.enter
    }
    /// A site by number.
    pub fn site(&self, n: u32) -> Option<&Site> {
        self.parts.sites.get(n as usize)
    }
    /// The jump tables.
    pub fn jumps(&self) -> &Jumps {
        &self.parts.jumps
    }
    /// Where the host code is that jumps by address find in the table with that number.
    pub fn known(&self, table: u32, pc: u64) -> Option<u64> {
        let entry = self.parts.jumps.entry(table, pc)?;
        Some(self.base() + u64::from(entry))
    }
    /// The number of a page's jump table: see [`Pages::table`](super::pages::Pages::table).
    pub fn table(&self, phys: u64, marked: bool) -> u32 {
        self.blocks().pages.table(phys, marked)
    }
    /// See [`Blocks::lookup`].
    pub fn lookup(&self, key: BlockKey, next_page: Option<u64>) -> Option<(Found, Option<u32>)> {
        self.blocks().lookup(key, next_page)
    }
    /// See [`Blocks::link`].
    pub fn link(&self, site: u32, to: &Found) {
        self.blocks().link(site, to);
    }
    /// See [`Blocks::install`].
    ///
    /// # Errors
    /// Why not.
    pub fn install<G: Guest>(
        &self,
        from: Source,
        block: (&Block, &Lives),
        scratch: &mut x64::Scratch,
    ) -> Result<Found, Refused> {
        self.blocks().install::<G>(from, block, scratch)
    }
    /// See [`Blocks::install_ir`].
    ///
    /// # Errors
    /// Why not.
    pub fn install_ir(&self, from: Source, block: &Block) -> Result<Found, Refused> {
        self.blocks().install_ir(from, block)
    }

    /// Whether stores to a page are to be looked at.
    pub fn guards(&self, phys: u64) -> bool {
        self.guarded.may_have(phys) && self.blocks().pages.guards(phys)
    }
    /// Have stores to a page looked at. `Some`: others are to be told first, which [`Book::settle`] is to say with this
    /// number.
    pub fn guard(&self, phys: u64) -> Option<u32> {
        let mut blocks = self.blocks();
        let time = blocks.pages.guard(phys);
        if time.is_some() {
            self.guarded.note(phys);
        }
        time
    }
    /// Everybody knows that a page is guarded since that time.
    pub fn settle(&self, phys: u64, time: u32) {
        self.blocks().pages.settle(phys, time);
    }
    /// That vCPU reads code from a page from now on, if all stores to it are looked at; whether they are.
    pub fn read(&self, cpu: u32, phys: u64) -> bool {
        self.blocks().pages.read(cpu, phys)
    }
    /// That vCPU reads no more.
    pub fn end(&self, cpu: u32) {
        self.blocks().pages.end(cpu);
    }
    /// A vCPU has stored to a page whose stores are looked at.
    pub fn stored(&self, phys: u64, len: u32) -> Stored {
        let mut blocks = self.blocks();
        let rewritten = blocks.invalidate(phys, len);
        Stored {
            rewritten,
            relaxed: blocks.pages.relax(phys),
        }
    }
    /// Memory was written, or has gone. Whether blocks were made from it.
    pub fn written(&self, phys: u64, len: u64) -> bool {
        self.blocks().invalidate_range(phys, len)
    }
    /// Forget the blocks with a byte at this offset in any page.
    pub fn forget_offset(&self, offset: u32) {
        self.blocks().invalidate_offset(offset);
    }
    /// Bytes of memory that it takes.
    pub fn held(&self) -> usize {
        self.blocks().held()
    }
}

/// The books there are: everybody's, and vCPUs' own.
struct Books {
    current: Arc<Book>,
    own: Vec<Weak<Book>>,
}

impl Books {
    fn all(&mut self) -> impl Iterator<Item = Arc<Book>> {
        self.own.retain(|book| book.strong_count() != 0);
        let own = self.own.iter().filter_map(Weak::upgrade);
        std::iter::once(self.current.clone()).chain(own)
    }
}

/// What the vCPUs of a machine have together.
pub struct Shared {
    making: Making,
    books: Mutex<Books>,
    /// Changes with [`Shared::books`].
    generation: AtomicU64,
    /// The vCPUs.
    cpus: Mutex<Vec<Arc<Mailbox>>>,
    numbers: AtomicU32,
    /// What a vCPU has that rests: nothing.
    nothing: Arc<Book>,
}

impl Shared {
    /// For vCPUs that are still to come.
    ///
    /// # Errors
    /// The host's.
    pub fn new(making: Making) -> std::io::Result<Shared> {
        let current = Arc::new(Book::new(&making, Kind::Shared)?);
        let none = Making {
            host: false,
            limit: 0,
            ..making
        };
        let nothing = Arc::new(Book::new(&none, Kind::Nothing)?);
        Ok(Shared {
            making,
            books: Mutex::new(Books {
                current,
                own: Vec::new(),
            }),
            generation: AtomicU64::new(1),
            cpus: Mutex::default(),
            numbers: AtomicU32::new(0),
            nothing,
        })
    }
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn cpus(&self) -> MutexGuard<'_, Vec<Arc<Mailbox>>> {
        self.cpus.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// What they are made for.
    pub fn making(&self) -> &Making {
        &self.making
    }
    /// What a vCPU has that rests.
    pub fn nothing(&self) -> Arc<Book> {
        self.nothing.clone()
    }
    /// Another vCPU; its number.
    pub fn enter(&self, cpu: &Arc<Mailbox>) -> u32 {
        self.cpus().push(cpu.clone());
        self.numbers.fetch_add(1, Relaxed)
    }
    /// A vCPU is no more.
    pub fn leave(&self, cpu: &Arc<Mailbox>) {
        self.cpus().retain(|other| !Arc::ptr_eq(other, cpu));
    }
    /// Ask all vCPUs but one.
    pub fn ask_others(&self, me: &Arc<Mailbox>, ask: Ask) -> Vec<Asked> {
        if self.making.alone {
            return Vec::new();
        }
        let cpus = self.cpus();
        let others = cpus.iter().filter(|other| !Arc::ptr_eq(other, me));
        others.map(|other| Asked::of(other, ask)).collect()
    }
    /// Have all vCPUs look.
    pub fn look(&self) {
        self.cpus().iter().for_each(|cpu| cpu.attention().look());
    }

    /// Changes when there are other books than before.
    pub fn generation(&self) -> u64 {
        self.generation.load(Acquire)
    }
    /// Everybody's book.
    pub fn current(&self) -> Arc<Book> {
        self.books().current.clone()
    }
    /// All books, everybody's first, and the generation that they are of.
    pub fn all(&self) -> (Vec<Arc<Book>>, u64) {
        let mut books = self.books();
        (books.all().collect(), self.generation.load(Acquire))
    }
    /// A book of a vCPU's own.
    ///
    /// # Errors
    /// The host's.
    pub fn own(&self, kind: Kind) -> std::io::Result<Arc<Book>> {
        let book = Arc::new(Book::new(&self.making, kind)?);
        let mut books = self.books();
        books.own.push(Arc::downgrade(&book));
        self.generation.fetch_add(1, AcqRel);
        Ok(book)
    }
    /// Let a new book take the place of everybody's, if that is still `old`.
    ///
    /// # Errors
    /// The host's.
    pub fn renew(&self, old: &Arc<Book>) -> std::io::Result<()> {
        let is_old = |books: &Books| Arc::ptr_eq(&books.current, old);
        if !is_old(&self.books()) {
            return Ok(());
        }
        let book = Arc::new(Book::new(&self.making, Kind::Shared)?);
        let replaced = {
            let mut books = self.books();
            if !is_old(&books) {
                return Ok(());
            }
            self.generation.fetch_add(1, AcqRel);
            std::mem::replace(&mut books.current, book)
        };
        for cpu in self.cpus().iter() {
            cpu.discard(&replaced);
            cpu.attention().look();
        }
        Ok(())
    }
    /// Memory was written by somebody who is no vCPU, or has gone: forget what was made from it.
    pub fn written(&self, phys: u64, len: u64) {
        let (books, _) = self.all();
        if books.iter().fold(false, |any, book| any | book.written(phys, len)) {
            self.look();
        }
    }
    /// Bytes of memory that all translated code takes.
    pub fn held(&self) -> usize {
        self.all().0.iter().map(|book| book.held()).sum()
    }
}

/// All that the vCPUs of a machine translate: each block once for all of them. They are of one kind: what
/// [`Guest::translate`] makes of a key is the same for each.
pub struct Translations<G> {
    pub(super) shared: Arc<Shared>,
    of: PhantomData<fn(G)>,
}

impl<G> Clone for Translations<G> {
    fn clone(&self) -> Translations<G> {
        Translations {
            shared: self.shared.clone(),
            of: PhantomData,
        }
    }
}

impl<G: Guest> Translations<G> {
    pub(super) fn making(
        host: bool,
        alone: bool,
        extensions: Extensions,
        limit: usize,
    ) -> std::io::Result<Translations<G>> {
        let making = Making {
            layout: G::LAYOUT,
            host,
            alone,
            extensions,
            limit,
        };
        Ok(Translations {
            shared: Arc::new(Shared::new(making)?),
            of: PhantomData,
        })
    }
    /// Bytes of memory that all of it takes.
    pub fn held(&self) -> usize {
        self.shared.held()
    }
}

//! The stage-1 TLB: direct-mapped tables of 4 KiB pages, one set of tables a [`Context`].
//!
//! Translated code compares a tag and adds an addend; everything that needs a closer look (devices, pages with translated
//! code, strict alignment) has a bit set in the tag's low part, so that the comparison fails. Whether an access to strict
//! memory is aligned is then decided out of line; anything else, by Rust.
//! Switching address spaces, privilege or domain rights selects other tables and flushes nothing.
#![expect(
    clippy::indexing_slicing,
    reason = "addresses are masked to the size of tables, spaces have numbers that `select` gave"
)]

pub mod host;

use emu_ir::{Context, Flush, Which};
use std::cell::UnsafeCell;
use std::mem::offset_of;

/// log2 of the entries of a data table.
pub const DATA_BITS: u32 = 10;
/// log2 of the entries of a fetch table.
pub const CODE_BITS: u32 = 8;
/// log2 of the size of an entry of either kind.
pub const ENTRY_SHIFT: u32 = 5;
/// Tag of an entry that matches nothing.
pub const INVALID: u64 = u64::MAX;
/// Tag bit: present, but every access takes the slow path.
pub const SLOW: u64 = 0x800;
/// Tag bit, also of [`DataEntry::phys`]: the pieces of an access must be aligned ([`emu_ir::Mem::strict`]).
pub const STRICT: u64 = 0x400;
/// [`CodeEntry::number`] of a page that has no jump table of its own.
pub const NO_TABLE: u32 = u32::MAX;
/// The page part of an address.
pub const PAGE: u64 = !0xfff;

/// One page's data accesses.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct DataEntry {
    /// Virtual page for loads, `INVALID` if not allowed (or unknown), with `SLOW` if not direct, `STRICT` if so.
    pub read: u64,
    /// The same for stores.
    pub write: u64,
    /// Host address minus guest virtual address, for direct accesses.
    pub addend: u64,
    /// Physical page, with `GLOBAL`, `LARGE`, `DEVICE` and `STRICT`.
    pub phys: u64,
}

/// One page's fetches.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct CodeEntry {
    /// Virtual page, or `INVALID`.
    pub tag: u64,
    /// Address of the physical page's jump table (an entry offset into the code cache for each possible instruction).
    pub table: u64,
    /// Physical page, with `GLOBAL` and `LARGE`.
    pub phys: u64,
    /// The table's number, by which the engine finds it; [`NO_TABLE`] where the page has none of its own.
    pub number: u32,
    /// Fills up to the size of an entry.
    pub reserved: u32,
}
const _: () = assert!(size_of::<DataEntry>() == 1 << ENTRY_SHIFT && size_of::<CodeEntry>() == 1 << ENTRY_SHIFT);

const NO_DATA: DataEntry = DataEntry {
    read: INVALID,
    write: INVALID,
    addend: 0,
    phys: 0,
};
const NO_CODE: CodeEntry = CodeEntry {
    tag: INVALID,
    table: 0,
    phys: 0,
    number: NO_TABLE,
    reserved: 0,
};

/// [`DataEntry::phys`] and [`CodeEntry::phys`]: mapped in every address space.
pub const GLOBAL: u64 = 1;
/// [`DataEntry::phys`]: what is there is not memory to load from and store to; the bus is asked.
pub const DEVICE: u64 = 2;
/// [`DataEntry::phys`] and [`CodeEntry::phys`]: part of a mapping larger than a page, which is forgotten as a whole.
pub const LARGE: u64 = 4;

/// The tables of one context.
#[repr(C)]
pub struct Tables {
    data: [DataEntry; 1 << DATA_BITS],
    code: [CodeEntry; 1 << CODE_BITS],
}

/// Which physical pages an address space may have entries for that stores use without asking Rust: a bit for each of
/// many sets of pages. A bit that is not set says that there are none.
struct Stores([u64; 128]);

impl Stores {
    const NONE: Stores = Stores([0; 128]);

    fn bit(phys: u64) -> (usize, u64) {
        let set = (phys >> 12).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - 13);
        (set as usize >> 6, 1 << (set & 63))
    }
    /// There is such an entry.
    fn note(&mut self, e: &DataEntry) {
        if e.is_direct() {
            let (word, bit) = Stores::bit(e.phys);
            self.0[word] |= bit;
        }
    }
    fn may_have(&self, phys: u64) -> bool {
        let (word, bit) = Stores::bit(phys);
        self.0[word] & bit != 0
    }
}

/// Addresses from the first to the last of some; those between may be among them or not.
#[derive(Clone, Copy)]
struct Hull {
    first: u64,
    last: u64,
}

impl Hull {
    const EMPTY: Hull = Hull {
        first: u64::MAX,
        last: 0,
    };

    fn add(&mut self, first: u64, last: u64) {
        self.first = self.first.min(first);
        self.last = self.last.max(last);
    }
    fn meets(&self, first: u64, last: u64) -> bool {
        self.first <= last && first <= self.last
    }
}

impl DataEntry {
    /// Whether stores use it without asking Rust.
    fn is_direct(&self) -> bool {
        self.write & SLOW == 0
    }
}

struct Space {
    context: Context,
    stores: Stores,
    used: u64,
    /// What the mappings of [`LARGE`] entries cover together.
    large: Hull,
    /// What the mappings of [`GLOBAL`] entries cover together: all that a flush of another's pages can concern.
    global: Hull,
    /// No entry has been made since all were forgotten. Most flushes come to spaces that are so.
    empty: bool,
    /// Translated code reads them, behind the compiler's back.
    tables: Box<UnsafeCell<Tables>>,
}

/// All contexts of one vCPU.
pub struct Tlb {
    spaces: Vec<Space>,
    /// A hash of each space's context: they are looked through at every change of context.
    hashes: Vec<u64>,
    clock: u64,
    limit: usize,
}

/// A multiplicative hash of all its words.
fn hash(context: &Context) -> u64 {
    let first = u64::from(context.asid) | u64::from(context.vmid) << 32 | u64::from(context.regime) << 48;
    let words = context.rest.iter().copied();
    words.fold(first, |h, w| (h.rotate_left(5) ^ w).wrapping_mul(0x517c_c1b7_2722_0a95))
}
/// Equality without a call: asked whenever the guest enters or leaves its kernel.
fn same(a: &Context, b: &Context) -> bool {
    let rest = a.rest.iter().zip(&b.rest).fold(0, |differ, (a, b)| differ | (a ^ b));
    rest == 0 && (a.asid, a.vmid, a.regime) == (b.asid, b.vmid, b.regime)
}
fn data_index(va: u64) -> usize {
    (va >> 12) as usize & ((1 << DATA_BITS) - 1)
}
fn code_index(va: u64) -> usize {
    (va >> 12) as usize & ((1 << CODE_BITS) - 1)
}

impl Tlb {
    /// Room for `limit` contexts at once, at least one (the least recently used goes).
    pub fn new(limit: usize) -> Tlb {
        Tlb {
            spaces: Vec::new(),
            hashes: Vec::new(),
            clock: 0,
            limit: limit.max(1),
        }
    }
    /// The index of a context's tables, made empty if they are new.
    pub fn select(&mut self, context: Context) -> usize {
        self.clock += 1;
        let hash = hash(&context);
        let is_it = |at: &usize| self.hashes[*at] == hash && same(&self.spaces[*at].context, &context);
        let at = match (0..self.hashes.len()).find(is_it) {
            Some(at) => at,
            None => {
                let at = self.claim(context);
                self.hashes[at] = hash;
                at
            }
        };
        self.spaces[at].used = self.clock;
        at
    }
    fn claim(&mut self, context: Context) -> usize {
        if self.spaces.len() < self.limit {
            let tables = Tables {
                data: [NO_DATA; 1 << DATA_BITS],
                code: [NO_CODE; 1 << CODE_BITS],
            };
            self.spaces.push(Space {
                context,
                stores: Stores::NONE,
                used: 0,
                large: Hull::EMPTY,
                global: Hull::EMPTY,
                empty: true,
                tables: Box::new(UnsafeCell::new(tables)),
            });
            self.hashes.push(0);
            return self.spaces.len() - 1;
        }
        let oldest = (0..self.spaces.len()).min_by_key(|&i| self.spaces[i].used);
        let at = oldest.unwrap_or(0);
        let space = &mut self.spaces[at];
        if !space.empty {
            space.clear();
        }
        space.context = context;
        at
    }
    /// The context that tables belong to.
    pub fn context(&self, space: usize) -> Context {
        self.spaces[space].context
    }
    /// Addresses of a context's data and fetch tables, for translated code; stable for the TLB's life.
    pub fn addresses(&self, space: usize) -> (u64, u64) {
        let tables = self.spaces[space].tables.get() as u64;
        let (data, code) = (offset_of!(Tables, data), offset_of!(Tables, code));
        (tables + data as u64, tables + code as u64)
    }
    fn tables(&mut self, space: usize) -> &mut Tables {
        self.spaces[space].tables.get_mut()
    }
    /// The data entry for `va` from now on.
    pub fn fill(&mut self, space: usize, va: u64, e: DataEntry) {
        self.spaces[space].stores.note(&e);
        *self.data(space, va) = e;
    }
    /// The data entry where `va` would be. Who lets stores use it without a closer look does so by [`Tlb::fill`].
    pub fn data(&mut self, space: usize, va: u64) -> &mut DataEntry {
        &mut self.tables(space).data[data_index(va)]
    }
    /// The fetch entry where `va` would be.
    pub fn code(&mut self, space: usize, va: u64) -> &mut CodeEntry {
        &mut self.tables(space).code[code_index(va)]
    }
    /// The bits of [`DataEntry::phys`] and [`CodeEntry::phys`] for an entry about to be made for `va`, of a mapping of
    /// `1 << size` bytes: an entry may have [`GLOBAL`] and [`LARGE`] from here alone, and none is made without.
    pub fn marks(&mut self, space: usize, va: u64, size: u8, global: bool) -> u64 {
        let within = u64::MAX >> (64 - u32::from(size).clamp(12, 64));
        let (first, last) = (va & !within, va | within);
        let s = &mut self.spaces[space];
        s.empty = false;
        let mut marks = 0;
        if size > 12 {
            s.large.add(first, last);
            marks |= LARGE;
        }
        if global {
            s.global.add(first, last);
            marks |= GLOBAL;
        }
        marks
    }
    /// Forget translations.
    pub fn flush(&mut self, what: Flush) {
        let concerned = |s: &&mut Space| !s.empty && what.concerns(&s.context);
        for s in self.spaces.iter_mut().filter(concerned) {
            match what.which {
                Which::All => s.clear(),
                Which::Asid(asid) if asid == s.context.asid => s.clear_local(),
                Which::Asid(_) => {}
                Which::Pages { first, last, asid } => {
                    let own = asid.is_none_or(|a| a == s.context.asid);
                    s.clear_pages(first, last, own);
                }
            }
        }
    }
    /// Turn stores to a physical page slow everywhere: code was translated from it.
    pub fn protect(&mut self, phys: u64) {
        for s in self.spaces.iter_mut().filter(|s| s.stores.may_have(phys)) {
            s.stores = Stores::NONE;
            for e in &mut s.tables.get_mut().data {
                if e.phys & PAGE == phys && e.is_direct() {
                    e.write |= SLOW;
                }
                s.stores.note(e);
            }
        }
    }
    /// Forget fetch entries of every context: their jump tables are gone.
    pub fn forget_code(&mut self) {
        for s in self.spaces.iter_mut().filter(|s| !s.empty) {
            s.tables.get_mut().code.fill(NO_CODE);
        }
    }
}

impl Space {
    fn clear(&mut self) {
        let t = self.tables.get_mut();
        t.data.fill(NO_DATA);
        t.code.fill(NO_CODE);
        self.stores = Stores::NONE;
        self.large = Hull::EMPTY;
        self.global = Hull::EMPTY;
        self.empty = true;
    }
    fn clear_local(&mut self) {
        let t = self.tables.get_mut();
        t.data
            .iter_mut()
            .filter(|e| e.phys & GLOBAL == 0)
            .for_each(|e| *e = NO_DATA);
        t.code
            .iter_mut()
            .filter(|e| e.phys & GLOBAL == 0)
            .for_each(|e| *e = NO_CODE);
    }
    /// Every entry that is part of a larger mapping: which of them share one is not known.
    fn clear_large(&mut self, own: bool) {
        let t = self.tables.get_mut();
        let gone = |phys: u64| phys & LARGE != 0 && (own || phys & GLOBAL != 0);
        t.data.iter_mut().filter(|e| gone(e.phys)).for_each(|e| *e = NO_DATA);
        t.code.iter_mut().filter(|e| gone(e.phys)).for_each(|e| *e = NO_CODE);
    }
    /// Those between two addresses: global ones, and with `own` the others too.
    fn clear_pages(&mut self, first: u64, last: u64, own: bool) {
        if !own && !self.global.meets(first & PAGE, last | !PAGE) {
            return;
        }
        if self.large.meets(first, last) {
            self.clear_large(own);
        }
        let t = self.tables.get_mut();
        let inside = |tag: u64| tag != INVALID && (first & PAGE..=last | !PAGE).contains(&(tag & PAGE));
        // Where there are more pages than entries, every entry is looked at once.
        let pages = ((last | !PAGE).saturating_sub(first & PAGE) >> 12).saturating_add(1);
        let addresses = |entries: usize| {
            let count = pages.min(entries as u64);
            (0..count).map(move |n| first.wrapping_add(n << 12))
        };
        for va in addresses(t.data.len()) {
            let d = &mut t.data[data_index(va)];
            if (inside(d.read) || inside(d.write)) && (own || d.phys & GLOBAL != 0) {
                *d = NO_DATA;
            }
        }
        for va in addresses(t.code.len()) {
            let c = &mut t.code[code_index(va)];
            if inside(c.tag) && (own || c.phys & GLOBAL != 0) {
                *c = NO_CODE;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KERNEL: Context = Context {
        asid: 1,
        vmid: 0,
        regime: 0,
        rest: [0; 6],
    };

    fn put(tlb: &mut Tlb, space: usize, va: u64, size: u8, global: bool) {
        let marks = tlb.marks(space, va, size, global);
        *tlb.data(space, va) = DataEntry {
            read: va,
            write: va,
            addend: 0,
            phys: va | marks,
        };
        *tlb.code(space, va) = CodeEntry {
            tag: va,
            table: 0,
            phys: va | marks,
            number: NO_TABLE,
            reserved: 0,
        };
    }
    fn has(tlb: &mut Tlb, space: usize, va: u64) -> bool {
        let (data, code) = (tlb.data(space, va).read == va, tlb.code(space, va).tag == va);
        assert_eq!(data, code, "{va:#x}");
        data
    }

    #[test]
    fn a_page_of_a_larger_mapping_takes_all_of_it_along() {
        let mut tlb = Tlb::new(4);
        let space = tlb.select(KERNEL);
        for va in [0x10_1000, 0x10_3000] {
            put(&mut tlb, space, va, 20, false);
        }
        put(&mut tlb, space, 0x20_2000, 12, false);

        tlb.flush(Flush::page(0x20_4000, None));
        assert!(has(&mut tlb, space, 0x10_1000), "outside the mapping");
        tlb.flush(Flush::page(0x1f_f000, Some(2)));
        assert!(has(&mut tlb, space, 0x10_1000), "of another address space");
        tlb.flush(Flush::page(0x1f_f000, Some(1)));

        assert!(!has(&mut tlb, space, 0x10_1000));
        assert!(!has(&mut tlb, space, 0x10_3000));
        assert!(has(&mut tlb, space, 0x20_2000), "an ordinary page stays");
    }

    #[test]
    fn a_space_that_was_empty_forgets_what_it_was_filled_with() {
        let mut tlb = Tlb::new(1);
        let space = tlb.select(KERNEL);
        let mut left = |forget: &dyn Fn(&mut Tlb)| {
            tlb.flush(Flush::ALL);
            put(&mut tlb, space, 0x1000, 12, false);
            forget(&mut tlb);
            has(&mut tlb, space, 0x1000)
        };

        assert!(left(&|_| {}));
        assert!(!left(&|tlb| tlb.flush(Flush::ALL)));
        assert!(!left(&|tlb| tlb.flush(Flush::asid(1))));
        assert!(!left(&|tlb| tlb.flush(Flush::page(0x1000, None))));
        assert!(
            !left(&|tlb| assert_eq!(tlb.select(Context { asid: 2, ..KERNEL }), space)),
            "another context's"
        );
    }

    #[test]
    fn flushes_by_address_space_spare_what_is_global() {
        let mut tlb = Tlb::new(4);
        let spaces = [1, 2].map(|asid| tlb.select(Context { asid, ..KERNEL }));
        for space in spaces {
            put(&mut tlb, space, 0x1000, 12, false);
            put(&mut tlb, space, 0x2000, 12, true);
        }

        tlb.flush(Flush::asid(1));

        let left = spaces.map(|s| (has(&mut tlb, s, 0x1000), has(&mut tlb, s, 0x2000)));
        assert_eq!(left, [(false, true), (true, true)]);
        tlb.flush(Flush::page(0x2000, Some(1)));
        assert!(
            !spaces.iter().any(|&s| has(&mut tlb, s, 0x2000)),
            "a global page goes everywhere"
        );
    }

    #[test]
    fn a_large_global_page_goes_by_any_of_its_addresses_from_any_address_space() {
        let mut tlb = Tlb::new(4);
        let space = tlb.select(KERNEL);
        let mut left = |flushed: u64| {
            put(&mut tlb, space, 0x10_1000, 20, true);
            put(&mut tlb, space, 0x30_2000, 12, false);
            tlb.flush(Flush::page(flushed, Some(2)));
            [0x10_1000, 0x30_2000].map(|va| has(&mut tlb, space, va))
        };

        assert_eq!(left(0x0f_ffff), [true, true], "outside the mapping");
        assert_eq!(left(0x10_0000), [false, true]);
        assert_eq!(left(0x1f_ffff), [false, true]);
        assert_eq!(left(0x20_0000), [true, true], "outside the mapping");
        assert_eq!(left(0x30_2000), [true, true], "of another address space");
    }

    #[test]
    fn a_flush_keeps_to_its_regimes_and_virtual_machine() {
        let mut tlb = Tlb::new(4);
        let spaces =
            [(0, 0), (1, 0), (1, 7), (2, 7)].map(|(regime, vmid)| tlb.select(Context { regime, vmid, ..KERNEL }));
        let mut left = |flush: Flush| {
            spaces.iter().for_each(|&s| put(&mut tlb, s, 0x1000, 12, false));
            tlb.flush(flush);
            spaces.map(|s| has(&mut tlb, s, 0x1000))
        };

        let regimes = Flush {
            regimes: 0b10,
            ..Flush::ALL
        };
        let machine = Flush {
            vmid: Some(7),
            ..Flush::page(0x1000, None)
        };
        let both = Flush {
            regimes: 0b10,
            vmid: Some(7),
            ..Flush::asid(1)
        };

        assert_eq!(left(regimes), [true, false, false, true]);
        assert_eq!(left(machine), [true, true, false, false]);
        assert_eq!(left(both), [true, true, false, true]);
        assert_eq!(left(Flush::ALL), [false; 4]);
    }

    #[test]
    fn a_range_of_pages_goes_however_long_it_is() {
        let mut tlb = Tlb::new(4);
        let space = tlb.select(KERNEL);
        let all = [0x1000, 0x2000, 0x3_f000, 0x4_0000, 0x100_0000, u64::MAX << 13];
        let mut left = |first, last, asid| {
            all.iter().for_each(|&va| put(&mut tlb, space, va, 12, false));
            tlb.flush(Flush::of(Which::Pages { first, last, asid }));
            all.map(|va| has(&mut tlb, space, va))
        };

        assert_eq!(left(0x2fff, 0x3_f000, None), [true, false, false, true, true, true]);
        assert_eq!(left(0x2000, 0x2000, Some(2)), [true; 6], "of another address space");
        assert_eq!(
            left(0x1800, 0x10f_ffff, Some(1)),
            [false, false, false, false, false, true]
        );
        assert_eq!(left(0x4_0000, u64::MAX, None), [true, true, true, false, false, false]);
        assert_eq!(left(0, u64::MAX, None), [false; 6]);
        assert_eq!(left(0x3000, 0x1000, None), [true; 6], "no pages");
    }

    #[test]
    fn contexts_that_differ_anywhere_are_apart_and_come_back() {
        let mut tlb = Tlb::new(16);
        let mut all = vec![KERNEL, Context { asid: 2, ..KERNEL }, Context { vmid: 2, ..KERNEL }];
        all.push(Context { regime: 2, ..KERNEL });
        all.extend((0..6).map(|word| {
            let mut other = KERNEL;
            other.rest[word] = 2;
            other
        }));

        let spaces: Vec<usize> = all.iter().map(|&c| tlb.select(c)).collect();

        assert_eq!(spaces, (0..all.len()).collect::<Vec<_>>());
        assert_eq!(all.iter().map(|&c| tlb.select(c)).collect::<Vec<_>>(), spaces);
    }
}

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
mod sets;
mod stores;
mod table;

use emu_ir::{Context, Flush, Which};
use sets::{Hull, Large};
use stores::Stores;
pub use table::{CodeEntry, DEVICE, DataEntry, ENTRY_SHIFT, INVALID, NO_TABLE, PAGE, SLOW, STRICT};
use table::{Entry, Table, marks};

/// log2 of the entries of a data table.
pub const DATA_BITS: u32 = 12;
/// log2 of the entries of a fetch table. A kernel's system calls and interrupts alone go through some hundred pages.
pub const CODE_BITS: u32 = 11;
/// Of an address shifted right by `12 - ENTRY_SHIFT`, the place of its entry in a data table.
pub const DATA_MASK: i32 = ((1 << DATA_BITS) - 1) << ENTRY_SHIFT;
/// Of an address shifted right by `12 - ENTRY_SHIFT`, the place of its entry in a fetch table.
pub const CODE_MASK: i32 = ((1 << CODE_BITS) - 1) << ENTRY_SHIFT;
struct Space {
    context: Context,
    /// Of the context.
    hash: u64,
    /// By physical page, the entries that stores use without asking Rust.
    stores: Stores,
    used: u64,
    large: Large,
    /// What the mappings that are in every address space cover together: all that a flush of another's pages can concern.
    global: Hull,
    /// No entry has been made since all were forgotten. Most flushes come to spaces that are so.
    empty: bool,
    data: Table<DataEntry, { (1 << DATA_BITS) / 64 }>,
    code: Table<CodeEntry, { (1 << CODE_BITS) / 64 }>,
}

/// All contexts of one vCPU.
pub struct Tlb {
    spaces: Vec<Space>,
    /// Where a context may be, by its hash.
    guesses: [usize; GUESSES],
    clock: u64,
    limit: usize,
}

/// How many contexts are found at the first look: as many as there are, and more.
const GUESSES: usize = 64;

/// A hash of all its words, made side by side: asked, as equality is, whenever the guest enters or leaves its kernel.
#[inline]
fn hash(context: &Context) -> u64 {
    let [a, b, c, d, e, f] = context.rest;
    let first = u64::from(context.asid) | u64::from(context.vmid) << 32 | u64::from(context.regime) << 48;
    let sum = (first.wrapping_mul(0x517c_c1b7_2722_0a95))
        .wrapping_add(a.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .wrapping_add(b.wrapping_mul(0xbf58_476d_1ce4_e5b9))
        .wrapping_add(c.wrapping_mul(0x94d0_49bb_1331_11eb))
        .wrapping_add(d.wrapping_mul(0xd6e8_feb8_6659_fd93))
        .wrapping_add(e.wrapping_mul(0xff51_afd7_ed55_8ccd))
        .wrapping_add(f.wrapping_mul(0xc4ce_b9fe_1a85_ec53));
    sum ^ sum >> 32
}
#[inline]
fn same(a: &Context, b: &Context) -> bool {
    let mut differ = 0;
    for i in 0..a.rest.len() {
        differ |= a.rest[i] ^ b.rest[i];
    }
    differ == 0 && (a.asid, a.vmid, a.regime) == (b.asid, b.vmid, b.regime)
}

impl Tlb {
    /// Room for `limit` contexts at once, at least one (the least recently used goes).
    pub fn new(limit: usize) -> Tlb {
        Tlb {
            spaces: Vec::new(),
            guesses: [0; GUESSES],
            clock: 0,
            limit: limit.max(1),
        }
    }
    /// The index of a context's tables, made empty if they are new.
    pub fn select(&mut self, context: Context) -> usize {
        self.clock += 1;
        let hash = hash(&context);
        let is_it = |s: &Space| s.hash == hash && same(&s.context, &context);
        let guess = hash as usize % GUESSES;
        let mut at = self.guesses[guess];
        if !self.spaces.get(at).is_some_and(is_it) {
            let found = self.spaces.iter().position(is_it);
            at = found.unwrap_or_else(|| self.claim(hash, context));
            self.guesses[guess] = at;
        }
        self.spaces[at].used = self.clock;
        at
    }
    /// The same where it is most likely the index of before: whether it is.
    pub fn select_again(&mut self, before: usize, context: &Context) -> bool {
        let space = &mut self.spaces[before];
        let is_it = same(&space.context, context);
        if is_it {
            self.clock += 1;
            space.used = self.clock;
        }
        is_it
    }
    fn claim(&mut self, hash: u64, context: Context) -> usize {
        if self.spaces.len() < self.limit {
            self.spaces.push(Space {
                context,
                hash,
                stores: Stores::new(1 << DATA_BITS),
                used: 0,
                large: Large::NONE,
                global: Hull::EMPTY,
                empty: true,
                data: Table::new(),
                code: Table::new(),
            });
            return self.spaces.len() - 1;
        }
        let oldest = (0..self.spaces.len()).min_by_key(|&i| self.spaces[i].used);
        let at = oldest.unwrap_or(0);
        let space = &mut self.spaces[at];
        if !space.empty {
            space.clear();
        }
        (space.context, space.hash) = (context, hash);
        at
    }
    /// The context that tables belong to.
    pub fn context(&self, space: usize) -> Context {
        self.spaces[space].context
    }
    /// Addresses of a context's data and fetch tables, for translated code; stable for the TLB's life.
    pub fn addresses(&self, space: usize) -> (u64, u64) {
        let space = &self.spaces[space];
        (space.data.address(), space.code.address())
    }
    /// The data entry for `va` from now on.
    pub fn fill(&mut self, space: usize, va: u64, e: DataEntry) {
        let s = &mut self.spaces[space];
        let place = s.data.fill(va, e);
        if e.is_direct() {
            s.stores.note(place, e.phys >> 12);
        }
    }
    /// The fetch entry for `va` from now on.
    pub fn fill_code(&mut self, space: usize, va: u64, e: CodeEntry) {
        self.spaces[space].code.fill(va, e);
    }
    /// The data entry where `va` would be.
    pub fn data(&mut self, space: usize, va: u64) -> &DataEntry {
        self.spaces[space].data.at(va)
    }
    /// The fetch entry where `va` would be. Only [`Tlb::fill_code`] makes one match.
    pub fn code(&mut self, space: usize, va: u64) -> &mut CodeEntry {
        self.spaces[space].code.at(va)
    }
    /// The low bits of [`DataEntry::phys`] and [`CodeEntry::phys`] for an entry about to be made for `va`, of a mapping of
    /// `1 << size` bytes: no entry is made without.
    pub fn marks(&mut self, space: usize, va: u64, size: u8, global: bool) -> u64 {
        let size = u32::from(size).clamp(12, 64);
        let within = u64::MAX >> (64 - size);
        let (first, last) = (va & !within, va | within);
        let s = &mut self.spaces[space];
        s.empty = false;
        if size > 12 {
            s.large.add(first, last);
        }
        if global {
            s.global.add(first, last);
        }
        marks(size, global)
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
        for s in self.spaces.iter_mut().filter(|s| !s.empty) {
            for place in s.stores.places(phys >> 12) {
                let e = s.data.entry(place);
                if e.phys & PAGE == phys && e.is_direct() {
                    e.write |= SLOW;
                }
            }
        }
    }
    /// Forget fetch entries of every context: their jump tables are gone.
    pub fn forget_code(&mut self) {
        for s in self.spaces.iter_mut().filter(|s| !s.empty) {
            s.code.forget(|_| true);
        }
    }
}

impl Space {
    fn clear(&mut self) {
        self.data.forget(|_| true);
        self.code.forget(|_| true);
        self.large = Large::NONE;
        self.global = Hull::EMPTY;
        self.empty = true;
    }
    fn clear_local(&mut self) {
        self.data.forget(|e| !e.is_global());
        self.code.forget(|e| !e.is_global());
    }
    /// Those with a byte between two addresses: global ones, and with `own` the others too.
    fn clear_pages(&mut self, first: u64, last: u64, own: bool) {
        let (first, last) = (first & PAGE, last | !PAGE);
        if first > last || !own && !self.global.meets(first, last) {
            return;
        }
        if self.large.may_meet(first, last) {
            self.data.forget(|e| e.meets(first, last) && (own || e.is_global()));
            self.code.forget(|e| e.meets(first, last) && (own || e.is_global()));
        } else {
            self.data.forget_pages(first, last, |e| own || e.is_global());
            self.code.forget_pages(first, last, |e| own || e.is_global());
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
        let data = DataEntry {
            read: va,
            write: va,
            addend: 0,
            phys: va | marks,
        };
        tlb.fill(space, va, data);
        let code = CodeEntry {
            tag: va,
            phys: va | marks,
            ..CodeEntry::NONE
        };
        tlb.fill_code(space, va, code);
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
    fn a_flush_takes_the_larger_mapping_that_it_meets_and_no_other() {
        let mut tlb = Tlb::new(4);
        let space = tlb.select(KERNEL);
        let all = [
            (0x20_1000, 16),
            (0x21_1000, 16),
            (0x22_1000, 12),
            (0x40_1000, 21),
            (0x60_1000, 21),
            (0x4000_5000, 30),
            (0x8000_6000, 30),
        ];
        let mut gone = |first, last| {
            for (va, size) in all {
                put(&mut tlb, space, va, size, true);
            }
            tlb.flush(Flush::of(Which::Pages {
                first,
                last,
                asid: None,
            }));
            let gone = all.iter().filter(|(va, _)| !has(&mut tlb, space, *va));
            gone.map(|(va, _)| *va).collect::<Vec<_>>()
        };

        assert_eq!(gone(0x20_f000, 0x20_f000), [0x20_1000]);
        assert_eq!(gone(0x20_f000, 0x21_0000), [0x20_1000, 0x21_1000]);
        assert_eq!(gone(0x22_0000, 0x22_0000), [0; 0]);
        assert_eq!(gone(0x22_1000, 0x22_1000), [0x22_1000]);
        assert_eq!(gone(0x5f_ffff, 0x5f_ffff), [0x40_1000]);
        assert_eq!(gone(0x7fff_f000, 0x7fff_f000), [0x4000_5000]);
        assert_eq!(gone(0x7fff_f000, 0x8000_0000), [0x4000_5000, 0x8000_6000]);
        assert_eq!(gone(0x60_0000, 0x3fff_f000), [0x60_1000], "many regions");
        put(&mut tlb, space, 0x1000, 64, false);
        tlb.flush(Flush::page(u64::MAX, None));
        assert!(!has(&mut tlb, space, 0x1000), "all there is");
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

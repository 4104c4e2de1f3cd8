//! Entries, and direct-mapped tables of them.

use std::cell::UnsafeCell;

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
    /// Physical page, with `GLOBAL`, `SIZE`, `DEVICE` and `STRICT`.
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
    /// Physical page, with `GLOBAL` and `SIZE`.
    pub phys: u64,
    /// The table's number, by which the engine finds it; [`NO_TABLE`] where the page has none of its own.
    pub number: u32,
    /// See [`emu_ir::Page::marked`]. The table has blocks of such pages alone, or of others.
    pub marked: bool,
    /// Fills up to the size of an entry.
    pub reserved: [u8; 3],
}
const _: () = assert!(size_of::<DataEntry>() == 1 << ENTRY_SHIFT && size_of::<CodeEntry>() == 1 << ENTRY_SHIFT);

/// [`DataEntry::phys`] and [`CodeEntry::phys`]: mapped in every address space.
pub(super) const GLOBAL: u64 = 1;
/// [`DataEntry::phys`]: what is there is not memory to load from and store to; the bus is asked.
pub const DEVICE: u64 = 2;
/// [`DataEntry::phys`] and [`CodeEntry::phys`]: log2 of how many pages the mapping has that the page is part of. It is
/// forgotten as a whole.
const SIZE: u64 = 0x3f << SIZE_SHIFT;
const SIZE_SHIFT: u32 = 3;

/// What an entry has of the mapping, of `1 << size` bytes, that it is part of: `size` is 12 to 64.
pub(super) fn marks(size: u32, global: bool) -> u64 {
    let global = if global { GLOBAL } else { 0 };
    u64::from(size - 12) << SIZE_SHIFT | global
}

/// What tables have in common.
pub(super) trait Entry: Copy {
    /// It matches nothing.
    const NONE: Self;
    /// The virtual page, or `INVALID`; with other bits.
    fn tag(&self) -> u64;
    /// The physical page and its marks.
    fn phys(&self) -> u64;

    /// Whether its mapping has a byte between two addresses.
    fn meets(&self, first: u64, last: u64) -> bool {
        let within = u64::MAX >> (52 - ((self.phys() & SIZE) >> SIZE_SHIFT));
        let tag = self.tag();
        tag != INVALID && tag & !within <= last && first <= tag | within
    }
    fn is_global(&self) -> bool {
        self.phys() & GLOBAL != 0
    }
}

impl Entry for DataEntry {
    const NONE: DataEntry = DataEntry {
        read: INVALID,
        write: INVALID,
        addend: 0,
        phys: 0,
    };
    fn tag(&self) -> u64 {
        if self.read == INVALID { self.write } else { self.read }
    }
    fn phys(&self) -> u64 {
        self.phys
    }
}

impl Entry for CodeEntry {
    const NONE: CodeEntry = CodeEntry {
        tag: INVALID,
        table: 0,
        phys: 0,
        number: NO_TABLE,
        marked: false,
        reserved: [0; 3],
    };
    fn tag(&self) -> u64 {
        self.tag
    }
    fn phys(&self) -> u64 {
        self.phys
    }
}

/// A direct-mapped table of `64 * WORDS` entries. To forget takes as long as there are entries that match something: most
/// address spaces of a guest are short-lived, and have few.
pub(super) struct Table<E, const WORDS: usize> {
    /// Translated code reads them, behind the compiler's back.
    entries: Box<[UnsafeCell<E>]>,
    /// Those that may match something, a bit each.
    filled: [u64; WORDS],
}

impl<E: Entry, const WORDS: usize> Table<E, WORDS> {
    pub(super) fn new() -> Self {
        Table {
            entries: (0..64 * WORDS).map(|_| UnsafeCell::new(E::NONE)).collect(),
            filled: [0; WORDS],
        }
    }
    fn index(va: u64) -> usize {
        (va >> 12) as usize % (64 * WORDS)
    }
    /// Where the entries are, for translated code: there until the end.
    pub(super) fn address(&self) -> u64 {
        self.entries.as_ptr() as u64
    }
    /// The entry where `va` would be.
    pub(super) fn at(&mut self, va: u64) -> &mut E {
        self.entries[Self::index(va)].get_mut()
    }
    /// The entry at a place that [`Table::fill`] told.
    pub(super) fn entry(&mut self, place: usize) -> &mut E {
        self.entries[place].get_mut()
    }
    /// The entry for `va` from now on. Its place.
    pub(super) fn fill(&mut self, va: u64, e: E) -> usize {
        let i = Self::index(va);
        self.filled[i / 64] |= 1 << (i % 64);
        *self.entries[i].get_mut() = e;
        i
    }
    /// Make those match nothing that are `gone`.
    pub(super) fn forget(&mut self, gone: impl Fn(&E) -> bool) {
        for (word, filled) in self.filled.iter_mut().enumerate() {
            let mut left = *filled;
            while left != 0 {
                let bit = left.trailing_zeros();
                let e = self.entries[64 * word + bit as usize].get_mut();
                if gone(e) {
                    *e = E::NONE;
                    *filled &= !(1 << bit);
                }
                left &= left - 1;
            }
        }
    }
    /// The same among the pages between two addresses.
    pub(super) fn forget_pages(&mut self, first: u64, last: u64, gone: impl Fn(&E) -> bool) {
        /// More pages are found faster by what is there.
        const FEW: u64 = 16;
        let gone = |e: &E| e.meets(first, last) && gone(e);
        if last.saturating_sub(first) >> 12 >= FEW {
            return self.forget(gone);
        }
        for va in (first & PAGE..=last).step_by(4096) {
            let e = self.at(va);
            if gone(e) {
                *e = E::NONE;
            }
        }
    }
}

impl DataEntry {
    /// Whether stores use it without asking Rust.
    pub(super) fn is_direct(&self) -> bool {
        self.write & SLOW == 0
    }
}

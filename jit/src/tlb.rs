//! The stage-1 TLB: direct-mapped tables of 4 KiB pages, one set of tables a [`Context`].
//!
//! Translated code compares a tag and adds an addend; everything that needs a closer look (devices, pages with translated
//! code, strict alignment) has a bit set in the tag's low part, so that the comparison fails and the slow path decides.
//! Switching address spaces, privilege or domain rights selects other tables and flushes nothing.

pub mod host;

use emu_ir::{Context, Flush};
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
/// The page part of an address.
pub const PAGE: u64 = !0xfff;

/// One page's data accesses.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct DataEntry {
    /// Virtual page for loads, `INVALID` if not allowed (or unknown), with `SLOW` if not direct.
    pub read: u64,
    /// The same for stores.
    pub write: u64,
    /// Host address minus guest virtual address, for direct accesses.
    pub addend: u64,
    /// Physical page, bit 0: mapped in every address space, bit 1: strict alignment.
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
    /// Physical page, bit 0: mapped in every address space.
    pub phys: u64,
    /// Keeps the size a power of two.
    pub reserved: u64,
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
    reserved: 0,
};

/// [`DataEntry::phys`] and [`CodeEntry::phys`]: mapped in every address space.
pub const GLOBAL: u64 = 1;
/// [`DataEntry::phys`]: strict alignment.
pub const STRICT: u64 = 2;
/// [`DataEntry::phys`] and [`CodeEntry::phys`]: part of a mapping larger than a page, which is forgotten as a whole.
pub const LARGE: u64 = 4;

/// The tables of one context.
#[repr(C)]
pub struct Tables {
    data: [DataEntry; 1 << DATA_BITS],
    code: [CodeEntry; 1 << CODE_BITS],
}

struct Space {
    context: Context,
    used: u64,
    /// First and last byte of what the mappings of [`LARGE`] entries cover together.
    large: Option<(u64, u64)>,
    /// Translated code reads them, behind the compiler's back.
    tables: Box<UnsafeCell<Tables>>,
}

/// All contexts of one vCPU.
pub struct Tlb {
    spaces: Vec<Space>,
    clock: u64,
    limit: usize,
}

fn data_index(va: u64) -> usize {
    (va >> 12) as usize & ((1 << DATA_BITS) - 1)
}
fn code_index(va: u64) -> usize {
    (va >> 12) as usize & ((1 << CODE_BITS) - 1)
}

impl Tlb {
    /// Room for `limit` contexts at once (the least recently used goes).
    pub fn new(limit: usize) -> Tlb {
        Tlb {
            spaces: Vec::new(),
            clock: 0,
            limit,
        }
    }
    /// The index of a context's tables, made empty if they are new.
    pub fn select(&mut self, context: Context) -> usize {
        self.clock += 1;
        let at = match self.spaces.iter().position(|s| s.context == context) {
            Some(at) => at,
            None => self.claim(context),
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
                used: 0,
                large: None,
                tables: Box::new(UnsafeCell::new(tables)),
            });
            return self.spaces.len() - 1;
        }
        let at = (0..self.spaces.len())
            .min_by_key(|&i| self.spaces[i].used)
            .expect("at least one context");
        self.spaces[at].clear();
        self.spaces[at].context = context;
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
    /// The data entry where `va` would be.
    pub fn data(&mut self, space: usize, va: u64) -> &mut DataEntry {
        &mut self.tables(space).data[data_index(va)]
    }
    /// The fetch entry where `va` would be.
    pub fn code(&mut self, space: usize, va: u64) -> &mut CodeEntry {
        &mut self.tables(space).code[code_index(va)]
    }
    /// An entry of `1 << size` bytes, more than a page, was made for `va`.
    pub fn cover(&mut self, space: usize, va: u64, size: u8) {
        let within = u64::MAX >> (64 - u32::from(size).clamp(12, 64));
        let (first, last) = (va & !within, va | within);
        let large = &mut self.spaces[space].large;
        *large = Some(large.map_or((first, last), |(a, b)| (a.min(first), b.max(last))));
    }
    /// Forget translations.
    pub fn flush(&mut self, what: Flush) {
        match what {
            Flush::All => self.spaces.iter_mut().for_each(Space::clear),
            Flush::Asid(asid) => self
                .spaces
                .iter_mut()
                .filter(|s| s.context.asid == asid)
                .for_each(Space::clear_local),
            Flush::Page { addr, asid } => {
                for s in &mut self.spaces {
                    let own = asid.is_none_or(|a| a == s.context.asid);
                    s.clear_page(addr, own);
                }
            }
        }
    }
    /// Turn stores to a physical page slow everywhere: code was translated from it.
    pub fn protect(&mut self, phys: u64) {
        for s in &mut self.spaces {
            for e in &mut s.tables.get_mut().data {
                if e.phys & PAGE == phys && e.write & !PAGE == 0 {
                    e.write |= SLOW;
                }
            }
        }
    }
    /// Forget fetch entries of every context: their jump tables are gone.
    pub fn forget_code(&mut self) {
        for s in &mut self.spaces {
            s.tables.get_mut().code.fill(NO_CODE);
        }
    }
}

impl Space {
    fn clear(&mut self) {
        let t = self.tables.get_mut();
        t.data.fill(NO_DATA);
        t.code.fill(NO_CODE);
        self.large = None;
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
    fn clear_page(&mut self, addr: u64, own: bool) {
        if self.large.is_some_and(|(first, last)| (first..=last).contains(&addr)) {
            self.clear_large(own);
        }
        let t = self.tables.get_mut();
        let d = &mut t.data[data_index(addr)];
        let hit = |tag: u64| tag != INVALID && tag & PAGE == addr & PAGE;
        if (hit(d.read) || hit(d.write)) && (own || d.phys & GLOBAL != 0) {
            *d = NO_DATA;
        }
        let c = &mut t.code[code_index(addr)];
        if hit(c.tag) && (own || c.phys & GLOBAL != 0) {
            *c = NO_CODE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KERNEL: Context = Context { asid: 1, rest: [0; 3] };

    fn put(tlb: &mut Tlb, space: usize, va: u64, marks: u64) {
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
            tlb.cover(space, va, 20);
            put(&mut tlb, space, va, LARGE);
        }
        put(&mut tlb, space, 0x20_2000, 0);

        tlb.flush(Flush::Page {
            addr: 0x20_4000,
            asid: None,
        });
        assert!(has(&mut tlb, space, 0x10_1000), "outside the mapping");
        tlb.flush(Flush::Page {
            addr: 0x1f_f000,
            asid: Some(2),
        });
        assert!(has(&mut tlb, space, 0x10_1000), "of another address space");
        tlb.flush(Flush::Page {
            addr: 0x1f_f000,
            asid: Some(1),
        });

        assert!(!has(&mut tlb, space, 0x10_1000));
        assert!(!has(&mut tlb, space, 0x10_3000));
        assert!(has(&mut tlb, space, 0x20_2000), "an ordinary page stays");
    }

    #[test]
    fn flushes_by_address_space_spare_what_is_global() {
        let mut tlb = Tlb::new(4);
        let spaces = [1, 2].map(|asid| tlb.select(Context { asid, ..KERNEL }));
        for space in spaces {
            put(&mut tlb, space, 0x1000, 0);
            put(&mut tlb, space, 0x2000, GLOBAL);
        }

        tlb.flush(Flush::Asid(1));

        let left = spaces.map(|s| (has(&mut tlb, s, 0x1000), has(&mut tlb, s, 0x2000)));
        assert_eq!(left, [(false, true), (true, true)]);
        tlb.flush(Flush::Page {
            addr: 0x2000,
            asid: Some(1),
        });
        assert!(
            !spaces.iter().any(|&s| has(&mut tlb, s, 0x2000)),
            "a global page goes everywhere"
        );
    }
}

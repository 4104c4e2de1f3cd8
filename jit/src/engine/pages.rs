//! What is known of guest pages that blocks were made from.

use super::list::List;
use crate::cache::Offset;
use crate::tlb::{NO_TABLE, PAGE};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::*};

/// Page numbers and addresses of code are well spread already: one multiplication.
#[derive(Default)]
pub struct AddressHasher(u64);
impl Hasher for AddressHasher {
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
/// By physical address.
pub type ByAddress<V> = HashMap<u64, V, BuildHasherDefault<AddressHasher>>;

/// The jump tables of pages: for each possible instruction the place of its code in the cache. Translated code reads them
/// while they change; they stay where they are for as long as this is there.
pub struct Jumps {
    /// Of pages that have none of their own: nothing is there.
    empty: Box<[AtomicU32]>,
    tables: List<Box<[AtomicU32]>>,
    miss: Offset,
    insn_shift: u8,
}

impl Jumps {
    /// At most so many tables, for instructions aligned to `1 << insn_shift` bytes, with `miss` where no block is.
    pub fn new(insn_shift: u8, miss: Offset, most: usize) -> Jumps {
        Jumps {
            empty: table(insn_shift, miss),
            tables: List::new(most),
            miss,
            insn_shift,
        }
    }
    fn place(&self, phys: u64) -> usize {
        (phys & 0xfff) as usize >> self.insn_shift
    }
    /// The address of a table; of the empty one for [`NO_TABLE`], or if there is none with that number.
    pub fn address(&self, number: u32) -> u64 {
        self.tables.get(number as usize).unwrap_or(&self.empty).as_ptr() as u64
    }
    /// What the table with that number has for an address in its page, if anything.
    pub fn entry(&self, number: u32, at: u64) -> Option<Offset> {
        let entry = self.tables.get(number as usize)?[self.place(at)].load(Acquire);
        (entry != self.miss).then_some(entry)
    }
    fn set(&self, number: u32, at: u64, entry: Offset) {
        if let Some(table) = self.tables.get(number as usize) {
            table[self.place(at)].store(entry, Release);
        }
    }
}

fn table(insn_shift: u8, miss: Offset) -> Box<[AtomicU32]> {
    (0..4096 >> insn_shift).map(|_| AtomicU32::new(miss)).collect()
}

/// One page.
#[derive(Default)]
pub struct Page {
    /// The numbers of its jump tables: where it is mapped unmarked, and where marked. Most pages of a guest never have one: it
    /// is made when control comes to a block of the page for the second time.
    tables: [Option<u32>; 2],
    /// Blocks with a byte in this page.
    members: Vec<u32>,
    /// 64-byte pieces that blocks were made from, a bit each.
    pieces: u64,
    guard: Guard,
    /// How often it came to be guarded.
    times: u32,
    /// Stores since it last had code.
    idle: u16,
    /// How many of those there must be until stores are no longer looked at: more each time that was too early, as
    /// finding the TLB entries again costs far more than looking at a store.
    patience: u16,
}

/// Whether stores to a page are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Guard {
    /// By chance.
    #[default]
    Open,
    /// From now on, but not everybody has said yet that they know.
    Asked,
    /// Everybody's.
    Closed,
}

/// A page that is being translated from.
struct Reading {
    /// By whom.
    cpu: u32,
    page: u64,
    /// 64-byte pieces of it that were stored to since, a bit each.
    changed: u64,
}

/// [`Page::patience`] at most.
const PATIENCE: u16 = 1024;

impl Page {
    /// Code is about to be read from it. `Some`: others are to be told first, which [`Page::settle`] is to say with this
    /// number.
    fn guard(&mut self) -> Option<u32> {
        self.idle = 0;
        if self.guard == Guard::Open {
            self.guard = Guard::Asked;
            self.times = self.times.wrapping_add(1);
            self.patience = (self.patience.max(1) * 2).min(PATIENCE);
        }
        (self.guard == Guard::Asked).then_some(self.times)
    }
    /// Everybody knows that it is guarded, that time.
    fn settle(&mut self, time: u32) {
        if self.guard == Guard::Asked && self.times == time {
            self.guard = Guard::Closed;
        }
    }
    /// A store to it was looked at; whether the next need not be.
    fn relax(&mut self) -> bool {
        if self.pieces == 0 && self.guard != Guard::Open {
            self.idle += 1;
            if self.idle >= self.patience {
                self.guard = Guard::Open;
            }
        }
        self.guard == Guard::Open
    }
}

/// All of them.
pub struct Pages {
    all: Vec<Page>,
    /// A page's index, by its physical address.
    numbers: ByAddress<u32>,
    jumps: Arc<Jumps>,
    /// How many have a table.
    tables: usize,
    reading: Vec<Reading>,
}

/// What a page takes without its table, in bytes: its record, with what the map and the allocator need beside it.
const RECORD: usize = size_of::<Page>() + 64;

impl Pages {
    /// With these tables, of which none is used yet.
    pub fn new(jumps: Arc<Jumps>) -> Pages {
        Pages {
            all: Vec::new(),
            numbers: HashMap::default(),
            jumps,
            tables: 0,
            reading: Vec::new(),
        }
    }
    fn find(&self, phys: u64) -> Option<&Page> {
        let number = self.numbers.get(&(phys & PAGE))?;
        self.all.get(*number as usize)
    }
    fn find_mut(&mut self, phys: u64) -> Option<&mut Page> {
        let number = self.numbers.get(&(phys & PAGE))?;
        self.all.get_mut(*number as usize)
    }
    /// The number of the page around an address; its record is made if it is new.
    pub fn number(&mut self, phys: u64) -> u32 {
        *self.numbers.entry(phys & PAGE).or_insert_with(|| {
            self.all.push(Page::default());
            self.all.len() as u32 - 1
        })
    }

    /// The number of a page's jump table, where it is mapped so ([`emu_ir::Page::marked`]): [`NO_TABLE`] if it has none.
    pub fn table(&self, phys: u64, marked: bool) -> u32 {
        let table = self.find(phys).and_then(|page| page.tables[usize::from(marked)]);
        table.unwrap_or(NO_TABLE)
    }
    /// Let jumps by address go to `entry`, or miss, if the page has a table of its own.
    pub fn enter(&mut self, number: u32, phys: u64, marked: bool, entry: Option<Offset>) {
        if let Some(table) = self.all[number as usize].tables[usize::from(marked)] {
            self.jumps.set(table, phys, entry.unwrap_or(self.jumps.miss));
        }
    }
    /// The same, in a page that is worth a table; the table's number.
    pub fn enter_again(&mut self, number: u32, phys: u64, marked: bool, entry: Offset) -> u32 {
        let known = &mut self.all[number as usize].tables[usize::from(marked)];
        let table = match *known {
            Some(table) => table,
            None if self.tables == self.jumps.tables.room() => return NO_TABLE,
            None => {
                let table = self.tables;
                self.jumps
                    .tables
                    .put(table, self::table(self.jumps.insn_shift, self.jumps.miss));
                self.tables += 1;
                *known.insert(table as u32)
            }
        };
        self.jumps.set(table, phys, entry);
        table
    }

    /// A block has these parts: physical address and length, each in one page.
    pub fn add(&mut self, block: u32, parts: impl Iterator<Item = (u64, u32)>) {
        for (phys, len) in parts {
            let number = self.number(phys);
            let page = &mut self.all[number as usize];
            if page.members.last() != Some(&block) {
                page.members.push(block);
            }
            page.pieces |= pieces(phys, len);
        }
    }
    /// A block is gone, of which the page around an address had a part; `parts` says those of the blocks that stay.
    pub fn remove<I: Iterator<Item = (u64, u32)>>(&mut self, block: u32, phys: u64, parts: impl Fn(u32) -> I) {
        let Some(page) = self.find_mut(phys) else { return };
        page.members.retain(|&m| m != block);
        let left = page.members.iter().flat_map(|&m| parts(m));
        let here = left.filter(|(at, _)| at & PAGE == phys & PAGE);
        page.pieces = here.fold(0, |bits, (at, len)| bits | pieces(at, len));
    }
    /// The blocks with a part in the page around an address.
    pub fn members(&self, phys: u64) -> &[u32] {
        self.find(phys).map_or(&[], |page| &page.members)
    }
    /// Whether blocks were made from bytes in a range that lies in one page.
    pub fn covers(&self, phys: u64, len: u32) -> bool {
        self.find(phys)
            .is_some_and(|page| page.pieces & pieces(phys, len.max(1)) != 0)
    }

    /// Whether stores to a page are to be looked at: it has blocks, or had some lately.
    pub fn guards(&self, phys: u64) -> bool {
        self.find(phys).is_some_and(|page| page.guard != Guard::Open)
    }
    /// Code is about to be read from a page. `Some`: see [`Page::guard`].
    pub fn guard(&mut self, phys: u64) -> Option<u32> {
        let number = self.number(phys);
        self.all[number as usize].guard()
    }
    /// Everybody knows that a page is guarded: see [`Page::settle`].
    pub fn settle(&mut self, phys: u64, time: u32) {
        if let Some(page) = self.find_mut(phys) {
            page.settle(time);
        }
    }
    /// A store to a page was looked at; whether the next need not be.
    pub fn relax(&mut self, phys: u64) -> bool {
        let read = self.reading.iter().any(|reading| reading.page == phys & PAGE);
        !read && self.find_mut(phys).is_none_or(Page::relax)
    }

    /// That vCPU reads code from a page from now on, if all stores to it are looked at; whether they are.
    pub fn read(&mut self, cpu: u32, phys: u64) -> bool {
        let closed = self.find(phys).is_some_and(|page| page.guard == Guard::Closed);
        if closed {
            let (page, changed) = (phys & PAGE, 0);
            self.reading.push(Reading { cpu, page, changed });
        }
        closed
    }
    /// A range that lies in one page was stored to.
    pub fn stored(&mut self, phys: u64, len: u32) {
        for reading in self.reading.iter_mut().filter(|r| r.page == phys & PAGE) {
            reading.changed |= pieces(phys, len.max(1));
        }
    }
    /// Whether these parts of what a vCPU reads are what they were, or may have changed since it began.
    pub fn unchanged(&self, cpu: u32, mut parts: impl Iterator<Item = (u64, u32)>) -> bool {
        parts.all(|(phys, len)| {
            let mut readings = self.reading.iter().filter(|r| r.cpu == cpu && r.page == phys & PAGE);
            readings.all(|r| r.changed & pieces(phys, len) == 0)
        })
    }
    /// That vCPU reads no more.
    pub fn end(&mut self, cpu: u32) {
        self.reading.retain(|r| r.cpu != cpu);
    }

    /// Physical addresses of all pages.
    pub fn addresses(&self) -> impl Iterator<Item = u64> {
        self.numbers.keys().copied()
    }
    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }
    /// Bytes of memory they take.
    pub fn held(&self) -> usize {
        self.all.len() * RECORD + self.tables * size_of_val(&*self.jumps.empty)
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

    const MISS: Offset = 7;
    const AT: u64 = 0x5010;

    fn pages() -> Pages {
        Pages::new(Arc::new(Jumps::new(1, MISS, 100)))
    }

    #[test]
    fn only_a_page_that_is_come_to_again_has_a_table_of_its_own() {
        let mut pages = pages();
        let (number, other) = (pages.number(AT), pages.number(0x9000));
        pages.enter(number, AT, false, Some(100));
        let before = pages.held();
        assert_eq!([AT, 0x9000].map(|phys| pages.table(phys, false)), [NO_TABLE; 2]);

        let table = pages.enter_again(number, AT, false, 100);

        assert_eq!([AT, 0x9000].map(|phys| pages.table(phys, false)), [table, NO_TABLE]);
        assert_eq!(pages.held() - before, 2048 * size_of::<Offset>());
        pages.enter(number, AT + 2, false, Some(200));
        pages.enter_again(other, 0x9000, false, 300);
        assert_eq!(entries(&pages, AT), [(8, 100), (9, 200)]);
        pages.enter(number, AT, false, None);
        assert_eq!(entries(&pages, AT), [(9, 200)]);
        assert!(pages.jumps.empty.iter().all(|entry| entry.load(Relaxed) == MISS));
    }

    #[test]
    fn an_entry_is_found_by_the_table_s_number() {
        let mut pages = pages();
        let number = pages.number(AT);
        let other = pages.number(0x9000);
        let table = pages.enter_again(number, AT, false, 100);
        let jumps = pages.jumps.clone();

        let found = [AT, AT + 2, AT | 0x7000_0000].map(|at| jumps.entry(table, at));

        assert_eq!(found, [Some(100), None, Some(100)]);
        assert_eq!([2, NO_TABLE].map(|number| jumps.entry(number, AT)), [None; 2]);
        let second = pages.enter_again(other, 0x9000, false, 300);
        let addresses = [table, second, NO_TABLE].map(|number| jumps.address(number));
        assert!(
            addresses
                .iter()
                .all(|a| addresses.iter().filter(|b| a == *b).count() == 1)
        );
    }

    #[test]
    fn pages_beyond_the_last_table_have_none() {
        let mut pages = pages();
        let room = pages.jumps.tables.room() as u64;
        for n in 0..room {
            let number = pages.number(n << 12);
            assert_eq!(u64::from(pages.enter_again(number, n << 12, false, 100)), n);
        }

        let number = pages.number(room << 12);

        assert_eq!(pages.enter_again(number, room << 12, false, 100), NO_TABLE);
        assert_eq!(pages.table(room << 12, false), NO_TABLE);
    }

    #[test]
    fn code_is_read_when_everybody_knows_that_the_page_is_guarded() {
        let mut pages = pages();
        assert!(!pages.read(1, AT) && !pages.guards(AT));

        let time = pages.guard(AT).expect("nobody knows");

        assert!(pages.guards(AT) && !pages.read(1, AT), "not everybody knows");
        assert_eq!(pages.guard(AT), Some(time), "another vCPU must wait as well");
        pages.settle(AT, time);
        assert!(pages.read(1, AT));
        assert_eq!(pages.guard(AT), None);
    }

    #[test]
    fn who_knew_of_an_earlier_time_may_not_know_of_this() {
        let mut pages = pages();
        let first = pages.guard(AT).unwrap();
        while !pages.relax(AT) {}
        let second = pages.guard(AT).unwrap();

        pages.settle(AT, first);
        assert!(!pages.read(1, AT));
        pages.settle(AT, second);
        assert!(pages.read(1, AT));
    }

    #[test]
    fn what_is_stored_to_while_code_is_read_is_known_by_its_pieces() {
        let mut pages = pages();
        let time = pages.guard(AT).unwrap();
        pages.settle(AT, time);
        pages.stored(AT, 4);
        assert!(pages.read(1, AT) && pages.read(2, AT));
        pages.end(2);
        assert!(pages.read(2, AT));
        let unchanged = |pages: &Pages, cpu, at, len| pages.unchanged(cpu, std::iter::once((at, len)));
        assert!(unchanged(&pages, 1, AT, 4), "that was before");

        pages.stored(AT + 0x100, 4);
        pages.stored(AT & PAGE | 1 << 20, 0x1000);

        assert!(unchanged(&pages, 1, AT, 4), "that was elsewhere");
        for cpu in [1, 2] {
            assert!(!unchanged(&pages, cpu, AT + 0xf0, 4 + 0x10), "{cpu}");
        }
        pages.end(1);
        assert!(unchanged(&pages, 1, AT + 0x100, 4) && !unchanged(&pages, 2, AT + 0x100, 4));
    }

    #[test]
    fn a_page_that_is_read_stays_guarded() {
        let mut pages = pages();
        let time = pages.guard(AT).unwrap();
        pages.settle(AT, time);
        pages.read(1, AT);
        assert!((0..5000).all(|_| !pages.relax(AT)));

        pages.end(1);

        assert!((0..5000).any(|_| pages.relax(AT)));
    }

    /// What is in the table of a page that has one.
    fn entries(pages: &Pages, phys: u64) -> Vec<(usize, Offset)> {
        let table = pages.jumps.tables.get(pages.table(phys, false) as usize);
        let all = table
            .expect("a table")
            .iter()
            .map(|entry| entry.load(Relaxed))
            .enumerate();
        all.filter(|(_, entry)| *entry != MISS).collect()
    }
}

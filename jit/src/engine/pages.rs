//! What is known of guest pages that blocks were made from.

use crate::cache::Offset;
use crate::tlb::{NO_RECORD, PAGE};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

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

/// One page.
#[derive(Default)]
pub struct Page {
    /// Entry offsets into the cache for jumps by address, one for each possible instruction. Most pages of a guest never
    /// have one: it is made when control comes to a block of the page for the second time.
    table: Option<Box<[Offset]>>,
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

impl Page {
    /// It has a new block; whether its TLB entries must be told.
    fn guard(&mut self) -> bool {
        self.idle = 0;
        let fresh = !self.guarded;
        if fresh {
            self.guarded = true;
            self.patience = (self.patience.max(1) * 2).min(PATIENCE);
        }
        fresh
    }
    /// A store to it was looked at; whether the next need not be.
    fn relax(&mut self) -> bool {
        if self.pieces == 0 && self.guarded {
            self.idle += 1;
            self.guarded = self.idle < self.patience;
        }
        !self.guarded
    }
}

/// All of them.
pub struct Pages {
    all: Vec<Page>,
    /// A page's index, by its physical address.
    numbers: ByAddress<u32>,
    /// The jump table of pages that have none of their own: nothing is there.
    empty: Box<[Offset]>,
    /// How many have a table.
    tables: usize,
    insn_shift: u8,
}

/// What a page takes without its table, in bytes: its record, with what the map and the allocator need beside it.
const RECORD: usize = size_of::<Page>() + 64;

impl Pages {
    /// For instructions aligned to `1 << insn_shift` bytes, with `miss` in jump tables where no block is.
    pub fn new(insn_shift: u8, miss: Offset) -> Pages {
        Pages {
            all: Vec::new(),
            numbers: HashMap::default(),
            empty: vec![miss; 4096 >> insn_shift].into(),
            tables: 0,
            insn_shift,
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
    /// The number of the page around an address, good until [`Pages::clear`]; its record is made if it is new.
    pub fn number(&mut self, phys: u64) -> u32 {
        *self.numbers.entry(phys & PAGE).or_insert_with(|| {
            self.all.push(Page::default());
            self.all.len() as u32 - 1
        })
    }
    fn place(&self, phys: u64) -> usize {
        (phys & 0xfff) as usize >> self.insn_shift
    }

    /// The number of a page's record ([`NO_RECORD`] if it has none), and the address of its jump table (an entry offset
    /// into the cache for each possible instruction); good until [`Pages::clear`], but a page may get its own.
    pub fn table(&self, phys: u64) -> (u64, u64) {
        let record = self.numbers.get(&(phys & PAGE));
        let page = record.and_then(|&n| self.all.get(n as usize));
        let table = page.and_then(|page| page.table.as_ref()).unwrap_or(&self.empty);
        (record.map_or(NO_RECORD, |&n| n.into()), table.as_ptr() as u64)
    }
    /// What the jump table of the page with that record has for an address in it, if anything.
    pub fn entry(&self, record: u64, at: u64) -> Option<Offset> {
        let page = self.all.get(usize::try_from(record).ok()?)?;
        let entry = page.table.as_ref()?[self.place(at)];
        (entry != self.empty[0]).then_some(entry)
    }
    /// Let jumps by address go to `entry`, if the page has a table of its own.
    pub fn enter(&mut self, number: u32, phys: u64, entry: Offset) {
        let place = self.place(phys);
        if let Some(table) = &mut self.all[number as usize].table {
            table[place] = entry;
        }
    }
    /// The same, in a page that is worth a table; the table's address.
    pub fn enter_again(&mut self, number: u32, phys: u64, entry: Offset) -> u64 {
        let place = self.place(phys);
        let page = &mut self.all[number as usize];
        let table = page.table.get_or_insert_with(|| {
            self.tables += 1;
            self.empty.clone()
        });
        table[place] = entry;
        table.as_ptr() as u64
    }
    /// Let jumps by address miss.
    pub fn leave(&mut self, number: u32, phys: u64) {
        self.enter(number, phys, self.empty[0]);
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
        self.find(phys).is_some_and(|page| page.guarded)
    }
    /// A page has a new block; whether its TLB entries must be told.
    pub fn guard(&mut self, phys: u64) -> bool {
        let number = self.number(phys);
        self.all[number as usize].guard()
    }
    /// A store to a page was looked at; whether the next need not be.
    pub fn relax(&mut self, phys: u64) -> bool {
        self.find_mut(phys).is_none_or(Page::relax)
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
        self.all.len() * RECORD + self.tables * size_of_val(&*self.empty)
    }
    /// Forget all of them.
    pub fn clear(&mut self) {
        self.all.clear();
        self.numbers.clear();
        self.tables = 0;
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

    #[test]
    fn only_a_page_that_is_come_to_again_has_a_table_of_its_own() {
        let mut pages = Pages::new(1, MISS);
        let empty = pages.table(AT);
        let (number, other) = (pages.number(AT), pages.number(0x9000));
        pages.enter(number, AT, 100);
        let before = pages.held();
        assert_eq!([AT, 0x9000].map(|phys| pages.table(phys).1), [empty.1; 2]);
        assert_eq!((empty.0, pages.table(AT).0), (NO_RECORD, number.into()));

        let table = pages.enter_again(number, AT, 100);

        assert_eq!([AT, 0x9000].map(|phys| pages.table(phys).1), [table, empty.1]);
        assert_eq!(pages.held() - before, 2048 * size_of::<Offset>());
        pages.enter(number, AT + 2, 200);
        pages.enter_again(other, 0x9000, 300);
        assert_eq!(entries(&pages, AT), [(8, 100), (9, 200)]);
        pages.leave(number, AT);
        assert_eq!(entries(&pages, AT), [(9, 200)]);
        assert!(pages.empty.iter().all(|&entry| entry == MISS));
    }

    #[test]
    fn an_entry_is_found_by_the_page_s_record() {
        let mut pages = Pages::new(1, MISS);
        let (number, other) = (pages.number(AT).into(), pages.number(0x9000).into());
        assert_eq!(pages.entry(number, AT), None, "no table yet");
        pages.enter_again(number as u32, AT, 100);

        let found = [AT, AT + 2, AT | 0x7000_0000].map(|at| pages.entry(number, at));

        assert_eq!(found, [Some(100), None, Some(100)]);
        assert_eq!([other, 2, NO_RECORD].map(|record| pages.entry(record, AT)), [None; 3]);
    }

    /// What is in the table of a page that has one.
    fn entries(pages: &Pages, phys: u64) -> Vec<(usize, Offset)> {
        let table = pages.find(phys).and_then(|page| page.table.as_ref());
        let all = table.expect("a table").iter().copied().enumerate();
        all.filter(|(_, entry)| *entry != MISS).collect()
    }
}

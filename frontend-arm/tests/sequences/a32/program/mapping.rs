//! The mappings of random programs: tables, and what changes them as a program goes.

use super::super::code::Asm;
use super::{CODE, DATA, DATA_PAGES, FIRST, PLAY, SECTION, TABLES, Writer, forget};
use crate::PAGES;
use crate::memory::DEVICE;
use crate::program::put;
use emu_ir::testing::Random;

/// A small page that everyone may do anything with: normal memory.
fn open_page(phys: u32) -> u32 {
    phys | 1 << 6 | 3 << 4 | 0b1110
}

/// A first level descriptor of a second level table.
fn table(at: u32, domain: u32) -> u32 {
    at | domain << 5 | 1
}

/// Domain 0 is checked or open; the others may be anything.
pub(super) fn dacr(random: &mut Random) -> u32 {
    random.pick(&[
        0x5555_5555,
        0x5555_5555,
        u32::MAX,
        0x0000_0015,
        0x0000_0001,
        0x0000_0035,
    ])
}

/// A DACR in which rights are checked wherever there is access: careful programs keep code from being written to by them.
pub(super) const NO_MANAGER: u32 = 0x5555_5555;

/// Goes to another address space, or changes what this one allows.
pub(super) fn switch(asm: &mut Asm, random: &mut Random) {
    match random.word_below(5) {
        0 => {
            asm.set(0, random.word_below(3));
            asm.write((13, 0, 0, 1), 0); // CONTEXTIDR
        }
        1 => {
            asm.set(0, FIRST[random.word_below(2) as usize]);
            asm.write((2, 0, 0, 0), 0); // TTBR0
        }
        2 | 3 => {
            asm.set(0, dacr(random));
            asm.write((3, 0, 0, 0), 0); // DACR
        }
        _ => {
            // SCTLR: alignment checks, the access flag, the MMU.
            let bit = random.pick(&[1 << 1, 1 << 1, 1 << 29, 1]);
            asm.read((1, 0, 0, 0), 0);
            asm.set(1, bit);
            asm.word(if asm.thumb { 0xea80_0001 } else { 0xe020_0001 }); // EOR r0, r0, r1
            asm.write((1, 0, 0, 0), 0);
        }
    }
    if !random.one_in(3) {
        asm.isb();
    }
}

/// To the other address space, with an identifier that belongs to none in between (B3.10.4); or other rights.
pub(super) fn careful_switch(asm: &mut Asm, random: &mut Random) {
    if random.one_in(2) {
        asm.set(0, dacr(random) & NO_MANAGER);
        asm.write((3, 0, 0, 0), 0);
        return asm.isb();
    }
    let space = random.word_below(2);
    asm.dsb();
    asm.set(0, 0);
    asm.write((13, 0, 0, 1), 0);
    asm.isb();
    asm.set(0, FIRST[space as usize]);
    asm.write((2, 0, 0, 0), 0);
    asm.isb();
    asm.set(0, 1 + space);
    asm.write((13, 0, 0, 1), 0);
    asm.isb();
}

impl Writer<'_> {
    pub(super) fn tables(&self, base: &mut [u8], random: &mut Random) {
        for page in 0..PAGES as u32 {
            let at = page << 12;
            // Nobody writes to the handlers. Careful programs never run data, though the second half of an instruction that
            // is Undefined may lead there.
            let read_only = u32::from(at == 0) << 9;
            let never_run = u32::from(self.careful && at >= DATA);
            put(base, TABLES + 4 * page, open_page(at) | read_only | never_run);
        }
        for (space, first) in FIRST.into_iter().enumerate() {
            let play = TABLES + 0x400 * (1 + space as u32);
            for page in 0..16 {
                let word = self.descriptor(random);
                put(base, play + 4 * page, word);
            }
            put(base, first, table(TABLES, 0));
            put(base, first + 4, table(play, random.word_below(3)));
            put(base, first + 8, self.section(random));
            // The device: nothing is fetched from it.
            put(base, first + 12, DEVICE | 3 << 10 | 1 << 4 | 0b0110);
        }
    }

    /// The section at [`SECTION`], or another that maps RAM there.
    fn section(&self, random: &mut Random) -> u32 {
        let rights = random.pick(&[3, 3, 3, 1, 2]);
        let (memory, more) = (random.pick(&[0x100c, 0x100c, 0, 4]), random.word());
        rights << 10
            | memory
            | random.word_below(2) << 5
            | 2
            | more & (1 << 17)
            | if random.one_in(8) { 1 << 4 | 1 << 15 } else { 0 }
    }

    /// A second level descriptor: most often a page of RAM with some rights.
    fn descriptor(&self, random: &mut Random) -> u32 {
        let page = CODE + 0x1000 * random.word_below(8 + DATA_PAGES);
        let more = random.word();
        if self.careful {
            // Of this address space; code is not written to by chance, nor is data run, which stores change as they like.
            let is_code = page < DATA;
            let read_only = if is_code { 1 << 9 } else { more & 1 << 9 };
            return if random.one_in(8) {
                0
            } else {
                let never_run = random.one_in(4) || !is_code;
                open_page(page) | 1 << 11 | read_only | u32::from(never_run)
            };
        }
        match random.word_below(10) {
            0 => 0,
            1 => page | more & 0xfff,
            2..=6 => open_page(page) | more & 1 << 11,
            _ => {
                let (rights, memory) = (random.pick(&[3, 3, 1, 2, 0]), random.pick(&[0x4c, 0x4c, 0, 4]));
                page | rights << 4 | memory | 2 | more & (1 << 11 | 1 << 9) | u32::from(random.one_in(4))
            }
        }
    }

    /// Changes a mapping, and forgets the old one more or less.
    pub(super) fn remap(&self, asm: &mut Asm, random: &mut Random) {
        let (space, page) = (random.word_below(2), random.word_below(16));
        let address = PLAY + (page << 12);
        let (entry, word, address) = match random.word_below(8) {
            0 => (FIRST[space as usize] + 8, self.section(random), SECTION),
            1 => (
                FIRST[space as usize] + 4,
                table(TABLES + 0x400 * (1 + random.word_below(2)), random.word_below(3)),
                address,
            ),
            _ => (
                TABLES + 0x400 * (1 + space) + 4 * page,
                self.descriptor(random),
                address,
            ),
        };
        asm.set(0, word);
        asm.set(1, entry);
        asm.store(0, 1);
        if random.one_in(5) && !self.careful {
            return;
        }
        asm.dsb();
        asm.set(2, address | random.word_below(3));
        let whole = entry == FIRST[space as usize] + 4;
        match random.word_below(5) {
            _ if self.careful => asm.write((8, 0, 7, if whole || random.one_in(4) { 0 } else { 3 }), 2),
            0 => asm.write((8, 0, 7, 0), 2), // TLBIALL
            1 => asm.write((8, 0, 7, 2), 2), // TLBIASID
            2 => asm.write((8, 0, 7, 3), 2), // TLBIMVAA
            _ => asm.write((8, 0, 7, 1), 2), // TLBIMVA
        }
        if random.one_in(4) {
            asm.write((7, 0, 5, 6), 2); // BPIALL
        }
        if self.careful || !random.one_in(5) {
            asm.dsb();
            asm.isb();
        }
        forget(asm);
    }
}

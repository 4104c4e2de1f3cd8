//! Page tables: what is in them at the start, and what is put there as a program goes.

use super::layout::*;
use crate::memory;
use emu_frontend_x86::state::bits::cr4;
use emu_ir::testing::Random;

/// How a program's addresses are translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paging {
    /// Not at all: real mode, and protected mode without paging.
    Off,
    /// Two levels, entries of 32 bits.
    Bits32,
    /// Three levels of 64 bits.
    Pae,
    /// Four levels of 64 bits.
    Long,
}

const P: u64 = 1 << 0;
const W: u64 = 1 << 1;
const U: u64 = 1 << 2;
const PCD: u64 = 1 << 4;
const A: u64 = 1 << 5;
const D: u64 = 1 << 6;
const PS: u64 = 1 << 7;
const G: u64 = 1 << 8;
const NX: u64 = 1 << 63;

/// Makes the entries of a program.
#[derive(Clone, Copy)]
pub struct Tables {
    pub paging: Paging,
    /// Careful programs keep data from being run, and code from being written to where it is mapped again.
    pub careful: bool,
    /// Where in memory the program has its RAM.
    pub base: u32,
}

impl Tables {
    /// The bytes of an entry.
    pub fn entry_size(&self) -> u32 {
        match self.paging {
            Paging::Pae | Paging::Long => 8,
            Paging::Off | Paging::Bits32 => 4,
        }
    }
    fn has_nx(&self) -> bool {
        self.entry_size() == 8
    }
    fn put(&self, memory: &mut [u8], table: u32, index: u32, entry: u64) {
        let size = self.entry_size();
        let at = (table + index * size) as usize;
        memory[at..at + size as usize].copy_from_slice(&entry.to_le_bytes()[..size as usize]);
    }
    fn at(&self, address: u32) -> u64 {
        u64::from(self.base + address)
    }
    fn never_run(&self) -> u64 {
        if self.has_nx() { NX } else { 0 }
    }

    /// Fills the tables.
    pub fn put_all(&self, memory: &mut [u8], random: &mut Random) {
        if self.paging == Paging::Off {
            return;
        }
        let global = if random.one_in(2) { G } else { 0 };
        for page in 0..PAGES as u32 {
            let entry = self.home(page, random) | global;
            self.put(memory, HOME_TABLE, page, entry);
        }
        let large = self.large(random);
        for space in [0, 0x1000] {
            for page in 0..PLAY_PAGES {
                let entry = self.play(random);
                self.put(memory, PLAY_TABLE + space, page, entry);
            }
            let device = self.at(memory::DEVICE) | P | W | U | PCD | self.never_run();
            self.put(memory, PLAY_TABLE + space, DEVICE_ENTRY, device);
            let above = |table: u32| self.at(table) | P | W | U;
            let directory = match self.paging {
                Paging::Bits32 => ROOT + space,
                _ => DIRECTORY + space,
            };
            let covers = if self.entry_size() == 4 { 22 } else { 21 };
            self.put(memory, directory, 0, above(HOME_TABLE));
            self.put(memory, directory, PLAY >> covers, above(PLAY_TABLE + space));
            self.put(memory, directory, LARGE >> covers, large);
            match self.paging {
                Paging::Pae => self.put(memory, ROOT + space, 0, self.at(directory) | P),
                Paging::Long => {
                    self.put(memory, POINTER_TABLE + space, 0, above(directory));
                    self.put(memory, ROOT + space, 0, above(POINTER_TABLE + space));
                }
                Paging::Off | Paging::Bits32 => {}
            }
        }
    }

    /// A page where it is.
    fn home(&self, page: u32, random: &mut Random) -> u64 {
        let at = page << 12;
        let rights = match at {
            VECTORS => U,
            SYSTEM => 0,
            0x2000..0x5000 => W,
            0x5000 => W | U,
            CODE..DATA if at < chunk_at(KERNEL_CHUNKS) => W,
            // A page of data is the kernel's, another cannot be written to.
            _ if at == DATA + 0x3000 => W,
            _ if at == DATA => U | if self.careful { W } else { u64::from(random.word()) & W },
            ROOT.. => W,
            _ => W | U,
        };
        let data = at >= DATA && (self.careful || random.one_in(2));
        let used = u64::from(random.word()) & (A | D);
        self.at(at) | P | rights | used | if data { self.never_run() } else { 0 }
    }

    /// RAM by a large page.
    pub fn large(&self, random: &mut Random) -> u64 {
        let rights = random.pick(&[W | U, W | U, W, U, 0]);
        let used = u64::from(random.word()) & (A | D);
        let there = if random.one_in(12) { 0 } else { P };
        let global = if self.careful { 0 } else { u64::from(random.word()) & G };
        let run = if random.one_in(3) { self.never_run() } else { 0 };
        self.at(0) | PS | rights | used | there | global | run
    }

    /// An entry of [`PLAY`]: most often a page of RAM with some rights.
    pub fn play(&self, random: &mut Random) -> u64 {
        if random.one_in(8) {
            return if self.careful { 0 } else { u64::from(random.word()) & !P };
        }
        let page = CODE + 0x1000 * random.word_below((ROOT - CODE) >> 12);
        let is_code = page < DATA;
        let more = u64::from(random.word());
        let mut entry = self.at(page) | P | more & (U | A | D | 7 << 9);
        if random.one_in(3) {
            entry |= U;
        }
        if self.careful {
            let never = !is_code || random.one_in(4);
            entry |= if is_code { 0 } else { more & W };
            return entry | if never { self.never_run() } else { 0 };
        }
        entry |= more & (W | G);
        if random.one_in(4) {
            entry |= self.never_run();
        }
        if random.one_in(40) && self.has_nx() {
            // Reserved.
            entry |= 1 << 51;
        }
        entry
    }

    /// What a handler puts there: data, or code that cannot be written to where data can be run.
    pub fn mended(&self) -> u64 {
        match self.has_nx() {
            true => self.at(DATA + 0x1000) | P | W | U | NX,
            false if self.careful => self.at(chunk_at(KERNEL_CHUNKS)) | P | U,
            false => self.at(DATA + 0x1000) | P | W | U,
        }
    }

    /// The value of CR3 for an address space, 0 or 1, with its number where there are such.
    pub fn root(&self, space: u32, cr4: u64) -> u32 {
        let number = if cr4 & cr4::PCIDE != 0 { 1 + space } else { 0 };
        self.base + ROOT + 0x1000 * space + number
    }
    /// The address of an entry of [`PLAY`].
    pub fn play_entry(&self, space: u32, page: u32) -> u32 {
        PLAY_TABLE + 0x1000 * space + page * self.entry_size()
    }
    /// That of the entry of a directory which maps an address.
    pub fn directory_entry(&self, space: u32, address: u32) -> u32 {
        match self.paging {
            Paging::Bits32 => ROOT + 0x1000 * space + (address >> 22) * 4,
            _ => DIRECTORY + 0x1000 * space + (address >> 21) * 8,
        }
    }
}

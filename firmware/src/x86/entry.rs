//! How the CPU is when a program gets it, as the boot protocols say: plain data, from which the machine makes a CPU's state.

use super::memory::PAGE;

/// The mode in which a program starts. Interrupts are off, and so is all that is not said here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Protected mode, 32 bits, paging off.
    Protected,
    /// Long mode, 64 bits.
    Long {
        /// Physical address of the top page table: what is placed is mapped where it is.
        cr3: u64,
    },
}

impl Mode {
    /// CR0: protection, and with page tables paging, with the extension type that processors have had for good since 1989.
    pub const fn cr0(self) -> u64 {
        const PE: u64 = 1 << 0;
        const ET: u64 = 1 << 4;
        const PG: u64 = 1 << 31;
        match self {
            Mode::Protected => PE | ET,
            Mode::Long { .. } => PE | ET | PG,
        }
    }

    /// CR4: physical address extension, where there is paging.
    pub const fn cr4(self) -> u64 {
        const PAE: u64 = 1 << 5;
        match self {
            Mode::Protected => 0,
            Mode::Long { .. } => PAE,
        }
    }

    /// EFER: long mode, on and active.
    pub const fn efer(self) -> u64 {
        const LME: u64 = 1 << 8;
        const LMA: u64 = 1 << 10;
        match self {
            Mode::Protected => 0,
            Mode::Long { .. } => LME | LMA,
        }
    }
}

/// A segment register with what it has loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The selector.
    pub selector: u16,
    /// First linear address.
    pub base: u64,
    /// Last offset.
    pub limit: u32,
    /// The descriptor's bits 40 to 55 without the limit's: type, S, DPL, P in bits 0 to 7, AVL, L, D/B, G in 12 to 15.
    pub attributes: u16,
}

/// A present, accessed segment of 4 GiB in pages, ring 0.
const fn flat(selector: u16, attributes: u16) -> Segment {
    Segment {
        selector,
        base: 0,
        limit: u32::MAX,
        attributes,
    }
}

impl Segment {
    /// Code of 32 bits (`__BOOT_CS` of Linux).
    pub const CODE: Segment = flat(0x10, 0xc09b);
    /// Code of 64 bits.
    pub const CODE_64: Segment = flat(0x10, 0xa09b);
    /// Data (`__BOOT_DS` of Linux).
    pub const DATA: Segment = flat(0x18, 0xc093);
    /// A busy task of 32 bits; there is nothing in it.
    pub const TASK: Segment = Segment {
        selector: 0x20,
        base: 0,
        limit: 0x67,
        attributes: 0x008b,
    };

    /// The descriptor that loads it. In memory a limit of 4 GiB is in pages, and a busy task is not: the CPU made it so.
    const fn descriptor(self) -> u64 {
        const BUSY: u64 = 2;
        let (base, attributes) = (self.base, self.attributes as u64);
        let limit = match self.attributes & 0x8000 {
            0 => self.limit,
            _ => self.limit >> 12,
        } as u64;
        let attributes = match self.attributes & 0x1f {
            0xb => attributes & !BUSY,
            _ => attributes,
        };
        limit & 0xffff
            | (base & 0xff_ffff) << 16
            | attributes << 40
            | (limit >> 16 & 0xf) << 48
            | (base >> 24 & 0xff) << 56
    }
}

/// General registers, by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the manual's names")]
pub struct Registers {
    pub ax: u64,
    pub cx: u64,
    pub dx: u64,
    pub bx: u64,
    pub sp: u64,
    pub bp: u64,
    pub si: u64,
    pub di: u64,
}

/// How the first CPU starts; the others wait for the first one's INIT and SIPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Mode and page tables.
    pub mode: Mode,
    /// Physical address of the first instruction, and the instruction pointer.
    pub ip: u64,
    /// General registers; r8 to r15 are zero.
    pub registers: Registers,
    /// Flags: only the bit that is always set.
    pub flags: u64,
    /// The code segment.
    pub cs: Segment,
    /// DS, ES, FS, GS and SS.
    pub data: Segment,
    /// The task register.
    pub tr: Segment,
    /// The descriptor table, which is placed like all else: address and limit. The interrupt table's limit is zero.
    pub gdt: (u64, u16),
}

impl Entry {
    /// At `ip`, with the descriptor table at `gdt`.
    pub fn new(mode: Mode, ip: u64, gdt: u64, registers: Registers) -> Entry {
        Entry {
            mode,
            ip,
            registers,
            flags: 1 << 1,
            cs: match mode {
                Mode::Protected => Segment::CODE,
                Mode::Long { .. } => Segment::CODE_64,
            },
            data: Segment::DATA,
            tr: Segment::TASK,
            gdt: (gdt, GDT_SIZE as u16 - 1),
        }
    }

    /// The descriptor table's bytes.
    pub fn descriptors(&self) -> Vec<u8> {
        let table = [
            0,
            0,
            self.cs.descriptor(),
            self.data.descriptor(),
            self.tr.descriptor(),
            0,
        ];
        table.iter().flat_map(|descriptor| descriptor.to_le_bytes()).collect()
    }
}

/// Length of the descriptor table in bytes: two empty descriptors, code, data, a task in the sixteen bytes that it has in long
/// mode.
pub const GDT_SIZE: u64 = 6 * 8;

const GIB: u64 = 1 << 30;
/// What one entry of the top table maps.
const TOP: u64 = 512 * GIB;
/// Entries of tables.
const ENTRIES: usize = 512;
/// An entry that is there, for reading and writing, of a table; and one of 2 MiB.
const TABLE: u64 = 0b11;
const LARGE: u64 = 0b1000_0011;

/// Page tables that map the first 4 GiB, and each whole GiB that has one of `addresses` in it, where they are, in pages of
/// 2 MiB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tables {
    /// Numbers of the GiB that are mapped, ascending.
    mapped: Vec<u64>,
}

impl Tables {
    /// Tables for so many addresses, each below 256 TiB.
    pub fn new(addresses: impl IntoIterator<Item = u64>) -> Tables {
        const WITHIN: u64 = TOP / GIB * ENTRIES as u64;
        let more = addresses.into_iter().map(|address| address / GIB);
        let mut mapped: Vec<u64> = (0..4).chain(more.filter(|&gib| gib < WITHIN)).collect();
        mapped.sort_unstable();
        mapped.dedup();
        Tables { mapped }
    }

    /// The second-level tables that there are: one for each 512 GiB of which something is mapped.
    fn seconds(&self) -> Vec<u64> {
        let mut seconds: Vec<u64> = self.mapped.iter().map(|gib| gib * GIB / TOP).collect();
        seconds.dedup();
        seconds
    }

    /// Their length in bytes.
    pub fn size(&self) -> u64 {
        (1 + self.seconds().len() + self.mapped.len()) as u64 * PAGE
    }

    /// Their bytes at `base`, a multiple of 4 KiB, where the top one is.
    pub fn bytes(&self, base: u64) -> Vec<u8> {
        let seconds = self.seconds();
        let second = |n: usize| base + (1 + n as u64) * PAGE;
        let third = |n: usize| second(seconds.len() + n);
        let mut words = Vec::new();
        let mut add = |entries: &mut dyn Iterator<Item = (u64, u64)>| {
            let mut table = [0; ENTRIES];
            for (at, entry) in entries {
                table.iter_mut().skip(at as usize).take(1).for_each(|it| *it = entry);
            }
            words.extend(table);
        };
        add(&mut seconds.iter().enumerate().map(|(n, &top)| (top, second(n) | TABLE)));
        for &top in &seconds {
            let own = self
                .mapped
                .iter()
                .enumerate()
                .filter(|(_, gib)| **gib * GIB / TOP == top);
            add(&mut own.map(|(n, gib)| (gib % ENTRIES as u64, third(n) | TABLE)));
        }
        for gib in &self.mapped {
            add(&mut (0..ENTRIES as u64).map(|n| (n, (gib * GIB + n * (2 << 20)) | LARGE)));
        }
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(bytes: &[u8], table: u64, at: u64) -> u64 {
        let at = (table + 8 * at) as usize;
        u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
    }

    /// Where an address is mapped, as the manual's walk of 4-level paging has it.
    fn walk(bytes: &[u8], base: u64, address: u64) -> Option<u64> {
        let mut table = base;
        for shift in [39, 30, 21] {
            let entry = entry(bytes, table - base, address >> shift & 511);
            match entry & 0x81 {
                0x81 => return Some((entry & !0xff) + (address & ((1 << shift) - 1))),
                0x01 => table = entry & !0xfff,
                _ => return None,
            }
        }
        None
    }

    #[test]
    fn descriptors_are_linuxs_boot_descriptors() {
        let long = Entry::new(Mode::Long { cr3: 0x1000 }, 0, 0x500, Registers::default());
        let protected = Entry::new(Mode::Protected, 0, 0x500, Registers::default());
        let words = |entry: &Entry| -> Vec<u64> {
            let bytes = entry.descriptors();
            (0..6).map(|n| super::tests::entry(&bytes, 0, n)).collect()
        };

        let (data, task) = (0x00cf_9300_0000_ffff, 0x0000_8900_0000_0067);
        assert_eq!(words(&long), [0, 0, 0x00af_9b00_0000_ffff, data, task, 0]);
        assert_eq!(words(&protected), [0, 0, 0x00cf_9b00_0000_ffff, data, task, 0]);
        assert_eq!(long.gdt, (0x500, 47));
    }

    #[test]
    fn control_registers_by_mode() {
        let [protected, long] = [Mode::Protected, Mode::Long { cr3: 0 }].map(|m| (m.cr0(), m.cr4(), m.efer()));

        assert_eq!(protected, (0x11, 0, 0));
        assert_eq!(long, (0x8000_0011, 0x20, 0x500));
    }

    #[test]
    fn the_first_4_gib_are_where_they_are() {
        let tables = Tables::new([]);
        let bytes = tables.bytes(0x9000);

        assert_eq!((tables.size(), bytes.len()), (6 * 0x1000, 6 * 0x1000));
        for address in [0, 0x1f_ffff, 0x20_0000, 0x4000_1234, 0xffff_ffff] {
            assert_eq!(walk(&bytes, 0x9000, address), Some(address));
        }
        assert_eq!(walk(&bytes, 0x9000, 1 << 32), None);
    }

    #[test]
    fn what_is_above_is_mapped_by_the_gib() {
        let high = (3 << 39) + 0x1_4567_8901;
        let tables = Tables::new([high, high + 1, 0x1_0000_0000, 1 << 50]);
        let bytes = tables.bytes(0x10_0000);

        assert_eq!(bytes.len() as u64, tables.size());
        for address in [0x1234_5678, 0x1_3fff_ffff, high, high | 0x3fff_ffff] {
            assert_eq!(walk(&bytes, 0x10_0000, address), Some(address));
        }
        for address in [0x1_4000_0000, 3 << 39, high + (1 << 30)] {
            assert_eq!(walk(&bytes, 0x10_0000, address), None);
        }
    }
}

//! The parameters (`struct boot_params`, the "zero page").

use super::BzImage;
use super::image::{HEADER, at};
use crate::fdt::Region;
use crate::x86::memory::{Map, PAGE};

/// Ranges for which the page has room.
pub(super) const RANGES: usize = 128;

/// Offsets of fields that are not the header's.
mod field {
    pub const EXT_MEM_K: usize = 0x002;
    pub const CL_MAGIC: usize = 0x020;
    pub const CL_OFFSET: usize = 0x022;
    pub const ACPI_RSDP_ADDR: usize = 0x070;
    pub const EXT_RAMDISK_IMAGE: usize = 0x0c0;
    pub const EXT_RAMDISK_SIZE: usize = 0x0c4;
    pub const EXT_CMD_LINE_PTR: usize = 0x0c8;
    pub const ALT_MEM_K: usize = 0x1e0;
    pub const E820_ENTRIES: usize = 0x1e8;
    pub const E820_TABLE: usize = 0x2d0;
}

/// What a kernel is told.
pub(super) struct Params<'a> {
    pub map: &'a Map,
    /// Where it lies.
    pub kernel: u64,
    pub command_line: u64,
    pub initrd: Option<Region>,
    /// The first entry of the list; 0 for none.
    pub setup_data: u64,
    /// ACPI's root pointer; 0 for none.
    pub rsdp: u64,
}

impl Params<'_> {
    /// The page, which will be at `address`.
    pub fn page(&self, image: &BzImage, address: u64) -> Vec<u8> {
        let mut page = Page(vec![0; PAGE as usize]);
        page.put(HEADER, image.header());
        page.put(field::ACPI_RSDP_ADDR, &self.rsdp.to_le_bytes());
        self.memory(&mut page);
        self.loader(&mut page, image);
        self.command_line(&mut page, image.version, address);
        if let Some(initrd) = self.initrd {
            page.split(at::RAMDISK_IMAGE, field::EXT_RAMDISK_IMAGE, initrd.base);
            page.split(at::RAMDISK_SIZE, field::EXT_RAMDISK_SIZE, initrd.size);
        }
        page.0
    }

    /// The memory map, and what of it older kernels know: RAM above 1 MiB in KiB.
    fn memory(&self, page: &mut Page) {
        let kib = self.map.ram_from(super::EXTENDED) >> 10;
        page.put(field::ALT_MEM_K, &(kib as u32).to_le_bytes());
        page.put(field::EXT_MEM_K, &(kib.min(0xfc00) as u16).to_le_bytes());
        let ranges = self.map.ranges().iter().take(RANGES);
        page.put(field::E820_ENTRIES, &[ranges.len() as u8]);
        for (n, range) in ranges.enumerate() {
            let [base, size] = [range.region.base, range.region.size].map(u64::to_le_bytes);
            let entry = [&base[..], &size, &(range.kind as u32).to_le_bytes()].concat();
            page.put(field::E820_TABLE + 20 * n, &entry);
        }
    }

    /// The header's fields that a boot loader fills in.
    fn loader(&self, page: &mut Page, image: &BzImage) {
        /// A loader without a number.
        const UNDEFINED: u8 = 0xff;
        const CAN_USE_HEAP: u8 = 1 << 7;
        const HEAP_END: u16 = 0xfe00;
        page.put(at::TYPE_OF_LOADER, &[UNDEFINED]);
        page.put(at::CODE32_START, &(self.kernel as u32).to_le_bytes());
        if image.version >= 0x201 {
            let flags = page.0.get(at::LOADFLAGS).copied().unwrap_or(0);
            page.put(at::LOADFLAGS, &[flags | CAN_USE_HEAP]);
            page.put(at::HEAP_END_PTR, &HEAP_END.to_le_bytes());
        }
        if image.version >= 0x209 {
            page.put(at::SETUP_DATA, &self.setup_data.to_le_bytes());
        }
    }

    /// Where the command line is: before version 2.02 by its offset from the page.
    fn command_line(&self, page: &mut Page, version: u16, address: u64) {
        const MAGIC: u16 = 0xa33f;
        match version {
            0x202.. => page.split(at::CMD_LINE_PTR, field::EXT_CMD_LINE_PTR, self.command_line),
            _ => {
                let offset = self.command_line.wrapping_sub(address) as u16;
                page.put(field::CL_MAGIC, &MAGIC.to_le_bytes());
                page.put(field::CL_OFFSET, &offset.to_le_bytes());
            }
        }
    }
}

struct Page(Vec<u8>);

impl Page {
    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0.iter_mut().skip(at).zip(bytes).for_each(|(to, from)| *to = *from);
    }

    /// A number in two words, the upper one elsewhere.
    fn split(&mut self, low: usize, high: usize, value: u64) {
        self.put(low, &(value as u32).to_le_bytes());
        self.put(high, &((value >> 32) as u32).to_le_bytes());
    }
}

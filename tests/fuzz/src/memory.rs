//! Guest memory that an input fills.

use emu_ir::testing::Alone;
use emu_ir::{Bus, RamPage};

use crate::Input;

/// Memory at physical address 0, and nothing above.
pub(crate) struct Memory(Vec<u8>);

impl Memory {
    /// 64 KiB, from the input as far as it goes.
    pub fn new(input: &mut Input) -> Memory {
        let mut bytes = input.take(0x1_0000).to_vec();
        bytes.resize(0x1_0000, 0);
        Memory(bytes)
    }
    /// So many bytes of zeros.
    pub fn zeroed(size: usize) -> Memory {
        Memory(vec![0; size])
    }
    fn at(&self, phys: u64, size: u8) -> Option<std::ops::Range<usize>> {
        let start = usize::try_from(phys).ok()?;
        let end = start.checked_add(usize::from(size))?;
        (end <= self.0.len()).then_some(start..end)
    }
}

impl Bus for Memory {
    fn load(&mut self, phys: u64, size: u8) -> Option<u64> {
        let bytes = &self.0[self.at(phys, size)?];
        Some(bytes.iter().rev().fold(0, |all, b| all << 8 | u64::from(*b)))
    }
    fn store(&mut self, phys: u64, size: u8, value: u64) -> Option<()> {
        let range = self.at(phys, size)?;
        self.0[range].copy_from_slice(&value.to_le_bytes()[..usize::from(size)]);
        Some(())
    }
    fn ram(&mut self, _: u64) -> Option<RamPage<'_>> {
        None
    }
}

impl Alone for Memory {}

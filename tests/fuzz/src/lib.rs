//! What the fuzz targets do with their bytes. A target is a function here, a line in `fuzz_targets/`, and an entry in
//! `Cargo.toml`; `run` finds it there.
#![forbid(unsafe_code)]

pub mod a64;
pub mod arm;
pub mod devices;
pub mod firmware;
pub mod gdb;
mod memory;
pub mod x86;
pub mod x86_devices;

/// Bytes taken from the front; zeros when there are no more.
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// All of `data`.
    pub fn new(data: &'a [u8]) -> Self {
        Input(data)
    }
    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// What is left, at most `most` bytes of it.
    pub fn take(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        taken
    }
    /// `N` bytes as they are.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        let taken = self.take(N);
        out[..taken.len()].copy_from_slice(taken);
        out
    }
    /// A byte.
    pub fn u8(&mut self) -> u8 {
        self.array::<1>()[0]
    }
    /// Two bytes.
    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }
    /// Four bytes.
    pub fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }
    /// Eight bytes.
    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }
}

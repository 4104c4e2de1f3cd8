//! Code as a translator reads it.

use super::super::nothing_there;
use super::Mmu;
use crate::interp::Now;
use emu_ir::{Fault, Fetch, Guest};

/// Code bytes for a translator.
pub struct Bytes<'a, G: Guest> {
    pub(super) mmu: &'a mut Mmu,
    pub(super) at: Now<'a, G>,
    /// The next virtual page.
    pub(super) next: u64,
    /// Host addresses of the page, and of the next.
    pub(super) first: u64,
    pub(super) second: Option<u64>,
    pub(super) single: bool,
    pub(super) keeps: bool,
    /// Bytes past the page's end were asked for, and not given.
    pub refused: bool,
    /// The physical page that they are in, where they would have been given if it was being read.
    pub unguarded: Option<u64>,
    /// The physical page of the next virtual page, if bytes of it were read.
    pub next_page: Option<u64>,
}

impl<G: Guest> Bytes<'_, G> {
    /// The host address of the byte at an offset.
    fn host(&mut self, offset: u32) -> Result<u64, Fault> {
        if offset < 4096 {
            return Ok(self.first + u64::from(offset));
        }
        if !self.single {
            self.refused = true;
            return Err(nothing_there(self.next));
        }
        let second = match self.second {
            Some(second) => second,
            None => {
                let phys = self.mmu.fetch_page::<G>(self.at, self.next)?.phys;
                if self.keeps && !self.mmu.book.read(self.mmu.cpu, phys) {
                    self.unguarded = Some(phys);
                    return Err(nothing_there(self.next));
                }
                let host = self.mmu.code_at(phys, self.next)?;
                self.next_page = Some(phys);
                *self.second.insert(host)
            }
        };
        Ok(second + u64::from(offset & 0xfff))
    }
}

impl<G: Guest> Fetch for Bytes<'_, G> {
    fn u16(&mut self, offset: u32) -> Result<u16, Fault> {
        let host = self.host(offset)?;
        if offset & 0xfff != 0xfff {
            return Ok(self.mmu.host.load(host, 2) as u16);
        }
        let high = self.host(offset + 1)?;
        Ok(self.mmu.host.load(host, 1) as u16 | (self.mmu.host.load(high, 1) as u16) << 8)
    }
    /// Of an instruction that another CPU replaces meanwhile, all is of one or of the other.
    fn u32(&mut self, offset: u32) -> Result<u32, Fault> {
        if offset.is_multiple_of(4) {
            let host = self.host(offset)?;
            return Ok(self.mmu.host.load(host, 4) as u32);
        }
        Ok(u32::from(self.u16(offset)?) | u32::from(self.u16(offset + 2)?) << 16)
    }
}

//! Accesses of the guest: alignment, page crossing, devices, watched bytes, and what is done at once.

use super::{Mmu, watched_as};
use crate::engine::debug::Compared;
use crate::interp::{Memory, Now};
use crate::tlb::{DEVICE, DataEntry, PAGE, SLOW, STRICT, host::Memory as HostMemory};
use emu_ir::{Access, Fault, Guest, Mem};

enum To {
    /// Host memory at this address.
    Ram(u64),
    /// The bus, at this physical address.
    Device(u64),
}

impl Mmu {
    /// Where `len` bytes at `va`, all in one page, are.
    fn locate<G: Guest>(&mut self, at: Now<G>, va: u64, access: Access, idx: u8) -> Result<(To, DataEntry), Fault> {
        let e = self.entry::<G>(at, va, access, idx)?;
        let phys = e.phys & PAGE | va & 0xfff;
        let to = if e.phys & DEVICE == 0 {
            To::Ram(e.addend.wrapping_add(va))
        } else {
            To::Device(phys)
        };
        Ok((to, e))
    }
    fn check_alignment(va: u64, mem: Mem, access: Access) -> Result<(), Fault> {
        if mem.allows(va) {
            Ok(())
        } else {
            Err(Fault::Alignment { addr: va, access })
        }
    }
    /// Of an access at `addr`, some of which is in the page that `e` is of.
    fn check_strict(e: &DataEntry, addr: u64, mem: Mem, access: Access) -> Result<(), Fault> {
        if e.phys & STRICT != 0 && addr & ((1 << mem.strict()) - 1) != 0 {
            return Err(Fault::Alignment { addr, access });
        }
        Ok(())
    }
    /// The `len` bytes at `va` of the access at `addr`.
    fn read_part<G: Guest>(&mut self, at: Now<G>, addr: u64, (va, len): (u64, u32), mem: Mem) -> Result<u128, Fault> {
        let access = loading(mem);
        let (to, e) = self.locate::<G>(at, va, access, mem.idx)?;
        Self::check_strict(&e, addr, mem, access)?;
        match to {
            To::Ram(a) => Ok(self.host.load(a, len)),
            To::Device(phys) => self.device_load((va, len), phys, mem),
        }
    }
    fn device_load(&mut self, (va, len): (u64, u32), phys: u64, mem: Mem) -> Result<u128, Fault> {
        let fault = Fault::Bus {
            addr: va,
            access: Access::Read,
        };
        let mut value = 0u128;
        for (k, size) in chunks(len, mem) {
            let piece = self.bus.load(phys + k as u64, size).ok_or(fault)?;
            value |= (piece as u128) << (8 * k);
        }
        Ok(value)
    }
    /// The `len` bytes at `va` of an access. Whether the next such store need not be looked at, if this one was.
    fn write_part(
        &mut self,
        (to, e): (&To, &DataEntry),
        (va, len): (u64, u32),
        mem: Mem,
        value: u128,
    ) -> Result<bool, Fault> {
        let phys = e.phys & PAGE | va & 0xfff;
        match *to {
            To::Ram(a) if e.write & SLOW == 0 => self.host.store(a, len, value),
            To::Ram(a) if self.ram(phys & PAGE).is_some_and(|r| r.writable) => {
                self.host.store(a, len, value);
                return Ok(self.stored(phys, len).relaxed);
            }
            To::Ram(_) | To::Device(_) => {
                let fault = Fault::Bus {
                    addr: va,
                    access: Access::Write,
                };
                for (k, size) in chunks(len, mem) {
                    let piece = (value >> (8 * k)) as u64 & (u64::MAX >> (64 - 8 * size as u32));
                    self.bus.store(phys + k as u64, size, piece).ok_or(fault)?;
                }
                self.follow_bus();
            }
        }
        Ok(false)
    }
    /// A page whose code is gone for a while can be stored to directly again.
    fn relax<G: Guest>(&mut self, at: Now<G>, space: u8, va: u64) {
        if !self.watching.page(va, watched_as(at)).1 {
            let space = self.spaces[space as usize & 1];
            let mut entry = *self.tlb.data(space, va);
            if entry.write & PAGE == va & PAGE {
                entry.write &= !SLOW;
                self.tlb.fill(space, va, entry);
            }
        }
    }
}

/// The `len` bytes of an access, or of its part in a page, as a device sees them: 1, 2, 4 or 8 at a time, offset and size.
fn chunks(len: u32, mem: Mem) -> impl Iterator<Item = (u32, u8)> {
    let mut at = 0;
    let largest = mem.pieces.log2().min(mem.strict()).min(3);
    std::iter::from_fn(move || {
        let left = len - at;
        let size = if left == 0 {
            return None;
        } else {
            1u32 << left.ilog2().min(largest.into())
        };
        at += size;
        Some((at - size, size as u8))
    })
}

/// Reverse the bytes of each piece.
fn swapped(value: u128, mem: Mem) -> u128 {
    if mem.pieces.swap() == 0 {
        return value;
    }
    let mut bytes = value.to_le_bytes();
    bytes[..mem.bytes() as usize]
        .chunks_exact_mut(1 << mem.pieces.swap())
        .for_each(<[u8]>::reverse);
    u128::from_le_bytes(bytes)
}

fn low(len: u32) -> u128 {
    u128::MAX >> (128 - 8 * len)
}

impl Mmu {
    /// The host address of an access that needs no closer look: what translated code compares, in Rust.
    #[inline]
    fn direct(&mut self, addr: u64, mem: Mem, access: Access) -> Option<u64> {
        if self.dirty {
            return None;
        }
        let e = self.tlb.data(self.spaces[mem.idx as usize & 1], addr);
        let tag = if access == Access::Write { e.write } else { e.read };
        let strict = tag & STRICT;
        let align = if strict != 0 { mem.strict() } else { mem.align };
        let last = mem.bytes() as u64 - (1 << align.min(mem.size));
        let want = addr.wrapping_add(last) & (PAGE | ((1 << align) - 1)) | strict;
        (tag == want).then(|| e.addend.wrapping_add(addr))
    }
    fn load_checked<G: Guest>(&mut self, at: Now<G>, addr: u64, mem: Mem) -> Result<u128, Fault> {
        Self::check_alignment(addr, mem, loading(mem))?;
        self.watch::<G>(at, addr, mem, Access::Read)?;
        let len = mem.bytes();
        let here = (4096 - (addr & 0xfff) as u32).min(len);
        let mut value = self.read_part::<G>(at, addr, (addr, here), mem)?;
        if here < len {
            let next = addr.wrapping_add(here as u64) & G::LAYOUT.pc.ty.mask() as u64;
            value |= self.read_part::<G>(at, addr, (next, len - here), mem)? << (8 * here);
        }
        Ok(value)
    }
    fn store_checked<G: Guest>(&mut self, at: Now<G>, addr: u64, mem: Mem, value: u128) -> Result<(), Fault> {
        Self::check_alignment(addr, mem, Access::Write)?;
        self.watch::<G>(at, addr, mem, Access::Write)?;
        let len = mem.bytes();
        let here = (4096 - (addr & 0xfff) as u32).min(len);
        let (to, e) = self.locate::<G>(at, addr, Access::Write, mem.idx)?;
        Self::check_strict(&e, addr, mem, Access::Write)?;
        if here == len {
            self.rewrites::<G>(&e, addr, len)?;
            if self.write_part((&to, &e), (addr, len), mem, value)? {
                self.relax(at, mem.idx, addr);
            }
        } else {
            // Both pages must allow it before either is written.
            let next = addr.wrapping_add(here as u64) & G::LAYOUT.pc.ty.mask() as u64;
            let (to2, e2) = self.locate::<G>(at, next, Access::Write, mem.idx)?;
            Self::check_strict(&e2, addr, mem, Access::Write)?;
            self.rewrites::<G>(&e, addr, here)?;
            self.rewrites::<G>(&e2, next, len - here)?;
            self.write_part((&to, &e), (addr, here), mem, value & low(here))?;
            self.write_part((&to2, &e2), (next, len - here), mem, value >> (8 * here))?;
        }
        Ok(())
    }
}

/// What a load is to the memory's protection.
pub fn loading(mem: Mem) -> Access {
    if mem.pieces.is_written() {
        Access::Write
    } else {
        Access::Read
    }
}

impl<G: Guest> Memory<G> for Mmu {
    fn load(&mut self, at: Now<G>, addr: u64, mem: Mem) -> Result<u128, Fault> {
        let value = match self.direct(addr, mem, loading(mem)) {
            Some(at) => self.host.load(at, mem.bytes()),
            None => self.load_checked(at, addr, mem)?,
        };
        Ok(swapped(value, mem))
    }
    fn store(&mut self, at: Now<G>, addr: u64, mem: Mem, value: u128) -> Result<(), Fault> {
        let value = swapped(value, mem);
        match self.direct(addr, mem, Access::Write) {
            Some(at) => self.host.store(at, mem.bytes(), value),
            None => self.store_checked(at, addr, mem, value)?,
        }
        Ok(())
    }
    fn cas(&mut self, at: Now<G>, addr: u64, mem: Mem, old: u128, new: u128) -> Result<u128, Fault> {
        if mem.pieces.is_reading() {
            Self::check_alignment(addr, mem, Access::Write)?;
            self.watch::<G>(at, addr, mem, Access::Read)?;
        }
        self.atomic::<G>(
            at,
            addr,
            mem,
            |host, a, len| host.compare_exchange(a, len, swapped(old, mem), swapped(new, mem)),
            |held| (swapped(held, mem) == old).then_some(swapped(new, mem)),
        )
    }
    fn update(&mut self, at: Now<G>, addr: u64, mem: Mem, f: &dyn Fn(u128) -> u128) -> Result<u128, Fault> {
        Self::check_alignment(addr, mem, Access::Write)?;
        self.watch::<G>(at, addr, mem, Access::Read)?;
        let new = |held| swapped(f(swapped(held, mem)), mem);
        self.atomic::<G>(
            at,
            addr,
            mem,
            |host, a, len| host.update(a, len, new),
            |held| Some(new(held)),
        )
    }
}

impl Mmu {
    /// Keep an access to watched bytes from being made, if nothing else would. What the debugger is told is in `watching`;
    /// the error is then for the engine, else it is the guest's debug exception.
    fn watch<G: Guest>(&mut self, at: Now<G>, addr: u64, mem: Mem, access: Access) -> Result<(), Fault> {
        let (len, mask) = (mem.bytes(), G::LAYOUT.pc.ty.mask() as u64);
        let by = Compared {
            mask,
            plain: watched_as(at),
        };
        let hit = self.watching.find(addr, len, access, &by);
        let trap = match self.watching.is_guests(addr, len, access, &by) {
            true => at.0.data_trap(at.1, addr, len, access, mem.idx),
            false => None,
        };
        if hit.is_none() && trap.is_none() {
            return Ok(());
        }
        for va in [addr, addr.wrapping_add(len as u64 - 1) & mask] {
            let (_, e) = self.locate::<G>(at, va, access, mem.idx)?;
            Self::check_strict(&e, addr, mem, access)?;
        }
        if let Some(hit) = hit {
            self.watching.note(hit);
        } else if G::DATA_TRAPS_AFTER && self.alone {
            self.trapped.extend(trap);
            return Ok(());
        } else if G::DATA_TRAPS_AFTER {
            self.again = true;
        }
        Err(trap.unwrap_or(Fault::Bus { addr, access }))
    }
    /// An atomic access: `ram` on memory where it can be made at once; else a load and, if `device` gives a value, a store.
    fn atomic<G: Guest>(
        &mut self,
        at: Now<G>,
        addr: u64,
        mem: Mem,
        ram: impl FnOnce(&HostMemory, u64, u32) -> u128,
        device: impl FnOnce(u128) -> Option<u128>,
    ) -> Result<u128, Fault> {
        Self::check_alignment(addr, mem, Access::Write)?;
        self.watch::<G>(at, addr, mem, Access::Write)?;
        let len = mem.bytes();
        let plain = Mem {
            pieces: mem.pieces.unswapped(),
            ..mem
        };
        let (to, e) = self.locate::<G>(at, addr, Access::Write, mem.idx)?;
        Self::check_strict(&e, addr, mem, Access::Write)?;
        let writable = self.ram(e.phys & PAGE).is_some_and(|r| r.writable);
        if let To::Ram(a) = to
            && writable
            && HostMemory::at_once(a, len)
        {
            self.rewrites::<G>(&e, addr, len)?;
            let held = ram(&self.host, a, len);
            if e.write & SLOW != 0 && self.stored(e.phys & PAGE | addr & 0xfff, len).relaxed {
                self.relax(at, mem.idx, addr);
            }
            return Ok(swapped(held, mem));
        }
        // It is a store in its second page too, even where nothing is stored.
        let held = <Self as Memory<G>>::load(self, at, addr, plain.to_write())?;
        if let Some(new) = device(held) {
            <Self as Memory<G>>::store(self, at, addr, plain, new)?;
        }
        Ok(swapped(held, mem))
    }
}

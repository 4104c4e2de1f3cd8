//! Memory as the processor's own functions access it: descriptor tables, task-state segments, frames on stacks.
//!
//! Every access is translated when it is asked for, and its fault is a value; stores are made at the end ([`Memory::commit`]),
//! when nothing can fault any more. What a function gives up half-way has not happened.

use crate::mmu::{self, Who};
use crate::model::Model;
use crate::state::{Cpu, mode};
use emu_ir::{Access, Bus, Env, Fault, Flush};

/// What is to follow from what was done, outside of the CPU's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Translations to forget.
    pub flush: Option<Flush>,
    /// The debug registers ask for something else.
    pub traps: bool,
}

impl Effects {
    /// Tells the engine.
    pub fn apply(self, env: &mut dyn Env) {
        if let Some(flush) = self.flush {
            env.flush(flush, false);
        }
        if self.traps {
            env.traps_changed();
        }
        env.context_changed();
    }
    /// These too; of two flushes, everything.
    pub fn add(&mut self, more: Effects) {
        self.flush = match (self.flush, more.flush) {
            (Some(_), Some(_)) => Some(Flush::ALL),
            (one, other) => one.or(other),
        };
        self.traps |= more.traps;
    }
}

/// A store that is to be made: physical address, size, value.
type Store = (u64, u8, u64);

/// Memory at linear addresses.
pub struct Memory<'a> {
    /// What the CPU is.
    pub model: &'a Model,
    bus: &'a mut dyn Bus,
    stores: Vec<Store>,
    /// What is to follow.
    pub effects: Effects,
    /// A fault of what comes after what was done: of a new task, in which it is delivered.
    pub late: Option<Fault>,
}

const PAGE: u64 = 4096;

impl<'a> Memory<'a> {
    /// Of a machine.
    pub fn new(model: &'a Model, bus: &'a mut dyn Bus) -> Memory<'a> {
        Memory {
            model,
            bus,
            stores: Vec::new(),
            effects: Effects::default(),
            late: None,
        }
    }
    /// Physical memory.
    pub fn bus(&mut self) -> &mut dyn Bus {
        &mut *self.bus
    }

    /// The physical address of a byte.
    fn at(&mut self, cpu: &Cpu, addr: u64, access: Access, who: Who) -> Result<u64, Fault> {
        let page = mmu::translate(cpu, self.model, self.bus, addr, access, who)?;
        Ok(page.phys | addr & (PAGE - 1))
    }

    /// 1, 2, 4 or 8 bytes. Where nothing answers, all bits are 1.
    ///
    /// # Errors
    /// The fault of the first byte that cannot be read.
    pub fn load(&mut self, cpu: &Cpu, addr: u64, size: u8, who: Who) -> Result<u64, Fault> {
        let ones = u64::MAX >> (64 - 8 * u32::from(size));
        check_alignment(cpu, addr, size, Access::Read, who)?;
        let first = self.at(cpu, addr, Access::Read, who)?;
        let before = in_page(addr, size);
        if before == size {
            return Ok(self.bus.load(first, size).unwrap_or(ones));
        }
        let second = self.at(cpu, addr.wrapping_add(before.into()), Access::Read, who)?;
        let mut value = 0;
        for n in 0..size {
            let at = byte(n, first, before, second);
            value |= self.bus.load(at, 1).unwrap_or(0xff) << (8 * n);
        }
        Ok(value)
    }

    /// Stores 1, 2, 4 or 8 bytes, at the end. Where nothing answers, nothing is stored.
    ///
    /// # Errors
    /// The fault of the first byte that cannot be written.
    pub fn store(&mut self, cpu: &Cpu, addr: u64, size: u8, value: u64, who: Who) -> Result<(), Fault> {
        check_alignment(cpu, addr, size, Access::Write, who)?;
        let first = self.at(cpu, addr, Access::Write, who)?;
        let before = in_page(addr, size);
        if before == size {
            self.stores.push((first, size, value));
            return Ok(());
        }
        let second = self.at(cpu, addr.wrapping_add(before.into()), Access::Write, who)?;
        for n in 0..size {
            let at = byte(n, first, before, second);
            self.stores.push((at, 1, value >> (8 * n) & 0xff));
        }
        Ok(())
    }

    /// Makes the stores, in their order.
    pub fn commit(&mut self) {
        for (at, size, value) in self.stores.drain(..) {
            let _ = self.bus.store(at, size, value);
        }
    }

    /// Sets bits of a byte of a table, at once and in one access; what it was. With `unless`, only where none of these bits
    /// is set.
    ///
    /// # Errors
    /// The fault of the byte.
    pub fn set(&mut self, cpu: &Cpu, addr: u64, bits: u8, unless: u8) -> Result<u8, Fault> {
        self.change(cpu, addr, |old| {
            (old & unless == 0 && old & bits != bits).then_some(old | bits)
        })
    }
    /// Clears bits of a byte of a table, at once and in one access.
    ///
    /// # Errors
    /// The fault of the byte.
    pub fn clear(&mut self, cpu: &Cpu, addr: u64, bits: u8) -> Result<u8, Fault> {
        self.change(cpu, addr, |old| (old & bits != 0).then_some(old & !bits))
    }
    fn change(&mut self, cpu: &Cpu, addr: u64, new: impl Fn(u8) -> Option<u8>) -> Result<u8, Fault> {
        let at = self.at(cpu, addr, Access::Write, Who::System)?;
        let mut old = self.bus.load(at, 1).unwrap_or(0xff) as u8;
        // Memory that is no memory, a device's register, may never hold what it held.
        for _ in 0..1000 {
            let Some(new) = new(old) else { break };
            let held = self.bus.compare_exchange(at, 1, old.into(), new.into());
            match held {
                Some(held) if held as u8 != old => old = held as u8,
                _ => break,
            }
        }
        Ok(old)
    }
}

/// #AC of a program's own access: SDM 3, "Interrupt 17".
fn check_alignment(cpu: &Cpu, addr: u64, size: u8, access: Access, who: Who) -> Result<(), Fault> {
    let checked = cpu.mode & mode::ALIGN != 0 && who == Who::Level(3);
    match checked && !addr.is_multiple_of(size.into()) {
        true => Err(Fault::Alignment { addr, access }),
        false => Ok(()),
    }
}

/// How many of an access's bytes are in the page where it starts.
fn in_page(addr: u64, size: u8) -> u8 {
    let left = PAGE - addr % PAGE;
    if left < size.into() { left as u8 } else { size }
}

/// The physical address of byte `n` of an access of which `before` bytes are at `first`, the others at `second`.
fn byte(n: u8, first: u64, before: u8, second: u64) -> u64 {
    if n < before {
        first + u64::from(n)
    } else {
        second + u64::from(n - before)
    }
}

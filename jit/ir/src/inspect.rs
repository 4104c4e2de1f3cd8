//! What a debugger sees of a guest.

use crate::{Bus, Env, Guest};
use std::ops::RangeInclusive;

/// The addresses around one that page tables map, or do not map, as one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// log2 of their bytes: they are those that differ from it in these lowest bits alone.
    pub size: u8,
    /// The physical address of the first. `None`: nothing is mapped here.
    pub phys: Option<u64>,
}

impl Span {
    /// The physical address behind one of its virtual ones.
    pub fn at(&self, va: u64) -> Option<u64> {
        Some(self.phys? | va & self.within())
    }
    /// The last of its virtual addresses, given any.
    pub fn last(&self, va: u64) -> u64 {
        va | self.within()
    }
    fn within(&self) -> u64 {
        !u64::MAX.checked_shl(self.size.into()).unwrap_or(0)
    }
}

/// Why no interrupt gets a CPU on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plight {
    /// That, and what it last took, in a few words.
    pub words: String,
    /// It is in the handler of a fault, and will be until that returns. A handler that has not, after some time, has
    /// taken the same fault again and again, or goes astray.
    pub in_handler: bool,
}

/// A guest that a debugger can look into. Registers have numbers from 0 on, without gaps; values are in the target's byte
/// order, as GDB transfers them.
pub trait Inspect: Guest {
    /// The registers as a GDB target description: a whole XML document, with numbers and sizes.
    fn description(&self) -> String;

    /// Whether a debugger takes it that the access that a watchpoint is told of has been made; else that it is about to be.
    fn watches_after(&self) -> bool {
        false
    }

    /// How many registers, from number 0 on, a debugger reads at every stop.
    fn general_registers(&self) -> usize;

    /// A register's value. Reading changes nothing that the guest can see. `None`: there is no such register.
    fn register(&mut self, s: &mut Self::State, env: &mut dyn Env, number: usize) -> Option<Vec<u8>>;

    /// Sets a register, with what follows from it, as the guest's own instructions do; bits that they cannot change stay.
    /// `None`: there is no such register, or `value` is not of its size; nothing is then changed.
    fn set_register(&mut self, s: &mut Self::State, env: &mut dyn Env, number: usize, value: &[u8]) -> Option<()>;

    /// The ranges of virtual addresses, each with its last, that page tables can map as they are set up now. Addresses
    /// with tags mean others, and are not told of.
    fn ranges(&self, s: &Self::State) -> Vec<RangeInclusive<u64>>;

    /// Where a virtual address is through the current page tables, whatever the access rights. `bus` is only read from.
    fn span(&self, s: &Self::State, bus: &mut dyn Bus, va: u64) -> Span;

    /// What the CPU is doing, in a few words: its mode.
    fn doing(&self, s: &Self::State) -> &'static str;

    /// The registers as a table, for a person.
    fn show(&self, s: &Self::State) -> String;

    /// Why no interrupt gets the CPU on from where it is (it masks them). `None`: one does.
    fn plight(&self, s: &Self::State) -> Option<Plight>;
}

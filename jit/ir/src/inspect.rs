//! What a debugger sees of a guest.

use crate::{Bus, Env, Guest};

/// A guest that a debugger can look into. Registers have numbers from 0 on, without gaps; values are in the target's byte
/// order, as GDB transfers them.
pub trait Inspect: Guest {
    /// The registers as a GDB target description: a whole XML document, with numbers and sizes.
    fn description(&self) -> String;

    /// How many registers, from number 0 on, a debugger reads at every stop.
    fn general_registers(&self) -> usize;

    /// A register's value. Reading changes nothing that the guest can see. `None`: there is no such register.
    fn register(&mut self, s: &mut Self::State, env: &mut dyn Env, number: usize) -> Option<Vec<u8>>;

    /// Sets a register, with what follows from it, as the guest's own instructions do; bits that they cannot change stay.
    /// `None`: there is no such register, or `value` is not of its size; nothing is then changed.
    fn set_register(&mut self, s: &mut Self::State, env: &mut dyn Env, number: usize, value: &[u8]) -> Option<()>;

    /// The physical address behind a virtual one through the current page tables, whatever the access rights. `bus` is
    /// only read from.
    fn physical(&self, s: &Self::State, bus: &mut dyn Bus, va: u64) -> Option<u64>;

    /// What the CPU is doing, in a few words: its mode.
    fn doing(&self, s: &Self::State) -> &'static str;

    /// The registers as a table, for a person.
    fn show(&self, s: &Self::State) -> String;

    /// Why no interrupt gets the CPU on from where it is (it masks them), and what it last
    /// took, in a few words. `None`: one does.
    fn plight(&self, s: &Self::State) -> Option<String>;
}

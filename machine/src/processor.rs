//! A vCPU, whatever runs it: the machine starts it, lets it run, wakes it, saves and loads it, and looks into it.

use std::ops::RangeInclusive;

use emu_devices::bus::{LoadError, Saved};
use emu_firmware::x86::Entry;
use emu_ir::{Bus, Span};
use emu_jit::engine::{Exit, debug::Watch};

/// How a CPU starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At its reset vector.
    Vector,
    /// At an address, as the architecture's branches take it, with values in its first argument registers.
    At {
        /// The first instruction's address.
        pc: u64,
        /// The registers.
        args: [u64; 3],
    },
    /// As a boot protocol of x86 says.
    Entry(Entry),
    /// By a start-up message of x86, of which it has waited in the state that INIT left it in: at this page of 4 KiB.
    Page(u8),
}

/// Where a CPU is going that no interrupt gets on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// Round and round, whatever others do: it comes back to the very state that it was in, and looks at nothing that
    /// others may change. The lowest pc of the round.
    Round(u64),
    /// On through instructions that change nothing but the pc.
    Through,
    /// Somewhere, as far as can be told.
    On,
}

/// Why no interrupt gets a CPU on, and where it is going.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plight {
    /// As [`emu_ir::Plight::words`].
    pub words: String,
    /// As [`emu_ir::Plight::in_handler`].
    pub in_handler: bool,
    /// Where it is going.
    pub course: Course,
}

/// What a look at a CPU saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The CPU's number.
    pub cpu: usize,
    /// The next instruction's virtual address.
    pub pc: u64,
    /// It waits for an interrupt.
    pub waits: bool,
    /// Why no interrupt gets it on.
    pub plight: Option<Plight>,
}

/// How other threads reach a vCPU that may be running.
pub trait Waker: Send + Sync {
    /// Raises or lowers pending interrupt lines, by the architecture's bits.
    fn set_line(&self, bits: u32, level: bool);
    /// Makes [`Processor::run`] return [`Exit::Requested`] soon, or at once if it does not run yet.
    fn request_exit(&self);
    /// `length` bytes of memory at a physical address were written by somebody else, or have gone. One vCPU of a machine is
    /// told for all of them.
    fn written(&self, address: u64, length: u64);
    /// What lies where in physical memory has changed.
    fn remapped(&self);
}

/// One vCPU. All calls are its own thread's.
pub trait Processor: Send {
    /// How other threads reach it.
    fn waker(&self) -> Box<dyn Waker>;
    /// Resets it; it then starts as told.
    fn start(&mut self, how: Start);
    /// Runs the guest until something is needed from outside.
    fn run(&mut self) -> Exit;
    /// Runs one instruction: [`Exit::Stepped`], unless it stops the vCPU or a breakpoint is before it. If `interrupts`, taking
    /// a pending one is a step; else they wait.
    fn step(&mut self, interrupts: bool) -> Exit;
    /// Whether a pending interrupt ends a wait for one, or an exit was requested.
    fn wakes(&self) -> bool;
    /// Virtual address of the next instruction.
    fn pc(&self) -> u64;

    /// The architectural state, for a snapshot.
    fn save(&self) -> Saved;
    /// Restores it, and tells the devices of the CPU's own (its timers) what they now do. The clock has its time already.
    ///
    /// # Errors
    /// [`LoadError`]; the vCPU is then unchanged.
    fn load(&mut self, saved: &Saved) -> Result<(), LoadError>;

    /// The registers as a GDB target description: a whole XML document, with numbers and sizes.
    fn description(&self) -> String;
    /// How many registers, from number 0 on, a debugger reads at every stop.
    fn general_registers(&self) -> usize;
    /// A register's value. `None`: there is no such register.
    fn register(&mut self, number: usize) -> Option<Vec<u8>>;
    /// Sets a register, with what follows from it. `None`: there is no such register, or `value` is not of its size.
    fn set_register(&mut self, number: usize, value: &[u8]) -> Option<()>;
    /// The physical address behind a virtual one through the current page tables, whatever the access rights.
    fn physical(&self, bus: &mut dyn Bus, va: u64) -> Option<u64> {
        self.span(bus, va).at(va)
    }
    /// The same, and how far it goes on so.
    fn span(&self, bus: &mut dyn Bus, va: u64) -> Span;
    /// The ranges of virtual addresses, each with its last, that page tables can map now.
    fn ranges(&self) -> Vec<RangeInclusive<u64>>;
    /// What it is doing, in a few words.
    fn doing(&self) -> &'static str;
    /// The registers as a table, for a person.
    fn show(&self) -> String;
    /// Why no interrupt gets the CPU on. `None`: one does.
    fn plight(&mut self) -> Option<Plight>;
    /// Stop at these breakpoints and watchpoints, and no others.
    fn set_stops(&mut self, breakpoints: &[u64], watchpoints: &[Watch]);
}

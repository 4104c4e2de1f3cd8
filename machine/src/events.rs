//! What the main thread is told: by vCPUs, the console, signals and the debugger.

use crossbeam::channel::Sender;

use crate::processor::Look;

/// What the main thread waits for.
#[derive(Clone, Debug)]
pub enum Event {
    /// The guest powered its machine off.
    PowerOff,
    /// The guest's program ended with this status, by semihosting.
    Exited(u8),
    /// The guest asked for a reset.
    Reset,
    /// This CPU has followed [`Order::Halt`](crate::cpus::Order::Halt).
    Halted(usize),
    /// The thread of this CPU has ended.
    Ended(usize),
    /// This CPU was looked at, as [`Order::Look`](crate::cpus::Order::Look) asked.
    Seen(Look),
    /// The user pressed the escape key.
    Escape,
    /// A signal that ends the run.
    Signal(u8),
    /// The user presses the guest's power key.
    PowerKey,
    /// A log or a console's output cannot be written any more.
    OutputLost,
    /// The debugger wants a reset, and to be told when it is done.
    ResetWanted(Sender<()>),
    /// The debugger ends the run.
    Killed,
    /// A host thread that serves the machine has panicked.
    Panicked,
}

//! What the main thread is told, by vCPUs, the console, signals and the debugger; and what others have it do.

use std::fmt;
use std::io::{Read, Write};

use crossbeam::channel::{Sender, bounded};
use emu_devices::bus::Saved;

use crate::error::Error;
use crate::hold::Holder;

/// Something to do to the machine between two events, on its main thread.
pub type Job = Box<dyn FnOnce(&mut dyn Control) + Send>;

use crate::processor::Look;

/// What the main thread waits for.
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
    /// Somebody wants something done, and knows by itself how it went.
    Do(Job),
    /// The debugger ends the run.
    Killed,
    /// A host thread that serves the machine has panicked.
    Panicked,
}

impl Event {
    /// Whether the user wants the run to end, whatever else is going on.
    pub fn ends_run(&self) -> bool {
        matches!(self, Event::Escape | Event::Signal(_) | Event::Killed)
    }

    /// Whether the guest asks for its machine's end or reset.
    pub fn is_guests(&self) -> bool {
        matches!(self, Event::PowerOff | Event::Exited(_) | Event::Reset)
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::PowerOff => f.write_str("PowerOff"),
            Event::Exited(status) => write!(f, "Exited({status})"),
            Event::Reset => f.write_str("Reset"),
            Event::Halted(cpu) => write!(f, "Halted({cpu})"),
            Event::Ended(cpu) => write!(f, "Ended({cpu})"),
            Event::Seen(look) => write!(f, "Seen({look:?})"),
            Event::Escape => f.write_str("Escape"),
            Event::Signal(number) => write!(f, "Signal({number})"),
            Event::PowerKey => f.write_str("PowerKey"),
            Event::OutputLost => f.write_str("OutputLost"),
            Event::Do(_) => f.write_str("Do"),
            Event::Killed => f.write_str("Killed"),
            Event::Panicked => f.write_str("Panicked"),
        }
    }
}

/// A machine, to who operates it from outside: a monitor, a debugger, a migration. Its CPUs run meanwhile, unless they are
/// held.
pub trait Control {
    /// Stops every CPU between two instructions, and the clock, until `who` lets the machine go. On return they rest.
    fn hold(&mut self, who: Holder);
    /// Lets the machine go on, if nobody else holds it.
    fn release(&mut self, who: Holder);
    /// Ends the run, as the debugger does.
    fn end(&mut self);
    /// Resets the machine; held CPUs are then before their first instruction.
    ///
    /// # Errors
    ///
    /// [`Error::Host`] when the user ends the run meanwhile, or images cannot be loaded again.
    fn reset(&mut self) -> Result<(), Error>;
    /// The state of CPUs and devices, without RAM. Holds the machine for as long as that takes.
    ///
    /// # Errors
    ///
    /// [`Error::Host`] when the guest has asked for its machine's end or reset, which comes first.
    fn save(&mut self) -> Result<Saved, Error>;
    /// Writes what RAM holds. Holds the machine for as long as that takes.
    ///
    /// # Errors
    ///
    /// [`Error::Host`] when `out` does not take it.
    fn save_ram(&mut self, out: &mut dyn Write) -> Result<(), Error>;
    /// Takes over what another machine of the same kind, or this one, has saved. Holds the machine for as long as that
    /// takes; it then goes on where that one was, under its own accelerator.
    ///
    /// # Errors
    ///
    /// [`Error::Host`]: the state is not one of such a machine, and nothing has changed; or RAM cannot be read, and the
    /// machine is to be reset.
    fn load(&mut self, state: &Saved, ram: &mut dyn Read) -> Result<(), Error>;
}

/// A way to a running machine.
#[derive(Clone)]
pub struct Handle(Sender<Event>);

impl Handle {
    /// To the machine that listens at the other end.
    pub fn new(events: Sender<Event>) -> Handle {
        Handle(events)
    }

    /// Has the machine's main thread do something between two events, and waits for the answer. `None`: the run is over, or
    /// ends before it comes to that.
    pub fn ask<R: Send + 'static>(&self, job: impl FnOnce(&mut dyn Control) -> R + Send + 'static) -> Option<R> {
        let (reply, answer) = bounded(1);
        let job = move |machine: &mut dyn Control| {
            // Who asked waits.
            let _ = reply.send(job(machine));
        };
        self.0.send(Event::Do(Box::new(job))).ok()?;
        answer.recv().ok()
    }
}

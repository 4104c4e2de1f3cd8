//! A guest that is dead says nothing: this looks at its CPUs a few times and tells where they are, and what they last took,
//! if nothing but a reset gets them on.
//!
//! A CPU that is seen at the same place twice need not be dead: it is looked at where its engine comes back, which in a
//! long loop may be one place. So it must be foreseen to go round for ever ([`Course`]): one that loads something, or
//! asks for a register that changes by itself, may poll, and is not told of.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::{Duration, Instant};

use crossbeam::channel::Receiver;

use crate::board::Interrupts;
use crate::cpus::{Cpus, Order, Power};
use crate::events::Event;
use crate::processor::{Course, Look};

/// How often a running guest is looked at, where the user wants to know.
pub const INTERVAL: Duration = Duration::from_secs(3);
/// Looks that count at the end of a run, and the time between them.
const LOOKS: usize = 3;
const PAUSE: Duration = Duration::from_millis(10);
/// How long the end of a run takes for them, however many CPUs there are.
const PATIENCE: Duration = Duration::from_millis(500);
/// Bytes of code that the loop around a wait has at most.
const LOOP: u64 = 32;

/// Where something is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Nowhere: no CPU is on.
    Off,
    /// This CPU, at this address.
    At(usize, u64),
    /// This CPU, anywhere.
    Astray(usize),
}

/// That something is dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dead {
    /// Where.
    pub place: Place,
    words: String,
}

impl fmt::Display for Dead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

/// What is to be said, if `now` sees that the CPU has got nowhere since `earlier`, and will not: a kernel that idles waits
/// with interrupts masked, too, but `may_interrupt` says that one may come to the CPU.
pub fn since(now: &Look, earlier: &Look, may_interrupt: impl Fn(usize) -> bool) -> Option<Dead> {
    let (plight, before) = (now.plight.as_ref()?, earlier.plight.as_ref()?);
    if now.cpu != earlier.cpu || now.waits != earlier.waits {
        return None;
    }
    let (does, place, pc) = match plight.course {
        _ if now.waits && (may_interrupt(now.cpu) || now.pc.abs_diff(earlier.pc) >= LOOP) => return None,
        _ if now.waits => ("waits", Place::At(now.cpu, now.pc), now.pc),
        Course::Round(pc) => ("loops", Place::At(now.cpu, pc), pc),
        // Where there are no vectors, it may run through all of memory from one fault to the next.
        Course::Through if plight.in_handler && before.in_handler && plight.words == before.words => {
            ("is lost", Place::Astray(now.cpu), now.pc)
        }
        Course::Through | Course::On => return None,
    };
    let words = format!("CPU {} {does} at {pc:#010x}, {}", now.cpu, plight.words);
    Some(Dead { place, words })
}

/// What is to be said if no CPU is on, and so none can start one.
pub fn all_off(cpus: &Cpus) -> Option<Dead> {
    let all = cpus.iter().all(|port| port.power() == Power::Off);
    all.then(|| Dead {
        place: Place::Off,
        words: "every CPU is off, and none is left to start one".to_owned(),
    })
}

/// What is to be said of CPUs that are dead, now that the run ends. `events` that come meanwhile are too late, but for a user
/// who wants the end at once: then, and of CPUs that do not come back in time, nothing is said.
pub fn at_end(cpus: &Cpus, interrupts: &dyn Interrupts, events: &Receiver<Event>) -> Vec<Dead> {
    let end = Instant::now() + PATIENCE;
    let look = |at: Vec<usize>| {
        std::thread::sleep(PAUSE.min(end.saturating_duration_since(Instant::now())));
        looks(cpus, at, events, end)
    };
    // A look makes a CPU go on that waits: the one before those that count.
    let there = looks(cpus, (0..cpus.count()).collect(), events, end);
    let mut first = look(there.into_keys().collect());
    let mut dead = BTreeMap::new();
    for _ in 1..LOOKS {
        let now = look(first.keys().copied().collect());
        dead = since_each(&now, &first, interrupts);
        first.retain(|cpu, _| dead.contains_key(cpu));
    }
    all_off(cpus).into_iter().chain(dead.into_values()).collect()
}

/// What is to be said, of each CPU that is dead.
fn since_each(
    now: &HashMap<usize, Look>,
    earlier: &HashMap<usize, Look>,
    interrupts: &dyn Interrupts,
) -> BTreeMap<usize, Dead> {
    let may_interrupt = |cpu| interrupts.may_interrupt(cpu);
    let both = now.iter().filter_map(|(cpu, now)| Some((*cpu, now, earlier.get(cpu)?)));
    both.filter_map(|(cpu, now, earlier)| Some((cpu, since(now, earlier, may_interrupt)?)))
        .collect()
}

/// Looks at these CPUs, all at once; at those alone that come back before the end.
fn looks(cpus: &Cpus, at: Vec<usize>, events: &Receiver<Event>, end: Instant) -> HashMap<usize, Look> {
    let ports = at.iter().filter_map(|&cpu| cpus.get(cpu));
    ports.for_each(|port| port.order(Order::Look));
    let mut seen = HashMap::new();
    let mut left = at.len();
    while left > 0 {
        match events.recv_deadline(end) {
            Ok(Event::Seen(look)) if at.contains(&look.cpu) => {
                seen.insert(look.cpu, look);
                left -= 1;
            }
            Ok(Event::Ended(_)) => left -= 1,
            Ok(event) if event.ends_run() => return HashMap::new(),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    seen
}

#[cfg(test)]
mod tests;

//! A guest that is dead says nothing: this looks at its CPUs a few times and tells where they are, and what they last took,
//! if nothing but a reset gets them on.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use crossbeam::channel::Receiver;

use crate::board::Interrupts;
use crate::cpus::{Cpus, Order, Power};
use crate::events::Event;
use crate::processor::Look;

/// How often a running guest is looked at, where the user wants to know.
pub const INTERVAL: Duration = Duration::from_secs(3);
/// Looks that count at the end of a run, and the time between them.
const LOOKS: usize = 3;
const PAUSE: Duration = Duration::from_millis(10);
/// How long the end of a run takes for them, however many CPUs there are.
const PATIENCE: Duration = Duration::from_millis(500);
/// Bytes of code that a loop which leads nowhere has at most.
const LOOP: u64 = 32;

/// What is to be said, if `now` sees that the CPU has got nowhere since `earlier`, and will not: a kernel that idles waits
/// with interrupts masked, too, but `may_interrupt` says that one may come to the CPU.
pub fn since(now: &Look, earlier: &Look, may_interrupt: impl Fn(usize) -> bool) -> Option<String> {
    let (plight, before) = (now.plight.as_ref()?, earlier.plight.as_ref()?);
    if now.cpu != earlier.cpu || now.waits != earlier.waits || now.waits && may_interrupt(now.cpu) {
        return None;
    }
    let stays = now.pc.abs_diff(earlier.pc) < LOOP;
    let does = match (stays, now.waits) {
        (true, true) => "waits",
        (true, false) => "loops",
        // Where there are no vectors, it may run through all of memory from one fault to the next, which is the same.
        (false, _) if plight.in_handler && plight == before => "is lost",
        (false, _) => return None,
    };
    Some(format!("CPU {} {does} at {:#010x}, {}", now.cpu, now.pc, plight.words))
}

/// What is to be said if no CPU is on, and so none can start one.
pub fn all_off(cpus: &Cpus) -> Option<String> {
    let all = cpus.iter().all(|port| port.power() == Power::Off);
    all.then(|| "every CPU is off, and none is left to start one".to_owned())
}

/// What is to be said of CPUs that are dead, now that the run ends. `events` that come meanwhile are too late, but for a user
/// who wants the end at once: then, and of CPUs that do not come back in time, nothing is said.
pub fn at_end(cpus: &Cpus, interrupts: &dyn Interrupts, events: &Receiver<Event>) -> Vec<String> {
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
) -> BTreeMap<usize, String> {
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
mod tests {
    use super::*;
    use emu_ir::Plight;

    fn look(pc: u64, waits: bool, words: Option<&str>) -> Look {
        Look {
            cpu: 0,
            pc,
            waits,
            plight: words.map(|words| Plight {
                words: words.to_owned(),
                in_handler: false,
            }),
        }
    }

    #[test]
    fn a_cpu_that_gets_nowhere_is_dead() {
        let before = look(0x100, false, Some("masked"));
        let since = |now: Look, before: &Look| since(&now, before, |_| true);

        assert_eq!(
            since(look(0x104, false, Some("masked")), &before).as_deref(),
            Some("CPU 0 loops at 0x00000104, masked")
        );
        assert_eq!(since(look(0x200, false, Some("masked")), &before), None);
        assert_eq!(since(look(0x100, true, Some("masked")), &before), None);
        assert_eq!(since(look(0x100, false, None), &before), None);
        assert_eq!(
            since(look(0x100, false, Some("masked")), &look(0x100, false, None)),
            None
        );
    }

    #[test]
    fn a_cpu_that_stays_in_the_handler_of_one_fault_is_dead_wherever_it_is() {
        let handles = |pc: u64, fault: &str| Look {
            plight: Some(Plight {
                words: fault.to_owned(),
                in_handler: true,
            }),
            ..look(pc, false, None)
        };
        let since = |now: Look, earlier: Look| since(&now, &earlier, |_| true);

        assert_eq!(
            since(handles(0x200_0000, "abt"), handles(0x100, "abt")).as_deref(),
            Some("CPU 0 is lost at 0x02000000, abt")
        );
        assert_eq!(since(handles(0x200_0000, "abt"), handles(0x100, "und")), None);
        assert_eq!(
            since(look(0x200_0000, false, Some("svc")), look(0x100, false, Some("svc"))),
            None
        );
    }

    #[test]
    fn a_cpu_that_waits_is_dead_where_no_interrupt_comes() {
        let waits = look(0x100, true, Some("masked"));

        let dead = since(&waits, &waits, |_| false);
        let idle = since(&waits, &waits, |cpu| cpu == 0);

        assert_eq!(dead.as_deref(), Some("CPU 0 waits at 0x00000100, masked"));
        assert_eq!(idle, None);
    }
}

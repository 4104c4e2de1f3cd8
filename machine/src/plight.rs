//! A guest that is dead says nothing: this looks at its CPUs a few times and tells where they are, and what they last took,
//! if nothing but a reset gets them on.

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
/// How long the end of a run waits for a CPU to be looked at.
const PATIENCE: Duration = Duration::from_millis(200);
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

/// What is to be said of CPUs that are dead, now that the run ends. `events` that come meanwhile are too late.
pub fn at_end(cpus: &Cpus, interrupts: &dyn Interrupts, events: &Receiver<Event>) -> Vec<String> {
    let dead = (0..cpus.count()).filter_map(|cpu| dead(cpus, cpu, interrupts, events));
    all_off(cpus).into_iter().chain(dead).collect()
}

fn dead(cpus: &Cpus, cpu: usize, interrupts: &dyn Interrupts, events: &Receiver<Event>) -> Option<String> {
    // A look makes a CPU go on that waits: the one before the last counts.
    look(cpus, cpu, events)?;
    std::thread::sleep(PAUSE);
    let first = look(cpus, cpu, events)?;
    let mut said = None;
    for _ in 1..LOOKS {
        std::thread::sleep(PAUSE);
        let now = look(cpus, cpu, events)?;
        said = Some(since(&now, &first, |cpu| interrupts.may_interrupt(cpu))?);
    }
    said
}

/// Looks at a CPU; none if it is off or does not come back.
fn look(cpus: &Cpus, cpu: usize, events: &Receiver<Event>) -> Option<Look> {
    cpus.get(cpu)?.order(Order::Look);
    let end = Instant::now() + PATIENCE;
    loop {
        match events.recv_deadline(end).ok()? {
            Event::Seen(look) if look.cpu == cpu => return Some(look),
            Event::Ended(_) => return None,
            _ => {}
        }
    }
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

use super::*;
use crate::board::Interrupts;
use crate::processor::{Course, Plight};
use crossbeam::channel::{Sender, unbounded};
use emu_devices::bus::{Controller, Device, Irq, Shared};
use emu_ir::testing::until;
use std::sync::{Arc, Mutex, Weak};

fn look_of(cpu: usize, pc: u64, waits: bool, plight: Option<(&str, Course)>) -> Look {
    let plight = plight.map(|(words, course)| Plight {
        words: words.to_owned(),
        in_handler: false,
        course,
    });
    Look { cpu, pc, waits, plight }
}

fn seen(pc: u64, waits: bool, course: Course) -> Look {
    look_of(0, pc, waits, Some(("masked", course)))
}

fn words(dead: Option<Dead>) -> Option<String> {
    dead.map(|dead| dead.to_string())
}

#[test]
fn a_cpu_that_goes_round_for_ever_is_dead_at_the_lowest_place_of_its_round() {
    let round = Course::Round(0xf8);
    let before = seen(0x100, false, round);
    let since = |now: Look, before: &Look| words(since(&now, before, |_| true));

    let said = Some("CPU 0 loops at 0x000000f8, masked");
    assert_eq!(since(seen(0x104, false, round), &before).as_deref(), said);
    assert_eq!(
        since(seen(0x104, false, Course::On), &before),
        None,
        "at one place twice"
    );
    assert_eq!(since(seen(0x104, false, Course::Through), &before), None);
    assert_eq!(since(look_of(0, 0x100, false, None), &before), None);
    assert_eq!(since(look_of(1, 0x100, false, Some(("masked", round))), &before), None);
    assert_eq!(
        since(seen(0x100, false, round), &look_of(0, 0x100, false, None)),
        None,
        "it was not in a plight"
    );
}

#[test]
fn a_cpu_that_runs_through_nothing_from_one_fault_to_the_same_is_dead_wherever_it_is() {
    let handles = |pc: u64, fault: &str, course| Look {
        plight: Some(Plight {
            words: fault.to_owned(),
            in_handler: true,
            course,
        }),
        ..seen(pc, false, course)
    };
    let through = Course::Through;
    let since = |now: Look, earlier: Look| since(&now, &earlier, |_| true);

    let dead = since(handles(0x200_0000, "abt", through), handles(0x100, "abt", Course::On)).unwrap();
    assert_eq!(dead.to_string(), "CPU 0 is lost at 0x02000000, abt");
    assert_eq!(dead.place, Place::Astray(0), "the place is any");
    let other = since(handles(0x200_0000, "abt", through), handles(0x100, "und", through));
    assert_eq!(other, None);
    let lives = since(handles(0x100, "abt", Course::On), handles(0x100, "abt", Course::On));
    assert_eq!(lives, None, "what runs in a handler may be anything");
    assert_eq!(
        since(seen(0x200_0000, false, through), seen(0x100, false, through)),
        None
    );
}

#[test]
fn a_cpu_that_waits_is_dead_where_no_interrupt_comes() {
    let waits = seen(0x100, true, Course::On);

    let dead = since(&waits, &waits, |_| false);
    let idle = since(&waits, &waits, |cpu| cpu == 0);
    let moved = since(&waits, &seen(0x200, true, Course::On), |_| false);

    assert_eq!(words(dead).as_deref(), Some("CPU 0 waits at 0x00000100, masked"));
    assert_eq!((idle, moved), (None, None));
}

#[test]
fn a_cpu_that_began_to_wait_or_ended_it_has_got_on() {
    let (waits, runs) = (seen(0x100, true, Course::On), seen(0x100, false, Course::Round(0x100)));

    assert_eq!(since(&waits, &runs, |_| false), None);
    assert_eq!(since(&runs, &waits, |_| false), None);
}

#[test]
fn all_are_off_only_where_every_cpu_is() {
    let cpus = Cpus::new(2, |_| 1);
    assert_eq!(all_off(&cpus).map(|dead| dead.place), Some(Place::Off));

    for power in [Power::On, Power::Starting] {
        cpus.get(1).unwrap().set_power(power);
        assert_eq!(all_off(&cpus), None, "{power:?}");
    }
}

#[test]
fn a_look_is_answered_by_the_cpu_that_was_asked() {
    let cpus = Cpus::new(2, |_| 1);
    let (sender, events) = unbounded();
    let (other, own) = (look_of(0, 0x100, false, None), look_of(1, 0x200, false, None));
    for look in [&other, &own] {
        sender.send(Event::Seen(look.clone())).unwrap();
    }

    let seen = looks(&cpus, vec![1], &events, Instant::now() + PATIENCE);

    assert_eq!(seen, HashMap::from([(1, own)]));
    assert_eq!(cpus.get(1).unwrap().next_order(), Some(Order::Look));
    assert!(!cpus.get(0).unwrap().has_orders(), "the other is left alone");
}

#[test]
fn a_cpu_whose_thread_has_ended_is_not_seen() {
    let cpus = Cpus::new(1, |_| 1);
    let (sender, events) = unbounded();
    sender.send(Event::Ended(0)).unwrap();
    sender.send(Event::Seen(look_of(0, 0x100, false, None))).unwrap();

    let seen = looks(&cpus, vec![0], &events, Instant::now() + PATIENCE);

    assert_eq!(seen, HashMap::new());
    assert_eq!(events.len(), 1, "nobody waits for an answer");
}

/// Lets no interrupt through.
struct Silent;

impl Interrupts for Silent {
    fn device(&self) -> Shared<dyn Device> {
        panic!("it has no registers")
    }
    fn controllers(&self) -> Vec<Weak<Mutex<dyn Controller>>> {
        panic!("it takes in no lines")
    }
    fn shared(&self, _: u32) -> Irq {
        Irq::unconnected()
    }
    fn private(&self, _: usize, _: u32) -> Irq {
        Irq::unconnected()
    }
    fn may_interrupt(&self, _: usize) -> bool {
        false
    }
}

/// Answers each look at the CPU by the next of these.
fn answer(cpus: Arc<Cpus>, sender: Sender<Event>, looks: Vec<Look>) {
    for look in looks {
        let port = cpus.get(0).unwrap();
        until("it is looked at", || port.next_order() == Some(Order::Look));
        sender.send(Event::Seen(look)).unwrap();
    }
}

/// What the end of a run says of a CPU that is seen like this.
fn at_end_of(looks: Vec<Look>) -> Vec<String> {
    let cpus = Arc::new(Cpus::new(1, |_| 1));
    cpus.get(0).unwrap().set_power(Power::On);
    let (sender, events) = unbounded();
    let answering = std::thread::spawn({
        let cpus = cpus.clone();
        move || answer(cpus, sender, looks)
    });
    let said = at_end(&cpus, &Silent, &events);
    answering.join().unwrap();
    said.iter().map(ToString::to_string).collect()
}

#[test]
fn the_first_look_at_the_end_counts_for_nothing() {
    let waits = seen(0x100, true, Course::On);
    let round = seen(0x104, false, Course::Round(0x104));

    // The look itself woke it.
    let parks = at_end_of(vec![waits.clone(), round.clone(), round.clone(), round.clone()]);
    let lives = at_end_of(vec![round.clone(), round.clone(), waits]);

    assert_eq!(parks, ["CPU 0 loops at 0x00000104, masked"]);
    assert!(lives.is_empty(), "{lives:?}");
}

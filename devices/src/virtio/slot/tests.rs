//! Requests, and what drivers rely on around them, over the MMIO transport.

use super::cause::{CONFIG_CHANGED, USED_BUFFERS};
use super::*;
use crate::bus::{Access, Finish, Format, Lines, Next, Ram, RamWindow, Saved, Shared, Threads, Wiring, Works};
use crate::virtio::mmio::Mmio;
use crate::virtio::testing::{Driver, RAM, RAM_SIZE};
use emu_ir::testing::until;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

/// Answers a request with the number of the answer, which is found unlocked; has a configuration.
#[derive(Default)]
struct Counter {
    answers: u8,
}

impl VirtioDevice for Counter {
    const MODEL: &'static str = "virtio-counter";
    const DEVICE_ID: u32 = 0x42;
    type State = u64;
    type Answer = u8;

    fn queues(&self) -> Vec<u16> {
        vec![256, 256]
    }

    fn requests_at_once(&self, queue: usize) -> u16 {
        [8, 1][queue]
    }

    fn config(&self, state: &u64, offset: u64) -> u32 {
        match offset {
            0 => *state as u32,
            4 => (*state >> 32) as u32,
            _ => 0,
        }
    }

    fn serve(&mut self, _: &mut u64, _: Request<'_>) -> Result<Step<u8>, QueueError> {
        self.answers = self.answers.wrapping_add(1);
        let answer = self.answers;
        Ok(Step::Unlocked(Box::new(move || answer)))
    }

    fn finish(&mut self, _: &mut u64, request: Request<'_>, answer: u8) -> Result<Step<u8>, QueueError> {
        let written = request.chain.write(request.memory, 0, &[answer])?;
        Ok(Step::Done(written as u32))
    }
}

const FORMAT: Format = Format {
    version: VERSION,
    ..Format::first("virtio-counter")
};

struct Bench {
    slot: Shared<Mmio<Counter>>,
    memory: RamWindow,
    lines: Arc<Lines>,
}

impl Bench {
    fn new() -> Bench {
        let memory = RamWindow::new(RAM, Arc::new(Ram::new(RAM_SIZE).unwrap()), None);
        Bench::on(memory)
    }

    fn on(memory: RamWindow) -> Bench {
        let wiring = Wiring::new();
        let lines = Lines::new(&wiring, 1);
        let slot = Mmio::new(&wiring, lines.irq(0), Arc::new(memory.clone()), Counter::default());
        Bench { slot, memory, lines }
    }

    fn start(&self, queues: u64) -> Vec<Driver> {
        Driver::start(&self.slot, &self.memory, feature::VERSION_1, queues)
    }

    fn get(&self, offset: u64) -> u32 {
        self.slot.read(Access::new(offset, 4)) as u32
    }

    fn set(&self, offset: u64, value: u32) {
        self.slot.write(Access::new(offset, 4), value.into());
    }

    /// Begins what there is; what is to be done unlocked is returned.
    fn begin(&self) -> Vec<Box<dyn FnOnce() -> Finish<Mmio<Counter>>>> {
        let mut jobs: Vec<Box<dyn FnOnce() -> Finish<Mmio<Counter>>>> = Vec::new();
        loop {
            match self.slot.with(Works::next) {
                Next::Idle => return jobs,
                Next::More => {}
                Next::Unlocked(job) => jobs.push(job),
            }
        }
    }

    /// Does what was begun, and what follows from it.
    fn end(&self, job: impl FnOnce() -> Finish<Mmio<Counter>>) {
        let finish = job();
        self.slot.with(finish);
        self.slot.work();
    }
}

/// Makes buffers of a byte available, with descriptors 0 on.
fn ask(driver: &mut Driver, count: u16) {
    for n in 0..count {
        driver.describe(n.into(), RAM + u64::from(n), 1, 2, 0);
        driver.make_available(n);
    }
}

#[test]
fn requests_are_given_back_in_the_order_in_which_they_are_done() {
    let b = Bench::new();
    let mut driver = b.start(1).remove(0);
    ask(&mut driver, 3);

    let mut jobs = b.begin();
    assert_eq!(jobs.len(), 3);
    assert!(!b.lines.level(0));
    for at in [2, 0, 0] {
        b.end(jobs.remove(at));
    }

    assert_eq!(driver.used(), [(2, 1), (0, 1), (1, 1)]);
    assert_eq!(driver.bytes(RAM, 3), [1, 2, 3]);
    assert_eq!(b.get(0x60), USED_BUFFERS);
}

#[test]
fn a_queue_has_so_many_requests_at_once() {
    let b = Bench::new();
    let mut drivers = b.start(2);
    ask(&mut drivers[0], 8);
    ask(&mut drivers[1], 3);

    let jobs = b.begin();
    assert_eq!(jobs.len(), 8 + 1);
    jobs.into_iter().for_each(|job| b.end(job));

    assert_eq!(drivers[0].used().len(), 8);
    assert_eq!(drivers[1].used(), [(0, 1), (1, 1), (2, 1)]);
}

#[test]
fn what_is_away_at_a_reset_comes_back_to_nobody() {
    let b = Bench::new();
    let mut driver = b.start(1).remove(0);
    ask(&mut driver, 1);
    let old = b.begin().remove(0);

    b.set(0x70, 0);
    b.memory.write(RAM, &vec![0; RAM_SIZE as usize]).unwrap();
    let mut driver = b.start(1).remove(0);
    ask(&mut driver, 1);
    let new = b.begin().remove(0);
    b.end(old);
    assert_eq!(
        (driver.used(), driver.bytes(RAM, 1), b.lines.level(0)),
        (vec![], vec![0], false)
    );
    b.end(new);

    assert_eq!((driver.used(), driver.bytes(RAM, 1)), (vec![(0, 1)], vec![2]));
}

#[test]
fn a_queue_that_is_stopped_gives_its_requests_up() {
    let b = Bench::new();
    let mut driver = b.start(1).remove(0);
    ask(&mut driver, 1);
    let job = b.begin().remove(0);

    b.set(0x30, 0);
    b.set(0x44, 0);
    b.end(job);

    assert!(driver.used().is_empty());
    let saved = b.slot.save();
    b.slot.load(&saved).unwrap();
}

#[test]
fn requests_under_way_start_over_after_a_load() {
    let b = Bench::new();
    let mut driver = b.start(1).remove(0);
    ask(&mut driver, 3);
    let mut jobs = b.begin();
    b.end(jobs.remove(1));
    let saved = b.slot.save();

    let other = Bench::on(b.memory.clone());
    other.slot.load(&saved).unwrap();
    assert_eq!(other.slot.save(), saved);
    assert!(other.lines.level(0));
    // They do not come back to the one that was loaded.
    other.end(jobs.remove(0));
    other.slot.work();

    assert_eq!(driver.used(), [(1, 1), (0, 1), (2, 1)]);
}

#[test]
fn requests_that_cannot_be_are_refused() {
    let b = Bench::new();
    let mut driver = b.start(1).remove(0);
    ask(&mut driver, 2);
    let _jobs = b.begin();
    let saved = b.slot.save();
    let refused = |change: fn(&mut State<u64, u8>)| {
        let mut state: State<u64, u8> = saved.state(&FORMAT).unwrap();
        change(&mut state);
        let result = b.slot.load(&Saved::new(&FORMAT, &state));
        if result.is_err() {
            assert_eq!(b.slot.save(), saved);
        }
        result.is_err()
    };

    assert!(!refused(|_| {}));
    assert!(refused(|state| state.in_flight.truncate(1)));
    assert!(refused(|state| state.in_flight[0].queue = 1));
    assert!(refused(|state| state.in_flight[0].queue = 2));
    assert!(refused(|state| state.queues[0].size = 1));
    assert!(!refused(|state| state.queues[0].size = 2));
    assert!(!refused(|state| state.queues[1].size = 256));
    assert!(refused(|state| state.queues[1].size = 512));
}

#[test]
fn a_request_that_is_not_there_any_more_needs_a_reset() {
    let b = Bench::new();
    let mut driver = b.start(1).remove(0);
    ask(&mut driver, 1);
    let _jobs = b.begin();
    let saved = b.slot.save();
    driver.describe(0, 0, 1, 2, 0);

    b.slot.load(&saved).unwrap();
    b.slot.work();

    assert_eq!(b.get(0x70), 15 | status::DEVICE_NEEDS_RESET);
}

#[test]
fn a_state_without_requests_is_taken_over() {
    let state = r#"{"model":"virtio-counter","version":1,"state":{"status":15,"device_features_sel":0,
        "driver_features_sel":1,"driver_features":4294967296,"queue_sel":0,"interrupt_status":1,"queues":[
        {"size":8,"ready":true,"descriptors":1073774592,"driver":1073776640,"device":1073777152,"next_available":0,
        "next_used":0},{"size":256,"ready":false,"descriptors":0,"driver":0,"device":0,"next_available":0,
        "next_used":0}],"device":5}}"#;
    let b = Bench::new();
    let mut driver = b.start(1).remove(0);
    b.slot.reset();

    b.slot.load(&serde_json::from_str(state).unwrap()).unwrap();
    assert_eq!((b.get(0x100), b.lines.level(0)), (5, true));
    ask(&mut driver, 1);
    b.slot.work();

    assert_eq!(driver.used(), [(0, 1)]);
}

/// Kicks before a queue is live are not forgotten (3.1.1).
#[test]
fn what_was_notified_of_too_early_is_done_when_the_driver_is_ready() {
    let b = Bench::new();
    b.slot.employ(&Threads::default(), "test", 1).unwrap();
    let mut driver = b.start(1).remove(0);
    b.set(0x70, 0);
    for (offset, value) in [(0x70, 3), (0x24, 1), (0x20, 1), (0x70, 11), (0x30, 0), (0x38, 8)] {
        b.set(offset, value);
    }
    b.set(0x80, driver.queue.descriptors as u32);
    b.set(0x90, driver.queue.driver as u32);
    b.set(0xa0, driver.queue.device as u32);
    b.set(0x44, 1);
    ask(&mut driver, 1);
    b.set(0x50, 0);
    std::thread::sleep(Duration::from_millis(5));
    assert!(driver.used().is_empty());

    b.set(0x70, 15);

    until("somebody looks", || !driver.used().is_empty());
}

#[test]
fn an_acknowledgement_takes_what_it_names_and_the_next_completion_interrupts_again() {
    let b = Bench::new();
    let mut driver = b.start(1).remove(0);
    ask(&mut driver, 2);
    let mut jobs = b.begin();
    b.end(jobs.remove(0));
    let seen = b.get(0x60);

    // Done between the driver's look and its acknowledgement: merged, and the driver looks at the queue afterwards.
    b.end(jobs.remove(0));
    b.slot.with(|mmio| mmio.slot().change_config(|_, _| {}));
    b.slot.write(Access::new(0x64, 4), seen.into());
    assert_eq!(
        (seen, b.get(0x60), b.lines.level(0)),
        (USED_BUFFERS, CONFIG_CHANGED, true)
    );
    b.set(0x64, CONFIG_CHANGED);
    assert!(!b.lines.level(0));
    ask(&mut driver, 1);
    b.slot.work();

    assert_eq!((b.get(0x60), b.lines.level(0)), (USED_BUFFERS, true));
}

#[test]
fn a_smaller_queue_wraps_where_the_driver_says_and_starts_over_after_a_reset() {
    let b = Bench::new();
    for _ in 0..2 {
        b.memory.write(RAM, &vec![0; RAM_SIZE as usize]).unwrap();
        let mut driver = b.start(1).remove(0);
        let size = driver.queue.size;
        for n in 0..3 * size {
            driver.describe(u64::from(n % size), RAM, 1, 2, 0);
            driver.make_available(n % size);
            b.slot.work();
        }

        assert_eq!(driver.used().len(), 3 * usize::from(size));
        b.set(0x70, 0);
    }
}

#[test]
fn the_configuration_has_a_generation_and_any_width() {
    let b = Bench::new();
    b.start(0);
    let before = b.get(0xfc);

    b.slot
        .with(|mmio| mmio.slot().change_config(|_, state| *state = 0x1122_3344_5566_7788));
    b.slot.with(Works::next);

    assert_ne!(b.get(0xfc), before);
    assert_eq!((b.get(0x60), b.lines.level(0)), (CONFIG_CHANGED, true));
    let read = |offset: u64, size| b.slot.read(Access::new(0x100 + offset, size));
    let bytes: Vec<u8> = (0..8).map(|n| read(n, 1) as u8).collect();
    let halves: Vec<u8> = (0..4).flat_map(|n| (read(2 * n, 2) as u16).to_le_bytes()).collect();
    let words: Vec<u8> = (0..2).flat_map(|n| (read(4 * n, 4) as u32).to_le_bytes()).collect();
    assert_eq!((&bytes, &bytes), (&halves, &words));
    assert_eq!(bytes, read(0, 8).to_le_bytes());
    assert_eq!(bytes, 0x1122_3344_5566_7788u64.to_le_bytes());
}

/// A driver on another thread than the device's worker, which sleeps only after it has looked: neither sleeps for ever.
#[test]
fn no_notification_is_lost_between_driver_and_device() {
    for event_idx in [true, false] {
        let ram = Arc::new(Ram::new(RAM_SIZE).unwrap());
        let b = Bench::on(RamWindow::new(RAM, ram, None).among(2));
        b.slot.employ(&Threads::default(), "test", 1).unwrap();
        let features = feature::VERSION_1 | if event_idx { feature::EVENT_IDX } else { 0 };
        let mut driver = Driver::start(&b.slot, &b.memory, features, 1).remove(0);
        let end = Instant::now() + Duration::from_millis(500);
        for round in 0..if cfg!(miri) { 5 } else { 30_000u16 } {
            if Instant::now() > end {
                break;
            }
            converse(&b, &mut driver, round, event_idx);
        }
    }
}

/// Round number `round` of a driver that has one request at a time.
fn converse(b: &Bench, driver: &mut Driver, round: u16, event_idx: bool) {
    let memory = &b.memory;
    let size = u64::from(driver.queue.size);
    let (flags, used_event) = (driver.queue.driver, driver.queue.driver + 4 + 2 * size);
    let (used, avail_event) = (driver.queue.device + 2, driver.queue.device + 4 + 8 * size);
    driver.describe(0, RAM, 1, 2, 0);
    driver.make_available(0);
    fence(Ordering::SeqCst);
    if !event_idx || memory.load_u16(avail_event) == Ok(round) {
        b.set(0x50, 0);
    }
    loop {
        // Interrupts on, then a last look.
        match event_idx {
            true => memory.store_u16(used_event, round).unwrap(),
            false => memory.store_u16(flags, 0).unwrap(),
        }
        fence(Ordering::SeqCst);
        if memory.load_u16(used) == Ok(round.wrapping_add(1)) {
            break;
        }
        let patience = Instant::now() + Duration::from_secs(5);
        while !b.lines.level(0) {
            assert!(Instant::now() < patience, "round {round}: nobody wakes the driver");
            std::hint::spin_loop();
        }
        b.set(0x64, USED_BUFFERS);
    }
    if !event_idx {
        memory.store_u16(flags, 1).unwrap();
    }
}

#[test]
fn what_a_driver_has_settled_stays_as_it_is() {
    let b = Bench::new();
    b.set(0x24, 2);
    b.set(0x20, !0);
    b.start(1);
    let settled = b.slot.save();

    for (offset, value) in [(0x38, 4), (0x80, 0), (0x90, 0), (0xa0, 0), (0x20, 0)] {
        b.set(offset, value);
        assert_eq!(b.slot.save(), settled, "{offset:#x}");
    }
}

#[test]
fn a_driver_may_think_better_of_a_feature_before_it_says_so() {
    let b = Bench::new();
    b.set(0x70, 3);
    for (select, value) in [(0, 5), (1, 1), (1, 0), (0, 2)] {
        b.set(0x24, select);
        b.set(0x20, value);
    }

    b.set(0x70, 11);

    assert_eq!(b.slot.with(|mmio| mmio.slot().state.driver_features), 2);
    assert_eq!(b.get(0x70), 3, "not without VIRTIO_F_VERSION_1");
}

#[test]
fn a_driver_that_is_not_there_yet_hears_of_no_configuration() {
    let b = Bench::new();
    b.set(0x70, 11);

    b.slot.with(|mmio| mmio.slot().change_config(|_, state| *state = 7));

    assert_eq!((b.get(0x100), b.get(0x60), b.lines.level(0)), (7, 0, false));
}

#[test]
fn queues_take_turns() {
    let b = Bench::new();
    let mut drivers = b.start(2);
    ask(&mut drivers[0], 2);
    ask(&mut drivers[1], 1);

    let _jobs = b.begin();

    let order = b.slot.with(|mmio| {
        let requests = &mmio.slot().state.in_flight;
        requests.iter().map(|request| request.queue).collect::<Vec<_>>()
    });
    assert_eq!(order, [0, 1, 0]);
}

/// Takes many steps for a request.
struct Slow;

impl VirtioDevice for Slow {
    const MODEL: &'static str = "virtio-slow";
    const DEVICE_ID: u32 = 0x43;
    type State = ();
    type Answer = ();

    fn queues(&self) -> Vec<u16> {
        vec![256]
    }

    fn serve(&mut self, _: &mut (), request: Request<'_>) -> Result<Step<()>, QueueError> {
        *request.done += 1;
        Ok(if *request.done <= 2 * PIECES as u64 {
            Step::More
        } else {
            Step::Done(0)
        })
    }

    /// Nothing is done unlocked.
    fn finish(&mut self, _: &mut (), _: Request<'_>, (): ()) -> Result<Step<()>, QueueError> {
        Ok(Step::Done(0))
    }
}

#[test]
fn others_get_at_the_device_after_so_many_steps() {
    let memory = RamWindow::new(RAM, Arc::new(Ram::new(RAM_SIZE).unwrap()), None);
    let wiring = Wiring::new();
    let slot = Mmio::new(&wiring, Lines::new(&wiring, 1).irq(0), Arc::new(memory.clone()), Slow);
    let mut driver = Driver::start(&slot, &memory, feature::VERSION_1, 1).remove(0);
    ask(&mut driver, 1);

    for steps in [PIECES, 2 * PIECES] {
        assert!(matches!(slot.with(Works::next), Next::More));
        let done = slot.with(|mmio| mmio.slot().state.in_flight[0].done);
        assert_eq!(done, steps as u64);
    }
    slot.work();

    assert_eq!(driver.used(), [(0, 0)]);
}

#[test]
fn a_worker_goes_on_with_what_is_loaded() {
    let b = Bench::new();
    let mut driver = b.start(1).remove(0);
    ask(&mut driver, 1);
    let _jobs = b.begin();
    let saved = b.slot.save();
    let other = Bench::on(b.memory.clone());
    other.slot.employ(&Threads::default(), "test", 1).unwrap();
    std::thread::sleep(Duration::from_millis(5));

    other.slot.load(&saved).unwrap();

    until("somebody looks", || !driver.used().is_empty());
}

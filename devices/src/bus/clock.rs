//! The machine's one clock, and the timers that run by it.
//!
//! In real mode guest time follows the host's monotonic clock and one thread runs the timers. In manual mode (tests) time
//! stands still until [`Clock::advance`].
//!
//! A guest sets its timers far more often than they go off, mostly to a later time. A timer therefore stands in the queue
//! under a time that may be earlier than its own: setting it later, or not at all, takes no lock, and whoever finds it in
//! the queue too early puts it back.

use super::saved::{Format, LoadError, Saved};
use super::threads::Threads;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

const FORMAT: Format = Format::first("clock");

/// The machine's clock; clones are the same clock.
#[derive(Clone)]
pub struct Clock {
    inner: Arc<Inner>,
    _life: Arc<Life>,
}

/// A one-shot timer of a [`Clock`]. It starts unarmed; dropping it disarms it.
pub struct Timer {
    inner: Arc<Inner>,
    slot: Arc<Slot>,
}

/// Not frozen: see [`Inner::frozen`].
const RUNNING: u64 = u64::MAX;
/// No time: see [`Slot`].
const NEVER: u64 = u64::MAX;

struct Inner {
    source: Source,
    /// Guest time while paused, else [`RUNNING`].
    frozen: AtomicU64,
    queue: Mutex<Queue>,
    /// The thread is to look at the queue again.
    wake: Condvar,
}

enum Source {
    /// Guest time is `offset` (wrapping) plus the time since `origin`.
    Real { origin: Instant, offset: AtomicU64 },
    /// Guest time is `now`; wall time is `epoch` at guest time 0.
    Manual { now: AtomicU64, epoch: u64 },
}

#[derive(Default)]
struct Queue {
    /// (guest time, timer): of every armed timer its own time or an earlier one.
    entries: BTreeSet<(u64, u64)>,
    timers: HashMap<u64, Arc<Slot>>,
    next_id: u64,
    /// What the thread sleeps until; `None` while it is awake or not there.
    sleeping_until: Option<u64>,
    stop: bool,
}

/// A timer as the queue knows it. `deadline` is written before `queued` is read by who arms it, and `queued` before
/// `deadline` is read by who takes it from the queue, so that one of them sees the other.
struct Slot {
    id: u64,
    /// The guest time it is armed for, or [`NEVER`].
    deadline: AtomicU64,
    /// The time under which it stands in the queue, or [`NEVER`]. Written with the queue locked.
    queued: AtomicU64,
    run: Box<dyn Fn() + Send + Sync>,
}

/// Ends the thread with the last [`Clock`].
struct Life(Arc<Inner>);

impl Drop for Life {
    fn drop(&mut self) {
        self.0.queue().stop = true;
        self.0.wake.notify_all();
    }
}

impl Clock {
    /// A clock that follows the host's, guest time 0 being now; its timers run on one of `threads`.
    ///
    /// # Errors
    /// The host refuses the thread.
    pub fn real(threads: &Threads) -> io::Result<Clock> {
        let clock = Clock::from_source(Source::Real {
            origin: Instant::now(),
            offset: AtomicU64::new(0),
        });
        let (inner, gate) = (clock.inner.clone(), threads.clone());
        threads.spawn("emu-clock", move || inner.run(&gate))?;
        Ok(clock)
    }

    /// A clock that moves by [`advance`](Clock::advance) only. `epoch_ns`: wall time at guest time 0, nanoseconds since
    /// 1970-01-01 UTC.
    pub fn manual(epoch_ns: u64) -> Clock {
        Clock::from_source(Source::Manual {
            now: AtomicU64::new(0),
            epoch: epoch_ns,
        })
    }

    fn from_source(source: Source) -> Clock {
        let (queue, wake) = (Mutex::default(), Condvar::new());
        let inner = Arc::new(Inner {
            source,
            frozen: AtomicU64::new(RUNNING),
            queue,
            wake,
        });
        Clock {
            _life: Arc::new(Life(inner.clone())),
            inner,
        }
    }

    /// Guest time: nanoseconds since the machine was started, pauses left out. Never goes back, but by
    /// [`load`](Clock::load).
    #[inline]
    pub fn now_ns(&self) -> u64 {
        self.inner.now_ns()
    }

    /// Wall time for real-time clocks: nanoseconds since 1970-01-01 UTC. Follows the host's, pauses included; in manual
    /// mode it moves with guest time.
    pub fn wall_ns(&self) -> u64 {
        match &self.inner.source {
            Source::Real { .. } => {
                let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
                since.map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX))
            }
            Source::Manual { epoch, .. } => epoch.saturating_add(self.now_ns()),
        }
    }

    /// A timer that calls `run` when its time has come: on the clock's thread (in manual mode, on the thread that
    /// advances), with nothing locked. `run` may arm timers and use shared devices; it should be short.
    pub fn timer(&self, run: impl Fn() + Send + Sync + 'static) -> Timer {
        let mut queue = self.inner.queue();
        let slot = Arc::new(Slot {
            id: queue.next_id,
            deadline: AtomicU64::new(NEVER),
            queued: AtomicU64::new(NEVER),
            run: Box::new(run),
        });
        queue.next_id += 1;
        queue.timers.insert(slot.id, slot.clone());
        drop(queue);
        Timer {
            inner: self.inner.clone(),
            slot,
        }
    }

    /// The earliest armed deadline, in guest nanoseconds.
    pub fn next_deadline(&self) -> Option<u64> {
        let queue = self.inner.queue();
        queue.timers.values().filter_map(|slot| slot.deadline()).min()
    }

    /// Manual mode: moves guest time on by `ns`, running the timers that come due in order, each at its own time. Timers
    /// armed for the past run too. Does nothing while paused or in real mode.
    pub fn advance(&self, ns: u64) {
        let Source::Manual { now, .. } = &self.inner.source else {
            return;
        };
        if self.is_paused() {
            return;
        }
        let end = now.load(Ordering::Acquire).saturating_add(ns);
        loop {
            // A statement of its own, so that the queue is unlocked while the timer runs.
            let due = self.inner.queue().pop_due(end);
            let Some((at, slot)) = due else { break };
            now.fetch_max(at, Ordering::AcqRel);
            (slot.run)();
        }
        now.fetch_max(end, Ordering::AcqRel);
    }

    /// Stops guest time; timers stay armed and do not run. Pausing twice is pausing. A timer that is running already ends
    /// normally; [`Threads::hold`] waits for it.
    pub fn pause(&self) {
        let _queue = self.inner.queue();
        if self.inner.frozen.load(Ordering::Acquire) == RUNNING {
            self.inner.frozen.store(self.now_ns(), Ordering::Release);
        }
    }

    /// Lets guest time go on from where it was paused.
    pub fn resume(&self) {
        let _queue = self.inner.queue();
        let frozen = self.inner.frozen.load(Ordering::Acquire);
        if frozen != RUNNING {
            self.inner.set_ns(frozen);
            self.inner.frozen.store(RUNNING, Ordering::Release);
            self.inner.wake.notify_all();
        }
    }

    /// Whether guest time stands still by [`pause`](Clock::pause).
    pub fn is_paused(&self) -> bool {
        self.inner.frozen.load(Ordering::Acquire) != RUNNING
    }

    /// Guest time, for a snapshot. Armed timers are their devices' state.
    pub fn save(&self) -> Saved {
        Saved::new(&FORMAT, &self.now_ns())
    }

    /// Sets guest time from a snapshot. Load the clock before the devices, which then arm their timers again.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn load(&self, saved: &Saved) -> Result<(), LoadError> {
        let ns: u64 = saved.state(&FORMAT)?;
        if ns > i64::MAX as u64 {
            return Err(FORMAT.impossible(format!("guest time of {ns} ns")));
        }
        let _queue = self.inner.queue();
        self.inner.set_ns(ns);
        if self.is_paused() {
            self.inner.frozen.store(ns, Ordering::Release);
        }
        self.inner.wake.notify_all();
        Ok(())
    }
}

impl Inner {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ns(&self) -> u64 {
        let frozen = self.frozen.load(Ordering::Acquire);
        if frozen != RUNNING {
            return frozen;
        }
        match &self.source {
            Source::Real { origin, offset } => elapsed(*origin).wrapping_add(offset.load(Ordering::Acquire)),
            Source::Manual { now, .. } => now.load(Ordering::Acquire),
        }
    }

    fn set_ns(&self, ns: u64) {
        match &self.source {
            Source::Real { origin, offset } => offset.store(ns.wrapping_sub(elapsed(*origin)), Ordering::Release),
            Source::Manual { now, .. } => now.store(ns, Ordering::Release),
        }
    }

    /// The clock's thread: runs timers as they come due.
    fn run(self: Arc<Self>, threads: &Threads) {
        // The host may delay wake-ups by 50 us to save some of its own; a guest's timers are dearer. Else it stays so.
        if !cfg!(miri) {
            let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        }
        loop {
            while self.run_due(threads) {}
            if !self.sleep() {
                return;
            }
        }
    }

    /// Runs a timer that is due, if there is one: from being disarmed to its end it is a piece of work of a device's.
    fn run_due(&self, threads: &Threads) -> bool {
        let _going = threads.going();
        // A statement of its own, so that the queue is unlocked while the timer runs. What the callback owns goes with
        // the queue unlocked too: it may hold other timers.
        let due = self.pop_due();
        due.is_some_and(|slot| {
            (slot.run)();
            true
        })
    }

    fn pop_due(&self) -> Option<Arc<Slot>> {
        let mut queue = self.queue();
        let now = self.now_ns();
        let is_running = self.frozen.load(Ordering::Acquire) == RUNNING && !queue.stop;
        is_running.then(|| queue.pop_due(now)).flatten().map(|(_, slot)| slot)
    }

    /// Sleeps until a timer may be due; false when the clock is gone.
    fn sleep(&self) -> bool {
        let mut queue = self.queue();
        let now = self.now_ns();
        let paused = self.frozen.load(Ordering::Acquire) != RUNNING;
        let until = queue.entries.first().map_or(NEVER, |entry| entry.0);
        if queue.stop || (!paused && until <= now) {
            return !queue.stop;
        }
        queue.sleeping_until = Some(until);
        let wait = Duration::from_nanos(until.saturating_sub(now));
        let mut queue = match until {
            _ if paused => self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner),
            NEVER => self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner),
            _ => {
                let woken = self.wake.wait_timeout(queue, wait);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        queue.sleeping_until = None;
        !queue.stop
    }
}

impl Queue {
    /// Disarms and returns the first timer whose deadline is not after `now`, with its deadline.
    fn pop_due(&mut self, now: u64) -> Option<(u64, Arc<Slot>)> {
        while let Some(&(at, id)) = self.entries.first().filter(|entry| entry.0 <= now) {
            self.entries.remove(&(at, id));
            let Some(slot) = self.timers.get(&id).cloned() else {
                continue;
            };
            slot.queued.store(NEVER, Ordering::SeqCst);
            let due = slot.deadline.load(Ordering::SeqCst);
            // In manual mode it may be due by `now`, and others before it.
            if due > at {
                self.enter(&slot);
            } else if slot.disarm(due) {
                return Some((due, slot));
            } else {
                self.enter(&slot);
            }
        }
        None
    }

    /// Has the timer stand in the queue at its deadline or earlier.
    fn enter(&mut self, slot: &Slot) {
        loop {
            let (due, queued) = (slot.deadline.load(Ordering::SeqCst), slot.queued.load(Ordering::SeqCst));
            if due >= queued {
                return;
            }
            self.leave(slot);
            self.entries.insert((due, slot.id));
            slot.queued.store(due, Ordering::SeqCst);
        }
    }

    fn leave(&mut self, slot: &Slot) {
        let queued = slot.queued.swap(NEVER, Ordering::SeqCst);
        self.entries.remove(&(queued, slot.id));
    }
}

impl Slot {
    fn deadline(&self) -> Option<u64> {
        Some(self.deadline.load(Ordering::SeqCst)).filter(|&at| at != NEVER)
    }

    /// Takes the deadline, unless it is another one by now.
    fn disarm(&self, due: u64) -> bool {
        let taken = self
            .deadline
            .compare_exchange(due, NEVER, Ordering::SeqCst, Ordering::SeqCst);
        taken.is_ok()
    }
}

impl Timer {
    /// Runs the timer when guest time reaches `at_ns`, instead of any time set before. A time that has passed already
    /// means as soon as possible (in manual mode, with the next advance).
    pub fn arm(&self, at_ns: u64) {
        let at = at_ns.min(NEVER - 1);
        self.slot.deadline.store(at, Ordering::SeqCst);
        if self.slot.queued.load(Ordering::SeqCst) <= at {
            return;
        }
        let mut queue = self.inner.queue();
        queue.enter(&self.slot);
        if queue.sleeping_until.is_some_and(|until| at < until) {
            // One wake-up is enough, however many earlier timers follow before the thread runs.
            queue.sleeping_until = None;
            drop(queue);
            self.inner.wake.notify_all();
        }
    }

    /// Disarms. A run that has begun on the clock's thread is not waited for.
    pub fn cancel(&self) {
        self.slot.deadline.store(NEVER, Ordering::SeqCst);
    }

    /// Arms it for a time, or where there is none disarms it; next to nothing is done where that is how it is already.
    pub fn set(&self, due: Option<u64>) {
        if self.deadline() == due {
            return;
        }
        match due {
            Some(at) => self.arm(at),
            None => self.cancel(),
        }
    }

    /// The time it is armed for, in guest nanoseconds.
    pub fn deadline(&self) -> Option<u64> {
        self.slot.deadline()
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let mut queue = self.inner.queue();
        queue.leave(&self.slot);
        let slot = queue.timers.remove(&self.slot.id);
        drop(queue);
        // What the callback owns goes with the queue unlocked: it may hold other timers.
        drop(slot);
    }
}

fn elapsed(origin: Instant) -> u64 {
    let elapsed = origin.elapsed();
    elapsed.as_secs() * 1_000_000_000 + u64::from(elapsed.subsec_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;
    use emu_ir::testing::until;
    use std::sync::mpsc;

    #[test]
    fn manual_timers_run_in_order_at_their_own_time() {
        let clock = Clock::manual(1_000);
        let (tx, rx) = mpsc::channel();
        let timers = [30, 10, 20].map(|at| {
            let (clock2, tx) = (clock.clone(), tx.clone());
            let timer = clock.timer(move || tx.send((at, clock2.now_ns())).unwrap());
            timer.arm(at);
            timer
        });

        clock.advance(25);

        assert_eq!(rx.try_iter().collect::<Vec<_>>(), [(10, 10), (20, 20)]);
        assert_eq!((clock.now_ns(), clock.wall_ns()), (25, 1_025));
        assert_eq!(timers.each_ref().map(Timer::deadline), [Some(30), None, None]);
    }

    #[test]
    fn a_manual_timer_may_arm_timers() {
        let clock = Clock::manual(0);
        let (tx, rx) = mpsc::channel();
        let second = Arc::new(clock.timer(move || tx.send(()).unwrap()));
        let armed = second.clone();
        let first = clock.timer(move || armed.arm(20));
        first.arm(10);

        clock.advance(30);

        assert!(rx.try_recv().is_ok());
    }

    #[test]
    fn a_timer_is_rearmed_and_cancelled() {
        let clock = Clock::manual(0);
        let (tx, rx) = mpsc::channel();
        let timer = clock.timer(move || tx.send(()).unwrap());

        timer.arm(5);
        timer.arm(50);
        clock.advance(10);
        assert!(rx.try_recv().is_err());
        timer.cancel();
        clock.advance(100);
        assert!(rx.try_recv().is_err());
        timer.arm(7);
        clock.advance(0);
        assert!(rx.try_recv().is_ok());
        timer.arm(200);
        drop(timer);
        assert_eq!(clock.next_deadline(), None);
    }

    /// Time goes on whoever asks: none is earlier than one that was told before.
    #[test]
    fn time_never_goes_back_between_threads() {
        let clock = Clock::real(&Threads::default()).unwrap();
        let last = AtomicU64::new(0);
        let asks = if cfg!(miri) { 20 } else { 100_000 };
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..asks {
                        let before = last.load(Ordering::Acquire);
                        let now = clock.now_ns();
                        assert!(now >= before, "{now} after {before}");
                        last.fetch_max(now, Ordering::AcqRel);
                    }
                });
            }
        });
    }

    #[test]
    fn a_real_timer_runs_on_the_clocks_thread_and_rearms_itself() {
        let clock = Clock::real(&Threads::default()).unwrap();
        let (tx, rx) = mpsc::channel();
        let slot: Arc<Mutex<Option<Timer>>> = Arc::default();
        let (again, clock2) = (Arc::downgrade(&slot), clock.clone());
        let timer = clock.timer(move || {
            tx.send(clock2.now_ns()).unwrap();
            if let Some(slot) = again.upgrade() {
                slot.lock().unwrap().as_ref().unwrap().arm(clock2.now_ns() + 1_000_000);
            }
        });
        slot.lock().unwrap().replace(timer);
        let start = clock.now_ns();

        slot.lock().unwrap().as_ref().unwrap().arm(start + 2_000_000);

        let first = rx.recv_timeout(Duration::from_secs(10)).unwrap();
        let second = rx.recv_timeout(Duration::from_secs(10)).unwrap();
        assert!(first >= start + 2_000_000);
        assert!(second >= first + 1_000_000);
    }

    #[test]
    fn a_timer_set_later_and_earlier_again_runs_at_its_own_time() {
        let clock = Clock::manual(0);
        let (tx, rx) = mpsc::channel();
        let timers = [0, 1].map(|n| {
            let (clock2, tx) = (clock.clone(), tx.clone());
            clock.timer(move || tx.send((n, clock2.now_ns())).unwrap())
        });

        timers[0].arm(10);
        timers[0].arm(50);
        timers[1].arm(30);
        assert_eq!(clock.next_deadline(), Some(30));
        clock.advance(40);
        timers[0].arm(45);
        clock.advance(100);

        assert_eq!(rx.try_iter().collect::<Vec<_>>(), [(1, 30), (0, 45)]);
    }

    /// One thread arms while the clock's runs: a run may be saved by setting the timer later, none may be lost.
    #[test]
    fn no_arming_is_lost_between_threads() {
        let clock = Clock::real(&Threads::default()).unwrap();
        let (tx, rx) = mpsc::channel();
        let timer = clock.timer(move || tx.send(()).unwrap());

        for round in 0..if cfg!(miri) { 50 } else { 20_000u64 } {
            timer.arm(clock.now_ns() + 500_000);
            timer.arm(clock.now_ns() + round % 7 * 300);
            if round % 3 == 0 {
                timer.arm(clock.now_ns() + round % 5 * 300);
            }
            rx.recv_timeout(Duration::from_secs(10)).unwrap();
            while rx.try_recv().is_ok() {}
            timer.cancel();
            while rx.try_recv().is_ok() {}
        }
    }

    #[test]
    fn a_timer_that_panics_is_told() {
        let (tx, rx) = mpsc::channel();
        let threads = Threads::new(move || tx.send(()).unwrap());
        let clock = Clock::real(&threads).unwrap();
        let timer = clock.timer(|| std::panic::resume_unwind(Box::new("lost")));

        timer.arm(0);

        rx.recv_timeout(Duration::from_secs(10)).unwrap();
        assert!(threads.take_panic().is_some());
    }

    #[test]
    fn an_earlier_timer_overtakes_a_later_one() {
        let clock = Clock::real(&Threads::default()).unwrap();
        let (tx, rx) = mpsc::channel();
        let tx2 = tx.clone();
        let late = clock.timer(move || tx.send("late").unwrap());
        let early = clock.timer(move || tx2.send("early").unwrap());

        late.arm(clock.now_ns() + 3_600_000_000_000);
        std::thread::sleep(Duration::from_millis(5));
        early.arm(clock.now_ns() + 1_000_000);

        assert_eq!(rx.recv_timeout(Duration::from_secs(10)), Ok("early"));
    }

    #[test]
    fn guest_time_stands_still_while_paused() {
        let clock = Clock::real(&Threads::default()).unwrap();
        let (tx, rx) = mpsc::channel();
        let timer = clock.timer(move || tx.send(()).unwrap());

        clock.pause();
        let at = clock.now_ns();
        timer.arm(at + 1_000_000);
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(clock.now_ns(), at);
        assert!(rx.try_recv().is_err());
        clock.resume();

        rx.recv_timeout(Duration::from_secs(10)).unwrap();
        assert!(clock.now_ns() >= at + 1_000_000);
    }

    #[test]
    fn a_timer_that_runs_at_a_pause_has_ended_when_the_threads_are_held() {
        let threads = Threads::default();
        let clock = Clock::real(&threads).unwrap();
        let (says, said) = mpsc::channel();
        let (ends, end) = mpsc::channel::<()>();
        let (begun, end) = (says.clone(), Mutex::new(end));
        let timer = clock.timer(move || {
            begun.send("begun").unwrap();
            end.lock().unwrap().recv().unwrap();
            begun.send("ended").unwrap();
        });
        timer.arm(0);
        let soon = Duration::from_secs(10);
        assert_eq!(said.recv_timeout(soon), Ok("begun"));

        clock.pause();
        let holder = std::thread::spawn(move || {
            let _held = threads.hold();
            says.send("held").unwrap();
        });

        assert!(said.recv_timeout(Duration::from_millis(20)).is_err());
        ends.send(()).unwrap();
        assert_eq!(
            [said.recv_timeout(soon), said.recv_timeout(soon)],
            [Ok("ended"), Ok("held")]
        );
        holder.join().unwrap();
    }

    #[test]
    fn a_timer_stays_armed_while_the_threads_are_held() {
        let threads = Threads::default();
        let clock = Clock::real(&threads).unwrap();
        let (tx, rx) = mpsc::channel();
        let timer = clock.timer(move || tx.send(()).unwrap());

        let held = threads.hold();
        timer.arm(7);
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!((timer.deadline(), rx.try_recv().is_err()), (Some(7), true));
        drop(held);

        rx.recv_timeout(Duration::from_secs(10)).unwrap();
    }

    #[test]
    fn what_is_due_at_a_pause_waits_for_its_end() {
        let clock = Clock::real(&Threads::default()).unwrap();
        let (tx, rx) = mpsc::channel();
        let timer = clock.timer(move || tx.send(()).unwrap());

        clock.pause();
        timer.arm(0);
        assert!(rx.recv_timeout(Duration::from_millis(20)).is_err());
        assert_eq!(timer.deadline(), Some(0));
        clock.resume();

        rx.recv_timeout(Duration::from_secs(10)).unwrap();
    }

    #[test]
    fn the_thread_goes_on_for_what_is_due_and_ends_with_the_clock() {
        let clock = Clock::manual(0);
        let timer = clock.timer(|| {});
        timer.arm(0);

        assert!(clock.inner.sleep());
        let inner = clock.inner.clone();
        drop(clock);
        assert!(!inner.sleep());

        let clock = Clock::real(&Threads::default()).unwrap();
        std::thread::sleep(Duration::from_millis(5));
        let inner = Arc::downgrade(&clock.inner);
        drop(clock);
        until("the thread's end", || inner.strong_count() == 0);
    }

    #[test]
    fn the_thread_sleeps_while_nothing_is_due_and_while_time_stands_still() {
        for paused in [false, true] {
            let clock = Clock::manual(0);
            let timer = clock.timer(|| {});
            if paused {
                timer.arm(0);
                clock.pause();
            }
            let ((tx, rx), inner) = (mpsc::channel(), clock.inner.clone());
            let sleeper = std::thread::spawn(move || tx.send(inner.sleep()).unwrap());

            assert!(rx.recv_timeout(Duration::from_millis(20)).is_err(), "paused: {paused}");
            match paused {
                true => clock.resume(),
                false => timer.arm(0),
            }
            assert_eq!(rx.recv_timeout(Duration::from_secs(10)), Ok(true));
            sleeper.join().unwrap();
        }
    }

    #[test]
    fn a_timer_stands_in_the_queue_once() {
        let clock = Clock::manual(0);
        let timer = clock.timer(|| {});

        for at in (10..100).rev() {
            timer.arm(at);
        }
        assert_eq!(clock.inner.queue().entries.len(), 1);
        drop(timer);
        assert_eq!(clock.inner.queue().entries.len(), 0);
    }

    #[test]
    fn the_last_time_of_all_is_one_to_be_armed_for() {
        let clock = Clock::manual(0);
        let timer = clock.timer(|| {});

        timer.arm(u64::MAX);

        assert!(timer.deadline().is_some());
    }

    #[test]
    fn elapsed_time_counts_in_nanoseconds() {
        let origin = Instant::now().checked_sub(Duration::from_millis(2_500)).unwrap();

        let ns = elapsed(origin);

        assert!((2_500_000_000..60_000_000_000).contains(&ns), "{ns}");
    }

    #[test]
    fn guest_time_is_restored() {
        let (old, new) = (Clock::manual(0), Clock::real(&Threads::default()).unwrap());
        old.advance(5_000_000_000_000);
        new.pause();

        new.load(&old.save()).unwrap();

        assert_eq!(new.now_ns(), 5_000_000_000_000);
        new.resume();
        assert!(new.now_ns() >= 5_000_000_000_000);
        for (ns, can_be) in [(i64::MAX as u64, true), (i64::MAX as u64 + 1, false), (u64::MAX, false)] {
            assert_eq!(new.load(&Saved::new(&FORMAT, &ns)).is_ok(), can_be, "{ns}");
        }
        assert!(new.load(&Saved::new(&Format { version: 2, ..FORMAT }, &0u64)).is_err());
    }
}

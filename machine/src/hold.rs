//! How vCPUs are held: each stops at the next instruction boundary, does what it is asked to on its own thread, and goes on
//! at the pace it is told.
//!
//! Orders of the lifecycle come first: a held CPU is reset, and ends, as a running one.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use crossbeam::channel::{Receiver, Sender, bounded};
use emu_devices::bus::Clock;
use emu_jit::engine::debug::Hit;

use crate::processor::Processor;

/// Who may hold a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Holder {
    /// The user, by a monitor.
    Monitor = 1 << 0,
    /// The debugger.
    Debugger = 1 << 1,
    /// Whoever saves or loads its state.
    Snapshot = 1 << 2,
    /// Whoever moves it to another host.
    Migration = 1 << 3,
}

/// Who holds a machine. Its clock runs while nobody does.
pub struct Holds {
    clock: Clock,
    by: Mutex<u8>,
}

impl Holds {
    /// Nobody holds the machine with this clock.
    pub fn new(clock: Clock) -> Holds {
        Holds {
            clock,
            by: Mutex::new(0),
        }
    }

    /// Somebody holds it: the clock stands still. Whether they did not before.
    pub fn add(&self, who: Holder) -> bool {
        let mut by = self.by.lock().unwrap_or_else(PoisonError::into_inner);
        let new = *by & who as u8 == 0;
        *by |= who as u8;
        self.clock.pause();
        new
    }

    /// Somebody lets go; the clock goes on if that was the last one.
    pub fn remove(&self, who: Holder) {
        let mut by = self.by.lock().unwrap_or_else(PoisonError::into_inner);
        *by &= !(who as u8);
        if *by == 0 {
            self.clock.resume();
        }
    }
}

/// How a vCPU goes on when the debugger lets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Until something stops it.
    Run,
    /// One instruction, or all of them up to one outside a range of addresses.
    Step {
        /// The range's first address, and the first after it: empty for one instruction.
        range: (u64, u64),
        /// Whether taking a pending interrupt is a step; else they wait.
        interrupts: bool,
    },
}

/// Why a vCPU stopped by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A breakpoint at this address.
    Breakpoint(u64),
    /// It is about to access watched bytes, or has done so where debuggers expect that.
    Watchpoint(Hit),
    /// It has made its steps.
    Stepped,
}

/// A vCPU stopped by itself.
#[derive(Clone, Copy, Debug)]
pub struct Stopped {
    /// Its number.
    pub cpu: usize,
    /// Why.
    pub why: Why,
}

type Job = Box<dyn FnOnce(&mut dyn Processor) + Send>;

struct Inner {
    /// The vCPU has come to rest.
    held: bool,
    /// Its thread has ended.
    closed: bool,
    pace: Pace,
    jobs: VecDeque<Job>,
}

/// One vCPU as the debugger's thread and its own see it.
pub struct DebugPort {
    /// The vCPU is to rest: a bit for each [`Holder`].
    by: AtomicU8,
    inner: Mutex<Inner>,
    changed: Condvar,
    /// What says that the machine is held, and who hears of stops.
    debugger: OnceLock<(Arc<Holds>, Sender<Stopped>)>,
}

/// Of a vCPU that nobody holds.
impl Default for DebugPort {
    fn default() -> DebugPort {
        DebugPort {
            by: AtomicU8::new(0),
            inner: Mutex::new(Inner {
                held: false,
                closed: false,
                pace: Pace::Run,
                jobs: VecDeque::new(),
            }),
            changed: Condvar::new(),
            debugger: OnceLock::new(),
        }
    }
}

impl DebugPort {
    /// From now on there is a debugger. Once.
    pub fn connect(&self, holds: Arc<Holds>, stops: Sender<Stopped>) {
        let _ = self.debugger.set((holds, stops));
    }

    /// Tells the vCPU to rest until `who` lets it go; whoever calls wakes its thread then.
    pub fn hold(&self, who: Holder) {
        self.by.fetch_or(who as u8, Ordering::AcqRel);
    }

    /// Waits until it does.
    pub fn wait_held(&self) {
        let waiting = |inner: &mut Inner| !inner.held && !inner.closed;
        let held = self.changed.wait_while(self.inner(), waiting);
        drop(held.unwrap_or_else(PoisonError::into_inner));
    }

    /// Lets it go on if nobody else holds it, at this pace or as it went before; whoever calls wakes its thread then.
    pub fn release(&self, who: Holder, pace: Option<Pace>) {
        let mut inner = self.inner();
        inner.pace = pace.unwrap_or(inner.pace);
        let others = self.by.fetch_and(!(who as u8), Ordering::AcqRel) & !(who as u8);
        inner.held &= others != 0;
    }

    /// Gives the resting vCPU something to do; whoever calls wakes its thread then, and waits for the answer. `None`: it
    /// does not rest, or is gone.
    pub fn ask<R: Send + 'static>(
        &self,
        job: impl FnOnce(&mut dyn Processor) -> R + Send + 'static,
    ) -> Option<Receiver<R>> {
        let (reply, answer) = bounded(1);
        let mut inner = self.inner();
        if !inner.held || inner.closed {
            return None;
        }
        inner.jobs.push_back(Box::new(move |vcpu| {
            // Who asked waits.
            let _ = reply.send(job(vcpu));
        }));
        Some(answer)
    }

    /// Whether the vCPU is to rest.
    pub fn is_held(&self) -> bool {
        self.by.load(Ordering::Acquire) != 0
    }

    /// For the vCPU's thread: it rests because of what it met, and the debugger hears of it.
    pub fn stop(&self, cpu: usize, why: Why) {
        let Some((holds, stops)) = self.debugger.get() else {
            return;
        };
        holds.add(Holder::Debugger);
        self.hold(Holder::Debugger);
        // The debugger's thread ends with the run.
        let _ = stops.send(Stopped { cpu, why });
    }

    /// For the vCPU's thread: rests and does what it is asked to. Returns how to go on, or nothing if there are orders
    /// to follow first.
    pub fn serve(&self, vcpu: &mut dyn Processor, has_orders: impl Fn() -> bool) -> Option<Pace> {
        loop {
            if has_orders() {
                return None;
            }
            let job = {
                let mut inner = self.inner();
                if !self.is_held() {
                    return Some(inner.pace);
                }
                inner.held = true;
                self.changed.notify_all();
                inner.jobs.pop_front()
            };
            match job {
                Some(job) => job(vcpu),
                None => thread::park(),
            }
        }
    }

    /// Whether it rests.
    #[cfg(test)]
    pub(crate) fn is_at_rest(&self) -> bool {
        self.inner().held
    }

    /// The vCPU's thread ends: nobody waits for it any more.
    pub fn close(&self) {
        let mut inner = self.inner();
        inner.closed = true;
        inner.jobs.clear();
        self.changed.notify_all();
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::processor::{Start, Waker};
    use emu_devices::bus::{Format, LoadError, Saved};
    use emu_ir::testing::until;
    use emu_ir::{Bus, Span};
    use emu_jit::engine::{Exit, debug::Watch};
    use std::ops::RangeInclusive;
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    pub(crate) const SOON: Duration = Duration::from_secs(20);

    /// A CPU whose registers hold how often they were looked at, and what it does where it runs.
    pub(crate) struct Nothing(u8, Box<dyn FnMut() -> Exit + Send>);

    impl Nothing {
        pub(crate) fn that_runs(run: impl FnMut() -> Exit + Send + 'static) -> Nothing {
            Nothing(0, Box::new(run))
        }
    }

    impl Processor for Nothing {
        fn waker(&self) -> Box<dyn Waker> {
            panic!("it is woken by its thread")
        }
        fn start(&mut self, _: Start) {}
        fn run(&mut self) -> Exit {
            (self.1)()
        }
        fn step(&mut self, _: bool) -> Exit {
            Exit::Stepped
        }
        fn wakes(&self) -> bool {
            false
        }
        fn pc(&self) -> u64 {
            0
        }
        fn save(&self) -> Saved {
            Saved::new(&Format::first("nothing"), &self.0)
        }
        fn load(&mut self, saved: &Saved) -> Result<(), LoadError> {
            self.0 = saved.state(&Format::first("nothing"))?;
            Ok(())
        }
        fn description(&self) -> String {
            String::new()
        }
        fn general_registers(&self) -> usize {
            0
        }
        fn register(&mut self, _: usize) -> Option<Vec<u8>> {
            self.0 += 1;
            Some(vec![self.0])
        }
        fn set_register(&mut self, _: usize, _: &[u8]) -> Option<()> {
            None
        }
        fn span(&self, _: &mut dyn Bus, _: u64) -> Span {
            Span { size: 12, phys: None }
        }
        fn ranges(&self) -> Vec<RangeInclusive<u64>> {
            Vec::new()
        }
        fn doing(&self) -> &'static str {
            ""
        }
        fn show(&self) -> String {
            String::new()
        }
        fn plight(&mut self) -> Option<crate::processor::Plight> {
            None
        }
        fn set_stops(&mut self, _: &[u64], _: &[Watch]) {}
    }

    /// A vCPU's thread that rests whenever it is told to, until it is to end, and says at what pace it goes on.
    struct Resting {
        port: Arc<DebugPort>,
        over: Arc<AtomicBool>,
        paces: Receiver<Pace>,
        thread: thread::JoinHandle<()>,
    }

    fn resting() -> Resting {
        let (port, over) = (Arc::new(DebugPort::default()), Arc::new(AtomicBool::new(false)));
        let (pace, paces) = bounded(1);
        let (own, ends) = (port.clone(), over.clone());
        let thread = thread::spawn(move || {
            let mut cpu = Nothing::that_runs(|| Exit::Requested);
            let ends = || ends.load(Ordering::Acquire);
            while !ends() {
                if own.is_held() {
                    own.serve(&mut cpu, ends)
                        .into_iter()
                        .for_each(|p| pace.send(p).unwrap());
                } else {
                    thread::park_timeout(Duration::from_millis(1));
                }
            }
            own.close();
        });
        Resting {
            port,
            over,
            paces,
            thread,
        }
    }

    impl Resting {
        fn register(&self) -> Option<Vec<u8>> {
            let answer = self.port.ask(|cpu| cpu.register(0))?;
            self.thread.thread().unpark();
            answer.recv_timeout(SOON).expect("an answer")
        }
    }

    #[test]
    fn a_held_vcpu_answers_and_goes_on_as_told() {
        let cpu = resting();
        let step = Pace::Step {
            range: (0, 4),
            interrupts: true,
        };
        assert_eq!(cpu.register(), None, "it runs");

        for (count, pace) in [(1, Pace::Run), (2, step)] {
            cpu.port.hold(Holder::Debugger);
            cpu.thread.thread().unpark();
            cpu.port.wait_held();
            assert_eq!(cpu.register(), Some(vec![count]), "it rests");
            cpu.port.release(Holder::Debugger, Some(pace));
            cpu.thread.thread().unpark();

            assert_eq!(cpu.paces.recv_timeout(SOON), Ok(pace));
            assert_eq!(cpu.register(), None, "it runs again");
        }

        cpu.over.store(true, Ordering::Release);
        cpu.thread.thread().unpark();
        cpu.thread.join().unwrap();
    }

    #[test]
    fn nobody_waits_for_a_vcpu_whose_thread_has_ended() {
        let cpu = resting();
        cpu.over.store(true, Ordering::Release);
        cpu.thread.thread().unpark();
        until("the thread has ended", || cpu.thread.is_finished());

        cpu.port.hold(Holder::Debugger);
        cpu.port.wait_held();

        assert_eq!(cpu.register(), None);
    }

    #[test]
    fn a_vcpu_rests_until_nobody_holds_it() {
        let cpu = resting();
        cpu.port.hold(Holder::Snapshot);
        cpu.port.hold(Holder::Debugger);
        cpu.thread.thread().unpark();
        cpu.port.wait_held();

        cpu.port.release(Holder::Debugger, Some(Pace::Run));
        cpu.thread.thread().unpark();
        assert_eq!(cpu.register(), Some(vec![1]), "the other still holds it");
        cpu.port.release(Holder::Snapshot, None);
        cpu.thread.thread().unpark();

        assert_eq!(cpu.paces.recv_timeout(SOON), Ok(Pace::Run));
        cpu.over.store(true, Ordering::Release);
        cpu.thread.thread().unpark();
        cpu.thread.join().unwrap();
    }

    #[test]
    fn the_clock_runs_while_nobody_holds_the_machine() {
        let clock = Clock::manual(0);
        let holds = Holds::new(clock.clone());

        let mut paused = Vec::new();
        for (add, who) in [
            (true, Holder::Debugger),
            (true, Holder::Monitor),
            (true, Holder::Debugger),
            (false, Holder::Debugger),
            (false, Holder::Migration),
            (false, Holder::Monitor),
        ] {
            if add {
                holds.add(who);
            } else {
                holds.remove(who);
            }
            paused.push(clock.is_paused());
        }

        assert_eq!(paused, [true, true, true, true, true, false]);
    }
}

//! How vCPUs are held: each stops at the next instruction boundary, does what it is asked to on its own thread, and goes on
//! at the pace it is told.
//!
//! Orders of the lifecycle come first: a held CPU is reset, and ends, as a running one.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use crossbeam::channel::{Receiver, Sender, bounded};
use emu_devices::bus::Clock;
use emu_jit::engine::debug::Hit;

use crate::processor::Processor;

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
    /// It is about to access watched bytes.
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
    /// The vCPU is to rest.
    hold: AtomicBool,
    inner: Mutex<Inner>,
    changed: Condvar,
    /// The clock that stands still while the machine is stopped, and who hears of stops.
    debugger: OnceLock<(Clock, Sender<Stopped>)>,
}

/// Of a vCPU that nobody holds.
impl Default for DebugPort {
    fn default() -> DebugPort {
        DebugPort {
            hold: AtomicBool::new(false),
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
    pub fn connect(&self, clock: Clock, stops: Sender<Stopped>) {
        let _ = self.debugger.set((clock, stops));
    }

    /// Tells the vCPU to rest; whoever calls wakes its thread then.
    pub fn hold(&self) {
        self.hold.store(true, Ordering::Release);
    }

    /// Waits until it does.
    pub fn wait_held(&self) {
        let waiting = |inner: &mut Inner| !inner.held && !inner.closed;
        let held = self.changed.wait_while(self.inner(), waiting);
        drop(held.unwrap_or_else(PoisonError::into_inner));
    }

    /// Lets it go on; whoever calls wakes its thread then.
    pub fn release(&self, pace: Pace) {
        let mut inner = self.inner();
        (inner.held, inner.pace) = (false, pace);
        self.hold.store(false, Ordering::Release);
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
        self.hold.load(Ordering::Acquire)
    }

    /// For the vCPU's thread: it rests because of what it met, and the debugger hears of it.
    pub fn stop(&self, cpu: usize, why: Why) {
        let Some((clock, stops)) = self.debugger.get() else {
            return;
        };
        clock.pause();
        self.hold.store(true, Ordering::Release);
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
mod tests {
    use super::*;
    use crate::processor::{Start, Waker};
    use emu_devices::bus::{Format, LoadError, Saved};
    use emu_ir::Bus;
    use emu_jit::engine::{Exit, debug::Watch};
    use std::sync::Arc;
    use std::time::Duration;

    const SOON: Duration = Duration::from_secs(20);

    /// A CPU whose registers hold how often they were looked at.
    struct Nothing(u8);

    impl Processor for Nothing {
        fn waker(&self) -> Box<dyn Waker> {
            unreachable!("it is woken by its thread")
        }
        fn start(&mut self, _: Start) {}
        fn run(&mut self) -> Exit {
            Exit::Requested
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
        fn physical(&self, _: &mut dyn Bus, _: u64) -> Option<u64> {
            None
        }
        fn doing(&self) -> &'static str {
            ""
        }
        fn show(&self) -> String {
            String::new()
        }
        fn plight(&self) -> Option<String> {
            None
        }
        fn address_bits(&self) -> u32 {
            32
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
            let mut cpu = Nothing(0);
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
            cpu.port.hold();
            cpu.thread.thread().unpark();
            cpu.port.wait_held();
            assert_eq!(cpu.register(), Some(vec![count]), "it rests");
            cpu.port.release(pace);
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
        while !cpu.thread.is_finished() {
            thread::yield_now();
        }

        cpu.port.hold();
        cpu.port.wait_held();

        assert_eq!(cpu.register(), None);
    }
}

//! How the debugger holds vCPUs: each stops at the next instruction boundary, does what it is asked to on its own thread,
//! and goes on at the pace it is told.
//!
//! Orders of the lifecycle come first: a held CPU is reset, and ends, as a running one.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use crossbeam::channel::{Sender, bounded};
use emu_devices::bus::Clock;
use emu_ir::{Bus, Inspect};
use emu_jit::engine::debug::{Hit, Watch};
use emu_jit::engine::{Exit, Vcpu};

use crate::cpus::Port;

/// A vCPU to a debugger, whatever its architecture: see [`Inspect`].
pub trait Debuggee {
    /// [`Inspect::description`].
    fn description(&self) -> String;
    /// [`Inspect::general_registers`].
    fn general_registers(&self) -> usize;
    /// [`Inspect::register`].
    fn register(&mut self, number: usize) -> Option<Vec<u8>>;
    /// [`Inspect::set_register`].
    fn set_register(&mut self, number: usize, value: &[u8]) -> Option<()>;
    /// [`Inspect::physical`].
    fn physical(&self, bus: &mut dyn Bus, va: u64) -> Option<u64>;
    /// [`Inspect::doing`].
    fn doing(&self) -> &'static str;
    /// [`Inspect::show`].
    fn show(&self) -> String;
    /// Bits of a virtual address.
    fn address_bits(&self) -> u32;
    /// Stop at these breakpoints and watchpoints, and no others.
    fn set_stops(&mut self, breakpoints: &[u64], watchpoints: &[Watch]);
}

impl<G: Inspect> Debuggee for Vcpu<G> {
    fn description(&self) -> String {
        self.guest().description()
    }
    fn general_registers(&self) -> usize {
        self.guest().general_registers()
    }
    fn register(&mut self, number: usize) -> Option<Vec<u8>> {
        self.inspect(|guest, state, env| guest.register(state, env, number))
    }
    fn set_register(&mut self, number: usize, value: &[u8]) -> Option<()> {
        self.inspect(|guest, state, env| guest.set_register(state, env, number, value))
    }
    fn physical(&self, bus: &mut dyn Bus, va: u64) -> Option<u64> {
        self.guest().physical(self.state(), bus, va)
    }
    fn doing(&self) -> &'static str {
        self.guest().doing(self.state())
    }
    fn show(&self) -> String {
        self.guest().show(self.state())
    }
    fn address_bits(&self) -> u32 {
        G::LAYOUT.pc.ty.bytes() * 8
    }
    fn set_stops(&mut self, breakpoints: &[u64], watchpoints: &[Watch]) {
        self.set_breakpoints(breakpoints.iter().copied());
        self.set_watchpoints(watchpoints);
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

impl Pace {
    /// Lets the vCPU go on.
    pub fn advance<G: Inspect>(self, vcpu: &mut Vcpu<G>, port: &Port) -> Exit {
        let Pace::Step { range, interrupts } = self else {
            return vcpu.run();
        };
        loop {
            let exit = vcpu.step(interrupts);
            if exit != Exit::Stepped || !(range.0..range.1).contains(&vcpu.pc()) {
                return exit;
            }
            if port.has_orders() || port.debug.is_held() {
                return Exit::Requested;
            }
        }
    }
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

type Job = Box<dyn FnOnce(&mut dyn Debuggee) + Send>;

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
    pub fn serve(&self, vcpu: &mut dyn Debuggee, has_orders: impl Fn() -> bool) -> Option<Pace> {
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

/// The debugger's side.
impl Port {
    /// Tells the vCPU to rest.
    pub fn hold(&self) {
        self.debug.hold.store(true, Ordering::Release);
        self.interrupt();
    }

    /// Waits until it does.
    pub fn wait_held(&self) {
        let waiting = |inner: &mut Inner| !inner.held && !inner.closed;
        let held = self.debug.changed.wait_while(self.debug.inner(), waiting);
        drop(held.unwrap_or_else(PoisonError::into_inner));
    }

    /// Lets it go on.
    pub fn release(&self, pace: Pace) {
        let mut inner = self.debug.inner();
        (inner.held, inner.pace) = (false, pace);
        self.debug.hold.store(false, Ordering::Release);
        drop(inner);
        self.interrupt();
    }

    /// Has the resting vCPU do something. `None`: it does not rest, or is gone.
    pub fn ask<R: Send + 'static>(&self, job: impl FnOnce(&mut dyn Debuggee) -> R + Send + 'static) -> Option<R> {
        let (reply, answer) = bounded(1);
        {
            let mut inner = self.debug.inner();
            if !inner.held || inner.closed {
                return None;
            }
            inner.jobs.push_back(Box::new(move |vcpu| {
                // Who asked waits.
                let _ = reply.send(job(vcpu));
            }));
        }
        self.interrupt();
        answer.recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    struct Nothing(u32);

    impl Debuggee for Nothing {
        fn description(&self) -> String {
            String::new()
        }
        fn general_registers(&self) -> usize {
            0
        }
        fn register(&mut self, _: usize) -> Option<Vec<u8>> {
            self.0 += 1;
            Some(vec![self.0 as u8])
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
        fn address_bits(&self) -> u32 {
            32
        }
        fn set_stops(&mut self, _: &[u64], _: &[Watch]) {}
    }

    /// A vCPU's thread that rests whenever it is told to, and says at what pace it goes on.
    fn vcpu(cpus: &Arc<crate::cpus::Cpus>) -> thread::JoinHandle<Vec<Pace>> {
        let cpus = cpus.clone();
        thread::spawn(move || {
            let port = cpus.get(0).unwrap();
            let (mut nothing, mut paces) = (Nothing(0), Vec::new());
            while !port.has_orders() {
                if port.debug.is_held() {
                    paces.extend(port.debug.serve(&mut nothing, || port.has_orders()));
                } else {
                    thread::yield_now();
                }
            }
            port.debug.close();
            paces
        })
    }

    #[test]
    fn a_held_vcpu_answers_and_goes_on_as_told() {
        let cpus = Arc::new(crate::cpus::Cpus::new(1));
        let port = cpus.get(0).unwrap();
        assert_eq!(port.ask(|v| v.register(0)), None, "it runs");
        let thread = vcpu(&cpus);
        let step = Pace::Step {
            range: (0, 0),
            interrupts: false,
        };

        for pace in [Pace::Run, step] {
            port.hold();
            // Nothing here wakes a parked thread: there is no engine.
            thread.thread().unpark();
            port.wait_held();
            port.release(pace);
            thread.thread().unpark();
        }
        port.order(crate::cpus::Order::End);
        thread.thread().unpark();

        let paces = thread.join().unwrap();
        assert!(paces.len() <= 2 && paces.iter().all(|p| [Pace::Run, step].contains(p)));
        port.hold();
        port.wait_held();
        assert_eq!(port.ask(|v| v.register(0)), None, "its thread has ended");
    }
}

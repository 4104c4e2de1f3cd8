//! A vCPU's thread: runs the engine, sleeps while the guest waits for interrupts, follows orders, rests while the debugger
//! holds it.

use std::thread;

use crossbeam::channel::Sender;
use emu_ir::{Inspect, Stop};
use emu_jit::engine::{Exit, Vcpu};

use crate::cpus::{Order, Port, Power, Start};
use crate::gdb::control::{Pace, Why};
use crate::lifecycle::Event;

/// Tells the lifecycle that the thread of a vCPU has ended, by order or by a panic.
pub struct Farewell<'a> {
    /// The vCPU's number.
    pub cpu: usize,
    /// Where the lifecycle hears of it.
    pub events: &'a Sender<Event>,
}

impl Drop for Farewell<'_> {
    fn drop(&mut self) {
        // Nobody listens any more when the machine has already ended.
        let _ = self.events.send(Event::Ended(self.cpu));
    }
}

/// Lets nobody wait for a vCPU whose thread has ended.
struct Closing<'a>(&'a Port);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.debug.close();
    }
}

/// What a vCPU's thread is at.
struct Work {
    running: bool,
    /// It has ended or reset the machine, and waits for that to happen.
    waits_for_machine: bool,
    pace: Pace,
}

/// Runs vCPU number `cpu`, which is off at first, until it is told to end. `start` resets its state.
pub fn run<G: Inspect>(
    cpu: usize,
    mut vcpu: Vcpu<G>,
    port: &Port,
    events: &Sender<Event>,
    mut start: impl FnMut(&mut Vcpu<G>, Start),
) {
    let _farewell = Farewell { cpu, events };
    let _closing = Closing(port);
    let mut work = Work {
        running: false,
        waits_for_machine: false,
        pace: Pace::Run,
    };
    loop {
        match port.next_order() {
            Some(Order::End) => return,
            Some(Order::Halt) => {
                work.running = false;
                port.set_power(Power::Off);
                let _ = events.send(Event::Halted(cpu));
            }
            Some(Order::Start(how)) => {
                start(&mut vcpu, how);
                port.take_standby();
                port.set_power(Power::On);
                (work.running, work.waits_for_machine) = (true, false);
                if work.pace != Pace::Run && !port.debug.is_held() {
                    // The step was the reset.
                    port.debug.stop(cpu, Why::Stepped);
                }
            }
            None if port.debug.is_held() => {
                let go_on = port.debug.serve(&mut vcpu, || port.has_orders());
                work.pace = go_on.unwrap_or(work.pace);
            }
            None if work.running => {
                let exit = work.pace.advance(&mut vcpu, port);
                work.follow(exit, cpu, &vcpu, port, events);
            }
            // A CPU that is off has nothing to step through.
            None if work.pace != Pace::Run && !work.waits_for_machine => port.debug.stop(cpu, Why::Stepped),
            None => thread::park(),
        }
    }
}

impl Work {
    /// Does what the engine came back for.
    fn follow<G: Inspect>(&mut self, exit: Exit, cpu: usize, vcpu: &Vcpu<G>, port: &Port, events: &Sender<Event>) {
        let tell = |event| {
            let _ = events.send(event);
        };
        match exit {
            Exit::Wait => wait(vcpu, port),
            Exit::Yield => thread::yield_now(),
            Exit::Requested if port.take_standby() => wait(vcpu, port),
            Exit::Requested => {}
            Exit::Breakpoint => port.debug.stop(cpu, Why::Breakpoint(vcpu.pc())),
            Exit::Watchpoint(hit) => port.debug.stop(cpu, Why::Watchpoint(hit)),
            Exit::Stepped => {
                // A step does not wait, not even for firmware.
                port.take_standby();
                port.debug.stop(cpu, Why::Stepped);
            }
            Exit::Stopped(why) => {
                (self.running, self.waits_for_machine) = (false, why != Stop::CpuOff);
                match why {
                    Stop::CpuOff => port.set_power(Power::Off),
                    Stop::PowerOff => tell(Event::PowerOff),
                    Stop::Reset => tell(Event::Reset),
                }
            }
        }
    }
}

/// Sleeps until an interrupt or an order comes. Either unparks this thread, whether it sleeps already or not.
fn wait<G: Inspect>(vcpu: &Vcpu<G>, port: &Port) {
    while !vcpu.wakes() && !port.has_orders() {
        thread::park();
    }
}

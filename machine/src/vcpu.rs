//! A vCPU's thread: runs the engine, sleeps while the guest waits for interrupts, follows orders.

use std::thread;

use crossbeam::channel::Sender;
use emu_ir::{Guest, Stop};
use emu_jit::engine::{Exit, Vcpu};

use crate::cpus::{Order, Port, Power, Start};
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

/// Runs vCPU number `cpu`, which is off at first, until it is told to end. `start` resets its state.
pub fn run<G: Guest>(
    cpu: usize,
    mut vcpu: Vcpu<G>,
    port: &Port,
    events: &Sender<Event>,
    mut start: impl FnMut(&mut Vcpu<G>, Start),
) {
    let _farewell = Farewell { cpu, events };
    let tell = |event| {
        let _ = events.send(event);
    };
    let mut running = false;
    loop {
        match port.next_order() {
            Some(Order::End) => return,
            Some(Order::Halt) => {
                running = false;
                port.set_power(Power::Off);
                tell(Event::Halted(cpu));
            }
            Some(Order::Start(how)) => {
                start(&mut vcpu, how);
                port.take_standby();
                port.set_power(Power::On);
                running = true;
            }
            None if !running => thread::park(),
            None => match vcpu.run() {
                Exit::Wait => wait(&vcpu, port),
                Exit::Yield => thread::yield_now(),
                Exit::Requested if port.take_standby() => wait(&vcpu, port),
                Exit::Requested => {}
                Exit::Stopped(why) => {
                    running = false;
                    match why {
                        Stop::CpuOff => port.set_power(Power::Off),
                        Stop::PowerOff => tell(Event::PowerOff),
                        Stop::Reset => tell(Event::Reset),
                    }
                }
            },
        }
    }
}

/// Sleeps until an interrupt or an order comes. Either unparks this thread, whether it sleeps already or not.
fn wait<G: Guest>(vcpu: &Vcpu<G>, port: &Port) {
    while !vcpu.wakes() && !port.has_orders() {
        thread::park();
    }
}

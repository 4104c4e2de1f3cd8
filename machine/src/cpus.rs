//! The machine's vCPUs as everything around them sees them: interrupt inputs, power, orders from the lifecycle.
//!
//! A [`Port`] stands for one vCPU. Any thread may drive its lines or give it orders; the vCPU's own thread
//! ([`crate::vcpu`]) takes them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;

use emu_devices::bus::{CpuInputs, CpuLine, RamWatch};
use emu_firmware::fdt::Region;
use serde::{Deserialize, Serialize};

use crate::hold::{DebugPort, Holder, Pace};
use crate::processor::{Processor, Start, Waker};
use crate::space::MapWatch;

/// What a vCPU's thread is told to do, between two instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Reset the CPU and run.
    Start(Start),
    /// Reset the CPU, which stays off.
    Reset,
    /// Stop running; acknowledged by [`Event::Halted`](crate::events::Event).
    Halt,
    /// Say where the CPU is, if it runs: [`Event::Seen`](crate::events::Event).
    Look,
    /// Go on with the state that was loaded: of a CPU that runs, or of one that is off.
    Resume(Power),
    /// Leave the thread.
    End,
}

/// Whether a CPU runs (Arm DEN 0022, 5.7: AFFINITY_INFO).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum Power {
    /// It runs, or waits for an interrupt.
    On = 0,
    /// It waits to be started.
    Off = 1,
    /// It has been told to start.
    Starting = 2,
}

/// How far a CPU is that takes start-up messages (Intel's SDM 3, 9.4): the bootstrap processor runs from the first, the others
/// wait for their message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StartUp {
    /// It runs: messages mean nothing to it.
    #[default]
    Done,
    /// INIT is signalled, and it has not followed yet. A message that comes already counts then.
    Initialising(Option<u8>),
    /// It waits for a message.
    Waiting,
}

/// What waits at a CPU's inputs that take edges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edges {
    /// Edges that it has not taken, by the architecture's bits.
    pub lines: u32,
    /// Its start.
    pub start_up: StartUp,
}

/// Bits of the inputs that take edges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EdgeLines {
    /// All of them.
    pub all: u32,
    /// The one that initialises a CPU; 0 where none does.
    pub init: u32,
}

/// What wakes a vCPU.
struct Engine {
    waker: Box<dyn Waker>,
    thread: Thread,
}

/// One vCPU, as others see it.
pub struct Port {
    /// Levels of the interrupt inputs, a bit each, as the architecture numbers them.
    lines: AtomicU32,
    /// Which of them take edges: they stay until they are taken.
    edges: EdgeLines,
    power: AtomicU8,
    standby: AtomicBool,
    orders: Mutex<VecDeque<Order>>,
    start_up: Mutex<StartUp>,
    engine: OnceLock<Engine>,
    /// The debugger's hold on the CPU.
    pub debug: DebugPort,
}

impl Port {
    fn new() -> Port {
        Port {
            lines: AtomicU32::new(0),
            edges: EdgeLines::default(),
            power: AtomicU8::new(Power::Off as u8),
            standby: AtomicBool::new(false),
            orders: Mutex::default(),
            start_up: Mutex::default(),
            engine: OnceLock::new(),
            debug: DebugPort::default(),
        }
    }

    /// Connects the vCPU's engine and thread. Once; lines and orders that came before reach it now.
    pub fn attach(&self, waker: Box<dyn Waker>, thread: Thread) {
        let engine = self.engine.get_or_init(|| Engine { waker, thread });
        engine.waker.set_line(self.lines(), true);
        engine.waker.request_exit();
        engine.thread.unpark();
    }

    /// Levels of the interrupt inputs.
    pub fn lines(&self) -> u32 {
        self.lines.load(Ordering::Acquire)
    }

    /// Whether the CPU runs.
    pub fn power(&self) -> Power {
        match self.power.load(Ordering::Acquire) {
            0 => Power::On,
            1 => Power::Off,
            _ => Power::Starting,
        }
    }

    /// Notes that the CPU now runs, or is off.
    pub fn set_power(&self, power: Power) {
        self.power.store(power as u8, Ordering::Release);
    }

    /// Starts the CPU if it is off. What it was otherwise is the error.
    ///
    /// # Errors
    ///
    /// [`Power::On`] or [`Power::Starting`]: then nothing is done.
    pub fn power_on(&self, start: Start) -> Result<(), Power> {
        let (off, starting) = (Power::Off as u8, Power::Starting as u8);
        let claimed = self
            .power
            .compare_exchange(off, starting, Ordering::AcqRel, Ordering::Acquire);
        claimed.map_err(|_| self.power())?;
        self.order(Order::Start(start));
        Ok(())
    }

    /// Gives an order; it is followed after the orders before it.
    pub fn order(&self, order: Order) {
        self.orders().push_back(order);
        self.interrupt();
    }

    /// The next order, for the vCPU's thread.
    pub fn next_order(&self) -> Option<Order> {
        self.orders().pop_front()
    }

    /// Whether there is an order to follow.
    pub fn has_orders(&self) -> bool {
        !self.orders().is_empty()
    }

    /// Makes the CPU wait for an interrupt once the instruction at hand is done; for the vCPU's own thread.
    pub fn enter_standby(&self) {
        self.standby.store(true, Ordering::Release);
        if let Some(engine) = self.engine.get() {
            engine.waker.request_exit();
        }
    }

    /// Whether [`enter_standby`](Port::enter_standby) was called since the last look.
    pub fn take_standby(&self) -> bool {
        self.standby.swap(false, Ordering::AcqRel)
    }

    fn orders(&self) -> MutexGuard<'_, VecDeque<Order>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What lies where, as this CPU alone sees it, has changed.
    pub fn remapped(&self) {
        if let Some(engine) = self.engine.get() {
            engine.waker.remapped();
        }
    }

    /// Makes the CPU's thread look for what it is to do.
    pub fn interrupt(&self) {
        if let Some(engine) = self.engine.get() {
            engine.waker.request_exit();
            engine.thread.unpark();
        }
    }

    fn set_line(&self, bit: u32, level: bool) {
        if level {
            self.lines.fetch_or(bit, Ordering::AcqRel);
        } else {
            self.lines.fetch_and(!bit, Ordering::AcqRel);
        }
        if let Some(engine) = self.engine.get() {
            engine.waker.set_line(bit, level);
            if level {
                engine.thread.unpark();
            }
        }
    }
}

/// Edges, and what INIT and start-up messages do.
impl Port {
    fn start_up(&self) -> MutexGuard<'_, StartUp> {
        self.start_up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An input that takes edges rises; `init`: it is the one that initialises the CPU.
    fn edge(&self, bit: u32, init: bool) {
        let mut start_up = self.start_up();
        match *start_up {
            // It is already as INIT leaves it.
            StartUp::Waiting if init => return,
            StartUp::Done if init => *start_up = StartUp::Initialising(None),
            _ => {}
        }
        self.set_line(bit, true);
    }

    /// A start-up message: a CPU that waits for it starts.
    fn start_at(&self, page: u8) {
        let mut start_up = self.start_up();
        match *start_up {
            StartUp::Done | StartUp::Initialising(Some(_)) => {}
            StartUp::Initialising(None) => *start_up = StartUp::Initialising(Some(page)),
            StartUp::Waiting => {
                *start_up = StartUp::Done;
                drop(start_up);
                self.set_power(Power::Starting);
                self.order(Order::Start(Start::Page(page)));
            }
        }
    }

    /// The CPU has taken an edge; for its own thread. `runs`: that was INIT, and it goes on by itself.
    pub fn taken(&self, bit: u32, runs: bool) {
        let mut start_up = self.start_up();
        self.set_line(bit, false);
        if runs {
            *start_up = StartUp::Done;
        }
    }

    /// The CPU has switched itself off; for its own thread. One that INIT switched off starts if its message has come.
    pub fn switched_off(&self) {
        self.set_power(Power::Off);
        let mut start_up = self.start_up();
        let StartUp::Initialising(page) = *start_up else { return };
        self.set_line(self.edges.init, false);
        *start_up = StartUp::Waiting;
        drop(start_up);
        if let Some(page) = page {
            self.start_at(page);
        }
    }

    /// Forgets all edges at a reset, and whether the CPU then waits for a start-up message.
    pub fn reset_edges(&self, waits: bool) {
        let waits = waits && self.edges.init != 0;
        self.set_edges(Edges {
            lines: 0,
            start_up: if waits { StartUp::Waiting } else { StartUp::Done },
        });
    }

    /// What waits at the inputs, for a snapshot.
    pub fn edges(&self) -> Edges {
        let start_up = self.start_up();
        Edges {
            lines: self.lines() & self.edges.all,
            start_up: *start_up,
        }
    }

    /// Restores it.
    pub fn set_edges(&self, state: Edges) {
        let mut start_up = self.start_up();
        *start_up = state.start_up;
        self.set_line(self.edges.all & !state.lines, false);
        self.set_line(self.edges.all & state.lines, true);
    }
}

/// The side of who holds the vCPU.
impl Port {
    /// Tells the vCPU to rest until `who` lets it go.
    pub fn hold(&self, who: Holder) {
        self.debug.hold(who);
        self.interrupt();
    }

    /// Waits until it does.
    pub fn wait_held(&self) {
        self.debug.wait_held();
    }

    /// Lets it go on if nobody else holds it, at this pace or as it went before.
    pub fn release(&self, who: Holder, pace: Option<Pace>) {
        self.debug.release(who, pace);
        self.interrupt();
    }

    /// Has the resting vCPU do something. `None`: it does not rest, or is gone.
    pub fn ask<R: Send + 'static>(&self, job: impl FnOnce(&mut dyn Processor) -> R + Send + 'static) -> Option<R> {
        let answer = self.debug.ask(job)?;
        self.interrupt();
        answer.recv().ok()
    }
}

/// All vCPUs of a machine.
pub struct Cpus {
    ports: Box<[Port]>,
    /// The bit of an interrupt input in a CPU's word of pending lines.
    line_bit: Box<dyn Fn(CpuLine) -> u32 + Send + Sync>,
}

impl Cpus {
    /// `count` CPUs, all off. `line_bit` says which bit an interrupt input has in a CPU's word of pending lines.
    pub fn new(count: usize, line_bit: impl Fn(CpuLine) -> u32 + Send + Sync + 'static) -> Cpus {
        Cpus {
            ports: (0..count).map(|_| Port::new()).collect(),
            line_bit: Box::new(line_bit),
        }
    }

    /// The same, of whose inputs these take edges.
    pub fn with_edges(mut self, edges: EdgeLines) -> Cpus {
        self.ports.iter_mut().for_each(|port| port.edges = edges);
        self
    }

    /// Every CPU is reset: they forget the edges at their inputs, and all but the first wait for a start-up message, if they
    /// take such.
    pub fn reset_edges(&self) {
        for (cpu, port) in self.iter().enumerate() {
            port.reset_edges(cpu != 0);
        }
    }

    /// The CPU with this number.
    pub fn get(&self, cpu: usize) -> Option<&Port> {
        self.ports.get(cpu)
    }

    /// Every CPU, by number.
    pub fn iter(&self) -> impl Iterator<Item = &Port> {
        self.ports.iter()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.ports.len()
    }
}

impl CpuInputs for Cpus {
    fn set(&self, cpu: usize, line: CpuLine, level: bool) {
        let Some(port) = self.get(cpu) else { return };
        let bit = (self.line_bit)(line);
        match bit & port.edges.all {
            0 => port.set_line(bit, level),
            // It stays until it is taken.
            bit if level => port.edge(bit, bit == port.edges.init),
            _ => {}
        }
    }

    fn start_up(&self, cpu: usize, page: u8) {
        if let Some(port) = self.get(cpu) {
            port.start_at(page);
        }
    }
}

/// Translations of bytes that a device, or the loader at a reset, has changed are dropped.
impl RamWatch for Cpus {
    fn written(&self, address: u64, length: u64) {
        // What they translate they share; one that has no engine yet has not run.
        if let Some(engine) = self.iter().find_map(|port| port.engine.get()) {
            engine.waker.written(address, length);
        }
    }
}

/// vCPUs look at the new map soon, and forget what they translated from memory that has gone.
impl MapWatch for Cpus {
    fn remapped(&self, gone: &[Region]) {
        gone.iter().for_each(|region| self.written(region.base, region.size));
        for engine in self.iter().filter_map(|port| port.engine.get()) {
            engine.waker.remapped();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_levels_last_set() {
        let bit = |line| if line == CpuLine::Fiq { 8 } else { 1 };
        let cpus = Cpus::new(2, bit);

        cpus.set(1, CpuLine::Irq, true);
        cpus.set(1, CpuLine::Fiq, true);
        cpus.set(1, CpuLine::Irq, false);
        cpus.set(2, CpuLine::Irq, true);

        assert_eq!(cpus.iter().map(Port::lines).collect::<Vec<_>>(), [0, 8]);
    }

    const EDGES: EdgeLines = EdgeLines { all: 6, init: 4 };

    /// Two CPUs after a reset.
    fn with_edges() -> Cpus {
        let bit = |line| match line {
            CpuLine::Irq => 1,
            CpuLine::Nmi => 2,
            CpuLine::Init => 4,
            _ => 0,
        };
        let cpus = Cpus::new(2, bit).with_edges(EDGES);
        cpus.reset_edges();
        cpus
    }

    fn pulse(cpus: &Cpus, cpu: usize, line: CpuLine) {
        cpus.set(cpu, line, true);
        cpus.set(cpu, line, false);
    }

    #[test]
    fn an_edge_stays_until_it_is_taken() {
        let cpus = with_edges();
        let port = cpus.get(0).unwrap();

        pulse(&cpus, 0, CpuLine::Nmi);
        cpus.set(0, CpuLine::Irq, true);
        assert_eq!(port.lines(), 3);

        port.taken(2, false);
        assert_eq!(port.lines(), 1);
    }

    #[test]
    fn a_cpu_that_waits_is_started_by_the_first_message() {
        let cpus = with_edges();
        let port = cpus.get(1).unwrap();

        pulse(&cpus, 1, CpuLine::Init);
        assert_eq!(port.lines(), 0, "it is as INIT leaves it");
        cpus.start_up(1, 8);
        cpus.start_up(1, 9);

        assert_eq!(port.next_order(), Some(Order::Start(Start::Page(8))));
        assert!(!port.has_orders());
    }

    #[test]
    fn a_message_to_a_cpu_that_runs_is_lost() {
        let cpus = with_edges();
        let port = cpus.get(0).unwrap();

        cpus.start_up(0, 8);
        pulse(&cpus, 0, CpuLine::Init);
        port.taken(4, true);
        cpus.start_up(0, 9);

        assert!(!port.has_orders() && port.lines() == 0);
    }

    #[test]
    fn a_message_that_comes_before_init_is_taken_is_kept() {
        let cpus = with_edges();
        let port = cpus.get(1).unwrap();
        cpus.start_up(1, 8);
        port.next_order();
        port.set_power(Power::On);

        pulse(&cpus, 1, CpuLine::Init);
        cpus.start_up(1, 9);
        assert!(!port.has_orders());
        port.taken(4, false);
        pulse(&cpus, 1, CpuLine::Init);
        port.switched_off();

        assert_eq!(port.next_order(), Some(Order::Start(Start::Page(9))));
        assert_eq!(port.lines(), 0, "the second INIT was part of the first");
    }

    #[test]
    fn a_cpu_that_init_switched_off_waits() {
        let cpus = with_edges();
        let port = cpus.get(1).unwrap();
        cpus.start_up(1, 8);
        port.next_order();

        pulse(&cpus, 1, CpuLine::Init);
        let edges = port.edges();
        assert_eq!((edges.lines, edges.start_up), (4, StartUp::Initialising(None)));
        port.taken(4, false);
        port.switched_off();

        assert_eq!((port.power(), port.edges().start_up), (Power::Off, StartUp::Waiting));
        port.set_edges(edges);
        assert_eq!(port.edges(), edges);
    }

    #[test]
    fn a_cpu_is_started_once() {
        let cpus = Cpus::new(1, |_| 1);
        let port = cpus.get(0).unwrap();

        assert_eq!(port.power_on(Start::Vector), Ok(()));
        assert_eq!(port.power_on(Start::Vector), Err(Power::Starting));
        port.set_power(Power::On);
        assert_eq!(port.power_on(Start::Vector), Err(Power::On));

        assert_eq!(port.next_order(), Some(Order::Start(Start::Vector)));
        assert!(!port.has_orders());
    }

    #[test]
    fn orders_are_followed_in_turn() {
        let port = Port::new();

        port.order(Order::Halt);
        port.order(Order::End);

        assert_eq!(
            [port.next_order(), port.next_order()],
            [Some(Order::Halt), Some(Order::End)]
        );
        assert_eq!(port.next_order(), None);
    }
}

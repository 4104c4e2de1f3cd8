//! Interrupt lines, from devices to interrupt controllers to CPUs.
//!
//! [`Irq::set`] stores into the atomics of a bank of [`Lines`] and notes the change in the machine's [`Wiring`]; it
//! takes no lock, so a device calls it while it is itself locked. [`Wiring::settle`], which [`Shared`](super::Shared)
//! calls once the device is unlocked, lets every [`Controller`] look at its lines again under the controller's own lock.
//! Any thread may drive a line.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

/// An interrupt input of a CPU. Which of them a CPU has is its architecture's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CpuLine {
    /// Normal interrupt request: Arm's IRQ, x86's INTR.
    Irq,
    /// Arm's fast interrupt request.
    Fiq,
    /// Non-maskable interrupt; x86 takes its rising edge.
    Nmi,
    /// x86's system management interrupt; its rising edge.
    Smi,
    /// x86's initialisation; its rising edge.
    Init,
}

/// The CPUs' interrupt inputs; the machine implements it.
///
/// `set` is called by an interrupt controller with the controller locked, so that levels arrive in order. It must be a
/// leaf: store the level, wake the vCPU if it sleeps or runs translated code, return. It must not access a device.
pub trait CpuInputs: Send + Sync {
    /// Input `line` of CPU number `cpu` now has this `level`. Called on changes only; a line that the CPU has not leads
    /// nowhere.
    fn set(&self, cpu: usize, line: CpuLine, level: bool);

    /// An x86 start-up message: a CPU that waits after an initialisation starts in real mode at `page << 12`. Other CPUs
    /// have no such message.
    fn start_up(&self, _cpu: usize, _page: u8) {}
}

/// An interrupt controller: reacts to its input lines.
pub trait Controller: Send {
    /// Input lines may have changed: take them in ([`Lines::level_word`], [`Lines::take_risen_word`]) and drive outputs.
    fn inputs_changed(&mut self);
}

/// All interrupt controllers of a machine, and whether a line has changed since they last looked.
#[derive(Default)]
pub struct Wiring {
    /// Changes of any line so far.
    changes: AtomicU64,
    /// How many of these every controller has seen.
    settled: AtomicU64,
    controllers: OnceLock<Vec<Weak<Mutex<dyn Controller>>>>,
}

impl Wiring {
    /// Wiring without controllers.
    pub fn new() -> Arc<Wiring> {
        Arc::new(Wiring::default())
    }

    /// Connects the machine's controllers, outermost (the devices' side) first. Once per machine; later calls are
    /// ignored.
    pub fn connect(&self, controllers: Vec<Weak<Mutex<dyn Controller>>>) {
        let _ = self.controllers.set(controllers);
    }

    /// Brings all controllers up to date with the lines. On return, every change made before the call has reached the
    /// CPUs. Call with no device locked. Costs two loads when nothing has changed.
    #[inline]
    pub fn settle(&self) {
        if self.settled.load(Ordering::Acquire) != self.changes.load(Ordering::Acquire) {
            self.settle_changes();
        }
    }

    #[cold]
    fn settle_changes(&self) {
        let Some(controllers) = self.controllers.get() else {
            return;
        };
        loop {
            let seen = self.changes.load(Ordering::Acquire);
            for controller in controllers.iter().filter_map(Weak::upgrade) {
                controller
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .inputs_changed();
            }
            let settled = self.settled.fetch_max(seen, Ordering::AcqRel).max(seen);
            // A controller that drives another one's line has changed something again: once more, for that change.
            if settled >= self.changes.load(Ordering::Acquire) {
                return;
            }
        }
    }

    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }
}

/// 32 lines.
#[derive(Default)]
struct Group {
    /// Present levels.
    level: AtomicU32,
    /// Lines that have gone from low to high since the controller last took them.
    risen: AtomicU32,
}

/// A bank of interrupt lines: the inputs of one controller.
pub struct Lines {
    wiring: Arc<Wiring>,
    groups: Box<[Group]>,
}

impl Lines {
    /// `count` lines (rounded up to a multiple of 32), all low.
    pub fn new(wiring: &Arc<Wiring>, count: usize) -> Arc<Lines> {
        let groups = (0..count.div_ceil(32)).map(|_| Group::default()).collect();
        Arc::new(Lines {
            wiring: wiring.clone(),
            groups,
        })
    }

    /// The line with this number. A number outside the bank gives an unconnected line.
    pub fn irq(self: &Arc<Lines>, number: usize) -> Irq {
        match number / 32 < self.groups.len() {
            true => Irq {
                lines: Some(self.clone()),
                number,
            },
            false => Irq::unconnected(),
        }
    }

    /// Present level of a line; low outside the bank.
    pub fn level(&self, number: usize) -> bool {
        self.level_word(number / 32) >> (number % 32) & 1 != 0
    }

    /// Present levels of lines `32 * word ..= 32 * word + 31`, the first in bit 0; 0 outside the bank.
    pub fn level_word(&self, word: usize) -> u32 {
        self.groups.get(word).map_or(0, |g| g.level.load(Ordering::Acquire))
    }

    /// Lines of this word that have gone high since the last call, and forgets them.
    pub fn take_risen_word(&self, word: usize) -> u32 {
        match self.groups.get(word) {
            Some(g) if g.risen.load(Ordering::Acquire) != 0 => g.risen.swap(0, Ordering::AcqRel),
            _ => 0,
        }
    }

    /// An edge of a line, whatever its level is and becomes: for what several threads announce at the same time, of whom
    /// none may find the line high because another one is about to lower it.
    pub fn pulse(&self, number: usize) {
        if let Some(group) = self.groups.get(number / 32) {
            group.risen.fetch_or(1 << (number % 32), Ordering::AcqRel);
            self.wiring.changed();
        }
    }

    fn set(&self, number: usize, level: bool) {
        let Some(group) = self.groups.get(number / 32) else {
            return;
        };
        let bit = 1 << (number % 32);
        // Most updates change nothing: look before writing to a shared cache line.
        if (group.level.load(Ordering::Relaxed) & bit != 0) == level {
            return;
        }
        if level {
            if group.level.fetch_or(bit, Ordering::AcqRel) & bit == 0 {
                group.risen.fetch_or(bit, Ordering::AcqRel);
            }
        } else {
            group.level.fetch_and(!bit, Ordering::AcqRel);
        }
        self.wiring.changed();
    }
}

/// The driving end of an interrupt line.
#[derive(Clone)]
pub struct Irq {
    lines: Option<Arc<Lines>>,
    number: usize,
}

impl Irq {
    /// A line that leads nowhere.
    pub const fn unconnected() -> Irq {
        Irq { lines: None, number: 0 }
    }

    /// Drives the line. Stores only; whoever calls it outside a [`Shared`](super::Shared) device follows up with
    /// [`settle`](Irq::settle) or uses [`drive`](Irq::drive).
    pub fn set(&self, level: bool) {
        if let Some(lines) = &self.lines {
            lines.set(self.number, level);
        }
    }

    /// Drives the line and lets the interrupt controllers react. Call with no device locked: from timers, vCPU threads
    /// and other host threads.
    pub fn drive(&self, level: bool) {
        self.set(level);
        self.settle();
    }

    /// Lets the interrupt controllers react to lines set before.
    pub fn settle(&self) {
        if let Some(lines) = &self.lines {
            lines.wiring.settle();
        }
    }

    /// The present level of the line; low when unconnected.
    pub fn level(&self) -> bool {
        self.lines.as_ref().is_some_and(|lines| lines.level(self.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts its calls; drives `out` from line 0.
    struct Probe {
        lines: Arc<Lines>,
        out: Irq,
        calls: Arc<AtomicU32>,
    }

    impl Controller for Probe {
        fn inputs_changed(&mut self) {
            self.calls.fetch_add(1, Ordering::SeqCst);
            self.out.set(self.lines.level(0));
        }
    }

    fn controller(lines: &Arc<Lines>, out: Irq) -> (Arc<Mutex<Probe>>, Arc<AtomicU32>) {
        let calls = Arc::new(AtomicU32::new(0));
        (
            Arc::new(Mutex::new(Probe {
                lines: lines.clone(),
                out,
                calls: calls.clone(),
            })),
            calls,
        )
    }

    fn weak(probe: &Arc<Mutex<Probe>>) -> Weak<Mutex<dyn Controller>> {
        let probe: Arc<Mutex<dyn Controller>> = probe.clone();
        Arc::downgrade(&probe)
    }

    #[test]
    fn controllers_look_only_after_a_change() {
        let wiring = Wiring::new();
        let lines = Lines::new(&wiring, 64);
        let (probe, calls) = controller(&lines, Irq::unconnected());
        wiring.connect(vec![weak(&probe)]);

        lines.irq(40).drive(true);
        lines.irq(40).drive(true);
        wiring.settle();

        assert_eq!(calls.load(Ordering::SeqCst), 1);
        assert!(lines.level(40));
        let levels = [lines.irq(40), lines.irq(41), Irq::unconnected()].map(|irq| irq.level());
        assert_eq!(levels, [true, false, false]);
        assert_eq!(lines.level_word(1), 1 << 8);
    }

    #[test]
    fn a_cascade_settles_in_one_call_in_either_order() {
        let wiring = Wiring::new();
        let (first, second) = (Lines::new(&wiring, 1), Lines::new(&wiring, 1));
        let (outer, _) = controller(&first, second.irq(0));
        let (inner, _) = controller(&second, Irq::unconnected());
        let end = Lines::new(&wiring, 1);
        inner.lock().unwrap().out = end.irq(0);
        wiring.connect(vec![weak(&inner), weak(&outer)]);

        first.irq(0).drive(true);

        assert!(end.level(0));
    }

    #[test]
    fn a_pulse_leaves_an_edge() {
        let wiring = Wiring::new();
        let lines = Lines::new(&wiring, 32);

        lines.irq(3).set(true);
        lines.irq(3).set(false);

        assert_eq!(lines.level_word(0), 0);
        assert_eq!(lines.take_risen_word(0), 1 << 3);
        assert_eq!(lines.take_risen_word(0), 0);
    }

    #[test]
    fn a_pulse_of_a_line_that_is_high_is_an_edge() {
        let wiring = Wiring::new();
        let lines = Lines::new(&wiring, 64);
        let (probe, calls) = controller(&lines, Irq::unconnected());
        wiring.connect(vec![weak(&probe)]);
        lines.irq(33).drive(true);
        lines.take_risen_word(1);

        lines.pulse(33);
        wiring.settle();

        assert_eq!((lines.take_risen_word(1), lines.level(33)), (2, true));
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn lines_outside_the_bank_lead_nowhere() {
        let lines = Lines::new(&Wiring::new(), 32);

        lines.irq(32).drive(true);
        lines.pulse(32);

        assert!(!lines.level(32));
        assert_eq!(lines.take_risen_word(1), 0);
    }
}

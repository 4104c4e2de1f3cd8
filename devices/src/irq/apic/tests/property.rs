//! A CPU, a timer-less one, and an IOAPIC against a small model of both: sets of vectors and pins.

use super::*;
use std::collections::BTreeSet;

/// What the guest has set up for a pin.
#[derive(Clone, Copy, Default)]
struct Pin {
    vector: u8,
    level: bool,
    low: bool,
    masked: bool,
    /// The line, and whether a level is in service.
    high: bool,
    served: Option<u8>,
}

impl Pin {
    fn is_active(&self) -> bool {
        self.high != self.low
    }
}

#[derive(Default)]
struct Machine {
    task: u8,
    requested: BTreeSet<u8>,
    levels: BTreeSet<u8>,
    /// In service, the innermost last.
    running: Vec<u8>,
    pins: [Pin; 6],
}

impl Machine {
    fn request(&mut self, vector: u8, level: bool) {
        self.requested.insert(vector);
        match level {
            true => drop(self.levels.insert(vector)),
            false => drop(self.levels.remove(&vector)),
        }
    }

    /// Levels that are there and not in service.
    fn settle(&mut self) {
        for n in 0..self.pins.len() {
            let pin = self.pins[n];
            if pin.level && !pin.masked && pin.is_active() && pin.served.is_none() {
                self.pins[n].served = Some(pin.vector);
                self.request(pin.vector, true);
            }
        }
    }

    fn next(&self) -> Option<u8> {
        let class = self.running.iter().map(|vector| vector >> 4).max().unwrap_or(0);
        let least = class.max(self.task >> 4);
        self.requested
            .iter()
            .copied()
            .max()
            .filter(|vector| vector >> 4 > least)
    }

    fn take(&mut self) -> Option<u8> {
        let vector = self.next()?;
        self.requested.remove(&vector);
        self.running.push(vector);
        Some(vector)
    }

    fn end(&mut self) {
        let Some(vector) = self.running.pop() else { return };
        if self.levels.contains(&vector) {
            for pin in &mut self.pins {
                if pin.served == Some(vector) || pin.vector == vector {
                    pin.served = None;
                }
            }
        }
    }

    fn drive(&mut self, n: usize, high: bool) {
        let before = self.pins[n].is_active();
        self.pins[n].high = high;
        let pin = self.pins[n];
        if pin.is_active() && !before && !pin.level && !pin.masked {
            self.request(pin.vector, false);
        }
    }

    fn set(&mut self, n: usize, new: Pin) {
        let old = self.pins[n];
        let served = if new.level { old.served } else { None };
        self.pins[n] = Pin {
            high: old.high,
            served,
            ..new
        };
    }
}

#[test]
fn a_cpu_and_its_pins_do_what_a_model_of_sets_does() {
    for seed in 0..if cfg!(miri) { 1 } else { 60 } {
        let b = Bench::ready(1);
        let mut model = Machine::default();
        model.pins.iter_mut().for_each(|pin| pin.masked = true);
        let mut random = fuzz::Random::new(seed);
        let mut told = Vec::new();
        for step in 0..600 {
            // Few vectors, so that they meet.
            let vector = 0x20 + random.below(4) as u8 * 0x10 + random.below(3) as u8;
            let n = random.below(6) as usize;
            match random.below(8) {
                0 => {
                    b.interrupt(0, vector);
                    model.request(vector, false);
                }
                1 | 2 => {
                    let high = random.below(2) != 0;
                    b.ioapic.with(|apic| apic.pin(n)).drive(high);
                    model.drive(n, high);
                }
                3 => {
                    let [level, low, masked] = [2, 2, 4].map(|times| random.below(times) == 0);
                    let pin = Pin {
                        vector,
                        level,
                        low,
                        masked,
                        ..Pin::default()
                    };
                    let flags = u64::from(masked) << 16 | u64::from(level) << 15 | u64::from(low) << 13;
                    b.ioapic.write(Access::new(0, 4), 0x10 + 2 * n as u64);
                    b.ioapic.write(Access::new(0x10, 4), flags | u64::from(vector));
                    model.set(n, pin);
                }
                4 => {
                    model.task = random.below(0x70) as u8;
                    b.set(TPR, model.task.into());
                }
                5 | 6 => {
                    let taken = model.take();
                    told.push(taken);
                    assert_eq!(b.take(0), taken, "seed {seed} step {step}");
                }
                _ => {
                    b.set(EOI, 0);
                    model.end();
                }
            }
            model.settle();
            assert_eq!(b.irq(0), model.next().is_some(), "seed {seed} step {step}");
            let requested: Vec<u8> = model.requested.iter().copied().collect();
            assert_eq!(b.vectors(0, IRR), requested, "seed {seed} step {step}");
        }
        assert!(told.iter().flatten().count() > 20, "seed {seed} interrupts");
    }
}

//! PL061 GPIO: Arm PrimeCell General Purpose Input/Output (PL061) Technical Reference Manual, DDI 0190.
//!
//! Eight pins. What a pin does under hardware control (GPIOAFSEL) is up to the board; none of ours uses it.

use crate::bus::{At, Irq, Registers, Shared, Wiring};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

crate::regs! {
    /// Data: bits 2 to 9 of the address select the pins (3.3.1)
    0x000 GPIODATA[256] Rw
    /// Direction: 1 is output (3.3.2)
    0x400 GPIODIR   Rw
    /// Interrupt sense: 1 is level (3.3.3)
    0x404 GPIOIS    Rw
    /// Interrupt on both edges (3.3.4)
    0x408 GPIOIBE   Rw
    /// Interrupt event: 1 is high or rising (3.3.5)
    0x40c GPIOIEV   Rw
    /// Interrupt mask: 1 is not masked (3.3.6)
    0x410 GPIOIE    Rw
    /// Raw interrupt status (3.3.7)
    0x414 GPIORIS   Ro
    /// Masked interrupt status (3.3.8)
    0x418 GPIOMIS   Ro
    /// Interrupt clear (3.3.9)
    0x41c GPIOIC    Wo
    /// Mode control select (3.3.10)
    0x420 GPIOAFSEL Rw
    /// Peripheral and PrimeCell identification (3.3.11, 3.3.12)
    0xfe0 ID[8]     Ro
}

const ID: [u8; 8] = [0x61, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1];

/// Everything a snapshot holds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct State {
    /// What the guest drives.
    data: u8,
    /// What comes from outside.
    inputs: u8,
    dir: u8,
    is: u8,
    ibe: u8,
    iev: u8,
    ie: u8,
    afsel: u8,
    /// Edges seen and not cleared.
    edges: u8,
    /// Levels of the pins at the last look.
    before: u8,
}

/// The GPIO block: state plus wiring.
pub struct Pl061 {
    state: State,
    irq: Irq,
    outputs: [Irq; 8],
}

impl Pl061 {
    /// A GPIO block that drives `irq` and, from the pins that the guest makes outputs, `outputs`.
    pub fn new(wiring: &Arc<Wiring>, irq: Irq, outputs: [Irq; 8]) -> Shared<Pl061> {
        Shared::new(
            wiring,
            Pl061 {
                state: State::default(),
                irq,
                outputs,
            },
        )
    }

    /// Drives input `pin` (0 to 7; others are ignored) from outside.
    pub fn set_input(&mut self, pin: u32, level: bool) {
        if pin < 8 {
            self.state.inputs = self.state.inputs & !(1 << pin) | u8::from(level) << pin;
            self.update();
        }
    }
}

impl State {
    /// Levels of the pins.
    fn pins(&self) -> u8 {
        self.data & self.dir | self.inputs & !self.dir
    }

    /// GPIORIS: latched edges, and levels as they are.
    fn raw(&self) -> u8 {
        let levels = !(self.pins() ^ self.iev);
        self.edges & !self.is | levels & self.is
    }

    /// Latches the edges since the last look.
    fn watch_edges(&mut self) {
        let pins = self.pins();
        let changed = pins ^ std::mem::replace(&mut self.before, pins);
        let wanted = self.ibe | !(pins ^ self.iev);
        self.edges |= changed & wanted & !self.is;
    }
}

impl Registers for Pl061 {
    const MODEL: &'static str = "pl061";
    type Reg = Reg;
    type State = State;

    fn state(&mut self) -> &mut State {
        &mut self.state
    }

    /// What comes from outside does not change by a reset of this chip.
    fn initial(&mut self) -> State {
        let inputs = self.state.inputs;
        State {
            inputs,
            before: inputs,
            ..State::default()
        }
    }

    fn get(&mut self, reg: Reg, at: At) -> u64 {
        let s = &self.state;
        let value = match reg {
            Reg::GPIODATA => s.pins() & at.n as u8,
            Reg::GPIODIR => s.dir,
            Reg::GPIOIS => s.is,
            Reg::GPIOIBE => s.ibe,
            Reg::GPIOIEV => s.iev,
            Reg::GPIOIE => s.ie,
            Reg::GPIORIS => s.raw(),
            Reg::GPIOMIS => s.raw() & s.ie,
            Reg::GPIOAFSEL => s.afsel,
            Reg::ID => ID.get(at.n).copied().unwrap_or(0),
            Reg::GPIOIC => 0,
        };
        value.into()
    }

    fn put(&mut self, reg: Reg, at: At, value: u64) {
        let s = &mut self.state;
        let value = value as u8;
        match reg {
            Reg::GPIODATA => s.data = s.data & !(at.n as u8) | value & at.n as u8,
            Reg::GPIODIR => s.dir = value,
            Reg::GPIOIS => s.is = value,
            Reg::GPIOIBE => s.ibe = value,
            Reg::GPIOIEV => s.iev = value,
            Reg::GPIOIE => s.ie = value,
            Reg::GPIOIC => s.edges &= !value,
            Reg::GPIOAFSEL => s.afsel = value,
            Reg::GPIORIS | Reg::GPIOMIS | Reg::ID => {}
        }
    }

    fn update(&mut self) {
        self.state.watch_edges();
        let s = &self.state;
        for (pin, output) in self.outputs.iter().enumerate() {
            output.set((s.data & s.dir) >> pin & 1 != 0);
        }
        self.irq.set(s.raw() & s.ie != 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::{Access, Lines, fuzz};

    struct Bench {
        gpio: Shared<Pl061>,
        /// The interrupt, then the outputs.
        lines: Arc<Lines>,
    }

    impl Bench {
        fn new() -> Bench {
            let wiring = Wiring::new();
            let lines = Lines::new(&wiring, 9);
            let outputs = std::array::from_fn(|pin| lines.irq(1 + pin));
            Bench {
                gpio: Pl061::new(&wiring, lines.irq(0), outputs),
                lines,
            }
        }

        fn get(&self, offset: u64) -> u64 {
            self.gpio.read(Access::new(offset, 4))
        }

        fn set(&self, offset: u64, value: u64) {
            self.gpio.write(Access::new(offset, 4), value);
        }

        fn input(&self, pin: u32, level: bool) {
            self.gpio.with(|gpio| gpio.set_input(pin, level));
        }

        fn irq(&self) -> bool {
            self.lines.level(0)
        }
    }

    #[test]
    fn identification_and_registers() {
        let b = Bench::new();

        let id: Vec<u64> = (0..8).map(|n| b.get(0xfe0 + 4 * n)).collect();
        assert_eq!(id, [0x61, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1]);
        for offset in [0x400, 0x404, 0x408, 0x40c, 0x410, 0x420] {
            assert_eq!(b.get(offset), 0, "{offset:#x}");
            b.set(offset, 0x1a5);
            assert_eq!(b.get(offset), 0xa5, "{offset:#x}");
        }
    }

    #[test]
    fn writes_reach_the_selected_pins_only() {
        let b = Bench::new();
        b.set(0x400, 0xff);

        b.set(0x3fc, 0x0f);
        b.set(0x3c << 2, 0x55);

        assert_eq!(b.get(0x3fc), 0x17);
        assert_eq!(b.lines.level_word(0) >> 1, 0x17);
    }

    #[test]
    fn pins_are_those_that_there_are_and_keep_their_level() {
        let b = Bench::new();

        b.input(7, true);
        b.input(8, true);
        b.input(0, true);
        b.input(0, true);
        assert_eq!(b.get(0x3fc), 0x81);
        b.gpio.reset();
        assert_eq!((b.get(0x3fc), b.get(0x414)), (0x81, 0));
        b.input(7, false);

        assert_eq!(b.get(0x3fc), 0x01);
    }

    #[test]
    fn an_interrupt_is_masked_cleared_and_of_its_kind() {
        let b = Bench::new();
        // Pins 0 and 1 on rising edges, 2 and 3 on levels: high and low.
        b.set(0x40c, 0b0111);
        b.set(0x404, 0b1100);
        b.input(0, true);
        b.input(1, true);
        b.input(2, true);
        assert_eq!((b.get(0x414), b.get(0x418), b.irq()), (0b1111, 0, false));

        b.set(0x410, 0b0010);
        assert_eq!((b.get(0x418), b.irq()), (0b0010, true));
        b.set(0x41c, 0b0010);
        assert_eq!((b.get(0x414), b.get(0x418), b.irq()), (0b1101, 0, false));
        b.input(2, false);
        b.input(3, true);
        assert_eq!(b.get(0x414), 0b0001);
        // What levels did is no edge.
        b.set(0x404, 0);
        assert_eq!(b.get(0x414), 0b0001);
    }

    #[test]
    fn the_address_selects_the_pins() {
        let b = Bench::new();
        b.set(0x400, 0x0f);

        b.set(0x3fc, 0xff);
        b.set(0x004 << 1, 0x00);
        b.input(7, true);

        assert_eq!(b.get(0x3fc), 0x8d);
        assert_eq!(b.get(0x200), 0x80);
        assert_eq!(b.lines.level_word(0) >> 1, 0x0d);
    }

    #[test]
    fn a_rising_edge_interrupts_until_cleared() {
        let b = Bench::new();
        b.set(0x40c, 8);
        b.set(0x410, 8);

        b.input(3, true);
        assert!(b.irq());
        b.input(3, false);
        assert_eq!((b.irq(), b.get(0x414), b.get(0x418)), (true, 8, 8));
        b.set(0x41c, 8);
        assert!(!b.irq());
    }

    #[test]
    fn falling_edges_and_both_edges() {
        let b = Bench::new();
        b.set(0x410, 3);
        b.set(0x408, 2);

        b.input(0, true);
        b.input(1, true);
        assert_eq!(b.get(0x414), 2);
        b.set(0x41c, 2);
        b.input(0, false);
        b.input(1, false);
        assert_eq!(b.get(0x414), 3);
    }

    #[test]
    fn a_level_interrupts_as_long_as_it_lasts() {
        let b = Bench::new();
        b.set(0x40c, 1);
        b.set(0x410, 1);
        b.set(0x404, 1);

        b.input(0, true);
        b.set(0x41c, 1);
        assert!(b.irq());
        b.input(0, false);
        assert!(!b.irq());
    }

    #[test]
    fn a_pending_edge_survives_save_reset_load() {
        let b = Bench::new();
        b.set(0x40c, 8);
        b.set(0x410, 8);
        b.input(3, true);
        let saved = b.gpio.save();

        b.gpio.reset();
        assert!(!b.irq());
        b.gpio.load(&saved).unwrap();

        assert!(b.irq());
    }

    #[test]
    #[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
    fn any_access_is_survived() {
        let offsets: Vec<u64> = (0x3f8..0x424).step_by(4).chain([0, 0xfe0]).collect();
        for seed in 0..4 {
            let (b, other) = (Bench::new(), Bench::new());
            b.gpio.with(|gpio| {
                other.gpio.with(|other| {
                    fuzz::registers(seed, gpio, other, &offsets, 0x1000, |gpio, random| {
                        gpio.set_input(random.below(10) as u32, random.below(2) != 0)
                    })
                })
            });
        }
    }
}

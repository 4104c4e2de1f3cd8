//! A key on a GPIO pin, such as a power button: as the device tree's `gpio-keys` describes it.

use super::pl061::Pl061;
use crate::bus::{Clock, Format, LoadError, Saved, Shared, Timer};

const FORMAT: Format = Format::first("gpio-key");
/// How long a key is held down, in nanoseconds: longer than a driver's debouncing.
const HELD: u64 = 100_000_000;

/// A push button that pulls a pin high.
pub struct GpioKey {
    gpio: Shared<Pl061>,
    pin: u32,
    clock: Clock,
    release: Timer,
}

impl GpioKey {
    /// A key on `pin` (0 to 7) of `gpio`.
    pub fn new(clock: &Clock, gpio: &Shared<Pl061>, pin: u32) -> GpioKey {
        let weak = gpio.downgrade();
        let release = clock.timer(move || {
            weak.with(|gpio| gpio.set_input(pin, false));
        });
        GpioKey {
            gpio: gpio.clone(),
            pin,
            clock: clock.clone(),
            release,
        }
    }

    /// Presses the key; it is released after 100 ms of guest time. Call with no device locked.
    pub fn press(&self) {
        self.gpio.with(|gpio| gpio.set_input(self.pin, true));
        self.release.arm(self.clock.now_ns() + HELD);
    }

    /// For a snapshot: when the key will be released. Whether it is down is the pin's state.
    pub fn save(&self) -> Saved {
        Saved::new(&FORMAT, &self.release.deadline())
    }

    /// Restores a saved state.
    ///
    /// # Errors
    /// [`LoadError`]; the key is then unchanged.
    pub fn load(&self, saved: &Saved) -> Result<(), LoadError> {
        self.release.set(saved.state(&FORMAT)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::{Access, Irq, Wiring};

    #[test]
    fn a_key_goes_down_and_up() {
        let clock = Clock::manual(0);
        let gpio = Pl061::new(&Wiring::new(), Irq::unconnected(), [const { Irq::unconnected() }; 8]);
        let key = GpioKey::new(&clock, &gpio, 3);
        let pins = || gpio.read(Access::new(0x3fc, 4));

        for _ in 0..2 {
            key.press();
            clock.advance(HELD - 1);
            assert_eq!(pins(), 8);
            clock.advance(1);
            assert_eq!(pins(), 0);
        }
    }

    #[test]
    fn a_key_that_was_down_at_the_snapshot_goes_up() {
        let clock = Clock::manual(0);
        let gpio = Pl061::new(&Wiring::new(), Irq::unconnected(), [const { Irq::unconnected() }; 8]);
        let key = GpioKey::new(&clock, &gpio, 3);
        let pins = || gpio.read(Access::new(0x3fc, 4));
        key.press();
        let saved = (gpio.save(), key.save());
        clock.advance(HELD);

        let other = clock.now_ns();
        gpio.load(&saved.0).unwrap();
        key.load(&saved.1).unwrap();
        assert_eq!((pins(), other), (8, HELD));
        clock.advance(0);

        assert_eq!(pins(), 0);
    }
}

//! ACPI's generic event device with a power button, and the registers by which a hardware-reduced machine sleeps and is reset
//! (ACPI 6.5, 5.6.9, 4.8.3.7 and 4.8.3.6), at the places where QEMU's `microvm` has them.

use crate::bus::misuse::{self, Misuse};
use crate::bus::{At, Irq, Registers, Shared, Wiring};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

crate::regs! {
    /// Events since the last read, which forgets them
    0x000 EVENTS[4]: u8   Ro
    /// Sleep control: the type in bits 2 to 4, and SLP_EN
    0x200 CONTROL: u8     Rw
    /// Sleep status
    0x201 STATUS: u8      Rw
    /// Reset
    0x202 RESET: u8       Wo
}

const MODEL: &str = "acpi-ged";
/// Bytes that the registers take.
pub const SIZE: u64 = 0x203;
/// The event that is the power button.
pub const BUTTON: u32 = 1 << 1;
/// The sleep type that is off: S5.
pub const OFF: u8 = 5;
/// What resets, written to [`RESET_AT`].
pub const RESET_VALUE: u8 = 0x42;
/// Bytes from the first register to the sleep control.
pub const CONTROL_AT: u64 = 0x200;
/// To the sleep status.
pub const STATUS_AT: u64 = 0x201;
/// To the reset register.
pub const RESET_AT: u64 = 0x202;

mod control {
    pub const SLP_TYP_SHIFT: u8 = 2;
    pub const SLP_TYP: u8 = 7 << SLP_TYP_SHIFT;
    pub const SLP_EN: u8 = 1 << 5;
}

/// What the registers switch. Called with the device locked: both are leaves, which note it, tell somebody and return.
pub trait Power: Send + Sync {
    /// The machine is to be off.
    fn off(&self);
    /// It is to be reset.
    fn reset(&self);
}

/// Everything a snapshot holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    events: u32,
}

/// The device: state plus wiring.
pub struct AcpiGed {
    state: State,
    irq: Irq,
    power: Box<dyn Power>,
}

impl AcpiGed {
    /// One that drives `irq` while there are events, and switches `power`.
    pub fn new(wiring: &Arc<Wiring>, irq: Irq, power: Box<dyn Power>) -> Shared<AcpiGed> {
        let ged = AcpiGed {
            state: State::default(),
            irq,
            power,
        };
        Shared::new(wiring, ged)
    }

    /// The power button is pressed.
    pub fn press(&mut self) {
        self.state.events |= BUTTON;
        self.update();
    }

    fn sleep(&self, value: u8) {
        if value & control::SLP_EN == 0 {
            return;
        }
        match (value & control::SLP_TYP) >> control::SLP_TYP_SHIFT {
            OFF => self.power.off(),
            _ => misuse::report(
                MODEL,
                Misuse::BadValue("a sleep type that is not there (ignored)"),
                CONTROL_AT,
                value.into(),
            ),
        }
    }
}

impl Registers for AcpiGed {
    const MODEL: &'static str = MODEL;
    type Reg = Reg;
    type State = State;

    fn state(&mut self) -> &mut State {
        &mut self.state
    }

    fn get(&mut self, reg: Reg, at: At) -> u64 {
        match reg {
            Reg::EVENTS => {
                let shift = 8 * at.n as u32 % 32;
                let seen = self.state.events >> shift & 0xff;
                self.state.events &= !(0xff << shift);
                seen.into()
            }
            // It never sleeps but to be off.
            Reg::CONTROL | Reg::STATUS | Reg::RESET => 0,
        }
    }

    fn put(&mut self, reg: Reg, _at: At, value: u64) {
        match reg {
            Reg::CONTROL => self.sleep(value as u8),
            Reg::RESET if value as u8 == RESET_VALUE => self.power.reset(),
            Reg::RESET => misuse::report(MODEL, Misuse::BadValue("not what resets"), RESET_AT, value),
            Reg::EVENTS | Reg::STATUS => {}
        }
    }

    fn update(&mut self) {
        self.irq.set(self.state.events != 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::{Access, Lines, fuzz};
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<&'static str>>>);

    impl Power for Seen {
        fn off(&self) {
            self.0.lock().unwrap().push("off");
        }

        fn reset(&self) {
            self.0.lock().unwrap().push("reset");
        }
    }

    fn bench() -> (Shared<AcpiGed>, Irq, Seen) {
        let (wiring, seen) = (Wiring::new(), Seen::default());
        let irq = Lines::new(&wiring, 1).irq(0);
        (AcpiGed::new(&wiring, irq.clone(), Box::new(seen.clone())), irq, seen)
    }

    #[test]
    fn the_button_is_an_event_until_it_is_read() {
        let (ged, irq, _) = bench();

        ged.with(AcpiGed::press);
        assert!(irq.level());

        assert_eq!(ged.read(Access::new(0, 4)), u64::from(BUTTON));
        assert!(!irq.level());
        assert_eq!(ged.read(Access::new(0, 4)), 0);
    }

    #[test]
    fn s5_is_off_and_the_reset_value_resets() {
        let (ged, _, seen) = bench();

        for (at, value) in [(0x200, 0x14), (0x200, 0x24), (0x202, 0x41), (0x201, 0x80)] {
            ged.write(Access::new(at, 1), value);
        }
        assert!(seen.0.lock().unwrap().is_empty());
        ged.write(Access::new(0x200, 1), 0x34);
        ged.write(Access::new(0x202, 1), 0x42);

        assert_eq!(*seen.0.lock().unwrap(), ["off", "reset"]);
        assert_eq!(ged.read(Access::new(0x201, 1)), 0);
    }

    #[test]
    fn an_event_survives_save_reset_load() {
        let (ged, irq, _) = bench();
        ged.with(AcpiGed::press);
        let saved = ged.save();

        ged.reset();
        assert!(!irq.level());
        ged.load(&saved).unwrap();

        assert!(irq.level());
    }

    #[test]
    #[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
    fn any_access_is_survived() {
        for seed in 0..2 {
            let ((ged, ..), (other, ..)) = (bench(), bench());
            let places = [0, 1, 0x200, 0x201, 0x202, 0x203];
            ged.with(|ged| other.with(|other| fuzz::registers(seed, ged, other, &places, 8, |_, _| {})));
        }
    }
}

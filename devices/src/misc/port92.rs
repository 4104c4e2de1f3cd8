//! Port 92h of a PC: the gate of address line 20 and the fast reset (ICH data sheet, "Fast A20 and Init").

use crate::bus::{At, Registers, Shared, Wiring};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

crate::regs! {
    /// Bit 1 opens A20; bit 0 going high resets the CPU
    0 PORT92: u8 Rw
}

const INIT_NOW: u8 = 1 << 0;
const ALT_A20_GATE: u8 = 1 << 1;
/// The other bits are reserved, and keep nothing.
const ALL: u8 = INIT_NOW | ALT_A20_GATE;

/// What the port drives. Called with the device locked: both are leaves, which note it, tell somebody and return.
pub trait Outputs: Send + Sync {
    /// The port opens A20, or does not. Called on changes only, first with what differs from closed; a board has A20 open
    /// while this or the keyboard controller opens it.
    fn a20(&self, open: bool);
    /// The CPUs' INIT is pulsed.
    fn init(&self);
}

/// Everything a snapshot holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    value: u8,
}

/// The port: state plus wiring.
pub struct Port92 {
    state: State,
    outputs: Box<dyn Outputs>,
    /// What A20 was last driven to.
    open: bool,
}

impl Port92 {
    /// A port that drives `outputs`, and closes A20.
    pub fn new(wiring: &Arc<Wiring>, outputs: Box<dyn Outputs>) -> Shared<Port92> {
        let port = Port92 {
            state: State::default(),
            outputs,
            open: false,
        };
        Shared::new(wiring, port)
    }
}

impl Registers for Port92 {
    const MODEL: &'static str = "port92";
    type Reg = Reg;
    type State = State;

    fn state(&mut self) -> &mut State {
        &mut self.state
    }

    fn check(&self, state: &State) -> Result<(), String> {
        match state.value & !ALL {
            0 => Ok(()),
            _ => Err(format!("value {:#x}", state.value)),
        }
    }

    fn get(&mut self, reg: Reg, _at: At) -> u64 {
        match reg {
            Reg::PORT92 => self.state.value.into(),
        }
    }

    fn put(&mut self, reg: Reg, _at: At, value: u64) {
        match reg {
            Reg::PORT92 => {
                let before = std::mem::replace(&mut self.state.value, value as u8 & ALL);
                if !before & self.state.value & INIT_NOW != 0 {
                    self.outputs.init();
                }
            }
        }
    }

    fn update(&mut self) {
        let open = self.state.value & ALT_A20_GATE != 0;
        if std::mem::replace(&mut self.open, open) != open {
            self.outputs.a20(open);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::{Access, fuzz};
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<&'static str>>>);

    impl Seen {
        fn take(&self) -> Vec<&'static str> {
            std::mem::take(&mut self.0.lock().unwrap())
        }
    }

    impl Outputs for Seen {
        fn a20(&self, open: bool) {
            self.0.lock().unwrap().push(if open { "open" } else { "closed" });
        }

        fn init(&self) {
            self.0.lock().unwrap().push("init");
        }
    }

    fn bench() -> (Shared<Port92>, Seen) {
        let seen = Seen::default();
        (Port92::new(&Wiring::new(), Box::new(seen.clone())), seen)
    }

    fn set(port: &Shared<Port92>, value: u64) {
        port.write(Access::new(0, 1), value);
    }

    #[test]
    fn a20_follows_bit_1() {
        let (port, seen) = bench();

        [0, 2, 2, 0].into_iter().for_each(|value| set(&port, value));

        assert_eq!(seen.take(), ["open", "closed"]);
    }

    #[test]
    fn only_the_rise_of_bit_0_resets() {
        let (port, seen) = bench();

        [1, 1, 0, 1].into_iter().for_each(|value| set(&port, value));

        assert_eq!(seen.take(), ["init", "init"]);
    }

    #[test]
    fn it_reads_as_its_two_bits() {
        let (port, _) = bench();

        set(&port, 0xff);

        assert_eq!(port.read(Access::new(0, 1)), 3);
    }

    #[test]
    fn a20_survives_save_reset_load_and_resets_nobody() {
        let (port, seen) = bench();
        set(&port, 3);
        let saved = port.save();
        seen.take();

        port.reset();
        assert_eq!(seen.take(), ["closed"]);
        port.load(&saved).unwrap();

        assert_eq!(seen.take(), ["open"]);
    }

    #[test]
    fn a_state_with_other_bits_is_refused() {
        let (port, _) = bench();
        let saved = r#"{"model":"port92","version":1,"state":{"value":4}}"#;

        assert!(port.load(&serde_json::from_str(saved).unwrap()).is_err());
    }

    #[test]
    #[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
    fn any_access_is_survived() {
        for seed in 0..2 {
            let ((port, _), (other, _)) = (bench(), bench());
            port.with(|port| other.with(|other| fuzz::registers(seed, port, other, &[0], 4, |_, _| {})));
        }
    }
}

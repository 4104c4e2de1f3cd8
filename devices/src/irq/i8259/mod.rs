//! The two 8259A interrupt controllers of a PC: Intel 8259A data sheet (231468), with the edge/level control registers of
//! Intel's I/O controller hubs (ICH data sheet, "Edge/Level Triggered").
//!
//! The slave's INT is IR2 of the master. A CPU, or its local APIC, sees the master's INT as a level and asks for the vector
//! with an acknowledge cycle ([`ExtInt`]).

mod chip;
#[cfg(test)]
mod tests;

use super::ExtInt;
use crate::bus::{At, Controller, Irq, Lines, Registers, Shared, Wiring};
use chip::{Chip, Pin};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

// A register's offset is its port less 20h: a board maps ports 20h to 21h, A0h to A1h and 4D0h to 4D1h.
crate::regs! {
    /// Master: ICW1, OCW2 and OCW3; reads as IRR or ISR, or answers a poll
    0x000 COMMAND_1: u8 Rw
    /// Master: ICW2 to ICW4 and OCW1, the mask
    0x001 DATA_1: u8    Rw
    /// Slave: the same
    0x080 COMMAND_2: u8 Rw
    /// Slave: the same
    0x081 DATA_2: u8    Rw
    /// Inputs whose level counts: IRQ 0 to 7, 8 to 15
    0x4b0 ELCR[2]: u8   Rw
}

const MODEL: &str = "i8259";
/// The master's input that the slave drives.
const CASCADE: u8 = 2;
/// Master's inputs that interrupt lines drive.
const MASTER: u8 = !(1 << CASCADE);
/// Inputs that can be level-triggered: not IRQ 0, 1, 2, 8 and 13.
const ELCR: [u8; 2] = [0xf8, 0xde];
/// What the data bus reads as when nobody drives it.
const FLOATING: u8 = 0xff;

/// Everything a snapshot holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    master: Chip,
    slave: Chip,
}

/// The pair: state plus wiring.
pub struct I8259 {
    state: State,
    lines: Arc<Lines>,
    intr: Irq,
}

impl I8259 {
    /// A pair whose INT is `intr`: LINT0 of the local APICs, or the CPU's INTR.
    ///
    /// The caller connects it, before what `intr` leads to: `wiring.connect(vec![pic.controller(), …])`.
    pub fn new(wiring: &Arc<Wiring>, intr: Irq) -> Shared<I8259> {
        let pair = I8259 {
            state: State::default(),
            lines: Lines::new(wiring, 16),
            intr,
        };
        Shared::new(wiring, pair)
    }

    /// Input IRQ `n` (0 to 15). IRQ 2, which is the slave's, and others: unconnected.
    pub fn irq(&self, n: usize) -> Irq {
        if n < 16 && n != usize::from(CASCADE) {
            self.lines.irq(n)
        } else {
            Irq::unconnected()
        }
    }

    /// Takes in the levels of the lines and their edges. An edge of a line that is low again has been too short.
    fn take_lines(&mut self) {
        // In this order: a line that rises in between is taken with the next change.
        let risen = self.lines.take_risen_word(0).to_le_bytes();
        let levels = self.lines.level_word(0).to_le_bytes();
        let ([r1, r2, ..], [l1, l2, ..]) = (risen, levels);
        self.state.master.drive(MASTER, l1, r1);
        self.state.slave.drive(0xff, l2, r2);
        self.cascade();
    }

    /// The slave's INT is at the master's input.
    fn cascade(&mut self) {
        let int = self.state.slave.pending().is_some();
        self.state.master.drive_one(CASCADE, int);
    }

    /// The slave's INT goes low as it is acknowledged, if only for a moment: its next request is another edge.
    fn slave_is_acknowledged(&mut self) {
        self.state.master.drive_one(CASCADE, false);
        self.cascade();
    }

    /// What the slaves answer whom the master tells that `level` is acknowledged.
    fn cascaded(&mut self, level: u8) -> u8 {
        if level != CASCADE || self.state.slave.id != CASCADE {
            return FLOATING;
        }
        let level = self.state.slave.acknowledge().unwrap_or(7);
        self.slave_is_acknowledged();
        self.state.slave.vector(level)
    }

    /// The CPU's acknowledge cycles; returns the vector. A request that is gone by now counts as IR7, which is then not in
    /// service.
    pub fn acknowledge(&mut self) -> u8 {
        self.take_lines();
        let level = self.state.master.acknowledge().unwrap_or(7);
        let vector = match self.state.master.has_slave(level) {
            true => self.cascaded(level),
            false => self.state.master.vector(level),
        };
        // INT goes low with it, whatever follows.
        self.intr.set(false);
        self.update();
        vector
    }

    fn read_slave(&mut self, read: fn(&mut Chip) -> u8) -> u8 {
        let polled = self.state.slave.is_polled();
        let value = read(&mut self.state.slave);
        if polled {
            self.slave_is_acknowledged();
        }
        value
    }
}

impl ExtInt for Shared<I8259> {
    fn acknowledge(&self) -> u8 {
        self.with(I8259::acknowledge)
    }
}

impl Controller for I8259 {
    fn inputs_changed(&mut self) {
        self.take_lines();
        self.update();
    }
}

impl Registers for I8259 {
    const MODEL: &'static str = MODEL;
    type Reg = Reg;
    type State = State;

    fn state(&mut self) -> &mut State {
        &mut self.state
    }

    /// A reset of these chips is none of the devices that drive them.
    fn initial(&mut self) -> State {
        let [l1, l2, ..] = self.lines.level_word(0).to_le_bytes();
        State {
            master: Chip::with_inputs(l1 & MASTER),
            slave: Chip::with_inputs(l2),
        }
    }

    fn check(&self, state: &State) -> Result<(), String> {
        for (chip, ways) in [&state.master, &state.slave].into_iter().zip(ELCR) {
            if chip.lowest > 7 || chip.id > 7 || chip.elcr & !ways != 0 {
                return Err(format!("lowest {}, id {}, ELCR {:#x}", chip.lowest, chip.id, chip.elcr));
            }
        }
        Ok(())
    }

    /// What has been driven since the state was saved is an edge; what else the lines did is not of this state.
    fn replaced(&mut self) {
        self.lines.take_risen_word(0);
        let [l1, l2, ..] = self.lines.level_word(0).to_le_bytes();
        self.state.master.catch_up(MASTER, l1);
        self.state.slave.catch_up(0xff, l2);
    }

    fn get(&mut self, reg: Reg, at: At) -> u64 {
        let State { master, slave } = &mut self.state;
        let value = match reg {
            Reg::COMMAND_1 => master.read_command(),
            Reg::DATA_1 => master.read_data(),
            Reg::COMMAND_2 => self.read_slave(Chip::read_command),
            Reg::DATA_2 => self.read_slave(Chip::read_data),
            Reg::ELCR if at.n == 0 => master.elcr,
            Reg::ELCR => slave.elcr,
        };
        value.into()
    }

    fn put(&mut self, reg: Reg, at: At, value: u64) {
        let State { master, slave } = &mut self.state;
        let value = value as u8;
        let [ways_1, ways_2] = ELCR;
        match reg {
            Reg::COMMAND_1 => master.write_command(value),
            Reg::DATA_1 => master.write_data(Pin::Master, value),
            Reg::COMMAND_2 => slave.write_command(value),
            Reg::DATA_2 => slave.write_data(Pin::Slave, value),
            Reg::ELCR if at.n == 0 => master.elcr = value & ways_1,
            Reg::ELCR => slave.elcr = value & ways_2,
        }
    }

    fn update(&mut self) {
        self.cascade();
        self.intr.set(self.state.master.pending().is_some());
    }
}

//! One 8259A: its priority logic and its command words.

use serde::{Deserialize, Serialize};

/// ICW1.
mod icw1 {
    /// ICW4 follows.
    pub const IC4: u8 = 1 << 0;
    /// Single: no ICW3 follows.
    pub const SNGL: u8 = 1 << 1;
    /// MCS-80: vectors 4 bytes apart, else 8.
    pub const ADI: u8 = 1 << 2;
    /// It is an ICW1, not an OCW.
    pub const D4: u8 = 1 << 4;
}
/// ICW4. Bits 2 and 3, buffered mode, do nothing: the chips of a PC have no buffers, and their SP/EN pins say which is the
/// master.
mod icw4 {
    /// Vectors as an 8086 takes them, not as an MCS-80.
    pub const UPM: u8 = 1 << 0;
    /// Automatic end of interrupt.
    pub const AEOI: u8 = 1 << 1;
    /// Special fully nested mode.
    pub const SFNM: u8 = 1 << 4;
    pub const ALL: u8 = 0x1f;
}
/// OCW3.
mod ocw3 {
    pub const RIS: u8 = 1 << 0;
    pub const RR: u8 = 1 << 1;
    pub const P: u8 = 1 << 2;
    /// It is an OCW3, not an OCW2.
    pub const D3: u8 = 1 << 3;
    pub const SMM: u8 = 1 << 5;
    pub const ESMM: u8 = 1 << 6;
}

/// What the level of SP/EN makes of a chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    Master,
    Slave,
}

/// What a write to the data port is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Expects {
    /// The mask; nothing has been initialised, so nothing interrupts.
    #[default]
    Icw1,
    Icw2,
    Icw3,
    Icw4,
    /// The mask.
    Ocw1,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chip {
    /// Levels of IR0 to IR7.
    inputs: u8,
    /// Edge sense latches: inputs that have risen and stayed high, and were not acknowledged since.
    risen: u8,
    /// Inputs whose level counts, not their edge.
    pub elcr: u8,
    imr: u8,
    isr: u8,
    /// The level with the lowest priority; the one after it has the highest.
    pub lowest: u8,
    icw1: u8,
    icw2: u8,
    /// A master's ICW3: levels that a slave drives.
    slaves: u8,
    /// A slave's ICW3: the level of the master that it drives.
    pub id: u8,
    icw4: u8,
    expects: Expects,
    /// The command port reads as ISR, not as IRR.
    reads_isr: bool,
    special_mask: bool,
    /// The next read is the answer to a poll.
    polled: bool,
    /// Automatic ends of interrupt rotate the priorities.
    rotates: bool,
}

impl Default for Chip {
    /// As after power-on: what the data sheet leaves open is what ICW1 makes of it.
    fn default() -> Chip {
        Chip {
            inputs: 0,
            risen: 0,
            elcr: 0,
            imr: 0,
            isr: 0,
            lowest: 7,
            icw1: 0,
            icw2: 0,
            slaves: 0,
            id: 7,
            icw4: 0,
            expects: Expects::Icw1,
            reads_isr: false,
            special_mask: false,
            polled: false,
            rotates: false,
        }
    }
}

impl Chip {
    /// A chip with these levels at its inputs.
    pub fn with_inputs(inputs: u8) -> Chip {
        Chip {
            inputs,
            ..Chip::default()
        }
    }

    /// The inputs in `which` have these levels now, and those in `risen` have risen.
    pub fn drive(&mut self, which: u8, levels: u8, risen: u8) {
        self.inputs = self.inputs & !which | levels & which;
        self.risen = (self.risen | risen & which) & self.inputs;
    }

    /// The input of the level `n` has this level now.
    pub fn drive_one(&mut self, n: u8, level: bool) {
        let bit = 1 << (n & 7);
        let levels = if level { bit } else { 0 };
        self.drive(bit, levels, levels & !self.inputs);
    }

    /// Levels that have changed while nobody looked, with a state that was loaded.
    pub fn catch_up(&mut self, which: u8, levels: u8) {
        self.drive(which, levels, levels & !self.inputs);
    }

    /// IRR: inputs that request an interrupt, masked or not.
    fn requests(&self) -> u8 {
        self.risen & !self.elcr | self.inputs & self.elcr
    }

    /// How low the priority of a level is: 0 is the highest.
    fn rank(&self, level: u8) -> u8 {
        level.wrapping_sub(self.lowest).wrapping_sub(1) & 7
    }

    /// The level with the highest priority among `levels`.
    fn highest(&self, levels: u8) -> Option<u8> {
        (0..8).filter(|&n| levels >> n & 1 != 0).min_by_key(|&n| self.rank(n))
    }

    /// Levels in service that count: in special mask mode those that are not masked.
    fn in_service(&self) -> u8 {
        if self.special_mask {
            self.isr & !self.imr
        } else {
            self.isr
        }
    }

    /// The level that asks for service: INT is high while there is one.
    pub fn pending(&self) -> Option<u8> {
        if self.expects != Expects::Ocw1 {
            return None;
        }
        let level = self.highest(self.requests() & !self.imr)?;
        let Some(served) = self.highest(self.in_service()) else {
            return Some(level);
        };
        // In special fully nested mode a slave interrupts what another of its own inputs has begun.
        let nested = level == served && self.icw4 & icw4::SFNM != 0 && self.has_slave(level);
        (self.rank(level) < self.rank(served) || nested).then_some(level)
    }

    /// The acknowledge cycle: the level that is in service now. None if the request is gone.
    pub fn acknowledge(&mut self) -> Option<u8> {
        let level = self.pending()?;
        self.risen &= !(1 << level);
        if self.icw4 & icw4::AEOI == 0 {
            self.isr |= 1 << level;
        } else if self.rotates {
            self.lowest = level;
        }
        Some(level)
    }

    /// Whether a slave drives this level.
    pub fn has_slave(&self, level: u8) -> bool {
        self.slaves >> (level & 7) & 1 != 0
    }

    /// What the chip puts on the data bus in the second acknowledge cycle.
    pub fn vector(&self, level: u8) -> u8 {
        if self.icw4 & icw4::UPM != 0 {
            self.icw2 & 0xf8 | level
        } else if self.icw1 & icw1::ADI != 0 {
            // The lower byte of the address in a CALL.
            self.icw1 & 0xe0 | level << 2
        } else {
            self.icw1 & 0xc0 | level << 3
        }
    }

    /// Whether the next read acknowledges an interrupt.
    pub fn is_polled(&self) -> bool {
        self.polled
    }

    /// A read of the port with A0 low.
    pub fn read_command(&mut self) -> u8 {
        match (self.polled, self.reads_isr) {
            (true, _) => self.answer_poll(),
            (false, true) => self.isr,
            (false, false) => self.requests(),
        }
    }

    /// A read of the port with A0 high.
    pub fn read_data(&mut self) -> u8 {
        if self.polled { self.answer_poll() } else { self.imr }
    }

    fn answer_poll(&mut self) -> u8 {
        self.polled = false;
        self.acknowledge().map_or(0, |level| 0x80 | level)
    }

    /// A write to the port with A0 low.
    pub fn write_command(&mut self, value: u8) {
        if value & icw1::D4 != 0 {
            self.write_icw1(value);
        } else if value & ocw3::D3 == 0 {
            self.write_ocw2(value);
        } else {
            self.write_ocw3(value);
        }
    }

    /// A write to the port with A0 high.
    pub fn write_data(&mut self, pin: Pin, value: u8) {
        let icw4_or_done = match self.icw1 & icw1::IC4 != 0 {
            true => Expects::Icw4,
            false => Expects::Ocw1,
        };
        match self.expects {
            Expects::Icw1 | Expects::Ocw1 => self.imr = value,
            Expects::Icw2 => {
                self.icw2 = value;
                self.expects = match self.icw1 & icw1::SNGL != 0 {
                    true => icw4_or_done,
                    false => Expects::Icw3,
                };
            }
            Expects::Icw3 => {
                match pin {
                    Pin::Master => self.slaves = value,
                    Pin::Slave => self.id = value & 7,
                }
                self.expects = icw4_or_done;
            }
            Expects::Icw4 => {
                self.icw4 = value & icw4::ALL;
                self.expects = Expects::Ocw1;
            }
        }
    }

    /// Initialisation begins. LTIM (bit 3) does nothing, as in the controller hubs: ELCR says it for each input.
    ///
    /// The data sheet does not speak of ISR here; the chip clears it, and kernels that take over from others count on it.
    fn write_icw1(&mut self, value: u8) {
        *self = Chip {
            inputs: self.inputs,
            elcr: self.elcr,
            icw1: value,
            icw2: self.icw2,
            expects: Expects::Icw2,
            ..Chip::default()
        };
    }

    /// Ends of interrupt and rotation.
    fn write_ocw2(&mut self, value: u8) {
        let level = value & 7;
        match value >> 5 {
            0b000 => self.rotates = false,
            0b001 => {
                self.end_highest();
            }
            0b010 => {}
            0b011 => self.isr &= !(1 << level),
            0b100 => self.rotates = true,
            0b101 => {
                if let Some(ended) = self.end_highest() {
                    self.lowest = ended;
                }
            }
            0b110 => self.lowest = level,
            _ => {
                self.isr &= !(1 << level);
                self.lowest = level;
            }
        }
    }

    /// A non-specific end of interrupt: the level that was in service. One that special mask mode masks is not ended so.
    fn end_highest(&mut self) -> Option<u8> {
        let level = self.highest(self.in_service())?;
        self.isr &= !(1 << level);
        Some(level)
    }

    fn write_ocw3(&mut self, value: u8) {
        if value & ocw3::ESMM != 0 {
            self.special_mask = value & ocw3::SMM != 0;
        }
        if value & ocw3::P != 0 {
            self.polled = true;
        } else if value & ocw3::RR != 0 {
            self.reads_isr = value & ocw3::RIS != 0;
        }
    }
}

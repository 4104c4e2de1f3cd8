//! 16550 UART as a PC has it: National Semiconductor PC16550D data sheet, with a clock of 1.8432 MHz, and OUT2 as the gate
//! of its interrupt line.
//!
//! Characters leave as fast as the backend takes them and come as fast as the guest reads them. A backend that is full
//! leaves them in the transmitter, which then does not say that it is empty; a full receiver leaves input in the backend.
//! Only the timeout of the receive FIFO runs at the programmed baud rate. The modem inputs are those of a terminal that is
//! on and ready; the pins for DMA are not wired.
//!
//! The receiver of this chip cannot be switched off, and drivers discard what they find in it while they start. Input that
//! waits must outlive that on any host, however slow. The receiver therefore takes characters when the guest is seen to
//! wait for one: it polls the line status, or enables the receive interrupt and either the FIFOs, too, or has had a second
//! to go on since it last wrote anything.

#[cfg(test)]
mod tests;

use super::{FIFO, POLLS, SETTLE, take};
use crate::backend::CharBackend;
use crate::bus::{At, Clock, Irq, Registers, Shared, Timer, Wiring};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;

crate::regs! {
    /// Receiver buffer, transmitter holding; with DLAB the divisor's lower byte
    0 RBR: u8 Rw
    /// Interrupt enable; with DLAB the divisor's upper byte
    1 IER: u8 Rw
    /// Interrupt identification; FIFO control
    2 IIR: u8 Rw
    /// Line control
    3 LCR: u8 Rw
    /// Modem control
    4 MCR: u8 Rw
    /// Line status
    5 LSR: u8 Ro
    /// Modem status
    6 MSR: u8 Ro
    /// Scratch
    7 SCR: u8 Rw
}

/// The clock, in Hz; a bit lasts 16 of its periods times the divisor.
const CLOCK: u64 = 1_843_200;

mod ier {
    pub const ERBFI: u8 = 1 << 0;
    pub const ETBEI: u8 = 1 << 1;
    pub const ELSI: u8 = 1 << 2;
    pub const EDSSI: u8 = 1 << 3;
    pub const ALL: u8 = 0xf;
}
/// Interrupt identification, by priority ("Interrupt control functions").
mod iir {
    pub const LINE_STATUS: u8 = 0x06;
    pub const RECEIVED: u8 = 0x04;
    pub const TIMEOUT: u8 = 0x0c;
    pub const TRANSMITTER: u8 = 0x02;
    pub const MODEM: u8 = 0x00;
    pub const NONE: u8 = 0x01;
    pub const FIFOS: u8 = 0xc0;
}
mod fcr {
    pub const ENABLE: u8 = 1 << 0;
    pub const RESET_RX: u8 = 1 << 1;
    pub const RESET_TX: u8 = 1 << 2;
    /// Trigger level, DMA mode, enable: what stays.
    pub const KEPT: u8 = 0xc9;
}
mod lcr {
    pub const STB: u8 = 1 << 2;
    pub const PEN: u8 = 1 << 3;
    pub const EPS: u8 = 1 << 4;
    pub const BREAK: u8 = 1 << 6;
    pub const DLAB: u8 = 1 << 7;
}
mod mcr {
    pub const DTR: u8 = 1 << 0;
    pub const RTS: u8 = 1 << 1;
    pub const OUT1: u8 = 1 << 2;
    pub const OUT2: u8 = 1 << 3;
    pub const LOOP: u8 = 1 << 4;
    pub const ALL: u8 = 0x1f;
}
mod lsr {
    pub const DR: u8 = 1 << 0;
    pub const OE: u8 = 1 << 1;
    pub const PE: u8 = 1 << 2;
    pub const FE: u8 = 1 << 3;
    pub const BI: u8 = 1 << 4;
    pub const THRE: u8 = 1 << 5;
    pub const TEMT: u8 = 1 << 6;
    /// A character in the FIFO has an error.
    pub const FIFO: u8 = 1 << 7;
    /// What interrupts.
    pub const ERRORS: u8 = OE | PE | FE | BI;
}
/// Modem status: changes in the lower bits, inputs in the upper ones.
mod msr {
    pub const DCTS: u8 = 1 << 0;
    pub const DDSR: u8 = 1 << 1;
    pub const TERI: u8 = 1 << 2;
    pub const DDCD: u8 = 1 << 3;
    pub const CTS: u8 = 1 << 4;
    pub const DSR: u8 = 1 << 5;
    pub const RI: u8 = 1 << 6;
    pub const DCD: u8 = 1 << 7;
}

/// Everything a snapshot holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Received characters, each with its errors, as bits of LSR, in the upper byte.
    rx: VecDeque<u16>,
    /// Characters to send that the backend has not taken.
    tx: VecDeque<u8>,
    divisor: u16,
    ier: u8,
    fcr: u8,
    lcr: u8,
    mcr: u8,
    scr: u8,
    /// Errors of LSR.
    errors: u8,
    /// Changes of MSR.
    changes: u8,
    /// Modem inputs as last seen, as in MSR.
    modem: u8,
    /// The transmitter has become empty, and the guest was not told.
    empty: bool,
    /// The receive FIFO has timed out.
    timed_out: bool,
    /// Guest time of the receive FIFO's timeout, in nanoseconds.
    #[serde(deserialize_with = "Option::deserialize")]
    timeout: Option<u64>,
    /// Guest time from which on the receiver takes characters, in nanoseconds; 0 once it does, none before the guest has
    /// written anything.
    #[serde(deserialize_with = "Option::deserialize")]
    listens_from: Option<u64>,
    /// Looks at an idle line status since the last write and the last character, up to [`POLLS`].
    polls: u8,
}

/// The UART: state plus wiring.
pub struct Uart16550 {
    state: State,
    irq: Irq,
    backend: Arc<dyn CharBackend>,
    clock: Clock,
    timer: Timer,
}

impl Uart16550 {
    /// A UART that drives `irq` and talks to `backend`, whose client it becomes.
    pub fn new(wiring: &Arc<Wiring>, clock: &Clock, irq: Irq, backend: Arc<dyn CharBackend>) -> Shared<Uart16550> {
        let uart = Shared::new_cyclic(wiring, |this| Uart16550 {
            state: State::default(),
            irq,
            backend: backend.clone(),
            clock: clock.clone(),
            timer: clock.timer(move || {
                this.with(Uart16550::timer_runs);
            }),
        });
        let client = uart.downgrade();
        backend.connect(Box::new(move || {
            client.with(Uart16550::update);
        }));
        uart
    }

    /// A break arrives: the line is held low for longer than a character.
    pub fn receive_break(&mut self) {
        if self.state.mcr & mcr::LOOP == 0 {
            // A zero, whose stop bit, and the parity bit where it should be 1, are missing.
            let parity = match self.state.lcr & (lcr::PEN | lcr::EPS) == lcr::PEN {
                true => lsr::PE,
                false => 0,
            };
            self.receive(0, lsr::BI | lsr::FE | parity);
            self.update();
        }
    }

    /// The receive FIFO's timeout has come, or the time to listen.
    fn timer_runs(&mut self) {
        if self.state.timeout.is_some_and(|at| at <= self.clock.now_ns()) {
            self.state.timeout = None;
            self.state.timed_out = !self.state.rx.is_empty();
        }
        self.update();
    }

    fn read_rbr(&mut self) -> u8 {
        let s = &mut self.state;
        s.polls = 0;
        s.timed_out = false;
        s.timeout = None;
        let character = s.rx.pop_front().unwrap_or(0);
        s.reveal();
        if !s.rx.is_empty() {
            self.restart_timeout();
        }
        character as u8
    }

    /// A full FIFO loses the character; without FIFOs it takes the place of the one that waits.
    fn write_thr(&mut self, value: u8) {
        let s = &mut self.state;
        s.empty = false;
        if !s.has_fifos() {
            s.tx.clear();
        }
        if s.tx.len() < FIFO {
            s.tx.push_back(value & s.word());
        }
    }

    /// Sends what the backend, or the receiver in loopback, takes.
    fn transmit(&mut self) {
        let s = &mut self.state;
        if s.tx.is_empty() {
            return;
        }
        if s.mcr & mcr::LOOP != 0 {
            while let Some(byte) = self.state.tx.pop_front() {
                self.receive(byte, 0);
            }
        } else if s.lcr & lcr::BREAK != 0 {
            // The line is held low over them.
            s.tx.clear();
        } else {
            let taken = self.backend.write(s.tx.make_contiguous());
            s.tx.drain(..taken.min(s.tx.len()));
        }
        self.state.empty |= self.state.tx.is_empty();
    }

    /// Whether the guest waits for characters.
    fn listens(&mut self) -> bool {
        let s = &mut self.state;
        let now = self.clock.now_ns();
        let due = s.settles_at().is_some_and(|at| at <= now);
        if due || s.polls >= POLLS || s.ier & ier::ERBFI != 0 && s.has_fifos() {
            s.listens_from = Some(0);
        }
        s.listens_from == Some(0)
    }

    /// The guest writes: if it does not wait for characters, it has something else to do.
    fn is_busy(&mut self) {
        let s = &mut self.state;
        s.polls = 0;
        let waits = s.listens_from == Some(0) || s.listens_from.is_some() && s.ier & ier::ERBFI != 0;
        if !waits {
            s.listens_from = Some(self.clock.now_ns().saturating_add(SETTLE));
        }
    }

    /// Takes in what the receiver has room for.
    fn pull(&mut self) {
        if !self.listens() || self.state.mcr & mcr::LOOP != 0 {
            return;
        }
        let room = self.state.depth().saturating_sub(self.state.rx.len());
        take(&*self.backend, room).for_each(|byte| self.receive(byte, 0));
    }

    /// A character arrives at the receiver, with these errors.
    fn receive(&mut self, byte: u8, errors: u8) {
        let s = &mut self.state;
        let character = u16::from(errors) << 8 | u16::from(byte & s.word());
        if s.rx.len() >= s.depth() {
            s.errors |= lsr::OE;
            if s.has_fifos() {
                return;
            }
            s.rx.clear();
        }
        s.rx.push_back(character);
        if s.has_fifos() {
            if errors != 0 {
                s.errors |= lsr::FIFO;
            }
            self.restart_timeout();
        }
        self.state.reveal();
    }

    /// The receive FIFO times out after four characters without any, or any read.
    fn restart_timeout(&mut self) {
        let s = &self.state;
        if s.has_fifos() {
            let ns = 4 * s.half_bits() * 8 * u64::from(s.divisor.max(1)) * 1_000_000_000 / CLOCK;
            self.state.timeout = Some(self.clock.now_ns().saturating_add(ns));
        }
    }

    fn write_ier(&mut self, value: u8) {
        let s = &mut self.state;
        let on = value & !s.ier;
        s.ier = value & ier::ALL;
        // An empty transmitter interrupts as soon as it may.
        if on & ier::ETBEI != 0 && s.tx.is_empty() {
            s.empty = true;
        }
    }

    fn read_iir(&mut self) -> u8 {
        let s = &mut self.state;
        let cause = s.cause();
        if cause == iir::TRANSMITTER {
            s.empty = false;
        }
        cause | if s.has_fifos() { iir::FIFOS } else { 0 }
    }

    fn write_fcr(&mut self, value: u8) {
        let s = &mut self.state;
        let enable = value & fcr::ENABLE;
        let changed = (value ^ s.fcr) & fcr::ENABLE != 0;
        // The other bits count only with this one.
        let reset = |bit| changed || enable != 0 && value & bit != 0;
        let (rx, tx) = (reset(fcr::RESET_RX), reset(fcr::RESET_TX));
        s.fcr = if enable != 0 { value & fcr::KEPT } else { 0 };
        if tx {
            s.empty |= changed || !s.tx.is_empty();
            s.tx.clear();
        }
        if rx {
            s.rx.clear();
            s.errors &= !lsr::FIFO;
            s.timed_out = false;
            s.timeout = None;
            // A driver starts, or ends.
            if s.ier & ier::ERBFI == 0 {
                s.listens_from = Some(self.clock.now_ns().saturating_add(SETTLE));
            }
        }
    }

    fn read_lsr(&mut self) -> u8 {
        let s = &mut self.state;
        let empty = if s.tx.is_empty() { lsr::THRE | lsr::TEMT } else { 0 };
        let ready = if s.rx.is_empty() { 0 } else { lsr::DR };
        s.polls = match (empty, ready) {
            (0, _) | (_, lsr::DR) => 0,
            _ => s.polls.saturating_add(1).min(POLLS),
        };
        let value = s.errors | empty | ready;
        let more = s.rx.iter().any(|character| character >> 8 != 0);
        s.errors &= if more { lsr::FIFO } else { 0 };
        value
    }

    /// Notes changes of the modem inputs.
    fn watch_modem(&mut self) {
        let s = &mut self.state;
        let now = s.modem_inputs();
        let before = std::mem::replace(&mut s.modem, now);
        // RI counts when it ends.
        let changed = (before ^ now) & !msr::RI | before & !now & msr::RI;
        for (input, change) in [
            (msr::CTS, msr::DCTS),
            (msr::DSR, msr::DDSR),
            (msr::RI, msr::TERI),
            (msr::DCD, msr::DDCD),
        ] {
            if changed & input != 0 {
                s.changes |= change;
            }
        }
    }
}

impl Default for State {
    /// As after reset.
    fn default() -> State {
        let mut state = State {
            rx: VecDeque::with_capacity(FIFO),
            tx: VecDeque::with_capacity(FIFO),
            divisor: 0,
            ier: 0,
            fcr: 0,
            lcr: 0,
            mcr: 0,
            scr: 0,
            errors: 0,
            changes: 0,
            modem: 0,
            empty: false,
            timed_out: false,
            timeout: None,
            listens_from: None,
            polls: 0,
        };
        state.modem = state.modem_inputs();
        state
    }
}

impl State {
    fn has_fifos(&self) -> bool {
        self.fcr & fcr::ENABLE != 0
    }

    /// When a guest that waits for interrupts, but may still be setting up, has had time enough for that.
    fn settles_at(&self) -> Option<u64> {
        self.listens_from.filter(|&at| at != 0 && self.ier & ier::ERBFI != 0)
    }

    /// Characters that the receiver holds.
    fn depth(&self) -> usize {
        if self.has_fifos() { FIFO } else { 1 }
    }

    /// Received characters that interrupt.
    fn trigger(&self) -> usize {
        match self.fcr >> 6 {
            _ if !self.has_fifos() => 1,
            0 => 1,
            1 => 4,
            2 => 8,
            _ => 14,
        }
    }

    /// The bits of a character. A guest that has set no baud rate counts on firmware that has set up the line, if on
    /// anything.
    fn word(&self) -> u8 {
        if self.divisor == 0 {
            0xff
        } else {
            0xff >> (3 - (self.lcr & 3))
        }
    }

    /// Length of a character on the line, with its start and stop bits, in half bits.
    fn half_bits(&self) -> u64 {
        let word = 5 + u64::from(self.lcr & 3);
        let parity = u64::from(self.lcr & lcr::PEN != 0);
        let stop = match self.lcr & lcr::STB != 0 {
            true if word == 5 => 3,
            true => 4,
            false => 2,
        };
        2 * (1 + word + parity) + stop
    }

    /// The errors of the character that is read next show in LSR.
    fn reveal(&mut self) {
        if let Some(next) = self.rx.front_mut() {
            self.errors |= (*next >> 8) as u8;
            *next &= 0xff;
        }
    }

    /// The modem inputs: the outputs in loopback, else a terminal that is on.
    fn modem_inputs(&self) -> u8 {
        if self.mcr & mcr::LOOP == 0 {
            return msr::CTS | msr::DSR | msr::DCD;
        }
        [
            (mcr::RTS, msr::CTS),
            (mcr::DTR, msr::DSR),
            (mcr::OUT1, msr::RI),
            (mcr::OUT2, msr::DCD),
        ]
        .iter()
        .filter(|(output, _)| self.mcr & output != 0)
        .fold(0, |inputs, (_, input)| inputs | input)
    }

    /// What interrupts, with the highest priority.
    fn cause(&self) -> u8 {
        let enabled = |bit| self.ier & bit != 0;
        if enabled(ier::ELSI) && self.errors & lsr::ERRORS != 0 {
            iir::LINE_STATUS
        } else if enabled(ier::ERBFI) && self.rx.len() >= self.trigger() {
            iir::RECEIVED
        } else if enabled(ier::ERBFI) && self.timed_out {
            iir::TIMEOUT
        } else if enabled(ier::ETBEI) && self.empty {
            iir::TRANSMITTER
        } else if enabled(ier::EDSSI) && self.changes != 0 {
            iir::MODEM
        } else {
            iir::NONE
        }
    }

    /// The interrupt line behind the gate that OUT2 opens. In loopback that pin is inactive, too.
    fn line(&self) -> bool {
        self.cause() != iir::NONE && self.mcr & (mcr::OUT2 | mcr::LOOP) == mcr::OUT2
    }
}

impl Registers for Uart16550 {
    const MODEL: &'static str = "uart16550";
    type Reg = Reg;
    type State = State;

    fn state(&mut self) -> &mut State {
        &mut self.state
    }

    fn check(&self, state: &State) -> Result<(), String> {
        let (rx, tx) = (state.rx.len(), state.tx.len());
        if rx > state.depth() || tx > state.depth() {
            return Err(format!("{rx} and {tx} characters"));
        }
        Ok(())
    }

    fn get(&mut self, reg: Reg, _at: At) -> u64 {
        let dlab = self.state.lcr & lcr::DLAB != 0;
        let [low, high] = self.state.divisor.to_le_bytes();
        let value = match reg {
            Reg::RBR if dlab => low,
            Reg::IER if dlab => high,
            Reg::RBR => self.read_rbr(),
            Reg::IER => self.state.ier,
            Reg::IIR => self.read_iir(),
            Reg::LCR => self.state.lcr,
            Reg::MCR => self.state.mcr,
            Reg::LSR => self.read_lsr(),
            Reg::MSR => self.state.modem | std::mem::take(&mut self.state.changes),
            Reg::SCR => self.state.scr,
        };
        value.into()
    }

    fn put(&mut self, reg: Reg, _at: At, value: u64) {
        self.is_busy();
        let value = value as u8;
        let s = &mut self.state;
        let dlab = s.lcr & lcr::DLAB != 0;
        match reg {
            Reg::RBR if dlab => s.divisor = s.divisor & 0xff00 | u16::from(value),
            Reg::IER if dlab => s.divisor = s.divisor & 0xff | u16::from(value) << 8,
            Reg::RBR => self.write_thr(value),
            Reg::IER => self.write_ier(value),
            Reg::IIR => self.write_fcr(value),
            Reg::LCR => s.lcr = value,
            Reg::MCR => {
                s.mcr = value & mcr::ALL;
                self.watch_modem();
            }
            Reg::SCR => s.scr = value,
            Reg::LSR | Reg::MSR => {}
        }
    }

    fn update(&mut self) {
        // What the access has ended shows on the line before the next begins: an ISA interrupt is an edge.
        self.irq.set(self.state.line());
        self.transmit();
        self.pull();
        let s = &self.state;
        let due = s.timeout.into_iter().chain(s.settles_at()).min();
        self.timer.set(due);
        self.irq.set(self.state.line());
    }
}

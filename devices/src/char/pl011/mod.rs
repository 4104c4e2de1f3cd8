//! PL011 UART: Arm PrimeCell UART (PL011) Technical Reference Manual, DDI 0183 (r1p5).
//!
//! Characters leave as fast as the backend takes them and come as fast as the guest reads them. A backend that is full
//! leaves them in the transmit FIFO, whose full flag then holds the guest back; a full receive FIFO leaves input in the
//! backend. Only the receive timeout runs at the programmed baud rate. The modem inputs are those of a terminal that is on
//! and ready. Integration test registers and DMA requests are not wired.
//!
//! A receiver that has been switched on takes its first character when the guest is seen to wait for one: it enables the
//! receive interrupts, or polls the flags, or a second has passed. Drivers discard what they find while they start (and
//! a kernel that only prints switches the receiver on, too), and input that waits must outlive that on any host, however
//! slow.

#[cfg(test)]
mod tests;

use super::{FIFO, POLLS, SETTLE, take};
use crate::backend::CharBackend;
use crate::bus::misuse::{self, Misuse};
use crate::bus::{At, Clock, Irq, Registers, Shared, Timer, Wiring};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;

crate::regs! {
    /// Data: characters out and in, with the error flags of the latter in bits 8 to 11 (3.3.1)
    0x000 DR    Rw
    /// Receive status and error clear (3.3.2)
    0x004 RSR   Rw
    /// Flags (3.3.3)
    0x018 FR    Ro
    /// IrDA low-power counter (3.3.4)
    0x020 ILPR  Rw
    /// Integer baud rate divisor (3.3.5)
    0x024 IBRD  Rw
    /// Fractional baud rate divisor, in 64ths (3.3.6)
    0x028 FBRD  Rw
    /// Line control (3.3.7)
    0x02c LCR_H Rw
    /// Control (3.3.8)
    0x030 CR    Rw
    /// FIFO levels that interrupt (3.3.9)
    0x034 IFLS  Rw
    /// Interrupt mask (3.3.10)
    0x038 IMSC  Rw
    /// Raw interrupt status (3.3.11)
    0x03c RIS   Ro
    /// Masked interrupt status (3.3.12)
    0x040 MIS   Ro
    /// Interrupt clear (3.3.13)
    0x044 ICR   Wo
    /// DMA control (3.3.14)
    0x048 DMACR Rw
    /// Peripheral and PrimeCell identification (3.3.15, 3.3.16)
    0xfe0 ID[8] Ro
}

const MODEL: &str = "pl011";
/// Peripheral id of r1p4, PrimeCell id.
const ID: [u8; 8] = [0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1];
/// UARTCLK, in Hz, of the boards that have this chip.
const UARTCLK: u64 = 24_000_000;

/// UARTDR error flags: framing, parity, break, overrun.
mod dr {
    pub const BE: u16 = 1 << 10;
    pub const OE: u16 = 1 << 11;
}
/// UARTFR.
mod fr {
    pub const CTS: u32 = 1 << 0;
    pub const DSR: u32 = 1 << 1;
    pub const DCD: u32 = 1 << 2;
    pub const BUSY: u32 = 1 << 3;
    pub const RXFE: u32 = 1 << 4;
    pub const TXFF: u32 = 1 << 5;
    pub const RXFF: u32 = 1 << 6;
    pub const TXFE: u32 = 1 << 7;
    pub const RI: u32 = 1 << 8;
}
/// UARTLCR_H.
mod lcr {
    pub const BRK: u32 = 1 << 0;
    pub const FEN: u32 = 1 << 4;
}
/// UARTCR.
mod cr {
    pub const UARTEN: u32 = 1 << 0;
    pub const LBE: u32 = 1 << 7;
    pub const TXE: u32 = 1 << 8;
    pub const RXE: u32 = 1 << 9;
    pub const DTR: u32 = 1 << 10;
    pub const RTS: u32 = 1 << 11;
    pub const OUT1: u32 = 1 << 12;
    pub const OUT2: u32 = 1 << 13;
    pub const CTSEN: u32 = 1 << 15;
    pub const ALL: u32 = 0xff87;
}
/// Interrupts: bits of UARTIMSC, UARTRIS, UARTMIS and UARTICR.
mod int {
    pub const RI: u32 = 1 << 0;
    pub const CTS: u32 = 1 << 1;
    pub const DCD: u32 = 1 << 2;
    pub const DSR: u32 = 1 << 3;
    pub const RX: u32 = 1 << 4;
    pub const TX: u32 = 1 << 5;
    pub const RT: u32 = 1 << 6;
    pub const BE: u32 = 1 << 9;
    pub const OE: u32 = 1 << 10;
    pub const ALL: u32 = 0x7ff;
}

/// Everything a snapshot holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    /// Received characters, with their error flags as in UARTDR.
    rx: VecDeque<u16>,
    /// Characters to send that the backend has not taken.
    tx: VecDeque<u8>,
    /// A character was lost since the last one that went into the receive FIFO.
    overrun: bool,
    rsr: u32,
    ilpr: u32,
    ibrd: u32,
    fbrd: u32,
    lcr_h: u32,
    cr: u32,
    ifls: u32,
    imsc: u32,
    ris: u32,
    dmacr: u32,
    /// Modem inputs as last seen, as in UARTFR.
    modem: u32,
    /// Guest time of the receive timeout, in nanoseconds.
    #[serde(deserialize_with = "Option::deserialize")]
    timeout: Option<u64>,
    /// Guest time from which on the receiver takes characters, in nanoseconds; 0 once it does, none while it is off.
    #[serde(deserialize_with = "Option::deserialize")]
    listens_from: Option<u64>,
    /// Looks at the idle flags since the last other access, up to [`POLLS`].
    polls: u8,
}

/// The UART: state plus wiring.
pub struct Pl011 {
    state: State,
    irq: Irq,
    backend: Arc<dyn CharBackend>,
    clock: Clock,
    timer: Timer,
}

impl Pl011 {
    /// A UART that drives `irq` (its combined UARTINTR) and talks to `backend`, whose client it becomes.
    pub fn new(wiring: &Arc<Wiring>, clock: &Clock, irq: Irq, backend: Arc<dyn CharBackend>) -> Shared<Pl011> {
        let uart = Shared::new_cyclic(wiring, |this| Pl011 {
            state: State::default(),
            irq,
            backend: backend.clone(),
            clock: clock.clone(),
            timer: clock.timer(move || {
                this.with(Pl011::timed_out);
            }),
        });
        let client = uart.downgrade();
        backend.connect(Box::new(move || {
            client.with(Pl011::update);
        }));
        uart
    }

    /// The receive timeout has come, or the time to listen.
    fn timed_out(&mut self) {
        if self.state.timeout.is_some_and(|at| at <= self.clock.now_ns()) {
            self.state.timeout = None;
            if !self.state.rx.is_empty() {
                self.state.ris |= int::RT;
            }
        }
        self.update();
    }

    fn read_data(&mut self) -> u32 {
        let s = &mut self.state;
        let Some(mut value) = s.rx.pop_front() else { return 0 };
        if s.overrun {
            value |= dr::OE;
        }
        s.rsr = s.rsr & 8 | u32::from(value >> 8 & 7);
        if s.rx.len() < s.rx_trigger() {
            s.ris &= !int::RX;
        }
        if s.rx.is_empty() {
            s.ris &= !int::RT;
            s.timeout = None;
        } else {
            self.restart_timeout();
        }
        value.into()
    }

    fn write_data(&mut self, value: u32) {
        if self.state.cr & (cr::UARTEN | cr::TXE) != cr::UARTEN | cr::TXE {
            misuse::report(
                MODEL,
                Misuse::BadValue("sent while the transmitter is off (sent all the same)"),
                0,
                0,
            );
        }
        // A full FIFO loses the character, as the chip does.
        if self.state.tx.len() < self.state.depth() {
            self.state.tx.push_back(value as u8);
        }
        if self.state.tx.len() > self.state.tx_trigger() {
            self.state.ris &= !int::TX;
        }
    }

    /// Sends what the backend, or the receiver in loopback, takes.
    fn transmit(&mut self) {
        let s = &mut self.state;
        if s.tx.is_empty() || s.cr & cr::CTSEN != 0 && s.modem_inputs() & fr::CTS == 0 {
            return;
        }
        if s.cr & cr::LBE != 0 {
            while let Some(byte) = self.state.tx.pop_front() {
                self.receive(byte.into());
            }
        } else {
            let taken = self.backend.write(s.tx.make_contiguous());
            if taken == 0 {
                return;
            }
            s.tx.drain(..taken.min(s.tx.len()));
        }
        if self.state.tx.len() <= self.state.tx_trigger() {
            self.state.ris |= int::TX;
        }
    }

    /// Takes in what the receive FIFO has room for.
    fn pull(&mut self) {
        let s = &mut self.state;
        if s.cr & (cr::UARTEN | cr::RXE | cr::LBE) != cr::UARTEN | cr::RXE {
            s.listens_from = None;
            return;
        }
        if s.polls >= POLLS {
            s.listens_from = Some(0);
        }
        let from = *s.listens_from.get_or_insert_with(|| self.clock.now_ns() + SETTLE);
        if from != 0 {
            if self.clock.now_ns() < from {
                return;
            }
            s.listens_from = Some(0);
        }
        let room = s.depth().saturating_sub(s.rx.len());
        take(&*self.backend, room).for_each(|byte| self.receive(byte.into()));
    }

    /// A character, with its error flags, arrives at the receiver.
    fn receive(&mut self, value: u16) {
        let s = &mut self.state;
        if s.rx.len() >= s.depth() {
            s.overrun = true;
            s.rsr |= 8;
            s.ris |= int::OE;
            return;
        }
        s.overrun = false;
        s.rx.push_back(value);
        if value & dr::BE != 0 {
            s.ris |= int::BE;
        }
        if s.rx.len() >= s.rx_trigger() {
            s.ris |= int::RX;
        }
        self.restart_timeout();
    }

    /// The receive timeout comes 32 bit periods from now (2.4.3).
    fn restart_timeout(&mut self) {
        let divisor = u64::from(self.state.ibrd * 64 + self.state.fbrd).max(64);
        // A bit lasts 16 * divisor / 64 cycles of UARTCLK.
        self.state.timeout = Some(self.clock.now_ns() + 32 * 16 * divisor * 1_000_000 / (64 * UARTCLK / 1_000));
    }

    fn write_lcr(&mut self, value: u32) {
        let s = &mut self.state;
        let changed = s.lcr_h ^ value;
        s.lcr_h = value & 0xff;
        if changed & lcr::FEN != 0 {
            s.rx.clear();
            s.tx.clear();
            s.timeout = None;
            s.ris &= !(int::RX | int::RT);
        }
        if changed & value & lcr::BRK != 0 && s.cr & cr::LBE != 0 {
            self.receive(dr::BE);
        }
    }

    fn write_imsc(&mut self, value: u32) {
        let s = &mut self.state;
        s.imsc = value & int::ALL;
        // Only if the receiver is on already: some drivers enable them first, and drain it then.
        if value & (int::RX | int::RT) != 0 && s.listens_from.is_some() {
            s.listens_from = Some(0);
        }
    }

    /// Interrupts on changes of the modem inputs.
    fn watch_modem(&mut self) {
        let s = &mut self.state;
        let now = s.modem_inputs();
        let changed = std::mem::replace(&mut s.modem, now) ^ now;
        for (flag, interrupt) in [
            (fr::RI, int::RI),
            (fr::CTS, int::CTS),
            (fr::DCD, int::DCD),
            (fr::DSR, int::DSR),
        ] {
            if changed & flag != 0 {
                s.ris |= interrupt;
            }
        }
    }
}

impl Default for State {
    /// As after reset (3.3).
    fn default() -> State {
        let mut state = State {
            rx: VecDeque::with_capacity(FIFO),
            tx: VecDeque::with_capacity(FIFO),
            overrun: false,
            rsr: 0,
            ilpr: 0,
            ibrd: 0,
            fbrd: 0,
            lcr_h: 0,
            cr: cr::TXE | cr::RXE,
            ifls: 0x12,
            imsc: 0,
            ris: 0,
            dmacr: 0,
            modem: 0,
            timeout: None,
            listens_from: None,
            polls: 0,
        };
        state.modem = state.modem_inputs();
        state
    }
}

impl State {
    /// Depth of the FIFOs now.
    fn depth(&self) -> usize {
        if self.lcr_h & lcr::FEN != 0 { FIFO } else { 1 }
    }

    /// Characters in the receive FIFO that interrupt.
    fn rx_trigger(&self) -> usize {
        if self.lcr_h & lcr::FEN != 0 {
            level(self.ifls >> 3)
        } else {
            1
        }
    }

    /// Characters left in the transmit FIFO that interrupt.
    fn tx_trigger(&self) -> usize {
        if self.lcr_h & lcr::FEN != 0 {
            level(self.ifls)
        } else {
            0
        }
    }

    /// The modem inputs, as in UARTFR: the outputs in loopback, else a terminal that is on.
    fn modem_inputs(&self) -> u32 {
        if self.cr & cr::LBE == 0 {
            return fr::CTS | fr::DSR | fr::DCD;
        }
        [
            (cr::RTS, fr::CTS),
            (cr::DTR, fr::DSR),
            (cr::OUT1, fr::DCD),
            (cr::OUT2, fr::RI),
        ]
        .iter()
        .filter(|(output, _)| self.cr & output != 0)
        .fold(0, |flags, (_, input)| flags | input)
    }

    fn flags(&self) -> u32 {
        let set = |condition: bool, flag: u32| if condition { flag } else { 0 };
        self.modem_inputs()
            | set(!self.tx.is_empty(), fr::BUSY)
            | set(self.tx.is_empty(), fr::TXFE)
            | set(self.tx.len() >= self.depth(), fr::TXFF)
            | set(self.rx.is_empty(), fr::RXFE)
            | set(self.rx.len() >= self.depth(), fr::RXFF)
    }
}

/// Characters of a level selected in UARTIFLS (Table 3-13); reserved values count as the highest.
fn level(select: u32) -> usize {
    match select & 7 {
        0 => 2,
        1 => 4,
        2 => 8,
        3 => 12,
        _ => 14,
    }
}

impl Registers for Pl011 {
    const MODEL: &'static str = MODEL;
    type Reg = Reg;
    type State = State;

    fn state(&mut self) -> &mut State {
        &mut self.state
    }

    fn check(&self, state: &State) -> Result<(), String> {
        if state.rx.len() > FIFO || state.tx.len() > FIFO {
            return Err(format!("FIFOs of {} and {} characters", state.rx.len(), state.tx.len()));
        }
        if state.ibrd > 0xffff || state.fbrd > 0x3f {
            return Err(format!("baud rate divisor {}+{}/64", state.ibrd, state.fbrd));
        }
        Ok(())
    }

    fn get(&mut self, reg: Reg, at: At) -> u64 {
        let s = &mut self.state;
        let idle = reg == Reg::FR && s.rx.is_empty() && s.tx.is_empty();
        s.polls = if idle { s.polls.saturating_add(1).min(POLLS) } else { 0 };
        let value = match reg {
            Reg::DR => self.read_data(),
            Reg::RSR => s.rsr,
            Reg::FR => s.flags(),
            Reg::ILPR => s.ilpr,
            Reg::IBRD => s.ibrd,
            Reg::FBRD => s.fbrd,
            Reg::LCR_H => s.lcr_h,
            Reg::CR => s.cr,
            Reg::IFLS => s.ifls,
            Reg::IMSC => s.imsc,
            Reg::RIS => s.ris,
            Reg::MIS => s.ris & s.imsc,
            Reg::DMACR => s.dmacr,
            Reg::ID => ID.get(at.n).copied().unwrap_or(0).into(),
            Reg::ICR => 0,
        };
        value.into()
    }

    fn put(&mut self, reg: Reg, _at: At, value: u64) {
        let value = value as u32;
        self.state.polls = 0;
        match reg {
            Reg::DR => self.write_data(value),
            Reg::RSR => self.state.rsr = 0,
            Reg::ILPR => self.state.ilpr = value & 0xff,
            Reg::IBRD => self.state.ibrd = value & 0xffff,
            Reg::FBRD => self.state.fbrd = value & 0x3f,
            Reg::LCR_H => self.write_lcr(value),
            Reg::CR => {
                self.state.cr = value & cr::ALL;
                self.watch_modem();
            }
            Reg::IFLS => self.state.ifls = value & 0x3f,
            Reg::IMSC => self.write_imsc(value),
            Reg::ICR => {
                self.state.ris &= !value;
                if value & int::RT != 0 && !self.state.rx.is_empty() {
                    self.restart_timeout();
                }
            }
            Reg::DMACR => self.state.dmacr = value & 7,
            Reg::FR | Reg::RIS | Reg::MIS | Reg::ID => {}
        }
    }

    fn update(&mut self) {
        self.transmit();
        self.pull();
        let s = &self.state;
        let due = s.timeout.into_iter().chain(s.listens_from.filter(|&at| at != 0)).min();
        self.timer.set(due);
        self.irq.set(self.state.ris & self.state.imsc != 0);
    }
}

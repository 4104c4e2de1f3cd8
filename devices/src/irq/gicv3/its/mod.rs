//! The Interrupt Translation Service, which makes LPIs of messages: IHI 0069, chapter 5; registers, section 12.19.

mod commands;
mod tables;

use super::{GicV3, ID_BITS, IIDR, Reg, Registers};
use crate::bus::{At, Bank, misuse};
use serde::{Deserialize, Serialize};
use tables::{COLLECTIONS, DEVICES, ENTRY};

/// GITS_CTLR.
mod ctlr {
    /// Commands are done, messages translated.
    pub const ENABLED: u32 = 1;
    /// Nothing is under way.
    pub const QUIESCENT: u32 = 1 << 31;
}

/// Bits of a DeviceID.
const DEVICE_BITS: u32 = 16;
/// GITS_TYPER: bits of DeviceIDs and EventIDs, bytes of an entry of an interrupt translation table, physical LPIs. CPUs go
/// by their numbers (PTA is 0), collections are in memory only (HCC is 0).
const TYPER: u64 = ((DEVICE_BITS - 1) << 13 | (ID_BITS - 1) << 8) as u64 | (ENTRY - 1) << 4 | 1;
/// GITS_CBASER: the queue may be used; attributes; where it is; its 4 KiB pages, less one.
const CBASER: u64 = CBASER_VALID | 7 << 59 | 7 << 53 | CBASER_ADDRESS | 3 << 10 | CBASER_SIZE;
const CBASER_VALID: u64 = 1 << 63;
const CBASER_ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const CBASER_SIZE: u64 = 0xff;
/// Offsets into the queue.
const OFFSET: u64 = 0xf_ffe0;
/// GITS_BASER: what can be written of those that are there.
const BASER: u64 = 3 << 62 | 7 << 59 | 7 << 53 | 0xffff_ffff_f000 | 0xfff;
/// GITS_PIDR4 to 7, PIDR0 to 3, CIDR0 to 3: a GICv3 of Arm's.
const ID: [u8; 12] = [0x44, 0, 0, 0, 0x94, 0xb4, 0x3b, 0x00, 0x0d, 0xf0, 0x05, 0xb1];

/// Everything a snapshot holds; the tables are in guest memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    enabled: bool,
    cbaser: u64,
    cwriter: u64,
    creadr: u64,
    baser: Bank<u64, 8>,
}

impl State {
    /// Whether it can be: what arithmetic relies on.
    pub(super) fn check(&self) -> Result<(), String> {
        match (self.cwriter | self.creadr) & !OFFSET {
            0 => Ok(()),
            _ => Err("offset into the command queue".into()),
        }
    }

    /// Bytes of the command queue.
    fn queue_size(&self) -> u64 {
        ((self.cbaser & CBASER_SIZE) + 1) << 12
    }

    /// Where the next command is, if there is one.
    fn next_command(&self) -> Option<u64> {
        let runs = self.enabled && self.cbaser & CBASER_VALID != 0 && self.cwriter < self.queue_size();
        let waits = self.creadr != self.cwriter && self.creadr < self.queue_size();
        (runs && waits).then_some((self.cbaser & CBASER_ADDRESS) + self.creadr)
    }
}

/// Whether a register is the ITS's.
pub(super) fn has(reg: Reg) -> bool {
    (Reg::GITS_CTLR as u32..=Reg::GITS_TRANSLATER as u32).contains(&(reg as u32))
}

impl GicV3 {
    pub(super) fn read_its(&self, reg: Reg, n: usize) -> u64 {
        let its = &self.state.its;
        match reg {
            Reg::GITS_CTLR if its.enabled => ctlr::ENABLED.into(),
            Reg::GITS_CTLR => ctlr::QUIESCENT.into(),
            Reg::GITS_IIDR => IIDR.into(),
            Reg::GITS_TYPER => TYPER,
            Reg::GITS_CBASER => its.cbaser,
            Reg::GITS_CWRITER => its.cwriter,
            Reg::GITS_CREADR => its.creadr,
            Reg::GITS_BASER => match n {
                DEVICES => its.baser[n] | 1 << 56 | (ENTRY - 1) << 48,
                COLLECTIONS => its.baser[n] | 4 << 56 | (ENTRY - 1) << 48,
                _ => 0,
            },
            Reg::GITS_ID => ID.get(n).copied().unwrap_or(0).into(),
            _ => 0,
        }
    }

    pub(super) fn write_its(&mut self, reg: Reg, at: At, value: u64) {
        let its = &mut self.state.its;
        match reg {
            Reg::GITS_CTLR => {
                its.enabled = at.merge_u32(its.enabled.into(), value as u32) & ctlr::ENABLED != 0;
                self.give_commands();
            }
            Reg::GITS_CWRITER => {
                its.cwriter = at.merge(its.cwriter, value) & OFFSET;
                if its.cwriter >= its.queue_size() {
                    let what = misuse::Misuse::BadValue("an offset behind the command queue (no command is done)");
                    misuse::report(Self::MODEL, what, 0x1_0088, value);
                }
                self.give_commands();
            }
            Reg::GITS_TRANSLATER => self.translate_message(0, value as u32),
            // What is in use stays as it is.
            Reg::GITS_CBASER if !its.enabled => {
                its.cbaser = at.merge(its.cbaser, value) & CBASER;
                its.creadr = 0;
            }
            Reg::GITS_BASER if !its.enabled && matches!(at.n, DEVICES | COLLECTIONS) => {
                its.baser[at.n] = at.merge(its.baser[at.n], value) & BASER;
            }
            _ => {}
        }
    }

    /// Does the first commands; others are left to the worker.
    fn give_commands(&mut self) {
        if self.run_commands() {
            self.bell.ring();
        }
    }

    /// A device has written `event` to the ITS. What writes to GITS_TRANSLATER by the bus counts as device 0.
    pub fn message(&mut self, device: u32, event: u32) {
        self.translate_message(device, event);
        self.update();
    }

    fn translate_message(&mut self, device: u32, event: u32) {
        let Some(memory) = self.memory.clone().filter(|_| self.state.its.enabled) else {
            return;
        };
        match self.translated(&*memory, device, event) {
            Ok((cpu, id)) => self.set_lpi(cpu, id),
            Err(what) => misuse::report(Self::MODEL, misuse::Misuse::BadValue(what), 0x2_0040, event.into()),
        }
    }
}

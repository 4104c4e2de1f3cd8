//! A vCPU at PL1 or PL0 without an operating system, in each of the settings that say what memory is like.

use super::super::super::areas::Ram;
use super::super::machine::{Areas, TABLE, TABLE_WORDS, VECTORS, arm};
use super::super::record::{CODE, DATA};
use emu_frontend_arm::Arm;
use emu_frontend_arm::cp15::{sctlr, ttbcr};
use emu_frontend_arm::state::Cpu;
use emu_jit::engine::{Accel, Exit, Kick, Vcpu};
use std::sync::Arc;

/// What the data area is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    Normal,
    /// Shareable, by a short descriptor.
    Device,
    /// Not shareable, by a short descriptor.
    DeviceAlone,
    StronglyOrdered,
    /// By MAIR and a long descriptor.
    LongDevice,
    LongStronglyOrdered,
    /// Everything is Strongly-ordered: SCTLR.M is 0 (B3.2.1).
    Off,
}

/// How memory is accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    pub memory: Memory,
    /// SCTLR.A.
    pub checked: bool,
}

impl Setting {
    /// Where all that is aligned is, and nothing is looked at that need not be.
    pub const PLAIN: Setting = Setting {
        memory: Memory::Normal,
        checked: false,
    };
    pub fn all() -> impl Iterator<Item = Setting> {
        use Memory::*;
        let kinds = [
            Normal,
            Device,
            DeviceAlone,
            StronglyOrdered,
            LongDevice,
            LongStronglyOrdered,
            Off,
        ];
        kinds
            .into_iter()
            .flat_map(|memory| [false, true].map(|checked| Setting { memory, checked }))
    }
    /// Whether an address is in Device or Strongly-ordered memory.
    pub fn is_strict(self, addr: u32) -> bool {
        match self.memory {
            Memory::Normal => false,
            Memory::Off => true,
            _ => addr >> 20 == DATA >> 20,
        }
    }
    fn is_long(self) -> bool {
        matches!(self.memory, Memory::LongDevice | Memory::LongStronglyOrdered)
    }
    /// The state, in this setting.
    pub fn of(self, cpu: &Cpu) -> Cpu {
        let mut cpu = *cpu;
        let c = &mut cpu.cp15;
        c.sctlr &= !(sctlr::M | sctlr::A);
        c.sctlr |= if self.memory == Memory::Off { 0 } else { sctlr::M };
        c.sctlr |= if self.checked { sctlr::A } else { 0 };
        if self.is_long() {
            c.ttbcr = ttbcr::EAE;
            // Normal memory; then what the data area is.
            c.prrr = 0xff
                | if self.memory == Memory::LongDevice {
                    0x04 << 8
                } else {
                    0
                };
        }
        cpu.update_mode();
        cpu
    }
    /// Sections, for all to read and write: the vectors, code, and data, which is never executed.
    fn tables(self) -> Vec<u32> {
        let mut words = vec![0; TABLE_WORDS];
        let areas = [VECTORS, CODE, DATA];
        if self.is_long() {
            // Four blocks of 1 GiB at level 1, of which the first is a table of blocks of 2 MiB.
            let second = TABLE_WORDS / 2;
            words[0] = (TABLE + 4 * second as u32) | 3;
            for at in areas {
                let data = if at == DATA { 1 << 2 } else { 0 };
                words[second + 2 * (at >> 21) as usize] = at & !0x1f_ffff | 0x441 | data;
                words[second + 2 * (at >> 21) as usize + 1] = if at == DATA { 1 << 22 } else { 0 };
            }
            return words;
        }
        for at in areas {
            let kind = match self.memory {
                _ if at != DATA => NORMAL_CACHED,
                Memory::Device => 1 << 2,
                Memory::DeviceAlone => 2 << 12,
                Memory::StronglyOrdered => 0,
                _ => NORMAL_CACHED,
            };
            words[(at >> 20) as usize] = at | 0xc02 | kind | if at == DATA { 1 << 4 } else { 0 };
        }
        words
    }
}

/// TEX:C:B of a section of Normal memory, Write-Back with write-allocation.
const NORMAL_CACHED: u32 = 1 << 12 | 3 << 2;

/// A vCPU, and its memory.
pub struct Machine {
    vcpu: Vcpu<Arm>,
    ram: Ram<Areas>,
    kick: Kick,
    data: Vec<u8>,
}

impl Machine {
    /// One whose data area holds these bytes before each run. `None`: this host has no such accelerator.
    pub fn new(accel: Accel, setting: Setting, data: &[u8]) -> Option<Machine> {
        let areas = Areas::new();
        let tables = setting.tables();
        areas.tables.memory.copy_in(0, bytemuck::cast_slice(&tables)).unwrap();
        let ram = Ram(Arc::new(areas));
        let vcpu = Vcpu::new(arm(), super::start(), Box::new(ram.clone()), accel, true).ok()?;
        let kick = vcpu.kick();
        let data = data.to_vec();
        Some(Machine { vcpu, ram, kick, data })
    }
    /// The state that code at its pc leaves when a vector's wait ends the run, and the data.
    pub fn run(&mut self, cpu: &Cpu, code: &[u8]) -> (Cpu, Vec<u8>) {
        let pc = cpu.r[15];
        self.ram.0.place(pc, code);
        self.ram.0.data.memory.copy_in(0, &self.data).unwrap();
        self.kick.invalidate(pc.into(), code.len() as u64);
        *self.vcpu.state_mut() = *cpu;
        let exit = self.vcpu.run();
        assert_eq!(exit, Exit::Wait, "{code:02x?}");
        let mut data = vec![0; self.data.len()];
        self.ram.0.data.memory.copy_out(0, &mut data).unwrap();
        (*self.vcpu.state(), data)
    }
}

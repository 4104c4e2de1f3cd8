//! The machine around an x86 CPU: its local APIC, the time, interrupts, random numbers.

use std::sync::Arc;

use emu_devices::bus::{Clock, Irq};
use emu_devices::irq::apic::{GeneralProtection, LocalApic};
use emu_frontend_x86::platform::{INIT, Platform, Refused};
use rustix::rand::{GetRandomFlags, getrandom};

use super::TSC_HZ;
use crate::arch::CpuWiring;
use crate::cpus::Cpus;

/// ISA's line of the floating-point unit's errors.
const FERR_LINE: u32 = 13;

/// MSRs of the local APIC (SDM 4, table 2-2).
mod msr {
    use std::ops::RangeInclusive;

    pub const IA32_APIC_BASE: u32 = 0x1b;
    pub const IA32_TSC_DEADLINE: u32 = 0x6e0;
    pub const X2APIC: RangeInclusive<u32> = 0x800..=0x8ff;
}

/// The machine around one x86 CPU.
pub struct X86Platform {
    cpu: usize,
    cpus: Arc<Cpus>,
    clock: Clock,
    apic: Option<LocalApic>,
    ferr: Irq,
}

impl X86Platform {
    /// For the CPU that is wired so, whose local APIC this is.
    pub fn new(around: &CpuWiring, apic: Option<LocalApic>) -> X86Platform {
        let ferr = around.controller.map(|controller| controller.shared(FERR_LINE));
        X86Platform {
            cpu: around.cpu,
            cpus: around.cpus.clone(),
            clock: around.clock.clone(),
            apic,
            ferr: ferr.unwrap_or(Irq::unconnected()),
        }
    }

    fn apic(&self) -> Result<&LocalApic, Refused> {
        self.apic.as_ref().ok_or(Refused)
    }

    /// Writes IA32_APIC_BASE. Where the page of registers is, the CPU's view of memory then asks.
    fn set_base(&self, value: u64) -> Result<(), Refused> {
        let apic = self.apic()?;
        let before = apic.page();
        apic.set_base(value).map_err(refused)?;
        if apic.page() != before
            && let Some(port) = self.cpus.get(self.cpu)
        {
            port.remapped();
        }
        Ok(())
    }
}

fn refused(_: GeneralProtection) -> Refused {
    Refused
}

impl Platform for X86Platform {
    fn tsc(&self) -> u64 {
        self.clock.now_ns()
    }

    fn tsc_hz(&self) -> u64 {
        TSC_HZ
    }

    fn cpu_index(&self) -> u32 {
        self.cpu as u32
    }

    fn cpu_count(&self) -> u32 {
        self.cpus.count() as u32
    }

    fn acknowledge(&mut self) -> u8 {
        // Without an interrupt controller nothing asks for a cycle.
        self.apic.as_ref().map_or(0xff, LocalApic::acknowledge)
    }

    fn taken(&mut self, line: u32) {
        if line & INIT != 0 {
            self.apic.iter().for_each(LocalApic::init);
        }
        if let Some(port) = self.cpus.get(self.cpu) {
            // The bootstrap processor goes on at its reset vector.
            port.taken(line, line & INIT != 0 && self.cpu == 0);
        }
    }

    fn cr8(&self) -> u64 {
        self.apic.as_ref().map_or(0, LocalApic::cr8)
    }

    fn set_cr8(&mut self, priority: u8) {
        self.apic.iter().for_each(|apic| apic.set_cr8(priority.into()));
    }

    fn read_msr(&mut self, number: u32) -> Result<u64, Refused> {
        let apic = self.apic()?;
        match number {
            msr::IA32_APIC_BASE => Ok(apic.base()),
            msr::IA32_TSC_DEADLINE => Ok(apic.tsc_deadline()),
            number if msr::X2APIC.contains(&number) => apic.read_msr(number).map_err(refused),
            _ => Err(Refused),
        }
    }

    fn write_msr(&mut self, number: u32, value: u64) -> Result<(), Refused> {
        match number {
            msr::IA32_APIC_BASE => self.set_base(value),
            msr::IA32_TSC_DEADLINE => {
                self.apic()?.set_tsc_deadline(value);
                Ok(())
            }
            number if msr::X2APIC.contains(&number) => self.apic()?.write_msr(number, value).map_err(refused),
            _ => Err(Refused),
        }
    }

    fn set_tsc_ahead(&mut self, ahead: u64) {
        self.apic.iter().for_each(|apic| apic.set_tsc_ahead(ahead));
    }

    fn ferr(&mut self, level: bool) {
        self.ferr.drive(level);
    }

    fn random(&mut self) -> Option<u64> {
        let mut bytes = [0; 8];
        let got = getrandom(&mut bytes, GetRandomFlags::NONBLOCK).ok()?;
        (got == bytes.len()).then_some(u64::from_le_bytes(bytes))
    }
}

/// Around a CPU whose code is looked at, and does not run.
pub struct Nothing;

impl Platform for Nothing {
    fn tsc(&self) -> u64 {
        0
    }
    fn tsc_hz(&self) -> u64 {
        TSC_HZ
    }
    fn cpu_index(&self) -> u32 {
        0
    }
    fn cpu_count(&self) -> u32 {
        1
    }
    fn acknowledge(&mut self) -> u8 {
        0
    }
    fn taken(&mut self, _: u32) {}
    fn cr8(&self) -> u64 {
        0
    }
    fn set_cr8(&mut self, _: u8) {}
    fn read_msr(&mut self, _: u32) -> Result<u64, Refused> {
        Err(Refused)
    }
    fn write_msr(&mut self, _: u32, _: u64) -> Result<(), Refused> {
        Err(Refused)
    }
    fn set_tsc_ahead(&mut self, _: u64) {}
    fn ferr(&mut self, _: bool) {}
    fn random(&mut self) -> Option<u64> {
        None
    }
}

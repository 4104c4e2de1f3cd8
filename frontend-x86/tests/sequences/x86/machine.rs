//! What is around a CPU: nothing remarkable, and always the same.

use super::layout::INTERRUPT;
use emu_frontend_x86::model::Model;
use emu_frontend_x86::platform::{Platform, Refused, X86};

/// A CPU of this number, of so many.
struct Around {
    number: u32,
    count: u32,
    priority: u8,
}

impl Platform for Around {
    fn tsc(&self) -> u64 {
        0x1234_5678
    }
    fn tsc_hz(&self) -> u64 {
        1_000_000_000
    }
    fn cpu_index(&self) -> u32 {
        self.number
    }
    fn cpu_count(&self) -> u32 {
        self.count
    }
    fn acknowledge(&mut self) -> u8 {
        INTERRUPT
    }
    fn taken(&mut self, _: u32) {}
    fn cr8(&self) -> u64 {
        self.priority.into()
    }
    fn set_cr8(&mut self, priority: u8) {
        self.priority = priority;
    }
    fn read_msr(&mut self, _: u32) -> Result<u64, Refused> {
        Err(Refused)
    }
    fn write_msr(&mut self, _: u32, _: u64) -> Result<(), Refused> {
        Err(Refused)
    }
    fn set_tsc_ahead(&mut self, _: u64) {}
    fn ferr(&mut self, _: bool) {}
    fn random(&mut self) -> Option<u64> {
        Some(0x0123_4567_89ab_cdef)
    }
}

/// One of so many CPUs, with everything.
pub fn cpu(number: u32, count: u32) -> X86 {
    X86 {
        model: Model::ALL,
        platform: Box::new(Around {
            number,
            count,
            priority: 0,
        }),
    }
}

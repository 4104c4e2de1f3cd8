//! A local APIC as its CPU has it: the page of registers, the MSRs, CR8, the acknowledge cycle. SDM volume 3, sections
//! "Extended xAPIC (x2APIC)", "Interrupt, Task, and Processor Priority" and "Local APIC Status and Location".

use super::bus::ApicBus;
use super::local::Local;
use super::registers::{FIRST_MSR, Reg, icr, svr};
use super::{GeneralProtection, Source};
use crate::bus::{Access, Device, RegMap, Rights};
use std::sync::Arc;

/// A CPU's own local APIC, for its thread. Clones are the same. Call with no device locked.
#[derive(Clone)]
pub struct LocalApic {
    bus: Arc<ApicBus>,
    cpu: usize,
}

impl LocalApic {
    pub(super) fn of(bus: &Arc<ApicBus>, cpu: usize) -> LocalApic {
        LocalApic { bus: bus.clone(), cpu }
    }

    fn with<R>(&self, use_it: impl FnOnce(&mut Local) -> R) -> Option<R> {
        let result = self.bus.with(self.cpu, use_it);
        self.bus.wiring.settle();
        result
    }

    /// The physical address of its page of registers now; `None` while they are MSRs, or there is no APIC. Takes no lock.
    pub fn page(&self) -> Option<u64> {
        self.bus.page(self.cpu)
    }

    /// A read of the page of registers, by this CPU.
    pub fn read(&self, offset: u64, size: u8) -> u64 {
        let value = self.bus.read(Access::new(offset, size).by(self.cpu));
        self.bus.wiring.settle();
        value
    }

    /// A write to the page of registers, by this CPU.
    pub fn write(&self, offset: u64, size: u8, value: u64) {
        self.bus.write(Access::new(offset, size).by(self.cpu), value);
        self.bus.wiring.settle();
    }

    /// The interrupt acknowledge cycle: the CPU takes the interrupt that its input signals, and this is the vector. If there
    /// is none by now, it is the spurious one.
    pub fn acknowledge(&self) -> u8 {
        let vector = self.bus.acknowledge(self.cpu);
        self.bus.wiring.settle();
        vector
    }

    /// CR8: the upper half of the task priority.
    pub fn cr8(&self) -> u64 {
        self.with(|local| local.cr8()).unwrap_or(0)
    }

    /// Writes CR8, of whose bits the lowest four are there.
    pub fn set_cr8(&self, value: u64) {
        self.with(|local| local.set_cr8(value));
    }

    /// IA32_APIC_BASE.
    pub fn base(&self) -> u64 {
        self.with(|local| local.state.base).unwrap_or(0)
    }

    /// Writes IA32_APIC_BASE. Where the registers are by then, [`page`](LocalApic::page) says.
    ///
    /// # Errors
    /// A reserved bit, or a mode that cannot follow the present one.
    pub fn set_base(&self, value: u64) -> Result<(), GeneralProtection> {
        self.with(|local| local.set_base(value))
            .unwrap_or(Err(GeneralProtection))
    }

    /// IA32_TSC_DEADLINE.
    pub fn tsc_deadline(&self) -> u64 {
        self.with(|local| local.tsc_deadline()).unwrap_or(0)
    }

    /// Writes IA32_TSC_DEADLINE, in the CPU's own TSC.
    pub fn set_tsc_deadline(&self, deadline: u64) {
        self.with(|local| local.set_tsc_deadline(deadline));
    }

    /// The CPU's TSC is from now on this much ahead of the machine's, modulo 2^64: software has written it, or
    /// IA32_TSC_ADJUST.
    pub fn set_tsc_ahead(&self, ahead: u64) {
        self.with(|local| local.set_tsc_ahead(ahead));
    }

    /// Reads one of the MSRs 800H to 8FFH.
    ///
    /// # Errors
    /// There is no such register, it cannot be read, or the APIC is not in x2APIC mode.
    pub fn read_msr(&self, msr: u32) -> Result<u64, GeneralProtection> {
        let read = self.with(|local| {
            let place = register(local, msr, Rights::Wo)?;
            let value = Device::read(local, place);
            match place.offset == ICR_WORD {
                true => Ok(value | Device::read(local, Access::new(ICR_WORD + 4, 4)) << 32),
                false => Ok(value),
            }
        });
        read.unwrap_or(Err(GeneralProtection))
    }

    /// Writes one of the MSRs 800H to 8FFH.
    ///
    /// # Errors
    /// There is no such register, it cannot be written, a reserved bit is set, or the APIC is not in x2APIC mode.
    pub fn write_msr(&self, msr: u32, value: u64) -> Result<(), GeneralProtection> {
        let written = self.with(|local| {
            let place = register(local, msr, Rights::Ro)?;
            if value & !writable(local, place.offset) != 0 {
                return Err(GeneralProtection);
            }
            if place.offset == ICR_WORD {
                Device::write(local, Access::new(ICR_WORD + 4, 4), value >> 32);
            }
            Device::write(local, place, value & 0xffff_ffff);
            Ok(())
        });
        written.unwrap_or(Err(GeneralProtection))
    }

    /// One of the CPU's own sources interrupts: its thermal sensor, its performance counters, its machine checks.
    pub fn signal(&self, source: Source) {
        self.with(|local| match source {
            Source::Thermal | Source::Performance | Source::Cmci => local.fire(source),
            // Those the APIC sees itself.
            Source::Timer | Source::Lint0 | Source::Lint1 | Source::Error => {}
        });
    }

    /// What INIT does to the APIC, when the CPU takes it.
    pub fn init(&self) {
        self.with(Local::init);
    }

    /// As firmware leaves it for a kernel that is started without any, on the bootstrap processor: virtual wire mode, in which
    /// the 8259A's interrupts come by LINT0 and NMI by LINT1 (MultiProcessor Specification, 3.6.2.2).
    pub fn virtual_wire(&self) {
        self.write(0xf0, 4, (svr::ENABLE | 0xff).into());
        self.write(0x350, 4, 0x700);
        self.write(0x360, 4, 0x400);
    }

    /// Whether an interrupt may come to the CPU as registers are.
    pub fn may_interrupt(&self) -> bool {
        let may = self.with(|local| !local.is_there() || local.is_enabled());
        may.unwrap_or(false)
    }
}

/// The word of the interrupt command register in the table; the next one is its upper half.
const ICR_WORD: u64 = 0xc0;

/// The register that an MSR is, if it has more than these rights.
fn register(local: &Local, msr: u32, not: Rights) -> Result<Access, GeneralProtection> {
    let number = msr
        .checked_sub(FIRST_MSR)
        .filter(|_| local.is_there() && local.is_x2apic());
    let word = 4 * u64::from(number.ok_or(GeneralProtection)?);
    let row = Reg::find(word).ok_or(GeneralProtection)?;
    let read_only = matches!(row.reg, Reg::ID | Reg::LDR) && not == Rights::Ro;
    let is_msr = !matches!(row.reg, Reg::APR | Reg::RRD | Reg::DFR | Reg::ICR_HIGH);
    match is_msr && row.rights != not && !read_only {
        true => Ok(Access::new(word, 4)),
        false => Err(GeneralProtection),
    }
}

/// The bits of the register with this word that are not reserved in x2APIC mode.
fn writable(local: &Local, word: u64) -> u64 {
    let of_lvt = |source: Source| source.writable(local.around.model.tsc_deadline);
    let bits = match Reg::find(word).map(|row| (row.reg, row.offset)) {
        Some((Reg::TPR | Reg::SELF_IPI, _)) => 0xff,
        Some((Reg::SVR, _)) => svr::KEPT,
        Some((Reg::ICR, _)) => return u64::from(icr::KEPT | icr::STATUS) | 0xffff_ffff << 32,
        Some((Reg::LVT, first)) => of_lvt(Source::of((word - first) as usize / 4)),
        Some((Reg::LVT_CMCI, _)) => of_lvt(Source::Cmci),
        Some((Reg::INITIAL, _)) => u32::MAX,
        Some((Reg::DIVIDE, _)) => 0xb,
        // EOI and ESR are written as zero.
        _ => 0,
    };
    bits.into()
}

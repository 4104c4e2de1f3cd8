//! The address space as one x86 CPU sees it: its local APIC's registers lie before whatever else is at their page, which moves
//! and goes as the CPU likes, and where nobody answers there are ones.

use emu_devices::irq::apic::LocalApic;
use emu_frontend_x86::platform::{PORTS, SMM};
use emu_ir::{Bus, RamPage};

use crate::space::CpuBus;

/// Bytes of the page of registers.
const PAGE: u64 = 0x1000;

/// A CPU's view.
pub struct View {
    space: CpuBus,
    apic: Option<LocalApic>,
    /// The page that the CPU knows of.
    told: Option<u64>,
}

impl View {
    /// Of an address space, by the CPU that has this local APIC.
    pub fn new(space: CpuBus, apic: Option<LocalApic>) -> View {
        let told = apic.as_ref().and_then(LocalApic::page);
        View { space, apic, told }
    }

    /// The register of the local APIC at an address, in system management mode too.
    fn register(&self, phys: u64) -> Option<(&LocalApic, u64)> {
        let apic = self.apic.as_ref()?;
        let at = (phys & !SMM).checked_sub(apic.page()?)?;
        (at < PAGE && phys & PORTS == 0).then_some((apic, at))
    }
}

/// What a bus that nobody drives reads as.
fn ones(size: u8) -> u64 {
    u64::MAX >> (64 - 8 * u32::from(size.clamp(1, 8)))
}

impl Bus for View {
    fn load(&mut self, phys: u64, size: u8) -> Option<u64> {
        if let Some((apic, at)) = self.register(phys) {
            return Some(apic.read(at, size));
        }
        Some(self.space.load(phys, size).unwrap_or(ones(size)))
    }

    fn store(&mut self, phys: u64, size: u8, value: u64) -> Option<()> {
        match self.register(phys) {
            Some((apic, at)) => apic.write(at, size, value),
            None => self.space.store(phys, size, value).unwrap_or(()),
        }
        Some(())
    }

    fn compare_exchange(&mut self, phys: u64, size: u8, old: u64, new: u64) -> Option<u64> {
        match self.register(phys) {
            Some((apic, at)) => {
                let held = apic.read(at, size);
                if held == old {
                    apic.write(at, size, new);
                }
                Some(held)
            }
            None => {
                let held = self.space.compare_exchange(phys, size, old, new);
                Some(held.unwrap_or(ones(size)))
            }
        }
    }

    fn ram(&mut self, page: u64) -> Option<RamPage<'_>> {
        match self.register(page) {
            Some(_) => None,
            None => self.space.ram(page),
        }
    }

    fn translating(&mut self, page: u64) {
        self.space.translating(page);
    }

    fn remapped(&mut self) -> bool {
        let page = self.apic.as_ref().and_then(LocalApic::page);
        let moved = std::mem::replace(&mut self.told, page) != page;
        self.space.remapped() || moved
    }
}

#[cfg(test)]
mod tests {
    use super::super::controllers::Controllers;
    use super::*;
    use crate::board::Interrupts;
    use crate::cpus::Cpus;
    use crate::space::{AddressSpace, What};
    use emu_devices::bus::{Clock, Ram, Wiring};
    use emu_firmware::fdt::Region;
    use emu_frontend_x86::model::Model;
    use std::sync::Arc;

    /// RAM at 0 and at the page that the registers are at after a reset.
    fn bench() -> (View, LocalApic) {
        let (wiring, clock) = (Wiring::new(), Clock::manual(0));
        let cpus = Arc::new(Cpus::new(2, super::super::line_bit));
        let controllers = Controllers::new(&Model::ALL, (&wiring, &clock), &cpus);
        wiring.connect(controllers.controllers());
        controllers.device().reset();
        let space = Arc::new(AddressSpace::new());
        for base in [0, 0xfee0_0000] {
            let what = What::Ram {
                memory: Arc::new(Ram::new(0x2000).unwrap()),
                offset: 0,
            };
            space.map(Region::new(base, 0x2000), what).unwrap();
        }
        space.map(Region::new(SMM, 1 << 52), What::Alias { of: 0 }).unwrap();
        let apic = controllers.local_apic(1);
        (View::new(space.view(1), Some(apic.clone())), apic)
    }

    const ID: u64 = 0xfee0_0020;

    #[test]
    fn a_cpu_finds_its_own_local_apic_before_what_is_there() {
        let (mut view, _) = bench();

        assert_eq!(view.load(ID, 4), Some(1 << 24));
        assert_eq!(view.load(SMM + ID, 4), Some(1 << 24));
        assert!(view.ram(0xfee0_0000).is_none());
        assert!(view.ram(0xfee0_1000).is_some() && view.ram(SMM).is_some_and(|page| page.phys == 0));
        view.store(0xfee0_0080, 4, 0x30).unwrap();
        assert_eq!(view.compare_exchange(0xfee0_0080, 4, 0x30, 0x40), Some(0x30));
        assert_eq!(view.load(0xfee0_0080, 4), Some(0x40));
    }

    #[test]
    fn the_registers_move_and_go_and_the_engine_hears_of_it() {
        let (mut view, apic) = bench();
        assert!(!view.remapped());

        apic.set_base(0x1000 | 0x800).unwrap();
        assert!(view.remapped() && !view.remapped());
        assert_eq!(view.load(0x1020, 4), Some(1 << 24));
        view.store(ID, 4, 7).unwrap();
        assert_eq!(view.load(ID, 4), Some(7), "RAM");
        apic.set_base(0x1000 | 0xc00).unwrap();

        assert!(view.remapped());
        assert!(view.ram(0x1000).is_some(), "they are MSRs now");
    }

    #[test]
    fn where_nobody_answers_there_are_ones() {
        let (mut view, _) = bench();

        assert_eq!(view.load(PORTS + 0x80, 1), Some(0xff));
        assert_eq!(view.load(0x8000_0000, 8), Some(u64::MAX));
        assert_eq!(view.store(0x8000_0000, 4, 1), Some(()));
        assert_eq!(view.compare_exchange(0x8000_0000, 2, 0xffff, 1), Some(0xffff));
        assert_eq!(view.load(PORTS + ID, 4), Some(0xffff_ffff), "a port is no memory");
    }
}

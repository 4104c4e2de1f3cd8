//! The GIC as a board's interrupt controller, and what of a GICv3 is a CPU's.

use std::any::Any;
use std::io;
use std::sync::{Arc, Mutex, Weak};

use emu_devices::bus::{Controller, Device, GuestMemory, Irq, Shared, Threads, Wiring};
use emu_devices::irq::gicv2::GicV2;
use emu_devices::irq::gicv3::{self, GicV3};
use emu_frontend_arm::platform::{GicInterface, Icc, affinity};

use crate::arch::CpuWiring;
use crate::board::{Board, Gic, Interrupts};
use crate::cpus::Cpus;

/// Interrupt id of the first private peripheral interrupt.
const FIRST_PPI: usize = 16;

/// The board's.
pub fn interrupts(board: &Board, wiring: &Arc<Wiring>, cpus: &Arc<Cpus>) -> Box<dyn Interrupts> {
    let affinities: Vec<u32> = (0..cpus.count() as u32).map(affinity).collect();
    match board.gic {
        Some(Gic::V3) => Box::new(GicV3::new(wiring, &affinities, cpus.clone())),
        _ => Box::new(GicV2::new(wiring, cpus.count(), cpus.clone())),
    }
}

impl Interrupts for Shared<GicV2> {
    fn device(&self) -> Shared<dyn Device> {
        self.erase()
    }
    fn controllers(&self) -> Vec<Weak<Mutex<dyn Controller>>> {
        vec![self.controller()]
    }
    fn shared(&self, n: u32) -> Irq {
        self.with(|gic| gic.spi(n as usize))
    }
    fn private(&self, cpu: usize, n: u32) -> Irq {
        self.with(|gic| gic.ppi(cpu, FIRST_PPI + n as usize))
    }
    fn may_interrupt(&self, cpu: usize) -> bool {
        self.with(|gic| gic.may_interrupt(cpu))
    }
}

impl Interrupts for Shared<GicV3> {
    fn attach(&self, memory: Arc<dyn GuestMemory>, threads: &Threads) -> io::Result<()> {
        self.with(|gic| gic.attach(memory));
        self.employ(threads, "emu-its", 1)
    }
    fn device(&self) -> Shared<dyn Device> {
        self.erase()
    }
    fn controllers(&self) -> Vec<Weak<Mutex<dyn Controller>>> {
        vec![self.controller()]
    }
    fn shared(&self, n: u32) -> Irq {
        self.with(|gic| gic.spi(n as usize))
    }
    fn private(&self, cpu: usize, n: u32) -> Irq {
        self.with(|gic| gic.ppi(cpu, FIRST_PPI + n as usize))
    }
    fn may_interrupt(&self, cpu: usize) -> bool {
        self.with(|gic| gic.may_interrupt(cpu))
    }
}

/// A CPU's interface of a GICv3.
pub struct Interface {
    gic: Shared<GicV3>,
    cpu: usize,
}

impl Interface {
    /// That of the CPU that is wired so, if its interrupt controller is a GICv3.
    pub fn of(around: &CpuWiring) -> Option<Interface> {
        let controller: &dyn Any = around.controller?;
        let gic = controller.downcast_ref::<Shared<GicV3>>()?.clone();
        Some(Interface { gic, cpu: around.cpu })
    }

    /// The CPU is switched off, and its interface with it.
    pub fn switch_off(&self) {
        self.gic.with(|gic| gic.reset_interface(self.cpu));
    }
}

impl GicInterface for Interface {
    fn read(&self, reg: Icc) -> u64 {
        self.gic.with(|gic| gic.icc_read(self.cpu, device(reg)))
    }
    fn write(&self, reg: Icc, value: u64) {
        self.gic.with(|gic| gic.icc_write(self.cpu, device(reg), value));
    }
}

/// What the device calls a register.
fn device(reg: Icc) -> gicv3::Icc {
    match reg {
        Icc::Pmr => gicv3::Icc::Pmr,
        Icc::Iar0 => gicv3::Icc::Iar0,
        Icc::Iar1 => gicv3::Icc::Iar1,
        Icc::Eoir0 => gicv3::Icc::Eoir0,
        Icc::Eoir1 => gicv3::Icc::Eoir1,
        Icc::Hppir0 => gicv3::Icc::Hppir0,
        Icc::Hppir1 => gicv3::Icc::Hppir1,
        Icc::Bpr0 => gicv3::Icc::Bpr0,
        Icc::Bpr1 => gicv3::Icc::Bpr1,
        Icc::Ap0r => gicv3::Icc::Ap0r,
        Icc::Ap1r => gicv3::Icc::Ap1r,
        Icc::Dir => gicv3::Icc::Dir,
        Icc::Rpr => gicv3::Icc::Rpr,
        Icc::Sgi0r => gicv3::Icc::Sgi0r,
        Icc::Sgi1r => gicv3::Icc::Sgi1r,
        Icc::Asgi1r => gicv3::Icc::Asgi1r,
        Icc::Ctlr => gicv3::Icc::Ctlr,
        Icc::Sre => gicv3::Icc::Sre,
        Icc::Igrpen0 => gicv3::Icc::Igrpen0,
        Icc::Igrpen1 => gicv3::Icc::Igrpen1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::VIRT;
    use crate::board::build::{Devices, Surroundings};
    use emu_devices::backend::NullChar;
    use emu_devices::bus::{Access, Clock};
    use emu_ir::Bus;

    /// The board's devices, with this interrupt controller and so many CPUs.
    fn devices(gic: Gic, cpus: usize) -> Devices {
        let board = VIRT.with_gic(gic);
        let cpus = Arc::new(Cpus::new(cpus, super::super::line_bit));
        let wiring = Wiring::new();
        let around = Surroundings {
            memory: 4 << 20,
            interrupts: interrupts(&board, &wiring, &cpus),
            cpus,
            wiring,
            threads: Threads::default(),
            clock: Clock::manual(0),
            serial: Arc::new(NullChar),
            virtio_console: Arc::new(NullChar),
            flash: Vec::new(),
            vars: None,
            handed: Vec::new(),
            events: crossbeam::channel::unbounded().0,
        };
        let devices = Devices::new(&board, around).unwrap();
        devices.reset();
        devices
    }

    fn interface(devices: &Devices, cpu: usize) -> Interface {
        let controller: &dyn Any = devices.controller();
        let gic = controller.downcast_ref::<Shared<GicV3>>().unwrap().clone();
        Interface { gic, cpu }
    }

    #[test]
    fn a_message_to_the_frame_is_an_spi_of_the_gicv2() {
        let devices = devices(Gic::V2, 1);
        let mut bus = devices.space.view(0);
        bus.store(0x0800_0c14, 4, 0xaaaa_aaaa).unwrap();
        assert_eq!(bus.load(0x0802_0008, 4), Some(80 << 16 | 64));

        bus.store(0x0802_0040, 4, 83).unwrap();

        assert_eq!(bus.load(0x0800_0208, 4), Some(1 << (83 - 64)));
    }

    #[test]
    fn every_cpu_has_a_redistributor_at_its_place() {
        let devices = devices(Gic::V3, 123);
        let mut bus = devices.space.view(0);
        let mut typer = |cpu: u64| bus.load(0x080a_0000 + 0x2_0000 * cpu + 8, 8);

        assert_eq!(typer(0), Some(0x21));
        assert_eq!(typer(20), Some(0x104 << 32 | 20 << 8 | 0x21));
        assert_eq!(typer(122), Some(0x70a << 32 | 122 << 8 | 0x31));
        assert_eq!(bus.load(0x0800_ffe8, 4), Some(0x3b));
    }

    #[test]
    fn a_message_to_the_its_is_an_lpi_of_the_gicv3() {
        const RAM: u64 = 0x4000_0000;
        const VALID: u64 = 1 << 63;
        let devices = devices(Gic::V3, 2);
        let mut bus = devices.space.view(0);
        let mut put = |at: u64, value: u64| bus.store(at, 8, value).unwrap();
        // CPU 1 takes LPIs; LPI 8192 is enabled.
        put(RAM + 0x10_0000, 0x81);
        put(0x080c_0070, (RAM + 0x10_0000) | 15);
        put(0x080c_0078, (RAM + 0x12_0000) | 1 << 62);
        put(0x080c_0000, 1);
        // Device 0's event 5 is LPI 8192, in collection 0, at CPU 1.
        put(0x0808_0100, VALID | (RAM + 0x14_0000) | 15);
        put(0x0808_0108, VALID | (RAM + 0x16_0000) | 15);
        put(0x0808_0080, VALID | (RAM + 0x18_0000));
        put(0x0808_0000, 1);
        let commands = [
            [0x08, 4, VALID | (RAM + 0x1a_0000), 0],
            [0x09, 0, VALID | 1 << 16, 0],
            [0x0a, 8192 << 32 | 5, 0, 0],
        ];
        for (word, at) in commands.as_flattened().iter().zip((RAM + 0x18_0000..).step_by(8)) {
            put(at, *word);
        }
        put(0x0808_0088, 0x60);
        put(0x0800_0000, 2);
        let cpu = interface(&devices, 1);
        cpu.write(Icc::Igrpen1, 1);
        cpu.write(Icc::Pmr, 0xf8);

        bus.store(0x0809_0040, 4, 5).unwrap();

        assert_eq!(
            (cpu.read(Icc::Iar1), interface(&devices, 0).read(Icc::Iar1)),
            (8192, 1023)
        );
        assert_eq!(devices.interrupts().read(Access::new(0, 4)), 0x52);
        cpu.switch_off();
        assert_eq!((cpu.read(Icc::Rpr), cpu.read(Icc::Pmr)), (0xff, 0));
    }
}

//! What drivers do to the devices of x86's boards: see [`crate::devices`].

use std::num::NonZeroU32;
use std::sync::Arc;

use emu_devices::bus::{CpuInputs, Shared};
use emu_devices::char::uart16550::Uart16550;
use emu_devices::irq::apic::ioapic::IoApic;
use emu_devices::irq::apic::{LocalApics, Model, Rate, Source};
use emu_devices::irq::i8259::I8259;
use emu_devices::misc::acpi_ged::{self, AcpiGed};
use emu_devices::misc::isa_debug_exit::IsaDebugExit;
use emu_devices::misc::port92::{self, Port92};
use emu_devices::timer::i8254::I8254;
use emu_devices::timer::mc146818::Mc146818;

use crate::Input;
use crate::devices::{Unconnected, World};

/// Where gates and power lead.
struct Nowhere;

impl port92::Outputs for Nowhere {
    fn a20(&self, _: bool) {}
    fn init(&self) {}
}

impl acpi_ged::Power for Nowhere {
    fn off(&self) {}
    fn reset(&self) {}
}

/// Serial port.
pub fn uart16550(data: &[u8]) {
    let world = World::new();
    let backend = Arc::new(world.backend.clone());
    let device = Uart16550::new(&world.wiring, &world.clock, world.irq(), backend);
    world.drive(&device.erase(), 8, data);
}

/// Interval timer.
pub fn i8254(data: &[u8]) {
    // One pulse, half of the shortest wave.
    let world = World::of_period(838);
    let device = I8254::new(&world.wiring, &world.clock, world.irq());
    world.drive(&device.erase(), 0x40, data);
}

/// Real-time clock, with its memory.
pub fn mc146818(data: &[u8]) {
    let world = World::of_period(122_070);
    let device = Mc146818::new(&world.wiring, &world.clock, world.irq(), world.lines.irq(1));
    world.drive(&device.erase(), 2, data);
}

/// Interrupt controllers, with lines that go up and down, and acknowledge cycles.
pub fn i8259(data: &[u8]) {
    let world = World::new();
    let mut input = Input::new(data);
    let pic = I8259::new(&world.wiring, world.irq());
    world.wiring.connect(vec![pic.controller()]);
    let device = pic.erase();
    while !input.is_empty() {
        let levels = input.u16();
        for line in (0..16).filter(|&line| line != 2) {
            pic.with(|pic| pic.irq(line)).drive(levels >> line & 1 != 0);
        }
        let count = input.u8().into();
        world.drive(&device, 0x4d2, input.take(count));
        pic.with(|pic| pic.acknowledge());
    }
}

fn apics(world: &World, count: u32) -> Shared<LocalApics> {
    let rate = Rate::new(NonZeroU32::MAX);
    let model = Model {
        tsc: rate,
        timer: rate,
        x2apic: true,
        tsc_deadline: true,
        physical_bits: 40,
    };
    let outputs: Arc<dyn CpuInputs> = Arc::new(Unconnected);
    let ids: Vec<u32> = (0..count).collect();
    LocalApics::new(&world.wiring, &world.clock, &ids, model, &outputs)
}

/// Local APICs: by their page, by MSRs, by CR8, with messages that come.
pub fn local_apic(data: &[u8]) {
    let world = World::new();
    let mut input = Input::new(data);
    let count = 1 + u32::from(input.u8() % 9);
    let apics = apics(&world, count);
    let (device, bus) = (apics.erase(), apics.with(|apics| apics.bus()));
    while !input.is_empty() {
        let (what, value) = (input.u8(), input.u64());
        let cpu = apics.with(|apics| apics.cpu(usize::from(what >> 4) % count as usize));
        match what & 15 {
            0 => drop(cpu.set_base(value)),
            1 => cpu.set_tsc_deadline(value),
            2 => cpu.set_cr8(value),
            3 => drop(cpu.read_msr(0x800 | value as u32 & 0xff)),
            4..=6 => drop(cpu.write_msr(0x800 | value as u32 & 0xff, value >> 8)),
            7 => bus.message(0xfee0_0000 | value >> 32 & 0xf_ffff, value as u32),
            8 => drop(cpu.acknowledge()),
            9 => cpu.init(),
            10 => cpu.signal([Source::Thermal, Source::Performance, Source::Cmci][value as usize % 3]),
            11 => {
                let lint = apics.with(|apics| apics.lint(value as usize & 1));
                lint.drive(value & 2 != 0);
            }
            12 => cpu.write(value & 0xfff, [1, 2, 4, 8][value as usize >> 12 & 3], value >> 32),
            13 => {
                let _ = (
                    cpu.read(value & 0xfff, 4),
                    cpu.cr8(),
                    cpu.base(),
                    cpu.tsc_deadline(),
                    cpu.may_interrupt(),
                );
            }
            14 => cpu.set_tsc_ahead(value),
            _ => {
                let count = (value & 0xff) as usize;
                world.drive(&device, 0x1000, input.take(count));
            }
        }
    }
}

/// I/O APIC, with lines that go up and down and local APICs that take what it sends.
pub fn ioapic(data: &[u8]) {
    let world = World::new();
    let mut input = Input::new(data);
    let apics = apics(&world, 2);
    let io = IoApic::new(&world.wiring, &apics.with(|apics| apics.bus()));
    world.wiring.connect(vec![io.controller()]);
    let device = io.erase();
    while !input.is_empty() {
        let (levels, count) = (input.u32(), input.u8().into());
        for pin in 0..24 {
            io.with(|io| io.pin(pin)).drive(levels >> pin & 1 != 0);
        }
        world.drive(&device, 0x50, input.take(count));
        let cpu = apics.with(|apics| apics.cpu(levels as usize >> 24 & 1));
        cpu.acknowledge();
        // The end of an interrupt.
        cpu.write(0xb0, 4, 0);
    }
}

/// System control port A.
pub fn port92(data: &[u8]) {
    let world = World::new();
    let device = Port92::new(&world.wiring, Box::new(Nowhere));
    world.drive(&device.erase(), 1, data);
}

/// ACPI's event device.
pub fn acpi_ged(data: &[u8]) {
    let world = World::new();
    let device = AcpiGed::new(&world.wiring, world.irq(), Box::new(Nowhere));
    if data.first().is_some_and(|byte| byte & 1 != 0) {
        device.with(AcpiGed::press);
    }
    world.drive(&device.erase(), 0x10, data);
}

/// The port that ends a run.
pub fn isa_debug_exit(data: &[u8]) {
    let world = World::new();
    let device = IsaDebugExit::new(&world.wiring, 4, Box::new(|_| {}));
    world.drive(&device.erase(), 4, data);
}

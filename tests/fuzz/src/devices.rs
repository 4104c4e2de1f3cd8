//! What drivers do to devices: any access, with time passing, input coming, guest memory changing, and snapshots loaded.

use std::sync::Arc;

use emu_devices::backend::MemoryChar;
use emu_devices::bus::{
    Access, Clock, CpuInputs, CpuLine, Device, GuestMemory, Irq, Lines, Ram, RamWindow, Saved, Shared, Wiring, Works,
};
use emu_devices::char::pl011::Pl011;
use emu_devices::irq::gicv2::GicV2;
use emu_devices::irq::gicv3::{GicV3, Icc};
use emu_devices::misc::fw_cfg::FwCfg;
use emu_devices::misc::pl061::Pl061;
use emu_devices::storage::pflash::Pflash;
use emu_devices::timer::pl031::Pl031;
use emu_devices::virtio::console::Console;
use emu_devices::virtio::mmio::{EmptySlot, Mmio};
use emu_devices::virtio::rng::Rng;

use crate::Input;

/// Where guest memory starts, and how much there is.
const BASE: u64 = 0x4000_0000;
const SIZE: u64 = 0x1_0000;

/// The world around one device.
pub(crate) struct World {
    pub wiring: Arc<Wiring>,
    pub clock: Clock,
    pub lines: Arc<Lines>,
    memory: Arc<dyn GuestMemory>,
    pub backend: MemoryChar,
    /// By how much time goes on at most at once, in nanoseconds: a timer that is due again and again takes each of them.
    longest: u64,
}

impl World {
    pub fn new() -> World {
        let wiring = Wiring::new();
        let ram = Arc::new(Ram::new(SIZE).expect("memory"));
        World {
            clock: Clock::manual(1 << 60),
            lines: Lines::new(&wiring, 16),
            wiring,
            memory: Arc::new(RamWindow::new(BASE, ram, None)),
            backend: MemoryChar::new(),
            longest: u64::MAX,
        }
    }
    /// For a device with a timer of such a shortest period, in nanoseconds.
    pub fn of_period(shortest: u64) -> World {
        World {
            longest: 10_000 * shortest,
            ..World::new()
        }
    }
    pub fn irq(&self) -> Irq {
        self.lines.irq(0)
    }
    /// Has the device at `span` bytes of registers undergo what the input says.
    pub fn drive(&self, device: &Shared<dyn Device>, span: u64, data: &[u8]) {
        self.drive_working(device, || {}, span, false, data);
    }
    /// The same for a device on virtio, which works when its threads would.
    fn drive_virtio<D: Device + Works>(&self, device: &Shared<D>, data: &[u8]) {
        self.drive_working(&device.erase(), || device.work(), 0x200, true, data);
    }
    pub fn drive_working(&self, device: &Shared<dyn Device>, work: impl Fn(), span: u64, virtio: bool, data: &[u8]) {
        let mut input = Input::new(data);
        while !input.is_empty() {
            match input.u8() % 16 {
                0..=5 => {
                    let access = access(&mut input, span);
                    let value = [input.u64(), 0, u64::MAX, 1][usize::from(input.u8()) % 4];
                    device.write(access, value);
                }
                6..=9 => {
                    device.read(access(&mut input, span));
                }
                10 => {
                    let ns = u64::from(input.u32()) << (input.u8() % 20);
                    self.clock.advance(ns.min(self.longest));
                }
                11 => {
                    let count = input.u8().into();
                    self.backend.feed(input.take(count));
                }
                12 => {
                    let (address, count) = (BASE + u64::from(input.u16()), input.u8().into());
                    let _ = self.memory.write(address, input.take(count));
                }
                13 if virtio => start(device, &mut input),
                13 => {
                    self.backend.take_output();
                }
                14 => load(device, &mut input),
                _ => device.reset(),
            }
            work();
        }
    }
}

fn access(input: &mut Input, span: u64) -> Access {
    let (kind, near) = (input.u8(), u64::from(input.u32()));
    let offset = match kind & 7 {
        0 => near << 8,
        1..=3 => near % span,
        _ => (near % span) & !3,
    };
    let size = [4, 4, 4, 1, 2, 8, 3, 0][usize::from(kind >> 3) % 8];
    Access {
        offset,
        size,
        cpu: usize::from(kind >> 6),
    }
}

/// Makes a queue of a virtio device ready, as drivers do; where it lies in memory is the input's.
fn start(device: &Shared<dyn Device>, input: &mut Input) {
    let write = |offset, value: u32| device.write(Access::new(offset, 4), value.into());
    let address = |input: &mut Input| BASE as u32 + (u32::from(input.u16()) & !3);
    write(0x070, 3);
    write(0x024, 0);
    write(0x020, input.u32());
    write(0x024, 1);
    write(0x020, 1);
    write(0x070, 11);
    write(0x030, u32::from(input.u8() % 3));
    write(0x038, 1 << (input.u8() % 9));
    for register in [0x080, 0x090, 0x0a0] {
        write(register, address(input));
        write(register + 4, 0);
    }
    write(0x044, 1);
    write(0x070, 15);
    write(0x050, u32::from(input.u8() % 3));
}

/// Loads the device's own snapshot with bytes of it changed.
fn load(device: &Shared<dyn Device>, input: &mut Input) {
    let saved = device.save();
    let mut text = serde_json::to_vec(&saved).expect("a snapshot is text");
    for _ in 0..input.u8() % 4 {
        let (at, byte) = (usize::from(input.u16()) % text.len(), input.u8());
        text[at] = byte;
    }
    if let Ok(changed) = serde_json::from_slice::<Saved>(&text)
        && device.load(&changed).is_err()
    {
        assert_eq!(device.save(), saved, "a snapshot that was refused changed the device");
    }
}

/// PrimeCell UART.
pub fn pl011(data: &[u8]) {
    let world = World::new();
    let device = Pl011::new(
        &world.wiring,
        &world.clock,
        world.irq(),
        Arc::new(world.backend.clone()),
    );
    world.drive(&device.erase(), 0x1000, data);
}

/// Inputs of CPUs that are not there.
pub(crate) struct Unconnected;

impl CpuInputs for Unconnected {
    fn set(&self, _: usize, _: CpuLine, _: bool) {}
}

/// Interrupt controller, with lines that go up and down.
pub fn gicv2(data: &[u8]) {
    let world = World::new();
    let mut input = Input::new(data);
    let (cpus, levels) = (1 + usize::from(input.u8() % 8), input.u64());
    let gic = GicV2::new(&world.wiring, cpus, Arc::new(Unconnected));
    for line in (0..32).filter(|line| levels >> line & 1 != 0) {
        gic.with(|gic| gic.spi(line)).drive(true);
        gic.with(|gic| gic.ppi(line % cpus, 16 + line % 16))
            .drive(levels >> (32 + line) & 1 != 0);
    }
    world.drive(&gic.erase(), 0x2_1000, input.take(usize::MAX));
}

/// The same of version 3: with its ITS, and with CPU interfaces that are no registers on the bus.
pub fn gicv3(data: &[u8]) {
    const ICC: [Icc; 12] = [
        Icc::Iar0,
        Icc::Iar1,
        Icc::Eoir0,
        Icc::Eoir1,
        Icc::Dir,
        Icc::Pmr,
        Icc::Bpr1,
        Icc::Ap1r,
        Icc::Ctlr,
        Icc::Igrpen0,
        Icc::Igrpen1,
        Icc::Sgi1r,
    ];
    let world = World::new();
    let mut input = Input::new(data);
    let (cpus, levels) = (1 + u32::from(input.u8() % 123), input.u64());
    let affinities: Vec<u32> = (0..cpus).map(|cpu| (cpu % 16) | ((cpu / 16) << 8)).collect();
    let gic = GicV3::new(&world.wiring, &affinities, Arc::new(Unconnected));
    gic.with(|gic| gic.attach(world.memory.clone()));
    for line in (0..32).filter(|line| levels >> line & 1 != 0) {
        gic.with(|gic| gic.spi(line)).drive(true);
        gic.with(|gic| gic.ppi(line, 16 + line % 16))
            .drive(levels >> (32 + line) & 1 != 0);
    }
    for _ in 0..input.u8() {
        let (cpu, reg, value) = (
            usize::from(input.u8()),
            ICC[usize::from(input.u8()) % ICC.len()],
            input.u64(),
        );
        gic.with(|gic| gic.icc_write(cpu, reg, value));
        gic.with(|gic| gic.icc_read(cpu, reg));
        gic.with(|gic| gic.message(value as u32, (value >> 32) as u32));
    }
    world.drive_working(&gic.erase(), || gic.work(), 0x10_0000, false, input.take(usize::MAX));
}

/// PrimeCell real-time clock.
pub fn pl031(data: &[u8]) {
    let world = World::new();
    let device = Pl031::new(&world.wiring, &world.clock, world.irq());
    world.drive(&device.erase(), 0x1000, data);
}

/// PrimeCell GPIO.
pub fn pl061(data: &[u8]) {
    let world = World::new();
    let outputs = std::array::from_fn(|pin| world.lines.irq(1 + pin));
    let device = Pl061::new(&world.wiring, world.irq(), outputs);
    let pins = data.first().copied().unwrap_or(0);
    device.with(|gpio| (0..8).for_each(|pin| gpio.set_input(pin, pins >> pin & 1 != 0)));
    world.drive(&device.erase(), 0x1000, data);
}

/// Firmware configuration device, with its direct memory access.
pub fn fw_cfg(data: &[u8]) {
    let world = World::new();
    let mut device = FwCfg::new(world.memory.clone());
    device.add_item(5, vec![1, 2, 3]);
    device.add_file("etc/a", vec![7; 100]).expect("a file");
    device.add_writable_file("etc/b", vec![0; 16]).expect("a file");
    let device = Shared::new(&world.wiring, device);
    world.drive_working(&device.erase(), || device.work(), 0x18, false, data);
}

/// Flash.
pub fn pflash(data: &[u8]) {
    let world = World::new();
    let device = Pflash::new(1 << 20, vec![0x5a; 300], Arc::new(())).expect("a bank");
    world.drive(&Shared::new(&world.wiring, device).erase(), 1 << 20, data);
}

/// Virtio console.
pub fn virtio_console(data: &[u8]) {
    let world = World::new();
    let backend = Arc::new(world.backend.clone());
    let device = Console::mmio(&world.wiring, world.irq(), world.memory.clone(), backend);
    world.drive_virtio(&device, data);
}

/// Virtio entropy source.
pub fn virtio_rng(data: &[u8]) {
    let world = World::new();
    let device = Mmio::new(&world.wiring, world.irq(), world.memory.clone(), Rng::new());
    world.drive_virtio(&device, data);
}

/// A virtio slot without a device.
pub fn virtio_empty(data: &[u8]) {
    let world = World::new();
    let device = Shared::new(&world.wiring, EmptySlot::default()).erase();
    world.drive_working(&device, || {}, 0x200, true, data);
}

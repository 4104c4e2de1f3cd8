//! A board's devices, made from its table and wired to each other.

use std::io;
use std::sync::{Arc, Weak};

use crossbeam::channel::Sender;
use emu_devices::backend::{CharBackend, Store};
use emu_devices::bus::{Access, Clock, Device, Irq, Ram, RamWatch, Shared, Threads, Wiring, Works};
use emu_devices::char::pl011::Pl011;
use emu_devices::char::uart16550::Uart16550;
use emu_devices::irq::gicv2m::GicV2m;
use emu_devices::misc::acpi_ged::{self, AcpiGed};
use emu_devices::misc::fw_cfg::{self, FwCfg};
use emu_devices::misc::gpio_key::GpioKey;
use emu_devices::misc::isa_debug_exit::IsaDebugExit;
use emu_devices::misc::pl061::Pl061;
use emu_devices::misc::port92::{self, Port92};
use emu_devices::storage::pflash::{FlashWatch, Pflash};
use emu_devices::timer::i8254::I8254;
use emu_devices::timer::mc146818::Mc146818;
use emu_devices::timer::pl031::Pl031;
use emu_devices::virtio::console::Console;
use emu_devices::virtio::mmio::{EmptySlot, Mmio};
use emu_devices::virtio::rng::Rng;
use emu_firmware::fdt::Region;
use emu_frontend_x86::platform::PORTS;

use super::interrupts::Interrupts;
use super::table::{Board, Chip, Fitted, Trigger, Virtio};
use crate::cpus::Cpus;
use crate::error::Error;
use crate::events::Event;
use crate::space::{AddressSpace, Overlap, SystemMemory, What};

/// Number of the first shared interrupt, as a GIC counts.
const FIRST_SPI: u32 = 32;
/// UARTFR, the UART's flags (PL011 TRM 3.3.3).
const UARTFR: u64 = 0x18;
/// UARTFR.BUSY: there is something left to send.
const UARTFR_BUSY: u64 = 1 << 3;
/// LSR, the line status (PC16550D data sheet, 8.4).
const LSR: u64 = 5;
/// LSR.TEMT: nothing is left to send.
const LSR_TEMT: u64 = 1 << 6;

/// What a run connects a board to.
pub struct Surroundings {
    /// RAM in bytes.
    pub memory: u64,
    /// The CPUs, which get the interrupts.
    pub cpus: Arc<Cpus>,
    /// What the devices' lines belong to.
    pub wiring: Arc<Wiring>,
    /// The interrupt controller.
    pub interrupts: Box<dyn Interrupts>,
    /// The machine's clock.
    pub clock: Clock,
    /// Where devices do what takes time.
    pub threads: Threads,
    /// The UART's host side.
    pub serial: Arc<dyn CharBackend>,
    /// The virtio console's host side.
    pub virtio_console: Arc<dyn CharBackend>,
    /// Contents of the flash banks, from the first one on; what is not there is erased.
    pub flash: Vec<Arc<[u8]>>,
    /// Where changes of the second bank are kept.
    pub vars: Option<Arc<dyn Store>>,
    /// What firmware finds in fw_cfg besides the board's description, by the items' keys.
    pub handed: Vec<(u16, Arc<[u8]>)>,
    /// Who hears that a device ends or resets the machine.
    pub events: Sender<Event>,
}

/// The UART that is the console.
enum Uart {
    Pl011(Shared<Pl011>),
    Uart16550(Shared<Uart16550>),
}

impl Uart {
    /// Whether it has handed on all that it was given.
    fn is_idle(&self) -> bool {
        match self {
            Uart::Pl011(uart) => uart.read(Access::new(UARTFR, 4)) & UARTFR_BUSY == 0,
            Uart::Uart16550(uart) => uart.read(Access::new(LSR, 1)) & LSR_TEMT != 0,
        }
    }
}

/// A board's devices.
pub struct Devices {
    /// Who answers at which physical address.
    pub space: Arc<AddressSpace>,
    /// RAM by physical address, for who loads images into it.
    pub memory: SystemMemory,
    /// Every device once, with its own name, but for the interrupt controller.
    all: Vec<(String, Shared<dyn Device>)>,
    interrupts: Box<dyn Interrupts>,
    uart: Option<Uart>,
    power_key: Option<GpioKey>,
    power_button: Option<Shared<AcpiGed>>,
}

impl Devices {
    /// Makes and wires the devices of `board`.
    ///
    /// # Errors
    ///
    /// [`Error::Host`] where the host has not that much memory to give.
    pub fn new(board: &Board, around: Surroundings) -> Result<Devices, Error> {
        let ram = Ram::new(around.memory).map_err(|e| Error::memory("the guest", e))?;
        let space = Arc::new(AddressSpace::new());
        space.connect(around.cpus.clone());
        let (ram, mut offset) = (Arc::new(ram), 0);
        for piece in board.ram_pieces(around.memory) {
            let memory = ram.clone();
            space.map(piece, What::Ram { memory, offset }).map_err(overlap)?;
            offset += piece.size;
        }
        around.wiring.connect(around.interrupts.controllers());
        let memory = SystemMemory::new(space.clone(), around.cpus.clone(), around.cpus.count());
        let attached = around.interrupts.attach(Arc::new(memory.clone()), &around.threads);
        attached.map_err(|e| Error::host("cannot start a device's thread", e))?;
        let mut assembly = Assembly {
            around: &around,
            board,
            memory,
            space,
            all: Vec::new(),
            uart: None,
            power_key: None,
            power_button: None,
        };
        for fitted in board.devices.iter() {
            for n in 0..fitted.count {
                assembly.add(fitted, n)?;
            }
        }
        let Assembly {
            space,
            memory,
            all,
            uart,
            power_key,
            power_button,
            ..
        } = assembly;
        Ok(Devices {
            space,
            memory,
            all,
            interrupts: around.interrupts,
            uart,
            power_key,
            power_button,
        })
    }

    /// Cold reset of every device.
    pub fn reset(&self) {
        self.all.iter().for_each(|(_, device)| device.reset());
        self.interrupts.device().reset();
    }

    /// Every device once, with a name that no other has, but for the interrupt controller.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Shared<dyn Device>)> {
        self.all.iter().map(|(name, device)| (name.as_str(), device))
    }

    /// The interrupt controller.
    pub fn interrupts(&self) -> Shared<dyn Device> {
        self.interrupts.device()
    }

    /// The same, for what of it is a CPU's.
    pub fn controller(&self) -> &dyn Interrupts {
        &*self.interrupts
    }

    /// The line of a private interrupt of CPU number `cpu`.
    pub fn private_line(&self, cpu: usize, n: u32) -> Irq {
        self.interrupts.private(cpu, n)
    }

    /// Whether the console's UART has handed on all that the guest has sent.
    pub fn console_is_idle(&self) -> bool {
        self.uart.as_ref().is_none_or(Uart::is_idle)
    }

    /// The power key, if there is one.
    pub fn power_key(&self) -> Option<&GpioKey> {
        self.power_key.as_ref()
    }

    /// Presses the power key or button, if there is one.
    pub fn press_power_key(&self) {
        if let Some(key) = &self.power_key {
            key.press();
        }
        if let Some(button) = &self.power_button {
            button.with(AcpiGed::press);
        }
    }
}

/// A board that is being put together.
struct Assembly<'a> {
    around: &'a Surroundings,
    board: &'a Board,
    space: Arc<AddressSpace>,
    memory: SystemMemory,
    all: Vec<(String, Shared<dyn Device>)>,
    uart: Option<Uart>,
    power_key: Option<GpioKey>,
    power_button: Option<Shared<AcpiGed>>,
}

impl Assembly<'_> {
    /// Makes device number `n` of a row.
    fn add(&mut self, fitted: &Fitted, n: u32) -> Result<(), Error> {
        let Surroundings { clock, serial, .. } = self.around;
        let wiring = self.around.wiring.clone();
        let irq = self.irq(fitted.line(n));
        let device = match fitted.chip {
            Chip::Flash => return self.flash(fitted, n),
            Chip::Interrupts { offset, .. } => {
                return self.map(fitted, n, offset, self.around.interrupts.device());
            }
            // A CPU's view of the space has its own.
            Chip::LocalApics => return Ok(()),
            Chip::Part { name, n } => {
                let part = self.around.interrupts.part(name, n);
                part.ok_or_else(|| Error::host("cannot wire the board", io::Error::other(name)))?
            }
            Chip::GicV2m { spis } => {
                let (first, _) = fitted.lines.unwrap_or((0, Trigger::EdgeRising));
                let lines = (first..first + spis).map(|n| self.irq(Some(n))).collect();
                GicV2m::new(&wiring, FIRST_SPI + first, lines).erase()
            }
            Chip::Pl011 => {
                let uart = Pl011::new(&wiring, clock, irq, serial.clone());
                self.uart = Some(Uart::Pl011(uart.clone()));
                uart.erase()
            }
            Chip::Uart16550 => {
                let uart = Uart16550::new(&wiring, clock, irq, serial.clone());
                self.uart = Some(Uart::Uart16550(uart.clone()));
                uart.erase()
            }
            Chip::I8254 => I8254::new(&wiring, clock, irq).erase(),
            Chip::Mc146818 => Mc146818::new(&wiring, clock, irq, Irq::unconnected()).erase(),
            Chip::IsaDebugExit => {
                let switch = self.switch();
                let exit = move |status| switch.tell(Event::Exited(status));
                IsaDebugExit::new(&wiring, fitted.size, Box::new(exit)).erase()
            }
            Chip::Port92 => Port92::new(&wiring, Box::new(self.switch())).erase(),
            Chip::AcpiGed => {
                let ged = AcpiGed::new(&wiring, irq, Box::new(self.switch()));
                self.power_button = Some(ged.clone());
                ged.erase()
            }
            Chip::Pl031 => Pl031::new(&wiring, clock, irq).erase(),
            Chip::FwCfg => {
                let at_ports = fitted.base >= PORTS;
                self.employed("emu-fw_cfg", &Shared::new(&wiring, self.fw_cfg(at_ports)))?
            }
            Chip::VirtioMmio => self.virtio(self.board.virtio(n), irq)?,
            Chip::Pl061 { power_key } => {
                let gpio = Pl061::new(&wiring, irq, [const { Irq::unconnected() }; 8]);
                self.power_key = Some(GpioKey::new(clock, &gpio, power_key));
                gpio.erase()
            }
        };
        self.list(fitted, n, device.clone());
        self.map(fitted, n, 0, device)
    }

    fn flash(&mut self, fitted: &Fitted, n: u32) -> Result<(), Error> {
        let region = fitted.region(n);
        let image = self.around.flash.get(n as usize).cloned().unwrap_or_default();
        let watch = Arc::new(FlashCode {
            region,
            space: Arc::downgrade(&self.space),
            cpus: self.around.cpus.clone(),
        });
        let flash = Pflash::new(region.size, image, watch);
        let flash = flash.map_err(|e| Error::memory("the flash", e))?;
        let flash = match &self.around.vars {
            Some(vars) if n == 1 => flash.kept_in(vars.clone()),
            _ => flash,
        };
        let (memory, readable) = (flash.array().clone(), flash.is_array());
        let device = Shared::new(&self.around.wiring, flash).erase();
        self.list(fitted, n, device.clone());
        let what = What::Rom {
            memory,
            offset: 0,
            device,
            readable,
        };
        self.space.map(region, what).map_err(overlap)
    }

    /// Notes a device under its own name: what it is, and where.
    fn list(&mut self, fitted: &Fitted, n: u32, device: Shared<dyn Device>) {
        let base = fitted.region(n).base;
        let name = match base.checked_sub(PORTS) {
            None => format!("{}@{base:x}", device.model()),
            Some(first) => format!("{}@port{first:x}", device.model()),
        };
        self.all.push((name, device));
    }

    fn map(&mut self, fitted: &Fitted, n: u32, offset: u64, device: Shared<dyn Device>) -> Result<(), Error> {
        let more = fitted.more.iter().filter(|_| n == 0);
        for &(base, size) in more {
            let offset = offset + base - fitted.base;
            let device = device.clone();
            let mapped = self.space.map(Region::new(base, size), What::Device { device, offset });
            mapped.map_err(overlap)?;
        }
        let mapped = self.space.map(fitted.region(n), What::Device { device, offset });
        mapped.map_err(overlap)
    }

    /// What devices switch the machine by.
    fn switch(&self) -> Switch {
        Switch(self.around.events.clone())
    }

    /// A virtio transport with what is behind it.
    fn virtio(&self, behind: Option<Virtio>, irq: Irq) -> Result<Shared<dyn Device>, Error> {
        let (wiring, memory) = (&self.around.wiring, Arc::new(self.memory.clone()));
        match behind {
            None => Ok(Shared::new(wiring, EmptySlot::default()).erase()),
            Some(Virtio::Rng) => self.employed("emu-rng", &Mmio::new(wiring, irq, memory, Rng::new())),
            Some(Virtio::Console) => {
                let backend = self.around.virtio_console.clone();
                self.employed("emu-console", &Console::mmio(wiring, irq, memory, backend))
            }
        }
    }

    /// A device with a thread, called `name`, that works for it.
    fn employed<D: Device + Works>(&self, name: &str, device: &Shared<D>) -> Result<Shared<dyn Device>, Error> {
        let employed = device.employ(&self.around.threads, name, 1);
        employed.map_err(|e| Error::host("cannot start a device's thread", e))?;
        Ok(device.erase())
    }

    fn irq(&self, line: Option<u32>) -> Irq {
        line.map_or_else(Irq::unconnected, |n| self.around.interrupts.shared(n))
    }

    fn fw_cfg(&self, at_ports: bool) -> FwCfg {
        let memory = Arc::new(self.memory.clone());
        let mut device = if at_ports {
            FwCfg::ports(memory)
        } else {
            FwCfg::new(memory)
        };
        let cpus = self.around.cpus.count() as u16;
        device.add_item(fw_cfg::key::NB_CPUS, cpus.to_le_bytes());
        device.add_item(fw_cfg::key::MAX_CPUS, cpus.to_le_bytes());
        for (key, bytes) in &self.around.handed {
            device.add_item(*key, bytes.clone());
        }
        device
    }
}

/// What devices end and reset the machine by. CPUs run on until the main thread has done it.
struct Switch(Sender<Event>);

impl Switch {
    fn tell(&self, event: Event) {
        // Without a listener the run is over already.
        let _ = self.0.send(event);
    }
}

impl acpi_ged::Power for Switch {
    fn off(&self) {
        self.tell(Event::PowerOff);
    }
    fn reset(&self) {
        self.tell(Event::Reset);
    }
}

impl port92::Outputs for Switch {
    /// Line 20 is open always: nothing of this board's starts with it closed.
    fn a20(&self, _: bool) {}
    fn init(&self) {
        self.tell(Event::Reset);
    }
}

/// A board whose table overlaps is a mistake of ours, and still no reason to panic.
fn overlap(error: Overlap) -> Error {
    Error::host("cannot wire the board", io::Error::other(error))
}

/// Has a flash bank read as memory while it does not answer a command, and drops translations of what has changed in it.
struct FlashCode {
    region: Region,
    /// It has the bank, which has this.
    space: Weak<AddressSpace>,
    cpus: Arc<Cpus>,
}

impl FlashWatch for FlashCode {
    fn array_mode(&self, array: bool) {
        if let Some(space) = self.space.upgrade() {
            space.set_readable(self.region, array);
        }
    }

    fn written(&self, offset: u64, length: u64) {
        self.cpus.written(self.region.base + offset, length);
    }
}

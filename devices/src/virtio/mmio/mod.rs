//! Virtio over MMIO, version 2 (VIRTIO 1.2, 4.2): the transport of the boards without PCI.
//!
//! The interrupt line is the level "a bit of InterruptStatus is set": only an acknowledgement or a reset lowers it, so
//! that a completion between a driver's read of the status and its acknowledgement is merged with the one before, which
//! drivers allow for (they look at the queues afterwards), and none later is lost.

#[cfg(test)]
pub(super) mod tests;

use super::slot::{self, Slot, State, Work};
use super::{VirtioDevice, feature};
use crate::bus::{At, Bell, Convert, GuestMemory, Irq, Next, Registers, Shared, Wiring, Works};
use std::sync::Arc;

/// "virt".
const MAGIC: u32 = 0x7472_6976;
const VERSION: u32 = 2;
/// "EMU".
const VENDOR: u32 = u32::from_le_bytes(*b"EMU\0");
/// The registers (4.2.2).
mod map {
    crate::regs! {
        /// "virt"
        0x000 MagicValue        Ro
        /// Device version number
        0x004 Version           Ro
        /// Virtio subsystem device id
        0x008 DeviceID          Ro
        /// Virtio subsystem vendor id
        0x00c VendorID          Ro
        /// Features the device supports
        0x010 DeviceFeatures    Ro
        /// Which word of them
        0x014 DeviceFeaturesSel Wo
        /// Features the driver understands
        0x020 DriverFeatures    Wo
        /// Which word of them
        0x024 DriverFeaturesSel Wo
        /// Virtqueue that the queue registers mean
        0x030 QueueSel          Wo
        /// Most entries of the virtqueue
        0x034 QueueNumMax       Ro
        /// Entries of the virtqueue
        0x038 QueueNum          Wo
        /// Virtqueue ready
        0x044 QueueReady        Rw
        /// Queue notifier
        0x050 QueueNotify       Wo
        /// Interrupt status
        0x060 InterruptStatus   Ro
        /// Interrupt acknowledge
        0x064 InterruptACK      Wo
        /// Device status
        0x070 Status            Rw
        /// Descriptor table
        0x080 QueueDescLow      Wo
        /// Its upper half
        0x084 QueueDescHigh     Wo
        /// Driver area
        0x090 QueueDriverLow    Wo
        /// Its upper half
        0x094 QueueDriverHigh   Wo
        /// Device area
        0x0a0 QueueDeviceLow    Wo
        /// Its upper half
        0x0a4 QueueDeviceHigh   Wo
        /// Shared memory region
        0x0ac SHMSel            Wo
        /// Its length and base: all ones, there are none
        0x0b0 SHMRegion[4]      Ro
        /// Configuration atomicity value
        0x0fc ConfigGeneration  Ro
        /// Configuration space
        0x100 Config[64]        Rw
    }
}
pub use map::Reg;

/// A slot without a device: device id 0, which drivers pass over (4.2.3.1.1).
#[derive(Default)]
pub struct EmptySlot(());

impl Registers for EmptySlot {
    const MODEL: &'static str = "virtio-mmio";
    type Reg = Reg;
    type State = ();

    fn state(&mut self) -> &mut () {
        &mut self.0
    }

    fn get(&mut self, reg: Reg, _at: At) -> u64 {
        match reg {
            Reg::MagicValue => MAGIC.into(),
            Reg::Version => VERSION.into(),
            Reg::VendorID => VENDOR.into(),
            _ => 0,
        }
    }

    fn put(&mut self, _reg: Reg, _at: At, _value: u64) {}

    fn update(&mut self) {}
}

/// A device on this transport, with its interrupt line.
pub struct Mmio<D: VirtioDevice> {
    slot: Slot<D>,
    irq: Irq,
}

impl<D: VirtioDevice> Mmio<D> {
    /// A slot with `device`, whose queues lie in `memory`, that drives `irq`. Its requests wait for workers
    /// ([`Shared::employ`]).
    pub fn new(wiring: &Arc<Wiring>, irq: Irq, memory: Arc<dyn GuestMemory>, device: D) -> Shared<Mmio<D>> {
        let slot = Slot::new(memory, device);
        Shared::new(wiring, Mmio { slot, irq })
    }

    /// What is behind the transport, for its host side.
    pub fn slot(&mut self) -> &mut Slot<D> {
        &mut self.slot
    }

    /// The value of a register, which all have 32 bits.
    fn read_register(&mut self, reg: Reg, n: usize) -> u32 {
        let slot = &mut self.slot;
        let s = &slot.state;
        match reg {
            Reg::MagicValue => MAGIC,
            Reg::Version => VERSION,
            Reg::DeviceID => D::DEVICE_ID,
            Reg::VendorID => VENDOR,
            Reg::DeviceFeatures => match s.device_features_sel {
                select @ 0..=1 => ((slot.device.features() | feature::ALL) >> (32 * select)) as u32,
                _ => 0,
            },
            Reg::QueueNumMax => slot.queue_size_max().into(),
            Reg::QueueReady => slot.queue().is_some_and(|queue| queue.ready).into(),
            Reg::InterruptStatus => s.interrupt_status,
            Reg::Status => s.status,
            Reg::SHMRegion => !0,
            Reg::ConfigGeneration => s.config_generation,
            Reg::Config => slot.config(4 * n as u64),
            // The rest is write-only.
            _ => 0,
        }
    }
}

fn low(address: &mut u64, value: u32) {
    *address = *address >> 32 << 32 | u64::from(value);
}

fn high(address: &mut u64, value: u32) {
    *address = u64::from(value) << 32 | *address & 0xffff_ffff;
}

impl<D: VirtioDevice> Works for Mmio<D> {
    fn bell(&self) -> &Bell {
        &self.slot.bell
    }

    fn next(&mut self) -> Next<Self> {
        let work = self.slot.work();
        self.update();
        match work {
            Work::Idle => Next::Idle,
            Work::More => Next::More,
            Work::Unlocked(id, job) => Next::Unlocked(Box::new(move || {
                let answer = job();
                Box::new(move |mmio| mmio.slot.answer(id, answer))
            })),
        }
    }
}

impl<D: VirtioDevice> Registers for Mmio<D> {
    const MODEL: &'static str = D::MODEL;
    const VERSION: u32 = slot::VERSION;
    const OLDER: &'static [(u32, Convert)] = D::OLDER;
    type Reg = Reg;
    type State = State<D::State, D::Answer>;

    fn state(&mut self) -> &mut Self::State {
        &mut self.slot.state
    }

    fn initial(&mut self) -> Self::State {
        self.slot.initial()
    }

    fn check(&self, state: &Self::State) -> Result<(), String> {
        self.slot.check(state)
    }

    fn get(&mut self, reg: Reg, at: At) -> u64 {
        self.read_register(reg, at.n).into()
    }

    fn put(&mut self, reg: Reg, at: At, value: u64) {
        let (slot, value) = (&mut self.slot, value as u32);
        let s = &mut slot.state;
        match reg {
            Reg::DeviceFeaturesSel => s.device_features_sel = value,
            Reg::DriverFeaturesSel => s.driver_features_sel = value,
            Reg::DriverFeatures => slot.set_driver_features(value),
            Reg::QueueSel => s.queue_sel = value,
            // Checked with its place when the queue is made ready; larger ones than there are count as none.
            Reg::QueueNum => {
                let max = slot.queue_size_max();
                let size = u16::try_from(value).ok().filter(|&size| size <= max).unwrap_or(0);
                slot.set_up_queue(|queue| queue.size = size);
            }
            Reg::QueueReady => slot.set_ready(value & 1 != 0),
            Reg::QueueDescLow => slot.set_up_queue(|queue| low(&mut queue.descriptors, value)),
            Reg::QueueDescHigh => slot.set_up_queue(|queue| high(&mut queue.descriptors, value)),
            Reg::QueueDriverLow => slot.set_up_queue(|queue| low(&mut queue.driver, value)),
            Reg::QueueDriverHigh => slot.set_up_queue(|queue| high(&mut queue.driver, value)),
            Reg::QueueDeviceLow => slot.set_up_queue(|queue| low(&mut queue.device, value)),
            Reg::QueueDeviceHigh => slot.set_up_queue(|queue| high(&mut queue.device, value)),
            Reg::QueueNotify => slot.bell.ring(),
            Reg::InterruptACK => s.interrupt_status &= !value,
            Reg::Status => slot.set_status(value),
            Reg::Config => slot.set_config(4 * at.n as u64, at.mask as u32, value),
            // SHMSel: there are no regions. The rest is read-only.
            _ => {}
        }
    }

    /// A loaded state may have requests under way, and notifications that nobody has followed.
    fn replaced(&mut self) {
        self.slot.bell.ring();
    }

    fn update(&mut self) {
        self.irq.set(self.slot.state.interrupt_status != 0);
    }
}

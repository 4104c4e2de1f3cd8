//! Virtio over MMIO, version 2 (VIRTIO 1.2, 4.2): the transport of the boards without PCI.

#[cfg(test)]
pub(super) mod tests;

use super::{Queue, QueueError, Ring, VirtioDevice, feature, status};
use crate::bus::misuse::{self, Misuse};
use crate::bus::{At, GuestMemory, Irq, Registers, Shared, Wiring};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// "virt".
const MAGIC: u32 = 0x7472_6976;
const VERSION: u32 = 2;
/// "EMU".
const VENDOR: u32 = u32::from_le_bytes(*b"EMU\0");
/// InterruptStatus: buffers have been used; the configuration has changed.
const USED_BUFFERS: u32 = 1;
const CONFIG_CHANGED: u32 = 2;

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

    fn state(&self) -> &() {
        &self.0
    }

    fn state_mut(&mut self) -> &mut () {
        &mut self.0
    }

    fn initial(&self) {}

    fn get(&mut self, reg: Reg, _at: At) -> u32 {
        match reg {
            Reg::MagicValue => MAGIC,
            Reg::Version => VERSION,
            Reg::VendorID => VENDOR,
            _ => 0,
        }
    }

    fn put(&mut self, _reg: Reg, _at: At, _value: u32) {}

    fn update(&mut self) {}
}

/// Everything a snapshot holds: the transport's state and the device's (`S`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State<S> {
    status: u32,
    device_features_sel: u32,
    driver_features_sel: u32,
    driver_features: u64,
    queue_sel: u32,
    interrupt_status: u32,
    queues: Vec<Queue>,
    device: S,
}

/// A slot with a device: transport, device and wiring.
pub struct Mmio<D: VirtioDevice> {
    state: State<D::State>,
    device: D,
    irq: Irq,
    memory: Arc<dyn GuestMemory>,
}

impl<D: VirtioDevice> Mmio<D> {
    /// A slot with `device`, whose queues lie in `memory`, that drives `irq`.
    pub fn new(wiring: &Arc<Wiring>, irq: Irq, memory: Arc<dyn GuestMemory>, device: D) -> Shared<Mmio<D>> {
        Shared::new(
            wiring,
            Mmio {
                state: Self::reset_state(),
                device,
                irq,
                memory,
            },
        )
    }

    fn reset_state() -> State<D::State> {
        State {
            status: 0,
            device_features_sel: 0,
            driver_features_sel: 0,
            driver_features: 0,
            queue_sel: 0,
            interrupt_status: 0,
            queues: D::QUEUES.iter().map(|&size| Queue::new(size)).collect(),
            device: D::State::default(),
        }
    }

    /// The device, its state forgotten: for its host side.
    pub fn device(&mut self) -> &mut D {
        &mut self.device
    }

    /// The queue of QueueSel.
    fn queue(&mut self) -> Option<&mut Queue> {
        self.state.queues.get_mut(self.state.queue_sel as usize)
    }

    /// Changes the selected queue, which must not be ready (4.2.3.2).
    fn set_up_queue(&mut self, change: impl FnOnce(&mut Queue)) {
        match self.queue() {
            Some(queue) if !queue.ready => change(queue),
            Some(_) => misuse::report(
                D::MODEL,
                Misuse::BadValue("queue changed while ready (ignored)"),
                0x80,
                0,
            ),
            None => misuse::report(D::MODEL, Misuse::BadValue("queue that is not there (ignored)"), 0x30, 0),
        }
    }

    fn set_ready(&mut self, ready: bool) {
        let memory = self.memory.clone();
        let Some(queue) = self.queue() else { return };
        if !ready {
            queue.ready = false;
        } else if !queue.ready && !queue.start(&*memory) {
            misuse::report(
                D::MODEL,
                Misuse::BadValue("queue in an impossible place (not ready)"),
                0x44,
                1,
            );
        }
    }

    fn set_status(&mut self, value: u32) {
        if value == 0 {
            self.state = Self::reset_state();
            return;
        }
        let s = &mut self.state;
        // A driver only ever adds bits (2.1.1).
        let mut added = value & 0xff & !s.status;
        if added & status::FEATURES_OK != 0 {
            let offered = D::FEATURES | feature::ALL;
            let accepted = s.driver_features & !offered == 0 && s.driver_features & feature::VERSION_1 != 0;
            added &= if accepted { !0 } else { !status::FEATURES_OK };
        }
        s.status |= added & !status::DEVICE_NEEDS_RESET;
    }

    fn set_driver_features(&mut self, value: u32) {
        let s = &mut self.state;
        if s.status & status::FEATURES_OK != 0 || s.driver_features_sel > 1 {
            let what = Misuse::BadValue("features of no word, or after FEATURES_OK (ignored)");
            return misuse::report(D::MODEL, what, 0x20, value.into());
        }
        let shift = 32 * s.driver_features_sel;
        s.driver_features = s.driver_features & !(0xffff_ffff << shift) | u64::from(value) << shift;
    }

    /// Lets the device work on every queue that runs.
    fn process_queues(&mut self) {
        for index in 0..self.state.queues.len() {
            let running = self.state.status & (status::DRIVER_OK | status::DEVICE_NEEDS_RESET) == status::DRIVER_OK;
            if !running || !self.state.queues[index].ready {
                continue;
            }
            match self.process(index) {
                Ok(false) => {}
                Ok(true) => self.state.interrupt_status |= USED_BUFFERS,
                Err(error) => self.need_reset(index, error),
            }
        }
    }

    /// Returns whether the driver wants an interrupt.
    fn process(&mut self, index: usize) -> Result<bool, QueueError> {
        let s = &mut self.state;
        let event_idx = s.driver_features & feature::EVENT_IDX != 0;
        let mut ring = Ring::new(&mut s.queues[index], &*self.memory, event_idx);
        // Once more for what another vCPU adds while notifications are being turned on, but not for ever.
        for _ in 0..4 {
            let seen = ring.available_index()?;
            self.device.process(&mut s.device, index, &mut ring)?;
            if !ring.ask_for_notification(seen)? {
                break;
            }
        }
        ring.wants_interrupt()
    }

    /// The driver broke the rules (2.1.2).
    fn need_reset(&mut self, index: usize, error: QueueError) {
        misuse::report(
            D::MODEL,
            Misuse::BadValue("broken queue (device needs reset)"),
            index as u64,
            0,
        );
        tracing::debug!("{}: queue {index}: {error}", D::MODEL);
        self.state.status |= status::DEVICE_NEEDS_RESET;
        self.state.interrupt_status |= CONFIG_CHANGED;
    }

    fn check_queue(queue: &Queue, max: u16, memory: &dyn GuestMemory) -> bool {
        queue.size <= max && (!queue.ready || queue.clone().start(memory))
    }
}

fn low(address: &mut u64, value: u32) {
    *address = *address >> 32 << 32 | u64::from(value);
}

fn high(address: &mut u64, value: u32) {
    *address = u64::from(value) << 32 | *address & 0xffff_ffff;
}

impl<D: VirtioDevice> Registers for Mmio<D> {
    const MODEL: &'static str = D::MODEL;
    type Reg = Reg;
    type State = State<D::State>;

    fn state(&self) -> &State<D::State> {
        &self.state
    }

    fn state_mut(&mut self) -> &mut State<D::State> {
        &mut self.state
    }

    fn initial(&self) -> State<D::State> {
        Self::reset_state()
    }

    fn check(&self, state: &State<D::State>) -> Result<(), String> {
        if state.queues.len() != D::QUEUES.len() {
            return Err(format!("{} queues instead of {}", state.queues.len(), D::QUEUES.len()));
        }
        let mut queues = state.queues.iter().zip(D::QUEUES);
        match queues.position(|(queue, &max)| !Self::check_queue(queue, max, &*self.memory)) {
            Some(bad) => Err(format!("place or size of queue {bad}")),
            None => Ok(()),
        }
    }

    fn get(&mut self, reg: Reg, at: At) -> u32 {
        let s = &self.state;
        match reg {
            Reg::MagicValue => MAGIC,
            Reg::Version => VERSION,
            Reg::DeviceID => D::DEVICE_ID,
            Reg::VendorID => VENDOR,
            Reg::DeviceFeatures => match s.device_features_sel {
                select @ 0..=1 => ((D::FEATURES | feature::ALL) >> (32 * select)) as u32,
                _ => 0,
            },
            Reg::QueueNumMax => D::QUEUES.get(s.queue_sel as usize).copied().unwrap_or(0).into(),
            Reg::QueueReady => self.queue().is_some_and(|queue| queue.ready).into(),
            Reg::InterruptStatus => s.interrupt_status,
            Reg::Status => s.status,
            Reg::SHMRegion => !0,
            Reg::ConfigGeneration => 0,
            Reg::Config => self.device.config(&s.device, 4 * at.n as u64),
            // The rest is write-only.
            _ => 0,
        }
    }

    fn put(&mut self, reg: Reg, at: At, value: u32) {
        let s = &mut self.state;
        match reg {
            Reg::DeviceFeaturesSel => s.device_features_sel = value,
            Reg::DriverFeaturesSel => s.driver_features_sel = value,
            Reg::DriverFeatures => self.set_driver_features(value),
            Reg::QueueSel => s.queue_sel = value,
            // Checked with its place when the queue is made ready; larger ones than there are count as none.
            Reg::QueueNum => {
                let max = D::QUEUES.get(s.queue_sel as usize).copied().unwrap_or(0);
                let size = u16::try_from(value).ok().filter(|&size| size <= max).unwrap_or(0);
                self.set_up_queue(|queue| queue.size = size);
            }
            Reg::QueueReady => self.set_ready(value & 1 != 0),
            Reg::QueueDescLow => self.set_up_queue(|queue| low(&mut queue.descriptors, value)),
            Reg::QueueDescHigh => self.set_up_queue(|queue| high(&mut queue.descriptors, value)),
            Reg::QueueDriverLow => self.set_up_queue(|queue| low(&mut queue.driver, value)),
            Reg::QueueDriverHigh => self.set_up_queue(|queue| high(&mut queue.driver, value)),
            Reg::QueueDeviceLow => self.set_up_queue(|queue| low(&mut queue.device, value)),
            Reg::QueueDeviceHigh => self.set_up_queue(|queue| high(&mut queue.device, value)),
            // Every access is followed by a look at the queues.
            Reg::QueueNotify => {}
            Reg::InterruptACK => s.interrupt_status &= !value,
            Reg::Status => self.set_status(value),
            Reg::Config => self.device.set_config(&mut s.device, 4 * at.n as u64, at.mask, value),
            // SHMSel: there are no regions. The rest is read-only.
            _ => {}
        }
    }

    fn update(&mut self) {
        self.process_queues();
        self.irq.set(self.state.interrupt_status != 0);
    }
}

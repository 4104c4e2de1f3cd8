//! Virtio devices: OASIS Virtual I/O Device (VIRTIO) Version 1.2.
//!
//! A device ([`VirtioDevice`]) knows its queues' meaning and its configuration; a transport ([`mmio`]) knows the registers;
//! [`Queue`] and [`Ring`] walk what the driver has laid out in guest memory. Nothing the driver writes there is trusted:
//! what breaks the rules of the specification ends in DEVICE_NEEDS_RESET (2.1.2).

pub mod console;
pub mod mmio;
mod queue;
pub mod rng;
#[cfg(test)]
mod testing;

pub use queue::{Chain, Queue, QueueError, Ring};

use serde::{Serialize, de::DeserializeOwned};

/// Features of every device of ours (6).
mod feature {
    /// VIRTIO_F_INDIRECT_DESC.
    pub const INDIRECT_DESC: u64 = 1 << 28;
    /// VIRTIO_F_EVENT_IDX.
    pub const EVENT_IDX: u64 = 1 << 29;
    /// VIRTIO_F_VERSION_1.
    pub const VERSION_1: u64 = 1 << 32;
    pub const ALL: u64 = INDIRECT_DESC | EVENT_IDX | VERSION_1;
}

/// Device status bits (2.1).
mod status {
    pub const DRIVER_OK: u32 = 4;
    pub const FEATURES_OK: u32 = 8;
    pub const DEVICE_NEEDS_RESET: u32 = 64;
}

/// What kind of device is behind a transport.
pub trait VirtioDevice: Send + 'static {
    /// Model name, for boards and snapshots.
    const MODEL: &'static str;
    /// Device id (5).
    const DEVICE_ID: u32;
    /// Feature bits of this kind of device (0 to 23, 50 on).
    const FEATURES: u64;
    /// The most entries of each queue, a power of two.
    const QUEUES: &'static [u16];
    /// What a snapshot holds beyond the transport; reset makes it the default.
    type State: Serialize + DeserializeOwned + Default + Send;

    /// The configuration word at `offset` (a multiple of 4).
    fn config(&self, _state: &Self::State, _offset: u64) -> u32 {
        0
    }

    /// Writes the bits in `mask` of a configuration word.
    fn set_config(&mut self, _state: &mut Self::State, _offset: u64, _mask: u32, _value: u32) {}

    /// Does what can be done now with the buffers of queue `index`. Called when the driver may have added some, and when
    /// the host side has become ready.
    ///
    /// # Errors
    /// [`QueueError`]: the driver broke the rules, the device needs a reset.
    fn process(&mut self, state: &mut Self::State, index: usize, ring: &mut Ring<'_>) -> Result<(), QueueError>;
}

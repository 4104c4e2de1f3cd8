//! Virtio devices: OASIS Virtual I/O Device (VIRTIO) Version 1.2.
//!
//! A device ([`VirtioDevice`]) knows what its requests mean and its configuration; a [`Slot`] has the queues and the
//! requests that are under way; a transport ([`mmio`]) knows the registers. [`Queue`] and [`Ring`] walk what the driver has
//! laid out in guest memory. Nothing the driver writes there is trusted: what breaks the rules of the specification ends
//! in DEVICE_NEEDS_RESET (2.1.2).

pub mod console;
pub mod mmio;
mod queue;
pub mod rng;
pub mod slot;
#[cfg(test)]
pub(crate) mod testing;

pub use queue::{Chain, Queue, QueueError, Ring};
pub use slot::Slot;

use crate::bus::{Convert, GuestMemory};
use serde::{Serialize, de::DeserializeOwned};

/// Most entries of a queue: what drivers find on other machines, and some ask for.
pub const LARGEST: u16 = 1024;

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

/// A request that a device goes on with.
pub struct Request<'a> {
    /// The queue it came from.
    pub queue: usize,
    /// Its buffers.
    pub chain: &'a Chain,
    /// How far the device has got with it, in the device's own measure: 0 at first. Part of a snapshot.
    pub done: &'a mut u64,
    /// Where its buffers are.
    pub memory: &'a dyn GuestMemory,
}

/// What is done with the device unlocked, as it may take its time; it must leave guest memory alone.
pub type Unlocked<A> = Box<dyn FnOnce() -> A + Send>;

/// How far a device has got with a request.
pub enum Step<A> {
    /// It is done; so many bytes of its buffers were written.
    Done(u32),
    /// There is more to do at once.
    More,
    /// The host side is not ready; [`Slot::host_ready`] says when it is.
    Wait,
    /// This is to be done first; [`VirtioDevice::finish`] has its answer.
    Unlocked(Unlocked<A>),
}

/// What kind of device is behind a transport.
pub trait VirtioDevice: Send + 'static {
    /// Model name, for boards and snapshots.
    const MODEL: &'static str;
    /// Device id (5).
    const DEVICE_ID: u32;
    /// Older states of a slot with this device: see [`Format::older`](crate::bus::Format::older). The present one is
    /// [`slot::VERSION`].
    const OLDER: &'static [(u32, Convert)] = &[(1, slot::before_requests)];
    /// What a snapshot holds beyond queues and requests; reset makes it the default.
    type State: Serialize + DeserializeOwned + Default + Send;
    /// What comes of what is done unlocked.
    type Answer: Send + 'static;

    /// Feature bits of this kind of device (0 to 23, 50 on) that this one has.
    fn features(&self) -> u64 {
        0
    }

    /// The most entries of each queue, powers of two up to [`LARGEST`].
    fn queues(&self) -> Vec<u16>;

    /// How many requests of a queue it works on at once. With one they are done in their order.
    fn requests_at_once(&self, _queue: usize) -> u16 {
        1
    }

    /// The configuration word at `offset` (a multiple of 4).
    fn config(&self, _state: &Self::State, _offset: u64) -> u32 {
        0
    }

    /// Writes the bits in `mask` of a configuration word.
    fn set_config(&mut self, _state: &mut Self::State, _offset: u64, _mask: u32, _value: u32) {}

    /// Goes on with a request, a few thousand bytes at most. After a snapshot is loaded it is called for every request
    /// under way again, and what was done unlocked is done once more.
    ///
    /// # Errors
    /// [`QueueError`]: the driver broke the rules, the device needs a reset.
    fn serve(&mut self, state: &mut Self::State, request: Request<'_>) -> Result<Step<Self::Answer>, QueueError>;

    /// Goes on with a request whose [`Step::Unlocked`] has come to `answer`.
    ///
    /// # Errors
    /// As [`serve`](VirtioDevice::serve).
    fn finish(
        &mut self,
        state: &mut Self::State,
        request: Request<'_>,
        answer: Self::Answer,
    ) -> Result<Step<Self::Answer>, QueueError>;
}

//! Split virtqueues (VIRTIO 1.2, 2.7) as the device sees them.

#[cfg(test)]
mod tests;

use crate::bus::{GuestMemory, OutOfRange};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{Ordering, fence};

/// Most buffers of one indirect table.
const LONGEST_CHAIN: u32 = 1024;
/// Bytes of a descriptor.
const DESCRIPTOR: u64 = 16;

/// Descriptor flags (2.7.5).
mod flag {
    pub const NEXT: u16 = 1;
    pub const WRITE: u16 = 2;
    pub const INDIRECT: u16 = 4;
}

/// VIRTQ_AVAIL_F_NO_INTERRUPT (2.7.6).
const NO_INTERRUPT: u16 = 1;

/// How the driver broke the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// A ring, a table or a buffer is not in RAM.
    #[error(transparent)]
    Memory(#[from] OutOfRange),
    /// More available buffers than the queue has entries.
    #[error("{available} buffers available in a queue of {size}")]
    Available {
        /// What the driver's index says.
        available: u16,
        /// Entries of the queue.
        size: u16,
    },
    /// A descriptor past the end of its table.
    #[error("descriptor {index} in a table of {size}")]
    Index {
        /// The descriptor.
        index: u32,
        /// Entries of the table.
        size: u32,
    },
    /// A chain that comes back to itself, or has more buffers than any may have.
    #[error("descriptor chain without an end")]
    Endless,
    /// A chain of more than 2^32 bytes.
    #[error("descriptor chain of more than 4 GiB")]
    TooLong,
    /// A device-readable buffer after a device-writable one.
    #[error("device-readable buffer after a device-writable one")]
    Order,
    /// An indirect table in an indirect table, or with a next descriptor, or of an impossible length.
    #[error("impossible indirect table")]
    Indirect,
    /// A buffer of the wrong direction or size for what the device does with it.
    #[error("buffer does not suit its queue")]
    Unsuitable,
}

/// A queue's place in guest memory and how far the device has got in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    /// Entries: a power of two.
    pub(super) size: u16,
    pub(super) ready: bool,
    /// Guest-physical address of the descriptor table.
    pub(super) descriptors: u64,
    /// Of the driver area: the available ring.
    pub(super) driver: u64,
    /// Of the device area: the used ring.
    pub(super) device: u64,
    /// Index of the next available entry to look at.
    next_available: u16,
    /// Index of the next used entry to write. Between the two are the chains that the device has.
    next_used: u16,
    /// The available index that the driver was last asked to tell of, with VIRTIO_F_EVENT_IDX.
    #[serde(deserialize_with = "Option::deserialize")]
    asked: Option<u16>,
}

/// Bytes in guest memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    address: u64,
    length: u32,
}

/// A chain of buffers that the driver has made available. All of it is in RAM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    head: u16,
    readable: Vec<Segment>,
    writable: Vec<Segment>,
}

/// A queue at work: with the memory it lies in.
pub struct Ring<'a> {
    queue: &'a mut Queue,
    memory: &'a dyn GuestMemory,
    event_idx: bool,
    /// What the driver knows of.
    published: u16,
}

/// How things stand between driver and device after a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settled {
    /// The driver wants an interrupt for what it has been given back.
    pub interrupt: bool,
    /// There is another chain already, of which the driver will not notify.
    pub more: bool,
}

struct Descriptor {
    segment: Segment,
    flags: u16,
    next: u16,
}

impl Queue {
    /// A queue of `size` entries, not ready.
    pub(super) fn new(size: u16) -> Queue {
        Queue {
            size,
            ready: false,
            descriptors: 0,
            driver: 0,
            device: 0,
            next_available: 0,
            next_used: 0,
            asked: None,
        }
    }

    /// Chains taken and not given back.
    pub(super) fn outstanding(&self) -> u16 {
        self.next_available.wrapping_sub(self.next_used)
    }

    /// Starts the queue over, if what the driver has set is possible (2.7): alignment, and all in RAM.
    pub(super) fn start(&mut self, memory: &dyn GuestMemory) -> bool {
        let size = u64::from(self.size);
        self.ready = self.size.is_power_of_two()
            && self.descriptors.is_multiple_of(16)
            && self.driver.is_multiple_of(2)
            && self.device.is_multiple_of(4)
            && memory.contains(self.descriptors, DESCRIPTOR * size)
            && memory.contains(self.driver, 6 + 2 * size)
            && memory.contains(self.device, 6 + 8 * size);
        self.next_available = 0;
        self.next_used = 0;
        self.asked = None;
        self.ready
    }
}

impl<'a> Ring<'a> {
    /// `queue`, which is ready, at work until [`settle`](Ring::settle).
    pub(super) fn new(queue: &'a mut Queue, memory: &'a dyn GuestMemory, event_idx: bool) -> Ring<'a> {
        let published = queue.next_used;
        Ring {
            queue,
            memory,
            event_idx,
            published,
        }
    }

    /// Chains taken and not given back.
    pub(super) fn outstanding(&self) -> u16 {
        self.queue.outstanding()
    }

    /// Takes the next available chain; `None` when there is none.
    ///
    /// # Errors
    /// [`QueueError`].
    pub fn pop(&mut self) -> Result<Option<Chain>, QueueError> {
        let Queue { size, next_used, .. } = *self.queue;
        let index = self.available_index()?;
        let with_driver = index.wrapping_sub(next_used);
        if with_driver > size {
            let available = with_driver;
            return Err(QueueError::Available { available, size });
        }
        if index == self.queue.next_available {
            return Ok(None);
        }
        let entry = u64::from(self.queue.next_available % size);
        let head = self.memory.load_u16(self.queue.driver + 4 + 2 * entry)?;
        let chain = self.chain(head)?;
        self.queue.next_available = self.queue.next_available.wrapping_add(1);
        Ok(Some(chain))
    }

    /// Gives a chain back to the driver, `written` bytes of it written: any that was taken, in any order.
    ///
    /// # Errors
    /// [`QueueError`].
    pub fn push(&mut self, chain: &Chain, written: u32) -> Result<(), QueueError> {
        let entry = u64::from(self.queue.next_used % self.queue.size);
        let mut element = [0; 8];
        let (head, length) = element.split_at_mut(4);
        head.copy_from_slice(&u32::from(chain.head).to_le_bytes());
        length.copy_from_slice(&written.to_le_bytes());
        self.memory.write(self.queue.device + 4 + 8 * entry, &element)?;
        self.queue.next_used = self.queue.next_used.wrapping_add(1);
        Ok(())
    }

    /// Ends a round: publishes what was given back, asks to be notified of the next chain (without VIRTIO_F_EVENT_IDX the
    /// device always is), and only then looks at what the driver wants and has.
    pub(super) fn settle(self) -> Result<Settled, QueueError> {
        let Queue {
            size,
            driver,
            device,
            next_available,
            next_used,
            ..
        } = *self.queue;
        let used = next_used.wrapping_sub(self.published);
        if used != 0 {
            // The entries before the index that publishes them.
            fence(Ordering::Release);
            self.memory.store_u16(device + 2, next_used)?;
        }
        let asks = self.event_idx && self.queue.asked != Some(next_available);
        if asks {
            self.memory
                .store_u16(device + 4 + 8 * u64::from(size), next_available)?;
            self.queue.asked = Some(next_available);
        }
        if used == 0 && !asks {
            return Ok(Settled {
                interrupt: false,
                more: false,
            });
        }
        // The driver writes first and looks afterwards, too: one of the two sees the other (2.7.7, 2.7.10).
        self.memory.order();
        Ok(Settled {
            interrupt: used != 0 && self.wants_interrupt(next_used, used)?,
            more: self.memory.load_u16(driver + 2)? != next_available,
        })
    }

    /// The driver's index (2.7.6).
    fn available_index(&self) -> Result<u16, QueueError> {
        let index = self.memory.load_u16(self.queue.driver + 2)?;
        // The index before the entries that it publishes.
        fence(Ordering::Acquire);
        Ok(index)
    }

    /// Whether the driver wants an interrupt for the last `used` chains, up to index `next` (2.7.7).
    fn wants_interrupt(&self, next: u16, used: u16) -> Result<bool, QueueError> {
        let Queue { driver, size, .. } = *self.queue;
        if self.event_idx {
            let event = self.memory.load_u16(driver + 4 + 2 * u64::from(size))?;
            Ok(next.wrapping_sub(event).wrapping_sub(1) < used)
        } else {
            Ok(self.memory.load_u16(driver)? & NO_INTERRUPT == 0)
        }
    }

    fn descriptor(&self, table: u64, index: u32, size: u32) -> Result<Descriptor, QueueError> {
        if index >= size {
            return Err(QueueError::Index { index, size });
        }
        let mut bytes = [0; DESCRIPTOR as usize];
        self.memory.read(table + DESCRIPTOR * u64::from(index), &mut bytes)?;
        let [a0, a1, a2, a3, a4, a5, a6, a7, l0, l1, l2, l3, f0, f1, n0, n1] = bytes;
        let address = u64::from_le_bytes([a0, a1, a2, a3, a4, a5, a6, a7]);
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        let (flags, next) = (u16::from_le_bytes([f0, f1]), u16::from_le_bytes([n0, n1]));
        Ok(Descriptor {
            segment: Segment { address, length },
            flags,
            next,
        })
    }

    /// The chain that starts with descriptor `head`.
    pub(super) fn chain(&self, head: u16) -> Result<Chain, QueueError> {
        let mut chain = Chain {
            head,
            readable: Vec::new(),
            writable: Vec::new(),
        };
        let (mut table, mut size, mut indirect) = (self.queue.descriptors, u32::from(self.queue.size), false);
        let (mut index, mut total) = (head, 0u64);
        // A chain cannot be longer than the queue, but for an indirect table at its end.
        let mut left = u32::from(self.queue.size);
        loop {
            let Descriptor { segment, flags, next } = self.descriptor(table, index.into(), size)?;
            if flags & flag::INDIRECT != 0 {
                let length = segment.length;
                if indirect || flags & flag::NEXT != 0 || length == 0 || !u64::from(length).is_multiple_of(DESCRIPTOR) {
                    return Err(QueueError::Indirect);
                }
                if !self.memory.contains(segment.address, length.into()) {
                    return Err(OutOfRange {
                        address: segment.address,
                        length: length.into(),
                    }
                    .into());
                }
                (table, size, indirect, index) = (segment.address, length / DESCRIPTOR as u32, true, 0);
                left = size.min(LONGEST_CHAIN);
                continue;
            }
            total += u64::from(segment.length);
            if total > 1 << 32 {
                return Err(QueueError::TooLong);
            }
            chain.push(segment, flags & flag::WRITE != 0, self.memory)?;
            if flags & flag::NEXT == 0 {
                return Ok(chain);
            }
            left = left.saturating_sub(1);
            if left == 0 {
                return Err(QueueError::Endless);
            }
            index = next;
        }
    }
}

impl Chain {
    fn push(&mut self, segment: Segment, writable: bool, memory: &dyn GuestMemory) -> Result<(), QueueError> {
        let Segment { address, length } = segment;
        if length == 0 {
            return Ok(());
        }
        if !memory.contains(address, length.into()) {
            return Err(OutOfRange {
                address,
                length: length.into(),
            }
            .into());
        }
        match writable {
            true => self.writable.push(segment),
            false if self.writable.is_empty() => self.readable.push(segment),
            false => return Err(QueueError::Order),
        }
        Ok(())
    }

    /// The descriptor it starts with: the driver's name for it.
    pub fn head(&self) -> u16 {
        self.head
    }

    /// Bytes that the driver wrote for the device.
    pub fn readable(&self) -> u64 {
        self.readable.iter().map(|s| u64::from(s.length)).sum()
    }

    /// Bytes that the device may write.
    pub fn writable(&self) -> u64 {
        self.writable.iter().map(|s| u64::from(s.length)).sum()
    }

    /// Fills `out` from the readable bytes, from the `skip`th on; returns how many there were.
    ///
    /// # Errors
    /// [`QueueError::Memory`].
    pub fn read(&self, memory: &dyn GuestMemory, skip: u64, out: &mut [u8]) -> Result<usize, QueueError> {
        let mut done = 0;
        for (address, count) in pieces(&self.readable, skip, out.len()) {
            let Some(part) = out.get_mut(done..done + count) else {
                break;
            };
            memory.read(address, part)?;
            done += count;
        }
        Ok(done)
    }

    /// Writes `data` to the writable bytes, from the `skip`th on; returns how many bytes had room.
    ///
    /// # Errors
    /// [`QueueError::Memory`].
    pub fn write(&self, memory: &dyn GuestMemory, skip: u64, data: &[u8]) -> Result<usize, QueueError> {
        let mut done = 0;
        for (address, count) in pieces(&self.writable, skip, data.len()) {
            let Some(part) = data.get(done..done + count) else {
                break;
            };
            memory.write(address, part)?;
            done += count;
        }
        Ok(done)
    }
}

/// The pieces of memory of `length` bytes from the `skip`th on.
fn pieces(segments: &[Segment], mut skip: u64, mut length: usize) -> impl Iterator<Item = (u64, usize)> {
    segments.iter().filter_map(move |segment| {
        let skipped = skip.min(segment.length.into());
        skip -= skipped;
        let count = ((u64::from(segment.length) - skipped) as usize).min(length);
        length -= count;
        (count != 0).then_some((segment.address + skipped, count))
    })
}

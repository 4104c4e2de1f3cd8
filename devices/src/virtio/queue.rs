//! Split virtqueues (VIRTIO 1.2, 2.7) as the device sees them.

use crate::bus::{GuestMemory, OutOfRange, order_with_guest};
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
    /// Index of the next used entry to write.
    next_used: u16,
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
    first_used: u16,
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
        }
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
        self.ready
    }
}

impl<'a> Ring<'a> {
    pub(super) fn new(queue: &'a mut Queue, memory: &'a dyn GuestMemory, event_idx: bool) -> Ring<'a> {
        let first_used = queue.next_used;
        Ring {
            queue,
            memory,
            event_idx,
            first_used,
        }
    }

    /// The memory the buffers are in.
    pub fn memory(&self) -> &'a dyn GuestMemory {
        self.memory
    }

    /// Entries of the queue.
    pub fn size(&self) -> u16 {
        self.queue.size
    }

    /// The next available chain, which stays available; `None` when there is none.
    ///
    /// # Errors
    /// [`QueueError`].
    pub fn peek(&self) -> Result<Option<Chain>, QueueError> {
        let available = self.available_index()?.wrapping_sub(self.queue.next_available);
        if available == 0 {
            return Ok(None);
        }
        if available > self.queue.size {
            return Err(QueueError::Available {
                available,
                size: self.queue.size,
            });
        }
        let entry = u64::from(self.queue.next_available % self.queue.size);
        let head = self.memory.load_u16(self.queue.driver + 4 + 2 * entry)?;
        self.chain(head).map(Some)
    }

    /// Gives the chain that [`peek`](Ring::peek) returned back to the driver, `written` bytes of it written.
    ///
    /// # Errors
    /// [`QueueError`].
    pub fn complete(&mut self, chain: &Chain, written: u32) -> Result<(), QueueError> {
        let entry = u64::from(self.queue.next_used % self.queue.size);
        let mut element = [0; 8];
        element[..4].copy_from_slice(&u32::from(chain.head).to_le_bytes());
        element[4..].copy_from_slice(&written.to_le_bytes());
        self.memory.write(self.queue.device + 4 + 8 * entry, &element)?;
        self.queue.next_available = self.queue.next_available.wrapping_add(1);
        self.queue.next_used = self.queue.next_used.wrapping_add(1);
        // The entry before the index that publishes it.
        fence(Ordering::Release);
        self.memory.store_u16(self.queue.device + 2, self.queue.next_used)?;
        Ok(())
    }

    /// Asks to be notified of the next chain (with VIRTIO_F_EVENT_IDX; without it the device always is). Returns whether
    /// one has come since `seen`.
    pub(super) fn ask_for_notification(&self, seen: u16) -> Result<bool, QueueError> {
        if self.event_idx {
            let avail_event = self.queue.device + 4 + 8 * u64::from(self.queue.size);
            self.memory.store_u16(avail_event, seen)?;
            order_with_guest();
        }
        Ok(self.available_index()? != seen)
    }

    /// The driver's index (2.7.6).
    pub(super) fn available_index(&self) -> Result<u16, QueueError> {
        let index = self.memory.load_u16(self.queue.driver + 2)?;
        // The index before the entries that it publishes.
        fence(Ordering::Acquire);
        Ok(index)
    }

    /// Whether the driver wants an interrupt for what was completed through this `Ring` (2.7.7).
    pub(super) fn wants_interrupt(&self) -> Result<bool, QueueError> {
        let (old, new) = (self.first_used, self.queue.next_used);
        if old == new {
            return Ok(false);
        }
        order_with_guest();
        if self.event_idx {
            let event = self
                .memory
                .load_u16(self.queue.driver + 4 + 2 * u64::from(self.queue.size))?;
            Ok(new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old))
        } else {
            Ok(self.memory.load_u16(self.queue.driver)? & NO_INTERRUPT == 0)
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

    fn chain(&self, head: u16) -> Result<Chain, QueueError> {
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
            memory.read(address, &mut out[done..done + count])?;
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
            memory.write(address, &data[done..done + count])?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::virtio::testing::{Driver, RAM};

    fn peek(driver: &mut Driver) -> Result<Option<Chain>, QueueError> {
        let memory = driver.memory.clone();
        Ring::new(&mut driver.queue, &memory, false).peek()
    }

    #[test]
    fn a_chain_is_gathered_and_scattered() {
        let mut driver = Driver::new(8);
        driver.memory.write(RAM + 0x1000, b"abcdef").unwrap();
        driver.describe(0, RAM + 0x1000, 2, flag::NEXT, 1);
        driver.describe(1, RAM + 0x1002, 4, flag::NEXT, 5);
        driver.describe(5, RAM + 0x1100, 3, flag::NEXT | flag::WRITE, 6);
        driver.describe(6, RAM + 0x1200, 3, flag::WRITE, 0);
        driver.make_available(0);

        let chain = peek(&mut driver).unwrap().unwrap();

        assert_eq!((chain.readable(), chain.writable()), (6, 6));
        let mut out = [0; 8];
        assert_eq!(chain.read(&driver.memory, 1, &mut out), Ok(5));
        assert_eq!(&out[..5], b"bcdef");
        assert_eq!(chain.write(&driver.memory, 2, b"12345"), Ok(4));
        assert_eq!(
            (driver.bytes(RAM + 0x1100, 3), driver.bytes(RAM + 0x1200, 3)),
            (b"\0\x001".to_vec(), b"234".to_vec())
        );
    }

    #[test]
    fn completed_chains_are_used() {
        let mut driver = Driver::new(4);
        driver.describe(2, RAM + 0x1000, 16, flag::WRITE, 0);
        driver.make_available(2);
        let memory = driver.memory.clone();

        let mut ring = Ring::new(&mut driver.queue, &memory, false);
        let chain = ring.peek().unwrap().unwrap();
        ring.complete(&chain, 7).unwrap();

        assert_eq!(ring.peek(), Ok(None));
        assert_eq!(ring.wants_interrupt(), Ok(true));
        assert_eq!(driver.used(), [(2, 7)]);
    }

    #[test]
    fn an_indirect_table_is_walked() {
        let mut driver = Driver::new(4);
        driver.describe(0, RAM + 0x3000, 32, flag::INDIRECT, 0);
        driver.describe_at(RAM + 0x3000, 0, RAM + 0x1000, 5, flag::NEXT, 1);
        driver.describe_at(RAM + 0x3000, 1, RAM + 0x2000, 6, flag::WRITE, 0);
        driver.make_available(0);

        let chain = peek(&mut driver).unwrap().unwrap();

        assert_eq!((chain.readable(), chain.writable()), (5, 6));
    }

    #[test]
    fn an_indirect_table_may_be_longer_than_the_queue() {
        let mut driver = Driver::new(2);
        driver.describe(1, RAM + 0x3000, 16 * 16, flag::INDIRECT, 0);
        for n in 0..16 {
            let flags = if n < 15 { flag::NEXT } else { 0 };
            driver.describe_at(RAM + 0x3000, n, RAM + 0x1000, 1, flags, n as u16 + 1);
        }
        driver.make_available(1);

        assert_eq!(peek(&mut driver).unwrap().unwrap().readable(), 16);
    }

    #[test]
    fn every_broken_rule_is_an_error() {
        type Case = (&'static str, fn(&mut Driver), fn(&QueueError) -> bool);
        let cases: [Case; 10] = [
            (
                "loop",
                |d| d.describe(0, RAM, 1, flag::NEXT, 0),
                |e| *e == QueueError::Endless,
            ),
            (
                "index",
                |d| d.describe(0, RAM, 1, flag::NEXT, 4),
                |e| *e == QueueError::Index { index: 4, size: 4 },
            ),
            (
                "buffer",
                |d| d.describe(0, RAM - 1, 1, 0, 0),
                |e| matches!(e, QueueError::Memory(_)),
            ),
            (
                "wrap",
                |d| d.describe(0, u64::MAX, u32::MAX, 0, 0),
                |e| matches!(e, QueueError::Memory(_)),
            ),
            (
                "table",
                |d| d.describe(0, 0, 16, flag::INDIRECT, 0),
                |e| matches!(e, QueueError::Memory(_)),
            ),
            (
                "odd table",
                |d| d.describe(0, RAM, 17, flag::INDIRECT, 0),
                |e| *e == QueueError::Indirect,
            ),
            (
                "no table",
                |d| d.describe(0, RAM, 0, flag::INDIRECT, 0),
                |e| *e == QueueError::Indirect,
            ),
            (
                "next",
                |d| d.describe(0, RAM, 16, flag::INDIRECT | flag::NEXT, 0),
                |e| *e == QueueError::Indirect,
            ),
            (
                "nested",
                |d| {
                    d.describe(0, RAM + 0x3000, 16, flag::INDIRECT, 0);
                    d.describe_at(RAM + 0x3000, 0, RAM + 0x3000, 16, flag::INDIRECT, 0);
                },
                |e| *e == QueueError::Indirect,
            ),
            (
                "order",
                |d| {
                    d.describe(0, RAM, 1, flag::WRITE | flag::NEXT, 1);
                    d.describe(1, RAM, 1, 0, 0);
                },
                |e| *e == QueueError::Order,
            ),
        ];
        for (name, lay_out, expected) in cases {
            let mut driver = Driver::new(4);
            lay_out(&mut driver);
            driver.make_available(0);

            let error = peek(&mut driver).unwrap_err();

            assert!(expected(&error), "{name}: {error:?}");
        }
    }

    #[test]
    fn too_many_available_chains_are_an_error() {
        let mut driver = Driver::new(4);
        (0..5).for_each(|_| driver.make_available(0));

        assert_eq!(peek(&mut driver), Err(QueueError::Available { available: 5, size: 4 }));
    }

    #[test]
    fn the_event_index_decides_on_interrupts() {
        for (event, wanted) in [(0, true), (1, false), (0xffff, false)] {
            let mut driver = Driver::new(4);
            driver.describe(0, RAM, 1, 0, 0);
            driver.make_available(0);
            driver.memory.store_u16(driver.queue.driver + 4 + 2 * 4, event).unwrap();
            let memory = driver.memory.clone();

            let mut ring = Ring::new(&mut driver.queue, &memory, true);
            let chain = ring.peek().unwrap().unwrap();
            ring.complete(&chain, 0).unwrap();

            assert_eq!(ring.wants_interrupt(), Ok(wanted), "{event}");
        }
    }

    #[test]
    fn impossible_places_do_not_start() {
        let driver = Driver::new(4);
        let starts = |change: fn(&mut Queue)| {
            let mut queue = driver.queue.clone();
            change(&mut queue);
            queue.start(&driver.memory)
        };

        assert!(starts(|_| {}));
        assert!(!starts(|q| q.size = 3));
        assert!(!starts(|q| q.size = 0));
        assert!(!starts(|q| q.descriptors += 8));
        assert!(!starts(|q| q.driver += 1));
        assert!(!starts(|q| q.device += 2));
        assert!(!starts(|q| q.descriptors = u64::MAX - 15));
        assert!(!starts(|q| q.device = 0));
    }
}

use super::*;
use crate::bus::RamWindow;
use crate::virtio::testing::{Driver, RAM, RAM_SIZE};
use std::sync::Mutex;

fn pop(driver: &mut Driver) -> Result<Option<Chain>, QueueError> {
    let memory = driver.memory.clone();
    Ring::new(&mut driver.queue, &memory, false).pop()
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

    let chain = pop(&mut driver).unwrap().unwrap();

    assert_eq!((chain.readable(), chain.writable()), (6, 6));
    let mut out = [0; 8];
    assert_eq!(chain.read(&driver.memory, 1, &mut out), Ok(5));
    assert_eq!(&out[..5], b"bcdef");
    let mut out = [0; 3];
    assert_eq!(chain.read(&driver.memory, 1, &mut out), Ok(3));
    assert_eq!(&out, b"bcd");
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
    let chain = ring.pop().unwrap().unwrap();
    ring.push(&chain, 7).unwrap();

    assert_eq!(ring.pop(), Ok(None));
    assert_eq!(
        ring.settle(),
        Ok(Settled {
            interrupt: true,
            more: false
        })
    );
    assert_eq!(driver.used(), [(2, 7)]);
}

#[test]
fn an_indirect_table_is_walked() {
    let mut driver = Driver::new(4);
    driver.describe(0, RAM + 0x3000, 32, flag::INDIRECT, 0);
    driver.describe_at(RAM + 0x3000, 0, RAM + 0x1000, 5, flag::NEXT, 1);
    driver.describe_at(RAM + 0x3000, 1, RAM + 0x2000, 6, flag::WRITE, 0);
    driver.make_available(0);

    let chain = pop(&mut driver).unwrap().unwrap();

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

    assert_eq!(pop(&mut driver).unwrap().unwrap().readable(), 16);
}

#[test]
fn every_broken_rule_is_an_error() {
    type Case = (&'static str, fn(&mut Driver), fn(&QueueError) -> bool);
    let cases: [Case; 11] = [
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
            "index in a table",
            |d| {
                d.describe(0, RAM + 0x3000, 32, flag::INDIRECT, 0);
                d.describe_at(RAM + 0x3000, 0, RAM, 1, flag::NEXT, 2);
            },
            |e| *e == QueueError::Index { index: 2, size: 2 },
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

        let error = pop(&mut driver).unwrap_err();

        assert!(expected(&error), "{name}: {error:?}");
    }
}

#[test]
fn too_many_available_chains_are_an_error() {
    let mut driver = Driver::new(4);
    (0..5).for_each(|_| driver.make_available(0));

    assert_eq!(pop(&mut driver), Err(QueueError::Available { available: 5, size: 4 }));
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
        let chain = ring.pop().unwrap().unwrap();
        ring.push(&chain, 0).unwrap();

        assert_eq!(ring.settle().unwrap().interrupt, wanted, "{event}");
    }
}

/// The index that the driver waits for may be that of any chain of the batch, also past the index's end.
#[test]
fn the_event_index_may_be_any_of_the_batch() {
    for (first, count, event, wanted) in [
        (0, 3, 0, true),
        (0, 3, 2, true),
        (0, 3, 3, false),
        (5, 3, 4, false),
        (0xfffe, 4, 0xfffd, false),
        (0xfffe, 4, 0xfffe, true),
        (0xfffe, 4, 0xffff, true),
        (0xfffe, 4, 1, true),
        (0xfffe, 4, 2, false),
        (0xffff, 1, 0xffff, true),
        (0, 1, 0xffff, false),
    ] {
        let mut driver = Driver::new(8);
        driver.describe(0, RAM, 1, 0, 0);
        let (available, last) = (driver.queue.driver + 2, u16::wrapping_add(first, count));
        driver.memory.store_u16(available, last).unwrap();
        driver.memory.store_u16(driver.queue.driver + 4 + 2 * 8, event).unwrap();
        (driver.queue.next_available, driver.queue.next_used) = (first, first);
        let memory = driver.memory.clone();

        let mut ring = Ring::new(&mut driver.queue, &memory, true);
        while let Some(chain) = ring.pop().unwrap() {
            ring.push(&chain, 0).unwrap();
        }

        assert_eq!(
            ring.settle().unwrap().interrupt,
            wanted,
            "{event:#x} of {count} from {first:#x}"
        );
        assert_eq!(memory.load_u16(driver.queue.device + 2), Ok(last));
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

#[test]
fn a_queue_lies_in_ram_as_a_whole() {
    const END: u64 = RAM + RAM_SIZE;
    let driver = Driver::new(4);
    // The last places for the parts of a queue of 4, and the next ones: 64, 14 and 38 bytes (2.7).
    for (starts, descriptors, available, used) in [
        (true, END - 64, END - 14, END - 40),
        (false, END - 48, END - 14, END - 40),
        (false, END - 64, END - 12, END - 40),
        (false, END - 64, END - 14, END - 36),
    ] {
        let mut queue = driver.queue.clone();
        (queue.descriptors, queue.driver, queue.device) = (descriptors, available, used);
        assert_eq!(queue.start(&driver.memory), starts);
    }
}

#[test]
fn notifications_are_asked_for_with_event_indices_only() {
    for event_idx in [false, true] {
        let mut driver = Driver::new(4);
        let memory = driver.memory.clone();
        let asked = driver.queue.device + 4 + 8 * 4;
        memory.store_u16(asked, 0x5a5a).unwrap();
        driver.make_available(0);

        let settled = Ring::new(&mut driver.queue, &memory, event_idx).settle().unwrap();

        let (interrupt, more) = (false, event_idx);
        assert_eq!(settled, Settled { interrupt, more });
        assert_eq!(memory.load_u16(asked), Ok(if event_idx { 0 } else { 0x5a5a }));
    }
}

/// Memory that has RAM everywhere, as far as anybody asks.
struct Vast(RamWindow);

impl GuestMemory for Vast {
    fn read(&self, address: u64, out: &mut [u8]) -> Result<(), OutOfRange> {
        self.0.read(address, out)
    }
    fn write(&self, address: u64, data: &[u8]) -> Result<(), OutOfRange> {
        self.0.write(address, data)
    }
    fn contains(&self, _: u64, _: u64) -> bool {
        true
    }
    fn load_u16(&self, address: u64) -> Result<u16, OutOfRange> {
        self.0.load_u16(address)
    }
    fn store_u16(&self, address: u64, value: u16) -> Result<(), OutOfRange> {
        self.0.store_u16(address, value)
    }
    fn order(&self) {}
}

#[test]
fn a_chain_has_4_gib_at_most() {
    for (last, found) in [(1, Ok(1 << 32)), (2, Err(QueueError::TooLong))] {
        let mut driver = Driver::new(4);
        driver.describe(0, RAM, 0x8000_0000, flag::NEXT, 1);
        driver.describe(1, RAM, 0x7fff_ffff, flag::NEXT, 2);
        driver.describe(2, RAM, last, 0, 0);
        let memory = Vast(driver.memory.clone());

        let chain = Ring::new(&mut driver.queue, &memory, false).chain(0);

        assert_eq!(chain.map(|chain| chain.readable()), found);
    }
}

/// Memory whose stores nobody else sees before [`order`](GuestMemory::order), as a CPU's store buffer may have it, and a
/// driver that acts right after the device's next load of `at`.
struct Buffered<'a> {
    memory: RamWindow,
    stores: Mutex<Vec<(u64, Vec<u8>)>>,
    at: u64,
    driver: Mutex<Option<Box<dyn FnOnce() + Send + 'a>>>,
}

impl Buffered<'_> {
    fn take(&self, address: u64, data: &[u8]) -> Result<(), OutOfRange> {
        self.stores.lock().unwrap().push((address, data.to_vec()));
        Ok(())
    }
}

impl GuestMemory for Buffered<'_> {
    fn read(&self, address: u64, out: &mut [u8]) -> Result<(), OutOfRange> {
        self.memory.read(address, out)
    }
    fn write(&self, address: u64, data: &[u8]) -> Result<(), OutOfRange> {
        self.take(address, data)
    }
    fn contains(&self, address: u64, length: u64) -> bool {
        self.memory.contains(address, length)
    }
    fn load_u16(&self, address: u64) -> Result<u16, OutOfRange> {
        let value = self.memory.load_u16(address);
        if address == self.at
            && let Some(driver) = self.driver.lock().unwrap().take()
        {
            driver();
        }
        value
    }
    fn store_u16(&self, address: u64, value: u16) -> Result<(), OutOfRange> {
        self.take(address, &value.to_le_bytes())
    }
    fn order(&self) {
        for (address, data) in self.stores.lock().unwrap().drain(..) {
            self.memory.write(address, &data).unwrap();
        }
    }
}

/// Settles a ring of four entries with one chain given back; what the driver saw at `seen`, once it had stored `value` at
/// `stores`, right after the device had loaded from `at`.
fn meet(event_idx: bool, [at, stores, seen]: [fn(&Queue) -> u64; 3], value: u16) -> (Settled, u16) {
    let mut driver = Driver::new(4);
    driver.describe(0, RAM, 1, 0, 0);
    driver.make_available(0);
    let (memory, queue, saw) = (driver.memory.clone(), driver.queue.clone(), Mutex::new(0));
    memory.store_u16(queue.driver, NO_INTERRUPT).unwrap();
    memory.store_u16(queue.driver + 12, 0xffff).unwrap();
    let buffered = Buffered {
        memory: memory.clone(),
        stores: Mutex::default(),
        at: at(&queue),
        driver: Mutex::default(),
    };
    let mut ring = Ring::new(&mut driver.queue, &buffered, event_idx);
    let chain = ring.pop().unwrap().unwrap();
    ring.push(&chain, 0).unwrap();
    assert_eq!(ring.pop(), Ok(None));
    *buffered.driver.lock().unwrap() = Some(Box::new(|| {
        memory.store_u16(stores(&queue), value).unwrap();
        *saw.lock().unwrap() = memory.load_u16(seen(&queue)).unwrap();
    }));

    let settled = ring.settle().unwrap();

    (settled, *saw.lock().unwrap())
}

/// A driver turns interrupts on while the device decides against one: it must see what is used by then (2.7.7).
#[test]
fn a_driver_that_gets_no_interrupt_sees_the_used_buffer() {
    let used: fn(&Queue) -> u64 = |queue| queue.device + 2;

    let flags: fn(&Queue) -> u64 = |queue| queue.driver;
    assert_eq!(meet(false, [flags, flags, used], 0), (QUIET, 1));
    let event: fn(&Queue) -> u64 = |queue| queue.driver + 12;
    assert_eq!(meet(true, [event, event, used], 0), (QUIET, 1));
}

/// A driver adds a chain while the device finds none: it must see that the device wants to be notified (2.7.10).
#[test]
fn a_driver_whose_chain_is_overlooked_sees_that_it_has_to_notify() {
    let available: fn(&Queue) -> u64 = |queue| queue.driver + 2;
    let asked: fn(&Queue) -> u64 = |queue| queue.device + 4 + 8 * 4;

    assert_eq!(meet(true, [available, available, asked], 2), (QUIET, 1));
}

const QUIET: Settled = Settled {
    interrupt: false,
    more: false,
};

#[test]
fn chains_are_given_back_in_any_order_and_count_as_long_as_they_are_out() {
    let mut driver = Driver::new(4);
    for n in 0..4 {
        driver.describe(n.into(), RAM, 1, 0, 0);
        driver.make_available(n);
    }
    let memory = driver.memory.clone();

    let mut ring = Ring::new(&mut driver.queue, &memory, false);
    let chains = [0; 4].map(|_| ring.pop().unwrap().unwrap());
    assert_eq!(ring.outstanding(), 4);
    for n in [2, 0, 3] {
        ring.push(&chains[n], n as u32).unwrap();
    }
    assert_eq!(ring.outstanding(), 1);
    ring.settle().unwrap();

    assert_eq!(driver.used(), [(2, 2), (0, 0), (3, 3)]);
    // The queue has four entries; one of them is still out.
    (0..4).for_each(|_| driver.make_available(0));
    assert_eq!(pop(&mut driver), Err(QueueError::Available { available: 5, size: 4 }));
}

/// What drivers may do, and some devices refuse (2.7.5.3).
#[test]
fn chains_of_every_lawful_shape_are_walked() {
    let mut driver = Driver::new(4);
    for n in 0..4 {
        let flags = if n < 3 { flag::NEXT } else { 0 };
        driver.describe(n, RAM, 1, flags, n as u16 + 1);
    }
    driver.make_available(0);
    assert_eq!(pop(&mut driver).unwrap().unwrap().readable(), 4, "as long as the queue");

    // The flag WRITE means nothing at a descriptor that refers to a table.
    driver.describe(0, RAM, 1, flag::NEXT, 1);
    driver.describe(1, RAM + 0x3000, 3 * 16, flag::INDIRECT | flag::WRITE, 0);
    for n in 0..3 {
        let flags = if n < 2 { flag::NEXT } else { 0 };
        driver.describe_at(RAM + 0x3000, n, RAM, 2, flags, n as u16 + 1);
    }
    driver.make_available(0);
    assert_eq!(pop(&mut driver).unwrap().unwrap().readable(), 7, "a table at the end");

    driver.describe(2, RAM + 0x3000, 0x10_0000, flag::INDIRECT, 0);
    driver.make_available(2);
    assert!(
        matches!(pop(&mut driver), Err(QueueError::Memory(_))),
        "its length is not cut to 16 bits"
    );
}

use super::*;
use crate::bus::{Access, Device, Format, Lines, Ram, RamWindow, Saved, fuzz};
use crate::virtio::slot::cause::{CONFIG_CHANGED, USED_BUFFERS};
use crate::virtio::testing::{Driver, RAM, RAM_SIZE};
use crate::virtio::{QueueError, Request, Step, status};
use std::convert::Infallible;

/// Returns every buffer unchanged; has a configuration word.
struct Echo;

impl VirtioDevice for Echo {
    const MODEL: &'static str = "virtio-echo";
    const DEVICE_ID: u32 = 0x42;
    type State = u32;
    type Answer = Infallible;

    fn features(&self) -> u64 {
        1 << 3
    }

    fn queues(&self) -> Vec<u16> {
        vec![16, 8]
    }

    fn config(&self, state: &u32, offset: u64) -> u32 {
        if offset == 4 { *state } else { 0 }
    }

    fn set_config(&mut self, state: &mut u32, offset: u64, mask: u32, value: u32) {
        if offset == 4 {
            *state = *state & !mask | value;
        }
    }

    fn serve(&mut self, _: &mut u32, _: Request<'_>) -> Result<Step<Infallible>, QueueError> {
        Ok(Step::Done(0))
    }

    fn finish(&mut self, _: &mut u32, _: Request<'_>, answer: Infallible) -> Result<Step<Infallible>, QueueError> {
        match answer {}
    }
}

struct Bench {
    slot: Shared<Mmio<Echo>>,
    memory: RamWindow,
    lines: Arc<Lines>,
}

impl Bench {
    fn new() -> Bench {
        let wiring = Wiring::new();
        let lines = Lines::new(&wiring, 1);
        let memory = RamWindow::new(RAM, Arc::new(Ram::new(RAM_SIZE).unwrap()), None);
        let slot = Mmio::new(&wiring, lines.irq(0), Arc::new(memory.clone()), Echo);
        Bench { slot, memory, lines }
    }

    fn start(&self) -> Driver {
        Driver::start(&self.slot, &self.memory, feature::VERSION_1, 1).remove(0)
    }

    fn get(&self, offset: u64) -> u32 {
        self.slot.read(Access::new(offset, 4)) as u32
    }

    /// Writes a register; what there is to do is done at once.
    fn set(&self, offset: u64, value: u32) {
        self.slot.write(Access::new(offset, 4), value.into());
        self.slot.work();
    }
}

#[test]
fn identification_and_features() {
    let b = Bench::new();

    assert_eq!([0, 4, 8, 12].map(|offset| b.get(offset)), [MAGIC, 2, 0x42, VENDOR]);
    assert_eq!(b.get(0x10), 1 << 3 | 3 << 28);
    b.set(0x14, 1);
    assert_eq!(b.get(0x10), 1);
    b.set(0x14, 2);
    assert_eq!(b.get(0x10), 0);
    assert_eq!([0, 1, 2].map(|n| (b.set(0x30, n), b.get(0x34)).1), [16, 8, 0]);
    assert_eq!((b.get(0xb0), b.get(0xb4)), (!0, !0));
}

#[test]
fn an_empty_slot_has_device_id_0() {
    let slot = Shared::new(&Wiring::new(), EmptySlot::default());

    let words = [0, 4, 8, 12, 0x70].map(|offset| slot.read(Access::new(offset, 4)) as u32);

    assert_eq!(words, [MAGIC, 2, 0, VENDOR, 0]);
}

#[test]
fn features_that_were_not_offered_are_not_ok() {
    for features in [0, 1 << 3, feature::VERSION_1 | 1 << 4, feature::VERSION_1 | 1 << 63] {
        let b = Bench::new();
        Driver::start(&b.slot, &b.memory, features, 0);
        assert_eq!(b.get(0x70) & status::FEATURES_OK, 0, "{features:#x}");
    }
    let b = Bench::new();
    Driver::start(&b.slot, &b.memory, feature::ALL | 1 << 3, 0);
    assert_eq!(b.get(0x70), 15);
}

#[test]
fn used_buffers_interrupt_until_acknowledged() {
    let b = Bench::new();
    let mut driver = b.start();
    driver.describe(0, RAM, 4, 0, 0);
    driver.make_available(0);

    b.set(0x50, 0);

    assert_eq!(driver.used(), [(0, 0)]);
    assert!(b.lines.level(0));
    assert_eq!(b.get(0x60), USED_BUFFERS);
    b.set(0x64, USED_BUFFERS);
    assert!(!b.lines.level(0));
}

#[test]
fn a_driver_that_wants_no_interrupt_gets_none() {
    let b = Bench::new();
    let mut driver = b.start();
    driver.memory.store_u16(driver.queue.driver, 1).unwrap();
    driver.describe(0, RAM, 4, 0, 0);
    driver.make_available(0);

    b.set(0x50, 0);

    assert_eq!(driver.used(), [(0, 0)]);
    assert!(!b.lines.level(0));
}

#[test]
fn with_event_indices_the_device_asks_for_the_next_buffer() {
    let b = Bench::new();
    let mut driver = Driver::start(&b.slot, &b.memory, feature::VERSION_1 | feature::EVENT_IDX, 1).remove(0);
    driver.describe(0, RAM, 4, 0, 0);
    driver.make_available(0);
    driver.make_available(0);

    b.set(0x50, 0);

    assert_eq!(b.memory.load_u16(driver.queue.device + 4 + 8 * 8), Ok(2));
    assert!(b.lines.level(0));
}

#[test]
fn a_broken_queue_needs_a_reset_and_gets_over_it() {
    let b = Bench::new();
    let mut driver = b.start();
    driver.describe(0, RAM, 4, 1, 0);
    driver.make_available(0);

    b.set(0x50, 0);
    assert_eq!(b.get(0x70), 15 | status::DEVICE_NEEDS_RESET);
    assert_eq!(b.get(0x60), CONFIG_CHANGED);
    assert!(b.lines.level(0));

    b.set(0x70, 0);
    assert_eq!((b.get(0x70), b.lines.level(0)), (0, false));
    b.memory.write(RAM, &vec![0; RAM_SIZE as usize]).unwrap();
    let mut driver = b.start();
    driver.make_available(0);
    b.set(0x50, 0);
    assert_eq!(driver.used().len(), 1);
}

#[test]
fn a_queue_in_an_impossible_place_is_not_ready() {
    let b = Bench::new();
    b.set(0x38, 17);
    b.set(0x44, 1);
    assert_eq!(b.get(0x44), 0);
    b.set(0x38, 16);
    b.set(0x84, 0xffff_ffff);
    b.set(0x44, 1);
    assert_eq!(b.get(0x44), 0);
}

#[test]
fn a_queue_is_ready_by_bit_0() {
    let b = Bench::new();
    b.start();

    assert_eq!(b.get(0x44), 1);
    b.set(0x44, 2);
    assert_eq!(b.get(0x44), 0);
}

#[test]
fn addresses_are_written_in_halves() {
    let b = Bench::new();
    let places = || {
        b.slot.with(|mmio| {
            let queue = mmio.slot.queue().unwrap();
            [queue.descriptors, queue.driver, queue.device]
        })
    };
    for (n, offset) in [(0, 0x80), (1, 0x90), (2, 0xa0)] {
        for (offset, half, address) in [
            (offset, 0x8765_4320, 0x8765_4320),
            (offset + 4, 0xfedc_ba98, 0xfedc_ba98_8765_4320),
            (offset, 0x1234_5678, 0xfedc_ba98_1234_5678),
            (offset + 4, 1, 0x1_1234_5678),
        ] {
            b.set(offset, half);
            assert_eq!(places()[n], address, "{offset:#x}");
        }
    }
    assert_eq!(places(), [0x1_1234_5678; 3]);
}

#[test]
fn configuration_is_accessed_in_bytes() {
    let b = Bench::new();

    b.slot.write(Access::new(0x105, 1), 0xab);
    b.slot.write(Access::new(0x106, 2), 0xcdef);

    assert_eq!(b.slot.read(Access::new(0x104, 4)), 0xcdef_ab00);
    assert_eq!(b.slot.read(Access::new(0x107, 1)), 0xcd);
}

#[test]
fn a_running_queue_survives_save_and_load() {
    let b = Bench::new();
    let mut driver = b.start();
    driver.describe(0, RAM, 4, 0, 0);
    driver.make_available(0);
    b.set(0x50, 0);
    let saved = b.slot.save();

    b.slot.reset();
    assert!(!b.lines.level(0));
    b.slot.load(&saved).unwrap();
    assert!(b.lines.level(0));
    driver.make_available(0);
    b.set(0x50, 0);

    assert_eq!(driver.used().len(), 2);
}

#[test]
fn a_state_with_impossible_queues_is_refused() {
    let b = Bench::new();
    let refused = |change: fn(&mut State<u32, Infallible>)| {
        let mut state = b.slot.with(|mmio| mmio.slot.initial());
        change(&mut state);
        b.slot.load(&Saved::new(&FORMAT, &state)).is_err()
    };

    assert!(!refused(|_| {}));
    assert!(refused(|state| state.queues[0].ready = true));
    assert!(!refused(|state| state.queues[0].size = 16));
    assert!(refused(|state| state.queues[0].size = 17));
    assert!(refused(|state| state.queues.clear()));
}

const FORMAT: Format = Format {
    version: slot::VERSION,
    ..Format::first("virtio-echo")
};

/// Does all the work there is.
fn work<D: VirtioDevice>(mmio: &mut Mmio<D>) {
    loop {
        match mmio.next() {
            Next::Idle => return,
            Next::More => {}
            Next::Unlocked(job) => job()(mmio),
        }
    }
}

/// Random accesses to two slots of a kind, the first over rings full of nonsense.
pub(in crate::virtio) fn fuzz_slots<D: VirtioDevice>(build: impl Fn(&Arc<Wiring>, RamWindow) -> Shared<Mmio<D>>) {
    let offsets: Vec<u64> = (0..0x104).step_by(4).collect();
    for seed in 0..6 {
        let memory = RamWindow::new(RAM, Arc::new(Ram::new(RAM_SIZE).unwrap()), None);
        let wiring = Wiring::new();
        // The same memory, so that the other one can take over running queues.
        let (slot, other) = (build(&wiring, memory.clone()), build(&wiring, memory.clone()));
        let queues = slot.with(|mmio| mmio.slot.state.queues.len() as u64);
        Driver::start(&slot, &memory, feature::VERSION_1, queues);
        slot.with(|slot| {
            let running = slot.slot.state.queues.clone();
            other.with(|other| {
                fuzz::registers(seed, slot, other, &offsets, 0x200, |slot, random| {
                    let state = &mut slot.slot.state;
                    if state.status & status::DEVICE_NEEDS_RESET != 0 {
                        slot.reset();
                    }
                    let state = &mut slot.slot.state;
                    state.status = 15;
                    for (queue, running) in state.queues.iter_mut().zip(&running) {
                        if !queue.ready {
                            *queue = running.clone();
                        }
                    }
                    for _ in 0..64 {
                        let address = RAM + 0x8000 + random.below(0x2000);
                        let bytes = (RAM + random.value() % RAM_SIZE).to_le_bytes();
                        let count = [1, 2, 4, 8][random.below(4) as usize];
                        memory.write(address, &bytes[..count]).unwrap();
                    }
                    work(slot);
                })
            })
        });
    }
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn any_access_and_any_ring_is_survived() {
    fuzz_slots(|wiring, memory| Mmio::new(wiring, Irq::unconnected(), Arc::new(memory), Echo));
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn any_access_to_an_empty_slot_is_survived() {
    let (mut slot, mut other) = (EmptySlot::default(), EmptySlot::default());
    fuzz::registers(
        0,
        &mut slot,
        &mut other,
        &[0, 4, 8, 0x44, 0x70, 0x100],
        0x200,
        |_, _| {},
    );
}

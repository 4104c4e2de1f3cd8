//! Entropy device: VIRTIO 1.2, 5.4.

use super::{LARGEST, QueueError, Request, Step, VirtioDevice};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

/// Most bytes given at once; a driver that wants more asks again.
const MOST: u64 = 4096;

/// Random numbers from the host's generator.
#[derive(Default)]
pub struct Rng(());

impl Rng {
    /// An entropy device.
    pub fn new() -> Rng {
        Rng(())
    }
}

impl VirtioDevice for Rng {
    const MODEL: &'static str = "virtio-rng";
    const DEVICE_ID: u32 = 4;
    type State = ();
    type Answer = Vec<u8>;

    fn queues(&self) -> Vec<u16> {
        vec![LARGEST]
    }

    fn serve(&mut self, _state: &mut (), request: Request<'_>) -> Result<Step<Vec<u8>>, QueueError> {
        // A request without room for an answer (5.4.6.1) would be asked for ever.
        if request.chain.writable() == 0 {
            return Err(QueueError::Unsuitable);
        }
        let count = request.chain.writable().min(MOST) as usize;
        Ok(Step::Unlocked(Box::new(move || random(count))))
    }

    fn finish(&mut self, _: &mut (), request: Request<'_>, bytes: Vec<u8>) -> Result<Step<Vec<u8>>, QueueError> {
        let written = request.chain.write(request.memory, 0, &bytes)?;
        Ok(Step::Done(written as u32))
    }
}

/// Random bytes, `count` of them if the host has so many.
fn random(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    let there = fill(&mut bytes);
    bytes.truncate(there);
    bytes
}

/// Fills `bytes` with random ones; returns how many there were.
fn fill(bytes: &mut [u8]) -> usize {
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match getrandom(rest, GetRandomFlags::empty()) {
            Ok(count) => done += count,
            Err(Errno::INTR) => {}
            Err(error) => {
                tracing::warn!("the host has no random numbers: {error}");
                break;
            }
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::{Access, Irq, Ram, RamWindow, Wiring};
    use crate::virtio::feature;
    use crate::virtio::mmio::Mmio;
    use crate::virtio::testing::{Driver, RAM, RAM_SIZE};
    use std::sync::Arc;

    fn ask(length: u32, flags: u16) -> (Driver, u64) {
        let memory = RamWindow::new(RAM, Arc::new(Ram::new(RAM_SIZE).unwrap()), None);
        let slot = Mmio::new(&Wiring::new(), Irq::unconnected(), Arc::new(memory.clone()), Rng::new());
        let mut driver = Driver::start(&slot, &memory, feature::VERSION_1, 1).remove(0);
        driver.describe(0, RAM, length, flags, 0);
        driver.make_available(0);
        slot.write(Access::new(0x50, 4), 0);
        slot.work();
        (driver, slot.read(Access::new(0x70, 4)))
    }

    #[test]
    fn a_buffer_is_filled() {
        let (driver, _) = ask(64, 2);

        assert_eq!(driver.used(), [(0, 64)]);
        // 64 zeros in a row are less likely than a cosmic ray.
        assert_ne!(driver.bytes(RAM, 64), [0; 64]);
        assert_eq!(driver.bytes(RAM + 64, 8), [0; 8]);
    }

    #[test]
    fn a_huge_buffer_gets_a_start() {
        let (driver, _) = ask(0x7000, 2);

        assert_eq!(driver.used(), [(0, MOST as u32)]);
    }

    #[test]
    fn a_buffer_without_room_needs_a_reset() {
        let (driver, status) = ask(64, 0);

        assert_eq!((driver.used(), status & 0x40), (vec![], 0x40));
    }

    #[test]
    fn its_queue_is_as_large_as_drivers_want() {
        let memory = RamWindow::new(RAM, Arc::new(Ram::new(RAM_SIZE).unwrap()), None);
        let slot = Mmio::new(&Wiring::new(), Irq::unconnected(), Arc::new(memory), Rng::new());

        assert_eq!(slot.read(Access::new(0x34, 4)), 1024);
    }

    #[test]
    fn it_has_neither_features_of_its_own_nor_a_configuration() {
        let memory = RamWindow::new(RAM, Arc::new(Ram::new(RAM_SIZE).unwrap()), None);
        let slot = Mmio::new(&Wiring::new(), Irq::unconnected(), Arc::new(memory), Rng::new());

        let words = [0x08, 0x10, 0x100, 0x104].map(|offset| slot.read(Access::new(offset, 4)));

        assert_eq!(words, [4, feature::ALL & 0xffff_ffff, 0, 0]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
    fn any_access_and_any_ring_is_survived() {
        crate::virtio::mmio::tests::fuzz_slots(|wiring, memory| {
            Mmio::new(wiring, Irq::unconnected(), Arc::new(memory), Rng::new())
        });
    }
}

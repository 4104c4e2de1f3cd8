//! Console device: VIRTIO 1.2, 5.3. A single port, with emergency write.

use super::mmio::Mmio;
use super::{QueueError, Ring, VirtioDevice};
use crate::backend::CharBackend;
use crate::bus::{GuestMemory, Irq, Registers, Shared, Wiring};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// VIRTIO_CONSOLE_F_EMERG_WRITE.
const EMERG_WRITE: u64 = 1 << 2;
/// Offset of emerg_wr in the configuration.
const EMERG_WR: u64 = 8;
/// Bytes moved at once.
const CHUNK: usize = 4096;
/// Most bytes of a transmit buffer: far above what drivers send, and what keeps a hostile one from copying for hours.
const LONGEST: u64 = 1 << 20;
/// The receive queue; the other one is for transmission.
const RECEIVE: usize = 0;

/// A console on a character backend.
pub struct Console {
    backend: Arc<dyn CharBackend>,
}

/// What a snapshot holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Bytes of the first available transmit buffer that the backend has taken already.
    sent: u64,
}

impl Console {
    /// A slot with a console that talks to `backend`, whose client it becomes.
    pub fn mmio(
        wiring: &Arc<Wiring>,
        irq: Irq,
        memory: Arc<dyn GuestMemory>,
        backend: Arc<dyn CharBackend>,
    ) -> Shared<Mmio<Console>> {
        let slot = Mmio::new(
            wiring,
            irq,
            memory,
            Console {
                backend: backend.clone(),
            },
        );
        let client = slot.downgrade();
        backend.connect(Box::new(move || {
            client.with(Mmio::update);
        }));
        slot
    }

    /// Gives the driver what input there is.
    fn receive(&self, ring: &mut Ring<'_>) -> Result<(), QueueError> {
        let mut chunk = [0; CHUNK];
        for _ in 0..ring.size() {
            let Some(chain) = ring.peek()? else { return Ok(()) };
            if chain.writable() == 0 {
                return Err(QueueError::Unsuitable);
            }
            let room = chain.writable().min(CHUNK as u64) as usize;
            let count = self.backend.read(&mut chunk[..room]);
            if count == 0 {
                return Ok(());
            }
            let written = chain.write(ring.memory(), 0, &chunk[..count])?;
            ring.complete(&chain, written as u32)?;
        }
        Ok(())
    }

    /// Gives the backend what it takes of the driver's output. A buffer stays available until all of it is taken.
    fn transmit(&self, state: &mut State, ring: &mut Ring<'_>) -> Result<(), QueueError> {
        let mut chunk = [0; CHUNK];
        for _ in 0..ring.size() {
            let Some(chain) = ring.peek()? else { return Ok(()) };
            if chain.readable() > LONGEST {
                return Err(QueueError::Unsuitable);
            }
            loop {
                let count = chain.read(ring.memory(), state.sent, &mut chunk)?;
                if count == 0 {
                    break;
                }
                let taken = self.backend.write(&chunk[..count]);
                state.sent += taken as u64;
                if taken < count {
                    return Ok(());
                }
            }
            state.sent = 0;
            ring.complete(&chain, 0)?;
        }
        Ok(())
    }
}

impl VirtioDevice for Console {
    const MODEL: &'static str = "virtio-console";
    const DEVICE_ID: u32 = 3;
    const FEATURES: u64 = EMERG_WRITE;
    const QUEUES: &'static [u16] = &[128, 128];
    type State = State;

    /// cols, rows and max_nr_ports are not offered: zero.
    fn set_config(&mut self, _state: &mut State, offset: u64, mask: u32, value: u32) {
        if offset == EMERG_WR && mask & 0xff != 0 {
            // Best effort, by its definition (5.3.4).
            self.backend.write(&[value as u8]);
        }
    }

    fn process(&mut self, state: &mut State, index: usize, ring: &mut Ring<'_>) -> Result<(), QueueError> {
        match index {
            RECEIVE => self.receive(ring),
            _ => self.transmit(state, ring),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::MemoryChar;
    use crate::bus::{Access, Lines, Ram, RamWindow};
    use crate::virtio::feature;
    use crate::virtio::testing::{Driver, RAM, RAM_SIZE};

    struct Bench {
        slot: Shared<Mmio<Console>>,
        host: MemoryChar,
        lines: Arc<Lines>,
        receive: Driver,
        transmit: Driver,
    }

    impl Bench {
        fn new() -> Bench {
            let (wiring, host) = (Wiring::new(), MemoryChar::new());
            let lines = Lines::new(&wiring, 1);
            let memory = RamWindow::new(RAM, Arc::new(Ram::new(RAM_SIZE).unwrap()), None);
            let slot = Console::mmio(&wiring, lines.irq(0), Arc::new(memory.clone()), Arc::new(host.clone()));
            let mut drivers = Driver::start(&slot, &memory, feature::VERSION_1 | EMERG_WRITE, 2);
            let (transmit, receive) = (drivers.remove(1), drivers.remove(0));
            Bench {
                slot,
                host,
                lines,
                receive,
                transmit,
            }
        }

        fn notify(&self, queue: u64) {
            self.slot.write(Access::new(0x50, 4), queue);
        }
    }

    #[test]
    fn output_goes_to_the_backend() {
        let mut b = Bench::new();
        b.transmit.memory.write(RAM, b"hello").unwrap();
        b.transmit.describe(0, RAM, 5, 0, 0);
        b.transmit.make_available(0);

        b.notify(1);

        assert_eq!(b.host.take_output(), b"hello");
        assert_eq!(b.transmit.used(), [(0, 0)]);
        assert!(b.lines.level(0));
    }

    #[test]
    fn a_full_backend_holds_the_buffer_back_and_loses_nothing() {
        let mut b = Bench::new();
        b.host.set_limit(Some(3));
        b.transmit.memory.write(RAM, b"hello").unwrap();
        b.transmit.describe(0, RAM, 5, 0, 0);
        b.transmit.make_available(0);

        b.notify(1);
        assert!(b.transmit.used().is_empty());
        let saved = b.slot.save();
        b.slot.load(&saved).unwrap();
        assert_eq!(b.host.take_output(), b"hel");
        assert_eq!(b.host.take_output(), b"lo");

        assert_eq!(b.transmit.used(), [(0, 0)]);
    }

    #[test]
    fn input_fills_buffers_as_they_come() {
        let mut b = Bench::new();
        b.receive.describe(0, RAM, 4, 2, 0);
        b.host.feed(b"abcdef");
        assert!(!b.lines.level(0));

        b.receive.make_available(0);
        b.notify(0);
        assert_eq!(
            (b.receive.used(), b.receive.bytes(RAM, 4)),
            (vec![(0, 4)], b"abcd".to_vec())
        );
        b.receive.make_available(0);
        b.notify(0);
        assert_eq!(b.receive.used()[1], (0, 2));
        b.receive.make_available(0);
        b.notify(0);
        b.host.feed(b"g");
        assert_eq!(b.receive.used()[2], (0, 1));
    }

    #[test]
    fn emergency_output_needs_no_queue() {
        let b = Bench::new();
        b.slot.reset();

        b.slot.write(Access::new(0x108, 4), b'!'.into());

        assert_eq!(b.host.take_output(), b"!");
    }

    #[test]
    fn an_endless_transmit_buffer_needs_a_reset() {
        let mut b = Bench::new();
        b.transmit.describe(0, RAM + 0x3000, 0x1000, 4, 0);
        for n in 0..256 {
            b.transmit
                .describe_at(RAM + 0x3000, n, RAM, 0xffff, u16::from(n < 255), n as u16 + 1);
        }
        b.transmit.make_available(0);

        b.notify(1);

        assert_eq!(b.slot.read(Access::new(0x70, 4)) & 0x40, 0x40);
        assert!(b.host.take_output().is_empty());
    }

    #[test]
    fn a_receive_buffer_without_room_needs_a_reset() {
        let mut b = Bench::new();
        b.receive.describe(0, RAM, 4, 0, 0);
        b.receive.make_available(0);

        b.host.feed(b"x");

        assert_eq!(b.slot.read(Access::new(0x70, 4)) & 0x40, 0x40);
    }

    #[test]
    fn any_access_and_any_ring_is_survived() {
        crate::virtio::mmio::tests::fuzz_slots(|wiring, memory| {
            let host = MemoryChar::new();
            host.feed(&[b'x'; 1000]);
            Console::mmio(wiring, Irq::unconnected(), Arc::new(memory), Arc::new(host))
        });
    }
}

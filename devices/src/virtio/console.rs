//! Console device: VIRTIO 1.2, 5.3. A single port, with emergency write.

use super::mmio::Mmio;
use super::{LARGEST, QueueError, Request, Step, VirtioDevice, slot};
use crate::backend::CharBackend;
use crate::bus::{Convert, GuestMemory, Irq, Shared, Wiring};
use serde_json::Value;
use std::convert::Infallible;
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

/// A console on a character backend. It has one buffer of each queue at a time: the one that the next input goes to, and
/// the one that is being sent.
pub struct Console {
    backend: Arc<dyn CharBackend>,
}

impl Console {
    /// A slot with a console that talks to `backend`, whose client it becomes.
    pub fn mmio(
        wiring: &Arc<Wiring>,
        irq: Irq,
        memory: Arc<dyn GuestMemory>,
        backend: Arc<dyn CharBackend>,
    ) -> Shared<Mmio<Console>> {
        let console = Console {
            backend: backend.clone(),
        };
        let slot = Mmio::new(wiring, irq, memory, console);
        let client = slot.downgrade();
        backend.connect(Box::new(move || {
            client.with(|mmio| mmio.slot().host_ready());
        }));
        slot
    }

    /// Gives the driver what input there is.
    fn receive(&self, request: Request<'_>) -> Result<Step<Infallible>, QueueError> {
        let Request { chain, memory, .. } = request;
        if chain.writable() == 0 {
            return Err(QueueError::Unsuitable);
        }
        let mut chunk = [0; CHUNK];
        let room = chain.writable().min(CHUNK as u64) as usize;
        let (chunk, _) = chunk.split_at_mut(room);
        let count = self.backend.read(chunk).min(room);
        let (input, _) = chunk.split_at(count);
        if input.is_empty() {
            return Ok(Step::Wait);
        }
        let written = chain.write(memory, 0, input)?;
        Ok(Step::Done(written as u32))
    }

    /// Gives the backend what it takes of the driver's output.
    fn transmit(&self, request: Request<'_>) -> Result<Step<Infallible>, QueueError> {
        let Request {
            chain, memory, done, ..
        } = request;
        if chain.readable() > LONGEST {
            return Err(QueueError::Unsuitable);
        }
        let mut chunk = [0; CHUNK];
        let count = chain.read(memory, *done, &mut chunk)?;
        let (output, _) = chunk.split_at(count);
        let taken = self.backend.write(output);
        *done += taken as u64;
        Ok(match *done >= chain.readable() {
            true => Step::Done(0),
            false if taken < count => Step::Wait,
            false => Step::More,
        })
    }
}

/// Version 1 counted what was sent of the first buffer without saying which that is.
fn before_requests(mut state: Value) -> Result<Value, String> {
    let device = state.get_mut("device").ok_or("no device")?;
    if device.get("sent").and_then(Value::as_u64) != Some(0) {
        return Err("a buffer is half sent".to_owned());
    }
    *device = Value::Null;
    slot::before_requests(state)
}

impl VirtioDevice for Console {
    const MODEL: &'static str = "virtio-console";
    const DEVICE_ID: u32 = 3;
    const OLDER: &'static [(u32, Convert)] = &[(1, before_requests)];
    type State = ();
    type Answer = Infallible;

    fn features(&self) -> u64 {
        EMERG_WRITE
    }

    fn queues(&self) -> Vec<u16> {
        vec![LARGEST; 2]
    }

    /// cols, rows and max_nr_ports are not offered: zero.
    fn set_config(&mut self, _state: &mut (), offset: u64, mask: u32, value: u32) {
        if offset == EMERG_WR && mask & 0xff != 0 {
            // Best effort, by its definition (5.3.4).
            self.backend.write(&[value as u8]);
        }
    }

    fn serve(&mut self, _state: &mut (), request: Request<'_>) -> Result<Step<Infallible>, QueueError> {
        match request.queue {
            RECEIVE => self.receive(request),
            _ => self.transmit(request),
        }
    }

    fn finish(&mut self, _: &mut (), _: Request<'_>, answer: Infallible) -> Result<Step<Infallible>, QueueError> {
        match answer {}
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
            self.slot.work();
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
        b.slot.reset();
        b.slot.load(&saved).unwrap();
        b.slot.work();
        assert_eq!(b.host.take_output(), b"hel");
        b.slot.work();
        assert_eq!(b.host.take_output(), b"lo");

        assert_eq!(b.transmit.used(), [(0, 0)]);
    }

    #[test]
    fn a_long_buffer_goes_out_at_once_if_the_backend_takes_it() {
        let mut b = Bench::new();
        let text: Vec<u8> = (0..2 * CHUNK + 1).map(|n| n as u8).collect();
        b.transmit.memory.write(RAM, &text).unwrap();
        b.transmit.describe(0, RAM, text.len() as u32, 0, 0);
        b.transmit.make_available(0);

        b.notify(1);

        assert!(b.host.take_output() == text);
        assert_eq!(b.transmit.used(), [(0, 0)]);
    }

    /// How many bytes come out of a buffer that is sixteen times all of RAM, and more of it.
    fn sent_of(more: u32) -> usize {
        let mut b = Bench::new();
        b.transmit.describe(0, RAM + 0x3000, 17 * 16, 4, 0);
        for n in 0..17 {
            let length = [RAM_SIZE as u32, more][usize::from(n == 16)];
            b.transmit
                .describe_at(RAM + 0x3000, n, RAM, length, u16::from(n < 16), n as u16 + 1);
        }
        b.transmit.make_available(0);

        b.notify(1);

        b.host.take_output().len()
    }

    #[test]
    #[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
    fn the_longest_buffer_is_a_mebibyte() {
        assert_eq!(sent_of(0), LONGEST as usize);
    }

    #[test]
    fn of_a_longer_buffer_nothing_is_sent() {
        assert_eq!(sent_of(1), 0);
    }

    #[test]
    fn a_state_of_version_1_is_taken_over_between_buffers() {
        let state = |sent: u64| serde_json::json!({ "queues": [], "device": { "sent": sent } });

        let taken = before_requests(state(0)).unwrap();
        assert_eq!(
            (&taken["device"], &taken["in_flight"]),
            (&Value::Null, &Value::Array(vec![]))
        );
        assert!(before_requests(state(3)).is_err());
        assert!(before_requests(serde_json::json!({ "queues": [], "device": {} })).is_err());
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
        b.slot.work();
        assert_eq!(b.receive.used()[2], (0, 1));
    }

    #[test]
    fn emergency_output_needs_no_queue() {
        let b = Bench::new();
        b.slot.reset();

        assert_eq!(b.slot.read(Access::new(0x10, 4)) & EMERG_WRITE, EMERG_WRITE);
        for (offset, size) in [(0x108, 4), (0x108, 1), (0x109, 1), (0x10a, 2), (0x104, 4), (0x10c, 4)] {
            b.slot.write(Access::new(offset, size), b'!'.into());
        }

        assert_eq!(b.host.take_output(), b"!!", "the low byte of emerg_wr");
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

        b.slot.work();

        assert_eq!(b.slot.read(Access::new(0x70, 4)) & 0x40, 0x40);
    }

    #[test]
    #[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
    fn any_access_and_any_ring_is_survived() {
        crate::virtio::mmio::tests::fuzz_slots(|wiring, memory| {
            let host = MemoryChar::new();
            host.feed(&[b'x'; 1000]);
            Console::mmio(wiring, Irq::unconnected(), Arc::new(memory), Arc::new(host))
        });
    }
}

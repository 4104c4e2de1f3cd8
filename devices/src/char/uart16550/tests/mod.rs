//! Tests; those of input that comes before anybody waits for it are in a file of their own.

mod waiting;

use super::*;
use crate::backend::MemoryChar;
use crate::bus::{Access, Device, Format, Lines, Saved, fuzz};

struct Bench {
    uart: Shared<Uart16550>,
    host: MemoryChar,
    clock: Clock,
    lines: Arc<Lines>,
}

const DATA: u64 = 0;
const IER: u64 = 1;
const IIR: u64 = 2;
const FCR: u64 = 2;
const LCR: u64 = 3;
const MCR: u64 = 4;
const LSR: u64 = 5;
const MSR: u64 = 6;

impl Bench {
    fn new() -> Bench {
        let (wiring, clock, host) = (Wiring::new(), Clock::manual(0), MemoryChar::new());
        let lines = Lines::new(&wiring, 1);
        let uart = Uart16550::new(&wiring, &clock, lines.irq(0), Arc::new(host.clone()));
        Bench {
            uart,
            host,
            clock,
            lines,
        }
    }

    /// 115200 baud, 8N1, OUT2 on, no FIFOs; polled.
    fn plain() -> Bench {
        let b = Bench::new();
        for (offset, value) in [(LCR, 0x80), (DATA, 1), (IER, 0), (LCR, 0x03), (MCR, 0x0b)] {
            b.set(offset, value);
        }
        b.poll();
        b
    }

    /// The same with FIFOs, and the receive interrupt at 8 characters.
    fn fifos() -> Bench {
        let b = Bench::plain();
        b.set(FCR, 0x81);
        b.poll();
        b
    }

    /// As who waits for a character does it.
    fn poll(&self) {
        for _ in 0..POLLS {
            self.get(LSR);
        }
    }

    fn get(&self, offset: u64) -> u8 {
        self.uart.read(Access::new(offset, 1)) as u8
    }

    fn set(&self, offset: u64, value: u8) {
        self.uart.write(Access::new(offset, 1), value.into());
    }

    fn cause(&self) -> u8 {
        self.get(IIR) & 0x0f
    }

    fn irq(&self) -> bool {
        self.lines.level(0)
    }

    fn edges(&self) -> bool {
        self.lines.take_risen_word(0) != 0
    }

    fn receive(&self, byte: u8, errors: u8) {
        self.uart.with(|uart| {
            uart.receive(byte, errors);
            uart.update();
        });
    }
}

/// Characters of 10 bits at 115200 baud: four of them.
const TIMEOUT: u64 = 4 * 10 * 1_000_000_000 / 115_200;

#[test]
fn it_is_reset_as_the_data_sheet_says() {
    let b = Bench::new();
    for offset in [IER, LCR, MCR, FCR] {
        b.set(offset, 0x0f);
    }
    b.set(7, 0x5a);

    b.uart.reset();

    let all: Vec<u8> = [DATA, IER, IIR, LCR, MCR, LSR, MSR]
        .map(|offset| b.get(offset))
        .to_vec();
    assert_eq!(all, [0, 0, 0x01, 0, 0, 0x60, 0xb0]);
}

#[test]
fn registers_keep_the_bits_there_are() {
    let b = Bench::new();
    for (offset, there) in [(IER, 0x0f), (MCR, 0x1f), (LCR, 0xff), (7, 0xff)] {
        for value in [0, 0xff, 0x5a] {
            b.set(offset, value);
            assert_eq!(b.get(offset), value & there, "{offset}");
        }
    }
}

#[test]
fn dlab_shows_the_divisor() {
    let b = Bench::new();
    b.set(LCR, 0x83);
    b.set(DATA, 0x34);
    b.set(IER, 0x12);
    assert_eq!((b.get(DATA), b.get(IER)), (0x34, 0x12));
    assert!(b.host.take_output().is_empty());

    b.set(LCR, 0x03);
    assert_eq!((b.get(DATA), b.get(IER)), (0, 0));
    b.set(DATA, b'x');
    b.set(IER, 0x05);
    b.set(LCR, 0x83);

    assert_eq!((b.get(DATA), b.get(IER)), (0x34, 0x12));
    assert_eq!(b.host.take_output(), b"x");
}

#[test]
fn characters_go_out_and_come_in() {
    let b = Bench::plain();

    b.set(DATA, b'A');
    b.host.feed(b"x");

    assert_eq!(b.host.take_output(), b"A");
    assert_eq!((b.get(LSR), b.get(DATA), b.get(LSR)), (0x61, b'x', 0x60));
}

/// IER=0, IER=2: IIR=2, read again 1, write THR, again 2.
#[test]
fn the_transmitter_interrupts_when_enabled_and_empty_and_is_cleared_by_being_read() {
    let b = Bench::plain();
    b.set(IER, 0);
    assert!(!b.irq());

    b.set(IER, 2);
    assert!(b.irq());
    assert_eq!([b.get(IIR), b.get(IIR)], [0x02, 0x01]);
    assert!(!b.irq(), "no storm");
    b.set(IER, 2);
    assert!(!b.irq(), "it was enabled");
    b.set(DATA, b'A');

    assert!(b.irq());
    assert_eq!([b.get(IIR), b.get(IIR)], [0x02, 0x01]);
    b.set(IER, 0);
    b.set(IER, 2);
    assert_eq!(b.get(IIR), 0x02, "enabled again");
}

#[test]
fn reading_another_cause_leaves_that_of_the_transmitter() {
    let b = Bench::plain();
    b.set(IER, 3);
    b.host.feed(b"x");

    assert_eq!([b.cause(), b.cause()], [0x04, 0x04]);
    b.get(DATA);

    assert_eq!([b.cause(), b.cause()], [0x02, 0x01]);
}

#[test]
fn writing_a_character_ends_the_interrupt_until_it_is_sent() {
    let b = Bench::plain();
    b.set(IER, 2);
    b.host.set_limit(Some(0));

    b.set(DATA, b'A');
    assert!(!b.irq());
    assert_eq!((b.cause(), b.get(LSR) & 0x60), (0x01, 0));
    b.host.set_limit(None);

    assert!(b.irq());
    assert_eq!(b.get(LSR) & 0x60, 0x60);
    assert_eq!(b.host.take_output(), b"A");
}

#[test]
fn each_interrupt_is_an_edge() {
    let b = Bench::plain();
    b.set(IER, 3);
    b.get(IIR);
    b.edges();

    for byte in *b"ab" {
        b.set(DATA, byte);
        assert!(b.edges() && b.irq());
    }
    b.get(IIR);
    b.host.feed(b"xy");
    assert!(b.edges());
    b.get(DATA);

    assert!(b.edges() && b.irq(), "the next character");
}

#[test]
fn causes_have_their_priorities() {
    let b = Bench::fifos();
    b.set(IER, 0x0f);
    b.set(MCR, 0x10);
    b.set(MCR, 0x0b);
    b.host.feed(b"xxxxxxxx");
    b.receive(0, lsr::FE);
    assert_eq!(b.cause(), 0x04, "the error is not at the top");
    (0..7).for_each(|_| assert_eq!(b.get(DATA), b'x'));
    b.clock.advance(TIMEOUT);

    assert_eq!(b.cause(), 0x0c);
    b.get(DATA);
    assert_eq!(b.cause(), 0x06);
    assert_eq!(b.get(LSR) & 0x9e, 0x88);
    b.get(DATA);
    assert_eq!(b.cause(), 0x02);
    assert_eq!(b.cause(), 0x00);
    assert_ne!(b.get(MSR) & 0x0f, 0);

    assert_eq!((b.cause(), b.irq()), (0x01, false));
}

#[test]
fn iir_shows_the_fifos() {
    assert_eq!(Bench::plain().get(IIR), 0x01);
    assert_eq!(Bench::fifos().get(IIR), 0xc1);
}

#[test]
fn the_receive_interrupt_comes_at_its_level_and_goes_below_it() {
    for (fcr, level) in [(0x00, 1), (0x01, 1), (0x41, 4), (0x81, 8), (0xc1, 14)] {
        let b = Bench::plain();
        b.set(FCR, fcr);
        b.set(IER, 1);
        b.clock.advance(SETTLE);

        for n in 0..level {
            assert!(!b.irq(), "{fcr:#x}: {n}");
            b.host.feed(b"x");
        }
        assert!(b.irq(), "{fcr:#x}");
        assert_eq!(b.cause(), 0x04);
        b.get(DATA);
        assert!(!b.irq(), "{fcr:#x}");
    }
}

#[test]
fn the_fifo_times_out_after_four_characters() {
    // Divisor, line control, half bits of a character.
    for (divisor, lcr, half_bits) in [
        (1, 0x03, 20),
        (12, 0x03, 20),
        (1, 0x00, 14),
        (1, 0x04, 15),
        (1, 0x07, 22),
        (1, 0x0f, 24),
        (0xffff, 0x1b, 22),
    ] {
        let b = Bench::fifos();
        b.set(LCR, 0x80);
        let [low, high] = u16::to_le_bytes(divisor);
        b.set(DATA, low);
        b.set(IER, high);
        b.set(LCR, lcr);
        b.set(IER, 1);
        b.host.feed(b"x");

        let ns = 4 * half_bits * 8 * u64::from(divisor) * 1_000_000_000 / 1_843_200;
        b.clock.advance(ns - 1);
        assert!(!b.irq(), "{divisor} {lcr:#x}");
        b.clock.advance(1);
        assert!(b.irq(), "{divisor} {lcr:#x}");
        assert_eq!([b.cause(), b.cause()], [0x0c, 0x0c]);
        b.get(DATA);
        assert!(!b.irq());
    }
}

#[test]
fn characters_and_reads_put_the_timeout_off() {
    let b = Bench::fifos();
    b.set(IER, 1);
    b.host.feed(b"xx");

    b.clock.advance(TIMEOUT - 1);
    b.host.feed(b"x");
    b.clock.advance(TIMEOUT - 1);
    b.get(DATA);
    b.clock.advance(TIMEOUT - 1);
    assert!(!b.irq());
    b.clock.advance(1);
    assert!(b.irq());
    b.get(DATA);
    b.clock.advance(TIMEOUT);
    assert!(b.irq(), "one waits");
    b.get(DATA);
    b.clock.advance(10 * TIMEOUT);

    assert!(!b.irq());
}

#[test]
fn without_fifos_nothing_times_out() {
    let b = Bench::plain();
    b.set(IER, 1);
    b.host.feed(b"x");

    b.clock.advance(10 * TIMEOUT);

    assert_eq!(b.cause(), 0x04);
}

#[test]
fn changing_to_fifos_or_back_empties_both() {
    for (before, after) in [(0x00, 0x01), (0x01, 0x00)] {
        let b = Bench::plain();
        b.set(FCR, before);
        b.poll();
        b.host.feed(b"x");
        b.host.set_limit(Some(0));
        b.set(DATA, b'a');
        assert_eq!(b.get(LSR), 0x01);

        b.set(FCR, after);

        assert_eq!(b.get(LSR), 0x60);
        b.host.set_limit(None);
        assert!(b.host.take_output().is_empty());
    }
}

#[test]
fn the_first_transmitter_interrupt_after_the_change_is_immediate() {
    let b = Bench::plain();
    b.set(IER, 2);
    assert_eq!([b.cause(), b.cause()], [0x02, 0x01]);

    b.set(FCR, 0x01);

    assert_eq!(b.cause(), 0x02);
}

#[test]
fn each_fifo_is_reset_by_its_bit_which_counts_with_bit_0_only() {
    let full = || {
        let b = Bench::fifos();
        b.host.feed(b"x");
        b.host.set_limit(Some(0));
        b.set(DATA, b'a');
        b
    };
    for (fcr, status) in [(0x81, 0x01), (0x83, 0x00), (0x85, 0x61), (0x87, 0x60)] {
        let b = full();
        b.set(FCR, fcr);
        assert_eq!(b.get(LSR), status, "{fcr:#x}");
    }
    let b = full();
    b.set(IER, 2);
    b.set(FCR, 0x85);
    assert_eq!(b.cause(), 0x02, "the transmitter has become empty");

    let b = Bench::plain();
    b.host.feed(b"x");
    b.set(FCR, 0xc6);
    assert_eq!(b.get(LSR), 0x61);
}

#[test]
fn a_reset_of_the_receiver_ends_its_timeout() {
    for before in [TIMEOUT, TIMEOUT / 2] {
        let b = Bench::fifos();
        b.set(IER, 1);
        b.host.feed(b"x");
        b.clock.advance(before);

        b.set(FCR, 0x83);
        b.clock.advance(TIMEOUT);

        assert!(!b.irq());
    }
}

#[test]
fn a_full_transmitter_loses_the_last_with_fifos_and_the_first_without() {
    for (fcr, sent) in [(0x01, &b"abcdefghijklmnop"[..]), (0x00, b"q")] {
        let b = Bench::plain();
        b.set(FCR, fcr);
        b.host.set_limit(Some(0));

        (b'a'..=b'q').for_each(|byte| b.set(DATA, byte));
        b.host.set_limit(None);

        assert_eq!(b.host.take_output(), sent);
    }
}

#[test]
fn a_backend_takes_what_it_has_room_for() {
    let b = Bench::fifos();
    b.host.set_limit(Some(2));
    b.set(IER, 2);
    b.get(IIR);

    b"abcde".iter().for_each(|&byte| b.set(DATA, byte));
    assert_eq!(b.get(LSR) & 0x60, 0);
    assert_eq!(b.host.take_output(), b"ab");
    assert!(!b.irq());
    assert_eq!(b.host.take_output(), b"cd");

    assert_eq!(b.host.take_output(), b"e");
    assert!(b.irq());
}

#[test]
fn input_waits_in_the_backend_until_there_is_room() {
    for (fcr, room) in [(0x00, 1), (0x01, 16)] {
        let b = Bench::plain();
        b.set(FCR, fcr);
        b.poll();

        b.host.feed(&[b'x'; 20]);
        assert_eq!(b.host.pending_input(), 20 - room);
        b.get(DATA);
        assert_eq!(b.host.pending_input(), 19 - room);
        let rest = (0..100)
            .take_while(|_| b.get(LSR) & 1 != 0 && b.get(DATA) == b'x')
            .count();

        assert_eq!(rest, 19);
        assert_eq!(b.get(LSR), 0x60, "none is lost");
    }
}

#[test]
fn loopback_sends_to_the_receiver_only() {
    let b = Bench::plain();
    b.set(MCR, 0x10);

    b.set(DATA, 0xa5);
    b.host.feed(b"x");

    assert_eq!((b.get(LSR), b.get(DATA), b.get(LSR)), (0x61, 0xa5, 0x60));
    assert!(b.host.take_output().is_empty());
    assert_eq!(b.host.pending_input(), 1);
    b.set(MCR, 0);
    assert_eq!(b.get(DATA), b'x');
}

#[test]
fn loopback_connects_the_modem_lines() {
    let b = Bench::plain();
    assert_eq!(b.get(MSR), 0xb0, "a terminal that is on");

    for (outputs, inputs) in [
        (0x1, 0x20),
        (0x2, 0x10),
        (0x4, 0x40),
        (0x8, 0x80),
        (0xf, 0xf0),
        (0x0, 0x00),
    ] {
        b.set(MCR, 0x10 | outputs);
        assert_eq!(b.get(MSR) & 0xf0, inputs, "{outputs:#x}");
    }
}

#[test]
fn modem_changes_are_seen_once() {
    let b = Bench::plain();
    b.set(MCR, 0x10);
    b.get(MSR);

    for (outputs, changes) in [
        (0xf, 0x0b),
        (0xf, 0x00),
        (0xb, 0x04),
        (0x8, 0x03),
        (0x0, 0x08),
        (0x4, 0x00),
    ] {
        b.set(MCR, 0x10 | outputs);
        assert_eq!([b.get(MSR) & 0xf, b.get(MSR) & 0xf], [changes, 0], "{outputs:#x}");
    }
}

#[test]
fn out2_gates_the_interrupt_and_loopback_closes_the_gate() {
    let b = Bench::plain();
    b.set(IER, 1);
    b.host.feed(b"x");

    for (mcr, open) in [(0x08, true), (0x07, false), (0x18, false), (0x0f, true)] {
        b.set(MCR, mcr);
        assert_eq!((b.irq(), b.cause()), (open, 0x04), "{mcr:#x}");
    }
}

#[test]
fn an_overrun_loses_the_new_one_with_fifos_and_the_old_one_without() {
    for (fcr, first, rest) in [(0x01, 0, 15), (0x00, 16, 0)] {
        let b = Bench::plain();
        b.set(FCR, fcr);
        b.set(MCR, 0x10);
        b.set(IER, 4);

        (0..17).for_each(|n| b.set(DATA, n));

        assert_eq!(b.cause(), 0x06);
        assert_eq!([b.get(LSR), b.get(LSR)], [0x63, 0x61]);
        assert_eq!(b.cause(), 0x01);
        assert_eq!(b.get(DATA), first);
        assert_eq!(
            (0..100)
                .take_while(|_| b.get(LSR) & 1 != 0 && b.get(DATA) != 99)
                .count(),
            rest
        );
    }
}

#[test]
fn errors_show_with_their_character() {
    let b = Bench::fifos();
    b.host.feed(b"x");
    b.receive(b'y', lsr::PE);
    b.receive(b'z', lsr::FE);

    assert_eq!([b.get(LSR), b.get(LSR)], [0xe1, 0xe1], "some are in the FIFO");
    assert_eq!((b.get(DATA), b.get(LSR)), (b'x', 0xe5));
    assert_eq!(b.get(LSR), 0xe1, "another one follows");
    assert_eq!((b.get(DATA), b.get(LSR), b.get(LSR)), (b'y', 0xe9, 0x61));
    assert_eq!((b.get(DATA), b.get(LSR)), (b'z', 0x60));
}

#[test]
fn errors_in_the_fifo_go_with_its_reset() {
    let b = Bench::fifos();
    b.set(IER, 1);
    b.host.feed(b"x");
    b.receive(b'y', lsr::PE);

    b.set(FCR, 0x83);

    assert_eq!(b.get(LSR), 0x60);
}

#[test]
fn an_error_that_nobody_looked_for_stays() {
    let b = Bench::plain();
    b.receive(b'y', lsr::PE);

    b.get(DATA);

    assert_eq!([b.get(LSR), b.get(LSR)], [0x64, 0x60]);
}

#[test]
fn a_break_is_a_zero_without_a_stop_bit() {
    // Odd parity of zeros is 1, even parity 0.
    for (lcr, status) in [(0x03, 0x79), (0x0b, 0x7d), (0x1b, 0x79), (0x2b, 0x7d), (0x3b, 0x79)] {
        let b = Bench::plain();
        b.set(LCR, lcr);

        b.uart.with(Uart16550::receive_break);

        assert_eq!((b.get(LSR), b.get(DATA), b.get(LSR)), (status, 0, 0x60), "{lcr:#x}");
    }
}

#[test]
fn in_loopback_no_break_comes_in() {
    let b = Bench::plain();
    b.set(MCR, 0x10);

    b.uart.with(Uart16550::receive_break);
    b.set(LCR, 0x43);

    assert_eq!(b.get(LSR), 0x60);
}

#[test]
fn characters_do_not_get_through_a_break() {
    let b = Bench::plain();
    b.set(IER, 2);
    b.get(IIR);

    b.set(LCR, 0x43);
    b.set(DATA, b'a');
    assert_eq!(b.cause(), 0x02, "but they are sent");
    b.set(LCR, 0x03);
    b.set(DATA, b'b');

    assert_eq!(b.host.take_output(), b"b");
}

#[test]
fn characters_have_the_bits_of_the_line() {
    for (lcr, bits) in [(0, 0x1f), (1, 0x3f), (2, 0x7f), (3, 0xff)] {
        let b = Bench::plain();
        b.set(LCR, lcr);

        b.set(DATA, 0xff);
        b.host.feed(&[0xff]);

        assert_eq!((b.host.take_output(), b.get(DATA)), (vec![bits], bits));
    }
}

#[test]
fn a_line_that_nobody_set_up_has_8_bits() {
    let b = Bench::new();

    b.set(DATA, b'A');

    assert_eq!(b.host.take_output(), b"A");
}

#[test]
fn wide_accesses_are_several() {
    let b = Bench::plain();

    b.uart.write(Access::new(0, 2), 0x0541);

    assert_eq!(b.host.take_output(), b"A");
    assert_eq!(b.uart.read(Access::new(0, 4)), 0x0301_0500);
}

#[test]
fn everything_under_way_survives_save_reset_load() {
    let b = Bench::fifos();
    b.set(IER, 0x03);
    b.host.set_limit(Some(0));
    b.host.feed(b"xy");
    b.receive(b'z', lsr::PE);
    b"ab".iter().for_each(|&byte| b.set(DATA, byte));
    b.clock.advance(TIMEOUT - 1);
    let saved = b.uart.save();

    b.uart.reset();
    b.host.set_limit(None);
    assert!(!b.irq() && b.host.take_output().is_empty());
    b.host.set_limit(Some(0));
    b.uart.load(&saved).unwrap();

    assert!(!b.irq());
    b.clock.advance(1);
    assert_eq!(b.cause(), 0x0c);
    assert_eq!(
        [b.get(DATA), b.get(DATA), b.get(LSR), b.get(DATA)],
        [b'x', b'y', 0x85, b'z']
    );
    assert!(!b.irq());
    b.host.set_limit(None);
    assert_eq!((b.host.take_output(), b.cause()), (b"ab".to_vec(), 0x02));
}

#[test]
fn fifos_that_are_too_long_are_refused() {
    let b = Bench::new();
    for (fcr, rx, tx, can_be) in [
        (1, 16, 16, true),
        (1, 17, 0, false),
        (1, 0, 17, false),
        (0, 1, 1, true),
        (0, 2, 0, false),
        (0, 0, 2, false),
    ] {
        let state = State {
            rx: vec![0; rx].into(),
            tx: vec![0; tx].into(),
            fcr,
            ..State::default()
        };
        let saved = Saved::new(&Format::first("uart16550"), &state);
        assert_eq!(b.uart.load(&saved).is_ok(), can_be, "{fcr} {rx} {tx}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn any_access_is_survived() {
    for seed in 0..8 {
        let (b, other) = (Bench::new(), Bench::new());
        b.uart.with(|uart| {
            other.uart.with(|other| {
                fuzz::registers(seed, uart, other, &[0, 1, 2, 3, 4, 5, 6, 7], 10, |uart, random| {
                    uart.receive(random.next() as u8, random.next() as u8 & lsr::ERRORS);
                    uart.receive_break();
                    uart.update();
                    assert!(uart.state.rx.len() <= FIFO && uart.state.tx.len() <= FIFO);
                })
            })
        });
    }
    assert_eq!(Bench::new().uart.with(|uart| uart.model()), "uart16550");
}

use super::*;
use crate::backend::MemoryChar;
use crate::bus::{Access, Device, Lines, fuzz};

struct Bench {
    uart: Shared<Pl011>,
    host: MemoryChar,
    clock: Clock,
    lines: Arc<Lines>,
}

impl Bench {
    fn new() -> Bench {
        let (wiring, clock, host) = (Wiring::new(), Clock::manual(0), MemoryChar::new());
        let lines = Lines::new(&wiring, 1);
        let uart = Pl011::new(&wiring, &clock, lines.irq(0), Arc::new(host.clone()));
        Bench {
            uart,
            host,
            clock,
            lines,
        }
    }

    /// As Linux sets it up: 115200 baud, FIFOs on, receive at half full.
    fn enabled() -> Bench {
        let b = Bench::new();
        b.set(0x024, 13);
        b.set(0x028, 1);
        b.set(0x02c, 0x70);
        b.set(0x030, cr::UARTEN | cr::TXE | cr::RXE);
        b.clock.advance(SETTLE);
        b
    }

    fn get(&self, offset: u64) -> u32 {
        self.uart.read(Access::new(offset, 4)) as u32
    }

    fn set(&self, offset: u64, value: u32) {
        self.uart.write(Access::new(offset, 4), value.into());
    }

    fn irq(&self) -> bool {
        self.lines.level(0)
    }
}

#[test]
fn identification_and_reset_values() {
    let b = Bench::new();

    let id: Vec<u32> = (0..8).map(|n| b.get(0xfe0 + 4 * n)).collect();

    assert_eq!(id, [0x11, 0x10, 0x14, 0, 0x0d, 0xf0, 0x05, 0xb1]);
    assert_eq!((b.get(0x030), b.get(0x034)), (0x300, 0x12));
    assert_eq!(
        b.get(0x018) & (fr::TXFE | fr::RXFE | fr::TXFF | fr::RXFF),
        fr::TXFE | fr::RXFE
    );
}

#[test]
fn registers_keep_their_bits() {
    let b = Bench::new();
    for (offset, there) in [
        (0x020, 0xff),
        (0x024, 0xffff),
        (0x028, 0x3f),
        (0x02c, 0xff),
        (0x030, 0xff87),
        (0x034, 0x3f),
        (0x038, 0x7ff),
        (0x048, 7),
    ] {
        for value in [0, !0, 0x5a5a_5a5a] {
            b.set(offset, value);
            assert_eq!(b.get(offset), value & there, "{offset:#x}");
        }
    }
}

/// UARTLCR_H, the level in UARTIFLS, the characters that this is, for receive and transmit (3.3.9).
const LEVELS: [(u32, u32, usize, usize); 8] = [
    (0x70, 0, 2, 2),
    (0x70, 1, 4, 4),
    (0x70, 2, 8, 8),
    (0x70, 3, 12, 12),
    (0x70, 4, 14, 14),
    (0x70, 7, 14, 14),
    (0x10, 2, 8, 8),
    (0x60, 2, 1, 0),
];

#[test]
fn the_transmit_level_interrupts_when_the_fifo_falls_to_it() {
    for (lcr, select, _, level) in LEVELS {
        let b = Bench::enabled();
        b.set(0x02c, lcr);
        b.set(0x034, select | 5 << 3);
        b.set(0, 0);
        let sent = b.host.take_output().len();
        let due = || b.get(0x03c) & int::TX != 0;
        assert!(due(), "{lcr:#x} {select}: sent");

        b.host.set_limit(Some(0));
        let depth = if lcr & lcr::FEN != 0 { FIFO } else { 1 };
        for n in 1..=depth + 1 {
            b.set(0, n as u32);
            assert_eq!(due(), n <= level, "{lcr:#x} {select}: {n} wait");
            assert_eq!(b.get(0x018) & fr::TXFF != 0, n >= depth);
        }
        b.host.set_limit(Some(depth - level - 1));
        assert!(!due(), "{lcr:#x} {select}: one too many waits");
        b.host.set_limit(Some(depth - level));
        assert!(due(), "{lcr:#x} {select}: few enough wait");
        b.host.set_limit(None);

        assert_eq!(sent, 1);
        let all: Vec<u8> = (1..=depth as u8).collect();
        assert_eq!(b.host.take_output(), all, "what a full FIFO is given is lost");
    }
}

#[test]
fn the_receive_level_interrupts_until_the_fifo_is_below_it() {
    for (lcr, select, level, _) in LEVELS {
        let b = Bench::enabled();
        b.set(0x02c, lcr);
        b.set(0x034, select << 3 | 5);
        let due = || b.get(0x03c) & int::RX != 0;

        for n in 1..=level {
            assert!(!due(), "{lcr:#x} {select}: {n} - 1 received");
            b.host.feed(b"x");
        }
        assert!(due(), "{lcr:#x} {select}");
        b.host.feed(b"x");
        let room = usize::from(lcr & lcr::FEN != 0);
        assert_eq!(b.host.pending_input(), 1 - room);
        b.get(0);
        assert!(due(), "{lcr:#x} {select}: as many as interrupt");
        b.get(0);
        assert!(!due(), "{lcr:#x} {select}: one fewer");
    }
}

#[test]
fn the_receive_timeout_is_32_bits_of_the_baud_rate() {
    for (integer, fraction, ns) in [
        (1, 0, 21_333),
        (1, 32, 32_000),
        (3, 8, 66_666),
        (0, 0, 21_333),
        (0xffff, 0x3f, 1_398_101_000),
    ] {
        let b = Bench::enabled();
        b.set(0x024, integer);
        b.set(0x028, fraction);
        b.host.feed(b"x");

        b.clock.advance(ns - 1);
        assert_eq!(b.get(0x03c) & int::RT, 0, "{integer}+{fraction}/64");
        b.clock.advance(1);
        assert_eq!(b.get(0x03c) & int::RT, int::RT, "{integer}+{fraction}/64");
    }
}

#[test]
fn a_cleared_timeout_comes_again_while_characters_wait() {
    let b = Bench::enabled();
    b.set(0x038, int::RT);
    let ns = 32 * 16 * (13 * 64 + 1) * 1_000 / 64 / 24;
    b.host.feed(b"x");

    b.clock.advance(ns - 1);
    b.set(0x044, int::TX);
    assert_eq!(b.get(0x040), 0);
    b.clock.advance(1);
    b.set(0, 0);
    assert_eq!((b.get(0x03c), b.get(0x040)), (int::RT | int::TX, int::RT));
    b.set(0x044, int::RT);
    b.clock.advance(ns - 1);
    assert!(!b.irq());
    b.clock.advance(1);
    assert!(b.irq());

    b.get(0);
    b.set(0x044, int::RT);
    b.clock.advance(2 * ns);
    assert!(!b.irq(), "nothing waits");
}

#[test]
fn only_switching_the_fifos_empties_them() {
    let b = Bench::enabled();
    b.host.feed(&[b'x'; 10]);
    b.clock.advance(SETTLE);
    b.set(0, 0);
    assert_eq!(b.get(0x03c), int::RX | int::RT | int::TX);

    b.set(0x02c, 0x70);
    b.set(0x02c, 0x1e);
    assert_eq!(b.get(0x018) & fr::RXFE, 0, "FIFOs on as before");
    b.set(0x02c, 0x0e);
    assert_eq!(b.get(0x018) & fr::RXFE, fr::RXFE);
    assert_eq!(b.get(0x03c), int::TX);
}

#[test]
fn characters_wait_for_clear_to_send_where_it_counts() {
    let b = Bench::enabled();
    b.set(0x030, ON | cr::CTSEN);
    b.set(0, 0);
    assert_eq!(b.host.take_output(), [0], "a terminal is ready");

    b.set(0x030, ON | cr::LBE);
    b.set(0, 1);
    b.set(0x030, ON | cr::LBE | cr::CTSEN);
    b.set(0, 2);
    assert_eq!(b.get(0), 1, "sent whether clear or not");
    assert_eq!(b.get(0x018) & (fr::BUSY | fr::RXFE), fr::BUSY | fr::RXFE);
    b.set(0x030, ON | cr::LBE | cr::CTSEN | cr::RTS);
    assert_eq!(b.get(0), 2);
}

#[test]
fn a_break_is_received_once_and_in_loopback_only() {
    let b = Bench::enabled();
    b.set(0x02c, 0x71);
    b.set(0x030, ON | cr::LBE);
    b.set(0, 0);
    for lcr in [0x70, 0x72] {
        b.set(0x02c, lcr);
    }
    assert_eq!((b.get(0), b.get(0x018) & fr::RXFE), (0, fr::RXFE));
    assert_eq!(b.get(0x03c) & int::BE, 0);

    for lcr in [0x73, 0x71, 0x70] {
        b.set(0x02c, lcr);
    }
    assert_eq!(b.get(0x03c) & int::BE, int::BE);
    assert_eq!((b.get(0), b.get(0x018) & fr::RXFE), (u32::from(dr::BE), fr::RXFE));
}

#[test]
fn characters_go_out_and_interrupt() {
    let b = Bench::enabled();
    b.set(0x038, int::TX);
    assert!(!b.irq());

    b.uart.write(Access::new(0, 1), b'A'.into());

    assert_eq!(b.host.take_output(), b"A");
    assert!(b.irq());
    b.set(0x044, int::TX);
    assert!(!b.irq());
}

#[test]
fn a_full_backend_fills_the_fifo_and_loses_nothing() {
    let b = Bench::enabled();
    b.host.set_limit(Some(0));

    let mut sent = Vec::new();
    while b.get(0x018) & fr::TXFF == 0 {
        sent.push(sent.len() as u8);
        b.set(0, sent.len() as u32 - 1);
    }
    assert_eq!(sent.len(), FIFO);
    assert_ne!(b.get(0x018) & fr::BUSY, 0);
    assert_eq!(b.get(0x03c) & int::TX, 0);

    b.host.set_limit(None);
    assert_eq!(b.host.take_output(), sent);
    assert_ne!(b.get(0x03c) & int::TX, 0);
    assert_ne!(b.get(0x018) & fr::TXFE, 0);
}

#[test]
fn input_waits_in_the_backend_until_there_is_room() {
    let b = Bench::enabled();

    b.host.feed(&[b'x'; 20]);

    assert_eq!(b.host.pending_input(), 4);
    assert_ne!(b.get(0x018) & fr::RXFF, 0);
    assert_eq!(b.get(0), u32::from(b'x'));
    assert_eq!(b.host.pending_input(), 3);
    let mut rest = 0;
    while rest < 100 && b.get(0x018) & fr::RXFE == 0 {
        b.get(0);
        rest += 1;
    }
    assert_eq!(rest, 19);
    assert_eq!(b.get(0x03c) & (int::RX | int::RT), 0);
}

#[test]
fn input_is_not_taken_before_the_receiver_is_on() {
    let b = Bench::new();

    b.host.feed(b"early");
    assert_eq!(b.get(0x018) & fr::RXFE, fr::RXFE);
    b.set(0x030, cr::UARTEN | cr::RXE);
    b.clock.advance(SETTLE);

    assert_eq!(b.get(0), u32::from(b'e'));
}

#[test]
fn the_receive_level_interrupts() {
    let b = Bench::enabled();
    b.set(0x038, int::RX);

    b.host.feed(&[0; 7]);
    assert!(!b.irq());
    b.host.feed(&[0]);
    assert!(b.irq());

    b.get(0);
    assert!(!b.irq());
}

#[test]
fn a_lonely_character_times_out_after_32_bits() {
    let b = Bench::enabled();
    b.set(0x038, int::RT);

    b.host.feed(b"x");
    b.clock.advance(270_000);
    assert!(!b.irq());
    b.clock.advance(10_000);
    assert!(b.irq());

    b.get(0);
    assert!(!b.irq());
}

#[test]
fn without_fifos_every_character_interrupts() {
    let b = Bench::enabled();
    b.set(0x02c, 0x60);
    b.set(0x038, int::RX);

    b.host.feed(b"ab");

    assert!(b.irq());
    assert_eq!(b.get(0), u32::from(b'a'));
    assert!(b.irq());
    assert_eq!(b.get(0), u32::from(b'b'));
    assert!(!b.irq());
}

#[test]
fn loopback_overruns_and_reports_it() {
    let b = Bench::enabled();
    b.set(0x030, cr::UARTEN | cr::TXE | cr::RXE | cr::LBE);

    (0..17).for_each(|n| b.set(0, n));

    assert!(b.host.take_output().is_empty());
    assert_ne!(b.get(0x03c) & int::OE, 0);
    assert_eq!(b.get(0x004), 8);
    assert_eq!(b.get(0), u32::from(dr::OE));
    b.set(0, 99);
    assert_eq!(b.get(0), 1);
    b.set(0x004, 0);
    assert_eq!(b.get(0x004), 0);
}

#[test]
fn loopback_connects_the_modem_lines_and_breaks() {
    let b = Bench::enabled();
    b.set(0x030, cr::UARTEN | cr::LBE | cr::RTS | cr::OUT2);

    assert_eq!(b.get(0x018) & (fr::CTS | fr::DSR | fr::DCD | fr::RI), fr::CTS | fr::RI);
    assert_eq!(b.get(0x03c) & 0xf, int::RI | int::DCD | int::DSR);
    b.set(0x02c, 0x71);
    assert_eq!(b.get(0), u32::from(dr::BE));
    assert_eq!(b.get(0x004), 4);
}

#[test]
fn interrupt_survives_save_reset_load() {
    let b = Bench::enabled();
    b.set(0x038, int::TX);
    b.set(0, 0);
    let saved = b.uart.save();

    b.uart.reset();
    assert!(!b.irq());
    b.uart.load(&saved).unwrap();

    assert!(b.irq());
}

#[test]
fn a_running_timeout_survives_a_reload() {
    let b = Bench::enabled();
    b.set(0x038, int::RT);
    b.host.feed(b"x");
    let saved = b.uart.save();

    b.uart.reset();
    b.uart.load(&saved).unwrap();
    b.clock.advance(1_000_000);

    assert!(b.irq());
}

#[test]
fn overlong_fifos_and_impossible_rates_are_refused() {
    let b = Bench::new();
    for (rx, tx, ibrd, fbrd, can_be) in [
        (16, 16, 0xffff, 0x3f, true),
        (17, 0, 0, 0, false),
        (0, 17, 0, 0, false),
        (0, 18, 0, 0, false),
        (0, 0, 0x1_0000, 0, false),
        (0, 0, 0, 0x40, false),
    ] {
        let state = State {
            rx: vec![0; rx].into(),
            tx: vec![0; tx].into(),
            ibrd,
            fbrd,
            ..State::default()
        };
        let saved = crate::bus::Saved::new(&crate::bus::Format::first(MODEL), &state);
        assert_eq!(b.uart.load(&saved).is_ok(), can_be, "{rx} {tx} {ibrd} {fbrd}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn any_access_is_survived() {
    let offsets: Vec<u64> = (0..0x4c).step_by(4).chain([0xfe0, 0xffc]).collect();
    for seed in 0..8 {
        let (b, other) = (Bench::new(), Bench::new());
        b.uart.with(|uart| {
            other.uart.with(|other| {
                fuzz::registers(seed, uart, other, &offsets, 0x1000, |uart, random| {
                    // As a backend does, but for the lock that the test holds.
                    uart.receive(random.next() as u16);
                    uart.update();
                })
            })
        });
    }
    let b = Bench::enabled();
    assert_eq!(b.uart.with(|uart| uart.model()), "pl011");
}

const ON: u32 = cr::UARTEN | cr::TXE | cr::RXE;

#[test]
fn input_that_waits_outlives_a_driver_that_drains_the_fifo() {
    let b = Bench::new();
    b.host.feed(b"abc");
    b.set(0x02c, 0x70);

    // A console that sends before its driver starts, for as long as it takes; then the driver.
    b.set(0x030, ON);
    for byte in *b"boot" {
        b.clock.advance(SETTLE / 8);
        assert_ne!(b.get(0x018) & fr::RXFE, 0);
        b.set(0x000, byte.into());
    }
    b.set(0x030, cr::TXE | cr::RXE);
    b.set(0x038, int::RX | int::RT);
    b.set(0x030, ON);
    b.clock.advance(SETTLE / 2);
    assert_ne!(b.get(0x018) & fr::RXFE, 0);
    b.set(0x038, int::RX | int::RT);

    assert_eq!(b.get(0x018) & fr::RXFE, 0);
    assert_eq!(b.get(0), u32::from(b'a'));
    b.clock.advance(SETTLE);
    assert!(b.irq());
}

#[test]
fn looks_between_other_accesses_or_while_something_is_sent_are_no_polling() {
    let b = Bench::new();
    b.host.feed(b"a");
    b.set(0x030, ON);

    for _ in 0..100 {
        assert_eq!(b.get(0x018) & fr::RXFE, fr::RXFE);
        b.get(0x03c);
    }
    b.host.set_limit(Some(0));
    b.set(0, 0);
    for _ in 0..100 {
        assert_eq!(b.get(0x018) & fr::RXFE, fr::RXFE);
    }
}

#[test]
fn input_that_waits_waits_for_receive_interrupts() {
    let b = Bench::new();
    b.host.feed(b"a");
    b.set(0x030, ON);

    b.set(0x038, int::TX | int::OE);
    assert_eq!(b.get(0x018) & fr::RXFE, fr::RXFE);
    b.set(0x038, int::RT);

    assert_eq!(b.get(0), u32::from(b'a'));
}

#[test]
fn input_that_waits_comes_to_who_polls() {
    let b = Bench::new();
    b.host.feed(b"a");
    b.set(0x030, ON);

    let empty = (0..100).take_while(|_| b.get(0x018) & fr::RXFE != 0).count();

    assert_eq!(empty, usize::from(POLLS));
    assert_eq!(b.get(0), u32::from(b'a'));
}

#[test]
fn input_that_waits_comes_to_who_only_switches_the_receiver_on() {
    let b = Bench::new();
    b.host.feed(b"a");
    b.set(0x038, int::RX);

    b.set(0x030, ON);
    b.clock.advance(SETTLE - 1);
    assert!(!b.irq());
    b.clock.advance(1);

    assert!(b.irq());
}

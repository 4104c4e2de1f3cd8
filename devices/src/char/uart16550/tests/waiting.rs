//! Input that comes before the guest waits for it.

use super::*;

/// As Linux starts it: FIFOs emptied and off, the receiver drained, interrupts on before the FIFOs are.
#[test]
fn input_that_waits_outlives_a_driver_that_starts() {
    let b = Bench::new();
    b.host.feed(b"abc");
    // A console that sends before its driver starts, for as long as it takes.
    b.set(LCR, 0x03);
    for byte in *b"boot, for more than a second" {
        b.clock.advance(SETTLE / 8);
        assert_eq!(b.get(LSR), 0x60);
        b.set(DATA, byte);
    }
    for fcr in [0x01, 0x07, 0x00] {
        b.set(FCR, fcr);
    }
    for offset in [LSR, DATA, IIR, MSR, LSR, DATA, IIR, MSR] {
        b.get(offset);
    }
    b.clock.advance(SETTLE / 2);
    b.set(IER, 0x05);
    b.set(FCR, 0x01);
    b.set(FCR, 0x81);

    assert_eq!([b.get(DATA), b.get(DATA), b.get(DATA)], *b"abc");
}

/// Firmware or a kernel that is quiet for long before its driver starts has not asked for anything.
#[test]
fn input_that_waits_outlives_a_silence() {
    let b = Bench::new();
    b.host.feed(b"ab");
    b.set(LCR, 0x03);
    b.clock.advance(100 * SETTLE);
    for offset in [LSR, DATA, IIR, MSR] {
        b.get(offset);
    }
    b.set(FCR, 0x07);
    b.set(IER, 0x01);

    assert_eq!([b.get(DATA), b.get(DATA)], *b"ab");
}

#[test]
fn input_that_waits_outlives_a_driver_that_ends() {
    let b = Bench::fifos();
    b.set(IER, 0);

    b.set(FCR, 0x87);
    b.host.feed(b"x");
    assert_eq!(b.get(LSR), 0x60);
    b.set(FCR, 0x00);
    b.set(FCR, 0x81);
    b.set(IER, 0x01);

    assert_eq!(b.get(DATA), b'x');
}

#[test]
fn input_that_waits_comes_to_who_polls() {
    let b = Bench::new();
    b.host.feed(b"a");
    b.set(LCR, 0x03);

    let empty = (0..100).take_while(|_| b.get(LSR) & 1 == 0).count();

    assert_eq!(empty, usize::from(POLLS));
    assert_eq!(b.get(DATA), b'a');
}

#[test]
fn input_that_waits_comes_to_who_never_wrote_anything_and_polls() {
    let b = Bench::new();
    b.host.feed(b"a");
    b.clock.advance(10 * SETTLE);
    assert_eq!(b.get(LSR), 0x60);

    b.poll();

    assert_eq!(b.get(DATA), b'a');
}

#[test]
fn looks_between_writes_or_while_something_is_sent_are_no_polling() {
    let b = Bench::new();
    b.host.feed(b"a");

    for _ in 0..100 {
        b.set(DATA, 0);
        assert_eq!(b.get(LSR), 0x60);
    }
    b.host.set_limit(Some(0));
    b.set(DATA, 0);
    for _ in 0..100 {
        assert_eq!(b.get(LSR), 0x00);
    }
}

#[test]
fn input_that_waits_comes_to_who_waits_for_interrupts_a_second_after_the_last_write() {
    let b = Bench::new();
    b.host.feed(b"a");
    b.set(IER, 0x01);
    b.set(MCR, 0x08);

    b.clock.advance(SETTLE / 2);
    b.set(DATA, b'x');
    b.clock.advance(SETTLE / 2 - 1);
    assert!(!b.irq());
    b.clock.advance(1);

    assert!(b.irq(), "who waits for interrupts is not put off by writing");
}

//! The timer, in every mode.

use super::*;

const ONE_SHOT: u32 = 0;
const PERIODIC: u32 = 1 << 17;
const DEADLINE: u32 = 2 << 17;
const VECTOR: u32 = 0xec;
/// Divides by one.
const BY_1: u32 = 0xb;

/// Counts nanoseconds in a mode.
fn bench(mode: u32) -> Bench {
    let b = Bench::ready(1);
    b.set(DIVIDE, BY_1);
    b.set(LVT_TIMER, mode | VECTOR);
    b
}

fn fires(b: &Bench) -> bool {
    b.take_all(0) == [VECTOR as u8]
}

#[test]
fn one_shot_ends_at_zero_and_stays() {
    let b = bench(ONE_SHOT);
    b.set(INITIAL, 1000);
    assert_eq!(b.get(CURRENT), 1000);

    b.clock.advance(999);
    assert_eq!((b.get(CURRENT), b.irq(0)), (1, false));
    b.clock.advance(1);
    assert_eq!((b.get(CURRENT), b.get(INITIAL)), (0, 1000));
    assert!(fires(&b));

    b.clock.advance(1_000_000_000_000);
    assert_eq!((b.get(CURRENT), b.irq(0)), (0, false));
}

#[test]
fn periodic_starts_over_and_does_not_drift() {
    let b = bench(PERIODIC);
    b.set(INITIAL, 1000);
    for n in 1..=5 {
        b.clock.advance(if n == 1 { 1010 } else { 1000 });
        assert!(fires(&b), "{n}");
        assert_eq!(b.get(CURRENT), 990, "{n}");
    }
    b.clock.advance(989);
    assert!(!b.irq(0));
    b.clock.advance(1);
    assert!(fires(&b));
}

#[test]
fn periods_that_pass_before_an_interrupt_is_taken_are_one() {
    let b = bench(PERIODIC);
    b.set(INITIAL, 1000);

    b.clock.advance(123_456_700);
    assert_eq!(b.get(CURRENT), 300);
    assert!(fires(&b));
    assert!(!b.irq(0));
    b.clock.advance(300);
    assert!(fires(&b));
}

#[test]
fn a_period_of_one_tick_does_not_hang_who_waits() {
    for (svr, lvt) in [
        (0x1ff, PERIODIC | VECTOR),
        (0x1ff, PERIODIC | 3),
        (0x0ff, PERIODIC | VECTOR),
    ] {
        let b = bench(ONE_SHOT);
        b.set(SVR, svr);
        b.set(LVT_TIMER, lvt);
        b.set(INITIAL, 1);
        b.clock.advance(u64::MAX / 2);
        assert!(b.clock.next_deadline().is_none(), "{lvt:#x}");
    }
}

#[test]
fn every_divisor_divides() {
    for (code, divisor) in [(0, 2), (1, 4), (2, 8), (3, 16), (8, 32), (9, 64), (0xa, 128), (0xb, 1)] {
        let b = bench(ONE_SHOT);
        // The bit between is reserved.
        b.set(DIVIDE, code | 4);
        assert_eq!(b.get(DIVIDE), code);
        b.set(INITIAL, 10);

        b.clock.advance(10 * divisor - 1);
        assert_eq!((b.get(CURRENT), b.irq(0)), (1, false), "{code:#x}");
        b.clock.advance(1);
        assert!(fires(&b), "{code:#x}");
    }
}

#[test]
fn another_divisor_counts_on_from_where_it_is() {
    let b = bench(ONE_SHOT);
    b.set(INITIAL, 1000);
    b.clock.advance(600);

    b.set(DIVIDE, 0);
    assert_eq!(b.get(CURRENT), 400);
    b.clock.advance(799);
    assert!(!b.irq(0));
    b.clock.advance(1);
    assert!(fires(&b));
}

#[test]
fn a_count_of_zero_stops() {
    for mode in [ONE_SHOT, PERIODIC] {
        let b = bench(mode);
        b.set(INITIAL, 1000);
        b.clock.advance(500);
        b.set(INITIAL, 0);

        b.clock.advance(10_000);
        assert_eq!((b.get(CURRENT), b.irq(0)), (0, false));
        assert!(b.clock.next_deadline().is_none());
    }
}

#[test]
fn a_new_count_starts_over() {
    let b = bench(ONE_SHOT);
    b.set(INITIAL, 1000);
    b.clock.advance(900);
    b.set(INITIAL, 2000);
    b.clock.advance(1999);
    assert_eq!((b.get(CURRENT), b.irq(0)), (1, false));
    b.clock.advance(1);
    assert!(fires(&b));
}

#[test]
fn another_mode_disarms() {
    for (from, to) in [
        (ONE_SHOT, PERIODIC),
        (ONE_SHOT, DEADLINE),
        (PERIODIC, ONE_SHOT),
        (PERIODIC, DEADLINE),
    ] {
        let b = bench(from);
        b.set(INITIAL, 1000);
        b.clock.advance(100);
        b.set(LVT_TIMER, to | VECTOR);

        assert_eq!(b.get(CURRENT), 0, "{from:#x} {to:#x}");
        b.clock.advance(10_000);
        assert!(!b.irq(0), "{from:#x} {to:#x}");
        b.set(LVT_TIMER, from | VECTOR);
        b.clock.advance(10_000);
        assert!(!b.irq(0), "{from:#x} {to:#x} and back");
    }
    for to in [ONE_SHOT, PERIODIC, 3 << 17] {
        let b = bench(DEADLINE);
        b.cpu(0).set_tsc_deadline(1000);
        b.set(LVT_TIMER, to | VECTOR);
        b.clock.advance(10_000);
        b.set(LVT_TIMER, DEADLINE | VECTOR);
        b.clock.advance(10_000);
        assert_eq!((b.irq(0), b.cpu(0).tsc_deadline()), (false, 0), "{to:#x}");
    }
}

#[test]
fn the_same_mode_goes_on_under_another_vector_and_mask() {
    let b = bench(ONE_SHOT);
    b.set(INITIAL, 1000);
    b.set(LVT_TIMER, MASKED | VECTOR);
    b.clock.advance(500);
    b.set(LVT_TIMER, 0x55);
    assert_eq!(b.get(CURRENT), 500);
    b.clock.advance(500);
    assert_eq!(b.take_all(0), [0x55]);
}

#[test]
fn what_expires_while_masked_is_lost() {
    for mode in [ONE_SHOT, DEADLINE] {
        let b = bench(mode | MASKED);
        b.set(INITIAL, 1000);
        b.cpu(0).set_tsc_deadline(2000);
        b.clock.advance(1000);
        b.set(LVT_TIMER, mode | VECTOR);
        b.clock.advance(1000);
        assert_eq!((b.irq(0), b.cpu(0).tsc_deadline()), (false, 0), "{mode:#x}");
    }
    let b = bench(PERIODIC | MASKED);
    b.set(INITIAL, 1000);
    b.clock.advance(2500);
    b.set(LVT_TIMER, PERIODIC | VECTOR);
    assert_eq!((b.irq(0), b.get(CURRENT)), (false, 500));
    b.clock.advance(500);
    assert!(fires(&b));
}

#[test]
fn a_deadline_fires_when_the_tsc_reaches_it() {
    let b = bench(DEADLINE);
    let cpu = b.cpu(0);
    cpu.set_tsc_deadline(2001);
    assert_eq!(cpu.tsc_deadline(), 2001);

    b.clock.advance(1000);
    assert_eq!((b.irq(0), cpu.tsc_deadline()), (false, 2001));
    b.clock.advance(1);
    assert_eq!(cpu.tsc_deadline(), 0);
    assert!(fires(&b));
    b.clock.advance(10_000);
    assert!(!b.irq(0), "once");
}

#[test]
fn a_deadline_at_or_before_now_fires_at_once() {
    for deadline in [1, 1999, 2000] {
        let b = bench(DEADLINE);
        b.clock.advance(1000);
        b.cpu(0).set_tsc_deadline(deadline);
        assert_eq!(b.cpu(0).tsc_deadline(), 0, "{deadline}");
        assert!(fires(&b), "{deadline}");
    }
}

#[test]
fn a_deadline_of_zero_disarms_and_a_later_one_replaces() {
    let b = bench(DEADLINE);
    b.cpu(0).set_tsc_deadline(2000);
    b.cpu(0).set_tsc_deadline(0);
    b.clock.advance(5000);
    assert!(!b.irq(0));

    b.cpu(0).set_tsc_deadline(12_000);
    b.cpu(0).set_tsc_deadline(14_000);
    b.clock.advance(1000);
    assert!(!b.irq(0));
    b.clock.advance(1000);
    assert!(fires(&b));
    b.cpu(0).set_tsc_deadline(u64::MAX);
    b.clock.advance(1 << 40);
    assert!(!b.irq(0));
}

#[test]
fn deadline_mode_has_no_count_and_the_others_have_no_deadline() {
    let b = bench(DEADLINE);
    b.set(INITIAL, 1000);
    assert_eq!((b.get(INITIAL), b.get(CURRENT)), (0, 0));
    b.clock.advance(1000);
    assert!(!b.irq(0));

    for mode in [ONE_SHOT, PERIODIC] {
        let b = bench(mode);
        b.clock.advance(1000);
        b.cpu(0).set_tsc_deadline(1);
        assert_eq!((b.irq(0), b.cpu(0).tsc_deadline()), (false, 0));
    }
}

#[test]
fn a_deadline_is_in_the_cpus_own_tsc() {
    let b = bench(DEADLINE);
    let cpu = b.cpu(0);
    cpu.set_tsc_ahead(1_000_000);
    cpu.set_tsc_deadline(1_002_000);
    b.clock.advance(999);
    assert!(!b.irq(0));
    b.clock.advance(1);
    assert!(fires(&b));

    cpu.set_tsc_deadline(2_000_000);
    cpu.set_tsc_ahead(2_000_000u64.wrapping_sub(2000));
    assert!(fires(&b), "the TSC was set forward");
    cpu.set_tsc_ahead(0u64.wrapping_sub(2000));
    cpu.set_tsc_deadline(2000);
    b.clock.advance(999);
    assert!(!b.irq(0), "the TSC was set to 0");
    b.clock.advance(1);
    assert!(fires(&b));
}

#[test]
fn init_disarms_and_leaves_the_tsc() {
    let b = bench(DEADLINE);
    let cpu = b.cpu(0);
    cpu.set_tsc_ahead(1_000_000);
    cpu.set_tsc_deadline(1_002_000);
    cpu.init();
    b.set(SVR, 0x1ff);
    b.set(LVT_TIMER, DEADLINE | VECTOR);
    b.clock.advance(2000);
    assert_eq!((b.irq(0), cpu.tsc_deadline()), (false, 0));

    cpu.set_tsc_deadline(1_004_000);
    assert!(fires(&b), "it counts from where it did");
}

#[test]
fn without_deadline_mode_its_bit_is_not_there() {
    let b = Bench::of(
        &[0],
        Model {
            tsc_deadline: false,
            ..MODEL
        },
    );
    b.set(SVR, 0x1ff);
    b.set(LVT_TIMER, DEADLINE | VECTOR);
    assert_eq!(b.get(LVT_TIMER), VECTOR);
    b.cpu(0).set_tsc_deadline(1);
    assert_eq!(b.cpu(0).tsc_deadline(), 0);
}

#[test]
fn ten_milliseconds_are_the_same_by_every_counter() {
    for (tsc, timer) in [
        (2_500_000_000, 1_000_000_000),
        (1_193_182, 24_000_000),
        (u32::MAX, 66_666_667),
    ] {
        let model = Model {
            tsc: rate(tsc),
            timer: rate(timer),
            ..MODEL
        };
        let b = Bench::of(&[0], model);
        b.clock.advance(123_456_789);
        b.set(SVR, 0x1ff);
        b.set(DIVIDE, BY_1);
        b.set(LVT_TIMER, VECTOR);
        let before = model.tsc.ticks(b.clock.now_ns());
        b.set(INITIAL, timer / 100);

        while !b.irq(0) {
            b.clock.advance(1000);
        }

        let passed = model.tsc.ticks(b.clock.now_ns()) - before;
        let expected = u64::from(tsc) / 100;
        assert!(passed.abs_diff(expected) * 1000 < expected, "{passed} {expected}");
    }
}

#[test]
fn the_clocks_own_thread_interrupts() {
    let wiring = Wiring::new();
    let clock = Clock::real(&crate::bus::Threads::default()).unwrap();
    let inputs = Arc::new(Inputs::default());
    let outputs: Arc<dyn CpuInputs> = inputs.clone();
    let apics = LocalApics::new(&wiring, &clock, &[0], MODEL, &outputs);
    let cpu = apics.with(|apics| apics.cpu(0));
    cpu.write(SVR, 4, 0x1ff);
    cpu.write(LVT_TIMER, 4, VECTOR.into());
    cpu.write(INITIAL, 4, 1000);
    emu_ir::testing::until("an interrupt", || !inputs.levels.lock().unwrap().is_empty());
    assert_eq!(u32::from(cpu.acknowledge()), VECTOR);
}

use super::cell::*;
use super::*;
use crate::bus::{Access, Format, Lines, Saved, fuzz};

/// 2023-11-14 22:13:20.25 UTC, a Tuesday.
const EPOCH: u64 = 1_700_000_000;
const QUARTER: u64 = SECOND / 4;
/// Until the next second.
const REST: u64 = SECOND - QUARTER;

struct Bench {
    rtc: Shared<Mc146818>,
    clock: Clock,
    /// The interrupt, then the mask of NMI.
    lines: Arc<Lines>,
}

impl Bench {
    fn new() -> Bench {
        Bench::at(EPOCH)
    }

    /// Without periodic interrupts.
    fn quiet() -> Bench {
        let b = Bench::new();
        b.set(A, 0x20);
        b
    }

    fn at(seconds: u64) -> Bench {
        let (wiring, clock) = (Wiring::new(), Clock::manual(seconds * SECOND + QUARTER));
        let lines = Lines::new(&wiring, 2);
        let rtc = Mc146818::new(&wiring, &clock, lines.irq(0), lines.irq(1));
        Bench { rtc, clock, lines }
    }

    fn get(&self, index: u8) -> u8 {
        self.rtc.write(Access::new(0, 1), index.into());
        self.rtc.read(Access::new(1, 1)) as u8
    }

    fn set(&self, index: u8, value: u8) {
        self.rtc.write(Access::new(0, 1), index.into());
        self.rtc.write(Access::new(1, 1), value.into());
    }

    fn irq(&self) -> bool {
        self.lines.level(0)
    }

    /// Century, year, month, day, hours, minutes, seconds, as the bytes are.
    fn time(&self) -> [u8; 7] {
        [CENTURY, YEAR, MONTH, DAY_OF_MONTH, HOURS, MINUTES, SECONDS].map(|cell| self.get(cell))
    }

    /// Sets them, with updates stopped meanwhile, as drivers do.
    fn set_time(&self, time: [u8; 7]) {
        let b = self.get(B);
        self.set(B, b | 0x80);
        for (cell, value) in [CENTURY, YEAR, MONTH, DAY_OF_MONTH, HOURS, MINUTES, SECONDS]
            .into_iter()
            .zip(time)
        {
            self.set(cell, value);
        }
        self.set(B, b);
    }

    fn set_alarm(&self, [hours, minutes, seconds]: [u8; 3]) {
        self.set(HOURS_ALARM, hours);
        self.set(MINUTES_ALARM, minutes);
        self.set(SECONDS_ALARM, seconds);
    }
}

#[test]
fn it_shows_wall_time() {
    let b = Bench::new();

    assert_eq!(b.time(), [0x20, 0x23, 0x11, 0x14, 0x22, 0x13, 0x20]);
    assert_eq!(
        [A, B, C, D, DAY_OF_WEEK].map(|cell| b.get(cell)),
        [0x26, 0x02, 0, 0x80, 3]
    );
    b.clock.advance(REST);
    assert_eq!(b.get(SECONDS), 0x21);
    b.clock.advance(10 * 86_400 * SECOND);
    assert_eq!(b.time(), [0x20, 0x23, 0x11, 0x24, 0x22, 0x13, 0x21]);
    assert_eq!(b.get(DAY_OF_WEEK), 6);
}

#[test]
fn dates_are_those_of_the_calendar() {
    // (seconds since 1970, date, day of the week)
    for (seconds, date, week_day) in [
        (0, [0x19, 0x70, 0x01, 0x01], 5),
        (951_782_399, [0x20, 0x00, 0x02, 0x28], 2),
        (951_782_400, [0x20, 0x00, 0x02, 0x29], 3),
        (951_868_800, [0x20, 0x00, 0x03, 0x01], 4),
        (1_709_164_800, [0x20, 0x24, 0x02, 0x29], 5),
        (1_735_603_200, [0x20, 0x24, 0x12, 0x31], 3),
        (4_107_542_400, [0x21, 0x00, 0x03, 0x01], 2),
    ] {
        let b = Bench::at(seconds);

        assert_eq!(b.time()[..4], date, "{seconds}");
        assert_eq!(b.get(DAY_OF_WEEK), week_day, "{seconds}");
    }
}

#[test]
fn days_and_dates_are_each_others_inverse() {
    for days in (-800_000..800_000).step_by(if cfg!(miri) { 9_973 } else { 1 }) {
        let (year, month, day) = calendar::date(days);
        assert_eq!(calendar::days_to(year, month, day), days);
        assert!((1..=12).contains(&month) && (1..=31).contains(&day), "{days}");
    }
}

#[test]
fn it_counts_on_from_what_the_guest_sets() {
    let b = Bench::new();

    b.set_time([0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59]);
    assert_eq!(b.get(SECONDS), 0x59);
    b.clock.advance(REST);

    assert_eq!(b.time(), [0x20, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00]);
    assert_eq!(b.get(DAY_OF_WEEK), 4, "counted on from Tuesday");
}

#[test]
fn set_stops_updates_and_keeps_their_phase() {
    let b = Bench::quiet();
    b.set(B, 0x92);
    assert_eq!(b.get(B), 0x82, "UIE is cleared");

    b.clock.advance(100 * SECOND);
    assert_eq!((b.get(SECONDS), b.get(C)), (0x20, 0));
    b.set(B, 0x02);
    b.clock.advance(REST - 1);
    assert_eq!(b.get(SECONDS), 0x20);
    b.clock.advance(1);

    assert_eq!((b.get(SECONDS), b.get(C)), (0x21, 0x10));
}

#[test]
fn writing_register_b_does_not_restart_the_second() {
    let b = Bench::new();

    for _ in 0..30_000 {
        b.set(B, 0x02);
        b.clock.advance(100_000);
    }

    assert_eq!(b.get(SECONDS), 0x23);
}

#[test]
fn uip_is_set_for_244_us_before_the_update_and_during_it() {
    let b = Bench::new();

    b.clock.advance(REST - 2_228_001);
    assert_eq!(b.get(A), 0x26);
    b.clock.advance(1);
    assert_eq!((b.get(A), b.get(SECONDS)), (0xa6, 0x20));
    b.set(B, 0x82);
    assert_eq!(b.get(A), 0x26, "SET stops it");
    b.set(B, 0x02);
    b.clock.advance(2_227_999);
    assert_eq!(b.get(A), 0xa6);
    b.clock.advance(1);

    assert_eq!((b.get(A), b.get(SECONDS)), (0x26, 0x21));
}

#[test]
fn the_divider_in_reset_stops_the_time_and_starts_it_half_a_second_before_an_update() {
    for dv in [0x60, 0x70] {
        let b = Bench::new();
        b.set(A, dv | 0x06);
        b.clock.advance(100 * SECOND);
        assert_eq!((b.get(SECONDS), b.get(A), b.get(C)), (0x20, dv | 0x06, 0));

        b.set(A, 0x26);
        b.clock.advance(SECOND / 2 - 1);
        assert_eq!(b.get(SECONDS), 0x20);
        b.clock.advance(1);

        assert_eq!((b.get(SECONDS), b.get(C)), (0x21, 0x50));
        b.clock.advance(SECOND);
        assert_eq!(b.get(SECONDS), 0x22);
    }
}

#[test]
fn a_divider_that_starts_has_a_whole_period_before_it() {
    let b = Bench::new();
    b.set(A, 0x6f);
    b.set(B, 0x42);
    b.clock.advance(SECOND * 3 / 10);
    b.set(A, 0x2f);

    b.clock.advance(SECOND / 2 - 1);
    assert!(!b.irq());
    b.clock.advance(1);

    assert!(b.irq());
}

#[test]
fn hours_are_of_24_or_12_and_numbers_bcd_or_binary() {
    // Register B; hours before noon, at noon, after it, and at midnight.
    for (register, hours) in [
        (0x02, [0x11, 0x12, 0x23, 0x00]),
        (0x00, [0x11, 0x92, 0x91, 0x12]),
        (0x06, [11, 12, 23, 0]),
        (0x04, [11, 0x80 | 12, 0x80 | 11, 12]),
    ] {
        let b = Bench::new();
        b.set(B, register);
        for (hour, then) in [(0, 1), (2, 3)] {
            let late = if register & 4 == 0 { 0x59 } else { 59 };
            b.set(HOURS, hours[hour]);
            b.set(MINUTES, late);
            b.set(SECONDS, late);

            b.clock.advance(SECOND);

            assert_eq!(
                [b.get(HOURS), b.get(MINUTES), b.get(SECONDS)],
                [hours[then], 0, 0],
                "{register:#x}"
            );
        }
    }
}

#[test]
fn nonsense_in_the_time_counts_on_from_something() {
    let b = Bench::new();

    b.set_time([0xff, 0xff, 0xff, 0x00, 0xff, 0xff, 0xff]);
    assert_eq!(b.get(HOURS), 0xff);
    b.clock.advance(2 * 86_400 * SECOND);

    let time = b.time();
    assert!(
        time[1..].iter().all(|byte| byte >> 4 <= 9 && byte & 0xf <= 9),
        "{time:x?}"
    );
}

#[test]
fn the_century_changes_with_the_century_only() {
    let b = Bench::new();
    b.set(CENTURY, 0xa5);

    b.clock.advance(86_400 * SECOND);
    assert_eq!((b.get(CENTURY), b.get(DAY_OF_MONTH)), (0xa5, 0x15));
    b.set_time([0x20, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59]);
    b.clock.advance(SECOND);

    assert_eq!((b.get(CENTURY), b.get(YEAR)), (0x21, 0x00));
}

#[test]
fn an_update_interrupts_until_register_c_is_read_and_again() {
    let b = Bench::quiet();
    b.set(B, 0x12);

    b.clock.advance(REST - 1);
    assert!(!b.irq());
    for _ in 0..3 {
        b.clock.advance(1);
        assert!(b.irq());
        assert_eq!([b.get(C), b.get(C)], [0x90, 0]);
        assert!(!b.irq());
        b.clock.advance(SECOND - 1);
        assert!(!b.irq());
    }
}

#[test]
fn flags_are_set_whether_they_interrupt_or_not() {
    let b = Bench::new();
    b.set_alarm([0xff, 0xff, 0xff]);

    b.clock.advance(SECOND);
    assert!(!b.irq());
    b.set(B, 0x42);
    assert!(b.irq(), "at once when enabled");

    assert_eq!([b.get(C), b.get(C)], [0xf0, 0]);
}

#[test]
fn the_alarm_goes_off_at_its_time_of_the_day() {
    let b = Bench::new();
    b.set_alarm([0x22, 0x14, 0x05]);
    b.set(B, 0x22);

    b.clock.advance(44 * SECOND + REST - 1);
    assert!(!b.irq());
    for _ in 0..2 {
        b.clock.advance(1);
        assert_eq!((b.irq(), b.get(C) & 0xa0), (true, 0xa0));
        b.clock.advance(86_400 * SECOND - 1);
        assert!(!b.irq());
    }
}

#[test]
fn what_does_not_matter_to_the_alarm_has_its_two_upper_bits_set() {
    // Hours, minutes, seconds, and when it goes off first and next, in seconds from 22:13:20.
    for (alarm, first, next) in [
        ([0xff, 0xff, 0xff], 1, 2),
        ([0xc0, 0xc0, 0x30], 10, 70),
        ([0xff, 0x15, 0x00], 100, 3_700),
        ([0xff, 0x13, 0xc0], 1, 2),
        ([0x22, 0xff, 0x20], 60, 120),
        ([0x23, 0xff, 0xff], 2_800, 2_801),
        ([0x00, 0x00, 0x00], 6_400, 92_800),
        ([0x22, 0x13, 0x20], 86_400, 172_800),
    ] {
        let b = Bench::new();
        b.set_alarm(alarm);
        b.set(B, 0x22);
        b.clock.advance((first - 1) * SECOND + REST - 1);
        assert!(!b.irq(), "{alarm:x?}");
        b.clock.advance(1);
        assert!(b.irq(), "{alarm:x?}");
        b.get(C);
        b.clock.advance((next - first) * SECOND - 1);
        assert!(!b.irq(), "{alarm:x?}");
        b.clock.advance(1);
        assert!(b.irq(), "{alarm:x?}");
    }
}

#[test]
fn an_alarm_that_is_no_time_does_not_go_off() {
    for alarm in [
        [0x24, 0x00, 0x00],
        [0x22, 0x60, 0xff],
        [0xff, 0xff, 0x0a],
        [0xff, 0xff, 0x60],
    ] {
        let b = Bench::new();
        b.set_alarm(alarm);
        b.set(B, 0x22);

        b.clock.advance(2 * 86_400 * SECOND);

        assert_eq!(b.get(C) & 0x20, 0, "{alarm:x?}");
    }
}

#[test]
fn an_alarm_in_12_hours_is_before_or_after_noon() {
    for (hours, after) in [(0x10, 43_200), (0x90, 0)] {
        let b = Bench::new();
        b.set(B, 0x20);
        b.set(HOURS, 0x90);
        b.set_alarm([hours, 0x13, 0x21]);

        b.clock.advance(after * SECOND + REST - 1);
        assert!(!b.irq(), "{hours:#x}");
        b.clock.advance(1);
        assert!(b.irq(), "{hours:#x}");
    }
}

#[test]
fn periodic_interrupts_have_15_rates() {
    let hertz = [256, 128, 8192, 4096, 2048, 1024, 512, 256, 128, 64, 32, 16, 8, 4, 2];
    for (rate, hertz) in (1..=15).zip(hertz) {
        let b = Bench::new();
        b.set(A, 0x20 | rate);
        b.set(B, 0x42);

        let mut interrupts = 0;
        while let Some(at) = b.clock.next_deadline().filter(|&at| at <= SECOND) {
            b.clock.advance(at - b.clock.now_ns());
            assert_eq!((b.irq(), b.get(C) & 0xc0), (true, 0xc0));
            interrupts += 1;
        }

        assert_eq!(interrupts, hertz, "{rate}");
        assert_eq!(b.clock.now_ns(), SECOND, "{rate}");
    }
}

#[test]
fn rate_0_and_a_divider_in_reset_do_not_interrupt_periodically() {
    for a in [0x20, 0x66] {
        let b = Bench::new();
        b.set(A, a);
        b.set(B, 0x42);

        b.clock.advance(SECOND);

        assert!(!b.irq());
    }
}

#[test]
fn who_does_not_read_register_c_is_interrupted_once() {
    let b = Bench::new();
    b.set(B, 0x42);

    b.clock.advance(SECOND);
    assert!(b.irq());
    assert_eq!(b.clock.next_deadline(), None);
    b.get(C);

    assert!(!b.irq() && b.clock.next_deadline().is_some());
}

#[test]
fn registers_c_and_d_are_not_written() {
    let b = Bench::new();

    b.set(C, 0xff);
    b.set(D, 0x00);

    assert_eq!([b.get(C), b.get(D)], [0, 0x80]);
    b.set(A, 0xff);
    assert_eq!(b.get(A), 0x7f);
}

#[test]
fn there_are_114_bytes_of_ram_and_they_outlive_a_reset() {
    let b = Bench::new();
    let ram = |index: u8| index.wrapping_mul(3) ^ 0x5a;
    (RAM..0x80).for_each(|index| b.set(index, ram(index)));

    b.rtc.reset();

    assert!((RAM..0x80).all(|index| b.get(index) == ram(index)));
    b.rtc.with(|rtc| {
        (0..=0xff).for_each(|index| rtc.set_ram(index, 0x77));
        assert_eq!((rtc.ram(RAM), rtc.ram(0x7f)), (0x77, 0x77));
    });
    assert_eq!((b.get(SECONDS), b.get(A), b.get(0x0e)), (0x20, 0x26, 0x77));
}

#[test]
fn a_reset_clears_enables_and_flags_and_keeps_the_time() {
    let b = Bench::new();
    b.set_time([0x20, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06]);
    b.set(B, 0x7d);
    b.clock.advance(SECOND);
    assert!(b.irq());

    b.rtc.reset();

    assert!(!b.irq());
    assert_eq!((b.get(B), b.get(C)), (0x05, 0));
    b.set(B, 0x02);
    assert_eq!(b.get(MINUTES), 0x05);
}

#[test]
fn the_index_masks_nmi_and_is_not_read() {
    let b = Bench::new();
    let masked = || b.lines.level(1);
    assert!(masked());

    assert_eq!(b.get(D), 0x80);
    assert!(!masked());
    assert_eq!(b.get(0x80 | D), 0x80);
    assert!(masked());

    assert_eq!(b.rtc.read(Access::new(0, 1)), 0xff);
    b.rtc.write(Access::new(0, 1), 0);
    b.rtc.reset();
    assert!(masked());
}

#[test]
fn both_ports_are_one_wide_access() {
    let b = Bench::new();

    b.rtc.write(Access::new(0, 2), 0x5a40);

    assert_eq!(b.get(0x40), 0x5a);
}

#[test]
fn wall_time_that_steps_back_takes_the_time_along_and_does_nothing_else() {
    let b = Bench::new();
    let before = Bench::at(EPOCH - 100);
    b.set_alarm([0xff, 0xff, 0xff]);

    before.rtc.load(&b.rtc.save()).unwrap();

    assert_eq!(before.time(), [0x20, 0x23, 0x11, 0x14, 0x22, 0x11, 0x40]);
    assert_eq!(before.get(C) & 0x30, 0);
}

#[test]
fn everything_under_way_survives_save_reset_load() {
    let b = Bench::new();
    b.set_time([0x20, 0x30, 0x01, 0x01, 0x00, 0x00, 0x00]);
    b.set_alarm([0x00, 0x00, 0x03]);
    b.set(B, 0x32);
    b.clock.advance(SECOND);
    assert!(b.irq());
    b.rtc.write(Access::new(0, 1), C.into());
    let saved = b.rtc.save();

    b.rtc.reset();
    assert_eq!((b.irq(), b.clock.next_deadline()), (false, None));
    b.rtc.load(&saved).unwrap();

    assert!(b.irq());
    // The index is still there; the periodic flag is set, too.
    assert_eq!(b.rtc.read(Access::new(1, 1)), 0xd0);
    b.set(B, 0x22);
    b.clock.advance(SECOND + REST - 1);
    assert!(!b.irq());
    b.clock.advance(QUARTER);
    assert!(b.irq());
    assert_eq!(b.time(), [0x20, 0x30, 0x01, 0x01, 0x00, 0x00, 0x03]);
}

#[test]
fn an_alarm_that_came_due_meanwhile_goes_off_at_the_load() {
    let b = Bench::new();
    b.set_alarm([0x22, 0x14, 0x00]);
    b.set(B, 0x22);
    let saved = b.rtc.save();
    let later = Bench::at(EPOCH + 1_000);

    later.rtc.load(&saved).unwrap();

    assert!(later.irq());
    assert_eq!(later.time(), [0x20, 0x23, 0x11, 0x14, 0x22, 0x30, 0x00]);
}

#[test]
fn a_phase_of_a_second_is_refused() {
    let b = Bench::new();
    for (phase, can_be) in [(SECOND - 1, true), (SECOND, false)] {
        let state = State {
            phase,
            ..State::default()
        };
        let saved = Saved::new(&Format::first(MODEL), &state);
        assert_eq!(b.rtc.load(&saved).is_ok(), can_be, "{phase}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn any_access_is_survived() {
    for seed in 0..4 {
        let (b, other) = (Bench::new(), Bench::new());
        b.rtc.with(|rtc| {
            other
                .rtc
                .with(|other| fuzz::registers(seed, rtc, other, &[0, 1], 4, |_, _| {}))
        });
    }
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn any_access_at_any_time_is_survived() {
    for seed in 0..4 {
        let (b, mut random) = (Bench::new(), fuzz::Random::new(seed));
        for _ in 0..20_000 {
            b.set(random.below(0x40) as u8 & random.next() as u8, random.value() as u8);
            b.get(random.below(0x10) as u8);
            let scale = random.below(25);
            b.clock.advance(random.below(1 << scale));
        }
    }
}

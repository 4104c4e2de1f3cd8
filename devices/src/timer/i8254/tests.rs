use super::*;
use crate::bus::{Access, Format, Lines, Saved, fuzz};

struct Bench {
    pit: Shared<I8254>,
    clock: Clock,
    lines: Arc<Lines>,
}

const CONTROL: u64 = 3;
const PORT_61: u64 = 0x21;

impl Bench {
    /// At a pulse, with counter 2's gate open.
    fn new() -> Bench {
        let (wiring, clock) = (Wiring::new(), Clock::manual(0));
        let lines = Lines::new(&wiring, 1);
        let pit = I8254::new(&wiring, &clock, lines.irq(0));
        let b = Bench { pit, clock, lines };
        b.pulses(1000);
        b.set(PORT_61, 1);
        b
    }

    fn set(&self, offset: u64, value: u8) {
        self.pit.write(Access::new(offset, 1), value.into());
    }

    fn get(&self, offset: u64) -> u8 {
        self.pit.read(Access::new(offset, 1)) as u8
    }

    /// Lets so many pulses go by.
    fn pulses(&self, count: u64) {
        let to = ns_of(pulse(self.clock.now_ns()) + count);
        self.clock.advance(to - self.clock.now_ns());
    }

    /// A control word for counter 2 and a count, both bytes.
    fn start(&self, mode: u8, count: u16) {
        self.set(CONTROL, 0xb0 | mode << 1);
        self.write(count);
    }

    fn write(&self, count: u16) {
        count.to_le_bytes().into_iter().for_each(|byte| self.set(2, byte));
    }

    fn count(&self) -> u16 {
        u16::from_le_bytes([self.get(2), self.get(2)])
    }

    fn out(&self) -> bool {
        self.get(PORT_61) & 0x20 != 0
    }

    fn gate(&self, level: bool) {
        self.set(PORT_61, level.into());
    }

    /// OUT of counter 2 for so many pulses, from the next on.
    fn wave(&self, pulses: usize) -> String {
        let level = |_| {
            self.pulses(1);
            if self.out() { '-' } else { '_' }
        };
        (0..pulses).map(level).collect()
    }

    fn irq(&self) -> bool {
        self.lines.level(0)
    }

    fn edges(&self) -> bool {
        self.lines.take_risen_word(0) != 0
    }
}

#[test]
fn pulses_come_21_in_17600_ns() {
    for (ns, pulses) in [(0, 0), (838, 0), (839, 1), (17_600, 21), (88_000_000_000, 105_000_000)] {
        assert_eq!(pulse(ns), pulses, "{ns}");
    }
    for n in [1, 2, 20, 21, 1_193_182, u64::from(u32::MAX)] {
        assert_eq!((pulse(ns_of(n)), pulse(ns_of(n) - 1)), (n, n - 1));
    }
}

#[test]
fn mode_0_is_low_from_the_control_word_to_the_terminal_count() {
    let b = Bench::new();
    b.start(2, 10);
    assert!(b.out());

    b.set(CONTROL, 0xb0);
    assert!(!b.out(), "at once");
    assert_eq!(b.wave(3), "___", "without a count");
    b.write(4);

    assert_eq!(b.wave(8), "____----", "one pulse loads");
    assert_eq!(b.count(), 0xfffd, "it counts on");
}

#[test]
fn a_gate_that_is_low_holds_mode_0() {
    let b = Bench::new();
    b.start(0, 4);
    b.pulses(2);

    b.gate(false);
    b.pulses(100);
    assert_eq!((b.count(), b.out()), (3, false));
    b.gate(true);

    assert_eq!(b.wave(3), "__-");
}

#[test]
fn a_count_is_loaded_whatever_the_gate_in_mode_0() {
    let b = Bench::new();
    b.gate(false);
    b.start(0, 3);
    b.pulses(10);
    assert_eq!(b.count(), 3);

    b.gate(true);

    assert_eq!(b.wave(3), "__-");
}

#[test]
fn the_first_byte_of_a_new_count_stops_mode_0() {
    let b = Bench::new();
    b.start(0, 3);
    b.pulses(4);
    assert!(b.out());

    b.set(2, 2);
    assert!(!b.out());
    b.pulses(50);
    assert_eq!((b.count(), b.out()), (0, false));
    b.set(2, 0);

    assert_eq!(b.wave(3), "__-");
}

#[test]
fn mode_1_is_low_for_the_count_after_each_trigger() {
    let b = Bench::new();
    b.gate(false);
    b.start(1, 3);
    assert_eq!(b.wave(3), "---");

    b.gate(true);
    assert_eq!(b.wave(5), "___--");
    b.gate(false);
    b.gate(true);
    assert_eq!(b.wave(2), "__");
    b.gate(false);
    b.gate(true);
    assert_eq!(b.wave(4), "___-", "triggered again");
}

#[test]
fn a_new_count_waits_for_the_next_trigger_in_mode_1() {
    let b = Bench::new();
    b.gate(false);
    b.start(1, 3);
    b.gate(true);

    b.wave(1);
    b.write(5);
    assert_eq!(b.wave(3), "__-");
    b.gate(false);
    b.gate(true);

    assert_eq!(b.wave(6), "_____-");
}

#[test]
fn mode_2_is_low_for_the_last_pulse_of_each_period() {
    for control in [2, 6] {
        let b = Bench::new();
        b.start(control, 4);

        assert_eq!(b.wave(12), "---_---_---_");
        assert_eq!(b.count(), 1);
        b.pulses(4 * 1_000_000 + 1);
        assert_eq!(b.count(), 4);
    }
}

#[test]
fn a_new_count_of_mode_2_follows_the_present_period() {
    let b = Bench::new();
    b.start(2, 4);
    b.wave(2);

    b.write(2);

    assert_eq!(b.wave(7), "-_-_-_-");
}

#[test]
fn the_gate_stops_and_restarts_mode_2() {
    let b = Bench::new();
    b.start(2, 3);
    assert_eq!(b.wave(3), "--_");

    b.gate(false);
    assert!(b.out(), "at once");
    assert_eq!(b.wave(5), "-----");
    b.gate(true);

    assert_eq!(b.wave(6), "--_--_");
}

#[test]
fn mode_3_is_a_square_wave_in_steps_of_2() {
    let b = Bench::new();
    b.start(3, 6);

    let mut counts = Vec::new();
    for _ in 0..7 {
        b.pulses(1);
        counts.push(b.count());
    }
    assert_eq!(counts, [6, 4, 2, 6, 4, 2, 6]);
    assert_eq!(b.wave(12), "--___---___-");
    b.pulses(6 * 1_000_000);
    assert_eq!(b.wave(6), "--___-");
}

#[test]
fn an_odd_square_wave_is_high_for_one_more() {
    let b = Bench::new();
    b.start(3, 5);

    assert_eq!(b.wave(10), "---__---__");
    let mut counts = Vec::new();
    for _ in 0..6 {
        b.pulses(1);
        counts.push(b.count());
    }
    assert_eq!(counts, [4, 2, 0, 4, 2, 4]);
    b.pulses(5 * 1_000_003);
    assert_eq!(b.wave(5), "--__-");
}

#[test]
fn a_new_count_of_mode_3_follows_the_present_half() {
    let b = Bench::new();
    b.start(3, 4);
    b.wave(1);

    b.write(8);

    assert_eq!(b.wave(10), "-____----_");
}

#[test]
fn the_gate_stops_and_restarts_mode_3() {
    let b = Bench::new();
    b.start(3, 4);
    assert_eq!(b.wave(3), "--_");

    b.gate(false);
    assert!(b.out(), "at once");
    b.pulses(7);
    b.gate(true);

    assert_eq!(b.wave(5), "--__-");
}

#[test]
fn a_count_of_1_holds_modes_2_and_3_until_there_is_another() {
    for mode in [2, 3] {
        let b = Bench::new();
        b.start(mode, 1);
        assert_eq!(b.wave(5), "-----");

        b.write(2);

        assert_eq!(b.wave(5), "-_-_-");
    }
}

#[test]
fn mode_4_strobes_once() {
    let b = Bench::new();
    b.start(4, 3);

    assert_eq!(b.wave(7), "---_---");
    b.pulses(0x1_0000);
    assert!(b.out());
    b.write(2);
    assert_eq!(b.wave(5), "--_--");
}

#[test]
fn the_gate_holds_the_count_of_mode_4_and_not_its_strobe() {
    let b = Bench::new();
    b.start(4, 2);
    b.wave(1);

    b.gate(false);
    assert_eq!(b.wave(3), "---");
    b.gate(true);
    assert_eq!(b.wave(2), "-_");
    b.gate(false);

    assert_eq!(b.wave(2), "--");
}

#[test]
fn the_first_byte_of_a_new_count_does_not_stop_mode_4() {
    let b = Bench::new();
    b.start(4, 3);
    b.wave(2);

    b.set(2, 9);

    assert_eq!(b.wave(3), "-_-");
}

#[test]
fn mode_5_strobes_after_each_trigger() {
    let b = Bench::new();
    b.gate(false);
    b.start(5, 2);
    assert_eq!(b.wave(5), "-----");

    b.gate(true);
    assert_eq!(b.wave(5), "--_--");
    b.gate(false);
    b.gate(true);
    assert_eq!(b.wave(1), "-");
    b.gate(false);
    b.gate(true);

    assert_eq!(b.wave(4), "--_-");
}

#[test]
fn a_trigger_before_the_count_is_none() {
    let b = Bench::new();
    b.gate(false);
    b.set(CONTROL, 0xb2);

    b.gate(true);
    b.write(3);

    assert_eq!(b.wave(4), "----");
}

#[test]
fn a_count_of_0_is_the_largest() {
    for (control, pulses) in [(0xb0, 65_536), (0xb1, 10_000)] {
        let b = Bench::new();
        b.set(CONTROL, control);
        b.write(0);

        b.pulses(pulses);
        assert!(!b.out(), "{control:#x}");
        b.pulses(1);
        assert!(b.out(), "{control:#x}");
    }
}

#[test]
fn bcd_counts_in_decimal() {
    let b = Bench::new();
    b.set(CONTROL, 0xb1);
    b.write(0x1000);

    b.pulses(2);
    assert_eq!(b.count(), 0x0999);
    b.pulses(999);
    assert_eq!((b.count(), b.out()), (0, true));
    b.pulses(1);

    assert_eq!(b.count(), 0x9999);
}

#[test]
fn one_byte_of_a_count_leaves_the_other_0() {
    let b = Bench::new();
    b.start(0, 0xffff);

    b.set(CONTROL, 0x90);
    b.set(2, 0x34);
    b.pulses(1);
    assert_eq!([b.get(2), b.get(2)], [0x34; 2]);
    b.set(CONTROL, 0xa0);
    b.set(2, 0x12);
    b.pulses(1);

    assert_eq!([b.get(2), b.get(2)], [0x12; 2]);
}

#[test]
fn reads_and_writes_take_turns_of_their_own() {
    let b = Bench::new();
    b.start(0, 0x1234);
    b.pulses(1);

    assert_eq!(b.get(2), 0x34);
    b.set(2, 0x78);
    assert_eq!(b.get(2), 0x12);
    b.set(2, 0x56);
    b.pulses(1);

    assert_eq!(b.count(), 0x5678);
}

#[test]
fn a_latched_count_stays_until_it_is_read() {
    let b = Bench::new();
    b.start(0, 0x1234);
    b.pulses(1);

    b.set(CONTROL, 0x80);
    b.pulses(0x100);
    b.set(CONTROL, 0x80);
    b.pulses(0x100);

    assert_eq!(b.count(), 0x1234);
    assert_eq!(b.count(), 0x1034);
    b.set(CONTROL, 0x80);
    b.pulses(1);
    b.set(CONTROL, 0xb0);
    b.write(7);
    b.pulses(1);
    assert_eq!(b.count(), 7, "a control word forgets it");
}

#[test]
fn an_unlatched_count_runs_on_between_its_bytes() {
    let b = Bench::new();
    b.start(0, 0x0200);
    b.pulses(1);

    assert_eq!(b.get(2), 0x00);
    b.pulses(1);

    assert_eq!(b.get(2), 0x01);
}

#[test]
fn the_read_back_command_latches_status_before_count() {
    let b = Bench::new();
    b.start(3, 0x1234);
    b.pulses(3);

    b.set(CONTROL, 0xc8);
    b.pulses(100);
    b.set(CONTROL, 0xe8);

    assert_eq!(b.get(2), 0x80 | 0x36);
    assert_eq!(b.count(), 0x1230);
}

#[test]
fn the_read_back_command_is_for_several_counters_or_one_thing() {
    let b = Bench::new();
    for counter in 0..3 {
        b.set(CONTROL, counter << 6 | 0x10);
        b.set(counter.into(), 100 + counter);
    }
    b.pulses(1);

    b.set(CONTROL, 0xd0 | 0b1010);
    b.pulses(10);
    assert_eq!([0, 1, 2].map(|counter| b.get(counter)), [100, 91, 102]);
    b.set(CONTROL, 0xe0 | 0b0100);

    assert_eq!([0, 1, 2].map(|counter| b.get(counter)), [90, 0x10, 92]);
}

#[test]
fn the_status_says_whether_the_count_was_loaded() {
    let b = Bench::new();
    let null = || {
        b.set(CONTROL, 0xe8);
        b.get(2) & 0x40 != 0
    };
    b.set(CONTROL, 0xb4);
    assert!(null());

    b.write(5);
    assert!(null());
    b.pulses(1);
    assert!(!null());
    b.write(9);
    b.pulses(4);
    assert!(null(), "the period goes on");
    b.pulses(1);

    assert!(!null());
}

#[test]
fn port_61h_keeps_its_lower_bits_and_shows_out_2() {
    let b = Bench::new();
    b.start(0, 10);

    b.set(PORT_61, 0xff);
    assert_eq!(b.get(PORT_61) & !0x10, 0x0f);
    b.pulses(11);
    assert_eq!(b.get(PORT_61) & !0x10, 0x2f);
    b.pit.reset();

    assert_eq!(b.get(PORT_61) & !0x10, 0);
}

#[test]
fn the_refresh_bit_toggles_every_15_us() {
    let b = Bench::new();
    let refresh = || b.get(PORT_61) & 0x10;

    let mut toggles = 0;
    let mut last = refresh();
    for _ in 0..18 * 100 {
        b.pulses(1);
        toggles += u32::from(std::mem::replace(&mut last, refresh()) != last);
    }

    assert_eq!(toggles, 100);
}

/// As kernels calibrate: the gate, mode 0, the largest count, and the upper byte polled.
#[test]
fn calibration_by_counter_2_sees_its_clock() {
    let b = Bench::new();
    b.set(PORT_61, 0);
    b.set(PORT_61, 1);
    b.start(0, 0xffff);
    let start = b.clock.now_ns();

    let mut high = Vec::new();
    while b.clock.now_ns() < start + 10_000_000 {
        b.clock.advance(1_000);
        b.get(2);
        high.push(b.get(2));
    }

    // 10 ms are 11,931.8 pulses.
    assert_eq!(high.last(), Some(&(((0xffff - 11_931 + 1) >> 8) as u8)));
    assert!(high.is_sorted_by(|one, next| one >= next && one - next <= 1));
}

#[test]
fn counter_0_interrupts_periodically_without_drift() {
    let b = Bench::new();
    b.set(CONTROL, 0x34);
    [0xa9, 0x04].into_iter().for_each(|byte| b.set(0, byte));
    b.pulses(1);
    b.edges();

    let mut interrupts = 0;
    let start = b.clock.now_ns();
    while b.clock.now_ns() - start < 1_000_000_000 {
        let next = b.clock.next_deadline().unwrap();
        b.clock.advance(next - b.clock.now_ns());
        interrupts += u32::from(b.edges());
        assert!(b.irq());
    }

    // 1193 pulses: 1000.15 Hz.
    assert_eq!(interrupts, 1001);
    assert_eq!((pulse(b.clock.now_ns()) - pulse(start)), 1001 * 1193);
}

#[test]
fn the_line_follows_a_square_wave() {
    let b = Bench::new();
    b.set(CONTROL, 0x36);
    [0x00, 0x10].into_iter().for_each(|byte| b.set(0, byte));
    b.pulses(1);

    for _ in 0..3 {
        assert!(b.irq());
        b.pulses(0x800 - 1);
        assert!(b.irq());
        b.pulses(1);
        assert!(!b.irq());
        b.pulses(0x800);
    }
}

#[test]
fn a_one_shot_interrupts_when_its_count_is_over() {
    for (mode, before) in [(0, false), (4, true)] {
        let b = Bench::new();
        b.set(CONTROL, 0x30 | mode << 1);
        b.edges();
        [0x34, 0x12].into_iter().for_each(|byte| b.set(0, byte));

        b.pulses(0x1234);
        assert_eq!((b.irq(), b.edges()), (before, false));
        b.pulses(2);
        assert_eq!((b.irq(), b.edges()), (true, true), "mode {mode}");
        b.pulses(0x2_0000);

        assert!(!b.edges());
        assert_eq!(b.clock.next_deadline(), None);
    }
}

#[test]
fn interrupts_that_nobody_could_see_are_one() {
    let b = Bench::new();
    b.set(CONTROL, 0x14);
    b.set(0, 100);
    b.pulses(1);
    b.edges();
    let other = Bench::new();
    other.clock.advance(1_000_000_000);

    other.pit.load(&b.pit.save()).unwrap();

    assert!(other.edges() && other.irq());
    assert!(!other.edges());
}

#[test]
fn everything_under_way_survives_save_reset_load() {
    let b = Bench::new();
    b.set(CONTROL, 0x36);
    [0x00, 0x10].into_iter().for_each(|byte| b.set(0, byte));
    b.start(0, 0x1234);
    b.pulses(0x801);
    // Latched status and count, a byte read, a byte written.
    b.set(CONTROL, 0xc8);
    assert_eq!(b.get(2), 0x30);
    assert_eq!(b.get(2), 0x34);
    b.set(2, 0x07);
    let saved = b.pit.save();

    b.pit.reset();
    assert_eq!((b.clock.next_deadline(), b.irq()), (None, false));
    b.pit.load(&saved).unwrap();

    assert_eq!(b.get(2), 0x0a);
    b.set(2, 0x00);
    assert_eq!(b.wave(8), "_______-");
    assert!(!b.irq());
    b.pulses(0x800 - 8);
    assert!(b.irq());
}

#[test]
fn states_that_cannot_be_are_refused() {
    let b = Bench::new();
    let with = |change: fn(&mut State)| {
        let mut state = State::default();
        change(&mut state);
        b.pit.load(&Saved::new(&Format::first(MODEL), &state)).is_ok()
    };

    assert!(with(|_| {}));
    assert!(!with(|state| state.counters[0].element = 0x1_0001));
    assert!(!with(|state| state.counters[1].control = 0x40));
    assert!(!with(|state| state.counters[2].gate = true));
    assert!(!with(|state| state.nmi_sc = 1));
}

/// A counter is the same whether it is looked at with every pulse or now and then.
#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn looks_change_nothing() {
    let mut random = fuzz::Random::new(1);
    for round in 0..2_000 {
        let mut often = Channel::new(true);
        let mut seldom = often.clone();
        let (mut now, mut rose) = (0, false);
        for _ in 0..12 {
            for _ in 0..random.below(40) {
                now += 1;
                rose |= often.advance(now);
            }
            assert_eq!(seldom.advance(now), rose, "round {round}");
            rose = false;
            let (what, byte) = (random.below(8), random.below(12) as u8);
            for channel in [&mut often, &mut seldom] {
                match what {
                    0 => channel.write_control(0x30 | byte),
                    1 => channel.write_control(0x10 | byte),
                    2 | 3 => channel.set_gate(byte & 1 != 0, now),
                    _ => channel.write_count(byte, now),
                }
            }
            assert_eq!(often, seldom, "round {round}");
        }
    }
}

/// OUT does not change before the pulse at which it is said to.
#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn the_next_change_is_the_next() {
    for mode in 0..6 {
        for count in [2, 3, 4, 9, 10] {
            let mut channel = Channel::new(true);
            channel.advance(10);
            channel.write_control(0x10 | mode << 1);
            channel.set_gate(mode != 1 && mode != 5, 10);
            channel.write_count(count, 10);
            channel.set_gate(true, 10);
            for _ in 0..5 {
                let Some(next) = channel.next_change() else { break };
                let before = channel.out;
                let mut at = channel.clone();
                at.advance(next - 2);
                assert_eq!(at.out, before, "mode {mode} count {count}");
                let rose = channel.advance(next);
                assert!(rose || channel.out != before, "mode {mode} count {count}");
                let strobes = mode == 2 || mode >= 4;
                assert!(!strobes || rose && channel.out, "mode {mode} count {count}");
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn any_access_is_survived() {
    for seed in 0..4 {
        let (b, other) = (Bench::new(), Bench::new());
        b.pit.with(|pit| {
            other
                .pit
                .with(|other| fuzz::registers(seed, pit, other, &[0, 1, 2, 3, 0x21], 0x30, |_, _| {}))
        });
    }
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn any_access_at_any_time_is_survived() {
    for seed in 0..4 {
        let (b, mut random) = (Bench::new(), fuzz::Random::new(seed));
        for _ in 0..20_000 {
            let access = random.access(&[0, 1, 2, 3, 0x21], 0x30);
            b.pit.write(access, random.value());
            b.pit.read(access);
            // A count of 2 interrupts 600 times in a millisecond.
            let scale = random.below(20);
            b.clock.advance(random.below(1 << scale));
        }
    }
}

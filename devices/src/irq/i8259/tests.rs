use super::*;
use crate::bus::{Access, Format, Saved, fuzz};

const COMMAND: [u64; 2] = [0x00, 0x80];
const DATA: [u64; 2] = [0x01, 0x81];

struct Bench {
    pic: Shared<I8259>,
    intr: Arc<Lines>,
    irqs: Vec<Irq>,
}

impl Bench {
    fn new() -> Bench {
        let wiring = Wiring::new();
        let intr = Lines::new(&wiring, 1);
        let pic = I8259::new(&wiring, intr.irq(0));
        wiring.connect(vec![pic.controller()]);
        let irqs = (0..16).map(|n| pic.with(|pic| pic.irq(n))).collect();
        Bench { pic, intr, irqs }
    }

    /// As PC firmware and kernels set them up: vectors from 20h and 28h, nothing masked.
    fn ready() -> Bench {
        Bench::with_icw4([0x01, 0x01])
    }

    fn with_icw4(icw4: [u8; 2]) -> Bench {
        let b = Bench::new();
        b.initialise(0, [0x11, 0x20, 0x04, icw4[0]]);
        b.initialise(1, [0x11, 0x28, 0x02, icw4[1]]);
        b
    }

    fn initialise(&self, chip: usize, icw: [u8; 4]) {
        self.set(COMMAND[chip], icw[0]);
        icw[1..].iter().for_each(|&word| self.set(DATA[chip], word));
    }

    fn set(&self, offset: u64, value: u8) {
        self.pic.write(Access::new(offset, 1), value.into());
    }

    fn get(&self, offset: u64) -> u8 {
        self.pic.read(Access::new(offset, 1)) as u8
    }

    fn irr(&self, chip: usize) -> u8 {
        self.set(COMMAND[chip], 0x0a);
        self.get(COMMAND[chip])
    }

    fn isr(&self, chip: usize) -> u8 {
        self.set(COMMAND[chip], 0x0b);
        self.get(COMMAND[chip])
    }

    fn raise(&self, n: usize) {
        self.irqs[n].drive(true);
    }

    fn lower(&self, n: usize) {
        self.irqs[n].drive(false);
    }

    fn int(&self) -> bool {
        self.intr.level(0)
    }

    fn acknowledge(&self) -> u8 {
        ExtInt::acknowledge(&self.pic)
    }

    /// A non-specific end of interrupt.
    fn end(&self, chip: usize) {
        self.set(COMMAND[chip], 0x20);
    }
}

#[test]
fn an_edge_interrupts_once() {
    let b = Bench::ready();

    b.raise(4);
    assert!(b.int());
    assert_eq!(b.acknowledge(), 0x24);
    assert!(!b.int());
    assert_eq!((b.isr(0), b.irr(0)), (0x10, 0));
    b.end(0);
    assert!(!b.int(), "the line is still high");
    b.lower(4);
    b.raise(4);

    assert!(b.int());
    assert_eq!(b.isr(0), 0);
}

#[test]
fn the_slave_interrupts_through_the_master() {
    let b = Bench::ready();

    b.raise(12);
    assert!(b.int());
    assert_eq!(b.acknowledge(), 0x2c);
    assert_eq!((b.isr(0), b.isr(1)), (0x04, 0x10));
    b.raise(8);
    assert!(!b.int(), "the master serves its IR2");
    b.end(1);
    b.end(0);

    assert!(b.int());
    assert_eq!(b.acknowledge(), 0x28);
}

#[test]
fn what_is_raised_while_masked_is_delivered_when_unmasked() {
    let b = Bench::ready();
    b.set(DATA[0], 0x10);

    b.raise(4);
    assert_eq!((b.int(), b.irr(0), b.get(DATA[0])), (false, 0x10, 0x10));
    b.set(DATA[0], 0);

    assert!(b.int());
    assert_eq!(b.acknowledge(), 0x24);
}

#[test]
fn a_level_that_stays_high_interrupts_again_after_its_end() {
    let b = Bench::ready();
    b.set(0x4b0, 0x20);
    b.set(0x4b1, 0x02);

    for (irq, vector, chips) in [(5, 0x25, &[0][..]), (9, 0x29, &[1, 0])] {
        b.raise(irq);
        assert_eq!(b.acknowledge(), vector);
        assert!(!b.int());
        chips.iter().for_each(|&chip| b.end(chip));
        assert!(b.int(), "{irq}");
        b.lower(irq);
        assert!(!b.int(), "{irq}");
    }
}

#[test]
fn only_some_inputs_can_be_level_triggered() {
    let b = Bench::ready();

    b.set(0x4b0, 0xff);
    b.set(0x4b1, 0xff);
    assert_eq!((b.get(0x4b0), b.get(0x4b1)), (0xf8, 0xde));
    b.pic.write(Access::new(0x4b0, 2), 0x0220);
    assert_eq!(b.pic.read(Access::new(0x4b0, 2)), 0x0220);
    b.pic.reset();

    assert_eq!((b.get(0x4b0), b.get(0x4b1)), (0, 0));
}

#[test]
fn icw1_starts_over_but_for_the_elcr() {
    let b = Bench::ready();
    b.set(0x4b0, 0x20);
    b.raise(3);
    b.acknowledge();
    b.set(DATA[0], 0xf0);
    b.raise(1);
    // IR0 is the lowest; special mask mode; ISR is read; rotation in automatic ends.
    for word in [0xc0, 0x68, 0x0b, 0x80] {
        b.set(COMMAND[0], word);
    }

    b.set(COMMAND[0], 0x11);
    assert!(!b.int());
    assert_eq!(b.get(COMMAND[0]), 0, "IRR, without the edges from before");
    [0x40, 0x04, 0x01].into_iter().for_each(|word| b.set(DATA[0], word));

    assert_eq!((b.get(DATA[0]), b.isr(0), b.get(0x4b0)), (0, 0, 0x20));
    b.raise(0);
    b.raise(7);
    assert_eq!(b.acknowledge(), 0x40, "IR0 has the highest priority");
    b.set(DATA[0], 0x01);
    assert!(!b.int(), "no special mask mode");
}

#[test]
fn nothing_interrupts_before_it_is_initialised() {
    let b = Bench::new();
    b.raise(4);
    assert!(!b.int());

    b.set(DATA[0], 0xa5);
    assert_eq!(b.get(DATA[0]), 0xa5, "the mask is there, as kernels check");
    b.set(COMMAND[0], 0x11);
    for word in [0x20, 0x04] {
        b.set(DATA[0], word);
        b.lower(4);
        b.raise(4);
        assert!(!b.int(), "{word:#x}");
    }
    b.set(DATA[0], 0x01);

    assert!(b.int());
}

#[test]
fn the_initialisation_has_as_many_words_as_icw1_says() {
    // Without ICW4 the vectors are those of an MCS-80; without ICW3 there is no slave.
    for (words, mask, vector) in [
        (&[0x11, 0x20, 0x04, 0x01][..], 0xfe, 0x20),
        (&[0x13, 0x20, 0x01], 0xfe, 0x20),
        (&[0x10, 0x20, 0x04], 0xfe, 0x00),
        (&[0x12, 0x20], 0xfe, 0x00),
    ] {
        let b = Bench::new();
        b.set(COMMAND[0], words[0]);
        words[1..].iter().for_each(|&word| b.set(DATA[0], word));
        b.set(DATA[0], mask);

        assert_eq!(b.get(DATA[0]), mask, "{words:x?}");
        b.raise(0);
        assert_eq!(b.acknowledge(), vector, "{words:x?}");
    }
}

#[test]
fn an_mcs_80_has_its_vectors_4_or_8_bytes_apart() {
    for (icw1, vector) in [(0xf6, 0xf4), (0xd6, 0xd4), (0xf2, 0xe8), (0xd2, 0xe8)] {
        let b = Bench::new();
        b.set(COMMAND[0], icw1);
        b.set(DATA[0], 0x20);

        b.raise(5);

        assert_eq!(b.acknowledge(), vector, "{icw1:#x}");
    }
}

#[test]
fn a_single_chip_has_no_slave() {
    let b = Bench::ready();
    b.set(COMMAND[0], 0x13);
    b.set(DATA[0], 0x40);
    b.set(DATA[0], 0x01);

    b.raise(15);

    assert_eq!(b.acknowledge(), 0x42);
    assert_eq!((b.isr(0), b.isr(1)), (0x04, 0));
}

#[test]
fn a_slave_of_another_level_does_not_answer() {
    let b = Bench::ready();
    b.initialise(1, [0x11, 0x28, 0x05, 0x01]);

    b.raise(8);

    assert_eq!(b.acknowledge(), 0xff);
    assert_eq!((b.isr(0), b.isr(1)), (0x04, 0));
}

#[test]
fn a_request_that_is_gone_is_irq_7_or_15_and_not_in_service() {
    let b = Bench::ready();
    b.raise(3);
    b.lower(3);
    assert_eq!((b.int(), b.acknowledge(), b.isr(0)), (false, 0x27, 0));

    // The slave's request goes after the master has taken it up.
    b.set(COMMAND[1], 0x0c);
    b.raise(10);
    b.pic.with(|pic| {
        pic.state.slave.drive_one(2, false);
        assert_eq!(pic.cascaded(2), 0x2f);
    });
    assert_eq!(b.isr(1), 0);
}

#[test]
fn a_spurious_irq_15_is_in_service_at_the_master() {
    let b = Bench::ready();
    b.raise(10);
    b.set(DATA[1], 0x04);
    assert!(!b.int(), "the slave's INT falls with the mask");

    b.set(DATA[1], 0);
    b.pic.with(|pic| {
        pic.take_lines();
        assert_eq!(pic.state.master.acknowledge(), Some(2));
        pic.state.slave.drive_one(2, false);
        assert_eq!(pic.cascaded(2), 0x2f);
    });

    assert_eq!((b.isr(0), b.isr(1)), (0x04, 0));
}

#[test]
fn higher_priorities_nest_and_lower_ones_wait() {
    let b = Bench::ready();

    b.raise(4);
    b.acknowledge();
    b.raise(6);
    assert!(!b.int());
    b.raise(1);
    assert!(b.int());
    assert_eq!(b.acknowledge(), 0x21);
    assert_eq!(b.isr(0), 0x12);
    b.end(0);
    assert_eq!((b.isr(0), b.int()), (0x10, false), "the highest one has ended");
    b.end(0);

    assert_eq!(b.acknowledge(), 0x26);
}

#[test]
fn a_specific_end_is_of_its_level() {
    let b = Bench::ready();
    for irq in [5, 4] {
        b.raise(irq);
        b.acknowledge();
    }

    b.set(COMMAND[0], 0x65);
    assert_eq!(b.isr(0), 0x10);
    b.set(COMMAND[0], 0x40);
    assert_eq!(b.isr(0), 0x10, "no operation");
    b.set(COMMAND[0], 0x64);

    assert_eq!(b.isr(0), 0);
}

#[test]
fn rotation_makes_the_ended_level_the_lowest() {
    let b = Bench::ready();
    b.raise(4);
    b.acknowledge();

    b.set(COMMAND[0], 0xa0);
    b.lower(4);
    [3, 4, 5].into_iter().for_each(|irq| b.raise(irq));
    assert_eq!(b.acknowledge(), 0x25);
    b.set(COMMAND[0], 0xe5);
    assert_eq!((b.isr(0), b.acknowledge()), (0, 0x23));
    b.set(COMMAND[0], 0xe6);

    assert_eq!(b.isr(0), 0x08, "it was not that level that was in service");
    b.raise(7);
    assert_eq!(b.acknowledge(), 0x27, "behind IR6");
}

#[test]
fn the_priority_is_set() {
    let b = Bench::ready();
    [2, 3, 8].into_iter().for_each(|irq| b.raise(irq));

    b.set(COMMAND[0], 0xc2);

    assert_eq!([b.acknowledge(), b.isr(0)], [0x23, 0x08]);
    b.end(0);
    assert_eq!(b.acknowledge(), 0x28, "then the slave");
}

#[test]
fn automatic_ends_leave_nothing_in_service() {
    let b = Bench::with_icw4([0x03, 0x03]);

    b.raise(3);
    b.raise(9);
    assert_eq!((b.acknowledge(), b.isr(0), b.isr(1)), (0x29, 0, 0));
    assert_eq!((b.acknowledge(), b.isr(0), b.int()), (0x23, 0, false));
}

#[test]
fn automatic_ends_rotate_if_told_so() {
    let b = Bench::with_icw4([0x03, 0x03]);
    b.set(0x4b0, 0x18);
    b.raise(3);
    b.raise(4);

    b.set(COMMAND[0], 0x80);
    assert_eq!([0; 4].map(|_| b.acknowledge()), [0x23, 0x24, 0x23, 0x24]);
    b.set(COMMAND[0], 0x00);

    assert_eq!([0; 2].map(|_| b.acknowledge()), [0x23, 0x23]);
}

#[test]
fn a_slave_with_automatic_ends_has_an_edge_for_each_request() {
    let b = Bench::with_icw4([0x01, 0x03]);
    b.raise(9);
    b.raise(11);

    assert_eq!(b.acknowledge(), 0x29);
    b.end(0);
    assert!(b.int());

    assert_eq!(b.acknowledge(), 0x2b);
    b.end(0);
    assert!(!b.int());
}

#[test]
fn special_mask_mode_lets_lower_levels_in() {
    let b = Bench::ready();
    b.raise(3);
    b.acknowledge();
    b.raise(6);
    b.set(DATA[0], 0x08);
    assert!(!b.int());

    b.set(COMMAND[0], 0x68);
    assert_eq!((b.int(), b.acknowledge()), (true, 0x26));
    b.set(COMMAND[0], 0x0b);
    b.end(0);
    assert_eq!(b.isr(0), 0x08, "a masked level is not ended without its number");
    b.end(0);
    assert_eq!(b.isr(0), 0x08);
    b.set(COMMAND[0], 0x48);
    b.end(0);

    assert_eq!(b.isr(0), 0);
}

#[test]
fn a_level_in_service_that_is_not_masked_counts_in_special_mask_mode() {
    let b = Bench::ready();
    b.raise(3);
    b.acknowledge();

    b.set(COMMAND[0], 0x68);
    b.raise(6);
    assert!(!b.int());
    b.set(COMMAND[0], 0x28);
    b.set(DATA[0], 0x08);

    assert!(b.int(), "SMM counts with ESMM only");
}

#[test]
fn a_polled_chip_answers_the_next_read() {
    let b = Bench::ready();
    for port in [COMMAND[0], DATA[0]] {
        b.raise(5);
        b.set(COMMAND[0], 0x0c);

        assert_eq!(b.get(port), 0x85);
        assert_eq!((b.isr(0), b.int(), b.get(DATA[0])), (0x20, false, 0));
        b.end(0);
        b.lower(5);
    }

    b.set(COMMAND[0], 0x0c);
    assert_eq!(b.get(COMMAND[0]), 0, "nothing asks");
}

#[test]
fn a_polled_slave_takes_its_request_from_the_master() {
    let b = Bench::ready();
    b.raise(9);

    b.set(COMMAND[1], 0x0c);
    assert_eq!(b.get(COMMAND[1]), 0x81);

    assert_eq!((b.int(), b.irr(0), b.isr(1)), (false, 0, 0x02));
}

#[test]
fn the_register_that_is_read_stays_selected() {
    let b = Bench::ready();
    b.raise(4);
    b.acknowledge();
    b.raise(6);

    assert_eq!(b.irr(0), 0x40);
    assert_eq!(b.get(COMMAND[0]), 0x40);
    b.set(COMMAND[0], 0x08);
    assert_eq!(b.get(COMMAND[0]), 0x40);
    assert_eq!(b.isr(0), 0x10);
    assert_eq!(b.get(COMMAND[0]), 0x10);
}

#[test]
fn in_special_fully_nested_mode_a_slaves_inputs_nest() {
    let b = Bench::with_icw4([0x11, 0x01]);
    b.raise(12);
    b.acknowledge();
    b.raise(3);
    b.raise(14);
    assert!(!b.int(), "lower ones wait");

    b.raise(8);
    assert!(b.int());
    assert_eq!(b.acknowledge(), 0x28);
    assert_eq!((b.isr(0), b.isr(1)), (0x04, 0x11));
    b.end(1);
    b.end(1);

    assert_eq!(b.acknowledge(), 0x2e);
    b.end(1);
    b.end(0);
    assert_eq!(b.acknowledge(), 0x23);
}

#[test]
fn irq_2_and_lines_past_the_last_lead_nowhere() {
    let b = Bench::ready();

    [2, 16, usize::MAX]
        .into_iter()
        .for_each(|n| b.pic.with(|pic| pic.irq(n)).drive(true));

    assert!(!b.int());
}

#[test]
fn int_falls_with_the_acknowledge() {
    let b = Bench::with_icw4([0x03, 0x03]);
    b.raise(3);
    b.raise(4);
    b.intr.take_risen_word(0);

    b.acknowledge();

    assert!(b.int());
    assert_eq!(b.intr.take_risen_word(0), 1);
}

#[test]
fn requests_and_service_survive_save_reset_load() {
    let b = Bench::ready();
    b.raise(12);
    b.acknowledge();
    b.raise(1);
    b.set(COMMAND[0], 0x11);
    b.set(DATA[0], 0x50);
    b.set(COMMAND[1], 0x0c);
    b.raise(9);
    let saved = b.pic.save();

    b.pic.reset();
    assert_eq!((b.int(), b.isr(1)), (false, 0));
    b.pic.load(&saved).unwrap();

    // In the middle of an initialisation and of a poll.
    assert_eq!(b.get(COMMAND[1]), 0x81);
    assert_eq!(b.isr(1), 0x12);
    [0x04, 0x01].into_iter().for_each(|word| b.set(DATA[0], word));
    b.lower(1);
    b.raise(1);
    assert_eq!(b.acknowledge(), 0x51);
}

#[test]
fn a_pending_edge_survives_and_one_that_came_since_is_one() {
    let b = Bench::ready();
    b.raise(4);
    let saved = b.pic.save();
    b.acknowledge();
    b.end(0);
    b.raise(6);

    b.pic.load(&saved).unwrap();

    assert_eq!(b.irr(0), 0x50);
    assert!(b.int());
}

#[test]
fn what_lines_did_before_a_load_is_no_edge_of_the_loaded_state() {
    let b = Bench::ready();
    b.raise(4);
    b.acknowledge();
    b.end(0);
    let saved = b.pic.save();

    b.irqs[4].set(false);
    b.irqs[4].set(true);
    b.pic.load(&saved).unwrap();

    assert_eq!((b.irr(0), b.int()), (0, false));
}

#[test]
fn a_reset_sees_no_edge_in_lines_that_are_high() {
    let b = Bench::ready();
    b.raise(4);

    b.pic.reset();
    assert_eq!(b.irr(0), 0);
    b.initialise(0, [0x11, 0x20, 0x04, 0x01]);
    assert!(!b.int());
    b.set(0x4b0, 0x10);

    assert!(b.int(), "as a level it counts");
}

#[test]
fn states_that_cannot_be_are_refused() {
    let b = Bench::new();
    let with = |change: fn(&mut State)| {
        let mut state = State::default();
        change(&mut state);
        b.pic.load(&Saved::new(&Format::first(MODEL), &state)).is_ok()
    };

    assert!(with(|_| {}));
    assert!(!with(|state| state.master.lowest = 8));
    assert!(!with(|state| state.slave.id = 8));
    assert!(!with(|state| state.master.elcr = 1));
    assert!(!with(|state| state.slave.elcr = 0x20));
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn any_access_is_survived() {
    let offsets = [0x00, 0x01, 0x80, 0x81, 0x4b0, 0x4b1];
    for seed in 0..4 {
        let (b, other) = (Bench::new(), Bench::new());
        // The same lines, so that a state that is taken over stays what it is.
        other.pic.with(|other| {
            b.pic.with(|pic| {
                let lines = pic.lines.clone();
                other.lines = lines.clone();
                fuzz::registers(seed, pic, other, &offsets, 0x500, |pic, random| {
                    lines.irq(random.below(16) as usize).set(random.below(2) != 0);
                    pic.take_lines();
                    pic.acknowledge();
                })
            })
        });
    }
}

//! Requests, priorities and ends of interrupts.

use super::*;

#[test]
fn an_interrupt_lives_from_request_to_end() {
    let b = Bench::ready(2);

    b.interrupt(0, 0x31);
    assert_eq!((b.interrupted(), b.vectors(0, IRR)), (vec![0], vec![0x31]));
    assert_eq!(b.take(0), Some(0x31));
    assert_eq!((b.vectors(0, IRR), b.vectors(0, ISR)), (vec![], vec![0x31]));
    assert_eq!((b.irq(0), b.get(PPR)), (false, 0x30));

    b.set(EOI, 0);
    assert_eq!((b.vectors(0, ISR), b.get(PPR), b.irq(0)), (vec![], 0, false));
}

#[test]
fn a_request_that_is_there_already_adds_nothing_but_one_in_service_waits() {
    let b = Bench::ready(1);

    b.interrupt(0, 0x40);
    b.interrupt(0, 0x40);
    assert_eq!(b.take(0), Some(0x40));
    b.interrupt(0, 0x40);
    assert!(!b.irq(0), "its own class is in service");
    b.set(EOI, 0);

    assert_eq!(b.take_all(0), [0x40]);
}

#[test]
fn only_a_higher_class_interrupts() {
    for (in_service, task, vector, comes) in [
        (0, 0x00, 0x1f, true),
        (0, 0x10, 0x1f, false),
        (0, 0x0f, 0x10, true),
        (0, 0x2f, 0x30, true),
        (0, 0x30, 0x3f, false),
        (0, 0xff, 0xff, false),
        (0, 0xef, 0xf0, true),
        (0x50, 0x00, 0x5f, false),
        (0x5f, 0x00, 0x60, true),
        (0x50, 0x60, 0x6f, false),
        (0x60, 0x5f, 0x6f, false),
        (0x60, 0x5f, 0x70, true),
    ] {
        let b = Bench::ready(1);
        if in_service != 0 {
            b.interrupt(0, in_service);
            b.take(0);
        }
        b.set(TPR, task);
        b.interrupt(0, vector);
        assert_eq!(b.irq(0), comes, "{vector:#x} over {in_service:#x}, task {task:#x}");
    }
}

#[test]
fn interrupts_nest_and_end_from_the_inside_out() {
    let b = Bench::ready(1);
    let mut seen = Vec::new();
    for vector in [0x20, 0x55, 0xf1] {
        b.interrupt(0, vector);
        assert_eq!(b.take(0), Some(vector));
    }
    b.interrupt(0, 0x56);
    b.interrupt(0, 0x33);

    for _ in 0..4 {
        seen.push((b.get(PPR), b.irq(0), b.vectors(0, ISR)));
        b.set(EOI, 0);
    }

    let expected = [
        (0xf0, false, vec![0x20, 0x55, 0xf1]),
        (0x50, false, vec![0x20, 0x55]),
        (0x20, true, vec![0x20]),
        (0, true, vec![]),
    ];
    assert_eq!(seen, expected);
    assert_eq!(b.take_all(0), [0x56, 0x33], "nothing in service: an end is ignored");
}

#[test]
fn processor_priority_follows_task_and_service() {
    for (in_service, task, ppr) in [
        (0, 0x00, 0x00),
        (0, 0x37, 0x37),
        (0x45, 0x00, 0x40),
        (0x45, 0x3f, 0x40),
        (0x45, 0x47, 0x47),
        (0x45, 0x5a, 0x5a),
    ] {
        let b = Bench::ready(1);
        if in_service != 0 {
            b.interrupt(0, in_service);
            b.take(0);
        }
        b.set(TPR, task);
        assert_eq!(b.get(PPR), ppr, "{in_service:#x} {task:#x}");
    }
}

#[test]
fn cr8_is_the_upper_half_of_the_task_priority() {
    let b = Bench::ready(1);
    let cpu = b.cpu(0);
    b.interrupt(0, 0x55);

    b.set(TPR, 0x6f);
    assert_eq!((cpu.cr8(), b.irq(0)), (6, false));
    cpu.set_cr8(4);
    assert_eq!((b.get(TPR), b.irq(0)), (0x40, true));
    cpu.set_cr8(5);
    assert_eq!((b.get(TPR), b.irq(0)), (0x50, false));
    cpu.set_cr8(0xff);
    assert_eq!((b.get(TPR), cpu.cr8()), (0xf0, 15));
}

#[test]
fn where_nothing_is_left_the_spurious_vector_is_answered_and_nothing_is_in_service() {
    let b = Bench::ready(1);
    b.set(SVR, 0x1fe);
    b.interrupt(0, 0x40);
    b.set(TPR, 0x40);

    assert_eq!(b.cpu(0).acknowledge(), 0xfe);
    assert_eq!((b.vectors(0, ISR), b.vectors(0, IRR)), (vec![], vec![0x40]));
}

#[test]
fn the_trigger_mode_is_that_of_the_last_request() {
    let b = Bench::ready(1);
    b.send(To::Cpu(0), 0x40, true);
    assert_eq!(b.vectors(0, TMR), [0x40]);
    b.take(0);
    b.interrupt(0, 0x40);
    assert_eq!(b.vectors(0, TMR), NOTHING);
}

#[test]
fn vectors_below_16_are_errors_of_who_sends_and_who_receives() {
    let b = Bench::ready(2);
    for (vector, sender, receiver) in [(0, 0x20, 0x40), (15, 0x20, 0x40), (16, 0, 0)] {
        b.set(ICR_HIGH, 1 << 24);
        b.set(ICR, 0x4000 | vector);
        assert_eq!((b.errors(0), b.errors(1)), (sender, receiver), "{vector}");
    }
    assert_eq!(b.vectors(1, IRR), [16]);

    b.set(ICR, 0x4_4005);
    assert_eq!(b.errors(0), 0x60, "to itself");
}

#[test]
fn the_error_status_is_what_came_before_the_last_write() {
    let b = Bench::ready(1);
    b.set(ICR, 0x4_4001);
    assert_eq!(b.get(ESR), 0, "before a write");
    b.get(0x40);
    b.set(ESR, !0);
    assert_eq!(b.get(ESR), 0xe0);
    b.get(0x40);
    assert_eq!(b.get(ESR), 0xe0, "until the next one");
    b.set(ESR, 0);
    assert_eq!(b.get(ESR), 0x80);
    b.set(ESR, 0);
    assert_eq!(b.get(ESR), 0);
}

#[test]
fn reserved_places_are_errors_and_others_are_not() {
    for (offset, error) in [
        (0x00, 0x80),
        (0x10, 0x80),
        (0x40, 0x80),
        (0x290, 0x80),
        (0x3a0, 0x80),
        (0x3f0, 0x80),
        (0x400, 0x80),
        (0xff0, 0x80),
        (0x90, 0),
        (0xc0, 0),
        (0x24, 0),
        (0x2f0, 0),
        (0x1000, 0),
    ] {
        let b = Bench::ready(1);
        assert!(b.get(offset) == 0 || error == 0);
        assert_eq!(b.errors(0), error, "read of {offset:#x}");
        b.set(offset, 0);
        assert_eq!(b.errors(0), error, "write to {offset:#x}");
    }
}

#[test]
fn an_error_interrupts_once_until_software_looks() {
    let b = Bench::ready(1);
    b.get(0x40);
    b.set(LVT_ERROR, 0xe5);
    assert!(!b.irq(0), "was masked");

    b.get(0x40);
    assert_eq!(b.take_all(0), [0xe5]);
    b.get(0x40);
    assert_eq!(b.take_all(0), NOTHING);
    b.set(ESR, 0);
    b.get(0x40);
    assert_eq!(b.take_all(0), [0xe5]);

    b.set(ESR, 0);
    b.set(LVT_ERROR, 5);
    b.get(0x40);
    assert_eq!((b.take_all(0), b.errors(0)), (vec![], 0xc0), "its own vector is one");
}

#[test]
fn software_disables_all_but_what_is_there_already() {
    let b = Bench::ready(2);
    b.set(LVT_TIMER, 0x40);
    b.interrupt(0, 0x50);
    b.set(SVR, 0xff);

    assert!(!b.send(To::Cpu(0), 0x60, false));
    assert_eq!(b.get(LVT_TIMER), MASKED | 0x40);
    b.set(LVT_TIMER, 0x41);
    assert_eq!(b.get(LVT_TIMER), MASKED | 0x41, "entries stay masked");
    assert_eq!(b.take_all(0), [0x50], "what was requested is still to be handled");
    b.set(ICR_HIGH, 1 << 24);
    b.set(ICR, 0x4070);
    assert_eq!(b.take_all(1), [0x70], "it can send");

    b.set(SVR, 0x1ff);
    assert_eq!(b.get(LVT_TIMER), MASKED | 0x41);
    b.set(LVT_TIMER, 0x41);
    assert_eq!(b.get(LVT_TIMER), 0x41);
}

//! An IOAPIC's pins and entries.

use super::*;

const MASK: u64 = 1 << 16;
const LEVEL: u64 = 1 << 15;
const REMOTE_IRR: u64 = 1 << 14;
const LOW: u64 = 1 << 13;
const STATUS: u64 = 1 << 12;
const LOGICAL: u64 = 1 << 11;
const VECTOR: u8 = 0x51;
const V: u64 = VECTOR as u64;

impl Bench {
    fn io_get(&self, index: u64) -> u32 {
        self.ioapic.write(Access::new(0, 4), index);
        self.ioapic.read(Access::new(0x10, 4)) as u32
    }

    fn io_set(&self, index: u64, value: u32) {
        self.ioapic.write(Access::new(0, 4), index);
        self.ioapic.write(Access::new(0x10, 4), value.into());
    }

    fn entry(&self, pin: u64) -> u64 {
        u64::from(self.io_get(0x10 + 2 * pin)) | u64::from(self.io_get(0x11 + 2 * pin)) << 32
    }

    fn set_entry(&self, pin: u64, value: u64) {
        self.io_set(0x11 + 2 * pin, (value >> 32) as u32);
        self.io_set(0x10 + 2 * pin, value as u32);
    }

    fn pin(&self, pin: usize) -> Irq {
        self.ioapic.with(|apic| apic.pin(pin))
    }

    /// The end of CPU 0's interrupt.
    fn eoi(&self) {
        self.set(EOI, 0);
    }
}

#[test]
fn it_says_what_it_is_and_keeps_what_it_has() {
    let b = Bench::new(1);
    assert_eq!(b.io_get(1), 0x0017_0020);
    b.io_set(0, !0);
    b.io_set(1, !0);
    assert_eq!(
        [0, 1, 2, 3, 0x40].map(|n| b.io_get(n)),
        [0x0f00_0000, 0x0017_0020, 0x0f00_0000, 0, 0]
    );

    for pin in 0..24 {
        assert_eq!(b.entry(pin), MASK, "{pin}");
        b.set_entry(pin, !0);
        assert_eq!(b.entry(pin), 0xff00_0000_0001_afff, "{pin}");
    }
    b.ioapic.write(Access::new(0x0, 1), 0x10);
    b.ioapic.write(Access::new(0x12, 1), 0);
    assert_eq!(b.entry(0), 0xff00_0000_0000_afff, "a byte of it");
    assert_eq!(b.ioapic.read(Access::new(0, 4)), 0x11);
    b.ioapic.reset();
    assert_eq!((b.entry(23), b.io_get(0)), (MASK, 0));
}

#[test]
fn an_edge_is_sent_once() {
    let b = Bench::ready(1);
    b.set_entry(4, V);
    let pin = b.pin(4);

    pin.drive(true);
    assert_eq!(b.vectors(0, TMR), NOTHING);
    assert_eq!(b.take_all(0), [VECTOR]);
    assert_eq!((b.irq(0), b.entry(4)), (false, V), "a high line is no edge");
    pin.drive(false);
    assert!(!b.irq(0));
    pin.drive(true);
    b.take(0);
    pin.drive(false);
    pin.drive(true);
    b.eoi();
    assert_eq!(b.take_all(0), [VECTOR], "one while it is in service is not lost");
}

#[test]
fn an_edge_at_a_masked_pin_is_ignored() {
    let b = Bench::ready(1);
    b.set_entry(4, MASK | V);
    b.pin(4).drive(true);
    // Only this half: no other write has it forget.
    b.io_set(0x18, V as u32);
    assert_eq!((b.irq(0), b.entry(4)), (false, V));
}

#[test]
fn a_pulse_is_an_edge_of_either_polarity() {
    let b = Bench::ready(1);
    let pin = b.pin(4);
    b.set_entry(4, V);
    pin.set(true);
    pin.drive(false);
    assert_eq!(b.take_all(0), [VECTOR]);

    b.set_entry(4, LOW | V);
    pin.drive(true);
    assert!(!b.irq(0));
    pin.drive(false);
    assert_eq!(b.take_all(0), [VECTOR]);
    pin.set(true);
    pin.drive(false);
    assert_eq!(b.take_all(0), [VECTOR]);
    pin.drive(true);
    pin.set(false);
    pin.drive(true);
    assert_eq!(b.take_all(0), [VECTOR]);
}

#[test]
fn a_level_that_lasts_through_two_ends_is_delivered_three_times() {
    let b = Bench::ready(1);
    b.set_entry(9, LEVEL | V);
    let pin = b.pin(9);

    pin.drive(true);
    assert_eq!((b.entry(9), b.vectors(0, TMR)), (REMOTE_IRR | LEVEL | V, vec![VECTOR]));
    for _ in 0..2 {
        assert_eq!(b.take(0), Some(VECTOR));
        assert!(!b.irq(0), "once a service");
        b.eoi();
    }
    assert_eq!(b.take(0), Some(VECTOR));
    pin.drive(false);
    assert_eq!(b.entry(9), REMOTE_IRR | LEVEL | V, "until its end");
    b.eoi();
    assert_eq!((b.irq(0), b.entry(9)), (false, LEVEL | V));
}

#[test]
fn a_level_that_comes_back_before_the_end_is_delivered_after_it() {
    let b = Bench::ready(1);
    b.set_entry(9, LEVEL | V);
    let pin = b.pin(9);
    pin.drive(true);
    b.take(0);
    pin.drive(false);
    pin.drive(true);
    assert!(!b.irq(0));
    b.eoi();
    assert_eq!(b.take(0), Some(VECTOR));
}

#[test]
fn a_low_level_may_be_the_active_one() {
    let b = Bench::ready(1);
    let pin = b.pin(9);
    pin.drive(true);
    b.set_entry(9, LEVEL | LOW | V);
    assert!(!b.irq(0));
    pin.drive(false);
    assert_eq!(b.take(0), Some(VECTOR));
    pin.drive(true);
    b.eoi();
    assert!(!b.irq(0));
}

#[test]
fn a_masked_level_waits_and_one_in_service_is_not_undone() {
    let b = Bench::ready(1);
    b.set_entry(9, MASK | LEVEL | V);
    b.pin(9).drive(true);
    assert_eq!((b.irq(0), b.entry(9)), (false, MASK | LEVEL | V));

    b.set_entry(9, LEVEL | V);
    assert_eq!(b.take(0), Some(VECTOR));
    b.set_entry(9, MASK | LEVEL | V);
    assert_eq!(b.entry(9), MASK | REMOTE_IRR | LEVEL | V);
    b.eoi();
    assert_eq!((b.irq(0), b.entry(9)), (false, MASK | LEVEL | V));
    b.set_entry(9, LEVEL | V);
    assert!(b.irq(0));
}

#[test]
fn an_entry_that_moves_while_in_service_is_not_stuck() {
    let b = Bench::ready(1);
    b.set_entry(9, LEVEL | V);
    b.pin(9).drive(true);
    b.take(0);

    b.set_entry(9, LEVEL | 0x66);
    assert_eq!(b.entry(9), REMOTE_IRR | LEVEL | 0x66);
    b.eoi();
    assert_eq!(b.take(0), Some(0x66));
}

#[test]
fn an_entry_that_becomes_an_edges_has_no_remote_irr() {
    let b = Bench::ready(1);
    b.set_entry(9, LEVEL | V);
    b.pin(9).drive(true);
    b.take(0);

    // What an operating system does where there is no EOI register.
    b.io_set(0x10 + 18, (MASK | V) as u32);
    assert_eq!(b.entry(9), MASK | V);
    b.io_set(0x10 + 18, (LEVEL | V) as u32);
    b.eoi();
    assert_eq!(b.take(0), Some(VECTOR));
}

#[test]
fn the_eoi_register_ends_by_vector() {
    let b = Bench::ready(1);
    b.set(SVR, 0x11ff);
    b.set_entry(9, LEVEL | V);
    b.set_entry(10, LEVEL | 0x61);
    b.drive(9, true);
    b.drive(10, true);
    assert_eq!([b.take(0), b.take(0)], [Some(0x61), None]);
    b.eoi();
    assert_eq!(b.take(0), Some(VECTOR));
    b.eoi();
    assert!(!b.irq(0), "the local APIC says nothing");
    assert_eq!([9, 10].map(|pin| b.entry(pin) & REMOTE_IRR), [REMOTE_IRR; 2]);

    b.ioapic.write(Access::new(0x40, 4), V);
    assert_eq!(b.take_all(0), [VECTOR]);
    b.ioapic.write(Access::new(0x40, 4), 0x61);
    assert_eq!(b.take_all(0), [0x61]);
}

#[test]
fn an_end_is_told_for_every_vector_and_only_for_levels() {
    let b = Bench::ready(1);
    for (pin, vector) in [(1, 0x31), (2, 0x52), (3, 0x52), (4, 0xfe)] {
        b.set_entry(pin, LEVEL | vector);
        b.pin(pin as usize).drive(true);
    }
    let irrs = || [1, 2, 3, 4].map(|pin| b.entry(pin) & REMOTE_IRR != 0);
    (1..5).for_each(|pin| b.drive(pin, false));

    let mut seen = Vec::new();
    for _ in 0..3 {
        b.take(0);
        b.eoi();
        seen.push(irrs());
    }
    assert_eq!(
        seen,
        [[true, true, true, false], [true, false, false, false], [false; 4]]
    );

    b.set_entry(5, V);
    b.pin(5).drive(true);
    b.set_entry(6, LEVEL | V);
    b.take(0);
    b.eoi();
    b.pin(6).drive(true);
    b.pin(6).drive(false);
    b.interrupt(0, VECTOR);
    b.take(0);
    b.eoi();
    assert_eq!(b.entry(6) & REMOTE_IRR, REMOTE_IRR, "an edge with its vector ended");
}

#[test]
fn two_ioapics_hear_of_the_same_end() {
    let (wiring, clock) = (Wiring::new(), Clock::manual(0));
    let inputs = Arc::new(Inputs::default());
    let outputs: Arc<dyn CpuInputs> = inputs.clone();
    let apics = LocalApics::new(&wiring, &clock, &[0], MODEL, &outputs);
    let (bus, cpu) = apics.with(|apics| (apics.bus(), apics.cpu(0)));
    let both = [IoApic::new(&wiring, &bus), IoApic::new(&wiring, &bus)];
    wiring.connect(vec![both[0].controller(), both[1].controller(), apics.controller()]);
    cpu.write(SVR, 4, 0x1ff);
    for apic in &both {
        apic.write(Access::new(0, 4), 0x10);
        apic.write(Access::new(0x10, 4), LEVEL | V);
        apic.with(|apic| apic.pin(0)).drive(true);
        apic.with(|apic| apic.pin(0)).drive(false);
    }

    cpu.acknowledge();
    cpu.write(EOI, 4, 0);

    assert_eq!(
        both.each_ref().map(|apic| apic.read(Access::new(0x10, 4))),
        [LEVEL | V; 2]
    );
}

#[test]
fn each_delivery_mode_does_its_own_and_those_without_a_vector_are_edges() {
    for (mode, event, taken) in [
        (0, None, Some(VECTOR)),
        (1, None, Some(VECTOR)),
        (2, Some(Edge(CpuLine::Smi)), None),
        (3, None, None),
        (4, Some(Edge(CpuLine::Nmi)), None),
        (5, Some(Edge(CpuLine::Init)), None),
        (6, None, None),
        (7, None, Some(PIC_VECTOR)),
    ] {
        for trigger in [0, LEVEL] {
            let b = Bench::ready(1);
            b.set_entry(0, trigger | mode << 8 | V);
            b.pin(0).drive(true);
            let event = event.map(|event| (0, event));
            assert_eq!((b.events(), b.take(0)), (event.into_iter().collect(), taken), "{mode}");
            let level = mode < 2 && trigger != 0;
            assert_eq!(
                b.entry(0) & (REMOTE_IRR | STATUS),
                if level { REMOTE_IRR } else { 0 },
                "{mode}"
            );
            assert!(!b.irq(0), "{mode}");
        }
    }
}

#[test]
fn destinations_are_physical_or_logical() {
    for (destination, cpus) in [
        (2 << 56, vec![2]),
        (0xff << 56, vec![0, 1, 2]),
        (LOGICAL | 5 << 56, vec![0, 2]),
        (LOGICAL | 5 << 56 | 0x100, vec![2]),
        (7 << 56, vec![]),
    ] {
        let b = Bench::ready(3);
        (0..3).for_each(|cpu| b.set_of(cpu, LDR, 1 << (24 + cpu)));
        b.set_of(0, TPR, 0x10);
        b.set_entry(3, destination | V);
        b.pin(3).drive(true);
        assert_eq!(b.interrupted(), cpus, "{destination:#x}");
    }
}

#[test]
fn what_nobody_takes_stays_until_somebody_does() {
    for trigger in [0, LEVEL] {
        let b = Bench::new(2);
        b.set_entry(3, 1 << 56 | trigger | V);
        b.pin(3).drive(true);
        assert_eq!(b.entry(3), 1 << 56 | trigger | STATUS | V, "delivery status");

        b.set_of(1, SVR, 0x1ff);
        assert_eq!(b.interrupted(), [1]);
        assert_eq!(b.entry(3) & STATUS, 0);
    }
    let b = Bench::ready(1);
    b.set_entry(3, 5 << 56 | V);
    b.pin(3).drive(true);
    b.set_entry(3, MASK | 5 << 56 | V);
    b.set_entry(3, V);
    assert!(!b.irq(0), "masked, it is gone");
    b.set_entry(4, 5 << 56 | LEVEL | V);
    b.pin(4).drive(true);
    b.pin(4).drive(false);
    b.set(ID, 5 << 24);
    assert!(!b.irq(0), "and so is a level that has gone");
}

#[test]
fn any_access_is_survived() {
    for seed in 0..if cfg!(miri) { 1 } else { 4 } {
        let [one, other] = [(); 2].map(|()| Bench::unconnected(&[0, 1], MODEL));
        one.set(SVR, 0x1ff);
        let pins: Vec<Irq> = (0..24).map(|n| one.pin(n)).collect();
        one.ioapic.with(|device| {
            other.ioapic.with(|twin| {
                fuzz::registers(seed, device, twin, &[0, 0x10, 0x10, 0x40], 0x100, |apic, random| {
                    pins[random.below(24) as usize].set(random.below(2) != 0);
                    apic.inputs_changed();
                    one.cpu(0).acknowledge();
                    // Lower registers are chosen rarely otherwise.
                    apic.write(Access::new(0, 4), random.below(0x40));
                });
            });
        });
    }
}

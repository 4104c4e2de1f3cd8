//! LINT0 and LINT1, the 8259A behind them, and the CPU's own sources.

use super::*;
use crate::irq::i8259::I8259;

fn lint(b: &Bench, n: usize) -> Irq {
    b.apics.with(|apics| apics.lint(n))
}

#[test]
fn each_delivery_mode_of_a_pin_does_its_own() {
    for (entry, offset) in [(LVT_LINT0, 0), (LVT_LINT1, 1)] {
        for (mode, event, vectors) in [
            (0x000, None, vec![0x61]),
            (0x100, None, vec![]),
            (0x200, Some(Edge(CpuLine::Smi)), vec![]),
            (0x300, None, vec![]),
            (0x400, Some(Edge(CpuLine::Nmi)), vec![]),
            (0x500, Some(Edge(CpuLine::Init)), vec![]),
            (0x600, None, vec![]),
        ] {
            let b = Bench::ready(1);
            let pin = lint(&b, offset);
            b.set(entry, mode | 0x61);
            pin.drive(true);
            pin.drive(false);
            let event = event.map(|event| (0, event));
            assert_eq!(
                (b.events(), b.take_all(0)),
                (event.into_iter().collect(), vectors),
                "{mode:#x}"
            );

            b.set(entry, MASKED | mode | 0x61);
            pin.drive(true);
            assert_eq!((b.events(), b.take_all(0)), (vec![], vec![]), "{mode:#x}, masked");
            b.set(entry, mode | 0x61);
            assert_eq!(
                (b.events(), b.take_all(0)),
                (vec![], vec![]),
                "{mode:#x}, its edge is gone"
            );
        }
    }
}

#[test]
fn an_external_interrupt_is_signalled_while_its_line_is_high() {
    let b = Bench::ready(2);
    let pin = lint(&b, 0);
    b.set(LVT_LINT0, 0x700);
    b.set(TPR, 0xff);

    pin.drive(true);
    assert_eq!(b.interrupted(), [0], "whatever the priority; the other CPU's is masked");
    pin.drive(false);
    assert_eq!(b.interrupted(), NOBODY);

    pin.drive(true);
    assert_eq!(b.take(0), Some(PIC_VECTOR));
    assert_eq!(
        (b.vectors(0, ISR), b.irq(0)),
        (vec![], true),
        "the 8259A drives it, and is asked"
    );
    b.set(LVT_LINT0, MASKED | 0x700);
    assert_eq!(b.interrupted(), NOBODY);
    b.set(LVT_LINT0, 0x700);
    assert_eq!(b.interrupted(), [0]);
    b.set(SVR, 0xff);
    assert_eq!(b.interrupted(), NOBODY);
}

#[test]
fn an_8259a_is_acknowledged_through_a_local_apic() {
    let (wiring, clock) = (Wiring::new(), Clock::manual(0));
    let inputs = Arc::new(Inputs::default());
    let outputs: Arc<dyn CpuInputs> = inputs.clone();
    let apics = LocalApics::new(&wiring, &clock, &[0], MODEL, &outputs);
    let pic = I8259::new(&wiring, apics.with(|apics| apics.lint(0)));
    wiring.connect(vec![pic.controller(), apics.controller()]);
    apics.with(|apics| apics.bus()).connect_external(Arc::new(pic.clone()));
    let cpu = apics.with(|apics| apics.cpu(0));
    cpu.virtual_wire();
    for (port, value) in [(0, 0x11), (1, 0x20), (1, 4), (1, 1), (1, 0)] {
        pic.write(Access::new(port, 1), value);
    }
    let [three, five] = [3, 5].map(|n| pic.with(|pic| pic.irq(n)));
    let is_high = || !inputs.levels.lock().unwrap().is_empty();

    five.drive(true);
    assert!(is_high());
    assert_eq!((cpu.acknowledge(), is_high()), (0x25, false));
    three.drive(true);
    assert_eq!((is_high(), cpu.acknowledge(), is_high()), (true, 0x23, false));
    three.drive(false);
    three.drive(true);
    pic.write(Access::new(0, 1), 0x20);
    assert_eq!((is_high(), cpu.acknowledge()), (true, 0x23));
    assert_eq!(
        cpu.acknowledge(),
        0xff,
        "nothing asks any more: the local APIC's spurious vector"
    );
}

#[test]
fn an_external_interrupt_goes_before_the_vectors() {
    let b = Bench::ready(1);
    b.set(LVT_LINT0, 0x700);
    b.interrupt(0, 0xff);
    let pin = lint(&b, 0);
    pin.drive(true);

    let taken = [b.take(0), b.take(0)];
    pin.drive(false);

    assert_eq!(taken, [Some(PIC_VECTOR); 2]);
    assert_eq!((b.take_all(0), b.pic.asked.load(Ordering::SeqCst)), (vec![0xff], 2));
}

#[test]
fn without_an_apic_the_pins_are_the_cpus_own() {
    let b = Bench::new(1);
    b.cpu(0).set_base(BASE).unwrap();
    let (intr, nmi) = (lint(&b, 0), lint(&b, 1));

    intr.drive(true);
    nmi.drive(true);
    assert_eq!(
        (b.take(0), b.events()),
        (Some(PIC_VECTOR), vec![(0, Edge(CpuLine::Nmi))])
    );
    intr.drive(false);
    assert!(!b.irq(0));
    assert_eq!(b.cpu(0).acknowledge(), PIC_VECTOR, "the 8259A says what is spurious");
}

#[test]
fn a_level_of_lint0_is_taken_again_while_it_lasts() {
    let b = Bench::ready(1);
    let pin = lint(&b, 0);
    b.set(LVT_LINT0, 0x8061);
    assert_eq!(b.get(LVT_LINT0), 0x8061);

    pin.drive(true);
    assert_eq!((b.take(0), b.get(LVT_LINT0)), (Some(0x61), 0xc061), "remote IRR");
    assert_eq!(b.vectors(0, TMR), [0x61]);
    b.set(LVT_LINT0, 0x8071);
    assert!(!b.irq(0), "it is in service");
    b.set(EOI, 0);
    assert_eq!(b.take(0), Some(0x71), "the line is still high, and it is not stuck");
    pin.drive(false);
    b.set(EOI, 0);
    assert_eq!((b.irq(0), b.get(LVT_LINT0)), (false, 0x8071));

    pin.drive(true);
    b.take(0);
    b.set(LVT_LINT0, 0x0071);
    assert_eq!(b.get(LVT_LINT0), 0x0071, "an edge has no remote IRR");
}

#[test]
fn a_pin_may_be_active_while_low() {
    let b = Bench::ready(1);
    let pin = lint(&b, 1);
    pin.drive(true);
    b.set(LVT_LINT1, 0x2400);

    pin.drive(false);
    assert_eq!(b.events(), [(0, Edge(CpuLine::Nmi))]);
    pin.drive(true);
    assert_eq!(b.events(), []);
    pin.set(false);
    pin.drive(true);
    assert_eq!(b.events(), [(0, Edge(CpuLine::Nmi))], "a pulse");

    b.set(LVT_LINT0, 0xa061);
    assert_eq!(b.take(0), Some(0x61), "a level that is low");
    lint(&b, 0).drive(true);
    b.set(EOI, 0);
    assert!(!b.irq(0));
}

#[test]
fn lint1_takes_edges_only() {
    let b = Bench::ready(1);
    b.set(LVT_LINT1, 0x8061);
    lint(&b, 1).drive(true);
    assert_eq!(b.take_all(0), [0x61]);
}

#[test]
fn the_cpus_own_sources_interrupt_by_their_entries() {
    for (source, entry, after) in [
        (Source::Thermal, LVT_THERMAL, 0x62),
        (Source::Performance, LVT_PERFORMANCE, MASKED | 0x62),
        (Source::Cmci, LVT_CMCI, 0x62),
    ] {
        let b = Bench::ready(2);
        b.cpu(0).signal(source);
        assert!(!b.irq(0), "{source:?} is masked");
        b.set(entry, 0x62);
        b.cpu(0).signal(source);
        assert_eq!((b.interrupted(), b.take_all(0)), (vec![0], vec![0x62]), "{source:?}");
        assert_eq!(b.get(entry), after, "{source:?}");

        b.set(entry, 0x400);
        b.cpu(0).signal(source);
        assert_eq!(b.events(), [(0, Edge(CpuLine::Nmi))], "{source:?}");
        b.set(entry, 0x500);
        b.cpu(0).signal(source);
        assert_eq!(b.events(), [], "{source:?} cannot initialise");
    }
    let b = Bench::ready(1);
    b.set(LVT_TIMER, 0x62);
    b.set(LVT_ERROR, 0x63);
    for source in [Source::Timer, Source::Error, Source::Lint0] {
        b.cpu(0).signal(source);
    }
    assert!(!b.irq(0), "those the APIC sees itself");
}

#[test]
fn virtual_wire_mode_lets_the_8259a_and_nmi_through() {
    let b = Bench::new(1);
    b.cpu(0).virtual_wire();
    lint(&b, 0).drive(true);
    lint(&b, 1).drive(true);
    assert_eq!(
        (b.take(0), b.events()),
        (Some(PIC_VECTOR), vec![(0, Edge(CpuLine::Nmi))])
    );
}

#[test]
fn pins_past_the_last_lead_nowhere() {
    let b = Bench::ready(1);
    lint(&b, 2).drive(true);
    b.ioapic.with(|apic| apic.pin(24)).drive(true);
    assert_eq!((b.irq(0), b.events()), (false, vec![]));
}

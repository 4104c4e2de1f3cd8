//! A snapshot in the middle of everything.

use super::*;
use serde_json::Value;

/// Has everything under way that can be.
fn busy() -> Bench {
    let b = Bench::ready(3);
    let cpu = b.cpu(0);
    b.clock.advance(1000);
    // A timer half way, an interrupt in service, another requested, one that waits for its class, an error.
    b.set(DIVIDE, 0xb);
    b.set(LVT_TIMER, 1 << 17 | 0xec);
    b.set(INITIAL, 1000);
    b.clock.advance(400);
    b.interrupt(0, 0x31);
    b.take(0);
    b.interrupt(0, 0x35);
    b.interrupt(0, 0x41);
    b.get(0x40);
    cpu.set_tsc_ahead(77);
    // A CPU in x2APIC mode with a deadline; an 8259A's interrupt.
    let other = b.cpu(1);
    other.set_base(X2APIC).unwrap();
    other.write_msr(0x832, 2 << 17 | 0xed).unwrap();
    other.set_tsc_deadline(10_000);
    b.bus.message(0xfee0_2000, 0x700);
    // An entry in service, one nobody takes, and where software is in the window.
    for (index, value) in [(0x10, 0x8051), (0x13, 0x9900_0000), (0x12, 0x61), (0x13, 0x9900_0000)] {
        b.ioapic.write(Access::new(0, 4), index);
        b.ioapic.write(Access::new(0x10, 4), value);
    }
    b.drive(0, true);
    b.drive(1, true);
    b
}

/// What the guest sees from there on.
fn goes_on(b: &Bench) -> Vec<u64> {
    let mut seen = vec![b.get(CURRENT).into(), b.errors(0).into(), b.cpu(1).tsc_deadline()];
    seen.push(b.ioapic.read(Access::new(0x10, 4)));
    for _ in 0..4 {
        seen.extend(b.interrupted().into_iter().map(|cpu| 0x1000 + cpu as u64));
        for _ in 0..3 {
            seen.push(b.take(0).map_or(0, u64::from));
            b.set(EOI, 0);
        }
        seen.push(b.take(2).map_or(0, u64::from));
        b.clock.advance(900);
    }
    seen.push(b.take(1).map_or(0, u64::from));
    b.set_of(2, ID, 0x99 << 24);
    seen.push(b.take(2).map_or(0, u64::from));
    seen
}

#[test]
fn what_is_loaded_goes_on_where_it_was_saved() {
    let first = busy();
    let saved = [first.ioapic.save(), first.apics.save()];
    let now = first.clock.save();
    let expected = goes_on(&first);

    let second = Bench::new(3);
    second.clock.load(&now).unwrap();
    // The devices come first; their lines are as they were.
    second.drive(0, true);
    second.drive(1, true);
    second.ioapic.load(&saved[0]).unwrap();
    second.apics.load(&saved[1]).unwrap();
    assert_eq!([second.ioapic.save(), second.apics.save()], saved);
    assert_eq!(goes_on(&second), expected);

    // And a machine that was in the middle of something else.
    let third = busy();
    third.clock.load(&now).unwrap();
    goes_on(&third);
    third.clock.load(&now).unwrap();
    third.ioapic.load(&saved[0]).unwrap();
    third.apics.load(&saved[1]).unwrap();
    assert_eq!(goes_on(&third), expected);
    assert!(expected.contains(&0xed) && expected.contains(&0xec) && expected.contains(&0x61));
    assert!(expected.contains(&u64::from(PIC_VECTOR)));
}

#[test]
fn a_state_of_another_number_of_cpus_is_refused() {
    let (two, three) = (Bench::new(2), busy());
    let before = two.apics.save();
    assert!(matches!(
        two.apics.load(&three.apics.save()),
        Err(LoadError::Impossible { .. })
    ));
    assert!(matches!(
        two.apics.load(&three.ioapic.save()),
        Err(LoadError::Model { .. })
    ));
    assert_eq!(two.apics.save(), before);
}

#[test]
fn a_base_that_cannot_be_is_refused() {
    let b = busy();
    let before = b.apics.save();
    for base in [0xfee0_0400u64, 0xfee0_0801, 1 << 40 | 0x800, u64::MAX] {
        let mut saved = serde_json::to_value(&before).unwrap();
        saved["state"][1]["base"] = base.into();
        let refused = b.apics.load(&serde_json::from_value(saved).unwrap());
        assert!(matches!(refused, Err(LoadError::Impossible { .. })), "{base:#x}");
        assert_eq!(b.apics.save(), before);
    }
}

#[test]
fn a_reset_makes_all_as_it_was() {
    let b = busy();
    let fresh = Bench::new(3);
    b.ioapic.reset();
    b.apics.reset();
    assert_eq!(
        [b.ioapic.save(), b.apics.save()],
        [fresh.ioapic.save(), fresh.apics.save()]
    );
    assert_eq!((b.interrupted(), b.clock.next_deadline()), (vec![], None));
}

#[test]
fn numbers_that_cannot_be_are_survived() {
    let saved = serde_json::to_value(busy().apics.save()).unwrap();
    let b = Bench::new(3);
    for (field, value) in [
        ("/since", Value::from(u64::MAX)),
        ("/count", Value::from(u32::MAX)),
        ("/initial", Value::from(0)),
        ("/divide", Value::from(u32::MAX)),
        ("/deadline", Value::from(u64::MAX)),
    ] {
        let mut changed = saved.clone();
        *changed.pointer_mut(&format!("/state/0/timer{field}")).unwrap() = value;
        b.apics.load(&serde_json::from_value(changed).unwrap()).unwrap();
        b.clock.advance(u64::from(u32::MAX));
        b.take_all(0);
        b.get(CURRENT);
    }
}

//! Whatever registers and tables hold, nothing panics, and what faults has not happened.

use super::super::*;
use crate::fault::{Event, Kind};
use crate::machine_for_tests::{Bench, GDT, IDT, LDT, STACK, TSS, TSS2, sel};
use crate::segment::{lldt, load, ltr};
use crate::state::bits::eflags;
use crate::state::pending;
use emu_ir::Fault;
use emu_ir::testing::Random;

const ROUNDS: u32 = 5_000;

fn bench(random: &mut Random) -> Bench {
    let level = random.pick(&[0, 1, 3]);
    match random.below(6) {
        0 => Bench::real(),
        1 => Bench::virtual_8086(random.below(4) as u32),
        2 => Bench::long(0),
        3 => Bench::long(3),
        _ => Bench::protected(level),
    }
}
/// Noise where tables, tasks and the stack are: bytes, bits, and selectors that name something.
fn disturb(b: &mut Bench, random: &mut Random) {
    let places = [GDT, LDT, IDT, TSS, TSS2, STACK, 0];
    for _ in 0..random.below(60) {
        let at = random.pick(&places) + random.below(0x100);
        let value = match random.below(3) {
            0 => b.engine.ram.get(at, 1) ^ 1 << random.below(8),
            1 => random.below(0x100),
            _ => random.next(),
        };
        b.engine.ram.put(at, 1, value);
    }
    for n in 0..8 {
        let value = if random.one_in(2) {
            random.below(0x100)
        } else {
            random.next()
        };
        b.engine.ram.put(STACK + 4 * n, 8, value);
    }
    if random.one_in(8) {
        b.cpu.sys.gdtr.base = random.next() >> random.below(64);
    }
    if random.one_in(8) {
        b.cpu.sys.tr.base = random.next() >> random.below(64);
        b.cpu.sys.tr.limit = random.next() as u32;
    }
    if random.one_in(8) {
        b.cpu.regs[RSP] = random.next() >> random.below(64);
    }
    if random.one_in(8) {
        b.cpu.segment_mut(number::SS).limit = random.next() as u32;
        b.cpu.settle();
    }
    if random.one_in(8) {
        b.cpu.eflags ^= eflags::NT;
    }
}

/// What is tried: the last is the delivery of an event.
fn attempt(m: &mut Memory, cpu: &mut Cpu, random: &mut Random) -> Result<(), Fault> {
    let selector = random.below(sel::LIMIT + 9) as u16;
    let (size, offset) = (random.pick(&[2, 4, 8]), random.next() >> random.below(64));
    match random.below(9) {
        0 => jmp_far(m, cpu, selector, offset, 0x239),
        1 => call_far(m, cpu, selector, offset, size, 0x239),
        2 => ret_far(m, cpu, size, random.below(64) as u16),
        3 | 4 => iret(m, cpu, size, 0x239),
        5 => load(m, cpu, random.pick(&[0, 2, 3, 4, 5]), selector),
        6 => ltr(m, cpu, selector),
        7 => lldt(m, cpu, selector),
        _ => {
            let kinds = [
                Kind::Exception,
                Kind::Software,
                Kind::Breakpoint,
                Kind::Int1,
                Kind::External,
            ];
            let event = Event {
                vector: random.below(40) as u8,
                kind: random.pick(&kinds),
                code: random.below(0x1_0000) as u32,
                addr: 0,
            };
            deliver(m, cpu, event)
        }
    }
}

#[test]
fn a_fault_leaves_the_state_as_it_was_whatever_tables_hold() {
    let mut random = Random::new(0x86);
    let (mut done, mut late) = (0, 0);
    for round in 0..ROUNDS {
        let mut b = bench(&mut random);
        disturb(&mut b, &mut random);
        let before = b.cpu;
        let (cpu, mut m) = b.parts();

        let result = attempt(&mut m, cpu, &mut random);

        late += u32::from(m.late.is_some());
        match result {
            Ok(()) => done += 1,
            Err(_) => {
                b.cpu.sys.pending |= before.sys.pending & pending::NMI_BLOCKED;
                assert_eq!(b.cpu, before, "round {round}");
            }
        }
        let mut settled = b.cpu;
        settled.settle();
        assert_eq!(settled, b.cpu, "round {round}: not settled");
    }
    // Neither all nor none of it works out.
    assert!((ROUNDS / 20..ROUNDS * 19 / 20).contains(&done), "{done}");
    assert!(late > 0);
}

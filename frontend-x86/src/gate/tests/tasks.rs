//! The hardware's task switch (G38).

use super::super::*;
use super::transfers::gate;
use crate::fault::{Event, debug, gp, np, ss, ts};
use crate::machine_for_tests::{Bench, IDT, TSS, TSS2, descriptor, sel};
use crate::memory::Memory;
use crate::segment::{kind, virtual_8086};
use crate::state::bits::{cr0, dr6, eflags};
use crate::state::pending;
use emu_ir::{Fault, Flush};

const NEXT: u64 = 0x239;
const EIP: u64 = 0x7777;

/// At level 0, with a task in TSS2 of 32 bits.
fn bench() -> Bench {
    let mut b = Bench::protected(0);
    for (at, value) in [(0x1c, 0x10_0000), (0x20, EIP), (0x24, 0x203), (0x60, 0)] {
        b.engine.ram.put(TSS2 + at, 4, value);
    }
    for n in 0..8 {
        b.engine.ram.put(TSS2 + 0x28 + 4 * n, 4, 0x1000 + n);
    }
    let data = sel::DATA3 | 3;
    for (n, selector) in [data, sel::CODE3 | 3, data, data, 0, data].into_iter().enumerate() {
        b.engine.ram.put(TSS2 + 0x48 + 4 * n as u64, 4, selector.into());
    }
    b
}
fn done<R>(
    b: &mut Bench,
    f: impl FnOnce(&mut Memory, &mut Cpu) -> Result<R, Fault>,
) -> (Result<R, Fault>, Option<Fault>) {
    let (cpu, mut m) = b.parts();
    let done = f(&mut m, cpu);
    if done.is_ok() {
        m.commit();
    }
    let (late, effects) = (m.late, m.effects);
    b.engine.flushes.extend(effects.flush);
    (done, late)
}
fn call(b: &mut Bench, selector: u16) -> (Result<(), Fault>, Option<Fault>) {
    done(b, |m, cpu| call_far(m, cpu, selector, 0, 4, NEXT))
}
fn jump(b: &mut Bench, selector: u16) -> (Result<(), Fault>, Option<Fault>) {
    done(b, |m, cpu| jmp_far(m, cpu, selector, 0, NEXT))
}
fn busy(b: &mut Bench, selector: u16) -> bool {
    b.described(selector) >> 41 & 1 != 0
}

#[test]
fn a_task_takes_all_registers_from_its_tss() {
    let mut b = bench();

    assert_eq!(jump(&mut b, sel::TSS2), (Ok(()), None));

    let c = &b.cpu;
    assert_eq!(
        c.regs[..8],
        [0x1000, 0x1001, 0x1002, 0x1003, 0x1004, 0x1005, 0x1006, 0x1007]
    );
    let data = sel::DATA3 | 3;
    assert_eq!(
        c.segments.map(|s| s.selector),
        [data, sel::CODE3 | 3, data, data, 0, data]
    );
    assert_eq!((c.rip(), c.cpl(), c.eflags()), (EIP, 3, 0x203));
    assert_eq!(
        (c.sys.tr.selector, c.sys.tr.base, c.sys.tr.limit),
        (sel::TSS2, TSS2, 0x67)
    );
    assert_ne!(c.sys.cr0 & cr0::TS, 0);
    assert_ne!(c.mode & mode::TS, 0);
    assert_eq!(c.sys.ldtr.attributes, 0);
    assert_eq!(c.sys.dr7 & 0xff, 0);
}

#[test]
fn the_old_task_is_left_in_its_tss() {
    let mut b = bench();
    b.cpu.regs = std::array::from_fn(|n| 0x2000 + n as u64);
    b.cpu.set_eflags(eflags::IF | eflags::CF);
    let before = b.cpu;

    jump(&mut b, sel::TSS2).0.unwrap();

    assert_eq!(b.stacked(TSS + 0x20, 4, 2), [NEXT, 0x203]);
    assert_eq!(b.stacked(TSS + 0x28, 4, 8), before.regs[..8].to_vec());
    let selectors = before.segments.map(|s| u64::from(s.selector));
    assert_eq!(b.stacked(TSS + 0x48, 4, 6), selectors.to_vec());
    assert_eq!(b.stacked(TSS + 0x1c, 4, 1), [0], "CR3 is not written");
}

/// SDM 3, table 7-2: busy bits, NT and the link by what switches.
#[test]
fn what_switches_decides_about_busy_bits_nt_and_the_link() {
    // JMP.
    let mut b = bench();
    jump(&mut b, sel::TSS2).0.unwrap();
    assert_eq!((busy(&mut b, sel::TSS), busy(&mut b, sel::TSS2)), (false, true));
    assert_eq!((b.stacked(TSS2, 2, 1)[0], b.cpu.eflags & eflags::NT), (0, 0));

    // CALL, and back.
    let mut b = bench();
    call(&mut b, sel::TSS2).0.unwrap();
    assert_eq!((busy(&mut b, sel::TSS), busy(&mut b, sel::TSS2)), (true, true));
    assert_eq!(b.stacked(TSS2, 2, 1)[0], u64::from(sel::TSS));
    assert_ne!(b.cpu.eflags & eflags::NT, 0);
    let (back, late) = done(&mut b, |m, cpu| iret(m, cpu, 4, 0x9999));
    assert_eq!((back, late), (Ok(()), None));
    assert_eq!((busy(&mut b, sel::TSS), busy(&mut b, sel::TSS2)), (true, false));
    assert_eq!((b.cpu.rip(), b.cpu.sys.tr.selector, b.cpu.cpl()), (NEXT, sel::TSS, 0));
    assert_eq!(
        b.stacked(TSS2 + 0x20, 4, 2),
        [0x9999, 0x203],
        "NT is cleared in what is saved"
    );
    assert_eq!(b.cpu.eflags & eflags::NT, 0);
}

/// SDM 3, table 7-1: what is wrong before the switch is of the old task.
#[test]
fn checks_before_the_switch() {
    type Change = fn(&mut Bench);
    let cases: [(Change, Fault); 6] = [
        (
            |b| b.describe(sel::TSS2, descriptor(TSS2, 0x67, 0x8b)),
            gp(code_of(sel::TSS2)),
        ),
        (
            |b| b.describe(sel::TSS2, descriptor(TSS2, 0x67, 0x09)),
            np(code_of(sel::TSS2)),
        ),
        (
            |b| b.describe(sel::TSS2, descriptor(TSS2, 0x66, 0x89)),
            ts(code_of(sel::TSS2)),
        ),
        (
            |b| b.describe(sel::TSS2, descriptor(TSS2, 0x2a, 0x81)),
            ts(code_of(sel::TSS2)),
        ),
        (|b| b.cpu.settle_at(3), gp(code_of(sel::TSS2))),
        (
            |b| b.cpu.sys.gdtr.limit = u64::from(sel::TSS2) + 6,
            gp(code_of(sel::TSS2)),
        ),
    ];
    for (n, (change, expected)) in cases.into_iter().enumerate() {
        let mut b = bench();
        change(&mut b);
        let before = b.cpu;

        assert_eq!(call(&mut b, sel::TSS2), (Err(expected), None), "{n}");
        assert_eq!(b.cpu, before);
        assert_eq!(b.stacked(TSS + 0x20, 4, 1), [0], "nothing is saved");
        assert!(busy(&mut b, sel::TSS));
    }
    let mut b = bench();
    b.engine
        .ram
        .put(crate::machine_for_tests::LDT + 8, 8, descriptor(TSS2, 0x67, 0x89));
    assert_eq!(call(&mut b, 0xc).0, Err(gp(0xc)), "a TSS is in the GDT");
}

/// What is wrong after it is of the new task (table 7-1).
#[test]
fn checks_after_the_switch() {
    let absent = sel::ABSENT_CODE;
    for (at, value, expected) in [
        (0x60, u64::from(sel::DATA0), ts(code_of(sel::DATA0))),
        (0x60, 0xc, ts(0xc)),
        (0x4c, 0, ts(0)),
        (0x4c, u64::from(sel::CODE0 | 3), ts(code_of(sel::CODE0))),
        (0x4c, sel::DATA0.into(), ts(code_of(sel::DATA0))),
        (0x4c, absent.into(), np(code_of(absent))),
        (0x50, 3, ts(0)),
        (0x50, u64::from(sel::DATA0), ts(code_of(sel::DATA0))),
        (0x50, u64::from(sel::CODE3 | 3), ts(code_of(sel::CODE3))),
        (0x54, u64::from(sel::DATA0 | 3), ts(code_of(sel::DATA0))),
        (0x48, 0x403, ts(0x400)),
        (0x5c, u64::from(sel::FREE | 3), np(code_of(sel::FREE))),
        (0x20, 0xffff_ffff, gp(0)),
    ] {
        let mut b = bench();
        b.describe(sel::FREE, descriptor(0, 0xf_ffff, 0xc72));
        if at == 0x20 {
            b.describe(sel::CODE3, descriptor(0, 0xffff, 0x4fa));
        }
        b.engine.ram.put(TSS2 + at, 4, value);

        assert_eq!(jump(&mut b, sel::TSS2), (Ok(()), Some(expected)), "{at:#x} {value:#x}");
        assert_eq!(b.cpu.sys.tr.selector, sel::TSS2);
        assert_eq!(b.cpu.regs[0], 0x1000);
        let rip = if at == 0x20 { value } else { EIP };
        assert_eq!(b.cpu.rip(), rip);
    }
}

#[test]
fn a_task_may_have_no_stack_that_is_present() {
    let mut b = bench();
    b.describe(sel::FREE, descriptor(0, 0xf_ffff, 0xc72));
    b.engine.ram.put(TSS2 + 0x50, 4, u64::from(sel::FREE | 3));

    assert_eq!(jump(&mut b, sel::TSS2).1, Some(ss(code_of(sel::FREE))));
}

#[test]
fn the_trap_bit_is_a_debug_exception_of_the_new_task() {
    let mut b = bench();
    b.engine.ram.put(TSS2 + 0x64, 2, 1);

    assert_eq!(jump(&mut b, sel::TSS2), (Ok(()), Some(debug(dr6::BT))));
    assert_eq!(b.cpu.rip(), EIP);
}

#[test]
fn a_task_of_virtual_8086_mode() {
    let mut b = bench();
    b.engine.ram.put(TSS2 + 0x24, 4, u64::from(eflags::VM | eflags::IF));
    b.engine.ram.put(TSS2 + 0x4c, 4, 0x1000);

    assert_eq!(jump(&mut b, sel::TSS2), (Ok(()), None));

    assert_eq!(*b.cpu.segment(number::CS), virtual_8086(0x1000));
    assert_eq!(*b.cpu.segment(number::FS), virtual_8086(0));
    assert_eq!((b.cpu.cpl(), b.cpu.pc), (3, 0x1_0000 + EIP));
}

/// SDM 3, figure 7-10.
#[test]
fn a_tss_of_16_bits() {
    let mut b = Bench::protected(0);
    b.cpu.regs = std::array::from_fn(|n| 0x1_2000 + n as u64);
    b.describe(sel::TSS2, descriptor(TSS2, 0x2b, 0x81));
    for (at, value) in [(0x0e, EIP), (0x10, 0x202)] {
        b.engine.ram.put(TSS2 + at, 2, value);
    }
    for n in 0..8 {
        b.engine.ram.put(TSS2 + 0x12 + 2 * n, 2, 0x1000 + n);
    }
    for (n, selector) in [sel::DATA0, sel::CODE0, sel::DATA0, sel::DATA0].into_iter().enumerate() {
        b.engine.ram.put(TSS2 + 0x22 + 2 * n as u64, 2, selector.into());
    }
    b.engine.ram.put(TSS2 + 0x2a, 2, sel::LDT.into());

    assert_eq!(call(&mut b, sel::TSS2), (Ok(()), None));

    assert_eq!(
        b.cpu.regs.map(|r| r & 0xffff)[..8],
        [0x1000, 0x1001, 0x1002, 0x1003, 0x1004, 0x1005, 0x1006, 0x1007]
    );
    assert_eq!((b.cpu.rip(), b.cpu.eflags()), (EIP, 0x202 | eflags::NT));
    assert_eq!(b.cpu.sys.ldtr.selector, sel::LDT);
    assert_eq!(
        (b.cpu.segment(number::FS).selector, b.cpu.segment(number::GS).selector),
        (0, 0)
    );

    let (back, late) = done(&mut b, |m, cpu| iret(m, cpu, 4, 0x8888));
    assert_eq!((back, late), (Ok(()), None));
    assert_eq!(b.stacked(TSS2 + 0x0e, 2, 4), [0x8888, 0x202, 0x1000, 0x1001]);
    assert_eq!(b.cpu.regs[2], 0x1_2002);
}

#[test]
fn a_task_has_its_own_tables_of_pages() {
    let mut b = bench();
    for (at, pde) in [(0x10_0000, 0x87), (0x11_0000, 0x87)] {
        b.engine.ram.put(at, 4, pde);
    }
    b.cpu.sys.cr4 = crate::state::bits::cr4::PSE;
    b.cpu.sys.cr0 |= cr0::PG;
    b.cpu.sys.cr3 = 0x11_0000;
    b.cpu.settle();

    assert_eq!(jump(&mut b, sel::TSS2), (Ok(()), None));

    assert_eq!(b.cpu.sys.cr3, 0x10_0000);
    assert_eq!(b.engine.flushes, [Flush::asid(0)]);
}

#[test]
fn iret_needs_a_busy_task_to_go_back_to() {
    for (link, expected) in [
        (sel::TSS2, ts(code_of(sel::TSS2))),
        (sel::CODE0, ts(code_of(sel::CODE0))),
        (sel::TSS2 | 4, ts(code_of(sel::TSS2 | 4))),
        (0x400, ts(0x400)),
    ] {
        let mut b = bench();
        b.cpu.set_eflags(eflags::NT);
        b.cpu.sys.pending = pending::NMI_BLOCKED;
        b.engine.ram.put(TSS, 2, link.into());

        assert_eq!(done(&mut b, |m, cpu| iret(m, cpu, 4, 0)).0, Err(expected), "{link:#x}");
        assert_eq!(b.cpu.sys.pending, 0);
    }
}

#[test]
fn an_exception_by_a_task_gate_has_its_code_on_the_new_stack() {
    let mut b = bench();
    b.engine.ram.put(IDT + 13 * 8, 8, gate(kind::TASK, sel::TSS2, 0, 0, 0));
    let event = Event::of_fault(&b.cpu, gp(0x1230)).unwrap();

    assert_eq!(done(&mut b, |m, cpu| deliver(m, cpu, event)), (Ok(()), None));

    assert_eq!((b.cpu.regs[RSP], b.cpu.rip()), (0x1000, EIP));
    assert_eq!(b.stacked(0x1000, 4, 1), [0x1230]);
    assert_eq!(b.stacked(TSS2, 2, 1)[0], u64::from(sel::TSS));
    let saved = b.stacked(TSS + 0x20, 4, 2);
    assert_eq!(saved, [0x234, u64::from(eflags::RF | eflags::FIXED)]);
    assert_ne!(b.cpu.eflags & eflags::NT, 0);
}

#[test]
fn tasks_are_called_by_gates_of_their_callers_level() {
    for (level, expected) in [(3, Ok(())), (0, Err(gp(code_of(sel::FREE))))] {
        let mut b = bench();
        b.cpu.settle_at(3);
        b.describe(sel::FREE, gate(kind::TASK, sel::TSS2, 0, level, 0));

        assert_eq!(call(&mut b, sel::FREE).0, expected);
    }
}

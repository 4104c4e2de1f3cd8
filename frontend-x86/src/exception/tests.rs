//! Exceptions up to the shutdown; reset, INIT, start-up.

use super::*;
use crate::fault::{DE, INT1, INT3, MC, debug, gp, int, page};
use crate::machine_for_tests::{Bench, IDT, INNER, STACK, sel};
use crate::state::bits::{dr7, eflags};
use emu_ir::Access;

const HANDLER: u64 = 0x5678;

impl Bench {
    /// A gate for a vector, to level 0.
    fn handle(&mut self, vector: u8) {
        let size = if crate::segment::is_long(&self.cpu) { 16 } else { 8 };
        let code = if size == 16 { sel::CODE64 } else { sel::CODE0 };
        let offset = HANDLER + u64::from(vector);
        let gate = offset | u64::from(code) << 16 | 0xee00 << 32;
        self.engine.ram.put(IDT + size * u64::from(vector), 8, gate);
    }
    fn raise(&mut self, fault: Fault) {
        raise(&mut self.cpu, &self.model, &mut self.engine, fault);
    }
    /// The vector that is handled; `None`: the machine is to be reset.
    fn handled(&self) -> Option<u64> {
        match self.engine.stop {
            Some(Stop::Shutdown) => None,
            other => {
                assert_eq!(other, None);
                Some(self.cpu.rip() - HANDLER)
            }
        }
    }
}

#[test]
fn a_page_fault_leaves_its_address_in_cr2() {
    let mut b = Bench::protected(3);
    b.handle(14);

    b.raise(page(0x1234_5678, 6));

    assert_eq!(b.handled(), Some(14));
    assert_eq!(b.cpu.sys.cr2, 0x1234_5678);
    assert_eq!(b.stacked(INNER - 24, 4, 1), [6]);
}

/// G39: what cannot be delivered becomes another exception, a double fault, or a shutdown.
#[test]
fn exceptions_that_cannot_be_delivered() {
    for (gates, first, handled) in [
        (&[6][..], crate::fault::UD, Some(6)),
        // #UD is benign: #NP (or #GP) of its delivery is handled.
        (&[11][..], crate::fault::UD, Some(11)),
        (&[8][..], crate::fault::UD, Some(8)),
        (&[8][..], gp(0), Some(8)),
        (&[8][..], DE, Some(8)),
        (&[8][..], page(0, 0), Some(8)),
        (&[11][..], gp(0), Some(8)),
        (&[][..], gp(0), None),
        // INT n is benign, whatever its vector.
        (&[11][..], int(13), Some(11)),
        (&[8][..], int(13), Some(8)),
    ] {
        let mut b = Bench::protected(0);
        // Gates that are not present.
        for n in 0..32 {
            b.engine.ram.put(IDT + 8 * n, 8, 0x6e00 << 32);
        }
        for &gate in gates {
            b.handle(gate);
        }
        if gates == [11] && first == gp(0) {
            b.handle(8);
        }

        b.raise(first);

        assert_eq!(b.handled(), handled, "{gates:?} {first:?}");
        if handled == Some(8) {
            assert_eq!(b.stacked(b.cpu.regs[4], 4, 1), [0], "error code 0");
        }
    }
}

/// G39's input: the IDT ends after vector 7, and that of #UD is not present.
#[test]
fn an_idt_that_is_too_short_ends_in_a_shutdown() {
    let mut b = Bench::protected(0);
    b.cpu.sys.idtr.limit = 63;
    b.engine.ram.put(IDT + 48, 8, 0x6e00 << 32);

    b.raise(crate::fault::UD);

    assert_eq!(b.handled(), None);
}

/// A page fault while one is delivered is a double fault; its address is the second's.
#[test]
fn a_page_fault_of_a_page_faults_delivery_is_a_double_fault() {
    let mut b = Bench::long(3);
    b.handle(14);
    b.handle(8);
    b.engine.ram.put(IDT + 8 * 16 + 4, 1, 1);
    b.engine.ram.put(crate::machine_for_tests::TSS + 0x24, 8, 0xb000);
    b.engine.ram.put(crate::machine_for_tests::TSS + 4, 8, 0x7000_0000);

    b.raise(page(0x1234, 4));

    assert_eq!(b.handled(), Some(8));
    assert_eq!(b.cpu.sys.cr2, 0x7000_0000 - 8);
    assert_eq!(b.cpu.regs[4], 0xb000 - 48);
}

#[test]
fn cr2_is_of_the_last_page_fault_even_of_one_that_shuts_down() {
    let mut b = Bench::long(3);
    b.handle(8);
    b.engine.ram.put(crate::machine_for_tests::TSS + 4, 8, 0x7000_0000);

    b.raise(gp(0));

    assert_eq!(b.handled(), None);
    assert_eq!(b.cpu.sys.cr2, 0x7000_0000 - 8);
}

#[test]
fn a_shutdown_leaves_the_state_as_it_was() {
    let mut b = Bench::protected(0);
    b.cpu.sys.idtr.limit = 0;
    let before = b.cpu;

    b.raise(gp(0));

    assert_eq!(b.handled(), None);
    assert_eq!((b.cpu.pc, b.cpu.regs), (before.pc, before.regs));
}

/// SDM 3, 18.2.3 and 18.3: DR6 and DR7.GD; G40: INT1 sets no bit, handlers run with TF off.
#[test]
fn debug_exceptions_say_why_in_dr6() {
    for (fault, dr6) in [
        (debug(dr6::BS), 0xffff_4ff0_u64),
        (debug(dr6::BD), 0xffff_2ff0),
        (debug(5), 0xffff_0ff5),
        (INT1, 0xffff_0ff0),
        (int(1), 0xffff_0ff0),
    ] {
        let mut b = Bench::protected(0);
        b.handle(1);
        b.cpu.set_eflags(eflags::TF);
        b.cpu.sys.dr7 |= dr7::GD;

        b.raise(fault);

        assert_eq!((b.handled(), b.cpu.sys.dr6), (Some(1), dr6), "{fault:?}");
        assert_eq!(b.cpu.eflags & eflags::TF, 0);
        assert_eq!(b.cpu.sys.dr7 & dr7::GD != 0, matches!(dr6, 0xffff_0ff0));
    }
}

/// Of a load of SS with a breakpoint: Linux's handlers would come over one another on their one stack.
#[test]
fn int1_comes_with_the_debug_exceptions_that_wait_and_others_before_them() {
    for (fault, number, dr6, waits) in [
        (INT1, 1, 0xffff_0ff1_u64, false),
        (debug(4), 1, 0xffff_0ff5, false),
        (int(1), 1, 0xffff_0ff0, true),
        (INT3, 3, 0xffff_0ff0, true),
    ] {
        let mut b = Bench::protected(0);
        b.handle(number);
        b.cpu.sys.pending |= 1 << pending::DEBUG_SHIFT;

        b.raise(fault);

        assert_eq!((b.handled(), b.cpu.sys.dr6), (Some(number.into()), dr6), "{fault:?}");
        assert_eq!(b.cpu.sys.pending & pending::DEBUG != 0, waits, "{fault:?}");
    }
}

#[test]
fn int3_goes_on_after_it() {
    let mut b = Bench::protected(0);
    b.handle(3);
    b.cpu.of = 1;

    b.raise(INT3);

    assert_eq!(b.stacked(STACK - 12, 4, 1), [0x235]);
}

#[test]
fn an_interrupt_ends_a_halt() {
    let mut b = Bench::protected(0);
    b.handle(32);
    b.cpu.sys.pending = pending::HALTED;

    interrupt(&mut b.cpu, &b.model, &mut b.engine, 32);

    assert_eq!((b.handled(), b.cpu.sys.pending), (Some(32), 0));
}

#[test]
fn one_nmi_is_served_at_a_time() {
    let mut b = Bench::protected(0);
    b.handle(2);

    assert!(nmi(&mut b.cpu, &b.model, &mut b.engine));
    assert_eq!(b.handled(), Some(2));
    assert_ne!(b.cpu.sys.pending & pending::NMI_BLOCKED, 0);
    let before = b.cpu;
    assert!(!nmi(&mut b.cpu, &b.model, &mut b.engine));
    assert_eq!(b.cpu, before);
}

/// SDM 3, "Interrupt 18".
#[test]
fn machine_checks_are_asked_for_and_come_one_at_a_time() {
    for (mce, status, handled) in [(true, 0, Some(18)), (false, 0, None), (true, 4, None)] {
        for fault in [
            MC,
            Fault::Bus {
                addr: 1,
                access: Access::Read,
            },
        ] {
            let mut b = Bench::protected(0);
            b.handle(18);
            b.cpu.sys.cr4 = if mce { cr4::MCE } else { 0 };
            b.cpu.sys.mcg_status = status;

            b.raise(fault);

            assert_eq!(b.handled(), handled);
        }
    }
}

/// A fault of a new task is delivered in it, and its frame shows where it is.
#[test]
fn a_fault_of_a_new_task_is_the_new_tasks() {
    use crate::machine_for_tests::TSS2;
    let mut b = Bench::protected(0);
    b.handle(10);
    for (at, value) in [
        (0x20, 0x7777),
        (0x38, 0xa000),
        (0x4c, sel::CODE0.into()),
        (0x50, sel::DATA0.into()),
    ] {
        b.engine.ram.put(TSS2 + at, 4, value);
    }
    b.engine.ram.put(TSS2 + 0x54, 4, 0x300);

    run(&mut b.cpu, &b.model, &mut b.engine, |m, cpu| {
        crate::gate::jmp_far(m, cpu, sel::TSS2, 0, 0x239)
    })
    .unwrap();

    assert_eq!(b.handled(), Some(10));
    assert_eq!(b.stacked(0xa000 - 16, 4, 3), [0x300, 0x7777, sel::CODE0.into()]);
}

/// SDM 3, table 9-1. G19: the base of CS is up there.
#[test]
fn the_state_after_reset() {
    let cpu = reset(&Model::ALL);

    let s = &cpu.sys;
    assert_eq!((cpu.pc, cpu.rip(), cpu.eflags()), (0xffff_fff0, 0xfff0, 2));
    assert_eq!((s.cr0, s.cr2, s.cr3, s.cr4, s.efer), (0x6000_0010, 0, 0, 0, 0));
    let cs = cpu.segment(number::CS);
    assert_eq!(
        (cs.selector, cs.base, cs.limit, cs.attributes),
        (0xf000, 0xffff_0000, 0xffff, 0x93)
    );
    for n in [number::ES, number::SS, number::DS, number::FS, number::GS] {
        assert_eq!(*cpu.segment(n), Segment::real(0));
    }
    let mut regs = [0; 16];
    regs[2] = Model::ALL.signature.into();
    assert_eq!(cpu.regs, regs);
    assert_eq!((s.gdtr, s.idtr), (s.idtr, Table { base: 0, limit: 0xffff }));
    assert_eq!((s.ldtr.limit, s.tr.limit), (0xffff, 0xffff));
    assert_eq!((s.dr, s.dr6, s.dr7), ([0; 4], 0xffff_0ff0, 0x400));
    assert_eq!(
        (cpu.mxcsr(), cpu.x87.control, cpu.x87.status, cpu.x87.full),
        (0x1f80, 0x40, 0, 0xff)
    );
    assert_eq!((s.xcr0, s.pat, s.smbase), (1, 0x0007_0406_0007_0406, 0x3_0000));
    // No exception of the x87 is masked.
    assert_eq!(cpu.mode & !mode::FLAT, mode::X87_TRAPS);
}

/// G16: INIT leaves alone what only RESET clears.
#[test]
fn init_keeps_what_reset_does_not() {
    let mut b = Bench::long(3);
    let c = &mut b.cpu;
    c.sys.cr0 |= cr0::CD;
    c.ymm[3][1] = 5;
    c.x87.control = 0x27f;
    c.set_mxcsr(0x1fa0);
    c.sys.sysenter_eip = 6;
    c.sys.mtrr_def_type = 7;
    c.sys.tsc_offset = 8;
    c.sys.xcr0 = 3;
    c.sys.smbase = 9;
    c.sys.pending = pending::A20M | pending::HALTED | pending::NMI_BLOCKED;
    let before = *c;

    assert!(init(c, &Model::ALL, false));

    let s = &c.sys;
    assert_eq!((c.pc, c.mode & !mode::FLAT, c.cpl()), (0xffff_fff0, 0, 0));
    assert_eq!((s.cr0, s.cr4, s.efer, s.cr3), (0x4000_0010, 0, 0, 0));
    assert_eq!((c.ymm, c.x87, c.mxcsr()), (before.ymm, before.x87, 0x1fa0));
    assert_eq!(
        (s.sysenter_eip, s.mtrr_def_type, s.tsc_offset, s.xcr0, s.smbase),
        (6, 7, 8, 3, 9)
    );
    assert_eq!(s.pending, pending::A20M);
}

/// G16: one start, at the first message's vector.
#[test]
fn an_application_processor_starts_once() {
    let mut cpu = reset(&Model::ALL);
    assert!(!sipi(&mut cpu, 8), "it does not wait");
    assert!(init(&mut cpu, &Model::ALL, true));
    assert_eq!(cpu.sys.pending, pending::WAIT_FOR_SIPI);

    assert!(sipi(&mut cpu, 8));
    assert_eq!(
        (cpu.pc, cpu.rip(), cpu.segment(number::CS).selector),
        (0x8000, 0, 0x800)
    );
    assert!(!sipi(&mut cpu, 9));
    assert_eq!(cpu.pc, 0x8000);
}

/// G16: INIT waits for the end of system management mode.
#[test]
fn init_is_held_back_in_smm() {
    let mut cpu = reset(&Model::ALL);
    cpu.mode |= mode::SMM;
    let before = cpu;

    assert!(!init(&mut cpu, &Model::ALL, true));
    assert_eq!(cpu, before);
}

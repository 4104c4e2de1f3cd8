use super::*;
use crate::machine_for_tests::{Around, Bench, STACK, sel};
use crate::state::bits::{dr6, efer, eflags};
use emu_jit::engine::{Accel, Exit, Vcpu};

const ACCELERATORS: [Accel; 2] = [Accel::Interp, Accel::Jit];
/// Where code is: CS:IP 100h:234h.
const CODE: u64 = 0x1234;
/// Handlers in real mode: of vector `n` at `n << 4` in this segment.
const HANDLERS: u64 = 0x3000;
const NOP: u8 = 0x90;
/// INC AX.
const INC: u8 = 0x40;
const UD2: [u8; 2] = [0x0f, 0x0b];

/// A bench in real mode, whose vectors up to 31 have handlers that end in a shutdown: UD2, whose own vector has none.
fn real(flags: u32) -> Bench {
    let mut b = Bench::real();
    for n in 0..32u64 {
        b.engine.ram.put(4 * n, 4, HANDLERS << 12 | n << 4);
        b.engine.ram.put(HANDLERS + (n << 4), 2, 0x0b0f);
    }
    b.cpu.set_eflags(flags);
    b.cpu.settle();
    b
}

fn ip(v: &Vcpu<X86>) -> u64 {
    v.state().pc
}

#[test]
fn lines_are_taken_by_their_priority() {
    let around = Around::default();
    around.told().vector = 0x15;
    let mut b = real(eflags::IF);
    b.cpu.sys.pending |= dr6::BS << pending::DEBUG_SHIFT;
    b.cpu.sys.smbase = 0x2_0000;
    let mut v = b.engine(Accel::Jit, &[NOP; 16], &around);
    v.kick().set_line(SMI | NMI | INTR, true);

    // Each is taken in the handler of the one before.
    assert_eq!(v.step(true), Exit::Stepped);
    assert_eq!((ip(&v), around.told().taken), (0x2_8000, SMI));
    v.kick().set_line(SMI, false);
    v.state_mut().mode &= !mode::SMM;
    v.state_mut().sys.pending &= !pending::NMI_BLOCKED;
    v.state_mut().segments = [crate::state::Segment::real(0); 6];
    v.state_mut().set_eflags(eflags::IF);
    v.state_mut().sys.idtr.limit = 0x3ff;
    v.state_mut().settle();
    assert_eq!(v.step(true), Exit::Stepped);
    assert_eq!(ip(&v), HANDLERS + 0x10, "the debug exception");
    assert_eq!(v.state().sys.dr6 as u32 & dr6::BS, dr6::BS);
    assert_eq!(v.state().sys.pending & pending::DEBUG, 0);
    v.state_mut().set_eflags(eflags::IF);
    assert_eq!(v.step(true), Exit::Stepped);
    assert_eq!((ip(&v), around.told().taken), (HANDLERS + 0x20, SMI | NMI));
    v.state_mut().set_eflags(eflags::IF);
    assert_eq!(v.step(true), Exit::Stepped);
    assert_eq!(ip(&v), HANDLERS + 0x150, "NMI is blocked");
}

/// A trap gate leaves interrupts on: one that is pending is taken before the first instruction of the handler (SDM 3, 6.12.1.3).
#[test]
fn an_interrupt_follows_a_debug_exception_at_once() {
    const HLT: u64 = 0xf4;
    for accel in ACCELERATORS {
        let around = Around::default();
        around.told().vector = 0x20;
        let mut b = Bench::protected(0);
        for (vector, kind, code) in [(1, 0x8f00, HLT << 8 | u64::from(INC)), (0x20, 0x8e00, HLT)] {
            let handler = HANDLERS + (vector << 4);
            b.engine.ram.put(
                crate::machine_for_tests::IDT + 8 * vector,
                4,
                u64::from(sel::CODE0) << 16 | handler,
            );
            b.engine
                .ram
                .put(crate::machine_for_tests::IDT + 8 * vector + 4, 4, kind);
            b.engine.ram.put(handler, 2, code);
        }
        b.cpu.set_eflags(eflags::IF);
        b.cpu.sys.pending |= dr6::BS << pending::DEBUG_SHIFT;
        let mut v = b.engine(accel, &[NOP], &around);
        v.kick().set_line(INTR, true);

        assert_eq!(v.run(), Exit::Wait);

        assert_eq!((ip(&v), v.state().regs[0]), (HANDLERS + 0x201, 0), "{accel:?}");
    }
}

#[test]
fn nothing_is_taken_in_a_shadow_nor_intr_while_it_is_masked() {
    for (flags, shadow, taken) in [(eflags::IF, false, true), (eflags::IF, true, false), (0, false, false)] {
        for accel in ACCELERATORS {
            let around = Around::default();
            around.told().vector = 0x10;
            let mut b = real(flags);
            b.cpu.mode |= if shadow { mode::SHADOW } else { 0 };
            let mut v = b.engine(accel, &[NOP; 16], &around);
            v.kick().set_line(INTR, true);

            v.step(true);

            let to = if taken { HANDLERS + 0x100 } else { CODE + 1 };
            assert_eq!(
                (ip(&v), v.state().mode & mode::SHADOW),
                (to, 0),
                "{flags:#x} {shadow} {accel:?}"
            );
        }
    }
}

/// What waits carries out nothing, whatever wakes its thread; what ends the wait is what is taken.
#[test]
fn a_cpu_that_waits_goes_on_by_an_interrupt_alone() {
    for accel in ACCELERATORS {
        for (flags, waits, line, wakes) in [
            (0, pending::HALTED, INTR, false),
            (eflags::IF, pending::HALTED, INTR, true),
            (0, pending::HALTED, NMI, true),
            (0, pending::HALTED | pending::NMI_BLOCKED, NMI, false),
            (0, pending::HALTED, SMI, true),
            (0, pending::HALTED, INIT, true),
            (eflags::IF, pending::WAIT_FOR_SIPI, INTR | NMI | SMI, false),
            (0, pending::WAIT_FOR_SIPI, INIT, true),
        ] {
            let around = Around::default();
            around.told().cpu = 1;
            let mut b = real(flags);
            b.cpu.sys.pending |= waits;
            let mut v = b.engine(accel, &[INC, NOP], &around);

            assert_eq!(v.run(), Exit::Wait);
            assert_eq!(v.step(false), Exit::Stepped);
            assert_eq!((ip(&v), v.wakes()), (CODE, false));
            v.kick().set_line(line, true);
            assert_eq!(v.wakes(), wakes, "{flags:#x} {waits:#x} {line}");
            if !wakes {
                assert_eq!((v.run(), ip(&v)), (Exit::Wait, CODE));
                continue;
            }
            v.step(true);
            assert_ne!(ip(&v), CODE);
            assert_eq!(v.state().regs[0], 0, "the instruction behind has not run");
        }
    }
}

#[test]
fn init_switches_an_application_processor_off() {
    for (cpu, exit, waits) in [
        (0, Exit::Requested, 0),
        (1, Exit::Stopped(Stop::CpuOff), pending::WAIT_FOR_SIPI),
    ] {
        let around = Around::default();
        around.told().cpu = cpu;
        // It runs for ever.
        let mut v = real(0).engine(Accel::Jit, &[0xeb, 0xfe], &around);
        v.kick().set_line(INIT, true);

        assert_eq!(v.step(true), if cpu == 0 { Exit::Stepped } else { exit });

        assert_eq!(around.told().taken, INIT);
        assert_eq!((ip(&v), v.state().sys.pending), (0xffff_fff0, waits));
    }
}

/// What a handler of #DB finds: which instruction comes next, DR6, how often INC has run.
fn debugged(accel: Accel, b: Bench, code: &[u8]) -> (u64, u32, u64) {
    let mut ram = b.engine.ram.clone();
    let mut v = b.engine(accel, code, &Around::default());
    v.state_mut().sys.idtr.limit = 7;
    assert_eq!(v.run(), Exit::Stopped(Stop::Shutdown));
    let at = ram.get(STACK - 6, 2);
    (at, v.state().sys.dr6 as u32 & !dr6::FIXED, v.state().regs[0])
}

#[test]
fn tf_traps_after_each_instruction() {
    for accel in ACCELERATORS {
        let found = debugged(accel, real(eflags::TF), &[INC, INC, INC]);
        assert_eq!(found, (0x235, dr6::BS, 1), "{accel:?}");
    }
}

/// RF keeps a breakpoint from being taken for one instruction.
#[test]
fn a_breakpoint_is_taken_before_its_instruction() {
    for accel in ACCELERATORS {
        for (flags, stops) in [(0, (0x235, 1 << 1, 1)), (eflags::RF, (0x237, 1 << 2, 3))] {
            let mut b = real(flags);
            b.cpu.sys.dr = [0, CODE + 1, CODE + 3, 0];
            b.cpu.sys.dr7 = 0x14;
            if flags != 0 {
                b.cpu.pc += 1;
                b.cpu.regs[0] = 1;
            }
            let mut code = vec![INC; 8];
            if flags != 0 {
                code.pop();
            }
            assert_eq!(debugged(accel, b, &code), stops, "{accel:?}");
        }
    }
}

/// SDM 3, table 6-2: a code breakpoint comes before a fault of fetching the instruction, and nothing is fetched for it.
#[test]
fn a_breakpoint_comes_before_what_fetching_its_instruction_finds() {
    /// JMP RAX.
    const JUMP: [u8; 2] = [0xff, 0xe0];
    const HLT: u64 = 0xf4;
    let fetched = |entry: u64| entry & 0x20 != 0;
    for accel in ACCELERATORS {
        // Pages of 2 MiB: one that is not there, one that was not accessed.
        for (to, entry) in [(0x40_0000u64, 0x40_0086u64), (0x40_0000, 0x87)] {
            let mut b = Bench::long(0);
            for vector in [1u64, 14] {
                let handler = 0x1_2000 + (vector << 4);
                let gate = handler & 0xffff | u64::from(sel::CODE64) << 16 | 0x8e00 << 32 | (handler >> 16) << 48;
                b.engine.ram.put(0x2000 + 16 * vector, 8, gate);
                b.engine.ram.put(0x2000 + 16 * vector + 8, 8, 0);
                b.engine.ram.put(handler, 1, HLT);
            }
            b.engine.ram.put(0x10_2000 + 8 * (to >> 21), 8, entry);
            b.cpu.regs[0] = to;
            (b.cpu.sys.dr[0], b.cpu.sys.dr7) = (to, 1);
            let mut ram = b.engine.ram.clone();
            let mut v = b.engine(accel, &JUMP, &Around::default());

            assert_eq!(v.run(), Exit::Wait);

            assert_eq!(ip(&v), 0x1_2011, "{accel:?} {entry:#x}: the debug exception's handler");
            assert!(!fetched(ram.get(0x10_2000 + 8 * (to >> 21), 8)), "{accel:?} {entry:#x}");
        }
    }
}

/// SDM 3, 18.3.1.2: the trap comes when the access is made, together with others.
#[test]
fn an_access_to_data_traps_after_its_instruction() {
    // MOV [600h], AX; MOV CX, [600h]
    const MOVES: [u8; 7] = [0xa3, 0x00, 0x06, 0x8b, 0x0e, 0x00, 0x06];
    for accel in ACCELERATORS {
        for (dr7, flags, found) in [
            (0x1_0001, 0, (0x237, 1)),
            (0x3_0001, 0, (0x237, 1)),
            (0x1_0001, eflags::TF, (0x237, 1 | dr6::BS)),
            (0x5_0010, 0, (0x237, 4)),
        ] {
            let mut b = real(flags);
            b.cpu.sys.dr = [0x600, 0, 0x601, 0];
            b.cpu.sys.dr7 = if dr7 == 0x5_0010 { 0x0100_0010 } else { dr7 };
            b.cpu.regs[0] = 0x1234;
            let mut ram = b.engine.ram.clone();

            let (at, bits, _) = debugged(accel, b, &[&MOVES[..], &UD2].concat());

            assert_eq!((at, bits), found, "{accel:?} {dr7:#x}");
            assert_eq!(ram.get(0x600, 2), 0x1234);
        }
        let mut b = real(0);
        b.cpu.sys.dr[0] = 0x600;
        b.cpu.sys.dr7 = 0x3_0001;
        let (at, bits, _) = debugged(accel, b, &MOVES[3..]);
        assert_eq!((at, bits), (0x238, 1), "a read");
    }
}

/// An exception of the program's goes to its handler through the tables, with the engine's own memory.
#[test]
fn exceptions_are_delivered_in_64_bit_mode() {
    for accel in ACCELERATORS {
        let mut b = Bench::long(3);
        let gate = 0x1_2340u64 & 0xffff | u64::from(sel::CODE64) << 16 | 0x8e00 << 32 | (0x1_2340u64 >> 16) << 48;
        b.engine.ram.put(0x2000 + 16 * 6, 8, gate);
        b.engine.ram.put(0x2000 + 16 * 6 + 8, 8, 0);
        let mut v = b.engine(accel, &UD2, &Around::default());

        assert_eq!(v.step(true), Exit::Stepped);

        assert_eq!((ip(&v), v.state().cpl()), (0x1_2340, 0));
        assert_ne!(v.state().sys.efer & efer::LMA, 0);
    }
}

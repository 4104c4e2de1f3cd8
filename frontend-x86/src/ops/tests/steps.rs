//! Between instructions: the shadow of STI, and single steps.

use super::system::{A, C, CODE, D, DATA, HANDLERS, HLT, SP, exception, flat, handled};
use crate::fault::vector;
use crate::machine_for_tests::{Around, Bench, STACK};
use crate::platform::{INTR, X86};
use crate::state::bits::eflags::TF;
use emu_jit::engine::{Accel, Exit, Vcpu};

const BP: usize = 5;
const DI: usize = 7;
const BOTH: [Accel; 2] = [Accel::Interp, Accel::Jit];
/// INTR's.
const VECTOR: u8 = 20;

fn handler(b: &mut Bench, vector: u8, code: &[u8]) {
    for (at, &byte) in (HANDLERS + 16 * u64::from(vector)..).zip(code) {
        b.engine.ram.put(at, 1, byte.into());
    }
}

/// With INTR up from the start, code at an address, and a handler that counts in EDX and goes back with interrupts off.
fn interrupted(accel: Accel, at: u64, code: &[u8]) -> Vcpu<X86> {
    let around = Around::default();
    around.told().vector = VECTOR;
    let mut b = handled(flat());
    // INC EDX; AND DWORD [ESP+8], ~IF; IRET
    handler(
        &mut b,
        VECTOR,
        &[0x42, 0x81, 0x64, 0x24, 8, 0xff, 0xfd, 0xff, 0xff, 0xcf],
    );
    b.cpu.regs[C] = 3;
    b.cpu.set_rip(at);
    let mut v = b.engine(accel, code, &around);
    v.kick().set_line(INTR, true);
    assert_eq!(v.run(), Exit::Wait, "{code:02x?}");
    v
}

/// G02: the shadow goes with whoever leaves the block, and an interrupt that waits is taken behind it each time.
#[test]
fn an_interrupt_that_waits_is_taken_once_behind_each_shadow() {
    // CLI; CALL F; DEC ECX; JNZ to the first; HLT; F: STI; RET
    let calls = [0xfa, 0xe8, 4, 0, 0, 0, 0x49, 0x75, 0xf7, HLT, 0xfb, 0xc3];
    // STI; HLT; INC EAX; HLT
    let halts = [0xfb, HLT, 0x40, HLT];
    // STI, the last byte of a page; INC EAX; HLT
    let crosses = [0xfb, 0x40, HLT];
    for accel in BOTH {
        let v = interrupted(accel, CODE, &calls);
        assert_eq!((v.state().regs[D], v.state().regs[C]), (3, 0), "{accel:?}");
        let v = interrupted(accel, CODE, &halts);
        assert_eq!(
            (v.state().regs[D], v.state().regs[A], v.state().pc),
            (1, 1, CODE + 4),
            "{accel:?}"
        );
        let v = interrupted(accel, CODE + 0xfff, &crosses);
        assert_eq!(
            (v.state().regs[D], v.state().regs[A], v.state().pc),
            (1, 1, CODE + 0x1002),
            "{accel:?}"
        );
    }
}

/// G40: which instruction comes next, at each #DB of POPF; NOP; REP STOSB of three; STI; HLT; UD2.
#[test]
fn each_step_is_a_debug_exception() {
    for accel in BOTH {
        let mut b = handled(flat());
        // PUSH EAX; MOV EAX, [ESP+4]; MOV [EBP], EAX; ADD EBP, 4; POP EAX; IRET
        let note = [0x50, 0x8b, 0x44, 0x24, 4, 0x89, 0x45, 0, 0x83, 0xc5, 4, 0x58, 0xcf];
        handler(&mut b, vector::DB, &note);
        b.engine.ram.put(STACK - 4, 4, TF.into());
        (b.cpu.regs[SP], b.cpu.regs[C]) = (STACK - 4, 3);
        (b.cpu.regs[BP], b.cpu.regs[DI]) = (DATA + 0x100, DATA);
        let mut ram = b.engine.ram.clone();

        let mut v = b.engine(
            accel,
            &[0x9d, 0x90, 0xf3, 0xaa, 0xfb, HLT, 0x0f, 0x0b],
            &Around::default(),
        );

        assert_eq!((v.run(), exception(v.state())), (Exit::Wait, Some(vector::UD)));
        let count = (v.state().regs[BP] - DATA - 0x100) / 4;
        let at: Vec<u64> = (0..count).map(|n| ram.get(DATA + 0x100 + 4 * n, 4) - CODE).collect();
        assert_eq!(at, [2, 2, 2, 4, 5, 6], "{accel:?}");
        assert_eq!(v.state().regs[C], 0);
    }
}

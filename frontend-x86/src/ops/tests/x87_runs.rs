//! Several instructions of the x87 one after the other, which translated code executes without leaving the host's unit: each
//! test holds that they leave what the interpreter makes of one after the other.

use super::run;
use super::user::{self, CODE, DATA, NOWHERE, User};
use crate::fault::vector;
use crate::state::X87;
use crate::state::bits::cr0;
use emu_ir::X87Insn;
use emu_ir::testing::Random;

const SI: usize = 6;
const DI: usize = 7;
const THIRD: f64 = 1.0 / 3.0;

/// FLD, FADD, FSTP of 64 bits at RDI, and the same 8 and 16 bytes behind.
const FLD: &[u8] = &[0xdd, 0x07];
const FLD_8: &[u8] = &[0xdd, 0x47, 0x08];
const FADD_8: &[u8] = &[0xdc, 0x47, 0x08];
const FDIV_8: &[u8] = &[0xdc, 0x77, 0x08];
const FADDP: &[u8] = &[0xde, 0xc1];
const FDIVP: &[u8] = &[0xde, 0xf9];
const FLD1: &[u8] = &[0xd9, 0xe8];
const FLDZ: &[u8] = &[0xd9, 0xee];
const FSTP_16: &[u8] = &[0xdd, 0x5f, 0x10];
/// FSTP of 80 bits, 16 bytes behind; FISTP of 32 bits there.
const FSTP_80_16: &[u8] = &[0xdb, 0x7f, 0x10];
const FISTP_16: &[u8] = &[0xdb, 0x5f, 0x10];
/// FLDCW 32 bytes behind, and 34.
const FLDCW_32: &[u8] = &[0xd9, 0x6f, 0x20];
const FLDCW_34: &[u8] = &[0xd9, 0x6f, 0x22];

fn with(numbers: [f64; 2]) -> impl Fn(&mut User) {
    move |user| {
        user.cpu.x87 = X87::default();
        user.cpu.sys.cr0 |= cr0::NE;
        (user.cpu.regs[DI], user.cpu.regs[SI]) = (DATA, NOWHERE);
        user.put(DATA, numbers[0].to_bits());
        user.put(DATA + 8, numbers[1].to_bits());
    }
}

#[test]
fn a_run_computes_and_leaves_its_last_instruction() {
    // FMUL ST, ST(0) in between.
    let user = run(&[FLD, FADD_8, &[0xd8, 0xc8], FSTP_16].concat(), with([2.5, 1.5]));

    let x87 = user.cpu.x87;
    assert_eq!(f64::from_bits(user.get(DATA + 16)), 16.0);
    assert_eq!((x87.top, x87.full, x87.status), (0, 0, 0));
    assert_eq!((x87.opcode, x87.instruction, x87.operand), (0x55f, CODE + 7, DATA + 16));
}

#[test]
fn a_register_that_was_popped_keeps_what_it_held() {
    let user = run(&[FLD, FLD_8, FADDP, FSTP_16].concat(), with([2.0, 1.0]));

    let [.., r6, r7] = user.cpu.x87.regs;
    assert_eq!([r6, r7], [[1 << 63, 0x3fff], [3 << 62, 0x4000]]);
}

/// All that was before the fault is done, and nothing of the instruction.
#[test]
fn a_fault_within_a_run_finds_the_unit_as_it_is_there() {
    let fadd: &[u8] = &[0xdc, 0x06];
    let fstp: &[u8] = &[0xdd, 0x1e];
    let fst_32: &[u8] = &[0xd9, 0x16];
    let fistp: &[u8] = &[0xdf, 0x3e];
    let fstp_80: &[u8] = &[0xdb, 0x3e];
    for (code, write) in [
        (fadd, false),
        (fstp, true),
        (fst_32, true),
        (fistp, true),
        (fstp_80, true),
    ] {
        let user = run(&[FLD, FLD_8, code].concat(), with([2.0, THIRD]));

        let x87 = user.cpu.x87;
        assert_eq!(user.fault(), (user::PAGE_FAULT, NOWHERE, write), "{code:02x?}");
        assert_eq!((x87.top, x87.full, x87.status), (6, 0xc0, 0), "{code:02x?}");
        assert_eq!((x87.opcode, x87.instruction, x87.operand), (0x547, CODE + 2, DATA + 8));
    }
}

#[test]
fn what_is_inexact_before_a_fault_is_told() {
    let user = run(&[FLD, FDIV_8, &[0xdd, 0x1e]].concat(), with([2.0, 3.0]));

    // PE, and C1: it was rounded up.
    assert_eq!((user.fault().0, user.cpu.x87.status), (user::PAGE_FAULT, 0x220));
}

#[test]
fn a_stack_that_overflows_or_underflows_within_a_run_is_told() {
    let nine = run(&[&FLD1.repeat(9)[..], FADD_8].concat(), with([0.0, 1.0]));
    let none = run(&[FLD, FADDP, FLD_8, FSTP_16].concat(), with([2.0, 1.0]));

    // SDM 1, 8.5.1.1: IE and SF, and C1 says which.
    const INDEFINITE: [u64; 2] = [3 << 62, 0xffff];
    assert_eq!((nine.cpu.x87.top, nine.cpu.x87.full), (7, 0xff));
    assert_eq!((nine.cpu.x87.status & 0x7f, nine.cpu.x87.regs[7]), (0x41, INDEFINITE));
    assert_eq!((none.cpu.x87.top, none.cpu.x87.status & 0x7f), (0, 0x41));
    assert_eq!(
        (none.cpu.x87.regs[0], none.get(DATA + 16)),
        (INDEFINITE, 1f64.to_bits())
    );
}

#[test]
fn precision_and_rounding_are_the_control_words() {
    let mut seen = std::collections::HashSet::new();
    for precision in [0, 2, 3] {
        for rounding in 0..4 {
            let control = 0x7f | precision << 8 | rounding << 10;
            let code = [FLDCW_32, FLD, FDIV_8, FSTP_80_16].concat();
            let user = run(&code, |user| {
                with([2.0, 3.0])(user);
                user.put(DATA + 32, control);
            });
            seen.insert(user.get(DATA + 16));
            assert_eq!(u64::from(user.cpu.x87.control), control);
        }
    }
    assert_eq!(seen.len(), 6, "up, and down, in each precision");
}

#[test]
fn the_control_word_changes_within_a_run() {
    let code = [FLD, FLDCW_32, FISTP_16, FLDCW_34, FLD, FADD_8, FSTP_16].concat();
    let truncated = run(&[FLD, FLDCW_32, FISTP_16, FLDCW_34].concat(), |user| {
        with([2.75, 1.0])(user);
        user.put(DATA + 32, 0x37f << 16 | 0xf7f);
    });
    let user = run(&code, |user| {
        with([2.75, 1.0])(user);
        user.put(DATA + 32, 0x37f << 16 | 0xf7f);
    });

    assert_eq!((truncated.get(DATA + 16) as u32, truncated.cpu.x87.control), (2, 0x37f));
    assert_eq!(f64::from_bits(user.get(DATA + 16)), 3.75);
}

#[test]
fn an_exception_that_is_unmasked_within_a_run_is_reported() {
    let code = [FLD1, FLDZ, FLDCW_32, FDIVP, FLD1].concat();
    let user = run(&code, |user| {
        with([0.0; 2])(user);
        user.put(DATA + 32, 0x37b);
    });

    assert_eq!((user.fault().0, user.cpu.pc), (vector::MF, CODE + 9));
    assert_eq!((user.cpu.x87.top, user.cpu.x87.status), (6, 0x8084));
}

#[test]
fn exceptions_that_are_masked_again_are_not_reported() {
    let fnclex: &[u8] = &[0xdb, 0xe2];
    let code = [FLDCW_32, FLD1, FLDZ, FDIVP, fnclex, FLDCW_34, FLD, FADD_8, FSTP_16].concat();
    let user = run(&code, |user| {
        with([1.0, 2.0])(user);
        user.put(DATA + 32, 0x37f << 16 | 0x37b);
    });

    assert_eq!(user.fault().0, vector::UD, "the program's end");
    assert_eq!((f64::from_bits(user.get(DATA + 16)), user.cpu.x87.status), (3.0, 0));
}

#[test]
fn mmx_sees_what_a_run_left() {
    // MOVQ RAX, MM6: what FLD loaded last.
    let user = run(&[FLD1, FLD, &[0x48, 0x0f, 0x7e, 0xf0]].concat(), with([1.5, 0.0]));

    assert_eq!(
        (user.cpu.regs[0], user.cpu.x87.top, user.cpu.x87.full),
        (3 << 62, 0, 0xff)
    );
}

#[test]
fn comparisons_within_a_run_are_branched_on() {
    // FCOMIP ST, ST(1); JB over INC EAX; FSTP ST(0).
    let code = [FLD, FLD_8, &[0xdf, 0xf1], &[0x72, 0x02, 0xff, 0xc0], &[0xdd, 0xd8]].concat();
    for (numbers, above) in [([1.0, 2.0], 1), ([2.0, 1.0], 0), ([f64::NAN, 1.0], 0)] {
        let user = run(&code, |user| {
            with(numbers)(user);
            user.cpu.regs[0] = 0;
        });
        assert_eq!((user.cpu.regs[0], user.cpu.x87.full), (above, 0), "{numbers:?}");
    }
}

/// Programs of any instructions, with integers in between.
#[test]
fn any_runs_are_as_their_instructions_are() {
    let mut random = Random::new(0x87);
    let mut ended = 0;
    for n in 0..600 {
        let mut code = Vec::new();
        for _ in 0..1 + random.below(30) {
            let (opcode, modrm) = (0xd8 + random.below(8) as u8, random.word() as u8);
            let modrm = if modrm < 0xc0 { modrm & 0x38 | 0x47 } else { modrm };
            let control = opcode == 0xd9 && modrm == 0x6f && !random.one_in(4);
            if X87Insn::new(opcode, modrm).is_none() && !random.one_in(20) || control {
                continue;
            }
            code.extend([opcode, modrm]);
            if modrm < 0xc0 {
                // Now and then what cannot be accessed.
                code.push(8 * random.below(14) as u8);
                let last = code.len() - 2;
                if random.one_in(60) {
                    code[last] -= 1;
                }
            }
            match random.below(6) {
                // ADD EAX, ECX; INC QWORD [RDI+0x40]; FNSTSW AX.
                0 => code.extend([0x01, 0xc8]),
                1 => code.extend([0x48, 0xff, 0x47, 0x40]),
                2 if random.one_in(3) => code.extend([0xdf, 0xe0]),
                _ => {}
            }
        }
        let seed = random.next();
        let user = run(&code, |user| {
            let mut random = Random::new(seed);
            with([random.word() as f64 / 3.0, THIRD])(user);
            for at in (16..128).step_by(8) {
                let number = match random.below(3) {
                    0 => random.next(),
                    1 => (random.word() as f32 / 7.0).to_bits().into(),
                    _ => (f64::from(random.word()) / 11.0 - 1e8).to_bits(),
                };
                user.put(DATA + at, number);
            }
            let x87 = &mut user.cpu.x87;
            (x87.top, x87.full) = (random.below(8) as u8, random.word() as u8 & random.word() as u8);
            x87.regs = [0; 8].map(|_| [random.next() | 1 << 63, 0x3ff0 + random.below(0x20)]);
            x87.control = 0x7f | random.word() as u16 & 0xf00;
        });
        ended += usize::from(user.fault().0 == vector::UD);
        assert!(user.has_faulted(), "program {n}");
    }
    assert!(ended > 300, "{ended}");
}

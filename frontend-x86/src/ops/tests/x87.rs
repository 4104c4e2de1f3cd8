//! x87 and its state in memory: what programs that an oracle runs do not see, or only now and then.

use super::run;
use super::user::{self, CODE, DATA, END, NOWHERE, User};
use crate::fault::vector;
use crate::model::find;
use crate::state::bits::{cr0, cr4, eflags, xcr0};
use crate::state::{X87, mode, pending};

const A: usize = 0;
const D: usize = 2;
const DI: usize = 7;
const ONE: [u64; 2] = [1 << 63, 0x3fff];

const FLD1: &[u8] = &[0xd9, 0xe8];
const FLDZ: &[u8] = &[0xd9, 0xee];
const FDIVP: &[u8] = &[0xde, 0xf9];
const FWAIT: &[u8] = &[0x9b];
const FNSTENV: &[u8] = &[0xd9, 0x37];
const FLDENV: &[u8] = &[0xd9, 0x27];
const FNSAVE: &[u8] = &[0xdd, 0x37];
const FRSTOR: &[u8] = &[0xdd, 0x27];
const FISTP: &[u8] = &[0xdb, 0x1f];
const FST: &[u8] = &[0xd9, 0x17];
const FSTP_80: &[u8] = &[0xdb, 0x3f];
const FXSAVE: &[u8] = &[0x0f, 0xae, 0x07];
const FXSAVE64: &[u8] = &[0x48, 0x0f, 0xae, 0x07];
const FXRSTOR: &[u8] = &[0x0f, 0xae, 0x0f];
const XSAVE: &[u8] = &[0x0f, 0xae, 0x27];
const XRSTOR: &[u8] = &[0x0f, 0xae, 0x2f];
const XSAVEOPT: &[u8] = &[0x0f, 0xae, 0x37];
const XSAVEC: &[u8] = &[0x0f, 0xc7, 0x27];

/// With a unit that has these exceptions unmasked, and an operand at DATA.
fn unmasked(exceptions: u16) -> impl Fn(&mut User) {
    move |user| {
        user.cpu.x87 = X87::default();
        user.cpu.x87.control &= !exceptions;
        user.cpu.sys.cr0 |= cr0::NE;
        user.cpu.regs[DI] = DATA;
    }
}
/// With a unit as FNINIT leaves it.
fn masked(user: &mut User) {
    unmasked(0)(user);
}
const IE: u16 = 1;
const ZE: u16 = 4;
const PE: u16 = 0x20;

/// SDM 1, 8.7.1: what does not wait is done, what waits is not.
#[test]
fn an_error_is_reported_by_the_next_instruction_that_waits() {
    // The division; MOV [RDI], EAX; FNSTCW [RDI+8].
    let late = [0x89, 0x07, 0xd9, 0x7f, 0x08];
    let program = [FLD1, FLDZ, FDIVP, &late].concat();
    for waits in [FWAIT, FLD1, FRSTOR, &[0xd9, 0x2f], &[0xd9, 0xd0], FISTP] {
        let user = run(&[&program[..], waits].concat(), |user| {
            unmasked(ZE)(user);
            user.cpu.regs[A] = 0x1234;
        });

        assert_eq!((user.fault().0, user.cpu.pc), (vector::MF, CODE + 11), "{waits:02x?}");
        assert_eq!((user.get(DATA), user.get(DATA + 8)), (0x1234, 0x37b));
        assert_eq!((user.cpu.x87.top, user.cpu.x87.opcode), (6, 0x6f9));
        assert_eq!(user.cpu.x87.instruction, CODE + 4);
    }
}

/// SDM 1, 8.7.2: with CR0.NE 0 the error goes out, and the processor waits for an interrupt.
#[test]
fn without_native_errors_the_processor_tells_others_and_waits() {
    let program = [FLD1, FLDZ, FDIVP, FWAIT].concat();

    let frozen = run(&program, |user| {
        unmasked(ZE)(user);
        user.cpu.sys.cr0 &= !cr0::NE;
    });
    // FNCLEX withdraws it.
    let cleared = run(&[&program[..6], &[0xdb, 0xe2], FWAIT].concat(), |user| {
        unmasked(ZE)(user);
        user.cpu.sys.cr0 &= !cr0::NE;
    });

    assert_eq!(frozen.cpu.pc, CODE + 6);
    assert_eq!(frozen.cpu.sys.pending & pending::FERR, pending::FERR);
    assert!(!frozen.has_faulted());
    assert_eq!((cleared.fault().0, cleared.cpu.pc), (vector::UD, CODE + 9));
    assert_eq!(cleared.cpu.sys.pending & pending::FERR, 0);
}

/// SDM 3, table 2-2.
#[test]
fn the_unit_is_not_available_as_cr0_says() {
    for (code, bits, fault) in [
        (FLD1, cr0::TS, vector::NM),
        (FLD1, cr0::EM, vector::NM),
        (FLD1, cr0::MP, vector::UD),
        (&[0xdb, 0xe3][..], cr0::TS, vector::NM),
        (&[0xdf, 0xe0][..], cr0::EM, vector::NM),
        (FXSAVE, cr0::EM, vector::NM),
        (FWAIT, cr0::TS, vector::UD),
        (FWAIT, cr0::EM, vector::UD),
        (FWAIT, cr0::TS | cr0::MP, vector::NM),
    ] {
        let user = run(code, |user| {
            masked(user);
            user.cpu.sys.cr0 |= bits;
            user.cpu.settle();
        });

        assert_eq!(user.fault().0, fault, "{code:02x?} {bits:x}");
    }
}

/// SDM 1, 8.5: nothing is stored, and nothing popped, where an invalid operand is not masked; what is inexact is.
#[test]
fn an_exception_that_is_not_masked_suppresses_a_store() {
    let infinity = |user: &mut User| {
        unmasked(IE)(user);
        (user.cpu.x87.regs[7], user.cpu.x87.top, user.cpu.x87.full) = ([1 << 63, 0x7fff], 7, 0x80);
        user.put(DATA, 0x55);
    };
    let third = |user: &mut User| {
        infinity(user);
        user.cpu.x87.control = 0x37f & !PE;
        user.cpu.x87.regs[7] = [0xaaaa_aaaa_aaaa_aaab, 0x3ffd];
    };

    let nowhere = |user: &mut User| {
        infinity(user);
        user.cpu.regs[DI] = NOWHERE;
    };

    let suppressed = run(FISTP, infinity);
    // What cannot be written faults all the same.
    let faulted = run(FISTP, nowhere);
    let stored = run(FST, third);

    assert_eq!((suppressed.get(DATA), suppressed.cpu.x87.top), (0x55, 7));
    assert_eq!(suppressed.cpu.x87.status, 0x8081);
    assert_eq!(faulted.fault(), (user::PAGE_FAULT, NOWHERE, true));
    assert_eq!(faulted.cpu.x87.status, 0);
    assert_eq!((stored.get(DATA), stored.cpu.x87.status), (0x3eaa_aaab, 0x82a0));
}

#[test]
fn a_store_that_faults_leaves_no_trace() {
    let on_top = |at: u64| {
        move |user: &mut User| {
            masked(user);
            (user.cpu.x87.regs[7], user.cpu.x87.top, user.cpu.x87.full) = (ONE, 7, 0x80);
            user.cpu.regs[DI] = at;
        }
    };
    for (code, at, fault) in [
        (FISTP, NOWHERE, NOWHERE),
        (FSTP_80, NOWHERE, NOWHERE),
        (FSTP_80, END - 8, END),
        (FSTP_80, END - 4, END),
        (FNSAVE, END - 100, END),
        (FNSTENV, END - 20, END),
    ] {
        let user = run(code, on_top(at));
        let mut before = User::new(code);
        on_top(at)(&mut before);

        assert_eq!(user.fault(), (user::PAGE_FAULT, fault, true), "{code:02x?}");
        assert_eq!(user.cpu.x87, before.cpu.x87, "{code:02x?}");
        assert_eq!(user.memory(), before.memory(), "{code:02x?}");
    }
}

/// FILD DWORD [RBP+8] at an offset in SS: SDM 1, 8.1.8.
#[test]
fn the_last_instruction_and_its_operand_are_noted() {
    // FNCLEX, FNSTCW [RDI] and FLDCW [RDI] change nothing of it.
    let code = [0xdb, 0x45, 0x08, 0xdb, 0xe2, 0xd9, 0x3f, 0xd9, 0x2f];
    for wide in [true, false] {
        let user = run(&code, |user| {
            masked(user);
            user.cpu.regs[5] = DATA;
            for (n, segment) in user.cpu.segments.iter_mut().enumerate() {
                segment.selector = 0x33 + 8 * n as u16;
            }
            if !wide {
                user.be_32_bit();
            }
        });

        let x87 = user.cpu.x87;
        assert_eq!((x87.opcode, x87.instruction, x87.operand), (0x345, CODE, DATA + 8));
        assert_eq!((x87.code, x87.data), (0x3b, 0x43));
    }
}

#[test]
fn what_is_saved_comes_back() {
    let program = [FLD1, &[0xd9, 0xeb], FNSAVE, FLDZ, FRSTOR].concat();
    for narrow in [false, true] {
        // With 66 before both, words have 16 bits.
        let code: Vec<u8> = program
            .iter()
            .flat_map(|&b| if narrow && b == 0xdd { vec![0x66, b] } else { vec![b] })
            .collect();
        let user = run(&code, |user| {
            masked(user);
            user.cpu.x87.control = 0x27f;
        });

        let x87 = user.cpu.x87;
        assert_eq!((x87.top, x87.full, x87.control), (6, 0xc0, 0x27f));
        assert_eq!((x87.regs[7], x87.regs[6]), (ONE, [0xc90f_daa2_2168_c235, 0x4000]));
        // Of 16 bits, there is no opcode, and as much of the pointer as there is room for.
        let last = if narrow {
            (0, (CODE + 2) & 0xffff)
        } else {
            (0x1eb, CODE + 2)
        };
        assert_eq!((x87.opcode, x87.instruction), last);
    }
}

/// SDM 2, FSTENV: exceptions are masked then; FLDENV brings the masks back, and an error that waits with them.
#[test]
fn a_stored_environment_has_an_error_that_waits() {
    let stored = run(&[FLD1, FLDZ, FDIVP, FNSTENV, FWAIT].concat(), unmasked(ZE));
    let loaded = run(&[FLD1, FLDZ, FDIVP, FNSTENV, FLDENV, FWAIT].concat(), unmasked(ZE));

    assert_eq!((stored.fault().0, stored.cpu.x87.control), (vector::UD, 0x37f));
    assert_eq!((stored.get(DATA), stored.cpu.x87.status), (0xffff_b084_ffff_037b, 0x4));
    assert_eq!((loaded.fault().0, loaded.cpu.x87.status), (vector::MF, 0x8084));
}

/// REX.W decides whether pointers are offsets alone: SDM 2, FXSAVE.
#[test]
fn an_area_has_pointers_of_two_kinds() {
    let before = |user: &mut User| {
        masked(user);
        user.model = find("max,zero-fcs-fds=off").unwrap();
        user.cpu.set_mxcsr(0x1fa0);
        let x87 = &mut user.cpu.x87;
        (x87.code, x87.data, x87.opcode) = (0x33, 0x2b, 0x7ff);
        (x87.instruction, x87.operand) = (0x1_2345_6789, 0x2_3456_789a);
        (x87.top, x87.full, x87.regs[5]) = (5, 0x20, ONE);
    };

    let narrow = run(FXSAVE, before);
    let wide = run(FXSAVE64, before);

    for user in [&narrow, &wide] {
        assert_eq!(user.get(DATA), 0x07ff_0020_2800_037f);
        assert_eq!(user.get(DATA + 24), 0xffff_0000_1fa0);
        assert_eq!([user.get(DATA + 32), user.get(DATA + 40)], ONE);
    }
    assert_eq!(
        [narrow.get(DATA + 8), narrow.get(DATA + 16)],
        [0x33_2345_6789, 0x2b_3456_789a]
    );
    assert_eq!(
        [wide.get(DATA + 8), wide.get(DATA + 16)],
        [0x1_2345_6789, 0x2_3456_789a]
    );
}

#[test]
fn an_area_that_may_not_be_loaded_is_not() {
    let area = |at: u64, mxcsr: u64| {
        move |user: &mut User| {
            masked(user);
            user.cpu.regs[DI] = at;
            user.put(DATA, 0x27f);
            user.put(DATA + 24, mxcsr);
        }
    };
    for (code, before, fault) in [
        (FXRSTOR, area(DATA, 0x1_1f80), (vector::GP, DATA)),
        (FXRSTOR, area(DATA + 8, 0x1f80), (vector::GP, DATA)),
        (FXSAVE, area(DATA + 8, 0), (vector::GP, DATA)),
        (FXRSTOR, area(END - 256, 0), (user::PAGE_FAULT, END)),
        (FXSAVE, area(END - 256, 0), (user::PAGE_FAULT, END)),
    ] {
        let user = run(code, before);

        assert_eq!(user.fault().0, fault.0, "{code:02x?}");
        if fault.0 == user::PAGE_FAULT {
            assert_eq!(user.fault().1, fault.1, "{code:02x?}");
        }
        assert_eq!((user.cpu.x87.control, user.get(DATA)), (0x37f, 0x27f), "{code:02x?}");
    }
}

/// What MXCSR says is a part of the mode that code is translated for.
#[test]
fn code_goes_on_in_the_mode_that_an_area_has() {
    let user = run(FXRSTOR, |user| {
        masked(user);
        user.put(DATA + 24, 0x9fc0);
        user.put(DATA + 160, 0x1234);
    });

    assert_eq!((user.fault().0, user.cpu.pc), (vector::UD, CODE + 3));
    assert_eq!((user.cpu.mxcsr(), user.cpu.ymm[0][0]), (0x9fc0, 0x1234));
    assert_eq!(user.cpu.mode & (mode::DAZ | mode::FTZ), mode::DAZ | mode::FTZ);
}

/// With XSAVE's components, some of them asked for.
fn components(asked: u64) -> impl Fn(&mut User) {
    move |user| {
        masked(user);
        user.cpu.sys.cr4 |= cr4::OSXSAVE;
        user.cpu.sys.xcr0 = xcr0::X87 | xcr0::SSE | xcr0::AVX | xcr0::PKRU;
        (user.cpu.regs[A], user.cpu.regs[D]) = (asked, 0);
        user.cpu.set_mxcsr(0x1f80);
    }
}
/// All of them in use.
fn used(user: &mut User) {
    user.cpu.x87.control = 0x27f;
    user.cpu.ymm[3] = [1, 2, 3, 4];
    user.cpu.sys.pkru = 0x5555;
}
const ALL: u64 = 0x207;

/// What of [`used`] is left.
fn left(user: &User) -> (u16, [u64; 4], u32) {
    (user.cpu.x87.control, user.cpu.ymm[3], user.cpu.sys.pkru)
}

/// What is behind an environment is not aligned (SDM 3, table 6-7), and a number of 80 bits alone is to 8 bytes.
#[test]
fn registers_in_memory_are_aligned_as_the_words_before_them() {
    for (code, at, fault) in [
        (FRSTOR, DATA + 4, vector::UD),
        (FNSAVE, DATA + 4, vector::UD),
        (FNSAVE, DATA + 2, vector::AC),
        (FSTP_80, DATA + 8, vector::UD),
        (FSTP_80, DATA + 4, vector::AC),
    ] {
        let user = run(code, |user| {
            masked(user);
            (user.cpu.x87.top, user.cpu.x87.full) = (7, 0x80);
            user.cpu.sys.cr0 |= cr0::AM;
            user.cpu.set_eflags(eflags::AC);
            user.cpu.regs[DI] = at;
        });

        assert_eq!(user.vector(), fault, "{code:02x?} {at:x}");
    }
}

#[test]
fn components_in_use_come_back_and_others_are_initial() {
    // All is saved; then what is asked for is loaded into a state that has everything else.
    for save in [XSAVE, XSAVEOPT, XSAVEC] {
        for (present, loaded, want) in [
            (ALL, ALL, (0x27f, [1, 2, 3, 4], 0x5555)),
            (ALL, 1, (0x27f, [1, 2, 3, 4], 0x5555)),
            (2, ALL, (0x37f, [1, 2, 0, 0], 0)),
            (4, 6, (0x27f, [0, 0, 3, 4], 0x5555)),
            (0, 0x201, (0x37f, [1, 2, 3, 4], 0)),
        ] {
            // MOV [RDI+512], RSI; MOV EAX, EBX.
            let between = [0x48, 0x89, 0xb7, 0, 2, 0, 0, 0x89, 0xd8];
            let user = run(&[save, &between, XRSTOR].concat(), |user| {
                components(ALL)(user);
                used(user);
                (user.cpu.regs[3], user.cpu.regs[6]) = (loaded, present);
            });

            assert_eq!(user.fault().0, vector::UD, "{save:02x?} {present:x} {loaded:x}");
            assert_eq!(left(&user), want, "{save:02x?} {present:x} {loaded:x}");
        }
    }
}

/// SDM 1, 13.7 to 13.10: what the header says, and where components are.
#[test]
fn components_are_saved_where_they_belong() {
    let old = |user: &mut User| {
        components(ALL)(user);
        used(user);
        user.cpu.x87 = X87::default();
        user.put(DATA, 0x1234);
        user.put(DATA + 512, 0x101);
    };
    let unasked = |asked: u64| {
        move |user: &mut User| {
            old(user);
            user.cpu.regs[A] = asked;
        }
    };

    let all = run(XSAVE, old);
    let optimised = run(XSAVEOPT, old);
    let compact = run(XSAVEC, old);
    let avx = run(XSAVE, unasked(4));
    let keys = run(XSAVEC, unasked(0x200));

    assert_eq!((all.get(DATA) & 0xffff, all.get(DATA + 512)), (0x37f, 0x306));
    assert_eq!((optimised.get(DATA), optimised.get(DATA + 512)), (0x1234, 0x306));
    assert_eq!((compact.get(DATA), compact.get(DATA + 512)), (0x1234, 0x206));
    assert_eq!([&all, &optimised].map(|user| user.get(DATA + 520)), [0, 0]);
    assert_eq!(compact.get(DATA + 520), 1 << 63 | ALL);
    assert_eq!((all.get(DATA + 576 + 48), all.get(DATA + 2688)), (3, 0x5555));
    assert_eq!((compact.get(DATA + 576 + 48), compact.get(DATA + 832)), (3, 0x5555));
    // MXCSR is AVX's as well, but for the compact form.
    assert_eq!(
        (avx.get(DATA), avx.get(DATA + 24), avx.get(DATA + 512)),
        (0x1234, 0xffff_0000_1f80, 0x105)
    );
    assert_eq!(
        (keys.get(DATA + 24), keys.get(DATA + 576), keys.get(DATA + 520)),
        (0, 0x5555, 1 << 63 | 0x200)
    );
}

/// SDM 1, 13.8 and 13.12.
#[test]
fn a_header_that_is_wrong_is_refused() {
    const COMPACT: u64 = 1 << 63;
    for (header, mxcsr, fault) in [
        ([7, 0, 0, 0], 0x1f80, vector::UD),
        ([7, 0, 0, 1], 0x1f80, vector::UD),
        ([7, COMPACT | 7, 0, 0], 0x1f80, vector::UD),
        ([0, COMPACT | ALL, 0, 0], 0x1_0000, vector::UD),
        ([8, 0, 0, 0], 0x1f80, vector::GP),
        ([7, 1, 0, 0], 0x1f80, vector::GP),
        ([7, 0, 1, 0], 0x1f80, vector::GP),
        ([7, COMPACT | 7, 0, 1], 0x1f80, vector::GP),
        ([7, COMPACT | 3, 0, 0], 0x1f80, vector::GP),
        ([0, COMPACT | 0x10, 0, 0], 0x1f80, vector::GP),
        ([0, 0, 0, 0], 0x1_0000, vector::GP),
        ([7, COMPACT | 7, 0, 0], 0x1_0000, vector::GP),
    ] {
        let user = run(XRSTOR, |user| {
            components(ALL)(user);
            used(user);
            user.put(DATA, 0x57f);
            user.put(DATA + 24, mxcsr);
            for (n, &word) in header.iter().enumerate() {
                user.put(DATA + 512 + 8 * n as u64, word);
            }
        });

        assert_eq!(user.fault().0, fault, "{header:x?}");
        if fault == vector::GP {
            assert_eq!(left(&user), (0x27f, [1, 2, 3, 4], 0x5555), "{header:x?}");
        }
    }
}

#[test]
fn an_area_that_is_not_all_there_is_not_touched() {
    for (code, at, fault) in [
        (XSAVE, DATA + 32, (vector::GP, 0)),
        (XRSTOR, DATA + 32, (vector::GP, 0)),
        (XSAVE, NOWHERE, (user::PAGE_FAULT, NOWHERE)),
        (XSAVE, END - 512, (user::PAGE_FAULT, END)),
        (XSAVE, END - 576, (user::PAGE_FAULT, END)),
        (XRSTOR, END - 512, (user::PAGE_FAULT, END)),
    ] {
        let before = |user: &mut User| {
            components(7)(user);
            used(user);
            user.cpu.regs[DI] = at;
        };
        let user = run(code, before);
        let mut was = User::new(code);
        before(&mut was);

        assert_eq!((user.fault().0, user.fault().1), fault, "{code:02x?} {at:x}");
        assert_eq!(user.memory(), was.memory(), "{code:02x?} {at:x}");
        assert_eq!(left(&user), left(&was), "{code:02x?} {at:x}");
    }
}

#[test]
fn areas_are_there_where_the_system_says_so() {
    for (code, change, fault) in [
        (XSAVE, cr4::OSXSAVE, vector::UD),
        (XSAVE, 0, vector::NM),
        // XSAVES and XRSTORS of programs.
        (&[0x0f, 0xc7, 0x2f][..], 0, vector::GP),
        (&[0x0f, 0xc7, 0x1f][..], 0, vector::GP),
    ] {
        let user = run(code, |user| {
            components(7)(user);
            user.cpu.sys.cr4 &= !change;
            user.cpu.sys.cr0 |= cr0::TS;
            user.cpu.settle();
        });

        assert_eq!(user.fault().0, fault, "{code:02x?}");
    }
}

//! Vector operands: what is left of registers and memory, and which exceptions there are before anything is done.

use super::run;
use super::user::{self, CODE, DATA, User};
use crate::fault::vector;
use crate::state::bits::{cr0, cr4, xcr0};

const DI: usize = 7;
const MOVAPS: [u8; 3] = [0x0f, 0x28, 0x07]; // MOVAPS XMM0, [RDI]
const MOVUPS: [u8; 3] = [0x0f, 0x10, 0x07];
const VMOVAPS: [u8; 4] = [0xc5, 0xfc, 0x28, 0x07]; // VMOVAPS YMM0, [RDI]
const VMOVUPS: [u8; 4] = [0xc5, 0xfc, 0x10, 0x07];
const MOVQ: [u8; 3] = [0x0f, 0x6f, 0x07]; // MOVQ MM0, [RDI]

/// With AVX enabled and data to read.
pub(super) fn avx(user: &mut User) {
    user.cpu.sys.cr4 |= cr4::OSXSAVE;
    user.cpu.sys.xcr0 = xcr0::X87 | xcr0::SSE | xcr0::AVX;
    user.cpu.settle();
    user.cpu.regs[DI] = DATA;
    for k in 0..8 {
        user.put(DATA + 8 * k, 0x1111_1111_1111_1111 * (k + 1));
    }
    user.cpu.ymm = [[!0; 4]; 16];
}

/// The vector of the exception that an instruction ends in, if it is not the #UD behind it.
fn raised(user: &User) -> Option<u8> {
    let (vector, ..) = user.fault();
    (user.cpu.pc == CODE).then_some(vector)
}

/// SDM 3, table 2-2 and 12.1; SDM 2, 2.4.
#[test]
fn control_bits_take_vector_instructions_away() {
    type Set = fn(&mut User);
    let em: Set = |user| user.cpu.sys.cr0 |= cr0::EM;
    let ts: Set = |user| user.cpu.sys.cr0 |= cr0::TS;
    let both: Set = |user| user.cpu.sys.cr0 |= cr0::TS | cr0::EM;
    let no_fxsr: Set = |user| user.cpu.sys.cr4 &= !cr4::OSFXSR;
    let no_avx: Set = |user| user.cpu.sys.xcr0 &= !xcr0::AVX;
    let (mmx, sse, avx_): (&[u8], &[u8], &[u8]) = (&MOVQ, &MOVUPS, &VMOVUPS);
    for (code, set, want) in [
        (mmx, em, Some(vector::UD)),
        (mmx, ts, Some(vector::NM)),
        (mmx, both, Some(vector::UD)),
        (mmx, no_fxsr, None),
        (sse, em, Some(vector::UD)),
        (sse, ts, Some(vector::NM)),
        (sse, both, Some(vector::UD)),
        (sse, no_fxsr, Some(vector::UD)),
        (avx_, em, None),
        (avx_, ts, Some(vector::NM)),
        (avx_, no_fxsr, None),
        (avx_, no_avx, Some(vector::UD)),
    ] {
        let user = run(code, |user| {
            avx(user);
            set(user);
            user.cpu.settle();
        });

        assert_eq!(raised(&user), want, "{code:02x?} {:?}", user.cpu.sys);
    }
}

#[test]
fn an_error_of_the_x87_is_reported_before_mmx_and_not_before_sse() {
    let waits = |user: &mut User| {
        avx(user);
        user.cpu.x87.status = 1 << 7;
        user.cpu.sys.cr0 |= cr0::NE;
    };

    let [mmx, sse] = [run(&MOVQ, waits), run(&MOVUPS, waits)];

    assert_eq!([raised(&mmx), raised(&sse)], [Some(vector::MF), None]);
}

/// SDM 3, 12.2 and 12.3.
#[test]
fn mmx_takes_the_stack_once_it_is_carried_out() {
    let before = |at: u64| {
        move |user: &mut User| {
            avx(user);
            user.cpu.regs[DI] = at;
            (user.cpu.x87.top, user.cpu.x87.full) = (5, 0);
        }
    };

    let (done, faulted) = (run(&MOVQ, before(DATA)), run(&MOVQ, before(user::NOWHERE)));
    let store = run(&[0x0f, 0x7f, 0x07], before(DATA + 8)); // MOVQ [RDI], MM0

    let of = |user: &User| (user.cpu.x87.top, user.cpu.x87.full, user.cpu.x87.regs[0]);
    assert_eq!(of(&done), (0, 0xff, [0x1111_1111_1111_1111, 0xffff]));
    assert_eq!(of(&faulted), (5, 0, [0, 0]));
    assert_eq!((of(&store), store.get(DATA + 8)), ((0, 0xff, [0, 0]), 0));
}

#[test]
fn what_is_above_128_bits_stays_without_vex_and_becomes_zero_with_it() {
    let (legacy, short, long) = (
        run(&MOVUPS, avx),
        run(&[0xc5, 0xf8, 0x10, 0x07], avx),
        run(&VMOVUPS, avx),
    );

    let data = |k: u64| 0x1111_1111_1111_1111 * k;
    assert_eq!(legacy.cpu.ymm[0], [data(1), data(2), !0, !0]);
    assert_eq!(short.cpu.ymm[0], [data(1), data(2), 0, 0]);
    assert_eq!(long.cpu.ymm[0], [1, 2, 3, 4].map(data));
}

/// SDM 2, 2.4: of types 1 and 4, as the tests' guest tells alignment from what the instruction says of it.
#[test]
fn operands_are_aligned_where_the_manual_says_so() {
    let at = |offset: u64| {
        move |user: &mut User| {
            avx(user);
            user.cpu.regs[DI] = DATA + offset;
        }
    };
    let pcmpeqb = [0x66, 0x0f, 0x74, 0x07];
    let vpcmpeqb = [0xc5, 0xf9, 0x74, 0x07];
    for (code, offset, faults) in [
        (&MOVAPS[..], 8, true),
        (&MOVAPS, 16, false),
        (&MOVUPS, 8, false),
        (&VMOVAPS, 16, true),
        (&VMOVAPS, 32, false),
        (&VMOVUPS, 8, false),
        (&[0x0f, 0x12, 0x07], 1, false), // MOVLPS XMM0, [RDI]
        (&pcmpeqb, 8, true),
        (&vpcmpeqb, 8, false),
    ] {
        let user = run(code, at(offset));

        assert_eq!(user.misaligned(), faults, "{code:02x?}");
    }
}

#[test]
fn a_store_of_256_bits_that_faults_stores_nothing() {
    // VMOVUPS [RDI], YMM0.
    let store = |at: u64| {
        run(&[0xc5, 0xfc, 0x11, 0x07], move |user| {
            avx(user);
            user.cpu.regs[DI] = at;
        })
    };
    for past in [8, 16, 24] {
        let user = store(user::END - past);

        assert_eq!(user.fault(), (user::PAGE_FAULT, user::END, true));
        assert_eq!(user.memory(), run(&[], avx).memory());
    }
    let crosses = store(DATA + 0x1000 - 8);
    assert_eq!(raised(&crosses), None);
    assert_eq!(crosses.get(DATA + 0x1010), !0);
}

#[test]
fn a_scalar_keeps_what_is_above_it_unless_it_is_loaded() {
    let before = |user: &mut User| {
        avx(user);
        user.cpu.ymm[1] = [5; 4];
    };

    let (load, reg) = (
        run(&[0xf3, 0x0f, 0x10, 0x07], before),
        run(&[0xf3, 0x0f, 0x10, 0xc1], before),
    );
    let vex = run(&[0xc5, 0xea, 0x10, 0xc1], before); // VMOVSS XMM0, XMM2, XMM1

    assert_eq!(load.cpu.ymm[0], [0x1111_1111, 0, !0, !0]);
    assert_eq!(reg.cpu.ymm[0], [0xffff_ffff_0000_0005, !0, !0, !0]);
    assert_eq!(vex.cpu.ymm[0], [0xffff_ffff_0000_0005, !0, 0, 0]);
}

/// SDM 2, PSLLW: the count is 64 bits, all of which count.
#[test]
fn counts_in_vectors_are_long() {
    for (count, shl, sra) in [
        (4, 0xfff0, 0xf800),
        (15, 0x8000, 0xffff),
        (16, 0, 0xffff),
        (0x1_0001, 0, 0xffff),
        (1 << 32, 0, 0xffff),
        (u64::MAX, 0, 0xffff),
    ] {
        // PSLLW XMM0, XMM1; PSRAW XMM2, XMM1.
        let user = run(&[0x66, 0x0f, 0xf1, 0xc1, 0x66, 0x0f, 0xe1, 0xd1], |user| {
            avx(user);
            user.cpu.ymm[1] = [count, !0, 0, 0];
            user.cpu.ymm[2] = [0x8000_8000_8000_8000; 4];
        });

        let each = |word: u64| word * 0x1_0001_0001_0001;
        assert_eq!(user.cpu.ymm[0][..2], [each(shl); 2], "{count:#x}");
        assert_eq!(user.cpu.ymm[2][..2], [each(sra); 2], "{count:#x}");
    }
}

#[test]
fn upper_halves_become_zero_in_as_many_registers_as_the_code_has() {
    let (upper, all) = ([0xc5, 0xf8, 0x77], [0xc5, 0xfc, 0x77]);
    let narrow = |user: &mut User| {
        avx(user);
        user.be_32_bit();
    };

    let long = [run(&upper, avx), run(&all, avx)];
    let short = [run(&upper, narrow), run(&all, narrow)];

    let halves = [[!0, !0, 0, 0], [0; 4]];
    for ((long, short), want) in long.iter().zip(&short).zip(halves) {
        assert_eq!(long.cpu.ymm, [want; 16]);
        assert_eq!((short.cpu.ymm[7], short.cpu.ymm[8]), (want, [!0; 4]));
    }
}

//! Instructions by hand: what processors were seen to do where manuals leave it open, and what tables get wrong.

mod branches;
mod code;
mod float;
mod masked;
mod models;
mod modes;
mod ports;
mod segments;
mod simd;
mod steps;
mod system;
mod user;
mod virtual_flags;
mod x87;
mod x87_runs;

use crate::fault::vector;
use crate::state::bits::eflags::{AF, CF, OF, PF, SF, STATUS, ZF};
use user::{DATA, User};

/// What 64-bit code leaves of a state.
fn run(code: &[u8], before: impl Fn(&mut User)) -> User {
    let [interpreted, translated] = user::both(|| {
        let mut user = User::new(code);
        before(&mut user);
        user
    });
    assert_eq!(interpreted.cpu, translated.cpu, "{code:02x?}");
    assert_eq!(interpreted.memory(), translated.memory(), "{code:02x?}");
    translated
}

const A: usize = 0;
const C: usize = 1;
const D: usize = 2;
const DI: usize = 7;

#[test]
fn the_last_rex_alone_counts() {
    let before = |user: &mut User| user.cpu.regs[C] = 0x1111_2222_3333_4444;

    let word = run(&[0x48, 0x66, 0x89, 0xc8], before);
    let quad = run(&[0x66, 0x48, 0x89, 0xc8], before);

    assert_eq!([word.cpu.regs[A], quad.cpu.regs[A]], [0x4444, 0x1111_2222_3333_4444]);
}

/// Flags that the manual leaves undefined are clear, as on Intel's processors.
#[test]
fn counts_and_fields_clear_the_other_flags() {
    #[rustfmt::skip]
    let cases: [(&[u8], u32, u32); 7] = [
        (&[0xc4, 0xe2, 0x70, 0xf2, 0xc2], 0x8000_0300, SF), // ANDN EAX, ECX, EDX
        (&[0xc4, 0xe2, 0x78, 0xf3, 0xda], 0x100, CF), // BLSI EAX, EDX
        (&[0xc4, 0xe2, 0x78, 0xf3, 0xd2], 0x1ff, 0), // BLSMSK EAX, EDX
        (&[0xc4, 0xe2, 0x78, 0xf3, 0xca], 0x8000_0200, SF), // BLSR EAX, EDX
        (&[0xc4, 0xe2, 0x70, 0xf5, 0xc2], 0x8000_0300, SF | CF), // BZHI EAX, EDX, ECX
        (&[0xf3, 0x0f, 0xbc, 0xc2], 8, 0), // TZCNT EAX, EDX
        (&[0xf3, 0x0f, 0xbd, 0xc2], 0, ZF), // LZCNT EAX, EDX
    ];
    for (code, result, flags) in cases {
        let user = run(code, |user| {
            user.cpu.set_eflags(STATUS);
            (user.cpu.regs[C], user.cpu.regs[D]) = (32, 0x8000_0300);
        });

        assert_eq!(
            (user.cpu.regs[A], user.cpu.eflags() & STATUS),
            (result.into(), flags),
            "{code:02x?}"
        );
    }
}

/// As C libraries spread the byte to be stored over a vector.
#[test]
fn a_byte_is_spread_by_its_high_half() {
    #[rustfmt::skip]
    let spread = [
        0x0f, 0xb6, 0x07, // MOVZX EAX, BYTE [RDI]
        0x88, 0xc4, // MOV AH, AL
        0x89, 0xc2, // MOV EDX, EAX
        0xc1, 0xe0, 16, // SHL EAX, 16
        0x09, 0xd0, // OR EAX, EDX
    ];
    let to_vector: &[u8] = &[0x66, 0x0f, 0x6e, 0xc0, 0x66, 0x0f, 0x70, 0xc0, 0]; // MOVD XMM0, EAX; PSHUFD XMM0, XMM0, 0
    for tail in [&[][..], to_vector] {
        let user = run(&[&spread, tail].concat(), |user| {
            user.put(DATA, 0x1234_56cd);
            user.cpu.regs[DI] = DATA;
        });

        assert_eq!((user.cpu.regs[A], user.cpu.regs[D]), (0xcdcd_cdcd, 0xcdcd));
    }
}

/// SHL EAX, CL by 0 changes no flag, and makes the upper half zero all the same.
#[test]
fn a_shift_by_zero_changes_no_flag() {
    let user = run(&[0x31, 0xc9, 0xd3, 0xe0], |user| {
        user.cpu.regs[A] = 0xffff_ffff_0000_0001;
        user.cpu.regs[C] = 5;
    });

    assert_eq!(user.cpu.regs[A], 1);
    assert_eq!(user.cpu.eflags() & (ZF | CF), ZF);
}

#[test]
fn carries_are_of_the_sum_of_three() {
    let with_carry = |user: &mut User| {
        user.cpu.regs[A] = 0;
        user.cpu.set_eflags(CF);
    };
    for code in [[0x14, 0xff], [0x1c, 0xff]] {
        let user = run(&code, with_carry);

        assert_eq!(user.cpu.regs[A] & 0xff, 0, "{code:02x?}");
        assert_eq!(user.cpu.eflags() & (CF | AF | ZF | OF), CF | AF | ZF, "{code:02x?}");
    }
}

#[test]
fn a_bit_number_in_a_register_reaches_far_and_one_in_the_instruction_does_not() {
    let before = |user: &mut User| {
        user.cpu.regs[A] = u64::MAX;
        user.cpu.regs[DI] = DATA + 64;
        user.put(DATA + 56, 1 << 63);
        user.put(DATA + 64, 0);
    };

    let far = run(&[0x48, 0x0f, 0xa3, 0x07], before); // BT [RDI], RAX
    let near = run(&[0x48, 0x0f, 0xba, 0x27, 0xff], before); // BT [RDI], 255

    assert_eq!([far, near].map(|user| user.cpu.eflags() & CF), [CF, 0]);
}

/// BSF EDX, ECX of 0, which APM 3 says and SDM 2 does not.
#[test]
fn a_scan_of_zero_leaves_its_destination() {
    let user = run(&[0x0f, 0xbc, 0xd1], |user| {
        user.cpu.regs[D] = 0x1122_3344_5566_7788;
        user.cpu.regs[C] = 0;
    });

    assert_eq!((user.cpu.regs[D], user.cpu.eflags() & ZF), (0x1122_3344_5566_7788, ZF));
}

#[test]
fn quotients_that_do_not_fit_are_divide_errors_of_the_instruction() {
    let long = |rax: u64, rdx: u64, rcx: u64| {
        move |user: &mut User| (user.cpu.regs[A], user.cpu.regs[D], user.cpu.regs[C]) = (rax, rdx, rcx)
    };
    let (idiv64, div64, idiv8) = ([0x48, 0xf7, 0xf9], [0x48, 0xf7, 0xf1], [0xf6, 0xf9]);

    for user in [
        run(&idiv64, long(1 << 63, u64::MAX, u64::MAX)),
        run(&div64, long(0, 5, 5)),
        run(&div64, long(7, 0, 0)),
        run(&idiv8, long(0x8000, 0, 1)),
    ] {
        assert_eq!((user.fault().0, user.cpu.pc), (vector::DE, user::CODE));
    }
    let fits = run(&idiv8, long((-640i16) as u16 as u64, 0, 5));
    assert_eq!((fits.cpu.regs[A] & 0xffff, fits.fault().0), (0x80, vector::UD));
    let wide = run(&div64, long(3, 1, 2));
    assert_eq!((wide.cpu.regs[A], wide.cpu.regs[D]), ((1 << 63) + 1, 1));
}

/// POP [RSP] stores above: its address is of the stack pointer after it.
#[test]
fn a_pop_to_the_stack_is_addressed_after_it() {
    let user = run(&[0x8f, 0x04, 0x24], |user| {
        user.cpu.regs[4] = DATA;
        user.put(DATA, 0x1234);
    });

    assert_eq!((user.get(DATA + 8), user.cpu.regs[4]), (0x1234, DATA + 8));
}

#[test]
fn what_faults_leaves_no_trace() {
    // CMP EAX, EAX; SUB [nowhere], EAX; and POP [nowhere].
    let sub = run(&[0x39, 0xc0, 0x29, 0x03], |user| user.cpu.regs[3] = user::NOWHERE);
    let pop = run(&[0x8f, 0x03], |user| {
        user.cpu.regs[3] = user::NOWHERE;
        user.cpu.regs[4] = DATA;
    });

    assert_eq!(sub.fault(), (user::PAGE_FAULT, user::NOWHERE, true));
    assert_eq!(sub.cpu.eflags() & (ZF | PF | SF), ZF | PF);
    assert_eq!(pop.fault(), (user::PAGE_FAULT, user::NOWHERE, true));
    assert_eq!(pop.cpu.regs[4], DATA);
}

/// Addresses near each other, of which some wrap at 4 GiB.
#[test]
fn addresses_of_32_bits_are_others_than_those_of_64() {
    // MOV ECX, [EBX+8]; MOV EDX, [EBX+16]; MOV EAX, [RBX+12]
    let mixed = run(&[0x67, 0x8b, 0x4b, 8, 0x67, 0x8b, 0x53, 16, 0x8b, 0x43, 12], |user| {
        user.cpu.regs[3] = 1 << 32 | DATA;
        user.put(DATA + 8, 0x11);
        user.put(DATA + 16, 0x22);
    });
    // MOV ECX, [EBX+20010h]; MOV EDX, [EBX+20018h]; MOV EAX, [EBX+20008h], the last below DATA
    let wraps = [
        0x8b, 0x8b, 0x10, 0, 2, 0, 0x8b, 0x93, 0x18, 0, 2, 0, 0x8b, 0x83, 0x08, 0, 2, 0,
    ];
    let wrapped = run(&wraps, |user| {
        user.be_32_bit();
        user.cpu.regs[3] = 0xffff_fff0;
        user.put(DATA, 0x33);
        user.put(DATA + 8, 0x44);
    });

    assert_eq!(mixed.fault(), (user::PAGE_FAULT, (1 << 32 | DATA) + 12, false));
    assert_eq!(wrapped.fault(), (user::PAGE_FAULT, DATA - 8, false));
    assert_eq!([mixed.cpu.regs[C], mixed.cpu.regs[D]], [0x11, 0x22]);
    assert_eq!([wrapped.cpu.regs[C], wrapped.cpu.regs[D]], [0x33, 0x44]);
}

#[test]
fn a_repeated_move_shows_how_far_it_came() {
    // REP MOVSB of ten bytes, three of them before a page that is not there.
    let user = run(&[0xf3, 0xa4], |user| {
        (user.cpu.regs[C], user.cpu.regs[6], user.cpu.regs[DI]) = (10, DATA, user::END - 3);
        user.put(DATA, 0x0807_0605_0403_0201);
    });

    assert_eq!(user.fault(), (user::PAGE_FAULT, user::END, true));
    assert_eq!(
        [user.cpu.regs[C], user.cpu.regs[6], user.cpu.regs[DI]],
        [7, DATA + 3, user::END]
    );
    assert_eq!((user.get(user::END - 8) >> 40, user.cpu.pc), (0x03_0201, user::CODE));
}

#[test]
fn a_repeat_of_nothing_touches_nothing() {
    let user = run(&[0xf3, 0xaa], |user| {
        (user.cpu.regs[C], user.cpu.regs[DI]) = (0, user::NOWHERE)
    });

    assert_eq!((user.fault().0, user.cpu.pc), (vector::UD, user::CODE + 2));
}

/// A store to the next instruction: MOV BYTE [RIP+1], 5A; MOV AL, 0.
#[test]
fn code_that_changes_what_follows_runs_what_it_has_become() {
    let user = run(&[0xc6, 0x05, 0x01, 0, 0, 0, 0x5a, 0xb0, 0], |_| {});

    assert_eq!(user.cpu.regs[A] & 0xff, 0x5a);
}

#[test]
fn locked_arithmetic_is_done_in_memory() {
    for (code, want) in [
        (vec![0xf0, 0x01, 0x0b], 12),          // LOCK ADD [RBX], ECX
        (vec![0xf0, 0x29, 0x0b], 8),           // LOCK SUB
        (vec![0xf0, 0x11, 0x0b], 13),          // LOCK ADC
        (vec![0xf0, 0xf7, 0x1b], 0xffff_fff6), // LOCK NEG
        (vec![0xf0, 0xff, 0x03], 11),          // LOCK INC
        (vec![0xf0, 0x0f, 0xc1, 0x0b], 12),    // LOCK XADD
    ] {
        let user = run(&code, |user| {
            (user.cpu.regs[3], user.cpu.regs[C]) = (DATA, 2);
            user.cpu.set_eflags(CF);
            user.put(DATA, 10);
        });

        assert_eq!(user.get(DATA), want, "{code:02x?}");
    }
}

#[test]
fn calls_come_back_and_conditions_are_followed() {
    // MOV ECX, 10; L: CALL F; DEC ECX; JNZ L; JMP end; F: INC EAX; RET; end:
    let code = [
        0xb9, 10, 0, 0, 0, 0xe8, 6, 0, 0, 0, 0xff, 0xc9, 0x75, 0xf7, 0xeb, 3, 0xff, 0xc0, 0xc3,
    ];

    let user = run(&code, |user| user.cpu.regs[4] = user::END);

    assert_eq!(
        (user.cpu.regs[A], user.cpu.regs[C], user.cpu.regs[4]),
        (10, 0, user::END)
    );
}

#[test]
fn decimal_digits_carry() {
    let cases: [(&[u8], u64, u32, u64, u32); 7] = [
        (&[0x27], 0x9a, 0, 0x00, CF | AF),
        (&[0x27], 0x15, AF, 0x1b, AF),
        (&[0x2f], 0x05, AF, 0xff, CF | AF),
        (&[0x37], 0x000b, 0, 0x0101, CF | AF),
        (&[0x3f], 0x0305, AF, 0x010f, CF | AF),
        (&[0xd4, 10], 0x0049, 0, 0x0703, 0),
        (&[0xd5, 10], 0x0703, 0, 0x0049, 0),
    ];
    for (code, ax, flags, want, left) in cases {
        let user = run(code, |user| {
            user.be_32_bit();
            user.cpu.regs[A] = ax;
            user.cpu.set_eflags(flags);
        });

        assert_eq!(user.cpu.regs[A], want, "{code:02x?}");
        assert_eq!(user.cpu.eflags() & (CF | AF), left, "{code:02x?}");
    }
}

//! Near branches and the places that they go to.

use super::system::{A, B, C, D, HLT, exception, handled, long};
use crate::machine_for_tests::{Around, Bench, Ram, STACK, descriptor, sel};
use crate::model::find;
use crate::state::bits::eflags::ZF;
use crate::state::{Cpu, Descriptor, number};
use emu_jit::engine::{Accel, Exit};

const SP: usize = 4;
/// The page below 4 GiB, and where in memory that is; that above.
const BELOW: u64 = 0xffff_f000;
const BELOW_AT: u64 = 0x5000;
const ABOVE: u64 = 0x1_0000_0000;
const ABOVE_AT: u64 = 0x6000;

/// In long mode, with pages on both sides of 4 GiB.
fn around_4_gib() -> Bench {
    let mut b = long();
    for (at, entry) in [
        (0x10_1000 + 8 * 3, 0x10_4007),
        (0x10_4000 + 8 * 511, 0x10_5007),
        (0x10_5000 + 8 * 511, BELOW_AT | 0x67),
        (0x10_1000 + 8 * 4, 0x10_6007),
        (0x10_6000, 0x10_7007),
        (0x10_7000, ABOVE_AT | 0x67),
    ] {
        b.engine.ram.put(at, 8, entry);
    }
    b
}
/// Pieces of code, each with where it is in memory; run from an address on to the first HLT.
fn run(make: impl Fn() -> Bench, pieces: &[(u64, &[u8])], from: u64) -> Cpu {
    run_with_memory(make, pieces, from).0
}
fn run_with_memory(make: impl Fn() -> Bench, pieces: &[(u64, &[u8])], from: u64) -> (Cpu, Ram) {
    let [a, b] = [Accel::Interp, Accel::Jit].map(|accel| {
        let mut b = handled(make());
        for (at, code) in pieces {
            for (at, &byte) in (*at..).zip(*code) {
                b.engine.ram.put(at, 1, byte.into());
            }
        }
        b.cpu.pc = 0x5f00;
        let ram = b.engine.ram.clone();
        let mut v = b.engine(accel, &[HLT], &Around::default());
        v.state_mut().set_rip(from);
        assert_eq!(v.run(), Exit::Wait, "{accel:?}");
        assert_eq!(exception(v.state()), None, "{accel:?}");
        (*v.state(), ram)
    });
    assert_eq!(a.0, b.0);
    a
}

/// LEA RAX, [RIP-7], and the same of RCX and RDX: where it is itself.
const LEA_A: [u8; 7] = [0x48, 0x8d, 0x05, 0xf9, 0xff, 0xff, 0xff];
const LEA_C: [u8; 7] = [0x48, 0x8d, 0x0d, 0xf9, 0xff, 0xff, 0xff];
const LEA_D: [u8; 7] = [0x48, 0x8d, 0x15, 0xf9, 0xff, 0xff, 0xff];

#[test]
fn addresses_of_64_bit_code_go_on_above_4_gib() {
    // From FFFFFFF0 to 1_00000010 by JMP of 8 bits, there LEA, and back by JMP of 32 to FFFFFFE0.
    let there = [&LEA_A[..], &[0xe9, 0xc4, 0xff, 0xff, 0xff]].concat();
    let back = [&LEA_C[..], &[HLT]].concat();
    let cpu = run(
        around_4_gib,
        &[
            (BELOW_AT + 0xff0, &[0xeb, 0x1e]),
            (ABOVE_AT + 0x10, &there),
            (BELOW_AT + 0xfe0, &back),
        ],
        BELOW + 0xff0,
    );
    assert_eq!([cpu.regs[A], cpu.regs[C]], [ABOVE + 0x10, BELOW + 0xfe0]);
    assert_eq!(cpu.pc, BELOW + 0xfe8);

    // By CALL and RET, by a condition that holds, and by going on.
    let calls = [&[0xe8, 0x1b, 0, 0, 0][..], &LEA_C, &[0x74, 0x1e]].concat();
    let called = [&LEA_A[..], &[0x31, 0xdb, 0xc3]].concat();
    let on = [&LEA_D[..], &[HLT]].concat();
    let cpu = run(
        around_4_gib,
        &[
            (BELOW_AT + 0xff0, &calls),
            (ABOVE_AT + 0x10, &called),
            (ABOVE_AT + 0x1c, &on),
        ],
        BELOW + 0xff0,
    );
    assert_eq!(
        [cpu.regs[A], cpu.regs[C], cpu.regs[D]],
        [ABOVE + 0x10, BELOW + 0xff5, ABOVE + 0x1c]
    );
    let cpu = run(
        around_4_gib,
        &[(BELOW_AT + 0xffe, &[0x90; 2]), (ABOVE_AT, &on)],
        BELOW + 0xffe,
    );
    assert_eq!((cpu.regs[D], cpu.pc), (ABOVE, ABOVE + 8));
}

#[test]
fn addresses_of_32_bit_code_go_on_at_0() {
    let make = || {
        let mut b = around_4_gib();
        *b.cpu.segment_mut(number::CS) = Descriptor(b.described(sel::CODE0)).segment(sel::CODE0);
        b.cpu.settle();
        b
    };
    // CALL to the next; POP EBX; HLT
    let own = [0xe8, 0, 0, 0, 0, 0x5b, HLT];
    for jump in [&[0xeb, 0x1e][..], &[0xe9, 0x1b, 0, 0, 0], &[0x74, 0x1e]] {
        let make = || {
            let mut b = make();
            b.cpu.set_eflags(ZF);
            b
        };
        let cpu = run(make, &[(BELOW_AT + 0xff0, jump), (0x10, &own)], BELOW + 0xff0);

        assert_eq!((cpu.regs[B], cpu.rip()), (0x15, 0x17), "{jump:02x?}");
    }
    let cpu = run(make, &[(BELOW_AT + 0xffe, &[0x90; 2]), (0, &own)], BELOW + 0xffe);
    assert_eq!((cpu.regs[B], cpu.rip(), cpu.regs[SP]), (5, 7, STACK));
}

/// G19: a near jump within a segment that is high up stays there.
#[test]
fn a_near_jump_keeps_the_base_of_its_segment() {
    let make = || {
        let mut b = around_4_gib();
        let code = descriptor(0, 0xffff, 0x9a);
        *b.cpu.segment_mut(number::CS) = Descriptor(code).segment(sel::CODE16);
        b.cpu.segment_mut(number::CS).base = 0xffff_0000;
        b.cpu.settle();
        b
    };
    // JMP to FFE0; there MOV AL, CS:[FFE6]; HLT; 5A
    let code = [0x2e, 0xa0, 0xe6, 0xff, HLT, 0, 0x5a];
    let cpu = run(
        make,
        &[(BELOW_AT + 0xff0, &[0xeb, 0xee]), (BELOW_AT + 0xfe0, &code)],
        0xfff0,
    );

    assert_eq!((cpu.rip(), cpu.regs[A]), (0xffe5, 0x5a));
}

/// G25; APM 3, "Near Branches in 64-Bit Mode": of AMD's, 66 makes operands 16 bits, and 16 bits of the address count.
#[test]
fn near_branches_have_16_bits_by_the_maker() {
    const AT: u64 = 0x1_5000;
    let make = |model: &'static str| {
        move || {
            let mut b = long();
            b.model = find(model).unwrap();
            (b.cpu.regs[A], b.cpu.regs[C]) = (0x9_5234, 2);
            b.engine.ram.put(STACK, 2, 0x5678);
            b
        }
    };
    // Where it comes to, and how many bytes are pushed: less than none where they are popped.
    let cases: [(&[u8], u64, i64); 8] = [
        (&[0x66, 0xe9, 0, 0], 0x5004, 0),
        (&[0x66, 0xe8, 0, 0], 0x5004, 2),
        (&[0x66, 0xeb, 0x10], 0x5013, 0),
        (&[0x66, 0x75, 0x10], 0x5013, 0),
        (&[0x66, 0xe2, 0x10], 0x5013, 0),
        (&[0x66, 0xc3], 0x5678, -2),
        (&[0x66, 0xff, 0xe0], 0x5234, 0),
        (&[0x66, 0xff, 0xd0], 0x5234, 2),
    ];
    let halts = [HLT; 0x800];
    for (code, to, pushed) in cases {
        let (cpu, mut ram) = run_with_memory(make("EPYC"), &[(0x5000, &halts), (AT, code)], AT);

        let sp = STACK.wrapping_sub(pushed as u64);
        assert_eq!((cpu.pc, cpu.regs[SP]), (to + 1, sp), "{code:02x?}");
        if pushed > 0 {
            assert_eq!(ram.get(sp, 2), 0x5000 + code.len() as u64, "{code:02x?}");
        }
    }
    // One that is not taken, and one of Intel's.
    let zero = || {
        let mut b = make("EPYC")();
        b.cpu.set_eflags(ZF);
        b
    };
    let cpu = run(zero, &[(AT, &[0x66, 0x75, 0x10, HLT])], AT);
    assert_eq!(cpu.pc, AT + 4);
    let cpu = run(make("max"), &[(AT, &[0x66, 0xe9, 0, 0, 0, 0, HLT])], AT);
    assert_eq!(cpu.pc, AT + 7);
}

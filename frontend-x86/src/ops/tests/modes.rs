//! The same bytes under one state and under another: what was translated for one does not run under the other.

use super::system::{A, CODE, DATA, HLT, SP, exception, flat, handled, long, user, with};
use crate::fault::vector;
use crate::machine_for_tests::{Around, Bench, Ram, descriptor, sel};
use crate::platform::X86;
use crate::state::bits::{cr0, cr4, eflags, xcr0};
use crate::state::{Attributes, Cpu, Descriptor, mode, number};
use emu_ir::Bus;
use emu_jit::engine::{Accel, Exit, Vcpu};

/// What code comes to: the vector of the exception that it ends in, if it is not its end, and how far it came.
type End = (Option<u8>, u64);
/// All that a case looks at: that, EAX and ESP, 32 bits each.
type Seen = (End, u64, u64);
type Make = Box<dyn Fn() -> Bench>;

fn seen(v: &Vcpu<X86>, ram: &mut Ram) -> Seen {
    let cpu = v.state();
    let size = if cpu.mode & mode::LONG != 0 { 8 } else { 4 };
    let found = exception(cpu);
    let at = match found {
        None => cpu.pc - 1,
        Some(vector) => {
            let has_code = matches!(vector, vector::TS..=vector::PF | vector::AC);
            let above = if has_code { size } else { 0 };
            ram.load(cpu.regs[SP] + above, size as u8).unwrap()
        }
    };
    // Behind exceptions the stack is the handler's.
    let sp = if found.is_none() { cpu.regs[SP] } else { 0 };
    ((found, at - CODE), cpu.regs[A] & 0x1_ffff_ffff, sp & 0xffff_ffff)
}

/// Code, and under two states what it comes to, what EAX is then and, where it comes to its end, ESP.
struct Case {
    code: &'static [u8],
    states: [(Make, End); 2],
}

fn case(
    code: &'static [u8],
    one: impl Fn() -> Bench + 'static,
    first: End,
    other: impl Fn() -> Bench + 'static,
    second: End,
) -> Case {
    Case {
        code,
        states: [(Box::new(one), first), (Box::new(other), second)],
    }
}

/// Each case under the one state, the other, and the one again; what was seen.
fn back_and_forth(case: &Case, accel: Accel) -> [Seen; 3] {
    let [(one, _), (other, _)] = &case.states;
    let states = [one, other, one].map(|make| handled(make()).cpu);
    let mut b = handled(one());
    let mut ram = b.engine.ram.clone();
    b.cpu = states[0];
    let mut v = b.engine(accel, &[case.code, &[HLT]].concat(), &Around::default());
    states.map(|cpu| {
        *v.state_mut() = cpu;
        assert_eq!(v.run(), Exit::Wait, "{:02x?}", case.code);
        seen(&v, &mut ram)
    })
}

fn set(bench: impl Fn() -> Bench + 'static, change: impl Fn(&mut Cpu) + 'static) -> impl Fn() -> Bench + 'static {
    with(bench, change)
}

#[test]
fn what_code_means_is_asked_of_the_state_that_it_runs_under() {
    // Without a map of ports.
    let iopl = |n: u32| {
        set(user, move |cpu| {
            cpu.set_eflags(n << eflags::IOPL_SHIFT);
            cpu.sys.tr.limit = 0x60;
        })
    };
    let control = |bits: u64| set(flat, move |cpu| cpu.sys.cr0 |= bits);
    let sse = |bits: u64| set(flat, move |cpu| cpu.sys.cr4 |= bits);
    let avx = |on: bool| {
        set(long, move |cpu| {
            cpu.sys.cr4 |= cr4::OSFXSR | if on { cr4::OSXSAVE } else { 0 };
            cpu.sys.xcr0 = xcr0::X87 | xcr0::SSE | xcr0::AVX;
        })
    };
    let aligned = |flags: u32| {
        set(user, move |cpu| {
            cpu.sys.cr0 |= cr0::AM;
            cpu.set_eflags(flags);
        })
    };
    let (gp, ud, nm) = (Some(vector::GP), Some(vector::UD), Some(vector::NM));
    let cases = [
        // CLI by level and by IOPL; IN by IOPL. HLT is #GP at level 3.
        case(&[0xfa], long, (None, 1), user, (gp, 0)),
        case(&[0xfa], iopl(3), (gp, 1), iopl(0), (gp, 0)),
        case(&[0xe4, 0x80], iopl(3), (gp, 2), iopl(0), (gp, 0)),
        // FNOP, FWAIT, MOVAPS and VMOVAPS by control bits.
        case(&[0xd9, 0xd0], flat, (None, 2), control(cr0::TS), (nm, 0)),
        case(&[0xd9, 0xd0], flat, (None, 2), control(cr0::EM), (nm, 0)),
        case(
            &[0x9b],
            control(cr0::TS),
            (None, 1),
            control(cr0::TS | cr0::MP),
            (nm, 0),
        ),
        case(&[0x0f, 0x28, 0xc1], sse(cr4::OSFXSR), (None, 3), flat, (ud, 0)),
        case(&[0xc5, 0xf8, 0x28, 0xc1], avx(true), (None, 4), avx(false), (ud, 0)),
        // MOV EAX, [6001h], aligned or not looked at; SMSW EAX.
        case(
            &[0x8b, 0x04, 0x25, 1, 0x60, 0, 0],
            aligned(0),
            (gp, 7),
            aligned(eflags::AC),
            (Some(vector::AC), 0),
        ),
        case(
            &[0x0f, 0x01, 0xe0],
            user,
            (gp, 3),
            set(user, |cpu| cpu.sys.cr4 |= cr4::UMIP),
            (gp, 0),
        ),
        // INC EAX, stepped.
        case(
            &[0xff, 0xc0],
            long,
            (None, 2),
            set(long, |cpu| cpu.set_eflags(eflags::TF)),
            (Some(vector::DB), 2),
        ),
    ];
    for case in &cases {
        let [(_, first), (_, second)] = case.states;
        for accel in [Accel::Interp, Accel::Jit] {
            let ends = back_and_forth(case, accel).map(|seen| seen.0);

            assert_eq!(ends, [first, second, first], "{:02x?} {accel:?}", case.code);
        }
    }
}

#[test]
fn sizes_and_bases_are_those_of_the_segments_at_hand() {
    let data = || {
        let mut b = flat();
        b.engine.ram.put(DATA, 4, 1);
        b.engine.ram.put(DATA + 0x100, 4, 2);
        b.cpu.regs[SP] = 0x1_0000;
        b
    };
    let code16 = set(data, |cpu| {
        *cpu.segment_mut(number::CS) = Descriptor(descriptor(0, 0xffff, 0x9a)).segment(sel::CODE16);
    });
    let stack16 = set(data, |cpu| cpu.segment_mut(number::SS).attributes &= !Attributes::DB);
    let based = set(data, |cpu| cpu.segment_mut(number::DS).base = 0x100);
    let wide = set(long, |cpu| cpu.regs[A] = 0xffff_ffff);
    let compatible = set(
        || {
            let mut b = long();
            *b.cpu.segment_mut(number::CS) = Descriptor(b.described(sel::CODE0)).segment(sel::CODE0);
            b
        },
        |cpu| cpu.regs[A] = 0xffff_ffff,
    );
    let end = (None, 0);
    for (case, first, second) in [
        // MOV eAX with a number of the operand size, and INC twice behind it; PUSH; MOV EAX, [6000h]; INC RAX, or DEC and INC.
        (
            case(&[0xb8, 0x34, 0x12, 0x40, 0x40], data, end, code16, end),
            (5, 0x4040_1234, 0x1_0000),
            (5, 0x1236, 0x1_0000),
        ),
        (case(&[0x50], data, end, stack16, end), (1, 0, 0xfffc), (1, 0, 0x1_fffc)),
        (
            case(&[0xa1, 0, 0x60, 0, 0], data, end, based, end),
            (5, 1, 0x1_0000),
            (5, 2, 0x1_0000),
        ),
        (
            case(&[0x48, 0xff, 0xc0], wide, end, compatible, end),
            (3, 0x1_0000_0000, crate::machine_for_tests::STACK),
            (3, 0xffff_ffff, crate::machine_for_tests::STACK),
        ),
    ] {
        for accel in [Accel::Interp, Accel::Jit] {
            let seen = back_and_forth(&case, accel);

            let [first, second] = [first, second].map(|(at, a, sp)| ((None, at), a, sp));
            assert_eq!(seen, [first, second, first], "{:02x?} {accel:?}", case.code);
        }
    }
}

//! Where CPUs of one model do what those of another do not.

use super::run as run_user;
use super::system::{A, B, C, D, DATA, HLT, exception, handled, long, user as programs, with};
use super::user::{self, User};
use crate::fault::vector;
use crate::machine_for_tests::{Around, Bench, Ram, sel};
use crate::model::{Model, find};
use crate::state::bits::{cr4, efer, xcr0};
use crate::state::{Cpu, Descriptor, X87, number};
use emu_jit::engine::{Accel, Exit};

const DI: usize = 7;

fn model(name: &str) -> Model {
    find(name).unwrap()
}

/// In both accelerators: the state at the first HLT, and memory.
fn left(make: impl Fn() -> Bench, code: &[u8]) -> (Cpu, Ram) {
    let [a, b] = [Accel::Interp, Accel::Jit].map(|accel| {
        let b = handled(make());
        let ram = b.engine.ram.clone();
        let mut v = b.engine(accel, &[code, &[HLT]].concat(), &Around::default());
        assert_eq!(v.run(), Exit::Wait, "{code:02x?}");
        (*v.state(), ram)
    });
    assert_eq!(a.0, b.0, "{code:02x?}");
    b
}

/// APM 2, 3.1.7 "Fast FXSAVE/FXRSTOR": in 64-bit mode at level 0, without XMM registers but with MXCSR.
#[test]
fn fast_areas_leave_xmm_registers_out() {
    let on = |bench: fn() -> Bench, fast: bool| {
        with(bench, move |cpu| {
            cpu.sys.cr4 |= cr4::OSFXSR;
            cpu.sys.efer |= if fast { efer::FFXSR } else { 0 };
            cpu.ymm[1] = [7, 8, 0, 0];
            cpu.set_mxcsr(0x1fa0);
            cpu.regs[DI] = DATA;
        })
    };
    let compatible: fn() -> Bench = || {
        let mut b = long();
        *b.cpu.segment_mut(number::CS) = Descriptor(b.described(sel::CODE0)).segment(sel::CODE0);
        b
    };
    for (bench, fast, stored) in [
        (long as fn() -> Bench, true, false),
        (long, false, true),
        (programs, true, true),
        (compatible, true, true),
    ] {
        let (_, mut ram) = left(on(bench, fast), &[0x0f, 0xae, 0x07]); // FXSAVE [RDI]
        let area = |b: &mut Bench| {
            b.engine.ram.put(DATA + 24, 4, 0x1f80);
            b.engine.ram.put(DATA + 160 + 16, 8, 9);
        };
        let loaded = || {
            let mut b = on(bench, fast)();
            area(&mut b);
            b
        };
        let (cpu, _) = left(loaded, &[0x0f, 0xae, 0x0f]); // FXRSTOR [RDI]

        assert_eq!(ram.get(DATA + 24, 4), 0x1fa0);
        assert_eq!(ram.get(DATA + 160 + 16, 8), if stored { 7 } else { 0 }, "{fast}");
        assert_eq!(
            (cpu.mxcsr(), cpu.ymm[1]),
            (0x1f80, if stored { [9, 0, 0, 0] } else { [7, 8, 0, 0] }),
            "{fast}"
        );
    }
    // EFER.FFXSR is there with its bit of CPUID: MOV ECX, EFER; RDMSR; OR EAX, 1 << 14; WRMSR.
    let code = [0xb9, 0x80, 0, 0, 0xc0, 0x0f, 0x32, 0x0d, 0, 0x40, 0, 0, 0x0f, 0x30];
    for (name, found) in [("EPYC", None), ("Haswell", Some(vector::GP))] {
        let make = || {
            let mut b = long();
            b.model = model(name);
            b
        };
        assert_eq!(exception(&left(make, &code).0), found, "{name}");
    }
}

/// SDM 2, XGETBV; SDM 1, 13.2: with ECX 1, which of XCR0's components are not in their initial state.
#[test]
fn components_in_use_are_told_where_cpuid_says_so() {
    let make = |name: &'static str, ymm: [u64; 4], ecx: u64| {
        move || {
            let mut b = long();
            b.model = model(name);
            b.cpu.sys.cr4 |= cr4::OSXSAVE;
            b.cpu.sys.xcr0 = xcr0::X87 | xcr0::SSE | xcr0::AVX;
            b.cpu.x87 = X87::default();
            b.cpu.sys.pkru = 5;
            b.cpu.ymm[3] = ymm;
            b.cpu.set_mxcsr(0x1fa0);
            (b.cpu.regs[C], b.cpu.regs[A], b.cpu.regs[D]) = (ecx, 99, 99);
            b
        }
    };
    let (gp, high) = (Some(vector::GP), 0xffff_ffff << 32);
    for (name, ymm, ecx, want) in [
        ("max", [0; 4], 0, (None, 7)),
        ("max", [0; 4], 1, (None, 0)),
        ("max", [1, 0, 0, 0], 1, (None, 2)),
        ("max", [0, 0, 0, 1], high | 1, (None, 4)),
        ("max", [0; 4], 2, (gp, 99)),
        ("Skylake-Server", [1; 4], 1, (None, 6)),
        ("Haswell", [1; 4], 1, (gp, 99)),
    ] {
        let (cpu, _) = left(make(name, ymm, ecx), &[0x0f, 0x01, 0xd0]);

        assert_eq!((exception(&cpu), cpu.regs[A]), want, "{name} {ymm:?} {ecx:x}");
    }
}

/// SDM 1, 8.1.8: CPUID.(EAX=07H,ECX=0H):EBX[13] says that selectors are saved as 0.
#[test]
fn selectors_of_the_last_instruction_are_saved_where_cpuid_says_so() {
    let before = |without: &'static str| {
        move |user: &mut User| {
            user.model = model(without);
            user.cpu.x87 = X87::default();
            (user.cpu.x87.code, user.cpu.x87.data) = (0x33, 0x2b);
            (user.cpu.x87.instruction, user.cpu.x87.operand) = (0x1111, 0x2222);
            user.cpu.regs[DI] = user::DATA;
            user.be_32_bit();
        }
    };
    for (name, code, data) in [("max,zero-fcs-fds=off", 0x33, 0x2b), ("max", 0, 0)] {
        let area = run_user(&[0x0f, 0xae, 0x07], before(name)); // FXSAVE [EDI]
        let environment = run_user(&[0xd9, 0x37], before(name)); // FNSTENV [EDI]
        let all = run_user(&[0xdd, 0x37], before(name)); // FNSAVE [EDI]

        let pointers = [8, 16].map(|at| area.get(user::DATA + at));
        assert_eq!(pointers, [code << 32 | 0x1111, data << 32 | 0x2222], "{name}");
        for user in [environment, all] {
            let selectors = [16, 24].map(|at| user.get(user::DATA + at) & 0xffff);
            assert_eq!(selectors, [code, data], "{name}");
        }
    }
}

/// G26: BMI's instructions are of general registers, and there without AVX and its state; W says nothing outside of 64-bit code.
#[test]
fn bit_manipulation_needs_no_vectors() {
    // ANDN EAX, EBX, ECX with W.
    let code = [0xc4, 0xe2, 0xe0, 0xf2, 0xc1];
    let make = || {
        let mut b = Bench::protected(0);
        b.model = model("Haswell,xsave=off");
        (b.cpu.regs[B], b.cpu.regs[C]) = (0xffff_ff0f, 0xff);
        b
    };

    let (cpu, _) = left(make, &code);

    assert_eq!((exception(&cpu), cpu.regs[A]), (None, 0xf0));
}

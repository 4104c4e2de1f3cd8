//! Instructions of the system, by hand: what a kernel relies on.

use crate::fault::vector;
use crate::machine_for_tests::{Around, Bench, GDT, IDT, STACK, TSS, descriptor, sel};
use crate::platform::INTR;
use crate::state::bits::eflags::{AC, CF, ID, IF, IOPL, NT, TF, VIF, VIP, ZF};
use crate::state::bits::{cr0, cr4, dr6, dr7, efer};
use crate::state::{Cpu, mode, number, pending};
use emu_ir::Stop;
use emu_jit::engine::{Accel, Exit};

pub(super) const HLT: u8 = 0xf4;
pub(super) const A: usize = 0;
pub(super) const C: usize = 1;
pub(super) const D: usize = 2;
pub(super) const B: usize = 3;
pub(super) const SP: usize = 4;
/// Where handlers of exceptions are, 16 bytes each.
pub(super) const HANDLERS: u64 = 0x4000;
/// Where code is.
pub(super) const CODE: u64 = 0x5000;
/// Free memory.
pub(super) const DATA: u64 = 0x6000;

/// A bench whose exceptions up to 31 each have a handler that halts: gates of protected mode, of long mode where it is on.
pub(super) fn handled(mut b: Bench) -> Bench {
    let long = b.cpu.sys.efer & efer::LMA != 0;
    let code = if long { sel::CODE64 } else { sel::CODE0 };
    for n in 0..32u64 {
        let at = HANDLERS + 16 * n;
        if b.engine.ram.get(at, 1) == 0 {
            b.engine.ram.put(at, 1, HLT.into());
        }
        let gate = at & 0xffff | u64::from(code) << 16 | 0xee00 << 32 | at >> 16 << 48;
        let size = if long { 16 } else { 8 };
        b.engine.ram.put(IDT + size * n, 8, gate);
    }
    b.cpu.set_rip(CODE);
    b
}

/// Both accelerators run code to the first HLT of level 0; the state there, which is the same.
pub(super) fn run(make: impl Fn() -> Bench, code: &[u8]) -> Cpu {
    run_with(&Around::default(), make, code)
}
pub(super) fn run_with(around: &Around, make: impl Fn() -> Bench, code: &[u8]) -> Cpu {
    let code = [code, &[HLT]].concat();
    let [a, b] = [Accel::Interp, Accel::Jit].map(|accel| {
        let mut v = handled(make()).engine(accel, &code, around);
        assert_eq!(v.run(), Exit::Wait, "{code:02x?}");
        *v.state()
    });
    assert_eq!(a, b, "{code:02x?}");
    a
}
/// The vector of the exception whose handler a state is in.
pub(super) fn exception(cpu: &Cpu) -> Option<u8> {
    let n = cpu.pc.checked_sub(HANDLERS + 1)? / 16;
    (n < 32).then_some(n as u8)
}
/// The vector of the exception that code of level 3 ends in, and how far it came.
fn fault(make: impl Fn() -> Bench, code: &[u8]) -> (u8, u64) {
    let b = handled(make());
    let mut ram = b.engine.ram.clone();
    let mut v = b.engine(Accel::Jit, &[code, &[HLT]].concat(), &Around::default());
    assert_eq!(v.run(), Exit::Wait, "{code:02x?}");
    let found = exception(v.state()).unwrap();
    let above = if found == vector::GP { 8 } else { 0 };
    (found, ram.get(v.state().regs[SP] + above, 8) - CODE)
}
pub(super) fn long() -> Bench {
    Bench::long(0)
}
pub(super) fn user() -> Bench {
    Bench::long(3)
}
pub(super) fn flat() -> Bench {
    Bench::protected(0)
}
pub(super) fn with(bench: impl Fn() -> Bench, change: impl Fn(&mut Cpu)) -> impl Fn() -> Bench {
    move || {
        let mut b = bench();
        change(&mut b.cpu);
        b.cpu.settle();
        b
    }
}

#[test]
fn segments_are_loaded_and_stored() {
    // MOV AX, 23h; MOV DS, AX; PUSH FS; POP RBX; MOV ECX, DS; LAR EDX, AX
    let code = [
        0x66, 0xb8, 0x20, 0, 0x8e, 0xd8, 0x0f, 0xa0, 0x5b, 0x8c, 0xd9, 0x0f, 0x02, 0xd0,
    ];
    let cpu = run(long, &code);

    assert_eq!(exception(&cpu), None);
    assert_eq!(cpu.segment(number::DS).selector, sel::DATA3);
    assert_eq!((cpu.regs[B], cpu.regs[C]), (sel::DATA0.into(), sel::DATA3.into()));
    assert_eq!((cpu.regs[D], cpu.eflags() & ZF), (0x00c0_f300, ZF));
    assert_eq!(cpu.regs[SP], STACK);
    // A selector of nothing: #GP with it.
    let cpu = run(long, &[0x66, 0xb8, 0xf8, 0x0f, 0x8e, 0xd8]);
    assert_eq!(exception(&cpu), Some(vector::GP));
}

/// What is in the GDT counts, also for who loads the same segment again.
#[test]
fn a_segment_register_is_loaded_anew_once_its_descriptor_is_another() {
    let free = u32::from(sel::FREE);
    // MOV AX, FREE; MOV FS, AX twice; [EBX], ECX; MOV FS, AX; MOV EDX, FS:[0]
    let mov_fs = [0x8e, 0xe0];
    let code = [
        &[0x66, 0xb8, free as u8, 0][..],
        &mov_fs,
        &mov_fs,
        &[0x89, 0x0b],
        &mov_fs,
        &[0x64, 0x8b, 0x15, 0, 0, 0, 0],
    ]
    .concat();
    // The base; the access rights: not present, of the system, code that cannot be read, not accessed; the limit: none.
    for (at, to, ends) in [
        (2, 0x9300_0000 | (DATA + 8), None),
        (4, 0x40_1300, Some(vector::NP)),
        (4, 0x40_8200, Some(vector::GP)),
        (4, 0x40_9900, Some(vector::GP)),
        (4, 0x40_9200, None),
        (4, 0x40_9f00, None),
        (0, 0x6000_0000, Some(vector::GP)),
    ] {
        let make = || {
            let mut b = flat();
            b.describe(sel::FREE, 0x0040_9300_0000_ffff | DATA << 16);
            b.engine.ram.put(DATA, 8, 0x1234_5678);
            b.engine.ram.put(DATA + 8, 8, 0x9abc_def0);
            (b.cpu.regs[B], b.cpu.regs[C]) = (GDT + u64::from(sel::FREE) + at, to);
            b
        };
        let cpu = run(make, &code);

        assert_eq!(exception(&cpu), ends, "{at} {to:#x}");
        if ends.is_none() {
            let (base, value) = if at == 2 {
                (DATA + 8, 0x9abc_def0)
            } else {
                (DATA & 0xffff, 0x1234_5678)
            };
            assert_eq!(
                (cpu.segment(number::FS).base, cpu.regs[D]),
                (base, value),
                "{at} {to:#x}"
            );
        }
    }
    // LGDT [EBX] of a table that ends before: #GP of the second load alone.
    let make = || {
        let mut b = flat();
        b.describe(sel::FREE, 0x0040_9300_0000_ffff | DATA << 16);
        b.engine.ram.put(DATA, 8, (GDT << 16) | (u64::from(sel::FREE) + 6));
        b.cpu.regs[B] = DATA;
        b
    };
    let code = [
        &[0x66, 0xb8, free as u8, 0][..],
        &mov_fs,
        &[0x0f, 0x01, 0x13, 0x41],
        &mov_fs,
        &[0x41],
    ]
    .concat();
    let cpu = run(make, &code);
    assert_eq!((exception(&cpu), cpu.regs[C]), (Some(vector::GP), 1));
}

#[test]
fn cs_is_not_moved_to() {
    for code in [[0x8e, 0xc8], [0x8e, 0xf0], [0x8c, 0xf8]] {
        assert_eq!(exception(&run(long, &code)), Some(vector::UD), "{code:02x?}");
    }
}

/// LSS loads both; the pointer in memory has the selector last.
#[test]
fn far_pointers_load_a_segment_and_a_register() {
    let make = || {
        let mut b = flat();
        b.engine.ram.put(DATA, 4, 0x7777_0000);
        b.engine.ram.put(DATA + 4, 2, sel::DATA0.into());
        b.cpu.regs[B] = DATA;
        b
    };
    let cpu = run(make, &[0x0f, 0xb2, 0x23]); // LSS ESP, [EBX]
    assert_eq!(
        (cpu.regs[SP], cpu.segment(number::SS).selector),
        (0x7777_0000, sel::DATA0)
    );
    let cpu = run(make, &[0x0f, 0xb5, 0x0b]); // LGS ECX, [EBX]
    assert_eq!(
        (cpu.regs[C], cpu.segment(number::GS).selector),
        (0x7777_0000, sel::DATA0)
    );
}

/// Where interrupts come after STI, and after a load of SS: INTR is up from the start.
#[test]
fn interrupts_wait_for_one_instruction() {
    // INC EAX is 40 in 32-bit code.
    let sti = [0xfb, 0x40, 0x40, 0x40];
    let on_already = [0xfb, 0xfb, 0x40, 0x40];
    let popf = [0x9d, 0x40, 0x40];
    let mov_ss = [0xfb, 0x8e, 0xd3, 0x40, 0x40];
    for (code, count) in [(&sti[..], 1), (&on_already, 0), (&popf, 0), (&mov_ss, 0)] {
        for accel in [Accel::Interp, Accel::Jit] {
            let around = Around::default();
            around.told().vector = 20;
            let mut b = handled(flat());
            b.cpu.regs[SP] = DATA;
            b.engine.ram.put(DATA, 4, IF.into());
            b.cpu.regs[B] = sel::DATA0.into();
            let mut v = b.engine(accel, code, &around);
            v.kick().set_line(INTR, true);

            assert_eq!(v.run(), Exit::Wait);

            assert_eq!(exception(v.state()), Some(20), "{code:02x?}");
            assert_eq!(v.state().regs[A], count, "{code:02x?}");
            assert_eq!(v.state().mode & mode::SHADOW, 0);
        }
    }
}

/// MOV SS alone holds interrupts back.
#[test]
fn interrupts_wait_after_a_load_of_the_stack_segment() {
    for accel in [Accel::Interp, Accel::Jit] {
        let around = Around::default();
        around.told().vector = 20;
        let mut b = handled(flat());
        b.cpu.regs[B] = sel::DATA0.into();
        let mut v = b.engine(accel, &[0x8e, 0xd3, 0xfb, 0x40, 0x40, 0x40], &around);
        v.kick().set_line(INTR, true);

        assert_eq!(v.run(), Exit::Wait);

        // STI is in MOV SS's shadow, and has its own.
        assert_eq!((exception(v.state()), v.state().regs[A]), (Some(20), 1));
    }
}

#[test]
fn a_halted_processor_goes_on_after_an_interrupt() {
    for accel in [Accel::Interp, Accel::Jit] {
        let around = Around::default();
        around.told().vector = 20;
        // STI; HLT; INC EAX; CLI; HLT. The handler: IRET.
        let mut b = handled(flat());
        b.engine.ram.put(HANDLERS + 16 * 20, 1, 0xcf);
        let mut v = b.engine(accel, &[0xfb, HLT, 0x40, 0xfa, HLT], &around);
        assert_eq!((v.run(), v.state().pc), (Exit::Wait, CODE + 2));
        assert_eq!((v.run(), v.state().pc), (Exit::Wait, CODE + 2), "it still waits");
        v.kick().set_line(INTR, true);
        v.kick().set_line(INTR, false);
        assert_eq!((v.run(), v.state().regs[A]), (Exit::Wait, 0), "the line is low again");

        v.kick().set_line(INTR, true);
        // The line stays up: it is taken once an instruction until CLI.
        while v.state().pc == CODE + 2 && v.state().regs[A] == 0 {
            assert_eq!(v.step(true), Exit::Stepped);
        }
        v.kick().set_line(INTR, false);
        assert_eq!((v.run(), v.state().regs[A], v.state().pc), (Exit::Wait, 1, CODE + 5));
        assert_eq!(v.state().regs[SP], STACK);
    }
}

#[test]
fn what_is_for_level_0_is_refused_above() {
    let codes: [&[u8]; 16] = [
        &[HLT],
        &[0xfa],             // CLI
        &[0xfb],             // STI
        &[0x0f, 0x20, 0xc0], // MOV RAX, CR0
        &[0x0f, 0x22, 0xd8], // MOV CR3, RAX
        &[0x0f, 0x23, 0xf8], // MOV DR7, RAX
        &[0x0f, 0x30],       // WRMSR
        &[0x0f, 0x32],       // RDMSR
        &[0x0f, 0x01, 0x10], // LGDT [RAX]
        &[0x0f, 0x01, 0x38], // INVLPG [RAX]
        &[0x0f, 0x01, 0xf8], // SWAPGS
        &[0x0f, 0x06],       // CLTS
        &[0x0f, 0x09],       // WBINVD
        &[0x0f, 0x00, 0xd8], // LTR AX
        &[0xec],             // IN AL, DX
        &[0x48, 0x0f, 0x07], // SYSRET
    ];
    let no_ports = || {
        let mut b = user();
        b.engine.ram.put(TSS + 0x66, 2, 0xffff);
        b
    };
    for code in codes {
        assert_eq!(fault(no_ports, code), (vector::GP, 0), "{code:02x?}");
    }
    for code in [[0x0f, 0x01, 0xca], [0x0f, 0x01, 0xcb]] {
        assert_eq!(fault(user, &code), (vector::UD, 0), "{code:02x?}");
    }
}

#[test]
fn descriptor_tables_are_stored_as_they_were_loaded() {
    let make = || {
        let mut b = long();
        b.cpu.regs[B] = DATA;
        b.engine.ram.put(DATA, 2, 0x1ff);
        b.engine.ram.put(DATA + 2, 8, IDT);
        b
    };
    // LIDT [RBX]; SIDT [RBX+32]; MOV RCX, [RBX+34]; SLDT EDX; STR EAX
    let code = [
        0x0f, 0x01, 0x1b, 0x0f, 0x01, 0x4b, 0x20, 0x48, 0x8b, 0x4b, 0x22, 0x0f, 0x00, 0xc2, 0x0f, 0x00, 0xc8,
    ];
    let cpu = run(make, &code);

    assert_eq!((cpu.sys.idtr.limit, cpu.sys.idtr.base), (0x1ff, IDT));
    assert_eq!(cpu.regs[C], IDT);
    assert_eq!((cpu.regs[D], cpu.regs[A]), (sel::LDT.into(), sel::TSS.into()));
    let umip = with(user, |cpu| cpu.sys.cr4 |= cr4::UMIP);
    for code in [[0x0f, 0x00, 0xc2], [0x0f, 0x01, 0xe2], [0x0f, 0x01, 0x0b]] {
        assert_eq!(fault(&umip, &code), (vector::GP, 0), "{code:02x?}");
    }
}

#[test]
fn control_registers_are_written_and_read() {
    let around = Around::default();
    // MOV EAX, 5; MOV CR8, RAX; MOV RCX, CR8; MOV RBX, CR0
    let code = [
        0xb8, 5, 0, 0, 0, 0x44, 0x0f, 0x22, 0xc0, 0x44, 0x0f, 0x20, 0xc1, 0x0f, 0x20, 0xc3,
    ];
    let cpu = run_with(&around, long, &code);

    assert_eq!((cpu.regs[C], around.told().cr8), (5, 5));
    assert_eq!(cpu.regs[B], cpu.sys.cr0);
    // MOV RAX, CR4; OR EAX, 1 << 16; MOV CR4, RAX; WRGSBASE RBX; RDGSBASE RCX
    let code = [
        0x0f, 0x20, 0xe0, 0x0d, 0, 0, 1, 0, 0x0f, 0x22, 0xe0, 0xf3, 0x48, 0x0f, 0xae, 0xdb, 0xf3, 0x48, 0x0f, 0xae,
        0xc9,
    ];
    let gs = with(long, |cpu| cpu.regs[B] = 0xffff_8000_1234_5678);
    let cpu = run(&gs, &code);
    assert_eq!((cpu.regs[C], cpu.segment(number::GS).base), (cpu.regs[B], cpu.regs[B]));
    // Without the bit it is #UD; of an address that is none #GP.
    assert_eq!(exception(&run(&gs, &code[11..])), Some(vector::UD));
    let bad = with(&gs, |cpu| cpu.regs[B] = 1 << 60);
    assert_eq!(exception(&run(&bad, &code)), Some(vector::GP));
    // MOV CR1
    assert_eq!(exception(&run(long, &[0x0f, 0x22, 0xc8])), Some(vector::UD));
    // MOV RAX, CR2; MOV CR2, RBX: all 64 bits without a prefix.
    let wide = with(long, |cpu| {
        (cpu.sys.cr2, cpu.regs[B]) = (0xffff_8880_0000_1000, 0xffff_8880_0000_2000)
    });
    let cpu = run(&wide, &[0x0f, 0x20, 0xd0, 0x0f, 0x22, 0xd3]);
    assert_eq!(
        (cpu.regs[A], cpu.sys.cr2),
        (0xffff_8880_0000_1000, 0xffff_8880_0000_2000)
    );
}

/// From real mode to protected mode to 64-bit mode, as boot code does it.
#[test]
fn a_processor_is_brought_to_long_mode() {
    let make = || {
        let mut b = long();
        b.cpu.sys.cr0 = cr0::PE | cr0::ET;
        (b.cpu.sys.cr4, b.cpu.sys.efer) = (0, 0);
        *b.cpu.segment_mut(number::CS) = crate::state::Descriptor(b.described(sel::CODE0)).segment(sel::CODE0);
        b.cpu.settle_at(0);
        b.cpu.set_rip(CODE);
        b
    };
    #[rustfmt::skip]
    let code = [
        0x0f, 0x20, 0xe0, 0x83, 0xc8, 0x20, 0x0f, 0x22, 0xe0, // MOV EAX, CR4; OR EAX, 20h; MOV CR4, EAX
        0xb9, 0x80, 0, 0, 0xc0, 0x0f, 0x32, 0x0d, 0, 1, 0, 0, 0x0f, 0x30, // MOV ECX, EFER; RDMSR; OR EAX, 100h; WRMSR
        0x0f, 0x20, 0xc0, 0x0d, 0, 0, 0, 0x80, 0x0f, 0x22, 0xc0, // MOV EAX, CR0; OR EAX, PG; MOV CR0, EAX
        0xea, 0x29, 0x50, 0, 0, sel::CODE64 as u8, 0, // JMP FAR
        0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8, // MOV RAX, imm64
    ];
    let cpu = run(make, &code);

    assert_eq!(exception(&cpu), None);
    assert_eq!(cpu.regs[A], 0x0807_0605_0403_0201);
    assert_ne!(cpu.mode & mode::CODE64, 0);
}

#[test]
fn system_calls_go_to_the_kernel_and_back() {
    let make = with(user, |cpu| {
        cpu.sys.star = u64::from(sel::CODE64) << 32 | 0x23 << 48;
        cpu.sys.lstar = DATA;
        cpu.sys.fmask = IF.into();
        cpu.set_eflags(IF | CF);
        cpu.sys.kernel_gs_base = 0x1234;
    });
    let code = [0x0f, 0x05, 0xff, 0xc3]; // SYSCALL; INC EBX; then HLT faults
    let kernel = || {
        let mut b = make();
        // SWAPGS; MOV EBX, 7; SYSRETQ
        for (at, byte) in (DATA..).zip([0x0f, 0x01, 0xf8, 0xbb, 7, 0, 0, 0, 0x48, 0x0f, 0x07]) {
            b.engine.ram.put(at, 1, byte);
        }
        b
    };
    let cpu = run(kernel, &code);

    assert_eq!((exception(&cpu), cpu.regs[B]), (Some(vector::GP), 8));
    assert_eq!(
        (cpu.regs[C], cpu.regs[11] & u64::from(IF | CF)),
        (CODE + 2, u64::from(IF | CF))
    );
    assert_eq!((cpu.segment(number::GS).base, cpu.sys.kernel_gs_base), (0x1234, 0));
}

#[test]
fn int_and_iret_are_each_others_way_back() {
    let make = || {
        let mut b = flat();
        b.engine.ram.put(HANDLERS + 16 * 20, 1, 0xcf);
        b.cpu.set_eflags(CF | IF);
        b
    };
    let cpu = run(make, &[0xcd, 20, 0x40, 0x40]); // INT 20; INC EAX; INC EAX
    assert_eq!((exception(&cpu), cpu.regs[A], cpu.regs[SP]), (None, 2, STACK));
    assert_eq!(cpu.eflags() & (CF | IF), CF | IF);
    for (code, vector) in [
        ([0xcc, HLT], vector::BP),
        ([0xf1, HLT], vector::DB),
        ([0xce, HLT], vector::OF),
    ] {
        let overflow = with(flat, |cpu| cpu.set_eflags(crate::state::bits::eflags::OF));
        let cpu = run(overflow, &code);
        assert_eq!(exception(&cpu), Some(vector), "{code:02x?}");
    }
    assert_eq!(exception(&run(flat, &[0xce])), None);
}

#[test]
fn bounds_are_inclusive_and_signed() {
    for (index, outside) in [(-5i32, false), (10, false), (-6, true), (11, true)] {
        let make = || {
            let mut b = flat();
            b.engine.ram.put(DATA, 4, (-5i32 as u32).into());
            b.engine.ram.put(DATA + 4, 4, 10);
            (b.cpu.regs[B], b.cpu.regs[A]) = (DATA, (index as u32).into());
            b
        };
        let cpu = run(make, &[0x62, 0x03]);
        assert_eq!(exception(&cpu) == Some(vector::BR), outside, "{index}");
    }
}

#[test]
fn far_calls_return() {
    // CALL FAR 08:F; INC EAX; HLT; F: INC EBX; RETF
    let code = [0x9a, 0x09, 0x50, 0, 0, 8, 0, 0x40, HLT, 0x43, 0xcb];
    let cpu = run(flat, &code);
    assert_eq!(
        (cpu.regs[A], cpu.regs[B], cpu.regs[SP], cpu.pc),
        (1, 1, STACK, CODE + 9)
    );
}

#[test]
fn flags_are_popped_as_privilege_allows() {
    let popped = |make: &dyn Fn() -> Bench, flags: u32| {
        let make = || {
            let mut b = make();
            b.engine.ram.put(STACK - 8, 8, flags.into());
            b.cpu.regs[SP] = STACK - 8;
            b
        };
        // POPF; PUSHF; POP RAX
        run(make, &[0x9d, 0x9c, 0x58])
    };
    let all = IF | IOPL | NT | AC | ID | VIF | VIP | CF;

    let cpu = popped(&long, all);
    assert_eq!(cpu.eflags(), IF | IOPL | NT | AC | ID | CF | 2);
    assert_eq!(cpu.regs[A] as u32, cpu.eflags());
    // At level 3 of IOPL 0 neither IF nor IOPL; the HLT at the end faults, so that IF is looked at in RAX.
    let cpu = popped(&user, all);
    assert_eq!(cpu.regs[A] as u32, NT | AC | ID | CF | 2);
}

#[test]
fn a_single_step_comes_after_the_instruction_that_follows_popf() {
    let make = || {
        let mut b = flat();
        b.engine.ram.put(STACK - 4, 4, TF.into());
        b.cpu.regs[SP] = STACK - 4;
        b
    };
    // POPF; INC EAX; INC EAX
    let cpu = run(make, &[0x9d, 0x40, 0x40]);
    assert_eq!((exception(&cpu), cpu.regs[A]), (Some(vector::DB), 1));
    // Neither after MOV SS, but after what follows it.
    let stepping = with(flat, |cpu| {
        cpu.set_eflags(TF);
        cpu.regs[B] = sel::DATA0.into();
    });
    let cpu = run(stepping, &[0x8e, 0xd3, 0x40, 0x40]);
    assert_eq!((exception(&cpu), cpu.regs[A]), (Some(vector::DB), 1));
    assert_ne!(cpu.sys.dr6 & u64::from(dr6::BS), 0);
}

#[test]
fn virtual_flags_stand_for_interrupts() {
    let vme = || {
        let mut b = handled(Bench::virtual_8086(0));
        b.cpu.sys.cr4 |= cr4::VME;
        b.cpu.settle();
        b
    };
    for (code, flags) in [(&[0xfb][..], VIF), (&[0xfb, 0xfa], 0)] {
        let mut v = vme().engine(Accel::Jit, code, &Around::default());
        for _ in code {
            assert_eq!(v.step(true), Exit::Stepped);
        }
        assert_eq!(v.state().eflags() & (VIF | IF), flags, "{code:02x?}");
        assert_ne!(v.state().mode & mode::VIRTUAL, 0);
    }
}

#[test]
fn the_time_stamp_counter_is_what_it_was_set_to() {
    let around = Around::default();
    around.told().tsc = 1000;
    // MOV ECX, 10h; MOV EAX, 5000; XOR EDX, EDX; WRMSR; RDTSCP
    let code = [
        0xb9, 0x10, 0, 0, 0, 0xb8, 0x88, 0x13, 0, 0, 0x31, 0xd2, 0x0f, 0x30, 0x0f, 0x01, 0xf9,
    ];
    let cpu = run_with(&around, with(long, |cpu| cpu.sys.tsc_aux = 9), &code);

    assert_eq!((cpu.regs[A], cpu.regs[D], cpu.regs[C]), (5000, 0, 9));
    assert_eq!((around.told().tsc_ahead, cpu.sys.tsc_adjust), (4000, 4000));
    let kept = with(user, |cpu| cpu.sys.cr4 |= cr4::TSD);
    assert_eq!(fault(kept, &[0x0f, 0x31]), (vector::GP, 0));
    assert_eq!(fault(user, &[0x0f, 0x31]), (vector::GP, 2));
}

#[test]
fn registers_of_the_apic_are_its_own() {
    let around = Around::default();
    around.told().msrs.insert(0x1b, 0xfee0_0900);
    // MOV ECX, 1Bh; RDMSR; OR EAX, 400h; WRMSR
    let code = [0xb9, 0x1b, 0, 0, 0, 0x0f, 0x32, 0x0d, 0, 4, 0, 0, 0x0f, 0x30];
    let cpu = run_with(&around, long, &code);

    assert_eq!((cpu.regs[A], around.told().msrs[&0x1b]), (0xfee0_0d00, 0xfee0_0d00));
    let cpu = run_with(&around, long, &[0xb9, 0x02, 8, 0, 0, 0x0f, 0x32]);
    assert_eq!(exception(&cpu), Some(vector::GP));
}

#[test]
fn ports_are_on_the_bus_and_nothing_reads_as_ones() {
    // MOV EAX, 12345678h; OUT 80h, EAX; XOR EAX, EAX; IN AX, 80h; MOV DX, 9999h; MOV EBX, EAX; IN EAX, DX
    let code = [
        0xb8, 0x78, 0x56, 0x34, 0x12, 0xe7, 0x80, 0x31, 0xc0, 0x66, 0xe5, 0x80, 0x66, 0xba, 0x99, 0x99, 0x89, 0xc3,
        0xed,
    ];
    let cpu = run(long, &code);
    assert_eq!((cpu.regs[B], cpu.regs[A]), (0x5678, 0xffff_ffff));
}

/// SDM 1, 19.5.2.
#[test]
fn the_map_of_a_task_allows_ports() {
    let make = || {
        let mut b = user();
        b.engine.ram.put(TSS + 0x66, 2, 0x68);
        b.cpu.sys.tr.limit = 0x68 + 0x20;
        for n in 0..0x21 {
            b.engine.ram.put(TSS + 0x68 + n, 1, 0xff);
        }
        b.engine.ram.put(TSS + 0x68 + 0x10, 1, 0xfe);
        b
    };
    for (code, allowed) in [
        (&[0xe4, 0x80][..], true), // IN AL, 80h
        (&[0x66, 0xe5, 0x80], false),
        (&[0xe4, 0x81], false),
        (&[0x66, 0xba, 0x00, 0x01, 0xec], false), // beyond the map
    ] {
        let (vector, at) = fault(make, code);
        assert_eq!((vector, at == code.len() as u64), (vector::GP, allowed), "{code:02x?}");
    }
}

#[test]
fn strings_are_read_from_ports_and_written_to_them() {
    let make = with(long, |cpu| {
        cpu.regs[D] = 0x80;
        (cpu.regs[C], cpu.regs[6], cpu.regs[7]) = (3, CODE, DATA);
    });
    // REP OUTSB; MOV ECX, 2; REP INSB; MOV AX, [RDI-2]
    let code = [0xf3, 0x6e, 0xb9, 2, 0, 0, 0, 0xf3, 0x6c, 0x66, 0x8b, 0x47, 0xfe];
    let cpu = run(make, &code);

    assert_eq!((cpu.regs[C], cpu.regs[6], cpu.regs[7]), (0, CODE + 3, DATA + 2));
    // The last byte that was written stays in the port.
    assert_eq!(cpu.regs[A] & 0xffff, 0xb9b9);
}

#[test]
fn chance_is_there_or_not() {
    let around = Around::default();
    let code = [0x48, 0x0f, 0xc7, 0xf0]; // RDRAND RAX
    let none = run_with(&around, with(long, |cpu| cpu.regs[A] = 5), &code);
    assert_eq!((none.regs[A], none.eflags() & CF), (0, 0));
    around.told().random = Some(0x1234_5678_9abc_def0);
    let some = run_with(&around, long, &code);
    assert_eq!((some.regs[A], some.eflags() & (CF | ZF)), (0x1234_5678_9abc_def0, CF));
}

#[test]
fn a_processor_tells_what_it_is() {
    // XOR EAX, EAX; CPUID
    let cpu = run(long, &[0x31, 0xc0, 0x0f, 0xa2]);
    assert_eq!(&(cpu.regs[B] as u32).to_le_bytes(), b"Genu");
    assert_eq!(&(cpu.regs[D] as u32).to_le_bytes(), b"ineI");
}

/// What STAC allows it to read, and CLAC not.
#[test]
fn access_to_the_user_is_switched() {
    let smap = with(long, |cpu| {
        cpu.sys.cr4 |= cr4::SMAP;
        cpu.regs[B] = 0x20_0000;
    });
    // All pages are the user's, the handlers' tables too: a fault ends in a shutdown.
    for (code, allowed) in [
        (&[0x0f, 0x01, 0xcb, 0x8a, 0x03, HLT][..], true),
        (&[0x8a, 0x03, HLT], false),
        (
            &[0x0f, 0x01, 0xcb, 0x8a, 0x03, 0x0f, 0x01, 0xca, 0x8a, 0x03, HLT],
            false,
        ),
    ] {
        let mut v = handled(smap()).engine(Accel::Jit, code, &Around::default());
        let want = if allowed {
            Exit::Wait
        } else {
            Exit::Stopped(Stop::Shutdown)
        };
        assert_eq!(v.run(), want, "{code:02x?}");
    }
}

#[test]
fn translations_are_forgotten_page_by_page() {
    // MOV AL, [RBX]; MOV [RCX], RDX; INVLPG [RBX]; MOV AL, [RBX]
    let make = with(
        || {
            let mut b = long();
            b.engine.ram.put(0x20_0000, 1, 1);
            b.engine.ram.put(0x0, 1, 2);
            b
        },
        |cpu| (cpu.regs[B], cpu.regs[C], cpu.regs[D]) = (0x20_0000, 0x10_2008, 0xe7),
    );
    let cpu = run(make, &[0x8a, 0x03, 0x48, 0x89, 0x11, 0x0f, 0x01, 0x3b, 0x8a, 0x03]);
    assert_eq!(cpu.regs[A], 2);
}

#[test]
fn debug_registers_are_written_and_guarded() {
    // MOV DR0, RAX; MOV RCX, DR0
    let cpu = run(
        with(long, |cpu| cpu.regs[A] = 0x1234),
        &[0x0f, 0x23, 0xc0, 0x0f, 0x21, 0xc1],
    );
    assert_eq!((cpu.sys.dr[0], cpu.regs[C]), (0x1234, 0x1234));
    let guarded = with(long, |cpu| cpu.sys.dr7 |= dr7::GD);
    assert_eq!(exception(&run(guarded, &[0x0f, 0x21, 0xc1])), Some(vector::DB));
}

#[test]
fn selectors_are_asked_about() {
    // MOV EAX, data of level 0; LSL ECX, EAX; VERW AX; ARPL in 32-bit code: ARPL BX, AX
    let make = with(flat, |cpu| {
        cpu.regs[A] = u64::from(sel::DATA0) | 3;
        cpu.regs[B] = 0x10;
        cpu.regs[C] = 5;
    });
    let cpu = run(&make, &[0x0f, 0x03, 0xc8]);
    assert_eq!((cpu.regs[C], cpu.eflags() & ZF), (5, 0), "not open to RPL 3");
    let cpu = run(&make, &[0x63, 0xc3]);
    assert_eq!((cpu.regs[B], cpu.eflags() & ZF), (0x13, ZF));
    let cpu = run(&make, &[0x24, 0xfc, 0x0f, 0x00, 0xe8, 0x0f, 0x03, 0xc8]);
    assert_eq!((cpu.regs[C], cpu.eflags() & ZF), (0xffff_ffff, ZF));
    let real = run_real(&[0x0f, 0x00, 0xe0]);
    assert_eq!(real, vector::UD);
}
/// The vector whose handler real mode gets to.
fn run_real(code: &[u8]) -> u8 {
    let mut b = Bench::real();
    for n in 0..32u64 {
        b.engine.ram.put(4 * n, 4, HANDLERS + 16 * n);
        b.engine.ram.put(HANDLERS + 16 * n, 1, HLT.into());
    }
    let mut v = b.engine(Accel::Jit, code, &Around::default());
    assert_eq!(v.run(), Exit::Wait);
    exception(v.state()).unwrap()
}

#[test]
fn a_loaded_ldt_has_segments() {
    let make = || {
        let mut b = flat();
        b.describe(0x44, descriptor(0x100, 0xfff, crate::machine_for_tests::DATA));
        b.cpu.sys.ldtr = crate::state::Segment::default();
        (b.cpu.regs[A], b.cpu.regs[B]) = (sel::LDT.into(), 0x44);
        b
    };
    // LLDT AX; MOV FS, BX
    let cpu = run(make, &[0x0f, 0x00, 0xd0, 0x8e, 0xe3]);
    assert_eq!((exception(&cpu), cpu.segment(number::FS).base), (None, 0x100));
    assert_eq!(cpu.sys.pending & pending::HALTED, pending::HALTED);
}

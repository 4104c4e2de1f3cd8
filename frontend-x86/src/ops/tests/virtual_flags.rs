//! VIF and VIP, which stand for the interrupt flag in virtual 8086 mode and of programs (SDM 3, 21.3.2 and 21.4).

use super::system::{A, CODE, HLT, SP, exception, flat, handled};
use crate::fault::vector;
use crate::machine_for_tests::{Around, Bench, Ram, STACK, sel};
use crate::platform::X86;
use crate::state::bits::cr4;
use crate::state::bits::eflags::{IF, IOPL_SHIFT, VIF, VIP, VM};
use emu_jit::engine::{Accel, Exit, Vcpu};

const BOTH: [Accel; 2] = [Accel::Interp, Accel::Jit];

/// The vector of the exception, and how far it came.
fn end(v: &mut Vcpu<X86>, ram: &mut Ram) -> (Option<u8>, u64) {
    assert_eq!(v.run(), Exit::Wait);
    (exception(v.state()), ram.get(v.state().regs[SP] + 4, 4))
}

/// SDM 2, CLI, table "Decision Table for CLI Results", and STI's.
#[test]
fn programs_have_a_virtual_interrupt_flag() {
    let gp = Some(vector::GP);
    // STI; CLI; STI. What is left of the flags, and how far it comes: HLT is #GP at level 3.
    for (extension, iopl, flags, left, end_at) in [
        (cr4::PVI, 0, 0, VIF, 3),
        (cr4::PVI, 0, VIP, VIP, 0),
        (cr4::PVI, 0, IF, VIF | IF, 3),
        (cr4::PVI, 3, 0, IF, 3),
        (0, 0, 0, 0, 0),
        (cr4::VME, 0, 0, 0, 0),
    ] {
        for accel in BOTH {
            let mut b = handled(Bench::protected(3));
            b.cpu.sys.cr4 |= extension;
            b.cpu.set_eflags(flags | iopl << IOPL_SHIFT);
            let mut ram = b.engine.ram.clone();
            let mut v = b.engine(accel, &[0xfb, 0xfa, 0xfb, HLT], &Around::default());

            let found = end(&mut v, &mut ram);

            assert_eq!(found, (gp, CODE + end_at), "{extension:x} {iopl} {flags:x}");
            let pushed = ram.get(v.state().regs[SP] + 12, 4) as u32;
            assert_eq!(pushed & (VIF | VIP | IF), left, "{extension:x} {iopl} {flags:x}");
        }
    }
}

/// Both flags at the beginning of an instruction are #GP(0) of it.
#[test]
fn a_virtual_interrupt_that_waits_comes_before_the_first_instruction() {
    let both = VIF | VIP;
    for (extension, flags, taken) in [
        (cr4::PVI, both, true),
        (cr4::PVI, VIF, false),
        (cr4::PVI, VIP, false),
        (0, both, false),
        (cr4::VME, both, false),
        (cr4::PVI, both | 3 << IOPL_SHIFT, false),
        (cr4::VME, both | VM, true),
        (cr4::VME, VIP | VM, false),
        (cr4::PVI, both | VM, false),
        (cr4::VME, both | VM | 3 << IOPL_SHIFT, false),
    ] {
        for accel in BOTH {
            let mut b = handled(flat());
            b.cpu.sys.cr4 |= extension;
            // To CODE+1, which is at 500h:1 in virtual 8086 mode.
            let (cs, ip) = if flags & VM != 0 {
                (0x500, 1)
            } else {
                (u64::from(sel::CODE3) | 3, CODE + 1)
            };
            let ss = u64::from(sel::DATA3) | 3;
            for (n, word) in [ip, cs, flags.into(), 0x7000, ss, 0, 0, 0, 0].into_iter().enumerate() {
                b.engine.ram.put(STACK + 4 * n as u64, 4, word);
            }
            let mut ram = b.engine.ram.clone();
            // IRET; INC eAX; HLT, which is #GP.
            let mut v = b.engine(accel, &[0xcf, 0x40, HLT], &Around::default());

            let (found, at) = end(&mut v, &mut ram);

            let count = u64::from(!taken);
            assert_eq!(
                (found, at, v.state().regs[A]),
                (Some(vector::GP), ip + count, count),
                "{flags:x} {accel:?}"
            );
        }
    }
}

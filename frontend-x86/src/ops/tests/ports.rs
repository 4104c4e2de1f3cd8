//! Ports that do something when they are read, and breakpoints on them.

use super::system::{A, C, CODE, D, DATA, HANDLERS, HLT, SP, exception, handled, long};
use crate::fault::vector;
use crate::machine_for_tests::{Around, Bench, Ram};
use crate::platform::{PORTS, X86};
use crate::state::bits::{cr4, dr6};
use emu_ir::{Bus, RamPage};
use emu_jit::engine::{Accel, Exit, Vcpu};

const SI: usize = 6;
const DI: usize = 7;
const BOTH: [Accel; 2] = [Accel::Interp, Accel::Jit];
/// A port that gives 1, 2, 3 and so on, a byte each time that it is read.
const FIFO: u64 = 0x60;

struct WithFifo {
    ram: Ram,
    given: u64,
}

impl Bus for WithFifo {
    fn load(&mut self, phys: u64, size: u8) -> Option<u64> {
        if phys == PORTS + FIFO {
            self.given += 1;
            return Some(self.given);
        }
        self.ram.load(phys, size)
    }
    fn store(&mut self, phys: u64, size: u8, value: u64) -> Option<()> {
        self.ram.store(phys, size, value)
    }
    fn compare_exchange(&mut self, phys: u64, size: u8, old: u64, new: u64) -> Option<u64> {
        self.ram.compare_exchange(phys, size, old, new)
    }
    fn ram(&mut self, page: u64) -> Option<RamPage<'_>> {
        self.ram.ram(page)
    }
}

/// Runs code at [`CODE`] of a bench whose DX is the port.
fn run(accel: Accel, mut b: Bench, code: &[u8]) -> (Vcpu<X86>, Ram) {
    for (at, &byte) in (CODE..).zip(code) {
        b.engine.ram.put(at, 1, byte.into());
    }
    b.cpu.regs[D] = FIFO;
    let guest = X86 {
        model: b.model,
        platform: Box::new(Around::default()),
    };
    let ram = b.engine.ram.clone();
    let bus = WithFifo {
        ram: ram.clone(),
        given: 0,
    };
    let mut v = Vcpu::new(guest, b.cpu, Box::new(bus), accel, true).unwrap();
    assert_eq!(v.run(), Exit::Wait, "{code:02x?} {accel:?}");
    (v, ram)
}

/// G47: memory takes what is read, or nothing is read.
#[test]
fn nothing_is_lost_of_a_port_whose_bytes_memory_does_not_take_at_once() {
    for accel in BOTH {
        // REP INSB of five bytes, two of them before a page that is not there; then IN AL, DX of the handler.
        let mut b = handled(long());
        b.engine.ram.put(0x10_2008, 8, 0);
        (b.cpu.regs[C], b.cpu.regs[DI]) = (5, 0x1f_fffe);
        for (at, byte) in (HANDLERS + 16 * u64::from(vector::PF)..).zip([0xec, HLT.into()]) {
            b.engine.ram.put(at, 1, byte);
        }
        let (v, mut ram) = run(accel, b, &[0xf3, 0x6c, HLT]);
        assert_eq!((v.state().regs[C], v.state().sys.cr2), (3, 0x20_0000), "{accel:?}");
        assert_eq!((ram.get(0x1f_fffe, 2), v.state().regs[A]), (0x0201, 3), "{accel:?}");

        // The same over code that has run: five times NOP; REP INSB; HLT.
        let mut b = handled(long());
        (b.cpu.regs[C], b.cpu.regs[DI]) = (5, CODE);
        let (v, mut ram) = run(accel, b, &[0x90, 0x90, 0x90, 0x90, 0x90, 0xf3, 0x6c, HLT]);
        assert_eq!(ram.get(CODE, 8), 0xf46c_f305_0403_0201, "{accel:?}");
        assert_eq!(v.state().regs[DI], CODE + 5);
    }
}

/// SDM 3, 18.2.5 and 18.3.1.2: behind each access; of ports with CR4.DE alone.
#[test]
fn a_breakpoint_on_ports_traps_behind_the_access() {
    // R/W0 is 2, of one byte or four; DR0 is a port.
    let (byte, dword) = (0x2_0001, 0xe_0001);
    let in_al = &[0xec, 0x90, HLT][..];
    let out_al = &[0xee, 0x90, HLT][..];
    let in_eax = &[0xed, 0x90, HLT][..];
    let in_loop = &[0xf3, 0x6c, 0x90, HLT][..];
    let out_once = &[0x6e, 0x90, HLT][..];
    for (code, dr0, dr7, cr4_bits, behind) in [
        (in_al, FIFO, byte, cr4::DE, Some(1)),
        (in_al, FIFO, byte, 0, None),
        (in_al, FIFO + 1, byte, cr4::DE, None),
        (in_al, FIFO + 3, dword, cr4::DE, Some(1)),
        (in_eax, FIFO + 2, byte, cr4::DE, Some(1)),
        (out_al, FIFO, byte, cr4::DE, Some(1)),
        (out_once, FIFO, byte, cr4::DE, Some(1)),
        // The repeat is behind the first element.
        (in_loop, FIFO, byte, cr4::DE, Some(0)),
    ] {
        for accel in BOTH {
            let mut b = handled(long());
            b.cpu.sys.dr[0] = dr0;
            b.cpu.sys.dr7 |= dr7;
            b.cpu.sys.cr4 |= cr4_bits;
            (b.cpu.regs[C], b.cpu.regs[SI], b.cpu.regs[DI]) = (3, DATA, DATA);

            let (v, mut ram) = run(accel, b, code);

            let cpu = v.state();
            let at = exception(cpu).map(|vector| (vector, ram.get(cpu.regs[SP], 8) - CODE));
            assert_eq!(at, behind.map(|at| (vector::DB, at)), "{code:02x?} {dr0:x} {accel:?}");
            assert_eq!(cpu.sys.dr6 as u32 & dr6::B, u32::from(behind.is_some()));
            if code == in_loop {
                assert_eq!((cpu.regs[C], cpu.regs[DI]), (2, DATA + 1));
            }
        }
    }
}

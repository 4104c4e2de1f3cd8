//! Code and translations that change while they are in use, as a kernel sees it.

use super::system::{A, B, C, CODE, D, DATA, HANDLERS, HLT, exception, handled, long};
use crate::fault::vector;
use crate::machine_for_tests::{Around, Bench, Ram};
use crate::state::Cpu;
use emu_jit::engine::{Accel, Exit};

const SI: usize = 6;
const DI: usize = 7;
/// Addresses that [`mapped`] has a table for, and where in memory that is.
const WINDOW: u64 = 0x40_0000;
const TABLE: u64 = 0x10_3000;
/// Of its table.
const ENTRY: u64 = 0x10_2010;
/// Present, writable, accessed, dirty.
const PAGE: u64 = 0x63;

/// In 64-bit mode, with a table for pages from [`WINDOW`] on: the first is where code is, the second is not there.
fn mapped() -> Bench {
    let mut b = long();
    b.engine.ram.put(ENTRY, 8, TABLE | 7);
    b.engine.ram.put(TABLE, 8, CODE | PAGE);
    b
}

/// Code at a physical address, run from a virtual one to the first HLT by both accelerators; what is left.
fn run(make: impl Fn() -> Bench, at: u64, from: u64, code: &[u8]) -> (Cpu, Ram) {
    let [a, b] = [Accel::Interp, Accel::Jit].map(|accel| {
        let mut b = handled(make());
        b.cpu.set_rip(at);
        let ram = b.engine.ram.clone();
        let mut v = b.engine(accel, code, &Around::default());
        v.state_mut().set_rip(from);
        assert_eq!(v.run(), Exit::Wait, "{code:02x?} {accel:?}");
        (*v.state(), ram)
    });
    assert_eq!(a.0, b.0, "{code:02x?}");
    b
}

/// G04: an instruction is of both pages that it lies in.
#[test]
fn an_instruction_across_pages_is_changed_by_its_last_byte() {
    #[rustfmt::skip]
    let code = [
        0xb8, 0x11, 0x22, 0x33, 0x44, // MOV EAX, 44332211h, of which two bytes are in the first page
        0xff, 0xc9, 0x74, 0x0a, // DEC ECX; JZ the end
        0xc6, 0x04, 0x25, 0x02, 0x60, 0, 0, 0x77, // MOV BYTE [6002h], 77h
        0xeb, 0xed, HLT, // JMP to the first
    ];
    let make = || {
        let mut b = long();
        b.cpu.regs[C] = 2;
        b
    };

    let (cpu, _) = run(make, 0x5ffe, 0x5ffe, &code);

    assert_eq!(cpu.regs[A], 0x7733_2211);
}

/// G05: code is changed at one address and runs at another.
#[test]
fn code_is_changed_through_any_of_its_addresses() {
    for (from, store) in [(CODE, WINDOW), (WINDOW, CODE), (WINDOW, WINDOW)] {
        let [a, b, c, d, ..] = (store + 1).to_le_bytes();
        #[rustfmt::skip]
        let code = [
            0xb8, 1, 0, 0, 0, // MOV EAX, 1
            0xff, 0xc9, 0x74, 0x0a, // DEC ECX; JZ the end
            0xc6, 0x04, 0x25, a, b, c, d, 9, // MOV BYTE [there], 9
            0xeb, 0xed, HLT, // JMP to the first
        ];
        let make = || {
            let mut b = mapped();
            b.cpu.regs[C] = 2;
            b
        };

        let (cpu, _) = run(make, CODE, from, &code);

        assert_eq!(cpu.regs[A], 9, "{from:#x} {store:#x}");
    }
}

/// G11: what was not there is there when the handler of its fault comes back, without INVLPG.
#[test]
fn a_page_that_its_faults_handler_brings_is_there() {
    let make = || {
        let mut b = mapped();
        b.engine.ram.put(DATA, 1, 0x5a);
        b.cpu.regs[B] = DATA | PAGE;
        // MOV [TABLE+8], RBX; ADD RSP, 8; IRETQ
        let code = [
            0x48, 0x89, 0x1c, 0x25, 0x08, 0x30, 0x10, 0, 0x48, 0x83, 0xc4, 8, 0x48, 0xcf,
        ];
        for (at, byte) in (HANDLERS + 16 * u64::from(vector::PF)..).zip(code) {
            b.engine.ram.put(at, 1, byte);
        }
        b
    };

    // MOV AL, [WINDOW+1000h]
    let (cpu, _) = run(make, CODE, CODE, &[0x8a, 0x04, 0x25, 0, 0x10, 0x40, 0, HLT]);

    assert_eq!(
        (exception(&cpu), cpu.regs[A], cpu.sys.cr2),
        (None, 0x5a, WINDOW + 0x1000)
    );
}

/// G45: all of a large page is forgotten, whichever of its addresses is named; an address that is none names nothing.
#[test]
fn a_large_page_is_forgotten_as_a_whole() {
    let make = || {
        let mut b = long();
        b.engine.ram.put(ENTRY, 8, 0x20_00e3);
        b.engine.ram.put(0x20_6000, 1, 0xa5);
        b.engine.ram.put(DATA, 1, 0x5a);
        (b.cpu.regs[B], b.cpu.regs[C], b.cpu.regs[D], b.cpu.regs[SI]) = (WINDOW, ENTRY, 0xe3, 1 << 63);
        b
    };
    #[rustfmt::skip]
    let code = [
        0x8a, 0x03, 0x8a, 0x83, 0, 0x10, 0, 0, // MOV AL, [RBX]; MOV AL, [RBX+1000h]
        0x8a, 0xa3, 0, 0x60, 0, 0, // MOV AH, [RBX+6000h]
        0x48, 0x89, 0x11, 0x0f, 0x01, 0x3e, 0x0f, 0x01, 0x3b, // MOV [RCX], RDX; INVLPG [RSI]; INVLPG [RBX]
        0x8a, 0x83, 0, 0x60, 0, 0, HLT, // MOV AL, [RBX+6000h]
    ];

    let (cpu, _) = run(make, CODE, CODE, &code);

    assert_eq!((exception(&cpu), cpu.regs[A]), (None, 0xa55a));
}

/// G46: what is done of a REP stays done though the next instruction cannot be fetched.
#[test]
fn a_repeat_at_the_end_of_a_page_is_done_before_the_next_is_missed() {
    let make = || {
        let mut b = mapped();
        b.engine.ram.put(DATA, 4, 0x4433_2211);
        (b.cpu.regs[C], b.cpu.regs[SI], b.cpu.regs[DI]) = (3, DATA, DATA + 8);
        b
    };

    let (cpu, mut ram) = run(make, CODE + 0xffe, WINDOW + 0xffe, &[0xf3, 0xa4]);

    assert_eq!((exception(&cpu), cpu.sys.cr2), (Some(vector::PF), WINDOW + 0x1000));
    assert_eq!(ram.get(cpu.regs[4] + 8, 8), WINDOW + 0x1000);
    assert_eq!(
        (cpu.regs[C], cpu.regs[DI], ram.get(DATA + 8, 4)),
        (0, DATA + 11, 0x33_2211)
    );
}

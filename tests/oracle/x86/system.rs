//! What level 0 has around a record in an emulated CPU: tables of pages and segments, and a handler for each exception, which
//! halts. In memory it is an area of its own, mapped where it is.

use super::record::{CODE, CODE_SIZE, DATA, DATA_SIZE, GDT, HLT, LDT, READ_ONLY};
use emu_frontend_x86::state::bits::{cr0, cr4, efer, xcr0};
use emu_frontend_x86::state::{Attributes, Cpu, Segment, Table};

const PAGE: usize = 4096;
/// The area.
pub const SYSTEM: u64 = 0x3000_0000;
pub const SYSTEM_SIZE: usize = 11 * PAGE;
const GDT_AT: u64 = SYSTEM;
const LDT_AT: u64 = SYSTEM + 0x800;
const IDT_AT: u64 = SYSTEM + 0x1000;
const TSS_AT: u64 = SYSTEM + 0x2000;
const STACK_TOP: u64 = SYSTEM + 0x4000;
/// An HLT for each exception.
const HANDLERS: u64 = SYSTEM + 0x4000;
const HANDLER_SIZE: u64 = 16;
/// Page tables from the first level on, and three of the last: of data, code and this area. All are in the first GiB.
const TABLES: u64 = SYSTEM + 0x5000;

/// Bits of entries of page tables.
mod entry {
    pub const PRESENT: u64 = 1;
    pub const WRITABLE: u64 = 1 << 1;
    pub const USER: u64 = 1 << 2;
    /// Accessed and dirty.
    pub const USED: u64 = 1 << 5 | 1 << 6;
    pub const NO_EXECUTE: u64 = 1 << 63;
}

/// A 64-bit TSS's size, and where it has RSP of level 0 and the place of the port map, which there is none of.
const TSS_SIZE: usize = 0x68;
const RSP0: u64 = 4;
const PORTS: u64 = 0x66;
const KERNEL_CODE: u64 = 0x10;
/// Vectors whose gates programs may use with INT: Linux's, but for the one that is a system call.
const OPEN: [u64; 2] = [3, 4];

/// The area's bytes.
pub fn memory() -> Vec<u8> {
    let mut bytes = vec![0; SYSTEM_SIZE];
    let mut put = |at: u64, value: u64, size: usize| {
        let at = (at - SYSTEM) as usize;
        bytes[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
    };
    for (n, descriptor) in GDT.into_iter().enumerate() {
        put(GDT_AT + 8 * n as u64, descriptor, 8);
    }
    for (n, local) in LDT.into_iter().enumerate() {
        put(LDT_AT + 8 * n as u64, local.descriptor(), 8);
    }
    for vector in 0..256 {
        let at = HANDLERS + HANDLER_SIZE * vector;
        put(at, HLT.into(), 1);
        let access = if OPEN.contains(&vector) { 0xee } else { 0x8e };
        let gate = at & 0xffff | KERNEL_CODE << 16 | access << 40 | (at >> 16 & 0xffff) << 48;
        put(IDT_AT + 16 * vector, gate, 8);
        put(IDT_AT + 16 * vector + 8, at >> 32, 8);
    }
    put(TSS_AT + RSP0, STACK_TOP, 8);
    put(TSS_AT + PORTS, TSS_SIZE as u64, 2);
    page_tables(put);
    bytes
}

fn page_tables(mut put: impl FnMut(u64, u64, usize)) {
    use entry::{NO_EXECUTE, PRESENT, USED, USER, WRITABLE};
    let level = |n: u64| TABLES + PAGE as u64 * n;
    let down = PRESENT | WRITABLE | USER | USED;
    put(level(0), level(1) | down, 8);
    put(level(1), level(2) | down, 8);
    let areas = [
        (DATA, DATA_SIZE, USER | WRITABLE | NO_EXECUTE),
        (CODE, CODE_SIZE, USER | WRITABLE),
        (SYSTEM, SYSTEM_SIZE, WRITABLE),
    ];
    for (n, (start, size, rights)) in (3..).zip(areas) {
        put(level(2) + 8 * (start >> 21), level(n) | down, 8);
        for at in (start..start + size as u64).step_by(PAGE) {
            let denied = if at == READ_ONLY { WRITABLE } else { 0 };
            let page = at | PRESENT | USED | rights & !denied;
            put(level(n) + 8 * (at >> 12 & 0x1ff), page, 8);
        }
    }
}

/// A CPU with these tables, in long mode as Linux has it for programs, but for what is theirs.
pub fn cpu() -> Cpu {
    let mut cpu: Cpu = bytemuck::Zeroable::zeroed();
    let sys = &mut cpu.sys;
    sys.cr0 = cr0::PE | cr0::MP | cr0::ET | cr0::NE | cr0::WP | cr0::AM | cr0::PG;
    sys.cr3 = TABLES;
    sys.cr4 = cr4::PAE | cr4::PGE | cr4::OSFXSR | cr4::OSXMMEXCPT | cr4::UMIP | cr4::FSGSBASE | cr4::OSXSAVE;
    sys.efer = efer::SCE | efer::LME | efer::LMA | efer::NXE;
    sys.xcr0 = xcr0::X87 | xcr0::SSE | xcr0::AVX;
    let table = |base, size: usize| Table {
        base,
        limit: size as u64 - 1,
    };
    sys.gdtr = table(GDT_AT, 8 * GDT.len());
    sys.idtr = table(IDT_AT, 16 * 256);
    let of_system = |base, size: usize, selector, kind| Segment {
        base,
        limit: size as u32 - 1,
        selector,
        attributes: Attributes::P | kind,
    };
    // An LDT, and a TSS that is busy.
    sys.ldtr = of_system(LDT_AT, 8 * LDT.len(), 0x50, 2);
    sys.tr = of_system(TSS_AT, TSS_SIZE, 0x40, 11);
    cpu
}

/// What an exception left on level 0's stack, and which it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    pub vector: u32,
    pub error: u32,
    pub cr2: u64,
    pub rip: u64,
    pub cs: u16,
    pub flags: u32,
    pub rsp: u64,
    pub ss: u16,
}

impl Frame {
    /// The frame that a CPU in a handler has on its stack, in the area's memory.
    pub fn of(cpu: &Cpu, memory: &[u8]) -> Frame {
        let vector = ((cpu.pc - HANDLERS) / HANDLER_SIZE) as u32;
        let mut at = (cpu.regs[4] - SYSTEM) as usize;
        let mut pop = || {
            at += 8;
            u64::from_le_bytes(memory[at - 8..at].try_into().expect("eight bytes"))
        };
        let has_error = matches!(vector, 8 | 10..=14 | 17);
        Frame {
            vector,
            error: if has_error { pop() as u32 } else { 0 },
            cr2: cpu.sys.cr2,
            rip: pop(),
            cs: pop() as u16,
            flags: pop() as u32,
            rsp: pop(),
            ss: pop() as u16,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(memory: &[u8], at: u64) -> u64 {
        let at = (at - SYSTEM) as usize;
        u64::from_le_bytes(memory[at..at + 8].try_into().unwrap())
    }
    /// The entry of the last level for an address; 0: none.
    fn page(memory: &[u8], at: u64) -> u64 {
        let mut table = cpu().sys.cr3;
        for shift in [39, 30, 21] {
            let found = read(memory, table + 8 * (at >> shift & 0x1ff));
            if found & entry::PRESENT == 0 {
                return 0;
            }
            table = found & 0xf_ffff_f000;
        }
        read(memory, table + 8 * (at >> 12 & 0x1ff))
    }

    #[test]
    fn programs_have_data_and_code_and_nothing_else() {
        let memory = memory();
        let rights = |at| {
            let found = page(&memory, at);
            let has = |bit| found & bit != 0;
            (
                has(entry::PRESENT),
                has(entry::USER),
                has(entry::WRITABLE),
                has(entry::NO_EXECUTE),
            )
        };
        let absent = (false, false, false, false);

        assert_eq!(rights(DATA), (true, true, true, true));
        assert_eq!(rights(READ_ONLY), (true, true, false, true));
        assert_eq!(rights(CODE + CODE_SIZE as u64 - 1), (true, true, true, false));
        assert_eq!(rights(SYSTEM), (true, false, true, false));
        for at in [
            0,
            DATA - 1,
            DATA + DATA_SIZE as u64,
            CODE - 1,
            CODE + CODE_SIZE as u64,
            0x6000_0000,
            1 << 46,
        ] {
            assert_eq!(rights(at), absent, "{at:#x}");
        }
        assert_eq!(page(&memory, DATA + 0x1234) & 0xf_ffff_f000, DATA + 0x1000);
    }

    #[test]
    fn a_handler_knows_its_vector_and_its_frame() {
        let mut memory = memory();
        let mut cpu = cpu();
        let handler = |vector: u64| {
            let gate = read(&memory, IDT_AT + 16 * vector);
            (gate & 0xffff | gate >> 32 & 0xffff_0000, gate >> 45 & 3)
        };
        assert_eq!((handler(3).1, handler(4).1, handler(1).1, handler(128).1), (3, 3, 0, 0));
        (cpu.pc, cpu.sys.cr2) = (handler(14).0 + 1, 0x1234);
        cpu.regs[4] = read(&memory, TSS_AT + RSP0) - 48;
        for (n, word) in [7, 0x2800_1000, 0x33, 0x246, 0x1000_1000, 0x2b].into_iter().enumerate() {
            let at = (cpu.regs[4] - SYSTEM) as usize + 8 * n;
            memory[at..at + 8].copy_from_slice(&u64::to_le_bytes(word));
        }

        let frame = Frame::of(&cpu, &memory);

        let want = Frame {
            vector: 14,
            error: 7,
            cr2: 0x1234,
            rip: 0x2800_1000,
            cs: 0x33,
            flags: 0x246,
            rsp: 0x1000_1000,
            ss: 0x2b,
        };
        assert_eq!(frame, want);
    }
}

//! The record that is exchanged with step.c, and the memory and segments that its instructions find.

use super::super::Random;
use super::super::areas::differing;
use bytemuck::{Pod, Zeroable};
use emu_frontend_x86::decode::Size;
use emu_frontend_x86::state::bits::eflags;
use std::ops::Range;

/// Memory that instructions may access, at the same address here and there; its neighbours are not mapped, and its last page
/// cannot be written.
pub const DATA: u64 = 0x1000_0000;
pub const DATA_SIZE: usize = 3 * 4096;
pub const READ_ONLY: u64 = DATA + 2 * 4096;
/// Memory that instructions may be fetched from as well. Code is placed in its last two pages.
pub const CODE: u64 = 0x2800_0000;
pub const CODE_SIZE: usize = 3 * 4096;
/// Where the bytes of memory are that a record holds: around the end of a page.
pub const WINDOW: u64 = DATA + 4096 - WINDOW_SIZE as u64 / 2;
pub const WINDOW_SIZE: usize = 1024;

/// Bytes of code in a record.
pub const CODE_BYTES: usize = 16;
/// How many bytes of changed memory outside of the window a record holds.
const CHANGED: usize = 64;

/// As in step.c.
#[derive(Clone, Copy, Pod, Zeroable, PartialEq)]
#[repr(C)]
pub struct Record {
    pub code: [u8; CODE_BYTES],
    pub rip: u64,
    pub cs: u16,
    /// Of the row's instruction.
    pub length: u16,
    /// EFLAGS but for IF and RF.
    pub flags: u32,
    pub regs: [u64; 16],
    pub es: u16,
    pub ss: u16,
    pub ds: u16,
    pub fs: u16,
    pub gs: u16,
    /// Which x87 registers are not empty, by physical number.
    pub tags: u16,
    pub mxcsr: u32,
    /// Of FS and GS, in 64-bit mode.
    pub base: [u64; 2],
    pub vector: u32,
    pub error: u32,
    pub cr2: u64,
    /// Of x87, as the three after it.
    pub control: u16,
    pub status: u16,
    pub opcode: u16,
    pub zero: u16,
    /// Of the last instruction, and of its operand.
    pub pointers: [u64; 2],
    /// ST0 to ST7: 80 bits each.
    pub st: [[u8; 16]; 8],
    pub ymm: [[u8; 32]; 16],
    pub changed_at: u64,
    pub changed_by: u32,
    pub zero2: u32,
    pub changed: [u8; CHANGED],
    pub window: [[u8; 32]; WINDOW_SIZE / 32],
}

/// The words before RAX say what is executed.
pub const EXECUTED: usize = CODE_BYTES / 4 + 4;
/// What stops the instruction after the row's.
pub const HLT: u8 = 0xf4;

/// A run that nothing ended; else [`Record::vector`] is an exception's.
pub const ENDLESS: u32 = 255;
/// Exceptions by their vectors.
pub mod vector {
    pub const DE: u32 = 0;
    pub const BP: u32 = 3;
    pub const BR: u32 = 5;
    pub const UD: u32 = 6;
    pub const NP: u32 = 11;
    pub const SS: u32 = 12;
    pub const GP: u32 = 13;
    pub const PF: u32 = 14;
    pub const MF: u32 = 16;
    pub const AC: u32 = 17;
    pub const XM: u32 = 19;
}

/// Flags that a record holds.
pub const FLAGS: u32 = eflags::ALL & !(eflags::IF | eflags::RF);

/// Selectors of Linux's own segments: code of 64 bits, of 32 bits, and data. All are flat.
pub const CODE64: u16 = 0x33;
pub const CODE32: u16 = 0x23;
pub const FLAT: u16 = 0x2b;
/// Code of 16 bits: the first segment of the LDT.
pub const CODE16: u16 = 0x07;

/// A segment of the LDT.
#[derive(Clone, Copy)]
pub struct Local {
    base: u32,
    /// In bytes or pages.
    limit: u32,
    /// Bits of `user_desc`, modify_ldt(2).
    bits: u32,
}

const BIG: u32 = 1;
const EXPAND_DOWN: u32 = 1 << 1;
const CODE_SEGMENT: u32 = 2 << 1;
const READ_OR_EXECUTE_ONLY: u32 = 1 << 3;
const PAGES: u32 = 1 << 4;
const ABSENT: u32 = 1 << 5;
const USABLE: u32 = 1 << 6;

/// How many there are in the LDT.
pub const LDT_SIZE: usize = 16;
const BASE: u32 = DATA as u32;

/// The LDT's segments but for the last, which are null.
#[rustfmt::skip]
pub const LDT: [Local; 10] = [
    Local { base: CODE as u32, limit: 0xffff, bits: CODE_SEGMENT | USABLE },
    Local { base: BASE, limit: 0xffff, bits: USABLE },
    Local { base: WINDOW as u32, limit: WINDOW_SIZE as u32 - 1, bits: BIG | USABLE },
    Local { base: BASE - 0x1_0000, limit: 0x1_0eff, bits: EXPAND_DOWN | BIG | USABLE },
    Local { base: BASE, limit: 0xffff, bits: READ_OR_EXECUTE_ONLY | BIG | USABLE },
    Local { base: BASE, limit: 0xffff, bits: ABSENT | USABLE },
    Local { base: 0, limit: 0xf_ffff, bits: CODE_SEGMENT | READ_OR_EXECUTE_ONLY | PAGES | BIG | USABLE },
    Local { base: CODE as u32, limit: CODE_SIZE as u32 - 1, bits: CODE_SEGMENT | BIG | USABLE },
    Local { base: BASE, limit: 0x0eff, bits: EXPAND_DOWN | USABLE },
    Local { base: CODE as u32, limit: 0xffff, bits: CODE_SEGMENT | ABSENT | USABLE },
];

impl Local {
    /// As the processor has it: Linux makes it so, of privilege level 3 and as if it had been accessed.
    pub fn descriptor(self) -> u64 {
        let has = |bit: u32| u64::from(self.bits & bit != 0);
        let kind = 1 | (has(READ_OR_EXECUTE_ONLY) ^ 1) << 1 | u64::from(self.bits >> 1 & 3) << 2;
        let access = kind | 1 << 4 | 3 << 5 | (has(ABSENT) ^ 1) << 7;
        let size = has(USABLE) | has(BIG) << 2 | has(PAGES) << 3;
        let (base, limit) = (u64::from(self.base), u64::from(self.limit));
        limit & 0xffff | (base & 0xff_ffff) << 16 | access << 40 | (limit >> 16) << 48 | size << 52 | (base >> 24) << 56
    }
}

/// The descriptor that a selector names in Linux's GDT or the LDT; 0: none that programs may know of.
pub fn descriptor(selector: u16) -> u64 {
    if selector & 4 != 0 {
        return LDT
            .get(usize::from(selector >> 3))
            .map_or(0, |local| local.descriptor());
    }
    GDT.get(usize::from(selector >> 3)).copied().unwrap_or(0)
}

/// Linux's GDT: privilege level 3 sees three segments of it.
pub const GDT: [u64; 16] = {
    let mut gdt = [0; 16];
    gdt[1] = 0x00cf_9b00_0000_ffff;
    gdt[2] = 0x00af_9b00_0000_ffff;
    gdt[3] = 0x00cf_9300_0000_ffff;
    gdt[4] = 0x00cf_fb00_0000_ffff;
    gdt[5] = 0x00cf_f300_0000_ffff;
    gdt[6] = 0x00af_fb00_0000_ffff;
    gdt
};

impl Record {
    /// What kind of code it is.
    pub fn size(&self) -> Size {
        match self.cs {
            CODE64 => Size::Bits64,
            CODE16 => Size::Bits16,
            _ => Size::Bits32,
        }
    }
    /// The linear address of its code.
    pub fn code_at(&self) -> u64 {
        self.rip + if self.cs == CODE16 { CODE } else { 0 }
    }
    /// The code that there is memory for.
    pub fn placed(&self) -> &[u8] {
        let room = CODE + CODE_SIZE as u64 - self.code_at();
        &self.code[..(room as usize).min(CODE_BYTES)]
    }
    /// The selector of a segment register by its number.
    pub fn selector(&self, n: u8) -> u16 {
        [self.es, self.cs, self.ss, self.ds, self.fs, self.gs][usize::from(n)]
    }
    /// The bytes of the window.
    pub fn memory(&mut self) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.window)
    }
    /// Note how an area at `at` differs from what it was.
    pub fn note_changes(&mut self, at: u64, was: &[u8], is: &[u8]) {
        let Some(Range { start, end }) = differing(was, is) else {
            return;
        };
        (self.changed_at, self.changed_by) = (at + start as u64, (end - start) as u32);
        let held = &is[start..end.min(start + CHANGED)];
        self.changed[..held.len()].copy_from_slice(held);
    }
}

/// General registers by their numbers.
pub const NAMES: [&str; 16] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
];

/// The name of a record's word.
pub fn field(word: usize) -> String {
    let half = ["low", "high"][word % 2];
    match word {
        0..4 => format!("code {word}"),
        4 | 5 => format!("rip {half}"),
        6 => "cs".into(),
        7 => "eflags".into(),
        8..40 => format!("{} {half}", NAMES[(word - 8) / 2]),
        40 => "es, ss".into(),
        41 => "ds, fs".into(),
        42 => "gs, x87 tags".into(),
        43 => "mxcsr".into(),
        44 | 45 => format!("fs base {half}"),
        46 | 47 => format!("gs base {half}"),
        48 => "vector".into(),
        49 => "error code".into(),
        50 | 51 => format!("cr2 {half}"),
        52 => "x87 control, status".into(),
        53 => "x87 opcode".into(),
        54 | 55 => format!("x87 instruction {half}"),
        56 | 57 => format!("x87 operand {half}"),
        58..90 => format!("st{} word {}", (word - 58) / 4, (word - 58) % 4),
        90..218 => format!("ymm{} word {}", (word - 90) / 8, (word - 90) % 8),
        218 | 219 => format!("memory changed at {half}"),
        220 => "memory changed by".into(),
        222..238 => format!("changed memory + {:#x}", (word - 222) * 4),
        238.. => format!("memory at {:#x}", WINDOW as usize + (word - 238) * 4),
        _ => "nothing".into(),
    }
}

/// What step.c reads first: the LDT as modify_ldt(2) wants it.
pub fn ldt() -> Vec<u8> {
    let entry = |n: usize| {
        let local = LDT.get(n).copied().unwrap_or(Local {
            base: 0,
            limit: 0,
            bits: 0,
        });
        [n as u32, local.base, local.limit, local.bits]
    };
    let words = (0..LDT_SIZE).flat_map(entry);
    words.flat_map(u32::to_le_bytes).collect()
}

/// What data areas hold: random words.
pub fn initial_data() -> Vec<u8> {
    let mut random = Random::of("data", 0);
    (0..DATA_SIZE / 4).flat_map(|_| random.word().to_le_bytes()).collect()
}

/// What code areas hold.
pub fn initial_code() -> Vec<u8> {
    vec![HLT; CODE_SIZE]
}

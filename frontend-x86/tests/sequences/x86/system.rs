//! What the processor reads besides page tables: descriptors, gates, the task-state segment.

use super::layout::*;
use crate::program::Set;
use emu_ir::testing::Random;

/// A descriptor of code or data: attributes as bits 55:52 and 47:40 have them.
fn descriptor(base: u32, limit: u32, attributes: u32) -> u64 {
    let low = limit & 0xffff | base << 16;
    let high =
        base >> 16 & 0xff | (attributes & 0xff) << 8 | limit & 0xf_0000 | (attributes >> 8) << 20 | base & 0xff00_0000;
    u64::from(low) | u64::from(high) << 32
}
/// A gate of a kind to an offset in the kernel's code.
fn gate(offset: u32, kind: u32, level: u32, count: u32) -> u64 {
    let low = offset & 0xffff | u32::from(selector::KERNEL_CODE) << 16;
    let high = offset & 0xffff_0000 | (0x80 | level << 5 | kind) << 8 | count;
    u64::from(low) | u64::from(high) << 32
}
const CODE32: u32 = 0xc9b;
const CODE64: u32 = 0xa9b;
const DATA32: u32 = 0xc93;
const USER: u32 = 3 << 5;
const ALL: u32 = 0xf_ffff;

fn put(memory: &mut [u8], at: u32, value: u64) {
    memory[at as usize..at as usize + 8].copy_from_slice(&value.to_le_bytes());
}

/// The descriptors of code and data, which segment registers start with, too.
pub fn descriptors(long: bool) -> Vec<(u16, u64)> {
    let kernel = if long { CODE64 } else { CODE32 };
    vec![
        (selector::KERNEL_CODE, descriptor(0, ALL, kernel)),
        (selector::KERNEL_DATA, descriptor(0, ALL, DATA32)),
        (selector::USER_CODE32, descriptor(0, ALL, CODE32 | USER)),
        (selector::USER_DATA, descriptor(0, ALL, DATA32 | USER)),
        (selector::USER_CODE64, descriptor(0, ALL, CODE64 | USER)),
        (selector::USER_DATA_AGAIN, descriptor(0, ALL, DATA32 | USER)),
        (selector::USER_CODE16, descriptor(0, 0xffff, 0x9b | USER)),
        (selector::LIMITED, descriptor(DATA, 0x1fff, 0x493 | USER)),
        (selector::EXPAND_DOWN, descriptor(0, DATA - 1, 0x496 | USER)),
        (selector::READ_ONLY, descriptor(0, ALL, 0xc90 | USER)),
        (selector::CONFORMING, descriptor(0, ALL, kernel | 4)),
        (selector::USER_BASED, descriptor(USER_BASE, 0xfff0, 0x49a | USER)),
        (selector::ABSENT, descriptor(0, ALL, DATA32 & !0x80 | USER)),
        (selector::KERNEL_BASED, descriptor(KERNEL_BASE, 0xfff0, 0x49a)),
    ]
}

/// Fills the pages of the system.
pub fn put_all(memory: &mut [u8], set: Set, random: &mut Random) {
    let long = set == Set::X64;
    for (selector, descriptor) in descriptors(long) {
        put(memory, GDT + u32::from(selector & !7), descriptor);
    }
    let tss = GDT + u32::from(selector::TSS);
    put(memory, tss, descriptor(TSS, 0xef, 0x8b));
    put(memory, GDT + u32::from(selector::GATE & !7), gate(GATE, 12, 3, 0));
    if long {
        put(memory, tss + 8, 0);
        put(memory, GDT + u32::from(selector::GATE & !7) + 8, 0);
    } else {
        put(
            memory,
            GDT + u32::from(selector::COPYING_GATE & !7),
            gate(GATE, 12, 3, 2),
        );
    }
    for vector in 0..0x40u32 {
        let software = matches!(vector, 3 | 4 | 5 | 0x30..);
        let level = if software { 3 } else { 0 };
        let kind = if vector != u32::from(INTERRUPT) && random.one_in(8) {
            15
        } else {
            14
        };
        let spare = vector == 8 || random.one_in(16);
        let stack = u32::from(long && spare);
        let gate = gate(SYSTEM + 16 * vector, kind, level, stack);
        put(memory, IDT + vector * if long { 16 } else { 8 }, gate);
    }
    task(memory, long, random);
    for vector in 0..0x40 {
        // Of virtual 8086 mode, where those are its own: a chunk of 16 bits.
        let pointer = match set {
            Set::X16 => ((SYSTEM >> 4) << 16) | (16 * vector),
            _ => chunk_at(WIDE_CHUNKS + vector % 4),
        };
        let at = (VECTORS + 4 * vector) as usize;
        memory[at..at + 4].copy_from_slice(&pointer.to_le_bytes());
    }
    for chunk in 0..KERNEL_CHUNKS {
        let at = (POINTERS + 16 * chunk) as usize;
        memory[at..at + 4].copy_from_slice(&chunk_at(chunk).to_le_bytes());
        let selector = if long { 8 } else { 4 };
        memory[at + selector..at + selector + 2].copy_from_slice(&selector::KERNEL_CODE.to_le_bytes());
    }
}

/// The task-state segment: stacks, which interrupts virtual 8086 mode handles itself, which ports may be accessed.
fn task(memory: &mut [u8], long: bool, random: &mut Random) {
    const REDIRECTION: usize = 0x68;
    const PORTS: usize = 0x88;
    let tss = &mut memory[TSS as usize..TSS as usize + 0xf0];
    if long {
        tss[4..8].copy_from_slice(&INNER.to_le_bytes());
        tss[0x24..0x28].copy_from_slice(&SPARE_STACK.to_le_bytes());
    } else {
        tss[4..8].copy_from_slice(&INNER.to_le_bytes());
        tss[8..10].copy_from_slice(&selector::KERNEL_DATA.to_le_bytes());
    }
    tss[0x66..0x68].copy_from_slice(&(PORTS as u16).to_le_bytes());
    for byte in &mut tss[REDIRECTION..PORTS] {
        *byte = random.word() as u8;
    }
    // Those to the kernel and to the end are not its own.
    tss[REDIRECTION + 6] |= 3;
    for byte in &mut tss[PORTS..] {
        *byte = random.word() as u8 & random.word() as u8;
    }
    tss[PORTS + usize::from(RAISE / 8)] = 0;
    tss[0xef] = 0xff;
}

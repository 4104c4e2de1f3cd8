//! x86 condition codes as numbers, as they stand in the instructions' low four bits.

use super::asm::Asm;
use dynasmrt::{DynamicLabel, DynasmApi, DynasmLabelApi, dynasm};

pub const O: u8 = 0;
pub const B: u8 = 2;
pub const AE: u8 = 3;
pub const E: u8 = 4;
pub const NE: u8 = 5;
pub const BE: u8 = 6;
pub const A: u8 = 7;
pub const S: u8 = 8;
pub const P: u8 = 10;
pub const L: u8 = 12;
pub const GE: u8 = 13;
pub const LE: u8 = 14;
pub const G: u8 = 15;

/// `setcc r8`.
pub fn setcc(a: &mut Asm, cc: u8, r: u8) {
    a.extend([0x40 | r >> 3, 0x0f, 0x90 | cc, 0xc0 | r & 7]);
}

/// `setcc byte [base + disp]`, base not rsp or r12.
pub fn setcc_mem(a: &mut Asm, cc: u8, base: u8, disp: i32) {
    a.extend([0x40 | base >> 3, 0x0f, 0x90 | cc]);
    match i8::try_from(disp) {
        Ok(d) => a.extend([0x40 | base & 7, d as u8]),
        Err(_) => {
            a.push(0x80 | base & 7);
            a.extend(disp.to_le_bytes());
        }
    }
}

/// `cmovcc d, s`, 32 or 64 bits.
pub fn cmov(a: &mut Asm, cc: u8, wide: bool, d: u8, s: u8) {
    let rex = 0x40 | (wide as u8) << 3 | (d >> 3) << 2 | s >> 3;
    a.extend([rex, 0x0f, 0x40 | cc, 0xc0 | (d & 7) << 3 | s & 7]);
}

/// `jcc label`.
pub fn jcc(a: &mut Asm, cc: u8, to: DynamicLabel) {
    match cc & 15 {
        0 => dynasm!(a ; .arch x64 ; jo =>to),
        1 => dynasm!(a ; .arch x64 ; jno =>to),
        2 => dynasm!(a ; .arch x64 ; jb =>to),
        3 => dynasm!(a ; .arch x64 ; jae =>to),
        4 => dynasm!(a ; .arch x64 ; je =>to),
        5 => dynasm!(a ; .arch x64 ; jne =>to),
        6 => dynasm!(a ; .arch x64 ; jbe =>to),
        7 => dynasm!(a ; .arch x64 ; ja =>to),
        8 => dynasm!(a ; .arch x64 ; js =>to),
        9 => dynasm!(a ; .arch x64 ; jns =>to),
        10 => dynasm!(a ; .arch x64 ; jp =>to),
        11 => dynasm!(a ; .arch x64 ; jnp =>to),
        12 => dynasm!(a ; .arch x64 ; jl =>to),
        13 => dynasm!(a ; .arch x64 ; jge =>to),
        14 => dynasm!(a ; .arch x64 ; jle =>to),
        _ => dynasm!(a ; .arch x64 ; jg =>to),
    }
}

//! Instructions, one after the other, none across the end of a bundle of 16 bytes: a handler goes on at the next bundle, which
//! always starts with an instruction.

use crate::program::Set;

/// The bytes of a bundle.
pub const BUNDLE: u32 = 16;

/// Code of a set that lies at an address.
#[derive(Clone)]
pub struct Asm {
    pub set: Set,
    at: u32,
    pub bytes: Vec<u8>,
}

/// Near jumps.
#[derive(Clone, Copy)]
pub enum Near {
    Jump,
    Call,
    /// On a condition.
    If(u8),
}

impl Asm {
    pub fn new(set: Set, at: u32) -> Asm {
        Asm {
            set,
            at,
            bytes: Vec::new(),
        }
    }
    /// Where the next byte will lie.
    pub fn here(&self) -> u32 {
        self.at + self.bytes.len() as u32
    }
    /// NOPs up to a bundle's start.
    pub fn align(&mut self) {
        while !self.here().is_multiple_of(BUNDLE) {
            self.bytes.push(0x90);
        }
    }
    /// Bytes that stay together.
    pub fn put(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= BUNDLE as usize, "{bytes:02x?}");
        if self.here() % BUNDLE + bytes.len() as u32 > BUNDLE {
            self.align();
        }
        self.bytes.extend(bytes);
    }
    /// The same of several parts.
    pub fn join(&mut self, parts: &[&[u8]]) {
        self.put(&parts.concat());
    }
    fn is_16(&self) -> bool {
        self.set == Set::X16
    }
    fn is_64(&self) -> bool {
        self.set == Set::X64
    }
    /// A number of the size of offsets in the code.
    fn word(&self, value: u32) -> Vec<u8> {
        let size = if self.is_16() { 2 } else { 4 };
        value.to_le_bytes()[..size].to_vec()
    }
    /// MOV of a general register, 0 to 15, all of it.
    pub fn set(&mut self, register: u8, value: u32) {
        let (high, low) = (register >> 3, register & 7);
        if self.is_64() {
            self.join(&[&[0x48 | high, 0xc7, 0xc0 | low], &value.to_le_bytes()]);
        } else {
            self.join(&[&[0xb8 | low], &self.word(value)]);
        }
    }
    /// ModRM, with this in its middle, of an address in DS.
    fn absolute(&self, middle: u8, address: u32) -> Vec<u8> {
        let modrm: &[u8] = match self.set {
            Set::X16 => &[0x06],
            Set::X64 => &[0x04, 0x25],
            _ => &[0x05],
        };
        let mut bytes = modrm.to_vec();
        bytes[0] |= middle << 3;
        bytes.extend(self.word(address));
        bytes
    }
    /// MOV of 32 bits to memory.
    pub fn store(&mut self, address: u32, value: u32) {
        let size: &[u8] = if self.is_16() { &[0x66] } else { &[] };
        self.join(&[size, &[0xc7], &self.absolute(0, address), &value.to_le_bytes()]);
    }
    /// The bytes of MOV of a byte to memory.
    pub fn store_byte(&self, address: u32, value: u8) -> Vec<u8> {
        [&[0xc6][..], &self.absolute(0, address), &[value]].concat()
    }
    /// DEC of 32 bits in memory, or 16; unless some are left, what comes instead.
    pub fn count_down(&mut self, address: u32, instead: impl FnOnce(&Asm, u32) -> Vec<u8>) {
        let dec = [&[0xff][..], &self.absolute(1, address)].concat();
        self.put(&dec);
        // Where it will lie, should it not fit.
        let mut there = self.clone();
        there.put(&[0; 7]);
        let at = there.here() - 5;
        let other = instead(self, at);
        assert!(other.len() <= 5);
        let mut all = vec![0x7f, other.len() as u8];
        all.extend(&other);
        all.resize(7, 0x90);
        self.put(&all);
    }
    /// Goes back to an address while there are rounds left.
    pub fn count_rounds(&mut self, address: u32, back: u32) {
        let dec = [&[0xff][..], &self.absolute(1, address)].concat();
        self.put(&dec);
        self.near(Near::If(0xf), back);
    }
    /// PUSH of a number; of 64 bits the upper half is the sign.
    pub fn push(&mut self, value: u32) {
        self.join(&[&[0x68], &self.word(value)]);
    }
    /// The bytes of a jump from an address.
    pub fn near_from(&self, from: u32, how: Near, to: u32) -> Vec<u8> {
        let opcode: &[u8] = match how {
            Near::Jump => &[0xe9],
            Near::Call => &[0xe8],
            Near::If(cc) => &[0x0f, 0x80 | cc],
        };
        let length = opcode.len() as u32 + if self.is_16() { 2 } else { 4 };
        let by = self.word(to.wrapping_sub(from + length));
        [opcode, &by].concat()
    }
    /// A jump to an address.
    pub fn near(&mut self, how: Near, to: u32) {
        let length = self.near_from(0, how, 0).len() as u32;
        if self.here() % BUNDLE + length > BUNDLE {
            self.align();
        }
        let bytes = self.near_from(self.here(), how, to);
        self.put(&bytes);
    }
    /// JMP or CALL to what a register, 0 to 7, has.
    pub fn go(&mut self, register: u8, call: bool) {
        self.put(&[0xff, if call { 0xd0 } else { 0xe0 } | register]);
    }
    /// Far JMP, outside of 64-bit mode.
    pub fn far(&mut self, selector: u16, offset: u32) {
        self.join(&[&[0xea], &self.word(offset), &selector.to_le_bytes()]);
    }
    /// IRET of the code's size.
    pub fn iret(&mut self) {
        self.put(if self.is_64() { &[0x48, 0xcf] } else { &[0xcf] });
    }
    /// Far RET of the code's size.
    pub fn ret_far(&mut self) {
        self.put(if self.is_64() { &[0x48, 0xcb] } else { &[0xcb] });
    }
    /// MOV to a control register from a general one, 0 to 7.
    pub fn mov_to_control(&mut self, control: u8, register: u8) {
        self.put(&[0x0f, 0x22, 0xc0 | control << 3 | register]);
    }
    /// MOV from a control register.
    pub fn mov_from_control(&mut self, control: u8, register: u8) {
        self.put(&[0x0f, 0x20, 0xc0 | control << 3 | register]);
    }
    /// MOV to a debug register from a general one, 0 to 7.
    pub fn mov_to_debug(&mut self, debug: u8, register: u8) {
        self.put(&[0x0f, 0x23, 0xc0 | debug << 3 | register]);
    }
    /// XOR rAX, a number of 32 bits.
    pub fn flip(&mut self, bits: u32) {
        let size: &[u8] = if self.is_16() { &[0x66] } else { &[] };
        self.join(&[size, &[0x35], &bits.to_le_bytes()]);
    }
    /// PUSH and POP a selector into a segment register, by the POP's bytes.
    pub fn segment(&mut self, pop: &[u8], selector: u16) {
        self.push(selector.into());
        self.put(pop);
    }
}

//! Handlers of exceptions and interrupts, and other ways into the kernel.
//!
//! Faults go on at the next bundle; a page fault of [`PLAY`] every second time at the same instruction, with a page mapped
//! there. What cannot be fetched goes on in a chunk of the kernel. All are counted, up to the end.

use super::layout::*;
use crate::program::Set;
use std::collections::HashMap;

/// How page faults are mended.
#[derive(Clone, Copy)]
pub struct Mending {
    /// The bytes of an entry, 4 or 8.
    pub entry_size: u32,
    /// The entry that is put there.
    pub entry: u64,
}

const VECTORS_HERE: u8 = 0x40;
const COMMON: u32 = SYSTEM + 0x400;

/// Code with labels.
struct Code {
    set: Set,
    at: u32,
    bytes: Vec<u8>,
    labels: HashMap<&'static str, u32>,
    jumps: Vec<(usize, &'static str)>,
}

/// What a jump depends on: the condition in its opcode.
const ALWAYS: u8 = 0x10;
const BELOW: u8 = 2;
const ABOVE_OR_EQUAL: u8 = 3;
const EQUAL: u8 = 4;
const NOT_EQUAL: u8 = 5;
const LESS_OR_EQUAL: u8 = 14;

impl Code {
    fn new(set: Set, at: u32) -> Code {
        Code {
            set,
            at,
            bytes: Vec::new(),
            labels: HashMap::from([("end", END)]),
            jumps: Vec::new(),
        }
    }
    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }
    fn with(&mut self, bytes: &[u8], number: u32) {
        self.put(bytes);
        self.put(&number.to_le_bytes());
    }
    fn label(&mut self, name: &'static str) {
        self.labels.insert(name, self.at + self.bytes.len() as u32);
    }
    fn jump(&mut self, condition: u8, to: &'static str) {
        if condition == ALWAYS {
            self.put(&[0xe9]);
        } else {
            self.put(&[0x0f, 0x80 | condition]);
        }
        self.jumps.push((self.bytes.len(), to));
        self.put(if self.set == Set::X16 { &[0, 0] } else { &[0, 0, 0, 0] });
    }
    /// A jump where AL is that number, or not below it.
    fn jump_if_al(&mut self, number: u8, condition: u8, to: &'static str) {
        self.put(&[0x3c, number]);
        self.jump(condition, to);
    }
    fn place(mut self, memory: &mut [u8]) {
        let size = if self.set == Set::X16 { 2 } else { 4 };
        for (hole, to) in self.jumps {
            let from = self.at + (hole + size) as u32;
            let by = self.labels[to].wrapping_sub(from).to_le_bytes();
            self.bytes[hole..hole + size].copy_from_slice(&by[..size]);
        }
        let at = self.at as usize;
        memory[at..at + self.bytes.len()].copy_from_slice(&self.bytes);
    }
    /// An instruction with this in ModRM's middle, of a word at an address that every handler reaches.
    fn at_address(&mut self, opcode: &[u8], middle: u8, address: u32) {
        match self.set {
            Set::X16 => {
                self.put(&[0x2e]);
                self.put(opcode);
                self.put(&[middle << 3 | 6]);
                self.put(&((address - SYSTEM) as u16).to_le_bytes());
            }
            Set::X64 => {
                self.put(opcode);
                self.with(&[middle << 3 | 4, 0x25], address);
            }
            _ => {
                self.put(&[0x36]);
                self.put(opcode);
                self.with(&[middle << 3 | 5], address);
            }
        }
    }
    /// Counts, up to the end.
    fn count(&mut self) {
        self.at_address(&[0xff], 1, LEFT);
        self.jump(LESS_OR_EQUAL, "end");
    }
    /// TEST of a byte of what is left.
    fn test_left(&mut self, bits: u8) {
        self.at_address(&[0xf6], 0, LEFT);
        self.put(&[bits]);
    }
}

/// Whether the exception of a vector has an error code.
fn has_code(vector: u8) -> bool {
    matches!(vector, 8 | 10..=14 | 17)
}

/// Fills the page.
pub fn put_all(memory: &mut [u8], set: Set, mending: Mending) {
    for vector in 0..VECTORS_HERE {
        let mut stub = Code::new(set, SYSTEM + 16 * u32::from(vector));
        stub.labels.insert("common", COMMON);
        if !has_code(vector) && set != Set::X16 {
            stub.put(&[0x6a, 0]);
        }
        stub.put(&[0x6a, vector]);
        stub.jump(ALWAYS, "common");
        stub.place(memory);
    }
    match set {
        Set::X16 => narrow(memory),
        _ => wide(memory, set, mending),
    }
    let mut end = Code::new(set, END);
    end.put(&[0xfa, 0xe6, LOWER, 0xf4]); // CLI; OUT; HLT
    end.jump(ALWAYS, "end");
    end.place(memory);
}

/// What real mode's handlers have in common. The stack: BP, AX, vector, IP, CS, FLAGS.
fn narrow(memory: &mut [u8]) {
    let mut c = Code::new(Set::X16, COMMON);
    c.put(&[0x50, 0x55, 0x89, 0xe5]); // PUSH AX; PUSH BP; MOV BP, SP
    c.count();
    c.put(&[0x8b, 0x46, 4]); // MOV AX, [BP+4]
    for (vector, condition, to) in [
        (1, EQUAL, "debug"),
        (3, EQUAL, "return"),
        (4, EQUAL, "return"),
        (7, EQUAL, "device"),
        (16, EQUAL, "error"),
        (INTERRUPT, EQUAL, "interrupt"),
        (TO_END, EQUAL, "end"),
        (TO_KERNEL, ABOVE_OR_EQUAL, "return"),
    ] {
        c.jump_if_al(vector, condition, to);
    }
    c.put(&[0x83, 0x4e, 6, 15, 0xff, 0x46, 6]); // OR [BP+6], 15; INC [BP+6]
    c.label("return");
    c.put(&[0x5d, 0x58, 0x83, 0xc4, 2, 0xcf]); // POP BP; POP AX; ADD SP, 2; IRET
    c.label("debug");
    c.put(&[0x66, 0x31, 0xc0, 0x0f, 0x23, 0xf8]); // XOR EAX, EAX; MOV DR7, EAX
    c.test_left(3);
    c.jump(NOT_EQUAL, "return");
    c.put(&[0x81, 0x66, 10, 0xff, 0xfe]); // AND [BP+10], ~TF
    c.jump(ALWAYS, "return");
    devices(&mut c);
    c.place(memory);
}

/// What handlers of #NM, #MF and the interrupt do.
fn devices(c: &mut Code) {
    c.label("device");
    c.put(&[0x0f, 0x20, 0xc0, 0x24, !0xc, 0x0f, 0x22, 0xc0]); // MOV EAX, CR0; AND AL, ~(TS | EM); MOV CR0, EAX
    c.jump(ALWAYS, "return");
    c.label("error");
    c.put(&[0xdb, 0xe2]); // FNCLEX
    c.jump(ALWAYS, "return");
    c.label("interrupt");
    c.put(&[0xe6, LOWER]);
    c.jump(ALWAYS, "return");
}

/// What the others have in common. The stack: rDX, rAX, vector, error code, rIP, CS, rFLAGS.
fn wide(memory: &mut [u8], set: Set, mending: Mending) {
    let long = set == Set::X64;
    let (word, rex): (u8, &[u8]) = if long { (8, &[0x48]) } else { (4, &[]) };
    let mut c = Code::new(set, COMMON);
    c.put(&[0x50, 0x52]); // PUSH rAX; PUSH rDX
    c.count();
    c.put(&[0x8b, 0x44, 0x24, 2 * word]); // MOV EAX, [rSP]: the vector
    for (vector, condition, to) in [
        (14, EQUAL, "page"),
        (1, EQUAL, "debug"),
        (3, EQUAL, "return"),
        (4, EQUAL, "return"),
        (7, EQUAL, "device"),
        (16, EQUAL, "error"),
        (INTERRUPT, EQUAL, "interrupt"),
        (TO_KERNEL, EQUAL, "chunk"),
        (TO_END, EQUAL, "end"),
        (TO_KERNEL, ABOVE_OR_EQUAL, "return"),
    ] {
        c.jump_if_al(vector, condition, to);
    }
    c.label("skip");
    c.put(rex);
    c.put(&[0x83, 0x4c, 0x24, 4 * word, 15]); // OR [rIP], 15
    c.put(rex);
    c.put(&[0xff, 0x44, 0x24, 4 * word]); // INC [rIP]
    c.label("return");
    c.put(&[0x5a, 0x58]); // POP rDX; POP rAX
    c.put(rex);
    c.put(&[0x83, 0xc4, 2 * word]); // ADD rSP
    c.put(rex);
    c.put(&[0xcf]); // IRET

    c.label("debug");
    c.with(&[0x81, 0x4c, 0x24, 6 * word], 1 << 16); // OR [rFLAGS], RF
    c.test_left(3);
    c.jump(NOT_EQUAL, "return");
    c.with(&[0x81, 0x64, 0x24, 6 * word], !(1 << 8)); // AND [rFLAGS], ~TF
    c.put(&[0x31, 0xc0, 0x0f, 0x23, 0xf8]); // XOR EAX, EAX; MOV DR7, EAX
    c.jump(ALWAYS, "return");
    devices(&mut c);
    page_fault(&mut c, rex, word, mending);

    c.label("chunk");
    c.put(&[0x8b, 0x44, 0x24, word]); // MOV EAX, [rSP]: rAX
    c.put(&[
        0x83,
        0xe0,
        (KERNEL_CHUNKS - 1) as u8,
        0xc1,
        0xe0,
        CHUNK.trailing_zeros() as u8,
    ]); // AND EAX; SHL EAX
    c.with(&[0x05], CODE); // ADD EAX
    if long {
        c.with(&[0x48, 0xc7, 0xc4], STACK); // MOV RSP
    } else {
        c.with(&[0xbc], STACK);
    }
    c.put(&[0xff, 0xe0]); // JMP rAX
    c.place(memory);
    entries(memory, set);
}

fn page_fault(c: &mut Code, rex: &[u8], word: u8, mending: Mending) {
    c.label("page");
    c.put(&[0x0f, 0x20, 0xd0]); // MOV rAX, CR2
    c.put(rex);
    c.put(&[0x33, 0x44, 0x24, 4 * word]); // XOR rAX, [rIP]
    c.put(rex);
    c.put(&[0x83, 0xf8, 16]); // CMP rAX, 16
    c.jump(BELOW, "chunk");
    c.put(&[0x0f, 0x20, 0xd0]);
    c.put(rex);
    c.with(&[0x2d], PLAY); // SUB rAX
    c.put(rex);
    c.with(&[0x3d], PLAY_PAGES << 12); // CMP rAX
    c.jump(ABOVE_OR_EQUAL, "skip");
    c.test_left(1);
    c.jump(EQUAL, "skip");
    c.put(&[0xc1, 0xe8, 12]); // SHR EAX, 12
    c.put(&[0x0f, 0x20, 0xda]); // MOV rDX, CR3
    c.with(&[0x81, 0xe2], 0x1000); // AND EDX: which address space it is
    // MOV SS:[rDX + rAX * size]
    let stack = if rex.is_empty() { &[0x36][..] } else { &[] };
    let scaled = if mending.entry_size == 8 { 0xc2 } else { 0x82 };
    for part in (0..mending.entry_size).step_by(4) {
        c.put(stack);
        c.with(&[0xc7, 0x84, scaled], PLAY_TABLE + part);
        c.put(&((mending.entry >> (8 * part)) as u32).to_le_bytes());
    }
    c.put(&[0x0f, 0x20, 0xd0]);
    c.put(stack);
    c.put(&[0x0f, 0x01, 0x38]); // INVLPG [rAX]
    c.jump(ALWAYS, "return");
}

/// Where call gates, SYSCALL and SYSENTER lead: back, in the end.
fn entries(memory: &mut [u8], set: Set) {
    let long = set == Set::X64;
    let rex: &[u8] = if long { &[0x48] } else { &[] };
    for (at, back) in [(GATE, &[0xcb][..]), (SYSCALL, &[0x0f, 0x07]), (SYSENTER, &[0x0f, 0x35])] {
        let mut c = Code::new(set, at);
        c.count();
        c.put(rex);
        c.put(back);
        c.place(memory);
    }
}

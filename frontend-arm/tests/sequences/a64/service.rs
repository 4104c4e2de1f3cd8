//! What the CPUs of a pair do for one another, on a page of their own: each asks the other to store to its code and tables,
//! and to do the maintenance that is asked for then (Arm ARM DDI 0487, B2.4.4, D8.14).
//!
//! Who asks puts what is to be done into its box, counts up, and waits until that count is its answer; meanwhile it does what
//! it is asked itself. Who posts goes on for a while, and need not wait if the other has been fast. A box is looked at where the
//! other CPU waits, at the head of each of its chunks, and from its program's end to that of the box's owner. Nothing of that is
//! left in registers.

use super::code::{Asm, ELR, EQ, GT, Go, NE, Register};
use super::handlers::{fill, lower};
use super::program::CODE as FIRST_CHUNK;
use crate::memory::DEVICE;
use crate::program::Set;
use emu_frontend_arm::a64::Cpu;
use emu_jit::engine::trace::Entered;

/// Where the page is.
pub const SERVICE: u32 = 0x1_7000;
/// The other's RAM, and the boxes.
pub const WINDOW: u32 = 0x0080_0000;
pub const BOXES: u32 = 0x00a0_0000;

/// What is asked for by an SVC's number: to look at the other's box; to have an instruction stored, whose word is x0, at x1;
/// to have a descriptor stored, which is x0, at x1, and what it maps forgotten, by the operands of TLBI x2 and x3; to end.
pub const LOOK: u32 = 1 << 4;
pub const CODE: u32 = 1 << 4 | 1 << 5;
pub const MAP: u32 = 1 << 4 | 2 << 5;
pub const END: u32 = 1 << 4 | 3 << 5;
/// How it is to be done: for code by IC IALLUIS, else IVAU; for descriptors by a TLBI of [`TLBIS`].
pub const HOW: u32 = 8;
pub const TLBIS: [Register; 4] = [
    (1, 0, 8, 3, 3), // VAAE1IS
    (1, 0, 8, 3, 0), // VMALLE1IS
    (1, 0, 8, 3, 7), // VAALE1IS
    (1, 0, 8, 1, 3), // VAAE1OS
];
/// That of [`TLBIS`] for a table.
pub const FOR_ALL: u32 = 1;
/// Who asks goes on meanwhile, and waits where it calls [`WAITING`].
const POSTED: u32 = 10;

/// The parts of the page.
const LOOKING: u32 = 0;
pub const ENTRY: u32 = 0x140;
const ASKING: u32 = 0x180;
pub const ENDING: u32 = 0x240;
/// A function, for EL1. It returns as exceptions do, after which nothing is known of the last branch, and leaves in
/// [`SPINS`] what ELR_EL1 had.
const WAITING: u32 = 0x300;

/// What is where in a box; the other writes the answer.
const COUNT: u32 = 0;
const WHAT: u32 = 0x08;
const ARGUMENTS: u32 = 0x10;
const ANSWER: u32 = 0x40;
const ENDED: u32 = 0x80;

/// Registers: for anything, of a box, how often to look before giving way, the count, and where to return.
const A: u32 = 23;
const B: u32 = 24;
const C: u32 = 27;
const BOX: u32 = 28;
const SPINS: u32 = 25;
const TURN: u32 = 26;
const LINK: u32 = 29;

/// Which of a pair a program is.
#[derive(Clone)]
pub struct Half {
    pub number: u32,
    /// The order of both's data.
    pub big_endian: [bool; 2],
    /// Chunks that both have.
    pub chunks: Vec<u32>,
}

/// Instructions by base and offset.
impl Asm {
    fn load(&mut self, register: u32, base: u32, offset: u32) {
        self.word(0xf940_0000 | offset >> 3 << 10 | base << 5 | register);
    }
    fn store_at(&mut self, register: u32, base: u32, offset: u32) {
        self.word(0xf900_0000 | offset >> 3 << 10 | base << 5 | register);
    }
    /// LDAR.
    fn acquire(&mut self, register: u32, base: u32) {
        self.word(0xc8df_fc00 | base << 5 | register);
    }
    /// STLR.
    fn release(&mut self, register: u32, base: u32) {
        self.word(0xc89f_fc00 | base << 5 | register);
    }
    /// ADD (immediate).
    fn add(&mut self, to: u32, from: u32, immediate: u32) {
        let (shift, bits) = if immediate < 0x1000 {
            (0, immediate)
        } else {
            (1, immediate >> 12)
        };
        self.word(0x9100_0000 | shift << 22 | bits << 10 | from << 5 | to);
    }
    fn compare(&mut self, a: u32, b: u32) {
        self.word(0xeb00_001f | b << 16 | a << 5);
    }
    fn compare_with(&mut self, a: u32, immediate: u32) {
        self.word(0xf100_001f | immediate << 10 | a << 5);
    }
    /// UBFX of two bits.
    fn two_bits(&mut self, to: u32, from: u32, at: u32) {
        self.word(0xd340_0000 | at << 16 | (at + 1) << 10 | from << 5 | to);
    }
    /// TBZ over so many bytes that follow.
    fn unless(&mut self, register: u32, bit: u32, bytes: u32) {
        self.word(0x3600_0000 | bit << 19 | (bytes + 4) >> 2 << 5 | register);
    }
    /// The address of a word of a box.
    fn in_box(&mut self, to: u32, number: u32, offset: u32) {
        let at = BOXES + 0x100 * number + offset;
        self.word(0xd2a0_0000 | at >> 16 << 5 | to); // MOVZ, LSL #16
        self.word(0xf280_0000 | (at & 0xffff) << 5 | to); // MOVK
    }
    /// To a part of the page.
    fn part(&mut self, part: u32) {
        self.branch(part.wrapping_sub(self.len()), false);
    }
    /// Does what the other asks for, if it does.
    fn look(&mut self) {
        self.word(0x1000_0000 | 2 << 5 | LINK); // ADR LINK, #8
        self.part(LOOKING);
    }
    /// What registers had before.
    fn clear(&mut self) {
        for register in 23..30 {
            self.word(0xd280_0000 | register); // MOVZ
        }
    }
}

impl Half {
    fn other(&self) -> u32 {
        1 - self.number
    }
    /// What the other has stored, as it has had it in a register.
    fn argument(&self, asm: &mut Asm, to: u32, offset: u32) {
        asm.load(to, BOX, offset);
        if self.big_endian[0] != self.big_endian[1] {
            asm.word(0xdac0_0c00 | to << 5 | to); // REV
        }
    }

    /// Stores an instruction at B, and what maintenance it needs.
    fn store_code(&self) -> Asm {
        let mut asm = Asm::default();
        self.argument(&mut asm, C, ARGUMENTS);
        if self.big_endian[self.number as usize] {
            asm.word(0x5ac0_0800 | C << 5 | C); // REV, of 32 bits
        }
        asm.store_word(C, B);
        asm.write((1, 3, 7, 11, 1), B); // DC CVAU
        asm.dsb();
        asm.unless(A, HOW, 8);
        asm.write((1, 0, 7, 1, 0), 31); // IC IALLUIS
        asm.branch(8, false);
        asm.write((1, 3, 7, 5, 1), B); // IC IVAU
        asm.dsb();
        asm
    }

    /// Stores a descriptor at B: break before make.
    fn store_descriptor(&self) -> Asm {
        let mut asm = Asm::default();
        asm.store(31, B);
        asm.dsb();
        asm.two_bits(A, A, HOW);
        for operand in [ARGUMENTS + 16, ARGUMENTS + 24] {
            self.argument(&mut asm, C, operand);
            for (how, tlbi) in TLBIS.into_iter().enumerate() {
                asm.compare_with(A, how as u32);
                asm.branch_if(NE, 8);
                asm.write(tlbi, if how as u32 == FOR_ALL { 31 } else { C });
            }
        }
        asm.dsb();
        // It stays as the other has stored it: the tables are the other's.
        asm.load(C, BOX, ARGUMENTS);
        asm.store(C, B);
        asm.dsb();
        asm
    }

    fn looking(&self, asm: &mut Asm) {
        asm.in_box(BOX, self.other(), COUNT);
        asm.acquire(A, BOX);
        asm.load(B, BOX, ANSWER);
        asm.compare(A, B);
        asm.branch_if(NE, 8);
        asm.go(Go::Jump, LINK);
        self.argument(asm, A, WHAT);
        self.argument(asm, B, ARGUMENTS + 8);
        asm.add(B, B, WINDOW);
        let (mut descriptor, code) = (self.store_descriptor(), self.store_code());
        descriptor.branch(code.len() + 4, false);
        asm.unless(A, 6, descriptor.len());
        asm.bytes.extend(descriptor.bytes);
        asm.bytes.extend(code.bytes);
        asm.add(A, BOX, ANSWER);
        asm.load(B, BOX, COUNT);
        asm.release(B, A);
        asm.go(Go::Jump, LINK);
    }

    fn asking(&self, asm: &mut Asm) {
        asm.in_box(BOX, self.number, COUNT);
        asm.store_at(A, BOX, WHAT);
        for argument in 0..4 {
            asm.store_at(argument, BOX, ARGUMENTS + 8 * argument);
        }
        asm.load(TURN, BOX, COUNT);
        asm.add(TURN, TURN, 1);
        asm.release(TURN, BOX);
        let mut on = Asm::default();
        on.clear();
        on.eret();
        asm.unless(A, POSTED, on.len());
        asm.bytes.extend(&on.bytes);
        self.wait(asm, (self.number, ANSWER), TURN);
        asm.isb();
        asm.bytes.extend(on.bytes);
    }

    /// Does what the other asks for until a word of a box is what a register has.
    fn wait(&self, asm: &mut Asm, (number, offset): (u32, u32), is: u32) {
        let again = asm.len();
        asm.word(0xd280_0000 | 100 << 5 | SPINS); // MOVZ
        let next = asm.len();
        asm.look();
        asm.in_box(BOX, number, offset);
        asm.acquire(A, BOX);
        asm.compare(A, is);
        asm.branch_if(EQ, 20);
        asm.decrement(SPINS);
        asm.branch_if(GT, next.wrapping_sub(asm.len()));
        asm.word(0xd503_203f); // YIELD
        asm.branch(again.wrapping_sub(asm.len()), false);
    }

    fn waiting(&self, asm: &mut Asm) {
        asm.in_box(BOX, self.number, COUNT);
        asm.load(TURN, BOX, COUNT);
        self.wait(asm, (self.number, ANSWER), TURN);
        asm.read(ELR, SPINS);
        asm.write(ELR, 30);
        asm.eret();
    }

    fn ending(&self, asm: &mut Asm) {
        lower(asm);
        asm.in_box(A, self.number, ENDED);
        asm.word(0x9280_0000 | TURN); // MOVN
        asm.release(TURN, A);
        self.wait(asm, (self.other(), ENDED), TURN);
        asm.clear();
        asm.word(0xd503_207f); // WFI
        asm.branch(0u32.wrapping_sub(4), false);
    }

    /// Asks at EL1, goes on for a moment in which nothing else is looked at, and does not have to wait if the other has been
    /// fast: what it has done is done for this CPU, too.
    pub fn post(&self, asm: &mut Asm, what: u32) {
        asm.svc(what | 1 << POSTED);
        asm.set(1, (DEVICE + 0x40).into());
        for _ in 0..24 {
            asm.word(0x4c40_2c20); // LD1 {V0.2D-V3.2D}, [X1]
        }
        asm.in_box(BOX, self.number, COUNT);
        asm.load(TURN, BOX, COUNT);
        asm.add(BOX, BOX, ANSWER);
        asm.acquire(A, BOX);
        asm.compare(A, TURN);
        asm.branch_if(EQ, 28);
        asm.set(30, (SERVICE + WAITING).into());
        asm.go(Go::Call, 30);
        asm.write(ELR, SPINS);
        // It makes no difference which way it has been.
        asm.compare(31, 31);
        asm.clear();
        asm.word(0xd280_0000 | FIRST_CHUNK << 5 | 30); // MOVZ X30
    }

    /// Fills the page.
    pub fn put(&self, page: &mut [u8]) {
        let mut asm = Asm::default();
        self.looking(&mut asm);
        fill(&mut asm, ENTRY);
        asm.two_bits(B, A, 5);
        asm.compare_with(B, END >> 5 & 3);
        asm.branch_if(EQ, ENDING - asm.len());
        asm.compare_with(B, LOOK >> 5 & 3);
        asm.branch_if(NE, ASKING - asm.len());
        asm.look();
        asm.clear();
        asm.eret();
        fill(&mut asm, ASKING);
        self.asking(&mut asm);
        fill(&mut asm, ENDING);
        self.ending(&mut asm);
        fill(&mut asm, WAITING);
        self.waiting(&mut asm);
        let rest = Set::A64.nops(page.len() - asm.bytes.len());
        page.copy_from_slice(&[asm.bytes, rest].concat());
    }
}

/// Whether an instruction is the page's.
pub fn is_here(insn: &Entered) -> bool {
    insn.pc >> 12 == u64::from(SERVICE >> 12)
}

/// What an instruction does for the other CPU, and when; or to it.
pub fn kinds(state: &Cpu, insn: &Entered) -> [Option<&'static str>; 3] {
    const CODE_AT_B: u32 = 0xb900_0000 | B << 5 | C;
    const NOTHING_AT_B: u32 = 0xf900_0000 | B << 5 | 31;
    const IN_TIME: u32 = 0xeb00_001f | TURN << 16 | A << 5;
    let Some(word) = insn.code.first_chunk().map(|code| u32::from_le_bytes(*code)) else {
        return [None; 3];
    };
    let here = is_here(insn);
    // SYS of CRn 8: CRm 7 is for this CPU alone.
    let broadcast = word & 0xffff_f000 == 0xd508_8000 && word >> 8 & 15 < 7;
    let stores = matches!(word & 0xffc0_03ff, 0x3900_0020 | 0xb900_0020 | 0xf900_0020);
    let asks = word == 0xc89f_fc00 | BOX << 5 | TURN;
    let done = match word {
        _ if here && asks && state.x[A as usize] >> POSTED & 1 != 0 => "posted",
        _ if here && asks => "asked",
        CODE_AT_B if here => "code",
        NOTHING_AT_B if here => "mapping",
        IN_TIME if !here && state.x[A as usize] == state.x[TURN as usize] => "in time",
        _ if broadcast && !here => "broadcast",
        _ if stores && state.x[1] >> 21 == u64::from(WINDOW >> 21) => "the same",
        _ => return [None; 3],
    };
    let when = match state.x[TURN as usize] {
        _ if !here => None,
        0 => Some("between"),
        _ => Some("while waiting"),
    };
    [Some(done), when, None]
}

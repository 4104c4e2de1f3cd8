//! Encoding of the instructions that sequences are made of.

use crate::pattern::{field, put_field};
use emu_frontend_arm::a64::table::{Insn, Table};
use emu_frontend_arm::a64::{self, Row, decoder, fp, simd};
use emu_ir::testing::Random;

/// Rows by what they do; those that would leave the sequence are in none.
pub struct Rows {
    /// Computing: with general registers; with those of floating point and Advanced SIMD.
    pub plain: Vec<&'static Row<Insn>>,
    pub vector: Vec<&'static Row<Insn>>,
    /// Loads and stores of each.
    pub memory: Vec<&'static Row<Insn>>,
    pub vector_memory: Vec<&'static Row<Insn>>,
}

/// Rows that branch, wait, or change what the sequence relies on: made on purpose elsewhere.
fn is_apart(name: &str) -> bool {
    let rows = [
        "b", "b_cond", "bl", "br", "blr", "ret", "eret", "drps", "cbz", "cbnz", "tbz", "tbnz", "braaz", "blraaz",
        "braa", "blraa", "retaa", "eretaa", "svc", "hvc", "smc", "brk", "hlt", "dcps1", "dcps2", "dcps3", "udf",
        "hint", "wfi", "wfe", "yield_", "msr", "msr_imm", "mrs", "sys", "sysl", "dc_zva",
    ];
    rows.contains(&name)
}

fn is_memory(name: &str) -> bool {
    let starts = ["ld", "st", "swp", "cas", "prfm", "prfum"];
    starts.iter().any(|start| name.starts_with(start))
}

/// Rows that change the registers that hold addresses.
fn changes_addresses(name: &str) -> bool {
    name == "pac_1716"
}

/// Rows between both kinds of registers.
fn is_mixed(name: &str) -> bool {
    let starts = [
        "fmov",
        "fcvt",
        "fjcvtzs",
        "scvtf",
        "ucvtf",
        "umov",
        "smov",
        "dup_general",
        "ins_general",
    ];
    starts.iter().any(|start| name.starts_with(start))
}

/// Whether two are one: a constant table has no address of its own.
fn same(a: &Row<Insn>, b: &Row<Insn>) -> bool {
    (a.name, a.pattern.text) == (b.name, b.pattern.text)
}

impl Rows {
    pub fn new() -> Rows {
        let is_vector = |row: &Row<Insn>| {
            let of = |tables: &[Table]| tables.iter().any(|table| table.iter().any(|r| same(r, row)));
            [fp::TABLES, fp::HALVES, simd::MEMORY, simd::DATA].iter().any(|t| of(t))
        };
        let pick = |memory, vector| -> Vec<_> {
            let all = a64::rows().filter(|row| !is_apart(row.name) && is_memory(row.name) == memory);
            all.filter(|row| is_vector(row) == vector).collect()
        };
        Rows {
            plain: pick(false, false),
            vector: pick(false, true),
            memory: pick(true, false),
            vector_memory: pick(true, true),
        }
    }
    /// Without what may access just any address.
    pub fn with_known_addresses() -> Rows {
        let mut rows = Rows::new();
        rows.plain.retain(|row| !changes_addresses(row.name));
        let indexed = |row: &Row<Insn>| field(row.pattern.text, 'm').count_ones() == 5 && !row.name.contains("lane");
        for memory in [&mut rows.memory, &mut rows.vector_memory] {
            memory.retain(|row| !indexed(row));
        }
        rows
    }
}

/// The first of four registers that hold addresses.
pub const ADDRESSES: u32 = 16;
/// Counts chunks.
pub const CHUNKS_LEFT: u32 = 20;
/// Counts rounds of a loop.
pub const ROUNDS: u32 = 21;
/// Counts exceptions.
pub const EXCEPTIONS_LEFT: u32 = 22;

/// A word of the row: registers x0 to x15, now and then 31, vector registers of any number.
pub fn word_of(row: &'static Row<Insn>, random: &mut Random) -> u32 {
    word_by(row, ADDRESSES + random.word_below(4), random)
}

/// The same, with this register for an address.
pub fn word_by(row: &'static Row<Insn>, base: u32, random: &mut Random) -> u32 {
    let words = std::iter::repeat_with(|| made(row, base, random));
    // A row may have others in it that are more refined.
    let of_row = |word: &u32| decoder().find(*word).is_some_and(|found| same(found, row));
    words.take(1000).find(of_row).expect("a row has words of its own")
}

fn made(row: &Row<Insn>, base: u32, random: &mut Random) -> u32 {
    let text = row.pattern.text;
    let mut word = random.word() & !row.pattern.mask | row.pattern.bits;
    let memory = is_memory(row.name);
    let vectors = word >> 25 & 7 == 7 && !is_mixed(row.name) || memory && word >> 26 & 1 != 0;
    for name in "ndmatus".chars() {
        let mask = field(text, name);
        if mask.count_ones() != 5 || vectors && !(memory && matches!(name, 'n' | 'm')) {
            continue;
        }
        let any = random.word_below(16);
        word = put_field(word, mask, if random.one_in(20) { 31 } else { any });
    }
    if memory {
        addressed(text, word, base, random)
    } else {
        word
    }
}

/// A load or store by this register, near it.
fn addressed(text: &str, mut word: u32, base: u32, random: &mut Random) -> u32 {
    word = put_field(word, field(text, 'n'), base);
    let offset = field(text, 'i');
    match offset.count_ones() {
        12 if !random.one_in(16) => word & !(offset & 0x3f << 16),
        // Of literals: some words away.
        19 => word & !(offset & 0x1ff << 15) | if random.one_in(2) { 0 } else { offset & 0x1ff << 15 },
        _ => word,
    }
}

/// A system register: op0, op1, CRn, CRm, op2.
pub type Register = (u32, u32, u32, u32, u32);

pub const SCTLR: Register = (3, 0, 1, 0, 0);
pub const CPACR: Register = (3, 0, 1, 0, 2);
pub const TTBR0: Register = (3, 0, 2, 0, 0);
pub const TCR: Register = (3, 0, 2, 0, 2);
pub const SPSR: Register = (3, 0, 4, 0, 0);
pub const ELR: Register = (3, 0, 4, 0, 1);
pub const ESR: Register = (3, 0, 5, 2, 0);
pub const PAR: Register = (3, 0, 7, 4, 0);

/// Bits of the manual's condition codes.
pub const EQ: u32 = 0;
pub const NE: u32 = 1;
pub const LE: u32 = 13;
pub const GT: u32 = 12;

/// Instructions, one after the other.
#[derive(Clone, Default)]
pub struct Asm {
    pub bytes: Vec<u8>,
}

impl Asm {
    pub fn word(&mut self, word: u32) {
        self.bytes.extend(word.to_le_bytes());
    }
    /// MOVZ and three MOVK: always four instructions, so that what depends on their number does not depend on the value.
    pub fn set(&mut self, register: u32, value: u64) {
        for half in 0..4 {
            let opcode = if half == 0 { 0xd280_0000 } else { 0xf280_0000 };
            let bits = (value >> (16 * half)) as u32 & 0xffff;
            self.word(opcode | half << 21 | bits << 5 | register);
        }
    }
    /// STR of 32 bits, without an offset.
    pub fn store_word(&mut self, register: u32, base: u32) {
        self.word(0xb900_0000 | base << 5 | register);
    }
    /// STR of 64 bits, without an offset.
    pub fn store(&mut self, register: u32, base: u32) {
        self.word(0xf900_0000 | base << 5 | register);
    }
    fn system((op0, op1, crn, crm, op2): Register) -> u32 {
        0xd500_0000 | op0 << 19 | op1 << 16 | crn << 12 | crm << 8 | op2 << 5
    }
    /// MSR, or a system instruction.
    pub fn write(&mut self, register: Register, from: u32) {
        self.word(Asm::system(register) | from);
    }
    /// MRS.
    pub fn read(&mut self, register: Register, to: u32) {
        self.word(Asm::system(register) | 1 << 21 | to);
    }
    /// MSR (immediate): op1 and op2 of the field.
    pub fn field(&mut self, (op1, op2): (u32, u32), value: u32) {
        self.word(0xd500_401f | op1 << 16 | op2 << 5 | value << 8);
    }
    /// MSR DAIFSet, #2.
    pub fn mask_interrupts(&mut self) {
        self.field((3, 6), 2);
    }
    /// MSR DAIFClr, #2, and DAIFSet: where an interrupt that is pending is taken.
    pub fn open_to_interrupts(&mut self) {
        self.field((3, 7), 2);
        self.mask_interrupts();
    }
    pub fn isb(&mut self) {
        self.word(0xd503_3fdf);
    }
    pub fn dsb(&mut self) {
        self.word(0xd503_3f9f);
    }
    pub fn svc(&mut self, number: u32) {
        self.word(0xd400_0001 | number << 5);
    }
    pub fn eret(&mut self) {
        self.word(0xd69f_03e0);
    }
    /// SUBS Xn, Xn, #1.
    pub fn decrement(&mut self, register: u32) {
        self.word(0xf100_0400 | register << 5 | register);
    }
    /// B or BL so many bytes from here.
    pub fn branch(&mut self, by: u32, link: bool) {
        self.word(0x1400_0000 | u32::from(link) << 31 | by >> 2 & 0x3ff_ffff);
    }
    /// B<cond> so many bytes from here.
    pub fn branch_if(&mut self, condition: u32, by: u32) {
        self.word(0x5400_0000 | (by >> 2 & 0x7_ffff) << 5 | condition);
    }
    /// BR, BLR or RET.
    pub fn go(&mut self, how: Go, register: u32) {
        self.word(0xd61f_0000 | (how as u32) << 21 | register << 5);
    }
    /// Counts a register down; at zero to `end`, by x0.
    pub fn count_down(&mut self, register: u32, end: u64) {
        self.decrement(register);
        self.branch_if(GT, 24);
        self.set(0, end);
        self.go(Go::Jump, 0);
    }
    pub fn len(&self) -> u32 {
        self.bytes.len() as u32
    }
}

/// What kind of indirect branch.
#[derive(Clone, Copy)]
pub enum Go {
    Jump,
    Call,
    Return,
}

//! Random instructions of the opcode maps' rows.

use crate::program::Set;
use emu_frontend_x86::decode::insn::Insn;
use emu_frontend_x86::decode::row::{Encoding, Form, Mandatory, Map, Method, Row, Width, flag};
use emu_frontend_x86::decode::{Code, Size, decode};
use emu_frontend_x86::features::Features;
use emu_frontend_x86::maps::{MAP_0F3A, MAP_0F38, ONE_BYTE, TWO_BYTE, X87};
use emu_ir::testing::Random;

/// What leads to the maps.
const MAPS: [(&[u8], &Map); 5] = [
    (&[], &ONE_BYTE),
    (&[0x0f], &TWO_BYTE),
    (&[0x0f, 0x38], &MAP_0F38),
    (&[0x0f, 0x3a], &MAP_0F3A),
    (&[], &X87),
];

/// A row, and what leads to its map.
#[derive(Clone, Copy)]
pub struct Place {
    escape: &'static [u8],
    row: &'static Row,
}

/// Rows by what they do; those that would leave a program, or change what it relies on, are in none.
pub struct Rows {
    /// Computing in registers.
    pub compute: Vec<Place>,
    /// Memory by ModRM.
    pub memory: Vec<Place>,
}

/// Instructions that branch or change what a program relies on: made on purpose elsewhere.
const APART: &[&str] = &[
    "jcc",
    "jmp",
    "jmp_far",
    "call",
    "call_far",
    "ret",
    "ret_far",
    "iret",
    "int",
    "int1",
    "int3",
    "into",
    "loop_",
    "loope",
    "loopne",
    "jcxz",
    "hlt",
    "cli",
    "sti",
    "popf",
    "pop_segment",
    "mov_to_segment",
    "lds",
    "les",
    "lss",
    "lfs",
    "lgs",
    "lldt",
    "ltr",
    "lgdt",
    "lidt",
    "lmsw",
    "syscall",
    "sysret",
    "sysenter",
    "sysexit",
    "rsm",
    "mov_to_control",
    "mov_to_debug",
    "wrmsr",
    "invlpg",
    "invpcid",
    "xsetbv",
    "wrpkru",
    "swapgs",
    "wrfsbase",
    "wrgsbase",
    "in_",
    "out",
    "ins",
    "outs",
    "movs",
    "stos",
    "lods",
    "cmps",
    "scas",
    "enter",
    "leave",
    "xlat",
    "maskmovq",
    "maskmovdqu",
    "mwait",
    "monitor",
];
/// The stack pointer.
const SP: u8 = 4;

fn uses(row: &Row, methods: &[Method]) -> bool {
    row.operands.iter().any(|o| methods.contains(&o.method))
}
fn may_be_memory(row: &Row) -> bool {
    row.flags & flag::MODRM != 0 && !matches!(row.form, Form::Register | Form::Always)
}
/// Whether it may access other memory than what it addresses, and a little behind.
fn strays(row: &Row) -> bool {
    let by_bits = row.name.starts_with("bt") && uses(row, &[Method::G]);
    row.flags & flag::VSIB != 0 || by_bits
}

impl Rows {
    pub fn new() -> Rows {
        let all = MAPS.iter().flat_map(|(escape, map)| {
            let here = map.rows.iter().filter(|row| !APART.contains(&row.name));
            here.map(|row| Place { escape, row })
        });
        let all: Vec<Place> = all.collect();
        let computes = |p: &Place| p.row.form != Form::Memory && !uses(p.row, &[Method::O]);
        Rows {
            compute: all.iter().copied().filter(computes).collect(),
            memory: all.into_iter().filter(|p| may_be_memory(p.row)).collect(),
        }
    }
    /// Without what may access just any address.
    pub fn with_known_addresses() -> Rows {
        let mut rows = Rows::new();
        rows.memory.retain(|p| !strays(p.row));
        rows
    }
    /// An instruction that computes, of at most so many bytes.
    pub fn compute(&self, set: Set, most: usize, random: &mut Random) -> Vec<u8> {
        let some = std::iter::repeat_with(|| {
            let place = random.pick(&self.compute);
            Maker::new(place, set, None, random).make()
        });
        let fits = |code: &Option<Vec<u8>>| code.as_ref().is_some_and(|code| code.len() <= most);
        some.take(1000).find(fits).flatten().unwrap_or_else(|| vec![0x90])
    }
    /// One that accesses memory near what a register has; `astray`: an index may lead anywhere.
    pub fn memory(&self, set: Set, base: u8, astray: bool, random: &mut Random) -> Vec<u8> {
        let some = std::iter::repeat_with(|| {
            let place = random.pick(&self.memory);
            let memory = Memory { base, astray };
            Maker::new(place, set, Some(memory), random).make()
        });
        some.take(1000)
            .find(Option::is_some)
            .flatten()
            .unwrap_or_else(|| vec![0x90])
    }
}

/// What the decoder is told.
pub fn code_of(set: Set) -> Code {
    Code {
        size: match set {
            Set::X16 => Size::Bits16,
            Set::X32 => Size::Bits32,
            _ => Size::Bits64,
        },
        vex: true,
        wide_branches: true,
        features: Features::ALL,
    }
}

#[derive(Clone, Copy)]
struct Memory {
    base: u8,
    astray: bool,
}

/// An instruction that is being made.
struct Maker<'a> {
    place: Place,
    set: Set,
    memory: Option<Memory>,
    random: &'a mut Random,
    bytes: Vec<u8>,
}

impl Maker<'_> {
    fn new(place: Place, set: Set, memory: Option<Memory>, random: &mut Random) -> Maker<'_> {
        Maker {
            place,
            set,
            memory,
            random,
            bytes: Vec::new(),
        }
    }
    /// It, if it is one of the row that leaves the stack pointer alone.
    fn make(mut self) -> Option<Vec<u8>> {
        let with_vex = match self.place.row.encoding {
            Encoding::Legacy => false,
            Encoding::Both(_) => self.random.one_in(3),
            Encoding::Vex => true,
        };
        self.prefixes(with_vex);
        if with_vex {
            self.vex();
        } else {
            self.rex();
            self.bytes.extend(self.place.escape);
        }
        let (first, last) = self.place.row.opcodes;
        let opcode = first + self.random.below(u64::from(last - first) + 1) as u8;
        self.bytes.push(opcode);
        if self.place.row.flags & flag::MODRM != 0 {
            self.modrm();
        }
        let numbers = match self.random.below(3) {
            0 => self.random.below(256),
            1 => self.random.pick(&[0, u64::MAX, 0x7fff_ffff, 0x8000_0000, 0x80, 1]),
            _ => self.random.next(),
        };
        self.bytes.extend(numbers.to_le_bytes());
        let insn = decode(&code_of(self.set), |at| {
            self.bytes.get(usize::from(at)).copied().ok_or(())
        })
        .ok()?;
        let fine = std::ptr::eq(insn.row, self.place.row) && !names_stack_pointer(&insn);
        self.bytes.truncate(insn.length.into());
        fine.then_some(self.bytes)
    }

    fn prefixes(&mut self, with_vex: bool) {
        let (row, r) = (self.place.row, &mut *self.random);
        let mut all: Vec<u8> = Vec::new();
        let rarely = r.one_in(40);
        match row.mandatory {
            _ if with_vex => {}
            Mandatory::Any if rarely => all.push(r.pick(&[0xf2, 0xf3])),
            Mandatory::Any | Mandatory::NoRep if r.one_in(4) => all.push(0x66),
            Mandatory::P66 => all.push(0x66),
            Mandatory::F3 => all.push(0xf3),
            Mandatory::F2 => all.push(0xf2),
            _ => {}
        }
        if let Some(memory) = self.memory {
            if row.flags & flag::LOCK != 0 && r.one_in(3) {
                all.push(0xf0);
            }
            if r.one_in(8) {
                all.push(r.pick(&[0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65]));
            }
            if memory.astray && r.one_in(24) {
                all.push(0x67);
            }
        }
        let by = r.below(all.len().max(1) as u64) as usize;
        all.rotate_left(by);
        self.bytes.extend(all);
    }
    /// The register of the address.
    fn base(&self) -> u8 {
        self.memory.map_or(0, |m| m.base)
    }
    fn rex(&mut self) {
        let (row, r) = (self.place.row, &mut *self.random);
        let high = self.memory.is_some_and(|m| m.base > 7);
        if self.set != Set::X64 || !high && row.w != Some(true) && r.one_in(2) {
            return;
        }
        let w = row.w.unwrap_or_else(|| r.one_in(2));
        let b = if self.memory.is_some() { high } else { r.one_in(2) };
        let bits = (r.below(4) as u8) << 1 | u8::from(b);
        self.bytes.push(0x40 | u8::from(w) << 3 | bits);
    }
    fn vex(&mut self) {
        let (row, high) = (self.place.row, self.base() > 7);
        let r = &mut *self.random;
        let vvvv = if uses(row, &[Method::H, Method::B]) {
            r.below(if self.set == Set::X64 { 16 } else { 8 }) as u8
        } else {
            0
        };
        let (w, l) = (
            row.w.unwrap_or_else(|| r.one_in(2)),
            row.l.unwrap_or_else(|| r.one_in(2)),
        );
        let mandatory = match row.mandatory {
            Mandatory::P66 => 1,
            Mandatory::F3 => 2,
            Mandatory::F2 => 3,
            _ => 0,
        };
        let map = match self.place.escape {
            [_, 0x38] => 2,
            [_, 0x3a] => 3,
            _ => 1,
        };
        // R, X and B are inverted, and 1 outside of 64-bit mode.
        let free = match self.set {
            Set::X64 => (r.below(4) as u8) << 1 | u8::from(!high),
            _ => 7,
        };
        let last = u8::from(w) << 7 | (!vvvv & 15) << 3 | u8::from(l) << 2 | mandatory;
        self.bytes.extend([0xc4, free << 5 | map, last]);
    }
    fn modrm(&mut self) {
        let (row, r) = (self.place.row, &mut *self.random);
        let Some(memory) = self.memory else {
            let any = r.below(64) as u8 | 0xc0;
            let modrm = any & !row.modrm.0 | row.modrm.1;
            return self.bytes.push(modrm);
        };
        let reg = (r.below(8) as u8) << 3;
        let index = row.flags & flag::VSIB != 0 || memory.astray && r.one_in(20);
        let (mode, rm) = match self.set {
            // BX, SI, DI or BP.
            Set::X16 => (
                1 + r.below(2) as u8,
                [7, 7, 7, 7, 7, 6, 4, 5][usize::from(memory.base & 7)],
            ),
            _ if index => (1, 4),
            _ if memory.base & 7 == 5 => (1 + r.below(2) as u8, 5),
            _ => (r.below(3) as u8, memory.base & 7),
        };
        let modrm = (mode << 6 | reg | rm) & !row.modrm.0 | row.modrm.1;
        self.bytes.push(modrm);
        if rm == 4 && self.set != Set::X16 {
            let sib = (r.below(32) as u8) << 3 | memory.base & 7;
            self.bytes.push(sib);
        }
        let by = r.word_below(48).wrapping_sub(if r.one_in(8) { 24 } else { 0 });
        let size = match (mode, self.set) {
            (0, _) => 0,
            (1, _) => 1,
            (_, Set::X16) => 2,
            _ => 4,
        };
        self.bytes.extend(&by.to_le_bytes()[..size]);
    }
}

/// Whether the stack pointer is an operand.
fn names_stack_pointer(insn: &Insn) -> bool {
    insn.row.operands.iter().any(|o| {
        let register = match o.method {
            Method::G => insn.reg(),
            Method::E if insn.modrm >= 0xc0 => insn.rm(),
            Method::R => insn.rm(),
            Method::Z => insn.low(),
            Method::B => insn.vex.map_or(0, |vex| vex.vvvv),
            Method::Register(n) => n,
            _ => return false,
        };
        // Of bytes without REX it is AH.
        register == SP && (o.width != Width::B || insn.rex.present)
    })
}

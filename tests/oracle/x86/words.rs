//! Instructions of a row: prefixes, ModRM, SIB, displacements and numbers are random, though those that address memory mostly
//! address what is there.

use super::super::{Random, Row};
use super::record::{CODE, CODE_BYTES, CODE_SIZE, CODE16, CODE32, CODE64, FLAGS, HLT, Record, WINDOW, WINDOW_SIZE};
use bytemuck::Zeroable;
use emu_frontend_x86::decode::insn::Insn;
use emu_frontend_x86::decode::row::{self, Encoding, Form, Mandatory, Map, Method, flag};
use emu_frontend_x86::decode::{Code, Failed, LONGEST, Size, decode};
use emu_frontend_x86::features::Features;
use emu_frontend_x86::maps::{MAP_0F3A, MAP_0F38, ONE_BYTE, TWO_BYTE, X87};
use emu_frontend_x86::state::bits::eflags;
use std::collections::HashMap;
use std::sync::LazyLock;

/// The maps: their names, and what leads to them.
const MAPS: [(&str, &[u8], &Map); 5] = [
    ("", &[], &ONE_BYTE),
    ("0f", &[0x0f], &TWO_BYTE),
    ("0f38", &[0x0f, 0x38], &MAP_0F38),
    ("0f3a", &[0x0f, 0x3a], &MAP_0F3A),
    ("x87", &[], &X87),
];

/// A row of a map, and what leads to the map.
#[derive(Clone, Copy)]
pub struct Place {
    escape: &'static [u8],
    pub row: &'static row::Row,
}

/// Rows by their patterns, which are the map's name and the row's words.
static PLACES: LazyLock<HashMap<String, Place>> = LazyLock::new(|| {
    let rows = MAPS.iter().flat_map(|(name, escape, map)| {
        map.rows
            .iter()
            .map(move |row| (pattern(name, row), Place { escape, row }))
    });
    rows.collect()
});

fn pattern(map: &str, row: &row::Row) -> String {
    format!("{map} {}", row.text)
}

/// Where a row is.
pub fn place(row: &Row) -> Place {
    PLACES[&row.pattern]
}

/// Every row of every map.
pub fn rows() -> Vec<Row> {
    let row = |name: &str, row: &row::Row| Row {
        file: file(name, row).into(),
        name: row.name.into(),
        pattern: pattern(name, row),
    };
    MAPS.iter()
        .flat_map(|(name, _, map)| map.rows.iter().map(move |r| row(name, r)))
        .collect()
}

/// A row of a map as a row with vectors.
pub fn row_of(row: &row::Row) -> Row {
    let (pattern, place) = PLACES
        .iter()
        .find(|(_, place)| std::ptr::eq(place.row, row))
        .expect("it is of a map");
    let map = pattern.split(' ').next().unwrap_or("");
    Row {
        file: file(map, place.row).into(),
        name: row.name.into(),
        pattern: pattern.clone(),
    }
}

/// The file of a row's vectors.
fn file(map: &str, row: &row::Row) -> &'static str {
    let uses = |methods: &[Method]| row.operands.iter().any(|o| methods.contains(&o.method));
    match map {
        "x87" => "x87",
        _ if row.needs.has(Features::named(b"fma").expect("it is there")) => "fma",
        _ if uses(&[Method::P, Method::Q, Method::N]) => "mmx",
        _ if uses(&[Method::V, Method::W, Method::U, Method::H]) && is_floating(row.name) => "simd-fp",
        _ if uses(&[Method::V, Method::W, Method::U, Method::H]) => "simd",
        "" => "one-byte",
        _ => "two-byte",
    }
}

/// Whether instructions of this name compute in floating point, in vectors.
fn is_floating(name: &str) -> bool {
    let name = name.strip_prefix('v').unwrap_or(name);
    let starts = [
        "add", "sub", "mul", "div", "sqrt", "rsqrt", "rcp", "min", "max", "cmp", "comi", "ucomi", "cvt", "round",
        "dpp", "hadd", "hsub", "fm", "fnm",
    ];
    starts.iter().any(|start| name.starts_with(start))
}

/// Whether the row computes in floating point.
pub fn is_float(row: &Row) -> bool {
    matches!(row.file.as_str(), "x87" | "fma" | "simd-fp")
}

/// What decoding depends on, in a record's code: of a processor of AMD, for such a one made the vectors.
pub fn code_of(size: Size) -> Code {
    Code {
        size,
        vex: true,
        wide_branches: false,
        features: Features::ALL,
    }
}

/// The instruction of a record, if it is one.
pub fn insn(r: &Record) -> Result<Insn, Failed<()>> {
    decode(&code_of(r.size()), |at| r.code.get(usize::from(at)).copied().ok_or(()))
}

/// Numbers in instructions at the edges.
const NUMBERS: [u8; 12] = [0, 1, 2, 7, 8, 15, 16, 31, 63, 0x7f, 0x80, 0xff];

/// An instruction that is being made.
struct Maker<'a> {
    place: Place,
    size: Size,
    random: &'a mut Random,
    bytes: Vec<u8>,
    /// 67 is there.
    narrow: bool,
}

impl Maker<'_> {
    fn push(&mut self, byte: u8) {
        self.bytes.push(byte);
    }
    fn with_vex(&mut self) -> bool {
        match self.place.row.encoding {
            Encoding::Legacy => false,
            Encoding::Both(_) => self.random.one_in(2),
            Encoding::Vex => true,
        }
    }

    fn make(&mut self) {
        let with_vex = self.with_vex();
        self.prefixes(with_vex);
        if with_vex {
            self.vex();
        } else {
            self.rex();
            self.bytes.extend(self.place.escape);
        }
        let (first, last) = self.place.row.opcodes;
        let opcode = first + self.random.below(u64::from(last - first) + 1) as u8;
        self.push(opcode);
        let addresses = if self.place.row.flags & flag::MODRM != 0 {
            self.modrm()
        } else {
            false
        };
        if !addresses {
            self.numbers();
        }
    }

    fn prefixes(&mut self, with_vex: bool) {
        let row = self.place.row;
        let mut all = Vec::new();
        let mut now_and_then = |random: &mut Random, n: u64, byte: u8| {
            if random.one_in(n) {
                all.push(byte);
            }
        };
        let r = &mut *self.random;
        let strings = row.operands.iter().any(|o| matches!(o.method, Method::X | Method::Y));
        // What VEX does not allow is there to be refused.
        let rarely = if with_vex { 200 } else { 1 };
        match row.mandatory {
            _ if with_vex => now_and_then(r, 100, 0x66),
            Mandatory::Any | Mandatory::NoRep => now_and_then(r, 4, 0x66),
            Mandatory::Np => {}
            Mandatory::P66 => now_and_then(r, 1, 0x66),
            Mandatory::F3 | Mandatory::F2 => now_and_then(r, 5, 0x66),
        }
        match row.mandatory {
            Mandatory::F3 if !with_vex => now_and_then(r, 1, 0xf3),
            Mandatory::F2 if !with_vex => now_and_then(r, 1, 0xf2),
            Mandatory::Any => {
                now_and_then(r, if strings { 2 } else { 20 } * rarely, 0xf3);
                now_and_then(r, if strings { 4 } else { 20 } * rarely, 0xf2);
            }
            _ => {}
        }
        let may_lock = row.flags & flag::LOCK != 0;
        // LOCK makes CR8 of CR0 on AMD's processors.
        let has_meaning = row.form == Form::Always;
        if !has_meaning {
            now_and_then(r, if may_lock { 4 } else { 60 * rarely }, 0xf0);
        }
        now_and_then(r, 8, 0x67);
        for segment in [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65] {
            now_and_then(r, 30, segment);
        }
        for _ in 0..all.len() {
            let (a, b) = (r.below(all.len() as u64), r.below(all.len() as u64));
            all.swap(a as usize, b as usize);
        }
        self.narrow = all.contains(&0x67);
        self.bytes.extend(all);
    }

    fn rex(&mut self) {
        let r = &mut *self.random;
        if self.size != Size::Bits64 || self.place.row.w != Some(true) && r.one_in(2) {
            return;
        }
        let w = self.place.row.w.unwrap_or_else(|| r.one_in(2));
        let bits = self.random.below(8) as u8;
        self.push(0x40 | u8::from(w) << 3 | bits);
        if self.random.one_in(40) {
            // It does not count, for it is not the last.
            self.push(0x3e);
        }
    }

    fn vex(&mut self) {
        let row = self.place.row;
        let r = &mut *self.random;
        let uses = |m: Method| row.operands.iter().any(|o| o.method == m);
        let vvvv = if uses(Method::H) || uses(Method::B) || r.one_in(60) {
            r.below(16) as u8
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
        let last = u8::from(w) << 7 | (!vvvv & 15) << 3 | u8::from(l) << 2 | mandatory;
        // Outside of 64-bit mode R and X are 1, else it is LES.
        let free = if self.size == Size::Bits64 {
            r.below(8) as u8
        } else {
            6 + r.below(2) as u8
        };
        if self.place.escape.len() == 1 && !w && r.one_in(2) {
            self.bytes.extend([0xc5, last & 0x7f | free << 5 & 0x80]);
        } else {
            let map = match self.place.escape {
                [_, 0x38] => 2,
                [_, 0x3a] => 3,
                _ => 1,
            };
            self.bytes.extend([0xc4, free << 5 | map, last]);
        }
    }

    /// How wide addresses are, in bytes.
    fn address_size(&self) -> usize {
        match (self.size, self.narrow) {
            (Size::Bits64, false) => 8,
            (Size::Bits64, true) | (Size::Bits32, false) | (Size::Bits16, true) => 4,
            _ => 2,
        }
    }

    /// ModRM and what it asks for. Whether it addresses memory.
    fn modrm(&mut self) -> bool {
        let row = self.place.row;
        let r = &mut *self.random;
        let mode = match row.form {
            Form::Memory => r.below(3),
            Form::Register => 3,
            Form::Always => r.below(4),
            Form::Both if r.one_in(2) => 3,
            Form::Both => r.below(3),
        } as u8;
        let any = (r.below(64) as u8) | mode << 6;
        let mut modrm = any & !row.modrm.0 | row.modrm.1;
        if row.flags & flag::VSIB != 0 && !r.one_in(60) {
            modrm = modrm & !7 | 4;
        }
        self.push(modrm);
        let addresses = modrm < 0xc0 && row.form != Form::Always;
        if addresses {
            self.memory(modrm);
        }
        self.tail();
        addresses
    }

    fn memory(&mut self, modrm: u8) {
        let (mode, mut base) = (modrm >> 6, modrm & 7);
        let wide = self.address_size() != 2;
        if wide && base == 4 {
            let sib = self.random.below(256) as u8;
            self.push(sib);
            base = sib & 7;
        }
        let alone = mode == 0 && base == if wide { 5 } else { 6 };
        match mode {
            _ if alone => self.address(if wide { 4 } else { 2 }),
            1 => {
                let byte = self.random.below(256) as u8;
                self.push(byte);
            }
            2 => self.displacement(if wide { 4 } else { 2 }),
            _ => {}
        }
    }

    fn displacement(&mut self, size: usize) {
        let r = &mut *self.random;
        let by = match r.below(4) {
            0 => r.word(),
            1 => 0,
            _ => r.word_below(512).wrapping_sub(256),
        };
        self.bytes.extend(&by.to_le_bytes()[..size]);
    }

    /// The address of something in the window: as it is where segments are flat, or as it is in the segments around it.
    fn address(&mut self, size: usize) {
        let r = &mut *self.random;
        let mut at = (WINDOW + 64 + r.below(WINDOW_SIZE as u64 - 128)) & !r.pick(&[0, 0, 1, 3, 7, 15, 15, 31, 63]);
        if size == 2 {
            at &= 0xffff;
        } else if self.size == Size::Bits64
            && !self.narrow
            && self.place.row.flags & flag::MODRM != 0
            && self.relative()
        {
            at = at.wrapping_sub(CODE + 0x1000);
        }
        self.bytes.extend(&at.to_le_bytes()[..size]);
    }
    /// Whether the address that comes is relative to the instruction: ModRM has it, no SIB.
    fn relative(&self) -> bool {
        self.bytes.last().is_some_and(|modrm| modrm & 0xc7 == 5)
    }

    /// Numbers behind an opcode without ModRM: addresses, distances and far pointers.
    fn numbers(&mut self) {
        let operands = self.place.row.operands;
        let uses = |m: Method| operands.iter().any(|o| o.method == m);
        if uses(Method::O) {
            self.address(self.address_size());
        } else if uses(Method::A) {
            let far = self.bytes.iter().filter(|b| **b == 0x66).count() % 2 == 1;
            let size = if (self.size == Size::Bits32) == far { 2 } else { 4 };
            let at = target(self.random, self.size == Size::Bits16);
            self.bytes.extend(&at.to_le_bytes()[..size]);
            let selector = code_selector(self.random);
            self.bytes.extend(selector.to_le_bytes());
        } else if uses(Method::J) && self.place.row.text.contains("Jz") {
            let far = self.random.one_in(16);
            let by = if far {
                self.random.word()
            } else {
                self.random.word_below(0x600).wrapping_sub(0x300)
            };
            self.bytes.extend(by.to_le_bytes());
        }
        self.tail();
    }

    /// Numbers, as many as there may be.
    fn tail(&mut self) {
        if self.place.row.name == "enter" {
            let size = self.random.word_below(64) as u16;
            self.bytes.extend(size.to_le_bytes());
            let nesting = self.random.pick(&[0, 0, 0, 1, 2, 5, 31, 32, 64]);
            self.push(nesting);
        }
        if self.place.row.name.starts_with("ret") {
            let size = self.random.word_below(64) as u16;
            self.bytes.extend(size.to_le_bytes());
        }
        for _ in 0..2 {
            let r = &mut *self.random;
            let number = match r.below(4) {
                0 => u32::from(r.pick(&NUMBERS)),
                1 => r.pick(&[0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xffff_ff80, 0x7fff, 0x8000]),
                _ => r.word(),
            };
            self.bytes.extend(number.to_le_bytes());
        }
    }
}

/// Somewhere to go to in code: a linear address, or an offset in [`CODE16`].
pub fn target(random: &mut Random, offset: bool) -> u64 {
    if random.one_in(12) {
        return 0x6000_0000 | random.below(1 << 28);
    }
    random.below(CODE_SIZE as u64) + if offset { 0 } else { CODE }
}

/// A selector for CS: mostly of code.
pub fn code_selector(random: &mut Random) -> u16 {
    random.pick(&[
        CODE64, CODE64, CODE32, CODE32, CODE16, CODE16, 0x37, 0x3f, 0x4f, 0x2b, 0, 3, 0x10, 0x32, 0x22, 0x88, 0x57,
        0x0f,
    ])
}

/// A selector for data.
pub fn data_selector(random: &mut Random) -> u16 {
    random.pick(&[
        0x2b, 0x2b, 0x2b, 0x28, 0x2a, 0x0f, 0x0f, 0x17, 0x1f, 0x27, 0x2f, 0x37, 0x3f, 0x47, 0x4f, 0, 1, 3, 0x23, 0x18,
        0x10, 0x88, 0x57, 0x0c, 0x33,
    ])
}

/// What kinds of code may have the row's instructions.
fn sizes(row: &row::Row) -> &'static [Size] {
    use Size::{Bits16, Bits32, Bits64};
    if row.flags & flag::ONLY64 != 0 {
        &[Bits64]
    } else if row.flags & flag::NO64 != 0 {
        &[Bits32, Bits32, Bits32, Bits16, Bits16]
    } else {
        &[Bits64, Bits64, Bits64, Bits32, Bits32, Bits16]
    }
}

/// Whether the instruction would go to the oracle's own kernel.
fn is_foreign(insn: &Insn) -> bool {
    insn.row.name == "int" && insn.immediate == 0x80
}

/// A random instruction of the row, of code of a random size.
pub fn code(row: &Row, random: &mut Random) -> Record {
    let place = place(row);
    let (bytes, length, size) = loop {
        let size = random.pick(sizes(place.row));
        let mut maker = Maker {
            place,
            size,
            random,
            bytes: Vec::new(),
            narrow: false,
        };
        maker.make();
        let bytes = maker.bytes;
        let found = decode(&code_of(size), |at| bytes.get(usize::from(at)).copied().ok_or(()));
        match found {
            Ok(insn) if std::ptr::eq(insn.row, place.row) && !is_foreign(&insn) => break (bytes, insn.length, size),
            Err(Failed::Undefined) if random.one_in(4) => {
                let length = bytes.len().min(usize::from(LONGEST));
                break (bytes, length as u8, size);
            }
            _ => {}
        }
    };
    let mut code = [HLT; CODE_BYTES];
    let whole = &bytes[..usize::from(length)];
    code[..whole.len()].copy_from_slice(whole);
    // Now and then, some of it is not there.
    let at = if random.one_in(30) {
        CODE + CODE_SIZE as u64 - 1 - random.below(CODE_BYTES as u64)
    } else {
        CODE + 0x1000 + random.below(0x1000 - 32)
    };
    let cs = match size {
        Size::Bits16 => CODE16,
        Size::Bits32 => CODE32,
        Size::Bits64 => CODE64,
    };
    let rare = eflags::NT | eflags::ID;
    let flags = random.word() & FLAGS & (eflags::STATUS | rare);
    let aligned = if random.one_in(24) { eflags::AC } else { 0 };
    Record {
        code,
        rip: if cs == CODE16 { at - CODE } else { at },
        cs,
        length: length.into(),
        flags: if random.one_in(16) { flags } else { flags & !rare } | aligned,
        ..Record::zeroed()
    }
}

//! The words of a row, read when it is compiled.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    reason = "what fails here does not compile"
)]

use super::row::{Encoding, Form, Mandatory, Method, Operand, Row, Width, flag};
use crate::features::Features;

/// A word of a row.
#[derive(Clone, Copy)]
struct Word<'a>(&'a [u8]);

impl Word<'_> {
    const fn is(self, text: &str) -> bool {
        let text = text.as_bytes();
        let mut i = 0;
        while i < self.0.len() && i < text.len() && self.0[i] == text[i] {
            i += 1;
        }
        i == self.0.len() && i == text.len()
    }
    const fn at(self, i: usize) -> u8 {
        if i < self.0.len() { self.0[i] } else { 0 }
    }
    /// The byte, or the first of several, if it is of bytes.
    const fn byte(self) -> Option<u8> {
        if self.0.len() != 2 && self.at(2) != b'+' {
            return None;
        }
        match (digit(self.at(0)), digit(self.at(1))) {
            (Some(high), Some(low)) => Some(high << 4 | low),
            _ => None,
        }
    }
    /// How many numbers from the byte on it says.
    const fn count(self) -> u8 {
        match (self.0.len(), self.at(2), self.at(3)) {
            (2, ..) => 1,
            (4, b'+', b'r' | b'i') => 8,
            (4, b'+', b'c') => 16,
            _ => panic!("a word of bytes that means nothing"),
        }
    }
    /// The word from `i` on.
    const fn from(self, i: usize) -> Self {
        Word(self.0.split_at(i).1)
    }
}

const fn digit(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    }
}

const NO_OPERAND: Operand = Operand {
    method: Method::None,
    width: Width::None,
};

impl Row {
    /// The row of these words: see [the module](super::row).
    ///
    /// # Panics
    /// A word means nothing, or stands where it means nothing: in a map, a compile error.
    pub const fn new(name: &'static str, text: &'static str) -> Row {
        let mut row = Row {
            name,
            text,
            opcodes: (0, 0),
            modrm: (0, 0),
            form: Form::Both,
            mandatory: Mandatory::Any,
            w: None,
            l: None,
            encoding: Encoding::Legacy,
            flags: 0,
            needs: Features::NONE,
            operands: [NO_OPERAND; 4],
        };
        let (mut rest, mut seen, mut operands) = (text.as_bytes(), 0, 0);
        while !rest.is_empty() {
            let mut end = 0;
            while end < rest.len() && rest[end] != b' ' {
                end += 1;
            }
            let word = Word(rest.split_at(end).0);
            rest = rest.split_at(if end < rest.len() { end + 1 } else { end }).1;
            if word.0.is_empty() {
                continue;
            }
            if seen == 0 {
                row.opcode(word);
            } else if is_operand(word) {
                row.operands[operands] = operand(word);
                if has_modrm(row.operands[operands].method) {
                    row.flags |= flag::MODRM;
                }
                operands += 1;
            } else {
                assert!(operands == 0, "operands are the last words");
                row.word(word);
            }
            seen += 1;
        }
        row
    }

    const fn opcode(&mut self, word: Word) {
        let Some(first) = word.byte() else {
            panic!("the first word is the opcode")
        };
        self.opcodes = (first, first + (word.count() - 1));
    }

    const fn word(&mut self, word: Word) {
        if word.at(0) == b'/' {
            self.modrm = (0x38, (word.at(1) - b'0') << 3);
            self.flags |= flag::MODRM;
        } else if let Some(byte) = word.byte() {
            self.modrm = (!(word.count() - 1), byte);
            self.flags |= flag::MODRM;
        } else if word.at(0) == b'@' {
            let Some(feature) = Features::named(word.from(1).0) else {
                panic!("no such feature")
            };
            self.needs = self.needs.with(feature);
        } else {
            self.condition(word);
        }
    }

    const fn condition(&mut self, word: Word) {
        let avx = Features::named(b"avx").expect("it is there");
        let avx2 = Features::named(b"avx2").expect("it is there");
        match () {
            () if word.is("mem") => self.form = Form::Memory,
            () if word.is("reg") => self.form = Form::Register,
            () if word.is("any") => self.form = Form::Always,
            () if word.is("norep") => self.mandatory = Mandatory::NoRep,
            () if word.is("np") => self.mandatory = Mandatory::Np,
            () if word.is("p66") => self.mandatory = Mandatory::P66,
            () if word.is("pf3") => self.mandatory = Mandatory::F3,
            () if word.is("pf2") => self.mandatory = Mandatory::F2,
            () if word.is("w0") => self.w = Some(false),
            () if word.is("w1") => self.w = Some(true),
            () if word.is("l0") => self.l = Some(false),
            () if word.is("l1") => self.l = Some(true),
            () if word.is("vex") => self.encoding = Encoding::Both(avx),
            () if word.is("vex2") => self.encoding = Encoding::Both(avx2),
            () if word.is("vexonly") => self.encoding = Encoding::Vex,
            () => self.flags |= flag_of(word),
        }
    }
}

const fn flag_of(word: Word) -> u16 {
    match () {
        () if word.is("no64") => flag::NO64,
        () if word.is("only64") => flag::ONLY64,
        () if word.is("d64") => flag::D64,
        () if word.is("f64") => flag::F64,
        () if word.is("lock") => flag::LOCK,
        () if word.is("vsib") => flag::VSIB,
        () if word.is("lig") => flag::LIG,
        () if word.is("nob") => flag::NOB,
        () => panic!("a word that means nothing"),
    }
}

const fn is_operand(word: Word) -> bool {
    word.at(0).is_ascii_uppercase() || word.is("1") || word.is("eAX") || word.is("rAX")
}

/// Whether such an operand is in a ModRM byte.
const fn has_modrm(method: Method) -> bool {
    use Method::*;
    matches!(method, C | D | E | G | M | N | P | Q | R | S | U | V | W)
}

const fn operand(word: Word) -> Operand {
    let (method, width) = match always(word) {
        Some(always) => always,
        None => (method(word.at(0)), width(word.from(1))),
    };
    Operand { method, width }
}

/// An operand that is always the same.
const fn always(word: Word) -> Option<(Method, Width)> {
    Some(match () {
        () if word.is("AL") => (Method::Register(0), Width::B),
        () if word.is("CL") => (Method::Register(1), Width::B),
        () if word.is("AX") => (Method::Register(0), Width::W),
        () if word.is("DX") => (Method::Register(2), Width::W),
        () if word.is("eAX") => (Method::Register(0), Width::Z),
        () if word.is("rAX") => (Method::Register(0), Width::V),
        () if word.is("ES") => (Method::Segment(0), Width::V),
        () if word.is("CS") => (Method::Segment(1), Width::V),
        () if word.is("SS") => (Method::Segment(2), Width::V),
        () if word.is("DS") => (Method::Segment(3), Width::V),
        () if word.is("FS") => (Method::Segment(4), Width::V),
        () if word.is("GS") => (Method::Segment(5), Width::V),
        () if word.is("ST") => (Method::St, Width::T),
        () if word.is("STi") => (Method::Sti, Width::T),
        () if word.is("XMM0") => (Method::Xmm0, Width::X),
        () if word.is("1") => (Method::One, Width::B),
        () => return None,
    })
}

const fn method(letter: u8) -> Method {
    match letter {
        b'A' => Method::A,
        b'B' => Method::B,
        b'C' => Method::C,
        b'D' => Method::D,
        b'E' => Method::E,
        b'G' => Method::G,
        b'H' => Method::H,
        b'I' => Method::I,
        b'J' => Method::J,
        b'L' => Method::L,
        b'M' => Method::M,
        b'N' => Method::N,
        b'O' => Method::O,
        b'P' => Method::P,
        b'Q' => Method::Q,
        b'R' => Method::R,
        b'S' => Method::S,
        b'U' => Method::U,
        b'V' => Method::V,
        b'W' => Method::W,
        b'X' => Method::X,
        b'Y' => Method::Y,
        b'Z' => Method::Z,
        _ => panic!("no such letter of operands"),
    }
}

const fn width(word: Word) -> Width {
    match () {
        () if word.0.is_empty() => Width::None,
        () if word.is("b") => Width::B,
        () if word.is("bs") => Width::Bs,
        () if word.is("w") => Width::W,
        () if word.is("d") => Width::D,
        () if word.is("q") => Width::Q,
        () if word.is("dq") => Width::Dq,
        () if word.is("qq") => Width::Qq,
        () if word.is("t") => Width::T,
        () if word.is("v") => Width::V,
        () if word.is("vw") => Width::Vw,
        () if word.is("z") => Width::Z,
        () if word.is("y") => Width::Y,
        () if word.is("db") => Width::Db,
        () if word.is("dw") => Width::Dw,
        () if word.is("a") => Width::A,
        () if word.is("p") => Width::P,
        () if word.is("s") => Width::S,
        () if word.is("x") => Width::X,
        () if word.is("h") => Width::H,
        () if word.is("f") => Width::F,
        () if word.is("o") => Width::O,
        () if word.is("l") => Width::L,
        () => panic!("no such width of operands"),
    }
}

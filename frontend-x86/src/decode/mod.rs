//! From bytes to an instruction: SDM 2, chapter 2 (formats, prefixes, VEX) and Appendix A (maps).
//!
//! Bytes are fetched one after the other, and none that the instruction does not need.

mod address;
pub mod insn;
mod parse;
pub mod row;
#[cfg(test)]
mod tests;

use crate::features::Features;
use crate::maps::{MAP_0F3A, MAP_0F38, ONE_BYTE, TWO_BYTE, X87};
use insn::{Insn, Repeat, Rex, Segment, Vex};
use row::{Encoding, Form, Mandatory, Map, Method, Row, Width, flag};

/// The most bytes that an instruction has.
pub const LONGEST: u8 = 15;

/// What kind of code it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 16 bits: real mode, virtual 8086, segments with D clear.
    Bits16,
    /// 32 bits: segments with D set.
    Bits32,
    /// 64-bit mode.
    Bits64,
}

/// What decoding depends on.
#[derive(Clone, Copy, Debug)]
pub struct Code {
    /// What kind of code it is.
    pub size: Size,
    /// VEX is allowed: not in real mode and virtual 8086, nor before CR4.OSXSAVE and XCR0 say so.
    pub vex: bool,
    /// 66 before near branches in 64-bit mode means nothing, as on Intel's processors.
    pub wide_branches: bool,
    /// What the CPU has.
    pub features: Features,
}

/// Why there is no instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed<E> {
    /// A byte that it needs could not be fetched.
    Fetch(E),
    /// It has more than [`LONGEST`] bytes: #GP(0).
    TooLong,
    /// #UD.
    Undefined,
}

/// Decodes the instruction whose bytes `fetch` gives, by their distance from its first.
///
/// # Errors
/// There is none, or it cannot be fetched.
pub fn decode<E>(code: &Code, fetch: impl FnMut(u8) -> Result<u8, E>) -> Result<Insn, Failed<E>> {
    let mut bytes = Bytes { fetch, at: 0 };
    let mut prefixes = Prefixes::default();
    let opcode = prefixes.read(code, &mut bytes)?;
    let (map, opcode) = prefixes.escape(code, opcode, &mut bytes)?;
    let mut pick = Pick {
        code,
        prefixes: &prefixes,
        opcode,
        modrm: 0,
    };
    let elsewhere = match code.size {
        Size::Bits64 => flag::NO64,
        _ => flag::ONLY64,
    };
    let mut rows = map.of(opcode).filter(|row| row.flags & elsewhere == 0).peekable();
    let has_modrm = rows.peek().ok_or(Failed::Undefined)?.flags & flag::MODRM != 0;
    if has_modrm {
        pick.modrm = bytes.next()?;
    }
    let row = rows.find(|row| pick.fits(row)).ok_or(Failed::Undefined)?;
    let mut insn = pick.insn(row);
    insn.operands(code, &mut bytes)?;
    insn.length = bytes.at;
    if insn.locked && (row.flags & flag::LOCK == 0 || insn.memory.is_none()) {
        return Err(Failed::Undefined);
    }
    Ok(insn)
}

/// The bytes of an instruction.
struct Bytes<F> {
    fetch: F,
    at: u8,
}

impl<E, F: FnMut(u8) -> Result<u8, E>> Bytes<F> {
    fn next(&mut self) -> Result<u8, Failed<E>> {
        if self.at == LONGEST {
            return Err(Failed::TooLong);
        }
        let byte = (self.fetch)(self.at).map_err(Failed::Fetch)?;
        self.at += 1;
        Ok(byte)
    }
    /// So many of them, the lowest first.
    fn number(&mut self, count: u8) -> Result<u64, Failed<E>> {
        (0..count).try_fold(0, |number, n| Ok(number | u64::from(self.next()?) << (8 * n)))
    }
    /// The same, sign-extended.
    fn signed(&mut self, count: u8) -> Result<i64, Failed<E>> {
        let above = 64 - 8 * u32::from(count);
        Ok((self.number(count)? << above) as i64 >> above)
    }
}

/// What stands before an opcode.
#[derive(Clone, Copy, Default)]
struct Prefixes {
    operand: bool,
    address: bool,
    locked: bool,
    repeat: Option<Repeat>,
    segment: Option<Segment>,
    rex: Rex,
    vex: Option<Vex>,
    /// What VEX says of 66, F3 and F2.
    implied: Option<Mandatory>,
}

impl Prefixes {
    /// Reads them. The byte behind.
    fn read<E>(&mut self, code: &Code, bytes: &mut Bytes<impl FnMut(u8) -> Result<u8, E>>) -> Result<u8, Failed<E>> {
        loop {
            let byte = bytes.next()?;
            if code.size == Size::Bits64 && byte & 0xf0 == 0x40 {
                self.rex = Rex {
                    present: true,
                    w: byte & 8 != 0,
                    r: byte & 4 != 0,
                    x: byte & 2 != 0,
                    b: byte & 1 != 0,
                };
                continue;
            }
            match byte {
                0x26 => self.old_segment(code, Segment::Es),
                0x2e => self.old_segment(code, Segment::Cs),
                0x36 => self.old_segment(code, Segment::Ss),
                0x3e => self.old_segment(code, Segment::Ds),
                0x64 => self.segment = Some(Segment::Fs),
                0x65 => self.segment = Some(Segment::Gs),
                0x66 => self.operand = true,
                0x67 => self.address = true,
                0xf0 => self.locked = true,
                0xf2 => self.repeat = Some(Repeat::Repne),
                0xf3 => self.repeat = Some(Repeat::Rep),
                _ => return Ok(byte),
            }
            // A REX that another prefix follows does not count.
            self.rex = Rex::default();
        }
    }
    /// A segment that 64-bit code does not know: it does not count there, nor undo another.
    fn old_segment(&mut self, code: &Code, segment: Segment) {
        if code.size != Size::Bits64 {
            self.segment = Some(segment);
        }
    }

    /// The map that a byte leads to, and the opcode there.
    fn escape<E>(
        &mut self,
        code: &Code,
        byte: u8,
        bytes: &mut Bytes<impl FnMut(u8) -> Result<u8, E>>,
    ) -> Result<(&'static Map, u8), Failed<E>> {
        match byte {
            0x0f => match bytes.next()? {
                0x38 => Ok((&MAP_0F38, bytes.next()?)),
                0x3a => Ok((&MAP_0F3A, bytes.next()?)),
                opcode => Ok((&TWO_BYTE, opcode)),
            },
            0xc4 | 0xc5 => {
                let next = bytes.next()?;
                if code.size != Size::Bits64 && next < 0xc0 {
                    // LES and LDS, of memory: this is their ModRM.
                    bytes.at -= 1;
                    return Ok((&ONE_BYTE, byte));
                }
                self.vex(code, byte, next, bytes)
            }
            0xd8..=0xdf => Ok((&X87, byte)),
            _ => Ok((&ONE_BYTE, byte)),
        }
    }

    /// VEX of two bytes or of three: SDM 2, 2.3.5.
    fn vex<E>(
        &mut self,
        code: &Code,
        first: u8,
        second: u8,
        bytes: &mut Bytes<impl FnMut(u8) -> Result<u8, E>>,
    ) -> Result<(&'static Map, u8), Failed<E>> {
        let refused = !code.vex || self.rex.present || self.operand || self.locked || self.repeat.is_some();
        let (map, last) = if first == 0xc5 {
            (1, second)
        } else {
            (second & 0x1f, bytes.next()?)
        };
        let long = first == 0xc4;
        let wide = code.size == Size::Bits64;
        self.rex = Rex {
            present: true,
            w: long && last & 0x80 != 0,
            r: wide && second & 0x80 == 0,
            x: wide && long && second & 0x40 == 0,
            b: wide && long && second & 0x20 == 0,
        };
        self.vex = Some(Vex {
            l: last & 4 != 0,
            vvvv: !last >> 3 & 15,
        });
        self.implied = Some(match last & 3 {
            0 => Mandatory::Np,
            1 => Mandatory::P66,
            2 => Mandatory::F3,
            _ => Mandatory::F2,
        });
        let map = match map {
            1 => &TWO_BYTE,
            2 => &MAP_0F38,
            3 => &MAP_0F3A,
            _ => return Err(Failed::Undefined),
        };
        let opcode = bytes.next()?;
        // All of the prefix is there first.
        if refused {
            Err(Failed::Undefined)
        } else {
            Ok((map, opcode))
        }
    }

    fn mandatory(&self) -> Mandatory {
        self.implied.unwrap_or(match self.repeat {
            Some(Repeat::Rep) => Mandatory::F3,
            Some(Repeat::Repne) => Mandatory::F2,
            None if self.operand => Mandatory::P66,
            None => Mandatory::Np,
        })
    }
}

/// What picks a row.
struct Pick<'a> {
    code: &'a Code,
    prefixes: &'a Prefixes,
    opcode: u8,
    modrm: u8,
}

impl Pick<'_> {
    fn fits(&self, row: &Row) -> bool {
        let p = self.prefixes;
        let is_register = self.modrm >= 0xc0;
        let mandatory = match row.mandatory {
            Mandatory::Any => true,
            Mandatory::NoRep => matches!(p.mandatory(), Mandatory::Np | Mandatory::P66),
            one => one == p.mandatory(),
        };
        let form = match row.form {
            Form::Both | Form::Always => true,
            Form::Memory => !is_register,
            Form::Register => is_register,
        };
        mandatory
            && form
            && self.modrm & row.modrm.0 == row.modrm.1
            && !(row.flags & flag::NOB != 0 && p.rex.b)
            && self.encoded(row)
            && self.code.features.has(row.needs)
    }
    /// Whether the row's instructions are encoded so.
    fn encoded(&self, row: &Row) -> bool {
        let w = row.w.is_none_or(|w| w == self.prefixes.rex.w);
        let Some(vex) = self.prefixes.vex else {
            // What else W would say is VEX's.
            return row.encoding == Encoding::Legacy && w || matches!(row.encoding, Encoding::Both(_));
        };
        let uses = |method| row.operands.iter().any(|operand| operand.method == method);
        // All of its bits count where it is no register, 32-bit code's too.
        let register = vex.vvvv == 0 || uses(Method::H) || uses(Method::B);
        let long = vex.l && row.flags & flag::LIG == 0;
        // Those of BMI work on general registers, and are there without AVX.
        let features = match row.encoding {
            Encoding::Legacy => return false,
            Encoding::Both(for_long) if long => AVX.with(for_long),
            Encoding::Both(_) => AVX,
            Encoding::Vex if BMI.has(row.needs) => Features::NONE,
            Encoding::Vex => AVX,
        };
        w && register && row.l.is_none_or(|l| l == vex.l) && self.code.features.has(features)
    }

    fn insn(&self, row: &'static Row) -> Insn {
        let p = self.prefixes;
        let repeats = !matches!(row.mandatory, Mandatory::F3 | Mandatory::F2);
        Insn {
            row,
            length: 0,
            opcode: self.opcode,
            operand_size: self.operand_size(row),
            address_size: self.address_size(),
            locked: p.locked,
            repeat: p.repeat.filter(|_| repeats),
            segment: p.segment,
            rex: p.rex,
            vex: p.vex.map(|vex| self.numbered(vex)),
            modrm: self.modrm,
            memory: None,
            immediate: 0,
            second: 0,
        }
    }
    /// VEX with a register that the code has: outside of 64-bit mode there are eight.
    fn numbered(&self, vex: Vex) -> Vex {
        let last = if self.code.size == Size::Bits64 { 15 } else { 7 };
        Vex {
            vvvv: vex.vvvv & last,
            ..vex
        }
    }
    fn operand_size(&self, row: &Row) -> u8 {
        let p = self.prefixes;
        match self.code.size {
            Size::Bits64 if p.rex.w => 8,
            Size::Bits64 if row.flags & flag::F64 != 0 && self.code.wide_branches => 8,
            Size::Bits64 if p.operand => 2,
            Size::Bits64 if row.flags & (flag::D64 | flag::F64) != 0 => 8,
            Size::Bits64 => 4,
            Size::Bits32 if p.operand => 2,
            Size::Bits32 => 4,
            Size::Bits16 if p.operand => 4,
            Size::Bits16 => 2,
        }
    }
    fn address_size(&self) -> u8 {
        match (self.code.size, self.prefixes.address) {
            (Size::Bits64, false) => 8,
            (Size::Bits64, true) | (Size::Bits32, false) | (Size::Bits16, true) => 4,
            (Size::Bits32, true) | (Size::Bits16, false) => 2,
        }
    }
}

const AVX: Features = Features::of(&["avx"]);
const BMI: Features = Features::of(&["bmi1", "bmi2"]);

impl Insn {
    /// Reads what is behind the opcode and ModRM.
    fn operands<E>(
        &mut self,
        code: &Code,
        bytes: &mut Bytes<impl FnMut(u8) -> Result<u8, E>>,
    ) -> Result<(), Failed<E>> {
        if self.row.flags & flag::MODRM != 0 && self.modrm < 0xc0 && self.row.form != Form::Always {
            self.memory = Some(self.address(code, bytes)?);
        }
        let mut first = true;
        for operand in &self.row.operands {
            match operand.method {
                Method::I | Method::J | Method::L if first => {
                    self.immediate = self.number(operand.width, bytes)?;
                    first = false;
                }
                Method::I => self.second = self.number(operand.width, bytes)? as u16,
                Method::A => {
                    self.immediate = bytes.number(self.operand_size.min(4))?;
                    self.second = bytes.number(2)? as u16;
                }
                Method::O => self.memory = Some(self.absolute(bytes)?),
                _ => {}
            }
        }
        Ok(())
    }
    /// A number, sign-extended where operands are wider.
    fn number<E>(&self, width: Width, bytes: &mut Bytes<impl FnMut(u8) -> Result<u8, E>>) -> Result<u64, Failed<E>> {
        match width {
            Width::B if self.row.operands.iter().all(|o| o.method != Method::J) => bytes.number(1),
            Width::B | Width::Bs => Ok(bytes.signed(1)? as u64),
            Width::W => bytes.number(2),
            Width::V => bytes.number(self.operand_size),
            Width::Z => Ok(bytes.signed(self.operand_size.min(4))? as u64),
            // A register in the upper half.
            _ => bytes.number(1),
        }
    }
}

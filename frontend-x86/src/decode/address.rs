//! Memory operands: ModRM, SIB and displacements (SDM 2, 2.1.5 and 2.2.1).

use super::insn::{Insn, Memory, Segment};
use super::row::flag;
use super::{Bytes, Code, Failed, Size};

/// Numbers of the registers that address memory by themselves.
const BX: u8 = 3;
const SP: u8 = 4;
const BP: u8 = 5;
const SI: u8 = 6;
const DI: u8 = 7;

/// Base and index of ModRM.rm with addresses of 16 bits.
const PAIRS: [(Option<u8>, Option<u8>); 8] = [
    (Some(BX), Some(SI)),
    (Some(BX), Some(DI)),
    (Some(BP), Some(SI)),
    (Some(BP), Some(DI)),
    (Some(SI), None),
    (Some(DI), None),
    (Some(BP), None),
    (Some(BX), None),
];

impl Insn {
    /// The memory that ModRM addresses.
    pub(super) fn address<E>(
        &self,
        code: &Code,
        bytes: &mut Bytes<impl FnMut(u8) -> Result<u8, E>>,
    ) -> Result<Memory, Failed<E>> {
        let vectors = self.row.flags & flag::VSIB != 0;
        if vectors && (self.address_size == 2 || self.modrm & 7 != SP) {
            return Err(Failed::Undefined);
        }
        let mut memory = if self.address_size == 2 {
            self.pair(bytes)?
        } else {
            self.scaled(code, vectors, bytes)?
        };
        memory.segment = self.segment.unwrap_or(match memory.base {
            Some(SP | BP) => Segment::Ss,
            _ => Segment::Ds,
        });
        Ok(memory)
    }

    fn pair<E>(&self, bytes: &mut Bytes<impl FnMut(u8) -> Result<u8, E>>) -> Result<Memory, Failed<E>> {
        let (base, index) = PAIRS.get(usize::from(self.modrm & 7)).copied().unwrap_or_default();
        let alone = self.modrm & 0xc7 == 6;
        Ok(Memory {
            base: base.filter(|_| !alone),
            index,
            displacement: match self.modrm >> 6 {
                0 if !alone => 0,
                1 => bytes.signed(1)?,
                _ => bytes.signed(2)?,
            },
            ..NOWHERE
        })
    }

    fn scaled<E>(
        &self,
        code: &Code,
        vectors: bool,
        bytes: &mut Bytes<impl FnMut(u8) -> Result<u8, E>>,
    ) -> Result<Memory, Failed<E>> {
        let (mode, mut memory) = (self.modrm >> 6, NOWHERE);
        let with_sib = self.modrm & 7 == SP;
        let mut base = self.modrm & 7;
        if with_sib {
            let sib = bytes.next()?;
            let index = sib >> 3 & 7 | u8::from(self.rex.x) << 3;
            memory.index = (vectors || index != SP).then_some(index);
            memory.scale = sib >> 6;
            base = sib & 7;
        }
        let alone = base == BP && mode == 0;
        memory.base = (!alone).then_some(base | u8::from(self.rex.b) << 3);
        memory.relative = alone && !with_sib && code.size == Size::Bits64;
        memory.displacement = match mode {
            0 if !alone => 0,
            1 => bytes.signed(1)?,
            _ => bytes.signed(4)?,
        };
        Ok(memory)
    }

    /// The memory whose address is in the instruction.
    pub(super) fn absolute<E>(&self, bytes: &mut Bytes<impl FnMut(u8) -> Result<u8, E>>) -> Result<Memory, Failed<E>> {
        Ok(Memory {
            segment: self.segment.unwrap_or(Segment::Ds),
            displacement: bytes.number(self.address_size)? as i64,
            ..NOWHERE
        })
    }
}

/// Address 0.
const NOWHERE: Memory = Memory {
    segment: Segment::Ds,
    base: None,
    index: None,
    scale: 0,
    displacement: 0,
    relative: false,
};

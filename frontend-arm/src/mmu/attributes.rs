//! Memory types, cacheability and shareability (Arm ARM DDI 0406C, B3.8).

use crate::cp15::sctlr;
use crate::state::Cpu;

/// Memory attributes: type and cacheability as a byte of MAIR, and shareability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// As MAIR has it: outer in bits 7:4, inner in bits 3:0; 0x00 Strongly-ordered, 0x04 Device.
    pub mair: u8,
    /// Shareability as long descriptors have it: 0 none, 2 outer, 3 inner.
    pub sh: u8,
}

/// The inner or outer half of a MAIR byte of Normal memory, by the short format's two bits: Non-cacheable, Write-Back
/// with write-allocation, Write-Through, Write-Back without.
const fn cache(bits: u32) -> u8 {
    match bits & 3 {
        0 => 0b0100,
        1 => 0b1111,
        2 => 0b1010,
        _ => 0b1110,
    }
}

const OUTER: u8 = 2;
const INNER: u8 = 3;

impl Attributes {
    /// Strongly-ordered memory.
    pub const STRONGLY_ORDERED: Attributes = Attributes { mair: 0x00, sh: OUTER };

    const fn device(shareable: bool) -> Attributes {
        Attributes {
            mair: 0x04,
            sh: if shareable { OUTER } else { 0 },
        }
    }

    fn normal(inner: u32, outer: u32, sh: u8) -> Attributes {
        Attributes {
            mair: cache(outer) << 4 | cache(inner),
            sh,
        }
    }

    /// Whether it is Device or Strongly-ordered memory, where accesses must be aligned.
    pub fn is_device(self) -> bool {
        self.mair & 0xf0 == 0
    }

    /// From a short descriptor's TEX:C:B (five bits) and S.
    pub(super) fn short(s: &Cpu, tex_cb: u32, shareable: bool) -> Attributes {
        if s.cp15.sctlr & sctlr::TRE != 0 {
            return Attributes::remapped(s, tex_cb & 7, shareable);
        }
        let sh = if shareable { INNER } else { 0 };
        match tex_cb {
            0b00000 => Attributes::STRONGLY_ORDERED,
            0b00001 => Attributes::device(true),
            0b01000 => Attributes::device(false),
            0b00010 => Attributes::normal(2, 2, sh),
            0b00011 => Attributes::normal(3, 3, sh),
            0b00111 => Attributes::normal(1, 1, sh),
            t if t & 0b10000 != 0 => Attributes::normal(t & 3, t >> 2 & 3, sh),
            _ => Attributes::normal(0, 0, sh),
        }
    }

    /// TEX remap (B3.8.3): `n` is TEX\[0\]:C:B.
    fn remapped(s: &Cpu, n: u32, shareable: bool) -> Attributes {
        let (prrr, nmrr) = (s.cp15.prrr, s.cp15.nmrr);
        let inner = if prrr >> (24 + n) & 1 != 0 { INNER } else { OUTER };
        match prrr >> (2 * n) & 3 {
            0 => Attributes::STRONGLY_ORDERED,
            1 => Attributes::device(prrr >> (16 + u32::from(shareable)) & 1 != 0),
            _ => {
                let shared = prrr >> (18 + u32::from(shareable)) & 1 != 0;
                Attributes::normal(
                    nmrr >> (2 * n) & 3,
                    nmrr >> (2 * n + 16) & 3,
                    if shared { inner } else { 0 },
                )
            }
        }
    }

    /// From a long descriptor's AttrIndx and SH.
    pub(super) fn long(s: &Cpu, index: u32, sh: u32) -> Attributes {
        let mair = u64::from(s.cp15.prrr) | u64::from(s.cp15.nmrr) << 32;
        Attributes {
            mair: (mair >> (8 * (index & 7))) as u8,
            sh: sh as u8 & 3,
        }
    }

    /// As the PAR has them in its short format: bits 10:1 (B4.1.112).
    pub fn par(self) -> u32 {
        let inner = match (self.mair & 0xf0, self.mair & 15) {
            (0, 0) => 0b001,
            (0, _) => 0b011,
            (_, 0b0100) => 0b000,
            (_, n) if n & 0b1100 == 0b1000 || n & 0b1100 == 0 => 0b110,
            (_, n) if n & 1 != 0 => 0b101,
            _ => 0b111,
        };
        let outer = match self.mair >> 4 {
            0 | 0b0100 => 0b00,
            n if n & 0b1100 == 0b1000 || n & 0b1100 == 0 => 0b10,
            n if n & 1 != 0 => 0b01,
            _ => 0b11,
        };
        let shared = u32::from(self.sh != 0);
        let not_outer = u32::from(self.sh == INNER);
        not_outer << 10 | shared << 7 | inner << 4 | outer << 2
    }
}

//! The two halves of the address space, and what TCR_EL1 says of each (Arm ARM DDI 0487, D8.1 and D8.2; D19.2, TCR_EL1).

use super::super::features::Feature;
use super::super::id::PA_BITS;
use super::super::model::Model;
use super::super::state::{Cpu, tcr};

/// What applies to an address.
pub(super) struct Half {
    /// TTBR0_EL1 or TTBR1_EL1.
    pub ttbr: u64,
    /// TCR_EL1.TxSZ.
    pub txsz: u32,
    /// log2 of the granule's bytes.
    pub granule: u32,
    /// TCR_EL1.EPDx: there are no walks.
    pub disabled: bool,
    /// TCR_EL1.E0PDx: not for EL0.
    pub no_el0: bool,
    /// TCR_EL1.HPDx: tables restrict nothing.
    pub flat_rights: bool,
}

/// The highest bit of an address: which half it is of. The bits above may be a tag.
const TOP: u32 = 55;

const fn is_high(va: u64) -> bool {
    va >> TOP & 1 != 0
}

/// Whether the top byte of an address is a tag.
pub fn ignored(s: &Cpu, va: u64) -> bool {
    s.sys.tcr & if is_high(va) { tcr::TBI1 } else { tcr::TBI0 } != 0
}

/// An address without its tag, if it has one (D8.8).
pub fn canonical(s: &Cpu, va: u64) -> u64 {
    if ignored(s, va) {
        ((va << (63 - TOP)) as i64 >> (63 - TOP)) as u64
    } else {
        va
    }
}

/// The same of an instruction's address (TBID0, TBID1).
pub fn canonical_code(s: &Cpu, va: u64) -> u64 {
    let but_code = if is_high(va) { tcr::TBID1 } else { tcr::TBID0 };
    if s.sys.tcr & but_code != 0 {
        va
    } else {
        canonical(s, va)
    }
}

/// log2 of a granule's bytes by TCR_EL1.TG0, and by TG1; values that are reserved, or not there, are taken as 4 KiB.
fn granule(model: &Model, field: u64, high: bool) -> u32 {
    let (of_64k, of_16k) = if high { (3, 1) } else { (1, 2) };
    match field & 3 {
        f if f == of_64k => 16,
        f if f == of_16k && model.features.has(Feature::Gran16) => 14,
        _ => 12,
    }
}

impl Half {
    pub fn of(model: &Model, s: &Cpu, va: u64) -> Half {
        let t = s.sys.tcr;
        let set = |feature, bit: u64| model.features.has(feature) && t & bit != 0;
        if is_high(va) {
            Half {
                ttbr: s.sys.ttbr1,
                txsz: (t >> 16 & 0x3f) as u32,
                granule: granule(model, t >> 30, true),
                disabled: t & tcr::EPD1 != 0,
                no_el0: set(Feature::E0pd, tcr::E0PD1),
                flat_rights: set(Feature::Hpds, tcr::HPD1),
            }
        } else {
            Half {
                ttbr: s.sys.ttbr0,
                txsz: (t & 0x3f) as u32,
                granule: granule(model, t >> 14, false),
                disabled: t & tcr::EPD0 != 0,
                no_el0: set(Feature::E0pd, tcr::E0PD0),
                flat_rights: set(Feature::Hpds, tcr::HPD0),
            }
        }
    }

    /// How many bits its addresses have; `None` for a size that is not allowed.
    pub fn address_bits(&self, model: &Model) -> Option<u32> {
        let least = match self.granule {
            16 if model.features.has(Feature::Lva) => 12,
            _ => 16,
        };
        let most = match (model.features.has(Feature::Ttst), self.granule) {
            (false, _) => 39,
            (true, 16) => 47,
            (true, _) => 48,
        };
        (least..=most).contains(&self.txsz).then_some(64 - self.txsz)
    }

    /// Bits of an address that a table of full size looks at.
    pub fn stride(&self) -> u32 {
        self.granule - 3
    }

    /// The lowest bit of an address that a table of a level, up to 3, looks at.
    pub fn shift(&self, level: u32) -> u32 {
        self.granule + self.stride() * (3 - level)
    }

    /// How many bits physical addresses in its tables have (TCR_EL1.IPS).
    pub fn physical_bits(&self, model: &Model, s: &Cpu) -> u32 {
        let ips = (s.sys.tcr >> 32 & 7) as usize;
        let bits = PA_BITS.get(ips).copied().unwrap_or(52).min(model.address_bits());
        if self.granule == 16 {
            bits.into()
        } else {
            u32::from(bits).min(48)
        }
    }
}

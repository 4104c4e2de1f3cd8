//! The mappings of random programs: tables, and what changes them as a program goes.

use super::super::code::{Asm, CPACR, Register, SCTLR, TCR, TTBR0};
use super::super::service::{self, BOXES, Half, SERVICE, WINDOW};
use super::{BLOCK, CODE, DATA, DATA_PAGES, FIRST, FLAT, PLAY, PLAY_PAGES, PLAYS, UPPER, Writer};
use crate::PAGES;
use crate::memory::{DEVICE, HALF, MAIL};
use emu_frontend_arm::a64::state::{sctlr, tcr};
use emu_ir::testing::Random;

/// Of a page or block: the Access flag, Inner Shareable.
const MAPPED: u64 = 1 << 10 | 3 << 8;
/// AP\[2:1\].
const EL0: u64 = 1 << 6;
const READ_ONLY: u64 = 1 << 7;
const NOT_GLOBAL: u64 = 1 << 11;
const GUARDED: u64 = 1 << 50;
/// Writable, which hardware may note.
const DBM: u64 = 1 << 51;
const PXN: u64 = 1 << 53;
const UXN: u64 = 1 << 54;
/// What MAIR_EL1 has: normal memory, a device, normal memory that is not cached.
pub(super) const MEMORY: u64 = 0x44_00ff;
const DEVICE_MEMORY: u64 = 1 << 2;
/// A descriptor of a table, or of a page.
const TABLE: u64 = 3;

/// LDR X0, [X4].
const LDR_X0_X4: u32 = 0xf940_0080;

impl Writer<'_> {
    /// Where in physical memory something of this program's is.
    pub(super) fn phys(&self, at: u32) -> u64 {
        let half = self.half.as_ref().map_or(0, |half| half.number);
        u64::from(half * HALF + at)
    }
    /// The address space of a TTBR0_EL1 for careful programs: it has an identifier of its own.
    pub(super) fn ttbr0(&self, space: u32) -> u64 {
        u64::from(space + 1) << 48 | self.phys(FIRST[space as usize])
    }

    pub(super) fn tables(&self, base: &mut [u8], random: &mut Random) {
        for page in 0..PAGES as u32 {
            let at = page << 12;
            self.put(base, FLAT + 8 * page, self.flat(at, random));
        }
        for (first, play) in FIRST.into_iter().zip(PLAYS) {
            for page in 0..PLAY_PAGES {
                let descriptor = self.descriptor(random);
                self.put(base, play + 8 * page, descriptor);
            }
            // The device: nothing is fetched from it, EL0 has no access.
            let device = self.phys(DEVICE & !0x1f_ffff) | MAPPED | PXN | UXN | DEVICE_MEMORY | 1;
            let block = self.block(random);
            for (entry, descriptor) in [
                (0, self.phys(FLAT) | TABLE),
                (DEVICE >> 21, device),
                (PLAY >> 21, self.table(play, random)),
                (BLOCK >> 21, block),
            ] {
                self.put(base, first + 8 * entry, descriptor);
            }
            if let Some(half) = &self.half {
                // The other's RAM, and what is for both: EL1's, and not to be run.
                let other = (1 - half.number) * HALF;
                for (at, to) in [(WINDOW, other), (BOXES, MAIL)] {
                    self.put(base, first + 8 * (at >> 21), u64::from(to) | MAPPED | PXN | UXN | 1);
                }
            }
        }
    }

    /// A page where it lies: code, which both exception levels run; data, which is for both; tables, which are EL1's.
    fn flat(&self, at: u32, random: &mut Random) -> u64 {
        let rights = match at {
            0 | FLAT => READ_ONLY,
            SERVICE if self.half.is_some() => READ_ONLY,
            CODE..DATA if self.open => 0,
            CODE..DATA => READ_ONLY | random.pick(&[0, EL0]),
            DATA..FLAT if self.careful => EL0 | PXN | UXN,
            DATA..FLAT => EL0,
            _ => PXN | UXN,
        };
        let guarded = self.guarded && (CODE..DATA).contains(&at) && random.one_in(2);
        self.phys(at) | MAPPED | rights | if guarded { GUARDED } else { 0 } | TABLE
    }

    /// A descriptor of a table for [`PLAY`], with its restrictions.
    fn table(&self, at: u32, random: &mut Random) -> u64 {
        let less = if self.careful || !random.one_in(3) {
            0
        } else {
            random.next() & 0xf << 59
        };
        self.phys(at) | less | TABLE
    }

    /// What maps RAM at [`BLOCK`].
    fn block(&self, random: &mut Random) -> u64 {
        let memory = random.pick(&[0, 0, DEVICE_MEMORY, 2 << 2]);
        let rights = random.pick(&[EL0, EL0, 0, READ_ONLY]);
        let more = random.next() & (NOT_GLOBAL | PXN | UXN);
        // Where nobody may change code but on purpose, EL1 alone may.
        let rights = if self.careful { 0 } else { rights };
        self.phys(0) | MAPPED | memory | rights | more & if self.careful { NOT_GLOBAL } else { !0 } | 1
    }

    /// A descriptor of level 3: most often a page of RAM with some rights.
    fn descriptor(&self, random: &mut Random) -> u64 {
        let page = u64::from(CODE + 0x1000 * random.word_below(8 + DATA_PAGES));
        let more = random.next();
        let guarded = if self.guarded { more & GUARDED } else { 0 };
        if self.careful {
            // Of this address space; code is not written to by chance, nor is data run, which stores change as they like.
            let is_code = page < DATA.into();
            let rights = if is_code {
                READ_ONLY | guarded
            } else {
                PXN | UXN | more & READ_ONLY
            };
            return if random.one_in(8) {
                0
            } else {
                self.phys(0) | page | MAPPED | NOT_GLOBAL | rights | more & EL0 | TABLE
            };
        }
        match random.word_below(10) {
            0 => 0,
            1 => page | more & 0xfff | guarded,
            2 => page | more & (0x7 << 51 | 0xfc0) | guarded | TABLE,
            3..=5 => page | MAPPED | more & NOT_GLOBAL | guarded | TABLE,
            6 => page | MAPPED | READ_ONLY | DBM | more & (NOT_GLOBAL | EL0) | guarded | TABLE,
            7 => page | MAPPED & !(1 << 10) | more & (NOT_GLOBAL | EL0) | guarded | TABLE,
            _ => {
                let memory = random.pick(&[0, 0, DEVICE_MEMORY, 2 << 2]);
                page | MAPPED | memory | more & (NOT_GLOBAL | EL0 | READ_ONLY | PXN | UXN) | guarded | TABLE
            }
        }
    }

    /// Changes a mapping, and forgets the old one more or less.
    pub(super) fn remap(&self, asm: &mut Asm, random: &mut Random) {
        let (space, page) = (random.word_below(2) as usize, random.word_below(self.play_pages()));
        let (entry, descriptor, address) = match random.word_below(8) {
            0 => (FIRST[space] + 8 * (BLOCK >> 21), self.block(random), BLOCK),
            1 => {
                let table = self.table(PLAYS[random.word_below(2) as usize], random);
                (FIRST[space] + 8 * (PLAY >> 21), table, PLAY)
            }
            _ => (PLAYS[space] + 8 * page, self.descriptor(random), PLAY + (page << 12)),
        };
        let whole = entry == FIRST[space] + 8 * (PLAY >> 21);
        if let Some(half) = &self.half
            && !random.one_in(3)
        {
            return ask_to_map(half, asm, (entry, descriptor), (address, whole), random);
        }
        asm.set(1, entry.into());
        if self.careful || random.one_in(2) {
            // Break before make.
            asm.store(31, 1);
            asm.dsb();
            self.forget(asm, address, whole, random);
            asm.dsb();
        }
        asm.set(0, descriptor);
        asm.store(0, 1);
        if random.one_in(5) && !self.careful {
            return;
        }
        asm.dsb();
        if !self.careful {
            self.forget(asm, address, whole, random);
        }
        if self.careful || !random.one_in(5) {
            asm.dsb();
            asm.isb();
        }
    }

    /// TLBI of a kind that does it, or of another.
    fn forget(&self, asm: &mut Asm, address: u32, whole: bool, random: &mut Random) {
        let asid = if self.careful { 0 } else { random.below(3) << 48 };
        // The same tables are walked for the upper half.
        for high in [0, UPPER] {
            let page = (u64::from(address) | high) >> 12 & 0xfff_ffff_ffff;
            asm.set(2, page | asid);
            let careful: &[Register] = if whole {
                &[(1, 0, 8, 7, 0), (1, 0, 8, 3, 0)] // VMALLE1, VMALLE1IS
            } else {
                &[(1, 0, 8, 7, 3), (1, 0, 8, 3, 3), (1, 0, 8, 7, 7), (1, 0, 8, 7, 0)] // VAAE1, VAAE1IS, VAALE1
            };
            let others: &[Register] = &[
                (1, 0, 8, 7, 0),
                (1, 0, 8, 7, 1), // VAE1
                (1, 0, 8, 7, 2), // ASIDE1
                (1, 0, 8, 7, 3),
                (1, 0, 8, 7, 5), // VALE1
                (1, 0, 8, 3, 1),
                (1, 0, 8, 1, 1), // VAE1OS
                (1, 0, 8, 6, 1), // RVAE1
            ];
            let which = random.pick(if self.careful { careful } else { others });
            if which.3 == 6 {
                // A range: of four pages and more.
                asm.set(2, page & 0x1f_ffff_ffff | asid | 1 << 46 | random.below(4) << 39);
            }
            asm.write(which, 2);
        }
    }

    /// Goes to another address space, or changes what this one allows.
    pub(super) fn switch(&self, asm: &mut Asm, random: &mut Random) {
        let (register, bits): (Register, &[u64]) = match random.word_below(5) {
            0 | 1 => {
                asm.set(
                    0,
                    u64::from(FIRST[random.word_below(2) as usize]) | random.below(3) << 48,
                );
                asm.write(TTBR0, 0);
                return asm.isb();
            }
            2 => (
                TCR,
                &[
                    tcr::TBI0,
                    tcr::TBI1,
                    tcr::TBID0,
                    tcr::HA,
                    tcr::HD,
                    tcr::HPD0,
                    tcr::HPD1,
                    tcr::E0PD0,
                    tcr::E0PD1,
                    tcr::A1,
                    tcr::EPD1,
                ],
            ),
            3 => (CPACR, &[1 << 20, 1 << 21]),
            _ => (
                SCTLR,
                &[
                    sctlr::A,
                    sctlr::A,
                    sctlr::M,
                    sctlr::SA,
                    sctlr::SA0,
                    sctlr::WXN,
                    sctlr::UMA,
                    sctlr::DZE,
                    sctlr::UCI,
                    sctlr::SPAN,
                    sctlr::EPAN,
                    sctlr::NAA,
                    sctlr::BT0,
                    sctlr::BT1,
                    sctlr::ENIA,
                    sctlr::ENDB,
                    sctlr::E0E,
                    sctlr::DSSBS,
                ],
            ),
        };
        asm.set(1, random.pick(bits));
        asm.read(register, 0);
        asm.word(0xca01_0000); // EOR X0, X0, X1
        asm.write(register, 0);
        if !random.one_in(3) {
            asm.isb();
        }
    }

    /// To an address space, which has an identifier of its own.
    pub(super) fn careful_switch(&self, asm: &mut Asm, random: &mut Random) {
        asm.set(0, self.ttbr0(random.word_below(2)));
        asm.write(TTBR0, 0);
        asm.isb();
    }
}

/// Has the other CPU change a mapping that this one has used, and uses it again.
fn ask_to_map(
    half: &Half,
    asm: &mut Asm,
    (entry, descriptor): (u32, u64),
    (address, whole): (u32, bool),
    random: &mut Random,
) {
    let posted = random.one_in(3);
    if !posted {
        asm.svc(random.pick(&[0, 0b0100, 0b0101]));
    }
    asm.set(4, u64::from(address + 8 * random.word_below(0x200)));
    asm.word(LDR_X0_X4);
    asm.set(0, descriptor);
    asm.set(1, entry.into());
    for (register, high) in [(2, 0), (3, UPPER)] {
        asm.set(register, (u64::from(address) | high) >> 12 & 0xfff_ffff_ffff);
    }
    let some = random.word_below(service::TLBIS.len() as u32);
    let how = if whole { service::FOR_ALL } else { some };
    let what = service::MAP | how << service::HOW;
    if posted {
        half.post(asm, what);
    } else {
        asm.svc(what);
    }
    asm.word(LDR_X0_X4);
}

//! What random programs do to the system: code that changes, registers, exceptions.

use super::super::code::{ADDRESSES, Asm, ELR, PAR, Register, SPSR};
use super::super::service::{self, SERVICE, WINDOW};
use super::{BLOCK, CHUNK, CODE, PLAY, UPPER, Writer};
use emu_frontend_arm::a64::state::psr;
use emu_ir::testing::Random;

/// Registers that may hold anything.
#[rustfmt::skip]
const FREE: [Register; 28] = [
    (3, 3, 4, 2, 0), (3, 3, 4, 4, 0), (3, 3, 4, 4, 1), // NZCV, FPCR, FPSR
    (3, 3, 13, 0, 2), (3, 0, 13, 0, 4), (3, 3, 13, 0, 3), (3, 0, 13, 0, 1), // TPIDR_EL0, _EL1, TPIDRRO_EL0, CONTEXTIDR_EL1
    ELR, SPSR, PAR, (3, 0, 5, 2, 0), (3, 0, 6, 0, 0), (3, 0, 5, 1, 0), // ESR_EL1, FAR_EL1, AFSR0_EL1
    (3, 0, 4, 1, 0), (3, 2, 0, 0, 0), (3, 0, 10, 3, 0), // SP_EL0, CSSELR_EL1, AMAIR_EL1
    (3, 0, 2, 1, 0), (3, 0, 2, 1, 3), (3, 0, 2, 2, 0), (3, 0, 2, 3, 1), // halves of keys
    (3, 3, 9, 12, 5), (3, 3, 9, 12, 3), (3, 3, 9, 13, 2), (3, 3, 14, 8, 1), // PMSELR, PMOVSCLR, PMXEVCNTR, PMEVCNTR1_EL0
    (3, 3, 9, 12, 4), (3, 3, 9, 14, 0), // PMSWINC, PMUSERENR_EL0
    (3, 3, 4, 2, 5), (3, 3, 4, 2, 6), // DIT, SSBS
];

/// Others that are worth a look.
#[rustfmt::skip]
const OTHERS: [Register; 14] = [
    (3, 3, 4, 2, 1), (3, 0, 4, 2, 2), (3, 0, 4, 2, 0), (3, 0, 4, 2, 3), (3, 0, 4, 2, 4), // DAIF, CurrentEL, SPSel, PAN, UAO
    (3, 0, 1, 0, 0), (3, 0, 2, 0, 0), (3, 0, 2, 0, 2), (3, 3, 0, 0, 1), (3, 3, 0, 0, 7), // SCTLR, TTBR0, TCR, CTR, DCZID
    (3, 3, 14, 0, 2), (3, 3, 9, 13, 0), (3, 3, 2, 4, 0), (3, 0, 12, 1, 0), // CNTVCT, PMCCNTR, RNDR, ISR
];

/// How many instructions it takes to store an instruction, and to clean up after it.
const OWN_WAY: u32 = 14;

impl Writer<'_> {
    /// Stores an instruction over code, and cleans up after it more or less.
    pub(super) fn modify(&self, asm: &mut Asm, place: u32, random: &mut Random) {
        let new = self.computing(random);
        let before = asm.len();
        if self.half.is_some() && !random.one_in(3) {
            asm.set(0, new.into());
            asm.set(1, (place & !3).into());
            asm.svc(service::CODE | random.word_below(2) << service::HOW);
            // As long as the other way.
            while asm.len() < before + 4 * OWN_WAY {
                asm.word(0xd503_201f); // NOP
            }
            return;
        }
        let new = if self.big_endian { new.swap_bytes() } else { new };
        let alias = if self.careful || random.one_in(2) { BLOCK } else { 0 };
        let alias = if self.open && random.one_in(2) { 0 } else { alias };
        asm.set(0, new.into());
        asm.set(1, (place & !3 | alias).into());
        asm.store_word(0, 1);
        match random.word_below(4) {
            0 if !self.careful => {}
            1 if !self.careful => asm.isb(),
            _ => {
                asm.write((1, 3, 7, 11, 1), 1); // DC CVAU
                asm.dsb();
                match random.word_below(2) {
                    0 => asm.write((1, 3, 7, 5, 1), 1), // IC IVAU
                    _ => asm.write((1, 0, 7, 5, 0), 1), // IC IALLU
                }
                asm.dsb();
                asm.isb();
            }
        }
    }

    /// Disturbs the other CPU of a pair without changing anything: stores what is there over code that it runs, has it forget
    /// translations that hold.
    pub(super) fn disturb(&self, asm: &mut Asm, chunks: &[u32], random: &mut Random) {
        asm.svc(0b0101);
        match random.word_below(4) {
            0 | 1 => {
                // Heads are never changed.
                asm.set(1, (WINDOW + CODE + random.pick(chunks) * CHUNK).into());
                let (load, store, size) = random.pick(&[
                    (0x3940_0020, 0x3900_0020, 1),
                    (0xb940_0020, 0xb900_0020, 4),
                    (0xf940_0020, 0xf900_0020, 8),
                ]);
                for at in (0..32 / size.max(4)).map(|n| n << 10) {
                    asm.word(load | at); // LDR X0, [X1, #n], or of less
                    asm.word(store | at); // STR X0, [X1, #n]
                }
            }
            2 => {
                let page = random.pick(&[PLAY, PLAY, BLOCK, CODE, SERVICE, WINDOW]) >> 12;
                let page = u64::from(page + random.word_below(self.play_pages())) | random.pick(&[0, 0, UPPER]) >> 12;
                // VAAE1IS, VAE1IS, ASIDE1IS, VALE1IS, VMALLE1IS, RVAE1IS
                let (crm, op2) = random.pick(&[(3, 3), (3, 1), (3, 2), (3, 5), (3, 0), (2, 1)]);
                let range = page & 0x1f_ffff_ffff | 1 << 46 | random.below(4) << 39;
                let operand = if crm == 2 { range } else { page & 0xfff_ffff_ffff };
                asm.set(2, operand | random.below(3) << 48);
                asm.write((1, 0, 8, crm, op2), if (crm, op2) == (3, 0) { 31 } else { 2 });
                if random.one_in(2) {
                    asm.dsb();
                }
            }
            _ => {
                asm.write((1, 0, 7, 1, 0), 31); // IC IALLUIS
                asm.dsb();
            }
        }
    }

    /// Reads and writes system registers, maintains caches, and asks for translations.
    pub(super) fn registers(&self, asm: &mut Asm, random: &mut Random) {
        let register = random.word_below(16);
        match random.word_below(7) {
            0 => asm.read(random.pick(&FREE), register),
            1 => asm.read(random.pick(&OTHERS), register),
            2 => {
                let any = random.word();
                asm.read(
                    (2 | any & 1, any >> 1 & 7, any >> 4 & 15, any >> 8 & 15, any >> 12 & 7),
                    register,
                );
            }
            3 | 4 => asm.write(random.pick(&FREE), register),
            5 => {
                asm.set(register, self.place(random));
                let which = random.pick(&[(8, 0), (8, 1), (8, 2), (8, 3), (9, 0), (9, 1)]);
                asm.write((1, 0, 7, which.0, which.1), register); // AT
                asm.isb();
                asm.read(PAR, register);
            }
            _ => {
                let base = ADDRESSES + random.word_below(4);
                if self.careful {
                    asm.set(base, self.place(random));
                }
                // DC ZVA, CVAC, CVAU, CIVAC, IVAC, CVAP; IC IVAU.
                asm.write(
                    random.pick(&[
                        (1, 3, 7, 4, 1),
                        (1, 3, 7, 4, 1),
                        (1, 3, 7, 10, 1),
                        (1, 3, 7, 11, 1),
                        (1, 3, 7, 14, 1),
                        (1, 0, 7, 6, 1),
                        (1, 3, 7, 12, 1),
                        (1, 3, 7, 5, 1),
                    ]),
                    base,
                );
            }
        }
    }

    /// MSR (immediate), or the same by a register.
    pub(super) fn state_fields(&self, asm: &mut Asm, random: &mut Random) {
        let value = random.word_below(2);
        // UAO, PAN, SPSel, SSBS, DIT; masks are set.
        let field = random.pick(&[(0, 3), (0, 4), (0, 4), (0, 5), (3, 1), (3, 2), (3, 6)]);
        asm.field(field, if field == (3, 6) { 15 } else { value });
    }

    /// An exception of an instruction: system calls with a number that asks for nothing legal, too.
    pub(super) fn trap(&self, asm: &mut Asm, random: &mut Random) {
        let some = random.word_below(0x1_0000) << 5;
        let apart = random.pick(&[0b0001, 0b0010, 0b1000, 0b1111]) << 5;
        asm.word(random.pick(&[
            0xd420_0000 | some, // BRK
            0xd440_0000 | some, // HLT
            0xd400_0002 | some, // HVC
            0xd400_0003 | some, // SMC
            some >> 5,          // UDF
            0xd400_0001 | apart,
            0xd4a0_0001, // DCPS1
            0xd6bf_03e0, // DRPS
        ]));
    }

    /// ERET to somewhere, in some state.
    pub(super) fn return_from_exception(&self, asm: &mut Asm, to: u64, random: &mut Random) {
        let rare = random.word() & (psr::IL | psr::BTYPE);
        let state = self.pstate(random) | if random.one_in(3) { rare } else { 0 };
        if !random.one_in(4) {
            asm.svc(0b0101);
        }
        asm.set(0, to);
        asm.write(ELR, 0);
        asm.set(1, state.into());
        asm.write(SPSR, 1);
        asm.eret();
    }
}

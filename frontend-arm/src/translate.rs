//! The translation driver: fetch, decode, conditions, and where a block ends.

use crate::a32::{Decoders, Insn, Row, Set, decoders, system};
use crate::features::Feature;
use crate::flags::FlagSource;
use crate::model::Model;
use crate::psr::it_after;
use crate::state::mode;
use crate::tx::Tx;
use emu_ir::pattern::Field;
use emu_ir::{BlockKey, Builder, Fault, Fetch, Label};

/// A block ends after the instruction that exceeds this many operations.
const MAX_OPS: usize = 4000;
/// Bytes in a page of guest memory.
const PAGE: u32 = 4096;

/// The condition that always holds; 15 does too, where it is one.
const AL: u32 = 14;

/// Translate the block at `key`, `offset` bytes into its page; see [`emu_ir::Guest::translate`].
///
/// # Errors
/// If the first instruction cannot be fetched.
pub fn translate(
    model: &Model,
    key: BlockKey,
    offset: u32,
    limit: u32,
    fetch: &mut dyn Fetch,
    b: &mut Builder,
) -> Result<(), Fault> {
    translate_hosted(model, Around::default(), key, (offset, limit), fetch, b)
}

/// What is around the CPU, as far as instructions mean something else for it.
#[derive(Clone, Copy, Default)]
pub(crate) struct Around {
    /// The instructions of semihosting call the machine.
    pub semihosting: bool,
    /// There are other CPUs.
    pub several: bool,
}

/// The same for a CPU that has something around it.
///
/// # Errors
/// If the first instruction cannot be fetched.
pub(crate) fn translate_hosted(
    model: &Model,
    around: Around,
    key: BlockKey,
    (offset, limit): (u32, u32),
    fetch: &mut dyn Fetch,
    b: &mut Builder,
) -> Result<(), Fault> {
    let mode = key.mode as u32;
    let it = (mode & mode::IT) >> mode::IT_SHIFT;
    let mut t = Tx::new(b, model, mode, offset, it as u8);
    t.several = around.several;
    let mut driver = Driver {
        t,
        decoders: decoders(),
        region: None,
        semihosting: around.semihosting,
    };
    driver.block(limit, fetch)?;
    driver.t.b.block.guest_bytes = driver.t.next() - offset;
    driver.t.b.block.mode_ignored = driver.t.mode_ignored().into();
    Ok(())
}

/// Instructions under one condition: what a branch skips if it does not hold.
struct Region {
    cond: u32,
    skip: Label,
    flag_writes: u32,
}

struct Driver<'a> {
    t: Tx<'a>,
    decoders: &'static Decoders,
    region: Option<Region>,
    semihosting: bool,
}

impl Driver<'_> {
    fn block(&mut self, limit: u32, fetch: &mut dyn Fetch) -> Result<(), Fault> {
        for n in 0.. {
            let at = self.t.next();
            match self.fetch(at, fetch) {
                Ok(set) => self.insn(set, n == 0),
                Err(fault) if n == 0 => return Err(fault),
                Err(_) => self.t.stop = true,
            }
            if self.t.ended {
                break;
            }
            let full = n + 1 >= limit || self.t.b.len() > MAX_OPS || self.t.next() >= PAGE;
            if self.t.stop || full {
                self.close();
                self.t.goto_next(false);
                break;
            }
        }
        Ok(())
    }

    /// Make the instruction at `at` the current one.
    fn fetch(&mut self, at: u32, fetch: &mut dyn Fetch) -> Result<Set, Fault> {
        let (set, size, word) = if self.t.thumb() {
            let first = fetch.u16(at)? as u32;
            if first >> 11 < 0b11101 {
                (Set::T16, 2, first)
            } else {
                (Set::T32, 4, first << 16 | fetch.u16(at + 2)? as u32)
            }
        } else {
            (Set::A32, 4, fetch.u32(at)?)
        };
        let t = &mut self.t;
        (t.offset, t.size, t.word) = (at, size, word);
        t.it = t.it_next;
        t.it_next = it_after(t.it.into()) as u8;
        Ok(set)
    }

    fn insn(&mut self, set: Set, first: bool) {
        let t = &self.t;
        let cond = match set {
            Set::A32 => t.word >> 28,
            // BKPT is taken whatever the IT block's condition says (A8.8.24), and so is Armv8's HLT.
            Set::T16 if t.word >> 8 == 0xbe || is_halt(t) => AL,
            _ if t.it != 0 => (t.it >> 4) as u32,
            _ => AL,
        };
        // Before the instruction's own mark: what skips the region must come by the mark.
        if self.t.counts() {
            self.close();
        } else {
            self.leave(cond);
        }
        let t = &mut self.t;
        t.b.insn(t.offset as u16, t.it as u32);
        if t.counts() {
            t.count_insn();
        }
        if first && t.it != 0 {
            // Within the block the mode slot has no IT bits: see `Tx::mode`.
            t.set_mode(t.mode_with_it(0));
        }
        let semihosting = self.semihosting && is_semihosting(set, self.t.word);
        let (row, word) = self.decoders.find(set, self.t.word);
        let t = &self.t;
        let row = row.filter(|row| t.model.features.allows(row.needs) && !is_disabled(t, set));
        self.t.word = word;
        if cond < AL && self.region.is_none() && row.is_some_and(|row| only_computes(row, word)) {
            self.t.predicate = Some(self.t.cond(cond));
        } else {
            self.enter(cond);
        }
        match row {
            _ if semihosting => system::semihosting(&mut self.t),
            Some(row) => (row.run)(&mut self.t, word),
            None => self.t.undefined(),
        }
        self.t.predicate = None;
        if self.t.ended && self.region.is_some() {
            self.close();
            (self.t.ended, self.t.stop) = (false, true);
        }
    }

    /// Close the open region, unless it says what the condition `cond` does.
    fn leave(&mut self, cond: u32) {
        let stays = matches!(&self.region, Some(r) if r.cond == cond && !self.flags_changed(r));
        if !stays {
            self.close();
        }
    }

    /// Get under the condition `cond`: stay in the open region, else open one if the condition asks for it.
    fn enter(&mut self, cond: u32) {
        if cond >= AL || self.region.is_some() {
            return;
        }
        let t = &mut self.t;
        let skip = t.b.label();
        let not = t.cond(cond ^ 1);
        t.b.br_if(not, skip);
        self.region = Some(Region {
            cond,
            skip,
            flag_writes: t.flag_writes(),
        });
    }

    /// End the open region: what it may have done to the flags is in the slots only.
    fn close(&mut self) {
        let Some(region) = self.region.take() else { return };
        self.t.b.place(region.skip);
        if self.flags_changed(&region) {
            self.t.flags_written(FlagSource::Slots);
        }
    }

    fn flags_changed(&self, r: &Region) -> bool {
        self.t.flag_writes() != r.flag_writes
    }
}

/// Whether an instruction is one of those that Arm has set aside for semihosting (Semihosting for AArch32 and AArch64, 2.0:
/// the semihosting trap instructions), whatever its condition.
fn is_semihosting(set: Set, w: u32) -> bool {
    match set {
        // SVC #0x123456; HLT #0xf000.
        Set::A32 => w >> 28 != 15 && matches!(w & 0x0fff_ffff, 0x0f12_3456 | 0x010f_0070),
        // SVC #0xab; BKPT #0xab; HLT #0x3c.
        Set::T16 => matches!(w, 0xdfab | 0xbeab | 0xbabc),
        Set::T32 => false,
    }
}

/// HLT of T16.
fn is_halt(t: &Tx) -> bool {
    t.word >> 6 == 0b10_1110_1010 && t.has(Feature::A32V8)
}

/// Whether SCTLR.ITD makes an instruction Undefined: an IT of more than one instruction, and in its block wide instructions
/// and those of T16 that the manual lists (Arm ARM DDI 0487, D19.2, SCTLR_EL1.ITD).
fn is_disabled(t: &Tx, set: Set) -> bool {
    if t.mode & mode::ITD == 0 {
        return false;
    }
    let w = t.word;
    let is_it = set == Set::T16 && w >> 8 == 0xbf && w & 15 != 0;
    let listed = w >> 14 == 0b11
        || w >> 12 == 0b1011
        || w >> 11 == 0b10100
        || w >> 11 == 0b01001
        || w & 0xf478 == 0x4478
        || w & 0xfc87 == 0x4487;
    is_it && w & 7 != 0 || t.it != 0 && (set == Set::T32 || listed)
}

/// Whether an instruction does nothing but compute one register other than R15: under a condition, selecting between the
/// result and the old value costs less than a branch.
fn only_computes(row: &Row<Insn>, word: u32) -> bool {
    let more = |unless: Option<Field>| unless.is_some_and(|field| field.of(word) != 0);
    row.computes
        .is_some_and(|c| c.register.of(word) != 15 && !more(c.unless))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MODELS;
    use crate::state;
    use emu_ir::{Access, Op};

    const PAGE_END: Fault = Fault::Bus {
        addr: 0x1000,
        access: Access::Execute,
    };

    /// Halfwords from an offset on; nothing after them.
    struct Code<'a>(u32, &'a [u16]);

    impl Fetch for Code<'_> {
        fn u16(&mut self, offset: u32) -> Result<u16, Fault> {
            let at = (offset - self.0) as usize / 2;
            self.1.get(at).copied().ok_or(PAGE_END)
        }
    }

    fn block(mode: u32, offset: u32, limit: u32, code: &[u16]) -> Result<Builder, Fault> {
        let mut b = Builder::new();
        let key = BlockKey {
            phys: offset.into(),
            mode: mode.into(),
            marked: false,
        };
        translate(&MODELS[0], key, offset, limit, &mut Code(offset, code), &mut b)?;
        emu_ir::verify::verify(&b.block).expect("a valid block");
        Ok(b)
    }

    #[test]
    fn bkpt_ignores_the_it_blocks_condition() {
        // ite eq; bkpt 0; nop
        let b = block(mode::T | mode::USER, 0, 2, &[0xbf0c, 0xbe00]).unwrap();

        let branches = b.block.insts.iter().filter(|i| matches!(i.op, Op::BrIf { .. })).count();
        assert_eq!(branches, 0);
        assert!(
            b.block
                .insts
                .iter()
                .any(|i| matches!(i.op, Op::Call { helper, .. } if helper == crate::calls::BKPT))
        );
    }

    #[test]
    fn swp_is_undefined_unless_enabled() {
        let helpers = |mode| {
            let b = block(mode, 0, 1, &[0x0091, 0xe102]).unwrap();
            (b.block.insts.iter())
                .filter(|i| matches!(i.op, Op::Call { helper, .. } if helper == crate::calls::UNDEFINED))
                .count()
        };

        assert_eq!((helpers(0), helpers(mode::SWP)), (1, 0));
    }

    fn gotos(b: &Builder) -> Vec<(i32, u32)> {
        (b.block.insts.iter())
            .filter_map(|i| match i.op {
                Op::Goto { offset, mode, .. } => Some((offset, b.block.mode(mode) as u32)),
                _ => None,
            })
            .collect()
    }

    /// What each instruction's mark holds: offset and IT state.
    fn marks(b: &Builder) -> Vec<(u16, u32)> {
        (b.block.insts.iter())
            .filter_map(|i| match i.op {
                Op::Insn { offset, aux } => Some((offset, aux)),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn an_it_block_cut_by_the_limit_leaves_its_state_in_the_mode() {
        let it_and_three_movs = [0xbf04, 0x2001, 0x2102, 0x4770]; // ITT EQ, MOVEQ, MOVEQ, BX LR
        let b = block(mode::T, 0, 2, &it_and_three_movs).unwrap();
        assert_eq!(marks(&b), [(0, 0), (2, 0x04)]);
        assert_eq!(gotos(&b), [(4, mode::T | 0x08 << mode::IT_SHIFT)]);
        let rest = block(mode::T | 0x08 << mode::IT_SHIFT, 4, 64, &it_and_three_movs[2..]).unwrap();
        assert_eq!(marks(&rest), [(4, 0x08), (6, 0)]);
        let sets_mode = |i: &emu_ir::Inst| matches!(i.op, Op::Set { slot, .. } if slot == state::MODE.off);
        let sets = rest.block.insts.iter().filter(|i| sets_mode(i)).count();
        assert_eq!(sets, 2, "once to clear IT, once by BX");
    }

    #[test]
    fn a_wide_instruction_across_the_page_end_is_the_last() {
        let b = block(mode::T, 0xffe, 64, &[0xf04f, 0x0001, 0x2002]).unwrap(); // MOV.W R0, #1
        assert_eq!((b.block.guest_insns, b.block.guest_bytes), (1, 4));
        assert_eq!(gotos(&b), [(0x1002, mode::T)]);
    }

    #[test]
    fn a_fault_past_the_page_end_is_left_to_the_next_block() {
        let code = [0x2001, 0xf04f]; // MOVS R0, #1; half of MOV.W
        let b = block(mode::T, 0xffc, 64, &code).unwrap();
        assert_eq!((b.block.guest_insns, b.block.guest_bytes), (1, 2));
        assert_eq!(gotos(&b), [(0xffe, mode::T)]);
        assert_eq!(block(mode::T, 0xffe, 64, &code[1..]).err(), Some(PAGE_END));
    }

    #[test]
    fn instructions_under_one_condition_share_a_branch() {
        let code = [0x3000, 0x3591, 0x4000, 0x4582, 0xff1e, 0xe12f]; // LDRLO R3,[R1]; STRMI R4,[R2]; BX LR
        let b = block(0, 0, 64, &code).unwrap();
        let branches = |b: &Builder| b.block.insts.iter().filter(|i| matches!(i.op, Op::BrIf { .. })).count();
        assert_eq!(branches(&b), 2);
        let code = [0x3000, 0x0591, 0x4000, 0x0582, 0xff1e, 0x012f]; // EQ throughout
        let b = block(0, 0, 64, &code).unwrap();
        assert_eq!(branches(&b), 1);
        assert_eq!(gotos(&b), [(12, 0)], "the way past BXEQ LR");
    }

    #[test]
    fn a_flag_setter_under_the_condition_ends_what_it_governs() {
        let code = [0x0001, 0x0250, 0x1001, 0x0581, 0xff1e, 0xe12f]; // SUBSEQ R0, R0, #1; STREQ R1, [R1, #1]; BX LR
        let b = block(0, 0, 64, &code).unwrap();
        let branches = b.block.insts.iter().filter(|i| matches!(i.op, Op::BrIf { .. })).count();
        assert_eq!(branches, 2, "EQ is asked for anew");
    }

    #[test]
    fn a_simple_conditional_instruction_selects() {
        let b = block(0, 0, 64, &[0x0001, 0x03a0, 0xff1e, 0xe12f]).unwrap(); // MOVEQ R0, #1; BX LR
        let has = |f: fn(&Op) -> bool| b.block.insts.iter().any(|i| f(&i.op));
        assert!(has(|o| matches!(o, Op::Select { .. })));
        assert!(!has(|o| matches!(o, Op::BrIf { .. })));
    }

    #[test]
    fn what_does_more_than_compute_a_register_branches() {
        let more = [
            [0x0001, 0x0290], // ADDSEQ R0, R0, #1
            [0xf000, 0x0280], // ADDEQ PC, R0, #0
            [0x0001, 0x0350], // CMPEQ R0, #1
            [0x0000, 0x0591], // LDREQ R0, [R1]
        ];
        for code in more {
            let b = block(0, 0, 1, &code).unwrap();
            let branches = b.block.insts.iter().filter(|i| matches!(i.op, Op::BrIf { .. })).count();
            assert_eq!(branches, 1, "{code:x?}");
        }
    }

    #[test]
    fn an_undefined_instruction_is_skipped_alone_as_it_is_in_a_region() {
        let bfc_eq_of_no_bits = [0xbf08, 0xf36f, 0x70c3]; // IT EQ; BFC with the last bit before the first
        let region = [0xbf04, 0x6808, 0xf36f, 0x70c3]; // ITT EQ; LDR R0, [R1]; the same
        for code in [&bfc_eq_of_no_bits[..], &region] {
            let b = block(mode::T | mode::USER, 0, 64, code).unwrap();
            let at = |f: fn(&Op) -> bool| b.block.insts.iter().position(|i| f(&i.op));
            let undefined = at(|o| matches!(o, Op::Call { helper, .. } if *helper == crate::calls::UNDEFINED));
            assert!(at(|o| matches!(o, Op::BrIf { .. })) < undefined, "{code:x?}");
            assert_eq!(gotos(&b), [(code.len() as i32 * 2, mode::T | mode::USER)]);
        }
    }

    #[test]
    fn blx_changes_the_mode_of_its_target() {
        let b = block(0, 0x100, 64, &[0x0000, 0xfb00]).unwrap(); // BLX .+10, from A32
        assert_eq!(gotos(&b), [(0x10a, mode::T)]);
        let b = block(mode::T, 0x102, 64, &[0xf000, 0xe802]).unwrap(); // BLX .+8, from Thumb
        assert_eq!(gotos(&b), [(0x108, 0)]);
    }
}

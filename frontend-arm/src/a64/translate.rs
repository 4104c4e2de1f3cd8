//! The translation driver: fetch, decode, and where a block ends.

use super::branch;
use super::decoder;
use super::fault::{FP_TRAP, class, exception};
use super::features::{Feature, Features};
use super::guarded;
use super::state::{PSR, STEPPED, mode, psr, stepped};
use super::tx::Tx;
use crate::translate::Around;
use emu_ir::{BlockKey, Builder, Fault, Fetch};

/// A block ends after the instruction that exceeds this many operations.
const MAX_OPS: usize = 4000;
/// Bytes in a page of guest memory.
const PAGE: u32 = 4096;

/// Translate the block at `key`, `offset` bytes into its page; see [`emu_ir::Guest::translate`].
///
/// # Errors
/// If the first instruction cannot be fetched.
pub fn translate(
    features: Features,
    key: BlockKey,
    offset: u32,
    limit: u32,
    fetch: &mut dyn Fetch,
    b: &mut Builder,
) -> Result<(), Fault> {
    translate_hosted(features, Around::default(), key, (offset, limit), fetch, b)
}

/// The same for a CPU that has something around it.
///
/// # Errors
/// If the first instruction cannot be fetched.
pub(super) fn translate_hosted(
    features: Features,
    around: Around,
    key: BlockKey,
    (offset, limit): (u32, u32),
    fetch: &mut dyn Fetch,
    b: &mut Builder,
) -> Result<(), Fault> {
    if offset & 3 != 0 {
        return Err(exception(class::PC_ALIGNMENT, 0));
    }
    let mut t = Tx::new(b, features, key.mode as u32, offset);
    (t.several, t.guarded) = (around.several, key.marked);
    for n in 0.. {
        let at = t.next();
        match fetch.u32(at) {
            Ok(word) => insn(&mut t, at, word, around.semihosting),
            Err(fault) if n == 0 => return Err(fault),
            Err(_) => t.stop = true,
        }
        if t.ended {
            break;
        }
        let full = n + 1 >= limit || t.b.len() > MAX_OPS || t.next() >= PAGE;
        if t.stop || full {
            t.goto_next(false);
            break;
        }
    }
    // With nothing ignored the mode is compared at once: where floating point's is not, the others are not worth it.
    let ignored = match t.depends & mode::FLOATING {
        0 => (mode::FLOATING | mode::PAUTH | mode::GUARD) & !t.depends,
        _ => 0,
    };
    t.b.block.mode_ignored = u64::from(ignored);
    let bytes = t.next() - offset;
    b.block.guest_bytes = bytes;
    Ok(())
}

/// Whether the word is of floating point or Advanced SIMD: the loads and stores of their registers, and their data processing.
const fn is_simd(word: u32) -> bool {
    word >> 26 & 3 == 3
}

/// What [`emu_ir::Guest::restore`] is told of an instruction, for its faults: bits of [`stepped`].
fn of_faults(word: u32, needs: Option<u8>) -> u32 {
    /// DC ZVA, X0.
    const ZVA: u32 = 0xd50b_7420;
    match needs {
        Some(needs) if needs == Feature::Lse as u8 => stepped::ATOMIC,
        Some(_) if word & !31 == ZVA => stepped::ZVA | (word & 31) << stepped::ZVA_SHIFT,
        _ => 0,
    }
}

/// LDXR, LDXP and their like.
const fn is_load_exclusive(word: u32) -> bool {
    word & 0x3fc0_0000 == 0x0840_0000
}

/// Software step: PSTATE.SS goes with the instruction, which is known to have been stepped, a load-exclusive or another.
pub(super) fn step(b: &mut Builder, exclusive: bool) {
    let what = stepped::INSN | if exclusive { stepped::EXCLUSIVE } else { 0 };
    let (old, kept, what) = (b.get(PSR), b.i32(!psr::SS), b.i32(what));
    let new = b.and(old, kept);
    b.set(PSR, new);
    b.set(STEPPED, what);
}

/// HLT #0xf000 (Arm, Semihosting for AArch32 and AArch64, 2.0).
const SEMIHOSTING: u32 = 0xd45e_0000;

fn insn(t: &mut Tx, at: u32, word: u32, semihosting: bool) {
    (t.offset, t.word) = (at, word);
    if is_simd(word) {
        t.depends |= mode::FLOATING;
    }
    let row = decoder().find(word).filter(|row| t.features.allows(row.needs));
    t.b.insn(at as u16, of_faults(word, row.map(|row| row.needs)));
    if t.counts() {
        t.count_insn();
    }
    if t.mode & mode::STEP != 0 {
        step(t.b, is_load_exclusive(word));
    }
    let first = t.b.len();
    match row {
        _ if t.mode & mode::IL != 0 => t.exception(class::ILLEGAL_STATE, 0),
        _ if guarded::arrive(t, word) => {}
        Some(_) if is_simd(word) && t.mode & mode::FP == 0 => t.exception(class::FP_ACCESS, FP_TRAP),
        _ if semihosting && word == SEMIHOSTING => branch::semihosting(t),
        Some(row) => (row.run)(t, word),
        None => t.undefined(),
    }
    if t.counts() {
        t.count_accesses(first);
    }
}

#[cfg(test)]
mod tests {
    use super::super::calls::{EXCEPTION, SP_ALIGNMENT, UNDEFINED};
    use super::super::features::Feature;
    use super::*;
    use emu_ir::{Access, Op};

    const PAGE_END: Fault = Fault::Bus {
        addr: 0x1000,
        access: Access::Execute,
    };

    /// Words from an offset on; nothing after them.
    struct Code<'a>(u32, &'a [u32]);

    impl Fetch for Code<'_> {
        fn u16(&mut self, offset: u32) -> Result<u16, Fault> {
            let at = (offset - self.0) as usize;
            let word = self.1.get(at / 4).ok_or(PAGE_END)?;
            Ok((word >> (at % 4 * 8)) as u16)
        }
    }

    fn block(features: Features, mode: u32, offset: u32, code: &[u32]) -> Result<Builder, Fault> {
        let mut b = Builder::new();
        let key = BlockKey {
            phys: offset.into(),
            mode: mode.into(),
            marked: false,
        };
        translate(features, key, offset, 64, &mut Code(offset, code), &mut b)?;
        emu_ir::verify::verify(&b.block).expect("a valid block");
        Ok(b)
    }

    fn calls(b: &Builder, of: u16) -> usize {
        let is = |i: &&emu_ir::Inst| matches!(i.op, Op::Call { helper, .. } if helper == of);
        b.block.insts.iter().filter(is).count()
    }

    const RET: u32 = 0xd65f_03c0;
    const LDR_SP: u32 = 0xf940_07e0; // LDR X0, [SP, #8]

    #[test]
    fn a_row_of_a_feature_that_is_not_there_is_undefined() {
        let ldadd = [0xb822_0020, RET];
        let undefined = |features| calls(&block(features, 0, 0, &ldadd).unwrap(), UNDEFINED);

        assert_eq!(undefined(Features::BASE), 1);
        assert_eq!(undefined(Features::BASE.with(&[Feature::Lse])), 0);
    }

    #[test]
    fn every_row_with_a_feature_is_undefined_without_it() {
        for row in super::super::rows().filter(|row| row.needs != 0) {
            let word = row.pattern.bits;
            if decoder().find(word).is_none_or(|found| found.needs != row.needs) {
                continue;
            }
            let b = block(Features::BASE, mode::FP, 0, &[word, RET]).unwrap();

            assert_eq!(calls(&b, UNDEFINED), 1, "{} {word:#010x}", row.name);
        }
    }

    #[test]
    fn sp_is_checked_once_as_long_as_it_moves_by_multiples_of_16() {
        let checks = |between: &[u32]| {
            let code = [&[LDR_SP], between, &[LDR_SP, RET]].concat();
            calls(&block(Features::ALL, mode::SP_ALIGN, 0, &code).unwrap(), SP_ALIGNMENT)
        };
        let (sub_32, sub_8, mov_x1, push) = (0xd100_83ff, 0xd100_23ff, 0x9100_003f, 0xa9bf_7bfd);

        assert_eq!(checks(&[]), 1);
        assert_eq!(checks(&[sub_32, push]), 1);
        assert_eq!(checks(&[sub_8]), 2);
        assert_eq!(checks(&[mov_x1]), 2);
    }

    #[test]
    fn sp_is_not_checked_where_the_mode_does_not_ask_for_it() {
        let b = block(Features::ALL, 0, 0, &[LDR_SP, RET]).unwrap();

        assert_eq!(calls(&b, SP_ALIGNMENT), 0);
    }

    #[test]
    fn a_block_ends_with_its_page_and_before_what_cannot_be_fetched() {
        let nop = 0xd503_201f;

        let last = block(Features::ALL, 0, 0xff8, &[nop, nop, nop]).unwrap();
        let cut = block(Features::ALL, 0, 0, &[nop]).unwrap();

        assert_eq!((last.block.guest_insns, last.block.guest_bytes), (2, 8));
        assert_eq!((cut.block.guest_insns, cut.block.guest_bytes), (1, 4));
        assert_eq!(block(Features::ALL, 0, 0, &[]).err(), Some(PAGE_END));
    }

    #[test]
    fn a_block_without_floating_point_is_one_under_all_its_modes() {
        let (add, fadd, ldr_q) = (0x8b02_0020, 0x1e22_2820, 0x3dc0_0020);
        let ignored = |words: &[u32]| block(Features::ALL, 0, 0, words).unwrap().block.mode_ignored;

        let [floating, pauth] = [mode::FLOATING, mode::PAUTH | mode::GUARD].map(u64::from);
        assert_eq!(ignored(&[add, RET]), floating | pauth);
        assert_eq!([ignored(&[add, fadd, RET]), ignored(&[ldr_q, RET])], [0; 2]);
    }

    /// A kernel's functions are the same whichever keys it has on for programs.
    #[test]
    fn a_block_that_authenticates_depends_on_its_own_key_alone() {
        let pacia_x0_x1 = 0xdac1_0020;
        let ignored = |on: u32| {
            let b = block(Features::ALL, on, 0, &[pacia_x0_x1, RET]).unwrap();
            b.block.mode_ignored as u32 & mode::PAUTH
        };

        let others = mode::IB | mode::DA | mode::DB;
        assert_eq!(ignored(0), others | mode::USUAL);
        assert_eq!(ignored(mode::IA | mode::DB), others);
    }

    #[test]
    fn a_supervisor_call_says_its_number() {
        let b = block(Features::ALL, 0, 0, &[0xd400_0541]).unwrap(); // SVC #0x2a

        assert_eq!(calls(&b, EXCEPTION), 1);
        assert!(
            b.block
                .insts
                .iter()
                .any(|i| matches!(i.op, Op::Const { imm } if imm.get() == 0x2a))
        );
    }
}

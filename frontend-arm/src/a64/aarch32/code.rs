//! Blocks of AArch32: translated as for a CPU without AArch64, and their slots renamed to AArch64's.
#![expect(
    clippy::indexing_slicing,
    reason = "a value is an index into the operations of its own block"
)]

use super::super::calls::{CHANNEL_ALLOWED, EXCEPTION, WAIT_ALLOWED};
use super::super::fault::{FP_TRAP, class};
use super::super::state::{self as a64, Aarch32, Cpu, Sys};
use super::super::translate::step;
use super::{UPPER, calls, mode, translated};
use crate::calls as theirs;
use crate::cp15::Pmu;
use crate::features::Features;
use crate::state::{self as a32, psr};
use crate::translate::{Around, translate_hosted};
use emu_ir::block::Inst;
use emu_ir::{Block, BlockKey, Builder, Fault, Fetch, Label, Op, Slot, Ty, Val};
use std::mem::offset_of;

/// Translate the block at `key`, `offset` bytes into its page; see [`emu_ir::Guest::translate`].
///
/// # Errors
/// If the first instruction cannot be fetched.
pub(in super::super) fn translate(
    features: Features,
    around: Around,
    key: BlockKey,
    (offset, limit): (u32, u32),
    fetch: &mut dyn Fetch,
    b: &mut Builder,
) -> Result<(), Fault> {
    // Semihosting is for who runs without a kernel.
    let around = Around {
        semihosting: false,
        ..around
    };
    let mut code = Builder::new();
    let lower = BlockKey {
        mode: key.mode & u64::from(!UPPER),
        ..key
    };
    translate_hosted(&translated(features), around, lower, (offset, limit), fetch, &mut code)?;
    let mut renamer = Renamer {
        labels: b.block.labels,
        pool: b.block.pool.len() as u16,
        values: Vec::with_capacity(code.len()),
        upper: key.mode as u32 & UPPER,
        insn: offset,
        thumb: lower.mode & u64::from(a32::mode::T) != 0,
        fp: lower.mode & u64::from(a32::mode::VFP) != 0,
        from: &code.block,
        b,
    };
    renamer.block(fetch);
    Ok(())
}

/// What a slot of AArch32 is here.
enum Place {
    /// A slot of the same type.
    Same(usize),
    /// The low half of a doubleword, whose high half becomes zero.
    Low(Slot),
    /// The mode word.
    Mode,
    /// CPSR but for flags and execution state; SSBS and DIT may be written.
    Psr,
}

/// `None`: User mode does not come there.
fn place(slot: u16, ty: Ty) -> Option<Place> {
    let at = |s: Slot| s.off == slot;
    let within = |start: usize, len: usize| (slot as usize).checked_sub(start).filter(|&k| k < len);
    if let Some(k) = within(offset_of!(a32::Cpu, r), 64) {
        return match k / 4 {
            15 => Some(Place::Low(a64::PC)),
            n => Some(Place::Low(a64::x(n as u32))),
        };
    }
    if let Some(k) = within(offset_of!(a32::Cpu, d), 256) {
        return Some(Place::Same(offset_of!(Cpu, q) + k));
    }
    if let Some(k) = within(offset_of!(a32::Cpu, n), 4) {
        return Some(Place::Same(offset_of!(Cpu, n) + k));
    }
    if let Some(k) = within(offset_of!(a32::Cpu, fp_n), 4) {
        return Some(Place::Same(offset_of!(Cpu, aarch32) + offset_of!(Aarch32, fp_nzcv) + k));
    }
    let pmu = offset_of!(a32::Cpu, cp15) + offset_of!(crate::cp15::Cp15, pmu);
    if let Some(k) = within(pmu, size_of::<Pmu>()) {
        return Some(Place::Same(offset_of!(Cpu, sys) + offset_of!(Sys, pmu) + k));
    }
    let own = |field: usize| Place::Same(offset_of!(Cpu, aarch32) + field);
    let same = |s: Slot| Place::Same(s.off.into());
    Some(match () {
        () if at(a32::MODE) => Place::Mode,
        () if at(a32::PSR) => Place::Psr,
        () if at(a32::Q) => own(offset_of!(Aarch32, q)),
        () if at(a32::GE) => own(offset_of!(Aarch32, ge)),
        () if at(a32::QC) => same(a64::QC),
        () if at(a32::FP_FLAGS) => same(a64::FP_FLAGS),
        () if at(a32::FP_ROUND) => same(a64::FP_ROUND),
        () if at(a32::FPSCR) && ty == Ty::I32 => same(a64::FPCR),
        () if at(a32::EXCL_ARMED) => same(a64::EXCL_ARMED),
        () if at(a32::EXCL_ADDR) => Place::Low(a64::EXCL_ADDR),
        () if at(a32::EXCL_VALUE) => same(a64::EXCL_LOW),
        () if at(a32::TPIDRURO) => Place::Low(a64::TPIDRRO_EL0),
        () if at(a32::TPIDRURW) => Place::Low(a64::TPIDR_EL0),
        () => return None,
    })
}

/// How far up PSTATE.SSBS is in the CPSR from where it is in SPSR_EL1 from AArch64, and how far down PSTATE.DIT.
const SSBS_UP: u32 = 11;
const DIT_DOWN: u32 = 3;
const _: () = assert!(a64::psr::SSBS << SSBS_UP == psr::SSBS && a64::psr::DIT >> DIT_DOWN == psr::DIT);

struct Renamer<'a> {
    from: &'a Block,
    b: &'a mut Builder,
    /// What each value of the former is in the latter.
    values: Vec<Val>,
    /// Labels that the latter had.
    labels: u16,
    /// Constants in its pool.
    pool: u16,
    /// The bits of the mode that stay.
    upper: u32,
    /// Where the current instruction is.
    insn: u32,
    thumb: bool,
    /// It may use floating point and Advanced SIMD.
    fp: bool,
}

impl Renamer<'_> {
    fn block(&mut self, fetch: &mut dyn Fetch) {
        self.b.block.pool.extend(&self.from.pool);
        self.b.block.labels += self.from.labels;
        for &inst in &self.from.insts {
            let value = self.inst(inst, fetch);
            self.values.push(value);
        }
        self.b.block.guest_bytes = self.from.guest_bytes;
        self.b.block.mode_ignored = self.from.mode_ignored;
    }

    fn inst(&mut self, inst: Inst, fetch: &mut dyn Fetch) -> Val {
        let Inst { mut op, ty } = inst;
        op.vals_mut(&mut |v| *v = self.values[v.index()]);
        match op {
            Op::Insn { offset, aux } => {
                self.insn = offset.into();
                self.b.insn(offset, aux);
                if self.upper & mode::STEP != 0 {
                    step(self.b, self.is_load_exclusive(fetch));
                }
                if self.upper & mode::IL != 0 {
                    self.exception(class::ILLEGAL_STATE, 0);
                }
                Val::NONE
            }
            Op::Get { slot } => self.get(slot, ty),
            Op::Set { slot, a } => self.set(slot, ty, a),
            Op::Goto {
                offset,
                mode,
                hint,
                poll,
            } => {
                let mode = self.from.mode(mode) | u64::from(self.upper);
                self.b.goto(offset, mode, hint, poll);
                Val::NONE
            }
            Op::GotoVal { addr, hint } => {
                let addr = self.b.zext(Ty::I64, addr);
                self.b.goto_val(addr, hint);
                Val::NONE
            }
            Op::Call { helper, args } => self.call(helper, args, ty, fetch),
            _ => {
                self.moved(&mut op);
                self.b.push(ty, op)
            }
        }
    }
    /// Addresses, labels and constants have other types and numbers.
    fn moved(&mut self, op: &mut Op) {
        match op {
            Op::Load { addr, .. }
            | Op::Store { addr, .. }
            | Op::Cas { addr, .. }
            | Op::Swap { addr, .. }
            | Op::Rmw { addr, .. } => *addr = self.b.zext(Ty::I64, *addr),
            Op::Place { label } | Op::Br { label } | Op::BrIf { label, .. } => *label = Label(label.0 + self.labels),
            Op::Const128 { pool } | Op::VPerm { pool, .. } => *pool += self.pool,
            _ => {}
        }
    }
    fn get(&mut self, slot: u16, ty: Ty) -> Val {
        match place(slot, ty) {
            Some(Place::Same(at)) => self.b.get(Slot::new(at, ty)),
            Some(Place::Low(long)) => {
                let whole = self.b.get(long);
                self.b.trunc(ty, whole)
            }
            Some(Place::Mode) => self.masked(a64::MODE, !UPPER),
            Some(Place::Psr) => self.psr(),
            None => {
                self.exception(class::UNKNOWN, 0);
                self.b.imm(ty, 0)
            }
        }
    }
    fn set(&mut self, slot: u16, ty: Ty, a: Val) -> Val {
        match place(slot, ty) {
            Some(Place::Same(at)) => self.b.set(Slot::new(at, ty), a),
            Some(Place::Low(long)) => {
                let whole = self.b.zext(Ty::I64, a);
                self.b.set(long, whole);
            }
            Some(Place::Mode) => {
                let upper = self.b.i32(self.upper);
                let word = self.b.or(a, upper);
                self.b.set(a64::MODE, word);
            }
            Some(Place::Psr) => self.set_speculation(a),
            None => self.exception(class::UNKNOWN, 0),
        }
        Val::NONE
    }
    /// The CPSR's bits of PSTATE: SSBS and DIT are elsewhere in SPSR_EL1.
    fn psr(&mut self) -> Val {
        let here = self.masked(a64::PSR, psr::M | psr::A | psr::I | psr::F | psr::PAN);
        let (ssbs, by) = (self.masked(a64::PSR, a64::psr::SSBS), self.b.i32(SSBS_UP));
        let ssbs = self.b.shl(ssbs, by);
        let (dit, by) = (self.masked(a64::PSR, a64::psr::DIT), self.b.i32(DIT_DOWN));
        let dit = self.b.shr_u(dit, by);
        let both = self.b.or(ssbs, dit);
        self.b.or(here, both)
    }
    /// SSBS and DIT from a value for the CPSR.
    fn set_speculation(&mut self, a: Val) {
        let (ssbs, by) = (self.b.i32(psr::SSBS), self.b.i32(SSBS_UP));
        let ssbs = self.b.and(a, ssbs);
        let ssbs = self.b.shr_u(ssbs, by);
        let (dit, by) = (self.b.i32(psr::DIT), self.b.i32(DIT_DOWN));
        let dit = self.b.and(a, dit);
        let dit = self.b.shl(dit, by);
        let kept = self.masked(a64::PSR, !(a64::psr::SSBS | a64::psr::DIT));
        let both = self.b.or(ssbs, dit);
        let new = self.b.or(kept, both);
        self.b.set(a64::PSR, new);
    }
    fn masked(&mut self, slot: Slot, mask: u32) -> Val {
        let (word, mask) = (self.b.get(slot), self.b.i32(mask));
        self.b.and(word, mask)
    }
    fn call(&mut self, helper: u16, args: [Val; 4], ty: Ty, fetch: &mut dyn Fetch) -> Val {
        match helper {
            theirs::SVC => self.exception(class::SVC_32, self.immediate(fetch)),
            theirs::BKPT => self.exception(class::BKPT_32, self.immediate(fetch)),
            theirs::UNDEFINED if !self.fp && self.is_simd(fetch) => self.exception(class::FP_ACCESS, FP_TRAP),
            theirs::WAIT_ALLOWED => return self.allowed(WAIT_ALLOWED, args),
            theirs::CHANNEL_ALLOWED => return self.allowed(CHANNEL_ALLOWED, args),
            _ => {
                let helper = calls::index(helper);
                return self.b.push(ty, Op::Call { helper, args });
            }
        }
        Val::NONE
    }
    /// A helper of AArch64's own.
    fn allowed(&mut self, helper: u16, args: [Val; 4]) -> Val {
        self.b.push(Ty::I32, Op::Call { helper, args })
    }
    fn exception(&mut self, ec: u32, iss: u32) {
        let (ec, iss) = (self.b.i32(ec), self.b.i32(iss));
        self.b.call(Ty::I32, EXCEPTION, &[ec, iss]);
    }

    /// The current instruction: A32 and T32 in 32 bits, T16 in 16. It was fetched before.
    fn word(&self, fetch: &mut dyn Fetch) -> u32 {
        let mut half = |at: u32| fetch.u16(self.insn + at).map_or(0, u32::from);
        match self.thumb {
            false => half(0) | half(2) << 16,
            true if half(0) >> 11 < 0b11101 => half(0),
            true => half(0) << 16 | half(2),
        }
    }
    /// The immediate of SVC, or of BKPT, as a syndrome.
    fn immediate(&self, fetch: &mut dyn Fetch) -> u32 {
        let word = self.word(fetch);
        match self.thumb {
            true => word & 0xff,
            false if word >> 24 & 15 == 15 => word & 0xffff,
            false => word >> 4 & 0xfff0 | word & 15,
        }
    }
    /// LDREX, LDAEX and their like.
    fn is_load_exclusive(&self, fetch: &mut dyn Fetch) -> bool {
        let word = self.word(fetch);
        match self.thumb {
            false => word & 0x0f90_02f0 == 0x0190_0290,
            true => word >> 20 == 0xe85 || word & 0xfff0_0040 == 0xe8d0_0040,
        }
    }
    /// VFP and Advanced SIMD.
    fn is_simd(&self, fetch: &mut dyn Fetch) -> bool {
        let word = self.word(fetch);
        let coprocessor = match word >> 28 {
            15 => matches!(word >> 8 & 15, 8..=13),
            _ => matches!(word >> 8 & 15, 9..=11),
        };
        let coprocessor = coprocessor && matches!(word >> 24 & 15, 0xc..=0xe);
        match self.thumb {
            false if word >> 28 == 15 => matches!(word >> 24 & 15, 2..=4) || coprocessor,
            false => coprocessor,
            true => matches!(word >> 24, 0xef | 0xff | 0xf9) || word >> 28 >= 0xe && coprocessor,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::state::mode::AARCH32;
    use super::*;
    use crate::a32::{Set, rows};
    use emu_ir::testing::Random;
    use emu_ir::{Access, verify};

    const PAGE_END: Fault = Fault::Bus {
        addr: 0x1000,
        access: Access::Execute,
    };

    /// Halfwords; nothing after them.
    struct Code<'a>(&'a [u16]);

    impl Fetch for Code<'_> {
        fn u16(&mut self, offset: u32) -> Result<u16, Fault> {
            self.0.get(offset as usize / 2).copied().ok_or(PAGE_END)
        }
    }

    fn block(mode: u32, code: &[u16]) -> Builder {
        let mut b = Builder::new();
        let key = BlockKey {
            phys: 0,
            mode: (AARCH32 | a32::mode::USER | mode).into(),
            marked: false,
        };
        translate(Features::ALL, Around::default(), key, (0, 1), &mut Code(code), &mut b).expect("there is code");
        b
    }

    /// Exceptions that a block may end in: class and syndrome.
    fn exceptions(b: &Builder) -> Vec<(u64, u64)> {
        let value = |v: Val| b.block.constant(v).expect("a constant");
        let of = |inst: &Inst| match inst.op {
            Op::Call {
                helper: EXCEPTION,
                args,
            } => Some((value(args[0]), value(args[1]))),
            _ => None,
        };
        b.block.insts.iter().filter_map(of).collect()
    }

    #[test]
    fn every_row_finds_its_slots_in_aarch64s_state() {
        let fp = a32::mode::VFP | a32::mode::NEON;
        let mut random = Random::new(1);
        for (set, mode) in [(Set::A32, 0), (Set::T32, a32::mode::T), (Set::T16, a32::mode::T)] {
            for row in rows(set) {
                let any = random.word() & !row.pattern.mask;
                let word = any | row.pattern.bits;
                let word = if set == Set::A32 && word >> 28 == 15 && row.pattern.mask >> 28 == 0 {
                    word & 0x0fff_ffff | 0xe000_0000
                } else {
                    word
                };
                let code = match set {
                    Set::A32 => [word as u16, (word >> 16) as u16],
                    Set::T32 => [(word >> 16) as u16, word as u16],
                    Set::T16 => [word as u16, 0xbf00],
                };

                let b = block(mode | fp, &code);

                let wrong = verify::verify(&b.block).err();
                assert_eq!(wrong, None, "{} {word:#x}", row.name);
                let unknown = exceptions(&b).iter().any(|&(ec, _)| ec == u64::from(class::UNKNOWN));
                assert!(!unknown, "{} {word:#x} reaches for something else", row.name);
                let slots = b.block.insts.iter().filter_map(|inst| match inst.op {
                    Op::Get { slot } | Op::Set { slot, .. } => Some(slot),
                    _ => None,
                });
                assert!(slots.into_iter().all(|slot| (slot as usize) < size_of::<Cpu>()));
            }
        }
    }

    #[test]
    fn calls_say_what_they_are() {
        let (thumb, svc, bkpt) = (a32::mode::T, u64::from(class::SVC_32), u64::from(class::BKPT_32));

        assert_eq!(exceptions(&block(0, &[0x1234, 0xef00])), [(svc, 0x1234)]);
        assert_eq!(exceptions(&block(thumb, &[0xdf12])), [(svc, 0x12)]);
        assert_eq!(exceptions(&block(0, &[0x2374, 0xe121])), [(bkpt, 0x1234)]);
        assert_eq!(exceptions(&block(thumb, &[0xbe12])), [(bkpt, 0x12)]);
    }

    #[test]
    fn floating_point_that_is_off_is_a_trap_and_not_undefined() {
        let trap = (u64::from(class::FP_ACCESS), u64::from(FP_TRAP));
        for (mode, code) in [
            (0, [0x0a00, 0xee30]),            // VADD.F32 S0, S0, S0
            (0, [0x0840, 0xf220]),            // VADD.I32 Q0, Q0, Q0
            (0, [0x0a8f, 0xf420]),            // VLD1.32 {D0, D1}, [R0]
            (0, [0x0a00, 0xfe00]),            // VSELEQ.F32 S0, S0, S0
            (0, [0x0d00, 0xfc20]),            // VSDOT.S8 D0, D0, D0
            (0, [0x0900, 0xee30]),            // VADD.F16 S0, S0, S0
            (a32::mode::T, [0xee30, 0x0a00]), // VADD.F32
            (a32::mode::T, [0xef20, 0x0840]), // VADD.I32
            (a32::mode::T, [0xfe00, 0x0a00]), // VSELEQ.F32
            (a32::mode::T, [0xf920, 0x0a8f]), // VLD1.32
            (a32::mode::T, [0xed90, 0x0b00]), // VLDR D0, [R0]
        ] {
            assert_eq!(exceptions(&block(mode, &code)), [trap], "{code:x?}");
            let on = a32::mode::VFP | a32::mode::NEON;
            assert_eq!(exceptions(&block(mode | on, &code)), [], "{code:x?}");
        }
        assert_eq!(exceptions(&block(0, &[0x00f0, 0xe7f0])), [], "UDF");
    }
}

//! What follows from registers: the mode word and the bounds of segments; and registers that are kept in parts.

use super::bits::{cr0, cr4, efer, eflags, mxcsr, xcr0};
use super::{Attributes, Bounds, Cpu, Loaded, Segment, mode, number, status};
use emu_ir::{FP_DENORMAL, FP_DIVZERO, FP_INVALID};

impl Cpu {
    /// A segment register, by its number.
    pub fn segment(&self, n: u8) -> &Segment {
        #[allow(clippy::indexing_slicing, reason = "there are six")]
        &self.segments[n as usize % 6]
    }
    /// The same, to be written; [`Cpu::settle`] is to be called then.
    pub fn segment_mut(&mut self, n: u8) -> &mut Segment {
        #[allow(clippy::indexing_slicing, reason = "there are six")]
        &mut self.segments[n as usize % 6]
    }
    /// The current privilege level: 0 to 3.
    pub fn cpl(&self) -> u8 {
        mode::cpl(self.mode)
    }
    /// EFLAGS.
    pub fn eflags(&self) -> u32 {
        self.eflags & !eflags::STATUS | status::to_eflags(self.status) | eflags::FIXED
    }
    /// Set EFLAGS, all of it.
    pub fn set_eflags(&mut self, value: u32) {
        self.status = status::of_eflags(value);
        self.eflags = value & eflags::ALL & !eflags::STATUS;
        self.settle_flags();
    }
    /// MXCSR.
    pub fn mxcsr(&self) -> u32 {
        self.mxcsr | self.fp_flags & mxcsr::FLAGS | (self.fp_round & 3) << mxcsr::RC_SHIFT
    }
    /// Set MXCSR.
    pub fn set_mxcsr(&mut self, value: u32) {
        self.fp_flags = value & mxcsr::FLAGS;
        self.fp_round = (value & mxcsr::RC) >> mxcsr::RC_SHIFT;
        self.mxcsr = value & (mxcsr::MASKS | mxcsr::DAZ | mxcsr::FTZ);
        self.settle();
    }
    /// Whether flags that an instruction has raised are of exceptions that are not masked; they join those that there were
    /// before. Where one is of what is found before computing (invalid, denormal, division by zero), no more is found (SDM 1,
    /// 11.5.3).
    pub fn simd_exception(&mut self, before: u32) -> bool {
        const FIRST: u32 = FP_INVALID | FP_DENORMAL | FP_DIVZERO;
        let masks = self.mxcsr >> mxcsr::MASKS_SHIFT & mxcsr::FLAGS;
        let mut raised = self.fp_flags;
        if raised & FIRST & !masks != 0 {
            raised &= FIRST;
        }
        self.fp_flags = before | raised;
        raised & !masks != 0
    }
    /// rIP: the offset in CS of the next instruction.
    pub fn rip(&self) -> u64 {
        if self.mode & mode::CODE64 != 0 {
            return self.pc;
        }
        self.pc.wrapping_sub(self.segment(number::CS).base) & 0xffff_ffff
    }
    /// Go on at an offset in CS.
    pub fn set_rip(&mut self, rip: u64) {
        self.pc = if self.mode & mode::CODE64 != 0 {
            rip
        } else {
            self.segment(number::CS).base.wrapping_add(rip) & 0xffff_ffff
        };
    }

    /// Makes what follows from other registers: the mode word (but for the interrupt shadow), whose current privilege level is
    /// given, and the bounds of segments. Called after whatever writes one of them.
    pub fn settle_at(&mut self, cpl: u8) {
        let long = self.sys.efer & efer::LMA != 0;
        let cs = self.segment(number::CS);
        let code64 = long && cs.has(Attributes::L);
        let mut m = self.mode & (mode::SHADOW | mode::SMM) | u64::from(cpl & 3) << mode::CPL_SHIFT;
        let mut set = |bit: u64, on: bool| m |= if on { bit } else { 0 };
        set(mode::LONG, long);
        set(mode::CODE64, code64);
        set(mode::CODE32, !code64 && cs.has(Attributes::DB));
        set(mode::PROTECTED, self.sys.cr0 & cr0::PE != 0);
        set(mode::TS, self.sys.cr0 & cr0::TS != 0);
        set(mode::EM, self.sys.cr0 & cr0::EM != 0);
        set(mode::MP, self.sys.cr0 & cr0::MP != 0);
        set(mode::LA57, self.sys.cr4 & cr4::LA57 != 0);
        set(mode::OSFXSR, self.sys.cr4 & cr4::OSFXSR != 0);
        let xsave = self.sys.cr4 & cr4::OSXSAVE != 0;
        let avx = xcr0::SSE | xcr0::AVX;
        set(mode::OSXSAVE, xsave);
        set(mode::AVX, xsave && self.sys.xcr0 & avx == avx);
        set(mode::DAZ, self.mxcsr & mxcsr::DAZ != 0);
        set(mode::FTZ, self.mxcsr & mxcsr::FTZ != 0);
        set(mode::SIMD_TRAPS, self.mxcsr & mxcsr::MASKS != mxcsr::MASKS);
        set(mode::X87_TRAPS, self.x87.may_trap());
        self.mode = m;
        self.settle_flags();
        (0..6).for_each(|n| self.settle_segment(n));
    }
    /// The same at the level that it is at.
    pub fn settle(&mut self) {
        self.settle_at(self.cpl());
    }
    /// What follows from CS and SS, from EFLAGS and the privilege level, which is given, where no more has changed.
    pub fn settle_code_at(&mut self, cpl: u8) {
        let cs = *self.segment(number::CS);
        let code64 = self.mode & mode::LONG != 0 && cs.has(Attributes::L);
        if code64 != (self.mode & mode::CODE64 != 0) {
            return self.settle_at(cpl);
        }
        let code32 = if !code64 && cs.has(Attributes::DB) {
            mode::CODE32
        } else {
            0
        };
        const CHANGES: u64 = mode::CPL | mode::CODE32 | mode::X87_CALLS;
        self.mode = self.mode & !CHANGES | u64::from(cpl & 3) << mode::CPL_SHIFT | code32;
        self.settle_flags();
        self.settle_segment(number::CS);
        self.settle_segment(number::SS);
        debug_assert!(self.is_settled_at(cpl), "more has changed");
    }
    fn is_settled_at(&self, cpl: u8) -> bool {
        let mut whole = *self;
        whole.settle_at(cpl);
        // 64-bit code writes bases of its own, and reads none of this.
        if self.mode & mode::CODE64 != 0 {
            whole.loaded = self.loaded;
        }
        whole == *self
    }
    /// What follows from EFLAGS, where no more has changed.
    pub fn settle_flags(&mut self) {
        const OF_FLAGS: u64 = mode::VIRTUAL | mode::STEP | mode::RESUME | mode::ALIGN;
        let checks = self.sys.cr0 & cr0::AM != 0 && self.cpl() == 3;
        let mut m = self.mode & !OF_FLAGS;
        for (bit, flag, counts) in [
            (mode::VIRTUAL, eflags::VM, true),
            (mode::STEP, eflags::TF, true),
            (mode::RESUME, eflags::RF, true),
            (mode::ALIGN, eflags::AC, checks),
        ] {
            m |= if counts && self.eflags & flag != 0 { bit } else { 0 };
        }
        self.mode = m;
    }
    /// What follows from segment register `n`, where no more has changed.
    pub fn settle_segment(&mut self, n: u8) {
        let code64 = self.mode & mode::CODE64 != 0;
        let segment = *self.segment(n);
        // In 64-bit mode no limit counts, and of the bases those of FS and GS alone.
        let (bounds, flat) = if code64 {
            (Bounds::ALL, n < number::FS)
        } else {
            let (bounds, code) = (segment.bounds(), n == number::CS);
            let open = bounds.read == Bounds::ALL.read && (code || bounds.write == Bounds::ALL.write)
                || code && segment.is_code() && segment.limit == u32::MAX;
            (bounds, open && segment.base == 0)
        };
        let stack32 = !code64 && segment.has(Attributes::DB);
        let mut set = |bit: u64, on: bool| self.mode = self.mode & !bit | if on { bit } else { 0 };
        set(1 << (mode::FLAT_SHIFT + u32::from(n)), flat);
        if n == number::SS {
            set(mode::STACK32, stack32);
        }
        #[allow(clippy::indexing_slicing, reason = "there are six")]
        {
            self.bounds[n as usize % 6] = bounds;
            // Loads of the other two always have more to do.
            self.loaded[n as usize % 6] = match n {
                number::CS | number::SS => Loaded::NONE,
                _ => segment.loaded(),
            };
        }
    }
}

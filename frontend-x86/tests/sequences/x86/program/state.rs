//! The state that programs start in.

use super::{Kind, Writer};
use crate::x86::layout::*;
use crate::x86::tables::Paging;
use crate::x86::{machine, system};
use emu_frontend_x86::exception;
use emu_frontend_x86::state::bits::{cr0, cr4, efer, eflags, xcr0};
use emu_frontend_x86::state::{Cpu, Descriptor, Segment, number};
use emu_ir::testing::Random;

/// CR4 of a program.
pub(super) fn cr4(kind: Kind, random: &mut Random) -> u64 {
    let mut value = cr4::OSFXSR | cr4::OSXMMEXCPT | cr4::OSXSAVE | cr4::MCE | cr4::PSE;
    let mut some = |n: u64, bits: u64| value |= if random.one_in(n) { bits } else { 0 };
    some(2, cr4::PGE);
    some(2, cr4::DE);
    some(2, cr4::FSGSBASE);
    some(2, cr4::VME);
    some(4, cr4::PVI);
    some(4, cr4::UMIP);
    some(4, cr4::SMEP);
    some(5, cr4::SMAP);
    match kind {
        Kind::Long => {
            some(1, cr4::PAE);
            some(2, cr4::PCIDE);
            some(4, cr4::PKE);
        }
        Kind::Protected(Paging::Pae) => some(1, cr4::PAE),
        _ => {}
    }
    value
}

impl Writer<'_> {
    pub(super) fn start(&self, random: &mut Random) -> Cpu {
        let mut cpu = exception::reset(&machine::cpu(0, 1).model);
        for register in &mut cpu.regs {
            let any = random.next();
            *register = random.pick(&[0, 1, 0x40, u64::MAX, any, any]);
        }
        for quarter in cpu.ymm.iter_mut().flatten() {
            let any = random.next();
            *quarter = random.pick(&[0, any, 0x3ff0_0000_0000_0000, 0x7fc0_0000_3f80_0000]);
        }
        let s = &mut cpu.sys;
        s.cr0 = cr0::ET | cr0::NE | cr0::MP | if random.one_in(4) { cr0::AM } else { 0 };
        s.cr4 = self.cr4;
        s.xcr0 = xcr0::X87 | xcr0::SSE | xcr0::AVX;
        (s.gdtr.base, s.gdtr.limit) = (GDT.into(), selector::LIMIT.into());
        (s.idtr.base, s.idtr.limit) = (IDT.into(), 0x3ff);
        s.pkru = random.word() & random.word() & random.word() & !3;
        (s.star, s.lstar, s.cstar) = (0x0018_0008 << 32, SYSCALL.into(), SYSCALL.into());
        s.fmask = u64::from(random.word()) & !2 | u64::from(eflags::TF | eflags::IF);
        (s.sysenter_cs, s.sysenter_eip, s.sysenter_esp) = (selector::KERNEL_CODE.into(), SYSENTER.into(), INNER.into());
        self.modes(&mut cpu, random);
        let iopl = random.pick(&[0, 0, 3]) << eflags::IOPL_SHIFT;
        let flags = random.word() & (eflags::STATUS | eflags::DF | eflags::IF);
        cpu.set_eflags(flags | iopl);
        cpu.set_mxcsr(random.pick(&[0x1f80, 0x1f80, 0x1f80, 0x9fc0, 0x1d80, 0x7f80]));
        cpu.settle_at(0);
        let kernel = self.chunks.iter().copied().find(|c| *c < KERNEL_CHUNKS);
        cpu.set_rip(chunk_at(kernel.unwrap_or(0)).into());
        cpu
    }

    /// The mode's registers.
    fn modes(&self, cpu: &mut Cpu, random: &mut Random) {
        if self.kind == Kind::Real {
            cpu.segments = [Segment::real(0); 6];
            (cpu.sys.idtr.base, cpu.sys.idtr.limit) = (VECTORS.into(), 0xff);
            return;
        }
        let long = self.kind == Kind::Long;
        let all = system::descriptors(long);
        let segment = |selector: u16| {
            let found = all.iter().find(|(s, _)| *s == selector).expect("it is there");
            Descriptor(found.1).segment(selector)
        };
        cpu.segments = [segment(selector::KERNEL_DATA); 6];
        *cpu.segment_mut(number::CS) = segment(selector::KERNEL_CODE);
        for n in [number::FS, number::GS] {
            let which = random.pick(&[selector::USER_DATA, selector::LIMITED, selector::EXPAND_DOWN]);
            *cpu.segment_mut(n) = segment(which);
            if long {
                cpu.segment_mut(n).base = random.pick(&[0, 0, 0x1000]);
            }
        }
        cpu.sys.tr = Segment {
            base: TSS.into(),
            limit: 0xef,
            selector: selector::TSS,
            attributes: 0x8b,
        };
        cpu.sys.ldtr = Segment::default();
        let s = &mut cpu.sys;
        s.cr0 |= cr0::PE;
        if self.tables.paging != Paging::Off {
            let protects = self.careful || !random.one_in(4);
            s.cr0 |= cr0::PG | if protects { cr0::WP } else { 0 };
            s.cr3 = self.tables.root(random.word_below(2), self.cr4).into();
        }
        match self.tables.paging {
            Paging::Long => s.efer = efer::LME | efer::LMA | efer::NXE | efer::SCE,
            Paging::Pae => {
                s.efer = efer::NXE;
                let directory = self.tables.base + DIRECTORY + (s.cr3 as u32 & 0x1000);
                s.pdpte = [u64::from(directory) | 1, 0, 0, 0];
            }
            Paging::Off | Paging::Bits32 => {}
        }
    }
}

//! What code and tables for x86 hold.

use bytemuck::Zeroable;
use emu_frontend_x86::calls::{self, CALLS};
use emu_frontend_x86::model::MODELS;
use emu_frontend_x86::platform::{INIT, INTR, NMI, Platform, Refused, SMI, X86};
use emu_frontend_x86::state::bits::{cr0, cr4, efer};
use emu_frontend_x86::state::{Attributes, Cpu, Segment, Table};
use emu_frontend_x86::{exception, fault};
use emu_ir::{Access, BlockKey, Guest, HelperFn, Op};
use emu_jit::listing;

use crate::Input;
use crate::memory::Memory;

struct Nowhere(u64);

impl Platform for Nowhere {
    fn tsc(&self) -> u64 {
        self.0
    }
    fn tsc_hz(&self) -> u64 {
        1_000_000_000
    }
    fn cpu_index(&self) -> u32 {
        self.0 as u32 & 1
    }
    fn cpu_count(&self) -> u32 {
        2
    }
    fn acknowledge(&mut self) -> u8 {
        self.0 as u8
    }
    fn taken(&mut self, _: u32) {}
    fn cr8(&self) -> u64 {
        self.0 & 15
    }
    fn set_cr8(&mut self, priority: u8) {
        assert!(priority < 16);
    }
    fn read_msr(&mut self, _: u32) -> Result<u64, Refused> {
        Ok(self.0)
    }
    fn write_msr(&mut self, number: u32, _: u64) -> Result<(), Refused> {
        if number & 1 == 0 { Ok(()) } else { Err(Refused) }
    }
    fn set_tsc_ahead(&mut self, ahead: u64) {
        self.0 = self.0.wrapping_add(ahead);
    }
    fn ferr(&mut self, _: bool) {}
    fn random(&mut self) -> Option<u64> {
        (self.0 & 1 == 0).then_some(self.0)
    }
}

fn x86(model: u8, now: u64) -> X86 {
    X86 {
        model: MODELS[usize::from(model) % MODELS.len()],
        platform: Box::new(Nowhere(now)),
    }
}

/// Code: decoded, translated, optimised, emitted; each stage holds what the verifier asks for.
pub fn decode(data: &[u8]) {
    /// Bits that the mode word has.
    const MODE: u64 = (1 << 29) - 1;
    let mut input = Input::new(data);
    let (model, mode, offset) = (input.u8(), u64::from(input.u32()) & MODE, input.u16() & 0xfff);
    let key = BlockKey {
        phys: offset.into(),
        mode,
        marked: false,
    };
    let Ok(stages) = listing::stages(&x86(model, 0), key, input.take(usize::MAX)) else {
        return;
    };
    for block in [&stages.ir, &stages.optimised] {
        emu_ir::verify::verify(block).unwrap_or_else(|e| panic!("{e}"));
        for inst in &block.insts {
            if let Op::Call { helper, .. } = inst.op {
                assert!(usize::from(helper) < CALLS.len());
            }
        }
    }
}

/// Page tables: walked with any control registers, by anybody. What is found is a page in the physical address space.
pub fn walk(data: &[u8]) {
    let mut input = Input::new(data);
    let guest = x86(input.u8(), 0);
    let mut cpu = Cpu::zeroed();
    // Bases within memory, most often.
    let near = |base: u64, far: u8| {
        if far == 0 {
            base
        } else {
            base & !0xffff_0000 & 0xffff_ffff
        }
    };
    let s = &mut cpu.sys;
    s.cr0 = u64::from(input.u32()) | cr0::PE | cr0::PG;
    s.cr4 = input.u32().into();
    s.cr3 = near(input.u64(), input.u8());
    s.efer = u64::from(input.u16()) & (efer::LMA | efer::LME | efer::NXE);
    s.pdpte = [0; 4].map(|_: u64| near(input.u64(), 1));
    s.pkru = input.u32();
    s.pending = input.u32();
    cpu.eflags = input.u32();
    cpu.settle_at(input.u8());
    let (va, kind) = (input.u64(), input.u8());
    let va = if kind & 4 == 0 { va } else { va & 0x3f_ffff };
    let mut memory = Memory::new(&mut input);
    let access = [Access::Read, Access::Write, Access::Execute][usize::from(kind) % 3];
    for idx in [0, 1] {
        let context = guest.context(&cpu, idx);
        if let Ok(page) = guest.walk(&cpu, &mut memory, va, access, idx) {
            assert!(
                page.phys & 0xfff == 0 && page.phys < 1 << 54 && page.size >= 12,
                "{page:x?}"
            );
            let allowed = match access {
                Access::Read => page.read,
                // The first write comes again, for the dirty flag.
                Access::Write => page.write,
                Access::Execute => page.exec,
            };
            assert!(allowed, "{access:?} {page:x?}");
        }
        assert_eq!(guest.context(&cpu, idx), context);
    }
}

/// What instructions of the system call.
#[rustfmt::skip]
const SYSTEM: [u16; 41] = [
    calls::READ_CR, calls::WRITE_CR, calls::READ_DR, calls::WRITE_DR, calls::LMSW, calls::CLTS, calls::RDMSR, calls::WRMSR,
    calls::XGETBV, calls::XSETBV, calls::RDPKRU, calls::WRPKRU, calls::INVLPG, calls::INVPCID, calls::LOAD_SEGMENT,
    calls::LLDT, calls::LTR, calls::LGDT, calls::LIDT, calls::LAR, calls::LSL, calls::VERR, calls::VERW, calls::JMP_FAR,
    calls::CALL_FAR, calls::RET_FAR, calls::IRET, calls::SYSCALL, calls::SYSRET, calls::SYSENTER, calls::SYSEXIT, calls::RSM,
    calls::CLI, calls::STI, calls::PUSHF, calls::POPF, calls::SET_AC, calls::CPUID, calls::MAY_ACCESS_PORT, calls::IN,
    calls::OUT,
];

/// The state to start with: after a reset, or in another mode with segments that are flat.
fn start(guest: &X86, kind: u8) -> Cpu {
    let mut cpu = exception::reset(&guest.model);
    let flat = |attributes| Segment {
        limit: u32::MAX,
        selector: 8 | u16::from(kind >> 6),
        attributes: attributes | u16::from(kind >> 6) << Attributes::DPL_SHIFT,
        ..Segment::default()
    };
    if kind & 3 != 0 {
        cpu.segments = [flat(0xc93); 6];
        cpu.segments[1] = flat(if kind & 3 == 3 { 0xa9b } else { 0xc9b });
        let s = &mut cpu.sys;
        s.cr0 |= cr0::PE;
        s.gdtr = Table {
            base: 0x1000,
            limit: 0xfff,
        };
        s.idtr = Table {
            base: 0x2000,
            limit: 0xfff,
        };
        s.tr = Segment {
            base: 0x3000,
            limit: 0xfff,
            selector: 0x28,
            attributes: 0x8b,
        };
        if kind & 3 == 3 {
            s.cr0 |= cr0::PG;
            s.cr4 |= cr4::PAE;
            s.cr3 = 0x4000;
            s.efer = efer::LME | efer::LMA | efer::SCE;
        }
        cpu.settle_at(kind >> 6);
    }
    cpu
}

/// System registers and descriptor tables: any instruction of the system, with any operands, in any mode; exceptions and
/// interrupts between. What follows from registers follows at every time.
pub fn system(data: &[u8]) {
    let mut input = Input::new(data);
    let mut guest = x86(input.u8(), input.u64());
    let mut cpu = start(&guest, input.u8());
    let steps = usize::from(input.u16()) % 0x400;
    let mut steps = Input::new(input.take(steps));
    let mut memory = Memory::new(&mut input);
    while !steps.is_empty() {
        let (what, kind) = (steps.u8(), steps.u8());
        let small = |value: u64| if kind & 0x10 == 0 { value & 0xff } else { value };
        match usize::from(what) {
            // What is no index or size of an operand is anything.
            n if n < 4 * SYSTEM.len() => {
                let helper = SYSTEM[n / 4];
                let size = [2, 4, 8, 4][usize::from(kind) & 3];
                let args = arguments(helper, size, [small(steps.u64()), steps.u64(), steps.u64()]);
                if let HelperFn::State(f) = CALLS[usize::from(helper)].f
                    && let Err(fault) = f(&mut guest, &mut cpu, &mut memory, &args)
                {
                    guest.raise(&mut cpu, &mut memory, fault);
                }
            }
            n if n < 230 => {
                let (vector, code) = (steps.u8(), steps.u16());
                guest.raise(&mut cpu, &mut memory, fault::exception(vector % 20, code.into()));
            }
            n if n < 245 => {
                let lines = u32::from(kind) & (INTR | NMI | SMI | INIT);
                let _ = guest.wakes(&cpu, lines);
                guest.interrupt(&mut cpu, &mut memory, lines);
            }
            _ => {
                exception::sipi(&mut cpu, kind);
            }
        }
        let mut settled = cpu;
        settled.settle();
        assert!(settled == cpu, "not settled after {what}");
        let _ = (
            guest.context(&cpu, 0),
            guest.context(&cpu, 1),
            guest.traps(&cpu),
            guest.trap(&cpu),
        );
    }
}

/// The arguments of a helper: sizes of operands where these are meant.
fn arguments(helper: u16, size: u64, [a, b, c]: [u64; 3]) -> [u128; 4] {
    let all = match helper {
        calls::LOAD_SEGMENT => [[0, 2, 3, 4, 5, 3][a as usize % 6], b & 0xffff, 0, 0],
        calls::LGDT | calls::LIDT => [a & 0xffff, b, size, 0],
        calls::JMP_FAR => [a & 0xffff, b, c, 0],
        calls::CALL_FAR => [a & 0xffff, b, size, c],
        calls::RET_FAR => [size, b & 0xffff, 0, 0],
        calls::IRET => [size, b, 0, 0],
        calls::SYSRET | calls::SYSEXIT => [if size == 8 { 8 } else { 4 }, 0, 0, 0],
        calls::PUSHF => [size, 0, 0, 0],
        calls::POPF => [a, size, 0, 0],
        calls::MAY_ACCESS_PORT | calls::IN | calls::OUT => [a & 0xffff, size.min(4), b, 0],
        calls::READ_CR | calls::WRITE_CR | calls::READ_DR | calls::WRITE_DR => [a & 15, b, 0, 0],
        calls::RDMSR => [a & 0xffff_ffff, 0, 0, 0],
        calls::WRMSR | calls::XSETBV => [a & 0xffff_ffff, b, 0, 0],
        calls::LLDT | calls::LTR | calls::LAR | calls::LSL | calls::VERR | calls::VERW => [a & 0xffff, 0, 0, 0],
        _ => [a, b, c, 0],
    };
    all.map(u128::from)
}

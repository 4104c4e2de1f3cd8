//! What a guest's code and tables hold.

use emu_frontend_arm::guest::CALLS;
use emu_frontend_arm::platform::{Arm, Conduit, FirmwareResult, Platform, Timer, TimerOutput};
use emu_frontend_arm::state::psr;
use emu_frontend_arm::{Cpu, MODELS, mmu, sys};
use emu_ir::{Access, BlockKey, Guest, Op};
use emu_jit::listing;

use crate::Input;
use crate::memory::Memory;

struct Nowhere(u64);

impl Platform for Nowhere {
    fn now_ns(&self) -> u64 {
        self.0
    }
    fn timer(&mut self, _: Timer, _: TimerOutput) {}
    fn pending(&self) -> u32 {
        0
    }
    fn firmware_call(&mut self, _: Conduit, args: [u64; 4], _: bool) -> FirmwareResult {
        FirmwareResult::Return(args)
    }
    fn cpu_index(&self) -> u32 {
        0
    }
    fn uncounted(&mut self, _: u32) {}
    fn cpu_count(&self) -> u32 {
        1
    }
}

fn arm(model: u8, now: u64) -> Arm {
    Arm {
        model: &MODELS[usize::from(model) % MODELS.len()],
        platform: Box::new(Nowhere(now)),
        semihosting: false,
    }
}

/// Code: translated, optimised, emitted; each stage holds what the verifier asks for.
pub fn decode(data: &[u8]) {
    let mut input = Input::new(data);
    let (model, mode, offset) = (input.u8(), input.u32(), u32::from(input.u16()) & 0xffe);
    let thumb = mode & 1 != 0;
    let offset = if thumb { offset } else { offset & !3 };
    let key = BlockKey {
        phys: offset.into(),
        mode: mode.into(),
        marked: false,
    };
    let Ok(stages) = listing::stages(&arm(model, 0), key, input.take(usize::MAX)) else {
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
    if model >> 4 == 15 {
        // Slow, and asked for by users only.
        let _ = listing::ir::<Arm>(&stages.optimised);
        let _ = listing::host::<Arm>(&stages);
    }
}

/// Page tables: walked with any control registers. What is found is a page in the physical address space.
pub fn walk(data: &[u8]) {
    let mut input = Input::new(data);
    let guest = arm(input.u8(), 0);
    let mut cpu = Cpu::reset(guest.model);
    let c = &mut cpu.cp15;
    (c.sctlr, c.ttbcr, c.dacr, c.contextidr) = (input.u32() | 1, input.u32(), input.u32(), input.u32());
    // Bases within memory, most often.
    let near = |base: u64, far: u8| if far == 0 { base } else { base & !0xffff_0000 };
    (c.ttbr0, c.ttbr1) = (near(input.u64(), input.u8()), near(input.u64(), input.u8()));
    (c.prrr, c.nmrr) = (input.u32(), input.u32());
    let (va, kind) = (input.u32(), input.u8());
    let mut memory = Memory::new(&mut input);
    let access = [Access::Read, Access::Write, Access::Execute][usize::from(kind) % 3];
    for idx in [mmu::CURRENT, mmu::UNPRIVILEGED] {
        let _ = guest.context(&cpu, idx);
        if let Ok(page) = guest.walk(&cpu, &mut memory, va.into(), access, idx) {
            assert!(
                page.phys & 0xfff == 0 && page.phys < 1 << 40 && page.size >= 12,
                "{page:x?}"
            );
        }
    }
}

/// System registers: any coprocessor instruction, with any value, in any mode.
pub fn system(data: &[u8]) {
    let mut input = Input::new(data);
    let mut guest = arm(input.u8(), input.u64());
    let mut cpu = Cpu::reset(guest.model);
    let modes = [psr::SVC, psr::USR, psr::SYS];
    cpu.switch_mode(modes[usize::from(input.u8()) % 3]);
    cpu.update_mode();
    let mut memory = Memory::zeroed(0x1000);
    while !input.is_empty() {
        let (what, word, value) = (input.u8(), input.u32(), input.u64());
        // CP14 or CP15.
        let word = word & !0xf00 | 0xe00 | u32::from(what & 4) << 6;
        let _ = match what & 3 {
            0 => sys::read(&mut guest, &mut cpu, &mut memory, word).map(|_| ()),
            1 => sys::write(&mut guest, &mut cpu, &mut memory, word, value as u32),
            2 => sys::read64(&mut guest, &mut cpu, &mut memory, word).map(|_| ()),
            _ => sys::write64(&mut guest, &mut cpu, &mut memory, word, value),
        };
        let _ = (guest.context(&cpu, 0), guest.context(&cpu, 1), cpu.cpsr());
    }
}

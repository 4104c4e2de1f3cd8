//! A machine for tests: memory, an engine that notes what it is told, and CPUs in each mode.

use crate::memory::Memory;
use crate::model::Model;
use crate::platform::{PORTS, Platform, Refused, SMM, X86};
use crate::state::bits::{cr0, cr4, dr6, dr7, efer};
use crate::state::{Attributes, Cpu, Segment, number};
use bytemuck::Zeroable;
use emu_devices::bus;
use emu_ir::{Bus, Env, Flush, RamPage, Stop, X87Insn, X87Unit};
use emu_jit::engine::{Accel, Vcpu};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// Memory from address 0, the same in system management mode, and 4096 ports that keep what they are given; nothing answers
/// elsewhere. Clones are the same.
#[derive(Clone)]
pub struct Ram {
    memory: Arc<bus::Ram>,
    ports: Arc<bus::Ram>,
    /// Where compare-and-exchange finds another value than the one expected, once: what another CPU has put there.
    pub raced: Option<(u64, u64)>,
}

impl Ram {
    pub fn new() -> Ram {
        Ram {
            memory: Arc::new(bus::Ram::new(0x40_0000).unwrap()),
            ports: Arc::new(bus::Ram::new(0x1000).unwrap()),
            raced: None,
        }
    }
    pub fn put(&mut self, at: u64, size: u8, value: u64) {
        self.store(at, size, value).unwrap();
    }
    pub fn get(&mut self, at: u64, size: u8) -> u64 {
        self.load(at, size).unwrap()
    }
    fn find(&self, phys: u64) -> (&bus::Ram, u64) {
        match phys.checked_sub(PORTS).filter(|&port| port < 0x1_0000) {
            Some(port) => (&self.ports, port),
            None => (&self.memory, phys & !SMM),
        }
    }
}

impl Bus for Ram {
    fn load(&mut self, phys: u64, size: u8) -> Option<u64> {
        let (mut bytes, (ram, at)) = ([0; 8], self.find(phys));
        ram.copy_out(at, &mut bytes[..size.into()])?;
        Some(u64::from_le_bytes(bytes))
    }
    fn store(&mut self, phys: u64, size: u8, value: u64) -> Option<()> {
        let (ram, at) = self.find(phys);
        ram.copy_in(at, &value.to_le_bytes()[..size.into()])
    }
    fn compare_exchange(&mut self, phys: u64, size: u8, old: u64, new: u64) -> Option<u64> {
        if let Some((at, value)) = self.raced.take_if(|raced| raced.0 == phys) {
            self.store(at, size, value)?;
        }
        let held = self.load(phys, size)?;
        if held == old {
            self.store(phys, size, new)?;
        }
        Some(held)
    }
    fn ram(&mut self, page: u64) -> Option<RamPage<'_>> {
        let page = page & !SMM;
        (page < self.memory.len()).then(|| RamPage::plain(self.memory.mapping(), page, page))
    }
}

/// The machine around a CPU, as a test sees it. Clones are the same.
#[derive(Clone, Default)]
pub struct Around(Arc<Mutex<Told>>);

/// What it was told, and what it answers.
#[derive(Default)]
pub struct Told {
    /// Which CPU it is.
    pub cpu: u32,
    /// The vector of INTR.
    pub vector: u8,
    /// Edges that were taken.
    pub taken: u32,
    pub cr8: u8,
    pub tsc: u64,
    pub tsc_ahead: u64,
    pub ferr: bool,
    /// The local APIC's MSRs.
    pub msrs: HashMap<u32, u64>,
    pub random: Option<u64>,
}

impl Around {
    pub fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap()
    }
}

impl Platform for Around {
    fn tsc(&self) -> u64 {
        self.told().tsc
    }
    fn tsc_hz(&self) -> u64 {
        1_000_000_000
    }
    fn cpu_index(&self) -> u32 {
        self.told().cpu
    }
    fn cpu_count(&self) -> u32 {
        2
    }
    fn acknowledge(&mut self) -> u8 {
        self.told().vector
    }
    fn taken(&mut self, line: u32) {
        self.told().taken |= line;
    }
    fn cr8(&self) -> u64 {
        self.told().cr8.into()
    }
    fn set_cr8(&mut self, priority: u8) {
        self.told().cr8 = priority;
    }
    fn read_msr(&mut self, number: u32) -> Result<u64, Refused> {
        self.told().msrs.get(&number).copied().ok_or(Refused)
    }
    fn write_msr(&mut self, number: u32, value: u64) -> Result<(), Refused> {
        self.told().msrs.get_mut(&number).map(|msr| *msr = value).ok_or(Refused)
    }
    fn set_tsc_ahead(&mut self, ahead: u64) {
        self.told().tsc_ahead = ahead;
    }
    fn ferr(&mut self, level: bool) {
        self.told().ferr = level;
    }
    fn random(&mut self) -> Option<u64> {
        self.told().random
    }
}

/// A CPU of a model with nothing remarkable around it.
pub fn x86(model: Model) -> X86 {
    let platform = Box::new(Around::default());
    X86 { model, platform }
}

/// A CPU with memory, and what the engine was told.
pub struct Bench {
    pub cpu: Cpu,
    pub model: Model,
    pub engine: Engine,
}

pub struct Engine {
    pub ram: Ram,
    pub flushes: Vec<Flush>,
    pub stop: Option<Stop>,
}

impl Env for Engine {
    fn bus(&mut self) -> &mut dyn Bus {
        &mut self.ram
    }
    fn flush(&mut self, what: Flush, broadcast: bool) {
        assert!(!broadcast, "x86 broadcasts nothing");
        self.flushes.push(what);
    }
    fn traps_changed(&mut self) {}
    fn context_changed(&mut self) {}
    fn stop(&mut self, why: Stop) {
        self.stop = Some(why);
    }
    fn x87(&mut self, insn: X87Insn, unit: &mut X87Unit, operand: &mut [u8; 10], status: u16) -> u16 {
        emu_jit::x64::x87::execute(insn, unit, operand, status)
    }
}

pub const GDT: u64 = 0x1000;
pub const LDT: u64 = 0x1800;
pub const IDT: u64 = 0x2000;
/// The current TSS.
pub const TSS: u64 = 0x3000;
/// Another TSS.
pub const TSS2: u64 = 0x3800;
/// Top of the stack at hand; those of levels 0 to 2 are each 0x1000 above the one before.
pub const STACK: u64 = 0x8000;
pub const INNER: u64 = 0x9000;

/// Selectors in the GDT of [`Bench`], RPL 0.
pub mod sel {
    pub const CODE0: u16 = 0x08;
    pub const DATA0: u16 = 0x10;
    pub const CODE3: u16 = 0x18;
    pub const DATA3: u16 = 0x20;
    pub const CONFORMING: u16 = 0x28;
    /// Of 64-bit mode.
    pub const CODE64: u16 = 0x30;
    pub const CODE64_3: u16 = 0x38;
    /// Takes two places.
    pub const TSS: u16 = 0x40;
    pub const TSS2: u16 = 0x50;
    pub const LDT: u16 = 0x60;
    pub const READ_ONLY: u16 = 0x70;
    /// Not present: data, code.
    pub const ABSENT: u16 = 0x78;
    pub const ABSENT_CODE: u16 = 0x80;
    pub const CODE1: u16 = 0x88;
    pub const DATA1: u16 = 0x90;
    /// Code that cannot be read.
    pub const EXECUTE_ONLY: u16 = 0x98;
    pub const CODE16: u16 = 0xa0;
    /// Free places.
    pub const FREE: u16 = 0xb0;
    pub const FREE2: u16 = 0xc0;
    pub const LIMIT: u64 = 0xff;
}

/// A descriptor of code or data: attributes as a segment has them.
pub const fn descriptor(base: u64, limit: u64, attributes: u16) -> u64 {
    let a = attributes as u64;
    limit & 0xffff
        | (base & 0xff_ffff) << 16
        | (a & 0xff) << 40
        | (limit >> 16 & 15) << 48
        | (a >> 8) << 52
        | (base >> 24 & 0xff) << 56
}
pub const CODE: u16 = 0xc9a;
pub const DATA: u16 = 0xc92;
pub const LEVEL1: u16 = 1 << 5;
pub const LEVEL3: u16 = 3 << 5;
/// Of a descriptor: where a table has it.
const DESCRIPTORS: [(u16, u64, u64, u16); 15] = [
    (sel::CODE0, 0, 0xf_ffff, CODE),
    (sel::DATA0, 0, 0xf_ffff, DATA),
    (sel::CODE3, 0, 0xf_ffff, CODE | LEVEL3),
    (sel::DATA3, 0, 0xf_ffff, DATA | LEVEL3),
    (sel::CONFORMING, 0, 0xf_ffff, CODE | 4),
    (sel::CODE64, 0, 0xf_ffff, 0xa9a),
    (sel::CODE64_3, 0, 0xf_ffff, 0xafa),
    (sel::TSS2, TSS2, 0x67, 0x89),
    (sel::READ_ONLY, 0, 0xf_ffff, 0xc90),
    (sel::ABSENT, 0, 0xf_ffff, DATA & !0x80),
    (sel::ABSENT_CODE, 0, 0xf_ffff, CODE & !0x80),
    (sel::CODE1, 0, 0xf_ffff, CODE | LEVEL1),
    (sel::DATA1, 0, 0xf_ffff, DATA | LEVEL1),
    (sel::EXECUTE_ONLY, 0, 0xf_ffff, CODE & !2),
    (sel::CODE16, 0, 0xffff, 0x9a),
];

impl Bench {
    fn empty(model: Model) -> Bench {
        let mut cpu = Cpu::zeroed();
        cpu.set_eflags(0);
        cpu.sys.cr0 = cr0::ET;
        cpu.sys.dr6 = dr6::FIXED.into();
        cpu.sys.dr7 = dr7::FIXED;
        let engine = Engine {
            ram: Ram::new(),
            flushes: Vec::new(),
            stop: None,
        };
        Bench { cpu, model, engine }
    }

    /// In real mode: CS 100h, SS 0 with SP 8000h, the vectors at 0.
    pub fn real() -> Bench {
        let mut b = Bench::empty(Model::ALL);
        b.cpu.segments = [Segment::real(0); 6];
        *b.cpu.segment_mut(number::CS) = Segment::real(0x100);
        b.cpu.sys.idtr.limit = 0x3ff;
        b.finish(0)
    }
    /// In protected mode at a level, with flat segments of 32 bits.
    pub fn protected(cpl: u8) -> Bench {
        let mut b = Bench::empty(Model::ALL);
        b.cpu.sys.cr0 |= cr0::PE;
        b.cpu.sys.idtr.limit = 0x7ff;
        b.tables();
        b.cpu.sys.ldtr = segment(LDT, 0xff, sel::LDT, 0x82);
        b.cpu.sys.tr = segment(TSS, 0x67, sel::TSS, 0x8b);
        for level in 0..3 {
            b.engine.ram.put(TSS + 4 + 8 * level, 4, INNER + 0x1000 * level);
        }
        for (level, ss) in [(0, sel::DATA0), (1, sel::DATA1 | 1)] {
            b.engine.ram.put(TSS + 8 + 8 * level, 2, ss.into());
        }
        let (code, data) = match cpl {
            0 => (sel::CODE0, sel::DATA0),
            1 => (sel::CODE1, sel::DATA1),
            _ => (sel::CODE3, sel::DATA3),
        };
        b.flat(code, data, cpl);
        b.finish(cpl)
    }
    /// In 64-bit mode at level 0 or 3, with 4-level paging that maps the first 4 MiB to themselves, for the user.
    pub fn long(cpl: u8) -> Bench {
        let mut b = Bench::protected(cpl);
        b.cpu.sys.cr0 |= cr0::PG | cr0::WP;
        b.cpu.sys.cr4 |= cr4::PAE;
        b.cpu.sys.efer = efer::LME | efer::LMA | efer::NXE | efer::SCE;
        b.cpu.sys.cr3 = 0x10_0000;
        for (at, next) in [(0x10_0000, 0x10_1007), (0x10_1000, 0x10_2007)] {
            b.engine.ram.put(at, 8, next);
        }
        for n in 0..2 {
            b.engine.ram.put(0x10_2000 + 8 * n, 8, n << 21 | 0xe7);
        }
        for level in 0..3 {
            b.engine.ram.put(TSS + 4 + 8 * level, 8, INNER + 0x1000 * level);
        }
        b.cpu.sys.idtr.limit = 0xfff;
        let code = if cpl == 0 { sel::CODE64 } else { sel::CODE64_3 };
        let data = if cpl == 0 { sel::DATA0 } else { sel::DATA3 };
        b.flat(code, data, cpl);
        b.finish(cpl)
    }
    /// In virtual 8086 mode, as a task of protected mode: CS 100h, SS 0 with SP 8000h.
    pub fn virtual_8086(iopl: u32) -> Bench {
        let mut b = Bench::protected(3);
        b.cpu.segments = [crate::segment::virtual_8086(0); 6];
        *b.cpu.segment_mut(number::CS) = crate::segment::virtual_8086(0x100);
        b.cpu.eflags = crate::state::bits::eflags::VM | iopl << 12;
        b.finish(3)
    }

    fn tables(&mut self) {
        self.cpu.sys.gdtr.base = GDT;
        self.cpu.sys.gdtr.limit = sel::LIMIT;
        self.cpu.sys.idtr.base = IDT;
        for (at, base, limit, attributes) in DESCRIPTORS {
            self.describe(at, descriptor(base, limit, attributes));
        }
        self.describe(sel::TSS, descriptor(TSS, 0x67, 0x8b));
        self.describe(sel::LDT, descriptor(LDT, 0xff, 0x82));
    }
    /// Puts a descriptor into the GDT, or with TI of the selector into the LDT.
    pub fn describe(&mut self, selector: u16, descriptor: u64) {
        let table = if selector & 4 != 0 { LDT } else { GDT };
        self.engine.ram.put(table + u64::from(selector & !7), 8, descriptor);
    }
    /// The descriptor at a selector.
    pub fn described(&mut self, selector: u16) -> u64 {
        let table = if selector & 4 != 0 { LDT } else { GDT };
        self.engine.ram.get(table + u64::from(selector & !7), 8)
    }
    fn flat(&mut self, code: u16, data: u16, cpl: u8) {
        let at = |b: &mut Bench, s: u16| crate::state::Descriptor(b.described(s)).segment(s | u16::from(cpl));
        let data = at(self, data);
        self.cpu.segments = [data; 6];
        *self.cpu.segment_mut(number::CS) = at(self, code);
    }
    fn finish(mut self, cpl: u8) -> Bench {
        self.cpu.regs[4] = STACK;
        self.cpu.settle_at(cpl);
        self.cpu.set_rip(0x234);
        self
    }

    /// The same run by the engine, with code where it is.
    pub fn engine(mut self, accel: Accel, code: &[u8], around: &Around) -> Vcpu<X86> {
        for (at, &byte) in (self.cpu.pc..).zip(code) {
            self.engine.ram.put(at, 1, byte.into());
        }
        let guest = X86 {
            model: self.model,
            platform: Box::new(around.clone()),
        };
        Vcpu::new(guest, self.cpu, Box::new(self.engine.ram), accel, true).unwrap()
    }
    /// Memory as the processor's functions have it.
    pub fn parts(&mut self) -> (&mut Cpu, Memory<'_>) {
        (&mut self.cpu, Memory::new(&self.model, &mut self.engine.ram))
    }
    /// What the stack at an address holds.
    pub fn stacked(&mut self, at: u64, size: u8, count: u64) -> Vec<u64> {
        (0..count)
            .map(|n| self.engine.ram.get(at + n * u64::from(size), size))
            .collect()
    }
}

/// A segment of the system.
pub fn segment(base: u64, limit: u32, selector: u16, attributes: u16) -> Segment {
    Segment {
        base,
        limit,
        selector,
        attributes,
    }
}

/// Attributes that a segment has, but for whether it was accessed.
pub fn shown(s: &Segment) -> (u16, u64, u16) {
    (s.selector, s.base, s.attributes & !Attributes::ACCESSED)
}

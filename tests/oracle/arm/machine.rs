//! An ARM vCPU with an address space like that of a program under the oracle: two areas of memory, nothing else.

use super::super::areas::{Mapped, Ram};
use super::super::watch::Progress;
use super::allowed::show;
use super::record::{
    CODE, CODE_SIZE, CPSR, DATA, DATA_SIZE, Record, SIGBUS, SIGILL, SIGSEGV, SIGTRAP, SIGVTALRM, initial_code,
    initial_data,
};
use emu_devices::bus;
use emu_frontend_arm::Arm;
use emu_frontend_arm::cp15::sctlr;
use emu_frontend_arm::features::Features;
use emu_frontend_arm::state::{Cpu, psr};
use emu_frontend_arm::{MODELS, Model};
use emu_jit::engine::{Accel, Exit, Kick, Vcpu};
use std::ops::Range;
use std::sync::Arc;

/// A CPU of the default model.
pub fn arm() -> Arm {
    Arm::alone(&MODELS[0])
}

/// Exception vectors, each of which waits for an interrupt that does not come.
pub const VECTORS: u32 = 0;
const WFI: u32 = 0xe320_f003;
/// Translation tables: the first level, then a second for each area.
pub const TABLE: u32 = 0x3000_0000;
pub const TABLE_WORDS: usize = 4096;

/// The vectors for PL1 only, as a section; pages of Normal memory for the areas, data never executable.
fn tables() -> Vec<u32> {
    let mut words = vec![0; TABLE_WORDS + 1024];
    words[(VECTORS >> 20) as usize] = VECTORS | 0x140e;
    let areas = [(DATA, DATA_SIZE, 0x7f), (CODE, CODE_SIZE, 0x7e)];
    for (k, (at, size, page)) in areas.into_iter().enumerate() {
        let second = TABLE_WORDS + 256 * k;
        words[(at >> 20) as usize] = (TABLE + 4 * second as u32) | 1;
        for n in 0..size / 4096 {
            words[second + n] = (at + 4096 * n as u32) | page;
        }
    }
    words
}

/// Memory at an address, and what it held at first.
pub struct Area {
    at: u32,
    pub memory: bus::Ram,
    initial: Vec<u8>,
}

impl Area {
    fn new(at: u32, initial: Vec<u8>) -> Area {
        let memory = bus::Ram::new(initial.len() as u64).unwrap();
        memory.copy_in(0, &initial).unwrap();
        Area { at, memory, initial }
    }
    /// Note what changed, and undo it; whether anything did. Bytes `placed` since hold `code`.
    fn note_changes(&self, r: &mut Record, placed: Range<usize>, code: &[u8]) -> bool {
        let (mut was, mut is) = (self.initial.clone(), vec![0; self.initial.len()]);
        self.memory.copy_out(0, &mut is).unwrap();
        was[placed].copy_from_slice(code);
        let changed = r.note_changes(self.at, &was, &is);
        if changed.is_some() {
            self.memory.copy_in(0, &self.initial).unwrap();
        }
        changed.is_some()
    }
}

/// All that there is.
pub struct Areas {
    vectors: Area,
    pub tables: Area,
    pub data: Area,
    code: Area,
}

impl Mapped for Areas {
    fn find(&self, phys: u64) -> Option<(&bus::Ram, u64)> {
        let all = [&self.vectors, &self.tables, &self.data, &self.code];
        all.into_iter().find_map(|area| {
            let offset = phys.checked_sub(area.at.into())?;
            (offset < area.memory.len()).then_some((&area.memory, offset))
        })
    }
}

impl Areas {
    pub fn new() -> Areas {
        Areas {
            vectors: Area::new(VECTORS, WFI.to_le_bytes().repeat(1024)),
            tables: Area::new(TABLE, bytemuck::cast_slice(&tables()).to_vec()),
            data: Area::new(DATA, initial_data()),
            code: Area::new(CODE, initial_code()),
        }
    }
    /// Put a record's code where it runs.
    pub fn place(&self, at: u32, code: &[u8]) {
        self.code.memory.copy_in((at - CODE).into(), code).unwrap();
    }
    /// Note what changed since `code` was placed at `at`, and undo that and the placing; whether code changed.
    fn note_changes(&self, r: &mut Record, at: u32, code: &[u8]) -> bool {
        self.data.note_changes(r, 0..0, &[]);
        let start = (at - CODE) as usize;
        let placed = start..start + code.len();
        let changed = self.code.note_changes(r, placed.clone(), code);
        self.place(at, &self.code.initial[placed]);
        changed
    }
}

/// A vCPU that runs records.
pub struct Machine {
    vcpu: Vcpu<Arm>,
    ram: Ram<Areas>,
    kick: Kick,
    progress: Arc<Progress<Record>>,
    /// In User mode, as Linux has its programs.
    start: Cpu,
    features: Features,
}

/// How many runs a machine keeps translations for.
const KEPT: u64 = 16;

impl Machine {
    pub fn new(accel: Accel, model: &'static Model) -> Option<Machine> {
        let ram = Ram(Arc::new(Areas::new()));
        let start = user();
        let vcpu = Vcpu::new(Arm::alone(model), start, Box::new(ram.clone()), accel, true).ok()?;
        let kick = vcpu.kick();
        let progress = Progress::watched(kick.clone(), show);
        Some(Machine {
            vcpu,
            ram,
            kick,
            progress,
            start,
            features: model.features,
        })
    }

    /// The record as its instructions leave it.
    pub fn run(&mut self, r: &Record) -> Record {
        if self.progress.begin(r).is_multiple_of(KEPT) {
            self.vcpu.reset_caches();
        }
        let code = bytemuck::bytes_of(&r.code);
        self.ram.0.place(r.pc, code);
        self.kick.invalidate(r.pc.into(), code.len() as u64);
        *self.vcpu.state_mut() = state_of(&self.start, r);
        self.vcpu.state_mut().set_fpscr_of(self.features, r.fpscr);
        let mut after = loop {
            let exit = self.vcpu.run();
            let cpu = self.vcpu.state();
            match exit {
                // WFI and YIELD are User mode's too.
                Exit::Wait | Exit::Yield if cpu.is_user() => {}
                Exit::Wait => break left(r, cpu),
                _ => {
                    break Record {
                        signal: SIGVTALRM,
                        ..*r
                    };
                }
            }
        };
        let wrote_code = self.ram.0.note_changes(&mut after, r.pc, code);
        self.kick.invalidate(r.pc.into(), code.len() as u64);
        if wrote_code {
            self.vcpu.reset_caches();
        }
        self.progress.end();
        after
    }
}

/// User mode with the MMU on, and access to VFP and Advanced SIMD.
pub fn user() -> Cpu {
    let mut cpu = Cpu::reset(&MODELS[0]);
    cpu.cp15.sctlr |= sctlr::M | sctlr::SW;
    cpu.cp15.ttbr0 = TABLE.into();
    cpu.cp15.dacr = 1;
    cpu.cp15.cpacr = 15 << 20;
    cpu.fpexc = 1 << 30;
    cpu.set_cpsr(psr::USR);
    cpu
}

/// The state before a record's instructions.
pub fn state_of(start: &Cpu, r: &Record) -> Cpu {
    let mut cpu = *start;
    cpu.r[..15].copy_from_slice(&r.r);
    cpu.r[15] = r.pc;
    cpu.d = r.d;
    cpu.set_cpsr(r.cpsr | cpu.current_mode());
    cpu.set_fpscr(r.fpscr);
    cpu
}

/// The record with the state that an exception found.
fn left(before: &Record, cpu: &Cpu) -> Record {
    let (mut cpu, mut r) = (*cpu, *before);
    r.r = std::array::from_fn(|n| cpu.user_reg(n as u32));
    r.d = cpu.d;
    r.fpscr = cpu.fpscr();
    r.cpsr = cpu.spsr().unwrap_or(0) & CPSR;
    let thumb = r.cpsr & psr::T != 0;
    // The vector's WFI is done.
    let (signal, address, ahead) = match cpu.r[15] - 4 {
        0x04 if thumb => (SIGILL, 0, 2),
        0x04 => (SIGILL, 0, 4),
        0x0c if cpu.cp15.ifsr & 0x40f == 2 => (SIGTRAP, 0, 4),
        0x0c => (SIGSEGV, cpu.cp15.ifar, 4),
        0x10 if cpu.cp15.dfsr & 0x40f == 1 => (SIGBUS, cpu.cp15.dfar, 8),
        0x10 => (SIGSEGV, cpu.cp15.dfar, 8),
        _ => (0, 0, 0),
    };
    (r.signal, r.address) = (signal, address);
    r.pc = cpu.r[14].wrapping_sub(ahead);
    r
}

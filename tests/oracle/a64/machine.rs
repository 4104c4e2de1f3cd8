//! An AArch64 vCPU with an address space like that of a program under the oracle: two areas of memory, nothing else.

use super::super::areas::{Mapped, Ram};
use super::super::watch::Progress;
use super::allowed::show;
use super::record::{CODE, DATA, Record, SIGBUS, SIGILL, SIGSEGV, SIGTRAP, SIGVTALRM, initial_code, initial_data};
use emu_devices::bus;
use emu_frontend_arm::a64::fault::{ALIGNMENT, class};
use emu_frontend_arm::a64::state::{mode, psr, sctlr, tcr};
use emu_frontend_arm::a64::{A64, Cpu, Feature, Features};
use emu_jit::engine::{Accel, Exit, Kick, Vcpu};
use std::ops::Range;
use std::sync::Arc;

/// What the oracle's CPU has: not the later versions of pointer authentication, and no unaligned atomics.
pub fn features() -> Features {
    Features::ALL.switched(Feature::PAuth2, false).without(Feature::Lse2)
}

/// A CPU like the oracle's.
pub fn a64() -> A64 {
    A64::with(features())
}

/// The keys that the oracle makes of its seed.
const KEYS: [[u64; 2]; 5] = [
    [0x1027_c4d1_c386_bbc4, 0x1e2f_eb89_414c_343c],
    [0xc2ce_6f44_7ed4_d57b, 0x78e5_1061_7311_d8a3],
    [0x612e_7696_a6ce_cc1b, 0x35bf_992d_c9e9_c616],
    [0x7ce4_2c82_1807_2e8c, 0xe4b0_6ce6_0741_c7a8],
    [0x63ca_828d_d5f4_b3b2, 0x9b81_0e76_6ec9_d286],
];

/// Exception vectors, each of which waits for an interrupt that does not come.
const VECTORS: u64 = 0x7fff_0000_0000;
const WFI: u32 = 0xd503_207f;

/// Memory at an address, and what it held at first.
struct Area {
    at: u64,
    memory: bus::Ram,
    initial: Vec<u8>,
}

impl Area {
    fn new(at: u64, initial: Vec<u8>) -> Area {
        let memory = bus::Ram::new(initial.len() as u64).unwrap();
        memory.copy_in(0, &initial).unwrap();
        Area { at, memory, initial }
    }
    /// Note what changed, and undo it; whether anything did. Bytes `placed` since hold `code`.
    fn note_changes(&self, r: &mut Record, placed: Range<usize>, code: &[u8]) -> bool {
        let (mut was, mut is) = (self.initial.clone(), vec![0; self.initial.len()]);
        self.memory.copy_out(0, &mut is).unwrap();
        was[placed].copy_from_slice(code);
        if was == is {
            return false;
        }
        r.note_changes(self.at, &was, &is);
        self.memory.copy_in(0, &self.initial).unwrap();
        true
    }
}

/// All that there is.
struct Areas {
    vectors: Area,
    data: Area,
    code: Area,
}

impl Mapped for Areas {
    fn find(&self, phys: u64) -> Option<(&bus::Ram, u64)> {
        let all = [&self.vectors, &self.data, &self.code];
        all.into_iter().find_map(|area| {
            let offset = phys.checked_sub(area.at)?;
            (offset < area.memory.len()).then_some((&area.memory, offset))
        })
    }
}

impl Areas {
    /// Put a record's code where it runs.
    fn place(&self, at: u64, code: &[u8]) {
        self.code.memory.copy_in(at - CODE, code).unwrap();
    }
    /// Note what changed since `code` was placed at `at`, and undo that and the placing; whether code changed.
    fn note_changes(&self, r: &mut Record, at: u64, code: &[u8]) -> bool {
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
    vcpu: Vcpu<A64>,
    ram: Ram<Areas>,
    kick: Kick,
    progress: Arc<Progress<Record>>,
}

/// How many runs a machine keeps translations for.
const KEPT: u64 = 16;

impl Machine {
    pub fn new(accel: Accel) -> Option<Machine> {
        let ram = Ram(Arc::new(Areas {
            vectors: Area::new(VECTORS, WFI.to_le_bytes().repeat(1024)),
            data: Area::new(DATA, initial_data()),
            code: Area::new(CODE, initial_code()),
        }));
        let vcpu = Vcpu::new(a64(), Cpu::reset(), Box::new(ram.clone()), accel, true).ok()?;
        let kick = vcpu.kick();
        let progress = Progress::watched(kick.clone(), show);
        Some(Machine {
            vcpu,
            ram,
            kick,
            progress,
        })
    }

    /// The record as its instructions leave it.
    pub fn run(&mut self, r: &Record) -> Record {
        if self.progress.begin(r).is_multiple_of(KEPT) {
            self.vcpu.reset_caches();
        }
        let code = bytemuck::bytes_of(&r.code);
        self.ram.0.place(r.pc, code);
        self.kick.invalidate(r.pc, code.len() as u64);
        *self.vcpu.state_mut() = state_of(r);
        let mut after = loop {
            let exit = self.vcpu.run();
            let cpu = self.vcpu.state();
            match exit {
                // WFI and YIELD are programs' too.
                Exit::Wait | Exit::Yield if cpu.el() == 0 => {}
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
        self.kick.invalidate(r.pc, code.len() as u64);
        if wrote_code {
            self.vcpu.reset_caches();
        }
        self.progress.end();
        after
    }
}

/// The state before a record's instructions: at EL0 as Linux has its programs. The MMU is off, but what follows from that
/// for alignment is not: programs have it on.
pub fn state_of(r: &Record) -> Cpu {
    let mut cpu = Cpu::reset();
    cpu.sys.vbar = VECTORS;
    cpu.sys.cpacr = 3 << 20;
    cpu.sys.sctlr = sctlr::UCI | sctlr::UCT | sctlr::DZE | sctlr::NTWI | sctlr::NTWE;
    cpu.sys.sctlr |= sctlr::ENIA | sctlr::ENIB | sctlr::ENDA | sctlr::ENDB;
    (cpu.sys.tcr, cpu.sys.keys) = (16 | 16 << 16 | tcr::TBI0, KEYS);
    cpu.update_layout();
    cpu.fpcr_write(r.fpcr);
    cpu.set_fpsr(r.fpsr);
    cpu.set_psr(0);
    cpu.mode &= !mode::ALIGN;
    cpu.set_nzcv(r.nzcv);
    (cpu.x, cpu.q, cpu.pc) = (r.x, r.v, r.pc);
    cpu
}

/// The record with the state that an exception found.
fn left(before: &Record, cpu: &Cpu) -> Record {
    let mut r = *before;
    (r.x, r.v) = (cpu.x, cpu.q);
    r.x[31] = cpu.sp_el0();
    (r.fpcr, r.fpsr) = (cpu.fpcr_read(), cpu.fpsr());
    r.nzcv = cpu.sys.spsr as u32 & 0xf << psr::V_SHIFT;
    r.pc = cpu.sys.elr;
    let (class, status) = ((cpu.sys.esr >> 26) as u32, cpu.sys.esr as u32 & 0x3f);
    (r.signal, r.address) = match class {
        class::UNKNOWN | class::SYSTEM => (SIGILL, 0),
        class::BRK => (SIGTRAP, 0),
        class::PC_ALIGNMENT => (SIGBUS, cpu.sys.far),
        class::DATA_ABORT if status == ALIGNMENT => (SIGBUS, cpu.sys.far),
        class::DATA_ABORT | class::INSTRUCTION_ABORT => (SIGSEGV, cpu.sys.far),
        _ => (0, 0),
    };
    r
}

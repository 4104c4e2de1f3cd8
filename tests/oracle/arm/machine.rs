//! An ARM vCPU with an address space like that of a program under the oracle: two areas of memory, nothing else.

use super::record::{
    CODE, CODE_SIZE, CPSR, DATA, DATA_SIZE, Record, SIGBUS, SIGILL, SIGSEGV, SIGTRAP, SIGVTALRM, initial_code,
    initial_data,
};
use emu_frontend_arm::Arm;
use emu_frontend_arm::MODELS;
use emu_frontend_arm::cp15::sctlr;
use emu_frontend_arm::state::{Cpu, psr};
use emu_ir::{Bus, RamPage};
use emu_jit::engine::{Accel, Exit, Kick, Vcpu};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

/// A CPU of the default model.
pub fn arm() -> Arm {
    Arm::alone(&MODELS[0])
}

/// Exception vectors, each of which waits for an interrupt that does not come.
const VECTORS: u32 = 0;
const WFI: u32 = 0xe320_f003;
/// Translation tables: the first level, then a second for each area.
const TABLE: u32 = 0x3000_0000;
const TABLE_WORDS: usize = 4096;

type Pages = Vec<[u128; 256]>;

fn pages(bytes: &[u8]) -> Pages {
    bytes.chunks(4096).map(bytemuck::pod_read_unaligned).collect()
}

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

/// Pages of memory at their addresses.
struct Areas {
    all: [(u32, Pages); 4],
    data: Vec<u8>,
    code: Vec<u8>,
}

const DATA_AREA: usize = 2;
const CODE_AREA: usize = 3;

impl Areas {
    fn new() -> Areas {
        let (data, code) = (initial_data(), initial_code());
        let vectors = WFI.to_le_bytes().repeat(1024);
        Areas {
            all: [
                (VECTORS, pages(&vectors)),
                (TABLE, pages(bytemuck::cast_slice(&tables()))),
                (DATA, pages(&data)),
                (CODE, pages(&code)),
            ],
            data,
            code,
        }
    }
    fn bytes(&mut self, area: usize) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.all[area].1)
    }
    fn page(&mut self, phys: u64) -> Option<&mut [u128; 256]> {
        let find = |(at, pages): &'_ mut (u32, Pages)| {
            let page = phys.checked_sub(u64::from(*at))? >> 12;
            ((page as usize) < pages.len()).then_some(page as usize)
        };
        let (area, page) = self.all.iter_mut().enumerate().find_map(|(i, a)| Some((i, find(a)?)))?;
        Some(&mut self.all[area].1[page])
    }
    /// Put bytes where code is placed.
    fn place(&mut self, at: u32, bytes: &[u8]) {
        let start = (at - CODE) as usize;
        self.bytes(CODE_AREA)[start..start + bytes.len()].copy_from_slice(bytes);
    }
    /// Note what changed, and undo it. `code` is what was placed at `at`.
    fn note_changes(&mut self, r: &mut Record, at: u32, code: &[u8]) -> bool {
        let was = std::mem::take(&mut self.data);
        if let Some(changed) = r.note_changes(DATA, &was, self.bytes(DATA_AREA)) {
            self.bytes(DATA_AREA)[changed.clone()].copy_from_slice(&was[changed]);
        }
        self.data = was;
        let mut was = std::mem::take(&mut self.code);
        let placed = (at - CODE) as usize..(at - CODE) as usize + code.len();
        let replaced = was[placed.clone()].to_vec();
        was[placed.clone()].copy_from_slice(code);
        let changed = r.note_changes(CODE, &was, self.bytes(CODE_AREA));
        if let Some(changed) = changed.clone() {
            self.bytes(CODE_AREA)[changed.clone()].copy_from_slice(&was[changed]);
        }
        was[placed].copy_from_slice(&replaced);
        self.place(at, &replaced);
        self.code = was;
        changed.is_some()
    }
}

#[derive(Clone)]
struct Ram(Arc<Mutex<Areas>>);

impl Bus for Ram {
    fn load(&mut self, phys: u64, size: u8) -> Option<u64> {
        let mut areas = self.0.lock().unwrap();
        let (bytes, at) = (bytemuck::cast_slice(areas.page(phys)?), (phys & 0xfff) as usize);
        let bytes: &[u8] = &bytes[at..at + usize::from(size)];
        Some(bytes.iter().rev().fold(0, |all, b| all << 8 | u64::from(*b)))
    }
    fn store(&mut self, phys: u64, size: u8, value: u64) -> Option<()> {
        let mut areas = self.0.lock().unwrap();
        let (bytes, at) = (bytemuck::cast_slice_mut(areas.page(phys)?), (phys & 0xfff) as usize);
        bytes[at..at + usize::from(size)].copy_from_slice(&value.to_le_bytes()[..usize::from(size)]);
        Some(())
    }
    fn ram(&mut self, page: u64) -> Option<RamPage> {
        let host = self.0.lock().unwrap().page(page)?.as_ptr() as u64;
        Some(RamPage::plain(host, page))
    }
}

/// A vCPU that runs records.
pub struct Machine {
    vcpu: Vcpu<Arm>,
    ram: Ram,
    kick: Kick,
    /// Odd during a run: who sees it so for long ends the run.
    progress: Arc<AtomicU64>,
    /// In User mode, as Linux has its programs.
    start: Cpu,
}

/// How many runs a machine keeps translations for.
const KEPT: u64 = 16;

impl Machine {
    pub fn new(accel: Accel) -> Option<Machine> {
        let ram = Ram(Arc::new(Mutex::new(Areas::new())));
        let start = user();
        let vcpu = Vcpu::new(arm(), start, Box::new(ram.clone()), accel, true).ok()?;
        let (kick, progress) = (vcpu.kick(), Arc::new(AtomicU64::new(0)));
        watch(Arc::downgrade(&progress), kick.clone());
        Some(Machine {
            vcpu,
            ram,
            kick,
            progress,
            start,
        })
    }

    /// The record as its instructions leave it.
    pub fn run(&mut self, r: &Record) -> Record {
        if self.progress.fetch_add(1, Relaxed).is_multiple_of(2 * KEPT) {
            self.vcpu.reset_caches();
        }
        let code = bytemuck::bytes_of(&r.code);
        self.ram.0.lock().unwrap().place(r.pc, code);
        self.kick.invalidate(r.pc.into(), code.len() as u64);
        *self.vcpu.state_mut() = state_of(&self.start, r);
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
        let wrote_code = self.ram.0.lock().unwrap().note_changes(&mut after, r.pc, code);
        self.kick.invalidate(r.pc.into(), code.len() as u64);
        if wrote_code {
            self.vcpu.reset_caches();
        }
        self.progress.fetch_add(1, Relaxed);
        after
    }
}

/// Ends a run that goes on for very long: a wrong branch may never leave.
fn watch(progress: Weak<AtomicU64>, kick: Kick) {
    std::thread::spawn(move || {
        let mut seen = u64::MAX;
        while let Some(progress) = progress.upgrade() {
            let now = progress.load(Relaxed);
            if now == seen && now & 1 != 0 {
                kick.request_exit();
            }
            seen = now;
            drop(progress);
            std::thread::sleep(Duration::from_secs(5));
        }
    });
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

//! An x86 vCPU as a program under the oracle has it: at privilege level 3 of long mode, with Linux's segments and an LDT, and
//! two areas of memory, besides level 0's. The first exception ends a run: its handler halts.

use super::super::Row;
use super::super::areas::{Mapped, Ram};
use super::super::watch::Progress;
use super::allowed::show;
use super::record::{
    CODE, CODE_SIZE, CODE64, DATA, DATA_SIZE, ENDLESS, FLAGS, Record, WINDOW, WINDOW_SIZE, descriptor, initial_code,
    initial_data, vector,
};
use super::system::{self, Frame, SYSTEM, SYSTEM_SIZE};
use emu_devices::bus;
use emu_frontend_x86::model::Model;
use emu_frontend_x86::platform::{Platform, Refused, X86};
use emu_frontend_x86::state::bits::eflags;
use emu_frontend_x86::state::{Cpu, Descriptor, Segment, X87};
use emu_jit::engine::{Accel, Exit, Kick, Vcpu};
use std::sync::Arc;

/// Rows that are not translated yet: files of them, or names. What is named here and works all the same is to be taken out.
#[rustfmt::skip]
pub const NOT_YET: &[&str] = &[
];

/// Whether a row is not translated yet.
pub fn is_not_yet(row: &Row) -> bool {
    [&row.file, &row.name]
        .iter()
        .any(|name| NOT_YET.contains(&name.as_str()))
}

/// All that there is.
struct Areas {
    data: bus::Ram,
    code: bus::Ram,
    system: bus::Ram,
    /// What they hold at first.
    initial: [Vec<u8>; 3],
}

impl Mapped for Areas {
    fn find(&self, phys: u64) -> Option<(&bus::Ram, u64)> {
        let all = [(DATA, &self.data), (CODE, &self.code), (SYSTEM, &self.system)];
        all.into_iter().find_map(|(at, area)| {
            let offset = phys.checked_sub(at)?;
            (offset < area.len()).then_some((area, offset))
        })
    }
}

impl Areas {
    fn new() -> Areas {
        let initial = [initial_data(), initial_code(), system::memory()];
        let [data, code, system] = [&initial[0], &initial[1], &initial[2]].map(|bytes| {
            let memory = bus::Ram::new(bytes.len() as u64).unwrap();
            memory.copy_in(0, bytes).unwrap();
            memory
        });
        Areas {
            data,
            code,
            system,
            initial,
        }
    }
    /// Put a record's code and data where they are.
    fn place(&self, r: &Record) {
        self.code.copy_in(r.code_at() - CODE, r.placed()).unwrap();
        let window: &[u8] = bytemuck::cast_slice(&r.window);
        self.data.copy_in(WINDOW - DATA, window).unwrap();
    }
    /// Note what changed since a record was placed, and undo it; whether code changed.
    fn note_changes(&self, before: &Record, r: &mut Record) -> bool {
        let [mut data, mut code] = [vec![0; DATA_SIZE], vec![0; CODE_SIZE]];
        self.data.copy_out(0, &mut data).unwrap();
        self.code.copy_out(0, &mut code).unwrap();
        let window = (WINDOW - DATA) as usize..(WINDOW - DATA) as usize + WINDOW_SIZE;
        r.memory().copy_from_slice(&data[window.clone()]);
        data[window.clone()].copy_from_slice(&self.initial[0][window]);
        r.note_changes(DATA, &self.initial[0], &data);
        let mut placed = self.initial[1].clone();
        let start = (before.code_at() - CODE) as usize;
        placed[start..start + before.placed().len()].copy_from_slice(before.placed());
        r.note_changes(CODE, &placed, &code);
        self.data.copy_in(0, &self.initial[0]).unwrap();
        self.code.copy_in(0, &self.initial[1]).unwrap();
        placed != code
    }
    /// Level 0's, which is then as at first.
    fn take_system(&self) -> Vec<u8> {
        let mut system = vec![0; SYSTEM_SIZE];
        self.system.copy_out(0, &mut system).unwrap();
        self.system.copy_in(0, &self.initial[2]).unwrap();
        system
    }
}

/// The machine around the CPU: there is none.
struct Nothing;

impl Platform for Nothing {
    fn tsc(&self) -> u64 {
        0
    }
    fn tsc_hz(&self) -> u64 {
        1_000_000_000
    }
    fn cpu_index(&self) -> u32 {
        0
    }
    fn cpu_count(&self) -> u32 {
        1
    }
    fn acknowledge(&mut self) -> u8 {
        0
    }
    fn taken(&mut self, _: u32) {}
    fn cr8(&self) -> u64 {
        0
    }
    fn set_cr8(&mut self, _: u8) {}
    fn read_msr(&mut self, _: u32) -> Result<u64, Refused> {
        Err(Refused)
    }
    fn write_msr(&mut self, _: u32, _: u64) -> Result<(), Refused> {
        Err(Refused)
    }
    fn set_tsc_ahead(&mut self, _: u64) {}
    fn ferr(&mut self, _: bool) {}
    fn random(&mut self) -> Option<u64> {
        None
    }
}

/// A vCPU that runs records.
pub struct Machine {
    vcpu: Vcpu<X86>,
    ram: Ram<Areas>,
    kick: Kick,
    progress: Arc<Progress<Record>>,
}

/// How many runs a machine keeps translations for.
const KEPT: u64 = 64;

impl Machine {
    pub fn new(accel: Accel) -> Option<Machine> {
        let ram = Ram(Arc::new(Areas::new()));
        let guest = X86 {
            model: Model::ALL,
            platform: Box::new(Nothing),
        };
        let vcpu = Vcpu::new(guest, system::cpu(), Box::new(ram.clone()), accel, true).ok()?;
        let kick = vcpu.kick();
        let progress = Progress::watched(kick.clone(), show);
        Some(Machine {
            vcpu,
            ram,
            kick,
            progress,
        })
    }

    /// The record as its instruction leaves it.
    pub fn run(&mut self, r: &Record) -> Record {
        if self.progress.begin(r).is_multiple_of(KEPT) {
            self.vcpu.reset_caches();
        }
        self.ram.0.place(r);
        self.kick.invalidate(r.code_at(), r.placed().len() as u64);
        *self.vcpu.state_mut() = state_of(r);
        let mut exit = self.vcpu.run();
        while exit == Exit::Yield {
            exit = self.vcpu.run();
        }
        self.progress.end();
        let system = self.ram.0.take_system();
        let cpu = self.vcpu.state();
        let mut after = match exit {
            Exit::Wait => left(r, cpu, &Frame::of(cpu, &system)),
            _ => Record { vector: ENDLESS, ..*r },
        };
        if self.ram.0.note_changes(r, &mut after) {
            self.vcpu.reset_caches();
        }
        self.kick.invalidate(r.code_at(), r.placed().len() as u64);
        after
    }
}

/// The x87's status word: an exception that is not masked, and TOP.
const ES: u16 = 1 << 7;
const TOP_SHIFT: u32 = 11;

/// A segment register that is loaded with a selector.
fn segment(selector: u16) -> Segment {
    match descriptor(selector) {
        0 => Segment {
            selector,
            ..Segment::default()
        },
        found => Descriptor(found).segment(selector),
    }
}

/// The state before a record's instruction.
pub fn state_of(r: &Record) -> Cpu {
    let mut cpu = system::cpu();
    for n in 0..6 {
        *cpu.segment_mut(n) = segment(r.selector(n));
    }
    cpu.settle_at(3);
    if r.cs == CODE64 {
        (cpu.segments[4].base, cpu.segments[5].base) = (r.base[0], r.base[1]);
    }
    cpu.regs = r.regs;
    cpu.ymm = bytemuck::cast(r.ymm);
    cpu.x87 = x87_of(r);
    cpu.set_mxcsr(r.mxcsr);
    cpu.set_eflags(r.flags | eflags::IF);
    cpu.set_rip(r.rip);
    cpu
}

fn x87_of(r: &Record) -> X87 {
    let top = (r.status >> TOP_SHIFT & 7) as u8;
    let mut x87 = X87 {
        control: r.control,
        status: r.status & !(7 << TOP_SHIFT),
        top,
        full: r.tags as u8,
        opcode: r.opcode,
        instruction: r.pointers[0],
        operand: r.pointers[1],
        ..X87::default()
    };
    for (n, st) in r.st.iter().enumerate() {
        x87.regs[(n + usize::from(top)) % 8] = bytemuck::cast(*st);
    }
    x87
}

/// The record with the state that an exception found.
pub fn left(before: &Record, cpu: &Cpu, frame: &Frame) -> Record {
    let mut r = *before;
    r.regs = cpu.regs;
    r.regs[4] = if frame.cs == CODE64 {
        frame.rsp
    } else {
        frame.rsp & 0xffff_ffff
    };
    (r.rip, r.cs, r.ss) = (frame.rip, frame.cs, frame.ss);
    r.flags = frame.flags & FLAGS;
    (r.vector, r.error) = (frame.vector, frame.error);
    r.cr2 = if frame.vector == vector::PF { frame.cr2 } else { 0 };
    let selector = |n: usize| cpu.segments[n].selector;
    (r.es, r.ds, r.fs, r.gs) = (selector(0), selector(3), selector(4), selector(5));
    if frame.cs == CODE64 {
        r.base = [cpu.segments[4].base, cpu.segments[5].base];
    }
    r.ymm = bytemuck::cast(cpu.ymm);
    r.mxcsr = cpu.mxcsr();
    let x87 = &cpu.x87;
    (r.control, r.tags) = (x87.control, x87.full.into());
    r.status = x87.status | u16::from(x87.top) << TOP_SHIFT;
    for (n, st) in r.st.iter_mut().enumerate() {
        *st = bytemuck::cast(x87.regs[(n + usize::from(x87.top)) % 8]);
    }
    // As the oracle sees them: AMD's XSAVE does not store them else (APM 4, FXSAVE).
    let waits = r.status & ES != 0;
    r.opcode = if waits { x87.opcode } else { 0 };
    r.pointers = if waits { [x87.instruction, x87.operand] } else { [0; 2] };
    r
}

#[test]
fn a_record_that_becomes_a_state_comes_back_as_it_was() {
    use super::super::{Isa, Random};
    use super::X86;
    for (number, row) in X86::rows().into_iter().enumerate().step_by(7) {
        let mut random = Random::of("machine", number as u64);
        let mut r = X86::code(&row, &mut random);
        X86::state(&row, &mut r, &mut random);
        let cpu = state_of(&r);
        let frame = Frame {
            vector: 0,
            error: 0,
            cr2: 0,
            rip: cpu.rip(),
            cs: cpu.segments[1].selector,
            flags: cpu.eflags(),
            rsp: cpu.regs[4],
            ss: cpu.segments[2].selector,
        };

        let back = left(&r, &cpu, &frame);

        assert!(back == r, "{}", X86::show(&r));
    }
}

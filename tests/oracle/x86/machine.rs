//! An x86 vCPU as a program under the oracle has it: at privilege level 3 of long mode, with Linux's segments and an LDT, and
//! two areas of memory. The first exception ends a run.

use super::super::Row;
use super::super::areas::{Mapped, Ram};
use super::super::watch::Progress;
use super::allowed::show;
use super::record::{
    CODE, CODE_SIZE, CODE64, DATA, DATA_SIZE, ENDLESS, FLAGS, HLT, READ_ONLY, Record, WINDOW, WINDOW_SIZE, descriptor,
    initial_code, initial_data, vector,
};
use super::system::{self, Frame};
use emu_devices::bus;
use emu_frontend_x86::features::Features;
use emu_frontend_x86::state::bits::eflags;
use emu_frontend_x86::state::{self, Cpu, Descriptor, Segment, X87, of};
use emu_frontend_x86::{calls, translate};
use emu_ir::{Access, BlockKey, Builder, Bus, Context, Env, Fault, Fetch, Guest, Helper, Layout, Leave, Page};
use emu_jit::engine::{Accel, Exit, Kick, Vcpu};
use std::sync::Arc;

/// Rows that are not translated yet: files of them, or names. What is named here and works all the same is to be taken out.
/// As long as HLT is, its #UD is taken for the #GP that it is to be.
#[rustfmt::skip]
pub const NOT_YET: &[&str] = &[
    "x87", "mmx", "simd", "simd-fp", "fma",
    // Segments and control.
    "push_segment", "pop_segment", "mov_from_segment", "mov_to_segment", "les", "lds", "lss", "lfs", "lgs", "arpl", "lar", "lsl",
    "verr", "verw", "call_far", "jmp_far", "ret_far", "int3", "int1", "int", "into", "iret", "bound", "pushf", "popf", "swapgs",
    "rdfsbase", "rdgsbase", "wrfsbase", "wrgsbase",
    // Of the system.
    "hlt", "cli", "sti", "in_", "out", "ins", "outs", "lldt", "ltr", "clac", "stac", "xsetbv", "lgdt", "lidt", "lmsw", "invlpg",
    "invpcid", "clts", "sysret", "sysexit", "invd", "wbinvd", "mov_from_control", "mov_from_debug", "mov_to_control",
    "mov_to_debug", "wrmsr", "rdmsr", "rdpmc", "rsm", "xsaves", "xrstors",
    // Of caches and of the state of x87, MMX and SSE.
    "pause", "prefetchw", "prefetchnta", "prefetcht0", "prefetcht1", "prefetcht2", "clflush", "clwb", "clflushopt", "lfence",
    "mfence", "sfence", "movnti", "fwait", "emms", "vzeroupper", "vzeroall", "fxsave", "fxrstor", "ldmxcsr", "stmxcsr", "xsave",
    "xrstor", "xsaveopt", "xsavec",
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
    /// What they hold at first.
    initial: [Vec<u8>; 2],
}

impl Mapped for Areas {
    fn find(&self, phys: u64) -> Option<(&bus::Ram, u64)> {
        let all = [(DATA, &self.data), (CODE, &self.code)];
        all.into_iter().find_map(|(at, area)| {
            let offset = phys.checked_sub(at)?;
            (offset < area.len()).then_some((area, offset))
        })
    }
}

impl Areas {
    fn new() -> Areas {
        let initial = [initial_data(), initial_code()];
        let [data, code] = [&initial[0], &initial[1]].map(|bytes| {
            let memory = bus::Ram::new(bytes.len() as u64).unwrap();
            memory.copy_in(0, bytes).unwrap();
            memory
        });
        Areas { data, code, initial }
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
}

/// Bits of a page fault's error code.
mod error {
    pub const PRESENT: u32 = 1;
    pub const WRITE: u32 = 1 << 1;
    pub const USER: u32 = 1 << 2;
    pub const FETCH: u32 = 1 << 4;
}

/// Set where an exception was raised: nothing is translated any more.
const ENDED: u64 = 1 << 63;

/// The guest: a program, which its first exception ends.
#[derive(Default)]
struct Program {
    /// The exception, and the state that it found.
    ended: Option<(Fault, Cpu)>,
}

static LAYOUT: Layout = Layout {
    pc: state::PC,
    mode: state::MODE,
    fp_flags: state::FP_FLAGS,
    fp_round: state::FP_ROUND,
    insn_shift: 0,
    coherent: true,
    pins: &[
        state::reg(0),
        state::reg(1),
        state::reg(2),
        state::reg(3),
        state::reg(4),
    ],
    names: &state::NAMES,
    helper: calls::name,
};

impl Guest for Program {
    type State = Cpu;
    const LAYOUT: &'static Layout = &LAYOUT;
    const HELPERS: &'static [Helper<Program>] = &calls::helpers();

    fn translate(
        &self,
        key: BlockKey,
        offset: u32,
        limit: u32,
        fetch: &mut dyn Fetch,
        b: &mut Builder,
    ) -> Result<(), Fault> {
        if key.mode & ENDED != 0 {
            b.exit(Leave::Wait);
            (b.block.guest_insns, b.block.guest_bytes) = (1, 1);
            return Ok(());
        }
        translate::translate(Features::ALL, key, offset, limit, fetch, b)
    }
    fn walk(&self, _: &Cpu, bus: &mut dyn Bus, va: u64, access: Access, _: u8) -> Result<Page, Fault> {
        let there = bus.ram(va & !0xfff).is_some();
        let code = va.wrapping_sub(CODE) < CODE_SIZE as u64;
        let write = va & !0xfff != READ_ONLY;
        let allowed = match access {
            Access::Read => true,
            Access::Write => write,
            Access::Execute => code,
        };
        if there && allowed {
            return Ok(Page {
                write,
                exec: code,
                ..emu_ir::testing::page(va)
            });
        }
        let how = match access {
            Access::Read => 0,
            Access::Write => error::WRITE,
            Access::Execute => error::FETCH,
        };
        Err(Fault::Guest {
            class: vector::PF,
            addr: va,
            info: error::USER | how | if there { error::PRESENT } else { 0 },
        })
    }
    fn context(&self, _: &Cpu, _: u8) -> Context {
        Context::default()
    }
    fn restore(&self, s: &mut Cpu, pc: u64, of: u32) {
        (s.pc, s.of) = (pc, of);
    }
    fn raise(&mut self, s: &mut Cpu, _: &mut dyn Env, fault: Fault) {
        self.ended.get_or_insert((fault, *s));
        // Somewhere that can be fetched from, whatever the exception was.
        s.pc = CODE;
        s.mode |= ENDED;
    }
    fn interrupt(&mut self, _: &mut Cpu, _: &mut dyn Env, _: u32) -> bool {
        false
    }
    fn wakes(&self, _: &Cpu, _: u32) -> bool {
        false
    }
}

/// A vCPU that runs records.
pub struct Machine {
    vcpu: Vcpu<Program>,
    ram: Ram<Areas>,
    kick: Kick,
    progress: Arc<Progress<Record>>,
}

/// How many runs a machine keeps translations for.
const KEPT: u64 = 64;

impl Machine {
    pub fn new(accel: Accel) -> Option<Machine> {
        let ram = Ram(Arc::new(Areas::new()));
        let vcpu = Vcpu::new(Program::default(), system::cpu(), Box::new(ram.clone()), accel, true).ok()?;
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
        let exit = self.vcpu.run();
        self.progress.end();
        let ended = self.vcpu.guest_mut().ended.take();
        let mut after = match (exit, ended) {
            (Exit::Wait, Some((fault, cpu))) => left(r, &cpu, &self.frame(&cpu, fault)),
            _ => Record { vector: ENDLESS, ..*r },
        };
        if self.ram.0.note_changes(r, &mut after) {
            self.vcpu.reset_caches();
        }
        self.kick.invalidate(r.code_at(), r.placed().len() as u64);
        after
    }

    /// What an exception that found a state would leave on level 0's stack.
    fn frame(&mut self, cpu: &Cpu, fault: Fault) -> Frame {
        let (mut vector, error, cr2) = match fault {
            Fault::Guest { class, addr, .. } if class == vector::PF && !is_canonical(addr) => {
                let vector = if cpu.of & of::STACK != 0 {
                    vector::SS
                } else {
                    vector::GP
                };
                (vector, 0, 0)
            }
            Fault::Guest { class, addr, info } => (class, info, addr),
            Fault::Bus { addr, .. } => (vector::PF, error::USER, addr),
            Fault::Alignment { .. } => (vector::AC, 0, 0),
        };
        let at_hlt = || self.ram.clone().load(cpu.pc, 1) == Some(HLT.into());
        if vector == vector::UD && NOT_YET.contains(&"hlt") && at_hlt() {
            vector = vector::GP;
        }
        Frame {
            vector,
            error,
            cr2,
            rip: cpu.rip(),
            cs: cpu.segments[1].selector,
            flags: cpu.eflags(),
            rsp: cpu.regs[4],
            ss: cpu.segments[2].selector,
        }
    }
}

/// Whether an address has no more than 48 bits.
fn is_canonical(addr: u64) -> bool {
    (addr as i64) << 16 >> 16 == addr as i64
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

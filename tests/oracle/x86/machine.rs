//! An x86 vCPU as a program under the oracle has it: at privilege level 3 of long mode, with Linux's segments and an LDT.

use super::record::{CODE64, FLAGS, Record, descriptor, vector};
use super::system::{self, Frame};
use emu_frontend_x86::state::bits::eflags;
use emu_frontend_x86::state::{Cpu, Descriptor, Segment, X87};
use emu_jit::engine::Accel;

/// Rows that are not translated yet: files of them, or names. What is named here and works all the same is to be taken out.
pub const NOT_YET: &[&str] = &["one-byte", "two-byte", "x87", "mmx", "simd", "simd-fp", "fma"];

/// A vCPU that runs records: there is none yet.
pub enum Machine {}

impl Machine {
    pub fn new(_: Accel) -> Option<Machine> {
        None
    }
    /// The record as its instruction leaves it.
    pub fn run(&mut self, _: &Record) -> Record {
        match *self {}
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

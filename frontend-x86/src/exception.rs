//! Exceptions and interrupts as they are taken, up to the double fault and the shutdown (SDM 3, chapter 6); reset, INIT and
//! the start-up of application processors (SDM 3, 9.1 and 9.4).

use crate::debug::owes_virtual_interrupt;
use crate::fault::{self, Event, Then, exception, vector};
use crate::gate::deliver;
use crate::memory::{Effects, Memory};
use crate::model::Model;
use crate::state::bits::{cr0, cr4, dr6, dr7, xcr0};
use crate::state::{Attributes, Cpu, Segment, Table, X87, mode, number, pending};
use bytemuck::Zeroable;
use emu_ir::{Env, Fault, Stop};

/// IA32_MCG_STATUS.MCIP.
const MCIP: u64 = 1 << 2;

/// [`emu_ir::Guest::raise`]: takes the exception of a fault of the instruction at the pc, which is as [`Cpu::of`] says. After
/// a triple fault the machine is to be reset.
pub fn raise(cpu: &mut Cpu, model: &Model, env: &mut dyn Env, fault: Fault) {
    match Event::of_fault(cpu, fault) {
        Some(event) => take(cpu, model, env, event),
        None => env.stop(Stop::Shutdown),
    }
}

/// Does what accesses memory, whole or, where it faults, not at all; the engine is told what follows, and what is a new task's
/// fault is taken there.
///
/// # Errors
/// Its fault.
pub fn run<R>(
    cpu: &mut Cpu,
    model: &Model,
    env: &mut dyn Env,
    f: impl FnOnce(&mut Memory, &mut Cpu) -> Result<R, Fault>,
) -> Result<R, Fault> {
    let mut m = Memory::new(model, env.bus());
    let done = f(&mut m, cpu);
    if done.is_ok() {
        m.commit();
    }
    let (effects, late) = (m.effects, m.late);
    effects.apply(env);
    look_for_virtual_interrupt(cpu, env);
    if let Some(fault) = late {
        raise(cpu, model, env, fault);
    }
    done
}

/// After what may have loaded EFLAGS, CR4 or the privilege level.
pub fn look_for_virtual_interrupt(cpu: &Cpu, env: &mut dyn Env) {
    if owes_virtual_interrupt(cpu) {
        env.traps_changed();
    }
}

/// Takes an interrupt of a vector, for [`emu_ir::Guest::interrupt`]: whoever asks has looked whether it is masked.
pub fn interrupt(cpu: &mut Cpu, model: &Model, env: &mut dyn Env, vector: u8) {
    take(cpu, model, env, Event::external(vector));
}

/// Takes a non-maskable interrupt, unless one is being served; whether it was taken.
pub fn nmi(cpu: &mut Cpu, model: &Model, env: &mut dyn Env) -> bool {
    if cpu.sys.pending & pending::NMI_BLOCKED != 0 {
        return false;
    }
    cpu.sys.pending |= pending::NMI_BLOCKED;
    take(cpu, model, env, Event::external(vector::NMI));
    true
}

fn take(cpu: &mut Cpu, model: &Model, env: &mut dyn Env, first: Event) {
    cpu.sys.pending &= !pending::HALTED;
    // It is not owed within the handler.
    look_for_virtual_interrupt(cpu, env);
    found(cpu, first);
    let mut event = first;
    while prepare(cpu, env, event) {
        let mut m = Memory::new(model, env.bus());
        let done = deliver(&mut m, cpu, event);
        if done.is_ok() {
            m.commit();
        }
        let (effects, late) = (m.effects, m.late);
        effects.apply(env);
        look_for_virtual_interrupt(cpu, env);
        let Some(second) = done.err().or(late) else { return };
        // What the instruction was has no part in it.
        cpu.of = 0;
        let Some(second) = Event::of_fault(cpu, second) else {
            break;
        };
        found(cpu, second);
        match event.then(second) {
            Then::Second => event = second,
            Then::Double => {
                let Some(double) = Event::of_fault(cpu, exception(vector::DF, 0)) else {
                    break;
                };
                event = double;
            }
            Then::Shutdown => break,
        }
    }
    env.stop(Stop::Shutdown);
}

/// CR2 is of the last page fault that was found, whatever comes of it (SDM 3, "Interrupt 14", a footnote).
fn found(cpu: &mut Cpu, event: Event) {
    if event.kind == fault::Kind::Exception && event.vector == vector::PF {
        cpu.sys.cr2 = event.addr;
    }
}

/// What registers say of an event that is delivered. Whether it is one to be delivered: a machine check that is not asked
/// for, or comes during another, shuts the processor down (SDM 3, "Interrupt 18").
fn prepare(cpu: &mut Cpu, env: &mut dyn Env, event: Event) -> bool {
    // INT1 is a debug exception too, which what waits comes with. An interrupt of vector 1 is none.
    let is_int1 = event.kind == fault::Kind::Int1;
    if event.kind != fault::Kind::Exception && !is_int1 {
        return true;
    }
    let s = &mut cpu.sys;
    match event.vector {
        vector::DB => {
            s.dr6 |= u64::from(event.code | s.pending >> pending::DEBUG_SHIFT);
            s.pending &= !pending::DEBUG;
            if !is_int1 {
                s.dr7 &= !dr7::GD;
            }
            let traps = Effects {
                flush: None,
                traps: true,
            };
            traps.apply(env);
        }
        vector::MC => {
            if s.cr4 & cr4::MCE == 0 || s.mcg_status & MCIP != 0 {
                return false;
            }
            s.mcg_status |= MCIP;
        }
        _ => {}
    }
    true
}

/// The state after power-up and RESET (SDM 3, table 9-1).
pub fn reset(model: &Model) -> Cpu {
    let mut cpu = Cpu::zeroed();
    cpu.x87 = X87 {
        control: 0x40,
        full: 0xff,
        ..X87::zeroed()
    };
    let s = &mut cpu.sys;
    s.cr0 = cr0::CD | cr0::NW;
    s.xcr0 = xcr0::X87;
    s.pat = 0x0007_0406_0007_0406;
    // Fast strings.
    s.misc_enable = 1;
    s.smbase = 0x3_0000;
    initial(&mut cpu, model);
    cpu.set_mxcsr(0x1f80);
    cpu
}

/// INIT: as RESET, but for what it leaves alone: the caches' bits of CR0, the floating-point unit and vector registers,
/// memory types and the other MSRs, the time. `waits`: an application processor, which waits for its start-up message. In
/// system management mode it is held back: whether it was taken.
pub fn init(cpu: &mut Cpu, model: &Model, waits: bool) -> bool {
    if cpu.mode & mode::SMM != 0 {
        return false;
    }
    let kept = cpu.sys.pending & pending::A20M;
    initial(cpu, model);
    cpu.sys.pending = kept | if waits { pending::WAIT_FOR_SIPI } else { 0 };
    true
}

/// What both do.
fn initial(cpu: &mut Cpu, model: &Model) {
    let table = Table { base: 0, limit: 0xffff };
    let system = |kind| Segment {
        limit: 0xffff,
        attributes: Attributes::P | kind,
        ..Segment::default()
    };
    let s = &mut cpu.sys;
    s.cr0 = s.cr0 & (cr0::CD | cr0::NW) | cr0::ET;
    (s.cr2, s.cr3, s.cr4, s.efer) = (0, 0, 0, 0);
    s.pdpte = [0; 4];
    (s.gdtr, s.idtr) = (table, table);
    (s.ldtr, s.tr) = (system(2), system(0xb));
    s.dr = [0; 4];
    (s.dr6, s.dr7) = (dr6::FIXED.into(), dr7::FIXED);
    s.pending = 0;
    cpu.regs = [0; 16];
    cpu.regs[2] = model.signature.into();
    cpu.segments = [Segment::real(0); 6];
    *cpu.segment_mut(number::CS) = Segment {
        base: 0xffff_0000,
        ..Segment::real(0xf000)
    };
    cpu.mode = 0;
    cpu.of = 0;
    cpu.set_eflags(0);
    cpu.settle_at(0);
    cpu.set_rip(0xfff0);
}

/// The start-up message, with a vector: whether the processor has waited for it, and starts at `vector << 12`.
pub fn sipi(cpu: &mut Cpu, vector: u8) -> bool {
    if cpu.sys.pending & pending::WAIT_FOR_SIPI == 0 {
        return false;
    }
    cpu.sys.pending &= !pending::WAIT_FOR_SIPI;
    *cpu.segment_mut(number::CS) = Segment::real(u16::from(vector) << 8);
    cpu.settle();
    cpu.set_rip(0);
    true
}

#[cfg(test)]
mod tests;

//! The debug registers: what they ask for (SDM 3, 18.2 and 18.3).

use crate::fault::{debug, gp};
use crate::state::bits::{cr4, eflags};
use crate::state::{Cpu, mode, pending};
use emu_ir::{Access, Fault, Traps, Watch};

/// What a breakpoint is of: DR7.R/Wn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Execute,
    Write,
    Io,
    Access,
}

/// A breakpoint that is enabled.
struct Breakpoint {
    number: u32,
    of: Of,
    start: u64,
    /// Bytes.
    len: u64,
}

impl Breakpoint {
    /// Whether it is of one of these bytes.
    fn meets(&self, addr: u64, len: u32) -> bool {
        addr.wrapping_sub(self.start) < self.len || self.start.wrapping_sub(addr) < len.into()
    }
}

/// Those that are enabled. Without CR4.DE there are none of ports: what asks for them then is undefined (SDM 3, 18.2.4).
fn enabled(cpu: &Cpu) -> impl Iterator<Item = Breakpoint> {
    let (dr7, extended) = (cpu.sys.dr7, cpu.sys.cr4 & cr4::DE != 0);
    let all = (0..).zip(cpu.sys.dr);
    all.filter(move |&(n, _)| dr7 >> (2 * n) & 3 != 0)
        .map(move |(number, address)| {
            let field = dr7 >> (16 + 4 * number);
            let len = match field >> 2 & 3 {
                0 => 1,
                1 => 2,
                2 => 8,
                _ => 4,
            };
            Breakpoint {
                number,
                of: match field & 3 {
                    0 => Of::Execute,
                    1 => Of::Write,
                    2 => Of::Io,
                    _ => Of::Access,
                },
                start: address & !(len - 1),
                len,
            }
        })
        .filter(move |b| extended || b.of != Of::Io)
}

/// Whether any instruction's address may be a breakpoint: else EFLAGS.RF has nothing to do.
pub fn breaks(cpu: &Cpu) -> bool {
    enabled(cpu).any(|b| b.of == Of::Execute)
}

/// [`emu_ir::Guest::traps`].
pub fn traps(cpu: &Cpu) -> Traps {
    let mut traps = Traps {
        every: cpu.sys.pending & pending::DEBUG != 0 || owes_virtual_interrupt(cpu),
        ..Traps::default()
    };
    for b in enabled(cpu) {
        match b.of {
            Of::Execute => traps.at.push(b.start),
            Of::Write | Of::Access => traps.data.push(Watch {
                start: b.start,
                len: b.len,
                reads: b.of == Of::Access,
                writes: true,
            }),
            Of::Io => {}
        }
    }
    traps
}

/// A program whose interrupts are virtual has them on while one waits for it: #GP(0) before its next instruction, for its
/// monitor to see to it (SDM 3, 21.3.2 and 21.4). POPF and STI do not let it come to that; IRET, task switches and CR4 may.
pub fn owes_virtual_interrupt(cpu: &Cpu) -> bool {
    const BOTH: u32 = eflags::VIF | eflags::VIP;
    let extension = if cpu.mode & mode::VIRTUAL != 0 {
        cr4::VME
    } else {
        cr4::PVI
    };
    let is_virtual = cpu.cpl() == 3 && cpu.sys.cr4 & extension != 0 && cpu.eflags & eflags::IOPL != eflags::IOPL;
    is_virtual && cpu.eflags & BOTH == BOTH
}

/// [`emu_ir::Guest::trap`]: what the last instruction left to be taken before this one, a virtual interrupt that waits, or a
/// breakpoint at this one. Nothing in the shadow of a load of SS.
pub fn trap(cpu: &Cpu) -> Option<Fault> {
    if cpu.mode & mode::SHADOW != 0 {
        return None;
    }
    if cpu.sys.pending & pending::DEBUG != 0 {
        return Some(debug(0));
    }
    if owes_virtual_interrupt(cpu) {
        return Some(gp(0));
    }
    if cpu.eflags & eflags::RF != 0 {
        return None;
    }
    reasons(enabled(cpu).filter(|b| b.of == Of::Execute && b.start == cpu.pc))
}

/// [`emu_ir::Guest::data_trap`].
pub fn data_trap(cpu: &Cpu, addr: u64, len: u32, access: Access) -> Option<Fault> {
    let meant = |b: &Breakpoint| match b.of {
        Of::Access => true,
        Of::Write => access == Access::Write,
        Of::Execute | Of::Io => false,
    };
    reasons(enabled(cpu).filter(|b| meant(b) && b.meets(addr, len)))
}

/// The debug exception of an access to ports, to be taken when the instruction is done (SDM 3, 18.2.5 and 18.3.1.2).
pub fn port_trap(cpu: &Cpu, port: u16, size: u8) -> Option<Fault> {
    reasons(enabled(cpu).filter(|b| b.of == Of::Io && b.meets(port.into(), size.into())))
}

/// The debug exception of some breakpoints, if there are any.
fn reasons(all: impl Iterator<Item = Breakpoint>) -> Option<Fault> {
    let bits = all.fold(0, |bits, b| bits | 1 << b.number);
    (bits != 0).then(|| debug(bits))
}

/// A debug exception that is to be taken when the instruction at hand is done.
pub fn note(cpu: &mut Cpu, fault: Fault) {
    if let Fault::Guest { info, .. } = fault {
        cpu.sys.pending |= info << pending::DEBUG_SHIFT;
    }
}

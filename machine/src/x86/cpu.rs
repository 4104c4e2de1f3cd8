//! How an x86 CPU starts, and how it is saved.

use emu_devices::bus::{Format, LoadError, Saved};
use emu_firmware::x86::entry::{self, Entry, Mode};
use emu_frontend_x86::exception;
use emu_frontend_x86::platform::X86;
use emu_frontend_x86::state::{Cpu, Segment, Table, number, pending};

use crate::processor::Start;
use crate::soft::Core;

/// What [`Saved`] calls the state of a CPU, and its version.
const SAVED: Format = Format::first("x86-cpu");
/// IA32_MTRR_DEF_TYPE as firmware leaves it: enabled, and memory is write-back where no range says otherwise.
const WRITE_BACK: u64 = 1 << 11 | 6;

/// The state after a reset: an application processor waits for its start-up message.
pub fn at_reset(guest: &mut X86) -> Cpu {
    let mut cpu = exception::reset(&guest.model);
    if guest.platform.cpu_index() != 0 {
        // Of what is just reset it changes nothing else.
        exception::init(&mut cpu, &guest.model, true);
    }
    guest.platform.set_tsc_ahead(cpu.sys.tsc_offset);
    cpu
}

/// A segment as the boot protocols' states have it: attributes as they lie in a descriptor.
fn segment(of: &entry::Segment) -> Segment {
    Segment {
        base: of.base,
        limit: of.limit,
        selector: of.selector,
        attributes: of.attributes & 0xff | of.attributes >> 4 & 0xf00,
    }
}

/// The state in which a boot protocol has a CPU after a reset start a kernel.
fn enter(cpu: &mut Cpu, guest: &X86, entry: &Entry) {
    let s = &mut cpu.sys;
    (s.cr0, s.cr4, s.efer) = (entry.mode.cr0(), entry.mode.cr4(), entry.mode.efer());
    if let Mode::Long { cr3 } = entry.mode {
        s.cr3 = cr3;
    }
    s.gdtr = Table {
        base: entry.gdt.0,
        limit: entry.gdt.1.into(),
    };
    s.idtr = Table { base: 0, limit: 0 };
    s.ldtr = Segment::default();
    s.tr = segment(&entry.tr);
    if guest.model.has("mtrr") {
        s.mtrr_def_type = WRITE_BACK;
    }
    cpu.segments = [segment(&entry.data); 6];
    *cpu.segment_mut(number::CS) = segment(&entry.cs);
    let r = entry.registers;
    cpu.regs = [r.ax, r.cx, r.dx, r.bx, r.sp, r.bp, r.si, r.di, 0, 0, 0, 0, 0, 0, 0, 0];
    cpu.set_eflags(entry.flags as u32);
    cpu.settle_at(0);
    cpu.set_rip(entry.ip);
}

impl Core for X86 {
    fn start(&mut self, before: &Cpu, how: Start) -> Cpu {
        match how {
            Start::Page(page) => {
                let waited = before.sys.pending & pending::WAIT_FOR_SIPI != 0;
                let mut cpu = if waited { *before } else { at_reset(self) };
                exception::sipi(&mut cpu, page);
                cpu
            }
            Start::Entry(entry) => {
                let mut cpu = at_reset(self);
                enter(&mut cpu, self, &entry);
                cpu
            }
            // Of the two that are left an x86 CPU starts at its reset vector alone.
            Start::Vector | Start::At { .. } => at_reset(self),
        }
    }

    fn save(&self, cpu: &Cpu) -> Saved {
        Saved::new(&SAVED, cpu)
    }

    fn load(&mut self, saved: &Saved) -> Result<Cpu, LoadError> {
        let cpu = saved.state::<Cpu>(&SAVED)?.sound();
        self.platform.set_tsc_ahead(cpu.sys.tsc_offset);
        Ok(cpu)
    }
}

#[cfg(test)]
mod tests {
    use super::super::platform;
    use super::*;
    use emu_firmware::x86::entry::Registers;
    use emu_frontend_x86::state::mode;

    fn guest() -> X86 {
        X86 {
            model: emu_frontend_x86::model::Model::ALL,
            platform: Box::new(platform::Nothing),
        }
    }

    fn entered(mode: Mode) -> Cpu {
        let registers = Registers {
            si: 0x9_0000,
            ..Registers::default()
        };
        let entry = Entry::new(mode, 0x100_0200, 0x500, registers);
        let mut guest = guest();
        let before = exception::reset(&guest.model);
        guest.start(&before, Start::Entry(entry))
    }

    #[test]
    fn a_64_bit_kernel_is_entered_in_long_mode() {
        let cpu = entered(Mode::Long { cr3: 0x1000 });

        assert_eq!(
            cpu.mode & (mode::CODE64 | mode::LONG | mode::CPL),
            mode::CODE64 | mode::LONG
        );
        assert_eq!((cpu.rip(), cpu.regs[6], cpu.sys.cr3), (0x100_0200, 0x9_0000, 0x1000));
        assert_eq!((cpu.sys.gdtr.base, cpu.sys.gdtr.limit, cpu.eflags()), (0x500, 47, 2));
    }

    #[test]
    fn a_32_bit_kernel_is_entered_in_flat_protected_mode() {
        let cpu = entered(Mode::Protected);

        let flat = mode::PROTECTED | mode::CODE32 | mode::STACK32 | mode::FLAT;
        assert_eq!(cpu.mode & (flat | mode::LONG), flat);
        assert_eq!(cpu.segment(number::DS).selector, 0x18);
    }

    #[test]
    fn a_start_up_message_starts_what_has_waited_for_it_as_it_was_left() {
        let mut guest = guest();
        let mut before = exception::reset(&guest.model);
        exception::init(&mut before, &guest.model, true);
        before.ymm[3][0] = 7;

        let cpu = guest.start(&before, Start::Page(0x9a));

        assert_eq!(
            (cpu.pc, cpu.segment(number::CS).selector, cpu.ymm[3][0]),
            (0x9_a000, 0x9a00, 7)
        );
        assert_eq!(cpu.sys.pending & pending::WAIT_FOR_SIPI, 0);
    }

    #[test]
    fn a_state_is_loaded_as_it_was_saved() {
        let mut guest = guest();
        let cpu = entered(Mode::Long { cr3: 0x1000 });

        let saved = guest.save(&cpu);

        assert_eq!(guest.load(&saved).unwrap(), cpu);
    }
}

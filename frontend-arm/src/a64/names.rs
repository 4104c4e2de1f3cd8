//! What exception levels, exceptions, faults and registers are called: for logs of what a CPU does, and for persons.

use super::aarch32::{self, pstate::USER};
use super::fault::{self, CM, WNR, class};
use super::mmu::status;
use super::state::{Cpu, mode, psr};
use crate::names;
use emu_ir::{Fault, Plight};

/// An exception level with its stack pointer, by PSTATE.M.
pub fn level(m: u32) -> &'static str {
    match m & psr::M {
        0b00000 => "el0",
        0b00100 => "el1t",
        0b00101 => "el1h",
        USER => "usr",
        _ => "?",
    }
}

/// The exception whose vector a CPU is at.
pub fn exception(at_vector: &Cpu) -> &'static str {
    match at_vector.pc & 0x1ff {
        0x000 => class_name((at_vector.sys.esr >> 26 & 0x3f) as u32),
        0x080 => "irq",
        0x100 => "fiq",
        0x180 => "serror",
        _ => "?",
    }
}

/// An exception class, ESR_EL1.EC.
fn class_name(ec: u32) -> &'static str {
    match ec {
        class::UNKNOWN => "undefined",
        class::WFX => "trapped-wait",
        class::FP_ACCESS => "fp-access",
        class::PAC_FAIL => "pointer-authentication",
        class::BTI => "branch-target",
        class::ILLEGAL_STATE => "illegal-state",
        class::SVC | class::SVC_32 => "supervisor-call",
        0x03 | 0x04 => "trapped-coprocessor",
        class::SYSTEM => "trapped-system-register",
        0x20 | 0x21 => "instruction-abort",
        class::PC_ALIGNMENT => "pc-alignment",
        0x24 | 0x25 => "data-abort",
        class::SP_ALIGNMENT => "sp-alignment",
        0x30 | 0x31 => "breakpoint",
        0x32 | 0x33 => "software-step",
        0x34 | 0x35 => "watchpoint",
        class::BRK => "brk",
        class::BKPT_32 => "bkpt",
        _ => "?",
    }
}

/// The registers that tell a handler of the exception whose vector a CPU is at.
pub fn syndrome(at_vector: &Cpu) -> Vec<(&'static str, u64)> {
    let c = &at_vector.sys;
    match (at_vector.pc & 0x1ff, (c.esr >> 26) as u32) {
        (0, 0x20 | 0x21 | class::PC_ALIGNMENT | 0x24 | 0x25 | 0x34 | 0x35) => vec![("esr", c.esr), ("far", c.far)],
        (0, _) => vec![("esr", c.esr)],
        _ => Vec::new(),
    }
}

/// A fault status code in words.
fn status_name(code: u32) -> String {
    let what = match code & 0x3c {
        status::ADDRESS_SIZE => "address size fault",
        status::TRANSLATION => "translation fault",
        status::ACCESS_FLAG => "access flag fault",
        status::PERMISSION => "permission fault",
        status::EXTERNAL_ON_WALK => "external abort on a walk",
        _ => match code & 0x3f {
            fault::EXTERNAL => return "external abort".into(),
            fault::ALIGNMENT => return "alignment fault".into(),
            fault::DEBUG => return "debug event".into(),
            other => return format!("status {other:#x}"),
        },
    };
    format!("{what}, level {}", code & 3)
}

/// What is wrong, in words; nothing for an exception that says it all.
pub fn fault(what: Fault) -> String {
    let (ec, iss, _) = fault::syndrome(what);
    let suffix = match (iss & CM != 0, iss & WNR != 0) {
        (true, _) => ", maintenance",
        (false, true) => ", write",
        (false, false) => "",
    };
    match ec {
        class::INSTRUCTION_ABORT => status_name(iss),
        class::DATA_ABORT => status_name(iss) + suffix,
        _ => String::new(),
    }
}

/// Why no interrupt gets a CPU on: it masks them, as each exception does. With what it last took, as far as its syndrome
/// tells. `None`: one gets it on.
pub fn plight(cpu: &Cpu) -> Option<Plight> {
    if cpu.psr & psr::I == 0 {
        return None;
    }
    // Kernels are at the level that handles faults, whatever they do.
    let of = |words| Plight {
        words,
        in_handler: false,
    };
    let (name, c) = (level(cpu.psr), &cpu.sys);
    let at_vector = cpu.pc.wrapping_sub(c.vbar) < 0x800 && cpu.pc & 0x7f == 0;
    let why = if at_vector {
        format!("the {} vector", exception(cpu))
    } else {
        "interrupts masked".to_owned()
    };
    if c.esr == 0 {
        return Some(of(format!("{name}, {why}")));
    }
    let last = class_name((c.esr >> 26) as u32);
    let took = format!("{last} at {:#x} (esr {:#x} far {:#x})", c.elr, c.esr, c.far);
    Some(of(format!("{name}, {why}; it last took {took}")))
}

/// What a mode word lets translated code rely on, in words.
fn mode_words(word: u32) -> String {
    if word & mode::AARCH32 != 0 {
        return format!("AArch32, {}", names::mode_words(word & !aarch32::UPPER));
    }
    const WORDS: [(u32, &str); 21] = [
        (mode::E, "big-endian data"),
        (mode::ALIGN, "aligned data"),
        (mode::SP_ALIGN, "aligned stack"),
        (mode::FP, "floating point on"),
        (mode::FZ, "FZ"),
        (mode::FZ16, "FZ16"),
        (mode::DN, "DN"),
        (mode::AHP, "AHP"),
        (mode::UNPRIVILEGED, "LDTR as EL0"),
        (mode::SPX, "SP_ELx"),
        (mode::IL, "illegal state"),
        (mode::STEP, "software step"),
        (mode::DEVICE, "all is Device memory"),
        (mode::COUNT, "counted"),
        (mode::IA, "key IA on"),
        (mode::IB, "key IB on"),
        (mode::DA, "key DA on"),
        (mode::DB, "key DB on"),
        (1 << mode::BTYPE_SHIFT, "BTYPE 1"),
        (2 << mode::BTYPE_SHIFT, "BTYPE 2"),
        (mode::CHECKED, "branch targets checked"),
    ];
    let set = WORDS.iter().filter(|(bit, _)| word & bit != 0).map(|(_, name)| *name);
    set.collect::<Vec<_>>().join(", ")
}

/// The registers that an instruction may have changed, in the order of a listing: those of general purpose, PSTATE, and those of
/// floating point. System registers are not among them.
pub fn changes(before: &Cpu, after: &Cpu, mut changed: impl FnMut(std::fmt::Arguments<'_>, u64, usize)) {
    let mut note = |name: std::fmt::Arguments<'_>, old: u64, new: u64, digits| {
        if old != new {
            changed(name, new, digits);
        }
    };
    for (i, (old, new)) in before.x.into_iter().zip(after.x).enumerate() {
        if i == 31 {
            note(format_args!("sp"), old, new, 16);
        } else {
            note(format_args!("x{i}"), old, new, 16);
        }
    }
    note(format_args!("pstate"), before.pstate().into(), after.pstate().into(), 8);
    if before.q != after.q {
        for (i, (old, new)) in before.q.into_iter().zip(after.q).enumerate() {
            note(format_args!("v{i}.d[0]"), old[0], new[0], 16);
            note(format_args!("v{i}.d[1]"), old[1], new[1], 16);
        }
    }
    note(format_args!("fpsr"), before.fpsr().into(), after.fpsr().into(), 8);
    note(
        format_args!("fpcr"),
        before.fpcr_read().into(),
        after.fpcr_read().into(),
        8,
    );
}

impl Cpu {
    /// The registers as a table, for a person: of a panic, a trace, a monitor.
    pub fn show(&self) -> String {
        let mut out = String::new();
        for (i, x) in self.x.iter().enumerate() {
            let name = if i == 31 { "sp".to_owned() } else { format!("x{i}") };
            let end = if i % 4 == 3 { "\n" } else { "  " };
            out += &format!("{name:>4} {x:016x}{end}");
        }
        let pstate = self.pstate();
        let flags = |all: &[(u32, char)]| {
            let shown = |&(at, c): &(u32, char)| if pstate >> at & 1 != 0 { c } else { '-' };
            all.iter().map(shown).collect::<String>()
        };
        let nzcv = flags(&[(31, 'N'), (30, 'Z'), (29, 'C'), (28, 'V')]);
        let daif = flags(&[(9, 'D'), (8, 'A'), (7, 'I'), (6, 'F')]);
        out += &format!(
            "  pc {:016x}  pstate {pstate:08x} {nzcv} {daif} {}\ncode is translated for: {} (mode word {:06x})\n",
            self.pc,
            level(self.psr),
            mode_words(self.mode),
            self.mode
        );
        let c = &self.sys;
        out += &format!(
            "sctlr {:x} tcr {:x} ttbr0 {:x} ttbr1 {:x} mair {:x} vbar {:x}\n",
            c.sctlr, c.tcr, c.ttbr0, c.ttbr1, c.mair, c.vbar
        );
        out += &format!(
            "esr {:x} far {:x} elr {:x} spsr {:x} sp_el0 {:x}\n",
            c.esr,
            c.far,
            c.elr,
            c.spsr,
            self.sp_el0()
        );
        out
    }
}

#[cfg(test)]
mod tests {
    use super::super::fault::{UNDEFINED, abort, exception as of_class};
    use super::super::features::Features;
    use super::*;
    use emu_ir::Access;

    fn after(fault: Fault) -> Cpu {
        let mut cpu = Cpu::reset();
        cpu.raise(Features::ALL, fault);
        cpu
    }

    #[test]
    fn exceptions_are_named_at_their_vectors() {
        let unmapped = abort(0x1000, Access::Read, status::TRANSLATION | 3);

        assert_eq!(exception(&after(UNDEFINED)), "undefined");
        assert_eq!(exception(&after(of_class(class::SVC, 0))), "supervisor-call");
        assert_eq!(exception(&after(unmapped)), "data-abort");
        let said = syndrome(&after(unmapped));
        assert_eq!(said, [("esr", 0x9600_0007), ("far", 0x1000)]);
    }

    #[test]
    fn faults_say_what_is_wrong() {
        let write = abort(0, Access::Write, status::PERMISSION | 2);
        let bus = Fault::Bus {
            addr: 0,
            access: Access::Read,
        };

        assert_eq!(fault(write), "permission fault, level 2, write");
        assert_eq!(
            fault(abort(0, Access::Execute, status::TRANSLATION)),
            "translation fault, level 0"
        );
        assert_eq!((fault(bus).as_str(), fault(UNDEFINED).as_str()), ("external abort", ""));
    }

    #[test]
    fn a_cpu_is_lost_with_interrupts_masked() {
        let mut cpu = Cpu::reset();
        (cpu.pc, cpu.sys.vbar) = (0x8000, 0x4000);
        let words = |cpu: &Cpu| plight(cpu).map(|plight| plight.words);
        assert_eq!(words(&cpu).as_deref(), Some("el1h, interrupts masked"));
        cpu.set_psr(0);
        assert_eq!(plight(&cpu), None);

        cpu.raise(Features::ALL, UNDEFINED);

        let said = "el1h, the undefined vector; it last took undefined at 0x8000 (esr 0x2000000 far 0x0)";
        assert_eq!(words(&cpu).as_deref(), Some(said));
    }

    #[test]
    fn changes_and_the_table_name_registers() {
        let before = Cpu::reset();
        let mut after = before;
        (after.x[3], after.x[31], after.z, after.q[31][1]) = (7, 0x100, 1, 9);
        let mut seen = Vec::new();

        changes(&before, &after, |name, value, _| seen.push(format!("{name}={value:x}")));

        assert_eq!(seen, ["x3=7", "sp=100", "pstate=400003c5", "v31.d[1]=9"]);
        assert!(after.show().contains("-Z-- DAIF el1h"), "{}", after.show());
    }
}

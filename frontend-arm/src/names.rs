//! What modes, exceptions, faults and registers are called: for logs of what a CPU does.

use crate::fault::{Class, Kind, Status};
use crate::state::{Cpu, mode, psr};
use emu_ir::{Access, Fault, Plight};
use std::fmt;

/// A processor mode by its number, CPSR.M (Arm ARM DDI 0406C, table B1-1).
pub fn mode(number: u32) -> &'static str {
    match number & psr::M {
        psr::USR => "usr",
        psr::FIQ => "fiq",
        psr::IRQ => "irq",
        psr::SVC => "svc",
        psr::ABT => "abt",
        psr::UND => "und",
        psr::SYS => "sys",
        _ => "?",
    }
}

/// The instruction set of a mode word.
pub fn instruction_set(word: u32) -> &'static str {
    if word & mode::T != 0 { "thumb" } else { "arm" }
}

/// The exception whose vector a CPU is at.
pub fn exception(at_vector: &Cpu) -> &'static str {
    match at_vector.r[15] & 0x1f {
        0x00 => "reset",
        0x04 => "undefined",
        0x08 => "supervisor-call",
        0x0c => "prefetch-abort",
        0x10 => "data-abort",
        0x18 => "irq",
        0x1c => "fiq",
        _ => "?",
    }
}

/// Why no interrupt gets a CPU on: it masks them, as each exception does. With what it last took, as far as its mode and the
/// fault registers tell; the modes of faults are left as soon as something can be called. `None`: one gets it on.
pub fn plight(cpu: &Cpu) -> Option<Plight> {
    if cpu.psr & psr::I == 0 {
        return None;
    }
    let name = mode(cpu.current_mode());
    let at_vector = cpu.r[15].wrapping_sub(cpu.vectors()) < 0x20;
    let why = match cpu.current_mode() {
        psr::UND | psr::ABT | psr::IRQ | psr::FIQ if at_vector => format!("the {} vector", exception(cpu)),
        _ => "interrupts masked".to_owned(),
    };
    let c = &cpu.cp15;
    let took = match cpu.current_mode() {
        psr::UND => format!("an undefined instruction before {:#010x}", cpu.r[14]),
        psr::ABT => format!(
            "an abort, lr {:#010x} (dfsr {:#x} dfar {:#010x}, ifsr {:#x} ifar {:#010x})",
            cpu.r[14], c.dfsr, c.dfar, c.ifsr, c.ifar
        ),
        psr::IRQ => format!("an IRQ, lr {:#010x}", cpu.r[14]),
        psr::FIQ => format!("a FIQ, lr {:#010x}", cpu.r[14]),
        _ => String::new(),
    };
    let words = if took.is_empty() {
        format!("{name}, {why}")
    } else {
        format!("{name}, {why}; it last took {took}")
    };
    Some(Plight {
        words,
        in_handler: matches!(cpu.current_mode(), psr::UND | psr::ABT),
    })
}

/// What a mode word lets translated code rely on, in words.
pub(crate) fn mode_words(word: u32) -> String {
    const WORDS: [(u32, &str); 15] = [
        (mode::T, "thumb"),
        (mode::E, "big-endian data"),
        (mode::USER, "user"),
        (mode::VFP, "VFP on"),
        (mode::NEON, "Advanced SIMD on"),
        (mode::FZ, "FZ"),
        (mode::FZ16, "FZ16"),
        (mode::DN, "DN"),
        (mode::AHP, "AHP"),
        (mode::ALIGN, "SCTLR.A"),
        (mode::SHORT_VECTORS, "short vectors"),
        (mode::SWP, "SCTLR.SW"),
        (mode::COUNT, "counted"),
        (mode::ITD, "SCTLR.ITD"),
        (mode::SED, "SCTLR.SED"),
    ];
    let set = WORDS.iter().filter(|(bit, _)| word & bit != 0).map(|(_, name)| *name);
    set.collect::<Vec<_>>().join(", ")
}

/// The registers that tell a handler of the exception whose vector a CPU is at.
pub fn syndrome(at_vector: &Cpu) -> Vec<(&'static str, u32)> {
    let c = &at_vector.cp15;
    match at_vector.r[15] & 0x1f {
        0x0c => vec![("ifsr", c.ifsr), ("ifar", c.ifar)],
        0x10 => vec![("dfsr", c.dfsr), ("dfar", c.dfar)],
        _ => Vec::new(),
    }
}

/// What is wrong, in words; nothing for an exception that says it all.
pub fn fault(fault: Fault) -> String {
    let wrote = |access| if access == Access::Write { ", write" } else { "" };
    match fault {
        Fault::Guest { class, info, .. }
            if class == Class::PrefetchAbort as u32 || class == Class::DataAbort as u32 =>
        {
            Status::from_bits(info).to_string()
        }
        Fault::Guest { .. } => String::new(),
        Fault::Bus { access, .. } => format!("{}{}", Status::EXTERNAL, wrote(access)),
        Fault::Alignment { access, .. } => format!("{}{}", Status::ALIGNMENT, wrote(access)),
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind() {
            Kind::Alignment => "alignment fault",
            Kind::Debug => "debug event",
            Kind::Translation => "translation fault",
            Kind::AccessFlag => "access flag fault",
            Kind::Domain => "domain fault",
            Kind::Permission => "permission fault",
            Kind::ExternalOnWalk => "external abort on a walk",
            Kind::External => "external abort",
        };
        f.write_str(kind)?;
        if self.level() != 0 {
            write!(f, ", level {}", self.level())?;
        }
        let (write, maintenance) = (self.bits() >> 16 & 1 != 0, self.bits() >> 17 & 1 != 0);
        match (write, maintenance) {
            (_, true) => f.write_str(", maintenance"),
            (true, false) => f.write_str(", write"),
            (false, false) => Ok(()),
        }
    }
}

/// The registers that an instruction may have changed, in the order of a listing: those of the current mode, status, and
/// VFP's. System control registers are not among them.
pub fn changes(before: &Cpu, after: &Cpu, mut changed: impl FnMut(fmt::Arguments<'_>, u64, usize)) {
    const R: [&str; 15] = [
        "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "sp", "lr",
    ];
    let mut note = |name: fmt::Arguments<'_>, old: u64, new: u64, digits| {
        if old != new {
            changed(name, new, digits);
        }
    };
    for (name, (old, new)) in R.iter().zip(before.r.into_iter().zip(after.r)) {
        note(format_args!("{name}"), old.into(), new.into(), 8);
    }
    note(format_args!("cpsr"), before.cpsr().into(), after.cpsr().into(), 8);
    if let Some(spsr) = after.spsr() {
        let old = before.spsr().filter(|_| before.current_mode() == after.current_mode());
        if old != Some(spsr) {
            note(format_args!("spsr"), u64::MAX, spsr.into(), 8);
        }
    }
    if before.d != after.d {
        for (i, (old, new)) in before.d.into_iter().zip(after.d).enumerate() {
            note(format_args!("d{i}"), old, new, 16);
        }
    }
    note(format_args!("fpscr"), before.fpscr().into(), after.fpscr().into(), 8);
    note(format_args!("fpexc"), before.fpexc.into(), after.fpexc.into(), 8);
}

impl Cpu {
    /// The registers as a table, for a person: of a panic, a trace, a monitor.
    pub fn show(&self) -> String {
        let mut out = String::new();
        for (i, r) in self.r.iter().enumerate() {
            let name = ["sp", "lr", "pc"]
                .get(i.wrapping_sub(13))
                .map_or_else(|| format!("r{i}"), |n| n.to_string());
            let end = if i % 4 == 3 { "\n" } else { "  " };
            out += &format!("{name:>4} {r:08x}{end}");
        }
        let cpsr = self.cpsr();
        let flag = |at: u32, c: char| if cpsr >> at & 1 != 0 { c } else { '-' };
        let flags: String = [(31, 'N'), (30, 'Z'), (29, 'C'), (28, 'V'), (27, 'Q')]
            .map(|(b, c)| flag(b, c))
            .iter()
            .collect();
        let masks: String = [(9, 'E'), (8, 'A'), (7, 'I'), (6, 'F'), (5, 'T')]
            .map(|(b, c)| flag(b, c))
            .iter()
            .collect();
        let name = mode(self.current_mode());
        out += &format!(
            "cpsr {cpsr:08x} {flags} {masks} {name} it={:02x}\ncode is translated for: {} (mode word {:06x})\n",
            self.it(),
            mode_words(self.mode),
            self.mode
        );
        if let Some(spsr) = self.spsr() {
            out += &format!("spsr {spsr:08x}\n");
        }
        let c = &self.cp15;
        out += &format!(
            "sctlr {:08x} ttbcr {:08x} ttbr0 {:x} ttbr1 {:x} ",
            c.sctlr, c.ttbcr, c.ttbr0, c.ttbr1
        );
        out += &format!("dacr {:08x} contextidr {:08x}\n", c.dacr, c.contextidr);
        out += &format!(
            "dfsr {:08x} dfar {:08x} ifsr {:08x} ifar {:08x} vbar {:08x}\n",
            c.dfsr, c.dfar, c.ifsr, c.ifar, c.vbar
        );
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{UNDEFINED, abort, svc_fault};
    use crate::model::MODELS;

    #[test]
    fn exceptions_are_named_at_their_vectors() {
        let fault = |f: Fault| {
            let mut cpu = Cpu::reset(&MODELS[0]);
            cpu.raise(f);
            (exception(&cpu), syndrome(&cpu).first().map(|s| s.0))
        };
        let translation = Status::new(Kind::Translation, 1);

        assert_eq!(fault(UNDEFINED), ("undefined", None));
        assert_eq!(fault(svc_fault()), ("supervisor-call", None));
        assert_eq!(
            fault(abort(0, Access::Execute, translation)),
            ("prefetch-abort", Some("ifsr"))
        );
        assert_eq!(
            fault(abort(0, Access::Write, translation)),
            ("data-abort", Some("dfsr"))
        );
        assert_eq!(exception(&Cpu::reset(&MODELS[0])), "reset");
    }

    #[test]
    fn faults_say_what_is_wrong() {
        let cases = [
            (
                abort(0, Access::Write, Status::new(Kind::Permission, 2)),
                "permission fault, level 2, write",
            ),
            (
                abort(0, Access::Execute, Status::new(Kind::Translation, 1)),
                "translation fault, level 1",
            ),
            (
                Fault::Bus {
                    addr: 0,
                    access: Access::Read,
                },
                "external abort",
            ),
            (
                Fault::Alignment {
                    addr: 1,
                    access: Access::Write,
                },
                "alignment fault, write",
            ),
            (UNDEFINED, ""),
        ];
        for (given, wanted) in cases {
            assert_eq!(fault(given), wanted);
        }
    }

    #[test]
    fn changes_are_those_of_the_current_mode() {
        let before = Cpu::reset(&MODELS[0]);
        let mut after = before;
        (after.r[3], after.r[13], after.z, after.d[31], after.fp_c) = (7, 0x100, 1, 9, 1);
        let mut seen = Vec::new();

        changes(&before, &after, |name, value, digits| {
            seen.push(format!("{name}={value:0digits$x}"))
        });

        assert_eq!(
            seen,
            [
                "r3=00000007",
                "sp=00000100",
                "cpsr=400001d3",
                "d31=0000000000000009",
                "fpscr=20000000"
            ]
        );
    }

    #[test]
    fn modes_are_named() {
        assert_eq!(
            [0x10, 0x11, 0x12, 0x13, 0x17, 0x1b, 0x1f, 0].map(mode),
            ["usr", "fiq", "irq", "svc", "abt", "und", "sys", "?"]
        );
    }

    #[test]
    fn show_names_mode_and_flags() {
        let mut cpu = Cpu::reset(&MODELS[0]);
        cpu.set_cpsr(0x6000_01f3);
        let text = cpu.show();
        assert!(text.contains("-ZC-- -AIFT svc"), "{text}");
        assert!(text.contains("translated for: thumb"), "{text}");
        assert_eq!(text.lines().count(), 9, "{text}");
    }

    #[test]
    fn a_cpu_is_lost_at_a_vector_or_with_interrupts_masked() {
        let mut cpu = Cpu::reset(&MODELS[0]);
        (cpu.r[15], cpu.cp15.vbar) = (0x8000, 0x4000);
        let said = |cpu: &Cpu| plight(cpu).map(|plight| (plight.words, plight.in_handler));
        assert_eq!(said(&cpu), Some(("svc, interrupts masked".to_owned(), false)));
        cpu.set_cpsr(0x6000_0013);
        assert_eq!(plight(&cpu), None);

        cpu.raise(UNDEFINED);

        let words = "und, the undefined vector; it last took an undefined instruction before 0x00008004";
        assert_eq!(said(&cpu), Some((words.to_owned(), true)));
    }
}

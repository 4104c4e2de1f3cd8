//! What modes, exceptions, faults and registers are called: for logs of what a CPU does, and for persons.

use crate::fault::{Event, vector};
use crate::state::bits::eflags;
use crate::state::{Cpu, mode, pending};
use bytemuck::Zeroable;
use emu_ir::{Fault, Plight};
use std::fmt::Write;

/// General registers by their numbers.
pub const REGS: [&str; 16] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
];
/// Segment registers by theirs.
pub const SEGMENTS: [&str; 6] = ["es", "cs", "ss", "ds", "fs", "gs"];

/// The mode, with the privilege level where there are several.
pub fn mode(cpu: &Cpu) -> &'static str {
    let levels = |names: [&'static str; 4]| {
        let [zero, one, two, three] = names;
        match cpu.cpl() {
            0 => zero,
            1 => one,
            2 => two,
            _ => three,
        }
    };
    let m = cpu.mode;
    match m {
        _ if m & mode::SMM != 0 => "smm",
        _ if m & mode::PROTECTED == 0 => "real",
        _ if m & mode::VIRTUAL != 0 => "v86",
        _ if m & mode::CODE64 != 0 => levels(["long/0", "long/1", "long/2", "long/3"]),
        _ if m & mode::LONG != 0 => levels(["compat/0", "compat/1", "compat/2", "compat/3"]),
        _ if m & mode::CODE32 != 0 => levels(["prot32/0", "prot32/1", "prot32/2", "prot32/3"]),
        _ => levels(["prot16/0", "prot16/1", "prot16/2", "prot16/3"]),
    }
}

/// What a CPU does, in a few words.
pub fn doing(cpu: &Cpu) -> &'static str {
    match cpu.sys.pending {
        waits if waits & pending::WAIT_FOR_SIPI != 0 => "waits for its start-up message",
        halted if halted & pending::HALTED != 0 => "halted",
        _ => mode(cpu),
    }
}

/// What a fault is to the guest.
fn event(fault: Fault) -> Option<Event> {
    Event::of_fault(&Cpu::zeroed(), fault)
}

/// The exception that a fault is.
pub fn exception(fault: Fault) -> &'static str {
    let Some(event) = event(fault) else {
        return "shutdown";
    };
    match event.vector {
        vector::DE => "#DE",
        vector::DB => "#DB",
        vector::NMI => "nmi",
        vector::BP => "#BP",
        vector::OF => "#OF",
        vector::BR => "#BR",
        vector::UD => "#UD",
        vector::NM => "#NM",
        vector::DF => "#DF",
        vector::TS => "#TS",
        vector::NP => "#NP",
        vector::SS => "#SS",
        vector::GP => "#GP",
        vector::PF => "#PF",
        vector::MF => "#MF",
        vector::AC => "#AC",
        vector::MC => "#MC",
        vector::XM => "#XM",
        _ => "int",
    }
}

/// What else a fault says: its error code, an address, the vector of an interrupt instruction.
pub fn fault(what: Fault) -> String {
    match event(what) {
        Some(event) if event.vector == vector::PF => format!("address {:#x}, error code {:#x}", event.addr, event.code),
        Some(event) => match event.pushed() {
            Some(code) => format!("error code {code:#x}"),
            None if exception(what) == "int" => format!("vector {:#x}", event.vector),
            None => String::new(),
        },
        None => String::new(),
    }
}

/// The registers that an instruction may have changed, in the order of a listing. System registers are not among them.
pub fn changes(before: &Cpu, after: &Cpu, mut changed: impl FnMut(std::fmt::Arguments<'_>, u64, usize)) {
    let mut note = |name: std::fmt::Arguments<'_>, old: u64, new: u64, digits| {
        if old != new {
            changed(name, new, digits);
        }
    };
    for (name, (old, new)) in REGS.iter().zip(before.regs.into_iter().zip(after.regs)) {
        note(format_args!("{name}"), old, new, 16);
    }
    note(format_args!("eflags"), before.eflags().into(), after.eflags().into(), 8);
    for (name, (old, new)) in SEGMENTS.iter().zip(before.segments.iter().zip(&after.segments)) {
        note(format_args!("{name}"), old.selector.into(), new.selector.into(), 4);
        note(format_args!("{name}.base"), old.base, new.base, 16);
    }
    if before.ymm != after.ymm {
        for (n, (old, new)) in before.ymm.iter().zip(&after.ymm).enumerate() {
            for (quarter, (old, new)) in old.iter().zip(new).enumerate() {
                note(format_args!("ymm{n}[{quarter}]"), *old, *new, 16);
            }
        }
    }
    note(format_args!("mxcsr"), before.mxcsr().into(), after.mxcsr().into(), 8);
    if before.x87 != after.x87 {
        let (old, new) = (&before.x87, &after.x87);
        for (n, (old, new)) in old.regs.iter().zip(&new.regs).enumerate() {
            let [[old_low, old_high], [new_low, new_high]] = [*old, *new];
            note(format_args!("r{n}.significand"), old_low, new_low, 16);
            note(format_args!("r{n}.exponent"), old_high, new_high, 4);
        }
        note(format_args!("fctrl"), old.control.into(), new.control.into(), 4);
        note(format_args!("fstat"), old.status.into(), new.status.into(), 4);
        note(format_args!("top"), old.top.into(), new.top.into(), 1);
    }
}

/// The registers as a table, for a person.
pub fn show(cpu: &Cpu) -> String {
    let mut out = String::new();
    for (n, (name, value)) in REGS.iter().zip(cpu.regs).enumerate() {
        let end = if n % 4 == 3 { "\n" } else { "  " };
        let _ = write!(out, "{name:>4} {value:016x}{end}");
    }
    const FLAGS: [(u32, char); 9] = [
        (eflags::OF, 'O'),
        (eflags::DF, 'D'),
        (eflags::IF, 'I'),
        (eflags::TF, 'T'),
        (eflags::SF, 'S'),
        (eflags::ZF, 'Z'),
        (eflags::AF, 'A'),
        (eflags::PF, 'P'),
        (eflags::CF, 'C'),
    ];
    let value = cpu.eflags();
    let flags = FLAGS.iter().map(|&(bit, c)| if value & bit != 0 { c } else { '-' });
    let flags: String = flags.collect();
    let _ = writeln!(
        out,
        " rip {:016x}  eflags {value:08x} {flags}  {}",
        cpu.rip(),
        mode(cpu)
    );
    let s = &cpu.sys;
    let tables = [("ldtr", &s.ldtr), ("tr", &s.tr)];
    let segments = SEGMENTS.into_iter().zip(&cpu.segments);
    for (name, segment) in segments.chain(tables) {
        let _ = writeln!(
            out,
            "{name:>4} {:04x}  base {:016x}  limit {:08x}  attributes {:03x}",
            segment.selector, segment.base, segment.limit, segment.attributes
        );
    }
    let _ = writeln!(
        out,
        "gdtr {:016x} {:04x}  idtr {:016x} {:04x}",
        s.gdtr.base, s.gdtr.limit, s.idtr.base, s.idtr.limit
    );
    let _ = writeln!(
        out,
        " cr0 {:08x}  cr2 {:016x}  cr3 {:016x}  cr4 {:08x}  efer {:08x}",
        s.cr0, s.cr2, s.cr3, s.cr4, s.efer
    );
    out
}

/// Why no interrupt gets a CPU on: it masks them. `None`: one gets it on.
pub fn plight(cpu: &Cpu) -> Option<Plight> {
    let masked = cpu.eflags & eflags::IF == 0;
    masked.then(|| Plight {
        words: format!("{}, interrupts masked", mode(cpu)),
        in_handler: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exception::reset;
    use crate::fault::{self as faults, gp, page};
    use crate::model::Model;

    #[test]
    fn a_cpu_after_a_reset() {
        let mut cpu = reset(&Model::ALL);

        assert_eq!((mode(&cpu), doing(&cpu)), ("real", "real"));
        assert_eq!(
            plight(&cpu).map(|plight| plight.words).as_deref(),
            Some("real, interrupts masked")
        );
        assert!(show(&cpu).contains(" rip 000000000000fff0  eflags 00000002 ---------  real"));
        cpu.set_eflags(eflags::IF);
        assert_eq!(plight(&cpu), None);
        cpu.sys.pending |= pending::HALTED;
        assert_eq!(doing(&cpu), "halted");
    }

    #[test]
    fn faults_say_what_their_handlers_are_told() {
        assert_eq!(
            (exception(gp(0x18)), fault(gp(0x18))),
            ("#GP", "error code 0x18".to_owned())
        );
        let absent = page(0x1234, 2);
        assert_eq!(
            (exception(absent), fault(absent)),
            ("#PF", "address 0x1234, error code 0x2".to_owned())
        );
        assert_eq!(
            (exception(faults::int(0x80)), fault(faults::int(0x80))),
            ("int", "vector 0x80".to_owned())
        );
        assert_eq!((exception(faults::UD), fault(faults::UD)), ("#UD", String::new()));
    }

    #[test]
    fn what_changed_is_named() {
        let before = reset(&Model::ALL);
        let mut after = before;
        (after.regs[3], after.ymm[2][1]) = (7, 8);
        after.segments[3].selector = 0x10;
        let mut seen = Vec::new();

        changes(&before, &after, |name, value, _| seen.push((name.to_string(), value)));

        let expected = [("rbx", 7), ("ds", 0x10), ("ymm2[1]", 8)];
        assert_eq!(seen, expected.map(|(name, value)| (name.to_owned(), value)));
    }
}

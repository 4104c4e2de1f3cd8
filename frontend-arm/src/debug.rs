//! ARM as a debugger sees it: registers by number, and their description for GDB.
//!
//! The numbers are the places in one list: the core registers, which GDB reads at every stop, those of VFP and Advanced
//! SIMD, the modes' own registers, and the system control registers by their rows in [`sys`](crate::sys).

use crate::names;
use crate::platform::Arm;
use crate::state::{Cpu, mode, psr};
use crate::sys::table::Reg;
use crate::{mmu, sys};
use emu_ir::{Bus, Env, Inspect, Plight, Span};
use std::fmt::Write;
use std::ops::RangeInclusive;
use std::sync::LazyLock;

/// Where a register is.
#[derive(Clone, Copy)]
enum Location {
    /// R0 to R15.
    Core(u8),
    Cpsr,
    /// D0 to D31.
    Double(u8),
    /// Q0 to Q15: the same as pairs.
    Quad(u8),
    /// By VMRS's number.
    Vfp(u32),
    /// R`n` of a mode.
    Banked(u32, u32),
    /// The SPSR of the current mode, or of another.
    Spsr(Option<u32>),
    System(&'static Reg),
}

struct Register {
    name: String,
    bits: u32,
    location: Location,
}

/// R0 to R15 and CPSR.
const GENERAL: usize = 17;
/// VMRS's number of the FPSCR.
const FPSCR: u32 = 1;
/// VMRS's other registers.
const VFP: [(&str, u32); 4] = [("fpsid", 0), ("mvfr1", 6), ("mvfr0", 7), ("fpexc", 8)];

/// What a Q register holds, for GDB.
const QUAD_TYPES: &str = r#"<vector id="u8x16" type="uint8" count="16"/>
<vector id="u16x8" type="uint16" count="8"/>
<vector id="u32x4" type="uint32" count="4"/>
<vector id="u64x2" type="uint64" count="2"/>
<vector id="f32x4" type="ieee_single" count="4"/>
<vector id="f64x2" type="ieee_double" count="2"/>
<union id="neon_q">
<field name="u8" type="u8x16"/><field name="u16" type="u16x8"/><field name="u32" type="u32x4"/>
<field name="u64" type="u64x2"/><field name="f32" type="f32x4"/><field name="f64" type="f64x2"/>
</union>
"#;

/// A feature of the description: its name, its types, its registers, and the rest of their `reg` elements.
struct Feature {
    name: &'static str,
    types: &'static str,
    /// Numbers of its registers.
    registers: std::ops::Range<usize>,
    attributes: fn(&Register) -> &'static str,
}

struct Description {
    registers: Vec<Register>,
    features: Vec<Feature>,
}

static DESCRIPTION: LazyLock<Description> = LazyLock::new(|| {
    let mut description = Description {
        registers: Vec::new(),
        features: Vec::new(),
    };
    description.feature("org.gnu.gdb.arm.core", "", core(), |r| match r.location {
        Location::Core(13) => r#"type="data_ptr""#,
        Location::Core(15) => r#"type="code_ptr""#,
        _ => r#"type="uint32""#,
    });
    description.feature("org.gnu.gdb.arm.vfp", "", vfp(), |r| match r.location {
        Location::Double(_) => r#"type="ieee_double""#,
        _ => r#"type="int" group="float""#,
    });
    // GDB would make Q registers of the D registers, but 13.1 makes none.
    description.feature(
        "org.gnu.gdb.arm.neon",
        QUAD_TYPES,
        quads(),
        |_| r#"type="neon_q" group="vector""#,
    );
    // Calling a function of the guest's saves and restores what the program sees, not what the system is set to.
    let system = |r: &Register| match r.bits {
        64 => r#"type="uint64" group="system" save-restore="no""#,
        _ => r#"type="uint32" group="system" save-restore="no""#,
    };
    description.feature("emu.arm.banked", "", banked(), system);
    description.feature("emu.arm.system", "", system_control(), system);
    description
});

impl Description {
    fn feature(
        &mut self,
        name: &'static str,
        types: &'static str,
        registers: Vec<Register>,
        attributes: fn(&Register) -> &'static str,
    ) {
        let first = self.registers.len();
        self.registers.extend(registers);
        self.features.push(Feature {
            name,
            types,
            registers: first..self.registers.len(),
            attributes,
        });
    }
}

fn register(name: impl Into<String>, bits: u32, location: Location) -> Register {
    Register {
        name: name.into(),
        bits,
        location,
    }
}

fn core() -> Vec<Register> {
    let name = |n| match n {
        13 => "sp".to_owned(),
        14 => "lr".to_owned(),
        15 => "pc".to_owned(),
        n => format!("r{n}"),
    };
    let numbered = (0..16).map(|n| register(name(n), 32, Location::Core(n)));
    numbered.chain([register("cpsr", 32, Location::Cpsr)]).collect()
}

fn vfp() -> Vec<Register> {
    let doubles = (0..32).map(|n| register(format!("d{n}"), 64, Location::Double(n)));
    doubles.chain([register("fpscr", 32, Location::Vfp(FPSCR))]).collect()
}

fn quads() -> Vec<Register> {
    (0..16)
        .map(|n| register(format!("q{n}"), 128, Location::Quad(n)))
        .collect()
}

fn banked() -> Vec<Register> {
    let mut all = vec![register("spsr", 32, Location::Spsr(None))];
    for m in [psr::USR, psr::FIQ, psr::IRQ, psr::SVC, psr::ABT, psr::UND] {
        let mode = names::mode(m);
        if m == psr::USR || m == psr::FIQ {
            all.extend((8..13).map(|n| register(format!("r{n}_{mode}"), 32, Location::Banked(m, n))));
        }
        all.push(register(format!("sp_{mode}"), 32, Location::Banked(m, 13)));
        all.push(register(format!("lr_{mode}"), 32, Location::Banked(m, 14)));
        if m != psr::USR {
            all.push(register(format!("spsr_{mode}"), 32, Location::Spsr(Some(m))));
        }
    }
    all
}

fn system_control() -> Vec<Register> {
    let rows = sys::shown().map(|row| {
        let bits = if row.at.wide { 64 } else { 32 };
        register(row.name.to_ascii_lowercase(), bits, Location::System(row))
    });
    let vfp = VFP.map(|(name, n)| register(name, 32, Location::Vfp(n)));
    vfp.into_iter().chain(rows).collect()
}

#[expect(
    clippy::indexing_slicing,
    reason = "the list above numbers registers from 0 to 15 and 0 to 31"
)]
impl Register {
    fn read(&self, arm: &mut Arm, s: &mut Cpu, env: &mut dyn Env) -> u128 {
        match self.location {
            Location::Core(n) => s.r[usize::from(n)].into(),
            Location::Cpsr => s.cpsr().into(),
            Location::Double(n) => s.d[usize::from(n)].into(),
            Location::Quad(n) => {
                let at = usize::from(n) * 2;
                u128::from(s.d[at]) | u128::from(s.d[at + 1]) << 64
            }
            Location::Vfp(n) => s.vfp_look(arm.model, n).unwrap_or(0).into(),
            Location::Banked(m, n) => (*s.reg_of(m, n)).into(),
            Location::Spsr(None) => s.spsr().unwrap_or(0).into(),
            Location::Spsr(Some(m)) => s.spsr_of(m).map_or(0, |v| *v).into(),
            Location::System(row) => sys::look(arm, s, env, row).into(),
        }
    }

    fn write(&self, arm: &mut Arm, s: &mut Cpu, env: &mut dyn Env, value: u128) -> Option<()> {
        let word = value as u32;
        match self.location {
            Location::Core(15) => s.jump(word),
            Location::Core(n) => s.r[usize::from(n)] = word,
            Location::Cpsr => s.set_cpsr(word),
            Location::Double(n) => s.d[usize::from(n)] = value as u64,
            Location::Quad(n) => {
                let at = usize::from(n) * 2;
                (s.d[at], s.d[at + 1]) = (value as u64, (value >> 64) as u64);
            }
            Location::Vfp(n) => return s.vfp_set(n, word),
            Location::Banked(m, n) => *s.reg_of(m, n) = word,
            Location::Spsr(None) => s.set_spsr(word),
            Location::Spsr(Some(m)) => *s.spsr_of(m)? = word,
            Location::System(row) => return sys::set(arm, s, env, row, value as u64),
        }
        Some(())
    }
}

impl Cpu {
    /// Goes on elsewhere, in the instruction set at hand; an IT block ends.
    fn jump(&mut self, to: u32) {
        let align = if self.mode & mode::T != 0 { !1 } else { !3 };
        if self.r[15] != to & align {
            self.r[15] = to & align;
            self.set_it(0);
        }
    }
}

impl Inspect for Arm {
    fn description(&self) -> String {
        let mut xml = String::from(
            "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n\
             <target version=\"1.0\">\n<architecture>arm</architecture>\n",
        );
        for feature in &DESCRIPTION.features {
            // Writing to a string does not fail.
            let _ = writeln!(xml, "<feature name=\"{}\">", feature.name);
            xml += feature.types;
            let all = DESCRIPTION.registers.iter().enumerate();
            let first = feature.registers.start;
            for (number, r) in all.skip(first).take(feature.registers.len()) {
                let (name, bits, more) = (&r.name, r.bits, (feature.attributes)(r));
                let _ = writeln!(
                    xml,
                    "<reg name=\"{name}\" bitsize=\"{bits}\" regnum=\"{number}\" {more}/>"
                );
            }
            xml += "</feature>\n";
        }
        xml + "</target>\n"
    }

    fn general_registers(&self) -> usize {
        GENERAL
    }

    fn register(&mut self, s: &mut Cpu, env: &mut dyn Env, number: usize) -> Option<Vec<u8>> {
        let r = DESCRIPTION.registers.get(number)?;
        let value = r.read(self, s, env);
        Some(value.to_le_bytes().into_iter().take(r.bits as usize / 8).collect())
    }

    fn set_register(&mut self, s: &mut Cpu, env: &mut dyn Env, number: usize, value: &[u8]) -> Option<()> {
        let r = DESCRIPTION.registers.get(number)?;
        if value.len() != r.bits as usize / 8 {
            return None;
        }
        let value = value.iter().rev().fold(0, |v, b| v << 8 | u128::from(*b));
        r.write(self, s, env, value)
    }

    fn ranges(&self, _: &Cpu) -> Vec<RangeInclusive<u64>> {
        vec![0..=u32::MAX.into()]
    }

    fn span(&self, s: &Cpu, bus: &mut dyn Bus, va: u64) -> Span {
        match va.try_into() {
            Ok(va) => mmu::probe(s, bus, va),
            Err(_) => Span { size: 32, phys: None },
        }
    }

    fn doing(&self, s: &Cpu) -> &'static str {
        names::mode(s.current_mode())
    }

    fn show(&self, s: &Cpu) -> String {
        s.show()
    }

    fn plight(&self, s: &Cpu) -> Option<Plight> {
        names::plight(s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine_for_tests::{Engine, arm};
    use crate::model::MODELS;
    use std::collections::HashSet;

    fn number(name: &str) -> usize {
        let at = DESCRIPTION.registers.iter().position(|r| r.name == name);
        at.unwrap_or_else(|| panic!("no register {name}"))
    }

    struct Bench(Arm, Cpu, Engine);

    impl Bench {
        fn new() -> Bench {
            Bench(arm().0, Cpu::reset(&MODELS[0]), Engine::new())
        }
        fn get(&mut self, name: &str) -> u128 {
            let bytes = self.0.register(&mut self.1, &mut self.2, number(name)).unwrap();
            bytes.iter().rev().fold(0, |v, b| v << 8 | u128::from(*b))
        }
        fn set(&mut self, name: &str, value: u128) -> Option<()> {
            let n = number(name);
            let bytes = &value.to_le_bytes()[..DESCRIPTION.registers[n].bits as usize / 8];
            self.0.set_register(&mut self.1, &mut self.2, n, bytes)
        }
    }

    #[test]
    fn names_are_given_once() {
        let names: HashSet<_> = DESCRIPTION.registers.iter().map(|r| r.name.as_str()).collect();

        assert_eq!(names.len(), DESCRIPTION.registers.len());
        for name in [
            "sctlr",
            "ttbr0",
            "dfar",
            "ifsr",
            "vbar",
            "contextidr",
            "dacr",
            "tpidruro",
            "cntvct",
        ] {
            assert!(names.contains(name), "{name}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let mut bench = Bench::new();
        let rows = [
            ("cpsr", 0x6000_01d1),
            ("r0", 1),
            ("sp", 2),
            ("q2", 0x1122_3344_5566_7788_99aa_bbcc_ddee_ff00),
            ("d31", 0x1122_3344_5566_7788),
            ("fpscr", 0x0300_0010),
            ("fpexc", 1 << 30),
            ("sp_usr", 3),
            ("r12_usr", 4),
            ("r12_fiq", 5),
            ("lr_und", 6),
            ("spsr_abt", 0x10),
            ("ttbr0", 0x12_3456_7000),
            ("vbar", 0xffff_0000),
            ("dacr", 0x5555_5555),
            ("tpidrurw", 7),
        ];

        for (name, value) in rows {
            assert_eq!(bench.set(name, value), Some(()), "{name}");
        }

        for (name, value) in rows {
            assert_eq!(bench.get(name), value, "{name}");
        }
        assert_eq!(bench.get("d5"), 0x1122_3344_5566_7788);
        assert_eq!(bench.1.current_mode(), psr::FIQ);
        assert!(bench.2.contexts > 0, "the engine hears of new tables");
    }

    #[test]
    fn writes_of_what_cannot_be_written_are_refused() {
        let mut bench = Bench::new();
        let count = DESCRIPTION.registers.len();

        assert_eq!(bench.set("midr", 0), None);
        assert_eq!(bench.set("cntvct", 0), None);
        assert_eq!(bench.0.set_register(&mut bench.1, &mut bench.2, 0, &[1, 2]), None);
        assert_eq!(bench.0.set_register(&mut bench.1, &mut bench.2, count, &[0; 4]), None);
        assert_eq!(bench.0.register(&mut bench.1, &mut bench.2, count), None);
    }

    #[test]
    fn a_jump_leaves_the_it_block_and_stays_in_the_instruction_set() {
        let mut bench = Bench::new();
        bench.1.mode |= mode::T;
        bench.1.set_it(0x0c);

        bench.set("pc", 0x8001);

        assert_eq!((bench.1.r[15], bench.1.it()), (0x8000, 0));
    }

    #[test]
    fn the_description_has_every_register() {
        let xml = Bench::new().0.description();

        let count = xml.matches("<reg ").count();
        assert_eq!(count, DESCRIPTION.registers.len());
        assert!(xml.contains("<reg name=\"cpsr\" bitsize=\"32\" regnum=\"16\" type=\"uint32\"/>"));
    }
}

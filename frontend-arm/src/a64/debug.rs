//! AArch64 as a debugger sees it: registers by number, and their description for GDB.
//!
//! The numbers are the places in one list: the core registers, which GDB reads at every stop, those of floating point and
//! Advanced SIMD, the masks of pointer authentication, and the system registers by their rows in [`sys`].

use super::features::Feature;
use super::model::A64;
use super::state::{Cpu, psr};
use super::sys::{self, table::Reg};
use super::{mmu, names, pauth};
use emu_ir::{Bus, Env, Inspect, Plight, Span};
use std::fmt::Write;
use std::ops::RangeInclusive;
use std::sync::LazyLock;

/// Where a register is.
#[derive(Clone, Copy)]
enum Location {
    /// X0 to X30, and SP.
    X(u8),
    Pc,
    Cpsr,
    V(u8),
    Fpsr,
    Fpcr,
    /// The bits of authentication codes in pointers to data, or code, in a half of the address space.
    PauthMask {
        data: bool,
        high: bool,
    },
    System(&'static Reg),
}

struct Register {
    name: String,
    bits: u32,
    location: Location,
}

/// X0 to X30, SP, the pc and CPSR.
const GENERAL: usize = 34;
/// Registers of floating point, which follow.
const FLOATING: usize = 34;

/// Masks of authentication codes, which follow.
const PAUTH: usize = 4;

/// What a V register holds, for GDB.
const TYPES: &str = r#"<vector id="v2d" type="ieee_double" count="2"/>
<vector id="v2u" type="uint64" count="2"/>
<vector id="v4f" type="ieee_single" count="4"/>
<vector id="v4u" type="uint32" count="4"/>
<vector id="v8u" type="uint16" count="8"/>
<vector id="v16u" type="uint8" count="16"/>
<union id="aarch64v">
<field name="d" type="v2d"/><field name="u" type="v2u"/><field name="f" type="v4f"/>
<field name="s" type="v4u"/><field name="h" type="v8u"/><field name="b" type="v16u"/>
</union>
"#;

fn register(name: impl Into<String>, bits: u32, location: Location) -> Register {
    Register {
        name: name.into(),
        bits,
        location,
    }
}

static REGISTERS: LazyLock<Vec<Register>> = LazyLock::new(|| {
    let x = (0..31).map(|n| register(format!("x{n}"), 64, Location::X(n)));
    let v = (0..32).map(|n| register(format!("v{n}"), 128, Location::V(n)));
    let masks = [false, true].into_iter().flat_map(|high| {
        [("dmask", true), ("cmask", false)].map(|(name, data)| {
            let half = if high { "_high" } else { "" };
            register(format!("pauth_{name}{half}"), 64, Location::PauthMask { data, high })
        })
    });
    let system = sys::shown().map(|row| register(row.name.to_ascii_lowercase(), 64, Location::System(row)));
    x.chain([
        register("sp", 64, Location::X(31)),
        register("pc", 64, Location::Pc),
        register("cpsr", 32, Location::Cpsr),
    ])
    .chain(v)
    .chain([
        register("fpsr", 32, Location::Fpsr),
        register("fpcr", 32, Location::Fpcr),
    ])
    .chain(masks)
    .chain(system)
    .collect()
});

#[expect(clippy::indexing_slicing, reason = "the list above numbers registers from 0 to 31")]
impl Register {
    fn attributes(&self) -> &'static str {
        match self.location {
            Location::X(31) => r#"type="data_ptr""#,
            Location::Pc => r#"type="code_ptr""#,
            Location::X(_) => r#"type="uint64""#,
            Location::Cpsr => r#"type="uint32""#,
            Location::V(_) => r#"type="aarch64v" group="vector""#,
            Location::Fpsr | Location::Fpcr => r#"type="int" group="float""#,
            Location::PauthMask { .. } => r#"type="int" save-restore="no""#,
            // Calling a function of the guest's saves and restores what the program sees, not what the system is set to.
            Location::System(_) => r#"type="uint64" group="system" save-restore="no""#,
        }
    }

    fn read(&self, a64: &mut A64, s: &mut Cpu, env: &mut dyn Env) -> u128 {
        match self.location {
            Location::X(n) => s.x[usize::from(n)].into(),
            Location::Pc => s.pc.into(),
            Location::Cpsr => s.pstate().into(),
            Location::V(n) => {
                let [low, high] = s.q[usize::from(n)];
                u128::from(low) | u128::from(high) << 64
            }
            Location::Fpsr => s.fpsr().into(),
            Location::Fpcr => s.fpcr_read().into(),
            Location::PauthMask { data, high } if a64.model.features.has(Feature::PAuth) => {
                pauth::field::bits(s.sys.tcr, high, data).into()
            }
            Location::PauthMask { .. } => 0,
            Location::System(row) => sys::look(a64, s, env, row).into(),
        }
    }

    fn write(&self, a64: &mut A64, s: &mut Cpu, env: &mut dyn Env, value: u128) -> Option<()> {
        match self.location {
            Location::X(n) => s.x[usize::from(n)] = value as u64,
            Location::Pc => s.pc = value as u64 & !3,
            Location::Cpsr => s.set_pstate(value as u32),
            Location::V(n) => s.q[usize::from(n)] = [value as u64, (value >> 64) as u64],
            Location::Fpsr => s.set_fpsr(value as u32),
            Location::Fpcr => s.fpcr_write(value as u32),
            Location::PauthMask { .. } => return None,
            Location::System(row) => return sys::set(a64, s, env, row, value as u64),
        }
        Some(())
    }
}

impl Cpu {
    /// Sets PSTATE; of a mode that is not there, only the rest.
    fn set_pstate(&mut self, value: u32) {
        self.set_nzcv(value);
        let exists = matches!(value & psr::M, 0b00000 | 0b00100 | 0b00101);
        let mode = if exists { value } else { self.psr } & psr::M;
        self.set_psr(value & psr::ALL & !psr::M | mode);
    }
}

impl Inspect for A64 {
    fn description(&self) -> String {
        let mut xml = String::from(
            "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n\
             <target version=\"1.0\">\n<architecture>aarch64</architecture>\n",
        );
        let features = [
            (0, "org.gnu.gdb.aarch64.core", ""),
            (GENERAL, "org.gnu.gdb.aarch64.fpu", TYPES),
            (GENERAL + FLOATING, "org.gnu.gdb.aarch64.pauth_v2", ""),
            (GENERAL + FLOATING + PAUTH, "emu.aarch64.system", ""),
        ];
        for (number, r) in REGISTERS.iter().enumerate() {
            // Writing to a string does not fail.
            if let Some((_, name, types)) = features.iter().find(|feature| feature.0 == number) {
                let end = if number == 0 { "" } else { "</feature>\n" };
                let _ = writeln!(xml, "{end}<feature name=\"{name}\">\n{types}");
            }
            let (name, bits, more) = (&r.name, r.bits, r.attributes());
            let _ = writeln!(
                xml,
                "<reg name=\"{name}\" bitsize=\"{bits}\" regnum=\"{number}\" {more}/>"
            );
        }
        xml + "</feature>\n</target>\n"
    }

    fn general_registers(&self) -> usize {
        GENERAL
    }

    fn register(&mut self, s: &mut Cpu, env: &mut dyn Env, number: usize) -> Option<Vec<u8>> {
        let r = REGISTERS.get(number)?;
        let value = r.read(self, s, env);
        Some(value.to_le_bytes().into_iter().take(r.bits as usize / 8).collect())
    }

    fn set_register(&mut self, s: &mut Cpu, env: &mut dyn Env, number: usize, value: &[u8]) -> Option<()> {
        let r = REGISTERS.get(number)?;
        if value.len() != r.bits as usize / 8 {
            return None;
        }
        let value = value.iter().rev().fold(0, |v, b| v << 8 | u128::from(*b));
        r.write(self, s, env, value)
    }

    fn ranges(&self, s: &Cpu) -> Vec<RangeInclusive<u64>> {
        mmu::ranges(&self.model, s)
    }

    fn span(&self, s: &Cpu, bus: &mut dyn Bus, va: u64) -> Span {
        mmu::probe(&self.model, s, bus, va)
    }

    fn doing(&self, s: &Cpu) -> &'static str {
        names::level(s.psr)
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
    use super::super::{MODELS, sys::table};
    use super::*;
    use crate::machine_for_tests::Engine;
    use std::collections::HashSet;

    fn number(name: &str) -> usize {
        let at = REGISTERS.iter().position(|r| r.name == name);
        at.unwrap_or_else(|| panic!("no register {name}"))
    }

    struct Bench(A64, Cpu, Engine);

    impl Bench {
        fn new() -> Bench {
            Bench(A64::alone(MODELS[0]), Cpu::reset(), Engine::new())
        }
        fn get(&mut self, name: &str) -> u128 {
            let bytes = self.0.register(&mut self.1, &mut self.2, number(name)).unwrap();
            bytes.iter().rev().fold(0, |v, b| v << 8 | u128::from(*b))
        }
        fn set(&mut self, name: &str, value: u128) -> Option<()> {
            let n = number(name);
            let bytes = &value.to_le_bytes()[..REGISTERS[n].bits as usize / 8];
            self.0.set_register(&mut self.1, &mut self.2, n, bytes)
        }
    }

    #[test]
    fn names_are_given_once_and_places_are_as_described() {
        let names: HashSet<_> = REGISTERS.iter().map(|r| r.name.as_str()).collect();

        assert_eq!(names.len(), REGISTERS.len());
        assert_eq!((number("cpsr"), number("v0"), number("fpcr")), (33, 34, 67));
        for name in [
            "sctlr_el1",
            "ttbr0_el1",
            "esr_el1",
            "vbar_el1",
            "cntvct_el0",
            "midr_el1",
        ] {
            assert!(number(name) >= GENERAL + FLOATING, "{name}");
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let mut bench = Bench::new();
        let rows = [
            ("cpsr", 0x6000_03c4),
            ("x0", 1),
            ("x30", 2),
            ("sp", 3),
            ("pc", 0xffff_0000_0000_1000),
            ("v31", 0x1122_3344_5566_7788_99aa_bbcc_ddee_ff00),
            ("fpsr", 0x0800_0010),
            ("fpcr", 0x0300_0000),
            ("ttbr0_el1", 0x12_0000_1234_5000),
            ("vbar_el1", 0xffff_0000_0000_0800),
        ];

        for (name, value) in rows {
            assert_eq!(bench.set(name, value), Some(()), "{name}");
        }

        for (name, value) in rows {
            assert_eq!(bench.get(name), value, "{name}");
        }
        assert_eq!(bench.1.el(), 1);
        assert!(bench.2.contexts > 0, "the engine hears of new tables");
    }

    #[test]
    fn writes_of_what_cannot_be_written_are_refused() {
        let mut bench = Bench::new();
        let count = REGISTERS.len();

        assert_eq!(bench.set("midr_el1", 0), None);
        assert_eq!(bench.0.set_register(&mut bench.1, &mut bench.2, 0, &[1, 2]), None);
        assert_eq!(bench.0.set_register(&mut bench.1, &mut bench.2, count, &[0; 8]), None);
        assert_eq!(bench.0.register(&mut bench.1, &mut bench.2, count), None);
        bench.set("cpsr", 0b1111).unwrap();
        assert_eq!(bench.get("cpsr"), 0b0101, "no such mode");
    }

    #[test]
    fn masks_are_those_that_authentication_codes_lie_in() {
        let mut bench = Bench::new();
        // 48 bits of address in both halves; the low half's pointers have tags.
        bench.set("tcr_el1", 16 | 16 << 16 | 1 << 37).unwrap();

        for (name, mask) in [
            ("pauth_dmask", 0x007f_0000_0000_0000),
            ("pauth_cmask", 0x007f_0000_0000_0000),
            ("pauth_dmask_high", 0xff7f_0000_0000_0000),
            ("pauth_cmask_high", 0xff7f_0000_0000_0000),
        ] {
            assert_eq!(bench.get(name), mask, "{name}");
            assert_eq!(bench.set(name, 0), None, "{name}");
        }
        let without = MODELS.iter().position(|m| !m.features.has(Feature::PAuth)).unwrap();
        bench.0 = A64::alone(MODELS[without]);
        assert_eq!(bench.get("pauth_cmask"), 0);
    }

    #[test]
    fn the_description_has_every_register() {
        let xml = Bench::new().0.description();

        assert_eq!(xml.matches("<reg ").count(), REGISTERS.len());
        assert_eq!(xml.matches("<feature ").count(), xml.matches("</feature>").count());
        assert!(sys::shown().all(|row| row.kernel & table::R != 0));
    }
}

//! x86 as a debugger sees it: registers by number, and their description for GDB.
//!
//! The numbers are the places in one list, as GDB's own descriptions have them (gdb/features/i386): general registers, flags and
//! selectors, which GDB reads at every stop, those of x87, SSE and AVX, the bases of FS and GS, and system registers. A CPU
//! with long mode has those of x86-64 in every mode.
//!
//! GDB takes the pc for an address: it is the linear one of the next instruction, which in real mode is not IP.

pub mod names;

use crate::control;
use crate::exception::run;
use crate::mmu;
use crate::platform::X86;
use crate::segment;
use crate::state::{Cpu, number};
use emu_ir::{Bus, Env, Fault, Inspect, Plight, Span};
use std::fmt::Write;
use std::ops::RangeInclusive;
use std::sync::LazyLock;

/// Where a register is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Location {
    General(u8),
    Pc,
    Eflags,
    Selector(u8),
    St(u8),
    X87(Field),
    Xmm(u8),
    Mxcsr,
    YmmHigh(u8),
    Base(u8),
    Control(u8),
    Efer,
}

/// A register of x87 that is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Control,
    Status,
    Tags,
    InstructionSelector,
    InstructionOffset,
    OperandSelector,
    OperandOffset,
    Opcode,
}

#[derive(Debug)]
struct Register {
    name: String,
    bits: u32,
    kind: &'static str,
    location: Location,
}

/// A feature of GDB's, and the number of its first register.
type Feature = (usize, &'static str, &'static str);

/// The registers of a CPU.
struct Registers {
    architecture: &'static str,
    all: Vec<Register>,
    features: Vec<Feature>,
    general: usize,
}

const FLAGS: &str = r#"<flags id="i386_eflags" size="4">
<field name="CF" start="0" end="0"/><field name="" start="1" end="1"/><field name="PF" start="2" end="2"/>
<field name="AF" start="4" end="4"/><field name="ZF" start="6" end="6"/><field name="SF" start="7" end="7"/>
<field name="TF" start="8" end="8"/><field name="IF" start="9" end="9"/><field name="DF" start="10" end="10"/>
<field name="OF" start="11" end="11"/><field name="NT" start="14" end="14"/><field name="RF" start="16" end="16"/>
<field name="VM" start="17" end="17"/><field name="AC" start="18" end="18"/><field name="VIF" start="19" end="19"/>
<field name="VIP" start="20" end="20"/><field name="ID" start="21" end="21"/>
</flags>
"#;
const VECTORS: &str = r#"<vector id="v4f" type="ieee_single" count="4"/>
<vector id="v2d" type="ieee_double" count="2"/>
<vector id="v16i8" type="int8" count="16"/>
<vector id="v8i16" type="int16" count="8"/>
<vector id="v4i32" type="int32" count="4"/>
<vector id="v2i64" type="int64" count="2"/>
<union id="vec128">
<field name="v4_float" type="v4f"/><field name="v2_double" type="v2d"/><field name="v16_int8" type="v16i8"/>
<field name="v8_int16" type="v8i16"/><field name="v4_int32" type="v4i32"/><field name="v2_int64" type="v2i64"/>
<field name="uint128" type="uint128"/>
</union>
"#;

/// Attributes in the description: calling a function of the guest's saves and restores what the program sees, not what the
/// system is set to.
const INT: &str = r#"type="int""#;
const EFLAGS: &str = r#"type="i386_eflags""#;
const INT_32: &str = r#"type="int32""#;
const INT_64: &str = r#"type="int64""#;
const POINTER: &str = r#"type="data_ptr""#;
const CODE: &str = r#"type="code_ptr""#;
const EXTENDED: &str = r#"type="i387_ext""#;
const FLOAT: &str = r#"type="int" group="float""#;
const VECTOR: &str = r#"type="int" group="vector""#;
const VEC128: &str = r#"type="vec128""#;
const UINT128: &str = r#"type="uint128""#;
const SYSTEM_32: &str = r#"type="uint32" group="system" save-restore="no""#;
const SYSTEM_64: &str = r#"type="uint64" group="system" save-restore="no""#;

fn register(name: impl Into<String>, bits: u32, kind: &'static str, location: Location) -> Register {
    Register {
        name: name.into(),
        bits,
        kind,
        location,
    }
}

impl Registers {
    fn new(wide: bool) -> Registers {
        // GDB's order of the general registers is the encoding's in 32 bits, and another one in 64.
        const WIDE: [u8; 16] = [0, 3, 1, 2, 6, 7, 5, 4, 8, 9, 10, 11, 12, 13, 14, 15];
        const NARROW: [u8; 8] = [0, 1, 2, 3, 4, 5, 6, 7];
        let (order, vectors, bits) = match wide {
            true => (WIDE.as_slice(), 16, 64),
            false => (NARROW.as_slice(), 8, 32),
        };
        let (int, pointer) = if wide { (INT_64, POINTER) } else { (INT_32, POINTER) };
        let mut all: Vec<Register> = Vec::new();
        let name = |n: u8| {
            let name = names::REGS.get(usize::from(n)).copied().unwrap_or_default();
            if wide {
                name.to_owned()
            } else {
                name.replacen('r', "e", 1)
            }
        };
        all.extend(order.iter().map(|&n| {
            let kind = if n == 4 || n == 5 { pointer } else { int };
            register(name(n), bits, kind, Location::General(n))
        }));
        all.push(register(if wide { "rip" } else { "eip" }, bits, CODE, Location::Pc));
        all.push(register("eflags", 32, EFLAGS, Location::Eflags));
        for (name, n) in [
            ("cs", number::CS),
            ("ss", number::SS),
            ("ds", number::DS),
            ("es", number::ES),
            ("fs", number::FS),
            ("gs", number::GS),
        ] {
            all.push(register(name, 32, INT, Location::Selector(n)));
        }
        let general = all.len();
        all.extend((0..8).map(|n| register(format!("st{n}"), 80, EXTENDED, Location::St(n))));
        for (name, field) in [
            ("fctrl", Field::Control),
            ("fstat", Field::Status),
            ("ftag", Field::Tags),
            ("fiseg", Field::InstructionSelector),
            ("fioff", Field::InstructionOffset),
            ("foseg", Field::OperandSelector),
            ("fooff", Field::OperandOffset),
            ("fop", Field::Opcode),
        ] {
            all.push(register(name, 32, FLOAT, Location::X87(field)));
        }
        let mut features: Vec<Feature> = vec![(0, "org.gnu.gdb.i386.core", FLAGS)];
        features.push((all.len(), "org.gnu.gdb.i386.sse", VECTORS));
        all.extend((0..vectors).map(|n| register(format!("xmm{n}"), 128, VEC128, Location::Xmm(n))));
        all.push(register("mxcsr", 32, VECTOR, Location::Mxcsr));
        if wide {
            features.push((all.len(), "org.gnu.gdb.i386.segments", ""));
            all.push(register("fs_base", 64, INT, Location::Base(number::FS)));
            all.push(register("gs_base", 64, INT, Location::Base(number::GS)));
        }
        features.push((all.len(), "org.gnu.gdb.i386.avx", ""));
        all.extend((0..vectors).map(|n| register(format!("ymm{n}h"), 128, UINT128, Location::YmmHigh(n))));
        features.push((all.len(), "emu.x86.system", ""));
        for n in [0, 2, 3, 4] {
            let kind = if wide { SYSTEM_64 } else { SYSTEM_32 };
            all.push(register(format!("cr{n}"), bits, kind, Location::Control(n)));
        }
        all.push(register("efer", 64, SYSTEM_64, Location::Efer));
        Registers {
            architecture: if wide { "i386:x86-64" } else { "i386" },
            all,
            features,
            general,
        }
    }
}

static WIDE: LazyLock<Registers> = LazyLock::new(|| Registers::new(true));
static NARROW: LazyLock<Registers> = LazyLock::new(|| Registers::new(false));

fn registers(x86: &X86) -> &'static Registers {
    if x86.model.has("lm") { &WIDE } else { &NARROW }
}

/// The tag of a register of x87, as FSTENV stores it (SDM 1, 8.1.7).
fn tag(full: bool, [significand, high]: [u64; 2]) -> u16 {
    let exponent = high as u16 & 0x7fff;
    match (full, exponent, significand) {
        (false, ..) => 3,
        (_, 0, 0) => 1,
        (_, 1..0x7fff, number) if number >> 63 != 0 => 0,
        _ => 2,
    }
}

impl Register {
    fn read(&self, cpu: &Cpu) -> u128 {
        let x87 = &cpu.x87;
        let of = |n: u8, file: &[[u64; 4]; 16], half: usize| {
            let words = file.get(usize::from(n)).copied().unwrap_or_default();
            let [low, high] = if half == 0 {
                [words[0], words[1]]
            } else {
                [words[2], words[3]]
            };
            u128::from(low) | u128::from(high) << 64
        };
        match self.location {
            Location::General(n) => cpu.regs.get(usize::from(n)).copied().unwrap_or_default().into(),
            Location::Pc => cpu.pc.into(),
            Location::Eflags => cpu.eflags().into(),
            Location::Selector(n) => cpu.segment(n).selector.into(),
            Location::St(n) => {
                let at = usize::from(x87.top.wrapping_add(n) % 8);
                let [low, high] = x87.regs.get(at).copied().unwrap_or_default();
                u128::from(low) | u128::from(high & 0xffff) << 64
            }
            Location::X87(field) => match field {
                Field::Control => x87.control.into(),
                Field::Status => (x87.status & !0x3800 | u16::from(x87.top & 7) << 11).into(),
                Field::Tags => {
                    let tags = x87.regs.iter().enumerate();
                    let tags = tags.map(|(n, value)| tag(x87.full >> n & 1 != 0, *value) << (2 * n));
                    tags.fold(0, |all, tag| all | tag).into()
                }
                Field::InstructionSelector => x87.code.into(),
                Field::InstructionOffset => (x87.instruction as u32).into(),
                Field::OperandSelector => x87.data.into(),
                Field::OperandOffset => (x87.operand as u32).into(),
                Field::Opcode => x87.opcode.into(),
            },
            Location::Xmm(n) => of(n, &cpu.ymm, 0),
            Location::YmmHigh(n) => of(n, &cpu.ymm, 1),
            Location::Mxcsr => cpu.mxcsr().into(),
            Location::Base(n) => cpu.segment(n).base.into(),
            Location::Control(0) => cpu.sys.cr0.into(),
            Location::Control(2) => cpu.sys.cr2.into(),
            Location::Control(3) => cpu.sys.cr3.into(),
            Location::Control(_) => cpu.sys.cr4.into(),
            Location::Efer => cpu.sys.efer.into(),
        }
    }

    fn write(&self, x86: &X86, cpu: &mut Cpu, env: &mut dyn Env, value: u128) -> Option<()> {
        if self.read(cpu) == value {
            return Some(());
        }
        let low = value as u64;
        match self.location {
            Location::General(n) => *cpu.regs.get_mut(usize::from(n))? = low,
            Location::Pc => cpu.pc = low,
            Location::Eflags => cpu.set_eflags(low as u32),
            Location::Selector(number::CS) => return None,
            Location::Selector(n) => {
                return privileged(x86, cpu, env, |m, cpu| segment::load(m, cpu, n, low as u16));
            }
            Location::St(n) => {
                let at = cpu.x87.top.wrapping_add(n) % 8;
                *cpu.x87.regs.get_mut(usize::from(at))? = [low, (value >> 64) as u64 & 0xffff];
                cpu.x87.full |= 1 << at;
            }
            Location::X87(field) => {
                let x87 = &mut cpu.x87;
                match field {
                    Field::Control => x87.control = low as u16,
                    Field::Status => (x87.status, x87.top) = (low as u16 & !0x3800, (low >> 11 & 7) as u8),
                    Field::Tags => {
                        let full = (0..8).filter(|n| low >> (2 * n) & 3 != 3);
                        x87.full = full.fold(0, |all, n| all | 1 << n);
                    }
                    Field::InstructionSelector => x87.code = low as u16,
                    Field::InstructionOffset => x87.instruction = low,
                    Field::OperandSelector => x87.data = low as u16,
                    Field::OperandOffset => x87.operand = low,
                    Field::Opcode => x87.opcode = low as u16 & 0x7ff,
                }
                cpu.settle_x87_mode();
            }
            Location::Xmm(n) | Location::YmmHigh(n) => {
                let half = if matches!(self.location, Location::Xmm(_)) {
                    0
                } else {
                    2
                };
                let words = cpu.ymm.get_mut(usize::from(n))?.iter_mut().skip(half);
                words.zip([low, (value >> 64) as u64]).for_each(|(to, from)| *to = from);
            }
            Location::Mxcsr => cpu.set_mxcsr(low as u32 & 0xffff),
            Location::Base(n) => {
                cpu.segment_mut(n).base = low;
                cpu.settle();
            }
            Location::Control(n) => {
                return privileged(x86, cpu, env, |m, cpu| control::write_cr(m, cpu, n, low));
            }
            Location::Efer => return None,
        }
        Some(())
    }
}

/// Does what a program of level 0 does by an instruction. `None`: it cannot; nothing has changed then.
fn privileged(
    x86: &X86,
    cpu: &mut Cpu,
    env: &mut dyn Env,
    f: impl FnOnce(&mut crate::memory::Memory, &mut Cpu) -> Result<(), Fault>,
) -> Option<()> {
    let (cpl, before) = (cpu.cpl(), *cpu);
    cpu.settle_at(0);
    let done = run(cpu, &x86.model, env, f);
    if done.is_err() {
        *cpu = before;
        return None;
    }
    cpu.settle_at(cpl);
    env.context_changed();
    Some(())
}

impl Inspect for X86 {
    fn description(&self) -> String {
        let registers = registers(self);
        let mut xml = format!(
            "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n\
             <target version=\"1.0\">\n<architecture>{}</architecture>\n",
            registers.architecture
        );
        for (number, r) in registers.all.iter().enumerate() {
            // Writing to a string does not fail.
            if let Some((_, name, types)) = registers.features.iter().find(|feature| feature.0 == number) {
                let end = if number == 0 { "" } else { "</feature>\n" };
                let _ = writeln!(xml, "{end}<feature name=\"{name}\">\n{types}");
            }
            let (name, bits, kind) = (&r.name, r.bits, r.kind);
            let _ = writeln!(
                xml,
                "<reg name=\"{name}\" bitsize=\"{bits}\" regnum=\"{number}\" {kind}/>"
            );
        }
        xml + "</feature>\n</target>\n"
    }

    /// As the processor's own tell of it (SDM 3, 18.2.5).
    fn watches_after(&self) -> bool {
        true
    }

    fn general_registers(&self) -> usize {
        registers(self).general
    }

    fn register(&mut self, s: &mut Cpu, _: &mut dyn Env, number: usize) -> Option<Vec<u8>> {
        let r = registers(self).all.get(number)?;
        let bytes = r.read(s).to_le_bytes();
        Some(bytes.into_iter().take(r.bits as usize / 8).collect())
    }

    fn set_register(&mut self, s: &mut Cpu, env: &mut dyn Env, number: usize, value: &[u8]) -> Option<()> {
        let r = registers(self).all.get(number)?;
        if value.len() != r.bits as usize / 8 {
            return None;
        }
        let value = value.iter().rev().fold(0, |v, b| v << 8 | u128::from(*b));
        r.write(self, s, env, value)
    }

    fn ranges(&self, s: &Cpu) -> Vec<RangeInclusive<u64>> {
        mmu::ranges(s)
    }

    fn span(&self, s: &Cpu, bus: &mut dyn Bus, va: u64) -> Span {
        mmu::probe(s, &self.model, bus, va)
    }

    fn doing(&self, s: &Cpu) -> &'static str {
        names::doing(s)
    }

    fn show(&self, s: &Cpu) -> String {
        names::show(s)
    }

    fn plight(&self, s: &Cpu) -> Option<Plight> {
        names::plight(s)
    }
}

#[cfg(test)]
mod tests;

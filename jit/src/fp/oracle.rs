//! Against QEMU's user-mode emulation, in every rounding mode, with and without flushing and default NaNs, flags included.
//!
//! Needs qemu-arm-static (or qemu-arm) and arm-linux-gnueabihf-gcc; where they are absent the test says so and passes.

use super::*;
use crate::cases::{Random, hard_float};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// An instruction of oracle.c: its number, operands' formats, and what it does here.
struct Instruction {
    number: u32,
    name: &'static str,
    operands: &'static [Format],
    run: fn(u64, u64, u64, Env) -> (u64, u32),
    /// Two single lanes under NEON's standard FPSCR.
    neon: bool,
}

const S: Format = Format::Single;
const D: Format = Format::Double;
const ONE_S: &[Format] = &[S];
const TWO_S: &[Format] = &[S, S];
const THREE_S: &[Format] = &[S, S, S];
const ONE_D: &[Format] = &[D];
const TWO_D: &[Format] = &[D, D];
const THREE_D: &[Format] = &[D, D, D];

fn vfp(
    number: u32,
    name: &'static str,
    operands: &'static [Format],
    run: fn(u64, u64, u64, Env) -> (u64, u32),
) -> Instruction {
    Instruction {
        number,
        name,
        operands,
        run,
        neon: false,
    }
}

fn neon(
    number: u32,
    name: &'static str,
    operands: &'static [Format],
    run: fn(u64, u64, u64, Env) -> (u64, u32),
) -> Instruction {
    Instruction {
        number,
        name,
        operands,
        run,
        neon: true,
    }
}

/// NZCV of a comparison, in FPSCR's places; the oracle's result is 0.
fn nzcv(f: Format, a: u64, b: u64, env: Env) -> (u64, u32) {
    let (order, flags) = compare(f, a, b, env);
    let bits = match order {
        Some(std::cmp::Ordering::Equal) => 0b0110u64,
        Some(std::cmp::Ordering::Less) => 0b1000,
        Some(std::cmp::Ordering::Greater) => 0b0010,
        None => 0b0011,
    };
    (bits << 28, flags)
}

/// Arm's conversions to integers raise inexact.
fn exact(env: Env) -> Env {
    Env { flag: true, ..env }
}

fn toward_zero(env: Env) -> Env {
    Env {
        round: Round::Zero,
        flag: true,
        ..env
    }
}

fn lanewise(a: u64, b: u64, c: u64, f: impl Fn(u64, u64, u64) -> (u64, u32)) -> (u64, u32) {
    let low = u32::MAX as u64;
    let (x, y) = (f(a & low, b & low, c & low), f(a >> 32, b >> 32, c >> 32));
    (x.0 | y.0 << 32, x.1 | y.1)
}

fn mask(holds: (bool, u32)) -> (u64, u32) {
    (if holds.0 { u32::MAX as u64 } else { 0 }, holds.1)
}

fn table() -> Vec<Instruction> {
    let mut all = single();
    all.extend(double());
    all.extend(simd());
    all
}

fn single() -> Vec<Instruction> {
    vec![
        vfp(0, "vadd.f32", TWO_S, |a, b, _, e| add(S, a, b, e)),
        vfp(1, "vsub.f32", TWO_S, |a, b, _, e| sub(S, a, b, e)),
        vfp(2, "vmul.f32", TWO_S, |a, b, _, e| mul(S, a, b, e)),
        vfp(3, "vdiv.f32", TWO_S, |a, b, _, e| div(S, a, b, e)),
        vfp(4, "vsqrt.f32", ONE_S, |a, _, _, e| sqrt(S, a, e)),
        vfp(5, "vfma.f32", THREE_S, |a, b, c, e| mul_add(S, c, a, b, e)),
        vfp(6, "vcmp.f32", TWO_S, |a, b, _, e| {
            nzcv(S, a, b, Env { flag: false, ..e })
        }),
        vfp(7, "vcmpe.f32", TWO_S, |a, b, _, e| {
            nzcv(S, a, b, Env { flag: true, ..e })
        }),
        vfp(8, "vcvt.f64.f32", ONE_S, |a, _, _, e| convert(S, D, a, e)),
        vfp(9, "vcvtb.f32.f16", ONE_S, |a, _, _, e| from_half(S, a & 0xffff, e)),
        vfp(10, "vcvtb.f16.f32", ONE_S, |a, _, _, e| {
            // The upper half of the destination, 1.0 before, stays.
            let (bits, flags) = to_half(S, a, e);
            (0x3f80_0000 | bits, flags)
        }),
        vfp(11, "vcvt.s32.f32", ONE_S, |a, _, _, e| {
            to_signed(S, a, 32, 0, toward_zero(e))
        }),
        vfp(12, "vcvtr.s32.f32", ONE_S, |a, _, _, e| {
            to_signed(S, a, 32, 0, exact(e))
        }),
        vfp(13, "vcvt.u32.f32", ONE_S, |a, _, _, e| {
            to_unsigned(S, a, 32, 0, toward_zero(e))
        }),
        vfp(14, "vcvtr.u32.f32", ONE_S, |a, _, _, e| {
            to_unsigned(S, a, 32, 0, exact(e))
        }),
        vfp(15, "vcvt.f32.s32", ONE_S, |a, _, _, e| from_signed(S, a, 32, 0, e)),
        vfp(16, "vcvt.f32.u32", ONE_S, |a, _, _, e| from_unsigned(S, a, 32, 0, e)),
        vfp(17, "vcvt.s32.f32 #9", ONE_S, |a, _, _, e| {
            to_signed(S, a, 32, 9, toward_zero(e))
        }),
        vfp(18, "vcvt.u32.f32 #32", ONE_S, |a, _, _, e| {
            to_unsigned(S, a, 32, 32, toward_zero(e))
        }),
    ]
}

fn double() -> Vec<Instruction> {
    /// A 32-bit fixed point result in a 64-bit register is extended.
    fn extended(r: (u64, u32)) -> (u64, u32) {
        (r.0 as i32 as i64 as u64, r.1)
    }
    vec![
        vfp(20, "vadd.f64", TWO_D, |a, b, _, e| add(D, a, b, e)),
        vfp(21, "vsub.f64", TWO_D, |a, b, _, e| sub(D, a, b, e)),
        vfp(22, "vmul.f64", TWO_D, |a, b, _, e| mul(D, a, b, e)),
        vfp(23, "vdiv.f64", TWO_D, |a, b, _, e| div(D, a, b, e)),
        vfp(24, "vsqrt.f64", ONE_D, |a, _, _, e| sqrt(D, a, e)),
        vfp(25, "vfma.f64", THREE_D, |a, b, c, e| mul_add(D, c, a, b, e)),
        vfp(26, "vcmp.f64", TWO_D, |a, b, _, e| {
            nzcv(D, a, b, Env { flag: false, ..e })
        }),
        vfp(27, "vcmpe.f64", TWO_D, |a, b, _, e| {
            nzcv(D, a, b, Env { flag: true, ..e })
        }),
        vfp(28, "vcvt.f32.f64", ONE_D, |a, _, _, e| convert(D, S, a, e)),
        vfp(31, "vcvt.s32.f64", ONE_D, |a, _, _, e| {
            to_signed(D, a, 32, 0, toward_zero(e))
        }),
        vfp(32, "vcvtr.s32.f64", ONE_D, |a, _, _, e| {
            to_signed(D, a, 32, 0, exact(e))
        }),
        vfp(33, "vcvt.u32.f64", ONE_D, |a, _, _, e| {
            to_unsigned(D, a, 32, 0, toward_zero(e))
        }),
        vfp(34, "vcvtr.u32.f64", ONE_D, |a, _, _, e| {
            to_unsigned(D, a, 32, 0, exact(e))
        }),
        vfp(35, "vcvt.f64.s32", ONE_S, |a, _, _, e| from_signed(D, a, 32, 0, e)),
        vfp(36, "vcvt.f64.u32", ONE_S, |a, _, _, e| from_unsigned(D, a, 32, 0, e)),
        vfp(37, "vcvt.s32.f64 #9", ONE_D, |a, _, _, e| {
            extended(to_signed(D, a, 32, 9, toward_zero(e)))
        }),
        vfp(38, "vcvt.u32.f64 #32", ONE_D, |a, _, _, e| {
            to_unsigned(D, a, 32, 32, toward_zero(e))
        }),
    ]
}

fn simd() -> Vec<Instruction> {
    vec![
        neon(40, "vadd.f32 (SIMD)", TWO_D, |a, b, c, e| {
            lanewise(a, b, c, |a, b, _| add(S, a, b, e))
        }),
        neon(41, "vmax.f32", TWO_D, |a, b, c, e| {
            lanewise(a, b, c, |a, b, _| max(S, a, b, e))
        }),
        neon(42, "vmin.f32", TWO_D, |a, b, c, e| {
            lanewise(a, b, c, |a, b, _| min(S, a, b, e))
        }),
        neon(43, "vceq.f32", TWO_D, |a, b, c, e| {
            lanewise(a, b, c, |a, b, _| mask(eq(S, a, b, e)))
        }),
        neon(44, "vcgt.f32", TWO_D, |a, b, c, e| {
            lanewise(a, b, c, |a, b, _| mask(gt(S, a, b, exact(e))))
        }),
        neon(45, "vcge.f32", TWO_D, |a, b, c, e| {
            lanewise(a, b, c, |a, b, _| mask(ge(S, a, b, exact(e))))
        }),
        neon(46, "vcvt.s32.f32 #7", ONE_D, |a, b, c, e| {
            lanewise(a, b, c, |a, _, _| to_signed(S, a, 32, 7, toward_zero(e)))
        }),
        neon(47, "vcvt.f32.u32 #7", ONE_D, |a, b, c, e| {
            lanewise(a, b, c, |a, _, _| from_unsigned(S, a, 32, 7, e))
        }),
        neon(48, "vfma.f32 (SIMD)", THREE_D, |a, b, c, e| {
            lanewise(a, b, c, |a, b, c| mul_add(S, c, a, b, e))
        }),
        neon(49, "vmul.f32 (SIMD)", TWO_D, |a, b, c, e| {
            lanewise(a, b, c, |a, b, _| mul(S, a, b, e))
        }),
    ]
}

struct Record {
    at: usize,
    fpscr: u32,
    operands: [u64; 3],
}

/// FPSCR bits 26:22 (AHP, DN, FZ, RMode) as an environment.
fn environment(fpscr: u32) -> Env {
    Env {
        round: [Round::Nearest, Round::Up, Round::Down, Round::Zero][(fpscr >> 22 & 3) as usize],
        flush: fpscr >> 24 & 1 != 0,
        default_nan: fpscr >> 25 & 1 != 0,
        flag: fpscr >> 26 & 1 != 0,
        x86: None,
    }
}

/// Our flags in FPSCR's places.
fn cumulative(flags: u32) -> u32 {
    let places = [
        (FP_INVALID, 0),
        (emu_ir::FP_DIVZERO, 1),
        (FP_OVERFLOW, 2),
        (FP_UNDERFLOW, 3),
        (FP_INEXACT, 4),
        (FP_DENORMAL, 7),
    ];
    places
        .iter()
        .filter(|(f, _)| flags & f != 0)
        .fold(0, |all, (_, bit)| all | 1 << bit)
}

/// A float with hard bits, or near the edges of rounding: few significant bits, exponents near one another.
fn operand(f: Format, random: &mut Random) -> u64 {
    let hard = hard_float(if f == S { Ty::F32 } else { Ty::F64 });
    let bits = match random.below(8) {
        0..=3 => hard[random.below(hard.len() as u64) as usize],
        4 => random.next(),
        5 => {
            let exp = (f.top() / 2) as u64 + random.below(60) - 30;
            exp << f.frac() | random.next() & (f.quiet_bit() * 2 - 1)
        }
        6 => {
            let exp = random.below(f.top() as u64);
            exp << f.frac() | (random.below(8) << (f.frac() - 3)) ^ random.below(4)
        }
        _ => hard[random.below(hard.len() as u64) as usize]
            .wrapping_add(random.below(5))
            .wrapping_sub(2),
    };
    let bits = bits ^ if random.below(2) == 0 { f.sign_bit() } else { 0 };
    if f == S { bits & u32::MAX as u64 } else { bits }
}

fn records(table: &[Instruction]) -> Vec<Record> {
    let mut random = Random::new(1);
    let mut all = Vec::new();
    for (at, instruction) in table.iter().enumerate() {
        for control in 0..32 {
            for _ in 0..250 {
                let mut operands = [0; 3];
                for (to, f) in operands.iter_mut().zip(instruction.operands) {
                    *to = match instruction.neon {
                        true => operand(S, &mut random) | operand(S, &mut random) << 32,
                        false => operand(*f, &mut random),
                    };
                }
                all.push(Record {
                    at,
                    fpscr: control << 22,
                    operands,
                });
            }
        }
    }
    all
}

/// The oracle's results and flags, or why there are none.
fn ask(table: &[Instruction], records: &[Record]) -> Result<Vec<(u64, u32)>, String> {
    let dir = std::env::temp_dir().join(format!("emu-fp-oracle-{}", std::process::id()));
    fs::create_dir_all(&dir).map_err(|e| e.to_string())?;
    let answer = ask_in(&dir, table, records);
    fs::remove_dir_all(&dir).map_err(|e| e.to_string())?;
    answer
}

fn ask_in(dir: &Path, table: &[Instruction], records: &[Record]) -> Result<Vec<(u64, u32)>, String> {
    let program = dir.join("oracle");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/fp/oracle.c");
    let built = Command::new("arm-linux-gnueabihf-gcc")
        .args(["-O1", "-static", "-mfpu=neon-vfpv4", "-mfloat-abi=hard", "-o"])
        .args([&program, &source])
        .status();
    match built {
        Err(_) => return Err("no arm-linux-gnueabihf-gcc".into()),
        Ok(status) => assert!(status.success(), "oracle.c does not build"),
    }
    let questions: Vec<u8> = records.iter().flat_map(|r| question(table, r)).collect();
    let path = dir.join("questions");
    fs::write(&path, questions).map_err(|e| e.to_string())?;
    for emulator in ["qemu-arm-static", "qemu-arm"] {
        let input = File::open(PathBuf::from(&path)).map_err(|e| e.to_string())?;
        if let Ok(out) = Command::new(emulator).arg(&program).stdin(Stdio::from(input)).output() {
            assert!(out.status.success(), "the oracle failed");
            return Ok(out.stdout.chunks_exact(16).map(answer).collect());
        }
    }
    Err("no qemu-arm-static".into())
}

fn question(table: &[Instruction], r: &Record) -> Vec<u8> {
    let head = [table[r.at].number, r.fpscr];
    let head = head.iter().flat_map(|n| n.to_le_bytes());
    head.chain(r.operands.iter().flat_map(|n| n.to_le_bytes())).collect()
}

fn answer(bytes: &[u8]) -> (u64, u32) {
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |n, b| n << 8 | *b as u64);
    (number(&bytes[..8]), number(&bytes[8..12]) as u32)
}

#[test]
#[cfg_attr(miri, ignore = "Miri starts no other programs")]
fn agrees_with_qemu() {
    let table = table();
    let records = records(&table);
    let answers = match ask(&table, &records) {
        Ok(answers) => answers,
        Err(why) => return emu_ir::testing::skipped("floating point against QEMU", &why),
    };
    assert_eq!(answers.len(), records.len());
    let mut wrong = Vec::new();
    for (r, (result, fpscr)) in records.iter().zip(answers) {
        let instruction = &table[r.at];
        let env = if instruction.neon {
            resolve(emu_ir::Fenv::STANDARD, 0, None)
        } else {
            environment(r.fpscr)
        };
        let [a, b, c] = r.operands;
        let (bits, flags) = (instruction.run)(a, b, c, env);
        // A comparison's result is in FPSCR's own flags.
        let theirs = if instruction.name.starts_with("vcmp") {
            (fpscr & 0xf000_0000) as u64
        } else {
            result
        };
        if (bits, cumulative(flags)) != (theirs, fpscr & 0x9f) {
            wrong.push(format!(
                "{} {a:#x} {b:#x} {c:#x} FPSCR {:#x}: {bits:#x} {:#x}, QEMU {theirs:#x} {:#x}",
                instruction.name,
                r.fpscr,
                cumulative(flags),
                fpscr & 0x9f
            ));
        }
    }
    let (shown, n) = (
        wrong.iter().take(40).cloned().collect::<Vec<_>>().join("\n"),
        wrong.len(),
    );
    assert_eq!(n, 0, "of {} differ:\n{shown}", records.len());
}

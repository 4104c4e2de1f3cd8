//! A32, T32, T16, VFP and Advanced SIMD against qemu-arm: those of ARMv7-A, and ([`armv8`]) what Armv8 adds.

mod allowed;
mod armv8;
mod bare;
mod machine;
mod plain;
mod record;
mod runs;
pub(super) mod states;
mod unpredictable;
mod words;

use super::{Isa, Oracle, Random, Row, check};
use emu_frontend_arm::MODELS;
use emu_frontend_arm::a32::{self, arm, neon, thumb, vfp};
use emu_jit::engine::Accel;
use machine::Machine;
use record::{CODE, CODE_SIZE, EXECUTED, Record, SIGBUS, SIGSEGV, SIGVTALRM};
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

/// The instruction sets of ARMv7-A.
pub struct Arm;

impl Isa for Arm {
    const NAME: &'static str = "arm";
    type Record = Record;
    const CODE_WORDS: usize = EXECUTED;
    type Machine = Machine;
    const NOT_RUN: &'static [(&'static str, &'static str)] = allowed::NOT_RUN;
    const REFUSED: &'static [(&'static [&'static str], &'static str)] = allowed::REFUSED;

    fn rows() -> Vec<Row> {
        let runs = runs::NAMES.map(|name| Row {
            file: runs::FILE.into(),
            name: name.into(),
            pattern: "several".into(),
        });
        let armv7 = decode_rows(|r| r.needs == 0);
        armv7.into_iter().chain(runs).collect()
    }
    fn enough(row: &Row) -> usize {
        match row.file.as_str() {
            runs::FILE => 5000,
            _ if words::is_float(row) => 1000,
            _ => 200,
        }
    }
    fn code(row: &Row, random: &mut Random) -> Record {
        match row.file.as_str() {
            runs::FILE => runs::code(row, random),
            _ => words::code(row, random),
        }
    }
    fn state(row: &Row, record: &mut Record, random: &mut Random) {
        states::state(row, record, random);
    }
    fn machine(accel: Accel) -> Option<Machine> {
        Machine::new(accel, &MODELS[0])
    }
    fn run(machine: &mut Machine, record: &Record) -> Record {
        machine.run(record)
    }
    fn oracle() -> Result<Oracle, String> {
        qemu("cortex-a15")
    }
    fn is_refused(before: &Record, after: &Record) -> bool {
        allowed::is_refused(before, after)
    }
    fn is_answer(after: &Record) -> bool {
        is_answer(after)
    }
    fn allowed(row: &Row, before: &Record, want: &Record, got: &Record) -> Option<&'static str> {
        allowed::allowed(row, before, want, got)
    }
    fn show(record: &Record) -> String {
        allowed::show(record)
    }
    fn field(word: usize) -> String {
        record::field(word)
    }
}

/// The oracle as a CPU.
fn qemu(cpu: &str) -> Result<Oracle, String> {
    let missing = "qemu-arm-static or arm-linux-gnueabihf-gcc is missing";
    let program = build().ok_or(missing)?;
    let version = Command::new("qemu-arm-static").arg("--version").output();
    let version = version.map_err(|_| missing)?.stdout;
    let version = String::from_utf8_lossy(&version);
    let command = ["qemu-arm-static", "-cpu", cpu].map(OsString::from);
    Ok(Oracle {
        about: format!("{}, -cpu {cpu}", version.lines().next().unwrap_or("qemu-arm")),
        command: command.into_iter().chain([program]).collect(),
        first: [record::initial_data(), record::initial_code()].concat(),
    })
}

/// Whether it has not gone on in the oracle's own program.
fn is_answer(after: &Record) -> bool {
    let nowhere = matches!(after.signal, SIGSEGV | SIGBUS);
    after.signal != SIGVTALRM && (nowhere || after.pc.wrapping_sub(CODE) < CODE_SIZE as u32)
}

/// The rows of the decode tables that are wanted. Thumb has VFP and Advanced SIMD through A32's.
fn decode_rows(wanted: fn(&a32::Row<a32::Insn>) -> bool) -> Vec<Row> {
    let vfp_tables = [vfp::TABLES, vfp::UNCONDITIONAL].concat();
    let core = [arm::CONDITIONAL, arm::UNCONDITIONAL].concat();
    let files = [
        ("a32", core.as_slice()),
        ("t32", thumb::T32),
        ("t32", thumb::LITERALS),
        ("t16", thumb::T16),
        ("vfp", &vfp_tables),
        ("neon", neon::TABLES),
    ];
    let rows_of = |(file, tables): (&'static str, &[a32::Table])| {
        let rows = tables.iter().flat_map(|t| t.iter());
        rows.filter(|r| wanted(r)).map(|r| row(file, r)).collect::<Vec<_>>()
    };
    files.into_iter().flat_map(rows_of).collect()
}

fn row(file: &str, row: &a32::Row<a32::Insn>) -> Row {
    Row {
        file: file.into(),
        name: row.name.into(),
        pattern: row.pattern.text.into(),
    }
}

/// The oracle's program, if it can be built.
fn build() -> Option<OsString> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/arm/step.c");
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("arm_step");
    let built = Command::new("arm-linux-gnueabihf-gcc")
        .args(["-static", "-O2", "-marm", "-mfpu=neon-vfpv4", "-o"])
        .args([&out, &source])
        .stderr(Stdio::null())
        .status();
    built.is_ok_and(|s| s.success()).then(|| out.into())
}

#[test]
fn every_row_does_what_qemu_did() {
    check::kept::<Arm>();
}

#[test]
fn every_row_does_what_qemu_does() {
    check::live::<Arm>();
}

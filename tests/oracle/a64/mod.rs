//! AArch64: A64 against qemu-aarch64.

mod allowed;
mod known;
mod machine;
mod record;
mod states;
mod words;

use super::{Isa, Oracle, Random, Row, check};
use emu_frontend_arm::a64;
use emu_jit::engine::Accel;
use machine::Machine;
use record::{CODE, CODE_SIZE, EXECUTED, Record, SIGBUS, SIGSEGV, SIGVTALRM};
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

/// A64.
pub struct A64;

/// The oracle's CPU: all features but those that no CPU model here has; the architected algorithm of pointer authentication.
const CPU: &str = "max,sve=off,sme=off,pauth-impdef=off";
/// What its random numbers, and so [`machine::KEYS`], come from.
const SEED: &str = "1";

impl Isa for A64 {
    const NAME: &'static str = "a64";
    type Record = Record;
    const CODE_WORDS: usize = EXECUTED;
    type Machine = Machine;
    const NOT_RUN: &'static [(&'static str, &'static str)] = allowed::NOT_RUN;
    const REFUSED: &'static [(&'static [&'static str], &'static str)] = allowed::REFUSED;

    fn rows() -> Vec<Row> {
        let files = [
            ("data", a64::DATA),
            ("control", a64::CONTROL),
            ("memory", a64::MEMORY),
            ("pauth", a64::POINTERS),
            ("fp", a64::fp::TABLES),
            ("simd-memory", a64::simd::MEMORY),
            ("simd-int", a64::simd::INTEGER),
            ("simd-fp", a64::simd::FLOAT),
            ("simd-crypto", a64::simd::CRYPTO),
            ("simd-later", a64::simd::DOT),
            ("simd-later", a64::simd::COMPLEX),
            ("half", a64::fp::HALVES),
            ("half", a64::simd::HALVES),
        ];
        let rows_of = |(file, tables): (&str, &[a64::Table])| {
            let rows = tables.iter().flat_map(|t| t.iter());
            let row = |r: &a64::Row<a64::Insn>| Row {
                file: file.into(),
                name: r.name.into(),
                pattern: r.pattern.text.into(),
            };
            rows.map(row).collect::<Vec<_>>()
        };
        files.into_iter().flat_map(rows_of).collect()
    }
    fn enough(row: &Row) -> usize {
        if words::is_float(row) { 400 } else { 100 }
    }
    fn code(row: &Row, random: &mut Random) -> Record {
        words::code(row, random)
    }
    fn state(row: &Row, record: &mut Record, random: &mut Random) {
        states::state(row, record, random);
    }
    fn machine(accel: Accel) -> Option<Machine> {
        Machine::new(accel)
    }
    fn run(machine: &mut Machine, record: &Record) -> Record {
        machine.run(record)
    }
    fn oracle() -> Result<Oracle, String> {
        let missing = "qemu-aarch64-static or aarch64-linux-gnu-gcc is missing";
        let program = build().ok_or(missing)?;
        let version = Command::new("qemu-aarch64-static").arg("--version").output();
        let version = version.map_err(|_| missing)?.stdout;
        let version = String::from_utf8_lossy(&version);
        let command = ["qemu-aarch64-static", "-cpu", CPU, "-seed", SEED].map(OsString::from);
        Ok(Oracle {
            about: format!("{}, -cpu {CPU}", version.lines().next().unwrap_or("qemu-aarch64")),
            command: command.into_iter().chain([program]).collect(),
            first: [record::initial_data(), record::initial_code()].concat(),
        })
    }
    fn is_refused(before: &Record, after: &Record) -> bool {
        allowed::is_refused(before, after)
    }
    fn is_answer(after: &Record) -> bool {
        // It must not have gone on in the oracle's own program.
        let nowhere = matches!(after.signal, SIGSEGV | SIGBUS);
        after.signal != SIGVTALRM && (nowhere || after.pc.wrapping_sub(CODE) < CODE_SIZE as u64)
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

/// The oracle's program, if it can be built.
fn build() -> Option<OsString> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/a64/step.c");
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("a64_step");
    let built = Command::new("aarch64-linux-gnu-gcc")
        .args(["-static", "-O2", "-o"])
        .args([&out, &source])
        .stderr(Stdio::null())
        .status();
    built.is_ok_and(|s| s.success()).then(|| out.into())
}

#[test]
fn every_row_does_what_qemu_did() {
    check::kept::<A64>();
}

#[test]
fn every_row_does_what_qemu_does() {
    check::live::<A64>();
}

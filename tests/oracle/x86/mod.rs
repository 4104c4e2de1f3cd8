//! x86 and x86-64: what user programs can run, against the processor that this runs on.

mod allowed;
mod decoder;
mod host;
mod known;
mod machine;
mod operands;
mod record;
mod rules;
mod states;
mod system;
mod words;
mod x87;

use super::{Isa, Oracle, Random, Row, check};
use emu_frontend_x86::decode::Size;
use emu_jit::engine::Accel;
use machine::Machine;
use record::{ENDLESS, EXECUTED, Record};
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// 64-, 32- and 16-bit code.
pub struct X86;

impl Isa for X86 {
    const NAME: &'static str = "x86";
    type Record = Record;
    const CODE_WORDS: usize = EXECUTED;
    type Machine = Machine;
    const NOT_RUN: &'static [(&'static str, &'static str)] = allowed::NOT_RUN;
    const REFUSED: &'static [(&'static [&'static str], &'static str)] = allowed::REFUSED;

    fn rows() -> Vec<Row> {
        words::rows()
    }
    fn enough(row: &Row) -> usize {
        if words::is_float(row) { 100 } else { 60 }
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
        oracle()
    }
    fn is_answer(after: &Record) -> bool {
        is_answer(after)
    }
    fn is_refused(before: &Record, after: &Record) -> bool {
        allowed::is_refused(before, after)
    }
    fn allowed(row: &Row, before: &Record, want: &Record, got: &Record) -> Option<&'static str> {
        allowed::allowed(row, before, want, got)
    }
    fn not_yet(row: &Row) -> bool {
        machine::is_not_yet(row)
    }
    fn show(record: &Record) -> String {
        allowed::show(record)
    }
    fn field(word: usize) -> String {
        record::field(word)
    }
}

/// The oracle: this processor. What it lacks is said.
fn oracle() -> Result<Oracle, String> {
    static PROGRAM: LazyLock<Option<OsString>> = LazyLock::new(build);
    let program = PROGRAM.clone().ok_or("this is no x86-64 host, or gcc is missing")?;
    let oracle = Oracle {
        about: host::model(),
        command: vec![program],
        first: [record::ldt(), record::initial_data(), record::initial_code()].concat(),
    };
    let rows = words::rows();
    let lacks = host::lacks(rows.iter().map(|row| row.pattern.as_str()));
    if !lacks.is_empty() {
        let names: Vec<_> = lacks.into_iter().collect();
        let reason = format!("{} lacks {}", oracle.about, names.join(", "));
        crate::guest::skipped("x86 by this processor, in part", &reason);
    }
    Ok(oracle)
}

/// The oracle's program, if it can be built here.
fn build() -> Option<OsString> {
    if !cfg!(target_arch = "x86_64") {
        return None;
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/x86/step.c");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("x86_step");
    // Another process may run it.
    let unfinished = program.with_extension(std::process::id().to_string());
    let built = Command::new("gcc")
        .args(["-static", "-O2", "-fno-stack-protector", "-o"])
        .args([&unfinished, &source])
        .stderr(Stdio::null())
        .status();
    let is_built = built.is_ok_and(|status| status.success());
    (is_built && fs::rename(&unfinished, &program).is_ok()).then(|| program.into())
}

/// Whether it says something about the processors that the vectors are of.
fn is_answer(after: &Record) -> bool {
    if after.vector == ENDLESS {
        return false;
    }
    let Ok(insn) = words::insn(after) else {
        return true;
    };
    // Of a maker whose near branches take 66 otherwise; without what the row needs, it is another instruction or none.
    let near = insn.row.flags & emu_frontend_x86::decode::row::flag::F64 != 0;
    let otherwise = near && after.size() == Size::Bits64 && insn.operand_size == 2 && !host::is_amd();
    !otherwise && host::FEATURES.has(insn.row.needs)
}

#[test]
fn every_row_does_what_a_processor_did() {
    check::kept::<X86>();
}

#[test]
fn every_row_does_what_this_processor_does() {
    check::live::<X86>();
}

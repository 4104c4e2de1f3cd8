//! Every row of VFP and Advanced SIMD with random fields on random and hard operands, in every rounding and flush mode,
//! as A32 and T32, with both endiannesses, held against qemu-arm. Skipped, loudly, where qemu-arm or the cross compiler
//! is missing. `EMU_ORACLE_ROUNDS` sets how often each row runs, `EMU_ORACLE_ROW` which rows: those whose names start so.

use crate::machine::{APSR, Record, interpreted};
use crate::words::{Random, record, word_of};
use bytemuck::Zeroable;
use emu_frontend_arm::a32::{self, neon, vfp};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// The oracle's program, if it can be built and run.
fn oracle() -> Option<PathBuf> {
    static BUILT: LazyLock<Option<PathBuf>> = LazyLock::new(build);
    BUILT.clone()
}

fn build() -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/oracle/arm_step.c");
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("arm_step");
    let built = Command::new("arm-linux-gnueabihf-gcc")
        .args(["-static", "-O1", "-marm", "-mfpu=neon-vfpv4", "-o"])
        .args([&out, &source])
        .status();
    let runs = Command::new("qemu-arm-static")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    (built.is_ok_and(|s| s.success()) && runs.is_ok_and(|s| s.success())).then_some(out)
}

/// The records as the oracle leaves them.
fn expected(program: &Path, records: &[Record]) -> Vec<Record> {
    let mut child = Command::new("qemu-arm-static")
        .args(["-cpu", "cortex-a15"])
        .arg(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("qemu-arm runs");
    let mut to = child.stdin.take().expect("piped");
    let mut from = child.stdout.take().expect("piped");
    let mut out = vec![Record::zeroed(); records.len()];
    std::thread::scope(|s| {
        s.spawn(move || to.write_all(bytemuck::cast_slice(records)));
        from.read_exact(bytemuck::cast_slice_mut(&mut out))
            .expect("all records come back");
    });
    child.wait().expect("it ends");
    out
}

/// What differs, in words.
fn difference(before: &Record, want: &Record, got: &Record) -> Option<String> {
    let mut text = String::new();
    let mut note = |name: String, before: u64, want: u64, got: u64| {
        if want != got {
            text += &format!("\n    {name}: was {before:#x}, is {got:#x}, should be {want:#x}");
        }
    };
    note("signal".into(), 0, want.signal.into(), got.signal.into());
    if want.signal == 0 && got.signal == 0 {
        for i in 0..14 {
            note(format!("r{i}"), before.r[i].into(), want.r[i].into(), got.r[i].into());
        }
        for i in 0..32 {
            note(format!("d{i}"), before.d[i], want.d[i], got.d[i]);
        }
        let flags = |f: u32| u64::from(f & 0xffc0_009f);
        note("fpscr".into(), flags(before.fpscr), flags(want.fpscr), flags(got.fpscr));
        let apsr = |a: u32| u64::from(a & APSR);
        note("apsr".into(), apsr(before.apsr), apsr(want.apsr), apsr(got.apsr));
        for (i, (w, g)) in want.memory.iter().zip(&got.memory).enumerate() {
            let part = |b: [u8; 16]| u128::from_le_bytes(b) as u64 ^ (u128::from_le_bytes(b) >> 64) as u64;
            note(
                format!("memory {:#x}", i * 16),
                part(before.memory[i]),
                part(*w),
                part(*g),
            );
        }
    }
    (!text.is_empty()).then_some(text)
}

fn compare(vfp: bool, tables: &[a32::Table]) {
    let Some(program) = oracle() else {
        eprintln!("SKIPPED: qemu-arm-static or arm-linux-gnueabihf-gcc is missing");
        return;
    };
    let rounds = std::env::var("EMU_ORACLE_ROUNDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(24);
    let only = std::env::var("EMU_ORACLE_ROW").ok();
    let mut random = Random(if vfp { 11 } else { 12 });
    let mut wrong = Vec::new();
    for row in tables.iter().flat_map(|t| t.iter()) {
        if only.as_ref().is_some_and(|o| !row.name.starts_with(o.as_str())) {
            continue;
        }
        let records: Vec<_> = (0..rounds)
            .map(|_| {
                let word = word_of(row, &mut random, vfp);
                record(word, &mut random)
            })
            .collect();
        let wants = expected(&program, &records);
        let bad: Vec<_> = records
            .iter()
            .zip(&wants)
            .filter_map(|(r, want)| {
                difference(r, want, &interpreted(r)).map(|d| format!("{:#010x} {}{d}", r.word, r.set))
            })
            .collect();
        if !bad.is_empty() {
            wrong.push(format!(
                "{} \"{}\": {} of {rounds}; {}",
                row.name,
                row.pattern.text,
                bad.len(),
                bad[0]
            ));
        }
    }
    assert!(wrong.is_empty(), "{} rows differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn vfp_is_as_qemu_has_it() {
    compare(true, vfp::TABLES);
}

#[test]
fn advanced_simd_is_as_qemu_has_it() {
    compare(false, neon::TABLES);
}

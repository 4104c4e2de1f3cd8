//! Where this emulator and the oracle may differ, in the words of the manual (Arm ARM DDI 0406C).

use super::super::Row;
use super::record::{Record, SIGBUS, SIGSEGV, SIGTRAP, T};
use super::runs;
use super::unpredictable::unpredictable;
use super::words::Fields;
use capstone::prelude::*;

/// Rows that the oracle cannot run.
pub const NOT_RUN: &[(&str, &str)] = &[
    ("svc", "a system call: the oracle's own kernel answers"),
    (
        "ldc",
        "the oracle has no debug channel: tested in frontend-arm/src/a32/tests.rs",
    ),
    ("stc", "as for ldc"),
];

/// Rows that User mode, where the oracle runs its programs, may not execute.
pub const REFUSED: &[(&[&str], &str)] = &[
    (
        &[
            "mrs_spsr",
            "msr_spsr_imm",
            "msr_spsr_reg",
            "stm_user",
            "ldm_user",
            "ldm_exception",
            "rfe",
            "srs",
            "subs_pc_lr",
        ],
        "exceptions and their registers: tested in frontend-arm/src/psr.rs, exception.rs and by booting kernels",
    ),
    (
        &["mrs_banked", "msr_banked", "eret", "hvc", "smc"],
        "extensions that these models lack or firmware answers: psr.rs, sys/tests.rs, machine/src/arm",
    ),
    (
        &["mrc", "mrrc", "mcrr"],
        "system registers: tested in frontend-arm/src/sys/tests.rs",
    ),
    (&["udf"], "permanently Undefined"),
    (
        &["vmull_polynomial"],
        "one of the rows is there to make a size Undefined",
    ),
];

/// Whether the instruction had no effect of its own.
pub fn is_refused(before: &Record, after: &Record) -> bool {
    let cond = if before.cpsr & T == 0 {
        before.word >> 28
    } else {
        before.it() >> 4
    };
    let always = before.cpsr & T != 0 && before.it() == 0 || cond >= 14;
    let stopped = after.pc == before.pc + before.lead && after.signal != SIGTRAP;
    stopped || !always && !holds(cond, before.cpsr)
}

/// Whether a condition holds (A8.3).
fn holds(cond: u32, cpsr: u32) -> bool {
    let [n, z, c, v] = [31, 30, 29, 28].map(|bit| cpsr >> bit & 1 != 0);
    let positive = match cond >> 1 {
        0 => z,
        1 => c,
        2 => n,
        3 => v,
        4 => c && !z,
        5 => n == v,
        _ => n == v && !z,
    };
    positive == (cond & 1 == 0)
}

const ABORTED: &str = "loads of several registers that abort leave those UNKNOWN, stores what they would write: B1.9.8, Effects of data-aborted instructions";

/// Whether both aborted alike, and differ in what they had transferred till then.
fn is_partial(row: &Row, before: &Record, want: &Record, got: &Record) -> bool {
    let several = ["ldm", "stm", "push", "pop", "ldrd", "strd", "vld", "vst"];
    let transferred = Record {
        r: want.r,
        d: want.d,
        changed_at: want.changed_at,
        changed_by: want.changed_by,
        changed: want.changed,
        ..*got
    };
    // What is fetched, not accessed, aborts at its own address. The base is as it was.
    let accesses = matches!(want.signal, SIGBUS | SIGSEGV) && want.address != want.pc;
    let base = Fields::of(row).value('n', before.word).map(|n| n as usize % 15);
    let has_base = base.is_none_or(|n| want.r[n] == before.r[n] && got.r[n] == before.r[n]);
    let is_several = row.file == runs::FILE || several.iter().any(|s| row.name.starts_with(s));
    accesses && has_base && is_several && transferred == *want
}

/// Where the record by the oracle and the record by us may differ, given the one before.
pub fn allowed(row: &Row, before: &Record, want: &Record, got: &Record) -> Option<&'static str> {
    if is_partial(row, before, want, got) {
        return Some(ABORTED);
    }
    if want.signal == SIGBUS && want.cpsr & T == 0 && want.pc & 3 != 0 {
        return Some("\"else // address<1:0> == '10' UNPREDICTABLE\": BXWritePC, A2.3.1");
    }
    if row.file == runs::FILE {
        return None;
    }
    unpredictable(row, before)
}

/// The code as capstone has it.
pub fn show(r: &Record) -> String {
    let thumb = r.cpsr & T != 0;
    let mode = if thumb {
        arch::arm::ArchMode::Thumb
    } else {
        arch::arm::ArchMode::Arm
    };
    let capstone = Capstone::new().arm().mode(mode).build();
    let bytes = bytemuck::bytes_of(&r.code);
    let texts = capstone.ok().and_then(|c| {
        let insns = c.disasm_all(bytes, r.pc.into()).ok()?;
        let text = |i: &capstone::Insn| format!("{} {}", i.mnemonic().unwrap_or("?"), i.op_str().unwrap_or("?"));
        Some(
            insns
                .iter()
                .map(text)
                .take_while(|t| !t.starts_with("udf"))
                .collect::<Vec<_>>(),
        )
    });
    let texts = texts.unwrap_or_default().join("; ");
    format!(
        "{:#010x} ({texts}) after {} bytes of {bytes:02x?} at {:#x}, CPSR {:#x}",
        r.word, r.lead, r.pc, r.cpsr
    )
}

//! Where this emulator and the oracle may differ, in the words of the manual (Arm ARM DDI 0487).

use super::super::Row;
use super::record::{Record, SIGBUS, SIGSEGV, SIGTRAP};
use super::words::Fields;
use capstone::prelude::*;

/// Rows that the oracle cannot run.
pub const NOT_RUN: &[(&str, &str)] = &[
    ("svc", "a system call: the oracle's own kernel answers"),
    ("dc_zva", "how many bytes it zeroes is the CPU model's"),
];

/// Rows that programs may not execute, or that are Undefined.
pub const REFUSED: &[(&[&str], &str)] = &[
    (
        &[
            "hvc", "smc", "eret", "eretaa", "drps", "dcps1", "dcps2", "dcps3", "hlt", "udf", "sysl",
        ],
        "Undefined at EL0: exceptions are tested in frontend-arm/src/a64",
    ),
    (
        &["msr_imm"],
        "the fields of PSTATE that programs may write are none that a record shows",
    ),
];

/// Whether the instruction had no effect of its own.
pub fn is_refused(before: &Record, after: &Record) -> bool {
    after.pc == before.pc + before.lead() && after.signal != SIGTRAP
}

/// Where the record by the oracle and the record by us may differ, given the one before.
pub fn allowed(row: &Row, before: &Record, want: &Record, got: &Record) -> Option<&'static str> {
    let fields = Fields::of(row);
    let get = |field| fields.value(field, before.word);
    let loads = ["ldp", "ldnp", "ldxp"].iter().any(|start| row.name.starts_with(start));
    if loads && get('t') == get('u') {
        return Some(PAIR);
    }
    if loads && want.signal == SIGSEGV && is_half_loaded(want, got, get('t').unwrap_or(31)) {
        return Some(LOADED);
    }
    if row.name == "sys" && got.signal == SIGSEGV && got.address >> 48 != 0 {
        return Some(MAINTAINED);
    }
    if row.file == "pauth" {
        return authenticated(&get, before, want, got);
    }
    if row.name.starts_with("st") && want.signal == SIGSEGV && is_partial(want, got) {
        return Some(ABORTED);
    }
    if row.file == "simd-memory" && want.signal == SIGSEGV && is_partly_loaded(get('t'), want, got) {
        return Some(LOADED);
    }
    if row.name == "fjcvtzs" && before.fpcr & FZ != 0 && is_small(before.v[get('n').unwrap_or(0) as usize][0]) {
        return Some(FLUSHED);
    }
    if row.file == "half" && row.name == "fcvtzs_fixed" && is_extended(get('d'), want, got) {
        return Some(EXTENDED);
    }
    (row.name.starts_with("ldapr") && got.signal == SIGBUS).then_some(ORDERED)
}

/// Of pointer authentication.
fn authenticated(
    get: &impl Fn(char) -> Option<u32>,
    before: &Record,
    want: &Record,
    got: &Record,
) -> Option<&'static str> {
    let adds = get('a') == Some(0);
    let d = get('d').unwrap_or(if before.word & 0xf00 == 0x100 { 17 } else { 30 }) as usize;
    let mut same = *got;
    same.x[d] = want.x[d];
    if adds && same == *want && before.x[d] >> 55 & 1 != before.x[d] >> 63 {
        return Some(HALVES);
    }
    let unsaid = Record {
        address: got.address,
        ..*want
    };
    if want.address == 0 && got.address >> 48 != 0 && unsaid == *got {
        return Some(NOWHERE);
    }
    let signal = Record {
        signal: SIGBUS,
        ..*want
    };
    (want.signal == SIGSEGV && got.pc & 3 != 0 && signal == *got).then_some(MISALIGNED)
}

/// Whether two records differ in nothing but the word's upper half above a negative H register.
fn is_extended(d: Option<u32>, want: &Record, got: &Record) -> bool {
    let mut same = *got;
    let v = &mut same.v[d.unwrap_or(0) as usize][0];
    *v |= 0xffff_0000;
    got != want && *v & 0x8000 != 0 && same == *want
}

/// FPCR.FZ.
const FZ: u32 = 1 << 24;

/// Whether a double is positive and denormal.
fn is_small(bits: u64) -> bool {
    bits != 0 && bits >> 52 == 0
}

/// Whether two records differ in nothing but what is in memory.
fn is_partial(want: &Record, got: &Record) -> bool {
    let same = Record {
        changed: want.changed,
        changed_at: want.changed_at,
        changed_by: want.changed_by,
        ..*got
    };
    got != want && same == *want
}

/// Whether two records differ in nothing but the first register that a pair is loaded to.
fn is_half_loaded(want: &Record, got: &Record, t: u32) -> bool {
    let mut same = *got;
    same.v[t as usize] = want.v[t as usize];
    if let Some(x) = same.x.get_mut(t as usize) {
        *x = want.x[t as usize];
    }
    got != want && same == *want
}

/// Whether two records differ in nothing but up to four V registers from `first` on.
fn is_partly_loaded(first: Option<u32>, want: &Record, got: &Record) -> bool {
    let mut same = *got;
    for k in 0..4 {
        let v = (first.unwrap_or(0) as usize + k) % 32;
        same.v[v] = want.v[v];
    }
    got != want && same == *want
}

const MAINTAINED: &str =
    "maintenance by an address that has too many bits faults, with the MMU off too; the oracle does nothing: D8.2.10";
const LOADED: &str = "a load of several registers that aborts leaves UNKNOWN those it had loaded: D1.3, Data Aborts";
const ABORTED: &str = "a store that aborts, of several accesses, leaves UNKNOWN what it would write: D1.3, Data Aborts";
const ORDERED: &str =
    "loads that are ordered must be aligned, which the oracle does not ask of LDAPR: B2.5, Alignment of data accesses";

const FLUSHED: &str =
    "\"elsif sign == '0' && value == 0.0 && !IsZero(op<51:0>) then Z = '0'\": shared pseudocode, FPToFixedJS";
const EXTENDED: &str = "a write of an H register zeroes the rest of V, where the oracle extends the sign: C1.2.5";
const HALVES: &str = "\"if TCR_EL1.TBI1 == '1' || TCR_EL1.TBI0 == '1' then selbit = ptr<55>\", where the oracle looks at the bit of \
    the pointer's own half: shared pseudocode, AddPAC";
const NOWHERE: &str = "the oracle does not say of which address a fault is that has too many bits for its host";
const MISALIGNED: &str =
    "a misaligned pc comes before an Instruction Abort: D1.3, Synchronous exception prioritization for AArch64 state";
const PAIR: &str = "\"if t == t2 then Constraint_LDPOVERLAP\": C6.2, LDP, LDNP, LDPSW, LDXP, LDAXP";

/// The code as capstone has it.
pub fn show(r: &Record) -> String {
    let capstone = Capstone::new().arm64().mode(arch::arm64::ArchMode::Arm).build();
    let text = capstone.ok().and_then(|c| {
        let insns = c.disasm_all(&r.word.to_le_bytes(), r.pc).ok()?;
        let insn = insns.iter().next()?;
        Some(format!("{} {}", insn.mnemonic()?, insn.op_str()?))
    });
    let text = text.unwrap_or_else(|| "?".into());
    format!(
        "{:#010x} ({text}) of {:08x?} at {:#x}, NZCV {:x}",
        r.word,
        r.code,
        r.pc,
        r.nzcv >> 28
    )
}

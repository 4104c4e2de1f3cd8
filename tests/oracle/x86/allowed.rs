//! Where this emulator and the oracle may differ, in the words of the manual (SDM 2, the instruction's page; SDM 1).

use super::super::Row;
use super::record::{CODE16, CODE64, Record, vector};
use super::rules;
use super::words::{insn, place};
use capstone::prelude::*;
use emu_frontend_x86::decode::insn::Insn;
use emu_frontend_x86::decode::row::Method;
use emu_frontend_x86::state::bits::eflags::{AF, CF, OF, PF, SF, ZF};
use emu_frontend_x86::state::bits::mxcsr;

/// Rows that the oracle cannot run.
pub const NOT_RUN: &[(&str, &str)] = &[
    ("syscall", "a system call: the oracle's own kernel answers"),
    ("sysenter", "a system call: the oracle's own kernel answers"),
    ("cpuid", "the answer is the CPU model's"),
    ("rdtsc", "the answer is the time's"),
    ("rdtscp", "the answer is the time's"),
    ("rdrand", "the answer is random"),
    ("rdseed", "the answer is random"),
    ("rdpid", "the answer is the oracle's own kernel's"),
    ("xgetbv", "the answer is the oracle's own kernel's"),
    ("sgdt", "UMIP: the oracle's own kernel answers for it"),
    ("sidt", "UMIP: the oracle's own kernel answers for it"),
    ("sldt", "UMIP: the oracle's own kernel answers for it"),
    ("str", "UMIP: the oracle's own kernel answers for it"),
    ("smsw", "UMIP: the oracle's own kernel answers for it"),
    ("rdpkru", "records do not hold PKRU"),
    ("wrpkru", "records do not hold PKRU"),
    ("monitor", "no host with MONITOR for programs has made vectors"),
    ("mwait", "no host with MONITOR for programs has made vectors"),
    ("gf2p8mulb", "no host with GFNI has made vectors"),
    ("gf2p8affineqb", "no host with GFNI has made vectors"),
    ("gf2p8affineinvqb", "no host with GFNI has made vectors"),
];

/// Rows that programs may not execute, that are not there, or that are rarely right.
pub const REFUSED: &[(&[&str], &str)] = &[
    (
        &[
            "in_",
            "out",
            "ins",
            "outs",
            "cli",
            "sti",
            "hlt",
            "lldt",
            "ltr",
            "lgdt",
            "lidt",
            "lmsw",
            "clts",
            "invlpg",
            "invd",
            "wbinvd",
            "invpcid",
            "mov_from_control",
            "mov_from_debug",
            "mov_to_control",
            "mov_to_debug",
            "wrmsr",
            "rdmsr",
            "rdpmc",
            "sysret",
            "sysexit",
            "xsetbv",
            "xsaves",
            "xrstors",
            "swapgs",
        ],
        "privileged",
    ),
    (&["clac", "stac", "rsm"], "#UD at any level but 0, or outside of SMM"),
    (&["ud0", "ud1", "ud2"], "#UD"),
    (&["int"], "a gate that programs may not use, but for two"),
    (&["div", "idiv", "bound"], "most random operands fault"),
    (
        &["iret", "ret_far", "jmp_far", "call_far"],
        "most random selectors fault",
    ),
];

/// Whether the instruction had no effect of its own: it faulted.
pub fn is_refused(before: &Record, after: &Record) -> bool {
    after.rip == before.rip && after.vector != vector::BP
}

/// What the manual leaves open: flags, or more of a record.
struct Open {
    flags: u32,
    words: &'static str,
}

const SHIFTS: &str = "\"The OF flag is affected only on 1-bit shifts\", \"AF is undefined\", \"CF is undefined for SHL and SHR \
    instructions where the count is greater than or equal to the size of the destination\": SAL/SAR/SHL/SHR";
const ROTATES: &str = "\"The OF flag is defined only for the 1-bit rotates\": RCL/RCR/ROL/ROR";
const DOUBLES: &str = "\"For shifts greater than 1 bit, OF is undefined\", \"the AF flag is undefined\": SHLD, SHRD";
const PRODUCTS: &str = "\"The SF, ZF, AF, and PF flags are undefined\": MUL, IMUL";
const QUOTIENTS: &str = "\"The CF, OF, SF, ZF, AF, and PF flags are undefined\": DIV, IDIV";
const SCANS: &str = "\"CF, OF, SF, AF, and PF flags are undefined\": BSF, BSR";
const BITS: &str = "\"The OF, SF, AF, and PF flags are undefined\": BT, BTS, BTR, BTC; TZCNT, LZCNT";
const DECIMALS: &str = "\"The OF flag is undefined\": DAA, DAS";
const ADJUSTS: &str = "\"The OF, SF, ZF, and PF flags are undefined\": AAA, AAS";
const DIGITS: &str = "\"The OF, AF, and CF flags are undefined\": AAM, AAD";
const FIELDS: &str = "\"AF and PF flags are undefined\": ANDN, BLSI, BLSMSK, BLSR, BZHI";
const EXTRACTS: &str = "\"AF, SF, and PF are undefined\": BEXTR";

/// How many bits a shift or rotate goes by.
fn count(insn: &Insn, before: &Record) -> u32 {
    let by = match insn
        .row
        .operands
        .iter()
        .find(|o| matches!(o.method, Method::I | Method::One | Method::Register(1)))
    {
        Some(o) if o.method == Method::One => 1,
        Some(o) if o.method == Method::I => insn.immediate as u32,
        _ => before.regs[1] as u32,
    };
    by & if insn.operand_size == 8 { 63 } else { 31 }
}

/// Which flags the instruction leaves undefined.
fn open(insn: &Insn, before: &Record) -> Option<Open> {
    let bytes = insn.row.text.contains("Eb");
    let size = if bytes { 8 } else { 8 * u32::from(insn.operand_size) };
    let open = |flags, words| Some(Open { flags, words });
    match insn.row.name {
        "shl" | "shr" | "sar" => match count(insn, before) {
            0 => None,
            1 => open(AF, SHIFTS),
            n if n >= size => open(AF | OF | CF, SHIFTS),
            _ => open(AF | OF, SHIFTS),
        },
        "rol" | "ror" | "rcl" | "rcr" if count(insn, before) > 1 => open(OF, ROTATES),
        "shld" | "shrd" => match count(insn, before) {
            0 => None,
            1 => open(AF, DOUBLES),
            n if n > size => open(AF | OF | CF | SF | ZF | PF, DOUBLES),
            _ => open(AF | OF, DOUBLES),
        },
        "mul" | "imul" | "imul_wide" => open(SF | ZF | AF | PF, PRODUCTS),
        "div" | "idiv" => open(CF | OF | SF | ZF | AF | PF, QUOTIENTS),
        "bsf" | "bsr" => open(CF | OF | SF | AF | PF, SCANS),
        "bt" | "bts" | "btr" | "btc" | "tzcnt" | "lzcnt" => open(OF | SF | AF | PF, BITS),
        "daa" | "das" => open(OF, DECIMALS),
        "aaa" | "aas" => open(OF | SF | ZF | PF, ADJUSTS),
        "aam" | "aad" => open(OF | AF | CF, DIGITS),
        "andn" | "blsi" | "blsmsk" | "blsr" | "bzhi" => open(AF | PF, FIELDS),
        "bextr" => open(AF | SF | PF, EXTRACTS),
        _ => None,
    }
}

/// Where the record by the oracle and the record by us may differ, given the one before.
pub fn allowed(row: &Row, before: &Record, want: &Record, got: &Record) -> Option<&'static str> {
    let insn = match insn(before) {
        Ok(insn) if !std::ptr::eq(insn.row, place(row).row) => return None,
        Ok(insn) => insn,
        Err(_) => Insn::nothing(before.length as u8),
    };
    if want == got {
        return None;
    }
    if let Some(words) = rules::find(row, &insn, before, want, got) {
        return Some(words);
    }
    if is_refused(before, want) || is_refused(before, got) {
        return None;
    }
    let mut same = *got;
    if let Some(open) = open(&insn, before) {
        same.flags = same.flags & !open.flags | want.flags & open.flags;
        if same == *want {
            return Some(open.words);
        }
        let long =
            matches!(row.name.as_str(), "shld" | "shrd") && count(&insn, before) > 8 * u32::from(insn.operand_size);
        if long && is_result(&insn, want, &same) {
            return Some(LONG);
        }
    }
    approximate(row, want, got)
}

const LONG: &str = "\"If the count is greater than the operand size, the result is undefined\": SHLD, SHRD";

/// Whether two records differ in nothing but what the instruction writes: a general register, or memory.
fn is_result(insn: &Insn, want: &Record, got: &Record) -> bool {
    let mut same = *got;
    if insn.memory.is_some() {
        (same.window, same.changed, same.changed_at, same.changed_by) =
            (want.window, want.changed, want.changed_at, want.changed_by);
    } else {
        let n = usize::from(insn.rm());
        same.regs[n] = want.regs[n];
    }
    same == *want
}

const ESTIMATES: &str = "\"|Relative Error| ≤ 1.5 × 2^-12\": RCPPS, RCPSS, RSQRTPS, RSQRTSS";
const TRANSCENDENTALS: &str =
    "\"results will have a worst case error of less than 1 ulp when rounding to nearest\": SDM 1, 8.3.10";

/// Results of which only the greatest error is said, or that are the processor's own.
fn approximate(row: &Row, want: &Record, got: &Record) -> Option<&'static str> {
    let mut same = *got;
    match row.name.as_str() {
        "rcpps" | "rcpss" | "rsqrtps" | "rsqrtss" => {
            let (near, all) = (want.ymm.as_flattened(), same.ymm.as_flattened_mut());
            for (lane, near) in all.as_chunks_mut::<4>().0.iter_mut().zip(near.as_chunks::<4>().0) {
                let (a, b) = (f32::from_le_bytes(*lane), f32::from_le_bytes(*near));
                // What is tiny is zero, and where that begins is within the same bound.
                let tiny = b == 0.0 && a.abs() <= f32::MIN_POSITIVE;
                if tiny || (a - b).abs() <= b.abs() * (3.0 / 4096.0) {
                    *lane = *near;
                }
            }
            (same == *want).then_some(ESTIMATES)
        }
        "fsin" | "fcos" | "fsincos" | "fptan" | "fpatan" | "f2xm1" | "fyl2x" | "fyl2xp1" => {
            // Without the integer bit, so that the next number after a power of 2 is one more, too.
            let place = |st: &[u8; 16]| {
                let st = u128::from_le_bytes(*st);
                (st >> 64 << 63) | (st & ((1 << 63) - 1))
            };
            for (st, near) in same.st.iter_mut().zip(&want.st) {
                if place(st).abs_diff(place(near)) <= 1 {
                    *st = *near;
                }
            }
            // C1 says whether the last bit was rounded up.
            same.status = same.status & !0x200 | want.status & 0x200;
            (same == *want).then_some(TRANSCENDENTALS)
        }
        "fxsave" | "xsave" | "xsaveopt" | "xsavec" => {
            let masks = |got: &mut [u8], want: &[u8]| {
                let words = bytemuck::cast_slice_mut::<_, u32>(got).iter_mut();
                for (got, want) in words.zip(bytemuck::cast_slice::<_, u32>(want)) {
                    if (*got, *want) == (mxcsr::ALL, WITH_MM) {
                        *got = *want;
                    }
                }
            };
            masks(same.memory(), want.window.as_flattened());
            masks(&mut same.changed, &want.changed);
            (same == *want).then_some(MASK)
        }
        _ => None,
    }
}

/// MXCSR_MASK of processors that have MXCSR.MM, which only AMD's do.
const WITH_MM: u32 = mxcsr::ALL | 1 << 17;
const MASK: &str = "MXCSR_MASK is the processor's: SDM 1, 11.6.6";

/// The code as capstone has it.
pub fn show(r: &Record) -> String {
    use arch::x86::ArchMode;
    let mode = match r.cs {
        CODE64 => ArchMode::Mode64,
        CODE16 => ArchMode::Mode16,
        _ => ArchMode::Mode32,
    };
    let capstone = Capstone::new().x86().mode(mode).build();
    let bytes = &r.code[..usize::from(r.length)];
    let text = capstone.ok().and_then(|c| {
        let insns = c.disasm_all(bytes, r.rip).ok()?;
        let insn = insns.iter().next()?;
        Some(format!("{} {}", insn.mnemonic()?, insn.op_str()?))
    });
    let text = text.unwrap_or_else(|| "?".into());
    format!(
        "{bytes:02x?} ({text}) at {:#x}:{:#x}, EFLAGS {:#x}",
        r.cs, r.rip, r.flags
    )
}

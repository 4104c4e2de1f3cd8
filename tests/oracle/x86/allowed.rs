//! Where this emulator and the oracle may differ, in the words of the manual (SDM 2, the instruction's page; SDM 1).

use super::super::Row;
use super::record::{CODE16, CODE64, Record, vector};
use super::words::{insn, place};
use capstone::prelude::*;
use emu_frontend_x86::decode::insn::Insn;
use emu_frontend_x86::decode::row::{Method, flag};
use emu_frontend_x86::state::bits::eflags::{AF, CF, OF, PF, SF, ZF};
use emu_frontend_x86::state::bits::{mxcsr, xcr0};

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
    let insn = insn(before)
        .ok()
        .filter(|insn| std::ptr::eq(insn.row, place(row).row))?;
    if want == got {
        return None;
    }
    if insn.row.flags & flag::F64 != 0 && before.cs == CODE64 && insn.operand_size == 2 {
        return Some(NEAR);
    }
    if matches!(row.name.as_str(), "loope" | "loopne") && insn.repeat.is_some() {
        return Some(REPEATED);
    }
    if row.name.starts_with("xsave") && before.regs[0] & xcr0::PKRU != 0 {
        return Some(KEYS);
    }
    if let Some(words) = of_segments(row, &insn, before, want, got) {
        return Some(words);
    }
    if is_refused(before, want) || is_refused(before, got) {
        return order(row, &insn, before, want, got);
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

/// What is otherwise where segment registers are loaded, and where control goes to another segment.
fn of_segments(row: &Row, insn: &Insn, before: &Record, want: &Record, got: &Record) -> Option<&'static str> {
    let name = row.name.as_str();
    let far = matches!(name, "call_far" | "jmp_far" | "ret_far" | "iret");
    let pointer = far && insn.memory.is_some() || matches!(name, "lss" | "lfs" | "lgs");
    if pointer && insn.operand_size == 8 {
        return Some(POINTERS);
    }
    let mut same = *got;
    for (got, want) in [
        (&mut same.es, want.es),
        (&mut same.ds, want.ds),
        (&mut same.fs, want.fs),
        (&mut same.gs, want.gs),
    ] {
        if want == 0 && *got < 4 {
            *got = 0;
        }
    }
    if same == *want {
        return Some(NULL);
    }
    const LDT: u16 = 4;
    if far && want.ss & LDT != 0 {
        let low = |rsp: u64| rsp & 0xffff_ffff;
        if low(same.regs[4]) == low(want.regs[4]) {
            same.regs[4] = want.regs[4];
        }
        if same == *want {
            return Some(STACK16);
        }
    }
    if name == "call_far" && before.cs != CODE64 && got.cs == CODE64 && is_refused(before, want) {
        return Some(INTO_LONG);
    }
    let refused = [want, got].iter().all(|r| is_refused(before, r));
    if matches!(name, "sysret" | "sysexit") && refused && want.vector != got.vector {
        return Some(VENDORS);
    }
    if name == "lar" && insn.operand_size > 2 && (same.flags, same.vector) == (want.flags, want.vector) {
        let n = usize::from(insn.reg());
        same.regs[n] = same.regs[n] & !LIMIT | want.regs[n] & LIMIT;
        return (same == *want).then_some(RIGHTS);
    }
    if name == "fxrstor" {
        for (got, want) in same.pointers.iter_mut().zip(want.pointers) {
            if (*got as i64) << 16 >> 16 == want as i64 {
                *got = want;
            }
        }
        return (same == *want).then_some(CANONICAL);
    }
    if name == "call_far" && refused && want.vector == got.vector {
        (same.window, same.changed, same.changed_at, same.changed_by) =
            (want.window, want.changed, want.changed_at, want.changed_by);
        return (same == *want).then_some(PUSHED_FAR);
    }
    if name == "iret" && refused && [want, got].iter().all(|r| r.vector == vector::GP) {
        same.error = want.error;
        return (same == *want).then_some(OUTWARD);
    }
    let nothing =
        insn.repeat.is_some() && !is_refused(before, got) && want.vector == vector::GP && is_refused(before, want);
    (matches!(name, "ins" | "outs") && nothing).then_some(NO_TIMES)
}

const POINTERS: &str =
    "far pointers with an offset of 64 bits, which AMD's do not have: APM 3, LSS and CALL (Far); SDM 2, LSS and CALL";
/// Bits of a descriptor's limit among those that LAR gives.
const LIMIT: u64 = 0xf_0000;
const RIGHTS: &str = "\"00FxFF00H\", x undefined: SDM 2, LAR";
const CANONICAL: &str = "pointers of 64 bits, of which AMD's keep 48 and extend them: SDM 2, FXRSTOR";
const VENDORS: &str = "SYSRET outside of 64-bit mode is AMD's, SYSEXIT in long mode Intel's: APM 3, SYSRET and SYSEXIT";
const INTO_LONG: &str =
    "whether a CALL from compatibility mode to 64-bit code pushes in the old mode or the new is not said: SDM 2, CALL";
const FETCHED: &str =
    "whether all of an instruction is fetched before its prefix is found to be none is not said: SDM 3, table 6-2";
const NULL: &str = "a null selector has lost its RPL when Linux comes back to the program: SDM 2, IRET";
const STACK16: &str = "the upper half of RSP where Linux comes back to a stack of 16 bits: SDM 2, IRET";
const PUSHED_FAR: &str =
    "what a CALL that faults has pushed below the stack's top: AMD's push before they check, SDM 2, CALL";
const OUTWARD: &str = "\"#GP(Return selector)\" of a return to an inner level, where AMD's give 0: SDM 2, IRET";
const NO_TIMES: &str =
    "\"REP [...] count register 0\", where AMD's check the port's permission all the same: SDM 2, REP, INS";

/// Of several faults, which one it is.
fn order(row: &Row, insn: &Insn, before: &Record, want: &Record, got: &Record) -> Option<&'static str> {
    let all_are = |vectors: &[u32]| [want, got].iter().all(|r| vectors.contains(&r.vector));
    let mut same = *got;
    (same.vector, same.error, same.cr2) = (want.vector, want.error, want.cr2);
    let faults = [vector::SS, vector::GP, vector::PF, vector::AC];
    let is_vector = matches!(row.file.as_str(), "mmx" | "simd" | "simd-fp" | "fma");
    let is_area = matches!(row.name.as_str(), "fxsave" | "fxrstor")
        || row.name.starts_with("xsave")
        || row.name.starts_with("xrstor");
    if is_vector && (want.vector, got.vector) == (vector::XM, vector::XM) {
        (same.st, same.status, same.tags) = (want.st, want.status, want.tags);
        return (same == *want).then_some(TRANSITION);
    }
    if (is_vector || is_area) && (want.vector, got.vector) == (vector::GP, vector::SS) {
        return (same == *want).then_some(ALIGNED_OR_INSIDE);
    }
    match row.name.as_str() {
        name if name.starts_with("sha") && got.vector == vector::GP && insn.memory.is_some() => Some(SHA),
        "pextrd" | "pinsrd" if insn.vex.is_some() && want.vector == vector::UD => Some(NARROW),
        "maskmovq" | "maskmovdqu" | "vmaskmovps" | "vmaskmovpd" | "vpmaskmovd" | "vpmaskmovq" => {
            // MMX has taken the x87's stack.
            (same.st, same.status, same.tags) = (want.st, want.status, want.tags);
            let implied = row.name.starts_with("maskmov") && is_refused(before, want) && !is_refused(before, got);
            if implied {
                return Some(UNSELECTED);
            }
            (same == *want && all_are(&faults)).then_some(MASKED)
        }
        "enter" | "pusha" | "popa" | "iret" | "ret_far" | "call_far" => {
            // What was pushed before the fault stays below the stack's top.
            (same.window, same.changed, same.changed_at, same.changed_by) =
                (want.window, want.changed, want.changed_at, want.changed_by);
            (same == *want && all_are(&faults)).then_some(WORDS)
        }
        "fxsave" | "fxrstor" | "xsave" | "xsaveopt" | "xsavec" | "xrstor" | "fnsave" | "frstor" | "fnstenv"
        | "fldenv"
            if all_are(&faults) =>
        {
            (same == *want).then_some(AREAS)
        }
        "cmps" | "movs" => (same == *want && all_are(&faults)).then_some(OPERANDS),
        "call" if got.vector == vector::GP && [vector::SS, vector::PF].contains(&want.vector) => Some(PUSHED),
        _ if insn.vex.is_some() && (want.vector, got.vector) == (vector::PF, vector::UD) => {
            (same == *want).then_some(FETCHED)
        }
        "ud0" if want.vector == vector::UD && got.vector == vector::PF => Some(WITHOUT_MODRM),
        _ => None,
    }
}

const ALIGNED_OR_INSIDE: &str =
    "whether an operand must be aligned or within the stack's limit first is not said: SDM 2, 2.4";
const TRANSITION: &str = "\"This instruction causes a transition from x87 FPU to MMX technology operation\", before or after #XM: SDM 2, CVTPI2PS";
const SHA: &str =
    "\"Exceptions Type 4\", of operands that must be aligned, where AMD's are not: SDM 2, SHA1MSG1 and others";
const NARROW: &str = "\"VEX.W in non-64 bit is ignored; the instruction behaves as if the W0 version is used\", of AMD's #UD: SDM 2, PEXTRD, PINSRD";
const UNSELECTED: &str = "\"Exceptions associated with addressing memory and page faults may still be signaled (implementation \
    dependent)\", of bytes that are not selected: SDM 2, MASKMOVDQU, MASKMOVQ";
const MASKED: &str =
    "of which of the bytes that a mask selects a page fault is, is not said: SDM 2, MASKMOVQ, VMASKMOV";
const WORDS: &str = "of which of several words on the stack a fault is, is not said: SDM 2, ENTER, PUSHA, POPA";
const KEYS: &str = "records do not hold PKRU, which only some processors have: SDM 1, 13.5.7";
const AREAS: &str = "at which byte of an area a page fault is, is not said: SDM 2, FXSAVE, XSAVE, FSAVE, FSTENV";
const OPERANDS: &str = "of which of two operands in memory a fault is, is not said: SDM 2, CMPS, MOVS";
const PUSHED: &str =
    "\"IF tempRIP is non-canonical THEN #GP(0); [...] Push(RIP)\", where AMD's push first: SDM 2, CALL";
const WITHOUT_MODRM: &str = "\"Some older processors decode the UD0 instruction without a ModR/M byte\": SDM 2, UD";
const REPEATED: &str = "\"Use of repeat prefixes [...] with other Intel 64 or IA-32 instructions is reserved; such use may cause \
    unpredictable behavior\", and AMD's take LOOPE with F2 for LOOPNE: SDM 2, 2.1.1";
const NEAR: &str = "66 before a near branch of 64-bit code: AMD's take it, Intel's do not: APM 3, JMP; SDM 2, JMP";
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
            for (st, near) in same.st.iter_mut().zip(&want.st) {
                let (a, b) = (u128::from_le_bytes(*st), u128::from_le_bytes(*near));
                if a.abs_diff(b) <= 1 {
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

//! Where the manual leaves open what an instruction ends in, and where the processors of two makers differ: a table of rows, of
//! what they end in there and here, and of what else in the records differs then.

use super::super::Row;
use super::allowed::is_refused;
use super::record::{CODE64, Record, vector::*};
use super::words::place;
use emu_frontend_x86::decode::insn::{Insn, Segment};
use emu_frontend_x86::decode::row::{self, Encoding, Method, Width};
use emu_frontend_x86::state::bits::xcr0;

/// What an instruction ends in if not in an exception by its vector: it has been carried out.
const DONE: u32 = u32::MAX;

/// An instruction, and the records around it: before, after it there, and after it here.
struct Case<'a> {
    row: &'static row::Row,
    insn: &'a Insn,
    before: &'a Record,
    want: &'a Record,
    got: &'a Record,
}

impl Case<'_> {
    fn is_64(&self) -> bool {
        self.before.cs == CODE64
    }
    fn has_memory(&self) -> bool {
        self.insn.memory.is_some()
    }
    fn is_in_stack(&self) -> bool {
        self.insn.memory.is_some_and(|memory| memory.segment == Segment::Ss)
    }
    /// Its row has instructions with VEX; it may be none of them.
    fn is_of_vex(&self) -> bool {
        self.row.encoding != Encoding::Legacy
    }
    fn has_vex(&self) -> bool {
        self.insn.vex.is_some()
    }
    /// What is in rCX, of the address size.
    fn count(&self) -> u64 {
        self.before.regs[1] & u64::MAX >> (64 - 8 * u32::from(self.insn.address_size))
    }
    /// Its operand in memory must be aligned: with VEX, only moves say so.
    fn is_aligned(&self) -> bool {
        let vectors = [Method::V, Method::W, Method::M];
        let uses = self.insn.row.operands.iter().any(|o| vectors.contains(&o.method));
        uses && (!self.has_vex() || ALIGNED.contains(&self.row.name))
    }
    /// Its operand in memory is a vector of 16 bytes or more, or half of one.
    fn is_long(&self) -> bool {
        let vectors = |w| matches!(w, Width::X | Width::Dq) || self.has_vex() && matches!(w, Width::H | Width::L);
        let mut operands = self.insn.row.operands.iter();
        self.has_memory() && operands.any(|o| matches!(o.method, Method::W | Method::M) && vectors(o.width))
    }
    /// Some of it is not in memory.
    fn is_cut(&self) -> bool {
        self.before.placed().len() < usize::from(self.before.length)
    }
    /// What it ends in, there and here.
    fn ends(&self) -> (u32, u32) {
        let end = |after: &Record| match is_refused(self.before, after) {
            true => after.vector,
            false => DONE,
        };
        (end(self.want), end(self.got))
    }
}

/// Something in records that may differ: makes it in ours what it is there.
type Part = fn(&Case, &mut Record);

/// Which exception it is, with what is known of it.
fn exception(c: &Case, same: &mut Record) {
    (same.vector, same.error, same.cr2) = (c.want.vector, c.want.error, c.want.cr2);
}
/// Its error code.
fn error(c: &Case, same: &mut Record) {
    same.error = c.want.error;
}
/// What is stored.
fn memory(c: &Case, same: &mut Record) {
    (same.window, same.changed, same.changed_at, same.changed_by) =
        (c.want.window, c.want.changed, c.want.changed_at, c.want.changed_by);
}
/// Whether MMX has taken the x87's registers.
fn taken(c: &Case, same: &mut Record) {
    (same.st, same.status, same.tags) = (c.want.st, c.want.status, c.want.tags);
}
/// The RPL of null selectors.
fn nulls(c: &Case, same: &mut Record) {
    for (same, want) in [
        (&mut same.es, c.want.es),
        (&mut same.ds, c.want.ds),
        (&mut same.fs, c.want.fs),
        (&mut same.gs, c.want.gs),
    ] {
        if want == 0 && *same < 4 {
            *same = 0;
        }
    }
}
/// The upper half of RSP.
fn upper_rsp(c: &Case, same: &mut Record) {
    const LOW: u64 = 0xffff_ffff;
    same.regs[4] = same.regs[4] & LOW | c.want.regs[4] & !LOW;
}
/// The upper halves of RCX, RSI and RDI, where they are 0 there.
fn upper_indexes(c: &Case, same: &mut Record) {
    const LOW: u64 = 0xffff_ffff;
    for n in [1, 6, 7] {
        if same.regs[n] & LOW == c.want.regs[n] {
            same.regs[n] = c.want.regs[n];
        }
    }
}
/// All registers but RSP.
fn popped(c: &Case, same: &mut Record) {
    let rsp = same.regs[4];
    same.regs = c.want.regs;
    same.regs[4] = rsp;
}
/// EFLAGS, where they are those before.
fn flags(c: &Case, same: &mut Record) {
    if c.want.flags == c.before.flags {
        same.flags = c.want.flags;
    }
}
/// The upper bits of x87's pointers, where they are those below extended, of as many as a linear address has.
fn upper_pointers(c: &Case, same: &mut Record) {
    for (same, want) in same.pointers.iter_mut().zip(c.want.pointers) {
        if [16, 7].iter().any(|n| (*same as i64) << n >> n == want as i64) {
            *same = want;
        }
    }
}
/// Of what LAR gives, the limit.
fn limit(c: &Case, same: &mut Record) {
    const LIMIT: u64 = 0xf_0000;
    let n = usize::from(c.insn.reg());
    same.regs[n] = same.regs[n] & !LIMIT | c.want.regs[n] & LIMIT;
}
/// The mask of a gather, of which each element's highest bit counts.
fn mask(c: &Case, same: &mut Record) {
    let n = usize::from(c.insn.vex.map_or(0, |vex| vex.vvvv));
    let [index, element] = [c.row.name.contains("gatherq"), c.insn.rex.w].map(|wide| if wide { 8 } else { 4 });
    let vector = if c.insn.vex.is_some_and(|vex| vex.l) { 32 } else { 16 };
    let count = vector / index.max(element);
    let highest = |ymm: &[u8; 32]| {
        let elements = ymm.chunks(element).take(count);
        elements.fold(0, |all, bytes| all << 1 | u32::from(bytes[element - 1] >> 7))
    };
    if highest(&same.ymm[n]) == highest(&c.want.ymm[n]) {
        same.ymm[n] = c.want.ymm[n];
    }
}
/// Which exceptions of floating point have been found.
fn mxcsr(c: &Case, same: &mut Record) {
    same.mxcsr = c.want.mxcsr;
}
/// Which of the numbers that are none it is.
fn nans(c: &Case, same: &mut Record) {
    let (same, want) = (same.ymm.as_flattened_mut(), c.want.ymm.as_flattened());
    if c.row.name == "dppd" {
        for (same, want) in same.as_chunks_mut::<8>().0.iter_mut().zip(want.as_chunks().0) {
            if [*same, *want].iter().all(|&lane| f64::from_le_bytes(lane).is_nan()) {
                *same = *want;
            }
        }
        return;
    }
    for (same, want) in same.as_chunks_mut::<4>().0.iter_mut().zip(want.as_chunks().0) {
        if [*same, *want].iter().all(|&lane| f32::from_le_bytes(lane).is_nan()) {
            *same = *want;
        }
    }
}
/// What is above 128 bits of the destination, where it is 0 there.
fn upper_half(c: &Case, same: &mut Record) {
    let n = usize::from(c.insn.reg());
    if c.want.ymm[n][16..] == [0; 16] {
        same.ymm[n][16..].fill(0);
    }
}
/// Anything.
fn all(c: &Case, same: &mut Record) {
    *same = *c.want;
}

/// What may differ, and why.
struct Rule {
    /// Names of rows; none: of any.
    rows: &'static [&'static str],
    when: fn(&Case) -> bool,
    /// What it ends in there, and here; none: anything.
    ends: &'static [(u32, u32)],
    parts: &'static [Part],
    words: &'static str,
}

impl Rule {
    fn allows(&self, row: &Row, case: &Case) -> bool {
        let is_it = self.rows.is_empty() || self.rows.contains(&row.name.as_str());
        if !is_it || !(self.when)(case) || !self.ends.is_empty() && !self.ends.contains(&case.ends()) {
            return false;
        }
        let mut same = *case.got;
        self.parts.iter().for_each(|part| part(case, &mut same));
        same == *case.want
    }
}

/// It is carried out on both sides.
const BOTH: &[(u32, u32)] = &[(DONE, DONE)];
/// Faults of operands in memory, in either order, and the same one of another place.
#[rustfmt::skip]
const OPERANDS: &[(u32, u32)] = &[
    (PF, PF), (GP, GP), (SS, SS), (AC, AC), (PF, GP), (GP, PF), (PF, SS), (SS, PF), (GP, SS), (SS, GP), (PF, AC), (AC, PF), (GP, AC), (AC, GP), (SS, AC), (AC, SS),
];
/// The same fault of an operand in memory.
const OPERANDS_ALIKE: &[(u32, u32)] = &[(PF, PF), (GP, GP), (SS, SS), (AC, AC)];
/// Rows of instructions that access an area of memory in many pieces.
const AREAS: &[&str] = &[
    "fxsave", "fxrstor", "xsave", "xsaveopt", "xsavec", "xrstor", "fnsave", "frstor", "fnstenv", "fldenv",
];
/// Rows of moves that ask for alignment with VEX too.
const ALIGNED: &[&str] = &[
    "movaps", "movapd", "movdqa", "movntps", "movntpd", "movntdq", "movntdqa",
];
/// The states of XSAVE that records hold.
const IN_RECORDS: u64 = xcr0::X87 | xcr0::SSE | xcr0::AVX;
/// Of the x87's status word: an exception waits that is not masked.
const ES: u16 = 1 << 7;
/// Of a selector: it is of the LDT.
const LDT: u16 = 4;

fn always(_: &Case) -> bool {
    true
}

#[rustfmt::skip]
const RULES: &[Rule] = &[
    // ---- processors of two makers
    Rule {
        rows: &["call", "jcc", "jcxz", "jmp", "loop_", "loope", "loopne", "ret"], when: |c| c.is_64() && c.insn.operand_size == 2, ends: &[],
        parts: &[all],
        words: "66 before a near branch of 64-bit code: AMD's take it, Intel's do not: APM 3, JMP; SDM 2, JMP",
    },
    Rule {
        rows: &["loope", "loopne"], when: |c| c.insn.repeat.is_some(), ends: BOTH, parts: &[all],
        words: "\"Use of repeat prefixes [...] with other Intel 64 or IA-32 instructions is reserved; such use may cause unpredictable \
            behavior\", and AMD's take LOOPE with F2 for LOOPNE: SDM 2, 2.1.1",
    },
    Rule {
        rows: &["call_far", "jmp_far", "lss", "lfs", "lgs"], when: |c| c.has_memory() && c.insn.operand_size == 8, ends: &[], parts: &[all],
        words: "far pointers with an offset of 64 bits, which AMD's do not have: APM 3, LSS and CALL (Far); SDM 2, LSS and CALL",
    },
    Rule {
        rows: &["sysret", "sysexit"], when: always, ends: &[(UD, GP), (GP, UD)], parts: &[exception],
        words: "SYSRET outside of 64-bit mode is AMD's, SYSEXIT in long mode Intel's: APM 3, SYSRET and SYSEXIT",
    },
    Rule {
        rows: &["fxrstor", "xrstor"], when: always, ends: BOTH, parts: &[upper_pointers],
        words: "pointers of 64 bits, of which processors keep 48 or 57 and extend them: SDM 2, FXRSTOR",
    },
    Rule {
        rows: &["call_far"], when: |c| c.is_64() != ([c.got.cs, c.want.cs].contains(&CODE64)) || c.is_64() && c.want.cs != CODE64,
        ends: &[(PF, DONE), (DONE, SS), (DONE, PF), (SS, DONE)], parts: &[all],
        words: "whether a CALL between compatibility mode and 64-bit code pushes in the old mode or the new is not said: SDM 2, CALL",
    },
    Rule {
        rows: &["call_far"], when: always, ends: &[(GP, GP), (PF, PF), (SS, SS)], parts: &[memory],
        words: "what a CALL that faults has pushed below the stack's top: AMD's push before they check, SDM 2, CALL",
    },
    Rule {
        rows: &["iret"], when: |c| c.want.error == 0, ends: &[(GP, GP)], parts: &[error],
        words: "\"#GP(Return selector)\" of a return to an inner level, where AMD's give 0: SDM 2, IRET",
    },
    Rule {
        rows: &["ins", "outs"], when: |c| c.insn.repeat.is_some() && c.count() == 0, ends: &[(GP, DONE)], parts: &[all],
        words: "\"REP [...] count register 0\", where AMD's check the port's permission all the same: SDM 2, REP, INS",
    },
    Rule {
        rows: &["call"], when: always, ends: &[(SS, GP), (PF, GP), (AC, GP), (GP, GP)], parts: &[exception, memory],
        words: "\"IF tempRIP is non-canonical THEN #GP(0); [...] Push(RIP)\", where processors push first: SDM 2, CALL",
    },
    Rule {
        rows: &["pause"], when: |c| c.insn.rex.b, ends: BOTH, parts: &[all],
        words: "F3 90 with REX.B: Intel's take it for PAUSE, AMD's for XCHG: SDM 2, PAUSE; APM 3, PAUSE",
    },
    Rule {
        rows: &["push_segment"], when: |c| c.insn.operand_size > 2, ends: &[(DONE, DONE), (DONE, PF), (DONE, SS), (DONE, GP), (DONE, AC)],
        parts: &[all],
        words: "\"either a zero-extended value is pushed on the stack or the segment selector is written on the stack using a 16-bit \
            move\": SDM 2, PUSH",
    },
    Rule {
        rows: &["sha1rnds4", "sha1nexte", "sha1msg1", "sha1msg2", "sha256rnds2", "sha256msg1", "sha256msg2"],
        when: |c| c.has_memory(), ends: &[(DONE, GP), (PF, GP), (SS, GP), (AC, GP)], parts: &[all],
        words: "\"Exceptions Type 4\", of operands that must be aligned, where AMD's are not: SDM 2, SHA1MSG1 and others",
    },
    Rule {
        rows: &["pextrd", "pinsrd"], when: |c| c.has_vex() && c.insn.rex.w && !c.is_64(), ends: &[(UD, DONE), (UD, PF), (UD, GP), (UD, SS)],
        parts: &[all],
        words: "\"VEX.W in non-64 bit is ignored; the instruction behaves as if the W0 version is used\", of AMD's #UD: SDM 2, PEXTRD, \
            PINSRD",
    },
    Rule {
        rows: &["ud0"], when: always, ends: &[(UD, PF)], parts: &[exception],
        words: "\"Some older processors decode the UD0 instruction without a ModR/M byte\": SDM 2, UD",
    },

    // ---- the oracle
    Rule {
        rows: &["mov_to_segment", "pop_segment", "lds", "les", "lfs", "lgs"], when: always, ends: BOTH, parts: &[nulls],
        words: "a null selector has lost its RPL when Linux comes back to the program: SDM 2, IRET",
    },
    Rule {
        rows: &["call_far", "jmp_far", "ret_far", "iret"], when: |c| c.want.ss & LDT != 0 && c.want.cs == CODE64, ends: BOTH,
        parts: &[upper_rsp],
        words: "the upper half of RSP where Linux comes back to a stack of 16 bits: SDM 2, IRET",
    },
    Rule {
        rows: &["xsave", "xsaveopt", "xsavec"], when: |c| c.before.regs[0] & !IN_RECORDS != 0,
        ends: &[(DONE, DONE), (PF, PF), (PF, DONE), (SS, DONE), (GP, DONE)], parts: &[all],
        words: "records do not hold all states, of which some processors have more than others: SDM 1, 13.5",
    },

    // ---- results
    Rule {
        rows: &["lar"], when: |c| c.insn.operand_size > 2, ends: BOTH, parts: &[limit],
        words: "\"00FxFF00H\", x undefined: SDM 2, LAR",
    },

    // ---- which of several faults
    Rule {
        rows: &["cvtpi2ps", "cvtpi2pd", "cvtps2pi", "cvttps2pi", "cvtpd2pi", "cvttpd2pi"], when: always, ends: &[(XM, XM)], parts: &[taken],
        words: "\"This instruction causes a transition from x87 FPU to MMX technology operation\", before or after #XM: SDM 2, CVTPI2PS",
    },
    Rule {
        rows: &[], when: |c| c.is_in_stack() && c.is_aligned(), ends: &[(GP, SS)], parts: &[exception],
        words: "whether an operand must be aligned or within the stack's limit first is not said: SDM 2, 2.4",
    },
    Rule {
        rows: &["maskmovq", "maskmovdqu"], when: always, ends: &[(PF, DONE), (GP, DONE), (SS, DONE)], parts: &[all],
        words: "\"Exceptions associated with addressing memory and page faults may still be signaled (implementation dependent)\", of bytes \
            that are not selected: SDM 2, MASKMOVDQU, MASKMOVQ",
    },
    Rule {
        rows: &["maskmovdqu", "maskmovq"], when: always, ends: &[(AC, DONE)], parts: &[all],
        words: "which of the bytes that a mask selects must be aligned, if any, is not said: SDM 2, MASKMOVDQU, MASKMOVQ",
    },
    Rule {
        rows: &[], when: |c| c.is_long() && c.ends().1 == AC, ends: &[], parts: &[all],
        words: "whether #AC is for operands of 16 bytes and more is the processor's own: SDM 3, Interrupt 17; SDM 2, 2.4",
    },
    Rule {
        rows: &["vgatherdps", "vgatherdpd", "vgatherqps", "vgatherqpd", "vpgatherdd", "vpgatherdq", "vpgatherqd", "vpgatherqq"],
        when: always, ends: OPERANDS, parts: &[exception, mask, upper_half],
        words: "whether what is left of the mask has been extended before a fault, and what is above 128 bits is 0, is not said: SDM 2, VPGATHERDD",
    },
    Rule {
        rows: &["pop_segment"], when: |c| c.insn.operand_size > 2 || c.ends().1 == AC,
        ends: &[(DONE, PF), (DONE, SS), (DONE, GP), (DONE, AC), (GP, AC), (NP, AC), (SS, AC), (PF, AC), (GP, PF), (GP, SS)], parts: &[all],
        words: "how much is read of what a segment register is popped from is not said: SDM 2, POP",
    },
    Rule {
        rows: &["fst", "fstp", "fist", "fistp", "fisttp", "fbstp"], when: |c| c.has_memory() && c.want.status & ES != 0,
        ends: &[(DONE, PF), (DONE, SS), (DONE, GP), (DONE, AC)], parts: &[all],
        words: "whether memory is accessed that an exception of the x87 keeps from being stored to is not said: SDM 1, 8.5.1",
    },
    Rule {
        rows: &["vmaskmovps", "vmaskmovpd", "vpmaskmovd", "vpmaskmovq"], when: always, ends: &[(GP, DONE), (SS, DONE)], parts: &[all],
        words: "whether elements must be within a segment that a mask does not select is not said: SDM 2, VMASKMOV",
    },
    Rule {
        rows: &["fstp", "fbstp"], when: |c| c.has_memory(), ends: OPERANDS, parts: &[exception, memory],
        words: "what has been stored of 80 bits before a fault is not said: SDM 2, FST, FBSTP",
    },
    Rule {
        rows: &["lds", "les", "lss", "lfs", "lgs", "call_far", "jmp_far"], when: always, ends: OPERANDS, parts: &[exception],
        words: "which part of a far pointer is read first is not said: SDM 2, LDS, JMP",
    },
    Rule {
        rows: &["fxrstor", "xrstor", "frstor"], when: always, ends: OPERANDS, parts: &[all],
        words: "what has been restored before a fault is not said: SDM 2, FXRSTOR, XRSTOR",
    },
    Rule {
        rows: &[], when: always, ends: &[(SS, AC), (GP, AC)], parts: &[exception],
        words: "the order of the faults of an operand is not said: SDM 3, table 6-2",
    },
    Rule {
        rows: &["vcvtps2ph"], when: |c| c.has_memory(), ends: &[(PF, PF), (GP, GP), (SS, SS), (AC, AC), (XM, PF), (XM, GP), (XM, SS), (XM, AC)],
        parts: &[exception, mxcsr],
        words: "whether the flags of an instruction are set whose store faults, and which exception is first, is not said: SDM 2, VCVTPS2PH",
    },
    Rule {
        rows: &["dpps", "dppd"], when: always, ends: BOTH, parts: &[nans],
        words: "which of several numbers that are none is the result is not said: SDM 2, DPPS, DPPD",
    },
    Rule {
        rows: &["bound"], when: always, ends: &[(BR, PF), (BR, GP), (BR, SS), (BR, AC)], parts: &[exception],
        words: "whether both bounds are read if the index is below the first is not said: SDM 2, BOUND",
    },
    Rule {
        rows: &["movd", "movq", "movntq"], when: always, ends: OPERANDS_ALIKE, parts: &[taken],
        words: "\"This instruction causes a transition from x87 FPU to MMX technology state\", before or after a fault of what it stores \
            to: SDM 1, 9.5.1",
    },
    Rule {
        rows: &["maskmovq"], when: always, ends: OPERANDS, parts: &[exception, taken],
        words: "\"This instruction causes a transition from x87 FPU to MMX technology state\", before or after a fault, of which of the \
            bytes is not said either: SDM 2, MASKMOVQ",
    },
    Rule {
        rows: &["maskmovdqu", "vmaskmovps", "vmaskmovpd", "vpmaskmovd", "vpmaskmovq"], when: always, ends: OPERANDS, parts: &[exception],
        words: "of which of the elements that a mask selects a fault is, is not said: SDM 2, MASKMOVDQU, VMASKMOV; SDM 3, 6.9",
    },
    Rule {
        rows: &["enter", "pusha", "popa", "iret", "ret_far", "call_far"], when: always, ends: OPERANDS, parts: &[exception, memory],
        words: "of which of several words on the stack a fault is, is not said: SDM 2, ENTER, PUSHA, POPA",
    },
    Rule {
        rows: AREAS, when: always, ends: OPERANDS, parts: &[exception, memory],
        words: "at which byte of an area a page fault is, and what has been stored then, is not said: SDM 2, FXSAVE, XSAVE, FSAVE, FSTENV",
    },
    Rule {
        rows: &["xsave", "xsaveopt", "xsavec", "xrstor"], when: always, ends: &[(PF, DONE), (SS, DONE), (GP, DONE), (AC, DONE)],
        parts: &[all],
        words: "whether those parts of an area are accessed whose state is not moved is not said: SDM 1, 13.7 to 13.10",
    },
    Rule {
        rows: &["cmps", "scas"], when: |c| c.insn.repeat.is_some(), ends: OPERANDS, parts: &[exception, flags],
        words: "\"the EFLAGS value is restored to the state prior to the execution of the instruction\", where AMD's have those of the \
            last comparison: SDM 2, REP",
    },
    Rule {
        rows: &["movs", "cmps", "stos", "lods", "scas", "ins", "outs"], when: |c| c.is_64() && c.insn.address_size == 4, ends: OPERANDS,
        parts: &[exception, upper_indexes],
        words: "whether the upper halves of registers become 0 where nothing was moved is not said: SDM 2, MOVS",
    },
    Rule {
        rows: &["popa"], when: always, ends: OPERANDS, parts: &[exception, popped],
        words: "which registers have been popped before a fault is not said: SDM 2, POPA",
    },
    Rule {
        rows: &["cmps", "movs"], when: always, ends: OPERANDS, parts: &[exception],
        words: "of which of two operands in memory a fault is, is not said: SDM 2, CMPS, MOVS",
    },
    Rule {
        rows: &[], when: |c| c.is_of_vex() && c.is_cut(), ends: &[(PF, UD), (UD, PF)], parts: &[exception],
        words: "whether all of an instruction is fetched before its prefix is found to be none is not said: SDM 3, table 6-2",
    },
];

/// Why the records may differ, if they may.
pub fn find(row: &Row, insn: &Insn, before: &Record, want: &Record, got: &Record) -> Option<&'static str> {
    let case = Case {
        row: place(row).row,
        insn,
        before,
        want,
        got,
    };
    let rule = RULES.iter().find(|rule| rule.allows(row, &case));
    rule.map(|rule| rule.words)
}

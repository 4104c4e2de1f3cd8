//! Instructions that programs use most, without loading and storing all of the unit: where every exception is masked and
//! registers are there that are asked for. They leave what [`super::execute`] makes of them; tests compare both.

use emu_ir::{X87Insn, X87Unit, x87_status};
use std::arch::asm;
use std::sync::LazyLock;

/// Where an instruction finds its operands on a stack of its own, and where it leaves its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// In ST(0), and what ST(1) holds or memory: in ST(0).
    Top,
    /// The same, and ST(0) is popped then.
    TopPopped,
    /// In both, which are popped.
    BothPopped,
    /// In ST(0) and ST(i): in ST(i).
    Second,
    /// The same, and ST(0) is popped.
    SecondPopped,
    /// In memory, if at all: pushed.
    Push,
    /// In ST(0): popped to memory.
    Pop,
}
use Kind::*;

/// Two numbers of 80 bits, where an operand in memory is, and status flags as LAHF and SETO give them. The numbers change, the
/// unit's status word and the status flags are returned.
type Run = unsafe fn(&mut [[u64; 2]; 2], &mut [u8; 10], u16, u16) -> (u16, u16);

/// The control word that the host's unit has else.
static INITIAL: u16 = 0x37f;

macro_rules! template {
    ($name:ident: $before:literal, $($after:literal),*) => {
        /// # Safety
        /// The instruction has its operands on the stack, or at RSI; the control word masks every exception.
        unsafe fn $name<const OPCODE: u8, const MODRM: u8>(
            st: &mut [[u64; 2]; 2],
            operand: &mut [u8; 10],
            control: u16,
            status: u16,
        ) -> (u16, u16) {
            let (mut status, word): (u16, u16) = (status, 0);
            // SAFETY: the stack is empty before and after, and the control word is the host's own again. No exception is
            // unmasked. Memory that is accessed is borrowed for it.
            unsafe {
                asm!(
                    $before,
                    "fldcw [{control}]",
                    "add al, 0x7f",
                    "sahf",
                    ".byte {opcode}, {modrm}",
                    "lahf",
                    "seto al",
                    "fnstsw [{word}]",
                    $($after,)*
                    "fnclex",
                    "fldcw [{initial}]",
                    st = in(reg) st,
                    control = in(reg) &control,
                    word = in(reg) &word,
                    initial = in(reg) &INITIAL,
                    in("rsi") operand,
                    opcode = const OPCODE,
                    modrm = const MODRM,
                    inout("ax") status,
                    out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
                    out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
                    out("mm0") _, out("mm1") _, out("mm2") _, out("mm3") _,
                    out("mm4") _, out("mm5") _, out("mm6") _, out("mm7") _,
                    options(nostack),
                );
            }
            (word, status)
        }
    };
}
template! { top: "fld tbyte ptr [{st} + 16]\nfld tbyte ptr [{st}]", "fstp tbyte ptr [{st}]", "fstp st(0)" }
template! { second: "fld tbyte ptr [{st} + 16]\nfld tbyte ptr [{st}]", "fstp st(0)", "fstp tbyte ptr [{st} + 16]" }
template! { pushed: "", "fstp tbyte ptr [{st}]" }
template! { popped: "fld tbyte ptr [{st}]", "" }

/// An instruction, as it is executed on a stack of its own.
struct Direct {
    opcode: u8,
    /// ModRM: of memory ModRM.reg alone, of registers the first, or the only one.
    modrm: u8,
    kind: Kind,
    /// Which condition codes it sets.
    sets: u16,
    run: Run,
}

macro_rules! direct {
    ($( $opcode:literal $modrm:literal $kind:ident $run:ident $own:literal $own_modrm:literal )*) => {
        static DIRECT: &[Direct] = &[$( Direct {
            opcode: $opcode,
            modrm: $modrm,
            kind: $kind,
            sets: sets($own, $own_modrm),
            run: $run::<$own, $own_modrm>,
        } ),*];
    };
}

/// Comparisons set all condition codes, those that set status flags C1 or none ([`KEEPS_C1`]), FCMOVcc none, all others C1.
const fn sets(opcode: u8, modrm: u8) -> u16 {
    match (opcode, modrm) {
        (0xd8 | 0xda | 0xdc | 0xde, 0..0xc0) if modrm >> 3 == 2 => CONDITIONS,
        (0xd8, 0xd1) | (0xdd, 0xe1) | (0xd9, 0xe4) => CONDITIONS,
        (0xda, 0xc0..) | (0xdb, 0xc0..=0xdf) => 0,
        _ => C1,
    }
}

// What is popped is popped here, but for stores to memory: the instruction's own form does not pop.
direct! {
    // FADD, FMUL, FCOM, FCOMP, FSUB, FSUBR, FDIV, FDIVR of memory: m32fp, m32int, m64fp, m16int.
    0xd8 0x00 Top       top 0xd8 0x06    0xd8 0x08 Top top 0xd8 0x0e    0xd8 0x10 Top top 0xd8 0x16
    0xd8 0x18 TopPopped top 0xd8 0x16    0xd8 0x20 Top top 0xd8 0x26    0xd8 0x28 Top top 0xd8 0x2e
    0xd8 0x30 Top       top 0xd8 0x36    0xd8 0x38 Top top 0xd8 0x3e
    0xda 0x00 Top       top 0xda 0x06    0xda 0x08 Top top 0xda 0x0e    0xda 0x10 Top top 0xda 0x16
    0xda 0x18 TopPopped top 0xda 0x16    0xda 0x20 Top top 0xda 0x26    0xda 0x28 Top top 0xda 0x2e
    0xda 0x30 Top       top 0xda 0x36    0xda 0x38 Top top 0xda 0x3e
    0xdc 0x00 Top       top 0xdc 0x06    0xdc 0x08 Top top 0xdc 0x0e    0xdc 0x10 Top top 0xdc 0x16
    0xdc 0x18 TopPopped top 0xdc 0x16    0xdc 0x20 Top top 0xdc 0x26    0xdc 0x28 Top top 0xdc 0x2e
    0xdc 0x30 Top       top 0xdc 0x36    0xdc 0x38 Top top 0xdc 0x3e
    0xde 0x00 Top       top 0xde 0x06    0xde 0x08 Top top 0xde 0x0e    0xde 0x10 Top top 0xde 0x16
    0xde 0x18 TopPopped top 0xde 0x16    0xde 0x20 Top top 0xde 0x26    0xde 0x28 Top top 0xde 0x2e
    0xde 0x30 Top       top 0xde 0x36    0xde 0x38 Top top 0xde 0x3e
    // The same of registers: to ST(0), to ST(i), and popped.
    0xd8 0xc0 Top       top 0xd8 0xc1    0xd8 0xc8 Top top 0xd8 0xc9    0xd8 0xd0 Top top 0xd8 0xd1
    0xd8 0xd8 TopPopped top 0xd8 0xd1    0xd8 0xe0 Top top 0xd8 0xe1    0xd8 0xe8 Top top 0xd8 0xe9
    0xd8 0xf0 Top       top 0xd8 0xf1    0xd8 0xf8 Top top 0xd8 0xf9
    0xdc 0xc0 Second    second 0xdc 0xc1    0xdc 0xc8 Second second 0xdc 0xc9    0xdc 0xe0 Second second 0xdc 0xe1
    0xdc 0xe8 Second    second 0xdc 0xe9    0xdc 0xf0 Second second 0xdc 0xf1    0xdc 0xf8 Second second 0xdc 0xf9
    0xde 0xc0 SecondPopped second 0xdc 0xc1    0xde 0xc8 SecondPopped second 0xdc 0xc9
    0xde 0xe0 SecondPopped second 0xdc 0xe1    0xde 0xe8 SecondPopped second 0xdc 0xe9
    0xde 0xf0 SecondPopped second 0xdc 0xf1    0xde 0xf8 SecondPopped second 0xdc 0xf9
    // FCOMPP, FUCOM, FUCOMP, FUCOMPP; FUCOMI, FCOMI, FUCOMIP, FCOMIP.
    0xde 0xd9 BothPopped top 0xd8 0xd1
    0xdd 0xe0 Top        top 0xdd 0xe1   0xdd 0xe8 TopPopped top 0xdd 0xe1   0xda 0xe9 BothPopped top 0xdd 0xe1
    0xdb 0xe8 Top        top 0xdb 0xe9   0xdb 0xf0 Top       top 0xdb 0xf1
    0xdf 0xe8 TopPopped  top 0xdb 0xe9   0xdf 0xf0 TopPopped top 0xdb 0xf1
    // FCMOVcc.
    0xda 0xc0 Top top 0xda 0xc1   0xda 0xc8 Top top 0xda 0xc9   0xda 0xd0 Top top 0xda 0xd1   0xda 0xd8 Top top 0xda 0xd9
    0xdb 0xc0 Top top 0xdb 0xc1   0xdb 0xc8 Top top 0xdb 0xc9   0xdb 0xd0 Top top 0xdb 0xd1   0xdb 0xd8 Top top 0xdb 0xd9
    // FLD, FST, FSTP, FILD, FISTTP, FIST, FISTP of memory.
    0xd9 0x00 Push pushed 0xd9 0x06   0xd9 0x10 Top top 0xd9 0x16   0xd9 0x18 Pop popped 0xd9 0x1e
    0xdd 0x00 Push pushed 0xdd 0x06   0xdd 0x10 Top top 0xdd 0x16   0xdd 0x18 Pop popped 0xdd 0x1e
    0xdb 0x28 Push pushed 0xdb 0x2e   0xdb 0x38 Pop popped 0xdb 0x3e
    0xdb 0x00 Push pushed 0xdb 0x06   0xdb 0x10 Top top 0xdb 0x16   0xdb 0x18 Pop popped 0xdb 0x1e   0xdb 0x08 Pop popped 0xdb 0x0e
    0xdf 0x00 Push pushed 0xdf 0x06   0xdf 0x10 Top top 0xdf 0x16   0xdf 0x18 Pop popped 0xdf 0x1e   0xdf 0x08 Pop popped 0xdf 0x0e
    0xdf 0x28 Push pushed 0xdf 0x2e   0xdf 0x38 Pop popped 0xdf 0x3e   0xdd 0x08 Pop popped 0xdd 0x0e
    // Constants; FCHS, FABS, FTST, FSQRT, FRNDINT; FSCALE with ST(1).
    0xd9 0xe8 Push pushed 0xd9 0xe8   0xd9 0xe9 Push pushed 0xd9 0xe9   0xd9 0xea Push pushed 0xd9 0xea   0xd9 0xeb Push pushed 0xd9 0xeb
    0xd9 0xec Push pushed 0xd9 0xec   0xd9 0xed Push pushed 0xd9 0xed   0xd9 0xee Push pushed 0xd9 0xee
    0xd9 0xe0 Top top 0xd9 0xe0     0xd9 0xe1 Top top 0xd9 0xe1     0xd9 0xe4 Top top 0xd9 0xe4     0xd9 0xfa Top top 0xd9 0xfa
    0xd9 0xfc Top top 0xd9 0xfc     0xd9 0xfd Top top 0xd9 0xfd
}

/// By opcode and form, which of these it is and its ST(i); none: [`u8::MAX`].
static INDEX: [[(u8, u8); X87Insn::FORMS]; 8] = {
    let mut index = [[(u8::MAX, 0); X87Insn::FORMS]; 8];
    let mut n = 0;
    while n < DIRECT.len() {
        let Direct { opcode, modrm, .. } = DIRECT[n];
        let row = (opcode & 7) as usize;
        if modrm < 0xc0 {
            index[row][(modrm >> 3) as usize] = (n as u8, 0);
        } else if opcode == 0xd9 {
            // All but FSCALE have one operand.
            let other = (modrm == 0xfd) as u8;
            index[row][modrm as usize - 0xc0 + 8] = (n as u8, other);
        } else if modrm & 7 != 0 {
            index[row][modrm as usize - 0xc0 + 8] = (n as u8, 1);
        } else {
            let mut i = 0;
            while i < 8 {
                index[row][modrm as usize - 0xc0 + 8 + i] = (n as u8, i as u8);
                i += 1;
            }
        }
        n += 1;
    }
    index
};

/// Condition codes, and C1 alone.
const CONDITIONS: u16 = 0x4700;
pub(super) const C1: u16 = 0x200;
const C2: u16 = 0x400;

/// Which condition codes any instruction sets that is one of [`X87Insn::stack`].
pub(super) fn sets_of(insn: X87Insn) -> u16 {
    if insn.is_conditional() {
        return 0;
    }
    if insn.compares_to_flags() {
        return if *KEEPS_C1 { 0 } else { C1 };
    }
    match (insn.opcode(), insn.form()) {
        // FSIN, FCOS.
        (0xd9, 0x46 | 0x47) => C1 | C2,
        _ if insn.only_compares() => CONDITIONS,
        _ => C1,
    }
}

/// Executes an instruction if it is one of these and can be executed so: the status flags afterwards.
pub fn execute(insn: X87Insn, unit: &mut X87Unit, operand: &mut [u8; 10], status: u16) -> Option<u16> {
    if moves(insn, unit) {
        return Some(status);
    }
    let (n, i) = INDEX[usize::from(insn.opcode() & 7)][usize::from(insn.form())];
    let direct = DIRECT.get(usize::from(n))?;
    let (top, other) = (unit.top(), (unit.top() + usize::from(i)) % 8);
    let there = match direct.kind {
        Push => is_empty(unit, (top + 7) % 8),
        _ => !is_empty(unit, top) && !is_empty(unit, other),
    };
    if !there || unit.control & x87_status::EXCEPTIONS != x87_status::EXCEPTIONS {
        return None;
    }
    let mut st = [unit.regs[top], unit.regs[other]];
    // SAFETY: the operands are where they are looked for, and all exceptions are masked.
    let (word, status) = unsafe { (direct.run)(&mut st, operand, unit.control, status) };
    let keeps = matches!(insn.opcode(), 0xdb | 0xdf) && insn.form() >= COMPARES && *KEEPS_C1;
    let sets = if keeps { 0 } else { direct.sets };
    unit.status = unit.status & !sets | word & (sets | x87_status::EXCEPTIONS);
    match direct.kind {
        Top => unit.regs[top] = st[0],
        Second => unit.regs[other] = st[1],
        SecondPopped => {
            unit.regs[other] = st[1];
            pop(unit);
        }
        TopPopped | Pop => pop(unit),
        BothPopped => {
            pop(unit);
            pop(unit);
        }
        Push => push(unit, st[0]),
    }
    Some(status)
}

/// The first form of FUCOMI, FCOMI and those that pop.
const COMPARES: u8 = 8 + 0x28;
/// Whether they keep C1, as AMD's processors do, where Intel's set it to 0 (SDM 2, FCOMI).
static KEEPS_C1: LazyLock<bool> = LazyLock::new(|| {
    let mut unit = X87Unit {
        regs: [[0; 2]; 8],
        control: INITIAL,
        status: C1,
        full: 0xff,
    };
    if let Some(fcomi) = X87Insn::new(0xdb, 0xf0) {
        super::as_a_whole(fcomi, &mut unit, &mut [0; 10], 0);
    }
    unit.status & C1 != 0
});

fn is_empty(unit: &X87Unit, register: usize) -> bool {
    unit.full >> register & 1 == 0
}
fn set_top(unit: &mut X87Unit, top: usize) {
    unit.status = unit.status & !x87_status::TOP | (top as u16) << x87_status::TOP_SHIFT & x87_status::TOP;
}
fn pop(unit: &mut X87Unit) {
    let top = unit.top();
    unit.full &= !(1 << top);
    set_top(unit, top + 1);
}
fn push(unit: &mut X87Unit, value: [u64; 2]) {
    let top = (unit.top() + 7) % 8;
    unit.regs[top] = value;
    unit.full |= 1 << top;
    set_top(unit, top);
}

/// FLD ST(i), FXCH, FST and FSTP ST(i), which look at no number: whether it is done.
fn moves(insn: X87Insn, unit: &mut X87Unit) -> bool {
    let Some(register) = insn.form().checked_sub(8) else {
        return false;
    };
    let (top, other) = (unit.top(), (unit.top() + usize::from(register & 7)) % 8);
    match (insn.opcode(), register >> 3) {
        (0xd9, 0) if !is_empty(unit, other) && is_empty(unit, (top + 7) % 8) => push(unit, unit.regs[other]),
        (0xd9, 1) if !is_empty(unit, top) && !is_empty(unit, other) => unit.regs.swap(top, other),
        (0xdd, 2 | 3) if !is_empty(unit, top) => {
            unit.regs[other] = unit.regs[top];
            unit.full |= 1 << other;
            if register >> 3 == 3 {
                pop(unit);
            }
        }
        _ => return false,
    }
    unit.status &= !C1;
    true
}

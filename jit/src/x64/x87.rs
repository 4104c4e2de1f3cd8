//! The host's own x87 unit, computing for a guest's (SDM 1, chapter 8).
//!
//! The unit is the host's only for the time of an instruction, or of a [`run`] of them in translated code: it is found and left
//! as FNINIT leaves it, all exceptions masked and none raised, so that nobody else's instructions meet one. What is executed while the guest's exceptions are unmasked is
//! followed by instructions that do not wait for them.

mod direct;
pub(super) mod run;

use emu_ir::{X87Insn, X87Unit, x87_status};
use std::arch::asm;

/// The state in memory, as FRSTOR and FNSAVE have it in 64-bit mode.
#[derive(Default)]
#[repr(C)]
struct Image {
    /// 16 bits in each of these, and the upper 16 reserved.
    control: u32,
    status: u32,
    tags: u32,
    /// Of the last instruction.
    pointers: [u32; 4],
    /// ST(0) to ST(7).
    st: [[u16; 5]; 8],
}
const _: () = assert!(size_of::<Image>() == 108);

/// The tag of a register that is empty.
const EMPTY: u32 = 3;

impl Image {
    fn of(unit: &X87Unit) -> Image {
        let tag = |n: usize| if unit.full >> n & 1 != 0 { 0 } else { EMPTY << (2 * n) };
        let mut image = Image {
            control: unit.control.into(),
            status: unit.status.into(),
            tags: (0..8).map(tag).sum(),
            ..Image::default()
        };
        for (n, st) in image.st.iter_mut().enumerate() {
            let [low, high] = unit.regs[(unit.top() + n) % 8];
            *st = [
                low as u16,
                (low >> 16) as u16,
                (low >> 32) as u16,
                (low >> 48) as u16,
                high as u16,
            ];
        }
        image
    }
    fn put(&self, unit: &mut X87Unit) {
        (unit.control, unit.status) = (self.control as u16, self.status as u16);
        let full = |n: usize| u8::from(self.tags >> (2 * n) & 3 != EMPTY) << n;
        unit.full = (0..8).map(full).sum();
        for (n, &[a, b, c, d, high]) in self.st.iter().enumerate() {
            let low = u64::from(a) | u64::from(b) << 16 | u64::from(c) << 32 | u64::from(d) << 48;
            unit.regs[(unit.top() + n) % 8] = [low, high.into()];
        }
    }
}

/// Runs an instruction on a state, with status flags as LAHF and SETO give them; the status flags afterwards.
type Run = unsafe fn(&mut Image, &mut [u8; 10], u16) -> u16;

/// The instruction of these two bytes, whose operand in memory is at RSI.
///
/// # Safety
/// It is a [`X87Insn`], and no exception of the state is unmasked and raised.
unsafe fn run<const OPCODE: u8, const MODRM: u8>(image: &mut Image, operand: &mut [u8; 10], status: u16) -> u16 {
    let mut status = status;
    // SAFETY: the unit is loaded with the guest's state, and is stored and initialised by FNSAVE, which does not wait for
    // exceptions. The caller promises that neither FRSTOR nor the instruction meets one. Both pointers are to memory that is
    // borrowed for this, of the sizes that are accessed.
    unsafe {
        asm!(
            "add al, 0x7f",
            "sahf",
            "frstor [{image}]",
            ".byte {opcode}, {modrm}",
            "lahf",
            "seto al",
            "fnsave [{image}]",
            image = in(reg) image,
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
    status
}

/// ModRM of a form: of memory at RSI, or of a register.
const fn modrm(form: u8) -> u8 {
    if form < 8 { form << 3 | 6 } else { 0xc0 + (form - 8) }
}

macro_rules! opcode {
    ($opcode:literal: $($form:literal)*) => { [$( run::<$opcode, { modrm($form) }> as Run ),*] };
}
macro_rules! opcodes {
    ($($opcode:literal)*) => { [$( opcode! { $opcode:
        0 1 2 3 4 5 6 7
        8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39
        40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64 65 66 67 68 69 70 71
    } ),*] };
}
/// By opcode, D8 to DF, and form.
static RUNS: [[Run; X87Insn::FORMS]; 8] = opcodes! { 0xd8 0xd9 0xda 0xdb 0xdc 0xdd 0xde 0xdf };

/// See [`emu_ir::Env::x87`].
pub fn execute(insn: X87Insn, unit: &mut X87Unit, operand: &mut [u8; 10], status: u16) -> u16 {
    if unit.is_waiting() {
        return status;
    }
    unit.status &= !x87_status::SUMMARY;
    direct::execute(insn, unit, operand, status).unwrap_or_else(|| as_a_whole(insn, unit, operand, status))
}

/// What [`words`] are as FNINIT leaves them.
#[cfg(test)]
pub(crate) const CLEAN: [u16; 3] = [0x37f, 0, 0xffff];

/// The host's control, status (but for condition codes and TOP) and tag words.
#[cfg(test)]
pub(crate) fn words() -> [u16; 3] {
    let mut environment = [0u32; 7];
    // SAFETY: it stores them, and loads them again.
    unsafe {
        asm!("fnstenv [{0}]", "fldenv [{0}]", in(reg) &mut environment, options(nostack));
    }
    let [control, status, tags, ..] = environment.map(|word| word as u16);
    [control, status & !0x7f00, tags]
}

/// The same of any instruction in any state: all of it is loaded and stored.
fn as_a_whole(insn: X87Insn, unit: &mut X87Unit, operand: &mut [u8; 10], status: u16) -> u16 {
    let run = RUNS[usize::from(insn.opcode() & 7)][usize::from(insn.form())];
    let mut image = Image::of(unit);
    // SAFETY: it is an instruction that there is, and no exception waits.
    let status = unsafe { run(&mut image, operand, status) };
    image.put(unit);
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use emu_ir::testing::Random;
    use emu_ir::{STATUS_CARRY, STATUS_FIXED, STATUS_OVERFLOW, STATUS_PARITY, STATUS_ZERO};

    const ONE: [u64; 2] = [1 << 63, 0x3fff];
    const TWO: [u64; 2] = [1 << 63, 0x4000];

    /// As FNINIT leaves it, then with ST(0) and ST(1).
    fn unit(st: [[u64; 2]; 2]) -> X87Unit {
        let mut regs = [[0; 2]; 8];
        regs[6..].copy_from_slice(&st);
        X87Unit {
            regs,
            control: 0x37f,
            status: 6 << x87_status::TOP_SHIFT,
            full: 0xc0,
        }
    }
    fn on(unit: &mut X87Unit, opcode: u8, modrm: u8) -> u16 {
        execute(X87Insn::new(opcode, modrm).unwrap(), unit, &mut [0; 10], STATUS_FIXED)
    }

    #[test]
    fn a_sum_is_on_top_of_the_stack() {
        let mut unit = unit([ONE, TWO]);

        on(&mut unit, 0xde, 0xc1); // FADDP

        assert_eq!((unit.regs[7], unit.top(), unit.full), ([3 << 62, 0x4000], 7, 0x80));
    }

    #[test]
    fn an_operand_in_memory_is_read_and_written() {
        let mut unit = unit([ONE, TWO]);
        let mut operand = [0; 10];
        operand[..8].copy_from_slice(&2.5f64.to_le_bytes());

        execute(X87Insn::new(0xdc, 0x05).unwrap(), &mut unit, &mut operand, 0); // FADD m64
        execute(X87Insn::new(0xd9, 0x1d).unwrap(), &mut unit, &mut operand, 0); // FSTP m32

        assert_eq!((&operand[..4], unit.top()), (&3.5f32.to_le_bytes()[..], 7));
    }

    #[test]
    fn comparisons_write_the_status_flags_and_moves_read_them() {
        let mut unit = unit([ONE, TWO]);
        let all = STATUS_FIXED | STATUS_OVERFLOW | STATUS_ZERO | STATUS_PARITY;

        let status = execute(X87Insn::new(0xdb, 0xf1).unwrap(), &mut unit, &mut [0; 10], all); // FCOMI
        let moved = execute(X87Insn::new(0xda, 0xc1).unwrap(), &mut unit, &mut [0; 10], status); // FCMOVB
        let kept = execute(X87Insn::new(0xd9, 0xe0).unwrap(), &mut unit, &mut [0; 10], all); // FCHS

        assert_eq!([status, moved, kept], [STATUS_FIXED | STATUS_CARRY, status, all]);
        assert_eq!(unit.regs[6], [1 << 63, 0xc000]);
    }

    /// SDM 1, 8.5: an exception that is not masked leaves the operands, or has a result that is scaled.
    #[test]
    fn exceptions_that_are_not_masked_are_reported_and_stay_in_the_unit() {
        let mut zero = unit([ONE, [0; 2]]);
        zero.control = 0x37b;
        let mut large = unit([[1 << 63, 0x7ffe], TWO]);
        large.control = 0x377;

        on(&mut zero, 0xd8, 0xf1); // FDIV
        let again = zero;
        on(&mut zero, 0xd9, 0xe8); // FLD1, which waits
        on(&mut large, 0xd8, 0xc9); // FMUL

        assert_eq!((zero.regs[6], zero.status), (ONE, 0xb084));
        assert_eq!(zero, again);
        assert_eq!((large.regs[6], large.status), ([1 << 63, 0x7fff - 0x6000], 0xb088));
        assert_eq!(words(), CLEAN);
    }

    /// A unit in any state, mostly one in which numbers are computed.
    fn any(random: &mut Random) -> X87Unit {
        let exponents = [
            0, 1, 0x3f80, 0x3ffe, 0x3fff, 0x3fff, 0x4000, 0x4005, 0x401e, 0x403e, 0x407f, 0x43ff, 0x7ffe, 0x7fff,
        ];
        let significands = [0, 1, 1 << 63, 3 << 62, u64::MAX, 0xc90f_daa2_2168_c235];
        let number = |random: &mut Random| {
            let exponent = random.pick(&exponents) | (random.word() as u64 & 1) << 15;
            let significand = if random.one_in(2) {
                random.next() | 1 << 63
            } else {
                random.pick(&significands)
            };
            [significand, exponent]
        };
        let masks = if random.one_in(4) {
            random.word() as u16
        } else {
            x87_status::EXCEPTIONS
        };
        X87Unit {
            regs: [0; 8].map(|_| number(random)),
            control: random.word() as u16 & 0xf00 | masks & x87_status::EXCEPTIONS | 0x40,
            status: random.word() as u16 & !x87_status::SUMMARY,
            full: if random.one_in(4) {
                random.word() as u8
            } else {
                random.pick(&[0xff, 0x7f, 0xfe])
            },
        }
    }
    fn all() -> impl Iterator<Item = X87Insn> {
        (0xd8..=0xdf).flat_map(|opcode| {
            let modrms = (0..0x40).step_by(8).chain(0xc0..=0xff);
            modrms.filter_map(move |modrm| X87Insn::new(opcode, modrm))
        })
    }

    #[test]
    fn what_is_done_directly_is_as_the_whole_unit_does_it() {
        let mut random = Random::new(7);
        let mut direct = 0;
        for insn in all() {
            for _ in 0..400 {
                let mut operand = [0; 10].map(|_: u8| random.word() as u8);
                if random.one_in(2) {
                    operand[..8].copy_from_slice(&f64::from(random.word() as f32 / 3.0).to_le_bytes());
                }
                let status = random.word() as u16 & 0xd501 | STATUS_FIXED;
                let before = any(&mut random);
                if before.is_waiting() {
                    continue;
                }
                let (mut whole, mut short) = ((before, operand), (before, operand));
                let flags = as_a_whole(insn, &mut whole.0, &mut whole.1, status);
                if let Some(short_flags) = direct::execute(insn, &mut short.0, &mut short.1, status) {
                    let what = format!("{:x} {} of {before:x?}, {operand:x?}", insn.opcode(), insn.form());
                    assert_eq!((short, short_flags), (whole, flags), "{what}");
                    direct += 1;
                }
            }
        }
        assert!(direct > 40_000, "{direct}");
    }

    /// Whatever is asked for, the host's unit is its own again.
    #[test]
    fn nothing_that_is_executed_shows_on_the_host() {
        let mut random = Random::new(87);
        let mut executed = 0;
        for insn in all() {
            for _ in 0..40 {
                let mut unit = any(&mut random);
                unit.control = random.word() as u16;
                let mut operand = [0; 10].map(|_: u8| random.word() as u8);
                if unit.is_waiting() && !random.one_in(8) {
                    unit.control |= x87_status::EXCEPTIONS;
                }
                execute(insn, &mut unit, &mut operand, random.word() as u16);

                assert_eq!(words(), CLEAN, "{insn:?}");
                executed += 1;
            }
        }
        assert!(executed > 15_000, "{executed}");
    }
}

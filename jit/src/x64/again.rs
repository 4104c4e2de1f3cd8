//! Status flags that were not stored, made again on the way to Rust.

use super::alloc::{Loc, Src};
use super::int::alu;
use super::thunks::SCRATCH_AT;
use super::{Emit, PINS};
use crate::opt::{Recipe, Step};
use dynasmrt::{DynasmApi, dynasm};
use emu_ir::{Arith, STATUS_AUXILIARY, Ty, Val};

/// Where a value that a recipe needs is.
#[derive(Clone, Copy)]
enum Place {
    Reg(u8),
    Stack(i32),
    Const(u64),
}

/// A recipe, and where its values are at some point.
pub(super) struct Again {
    recipe: Recipe,
    places: [Option<(Place, Place)>; 2],
}

/// An instruction of a type on rax and an operand in memory.
macro_rules! on_rax {
    ($e:expr, $op:ident, $ty:expr, [$at:expr]) => {
        match $ty {
            Ty::I8 => dynasm!($e.a ; .arch x64 ; $op al, [rsp + $at]),
            Ty::I16 => dynasm!($e.a ; .arch x64 ; $op ax, [rsp + $at]),
            Ty::I64 => dynasm!($e.a ; .arch x64 ; $op rax, [rsp + $at]),
            _ => dynasm!($e.a ; .arch x64 ; $op eax, [rsp + $at]),
        }
    };
    ($e:expr, $op:ident, $ty:expr $(, $n:expr)?) => {
        match $ty {
            Ty::I8 => dynasm!($e.a ; .arch x64 ; $op al $(, $n)?),
            Ty::I16 => dynasm!($e.a ; .arch x64 ; $op ax $(, $n)?),
            Ty::I64 => dynasm!($e.a ; .arch x64 ; $op rax $(, $n)?),
            _ => dynasm!($e.a ; .arch x64 ; $op eax $(, $n)?),
        }
    };
    ($e:expr, $op:ident, $ty:expr; $src:expr) => {
        match $src {
            Ok(src) => alu!($e, $op, $ty, 0u8, src),
            Err(at) => on_rax!($e, $op, $ty, [at]),
        }
    };
}

impl Emit<'_> {
    /// Where a recipe's values are now.
    pub(super) fn again(&self, recipe: Recipe) -> Again {
        let place = |step: Step| {
            let a = self.place_of_value(step.a);
            (a, step.b.map_or(a, |b| self.place_of_value(b)))
        };
        Again {
            recipe,
            places: recipe.steps.map(|step| step.map(place)),
        }
    }
    #[expect(
        clippy::unreachable,
        reason = "they are kept for it, in registers of integers, and flags were moved out of the host's"
    )]
    fn place_of_value(&self, v: Val) -> Place {
        match self.loc(v) {
            Loc::Gpr(r) => Place::Reg(r),
            Loc::Pin(p) | Loc::Low(p) => Place::Reg(PINS[p as usize]),
            Loc::Spill => Place::Stack(self.spilled_at(v)),
            Loc::Imm => Place::Const(self.b.constant(v).unwrap_or(0)),
            loc @ (Loc::Nowhere | Loc::Xmm(_) | Loc::Flag(_) | Loc::Status) => {
                unreachable!("%{} is {loc:?} where it may be needed", v.0)
            }
        }
    }
    /// Store them. Every register is as before.
    pub(super) fn status_again(&mut self, again: &Again) {
        let at = i32::from(again.recipe.slot.off);
        dynasm!(self.a ; .arch x64 ; mov [rsp + SCRATCH_AT], rax);
        let steps = again.recipe.steps.iter().zip(&again.places);
        let mut steps = steps.filter_map(|(step, places)| step.zip(*places)).peekable();
        let second = steps.peek().map(|&(step, (_, b))| self.second(step, b));
        if again.recipe.from_slot {
            dynasm!(self.a ; .arch x64 ; movzx eax, WORD [r15 + at] ; add al, 0x7f ; sahf);
        }
        let mut auxiliary = true;
        for (step, (a, _)) in steps {
            self.operand_again(a);
            if let Some(b) = second {
                self.flags_of(step, b);
            }
            auxiliary = match step.how {
                Arith::Shl | Arith::Shr | Arith::Sar => false,
                Arith::Rol | Arith::Ror => auxiliary,
                _ => true,
            };
        }
        dynasm!(self.a ; .arch x64 ; lahf ; seto al);
        if !auxiliary {
            dynasm!(self.a ; .arch x64 ; and ah, BYTE !(STATUS_AUXILIARY >> 8) as i8);
        }
        dynasm!(self.a ; .arch x64 ; mov [r15 + at], ax ; mov rax, [rsp + SCRATCH_AT]);
    }
    /// The first step's second operand: as instructions take it, or where it lies on the stack. Later steps have none.
    fn second(&mut self, step: Step, b: Place) -> Result<Src, i32> {
        match b {
            Place::Reg(0) => Err(SCRATCH_AT),
            Place::Reg(r) => Ok(Src::Reg(r)),
            Place::Stack(at) => Err(at),
            Place::Const(c) if step.ty != Ty::I64 => Ok(Src::Imm(c as u32 as i32)),
            Place::Const(c) => match i32::try_from(c as i64) {
                Ok(i) => Ok(Src::Imm(i)),
                Err(_) => {
                    self.imm(0, c);
                    dynasm!(self.a ; .arch x64 ; mov [rsp + SCRATCH_AT + 8], rax);
                    Err(SCRATCH_AT + 8)
                }
            },
        }
    }
    /// A step's first operand to rax; no flags change.
    fn operand_again(&mut self, a: Place) {
        match a {
            Place::Reg(0) => dynasm!(self.a ; .arch x64 ; mov rax, [rsp + SCRATCH_AT]),
            Place::Reg(r) => self.mov(Ty::I64, 0, r),
            Place::Stack(at) => dynasm!(self.a ; .arch x64 ; mov rax, [rsp + at]),
            Place::Const(c) => self.imm(0, c),
        }
    }
    /// The flags of an operation on rax, or of the one that has made what is there.
    fn flags_of(&mut self, step: Step, b: Result<Src, i32>) {
        let Step { how, ty, made, .. } = step;
        match how {
            Arith::Add => {
                if made {
                    on_rax!(self, sub, ty; b);
                }
                on_rax!(self, add, ty; b);
            }
            Arith::Sub => {
                if made {
                    on_rax!(self, add, ty; b);
                }
                match b {
                    Ok(b) => self.cmp(ty, 0, b),
                    Err(at) => on_rax!(self, cmp, ty, [at]),
                }
            }
            Arith::Inc => {
                if made {
                    dynasm!(self.a ; .arch x64 ; lea rax, [rax - 1]);
                }
                on_rax!(self, inc, ty);
            }
            Arith::Dec => {
                if made {
                    dynasm!(self.a ; .arch x64 ; lea rax, [rax + 1]);
                }
                on_rax!(self, dec, ty);
            }
            Arith::Rol => {
                if made {
                    on_rax!(self, ror, ty, 1);
                }
                on_rax!(self, rol, ty, 1);
            }
            Arith::Ror => {
                if made {
                    on_rax!(self, rol, ty, 1);
                }
                on_rax!(self, ror, ty, 1);
            }
            Arith::Shl => on_rax!(self, shl, ty, 1),
            Arith::Shr => on_rax!(self, shr, ty, 1),
            Arith::Sar => on_rax!(self, sar, ty, 1),
            // None of these: what depends on a carry is not made again.
            Arith::Logic | Arith::Adc | Arith::Sbb => match ty {
                Ty::I8 => dynasm!(self.a ; .arch x64 ; test al, al),
                Ty::I16 => dynasm!(self.a ; .arch x64 ; test ax, ax),
                Ty::I64 => dynasm!(self.a ; .arch x64 ; test rax, rax),
                _ => dynasm!(self.a ; .arch x64 ; test eax, eax),
            },
        }
    }
}

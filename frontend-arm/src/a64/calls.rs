//! The functions that translated code calls. The engine restores the pc before it raises what a helper returns.

use super::checksum;
use super::fault::{UNDEFINED as UNDEFINED_FAULT, class, exception};
use super::model::A64;
use super::state::{Cpu, psr};
use super::sys;
use crate::vector::{estimate, polynomial};
use emu_ir::{Env, Fault};

/// Makes the table: as [`crate::calls`] makes its parts.
macro_rules! calls {
    ($( $(#[$d:meta])* $name:ident $kind:ident $f:expr; )*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[repr(u16)]
        enum Index { $($name),* }
        $( $(#[$d])* pub const $name: u16 = Index::$name as u16; )*
        /// The table of helpers.
        pub const CALLS: &[emu_ir::Helper<A64>] = &[ $(
            emu_ir::Helper { name: stringify!($name), f: emu_ir::HelperFn::$kind($f) },
        )* ];
    };
}

calls! {
    /// Takes the exception of an instruction that is Undefined.
    UNDEFINED State |_, _, _, _| Err(UNDEFINED_FAULT);
    /// Takes an exception: arguments class and instruction specific syndrome.
    EXCEPTION State |_, _, _, a| Err(exception(a[0] as u32, a[1] as u32));
    /// Takes the exception of a base that is SP and not aligned.
    SP_ALIGNMENT State |_, _, _, _| Err(exception(class::SP_ALIGNMENT, 0));
    /// Returns from an exception; Undefined at EL0.
    ERET State eret;
    /// MRS: argument the instruction; the value.
    SYS_READ State |g: &mut A64, s: &mut Cpu, _, a| sys::read(s, g.features, a[0] as u32).map(u128::from);
    /// MSR and SYS: arguments the instruction, the value.
    SYS_WRITE State sys_write;
    /// MSR of an immediate: arguments op1:op2, the immediate, the instruction.
    PSTATE_WRITE State pstate_write;
    /// DC ZVA at EL0: argument the instruction.
    ZVA_ALLOWED State |_, s: &mut Cpu, _, a| sys::zva(s, a[0] as u32).map(|()| 0);
    /// CRC32: checksum, data, and how many of its bytes; the checksum.
    CRC32 Pure checksum::ieee;
    /// CRC32C: as CRC32.
    CRC32C Pure checksum::castagnoli;
    /// PMUL: arguments two vectors of bytes.
    PMUL Pure polynomial::vmul_p8;
    /// PMULL of bytes: arguments two V64; a V128.
    PMULL_8 Pure polynomial::vmull_p8;
    /// PMULL of doublewords: arguments two V64; a V128.
    PMULL_64 Pure polynomial::vmull_p64;
    /// URECPE: argument a vector.
    URECPE Pure estimate::vrecpe_u32;
    /// URSQRTE: argument a vector.
    URSQRTE Pure estimate::vrsqrte_u32;
    /// FRECPE: arguments a vector, [`estimate::control`], the rounding mode.
    FRECPE Flags estimate::recip;
    /// FRSQRTE: arguments a vector, [`estimate::control`].
    FRSQRTE Flags estimate::rsqrt;
}

/// The name of a helper, for listings.
pub fn name(index: u16) -> &'static str {
    CALLS.get(index as usize).map_or("?", |h| h.name)
}

/// What a helper returns.
type Answer = Result<u128, Fault>;

fn eret(_: &mut A64, s: &mut Cpu, env: &mut dyn Env, _: &[u128; 4]) -> Answer {
    if s.psr & psr::EL == 0 {
        return Err(UNDEFINED_FAULT);
    }
    s.exception_return();
    env.context_changed();
    Ok(0)
}

fn sys_write(g: &mut A64, s: &mut Cpu, env: &mut dyn Env, a: &[u128; 4]) -> Answer {
    sys::write(s, g.features, a[0] as u32, a[1] as u64)?;
    env.context_changed();
    Ok(0)
}

fn pstate_write(g: &mut A64, s: &mut Cpu, env: &mut dyn Env, a: &[u128; 4]) -> Answer {
    let [field, value, word] = [a[0], a[1], a[2]].map(|v| v as u32);
    sys::write_field(s, g.features, field, value, word)?;
    env.context_changed();
    Ok(0)
}

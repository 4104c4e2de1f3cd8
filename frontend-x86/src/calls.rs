//! The functions that translated code calls. The engine restores the pc before it raises what a helper returns.

use crate::compute;
use crate::platform::X86;
use crate::state::bits::{dr6, eflags};
use crate::state::{Cpu, mode, pending};
use emu_ir::{Fault, Guest, Helper, HelperFn};

/// Makes the table.
macro_rules! calls {
    ($( $(#[$d:meta])* $name:ident $kind:ident $f:expr; )*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[repr(u16)]
        enum Index { $($name),* }
        $( $(#[$d])* pub const $name: u16 = Index::$name as u16; )*
        const COUNT: usize = [$( Index::$name as u16 ),*].len();
        /// They, for a CPU.
        pub const CALLS: [Helper<X86>; COUNT] = helpers();
        /// They, for a guest with this state.
        pub const fn helpers<G: Guest<State = Cpu>>() -> [Helper<G>; COUNT] {
            [$( Helper { name: stringify!($name), f: HelperFn::$kind($f) } ),*]
        }
        /// The name of a helper.
        pub fn name(helper: u16) -> &'static str {
            const NAMES: [&str; COUNT] = [$( stringify!($name) ),*];
            NAMES.get(usize::from(helper)).copied().unwrap_or("?")
        }
    };
}

calls! {
    /// Raises an exception: arguments its vector and info (see [`Fault`]).
    RAISE Raise |a| Fault::Guest { class: a[0] as u32, addr: 0, info: a[1] as u32 };
    /// An instruction is done, and each is looked after.
    STEPPED State |_, s: &mut Cpu, env, _| {
        s.sys.pending |= dr6::BS << pending::DEBUG_SHIFT;
        env.traps_changed();
        Ok(0)
    };
    /// An instruction is done that EFLAGS.RF was for.
    RESUMED State |_, s: &mut Cpu, _, _| {
        s.eflags &= !eflags::RF;
        s.mode &= !mode::RESUME;
        Ok(0)
    };
    /// Divides unsigned: arguments low and high half of the dividend, the divisor, which is above the high half; the quotient,
    /// the remainder above it.
    DIV Pure compute::div;
    /// The same of signed numbers, whose quotient fits.
    IDIV Pure compute::idiv;
    /// Whether the quotient of signed numbers fits 64 bits: arguments as [`IDIV`]'s.
    IDIV_FITS Pure compute::idiv_fits;
    /// RCL: arguments the number, its width, the count below it, the carry; the number, the carry above it.
    RCL Pure compute::rcl;
    /// RCR: as [`RCL`].
    RCR Pure compute::rcr;
    /// DAA, and where the third argument is 1 DAS: arguments AL, the status flags; AL, the status flags above it.
    DECIMAL Pure compute::decimal;
    /// CRC32 of SSE4.2: arguments the checksum, data, and how many bytes that is.
    CRC32 Pure compute::crc32;
    /// PEXT: arguments the number, the mask.
    PEXT Pure compute::pext;
    /// PDEP: arguments the number, the mask.
    PDEP Pure compute::pdep;
}

//! The functions that translated code calls. The engine restores the pc before it raises what a helper returns.

use crate::compute::{self, crypto, lanes, text};
use crate::fault;
use crate::platform::X86;
use crate::state::bits::{cr4, dr6, eflags};
use crate::state::{Cpu, mode, pending};
use crate::system;
use crate::x87;
use emu_ir::{Env, Fault, Guest, Helper, HelperFn};

/// Makes the table. Kinds are those of [`HelperFn`], `System`: a function of the CPU, its
/// state, the machine, arguments; and `Unit`: one of the state, the machine, arguments that FERR# may follow.
macro_rules! calls {
    (@ System $f:expr) => { HelperFn::State(|g, s, env, a| $f(g.as_mut(), s, env, a)) };
    (@ Unit $f:expr) => { HelperFn::State(|g, s, env, a| unit(g.as_mut(), s, env, a, $f)) };
    (@ $kind:ident $f:expr) => { HelperFn::$kind($f) };
    ($( $(#[$d:meta])* $name:ident $kind:ident $f:expr; )*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[repr(u16)]
        enum Index { $($name),* }
        $( $(#[$d])* pub const $name: u16 = Index::$name as u16; )*
        const COUNT: usize = [$( Index::$name as u16 ),*].len();
        /// They, for a CPU.
        pub const CALLS: [Helper<X86>; COUNT] = helpers();
        /// They, for a guest with this state that has a CPU.
        pub const fn helpers<G: Guest<State = Cpu> + AsMut<X86>>() -> [Helper<G>; COUNT] {
            [$( Helper { name: stringify!($name), f: calls!(@ $kind $f) } ),*]
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
    /// Loads a segment register: arguments its number, the selector.
    LOAD_SEGMENT System system::segment::load;
    /// LLDT: argument the selector.
    LLDT System system::segment::lldt;
    /// LTR: argument the selector.
    LTR System system::segment::ltr;
    /// LGDT: arguments limit, base, operand size.
    LGDT System system::segment::lgdt;
    /// LIDT: arguments limit, base, operand size.
    LIDT System system::segment::lidt;
    /// LAR: argument the selector; access rights, and 1 above 32 bits where ZF is set.
    LAR System system::segment::lar;
    /// LSL: argument the selector; the limit, and 1 above 32 bits where ZF is set.
    LSL System system::segment::lsl;
    /// VERR: argument the selector; ZF.
    VERR System system::segment::verr;
    /// VERW: argument the selector; ZF.
    VERW System system::segment::verw;
    /// Far JMP: arguments the selector, the offset, rIP of the next instruction. Sets the pc.
    JMP_FAR System system::transfer::jmp_far;
    /// Far CALL: arguments the selector, the offset, the operand size, rIP of the next instruction. Sets the pc.
    CALL_FAR System system::transfer::call_far;
    /// Far RET: arguments the operand size, how many bytes of the stack are left out. Sets the pc.
    RET_FAR System system::transfer::ret_far;
    /// IRET: arguments the operand size, rIP of the next instruction. Sets the pc.
    IRET System system::transfer::iret;
    /// SYSCALL: argument rIP of the next instruction. Sets the pc.
    SYSCALL System system::transfer::syscall;
    /// SYSRET: argument the operand size. Sets the pc.
    SYSRET System system::transfer::sysret;
    /// SYSENTER. Sets the pc.
    SYSENTER System system::transfer::sysenter;
    /// SYSEXIT: argument the operand size. Sets the pc.
    SYSEXIT System system::transfer::sysexit;
    /// RSM. Sets the pc.
    RSM System system::transfer::rsm;
    /// The processor halts.
    HALT System system::transfer::halt;
    /// CLI, where it depends on IOPL.
    CLI System system::flags::cli;
    /// STI, where it depends on IOPL; 1 where interrupts were off and are on.
    STI System system::flags::sti;
    /// PUSHF of virtual 8086 mode: argument the operand size; what is pushed.
    PUSHF System system::flags::pushf;
    /// POPF: arguments what is popped, the operand size.
    POPF System system::flags::popf;
    /// CLAC and STAC: argument what EFLAGS.AC is set to.
    SET_AC System system::flags::set_ac;
    /// MOV from a control register: argument its number.
    READ_CR System system::registers::read_cr;
    /// MOV to a control register: arguments its number, the value.
    WRITE_CR System system::registers::write_cr;
    /// MOV from a debug register: argument its number.
    READ_DR System system::registers::read_dr;
    /// MOV to a debug register: arguments its number, the value.
    WRITE_DR System system::registers::write_dr;
    /// LMSW: argument the value.
    LMSW System system::registers::lmsw;
    /// CLTS.
    CLTS System system::registers::clts;
    /// RDMSR: argument the register's number; EDX:EAX.
    RDMSR System system::registers::rdmsr;
    /// WRMSR: arguments the register's number, EDX:EAX.
    WRMSR System system::registers::wrmsr;
    /// XGETBV: argument the register's number; EDX:EAX.
    XGETBV System system::registers::xgetbv;
    /// XSETBV: arguments the register's number, EDX:EAX.
    XSETBV System system::registers::xsetbv;
    /// RDPKRU: argument ECX; EAX.
    RDPKRU System system::registers::rdpkru;
    /// WRPKRU: arguments EAX, EDX above ECX.
    WRPKRU System system::registers::wrpkru;
    /// INVLPG: argument the address.
    INVLPG System system::registers::invlpg;
    /// INVPCID: arguments the type, the lower half of the descriptor, the upper half.
    INVPCID System system::registers::invpcid;
    /// RDTSC: EDX:EAX.
    RDTSC System system::identify::rdtsc;
    /// CPUID: sets the registers.
    CPUID System system::identify::cpuid;
    /// RDRAND and RDSEED: a number, and whether it is one above 64 bits.
    RANDOM System system::identify::random;
    /// Whether some ports may be accessed: arguments the first, how many.
    MAY_ACCESS_PORT System system::port::may_access;
    /// IN: arguments the port, the size; the value.
    IN System system::port::in_;
    /// OUT: arguments the port, the size, the value.
    OUT System system::port::out;
    /// PHMINPOSUW of a vector.
    PHMINPOSUW Pure lanes::phminposuw;
    /// MPSADBW: arguments two vectors, three bits of the immediate.
    MPSADBW Pure lanes::mpsadbw;
    /// PCMPxSTRx: arguments two vectors; the control byte, above it whether lengths are given; these, 64 bits each. A bit for each
    /// element, above 16 the index, above 32 the status flags.
    PCMPSTR Pure text::pcmpstr;
    /// SHA1RNDS4: arguments the two vectors and the immediate.
    SHA1RNDS4 Pure crypto::sha1rnds4;
    /// SHA1NEXTE of two vectors.
    SHA1NEXTE Pure crypto::sha1nexte;
    /// SHA1MSG1 of two vectors.
    SHA1MSG1 Pure crypto::sha1msg1;
    /// SHA1MSG2 of two vectors.
    SHA1MSG2 Pure crypto::sha1msg2;
    /// SHA256RNDS2: arguments the two vectors and XMM0.
    SHA256RNDS2 Pure crypto::sha256rnds2;
    /// SHA256MSG1 of two vectors.
    SHA256MSG1 Pure crypto::sha256msg1;
    /// SHA256MSG2 of two vectors.
    SHA256MSG2 Pure crypto::sha256msg2;
    /// GF2P8MULB of two vectors.
    GF2P8MULB Pure crypto::gf2p8mulb;
    /// GF2P8AFFINEQB: arguments the vector, the matrices and the immediate.
    GF2P8AFFINEQB Pure crypto::gf2p8affineqb;
    /// GF2P8AFFINEINVQB: as [`GF2P8AFFINEQB`].
    GF2P8AFFINEINVQB Pure crypto::gf2p8affineinvqb;
    /// RCPPS, of four singles.
    RCPPS Float compute::rcpps;
    /// RSQRTPS, of four singles.
    RSQRTPS Float compute::rsqrtps;
    /// MXCSR.
    STMXCSR State |_, s: &mut Cpu, _, _| Ok(s.mxcsr().into());
    /// Sets MXCSR to its argument, which has no reserved bits; the mode word follows.
    LDMXCSR State |_, s: &mut Cpu, _, a| { s.set_mxcsr(a[0] as u32); Ok(0) };
    /// Before what may raise exceptions of SSE that are not masked: clears MXCSR's flags; what they were.
    SIMD_BEGIN State |_, s: &mut Cpu, _, _| Ok(std::mem::take(&mut s.fp_flags).into());
    /// After it, with the flags that there were before: raises the exceptions that are not masked.
    SIMD_CHECK State |_, s: &mut Cpu, _, a| simd_check(s, a[0] as u32);
    /// The x87 executes an instruction: arguments [`x87::Executed`], its operand in memory, its offset and that of the operand.
    X87_EXECUTE Unit |s, env, a| x87::execute(s, env, a);
    /// What an instruction of the x87 would store, 80 bits at most; bit [`x87::NOT_STORED`] where it would not: argument
    /// [`x87::Executed`].
    X87_OUTPUT Unit |s, env, a| x87::output(s, env, a);
    /// An exception of the x87 that waits is reported.
    X87_ERROR Unit |s, _, _| x87::error(s);
    /// FNINIT.
    X87_INIT Unit |s, _, _| { x87::init(s); Ok(0) };
    /// FNCLEX.
    X87_CLEAR Unit |s, _, _| { x87::clear(s); Ok(0) };
    /// All exceptions of the x87 are masked.
    X87_MASK Unit |s, _, _| { x87::mask(s); Ok(0) };
    /// A word of the x87's environment: argument [`x87::Format`] and its number.
    X87_ENVIRONMENT State |_, s: &mut Cpu, _, a| Ok(x87::environment(s, a[0]));
    /// Loads one: the word is another argument.
    X87_LOAD_ENVIRONMENT Unit |s, _, a| { x87::load_environment(s, a[0], a[1]); Ok(0) };
    /// Register ST(i), 80 bits: argument i.
    X87_REGISTER State |_, s: &mut Cpu, _, a| Ok(x87::register(s, a[0]));
    /// Loads one: its value is another argument.
    X87_SET_REGISTER State |_, s: &mut Cpu, _, a| { x87::set_register(s, a[0], a[1]); Ok(0) };
    /// A piece of FXSAVE's area: argument [`x87::Piece`].
    X87_AREA State |_, s: &mut Cpu, _, a| Ok(x87::area(s, a[0]));
    /// Loads one: its value is another argument.
    X87_LOAD_AREA Unit |s, _, a| { x87::load_area(s, a[0], a[1]); Ok(0) };
    /// The initial state of the x87.
    X87_RESET Unit |s, _, _| { x87::reset(s); Ok(0) };
    /// Which of XSAVE's components are in use: argument whether MXCSR counts.
    XSAVE_IN_USE State |_, s: &mut Cpu, _, a| Ok(x87::in_use(s, a[0] != 0).into());
    /// Sets PKRU: argument its value.
    LOAD_PKRU State |_, s: &mut Cpu, env, a| { s.sys.pkru = a[0] as u32; env.context_changed(); Ok(0) };
}

/// What the x87 does, after which FERR# is as its state says (SDM 1, 8.7.2).
fn unit(
    x86: &mut X86,
    s: &mut Cpu,
    env: &mut dyn Env,
    a: &[u128; 4],
    f: fn(&mut Cpu, &mut dyn Env, &[u128; 4]) -> Result<u128, Fault>,
) -> Result<u128, Fault> {
    let before = s.sys.pending & pending::FERR;
    let done = f(s, env, a);
    let after = s.sys.pending & pending::FERR;
    if before != after {
        x86.platform.ferr(after != 0);
    }
    done
}

/// Without CR4.OSXMMEXCPT it is an undefined opcode (SDM 3, table 2-2).
fn simd_check(s: &mut Cpu, before: u32) -> Result<u128, Fault> {
    if !s.simd_exception(before) {
        return Ok(0);
    }
    match s.sys.cr4 & cr4::OSXMMEXCPT {
        0 => Err(fault::UD),
        _ => Err(fault::XM),
    }
}

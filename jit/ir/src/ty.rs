//! Types, values and the small operands of operations.

/// The type of a value.
///
/// Booleans are `I8` with 0 or 1. `V64` and `V128` are vectors whose lane type the operation names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
#[repr(u8)]
pub enum Ty {
    I8,
    I16,
    I32,
    I64,
    F32,
    F64,
    V64,
    V128,
}

impl Ty {
    /// Every type, for tests.
    pub const ALL: [Ty; 8] = [Ty::I8, Ty::I16, Ty::I32, Ty::I64, Ty::F32, Ty::F64, Ty::V64, Ty::V128];
    /// Size in bytes: 1 to 16.
    #[inline]
    pub const fn bytes(self) -> u32 {
        match self {
            Ty::I8 => 1,
            Ty::I16 => 2,
            Ty::I32 | Ty::F32 => 4,
            Ty::I64 | Ty::F64 | Ty::V64 => 8,
            Ty::V128 => 16,
        }
    }
    /// Size in bits: 8 to 128.
    #[inline]
    pub const fn bits(self) -> u32 {
        self.bytes() * 8
    }
    /// All value bits set.
    #[inline]
    pub const fn mask(self) -> u128 {
        u128::MAX >> (128 - self.bits())
    }
    /// I8, I16, I32 or I64.
    #[inline]
    pub const fn is_int(self) -> bool {
        matches!(self, Ty::I8 | Ty::I16 | Ty::I32 | Ty::I64)
    }
    /// F32 or F64.
    #[inline]
    pub const fn is_float(self) -> bool {
        matches!(self, Ty::F32 | Ty::F64)
    }
    /// V64 or V128.
    #[inline]
    pub const fn is_vec(self) -> bool {
        matches!(self, Ty::V64 | Ty::V128)
    }
}

/// The lane type of a vector operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
#[repr(u8)]
pub enum Lane {
    I8,
    I16,
    I32,
    I64,
    F16,
    F32,
    F64,
}

impl Lane {
    /// Lane width in bits: 8 to 64.
    #[inline]
    pub const fn bits(self) -> u32 {
        self.scalar().bits()
    }
    /// The scalar type of one lane. There are no scalars of half precision: its bits are an I16.
    #[inline]
    pub const fn scalar(self) -> Ty {
        match self {
            Lane::I8 => Ty::I8,
            Lane::I16 | Lane::F16 => Ty::I16,
            Lane::I32 => Ty::I32,
            Lane::I64 => Ty::I64,
            Lane::F32 => Ty::F32,
            Lane::F64 => Ty::F64,
        }
    }
    /// The integer lane of `8 << log2` bits, `log2` in 0..=3.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "two bits")]
    pub const fn int(log2: u32) -> Lane {
        [Lane::I8, Lane::I16, Lane::I32, Lane::I64][(log2 & 3) as usize]
    }
    /// The integer lane of twice the width (I64 stays).
    #[inline]
    pub const fn wider(self) -> Lane {
        match self {
            Lane::I8 => Lane::I16,
            Lane::I16 => Lane::I32,
            Lane::F16 => Lane::F32,
            Lane::F32 => Lane::F64,
            Lane::I32 | Lane::I64 => Lane::I64,
            Lane::F64 => Lane::F64,
        }
    }
}

/// An SSA value: the index of the operation that made it. A block holds fewer than 65,535.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Val(pub u16);

impl Val {
    /// No value: an unused argument of a call.
    pub const NONE: Val = Val(u16::MAX);
    /// As an index into [`Block::insts`](crate::Block).
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
    /// Whether this is a value at all.
    #[inline]
    pub fn is_some(self) -> bool {
        self != Val::NONE
    }
}

impl std::fmt::Debug for Val {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if *self == Val::NONE {
            write!(f, "%-")
        } else {
            write!(f, "%{}", self.0)
        }
    }
}

/// A place in the guest's state struct: byte offset and type. Slots may overlap (S, D and Q registers do).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// Byte offset in the state struct.
    pub off: u16,
    /// How the bytes are read and written.
    pub ty: Ty,
}

impl Slot {
    /// A slot at a byte offset (below 64 KiB, checked at compile time when const).
    #[inline]
    pub const fn new(off: usize, ty: Ty) -> Slot {
        assert!(off + ty.bytes() as usize <= u16::MAX as usize, "state too large");
        Slot { off: off as u16, ty }
    }
    /// The `i`th of an array of such slots.
    #[inline]
    pub const fn nth(self, i: u32) -> Slot {
        Slot {
            off: self.off + (i * self.ty.bytes()) as u16,
            ty: self.ty,
        }
    }
    /// The offset just past it.
    #[inline]
    pub const fn end(self) -> usize {
        self.off as usize + self.ty.bytes() as usize
    }
    /// Whether two slots share a byte.
    #[inline]
    pub const fn overlaps(self, o: Slot) -> bool {
        (self.off as u32) < o.off as u32 + o.ty.bytes() && (o.off as u32) < self.off as u32 + self.ty.bytes()
    }
}

/// A 64-bit immediate that needs no 8-byte alignment, so that an operation stays within 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Imm([u32; 2]);

impl Imm {
    /// Wrap.
    #[inline]
    pub const fn new(v: u64) -> Imm {
        Imm([v as u32, (v >> 32) as u32])
    }
    /// Unwrap.
    #[inline]
    pub const fn get(self) -> u64 {
        self.0[0] as u64 | (self.0[1] as u64) << 32
    }
}

impl std::fmt::Debug for Imm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#x}", self.get())
    }
}

/// A forward branch target inside a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Label(pub u16);

/// A mode of the guest that a block goes on in: an index into [`Block::modes`](crate::Block), as 64 bits would make every
/// operation longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ModeIndex(pub u16);

/// How memory is accessed. `addr` operands are virtual addresses of the guest's address width.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mem {
    /// log2 of the bytes accessed: 0..=4. Below the result type's size, integer loads extend and stores truncate.
    pub size: u8,
    /// Loads narrower than the result sign-extend (else zero-extend).
    pub signed: bool,
    /// log2 of the alignment the instruction demands (0: none); a violation is [`Fault::Alignment`](crate::Fault).
    pub align: u8,
    /// What it is made of.
    pub pieces: Pieces,
    /// Which of the guest's address spaces: see [`Guest::context`](crate::Guest::context); 0 or 1.
    pub idx: u8,
}

impl Mem {
    /// A little-endian, unaligned-tolerant access of `1 << size` bytes in one piece.
    #[inline]
    pub const fn new(size: u8, idx: u8) -> Mem {
        Mem {
            size,
            signed: false,
            align: 0,
            pieces: Pieces::little(size),
            idx,
        }
    }
    /// The same of a load of what is stored to next: it faults as that would.
    #[inline]
    pub const fn to_write(self) -> Mem {
        Mem {
            pieces: self.pieces.written(),
            ..self
        }
    }
    /// Bytes accessed.
    #[inline]
    pub const fn bytes(self) -> u32 {
        1 << self.size
    }
    /// Whether an address is as aligned as the instruction demands.
    #[inline]
    pub const fn allows(self, addr: u64) -> bool {
        let whole = self.pieces.is_lenient() && (addr & 15) + self.bytes() as u64 <= 16;
        addr & ((1 << self.align) - 1) == 0 || whole
    }
    /// log2 of the alignment that memory with [`Page::strict`](crate::Page) demands: what the instruction does, else that
    /// of each piece.
    #[inline]
    pub const fn strict(self) -> u8 {
        if self.align == 0 {
            self.pieces.log2()
        } else {
            self.align
        }
    }
}

/// The pieces that a memory access is made of, in ascending order: their size, and the order of bytes in each. A scalar
/// is in one piece, a vector of elements in as many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pieces(u8);

impl Pieces {
    const BIG: u8 = 0x80;
    const LENIENT: u8 = 0x40;
    const READING: u8 = 0x20;
    const WRITTEN: u8 = 0x10;
    /// Of `1 << log2` bytes (0 to 4), the lowest first.
    #[inline]
    pub const fn little(log2: u8) -> Pieces {
        Pieces(log2)
    }
    /// Of `1 << log2` bytes (0 to 4), the highest first.
    #[inline]
    pub const fn big(log2: u8) -> Pieces {
        Pieces(log2 | Pieces::BIG)
    }
    /// The same of an access that need not be aligned as [`Mem::align`] says if it lies within an aligned 16 bytes, and is
    /// made at once then. Memory with strict alignment does not allow it.
    #[inline]
    pub const fn lenient(self) -> Pieces {
        Pieces(self.0 | Pieces::LENIENT)
    }
    /// Whether it is one.
    #[inline]
    pub const fn is_lenient(self) -> bool {
        self.0 & Pieces::LENIENT != 0
    }
    /// The same of a compare-and-swap by which the guest reads, so that watchpoints for loads meet it: others are stores that
    /// may fail.
    #[inline]
    pub const fn reading(self) -> Pieces {
        Pieces(self.0 | Pieces::READING)
    }
    /// Whether it is one.
    #[inline]
    pub const fn is_reading(self) -> bool {
        self.0 & Pieces::READING != 0
    }
    /// The same of a load of what is stored to next: it faults as that would.
    #[inline]
    pub const fn written(self) -> Pieces {
        Pieces(self.0 | Pieces::WRITTEN)
    }
    /// Whether it is one.
    #[inline]
    pub const fn is_written(self) -> bool {
        self.0 & Pieces::WRITTEN != 0
    }
    /// The same, the lowest byte of each first.
    #[inline]
    pub const fn unswapped(self) -> Pieces {
        Pieces(self.0 & !Pieces::BIG)
    }
    /// log2 of the bytes of each.
    #[inline]
    pub const fn log2(self) -> u8 {
        self.0 & !(Pieces::BIG | Pieces::LENIENT | Pieces::READING | Pieces::WRITTEN)
    }
    /// log2 of the bytes of each group whose bytes are reversed in memory; 0: none are.
    #[inline]
    pub const fn swap(self) -> u8 {
        if self.0 & Pieces::BIG == 0 { 0 } else { self.log2() }
    }
}

impl std::fmt::Debug for Mem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Mem {
            size,
            signed,
            align,
            pieces,
            idx,
        } = self;
        write!(f, "Mem {{ size: {size}, signed: {signed}, align: {align}")?;
        if pieces.is_lenient() {
            write!(f, " or within 16")?;
        }
        if pieces.log2() != *size {
            write!(f, ", pieces: {}", pieces.log2())?;
        }
        if pieces.is_written() {
            write!(f, ", to write")?;
        }
        if pieces.is_reading() {
            write!(f, ", reads")?;
        }
        write!(f, ", swap: {}, idx: {idx} }}", pieces.swap())
    }
}

/// What an atomic read-modify-write leaves in memory, of what was there and its operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rmw {
    /// The sum, wrapping.
    Add,
    /// Bitwise and.
    And,
    /// Bitwise or.
    Or,
    /// Bitwise exclusive or.
    Xor,
    /// The signed minimum.
    MinS,
    /// The signed maximum.
    MaxS,
    /// The unsigned minimum.
    MinU,
    /// The unsigned maximum.
    MaxU,
}

impl Rmw {
    /// Every one, for tests.
    pub const ALL: [Rmw; 8] = [
        Rmw::Add,
        Rmw::And,
        Rmw::Or,
        Rmw::Xor,
        Rmw::MinS,
        Rmw::MaxS,
        Rmw::MinU,
        Rmw::MaxU,
    ];
}

/// Arithmetic whose status flags [`Op::Status`](crate::Op) gives, as x86 defines them (SDM 1, 3.4.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arith {
    /// `a + b`.
    Add,
    /// `a + b` and the carry of `c`.
    Adc,
    /// `a - b`.
    Sub,
    /// `a - b` less the carry of `c`.
    Sbb,
    /// A bitwise operation with the result `a`: carry, overflow and auxiliary carry are 0.
    Logic,
    /// `a + 1`; the carry is that of `c`.
    Inc,
    /// `a - 1`; the carry is that of `c`.
    Dec,
    /// `a << 1`; the auxiliary carry is 0, as of the two that follow.
    Shl,
    /// `a >> 1`, logical.
    Shr,
    /// `a >> 1`, arithmetic.
    Sar,
    /// `a` rotated left by one: its carry and overflow, and the other flags of `c`.
    Rol,
    /// `a` rotated right by one: as left.
    Ror,
}

impl Arith {
    /// Whether it has a second operand.
    pub const fn takes_b(self) -> bool {
        matches!(self, Arith::Add | Arith::Adc | Arith::Sub | Arith::Sbb)
    }
    /// Whether it depends on the flags before it.
    pub const fn takes_status(self) -> bool {
        use Arith::*;
        matches!(self, Adc | Sbb | Inc | Dec | Rol | Ror)
    }
    /// Every one, for tests.
    pub const ALL: [Arith; 12] = [
        Arith::Add,
        Arith::Adc,
        Arith::Sub,
        Arith::Sbb,
        Arith::Logic,
        Arith::Inc,
        Arith::Dec,
        Arith::Shl,
        Arith::Shr,
        Arith::Sar,
        Arith::Rol,
        Arith::Ror,
    ];
}

/// In a word of status flags: signed overflow. The word is an I16 with AH as LAHF leaves it above AL as SETO does.
pub const STATUS_OVERFLOW: u16 = 1 << 0;
/// The carry.
pub const STATUS_CARRY: u16 = 1 << 8;
/// What is always 1.
pub const STATUS_FIXED: u16 = 1 << 9;
/// The result's low byte has an even number of set bits.
pub const STATUS_PARITY: u16 = 1 << 10;
/// The carry out of bit 3.
pub const STATUS_AUXILIARY: u16 = 1 << 12;
/// The result is zero.
pub const STATUS_ZERO: u16 = 1 << 14;
/// The result is negative.
pub const STATUS_SIGN: u16 = 1 << 15;

/// What is done to a state of AES (FIPS 197).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Aes {
    /// SubBytes and ShiftRows.
    Sub,
    /// MixColumns.
    Mix,
    /// Both, in this order.
    SubMix,
    /// InvSubBytes and InvShiftRows.
    InvSub,
    /// InvMixColumns.
    InvMix,
    /// Both, in this order.
    InvSubMix,
}

impl Aes {
    /// Every one, for tests.
    pub const ALL: [Aes; 6] = [
        Aes::Sub,
        Aes::Mix,
        Aes::SubMix,
        Aes::InvSub,
        Aes::InvMix,
        Aes::InvSubMix,
    ];
    /// This after another, if that is one.
    pub const fn after(self, first: Aes) -> Option<Aes> {
        match (first, self) {
            (Aes::Sub, Aes::Mix) => Some(Aes::SubMix),
            (Aes::InvSub, Aes::InvMix) => Some(Aes::InvSubMix),
            _ => None,
        }
    }
}

/// Which accesses a fence orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fence {
    /// Everything before it against everything after it.
    Full,
    /// Stores against stores, or loads against later accesses: on x86 hosts only a compiler barrier.
    Light,
}

/// A rounding mode of floating-point operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Round {
    /// To nearest, ties to even.
    Nearest = 0,
    /// Toward minus infinity.
    Down = 1,
    /// Toward plus infinity.
    Up = 2,
    /// Toward zero.
    Zero = 3,
    /// To nearest, ties away from zero.
    Away = 4,
    /// As [`Round::Current`], of x86 alone, where exceptions may be unmasked: an operation raises what it reports where those that
    /// [`Rules::X86`](crate::Rules::X86) says are not masked. Underflow then is that the result is tiny, be it exact or not, and
    /// beside underflow and overflow inexact is as if there were numbers as small and as large.
    Unmasked = 6,
    /// What [`Layout::fp_round`](crate::Layout) holds when the operation runs.
    Current = 7,
}

/// How two floats may relate: a set of ways.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Relation(u8);

impl Relation {
    /// In no way.
    pub const NEVER: Relation = Relation(0);
    /// `a < b`.
    pub const LESS: Relation = Relation(1);
    /// `a == b`.
    pub const EQUAL: Relation = Relation(1 << 1);
    /// `a > b`.
    pub const GREATER: Relation = Relation(1 << 2);
    /// One is a NaN.
    pub const UNORDERED: Relation = Relation(1 << 3);
    /// The ways of both.
    #[inline]
    pub const fn or(self, other: Relation) -> Relation {
        Relation(self.0 | other.0)
    }
    /// The ways that are not of it.
    #[inline]
    pub const fn not(self) -> Relation {
        Relation(!self.0 & 15)
    }
    /// Whether all ways of another are of it.
    #[inline]
    pub const fn has(self, other: Relation) -> bool {
        other.0 & !self.0 == 0
    }
    /// Every one, for tests.
    pub fn all() -> impl Iterator<Item = Relation> {
        (0..16).map(Relation)
    }
}

impl std::fmt::Debug for Relation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ways = [
            (Relation::LESS, '<'),
            (Relation::EQUAL, '='),
            (Relation::GREATER, '>'),
            (Relation::UNORDERED, '?'),
        ];
        let names = ways.iter().filter(|(way, _)| self.has(*way));
        write!(f, "\"{}\"", names.map(|(_, name)| name).collect::<String>())
    }
}

/// The floating-point environment an operation runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fenv {
    /// Rounding mode.
    pub round: Round,
    /// Arm's alone, as x86's are in [`Rules::X86`](crate::Rules::X86): denormal inputs and results are flushed to zero (raising [`FP_DENORMAL`](crate::FP_DENORMAL) and
    /// [`FP_UNDERFLOW`](crate::FP_UNDERFLOW); tininess is detected before rounding). Conversions leave half precision's; inputs
    /// of half precision are flushed without a word.
    pub flush: bool,
    /// A NaN result is the default NaN (positive, quiet, no payload); else the first signalling, then the first quiet
    /// operand propagates, quieted (Arm ARM DDI 0406C, A2.7.6, FPProcessNaNs). Arm's alone.
    pub default_nan: bool,
    /// Comparisons: any NaN is invalid (else only signalling ones). Half precision: the alternative format.
    /// Conversions to integer and rounding to integral: also raise inexact.
    pub flag: bool,
}

impl Fenv {
    /// Rounding by the guest's current mode, no flush, NaNs propagate.
    pub const IEEE: Fenv = Fenv {
        round: Round::Current,
        flush: false,
        default_nan: false,
        flag: false,
    };
    /// Nearest, flush to zero, default NaN: ARM's "standard FPSCR value".
    pub const STANDARD: Fenv = Fenv {
        round: Round::Nearest,
        flush: true,
        default_nan: true,
        flag: false,
    };
}

/// What a branch is for: feeds return prediction, changes no meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hint {
    /// An ordinary branch.
    Jump,
    /// A call: the next instruction's address was stored as the return address.
    Call,
    /// A return.
    Return,
}

/// Why a block hands control back to the engine; the state's pc slot was set before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Leave {
    /// Look at everything anew: pending interrupts, mode, mappings.
    Sync,
    /// Go on at once where nothing is pending, in the state's mode: for what a helper has done, which has told the machine
    /// of anything else.
    Resume,
    /// Wait for an interrupt (the pc is past the wait).
    Wait,
    /// Give way to other vCPUs.
    Yield,
}

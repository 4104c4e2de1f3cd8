//! Vector operands: registers of MMX, SSE and AVX, and memory as they access it (SDM 1, chapters 9 to 14; SDM 2, 2.4 "AVX and
//! SSE Instruction Exception Classification").
//!
//! Vectors of 256 bits are two of 128 bits. Registers are read and written as a whole, scalars in them as lanes: so that what one
//! instruction leaves in a register is what the next finds there.

use super::Tx;
use crate::decode::row::{Method, Width, flag};
use crate::fault::vector;
use crate::state::{self, mode};
use emu_ir::{Lane, Mem, Ty, Val};

/// A vector.
#[derive(Clone, Copy, Debug)]
pub struct Vector {
    /// A V64 or a V128: of 256 bits the lower half.
    pub low: Val,
    /// The upper half of 256 bits.
    pub high: Option<Val>,
}

impl From<Val> for Vector {
    fn from(low: Val) -> Vector {
        Vector { low, high: None }
    }
}

impl Vector {
    /// `f` of each half.
    pub fn map(self, mut f: impl FnMut(Val) -> Val) -> Vector {
        let low = f(self.low);
        Vector {
            low,
            high: self.high.map(f),
        }
    }
    /// `f` of each two halves.
    pub fn zip(self, other: Vector, mut f: impl FnMut(Val, Val) -> Val) -> Vector {
        let low = f(self.low, other.low);
        let high = self.high.zip(other.high).map(|(a, b)| f(a, b));
        Vector { low, high }
    }
}

/// Whose vector operands need not be aligned even without VEX.
const UNALIGNED: [&str; 8] = [
    "movups",
    "movupd",
    "movdqu",
    "lddqu",
    "pcmpestrm",
    "pcmpestri",
    "pcmpistrm",
    "pcmpistri",
];
/// Whose vector operands must be aligned even with VEX.
const ALIGNED: [&str; 7] = [
    "movaps", "movapd", "movdqa", "movntps", "movntpd", "movntdq", "movntdqa",
];

/// The last byte of a page's offset.
const IN_PAGE: u64 = 0xfff;

// What there is.
impl Tx<'_> {
    fn uses(&self, methods: &[Method]) -> bool {
        let operands = self.insn.row.operands.iter();
        operands.map(|operand| operand.method).any(|m| methods.contains(&m))
    }
    /// Whether an operand is a register of SSE and AVX, or stands for one.
    pub fn uses_xmm(&self) -> bool {
        use Method::{H, L, U, V, W, Xmm0};
        self.uses(&[V, W, U, H, L, Xmm0])
    }
    /// Whether an operand is a register of MMX.
    pub fn uses_mmx(&self) -> bool {
        self.uses(&[Method::P, Method::N]) || self.uses(&[Method::Q]) && self.insn.modrm >= 0xc0
    }
    /// The exceptions of vector instructions before they do anything, by what operands the row has. If one is raised in any case:
    /// false.
    pub fn admits_vectors(&mut self) -> bool {
        let mmx = self.uses_mmx();
        if !(mmx || self.uses_xmm()) {
            return true;
        }
        let admitted = self.admits_simd(self.uses_xmm());
        if admitted && mmx {
            self.wait_for_x87();
        }
        admitted
    }
    /// The same whatever operands it has: CR0.EM and, of SSE, CR4.OSFXSR are #UD; of AVX, XCR0 without its
    /// state; CR0.TS is #NM.
    pub fn admits_simd(&mut self, sse: bool) -> bool {
        let missing = match self.insn.vex {
            Some(_) => self.mode & mode::AVX == 0,
            None => self.mode & mode::EM != 0 || sse && self.mode & mode::OSFXSR == 0,
        };
        if missing {
            self.undefined();
        } else if self.mode & mode::TS != 0 {
            self.fault(vector::NM, 0);
        }
        !self.ended
    }
    /// After an instruction of MMX: the top of the x87's stack is 0 and no register is empty (SDM 3, 12.2).
    pub fn enter_mmx(&mut self) {
        if !self.ended && self.uses_mmx() {
            let (top, full) = (self.imm(Ty::I8, 0), self.imm(Ty::I8, 0xff));
            self.b.set(state::X87_TOP, top);
            self.b.set(state::X87_FULL, full);
        }
    }
    /// Whether operands of 16 bytes or more must be aligned in any mode.
    pub fn is_aligned(&self) -> bool {
        let row = self.insn.row;
        let memory = |m| matches!(m, Method::W | Method::M);
        let vectors = |w| matches!(w, Width::X | Width::Dq);
        let vector = row.operands.iter().any(|o| memory(o.method) && vectors(o.width));
        if self.insn.memory.is_none() || !vector || !self.uses_xmm() {
            return false;
        }
        match self.insn.vex {
            Some(_) => ALIGNED.contains(&row.name),
            None => !UNALIGNED.contains(&row.name),
        }
    }
}

// Operands.
impl Tx<'_> {
    /// How long vectors are, in bytes: 16 or 32.
    pub fn vector_bytes(&self) -> u32 {
        let long = self.insn.vex.is_some_and(|vex| vex.l) && self.insn.row.flags & flag::LIG == 0;
        if long { 32 } else { 16 }
    }
    /// How many bytes of operand `n`, a vector or a part of one, the instruction reads or writes: 1 to 32.
    pub fn bytes_of(&self, n: usize) -> u32 {
        let whole = self.vector_bytes();
        match self.operand(n).width {
            Width::B => 1,
            Width::W => 2,
            Width::D => 4,
            Width::Q => 8,
            Width::Dq => 16,
            Width::Qq => 32,
            Width::H => whole / 2,
            Width::F => whole / 4,
            Width::O => whole / 8,
            Width::L if whole == 16 => 8,
            _ => whole,
        }
    }
    /// The register of SSE and AVX that operand `n` is, if it is one.
    pub fn xmm(&self, n: usize) -> Option<u8> {
        let insn = &self.insn;
        match self.operand(n).method {
            Method::V => Some(insn.reg()),
            Method::U => Some(insn.rm()),
            Method::W if insn.modrm >= 0xc0 => Some(insn.rm()),
            Method::H => match (insn.vex, self.operand(0).method) {
                (Some(vex), _) => Some(vex.vvvv),
                (None, Method::V) => Some(insn.reg()),
                (None, _) => Some(insn.rm()),
            },
            // Of eight registers the highest bit does not count.
            Method::L if self.is_64() => Some(insn.immediate as u8 >> 4),
            Method::L => Some(insn.immediate as u8 >> 4 & 7),
            Method::Xmm0 => Some(0),
            _ => None,
        }
    }
    /// The register of MMX that operand `n` is, if it is one.
    pub fn mmx(&self, n: usize) -> Option<u8> {
        let insn = &self.insn;
        match self.operand(n).method {
            Method::P => Some(insn.reg() & 7),
            Method::N => Some(insn.rm() & 7),
            Method::Q if insn.modrm >= 0xc0 => Some(insn.rm() & 7),
            _ => None,
        }
    }

    /// Operand `n`: of a register or of 16 bytes a V128, of 32 two, of MMX and of fewer bytes in memory a V64, zero-extended.
    pub fn vector(&mut self, n: usize) -> Vector {
        let bytes = self.bytes_of(n);
        if let Some(register) = self.mmx(n) {
            return self.b.get(state::mmx(register)).into();
        }
        if let Some(register) = self.xmm(n) {
            let low = self.b.get(state::xmm(register, Ty::V128));
            let high = (bytes == 32).then(|| self.b.get(state::ymm_high(register)));
            return Vector { low, high };
        }
        let at = self.place_of(n, bytes, false);
        match bytes {
            32 => self.load_long(at),
            16 => self.load_vector(Ty::V128, at).into(),
            8 => self.load_vector(Ty::V64, at).into(),
            _ => {
                let scalar = self.load(super::int(bytes as u8), at);
                self.v64(scalar).into()
            }
        }
    }
    /// The low bits of operand `n`, in a register or in memory, as a scalar.
    pub fn scalar(&mut self, n: usize, ty: Ty) -> Val {
        if self.mmx(n).is_some() || self.xmm(n).is_some() {
            let whole = self.vector(n).low;
            return self.b.vget_lane(ty, whole, 0);
        }
        let at = self.place_of(n, ty.bytes(), false);
        self.load(ty, at)
    }
    /// Write operand `n`. Of a register of SSE all 128 bits: what is above them stays, or with VEX becomes zero. A V64 is
    /// zero-extended to them.
    pub fn set_vector(&mut self, n: usize, v: impl Into<Vector>) {
        let v = v.into();
        if let Some(register) = self.mmx(n) {
            return self.set_mmx(register, v.low);
        }
        if let Some(register) = self.xmm(n) {
            return self.set_xmm(register, v);
        }
        let bytes = self.b.ty(v.low).bytes() + v.high.map_or(0, |_| 16);
        let at = self.place_of(n, bytes, true);
        match v.high {
            Some(high) => self.store_long(at, v.low, high),
            None => self.store_vector(at, v.low),
        }
    }
    /// Write the low bits of operand `n`; in a register those above become operand `from`'s.
    pub fn set_scalar(&mut self, n: usize, from: usize, v: Val) {
        if self.is_memory(n) {
            let at = self.place_of(n, self.b.ty(v).bytes(), true);
            return self.store(at, v);
        }
        let whole = self.vector(from).low;
        let whole = self.b.vset_lane(whole, v, 0);
        self.set_vector(n, whole);
    }
    /// Write a register of SSE or AVX, as [`Tx::set_vector`] does.
    pub fn set_xmm(&mut self, register: u8, v: Vector) {
        let low = self.v128(v.low);
        self.b.set(state::xmm(register, Ty::V128), low);
        if self.insn.vex.is_some() {
            let high = v.high.unwrap_or_else(|| self.b.vec(Ty::V128, 0));
            self.b.set(state::ymm_high(register), high);
        }
    }
    /// Write a register of MMX.
    pub fn set_mmx(&mut self, register: u8, v: Val) {
        self.b.set(state::mmx(register), v);
        let ones = self.imm(Ty::I16, 0xffff);
        self.b.set(state::exponent(register), ones);
    }

    /// A scalar as a V64, zero-extended.
    pub fn v64(&mut self, v: Val) -> Val {
        let bits = match self.b.ty(v) {
            Ty::F32 => self.b.bitcast(Ty::I32, v),
            _ => v,
        };
        match self.b.ty(bits) {
            Ty::F64 | Ty::V64 => self.b.bitcast(Ty::V64, bits),
            _ => {
                let wide = self.b.zext(Ty::I64, bits);
                self.b.bitcast(Ty::V64, wide)
            }
        }
    }
    /// A vector or scalar as a V128, zero-extended.
    pub fn v128(&mut self, v: Val) -> Val {
        if self.b.ty(v) == Ty::V128 {
            return v;
        }
        let (low, zero) = (self.v64(v), self.imm(Ty::V64, 0));
        self.b.vconcat(low, zero)
    }
}

// Memory.
impl Tx<'_> {
    /// The linear address of operand `n`, which is so many bytes in memory that are to be written or read.
    pub fn place_of(&mut self, n: usize, bytes: u32, write: bool) -> Val {
        debug_assert!(self.is_memory(n), "operand {n} is a register");
        self.place_bytes(bytes, write)
    }
    /// How an access of a vector goes that has so many bytes in all.
    fn vector_mem(&self, ty: Ty, bytes: u32) -> Mem {
        let mem = self.mem(ty);
        match self.is_aligned() && bytes >= 16 {
            true => Mem {
                align: bytes.trailing_zeros() as u8,
                ..mem
            },
            false => mem,
        }
    }
    /// Load a V64 or V128.
    pub fn load_vector(&mut self, ty: Ty, at: Val) -> Val {
        let mem = self.vector_mem(ty, ty.bytes());
        self.b.load(ty, at, mem)
    }
    /// Store a V64 or V128.
    pub fn store_vector(&mut self, at: Val, v: Val) {
        let ty = self.b.ty(v);
        let mem = self.vector_mem(ty, ty.bytes());
        self.b.store(at, v, mem);
    }
    /// Load 256 bits.
    fn load_long(&mut self, at: Val) -> Vector {
        let mem = self.vector_mem(Ty::V128, 32);
        let low = self.b.load(Ty::V128, at, mem);
        let above = self.plus(at, 16);
        let mem = self.mem(Ty::V128);
        let high = self.b.load(Ty::V128, above, mem);
        Vector { low, high: Some(high) }
    }
    /// Store 256 bits: all of them or, where a page of them may not be written, none.
    fn store_long(&mut self, at: Val, low: Val, high: Val) {
        if !self.is_aligned() {
            self.check_both_pages(at, 32);
        }
        let mem = self.vector_mem(Ty::V128, 32);
        self.b.store(at, low, mem);
        let above = self.plus(at, 16);
        let mem = self.mem(Ty::V128);
        self.b.store(above, high, mem);
    }
    /// Where so many bytes reach into another page, the fault of a write there.
    fn check_both_pages(&mut self, at: Val, bytes: i64) {
        let offset = self.mask(at, IN_PAGE);
        let most = self.imm(Ty::I64, IN_PAGE + 1 - bytes as u64);
        let (inside, go) = (self.b.ule(offset, most), self.b.label());
        self.b.br_if(inside, go);
        // The first page comes first.
        self.load_to_write(Ty::I8, at);
        let last = self.plus(at, bytes - 1);
        let next = self.mask(last, !IN_PAGE);
        self.load_to_write(Ty::I8, next);
        self.b.place(go);
        self.position();
    }
}

// What most instructions are: something of each lane.
impl Tx<'_> {
    /// The numbers of the operands that an instruction with two sources has them in: without VEX, and of MMX, the first is the
    /// destination.
    pub fn sources(&self) -> (usize, usize) {
        match self.operand(1).method {
            Method::H => (1, 2),
            _ => (0, 1),
        }
    }
    /// Operand 0 becomes something of operand 1, half by half; which half it is, 0 or 1.
    pub fn of_one_half(&mut self, f: impl Fn(&mut Tx, u8, Val) -> Val) {
        let a = self.vector(1);
        let low = f(self, 0, a.low);
        let high = a.high.map(|high| f(self, 1, high));
        self.set_vector(0, Vector { low, high });
    }
    /// Operand 0 becomes something of operand 1, half by half.
    pub fn of_one(&mut self, f: impl Fn(&mut Tx, Val) -> Val) {
        self.of_one_half(|t, _, a| f(t, a));
    }
    /// Operand 0 becomes something of the two sources, half by half; which half it is, 0 or 1.
    pub fn of_halves(&mut self, f: impl Fn(&mut Tx, u8, Val, Val) -> Val) {
        let (first, second) = self.sources();
        let (a, b) = (self.vector(first), self.vector(second));
        let low = f(self, 0, a.low, b.low);
        let high = a.high.zip(b.high).map(|(a, b)| f(self, 1, a, b));
        self.set_vector(0, Vector { low, high });
    }
    /// Operand 0 becomes something of the two sources, half by half.
    pub fn of_two(&mut self, f: impl Fn(&mut Tx, Val, Val) -> Val) {
        self.of_halves(|t, _, a, b| f(t, a, b));
    }
    /// Lanes of a V64 or V128 that are all the same number.
    pub fn splat(&mut self, ty: Ty, e: Lane, bits: u64) -> Val {
        let scalar = e.scalar();
        let lane = u128::from(bits) & scalar.mask();
        let all = (0..ty.bits() / e.bits()).fold(0, |v, i| v | lane << (i * e.bits()));
        self.b.vec(ty, all)
    }
}

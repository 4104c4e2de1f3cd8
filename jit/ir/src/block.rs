//! A block of IR and its builder.
#![expect(
    clippy::indexing_slicing,
    reason = "a value is an index into the operations of its own block; a call has four arguments at most"
)]

use crate::{
    Arith, Fence, Fenv, Hint, Imm, Label, Lane, Leave, Mem, ModeIndex, Op, Relation, Rmw, Rule, Slot, Ty, Val, X87Insn,
};

/// One operation with its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Inst {
    /// What is done.
    pub op: Op,
    /// The type: of the result, or of the operands where the result is a boolean or nothing.
    pub ty: Ty,
}
const _: () = assert!(size_of::<Inst>() <= 16);

impl Inst {
    /// The type of the value it makes, if it makes one.
    #[inline]
    pub const fn result(&self) -> Option<Ty> {
        match self.op.rule() {
            Rule::Same => Some(self.ty),
            Rule::Bool => Some(Ty::I8),
            Rule::Status => Some(Ty::I16),
            Rule::None => None,
        }
    }
}

/// A translated run of guest instructions: straight-line operations with forward branches, every path ending in
/// `Goto`, `GotoVal` or `Exit`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// The operations; a [`Val`] is an index into them.
    pub insts: Vec<Inst>,
    /// 128-bit constants (`Const128`, `VPerm`).
    pub pool: Vec<u128>,
    /// Modes that the guest goes on in.
    pub modes: Vec<u64>,
    /// Labels given out.
    pub labels: u16,
    /// The mode bits that the translation does not depend on: it serves every mode that differs in these alone.
    pub mode_ignored: u64,
    /// Guest instructions in it.
    pub guest_insns: u32,
    /// Guest bytes it was made from, starting at its key's address (past 4096 - offset: the next page too).
    pub guest_bytes: u32,
}

impl Block {
    /// The type of a value.
    #[inline]
    #[expect(
        clippy::expect_used,
        reason = "the verifier lets operations with a result alone be operands"
    )]
    pub fn ty(&self, v: Val) -> Ty {
        self.insts[v.index()].result().expect("a value has a type")
    }
    /// The constant a value is, if it is one (zero-extended).
    #[inline]
    pub fn constant(&self, v: Val) -> Option<u64> {
        match self.insts[v.index()].op {
            Op::Const { imm } => Some(imm.get()),
            _ => None,
        }
    }
    /// The mode of an index.
    #[inline]
    pub fn mode(&self, index: ModeIndex) -> u64 {
        self.modes[index.0 as usize]
    }
    /// Empty it, keeping its memory.
    pub fn clear(&mut self) {
        self.insts.clear();
        self.pool.clear();
        self.modes.clear();
        (self.labels, self.mode_ignored, self.guest_insns, self.guest_bytes) = (0, 0, 0, 0);
    }
}

/// Appends operations to a block. Methods are named after the operations; folding is the passes' business, but for
/// the trivial cases that a frontend would otherwise write out itself.
#[derive(Default, Debug)]
pub struct Builder {
    /// The block so far.
    pub block: Block,
}

/// A method of the builder from a line of the table: `[what the operation has] (arguments) fields to come`.
macro_rules! method {
    ($(#[$d:meta])* () $($without:tt)*) => {};
    ($(#[$d:meta])* ($f:ident) $op:ident [$($x:ident)*] ($($arg:tt)*) $lane:ident : Lane $(, $($rest:tt)*)?) => {
        method! { $(#[$d])* ($f) $op [$($x)* $lane] ($lane: Lane, $($arg)*) $($($rest)*)? }
    };
    ($(#[$d:meta])* ($f:ident) $op:ident [$($x:ident)*] ($($arg:tt)*) $y:ident : $t:ident $(, $($rest:tt)*)?) => {
        method! { $(#[$d])* ($f) $op [$($x)* $y] ($($arg)* $y: $t,) $($($rest)*)? }
    };
    ($(#[$d:meta])* ($f:ident) $op:ident [$first:ident $($x:ident)*] ($($arg:tt)*)) => {
        $(#[$d])*
        pub fn $f(&mut self, $($arg)*) -> Val {
            let ty = self.block.ty($first);
            self.push(ty, Op::$op { $first, $($x),* })
        }
    };
}
macro_rules! builders {
    ($( $e:ident $class:ident {
        $( $(#[$d:meta])* $n:ident { $($fields:tt)* } -> $r:ident $(, $method:ident)?; )*
    } )*) => {
        /// The plain operations.
        impl Builder { $( $( method! { $(#[$d])* ($($method)?) $n [] () $($fields)* } )* )* }
    };
}
crate::for_each_op!(builders);

impl Builder {
    /// An empty block's builder.
    pub fn new() -> Builder {
        Builder::default()
    }
    /// Append an operation; the value it makes (meaningless for operations that make none).
    pub fn push(&mut self, ty: Ty, op: Op) -> Val {
        let v = Val(self.block.insts.len() as u16);
        debug_assert!(v.is_some(), "block too long");
        self.block.insts.push(Inst { op, ty });
        v
    }
    /// Operations so far: a frontend ends its block well before 60,000.
    pub fn len(&self) -> usize {
        self.block.insts.len()
    }
    /// Whether nothing was appended yet.
    pub fn is_empty(&self) -> bool {
        self.block.insts.is_empty()
    }
    /// The type of a value.
    pub fn ty(&self, v: Val) -> Ty {
        self.block.ty(v)
    }

    /// A constant of an integer or float type (bits) or V64 (bits), truncated to the type.
    pub fn imm(&mut self, ty: Ty, v: u64) -> Val {
        self.push(
            ty,
            Op::Const {
                imm: Imm::new(v & ty.mask() as u64),
            },
        )
    }
    /// A 32-bit constant.
    pub fn i32(&mut self, v: u32) -> Val {
        self.imm(Ty::I32, v as u64)
    }
    /// A boolean constant.
    pub fn bool(&mut self, v: bool) -> Val {
        self.imm(Ty::I8, v as u64)
    }
    /// An entry of the block's constant pool.
    pub fn pool(&mut self, v: u128) -> u16 {
        let at = self.block.pool.iter().position(|&p| p == v).unwrap_or_else(|| {
            self.block.pool.push(v);
            self.block.pool.len() - 1
        });
        at as u16
    }
    /// The index of a mode.
    fn mode(&mut self, mode: u64) -> ModeIndex {
        let at = self.block.modes.iter().position(|&m| m == mode).unwrap_or_else(|| {
            self.block.modes.push(mode);
            self.block.modes.len() - 1
        });
        ModeIndex(at as u16)
    }
    /// A vector constant: V64 takes the low half.
    pub fn vec(&mut self, ty: Ty, v: u128) -> Val {
        if ty == Ty::V64 {
            return self.imm(ty, v as u64);
        }
        let pool = self.pool(v);
        self.push(ty, Op::Const128 { pool })
    }
    /// Read a slot.
    pub fn get(&mut self, s: Slot) -> Val {
        self.push(s.ty, Op::Get { slot: s.off })
    }
    /// Write a slot: `a` has the slot's type.
    pub fn set(&mut self, s: Slot, a: Val) {
        debug_assert_eq!(s.ty, self.block.ty(a), "slot type");
        self.push(s.ty, Op::Set { slot: s.off, a });
    }
    /// The virtual address `offset` bytes from the start of the block's page.
    pub fn pc_rel(&mut self, ty: Ty, offset: i32) -> Val {
        self.push(ty, Op::PcRel { offset })
    }

    /// The status flags of arithmetic (see [`Op::Status`]): `b` and `c` are looked at where it takes them.
    pub fn status(&mut self, how: Arith, a: Val, b: Val, c: Val) -> Val {
        let ty = self.block.ty(a);
        let b = if how.takes_b() { b } else { a };
        let c = if how.takes_status() { c } else { a };
        self.push(ty, Op::Status { how, a, b, c })
    }
    /// Whether a condition holds of a word of status flags.
    pub fn cond(&mut self, a: Val, cc: u8) -> Val {
        self.push(Ty::I16, Op::Cond { a, cc })
    }
    /// `c ? a : b`.
    pub fn select(&mut self, c: Val, a: Val, b: Val) -> Val {
        let ty = self.block.ty(a);
        self.push(ty, Op::Select { c, a, b })
    }
    /// Zero-extend to `ty` (the value itself if it has that type).
    pub fn zext(&mut self, ty: Ty, a: Val) -> Val {
        if self.block.ty(a) == ty {
            a
        } else {
            self.push(ty, Op::Zext { a })
        }
    }
    /// Sign-extend to `ty` (the value itself if it has that type).
    pub fn sext(&mut self, ty: Ty, a: Val) -> Val {
        if self.block.ty(a) == ty {
            a
        } else {
            self.push(ty, Op::Sext { a })
        }
    }
    /// Truncate to `ty` (the value itself if it has that type).
    pub fn trunc(&mut self, ty: Ty, a: Val) -> Val {
        if self.block.ty(a) == ty {
            a
        } else {
            self.push(ty, Op::Trunc { a })
        }
    }
    /// The same bits as `ty` (the value itself if it has that type).
    pub fn bitcast(&mut self, ty: Ty, a: Val) -> Val {
        if self.block.ty(a) == ty {
            a
        } else {
            self.push(ty, Op::Bitcast { a })
        }
    }
    /// Load a `ty`.
    pub fn load(&mut self, ty: Ty, addr: Val, mem: Mem) -> Val {
        self.push(ty, Op::Load { addr, mem })
    }
    /// Store `a` (its low `mem.bytes()`).
    pub fn store(&mut self, addr: Val, a: Val, mem: Mem) {
        let ty = self.block.ty(a);
        self.push(ty, Op::Store { addr, a, mem });
    }
    /// Compare and swap: the old value.
    pub fn cas(&mut self, addr: Val, old: Val, new: Val, mem: Mem) -> Val {
        let ty = self.block.ty(new);
        self.push(ty, Op::Cas { addr, old, new, mem })
    }
    /// Exchange: the old value.
    pub fn swap(&mut self, addr: Val, a: Val, mem: Mem) -> Val {
        let ty = self.block.ty(a);
        self.push(ty, Op::Swap { addr, a, mem })
    }
    /// Read, modify and write: the old value.
    pub fn rmw(&mut self, how: Rmw, addr: Val, a: Val, mem: Mem) -> Val {
        let ty = self.block.ty(a);
        self.push(ty, Op::Rmw { addr, a, how, mem })
    }
    /// Memory barrier.
    pub fn barrier(&mut self, kind: Fence) {
        self.push(Ty::I8, Op::Barrier { kind });
    }
    /// Every lane the scalar `a`.
    pub fn vdup(&mut self, ty: Ty, e: Lane, a: Val) -> Val {
        self.push(ty, Op::VDup { a, e })
    }
    /// Lane `i` of `a` as a scalar `ty`.
    pub fn vget_lane(&mut self, ty: Ty, a: Val, i: u8) -> Val {
        self.push(ty, Op::VGetLane { a, i })
    }
    /// Bytes of `a` and `b` picked by a pattern (see [`Op::VPerm`]); the result has `a`'s type.
    pub fn vperm(&mut self, a: Val, b: Val, pattern: [u8; 16]) -> Val {
        let (ty, pool) = (self.block.ty(a), self.pool(u128::from_le_bytes(pattern)));
        self.push(ty, Op::VPerm { a, b, pool })
    }
    /// Bytes of the table `a` picked by those of `idx` (see [`Op::VShuffle`]).
    pub fn vshuffle(&mut self, a: Val, idx: Val) -> Val {
        let ty = self.block.ty(idx);
        self.push(ty, Op::VShuffle { a, idx })
    }
    /// The sign bits of lanes.
    pub fn vsigns(&mut self, e: Lane, a: Val) -> Val {
        self.push(Ty::I32, Op::VSigns { a, e })
    }
    /// Two V64 as a V128.
    pub fn vconcat(&mut self, lo: Val, hi: Val) -> Val {
        self.push(Ty::V128, Op::VConcat { lo, hi })
    }
    /// Half of a V128 as a V64.
    pub fn vhalf(&mut self, a: Val, hi: bool) -> Val {
        self.push(Ty::V64, Op::VHalf { a, hi })
    }
    /// Call a helper with up to four arguments.
    pub fn call(&mut self, ty: Ty, helper: u16, args: &[Val]) -> Val {
        let mut a = [Val::NONE; 4];
        a[..args.len()].copy_from_slice(args);
        self.push(ty, Op::Call { helper, args: a })
    }

    /// A guest instruction starts.
    pub fn insn(&mut self, offset: u16, aux: u32) {
        self.block.guest_insns += 1;
        self.push(Ty::I8, Op::Insn { offset, aux });
    }
    /// A new label, to be placed once.
    pub fn label(&mut self) -> Label {
        self.block.labels += 1;
        Label(self.block.labels - 1)
    }
    /// Place a label here.
    pub fn place(&mut self, label: Label) {
        self.push(Ty::I8, Op::Place { label });
    }
    /// Branch forward.
    pub fn br(&mut self, label: Label) {
        self.push(Ty::I8, Op::Br { label });
    }
    /// Branch forward if `cond`.
    pub fn br_if(&mut self, cond: Val, label: Label) {
        self.push(Ty::I8, Op::BrIf { cond, label });
    }
    /// Branch forward unless the x87 has what is needed; see [`Op::X87Need`].
    pub fn x87_need(&mut self, full: u8, empty: u8, label: Label) {
        self.push(Ty::I8, Op::X87Need { full, empty, label });
    }
    /// Execute an instruction of the x87.
    pub fn x87(&mut self, insn: X87Insn, modrm: u8, at: u16) {
        self.push(Ty::I8, Op::X87 { insn, modrm, at });
    }
    /// The same with an operand; see [`Op::X87Operand`].
    pub fn x87_operand(&mut self, insn: X87Insn, modrm: u8, at: u16, a: Val) {
        let ty = self.block.ty(a);
        self.push(ty, Op::X87Operand { insn, modrm, at, a });
    }
    /// The status flags of one that compares.
    pub fn x87_compare(&mut self, insn: X87Insn, modrm: u8, at: u16) -> Val {
        self.push(Ty::I16, Op::X87Compare { insn, modrm, at })
    }
    /// What one would store, as a type.
    pub fn x87_output(&mut self, ty: Ty, insn: X87Insn) -> Val {
        self.push(ty, Op::X87Output { insn })
    }

    /// Continue elsewhere; see [`Op::Goto`].
    pub fn goto(&mut self, offset: i32, mode: u64, hint: Hint, poll: bool) {
        let mode = self.mode(mode);
        self.push(
            Ty::I8,
            Op::Goto {
                offset,
                mode,
                hint,
                poll,
            },
        );
    }
    /// Continue at an address.
    pub fn goto_val(&mut self, addr: Val, hint: Hint) {
        let ty = self.block.ty(addr);
        self.push(ty, Op::GotoVal { addr, hint });
    }
    /// Hand over to the engine.
    pub fn exit(&mut self, why: Leave) {
        self.push(Ty::I8, Op::Exit { why });
    }
}

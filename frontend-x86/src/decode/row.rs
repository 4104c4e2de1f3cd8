//! Rows of opcode maps: what they say, read when they are compiled.
//!
//! A row is `"WORDS" => name`: the function that does it, which is the manual's mnemonic, and after an underscore which
//! form of it. The words are, in this order:
//!
//! | word | meaning |
//! |---|---|
//! | `58` | the opcode; `50+r` is it and seven more, whose low bits are a register; `70+c` sixteen, with a condition |
//! | `c1` | the ModRM byte; `c0+i` is it and seven more, whose low bits are a register |
//! | `/3` | ModRM.reg |
//! | `mem`, `reg` | ModRM is of memory; of a register. `any`: is of a register whatever it says (MOV of control registers) |
//! | `np`, `p66`, `pf3`, `pf2` | the mandatory prefix, or that there is none of the three; `norep`: there is no F2 or F3 |
//! | `w0`, `w1`, `l0`, `l1`, `lig` | REX.W or VEX.W; VEX.L, and that it does not matter: otherwise it says how long vectors are |
//! | `nob` | without REX.B |
//! | `no64`, `only64` | not in 64-bit code; in 64-bit code only |
//! | `d64`, `f64` | operands have 64 bits in 64-bit code, unless a prefix says 16; whatever it says |
//! | `lock` | may be locked, where its destination is memory |
//! | `vsib` | the index is a vector register |
//! | `vex` | is encoded with VEX too; `vex2`: of 256 bits by AVX2. `vexonly`: is only encoded so |
//! | `@sse2` | the feature that the CPU must have |
//! | `Ev` | an operand, the destination first: a letter of SDM 2, A.2.1 (`Z`: the register in the opcode), and a width |
//! | `AL CL AX DX eAX rAX`, `ES` to `GS`, `ST`, `STi`, `XMM0`, `1` | an operand that is always the same |

use crate::features::Features;

/// How an operand is addressed: the letters of SDM 2, A.2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// There is none.
    None,
    /// A far pointer in the instruction.
    A,
    /// A general register: VEX.vvvv.
    B,
    /// A control register: ModRM.reg.
    C,
    /// A debug register: ModRM.reg.
    D,
    /// A general register or memory: ModRM.rm.
    E,
    /// A general register: ModRM.reg.
    G,
    /// A vector register: VEX.vvvv; without VEX, the destination.
    H,
    /// A number in the instruction.
    I,
    /// A distance in the instruction, from its end.
    J,
    /// A vector register: the upper half of a byte in the instruction.
    L,
    /// Memory: ModRM.rm.
    M,
    /// An MMX register: ModRM.rm.
    N,
    /// Memory, whose address is in the instruction.
    O,
    /// An MMX register: ModRM.reg.
    P,
    /// An MMX register or memory: ModRM.rm.
    Q,
    /// A general register: ModRM.rm.
    R,
    /// A segment register: ModRM.reg.
    S,
    /// A vector register: ModRM.rm.
    U,
    /// A vector register: ModRM.reg.
    V,
    /// A vector register or memory: ModRM.rm.
    W,
    /// Memory at DS:rSI.
    X,
    /// Memory at ES:rDI.
    Y,
    /// A general register: the low bits of the opcode.
    Z,
    /// This general register.
    Register(u8),
    /// This segment register.
    Segment(u8),
    /// The number 1.
    One,
    /// The top of the x87 stack.
    St,
    /// A register of the x87 stack: ModRM.rm.
    Sti,
    /// XMM0.
    Xmm0,
}

/// How wide an operand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// It has none: an address alone, or as much as the instruction says.
    None,
    /// 8 bits.
    B,
    /// 8 bits, sign-extended to the other operand's.
    Bs,
    /// 16 bits.
    W,
    /// 32 bits.
    D,
    /// 64 bits.
    Q,
    /// 128 bits.
    Dq,
    /// 256 bits.
    Qq,
    /// 80 bits.
    T,
    /// 16, 32 or 64 bits, by the operand size.
    V,
    /// The same in a register; 16 bits in memory.
    Vw,
    /// 16 or 32 bits, by the operand size.
    Z,
    /// 32 or 64 bits, by the operand size.
    Y,
    /// 32 bits in a register; 8 in memory.
    Db,
    /// 32 bits in a register; 16 in memory.
    Dw,
    /// Two operands of the operand size.
    A,
    /// A far pointer: 16, 32 or 64 bits, by the operand size, and a selector.
    P,
    /// A limit of 16 bits and an address.
    S,
    /// A vector: 128 or 256 bits, by VEX.L.
    X,
    /// Half of a vector.
    H,
    /// A quarter of a vector.
    F,
    /// An eighth of a vector.
    O,
    /// 64 bits, or 256 by VEX.L.
    L,
}

/// An operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operand {
    /// Where it is.
    pub method: Method,
    /// How wide it is.
    pub width: Width,
}

/// Which of the prefixes 66, F3 and F2 a row asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mandatory {
    /// They mean what they mean elsewhere.
    Any,
    /// 66 does; there is no other.
    NoRep,
    /// There is none.
    Np,
    /// 66.
    P66,
    /// F3.
    F3,
    /// F2.
    F2,
}

/// What ModRM addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A register or memory.
    Both,
    /// Memory.
    Memory,
    /// A register.
    Register,
    /// A register, whatever it says.
    Always,
}

/// How a row's instructions are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Without VEX.
    Legacy,
    /// Without and with; 256 bits with this.
    Both(Features),
    /// With VEX.
    Vex,
}

/// What else a row may say.
pub mod flag {
    /// Not in 64-bit code.
    pub const NO64: u16 = 1;
    /// In 64-bit code only.
    pub const ONLY64: u16 = 1 << 1;
    /// Operands have 64 bits in 64-bit code, unless 66 says 16.
    pub const D64: u16 = 1 << 2;
    /// Operands have 64 bits in 64-bit code.
    pub const F64: u16 = 1 << 3;
    /// May be locked.
    pub const LOCK: u16 = 1 << 4;
    /// The index is a vector register.
    pub const VSIB: u16 = 1 << 5;
    /// VEX.L does not matter.
    pub const LIG: u16 = 1 << 6;
    /// Without REX.B.
    pub const NOB: u16 = 1 << 7;
    /// There is a ModRM byte.
    pub const MODRM: u16 = 1 << 8;
}

/// A row of a map.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The manual's mnemonic, and after an underscore which form of it.
    pub name: &'static str,
    /// Its words.
    pub text: &'static str,
    /// The first opcode, and the last.
    pub opcodes: (u8, u8),
    /// Bits of ModRM that are fixed, and their values.
    pub modrm: (u8, u8),
    /// What ModRM addresses.
    pub form: Form,
    /// The mandatory prefix.
    pub mandatory: Mandatory,
    /// REX.W or VEX.W.
    pub w: Option<bool>,
    /// VEX.L.
    pub l: Option<bool>,
    /// How it is encoded.
    pub encoding: Encoding,
    /// What else it says: [`flag`].
    pub flags: u16,
    /// What the CPU must have.
    pub needs: Features,
    /// The destination first.
    pub operands: [Operand; 4],
}

/// A map: rows by opcode, in ascending order of their first ones. Of several that fit, the first counts.
pub struct Map {
    /// The rows.
    pub rows: &'static [Row],
    /// By opcode, the first row that has it.
    first: [u16; 256],
}

impl Map {
    /// A map of these rows.
    ///
    /// # Panics
    /// They are not in order.
    #[expect(clippy::indexing_slicing, reason = "an opcode is below 256, `n` one of the rows")]
    pub const fn new(rows: &'static [Row]) -> Map {
        let (mut first, mut n) = ([u16::MAX; 256], rows.len());
        while n > 0 {
            n -= 1;
            assert!(
                n == 0 || rows[n - 1].opcodes.0 <= rows[n].opcodes.0,
                "rows are not in order"
            );
            let mut opcode = rows[n].opcodes.0 as usize;
            while opcode <= rows[n].opcodes.1 as usize {
                first[opcode] = n as u16;
                opcode += 1;
            }
        }
        Map { rows, first }
    }
    /// The rows of an opcode.
    pub fn of(&self, opcode: u8) -> impl Iterator<Item = &'static Row> {
        let from = self.rows.get(usize::from(self.first(opcode))..).unwrap_or_default();
        from.iter()
            .take_while(move |row| row.opcodes.0 <= opcode)
            .filter(move |row| opcode <= row.opcodes.1)
    }
    fn first(&self, opcode: u8) -> u16 {
        self.first.get(usize::from(opcode)).copied().unwrap_or(u16::MAX)
    }
}

/// Makes a [`Map`] of rows.
#[macro_export]
macro_rules! opcode_map {
    ($(#[$doc:meta])* $map:ident: $( $text:literal => $name:ident )*) => {
        $(#[$doc])*
        pub static $map: $crate::decode::row::Map = {
            static ROWS: &[$crate::decode::row::Row] =
                &[$( const { $crate::decode::row::Row::new(stringify!($name), $text) } ),*];
            $crate::decode::row::Map::new(ROWS)
        };
    };
}

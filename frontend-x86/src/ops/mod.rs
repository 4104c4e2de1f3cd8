//! What instructions do: a function each, named after the manual's mnemonic, a file a group of SDM 1, chapter 5.

mod arithmetic;
mod bits;
mod branch;
mod checksum;
mod decimal;
mod divide;
mod flags;
mod moves;
mod multiply;
mod rotate;
mod shift;
mod stack;
mod string;
#[cfg(test)]
mod tests;

use crate::decode::row::Row;
use crate::tx::Tx;
use std::collections::HashMap;
use std::sync::LazyLock;

/// What carries out an instruction.
pub type Run = fn(&mut Tx);

/// Names of rows, and their functions.
macro_rules! instructions {
    ($( $file:ident: $( $name:ident )* ; )*) => {
        const INSTRUCTIONS: &[(&str, Run)] = &[$( $( (stringify!($name), $file::$name as Run), )* )*];
    };
}

instructions! {
    arithmetic: add adc sub sbb cmp inc dec neg and or xor not test xadd cmpxchg cmpxchg8b cmpxchg16b adcx adox;
    bits: bt bts btr btc bsf bsr tzcnt lzcnt popcnt andn blsi blsmsk blsr bzhi bextr pext pdep;
    branch: jcc jmp call ret jcxz loop_ loope loopne ud0 ud1 ud2;
    checksum: crc32;
    decimal: aaa aas aad aam daa das;
    divide: div idiv;
    flags: clc stc cmc cld std lahf sahf setcc salc;
    moves: mov movzx movsx movsxd lea xchg cmovcc cbw cwd bswap movbe xlat nop;
    multiply: mul imul imul_wide mulx;
    rotate: rol ror rcl rcr rorx;
    shift: shl shr sar shld shrd shlx shrx sarx;
    stack: push pop pusha popa enter leave;
    string: movs stos lods cmps scas;
}

/// What carries out a row's instructions. `None`: they are not there.
pub fn find(row: &Row) -> Option<Run> {
    static BY_NAME: LazyLock<HashMap<&'static str, Run>> = LazyLock::new(|| INSTRUCTIONS.iter().copied().collect());
    BY_NAME.get(row.name).copied()
}

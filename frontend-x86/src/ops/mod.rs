//! What instructions do: a function each, named after the manual's mnemonic, a file a group of SDM 1, chapter 5.

mod arithmetic;
mod bits;
mod branch;
mod checksum;
mod decimal;
mod divide;
mod far;
mod flags;
mod interrupts;
mod io;
mod leave;
mod moves;
mod multiply;
mod rotate;
mod segment;
mod shift;
mod stack;
mod string;
mod system;
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
    far: jmp_far call_far ret_far iret int int1 int3 into bound syscall sysret sysenter sysexit rsm;
    flags: clc stc cmc cld std lahf sahf setcc salc;
    interrupts: hlt cli sti pushf popf clac stac;
    io: in_ out ins outs;
    moves: mov movzx movsx movsxd lea xchg cmovcc cbw cwd bswap movbe xlat nop;
    multiply: mul imul imul_wide mulx;
    rotate: rol ror rcl rcr rorx;
    segment: mov_from_segment mov_to_segment push_segment pop_segment lds les lfs lgs lss lar lsl verr verw arpl sldt str lldt ltr
        sgdt sidt lgdt lidt;
    shift: shl shr sar shld shrd shlx shrx sarx;
    stack: push pop pusha popa enter leave;
    string: movs stos lods cmps scas;
    system: mov_from_control mov_to_control mov_from_debug mov_to_debug smsw lmsw clts rdmsr wrmsr rdtsc rdtscp rdpid rdpmc cpuid
        xgetbv xsetbv rdpkru wrpkru swapgs rdfsbase rdgsbase wrfsbase wrgsbase invlpg invpcid invd wbinvd clflush clflushopt clwb
        prefetchw prefetchnta prefetcht0 prefetcht1 prefetcht2 lfence sfence mfence pause monitor mwait rdrand rdseed;
}

/// What carries out a row's instructions. `None`: they are not there.
pub fn find(row: &Row) -> Option<Run> {
    static BY_NAME: LazyLock<HashMap<&'static str, Run>> = LazyLock::new(|| INSTRUCTIONS.iter().copied().collect());
    BY_NAME.get(row.name).copied()
}

//! What instructions do: a function each, named after the manual's mnemonic, a file a group of SDM 1, chapter 5.

mod arithmetic;
mod bits;
mod branch;
mod checksum;
mod decimal;
mod divide;
mod far;
mod flags;
mod float;
mod interrupts;
mod io;
mod leave;
mod moves;
mod multiply;
mod rotate;
mod segment;
mod shift;
mod simd;
mod stack;
mod string;
mod system;
#[cfg(test)]
mod tests;
mod x87;

pub(crate) use x87::leave_to_calls;

use crate::decode::row::Row;
use crate::tx::Tx;
use float::{control, conversion, fused, number, relation};
use simd::{compare, crypto, elements, logic, masked, packed, shifts, shuffle, state, text, transfer};
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
    moves: mov movnti movzx movsx movsxd lea xchg cmovcc cbw cwd bswap movbe xlat nop;
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
    compare: pcmpeqb pcmpeqw pcmpeqd pcmpeqq pcmpgtb pcmpgtw pcmpgtd pcmpgtq;
    crypto: aesenc aesenclast aesdec aesdeclast aesimc aeskeygenassist pclmulqdq sha1nexte sha1msg1 sha1msg2 sha1rnds4
        sha256rnds2 sha256msg1 sha256msg2 gf2p8mulb gf2p8affineqb gf2p8affineinvqb;
    elements: pinsrb pinsrw pinsrd pextrb pextrw pextrd extractps insertps movmskps movmskpd pmovmskb vpbroadcastb
        vpbroadcastw vpbroadcastd vpbroadcastq vbroadcastss vbroadcastsd vbroadcastf128 vbroadcasti128 vinsertf128
        vinserti128 vextractf128 vextracti128 vperm2f128 vperm2i128 vpermq vpermpd vpermd vpermps vpermilps vpermilpd;
    logic: pand andps andpd pandn andnps andnpd por orps orpd pxor xorps xorpd ptest vtestps vtestpd;
    masked: vmaskmovps vmaskmovpd vpmaskmovd vpmaskmovq maskmovdqu maskmovq vpgatherdd vpgatherdq vpgatherqd vpgatherqq
        vgatherdps vgatherdpd vgatherqps vgatherqpd;
    packed: paddb paddw paddd paddq psubb psubw psubd psubq paddsb paddsw paddusb paddusw psubsb psubsw psubusb psubusw
        pmullw pmulld pmulhw pmulhuw pmulhrsw pmuldq pmuludq pmaddwd pmaddubsw psadbw pavgb pavgw pminub pminuw pminud
        pminsb pminsw pminsd pmaxub pmaxuw pmaxud pmaxsb pmaxsw pmaxsd psignb psignw psignd phaddw phaddd phaddsw
        phsubw phsubd phsubsw pabsb pabsw pabsd phminposuw mpsadbw;
    shifts: vpsllvd vpsllvq vpsrlvd vpsrlvq vpsravd psllw pslld psllq psrlw psrld psrlq psraw psrad pslldq psrldq;
    shuffle: packsswb packssdw packuswb packusdw punpcklbw punpcklwd punpckldq punpcklqdq punpckhbw punpckhwd punpckhdq
        punpckhqdq unpcklps unpckhps unpcklpd unpckhpd pshufb palignr shufps pblendw pshufw pshufd pshuflw pshufhw
        blendps blendpd vpblendd shufpd pblendvb vpblendvb blendvps vblendvps blendvpd vblendvpd pmovsxbw pmovsxbd
        pmovsxbq pmovsxwd pmovsxwq pmovsxdq pmovzxbw pmovzxbd pmovzxbq pmovzxwd pmovzxwq pmovzxdq;
    state: emms vzeroupper vzeroall;
    text: pcmpestri pcmpestrm pcmpistri pcmpistrm;
    transfer: movups movupd movaps movapd movdqa movdqu lddqu movntps movntpd movntdq movntdqa movntq movlps movlpd movhps
        movhpd movq movq2dq movdq2q movd movss movsd movhlps movlhps movsldup movshdup movddup;
    control: ldmxcsr stmxcsr;
    conversion: cvtss2sd cvtsd2ss cvtsi2ss cvtsi2sd cvtss2si cvtsd2si cvttss2si cvttsd2si cvtdq2ps cvtps2dq cvttps2dq
        cvtdq2pd cvtpd2dq cvttpd2dq cvtps2pd cvtpd2ps cvtpi2ps cvtpi2pd cvtps2pi cvttps2pi cvtpd2pi cvttpd2pi
        vcvtph2ps vcvtps2ph;
    fused: vfmadd132ps vfmadd132pd vfmadd132ss vfmadd132sd vfmadd213ps vfmadd213pd vfmadd213ss vfmadd213sd vfmadd231ps
        vfmadd231pd vfmadd231ss vfmadd231sd vfmsub132ps vfmsub132pd vfmsub132ss vfmsub132sd vfmsub213ps vfmsub213pd
        vfmsub213ss vfmsub213sd vfmsub231ps vfmsub231pd vfmsub231ss vfmsub231sd vfnmadd132ps vfnmadd132pd vfnmadd132ss
        vfnmadd132sd vfnmadd213ps vfnmadd213pd vfnmadd213ss vfnmadd213sd vfnmadd231ps vfnmadd231pd vfnmadd231ss
        vfnmadd231sd vfnmsub132ps vfnmsub132pd vfnmsub132ss vfnmsub132sd vfnmsub213ps vfnmsub213pd vfnmsub213ss
        vfnmsub213sd vfnmsub231ps vfnmsub231pd vfnmsub231ss vfnmsub231sd vfmaddsub132ps vfmaddsub132pd vfmaddsub213ps
        vfmaddsub213pd vfmaddsub231ps vfmaddsub231pd vfmsubadd132ps vfmsubadd132pd vfmsubadd213ps vfmsubadd213pd
        vfmsubadd231ps vfmsubadd231pd;
    number: addps addpd addss addsd subps subpd subss subsd mulps mulpd mulss mulsd divps divpd divss divsd minps
        minpd minss minsd maxps maxpd maxss maxsd sqrtps sqrtpd sqrtss sqrtsd rcpps rcpss rsqrtps rsqrtss roundps
        roundpd roundss roundsd addsubps addsubpd haddps haddpd hsubps hsubpd dpps dppd;
    relation: cmpps cmppd cmpss cmpsd comiss comisd ucomiss ucomisd;
    x87: fadd faddp fsub fsubp fsubr fsubrp fmul fmulp fdiv fdivp fdivr fdivrp fiadd fimul fisub fisubr fidiv fidivr
        fcom fcomp fcompp fucom fucomp fucompp ficom ficomp fcomi fcomip fucomi fucomip ftst fxam
        fld fld_register fild fbld fld1 fldl2t fldl2e fldpi fldlg2 fldln2 fldz fst fst_register fstp fstp_register
        fist fistp fisttp fbstp fxch fchs fabs fsqrt fscale fprem fprem1 frndint fxtract
        f2xm1 fyl2x fyl2xp1 fptan fpatan fsin fcos fsincos
        fcmovb fcmove fcmovbe fcmovu fcmovnb fcmovne fcmovnbe fcmovnu fincstp fdecstp ffree ffreep fnop
        fwait fninit fnclex feni fdisi fsetpm fldcw fnstcw fnstsw fnstenv fldenv fnsave frstor
        fxsave fxrstor xsave xsaveopt xsavec xsaves xrstor xrstors;
}

/// What carries out a row's instructions. `None`: they are not there.
pub fn find(row: &Row) -> Option<Run> {
    static BY_NAME: LazyLock<HashMap<&'static str, Run>> = LazyLock::new(|| INSTRUCTIONS.iter().copied().collect());
    BY_NAME.get(row.name).copied()
}

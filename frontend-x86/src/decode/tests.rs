use super::Failed::{Fetch, TooLong, Undefined};
use super::Size::{Bits16, Bits32, Bits64};
use super::insn::Memory;
use super::*;
use capstone::prelude::*;
use emu_ir::testing::Random;
use std::collections::{BTreeMap, BTreeSet};

const SIZES: [Size; 3] = [Bits16, Bits32, Bits64];
const MAPS: [(&[u8], &Map); 5] = [
    (&[], &ONE_BYTE),
    (&[0x0f], &TWO_BYTE),
    (&[0x0f, 0x38], &MAP_0F38),
    (&[0x0f, 0x3a], &MAP_0F3A),
    (&[], &X87),
];

fn code(size: Size) -> Code {
    Code {
        size,
        vex: true,
        wide_branches: true,
        features: Features::ALL,
    }
}

/// Decodes bytes; what is behind them cannot be fetched: which byte would be needed.
fn decoded(code: &Code, bytes: &[u8]) -> Result<Insn, Failed<u8>> {
    decode(code, |at| bytes.get(usize::from(at)).copied().ok_or(at))
}

/// Name and length of what there is in code of a size.
fn named(size: Size, bytes: &[u8]) -> Result<(&'static str, u8), Failed<u8>> {
    decoded(&code(size), bytes).map(|insn| (insn.row.name, insn.length))
}

fn memory(size: Size, bytes: &[u8]) -> Memory {
    decoded(&code(size), bytes).unwrap().memory.unwrap()
}

#[test]
fn the_rows_of_an_opcode_agree_on_whether_there_is_a_modrm_byte() {
    for (_, map) in MAPS {
        for opcode in 0..=255 {
            let flags: BTreeSet<u16> = map.of(opcode).map(|row| row.flags & flag::MODRM).collect();
            assert!(flags.len() < 2, "{opcode:#x}");
        }
    }
}

/// Every combination of mandatory prefix, W and L for an opcode, before any ModRM.
fn encodings(size: Size, escape: &[u8], opcode: u8) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for prefix in [&[][..], &[0x66], &[0xf3], &[0xf2]] {
        for rex in [&[][..], &[0x48], &[0x41]] {
            if rex.is_empty() || size == Bits64 {
                all.push([prefix, rex, escape, &[opcode]].concat());
            }
        }
    }
    let map = match escape {
        [0x0f] => 1,
        [0x0f, 0x38] => 2,
        [0x0f, 0x3a] => 3,
        _ => return all,
    };
    for last in 0..16 {
        let (w, l, pp) = (last >> 3 & 1, last >> 2 & 1, last & 3);
        for vvvv in [15, 11] {
            all.push(vec![0xc4, 0xe0 | map, w << 7 | vvvv << 3 | l << 2 | pp, opcode]);
        }
    }
    all
}

#[test]
fn every_row_is_of_some_bytes() {
    let mut left: BTreeSet<_> = MAPS
        .iter()
        .flat_map(|(_, map)| map.rows.iter().map(|row| (row.name, row.text)))
        .collect();
    for size in SIZES {
        for (escape, map) in MAPS {
            for opcode in map.rows.iter().map(|row| row.opcodes.1).collect::<BTreeSet<_>>() {
                for before in encodings(size, escape, opcode) {
                    // Memory by a register and by SIB, and all registers.
                    for modrm in (0..=255).filter(|modrm| modrm & 0xc7 == 4 || *modrm >= 0xc0) {
                        let bytes = [&before[..], &[modrm, 0, 0, 0, 0, 0, 0, 0, 0]].concat();
                        if let Ok(insn) = decoded(&code(size), &bytes) {
                            left.remove(&(insn.row.name, insn.row.text));
                        }
                    }
                }
            }
        }
    }

    assert_eq!(left, BTreeSet::new());
}

/// What capstone knows and no CPU of ours has, by the start of its name; or, with a full stop, all of it.
const ABSENT: &str = "bnd clgi. clrssbsy. clzero. encl extrq. femms. getsec. incsspd. incsspq. insertq. invept. invlpga. \
                      invvpid. k monitorx. montmul. movdir mwaitx. movnts pavgusb. pconfig. pf pi2f pmulhrw. pswapd. \
                      ptwrite. rstorssp. saveprevssp. setssbsy. skinit. stgi. tpause. umonitor. umwait. vm vfmadd vfmsub \
                      vfnmadd vfnmsub vpcom vpermil2 vpsh vprot vpha vphs vpmac vpmad vpperm vpcmov. vfrcz wrss wruss \
                      xabort. xbegin. xcrypt xend. xsha1. xsha256. xstore. xtest. bextr. bl tz t1mskc. llwpcb. slwpcb. lwp \
                      wbnoinvd. blci. v4f valign rdssp";

fn is_absent(name: &str) -> bool {
    let listed = |word: &str| {
        word.strip_suffix('.')
            .map_or(name.starts_with(word), |whole| name == whole)
    };
    ABSENT.split_whitespace().any(listed)
}

/// What capstone calls a row's instructions, where it is another name: a start of it.
const NAMES: [(&str, &str); 46] = [
    ("call_far", "lcall"),
    ("cbw", "c"),
    ("cmovcc", "cmov"),
    ("cmppd", "cmp"),
    ("cmpps", "cmp"),
    ("cmps", "cmps"),
    ("cmpsd", "cmp"),
    ("cmpss", "cmp"),
    ("cwd", "c"),
    ("fcomip", "fcompi"),
    ("fdisi", "fdisi"),
    ("feni", "feni"),
    ("fstp", "fstp"),
    ("fucomip", "fucompi"),
    ("fwait", "wait"),
    ("imul", "imul"),
    ("ins", "ins"),
    ("iret", "iret"),
    ("jcc", "j"),
    ("jcxz", "j"),
    ("jmp_far", "ljmp"),
    ("lods", "lods"),
    ("mov", "mov"),
    ("movd", "movq"),
    ("movs", "movs"),
    ("outs", "outs"),
    ("pextrd", "pextrq"),
    ("pinsrd", "pinsrq"),
    ("pclmulqdq", "pclmul"),
    ("popa", "popa"),
    ("popf", "popf"),
    ("prefetchw", "prefetch"),
    ("pusha", "pusha"),
    ("pushf", "pushf"),
    ("ret", "ret"),
    ("ret_far", "retf"),
    ("scas", "scas"),
    ("setcc", "set"),
    ("shl", "sal"),
    ("stos", "stos"),
    ("sysexit", "sysexit"),
    ("sysret", "sysret"),
    ("wbinvd", "wb"),
    ("xlat", "xlat"),
    ("cmpxchg8b", "cmpxchg"),
    // Hints, which do nothing where a CPU has not what they are for.
    ("nop", ""),
];

fn is_called(row: &Row, name: &str) -> bool {
    let name = name.split(' ').next_back().unwrap_or(name);
    let own = row.name.trim_end_matches('_').split('_').next().unwrap_or(row.name);
    let same = |a: &str, b: &str| a == b || a.strip_prefix('v') == Some(b);
    let other = NAMES.iter().filter(|(ours, _)| *ours == row.name || *ours == own);
    let plain = name.strip_prefix('v').unwrap_or(name);
    same(name, own) || other.into_iter().any(|(_, start)| plain.starts_with(start))
}

/// What capstone refuses and the manuals do not, or that is refused by whoever does it.
fn is_left_to_us(insn: &Insn) -> bool {
    let name = insn.row.name;
    // Fields that are ignored; registers that are not there; aliases; VEX.W where it is ignored.
    let ignored = matches!(
        name,
        "lfence" | "mfence" | "sfence" | "nop" | "prefetchw" | "movsxd" | "pause"
    );
    let alias = matches!(name, "fcom" | "fcomp" | "fstp_register" | "fxch");
    let segment = matches!(name, "mov_from_segment" | "mov_to_segment");
    ignored || alias || segment || insn.vex.is_some()
}

/// What capstone takes and the manuals do not: prefixes that are not allowed, EVEX, AMD's XOP, SWAPGS outside of 64-bit code.
fn is_refused(size: Size, bytes: &[u8]) -> bool {
    let is_prefix = |byte: &u8| match byte {
        0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3 => true,
        _ => size == Bits64 && byte & 0xf0 == 0x40,
    };
    let start = bytes.iter().position(|byte| !is_prefix(byte)).unwrap_or(bytes.len());
    let (prefixes, rest) = bytes.split_at(start);
    let mandatory = prefixes.iter().any(|byte| matches!(byte, 0x66 | 0xf2 | 0xf3));
    match rest {
        _ if prefixes.contains(&0xf0) => true,
        [0x0f, 0x01 | 0xae | 0xc7 | 0x38 | 0x3a, ..] | [0xc4 | 0xc5, ..] if mandatory => true,
        [0x0f, 0x01, 0xf8, ..] => size != Bits64,
        [0x62 | 0x8f, ..] => true,
        _ => false,
    }
}

#[test]
fn bytes_are_what_capstone_says() {
    use arch::x86::ArchMode;
    let mut wrong = BTreeMap::new();
    // Capstone takes 66 for the operand size alone in code of 16 bits.
    for (size, mode) in [(Bits32, ArchMode::Mode32), (Bits64, ArchMode::Mode64)] {
        let lister = Capstone::new().x86().mode(mode).build().unwrap();
        let mut random = Random::of("decode", size as u64);
        for n in 0..300_000 {
            let mut bytes = [random.next().to_le_bytes(), random.next().to_le_bytes()].concat();
            let starts: [&[u8]; 8] = [
                &[],
                &[],
                &[0x0f],
                &[0x66, 0x0f],
                &[0xf3, 0x0f],
                &[0x66, 0x0f, 0x38],
                &[0x66, 0x0f, 0x3a],
                &[0xc4, 0xe1 + (n / 8 % 3) as u8, 0x78 | random.word() as u8 & 0x87],
            ];
            let start = starts[n % starts.len()];
            bytes[..start.len()].copy_from_slice(start);
            let ours = decoded(&code(size), &bytes);
            let theirs = lister.disasm_count(&bytes, 0, 1).unwrap();
            let theirs = theirs
                .first()
                .map(|insn| (insn.mnemonic().unwrap_or("?").to_owned(), insn.len()));

            let same = match (&ours, &theirs) {
                (Ok(insn), Some((name, length))) => {
                    is_called(insn.row, name) && usize::from(insn.length) == *length || is_apart(insn.row)
                }
                (Ok(insn), None) => is_left_to_us(insn),
                (Err(_), Some((name, _))) => is_absent(name) || is_refused(size, &bytes),
                (Err(_), None) => true,
            };
            let ours = ours.map(|insn| (insn.row.name, insn.row.text, insn.length));
            if !same {
                let names = (
                    ours.map_or("none", |row| row.0),
                    theirs.as_ref().map(|insn| insn.0.clone()),
                );
                let how = format!("{size:?} {bytes:02x?}: {ours:?}, capstone {theirs:?}");
                wrong.entry(names).or_insert(how);
            }
        }
    }
    assert!(wrong.is_empty(), "{:#?}", wrong.values());
}

/// Rows whose length or name is another by the maker or by features that capstone always has.
fn is_apart(row: &Row) -> bool {
    matches!(row.name, "ud0" | "ud1") || row.text == "80+c f64 Jz"
}

/// SDM 2, 2.2.1: REX prefixes.
#[test]
fn rex_counts_right_before_the_opcode_alone() {
    let of = |bytes| decoded(&code(Bits64), bytes).map(|insn| (insn.operand_size, insn.rm(), insn.length));

    assert_eq!(of(&[0x48, 0x66, 0x89, 0xc8]), Ok((2, 0, 4)));
    assert_eq!(of(&[0x66, 0x48, 0x89, 0xc8]), Ok((8, 0, 4)));
    assert_eq!(of(&[0x41, 0x48, 0x89, 0xc8]), Ok((8, 0, 4)), "the last of several");
    assert_eq!(named(Bits32, &[0x48]), Ok(("dec", 1)));
}

/// SDM 2, 2.3.11: instructions of more than 15 bytes.
#[test]
fn an_instruction_has_fifteen_bytes_at_most() {
    let nop = |prefixes| [vec![0x66; prefixes], vec![0x90]].concat();

    assert_eq!(named(Bits32, &nop(14)), Ok(("nop", 15)));
    assert_eq!(named(Bits32, &nop(15)), Err(TooLong));
    assert_eq!(named(Bits32, &nop(40)), Err(TooLong));
    assert_eq!(named(Bits32, &[0x66; 15]), Err(TooLong));
    assert_eq!(
        named(Bits32, &[0x66; 14]),
        Err(Fetch(14)),
        "a byte that is missing comes first"
    );
}

#[test]
fn no_byte_is_fetched_that_is_not_needed() {
    assert_eq!(named(Bits64, &[0xc3]), Ok(("ret", 1)));
    assert_eq!(named(Bits64, &[0xb8]), Err(Fetch(1)));
    assert_eq!(named(Bits64, &[0xb8, 1, 2]), Err(Fetch(3)));
    assert_eq!(named(Bits64, &[0x0f, 0x0b]), Ok(("ud2", 2)));
    assert_eq!(named(Bits64, &[0x0f, 0x04]), Err(Undefined));
    assert_eq!(named(Bits64, &[0x62]), Err(Undefined));
    assert_eq!(named(Bits64, &[0x8b, 0x84, 0x24, 0, 0, 0]), Err(Fetch(6)));
}

#[test]
fn a_near_branch_has_64_bits_as_the_maker_says() {
    let jump = [0x66, 0xe9, 0xfe, 0xff, 0, 0];
    let amd = Code {
        wide_branches: false,
        ..code(Bits64)
    };

    let of = |code: &Code| decoded(code, &jump).map(|insn| (insn.length, insn.operand_size, insn.immediate as i64));

    assert_eq!(of(&code(Bits64)), Ok((6, 8, 0xfffe)));
    assert_eq!(of(&amd), Ok((4, 2, -2)));
    assert_eq!(of(&code(Bits32)), Ok((4, 2, -2)));
    assert_eq!(of(&code(Bits16)), Ok((6, 4, 0xfffe)));
}

/// SDM 2, 2.3: what VEX must not be with.
#[test]
fn vex_is_alone_and_its_fields_are_looked_at() {
    let fine = [0xc5, 0xf8, 0x28, 0xc1];
    let without = Code {
        vex: false,
        ..code(Bits64)
    };

    assert_eq!(named(Bits64, &fine), Ok(("movaps", 4)));
    assert_eq!(named(Bits32, &fine), Ok(("movaps", 4)));
    assert_eq!(
        named(Bits64, &[0xc5, 0x70, 0x28, 0xc1]),
        Err(Undefined),
        "a register that is not used"
    );
    for prefix in [0x66, 0xf2, 0xf3, 0xf0, 0x40] {
        assert_eq!(
            named(Bits64, &[&[prefix], &fine[..]].concat()),
            Err(Undefined),
            "{prefix:#x}"
        );
    }
    assert_eq!(decoded(&without, &fine).map(|_| ()), Err(Undefined));
    assert_eq!(named(Bits32, &[0xc5, 0x38]), Ok(("lds", 2)), "of memory");
    assert_eq!(
        named(Bits64, &[0xc5, 0x38, 0x58, 0xc1]),
        Ok(("addps", 4)),
        "of memory as well"
    );
    assert_eq!(
        named(Bits64, &[0xc4, 0xe4, 0x78, 0x28, 0xc1]),
        Err(Undefined),
        "no such map"
    );
}

/// SDM 2, the instructions' pages.
#[test]
fn forms_that_are_not_there_are_undefined() {
    for bytes in [
        &[0x8d, 0xc0][..],
        &[0xc6, 0xc8, 0],
        &[0xc7, 0x08],
        &[0x0f, 0xc7, 0xc8],
        &[0x0f, 0x01, 0xd8],
    ] {
        assert_eq!(named(Bits64, bytes), Err(Undefined), "{bytes:02x?}");
    }
    assert_eq!(
        named(Bits64, &[0x0f, 0x22, 0x18]),
        Ok(("mov_to_control", 3)),
        "it is no memory"
    );
    assert_eq!(named(Bits64, &[0x90]), Ok(("nop", 1)));
    assert_eq!(named(Bits64, &[0x41, 0x90]), Ok(("xchg", 2)));
    assert_eq!(named(Bits64, &[0xf3, 0x90]), Ok(("pause", 2)));
    for bytes in [
        &[0x06][..],
        &[0x27],
        &[0x60],
        &[0x9a],
        &[0xce],
        &[0xd5, 10],
        &[0xea],
        &[0x82, 0xc0, 1],
    ] {
        assert_eq!(named(Bits64, bytes), Err(Undefined), "{bytes:02x?}");
    }
}

#[test]
fn only_what_stores_to_memory_is_locked() {
    assert_eq!(named(Bits64, &[0xf0, 0x01, 0x08]), Ok(("add", 3)));
    assert_eq!(named(Bits64, &[0xf0, 0x01, 0xc8]), Err(Undefined), "a register");
    assert_eq!(
        named(Bits64, &[0xf0, 0x03, 0x08]),
        Err(Undefined),
        "memory is the source"
    );
    assert_eq!(named(Bits64, &[0xf0, 0x39, 0x08]), Err(Undefined), "CMP");
    assert_eq!(named(Bits64, &[0xf0, 0x0f, 0xc7, 0x08]), Ok(("cmpxchg8b", 4)));
    assert_eq!(named(Bits64, &[0xf0, 0x48, 0x0f, 0xc7, 0x08]), Ok(("cmpxchg16b", 5)));
}

#[test]
fn what_a_cpu_lacks_is_undefined_or_what_it_was_before() {
    let without = |feature: &str| Code {
        features: Features::ALL.without(Features::named(feature.as_bytes()).unwrap()),
        ..code(Bits64)
    };
    let named = |feature, bytes| decoded(&without(feature), bytes).map(|insn| insn.row.name);

    assert_eq!(named("abm", &[0xf3, 0x0f, 0xbd, 0xc1]), Ok("bsr"));
    assert_eq!(named("bmi1", &[0xf3, 0x0f, 0xbc, 0xc1]), Ok("bsf"));
    assert_eq!(named("popcnt", &[0xf3, 0x0f, 0xb8, 0xc1]), Err(Undefined));
    assert_eq!(named("movbe", &[0x0f, 0x38, 0xf0, 0x00]), Err(Undefined));
    assert_eq!(named("avx2", &[0xc5, 0xfd, 0xfe, 0xc1]), Err(Undefined), "256 bits");
    assert_eq!(named("avx2", &[0xc5, 0xf9, 0xfe, 0xc1]), Ok("paddd"), "128 bits");
    assert_eq!(named("avx", &[0xc5, 0xf9, 0xfe, 0xc1]), Err(Undefined));
    assert_eq!(named("vaes", &[0xc4, 0xe2, 0x7d, 0xdc, 0xc1]), Err(Undefined));
    assert_eq!(named("sse2", &[0x66, 0x0f, 0xfe, 0xc1]), Err(Undefined));
    assert_eq!(named("sse2", &[0x0f, 0xfe, 0xc1]), Ok("paddd"), "MMX");
}

/// SDM 2, table 2-1.
#[test]
fn addresses_of_16_bits_are_pairs_of_registers() {
    let of = |modrm, more: &[u8]| {
        let memory = memory(Bits16, &[&[0x8b, modrm], more].concat());
        (memory.segment, memory.base, memory.index, memory.displacement)
    };

    assert_eq!(of(0x00, &[]), (Segment::Ds, Some(3), Some(6), 0));
    assert_eq!(of(0x02, &[]), (Segment::Ss, Some(5), Some(6), 0));
    assert_eq!(of(0x06, &[0x34, 0x92]), (Segment::Ds, None, None, -0x6dcc));
    assert_eq!(of(0x46, &[0xff]), (Segment::Ss, Some(5), None, -1));
    assert_eq!(of(0x87, &[1, 2]), (Segment::Ds, Some(3), None, 0x201));
    assert_eq!(memory(Bits16, &[0x64, 0x8b, 0x02]).segment, Segment::Fs);
}

/// SDM 2, tables 2-2 and 2-3; 2.2.1.6 for RIP.
#[test]
fn addresses_have_a_base_an_index_and_a_displacement() {
    let of = |size, bytes: &[u8]| {
        let m = memory(size, bytes);
        (m.base, m.index, m.scale, m.displacement, m.relative)
    };

    assert_eq!(of(Bits32, &[0x8b, 0x04, 0x8b]), (Some(3), Some(1), 2, 0, false));
    assert_eq!(
        of(Bits32, &[0x8b, 0x04, 0x24]),
        (Some(4), None, 0, 0, false),
        "no index"
    );
    assert_eq!(
        of(Bits32, &[0x8b, 0x05, 4, 3, 2, 1]),
        (None, None, 0, 0x0102_0304, false)
    );
    assert_eq!(
        of(Bits64, &[0x8b, 0x05, 0xfc, 0xff, 0xff, 0xff]),
        (None, None, 0, -4, true)
    );
    assert_eq!(of(Bits64, &[0x8b, 0x04, 0x25, 4, 0, 0, 0]), (None, None, 0, 4, false));
    assert_eq!(
        of(Bits64, &[0x43, 0x8b, 0x44, 0xa5, 0x80]),
        (Some(13), Some(12), 2, -128, false)
    );
    assert_eq!(
        of(Bits64, &[0x41, 0x8b, 0x05, 4, 0, 0, 0]),
        (None, None, 0, 4, true),
        "not R13"
    );
    assert_eq!(
        of(Bits64, &[0xa1, 1, 2, 3, 4, 5, 6, 7, 8]),
        (None, None, 0, 0x0807_0605_0403_0201, false)
    );
    assert_eq!(
        of(Bits64, &[0x67, 0xa1, 1, 2, 3, 4]),
        (None, None, 0, 0x0403_0201, false)
    );
    assert_eq!(memory(Bits32, &[0x8b, 0x45, 0]).segment, Segment::Ss);
    assert_eq!(
        memory(Bits64, &[0x2e, 0x8b, 0x45, 0]).segment,
        Segment::Ss,
        "CS: does not count"
    );
    assert_eq!(
        memory(Bits64, &[0x65, 0x2e, 0x8b, 0x45, 0]).segment,
        Segment::Gs,
        "nor does it undo"
    );
}

#[test]
fn an_index_may_be_a_vector_register() {
    let gather = [0xc4, 0xe2, 0x69, 0x90, 0x04, 0x23];

    assert_eq!(memory(Bits64, &gather).index, Some(4));
    assert_eq!(
        named(Bits64, &[0xc4, 0xe2, 0x69, 0x90, 0x03]),
        Err(Undefined),
        "without SIB"
    );
    assert_eq!(
        named(Bits32, &[&[0x67], &gather[..]].concat()),
        Err(Undefined),
        "16 bits"
    );
}

#[test]
fn numbers_have_the_width_that_the_row_says() {
    let of = |size, bytes: &[u8]| {
        let insn = decoded(&code(size), bytes).unwrap();
        (insn.immediate as i64, insn.second, insn.length)
    };

    assert_eq!(of(Bits64, &[0x48, 0x05, 0xff, 0xff, 0xff, 0xff]), (-1, 0, 6));
    assert_eq!(
        of(Bits64, &[0x48, 0xb8, 1, 0, 0, 0, 0, 0, 0, 0x80]),
        (i64::MIN + 1, 0, 10)
    );
    assert_eq!(of(Bits32, &[0x83, 0xc0, 0xff]), (-1, 0, 3));
    assert_eq!(of(Bits32, &[0xcd, 0x80]), (0x80, 0, 2));
    assert_eq!(of(Bits32, &[0xeb, 0x80]), (-0x80, 0, 2));
    assert_eq!(of(Bits32, &[0xc8, 0x34, 0x92, 3]), (0x9234, 3, 4));
    assert_eq!(of(Bits32, &[0xea, 1, 2, 3, 4, 5, 6]), (0x0403_0201, 0x605, 7));
    assert_eq!(of(Bits16, &[0xea, 1, 2, 5, 6]), (0x201, 0x605, 5));
    assert_eq!(of(Bits64, &[0xc4, 0xe3, 0x71, 0x4a, 0xc2, 0x30]), (0x30, 0, 6));
}

/// SDM 2, 2.3.5.6: "otherwise an instruction attempting to use VEX.vvvv will #UD", in any mode and of all four bits.
#[test]
fn vvvv_that_is_no_register_is_all_ones() {
    for (size, third) in [(Bits32, 0x39), (Bits64, 0x39), (Bits32, 0x41), (Bits16, 0x39)] {
        assert_eq!(
            named(size, &[0xc4, 0xe1, third, 0x28, 0xc1]),
            Err(Undefined),
            "{size:?} {third:#x}"
        );
    }
    assert_eq!(named(Bits32, &[0xc4, 0xe1, 0x79, 0x28, 0xc1]), Ok(("movapd", 5)));
}

/// SDM 2, 2.3.5.6: of a register's number, three bits count outside of 64-bit mode.
#[test]
fn vvvv_that_is_a_register_has_three_bits_outside_of_64_bit_mode() {
    for (size, number) in [(Bits32, 0), (Bits16, 0), (Bits64, 8)] {
        let insn = decoded(&code(size), &[0xc4, 0xe1, 0x39, 0xfe, 0xc1]).unwrap();

        assert_eq!(insn.vex.unwrap().vvvv, number, "{size:?}");
    }
}

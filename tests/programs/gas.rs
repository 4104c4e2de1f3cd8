//! The listings of binutils' assembler tests against the decoder: `objdump`'s output, as regular expressions.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use emu_frontend_arm::a32::{Set, decoders};
use emu_frontend_arm::features::Features;
use emu_frontend_arm::state::mode;
use emu_frontend_arm::translate::translate;
use emu_frontend_arm::{MODELS, Model, calls};
use emu_ir::{BlockKey, Builder, Fault, Fetch, Op};
use regex::Regex;

use crate::debian::{Archive, sources};
use crate::guest::skipped;

/// An instruction of a listing.
#[derive(Debug)]
struct Listed {
    set: Set,
    word: u32,
    /// The text, in the listing's regular expression.
    text: String,
}

/// The instruction of a line, if it has one.
fn listed(line: &str) -> Option<Listed> {
    static SPACE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?:(?:\s|\\s|\\t|\\ |\[\[:space:\]\]|\[(?:\s|\\s|\\t)+\])[+*?]?|\.[*+])+").expect("a regex")
    });
    static LINE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new("[:>+] ([0-9a-f]{8}|[0-9a-f]{4} [0-9a-f]{4}|[0-9a-f]{4}) ([^ ].*)$").expect("a regex")
    });
    if line.starts_with('#') {
        return None;
    }
    // An optional width says nothing here, and where it is listed, alternatives are nested.
    let line = SPACE.replace_all(line, " ").replace(r"(\.w)?", "");
    let found = LINE.captures(&line)?;
    let (code, text) = (&found[1], &found[2]);
    let word = u32::from_str_radix(&code.replace(' ', ""), 16).ok()?;
    let set = match code.len() {
        8 => Set::A32,
        9 => Set::T32,
        // Half of a 32-bit instruction, the rest of which is not in figures.
        _ if word >> 11 >= 0b11101 => return None,
        _ => Set::T16,
    };
    // Data, which some listings leave to the reader to see.
    let data = text.starts_with('.') || text.starts_with("R_ARM") || !text.contains(|c: char| c.is_ascii_alphabetic());
    (!data).then(|| Listed {
        set,
        word,
        text: text.to_owned(),
    })
}

/// The mnemonics that a simple regular expression begins with: alternatives in parentheses, and optional characters.
fn mnemonics(pattern: &str) -> Vec<String> {
    let mut texts = vec![String::new()];
    let mut rest = pattern;
    while let Some(c) = rest.chars().next().filter(|_| !texts.iter().all(|t| t.contains(' '))) {
        rest = &rest[c.len_utf8()..];
        let mut parts = match (c, rest.split_once(')')) {
            ('(', Some((group, after))) => {
                rest = after;
                group.split('|').map(str::to_owned).collect()
            }
            ('\\', _) => vec![],
            _ => vec![c.to_string()],
        };
        if let Some(after) = rest.strip_prefix('?') {
            rest = after;
            parts.push(String::new());
        }
        if !parts.is_empty() {
            texts = texts
                .iter()
                .flat_map(|t| parts.iter().map(move |p| format!("{t}{p}")))
                .collect();
        }
    }
    let first = |text: &String| text.split(' ').next().unwrap_or("").replace('\\', "");
    texts.iter().map(first).collect()
}

/// Whether a row's instruction may be called so.
fn fits(row: &str, mnemonic: &str) -> bool {
    static SUFFIX: LazyLock<Regex> = LazyLock::new(|| {
        let conditions = "eq|ne|cs|hs|cc|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le|al";
        Regex::new(&format!(r"^(s?({conditions})?|({conditions})s)(\.[a-z0-9]+)*$")).expect("a regex")
    });
    let name = row.split('_').next().unwrap_or(row);
    let aliases = ALIASES.iter().filter(|(r, _)| [row, name].contains(r));
    let mut names = [name]
        .into_iter()
        .chain(aliases.flat_map(|(_, a)| a.split_whitespace()));
    names.any(|name| mnemonic.strip_prefix(name).is_some_and(|rest| SUFFIX.is_match(rest)))
}

/// What else a row's instruction, or that of all rows with this name up to the first underscore, is called: by the form
/// that its fields give it, by an older name, or by one that later architectures gave to a case of it.
#[rustfmt::skip]
const ALIASES: &[(&str, &str)] = &[
    ("mov", "lsl lsr asr ror rrx nop"),
    ("shift", "lsl lsr asr ror rrx"),
    ("add_plain", "addw adr"),
    ("sub_plain", "subw adr"),
    ("adr_narrow", "add"),
    ("rsb_imm", "neg"),
    ("ldm", "ldmia ldmfd pop"),
    ("ldm_user", "ldmda ldmdb ldmib"), ("ldm_exception", "ldmda ldmdb ldmib"),
    ("stm", "stmia"),
    ("stm_user", "stmda stmdb stmib"),
    ("stmdb", "stmfd push"),
    ("ldr_imm", "pop"),
    ("str_imm", "push"),
    ("it", "itt ite ittt itte itet itee itttt ittte ittet ittee itett itete iteet iteee"),
    ("cps", "cpsie cpsid"),
    ("dsb", "dfb ssbb pssbb"),
    // Hints that later architectures have given a meaning.
    ("nop", "csdb esb bti pac pacbti aut"),
    ("rfe", "rfeia rfeib rfeda rfedb"),
    ("srs", "srsia srsib srsda srsdb"),
    ("smla", "smlabb smlabt smlatb smlatt"),
    ("smlal_half", "smlalbb smlalbt smlaltb smlaltt"),
    ("smlaw", "smlawb smlawt"),
    ("smul", "smulbb smulbt smultb smultt"),
    ("smulw", "smulwb smulwt"),
    ("smlad", "smladx"), ("smlald", "smlaldx"), ("smlsd", "smlsdx"), ("smlsld", "smlsldx"),
    ("smuad", "smuadx"), ("smusd", "smusdx"),
    ("smmla", "smmlar"), ("smmls", "smmlsr"), ("smmul", "smmulr"),
    ("vcvt_to_half", "vcvtb vcvtt"), ("vcvt_from_half", "vcvtb vcvtt"),
    ("vld_lane", "vld1 vld2 vld3 vld4"),
    ("vst_lane", "vst1 vst2 vst3 vst4"),
    ("vldmia", "vpop fldmiax"),
    ("vldmdb", "fldmdbx"),
    ("vstmia", "fstmiax"),
    ("vstmdb", "vpush fstmdbx"),
    ("vshll", "vmovl"),
    ("vdot", "vudot vsdot"), ("vfma_bf16", "vfmab vfmat"), ("vfma_bf16_scalar", "vfmab vfmat"),
    ("vcvt_bf16", "vcvtb vcvtt"), ("vcvt_f64_f16", "vcvtb vcvtt"), ("vcvt_f16_f64", "vcvtb vcvtt"),
];

/// Listings that are not looked at, by the start of their names: of M profile, which has other instructions where A
/// profile's are, and one that is not in words.
#[rustfmt::skip]
const OTHERS: &[(&str, &str)] = &[
    ("archv8m", "ARMv8-M"), ("armv8m", "ARMv8-M"), ("armv8_1-m", "ARMv8.1-M"), ("armv8.1-m", "ARMv8.1-M"),
    ("v8_1m-mve", "MVE, of ARMv8.1-M"), ("mve", "MVE, of ARMv8.1-M"), ("nomve", "MVE, of ARMv8.1-M"),
    ("cde", "Custom Datapath Extension, of ARMv8-M"),
    ("maverick", "Cirrus' coprocessor, listed in bytes"),
];

/// Instructions that are Undefined here: in which listings, which texts (both regular expressions), and why.
#[rustfmt::skip]
const UNDEFINED: &[(&str, &str, &str)] = &[
    ("", r"^(mcr|mrc|mcrr|mrrc)\S* p?([0-9]|1[23]),", "coprocessors other than 10, 11, 14 and 15 are not there"),
    ("", r"^(cdp|ldc|stc|mcr2|mrc2|mcrr2|mrrc2)", "no coprocessor has these"),
    ("^(copro-|group-reloc-ldc)", r"^(dvf|cf|ldf|stf)", "the same, by the names that old coprocessors give them"),
    ("^(fpa-|float$|fp-save$)", "", "FPA: coprocessor 1"),
    ("^iwmmxt", "", "iWMMXt: coprocessors 0 and 1"),
    ("^xscale$", r"^(mia|mar|mra)", "XScale: coprocessor 0"),
    ("", r"^hlt|^dcps", "Armv8's of the Debug state"),
    ("^(inst|wince_inst|pinsn|armv1)$", r"^(teq|cmn|cmp|tst)", "the status of 26-bit processors in r15"),
    ("", r"^(msr|mrs) .*(PSR|MSP|PSP|PRIMASK|BASEPRI|FAULTMASK|CONTROL)", "special registers of M profile"),
    ("^blx-bad$|^mask_1-", r"UNDEFINED", "Undefined"),
    ("^nops$|^crc32-armv8-.-bad$", r"UNPREDICTABLE", "UNPREDICTABLE"),
    ("^stm-ldm$", r"^ldmfd sp!, \{sp\}", "UNPREDICTABLE"),
    ("^(thumb32|arch7em)$", r"^(smlal|smlsld|umaal)\S* r0, r0,", "UNPREDICTABLE"),
    ("^thumb32$", r"^pld .*\]", "UNPREDICTABLE"),
    ("^vfp1(_t2)?$", r"^vmoveq\S* d1\\\[1\\\], pc", "UNPREDICTABLE"),
];

/// With everything that Armv8 adds.
static MODEL: Model = Model {
    features: Features::ALL,
    ..MODELS[0]
};

impl Listed {
    /// The row that decodes it, unless it is Undefined all the same.
    fn row(&self) -> Option<&'static str> {
        let row = decoders().find(self.set, self.word).0?;
        let thumb = if self.set == Set::A32 { 0 } else { mode::T };
        let key = BlockKey {
            phys: 0,
            mode: (thumb | mode::VFP | mode::NEON | mode::SWP).into(),
            marked: false,
        };
        let mut block = Builder::new();
        translate(&MODEL, key, 0, 1, &mut Code(self), &mut block).expect("code is there");
        let undefined = |inst: &emu_ir::Inst| matches!(inst.op, Op::Call { helper, .. } if helper == calls::UNDEFINED);
        (row.name == "udf" || !block.block.insts.iter().any(undefined)).then_some(row.name)
    }
}

/// The listings of a folder by name.
fn files(folder: &Path) -> Vec<(String, String)> {
    let paths = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    let listing = |path: PathBuf| {
        let name = path.file_name()?.to_str()?.strip_suffix(".d")?.to_owned();
        let other = OTHERS.iter().any(|(start, _)| name.starts_with(start));
        (!other).then(|| (name, String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned()))
    };
    let mut listings: Vec<_> = paths.filter_map(listing).collect();
    listings.sort();
    listings
}

/// The instruction at the start of a page.
struct Code<'a>(&'a Listed);

impl Fetch for Code<'_> {
    fn u16(&mut self, offset: u32) -> Result<u16, Fault> {
        let high_first = self.0.set == Set::T32;
        Ok((self.0.word >> if (offset == 0) == high_first { 16 } else { 0 }) as u16)
    }
}

/// A listing's instructions.
fn instructions(listing: &str) -> impl Iterator<Item = Listed> {
    let code = listing.split_once("Disassembly").map_or("", |(_, code)| code);
    code.lines().filter_map(listed)
}

#[test]
fn what_binutils_lists_is_decoded() {
    let members = ["*/gas/testsuite/gas/arm/*"];
    let root = match sources(&Archive::Package("binutils-source"), &members) {
        Ok(root) => root,
        Err(reason) => return skipped("what_binutils_lists_is_decoded", &reason),
    };
    let undefined: Vec<_> = UNDEFINED
        .iter()
        .map(|(file, text, _)| (Regex::new(file).unwrap(), Regex::new(text).unwrap()))
        .collect();
    let (mut wrong, mut listings, mut defined, mut excused) = (Vec::new(), 0, 0, vec![0; UNDEFINED.len()]);
    for (name, text) in files(&root.join("gas/testsuite/gas/arm")) {
        let before = defined + excused.iter().sum::<usize>();
        for insn in instructions(&text) {
            let row = insn.row();
            let excuse = undefined
                .iter()
                .position(|(file, text)| file.is_match(&name) && text.is_match(&insn.text));
            match (row, excuse) {
                (Some(row), _) if mnemonics(&insn.text).iter().any(|m| fits(row, m)) => defined += 1,
                (None, Some(excuse)) => excused[excuse] += 1,
                _ => wrong.push(format!(
                    "{name}: {:?} {:#010x} is {row:?}: {}",
                    insn.set, insn.word, insn.text
                )),
            }
        }
        listings += usize::from(defined + excused.iter().sum::<usize>() > before);
    }
    println!(
        "{listings} listings: {defined} instructions, {} Undefined",
        excused.iter().sum::<usize>()
    );
    let unused: Vec<_> = UNDEFINED.iter().zip(&excused).filter(|&(_, &n)| n == 0).collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(unused.is_empty(), "not needed: {unused:?}");
    assert!(
        listings > 200 && defined > 9000,
        "the listings are no longer understood"
    );
}

//! The listings of binutils' assembler tests for x86 against the decoder: lengths and names of `objdump`'s output, which
//! is in regular expressions.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use emu_frontend_x86::decode::insn::Insn;
use emu_frontend_x86::decode::{Code, Failed, Size, decode};
use emu_frontend_x86::features::Features;
use regex::Regex;

use crate::debian::{Archive, sources};
use crate::guest::skipped;

/// An instruction of a listing.
#[derive(Debug, PartialEq, Eq)]
struct Listed {
    bytes: Vec<u8>,
    /// The text, in the listing's regular expression.
    text: String,
}

/// A line's bytes and text, either of which may be missing.
fn line(line: &str) -> Option<Listed> {
    static SPACE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?:(?:\s|\\s|\\t|\[(?:\s|\\s|\\t)+\])[+*?]?)+").expect("a regex"));
    static LINE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^ ?\S*:((?: [0-9a-f]{2})+)(?: (\S.*)?)?$").expect("a regex"));
    // Bytes that are not all in figures.
    static HALF: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^[0-9a-f]{1,2}\(").expect("a regex"));
    let line = SPACE.replace_all(line, " ");
    let found = LINE.captures(&line)?;
    if found.get(2).is_some_and(|text| HALF.is_match(text.as_str())) {
        return None;
    }
    let byte = |digits| u8::from_str_radix(digits, 16).ok();
    Some(Listed {
        bytes: found[1].split_whitespace().map_while(byte).collect(),
        text: found.get(2).map_or("", |text| text.as_str()).to_owned(),
    })
}

/// A listing's instructions. The bytes of long ones go on in lines without a text.
fn instructions(listing: &str) -> Vec<Listed> {
    let code = listing.split_once("Disassembly").map_or("", |(_, code)| code);
    let mut all: Vec<Listed> = Vec::new();
    for found in code.lines().filter_map(line) {
        match all.last_mut() {
            Some(last) if found.text.is_empty() => last.bytes.extend(found.bytes),
            _ => all.push(found),
        }
    }
    all
}

/// What a listing's code is, by its header.
fn code(name: &str, listing: &str) -> Code {
    static WIDE: LazyLock<Regex> = LazyLock::new(|| Regex::new("64|^rex|^ilp32").expect("a regex"));
    let head = listing.split("Disassembly").next().unwrap_or("");
    let options: String = head
        .lines()
        .filter(|l| l.starts_with("#as:") || l.starts_with("#objdump:"))
        .collect();
    let has = |words: &[&str]| words.iter().any(|word| options.contains(word));
    let size = if has(&["i8086", "data16"]) {
        Size::Bits16
    } else if has(&["--64", "--x32", "x86-64"])
        || WIDE.is_match(name)
        || head.contains("elf64")
        || head.contains("elf32-x86-64")
    {
        Size::Bits64
    } else {
        Size::Bits32
    };
    Code {
        size,
        vex: true,
        wide_branches: has(&["intel64"]),
        features: Features::ALL,
    }
}

/// What listings put before a mnemonic.
#[rustfmt::skip]
const PREFIXES: &[&str] = &[
    "rep", "repe", "repz", "repne", "repnz", "lock", "data16", "data32", "addr16", "addr32", "cs", "ds", "es", "fs", "gs", "ss",
    "bnd", "notrack", "xacquire", "xrelease", "{vex}", "{load}", "{store}", "(addr32", ")?", "rex", "rex64",
];

/// The mnemonic of a text. `None`: only prefixes are listed, or what is not text.
fn mnemonic(text: &str) -> Option<String> {
    let text = text.replace('\\', "");
    let is_prefix = |word: &&str| PREFIXES.contains(word) || word.starts_with("rex.");
    let word = text.split(' ').find(|word| !is_prefix(word))?;
    // A character that may be missing is there.
    let all: String = word.trim_end_matches(".*").chars().filter(|c| *c != '?').collect();
    let end = all.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.' && c != '-');
    let mnemonic = &all[..end.unwrap_or(all.len())];
    mnemonic
        .starts_with(|c: char| c.is_ascii_lowercase())
        .then(|| mnemonic.to_owned())
}

/// Whether a row's instruction may be called so.
fn fits(row: &str, mnemonic: &str) -> bool {
    static SUFFIX: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^(64)?([bwlqdstxy]|ll)?(\.s)?$").expect("a regex"));
    static CONDITION: LazyLock<Regex> =
        LazyLock::new(|| Regex::new("^n?(o|b|e|be|s|p|l|le)[wlq]?$|^(ae|a|ge|g)[wlq]?$").expect("a regex"));
    static RELATION: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new("^(n?(eq|l[te]|g[te])|(un)?ord|true|false)(_(o|u)?[qs])?([ps][sd])$").expect("a regex")
    });
    let name = row.split('_').next().unwrap_or(row);
    let legacy = mnemonic.strip_prefix('v').unwrap_or(mnemonic);
    if let Some(condition) = name.strip_suffix("cc").and_then(|stem| mnemonic.strip_prefix(stem)) {
        return CONDITION.is_match(condition);
    }
    if let (Some(kind), Some(relation)) = (name.strip_prefix("cmp"), legacy.strip_prefix("cmp"))
        && RELATION.is_match(relation)
        && relation.ends_with(kind)
    {
        return true;
    }
    let aliases = ALIASES.iter().filter(|(r, _)| [row, name].contains(r));
    let names = [row, name]
        .into_iter()
        .chain(aliases.flat_map(|(_, a)| a.split_whitespace()));
    let mut rest = names.flat_map(|name| [mnemonic.strip_prefix(name), legacy.strip_prefix(name)]);
    rest.any(|rest| rest.is_some_and(|rest| SUFFIX.is_match(rest)))
}

/// What else a row's instruction, or that of all rows with this name up to the first underscore, is called: by its
/// operands' sizes, by AT&T, or by a feature that gave a hint a meaning.
#[rustfmt::skip]
const ALIASES: &[(&str, &str)] = &[
    ("call_far", "lcall"), ("jmp_far", "ljmp"), ("ret_far", "lret retf"),
    ("cbw", "cbtw cwtl cltq cwde cdqe"), ("cwd", "cwtd cltd cqto cdq cqo"),
    ("movsx", "movsb movsw"), ("movsxd", "movslq"), ("movzx", "movzb movzw"),
    ("mov", "movabs"), ("movd", "movq"), ("pextrd", "pextrq"), ("pinsrd", "pinsrq"),
    ("jcxz", "jecxz jrcxz"), ("prefetchw", "prefetch prefetchwt1"),
    ("nop", "xchg endbr32 endbr64 rdssp cldemote prefetchit0 prefetchit1"),
    ("nop", "bndmk bndcl bndcu bndcn bndmov bndldx bndstx"),
    ("wbinvd", "wbnoinvd"),
    ("pclmulqdq", "pclmullqlqdq pclmulhqlqdq pclmullqhqdq pclmulhqhqdq"),
    // AT&T's have them the other way round.
    ("fsub", "fsubr"), ("fsubr", "fsub"), ("fsubp", "fsubrp"), ("fsubrp", "fsubp"),
    ("fdiv", "fdivr"), ("fdivr", "fdiv"), ("fdivp", "fdivrp"), ("fdivrp", "fdivp"),
    // With FWAIT before, or from before there were such without.
    ("fdisi", "fndisi"), ("feni", "fneni"), ("fsetpm", "fnsetpm"),
    ("fnstsw", "fstsw"), ("fnstcw", "fstcw"), ("fnstenv", "fstenv"), ("fnsave", "fsave"), ("fninit", "finit"), ("fnclex", "fclex"),
];

/// What is Undefined here or not one instruction: in which listings, which text behind which bytes (both regular
/// expressions), and why.
#[rustfmt::skip]
const EXCUSES: &[(&str, &str, &str)] = &[
    ("", r"\(bad", "objdump knows no instruction of these bytes"),
    ("", r"^64:( 6[4-7]| f[023]| [23][6e])* 62 |^(16|32):( 6[4-7]| f[023]| [23][6e])* 62 [c-f]", "EVEX: AVX-512"),
    ("", r" k(add|and|andn|mov|not|or|ortest|shift[lr]|test|unpck|xnor|xor)[bwdq]", "masks: AVX-512"),
    ("", r":( 6[4-7]| f[023]| [23][6e])* 8f [02468ace][89a] ", "XOP"),
    ("", r" c4 .* v(fn?m(add|sub|addsub|subadd)[ps][sd]|permil2p[sd]) ", "FMA4"),
    ("", r" (\{vex\} )?v(pdp(bu|bs|ws|wu)[a-z]+|pmadd52|cvtneps)", "VNNI, IFMA and BF16 for AVX"),
    ("", r" v(bcst|cvt)ne", "AVX-NE-CONVERT"),
    ("", r" cmp[a-z]+xadd ", "CMPccXADD"),
    ("", r" a(add|and|or|xor) ", "RAO-INT"),
    ("", r" (t(dp|ile)|ldtilecfg|sttilecfg)", "AMX"),
    ("", r" (aes(enc|dec)(wide)?(128|256)kl|encodekey|loadiwkey)", "Key Locker"),
    ("", r" (x(begin|end|test|abort)|xsusldtrk|xresldtrk)", "TSX"),
    ("", r" (incssp|rdssp|saveprevssp|rstorssp|wruss|wrss|setssbsy|clrssbsy)", "CET"),
    ("", r" (vm(call|launch|resume|xoff|xon|clear|ptr(ld|st)|read|write|func)|inv(ept|vpid))", "VMX"),
    ("", r" (vm(run|load|save|mcall|gexit)|stgi|clgi|skinit|invlpga)", "SVM"),
    ("", r" (psmash|pvalidate|rmp(adjust|query|update)|invlpgb|tlbsync)", "SEV-SNP, INVLPGB"),
    ("", r" (seam(call|ops|ret)|tdcall|encl[suv]|getsec|pconfig)", "TDX, SGX, SMX"),
    ("", r" (clui|stui|testui|uiret|senduipi)", "user interrupts"),
    ("", r" (clzero|monitorx|mwaitx|mcommit|rdpru)", "AMD's Zen"),
    ("", r" (movdir(i|64b)|enqcmds?|[tu]pause|umonitor|umwait|serialize|hreset|ptwrite|(rd|wr)msrlist|wrmsrns)", "Intel's after Skylake"),
    ("", r" (femms|p[fi][a-z0-9]+|pavgusb|pmulhrw|pswapd) ?", "3DNow!"),
    ("", r" (extrq|insertq|movnts[sd])", "SSE4a"),
    ("", r" (montmul|xcrypt-|xsha|xstore)", "VIA's Padlock"),
    ("^287$", r" frstpm", "the 80287XL's"),
    ("", r" 0f 2[46] .* mov.* ?%?tr", "test registers"),
    ("", r" f0 0f 2[02] ", "AMD's LOCK for CR8"),
    ("^fsgs", r" (rd|wr)[fg]sbase", "in 64-bit mode only"),
    ("(long-1|prefix)(-intel)?$", r" (lock|f0) ", "LOCK before what cannot be locked"),
    ("^(prefix|rex)$", r":( f[23]| 66| 40) c[45] ", "another prefix before VEX"),
    ("^sse2avx$", r" data16 (ld|st)mxcsr", "0F AE /2 and /3 have no 66"),
];

/// What a listing's instruction is here, if its bytes are one.
fn row(code: &Code, bytes: &[u8]) -> Option<&'static str> {
    let found = decoded(code, bytes).ok()?;
    match bytes {
        // objdump takes what waits for the x87 with what follows.
        [0x9b, rest @ ..] if !rest.is_empty() => row(code, rest),
        _ => (usize::from(found.length) == bytes.len()).then_some(found.row.name),
    }
}

fn decoded(code: &Code, bytes: &[u8]) -> Result<Insn, Failed<()>> {
    decode(code, |at| bytes.get(usize::from(at)).copied().ok_or(()))
}

/// The listings of a folder by name.
fn files(folder: &Path) -> Vec<(String, String)> {
    let paths = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    let listing = |path: PathBuf| {
        let name = path.file_name()?.to_str()?.strip_suffix(".d")?.to_owned();
        Some((name, String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned()))
    };
    let mut listings: Vec<_> = paths.filter_map(listing).collect();
    listings.sort();
    listings
}

/// Size of code, bytes and text: what excuses look at.
fn shown(code: &Code, insn: &Listed) -> String {
    let size = match code.size {
        Size::Bits16 => 16,
        Size::Bits32 => 32,
        Size::Bits64 => 64,
    };
    let bytes: String = insn.bytes.iter().map(|b| format!(" {b:02x}")).collect();
    format!("{size}:{bytes} {}", insn.text.replace('\\', ""))
}

#[test]
fn what_binutils_lists_for_x86_is_decoded() {
    let members = ["*/gas/testsuite/gas/i386/*"];
    let root = match sources(&Archive::Package("binutils-source"), &members) {
        Ok(root) => root,
        Err(reason) => return skipped("what_binutils_lists_for_x86_is_decoded", &reason),
    };
    let regexes = |(file, text, _): &(&str, &str, &str)| (Regex::new(file).unwrap(), Regex::new(text).unwrap());
    let excuses: Vec<_> = EXCUSES.iter().map(regexes).collect();
    let (mut wrong, mut right, mut excused) = (Vec::new(), 0, vec![0; EXCUSES.len()]);
    for (name, text) in files(&root.join("gas/testsuite/gas/i386")) {
        let code = code(&name, &text);
        for insn in instructions(&text) {
            let Some(mnemonic) = mnemonic(&insn.text) else { continue };
            let (row, shown) = (row(&code, &insn.bytes), shown(&code, &insn));
            let is_meant = |(file, text): &(Regex, Regex)| file.is_match(&name) && text.is_match(&shown);
            match (row, excuses.iter().position(is_meant)) {
                (Some(row), _) if fits(row, &mnemonic) => right += 1,
                (None, Some(excuse)) => excused[excuse] += 1,
                (row, _) => wrong.push(format!("{name}: {shown} is {row:?}")),
            }
        }
    }
    println!(
        "{right} instructions, {} that no CPU here has",
        excused.iter().sum::<usize>()
    );
    let unused: Vec<_> = EXCUSES.iter().zip(&excused).filter(|&(_, &n)| n == 0).collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(unused.is_empty(), "not needed: {unused:?}");
    assert!(right > 60_000, "the listings are no longer understood");
}

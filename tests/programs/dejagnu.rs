//! What GCC's tests say to DejaGnu: by directives in their comments, whether they are to be run on a machine, and how
//! they are built ("Directives used within DejaGnu tests", GCC Internals).

use std::sync::LazyLock;

use regex::Regex;

/// A machine, as a test asks about it.
pub struct Target<'a> {
    /// Its name, as GCC is configured for it.
    pub triplet: &'a str,
    /// Whether it is or has what is called so.
    pub has: &'a dyn Fn(&str) -> bool,
}

/// What a test says that is to be run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The compiler's options.
    pub options: Vec<String>,
    /// Its other sources, in the same folder.
    pub sources: Vec<String>,
}

/// What a test says; `None` if it is not to be run on this machine. In a suite that `runs` its tests those that do not
/// say are to be.
pub fn said(text: &str, target: &Target<'_>, runs: bool) -> Option<Said> {
    let mut said = Said::default();
    let mut run = None;
    for (name, args) in directives(text) {
        let here = target.selected(&args);
        let texts = || args.first().into_iter().flat_map(Word::texts).map(str::to_owned);
        match name {
            "do" if here => run = Some(texts().eq(["run"])),
            // Until another one says that it is.
            "do" => run = run.or(Some(false)),
            "require-effective-target" if here && !texts().all(|name| (target.has)(&name)) => return None,
            "skip-if" | "xfail-run-if" if target.is_left_out(&args) => return None,
            "shouldfail" => return None,
            "options" | "additional-options" if here => said.options.extend(texts()),
            "additional-sources" if here => said.sources.extend(texts()),
            _ => {}
        }
    }
    run.unwrap_or(runs).then_some(said)
}

/// A test's directives: their names without `dg-`, and their arguments.
fn directives(text: &str) -> impl Iterator<Item = (&str, Vec<Word>)> {
    static START: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\{\s*dg-([a-z-]+)").expect("a regex"));
    text.lines().filter_map(|line| {
        let name = START.captures(line)?.get(1)?;
        let (args, _) = words(&line[name.end()..]);
        Some((name.as_str(), args))
    })
}

/// A word of Tcl's.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    Text(String),
    List(Vec<Word>),
}

impl Word {
    fn is(&self, text: &str) -> bool {
        matches!(self, Word::Text(t) if t == text)
    }

    /// The words in it.
    fn texts(&self) -> Vec<&str> {
        match self {
            Word::Text(text) => text.split_whitespace().collect(),
            Word::List(words) => words.iter().flat_map(Word::texts).collect(),
        }
    }
}

/// The words up to the brace that closes their list, and what follows it.
fn words(text: &str) -> (Vec<Word>, &str) {
    let mut all = Vec::new();
    let mut rest = text.trim_start();
    loop {
        let (word, after) = match rest.as_bytes().first() {
            None => return (all, rest),
            Some(b'}') => return (all, &rest[1..]),
            Some(b'{') => {
                let (list, after) = words(&rest[1..]);
                (Word::List(list), after)
            }
            Some(b'"') => {
                let (text, after) = rest[1..].split_once('"').unwrap_or((&rest[1..], ""));
                (Word::Text(text.to_owned()), after)
            }
            Some(_) => {
                let end = rest.find(|c: char| c.is_whitespace() || c == '{' || c == '}');
                let (text, after) = rest.split_at(end.unwrap_or(rest.len()));
                (Word::Text(text.to_owned()), after)
            }
        };
        all.push(word);
        rest = after.trim_start();
    }
}

impl Target<'_> {
    /// Whether it is one of those that a directive is for.
    fn selected(&self, args: &[Word]) -> bool {
        args.iter().all(|arg| match arg {
            Word::List(list) if list.first().is_some_and(|first| first.is("target")) => self.holds(&list[1..]),
            _ => true,
        })
    }

    /// Whether it is one of those that are left out: after a comment, which they are, and with which options.
    fn is_left_out(&self, args: &[Word]) -> bool {
        // Our options are not those of a test run, and a test's own are after them.
        let always = args.get(2).is_none_or(|options| options.texts().contains(&"*"));
        let which = match args.get(1) {
            Some(Word::List(list)) => self.holds(list),
            Some(Word::Text(_)) | None => false,
        };
        always && which
    }

    /// Whether a condition holds: names with operators between them; of names alone any.
    fn holds(&self, condition: &[Word]) -> bool {
        let has = |operator| condition.iter().any(|word| word.is(operator));
        if has("||") {
            condition.split(|word| word.is("||")).any(|part| self.holds(part))
        } else if has("&&") {
            condition.split(|word| word.is("&&")).all(|part| self.holds(part))
        } else if let Some((first, rest)) = condition.split_first()
            && first.is("!")
        {
            !self.holds(rest)
        } else {
            condition.iter().any(|word| match word {
                Word::List(list) => self.holds(list),
                Word::Text(name) if name.contains(['*', '-']) => self.matches(name),
                Word::Text(name) => (self.has)(name),
            })
        }
    }

    /// Whether its triplet matches a pattern.
    fn matches(&self, pattern: &str) -> bool {
        let regex = regex::escape(pattern).replace("\\*", ".*").replace("\\?", ".");
        Regex::new(&format!("^{regex}$")).is_ok_and(|r| r.is_match(self.triplet))
    }
}

#[test]
fn a_test_is_run_where_it_says_so() {
    let said = |text: &str, runs| {
        let has = |name: &str| ["ia32", "sse2"].contains(&name);
        let target = Target {
            triplet: "i686-pc-linux-gnu",
            has: &has,
        };
        said(text, &target, runs).is_some()
    };
    let run = [
        "/* { dg-do run } */",
        "/* { dg-do run { target ia32 } } */",
        "/* { dg-do run { target { { i?86-*-* x86_64-*-* } && { ! lp64 } } } } */",
        "/* { dg-do run { target x86_64-*-* i?86-*-* } } */",
        "/* { dg-do compile } */\n/* { dg-do run { target { lp64 || ia32 } } } */",
        "/* { dg-do run { target *-*-linux* } } */\n/* { dg-do compile { target { ! *-*-linux* } } } */",
        "/* { dg-do run } */\n/* { dg-require-effective-target sse2 } */",
        "/* { dg-do run } */\n/* { dg-require-effective-target avx { target lp64 } } */",
        "/* { dg-do run } */\n/* { dg-skip-if \"\" { *-*-* } { \"-march=*\" } { \"-march=atom\" } } */",
        "/* { dg-do run } */\n/* { dg-skip-if \"\" { ! { i?86-*-* x86_64-*-* } } } */",
    ];
    let not_run = [
        "/* { dg-do compile } */",
        "/* { dg-do run { target { ! ia32 } } } */",
        "/* { dg-do run { target lp64 } } */",
        "/* { dg-do run } */\n/* { dg-require-effective-target avx } */",
        "/* { dg-do run } */\n/* { dg-require-effective-target avx { target ia32 } } */",
        "/* { dg-do run } */\n/* { dg-skip-if \"\" { *-*-linux* } } */",
        "/* { dg-do run } */\n/* { dg-xfail-run-if \"\" { i?86-*-* } { \"*\" } { \"\" } } */",
        "/* { dg-do run } */\n/* { dg-shouldfail \"asan\" } */",
    ];

    for text in run {
        assert!(said(text, false), "{text}");
    }
    for text in not_run {
        assert!(!said(text, true), "{text}");
    }
    assert!(said("", true) && !said("", false));
}

#[test]
fn a_test_says_how_it_is_built() {
    let target = Target {
        triplet: "x86_64-pc-linux-gnu",
        has: &|name| name == "lp64",
    };
    let text = "/* { dg-do run } */\n\
                /* { dg-options \"-O2 -msse2\" } */\n\
                /* { dg-additional-options \"-mregparm=3\" { target { ! lp64 } } } */\n\
                /* { dg-additional-options { \"-mno-avx\" } { target x86_64-*-* } } */\n\
                /* { dg-additional-sources \"one.c two.S\" } */\n\
                /* { dg-final { scan-assembler \"addps\" } } */\n";

    let said = said(text, &target, false).unwrap();

    assert_eq!(said.options, ["-O2", "-msse2", "-mno-avx"]);
    assert_eq!(said.sources, ["one.c", "two.S"]);
}

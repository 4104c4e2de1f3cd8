//! Rows held against an oracle's answers, on every accelerator, and the figures of it.

use super::vectors::{self, Answers, Vector};
use super::{Isa, Oracle, Row};
use bytemuck::Pod;
use emu_jit::engine::Accel;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How many rows of those that differ a message shows.
const SHOWN: usize = 20;
/// One in so many of a row's vectors must tell something.
const SHARE: usize = 4;

/// What a check found.
#[derive(Default)]
pub struct Figures {
    rows: usize,
    vectors: usize,
    runs: usize,
    mismatches: usize,
    /// Rows that are not translated yet.
    not_yet: usize,
    /// By the manual's words.
    allowed: BTreeMap<&'static str, usize>,
    /// A line a row.
    wrong: Vec<String>,
}

impl Figures {
    fn add(&mut self, other: Figures) {
        self.rows += other.rows;
        self.vectors += other.vectors;
        self.runs += other.runs;
        self.mismatches += other.mismatches;
        self.not_yet += other.not_yet;
        self.wrong.extend(other.wrong);
        for (words, count) in other.allowed {
            *self.allowed.entry(words).or_default() += count;
        }
    }
    /// Those of a row that is not translated yet, which is wrong if it works: then the list that says so is too long.
    fn of_not_yet<I: Isa>(self, row: &Row, vectors: &[Vector<I::Record>]) -> Figures {
        let works = self.runs > 0 && self.mismatches == 0 && vectors.iter().any(|v| tells::<I>(row, v));
        let line = || format!("{}: works, though it is said not to be translated yet", row.id());
        Figures {
            rows: 1,
            vectors: vectors.len(),
            not_yet: 1,
            wrong: works.then(line).into_iter().collect(),
            ..Figures::default()
        }
    }
    /// Prints them on the terminal, past the test harness, and fails if anything was wrong.
    #[track_caller]
    pub fn conclude(mut self, what: &str) {
        let line = format!(
            "\n*** {what}: {} rows, {} vectors, {} runs, {} mismatches, {} allowed differences of {} kinds\n",
            self.rows,
            self.vectors,
            self.runs,
            self.mismatches,
            self.allowed.values().sum::<usize>(),
            self.allowed.len()
        );
        let _ = std::io::stderr().write_all(line.as_bytes());
        if self.not_yet > 0 {
            let line = format!("*** {what}: {} rows are not translated yet\n", self.not_yet);
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
        for (words, count) in &self.allowed {
            println!("{count:6} {words}");
        }
        let rows = self.wrong.len();
        self.wrong.sort();
        self.wrong.truncate(SHOWN);
        assert!(rows == 0, "{rows} rows differ:\n{}", self.wrong.join("\n"));
    }
}

/// The accelerators, and a machine of each that this host can have.
struct Machines<I: Isa>(Vec<(Accel, I::Machine)>);

impl<I: Isa> Machines<I> {
    fn new() -> Machines<I> {
        let all = [Accel::Interp, Accel::Jit].into_iter();
        Machines(all.filter_map(|a| Some((a, I::machine(a)?))).collect())
    }

    /// A row's vectors against what happens here.
    fn check(&mut self, row: &Row, vectors: &[Vector<I::Record>]) -> Figures {
        let mut figures = Figures {
            rows: 1,
            vectors: vectors.len(),
            ..Figures::default()
        };
        let mut first = None;
        for v in vectors {
            for (accel, machine) in &mut self.0 {
                let got = I::run(machine, &v.before);
                figures.runs += 1;
                if got == v.after {
                    continue;
                }
                if let Some(words) = I::allowed(row, &v.before, &v.after, &got) {
                    *figures.allowed.entry(words).or_default() += 1;
                    continue;
                }
                figures.mismatches += 1;
                first.get_or_insert_with(|| format!("{accel:?}: {}", difference::<I>(v, &got)));
            }
        }
        if I::not_yet(row) {
            return figures.of_not_yet::<I>(row, vectors);
        }
        if let Some(first) = first {
            figures.wrong = vec![format!("{}: {} runs; {first}", row.id(), figures.mismatches)];
        }
        figures
    }
}

/// What differs, in words.
fn difference<I: Isa>(v: &Vector<I::Record>, got: &I::Record) -> String {
    let [before, want, got] = [&v.before, &v.after, got].map(|r| bytemuck::cast_slice::<_, u32>(bytemuck::bytes_of(r)));
    let mut text = format!("number {}, {}", v.number, I::show(&v.before));
    for (i, ((b, w), g)) in before.iter().zip(want).zip(got).enumerate() {
        if w != g {
            text += &format!("\n    {}: was {b:#x}, is {g:#x}, should be {w:#x}", I::field(i));
        }
    }
    text
}

/// Does something for each of the items on all processors; the sum of the figures.
fn each<I: Isa, T: Sync>(items: &[T], f: impl Fn(&mut Machines<I>, &T) -> Figures + Sync) -> Figures {
    let (next, sum) = (AtomicUsize::new(0), Mutex::new(Figures::default()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|s| {
        for _ in 0..threads {
            s.spawn(|| {
                let mut machines = Machines::new();
                while let Some(item) = items.get(next.fetch_add(1, Relaxed)) {
                    let found = f(&mut machines, item);
                    sum.lock().unwrap().add(found);
                }
            });
        }
    });
    sum.into_inner().unwrap()
}

/// Whether `EMU_ORACLE_ROW` leaves the row in.
fn is_wanted(row: &Row) -> bool {
    std::env::var("EMU_ORACLE_ROW").map_or(true, |start| row.name.starts_with(&start))
}

fn is_run<I: Isa>(row: &Row) -> bool {
    I::NOT_RUN.iter().all(|(name, _)| *name != row.name)
}

/// The rows that the oracle runs.
fn rows<I: Isa>() -> Vec<Row> {
    I::rows().into_iter().filter(is_run::<I>).collect()
}

fn files<I: Isa>() -> BTreeSet<String> {
    I::rows().into_iter().map(|r| r.file).collect()
}

/// The records as the oracle leaves them, twice: an answer that depends on what was asked before is none.
fn repeated<R: Pod + PartialEq + Send + Sync>(oracle: &Oracle, records: &[R]) -> Vec<Option<R>> {
    let backwards: Vec<_> = records.iter().rev().copied().collect();
    let again = oracle.run(&backwards).into_iter().rev();
    let pairs = oracle.run(records).into_iter().zip(again);
    pairs.map(|(a, b)| a.filter(|a| b.as_ref() == Some(a))).collect()
}

/// The oracle's answers on states of some rows: those that are answers. The numbers say which states.
fn ask<I: Isa>(oracle: &Oracle, rows: &[Row], numbers: impl Fn(&Row) -> Range<u32>) -> Vec<Answers<I::Record>> {
    let all = || rows.iter().flat_map(|row| numbers(row).map(move |n| (row, n)));
    let befores: Vec<_> = all()
        .map(|(row, n)| vectors::before::<I>(row, n, vectors::code::<I>(row, n)))
        .collect();
    let mut pairs = befores.iter().zip(repeated(oracle, &befores));
    let answered = |row: &Row| {
        let found = numbers(row)
            .zip(pairs.by_ref())
            .filter_map(|(number, (before, after))| {
                let (before, after) = (*before, after.filter(I::is_answer)?);
                Some(Vector { number, before, after })
            });
        (row.clone(), found.collect())
    };
    rows.iter().map(answered).collect()
}

/// Asks the oracle, and writes the files.
fn write<I: Isa>() {
    let oracle = I::oracle().unwrap_or_else(|e| panic!("{e}"));
    for file in files::<I>() {
        let all: Vec<_> = rows::<I>().into_iter().filter(|r| r.file == file).collect();
        // A few more, for some have no end.
        let range = |row: &Row| 0..I::enough(row) as u32 * 9 / 8;
        let mut asked = ask::<I>(&oracle, &all, range);
        asked
            .iter_mut()
            .for_each(|(row, vectors)| vectors.truncate(I::enough(row)));
        let path = vectors::path::<I>(&file);
        std::fs::write(&path, vectors::write::<I>(&oracle.about, &asked))
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
}

/// Every row has enough vectors in the files, and does what they say.
pub fn kept<I: Isa>() {
    if std::env::var_os("EMU_ORACLE_WRITE").is_some() {
        write::<I>();
    }
    let load = |file: String| vectors::load::<I>(&file).unwrap_or_else(|e| panic!("{e}"));
    let all: Vec<_> = files::<I>().into_iter().flat_map(load).collect();
    if I::machine(Accel::Interp).is_none() {
        crate::guest::skipped(&format!("{} by the vectors", I::NAME), UNTRANSLATED);
    } else if I::machine(Accel::Jit).is_none() {
        crate::guest::skipped(
            &format!("{} by the vectors, translated", I::NAME),
            "this host lacks AVX2 or BMI2",
        );
    }
    let wanted: Vec<_> = all.iter().filter(|(row, _)| is_wanted(row)).collect();

    let figures = each::<I, _>(&wanted, |machines, (row, vectors)| machines.check(row, vectors));

    let (left_out, silent) = (
        I::rows().len() - rows::<I>().len(),
        all.iter().filter(is_silent::<I>).count(),
    );
    let what = format!(
        "{} by the vectors (rows refused in the oracle's mode: {silent}, not run: {left_out})",
        I::NAME
    );
    figures.conclude(&what);
    assert_complete::<I>(&all);
}

/// No row lacks vectors, or has few that tell anything without a reason.
#[track_caller]
fn assert_complete<I: Isa>(all: &[Answers<I::Record>]) {
    let has_few = |row: &Row| all.iter().find(|(r, _)| r == row).map_or(0, |(_, v)| v.len()) < I::enough(row);
    let few: Vec<_> = rows::<I>().into_iter().filter(has_few).map(|row| row.id()).collect();
    let by = vectors::MADE_BY;
    assert!(
        few.is_empty(),
        "too few vectors ({by} asks the oracle):\n{}",
        few.join("\n")
    );
    let has_reason = |row: &Row| I::REFUSED.iter().any(|(names, _)| names.contains(&row.name.as_str()));
    let silent = all.iter().filter(is_silent::<I>).filter(|(row, _)| !has_reason(row));
    let silent: Vec<_> = silent.map(|(row, _)| row.id()).collect();
    assert!(silent.is_empty(), "the oracle executes few of:\n{}", silent.join("\n"));
}

/// Whether few of a row's vectors tell anything.
fn is_silent<I: Isa>((row, vectors): &&Answers<I::Record>) -> bool {
    vectors.iter().filter(|v| tells::<I>(row, v)).count() * SHARE < vectors.len()
}

/// Whether a vector tells anything: the oracle did not refuse it, nor would any difference be allowed.
fn tells<I: Isa>(row: &Row, v: &Vector<I::Record>) -> bool {
    !I::is_refused(&v.before, &v.after) && I::allowed(row, &v.before, &v.after, &v.after).is_none()
}

/// Why nothing is run.
const UNTRANSLATED: &str = "nothing is translated yet";

/// Every row does what the oracle says now, on fresh states.
pub fn live<I: Isa>() {
    if I::machine(Accel::Interp).is_none() {
        return crate::guest::skipped(&format!("{} by its oracle", I::NAME), UNTRANSLATED);
    }
    let oracle = match I::oracle() {
        Ok(oracle) => oracle,
        Err(reason) => return crate::guest::skipped(&format!("{} by its oracle", I::NAME), &reason),
    };
    let number = |name| std::env::var(name).ok().and_then(|n| n.parse().ok());
    let rounds: u32 = number("EMU_ORACLE_ROUNDS").unwrap_or(8);
    // Far from the numbers in the files.
    let fresh = || std::process::id().wrapping_mul(0x9e37_79b1);
    let seed = number("EMU_ORACLE_SEED").unwrap_or_else(fresh) | 1 << 31;
    let rows: Vec<_> = rows::<I>().into_iter().filter(is_wanted).collect();
    // One question costs as much as a thousand records.
    let groups: Vec<_> = rows.chunks(64).collect();

    let figures = each::<I, _>(&groups, |machines, rows| {
        let mut figures = Figures::default();
        for (row, vectors) in ask::<I>(&oracle, rows, |_| seed..seed + rounds) {
            figures.add(machines.check(&row, &vectors));
        }
        figures
    });

    figures.conclude(&format!("{} by {}, EMU_ORACLE_SEED={seed}", I::NAME, oracle.about));
}

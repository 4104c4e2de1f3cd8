//! Has programs run in several ways, compares what they come to, and shortens those that differ.

use std::io;
use std::time::Duration;

/// After how many programs a run that is asked to be long says how far it is.
const OFTEN: u64 = 1000;

/// Who runs a program.
#[derive(Clone, Copy, PartialEq)]
pub enum By {
    Interpreter,
    TranslatedCode,
    /// A machine that remembers neither code nor translations.
    NoCaches,
}

/// What is made of pieces that can be taken out.
pub trait Pieces: Sized {
    /// How many there are.
    fn count(&self) -> usize;
    /// Whether that one has been taken out.
    fn is_out(&self, piece: usize) -> bool;
    /// Without that one.
    fn without(&self, piece: usize) -> Self;
}

/// A kind of programs, and all who run them.
pub trait Trial: Sized {
    type Program: Pieces;
    /// What a program leaves.
    type Outcome;
    /// What the programs are called.
    const NAME: &'static str;
    /// How many there are in a run that nobody asked to be long.
    const FEW: u64;
    /// The CPU time that a program may take, as a rule.
    const SOON: Duration;
    /// What it may take if another has come to its end.
    const LATE: Duration;
    /// How often a shortened program is run before it is said to make no difference.
    const TRIES: usize;

    /// # Errors
    /// This host cannot run translated code.
    fn new() -> io::Result<Self>;
    /// The program of a seed.
    fn program(&self, seed: u64) -> Self::Program;
    /// Whether it means the same to a machine without caches, and is short enough for one.
    fn is_careful(program: &Self::Program, interpreter: &Self::Outcome) -> bool;
    /// What a program leaves if it comes to its end within that CPU time.
    fn run(&mut self, by: By, program: &Self::Program, limit: Duration) -> Option<Self::Outcome>;
    /// How what the interpreter comes to and another outcome differ.
    fn difference(interpreter: &Self::Outcome, other: &Self::Outcome, who: &str) -> Option<String>;
    fn listing(program: &Self::Program) -> String;
}

/// What the runs of a program came to.
enum Verdict {
    Same,
    Endless,
    Different(String),
}

fn compare<T: Trial>(trial: &mut T, program: &T::Program) -> Verdict {
    let mut interp = trial.run(By::Interpreter, program, T::SOON);
    let mut jit = trial.run(By::TranslatedCode, program, T::SOON);
    let short = interp.is_some();
    if interp.is_none() != jit.is_none() {
        // The other tests of this process may have taken of the time.
        interp = interp.or_else(|| trial.run(By::Interpreter, program, T::LATE));
        jit = jit.or_else(|| trial.run(By::TranslatedCode, program, T::LATE));
    }
    let (interp, jit) = match (interp, jit) {
        (None, None) => return Verdict::Endless,
        (None, Some(_)) => return Verdict::Different("only translated code comes to an end\n".into()),
        (Some(_), None) => return Verdict::Different("translated code does not come to an end\n".into()),
        (Some(interp), Some(jit)) => (interp, jit),
    };
    if let Some(text) = T::difference(&interp, &jit, "translated") {
        return Verdict::Different(text);
    }
    // What takes the interpreter long takes a machine without caches a thousand times as long.
    if !short || !T::is_careful(program, &interp) {
        return Verdict::Same;
    }
    let text = match trial.run(By::NoCaches, program, T::LATE) {
        None => Some("without caches it does not come to an end\n".into()),
        Some(forgetful) => T::difference(&interp, &forgetful, "without caches"),
    };
    text.map_or(Verdict::Same, Verdict::Different)
}

/// The program with every piece taken out that the difference does not need.
fn shrink<T: Trial>(trial: &mut T, mut program: T::Program) -> (T::Program, String) {
    let mut text = String::new();
    loop {
        let mut smaller = false;
        for piece in 0..program.count() {
            if program.is_out(piece) {
                continue;
            }
            let shorter = program.without(piece);
            let how = (0..T::TRIES).find_map(|_| match compare(trial, &shorter) {
                Verdict::Different(how) => Some(how),
                Verdict::Same | Verdict::Endless => None,
            });
            if let Some(how) = how {
                (program, text, smaller) = (shorter, how, true);
            }
        }
        if !smaller {
            return (program, text);
        }
    }
}

fn number(variable: &str, default: u64) -> u64 {
    let text = std::env::var(variable).ok();
    text.map_or(default, |t| {
        t.parse().unwrap_or_else(|_| panic!("{variable}={t}: not a number"))
    })
}

/// Runs as many programs as were asked for.
pub fn all_end_in_the_same_state<T: Trial>() {
    let mut trial = match T::new() {
        Ok(trial) => trial,
        Err(why) => return emu_ir::testing::skipped(T::NAME, &why.to_string()),
    };
    let (first, count) = (number("EMU_FUZZ_SEED", 1), number("EMU_FUZZ_SEQUENCES", T::FEW));
    let mut endless = 0;
    for seed in first..first + count {
        let done = seed - first;
        if count > T::FEW && done > 0 && done.is_multiple_of(OFTEN) {
            let name = T::NAME;
            emu_ir::testing::say(&format!("{name}: {done} of {count}, {endless} of them without an end"));
        }
        let program = trial.program(seed);
        match compare(&mut trial, &program) {
            Verdict::Same => {}
            Verdict::Endless => endless += 1,
            Verdict::Different(how) => {
                emu_ir::testing::say(&format!(
                    "EMU_FUZZ_SEED={seed} differs; shortening it may take minutes\n{how}"
                ));
                let (program, less) = shrink(&mut trial, program);
                panic!("EMU_FUZZ_SEED={seed}\n{how}shortened:\n{less}{}", T::listing(&program));
            }
        }
    }
    assert!(
        endless * 25 <= count.max(100),
        "{endless} of {count} programs do not end: too many to be of use"
    );
}

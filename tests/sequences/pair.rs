//! Runs pairs of random programs: two vCPUs, each in its own part of memory, that share what is translated and change each
//! other's code and tables.

use super::harness::{Core, Outcome, SOON, Subject, difference, listing};
use super::memory::Memory;
use super::program::Program;
use super::trial::{By, Trial};
use super::watchdog::Watchdog;
use emu_jit::engine::trace::Entered;
use emu_jit::engine::{Accel, CODE_CACHE, Exit, Translations, Vcpu};
use std::fmt::Write;
use std::io;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

/// Two programs that need each other.
pub type Both<S> = [Program<<S as Subject>::State>; 2];

/// Whom pairs of programs are for.
pub trait Paired: Subject {
    /// What the pairs are called.
    const PAIRS: &'static str;
    /// The pair of a seed.
    fn pair(&self, seed: u64) -> Both<Self>;
    /// What an instruction in a state does for the other CPU, or to it, to be counted.
    fn services(state: &Self::State, insn: &Entered) -> [Option<&'static str>; 3];
    /// Whether an instruction is a program's own, and does not wait for the other CPU.
    fn is_own(insn: &Entered) -> bool;
    /// Each CPU.
    fn guests() -> [Self::Guest; 2];
}

/// The CPU time that a pair may take. Who waits for the other takes of it, too.
pub const PAIR_SOON: Duration = SOON.saturating_mul(10);

/// How many exceptions both take of a pair that is short enough for a machine without caches.
const SHORT: usize = 300;
/// At one in how many exceptions memory is summed up: the CPUs are to keep each other busy.
const SUMS: usize = 8;

/// Two vCPUs, each on a thread of its own, and who stops them when they do not end.
pub struct Duo<S: Subject> {
    pub cores: [Core<S>; 2],
    watchdog: Watchdog,
    memory: Memory,
}

impl<S: Paired> Duo<S> {
    pub fn new(accel: Accel) -> io::Result<Duo<S>>
    where
        S::Guest: Send,
    {
        let shared = Translations::new(accel, false, CODE_CACHE)?;
        Duo::with(false, |guest, memory| {
            Ok(Vcpu::sharing(&shared, guest, S::reset(), memory))
        })
    }
    /// Two machines without caches.
    fn forgetful() -> Duo<S> {
        Duo::with(true, |guest, memory| {
            Vcpu::new(guest, S::reset(), memory, Accel::Interp, true)
        })
        .expect("interpreters")
    }
    fn with(
        each_insn: bool,
        mut vcpu: impl FnMut(S::Guest, Box<Memory>) -> io::Result<Vcpu<S::Guest>>,
    ) -> io::Result<Duo<S>> {
        let ([one, other], [a, b]) = (S::guests(), Memory::of_pair(S::MEMORY));
        let first = vcpu(one, Box::new(a.clone()))?;
        let second = vcpu(other, Box::new(b.clone()))?;
        let watchdog = Watchdog::new(vec![first.kick(), second.kick()]);
        Ok(Duo {
            memory: a.clone(),
            cores: [
                Core::new(first, a, SUMS, each_insn),
                Core::new(second, b, SUMS, each_insn),
            ],
            watchdog,
        })
    }
    fn load(&mut self, pair: &Both<S>) {
        self.memory.clear_mail();
        for (core, program) in self.cores.iter_mut().zip(pair) {
            core.load(program);
        }
    }
    /// Runs both at once; whether they come to their ends within that time.
    pub fn ends(&mut self, pair: &Both<S>, limit: Duration) -> bool
    where
        S::Guest: Send,
    {
        self.load(pair);
        self.watchdog.start(limit);
        let (start, [first, second]) = (Barrier::new(2), &mut self.cores);
        let exits = thread::scope(|scope| {
            let other = scope.spawn(|| until_it_waits(&mut second.vcpu, &start));
            let exit = until_it_waits(&mut first.vcpu, &start);
            [exit, other.join().unwrap()]
        });
        let fired = self.watchdog.stop();
        let ended = self
            .cores
            .iter_mut()
            .zip(exits)
            .map(|(core, exit)| core.has_ended(exit, fired));
        ended.fold(true, |all, ended| all & ended)
    }
    /// The same by turns, an instruction of each, without memory of those before.
    fn ends_by_turns(&mut self, pair: &Both<S>, limit: Duration) -> bool {
        self.load(pair);
        self.watchdog.start(limit);
        let mut exits = [None; 2];
        while exits.contains(&None) {
            for (core, exit) in self.cores.iter_mut().zip(&mut exits).filter(|(_, exit)| exit.is_none()) {
                match core.vcpu.run() {
                    Exit::Yield => {}
                    Exit::Requested if !self.watchdog.has_fired() => core.vcpu.reset_caches(),
                    why => *exit = Some(why),
                }
            }
        }
        let fired = self.watchdog.stop();
        let exits = self.cores.iter_mut().zip(exits.into_iter().flatten());
        exits
            .map(|(core, exit)| core.has_ended(exit, fired))
            .fold(true, |all, ended| all & ended)
    }
}

fn until_it_waits<G: emu_ir::Guest>(vcpu: &mut Vcpu<G>, start: &Barrier) -> Exit {
    start.wait();
    loop {
        match vcpu.run() {
            Exit::Yield => thread::yield_now(),
            exit => return exit,
        }
    }
}

/// Pairs of programs, and who runs them.
pub struct Together<S: Subject> {
    maker: S,
    interp: Duo<S>,
    jit: Duo<S>,
    forgetful: Duo<S>,
}

impl<S: Paired> Trial for Together<S>
where
    S::Guest: Send,
{
    type Program = Both<S>;
    type Outcome = [Outcome<S::State>; 2];
    const NAME: &'static str = S::PAIRS;
    const FEW: u64 = 150;
    const SOON: Duration = PAIR_SOON;
    const LATE: Duration = Duration::from_secs(60);
    /// What happens between two vCPUs is another each time.
    const TRIES: usize = 20;

    fn new() -> io::Result<Together<S>> {
        Ok(Together {
            maker: S::new(),
            interp: Duo::new(Accel::Interp)?,
            jit: Duo::new(Accel::Jit)?,
            forgetful: Duo::forgetful(),
        })
    }
    fn program(&self, seed: u64) -> Both<S> {
        self.maker.pair(seed)
    }
    fn is_careful(_: &Both<S>, [first, second]: &[Outcome<S::State>; 2]) -> bool {
        first.exceptions() + second.exceptions() < SHORT
    }
    fn run(&mut self, by: By, pair: &Both<S>, limit: Duration) -> Option<[Outcome<S::State>; 2]> {
        let duo = match by {
            By::Interpreter => &mut self.interp,
            By::TranslatedCode => &mut self.jit,
            By::NoCaches => &mut self.forgetful,
        };
        let ended = match by {
            By::NoCaches => duo.ends_by_turns(pair, limit),
            By::Interpreter | By::TranslatedCode => duo.ends(pair, limit),
        };
        ended.then(|| [0, 1].map(|half| duo.cores[half].outcome()))
    }
    fn difference(interp: &[Outcome<S::State>; 2], other: &[Outcome<S::State>; 2], who: &str) -> Option<String> {
        let mut text = String::new();
        for half in [0, 1] {
            if let Some(how) = difference::<S>(&interp[half], &other[half], who) {
                let _ = write!(text, "CPU {half}:\n{how}");
            }
        }
        (!text.is_empty()).then_some(text)
    }
    fn listing(pair: &Both<S>) -> String {
        let [first, second] = [0, 1].map(|half| listing::<S>(&pair[half]));
        format!("CPU 0:\n{first}CPU 1:\n{second}")
    }
}

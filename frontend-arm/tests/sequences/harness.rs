//! Runs random programs by every accelerator, and compares what they come to.

use crate::memory::{Log, Memory};
use crate::program::{Program, Set};
use crate::watchdog::Watchdog;
use emu_ir::{Fault, Guest};
use emu_jit::engine::trace::{Cause, Entered, Tracer, Wants};
use emu_jit::engine::{Accel, Exit, Kick, Vcpu};
use std::fmt::{Arguments, Debug, Write};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Programs in a run that nobody asked to be long.
pub const FEW: u64 = 1000;
/// The CPU time that a program may take: as a rule it is a matter of a millisecond, and one in a hundred does not end.
pub const SOON: Duration = Duration::from_millis(30);
/// After how many programs a run that is asked to be long says how far it is.
const OFTEN: u64 = 1000;
/// What it may take if the other accelerator has come to its end: translated code is thousands of times faster than a
/// machine without caches.
const LATE: Duration = Duration::from_secs(200);
/// How many exceptions of a program are looked at.
const EXCEPTIONS: usize = 400;

/// Whom random programs are for.
pub trait Subject: Sized + 'static {
    type State: Copy + PartialEq + Debug + Send + 'static;
    type Guest: Guest<State = Self::State>;
    /// What the programs are called.
    const NAME: &'static str;

    fn new() -> Self;
    /// The program of a seed.
    fn program(&self, seed: u64) -> Program<Self::State>;
    fn guest() -> Self::Guest;
    fn reset() -> Self::State;
    /// Whether a fault is an exception of the architecture.
    fn is_exception(fault: Fault) -> bool;
    /// What the exception is called whose vector a CPU is at.
    fn exception(at_vector: &Self::State) -> &'static str;
    /// What an instruction in a state is of, to be counted.
    fn kinds(state: &Self::State, insn: &Entered) -> [Option<&'static str>; 3];
    fn changes(before: &Self::State, after: &Self::State, changed: &mut dyn FnMut(Arguments<'_>, u64));
    /// The state that a program starts in, for its listing.
    fn show(start: &Self::State) -> String;
}

/// What is there at an exception: the state that it is taken in, that at its vector, and a sum of memory.
#[derive(Clone, Copy, PartialEq)]
struct Moment<S> {
    before: S,
    after: S,
    memory: u64,
}

/// What a program left.
struct Outcome<S> {
    cpu: S,
    memory: Vec<u8>,
    device: Log,
    exceptions: Vec<Moment<S>>,
}

/// Notes exceptions, and has a vCPU come back after each instruction, if there is somebody to ask for that.
struct Witness<S: Subject> {
    memory: Memory,
    exceptions: Arc<Mutex<Vec<Moment<S::State>>>>,
    each_insn: Option<Kick>,
}

impl<S: Subject> Tracer<S::Guest> for Witness<S> {
    fn wants(&self) -> Wants {
        Wants {
            insns: self.each_insn.is_some(),
            exceptions: true,
            ..Wants::default()
        }
    }
    fn enter(&mut self, _: &S::State, insn: &Entered) {
        // A vCPU that is asked to come back does not wait.
        if let Some(kick) = self.each_insn.as_ref().filter(|_| !Set::waits(insn.code)) {
            kick.request_exit();
        }
    }
    fn exception(&mut self, before: &S::State, after: &S::State, cause: Cause) {
        if let Cause::Fault(fault) = cause
            && !S::is_exception(fault)
        {
            return;
        }
        let mut seen = self.exceptions.lock().unwrap();
        if seen.len() < EXCEPTIONS {
            seen.push(Moment {
                before: *before,
                after: *after,
                memory: self.memory.sum(),
            });
        }
    }
}

/// A vCPU, its memory, and who stops it when it does not end.
pub struct Runner<S: Subject> {
    pub vcpu: Vcpu<S::Guest>,
    memory: Memory,
    watchdog: Watchdog,
    exceptions: Arc<Mutex<Vec<Moment<S::State>>>>,
    /// Every instruction is run on its own, and nothing is remembered from one to the next.
    forgetful: bool,
}

impl<S: Subject> Runner<S> {
    pub fn new(accel: Accel) -> io::Result<Runner<S>> {
        Runner::with(accel, false)
    }
    /// A machine without caches.
    fn forgetful() -> Runner<S> {
        Runner::with(Accel::Interp, true).expect("an interpreter")
    }
    fn with(accel: Accel, forgetful: bool) -> io::Result<Runner<S>> {
        let memory = Memory::new();
        let mut vcpu = Vcpu::new(S::guest(), S::reset(), Box::new(memory.clone()), accel, true)?;
        memory.connect(vcpu.kick());
        let watchdog = Watchdog::new(vcpu.kick());
        let exceptions = Arc::default();
        let witness = Witness::<S> {
            memory: memory.clone(),
            exceptions: Arc::clone(&exceptions),
            each_insn: forgetful.then(|| vcpu.kick()),
        };
        vcpu.set_tracer(Some(Box::new(witness)));
        Ok(Runner {
            vcpu,
            memory,
            watchdog,
            exceptions,
            forgetful,
        })
    }
    /// Runs a program; whether it comes to its end within that time.
    pub fn ends(&mut self, program: &Program<S::State>, limit: Duration) -> bool {
        self.exceptions.lock().unwrap().clear();
        self.memory.fill(&program.memory());
        *self.vcpu.state_mut() = program.start;
        self.vcpu.reset_caches();
        self.watchdog.start(limit);
        let exit = loop {
            match self.vcpu.run() {
                Exit::Yield => {}
                Exit::Requested if self.forgetful && !self.watchdog.has_fired() => self.vcpu.reset_caches(),
                exit => break exit,
            }
        };
        let fired = self.watchdog.stop();
        if exit != Exit::Requested && fired {
            // It has been asked to come back, and did so for another reason.
            assert_eq!(self.vcpu.run(), Exit::Requested);
        }
        assert!(fired || exit == Exit::Wait, "{exit:?}");
        !fired
    }
    /// What it leaves if it does.
    fn run(&mut self, program: &Program<S::State>, limit: Duration) -> Option<Outcome<S::State>> {
        self.ends(program, limit).then(|| {
            let (memory, device) = self.memory.contents();
            Outcome {
                cpu: *self.vcpu.state(),
                memory,
                device,
                exceptions: self.exceptions.lock().unwrap().clone(),
            }
        })
    }
}

/// What the runs of a program came to.
enum Verdict {
    Same,
    Endless,
    Different(String),
}

/// Who runs programs.
struct Runners<S: Subject> {
    interp: Runner<S>,
    jit: Runner<S>,
    forgetful: Runner<S>,
}

impl<S: Subject> Runners<S> {
    /// Fails where this host cannot run translated code.
    fn new() -> io::Result<Runners<S>> {
        Ok(Runners {
            interp: Runner::new(Accel::Interp)?,
            jit: Runner::new(Accel::Jit)?,
            forgetful: Runner::forgetful(),
        })
    }
    fn compare(&mut self, program: &Program<S::State>) -> Verdict {
        let (mut interp, mut jit) = (self.interp.run(program, SOON), self.jit.run(program, SOON));
        let short = interp.is_some();
        if interp.is_none() != jit.is_none() {
            // The other tests of this process may have taken of the time.
            interp = interp.or_else(|| self.interp.run(program, LATE));
            jit = jit.or_else(|| self.jit.run(program, LATE));
        }
        let jit = match (&interp, jit) {
            (None, None) => return Verdict::Endless,
            (None, Some(_)) => return Verdict::Different("only translated code comes to an end\n".into()),
            (Some(_), None) => return Verdict::Different("translated code does not come to an end\n".into()),
            (Some(_), Some(jit)) => jit,
        };
        let Some(interp) = interp else { return Verdict::Endless };
        if let Some(text) = difference::<S>(&interp, &jit, "translated") {
            return Verdict::Different(text);
        }
        // What takes the interpreter long takes a machine without caches a thousand times as long.
        if !program.careful || !short {
            return Verdict::Same;
        }
        let text = match self.forgetful.run(program, LATE) {
            None => Some("without caches it does not come to an end\n".into()),
            Some(forgetful) => difference::<S>(&interp, &forgetful, "without caches"),
        };
        text.map_or(Verdict::Same, Verdict::Different)
    }
    /// The program with every piece taken out that the difference does not need.
    fn shrink(&mut self, mut program: Program<S::State>) -> (Program<S::State>, String) {
        let mut text = String::new();
        loop {
            let mut smaller = false;
            for piece in 0..program.pieces.len() {
                if program.pieces[piece].is_out() {
                    continue;
                }
                let shorter = program.without(piece);
                if let Verdict::Different(how) = self.compare(&shorter) {
                    (program, text, smaller) = (shorter, how, true);
                }
            }
            if !smaller {
                return (program, text);
            }
        }
    }
}

/// How two states differ.
fn states<S: Subject>(text: &mut String, interp: &S::State, other: &S::State, who: &str) {
    let [a, b] = [interp, other].map(|cpu| format!("{cpu:x?}"));
    for (a, b) in a.split(", ").zip(b.split(", ")).filter(|(a, b)| a != b) {
        let _ = writeln!(text, "state: {a}, {who} {b}");
    }
    S::changes(interp, other, &mut |name, value| {
        let _ = writeln!(text, "{who}: {name}={value:x}");
    });
}

/// How the first exceptions that are not the same differ.
fn exceptions<S: Subject>(text: &mut String, interp: &[Moment<S::State>], other: &[Moment<S::State>], who: &str) {
    let same = interp.iter().zip(other).take_while(|(a, b)| a == b).count();
    match (interp.get(same), other.get(same)) {
        (Some(a), Some(b)) => {
            let [name, others] = [a, b].map(|m| S::exception(&m.after));
            let _ = writeln!(text, "exception {same}: {name}, {who} {others}");
            states::<S>(text, &a.before, &b.before, who);
            let _ = writeln!(text, "at the vector:");
            states::<S>(text, &a.after, &b.after, who);
            if a.memory != b.memory {
                let _ = writeln!(text, "memory is another");
            }
        }
        (None, None) => {}
        _ => {
            let _ = writeln!(text, "exceptions: {}, {who} {}", interp.len(), other.len());
        }
    }
}

/// How the interpreter's outcome and another differ.
fn difference<S: Subject>(interp: &Outcome<S::State>, other: &Outcome<S::State>, who: &str) -> Option<String> {
    let mut text = String::new();
    exceptions::<S>(&mut text, &interp.exceptions, &other.exceptions, who);
    if interp.cpu != other.cpu {
        let _ = writeln!(text, "at the end:");
        states::<S>(&mut text, &interp.cpu, &other.cpu, who);
    }
    let bytes = interp.memory.iter().zip(&other.memory).enumerate();
    for (at, (a, b)) in bytes.filter(|(_, (a, b))| a != b).take(8) {
        let _ = writeln!(text, "memory at {at:#x}: {a:#x}, {who} {b:#x}");
    }
    if interp.device != other.device {
        let first = interp.device.iter().zip(&other.device).position(|(a, b)| a != b);
        let at = first.unwrap_or(interp.device.len().min(other.device.len()));
        let (a, b) = (interp.device.get(at), other.device.get(at));
        let _ = writeln!(text, "device, access {at}: {a:x?}, {who} {b:x?}");
    }
    (!text.is_empty()).then_some(text)
}

fn listing<S: Subject>(program: &Program<S::State>) -> String {
    let mut text = format!("start: {}\n", S::show(&program.start));
    for piece in program.pieces.iter().filter(|p| !p.is_out()) {
        let lister = piece.set.lister();
        let mut seen = 0;
        while seen < piece.bytes.len() {
            let at = u64::from(piece.at) + seen as u64;
            let known = lister.disasm_all(&piece.bytes[seen..], at).unwrap();
            for insn in known.iter() {
                let (name, operands) = (insn.mnemonic().unwrap_or("?"), insn.op_str().unwrap_or(""));
                let _ = writeln!(text, "{:6x}: {name} {operands}", insn.address());
            }
            seen += known.iter().map(|i| i.len()).sum::<usize>();
            if let Some(unknown) = piece.bytes.get(seen..).filter(|rest| !rest.is_empty()) {
                let some = &unknown[..unknown.len().min(if piece.set == Set::A64 { 4 } else { 2 })];
                let _ = writeln!(text, "{:6x}: {some:02x?}", piece.at as usize + seen);
                seen += some.len();
            }
        }
    }
    text
}

fn number(variable: &str, default: u64) -> u64 {
    let text = std::env::var(variable).ok();
    text.map_or(default, |t| {
        t.parse().unwrap_or_else(|_| panic!("{variable}={t}: not a number"))
    })
}

/// Runs as many programs as were asked for.
pub fn all_end_in_the_same_state<S: Subject>() {
    let mut runners = match Runners::<S>::new() {
        Ok(runners) => runners,
        Err(why) => return emu_ir::testing::skipped(S::NAME, &why.to_string()),
    };
    let maker = S::new();
    let (first, count) = (number("EMU_FUZZ_SEED", 1), number("EMU_FUZZ_SEQUENCES", FEW));
    let mut endless = 0;
    for seed in first..first + count {
        let done = seed - first;
        if count > FEW && done > 0 && done.is_multiple_of(OFTEN) {
            let name = S::NAME;
            emu_ir::testing::say(&format!("{name}: {done} of {count}, {endless} of them without an end"));
        }
        let program = maker.program(seed);
        match runners.compare(&program) {
            Verdict::Same => {}
            Verdict::Endless => endless += 1,
            Verdict::Different(how) => {
                emu_ir::testing::say(&format!(
                    "EMU_FUZZ_SEED={seed} differs; shortening it may take minutes\n{how}"
                ));
                let (program, less) = runners.shrink(program);
                panic!(
                    "EMU_FUZZ_SEED={seed}\n{how}shortened:\n{less}{}",
                    listing::<S>(&program)
                );
            }
        }
    }
    assert!(
        endless * 25 <= count.max(100),
        "{endless} of {count} programs do not end: too many to be of use"
    );
}

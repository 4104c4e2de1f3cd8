//! Runs random programs on one vCPU, by every accelerator, and says how what they come to differs.

use super::memory::{Log, Memory, Shape};
use super::program::Program;
use super::trial::{By, Trial};
use super::watchdog::Watchdog;
use emu_ir::{Fault, Guest};
use emu_jit::engine::trace::{Cause, Entered, Tracer, Wants};
use emu_jit::engine::{Accel, Exit, Kick, Vcpu};
use std::fmt::{Arguments, Debug, Write};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The CPU time that a program may take: as a rule it is a matter of a millisecond, and one in a hundred does not end.
pub const SOON: Duration = Duration::from_millis(30);
/// How many exceptions of a program are looked at.
const EXCEPTIONS: usize = 400;

/// Whom random programs are for.
pub trait Subject: Sized + 'static {
    type State: Copy + PartialEq + Debug + Send + 'static;
    type Guest: Guest<State = Self::State>;
    /// What the programs are called.
    const NAME: &'static str;
    /// What memory there is.
    const MEMORY: Shape;

    fn new() -> Self;
    /// The program of a seed.
    fn program(&self, seed: u64) -> Program<Self::State>;
    fn guest() -> Self::Guest;
    fn reset() -> Self::State;
    /// Whether the CPU may wait at an instruction, and its state does not say so then.
    fn waits(state: &Self::State, insn: &Entered) -> bool;
    /// A state without what no program can see.
    fn seen(state: &Self::State) -> Self::State {
        *state
    }
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

/// What is there at an exception: the state that it is taken in, that at its vector, and now and then a sum of memory.
#[derive(Clone, Copy, PartialEq)]
struct Moment<S> {
    before: S,
    after: S,
    memory: Option<u64>,
}

/// What a program left.
pub struct Outcome<S> {
    exit: Option<Exit>,
    cpu: S,
    memory: Vec<u8>,
    device: Log,
    exceptions: Vec<Moment<S>>,
}

impl<S> Outcome<S> {
    /// How many exceptions there were, of those that are looked at.
    pub fn exceptions(&self) -> usize {
        self.exceptions.len()
    }
}

/// Notes exceptions, and has a vCPU come back after each instruction, if there is somebody to ask for that.
struct Witness<S: Subject> {
    memory: Memory,
    exceptions: Arc<Mutex<Vec<Moment<S::State>>>>,
    /// At which exceptions memory is summed up: one in so many.
    sums: usize,
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
    fn enter(&mut self, state: &S::State, insn: &Entered) {
        // A vCPU that is asked to come back does not wait.
        if let Some(kick) = self.each_insn.as_ref().filter(|_| !S::waits(state, insn)) {
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
        let count = seen.len();
        if count < EXCEPTIONS {
            seen.push(Moment {
                before: S::seen(before),
                after: S::seen(after),
                memory: count.is_multiple_of(self.sums).then(|| self.memory.sum()),
            });
        }
    }
}

/// A vCPU, its memory, and the exceptions that it has taken.
pub struct Core<S: Subject> {
    pub vcpu: Vcpu<S::Guest>,
    memory: Memory,
    exceptions: Arc<Mutex<Vec<Moment<S::State>>>>,
    /// How the program has come to its end.
    exit: Option<Exit>,
}

impl<S: Subject> Core<S> {
    /// `sums`: memory is summed up at one in so many exceptions. `each_insn`: it comes back after each instruction, but for one that waits.
    pub fn new(mut vcpu: Vcpu<S::Guest>, memory: Memory, sums: usize, each_insn: bool) -> Core<S> {
        memory.connect(vcpu.kick());
        let exceptions = Arc::default();
        let witness = Witness::<S> {
            memory: memory.clone(),
            exceptions: Arc::clone(&exceptions),
            sums,
            each_insn: each_insn.then(|| vcpu.kick()),
        };
        vcpu.set_tracer(Some(Box::new(witness)));
        Core {
            vcpu,
            memory,
            exceptions,
            exit: None,
        }
    }
    /// Has it start a program anew.
    pub fn load(&mut self, program: &Program<S::State>) {
        self.exceptions.lock().unwrap().clear();
        self.memory.fill(&program.memory());
        *self.vcpu.state_mut() = program.start;
        self.vcpu.reset_caches();
    }
    /// It has come back; whether to a program's end: it waits, or has stopped. `fired`: it had been asked to come back.
    pub fn has_ended(&mut self, exit: Exit, fired: bool) -> bool {
        if exit != Exit::Requested && fired {
            // It did so for another reason.
            assert_eq!(self.vcpu.run(), Exit::Requested);
        }
        assert!(fired || matches!(exit, Exit::Wait | Exit::Stopped(_)), "{exit:?}");
        self.exit = Some(exit);
        !fired
    }
    /// What the program has left.
    pub fn outcome(&self) -> Outcome<S::State> {
        let (memory, device) = self.memory.contents();
        Outcome {
            exit: self.exit,
            cpu: S::seen(self.vcpu.state()),
            memory,
            device,
            exceptions: self.exceptions.lock().unwrap().clone(),
        }
    }
}

/// One vCPU, and who stops it when it does not end.
pub struct Runner<S: Subject> {
    pub core: Core<S>,
    watchdog: Watchdog,
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
        let memory = Memory::new(S::MEMORY);
        let vcpu = Vcpu::new(S::guest(), S::reset(), Box::new(memory.clone()), accel, true)?;
        let watchdog = Watchdog::new(vec![vcpu.kick()]);
        Ok(Runner {
            core: Core::new(vcpu, memory, 1, forgetful),
            watchdog,
            forgetful,
        })
    }
    /// Runs a program; whether it comes to its end within that time.
    pub fn ends(&mut self, program: &Program<S::State>, limit: Duration) -> bool {
        self.core.load(program);
        self.watchdog.start(limit);
        let vcpu = &mut self.core.vcpu;
        let exit = loop {
            match vcpu.run() {
                Exit::Yield => {}
                Exit::Requested if self.forgetful && !self.watchdog.has_fired() => vcpu.reset_caches(),
                exit => break exit,
            }
        };
        self.core.has_ended(exit, self.watchdog.stop())
    }
}

/// Programs for one vCPU, and who runs them.
pub struct Alone<S: Subject> {
    maker: S,
    interp: Runner<S>,
    jit: Runner<S>,
    forgetful: Runner<S>,
}

impl<S: Subject> Trial for Alone<S> {
    type Program = Program<S::State>;
    type Outcome = Outcome<S::State>;
    const NAME: &'static str = S::NAME;
    const FEW: u64 = 1000;
    const SOON: Duration = SOON;
    /// Translated code is thousands of times faster than a machine without caches.
    const LATE: Duration = Duration::from_secs(200);
    const TRIES: usize = 1;

    fn new() -> io::Result<Alone<S>> {
        Ok(Alone {
            maker: S::new(),
            interp: Runner::new(Accel::Interp)?,
            jit: Runner::new(Accel::Jit)?,
            forgetful: Runner::forgetful(),
        })
    }
    fn program(&self, seed: u64) -> Program<S::State> {
        self.maker.program(seed)
    }
    fn is_careful(program: &Program<S::State>, _: &Outcome<S::State>) -> bool {
        program.careful
    }
    fn run(&mut self, by: By, program: &Program<S::State>, limit: Duration) -> Option<Outcome<S::State>> {
        let runner = match by {
            By::Interpreter => &mut self.interp,
            By::TranslatedCode => &mut self.jit,
            By::NoCaches => &mut self.forgetful,
        };
        runner.ends(program, limit).then(|| runner.core.outcome())
    }
    fn difference(interp: &Outcome<S::State>, other: &Outcome<S::State>, who: &str) -> Option<String> {
        difference::<S>(interp, other, who)
    }
    fn listing(program: &Program<S::State>) -> String {
        listing::<S>(program)
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
pub fn difference<S: Subject>(interp: &Outcome<S::State>, other: &Outcome<S::State>, who: &str) -> Option<String> {
    let mut text = String::new();
    exceptions::<S>(&mut text, &interp.exceptions, &other.exceptions, who);
    if interp.exit != other.exit {
        let _ = writeln!(text, "exit: {:?}, {who} {:?}", interp.exit, other.exit);
    }
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

pub fn listing<S: Subject>(program: &Program<S::State>) -> String {
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
                let some = &unknown[..unknown.len().min(piece.set.unit())];
                let _ = writeln!(text, "{:6x}: {some:02x?}", piece.at as usize + seen);
                seen += some.len();
            }
        }
    }
    text
}

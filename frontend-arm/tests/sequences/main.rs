//! Random programs with faults, self-modifying code, changes of page tables and interrupts end in the same state under
//! both accelerators; careful ones, which do all the maintenance that the architecture asks for, also on a machine that
//! remembers neither code nor translations.
//!
//! `EMU_FUZZ_SEQUENCES=1000000 cargo test -p emu-frontend-arm --test sequences` is a long run; `EMU_FUZZ_SEED=N` says
//! which seed is the first. A failure names its seed, and prints the program with all taken out that can be.
#![allow(clippy::restriction, reason = "this is how a test fails")]

mod code;
mod memory;
mod program;
mod watchdog;

use capstone::prelude::*;
use emu_frontend_arm::Arm;
use emu_frontend_arm::{Cpu, MODELS, names};
use emu_jit::engine::trace::{Cause, Entered, MmuEvent, Tracer, Wants};
use emu_jit::engine::{Accel, Exit, Kick, Vcpu};
use memory::{Log, Memory};
use program::{Maker, Program};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use watchdog::Watchdog;

/// Programs in a run that nobody asked to be long.
const FEW: u64 = 1000;
/// The CPU time that a program may take: as a rule it is a matter of a millisecond, and one in a hundred does not end.
const SOON: Duration = Duration::from_millis(30);
/// After how many programs a run that is asked to be long says how far it is.
const OFTEN: u64 = 1000;
/// What it may take if the other accelerator has come to its end: translated code is thousands of times faster than a
/// machine without caches.
const LATE: Duration = Duration::from_secs(200);

/// What a program left.
struct Outcome {
    cpu: Cpu,
    memory: Vec<u8>,
    device: Log,
}

/// A vCPU, its memory, and who stops it when it does not end.
struct Runner {
    vcpu: Vcpu<Arm>,
    memory: Memory,
    watchdog: Watchdog,
    /// Every instruction is run on its own, and nothing is remembered from one to the next.
    forgetful: bool,
}

/// Has a vCPU come back after each instruction.
struct EachInsn(Kick);

impl Tracer<Arm> for EachInsn {
    fn wants(&self) -> Wants {
        Wants {
            insns: true,
            ..Wants::default()
        }
    }
    fn enter(&mut self, _: &Cpu, insn: &Entered) {
        // A vCPU that is asked to come back does not wait.
        let waits = matches!(
            insn.code,
            [0x03, 0xf0, 0x20, 0xe3] | [0x30, 0xbf] | [0xaf, 0xf3, 0x03, 0x80]
        );
        if !waits {
            self.0.request_exit();
        }
    }
}

impl Runner {
    fn new(accel: Accel) -> io::Result<Runner> {
        let memory = Memory::new();
        let guest = Arm::alone(&MODELS[0]);
        let vcpu = Vcpu::new(guest, Cpu::reset(&MODELS[0]), Box::new(memory.clone()), accel, true)?;
        memory.connect(vcpu.kick());
        let watchdog = Watchdog::new(vcpu.kick());
        Ok(Runner {
            vcpu,
            memory,
            watchdog,
            forgetful: false,
        })
    }
    /// A machine without caches.
    fn forgetful() -> Runner {
        let mut runner = Runner::new(Accel::Interp).expect("an interpreter");
        let kick = runner.vcpu.kick();
        runner.vcpu.set_tracer(Some(Box::new(EachInsn(kick))));
        runner.forgetful = true;
        runner
    }
    /// Runs a program to its end. `None`: it does not end within that time.
    fn run(&mut self, program: &Program, limit: Duration) -> Option<Outcome> {
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
        if fired {
            return None;
        }
        assert_eq!(exit, Exit::Wait);
        let (memory, device) = self.memory.contents();
        Some(Outcome {
            cpu: *self.vcpu.state(),
            memory,
            device,
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
struct Runners {
    interp: Runner,
    jit: Runner,
    forgetful: Runner,
}

impl Runners {
    /// Fails where this host cannot run translated code.
    fn new() -> io::Result<Runners> {
        Ok(Runners {
            interp: Runner::new(Accel::Interp)?,
            jit: Runner::new(Accel::Jit)?,
            forgetful: Runner::forgetful(),
        })
    }
    fn compare(&mut self, program: &Program) -> Verdict {
        let (mut interp, mut jit) = (self.interp.run(program, SOON), self.jit.run(program, SOON));
        let short = interp.is_some();
        if interp.is_none() != jit.is_none() {
            // The other test of this process may have taken of the time.
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
        if let Some(text) = difference(&interp, &jit, "translated") {
            return Verdict::Different(text);
        }
        // What takes the interpreter long takes a machine without caches a thousand times as long.
        if !program.careful || !short {
            return Verdict::Same;
        }
        let text = match self.forgetful.run(program, LATE) {
            None => Some("without caches it does not come to an end\n".into()),
            Some(forgetful) => difference(&interp, &forgetful, "without caches"),
        };
        text.map_or(Verdict::Same, Verdict::Different)
    }
    /// The program with every piece taken out that the difference does not need.
    fn shrink(&mut self, mut program: Program) -> (Program, String) {
        let mut text = String::new();
        loop {
            let mut smaller = false;
            for piece in 0..program.pieces.len() {
                let shorter = program.without(piece);
                if shorter.pieces[piece].bytes == program.pieces[piece].bytes {
                    continue;
                }
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

/// How the interpreter's outcome and another differ.
fn difference(interp: &Outcome, other: &Outcome, who: &str) -> Option<String> {
    let mut text = String::new();
    if interp.cpu != other.cpu {
        let [a, b] = [&interp.cpu, &other.cpu].map(|cpu| format!("{cpu:x?}"));
        for (a, b) in a.split(", ").zip(b.split(", ")).filter(|(a, b)| a != b) {
            let _ = writeln!(text, "state: {a}, {who} {b}");
        }
        names::changes(&interp.cpu, &other.cpu, |name, value, _| {
            let _ = writeln!(text, "{who}: {name}={value:x}");
        });
    }
    let differ = interp
        .memory
        .iter()
        .zip(&other.memory)
        .enumerate()
        .filter(|(_, (a, b))| a != b);
    for (at, (a, b)) in differ.take(8) {
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

fn listing(program: &Program) -> String {
    let made = |mode| Capstone::new().arm().mode(mode).build().unwrap();
    let (arm, thumb) = (made(arch::arm::ArchMode::Arm), made(arch::arm::ArchMode::Thumb));
    let mut text = format!("start: {:x?} cpsr={:x}\n", program.start.r, program.start.cpsr());
    for piece in &program.pieces {
        if piece.bytes == code::Asm::nops(piece.thumb, piece.bytes.len()) {
            continue;
        }
        let set = if piece.thumb { &thumb } else { &arm };
        let known = set.disasm_all(&piece.bytes, piece.at.into()).unwrap();
        for insn in known.iter() {
            let _ = writeln!(
                text,
                "{:6x}: {} {}",
                insn.address(),
                insn.mnemonic().unwrap_or("?"),
                insn.op_str().unwrap_or("")
            );
        }
        let seen: usize = known.iter().map(|i| i.len()).sum();
        if seen < piece.bytes.len() {
            let _ = writeln!(text, "{:6x}: {:02x?}", piece.at as usize + seen, &piece.bytes[seen..]);
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

#[test]
fn all_end_in_the_same_state() {
    let mut runners = match Runners::new() {
        Ok(runners) => runners,
        Err(why) => return emu_ir::testing::skipped("random programs", &why.to_string()),
    };
    let maker = Maker::new();
    let (first, count) = (number("EMU_FUZZ_SEED", 1), number("EMU_FUZZ_SEQUENCES", FEW));
    let mut endless = 0;
    for seed in first..first + count {
        let done = seed - first;
        if count > FEW && done > 0 && done.is_multiple_of(OFTEN) {
            emu_ir::testing::say(&format!("{done} of {count} programs, {endless} of them without an end"));
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
                panic!("EMU_FUZZ_SEED={seed}\n{how}shortened:\n{less}{}", listing(&program));
            }
        }
    }
    assert!(
        endless * 25 <= count.max(100),
        "{endless} of {count} programs do not end: too many to be of use"
    );
}

/// Counts what programs do.
struct Counter(Arc<Mutex<BTreeMap<&'static str, usize>>>);

impl Counter {
    fn count(&self, what: &'static str) {
        *self.0.lock().unwrap().entry(what).or_default() += 1;
    }
}

impl Tracer<Arm> for Counter {
    fn wants(&self) -> Wants {
        Wants {
            insns: true,
            exceptions: true,
            mmu: true,
            ..Wants::default()
        }
    }
    fn enter(&mut self, state: &Cpu, insn: &Entered) {
        if insn.phys % 0x1000 + insn.code.len() as u64 > 0x1000 {
            self.count("across");
        }
        self.count(names::instruction_set(state.mode));
        self.count(names::mode(state.current_mode()));
    }
    fn exception(&mut self, _: &Cpu, after: &Cpu, _: Cause) {
        self.count(names::exception(after));
    }
    fn mmu(&mut self, event: &MmuEvent) {
        self.count(match event {
            MmuEvent::Fill { .. } => "fill",
            MmuEvent::Fault { .. } => "fault",
            MmuEvent::Flush(_) => "flush",
            MmuEvent::Context { .. } => "context",
        });
    }
}

#[test]
fn programs_do_what_they_are_for() {
    let (maker, mut runner) = (Maker::new(), Runner::new(Accel::Interp).expect("an interpreter"));
    let counts = Arc::default();
    runner.vcpu.set_tracer(Some(Box::new(Counter(Arc::clone(&counts)))));

    let ended = (1..=60)
        .filter(|seed| runner.run(&maker.program(*seed), 10 * SOON).is_some())
        .count();

    let counts = counts.lock().unwrap();
    assert!(ended > 50, "{ended} of 60 end");
    let least = [
        ("arm", 5000),
        ("thumb", 5000),
        ("across", 60),
        ("usr", 1000),
        ("sys", 1000),
        ("svc", 1000),
        ("undefined", 60),
        ("supervisor-call", 10),
        ("prefetch-abort", 30),
        ("data-abort", 60),
        ("irq", 10),
        ("fill", 500),
        ("fault", 60),
        ("flush", 30),
        ("context", 30),
    ];
    for (what, least) in least {
        let count = counts.get(what).copied().unwrap_or(0);
        assert!(count >= least, "{what}: {count} of {least}, {counts:?}");
    }
}

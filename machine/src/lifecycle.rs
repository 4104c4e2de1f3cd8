//! One run of a machine, from its reset to its end: the main thread's part.
//!
//! vCPUs, the console and signals send [`Event`]s; the main thread sleeps until one comes, resets the machine or ends it.
//! Whatever happens, an escape key or a signal ends the run, output that the guest has made is written, and the terminal
//! is given back as it was.

mod control;
/// Seeds from the host's random numbers, if it has some.
fn seeds() -> Option<Seeds> {
    let mut bytes = [0; 40];
    let got = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).ok()?;
    let (rng, kaslr) = bytes.split_first_chunk::<32>()?;
    (got == bytes.len()).then_some(Seeds {
        rng: *rng,
        kaslr: kaslr.try_into().ok(),
    })
}

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvError, RecvTimeoutError, Sender, unbounded};
use emu_devices::backend::Store;
use emu_devices::bus::{Clock, GuestMemory, Threads, Wiring};
use emu_firmware::boot::Memory;
use emu_firmware::fdt::{Chosen, Node, Seeds};
use emu_jit::engine;

use crate::arch::{Architecture, CpuWiring, Fitting, MachineCode};
use crate::board::Board;
use crate::board::build::{Devices, Surroundings};
use crate::config::{Accel, Boot, Config};
use crate::consoles::Consoles;
use crate::cpus::{Cpus, Order};
use crate::error::Error;
use crate::events::{Event, Handle};
use crate::gdb;
use crate::hold::Holds;
use crate::images::{self, Images, Lying, Placed};
use crate::log;
use crate::plight;
use crate::processor::{Look, Start};
use crate::semihosting::{self, Semihosting};
use crate::signals;
use crate::trace::Logs;

/// How long vCPU threads are waited for at the end.
const FAREWELL: Duration = Duration::from_secs(1);
/// How often the end looks whether the user has lost patience with a slow reader of the output.
const DRAIN_STEP: Duration = Duration::from_millis(50);
/// Bytes of zeros written at once.
const ZEROS: [u8; 4096] = [0; 4096];

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The guest powered its machine off.
    PoweredOff,
    /// The guest asked for a reboot under [`Config::no_reboot`].
    Rebooted,
    /// The user pressed the escape key.
    Escaped,
    /// The debugger ended the run.
    Killed,
    /// The guest's program ended with this status, by semihosting.
    Exited(u8),
    /// A signal of this number told emu to end.
    Signal(u8),
    /// What was asked for was written; no machine was started.
    Written,
}

impl Outcome {
    /// The program's exit status, as `emu --help` has it.
    pub fn exit_status(self) -> u8 {
        match self {
            Self::PoweredOff | Self::Rebooted | Self::Written => 0,
            Self::Escaped | Self::Killed => 3,
            Self::Exited(status) => status,
            Self::Signal(number) => 128 + (number & 0x7f),
        }
    }
}

/// The machine that a [`Config`] describes, before it exists.
pub struct Plan<'a> {
    config: &'a Config,
    images: &'a Images,
    board: Board,
    arch: &'static dyn Architecture,
}

impl<'a> Plan<'a> {
    /// The machine for this configuration and its files.
    ///
    /// # Errors
    ///
    /// As [`Config::check`].
    pub fn new(config: &'a Config, images: &'a Images) -> Result<Plan<'a>, Error> {
        config.check()?;
        Ok(Plan {
            config,
            images,
            board: config.fitted(),
            arch: config.arch.architecture(),
        })
    }

    /// What goes where in memory. `seeds` are for the kernel, as far as its architecture has a use for them.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] naming the option whose file does not fit.
    pub fn place(&self, seeds: Option<Seeds>) -> Result<Placed<'a>, Error> {
        let tables = self.arch.tables(&self.board, self.fitting());
        let tables = tables.map_err(|e| Error::host("cannot describe the board", io::Error::other(e)))?;
        let placed = match tables {
            Some(tables) => self
                .images
                .place_x86(tables, seeds.as_ref().map(|seeds| seeds.rng.as_slice())),
            None => self.place_with_tree(seeds),
        }?;
        let started = self.arch.check_start(&self.config.cpu, &placed.start);
        started.map_err(|reason| Error::input("--cpu", &self.config.cpu, reason))?;
        Ok(placed)
    }

    fn place_with_tree(&self, seeds: Option<Seeds>) -> Result<Placed<'a>, Error> {
        let chosen = Chosen {
            stdout_path: self.arch.console(&self.board),
            seeds,
            ..Chosen::default()
        };
        let memory = Memory {
            ram: self.board.ram(self.config.memory),
            flash: &self.board.flash(),
        };
        self.images.place(memory, chosen, |chosen| self.tree(chosen))
    }

    /// Contents of the flash banks.
    fn flash(&self) -> Result<Vec<Arc<[u8]>>, Error> {
        let banks = self.board.flash();
        if banks.is_empty() {
            return Ok(Vec::new());
        }
        let pieces = self.place(None)?.flash;
        Ok(banks
            .into_iter()
            .map(|bank| images::bank(bank, &pieces).into())
            .collect())
    }

    fn fitting(&self) -> Fitting<'_> {
        Fitting {
            memory: self.config.memory,
            cpus: self.config.cpus,
            model: &self.config.cpu,
        }
    }

    fn tree(&self, chosen: Chosen) -> Node {
        self.arch.tree(&self.board, self.fitting(), chosen)
    }

    /// Runs it to its end. `operator` gets the way to it before it starts; if there is none, the host's signals are its
    /// user's.
    ///
    /// # Errors
    ///
    /// [`Error::Host`] when the host cannot do what the machine needs.
    pub fn run(&self, operator: Option<Box<dyn FnOnce(Handle) + '_>>) -> Result<Outcome, Error> {
        let logs = Logs::create(&self.config.trace)?;
        let listener = self.config.gdb.as_ref().map(gdb::Listener::bind).transpose()?;
        let (sender, events) = unbounded();
        let threads = helpers(sender.clone());
        match operator {
            Some(operator) => operator(Handle::new(sender.clone())),
            None => {
                let watching = signals::watch(&threads, sender.clone());
                watching.map_err(|e| Error::host("cannot watch for signals", e))?;
            }
        }
        let escape = sender.clone();
        let on_escape = move || {
            // Without a listener the run is over already.
            let _ = escape.send(Event::Escape);
        };
        let lost = sender.clone();
        let on_lost = move || {
            let _ = lost.send(Event::OutputLost);
        };
        let consoles = Arc::new(Consoles::open(self.config, &threads, on_escape, on_lost)?);
        let outcome = self.run_on(&consoles, threads, &logs, listener, sender, events);
        // The devices still hold the consoles: leave raw mode now, not when the last of them is gone.
        let written = consoles.finish();
        self.images.vars.iter().for_each(|vars| vars.file.finish());
        // Output that was lost is why the run ended, if it ended without an outcome.
        logs.finish().and(written).and(outcome)
    }

    fn run_on(
        &self,
        consoles: &Arc<Consoles>,
        threads: Threads,
        logs: &Logs,
        listener: Option<gdb::Listener>,
        sender: Sender<Event>,
        events: Receiver<Event>,
    ) -> Result<Outcome, Error> {
        let mut machine = self.machine(consoles, threads, (sender.clone(), events))?;
        machine.semihosting = self.semihosting(&machine, sender.clone())?;
        let accel = match self.config.accel {
            Accel::Jit => engine::Accel::Jit,
            Accel::Interp => engine::Accel::Interp,
        };
        let code = MachineCode::new(accel, machine.cpus.count(), self.config.code_cache as usize);
        for cpu in 0..machine.cpus.count() {
            machine.spawn(cpu, &code, logs, sender.clone())?;
        }
        if let Some(listener) = listener {
            machine.debug(listener, sender.clone())?;
        }
        drop(sender);
        if consoles.is_terminal() && self.config.escape.0.is_some() {
            log::say(format_args!("{} ends emu", self.config.escape));
        }
        machine.power_on()?;
        logs.keep();
        consoles.keep_files();
        self.images.vars.iter().for_each(|vars| vars.file.keep());
        let outcome = machine.watch();
        if let Some(gdb) = &machine.gdb {
            gdb.finish(outcome.as_ref().map_or(1, |o| o.exit_status()));
        }
        if let Ok(Outcome::Escaped | Outcome::Signal(_)) = outcome {
            machine.say_if_dead();
        }
        machine.end();
        match outcome {
            Ok(Outcome::PoweredOff | Outcome::Rebooted | Outcome::Exited(_)) => {
                Ok(machine.drain().or(outcome.ok()).unwrap_or(Outcome::PoweredOff))
            }
            _ => outcome,
        }
    }

    /// The host of the guest's programs, if they are to have one.
    fn semihosting(&self, machine: &Machine<'_>, events: Sender<Event>) -> Result<Option<Arc<Semihosting>>, Error> {
        let Some(config) = &self.config.semihosting else {
            return Ok(None);
        };
        let around = semihosting::Surroundings {
            console: machine.consoles.serial.clone(),
            is_terminal: machine.consoles.is_terminal(),
            space: machine.devices.space.clone(),
            memory: machine.devices.memory.clone(),
            clock: machine.clock.clone(),
            events,
            free: self.place(None)?.free(self.board.ram(self.config.memory)),
        };
        let refused = |e| {
            let folder = config.folder.as_deref().unwrap_or(Path::new(""));
            Error::refused("--semihosting", folder.display(), &e)
        };
        Semihosting::new(config, around)
            .map(|host| Some(Arc::new(host)))
            .map_err(refused)
    }

    /// The machine, without threads for its CPUs.
    fn machine(
        &self,
        consoles: &Arc<Consoles>,
        helpers: Threads,
        (sender, events): (Sender<Event>, Receiver<Event>),
    ) -> Result<Machine<'_>, Error> {
        let arch = self.arch;
        let cpus = Cpus::new(self.config.cpus as usize, move |line| arch.line_bit(line));
        let cpus = Arc::new(cpus.with_edges(arch.edge_lines()));
        let wiring = Wiring::new();
        let clock = Clock::real(&helpers).map_err(|e| Error::host("cannot start the clock", e))?;
        let around = Surroundings {
            memory: self.config.memory,
            cpus: cpus.clone(),
            interrupts: arch.interrupts(&self.board, &self.config.cpu, (&wiring, &clock), &cpus),
            wiring,
            clock: clock.clone(),
            threads: helpers.clone(),
            serial: consoles.serial.clone(),
            virtio_console: consoles.virtio.clone(),
            flash: self.flash()?,
            vars: self
                .images
                .vars
                .as_ref()
                .map(|vars| vars.file.clone() as Arc<dyn Store>),
            handed: self.images.handed(),
            events: sender,
        };
        let devices = Devices::new(&self.board, around)?;
        Ok(Machine {
            plan: self,
            devices,
            cpus,
            holds: Arc::new(Holds::new(clock.clone())),
            clock,
            consoles: consoles.clone(),
            events,
            backlog: VecDeque::new(),
            failed: None,
            threads: Vec::new(),
            helpers,
            semihosting: None,
            gdb: None,
            looks: HashMap::new(),
            dead: HashSet::new(),
        })
    }
}

/// Threads whose panics the main thread hears of.
fn helpers(events: Sender<Event>) -> Threads {
    Threads::new(move || {
        // Without a listener the run is over already.
        let _ = events.send(Event::Panicked);
    })
}

/// A machine that exists.
struct Machine<'a> {
    plan: &'a Plan<'a>,
    devices: Devices,
    cpus: Arc<Cpus>,
    clock: Clock,
    /// Who holds it.
    holds: Arc<Holds>,
    consoles: Arc<Consoles>,
    events: Receiver<Event>,
    /// Events that came while the machine was being stopped.
    backlog: VecDeque<Event>,
    /// Why the run cannot go on, where that was found in the middle of an event.
    failed: Option<Error>,
    /// The CPUs' threads.
    threads: Vec<Option<JoinHandle<()>>>,
    /// The threads that serve consoles, clock and devices.
    helpers: Threads,
    semihosting: Option<Arc<Semihosting>>,
    gdb: Option<gdb::Server>,
    /// The latest look at each CPU.
    looks: HashMap<usize, Look>,
    /// Where it was said that something is dead.
    dead: HashSet<plight::Place>,
}

impl Machine<'_> {
    /// Serves a debugger from now on, and says how to start it.
    fn debug(&mut self, listener: gdb::Listener, events: Sender<Event>) -> Result<(), Error> {
        let file = match &self.plan.config.boot {
            Boot::Kernel { .. } | Boot::Debian { .. } => " vmlinux",
            Boot::Firmware { .. } => "",
        };
        let remote = listener.remote();
        let machine = gdb::Machine {
            cpus: self.cpus.clone(),
            holds: self.holds.clone(),
            space: self.devices.space.clone(),
            memory: self.devices.memory.clone(),
            board: self.plan.board.clone(),
            events,
        };
        self.gdb = Some(gdb::Server::start(
            &self.helpers,
            listener,
            machine,
            self.plan.config.gdb_wait,
        )?);
        let waits = if self.plan.config.gdb_wait {
            "; the guest waits"
        } else {
            ""
        };
        log::say(format_args!(
            "to debug, type: gdb-multiarch -ex \"target remote {remote}\"{file}{waits}"
        ));
        Ok(())
    }

    /// Starts the thread of CPU number `cpu`, which is off.
    fn spawn(&mut self, cpu: usize, code: &MachineCode, logs: &Logs, events: Sender<Event>) -> Result<(), Error> {
        let around = CpuWiring {
            cpu,
            cpus: &self.cpus,
            clock: &self.clock,
            private: &|n| self.devices.private_line(cpu, n),
            controller: Some(self.devices.controller()),
            bus: self.devices.space.view(cpu),
            code,
            log: logs.writer(&events),
            semihosting: self.semihosting.clone(),
        };
        let cannot = |e| Error::host("cannot start a virtual CPU", e);
        let vcpu = self.plan.arch.processor(&self.plan.config.cpu, around);
        let mut vcpu = vcpu.map_err(cannot)?;
        let waker = vcpu.waker();
        let cpus = self.cpus.clone();
        let body = move || {
            if let Some(port) = cpus.get(cpu) {
                crate::vcpu::run(cpu, &mut *vcpu, port, &events);
            }
        };
        let thread = thread::Builder::new().name(format!("emu-cpu{cpu}"));
        let handle = thread.spawn(body).map_err(cannot)?;
        if let Some(port) = self.cpus.get(cpu) {
            port.attach(waker, handle.thread().clone());
        }
        self.threads.push(Some(handle));
        Ok(())
    }

    /// Resets every device, writes the images into memory and starts the first CPU. No CPU runs.
    fn power_on(&self) -> Result<(), Error> {
        self.cpus.reset_edges();
        self.devices.reset();
        self.semihosting.iter().for_each(|host| host.reset());
        let placed = self.plan.place(seeds())?;
        for piece in &placed.pieces {
            self.load(piece)?;
        }
        self.load(&Lying {
            address: placed.dtb_address,
            size: placed.dtb.len() as u64,
            bytes: placed.dtb.into(),
        })?;
        if placed.start != Start::Vector {
            self.devices.controller().set_up();
        }
        // The first one last: it may start the others at once.
        let orders = std::iter::once(Order::Start(placed.start)).chain(std::iter::repeat(Order::Reset));
        let all: Vec<_> = self.cpus.iter().zip(orders).collect();
        all.into_iter().rev().for_each(|(port, order)| port.order(order));
        Ok(())
    }

    fn load(&self, piece: &Lying<'_>) -> Result<(), Error> {
        let cannot = |e| Error::host("cannot load the guest's memory", io::Error::other(e));
        let memory = &self.devices.memory;
        memory.write(piece.address, &piece.bytes).map_err(cannot)?;
        let end = piece.address + piece.size;
        let mut at = piece.address + piece.bytes.len() as u64;
        while at < end {
            let count = (end - at).min(ZEROS.len() as u64);
            memory.write(at, ZEROS.split_at(count as usize).0).map_err(cannot)?;
            at += count;
        }
        Ok(())
    }

    /// Follows events until one ends the run.
    fn watch(&mut self) -> Result<Outcome, Error> {
        loop {
            match self.next()? {
                Event::PowerOff => return Ok(Outcome::PoweredOff),
                Event::Exited(status) => return Ok(Outcome::Exited(status)),
                Event::Reset if self.plan.config.no_reboot => return Ok(Outcome::Rebooted),
                Event::Reset => {
                    tracing::info!("the guest reboots");
                    if self.halt() {
                        self.power_on()?;
                    }
                }
                Event::Do(job) => job(self),
                Event::Killed => return Ok(Outcome::Killed),
                Event::Escape => return Ok(Outcome::Escaped),
                Event::Signal(number) => return Ok(Outcome::Signal(number)),
                Event::PowerKey => self.devices.press_power_key(),
                Event::OutputLost => {
                    return Err(Error::host(
                        "cannot go on",
                        io::Error::other("output cannot be written"),
                    ));
                }
                Event::Ended(cpu) => self.join(cpu),
                Event::Panicked => self.go_on_with_panic(),
                Event::Seen(look) => self.note(look),
                Event::Halted(_) => {}
            }
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
        }
    }

    /// The next new event. A user who wants to hear more, and has no debugger, hears of CPUs that are dead: they are looked at
    /// now and then.
    fn new_event(&self) -> Result<Event, RecvError> {
        while self.plan.config.verbose > 0 && self.gdb.is_none() {
            match self.events.recv_timeout(plight::INTERVAL) {
                Ok(event) => return Ok(event),
                Err(RecvTimeoutError::Disconnected) => return Err(RecvError),
                Err(RecvTimeoutError::Timeout) => self.cpus.iter().for_each(|port| port.order(Order::Look)),
            }
        }
        self.events.recv()
    }

    /// Says that a CPU is dead, once at each place, if this look and the one before tell so, or that all are off.
    fn note(&mut self, look: Look) {
        let earlier = self.looks.insert(look.cpu, look.clone());
        let interrupts = self.devices.controller();
        let may_interrupt = |cpu| interrupts.may_interrupt(cpu);
        let dead = earlier.and_then(|earlier| plight::since(&look, &earlier, may_interrupt));
        let all = dead.into_iter().chain(plight::all_off(&self.cpus));
        for dead in all.filter(|dead| self.dead.insert(dead.place)) {
            tracing::info!("{dead}");
        }
    }

    /// Says which CPUs are dead, unless that was said or a debugger may hold them.
    fn say_if_dead(&self) {
        if self.gdb.is_none() {
            let all = plight::at_end(&self.cpus, self.devices.controller(), &self.events);
            let new = all.iter().filter(|dead| !self.dead.contains(&dead.place));
            new.for_each(|dead| log::say(format_args!("{dead}")));
        }
    }

    /// The next event: of those that were left for later, or else a new one.
    fn next(&mut self) -> Result<Event, Error> {
        let event = self.backlog.pop_front().map_or_else(|| self.new_event(), Ok);
        let ended = || io::Error::other("nothing is left that could end the run");
        event.map_err(|_| Error::host("cannot go on", ended()))
    }

    /// Stops every CPU for a reset. False: the user ends the run, which is the next event. All else that comes meanwhile is
    /// kept for later, but for what the guest asked before the reset, which nobody remembers then.
    fn halt(&mut self) -> bool {
        self.cpus.iter().for_each(|port| port.order(Order::Halt));
        self.backlog.retain(|event| !event.is_guests());
        let mut running = self.threads.iter().filter(|thread| thread.is_some()).count();
        while running != 0 {
            match self.events.recv() {
                Ok(Event::Halted(_)) => running -= 1,
                Ok(Event::Ended(cpu)) => {
                    self.join(cpu);
                    running -= 1;
                }
                Ok(Event::Panicked) => self.go_on_with_panic(),
                Ok(event) if event.ends_run() => {
                    self.backlog.push_front(event);
                    return false;
                }
                Ok(event) if event.is_guests() => {}
                // Of a CPU that is being reset.
                Ok(Event::Seen(_)) => {}
                Ok(event) => self.backlog.push_back(event),
                Err(_) => return false,
            }
        }
        true
    }

    /// Ends the CPUs' threads. One that does not come back in time is left behind: the process ends.
    fn end(&mut self) {
        self.cpus.iter().for_each(|port| port.order(Order::End));
        let deadline = Instant::now() + FAREWELL;
        while self.threads.iter().any(Option::is_some) {
            match self.events.recv_deadline(deadline) {
                Ok(Event::Ended(cpu)) => self.join(cpu),
                Ok(Event::Panicked) => self.go_on_with_panic(),
                Ok(_) => {}
                Err(_) => return tracing::warn!("a virtual CPU did not stop"),
            }
        }
    }

    /// Takes leave of an ended thread; a panic there goes on here.
    fn join(&mut self, cpu: usize) {
        let thread = self.threads.get_mut(cpu).and_then(Option::take);
        if let Some(Err(panic)) = thread.map(JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
    }

    /// Goes on with the panic of a thread that serves the machine.
    fn go_on_with_panic(&self) {
        if let Some(panic) = self.helpers.take_panic() {
            std::panic::resume_unwind(panic);
        }
    }

    /// Waits until everything the guest has said is written, however slow the reader. The user may end that.
    fn drain(&self) -> Option<Outcome> {
        let flushed = || self.consoles.flush(DRAIN_STEP);
        while !(flushed() && self.devices.console_is_idle() && flushed()) {
            match self.events.try_recv() {
                Ok(Event::Escape) => return Some(Outcome::Escaped),
                Ok(Event::Signal(number)) => return Some(Outcome::Signal(number)),
                Ok(Event::Panicked) => self.go_on_with_panic(),
                _ => {}
            }
        }
        None
    }
}

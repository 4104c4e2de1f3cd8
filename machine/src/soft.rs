//! vCPUs that the engine runs, interpreting or translating.

use std::ops::RangeInclusive;

use emu_devices::bus::{LoadError, Saved};
use emu_ir::{Bus, Inspect, Span};
use emu_jit::engine::course;
use emu_jit::engine::debug::Watch;
use emu_jit::engine::{Exit, Kick, Vcpu};

use crate::processor::{Course, Plight, Processor, Start, Waker};

/// How many instructions of a CPU that no interrupt gets on are foreseen.
const FORESEEN: usize = 1024;

/// A guest whose CPUs the engine can run in a machine.
pub trait Core: Inspect {
    /// The state at reset, about to start as told; the CPU's own devices hear of it. What it was `before` counts where the
    /// start is none from reset.
    fn start(&mut self, before: &Self::State, how: Start) -> Self::State;
    /// The state for a snapshot.
    fn save(&self, state: &Self::State) -> Saved;
    /// The state from a snapshot; the CPU's own devices hear of it.
    ///
    /// # Errors
    /// [`LoadError`]; nothing has changed then.
    fn load(&mut self, saved: &Saved) -> Result<Self::State, LoadError>;
}

impl Waker for Kick {
    fn set_line(&self, bits: u32, level: bool) {
        Kick::set_line(self, bits, level);
    }
    fn request_exit(&self) {
        Kick::request_exit(self);
    }
    fn written(&self, address: u64, length: u64) {
        self.invalidate(address, length);
    }
    fn remapped(&self) {
        Kick::remapped(self);
    }
}

/// A stop before an access that is watched, for debuggers that expect the access made.
fn after_access<G: Core>(vcpu: &mut Vcpu<G>, exit: Exit) -> Exit {
    if !matches!(exit, Exit::Watchpoint(_)) || !vcpu.guest().watches_after() {
        return exit;
    }
    match vcpu.step_past_watchpoint() {
        Exit::Stepped => exit,
        other => other,
    }
}

impl<G: Core> Processor for Vcpu<G> {
    fn waker(&self) -> Box<dyn Waker> {
        Box::new(self.kick())
    }
    fn start(&mut self, how: Start) {
        let before = *self.state();
        *self.state_mut() = self.guest_mut().start(&before, how);
        self.reset_addresses();
    }
    fn run(&mut self) -> Exit {
        let exit = Vcpu::run(self);
        after_access(self, exit)
    }
    fn step(&mut self, interrupts: bool) -> Exit {
        let exit = Vcpu::step(self, interrupts);
        after_access(self, exit)
    }
    fn wakes(&self) -> bool {
        Vcpu::wakes(self)
    }
    fn pc(&self) -> u64 {
        Vcpu::pc(self)
    }

    fn save(&self) -> Saved {
        self.guest().save(self.state())
    }
    fn load(&mut self, saved: &Saved) -> Result<(), LoadError> {
        *self.state_mut() = self.guest_mut().load(saved)?;
        self.reset_caches();
        Ok(())
    }

    fn description(&self) -> String {
        self.guest().description()
    }
    fn general_registers(&self) -> usize {
        self.guest().general_registers()
    }
    fn register(&mut self, number: usize) -> Option<Vec<u8>> {
        self.inspect(|guest, state, env| guest.register(state, env, number))
    }
    fn set_register(&mut self, number: usize, value: &[u8]) -> Option<()> {
        self.inspect(|guest, state, env| guest.set_register(state, env, number, value))
    }
    fn span(&self, bus: &mut dyn Bus, va: u64) -> Span {
        self.guest().span(self.state(), bus, va)
    }
    fn ranges(&self) -> Vec<RangeInclusive<u64>> {
        self.guest().ranges(self.state())
    }
    fn doing(&self) -> &'static str {
        self.guest().doing(self.state())
    }
    fn show(&self) -> String {
        self.guest().show(self.state())
    }
    fn plight(&mut self) -> Option<Plight> {
        let now = self.guest().plight(self.state())?;
        let stuck = |guest: &G, state: &G::State| guest.plight(state).is_some();
        let (course, seen) = match self.foresee(FORESEEN, stuck) {
            course::Course::Round { lowest, pc } => (Course::Round(pc), self.guest().plight(&lowest)),
            course::Course::Through => (Course::Through, None),
            course::Course::On => (Course::On, None),
        };
        let emu_ir::Plight { words, in_handler } = seen.unwrap_or(now);
        Some(Plight {
            words,
            in_handler,
            course,
        })
    }
    fn set_stops(&mut self, breakpoints: &[u64], watchpoints: &[Watch]) {
        self.set_breakpoints(breakpoints.iter().copied());
        self.set_watchpoints(watchpoints);
    }
}

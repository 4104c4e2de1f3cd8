//! The machine under the debugger: stopped and let go, its memory by virtual address.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::sync::Arc;

use crossbeam::channel::Sender;
use emu_devices::bus::GuestMemory;
use emu_ir::{Bus, RamPage};
use emu_jit::engine::debug::Watch;
use gdbstub::common::{Signal, Tid};
use gdbstub::stub::MultiThreadStopReason;
use gdbstub::target::ext::breakpoints::WatchKind;

use crate::board::Board;
use crate::cpus::{Cpus, Port};
use crate::events::Event;
use crate::hold::{Holder, Holds, Pace, Stopped, Why};
use crate::processor::Processor;
use crate::space::{AddressSpace, SystemMemory};

/// Bytes of the smallest page.
const PAGE: u64 = 0x1000;

/// What the debugger works on.
pub struct Machine {
    /// The vCPUs.
    pub cpus: Arc<Cpus>,
    /// Who holds them, and with them the clock.
    pub holds: Arc<Holds>,
    /// Physical addresses.
    pub space: Arc<AddressSpace>,
    /// RAM, to be written.
    pub memory: SystemMemory,
    /// What is where.
    pub board: Board,
    /// The lifecycle.
    pub events: Sender<Event>,
}

/// The kinds of breakpoint there are at an address.
#[derive(Clone, Copy, Default)]
pub(super) struct Kinds {
    pub(super) software: bool,
    pub(super) hardware: bool,
}

/// The machine under the debugger.
pub struct Debugged {
    pub(super) machine: Machine,
    pub(super) breakpoints: BTreeMap<u64, Kinds>,
    pub(super) watchpoints: Vec<Watch>,
    /// What single CPUs are to do when the machine goes on.
    pub(super) steps: HashMap<usize, Option<(u64, u64)>>,
    /// CPUs without anything to do stay as they are.
    pub(super) locked: bool,
    /// Single steps take interrupts.
    pub(super) step_interrupts: bool,
    pub(super) running: bool,
    /// It was held at its start, and no client has let it go.
    waits: bool,
    pub(super) description: String,
}

impl Debugged {
    /// The machine, which runs, or is held at its start if it `waits`.
    pub fn new(machine: Machine, waits: bool) -> Debugged {
        Debugged {
            machine,
            breakpoints: BTreeMap::new(),
            watchpoints: Vec::new(),
            steps: HashMap::new(),
            locked: false,
            step_interrupts: false,
            running: !waits,
            waits,
            description: String::new(),
        }
    }

    /// Whether the machine runs.
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// Stops every CPU, and the clock.
    pub fn stop_all(&mut self) {
        self.machine.cpus.iter().for_each(|port| port.hold(Holder::Debugger));
        self.machine.cpus.iter().for_each(Port::wait_held);
        self.machine.holds.add(Holder::Debugger);
        self.running = false;
    }

    /// Lets the machine go, as if there had been no debugger.
    pub fn let_go(&mut self) {
        self.stop_all();
        self.forget_client();
        self.go();
    }

    /// The same after a client that said no goodbye: a machine that waits for its first start still does.
    pub fn abandon(&mut self) {
        if self.waits {
            self.forget_client();
        } else {
            self.let_go();
        }
    }

    fn forget_client(&mut self) {
        self.breakpoints.clear();
        self.watchpoints.clear();
        self.step_interrupts = false;
        self.forget_actions();
    }

    pub(super) fn forget_actions(&mut self) {
        self.steps.clear();
        self.locked = false;
    }

    pub(super) fn go(&mut self) {
        let breakpoints: Arc<[u64]> = self.breakpoints.keys().copied().collect();
        let watchpoints: Arc<[Watch]> = self.watchpoints.as_slice().into();
        for port in self.machine.cpus.iter() {
            let (breakpoints, watchpoints) = (breakpoints.clone(), watchpoints.clone());
            // A CPU whose thread has ended needs none.
            let _ = port.ask(move |cpu| cpu.set_stops(&breakpoints, &watchpoints));
        }
        (self.running, self.waits) = (true, false);
        self.machine.holds.remove(Holder::Debugger);
        for (number, port) in self.machine.cpus.iter().enumerate() {
            match self.steps.get(&number) {
                Some(Some(range)) => {
                    let pace = Pace::Step {
                        range: *range,
                        interrupts: self.step_interrupts,
                    };
                    port.release(Holder::Debugger, Some(pace));
                }
                None if self.locked => {}
                Some(None) | None => port.release(Holder::Debugger, Some(Pace::Run)),
            }
        }
    }

    /// What GDB is told of a stop.
    pub fn reason(&self, stopped: Stopped) -> MultiThreadStopReason<u64> {
        let tid = thread(stopped.cpu);
        match stopped.why {
            Why::Breakpoint(at) => match self.breakpoints.get(&at) {
                Some(kinds) if !kinds.software => MultiThreadStopReason::HwBreak(tid),
                _ => MultiThreadStopReason::SwBreak(tid),
            },
            Why::Watchpoint(hit) => MultiThreadStopReason::Watch {
                tid,
                kind: match (hit.watch.reads, hit.watch.writes) {
                    (true, true) => WatchKind::ReadWrite,
                    (true, false) => WatchKind::Read,
                    _ => WatchKind::Write,
                },
                addr: hit.addr,
            },
            Why::Stepped => MultiThreadStopReason::SignalWithThread {
                tid,
                signal: Signal::SIGTRAP,
            },
        }
    }

    /// What GDB is told of an interrupt by its user.
    pub fn interrupted(&self) -> MultiThreadStopReason<u64> {
        MultiThreadStopReason::SignalWithThread {
            tid: thread(0),
            signal: Signal::SIGINT,
        }
    }

    pub(super) fn port(&self, tid: Tid) -> Option<&Port> {
        self.machine.cpus.get(tid.get() - 1)
    }

    /// Has a stopped CPU do something.
    pub(super) fn ask<R: Send + 'static>(
        &self,
        tid: Tid,
        job: impl FnOnce(&mut dyn Processor) -> R + Send + 'static,
    ) -> Option<R> {
        self.port(tid)?.ask(job)
    }

    /// Where `len` bytes at a virtual address are: physical addresses and lengths, as far as they are mapped.
    fn pieces(&self, tid: Tid, va: u64, len: usize) -> Option<Vec<(u64, usize)>> {
        let mut bus = Quiet(self.machine.space.clone());
        self.ask(tid, move |cpu| {
            let mut pieces = Vec::new();
            let mut done = 0;
            while done < len {
                let at = va.wrapping_add(done as u64);
                let here = (len - done).min((PAGE - at % PAGE) as usize);
                let Some(phys) = cpu.physical(&mut bus, at) else { break };
                pieces.push((phys, here));
                done += here;
            }
            pieces
        })
    }

    pub(super) fn read_memory(&self, tid: Tid, va: u64, out: &mut [u8]) -> Option<usize> {
        let mut done = 0;
        for (phys, len) in self.pieces(tid, va, out.len())? {
            let here = out.get_mut(done..done + len);
            if here.and_then(|here| self.machine.space.peek(phys, here)).is_none() {
                break;
            }
            done += len;
        }
        (done != 0 || out.is_empty()).then_some(done)
    }

    /// All of it, or nothing.
    pub(super) fn write_memory(&self, tid: Tid, va: u64, bytes: &[u8]) -> Option<()> {
        let pieces = self.pieces(tid, va, bytes.len())?;
        let memory = &self.machine.memory;
        let all: usize = pieces.iter().map(|p| p.1).sum();
        if all != bytes.len() || !pieces.iter().all(|p| memory.contains(p.0, p.1 as u64)) {
            return None;
        }
        let mut rest = bytes;
        for (phys, len) in pieces {
            let (here, after) = rest.split_at(len);
            memory.write(phys, here).ok()?;
            rest = after;
        }
        Some(())
    }
}

/// The thread that a CPU is to GDB.
pub(super) fn thread(cpu: usize) -> Tid {
    NonZeroUsize::MIN.saturating_add(cpu)
}

/// Physical memory for page walks of the debugger: devices are not asked.
pub(super) struct Quiet(pub Arc<AddressSpace>);

impl Bus for Quiet {
    fn load(&mut self, phys: u64, size: u8) -> Option<u64> {
        let mut bytes = [0; 8];
        self.0.peek(phys, bytes.get_mut(..size.into())?)?;
        Some(u64::from_le_bytes(bytes))
    }
    fn store(&mut self, _: u64, _: u8, _: u64) -> Option<()> {
        None
    }
    fn ram(&mut self, _: u64) -> Option<RamPage<'_>> {
        None
    }
}

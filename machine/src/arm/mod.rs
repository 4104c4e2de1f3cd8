//! An ARM CPU in the machine: generic timers, interrupt inputs, firmware calls, and how it starts.

mod psci;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use emu_devices::bus::{self, Clock, Irq};
use emu_frontend_arm::platform::{Conduit, FirmwareResult, Platform, Timer, TimerOutput};
use emu_frontend_arm::state::mode;
use emu_frontend_arm::sys::timer::program_all;
use emu_frontend_arm::{Arm, Cpu};
use emu_jit::engine::Vcpu;

use crate::cpus::{Cpus, Start};
use psci::Psci;

/// The private interrupts of a CPU's own devices.
pub struct PrivateLines {
    /// Physical timer.
    pub physical: Irq,
    /// Virtual timer.
    pub virt: Irq,
    /// Performance monitors.
    pub pmu: Irq,
}

/// The machine around one ARM CPU.
pub struct ArmPlatform {
    cpu: usize,
    cpus: Arc<Cpus>,
    clock: Clock,
    psci: Psci,
    physical: TimerLine,
    virt: TimerLine,
    pmu: TimerLine,
}

impl ArmPlatform {
    /// For CPU number `cpu` of `cpus`.
    pub fn new(cpu: usize, cpus: &Arc<Cpus>, clock: &Clock, lines: PrivateLines) -> ArmPlatform {
        ArmPlatform {
            cpu,
            cpus: cpus.clone(),
            clock: clock.clone(),
            psci: Psci::new(cpus.clone(), cpu),
            physical: TimerLine::new(clock, lines.physical),
            virt: TimerLine::new(clock, lines.virt),
            pmu: TimerLine::new(clock, lines.pmu),
        }
    }
}

impl Platform for ArmPlatform {
    fn now_ns(&self) -> u64 {
        self.clock.now_ns()
    }

    fn timer(&mut self, which: Timer, output: TimerOutput) {
        let line = match which {
            Timer::Physical => &self.physical,
            Timer::Virtual => &self.virt,
            Timer::Pmu => &self.pmu,
        };
        line.set(output);
    }

    fn pending(&self) -> u32 {
        self.cpus.get(self.cpu).map_or(0, |port| port.lines())
    }

    fn firmware_call(&mut self, _: Conduit, args: [u32; 4]) -> FirmwareResult {
        self.psci.call(args)
    }

    fn cpu_index(&self) -> u32 {
        self.cpu as u32
    }

    fn cpu_count(&self) -> u32 {
        self.cpus.count() as u32
    }
}

/// A timer's interrupt line, and the clock's timer that raises it when its time has come.
struct TimerLine {
    line: Arc<Line>,
    timer: bus::Timer,
}

struct Line {
    irq: Irq,
    /// When the line goes high: a run of the clock's timer that the guest has overtaken must not raise it.
    rises_at: Mutex<Option<u64>>,
}

impl TimerLine {
    fn new(clock: &Clock, irq: Irq) -> TimerLine {
        let line = Arc::new(Line {
            irq,
            rises_at: Mutex::new(None),
        });
        let (due, now) = (line.clone(), clock.clone());
        TimerLine {
            line,
            timer: clock.timer(move || due.rise(now.now_ns())),
        }
    }

    fn set(&self, output: TimerOutput) {
        let at = match output {
            TimerOutput::Low | TimerOutput::High => None,
            TimerOutput::HighAt(at) => Some(at),
        };
        let mut rises_at = self.line.rises_at();
        *rises_at = at;
        self.line.irq.set(output == TimerOutput::High);
        match at {
            Some(at) => self.timer.arm(at),
            None => self.timer.cancel(),
        }
        drop(rises_at);
        self.line.irq.settle();
    }
}

impl Line {
    fn rises_at(&self) -> MutexGuard<'_, Option<u64>> {
        self.rises_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rise(&self, now: u64) {
        let mut rises_at = self.rises_at();
        if rises_at.is_some_and(|at| at <= now) {
            *rises_at = None;
            self.irq.set(true);
        }
        drop(rises_at);
        self.irq.settle();
    }
}

/// Resets a CPU and lets it start: Supervisor mode, interrupts masked, MMU and caches off.
pub fn start(vcpu: &mut Vcpu<Arm>, how: Start) {
    let arm = vcpu.guest_mut();
    let mut cpu = Cpu::reset(arm.model);
    if let Start::At { pc, args } = how {
        cpu.r[15] = pc as u32 & !1;
        if pc & 1 != 0 {
            cpu.mode |= mode::T;
        }
        for (register, value) in cpu.r.iter_mut().zip(args) {
            *register = value as u32;
        }
    }
    program_all(&mut cpu, &mut *arm.platform);
    *vcpu.state_mut() = cpu;
    vcpu.reset_caches();
}

#[cfg(test)]
mod tests {
    use super::*;
    use emu_devices::bus::{Lines, Wiring};

    fn timer_line(clock: &Clock) -> (TimerLine, Irq) {
        let irq = Lines::new(&Wiring::new(), 1).irq(0);
        (TimerLine::new(clock, irq.clone()), irq)
    }

    #[test]
    fn a_timer_raises_its_line_when_its_time_has_come() {
        let clock = Clock::manual(0);
        let (timer, irq) = timer_line(&clock);

        timer.set(TimerOutput::HighAt(100));
        clock.advance(99);
        assert!(!irq.level());
        clock.advance(1);
        assert!(irq.level());

        timer.set(TimerOutput::HighAt(200));
        assert!(!irq.level());
        timer.set(TimerOutput::High);
        assert!(irq.level());
        timer.set(TimerOutput::Low);
        clock.advance(1000);
        assert!(!irq.level());
    }

    #[test]
    fn a_run_that_was_overtaken_raises_nothing() {
        let clock = Clock::manual(0);
        let (timer, irq) = timer_line(&clock);
        timer.set(TimerOutput::HighAt(100));

        timer.set(TimerOutput::HighAt(500));
        timer.line.rise(100);
        assert!(!irq.level());
        timer.set(TimerOutput::Low);
        timer.line.rise(600);
        assert!(!irq.level());
    }
}

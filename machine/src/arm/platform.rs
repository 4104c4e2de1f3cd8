//! The machine around an ARM CPU: generic timers, interrupt inputs, firmware calls.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use emu_devices::bus::misuse::{self, Misuse};
use emu_devices::bus::{self, Clock, Irq};
use emu_frontend_arm::platform::{
    Conduit, FirmwareResult, GicInterface, Platform, SemihostingResult, Timer, TimerOutput,
};

use emu_ir::Stop;
use rustix::rand::{GetRandomFlags, getrandom};

use super::gic::Interface;
use super::private;
use super::psci::{Answer, Call, Psci};
use crate::arch::CpuWiring;
use crate::cpus::Cpus;
use crate::semihosting::{Caller, Done, Semihosting};

/// The machine around one ARM CPU.
pub struct ArmPlatform {
    cpu: usize,
    cpus: Arc<Cpus>,
    clock: Clock,
    psci: Psci,
    semihosting: Option<Arc<Semihosting>>,
    gic: Option<Interface>,
    physical: TimerLine,
    virt: TimerLine,
    pmu: TimerLine,
}

impl ArmPlatform {
    /// For the CPU that is wired so.
    pub fn new(around: &CpuWiring) -> ArmPlatform {
        let timer = |n| TimerLine::new(around.clock, (around.private)(n));
        ArmPlatform {
            cpu: around.cpu,
            cpus: around.cpus.clone(),
            clock: around.clock.clone(),
            psci: Psci::new(around.cpus.clone(), around.cpu),
            semihosting: around.semihosting.clone(),
            gic: Interface::of(around),
            physical: timer(private::PHYSICAL_TIMER),
            virt: timer(private::VIRTUAL_TIMER),
            pmu: timer(private::PMU),
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

    fn gic(&self) -> Option<&dyn GicInterface> {
        self.gic.as_ref().map(|gic| gic as &dyn GicInterface)
    }

    fn firmware_call(&mut self, _: Conduit, args: [u64; 4], wide: bool) -> FirmwareResult {
        match self.psci.call(Call::new(args, wide)) {
            Answer::Return(result) => FirmwareResult::Return([result, args[1], args[2], args[3]]),
            Answer::Stop(why) => {
                if why == Stop::CpuOff {
                    self.gic.iter().for_each(Interface::switch_off);
                }
                FirmwareResult::Stop(why)
            }
        }
    }

    fn semihosting(
        &mut self,
        args: [u64; 2],
        wide: bool,
        physical: &mut dyn FnMut(u64) -> Option<u64>,
    ) -> SemihostingResult {
        let Some(host) = &self.semihosting else {
            return SemihostingResult::Return(u64::MAX);
        };
        let mut caller = Caller {
            cpu: self.cpu,
            wide,
            physical,
        };
        match host.call(args, &mut caller) {
            Done::Return(value) => SemihostingResult::Return(value),
            Done::Wait => SemihostingResult::Wait,
            Done::Exit => SemihostingResult::Stop(Stop::CpuOff),
        }
    }

    fn cpu_index(&self) -> u32 {
        self.cpu as u32
    }

    fn cpu_count(&self) -> u32 {
        self.cpus.count() as u32
    }

    fn random(&mut self) -> Option<u64> {
        let mut bytes = [0; 8];
        let got = getrandom(&mut bytes, GetRandomFlags::NONBLOCK).ok()?;
        (got == bytes.len()).then_some(u64::from_le_bytes(bytes))
    }

    fn uncounted(&mut self, event: u32) {
        let what = Misuse::BadValue("no such event is counted: it reads as zero");
        misuse::report("performance monitors, event", what, event.into(), 0);
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
        self.timer.set(at);
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

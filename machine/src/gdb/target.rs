//! The machine as the GDB stub sees it: a process whose threads are the vCPUs, number 1 being CPU 0.

use std::convert::Infallible;
use std::num::NonZeroUsize;

use emu_jit::engine::debug::Watch;
use gdbstub::arch::{self, Arch};
use gdbstub::common::{Signal, Tid};
use gdbstub::target::ext::base::BaseOps;
use gdbstub::target::ext::base::multithread::{
    MultiThreadBase, MultiThreadRangeStepping, MultiThreadRangeSteppingOps, MultiThreadResume, MultiThreadResumeOps,
    MultiThreadSchedulerLocking, MultiThreadSchedulerLockingOps, MultiThreadSingleStep, MultiThreadSingleStepOps,
};
use gdbstub::target::ext::base::single_register_access::{SingleRegisterAccess, SingleRegisterAccessOps};
use gdbstub::target::ext::breakpoints::{
    Breakpoints, BreakpointsOps, HwBreakpoint, HwBreakpointOps, HwWatchpoint, HwWatchpointOps, SwBreakpoint,
    SwBreakpointOps, WatchKind,
};
use gdbstub::target::ext::monitor_cmd::{ConsoleOutput, MonitorCmd, MonitorCmdOps};
use gdbstub::target::ext::target_description_xml_override::{
    TargetDescriptionXmlOverride, TargetDescriptionXmlOverrideOps,
};
use gdbstub::target::ext::thread_extra_info::{ThreadExtraInfo, ThreadExtraInfoOps};
use gdbstub::target::{Target, TargetError, TargetResult};

use super::debugged::{Debugged, Kinds, thread};
use super::monitor;
use crate::cpus::Power;

/// Most breakpoints at once, and most watchpoints.
const MOST: (usize, usize) = (1000, 100);
/// Error numbers as GDB shows them: Linux's.
mod errno {
    pub const ESRCH: u8 = 3;
    pub const EFAULT: u8 = 14;
    pub const EINVAL: u8 = 22;
    pub const ENOSPC: u8 = 28;
}

/// Any guest to the stub: addresses of up to 64 bits, registers as bytes by number. What they are, the target description
/// says.
pub enum AnyGuest {}

/// The general registers, one after the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Registers(Vec<u8>);

impl arch::Registers for Registers {
    type ProgramCounter = u64;

    fn pc(&self) -> u64 {
        // Of use only to targets with breakpoints in memory.
        0
    }

    fn gdb_serialize(&self, write_byte: impl FnMut(Option<u8>)) {
        self.0.iter().copied().map(Some).for_each(write_byte);
    }

    fn gdb_deserialize(&mut self, bytes: &[u8]) -> Result<(), ()> {
        self.0 = bytes.to_vec();
        Ok(())
    }
}

/// A register's number.
#[derive(Debug)]
pub struct RegisterNumber(usize);

impl arch::RegId for RegisterNumber {
    fn from_raw_id(id: usize) -> Option<(Self, Option<NonZeroUsize>)> {
        Some((RegisterNumber(id), None))
    }
}

impl Arch for AnyGuest {
    type Usize = u64;
    type Registers = Registers;
    type BreakpointKind = usize;
    type RegId = RegisterNumber;
}

impl Target for Debugged {
    type Arch = AnyGuest;
    type Error = Infallible;

    fn base_ops(&mut self) -> BaseOps<'_, AnyGuest, Infallible> {
        BaseOps::MultiThread(self)
    }
    fn use_fork_stop_reason(&self) -> bool {
        false
    }
    fn use_vfork_stop_reason(&self) -> bool {
        false
    }
    fn use_vforkdone_stop_reason(&self) -> bool {
        false
    }
    fn support_breakpoints(&mut self) -> Option<BreakpointsOps<'_, Self>> {
        Some(self)
    }
    fn support_monitor_cmd(&mut self) -> Option<MonitorCmdOps<'_, Self>> {
        Some(self)
    }
    fn support_target_description_xml_override(&mut self) -> Option<TargetDescriptionXmlOverrideOps<'_, Self>> {
        if self.description.is_empty()
            && let Some(text) = self.ask(thread(0), |cpu| cpu.description())
        {
            self.description = text;
        }
        Some(self)
    }
}

impl MultiThreadBase for Debugged {
    fn read_registers(&mut self, registers: &mut Registers, tid: Tid) -> TargetResult<(), Self> {
        let all = self.ask(tid, |cpu| {
            let numbers = 0..cpu.general_registers();
            numbers.filter_map(|n| cpu.register(n)).flatten().collect()
        });
        registers.0 = all.ok_or(TargetError::Errno(errno::ESRCH))?;
        Ok(())
    }

    fn write_registers(&mut self, registers: &Registers, tid: Tid) -> TargetResult<(), Self> {
        let mut rest = registers.0.clone();
        let done = self.ask(tid, move |cpu| {
            for n in 0..cpu.general_registers() {
                let size = cpu.register(n)?.len();
                let after = (size <= rest.len()).then(|| rest.split_off(size))?;
                cpu.set_register(n, &rest)?;
                rest = after;
            }
            Some(())
        });
        done.flatten().ok_or(TargetError::Errno(errno::EINVAL))
    }

    fn support_single_register_access(&mut self) -> Option<SingleRegisterAccessOps<'_, Tid, Self>> {
        Some(self)
    }

    fn read_addrs(&mut self, start: u64, data: &mut [u8], tid: Tid) -> TargetResult<usize, Self> {
        let done = self.read_memory(tid, start, data);
        done.ok_or(TargetError::Errno(errno::EFAULT))
    }

    fn write_addrs(&mut self, start: u64, data: &[u8], tid: Tid) -> TargetResult<(), Self> {
        let done = self.write_memory(tid, start, data);
        done.ok_or(TargetError::Errno(errno::EFAULT))
    }

    fn list_active_threads(&mut self, report: &mut dyn FnMut(Tid)) -> Result<(), Infallible> {
        (0..self.machine.cpus.count()).map(thread).for_each(report);
        Ok(())
    }

    fn support_resume(&mut self) -> Option<MultiThreadResumeOps<'_, Self>> {
        Some(self)
    }

    fn support_thread_extra_info(&mut self) -> Option<ThreadExtraInfoOps<'_, Self>> {
        Some(self)
    }
}

impl SingleRegisterAccess<Tid> for Debugged {
    fn read_register(&mut self, tid: Tid, number: RegisterNumber, out: &mut [u8]) -> TargetResult<usize, Self> {
        let value = self.ask(tid, move |cpu| cpu.register(number.0)).flatten();
        let value = value.ok_or(TargetError::Errno(errno::EINVAL))?;
        let room = out.get_mut(..value.len()).ok_or(TargetError::Errno(errno::ENOSPC))?;
        room.copy_from_slice(&value);
        Ok(value.len())
    }

    fn write_register(&mut self, tid: Tid, number: RegisterNumber, value: &[u8]) -> TargetResult<(), Self> {
        let value = value.to_vec();
        let done = self.ask(tid, move |cpu| cpu.set_register(number.0, &value));
        done.flatten().ok_or(TargetError::Errno(errno::EINVAL))
    }
}

/// As many of `bytes` as there is room for; how many that was.
fn fill<'a>(room: &mut [u8], bytes: impl IntoIterator<Item = &'a u8>) -> usize {
    room.iter_mut().zip(bytes).map(|(to, from)| *to = *from).count()
}

impl ThreadExtraInfo for Debugged {
    fn thread_extra_info(&self, tid: Tid, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let number = tid.get() - 1;
        let off = self.port(tid).is_none_or(|port| port.power() != Power::On);
        let doing = if off {
            Some("off")
        } else {
            self.ask(tid, |cpu| cpu.doing())
        };
        let text = format!("CPU {number}: {}", doing.unwrap_or("running"));
        Ok(fill(buffer, text.as_bytes()))
    }
}

impl MultiThreadResume for Debugged {
    fn resume(&mut self) -> Result<(), Infallible> {
        // Who asks twice is told once of the stop.
        if !self.running {
            self.go();
        }
        Ok(())
    }

    fn clear_resume_actions(&mut self) -> Result<(), Infallible> {
        self.forget_actions();
        Ok(())
    }

    fn set_resume_action_continue(&mut self, tid: Tid, _: Option<Signal>) -> Result<(), Infallible> {
        self.steps.insert(tid.get() - 1, None);
        Ok(())
    }

    fn support_single_step(&mut self) -> Option<MultiThreadSingleStepOps<'_, Self>> {
        Some(self)
    }

    fn support_range_step(&mut self) -> Option<MultiThreadRangeSteppingOps<'_, Self>> {
        Some(self)
    }

    fn support_scheduler_locking(&mut self) -> Option<MultiThreadSchedulerLockingOps<'_, Self>> {
        Some(self)
    }
}

impl MultiThreadSingleStep for Debugged {
    fn set_resume_action_step(&mut self, tid: Tid, _: Option<Signal>) -> Result<(), Infallible> {
        self.steps.insert(tid.get() - 1, Some((0, 0)));
        Ok(())
    }
}

impl MultiThreadRangeStepping for Debugged {
    fn set_resume_action_range_step(&mut self, tid: Tid, start: u64, end: u64) -> Result<(), Infallible> {
        self.steps.insert(tid.get() - 1, Some((start, end)));
        Ok(())
    }
}

impl MultiThreadSchedulerLocking for Debugged {
    fn set_resume_action_scheduler_lock(&mut self) -> Result<(), Infallible> {
        self.locked = true;
        Ok(())
    }
}

impl Breakpoints for Debugged {
    fn support_sw_breakpoint(&mut self) -> Option<SwBreakpointOps<'_, Self>> {
        Some(self)
    }
    fn support_hw_breakpoint(&mut self) -> Option<HwBreakpointOps<'_, Self>> {
        Some(self)
    }
    fn support_hw_watchpoint(&mut self) -> Option<HwWatchpointOps<'_, Self>> {
        Some(self)
    }
}

impl Debugged {
    fn add(&mut self, addr: u64, mark: fn(&mut Kinds) -> &mut bool) -> TargetResult<bool, Self> {
        if self.breakpoints.len() >= MOST.0 && !self.breakpoints.contains_key(&addr) {
            return Err(TargetError::Errno(errno::ENOSPC));
        }
        *mark(self.breakpoints.entry(addr).or_default()) = true;
        Ok(true)
    }

    fn remove(&mut self, addr: u64, mark: fn(&mut Kinds) -> &mut bool) -> TargetResult<bool, Self> {
        let Some(kinds) = self.breakpoints.get_mut(&addr) else {
            return Ok(false);
        };
        let there = std::mem::replace(mark(kinds), false);
        if !kinds.software && !kinds.hardware {
            self.breakpoints.remove(&addr);
        }
        Ok(there)
    }
}

impl SwBreakpoint for Debugged {
    fn add_sw_breakpoint(&mut self, addr: u64, _: usize) -> TargetResult<bool, Self> {
        self.add(addr, |kinds| &mut kinds.software)
    }
    fn remove_sw_breakpoint(&mut self, addr: u64, _: usize) -> TargetResult<bool, Self> {
        self.remove(addr, |kinds| &mut kinds.software)
    }
}

impl HwBreakpoint for Debugged {
    fn add_hw_breakpoint(&mut self, addr: u64, _: usize) -> TargetResult<bool, Self> {
        self.add(addr, |kinds| &mut kinds.hardware)
    }
    fn remove_hw_breakpoint(&mut self, addr: u64, _: usize) -> TargetResult<bool, Self> {
        self.remove(addr, |kinds| &mut kinds.hardware)
    }
}

fn watch(start: u64, len: u64, kind: WatchKind) -> Watch {
    Watch {
        start,
        len,
        reads: kind != WatchKind::Write,
        writes: kind != WatchKind::Read,
    }
}

impl HwWatchpoint for Debugged {
    fn add_hw_watchpoint(&mut self, addr: u64, len: u64, kind: WatchKind) -> TargetResult<bool, Self> {
        if len == 0 || addr.checked_add(len).is_none() {
            return Ok(false);
        }
        if self.watchpoints.len() >= MOST.1 {
            return Err(TargetError::Errno(errno::ENOSPC));
        }
        self.watchpoints.push(watch(addr, len, kind));
        Ok(true)
    }
    fn remove_hw_watchpoint(&mut self, addr: u64, len: u64, kind: WatchKind) -> TargetResult<bool, Self> {
        let wanted = watch(addr, len, kind);
        let at = self.watchpoints.iter().position(|w| *w == wanted);
        Ok(at.map(|at| self.watchpoints.remove(at)).is_some())
    }
}

impl MonitorCmd for Debugged {
    fn handle_monitor_cmd(&mut self, command: &[u8], mut out: ConsoleOutput<'_>) -> Result<(), Infallible> {
        out.write_raw(monitor::answer(self, &String::from_utf8_lossy(command)).as_bytes());
        Ok(())
    }
}

impl TargetDescriptionXmlOverride for Debugged {
    fn target_description_xml(
        &self,
        annex: &[u8],
        offset: u64,
        length: usize,
        out: &mut [u8],
    ) -> TargetResult<usize, Self> {
        if annex != b"target.xml" {
            return Err(TargetError::Errno(errno::EINVAL));
        }
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|at| self.description.as_bytes().get(at..));
        let rest = rest.unwrap_or_default().iter().take(length);
        Ok(fill(out, rest))
    }
}

//! Firmware calls of the board: PSCI 1.0 (Arm DEN 0022D) by the SMC calling convention 1.1 (Arm DEN 0028B).

use std::sync::Arc;

use emu_frontend_arm::platform::numbered;
use emu_ir::Stop;

use crate::cpus::{Cpus, Port, Power};
use crate::processor::Start;

/// PSCI_VERSION: 1.0.
const VERSION: u64 = 1 << 16;
/// SMCCC_VERSION: 1.1.
const SMCCC_VERSION: u64 = 1 << 16 | 1;
/// MIGRATE_INFO_TYPE: there is no Trusted OS to migrate.
const NO_TRUSTED_OS: u64 = 2;
/// CPU_SUSPEND's power state: what is neither the state's number nor its type must be zero (5.4.2, original format).
const POWER_STATE_RESERVED: u64 = 0xfcfe_0000;
/// The bit of a function's identifier that says that it takes 64-bit arguments (DEN 0028B, 2.5).
const SMC64: u32 = 1 << 30;

/// Return codes (5.2.2), as signed numbers of the registers' width.
mod code {
    pub const SUCCESS: u64 = 0;
    pub const NOT_SUPPORTED: u64 = -1i64 as u64;
    pub const INVALID_PARAMETERS: u64 = -2i64 as u64;
    pub const ALREADY_ON: u64 = -4i64 as u64;
    pub const ON_PENDING: u64 = -5i64 as u64;
}

/// A call: the function, and what the argument registers hold. A function of the SMC32 convention sees their low halves.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// The function's identifier.
    id: u32,
    args: [u64; 3],
    /// The CPU has 64-bit registers: it may call functions of the SMC64 convention.
    wide: bool,
}

impl Call {
    /// With the first four registers of a CPU in AArch64 state (`wide`) or AArch32 state; the identifier is 32 bits of the
    /// first.
    pub fn new([id, args @ ..]: [u64; 4], wide: bool) -> Call {
        let id = id as u32;
        let seen = if id & SMC64 == 0 { 0xffff_ffff } else { u64::MAX };
        let args = args.map(|arg| arg & seen);
        Call { id, args, wide }
    }
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It returns this in the first register; the other arguments are kept. Of SMC32 functions the low half counts.
    Return(u64),
    /// The CPU stops.
    Stop(Stop),
}

/// A function that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    SmcccVersion,
    SmcccArchFeatures,
    PsciVersion,
    CpuSuspend,
    CpuOff,
    CpuOn,
    AffinityInfo,
    MigrateInfoType,
    SystemOff,
    SystemReset,
    PsciFeatures,
}

/// Function identifiers. Those of PSCI 0.1 are a platform's to choose: QEMU's numbers, which guests for its board have.
const FUNCTIONS: &[(u32, Function)] = &[
    (0x8000_0000, Function::SmcccVersion),
    (0x8000_0001, Function::SmcccArchFeatures),
    (0x8400_0000, Function::PsciVersion),
    (0x8400_0001, Function::CpuSuspend),
    (0x8400_0002, Function::CpuOff),
    (0x8400_0003, Function::CpuOn),
    (0x8400_0004, Function::AffinityInfo),
    (0x8400_0006, Function::MigrateInfoType),
    (0x8400_0008, Function::SystemOff),
    (0x8400_0009, Function::SystemReset),
    (0x8400_000a, Function::PsciFeatures),
    (0xc400_0001, Function::CpuSuspend),
    (0xc400_0003, Function::CpuOn),
    (0xc400_0004, Function::AffinityInfo),
    (0x95c1_ba5e, Function::CpuSuspend),
    (0x95c1_ba5f, Function::CpuOff),
    (0x95c1_ba60, Function::CpuOn),
];

/// The function of this identifier, if a CPU of this width can call it.
fn find(id: u32, wide: bool) -> Option<Function> {
    let row = FUNCTIONS.iter().find(|row| row.0 == id && (wide || id & SMC64 == 0));
    row.map(|row| row.1)
}

/// The firmware as one CPU calls it.
pub struct Psci {
    cpus: Arc<Cpus>,
    cpu: usize,
}

impl Psci {
    /// The firmware for CPU number `cpu` of `cpus`.
    pub fn new(cpus: Arc<Cpus>, cpu: usize) -> Psci {
        Psci { cpus, cpu }
    }

    /// Does what is asked.
    pub fn call(&self, call: Call) -> Answer {
        let [a, b, c] = call.args;
        Answer::Return(match find(call.id, call.wide) {
            None => code::NOT_SUPPORTED,
            Some(Function::SystemOff) => return Answer::Stop(Stop::PowerOff),
            Some(Function::SystemReset) => return Answer::Stop(Stop::Reset),
            Some(Function::CpuOff) => return Answer::Stop(Stop::CpuOff),
            Some(Function::SmcccVersion) => SMCCC_VERSION,
            Some(Function::SmcccArchFeatures) => smccc_feature(a as u32, call.wide),
            Some(Function::PsciVersion) => VERSION,
            Some(Function::CpuSuspend) => self.cpu_suspend(a),
            Some(Function::CpuOn) => self.cpu_on(a, b, c),
            Some(Function::AffinityInfo) => self.affinity_info(a, b),
            Some(Function::MigrateInfoType) => NO_TRUSTED_OS,
            Some(Function::PsciFeatures) => feature(a as u32, call.wide),
        })
    }

    /// CPU_SUSPEND (5.4): every state, powered down or not, is a wait for an interrupt that returns, as 5.4.1 allows.
    fn cpu_suspend(&self, power_state: u64) -> u64 {
        if power_state & POWER_STATE_RESERVED != 0 {
            return code::INVALID_PARAMETERS;
        }
        if let Some(port) = self.cpus.get(self.cpu) {
            port.enter_standby();
        }
        code::SUCCESS
    }

    /// The CPU with these affinities.
    fn target(&self, affinity: u64) -> Option<&Port> {
        self.cpus.get(numbered(affinity)? as usize)
    }

    /// CPU_ON (5.6): the CPU starts at `entry` with `context` in its first register.
    fn cpu_on(&self, target: u64, entry: u64, context: u64) -> u64 {
        let Some(port) = self.target(target) else {
            return code::INVALID_PARAMETERS;
        };
        let start = Start::At {
            pc: entry,
            args: [context, 0, 0],
        };
        match port.power_on(start) {
            Ok(()) => code::SUCCESS,
            Err(Power::Starting) => code::ON_PENDING,
            Err(Power::On | Power::Off) => code::ALREADY_ON,
        }
    }

    /// AFFINITY_INFO (5.7). A cluster is on as long as the machine is.
    fn affinity_info(&self, target: u64, lowest_level: u64) -> u64 {
        match (lowest_level, self.target(target)) {
            (0, Some(port)) => port.power() as u64,
            (1..=3, _) => Power::On as u64,
            _ => code::INVALID_PARAMETERS,
        }
    }
}

/// PSCI_FEATURES (5.15): whether a function exists; none has flags (CPU_SUSPEND: original format, no OS initiated mode).
fn feature(id: u32, wide: bool) -> u64 {
    match find(id, wide) {
        Some(Function::SmcccArchFeatures) | None => code::NOT_SUPPORTED,
        Some(_) => code::SUCCESS,
    }
}

/// SMCCC_ARCH_FEATURES (DEN 0028B, 7.3): the convention's own functions exist; no workaround is needed or offered.
fn smccc_feature(id: u32, wide: bool) -> u64 {
    match find(id, wide) {
        Some(Function::SmcccVersion | Function::SmcccArchFeatures) => code::SUCCESS,
        _ => code::NOT_SUPPORTED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpus::Order;

    /// The firmware of CPU 0 of two; CPU 0 runs.
    fn psci() -> Psci {
        let cpus = Arc::new(Cpus::new(2, |_| 1));
        cpus.get(0).unwrap().set_power(Power::On);
        Psci::new(cpus, 0)
    }

    fn narrow(args: [u32; 4]) -> Call {
        Call::new(args.map(u64::from), false)
    }

    fn wide(args: [u64; 4]) -> Call {
        Call::new(args, true)
    }

    fn result(psci: &Psci, args: [u32; 4]) -> i32 {
        match psci.call(narrow(args)) {
            Answer::Return(result) => result as i32,
            other => panic!("{args:x?}: {other:?}"),
        }
    }

    #[test]
    fn versions_and_features() {
        let psci = psci();

        assert_eq!(result(&psci, [0x8400_0000, 1, 2, 3]), 0x1_0000);
        assert_eq!(result(&psci, [0x8000_0000, 0, 0, 0]), 0x1_0001);
        assert_eq!(result(&psci, [0x8400_0006, 0, 0, 0]), 2);
        assert_eq!(result(&psci, [0x8400_000a, 0x8400_0003, 0, 0]), 0);
        assert_eq!(result(&psci, [0x8400_000a, 0x8000_0000, 0, 0]), 0);
        assert_eq!(result(&psci, [0x8400_000a, 0x8400_0012, 0, 0]), -1);
        assert_eq!(result(&psci, [0x8000_0001, 0x8000_8000, 0, 0]), -1);
    }

    #[test]
    fn unknown_calls_are_not_supported() {
        let psci = psci();

        for id in [0, 0x8400_0005, 0x8400_0007, 0x8400_0014, 0xc400_0003, u32::MAX] {
            assert_eq!(result(&psci, [id, 1, 2, 3]), -1, "{id:#x}");
        }
    }

    #[test]
    fn every_identifier_has_an_answer_of_all_the_register() {
        let psci = psci();
        let known = |id: u32| FUNCTIONS.iter().any(|row| row.0 == id);
        let ids = [0x8000_0000, 0x8400_0000, 0xc000_0000, 0xc400_0000].into_iter();
        for id in ids.flat_map(|first: u32| first..first + 0x20).filter(|&id| !known(id)) {
            let answer = psci.call(wide([id.into(), 1, 2, 3]));
            assert_eq!(answer, Answer::Return(u64::MAX), "{id:#x}");
            let feature = psci.call(wide([0x8400_000a, id.into(), 0, 0]));
            assert_eq!(feature, Answer::Return(u64::MAX), "{id:#x}");
        }
    }

    #[test]
    fn the_guest_ends_its_machine_or_its_cpu() {
        let psci = psci();

        let stops = [0x8400_0008, 0x8400_0009, 0x8400_0002, 0x95c1_ba5f].map(|id| psci.call(narrow([id, 0, 0, 0])));

        let expected = [Stop::PowerOff, Stop::Reset, Stop::CpuOff, Stop::CpuOff];
        assert_eq!(stops, expected.map(Answer::Stop));
    }

    #[test]
    fn a_cpu_is_started_with_its_context() {
        let psci = psci();

        assert_eq!(result(&psci, [0x8400_0004, 1, 0, 0]), 1);
        assert_eq!(result(&psci, [0x8400_0003, 1, 0x8001, 7]), 0);

        let start = Start::At {
            pc: 0x8001,
            args: [7, 0, 0],
        };
        assert_eq!(psci.cpus.get(1).unwrap().next_order(), Some(Order::Start(start)));
        assert_eq!(result(&psci, [0x8400_0004, 1, 0, 0]), 2);
        assert_eq!(result(&psci, [0x8400_0003, 1, 0, 0]), -5);
        assert_eq!(result(&psci, [0x95c1_ba60, 0, 0, 0]), -4);
        assert_eq!(result(&psci, [0x8400_0003, 2, 0, 0]), -2);
        assert_eq!(result(&psci, [0x8400_0004, 2, 0, 0]), -2);
        assert_eq!(result(&psci, [0x8400_0004, 2, 4, 0]), -2);
    }

    #[test]
    fn cpus_go_by_their_affinities() {
        let cpus = Arc::new(Cpus::new(20, |_| 1));
        cpus.get(16).unwrap().set_power(Power::On);
        let psci = Psci::new(cpus, 16);

        assert_eq!(result(&psci, [0x8400_0004, 0x100, 0, 0]), 0, "number 16");
        assert_eq!(result(&psci, [0x8400_0004, 16, 0, 0]), -2);
        assert_eq!(result(&psci, [0x8400_0003, 0x103, 0x8000, 0]), 0);
        assert_eq!(psci.cpus.get(19).unwrap().power(), Power::Starting);
        assert_eq!(result(&psci, [0x8400_0003, 0x104, 0x8000, 0]), -2);
        // Affinities 2 and 3, and bits that are of no affinity.
        for bit in [16, 24, 31, 32, 40, 63] {
            let target = 1 << bit | 0x103;
            for id in [0xc400_0003, 0xc400_0004] {
                let answer = psci.call(wide([id, target, 0, 0]));
                assert_eq!(answer, Answer::Return(-2i64 as u64), "{id:#x} {target:#x}");
            }
        }
    }

    #[test]
    fn suspending_is_waiting() {
        let psci = psci();

        assert_eq!(result(&psci, [0x8400_0001, 0x8000_0000, 0, 0]), -2);
        assert!(!psci.cpus.get(0).unwrap().take_standby());
        assert_eq!(result(&psci, [0x8400_0001, 1 << 16, 0, 0]), 0);
        assert!(psci.cpus.get(0).unwrap().take_standby());
    }

    #[test]
    fn functions_with_64_bit_arguments_are_for_cpus_that_have_them() {
        let psci = psci();
        let entry = 0x12_3456_7890;

        assert_eq!(result(&psci, [0xc400_0003, 1, 0x8000, 7]), -1);
        let started = psci.call(wide([0xffff_ffff_c400_0003, 1, entry, u64::MAX]));

        assert_eq!(started, Answer::Return(0));
        let start = Start::At {
            pc: entry,
            args: [u64::MAX, 0, 0],
        };
        assert_eq!(psci.cpus.get(1).unwrap().next_order(), Some(Order::Start(start)));
        assert_eq!(psci.call(wide([0xc400_0004, 1, 0, 0])), Answer::Return(2));
        assert_eq!(psci.call(wide([0xc400_0008, 0, 0, 0])), Answer::Return(-1i64 as u64));
    }

    #[test]
    fn functions_with_32_bit_arguments_see_the_low_halves() {
        let psci = psci();

        let started = psci.call(wide([0x8400_0003, 1 << 32 | 1, 5 << 32 | 0x8000, 6 << 32 | 7]));

        assert_eq!(started, Answer::Return(0));
        let start = Start::At {
            pc: 0x8000,
            args: [7, 0, 0],
        };
        assert_eq!(psci.cpus.get(1).unwrap().next_order(), Some(Order::Start(start)));
    }
}

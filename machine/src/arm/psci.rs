//! Firmware calls of the board: PSCI 1.0 (Arm DEN 0022D) by the SMC calling convention 1.1 (Arm DEN 0028B).

use std::sync::Arc;

use emu_frontend_arm::platform::FirmwareResult;
use emu_ir::Stop;

use crate::cpus::{Cpus, Power, Start};

/// PSCI_VERSION: 1.0.
const VERSION: u32 = 1 << 16;
/// SMCCC_VERSION: 1.1.
const SMCCC_VERSION: u32 = 1 << 16 | 1;
/// MIGRATE_INFO_TYPE: there is no Trusted OS to migrate.
const NO_TRUSTED_OS: u32 = 2;
/// CPU_SUSPEND's power state: what is neither the state's number nor its type must be zero (5.4.2, original format).
const POWER_STATE_RESERVED: u32 = 0xfcfe_0000;

/// Return codes (5.2.2).
mod code {
    pub const SUCCESS: u32 = 0;
    pub const NOT_SUPPORTED: u32 = -1i32 as u32;
    pub const INVALID_PARAMETERS: u32 = -2i32 as u32;
    pub const ALREADY_ON: u32 = -4i32 as u32;
    pub const ON_PENDING: u32 = -5i32 as u32;
}

/// A function that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
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
const CALLS: &[(u32, Call)] = &[
    (0x8000_0000, Call::SmcccVersion),
    (0x8000_0001, Call::SmcccArchFeatures),
    (0x8400_0000, Call::PsciVersion),
    (0x8400_0001, Call::CpuSuspend),
    (0x8400_0002, Call::CpuOff),
    (0x8400_0003, Call::CpuOn),
    (0x8400_0004, Call::AffinityInfo),
    (0x8400_0006, Call::MigrateInfoType),
    (0x8400_0008, Call::SystemOff),
    (0x8400_0009, Call::SystemReset),
    (0x8400_000a, Call::PsciFeatures),
    (0x95c1_ba5e, Call::CpuSuspend),
    (0x95c1_ba5f, Call::CpuOff),
    (0x95c1_ba60, Call::CpuOn),
];

fn find(id: u32) -> Option<Call> {
    CALLS.iter().find(|row| row.0 == id).map(|row| row.1)
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

    /// A call with r0 to r3. All but r0 are kept.
    pub fn call(&self, args: [u32; 4]) -> FirmwareResult {
        let [id, a, b, c] = args;
        let result = match find(id) {
            None => code::NOT_SUPPORTED,
            Some(Call::SystemOff) => return FirmwareResult::Stop(Stop::PowerOff),
            Some(Call::SystemReset) => return FirmwareResult::Stop(Stop::Reset),
            Some(Call::CpuOff) => return FirmwareResult::Stop(Stop::CpuOff),
            Some(Call::SmcccVersion) => SMCCC_VERSION,
            Some(Call::SmcccArchFeatures) => smccc_feature(a),
            Some(Call::PsciVersion) => VERSION,
            Some(Call::CpuSuspend) => self.cpu_suspend(a),
            Some(Call::CpuOn) => self.cpu_on(a, b, c),
            Some(Call::AffinityInfo) => self.affinity_info(a, b),
            Some(Call::MigrateInfoType) => NO_TRUSTED_OS,
            Some(Call::PsciFeatures) => feature(a),
        };
        FirmwareResult::Return([result, a, b, c])
    }

    /// CPU_SUSPEND (5.4): every state, powered down or not, is a wait for an interrupt that returns, as 5.4.1 allows.
    fn cpu_suspend(&self, power_state: u32) -> u32 {
        if power_state & POWER_STATE_RESERVED != 0 {
            return code::INVALID_PARAMETERS;
        }
        if let Some(port) = self.cpus.get(self.cpu) {
            port.enter_standby();
        }
        code::SUCCESS
    }

    /// CPU_ON (5.6): the CPU starts at `entry` with `context` in r0.
    fn cpu_on(&self, target: u32, entry: u32, context: u32) -> u32 {
        let Some(port) = self.cpus.get(target as usize) else {
            return code::INVALID_PARAMETERS;
        };
        let start = Start::At {
            pc: entry.into(),
            args: [context.into(), 0, 0],
        };
        match port.power_on(start) {
            Ok(()) => code::SUCCESS,
            Err(Power::Starting) => code::ON_PENDING,
            Err(Power::On | Power::Off) => code::ALREADY_ON,
        }
    }

    /// AFFINITY_INFO (5.7). A cluster is on as long as the machine is.
    fn affinity_info(&self, target: u32, lowest_level: u32) -> u32 {
        match (lowest_level, self.cpus.get(target as usize)) {
            (0, Some(port)) => port.power() as u32,
            (1..=3, _) => Power::On as u32,
            _ => code::INVALID_PARAMETERS,
        }
    }
}

/// PSCI_FEATURES (5.15): whether a function exists; none has flags (CPU_SUSPEND: original format, no OS initiated mode).
fn feature(id: u32) -> u32 {
    match find(id) {
        Some(Call::SmcccArchFeatures) | None => code::NOT_SUPPORTED,
        Some(_) => code::SUCCESS,
    }
}

/// SMCCC_ARCH_FEATURES (DEN 0028B, 7.3): the convention's own functions exist; no workaround is needed or offered.
fn smccc_feature(id: u32) -> u32 {
    match find(id) {
        Some(Call::SmcccVersion | Call::SmcccArchFeatures) => code::SUCCESS,
        _ => code::NOT_SUPPORTED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpus::Order;

    /// The firmware of CPU 0 of two; CPU 0 runs.
    fn psci() -> Psci {
        let cpus = Arc::new(Cpus::new(2));
        cpus.get(0).unwrap().set_power(Power::On);
        Psci::new(cpus, 0)
    }

    fn result(psci: &Psci, args: [u32; 4]) -> i32 {
        match psci.call(args) {
            FirmwareResult::Return([r0, rest @ ..]) => {
                assert_eq!(rest, args[1..], "{args:x?}");
                r0 as i32
            }
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
    fn the_guest_ends_its_machine_or_its_cpu() {
        let psci = psci();

        let stops = [0x8400_0008, 0x8400_0009, 0x8400_0002, 0x95c1_ba5f].map(|id| psci.call([id, 0, 0, 0]));

        let expected = [Stop::PowerOff, Stop::Reset, Stop::CpuOff, Stop::CpuOff];
        assert_eq!(stops, expected.map(FirmwareResult::Stop));
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
    fn suspending_is_waiting() {
        let psci = psci();

        assert_eq!(result(&psci, [0x8400_0001, 0x8000_0000, 0, 0]), -2);
        assert!(!psci.cpus.get(0).unwrap().take_standby());
        assert_eq!(result(&psci, [0x8400_0001, 1 << 16, 0, 0]), 0);
        assert!(psci.cpus.get(0).unwrap().take_standby());
    }
}

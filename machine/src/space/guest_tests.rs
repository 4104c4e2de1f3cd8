//! Maps that change while a guest runs.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam::channel::unbounded;
use emu_devices::backend::NullChar;
use emu_devices::bus::{Clock, GuestMemory, Ram, Threads, Wiring};
use emu_firmware::fdt::Region;
use emu_ir::testing::until;
use emu_jit::engine::Accel;

use super::{Overlap, What};
use crate::arch::{CpuWiring, MachineCode};
use crate::board::VIRT;
use crate::board::build::{Devices, Surroundings};
use crate::config::Arch;
use crate::cpus::{Cpus, Order};
use crate::processor::Start;

const RAM: u64 = 0x4000_0000;
const TABLE: u64 = RAM + 0x10_0000;
/// What the program and the test share: the round, the one that is done, an address, and two answers.
const ROUND: u64 = RAM + 0x1_0000;
const DONE: u64 = ROUND + 0x40;
const ADDRESS: u64 = ROUND + 0x80;
const FIRST: u64 = ROUND + 0xc0;
const SECOND: u64 = ROUND + 0x100;
/// What the program answers where it has met an abort.
const ABORTED: u32 = 0xab;
/// A section of normal memory, for everybody.
const NORMAL: u32 = 0x1c0e;

/// Turns the MMU on; then, whenever there is a new round, does what the words from `@` on say with the address in r5, and
/// stores r0 and r1. An abort leads there as well.
const PROGRAM: &[u32] = &[
    0xea00_0003, // 00: b start
    0,
    0,           // 04: undefined, 08: supervisor call
    0xea00_0018, // 0c: prefetch abort: b aborted
    0xea00_0017, // 10: data abort: b aborted
    0xe3a0_0101, // 14: start: mov r0, #0x40000000
    0xee0c_0f10, // 18: mcr p15, 0, r0, c12, c0, 0: VBAR
    0xe380_0601, // 1c: orr r0, r0, #0x100000
    0xee02_0f10, // 20: mcr p15, 0, r0, c2, c0, 0: TTBR0
    0xe3e0_1000, // 24: mvn r1, #0
    0xee03_1f10, // 28: mcr p15, 0, r1, c3, c0, 0: DACR
    0xee11_1f10, // 2c: mrc p15, 0, r1, c1, c0, 0: SCTLR
    0xe381_1001, // 30: orr r1, r1, #1
    0xee01_1f10, // 34: mcr p15, 0, r1, c1, c0, 0
    0xf57f_f06f, // 38: isb
    0xe3a0_4101, // 3c: mov r4, #0x40000000
    0xe384_4801, // 40: orr r4, r4, #0x10000
    0xe3a0_6000, // 44: mov r6, #0
    0xe594_7000, // 48: 1: ldr r7, [r4]
    0xe157_0006, // 4c: cmp r7, r6
    0x0aff_fffc, // 50: beq 1b
    0xe1a0_6007, // 54: mov r6, r7
    0xe594_5080, // 58: ldr r5, [r4, #0x80]
    0xe3a0_0f00, // 5c: mov r0, #0 (@)
    0xe3a0_1000, // 60: mov r1, #0 (@)
    0xe3a0_2000, // 64: mov r2, #0 (@)
    0xe1a0_0000, // 68: nop (@)
    0xe1a0_0000, // 6c: nop (@)
    0xea00_0001, // 70: b 2f
    0xe3a0_00ab, // 74: aborted: mov r0, #0xab
    0xe3a0_10ab, // 78: mov r1, #0xab
    0xe584_00c0, // 7c: 2: str r0, [r4, #0xc0]
    0xe584_1100, // 80: str r1, [r4, #0x100]
    0xf57f_f05b, // 84: dmb ish
    0xe584_6040, // 88: str r6, [r4, #0x40]
    0xeaff_ffed, // 8c: b 1b
];
/// Where the words of `@` are.
const VARYING: u64 = RAM + 0x5c;

/// Calls the function at r5, and loads what is at 0x40 from there.
const CALL_AND_LOAD: [u32; 5] = [
    0xe12f_ff35, // blx r5
    0xe595_1040, // ldr r1, [r5, #0x40]
    0xe1a0_0000,
    0xe1a0_0000,
    0xe1a0_0000,
];
/// Loads from r5, has the flash there answer queries, and loads the first answer.
const QUERY: [u32; 5] = [
    0xe595_0000, // ldr r0, [r5]
    0xe3a0_2098, // mov r2, #0x98
    0xe585_2000, // str r2, [r5]
    0xe595_1040, // ldr r1, [r5, #0x40]
    0xe1a0_0000,
];

/// A guest that waits for its first round.
struct Running {
    devices: Devices,
    cpus: Arc<Cpus>,
    thread: JoinHandle<()>,
    round: u32,
}

/// A board's guest under this accelerator; `None`: this host cannot.
fn running(accel: Accel, varying: [u32; 5]) -> Option<Running> {
    let arch = Arch::Arm.architecture();
    let cpus = Arc::new(Cpus::new(1, |line| arch.line_bit(line)));
    let (wiring, clock) = (Wiring::new(), Clock::manual(0));
    let around = Surroundings {
        memory: 2 << 20,
        cpus: cpus.clone(),
        interrupts: arch.interrupts(&VIRT, "", (&wiring, &clock), &cpus),
        wiring,
        threads: Threads::default(),
        clock: clock.clone(),
        serial: Arc::new(NullChar),
        virtio_console: Arc::new(NullChar),
        vars: None,
        flash: Vec::new(),
        handed: Vec::new(),
        events: crossbeam::channel::unbounded().0,
    };
    let devices = Devices::new(&VIRT, around).unwrap();
    devices.reset();
    let put = |at: u64, word: u32| devices.memory.write(at, &word.to_le_bytes()).unwrap();
    PROGRAM.iter().zip(0u64..).for_each(|(&word, n)| put(RAM + 4 * n, word));
    varying
        .iter()
        .zip(0u64..)
        .for_each(|(&word, n)| put(VARYING + 4 * n, word));
    for section in [0x040u32, 0x400, 0x500, 0x501] {
        put(TABLE + 4 * u64::from(section), section << 20 | NORMAL);
    }
    let around = CpuWiring {
        cpu: 0,
        cpus: &cpus,
        clock: &clock,
        private: &|n| devices.private_line(0, n),
        controller: Some(devices.controller()),
        bus: devices.space.view(0),
        code: &MachineCode::new(accel, 1, emu_jit::engine::CODE_CACHE),
        log: None,
        semihosting: None,
    };
    let mut vcpu = match arch.processor(arch.models()[0], around) {
        Ok(vcpu) => vcpu,
        Err(why) => {
            emu_ir::testing::skipped("a guest on a changing memory map", &why.to_string());
            return None;
        }
    };
    let (waker, own) = (vcpu.waker(), cpus.clone());
    let thread = thread::spawn(move || {
        let (events, _open) = unbounded();
        crate::vcpu::run(0, &mut *vcpu, own.get(0).unwrap(), &events);
    });
    let port = cpus.get(0).unwrap();
    port.attach(waker, thread.thread().clone());
    port.order(Order::Start(Start::At {
        pc: RAM + 0x14,
        args: [0; 3],
    }));
    Some(Running {
        devices,
        cpus,
        thread,
        round: 0,
    })
}

impl Running {
    fn get(&self, at: u64) -> u32 {
        let mut bytes = [0; 4];
        self.devices.memory.read(at, &mut bytes).unwrap();
        u32::from_le_bytes(bytes)
    }

    fn put(&self, at: u64, word: u32) {
        self.devices.memory.write(at, &word.to_le_bytes()).unwrap();
    }

    /// What the program answers for an address.
    fn ask(&mut self, address: u64) -> (u32, u32) {
        self.round += 1;
        self.put(ADDRESS, address as u32);
        self.put(ROUND, self.round);
        until("the round is done", || self.get(DONE) == self.round);
        (self.get(FIRST), self.get(SECOND))
    }

    fn end(self) {
        self.cpus.iter().for_each(|port| port.order(Order::End));
        self.thread.join().unwrap();
    }
}

/// Memory with a function that returns `value`, and twice that at 0x40.
fn memory(value: u32) -> What {
    let memory = Arc::new(Ram::new(0x10_0000).unwrap());
    for (at, word) in [(0, 0xe3a0_0000 | value), (4, 0xe12f_ff1e), (0x40, 2 * value)] {
        memory.store(at, word).unwrap();
    }
    What::Ram { memory, offset: 0 }
}

#[test]
fn memory_comes_moves_and_goes_while_the_guest_runs() {
    for accel in [Accel::Jit, Accel::Interp] {
        let Some(mut guest) = running(accel, CALL_AND_LOAD) else {
            continue;
        };
        let [here, there] = [0x5000_0000, 0x5010_0000].map(|base| Region::new(base, 0x10_0000));
        let space = guest.devices.space.clone();
        let aborted = (ABORTED, ABORTED);
        let (one, two) = (memory(1), memory(2));
        assert_eq!(guest.ask(here.base), aborted, "{accel:?}: nothing is there yet");

        space.map(here, one.clone()).unwrap();
        assert_eq!(guest.ask(here.base), (1, 2), "{accel:?}: it has come");
        space
            .change(|edit| {
                edit.unmap(here);
                edit.map(here, two.clone())
            })
            .unwrap();
        assert_eq!(guest.ask(here.base), (2, 4), "{accel:?}: other memory is there");
        space
            .change(|edit| {
                edit.unmap(here);
                edit.map(here, one)?;
                edit.map(there, two)
            })
            .unwrap();
        assert_eq!(guest.ask(there.base), (2, 4), "{accel:?}: it has moved");
        assert_eq!(guest.ask(here.base), (1, 2), "{accel:?}: the first is back");
        space
            .change(|edit| {
                edit.unmap(here);
                edit.map(here, What::Alias { of: there.base })
            })
            .unwrap();
        assert_eq!(guest.ask(here.base), (2, 4), "{accel:?}: an alias");
        guest.put(there.base, 0xe3a0_0003);
        assert_eq!(
            guest.ask(here.base),
            (3, 4),
            "{accel:?}: what was written behind the alias runs"
        );
        space
            .change(|edit| {
                edit.unmap(here);
                Ok::<_, Overlap>(())
            })
            .unwrap();
        assert_eq!(guest.ask(here.base), aborted, "{accel:?}: it has gone");
        assert_eq!(guest.ask(there.base), (3, 4), "{accel:?}: the other has not");
        guest.end();
    }
}

#[test]
fn flash_answers_the_command_that_came_just_before() {
    const BANK: u64 = 0x0400_0000;
    for accel in [Accel::Jit, Accel::Interp] {
        let Some(mut guest) = running(accel, QUERY) else {
            continue;
        };
        let readable = |guest: &Running| {
            let mut bus = guest.devices.space.view(0);
            emu_ir::Bus::ram(&mut bus, BANK).is_some_and(|page| page.readable)
        };
        assert!(readable(&guest), "{accel:?}: at power-on it is memory");

        let (array, query) = guest.ask(BANK);

        // The first chip's query table: "QRY" from word 10h on, and the second chip's is not asked.
        assert_eq!((array, query & 0xffff), (0, u32::from(b'Q')), "{accel:?}");
        assert!(!readable(&guest), "{accel:?}: it answers");
        guest.devices.reset();
        assert!(readable(&guest), "{accel:?}: memory again");
        guest.end();
    }
}

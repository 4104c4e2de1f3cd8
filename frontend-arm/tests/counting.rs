//! What the performance monitors count of running code, in both accelerators.
#![allow(clippy::restriction, reason = "this is how a test fails")]

mod ram;

use emu_frontend_arm::cp15::Pmu;
use emu_frontend_arm::platform::{Conduit, FirmwareResult, IRQ, Platform, Timer, TimerOutput};
use emu_frontend_arm::state::{Cpu, mode, psr};
use emu_frontend_arm::{Arm, MODELS, pmu};
use emu_jit::engine::{Accel, Exit, Kick, Vcpu};
use ram::{BASE, Ram};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const VECTORS: u32 = BASE + 0x1000;
const CODE: u32 = BASE + 0x2000;
const DATA: u32 = BASE + 0x8000;

const WFI: u32 = 0xe320_f003;
const ADD: u32 = 0xe280_0001; // add r0, r0, #1
const LDR: u32 = 0xe592_3000; // ldr r3, [r2]
const STR: u32 = 0xe582_3000; // str r3, [r2]
const SVC: u32 = 0xef00_0000;
const READ_R4: u32 = 0xee19_4f5d; // mrc p15, 0, r4, c9, c13, 2: PMXEVCNTR
const READ_R5: u32 = 0xee19_5f5d;

const INSTRUCTIONS: u32 = 0x08;
const BRANCHES: u32 = 0x76;
const ACCESSES: u32 = 0x04;
const READS: u32 = 0x40;
const WRITES: u32 = 0x41;
const CYCLES: u32 = 0x11;
const EXCEPTIONS: u32 = 0x09;
const RETURNS: u32 = 0x0a;

/// The monitors' interrupt is the CPU's IRQ; each look at the clock finds it a microsecond later.
struct Board {
    kick: Kick,
    clock: Arc<AtomicU64>,
}

impl Platform for Board {
    fn now_ns(&self) -> u64 {
        self.clock.fetch_add(1000, Relaxed)
    }
    fn timer(&mut self, which: Timer, output: TimerOutput) {
        if which == Timer::Pmu {
            self.kick.set_line(IRQ, output == TimerOutput::High);
        }
    }
    fn pending(&self) -> u32 {
        0
    }
    fn firmware_call(&mut self, _: Conduit, _: [u64; 4], _: bool) -> FirmwareResult {
        FirmwareResult::Undefined
    }
    fn cpu_index(&self) -> u32 {
        0
    }
    fn cpu_count(&self) -> u32 {
        1
    }
    fn uncounted(&mut self, _: u32) {}
}

struct Bench {
    v: Vcpu<Arm>,
    ram: Ram,
}

impl Bench {
    /// With this code in Supervisor mode, interrupts unmasked, and a WFI at every vector.
    fn new(accel: Accel, code: &[u32]) -> Option<Bench> {
        let ram = Ram::new();
        for vector in 0..8 {
            ram.put(VECTORS + 4 * vector, &WFI.to_le_bytes());
        }
        for (word, at) in code.iter().zip((CODE..).step_by(4)) {
            ram.put(at, &word.to_le_bytes());
        }
        let guest = Arm::alone(&MODELS[0]);
        let mut v = Vcpu::new(guest, Cpu::reset(&MODELS[0]), Box::new(ram.clone()), accel, true).ok()?;
        let (kick, clock) = (v.kick(), Arc::default());
        v.guest_mut().platform = Box::new(Board { kick, clock });
        let cpu = v.state_mut();
        (cpu.r[15], cpu.r[2], cpu.cp15.vbar) = (CODE, DATA, VECTORS);
        cpu.set_cpsr(psr::SVC);
        Some(Bench { v, ram })
    }
    /// Puts a handler at a vector.
    fn handle(&mut self, vector: u32, code: &[u32]) {
        for (word, at) in code.iter().zip((VECTORS + vector..).step_by(4)) {
            self.ram.put(at, &word.to_le_bytes());
        }
    }
    fn change(&mut self, f: impl FnOnce(&mut Pmu)) {
        self.v.inspect(|arm, cpu, _| pmu::change(arm, cpu, f));
    }
    /// The counters with these types, from zero, count.
    fn count(&mut self, types: &[u32]) {
        self.change(|pmu| {
            pmu.evtyper[..types.len()].copy_from_slice(types);
            (pmu.cnten, pmu.pmcr) = (0x3f, pmu::E);
        });
    }
    /// The counters after running to the WFI.
    fn run(&mut self) -> [u32; 6] {
        assert_eq!(self.v.run(), Exit::Wait);
        self.change(|_| {});
        self.v.state().cp15.pmu.evcntr
    }
}

/// The counters of these types after running the code, in both accelerators.
fn counted<const N: usize>(code: &[u32], types: [u32; N], prepare: fn(&mut Cpu)) -> [u32; N] {
    let [first, second] = [Accel::Interp, Accel::Jit].map(|accel| {
        let mut bench = Bench::new(accel, code)?;
        prepare(bench.v.state_mut());
        bench.count(&types);
        let all = bench.run();
        Some(std::array::from_fn(|i| all[i]))
    });
    let first = first.unwrap();
    assert_eq!(second.unwrap_or(first), first, "interpreter and translated code");
    first
}

#[test]
fn a_loop_is_counted_to_the_instruction() {
    let code = [
        ADD,
        0xe350_0ffa, // cmp r0, #1000
        0x1aff_fffc, // bne to the first
        WFI,
    ];
    let counts = counted(&code, [INSTRUCTIONS, BRANCHES, ACCESSES], |_| {});

    assert_eq!(counts, [3001, 999, 0]);
}

#[test]
fn what_a_condition_forbids_is_an_instruction_but_no_access_and_no_branch() {
    let code = [
        0xe350_0001, // cmp r0, #1
        0x0592_3000, // ldreq r3, [r2]
        0x1592_3000, // ldrne r3, [r2]
        0x0582_3000, // streq r3, [r2]
        0x0a00_0000, // beq past the next
        0x1a00_0000, // bne past the next
        ADD,
        WFI,
    ];
    let counts = counted(&code, [INSTRUCTIONS, READS, WRITES, BRANCHES], |_| {});

    assert_eq!(counts, [7, 1, 0, 1]);
}

#[test]
fn thumb_and_it_blocks_are_counted() {
    let code = [
        0xbf04_2801, // cmp r0, #1; itt eq
        0x6813_3001, // addeq r0, #1; ldreq r3, [r2]
        0x6813_3001, // adds r0, #1; ldr r3, [r2]
        0xbf30_bf30, // wfi
    ];
    let counts = counted(&code, [INSTRUCTIONS, READS], |cpu| cpu.mode |= mode::T);

    assert_eq!(counts, [7, 1]);
}

#[test]
fn several_registers_are_several_accesses() {
    let code = [
        0xe882_00f8, // stm r2, {r3-r7}
        0xe892_0018, // ldm r2, {r3, r4}
        0xe1c2_40d0, // ldrd r4, [r2]
        0xe102_4093, // swp r4, r3, [r2]
        WFI,
    ];
    let swap = |cpu: &mut Cpu| {
        cpu.cp15.sctlr |= emu_frontend_arm::cp15::sctlr::SW;
        cpu.update_mode();
    };
    let counts = counted(&code, [READS, WRITES, ACCESSES], swap);

    assert_eq!(counts, [5, 6, 11]);
}

#[test]
fn an_instruction_that_faults_is_not_executed_a_call_is() {
    let types = [INSTRUCTIONS, READS, EXCEPTIONS];
    let abort = counted(&[ADD, LDR, WFI], types, |cpu| cpu.r[2] = 0x1000_0000);
    let undefined = counted(&[ADD, 0xe7f0_00f0, WFI], types, |_| {});
    let call = counted(&[ADD, SVC, WFI], types, |_| {});
    let fetch = counted(&[ADD, 0xe1a0_f002], types, |cpu| cpu.r[2] = 0x1000_0000); // mov pc, r2

    // each with the WFI of the handler
    assert_eq!(abort, [2, 0, 1]);
    assert_eq!(undefined, [2, 0, 1]);
    assert_eq!(call, [3, 0, 1]);
    assert_eq!(fetch, [3, 0, 1]);
}

#[test]
fn a_read_is_precise() {
    for accel in [Accel::Interp, Accel::Jit] {
        let Some(mut bench) = Bench::new(accel, &[READ_R4, ADD, ADD, READ_R5, WFI]) else {
            continue;
        };
        bench.count(&[INSTRUCTIONS]);

        bench.run();

        assert_eq!((bench.v.state().r[4], bench.v.state().r[5]), (1, 4), "{accel:?}");
    }
}

/// A counter that is `left` from its overflow interrupts, and where that was: additions that were made before it.
fn overflow(accel: Accel, code: &[u32], event: u32, left: u32) -> Option<u32> {
    let mut bench = Bench::new(accel, code)?;
    bench.count(&[event]);
    bench.change(|pmu| (pmu.evcntr[0], pmu.inten) = (left.wrapping_neg(), 1));
    // mrc and mcr p15, 0, r7, c9, c12, 3: PMOVSR is read and cleared, so that the interrupt ends
    bench.handle(0x18, &[0xee19_7f7c, 0xee09_7f7c, WFI]);
    assert_eq!(bench.v.run(), Exit::Wait);
    let cpu = bench.v.state();
    assert_eq!(cpu.psr & psr::M, psr::IRQ, "{accel:?} {event:#x} {left}");
    assert_eq!((cpu.r[7], cpu.cp15.pmu.ovsr), (1, 0));
    Some(cpu.r[0])
}

#[test]
fn an_overflow_interrupts_at_its_instruction() {
    for accel in [Accel::Interp, Accel::Jit] {
        for left in [1, 63, 64, 65, 100, 150] {
            let made = overflow(accel, &[[ADD; 200].as_slice(), &[WFI]].concat(), INSTRUCTIONS, left);
            assert_eq!(made.unwrap_or(left), left, "{accel:?}");

            let made = overflow(accel, &[[ADD, STR].repeat(200), vec![WFI]].concat(), WRITES, left);
            assert_eq!(made.unwrap_or(left), left, "{accel:?}");
        }
    }
}

#[test]
fn a_counter_with_a_filter_counts_at_its_privilege() {
    // User: add, add, svc. The handler: return; the second time it waits.
    let code = [ADD, ADD, SVC, ADD, SVC];
    let handler = [
        0xe281_1001, // add r1, r1, #1
        0xe351_0002, // cmp r1, #2
        0x11b0_f00e, // movsne pc, lr
        WFI,
    ];
    for accel in [Accel::Interp, Accel::Jit] {
        let Some(mut bench) = Bench::new(accel, &code) else {
            continue;
        };
        let not_pl1 = pmu::NOT_PL1;
        bench.count(&[
            INSTRUCTIONS,
            INSTRUCTIONS | not_pl1,
            INSTRUCTIONS | pmu::NOT_PL0,
            CYCLES,
            CYCLES | not_pl1,
            CYCLES | pmu::NOT_PL0,
        ]);
        bench.handle(8, &handler);
        bench.v.inspect(|arm, cpu, _| {
            cpu.set_cpsr(psr::USR);
            pmu::turned(arm, cpu, false);
        });

        let [all, user, kernel, cycles, user_cycles, kernel_cycles] = bench.run();

        assert_eq!((user, kernel, all), (5, 7, 12), "{accel:?}");
        assert_eq!(cycles, user_cycles + kernel_cycles, "{accel:?}");
        assert!(
            user_cycles >= 2000 && kernel_cycles >= 2000,
            "{user_cycles} {kernel_cycles}"
        );
    }
}

#[test]
fn returns_from_exceptions_are_counted() {
    // svc, whose handler is left for the instruction after it, once
    let code = [0xe1b0_f00e, WFI]; // movs pc, lr
    let counts = counted(&code, [RETURNS, BRANCHES, EXCEPTIONS], |cpu| {
        cpu.set_spsr(psr::SYS);
        cpu.r[14] = CODE + 4;
    });

    assert_eq!(counts, [1, 1, 0]);
}

#[test]
fn code_counts_only_where_a_counter_needs_it() {
    let rows: [(&[u32], bool, bool); 5] = [
        (&[], false, false),
        (&[CYCLES, EXCEPTIONS, 0x02], false, false),
        (&[INSTRUCTIONS], true, true),
        (&[INSTRUCTIONS | pmu::NOT_PL1, CYCLES], true, false),
        (&[BRANCHES | pmu::NOT_PL0], false, true),
    ];
    for (types, at_pl0, at_pl1) in rows {
        let mut bench = Bench::new(Accel::Interp, &[WFI]).unwrap();
        bench.change(|pmu| {
            pmu.evtyper[..types.len()].copy_from_slice(types);
            (pmu.cnten, pmu.pmcr) = ((1 << types.len()) - 1, pmu::E);
        });
        let cpu = bench.v.state_mut();
        let counts = [psr::USR, psr::SYS].map(|number| {
            cpu.set_cpsr(number);
            cpu.mode & mode::COUNT != 0
        });

        assert_eq!(counts, [at_pl0, at_pl1], "{types:x?}");
    }
}

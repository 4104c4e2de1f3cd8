//! Breakpoints, watchpoints and single steps of the engine, on ARM code, in both accelerators.
#![allow(clippy::restriction, reason = "this is how a test fails")]

mod ram;

use emu_frontend_arm::Arm;
use emu_frontend_arm::state::{Cpu, mode, psr};
use emu_frontend_arm::{MODELS, cp15::sctlr};
use emu_jit::engine::debug::Watch;
use emu_jit::engine::{Accel, Exit, Vcpu};
use ram::{BASE, Ram};

const VECTORS: u32 = BASE + 0x1000;
const CODE: u32 = BASE + 0x2000;
const DATA: u32 = BASE + 0x8000;
const TABLE: u32 = BASE + 0x1_0000;

const WFI: u32 = 0xe320_f003;

struct Bench {
    v: Vcpu<Arm>,
    ram: Ram,
    code: Vec<u8>,
}

impl Bench {
    /// With this code, an idle loop at every vector, and a section of ordinary memory over all of it.
    fn new(accel: Accel, code: &[u8]) -> Option<Bench> {
        let ram = Ram::new();
        for vector in 0..8 {
            ram.put(VECTORS + 4 * vector, &WFI.to_le_bytes());
        }
        ram.put(CODE, code);
        ram.put(TABLE + 0x400 * 4, &(BASE | 0x1c0e).to_le_bytes());
        let guest = Arm::alone(&MODELS[0]);
        let v = Vcpu::new(guest, Cpu::reset(&MODELS[0]), Box::new(ram.clone()), accel, true).ok()?;
        let code = code.to_vec();
        let mut bench = Bench { v, ram, code };
        bench.start();
        Some(bench)
    }
    fn start(&mut self) {
        let mut cpu = Cpu::reset(&MODELS[0]);
        cpu.r[15] = CODE;
        (cpu.cp15.vbar, cpu.cp15.dacr, cpu.cp15.ttbr0) = (VECTORS, 1, TABLE.into());
        cpu.cp15.sctlr |= sctlr::M | sctlr::SW;
        (cpu.cp15.cpacr, cpu.fpexc) = (0x00f0_0000, 1 << 30);
        cpu.update_mode();
        *self.v.state_mut() = cpu;
    }
    fn r(&self, n: usize) -> u32 {
        self.v.state().r[n]
    }
    fn at(&self, offset: u32) -> bool {
        self.v.pc() == u64::from(CODE + offset)
    }
}

/// A bench for each accelerator that this host can run.
fn benches(code: &[u8]) -> Vec<Bench> {
    let all = [Accel::Interp, Accel::Jit].map(|accel| Bench::new(accel, code));
    all.into_iter().flatten().collect()
}

fn arm(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

fn thumb(halves: &[u16]) -> Vec<u8> {
    halves.iter().flat_map(|w| w.to_le_bytes()).collect()
}

/// Counts r0 and r1 to 1000.
fn counting() -> Vec<u8> {
    arm(&[
        0xe280_0001, // 0: add r0, r0, #1
        0xe281_1001, // 4: add r1, r1, #1
        0xe350_0ffa, // 8: cmp r0, #1000
        0x1aff_fffb, // c: bne 0
        WFI,
    ])
}

#[test]
fn breakpoints_stop_before_their_instruction_in_code_that_has_run() {
    for mut bench in benches(&counting()) {
        assert_eq!(bench.v.run(), Exit::Wait);
        bench.start();
        bench.v.set_breakpoints([u64::from(CODE) + 4]);

        for round in 1..5 {
            assert_eq!(bench.v.run(), Exit::Breakpoint);
            assert!(bench.at(4));
            assert_eq!((bench.r(0), bench.r(1)), (round, round - 1));
            assert_eq!(bench.v.run(), Exit::Breakpoint, "still there");
            bench.v.set_breakpoints([]);
            assert_eq!(bench.v.step(false), Exit::Stepped);
            bench.v.set_breakpoints([u64::from(CODE) + 4]);
        }
        bench.v.set_breakpoints([]);

        assert_eq!(bench.v.run(), Exit::Wait);
        assert_eq!((bench.r(0), bench.r(1)), (1000, 1000));
        assert_eq!(
            bench.ram.bytes(CODE, bench.code.len()),
            bench.code,
            "nothing shows in memory"
        );
    }
}

#[test]
fn a_loop_that_rewrites_its_own_branch_ends() {
    let code = arm(&[
        0xe585_4000, // 0: str r4, [r5]
        0xe280_0001, // 4: add r0, r0, #1
        0xeaff_fffc, // 8: b 0
    ]);
    for mut bench in benches(&code) {
        let cpu = bench.v.state_mut();
        (cpu.r[4], cpu.r[5]) = (WFI, CODE + 8);

        assert_eq!(bench.v.run(), Exit::Wait);

        assert_eq!(bench.r(0), 2, "the new code runs from the next turn on");
    }
}

#[test]
fn breakpoints_in_other_pages_do_not_stop() {
    for mut bench in benches(&counting()) {
        let elsewhere = [0u32, 4, 8, 12].map(|at| u64::from(BASE + 0x5000 + at));
        bench.v.set_breakpoints(elsewhere);

        assert_eq!(bench.v.run(), Exit::Wait);
        assert_eq!(bench.r(1), 1000);
    }
}

#[test]
fn a_thousand_breakpoints_at_one_page_offset_stop_where_they_are() {
    for mut bench in benches(&counting()) {
        let elsewhere = (0..999u64).map(|n| 0x8000_0000 + n * 0x1000);
        bench.v.set_breakpoints(elsewhere.clone());
        assert_eq!(bench.v.run(), Exit::Wait);

        bench.start();
        bench.v.set_breakpoints(elsewhere.chain([u64::from(CODE)]));

        assert_eq!(bench.v.run(), Exit::Breakpoint);
        assert!(bench.at(0));
    }
}

#[test]
fn a_breakpoint_at_the_start_of_a_loop_stops_each_time_round() {
    for mut bench in benches(&counting()) {
        bench.v.set_breakpoints([CODE, CODE + 8].map(u64::from));

        for round in 0..4 {
            assert_eq!(bench.v.run(), Exit::Breakpoint);
            assert!(bench.at(if round % 2 == 0 { 0 } else { 8 }), "round {round}");
            bench.v.set_breakpoints([]);
            assert_eq!(bench.v.step(false), Exit::Stepped);
            bench.v.set_breakpoints([CODE, CODE + 8].map(u64::from));
        }
    }
}

#[test]
fn steps_go_through_an_it_block_one_by_one() {
    let code = thumb(&[
        0x4280, // 0: cmp r0, r0
        0xbf05, // 2: ittet eq
        0x2101, // 4: moveq r1, #1
        0x3102, // 6: addeq r1, #2
        0x2109, // 8: movne r1, #9
        0x3104, // a: addeq r1, #4
        0xdf00, // c: svc 0
    ]);
    for mut bench in benches(&code) {
        bench.v.state_mut().mode |= mode::T;
        let mut seen = Vec::new();

        for _ in 0..7 {
            assert_eq!(bench.v.step(false), Exit::Stepped);
            seen.push((bench.v.pc() as u32, bench.r(1)));
        }

        let inside = [2, 4, 6, 8, 10, 12].map(|at| CODE + at);
        let values = [0, 0, 1, 3, 3, 7];
        let mut want: Vec<_> = inside.into_iter().zip(values).collect();
        want.push((VECTORS + 8, 7));
        assert_eq!(seen, want, "and the call ends at its vector");
    }
}

#[test]
fn a_breakpoint_in_an_it_block_stops_there_and_its_condition_holds_on() {
    let code = thumb(&[0x4280, 0xbf05, 0x2101, 0x3102, 0x2109, 0x3104, 0xbf30]);
    for mut bench in benches(&code) {
        bench.v.state_mut().mode |= mode::T;
        bench.v.set_breakpoints([u64::from(CODE) + 8]);

        assert_eq!(bench.v.run(), Exit::Breakpoint);
        assert!(bench.at(8) && bench.r(1) == 3);
        bench.v.set_breakpoints([]);

        assert_eq!(bench.v.run(), Exit::Wait);
        assert_eq!(bench.r(1), 7, "movne did not run");
    }
}

#[test]
fn steps_keep_an_exclusive_and_do_not_wait() {
    let code = arm(&[0xe190_1f9f, 0xe281_1001, 0xe180_2f91, WFI, 0xe320_f002]);
    for mut bench in benches(&code) {
        bench.v.state_mut().r[0] = DATA;
        bench.v.state_mut().r[2] = 9;

        for _ in 0..5 {
            assert_eq!(bench.v.step(false), Exit::Stepped);
        }

        assert!(bench.at(20), "past WFI and WFE");
        assert_eq!((bench.r(2), bench.ram.bytes(DATA, 1)[0]), (0, 1));
    }
}

#[test]
fn a_step_takes_an_interrupt_only_where_it_may() {
    for mut bench in benches(&counting()) {
        bench.v.state_mut().psr &= !psr::I;
        bench.v.kick().set_line(emu_frontend_arm::platform::IRQ, true);

        assert_eq!(bench.v.step(false), Exit::Stepped);
        assert!(bench.at(4));
        assert_eq!(bench.v.step(true), Exit::Stepped);

        assert_eq!(bench.v.pc(), u64::from(VECTORS + 0x18));
        assert_eq!(bench.r(14), CODE + 8);
    }
}

#[test]
fn a_step_onto_nothing_ends_at_the_handler() {
    for mut bench in benches(&arm(&[0xe590_0000])) {
        bench.v.state_mut().r[0] = 0x1234_5678;
        assert_eq!(bench.v.step(false), Exit::Stepped);
        assert_eq!(bench.v.pc(), u64::from(VECTORS + 0x10), "data abort");

        bench.v.state_mut().r[15] = 0x1000_0000;
        assert_eq!(bench.v.step(false), Exit::Stepped);
        assert_eq!(bench.v.pc(), u64::from(VECTORS + 0xc), "prefetch abort");
    }
}

/// An instruction at r0, and whether it loads and stores the word at r0 + 4.
const ACCESSES: &[(&str, u32, bool, bool)] = &[
    ("str r1, [r0, #4]", 0xe580_1004, false, true),
    ("strb r1, [r0, #7]", 0xe5c0_1007, false, true),
    ("strh r1, [r0, #2]", 0xe1c0_10b2, false, false),
    ("ldr r1, [r0, #1]", 0xe590_1001, true, false),
    ("stmia r0!, {r1-r4}", 0xe8a0_001e, false, true),
    ("ldmia r0, {r0-r3}", 0xe890_000f, true, false),
    ("ldrd r2, [r0]", 0xe1c0_20d0, true, false),
    ("vst1.32 {d0-d3}, [r0]!", 0xf400_028d, false, true),
    ("vld4.8 {d0-d3}, [r0]", 0xf420_000f, true, false),
    ("vldr d1, [r0]", 0xed90_1b00, true, false),
    ("ldrex r1, [r0]", 0xe190_1f9f, false, false),
    ("swp r1, r2, [r6]", 0xe106_1092, true, true),
    ("ldrexd r2, r3, [r0]", 0xe1b0_2f9f, true, false),
];

#[test]
fn watchpoints_stop_before_the_access_and_only_then() {
    for &(name, word, reads, writes) in ACCESSES {
        for mut bench in benches(&arm(&[word, WFI])) {
            for (kind, meets) in [
                ((true, false), reads),
                ((false, true), writes),
                ((true, true), reads | writes),
            ] {
                bench.start();
                let set = |v: &mut Vcpu<Arm>| {
                    for (n, value) in [(0, DATA), (1, 0x1111), (2, 0x2222), (3, 3), (4, 4), (6, DATA + 4)] {
                        v.state_mut().r[n] = value;
                    }
                };
                set(&mut bench.v);
                bench.ram.put(DATA, &[0x55; 32]);
                let before = *bench.v.state();
                let watch = Watch {
                    start: u64::from(DATA) + 4,
                    len: 4,
                    reads: kind.0,
                    writes: kind.1,
                };
                bench.v.set_watchpoints(&[watch]);

                let exit = bench.v.run();

                if !meets {
                    assert_eq!(exit, Exit::Wait, "{name} {kind:?}");
                    continue;
                }
                let Exit::Watchpoint(hit) = exit else {
                    panic!("{name} {kind:?}: {exit:?}")
                };
                assert_eq!(hit.watch, watch);
                assert!(
                    (watch.start..watch.start + 4).contains(&hit.addr),
                    "{name} {:#x}",
                    hit.addr
                );
                assert!(*bench.v.state() == before, "{name} {kind:?}: the state of before");
                let watched = bench.ram.bytes(DATA + 4, 4);
                assert_eq!(watched, [0x55; 4], "{name}: not stored yet");
                assert_eq!(bench.v.step(false), Exit::Watchpoint(hit), "{name}: again");
                bench.v.set_watchpoints(&[]);
                assert_eq!(bench.v.step(false), Exit::Stepped);
                assert!(bench.at(4), "{name}");
                assert_eq!(bench.ram.bytes(DATA + 4, 4) != watched, writes, "{name}: stored now");
            }
        }
    }
}

#[test]
fn a_watched_page_slows_no_other_and_its_neighbours_do_not_stop() {
    // str r1, [r0]; add r1, #1; cmp r1, #100; bne; wfi
    let code = arm(&[0xe580_1000, 0xe281_1001, 0xe351_0064, 0x1aff_fffb, WFI]);
    for mut bench in benches(&code) {
        bench.v.state_mut().r[0] = DATA;
        bench.v.set_watchpoints(&[Watch {
            start: u64::from(DATA) + 4,
            len: 8,
            reads: true,
            writes: true,
        }]);

        assert_eq!(bench.v.run(), Exit::Wait);
        assert_eq!(bench.ram.bytes(DATA, 1), [99]);
    }
}

#[test]
fn an_access_that_faults_anyway_is_no_hit() {
    for mut bench in benches(&arm(&[0xe580_1000])) {
        bench.v.state_mut().r[0] = 0x1234_5678;
        bench.v.set_watchpoints(&[Watch {
            start: 0x1234_5678,
            len: 4,
            reads: true,
            writes: true,
        }]);

        assert_eq!(bench.v.run(), Exit::Wait);
        assert_eq!(bench.v.pc(), u64::from(VECTORS + 0x14), "past the handler's WFI");
    }
}

#[test]
fn stepping_through_is_running_through() {
    for mut bench in benches(&counting()) {
        assert_eq!(bench.v.run(), Exit::Wait);
        let want = *bench.v.state();
        bench.start();

        for _ in 0..4001 {
            assert_eq!(bench.v.step(false), Exit::Stepped);
        }

        assert!(*bench.v.state() == want);
    }
}

/// DBGDSCR.MDBGen.
const MONITOR: u32 = 1 << 15;
/// DBGBCR: enabled, any mode, the whole word.
const ANY_MODE: u32 = 0x1e7;
/// DBGBCR: the same in User mode, at every other address.
const USER_MISMATCH: u32 = 4 << 20 | 0x1e5;

impl Bench {
    /// In Monitor debug-mode, unlocked.
    fn monitor(&mut self) -> &mut Cpu {
        let cpu = self.v.state_mut();
        (cpu.cp15.dbgdscr, cpu.cp15.dbgoslock) = (MONITOR, 0);
        cpu
    }
    /// Start with r4 to r6 as given and the debug registers open to the program.
    fn start_unlocked(&mut self, [r4, r5, r6]: [u32; 3]) {
        self.start();
        let cpu = self.v.state_mut();
        cpu.cp15.dbgoslock = 0;
        (cpu.r[4], cpu.r[5], cpu.r[6]) = (r4, r5, r6);
    }
    /// The method of entry, and IFSR's or DFSR's kind of fault if it is a debug event's.
    fn entered(&self) -> (u32, u32) {
        let c = &self.v.state().cp15;
        let event = |fsr: u32| u32::from(fsr & 0x40f == 2);
        (c.dbgdscr >> 2 & 15, event(c.ifsr) | event(c.dfsr) << 1)
    }
}

#[test]
fn the_guests_breakpoint_is_its_exception_and_goes_on_when_that_returns() {
    // mov r2, #0; mcr p14, 0, r2, c0, c0, 5 (DBGBCR0); isb; subs pc, lr, #4
    let handler = arm(&[0xe3a0_2000, 0xee00_2eb0, 0xf57f_f06f, 0xe25e_f004]);
    for mut bench in benches(&counting()) {
        assert_eq!(bench.v.run(), Exit::Wait);
        bench.start();
        let cpu = bench.monitor();
        (cpu.cp15.dbgbvr[5], cpu.cp15.dbgbcr[5]) = (CODE + 4, ANY_MODE);

        assert_eq!(bench.v.run(), Exit::Wait);

        assert_eq!(bench.entered(), (0b0001, 0b01));
        assert_eq!((bench.r(0), bench.r(1), bench.r(14)), (1, 0, CODE + 8));

        bench.start();
        bench.ram.put(VECTORS + 0xc, &handler);
        bench.v.reset_caches();
        let cpu = bench.monitor();
        (cpu.cp15.dbgbvr[0], cpu.cp15.dbgbcr[0]) = (CODE + 4, ANY_MODE);

        assert_eq!(bench.v.run(), Exit::Wait);

        assert_eq!((bench.r(0), bench.r(1), bench.r(2)), (1000, 1000, 0));
        assert_eq!(bench.entered(), (0b0001, 0b01));
    }
}

#[test]
fn the_guests_breakpoints_follow_its_own_writes() {
    let code = arm(&[
        0xee00_4e52, // 00: mcr p14, 0, r4, c0, c2, 2 (DBGDSCRext)
        0xee00_5e90, // 04: mcr p14, 0, r5, c0, c0, 4 (DBGBVR0)
        0xee00_6eb0, // 08: mcr p14, 0, r6, c0, c0, 5 (DBGBCR0)
        0xf57f_f06f, // 0c: isb
        0xe280_0001, // 10: add r0, r0, #1
        0xe350_000a, // 14: cmp r0, #10
        0x1aff_fffc, // 18: bne 10
        WFI,
    ]);
    for mut bench in benches(&code) {
        for (monitor, control, count) in [
            (MONITOR, 0, 10),
            (MONITOR, ANY_MODE, 1),
            (0, ANY_MODE, 10),
            // Privileged modes only.
            (MONITOR, ANY_MODE & !4, 1),
            (MONITOR, ANY_MODE & !2, 10),
        ] {
            bench.start_unlocked([monitor, CODE + 0x14, control]);

            assert_eq!(bench.v.run(), Exit::Wait);

            assert_eq!(bench.r(0), count, "{monitor:#x} {control:#x}");
        }
    }
}

#[test]
fn a_mismatch_lets_one_instruction_of_user_mode_run() {
    for mut bench in benches(&counting()) {
        let cpu = bench.monitor();
        (cpu.cp15.dbgbvr[1], cpu.cp15.dbgbcr[1]) = (CODE, USER_MISMATCH);
        cpu.set_cpsr(psr::USR);
        cpu.update_mode();

        assert_eq!(bench.v.run(), Exit::Wait);

        assert_eq!(bench.entered(), (0b0001, 0b01));
        assert_eq!((bench.r(0), bench.r(1), bench.r(14)), (1, 0, CODE + 8));
    }
}

#[test]
fn the_guest_catches_a_vector_wherever_it_moves_them() {
    let code = arm(&[
        0xee00_4e52, // 00: mcr p14, 0, r4, c0, c2, 2 (DBGDSCRext)
        0xee00_5e17, // 04: mcr p14, 0, r5, c0, c7, 0 (DBGVCR)
        0xee0c_6f10, // 08: mcr p15, 0, r6, c12, c0, 0 (VBAR)
        0xf57f_f06f, // 0c: isb
        0xef00_0000, // 10: svc #0
    ]);
    const SVC: u32 = 1 << 2;
    const IRQ: u32 = 1 << 6;
    for mut bench in benches(&code) {
        for (vbar, catch, caught) in [(VECTORS, SVC, true), (VECTORS, IRQ, false), (DATA, SVC, true)] {
            bench.start_unlocked([MONITOR, catch, vbar]);
            for vector in [VECTORS, DATA] {
                bench.ram.put(vector + 8, &WFI.to_le_bytes());
                bench.ram.put(vector + 0xc, &WFI.to_le_bytes());
            }

            assert_eq!(bench.v.run(), Exit::Wait);

            let at = if caught { 0xc } else { 8 };
            assert_eq!(bench.v.pc(), u64::from(vbar + at + 4), "{vbar:#x} {catch:#x}");
            if caught {
                assert_eq!(bench.entered(), (0b0101, 0b01));
                assert_eq!(bench.r(14), vbar + 8 + 4);
            }
        }
    }
}

#[test]
fn the_guests_watchpoint_comes_before_the_access_to_its_byte() {
    let code = arm(&[
        0xe590_1000, // 0: ldr r1, [r0]
        0xe5c0_2001, // 4: strb r2, [r0, #1]
        0xe5c0_2002, // 8: strb r2, [r0, #2]
        WFI,
    ]);
    // Enabled, any privilege, stores, byte 2.
    let control = 1 | 3 << 1 | 2 << 3 | 1 << 7;
    for mut bench in benches(&code) {
        bench.ram.put(DATA, &[0; 4]);
        let cpu = bench.monitor();
        (cpu.r[0], cpu.r[2]) = (DATA, 0x55);
        (cpu.cp15.dbgwvr[3], cpu.cp15.dbgwcr[3]) = (DATA, control);

        assert_eq!(bench.v.run(), Exit::Wait);

        assert_eq!(bench.entered(), (0b1010, 0b10));
        assert_eq!(bench.ram.bytes(DATA, 4), [0, 0x55, 0, 0]);
        let cpu = bench.v.state();
        assert_eq!((cpu.cp15.dfar, cpu.r[14]), (DATA + 2, CODE + 16));
        assert_ne!(cpu.cp15.dfsr & 1 << 11, 0, "a write");

        bench.start();
        let cpu = bench.monitor();
        (cpu.r[0], cpu.r[2]) = (DATA, 0x55);
        // Privileged accesses are not meant.
        (cpu.cp15.dbgwvr[3], cpu.cp15.dbgwcr[3]) = (DATA, control & !2);

        assert_eq!(bench.v.run(), Exit::Wait);

        assert_eq!(bench.ram.bytes(DATA, 4), [0, 0x55, 0x55, 0]);
    }
}

#[test]
fn a_debugger_steps_into_the_guests_debug_exception() {
    for mut bench in benches(&counting()) {
        let cpu = bench.monitor();
        (cpu.cp15.dbgbvr[0], cpu.cp15.dbgbcr[0]) = (CODE + 4, ANY_MODE);

        assert_eq!(bench.v.step(false), Exit::Stepped);
        assert!(bench.at(4));
        assert_eq!(bench.v.step(false), Exit::Stepped);

        assert_eq!(bench.v.pc(), u64::from(VECTORS) + 0xc);
        bench.v.set_breakpoints([u64::from(CODE) + 4]);
        bench.start();
        let cpu = bench.monitor();
        (cpu.cp15.dbgbvr[0], cpu.cp15.dbgbcr[0]) = (CODE + 4, ANY_MODE);
        assert_eq!(bench.v.run(), Exit::Breakpoint, "the debugger's comes first");
    }
}

//! AArch32 code at EL0 under EL1 of AArch64: what EL1's controls make Undefined or trap, with its syndrome, and what the CPU
//! models have, in both accelerators.
#![allow(clippy::restriction, reason = "this is how a test fails")]

mod ram;

use emu_frontend_arm::a64::state::sctlr;
use emu_frontend_arm::a64::{A64, Cpu, model};
use emu_jit::engine::{Accel, Exit, Vcpu};
use ram::{BASE, Ram};

const VECTORS: u32 = BASE + 0x1000;
const CODE: u32 = BASE + 0x2000;
/// A table of level 1 that has RAM where it is, to be read and executed.
const TABLE: u32 = BASE + 0x1_0000;
/// A64's, at the vectors.
const WFI: u32 = 0xd503_207f;
/// Undefined in A32, and as two halfwords in T16.
const UDF: u32 = 0xe7f0_def0;
/// SPSR_EL1 of User mode, in A32 and in Thumb state.
const A32: u32 = 0x10;
const THUMB: u32 = 0x30;
/// ESR_EL1 of an Undefined instruction.
const UNDEFINED: u64 = 0x0200_0000;

struct Bench(Vcpu<A64>);

impl Bench {
    /// At EL0 before this code with the SPSR, floating point enabled; `set` changes more.
    fn new(accel: Accel, cpu_model: &str, spsr: u32, code: &[u8], set: fn(&mut Cpu)) -> Option<Bench> {
        let ram = Ram::new();
        for at in (0..0x800).step_by(4) {
            ram.put(VECTORS + at, &WFI.to_le_bytes());
        }
        ram.put(
            TABLE + 8,
            &(u64::from(BASE) | 1 << 10 | 3 << 8 | 3 << 6 | 1).to_le_bytes(),
        );
        ram.put(CODE, code);
        ram.put(CODE + code.len() as u32, &UDF.to_le_bytes());
        let guest = A64::alone(model::find(cpu_model).unwrap());
        let features = guest.model.features;
        let mut cpu = Cpu::reset();
        (cpu.sys.vbar, cpu.sys.cpacr) = (VECTORS.into(), 3 << 20);
        (cpu.sys.elr, cpu.sys.spsr) = (CODE.into(), spsr.into());
        set(&mut cpu);
        cpu.exception_return(features, CODE.into());
        let mut bench = Bench(Vcpu::new(guest, cpu, Box::new(ram), accel, true).ok()?);
        assert_eq!(bench.0.run(), Exit::Wait);
        Some(bench)
    }
    fn cpu(&self) -> &Cpu {
        self.0.state()
    }
    /// ESR_EL1 and how far into the code its exception was.
    fn end(&self) -> (u64, u64) {
        let s = &self.cpu().sys;
        assert_eq!(
            self.cpu().pc & 0xfff,
            0x604,
            "the vector of synchronous exceptions from AArch32"
        );
        (s.esr, s.elr - u64::from(CODE))
    }
}

fn benches(cpu_model: &str, spsr: u32, code: &[u8], set: fn(&mut Cpu)) -> Vec<Bench> {
    let all = [Accel::Interp, Accel::Jit].map(|accel| Bench::new(accel, cpu_model, spsr, code, set));
    all.into_iter().flatten().collect()
}

fn words(code: &[u32]) -> Vec<u8> {
    code.iter().flat_map(|w| w.to_le_bytes()).collect()
}
fn halfwords(code: &[u16]) -> Vec<u8> {
    code.iter().flat_map(|w| w.to_le_bytes()).collect()
}

/// Where code ends, and how.
#[track_caller]
fn ends(spsr: u32, code: &[u8], set: fn(&mut Cpu), end: (u64, u64)) {
    for bench in benches("max", spsr, code, set) {
        assert_eq!(bench.end(), end, "{code:02x?}");
    }
}

#[test]
fn setend_is_undefined_where_it_is_disabled() {
    let (arm, thumb) = (words(&[0xf101_0200]), halfwords(&[0xb658, 0xbf00]));

    ends(A32, &arm, |_| {}, (UNDEFINED, 4));
    ends(THUMB, &thumb, |_| {}, (UNDEFINED, 4));
    ends(A32, &arm, |c| c.sys.sctlr |= sctlr::SED, (UNDEFINED, 0));
    ends(THUMB, &thumb, |c| c.sys.sctlr |= sctlr::SED, (UNDEFINED, 0));
}

#[test]
fn barriers_of_cp15_are_undefined_where_they_are_disabled() {
    for barrier in [0xee07_0f95, 0xee07_0f9a, 0xee07_0fba] {
        let code = words(&[barrier]);
        ends(A32, &code, |c| c.sys.sctlr |= sctlr::CP15BEN, (UNDEFINED, 4));
        ends(A32, &code, |c| c.sys.sctlr &= !sctlr::CP15BEN, (UNDEFINED, 0));
    }
}

#[test]
fn it_is_undefined_where_it_is_disabled_and_not_simple() {
    let one = halfwords(&[0xbf18, 0x2001]); // IT NE; MOVNE R0, #1
    let two = halfwords(&[0xbf1c, 0x2001, 0x2001, 0xbf00]); // ITT NE
    let wide = halfwords(&[0xbf18, 0xf04f, 0x0001, 0xbf00]); // IT NE; MOV.W R0, #1
    let pc = halfwords(&[0xbf18, 0x4478]); // IT NE; ADD R0, PC

    for (code, all, disabled) in [(&one, 4, 4), (&two, 8, 0), (&wide, 8, 2), (&pc, 4, 2)] {
        ends(THUMB, code, |_| {}, (UNDEFINED, all));
        ends(THUMB, code, |c| c.sys.sctlr |= sctlr::ITD, (UNDEFINED, disabled));
    }
}

/// EL1 is told which of them it was, and in an IT block the block's state goes with it.
#[test]
fn waiting_traps_unless_it_is_allowed() {
    let trap = 0x01 << 26 | 1 << 24 | 0xe << 20;
    let (long, wfe) = (1 << 25, 1);
    ends(A32, &words(&[0xe320_f003]), |_| {}, (trap | long, 0));
    ends(A32, &words(&[0xe320_f002]), |_| {}, (trap | long | wfe, 0));
    ends(THUMB, &halfwords(&[0xbf30]), |_| {}, (trap, 0));
    ends(THUMB, &halfwords(&[0xf3af, 0x8002]), |_| {}, (trap | long | wfe, 0));
    let event = |c: &mut Cpu| c.sys.sctlr |= sctlr::NTWE;
    for bench in benches("max", THUMB, &halfwords(&[0xbf1c, 0xbf00, 0xbf30, 0xbf00]), event) {
        assert_eq!(bench.end(), (trap, 4), "ITT NE; NOP; WFI");
        assert_eq!(bench.cpu().sys.spsr, 0x30 | 0x18 >> 2 << 10);
    }
}

#[test]
fn timers_are_open_as_cntkctl_says() {
    let always = 1 << 25 | 1 << 24 | 0xe << 20;
    let cntvct = words(&[0xec51_0f1e]); // MRRC p15, 1, R0, R1, c14
    let cntv_ctl = words(&[0xee0e_2f33]); // MCR p15, 0, R2, c14, c3, 1
    let cntkctl = words(&[0xee1e_0f11]); // MRC p15, 0, R0, c14, c1, 0

    ends(
        A32,
        &cntvct,
        |_| {},
        (0x04 << 26 | always | 1 << 16 | 1 << 10 | 14 << 1 | 1, 0),
    );
    ends(A32, &cntvct, |c| c.sys.cntkctl = 2, (UNDEFINED, 4));
    let write = 0x03 << 26 | always | 1 << 17 | 14 << 10 | 2 << 5 | 3 << 1;
    ends(A32, &cntv_ctl, |c| c.sys.cntkctl = 3, (write, 0));
    let cntp_cval = words(&[0xec43_2f2e]); // MCRR p15, 2, R2, R3, c14
    let write = 0x04 << 26 | always | 2 << 16 | 3 << 10 | 2 << 5 | 14 << 1;
    ends(A32, &cntp_cval, |c| c.sys.cntkctl = 3, (write, 0));
    ends(A32, &cntkctl, |c| c.sys.cntkctl = 0x303, (UNDEFINED, 0));
    let open = |c: &mut Cpu| (c.x[2], c.sys.cntkctl) = (3, 1 << 8);
    for bench in benches("max", A32, &cntv_ctl, open) {
        assert_eq!(bench.end(), (UNDEFINED, 4));
        assert_eq!(bench.cpu().sys.cntv_ctl & 3, 3);
    }
}

/// Registers that a program writes are EL1's to see, and its own to read.
#[test]
fn what_a_program_writes_stays() {
    // MCR p15, 0, R0, c13, c0, 2; MCR p15, 0, R2, c9, c12, 5; MRC of it to R3
    let code = words(&[0xee0d_0f50, 0xee09_2fbc, 0xee19_3fbc]);
    let set = |c: &mut Cpu| (c.x[0], c.x[2], c.sys.pmu.userenr) = (0x8765_4321, 2, 1);
    for bench in benches("max", A32, &code, set) {
        assert_eq!(bench.end(), (UNDEFINED, 12));
        assert_eq!((bench.cpu().sys.tpidr_el0, bench.cpu().x[3]), (0x8765_4321, 2));
    }
}

/// Between a load and its store exclusive a program may read and write such registers.
#[test]
fn system_registers_leave_the_monitor_alone() {
    // LDREX R0, [R1]; MRC p15, 0, R3, c13, c0, 2; MCR of it; MSR APSR_g, R3; STREX R2, R0, [R1]
    let code = words(&[0xe191_0f9f, 0xee1d_3f50, 0xee0d_3f50, 0xe124_f003, 0xe181_2f90]);
    for bench in benches("max", A32, &code, |c| (c.x[1], c.x[2]) = (u64::from(BASE) + 0x8000, 7)) {
        assert_eq!(bench.end(), (UNDEFINED, 20));
        assert_eq!(bench.cpu().x[2], 0, "stored");
    }
}

/// SCTLR_EL1.A counts before and after what programs do with system registers.
#[test]
fn alignment_is_checked_as_ever_after_a_system_register() {
    // VMRS R3, FPSCR; VMSR FPSCR, R3; MSR APSR_g, R3; LDR R0, [R1]
    let code = words(&[0xeef1_3a10, 0xeee1_3a10, 0xe124_f003, 0xe591_0000]);
    fn mapped(c: &mut Cpu) {
        (c.sys.ttbr0, c.sys.tcr, c.sys.mair) = (TABLE.into(), 25 | 1 << 23 | 2 << 32, 0xff);
        c.sys.sctlr = c.sys.sctlr & !sctlr::A | sctlr::M;
        c.x[1] = u64::from(CODE) + 1;
    }
    ends(A32, &code, mapped, (UNDEFINED, 16));
    let fault = 0x24 << 26 | 1 << 25 | 0x21;
    let checked = |c: &mut Cpu| {
        mapped(c);
        c.sys.sctlr |= sctlr::A;
    };
    ends(A32, &code, checked, (fault, 12));
}

#[test]
fn the_debug_channel_traps_where_it_is_closed() {
    let dscr = words(&[0xee10_1e11]); // MRC p14, 0, R1, c0, c1, 0

    ends(A32, &dscr, |_| {}, (UNDEFINED, 4));
    let trap = 0x05 << 26 | 1 << 25 | 1 << 24 | 0xe << 20 | 1 << 5 | 1 << 1 | 1;
    ends(A32, &dscr, |c| c.sys.mdscr |= 1 << 12, (trap, 0));
    // STC p14, c5, [R1, #-4]!, LDC p14, c5, [R1], #4: before memory is accessed.
    for (word, how) in [(0xed61_5e01, 3 << 1), (0xecb1_5e01, 1 << 4 | 1 << 1 | 1)] {
        let word = word & !(1 << 22);
        let trap = 0x06 << 26 | 1 << 25 | 1 << 24 | 0xe << 20 | 1 << 12 | 1 << 5 | how;
        ends(A32, &words(&[word]), |c| c.sys.mdscr |= 1 << 12, (trap, 0));
    }
}

/// PMCR says what the CPU is, as PMCR_EL0 does.
#[test]
fn performance_monitors_are_the_models() {
    let pmcr = words(&[0xee19_1f1c]); // MRC p15, 0, R1, c9, c12, 0
    for (cpu_model, value) in [("cortex-a53", 0x4103_3000), ("neoverse-n1", 0x410c_3000)] {
        for bench in benches(cpu_model, A32, &pmcr, |c| c.sys.pmu.userenr = 1) {
            assert_eq!(bench.end(), (UNDEFINED, 4));
            assert_eq!(bench.cpu().x[1] & 0xffff_f800, value, "{cpu_model}");
        }
    }
}

#[test]
fn user_mode_writes_ssbs_and_dit() {
    let code = words(&[0xe124_f000, 0xe10f_1000]); // MSR APSR_g, R0; MRS R1, CPSR
    let bits = 1 << 23 | 1 << 21 | 5 << 16;
    for (cpu_model, shown, saved) in [
        ("max", bits, 1 << 23 | 1 << 24 | 5 << 16),
        ("neoverse-n1", 1 << 23 | 5 << 16, 1 << 23 | 5 << 16),
        ("cortex-a53", 5 << 16, 5 << 16),
    ] {
        for bench in benches(cpu_model, A32, &code, |c| c.x[0] = !(0xa << 16)) {
            assert_eq!(bench.end(), (UNDEFINED, 8));
            assert_eq!(bench.cpu().x[1] & 0x0fff_0000, shown, "{cpu_model}");
            assert_eq!(bench.cpu().sys.spsr & 0x0fff_0000, saved, "{cpu_model}");
        }
    }
}

#[test]
fn models_have_the_instructions_of_their_features() {
    let rows = [
        (0xe191_0c9f, true, true, true),    // LDA R0, [R1]
        (0xe101_0042, true, true, true),    // CRC32B R0, R1, R2
        (0xf3b0_0300, true, true, true),    // AESE.8 Q0, Q0
        (0xf2a0_0e00, true, true, true),    // VMULL.P64 Q0, D0, D0
        (0xfe00_0a00, true, true, true),    // VSELEQ.F32 S0, S0, S0
        (0xee30_0900, false, true, true),   // VADD.F16 S0, S0, S0
        (0xfc20_0d00, false, true, true),   // VSDOT.S8 D0, D0, D0
        (0xf310_0b10, false, true, true),   // VQRDMLAH.S16 D0, D0, D0
        (0xfc80_0800, false, false, false), // VCADD.F16 D0, D0, D0, #90 on max: below
        (0xeeb9_0bc0, false, false, true),  // VJCVT.S32.F64 S0, D0
        (0xfc20_0c40, false, false, true),  // VSMMLA.S8 Q0, Q0, Q0
    ];
    for (word, a53, n1, max) in rows {
        // Half precision of FEAT_FCMA needs both.
        let max = max || word == 0xfc80_0800;
        for (cpu_model, there) in [("cortex-a53", a53), ("neoverse-n1", n1), ("max", max)] {
            for bench in benches(cpu_model, A32, &words(&[word]), |c| c.x[1] = CODE.into()) {
                let end = if there { 4 } else { 0 };
                assert_eq!(bench.end(), (UNDEFINED, end), "{cpu_model} {word:#x}");
            }
        }
    }
}

#[test]
fn there_are_no_short_vectors() {
    let code = words(&[0xeee1_0a10, 0xeef1_1a10, 0xee30_0a00]); // VMSR FPSCR, R0; VMRS R1, FPSCR; VADD.F32
    for (cpu_model, kept) in [("cortex-a53", 0), ("neoverse-n1", 1 << 19)] {
        for bench in benches(cpu_model, A32, &code, |c| c.x[0] = 0x003f_0000 | 1 << 19) {
            assert_eq!(bench.end(), (UNDEFINED, 12));
            assert_eq!(bench.cpu().x[1], kept, "{cpu_model}");
        }
    }
}

/// An abort in an IT block keeps the block's state, and BKPT is taken whatever its condition.
#[test]
fn exceptions_in_it_blocks_keep_their_state() {
    let load = halfwords(&[0xbf1a, 0xbf00, 0x6808, 0xbf00]); // ITTE NE; NOP; LDR R0, [R1]
    for bench in benches("max", THUMB, &load, |c| c.x[1] = 3) {
        let (esr, at) = bench.end();
        assert_eq!((esr >> 26, at), (0x24, 4));
        assert_eq!(bench.cpu().sys.spsr, 0x30 | 0x14 >> 2 << 10, "NE, then EQ");
    }
    let bkpt = halfwords(&[0xbf08, 0xbe12]); // IT EQ; BKPT #0x12
    for bench in benches("max", THUMB, &bkpt, |_| {}) {
        assert_eq!(bench.end(), (0x38 << 26 | 0x12, 2));
        assert_eq!(bench.cpu().sys.spsr, 0x30 | 0x08 >> 2 << 10);
    }
}

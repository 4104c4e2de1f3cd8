//! Pointer authentication by running code, in both accelerators.
#![allow(clippy::restriction, reason = "this is how a test fails")]

mod ram;

use emu_frontend_arm::a64::pauth::field::{Which, add, auth};
use emu_frontend_arm::a64::state::{psr, sctlr, tcr};
use emu_frontend_arm::a64::{A64, Cpu, model};
use emu_ir::testing::Random;
use emu_jit::engine::{Accel, Exit, Vcpu};
use ram::{BASE, Ram};

const VECTORS: u32 = BASE + 0x1000;
const CODE: u32 = BASE + 0x2000;
const DATA: u32 = BASE + 0x8000;

const NOP: u32 = 0xd503_201f;
const WFI: u32 = 0xd503_207f;
const PACIASP: u32 = 0xd503_233f;
const AUTIASP: u32 = 0xd503_23bf;
const XPACLRI: u32 = 0xd503_20ff;
const KEYS: [Which; 4] = [Which::IA, Which::IB, Which::DA, Which::DB];

/// PACIA X0, X1, and of the other keys.
const fn pac(which: Which) -> u32 {
    0xdac1_0020 | which.0 << 10
}
/// AUTIA X0, X1, and of the other keys.
const fn aut(which: Which) -> u32 {
    pac(which) | 1 << 12
}
/// XPACI X0, XPACD X0.
const fn xpac(data: bool) -> u32 {
    0xdac1_43e0 | (data as u32) << 10
}

/// At EL1, MMU off, 48 bits of address, tags in the low half, all keys on; `how` is what else.
fn cpu(how: impl Fn(&mut Cpu)) -> Cpu {
    let mut cpu = Cpu::reset();
    let c = &mut cpu.sys;
    c.vbar = VECTORS.into();
    c.tcr = 16 | 16 << 16 | tcr::TBI0;
    c.sctlr |= sctlr::ENIA | sctlr::ENIB | sctlr::ENDA | sctlr::ENDB;
    c.keys = [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]].map(|key| key.map(|k| k * 0x0123_4567_89ab_cdef));
    (cpu.pc, cpu.x[31]) = (CODE.into(), DATA.into());
    how(&mut cpu);
    cpu.update_layout();
    cpu.set_psr(psr::SP | 1 << psr::EL_SHIFT | psr::DAIF);
    cpu
}

/// The state at the first WFI, behind the code or at a vector: the same in both accelerators.
fn run(model: &str, code: &[u32], before: Cpu) -> Cpu {
    let ends = [Accel::Interp, Accel::Jit].into_iter().filter_map(|accel| {
        let ram = Ram::new();
        for at in (0..0x800).step_by(4) {
            ram.put(VECTORS + at, &WFI.to_le_bytes());
        }
        for (at, word) in (CODE..).step_by(4).zip(code.iter().chain([&WFI])) {
            ram.put(at, &word.to_le_bytes());
        }
        ram.put(DATA + 0x10, &0x55aa_u64.to_le_bytes());
        let guest = A64::alone(model::find(model).unwrap());
        let mut v = Vcpu::new(guest, before, Box::new(ram), accel, true).ok()?;
        assert_eq!(v.run(), Exit::Wait);
        Some(*v.state())
    });
    let ends: Vec<Cpu> = ends.collect();
    let first = *ends.first().expect("an interpreter");
    for end in ends {
        assert_eq!((end.x, end.pc, end.sys.esr), (first.x, first.pc, first.sys.esr));
    }
    first
}

fn features(model: &str) -> emu_frontend_arm::a64::Features {
    model::find(model).unwrap().features
}

#[test]
fn translated_code_computes_what_the_pseudocode_says() {
    let mut random = Random::new(1);
    for model in ["max", "max,fpac=off", "max,pauth2=off", "max,pauth=architected"] {
        for t in [tcr::TBI0, 0, tcr::TBI0 | tcr::TBID0, tcr::TBI1, tcr::TBI0 | 25] {
            for which in KEYS {
                let strange = random.next() << 48;
                let pointer = random.next() >> 16 | random.pick(&[0, 0xffff << 48, strange]);
                let modifier = random.next();
                let before = cpu(|cpu| {
                    cpu.sys.tcr = t | 16 << 16 | if t & 0x3f == 0 { 16 } else { 0 };
                    (cpu.x[0], cpu.x[1]) = (pointer, modifier);
                });
                let f = features(model);

                let added = run(model, &[pac(which)], before).x[0];

                assert_eq!(
                    added,
                    add(&before, f, pointer, modifier, which),
                    "{model} {t:#x} {pointer:#x}"
                );
                let mut signed = before;
                signed.x[0] = added;
                let checked = run(model, &[aut(which)], signed);
                match auth(&before, f, added, modifier, which, false) {
                    Ok(right) => assert_eq!(checked.x[0], right),
                    Err(_) => assert_eq!(checked.sys.esr >> 26, 0x1c),
                }
                let plain = run(model, &[xpac(which.is_data())], signed).x[0];
                let half = ((pointer as i64) << 8 >> 63) as u64;
                let [low, differs] = [0, 1].map(|i| before.sys.pac[(which.0 & 2) as usize + i]);
                let mask = low ^ differs & half;
                assert_eq!(plain & !mask, added & !mask);
                assert_eq!(plain & mask, ((added as i64) << 8 >> 63) as u64 & mask);
            }
        }
    }
}

/// EC 0x1c at the instruction, with the key in the syndrome; without FEAT_FPAC the use of the pointer is what faults.
#[test]
fn a_wrong_code_is_an_exception_there_or_at_the_pointers_use() {
    for which in KEYS {
        let before = cpu(|cpu| (cpu.x[0], cpu.x[1]) = (u64::from(CODE) | 1 << 52, 5));
        let end = run("max", &[NOP, aut(which)], before);
        assert_eq!(end.sys.esr, 0x7200_0000 | u64::from(which.0));
        assert_eq!((end.sys.elr, end.x[0]), (u64::from(CODE) + 4, before.x[0]));
    }
    let ret = 0xd65f_03c0;
    let before = cpu(|cpu| cpu.x[30] = u64::from(CODE) | 1 << 52);
    let end = run("max,fpac=off", &[AUTIASP, ret], before);
    assert_eq!(
        (end.sys.esr >> 26, end.sys.elr, end.sys.far),
        (0x21, end.x[30], end.x[30])
    );
    assert_ne!(end.x[30] >> 48, 0);
}

#[test]
fn a_key_that_is_off_leaves_pointers_alone() {
    let off = cpu(|cpu| {
        cpu.sys.sctlr &= !(sctlr::ENIA | sctlr::ENDB);
        (cpu.x[0], cpu.x[1], cpu.x[30]) = (0x1234, 5, 0x5678);
    });
    for word in [pac(Which::IA), aut(Which::DB), PACIASP, AUTIASP] {
        let end = run("max", &[word], off);
        assert_eq!((end.x, end.pc), (off.x, u64::from(CODE) + 8), "{word:#x}");
    }
    assert_ne!(run("max", &[pac(Which::IB)], off).x[0], 0x1234);
}

/// Hints are hints where the feature is not, all else is Undefined.
#[test]
fn without_the_feature_hints_do_nothing() {
    let before = cpu(|cpu| cpu.x[30] = 0xff_0000_5678);
    for word in [PACIASP, AUTIASP, XPACLRI] {
        let end = run("max,pauth=off", &[word], before);
        assert_eq!((end.x, end.pc), (before.x, u64::from(CODE) + 8));
    }
    for word in [pac(Which::IA), xpac(true), 0xd65f_0bff, 0xf820_0400, 0xd538_2100] {
        assert_eq!(run("max,pauth=off", &[word], before).sys.esr, 0x0200_0000, "{word:#x}");
    }
}

#[test]
fn keys_are_registers_of_el1() {
    let lo = |read: u32, crm: u32, op2: u32| 0xd518_2000 | read << 21 | crm << 8 | op2 << 5;
    let rows = [(1, 0), (1, 2), (2, 0), (2, 2), (3, 0)];
    for (which, (crm, op2)) in rows.into_iter().enumerate() {
        let before = cpu(|cpu| cpu.x[0] = 0x77);
        let end = run("max", &[lo(0, crm, op2), lo(1, crm, op2 + 1) | 3], before);
        assert_eq!((end.sys.keys[which][0], end.x[3]), (0x77, before.sys.keys[which][1]));
    }
    let mut user = cpu(|_| {});
    user.set_psr(0);
    assert_eq!(run("max", &[lo(1, 1, 0)], user).sys.esr, 0x0200_0000);
}

/// PACGA: the upper half, of one key that nothing turns off.
#[test]
fn a_generic_code_has_32_bits() {
    for model in ["max", "max,pauth=architected"] {
        let before = cpu(|cpu| {
            cpu.sys.sctlr = sctlr::ONES;
            (cpu.x[1], cpu.x[2]) = (0x1111, 0x2222);
        });
        let code = run(model, &[0x9ac2_3020], before).x[0];
        assert!(code != 0 && code & 0xffff_ffff == 0, "{code:#x}");
    }
}

#[test]
fn branches_and_loads_check_their_address() {
    for model in ["max", "max,fpac=off", "max,pauth2=off", "max,pauth=architected"] {
        let f = features(model);
        let to = u64::from(CODE) + 16;
        let signed = |which, to, modifier| add(&cpu(|_| {}), f, to, modifier, which);
        let zero = |which| signed(which, to, 0);
        let rows = [
            (0xd71f_0841, signed(Which::IA, to, 0x99), None), // BRAA X2, X1
            (0xd71f_0c41, signed(Which::IB, to, 0x99), None), // BRAB X2, X1
            (0xd61f_085f, zero(Which::IA), None),             // BRAAZ X2
            (0xd73f_0c41, signed(Which::IB, to, 0x99), Some(CODE + 4)), // BLRAB X2, X1
            (0xd63f_085f, zero(Which::IA), Some(CODE + 4)),   // BLRAAZ X2
        ];
        for (word, x2, x30) in rows {
            let before = cpu(|cpu| (cpu.x[1], cpu.x[2]) = (0x99, x2));
            let end = run(model, &[word, WFI, WFI, WFI, NOP], before);
            assert_eq!(
                (end.pc, end.x[30]),
                (to + 8, x30.unwrap_or(0).into()),
                "{model} {word:#x}"
            );
        }
        // RETAA, RETAB
        for (word, which) in [(0xd65f_0bff, Which::IA), (0xd65f_0fff, Which::IB)] {
            let before = cpu(|cpu| cpu.x[30] = signed(which, to, DATA.into()));
            assert_eq!(run(model, &[word, WFI, WFI, WFI, NOP], before).pc, to + 8);
        }
        // ERETAB
        let before = cpu(|cpu| (cpu.sys.elr, cpu.sys.spsr) = (signed(Which::IB, to, DATA.into()), 0b0101));
        let end = run(model, &[0xd69f_0fff, WFI, WFI, WFI, NOP], before);
        assert_eq!((end.pc, end.psr & psr::DAIF), (to + 8, 0), "{model}");
        // LDRAA X3, [X2, #16]! and LDRAB X3, [X2, #-8]
        let before = cpu(|cpu| cpu.x[2] = signed(Which::DA, DATA.into(), 0));
        let end = run(model, &[0xf820_2c43], before);
        assert_eq!((end.x[3], end.x[2]), (0x55aa, u64::from(DATA) + 16));
        let before = cpu(|cpu| cpu.x[2] = signed(Which::DB, u64::from(DATA) + 24, 0));
        let end = run(model, &[0xf8ff_f443], before);
        assert_eq!((end.x[3], end.x[2]), (0x55aa, before.x[2]));
    }
}

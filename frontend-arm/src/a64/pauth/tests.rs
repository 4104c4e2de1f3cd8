//! Codes by the manual's pseudocode: where they are, and what wrong ones make of a pointer.

use super::super::fault::{class, exception};
use super::super::features::Features;
use super::super::state::{Cpu, tcr};
use super::field::{Which, add, auth, is_usual, layout};
use super::*;
use emu_ir::testing::Random;

const PLAIN: Features = Features::BASE.with(&[Feature::PAuth]);
const ARCHITECTED: Features = PLAIN.with(&[Feature::Qarma5]);
const XOR: Features = PLAIN.with(&[Feature::PAuth2]);
const FAULTS: Features = XOR.with(&[Feature::Fpac]);

/// 48 bits of address in both halves, tags in the low one, as Linux has it.
const LINUX: u64 = 16 | 16 << 16 | 2 << 30 | tcr::TBI0;
const KEYS: [Which; 4] = [Which::IA, Which::IB, Which::DA, Which::DB];

fn cpu(t: u64, random: &mut Random) -> Cpu {
    let mut cpu = Cpu::reset();
    cpu.sys.tcr = t;
    cpu.update_layout();
    cpu.sys.keys = std::array::from_fn(|_| [random.next(), random.next()]);
    cpu
}

#[test]
fn codes_are_in_the_bits_above_an_address_but_for_bit_55_and_tags() {
    let rows = [
        (LINUX, [0x007f << 48, 0xff00 << 48, 0x007f << 48, 0xff00 << 48]),
        (LINUX & !tcr::TBI0, [0xff7f << 48, 0, 0xff7f << 48, 0]),
        (LINUX | tcr::TBID0, [0xff7f << 48, 0, 0x007f << 48, 0xff00 << 48]),
        // 39 bits.
        (
            25 | 25 << 16 | tcr::TBI0 | tcr::TBI1,
            [
                0x7fff << 40 & !(1 << 55) | 1 << 39,
                0,
                0x7fff << 40 & !(1 << 55) | 1 << 39,
                0,
            ],
        ),
        // 52 bits by pages of 64 KiB.
        (12 | 1 << 14 | 12 << 16 | 3 << 30, [0xff70 << 48, 0, 0xff70 << 48, 0]),
    ];
    for (t, want) in rows {
        assert_eq!(layout(t), want, "{t:#x}: {:#x?}", layout(t));
    }
    assert!(is_usual(LINUX) && is_usual(LINUX | tcr::TBI1 | tcr::TBID1));
    for other in [LINUX | tcr::TBID0, LINUX & !tcr::TBI0, LINUX + 1, LINUX + (1 << 16), 0] {
        assert!(!is_usual(other), "{other:#x}");
    }
}

#[test]
fn what_has_been_added_is_right() {
    let mut random = Random::new(1);
    for features in [PLAIN, ARCHITECTED, XOR, FAULTS] {
        for t in [LINUX, LINUX & !tcr::TBI0, LINUX | tcr::TBID0, LINUX | tcr::TBI1] {
            let cpu = cpu(t, &mut random);
            for which in KEYS {
                let (low, modifier) = (random.next() >> 16, random.next());
                for pointer in [low, low | 0xffff << 48] {
                    let signed = add(&cpu, features, pointer, modifier, which);

                    assert_eq!(signed >> 55 & 1, pointer >> 55 & 1);
                    assert_eq!(auth(&cpu, features, signed, modifier, which, false), Ok(pointer));
                }
            }
        }
    }
}

/// A wrong code is an error in the pointer's upper bits, or stays there, or is an exception.
#[test]
fn what_is_wrong_cannot_be_used() {
    let cpu = cpu(LINUX, &mut Random::new(2));
    let (low, high) = (0x7fff_1234_5678, 0xffff_8000_1234_5678);
    for which in KEYS {
        let error = 1 + u64::from(which.0 & 1);
        let wrong = |features, pointer| {
            let signed = add(&cpu, features, pointer, 7, which) ^ 1 << 50;
            auth(&cpu, features, signed, 7, which, true)
        };
        assert_eq!(wrong(PLAIN, low), Ok(low | error << 53));
        assert_eq!(wrong(ARCHITECTED, high), Ok(high & !(3 << 61) | error << 61));
        assert_eq!(wrong(XOR, low), Ok(low ^ 1 << 50));
        assert_eq!(wrong(FAULTS, high), Ok(high ^ 1 << 50), "combined");
        let combined = FAULTS.with(&[Feature::FpacCombine]);
        assert_eq!(wrong(combined, high), Err(exception(class::PAC_FAIL, which.0)));
    }
}

/// An address that is none gets a code that is wrong, or keeps what makes it none.
#[test]
fn what_is_no_address_does_not_become_one() {
    let cpu = cpu(LINUX, &mut Random::new(3));
    let none = 1 << 49;
    for features in [PLAIN, ARCHITECTED, XOR] {
        let signed = add(&cpu, features, none, 1, Which::IA);
        let checked = auth(&cpu, features, signed, 1, Which::IA, false).unwrap();

        assert_ne!(checked << 8 >> 56, 0, "{checked:#x}");
    }
}

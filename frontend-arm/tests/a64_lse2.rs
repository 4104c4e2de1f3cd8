//! Alignment of exclusive, atomic and ordered accesses, in both accelerators (FEAT_LSE2).
#![allow(clippy::restriction, reason = "this is how a test fails")]

mod pages;
mod ram;

use emu_frontend_arm::a64::state::sctlr;
use emu_jit::engine::Accel;
use pages::{Bench, PLAIN, STACK};

/// What a descriptor of a Device-nGnRnE page has besides.
const DEVICE: u64 = 1 << 2;

/// At EL1, of X1; what X2 and X3 hold is stored.
const LDADD_W: u32 = 0xb822_0023; // LDADD W2, W3, [X1]
const LDADD_X: u32 = 0xf822_0023;
const STADD_W: u32 = 0xb822_003f;
const LDSMAX_X: u32 = 0xf822_4023;
const SWP_H: u32 = 0x7822_8023;
const SWP_X: u32 = 0xf822_8023;
const CAS_H: u32 = 0x48a2_7c23;
const CAS_X: u32 = 0xc8a2_7c23;
const CASP_X: u32 = 0x4822_7c24; // CASP X2, X3, X4, X5, [X1]
const LDXR_W: u32 = 0x885f_7c23;
const STXR_W: u32 = 0x8804_7c22; // STXR W4, W2, [X1]
const LDXP_W: u32 = 0x887f_1023; // LDXP W3, W4, [X1]
const LDXP_X: u32 = 0xc87f_1023;
const LDAR_X: u32 = 0xc8df_fc23;
const LDAR_H: u32 = 0x48df_fc23;
const STLR_W: u32 = 0x889f_fc23;
const LDAPUR_X: u32 = 0xd940_0023;

/// Whether the access at an offset from a multiple of 16 is made, or is an alignment fault.
fn allowed(model: &str, control: u64, word: u32, by: u64) -> bool {
    allowed_in(0, model, control, word, by)
}
/// The same in a page whose descriptor has that besides.
fn allowed_in(kind: u64, model: &str, control: u64, word: u32, by: u64) -> bool {
    let ends = [Accel::Interp, Accel::Jit].into_iter().filter_map(|accel| {
        let mut bench = Bench::new(accel, model)?;
        bench.page(STACK, kind).code(PLAIN, &[word]);
        let cpu = bench.cpu();
        cpu.x[1] = u64::from(STACK) + 0x40 + by;
        cpu.sys.sctlr |= control;
        cpu.update_mode();
        let end = bench.run();
        if let Err((esr, elr, _)) = end {
            assert_eq!((esr & !0x40, elr), (0x9600_0021, PLAIN.into()), "{word:#x}");
            assert_eq!(bench.cpu().sys.far, u64::from(STACK) + 0x40 + by);
        }
        Some(end.is_ok())
    });
    let ends: Vec<bool> = ends.collect();
    assert!(
        ends.windows(2).all(|two| two[0] == two[1]),
        "{word:#x} at {by}: {ends:?}"
    );
    ends[0]
}

#[test]
fn what_is_atomic_lies_within_16_bytes() {
    let rows = [
        (LDADD_W, 4),
        (LDADD_X, 8),
        (SWP_H, 2),
        (CAS_X, 8),
        (CASP_X, 16),
        (LDXR_W, 4),
        (LDXP_W, 8),
        (LDXP_X, 16),
        (LDAR_X, 8),
        (LDAR_H, 2),
        (STLR_W, 4),
        (LDAPUR_X, 8),
    ];
    for (word, bytes) in rows {
        for by in 0..16 {
            let (aligned, within) = (by % bytes == 0, by + bytes <= 16);
            assert_eq!(allowed("max", 0, word, by), within, "{word:#x} at {by}");
            assert_eq!(allowed("max,lse2=off", 0, word, by), aligned, "{word:#x} at {by}");
            assert_eq!(allowed("max", sctlr::A, word, by), aligned, "{word:#x} at {by}");
            let ordered = matches!(word, LDAR_X | LDAR_H | STLR_W | LDAPUR_X);
            assert_eq!(
                allowed("max", sctlr::NAA, word, by),
                within || ordered,
                "{word:#x} at {by}"
            );
        }
    }
}

/// FEAT_LSE2 is for Normal memory.
#[test]
fn what_is_atomic_is_aligned_in_device_memory() {
    let rows = [
        (LDADD_W, 4),
        (LDADD_X, 8),
        (STADD_W, 4),
        (LDSMAX_X, 8),
        (SWP_H, 2),
        (SWP_X, 8),
        (CAS_H, 2),
        (CAS_X, 8),
        (CASP_X, 16),
        (LDXR_W, 4),
        (LDXP_W, 8),
        (LDXP_X, 16),
        (LDAR_X, 8),
        (LDAR_H, 2),
        (STLR_W, 4),
        (LDAPUR_X, 8),
    ];
    for (word, bytes) in rows {
        for by in 0..16 {
            let aligned = by % bytes == 0;
            for control in [0, sctlr::NAA, sctlr::A] {
                assert_eq!(
                    allowed_in(DEVICE, "max", control, word, by),
                    aligned,
                    "{word:#x} at {by}, SCTLR_EL1 with {control:#x}"
                );
            }
        }
    }
}

/// They do at any address what they do at others.
#[test]
fn unaligned_atomics_compute() {
    for accel in [Accel::Interp, Accel::Jit] {
        for (word, bytes, want) in [
            (LDADD_W, 4, 0x1122_3344_u64 + 5),
            (LDADD_X, 8, 0x5566_7788_1122_3344 + 5),
            (SWP_H, 2, 5),
            (0xc8a3_7c22, 8, 0x5), // CAS X3, X2, [X1]
        ] {
            for by in 0..=16 - bytes {
                let Some(mut bench) = Bench::new(accel, "max") else {
                    continue;
                };
                bench.code(PLAIN, &[word]);
                let (at, was) = (STACK + 0x40 + by, 0x5566_7788_1122_3344_u64);
                bench.ram.put(STACK + 0x38, &[0xee; 32]);
                bench.ram.put(at, &was.to_le_bytes()[..bytes as usize]);
                let cpu = bench.cpu();
                (cpu.x[1], cpu.x[2], cpu.x[3]) = (at.into(), 5, was);
                bench.run().unwrap();
                let mut held = [0; 8];
                held[..bytes as usize].copy_from_slice(&bench.ram.bytes(at, bytes as usize));
                assert_eq!(u64::from_le_bytes(held), want, "{accel:?} {word:#x} at {by}");
                assert_eq!(bench.cpu().x[3] << (64 - 8 * bytes), was << (64 - 8 * bytes));
                let (before, after) = (bench.ram.bytes(at - 1, 1)[0], bench.ram.bytes(at + bytes, 1)[0]);
                assert_eq!((before, after), (0xee, 0xee));
            }
        }
    }
}

/// An exclusive pair of instructions at an address that is not aligned.
#[test]
fn unaligned_exclusives_store() {
    for accel in [Accel::Interp, Accel::Jit] {
        let Some(mut bench) = Bench::new(accel, "max") else {
            continue;
        };
        bench.code(PLAIN, &[LDXR_W, STXR_W]);
        let cpu = bench.cpu();
        (cpu.x[1], cpu.x[2], cpu.x[4]) = (u64::from(STACK) + 3, 0x0102_0304, 9);
        bench.run().unwrap();
        assert_eq!((bench.cpu().x[4], bench.ram.bytes(STACK + 3, 4)), (0, vec![4, 3, 2, 1]));
    }
}

/// The page has become Device memory between the load and the store.
#[test]
fn an_unaligned_store_exclusive_to_device_memory_faults() {
    for accel in [Accel::Interp, Accel::Jit] {
        let Some(mut bench) = Bench::new(accel, "max") else {
            continue;
        };
        bench.code(PLAIN, &[LDXR_W, pages::WFI, STXR_W]);
        bench.cpu().x[1] = u64::from(STACK) + 3;
        bench.run().unwrap();
        bench.page(STACK, DEVICE);

        let (esr, elr, _) = bench.run().unwrap_err();

        assert_eq!((esr, elr), (0x9600_0061, u64::from(PLAIN) + 8), "{accel:?}");
    }
}

/// The same access has been made there where it is aligned.
#[test]
fn an_unaligned_atomic_faults_in_a_device_page_that_is_known() {
    const LDR_W: u32 = 0xb940_0024; // LDR W4, [X1]
    const STR_W: u32 = 0xb900_0024;
    let all = [Accel::Interp, Accel::Jit]
        .into_iter()
        .flat_map(|accel| [LDADD_W, STADD_W, SWP_H, CAS_X].map(|word| (accel, word)));
    for (accel, word) in all {
        let Some(mut bench) = Bench::new(accel, "max") else {
            continue;
        };
        bench
            .page(STACK, DEVICE)
            .code(PLAIN, &[LDR_W, STR_W, word, 0x9100_0421, word]); // ADD X1, X1, #1
        bench.cpu().x[1] = u64::from(STACK) + 0x40;

        let (esr, elr, _) = bench.run().unwrap_err();

        // Not WnR: a read would fault as well.
        assert_eq!((esr, elr), (0x9600_0021, u64::from(PLAIN) + 16), "{accel:?} {word:#x}");
    }
}

//! Code in memory that changes, and at the ends of what may be executed, in both accelerators.
#![allow(clippy::restriction, reason = "this is how a test fails")]

mod pages;
mod ram;

use emu_frontend_arm::a64::state::tcr;
use emu_jit::engine::Accel;
use pages::{Bench, GUARDED, OTHER, PLAIN, TABLES, WFI};
use ram::BASE;

const NOP: u32 = 0xd503_201f;
const RET: u32 = 0xd65f_03c0;
const MOV_1: u32 = 0x5280_0020; // MOV W0, #1
const MOV_2: u32 = 0x5280_0040; // MOV W0, #2
const CALL: u32 = 0xd63f_00c0; // BLR X6
/// Of a page: valid, Access flag, Inner Shareable, not global.
const PAGE: u64 = 1 << 11 | 1 << 10 | 3 << 8 | 3;
/// Two more pages at the end of RAM: the second is where [`OTHER`] is.
const ALIAS: u64 = BASE as u64 + 0x2_1000;

/// Two words in one.
const fn both(low: u32, high: u32) -> u64 {
    low as u64 | (high as u64) << 32
}

/// Instructions that store MOV W0, #2 where MOV W0, #1 is, at X1: X2, X3 and V2 are the new words, X8 and X9 the old ones, W10
/// is the difference; X14 is 4 bytes before X1, X15 what to store there.
const STORES: [(&str, &[u32]); 14] = [
    ("strb", &[0x3900_0022]),
    ("str", &[0xf900_0022]),
    ("stlr", &[0xc89f_fc22]),
    ("stp", &[0xa900_0c22]),
    ("str q", &[0x3d80_0022]),
    ("st1", &[0x4c00_7022]),
    ("swp", &[0xf822_802b]),
    ("ldadd", &[0xb82a_002b]),
    ("cas", &[0xc8a8_7c22]),
    ("casp", &[0x4828_7c22]),
    ("ldxr, stxr", &[0xc85f_7c2b, 0xc80c_7c22]),
    ("ldxp, stxp", &[0xc87f_342b, 0xc82c_0c22]),
    ("a store into both pages", &[0xf900_01cf]),
    ("dc zva", &[0xd50b_7421]),
];

/// What a function returns after it has been stored to by another of its addresses, or by its own.
#[test]
fn code_is_what_was_stored_there_however_it_was_stored() {
    for (name, store) in STORES {
        for (at, known) in [(ALIAS, false), (ALIAS, true), (OTHER.into(), true)] {
            for accel in [Accel::Interp, Accel::Jit] {
                let Some(mut bench) = Bench::new(accel, "max") else {
                    continue;
                };
                for (page, frame) in [(0x20, GUARDED), (0x21, OTHER)] {
                    let descriptor = u64::from(frame) | PAGE;
                    bench.ram.put(TABLES[2] + 8 * page, &descriptor.to_le_bytes());
                }
                // Whether the page has been stored to before it has code.
                let before = if known { 0x3920_002a } else { NOP }; // STRB W10, [X1, #0x800]
                let code = [&[before, CALL, CALL], store, &[CALL, WFI]].concat();
                bench.code(PLAIN, &code).code(OTHER, &[MOV_1, RET, NOP, NOP]);
                let cpu = bench.cpu();
                cpu.sys.cpacr = 3 << 20;
                cpu.update_mode();
                (cpu.x[1], cpu.x[6]) = (at, OTHER.into());
                (cpu.x[2], cpu.x[3]) = (both(MOV_2, RET), both(NOP, NOP));
                (cpu.x[8], cpu.x[9]) = (both(MOV_1, RET), both(NOP, NOP));
                (cpu.x[10], cpu.x[14], cpu.x[15]) = ((MOV_2 - MOV_1).into(), at - 4, both(0, MOV_2));
                cpu.q[2] = [both(MOV_2, RET), both(NOP, NOP)];

                let end = bench.run();

                let what = format!("{accel:?}: {name} at {at:#x}, {known}");
                if name == "dc zva" {
                    assert_eq!(end, Err((0x0200_0000, OTHER.into(), 0)), "{what}"); // UDF
                } else {
                    assert_eq!((end.is_ok(), bench.cpu().x[0]), (true, 2), "{what}");
                }
            }
        }
    }
}

/// The last instruction of the address space is replaced as any other is; behind it is the first.
#[test]
fn the_last_word_of_the_address_space_is_code_like_any_other() {
    const LAST: u64 = u64::MAX - 3;
    let tables = [BASE + 0x1_3000, BASE + 0x1_4000, BASE + 0x1_5000];
    let [br_6, br_7, br_8] = [6, 7, 8].map(|n| 0xd61f_0000 | n << 5);
    for accel in [Accel::Interp, Accel::Jit] {
        let Some(mut bench) = Bench::new(accel, "max") else {
            continue;
        };
        let next = [tables[1], tables[2], OTHER].map(u64::from);
        for (table, to) in tables.into_iter().zip(next) {
            let more = if to == u64::from(OTHER) { PAGE } else { 3 };
            bench.ram.put(table + 8 * 511, &(to | more).to_le_bytes());
        }
        bench.code(PLAIN, &[br_6]).code(OTHER + 0xffc, &[br_7]);
        // CBNZ X0, WFI; MOV X0, #1; STR W2, [X1]; BR X6
        let first = [0xb500_0080, 0xd280_0020, 0xb900_0022, br_6, WFI];
        bench
            .code(PLAIN + 0x100, &first)
            .code(PLAIN + 0x200, &[0xd280_0040, WFI]); // MOV X0, #2
        let cpu = bench.cpu();
        let c = &mut cpu.sys;
        (c.tcr, c.ttbr1) = (c.tcr & !tcr::EPD1 | 25 << 16 | 2 << 30, tables[0].into());
        (cpu.x[0], cpu.x[1], cpu.x[2]) = (0, u64::from(OTHER) + 0xffc, br_8.into());
        (cpu.x[6], cpu.x[7], cpu.x[8]) = (LAST, u64::from(PLAIN) + 0x100, u64::from(PLAIN) + 0x200);
        let mut again = *cpu;

        assert_eq!(bench.run(), Ok(u64::from(PLAIN) + 0x204), "{accel:?}");
        assert_eq!(bench.cpu().x[0], 2, "{accel:?}");

        bench.ram.put(OTHER + 0xffc, &NOP.to_le_bytes());
        bench.v.reset_caches();
        again.pc = LAST;
        *bench.cpu() = again;
        assert_eq!(
            bench.run(),
            Err((0x8600_0005, 0, 0)),
            "{accel:?}: nothing is mapped at 0"
        );
    }
}

/// A page that may not be executed is the fault of the first instruction in it, not of what runs up to it.
#[test]
fn the_fault_of_a_page_is_its_first_instructions() {
    for accel in [Accel::Interp, Accel::Jit] {
        let Some(mut bench) = Bench::new(accel, "max") else {
            continue;
        };
        bench.page(GUARDED, 1 << 53); // PXN
        bench.code(PLAIN + 0xff8, &[0xd280_0040, NOP]); // MOV X0, #2
        bench.cpu().pc = u64::from(PLAIN) + 0xff8;

        assert_eq!(bench.run(), Err((0x8600_000f, GUARDED.into(), 0)), "{accel:?}");

        assert_eq!((bench.cpu().x[0], bench.cpu().sys.far), (2, GUARDED.into()));
    }
}

//! What MSRs hold.

use super::*;
use crate::features::Features;
use crate::machine_for_tests::Bench;
use crate::state::bits::efer;

const NOW: u64 = 1000;

fn read(b: &mut Bench, number: u32) -> Result<u64, Fault> {
    rdmsr(&mut b.cpu, &b.model, NOW, number)
}
fn write(b: &mut Bench, number: u32, value: u64) -> Result<(), Fault> {
    wrmsr(&mut b.cpu, &b.model, NOW, number, value)
}

#[test]
fn rows_are_in_order_and_apart() {
    for pair in ROWS.windows(2) {
        assert!(pair[0].number + pair[0].count <= pair[1].number, "{}", pair[1].name);
    }
    for row in ROWS {
        assert!(Features::named(row.needs.as_bytes()).is_some(), "{}", row.name);
    }
}

/// Every row: what is written is read, what is reserved is #GP(0), and without its feature it is not there.
#[test]
fn registers_hold_what_they_can() {
    const BAD_ADDRESS: u64 = 0x0200_0000_0000_0000;
    for (number, good, bad) in [
        (0x174, 0xffff_ffff, Some(1 << 32)),
        (0x175, 0xffff_8000_0000_0000, Some(BAD_ADDRESS)),
        (0x176, 0x1234, Some(BAD_ADDRESS)),
        (0x17a, 7, Some(8)),
        (0x17b, u64::MAX, None),
        (0x1a0, 0x1234, None),
        (0x200, 0x3fff_ffff_f006, Some(1 << 46)),
        (0x20f, 0x800, Some(1 << 63)),
        (0x250, 0x0606_0606_0505_0404, Some(2)),
        (0x258, 0x0100_0000_0000_0000, Some(7)),
        (0x26f, 0x0606_0606_0606_0606, Some(0x0300_0000_0000_0000)),
        (0x277, 0x0007_0406_0007_0406, Some(2)),
        (0x2ff, 0xc06, Some(0x1000)),
        (0xda0, 0, Some(1)),
        (0xc000_0081, u64::MAX, None),
        (0xc000_0082, 0x7fff_ffff_ffff, Some(BAD_ADDRESS)),
        (0xc000_0083, 0, Some(BAD_ADDRESS)),
        (0xc000_0084, 0x4_7700, Some(1 << 32)),
        (0xc000_0100, 0x7f00_0000_0000, Some(BAD_ADDRESS)),
        (0xc000_0101, 0x7f00_0000_0000, Some(BAD_ADDRESS)),
        (0xc000_0102, 0x7f00_0000_0000, Some(BAD_ADDRESS)),
        (0xc000_0103, 5, Some(1 << 32)),
        (0x10, 77, None),
        (0x3b, 77, None),
    ] {
        let mut b = Bench::long(0);
        assert_eq!(write(&mut b, number, good), Ok(()), "{number:#x}");
        assert_eq!(read(&mut b, number), Ok(good), "{number:#x}");
        if let Some(bad) = bad {
            let before = b.cpu;
            assert_eq!(write(&mut b, number, bad), Err(gp(0)), "{number:#x}");
            assert_eq!(b.cpu, before);
        }
        let row = find(&b.model, number).unwrap().0;
        b.model.features = Features::ALL.without(Features::named(row.needs.as_bytes()).unwrap());
        assert_eq!(read(&mut b, number), Err(gp(0)), "{number:#x}");
        assert_eq!(write(&mut b, number, good), Err(gp(0)));
    }
}

#[test]
fn ranges_have_a_register_each() {
    let mut b = Bench::long(0);
    for n in 0..16 {
        write(&mut b, 0x200 + n, u64::from(n) << 12).unwrap();
    }
    for n in 0..8 {
        write(&mut b, 0x268 + n, u64::from(n == 3)).unwrap();
    }
    write(&mut b, 0x250, 4).unwrap();
    write(&mut b, 0x259, 5).unwrap();

    assert_eq!(b.cpu.sys.mtrr_variable[3], [6 << 12, 7 << 12]);
    assert_eq!(b.cpu.sys.mtrr_fixed, [4, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0]);
}

/// G41: an unknown register is no register; constants cannot be written.
#[test]
fn there_is_nothing_at_other_numbers() {
    let mut b = Bench::long(0);
    for number in [
        0,
        0x11,
        0x210,
        0x251,
        0x25a,
        0x270,
        0x800,
        0x4000_0000,
        0xc000_0085,
        0xc001_0000,
        u32::MAX,
    ] {
        assert_eq!(read(&mut b, number), Err(gp(0)), "{number:#x}");
        assert_eq!(write(&mut b, number, 0), Err(gp(0)));
        assert_eq!(name(&b.model, number), None);
    }
    assert_eq!(name(&b.model, 0x20f), Some("IA32_MTRR_PHYS"));
    assert_eq!(
        (read(&mut b, 0xfe), write(&mut b, 0xfe, 0x508)),
        (Ok(0x508), Err(gp(0)))
    );
    assert_eq!((write(&mut b, 0x8b, 5), read(&mut b, 0x8b)), (Ok(()), Ok(0)));
}

#[test]
fn msrs_are_for_level_0() {
    let mut b = Bench::long(3);

    assert_eq!(read(&mut b, 0x10), Err(gp(0)));
    assert_eq!(write(&mut b, 0xc000_0100, 0), Err(gp(0)));
}

/// G41: 57 bits count where the CPU has 5-level paging, whatever CR4.LA57 says.
#[test]
fn addresses_are_checked_for_what_the_cpu_has() {
    let mut b = Bench::long(0);
    assert_eq!(write(&mut b, 0xc000_0082, 0x0000_8000_0000_0000), Ok(()));
    b.model.features = Features::ALL.without(Features::named(b"la57").unwrap());
    assert_eq!(write(&mut b, 0xc000_0082, 0x0000_8000_0000_0000), Err(gp(0)));
}

/// G41: LMA is not written, LME not under paging.
#[test]
fn efer() {
    const EFER: u32 = 0xc000_0080;
    let mut b = Bench::long(0);
    let all = efer::SCE | efer::LME | efer::NXE | efer::FFXSR;
    write(&mut b, EFER, all).unwrap();
    assert_eq!(read(&mut b, EFER), Ok(all | efer::LMA));
    assert_eq!(write(&mut b, EFER, 0), Err(gp(0)));
    assert_eq!(write(&mut b, EFER, all | efer::SVME), Err(gp(0)));

    let mut b = Bench::protected(0);
    write(&mut b, EFER, efer::LMA | efer::LME).unwrap();
    assert_eq!(read(&mut b, EFER), Ok(efer::LME));
    for (bits, feature) in [(efer::NXE, "nx"), (efer::LME, "lm"), (efer::FFXSR, "fxsr-opt")] {
        b.model.features = Features::ALL.without(Features::named(feature.as_bytes()).unwrap());
        assert_eq!(write(&mut b, EFER, bits), Err(gp(0)), "{feature}");
    }
}

/// SDM 3, 18.17.3.
#[test]
fn the_time_stamp_is_adjusted_by_what_is_written() {
    let mut b = Bench::long(0);
    assert_eq!(read(&mut b, 0x10), Ok(NOW));
    write(&mut b, 0x10, 1500).unwrap();
    assert_eq!(read(&mut b, 0x3b), Ok(500));
    write(&mut b, 0x3b, 600).unwrap();
    assert_eq!(read(&mut b, 0x10), Ok(1600));
}

#[test]
fn bases_of_fs_and_gs_are_those_of_the_segments() {
    let mut b = Bench::long(0);

    write(&mut b, 0xc000_0101, 0x1000).unwrap();

    assert_eq!(b.cpu.segment(number::GS).base, 0x1000);
    assert_eq!(read(&mut b, 0xc000_0100), Ok(0));
}

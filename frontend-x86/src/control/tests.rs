//! What control registers hold, and what follows (G41).

use super::*;
use crate::features::Features;
use crate::machine_for_tests::Bench;
use crate::state::Segment;

fn write(b: &mut Bench, n: u8, value: u64) -> (Result<(), Fault>, Option<Flush>) {
    let (cpu, mut m) = b.parts();
    let done = write_cr(&mut m, cpu, n, value);
    (done, m.effects.flush)
}

/// SDM 3, 2.5, CR0.
#[test]
fn cr0_holds_what_goes_together() {
    const PE: u64 = cr0::PE;
    for (value, expected) in [
        (PE, Ok(PE | cr0::ET)),
        (0, Ok(cr0::ET)),
        (PE | 0x1ffa_ffc0, Ok(PE | cr0::ET)),
        (PE | 1 << 32, Err(gp(0))),
        (cr0::PG, Err(gp(0))),
        (PE | cr0::NW, Err(gp(0))),
        (PE | cr0::NW | cr0::CD, Ok(PE | cr0::NW | cr0::CD | cr0::ET)),
        (
            PE | cr0::PG | cr0::WP | cr0::AM,
            Ok(PE | cr0::PG | cr0::WP | cr0::AM | cr0::ET),
        ),
    ] {
        let mut b = Bench::protected(0);
        let before = b.cpu;

        let done = write(&mut b, 0, value).0;

        assert_eq!(done.map(|()| b.cpu.sys.cr0), expected, "{value:#x}");
        assert!(done.is_ok() || b.cpu == before);
    }
}

#[test]
fn control_registers_are_for_level_0_and_there_are_few() {
    let mut b = Bench::protected(3);
    for n in [0, 2, 3, 4] {
        assert_eq!(write(&mut b, n, 0).0, Err(gp(0)));
        assert_eq!(read_cr(&b.cpu, n), Err(gp(0)));
    }
    for n in [1, 5, 6, 7, 9, 15] {
        assert_eq!(write(&mut b, n, 0).0, Err(UD));
        assert_eq!(read_cr(&b.cpu, n), Err(UD));
    }
    let mut b = Bench::protected(0);
    write(&mut b, 2, 0x1234).0.unwrap();
    assert_eq!(read_cr(&b.cpu, 2), Ok(0x1234));
    assert_eq!(priority(&b.cpu, 15), Ok(15));
    assert_eq!(priority(&b.cpu, 16), Err(gp(0)));
    assert_eq!(priority(&b.cpu, 256), Err(gp(0)));
}

/// SDM 3, 9.8.5: into long mode and out.
#[test]
fn long_mode_begins_and_ends_with_paging() {
    let mut b = Bench::protected(0);
    b.cpu.sys.efer = efer::LME;
    let pg = cr0::PE | cr0::PG;
    assert_eq!(write(&mut b, 0, pg).0, Err(gp(0)), "without PAE");
    b.cpu.sys.cr4 = cr4::PAE;

    assert_eq!(write(&mut b, 0, pg), (Ok(()), Some(Flush::ALL)));
    assert_eq!(b.cpu.sys.efer, efer::LME | efer::LMA);
    assert_eq!(
        b.cpu.mode & (mode::LONG | mode::CODE64 | mode::CODE32),
        mode::LONG | mode::CODE32
    );

    assert_eq!(write(&mut b, 4, 0).0, Err(gp(0)), "PAE stays");
    assert_eq!(write(&mut b, 4, cr4::PAE | cr4::LA57).0, Err(gp(0)));
    assert_eq!(write(&mut b, 0, cr0::PE), (Ok(()), Some(Flush::ALL)));
    assert_eq!((b.cpu.sys.efer, b.cpu.mode & mode::LONG), (efer::LME, 0));
}

#[test]
fn long_mode_is_neither_entered_nor_left_from_64_bit_code() {
    let mut b = Bench::long(0);
    assert_eq!(write(&mut b, 0, cr0::PE).0, Err(gp(0)));

    let mut b = Bench::protected(0);
    b.cpu.sys.efer = efer::LME;
    b.cpu.sys.cr4 = cr4::PAE;
    b.cpu.segment_mut(number::CS).attributes |= Attributes::L;
    assert_eq!(write(&mut b, 0, cr0::PE | cr0::PG).0, Err(gp(0)));
    b.cpu.segment_mut(number::CS).attributes ^= Attributes::L;
    b.cpu.sys.tr.attributes = 0x83;
    assert_eq!(write(&mut b, 0, cr0::PE | cr0::PG).0, Err(gp(0)), "a task of 16 bits");
    b.cpu.sys.tr = Segment::default();
    assert_eq!(write(&mut b, 0, cr0::PE | cr0::PG).0, Ok(()));
}

#[test]
fn paging_does_not_end_with_pcids() {
    let mut b = Bench::long(0);
    b.cpu.segment_mut(number::CS).attributes ^= Attributes::L | Attributes::DB;
    b.cpu.settle();
    b.cpu.sys.cr4 |= cr4::PCIDE;

    assert_eq!(write(&mut b, 0, cr0::PE).0, Err(gp(0)));
}

/// G45: what each change of CR4 makes to be forgotten.
#[test]
fn changes_of_paging_forget_everything() {
    for (bit, flushes) in [
        (cr4::PGE, true),
        (cr4::PSE, true),
        (cr4::SMEP, true),
        (cr4::SMAP, false),
        (cr4::PKE, false),
        (cr4::OSFXSR, false),
        (cr4::TSD, false),
    ] {
        for first in [0, bit] {
            let mut b = Bench::long(0);
            b.cpu.sys.cr4 = cr4::PAE | first;

            let (done, flush) = write(&mut b, 4, cr4::PAE | first ^ bit);

            assert_eq!((done, flush.is_some()), (Ok(()), flushes), "{bit:#x}");
        }
    }
    let mut b = Bench::protected(0);
    assert_eq!(write(&mut b, 4, cr4::PAE), (Ok(()), Some(Flush::ALL)));
}

/// SDM 3, 4.10.1: PCIDs begin in long mode with PCID 0; their end forgets everything.
#[test]
fn pcids_begin_with_0() {
    let with = cr4::PAE | cr4::PCIDE;
    let mut b = Bench::long(0);
    b.cpu.sys.cr3 |= 1;
    assert_eq!(write(&mut b, 4, with).0, Err(gp(0)));
    b.cpu.sys.cr3 &= !1;
    assert_eq!(write(&mut b, 4, with), (Ok(()), None));
    assert_eq!(write(&mut b, 4, cr4::PAE), (Ok(()), Some(Flush::ALL)));
    assert_eq!(write(&mut Bench::protected(0), 4, with).0, Err(gp(0)));
}

/// G45: CR3 forgets all but what is global; with PCIDs those of one, or none.
#[test]
fn cr3_names_an_address_space() {
    for (pcide, value, kept, flush) in [
        (false, 0x5018, 0x5018, Ok(Some(Flush::asid(0)))),
        (true, 0x5007, 0x5007, Ok(Some(Flush::asid(7)))),
        (true, 1 << 63 | 0x5007, 0x5007, Ok(None)),
        (false, 1 << 63 | 0x5007, 0, Err(gp(0))),
        (true, 1 << 46, 0, Err(gp(0))),
    ] {
        let mut b = Bench::long(0);
        b.cpu.sys.cr4 |= if pcide { cr4::PCIDE } else { 0 };
        let before = b.cpu;

        let (done, flushed) = write(&mut b, 3, value);

        assert_eq!(done.map(|()| flushed), flush, "{value:#x}");
        if done.is_ok() {
            assert_eq!(b.cpu.sys.cr3, kept);
        } else {
            assert_eq!(b.cpu, before);
        }
    }
}

#[test]
fn cr4_has_the_bits_of_the_cpus_features() {
    for (bits, feature) in CR4 {
        let mut b = Bench::protected(0);
        let bits = bits & !cr4::PCIDE;
        assert_eq!(write(&mut b, 4, bits).0, Ok(()), "{feature}");

        let mut b = Bench::protected(0);
        b.model.features = Features::ALL.without(Features::named(feature.as_bytes()).unwrap());
        let before = b.cpu;
        assert_eq!(
            write(&mut b, 4, bits).0,
            if bits == 0 { Ok(()) } else { Err(gp(0)) },
            "{feature}"
        );
        assert!(bits == 0 || b.cpu == before);
    }
    assert_eq!(write(&mut Bench::protected(0), 4, 1 << 31).0, Err(gp(0)));
}

/// G44: PDPTEs are loaded where CR0 or CR4 change paging; bad ones are #GP, and nothing has changed.
#[test]
fn pdptes_are_loaded_with_paging() {
    let table = 0x10_4000;
    let make = || {
        let mut b = Bench::protected(0);
        b.cpu.sys.cr3 = table;
        b.cpu.sys.cr4 = cr4::PAE;
        b.engine.ram.put(table + 8, 8, 0x10_5001);
        b
    };
    let mut b = make();
    write(&mut b, 0, cr0::PE | cr0::PG).0.unwrap();
    assert_eq!(b.cpu.sys.pdpte, [0, 0x10_5001, 0, 0]);

    b.engine.ram.put(table, 8, 0x10_6001);
    write(&mut b, 4, cr4::PAE | cr4::SMAP).0.unwrap();
    assert_eq!(b.cpu.sys.pdpte[0], 0, "not by this");
    write(&mut b, 4, cr4::PAE | cr4::SMAP | cr4::PGE).0.unwrap();
    assert_eq!(b.cpu.sys.pdpte[0], 0x10_6001);

    b.engine.ram.put(table, 8, 0x10_6003);
    let before = b.cpu;
    assert_eq!(write(&mut b, 4, cr4::PAE).0, Err(gp(0)));
    assert_eq!(write(&mut b, 0, cr0::PE | cr0::PG | cr0::CD).0, Err(gp(0)));
    assert_eq!(b.cpu, before);
    let mut b = make();
    b.engine.ram.put(table + 8, 8, 1 | 1 << 5);
    let before = b.cpu;
    assert_eq!(write(&mut b, 0, cr0::PE | cr0::PG).0, Err(gp(0)));
    assert_eq!(b.cpu, before);
}

/// G41: LMSW sets PE and cannot clear it.
#[test]
fn lmsw_sets_pe_for_good() {
    for (value, bits) in [
        (0, cr0::PE),
        (cr0::MP | cr0::TS, cr0::PE | cr0::MP | cr0::TS),
        (0xfff0, cr0::PE),
    ] {
        let mut b = Bench::protected(0);
        b.cpu.sys.cr0 |= cr0::EM | cr0::NE;
        let (cpu, mut m) = b.parts();

        lmsw(&mut m, cpu, value as u16).unwrap();

        assert_eq!(b.cpu.sys.cr0, bits | cr0::NE | cr0::ET, "{value:#x}");
    }
    let mut b = Bench::real();
    let (cpu, mut m) = b.parts();
    lmsw(&mut m, cpu, 1).unwrap();
    assert_ne!(b.cpu.mode & mode::PROTECTED, 0);
    let mut b = Bench::protected(3);
    let (cpu, mut m) = b.parts();
    assert_eq!(lmsw(&mut m, cpu, 1), Err(gp(0)));
}

#[test]
fn smsw_shows_cr0_unless_umip_hides_it() {
    let mut b = Bench::protected(3);
    b.cpu.sys.cr0 |= cr0::PG;
    assert_eq!(smsw(&b.cpu), Ok(b.cpu.sys.cr0));
    b.cpu.sys.cr4 = cr4::UMIP;
    assert_eq!(smsw(&b.cpu), Err(gp(0)));
}

#[test]
fn clts_clears_ts() {
    let mut b = Bench::protected(0);
    b.cpu.sys.cr0 |= cr0::TS;
    b.cpu.settle();

    clts(&mut b.cpu).unwrap();

    assert_eq!(b.cpu.mode & mode::TS, 0);
    assert_eq!(clts(&mut Bench::protected(3).cpu), Err(gp(0)));
}

/// SDM 2, XSETBV.
#[test]
fn xcr0_holds_states_that_go_together() {
    let all = Features::ALL;
    let without = |name: &str| all.without(Features::named(name.as_bytes()).unwrap());
    for (features, index, value, fine) in [
        (all, 0, 1, true),
        (all, 0, 3, true),
        (all, 0, 7, true),
        (all, 0, 0x207, true),
        (all, 0, 0, false),
        (all, 0, 2, false),
        (all, 0, 5, false),
        (all, 0, 1 << 3 | 1, false),
        (all, 1, 1, false),
        (without("avx"), 0, 7, false),
        (without("pku"), 0, 0x203, false),
    ] {
        let mut b = Bench::protected(0);
        b.model.features = features;
        b.cpu.sys.cr4 = cr4::OSXSAVE;

        let done = xsetbv(&mut b.cpu, &b.model, index, value);

        assert_eq!(done, if fine { Ok(()) } else { Err(gp(0)) }, "{index} {value:#x}");
        assert_eq!(b.cpu.mode & mode::AVX != 0, fine && value & 6 == 6);
    }
    let mut b = Bench::protected(0);
    assert_eq!(xsetbv(&mut b.cpu, &b.model, 0, 1), Err(UD));
    let mut b = Bench::protected(3);
    b.cpu.sys.cr4 = cr4::OSXSAVE;
    assert_eq!(xsetbv(&mut b.cpu, &b.model, 0, 1), Err(gp(0)));
}

/// SDM 3, 18.2.
#[test]
fn debug_registers_have_fixed_bits_and_names() {
    for (n, value, read) in [
        (0, 0x1234_5678_9abc, 0x1234_5678_9abc),
        (3, u64::MAX, u64::MAX),
        (6, 0, 0xffff_0ff0),
        (6, 0xffff_ffff, 0xffff_efff),
        (7, 0, 0x400),
        (4, 0xffff_ffff, 0xffff_efff),
        (5, 0xffff_dfff, 0xffff_07ff),
    ] {
        let mut b = Bench::protected(0);

        let effects = write_dr(&mut b.cpu, n, value).unwrap();

        assert!(effects.traps);
        assert_eq!(read_dr(&b.cpu, n), Ok(read), "{n} {value:#x}");
        assert_eq!(read_dr(&b.cpu, if n == 4 || n == 5 { n + 2 } else { n }), Ok(read));
    }
    let mut b = Bench::long(0);
    assert_eq!(write_dr(&mut b.cpu, 6, 1 << 32).unwrap_err(), gp(0));
    assert_eq!(write_dr(&mut b.cpu, 7, 1 << 32).unwrap_err(), gp(0));
    assert_eq!(write_dr(&mut b.cpu, 8, 0).unwrap_err(), UD);
}

/// SDM 3, table 6-2: #UD before #GP before general detect.
#[test]
fn accesses_to_debug_registers_are_checked_in_order() {
    let mut b = Bench::protected(3);
    b.cpu.sys.cr4 = cr4::DE;
    b.cpu.sys.dr7 |= dr7::GD;
    assert_eq!(read_dr(&b.cpu, 4), Err(UD));
    assert_eq!(read_dr(&b.cpu, 7), Err(gp(0)));
    b.cpu.settle_at(0);
    assert_eq!(read_dr(&b.cpu, 7), Err(debug(dr6::BD)));
    assert_eq!(write_dr(&mut b.cpu, 0, 0).unwrap_err(), debug(dr6::BD));
}

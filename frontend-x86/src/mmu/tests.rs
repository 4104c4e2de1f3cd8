//! The walk against the manual's tables: formats, sizes, reserved bits, rights, flags, error codes.

use super::*;
use crate::control;
use crate::features::Features;
use crate::machine_for_tests::Bench;
use crate::memory::Memory;

const ROOT: u64 = 0x10_0000;
const L3: u64 = 0x10_1000;
const L2: u64 = 0x10_2000;
const L1: u64 = 0x10_3000;
const L5: u64 = 0x10_4000;
/// Present, writable, for the user.
const PWU: u64 = 7;
const A: u64 = entry::A;
const D: u64 = entry::D;
/// Where the page of [`small`] is.
const FRAME: u64 = 0x20_0000;

/// 4-level paging at a level; one page of 4 KiB at 0.
fn small(cpl: u8, leaf: u64) -> Bench {
    let mut b = Bench::long(cpl);
    b.engine.ram.put(L2, 8, L1 | PWU);
    b.engine.ram.put(L1, 8, FRAME | leaf);
    b
}
/// 32-bit paging.
fn bits32(cpl: u8) -> Bench {
    let mut b = Bench::protected(cpl);
    b.cpu.sys.cr0 |= cr0::PG | cr0::WP;
    b.cpu.sys.cr4 |= cr4::PSE;
    b.cpu.sys.cr3 = ROOT;
    b
}
/// PAE paging, whose first two PDPTEs are loaded; the second one's table is the next.
fn pae(cpl: u8) -> Bench {
    let mut b = bits32(cpl);
    b.cpu.sys.cr4 |= cr4::PAE;
    b.cpu.sys.pdpte = [L2 | 1, L1 | 1, 0, 0];
    b
}

impl Bench {
    fn walk(&mut self, va: u64, access: Access) -> Result<Page, Fault> {
        walk(&self.cpu, &self.model, &mut self.engine.ram, va, access, CURRENT)
    }
    fn system(&mut self, va: u64, access: Access) -> Result<Page, Fault> {
        walk(&self.cpu, &self.model, &mut self.engine.ram, va, access, SYSTEM)
    }
    fn code(&mut self, va: u64, access: Access) -> Option<u32> {
        match self.walk(va, access) {
            Err(Fault::Guest { class: 14, addr, info }) => {
                assert_eq!(addr, va, "CR2");
                Some(info)
            }
            Err(other) => panic!("{other:?}"),
            Ok(_) => None,
        }
    }
}

const ALL: [Access; 3] = [Access::Read, Access::Write, Access::Execute];

#[test]
fn without_paging_addresses_are_physical_and_have_32_bits() {
    let mut b = Bench::protected(3);

    let page = b.walk(0x1_2345_6789, Access::Execute).unwrap();

    assert_eq!(
        (page.phys, page.read, page.write, page.exec),
        (0x2345_6000, true, true, true)
    );
}

/// SDM 3, 4.3: formats of 32-bit paging, with PSE-36.
#[test]
fn pages_of_32_bit_paging() {
    let without_36 = Features::ALL.without(Features::named(b"pse36").unwrap());
    for (features, pse, pde, pte, va, expected) in [
        (
            Features::ALL,
            true,
            L1 | PWU,
            0x1234_5000 | PWU,
            0x5678,
            Ok((0x1234_5000, 12)),
        ),
        (
            Features::ALL,
            true,
            0x1240_0080 | PWU,
            0,
            0x3f_f123,
            Ok((0x127f_f000, 22)),
        ),
        // PS without CR4.PSE is nothing.
        (
            Features::ALL,
            false,
            L1 | 0x80 | PWU,
            0x1234_5000 | PWU,
            0x5678,
            Ok((0x1234_5000, 12)),
        ),
        // Bits 20:13 are 39:32 of the address.
        (
            Features::ALL,
            true,
            0x1240_0080 | 0x3f << 13 | PWU,
            0,
            0x1000,
            Ok((0x3f_1240_1000, 22)),
        ),
        (Features::ALL, true, 0x1260_0080 | PWU, 0, 0x1000, Err(pf::P | pf::RSVD)),
        (
            without_36,
            true,
            0x1240_0080 | 1 << 13 | PWU,
            0,
            0x1000,
            Err(pf::P | pf::RSVD),
        ),
        (Features::ALL, true, 0x1260_0080, 0, 0x1000, Err(0)),
        (Features::ALL, true, L1 | PWU, 0, 0x5678, Err(0)),
    ] {
        let mut b = bits32(0);
        b.model.features = features;
        b.cpu.sys.cr4 = if pse { cr4::PSE } else { 0 };
        b.engine.ram.put(ROOT, 4, pde);
        b.engine.ram.put(L1 + 4 * (va >> 12 & 0x3ff), 4, pte);

        let found = b.walk(va, Access::Read);

        let expected = expected.map_err(|code| fault::page(va, code));
        assert_eq!(found.map(|p| (p.phys, p.size)), expected, "{pde:#x} {pte:#x}");
    }
}

#[test]
fn physical_addresses_of_4_mib_pages_have_no_more_bits_than_the_cpu() {
    for (bits, pde, fine) in [
        (36, 0xf << 13, true),
        (36, 0x10 << 13, false),
        (40, 0xff << 13, true),
        (32, 1 << 13, false),
    ] {
        let mut b = bits32(0);
        b.model.address_bits = bits;
        b.engine.ram.put(ROOT, 4, 0x80 | PWU | pde);

        assert_eq!(b.walk(0, Access::Read).is_ok(), fine, "{bits} {pde:#x}");
    }
}

/// SDM 3, 4.5: pages of each size.
#[test]
fn pages_of_4_and_5_level_paging() {
    let without_1g = Features::ALL.without(Features::named(b"pdpe1gb").unwrap());
    let reserved = Err(pf::P | pf::RSVD);
    for (features, level, value, expected) in [
        (Features::ALL, 1, 0x3_1234_5000 | PWU, Ok((0x3_1234_5000, 12))),
        (Features::ALL, 2, 0x3_1220_0080 | PWU, Ok((0x3_1220_0000, 21))),
        (Features::ALL, 2, 0x3_1220_2080 | PWU, reserved),
        // PAT.
        (Features::ALL, 2, 0x3_1220_1080 | PWU, Ok((0x3_1220_0000, 21))),
        (Features::ALL, 3, 0x3_4000_0080 | PWU, Ok((0x3_4000_0000, 30))),
        (Features::ALL, 3, 0x3_4020_0080 | PWU, reserved),
        (without_1g, 3, 0x3_4000_0080 | PWU, reserved),
        (Features::ALL, 4, L3 | 0x80 | PWU, reserved),
        (Features::ALL, 1, 1 << 46 | PWU, reserved),
        (Features::ALL, 4, 1 << 51 | L3 | PWU, reserved),
        // Ignored bits.
        (
            Features::ALL,
            1,
            0x7ff << 52 | 0x3_1234_5e00 | PWU,
            Ok((0x3_1234_5000, 12)),
        ),
        (Features::ALL, 3, 1 << 46, Err(0)),
    ] {
        for five in [false, true] {
            let mut b = small(0, PWU);
            b.model.features = features;
            b.engine.ram.put(L5, 8, ROOT | PWU);
            if five {
                b.cpu.sys.cr4 |= cr4::LA57;
                b.cpu.sys.cr3 = L5;
            }
            b.engine.ram.put([L1, L2, L3, ROOT][level - 1], 8, value);

            let found = b.walk(0, Access::Read);

            let expected = expected.map_err(|code| fault::page(0, code));
            assert_eq!(found.map(|p| (p.phys, p.size)), expected, "{level} {value:#x}");
        }
    }
}

#[test]
fn each_level_has_its_part_of_an_address() {
    let mut b = Bench::long(0);
    b.cpu.sys.cr4 |= cr4::LA57;
    b.cpu.sys.cr3 = L5;
    let va = 3 << 48 | 5 << 39 | 6 << 30 | 7 << 21 | 9 << 12;
    for (table, index, next) in [(L5, 3, ROOT), (ROOT, 5, L3), (L3, 6, L2), (L2, 7, L1), (L1, 9, FRAME)] {
        b.engine.ram.put(table + 8 * index, 8, next | PWU);
    }

    assert_eq!(b.walk(va, Access::Read).unwrap().phys, FRAME);
}

/// G42: a bit that is reserved counts at the first level where it is set, and in entries that are present.
#[test]
fn xd_without_nxe_is_reserved() {
    let mut b = small(3, PWU | entry::XD);
    b.cpu.sys.efer &= !efer::NXE;

    assert_eq!(b.code(0, Access::Read), Some(0xd));
    b.engine.ram.put(L1, 8, FRAME | 6 | entry::XD);
    assert_eq!(b.code(0, Access::Read), Some(4));
}

/// SDM 3, 4.7: I/D only if NXE with PAE, or SMEP.
#[test]
fn fetches_are_told_apart_where_something_can_forbid_them() {
    for (nxe, smep, code) in [(false, false, 4), (true, false, 0x14), (false, true, 0x14)] {
        let mut b = small(3, 0);
        b.cpu.sys.efer = efer::LMA | if nxe { efer::NXE } else { 0 };
        b.cpu.sys.cr4 |= if smep { cr4::SMEP } else { 0 };

        assert_eq!(b.code(0, Access::Execute), Some(code));
    }
}

/// SDM 3, 4.4.2: PAE paging reserves bits 62:52.
#[test]
fn pae_paging_reserves_what_long_mode_ignores() {
    let mut b = pae(0);
    b.engine.ram.put(L2, 8, FRAME | 0x80 | PWU | 1 << 52);
    b.engine.ram.put(L1, 8, FRAME | 0x80 | PWU);

    assert_eq!(b.code(0, Access::Read), Some(pf::P | pf::RSVD));
    assert_eq!(b.walk(0x4012_3456, Access::Read).map(|p| p.phys), Ok(FRAME + 0x12_3000));
    assert_eq!(b.code(0x8000_0000, Access::Write), Some(pf::W));
}

/// G44: PDPTEs are read when CR3 is loaded, not at a walk; reserved bits there are #GP at the load.
#[test]
fn pdptes_are_in_registers() {
    let mut b = pae(0);
    let table = 0x10_4020;
    b.engine.ram.put(table, 8, L2 | 1);
    b.engine.ram.put(table + 24, 8, L2 | 1);
    b.engine.ram.put(L2, 8, FRAME | 0x80 | PWU);
    let load = |b: &mut Bench| {
        let (cpu, mut m) = b.parts();
        control::write_cr(&mut m, cpu, 3, table)
    };
    load(&mut b).unwrap();
    b.engine.ram.put(table + 24, 8, 0);

    assert!(b.walk(0xc000_0000, Access::Read).is_ok());
    load(&mut b).unwrap();
    assert_eq!(b.code(0xc000_0000, Access::Read), Some(0));
    for reserved in [1 << 1, 1 << 5, 1 << 8, 1 << 46, 1 << 63] {
        b.engine.ram.put(table + 24, 8, L2 | 1 | reserved);
        let before = b.cpu;
        assert_eq!(load(&mut b), Err(gp(0)), "{reserved:#x}");
        assert_eq!(b.cpu, before);
        b.engine.ram.put(table + 24, 8, L2 | reserved);
        assert_eq!(load(&mut b), Ok(()), "not present");
    }
}

/// G43: U and W of every level count, and XD of any.
#[test]
fn rights_are_those_of_all_levels() {
    for table in [ROOT, L3, L2, L1] {
        for (less, xd, user, denied) in [
            (entry::U, 0, true, [true, true, true]),
            (entry::W, 0, true, [false, true, false]),
            (entry::W, 0, false, [false, true, false]),
            (0, entry::XD, true, [false, false, true]),
            (0, entry::XD, false, [false, false, true]),
            (entry::U, 0, false, [false; 3]),
        ] {
            let mut b = small(if user { 3 } else { 0 }, PWU);
            let value = b.engine.ram.get(table, 8);
            b.engine.ram.put(table, 8, value & !less | xd);

            let found = ALL.map(|access| b.code(0, access).is_some());

            assert_eq!(found, denied, "{table:#x} {less:#x} {xd:#x} {user}");
        }
    }
}

#[test]
fn error_codes_say_what_was_tried_and_by_whom() {
    for (cpl, leaf, access, code) in [
        (3, 0, Access::Read, pf::U),
        (3, 5, Access::Write, pf::P | pf::W | pf::U),
        (3, 3, Access::Read, pf::P | pf::U),
        (0, 1, Access::Write, pf::P | pf::W),
        (0, 1 | entry::XD, Access::Execute, pf::P | pf::I),
        (1, 0, Access::Write, pf::W),
    ] {
        let mut b = small(cpl, leaf);

        assert_eq!(b.code(0, access), Some(code), "{cpl} {leaf:#x} {access:?}");
    }
}

/// SDM 3, 4.6.1, CR0.WP; where it is 0 the page can be written, once it is dirty.
#[test]
fn the_supervisor_writes_what_is_read_only_unless_wp_is_set() {
    for (wp, cpl, allowed) in [(true, 0, false), (false, 0, true), (false, 3, false), (false, 2, true)] {
        let mut b = small(cpl, 5);
        b.cpu.sys.cr0 &= if wp { u64::MAX } else { !cr0::WP };

        let page = b.walk(0, Access::Write);

        assert_eq!(page.is_ok_and(|p| p.write), allowed, "{wp} {cpl}");
    }
}

/// G43: SMAP with AC, and accesses of the processor itself, which AC has no part in.
#[test]
fn smap_keeps_the_supervisor_from_user_pages() {
    for (ac, cpl, system, denied) in [
        (false, 0, false, true),
        (true, 0, false, false),
        (true, 0, true, true),
        (true, 3, true, true),
        (false, 3, true, true),
        (false, 3, false, false),
        (false, 2, false, true),
    ] {
        let mut b = small(cpl, PWU | D);
        b.cpu.sys.cr4 |= cr4::SMAP;
        b.cpu.eflags |= if ac { eflags::AC } else { 0 };
        let mut of = |access| if system { b.system(0, access) } else { b.walk(0, access) };

        assert_eq!(of(Access::Read).is_err(), denied, "{ac} {cpl} {system}");
        assert_eq!(of(Access::Write).is_err(), denied, "{ac} {cpl} {system}");
        assert!(of(Access::Execute).is_ok(), "a fetch is no access of data");
    }
}

#[test]
fn smap_leaves_supervisor_pages_alone() {
    let mut b = small(0, 3);
    b.cpu.sys.cr4 |= cr4::SMAP | cr4::SMEP;

    assert!(ALL.map(|access| b.walk(0, access).is_ok()).into_iter().all(|ok| ok));
}

#[test]
fn smep_keeps_the_supervisor_from_fetching_user_pages() {
    let mut b = small(0, PWU);
    b.cpu.sys.cr4 |= cr4::SMEP;

    assert_eq!(b.code(0, Access::Execute), Some(pf::P | pf::I));
    assert!(!b.walk(0, Access::Read).unwrap().exec);
}

/// The processor's own accesses at level 3 are the supervisor's: descriptor tables are not for the user.
#[test]
fn system_accesses_are_the_supervisors() {
    let mut b = small(3, 3);

    assert!(b.walk(0, Access::Read).is_err());
    assert!(b.system(0, Access::Read).is_ok());
    b.engine.ram.put(L1, 8, 0);
    assert_eq!(b.system(0, Access::Write), Err(fault::page(0, pf::W)));
}

/// SDM 3, 4.6.2.
#[test]
fn protection_keys_forbid_data_of_user_pages() {
    const KEY: u64 = 5;
    for (cpl, wp, keys, leaf, access, code) in [
        (3, true, 1, PWU, Access::Read, Some(0x25)),
        (3, true, 1, PWU, Access::Write, Some(0x27)),
        (3, true, 1, PWU, Access::Execute, None),
        (3, true, 2, PWU, Access::Read, None),
        (3, true, 2, PWU, Access::Write, Some(0x27)),
        (0, true, 2, PWU, Access::Write, Some(0x23)),
        (0, false, 2, PWU, Access::Write, None),
        (0, false, 1, PWU, Access::Read, Some(0x21)),
        (0, true, 3, 3, Access::Write, None),
    ] {
        let mut b = small(cpl, leaf | KEY << 59);
        b.cpu.sys.cr4 |= cr4::PKE;
        b.cpu.sys.cr0 &= if wp { u64::MAX } else { !cr0::WP };
        b.cpu.sys.pkru = keys << (2 * KEY);

        assert_eq!(b.code(0, access), code, "{cpl} {wp} {keys} {leaf:#x} {access:?}");
    }
}

/// G09: a read sets A and leaves the page clean for the TLB; the first write sets D.
#[test]
fn a_page_is_writable_to_the_engine_only_once_it_is_dirty() {
    let mut b = small(0, PWU);

    let read = b.walk(0, Access::Read).unwrap();
    let after_read = b.engine.ram.get(L1, 8);
    let written = b.walk(0, Access::Write).unwrap();

    assert!(read.read && !read.write);
    assert_eq!(after_read, FRAME | PWU | A);
    assert!(written.write);
    assert_eq!(b.engine.ram.get(L1, 8), FRAME | PWU | A | D);
    assert!(b.walk(0, Access::Read).unwrap().write);
}

#[test]
fn upper_levels_are_accessed_and_never_dirty() {
    let mut b = small(0, PWU);

    b.walk(0, Access::Write).unwrap();

    for (table, next) in [(ROOT, L3), (L3, L2), (L2, L1)] {
        assert_eq!(b.engine.ram.get(table, 8), next | PWU | A);
    }
}

/// SDM 3, 4.8: flags are for translations that succeed.
#[test]
fn an_access_that_is_not_allowed_sets_no_flag() {
    let mut b = small(3, 5);

    assert!(b.walk(0, Access::Write).is_err());

    assert_eq!(b.engine.ram.get(L1, 8), FRAME | 5);
    assert_eq!(b.engine.ram.get(L2, 8), L1 | PWU);
}

/// G10: an entry that another CPU changes meanwhile is looked at anew, and its change stays.
#[test]
fn flags_are_set_in_what_is_there() {
    let mut b = small(0, PWU);
    let other = FRAME + 0x1000;
    b.engine.ram.raced = Some((L1, other | PWU | 1 << 9));

    let page = b.walk(0, Access::Write).unwrap();

    assert_eq!(page.phys, other);
    assert_eq!(b.engine.ram.get(L1, 8), other | PWU | 1 << 9 | A | D);

    b.engine.ram.put(L1, 8, FRAME | PWU);
    b.engine.ram.raced = Some((L1, 0));
    assert_eq!(b.code(0, Access::Read), Some(0));
    assert_eq!(b.engine.ram.get(L1, 8), 0);
}

/// G11: nothing is remembered of a fault.
#[test]
fn what_becomes_present_needs_no_flush() {
    let mut b = small(3, 0);
    assert!(b.code(0, Access::Write).is_some());

    b.engine.ram.put(L1, 8, FRAME | PWU);

    assert_eq!(b.code(0, Access::Write), None);
}

#[test]
fn addresses_that_are_not_canonical_are_no_page_faults() {
    for (la57, va, fine) in [
        (false, 0x0000_7fff_ffff_f000, true),
        (false, 0x0000_8000_0000_0000, false),
        (false, 0xffff_7fff_ffff_f000, false),
        (false, 0xffff_8000_0000_0000, true),
        (true, 0x0000_8000_0000_0000, true),
        (true, 0x0100_0000_0000_0000, false),
        (true, 0xff00_0000_0000_0000, true),
    ] {
        let mut b = small(0, PWU);
        b.cpu.sys.cr4 |= if la57 { cr4::LA57 } else { 0 };
        let page = |fault| matches!(fault, Err(Fault::Guest { class: 14, .. }) | Ok(_));

        assert_eq!(page(b.walk(va, Access::Read)), fine, "{va:#x}");
        if !fine {
            assert_eq!(b.walk(va, Access::Write), Err(fault::non_canonical(va)));
            assert_eq!(b.walk(va, Access::Execute), Err(gp(0)));
        }
    }
}

/// G64: bit 20 of every physical address, those of tables as well.
#[test]
fn without_a20_tables_and_pages_lose_bit_20() {
    let mut b = bits32(0);
    b.cpu.sys.pending |= pending::A20M;
    b.engine.ram.put(0, 4, 0x30_1000 | PWU);
    b.engine.ram.put(0x20_1000, 4, 0x30_5000 | PWU);

    assert_eq!(b.walk(0, Access::Read).unwrap().phys, 0x20_5000);
    b.cpu.sys.cr0 &= !cr0::PG;
    assert_eq!(b.walk(0x10_0510, Access::Execute).unwrap().phys, 0);
    b.cpu.sys.pending = 0;
    assert_eq!(b.walk(0x10_0510, Access::Execute).unwrap().phys, 0x10_0000);
}

#[test]
fn pages_are_global_where_pge_is_on() {
    let mut b = small(0, PWU | entry::G);

    assert!(!b.walk(0, Access::Read).unwrap().global);
    b.cpu.sys.cr4 |= cr4::PGE;
    assert!(b.walk(0, Access::Read).unwrap().global);
}

/// A walk's result changes only with its context.
#[test]
fn a_context_has_all_that_a_walk_depends_on() {
    type Change = fn(&mut Cpu);
    const CHANGES: [(&str, Change, bool, bool); 17] = [
        ("CR3", |c| c.sys.cr3 = 0x5000, true, true),
        ("CR3.PCD", |c| c.sys.cr3 |= 0x18, false, false),
        ("paging", |c| c.sys.cr0 &= !cr0::PG, true, true),
        ("WP", |c| c.sys.cr0 ^= cr0::WP, true, false),
        ("NXE", |c| c.sys.efer ^= efer::NXE, true, true),
        ("PGE", |c| c.sys.cr4 ^= cr4::PGE, true, true),
        ("LA57", |c| c.sys.cr4 ^= cr4::LA57, true, true),
        ("SMEP", |c| c.sys.cr4 ^= cr4::SMEP, true, false),
        ("SMAP", |c| c.sys.cr4 ^= cr4::SMAP, true, false),
        ("AC", |c| c.eflags ^= eflags::AC, false, false),
        ("PKE", |c| c.sys.cr4 ^= cr4::PKE, true, true),
        ("PKRU", |c| c.sys.pkru = 4, false, false),
        ("A20M", |c| c.sys.pending ^= pending::A20M, true, true),
        ("SMM", |c| c.mode ^= mode::SMM, true, true),
        ("level", |c| c.settle_at(c.cpl() ^ 3), true, true),
        ("level 1", |c| c.settle_at(c.cpl() ^ 1), false, true),
        ("TS", |c| c.sys.cr0 ^= cr0::TS, false, false),
    ];
    for (name, change, supervisor, user) in CHANGES {
        for (cpl, differs) in [(0, supervisor), (3, user)] {
            let mut cpu = Bench::long(cpl).cpu;
            let before = context(&cpu, CURRENT);

            change(&mut cpu);

            assert_eq!(context(&cpu, CURRENT) != before, differs, "{name} at {cpl}");
        }
    }
}

#[test]
fn ac_and_pkru_are_in_a_context_where_they_count() {
    let mut cpu = Bench::long(0).cpu;
    cpu.sys.cr4 |= cr4::SMAP | cr4::PKE;
    let before = [CURRENT, SYSTEM].map(|idx| context(&cpu, idx));
    cpu.eflags |= eflags::AC;
    let after = [CURRENT, SYSTEM].map(|idx| context(&cpu, idx));
    assert!(before[0] != after[0] && before[1] == after[1]);
    assert_eq!(before[0], before[1]);

    cpu.sys.pkru = 4;
    assert_ne!(context(&cpu, CURRENT), after[0]);
}

#[test]
fn pae_contexts_name_the_four_registers() {
    let mut cpu = pae(0).cpu;
    let before = context(&cpu, CURRENT);
    cpu.sys.cr3 = 0x7000;
    assert_eq!(context(&cpu, CURRENT), before);
    for n in 0..4 {
        let mut other = cpu;
        other.sys.pdpte[n] ^= 0x1000;
        assert_ne!(context(&other, CURRENT), before);
    }
}

#[test]
fn pcids_are_address_spaces() {
    let mut cpu = Bench::long(0).cpu;
    cpu.sys.cr3 |= 5;
    assert_eq!(context(&cpu, CURRENT).asid, 0);
    cpu.sys.cr4 |= cr4::PCIDE;
    assert_eq!((context(&cpu, CURRENT).asid, context(&cpu, SYSTEM).asid), (5, 5));
}

/// G45: of an address that is not canonical nothing is forgotten, and there is no fault.
#[test]
fn invlpg_forgets_a_page() {
    let mut cpu = Bench::long(0).cpu;
    cpu.sys.cr4 |= cr4::PCIDE;
    cpu.sys.cr3 |= 7;

    assert_eq!(invlpg(&cpu, 0x1234), Ok(Some(Flush::page(0x1234, Some(7)))));
    assert_eq!(invlpg(&cpu, 1 << 60), Ok(None));
    assert_eq!(
        invlpg(&Bench::protected(0).cpu, 0x1_0000_1234),
        Ok(Some(Flush::page(0x1234, Some(0))))
    );
    assert_eq!(invlpg(&Bench::long(3).cpu, 0), Err(gp(0)));
}

/// SDM 2, INVPCID.
#[test]
fn invpcid_forgets_what_its_type_says() {
    for (pcide, kind, descriptor, expected) in [
        (true, 0, [5, 0x1000], Ok(Flush::page(0x1000, Some(5)))),
        (true, 1, [5, 1 << 60], Ok(Flush::asid(5))),
        (true, 2, [5, 0], Ok(Flush::ALL)),
        (true, 3, [0, 0], Ok(Flush::ALL)),
        (true, 4, [0, 0], Err(gp(0))),
        (true, 0, [5, 1 << 60], Err(gp(0))),
        (true, 1, [0x1000, 0], Err(gp(0))),
        (false, 0, [5, 0], Err(gp(0))),
        (false, 1, [0, 0], Ok(Flush::asid(0))),
    ] {
        let mut cpu = Bench::long(0).cpu;
        cpu.sys.cr4 |= if pcide { cr4::PCIDE } else { 0 };

        assert_eq!(invpcid(&cpu, kind, descriptor), expected, "{kind} {descriptor:x?}");
    }
    assert_eq!(invpcid(&Bench::long(3).cpu, 2, [0, 0]), Err(gp(0)));
}

/// G06: an access across pages asks for both before it is made.
#[test]
fn a_store_across_pages_is_made_whole_or_not_at_all() {
    let mut b = small(0, PWU);
    b.engine.ram.put(FRAME + 0xffc, 4, 0x5555_5555);
    let cpu = b.cpu;
    let mut m = Memory::new(&b.model, &mut b.engine.ram);

    let done = m.store(&cpu, 0xffc, 8, 0x1122_3344_5566_7788, Who::System);
    m.commit();

    assert_eq!(done, Err(fault::page(0x1000, pf::W)));
    assert_eq!(b.engine.ram.get(FRAME + 0xffc, 4), 0x5555_5555);

    b.engine.ram.put(L1 + 8, 8, (FRAME - 0x1000) | PWU);
    let mut m = Memory::new(&b.model, &mut b.engine.ram);
    m.store(&cpu, 0xffc, 8, 0x1122_3344_5566_7788, Who::System).unwrap();
    m.commit();
    assert_eq!(m.load(&cpu, 0xffc, 8, Who::System), Ok(0x1122_3344_5566_7788));
    assert_eq!(b.engine.ram.get(FRAME + 0xffc, 4), 0x5566_7788);
    assert_eq!(b.engine.ram.get(FRAME - 0x1000, 4), 0x1122_3344);
}

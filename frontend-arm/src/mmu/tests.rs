//! The walk against the manual's tables: permissions, faults, formats.

use super::*;
use crate::cp15::{sctlr, ttbcr};
use crate::fault::Class;
use crate::machine_for_tests::Ram;
use crate::model::MODELS;
use emu_ir::testing::Random;

const BASE: u64 = 0x4000_0000;
const L1: u64 = BASE;
const L2: u64 = BASE + 0x8000;
const L3: u64 = BASE + 0x9000;

/// A CPU with the MMU on, TTBR0 at [`L1`] and domain 0 a client.
fn cpu() -> Cpu {
    let mut cpu = Cpu::reset(&MODELS[0]);
    cpu.cp15.sctlr |= sctlr::M;
    cpu.cp15.ttbr0 = L1;
    cpu.cp15.dacr = 1;
    cpu
}

fn long_cpu() -> Cpu {
    let mut cpu = cpu();
    cpu.cp15.ttbcr = ttbcr::EAE;
    cpu.cp15.prrr = 0x00ff_0400; // Attr0 Strongly-ordered, Attr1 Device, Attr2 Normal
    cpu
}

fn ram() -> Ram {
    Ram::new(BASE, 0x10_000)
}

/// DFSR or IFSR of the fault that an access ends in; `None` if it is allowed.
fn fsr(cpu: &Cpu, ram: &mut Ram, va: u32, access: Access, idx: u8) -> Option<u32> {
    let fault = walk(cpu, ram, va, access, idx).err()?;
    let mut after = *cpu;
    after.raise(fault);
    match fault {
        Fault::Guest { class, addr, .. } if class == Class::PrefetchAbort as u32 => {
            assert_eq!((after.cp15.ifar, u64::from(va)), (va, addr));
            Some(after.cp15.ifsr)
        }
        _ => {
            assert_eq!(after.cp15.dfar, va);
            Some(after.cp15.dfsr)
        }
    }
}

#[test]
fn with_the_mmu_off_addresses_are_physical_and_all_is_allowed() {
    let cpu = Cpu::reset(&MODELS[0]);

    let page = walk(&cpu, &mut ram(), 0x1234_5678, Access::Write, 0).unwrap();

    assert_eq!(page.phys, 0x1234_5000);
    assert!(page.read && page.write && page.exec);
}

/// What each AP value allows: read and write at PL1, read and write at PL0 (table B3-8).
#[test]
fn short_access_permissions() {
    let rows = [
        (0b000, "-- --"),
        (0b001, "rw --"),
        (0b010, "rw r-"),
        (0b011, "rw rw"),
        (0b100, "-- --"),
        (0b101, "r- --"),
        (0b110, "r- r-"),
        (0b111, "r- r-"),
    ];
    for (ap, want) in rows {
        let mut ram = ram();
        ram.put32(L1, 0x4000_0002 | (ap & 3) << 10 | (ap >> 2) << 15);
        let mut got = String::new();
        for idx in [CURRENT, UNPRIVILEGED] {
            for (access, c) in [(Access::Read, 'r'), (Access::Write, 'w')] {
                let ok = walk(&cpu(), &mut ram, 0, access, idx).is_ok();
                got.push(if ok { c } else { '-' });
            }
            got.push(' ');
        }
        assert_eq!(got.trim_end(), want, "AP {ap:03b}");
    }
}

/// With the access flag, AP\[2:1\] decide (table B3-6).
#[test]
fn short_simplified_permissions() {
    for (ap, kernel_writes, user_reads, user_writes) in [
        (0b001, true, false, false),
        (0b011, true, true, true),
        (0b101, false, false, false),
        (0b111, false, true, false),
    ] {
        let (mut cpu, mut ram) = (cpu(), ram());
        cpu.cp15.sctlr |= sctlr::AFE;
        ram.put32(L1, 0x4000_0002 | (ap & 3) << 10 | (ap >> 2) << 15);

        let kernel = walk(&cpu, &mut ram, 0, Access::Read, CURRENT).unwrap();
        let user = walk(&cpu, &mut ram, 0, Access::Read, UNPRIVILEGED);

        assert_eq!(kernel.write, kernel_writes, "AP {ap:03b}");
        assert_eq!(user.is_ok(), user_reads, "AP {ap:03b}");
        assert_eq!(user.is_ok_and(|p| p.write), user_writes, "AP {ap:03b}");
    }
}

/// Each fault of the short format: what is in the tables, how it is accessed, and the status (table B3-23).
#[test]
fn short_fault_status() {
    const TABLE: u32 = L2 as u32 | 0x20 | 1; // domain 1
    type Prepare = fn(&mut Cpu, &mut Ram);
    let rows: [(&str, Prepare, Access, u32); 19] = [
        ("translation, section", |_, _| {}, Access::Read, 0x005),
        ("translation, section, write", |_, _| {}, Access::Write, 0x805),
        ("translation, section, fetch", |_, _| {}, Access::Execute, 0x005),
        ("translation, page", |_, r| r.put32(L1, TABLE), Access::Read, 0x017),
        (
            "translation, page, fetch",
            |_, r| r.put32(L1, TABLE),
            Access::Execute,
            0x007,
        ),
        ("domain, section", |_, r| r.put32(L1, 0xc42), Access::Write, 0x829),
        (
            "domain, page",
            |_, r| {
                r.put32(L1, TABLE);
                r.put32(L2, 0x32)
            },
            Access::Read,
            0x01b,
        ),
        ("permission, section", |_, r| r.put32(L1, 2), Access::Write, 0x80d),
        (
            "permission, page",
            |c, r| {
                c.cp15.dacr = 5;
                r.put32(L1, TABLE);
                r.put32(L2, 2)
            },
            Access::Write,
            0x81f,
        ),
        (
            "access flag, section",
            |c, r| {
                c.cp15.sctlr |= sctlr::AFE;
                r.put32(L1, 0x802)
            },
            Access::Read,
            0x003,
        ),
        (
            "access flag before domain",
            |c, r| {
                c.cp15.sctlr |= sctlr::AFE;
                r.put32(L1, 0x842)
            },
            Access::Read,
            0x023,
        ),
        (
            "access flag, page",
            |c, r| {
                c.cp15.sctlr |= sctlr::AFE;
                r.put32(L1, TABLE);
                r.put32(L2, 0x22)
            },
            Access::Read,
            0x016,
        ),
        (
            "execute never, section",
            |_, r| r.put32(L1, 0xc12),
            Access::Execute,
            0x00d,
        ),
        (
            "privileged execute never",
            |_, r| r.put32(L1, 0xc03),
            Access::Execute,
            0x00d,
        ),
        (
            "execute never by WXN",
            |c, r| {
                c.cp15.sctlr |= sctlr::WXN;
                r.put32(L1, 0xc02)
            },
            Access::Execute,
            0x00d,
        ),
        (
            "external, first level",
            |c, _| c.cp15.ttbr0 = 0x1000_0000,
            Access::Read,
            0x00c,
        ),
        (
            "external, second level",
            |_, r| r.put32(L1, 0x1000_0021),
            Access::Write,
            0x81e,
        ),
        (
            "PD0",
            |c, r| {
                c.cp15.ttbcr = ttbcr::PD0;
                r.put32(L1, 0xc02)
            },
            Access::Read,
            0x005,
        ),
        (
            "reserved domain value",
            |c, r| {
                c.cp15.dacr = 2;
                r.put32(L1, 0xc02)
            },
            Access::Read,
            0x009,
        ),
    ];
    for (what, prepare, access, want) in rows {
        let (mut cpu, mut ram) = (cpu(), ram());
        prepare(&mut cpu, &mut ram);
        assert_eq!(fsr(&cpu, &mut ram, 0, access, CURRENT), Some(want), "{what}");
    }
}

#[test]
fn a_manager_domain_checks_nothing() {
    let (mut cpu, mut ram) = (cpu(), ram());
    cpu.cp15.dacr = 3;
    ram.put32(L1, 0x4000_0013);

    let page = walk(&cpu, &mut ram, 0x1000, Access::Execute, UNPRIVILEGED).unwrap();

    assert!(page.read && page.write && page.exec);
}

#[test]
fn short_page_sizes() {
    let rows: [(u32, u32, u32, u64); 4] = [
        (0x8010_0c02, 0, 0x000f_e123, 0x801f_e000),
        (0x8025_0ca2, 0, 0x00ab_c123, 0x0_8000_0000),
        (L2 as u32 | 1, 0x8123_0031, 0x0000_f123, 0x8123_f000),
        (L2 as u32 | 1, 0x8123_4032, 0x0000_0123, 0x8123_4000),
    ];
    for (i, (first, second, va, want)) in rows.into_iter().enumerate() {
        let mut ram = ram();
        for k in 0..16 {
            ram.put32(L1 + 4 * k, first);
            ram.put32(L2 + 4 * k, second);
        }
        let page = walk(&cpu(), &mut ram, va, Access::Read, CURRENT).unwrap();
        assert_eq!(page.size, [20, 24, 16, 12][i]);
        let got = page.phys;
        // row 1 is a supersection: PA[39:36] = 5, PA[35:32] = 2
        let want = if i == 1 { 0x52_80ab_c000 } else { want };
        assert_eq!(got, want, "descriptor {first:08x} {second:08x}");
    }
}

#[test]
fn ttbcr_n_splits_the_address_space() {
    let (mut cpu, mut ram) = (cpu(), ram());
    cpu.cp15.ttbcr = 2;
    cpu.cp15.ttbr0 = L2;
    cpu.cp15.ttbr1 = L1;
    ram.put32(L2, 0x1000_0c02);
    ram.put32(L1 + (0x400 << 2), 0x2000_0c02);

    assert_eq!(walk(&cpu, &mut ram, 0, Access::Read, 0).unwrap().phys, 0x1000_0000);
    assert_eq!(
        walk(&cpu, &mut ram, 0x4000_0000, Access::Read, 0).unwrap().phys,
        0x2000_0000
    );

    cpu.cp15.ttbcr = 2 | ttbcr::PD1;
    assert_eq!(fsr(&cpu, &mut ram, 0x4000_0000, Access::Read, 0), Some(5));
}

#[test]
fn big_endian_tables() {
    let (mut cpu, mut ram) = (cpu(), ram());
    cpu.cp15.sctlr |= sctlr::EE;
    ram.put32(L1, 0x1230_0c02u32.swap_bytes());

    assert_eq!(walk(&cpu, &mut ram, 0, Access::Read, 0).unwrap().phys, 0x1230_0000);
}

/// Memory types of the short format, by TEX:C:B and as PRRR and NMRR remap them.
#[test]
fn short_memory_types() {
    let plain = [
        (0b00000, 0x00),
        (0b00001, 0x04),
        (0b01000, 0x04),
        (0b00010, 0xaa),
        (0b00011, 0xee),
        (0b00100, 0x44),
    ];
    let cached = [(0b00111, 0xff), (0b10000, 0x44), (0b10001, 0x4f), (0b11110, 0xea)];
    for (tex_cb, mair) in plain.into_iter().chain(cached) {
        assert_eq!(Attributes::short(&cpu(), tex_cb, true).mair, mair, "{tex_cb:05b}");
    }

    let mut cpu = cpu();
    cpu.cp15.sctlr |= sctlr::TRE;
    (cpu.cp15.prrr, cpu.cp15.nmrr) = (0xff0a_81a8, 0x40e0_40e0); // as Linux sets them
    let remapped = [(0, 0x00), (1, 0x44), (2, 0xaa), (3, 0xee), (4, 0x04), (7, 0xff)];
    for (n, mair) in remapped {
        assert_eq!(Attributes::short(&cpu, n, true).mair, mair, "remapped {n:03b}");
    }
    assert_eq!(Attributes::short(&cpu, 7, true).sh, 3);
    assert_eq!(Attributes::short(&cpu, 7, false).sh, 0);
}

/// A chain of tables for the address 0 down to a page.
fn long_tables(ram: &mut Ram, page: u64) {
    ram.put64(L1, L2 | 3);
    ram.put64(L2, L3 | 3);
    ram.put64(L3, page);
}

/// A page or block at BASE with the access flag, for both privileges to read and write.
const LEAF: u64 = BASE | 1 << 10 | 1 << 6;

#[test]
fn long_block_sizes() {
    let mut ram = ram();
    long_tables(&mut ram, 0x12_3456_7000 | 0x443 | 2 << 2);
    ram.put64(L2 + 8, 0x12_3440_0000 | 0x441);
    ram.put64(L1 + 8, 0x12_4000_0000 | 0x441);
    let walked = |ram: &mut Ram, va| walk(&long_cpu(), ram, va, Access::Write, 1).unwrap();
    let phys = |ram: &mut Ram, va| walked(ram, va).phys;
    let sizes = [0, 0x0020_0000, 0x4000_0000].map(|va| walked(&mut ram, va).size);
    assert_eq!(sizes, [12, 21, 30]);

    assert_eq!(phys(&mut ram, 0x0000_0fff), 0x12_3456_7000);
    assert_eq!(phys(&mut ram, 0x003f_efff), 0x12_345f_e000);
    assert_eq!(phys(&mut ram, 0x7fff_ffff), 0x12_7fff_f000);
    assert!(
        walk(&long_cpu(), &mut ram, 0x4000_0000, Access::Read, 0)
            .unwrap()
            .strict
    );
    assert!(!walk(&long_cpu(), &mut ram, 0, Access::Read, 0).unwrap().strict);
}

/// Each fault of the long format and its status (table B3-24).
#[test]
fn long_fault_status() {
    type Prepare = fn(&mut Cpu, &mut Ram);
    let rows: [(&str, Prepare, Access, u8, u32); 19] = [
        ("translation, level 1", |_, r| r.put64(L1, 0), Access::Read, 0, 0x205),
        ("translation, level 2", |_, r| r.put64(L2, 0), Access::Write, 0, 0xa06),
        ("translation, level 3", |_, r| r.put64(L3, 0), Access::Execute, 0, 0x207),
        ("block at level 3", |_, r| r.put64(L3, LEAF | 1), Access::Read, 0, 0x207),
        ("access flag, level 1", |_, r| r.put64(L1, 0x41), Access::Read, 0, 0x209),
        ("access flag, level 2", |_, r| r.put64(L2, 0x41), Access::Read, 0, 0x20a),
        ("access flag, level 3", |_, r| r.put64(L3, 0x43), Access::Read, 0, 0x20b),
        (
            "permission, level 1",
            |_, r| r.put64(L1, 0x4c1),
            Access::Write,
            0,
            0xa0d,
        ),
        (
            "permission, level 2",
            |_, r| r.put64(L2, 0x4c1),
            Access::Write,
            0,
            0xa0e,
        ),
        (
            "permission, level 3, user",
            |_, r| r.put64(L3, 0x403),
            Access::Read,
            1,
            0x20f,
        ),
        (
            "execute never",
            |_, r| r.put64(L3, LEAF | 3 | 1 << 54),
            Access::Execute,
            0,
            0x20f,
        ),
        (
            "privileged execute never",
            |_, r| r.put64(L3, LEAF | 3 | 1 << 53),
            Access::Execute,
            0,
            0x20f,
        ),
        (
            "XNTable",
            |_, r| r.put64(L1, L2 | 3 | 1 << 60),
            Access::Execute,
            1,
            0x20f,
        ),
        (
            "PXNTable",
            |_, r| r.put64(L2, L3 | 3 | 1 << 59),
            Access::Execute,
            0,
            0x20f,
        ),
        (
            "APTable: read only",
            |_, r| r.put64(L1, L2 | 3 | 1 << 62),
            Access::Write,
            0,
            0xa0f,
        ),
        (
            "APTable: no user",
            |_, r| r.put64(L1, L2 | 3 | 1 << 61),
            Access::Read,
            1,
            0x20f,
        ),
        (
            "external, level 1",
            |c, _| c.cp15.ttbr0 = 0x1000_0000,
            Access::Read,
            0,
            0x215,
        ),
        (
            "external, level 3",
            |_, r| r.put64(L2, 0x1000_0003),
            Access::Write,
            0,
            0xa17,
        ),
        ("EPD0", |c, _| c.cp15.ttbcr |= ttbcr::EPD0, Access::Read, 0, 0x205),
    ];
    for (what, prepare, access, idx, want) in rows {
        let (mut cpu, mut ram) = (long_cpu(), ram());
        long_tables(&mut ram, LEAF | 3);
        assert_eq!(fsr(&cpu, &mut ram, 0, access, idx), None, "before: {what}");
        prepare(&mut cpu, &mut ram);
        assert_eq!(fsr(&cpu, &mut ram, 0, access, idx), Some(want), "{what}");
    }
}

#[test]
fn long_table_bases_split_the_address_space() {
    let (mut cpu, mut ram) = (long_cpu(), ram());
    // Linux with LPAE and a 2 GiB user space: both halves start at level 1, TTBR1's entries from its base
    cpu.cp15.ttbcr = ttbcr::EAE | 1 | 1 << 16;
    cpu.cp15.ttbr1 = L1 + 0x100;
    ram.put64(L1 + 8, 0x4000_0441);
    ram.put64(L1 + 0x100 + 8, 0xc000_0441);

    assert_eq!(
        walk(&cpu, &mut ram, 0x4000_1000, Access::Read, 0).unwrap().phys,
        0x4000_1000
    );
    assert_eq!(
        walk(&cpu, &mut ram, 0xc000_1000, Access::Read, 0).unwrap().phys,
        0xc000_1000
    );

    // T0SZ 2 starts at level 2; what neither covers faults at level 1
    cpu.cp15.ttbcr = ttbcr::EAE | 2 | 2 << 16;
    cpu.cp15.ttbr0 = L2;
    ram.put64(L2 + 8, 0x0020_0441);
    assert_eq!(
        walk(&cpu, &mut ram, 0x0020_1000, Access::Read, 0).unwrap().phys,
        0x0020_1000
    );
    assert_eq!(fsr(&cpu, &mut ram, 0x4000_0000, Access::Read, 0), Some(0x205));
}

#[test]
fn the_context_holds_what_a_walk_depends_on() {
    let base = {
        let mut cpu = cpu();
        cpu.cp15.sctlr |= sctlr::TRE;
        cpu
    };
    type Change = fn(&mut Cpu);
    let changes: [(&str, Change); 12] = [
        ("MMU", |c| c.cp15.sctlr ^= sctlr::M),
        ("AFE", |c| c.cp15.sctlr ^= sctlr::AFE),
        ("TRE", |c| c.cp15.sctlr ^= sctlr::TRE),
        ("EE", |c| c.cp15.sctlr ^= sctlr::EE),
        ("WXN", |c| c.cp15.sctlr ^= sctlr::WXN),
        ("UWXN", |c| c.cp15.sctlr ^= sctlr::UWXN),
        ("DACR", |c| c.cp15.dacr = 5),
        ("TTBR0", |c| c.cp15.ttbr0 += 0x4000),
        ("TTBR1", |c| c.cp15.ttbr1 += 0x4000),
        ("TTBCR", |c| c.cp15.ttbcr ^= 1),
        ("ASID", |c| c.cp15.contextidr ^= 1),
        ("User mode", |c| c.switch_mode(crate::state::psr::USR)),
    ];
    for (what, change) in changes {
        let mut cpu = base;
        change(&mut cpu);
        assert_ne!(context(&cpu, 0), context(&base, 0), "{what}");
        change(&mut cpu);
    }
    let mut cpu = base;
    cpu.cp15.contextidr ^= 0x100;
    assert_eq!(
        context(&cpu, 0),
        context(&base, 0),
        "the process identifier is no part of it"
    );
    cpu.switch_mode(crate::state::psr::USR);
    assert_eq!(
        context(&cpu, 0),
        context(&base, 1),
        "User mode's is the unprivileged one"
    );
}

#[test]
fn random_tables_and_registers_end_every_walk() {
    let mut random = Random::new(1);
    for _ in 0..20_000 {
        let (mut cpu, mut ram) = (cpu(), Ram::new(BASE, 0x1000));
        for _ in 0..16 {
            let at = BASE + (random.next() & 0xff8);
            // often a table that points back into the memory, so that walks go deep and round in circles
            let d = match random.next() & 3 {
                0 => random.next(),
                1 => BASE | random.next() & 0xffc | 1,
                _ => BASE | 3 | random.next() << 52,
            };
            ram.put64(at, d);
        }
        let c = &mut cpu.cp15;
        (c.sctlr, c.dacr) = (random.next() as u32 | sctlr::M, random.next() as u32);
        c.ttbcr = random.next() as u32;
        (c.prrr, c.nmrr) = (random.next() as u32, random.next() as u32);
        c.ttbr0 = if random.next() & 1 != 0 { BASE } else { random.next() };
        c.ttbr1 = if random.next() & 1 != 0 { BASE } else { random.next() };
        let va = random.next() as u32 & if random.next() & 1 != 0 { 0x1ff_ffff } else { u32::MAX };
        for access in [Access::Read, Access::Write, Access::Execute] {
            let idx = random.next() as u8 & 1;
            match walk(&cpu, &mut ram, va, access, idx) {
                Ok(page) => assert_eq!(page.phys & !0xff_ffff_f000, 0),
                Err(fault) => cpu.raise(fault),
            }
        }
    }
}

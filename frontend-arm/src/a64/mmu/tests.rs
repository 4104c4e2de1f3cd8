//! The walk against the manual's tables: sizes, granules, permissions, flags, faults.

use super::super::features::Features;
use super::super::model;
use super::*;
use crate::a64::fault::{WNR, class};
use crate::a64::state::mode;
use crate::machine_for_tests::Ram;
use emu_ir::RamPage;
use emu_ir::testing::Random;

const BASE: u64 = 0x4000_0000;
const ROOT: u64 = BASE;
const L1: u64 = BASE + 0x1_0000;
const L2: u64 = BASE + 0x2_0000;
const L3: u64 = BASE + 0x3_0000;

/// Of a page or block: valid, Access flag, Inner Shareable, attributes 0.
const LEAF: u64 = 1 << 10 | 3 << 8 | 1;
const PAGE: u64 = LEAF | 2;
const TABLE: u64 = 3;
const NG: u64 = 1 << 11;

struct Bench {
    model: Model,
    cpu: Cpu,
    ram: Ram,
}

/// At EL1, MMU on, 48 bits of address in both halves, 4 KiB granules, 48 bits of physical address, attribute 0 Normal and 1
/// Device; both roots are the same.
fn bench(model: &str) -> Bench {
    let mut cpu = Cpu::reset();
    let c = &mut cpu.sys;
    c.sctlr |= sctlr::M;
    c.tcr = 16 | 16 << 16 | 2 << 30 | 5 << 32;
    (c.ttbr0, c.ttbr1) = (ROOT, ROOT);
    c.mair = 0x04ff;
    cpu.update_mode();
    let model = model::find(model).unwrap();
    let ram = Ram::new(BASE, 0x8_0000);
    Bench { model, cpu, ram }
}

impl Bench {
    /// Maps the last of the tables' levels that `descriptor` is for, at index 0 everywhere but where the high half needs it.
    fn map(&mut self, level: u32, descriptor: u64) -> &mut Bench {
        let tables = [ROOT, L1, L2, L3];
        for (at, next) in tables.iter().zip(&tables[1..]).take(level as usize) {
            self.ram.put64(*at, next | TABLE);
        }
        self.ram.put64(tables[level as usize], descriptor);
        self
    }
    fn walk(&mut self, va: u64, access: Access) -> Result<Page, Fault> {
        walk(&self.model, &self.cpu, &mut self.ram, va, access, CURRENT)
    }
    fn as_user(&mut self, va: u64, access: Access) -> Result<Page, Fault> {
        walk(&self.model, &self.cpu, &mut self.ram, va, access, UNPRIVILEGED)
    }
    /// The fault status code, with its level.
    fn status(&mut self, va: u64, access: Access) -> Option<u32> {
        Some(code(self.walk(va, access).err()?))
    }
}

fn code(fault: Fault) -> u32 {
    match fault {
        Fault::Guest { info, .. } => info & 0x3f,
        other => panic!("{other:?}"),
    }
}

#[test]
fn with_the_mmu_off_addresses_are_physical_within_their_size() {
    let mut b = bench("cortex-a57");
    b.cpu.sys.sctlr &= !sctlr::M;

    let page = b.walk(0xfff_ffff_f678, Access::Write).unwrap();

    assert_eq!((page.phys, page.strict), (0xfff_ffff_f000, false));
    assert!(page.read && page.write && page.exec);
    let refused = b.status(1 << 44, Access::Read);
    assert_eq!(refused, Some(status::ADDRESS_SIZE));
}

/// Level by level, with each granule: the start level, the block sizes, the bits that index.
#[test]
fn each_granule_has_its_levels_and_sizes() {
    // TG0, log2 of the granule, size of addresses, first level, levels with blocks
    let rows = [
        (0, 12, 48, 0, [1, 2]),
        (0, 12, 39, 1, [1, 2]),
        (0, 12, 25, 2, [2, 2]),
        (2, 14, 48, 0, [2, 2]),
        (2, 14, 47, 1, [2, 2]),
        (2, 14, 36, 2, [2, 2]),
        (1, 16, 48, 1, [2, 2]),
        (1, 16, 42, 2, [2, 2]),
    ];
    for (tg0, granule, bits, first, blocks) in rows {
        let (stride, tables) = (granule - 3, [ROOT, L1, L2, L3]);
        for last in first..=3u32 {
            let mut b = bench("max");
            b.cpu.sys.tcr = (64 - bits) | tg0 << 14 | 5 << 32;
            b.cpu.sys.ttbr0 = tables[first as usize];
            let shift = granule + stride * (3 - last);
            // An address with bits at every index.
            let va = 0x5a5a_1234_9abc_def8_u64 & ((1 << bits) - 1);
            for level in first..=last {
                let at = granule + stride * (3 - level);
                let index = va >> at & ((1 << stride) - 1);
                let table = tables[level as usize];
                let to = if level == last {
                    0x1234_5678_0000_0000 & 0xffff_ffff_ffff & (u64::MAX << shift)
                        | PAGE & !2
                        | u64::from(level == 3) << 1
                } else {
                    tables[level as usize + 1] | TABLE
                };
                b.ram.put64(table + (index << 3), to);
            }

            let got = translate(
                &b.model,
                &b.cpu,
                &mut b.ram,
                Request {
                    va,
                    access: Access::Read,
                    user: false,
                    pan: true,
                    made: true,
                },
            );

            let what = format!("{granule} {bits} {last}");
            if last == 3 || blocks.contains(&last) {
                let t = got.unwrap_or_else(|e| panic!("{what}: {e:#x}"));
                let within = (1u64 << shift) - 1;
                let want = 0x1234_5678_0000_0000 & 0xffff_ffff_ffff & !within | va & within;
                assert_eq!((t.phys, u32::from(t.size)), (want, shift), "{what}");
            } else {
                assert_eq!(got.err(), Some(status::TRANSLATION | last), "{what}");
            }
        }
    }
}

/// Which half, and what lies between them.
#[test]
fn addresses_between_the_halves_are_not_translated() {
    let translation = Some(status::TRANSLATION);
    let mut b = bench("max");
    b.map(0, L1 | TABLE).map(1, LEAF);
    b.ram.put64(ROOT + 511 * 8, L1 | TABLE);
    b.ram.put64(L1 + 511 * 8, LEAF);

    assert!(b.walk(0x1000, Access::Read).is_ok());
    assert!(b.walk(!0xfff, Access::Read).is_ok());
    for va in [1 << 48, 1 << 55, !0 ^ 1 << 48, 0x00ff_ffff_ffff_f000, 1 << 63] {
        assert_eq!(b.status(va, Access::Read), translation, "{va:#x}");
    }

    b.cpu.sys.tcr |= tcr::TBI0;
    assert!(b.walk(0x5a00_0000_0000_1000, Access::Read).is_ok());
    assert_eq!(b.status(0x0080_0000_0000_0000, Access::Read), translation);
    assert_eq!(
        b.status(0x00ff_ffff_ffff_f000, Access::Read),
        translation,
        "TBI1 is off"
    );
    b.cpu.sys.tcr |= tcr::TBI1;
    assert!(b.walk(0x00ff_ffff_ffff_f000, Access::Read).is_ok());
}

#[test]
fn sizes_out_of_their_limits_are_not_translated() {
    let at = |model: &str, txsz: u64, tg0: u64| {
        let mut b = bench(model);
        b.cpu.sys.tcr = txsz | tg0 << 14 | 6 << 32;
        b.status(0, Access::Read).unwrap() & 3
    };
    // Of a size that is allowed, the empty root is looked at.
    assert_eq!([15, 16, 39, 40].map(|t| at("cortex-a57", t, 0)), [0, 0, 2, 0]);
    assert_eq!([48, 49].map(|t| at("max", t, 0)), [3, 0]);
    assert_eq!([47, 48].map(|t| at("max", t, 1)), [3, 0]);
    assert_eq!([12, 11].map(|t| at("max", t, 1)), [1, 0]);
    assert_eq!([12].map(|t| at("max,lva=off", t, 1)), [0]);
}

/// Output addresses beyond TCR.IPS.
#[test]
fn addresses_beyond_their_size_are_faults_at_the_level_they_are_found() {
    let mut b = bench("max");
    b.cpu.sys.tcr = b.cpu.sys.tcr & !(7 << 32) | 2 << 32; // 40 bits
    b.map(3, PAGE | 1 << 44);
    assert_eq!(b.status(0, Access::Read), Some(status::ADDRESS_SIZE | 3));
    b.ram.put64(L1, L2 | TABLE | 1 << 40);
    assert_eq!(b.status(0, Access::Read), Some(status::ADDRESS_SIZE | 1));
    b.cpu.sys.ttbr0 |= 1 << 41;
    assert_eq!(b.status(0, Access::Read), Some(status::ADDRESS_SIZE));
}

#[test]
fn addresses_of_52_bits_are_for_64_kib_granules() {
    let mut b = bench("max");
    b.cpu.sys.tcr = 12 | 1 << 14 | 6 << 32;
    b.cpu.sys.ttbr0 = ROOT;
    // Level 1, a block of 4 TiB: bits 51:48 of its address are bits 15:12.
    b.ram.put64(ROOT, LEAF | 0x8400_0000_0000 | 0xa << 12);

    let page = b.walk(0x123_4567_8000, Access::Read).unwrap();

    assert_eq!((page.phys, page.size), (0xa_8523_4567_8000, 42));
    b.cpu.sys.tcr = b.cpu.sys.tcr & !(7 << 32) | 5 << 32;
    assert_eq!(
        b.status(0, Access::Read),
        Some(status::TRANSLATION | 1),
        "no such block"
    );
}

/// Which accesses AP, PXN and UXN allow: EL1 and EL0, read, write and execute (D8.4.1, D8.4.2).
#[test]
fn permissions() {
    const RWX: [Access; 3] = [Access::Read, Access::Write, Access::Execute];
    const UXN: u64 = 1 << 54;
    const PXN: u64 = 1 << 53;
    type Prepare = fn(&mut Bench);
    let rows: &[(u64, u64, Prepare, &str)] = &[
        (0b00, 0, |_| {}, "rwx --x"),
        (0b01, 0, |_| {}, "rw- rwx"),
        (0b10, 0, |_| {}, "r-x --x"),
        (0b11, 0, |_| {}, "r-x r-x"),
        (0b00, UXN, |_| {}, "rwx ---"),
        (0b01, PXN, |_| {}, "rw- rwx"),
        (0b11, PXN, |_| {}, "r-- r-x"),
        (0b11, PXN | UXN, |_| {}, "r-- r--"),
        (0b00, 0, |b| b.cpu.sys.sctlr |= sctlr::WXN, "rw- --x"),
        (0b01, 0, |b| b.cpu.sys.sctlr |= sctlr::WXN, "rw- rw-"),
        (0b11, 0, |b| b.cpu.sys.sctlr |= sctlr::WXN, "r-x r-x"),
        // tables above: APTable, UXNTable, PXNTable; and with TCR.HPD0 nothing of it
        (0b01, 0, |b| b.ram.put64(L1, L2 | TABLE | 1 << 61), "rwx --x"),
        (0b01, 0, |b| b.ram.put64(L1, L2 | TABLE | 1 << 62), "r-x r-x"),
        (0b11, 0, |b| b.ram.put64(L1, L2 | TABLE | 1 << 60), "r-x r--"),
        (0b11, 0, |b| b.ram.put64(ROOT, L1 | TABLE | 1 << 59), "r-- r-x"),
        (
            0b01,
            0,
            |b| {
                b.ram.put64(L1, L2 | TABLE | 15 << 59);
                b.cpu.sys.tcr |= tcr::HPD0;
            },
            "rw- rwx",
        ),
        // PSTATE.PAN, and SCTLR.EPAN
        (0b01, 0, |b| b.cpu.set_psr(b.cpu.psr | psr::PAN), "--- rwx"),
        (0b11, 0, |b| b.cpu.set_psr(b.cpu.psr | psr::PAN), "--x r-x"),
        (0b00, 0, |b| b.cpu.set_psr(b.cpu.psr | psr::PAN), "rwx --x"),
        (
            0b00,
            0,
            |b| {
                b.cpu.set_psr(b.cpu.psr | psr::PAN);
                b.cpu.sys.sctlr |= sctlr::EPAN;
            },
            "--x --x",
        ),
    ];
    for (i, (ap, xn, prepare, want)) in rows.iter().enumerate() {
        let mut b = bench("max");
        b.map(3, PAGE | ap << 6 | xn);
        prepare(&mut b);
        let mut got = String::new();
        for idx in [CURRENT, UNPRIVILEGED] {
            for (access, c) in RWX.into_iter().zip(['r', 'w', 'x']) {
                let page = walk(&b.model, &b.cpu, &mut b.ram, 0, access, idx);
                got.push(if page.is_ok() { c } else { '-' });
                match page {
                    Ok(page) => assert!(match access {
                        Access::Read => page.read,
                        Access::Write => page.write,
                        Access::Execute => page.exec,
                    }),
                    Err(fault) => assert_eq!(code(fault), status::PERMISSION | 3, "row {i}"),
                }
            }
            got.push(' ');
        }
        assert_eq!(got.trim_end(), *want, "row {i}");
    }
}

#[test]
fn control_bits_of_features_that_are_not_there_do_nothing() {
    let mut b = bench("cortex-a57");
    b.map(3, PAGE & !ACCESS_FLAG | 0b01 << 6);
    b.ram.put64(L1, L2 | TABLE | 1 << 62);
    b.cpu.sys.tcr |= tcr::HA | tcr::HD | tcr::HPD0 | tcr::E0PD0;

    assert_eq!(b.status(0, Access::Read), Some(status::ACCESS_FLAG | 3));
    b.map(3, PAGE | 0b01 << 6);
    b.ram.put64(L1, L2 | TABLE | 1 << 62);
    assert_eq!(b.status(0, Access::Write), Some(status::PERMISSION | 3), "HPD0");
    assert!(b.as_user(0, Access::Read).is_ok(), "E0PD0");
}

const ACCESS_FLAG: u64 = lookup::ACCESS_FLAG;

/// The Access flag by hardware or as a fault.
#[test]
fn the_access_flag_is_set_or_missed() {
    let mut b = bench("max");
    b.map(3, PAGE & !ACCESS_FLAG);

    assert_eq!(b.status(0, Access::Read), Some(status::ACCESS_FLAG | 3));
    b.cpu.sys.tcr |= tcr::HA;
    assert!(b.walk(0, Access::Read).is_ok());
    assert_eq!(b.ram.load(L3, 8), Some(PAGE));
}

/// Memory that others write to all the time, or now and then.
struct Busy<'a> {
    ram: &'a mut Ram,
    /// How often still somebody changes a descriptor while it is looked at.
    changes: usize,
}

impl Bus for Busy<'_> {
    fn load(&mut self, phys: u64, size: u8) -> Option<u64> {
        self.ram.load(phys, size)
    }
    fn store(&mut self, _: u64, _: u8, _: u64) -> Option<()> {
        panic!("it would undo what others store");
    }
    fn compare_exchange(&mut self, phys: u64, size: u8, old: u64, new: u64) -> Option<u64> {
        if self.changes > 0 {
            self.changes -= 1;
            let held = self.ram.load(phys, size)?;
            self.ram.store(phys, size, held ^ 1 << 55)?;
        }
        self.ram.compare_exchange(phys, size, old, new)
    }
    fn ram(&mut self, _: u64) -> Option<RamPage<'_>> {
        None
    }
}

#[test]
fn a_descriptor_that_others_change_meanwhile_is_looked_at_anew() {
    for (changes, want) in [(3, Ok(())), (usize::MAX, Err(status::EXTERNAL_ON_WALK | 3))] {
        let mut b = bench("max");
        b.cpu.sys.tcr |= tcr::HA;
        b.map(3, PAGE & !ACCESS_FLAG);
        let mut bus = Busy {
            ram: &mut b.ram,
            changes,
        };

        let request = Request {
            va: 0,
            access: Access::Read,
            user: false,
            pan: false,
            made: true,
        };
        let found = translate(&b.model, &b.cpu, &mut bus, request);

        assert_eq!(found.map(drop), want);
        let noted = (want.is_ok()).then_some(PAGE | 1 << 55);
        assert!(noted.is_none() || b.ram.load(L3, 8) == noted);
    }
}

/// What is writable and clean is noted at the first write, which a read does not stand in for.
#[test]
fn the_dirty_state_is_noted_at_the_first_write() {
    const DBM: u64 = 1 << 51;
    let clean = PAGE | DBM | 0b10 << 6;
    let mut b = bench("max");
    b.map(3, clean);
    b.cpu.sys.tcr |= tcr::HA;
    assert_eq!(b.status(0, Access::Write), Some(status::PERMISSION | 3), "HD is off");
    b.cpu.sys.tcr |= tcr::HD;

    let read = b.walk(0, Access::Read).unwrap();
    assert!(read.read && !read.write, "a store comes to the walk");
    assert_eq!(b.ram.load(L3, 8), Some(clean));
    let written = b.walk(0, Access::Write).unwrap();

    assert!(written.write);
    assert_eq!(b.ram.load(L3, 8), Some(PAGE | DBM));
    b.map(3, clean);
    assert!(b.as_user(0, Access::Write).is_err());
    assert_eq!(
        b.ram.load(L3, 8),
        Some(clean),
        "a write that is not allowed notes nothing"
    );
}

#[test]
fn descriptors_are_in_the_order_of_bytes_of_el1() {
    let mut b = bench("max");
    b.cpu.sys.sctlr |= sctlr::EE;
    b.cpu.sys.tcr |= tcr::HA;
    for (at, d) in [(ROOT, L1 | TABLE), (L1, LEAF & !ACCESS_FLAG | 0x8000_0000)] {
        b.ram.put64(at, d.swap_bytes());
    }

    let page = b.walk(0x1234, Access::Read).unwrap();

    assert_eq!(page.phys, 0x8000_1000);
    assert_eq!(b.ram.load(L1, 8).map(u64::swap_bytes), Some(LEAF | 0x8000_0000));
}

#[test]
fn a_half_can_be_closed() {
    for (bit, user, kernel) in [
        (tcr::EPD0, true, true),
        (tcr::E0PD0, true, false),
        (tcr::E0PD1, false, false),
    ] {
        let mut b = bench("max");
        b.map(3, PAGE | 0b01 << 6);
        b.cpu.sys.tcr |= bit;
        assert_eq!(
            b.as_user(0, Access::Read).map_err(code).err(),
            user.then_some(status::TRANSLATION)
        );
        assert_eq!(
            b.walk(0, Access::Read).map_err(code).err(),
            kernel.then_some(status::TRANSLATION)
        );
    }
}

/// What a page is to the engine: its size with the contiguous hint, global or not, Device or not.
#[test]
fn pages_say_what_they_are() {
    const CONTIGUOUS: u64 = 1 << 52;
    let rows = [
        (3, PAGE, 12, true, false),
        (3, PAGE | NG, 12, false, false),
        (3, PAGE | 1 << 2, 12, true, true),
        (3, PAGE | CONTIGUOUS, 16, true, false),
        (2, LEAF | CONTIGUOUS, 25, true, false),
        (2, LEAF, 21, true, false),
        (1, LEAF, 30, true, false),
    ];
    for (level, descriptor, size, global, strict) in rows {
        let mut b = bench("max");
        b.map(level, descriptor);
        let page = b.walk(0, Access::Read).unwrap();
        assert_eq!(
            (page.size, page.global, page.strict),
            (size, global, strict),
            "{descriptor:#x}"
        );
    }
}

/// A page that was reached by an address with a tag goes with any other: it is the same to who forgets it.
#[test]
fn tags_belong_to_data_and_not_to_code() {
    let mut b = bench("max");
    b.map(3, PAGE);
    b.cpu.sys.tcr |= tcr::TBI0;

    assert_eq!(
        b.walk(0xaa00_0000_0000_0008, Access::Read).map(|p| (p.phys, p.size)),
        Ok((0, 64))
    );
    assert_eq!(b.walk(0xaa00_0000_0000_0008, Access::Execute), Err(CLEAN_PC));
    assert!(b.walk(8, Access::Execute).is_ok());
    b.ram.put64(L3, 0);
    let Err(Fault::Guest { addr, .. }) = b.walk(0xaa00_0000_0000_0008, Access::Read) else {
        panic!()
    };
    assert_eq!(addr, 0xaa00_0000_0000_0008, "FAR keeps it");
}

/// Level by level: a descriptor that is not valid, and a table that is nowhere.
#[test]
fn faults_name_their_level() {
    for level in 0..=3 {
        for invalid in [0, 2, PAGE & !3] {
            let mut b = bench("max");
            b.map(level, invalid);
            assert_eq!(b.status(0, Access::Read), Some(status::TRANSLATION | level));
        }
        let mut b = bench("max");
        b.map(level, 0);
        let tables = [None, Some(ROOT), Some(L1), Some(L2)];
        match tables[level as usize] {
            Some(above) => b.ram.put64(above, 0x1000 | TABLE),
            None => b.cpu.sys.ttbr0 = 0x1000,
        }
        assert_eq!(b.status(0, Access::Execute), Some(status::EXTERNAL_ON_WALK | level));
    }
    let mut b = bench("max");
    b.map(3, LEAF); // reserved at level 3
    assert_eq!(b.status(0, Access::Read), Some(status::TRANSLATION | 3));
    b.map(0, LEAF); // no blocks at level 0
    assert_eq!(b.status(0, Access::Read), Some(status::TRANSLATION));
}

/// What the syndrome says of writes, and of what reads before it writes.
#[test]
fn atomic_operations_are_reads_where_a_read_fails_too() {
    use crate::a64::state::stepped;
    let esr = |b: &mut Bench, atomic: bool| {
        let fault = b.walk(0, Access::Write).unwrap_err();
        b.cpu.stepped = if atomic { stepped::ATOMIC } else { 0 };
        b.cpu.raise(Features::ALL, fault);
        b.cpu.sys.esr
    };
    let mut b = bench("max");
    b.map(3, 0);
    assert_eq!(esr(&mut b, true), 0x9600_0007);
    assert_eq!(esr(&mut b, false), 0x9600_0007 | u64::from(WNR));
    b.map(3, PAGE | 0b10 << 6);
    assert_eq!(esr(&mut b, true), 0x9600_000f | u64::from(WNR));
    let fault = b.walk(0x8000_0000_0000, Access::Execute).unwrap_err();
    b.cpu.set_psr(0);
    b.cpu.raise(Features::ALL, fault);
    assert_eq!(b.cpu.sys.esr, u64::from(class::INSTRUCTION_ABORT) << 26 | 0x0200_0004);
}

#[test]
fn a_context_has_all_that_a_walk_depends_on() {
    let contexts = |cpu: &Cpu| [CURRENT, UNPRIVILEGED].map(|idx| context(cpu, idx));
    let base = bench("max").cpu;
    let changes: [fn(&mut Cpu); 9] = [
        |c| c.sys.ttbr0 ^= 0x1000,
        |c| c.sys.ttbr1 ^= 0x1000,
        |c| c.sys.ttbr0 ^= 1 << 48,
        |c| c.sys.tcr ^= tcr::HA,
        |c| c.sys.mair ^= 1,
        |c| c.sys.sctlr ^= sctlr::WXN,
        |c| c.sys.sctlr ^= sctlr::EE,
        |c| c.sys.sctlr ^= sctlr::EPAN,
        |c| c.sys.sctlr ^= sctlr::M,
    ];
    for (i, change) in changes.into_iter().enumerate() {
        let mut cpu = base;
        change(&mut cpu);
        for (a, b) in contexts(&cpu).into_iter().zip(contexts(&base)) {
            assert_ne!(a, b, "change {i}");
        }
    }
    let mut pan = base;
    pan.set_psr(pan.psr | psr::PAN);
    let [(k, u), (bk, bu)] = [pan, base].map(|c| (context(&c, CURRENT), context(&c, UNPRIVILEGED)));
    assert!(k != bk && u == bu && bk != bu);
    let mut user = base;
    user.set_psr(0);
    assert_eq!(context(&user, CURRENT), bu, "EL0's own is what LDTR uses");
    assert_eq!(user.mode & mode::EL, 0);
}

/// Where the ASID is, and how many bits it has.
#[test]
fn address_spaces_are_told_apart_by_8_or_16_bits() {
    let mut cpu = bench("max").cpu;
    (cpu.sys.ttbr0, cpu.sys.ttbr1) = (0x1234 << 48, 0x5678 << 48);

    assert_eq!(asid(&cpu), 0x34);
    cpu.sys.tcr |= tcr::AS;
    assert_eq!(asid(&cpu), 0x1234);
    cpu.sys.tcr |= tcr::A1;
    assert_eq!(asid(&cpu), 0x5678);
    assert_eq!((context(&cpu, 0).asid, context(&cpu, 0).vmid), (0x5678, 0));
}

#[test]
fn a_debugger_sees_what_is_mapped_whatever_the_rights() {
    let mut b = bench("max");
    b.map(3, PAGE & !ACCESS_FLAG | 0x7000);
    let page = |phys| Span { size: 12, phys };
    assert_eq!(probe(&b.model, &b.cpu, &mut b.ram, 0x123), page(Some(0x7000)));
    assert_eq!(probe(&b.model, &b.cpu, &mut b.ram, 0x1123), page(None));
    assert_eq!(b.ram.load(L3, 8), Some(PAGE & !ACCESS_FLAG | 0x7000));
}

/// Tables and registers of any content end in a page or a fault.
#[test]
fn garbage_ends_somewhere() {
    let mut random = Random::new(64);
    for _ in 0..20_000 {
        let mut b = bench("max");
        let c = &mut b.cpu.sys;
        c.tcr = random.next();
        c.sctlr = random.next() | sctlr::M;
        (c.ttbr0, c.ttbr1) = (ROOT | random.next() << 48, ROOT | random.next() & 0x3f);
        let va = match random.next() % 3 {
            0 => random.next() & 0x3fff,
            1 => !(random.next() & 0x3fff),
            _ => random.next(),
        };
        for at in 0..64 {
            let to = BASE | random.next() & 0x3_f000;
            b.ram
                .put64(ROOT + at * 8, to | random.next() & 0xfff | random.next() << 48);
        }
        let access = [Access::Read, Access::Write, Access::Execute][random.next() as usize % 3];
        let _ = b.walk(va, access);
        let _ = probe(&b.model, &b.cpu, &mut b.ram, va);
    }
}

//! Blocks come, are found, linked and forgotten.

use super::*;
use crate::cases::TestGuest;
use crate::opt;
use emu_ir::{Builder, Leave};

const AT: u64 = 0x5010;

fn making(host: bool) -> Making {
    Making {
        layout: TestGuest::LAYOUT,
        host,
        alone: true,
        extensions: Extensions::NONE,
        limit: 8 << 20,
    }
}
/// Of an interpreter.
fn blocks() -> Blocks {
    Blocks::new(&making(false), true).unwrap().0
}
fn source(phys: u64, next_page: Option<u64>) -> Source {
    Source {
        cpu: 0,
        key: BlockKey {
            phys,
            mode: 0,
            marked: false,
        },
        next_page,
    }
}
fn install(blocks: &mut Blocks, phys: u64, block: &Block, next_page: Option<u64>) -> Found {
    blocks.install_ir(source(phys, next_page), block).expect("room")
}
/// The serial of the block there.
fn lookup(blocks: &mut Blocks, key: BlockKey, next_page: Option<u64>) -> Option<u64> {
    blocks.lookup(key, next_page).map(|(found, _)| found.serial)
}

/// A block there; whether its page was not guarded.
fn translated(blocks: &mut Blocks) -> bool {
    let time = blocks.pages.guard(AT);
    time.into_iter().for_each(|time| blocks.pages.settle(AT, time));
    install(blocks, AT, &Block::default(), None);
    time.is_some()
}
/// Stores over the block until they need not be looked at; how many there were.
fn stores_until_relaxed(blocks: &mut Blocks) -> usize {
    (1..10_000)
        .find(|_| {
            blocks.invalidate(AT, 4);
            blocks.pages.relax(AT)
        })
        .expect("some day")
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn a_page_that_gets_code_again_and_again_is_guarded_for_longer_and_longer() {
    let mut blocks = blocks();
    assert!(!blocks.pages.guards(AT));

    for want in [2, 4, 8] {
        assert!(translated(&mut blocks), "its TLB entries must be told");
        assert!(blocks.pages.guards(AT));
        assert_eq!(stores_until_relaxed(&mut blocks), want);
    }

    assert!(translated(&mut blocks));
    for _ in 0..100 {
        blocks.invalidate(AT, 4);
        assert!(!blocks.pages.relax(AT), "one store");
        assert!(!translated(&mut blocks), "still guarded");
    }
    (0..20).for_each(|_| {
        stores_until_relaxed(&mut blocks);
        translated(&mut blocks);
    });
    assert_eq!(stores_until_relaxed(&mut blocks), 1024);
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn a_page_with_code_stays_guarded_whatever_is_stored_elsewhere_in_it() {
    let mut blocks = blocks();
    translated(&mut blocks);
    assert!((0..5000).all(|_| !blocks.pages.relax(AT | 0x800)));
}

/// A block of four bytes that starts two bytes before its page's end.
fn crossing(blocks: &mut Blocks, next_page: u64) -> BlockKey {
    let key = BlockKey {
        phys: 0x5ffe,
        mode: 0,
        marked: false,
    };
    let block = Block {
        guest_bytes: 4,
        ..Block::default()
    };
    install(blocks, key.phys, &block, Some(next_page));
    key
}

#[test]
fn a_block_that_crosses_is_forgotten_by_a_store_to_either_part() {
    for next_page in [0x6000, 0x9000, 0x5000] {
        for (store, gone) in [
            (0x5ffc, false),
            (0x5ffe, true),
            (next_page, true),
            (next_page + 1, true),
            (next_page + 2, false),
        ] {
            let mut blocks = blocks();
            let key = crossing(&mut blocks, next_page);

            blocks.invalidate(store, 1);

            let left = lookup(&mut blocks, key, None);
            assert_eq!(left.is_none(), gone, "{store:#x} of {next_page:#x}");
        }
    }
}

#[test]
fn a_block_that_crosses_is_seen_in_both_parts_when_another_is_forgotten() {
    for next_page in [0x6000, 0x5000] {
        let mut blocks = blocks();
        crossing(&mut blocks, next_page);
        for phys in [0x5800, next_page + 0x400] {
            install(&mut blocks, phys, &Block::default(), None);
            blocks.invalidate(phys, 1);
        }

        assert!(
            blocks.pages.covers(0x5ffe, 2) && blocks.pages.covers(next_page, 2),
            "{next_page:#x}"
        );
        assert!(!blocks.pages.covers(0x5800, 1) && !blocks.pages.covers(next_page + 0x400, 1));
    }
}

#[test]
fn blocks_that_cross_into_different_pages_are_told_apart() {
    let mut blocks = blocks();
    let key = crossing(&mut blocks, 0x6000);
    crossing(&mut blocks, 0x9000);

    let [six, nine] = [0x6000, 0x9000].map(|page| lookup(&mut blocks, key, Some(page)));

    assert!(six.is_some() && nine.is_some() && six != nine);
    assert_eq!(lookup(&mut blocks, key, Some(0x7000)), None);
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn code_that_is_rewritten_again_and_again_takes_no_more_memory() {
    let mut blocks = blocks();
    let mut held = Vec::new();
    install(&mut blocks, AT + 0x100, &Block::default(), None);
    for _ in 0..1000 {
        install(&mut blocks, AT, &Block::default(), None);
        held.push(blocks.held());
        blocks.invalidate(AT, 4);
    }
    assert_eq!(held.iter().min(), held.iter().max());
}

/// Blocks in one page after the other until there is no more room, by host code or IR; how many, and how much memory
/// they take.
fn fill(host: bool) -> (u64, usize) {
    let (mut blocks, _) = Blocks::new(&making(host), true).unwrap();
    let (mut passes, mut scratch) = (opt::Scratch::default(), x64::Scratch::default());
    let mut b = Builder::new();
    b.exit(Leave::Sync);
    for n in 0..1 << 20 {
        let from = source(n << 12, None);
        let lives = opt::lives(&b.block, TestGuest::LAYOUT, CallEffect::of::<TestGuest>, &mut passes);
        let done = match host {
            true => blocks.install::<TestGuest>(from, (&b.block, lives), &mut scratch),
            false => blocks.install_ir(from, &b.block),
        };
        match done {
            Ok(found) => assert_eq!(lookup(&mut blocks, from.key, None), Some(found.serial)),
            Err(why) => {
                assert_eq!(why, Refused::Full);
                return (n, blocks.held());
            }
        }
    }
    panic!("it never ends");
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn all_blocks_together_take_no_more_than_they_may() {
    let hosts = [false].into_iter().chain(x64::supported().then_some(true));
    for (host, (count, held)) in hosts.map(|host| (host, fill(host))) {
        assert!(held <= 8 << 20 && held > 4 << 20, "{held} bytes, host code: {host}");
        assert!(count > 1000, "{count} blocks, host code: {host}");
    }
}

#[test]
fn of_two_who_put_in_the_same_block_the_second_gets_the_first_s() {
    let mut blocks = blocks();
    let first = install(&mut blocks, AT, &Block::default(), None);
    let second = install(&mut blocks, AT, &Block::default(), None);
    let other = install(&mut blocks, AT, &Block::default(), Some(0x6000));

    assert_eq!(first.serial, second.serial);
    assert_ne!(first.serial, other.serial);
}

#[test]
fn a_block_is_refused_whose_bytes_were_stored_to_since_they_were_read() {
    let mut blocks = blocks();
    translated(&mut blocks);
    let block = Block {
        guest_bytes: 0x80,
        ..Block::default()
    };
    for (stored, want) in [
        (AT + 0x80, Some(Refused::Changed)),
        (AT + 0x200, None),
        (AT + 0x1000, None),
    ] {
        assert!(blocks.pages.read(0, AT));

        blocks.invalidate(stored, 4);

        let from = source(AT + 0x40, None);
        assert_eq!(blocks.install_ir(from, &block).err(), want, "{stored:#x}");
        blocks.pages.end(0);
        blocks.invalidate(AT + 0x40, 1);
    }
}

/// Blocks of host code at two places in a page, the first of which goes to the second; the number of its site.
fn two_blocks(blocks: &mut Blocks) -> (u32, Found) {
    let (mut passes, mut scratch) = (opt::Scratch::default(), x64::Scratch::default());
    let mut put = |at: u64, b: &Builder| {
        let lives = opt::lives(&b.block, TestGuest::LAYOUT, CallEffect::of::<TestGuest>, &mut passes);
        let done = blocks.install::<TestGuest>(source(at, None), (&b.block, lives), &mut scratch);
        done.expect("room")
    };
    let (mut goes, mut ends) = (Builder::new(), Builder::new());
    goes.goto(0x40, 0, emu_ir::Hint::Jump, false);
    ends.exit(Leave::Sync);
    put(AT & PAGE, &goes);
    let to = put(AT & PAGE | 0x40, &ends);
    let site = (0..100).find(|site| blocks.branch(*site).is_some()).expect("a branch");
    (site, to)
}
/// Where a site's branch goes.
fn target(blocks: &Blocks, site: u32) -> Offset {
    let (patch, ..) = blocks.branch(site).expect("a branch");
    let bytes = blocks.cache.as_ref().expect("host code").bytes(patch, 4);
    let by = u32::from_le_bytes(bytes.try_into().expect("four"));
    patch.wrapping_add(4).wrapping_add(by)
}

#[test]
fn a_branch_is_linked_once_and_to_a_block_that_is_there() {
    if !x64::supported() {
        return emu_ir::testing::skipped("links", "the host has no host code");
    }
    let (mut blocks, _) = Blocks::new(&making(true), true).unwrap();
    let (site, to) = two_blocks(&mut blocks);
    let stub = target(&blocks, site);

    blocks.link(site, &to);
    let linked = target(&blocks, site);
    blocks.link(site, &to);
    assert_eq!(target(&blocks, site), linked);
    assert_ne!(linked, stub);
    blocks.invalidate(to.extent.phys, 1);
    assert_eq!(target(&blocks, site), stub, "linked twice, and taken back");
    blocks.link(site, &to);
    assert_eq!(target(&blocks, site), stub, "the block has gone");
}

/// It would find itself in the wrong mode each time it is taken.
#[test]
fn a_branch_does_not_stay_with_a_block_when_one_of_another_mode_is_put_in() {
    if !x64::supported() {
        return emu_ir::testing::skipped("links", "the host has no host code");
    }
    let (mut blocks, _) = Blocks::new(&making(true), true).unwrap();
    let (site, to) = two_blocks(&mut blocks);
    let stub = target(&blocks, site);
    blocks.link(site, &to);

    let mut other = source(to.extent.phys, None);
    other.key.mode = 1;
    let other = blocks.install_ir(other, &Block::default()).expect("room");

    assert_eq!(target(&blocks, site), stub);
    assert_ne!(other.serial, to.serial);
    blocks.link(site, &to);
    assert_ne!(target(&blocks, site), stub, "it may be linked again");
}

/// The host code of a block in that mode, of so many bytes, at the start of a page.
fn put(blocks: &mut Blocks, mode: u64, bytes: u32, marked: bool) -> Host {
    let (mut passes, mut scratch) = (opt::Scratch::default(), x64::Scratch::default());
    let mut b = Builder::new();
    b.block.guest_bytes = bytes;
    b.exit(Leave::Sync);
    let lives = opt::lives(&b.block, TestGuest::LAYOUT, CallEffect::of::<TestGuest>, &mut passes);
    let mut from = source(AT & PAGE, None);
    (from.key.mode, from.key.marked) = (mode, marked);
    let found = blocks.install::<TestGuest>(from, (&b.block, lives), &mut scratch);
    let (number, host) = blocks.host(found.expect("room").number, marked).expect("host code");
    blocks.came_to(number).expect("a jump table");
    host
}
/// Where a block leads to that is not what is wanted.
fn leads(blocks: &Blocks, host: Host) -> Offset {
    let bytes = blocks.cache.as_ref().expect("host code").bytes(host.other, 4);
    let by = u32::from_le_bytes(bytes.try_into().expect("four"));
    host.gives_up().wrapping_add(by)
}

/// Jumps by address come to the newest, which leads to the one before, and so on; who goes is passed by.
#[test]
fn blocks_of_other_modes_are_found_one_after_the_other() {
    if !x64::supported() {
        return emu_ir::testing::skipped("modes", "the host has no host code");
    }
    let (mut blocks, parts) = Blocks::new(&making(true), true).unwrap();
    let first = |blocks: &Blocks, marked| parts.jumps.entry(blocks.pages.table(AT, marked), AT & PAGE);
    let [a, b, c] = [(0, 4), (1, 8), (2, 12)].map(|(mode, bytes)| put(&mut blocks, mode, bytes, false));
    let apart = put(&mut blocks, 0, 4, true);

    assert_eq!(first(&blocks, false), Some(c.checked));
    assert_eq!(
        [c, b, a].map(|host| leads(&blocks, host)),
        [b.checked, a.checked, a.gives_up()]
    );
    assert_eq!(first(&blocks, true), Some(apart.checked));
    assert_eq!(leads(&blocks, apart), apart.gives_up());

    // The newest goes, which alone reaches so far; then the one that is last but one.
    blocks.invalidate((AT & PAGE) + 8, 4);
    assert_eq!(first(&blocks, false), Some(b.checked));
    let d = put(&mut blocks, 3, 4, false);
    assert_eq!(
        [d, b, a].map(|host| leads(&blocks, host)),
        [b.checked, a.checked, a.gives_up()]
    );
    blocks.invalidate((AT & PAGE) + 4, 4);
    assert_eq!([d, a].map(|host| leads(&blocks, host)), [a.checked, a.gives_up()]);
    assert_eq!(first(&blocks, false), Some(d.checked));
    blocks.invalidate(AT & PAGE, 4);
    assert_eq!([first(&blocks, false), first(&blocks, true)], [None; 2]);
}

/// A branch that does not know the mode goes to the newest, whichever block it was linked for, and not when that has gone.
#[test]
fn a_branch_of_any_mode_goes_to_the_newest_block() {
    if !x64::supported() {
        return emu_ir::testing::skipped("links", "the host has no host code");
    }
    let (mut blocks, _) = Blocks::new(&making(true), true).unwrap();
    let (mut passes, mut scratch) = (opt::Scratch::default(), x64::Scratch::default());
    let mut b = Builder::new();
    b.block.mode_ignored = u64::MAX;
    b.goto(0, 0, emu_ir::Hint::Jump, false);
    let lives = opt::lives(&b.block, TestGuest::LAYOUT, CallEffect::of::<TestGuest>, &mut passes);
    let from = source(AT & PAGE | 0x40, None);
    let goes = blocks.install::<TestGuest>(from, (&b.block, lives), &mut scratch);
    assert!(goes.is_ok());
    let site = (0..100).find(|site| blocks.branch(*site).is_some()).expect("a branch");
    let stub = target(&blocks, site);

    put(&mut blocks, 0, 4, false);
    let newest = put(&mut blocks, 1, 8, false);
    let (older, _) = blocks.lookup(source(AT & PAGE, None).key, None).expect("a block");
    blocks.link(site, &older);

    assert_eq!(target(&blocks, site), newest.checked);
    blocks.invalidate((AT & PAGE) + 4, 4);
    assert_eq!(target(&blocks, site), stub);
}

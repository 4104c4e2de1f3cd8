//! PVH and multiboot.

use super::entry::Mode;
use super::testing::{MODULES, bytes, elf, map, multiboot, multiboot2, start, text, word, words};
use super::*;

fn parse(bytes: Vec<u8>) -> Kernel {
    Kernel::parse(Isa::X86_64, bytes).unwrap_or_else(|e| panic!("{e}"))
}

fn refused(bytes: Vec<u8>) -> String {
    Kernel::parse(Isa::X86_64, bytes).unwrap_err().to_string()
}

/// Where segments are, and how large.
fn places(placement: &Placement<'_>) -> Vec<(u64, u64)> {
    let kernel = placement.pieces().filter(|piece| piece.address >= 0x10_0000);
    kernel.map(|piece| (piece.address, piece.size)).collect()
}

#[test]
fn pvh_is_entered_where_its_note_says() {
    for machine in [3, 62] {
        let (kernel, map) = (parse(elf(machine, Some(0x20_0004), &[])), map());

        let placement = place(&kernel, &start(&map, &[])).unwrap();

        let entry = placement.entry;
        assert_eq!((entry.mode, entry.ip), (Mode::Protected, 0x20_0004), "{machine}");
        assert_eq!(places(&placement), [(0x20_0000, 0x40), (0x40_0000, 0x110)], "{machine}");
        assert_eq!(bytes(&placement, entry.gdt.0), entry.descriptors());
    }
}

#[test]
fn pvh_is_told_of_modules_memory_and_acpi() {
    let (kernel, map) = (parse(elf(62, Some(0x20_0000), &[])), map());

    let placement = place(&kernel, &start(&map, &MODULES)).unwrap();

    let info = bytes(&placement, placement.entry.registers.bx);
    assert_eq!([0, 4, 8, 12].map(|at| word(info, at)), [0x336e_c578, 1, 0, 2]);
    assert_eq!(text(&placement, word(info, 24)), "quiet");
    assert_eq!(word(info, 32), 0xe_0000);
    let list = bytes(&placement, word(info, 16).into());
    let module = |n: usize| [0, 8, 16].map(|at| word(list, 32 * n + at));
    let [first, size, name] = module(0);
    assert_eq!((bytes(&placement, first.into()), size), (&[7; 0x1234][..], 0x1234));
    assert_eq!(text(&placement, name), "first");
    let [second, size, name] = module(1);
    assert_eq!((bytes(&placement, second.into()), size, name), (&b"second"[..], 6, 0));
    let (map, count) = (bytes(&placement, word(info, 40).into()), word(info, 48));
    let ranges = (0..count as usize).map(|n| [0, 8, 16].map(|at| word(map, 24 * n + at)));
    let expected = [[0, 0xa_0000, 1], [0xa_0000, 0x6_0000, 2], [0x10_0000, 63 << 20, 1]];
    assert_eq!(ranges.collect::<Vec<_>>(), expected);
}

#[test]
fn an_elf_file_that_nothing_says_how_to_start() {
    let text = "an ELF file that holds no kernel to start: ";
    let none = "it has neither a PVH note (Linux has it with CONFIG_PVH) nor a multiboot header";
    assert_eq!(refused(elf(62, None, &[])), format!("{text}{none}"));
    assert_eq!(
        refused(elf(3, Some(0x20_0040), &[])),
        format!("{text}its PVH entry point is outside of it")
    );
}

#[test]
fn segments_that_overlap_are_damage() {
    let mut bytes = elf(62, Some(0x20_0000), &[]);
    bytes[0x40 + 56 + 24..][..4].copy_from_slice(&words(&[0x20_003f]));

    assert_eq!(refused(bytes), "damaged ELF file: two segments are at 0x20003f");
}

#[test]
fn what_it_is_for_decides_where_it_runs() {
    let narrow = |bytes| Kernel::parse(Isa::I386, bytes).map_err(|e| e.fits());

    assert!(narrow(elf(3, Some(0x20_0000), &[])).is_ok());
    assert_eq!(narrow(elf(62, Some(0x20_0000), &[])), Err(Some(Isa::X86_64)));
    assert_eq!(narrow(elf(40, None, &[])), Err(Some(Isa::Arm)));
    assert_eq!(narrow(b"text\n".to_vec()), Err(None));
}

#[test]
fn a_packed_kernel_is_what_it_holds() {
    use std::io::Write;
    let plain = elf(62, Some(0x20_0000), &[]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();

    assert_eq!(parse(gzip.finish().unwrap()), parse(plain));
}

#[test]
fn a_segment_where_there_is_no_ram_is_named() {
    let kernel = parse(elf(62, Some(0x20_0000), &[]));
    let small = Map::new(&[Region::new(0, 4 << 20)], &[]);

    let error = place(&kernel, &start(&small, &[])).unwrap_err();

    assert_eq!(error.part(), Part::Kernel);
    let text = "the kernel loads at 0x400000 to 0x40010f, where not all is free RAM; RAM ends at 0x400000";
    assert_eq!(error.to_string(), text);
}

#[test]
fn multiboot_by_elf_gets_modules_at_pages_behind_it() {
    let (kernel, map) = (parse(elf(3, None, &multiboot(3, &[]))), map());

    let placement = place(&kernel, &start(&map, &MODULES)).unwrap();

    let entry = placement.entry;
    assert_eq!((entry.ip, entry.registers.ax), (0x20_0010, 0x2bad_b002));
    let told = bytes(&placement, entry.registers.bx);
    assert_eq!([0, 4, 8].map(|at| word(told, at)), [0x24d, 640, 63 << 10]);
    assert_eq!(text(&placement, word(told, 16)), "quiet");
    assert_eq!(text(&placement, word(told, 64)), "emu");
    assert_eq!(word(told, 20), 2);
    let list = bytes(&placement, word(told, 24).into());
    assert_eq!([0, 4].map(|at| word(list, at)), [0x40_1000, 0x40_2234]);
    assert_eq!(text(&placement, word(list, 8)), "first");
    assert_eq!([16, 20].map(|at| word(list, at)), [0x40_3000, 0x40_3006]);
    let map = bytes(&placement, word(told, 48).into());
    assert_eq!(word(told, 44), 72);
    assert_eq!([0, 4, 12, 20, 24].map(|at| word(map, at)), [20, 0, 0xa_0000, 1, 20]);
}

/// A file that is no ELF file: 16 bytes, the header, and 64 bytes of code, linked for 3 MiB.
fn flat(flags: u32, load_end: u32, bss_end: u32) -> Vec<u8> {
    let header = multiboot(flags, &[0x30_0010, 0x30_0000, load_end, bss_end, 0x30_0040]);
    [vec![0; 16], header, vec![0x90; 64]].concat()
}

#[test]
fn multiboot_by_addresses() {
    let map = map();
    for (load_end, bss_end, expected) in [(0, 0, (112, 112)), (0x30_0050, 0x30_1000, (80, 0x1000))] {
        let kernel = parse(flat(1 << 16, load_end, bss_end));

        let placement = place(&kernel, &start(&map, &[])).unwrap();

        assert_eq!(placement.entry.ip, 0x30_0040);
        let piece = placement.pieces().next().unwrap();
        assert_eq!(
            (piece.address, piece.bytes.len(), piece.size),
            (0x30_0000, expected.0, expected.1)
        );
    }
}

#[test]
fn multiboot_that_cannot_be_given_what_it_asks_for() {
    let refusal = |flags: u32| refused(flat(flags, 0, 0));

    let text = "a multiboot kernel that holds no kernel to start: it asks for ";
    assert_eq!(
        refusal(1 << 16 | 4),
        format!("{text}a video mode, and there is no display")
    );
    assert_eq!(refusal(1 << 16 | 8), format!("{text}feature 3, which is not known"));
    assert!(
        Kernel::parse(Isa::I386, flat(3 << 16, 0, 0)).is_ok(),
        "the upper half may be ignored"
    );
}

#[test]
fn multiboot_whose_addresses_make_no_sense() {
    for (load_end, bss_end, text) in [
        (0x30_1000, 0, "truncated multiboot kernel: 112 bytes of 4096"),
        (
            0,
            0x30_0010,
            "damaged multiboot kernel: what is loaded at 0x300000 has no sensible size",
        ),
        (
            0x30_0020,
            0,
            "damaged multiboot kernel: its entry point is outside of it",
        ),
    ] {
        assert_eq!(refused(flat(1 << 16, load_end, bss_end)), text);
    }
    let before = multiboot(1 << 16, &[0x30_0010, 0x30_0000, 0, 0, 0x30_0000]);
    assert_eq!(
        refused(before),
        "damaged multiboot kernel: it loads at 0x300000, before the file"
    );
}

/// The tags of what a multiboot 2 kernel is told: type and contents.
fn told(placement: &Placement<'_>) -> Vec<(u32, Vec<u8>)> {
    let all = bytes(placement, placement.entry.registers.bx);
    assert_eq!(word(all, 0) as usize, all.len());
    let (mut at, mut tags) = (8, Vec::new());
    while at < all.len() {
        let size = word(all, at + 4) as usize;
        tags.push((word(all, at), all[at + 8..at + size].to_vec()));
        at = (at + size).next_multiple_of(8);
    }
    tags
}

#[test]
fn multiboot2_is_told_by_tags() {
    let (kernel, map) = (parse(elf(62, None, &multiboot2(&[(1, 0, &[1, 6, 15])]))), map());

    let placement = place(&kernel, &start(&map, &MODULES)).unwrap();

    assert_eq!(
        (placement.entry.ip, placement.entry.registers.ax),
        (0x20_0010, 0x36d7_6289)
    );
    let tags = told(&placement);
    let kinds: Vec<u32> = tags.iter().map(|tag| tag.0).collect();
    assert_eq!(kinds, [1, 2, 3, 3, 4, 6, 14, 15, 0]);
    assert_eq!(tags[0].1, b"quiet\0");
    assert_eq!(tags[2].1, [&words(&[0x40_1000, 0x40_2234])[..], b"first\0"].concat());
    assert_eq!(tags[4].1, words(&[640, 63 << 10]));
    let ranges = [
        24,
        0,
        0,
        0,
        0xa_0000,
        0,
        1,
        0,
        0xa_0000,
        0,
        0x6_0000,
        0,
        2,
        0,
        0x10_0000,
        0,
        63 << 20,
        0,
        1,
        0,
    ];
    assert_eq!(tags[5].1, words(&ranges));
    assert_eq!((tags[6].1.len(), tags[7].1.len()), (20, 36));
}

#[test]
fn multiboot2_by_addresses_and_an_entry_of_its_own() {
    let header = multiboot2(&[(2, 0, &[0x30_0000, u32::MAX, 0, 0x30_1000]), (3, 0, &[0x30_0008])]);
    let (kernel, map) = (parse(header), map());

    let placement = place(&kernel, &start(&map, &[])).unwrap();

    assert_eq!(placement.entry.ip, 0x30_0008);
    assert_eq!(places(&placement), [(0x30_0000, 0x1000)]);
}

#[test]
fn multiboot2_is_moved_as_it_likes() {
    let map = map();
    let (lowest, highest) = (0x10_0000, (64 << 20) - 0x24_0000);
    for (first, preference, base) in [
        (0x10_0000, 0, 0x20_0000),
        (0x10_0000, 1, lowest),
        (0x10_0000, 2, highest),
        (0x20_0001, 0, 0x24_0000),
    ] {
        let header = multiboot2(&[(10, 0, &[first, 0x7fff_ffff, 0x4_0000, preference])]);
        let kernel = parse(elf(3, None, &header));

        let placement = place(&kernel, &start(&map, &[])).unwrap();

        assert_eq!(placement.entry.ip, base + 0x10, "{first:#x} {preference}");
        assert_eq!(
            places(&placement),
            [(base, 0x40.max(header.len() as u64)), (base + 0x20_0000, 0x110)]
        );
        assert!(told(&placement).contains(&(21, words(&[base as u32]))));
    }
}

#[test]
fn multiboot2_that_cannot_be_given_what_it_asks_for() {
    let with = |kind: u16, flags: u16, contents: &[u32]| elf(3, None, &multiboot2(&[(kind, flags, contents)]));
    let text = "a multiboot 2 kernel that holds no kernel to start: it asks for ";
    for (kind, contents, what) in [
        (1, &[3, 9][..], "information of type 9, which is not known here"),
        (1, &[22], "information of type 22, which is not known here"),
        (4, &[3], "a console, and there is no display"),
        (5, &[0, 0, 0], "a framebuffer, and there is no display"),
        (11, &[], "what its tag of type 11 means, which is not known here"),
    ] {
        assert_eq!(refused(with(kind, 0, contents)), format!("{text}{what}"));
        assert!(
            Kernel::parse(Isa::I386, with(kind, 1, contents)).is_ok(),
            "{what}, optional"
        );
    }
    assert!(
        Kernel::parse(Isa::I386, with(4, 0, &[2])).is_ok(),
        "it can use a console"
    );
    let mut mips = with(7, 0, &[]);
    let [other, sum] = [4_u32, word(&mips, 0x20c).wrapping_sub(4)].map(u32::to_le_bytes);
    mips[0x204..0x208].copy_from_slice(&other);
    mips[0x20c..0x210].copy_from_slice(&sum);
    assert_eq!(refused(mips), format!("{text}architecture 4; 0 is x86 in 32 bits"));
}

#[test]
fn multiboot2_whose_tags_make_no_sense() {
    let mut long = multiboot2(&[(7, 0, &[])]);
    long[20] = 0xff;
    let mut short = multiboot2(&[(3, 0, &[])]);
    short.extend([0; 64]);
    let mut endless = multiboot2(&[(7, 0, &[])]);
    endless[24] = 8;

    assert_eq!(
        refused(long),
        "damaged multiboot 2 kernel: its tag of type 7 has 255 bytes"
    );
    assert_eq!(
        refused(short),
        "damaged multiboot 2 kernel: its tag of type 3 is too short"
    );
    assert_eq!(
        refused(endless),
        "damaged multiboot 2 kernel: its header's tags do not end"
    );
    assert_eq!(
        refused(multiboot2(&[(10, 0, &[0, 0, 3, 0])])),
        "damaged multiboot 2 kernel: it is to lie at a multiple of 0x3"
    );
}

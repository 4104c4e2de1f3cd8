use super::*;
use crate::identify::Isa;
use crate::kernel;
use crate::x86::layout::Placed;
use crate::x86::{Kernel, Map, Module};

/// Bytes of the kernel behind the setup code.
const CODE: usize = 0x1000;

fn put(bytes: &mut [u8], at: usize, value: u64, len: usize) {
    bytes[at..at + len].copy_from_slice(&value.to_le_bytes()[..len]);
}

/// A kernel whose header is of `version`, with one sector of setup code behind the first. It prefers 16 MiB and takes 20 MiB
/// there. If it is wide, it may be anywhere.
pub(crate) fn bzimage(version: u16, is_wide: bool) -> Vec<u8> {
    let mut bytes = vec![0; 0x400];
    bytes.extend((0..CODE).map(|n| n as u8));
    let xloadflags = if is_wide { 0b11 } else { 0 };
    for (at, value, len) in [
        (0x1f1, 1, 1),
        (0x1f4, (CODE / 16) as u64, 4),
        (0x1fe, 0xaa55, 2),
        (0x200, 0x6aeb, 2),
        (0x202, u64::from_le_bytes(*b"HdrS\0\0\0\0"), 4),
        (0x206, version.into(), 2),
        (0x211, 1, 1),
        (0x214, 0x10_0000, 4),
        (0x22c, 0x37ff_ffff, 4),
        (0x230, 0x20_0000, 4),
        (0x234, 1, 1),
        (0x235, 13, 1),
        (0x236, xloadflags, 2),
        (0x238, 2047, 4),
        (0x258, 0x100_0000, 8),
        (0x260, 20 << 20, 4),
    ] {
        put(&mut bytes, at, value, len);
    }
    bytes
}

fn image(bytes: Vec<u8>) -> BzImage {
    match Kernel::parse(Isa::X86_64, bytes) {
        Ok(Kernel::Linux(image)) => image,
        other => panic!("{other:?}"),
    }
}

/// A board with so many MiB from 0 on, but for the hole below 1 MiB, and so many from 4 GiB on.
fn board(low: u64, high: u64) -> Map {
    let hole = Region::new(0xa_0000, 0x6_0000);
    Map::new(&[Region::new(0, low << 20), Region::new(1 << 32, high << 20)], &[hole])
}

fn start<'a>(map: &'a Map, modules: &'a [Module<'a>]) -> Start<'a, 'a> {
    Start {
        map,
        command_line: "console=ttyS0",
        modules,
        rsdp: None,
        seed: None,
        device_tree: None,
    }
}

fn initrd(bytes: &[u8]) -> Module<'_> {
    Module {
        bytes,
        command_line: "",
    }
}

/// What is placed at an address.
fn bytes<'p>(placement: &'p Placement<'_>, address: u64) -> &'p [u8] {
    let is_there = |it: &&Placed<'_>| it.address == address;
    &placement.placed.iter().find(is_there).expect("nothing is there").bytes
}

fn params<'p>(placement: &'p Placement<'_>) -> &'p [u8] {
    bytes(placement, placement.entry.registers.si)
}

fn number(bytes: &[u8], at: usize, len: usize) -> u64 {
    let mut number = [0; 8];
    number[..len].copy_from_slice(&bytes[at..at + len]);
    u64::from_le_bytes(number)
}

#[test]
fn a_wide_kernel_is_entered_in_64_bits_where_it_prefers_to_be() {
    let (image, map) = (image(bzimage(0x20f, true)), board(64, 0));

    let placement = place(&image, &start(&map, &[])).unwrap();

    let entry = placement.entry;
    assert_eq!(entry.ip, 0x100_0200);
    let Mode::Long { cr3 } = entry.mode else {
        panic!("{entry:?}")
    };
    assert_eq!(number(bytes(&placement, cr3), 0, 8) & !0xfff, cr3 + 0x1000);
    assert_eq!(bytes(&placement, 0x100_0000), image.code());
    assert_eq!(bytes(&placement, entry.gdt.0), entry.descriptors());
}

#[test]
fn a_kernel_for_32_bits_is_entered_at_its_first_byte() {
    let (image, map) = (image(bzimage(0x20f, false)), board(64, 0));

    let entry = place(&image, &start(&map, &[])).unwrap().entry;

    assert_eq!((entry.mode, entry.ip), (Mode::Protected, 0x100_0000));
    let Registers { si, .. } = entry.registers;
    assert_eq!(
        entry.registers,
        Registers {
            si,
            ..Registers::default()
        }
    );
}

#[test]
fn the_parameters_keep_the_header_and_say_what_is_where() {
    let (image, map) = (image(bzimage(0x20f, true)), board(64, 128));
    let modules = [initrd(&[7; 0x1234])];
    let start = Start {
        rsdp: Some((0xe_0000, [0; 36])),
        ..start(&map, &modules)
    };

    let placement = place(&image, &start).unwrap();

    let page = params(&placement);
    let header = image.header();
    assert_eq!(page[0x1f1..0x210], header[..0x1f]);
    assert_eq!(number(page, 0x206, 2), 0x20f);
    assert_eq!((page[0x210], page[0x211]), (0xff, 0x81));
    assert_eq!(bytes(&placement, number(page, 0x228, 4)), b"console=ttyS0\0");
    let (address, size) = (number(page, 0x218, 4), number(page, 0x21c, 4));
    assert_eq!((address, size), ((64 << 20) - 0x2000, 0x1234));
    assert_eq!(
        (bytes(&placement, address), number(page, 0xc0, 4)),
        (&[7; 0x1234][..], 0)
    );
    assert_eq!(placement.modules, [Region::new(address, size)]);
    assert_eq!((number(page, 0x70, 8), page[0x1e8]), (0xe_0000, 4));
    assert_eq!(number(page, 0x1e0, 4), 63 << 10);
    let range = |n: usize| [0, 8].map(|at| number(page, 0x2d0 + 20 * n + at, 8));
    assert_eq!(range(0), [0, 0xa_0000]);
    assert_eq!(range(3), [1 << 32, 128 << 20]);
    assert_eq!([0, 1].map(|n| number(page, 0x2d0 + 20 * n + 16, 4)), [1, 2]);
}

#[test]
fn random_bytes_and_a_device_tree_are_in_a_list() {
    let (image, map) = (image(bzimage(0x209, true)), board(64, 0));
    let start = Start {
        seed: Some(b"random"),
        device_tree: Some(b"tree"),
        ..start(&map, &[])
    };

    let placement = place(&image, &start).unwrap();

    let first = bytes(&placement, number(params(&placement), 0x250, 8));
    assert_eq!(
        (number(first, 8, 4), number(first, 12, 4), &first[16..]),
        (9, 6, &b"random"[..])
    );
    let second = bytes(&placement, number(first, 0, 8));
    assert_eq!(
        (number(second, 0, 8), number(second, 8, 4), &second[16..]),
        (0, 2, &b"tree"[..])
    );
}

#[test]
fn where_the_preferred_place_is_taken_it_is_moved_up_by_its_alignment() {
    let image = image(bzimage(0x20f, true));
    let ram = [Region::new(0, 0x100_1000), Region::new(0x100_3000, 64 << 20)];
    let map = Map::new(&ram, &[]);

    let placement = place(&image, &start(&map, &[])).unwrap();

    assert_eq!(placement.entry.ip, 0x120_0200);
}

#[test]
fn in_a_narrow_place_the_least_alignment_does() {
    let image = image(bzimage(0x20f, false));
    let ram = [Region::new(0, 0x10_0000), Region::new(0x100_2000, 20 << 20)];
    let map = Map::new(&ram, &[]);

    let placement = place(&image, &start(&map, &[])).unwrap();

    assert_eq!(placement.entry.ip, 0x100_2000);
}

#[test]
fn only_a_wide_kernel_is_put_above_4_gib() {
    let map = board(16, 64);
    let [wide, narrow] = [true, false].map(|is_wide| image(bzimage(0x20f, is_wide)));
    let modules = [initrd(&[1; 15 << 20])];

    let placement = place(&wide, &start(&map, &modules)).unwrap();

    assert_eq!(placement.entry.ip, 0x1_0000_0200);
    assert_eq!(placement.modules[0].base, (16 << 20) - (15 << 20));
    let error = place(&narrow, &start(&map, &[])).unwrap_err().to_string();
    assert_eq!(
        error,
        "the kernel takes 20 MiB, and 0 bytes are free in one piece below 4 GiB; take a smaller one"
    );
}

#[test]
fn a_large_initrd_goes_above_where_it_may() {
    let map = board(64, 64);
    let modules = [initrd(&[1; 50 << 20])];
    let [wide, narrow] = [true, false].map(|is_wide| image(bzimage(0x20f, is_wide)));

    let placement = place(&wide, &start(&map, &modules)).unwrap();
    let error = place(&narrow, &start(&map, &modules)).unwrap_err();

    assert_eq!(placement.modules[0].end(), (1 << 32) + (64 << 20));
    let page = params(&placement);
    assert_eq!(number(page, 0xc0, 4), 1);
    assert_eq!(error.part(), Part::Initrd);
    let text = "the initrd takes 50 MiB, and 28 MiB are free in one piece below 0x38000000; take a smaller one";
    assert_eq!(error.to_string(), text);
}

#[test]
fn an_initrd_ends_where_the_kernel_says() {
    let map = board(2048, 0);
    let modules = [initrd(&[1; 0x1000])];
    for (version, end) in [(0x202, 0x3800_0000), (0x203, 0x2000_0000)] {
        let mut bytes = bzimage(version, false);
        put(&mut bytes, 0x22c, 0x1fff_ffff, 4);

        let image = image(bytes);

        assert_eq!(place(&image, &start(&map, &modules)).unwrap().modules[0].end(), end);
    }
}

#[test]
fn before_2_05_it_is_loaded_where_its_header_says() {
    let (image, map) = (image(bzimage(0x204, false)), board(64, 0));

    let placement = place(&image, &start(&map, &[])).unwrap();

    assert_eq!(placement.entry.ip, 0x10_0000);
    assert_eq!(placement.entry.registers.si, 0x9_0000, "below is the decompressor's");
}

#[test]
fn before_2_02_the_command_line_is_found_by_its_offset() {
    let (image, map) = (image(bzimage(0x201, false)), board(64, 0));

    let placement = place(&image, &start(&map, &[])).unwrap();

    let page = params(&placement);
    assert_eq!((number(page, 0x20, 2), number(page, 0x22, 2)), (0xa33f, 0x1000));
    assert_eq!(bytes(&placement, 0x9_1000), b"console=ttyS0\0");
    assert_eq!(number(page, 0x228, 4), 0);
}

#[test]
fn a_small_kernel_is_where_its_setup_code_moves_it() {
    let mut bytes = bzimage(0x200, false);
    bytes[0x211] = 0;

    let (image, map) = (image(bytes), board(64, 0));

    assert_eq!(place(&image, &start(&map, &[])).unwrap().entry.ip, 0x1000);
}

#[test]
fn a_kernel_that_moves_itself_has_room_at_both_places() {
    let mut bytes = bzimage(0x20a, false);
    bytes[0x234] = 0;
    let modules = [initrd(&[1; 20 << 20])];
    let image = image(bytes);
    let map = board(64, 0);

    let placement = place(&image, &start(&map, &modules)).unwrap();

    assert_eq!(placement.entry.ip, 0x10_0000);
    assert!(placement.modules[0].base >= 36 << 20);
    let small = board(35, 0);
    let error = place(&image, &start(&small, &[])).unwrap_err().to_string();
    assert_eq!(
        error,
        "the kernel loads at 0x1000000 to 0x23fffff, where not all is free RAM; RAM ends at 0x2300000"
    );
}

#[test]
fn a_command_line_that_is_too_long() {
    let map = board(64, 0);
    let words = "x".repeat(256);
    let start = Start {
        command_line: &words,
        ..start(&map, &[])
    };

    let error = place(&image(bzimage(0x205, false)), &start).unwrap_err();

    assert_eq!(
        error.to_string(),
        "the command line has 256 bytes; the kernel takes 255"
    );
    assert!(place(&image(bzimage(0x206, false)), &start).is_ok());
}

#[test]
fn what_there_is_too_much_of() {
    let map = board(64, 0);
    let image = image(bzimage(0x20f, true));
    let holes: Vec<Region> = (0..64).map(|n| Region::new(0x1000_0000 + n * 0x2000, 0x1000)).collect();
    let many = Map::new(&[Region::new(0, 1 << 30)], &holes);

    let two = place(&image, &start(&map, &[initrd(b"a"), initrd(b"b")])).unwrap_err();
    let ranges = place(&image, &start(&many, &[])).unwrap_err();

    assert_eq!(two.to_string(), "2 modules; the kernel takes 1");
    assert_eq!(ranges.to_string(), "a memory map of 129 ranges; the kernel takes 128");
}

#[test]
fn files_that_are_no_whole_kernel() {
    let good = bzimage(0x20f, true);
    let with = |at: usize, value: u64, len: usize| {
        let mut bytes = good.clone();
        put(&mut bytes, at, value, len);
        Kernel::parse(Isa::X86_64, bytes).unwrap_err().to_string()
    };

    assert_eq!(with(0x1fe, 0, 2), "damaged bzImage: its boot sector has no mark");
    assert_eq!(with(0x206, 0x1ff, 2), "damaged bzImage: its header is of version 0x1ff");
    assert_eq!(with(0x1f1, 64, 1), "truncated bzImage: 5120 bytes of 37376");
    assert_eq!(with(0x1f4, 0x1_0000, 4), "truncated bzImage: 5120 bytes of 1049600");
    assert_eq!(
        with(0x1f4, 0, 4),
        "damaged bzImage: its header says that it is nothing but setup code"
    );
    assert_eq!(with(0x1f4, 0x20, 4), "damaged bzImage: it ends before its 64-bit entry");
    assert_eq!(
        with(0x230, 0x30, 4),
        "damaged bzImage: it is to lie at a multiple of 0x30"
    );
    assert_eq!(
        with(0x235, 32, 1),
        "damaged bzImage: it is to lie at a multiple of 2 to the power of 32"
    );
}

#[test]
fn a_kernel_cut_short_is_never_taken() {
    let good = bzimage(0x20f, true);

    for len in (0x210..good.len() - 16).step_by(7) {
        let error = Kernel::parse(Isa::X86_64, good[..len].to_vec()).unwrap_err();
        assert!(
            matches!(error, kernel::Error::Truncated { have, .. } if have == len as u64),
            "{len}: {error}"
        );
    }
    assert!(
        Kernel::parse(Isa::X86_64, good[..good.len() - 15].to_vec()).is_ok(),
        "the last paragraph"
    );
}

#[test]
fn a_wide_kernel_is_not_for_a_32_bit_machine() {
    let error = Kernel::parse(Isa::I386, bzimage(0x20f, true)).unwrap_err();

    assert_eq!(error.fits(), Some(Isa::X86_64));
    let text = "not an x86 kernel (bzImage, multiboot or ELF with a PVH note) but an x86-64 Linux kernel (bzImage)";
    assert_eq!(error.to_string(), text);
    assert!(Kernel::parse(Isa::I386, bzimage(0x20f, false)).is_ok());
}

use super::load::NO_MACHINE;
use super::*;
use crate::kernel::tests::zimage;
use crate::kernel::{Image, LinuxKernel, Program, SPLIT, Segment};

const BASE: u64 = 0x4000_0000;
const FLASH: &[Region] = &[Region::new(0, 64 << 20), Region::new(64 << 20, 64 << 20)];
const TREE: u64 = 0x1_0000;

fn ram(mib: u64) -> Memory<'static> {
    Memory {
        ram: Region::new(BASE, mib << 20),
        flash: FLASH,
    }
}

fn initrd(size: u64) -> Option<Initrd> {
    Some(Initrd { size, unpacked: size })
}

/// A kernel of 5 MiB that unpacks to 20 MiB.
fn kernel() -> Kernel {
    Kernel::parse(Arm::A32, zimage(5 << 20, 20 << 20)).unwrap()
}

fn linked_at(address: u64) -> Kernel {
    let segments = vec![Segment {
        address,
        bytes: vec![1, 2, 3, 4],
        size: 0x1_0000,
    }];
    Kernel::Program(Program {
        isa: Arm::A32,
        segments,
        entry: address + 2,
        linux: None,
    })
}

fn linux_linked_at(address: u64) -> Kernel {
    let Kernel::Program(program) = linked_at(address) else {
        panic!("no program")
    };
    Kernel::Program(Program {
        linux: Some(LinuxKernel {
            page_offset: address & SPLIT,
        }),
        ..program
    })
}

#[test]
fn the_places_are_qemus() {
    let kernel = kernel();

    let layout = place(ram(1024), &kernel, initrd(0x1234), TREE).unwrap();

    assert_eq!((layout.entry, layout.kernel[0].address), (0x4001_0000, 0x4001_0000));
    assert_eq!(layout.initrd, Some(Region::new(0x4800_0000, 0x1234)));
    assert_eq!(layout.dtb, Region::new(0x4800_2000, TREE));
    assert_eq!(layout.registers, [0, 0xffff_ffff, 0x4800_2000]);
}

#[test]
fn in_little_ram_the_initrd_is_at_half_of_it() {
    let kernel = kernel();

    let layout = place(ram(64), &kernel, initrd(1), TREE).unwrap();

    assert_eq!(layout.initrd, Some(Region::new(0x4200_0000, 1)));
}

#[test]
fn the_initrd_is_never_where_the_kernel_unpacks() {
    let kernel = kernel();

    let layout = place(ram(32), &kernel, initrd(1 << 20), TREE).unwrap();

    let unpacked_end = BASE + 0x8000 + (20 << 20) + 0x100 + (5 << 20);
    assert!(layout.initrd.unwrap().base >= unpacked_end, "{layout:?}");
}

#[test]
fn without_an_initrd_the_tree_takes_its_place() {
    let kernel = kernel();

    let layout = place(ram(1024), &kernel, None, TREE).unwrap();

    assert_eq!((layout.initrd, layout.dtb.base), (None, 0x4800_0000));
}

#[test]
fn too_little_ram_says_how_much_would_do() {
    let kernel = kernel();

    for (mib, initrd, part) in [(16, None, Part::Kernel), (64, initrd(40 << 20), Part::Initrd)] {
        let error = place(ram(mib), &kernel, initrd, TREE).unwrap_err();

        let Error::TooSmall {
            part: at_fault, enough, ..
        } = error
        else {
            panic!("{error}")
        };
        assert_eq!(at_fault, part);
        assert!(place(ram(enough / MIB), &kernel, initrd, TREE).is_ok());
        let more = 2 * initrd.map_or(0, |i| i.unpacked) + limits(Arm::A32).linux_needs;
        assert!(place(ram((enough - more - STEP) / MIB), &kernel, initrd, TREE).is_err());
    }
}

#[test]
fn an_initrd_for_which_no_ram_is_enough() {
    let kernel = kernel();

    let error = place(ram(1024), &kernel, initrd(u64::MAX), TREE).unwrap_err();

    assert!(matches!(error, Error::TooLarge { part: Part::Initrd, .. }), "{error}");
}

#[test]
fn an_initrd_above_low_memory_is_refused_whatever_the_ram() {
    let (usual, half) = (kernel(), linux_linked_at(0x8000_8000));
    let large = initrd(900 << 20);

    for mib in [64, 1024, 3072] {
        let error = place(ram(mib), &usual, large, TREE).unwrap_err();

        assert_eq!(
            error.to_string(),
            "the initrd ends 1028 MiB into RAM, and the kernel reaches 760 MiB of it (its low memory); take a smaller initrd",
            "{mib} MiB"
        );
    }
    assert!(place(ram(3072), &half, large, TREE).is_ok(), "1784 MiB are low there");
    assert!(place(ram(3072), &usual, initrd(600 << 20), TREE).is_ok());
}

#[test]
fn programs_load_where_they_are_linked_and_find_the_tree_at_the_start_of_ram() {
    let kernel = linked_at(0x4001_0000);

    let layout = place(ram(64), &kernel, initrd(1), TREE).unwrap();

    assert_eq!(layout.entry, 0x4001_0002);
    assert_eq!((layout.dtb.base, layout.registers), (BASE, [0, 0, BASE]));
    assert_eq!(layout.initrd.unwrap().base, BASE + (32 << 20));
    assert_eq!(
        layout.kernel,
        [Piece {
            address: 0x4001_0000,
            bytes: &[1, 2, 3, 4],
            size: 0x1_0000
        }]
    );
}

#[test]
fn a_program_at_the_start_of_ram_finds_the_tree_by_r2() {
    let kernel = linked_at(0x4000_ff00);

    let layout = place(ram(64), &kernel, None, TREE).unwrap();

    assert_eq!(layout.dtb.base, BASE + (32 << 20));
    assert_eq!(layout.registers, [0, 0, layout.dtb.base]);
}

#[test]
fn programs_may_be_in_flash() {
    let segment = |address, bytes: &[u8]| Segment {
        address,
        bytes: bytes.to_vec(),
        size: 0x100,
    };
    let kernel = Kernel::Program(Program {
        isa: Arm::A32,
        segments: vec![segment(0, &[1]), segment(0x400_0000, &[2]), segment(0x200, &[])],
        entry: 0,
        linux: None,
    });

    let layout = place(ram(64), &kernel, None, TREE).unwrap();

    let places: Vec<_> = layout.flash.iter().map(|piece| (piece.address, piece.bytes)).collect();
    assert_eq!(places, [(0, &[1][..]), (0x400_0000, &[2])]);
    assert_eq!((layout.kernel.len(), layout.dtb.base, layout.entry), (0, BASE, 0));
}

#[test]
fn raw_code_runs_where_a_zimage_does() {
    let kernel = Kernel::Raw(Arm::A32, vec![1, 2, 3, 4]);

    let layout = place(ram(64), &kernel, None, TREE).unwrap();

    assert_eq!((layout.entry, layout.kernel[0].address), (0x4001_0000, 0x4001_0000));
    assert_eq!(layout.registers, [0, NO_MACHINE, 0x4200_0000]);
}

#[test]
fn a_linux_kernel_linked_for_its_own_address_space_moves_to_ram() {
    let kernel = linux_linked_at(0xc000_8000);

    let layout = place(ram(64), &kernel, None, TREE).unwrap();

    assert_eq!((layout.entry, layout.kernel[0].address), (0x4000_8002, 0x4000_8000));
    assert_eq!(layout.registers, [0, NO_MACHINE, layout.dtb.base]);
}

#[test]
fn a_program_outside_ram_and_flash_is_refused() {
    for address in [0x3fff_ff00, 0x3ff_ff00, 0x900_0000] {
        let error = place(ram(64), &linked_at(address), None, TREE).unwrap_err();

        assert_eq!(
            error.to_string(),
            format!(
                "the kernel loads at {address:#x}; RAM is from 0x40000000 to 0x43ffffff, flash from 0x0 to 0x7ffffff"
            )
        );
    }
}

#[test]
fn a_program_above_ram_says_how_much_would_do() {
    let error = place(ram(64), &linked_at(0x4800_0000), None, TREE).unwrap_err();

    assert_eq!(
        error.to_string(),
        "the kernel ends 129 MiB into RAM, which has 64 MiB; 129 MiB would do"
    );
}

/// An Image of 5 MiB that takes 20 MiB, `offset` bytes from a multiple of 2 MiB.
fn image_at(text_offset: u64, anywhere: bool) -> Kernel {
    Kernel::Image(Image {
        bytes: vec![0; 5 << 20],
        text_offset,
        size: 20 << 20,
        anywhere,
    })
}

#[test]
fn an_image_is_where_qemu_puts_it() {
    let kernel = image_at(0, true);

    let layout = place(ram(1024), &kernel, initrd(0x1234), TREE).unwrap();

    assert_eq!((layout.entry, layout.kernel[0].address), (0x4020_0000, 0x4020_0000));
    assert_eq!(layout.kernel[0].size, 20 << 20);
    assert_eq!(layout.initrd, Some(Region::new(0x4800_0000, 0x1234)));
    assert_eq!(layout.dtb, Region::new(0x4820_0000, TREE));
    assert_eq!(layout.registers, [0x4820_0000, 0, 0]);
}

#[test]
fn an_image_with_an_offset_or_without_choice_is_at_the_start_of_ram() {
    for (offset, anywhere) in [(0x8_0000, true), (0x8_0000, false), (0, false)] {
        let kernel = image_at(offset, anywhere);

        let layout = place(ram(1024), &kernel, None, TREE).unwrap();

        assert_eq!(layout.entry, BASE + offset, "{offset:#x} {anywhere}");
    }
}

#[test]
fn a_device_tree_is_within_two_mib_behind_all_else() {
    for size in [0, 1, (2 << 20) - 1, 300 << 20] {
        let kernel = image_at(0, true);

        let layout = place(ram(1024), &kernel, initrd(size), 1 << 20).unwrap();

        let (first, last) = (layout.dtb.base, layout.dtb.end() - 1);
        assert_eq!(first / BLOCK, last / BLOCK);
        assert!(first >= layout.initrd.unwrap().end() && layout.initrd.unwrap().base >= BASE + (22 << 20));
    }
}

#[test]
fn ram_above_4_gib_is_used() {
    let kernel = image_at(0, true);

    let layout = place(ram(16 << 10), &kernel, initrd(6 << 30), TREE).unwrap();

    assert_eq!(layout.initrd.unwrap().end(), 0x4800_0000 + (6 << 30));
    assert_eq!(layout.registers[0], 0x4800_0000 + (6 << 30));
}

#[test]
fn an_initrd_outside_of_the_kernels_window_is_refused() {
    let kernel = image_at(0, true);

    let error = place(ram(64 << 10), &kernel, initrd(32 << 30), TREE).unwrap_err();

    let text = "the initrd ends 32896 MiB into RAM, and the kernel reaches 32768 MiB of it; take a smaller initrd";
    assert_eq!(error.to_string(), text);
    let error = place(ram(64), &kernel, initrd(u64::MAX), TREE).unwrap_err();
    assert!(matches!(error, Error::TooLarge { part: Part::Initrd, .. }), "{error}");
}

#[test]
fn too_little_ram_for_an_image_says_how_much_would_do() {
    let kernel = image_at(0, true);

    let error = place(ram(16), &kernel, None, TREE).unwrap_err();

    let Error::TooSmall { part, enough, .. } = error else {
        panic!("{error}")
    };
    assert_eq!((part, enough), (Part::Kernel, 96 << 20));
    assert!(place(ram(enough / MIB), &kernel, None, TREE).is_ok());
}

#[test]
fn programs_and_raw_code_for_aarch64_find_the_tree_by_x0() {
    let program = |address| {
        let segments = vec![Segment {
            address,
            bytes: vec![1, 2, 3, 4],
            size: 0x1_0000,
        }];
        Kernel::Program(Program {
            isa: Arm::A64,
            segments,
            entry: address,
            linux: None,
        })
    };
    let raw = Kernel::Raw(Arm::A64, vec![1, 2, 3, 4]);
    let cases = [
        (program(0x1_4000_0000), 0x1_4000_0000, BASE),
        (program(0x4000_0000), 0x4000_0000, 0x4800_0000),
        (program(0x40_0000), 0x40_0000, BASE),
        (raw, 0x4008_0000, 0x4800_0000),
    ];
    for (kernel, entry, tree) in cases {
        let layout = place(ram(8 << 10), &kernel, None, TREE).unwrap();

        assert_eq!((layout.entry, layout.registers), (entry, [tree, 0, 0]));
    }
}

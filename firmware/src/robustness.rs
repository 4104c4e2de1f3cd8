//! Any bytes have an answer: no parser panics, and none says yes to what the next step cannot use.

use std::process::Command;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::boot;
use crate::fdt::{Blob, Chosen, Node, Patch, Region};
use crate::identify::{Arm, FileKind, Isa};
use crate::initrd::{self, File};
use crate::kernel::tests::{elf_64, image, zboot, zimage, zstd};
use crate::kernel::{self, Kernel};
use crate::x86;
use crate::x86::linux::tests::bzimage;
use crate::x86::testing::{elf as elf_x86, multiboot, multiboot2};

/// A good file with bytes of it replaced, cut somewhere.
fn harmed(good: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let len = good.len();
    (vec((0..len, hard_byte()), 0..6), 0..=len).prop_map(move |(harms, end)| {
        let mut bytes = good.clone();
        for (at, value) in harms {
            bytes[at] = value;
        }
        // Most damage is without a cut.
        bytes.truncate(if end % 4 == 0 { end } else { len });
        bytes
    })
}

fn hard_byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        Just(0),
        Just(1),
        Just(2),
        Just(3),
        Just(4),
        Just(9),
        Just(0x7f),
        Just(0x80),
        Just(0xff),
        any::<u8>()
    ]
}

fn tree() -> Vec<u8> {
    let soc = Node::new("soc")
        .with("ranges", 0)
        .child(Node::new("uart@9").with("reg", [9, 1]).with("status", "okay"));
    let memory = Node::new("memory@0").with("device_type", "memory").with("reg", [0, 1]);
    let root = Node::new("").with("#address-cells", 1).with("#size-cells", 1);
    root.child(memory)
        .child(soc)
        .child(Node::new("chosen").with("bootargs", "x"))
        .to_blob()
        .unwrap()
}

/// An ELF file for ARM with two loadable segments.
fn elf() -> Vec<u8> {
    let mut words = [0u32; 40];
    words[..13].copy_from_slice(&[
        0x464c_457f,
        0x0001_0101,
        0,
        0,
        2 | 40 << 16,
        1,
        0x4000_8000,
        0x34,
        0,
        0,
        0x34 | 0x20 << 16,
        2,
        0,
    ]);
    words[13..21].copy_from_slice(&[1, 0x80, 0x4000_8000, 0x4000_8000, 16, 32, 5, 4]);
    words[21..29].copy_from_slice(&[1, 0x90, 0x4100_0000, 0x4100_0000, 16, 16, 6, 4]);
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Whatever is taken for a kernel can be placed, or refused, in any RAM.
fn place(bytes: &[u8]) {
    for isa in [Arm::A32, Arm::A64] {
        if let Ok(kernel) = Kernel::parse(isa, bytes.to_vec()) {
            place_kernel(&kernel);
        }
    }
}

fn place_kernel(kernel: &Kernel) {
    for (mib, initrd) in [(1, None), (64, Some(1 << 20)), (3 << 10, Some(u64::MAX))] {
        let (ram, flash) = (Region::new(0x4000_0000, mib << 20), [Region::new(0, 64 << 20)]);
        let initrd = initrd.map(|size| boot::Initrd { size, unpacked: size });
        let memory = boot::Memory { ram, flash: &flash };
        if let Ok(layout) = boot::place(memory, kernel, initrd, 1 << 20) {
            let within = |place: Region| {
                move |piece: &boot::Piece<'_>| piece.address >= place.base && piece.address + piece.size <= place.end()
            };
            assert!(
                layout.kernel.iter().all(within(ram))
                    && layout.flash.iter().all(within(flash[0]))
                    && layout.dtb.end() <= ram.end(),
                "{layout:x?}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in vec(hard_byte(), 0..600)) {
        FileKind::of(&bytes);
        let _ = Blob::parse(&bytes);
        let _ = initrd::check(&bytes);
        place(&bytes);
        place_x86(&bytes);
    }

    /// A tree that is taken can be completed, and the result is a tree that says what was asked.
    #[test]
    fn a_harmed_tree(bytes in harmed(tree())) {
        if let Ok(blob) = Blob::parse(&bytes) {
            let chosen = Chosen { bootargs: Some("quiet".into()), ..Chosen::default() };
            let patch = Patch { memory: Some(Region::new(0x4000_0000, 0x1000)), chosen };
            if let Ok(patched) = blob.patch(&patch) {
                let patched = Blob::parse(&patched).unwrap();
                prop_assert_eq!(patched.property("/chosen", "bootargs"), Some(b"quiet\0".as_slice()));
            }
        }
    }

    #[test]
    fn a_harmed_elf_file(bytes in harmed(elf())) {
        place(&bytes);
    }

    #[test]
    fn a_harmed_zimage(bytes in harmed(zimage(0x80, 0x1234))) {
        place(&bytes);
    }

    #[test]
    fn a_harmed_image(bytes in harmed(image(0x80, 0, 0x1_0000, 0xa))) {
        place(&bytes);
    }

    #[test]
    fn a_harmed_zboot(bytes in harmed(zboot(&zstd(&image(0x80, 0, 0x1_0000, 0xa)), b"zstd", 0xaa64))) {
        place(&bytes);
    }

    #[test]
    fn a_harmed_64_bit_elf_file(bytes in harmed(elf_64(183, &image(0x80, 0, 0x1_0000, 0xa), 0x4000_0000, 0x4000_0000))) {
        place(&bytes);
    }

    #[test]
    fn a_harmed_bzimage(bytes in harmed(bzimage(0x20f, true))) {
        place_x86(&bytes);
    }

    #[test]
    fn a_harmed_elf_file_for_x86(bytes in harmed(elf_x86(62, Some(0x20_0000), &[]))) {
        place_x86(&bytes);
    }

    #[test]
    fn a_harmed_multiboot2_kernel(bytes in harmed(elf_x86(3, None, &multiboot2(&[(10, 0, &[0, 1 << 30, 0x1000, 2])])))) {
        place_x86(&bytes);
    }

    #[test]
    fn a_harmed_initrd(bytes in harmed(initrd::pack(&[("a", File::Regular { bytes: b"text", mode: 0o644 })]).unwrap())) {
        let _ = initrd::check(&bytes);
    }
}

/// Each byte of a range, damaged bit by bit and in ways that are hard.
fn flipped(good: &[u8], fields: std::ops::Range<usize>, seen: impl Fn(Vec<u8>)) {
    for at in fields {
        for bit in 0..8 {
            let mut bytes = good.to_vec();
            bytes[at] ^= 1 << bit;
            seen(bytes);
        }
        for value in [0, 0x7f, 0x80, 0xff] {
            let mut bytes = good.to_vec();
            bytes[at] = value;
            seen(bytes);
        }
    }
}

/// Whatever is taken for a kernel for x86 can be placed, or refused, in any RAM: in it, each byte once, and entered in it.
fn place_x86(bytes: &[u8]) {
    for isa in [Isa::I386, Isa::X86_64] {
        let Ok(kernel) = x86::Kernel::parse(isa, bytes.to_vec()) else {
            continue;
        };
        for (low, high) in [(0, 0), (1, 64), (64, 0), (3 << 10, 64)] {
            let ram = [Region::new(0, low << 20), Region::new(1 << 32, high << 20)];
            let map = x86::Map::new(&ram, &[Region::new(0xa_0000, 0x6_0000)]);
            let file = vec![1; 0x3001];
            let module = x86::Module {
                bytes: &file,
                command_line: "words",
            };
            for modules in [&[][..], &[module], &[module; 3]] {
                check_x86(&kernel, &map, modules);
            }
        }
    }
}

fn check_x86(kernel: &x86::Kernel, map: &x86::Map, modules: &[x86::Module<'_>]) {
    let start = x86::Start {
        map,
        command_line: "console=ttyS0",
        modules,
        rsdp: Some((0xe_0000, [0; 36])),
        seed: Some(&[1; 32]),
        device_tree: None,
    };
    let Ok(placement) = x86::place(kernel, &start) else {
        return;
    };
    let mut pieces: Vec<_> = placement.pieces().filter(|piece| piece.size != 0).collect();
    pieces.sort_by_key(|piece| piece.address);
    for piece in &pieces {
        let end = piece.address + piece.size;
        assert!(piece.bytes.len() as u64 <= piece.size, "{piece:x?}");
        assert!(
            map.ram().any(|ram| ram.base <= piece.address && end <= ram.end()),
            "{piece:x?}"
        );
    }
    for pair in pieces.windows(2) {
        assert!(pair[0].address + pair[0].size <= pair[1].address, "{pair:x?}");
    }
    assert!(
        map.ram()
            .any(|ram| ram.base <= placement.entry.ip && placement.entry.ip < ram.end())
    );
    assert_eq!(placement.modules.len(), modules.len());
}

#[test]
fn each_field_of_a_bzimages_header_damaged() {
    for version in [0x200, 0x204, 0x20a, 0x20f] {
        flipped(&bzimage(version, version == 0x20f), 0x1f1..0x26c, |bytes| {
            place_x86(&bytes)
        });
    }
}

#[test]
fn each_field_of_an_elf_header_damaged() {
    for machine in [3, 62] {
        flipped(&elf_x86(machine, Some(0x20_0000), &[]), 0..0x100, |bytes| {
            place_x86(&bytes)
        });
    }
    let good = elf_x86(62, Some(0x20_0000), &[]);
    flipped(&good, 0x250..good.len(), |bytes| place_x86(&bytes));
}

#[test]
fn each_field_of_a_multiboot_header_damaged() {
    let header = multiboot(1 << 16 | 3, &[0x30_0000, 0x30_0000, 0, 0x31_0000, 0x30_0004]);
    // The sum over the flags is the header's mark.
    flipped(&header, 12..header.len(), |bytes| place_x86(&bytes));
    let tags: &[(u16, u16, &[u32])] = &[
        (1, 0, &[1, 6]),
        (2, 0, &[0x30_0000, 0x30_0000, 0, 0x31_0000]),
        (3, 0, &[0x30_0000]),
        (10, 0, &[0x10_0000, 0x7fff_ffff, 0x1000, 2]),
    ];
    let header = multiboot2(tags);
    flipped(&header, 16..header.len(), |bytes| place_x86(&bytes));
}

/// Each of a program's headers says a page of memory: so many of them are refused, and so is one part of the file repeated.
#[test]
fn segments_do_not_take_more_memory_than_the_file() {
    let mut bytes = elf_x86(62, Some(0x20_0000), &[]);
    let header: Vec<u8> = bytes[64..64 + 56].to_vec();
    let at = bytes.len() as u64;
    bytes[32..40].copy_from_slice(&at.to_le_bytes());
    bytes[56..58].copy_from_slice(&2000_u16.to_le_bytes());
    bytes.extend(header.repeat(2000));

    let error = x86::Kernel::parse(Isa::X86_64, bytes).unwrap_err().to_string();

    let reason = "its segments are too many, or one part of the file over and over";
    assert_eq!(error, format!("damaged ELF file: {reason}"));
}

/// Debian's kernels are placed whole, and cut anywhere they are refused for that.
#[test]
fn debians_kernels_whole_and_cut() {
    for (port, isa) in [("amd64", Isa::X86_64), ("i386", Isa::I386)] {
        let bytes = match debian(port) {
            Ok(bytes) => bytes,
            Err(reason) => {
                crate::skipped("debians_kernels_whole_and_cut", &reason);
                continue;
            }
        };
        assert_eq!(FileKind::of(&bytes).isa(), Some(isa));
        place_x86(&bytes);
        let x86::Kernel::Linux(image) = x86::Kernel::parse(isa, bytes.clone()).unwrap() else {
            panic!("no bzImage")
        };
        assert_eq!((image.version, image.is_wide), (0x20f, isa == Isa::X86_64));
        // The setup code is cut at each sector, what is behind it at each 64th: a signature ends the file.
        let (first, whole) = (64 << 10, bytes.len() - 4096);
        for len in (1024..first).step_by(512).chain((first..whole).step_by(512 * 64)) {
            let error = x86::Kernel::parse(isa, bytes[..len].to_vec()).unwrap_err();
            assert!(matches!(error, kernel::Error::Truncated { .. }), "{len}: {error}");
        }
    }
}

/// Debian 12's kernel for a port, fetched through apt once and kept beside the tests.
fn debian(port: &str) -> Result<Vec<u8>, String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let folder = program.ancestors().nth(2).ok_or("no folder")?.join("guests");
    let kept = folder.join(format!("linux-{port}"));
    if let Ok(bytes) = std::fs::read(&kept) {
        return Ok(bytes);
    }
    let new = folder.join(format!("new-{port}-{}", std::process::id()));
    std::fs::create_dir_all(&new).map_err(|e| e.to_string())?;
    let package = format!("debian-installer-12-netboot-{port}");
    let script = format!("apt-get download -qq {package} && dpkg -x {package}_*.deb .");
    let ran = Command::new("sh").args(["-c", &script]).current_dir(&new).output();
    let file = format!("usr/lib/debian-installer/images/12/{port}/text/debian-installer/{port}/linux");
    let bytes = std::fs::read(new.join(file));
    let _ = std::fs::remove_dir_all(&new);
    match (bytes, ran) {
        (Ok(bytes), _) => {
            std::fs::write(kept, &bytes).map_err(|e| e.to_string())?;
            Ok(bytes)
        }
        (Err(_), Ok(output)) => Err(format!("{package}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        (Err(_), Err(e)) => Err(format!("sh: {e}")),
    }
}

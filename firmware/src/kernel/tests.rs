use std::io::Write;

use super::*;
use flate2::Crc;

fn parse(bytes: Vec<u8>) -> Result<Kernel, Error> {
    Kernel::parse(Arm::A32, bytes)
}

fn parse_64(bytes: Vec<u8>) -> Result<Kernel, Error> {
    Kernel::parse(Arm::A64, bytes)
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn put(bytes: &mut [u8], at: usize, words: &[u32]) {
    for (i, word) in words.iter().enumerate() {
        bytes[at + i * 4..at + i * 4 + 4].copy_from_slice(&word.to_le_bytes());
    }
}

/// A zImage of `len` bytes whose kernel unpacks to `size` bytes at 0x8000.
pub(crate) fn zimage(len: usize, size: u32) -> Vec<u8> {
    let mut bytes = vec![0; len];
    put(
        &mut bytes,
        0x24,
        &[0x016f_2818, 0, len as u32, 0x0403_0201, 0x4545_4545, 0x40],
    );
    put(&mut bytes, 0x40, &[6, 0x5a53_4c4b, 0x60, 0x100, 0x8000, 0x1_0000, 0]);
    put(&mut bytes, 0x60, &[size]);
    bytes
}

/// An ELF file for `machine` with one segment of four bytes (eight in memory) at `physical`.
fn elf_file(machine: u32, physical: u32) -> Vec<u8> {
    let mut bytes = vec![0; 0x58];
    bytes[..7].copy_from_slice(b"\x7fELF\x01\x01\x01");
    put(
        &mut bytes,
        16,
        &[2 | machine << 16, 1, 0xc000_8001, 0x34, 0, 0, 0x34 | 0x20 << 16, 1],
    );
    put(&mut bytes, 0x34, &[1, 0x54, 0xc000_8000, physical, 4, 8, 7, 4]);
    bytes
}

fn uimage_file(data: &[u8], arch: u8, compression: u8) -> Vec<u8> {
    let mut header = [0; 64];
    let fields = [
        (0, 0x2705_1956),
        (3, data.len() as u32),
        (4, 0x4000_8000),
        (5, 0x4000_8000),
        (6, crc(data)),
    ];
    for (i, field) in fields {
        header[i * 4..i * 4 + 4].copy_from_slice(&u32::to_be_bytes(field));
    }
    header[28..32].copy_from_slice(&[5, arch, 2, compression]);
    let crc = crc(&header);
    header[4..8].copy_from_slice(&crc.to_be_bytes());
    [header.as_slice(), data].concat()
}

#[test]
fn a_zimage_tells_its_unpacked_size() {
    let Ok(Kernel::ZImage(kernel)) = parse(zimage(0x80, 0x1234)) else {
        panic!("no zImage")
    };

    assert_eq!(
        kernel.unpacked,
        Some(Unpacked {
            offset: 0x8000,
            size: 0x1334
        })
    );
}

#[test]
fn a_zimage_without_the_table() {
    let mut bytes = zimage(0x80, 0);
    put(&mut bytes, 0x34, &[0]);

    let Ok(Kernel::ZImage(kernel)) = parse(bytes) else {
        panic!("no zImage")
    };

    assert_eq!(kernel.unpacked, None);
}

#[test]
fn a_zimage_whose_table_leads_nowhere() {
    for (at, value) in [
        (0x38, 0xffff_fffc),
        (0x38, 0x7e),
        (0x40, 0),
        (0x44, 0),
        (0x48, u32::MAX),
    ] {
        let mut bytes = zimage(0x80, 0);
        put(&mut bytes, at, &[value]);

        let Ok(Kernel::ZImage(kernel)) = parse(bytes) else {
            panic!("no zImage")
        };

        assert_eq!(kernel.unpacked, None, "{value:#x} at {at:#x}");
    }
}

#[test]
fn a_zimage_cut_short() {
    let bytes = zimage(0x80, 0);

    for len in 0x28..0x80 {
        let error = parse(bytes[..len].to_vec()).unwrap_err();
        assert!(
            matches!(error, Error::Truncated { have, .. } if have == len as u64),
            "{len}: {error}"
        );
    }
    assert_eq!(
        parse(bytes[..0x7f].to_vec()).unwrap_err().to_string(),
        "truncated zImage: 127 bytes of 128"
    );
}

#[test]
fn a_zimage_that_ends_before_it_starts() {
    let mut bytes = zimage(0x80, 0);
    put(&mut bytes, 0x28, &[0x100]);

    assert!(matches!(parse(bytes), Err(Error::Damaged { .. })));
}

#[test]
fn elf_segments_and_entry_are_physical() {
    let Ok(Kernel::Program(program)) = parse(elf_file(40, 0x4000_8000)) else {
        panic!("no program")
    };

    assert_eq!(program.entry, 0x4000_8001);
    assert_eq!(
        program.segments,
        [Segment {
            address: 0x4000_8000,
            bytes: vec![0; 4],
            size: 8
        }]
    );
}

#[test]
fn elf_files_that_are_no_kernel() {
    let bytes = elf_file(40, 0x4000_8000);
    let with = |at, value: u32| {
        let mut bytes = bytes.clone();
        put(&mut bytes, at, &[value]);
        parse(bytes).unwrap_err().to_string()
    };

    let x86 = parse(elf_file(62, 0)).unwrap_err().to_string();
    assert_eq!(
        x86,
        "not a 32-bit ARM kernel (zImage, ELF, uImage or raw code) but an ELF file for x86-64"
    );
    assert_eq!(
        with(16, 1 | 40 << 16),
        "an ELF file that holds no kernel to start: it is no linked program"
    );
    assert_eq!(
        with(24, 0),
        "an ELF file that holds no kernel to start: its entry point is outside of it"
    );
    assert_eq!(
        with(0x44, 0x100),
        "truncated ELF file: 340 bytes of 88".replace("340 bytes of 88", "88 bytes of 340")
    );
    assert_eq!(
        with(0x48, 2),
        "damaged ELF file: the segment at 0x40008000 has no sensible size"
    );
}

#[test]
fn any_byte_of_an_elf_header_damaged_has_an_answer() {
    let bytes = elf_file(40, 0x4000_8000);

    for at in 0..bytes.len() {
        for value in [0, 1, 3, 0x7f, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] = value;
            if let Ok(Kernel::Program(program)) = parse(damaged) {
                assert!(!program.segments.is_empty());
            }
        }
    }
    let is_taken = |len: usize| parse(bytes[..len].to_vec()).is_ok();
    assert!(!is_taken(0));
    // Without its mark it is raw code, for all one can tell.
    for len in 4..bytes.len() {
        assert!(!is_taken(len), "{len} bytes were taken");
    }
}

#[test]
fn uimages_plain_and_packed() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"code").unwrap();
    let packed = gzip.finish().unwrap();

    let expected = Program {
        isa: Arm::A32,
        segments: vec![Segment {
            address: 0x4000_8000,
            bytes: b"code".to_vec(),
            size: 4,
        }],
        entry: 0x4000_8000,
        linux: Some(LinuxKernel {
            page_offset: 0xc000_0000,
        }),
    };
    assert_eq!(parse(uimage_file(b"code", 2, 0)), Ok(Kernel::Program(expected.clone())));
    assert_eq!(parse(uimage_file(&packed, 2, 1)), Ok(Kernel::Program(expected)));
    assert!(matches!(
        parse(uimage_file(&zimage(0x80, 0), 2, 0)),
        Ok(Kernel::ZImage(_))
    ));
}

#[test]
fn uimages_damaged_cut_and_foreign() {
    let bytes = uimage_file(b"code", 2, 0);

    // Without its mark it is raw code, for all one can tell.
    for at in 4..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(parse(damaged).is_err(), "damage at {at} went unseen");
        assert!(parse(bytes[..at].to_vec()).is_err(), "{at} bytes were taken");
    }
    assert!(matches!(
        parse(uimage_file(b"code", 22, 0)),
        Err(Error::Unsuitable { .. })
    ));
    assert!(matches!(
        parse(uimage_file(b"code", 2, 2)),
        Err(Error::Unsuitable { .. })
    ));
}

#[test]
fn other_files_are_named() {
    let error = |bytes: &[u8]| parse(bytes.to_vec()).unwrap_err().to_string();
    let but = |what: &str| format!("not a 32-bit ARM kernel (zImage, ELF, uImage or raw code) but {what}");

    assert_eq!(error(b""), but("an empty file"));
    assert_eq!(error(b"hello\n"), but("a text file"));
    assert_eq!(error(b"\x1f\x8b\x08"), but("a gzip-compressed file; unpack it first"));
}

#[test]
fn what_bears_no_mark_is_raw_code() {
    assert_eq!(parse(vec![0; 64]), Ok(Kernel::Raw(Arm::A32, vec![0; 64])));
}

#[test]
fn an_uncompressed_linux_is_no_raw_code() {
    let with = |text: &[u8]| parse([&[0; 64], text].concat());

    assert_eq!(with(b"Linux version 6.1.0"), Err(Error::LinuxImage));
    assert!(with(b"Linux version is unknown").is_ok());
    assert!(with(b"Linux version ").is_ok());
}

#[test]
fn an_elf_file_is_linux_by_its_addresses_and_its_banner() {
    let linux = |virt: u32, text: &[u8]| {
        let mut bytes = elf_file(40, 0x4000_8000);
        put(&mut bytes, 24, &[virt]);
        put(&mut bytes, 0x38, &[0x54, virt, 0x4000_8000, 0x20, 0x20]);
        bytes.resize(0x54 + 0x20, 0);
        bytes[0x54..0x54 + text.len()].copy_from_slice(text);
        match parse(bytes).unwrap() {
            Kernel::Program(program) => program.linux.map(|l| l.page_offset),
            other => panic!("{other:?}"),
        }
    };

    assert_eq!(linux(0xc000_8000, b"Linux version 6.1"), Some(0xc000_0000));
    assert_eq!(linux(0x8000_8000, b"Linux version 6.1"), Some(0x8000_0000));
    assert_eq!(linux(0xc000_8000, b"another system"), None);
    assert_eq!(linux(0x4000_8000, b"Linux version 6.1"), None);
}

#[test]
fn an_entry_may_be_physical() {
    let mut bytes = elf_file(40, 0x4000_8000);
    put(&mut bytes, 24, &[0x4000_8002]);

    let Ok(Kernel::Program(program)) = parse(bytes) else {
        panic!("no program")
    };

    assert_eq!(program.entry, 0x4000_8002);
}

/// An Image of `len` bytes for which the header says so.
pub(crate) fn image(len: usize, text_offset: u64, size: u64, flags: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    bytes[..4].copy_from_slice(b"MZ\0\x14");
    for (at, field) in [(8, text_offset), (16, size), (24, flags)] {
        bytes[at..at + 8].copy_from_slice(&field.to_le_bytes());
    }
    bytes[56..60].copy_from_slice(b"ARM\x64");
    bytes
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

/// An EFI program for a machine with a packed kernel in it.
pub(crate) fn zboot(packed: &[u8], method: &[u8], machine: u16) -> Vec<u8> {
    let mut bytes = vec![0; 0x80];
    bytes[..8].copy_from_slice(b"MZ\0\0zimg");
    put(&mut bytes, 8, &[0x80, packed.len() as u32]);
    bytes[24..24 + method.len()].copy_from_slice(method);
    put(&mut bytes, 0x38, &[0x8182_23cd, 0x40]);
    bytes[0x40..0x44].copy_from_slice(b"PE\0\0");
    bytes[0x44..0x46].copy_from_slice(&machine.to_le_bytes());
    [&bytes, packed, &[0; 4]].concat()
}

/// An ELF file for `machine`: a segment with these bytes at a virtual and a physical address, entered at its start.
pub(crate) fn elf_64(machine: u16, bytes: &[u8], virt: u64, physical: u64) -> Vec<u8> {
    let mut file = vec![0; 0x78];
    file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    let long = |n: u64| [n as u32, (n >> 32) as u32];
    put(&mut file, 16, &[2 | u32::from(machine) << 16, 1]);
    for (at, n) in [(24, virt), (32, 0x40), (52, 0x38 << 16 | 0x40), (56, 1)] {
        put(&mut file, at, &long(n));
    }
    let size = bytes.len() as u64;
    for (i, n) in [1, 0x78, virt, physical, size, size + 0x100, 8].into_iter().enumerate() {
        put(&mut file, 0x40 + 8 * i, &long(n));
    }
    [file.as_slice(), bytes].concat()
}

#[test]
fn an_image_says_where_it_goes() {
    let Ok(Kernel::Image(image)) = parse_64(image(0x80, 0x1000, 0x2_0000, 0xa)) else {
        panic!("no Image")
    };

    assert_eq!(
        (image.text_offset, image.size, image.anywhere),
        (0x1000, 0x2_0000, true)
    );
}

#[test]
fn an_old_image_says_nothing_of_its_size() {
    let Ok(Kernel::Image(image)) = parse_64(image(0x80, 0x800_0000_0000, 0, 0xa)) else {
        panic!("no Image")
    };

    assert_eq!((image.text_offset, image.size, image.anywhere), (0x8_0000, 0x80, false));
}

#[test]
fn images_that_cannot_be_meant() {
    let cases = [
        (
            image(0x80, 0x20_0000, 0x1000, 0),
            "damaged Image: its header says an offset of 0x200000",
        ),
        (
            image(0x80, 0, 1 << 40, 0),
            "damaged Image: its header says a size of 0x10000000000",
        ),
        (
            image(0x80, 0, 0x80, 0)[..60].to_vec(),
            "truncated Image: 60 bytes of 64",
        ),
    ];
    for (bytes, expected) in cases {
        assert_eq!(parse_64(bytes).unwrap_err().to_string(), expected);
    }
}

#[test]
fn packed_images_are_what_they_hold() {
    let plain = image(0x1000, 0, 0x2000, 0xa);
    let expected = parse_64(plain.clone()).unwrap();
    let packed = [
        gzipped(&plain),
        zstd(&plain),
        zboot(&gzipped(&plain), b"gzip", 0xaa64),
        zboot(&zstd(&plain), b"zstd", 0xaa64),
        uimage_file(&gzipped(&plain), 22, 1),
        gzipped(&uimage_file(&plain, 22, 0)),
    ];
    for (n, bytes) in packed.into_iter().enumerate() {
        assert_eq!(parse_64(bytes), Ok(expected.clone()), "{n}");
    }
}

#[test]
fn packed_files_damaged_and_cut() {
    let plain = image(0x1000, 0, 0x2000, 0xa);
    // The marks stay: without them it is another file.
    for (packed, from) in [
        (gzipped(&plain), 10),
        (zstd(&plain), 4),
        (zboot(&gzipped(&plain), b"gzip", 0xaa64), 0x8a),
    ] {
        for len in from..packed.len() - 4 {
            let error = parse_64(packed[..len].to_vec()).unwrap_err().to_string();
            assert!(!error.contains('\n') && !error.is_empty(), "{len}: {error}");
        }
        let (whole, mut seen) = (parse_64(packed.clone()), 0);
        for at in from..packed.len() - 4 {
            let mut damaged = packed.clone();
            damaged[at] ^= 0x55;
            let found = parse_64(damaged);
            // Bits that fill a byte up say nothing.
            assert!(found.is_err() || found == whole, "damage at {at} went unseen");
            seen += usize::from(found.is_err());
        }
        assert!(seen > (packed.len() - from) * 3 / 4, "{seen}");
    }
}

#[test]
fn what_is_packed_otherwise_or_holds_something_else_is_named() {
    let error = |bytes: Vec<u8>| parse_64(bytes).unwrap_err().to_string();
    let but = |what: &str| {
        format!("not an AArch64 kernel (Image, also packed by gzip or zstd, ELF, uImage or raw code) but {what}")
    };
    let twice = gzipped(&gzipped(&image(0x80, 0, 0, 0)));

    assert_eq!(error(twice), but("a gzip-compressed file; unpack it first"));
    assert_eq!(error(gzipped(b"hello\n")), but("a text file"));
    assert_eq!(
        error(b"\xfd7zXZ\0".to_vec()),
        but("an xz-compressed file; unpack it first")
    );
    assert_eq!(
        error(zboot(b"\xfd7zXZ\0", b"xzkern", 0xaa64)),
        "an EFI zboot image that holds no kernel to start: it is packed by \"xzkern\"; gzip and zstd are understood"
    );
    assert_eq!(
        error(zboot(&gzipped(b"x"), b"gzip", 0x5064)),
        but("a DOS, Windows or EFI program")
    );
    let cut = zboot(&gzipped(b"x"), b"gzip", 0xaa64)[..0x82].to_vec();
    assert!(error(cut).starts_with("truncated EFI zboot image: 130 bytes of "));
}

#[test]
fn vmlinux_is_its_image() {
    let virt = 0xffff_8000_0800_0000;
    let plain = image(0x1000, 0, 0x3000, 0xa);

    let kernel = parse_64(elf_64(183, &plain, virt, virt));

    assert_eq!(kernel, parse_64(plain));
}

#[test]
fn programs_for_aarch64_are_loaded_where_they_are_linked() {
    let Ok(Kernel::Program(program)) = parse_64(elf_64(183, b"code", 0xffff_0000_0000_0000, 0x1_4000_0000)) else {
        panic!("no program")
    };

    assert_eq!((program.isa, program.entry), (Arm::A64, 0x1_4000_0000));
    assert_eq!(
        (program.segments[0].address, program.segments[0].size),
        (0x1_4000_0000, 0x104)
    );
}

#[test]
fn a_kernel_for_the_other_machine_says_so() {
    let fits_arm = |bytes| parse_64(bytes).unwrap_err().fits();
    let fits_64 = |bytes| parse(bytes).unwrap_err().fits();
    let image = image(0x80, 0, 0, 0);

    for bytes in [
        zimage(0x80, 0),
        elf_file(40, 0x4000_8000),
        uimage_file(b"code", 2, 0),
        gzipped(&zimage(0x80, 0)),
    ] {
        assert_eq!(fits_arm(bytes), Some(Isa::Arm));
    }
    for bytes in [
        image.clone(),
        gzipped(&image),
        zstd(&image),
        zboot(&gzipped(&image), b"gzip", 0xaa64),
        elf_64(183, b"code", 0, 0),
        uimage_file(b"code", 22, 0),
    ] {
        assert_eq!(fits_64(bytes), Some(Isa::Aarch64));
    }
    assert_eq!(fits_64(elf_file(62, 0)), Some(Isa::X86_64));
    assert_eq!(fits_arm(elf_file(3, 0)), Some(Isa::I386));
    assert_eq!(fits_arm(gzipped(b"text")), None);
}

#[test]
fn a_file_of_the_wrong_class_is_damaged() {
    let mut narrow = elf_file(183, 0x4000_8000);
    narrow.resize(0x100, 0);

    let error = parse_64(narrow).unwrap_err().to_string();

    assert_eq!(error, "damaged ELF file: a 32-bit file for a 64-bit machine");
}

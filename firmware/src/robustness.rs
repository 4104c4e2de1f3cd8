//! Any bytes have an answer: no parser panics, and none says yes to what the next step cannot use.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::boot;
use crate::fdt::{Blob, Chosen, Node, Patch, Region};
use crate::identify::{Arm, FileKind};
use crate::initrd::{self, File};
use crate::kernel::Kernel;
use crate::kernel::tests::{elf_64, image, zboot, zimage, zstd};

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
    fn a_harmed_initrd(bytes in harmed(initrd::pack(&[("a", File::Regular { bytes: b"text", mode: 0o644 })]).unwrap())) {
        let _ = initrd::check(&bytes);
    }
}

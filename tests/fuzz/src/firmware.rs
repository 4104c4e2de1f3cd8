//! Files that users name.

use emu_firmware::boot;
use emu_firmware::fdt::{Blob, Chosen, Patch, Region};
use emu_firmware::identify::{Arm, FileKind, Isa};
use emu_firmware::kernel::Kernel;
use emu_firmware::x86::{Kernel as Kernel86, Map, Module, Start, place};

use crate::Input;

/// A device tree: read, completed, read again.
pub fn device_tree(data: &[u8]) {
    let mut input = Input::new(data);
    let (base, size) = (input.u64(), input.u64());
    let rest = input.take(usize::MAX);
    FileKind::of(rest);
    let Ok(blob) = Blob::parse(rest) else { return };
    let _ = blob.property("/chosen", "bootargs");
    let chosen = Chosen {
        bootargs: Some("quiet".into()),
        ..Chosen::default()
    };
    let memory = Some(Region::new(base, size));
    if let Ok(patched) = blob.patch(&Patch { memory, chosen }) {
        let patched = Blob::parse(&patched).expect("a completed tree is a tree");
        assert_eq!(patched.property("/chosen", "bootargs"), Some(b"quiet\0".as_slice()));
    }
}

/// A kernel: parsed, and placed in RAM.
pub fn kernel(data: &[u8]) {
    let mut input = Input::new(data);
    let (mib, initrd) = (input.u16(), input.u64());
    let isa = if input.u16() & 1 == 0 { Arm::A32 } else { Arm::A64 };
    let Ok(kernel) = Kernel::parse(isa, input.take(usize::MAX).to_vec()) else {
        return;
    };
    let ram = Region::new(0x4000_0000, u64::from(mib) << 20);
    let flash = [Region::new(0, 64 << 20)];
    let initrd = (initrd != 0).then_some(boot::Initrd {
        size: initrd,
        unpacked: initrd,
    });
    let memory = boot::Memory { ram, flash: &flash };
    if let Ok(layout) = boot::place(memory, &kernel, initrd, 1 << 20) {
        for (pieces, place) in [(&layout.kernel, ram), (&layout.flash, flash[0])] {
            for piece in pieces {
                assert!(piece.address >= place.base && piece.address + piece.size <= place.end());
            }
        }
    }
}

/// A kernel for x86: parsed, and placed in RAM.
pub fn x86(data: &[u8]) {
    let mut input = Input::new(data);
    let (low, high, words) = (input.u16(), input.u16(), input.u16());
    let isa = if words & 1 == 0 { Isa::I386 } else { Isa::X86_64 };
    let file = vec![1; usize::from(words)];
    let Ok(kernel) = Kernel86::parse(isa, input.take(usize::MAX).to_vec()) else {
        return;
    };
    let ram = [
        Region::new(0, u64::from(low) << 16),
        Region::new(1 << 32, u64::from(high) << 16),
    ];
    let map = Map::new(&ram, &[Region::new(0xa_0000, 0x6_0000)]);
    let module = Module {
        bytes: &file,
        command_line: "words",
    };
    let start = Start {
        map: &map,
        command_line: "quiet",
        modules: &[module],
        rsdp: None,
        seed: Some(&file),
        device_tree: None,
    };
    if let Ok(placement) = place(&kernel, &start) {
        let mut end = 0;
        let mut pieces: Vec<_> = placement.pieces().filter(|piece| piece.size != 0).collect();
        pieces.sort_by_key(|piece| piece.address);
        for piece in pieces {
            assert!(piece.address >= end);
            end = piece.address + piece.size;
            assert!(map.ram().any(|ram| ram.base <= piece.address && end <= ram.end()));
        }
    }
}

/// An initial RAM file system.
pub fn initrd(data: &[u8]) {
    FileKind::of(data);
    let _ = emu_firmware::initrd::check(data);
}

//! Files that users name.

use emu_firmware::boot;
use emu_firmware::fdt::{Blob, Chosen, Patch, Region};
use emu_firmware::identify::{Arm, FileKind};
use emu_firmware::kernel::Kernel;

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

/// An initial RAM file system.
pub fn initrd(data: &[u8]) {
    FileKind::of(data);
    let _ = emu_firmware::initrd::check(data);
}

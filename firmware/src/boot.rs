//! Linux's boot protocol for 32-bit ARM: what goes where in RAM, and the registers at entry.
//!
//! Source: Linux, Documentation/arch/arm/booting.rst. The places are those that QEMU's `virt` uses, so that a kernel
//! finds what it finds there: a zImage 64 KiB into RAM, the initrd at half of RAM but at most 128 MiB into it, the
//! device tree on the page after it. Where the kernel is so large that it would reach there, they move behind it.

use std::fmt;

use crate::fdt::Region;
use crate::kernel::{Kernel, Program, ZImage};

/// Offset of a zImage from the start of RAM, in bytes.
const ZIMAGE_OFFSET: u64 = 0x1_0000;
/// Farthest offset of the initrd from the start of RAM that the kernel surely maps early, in bytes.
const INITRD_OFFSET: u64 = 128 << 20;
/// What a zImage's decompressor takes behind itself: stack and heap, in bytes (head.S; rounded up).
const DECOMPRESSOR: u64 = 0x2_0000;
const PAGE: u64 = 0x1000;
/// Largest RAM that is proposed to a user, in bytes.
const MOST: u64 = 3 << 30;
const MIB: u64 = 1 << 20;
/// Where Linux's address space can start (`PAGE_OFFSET` of VMSPLIT_2G and above).
const KERNEL_SPACE: u32 = 0x8000_0000;

/// Room for a device tree that is written after the places are known, in bytes.
pub const DEVICE_TREE_ROOM: u64 = 1 << 20;

/// Bytes at a physical address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Physical address.
    pub address: u64,
    /// What is there.
    pub bytes: &'a [u8],
    /// Length in memory; what is past `bytes` is zero.
    pub size: u64,
}

/// What goes where, and how the CPU starts: in Supervisor mode, interrupts masked, MMU and caches off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout<'a> {
    /// The kernel's parts.
    pub kernel: Vec<Piece<'a>>,
    /// Place of the initrd, if there is one.
    pub initrd: Option<Region>,
    /// Place of the device tree, and the room that it has.
    pub dtb: Region,
    /// Physical address of the first instruction; bit 0 set means Thumb.
    pub entry: u32,
    /// Registers r0 to r2 at entry: zero, no machine number, the device tree's address.
    pub registers: [u32; 3],
}

/// A part of what is placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The kernel, with the room in which it unpacks itself.
    Kernel,
    /// The initial RAM file system.
    Initrd,
    /// The device tree.
    DeviceTree,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Kernel => "the kernel",
            Part::Initrd => "the initrd",
            Part::DeviceTree => "the device tree",
        })
    }
}

/// Why things cannot be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// RAM is too small.
    #[error("{part} ends {} MiB into RAM, which has {} MiB; {} MiB would do", .end.div_ceil(MIB), .ram / MIB, .enough / MIB)]
    TooSmall {
        /// What does not fit.
        part: Part,
        /// Where it would end, in bytes from the start of RAM.
        end: u64,
        /// Size of RAM in bytes.
        ram: u64,
        /// Least whole MiB of RAM, in bytes, that everything fits into.
        enough: u64,
    },
    /// No RAM is large enough.
    #[error("{part} ends {} MiB into RAM: more than a 32-bit kernel reaches", .end.div_ceil(MIB))]
    TooLarge {
        /// What does not fit.
        part: Part,
        /// Where it would end, in bytes from the start of RAM.
        end: u64,
    },
    /// The kernel is linked for an address that is not RAM.
    #[error("the kernel loads at {address:#x}, and the board's RAM starts at {ram:#x}")]
    Outside {
        /// The kernel's physical address.
        address: u64,
        /// The start of RAM.
        ram: u64,
    },
}

impl Error {
    /// The part at fault.
    pub fn part(&self) -> Part {
        match *self {
            Error::TooSmall { part, .. } | Error::TooLarge { part, .. } => part,
            Error::Outside { .. } => Part::Kernel,
        }
    }
}

/// Places a kernel, an initrd of `initrd` bytes and a device tree of at most `dtb` bytes in RAM.
///
/// A program linked for Linux's address space (0x80000000 and above), as `vmlinux` is, moves to the start of RAM.
///
/// # Errors
///
/// When something does not fit, with the memory that would do.
pub fn place<'a>(ram: Region, kernel: &'a Kernel, initrd: Option<u64>, dtb: u64) -> Result<Layout<'a>, Error> {
    let (entry, kernel, kernel_end) = match kernel {
        Kernel::ZImage(image) => zimage(ram.base, image),
        Kernel::Program(program) => self::program(ram.base, program)?,
    };
    let ends = |size: u64| {
        let start = ram.base + INITRD_OFFSET.min(size / 2);
        let start = start.max(kernel_end).next_multiple_of(PAGE);
        let initrd_end = start.saturating_add(initrd.unwrap_or(0));
        let dtb_start = initrd_end.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX);
        let parts = [
            (Part::Kernel, kernel_end),
            (Part::Initrd, initrd_end),
            (Part::DeviceTree, dtb_start.saturating_add(dtb)),
        ];
        let over = parts
            .into_iter()
            .find(|&(_, end)| end > ram.base.saturating_add(size).min(1 << 32));
        (start, dtb_start, over)
    };
    let (initrd_start, dtb_start, over) = ends(ram.size);
    if let Some((part, end)) = over {
        let end = end - ram.base;
        return Err(
            match (1..=MOST / MIB)
                .map(|n| n * MIB)
                .find(|&size| size > ram.size && ends(size).2.is_none())
            {
                Some(enough) => Error::TooSmall {
                    part,
                    end,
                    ram: ram.size,
                    enough,
                },
                None => Error::TooLarge { part, end },
            },
        );
    }
    Ok(Layout {
        kernel,
        initrd: initrd.map(|size| Region::new(initrd_start, size)),
        dtb: Region::new(dtb_start, dtb),
        entry,
        registers: [0, u32::MAX, dtb_start as u32],
    })
}

/// Entry, parts and the end of what the kernel takes while it starts.
type Placed<'a> = (u32, Vec<Piece<'a>>, u64);

/// The decompressor moves itself behind the unpacked kernel when it would be overwritten.
fn zimage(ram: u64, image: &ZImage) -> Placed<'_> {
    let (address, len) = (ram + ZIMAGE_OFFSET, image.bytes.len() as u64);
    let unpacked = image
        .unpacked
        .map_or(0, |kernel| ram + u64::from(kernel.offset) + kernel.size);
    let end = address.max(unpacked).saturating_add(len + DECOMPRESSOR);
    (
        address as u32,
        vec![Piece {
            address,
            bytes: &image.bytes,
            size: len,
        }],
        end,
    )
}

fn program(ram: u64, program: &Program) -> Result<Placed<'_>, Error> {
    let lowest = program.segments.iter().map(|s| s.address).min().unwrap_or(0);
    // The top two or three bits choose the address space (0x80000000, 0xb0000000, 0xc0000000), the rest is the offset.
    let moved = if lowest >= KERNEL_SPACE {
        (ram as u32).wrapping_sub(lowest & 0xf000_0000)
    } else {
        0
    };
    let mut pieces = Vec::new();
    let mut end = 0;
    for segment in &program.segments {
        let address = u64::from(segment.address.wrapping_add(moved));
        if address < ram {
            return Err(Error::Outside { address, ram });
        }
        end = end.max(address + u64::from(segment.size));
        pieces.push(Piece {
            address,
            bytes: &segment.bytes,
            size: segment.size.into(),
        });
    }
    Ok((program.entry.wrapping_add(moved), pieces, end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Segment;
    use crate::kernel::tests::zimage;

    const BASE: u64 = 0x4000_0000;

    fn ram(mib: u64) -> Region {
        Region::new(BASE, mib << 20)
    }

    /// A kernel of 5 MiB that unpacks to 20 MiB.
    fn kernel() -> Kernel {
        Kernel::parse(zimage(5 << 20, 20 << 20)).unwrap()
    }

    fn linked_at(address: u32) -> Kernel {
        let segments = vec![Segment {
            address,
            bytes: vec![1, 2, 3, 4],
            size: 0x1_0000,
        }];
        Kernel::Program(Program {
            segments,
            entry: address + 2,
        })
    }

    #[test]
    fn the_places_are_qemus() {
        let kernel = kernel();

        let layout = place(ram(1024), &kernel, Some(0x1234), DEVICE_TREE_ROOM).unwrap();

        assert_eq!((layout.entry, layout.kernel[0].address), (0x4001_0000, 0x4001_0000));
        assert_eq!(layout.initrd, Some(Region::new(0x4800_0000, 0x1234)));
        assert_eq!(layout.dtb, Region::new(0x4800_2000, DEVICE_TREE_ROOM));
        assert_eq!(layout.registers, [0, 0xffff_ffff, 0x4800_2000]);
    }

    #[test]
    fn in_little_ram_the_initrd_is_at_half_of_it() {
        let kernel = kernel();

        let layout = place(ram(64), &kernel, Some(1), DEVICE_TREE_ROOM).unwrap();

        assert_eq!(layout.initrd, Some(Region::new(0x4200_0000, 1)));
    }

    #[test]
    fn the_initrd_is_never_where_the_kernel_unpacks() {
        let kernel = kernel();

        let layout = place(ram(32), &kernel, Some(1 << 20), 0x1_0000).unwrap();

        let unpacked_end = BASE + 0x8000 + (20 << 20) + 0x100 + (5 << 20);
        assert!(layout.initrd.unwrap().base >= unpacked_end, "{layout:?}");
    }

    #[test]
    fn without_an_initrd_the_tree_takes_its_place() {
        let kernel = kernel();

        let layout = place(ram(1024), &kernel, None, DEVICE_TREE_ROOM).unwrap();

        assert_eq!((layout.initrd, layout.dtb.base), (None, 0x4800_0000));
    }

    #[test]
    fn too_little_ram_says_how_much_would_do() {
        let kernel = kernel();

        for (mib, initrd, part) in [(16, None, Part::Kernel), (64, Some(40 << 20), Part::Initrd)] {
            let error = place(ram(mib), &kernel, initrd, DEVICE_TREE_ROOM).unwrap_err();

            let Error::TooSmall {
                part: at_fault, enough, ..
            } = error
            else {
                panic!("{error}")
            };
            assert_eq!(at_fault, part);
            assert!(place(Region::new(BASE, enough), &kernel, initrd, DEVICE_TREE_ROOM).is_ok());
            assert!(place(Region::new(BASE, enough - MIB), &kernel, initrd, DEVICE_TREE_ROOM).is_err());
        }
    }

    #[test]
    fn an_initrd_for_which_no_ram_is_enough() {
        let kernel = kernel();

        let error = place(ram(1024), &kernel, Some(u64::MAX), DEVICE_TREE_ROOM).unwrap_err();

        assert!(matches!(error, Error::TooLarge { part: Part::Initrd, .. }), "{error}");
    }

    #[test]
    fn programs_load_where_they_are_linked() {
        let kernel = linked_at(0x4010_0000);

        let layout = place(ram(64), &kernel, None, 0x1000).unwrap();

        assert_eq!(layout.entry, 0x4010_0002);
        assert_eq!(
            layout.kernel,
            [Piece {
                address: 0x4010_0000,
                bytes: &[1, 2, 3, 4],
                size: 0x1_0000
            }]
        );
    }

    #[test]
    fn a_kernel_linked_for_its_own_address_space_moves_to_ram() {
        let kernel = linked_at(0xc000_8000);

        let layout = place(ram(64), &kernel, None, 0x1000).unwrap();

        assert_eq!((layout.entry, layout.kernel[0].address), (0x4000_8002, 0x4000_8000));
    }

    #[test]
    fn a_program_below_ram_is_refused() {
        let kernel = linked_at(0x8000);

        let error = place(ram(64), &kernel, None, 0x1000).unwrap_err();

        assert_eq!(
            error.to_string(),
            "the kernel loads at 0x8000, and the board's RAM starts at 0x40000000"
        );
    }
}

//! How programs start on 32-bit ARM: what goes where in memory, and the registers at entry.
//!
//! Linux has its boot protocol (Documentation/arch/arm/booting.rst). The places are those that QEMU's `virt` uses, so that
//! a guest finds what it finds there: a zImage 64 KiB into RAM, the initrd at half of RAM but at most 128 MiB into it,
//! the device tree on the page after it. Where the kernel is so large that it would reach there, they move behind it.
//! Raw code goes where a zImage goes. A program with addresses of its own goes there, into RAM or flash, and finds the
//! device tree at the start of RAM, as firmware does, unless it lies there itself.

use std::fmt;

use crate::fdt::Region;
use crate::kernel::{KERNEL_SPACE, Kernel, Program, SPLIT, USUAL_SPLIT, ZImage};

/// Offset of a zImage and of raw code from the start of RAM, in bytes.
const LOAD_OFFSET: u64 = 0x1_0000;
/// Farthest offset of the initrd from the start of RAM that the kernel surely maps early, in bytes.
const INITRD_OFFSET: u64 = 128 << 20;
/// What a zImage's decompressor takes behind itself: stack and heap, in bytes (head.S; rounded up).
const DECOMPRESSOR: u64 = 0x2_0000;
/// The end of the RAM that Linux maps for good, as an address in its own space: low memory (mm/mmu.c; 240 MiB of
/// `vmalloc` space behind it).
const LOW_MEMORY_END: u32 = 0xef80_0000;
/// What Linux takes besides its image and its file system before it has started, in bytes: 16 MiB of them for
/// contiguous buffers (`CMA_SIZE_MBYTES` of distributions' kernels).
const LINUX_NEEDS: u64 = 32 << 20;
const PAGE: u64 = 0x1000;
/// Largest RAM that is proposed to a user, in bytes.
const MOST: u64 = 3 << 30;
const MIB: u64 = 1 << 20;
/// Whole numbers of this are proposed for Linux, in bytes.
const STEP: u64 = 32 << 20;

/// The board's memory.
#[derive(Clone, Copy, Debug)]
pub struct Memory<'a> {
    /// RAM.
    pub ram: Region,
    /// The flash banks.
    pub flash: &'a [Region],
}

/// An initial RAM file system's sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Initrd {
    /// The file, in bytes.
    pub size: u64,
    /// What it unpacks to, in bytes.
    pub unpacked: u64,
}

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
pub struct Placement<'a> {
    /// The kernel's parts in RAM.
    pub kernel: Vec<Piece<'a>>,
    /// Its parts in flash.
    pub flash: Vec<Piece<'a>>,
    /// Place of the initrd, if there is one.
    pub initrd: Option<Region>,
    /// Place of the device tree, and the room that it has.
    pub dtb: Region,
    /// Physical address of the first instruction; bit 0 set means Thumb.
    pub entry: u32,
    /// Registers r0 to r2 at entry: zero, no machine number (a program with addresses of its own: zero), the device
    /// tree's address.
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
        /// Whole MiB of RAM, in bytes, in which everything fits and a Linux kernel starts.
        enough: u64,
    },
    /// No RAM is large enough.
    #[error("{part} ends {} MiB into RAM: more than a 32-bit program reaches", .end.div_ceil(MIB))]
    TooLarge {
        /// What does not fit.
        part: Part,
        /// Where it would end, in bytes from the start of RAM.
        end: u64,
    },
    /// Linux does not reach it while it starts.
    #[error(
        "{part} ends {} MiB into RAM, and the kernel reaches {} MiB of it (its low memory); take a smaller initrd",
        .end.div_ceil(MIB), .reach / MIB
    )]
    OutOfReach {
        /// What is too far up.
        part: Part,
        /// Where it would end, in bytes from the start of RAM.
        end: u64,
        /// What the kernel reaches, in bytes from the start of RAM.
        reach: u64,
    },
    /// The program is linked for an address where there is nothing to load it into.
    #[error("the kernel loads at {address:#x}; RAM is from {:#x} to {:#x}{}", .ram.base, .ram.end() - 1, FlashNote(*.flash))]
    Outside {
        /// The kernel's physical address.
        address: u64,
        /// RAM.
        ram: Region,
        /// All of the flash, if there is any.
        flash: Option<Region>,
    },
}

/// Says where flash is, where there is some.
struct FlashNote(Option<Region>);

impl fmt::Display for FlashNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(flash) => write!(f, ", flash from {:#x} to {:#x}", flash.base, flash.end() - 1),
            None => Ok(()),
        }
    }
}

impl Error {
    /// The part at fault.
    pub fn part(&self) -> Part {
        match *self {
            Error::TooSmall { part, .. } | Error::TooLarge { part, .. } | Error::OutOfReach { part, .. } => part,
            Error::Outside { .. } => Part::Kernel,
        }
    }
}

/// Places a kernel, an initrd and a device tree of at most `dtb` bytes in memory.
///
/// A Linux kernel that is linked for its own address space (0x80000000 and above) moves to the start of RAM.
///
/// # Errors
///
/// When something does not fit, with the memory that would do.
pub fn place<'a>(
    memory: Memory<'_>,
    kernel: &'a Kernel,
    initrd: Option<Initrd>,
    dtb: u64,
) -> Result<Placement<'a>, Error> {
    let ram = memory.ram;
    let image = match kernel {
        Kernel::ZImage(image) => zimage(ram.base, image),
        Kernel::Raw(bytes) => raw(ram.base, bytes),
        Kernel::Program(program) => self::program(memory, program)?,
    };
    let plan = image.plan(ram, initrd.map(|i| i.size), dtb);
    if let Some((part, end)) = plan.over(ram.base, ram.size) {
        return Err(image.too_small(ram, part, end, initrd, dtb));
    }
    if let Some(error) = image.out_of_reach(&plan, ram.base) {
        return Err(error);
    }
    Ok(Placement {
        initrd: initrd.map(|i| Region::new(plan.initrd, i.size)),
        dtb: Region::new(plan.dtb, dtb),
        entry: image.entry,
        registers: [0, image.machine, plan.dtb as u32],
        kernel: image.ram,
        flash: image.flash,
    })
}

/// A kernel at its place.
struct Image<'a> {
    ram: Vec<Piece<'a>>,
    flash: Vec<Piece<'a>>,
    /// First byte in RAM that it takes; none if it takes none.
    start: Option<u64>,
    /// End of what it takes in RAM while it starts.
    end: u64,
    entry: u32,
    /// The machine number in r1.
    machine: u32,
    /// Where Linux's address space starts; none if it is not Linux.
    page_offset: Option<u32>,
    /// The device tree goes to the start of RAM if there is room.
    has_tree_first: bool,
}

/// Where an initrd and a device tree go.
struct Plan {
    initrd: u64,
    dtb: u64,
    /// The parts' ends.
    ends: [(Part, u64); 3],
}

impl Plan {
    /// The first part that ends beyond `size` bytes from `base` on, and where.
    fn over(&self, base: u64, size: u64) -> Option<(Part, u64)> {
        let end = base.saturating_add(size).min(1 << 32);
        self.ends.into_iter().find(|&(_, it)| it > end)
    }
}

impl Image<'_> {
    fn plan(&self, ram: Region, initrd: Option<u64>, dtb: u64) -> Plan {
        let start = ram.base + INITRD_OFFSET.min(ram.size / 2);
        let start = start.max(self.end).next_multiple_of(PAGE);
        let initrd_end = start.saturating_add(initrd.unwrap_or(0));
        let has_room = self.start.is_none_or(|first| first - ram.base >= dtb);
        let dtb_start = match self.has_tree_first && has_room {
            true => ram.base,
            false => initrd_end.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX),
        };
        Plan {
            initrd: start,
            dtb: dtb_start,
            ends: [
                (Part::Kernel, self.end),
                (Part::Initrd, initrd_end),
                (Part::DeviceTree, dtb_start.saturating_add(dtb)),
            ],
        }
    }

    /// The complaint about what Linux does not reach, however much RAM there is.
    fn out_of_reach(&self, plan: &Plan, base: u64) -> Option<Error> {
        let reach = u64::from(LOW_MEMORY_END - self.page_offset?);
        let (part, end) = plan.over(base, reach)?;
        let end = end - base;
        Some(Error::OutOfReach { part, end, reach })
    }

    /// The complaint about RAM in which `part` does not fit, with the RAM that would do, if any would.
    fn too_small(&self, ram: Region, part: Part, end: u64, initrd: Option<Initrd>, dtb: u64) -> Error {
        let end = end - ram.base;
        let plan = |size| self.plan(Region::new(ram.base, size), initrd.map(|i| i.size), dtb);
        let fits = |&size: &u64| plan(size).over(ram.base, size).is_none();
        let least = (1..=MOST / MIB)
            .map(|n| n * MIB)
            .filter(|&size| size > ram.size)
            .find(fits);
        if let Some(error) = least.and_then(|size| self.out_of_reach(&plan(size), ram.base)) {
            return error;
        }
        let enough = least.map(|least| match self.page_offset {
            Some(_) => {
                // Half of RAM at most is for files in it.
                let files = initrd.map_or(0, |i| i.unpacked.saturating_mul(2));
                least
                    .saturating_add(files)
                    .saturating_add(LINUX_NEEDS)
                    .min(MOST)
                    .next_multiple_of(STEP)
            }
            None => least,
        });
        match enough {
            Some(enough) => Error::TooSmall {
                part,
                end,
                ram: ram.size,
                enough,
            },
            None => Error::TooLarge { part, end },
        }
    }
}

/// No machine number, as Linux knows them.
const NO_MACHINE: u32 = u32::MAX;

/// The decompressor moves itself behind the unpacked kernel when it would be overwritten.
fn zimage(ram: u64, image: &ZImage) -> Image<'_> {
    let raw = raw(ram, &image.bytes);
    let unpacked = image
        .unpacked
        .map_or(0, |kernel| ram + u64::from(kernel.offset) + kernel.size);
    let address = ram + LOAD_OFFSET;
    Image {
        end: address
            .max(unpacked)
            .saturating_add(image.bytes.len() as u64 + DECOMPRESSOR),
        page_offset: Some(USUAL_SPLIT),
        ..raw
    }
}

fn raw(ram: u64, bytes: &[u8]) -> Image<'_> {
    let (address, size) = (ram + LOAD_OFFSET, bytes.len() as u64);
    Image {
        ram: vec![Piece { address, bytes, size }],
        flash: Vec::new(),
        start: Some(address),
        end: address.saturating_add(size),
        entry: address as u32,
        machine: NO_MACHINE,
        page_offset: None,
        has_tree_first: false,
    }
}

fn program<'a>(memory: Memory<'_>, program: &'a Program) -> Result<Image<'a>, Error> {
    let Memory { ram, flash } = memory;
    let lowest = program.segments.iter().map(|s| s.address).min().unwrap_or(0);
    let moved = match program.linux {
        Some(_) if lowest >= KERNEL_SPACE => (ram.base as u32).wrapping_sub(lowest & SPLIT),
        _ => 0,
    };
    let mut image = Image {
        ram: Vec::new(),
        flash: Vec::new(),
        start: None,
        end: ram.base,
        entry: program.entry.wrapping_add(moved),
        machine: program.linux.map_or(0, |_| NO_MACHINE),
        page_offset: program.linux.map(|linux| linux.page_offset),
        has_tree_first: program.linux.is_none(),
    };
    for segment in &program.segments {
        let piece = Piece {
            address: u64::from(segment.address.wrapping_add(moved)),
            bytes: &segment.bytes,
            size: segment.size.into(),
        };
        let end = piece.address + piece.size;
        if flash.iter().any(|bank| bank.base <= piece.address && end <= bank.end()) {
            // Zeroed data has its place in RAM, whatever the linker says of where it is loaded.
            image.flash.extend(Some(piece).filter(|piece| !piece.bytes.is_empty()));
        } else if ram.base <= piece.address && piece.address < ram.base.saturating_add(MOST) {
            image.start = Some(image.start.map_or(piece.address, |first| first.min(piece.address)));
            image.end = image.end.max(end);
            image.ram.push(piece);
        } else {
            return Err(outside(memory, piece.address));
        }
    }
    Ok(image)
}

fn outside(memory: Memory<'_>, address: u64) -> Error {
    let flash = memory.flash;
    let base = flash.iter().map(|bank| bank.base).min();
    let end = flash.iter().map(|bank| bank.end()).max();
    Error::Outside {
        address,
        ram: memory.ram,
        flash: base.zip(end).map(|(base, end)| Region::new(base, end - base)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::tests::zimage;
    use crate::kernel::{LinuxKernel, Segment};

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
            linux: None,
        })
    }

    fn linux_linked_at(address: u32) -> Kernel {
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
            let more = 2 * initrd.map_or(0, |i| i.unpacked) + LINUX_NEEDS;
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
        assert_eq!((layout.dtb.base, layout.registers), (BASE, [0, 0, BASE as u32]));
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
        assert_eq!(layout.registers, [0, 0, layout.dtb.base as u32]);
    }

    #[test]
    fn programs_may_be_in_flash() {
        let segment = |address, bytes: &[u8]| Segment {
            address,
            bytes: bytes.to_vec(),
            size: 0x100,
        };
        let kernel = Kernel::Program(Program {
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
        let kernel = Kernel::Raw(vec![1, 2, 3, 4]);

        let layout = place(ram(64), &kernel, None, TREE).unwrap();

        assert_eq!((layout.entry, layout.kernel[0].address), (0x4001_0000, 0x4001_0000));
        assert_eq!(layout.registers, [0, u32::MAX, 0x4200_0000]);
    }

    #[test]
    fn a_linux_kernel_linked_for_its_own_address_space_moves_to_ram() {
        let kernel = linux_linked_at(0xc000_8000);

        let layout = place(ram(64), &kernel, None, TREE).unwrap();

        assert_eq!((layout.entry, layout.kernel[0].address), (0x4000_8002, 0x4000_8000));
        assert_eq!(layout.registers, [0, u32::MAX, layout.dtb.base as u32]);
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
}

//! How programs start on ARM: what goes where in memory, and the registers at entry.
//!
//! Linux has its boot protocols (Documentation/arch/arm/booting.rst and arch/arm64/booting.rst). The places are those that
//! QEMU's `virt` uses, so that a guest finds what it finds there: a zImage 64 KiB into RAM, AArch64's Image 2 MiB into it if
//! it may lie anywhere, the initrd at half of RAM but at most 128 MiB into it, the device tree on the page after it (on
//! AArch64 on the next 2 MiB, which Linux maps at once). Where the kernel is so large that it would reach there, they move
//! behind it. Raw code goes where a zImage goes, on AArch64 512 KiB into RAM, as the oldest kernels did. A program with
//! addresses of its own goes there, into RAM or flash, and finds the device tree at the start of RAM, as firmware does,
//! unless it lies there itself.

use std::fmt;

use crate::fdt::Region;
use crate::identify::Isa;
use crate::kernel::{Image, KERNEL_SPACE, Kernel, Program, SPLIT, USUAL_SPLIT, ZImage};

/// Offset of a zImage and of raw code from the start of RAM, in bytes.
const LOAD_OFFSET: u64 = 0x1_0000;
/// The same for raw code on AArch64.
const LOAD_OFFSET_64: u64 = 0x8_0000;
/// What an Image's place counts from is a multiple of this, in bytes; Linux on AArch64 maps as much of a device tree.
const BLOCK: u64 = 2 << 20;
/// An Image that starts less far from a multiple of [`BLOCK`] leaves the first one of RAM free, in bytes.
const FIRST_OFFSET: u64 = 0x1000;
/// Kernel and initrd are together within this many bytes from a multiple of 1 GiB on (arm64/booting.rst, 3).
const WINDOW: u64 = 32 << 30;
const WINDOW_START: u64 = 1 << 30;
/// Farthest offset of the initrd from the start of RAM that the kernel surely maps early, in bytes.
const INITRD_OFFSET: u64 = 128 << 20;
/// What a zImage's decompressor takes behind itself: stack and heap, in bytes (head.S; rounded up).
const DECOMPRESSOR: u64 = 0x2_0000;
/// The end of the RAM that Linux maps for good, as an address in its own space: low memory (mm/mmu.c; 240 MiB of
/// `vmalloc` space behind it).
const LOW_MEMORY_END: u64 = 0xef80_0000;
const PAGE: u64 = 0x1000;
const MIB: u64 = 1 << 20;
/// Whole numbers of this are proposed for Linux, in bytes.
const STEP: u64 = 32 << 20;

/// What differs between machines.
struct Limits {
    /// The end of the addresses that a program reaches before it has set up its own.
    end: u64,
    /// What the device tree's address is a multiple of, in bytes.
    tree: u64,
    /// What Linux takes besides its image and its file system before it has started, in bytes: most of them for contiguous
    /// buffers (`CMA_SIZE_MBYTES` of distributions' kernels).
    linux_needs: u64,
    /// Largest RAM that is proposed to a user, in bytes.
    most: u64,
}

const fn limits(isa: Isa) -> Limits {
    match isa {
        Isa::Arm => Limits {
            end: 1 << 32,
            tree: PAGE,
            linux_needs: 32 << 20,
            most: 3 << 30,
        },
        Isa::Aarch64 => Limits {
            end: u64::MAX,
            tree: BLOCK,
            linux_needs: 64 << 20,
            most: WINDOW,
        },
    }
}

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

/// What goes where, and how the CPU starts: in Supervisor mode or at EL1, interrupts masked, MMU and caches off.
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
    /// Physical address of the first instruction; on 32-bit ARM, bit 0 set means Thumb.
    pub entry: u64,
    /// On 32-bit ARM, registers r0 to r2 at entry: zero, no machine number (a program with addresses of its own: zero), the
    /// device tree's address. On AArch64, x0 to x2: the device tree's address, zeros.
    pub registers: [u64; 3],
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
    #[error("{part} ends {} MiB into RAM: more than {} reaches", .end.div_ceil(MIB), who(*.isa))]
    TooLarge {
        /// What it is for.
        isa: Isa,
        /// What does not fit.
        part: Part,
        /// Where it would end, in bytes from the start of RAM.
        end: u64,
    },
    /// Linux does not reach it while it starts.
    #[error(
        "{part} ends {} MiB into RAM, and the kernel reaches {} MiB of it{}; take a smaller initrd",
        .end.div_ceil(MIB), .reach / MIB, memory_note(*.isa)
    )]
    OutOfReach {
        /// What it is for.
        isa: Isa,
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

fn who(isa: Isa) -> &'static str {
    match isa {
        Isa::Arm => "a 32-bit program",
        Isa::Aarch64 => "a starting kernel",
    }
}

/// What the part of RAM that a kernel reaches is called.
fn memory_note(isa: Isa) -> &'static str {
    match isa {
        Isa::Arm => " (its low memory)",
        Isa::Aarch64 => "",
    }
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
/// A Linux kernel for 32-bit ARM that is linked for its own address space (0x80000000 and above) moves to the start of RAM.
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
    let loaded = match kernel {
        Kernel::ZImage(image) => zimage(ram.base, image),
        Kernel::Image(image) => self::image(ram.base, image),
        Kernel::Raw(isa, bytes) => raw(*isa, ram.base, bytes),
        Kernel::Program(program) => self::program(memory, program)?,
    };
    let plan = loaded.plan(ram, initrd.map(|i| i.size), dtb);
    if let Some((part, end)) = plan.over(ram.base, ram.size) {
        return Err(loaded.too_small(ram, part, end, initrd, dtb));
    }
    if let Some(error) = loaded.out_of_reach(&plan, ram.base) {
        return Err(error);
    }
    Ok(Placement {
        initrd: initrd.map(|i| Region::new(plan.initrd, i.size)),
        dtb: Region::new(plan.dtb, dtb),
        entry: loaded.entry,
        registers: match loaded.isa {
            Isa::Arm => [0, loaded.machine, plan.dtb],
            Isa::Aarch64 => [plan.dtb, 0, 0],
        },
        kernel: loaded.ram,
        flash: loaded.flash,
    })
}

/// A kernel at its place.
struct Loaded<'a> {
    isa: Isa,
    ram: Vec<Piece<'a>>,
    flash: Vec<Piece<'a>>,
    /// First byte in RAM that it takes; none if it takes none.
    start: Option<u64>,
    /// End of what it takes in RAM while it starts.
    end: u64,
    entry: u64,
    /// The machine number in r1.
    machine: u64,
    /// What Linux reaches while it starts, in bytes from the start of RAM; none if it is not Linux.
    reach: Option<u64>,
    /// The device tree goes to the start of RAM if there is room.
    has_tree_first: bool,
}

/// Where an initrd and a device tree go.
struct Plan {
    isa: Isa,
    initrd: u64,
    dtb: u64,
    /// The parts' ends.
    ends: [(Part, u64); 3],
}

impl Plan {
    /// The first part that ends beyond `size` bytes from `base` on, and where.
    fn over(&self, base: u64, size: u64) -> Option<(Part, u64)> {
        let end = base.saturating_add(size).min(limits(self.isa).end);
        self.ends.into_iter().find(|&(_, it)| it > end)
    }
}

impl Loaded<'_> {
    fn plan(&self, ram: Region, initrd: Option<u64>, dtb: u64) -> Plan {
        let start = ram.base + INITRD_OFFSET.min(ram.size / 2);
        let start = start.max(self.end).next_multiple_of(PAGE);
        let initrd_end = start.saturating_add(initrd.unwrap_or(0));
        let has_room = self.start.is_none_or(|first| first - ram.base >= dtb);
        let dtb_start = match self.has_tree_first && has_room {
            true => ram.base,
            false => initrd_end
                .checked_next_multiple_of(limits(self.isa).tree)
                .unwrap_or(u64::MAX),
        };
        Plan {
            isa: self.isa,
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
        let (reach, isa) = (self.reach?, self.isa);
        let (part, end) = plan.over(base, reach)?;
        let end = end - base;
        Some(Error::OutOfReach { isa, part, end, reach })
    }

    /// The complaint about RAM in which `part` does not fit, with the RAM that would do, if any would.
    fn too_small(&self, ram: Region, part: Part, end: u64, initrd: Option<Initrd>, dtb: u64) -> Error {
        let end = end - ram.base;
        let plan = |size| self.plan(Region::new(ram.base, size), initrd.map(|i| i.size), dtb);
        let fits = |&size: &u64| plan(size).over(ram.base, size).is_none();
        let Limits { most, linux_needs, .. } = limits(self.isa);
        let least = (1..=most / MIB)
            .map(|n| n * MIB)
            .filter(|&size| size > ram.size)
            .find(fits);
        if let Some(error) = least.and_then(|size| self.out_of_reach(&plan(size), ram.base)) {
            return error;
        }
        let enough = least.map(|least| match self.reach {
            Some(_) => {
                // Half of RAM at most is for files in it.
                let files = initrd.map_or(0, |i| i.unpacked.saturating_mul(2));
                least
                    .saturating_add(files)
                    .saturating_add(linux_needs)
                    .min(most)
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
            None => Error::TooLarge {
                isa: self.isa,
                part,
                end,
            },
        }
    }
}

/// No machine number, as Linux knows them.
const NO_MACHINE: u64 = 0xffff_ffff;

/// The decompressor moves itself behind the unpacked kernel when it would be overwritten.
fn zimage(ram: u64, image: &ZImage) -> Loaded<'_> {
    let raw = raw(Isa::Arm, ram, &image.bytes);
    let unpacked = image
        .unpacked
        .map_or(0, |kernel| ram + u64::from(kernel.offset) + kernel.size);
    let address = ram + LOAD_OFFSET;
    Loaded {
        end: address
            .max(unpacked)
            .saturating_add(image.bytes.len() as u64 + DECOMPRESSOR),
        reach: Some(LOW_MEMORY_END - USUAL_SPLIT),
        ..raw
    }
}

/// The Image is entered where it lies.
fn image(ram: u64, image: &Image) -> Loaded<'_> {
    let first = match image.anywhere && image.text_offset < FIRST_OFFSET {
        true => BLOCK,
        false => 0,
    };
    let address = ram.next_multiple_of(BLOCK) + first + image.text_offset;
    let window = address - address % WINDOW_START + WINDOW;
    Loaded {
        ram: vec![Piece {
            address,
            bytes: &image.bytes,
            size: image.size,
        }],
        start: Some(address),
        end: address.saturating_add(image.size),
        entry: address,
        reach: Some(window - ram),
        ..raw(Isa::Aarch64, ram, &[])
    }
}

fn raw(isa: Isa, ram: u64, bytes: &[u8]) -> Loaded<'_> {
    let offset = match isa {
        Isa::Arm => LOAD_OFFSET,
        Isa::Aarch64 => LOAD_OFFSET_64,
    };
    let (address, size) = (ram + offset, bytes.len() as u64);
    Loaded {
        isa,
        ram: vec![Piece { address, bytes, size }],
        flash: Vec::new(),
        start: Some(address),
        end: address.saturating_add(size),
        entry: address,
        machine: NO_MACHINE,
        reach: None,
        has_tree_first: false,
    }
}

fn program<'a>(memory: Memory<'_>, program: &'a Program) -> Result<Loaded<'a>, Error> {
    let Memory { ram, flash } = memory;
    let lowest = program.segments.iter().map(|s| s.address).min().unwrap_or(0);
    let moved = match program.linux {
        Some(_) if lowest >= KERNEL_SPACE => ram.base.wrapping_sub(lowest & SPLIT),
        _ => 0,
    };
    let moved = |address: u64| match program.linux {
        // Within 32 bits, as the kernel itself counts.
        Some(_) => address.wrapping_add(moved) & 0xffff_ffff,
        None => address,
    };
    let mut image = Loaded {
        isa: program.isa,
        ram: Vec::new(),
        flash: Vec::new(),
        start: None,
        end: ram.base,
        entry: moved(program.entry),
        machine: program.linux.map_or(0, |_| NO_MACHINE),
        reach: program.linux.map(|linux| LOW_MEMORY_END - linux.page_offset),
        has_tree_first: program.linux.is_none(),
    };
    for segment in &program.segments {
        let piece = Piece {
            address: moved(segment.address),
            bytes: &segment.bytes,
            size: segment.size,
        };
        let end = piece.address.saturating_add(piece.size);
        if flash.iter().any(|bank| bank.base <= piece.address && end <= bank.end()) {
            // Zeroed data has its place in RAM, whatever the linker says of where it is loaded.
            image.flash.extend(Some(piece).filter(|piece| !piece.bytes.is_empty()));
        } else if ram.base <= piece.address && piece.address < ram.base.saturating_add(limits(program.isa).most) {
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
        Kernel::parse(Isa::Arm, zimage(5 << 20, 20 << 20)).unwrap()
    }

    fn linked_at(address: u64) -> Kernel {
        let segments = vec![Segment {
            address,
            bytes: vec![1, 2, 3, 4],
            size: 0x1_0000,
        }];
        Kernel::Program(Program {
            isa: Isa::Arm,
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
            let more = 2 * initrd.map_or(0, |i| i.unpacked) + limits(Isa::Arm).linux_needs;
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
            isa: Isa::Arm,
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
        let kernel = Kernel::Raw(Isa::Arm, vec![1, 2, 3, 4]);

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
                isa: Isa::Aarch64,
                segments,
                entry: address,
                linux: None,
            })
        };
        let raw = Kernel::Raw(Isa::Aarch64, vec![1, 2, 3, 4]);
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
}

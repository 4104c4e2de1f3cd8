//! How programs start on ARM: what goes where in memory, and the registers at entry.
//!
//! Linux has its boot protocols (Documentation/arch/arm/booting.rst and arch/arm64/booting.rst). The places are those that
//! QEMU's `virt` uses, so that a guest finds what it finds there: a zImage 64 KiB into RAM, AArch64's Image 2 MiB into it if
//! it may lie anywhere, the initrd at half of RAM but at most 128 MiB into it, the device tree on the page after it (on
//! AArch64 on the next 2 MiB, which Linux maps at once). Where the kernel is so large that it would reach there, they move
//! behind it. Raw code goes where a zImage goes, on AArch64 512 KiB into RAM, as the oldest kernels did. A program with
//! addresses of its own goes there, into RAM or flash, and finds the device tree at the start of RAM, as firmware does,
//! unless it lies there itself.

mod load;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::fdt::Region;
use crate::identify::Arm;
use crate::kernel::Kernel;

/// What an Image's place counts from is a multiple of this, in bytes; Linux on AArch64 maps as much of a device tree.
const BLOCK: u64 = 2 << 20;
/// Kernel and initrd are together within this many bytes from a multiple of 1 GiB on (arm64/booting.rst, 3).
const WINDOW: u64 = 32 << 30;
/// Farthest offset of the initrd from the start of RAM that the kernel surely maps early, in bytes.
const INITRD_OFFSET: u64 = 128 << 20;
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

const fn limits(isa: Arm) -> Limits {
    match isa {
        Arm::A32 => Limits {
            end: 1 << 32,
            tree: PAGE,
            linux_needs: 32 << 20,
            most: 3 << 30,
        },
        Arm::A64 => Limits {
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
        isa: Arm,
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
        isa: Arm,
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

fn who(isa: Arm) -> &'static str {
    match isa {
        Arm::A32 => "a 32-bit program",
        Arm::A64 => "a starting kernel",
    }
}

/// What the part of RAM that a kernel reaches is called.
fn memory_note(isa: Arm) -> &'static str {
    match isa {
        Arm::A32 => " (its low memory)",
        Arm::A64 => "",
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
        Kernel::ZImage(image) => load::zimage(ram.base, image),
        Kernel::Image(image) => load::image(ram.base, image),
        Kernel::Raw(isa, bytes) => load::raw(*isa, ram.base, bytes),
        Kernel::Program(program) => load::program(memory, program)?,
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
            Arm::A32 => [0, loaded.machine, plan.dtb],
            Arm::A64 => [plan.dtb, 0, 0],
        },
        kernel: loaded.ram,
        flash: loaded.flash,
    })
}

/// A kernel at its place.
struct Loaded<'a> {
    isa: Arm,
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
    isa: Arm,
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

//! U-Boot's legacy image.

use flate2::Crc;

use super::{
    Error, Image, KERNEL_SPACE, Kernel, LinuxKernel, Program, SPLIT, Segment, USUAL_SPLIT, ZImage, damaged, unpack,
};
use crate::identify::{Arm, FileKind, Isa};

/// Numbers of the architectures (`IH_ARCH_ARM`, `IH_ARCH_ARM64`).
const ARCHITECTURES: [(u8, Isa); 2] = [(2, Isa::Arm), (22, Isa::Aarch64)];

/// A legacy uImage: a header of 64 bytes in big-endian order, then the kernel, plain or compressed by gzip.
pub(super) fn parse(isa: Arm, bytes: &[u8]) -> Result<Kernel, Error> {
    const NAME: &str = "uImage";
    const HEADER: usize = 64;
    const LINUX: u8 = 5;
    const KERNEL: u8 = 2;
    let have = bytes.len() as u64;
    let header = bytes.get(..HEADER).ok_or(Error::Truncated {
        format: NAME,
        size: HEADER as u64,
        have,
    })?;
    let chunk = |i: usize| header.get(4 * i..).and_then(|rest| rest.first_chunk().copied());
    let field = |i: usize| chunk(i).map_or(0, u32::from_be_bytes);
    let (header_crc, size, load, entry, data_crc) = (field(1), field(3), field(4), field(5), field(6));
    let [system, arch, kind, compression] = field(7).to_be_bytes();

    let mut unsigned = header.to_vec();
    unsigned.iter_mut().skip(4).take(4).for_each(|byte| *byte = 0);
    if crc32(&unsigned) != header_crc {
        return Err(damaged(NAME, "its header's checksum is wrong"));
    }
    let end = HEADER as u64 + u64::from(size);
    let data = bytes.get(HEADER..end as usize).ok_or(Error::Truncated {
        format: NAME,
        size: end,
        have,
    })?;
    if crc32(data) != data_crc {
        return Err(damaged(NAME, "its checksum is wrong"));
    }
    let mut fits = ARCHITECTURES.iter().find(|row| row.0 == arch).map(|row| row.1);
    let is_ours = fits == Some(isa.into());
    fits = fits.filter(|_| !is_ours && kind == KERNEL);
    let unsuitable = |reason: String| Error::Unsuitable {
        format: "a uImage",
        reason,
        fits,
    };
    if !is_ours {
        return Err(unsuitable(format!("it is for another architecture (number {arch})")));
    }
    if kind != KERNEL {
        return Err(unsuitable(format!(
            "it is an image of type {kind}, not of type {KERNEL} (kernel)"
        )));
    }
    let data = match compression {
        0 => data.to_vec(),
        1 => unpack::gzip(data).map_err(|e| damaged(NAME, e))?,
        other => {
            return Err(unsuitable(format!(
                "compression {other}; none (0) and gzip (1) are understood"
            )));
        }
    };
    match (isa, FileKind::of(&data)) {
        (Arm::A32, FileKind::ArmZImage) => return ZImage::parse(data).map(Kernel::ZImage),
        (Arm::A64, FileKind::Aarch64Image) => return Image::parse(data).map(Kernel::Image),
        _ => {}
    }
    let [load, entry] = [load, entry].map(u64::from);
    let size = data.len() as u64;
    if load + size > 1 << 32 || !(load..load + size).contains(&(entry & !1)) {
        return Err(damaged(
            NAME,
            format!("entry {entry:#x} is outside of what is loaded at {load:#x}"),
        ));
    }
    let is_linux = system == LINUX && isa == Arm::A32;
    Ok(Kernel::Program(Program {
        isa,
        segments: vec![Segment {
            address: load,
            bytes: data,
            size,
        }],
        entry,
        linux: is_linux.then_some(LinuxKernel {
            page_offset: match load {
                KERNEL_SPACE.. => load & SPLIT,
                _ => USUAL_SPLIT,
            },
        }),
    }))
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

//! The register map: distributor, ITS, and the first CPU's redistributor, which the others' follow.

use crate::bus::Frames;

/// Offset of the ITS's registers, with the frame that messages are written to behind them.
pub const ITS: u64 = 0x1_0000;
/// Bytes of them.
pub const ITS_SIZE: u64 = 0x2_0000;
/// Offset of the redistributors, one behind the other.
pub const REDISTRIBUTORS: u64 = 0x4_0000;
/// Bytes of a redistributor's registers: two frames.
pub const REDISTRIBUTOR_SIZE: u64 = 0x2_0000;

pub(super) const FRAMES: Frames = Frames {
    first: REDISTRIBUTORS,
    size: REDISTRIBUTOR_SIZE,
};

crate::regs! {
    /// Distributor control (12.9.4)
    0x00000 GICD_CTLR           Rw
    /// Interrupt controller type (12.9.38)
    0x00004 GICD_TYPER          Ro
    /// Distributor implementer (12.9.18)
    0x00008 GICD_IIDR           Ro
    /// Interrupt controller type, of later versions (12.9.39)
    0x0000c GICD_TYPER2         Ro
    /// Error reporting status: optional, reads as zero (12.9.37)
    0x00010 GICD_STATUSR        Rw
    /// Interrupt groups
    0x00080 GICD_IGROUPR[32]    Rw
    /// Set-enable
    0x00100 GICD_ISENABLER[32]  Rw
    /// Clear-enable
    0x00180 GICD_ICENABLER[32]  Rw
    /// Set-pending
    0x00200 GICD_ISPENDR[32]    Rw
    /// Clear-pending
    0x00280 GICD_ICPENDR[32]    Rw
    /// Set-active
    0x00300 GICD_ISACTIVER[32]  Rw
    /// Clear-active
    0x00380 GICD_ICACTIVER[32]  Rw
    /// Priorities, a byte each
    0x00400 GICD_IPRIORITYR[255] Rw
    /// Targets: with affinity routing, reads as zero
    0x00800 GICD_ITARGETSR[255] Rw
    /// Configuration, two bits each
    0x00c00 GICD_ICFGR[64]      Rw
    /// Group modifiers: with one Security state, reads as zero
    0x00d00 GICD_IGRPMODR[32]   Rw
    /// Non-secure access control: with one Security state, reads as zero
    0x00e00 GICD_NSACR[64]      Rw
    /// Software generated interrupt: with affinity routing, ignored
    0x00f00 GICD_SGIR           Wo
    /// Routes of SPIs (12.9.22)
    0x06100 GICD_IROUTER[988]: u64 Rw
    /// Peripheral and component identification (12.1.3)
    0x0ffd0 GICD_ID[12]         Ro

    /// ITS control (12.19.5)
    0x10000 GITS_CTLR           Rw
    /// ITS implementer
    0x10004 GITS_IIDR           Ro
    /// ITS type (12.19.10)
    0x10008 GITS_TYPER: u64     Ro
    /// Command queue (12.19.2)
    0x10080 GITS_CBASER: u64    Rw
    /// Where software has written up to
    0x10088 GITS_CWRITER: u64   Rw
    /// Where the ITS has read up to
    0x10090 GITS_CREADR: u64    Ro
    /// Tables (12.19.1)
    0x10100 GITS_BASER[8]: u64  Rw
    /// Peripheral and component identification
    0x1ffd0 GITS_ID[12]         Ro
    /// Message (12.19.9)
    0x20040 GITS_TRANSLATER     Wo

    /// Redistributor control (12.11.2)
    0x40000 GICR_CTLR           Rw
    /// Redistributor implementer
    0x40004 GICR_IIDR           Ro
    /// Redistributor type (12.11.35)
    0x40008 GICR_TYPER: u64     Ro
    /// Error reporting status: optional, reads as zero
    0x40010 GICR_STATUSR        Rw
    /// Wake (12.11.42)
    0x40014 GICR_WAKER          Rw
    /// Configuration table of LPIs (12.11.31)
    0x40070 GICR_PROPBASER: u64 Rw
    /// Pending table of LPIs (12.11.30)
    0x40078 GICR_PENDBASER: u64 Rw
    /// Peripheral and component identification
    0x4ffd0 GICR_ID[12]         Ro
    /// Interrupt groups
    0x50080 GICR_IGROUPR0       Rw
    /// Set-enable
    0x50100 GICR_ISENABLER0     Rw
    /// Clear-enable
    0x50180 GICR_ICENABLER0     Rw
    /// Set-pending
    0x50200 GICR_ISPENDR0       Rw
    /// Clear-pending
    0x50280 GICR_ICPENDR0       Rw
    /// Set-active
    0x50300 GICR_ISACTIVER0     Rw
    /// Clear-active
    0x50380 GICR_ICACTIVER0     Rw
    /// Priorities, a byte each
    0x50400 GICR_IPRIORITYR[8]  Rw
    /// Configuration of SGIs, which is fixed, and of PPIs
    0x50c00 GICR_ICFGR[2]       Rw
    /// Group modifiers: with one Security state, reads as zero
    0x50d00 GICR_IGRPMODR0      Rw
    /// Non-secure access control: with one Security state, reads as zero
    0x50e00 GICR_NSACR          Rw
}

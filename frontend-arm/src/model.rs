//! CPU models: identification and features as data (Cortex-A15 MPCore TRM DDI 0438, r4p0; Cortex-A7 MPCore TRM DDI
//! 0464, r0p5), without the Security and Virtualization Extensions: their fields of ID_PFR1 and ID_DFR0 are zero.

use crate::features::Features;

/// A CPU model: the values of its identification registers, named as in the manual.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Model {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, for the list of models.
    pub about: &'static str,
    pub midr: u32,
    pub revidr: u32,
    pub ctr: u32,
    pub fpsid: u32,
    pub mvfr0: u32,
    pub mvfr1: u32,
    pub id_pfr: [u32; 2],
    pub id_dfr0: u32,
    pub id_afr0: u32,
    pub id_mmfr: [u32; 4],
    pub id_isar: [u32; 6],
    pub clidr: u32,
    /// By CSSELR: level 1 data, level 1 instruction, level 2.
    pub ccsidr: [u32; 3],
    /// Implementer, identification code and number of event counters (up to six).
    pub pmcr: u32,
    /// The performance monitors' events, of the model's those that are counted: see [`crate::pmu`].
    pub events: &'static [u8],
    pub dbgdidr: u32,
    pub dbgdevid: u32,
    pub dbgdevid1: u32,
    /// The base of the private peripherals.
    pub cbar: u32,
    /// Has the Virtualization Extensions' instructions that need no Hyp mode: MRS and MSR of banked registers, ERET of A32.
    pub virtualization: bool,
    /// What instructions have rows with a need: nothing on ARMv7.
    pub features: Features,
    /// The `compatible` string of the device tree.
    pub compatible: &'static str,
}

/// The models, the default first.
pub const MODELS: &[Model] = &[
    Model {
        name: "cortex-a15",
        about: "ARMv7-A with LPAE, VFPv4 and Advanced SIMD (the default)",
        midr: 0x414f_c0f0,
        revidr: 0,
        ctr: 0x8444_c004,
        fpsid: 0x4104_30f0,
        mvfr0: 0x1011_0222,
        mvfr1: 0x1111_1111,
        id_pfr: [0x0000_1131, 0x0001_0001],
        id_dfr0: 0x0201_0505,
        id_afr0: 0,
        id_mmfr: [0x1020_1105, 0x2000_0000, 0x0124_0000, 0x0210_2211],
        id_isar: [0x0210_1110, 0x1311_2111, 0x2123_2041, 0x1111_2131, 0x1001_1142, 0],
        clidr: 0x0a20_0023,
        ccsidr: [0x701f_e00a, 0x201f_e00a, 0x711f_e07a],
        pmcr: 0x410f_3000,
        events: &[
            0x00, 0x03, 0x04, 0x08, 0x09, 0x0a, 0x0b, 0x10, 0x11, 0x13, 0x1b, 0x1c, 0x1d, 0x40, 0x41, 0x42, 0x43, 0x66,
            0x67, 0x76,
        ],
        dbgdidr: 0x3515_f021,
        dbgdevid: 0x0111_0f13,
        dbgdevid1: 0,
        cbar: 0x0800_0000,
        virtualization: false,
        features: Features::BASE,
        compatible: "arm,cortex-a15",
    },
    Model {
        name: "cortex-a7",
        about: "ARMv7-A with LPAE, VFPv4 and Advanced SIMD: the A15's small companion",
        midr: 0x410f_c075,
        revidr: 0,
        ctr: 0x8444_8003,
        fpsid: 0x4102_3075,
        mvfr0: 0x1011_0222,
        mvfr1: 0x1111_1111,
        id_pfr: [0x0000_1131, 0x0001_0001],
        id_dfr0: 0x0201_0505,
        id_afr0: 0,
        id_mmfr: [0x1010_1105, 0x4000_0000, 0x0124_0000, 0x0210_2211],
        id_isar: [0x0210_1110, 0x1311_2111, 0x2123_2041, 0x1111_2131, 0x1001_1142, 0],
        clidr: 0x0a20_0023,
        ccsidr: [0x701f_e00a, 0x201f_e00a, 0x711f_e07a],
        pmcr: 0x4107_2000,
        events: &[0x00, 0x03, 0x04, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x10, 0x11, 0x13, 0x1d],
        dbgdidr: 0x3515_f005,
        dbgdevid: 0x0111_0f13,
        dbgdevid1: 1,
        cbar: 0x0800_0000,
        virtualization: false,
        features: Features::BASE,
        compatible: "arm,cortex-a7",
    },
];

/// The model of that name.
pub fn find(name: &str) -> Option<&'static Model> {
    MODELS.iter().find(|m| m.name == name)
}

/// The list of models for `--cpu help`: a line each.
pub fn list() -> String {
    MODELS.iter().map(|m| format!("{:<12} {}\n", m.name, m.about)).collect()
}

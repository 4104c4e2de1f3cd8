//! CPU models: identification and features as data.

/// A CPU model.
#[derive(Debug)]
pub struct Model {
    /// Its name on the command line.
    pub name: &'static str,
    /// MIDR.
    pub midr: u32,
}

/// The models, the default first.
pub const MODELS: &[Model] = &[
    Model {
        name: "cortex-a15",
        midr: 0x412f_c0f1,
    },
    Model {
        name: "cortex-a7",
        midr: 0x410f_c075,
    },
];

//! What fits no other class: GPIO, firmware configuration, a PC's odd ports.

pub mod acpi_ged;
pub mod fw_cfg;
pub mod gpio_key;
pub mod isa_debug_exit;
pub mod pl061;
pub mod port92;

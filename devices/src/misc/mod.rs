//! What fits no other class: GPIO, firmware configuration.

pub mod fw_cfg;
pub mod gpio_key;
pub mod pl061;

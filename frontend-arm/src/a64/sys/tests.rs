//! Registers by access: rights, effects, values.

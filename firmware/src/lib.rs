//! The bytes placed in memory before reset: device tree, boot protocols, kernel loaders.

//! Hardware models, one file a chip.

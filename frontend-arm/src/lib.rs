//! ARM bytes to IR, and ARM's architectural state.

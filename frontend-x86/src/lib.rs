//! x86 bytes to IR, and x86's architectural state.

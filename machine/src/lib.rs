//! The only crate that knows everything: boards, memory map, vCPU threads, accelerators, command line.

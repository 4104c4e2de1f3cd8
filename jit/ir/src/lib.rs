//! The language everybody speaks: IR operations, types, blocks, and the traits between guest, accelerator and machine.

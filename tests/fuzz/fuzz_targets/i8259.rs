#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| emu_fuzz::x86_devices::i8259(data));

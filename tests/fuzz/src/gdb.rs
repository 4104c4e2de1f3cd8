//! What comes to the debugger's port.

use std::io::Write;

/// A client's packets: what lies between zeros, framed with its checksum, or if 0xff comes first, as it is.
pub fn protocol(data: &[u8]) {
    let mut sent = Vec::new();
    for part in data.split(|&byte| byte == 0) {
        match part.split_first() {
            Some((0xff, raw)) => sent.extend(raw),
            _ => {
                let sum = part.iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte));
                sent.push(b'$');
                sent.extend(part);
                // Writing to memory does not fail.
                let _ = write!(sent, "#{sum:02x}");
            }
        }
    }
    emu_machine::gdb::fuzz::feed(&sent);
}

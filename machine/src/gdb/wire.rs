//! The bytes between GDB and the stub: packets cut out of what comes in, and what goes out kept together.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use gdbstub::conn::Connection;

/// Bytes of a packet at most, as GDB is told.
pub const PACKET: usize = 0x4000;
/// Bytes of memory that one packet reads at most: they come back in twice as many digits.
const READ: u64 = 0x1000;
/// How long a client may take to take what it has asked for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client's connection.
pub enum Stream {
    /// By TCP.
    Tcp(TcpStream),
    /// By a socket in the file system.
    Unix(UnixStream),
}

impl Stream {
    /// Makes answers leave at once, and a client that takes none an error.
    ///
    /// # Errors
    /// The host's.
    pub fn prepare(&self) -> io::Result<()> {
        match self {
            Stream::Tcp(s) => s.set_nodelay(true).and_then(|()| s.set_write_timeout(Some(PATIENCE))),
            Stream::Unix(s) => s.set_write_timeout(Some(PATIENCE)),
        }
    }

    /// The same connection, for another thread.
    ///
    /// # Errors
    /// The host's.
    pub fn twin(&self) -> io::Result<Stream> {
        match self {
            Stream::Tcp(s) => s.try_clone().map(Stream::Tcp),
            Stream::Unix(s) => s.try_clone().map(Stream::Unix),
        }
    }

    /// Ends it in both directions.
    pub fn shut(&self) {
        // It may have ended already.
        let _ = match self {
            Stream::Tcp(s) => s.shutdown(Shutdown::Both),
            Stream::Unix(s) => s.shutdown(Shutdown::Both),
        };
    }
}

impl io::Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(s) => s.read(buffer),
            Stream::Unix(s) => s.read(buffer),
        }
    }
}

/// The stub's end of a connection: a reply leaves as a whole.
pub struct Reply {
    stream: Stream,
    waiting: Vec<u8>,
}

impl Reply {
    /// To this client.
    pub fn new(stream: Stream) -> Reply {
        Reply {
            stream,
            waiting: Vec::new(),
        }
    }
}

impl Connection for Reply {
    type Error = io::Error;

    fn write(&mut self, byte: u8) -> io::Result<()> {
        self.waiting.push(byte);
        Ok(())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.waiting.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let done = match &mut self.stream {
            Stream::Tcp(s) => Write::write_all(s, &self.waiting),
            Stream::Unix(s) => Write::write_all(s, &self.waiting),
        };
        self.waiting.clear();
        done
    }
}

/// Why no packet can be made of what a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// Cuts a client's bytes into packets. What is none (acknowledgements, interrupts, garbage) passes byte by byte.
#[derive(Default)]
pub struct Cutter {
    packet: Vec<u8>,
    /// Digits of the checksum that are still to come, once its mark has.
    missing: Option<u8>,
}

impl Cutter {
    /// The next byte; what the stub is to have now: nothing, one byte, or a packet.
    ///
    /// # Errors
    /// [`TooLong`]: the packet is longer than any may be.
    pub fn feed(&mut self, byte: u8) -> Result<Option<Vec<u8>>, TooLong> {
        if self.packet.is_empty() && byte != b'$' {
            return Ok(Some(vec![byte]));
        }
        if self.packet.len() >= PACKET {
            return Err(TooLong);
        }
        self.packet.push(byte);
        self.missing = match self.missing {
            None if byte == b'#' => Some(2),
            None => None,
            Some(n) => Some(n - 1),
        };
        if self.missing != Some(0) {
            return Ok(None);
        }
        self.missing = None;
        let packet = std::mem::take(&mut self.packet);
        Ok(Some(shortened(&packet).unwrap_or(packet)))
    }
}

/// A packet that asks for more memory than an answer holds, asking for less, as a stub may answer.
fn shortened(packet: &[u8]) -> Option<Vec<u8>> {
    let [b'$', body @ .., b'#', high, low] = packet else {
        return None;
    };
    let told = [*high, *low];
    let (body, told) = (std::str::from_utf8(body).ok()?, std::str::from_utf8(&told).ok()?);
    let sum = |text: &str| text.bytes().fold(0u8, u8::wrapping_add);
    let (address, length) = body.strip_prefix('m')?.split_once(',')?;
    let asked = u64::from_str_radix(length, 16).ok()?;
    if asked <= READ || u8::from_str_radix(told, 16).ok()? != sum(body) {
        return None;
    }
    let body = format!("m{address},{READ:x}");
    Some(format!("${body}#{:02x}", sum(&body)).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut cutter = Cutter::default();
        bytes.iter().filter_map(|b| cutter.feed(*b).unwrap()).collect()
    }

    #[test]
    fn packets_are_whole_and_the_rest_is_single() {
        let parts = cut(b"+$g#67\x03$#00x");

        assert_eq!(parts, [&b"+"[..], b"$g#67", b"\x03", b"$#00", b"x"]);
        assert_eq!(cut(b"$m1,2"), Vec::<Vec<u8>>::new(), "half a packet");
    }

    #[test]
    fn long_reads_become_short() {
        assert_eq!(cut(b"$m80,ffffffff#31"), [b"$m80,1000#c2"]);
        assert_eq!(cut(b"$m80,100#92"), [b"$m80,100#92"]);
        assert_eq!(cut(b"$m80,ffffffff#00"), [b"$m80,ffffffff#00"], "not a packet at all");
        assert_eq!(cut(b"$m80#00"), [b"$m80#00"]);
    }

    #[test]
    fn endless_packets_are_refused() {
        let mut cutter = Cutter::default();

        let refused = std::iter::repeat_n(b'$', PACKET + 1)
            .map(|b| cutter.feed(b))
            .find(Result::is_err);

        assert_eq!(refused, Some(Err(TooLong)));
    }
}

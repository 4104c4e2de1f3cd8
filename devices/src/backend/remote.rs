//! Character backends that other programs on the host come to: a Unix socket, a pseudo-terminal, a file.

use super::made::Made;
use super::stream::{Channel, OnLost, Stream};
use crate::bus::Threads;
use rustix::event::PollFlags;
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often a pseudo-terminal that nobody has open is looked at: the host does not tell.
const LOOK: Duration = Duration::from_millis(200);

impl Stream {
    /// Output to a file, which is made or made empty; no input. `on_lost` hears if the file does not take the output. One
    /// that was not there before goes with the stream, unless [`Stream::keep_file`] was called.
    ///
    /// # Errors
    /// The host refuses the file or a thread.
    pub fn file(threads: &Threads, path: &Path, on_lost: OnLost) -> io::Result<Stream> {
        let (file, made) = Made::create(path)?;
        let mut stream = Stream::to(threads, "emu-file", file.into(), on_lost)?;
        stream.remove_unless_kept(made);
        stream.end_input();
        Ok(stream)
    }

    /// Listens on a Unix socket at `path` for one program at a time. A socket there that nobody listens on any more is
    /// replaced; it is removed with the backend's last use.
    ///
    /// # Errors
    /// Something else is there; the host refuses the socket or a thread.
    pub fn unix(threads: &Threads, path: &Path) -> io::Result<Stream> {
        let (listener, file) = listen(path)?;
        listener.set_nonblocking(true)?;
        let mut stream = Stream::new(threads, "emu-unix")?;
        stream.remove_at_close(file);
        stream.spawn("emu-unix", move |shared| serve(shared, &listener))?;
        Ok(stream)
    }

    /// A new pseudo-terminal, and the path of the side to open.
    ///
    /// # Errors
    /// The host has none, or refuses a thread.
    pub fn pty(threads: &Threads) -> io::Result<(Stream, PathBuf)> {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let name = ptsname(&ours, Vec::new())?;
        // Opened and closed once: from then on the host says whether anybody has it open.
        let theirs = rustix::fs::open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty())?;
        let mut mode = tcgetattr(&theirs)?;
        mode.make_raw();
        tcsetattr(&theirs, OptionalActions::Now, &mode)?;
        drop(theirs);
        rustix::io::ioctl_fionbio(&ours, true)?;
        let path = PathBuf::from(name.to_string_lossy().into_owned());
        let stream = Stream::new(threads, "emu-pty")?;
        stream.spawn("emu-pty", move |shared| serve_pty(shared, &Arc::new(ours)))?;
        Ok((stream, path))
    }
}

/// Listens on a Unix socket at `path`, which is there as long as what comes with the listener. A socket there that
/// nobody listens on any more is replaced, and nothing else is.
///
/// # Errors
/// Something else is there; the host refuses the socket.
pub fn listen(path: &Path) -> io::Result<(UnixListener, Made)> {
    if is_abandoned(path) {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    Ok((listener, Made::at(path)))
}

/// Whether there is a socket at `path` that a program has left behind.
fn is_abandoned(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    is_socket && UnixStream::connect(path).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused)
}

/// Takes one program after the other, until stopped.
fn serve(shared: &Channel, listener: &UnixListener) {
    while shared.wait_readable(listener, None).is_some() {
        let taken = listener
            .accept()
            .and_then(|(peer, _)| peer.set_nonblocking(true).map(|()| peer));
        match taken {
            Ok(peer) => converse(shared, &Arc::new(peer.into())),
            // It went before it was taken.
            Err(error) => tracing::debug!("nobody at the console's socket: {error}"),
        }
    }
}

/// Waits for the other side to be opened, again and again, until stopped.
fn serve_pty(shared: &Channel, ours: &Arc<OwnedFd>) {
    while let Some(state) = shared.wait_readable(ours, Some(Duration::ZERO)) {
        if !state.contains(PollFlags::HUP) {
            converse(shared, ours);
        } else if !shared.pause(LOOK) {
            return;
        }
    }
}

/// Input and output through `peer`, until it has gone.
fn converse(shared: &Channel, peer: &Arc<OwnedFd>) {
    shared.attach(peer.clone());
    shared.read_input(peer, false, |bytes| shared.feed(bytes));
    shared.detach();
}

#[cfg(test)]
mod tests {
    use super::super::stream::OUTPUT;
    use super::super::{CharBackend, CharClient};
    use super::*;
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::unix::fs::OpenOptionsExt;
    use std::sync::mpsc;

    const SOON: Duration = Duration::from_secs(10);

    fn place(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("emu-{name}-{}", std::process::id()))
    }

    fn read(backend: &Stream, count: usize) -> Vec<u8> {
        let (tx, rx) = mpsc::channel();
        let ready: Box<dyn CharClient> = Box::new(move || {
            let _ = tx.send(());
        });
        backend.connect(ready);
        let (mut bytes, mut have) = (vec![0; count], 0);
        while have < count {
            let got = backend.read(&mut bytes[have..]);
            have += got;
            if got == 0 {
                rx.recv_timeout(SOON).unwrap();
            }
        }
        bytes
    }

    fn exactly(from: &mut impl Read, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        from.read_exact(&mut bytes).unwrap();
        bytes
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no sockets and no pseudo-terminals")]
    fn a_file_has_the_output_in_full() {
        let path = place("file");
        let stream = Stream::file(&Threads::default(), &path, Box::new(|error| panic!("lost: {error}"))).unwrap();

        let sent = [b'x'; 1000];
        assert_eq!(stream.write(&sent), 1000);
        assert!(stream.flush(SOON));
        assert!(stream.is_at_end(), "there is no input");

        assert_eq!(std::fs::read(&path).unwrap(), sent);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no sockets and no pseudo-terminals")]
    fn a_socket_talks_both_ways_and_to_one_after_the_other() {
        let path = place("socket");
        let stream = Stream::unix(&Threads::default(), &path).unwrap();

        for word in [b"one", b"two"] {
            stream.write(word);
            let mut peer = UnixStream::connect(&path).unwrap();
            peer.set_read_timeout(Some(SOON)).unwrap();

            assert_eq!(exactly(&mut peer, 3), word);
            peer.write_all(b"key").unwrap();
            assert_eq!(read(&stream, 3), b"key");
        }
        drop(stream);

        assert!(!path.exists(), "the socket is left behind");
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no sockets and no pseudo-terminals")]
    fn the_newest_output_waits_for_a_reader() {
        let path = place("newest");
        let stream = Stream::unix(&Threads::default(), &path).unwrap();
        let sent: Vec<u8> = (0..2 * OUTPUT).map(|n| (n / 3) as u8).collect();

        for part in sent.chunks(1000) {
            assert_eq!(stream.write(part), part.len(), "nobody holds the guest back");
        }
        let mut peer = UnixStream::connect(&path).unwrap();

        assert_eq!(exactly(&mut peer, OUTPUT), sent[OUTPUT..]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no sockets and no pseudo-terminals")]
    fn a_slow_reader_holds_the_guest_back() {
        let path = place("slow");
        let stream = Stream::unix(&Threads::default(), &path).unwrap();
        let mut peer = UnixStream::connect(&path).unwrap();
        peer.write_all(b"!").unwrap();
        read(&stream, 1);

        let mut sent = 0;
        while stream.write(&[sent as u8]) == 1 {
            sent += 1;
            assert!(sent < 1 << 24, "the buffers have an end");
        }

        let got = exactly(&mut peer, sent);
        assert!(got.iter().enumerate().all(|(n, &byte)| byte == n as u8));
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no sockets and no pseudo-terminals")]
    fn a_socket_left_behind_is_replaced_and_nothing_else_is() {
        let path = place("left");
        drop(UnixListener::bind(&path).unwrap());
        let stream = Stream::unix(&Threads::default(), &path).unwrap();

        let second = Stream::unix(&Threads::default(), &path).err().unwrap();
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse);

        drop(stream);
        std::fs::write(&path, "mine").unwrap();
        assert!(Stream::unix(&Threads::default(), &path).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no sockets and no pseudo-terminals")]
    fn a_pseudo_terminal_is_raw_and_may_be_opened_again() {
        let (stream, path) = Stream::pty(&Threads::default()).unwrap();

        for word in [b"one\n", b"two\n"] {
            // Nobody has it open for longer than it is looked at.
            std::thread::sleep(2 * LOOK);
            stream.write(word);
            let mut options = File::options();
            options
                .read(true)
                .write(true)
                .custom_flags(OFlags::NOCTTY.bits() as i32);
            let mut peer = options.open(&path).unwrap();

            assert_eq!(exactly(&mut peer, 4), word);
            peer.write_all(b"\x03\r").unwrap();
            assert_eq!(read(&stream, 2), b"\x03\r");
        }
    }
}

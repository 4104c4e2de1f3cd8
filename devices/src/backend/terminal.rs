//! The user's terminal, or whatever standard input and output are, as a character backend.
//!
//! Input that is a terminal is put into raw mode, so that every key reaches the guest, but for one escape byte, which
//! is reported. Input may as well be a pipe, a file, /dev/null or closed: its end is not the guest's. Output may be slow
//! or closed: a bounded buffer and a writer thread keep it away from the vCPUs, and output nobody can get any more
//! is dropped.
//!
//! Raw mode ends with [`Terminal::close`], with the last use of the backend, and in a panic hook. A program that ends
//! otherwise (`std::process::exit`, a thread that waits for SIGTERM, SIGINT and SIGHUP) calls [`restore`] first.

use super::{CharBackend, CharClient};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::Errno;
use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios, isatty, tcgetattr,
    tcsetattr,
};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

/// Bytes of output held for a slow reader before the guest has to wait.
const OUTPUT: usize = 64 << 10;
/// Bytes of input held for the guest before a pipe or file is no longer read.
const INPUT: usize = 64 << 10;
/// The same for a terminal: beyond it keys are lost, as it is read on for the escape byte.
const KEYS: usize = 1 << 20;
/// How long closing waits for output to be written.
const LINGER: Duration = Duration::from_secs(1);

/// Standard input and output as a character backend.
pub struct Terminal(Arc<Inner>);

struct Inner {
    input: OwnedFd,
    output: OwnedFd,
    /// Wakes the reader thread from its poll.
    stop: OwnedFd,
    /// The byte that is not the guest's.
    escape: Option<u8>,
    on_escape: Box<dyn Fn() + Send + Sync>,
    is_terminal: bool,
    /// Marks this terminal's entry among those in raw mode.
    identity: Arc<()>,
    buffers: Mutex<Buffers>,
    /// The buffers have changed.
    changed: Condvar,
    client: Mutex<Option<Arc<dyn CharClient>>>,
}

#[derive(Default)]
struct Buffers {
    input: VecDeque<u8>,
    output: VecDeque<u8>,
    /// Bytes that the writer thread has taken and not yet written.
    writing: usize,
    /// A write did not fit: the client waits for room.
    blocked: bool,
    /// Nobody reads the output any more.
    output_closed: bool,
    stop: bool,
}

impl Terminal {
    /// The process's standard input and output. `escape` (such as 0x1d, Ctrl-]) typed at a terminal calls `on_escape`,
    /// on the reader's thread, instead of reaching the guest.
    ///
    /// # Errors
    /// The host refuses a descriptor, raw mode or a thread.
    pub fn stdio(escape: Option<u8>, on_escape: impl Fn() + Send + Sync + 'static) -> io::Result<Terminal> {
        let input = io::stdin().as_fd().try_clone_to_owned()?;
        let output = io::stdout().as_fd().try_clone_to_owned()?;
        Terminal::new(input, output, escape, on_escape)
    }

    /// As [`stdio`](Terminal::stdio), with other descriptors.
    ///
    /// # Errors
    /// The host refuses a descriptor, raw mode or a thread.
    pub fn new(
        input: OwnedFd,
        output: OwnedFd,
        escape: Option<u8>,
        on_escape: impl Fn() + Send + Sync + 'static,
    ) -> io::Result<Terminal> {
        let inner = Arc::new(Inner {
            is_terminal: isatty(&input),
            stop: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            input,
            output,
            escape,
            on_escape: Box::new(on_escape),
            identity: Arc::default(),
            buffers: Mutex::default(),
            changed: Condvar::new(),
            client: Mutex::default(),
        });
        // From here on dropping `terminal` stops the threads and leaves raw mode.
        let terminal = Terminal(inner.clone());
        if inner.is_terminal {
            enter_raw_mode(&inner.input, inner.identity.clone())?;
        }
        let reader = inner.clone();
        std::thread::Builder::new()
            .name("emu-term-in".into())
            .spawn(move || reader.read_input())?;
        std::thread::Builder::new()
            .name("emu-term-out".into())
            .spawn(move || inner.write_output())?;
        Ok(terminal)
    }

    /// Whether input is a terminal (and so in raw mode, with the escape byte in force).
    pub fn is_terminal(&self) -> bool {
        self.0.is_terminal
    }

    /// Waits until all output is written, at most for `limit`. Returns whether it was.
    pub fn flush(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        let mut buffers = self.0.buffers();
        while !buffers.output_closed && buffers.output.len() + buffers.writing != 0 {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            buffers = self
                .0
                .changed
                .wait_timeout(buffers, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }

    /// Writes what there is (for at most a second), stops, and gives the terminal back as it was. Later output is
    /// dropped. Happens by itself with the last use of the backend.
    pub fn close(&self) {
        self.flush(LINGER);
        let mut buffers = self.0.buffers();
        buffers.stop = true;
        buffers.output_closed = true;
        drop(buffers);
        self.0.changed.notify_all();
        // The counter cannot overflow from one write, and failing would only leave an idle thread behind.
        let _ = rustix::io::write(&self.0.stop, &1u64.to_ne_bytes());
        restore_those(|raw| Arc::ptr_eq(&raw.owner, &self.0.identity));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.close();
    }
}

impl CharBackend for Terminal {
    fn write(&self, bytes: &[u8]) -> usize {
        let mut buffers = self.0.buffers();
        if buffers.output_closed {
            return bytes.len();
        }
        let taken = bytes.len().min(OUTPUT - buffers.output.len());
        buffers.blocked |= taken < bytes.len();
        let idle = buffers.output.is_empty();
        buffers.output.extend(&bytes[..taken]);
        drop(buffers);
        if idle && taken != 0 {
            self.0.changed.notify_all();
        }
        taken
    }

    fn read(&self, bytes: &mut [u8]) -> usize {
        let mut buffers = self.0.buffers();
        let count = bytes.len().min(buffers.input.len());
        let was_full = buffers.input.len() >= INPUT;
        for (slot, byte) in bytes.iter_mut().zip(buffers.input.drain(..count)) {
            *slot = byte;
        }
        drop(buffers);
        if was_full {
            self.0.changed.notify_all();
        }
        count
    }

    fn connect(&self, client: Box<dyn CharClient>) {
        *self.0.client.lock().unwrap_or_else(PoisonError::into_inner) = Some(client.into());
    }
}

impl Inner {
    fn buffers(&self) -> MutexGuard<'_, Buffers> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, buffers: MutexGuard<'a, Buffers>) -> MutexGuard<'a, Buffers> {
        self.changed.wait(buffers).unwrap_or_else(PoisonError::into_inner)
    }

    fn notify_client(&self) {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(client) = client {
            client.ready();
        }
    }

    /// The reader's thread: ends with the input, or when stopped.
    fn read_input(&self) {
        let mut chunk = [0; 4096];
        while self.input_readable() {
            match rustix::io::read(&self.input, &mut chunk) {
                Ok(0) => return,
                Ok(count) => self.take_input(&chunk[..count]),
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => return tracing::debug!("console input ended: {error}"),
            }
        }
    }

    /// Waits for input, and for room to put it. False when stopped.
    fn input_readable(&self) -> bool {
        let mut buffers = self.buffers();
        while !buffers.stop && !self.is_terminal && buffers.input.len() >= INPUT {
            buffers = self.wait(buffers);
        }
        drop(buffers);
        let mut fds = [
            PollFd::new(&self.input, PollFlags::IN),
            PollFd::new(&self.stop, PollFlags::IN),
        ];
        loop {
            match poll(&mut fds, None) {
                Err(Errno::INTR) => {}
                Err(error) => {
                    tracing::debug!("console input cannot be waited for: {error}");
                    return false;
                }
                Ok(_) => return fds[1].revents().is_empty(),
            }
        }
    }

    fn take_input(&self, chunk: &[u8]) {
        let escape = self.escape.filter(|_| self.is_terminal);
        for part in chunk.split_inclusive(|&byte| Some(byte) == escape) {
            let (keys, escaped) = match part.split_last() {
                Some((&last, keys)) if Some(last) == escape => (keys, true),
                _ => (part, false),
            };
            let mut buffers = self.buffers();
            let room = KEYS.saturating_sub(buffers.input.len());
            buffers.input.extend(&keys[..keys.len().min(room)]);
            drop(buffers);
            if !keys.is_empty() {
                self.notify_client();
            }
            if escaped {
                (self.on_escape)();
            }
        }
    }

    /// The writer's thread: ends when nobody reads the output, or when stopped.
    fn write_output(&self) {
        let mut chunk = Vec::with_capacity(4096);
        loop {
            let mut buffers = self.buffers();
            while buffers.output.is_empty() && !buffers.stop {
                buffers = self.wait(buffers);
            }
            if buffers.stop {
                return;
            }
            let count = buffers.output.len().min(4096);
            chunk.clear();
            chunk.extend(buffers.output.drain(..count));
            buffers.writing = count;
            drop(buffers);

            let written = self.write_all(&chunk);
            let mut buffers = self.buffers();
            buffers.writing = 0;
            if let Err(error) = written {
                tracing::debug!("console output ended: {error}");
                buffers.output_closed = true;
                buffers.output.clear();
            }
            let (closed, blocked) = (buffers.output_closed, std::mem::take(&mut buffers.blocked));
            drop(buffers);
            self.changed.notify_all();
            if blocked {
                self.notify_client();
            }
            if closed {
                return;
            }
        }
    }

    fn write_all(&self, mut bytes: &[u8]) -> rustix::io::Result<()> {
        while !bytes.is_empty() {
            match rustix::io::write(&self.output, bytes) {
                Ok(0) => return Err(Errno::IO),
                Ok(count) => bytes = &bytes[count..],
                Err(Errno::INTR) => {}
                // Someone shares the descriptor and made it non-blocking.
                Err(Errno::AGAIN) => match poll(&mut [PollFd::new(&self.output, PollFlags::OUT)], None) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => return Err(error),
                },
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A terminal in raw mode.
struct Raw {
    fd: OwnedFd,
    /// What it was before.
    before: Termios,
    /// Identity of the [`Terminal`] that owns it, kept alive so that it stays unique.
    owner: Arc<()>,
}

static RAW: Mutex<Vec<Raw>> = Mutex::new(Vec::new());

/// Gives every terminal in raw mode back as it was. From any thread, any number of times; not from within a signal
/// handler, as it takes a lock.
pub fn restore() {
    restore_those(|_| true);
}

fn restore_those(chosen: impl Fn(&Raw) -> bool) {
    for raw in RAW
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .extract_if(.., |raw| chosen(raw))
    {
        if let Err(error) = tcsetattr(&raw.fd, OptionalActions::Now, &raw.before) {
            tracing::warn!("the terminal could not be restored: {error}");
        }
    }
}

/// Raw mode but for output processing, so that the program's own messages still start at the left.
fn enter_raw_mode(fd: &OwnedFd, owner: Arc<()>) -> io::Result<()> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            before(panic);
        }));
    });
    let before = tcgetattr(fd)?;
    let mut mode = before.clone();
    mode.input_modes -= InputModes::IGNBRK
        | InputModes::BRKINT
        | InputModes::PARMRK
        | InputModes::ISTRIP
        | InputModes::INLCR
        | InputModes::IGNCR
        | InputModes::ICRNL
        | InputModes::IXON;
    mode.output_modes |= OutputModes::OPOST;
    mode.local_modes -=
        LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::IEXTEN | LocalModes::ISIG;
    mode.control_modes -= ControlModes::CSIZE | ControlModes::PARENB;
    mode.control_modes |= ControlModes::CS8;
    mode.special_codes[SpecialCodeIndex::VMIN] = 1;
    mode.special_codes[SpecialCodeIndex::VTIME] = 0;
    let raw = Raw {
        fd: fd.try_clone()?,
        before,
        owner,
    };
    tcsetattr(fd, OptionalActions::Now, &mode)?;
    RAW.lock().unwrap_or_else(PoisonError::into_inner).push(raw);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{Mode, OFlags};
    use rustix::pipe::pipe;
    use std::sync::mpsc;

    fn null() -> OwnedFd {
        rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty()).unwrap()
    }

    /// A pseudo-terminal: the user's side and the program's.
    fn pty() -> (OwnedFd, OwnedFd) {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let user = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&user).unwrap();
        unlockpt(&user).unwrap();
        let name = ptsname(&user, Vec::new()).unwrap();
        let tty = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        (user, tty)
    }

    fn read_all(terminal: &Terminal, count: usize) -> Vec<u8> {
        let (tx, rx) = mpsc::channel();
        terminal.connect(Box::new(move || {
            let _ = tx.send(());
        }));
        let mut bytes = vec![0; count];
        let mut have = 0;
        while have < count {
            let got = terminal.read(&mut bytes[have..]);
            have += got;
            if got == 0 {
                rx.recv_timeout(Duration::from_secs(10)).unwrap();
            }
        }
        bytes
    }

    #[test]
    fn a_terminal_is_raw_and_comes_back_as_it_was() {
        let (_user, tty) = pty();
        let before = tcgetattr(&tty).unwrap();

        let terminal = Terminal::new(tty.try_clone().unwrap(), null(), None, || {}).unwrap();
        let during = tcgetattr(&tty).unwrap();
        assert!(
            !during
                .local_modes
                .intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
        );
        terminal.close();

        let after = tcgetattr(&tty).unwrap();
        assert_eq!(after.local_modes, before.local_modes);
        assert_eq!(after.input_modes, before.input_modes);
    }

    #[test]
    fn keys_reach_the_guest_and_the_escape_does_not() {
        let (user, tty) = pty();
        let (tx, rx) = mpsc::channel();
        let terminal = Terminal::new(tty, null(), Some(0x1d), move || tx.send(()).unwrap()).unwrap();

        rustix::io::write(&user, b"a\x03\x1db\r").unwrap();

        assert_eq!(read_all(&terminal, 4), b"a\x03b\r");
        rx.recv_timeout(Duration::from_secs(10)).unwrap();
    }

    #[test]
    fn the_escape_is_seen_though_the_guest_reads_nothing() {
        let (user, tty) = pty();
        let (tx, rx) = mpsc::channel();
        let _terminal = Terminal::new(tty, null(), Some(0x1d), move || tx.send(()).unwrap()).unwrap();

        for _ in 0..2 * INPUT / 1024 {
            rustix::io::write(&user, &[b'x'; 1024]).unwrap();
        }
        rustix::io::write(&user, b"\x1d").unwrap();

        rx.recv_timeout(Duration::from_secs(10)).unwrap();
    }

    #[test]
    fn a_pipe_is_read_as_the_guest_reads_with_every_byte_its_own() {
        let (from, to) = pipe().unwrap();
        let terminal = Terminal::new(from, null(), Some(b'x'), || panic!("no terminal, no escape")).unwrap();
        let data: Vec<u8> = (0..300_000u32).map(|n| (n * 7) as u8).collect();

        let sent = data.clone();
        let writer = std::thread::spawn(move || {
            let mut rest = &sent[..];
            while !rest.is_empty() {
                rest = &rest[rustix::io::write(&to, rest).unwrap()..];
            }
        });

        assert_eq!(read_all(&terminal, data.len()), data);
        writer.join().unwrap();
        assert_eq!(terminal.read(&mut [0]), 0);
    }

    #[test]
    fn output_is_held_back_for_a_slow_reader_and_none_is_lost() {
        let (from, to) = pipe().unwrap();
        let terminal = Terminal::new(null(), to, None, || {}).unwrap();
        let (tx, rx) = mpsc::channel();
        terminal.connect(Box::new(move || {
            let _ = tx.send(());
        }));

        let mut sent = 0u32;
        while terminal.write(&[sent as u8]) == 1 {
            sent += 1;
            assert!(sent < 1 << 20, "the buffer has an end");
        }
        let reader = std::thread::spawn(move || {
            let (mut all, mut chunk) = (Vec::new(), [0; 4096]);
            while let Ok(count @ 1..) = rustix::io::read(&from, &mut chunk) {
                all.extend_from_slice(&chunk[..count]);
            }
            all
        });
        rx.recv_timeout(Duration::from_secs(10)).unwrap();
        assert!(terminal.flush(Duration::from_secs(10)));
        drop(terminal);

        let all = reader.join().unwrap();
        assert_eq!(all.len(), sent as usize);
        assert!(all.iter().enumerate().all(|(n, &byte)| byte == n as u8));
    }

    #[test]
    fn closed_output_takes_everything() {
        let (from, to) = pipe().unwrap();
        drop(from);
        let terminal = Terminal::new(null(), to, None, || {}).unwrap();

        terminal.write(b"x");
        assert!(terminal.flush(Duration::from_secs(10)));

        assert_eq!(terminal.write(&[0; 2 * OUTPUT]), 2 * OUTPUT);
    }
}

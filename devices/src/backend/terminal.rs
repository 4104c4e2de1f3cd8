//! The user's terminal, or whatever standard input and output are, as a character backend.
//!
//! Input that is a terminal is put into raw mode, so that every key reaches the guest, but for one escape byte, which
//! is reported. Input may as well be a pipe, a file, /dev/null or closed: its end is not the guest's. Output may be slow
//! or closed: a [`Stream`] keeps it away from the vCPUs, and says when it is lost.
//!
//! Raw mode ends with [`Terminal::close`], with the last use of the backend, and in a panic hook. A program that ends
//! otherwise (`std::process::exit`, a thread that waits for SIGTERM, SIGINT and SIGHUP) calls [`restore`] first.

use super::stream::{Channel, OnLost, Stream};
use super::{CharBackend, CharClient};
use crate::bus::Threads;
use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios, isatty, tcgetattr,
    tcsetattr,
};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

/// Standard input and output as a character backend.
pub struct Terminal {
    stream: Stream,
    is_terminal: bool,
    /// Standard error is the terminal that output goes to.
    has_errors: bool,
    /// Marks this terminal's entry among those in raw mode.
    identity: Arc<()>,
}

impl Terminal {
    /// The process's standard input and output, served by `threads`. `escape` (such as 0x1d, Ctrl-]) typed at a terminal calls `on_escape`,
    /// on the reader's thread, instead of reaching the guest. `on_lost` hears if standard output does not take the output.
    ///
    /// # Errors
    /// The host refuses a descriptor, raw mode or a thread.
    pub fn stdio(
        threads: &Threads,
        escape: Option<u8>,
        on_escape: impl Fn() + Send + Sync + 'static,
        on_lost: OnLost,
    ) -> io::Result<Terminal> {
        let input = io::stdin().as_fd().try_clone_to_owned()?;
        let output = io::stdout().as_fd().try_clone_to_owned()?;
        let has_errors = is_same_terminal(io::stdout(), io::stderr());
        let mut terminal = Terminal::new(threads, input, output, escape, on_escape, on_lost)?;
        terminal.has_errors = has_errors;
        Ok(terminal)
    }

    /// As [`stdio`](Terminal::stdio), with other descriptors.
    ///
    /// # Errors
    /// The host refuses a descriptor, raw mode or a thread.
    pub fn new(
        threads: &Threads,
        input: OwnedFd,
        output: OwnedFd,
        escape: Option<u8>,
        on_escape: impl Fn() + Send + Sync + 'static,
        on_lost: OnLost,
    ) -> io::Result<Terminal> {
        // From here on dropping `terminal` stops the threads and leaves raw mode.
        let terminal = Terminal {
            stream: Stream::to(threads, "emu-term", output, on_lost)?,
            is_terminal: isatty(&input),
            has_errors: false,
            identity: Arc::default(),
        };
        let is_terminal = terminal.is_terminal;
        if is_terminal {
            enter_raw_mode(&input, terminal.identity.clone())?;
        }
        let escape = escape.filter(|_| is_terminal);
        terminal.stream.spawn("emu-term", move |shared| {
            // A terminal is read on for the escape byte, whether the guest reads or not.
            shared.read_input(&input, is_terminal, |chunk| take(shared, chunk, escape, &on_escape));
            shared.end_input();
        })?;
        Ok(terminal)
    }

    /// Whether input is a terminal (and so in raw mode, with the escape byte in force).
    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Writes a line of the program's own, which ends with a line feed, so that it does not cut a line of the guest's.
    /// False where standard error is not the terminal that the guest writes to: nothing is written then.
    pub fn aside(&self, line: &str) -> bool {
        self.has_errors && self.stream.aside(line)
    }

    /// Waits until all output is written, at most for `limit`. Returns whether it was.
    pub fn flush(&self, limit: Duration) -> bool {
        self.stream.flush(limit)
    }

    /// Writes what there is (for at most a second), stops, and gives the terminal back as it was. Later output is
    /// dropped. Happens by itself with the last use of the backend.
    pub fn close(&self) {
        self.stream.close();
        restore_those(|raw| Arc::ptr_eq(&raw.owner, &self.identity));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.close();
    }
}

impl CharBackend for Terminal {
    fn write(&self, bytes: &[u8]) -> usize {
        self.stream.write(bytes)
    }

    fn read(&self, bytes: &mut [u8]) -> usize {
        self.stream.read(bytes)
    }

    fn is_at_end(&self) -> bool {
        self.stream.is_at_end()
    }

    fn connect(&self, client: Box<dyn CharClient>) {
        self.stream.connect(client);
    }
}

/// Whether both are terminals, and the same.
fn is_same_terminal(one: impl AsFd, other: impl AsFd) -> bool {
    let device = |fd: &dyn AsFd| {
        let stat = isatty(fd.as_fd()).then(|| rustix::fs::fstat(fd.as_fd()).ok())??;
        Some(stat.st_rdev)
    };
    device(&one).is_some_and(|number| device(&other) == Some(number))
}

/// Gives the guest what was typed, but for the escape byte.
fn take(shared: &Channel, chunk: &[u8], escape: Option<u8>, on_escape: &impl Fn()) {
    for part in chunk.split_inclusive(|&byte| Some(byte) == escape) {
        match part.split_last() {
            Some((&last, keys)) if Some(last) == escape => {
                shared.feed(keys);
                on_escape();
            }
            _ => shared.feed(part),
        }
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
    use super::super::stream::{INPUT, OUTPUT};
    use super::*;
    use emu_ir::testing::until;
    use rustix::fs::{Mode, OFlags};
    use rustix::pipe::pipe;
    use std::sync::{RwLock, RwLockReadGuard, mpsc};

    /// Written by who restores all terminals there are.
    static ALL: RwLock<()> = RwLock::new(());

    /// For tests whose terminal is to stay as it is.
    fn undisturbed() -> RwLockReadGuard<'static, ()> {
        ALL.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn no_loss() -> OnLost {
        Box::new(|error| panic!("lost: {error}"))
    }

    fn null() -> OwnedFd {
        rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty()).unwrap()
    }

    fn terminal(
        input: OwnedFd,
        output: OwnedFd,
        escape: Option<u8>,
        on_escape: impl Fn() + Send + Sync + 'static,
        on_lost: OnLost,
    ) -> io::Result<Terminal> {
        Terminal::new(&Threads::default(), input, output, escape, on_escape, on_lost)
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

    /// Everything that input and output may go through on a terminal, the contrary of raw mode.
    fn cooked(tty: &OwnedFd) -> Termios {
        let mut mode = tcgetattr(tty).unwrap();
        mode.input_modes |= INPUT_PROCESSING;
        mode.local_modes |= LOCAL_PROCESSING;
        mode.output_modes -= OutputModes::OPOST;
        tcsetattr(tty, OptionalActions::Now, &mode).unwrap();
        tcgetattr(tty).unwrap()
    }

    const INPUT_PROCESSING: InputModes = InputModes::IGNBRK
        .union(InputModes::BRKINT)
        .union(InputModes::PARMRK)
        .union(InputModes::ISTRIP)
        .union(InputModes::INLCR)
        .union(InputModes::IGNCR)
        .union(InputModes::ICRNL)
        .union(InputModes::IXON);
    const LOCAL_PROCESSING: LocalModes = LocalModes::ECHO
        .union(LocalModes::ECHONL)
        .union(LocalModes::ICANON)
        .union(LocalModes::IEXTEN)
        .union(LocalModes::ISIG);

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no terminals and does not poll")]
    fn a_terminal_is_raw_and_comes_back_as_it_was() {
        let _undisturbed = undisturbed();
        for end in [|terminal: Terminal| terminal.close(), drop::<Terminal>] {
            let (_user, tty) = pty();
            let before = cooked(&tty);

            let terminal = terminal(tty.try_clone().unwrap(), null(), None, || {}, no_loss()).unwrap();
            assert!(terminal.is_terminal());
            let during = tcgetattr(&tty).unwrap();
            assert_eq!(during.input_modes & INPUT_PROCESSING, InputModes::empty());
            assert_eq!(during.local_modes & LOCAL_PROCESSING, LocalModes::empty());
            assert!(during.output_modes.contains(OutputModes::OPOST));
            end(terminal);

            let after = tcgetattr(&tty).unwrap();
            assert_eq!(after.local_modes, before.local_modes);
            assert_eq!(after.input_modes, before.input_modes);
            assert_eq!(after.output_modes, before.output_modes);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no terminals and does not poll")]
    fn all_terminals_are_restored_at_once() {
        let _alone = ALL.write().unwrap_or_else(PoisonError::into_inner);
        let ptys = [pty(), pty()];
        let before = [&ptys[0].1, &ptys[1].1].map(|tty| cooked(tty).local_modes);
        let _terminals = [&ptys[0].1, &ptys[1].1]
            .map(|tty| terminal(tty.try_clone().unwrap(), null(), None, || {}, no_loss()).unwrap());

        restore();

        let after = [&ptys[0].1, &ptys[1].1].map(|tty| tcgetattr(tty).unwrap().local_modes);
        assert_eq!(after, before);
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no terminals and does not poll")]
    fn asides_are_for_a_terminal_that_has_the_errors_too() {
        let (from, to) = pipe().unwrap();
        let mut terminal = terminal(null(), to, None, || {}, no_loss()).unwrap();

        assert!(!terminal.aside("emu: elsewhere\n"));
        terminal.has_errors = true;
        assert!(terminal.aside("emu: here\n"));
        assert!(terminal.flush(Duration::from_secs(10)));

        let mut line = [0; 64];
        let count = rustix::io::read(&from, &mut line).unwrap();
        assert_eq!(&line[..count], b"emu: here\n");
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no terminals and does not poll")]
    fn a_terminal_is_the_same_as_itself_alone() {
        let ((_user, one), (_other_user, other)) = (pty(), pty());

        assert!(is_same_terminal(&one, one.try_clone().unwrap()));
        assert!(!is_same_terminal(&one, &other));
        assert!(!is_same_terminal(null(), null()));
        assert!(!is_same_terminal(&one, null()));
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no terminals and does not poll")]
    fn keys_reach_the_guest_and_the_escape_does_not() {
        let _undisturbed = undisturbed();
        let (user, tty) = pty();
        let (tx, rx) = mpsc::channel();
        let terminal = terminal(tty, null(), Some(0x1d), move || tx.send(()).unwrap(), no_loss()).unwrap();

        rustix::io::write(&user, b"a\x03\x1db\r").unwrap();

        assert_eq!(read_all(&terminal, 4), b"a\x03b\r");
        rx.recv_timeout(Duration::from_secs(10)).unwrap();
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no terminals and does not poll")]
    fn the_escape_is_seen_though_the_guest_reads_nothing() {
        let _undisturbed = undisturbed();
        let (user, tty) = pty();
        let (tx, rx) = mpsc::channel();
        let _terminal = terminal(tty, null(), Some(0x1d), move || tx.send(()).unwrap(), no_loss()).unwrap();

        for _ in 0..2 * INPUT / 1024 {
            rustix::io::write(&user, &[b'x'; 1024]).unwrap();
        }
        rustix::io::write(&user, b"\x1d").unwrap();

        rx.recv_timeout(Duration::from_secs(10)).unwrap();
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no terminals and does not poll")]
    fn a_pipe_is_read_as_the_guest_reads_with_every_byte_its_own() {
        let (from, to) = pipe().unwrap();
        let terminal = terminal(from, null(), Some(b'x'), || panic!("no terminal, no escape"), no_loss()).unwrap();
        assert!(!terminal.is_terminal());
        assert!(!terminal.is_at_end());
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
        until("the pipe's end is seen", || terminal.is_at_end());
        assert_eq!(terminal.read(&mut [0]), 0);
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no terminals and does not poll")]
    fn output_is_held_back_for_a_slow_reader_and_none_is_lost() {
        let (from, to) = pipe().unwrap();
        let terminal = terminal(null(), to, None, || {}, no_loss()).unwrap();
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
    #[cfg_attr(miri, ignore = "Miri has no terminals and does not poll")]
    fn a_readers_panic_is_told() {
        let _undisturbed = undisturbed();
        let (user, tty) = pty();
        let (tx, rx) = mpsc::channel();
        let threads = Threads::new(move || tx.send(()).unwrap());
        // Without the hook, which would restore other tests' terminals.
        let lost = || std::panic::resume_unwind(Box::new("lost"));
        let _terminal = Terminal::new(&threads, tty, null(), Some(0x1d), lost, no_loss()).unwrap();

        rustix::io::write(&user, b"\x1d").unwrap();

        rx.recv_timeout(Duration::from_secs(10)).unwrap();
        assert!(threads.take_panic().is_some());
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no terminals and does not poll")]
    fn closed_output_takes_everything_and_is_said_to_be_lost() {
        let (from, to) = pipe().unwrap();
        drop(from);
        let (tx, rx) = mpsc::channel();
        let lost = Box::new(move |error: io::Error| tx.send(error.kind()).unwrap());
        let terminal = terminal(null(), to, None, || {}, lost).unwrap();

        terminal.write(b"x");
        assert!(terminal.flush(Duration::from_secs(10)));
        assert_eq!(rx.try_recv(), Ok(io::ErrorKind::BrokenPipe));

        assert_eq!(terminal.write(&[0; 2 * OUTPUT]), 2 * OUTPUT);
    }
}

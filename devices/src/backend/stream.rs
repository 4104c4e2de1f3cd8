//! Bytes between a device and host descriptors: two bounded buffers, a thread that writes, and whoever reads.
//!
//! Output goes to one reader at a time, the [`Stream`]'s outlet. A reader that is slow holds the guest back, so that
//! nothing is lost; while there is none, the newest output waits for the next one and the oldest is dropped. A file, a
//! pipe and a terminal are the only reader there will be: output that they do not take is lost, and somebody is told.

use super::{CharBackend, CharClient, Made};
use crate::bus::Threads;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::Errno;
use rustix::time::Timespec;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bytes of output held for a slow reader before the guest has to wait.
pub(super) const OUTPUT: usize = 64 << 10;
/// Bytes of input held for the guest before a source that can wait is no longer read.
pub(super) const INPUT: usize = 64 << 10;
/// The same for a source that is read on for what else it says: beyond it input is lost.
const KEYS: usize = 1 << 20;
/// How long closing waits for output to be written.
const LINGER: Duration = Duration::from_secs(1);
/// Bytes of the program's own lines that wait for the guest's line to end, at most.
const ASIDES: usize = 64 << 10;
/// How long the guest is silent within a line before it is cut.
const SILENCE: Duration = Duration::from_millis(300);

/// Who hears that output is lost from now on, and why: once, on the writer's thread, with nothing locked.
pub type OnLost = Box<dyn FnOnce(io::Error) + Send>;

/// A character backend on host descriptors. Closed with its last use.
pub struct Stream {
    shared: Arc<Channel>,
    threads: Threads,
    /// A file that is there only as long as the stream is.
    place: Option<Made>,
    /// A file that is there after it only if it is kept.
    made: Option<Made>,
}

/// What the threads of a [`Stream`] hold of it.
pub(super) struct Channel {
    /// Wakes threads from their polls.
    stop: OwnedFd,
    buffers: Mutex<Buffers>,
    /// The buffers have changed.
    changed: Condvar,
    client: Mutex<Option<Arc<dyn CharClient>>>,
}

/// Who gets the output.
enum Outlet {
    /// Nobody at present.
    Absent,
    /// Whoever reads from this descriptor.
    Open(Arc<OwnedFd>),
    /// Nobody any more.
    Closed,
}

struct Buffers {
    input: VecDeque<u8>,
    output: VecDeque<u8>,
    outlet: Outlet,
    /// Bytes that the writer thread has taken and not yet written.
    writing: usize,
    /// Lines of the program's own, to be written between two of the guest's.
    asides: Vec<u8>,
    /// The guest's line on the outlet has not ended.
    is_mid_line: bool,
    /// Somebody waits for everything to be written.
    is_urgent: bool,
    /// The only source of input has ended.
    is_at_end: bool,
    /// A write did not fit: the client waits for room.
    blocked: bool,
    stop: bool,
}

impl Stream {
    /// Without input; readers of the output come and go. `name` is for the writer's thread, one of `threads`.
    ///
    /// # Errors
    /// The host refuses a descriptor or a thread.
    pub(super) fn new(threads: &Threads, name: &str) -> io::Result<Stream> {
        Stream::start(threads, name, Outlet::Absent, None)
    }

    /// Without input, and with `outlet` as the only reader of the output.
    ///
    /// # Errors
    /// The host refuses a descriptor or a thread.
    pub(super) fn to(threads: &Threads, name: &str, outlet: OwnedFd, on_lost: OnLost) -> io::Result<Stream> {
        Stream::start(threads, name, Outlet::Open(Arc::new(outlet)), Some(on_lost))
    }

    fn start(threads: &Threads, name: &str, outlet: Outlet, on_lost: Option<OnLost>) -> io::Result<Stream> {
        let shared = Arc::new(Channel {
            stop: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            buffers: Mutex::new(Buffers {
                input: VecDeque::new(),
                output: VecDeque::new(),
                outlet,
                writing: 0,
                asides: Vec::new(),
                is_mid_line: false,
                is_urgent: false,
                is_at_end: false,
                blocked: false,
                stop: false,
            }),
            changed: Condvar::new(),
            client: Mutex::default(),
        });
        let stream = Stream {
            shared: shared.clone(),
            threads: threads.clone(),
            place: None,
            made: None,
        };
        threads.spawn(&format!("{name}-out"), move || shared.write_output(on_lost))?;
        Ok(stream)
    }

    /// Runs `body` on a thread of its own, until it ends; it should when [`Channel::wait_readable`] tells it to.
    pub(super) fn spawn(&self, name: &str, body: impl FnOnce(&Channel) + Send + 'static) -> io::Result<()> {
        let shared = self.shared.clone();
        self.threads.spawn(&format!("{name}-in"), move || body(&shared))
    }

    /// There is no input.
    pub(super) fn end_input(&self) {
        self.shared.end_input();
    }

    /// Has this file removed when the stream is closed.
    pub(super) fn remove_at_close(&mut self, file: Made) {
        self.place = Some(file);
    }

    /// Has this file removed when the stream is closed, unless it is kept.
    pub(super) fn remove_unless_kept(&mut self, file: Option<Made>) {
        self.made = file;
    }

    /// The file that the output goes to stays, if it is one: the run has begun.
    pub fn keep_file(&self) {
        self.made.iter().for_each(Made::keep);
    }

    /// Has a line of the program's own, which ends with a line feed, written to the outlet: between two lines of the
    /// guest's, or after a while of silence. False where nobody reads, or too much waits already: nothing is done then.
    pub(super) fn aside(&self, line: &str) -> bool {
        let mut buffers = self.shared.buffers();
        let is_taken = matches!(buffers.outlet, Outlet::Open(_)) && buffers.asides.len() + line.len() <= ASIDES;
        if is_taken {
            buffers.asides.extend(line.as_bytes());
            drop(buffers);
            self.shared.changed.notify_all();
        }
        is_taken
    }

    /// Waits until all output is written that somebody reads, at most for `limit`. Returns whether it was.
    pub fn flush(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        let is_left = |buffers: &Buffers| matches!(buffers.outlet, Outlet::Open(_)) && buffers.is_left();
        let mut buffers = self.shared.buffers();
        buffers.is_urgent = true;
        self.shared.changed.notify_all();
        while is_left(&buffers) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.shared.changed.wait_timeout(buffers, left);
            buffers = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        buffers.is_urgent = false;
        !is_left(&buffers)
    }

    /// Writes what there is (for at most a second) and stops. Later output is dropped. Happens by itself with the last
    /// use of the backend.
    pub fn close(&self) {
        self.flush(LINGER);
        let mut buffers = self.shared.buffers();
        if std::mem::replace(&mut buffers.stop, true) {
            return;
        }
        buffers.outlet = Outlet::Closed;
        drop(buffers);
        self.place.iter().chain(&self.made).for_each(Made::remove);
        self.shared.changed.notify_all();
        // The counter cannot overflow from one write, and failing would only leave an idle thread behind.
        let _ = rustix::io::write(&self.shared.stop, &1u64.to_ne_bytes());
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.close();
    }
}

impl CharBackend for Stream {
    fn write(&self, bytes: &[u8]) -> usize {
        let mut buffers = self.shared.buffers();
        let room = OUTPUT - buffers.output.len();
        let taken = match buffers.outlet {
            Outlet::Closed => return bytes.len(),
            Outlet::Absent => {
                let surplus = bytes.len().saturating_sub(room).min(buffers.output.len());
                buffers.output.drain(..surplus);
                let older = bytes.len().saturating_sub(OUTPUT);
                buffers.output.extend(bytes.iter().skip(older));
                return bytes.len();
            }
            Outlet::Open(_) => bytes.len().min(room),
        };
        buffers.blocked |= taken < bytes.len();
        let idle = buffers.output.is_empty();
        buffers.output.extend(bytes.iter().take(taken));
        drop(buffers);
        if idle && taken != 0 {
            self.shared.changed.notify_all();
        }
        taken
    }

    fn read(&self, bytes: &mut [u8]) -> usize {
        let mut buffers = self.shared.buffers();
        let count = bytes.len().min(buffers.input.len());
        let was_full = buffers.input.len() >= INPUT;
        for (slot, byte) in bytes.iter_mut().zip(buffers.input.drain(..count)) {
            *slot = byte;
        }
        drop(buffers);
        if was_full {
            self.shared.changed.notify_all();
        }
        count
    }

    fn is_at_end(&self) -> bool {
        let buffers = self.shared.buffers();
        buffers.is_at_end && buffers.input.is_empty()
    }

    fn connect(&self, client: Box<dyn CharClient>) {
        *self.shared.client.lock().unwrap_or_else(PoisonError::into_inner) = Some(client.into());
    }
}

impl Buffers {
    /// Whether there is something that is not written yet.
    fn is_left(&self) -> bool {
        self.output.len() + self.asides.len() + self.writing != 0
    }

    /// Moves what is to be written next into `chunk`; false if that is nothing, or is to wait for the end of the guest's
    /// line. `was_silent` says that the guest has not gone on with it for a while.
    fn take_chunk(&mut self, chunk: &mut Vec<u8>, was_silent: bool) -> bool {
        chunk.clear();
        let is_cut = self.is_mid_line && self.output.is_empty() && (was_silent || self.is_urgent);
        if !self.asides.is_empty() && (is_cut || !self.is_mid_line) {
            chunk.extend(is_cut.then_some(b'\n'));
            chunk.append(&mut self.asides);
            self.is_mid_line = false;
        } else {
            let most = self.output.len().min(4096);
            let count = match self.asides.is_empty() {
                true => most,
                false => {
                    let end = self.output.iter().take(most).position(|&byte| byte == b'\n');
                    end.map_or(most, |at| at + 1)
                }
            };
            chunk.extend(self.output.drain(..count));
            self.is_mid_line = chunk.last().map_or(self.is_mid_line, |&last| last != b'\n');
        }
        self.writing = chunk.len();
        self.writing != 0
    }
}

impl Channel {
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

    /// Gives the output to `outlet` from now on.
    pub(super) fn attach(&self, outlet: Arc<OwnedFd>) {
        let mut buffers = self.buffers();
        if !buffers.stop {
            buffers.outlet = Outlet::Open(outlet);
        }
        drop(buffers);
        self.changed.notify_all();
    }

    /// The reader of the output has gone. What it has not read waits for the next one.
    pub(super) fn detach(&self) {
        let mut buffers = self.buffers();
        if !buffers.stop {
            buffers.outlet = Outlet::Absent;
        }
        self.resume(buffers);
    }

    /// Waits until there is something to read from `fd`, or it has ended, or for `limit`; what it is. None when stopped,
    /// and when the host refuses.
    pub(super) fn wait_readable(&self, fd: impl AsFd, limit: Option<Duration>) -> Option<PollFlags> {
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        loop {
            let mut fds = [PollFd::new(&fd, PollFlags::IN), PollFd::new(&self.stop, PollFlags::IN)];
            let polled = poll(&mut fds, limit.as_ref());
            let [input, stop] = fds;
            match polled {
                Err(Errno::INTR) => {}
                Err(error) => {
                    tracing::debug!("input cannot be waited for: {error}");
                    return None;
                }
                Ok(_) => return stop.revents().is_empty().then(|| input.revents()),
            }
        }
    }

    /// Lets `time` pass; false when stopped.
    pub(super) fn pause(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        let mut buffers = self.buffers();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if buffers.stop || left.is_zero() {
                return !buffers.stop;
            }
            let waited = self.changed.wait_timeout(buffers, left);
            buffers = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Hands what can be read from `fd` to `take`, until it ends or the stream is stopped. A source that is not
    /// `urgent` is left alone while the guest has enough to read.
    pub(super) fn read_input(&self, fd: &OwnedFd, urgent: bool, mut take: impl FnMut(&[u8])) {
        let mut chunk = [0; 4096];
        loop {
            let mut buffers = self.buffers();
            while !buffers.stop && !urgent && buffers.input.len() >= INPUT {
                buffers = self.wait(buffers);
            }
            drop(buffers);
            if self.wait_readable(fd, None).is_none() {
                return;
            }
            match rustix::io::read(fd, &mut chunk) {
                Ok(0) => return,
                Ok(count) => take(chunk.get(..count).unwrap_or(&chunk)),
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => return tracing::debug!("input ended: {error}"),
            }
        }
    }

    /// No more input comes.
    pub(super) fn end_input(&self) {
        self.buffers().is_at_end = true;
    }

    /// Input for the guest.
    pub(super) fn feed(&self, bytes: &[u8]) {
        let mut buffers = self.buffers();
        let room = KEYS.saturating_sub(buffers.input.len());
        buffers.input.extend(bytes.iter().take(room));
        drop(buffers);
        if !bytes.is_empty() {
            self.notify_client();
        }
    }

    /// The writer's thread: ends when stopped. `on_lost` is for an outlet that no other follows.
    fn write_output(&self, mut on_lost: Option<OnLost>) {
        let mut chunk = Vec::with_capacity(4096);
        while let Some(outlet) = self.next_chunk(&mut chunk) {
            let written = self.write_all(&outlet, &chunk);
            match (&written, &mut on_lost) {
                (Err((error, _)), Some(_)) if *error != Errno::CANCELED => {
                    // Told before anybody who waits for the output goes on.
                    on_lost.take().into_iter().for_each(|lost| lost((*error).into()));
                    self.abandon();
                }
                _ => self.settle(&outlet, &chunk, written),
            }
        }
    }

    /// Takes what is to be written next, and says where to; none when stopped.
    fn next_chunk(&self, chunk: &mut Vec<u8>) -> Option<Arc<OwnedFd>> {
        let mut buffers = self.buffers();
        let mut was_silent = false;
        loop {
            let outlet = match &buffers.outlet {
                _ if buffers.stop => return None,
                Outlet::Open(outlet) => outlet.clone(),
                Outlet::Absent | Outlet::Closed => {
                    buffers = self.wait(buffers);
                    continue;
                }
            };
            if buffers.take_chunk(chunk, was_silent) {
                return Some(outlet);
            }
            if buffers.asides.is_empty() {
                buffers = self.wait(buffers);
            } else {
                let waited = self.changed.wait_timeout(buffers, SILENCE);
                let (back, limit) = waited.unwrap_or_else(PoisonError::into_inner);
                (buffers, was_silent) = (back, limit.timed_out());
            }
        }
    }

    /// The only reader takes no more: what was for it is dropped from now on.
    fn abandon(&self) {
        let mut buffers = self.buffers();
        (buffers.outlet, buffers.writing) = (Outlet::Closed, 0);
        buffers.output.clear();
        buffers.asides.clear();
        self.resume(buffers);
    }

    /// Takes note of how writing a chunk went.
    fn settle(&self, outlet: &Arc<OwnedFd>, chunk: &[u8], written: Result<(), (Errno, usize)>) {
        let mut buffers = self.buffers();
        buffers.writing = 0;
        if let Err((error, count)) = written {
            tracing::debug!("output ended: {error}");
            // What was not written is for the next reader, as far as there is room.
            let room = OUTPUT.saturating_sub(buffers.output.len());
            let left = chunk.iter().skip(count).rev().take(room);
            left.for_each(|&byte| buffers.output.push_front(byte));
            // Another reader may have come meanwhile.
            if matches!(&buffers.outlet, Outlet::Open(current) if Arc::ptr_eq(current, outlet)) {
                buffers.outlet = Outlet::Absent;
            }
        }
        self.resume(buffers);
    }

    /// There is room again, or nobody to wait for.
    fn resume(&self, mut buffers: MutexGuard<'_, Buffers>) {
        let blocked = std::mem::take(&mut buffers.blocked);
        drop(buffers);
        self.changed.notify_all();
        if blocked {
            self.notify_client();
        }
    }

    /// Writes all of `bytes`, unless the stream is stopped. The error says how many were written.
    fn write_all(&self, outlet: &OwnedFd, bytes: &[u8]) -> Result<(), (Errno, usize)> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            match rustix::io::write(outlet, rest) {
                Ok(0) => return Err((Errno::IO, at)),
                Ok(count) => at += count,
                Err(Errno::INTR) => {}
                // A socket, or someone shares the descriptor and made it non-blocking.
                Err(Errno::AGAIN) => {
                    let mut fds = [
                        PollFd::new(outlet, PollFlags::OUT),
                        PollFd::new(&self.stop, PollFlags::IN),
                    ];
                    let polled = poll(&mut fds, None);
                    let [_, stop] = fds;
                    match polled {
                        Ok(_) if !stop.revents().is_empty() => return Err((Errno::CANCELED, at)),
                        Ok(_) | Err(Errno::INTR) => {}
                        Err(error) => return Err((error, at)),
                    }
                }
                Err(error) => return Err((error, at)),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use emu_ir::testing::until;
    use rustix::pipe::pipe;

    const LIMIT: Duration = Duration::from_secs(10);

    /// A stream into a pipe, with the pipe's other end.
    fn piped() -> (Stream, OwnedFd) {
        let (reader, outlet) = pipe().unwrap();
        let stream = Stream::to(
            &Threads::default(),
            "test",
            outlet,
            Box::new(|error| panic!("lost: {error}")),
        )
        .unwrap();
        (stream, reader)
    }

    /// All that is written by the time the stream is closed.
    fn all(stream: &Stream, reader: &OwnedFd) -> String {
        assert!(stream.flush(LIMIT));
        let mut bytes = [0; 4096];
        let count = rustix::io::read(reader, &mut bytes).unwrap();
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    }

    #[test]
    fn output_that_its_only_reader_does_not_take_is_said_to_be_lost_before_a_flush_ends() {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let (tx, rx) = std::sync::mpsc::channel();
        let lost = Box::new(move |error: io::Error| tx.send(error.kind()).unwrap());
        let stream = Stream::to(&Threads::default(), "test", full.into(), lost).unwrap();

        stream.write(b"word");

        assert!(stream.flush(LIMIT));
        assert_eq!(rx.try_recv(), Ok(io::ErrorKind::StorageFull));
        assert_eq!(
            stream.write(&[0; 2 * OUTPUT]),
            2 * OUTPUT,
            "nobody holds the guest back"
        );
    }

    #[test]
    fn an_aside_waits_for_the_end_of_the_guests_line() {
        let (stream, reader) = piped();

        stream.write(b"one");
        assert!(stream.flush(LIMIT));
        assert!(stream.aside("emu: aside\n"));
        stream.write(b" line\nand ");

        assert_eq!(all(&stream, &reader), "one line\nemu: aside\nand ");
    }

    #[test]
    fn an_aside_cuts_a_line_that_does_not_go_on() {
        let (stream, reader) = piped();

        stream.write(b"login: ");
        assert!(stream.flush(LIMIT));
        stream.aside("emu: aside\n");
        std::thread::sleep(2 * SILENCE);
        stream.write(b"root");

        assert_eq!(all(&stream, &reader), "login: \nemu: aside\nroot");
    }

    #[test]
    fn too_many_asides_are_refused() {
        let (stream, _reader) = piped();
        stream.write(b"within a line");
        assert!(stream.flush(LIMIT));

        assert!(stream.aside(&"x".repeat(ASIDES)));

        assert!(!stream.aside("y"));
    }

    #[test]
    fn what_a_reader_did_not_take_waits_for_the_next() {
        let stream = Stream::new(&Threads::default(), "test").unwrap();
        let limit = Duration::from_secs(10);

        let (gone, outlet) = pipe().unwrap();
        drop(gone);
        stream.shared.attach(Arc::new(outlet));
        stream.write(b"word");
        assert!(stream.flush(limit));
        let (reader, outlet) = pipe().unwrap();
        stream.shared.attach(Arc::new(outlet));
        assert!(stream.flush(limit));

        let mut word = [0; 4];
        assert_eq!(rustix::io::read(&reader, &mut word), Ok(4));
        assert_eq!(&word, b"word");
    }

    /// Hears when the stream is ready again.
    fn client(stream: &Stream) -> std::sync::mpsc::Receiver<()> {
        let (tx, rx) = std::sync::mpsc::channel();
        let ready: Box<dyn CharClient> = Box::new(move || {
            let _ = tx.send(());
        });
        stream.connect(ready);
        rx
    }

    #[test]
    fn who_found_no_room_is_told_when_there_is_some_and_nobody_else() {
        let (stream, _reader) = piped();
        let ready = client(&stream);

        for _ in 0..2 {
            assert_eq!(stream.write(b"word"), 4);
            assert!(stream.flush(LIMIT));
        }
        assert!(ready.try_recv().is_err());
        assert!(stream.write(&[b'x'; 2 * OUTPUT]) < 2 * OUTPUT);

        ready.recv_timeout(LIMIT).unwrap();
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri does not poll")]
    fn a_source_that_had_to_wait_goes_on_once_the_guest_has_read() {
        let (from, to) = pipe().unwrap();
        let stream = Stream::new(&Threads::default(), "test").unwrap();
        let take = move |shared: &Channel| shared.read_input(&from, false, |bytes| shared.feed(bytes));
        stream.spawn("test", take).unwrap();
        let sent = INPUT + 4 * 4096;
        let writer = std::thread::spawn(move || {
            for _ in 0..sent / 4096 {
                assert_eq!(rustix::io::write(&to, &[b'x'; 4096]), Ok(4096));
            }
        });

        let there = || stream.shared.buffers().input.len();
        until("full", || there() >= INPUT);
        writer.join().unwrap();
        std::thread::sleep(Duration::from_millis(20));
        assert!(there() < INPUT + 4096, "it is left alone meanwhile");
        let got = stream.read(&mut vec![0; 2 * INPUT]);

        until("all of it", || got + there() == sent);
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri makes no descriptor non-blocking")]
    fn nothing_goes_to_a_reader_that_has_gone() {
        let stream = Stream::new(&Threads::default(), "test").unwrap();
        let (reader, outlet) = pipe().unwrap();
        rustix::io::ioctl_fionbio(&reader, true).unwrap();

        stream.shared.attach(Arc::new(outlet.try_clone().unwrap()));
        stream.shared.detach();
        for _ in 0..3 {
            assert_eq!(stream.write(&[b'x'; OUTPUT]), OUTPUT, "nobody holds the guest back");
        }
        std::thread::sleep(Duration::from_millis(5));

        assert_eq!(rustix::io::read(&reader, &mut [0; 1]), Err(Errno::AGAIN));
    }

    #[test]
    fn a_pause_ends_with_its_time_or_with_the_stream() {
        let stream = Stream::new(&Threads::default(), "test").unwrap();
        let (begin, time) = (Instant::now(), Duration::from_millis(10));

        assert!(stream.shared.pause(time));
        assert!(begin.elapsed() >= time);
        stream.close();
        assert!(!stream.shared.pause(LIMIT));
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri does not poll")]
    fn a_reader_that_does_not_block_gets_everything() {
        let (reader, outlet) = pipe().unwrap();
        rustix::io::ioctl_fionbio(&outlet, true).unwrap();
        let lost = Box::new(|error| panic!("lost: {error}"));
        let stream = Stream::to(&Threads::default(), "test", outlet, lost).unwrap();
        let ready = client(&stream);

        let sent: Vec<u8> = (0..4 * OUTPUT).map(|n| (n / 3) as u8).collect();
        let expected = sent.clone();
        let slow = std::thread::spawn(move || {
            let (mut got, mut chunk) = (Vec::new(), [0; 1 << 15]);
            while got.len() < expected.len() {
                std::thread::sleep(Duration::from_millis(1));
                let count = rustix::io::read(&reader, &mut chunk).unwrap();
                got.extend_from_slice(&chunk[..count]);
            }
            assert!(got == expected);
        });
        let mut rest = &sent[..];
        while !rest.is_empty() {
            rest = &rest[stream.write(rest)..];
            if !rest.is_empty() {
                ready.recv_timeout(LIMIT).unwrap();
            }
        }

        slow.join().unwrap();
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri does not poll")]
    fn the_writer_ends_with_its_stream_though_nobody_reads_and_calls_nothing_lost() {
        let (tx, lost) = std::sync::mpsc::channel();
        for sent in [0, 4 * OUTPUT] {
            let (_reader, outlet) = pipe().unwrap();
            rustix::io::ioctl_fionbio(&outlet, true).unwrap();
            let tx = tx.clone();
            let on_lost = Box::new(move |error: io::Error| tx.send(error.kind()).unwrap());
            let stream = Stream::to(&Threads::default(), "test", outlet, on_lost).unwrap();

            stream.write(&vec![b'x'; sent]);
            std::thread::sleep(Duration::from_millis(5));
            stream.write(&vec![b'x'; sent]);
            let channel = Arc::downgrade(&stream.shared);
            drop(stream);

            until("the end of the thread", || channel.strong_count() == 0);
        }
        assert!(lost.try_recv().is_err());
    }
}

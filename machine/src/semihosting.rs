//! Semihosting: what a program without an operating system asks of the host (Arm, Semihosting for AArch32 and AArch64,
//! 2.0): a console, files below a folder of the user's, time, its command line, and its exit.
//!
//! One host serves all CPUs of a machine. A call that has to wait for the console lets the CPU look at interrupts and
//! comes again.

mod files;

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam::channel::Sender;
use emu_devices::backend::CharBackend;
use emu_devices::bus::{Clock, Format, GuestMemory, LoadError, Saved};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::events::Event;
use crate::space::{AddressSpace, SystemMemory};
use files::{Files, Open, SavedFile};

/// Operations.
mod sys {
    pub const OPEN: u32 = 0x01;
    pub const CLOSE: u32 = 0x02;
    pub const WRITEC: u32 = 0x03;
    pub const WRITE0: u32 = 0x04;
    pub const WRITE: u32 = 0x05;
    pub const READ: u32 = 0x06;
    pub const READC: u32 = 0x07;
    pub const ISERROR: u32 = 0x08;
    pub const ISTTY: u32 = 0x09;
    pub const SEEK: u32 = 0x0a;
    pub const FLEN: u32 = 0x0c;
    pub const TMPNAM: u32 = 0x0d;
    pub const REMOVE: u32 = 0x0e;
    pub const RENAME: u32 = 0x0f;
    pub const CLOCK: u32 = 0x10;
    pub const TIME: u32 = 0x11;
    pub const SYSTEM: u32 = 0x12;
    pub const ERRNO: u32 = 0x13;
    pub const GET_CMDLINE: u32 = 0x15;
    pub const HEAPINFO: u32 = 0x16;
    pub const EXIT: u32 = 0x18;
    pub const EXIT_EXTENDED: u32 = 0x20;
    pub const ELAPSED: u32 = 0x30;
    pub const TICKFREQ: u32 = 0x31;
}

/// ADP_Stopped_ApplicationExit: the reason of an exit in order.
const APPLICATION_EXIT: u32 = 0x2_0026;
/// What an operation that failed returns.
const FAILED: u32 = u32::MAX;
/// Longest name of a file, in bytes.
const NAME: u32 = 4096;
/// Bytes of a page: what is moved at once.
const PAGE: u32 = 4096;
/// How long a call waits for the console before the CPU looks at interrupts.
const PATIENCE: Duration = Duration::from_millis(5);
/// How often a console without room is looked at.
const LOOK: Duration = Duration::from_millis(1);

const FORMAT: Format = Format::first("semihosting");

/// What programs get of the host by semihosting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SemihostingConfig {
    /// The folder whose files they reach.
    pub folder: Option<PathBuf>,
    /// Their command line.
    pub args: String,
}

/// What a call did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// It returned this.
    Return(u32),
    /// It is to be made again.
    Wait,
    /// The program has ended: the run ends.
    Exit,
}

/// What went wrong for the guest.
enum Stop {
    /// The call failed for this reason.
    Failed(Errno),
    /// See [`Done::Wait`].
    Wait,
}

impl From<Errno> for Stop {
    fn from(error: Errno) -> Stop {
        Stop::Failed(error)
    }
}

/// What the host is made from.
pub struct Surroundings {
    /// The console.
    pub console: Arc<dyn CharBackend>,
    /// Whether a user types at it.
    pub is_terminal: bool,
    /// Physical memory.
    pub space: Arc<AddressSpace>,
    /// RAM.
    pub memory: SystemMemory,
    /// The machine's clock.
    pub clock: Clock,
    /// Where the exit is said.
    pub events: Sender<Event>,
    /// RAM that the program has for heap and stack: the first address, and the one after the last.
    pub free: (u64, u64),
}

/// The host, as a machine's CPUs call it.
pub struct Semihosting {
    around: Surroundings,
    command_line: String,
    inner: Mutex<Inner>,
}

struct Inner {
    files: Files,
    errno: u32,
    /// A call that waits for the console, and how much of its output is shown.
    waiting: Option<(Call, u32)>,
}

/// What a saved machine knows of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    files: Vec<Option<SavedFile>>,
    errno: u32,
    #[serde(deserialize_with = "Option::deserialize")]
    waiting: Option<(Call, u32)>,
}

/// A call, by what is the same when it comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Call {
    cpu: usize,
    operation: u32,
    /// Its parameter.
    at: u32,
}

/// A caller's memory.
struct Caller<'a> {
    host: &'a Semihosting,
    physical: &'a mut dyn FnMut(u32) -> Option<u64>,
}

impl Semihosting {
    /// The host that `config` describes.
    ///
    /// # Errors
    /// The folder cannot be opened.
    pub fn new(config: &SemihostingConfig, around: Surroundings) -> io::Result<Semihosting> {
        let inner = Inner {
            files: Files::new(config.folder.as_deref())?,
            errno: 0,
            waiting: None,
        };
        Ok(Semihosting {
            around,
            command_line: config.args.clone(),
            inner: Mutex::new(inner),
        })
    }

    /// Closes the program's files: the machine is reset.
    pub fn reset(&self) {
        let mut inner = self.inner();
        inner.files.close_all();
        (inner.errno, inner.waiting) = (0, None);
    }

    /// What is open, and what waits, for a snapshot.
    ///
    /// # Errors
    /// A file that is open could not be opened again by its name.
    pub fn save(&self) -> io::Result<Saved> {
        let inner = self.inner();
        let state = State {
            files: inner.files.save()?,
            errno: inner.errno,
            waiting: inner.waiting,
        };
        Ok(Saved::new(&FORMAT, &state))
    }

    /// Has open what was.
    ///
    /// # Errors
    /// [`LoadError`]; all is then as it was.
    pub fn load(&self, saved: &Saved) -> Result<(), LoadError> {
        let state: State = saved.state(&FORMAT)?;
        let mut inner = self.inner();
        inner
            .files
            .load(&state.files)
            .map_err(|reason| FORMAT.impossible(reason))?;
        (inner.errno, inner.waiting) = (state.errno, state.waiting);
        Ok(())
    }

    /// A call of CPU number `cpu`, with its operation and parameter. `physical` tells the physical address of a byte of the
    /// caller's memory.
    pub fn call(&self, cpu: usize, [operation, at]: [u32; 2], physical: &mut dyn FnMut(u32) -> Option<u64>) -> Done {
        let mut caller = Caller { host: self, physical };
        match operation {
            sys::EXIT => {
                self.exit(u32::from(at != APPLICATION_EXIT));
                return Done::Exit;
            }
            sys::EXIT_EXTENDED => {
                let block = caller.words::<2>(at);
                self.exit(match block {
                    Ok([APPLICATION_EXIT, status]) => status,
                    _ => 1,
                });
                return Done::Exit;
            }
            _ => {}
        }
        let call = Call { cpu, operation, at };
        match self.serve(call, &mut caller) {
            Ok(value) => Done::Return(value),
            Err(Stop::Wait) => Done::Wait,
            Err(Stop::Failed(error)) => {
                self.inner().errno = error.raw_os_error() as u32;
                Done::Return(FAILED)
            }
        }
    }

    /// The program has ended with `status`: that of the run is its low byte, and not success if it is not.
    fn exit(&self, status: u32) {
        let low = status as u8;
        let status = if low == 0 && status != 0 { 1 } else { low };
        // Nobody listens any more when the machine has already ended.
        let _ = self.around.events.send(Event::Exited(status));
    }

    fn serve(&self, call: Call, caller: &mut Caller) -> Result<u32, Stop> {
        let at = call.at;
        match call.operation {
            sys::OPEN => {
                let [name, mode, length] = caller.words(at)?;
                let name = caller.name(name, length)?;
                Ok(self.inner().files.open(&name, mode)?)
            }
            sys::CLOSE => {
                let [handle] = caller.words(at)?;
                Ok(self.inner().files.close(handle).map(|()| 0)?)
            }
            sys::WRITEC => {
                let byte: [u8; 1] = caller.bytes(at)?;
                let rest = |shown| Ok(byte.get(shown as usize..).unwrap_or_default().to_vec());
                self.show(call, rest).map(|()| 0)
            }
            sys::WRITE0 => caller.show_string(call).map(|()| 0),
            sys::WRITE => caller.write(call),
            sys::READ => caller.read(at),
            sys::READC => {
                let mut byte = [0];
                match self.typed(&mut byte)? {
                    0 => Ok(FAILED),
                    _ => Ok(byte[0].into()),
                }
            }
            sys::ISERROR => {
                let [status] = caller.words(at)?;
                Ok(u32::from((status as i32) < 0))
            }
            sys::ISTTY => {
                let [handle] = caller.words(at)?;
                Ok(self.inner().files.get(handle)?.is_terminal().into())
            }
            sys::SEEK => {
                let [handle, to] = caller.words(at)?;
                Ok(self.inner().files.get(handle)?.seek(to).map(|()| 0)?)
            }
            sys::FLEN => {
                let [handle] = caller.words(at)?;
                let length = self.inner().files.get(handle)?.len()?;
                Ok(u32::try_from(length).map_err(|_| Errno::FBIG)?)
            }
            sys::TMPNAM => caller.temporary_name(at),
            sys::REMOVE => {
                let [name, length] = caller.words(at)?;
                let name = caller.name(name, length)?;
                Ok(self.inner().files.remove(&name).map(|()| 0)?)
            }
            sys::RENAME => {
                let [from, from_length, to, to_length] = caller.words(at)?;
                let (from, to) = (caller.name(from, from_length)?, caller.name(to, to_length)?);
                Ok(self.inner().files.rename(&from, &to).map(|()| 0)?)
            }
            sys::CLOCK => Ok((self.around.clock.now_ns() / 10_000_000) as u32),
            sys::TIME => Ok(SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |t| t.as_secs() as u32)),
            sys::SYSTEM => Err(Errno::PERM.into()),
            sys::ERRNO => Ok(self.inner().errno),
            sys::GET_CMDLINE => caller.command_line(at),
            sys::HEAPINFO => caller.heap(at),
            sys::ELAPSED => {
                let now = self.around.clock.now_ns();
                caller.put(at, &now.to_le_bytes())?;
                Ok(0)
            }
            sys::TICKFREQ => Ok(1_000_000_000),
            _ => Err(Errno::NOSYS.into()),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows what the console has room for of a call's output; waits for room. `chunk` gives the output from an offset on,
    /// nothing at its end.
    fn show(&self, call: Call, mut chunk: impl FnMut(u32) -> Result<Vec<u8>, Errno>) -> Result<(), Stop> {
        let end = Instant::now() + PATIENCE;
        let mut shown = self.inner().resume(call);
        loop {
            let bytes = chunk(shown)?;
            if bytes.is_empty() {
                return Ok(());
            }
            let count = self.around.console.write(&bytes);
            shown += count as u32;
            if count < bytes.len() {
                if Instant::now() >= end {
                    self.inner().waiting = Some((call, shown));
                    return Err(Stop::Wait);
                }
                thread::sleep(LOOK);
            }
        }
    }

    /// What is typed at the console, at least a byte; none at its end.
    fn typed(&self, bytes: &mut [u8]) -> Result<usize, Stop> {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.around.console.read(bytes) {
                0 if self.around.console.is_at_end() => return Ok(0),
                0 if Instant::now() >= end => return Err(Stop::Wait),
                0 => thread::sleep(LOOK),
                count => {
                    if self.around.is_terminal {
                        // The terminal is raw: its Enter key is a carriage return.
                        let typed = bytes.iter_mut().take(count);
                        typed.filter(|b| **b == b'\r').for_each(|b| *b = b'\n');
                    }
                    return Ok(count);
                }
            }
        }
    }
}

impl Inner {
    /// How much of this call's output is shown already, if it comes again.
    fn resume(&mut self, call: Call) -> u32 {
        let waiting = self.waiting.take_if(|(its, _)| *its == call);
        waiting.map_or(0, |(_, shown)| shown)
    }
}

impl Caller<'_> {
    /// Does `part` to each piece of the caller's memory that is on one page: its physical address, and where it is in the
    /// whole.
    fn pieces(&mut self, at: u32, length: usize, mut part: impl FnMut(u64, Range<usize>) -> bool) -> Result<(), Errno> {
        let mut done = 0;
        while done < length {
            let va = at.wrapping_add(done as u32);
            let here = (PAGE - va % PAGE) as usize;
            let end = length.min(done + here);
            let physical = (self.physical)(va).ok_or(Errno::FAULT)?;
            if !part(physical, done..end) {
                return Err(Errno::FAULT);
            }
            done = end;
        }
        Ok(())
    }

    fn fill(&mut self, at: u32, bytes: &mut [u8]) -> Result<(), Errno> {
        let space = self.host.around.space.clone();
        self.pieces(at, bytes.len(), |physical, range| {
            let piece = bytes.get_mut(range);
            piece.is_some_and(|piece| space.peek(physical, piece).is_some())
        })
    }

    fn put(&mut self, at: u32, bytes: &[u8]) -> Result<(), Errno> {
        let memory = self.host.around.memory.clone();
        self.pieces(at, bytes.len(), |physical, range| {
            let piece = bytes.get(range);
            piece.is_some_and(|piece| memory.write(physical, piece).is_ok())
        })
    }

    fn bytes<const N: usize>(&mut self, at: u32) -> Result<[u8; N], Errno> {
        let mut bytes = [0; N];
        self.fill(at, &mut bytes)?;
        Ok(bytes)
    }

    /// The words of a call's parameter block.
    fn words<const N: usize>(&mut self, at: u32) -> Result<[u32; N], Errno> {
        let mut words = [0; N];
        for (word, n) in words.iter_mut().zip(0..) {
            *word = u32::from_le_bytes(self.bytes(at.wrapping_add(4 * n))?);
        }
        Ok(words)
    }

    fn name(&mut self, at: u32, length: u32) -> Result<Vec<u8>, Errno> {
        if length > NAME {
            return Err(Errno::NAMETOOLONG);
        }
        let mut name = vec![0; length as usize];
        self.fill(at, &mut name)?;
        Ok(name)
    }

    /// A piece of memory, at most `most` bytes and to the end of a page.
    fn piece(&mut self, at: u32, most: u32) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; most.min(PAGE - at % PAGE) as usize];
        self.fill(at, &mut bytes)?;
        Ok(bytes)
    }

    /// SYS_WRITE0: a string that ends with a zero.
    fn show_string(&mut self, call: Call) -> Result<(), Stop> {
        let host = self.host;
        host.show(call, |shown| {
            let mut bytes = self.piece(call.at.wrapping_add(shown), PAGE)?;
            bytes.truncate(bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len()));
            Ok(bytes)
        })
    }

    /// SYS_WRITE: how many bytes were not written.
    fn write(&mut self, call: Call) -> Result<u32, Stop> {
        let [handle, at, length] = self.words(call.at)?;
        let host = self.host;
        if matches!(host.inner().files.get(handle)?, Open::Output) {
            host.show(call, |shown| {
                self.piece(at.wrapping_add(shown), length.saturating_sub(shown))
            })?;
            return Ok(0);
        }
        let mut done = 0;
        while done < length {
            let bytes = self.piece(at.wrapping_add(done), length - done)?;
            match host.inner().files.get(handle)?.write(&bytes) {
                Ok(0) => break,
                Ok(count) => done += count as u32,
                Err(error) if done == 0 => return Err(error.into()),
                Err(error) => {
                    host.inner().errno = error.raw_os_error() as u32;
                    break;
                }
            }
        }
        Ok(length - done)
    }

    /// SYS_READ: how many bytes were not read; all of them at the end.
    fn read(&mut self, at: u32) -> Result<u32, Stop> {
        let [handle, at, length] = self.words(at)?;
        let host = self.host;
        if matches!(host.inner().files.get(handle)?, Open::Input) {
            let mut bytes = vec![0; length.min(PAGE) as usize];
            let count = if bytes.is_empty() { 0 } else { host.typed(&mut bytes)? };
            bytes.truncate(count);
            self.put(at, &bytes)?;
            return Ok(length - count as u32);
        }
        let mut done = 0;
        while done < length {
            let mut bytes = vec![0; (length - done).min(PAGE) as usize];
            let count = host.inner().files.get(handle)?.read(&mut bytes)?;
            if count == 0 {
                break;
            }
            bytes.truncate(count);
            self.put(at.wrapping_add(done), &bytes)?;
            done += count as u32;
        }
        Ok(length - done)
    }

    /// SYS_TMPNAM: a name of the folder's that is the identifier's own.
    fn temporary_name(&mut self, at: u32) -> Result<u32, Stop> {
        let [buffer, identifier, length] = self.words(at)?;
        let name = format!("tmp{:03}\0", identifier & 0xff);
        if (length as usize) < name.len() {
            return Err(Errno::RANGE.into());
        }
        self.put(buffer, name.as_bytes())?;
        Ok(0)
    }

    /// SYS_GET_CMDLINE: into a buffer, whose length becomes the line's.
    fn command_line(&mut self, at: u32) -> Result<u32, Stop> {
        let [buffer, length] = self.words(at)?;
        let line = [self.host.command_line.as_bytes(), b"\0"].concat();
        if (length as usize) < line.len() {
            return Err(Errno::RANGE.into());
        }
        self.put(buffer, &line)?;
        self.put(at.wrapping_add(4), &(line.len() as u32 - 1).to_le_bytes())?;
        Ok(0)
    }

    /// SYS_HEAPINFO: the heap grows up from the program's end, the stack down from RAM's; each has half.
    fn heap(&mut self, at: u32) -> Result<u32, Stop> {
        let [block] = self.words(at)?;
        let (start, end) = self.host.around.free;
        let middle = start + (end - start) / 2;
        for (place, n) in [start, middle, end, middle].into_iter().zip(0..) {
            let word = (place as u32 & !0xf).to_le_bytes();
            self.put(block.wrapping_add(4 * n), &word)?;
        }
        Ok(0)
    }
}

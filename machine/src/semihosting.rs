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
const APPLICATION_EXIT: u64 = 0x2_0026;
/// What an operation that failed returns.
const FAILED: u64 = u64::MAX;
/// Longest name of a file, in bytes.
const NAME: u64 = 4096;
/// Bytes of a page: what is moved at once.
const PAGE: u64 = 4096;
/// How long a call takes before the CPU looks at interrupts, and makes it again.
const PATIENCE: Duration = Duration::from_millis(5);
/// How often a console without room is looked at.
const LOOK: Duration = Duration::from_millis(1);

/// Calls that are known by how much of them is done, at most: one that a CPU never makes again would stay.
const MOST_BEGUN: usize = 256;

const FORMAT: Format = Format {
    model: "semihosting",
    version: 2,
    older: &[(1, before_many)],
};

/// Version 1 knew one call that waits.
fn before_many(mut state: serde_json::Value) -> Result<serde_json::Value, String> {
    let fields = state.as_object_mut().ok_or("not a map")?;
    let begun = match fields.remove("waiting").ok_or("no call that waits")? {
        serde_json::Value::Null => Vec::new(),
        call => vec![call],
    };
    fields.insert("begun".to_owned(), begun.into());
    Ok(state)
}

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
    /// It returned this, of which a 32-bit register takes the low half.
    Return(u64),
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
    /// Calls that are to be made again, and how much of each is done; the latest last.
    begun: Vec<(Call, u64)>,
}

/// What a saved machine knows of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct State {
    files: Vec<Option<SavedFile>>,
    errno: u32,
    begun: Vec<(Call, u64)>,
}

/// A call, by what is the same when it comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Call {
    cpu: usize,
    operation: u32,
    /// Its parameter.
    at: u64,
}

/// Who makes a call, as its CPU has it.
pub struct Caller<'a> {
    /// The CPU's number.
    pub cpu: usize,
    /// It is in AArch64 state: words, in registers and in memory, have 64 bits.
    pub wide: bool,
    /// The physical address of a byte of the caller's memory.
    pub physical: &'a mut dyn FnMut(u64) -> Option<u64>,
}

/// A call that is being served.
struct Served<'a, 'b> {
    host: &'a Semihosting,
    caller: &'a mut Caller<'b>,
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
            begun: Vec::new(),
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
        (inner.errno, inner.begun) = (0, Vec::new());
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
            begun: inner.begun.clone(),
        };
        Ok(Saved::new(&FORMAT, &state))
    }

    /// Has open what was.
    ///
    /// # Errors
    /// [`LoadError`]; all is then as it was.
    pub fn load(&self, saved: &Saved) -> Result<(), LoadError> {
        let state: State = saved.state(&FORMAT)?;
        if state.begun.len() > MOST_BEGUN {
            return Err(FORMAT.impossible(format!("{} calls", state.begun.len())));
        }
        let mut inner = self.inner();
        inner
            .files
            .load(&state.files)
            .map_err(|reason| FORMAT.impossible(reason))?;
        (inner.errno, inner.begun) = (state.errno, state.begun);
        Ok(())
    }

    /// A call, with its operation and parameter: what the first two registers hold.
    pub fn call(&self, [operation, at]: [u64; 2], caller: &mut Caller) -> Done {
        let (operation, cpu, wide) = (operation as u32, caller.cpu, caller.wide);
        let mut caller = Served { host: self, caller };
        match operation {
            sys::EXIT if !wide => {
                self.exit(u64::from(at != APPLICATION_EXIT));
                return Done::Exit;
            }
            // With 64-bit registers both have a parameter block.
            sys::EXIT | sys::EXIT_EXTENDED => {
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
    fn exit(&self, status: u64) {
        let low = status as u8;
        let status = if low == 0 && status != 0 { 1 } else { low };
        // Nobody listens any more when the machine has already ended.
        let _ = self.around.events.send(Event::Exited(status));
    }

    fn serve(&self, call: Call, caller: &mut Served) -> Result<u64, Stop> {
        let at = call.at;
        match call.operation {
            sys::OPEN => {
                let [name, mode, length] = caller.words(at)?;
                let name = caller.name(name, length)?;
                let mode = u32::try_from(mode).map_err(|_| Errno::INVAL)?;
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
            sys::READ => caller.read(call),
            sys::READC => {
                let mut byte = [0];
                match self.typed(&mut byte)? {
                    0 => Ok(FAILED),
                    _ => Ok(byte[0].into()),
                }
            }
            sys::ISERROR => {
                let [status] = caller.words(at)?;
                let sign = if caller.caller.wide { 63 } else { 31 };
                Ok(status >> sign)
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
                let most = if caller.caller.wide {
                    i64::MAX as u64
                } else {
                    u32::MAX.into()
                };
                Ok(Some(length).filter(|&length| length <= most).ok_or(Errno::FBIG)?)
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
            sys::CLOCK => Ok(self.around.clock.now_ns() / 10_000_000),
            sys::TIME => Ok(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs())),
            sys::SYSTEM => Err(Errno::PERM.into()),
            sys::ERRNO => Ok(self.inner().errno.into()),
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

    /// Does a call by `part`s, which are told how much is done, and tell how much more is: nothing while there is no room,
    /// `None` at the end. How much is done then.
    fn in_parts(&self, call: Call, mut part: impl FnMut(u64) -> Result<Option<u64>, Errno>) -> Result<u64, Stop> {
        let end = Instant::now() + PATIENCE;
        let mut done = self.inner().resume(call);
        loop {
            match part(done)? {
                None => return Ok(done),
                Some(0) => thread::sleep(LOOK),
                Some(count) => done += count,
            }
            if Instant::now() >= end {
                self.inner().suspend(call, done);
                return Err(Stop::Wait);
            }
        }
    }

    /// Shows a call's output as the console has room for it. `chunk` gives the output from an offset on, nothing at its end.
    fn show(&self, call: Call, mut chunk: impl FnMut(u64) -> Result<Vec<u8>, Errno>) -> Result<(), Stop> {
        let shown = self.in_parts(call, |shown| {
            let bytes = chunk(shown)?;
            let more = !bytes.is_empty();
            Ok(more.then(|| self.around.console.write(&bytes) as u64))
        });
        shown.map(drop)
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
    /// How much of this call is done already, if it comes again.
    fn resume(&mut self, call: Call) -> u64 {
        let at = self.begun.iter().position(|(its, _)| *its == call);
        at.map_or(0, |at| self.begun.remove(at).1)
    }

    /// This call will come again.
    fn suspend(&mut self, call: Call, done: u64) {
        if self.begun.len() == MOST_BEGUN {
            self.begun.remove(0);
        }
        self.begun.push((call, done));
    }
}

impl Served<'_, '_> {
    /// The address so many bytes from another.
    fn address(&self, at: u64, offset: u64) -> u64 {
        let mask = if self.caller.wide { u64::MAX } else { 0xffff_ffff };
        at.wrapping_add(offset) & mask
    }

    /// Bytes of a word.
    fn word(&self) -> u64 {
        if self.caller.wide { 8 } else { 4 }
    }

    /// Does `part` to each piece of the caller's memory that is on one page: its physical address, and where it is in the
    /// whole.
    fn pieces(&mut self, at: u64, length: usize, mut part: impl FnMut(u64, Range<usize>) -> bool) -> Result<(), Errno> {
        let mut done = 0;
        while done < length {
            let va = self.address(at, done as u64);
            let here = (PAGE - va % PAGE) as usize;
            let end = length.min(done + here);
            let physical = (self.caller.physical)(va).ok_or(Errno::FAULT)?;
            if !part(physical, done..end) {
                return Err(Errno::FAULT);
            }
            done = end;
        }
        Ok(())
    }

    fn fill(&mut self, at: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        let space = self.host.around.space.clone();
        self.pieces(at, bytes.len(), |physical, range| {
            let piece = bytes.get_mut(range);
            piece.is_some_and(|piece| space.peek(physical, piece).is_some())
        })
    }

    fn put(&mut self, at: u64, bytes: &[u8]) -> Result<(), Errno> {
        let memory = self.host.around.memory.clone();
        self.pieces(at, bytes.len(), |physical, range| {
            let piece = bytes.get(range);
            piece.is_some_and(|piece| memory.write(physical, piece).is_ok())
        })
    }

    fn bytes<const N: usize>(&mut self, at: u64) -> Result<[u8; N], Errno> {
        let mut bytes = [0; N];
        self.fill(at, &mut bytes)?;
        Ok(bytes)
    }

    /// The words of a call's parameter block.
    fn words<const N: usize>(&mut self, at: u64) -> Result<[u64; N], Errno> {
        let mut words = [0; N];
        for (word, n) in words.iter_mut().zip(0..) {
            let mut bytes = [0; 8];
            let length = self.word() as usize;
            self.fill(
                self.address(at, self.word() * n),
                bytes.get_mut(..length).unwrap_or_default(),
            )?;
            *word = u64::from_le_bytes(bytes);
        }
        Ok(words)
    }

    /// Writes word number `n` of a block.
    fn put_word(&mut self, at: u64, n: u64, value: u64) -> Result<(), Errno> {
        let bytes = value.to_le_bytes();
        let length = self.word() as usize;
        self.put(
            self.address(at, self.word() * n),
            bytes.get(..length).unwrap_or_default(),
        )
    }

    fn name(&mut self, at: u64, length: u64) -> Result<Vec<u8>, Errno> {
        if length > NAME {
            return Err(Errno::NAMETOOLONG);
        }
        let mut name = vec![0; length as usize];
        self.fill(at, &mut name)?;
        Ok(name)
    }

    /// A piece of memory, at most `most` bytes and to the end of a page.
    fn piece(&mut self, at: u64, most: u64) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; most.min(PAGE - at % PAGE) as usize];
        self.fill(at, &mut bytes)?;
        Ok(bytes)
    }

    /// SYS_WRITE0: a string that ends with a zero.
    fn show_string(&mut self, call: Call) -> Result<(), Stop> {
        let host = self.host;
        host.show(call, |shown| {
            let mut bytes = self.piece(self.address(call.at, shown), PAGE)?;
            bytes.truncate(bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len()));
            Ok(bytes)
        })
    }

    /// SYS_WRITE: how many bytes were not written.
    fn write(&mut self, call: Call) -> Result<u64, Stop> {
        let [handle, at, length] = self.words(call.at)?;
        let host = self.host;
        if matches!(host.inner().files.get(handle)?, Open::Output) {
            host.show(call, |shown| {
                self.piece(self.address(at, shown), length.saturating_sub(shown))
            })?;
            return Ok(0);
        }
        let done = host.in_parts(call, |done| {
            if done >= length {
                return Ok(None);
            }
            let bytes = self.piece(self.address(at, done), length - done)?;
            let mut inner = host.inner();
            match inner.files.get(handle)?.write(&bytes) {
                Ok(count) => Ok(Some(count as u64)),
                Err(error) if done == 0 => Err(error),
                Err(error) => {
                    inner.errno = error.raw_os_error() as u32;
                    Ok(None)
                }
            }
        })?;
        Ok(length.saturating_sub(done))
    }

    /// SYS_READ: how many bytes were not read; all of them at the end.
    fn read(&mut self, call: Call) -> Result<u64, Stop> {
        let [handle, at, length] = self.words(call.at)?;
        let host = self.host;
        if matches!(host.inner().files.get(handle)?, Open::Input) {
            let mut bytes = vec![0; length.min(PAGE) as usize];
            let count = if bytes.is_empty() { 0 } else { host.typed(&mut bytes)? };
            bytes.truncate(count);
            self.put(at, &bytes)?;
            return Ok(length - count as u64);
        }
        let done = host.in_parts(call, |done| {
            let mut bytes = vec![0; length.saturating_sub(done).min(PAGE) as usize];
            let count = host.inner().files.get(handle)?.read(&mut bytes)?;
            bytes.truncate(count);
            self.put(self.address(at, done), &bytes)?;
            Ok((count != 0).then_some(count as u64))
        })?;
        Ok(length.saturating_sub(done))
    }

    /// SYS_TMPNAM: a name of the folder's that is the identifier's own.
    fn temporary_name(&mut self, at: u64) -> Result<u64, Stop> {
        let [buffer, identifier, length] = self.words(at)?;
        let name = format!("tmp{:03}\0", identifier & 0xff);
        if length < name.len() as u64 {
            return Err(Errno::RANGE.into());
        }
        self.put(buffer, name.as_bytes())?;
        Ok(0)
    }

    /// SYS_GET_CMDLINE: into a buffer, whose length becomes the line's.
    fn command_line(&mut self, at: u64) -> Result<u64, Stop> {
        let [buffer, length] = self.words(at)?;
        let line = [self.host.command_line.as_bytes(), b"\0"].concat();
        if length < line.len() as u64 {
            return Err(Errno::RANGE.into());
        }
        self.put(buffer, &line)?;
        self.put_word(at, 1, line.len() as u64 - 1)?;
        Ok(0)
    }

    /// SYS_HEAPINFO: the heap grows up from the program's end, the stack down from RAM's; each has half.
    fn heap(&mut self, at: u64) -> Result<u64, Stop> {
        let [block] = self.words(at)?;
        let (start, end) = self.host.around.free;
        let middle = start + (end - start) / 2;
        for (place, n) in [start, middle, end, middle].into_iter().zip(0..) {
            self.put_word(block, n, place & !0xf)?;
        }
        Ok(0)
    }
}

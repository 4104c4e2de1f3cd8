//! Debugging by GDB's remote protocol.
//!
//! A thread listens, another serves one client after the other: a [`session`] runs the protocol (`gdbstub`) on the machine
//! as GDB sees it ([`target`]), whose vCPUs it holds through their ports ([`debugged`], [`crate::hold`]). A client finds the machine running
//! and stops it; one that leaves, whichever way, leaves it running.

pub mod address;
mod debugged;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod monitor;
mod session;
mod target;
mod wire;

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use crossbeam::select;
use emu_devices::backend::{Made, listen};
use emu_devices::bus::Threads;

use crate::error::Error;
use crate::events::Event;
use crate::hold::{Holder, Stopped};
use address::Address;
use debugged::Debugged;
pub use debugged::Machine;
use session::End;
use wire::Stream;

/// How long the end of a run waits for the client to be told.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long a client waits for the one before it to be gone, and how often it looks.
const CHANGE: Duration = Duration::from_millis(500);
const STEP: Duration = Duration::from_millis(5);
/// How long the listener rests when the host refuses it a connection.
const PAUSE: Duration = Duration::from_millis(100);

enum Socket {
    Tcp(TcpListener),
    /// With its file, until there is a server.
    Unix(UnixListener, Option<Made>),
}

/// A place where clients are awaited, before there is a machine.
pub struct Listener {
    socket: Socket,
    address: Address,
}

impl Listener {
    /// Takes the address.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] naming the option: the address is another's, or none of this host's.
    pub fn bind(address: &Address) -> Result<Listener, Error> {
        let socket = match address {
            Address::Tcp { host, port } => TcpListener::bind((Address::host(host), *port)).map(Socket::Tcp),
            Address::Unix(path) => listen(path).map(|(socket, file)| Socket::Unix(socket, Some(file))),
        };
        let refused = |e: io::Error| match e.kind() {
            io::ErrorKind::AddrInUse => "in use by another program; name another address".to_owned(),
            _ => e.to_string().split(" (os error").next().unwrap_or_default().to_owned(),
        };
        let socket = socket.map_err(|e| Error::input("--gdb", address, refused(e)))?;
        Ok(Listener {
            socket,
            address: address.clone(),
        })
    }

    /// What GDB's `target remote` takes.
    pub fn remote(&self) -> String {
        let port = match &self.socket {
            Socket::Tcp(socket) => socket.local_addr().map_or(0, |a| a.port()),
            Socket::Unix(..) => 0,
        };
        self.address.remote(port)
    }

    fn accept(&self) -> io::Result<Stream> {
        match &self.socket {
            Socket::Tcp(socket) => socket.accept().map(|(stream, _)| Stream::Tcp(stream)),
            Socket::Unix(socket, _) => socket.accept().map(|(stream, _)| Stream::Unix(stream)),
        }
    }
}

/// The debugger's server, while the machine exists.
pub struct Server {
    over: Sender<u8>,
    done: Receiver<()>,
    file: Option<Made>,
}

impl Server {
    /// Serves clients of `machine` from now on, on `threads`. If `wait`, the machine is held until one lets it go.
    ///
    /// # Errors
    ///
    /// [`Error::Host`]: no threads are to be had.
    pub fn start(threads: &Threads, mut listener: Listener, machine: Machine, wait: bool) -> Result<Server, Error> {
        let (stops_in, stops) = unbounded();
        for port in machine.cpus.iter() {
            port.debug.connect(machine.holds.clone(), stops_in.clone());
        }
        if wait {
            machine.holds.add(Holder::Debugger);
            machine.cpus.iter().for_each(|port| port.hold(Holder::Debugger));
        }
        let file = match &mut listener.socket {
            Socket::Unix(_, file) => file.take(),
            Socket::Tcp(_) => None,
        };
        let (over_in, over) = bounded(1);
        let (done_in, done) = bounded(0);
        let (clients_in, clients) = bounded(1);
        let busy = Arc::new(AtomicBool::new(false));
        let door = Door {
            listener,
            clients: clients_in,
            busy: busy.clone(),
        };
        let desk = Desk {
            clients,
            stops,
            over,
            busy,
            threads: threads.clone(),
        };
        let cannot = |e| Error::host("cannot serve a debugger", e);
        let listening = threads.spawn("emu-gdb-listen", move || door.watch());
        listening.map_err(cannot)?;
        let serving = threads.spawn("emu-gdb", move || {
            desk.serve(machine, wait);
            drop(done_in);
        });
        serving.map_err(cannot)?;
        Ok(Server {
            over: over_in,
            done,
            file,
        })
    }

    /// The run is over with this exit status: the client is told, and the address is given up.
    pub fn finish(&self, status: u8) {
        // The thread listens until it ends.
        let _ = self.over.send(status);
        if self.done.recv_timeout(FAREWELL) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the debugger did not take leave");
        }
        self.file.iter().for_each(Made::remove);
    }
}

/// Where clients come in.
struct Door {
    listener: Listener,
    clients: Sender<Stream>,
    busy: Arc<AtomicBool>,
}

impl Door {
    /// Whether the next client can be served, whose place it is then. One that has just left is given time to be gone.
    fn is_free(&self) -> bool {
        let deadline = Instant::now() + CHANGE;
        while self.busy.swap(true, Ordering::AcqRel) {
            if Instant::now() > deadline {
                return false;
            }
            thread::sleep(STEP);
        }
        true
    }

    fn watch(&self) {
        loop {
            match self.listener.accept() {
                Ok(stream) if !self.is_free() => {
                    tracing::warn!("a second debugger was refused: one is connected already");
                    stream.shut();
                }
                Ok(stream) => {
                    if self.clients.send(stream).is_err() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!("cannot take in a debugger: {error}");
                    thread::sleep(PAUSE);
                }
            }
        }
    }
}

/// Where they are served.
struct Desk {
    clients: Receiver<Stream>,
    stops: Receiver<Stopped>,
    over: Receiver<u8>,
    busy: Arc<AtomicBool>,
    /// What reads what clients send.
    threads: Threads,
}

impl Desk {
    /// A session; one that panics ends as any that fails.
    fn session(&self, debugged: &mut Debugged, stream: Stream) -> End {
        let run = || session::run(debugged, &self.threads, stream, &self.stops, &self.over);
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        ended.unwrap_or_else(|_| End::Failed("emu made a mistake".to_owned()))
    }

    fn serve(&self, machine: Machine, waits: bool) {
        let events = machine.events.clone();
        let mut debugged = Debugged::new(machine, waits);
        loop {
            let stream = select! {
                recv(self.clients) -> stream => stream,
                recv(self.over) -> _ => return,
            };
            let Ok(stream) = stream else { return };
            tracing::info!("a debugger is connected");
            match self.session(&mut debugged, stream) {
                End::Over => return,
                End::Killed => {
                    tracing::info!("the debugger ends emu");
                    // Without a listener the run is over already.
                    let _ = events.send(Event::Killed);
                }
                End::Detached => {
                    tracing::info!("the debugger has left; the guest runs on");
                    debugged.let_go();
                }
                End::Gone => {
                    tracing::warn!("the debugger went without a word; the guest goes on as it was");
                    debugged.abandon();
                }
                End::Failed(reason) => {
                    tracing::warn!("the debugger is disconnected: {reason}; the guest goes on as it was");
                    debugged.abandon();
                }
            }
            while self.stops.try_recv().is_ok() {}
            self.busy.store(false, Ordering::Release);
        }
    }
}

//! One client, from its first packet until it leaves.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{self, Read};

use crossbeam::channel::{Receiver, bounded};
use crossbeam::select;
use emu_devices::bus::Threads;
use gdbstub::conn::Connection;
use gdbstub::stub::state_machine::GdbStubStateMachine;
use gdbstub::stub::{DisconnectReason, GdbStubError, MultiThreadStopReason};

use super::debugged::Debugged;
use super::wire::{Cutter, PACKET, Reply, Stream, TooLong};
use crate::hold::Stopped;

/// Bytes that are read at once.
const CHUNK: usize = 0x1000;
/// Chunks of a client's that wait.
const WAITING: usize = 16;

/// How a session ended.
#[derive(Debug)]
pub enum End {
    /// The client said goodbye.
    Detached,
    /// The client wants the machine to end.
    Killed,
    /// The client went without a word.
    Gone,
    /// The run is over.
    Over,
    /// What came is not what GDB says, or nobody takes the answers.
    Failed(String),
}

type Stub = GdbStubStateMachine<'static, Debugged, Reply>;
type StubError = GdbStubError<Infallible, io::Error>;

/// What a session waits for.
enum Input {
    Bytes(Vec<u8>),
    Gone,
    Stopped(Stopped),
    Over(u8),
}

struct Session<'a> {
    bytes: Receiver<Vec<u8>>,
    stops: &'a Receiver<Stopped>,
    over: &'a Receiver<u8>,
    cutter: Cutter,
    /// What the stub has not seen yet.
    pending: VecDeque<u8>,
    /// The last packet was vKill, which wants an answer.
    kill_wants_answer: bool,
}

/// Serves a client, with one of `threads` for what it sends. The machine, running or held, is stopped with the client's
/// first packet; what becomes of it afterwards is the caller's business.
pub fn run(
    machine: &mut Debugged,
    threads: &Threads,
    stream: Stream,
    stops: &Receiver<Stopped>,
    over: &Receiver<u8>,
) -> End {
    let twin = stream.prepare().and_then(|()| stream.twin());
    let bytes = twin.and_then(|twin| read(threads, twin));
    let (bytes, _ending) = match (bytes, stream.twin()) {
        (Ok(bytes), Ok(twin)) => (bytes, Ending(twin)),
        (Err(e), _) | (_, Err(e)) => return End::Failed(e.to_string()),
    };
    let mut session = Session {
        bytes,
        stops,
        over,
        cutter: Cutter::default(),
        pending: VecDeque::new(),
        kill_wants_answer: false,
    };
    session.first(machine, Reply::new(stream))
}

/// Ends a connection, and who reads from it, however the session ends.
struct Ending(Stream);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.shut();
    }
}

/// What comes from `stream`, read on one of `threads` until the stream ends or nobody listens.
fn read(threads: &Threads, mut stream: impl Read + Send + 'static) -> io::Result<Receiver<Vec<u8>>> {
    let (sender, bytes) = bounded(WAITING);
    threads.spawn("emu-gdb-read", move || {
        let mut chunk = [0; CHUNK];
        while let Ok(count @ 1..) = stream.read(&mut chunk) {
            let bytes = chunk.get(..count).unwrap_or(&chunk).to_vec();
            if sender.send(bytes).is_err() {
                return;
            }
        }
    })?;
    Ok(bytes)
}

impl Session<'_> {
    /// Waits for the client to say something before the machine is stopped for it.
    fn first(&mut self, machine: &mut Debugged, reply: Reply) -> End {
        loop {
            match self.next() {
                Input::Bytes(bytes) => match self.cut(&bytes) {
                    Ok(()) if self.pending.is_empty() => {}
                    Ok(()) => return self.serve(machine, reply),
                    Err(TooLong) => return too_long(),
                },
                Input::Over(_) => return End::Over,
                Input::Gone => return End::Gone,
                // Of the client before.
                Input::Stopped(_) => {}
            }
        }
    }

    fn serve(&mut self, machine: &mut Debugged, reply: Reply) -> End {
        self.stop(machine);
        let stub = gdbstub::stub::GdbStub::builder(reply)
            .packet_buffer_size(PACKET)
            .build();
        let stub = stub.map_err(|e| e.to_string()).and_then(|stub| {
            let stub = stub.run_state_machine(machine);
            stub.map_err(|e| e.to_string())
        });
        match stub {
            Ok(stub) => self.talk(machine, stub).unwrap_or_else(|e| End::Failed(failure(&e))),
            Err(e) => End::Failed(e),
        }
    }

    /// Stops the machine; what stopped it besides is of no interest.
    fn stop(&self, machine: &mut Debugged) {
        machine.stop_all();
        while self.stops.try_recv().is_ok() {}
    }

    fn talk(&mut self, machine: &mut Debugged, mut stub: Stub) -> Result<End, StubError> {
        loop {
            stub = match stub {
                GdbStubStateMachine::Disconnected(mut inner) => {
                    let reason = inner.get_reason();
                    if reason == DisconnectReason::Kill && self.kill_wants_answer {
                        let reply = inner.borrow_conn();
                        // It may have gone.
                        let _ = reply.write_all(b"$OK#9a").and_then(|()| reply.flush());
                    }
                    return Ok(match reason {
                        DisconnectReason::Disconnect => End::Detached,
                        DisconnectReason::Kill => End::Killed,
                        DisconnectReason::TargetExited(_) | DisconnectReason::TargetTerminated(_) => End::Over,
                    });
                }
                GdbStubStateMachine::CtrlCInterrupt(inner) => {
                    // One that comes when the machine has just stopped counts for the next time that it runs: GDB, which may be
                    // in the middle of many steps, has no other answer to wait for.
                    self.stop(machine);
                    let reason = machine.interrupted();
                    inner.interrupt_handled(machine, Some(reason))?
                }
                GdbStubStateMachine::Idle(inner) if machine.is_running() => {
                    // Such an interrupt was reported as soon as the machine was let go.
                    self.stop(machine);
                    inner.into()
                }
                GdbStubStateMachine::Idle(inner) if !self.pending.is_empty() => {
                    let byte = self.pending.pop_front().unwrap_or_default();
                    inner.incoming_data(machine, byte)?
                }
                GdbStubStateMachine::Running(inner) if !self.pending.is_empty() => {
                    let byte = self.pending.pop_front().unwrap_or_default();
                    inner.incoming_data(machine, byte)?
                }
                waiting => match self.wait(machine, waiting)? {
                    Ok(stub) => stub,
                    Err(end) => return Ok(end),
                },
            };
        }
    }

    /// What comes next to a stub that has nothing to do.
    fn wait(&mut self, machine: &mut Debugged, mut stub: Stub) -> Result<Result<Stub, End>, StubError> {
        // Acknowledgements wait for no reply.
        let flushed = match &mut stub {
            GdbStubStateMachine::Idle(inner) => inner.borrow_conn().flush(),
            GdbStubStateMachine::Running(inner) => inner.borrow_conn().flush(),
            _ => Ok(()),
        };
        if flushed.is_err() {
            return Ok(Err(End::Gone));
        }
        Ok(match (self.next(), stub) {
            (Input::Bytes(bytes), stub) => match self.cut(&bytes) {
                Ok(()) => Ok(stub),
                Err(TooLong) => Err(too_long()),
            },
            (Input::Gone, _) => Err(End::Gone),
            (Input::Stopped(stopped), GdbStubStateMachine::Running(inner)) => {
                self.stop(machine);
                let reason = machine.reason(stopped);
                Ok(inner.report_stop(machine, reason)?)
            }
            (Input::Stopped(_), stub) => Ok(stub),
            (Input::Over(status), GdbStubStateMachine::Running(inner)) => {
                Ok(inner.report_stop(machine, MultiThreadStopReason::Exited(status))?)
            }
            (Input::Over(_), _) => Err(End::Over),
        })
    }

    fn next(&self) -> Input {
        select! {
            recv(self.bytes) -> bytes => bytes.map_or(Input::Gone, Input::Bytes),
            recv(self.stops) -> stopped => stopped.map_or(Input::Gone, Input::Stopped),
            recv(self.over) -> status => Input::Over(status.unwrap_or(0)),
        }
    }

    /// Takes in what the client sent.
    fn cut(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        for byte in bytes {
            if let Some(packet) = self.cutter.feed(*byte)? {
                if packet.len() > 1 {
                    self.kill_wants_answer = packet.starts_with(b"$vKill");
                }
                self.pending.extend(packet);
            }
        }
        Ok(())
    }
}

fn too_long() -> End {
    End::Failed(format!("a packet longer than {PACKET} bytes"))
}

fn failure(error: &StubError) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// A connection that nobody can read from.
    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            std::panic::resume_unwind(Box::new("broken"))
        }
    }

    #[test]
    fn a_reader_that_panics_is_told_and_ends_the_session() {
        let (told_in, told) = bounded(1);
        let threads = Threads::new(move || told_in.send(()).unwrap());

        let bytes = read(&threads, Broken).unwrap();

        told.recv_timeout(Duration::from_secs(10)).unwrap();
        assert!(threads.take_panic().is_some_and(|panic| panic.is::<&str>()));
        assert!(bytes.recv().is_err());
    }
}

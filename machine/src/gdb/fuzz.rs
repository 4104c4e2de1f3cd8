//! What no client may do: panic emu, hang it, or keep the guest. For fuzzers, and for the test here.
#![allow(clippy::restriction, reason = "this is how a fuzzer fails")]

use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam::channel::{Receiver, unbounded};
use emu_devices::bus::{Clock, GuestMemory, Irq, Ram, Threads};
use emu_firmware::fdt::Region;
use emu_jit::engine::Accel;

use super::debugged::{Debugged, Machine};
use super::session;
use super::wire::Stream;
use crate::arch::{CpuWiring, MachineCode};
use crate::board::VIRT;
use crate::config::Arch;
use crate::cpus::{Cpus, Order};
use crate::hold::{Holds, Stopped};
use crate::processor::Start;
use crate::space::{AddressSpace, SystemMemory, What};

const BASE: u64 = 0x4000_0000;
const SIZE: u64 = 0x1_0000;
/// Counts r0 for ever, and stores it where r1 says.
const CODE: [u32; 3] = [
    0xe280_0001, // 1: add r0, r0, #1
    0xe581_0000, // str r0, [r1]
    0xeaff_fffc, // b 1b
];
/// Where CPU 0 stores; the others follow, a word each.
const COUNTS: u64 = BASE + 0x100;

/// A machine of some CPUs and some RAM.
struct Small {
    cpus: Arc<Cpus>,
    threads: Vec<JoinHandle<()>>,
    debugged: Debugged,
    stops: Receiver<Stopped>,
}

impl Small {
    fn new(count: usize) -> std::io::Result<Small> {
        let cpus = Arc::new(Cpus::new(count, |line| Arch::Arm.architecture().line_bit(line)));
        let space = Arc::new(AddressSpace::new());
        let what = What::Ram {
            memory: Arc::new(Ram::new(SIZE)?),
            offset: 0,
        };
        space
            .map(Region::new(BASE, SIZE), what)
            .map_err(std::io::Error::other)?;
        let memory = SystemMemory::new(space.clone(), cpus.clone(), count);
        for (at, word) in (BASE..).step_by(4).zip(CODE) {
            // Inside.
            let _ = memory.write(at, &word.to_le_bytes());
        }
        let clock = Clock::real(&Threads::default())?;
        let (events, _) = unbounded();
        let (stops_in, stops) = unbounded();
        let machine = Machine {
            cpus: cpus.clone(),
            holds: Arc::new(Holds::new(clock.clone())),
            space,
            memory,
            board: VIRT.clone(),
            events,
        };
        for port in cpus.iter() {
            port.debug.connect(machine.holds.clone(), stops_in.clone());
        }
        let code = MachineCode::new(Accel::Interp, count, emu_jit::engine::CODE_CACHE);
        let started = (0..count).map(|cpu| start(&machine, &code, &clock, cpu));
        let threads = started.collect::<std::io::Result<_>>()?;
        Ok(Small {
            cpus,
            threads,
            debugged: Debugged::new(machine, false),
            stops,
        })
    }

    /// A client sends these bytes, takes what it is sent, and goes.
    fn client(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let (mut ours, theirs) = UnixStream::pair()?;
        let mut replies = ours.try_clone()?;
        let taking = thread::spawn(move || std::io::copy(&mut replies, &mut std::io::sink()));
        let bytes = bytes.to_vec();
        let sending = thread::spawn(move || {
            // The session may have had enough.
            let _ = ours.write_all(&bytes).and_then(|()| ours.shutdown(Shutdown::Write));
        });
        let (_open, over) = unbounded();
        let readers = Threads::default();
        session::run(&mut self.debugged, &readers, Stream::Unix(theirs), &self.stops, &over);
        self.debugged.let_go();
        let (_, _) = (sending.join(), taking.join());
        Ok(())
    }

    fn end(self) {
        self.cpus.iter().for_each(|port| port.order(Order::End));
        for thread in self.threads {
            thread.join().expect("the CPU's thread did not panic");
        }
    }
}

/// Starts a CPU, interpreted.
fn start(machine: &Machine, code: &MachineCode, clock: &Clock, cpu: usize) -> std::io::Result<JoinHandle<()>> {
    let cpus = machine.cpus.clone();
    let around = CpuWiring {
        cpu,
        cpus: &cpus,
        clock,
        private: &|_| Irq::unconnected(),
        controller: None,
        bus: machine.space.view(cpu),
        code,
        log: None,
        semihosting: None,
    };
    let arch = Arch::Arm.architecture();
    let mut vcpu = arch.processor(Arch::Arm.default_cpu(), around)?;
    let (waker, events) = (vcpu.waker(), machine.events.clone());
    let own = cpus.clone();
    let thread = thread::spawn(move || {
        if let Some(port) = own.get(cpu) {
            crate::vcpu::run(cpu, &mut *vcpu, port, &events);
        }
    });
    if let Some(port) = cpus.get(cpu) {
        port.attach(waker, thread.thread().clone());
        port.order(Order::Start(Start::At {
            pc: BASE,
            args: [0, COUNTS + 4 * cpu as u64, 0],
        }));
    }
    Ok(thread)
}

/// A client of a small machine sends these bytes and goes; back when the machine has run on and ended.
///
/// # Panics
/// If the bytes are more than emu can take, which is a mistake of emu's; and if the host has no threads or memory left.
pub fn feed(bytes: &[u8]) {
    let mut small = Small::new(1).expect("memory and threads");
    small.client(bytes).expect("a pair of sockets");
    small.end();
}

#[cfg(test)]
mod tests {
    use super::*;
    use emu_ir::testing::Random;
    use std::io::Read;
    use std::time::{Duration, Instant};

    /// What GDB says, and what it would not.
    const SAYS: &[&str] = &[
        "qSupported:multiprocess+;swbreak+;hwbreak+;xmlRegisters=i386",
        "QStartNoAckMode",
        "?",
        "Hgp1.1",
        "Hc-1",
        "Hg0",
        "qXfer:features:read:target.xml:0,ffb",
        "qXfer:features:read:target.xml:ffffffffffffffff,ffffffffffffffff",
        "qXfer:features:read:../etc/passwd:0,10",
        "qfThreadInfo",
        "qsThreadInfo",
        "qThreadExtraInfo,p1.1",
        "qAttached",
        "qC",
        "vMustReplyEmpty",
        "vCont?",
        "vCont;c",
        "vCont;s:p1.1;c:p1.-1",
        "vCont;s:1",
        "vCont;r40000000,40000010:p1.1;c",
        "vCont;s:p1.ffffffff",
        "vCont;x",
        "c",
        "s",
        "g",
        "G00",
        "p0",
        "pf",
        "p31",
        "pffffffffffffffff",
        "P0=11223344",
        "Pf=00000040",
        "P10=ffffffff",
        "m40000000,40",
        "m0,ffffffffffffffff",
        "mffffffffffffffff,10",
        "m40000000,ffffffff",
        "M40000200,4:11223344",
        "M0,4:11223344",
        "M40000200,ffffffff:11",
        "X40000200,4:abcd",
        "Z0,40000004,4",
        "z0,40000004,4",
        "Z1,40000008,2",
        "Z2,40000100,4",
        "z2,40000100,4",
        "Z4,ffffffffffffffff,ffffffffffffffff",
        "Z3,0,0",
        "Z9,0,0",
        "T1",
        "Tp1.99",
        "qRcmd,68656c70",
        "qRcmd,696e666f20726567697374657273",
        "qRcmd,706879736963616c20307834303030303030302034303936",
        "qRcmd,",
        "qRcmd,zz",
        "qRcmd,7265736574",
        "R00",
        "bc",
        "bs",
        "k",
        "vKill;1",
        "D",
        "D;1",
        "!",
        "",
    ];

    fn packet(body: &[u8]) -> Vec<u8> {
        let sum = body.iter().fold(0u8, |sum, b| sum.wrapping_add(*b));
        [b"$", body, format!("#{sum:02x}").as_bytes()].concat()
    }

    fn nonsense(random: &mut Random) -> Vec<u8> {
        let mut all = Vec::new();
        for _ in 0..1 + random.below(12) {
            let mut body = random.pick(SAYS).as_bytes().to_vec();
            if random.below(4) == 0 && !body.is_empty() {
                let at = random.below(body.len() as u64) as usize;
                match random.below(4) {
                    0 => body[at] = random.below(256) as u8,
                    1 => body.truncate(at),
                    2 => body.insert(
                        at,
                        random.pick(&["f", "-", ",", ";", ":", "0000", "\x7d"]).as_bytes()[0],
                    ),
                    _ => body.extend(std::iter::repeat_n(b'f', random.below(40) as usize)),
                }
            }
            let mut bytes = packet(&body);
            match random.below(24) {
                0 => bytes.truncate(random.below(bytes.len() as u64) as usize),
                1 => bytes.push(3),
                2 => bytes.extend_from_slice(b"garbage\r\n"),
                3 => bytes.extend(std::iter::repeat_n(b'$', 0x5000)),
                4 => bytes.push(b'-'),
                _ => {}
            }
            all.extend(bytes);
        }
        all
    }

    #[test]
    fn no_client_panics_emu_hangs_it_or_keeps_the_guest() {
        for seed in 1..400 {
            let mut random = Random::scattered(seed);
            feed(&nonsense(&mut random));
        }
    }

    #[test]
    fn the_guest_runs_on_after_a_client_that_changed_nothing() {
        let mut small = Small::new(1).unwrap();

        for leaves in ["vCont;c", "vCont;s:p1.1", "Z0,40000004,4", "D"] {
            small
                .client(&[packet(b"?"), packet(leaves.as_bytes())].concat())
                .unwrap();
            small.wait_for_progress(0, leaves);
        }
        small.end();
    }

    impl Small {
        fn count(&self, cpu: u64) -> u32 {
            let mut bytes = [0; 4];
            let memory = &self.debugged.machine.memory;
            memory.read(COUNTS + 4 * cpu, &mut bytes).unwrap();
            u32::from_le_bytes(bytes)
        }

        fn wait_for_progress(&self, cpu: u64, after: &str) {
            let (before, deadline) = (self.count(cpu), Instant::now() + Duration::from_secs(20));
            while self.count(cpu) == before {
                assert!(Instant::now() < deadline, "CPU {cpu} stands still after {after}");
                thread::yield_now();
            }
        }

        /// A client says these things, each once the one before is answered; the answers. What is run is interrupted, and
        /// the client goes without letting go.
        fn dialogue(&mut self, lines: &[&str]) -> Vec<String> {
            let (mut ours, theirs) = UnixStream::pair().unwrap();
            let (_open, over) = unbounded();
            thread::scope(|scope| {
                let client = scope.spawn(move || {
                    let say = |line: &&str| {
                        ours.write_all(&packet(line.as_bytes())).unwrap();
                        if line.starts_with("vCont;c") {
                            thread::sleep(Duration::from_millis(20));
                            ours.write_all(&[3]).unwrap();
                        }
                        answer(&mut ours)
                    };
                    lines.iter().map(say).collect()
                });
                let readers = Threads::default();
                session::run(&mut self.debugged, &readers, Stream::Unix(theirs), &self.stops, &over);
                client.join().unwrap()
            })
        }
    }

    /// The next packet's contents; a star stands for more of the same, as many as the next byte says.
    fn answer(from: &mut UnixStream) -> String {
        let mut bytes = std::iter::from_fn(|| {
            let mut byte = [0];
            from.read_exact(&mut byte).unwrap();
            Some(byte[0])
        });
        let body = bytes.by_ref().skip_while(|b| *b != b'$').skip(1);
        let body: Vec<u8> = body.take_while(|b| *b != b'#').collect();
        assert_eq!(bytes.take(2).count(), 2, "a checksum after {body:?}");
        let (mut text, mut rest) = (String::new(), body.iter());
        while let Some(&b) = rest.next() {
            let more = if b == b'*' { rest.next() } else { None };
            match (more, text.chars().last()) {
                (Some(count), Some(same)) => text.extend(std::iter::repeat_n(same, usize::from(count - 29))),
                _ => text.push(b.into()),
            }
        }
        text
    }

    #[test]
    fn one_cpu_is_stepped_alone_and_all_stop_together() {
        let mut small = Small::new(2).unwrap();

        let said = small.dialogue(&["qfThreadInfo", "vCont;c", "Hg2", "pf", "Hg1", "p0", "vCont;s:2"]);
        let then = small.dialogue(&["Hg1", "p0", "Hg2", "pf", "qThreadExtraInfo,2"]);

        assert_eq!(said[..2], ["m01,02", "T02thread:01;"]);
        assert_eq!(said[6], "T05thread:02;");
        assert_eq!(said[5], then[1], "CPU 0 stood still");
        let pc = |text: &str| u32::from_str_radix(text, 16).unwrap().swap_bytes();
        let (before, after) = (pc(&said[3]), pc(&then[3]));
        let next = if before == BASE as u32 + 8 {
            BASE as u32
        } else {
            before + 4
        };
        assert_eq!(after, next, "CPU 1 made one step");
        assert_eq!(then[4], "435055".to_owned() + "20313a20737663", "CPU 1: svc");
        let stopped = [small.count(0), small.count(1)];
        thread::sleep(Duration::from_millis(20));
        assert_eq!([small.count(0), small.count(1)], stopped, "both stand still");
        small.debugged.let_go();
        small.wait_for_progress(0, "the end");
        small.wait_for_progress(1, "the end");
        small.end();
    }

    #[test]
    fn a_breakpoint_stops_all_cpus_at_once() {
        let mut small = Small::new(2).unwrap();

        // Without an interrupt, for it stops by itself.
        let said = small.dialogue(&["?", "Z0,40000000,4", "vCont;C00", "z0,40000000,4"]);

        assert!(
            said[2].starts_with("T05thread:0") && said[2].ends_with("swbreak:;"),
            "{}",
            said[2]
        );
        let stopped = [small.count(0), small.count(1)];
        thread::sleep(Duration::from_millis(20));
        assert_eq!([small.count(0), small.count(1)], stopped);
        small.debugged.let_go();
        small.end();
    }
}

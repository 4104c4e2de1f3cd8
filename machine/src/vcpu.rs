//! A vCPU's thread: runs the engine, sleeps while the guest waits for interrupts, follows orders, rests while the debugger
//! holds it.

use std::thread;

use crossbeam::channel::Sender;
use emu_ir::Stop;
use emu_jit::engine::Exit;

use crate::cpus::{Order, Port, Power};
use crate::events::Event;
use crate::hold::{Pace, Why};
use crate::processor::{Look, Processor, Start};

/// Tells the lifecycle that the thread of a vCPU has ended, by order or by a panic.
pub struct Farewell<'a> {
    /// The vCPU's number.
    pub cpu: usize,
    /// Where the lifecycle hears of it.
    pub events: &'a Sender<Event>,
}

impl Drop for Farewell<'_> {
    fn drop(&mut self) {
        // Nobody listens any more when the machine has already ended.
        let _ = self.events.send(Event::Ended(self.cpu));
    }
}

/// Lets nobody wait for a vCPU whose thread has ended.
struct Closing<'a>(&'a Port);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.debug.close();
    }
}

/// What a vCPU's thread is at.
struct Work {
    running: bool,
    /// It has ended or reset the machine, and waits for that to happen.
    waits_for_machine: bool,
    /// An order came while the guest waited for an interrupt.
    waits: bool,
    pace: Pace,
}

/// Runs vCPU number `cpu`, which is off at first, until it is told to end.
pub fn run(cpu: usize, vcpu: &mut dyn Processor, port: &Port, events: &Sender<Event>) {
    let _farewell = Farewell { cpu, events };
    let _closing = Closing(port);
    let mut work = Work {
        running: false,
        waits_for_machine: false,
        waits: false,
        pace: Pace::Run,
    };
    loop {
        match port.next_order() {
            Some(Order::End) => return,
            Some(Order::Halt) => {
                work.running = false;
                port.set_power(Power::Off);
                let _ = events.send(Event::Halted(cpu));
            }
            Some(Order::Start(how)) => {
                vcpu.start(how);
                port.take_standby();
                port.set_power(Power::On);
                (work.running, work.waits_for_machine) = (true, false);
                if work.pace != Pace::Run && !port.debug.is_held() {
                    // The step was the reset.
                    port.debug.stop(cpu, Why::Stepped);
                }
            }
            Some(Order::Reset) => vcpu.start(Start::Vector),
            Some(Order::Look) => {
                let look = Look {
                    cpu,
                    pc: vcpu.pc(),
                    waits: work.waits,
                    plight: vcpu.plight().filter(|_| work.running),
                };
                let _ = events.send(Event::Seen(look));
            }
            Some(Order::Resume(power)) => {
                port.take_standby();
                port.set_power(power);
                (work.running, work.waits_for_machine) = (power == Power::On, false);
            }
            None if port.debug.is_held() => {
                let go_on = port.debug.serve(vcpu, || port.has_orders());
                work.pace = go_on.unwrap_or(work.pace);
            }
            None if work.running => {
                work.waits = false;
                let exit = advance(vcpu, work.pace, port);
                work.follow(exit, cpu, vcpu, port, events);
            }
            // A CPU that is off has nothing to step through.
            None if work.pace != Pace::Run && !work.waits_for_machine => port.debug.stop(cpu, Why::Stepped),
            None => thread::park(),
        }
    }
}

impl Work {
    /// Does what the engine came back for.
    fn follow(&mut self, exit: Exit, cpu: usize, vcpu: &dyn Processor, port: &Port, events: &Sender<Event>) {
        let tell = |event| {
            let _ = events.send(event);
        };
        match exit {
            Exit::Wait => {
                wait(vcpu, port);
                self.waits = port.has_orders();
            }
            Exit::Yield => thread::yield_now(),
            Exit::Requested if port.take_standby() => wait(vcpu, port),
            Exit::Requested => {}
            Exit::Breakpoint => port.debug.stop(cpu, Why::Breakpoint(vcpu.pc())),
            Exit::Watchpoint(hit) => port.debug.stop(cpu, Why::Watchpoint(hit)),
            Exit::Stepped => {
                // A step does not wait, not even for firmware.
                port.take_standby();
                port.debug.stop(cpu, Why::Stepped);
            }
            Exit::Stopped(why) => {
                (self.running, self.waits_for_machine) = (false, why != Stop::CpuOff);
                match why {
                    Stop::CpuOff => port.switched_off(),
                    Stop::PowerOff => tell(Event::PowerOff),
                    Stop::Reset => tell(Event::Reset),
                    Stop::Shutdown => {
                        let pc = vcpu.pc();
                        tracing::info!("CPU {cpu} has shut down after a triple fault at {pc:#x}");
                        tell(Event::Reset);
                    }
                }
            }
        }
    }
}

/// Lets the engine go on at this pace.
fn advance(vcpu: &mut dyn Processor, pace: Pace, port: &Port) -> Exit {
    let Pace::Step { range, interrupts } = pace else {
        return vcpu.run();
    };
    loop {
        let exit = vcpu.step(interrupts);
        if exit != Exit::Stepped || !(range.0..range.1).contains(&vcpu.pc()) {
            return exit;
        }
        if port.has_orders() || port.debug.is_held() {
            return Exit::Requested;
        }
    }
}

/// Sleeps until an interrupt or an order comes, or it is to rest. Each unparks this thread, whether it sleeps already or not.
fn wait(vcpu: &dyn Processor, port: &Port) {
    while !vcpu.wakes() && !port.has_orders() && !port.debug.is_held() {
        thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpus::Cpus;
    use crate::hold::Holder;
    use crate::hold::tests::{Nothing, SOON};
    use crate::space::{AddressSpace, SystemMemory, What};
    use crossbeam::channel::{bounded, unbounded};
    use emu_devices::bus::{GuestMemory, Ram};
    use emu_firmware::fdt::Region;
    use emu_frontend_arm::{Arm, Cpu, MODELS};
    use emu_ir::testing::until;
    use emu_jit::engine::{Accel, Vcpu};
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    const RAM: u64 = 0x4000_0000;
    /// Words that the CPU and the device share, each in a line of its own: the round, the one that the CPU has done, what
    /// either says, and what the CPU heard.
    const SHARED: u64 = RAM + 0x1_0000;
    const DONE: u64 = SHARED + 0x40;
    const CPU_SAYS: u64 = SHARED + 0x80;
    const DEVICE_SAYS: u64 = SHARED + 0xc0;
    const HEARD: u64 = SHARED + 0x100;

    /// Turns the MMU on; then says the round, and hears what the device says, whenever there is a new round.
    const PROGRAM: &[u32] = &[
        0xe3a0_0101, // mov r0, #0x40000000
        0xe380_0601, // orr r0, r0, #0x100000
        0xee02_0f10, // mcr p15, 0, r0, c2, c0, 0: TTBR0
        0xe3e0_1000, // mvn r1, #0
        0xee03_1f10, // mcr p15, 0, r1, c3, c0, 0: DACR
        0xee11_1f10, // mrc p15, 0, r1, c1, c0, 0: SCTLR
        0xe381_1001, // orr r1, r1, #1
        0xee01_1f10, // mcr p15, 0, r1, c1, c0, 0
        0xf57f_f06f, // isb
        0xe3a0_4101, // mov r4, #0x40000000
        0xe384_4801, // orr r4, r4, #0x10000
        0xe594_0000, // 1: ldr r0, [r4]
        0xe150_0005, // cmp r0, r5
        0x0aff_fffc, // beq 1b
        0xe1a0_5000, // mov r5, r0
        0xe584_0080, // str r0, [r4, #0x80]
        0xf57f_f05b, // dmb ish
        0xe594_10c0, // ldr r1, [r4, #0xc0]
        0xe584_1100, // str r1, [r4, #0x100]
        0xe584_0040, // str r0, [r4, #0x40]
        0xeaff_fff5, // b 1b
    ];
    /// A section of normal memory, at its own address, for everybody.
    const SECTION: u32 = RAM as u32 | 0x1c0e;

    /// Who holds the CPU and who makes it wait ask the engine alike, and it comes back once.
    #[test]
    fn a_cpu_that_begins_to_wait_as_it_is_held_comes_to_rest() {
        let cpus = Arc::new(Cpus::new(1, |_| 1));
        let (entered, waits) = bounded(0);
        let own = cpus.clone();
        let cpu = thread::spawn(move || {
            let (port, inside) = (own.get(0).unwrap(), own.clone());
            let mut suspends = Nothing::that_runs(move || {
                inside.get(0).unwrap().enter_standby();
                inside.get(0).unwrap().debug.hold(Holder::Debugger);
                let _ = entered.send(());
                Exit::Requested
            });
            run(0, &mut suspends, port, &unbounded().0);
        });
        let port = cpus.get(0).unwrap();
        port.order(Order::Resume(Power::On));
        cpu.thread().unpark();
        waits.recv_timeout(SOON).expect("it runs");

        until("it rests", || port.debug.is_at_rest());

        port.debug.release(Holder::Debugger, None);
        port.order(Order::End);
        drop(waits);
        cpu.thread().unpark();
        cpu.join().unwrap();
    }

    #[test]
    fn a_cpu_that_runs_alone_and_a_device_do_not_miss_each_other() {
        let space = Arc::new(AddressSpace::new());
        let what = What::Ram {
            memory: Arc::new(Ram::new(2 << 20).unwrap()),
            offset: 0,
        };
        space.map(Region::new(RAM, 2 << 20), what).unwrap();
        let memory = SystemMemory::new(space.clone(), Arc::new(Cpus::new(1, |_| 1)), 1);
        let put = |at: u64, word: u32| memory.write(at, &word.to_le_bytes()).unwrap();
        let get = |at: u64| memory.load_u16(at).unwrap();
        PROGRAM.iter().zip(0u64..).for_each(|(&word, n)| put(RAM + 4 * n, word));
        put(RAM + 0x10_0000 + 4 * (RAM >> 20), SECTION);
        let guest = Arm::alone(&MODELS[0]);
        let bus = Box::new(space.view(0));
        let mut vcpu = match Vcpu::new(guest, Cpu::reset(&MODELS[0]), bus, Accel::Jit, true) {
            Ok(vcpu) => vcpu,
            Err(why) => return emu_ir::testing::skipped("a CPU that runs alone and a device", &why.to_string()),
        };
        vcpu.start(Start::At { pc: RAM, args: [0; 3] });
        let kick = vcpu.kick();
        let cpu = thread::spawn(move || vcpu.run());

        let end = Instant::now() + Duration::from_secs(2);
        let mut missed = 0;
        for round in (1..=u16::MAX).take_while(|_| Instant::now() < end) {
            memory.store_u16(SHARED, round).unwrap();
            (0..round % 128).for_each(|_| std::hint::spin_loop());
            memory.store_u16(DEVICE_SAYS, round).unwrap();
            memory.order();
            let heard = get(CPU_SAYS);
            while get(DONE) != round {
                assert!(
                    Instant::now() < end + Duration::from_secs(60),
                    "round {round} is never done"
                );
                std::hint::spin_loop();
            }
            missed += u32::from(heard != round && get(HEARD) != round);
        }

        kick.request_exit();
        cpu.join().unwrap();
        assert_eq!(missed, 0);
    }
}

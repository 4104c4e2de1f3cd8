mod ioapic;
mod kept;
mod messages;
mod pins;
mod priorities;
mod property;
mod saves;
mod timer;

use super::ioapic::IoApic;
use super::*;
use crate::bus::{CpuLine, Device, fuzz};
use crate::irq::ExtInt;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};

// The page's registers.
const ID: u64 = 0x20;
const VERSION: u64 = 0x30;
const TPR: u64 = 0x80;
const PPR: u64 = 0xa0;
const EOI: u64 = 0xb0;
const LDR: u64 = 0xd0;
const DFR: u64 = 0xe0;
const SVR: u64 = 0xf0;
const ISR: u64 = 0x100;
const TMR: u64 = 0x180;
const IRR: u64 = 0x200;
const ESR: u64 = 0x280;
const LVT_CMCI: u64 = 0x2f0;
const ICR: u64 = 0x300;
const ICR_HIGH: u64 = 0x310;
const LVT_TIMER: u64 = 0x320;
const LVT_THERMAL: u64 = 0x330;
const LVT_PERFORMANCE: u64 = 0x340;
const LVT_LINT0: u64 = 0x350;
const LVT_LINT1: u64 = 0x360;
const LVT_ERROR: u64 = 0x370;
const INITIAL: u64 = 0x380;
const CURRENT: u64 = 0x390;
const DIVIDE: u64 = 0x3e0;

/// IA32_APIC_BASE with the page where it is at first, and x2APIC mode.
const BASE: u64 = 0xfee0_0000;
const X2APIC: u64 = BASE | 0xc00;
/// The mask bit of an entry.
const MASKED: u32 = 1 << 16;

const fn rate(hz: u32) -> Rate {
    match NonZeroU32::new(hz) {
        Some(hz) => Rate::new(hz),
        None => panic!(),
    }
}

/// No CPU, no vector.
const NOBODY: [usize; 0] = [];
const NOTHING: [u8; 0] = [];

/// A tick of the timer's input is a nanosecond, two of the TSC are.
const MODEL: Model = Model {
    tsc: rate(2_000_000_000),
    timer: rate(1_000_000_000),
    x2apic: true,
    tsc_deadline: true,
    physical_bits: 40,
};

/// What happens to a CPU besides its interrupt input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Edge(CpuLine),
    StartUp(u8),
}
use Event::{Edge, StartUp};

/// Levels of the CPUs' inputs, and the events.
#[derive(Default)]
struct Inputs {
    levels: Mutex<Vec<(usize, CpuLine)>>,
    events: Mutex<Vec<(usize, Event)>>,
}

impl CpuInputs for Inputs {
    fn set(&self, cpu: usize, line: CpuLine, level: bool) {
        let mut levels = self.levels.lock().unwrap();
        let high = levels.iter().position(|one| *one == (cpu, line));
        assert_ne!(high.is_some(), level, "outputs change or stay silent");
        match high {
            Some(n) => drop(levels.remove(n)),
            None => levels.push((cpu, line)),
        }
        if level && line != CpuLine::Irq {
            self.events.lock().unwrap().push((cpu, Edge(line)));
        }
    }

    fn start_up(&self, cpu: usize, page: u8) {
        self.events.lock().unwrap().push((cpu, StartUp(page)));
    }
}

/// An 8259A that always has the same interrupt.
#[derive(Default)]
struct Pic {
    asked: AtomicU8,
}

const PIC_VECTOR: u8 = 0x08;

impl ExtInt for Pic {
    fn acknowledge(&self) -> u8 {
        self.asked.fetch_add(1, Ordering::SeqCst);
        PIC_VECTOR
    }
}

struct Bench {
    wiring: Arc<Wiring>,
    clock: Clock,
    apics: Shared<LocalApics>,
    bus: Arc<ApicBus>,
    ioapic: Shared<IoApic>,
    inputs: Arc<Inputs>,
    pic: Arc<Pic>,
}

impl Bench {
    fn of(ids: &[u32], model: Model) -> Bench {
        let b = Bench::unconnected(ids, model);
        b.wiring.connect(vec![b.ioapic.controller(), b.apics.controller()]);
        b
    }

    /// Nothing follows a change of a line: for use while one of them is locked.
    fn unconnected(ids: &[u32], model: Model) -> Bench {
        let (wiring, clock) = (Wiring::new(), Clock::manual(0));
        let inputs = Arc::new(Inputs::default());
        let outputs: Arc<dyn CpuInputs> = inputs.clone();
        let apics = LocalApics::new(&wiring, &clock, ids, model, &outputs);
        let bus = apics.with(|apics| apics.bus());
        let ioapic = IoApic::new(&wiring, &bus);
        let pic = Arc::new(Pic::default());
        bus.connect_external(pic.clone());
        Bench {
            wiring,
            clock,
            apics,
            bus,
            ioapic,
            inputs,
            pic,
        }
    }

    /// CPUs with the ids 0 and on.
    fn new(cpus: u32) -> Bench {
        Bench::of(&(0..cpus).collect::<Vec<_>>(), MODEL)
    }

    /// The same, enabled by software.
    fn ready(cpus: u32) -> Bench {
        let b = Bench::new(cpus);
        (0..cpus as usize).for_each(|cpu| b.set_of(cpu, SVR, 0x1ff));
        b
    }

    fn cpu(&self, cpu: usize) -> LocalApic {
        self.apics.with(|apics| apics.cpu(cpu))
    }

    fn get_of(&self, cpu: usize, reg: u64) -> u32 {
        self.cpu(cpu).read(reg, 4) as u32
    }

    fn set_of(&self, cpu: usize, reg: u64, value: u32) {
        self.cpu(cpu).write(reg, 4, value.into());
    }

    fn get(&self, reg: u64) -> u32 {
        self.get_of(0, reg)
    }

    fn set(&self, reg: u64, value: u32) {
        self.set_of(0, reg, value);
    }

    /// The errors since the last time.
    fn errors(&self, cpu: usize) -> u32 {
        self.set_of(cpu, ESR, 0);
        self.get_of(cpu, ESR)
    }

    fn irq(&self, cpu: usize) -> bool {
        self.inputs.levels.lock().unwrap().contains(&(cpu, CpuLine::Irq))
    }

    /// The CPUs whose interrupt input is high.
    fn interrupted(&self) -> Vec<usize> {
        let levels = self.inputs.levels.lock().unwrap();
        let mut cpus: Vec<usize> = levels.iter().map(|(cpu, _)| *cpu).collect();
        cpus.sort_unstable();
        cpus
    }

    /// What has happened to CPUs since the last time.
    fn events(&self) -> Vec<(usize, Event)> {
        std::mem::take(&mut *self.inputs.events.lock().unwrap())
    }

    /// The vector a CPU takes, which its input must have announced.
    fn take(&self, cpu: usize) -> Option<u8> {
        self.irq(cpu).then(|| self.cpu(cpu).acknowledge())
    }

    /// All the vectors a CPU takes, each of them ended.
    fn take_all(&self, cpu: usize) -> Vec<u8> {
        let one = || {
            let vector = self.take(cpu)?;
            self.set_of(cpu, EOI, 0);
            Some(vector)
        };
        std::iter::from_fn(one).take(300).collect()
    }

    /// The vectors in one of the sets of 256.
    fn vectors(&self, cpu: usize, set: u64) -> Vec<u8> {
        let words: [u32; 8] = std::array::from_fn(|n| self.get_of(cpu, set + 16 * n as u64));
        let has = |vector: &u8| words[usize::from(vector / 32)] >> (vector % 32) & 1 != 0;
        (0..=255).filter(has).collect()
    }

    /// An interrupt of a CPU's own, an edge.
    fn interrupt(&self, cpu: usize, vector: u8) {
        self.send(To::Cpu(cpu), vector, false);
    }

    /// Drives a pin of the IOAPIC.
    fn drive(&self, pin: usize, level: bool) {
        self.ioapic.with(|apic| apic.pin(pin)).drive(level);
    }

    fn send(&self, to: To, vector: u8, level: bool) -> bool {
        self.bus.send(&Message {
            to,
            delivery: Delivery::Fixed,
            vector,
            level,
        })
    }
}

#[test]
fn any_access_is_survived() {
    let offsets: Vec<u64> = (0..0x40)
        .map(|n| 16 * n)
        .chain([ICR, ICR, LVT_TIMER, SVR, SVR, 0x384])
        .collect();
    for seed in 0..if cfg!(miri) { 1 } else { 6 } {
        let [one, other] = [(); 2].map(|()| Bench::unconnected(&[0, 1, 2, 3], MODEL));
        // What becomes of a state depends on the time.
        let stir = |apics: &mut LocalApics, random: &mut fuzz::Random| {
            stir(&one, apics, random);
            other.clock.advance(one.clock.now_ns() - other.clock.now_ns());
        };
        one.apics.with(|device| {
            other
                .apics
                .with(|twin| fuzz::registers(seed, device, twin, &offsets, 0x1100, stir));
        });
    }
}

/// Something that is no access to the page.
fn stir(b: &Bench, apics: &mut LocalApics, random: &mut fuzz::Random) {
    let cpu = apics.cpu(random.below(5) as usize);
    let value = random.value();
    match random.below(12) {
        0 => b.clock.advance(value & 0xffff_ffff),
        1 => drop(cpu.set_base([BASE | 0x800, X2APIC, BASE, value][random.below(4) as usize])),
        2 => drop(cpu.write_msr(0x800 + random.below(0x40) as u32, value)),
        3 => drop(cpu.read_msr(0x800 + random.below(0x40) as u32)),
        4 => cpu.set_tsc_deadline(value),
        5 => cpu.set_tsc_ahead(value),
        6 => drop(cpu.acknowledge()),
        7 => cpu.set_cr8(value),
        8 => cpu.signal(Source::of(random.below(7) as usize)),
        9 => b.bus.message(BASE | value & 0xf_ffff, value as u32),
        10 => cpu.init(),
        _ => {
            apics.lint(random.below(2) as usize).set(value & 1 != 0);
            apics.inputs_changed();
        }
    }
}

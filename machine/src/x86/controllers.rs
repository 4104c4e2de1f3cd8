//! The interrupt controllers of a board: local APICs, two IOAPICs, and a pair of 8259s behind LINT0.
//!
//! A line of ISA's goes to the 8259s and to the first IOAPIC, whose pin 2 is the timer's; the lines above, to the IOAPICs
//! alone.

use std::any::Any;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, Weak};

use emu_devices::bus::{Clock, Controller, CpuInputs, Device, Irq, Lines, Shared, Wiring};
use emu_devices::irq::apic::ioapic::IoApic;
use emu_devices::irq::apic::{self, LocalApic, LocalApics, Rate};
use emu_devices::irq::i8259::I8259;
use emu_frontend_x86::model::Model;

use super::TSC_HZ;
use crate::arch::CpuWiring;
use crate::board::Interrupts;
use crate::cpus::Cpus;

/// Lines of ISA's.
const ISA: usize = 16;
/// Pins of an IOAPIC.
pub const PINS: usize = 24;
/// The IOAPIC's pin of ISA's line 0, the timer's.
pub const TIMER_PIN: usize = 2;
/// IA32_APIC_BASE's bit of the bootstrap processor.
const BSP: u64 = 1 << 8;

/// ISA's lines, each of which drives two inputs.
struct Isa {
    lines: Arc<Lines>,
    outputs: Vec<[Irq; 2]>,
}

impl Controller for Isa {
    fn inputs_changed(&mut self) {
        // In this order: a line that rises in between is taken with the next change.
        let risen = self.lines.take_risen_word(0);
        let level = self.lines.level_word(0);
        for (n, outputs) in self.outputs.iter().enumerate() {
            let (rose, high) = (risen >> n & 1 != 0, level >> n & 1 != 0);
            for output in outputs {
                if rose {
                    output.set(false);
                    output.set(true);
                }
                output.set(high);
            }
        }
    }
}

/// The controllers.
pub struct Controllers {
    apics: Shared<LocalApics>,
    pic: Shared<I8259>,
    io_apics: [Shared<IoApic>; 2],
    isa: Arc<Mutex<Isa>>,
    lines: Arc<Lines>,
    has_apic: bool,
    cpus: usize,
}

impl Controllers {
    /// Those of CPUs of a model.
    pub fn new(model: &Model, (wiring, clock): (&Arc<Wiring>, &Clock), cpus: &Arc<Cpus>) -> Controllers {
        const RATE: Rate = Rate::new(match NonZeroU32::new(TSC_HZ as u32) {
            Some(hz) => hz,
            None => NonZeroU32::MIN,
        });
        let ids: Vec<u32> = (0..cpus.count() as u32).collect();
        let local = apic::Model {
            tsc: RATE,
            timer: RATE,
            x2apic: model.has("x2apic"),
            tsc_deadline: model.has("tsc-deadline"),
            physical_bits: model.address_bits.into(),
        };
        let inputs: Arc<dyn CpuInputs> = cpus.clone();
        let apics = LocalApics::new(wiring, clock, &ids, local, &inputs);
        let (bus, lint0) = apics.with(|apics| (apics.bus(), apics.lint(0)));
        let pic = I8259::new(wiring, lint0);
        bus.connect_external(Arc::new(pic.clone()));
        let io_apics = [IoApic::new(wiring, &bus), IoApic::new(wiring, &bus)];
        let [first, _] = &io_apics;
        let lines = Lines::new(wiring, ISA);
        let outputs = (0..ISA).map(|n| {
            let pin = match n {
                0 => TIMER_PIN,
                // The slave's.
                TIMER_PIN => PINS,
                n => n,
            };
            [pic.with(|pic| pic.irq(n)), first.with(|io_apic| io_apic.pin(pin))]
        });
        let isa = Isa {
            lines: lines.clone(),
            outputs: outputs.collect(),
        };
        Controllers {
            apics,
            pic,
            isa: Arc::new(Mutex::new(isa)),
            io_apics,
            lines,
            has_apic: model.has("apic"),
            cpus: cpus.count(),
        }
    }

    /// Those around a CPU, if they are.
    pub fn of<'a>(around: &CpuWiring<'a>) -> Option<&'a Controllers> {
        let controller: &dyn Any = around.controller?;
        controller.downcast_ref()
    }

    /// A CPU's local APIC.
    pub fn local_apic(&self, cpu: usize) -> LocalApic {
        self.apics.with(|apics| apics.cpu(cpu))
    }
}

impl Interrupts for Controllers {
    fn device(&self) -> Shared<dyn Device> {
        self.apics.erase()
    }

    fn part(&self, model: &str, n: usize) -> Option<Shared<dyn Device>> {
        match (model, n) {
            ("i8259", 0) => Some(self.pic.erase()),
            ("ioapic", n) => self.io_apics.get(n).map(Shared::erase),
            _ => None,
        }
    }

    fn controllers(&self) -> Vec<Weak<Mutex<dyn Controller>>> {
        let isa: Arc<Mutex<dyn Controller>> = self.isa.clone();
        let mut all = vec![Arc::downgrade(&isa), self.pic.controller()];
        all.extend(self.io_apics.iter().map(Shared::controller));
        all.push(self.apics.controller());
        all
    }

    fn shared(&self, n: u32) -> Irq {
        let n = n as usize;
        match n.checked_sub(ISA) {
            None => self.lines.irq(n),
            Some(_) => {
                let io_apic = self.io_apics.get(n / PINS);
                io_apic.map_or_else(Irq::unconnected, |io_apic| io_apic.with(|it| it.pin(n % PINS)))
            }
        }
    }

    fn private(&self, _: usize, _: u32) -> Irq {
        Irq::unconnected()
    }

    fn may_interrupt(&self, cpu: usize) -> bool {
        self.local_apic(cpu).may_interrupt()
    }

    /// Virtual wire mode; where CPUs have no local APIC, the 8259s are wired to the first.
    fn set_up(&self) {
        let first = self.local_apic(0);
        if self.has_apic {
            return first.virtual_wire();
        }
        for cpu in 0..self.cpus {
            // Off is a state that all others can change to.
            let _ = self.local_apic(cpu).set_base(if cpu == 0 { BSP } else { 0 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use emu_devices::bus::Access;

    fn bench() -> (Arc<Wiring>, Controllers, Arc<Cpus>) {
        let (wiring, clock) = (Wiring::new(), Clock::manual(0));
        let cpus = Arc::new(Cpus::new(2, super::super::line_bit));
        let controllers = Controllers::new(&Model::ALL, (&wiring, &clock), &cpus);
        wiring.connect(controllers.controllers());
        controllers.device().reset();
        (wiring, controllers, cpus)
    }

    fn put(device: &Shared<dyn Device>, writes: &[(u64, u64)], size: u8) {
        for &(offset, value) in writes {
            device.write(Access::new(offset, size), value);
        }
    }

    #[test]
    fn a_line_of_isa_interrupts_by_the_8259() {
        let (_wiring, controllers, cpus) = bench();
        controllers.set_up();
        let pic = controllers.part("i8259", 0).unwrap();
        put(&pic, &[(0, 0x11), (1, 0x20), (1, 4), (1, 1), (1, 0)], 1);

        controllers.shared(4).drive(true);

        assert_eq!(cpus.get(0).unwrap().lines(), super::super::INTR);
        assert_eq!(controllers.local_apic(0).acknowledge(), 0x24);
    }

    #[test]
    fn the_timers_line_is_pin_2_and_lines_above_are_of_both_io_apics() {
        let (_wiring, controllers, cpus) = bench();
        let enable = |apic: &LocalApic| apic.write(0xf0, 4, 0x1ff);
        let second = controllers.local_apic(1);
        enable(&second);
        for (io_apic, pin, vector, line) in [(0, 2, 0x40, 0), (0, 16, 0x41, 16), (1, 0, 0x42, 24), (1, 23, 0x43, 47)] {
            let io_apic = controllers.part("ioapic", io_apic).unwrap();
            let entry = 0x10 + 2 * pin;
            put(
                &io_apic,
                &[(0, entry + 1), (0x10, 1 << 24), (0, entry), (0x10, vector)],
                4,
            );

            controllers.shared(line).drive(true);

            assert_eq!(cpus.get(1).unwrap().lines(), super::super::INTR, "line {line}");
            assert_eq!(u64::from(second.acknowledge()), vector);
            second.write(0xb0, 4, 0);
        }
        assert!(controllers.part("ioapic", 2).is_none() && !controllers.shared(48).level());
    }

    #[test]
    fn an_edge_that_is_short_reaches_the_io_apic() {
        let (_wiring, controllers, cpus) = bench();
        let first = controllers.local_apic(0);
        first.write(0xf0, 4, 0x1ff);
        let io_apic = controllers.part("ioapic", 0).unwrap();
        put(&io_apic, &[(0, 0x18), (0x10, 0x44)], 4);
        let line = controllers.shared(4);

        line.set(true);
        line.set(false);
        line.settle();

        assert_eq!(cpus.get(0).unwrap().lines(), super::super::INTR);
        assert_eq!(first.acknowledge(), 0x44);
    }

    #[test]
    fn without_local_apics_the_8259_is_the_cpus() {
        let (wiring, clock) = (Wiring::new(), Clock::manual(0));
        let cpus = Arc::new(Cpus::new(1, super::super::line_bit));
        let mut controllers = Controllers::new(&Model::ALL, (&wiring, &clock), &cpus);
        controllers.has_apic = false;
        wiring.connect(controllers.controllers());
        controllers.device().reset();
        controllers.set_up();
        let pic = controllers.part("i8259", 0).unwrap();
        put(&pic, &[(0, 0x11), (1, 0x20), (1, 4), (1, 1), (1, 0)], 1);

        controllers.shared(1).drive(true);

        assert_eq!(controllers.local_apic(0).page(), None);
        assert_eq!(cpus.get(0).unwrap().lines(), super::super::INTR);
        assert_eq!(controllers.local_apic(0).acknowledge(), 0x21);
    }
}

//! What holds for the saved state of every device.

use crate::backend::MemoryChar;
use crate::bus::fuzz::Random;
use crate::bus::{
    Access, Clock, CpuInputs, CpuLine, Device, GuestMemory, Irq, Lines, LoadError, Ram, RamWindow, Saved, Shared,
    Wiring, Works,
};
use crate::char::pl011::Pl011;
use crate::char::uart16550::Uart16550;
use crate::irq::apic::ioapic::IoApic;
use crate::irq::apic::{LocalApics, Model, Rate};
use crate::irq::gicv2::GicV2;
use crate::irq::i8259::I8259;
use crate::misc::acpi_ged::{self, AcpiGed};
use crate::misc::fw_cfg::FwCfg;
use crate::misc::isa_debug_exit::IsaDebugExit;
use crate::misc::pl061::Pl061;
use crate::misc::port92::{self, Port92};
use crate::storage::pflash::Pflash;
use crate::timer::i8254::I8254;
use crate::timer::mc146818::Mc146818;
use crate::timer::pl031::Pl031;
use crate::virtio::console::Console;
use crate::virtio::mmio::{EmptySlot, Mmio};
use crate::virtio::rng::Rng;
use crate::virtio::testing::{Driver, RAM, RAM_SIZE};
use serde_json::{Value, json};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The world around a device.
struct World {
    wiring: Arc<Wiring>,
    clock: Clock,
    lines: Arc<Lines>,
    memory: RamWindow,
    host: MemoryChar,
    /// Level of CPU 0's interrupt input.
    cpu: Arc<Input>,
}

#[derive(Default)]
struct Input(AtomicBool);

impl CpuInputs for Input {
    fn set(&self, cpu: usize, line: CpuLine, level: bool) {
        if cpu == 0 && line == CpuLine::Irq {
            self.0.store(level, Ordering::SeqCst);
        }
    }
}

impl World {
    fn new() -> World {
        let wiring = Wiring::new();
        World {
            clock: Clock::manual(1_700_000_000_000_000_000),
            lines: Lines::new(&wiring, 1),
            memory: RamWindow::new(RAM, Arc::new(Ram::new(RAM_SIZE).unwrap()), None),
            host: MemoryChar::new(),
            cpu: Arc::default(),
            wiring,
        }
    }

    fn irq(&self) -> Irq {
        self.lines.irq(0)
    }

    fn ram(&self) -> Arc<dyn GuestMemory> {
        Arc::new(self.memory.clone())
    }

    fn interrupted(&self) -> bool {
        self.lines.level(0) || self.cpu.0.load(Ordering::SeqCst)
    }
}

/// A device, and what does its work.
type Made = (Shared<dyn Device>, Box<dyn Fn()>);

/// Has a device interrupt.
type Interrupt = fn(&World, &Shared<dyn Device>);

/// How a device is made, and what it takes for it to interrupt.
struct Kind {
    make: fn(&World) -> Made,
    interrupt: Option<Interrupt>,
}

fn plain<D: Device + 'static>(device: Shared<D>) -> Made {
    (device.erase(), Box::new(|| {}))
}

fn working<D: Device + Works>(device: Shared<D>) -> Made {
    (device.erase(), Box::new(move || device.work()))
}

fn set(device: &Shared<dyn Device>, writes: &[(u64, u64)]) {
    for &(offset, value) in writes {
        device.write(Access::new(offset, 4), value);
    }
}

/// [`set`], for chips of 8 bits.
fn set_bytes(device: &Shared<dyn Device>, writes: &[(u64, u64)]) {
    for &(offset, value) in writes {
        device.write(Access::new(offset, 1), value);
    }
}

/// Where a gate leads that nobody looks at.
struct Nowhere;

impl port92::Outputs for Nowhere {
    fn a20(&self, _open: bool) {}
    fn init(&self) {}
}

impl acpi_ged::Power for Nowhere {
    fn off(&self) {}
    fn reset(&self) {}
}

/// Every device there is.
const KINDS: &[Kind] = &[
    Kind {
        make: |w| plain(Pl011::new(&w.wiring, &w.clock, w.irq(), Arc::new(w.host.clone()))),
        interrupt: Some(|w, uart| {
            set(uart, &[(0x30, 0x301), (0x38, 0x10)]);
            w.host.feed(b"x");
        }),
    },
    Kind {
        make: |w| plain(Uart16550::new(&w.wiring, &w.clock, w.irq(), Arc::new(w.host.clone()))),
        interrupt: Some(|_, uart| set_bytes(uart, &[(4, 8), (1, 2)])),
    },
    Kind {
        make: |w| plain(I8254::new(&w.wiring, &w.clock, w.irq())),
        interrupt: Some(|_, timer| set_bytes(timer, &[(3, 0x34)])),
    },
    Kind {
        make: |w| plain(Mc146818::new(&w.wiring, &w.clock, w.irq(), Irq::unconnected())),
        interrupt: Some(|w, rtc| {
            set_bytes(rtc, &[(0, 0x0b), (1, 0x12)]);
            w.clock.advance(1_000_000_000);
        }),
    },
    Kind {
        make: |w| {
            let pic = I8259::new(&w.wiring, w.irq());
            w.wiring.connect(vec![pic.controller()]);
            // Line 0 of the world is its INT: an input of its own.
            pic.with(|pic| pic.irq(5)).set(true);
            plain(pic)
        },
        // IRQ 5 counts as a level.
        interrupt: Some(|_, pic| set_bytes(pic, &[(0, 0x13), (1, 0x20), (1, 1), (0x4b0, 0x20)])),
    },
    Kind {
        make: |w| plain(IsaDebugExit::new(&w.wiring, 4, Box::new(|_| {}))),
        interrupt: None,
    },
    Kind {
        make: |w| plain(AcpiGed::new(&w.wiring, w.irq(), Box::new(Nowhere))),
        interrupt: None,
    },
    Kind {
        make: |w| plain(Port92::new(&w.wiring, Box::new(Nowhere))),
        interrupt: None,
    },
    Kind {
        make: |w| plain(Pl031::new(&w.wiring, &w.clock, w.irq())),
        interrupt: Some(|w, rtc| {
            set(rtc, &[(0x10, 1), (0x04, 1_700_000_001)]);
            w.clock.advance(1_000_000_000);
        }),
    },
    Kind {
        make: |w| plain(Pl061::new(&w.wiring, w.irq(), [const { Irq::unconnected() }; 8])),
        interrupt: Some(|_, gpio| set(gpio, &[(0x410, 1), (0x40c, 1), (0x400, 1), (0x004, 1)])),
    },
    Kind {
        make: |w| {
            let gic = GicV2::new(&w.wiring, 2, w.cpu.clone());
            w.wiring.connect(vec![gic.controller()]);
            plain(gic)
        },
        interrupt: Some(|_, gic| set(gic, &[(0x000, 1), (0x1_0004, 0xff), (0x1_0000, 1), (0xf00, 1 << 16)])),
    },
    Kind {
        make: |w| plain(local_apics(w)),
        interrupt: Some(|_, apic| set(apic, &[(0xf0, 0x1ff), (0x300, 0x4_4031)])),
    },
    Kind {
        make: |w| {
            let apics = local_apics(w);
            plain(IoApic::new(&w.wiring, &apics.with(|apics| apics.bus())))
        },
        interrupt: None,
    },
    Kind {
        make: |w| {
            let mut device = FwCfg::new(w.ram());
            device.add_file("etc/a", *b"first").unwrap();
            device.add_writable_file("etc/w", [0; 4]).unwrap();
            working(Shared::new(&w.wiring, device))
        },
        interrupt: None,
    },
    Kind {
        make: |w| {
            let bank = Pflash::new(1 << 19, vec![0x5a; 300], Arc::new(())).unwrap();
            plain(Shared::new(&w.wiring, bank))
        },
        interrupt: None,
    },
    Kind {
        make: |w| plain(Shared::new(&w.wiring, EmptySlot::default())),
        interrupt: None,
    },
    Kind {
        make: |w| working(Console::mmio(&w.wiring, w.irq(), w.ram(), Arc::new(w.host.clone()))),
        interrupt: Some(broken_queue),
    },
    Kind {
        make: |w| working(Mmio::new(&w.wiring, w.irq(), w.ram(), Rng::new())),
        interrupt: Some(broken_queue),
    },
];

fn local_apics(w: &World) -> Shared<LocalApics> {
    let rate = Rate::new(NonZeroU32::MAX);
    let model = Model {
        tsc: rate,
        timer: rate,
        x2apic: true,
        tsc_deadline: true,
        physical_bits: 40,
    };
    let outputs: Arc<dyn CpuInputs> = w.cpu.clone();
    LocalApics::new(&w.wiring, &w.clock, &[0, 1], model, &outputs)
}

/// A driver that breaks the rules: the device asks for a reset, and interrupts.
fn broken_queue(w: &World, device: &Shared<dyn Device>) {
    let mut driver = Driver::start(device, &w.memory, 1 << 32, 1).remove(0);
    driver.describe(0, RAM, 0, 1, 0);
    driver.make_available(0);
}

/// Devices of every kind after random accesses.
fn used(seed: u64) -> impl Iterator<Item = (World, Shared<dyn Device>, &'static Kind)> {
    KINDS.iter().map(move |kind| {
        let world = World::new();
        let (device, work) = (kind.make)(&world);
        let mut random = Random::new(seed);
        for _ in 0..if cfg!(miri) { 20 } else { 1000 } {
            let access = random.access(
                &[0x00, 0x04, 0x08, 0x10, 0x30, 0x38, 0x40, 0x70, 0x100, 0x400],
                0x1_1000,
            );
            device.write(access, random.value());
            device.read(access);
            work();
        }
        (world, device, kind)
    })
}

fn bytes(saved: &Saved) -> Vec<u8> {
    serde_json::to_vec(saved).unwrap()
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn what_is_loaded_is_saved_again_byte_by_byte() {
    for seed in 0..8 {
        for (_world, device, kind) in used(seed) {
            let first = bytes(&device.save());

            let other = World::new();
            let (other, _) = (kind.make)(&other);
            other.load(&serde_json::from_slice(&first).unwrap()).unwrap();

            assert_eq!(bytes(&other.save()), first, "{}", device.model());
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn another_models_state_is_refused() {
    for (_world, device, _) in used(1) {
        let before = device.save();
        for (_other_world, other, _) in used(2).filter(|(_, other, _)| other.model() != device.model()) {
            let refused = device.load(&other.save());

            assert!(matches!(refused, Err(LoadError::Model { .. })), "{}", device.model());
            assert_eq!(device.save(), before);
        }
    }
}

/// Every value in `value` and below it, by the way there.
fn places(value: &Value, here: String, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(name, value)| places(value, format!("{here}/{name}"), found)),
        // Of long arrays the first elements stand for the others.
        Value::Array(elements) => (0..)
            .zip(elements)
            .take(3)
            .for_each(|(n, value)| places(value, format!("{here}/{n}"), found)),
        _ => {}
    }
    found.push(here);
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn a_state_without_one_of_its_fields_is_refused() {
    for (_world, device, _) in used(3) {
        let before = device.save();
        let whole: Value = serde_json::to_value(&before).unwrap();
        let mut all = Vec::new();
        places(&whole["state"], "/state".to_owned(), &mut all);
        for place in all {
            let (parent, name) = place.rsplit_once('/').unwrap();
            let mut cut = whole.clone();
            // Maps have as many entries as they have.
            let Some(Value::Object(fields)) = cut.pointer_mut(parent) else {
                continue;
            };
            if ["written", "blocks"].iter().any(|map| parent.ends_with(map)) || parent.is_empty() {
                continue;
            }
            fields.remove(name);

            let refused = device.load(&serde_json::from_value(cut).unwrap());

            assert!(
                matches!(refused, Err(LoadError::Malformed { .. })),
                "{} without {place}: {refused:?}",
                device.model()
            );
            assert_eq!(device.save(), before, "{} without {place}", device.model());
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn nonsense_in_a_state_is_refused_or_harmless() {
    let nonsense = [
        json!(null),
        json!(-1),
        json!(1e30),
        json!(u64::MAX),
        json!(u32::MAX),
        json!("none"),
        json!([]),
        json!([1, 2]),
        json!({}),
    ];
    for (_world, device, _) in used(4) {
        let before = device.save();
        let whole: Value = serde_json::to_value(&before).unwrap();
        let mut all = Vec::new();
        places(&whole["state"], "/state".to_owned(), &mut all);
        let mut random = Random::new(5);
        for place in all {
            for value in &nonsense {
                let mut changed = whole.clone();
                *changed.pointer_mut(&place).unwrap() = value.clone();
                device.load(&before).unwrap();

                match device.load(&serde_json::from_value(changed).unwrap()) {
                    Err(_) => assert_eq!(device.save(), before, "{} with {place}: {value}", device.model()),
                    Ok(()) => (0..50).for_each(|_| {
                        let access = random.access(&[0x00, 0x04, 0x44, 0x50, 0x70], 0x1_1000);
                        device.write(access, random.value());
                        device.read(access);
                    }),
                }
            }
        }
    }
}

#[test]
fn an_interrupt_survives_save_reset_and_load() {
    for kind in KINDS {
        let Some(interrupt) = kind.interrupt else { continue };
        let world = World::new();
        let (device, work) = (kind.make)(&world);
        interrupt(&world, &device);
        work();
        assert!(world.interrupted(), "{}", device.model());
        let saved = device.save();

        device.reset();
        assert!(!world.interrupted(), "{}", device.model());
        device.load(&saved).unwrap();

        assert!(world.interrupted(), "{}", device.model());
    }
}

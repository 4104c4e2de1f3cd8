use super::*;
use emu_devices::bus::{Format, LoadError, Saved, Wiring};
use std::sync::Mutex;

const BASE: u64 = 0x4000_0000;
const MIB: u64 = 1 << 20;

/// Reads as the access that reached it; remembers the last write.
#[derive(Default)]
struct Probe(u64);

fn number(access: bus::Access) -> u64 {
    access.offset << 16 | u64::from(access.size) << 8 | access.cpu as u64
}

impl Device for Probe {
    fn model(&self) -> &'static str {
        "probe"
    }
    fn read(&mut self, access: bus::Access) -> u64 {
        number(access)
    }
    fn write(&mut self, access: bus::Access, value: u64) {
        self.0 = value + number(access);
    }
    fn reset(&mut self) {}
    fn save(&mut self) -> Saved {
        Saved::new(&Format::first("probe"), &self.0)
    }
    fn load(&mut self, _: &Saved) -> Result<(), LoadError> {
        Ok(())
    }
}

fn probe() -> Shared<dyn Device> {
    Shared::new(&Wiring::new(), Probe::default()).erase()
}

fn registers(offset: u64) -> What {
    What::Device {
        device: probe(),
        offset,
    }
}

fn ram(length: u64) -> (Arc<Ram>, What) {
    let memory = Arc::new(Ram::new(length).unwrap());
    (memory.clone(), What::Ram { memory, offset: 0 })
}

/// A MiB of RAM, and two windows on registers.
fn space() -> Arc<AddressSpace> {
    let space = AddressSpace::new();
    space.map(Region::new(BASE, MIB), ram(MIB).1).unwrap();
    space.map(Region::new(0x1000, 0x100), registers(0x1_0000)).unwrap();
    space.map(Region::new(0x800, 0x10), registers(0)).unwrap();
    Arc::new(space)
}

/// Flash of two pages, with what it holds.
fn flash(space: &AddressSpace, readable: bool) -> Arc<Ram> {
    let memory = Arc::new(Ram::new(0x2000).unwrap());
    memory.copy_in(0x10, &[7; 4]).unwrap();
    let what = What::Rom {
        memory: memory.clone(),
        offset: 0,
        device: probe(),
        readable,
    };
    space.map(Region::new(0x10_0000, 0x2000), what).unwrap();
    memory
}

#[test]
fn accesses_reach_the_part_they_lie_in() {
    let mut bus = space().view(3);

    assert_eq!(bus.load(0x1004, 4), Some(0x1_0004 << 16 | 4 << 8 | 3));
    assert_eq!(bus.load(0x808, 8), Some(8 << 16 | 8 << 8 | 3));
    assert_eq!(bus.store(0x10ff, 1, 0), Some(()));
    assert_eq!(bus.load(0x1000, 4), Some(0x1_0000 << 16 | 4 << 8 | 3));
}

#[test]
fn nothing_answers_elsewhere() {
    let mut bus = space().view(0);
    bus.load(0x1000, 4);

    let absent = [0, 0x7ff, 0x810, 0xfff, 0x1100, BASE - 1, BASE + MIB, u64::MAX];
    for address in absent {
        assert_eq!(bus.load(address, 1), None, "{address:#x}");
        assert_eq!(bus.store(address, 1, 0), None, "{address:#x}");
        assert!(bus.ram(address).is_none(), "{address:#x}");
    }
    for straddling in [0x80c, 0x10fc, BASE + MIB - 4] {
        assert_eq!(bus.load(straddling, 8), None, "{straddling:#x}");
    }
}

#[test]
fn ram_reads_what_was_stored() {
    let mut bus = space().view(0);

    for size in [1, 2, 4, 8] {
        bus.store(BASE + 0x100, size, 0x1122_3344_5566_7788).unwrap();
        let mask = u64::MAX >> (64 - 8 * size);
        assert_eq!(bus.load(BASE + 0x100, size), Some(0x1122_3344_5566_7788 & mask));
    }
    assert_eq!(bus.load(BASE, 3), None);
    let page = bus.ram(BASE + 0x1fff).unwrap();
    assert_eq!((page.offset, page.writable), (0x1000, true));
}

/// Descriptors are changed by several vCPUs, and no change is lost.
#[test]
fn what_is_exchanged_by_several_at_once_is_not_lost() {
    const TURNS: u64 = 20_000;
    let space = space();
    let count = |cpu: usize| {
        let mut bus = space.view(cpu);
        for _ in 0..TURNS {
            let mut held = bus.load(BASE + 8, 8).unwrap();
            loop {
                match bus.compare_exchange(BASE + 8, 8, held, held + 1).unwrap() {
                    found if found == held => break,
                    found => held = found,
                }
            }
        }
    };
    std::thread::scope(|scope| (0..2).for_each(|cpu| drop(scope.spawn(move || count(cpu)))));

    let mut bus = space.view(0);
    assert_eq!(bus.load(BASE + 8, 8), Some(2 * TURNS));
    assert_eq!(bus.compare_exchange(BASE + 8, 4, 0, 1), Some(2 * TURNS));
    assert_eq!(bus.compare_exchange(BASE + MIB - 4, 8, 0, 1), None);
}

#[test]
fn flash_is_memory_that_its_device_writes() {
    let space = space();
    let array = flash(&space, true);
    let mut bus = space.view(0);

    let page = bus.ram(0x10_1ffc).unwrap();

    assert!(Arc::ptr_eq(page.mapping, array.mapping()));
    assert_eq!((page.offset, page.readable, page.writable), (0x1000, true, false));
    assert_eq!(bus.load(0x10_0010, 4), Some(0x0707_0707));
    bus.store(0x10_0010, 4, 1).unwrap();
    assert_eq!(bus.load(0x10_0010, 4), Some(0x0707_0707), "the device has it");
    assert!(bus.ram(0x10_2000).is_none());
}

#[test]
fn flash_that_answers_a_command_is_memory_for_fetches_alone() {
    let space = space();
    flash(&space, true);
    let mut bus = space.view(0);
    assert!(!bus.remapped());

    space.set_readable(Region::new(0x10_0000, 0x2000), false);

    assert!(bus.remapped() && !bus.remapped());
    assert_eq!(bus.load(0x10_0004, 4), Some(4 << 16 | 4 << 8));
    assert!(bus.ram(0x10_0000).is_some_and(|page| !page.readable));
}

#[test]
fn peeking_finds_memory_and_leaves_devices_alone() {
    let space = space();
    flash(&space, false);
    space.view(0).store(BASE + 4, 4, 0x0908_0706).unwrap();
    let peek = |at| {
        let mut bytes = [0; 4];
        space.peek(at, &mut bytes).map(|()| bytes)
    };

    assert_eq!(peek(BASE + 4), Some([6, 7, 8, 9]));
    assert_eq!(peek(0x10_0010), Some([7; 4]));
    for nothing in [0x1000, 0x800, 0x10_1ffe, BASE + MIB - 2, u64::MAX] {
        assert_eq!(peek(nothing), None, "{nothing:#x}");
    }
}

#[test]
fn places_are_taken_once() {
    let space = space();

    for (base, size) in [(0x7f8, 0x10), (0x80f, 1), (0x10ff, 2), (0, 0x2000), (BASE + 0x1000, 1)] {
        assert!(space.map(Region::new(base, size), registers(0)).is_err(), "{base:#x}");
    }
    assert_eq!(space.map(Region::new(0x810, 0x7f0), registers(0)), Ok(()));
}

#[test]
fn a_refused_change_changes_nothing() {
    let space = space();
    let mut bus = space.view(0);

    let refused = space.change(|edit| {
        edit.unmap(Region::new(BASE, MIB));
        edit.map(Region::new(0x800, 0x10), registers(0))
    });

    assert_eq!(refused, Err(Overlap(0x800)));
    assert!(!bus.remapped() && bus.ram(BASE).is_some());
}

#[test]
fn what_is_partly_taken_away_stays_around_the_hole() {
    let space = space();
    let mut bus = space.view(0);
    for (at, value) in [(0, 1), (0x2000, 2), (0x4000, 3)] {
        bus.store(BASE + at, 4, value).unwrap();
    }

    space
        .change(|edit| {
            edit.unmap(Region::new(BASE + 0x1000, 0x3000));
            edit.map(Region::new(BASE + 0x2000, 0x100), registers(0x40))
        })
        .unwrap();

    assert_eq!(bus.load(BASE, 4), Some(1));
    assert_eq!(bus.load(BASE + 0x1000, 4), None);
    assert_eq!(bus.load(BASE + 0x2000, 4), Some(0x40 << 16 | 4 << 8));
    assert_eq!(bus.load(BASE + 0x4000, 4), Some(3));
    assert_eq!(bus.ram(BASE).unwrap().offset, 0);
    assert_eq!(bus.ram(BASE + 0x4000).unwrap().offset, 0x4000);
}

#[test]
fn an_alias_shows_what_lies_elsewhere() {
    let space = space();
    space
        .map(Region::new(0x8000_0000, 0x2000), What::Alias { of: BASE + 0x1000 })
        .unwrap();
    space
        .map(Region::new(0x9000_0000, 0x1000), What::Alias { of: 0x8000_0000 })
        .unwrap();
    let mut bus = space.view(0);

    bus.store(0x8000_0004, 4, 5).unwrap();

    assert_eq!(bus.load(BASE + 0x1004, 4), Some(5));
    let known = |page: emu_ir::RamPage| (page.offset, page.phys);
    assert_eq!(
        bus.ram(0x8000_1000).map(known),
        bus.ram(BASE + 0x2000).map(known),
        "known by one address"
    );
    assert_eq!(bus.load(0x9000_0004, 4), None, "an alias of an alias");
}

#[test]
fn ports_and_what_only_a_mode_sees_lie_above_the_guests_addresses() {
    const MODE: u64 = 1 << 60;
    const PORTS: u64 = 2 << 60;
    let (space, (_, own)) = (space(), ram(0x1_0000));
    space
        .change(|edit| {
            edit.map(Region::new(PORTS, 0x1_0000), registers(0))?;
            edit.map(Region::new(MODE, 1 << 52), What::Alias { of: 0 })?;
            edit.unmap(Region::new(MODE + 0xa_0000, 0x1_0000));
            edit.map(Region::new(MODE + 0xa_0000, 0x1_0000), own)
        })
        .unwrap();
    let mut bus = space.view(0);

    bus.store(MODE + BASE, 4, 3).unwrap();
    bus.store(MODE + 0xa_0000, 4, 4).unwrap();

    assert_eq!(bus.load(BASE, 4), Some(3), "the same memory");
    assert_eq!(
        bus.ram(MODE + BASE).map(|page| page.phys),
        Some(BASE),
        "known by one address"
    );
    assert_eq!((bus.load(MODE + 0xa_0000, 4), bus.load(0xa_0000, 4)), (Some(4), None));
    assert_eq!(bus.load(MODE + 0x808, 4), Some(8 << 16 | 4 << 8), "devices too");
    assert_eq!(bus.load(PORTS + 0x60, 1), Some(0x60 << 16 | 1 << 8));
}

#[derive(Default)]
struct Heard(Mutex<Vec<(u64, u64)>>);

impl RamWatch for Heard {
    fn written(&self, address: u64, length: u64) {
        self.0.lock().unwrap().push((address, length));
    }
}

impl MapWatch for Heard {
    fn remapped(&self, gone: &[Region]) {
        self.0.lock().unwrap().extend(gone.iter().map(|g| (g.base, g.size)));
    }
}

#[test]
fn devices_reach_all_ram_and_the_watch_hears_of_it() {
    let space = space();
    space.map(Region::new(BASE + MIB, MIB), ram(MIB).1).unwrap();
    space
        .map(Region::new(0x8000_0000, 0x1000), What::Alias { of: BASE })
        .unwrap();
    let heard = Arc::new(Heard::default());
    let memory = SystemMemory::new(space.clone(), heard.clone(), 1);
    let mut bus = space.view(0);
    memory.write(BASE + MIB - 2, &[0; 4]).unwrap();
    assert!(heard.0.lock().unwrap().is_empty(), "no code there");
    for page in [BASE, BASE + MIB - 0x1000, BASE + MIB] {
        bus.translating(page);
    }

    memory.write(BASE + MIB - 2, &[1, 2, 3, 4]).unwrap();
    memory.store_u16(BASE + MIB - 1, 0x0908).unwrap();
    memory.store_u16(0x8000_0010, 7).unwrap();
    let mut bytes = [0; 4];
    memory.read(BASE + MIB - 2, &mut bytes).unwrap();

    assert_eq!((bytes, memory.load_u16(BASE + MIB - 1)), ([1, 8, 9, 4], Ok(0x0908)));
    assert!(memory.contains(BASE, 2 * MIB) && !memory.contains(BASE, 2 * MIB + 1));
    assert!(memory.write(BASE + 2 * MIB - 1, &[0; 2]).is_err());
    assert!(memory.read(u64::MAX, &mut bytes).is_err());
    let end = BASE + MIB;
    let told = [(end - 2, 2), (end, 2), (end - 1, 1), (end, 1), (BASE + 0x10, 2)];
    assert_eq!(*heard.0.lock().unwrap(), told);
}

#[test]
fn who_watches_hears_where_memory_was() {
    let space = space();
    let heard = Arc::new(Heard::default());
    space.connect(heard.clone());

    space
        .change(|edit| {
            edit.unmap(Region::new(BASE + 0x1000, 0x1000));
            edit.unmap(Region::new(0x1000, 0x100));
            Ok::<_, Overlap>(())
        })
        .unwrap();

    assert_eq!(*heard.0.lock().unwrap(), [(BASE + 0x1000, 0x1000)]);
}

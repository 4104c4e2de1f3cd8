//! LPIs and the ITS.

use super::*;
use crate::bus::Saved;

/// Where the guest has its tables.
const QUEUE: u64 = RAM + 0x1_0000;
const DEVICES: u64 = RAM + 0x2_0000;
const COLLECTIONS: u64 = RAM + 0xb_0000;
const ITT: u64 = RAM + 0xc_0000;
const CONFIG: u64 = RAM + 0xd_0000;
const PENDING: u64 = RAM + 0x10_0000;
const VALID: u64 = 1 << 63;

/// A bench whose CPUs take LPIs, of whose ITS the tables and a queue of 4 KiB are set up.
struct Messages {
    b: Bench,
    written: std::cell::Cell<u64>,
}

impl std::ops::Deref for Messages {
    type Target = Bench;
    fn deref(&self) -> &Bench {
        &self.b
    }
}

impl Messages {
    fn unmapped(cpus: u32) -> Messages {
        let b = Bench::ready(cpus);
        for cpu in 0..cpus as usize {
            b.set_long(cpu, Reg::GICR_PROPBASER, 0, CONFIG | 15);
            b.set_long(cpu, Reg::GICR_PENDBASER, 0, (PENDING + 0x1_0000 * cpu as u64) | 1 << 62);
            b.set_of(cpu, Reg::GICR_CTLR, 0, 1);
        }
        b.set_long(0, Reg::GITS_BASER, 0, VALID | DEVICES | 127);
        b.set_long(0, Reg::GITS_BASER, 1, VALID | COLLECTIONS | 15);
        b.set_long(0, Reg::GITS_CBASER, 0, VALID | QUEUE);
        b.set(Reg::GITS_CTLR, 0, 1);
        Messages {
            b,
            written: Default::default(),
        }
    }

    /// The same with LPI 8192 enabled at priority 0x80, device 7's event 3, in collection 1, at CPU 0.
    fn ready(cpus: u32) -> Messages {
        let m = Messages::unmapped(cpus);
        m.configure(8192, 0x81);
        m.command([0x08 | 7 << 32, 4, VALID | ITT, 0]);
        m.command([0x09, 0, VALID | 1, 0]);
        m.command([0x0a | 7 << 32, 8192 << 32 | 3, 1, 0]);
        m
    }

    fn put(&self, address: u64, bytes: &[u8]) {
        self.memory.write(address, bytes).unwrap();
    }

    fn configure(&self, id: u32, config: u8) {
        self.put(CONFIG + u64::from(id) - 8192, &[config]);
    }

    /// Puts a command into the queue.
    fn queue(&self, command: [u64; 4]) {
        let at = self.written.get();
        let bytes: Vec<u8> = command.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.put(QUEUE + at, &bytes);
        self.written.set((at + 32) % 0x1000);
    }

    /// Gives the commands of the queue.
    fn give(&self) {
        self.set_long(0, Reg::GITS_CWRITER, 0, self.written.get());
    }

    fn command(&self, command: [u64; 4]) {
        self.queue(command);
        self.give();
        assert_eq!(
            self.get_long(0, Reg::GITS_CREADR, 0),
            self.written.get(),
            "{command:x?}"
        );
    }

    fn send(&self, device: u32, event: u32) {
        self.gic.with(|gic| gic.message(device, event));
    }

    /// What CPU 0 takes.
    fn taken(&self) -> u32 {
        let id = self.ack(0);
        self.eoi(0, id);
        id
    }
}

#[test]
fn a_message_becomes_an_lpi_that_is_never_active() {
    let m = Messages::ready(1);

    m.send(7, 3);
    assert!(m.irq(0));
    assert_eq!(m.ack(0), 8192);
    assert_eq!((m.irq(0), m.icc(0, Icc::Rpr)), (false, 0x80));
    m.send(7, 3);
    assert!(!m.irq(0), "its priority still runs");
    m.eoi(0, 8192);

    assert_eq!(m.taken(), 8192);
    assert_eq!((m.taken(), m.icc(0, Icc::Rpr)), (SPURIOUS, 0xff));
}

#[test]
fn a_write_by_the_bus_is_device_0s() {
    let m = Messages::ready(1);
    m.configure(8200, 0x41);
    m.command([0x08, 4, VALID | (ITT + 0x1000), 0]);
    m.command([0x0a, 8200 << 32 | 9, 1, 0]);

    m.set(Reg::GITS_TRANSLATER, 0, 9);
    assert_eq!(m.taken(), 8200);
    m.gic
        .write(Access::new(Bench::address(Reg::GITS_TRANSLATER, 0, 0), 2), 9);

    assert_eq!(m.taken(), 8200);
}

#[test]
fn messages_that_mean_nothing_do_nothing() {
    let m = Messages::ready(1);

    for (device, event) in [
        (7, 4),
        (7, 32),
        (7, u32::MAX),
        (8, 3),
        (0xffff, 3),
        (0x1_0000, 3),
        (u32::MAX, 3),
    ] {
        m.send(device, event);
        assert!(!m.irq(0), "{device} {event}");
    }
    m.set(Reg::GITS_CTLR, 0, 0);
    m.send(7, 3);
    assert!(!m.irq(0), "switched off");
    assert_eq!(m.get(Reg::GITS_CTLR, 0), 1 << 31);
}

#[test]
fn priorities_of_lpis_are_those_of_the_table() {
    let m = Messages::ready(1);
    for (event, config) in [(4, 0x61), (5, 0x60), (6, 0x21), (7, 0xff)] {
        m.configure(8192 + event, config);
        m.command([0x0a | 7 << 32, u64::from(8192 + event) << 32 | u64::from(event), 1, 0]);
    }
    m.enable(ID, 0x60);

    [3, 4, 5, 6, 7].iter().for_each(|&event| m.send(7, event));
    m.line(ID).drive(true);

    assert_eq!(m.taken(), 8198);
    assert_eq!(m.ack(0), ID, "of equals the lower number");
    m.line(ID).drive(false);
    m.eoi(0, ID);
    assert_eq!(
        [m.taken(), m.taken(), m.taken()],
        [8196, 8192, SPURIOUS],
        "masked, and disabled"
    );
    m.icc_set(0, Icc::Pmr, 0xf8);
    assert!(!m.irq(0));
}

#[test]
fn lpis_are_of_group_1() {
    let m = Messages::ready(1);
    m.icc_set(0, Icc::Igrpen0, 1);
    m.icc_set(0, Icc::Igrpen1, 0);

    m.send(7, 3);
    assert!(!m.irq(0) && !m.fiq(0));
    assert_eq!((m.icc(0, Icc::Igrpen0), m.icc(0, Icc::Igrpen1)), (1, 0));
    m.icc_set(0, Icc::Igrpen1, 1);

    assert!(m.irq(0));
    assert_eq!((m.icc(0, Icc::Igrpen0), m.icc(0, Icc::Igrpen1)), (1, 1));
}

#[test]
fn a_change_of_configuration_counts_when_it_is_told() {
    let m = Messages::ready(1);
    m.configure(8192, 0x80);
    m.send(7, 3);
    assert!(!m.irq(0));

    m.configure(8192, 0x41);
    m.command([0x0c | 7 << 32, 3, 0, 0]);
    assert!(m.irq(0), "INV");
    m.configure(8192, 0x40);
    m.command([0x0d, 0, 1, 0]);
    assert!(!m.irq(0), "INVALL");
    m.configure(8192, 0x41);
    m.command([0x0d, 0, 1, 0]);
    assert_eq!(m.ack(0), 8192);
    assert_eq!(m.icc(0, Icc::Rpr), 0x40);
}

#[test]
fn commands_make_an_lpi_pending_and_not() {
    let m = Messages::ready(1);

    m.command([0x03 | 7 << 32, 3, 0, 0]);
    assert!(m.irq(0), "INT");
    m.command([0x04 | 7 << 32, 3, 0, 0]);
    assert!(!m.irq(0), "CLEAR");
    m.command([0x03 | 7 << 32, 3, 0, 0]);
    m.command([0x0f | 7 << 32, 3, 0, 0]);
    assert!(!m.irq(0), "DISCARD");
    m.send(7, 3);
    assert!(!m.irq(0), "no longer mapped");
    m.configure(8195, 0x81);
    m.command([0x08 | 7 << 32, 13, VALID | ITT, 0]);
    m.command([0x0b | 7 << 32, 8195, 1, 0]);
    m.send(7, 8195);
    assert_eq!(m.taken(), 8195, "MAPI");
    m.command([0x08 | 7 << 32, 0, 0, 0]);
    m.send(7, 8195);
    assert!(!m.irq(0), "no such device");
}

#[test]
fn what_is_pending_moves_with_its_event_or_its_cpu() {
    let m = Messages::ready(3);
    m.command([0x09, 0, VALID | 1 << 16 | 2, 0]);
    m.send(7, 3);
    assert_eq!(m.interrupted(), [0]);

    m.command([0x01 | 7 << 32, 3, 2, 0]);
    assert_eq!(m.interrupted(), [1], "MOVI");
    m.command([0x0e, 0, 1 << 16, 2 << 16]);
    assert_eq!(m.interrupted(), [2], "MOVALL");
    m.command([0x05, 0, 2 << 16, 0]);
    assert_eq!(m.ack(2), 8192);
    m.command([0x09, 0, VALID | 2 << 16 | 2, 0]);
    m.send(7, 3);
    m.eoi(2, 8192);
    assert_eq!(m.interrupted(), [2], "the collection is there now");
}

#[test]
fn what_is_not_pending_stays_so_wherever_it_goes() {
    let m = Messages::ready(2);
    m.command([0x09, 0, VALID | 1 << 16 | 2, 0]);

    m.command([0x0c | 7 << 32, 3, 0, 0]);
    assert_eq!(m.interrupted(), [0; 0], "INV");
    m.command([0x0d, 0, 1, 0]);
    assert_eq!(m.interrupted(), [0; 0], "INVALL");
    m.command([0x01 | 7 << 32, 3, 2, 0]);
    assert_eq!(m.interrupted(), [0; 0], "MOVI");
    m.command([0x0e, 0, 0, 1 << 16]);
    assert_eq!(m.interrupted(), [0; 0], "MOVALL");
}

#[test]
fn what_is_pending_stays_where_it_cannot_go_from() {
    let m = Messages::ready(1);
    m.send(7, 3);
    m.command([0x01 | 7 << 32, 3, 1, 0]);
    m.command([0x0e, 0, 0, 0]);
    assert_eq!(m.taken(), 8192, "to where it is");

    let b = Bench::ready(2);
    b.set_long(0, Reg::GICR_PROPBASER, 0, CONFIG | 15);
    b.set_long(0, Reg::GICR_PENDBASER, 0, PENDING | 1 << 62);
    b.set(Reg::GICR_CTLR, 0, 1);
    b.memory.write(CONFIG, &[0x81]).unwrap();
    b.gic.with(|gic| gic.set_lpi(0, 8192));
    b.gic.with(|gic| gic.move_lpis(0, 1));
    assert_eq!(b.ack(0), 8192, "CPU 1 takes no LPIs");
}

#[test]
fn a_device_or_a_collection_that_is_unmapped_has_no_messages() {
    let m = Messages::ready(1);

    m.command([0x09, 0, 1, 0]);
    m.send(7, 3);
    assert!(!m.irq(0), "MAPC");
    m.command([0x09, 0, VALID | 1, 0]);
    m.send(7, 3);
    assert_eq!(m.taken(), 8192);
    m.command([0x08 | 7 << 32, 4, ITT, 0]);
    m.send(7, 3);
    assert!(!m.irq(0), "MAPD");
}

#[test]
fn a_cpu_that_the_guest_wrote_into_a_table_need_not_be_there() {
    let m = Messages::ready(1);
    m.command([0x09, 0, VALID | 2, 0]);
    for cpu in [1u64, 2, 0xffff] {
        m.put(COLLECTIONS + 8, &(VALID | cpu).to_le_bytes());
        m.send(7, 3);
        for command in [0x03, 0x04, 0x0c] {
            m.command([command | 7 << 32, 3, 0, 0]);
        }
        m.command([0x0d, 0, 1, 0]);
        m.command([0x01 | 7 << 32, 3, 2, 0]);
        m.command([0x01 | 7 << 32, 3, 1, 0]);
        assert!(!m.irq(0), "{cpu}");
    }
    m.put(COLLECTIONS + 8, &VALID.to_le_bytes());
    m.send(7, 3);
    assert_eq!(m.taken(), 8192);
}

/// What GITS_BASER says of a page's size, and the bytes of one.
const PAGES: [(u64, u64); 4] = [(0, 0x1000), (1, 0x4000), (2, 0x1_0000), (3, 0x1_0000)];

#[test]
fn a_table_ends_with_its_last_page() {
    for (code, page) in PAGES {
        let m = Messages::unmapped(1);
        m.set(Reg::GITS_CTLR, 0, 0);
        // Bits of the address that are within a page do not count.
        let within = if page == 0x4000 { 0x3000 } else { 0 };
        m.set_long(0, Reg::GITS_BASER, 0, VALID | DEVICES | within | code << 8);
        m.set(Reg::GITS_CTLR, 0, 1);
        let mapped = |device: u64| {
            m.command([0x08 | device << 32, 4, VALID | ITT, 0]);
            let mut entry = [0; 8];
            m.memory.read(DEVICES + 8 * device, &mut entry).unwrap();
            entry != [0; 8]
        };

        let (last, next) = (page / 8 - 1, page / 8);

        assert_eq!(
            [mapped(0), mapped(last), mapped(next)],
            [true, true, false],
            "{page:#x}"
        );
    }
}

#[test]
fn the_low_bits_of_a_large_pages_address_are_its_highest() {
    let m = Messages::unmapped(1);
    m.set(Reg::GITS_CTLR, 0, 0);
    m.set_long(0, Reg::GITS_BASER, 0, VALID | DEVICES | 0x1000 | 2 << 8);
    m.set(Reg::GITS_CTLR, 0, 1);

    m.command([0x08, 4, VALID | ITT, 0]);

    for at in [DEVICES, DEVICES + 0x1000] {
        let mut entry = [0; 8];
        m.memory.read(at, &mut entry).unwrap();
        assert_eq!(entry, [0; 8], "{at:#x}");
    }
}

#[test]
fn tables_of_two_levels_may_have_larger_pages() {
    for (code, page) in PAGES {
        let m = Messages::unmapped(1);
        m.set(Reg::GITS_CTLR, 0, 0);
        m.set_long(0, Reg::GITS_BASER, 0, VALID | 1 << 62 | DEVICES | code << 8);
        m.set(Reg::GITS_CTLR, 0, 1);
        let second = RAM + 0x20_0000;
        let mapped = |device: u64| {
            m.command([0x08 | device << 32, 4, VALID | ITT, 0]);
            let mut entry = [0; 8];
            m.memory.read(second + 8 * (device % (page / 8)), &mut entry).unwrap();
            entry != [0; 8]
        };
        let device = 3 * (page / 8) + 5;

        // Bits of the address that are within the page do not count.
        m.put(DEVICES + 8 * 3, &(second | (page - 0x1000)).to_le_bytes());
        assert!(!mapped(device), "{page:#x}: not valid");
        m.put(DEVICES + 8 * 3, &(VALID | second | (page - 0x1000)).to_le_bytes());
        assert!(mapped(device), "{page:#x}");
    }
}

#[test]
fn tables_may_have_two_levels() {
    let m = Messages::unmapped(1);
    m.configure(8192, 0x81);
    m.set(Reg::GITS_CTLR, 0, 0);
    m.set_long(0, Reg::GITS_BASER, 0, VALID | 1 << 62 | DEVICES);
    m.set(Reg::GITS_CTLR, 0, 1);
    let second = RAM + 0x20_0000;
    m.put(DEVICES + 8 * 3, &(VALID | second).to_le_bytes());
    let device = 3 * 512 + 5;

    m.command([0x09, 0, VALID | 1, 0]);
    m.command([0x08 | device << 32, 4, VALID | ITT, 0]);
    m.command([0x0a | device << 32, 8192 << 32 | 3, 1, 0]);
    // There is no table of the second level for this one.
    m.command([0x08 | 600 << 32, 4, VALID | ITT, 0]);
    m.send(device as u32, 3);

    assert_eq!(m.taken(), 8192);
    let mut entry = [0; 8];
    m.memory.read(second + 8 * 5, &mut entry).unwrap();
    assert_ne!(entry, [0; 8]);
}

#[test]
fn the_tables_registers_say_what_they_are_of() {
    let m = Messages::unmapped(1);

    let kinds: Vec<u64> = (0..8)
        .map(|n| m.get_long(0, Reg::GITS_BASER, n) >> 48 & 0x7ff)
        .collect();
    assert_eq!(kinds, [0x107, 0x407, 0, 0, 0, 0, 0, 0]);
    m.set_long(0, Reg::GITS_BASER, 0, 0);
    m.set_long(0, Reg::GITS_CBASER, 0, 0);
    assert_eq!(m.get_long(0, Reg::GITS_CBASER, 0), VALID | QUEUE, "fixed while in use");
    assert_eq!(m.get_long(0, Reg::GITS_BASER, 0) & 0xffff_ffff_ffff, DEVICES | 127);
    m.set(Reg::GITS_CTLR, 0, 0);
    m.set_long(0, Reg::GITS_BASER, 3, !0);
    assert_eq!(m.get_long(0, Reg::GITS_BASER, 3), 0);
}

#[test]
fn commands_that_are_wrong_are_passed_over() {
    let m = Messages::ready(1);
    let wrong = [
        [0x00, 0, 0, 0],
        [0xff, !0, !0, !0],
        [0x08 | 0x1_0000 << 32, 4, VALID | ITT, 0],
        [0x08 | 8 << 32, 0x1f, VALID | ITT, 0],
        [0x08 | 9 << 32, 4, VALID | 0xf_ffff_ffff_ff00, 0],
        [0x09, 0, VALID | 1 << 16 | 1, 0],
        [0x09, 0, VALID | 0xffff, 0],
        [0x0a | 8 << 32, 8192 << 32 | 3, 1, 0],
        [0x0a | 7 << 32, 8191 << 32 | 3, 1, 0],
        [0x0a | 7 << 32, 0x1_0000 << 32 | 3, 1, 0],
        [0x0a | 7 << 32, 8192 << 32 | 32, 1, 0],
        [0x0a | 9 << 32, 8192 << 32 | 3, 1, 0],
        [0x01 | 7 << 32, 3, 9, 0],
        [0x01 | 7 << 32, 4, 1, 0],
        [0x03 | 7 << 32, 4, 0, 0],
        [0x0c | 9 << 32, 3, 0, 0],
        [0x0d, 0, 9, 0],
        [0x0e, 0, 0, 1 << 16],
        [0x0e, 0, !0, !0],
    ];

    wrong.into_iter().for_each(|command| m.command(command));
    m.command([0x0a | 8 << 32, 8192 << 32 | 3, 1, 0]);

    m.send(8, 3);
    assert!(!m.irq(0), "EventIDs of 32 bits");
    m.send(7, 3);
    assert_eq!(m.taken(), 8192);
}

#[test]
fn a_queue_that_is_not_in_ram_ends() {
    let m = Messages::unmapped(1);
    m.set(Reg::GITS_CTLR, 0, 0);
    m.set_long(0, Reg::GITS_CBASER, 0, VALID | 0x10_0000_0000 | 0xff);
    m.set(Reg::GITS_CTLR, 0, 1);

    m.set_long(0, Reg::GITS_CWRITER, 0, 0xf_ffe0);
    m.gic.work();

    assert_eq!(m.get_long(0, Reg::GITS_CREADR, 0), 0xf_ffe0);
}

#[test]
fn an_offset_behind_the_queue_is_no_loop() {
    let m = Messages::ready(1);
    let read = m.get_long(0, Reg::GITS_CREADR, 0);

    m.set_long(0, Reg::GITS_CWRITER, 0, 0x1000);
    m.gic.work();
    assert_eq!(m.get_long(0, Reg::GITS_CREADR, 0), read);
    m.command([0x03 | 7 << 32, 3, 0, 0]);

    assert_eq!(m.taken(), 8192, "and it goes on");
}

#[test]
fn a_write_does_a_piece_of_the_commands_and_the_worker_the_rest() {
    let m = Messages::ready(1);
    (0..120).for_each(|_| m.queue([0x05, 0, 0, 0]));
    m.queue([0x03 | 7 << 32, 3, 0, 0]);

    m.give();
    assert_ne!(m.get_long(0, Reg::GITS_CREADR, 0), m.written.get());
    assert!(!m.irq(0));
    m.gic.work();

    assert_eq!(m.get_long(0, Reg::GITS_CREADR, 0), m.written.get());
    assert_eq!(m.taken(), 8192);
}

#[test]
fn a_piece_is_few_of_the_commands_that_look_at_all_lpis() {
    let m = Messages::ready(1);
    let before = m.written.get();
    (0..10).for_each(|_| m.queue([0x0d, 0, 1, 0]));

    m.give();
    assert_eq!(m.get_long(0, Reg::GITS_CREADR, 0), before + 4 * 32);
    m.gic.work();

    assert_eq!(m.get_long(0, Reg::GITS_CREADR, 0), m.written.get());
}

#[test]
fn commands_wait_for_the_its_and_its_queue() {
    let m = Messages::ready(1);
    m.set(Reg::GITS_CTLR, 0, 0);
    m.queue([0x03 | 7 << 32, 3, 0, 0]);
    let before = m.get_long(0, Reg::GITS_CREADR, 0);

    m.give();
    assert_eq!(m.get_long(0, Reg::GITS_CREADR, 0), before, "switched off");
    assert_eq!(m.get_long(0, Reg::GITS_CWRITER, 0), m.written.get());
    m.set(Reg::GITS_CTLR, 0, 1);
    assert_eq!((m.taken(), m.get(Reg::GITS_CTLR, 0)), (8192, 1));

    m.set(Reg::GITS_CTLR, 0, 0);
    m.set_long(0, Reg::GITS_CBASER, 0, QUEUE);
    m.set_long(0, Reg::GITS_CWRITER, 0, 64);
    m.set(Reg::GITS_CTLR, 0, 1);
    assert_eq!(m.get_long(0, Reg::GITS_CREADR, 0), 0, "no queue");
}

#[test]
fn the_its_says_what_it_can() {
    // Physical LPIs; entries of 8 bytes; EventIDs and DeviceIDs of 16 bits.
    let typer = 1 | 7 << 4 | 15 << 8 | 15 << 13;

    assert_eq!(Messages::unmapped(1).get_long(0, Reg::GITS_TYPER, 0), typer);
}

#[test]
fn lpis_stay_enabled_and_their_tables_where_they_are() {
    let m = Messages::ready(1);

    m.set(Reg::GICR_CTLR, 0, 0);
    m.set_long(0, Reg::GICR_PROPBASER, 0, RAM | 13);
    m.set_long(0, Reg::GICR_PENDBASER, 0, RAM);

    assert_eq!(m.get(Reg::GICR_CTLR, 0), 1);
    assert_eq!(m.get_long(0, Reg::GICR_PROPBASER, 0), CONFIG | 15);
    assert_eq!(m.get_long(0, Reg::GICR_PENDBASER, 0), PENDING);
    m.gic.reset();
    assert_eq!(m.get(Reg::GICR_CTLR, 0), 0);
}

#[test]
fn a_pending_table_that_is_not_zero_is_read() {
    let b = Bench::ready(1);
    b.memory.write(CONFIG + 11, &[0x81]).unwrap();
    b.memory.write(PENDING + 8203 / 8, &[1 << (8203 % 8)]).unwrap();
    b.memory.write(PENDING, &[0xff; 1024]).unwrap();
    b.set_long(0, Reg::GICR_PROPBASER, 0, CONFIG | 15);
    // With attributes.
    b.set_long(0, Reg::GICR_PENDBASER, 0, PENDING | 7 << 56 | 0xf80);

    b.set(Reg::GICR_CTLR, 0, 1);

    let pending: Vec<u32> = (0..1 << 16)
        .filter(|&id| b.gic.with(|gic| gic.is_pending(0, id)))
        .collect();
    assert_eq!(pending, [8203]);
    assert_eq!(b.ack(0), 8203);
    b.eoi(0, 8203);
    assert_eq!(b.ack(0), SPURIOUS);
}

#[test]
fn a_pending_table_that_is_said_to_be_zero_is_not_read() {
    let b = Bench::ready(1);
    b.memory.write(PENDING + 1024, &[0xff; 8]).unwrap();
    b.set_long(0, Reg::GICR_PROPBASER, 0, CONFIG | 15);
    b.set_long(0, Reg::GICR_PENDBASER, 0, PENDING | 1 << 62);

    b.set(Reg::GICR_CTLR, 0, 1);

    assert!(!b.gic.with(|gic| (8192..8256).any(|id| gic.is_pending(0, id))));
}

#[test]
fn lpis_are_as_many_as_the_table_has_room_for() {
    let m = Messages::unmapped(1);
    m.gic.reset();
    let b = &m.b;
    b.set_long(0, Reg::GICR_PROPBASER, 0, CONFIG | 12);
    b.set(Reg::GICR_CTLR, 0, 1);
    b.gic.with(|gic| gic.set_lpi(0, 8192));
    assert!(
        !b.gic.with(|gic| gic.is_pending(0, 8192)),
        "numbers of 13 bits are no LPIs'"
    );

    b.gic.reset();
    b.set_long(0, Reg::GICR_PROPBASER, 0, CONFIG | 13);
    b.set(Reg::GICR_CTLR, 0, 1);
    b.gic.with(|gic| gic.set_lpi(0, 16383));
    b.gic.with(|gic| gic.set_lpi(0, 16384));
    assert!(b.gic.with(|gic| gic.is_pending(0, 16383) && !gic.is_pending(0, 16384)));

    b.gic.reset();
    b.set_long(0, Reg::GICR_PROPBASER, 0, CONFIG | 0x1f);
    b.set(Reg::GICR_CTLR, 0, 1);
    b.gic.with(|gic| gic.set_lpi(0, 65535));
    b.gic.with(|gic| gic.set_lpi(0, 65536));

    assert!(b.gic.with(|gic| gic.is_pending(0, 65535) && !gic.is_pending(0, 65536)));
}

#[test]
fn lpis_and_commands_survive_save_reset_load() {
    let m = Messages::ready(2);
    m.send(7, 3);
    (0..70).for_each(|_| m.queue([0x05, 0, 0, 0]));
    m.give();
    let saved: Saved = m.gic.save();

    m.gic.reset();
    assert!(!m.irq(0));
    m.gic.load(&saved).unwrap();
    assert_eq!(m.gic.save(), saved);

    assert!(m.irq(0));
    m.gic.work();
    assert_eq!(m.get_long(0, Reg::GITS_CREADR, 0), m.written.get());
    assert_eq!(m.taken(), 8192);
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn any_commands_are_survived() {
    for seed in 0..20 {
        let m = Messages::ready(2);
        let mut random = fuzz::Random::new(seed);
        for _ in 0..500 {
            let mut command = [0; 4].map(|_: u64| random.value());
            if random.below(4) != 0 {
                let device = if random.below(2) == 0 { 7 } else { random.below(40) };
                command[0] = device << 32 | random.below(16);
                command[1] = random.below(20) | (8192 + random.below(30)) << 32;
                command[2] =
                    (random.below(2) << 63) | random.below(3) << 16 | random.below(4) | (ITT * random.below(2));
            }
            m.queue(command);
            m.give();
            m.send(random.below(10) as u32, random.below(10) as u32);
            if random.below(8) == 0 {
                let at = DEVICES + random.below(0x10_0000);
                m.put(at, &random.next().to_le_bytes());
            }
            m.gic.work();
            assert_eq!(m.get_long(0, Reg::GITS_CREADR, 0), m.written.get());
            m.taken();
        }
    }
}

use super::*;
use crate::bus::{Ram, RamWindow, Shared, Threads, Wiring, fuzz};
use emu_ir::testing::until;

const RAM: u64 = 0x4000_0000;

fn bench() -> (FwCfg, RamWindow) {
    let memory = RamWindow::new(RAM, Arc::new(Ram::new(0x1_0000).unwrap()), None);
    let mut device = FwCfg::new(Arc::new(memory.clone()));
    device.add_file("opt/b", *b"second").unwrap();
    device.add_file("etc/a", *b"first").unwrap();
    device.add_writable_file("etc/w", [0; 4]).unwrap();
    (device, memory)
}

fn select(device: &mut FwCfg, key: u16) {
    device.write(Access::new(8, 2), key.swap_bytes().into());
}

fn read(device: &mut FwCfg, count: usize) -> Vec<u8> {
    (0..count).map(|_| device.read(Access::new(0, 1)) as u8).collect()
}

/// Makes a DMA request as a guest does; returns the control word after it.
fn request(device: &mut FwCfg, memory: &RamWindow, control: u32, length: u32, target: u64) -> u32 {
    let mut request = control.to_be_bytes().to_vec();
    request.extend(length.to_be_bytes());
    request.extend(target.to_be_bytes());
    memory.write(RAM, &request).unwrap();
    device.write(Access::new(16, 4), 0);
    device.write(Access::new(20, 4), u32::to_be(RAM as u32).into());
    let mut answer = [0; 4];
    memory.read(RAM, &mut answer).unwrap();
    u32::from_be_bytes(answer)
}

#[test]
fn signature_and_features() {
    let (mut device, _) = bench();

    assert_eq!(read(&mut device, 5), b"QEMU\0");
    select(&mut device, key::ID);
    assert_eq!(device.read(Access::new(0, 4)), 3);
    assert_eq!(device.read(Access::new(16, 8)), u64::from_le_bytes(*b"QEMU CFG"));
    assert_eq!(device.read(Access::new(16, 4)), u64::from(u32::from_le_bytes(*b"QEMU")));
    assert_eq!(device.read(Access::new(20, 4)), u64::from(u32::from_le_bytes(*b" CFG")));
}

#[test]
fn the_directory_lists_files_by_name_and_their_keys_read_them() {
    let (mut device, _) = bench();
    select(&mut device, key::FILE_DIR);

    let directory = read(&mut device, 4 + 3 * 64);

    assert_eq!(directory[..4], [0, 0, 0, 3]);
    assert_eq!(directory[4..12], [0, 0, 0, 5, 0, 0x21, 0, 0]);
    assert_eq!(&directory[12..18], b"etc/a\0");
    assert_eq!(&directory[4 + 2 * 64 + 8..][..6], b"opt/b\0");
    select(&mut device, 0x21);
    assert_eq!(read(&mut device, 7), b"first\0\0");
}

#[test]
fn wide_reads_keep_the_bytes_in_order() {
    let (mut device, _) = bench();
    select(&mut device, 0x20 | WRITE_CHANNEL);

    assert_eq!(device.read(Access::new(0, 2)).to_le_bytes()[..2], *b"se");
    assert_eq!(device.read(Access::new(1, 8)), 0, "past the register");
    assert_eq!(device.read(Access::new(4, 4)).to_le_bytes()[..4], *b"cond");
    select(&mut device, 0x20);
    assert_eq!(device.read(Access::new(0, 8)).to_le_bytes(), *b"second\0\0");
}

#[test]
fn dma_selects_skips_and_reads() {
    let (mut device, memory) = bench();

    assert_eq!(
        request(&mut device, &memory, 0x21 << 16 | dma::SELECT | dma::SKIP, 2, 0),
        0
    );
    assert_eq!(request(&mut device, &memory, 0, 1, 0), 0, "asks for nothing");
    for control in [dma::READ, dma::WRITE, dma::SKIP] {
        assert_eq!(request(&mut device, &memory, control, 0, 0), 0, "nothing goes anywhere");
    }
    assert_eq!(request(&mut device, &memory, dma::READ, 6, RAM + 0x100), 0);

    let mut bytes = [0xff; 7];
    memory.read(RAM + 0x100, &mut bytes).unwrap();
    assert_eq!(&bytes, b"rst\0\0\0\0");
}

#[test]
fn dma_outside_ram_fails_and_moves_nothing() {
    let (mut device, memory) = bench();

    let control = 0x21 << 16 | dma::SELECT | dma::READ;
    assert_eq!(
        request(&mut device, &memory, control, 0x2_0000, RAM + 0x100),
        dma::ERROR
    );
    assert_eq!(request(&mut device, &memory, control, 4, 0), dma::ERROR);
    assert_eq!(
        request(&mut device, &memory, control, u32::MAX, u64::MAX - 3),
        dma::ERROR
    );
    assert_eq!(memory.load_u16(RAM + 0x100), Ok(0));
}

#[test]
fn dma_that_ends_outside_ram_moves_nothing_of_a_long_item() {
    const SIZE: u64 = 1 << 20;
    let memory = RamWindow::new(RAM, Arc::new(Ram::new(SIZE).unwrap()), None);
    let mut device = FwCfg::new(Arc::new(memory.clone()));
    device.add_file("etc/long", vec![0xee; 3 * CHUNK]).unwrap();
    let target = RAM + SIZE - 2 * CHUNK as u64;

    let control = u32::from(key::FILE_FIRST) << 16 | dma::SELECT | dma::READ;
    assert_eq!(
        request(&mut device, &memory, control, 3 * CHUNK as u32, target),
        dma::ERROR
    );

    assert_eq!(memory.load_u16(target), Ok(0));
    assert_eq!(read(&mut device, 1), [0xee]);
}

#[test]
fn a_dma_address_has_64_bits_once() {
    const HIGH: u64 = 0x3_4000_0000;
    let memory = RamWindow::new(HIGH, Arc::new(Ram::new(0x1_0000).unwrap()), None);
    let mut device = FwCfg::new(Arc::new(memory.clone()));
    let control = || memory.load_u16(HIGH + 2).unwrap().to_be();
    let mut ask = |high: u32| {
        memory.store_u16(HIGH + 2, (dma::SKIP as u16).to_be()).unwrap();
        if high != 0 {
            device.write(Access::new(16, 4), high.swap_bytes().into());
        }
        device.write(Access::new(20, 4), (HIGH as u32).swap_bytes().into());
        control()
    };

    assert_eq!(ask(3), 0);
    assert_eq!(ask(0), dma::SKIP as u16, "the upper half is for one request");
    assert_eq!(ask(3), 0);
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn a_worker_moves_the_zeros() {
    let memory = RamWindow::new(RAM, Arc::new(Ram::new(4 << 20).unwrap()), None);
    let device = Shared::new(&Wiring::new(), FwCfg::new(Arc::new(memory.clone())));
    device.employ(&Threads::default(), "test", 1).unwrap();

    device.with(|device| request(device, &memory, dma::READ, 3_000_000, RAM + 0x100));

    until("somebody moves them", || memory.load_u16(RAM + 2) == Ok(0));
}

#[test]
fn written_contents_that_cannot_be_are_refused() {
    let (mut device, _) = bench();
    for (key, length, can_be) in [(0x22, 4, true), (0x22, 5, false), (0x21, 5, false), (0x23, 0, false)] {
        let state = State {
            written: BTreeMap::from([(key, vec![1; length])]),
            ..State::default()
        };
        let loaded = device.load(&Saved::new(&FORMAT, &state));
        assert_eq!(loaded.is_ok(), can_be, "{key:#x} {length}");
    }
    assert_eq!(device.model(), MODEL);
}

#[test]
#[cfg_attr(miri, ignore = "it adds 16,000 files, one by one")]
fn there_are_as_many_files_as_keys() {
    let (mut device, _) = bench();
    let keys = usize::from(WRITE_CHANNEL - key::FILE_FIRST);
    let others = (3..keys - 1).map(|n| (format!("{n}"), 0));
    device.files.extend(others);

    device.add_file("last", *b"").unwrap();
    assert!(matches!(device.add_file("more", *b""), Err(FileError::Full(_))));
}

#[test]
fn only_writable_files_are_written_and_reset_unwrites_them() {
    let (mut device, memory) = bench();
    memory.write(RAM + 0x200, b"abcdef").unwrap();

    assert_eq!(
        request(
            &mut device,
            &memory,
            0x22 << 16 | dma::SELECT | dma::WRITE,
            3,
            RAM + 0x200
        ),
        0
    );
    assert_eq!(request(&mut device, &memory, dma::WRITE, 2, RAM + 0x200), dma::ERROR);
    assert_eq!(
        request(&mut device, &memory, dma::WRITE, 1, RAM + 0x202),
        0,
        "to the end"
    );
    assert_eq!(
        request(
            &mut device,
            &memory,
            0x21 << 16 | dma::SELECT | dma::WRITE,
            3,
            RAM + 0x200
        ),
        dma::ERROR
    );

    assert_eq!(device.file("etc/w"), Some(&b"abcc"[..]));
    assert_eq!(device.file("etc/a"), Some(&b"first"[..]));
    let saved = device.save();
    device.reset();
    assert_eq!(device.file("etc/w"), Some(&[0; 4][..]));
    device.load(&saved).unwrap();
    assert_eq!(device.file("etc/w"), Some(&b"abcc"[..]));
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn an_item_of_any_size_is_moved_before_the_access_returns() {
    let whole: Vec<u8> = (0..3_000_000u32).map(|n| (n / 7) as u8).collect();
    let memory = RamWindow::new(RAM, Arc::new(Ram::new(4 << 20).unwrap()), None);
    let mut device = FwCfg::new(Arc::new(memory.clone()));
    device.add_file("etc/large", whole.clone()).unwrap();

    let control = u32::from(key::FILE_FIRST) << 16 | dma::SELECT | dma::READ;
    let answer = request(&mut device, &memory, control, 3_000_000, RAM + 0x100);

    let mut got = vec![0; 3_000_000];
    memory.read(RAM + 0x100, &mut got).unwrap();
    assert!(answer == 0 && got == whole);
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn zeros_past_an_items_end_are_moved_in_pieces_that_survive_save_and_load() {
    let memory = RamWindow::new(RAM, Arc::new(Ram::new(4 << 20).unwrap()), None);
    memory.write(RAM + 0x100, &vec![0xff; 3_000_000]).unwrap();
    let mut device = FwCfg::new(Arc::new(memory.clone()));
    device.add_file("etc/small", *b"small").unwrap();

    let control = u32::from(key::FILE_FIRST) << 16 | dma::SELECT | dma::READ;
    let under_way = request(&mut device, &memory, control, 3_000_000, RAM + 0x100);
    assert_eq!(under_way, control, "the guest waits");
    assert!(matches!(device.next(), Next::More));
    let saved = device.save();
    device.reset();
    assert!(matches!(device.next(), Next::Idle));
    device.load(&saved).unwrap();
    // What the guest does with the other registers meanwhile changes nothing.
    select(&mut device, key::SIGNATURE);
    memory.write(RAM + 0x3f_0000, &[0xff; 16]).unwrap();
    device.write(Access::new(16, 8), (RAM + 0x3f_0000).swap_bytes());
    let pieces = std::iter::from_fn(|| matches!(device.next(), Next::More).then_some(())).count();

    assert!(pieces > 20, "{pieces}");
    let mut got = vec![0xff; 3_000_000];
    memory.read(RAM + 0x100, &mut got).unwrap();
    assert!(got.starts_with(b"small\0") && got[5..].iter().all(|byte| *byte == 0));
    assert_eq!(memory.load_u16(RAM + 2), Ok(0));
    assert_eq!(
        memory.load_u16(RAM + 0x3f_0002),
        Ok(0x0100),
        "the other request is refused"
    );
}

#[test]
fn a_state_of_version_1_is_taken_over() {
    let (mut device, _) = bench();
    let saved = r#"{"model":"fw_cfg","version":1,"state":{"selected":33,"offset":1,"dma_high":0,"written":{}}}"#;

    device.load(&serde_json::from_str(saved).unwrap()).unwrap();

    assert_eq!(read(&mut device, 4), b"irst");
}

#[test]
fn bad_names_are_refused() {
    let (mut device, _) = bench();

    assert!(matches!(device.add_file("", *b""), Err(FileError::Name(_))));
    assert!(matches!(
        device.add_file(&"x".repeat(56), *b""),
        Err(FileError::Name(_))
    ));
    assert!(matches!(device.add_file("etc/a", *b""), Err(FileError::Taken(_))));
    device.add_file(&"x".repeat(55), *b"").unwrap();
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn any_access_is_survived() {
    for seed in 0..4 {
        let ((mut device, memory), (mut other, _)) = (bench(), bench());
        fuzz::registers(seed, &mut device, &mut other, &[0, 8, 16, 20], 32, |device, random| {
            let keys = [0, 1, 0x19, 0x20, 0x21, 0x22];
            let control = (keys[random.below(6) as usize] << 16) | random.below(32) as u32;
            request(
                device,
                &memory,
                control,
                random.below(40) as u32,
                RAM + random.below(0x1_0010),
            );
        });
    }
}

/// The same items among ports.
fn ports() -> (FwCfg, RamWindow) {
    let memory = RamWindow::new(RAM, Arc::new(Ram::new(0x1_0000).unwrap()), None);
    let mut device = FwCfg::ports(Arc::new(memory.clone()));
    device.add_file("etc/a", *b"first").unwrap();
    (device, memory)
}

#[test]
fn among_ports_the_selector_is_little_endian_and_data_comes_in_bytes() {
    let (mut device, _) = ports();
    let bytes = |device: &mut FwCfg, count: usize| -> Vec<u8> {
        (0..count).map(|_| device.read(Access::new(1, 1)) as u8).collect()
    };
    assert_eq!(bytes(&mut device, 4), b"QEMU");

    device.write(Access::new(0, 2), 0x0020);
    assert_eq!(bytes(&mut device, 6), b"first\0");
    device.write(Access::new(0, 2), u64::from(key::FILE_DIR | WRITE_CHANNEL));

    assert_eq!(bytes(&mut device, 8), [0, 0, 0, 1, 0, 0, 0, 5]);
}

#[test]
fn among_ports_other_accesses_do_nothing() {
    let (mut device, _) = ports();

    for (offset, size) in [(0, 1), (0, 2), (0, 4), (1, 2), (2, 1), (3, 1), (12, 4), (u64::MAX, 1)] {
        assert_eq!(device.read(Access::new(offset, size)), 0, "{offset} {size}");
    }
    for (offset, size) in [(0, 1), (0, 4), (1, 1), (8, 2), (12, 4)] {
        device.write(Access::new(offset, size), 0x20);
    }

    assert_eq!(device.read(Access::new(1, 1)), u64::from(b'Q'));
}

#[test]
fn among_ports_dma_starts_with_the_lower_half_of_a_big_endian_address() {
    let (mut device, memory) = ports();
    assert_eq!(device.read(Access::new(4, 4)), u64::from(u32::from_le_bytes(*b"QEMU")));
    assert_eq!(device.read(Access::new(8, 4)), u64::from(u32::from_le_bytes(*b" CFG")));
    let control = 0x20 << 16 | dma::SELECT | dma::READ;
    let mut request = control.to_be_bytes().to_vec();
    request.extend(5u32.to_be_bytes());
    request.extend((RAM + 0x100).to_be_bytes());
    memory.write(RAM, &request).unwrap();

    device.write(Access::new(4, 4), 0);
    assert_eq!(memory.load_u16(RAM + 2), Ok((control as u16).to_be()), "not yet");
    device.write(Access::new(8, 4), u32::to_be(RAM as u32).into());

    let mut moved = [0; 5];
    memory.read(RAM + 0x100, &mut moved).unwrap();
    assert_eq!((&moved, memory.load_u16(RAM + 2)), (b"first", Ok(0)));
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn among_ports_any_access_is_survived() {
    for seed in 0..2 {
        let ((mut device, _), (mut other, _)) = (ports(), ports());
        fuzz::registers(seed, &mut device, &mut other, &[0, 1, 4, 8], 16, |_, _| {});
    }
}

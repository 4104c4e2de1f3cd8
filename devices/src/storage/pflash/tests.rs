use super::*;
use crate::bus::fuzz;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

const SIZE: u64 = 64 << 20;

#[derive(Default)]
struct Log {
    modes: Mutex<Vec<bool>>,
    writes: Mutex<Vec<(u64, u64)>>,
}

impl FlashWatch for Log {
    fn array_mode(&self, array: bool) {
        self.modes.lock().unwrap().push(array);
    }
    fn written(&self, offset: u64, length: u64) {
        self.writes.lock().unwrap().push((offset, length));
    }
}

fn bank(image: &[u8]) -> (Pflash, Arc<Log>) {
    let log = Arc::new(Log::default());
    (Pflash::new(SIZE, image, log.clone()).unwrap(), log)
}

fn get(flash: &mut Pflash, offset: u64) -> u32 {
    flash.read(Access::new(offset, 4)) as u32
}

fn set(flash: &mut Pflash, offset: u64, value: u32) {
    flash.write(Access::new(offset, 4), value.into());
}

#[test]
fn it_reads_as_its_image_then_as_zeros() {
    let (mut flash, _) = bank(&[1, 2, 3, 4, 5]);

    assert_eq!(flash.read(Access::new(0, 8)), 0x05_0403_0201);
    assert_eq!(
        (0..4).map(|n| flash.read(Access::new(n, 1))).collect::<Vec<_>>(),
        [1, 2, 3, 4]
    );
    assert_eq!(flash.read(Access::new(2, 2)), 0x0403);
    assert_eq!(get(&mut flash, SIZE - 4), 0);
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn query_and_identifier_answer_from_both_chips() {
    let (mut flash, log) = bank(&[]);

    set(&mut flash, 0x55 * 4, 0x0098_0098);
    let text: Vec<u32> = (0x10..0x13).map(|word| get(&mut flash, word * 4)).collect();
    assert_eq!(text, [0x0051_0051, 0x0052_0052, 0x0059_0059]);
    // From 1bh: voltages and times; from 27h: 2^19h bytes, x16, buffers of 2^0bh, 256 blocks of 200h * 256; Intel's.
    let table = b"\x01\0\x31\0\0\0\0\0\x45\x55\0\0\x07\x07\x0a\0\x04\x04\x04\0\
        \x19\x02\0\x0b\0\x01\xff\0\0\x02PRI10\0\0\0\0\0\0\0\0\0\x01\0";
    for (word, &byte) in (0x13..).zip(table) {
        assert_eq!(get(&mut flash, word * 4), 0x0001_0001 * u32::from(byte), "{word:#x}");
    }
    assert_eq!(flash.read(Access::new(0x10 * 4 + 2, 1)), 0x51);

    set(&mut flash, 0, 0x0090_0090);
    for block in [0, BLOCK, SIZE - BLOCK] {
        let identifier = [0, 4, 8, 12].map(|offset| get(&mut flash, block + offset));
        assert_eq!(identifier, [0x0089_0089, 0x0018_0018, 0, 0]);
    }
    set(&mut flash, 0, 0x00ff_00ff);
    assert_eq!(get(&mut flash, 0), 0);
    assert_eq!(*log.modes.lock().unwrap(), [false, true]);
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn programming_clears_bits_and_erasing_sets_them() {
    let (mut flash, log) = bank(&[0xff; 8]);

    set(&mut flash, 4, 0x0040_0040);
    set(&mut flash, 4, 0xa5a5_1234);
    assert_eq!(get(&mut flash, 4), 0x0080_0080);
    set(&mut flash, 4, 0x0010_0010);
    set(&mut flash, 4, 0xffff_0ff0);
    set(&mut flash, 0, 0x00ff_00ff);
    assert_eq!(get(&mut flash, 4), 0xa5a5_0230);

    set(&mut flash, BLOCK - 4, 0x0020_0020);
    set(&mut flash, BLOCK - 4, 0x00d0_00d0);
    set(&mut flash, 0, 0x00ff_00ff);
    assert_eq!(
        (get(&mut flash, 4), get(&mut flash, BLOCK - 4), get(&mut flash, BLOCK)),
        (!0, !0, 0)
    );
    assert!(log.writes.lock().unwrap().contains(&(4, 2)));
    assert!(log.writes.lock().unwrap().contains(&(0, BLOCK)));
}

#[test]
fn a_single_chip_takes_half_word_commands() {
    let (mut flash, _) = bank(&[0xff; 4]);

    flash.write(Access::new(2, 2), 0x40);
    flash.write(Access::new(2, 2), 0x1234);
    flash.write(Access::new(2, 2), 0xff);

    assert_eq!(get(&mut flash, 0), 0x1234_ffff);
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn every_command_sequence_ends_as_it_should() {
    let (ready, error, identifier, query) = (0x80, 0xb0, 0x89, b'Q'.into());
    let next_block = BLOCK;
    for (writes, reads) in [
        (&[(0, 0x70)][..], ready),
        (&[(0, 0xb0)], ready),
        (&[(0, 0xd0)], ready),
        (&[(0, 0x1270)], ready),
        (&[(0, 0x60), (0, 0x01)], ready),
        (&[(0, 0x60), (0, 0x2f)], ready),
        (&[(0, 0x60), (0, 0xd0)], ready),
        (&[(0, 0x60), (0, 0xff)], error),
        (&[(0, 0xc0), (0, 0x1234)], ready),
        (&[(0, 0x20), (0, 0x12d0)], ready),
        (&[(0, 0x20), (0, 0xd1)], error),
        (&[(0, 0xe8), (0, 0x3ff)], ready),
        (&[(0, 0xe8), (0, 0x400)], error),
        (&[(0, 0xe8), (0, 0), (next_block - 4, 1), (0, 0x12d0)], ready),
        (&[(0, 0xe8), (0, 0), (next_block, 1)], error),
        (&[(next_block, 0xe8), (0, 0), (next_block, 1), (0, 0xd0)], ready),
        (&[(0, 0xe8), (0, 0), (0, 1), (0, 0xff)], error),
        (&[(0, 0xe8), (0, 1), (0, 1), (4, 1), (0, 0xd0)], ready),
        (&[(0, 0x90), (0, 0x77)], identifier),
        (&[(0, 0x90), (0, 0x50)], identifier),
        (&[(0, 0x98), (0, 0x50)], query),
        (&[(0, 0x20), (0, 0), (0, 0x50)], ready),
    ] {
        let (mut flash, _) = bank(&[]);
        for &(offset, value) in writes {
            flash.write(Access::new(offset, 2), value);
        }
        let at = if reads == query { 0x40 } else { 0 };
        assert_eq!(flash.read(Access::new(at, 2)), reads, "{writes:x?}");
        assert_eq!(flash.read(Access::new(at + 2, 2)), 0, "the other chip takes no part");
    }
}

#[test]
fn accesses_of_every_size_reach_the_chips_they_cover() {
    // A command to each chip, or none, by the chips that show their status then.
    for (offset, size, value, status) in [
        (8, 1, 0x70, [true, false]),
        (9, 1, 0x70, [false, false]),
        (10, 1, 0x70, [false, true]),
        (11, 1, 0x70, [false, false]),
        (8, 2, 0x70, [true, false]),
        (10, 2, 0x70, [false, true]),
        (9, 2, 0x70, [false, false]),
        (8, 3, 0x70, [false, false]),
        (8, 4, 0x70_00ff, [false, true]),
        (8, 8, 0x0050_00ff_0070_0070, [false, true]),
        (SIZE, 4, 0x70_0070, [false, false]),
        (SIZE + 8, 4, 0x70_0070, [false, false]),
    ] {
        let (mut flash, log) = bank(&[]);
        flash.write(Access::new(offset, size), value);

        let expected = status.map(|shows| if shows { 0x80 } else { 0 });
        assert_eq!(
            [0, 2].map(|at| flash.read(Access::new(at, 2))),
            expected,
            "{offset} {size}"
        );
        let both = u64::from(get(&mut flash, 4)) * 0x1_0000_0001;
        assert_eq!(flash.read(Access::new(8, 8)), both);
        assert_eq!(log.modes.lock().unwrap().len(), usize::from(status.contains(&true)));
    }
}

#[test]
fn the_upper_word_of_a_doubleword_goes_to_the_next_address() {
    let (mut flash, _) = bank(&[0xff; 32]);

    flash.write(Access::new(8, 8), 0x1234_5678_0040_0040);

    let words = [4, 8, 12, 16].map(|offset| flash.array().load::<u32>(offset));
    assert_eq!(words, [Some(!0), Some(!0), Some(0x1234_5678), Some(!0)]);
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn a_large_bank_counts_its_blocks_in_two_bytes() {
    let mut flash = Pflash::new(2 * SIZE, *b"", Arc::new(())).unwrap();
    set(&mut flash, 0, 0x0098_0098);

    assert_eq!(get(&mut flash, 0x2d * 4), 0x00ff_00ff);
    assert_eq!(get(&mut flash, 0x2e * 4), 0x0001_0001);
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn the_write_buffer_programs_on_confirmation() {
    let (mut flash, _) = bank(&[0xff; 64]);

    set(&mut flash, 16, 0x00e8_00e8);
    assert_eq!(get(&mut flash, 16), 0x0080_0080);
    set(&mut flash, 16, 0x0001_0001);
    set(&mut flash, 16, 0x1111_1111);
    set(&mut flash, 20, 0x2222_2222);
    assert_eq!(flash.array().load::<u32>(16), Some(!0));
    set(&mut flash, 16, 0x00d0_00d0);
    assert_eq!(get(&mut flash, 16), 0x0080_0080);

    assert_eq!(flash.array().load::<u64>(16), Some(0x2222_2222_1111_1111));
}

#[test]
fn bad_sequences_set_the_error_bits_until_cleared() {
    let (mut flash, _) = bank(&[0; 4]);

    set(&mut flash, 0, 0x0020_0020);
    set(&mut flash, 0, 0x00ff_00ff);
    assert_eq!(get(&mut flash, 0), 0x00b0_00b0);
    set(&mut flash, 0, 0x0050_0050);
    assert_eq!(get(&mut flash, 0), 0x0080_0080);
    set(&mut flash, 0, 0x00e8_00e8);
    set(&mut flash, 0, 0xffff_ffff);
    assert_eq!(get(&mut flash, 0), 0x00b0_00b0);
    assert_eq!(flash.array().load::<u32>(0), Some(0));
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn mode_and_contents_survive_save_and_load_and_contents_a_reset() {
    let mut image = vec![9; BLOCK as usize + 16];
    image[..16].fill(7);
    let (mut flash, _) = bank(&image);
    set(&mut flash, 3 * BLOCK, 0x0020_0020);
    set(&mut flash, 3 * BLOCK, 0x00d0_00d0);
    let saved = flash.save();

    flash.reset();
    assert_eq!(get(&mut flash, 3 * BLOCK), !0);
    let (mut other, log) = bank(&image);
    for block in [0, BLOCK] {
        set(&mut other, block, 0x0020_0020);
        set(&mut other, block, 0x00d0_00d0);
    }
    set(&mut other, 0, 0x00ff_00ff);
    other.load(&saved).unwrap();

    assert_eq!(get(&mut other, 0), 0x0080_0080);
    set(&mut other, 0, 0x00ff_00ff);
    let words = [0, 16, BLOCK, BLOCK + 16, 3 * BLOCK].map(|offset| get(&mut other, offset));
    assert_eq!(words, [0x0707_0707, 0x0909_0909, 0x0909_0909, 0, !0]);
    assert!(log.writes.lock().unwrap().contains(&(3 * BLOCK, BLOCK)));
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn a_block_that_is_again_as_it_was_is_not_saved() {
    let (mut flash, _) = bank(&[0xff; BLOCK as usize]);
    for block in [0, BLOCK] {
        set(&mut flash, block, 0x0020_0020);
        set(&mut flash, block, 0x00d0_00d0);
    }

    let state: State = flash.save().state(&FORMAT).unwrap();

    assert!(state.blocks.into_keys().eq([1]));
    assert_eq!(flash.model(), MODEL);
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn impossible_banks_and_states_are_refused() {
    assert!(Pflash::new(SIZE - 1, *b"", Arc::new(())).is_err());
    assert!(Pflash::new(BLOCK, *b"", Arc::new(())).is_err());
    assert!(Pflash::new(3 * BLOCK, *b"", Arc::new(())).is_err());
    assert!(Pflash::new(1 << 33, *b"", Arc::new(())).is_err());
    assert!(Pflash::new(2 * BLOCK, vec![0; 2 * BLOCK as usize + 1], Arc::new(())).is_err());
    assert!(Pflash::new(2 * BLOCK, vec![0; 2 * BLOCK as usize], Arc::new(())).is_ok());

    let (mut flash, _) = bank(&[]);
    let blocks = BTreeMap::from([(SIZE / BLOCK, BASE64.encode(vec![0; BLOCK as usize]))]);
    let state = State {
        chips: Bank([Chip::new(), Chip::new()]),
        blocks,
    };
    assert!(flash.load(&Saved::new(&FORMAT, &state)).is_err());
    let state = State {
        blocks: BTreeMap::from([(0, "AA==".to_owned())]),
        ..state
    };
    assert!(flash.load(&Saved::new(&FORMAT, &state)).is_err());
}

#[test]
fn a_buffer_for_another_place_is_refused() {
    let (mut flash, _) = bank(&[]);
    set(&mut flash, 0, 0x00e8_00e8);
    set(&mut flash, 0, 0);
    set(&mut flash, 4, 0);
    let text = serde_json::to_string(&flash.save()).unwrap();

    let mut refused = |from: &str, to: &str| {
        let forged = text.replace(from, to);
        assert_ne!(forged, text);
        flash.load(&serde_json::from_str(&forged).unwrap()).is_err()
    };

    assert!(refused("[[1,0]]", "[[18446744073709551615,0]]"));
    assert!(refused("[[1,0]]", &format!("[[{},0]]", SIZE / 4)));
    assert!(!refused("[[1,0]]", &format!("[[{},0]]", SIZE / 4 - 1)));
    let buffer = |left| format!("\"Buffer\":{{\"block\":0,\"left\":{left},");
    assert!(refused("\"BufferConfirm\":{", &buffer(1024)));
    assert!(!refused("\"BufferConfirm\":{", &buffer(1023)));
}

#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn any_access_is_survived() {
    for seed in 0..3 {
        let mut flash = Pflash::new(2 * BLOCK, *b"image", Arc::new(())).unwrap();
        let mut other = Pflash::new(2 * BLOCK, *b"image", Arc::new(())).unwrap();
        let commands = [0x10, 0x20, 0x40, 0x50, 0x60, 0x70, 0x90, 0x98, 0xc0, 0xd0, 0xe8, 0xff];
        fuzz::registers(
            seed,
            &mut flash,
            &mut other,
            &[0, 4, BLOCK, 2 * BLOCK - 4],
            2 * BLOCK,
            |flash, random| {
                for _ in 0..8 {
                    let command = commands[random.below(12) as usize];
                    set(flash, 4 * random.below(0x40), command << 16 | command);
                }
            },
        );
    }
}

/// A file's contents, which may refuse.
#[derive(Default)]
struct Kept {
    bytes: Mutex<Vec<u8>>,
    is_full: AtomicBool,
}

impl Store for Kept {
    fn put(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if self.is_full.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut all = self.bytes.lock().unwrap();
        let (start, end) = (offset as usize, offset as usize + bytes.len());
        let length = all.len().max(end);
        all.resize(length, 0);
        all[start..end].copy_from_slice(bytes);
        Ok(())
    }
}

/// A bank of two blocks that is kept, with 8 erased bytes at its start.
fn kept() -> (Pflash, Arc<Kept>) {
    let store = Arc::new(Kept::default());
    let flash = Pflash::new(2 * BLOCK, [0xff; 8], Arc::new(())).unwrap();
    (flash.kept_in(store.clone()), store)
}

#[test]
fn what_is_programmed_and_erased_is_kept() {
    let (mut flash, store) = kept();

    set(&mut flash, 4, 0x0040_0040);
    set(&mut flash, 4, 0x1234_5678);
    assert_eq!(*store.bytes.lock().unwrap(), [0, 0, 0, 0, 0x78, 0x56, 0x34, 0x12]);
    // By the buffer, one chip's half of two words.
    flash.write(Access::new(0, 2), 0xe8);
    flash.write(Access::new(0, 2), 1);
    flash.write(Access::new(4, 2), 0x0f0f);
    flash.write(Access::new(0, 2), 0xabcd);
    flash.write(Access::new(0, 2), 0xd0);
    assert_eq!(
        *store.bytes.lock().unwrap(),
        [0xcd, 0xab, 0xff, 0xff, 0x08, 0x06, 0x34, 0x12]
    );
    set(&mut flash, BLOCK, 0x0020_0020);
    set(&mut flash, BLOCK, 0x00d0_00d0);
    let bytes = store.bytes.lock().unwrap();
    assert_eq!(bytes.len() as u64, 2 * BLOCK);
    assert!(bytes[BLOCK as usize..].iter().all(|byte| *byte == 0xff));
}

/// The status says so (SR.4, SR.5), and what was there is there.
#[test]
fn what_cannot_be_kept_fails_and_changes_nothing() {
    let (mut flash, store) = kept();
    store.is_full.store(true, Ordering::Relaxed);
    let status = |flash: &mut Pflash| {
        let status = get(flash, 0);
        set(flash, 0, 0x0050_0050);
        set(flash, 0, 0x00ff_00ff);
        status
    };

    set(&mut flash, 0, 0x0040_0040);
    set(&mut flash, 0, 0);
    assert_eq!((status(&mut flash), get(&mut flash, 0)), (0x0090_0090, !0));
    set(&mut flash, 0, 0x0020_0020);
    set(&mut flash, 0, 0x00d0_00d0);
    assert_eq!((status(&mut flash), get(&mut flash, 8)), (0x00a0_00a0, 0));
    assert!(flash.save().state::<State>(&FORMAT).unwrap().blocks.is_empty());

    store.is_full.store(false, Ordering::Relaxed);
    set(&mut flash, 0, 0x0040_0040);
    set(&mut flash, 0, 0);
    assert_eq!((status(&mut flash), get(&mut flash, 0)), (0x0080_0080, 0));
}

/// A state's contents are the file's from then on, or nothing of it is taken.
#[test]
#[cfg_attr(miri, ignore = "safe code, and far too much of it for Miri")]
fn a_state_is_kept_too() {
    let (mut flash, _) = kept();
    set(&mut flash, BLOCK, 0x0020_0020);
    set(&mut flash, BLOCK, 0x00d0_00d0);
    set(&mut flash, 0, 0x00ff_00ff);
    let saved = flash.save();

    let (mut other, store) = kept();
    store.is_full.store(true, Ordering::Relaxed);
    assert!(other.load(&saved).is_err());
    assert_eq!(get(&mut other, BLOCK), 0);
    store.is_full.store(false, Ordering::Relaxed);
    other.load(&saved).unwrap();
    assert_eq!(get(&mut other, BLOCK), !0);
    assert_eq!(store.bytes.lock().unwrap()[BLOCK as usize], 0xff);
}

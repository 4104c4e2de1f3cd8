//! Memory of kinds: with strict alignment, and with a device that stores to it.

use super::sharing::{Machine, PAGES, page};
use super::*;
use crate::interp::Memory;
use emu_ir::{Access, Fault, Flush, Mem};

/// Loads and stores at distances from an address, each with what it is of.
fn accesses_at(distances: &[u32], ty: Ty, mem: Mem) -> Block {
    let mut b = Builder::new();
    let root = b.get(cases::any(0, Ty::I32));
    for (&distance, i) in distances.iter().zip(4..) {
        let by = b.i32(distance);
        let addr = b.add(root, by);
        let v = b.load(ty, addr, mem);
        b.set(cases::any(i, ty), v);
    }
    let v = b.get(cases::any(1, ty));
    for &distance in distances {
        let by = b.i32(distance);
        let addr = b.add(root, by);
        b.store(addr, v, mem);
    }
    b.exit(Leave::Sync);
    b.block
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
fn strict_memory_is_accessed_inline_where_all_pieces_are_aligned() {
    let mut bench = Bench::of(TestGuest { strict: true });
    let word = Mem::new(2, 0);
    let halves = Mem {
        pieces: Pieces::little(1),
        ..Mem::new(4, 0)
    };
    let aligned = Mem { align: 2, ..word };
    let shapes = [(Ty::I32, word, 4), (Ty::V128, halves, 2), (Ty::I32, aligned, 4)];
    for (ty, mem, unit) in shapes {
        for distances in [&[0][..], &[0, 4, 8], &[8, 0, 4], &[2, 6]] {
            let entry = bench.install(&accesses_at(distances, ty, mem)).expect("fits");
            for at in 0x100..0x108 {
                let mut state: State = bytemuck::Zeroable::zeroed();
                state.v[0][0] = at;
                bench.v.mmu.tlb.flush(Flush::ALL);
                let known = bench.run(entry, &state).2;
                bench.hide_memory();

                let left = bench.run(entry, &state).2;

                let all = distances.iter().all(|&d| (at + u64::from(d)) % unit == 0);
                let want = if all { Left::Exit(Leave::Sync) } else { Left::Fault };
                assert_eq!((known, left), (want, want), "{mem:?} at {at:#x} and {distances:?}");
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
fn a_compare_and_swap_that_fails_leaves_what_a_device_stores_meanwhile() {
    const STORES: u32 = 300_000;
    let mut bench = Bench::new();
    let mut b = Builder::new();
    let (addr, old) = (b.i32(0x40), b.i32(u32::MAX));
    for _ in 0..64 {
        let aligned = Mem {
            align: 2,
            ..Mem::new(2, 0)
        };
        b.cas(addr, old, old, aligned);
    }
    b.exit(Leave::Sync);
    let entry = bench.install(&b.block).expect("fits");
    let state: State = bytemuck::Zeroable::zeroed();
    bench.run(entry, &state);
    let ram = bench.ram.clone();
    ram.store(0x40, 0u32).expect("inside");
    let device = std::thread::spawn(move || {
        for n in 0..STORES {
            if ram.load::<u32>(0x40) != Some(n) {
                return n;
            }
            ram.store(0x40, n + 1).expect("inside");
        }
        STORES
    });

    while !device.is_finished() {
        call::enter(&mut bench.v, entry);
    }

    assert_eq!(device.join().expect("ends"), STORES, "a store was undone");
}

/// Also where the comparison fails.
#[test]
fn an_atomic_access_is_a_store_in_its_second_page_too() {
    let machine = Machine::new(Accel::Interp).expect("any host interprets");
    let mut v = machine.vcpu();
    let end = u64::from(page(PAGES));
    let fault = Fault::Bus {
        addr: end,
        access: Access::Write,
    };
    let (at, mem) = ((&v.guest, v.own.state()), Mem::new(3, 0));

    let same = v.mmu.cas(at, end - 4, mem, 0, 1);
    let other = v.mmu.cas(at, end - 4, mem, 5, 1);
    let updated = v.mmu.update(at, end - 4, mem, &|held| held + 1);

    assert_eq!([same, other, updated], [Err(fault); 3]);
}

/// Loads and stores relative to one address, with so many values held in between that no register is left for long.
fn frame(held: u16) -> Block {
    let mut b = Builder::new();
    let root = b.get(cases::any(0, Ty::I32));
    let at = |b: &mut Builder, distance: u32| {
        let by = b.i32(distance);
        b.add(root, by)
    };
    let mut sum = b.get(cases::any(1, Ty::I32));
    for round in 0..3u32 {
        let values: Vec<Val> = (0..held)
            .map(|i| b.get(cases::any(2 + u32::from(i), Ty::I32)))
            .collect();
        for (n, value) in (0..).zip(&values) {
            let from = at(&mut b, 4 * ((5 * n + round) % 16));
            let loaded = b.load(Ty::I32, from, Mem::new(2, 0));
            let mixed = b.xor(loaded, *value);
            sum = b.add(sum, mixed);
            let to = at(&mut b, 4 * ((3 * n + round) % 16));
            b.store(to, sum, Mem::new(2, 0));
        }
        for (i, value) in (0..).zip(values) {
            let mixed = b.xor(value, sum);
            b.set(cases::any(2 + i, Ty::I32), mixed);
        }
    }
    b.set(cases::any(1, Ty::I32), sum);
    b.exit(Leave::Sync);
    b.block
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
fn what_is_close_together_is_reached_however_few_registers_there_are() {
    let mut bench = Bench::new();
    for held in 1..12 {
        let block = frame(held);
        let entry = bench.install(&block).expect("fits");
        let prepared = Prepared::new(block);
        // Inside of a page, across its end, where some or all of it is not memory.
        for at in [0x100, 0xfc8, MEMORY - 0x40, MEMORY - 0x20, MEMORY] {
            let mut state: State = bytemuck::Zeroable::zeroed();
            for (n, v) in (0..).zip(&mut state.v) {
                v[0] = 0x0123_4567 * n;
            }
            state.v[0][0] = at;
            for known in [false, true] {
                if !known {
                    bench.v.mmu.tlb.flush(Flush::ALL);
                }
                compare(
                    &mut bench,
                    entry,
                    &prepared,
                    &state,
                    format_args!("{held} held at {at:#x}, known: {known}"),
                );
            }
        }
    }
}

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

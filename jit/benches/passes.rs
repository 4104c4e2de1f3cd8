//! What the passes and the interpreter cost, for each operation of a typical block.
#![allow(clippy::restriction, reason = "what cannot be measured ends it")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use emu_ir::{Block, Builder, Hint, Mem, Ty};
use emu_jit::cases::{LAYOUT, State, TestGuest, TestMemory, any, pinned};
use emu_jit::{interp, opt};

/// Twenty guest instructions of the kinds compiled code is made of: additions with and without flags, loads and stores
/// with offsets, one of them conditional.
fn typical() -> Block {
    let mut b = Builder::new();
    for i in 0..20u32 {
        b.insn(i as u16 * 4, 0);
        let (x, y) = (b.get(pinned(i % 8)), b.get(pinned((i + 3) % 8)));
        match i % 4 {
            0 => {
                let sum = b.add(x, y);
                b.set(pinned((i + 1) % 8), sum);
            }
            1 => {
                let four = b.i32(4);
                let difference = b.sub(x, four);
                let zero = b.i32(0);
                let flags = [
                    b.slt(difference, zero),
                    b.eq(difference, zero),
                    b.ule(four, x),
                    b.sub_ovf(x, four),
                ];
                for (n, flag) in flags.into_iter().enumerate() {
                    b.set(any(n as u32, Ty::I8), flag);
                }
                b.set(pinned((i + 2) % 8), difference);
            }
            2 => {
                let offset = b.i32(0xff8);
                let addr = b.and(x, offset);
                let v = b.load(Ty::I32, addr, Mem::new(2, 0));
                b.set(pinned((i + 5) % 8), v);
            }
            _ => {
                let (z, skip) = (b.get(any(1, Ty::I8)), b.label());
                b.br_if(z, skip);
                let (mask, n) = (b.i32(0xff8), b.i32(3));
                let shifted = b.shl(y, n);
                let addr = b.and(shifted, mask);
                b.store(addr, x, Mem::new(2, 0));
                b.place(skip);
            }
        }
    }
    b.goto(80, 0, Hint::Jump, false);
    b.block
}

fn passes(c: &mut Criterion) {
    let (block, mut scratch) = (typical(), opt::Scratch::default());
    let mut group = c.benchmark_group("passes");
    group.throughput(Throughput::Elements(block.insts.len() as u64));
    group.bench_function("both", |b| {
        let effect = opt::CallEffect::of::<TestGuest>;
        let run = |mut block: Block| {
            opt::run(&mut block, &LAYOUT, effect, &mut scratch);
            block
        };
        b.iter_batched(|| block.clone(), run, BatchSize::SmallInput);
    });
    group.finish();
}

fn interpreter(c: &mut Criterion) {
    let (mut block, mut scratch) = (typical(), interp::Scratch::default());
    opt::run(
        &mut block,
        &LAYOUT,
        opt::CallEffect::of::<TestGuest>,
        &mut opt::Scratch::default(),
    );
    let mut group = c.benchmark_group("interpreter");
    group.throughput(Throughput::Elements(block.insts.len() as u64));
    let code = interp::Prepared::new(block);
    group.bench_function("typical", |b| {
        let (mut state, mut mem): (State, _) = (bytemuck::Zeroable::zeroed(), TestMemory::default());
        b.iter(|| {
            mem.trace.clear();
            interp::run(&mut TestGuest::default(), &mut state, &mut mem, &code, 0, &mut scratch)
        });
    });
    group.finish();
}

criterion_group!(benches, passes, interpreter);
criterion_main!(benches);

//! Loops of the kind that programs use vectors for, run by translated code.
#![allow(clippy::restriction, reason = "what cannot be measured ends it")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use emu_devices::bus::Ram;
use emu_ir::*;
use emu_jit::cases::{Flat, LAYOUT, Program, State, any, pinned};
use emu_jit::engine::{Accel, Exit, Vcpu};

/// Rounds of a loop in one run.
const ROUNDS: u32 = 1000;

/// Every block is one loop, r0 times around.
struct Loop(fn(&mut Builder));

impl Program for Loop {
    type State = State;
    const LAYOUT: &'static Layout = &LAYOUT;

    fn translate(&self, _: BlockKey, _: u32, b: &mut Builder) {
        b.insn(0, 0);
        (self.0)(b);
        b.insn(4, 0);
        let (count, one, zero) = (b.get(pinned(0)), b.i32(1), b.i32(0));
        let left = b.sub(count, one);
        b.set(pinned(0), left);
        let (done, label) = (b.eq(left, zero), b.label());
        b.br_if(done, label);
        b.goto(0, 0, Hint::Jump, false);
        b.place(label);
        b.exit(Leave::Yield);
        (b.block.guest_insns, b.block.guest_bytes) = (2, 8);
    }
}

/// The same page of memory at every address.
struct OnePage(Ram);

impl Bus for OnePage {
    fn load(&mut self, _: u64, _: u8) -> Option<u64> {
        None
    }
    fn store(&mut self, _: u64, _: u8, _: u64) -> Option<()> {
        None
    }
    fn ram(&mut self, page: u64) -> Option<RamPage<'_>> {
        // The loop's own code stays apart from its data, or writing one would forget the other.
        (page <= 0x1000).then(|| RamPage::plain(self.0.mapping(), 0, page))
    }
}

/// `out[i] = (in[i] * weight + 128) >> 8`, eight bytes a round.
fn bytes(b: &mut Builder) {
    let (from, to) = (b.i32(0x1000), b.i32(0x1800));
    let pixels = b.load(Ty::V64, from, Mem::new(3, 0));
    let weights = b.get(any(0, Ty::V64));
    let a = b.push(
        Ty::V128,
        Op::VMulWideU {
            a: pixels,
            b: weights,
            e: Lane::I8,
        },
    );
    let half = b.vec(
        Ty::V128,
        u128::from_le_bytes([128, 0].repeat(8).try_into().unwrap_or_default()),
    );
    let e = Lane::I16;
    let a = b.push(Ty::V128, Op::VAdd { a, b: half, e });
    let a = b.push(Ty::V128, Op::VShrU { a, n: 8, e });
    let narrow = b.push(Ty::V64, Op::VNarrow { a, e: Lane::I8 });
    b.store(to, narrow, Mem::new(3, 0));
}

/// `sum += x * y`, four floats a round, as NEON does it.
fn floats(b: &mut Builder) {
    let (from, env, e) = (b.i32(0x1000), Fenv::STANDARD, Lane::F32);
    let x = b.load(Ty::V128, from, Mem::new(4, 0));
    let y = b.get(any(1, Ty::V128));
    let product = b.push(Ty::V128, Op::VFMul { a: x, b: y, e, env });
    let sum = b.get(any(2, Ty::V128));
    let (a, b2) = (sum, product);
    let sum = b.push(Ty::V128, Op::VFAdd { a, b: b2, e, env });
    b.set(any(2, Ty::V128), sum);
}

/// `x = x * x + y` on doubles, flushing denormals.
fn doubles(b: &mut Builder) {
    let env = Fenv {
        flush: true,
        ..Fenv::IEEE
    };
    let (x, y) = (b.get(any(3, Ty::F64)), b.get(any(4, Ty::F64)));
    let square = b.push(Ty::F64, Op::FMul { a: x, b: x, env });
    let x = b.push(Ty::F64, Op::FAdd { a: square, b: y, env });
    b.set(any(3, Ty::F64), x);
}

fn vectors(c: &mut Criterion) {
    let mut group = c.benchmark_group("vectors");
    group.throughput(Throughput::Elements(ROUNDS as u64));
    let loops: [(&str, fn(&mut Builder)); 3] = [
        ("8 bytes weighted", bytes),
        ("4 floats multiplied and added", floats),
        ("1 double squared and added, flushing", doubles),
    ];
    for (name, body) in loops {
        let memory = Ram::new(4096).expect("memory");
        memory
            .copy_in(0, &1.25f32.to_le_bytes().repeat(1024))
            .expect("all inside");
        let mut state: State = bytemuck::Zeroable::zeroed();
        state.v[0] = [0x0102_0304_0506_0708; 2];
        state.v[1] = [0x3f9d_70a4_3f9d_70a4; 2];
        state.v[2] = [0x3f80_0000_3f80_0000; 2];
        (state.v[3][0], state.v[4][0]) = (0.3f64.to_bits(), 0.2f64.to_bits());
        let mut v = Vcpu::new(Flat(Loop(body)), state, Box::new(OnePage(memory)), Accel::Jit, true).expect("a vCPU");
        group.bench_function(name, |b| {
            b.iter(|| {
                let state = v.state_mut();
                (state.pc, state.r[0]) = (0, ROUNDS);
                assert_eq!(v.run(), Exit::Yield);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, vectors);
criterion_main!(benches);

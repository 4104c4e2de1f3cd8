//! The state of an exception has the floating-point flags of what ran before it, in both accelerators.
#![allow(clippy::restriction, reason = "this is how a test fails")]

mod pages;
mod ram;

use emu_frontend_arm::a64::{A64, Cpu};
use emu_jit::engine::Accel;
use emu_jit::engine::trace::{Cause, Tracer, Wants};
use pages::{Bench, PLAIN};
use std::sync::{Arc, Mutex};

/// FPSR.IXC: inexact.
const IXC: u32 = 1 << 4;

/// Notes FPSR before and after each exception.
struct Seen(Arc<Mutex<Vec<[u32; 2]>>>);

impl Tracer<A64> for Seen {
    fn wants(&self) -> Wants {
        Wants {
            exceptions: true,
            ..Wants::default()
        }
    }
    fn exception(&mut self, before: &Cpu, after: &Cpu, _: Cause) {
        self.0.lock().unwrap().push([before, after].map(Cpu::fpsr));
    }
}

#[test]
fn an_abort_shows_the_flags_of_what_ran_before() {
    // fdiv s0, s1, s2, and a load, a store or an exclusive of where nothing is mapped.
    for access in [0xb940_0001, 0xb900_0001, 0x885f_7c01] {
        for accel in [Accel::Interp, Accel::Jit] {
            let Some(mut bench) = Bench::new(accel, "max") else {
                continue;
            };
            let seen = Arc::default();
            bench.v.set_tracer(Some(Box::new(Seen(Arc::clone(&seen)))));
            bench.code(PLAIN, &[0x1e22_1820, access]);
            let cpu = bench.cpu();
            cpu.sys.cpacr = 3 << 20;
            cpu.update_mode();
            (cpu.x[0], cpu.q[1], cpu.q[2]) = (0x1_2345_6780, [0x3f80_0000, 0], [0x4040_0000, 0]);

            assert!(bench.run().is_err());

            assert_eq!(*seen.lock().unwrap(), [[IXC; 2]], "{access:#x} {accel:?}");
        }
    }
}

//! What Armv8 adds to A32, T32 and T16, against qemu-arm's CPU with everything.

use super::super::{Isa, Oracle, Random, Row, check};
use super::machine::Machine;
use super::record::{EXECUTED, Record};
use super::{Arm, allowed, decode_rows, is_answer, qemu, states, words};
use emu_frontend_arm::features::Features;
use emu_frontend_arm::{MODELS, Model};
use emu_jit::engine::Accel;

/// As AArch32 at EL0 has it, with every feature.
pub static MODEL: Model = Model {
    features: Features::ALL,
    ..MODELS[0]
};

/// Rows that have no need, and do more or less on Armv8.
const OTHERWISE: &[&str] = &["vmull_polynomial", "vmrs", "dmb"];

/// Numbers of half precision at the edges of their classes and of the integers.
const HALVES: &[u16] = &[
    0, 0x8000, 0x3c00, 0xbc00, 0x7c00, 0xfc00, 0x7e00, 0xfe12, 0x7c01, 0xfd00, 1, 0x8001, 0x3ff, 0x83ff, 0x400, 0x8400,
    0x7bff, 0xfbff, 0x3bff, 0x3800, 0xb800, 0x3e00, 0x4100, 0xc100, 0x7800, 0xf800, 0x6400, 0x67ff, 0x0200, 0x1400,
];

const FLUSHED: &str =
    "\"elsif sign == '0' && value == 0.0 && !IsZero(op<51:0>) then Z = '0'\": shared pseudocode, FPToFixedJS";
/// FPSCR.FZ.
const FZ: u32 = 1 << 24;

/// Whether Dm is a denormal.
fn is_small(record: &Record, word: u32) -> bool {
    let m = word & 15 | word >> 1 & 16;
    f64::from_bits(record.d[m as usize]).is_subnormal()
}

struct Armv8;

impl Isa for Armv8 {
    const NAME: &'static str = "armv8";
    type Record = Record;
    const CODE_WORDS: usize = EXECUTED;
    type Machine = Machine;
    const NOT_RUN: &'static [(&'static str, &'static str)] =
        &[("setpan", "nothing in User mode, where the oracle does not have it")];
    const REFUSED: &'static [(&'static [&'static str], &'static str)] =
        &[(&["hlt"], "Undefined without a halting debugger")];

    fn rows() -> Vec<Row> {
        decode_rows(|r| r.needs != 0 || OTHERWISE.contains(&r.name))
    }
    fn enough(row: &Row) -> usize {
        if words::is_float(row) { 500 } else { 150 }
    }
    fn code(row: &Row, random: &mut Random) -> Record {
        words::code(row, random)
    }
    fn state(row: &Row, record: &mut Record, random: &mut Random) {
        states::state(row, record, random);
        record.fpscr |= random.word() & 1 << 19;
        if random.one_in(2) {
            for d in &mut record.d {
                let halves: [u16; 4] = std::array::from_fn(|_| random.pick(HALVES));
                *d = bytemuck::cast(halves);
            }
        }
    }
    fn machine(accel: Accel) -> Option<Machine> {
        Machine::new(accel, &MODEL)
    }
    fn run(machine: &mut Machine, record: &Record) -> Record {
        machine.run(record)
    }
    fn oracle() -> Result<Oracle, String> {
        qemu("max")
    }
    fn is_answer(after: &Record) -> bool {
        is_answer(after)
    }
    fn allowed(row: &Row, before: &Record, want: &Record, got: &Record) -> Option<&'static str> {
        if row.name == "vjcvt" && before.fpscr & FZ != 0 && is_small(before, before.word) {
            return Some(FLUSHED);
        }
        allowed::allowed(row, before, want, got)
    }
    fn is_refused(before: &Record, after: &Record) -> bool {
        allowed::is_refused(before, after)
    }
    fn show(record: &Record) -> String {
        allowed::show(record)
    }
    fn field(word: usize) -> String {
        Arm::field(word)
    }
}

#[test]
fn every_row_of_armv8_does_what_qemu_did() {
    check::kept::<Armv8>();
}

#[test]
fn every_row_of_armv8_does_what_qemu_does() {
    check::live::<Armv8>();
}

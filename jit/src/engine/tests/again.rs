//! Status flags that are not stored before an access to memory, though it may fault: a fault shows them.

use super::*;
use crate::pins;
use emu_ir::Arith;

/// Where the status flags are.
const STATUS: Slot = any(15, Ty::I16);
/// What is accessed: not there.
const NOWHERE: u64 = 0x1000_0000;

/// How the values that flags are made from are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    /// The result goes to a pinned register, and stays there.
    Pinned,
    /// It is overwritten there.
    Overwritten,
    /// Many others are held, too.
    Crowded,
    /// The second operand is this constant.
    Constant(u64),
}

/// What an operation makes of two numbers; of those that change by one, and of rotates, as x86's instructions do: the last
/// rotate is by one.
fn made(b: &mut Builder, how: Arith, ty: Ty, (x, y): (Val, Val)) -> Option<(Val, Val)> {
    let one = b.imm(ty, 1);
    Some(match how {
        Arith::Add => (b.add(x, y), x),
        Arith::Sub => (b.sub(x, y), x),
        Arith::Inc => (b.add(x, one), x),
        Arith::Dec => (b.sub(x, one), x),
        Arith::Logic => {
            let v = b.xor(x, y);
            (v, v)
        }
        Arith::Rol | Arith::Ror if matches!(ty, Ty::I32 | Ty::I64) => {
            let width = u64::from(ty.bits());
            let (all, less) = match how {
                Arith::Ror => (5, 4),
                _ => (width - 5, width - 4),
            };
            let (all, less) = (b.imm(ty, all), b.imm(ty, less));
            (b.rotr(x, all), b.rotr(x, less))
        }
        Arith::Shl | Arith::Shr | Arith::Sar if matches!(ty, Ty::I32 | Ty::I64) => {
            let less = b.imm(ty, 3);
            let last = b.shl(x, less);
            (last, last)
        }
        _ => return None,
    })
}

/// Two numbers to flags, an access that faults, and other flags; the operation that stores the first flags.
fn faults(chain: &[Arith], ty: Ty, held: Held) -> Option<(Block, usize)> {
    let mut b = Builder::new();
    let (x, mut y) = match ty {
        // Low bits of pinned registers.
        Ty::I8 | Ty::I16 => {
            let (x, y) = (b.get(cases::pinned(1)), b.get(cases::pinned(2)));
            (b.trunc(ty, x), b.trunc(ty, y))
        }
        Ty::I32 => (b.get(cases::pinned(1)), b.get(cases::pinned(2))),
        _ => (b.get(any(1, ty)), b.get(any(2, ty))),
    };
    if let Held::Constant(c) = held {
        y = b.imm(ty, c);
    }
    let (mut x, mut set) = (x, 0);
    for &how in chain {
        let before = b.get(STATUS);
        let (v, a) = made(&mut b, how, ty, (x, y))?;
        if ty == Ty::I32 {
            b.set(cases::pinned(1), v);
        }
        let status = b.status(how, a, y, before);
        b.set(STATUS, status);
        set = b.block.insts.len() - 1;
        x = v;
    }
    if held == Held::Overwritten {
        let other = b.i32(7);
        b.set(cases::pinned(1), other);
        b.set(cases::pinned(2), other);
    }
    let mut others = Vec::new();
    if held == Held::Crowded {
        for i in 3..12 {
            let v = b.get(any(i, Ty::I64));
            others.push((any(i, Ty::I64), b.not(v)));
        }
    }
    let addr = b.get(any(0, Ty::I32));
    let loaded = b.load(Ty::I32, addr, Mem::new(2, 0));
    for (slot, v) in others {
        b.set(slot, v);
    }
    let status = b.status(Arith::Logic, loaded, loaded, loaded);
    b.set(STATUS, status);
    b.exit(Leave::Sync);
    Some((b.block, set))
}

/// The flags that accesses show: interpreted, and by translated code, of numbers that are hard.
fn compare_faults(bench: &mut Bench, chain: &[Arith], ty: Ty, held: Held) -> bool {
    let Some((mut block, _)) = faults(chain, ty, held) else {
        return false;
    };
    let prepared = Prepared::new(block.clone());
    // As the engine does it: what the flags are before a second one is then known.
    let effect = CallEffect::of::<TestGuest>;
    let lives = opt::improve(&mut block, TestGuest::LAYOUT, effect, &mut bench.v.passes);
    let later = block.insts.iter().zip(&lives.vals);
    let put_off = later.filter(|(inst, life)| matches!(inst.op, Op::Set { .. }) && life.hint == pins::LATER);
    assert_eq!(put_off.count(), 1, "{chain:?} {ty:?} {held:?} {block:?}");
    let entry = bench.install(&block).expect("fits");
    for x in [
        0,
        1,
        0x7f,
        0x80,
        0xff,
        0x7fff,
        0x8000,
        0xffff,
        0x7fff_ffff,
        0x8000_0000,
        u64::MAX,
        1 << 63,
    ] {
        for (y, before) in [
            (1, 0x200),
            (0xffff_ffff, 0xd701),
            (0x80, 0x300),
            (u64::MAX, 0x200),
            (x, 0xd601),
        ] {
            let mut state: State = bytemuck::Zeroable::zeroed();
            (state.r[1], state.r[2]) = (x as u32, y as u32);
            (state.v[1][0], state.v[2][0]) = (x, y);
            (state.v[0][0], state.v[15][0]) = (NOWHERE, before);
            let what = format_args!("{chain:?} {ty:?} {held:?} of {x:#x} and {y:#x}");
            let left = compare(bench, entry, &prepared, &state, what);
            assert_eq!(left, Left::Fault);
        }
    }
    true
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
fn a_fault_shows_the_flags_that_were_not_stored() {
    let mut bench = Bench::new();
    let mut compared = 0;
    for ty in [Ty::I8, Ty::I16, Ty::I32, Ty::I64] {
        for how in Arith::ALL {
            for held in [
                Held::Pinned,
                Held::Overwritten,
                Held::Crowded,
                Held::Constant(5),
                Held::Constant(0x8000_0000_0000_0001),
            ] {
                compared += usize::from(compare_faults(&mut bench, &[how], ty, held));
            }
        }
    }
    assert_eq!(compared, (5 * 4 + 5 * 2) * 5, "flags of types, held in each way");
}

#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
fn a_fault_shows_flags_of_which_some_are_of_the_operation_before() {
    let mut bench = Bench::new();
    for last in [Arith::Inc, Arith::Dec, Arith::Rol, Arith::Ror] {
        for first in [Arith::Add, Arith::Sub, Arith::Logic, Arith::Shl, Arith::Shr, Arith::Sar] {
            for ty in [Ty::I32, Ty::I64] {
                for held in [Held::Pinned, Held::Overwritten, Held::Crowded] {
                    assert!(compare_faults(&mut bench, &[first, last], ty, held));
                }
            }
        }
    }
}

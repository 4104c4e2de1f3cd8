//! Cases of memory, calls and control flow.

use super::operands::Kind;
use super::{BUMP, Build, Case, FLAGGED, MIX, REFUSE, any, pinned};
use emu_ir::{Fence, Hint, Leave, Mem, Op, Pieces, Rmw, Ty, Val};

const A: Val = Val(0);
const B: Val = Val(1);
const C: Val = Val(2);

pub(super) fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for ty in Ty::ALL {
        for mem in (0..=ty.bytes().trailing_zeros() as u8).flat_map(|size| accesses(ty, size)) {
            all.push(Case::op(Op::Load { addr: A, mem }, ty, &[Kind::Address]));
            let (a, addr) = (B, A);
            all.push(Case::op(
                Op::Store { addr, a, mem },
                ty,
                &[Kind::Address, super::integer::of(ty)],
            ));
        }
    }
    for ty in [Ty::I8, Ty::I16, Ty::I32, Ty::I64] {
        let (size, kind) = (ty.bytes().trailing_zeros() as u8, Kind::Int(ty));
        let orders = [Pieces::little(size), Pieces::little(size).lenient(), Pieces::big(size)];
        for pieces in orders.into_iter().take(if size == 0 { 1 } else { 3 }) {
            let mem = Mem {
                align: size,
                pieces,
                ..Mem::new(size, 0)
            };
            let (addr, old, new) = (A, B, C);
            all.push(Case::op(
                Op::Cas { addr, old, new, mem },
                ty,
                &[Kind::Address, kind, kind],
            ));
            all.push(Case::op(Op::Swap { addr, a: B, mem }, ty, &[Kind::Address, kind]));
            let rmw = Rmw::ALL.map(|how| Op::Rmw { addr, a: B, how, mem });
            all.extend(rmw.map(|op| Case::op(op, ty, &[Kind::Address, kind])));
        }
    }
    for pieces in [
        Pieces::little(4),
        Pieces::little(4).lenient(),
        Pieces::big(3),
        Pieces::big(4),
    ] {
        let (addr, old, new) = (A, B, C);
        let mem = Mem {
            align: 4,
            pieces,
            ..Mem::new(4, 0)
        };
        let pair = Kind::Vec(Ty::V128, emu_ir::Lane::I64);
        all.push(Case::op(
            Op::Cas { addr, old, new, mem },
            Ty::V128,
            &[Kind::Address, pair, pair],
        ));
    }
    all.extend([Fence::Full, Fence::Light].map(|kind| Case::op(Op::Barrier { kind }, Ty::I8, &[])));
    all.extend(built().map(|(name, kinds, f)| Case::build(name, kinds, f)));
    all
}

/// Plain, sign-extending, aligned and byte-reversed accesses of `1 << size` bytes as a `ty`.
fn accesses(ty: Ty, size: u8) -> Vec<Mem> {
    let plain = Mem::new(size, 0);
    let mut all = vec![
        plain,
        Mem {
            idx: 1,
            align: size,
            ..plain
        },
        Mem {
            align: size,
            pieces: plain.pieces.lenient(),
            ..plain
        },
    ];
    let scalar = !ty.is_vec();
    if ty.is_int() && plain.bytes() < ty.bytes() {
        all.push(Mem { signed: true, ..plain });
        all.push(Mem {
            signed: true,
            pieces: Pieces::big(size),
            ..plain
        });
    }
    if scalar {
        all.push(Mem {
            pieces: Pieces::big(size),
            ..plain
        });
    } else {
        all.extend((1..=size.min(3)).map(|log2| Mem {
            pieces: Pieces::big(log2),
            ..plain
        }));
    }
    all
}

const WORD: Kind = Kind::Int(Ty::I32);
const LONG: Kind = Kind::Int(Ty::I64);

fn built() -> [(&'static str, &'static [Kind], Build); 21] {
    [
        ("Cas", &[Kind::Address], |b, v| {
            // A compare that succeeds.
            let mem = Mem::new(2, 0);
            let old = b.load(Ty::I32, v[0], mem);
            let new = b.not(old);
            let held = b.cas(v[0], old, new, mem);
            Some(b.sub(held, old))
        }),
        ("Cas", &[Kind::Address], |b, v| {
            // The same of 16 bytes.
            let mem = Mem {
                align: 4,
                ..Mem::new(4, 0)
            };
            let old = b.load(Ty::V128, v[0], mem);
            let new = b.not(old);
            let held = b.cas(v[0], old, new, mem);
            Some(b.xor(held, old))
        }),
        ("Rmw", &[Kind::Address, LONG], |b, v| {
            // Results that nobody wants.
            for how in Rmw::ALL {
                b.rmw(how, v[0], v[1], Mem::new(3, 0));
            }
            None
        }),
        ("Call", &[WORD, LONG], |b, v| Some(b.call(Ty::I64, MIX, v))),
        ("Call", &[LONG, Kind::Vec(Ty::V128, emu_ir::Lane::I32)], |b, v| {
            Some(b.call(Ty::V128, MIX, v))
        }),
        ("Call", &[WORD, LONG, WORD, LONG], |b, v| Some(b.call(Ty::I8, MIX, v))),
        ("Call", &[Kind::Float(Ty::F64), Kind::Float(Ty::F32)], |b, v| {
            Some(b.call(Ty::F64, MIX, v))
        }),
        ("Call", &[WORD, Kind::Vec(Ty::V128, emu_ir::Lane::I32)], |b, v| {
            Some(b.call(Ty::V128, FLAGGED, v))
        }),
        ("Call", &[WORD], |b, v| {
            let before = b.get(pinned(0));
            let old = b.call(Ty::I32, BUMP, v);
            let after = b.get(pinned(0));
            b.set(pinned(4), after);
            b.set(pinned(5), before);
            Some(old)
        }),
        ("Call", &[WORD], |b, v| {
            b.set(pinned(6), v[0]);
            let r = b.call(Ty::I32, REFUSE, v);
            b.set(pinned(6), r);
            b.get(pinned(1)).into()
        }),
        ("Insn", &[WORD, Kind::Address], |b, v| {
            // A store seen by a fault of the second instruction, and one that is not.
            b.set(pinned(4), v[0]);
            b.insn(0xffe, 0xdead_beef);
            let x = b.load(Ty::I32, v[1], Mem::new(2, 0));
            b.set(pinned(4), x);
            None
        }),
        ("Place", &[Kind::Bool, Kind::Bool, WORD], |b, v| {
            let (outer, inner) = (b.label(), b.label());
            b.br_if(v[0], outer);
            b.set(pinned(4), v[2]);
            b.br_if(v[1], inner);
            let n = b.not(v[2]);
            b.set(pinned(5), n);
            b.place(inner);
            b.set(pinned(6), v[2]);
            b.place(outer);
            Some(b.get(pinned(5)))
        }),
        ("Br", &[Kind::Bool, WORD], |b, v| {
            let (other, end) = (b.label(), b.label());
            b.br_if(v[0], other);
            b.set(pinned(4), v[1]);
            b.br(end);
            b.place(other);
            b.set(pinned(5), v[1]);
            b.place(end);
            Some(b.get(pinned(4)))
        }),
        ("BrIf", &[WORD, WORD], |b, v| {
            // A comparison right before its branch, the form emitters fuse.
            let skip = b.label();
            let c = b.slt(v[0], v[1]);
            b.br_if(c, skip);
            b.set(pinned(4), v[1]);
            b.exit(Leave::Yield);
            b.place(skip);
            b.set(pinned(4), v[0]);
            b.goto(0x20, 0, Hint::Jump, false);
            None
        }),
        ("Goto", &[Kind::Bool], |b, v| {
            let far = b.label();
            b.br_if(v[0], far);
            b.goto(0x40, 0, Hint::Jump, true);
            b.place(far);
            b.goto(-0x2000, 0, Hint::Call, false);
            None
        }),
        ("GotoVal", &[WORD], |b, v| {
            b.goto_val(v[0], Hint::Jump);
            None
        }),
        ("GotoVal", &[WORD], |b, v| {
            b.goto_val(v[0], Hint::Return);
            None
        }),
        ("Exit", &[WORD], |b, v| {
            b.set(super::LAYOUT.pc, v[0]);
            b.exit(Leave::Wait);
            None
        }),
        ("Exit", &[Kind::Bool], |b, v| {
            let other = b.label();
            b.br_if(v[0], other);
            b.exit(Leave::Sync);
            b.place(other);
            b.exit(Leave::Yield);
            None
        }),
        ("Exit", &[WORD], |b, v| {
            b.set(super::LAYOUT.pc, v[0]);
            b.exit(Leave::Resume);
            None
        }),
        ("Set", &[WORD, Kind::Bool], |b, v| {
            // Stores before, in and behind a skipped region, of which one way sees the first.
            let skip = b.label();
            b.set(any(8, Ty::I32), v[0]);
            b.br_if(v[1], skip);
            let n = b.not(v[0]);
            b.set(any(8, Ty::I32), n);
            b.set(any(9, Ty::I32), n);
            b.place(skip);
            b.set(any(9, Ty::I32), v[0]);
            None
        }),
    ]
}

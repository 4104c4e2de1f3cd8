//! Loads and stores of structures of one to four elements: whole registers, one lane, all lanes (Arm ARM DDI 0487, C4.1,
//! "Advanced SIMD load/store multiple structures", "single structure", and both post-indexed). Elements are interleaved in
//! memory, and each is an access of its own.

use super::super::fp;
use super::super::state;
use super::super::tx::Tx;
use super::operands::{lane, lane_slot, set, ty};
use crate::vector::int::{pick, unzip};
use emu_ir::{Builder, Lane, Ty, Val, insns};

insns! {
    /// Whole registers, `c` of them where that is not the number of elements. `s` is the size, `m` the index.
    MULTIPLE: Tx;
    "0q 0011000 1 000000 0000 ss nnnnn ttttt" => ld4(q, s, {STAYS}, n, t)
    "0q 0011001 1 0 mmmmm 0000 ss nnnnn ttttt" => ld4(q, s, m, n, t)
    "0q 0011000 1 000000 0010 ss nnnnn ttttt" => ld1(q, {4}, s, {STAYS}, n, t)
    "0q 0011001 1 0 mmmmm 0010 ss nnnnn ttttt" => ld1(q, {4}, s, m, n, t)
    "0q 0011000 1 000000 0100 ss nnnnn ttttt" => ld3(q, s, {STAYS}, n, t)
    "0q 0011001 1 0 mmmmm 0100 ss nnnnn ttttt" => ld3(q, s, m, n, t)
    "0q 0011000 1 000000 0110 ss nnnnn ttttt" => ld1(q, {3}, s, {STAYS}, n, t)
    "0q 0011001 1 0 mmmmm 0110 ss nnnnn ttttt" => ld1(q, {3}, s, m, n, t)
    "0q 0011000 1 000000 0111 ss nnnnn ttttt" => ld1(q, {1}, s, {STAYS}, n, t)
    "0q 0011001 1 0 mmmmm 0111 ss nnnnn ttttt" => ld1(q, {1}, s, m, n, t)
    "0q 0011000 1 000000 1000 ss nnnnn ttttt" => ld2(q, s, {STAYS}, n, t)
    "0q 0011001 1 0 mmmmm 1000 ss nnnnn ttttt" => ld2(q, s, m, n, t)
    "0q 0011000 1 000000 1010 ss nnnnn ttttt" => ld1(q, {2}, s, {STAYS}, n, t)
    "0q 0011001 1 0 mmmmm 1010 ss nnnnn ttttt" => ld1(q, {2}, s, m, n, t)
    "0q 0011000 0 000000 0000 ss nnnnn ttttt" => st4(q, s, {STAYS}, n, t)
    "0q 0011001 0 0 mmmmm 0000 ss nnnnn ttttt" => st4(q, s, m, n, t)
    "0q 0011000 0 000000 0010 ss nnnnn ttttt" => st1(q, {4}, s, {STAYS}, n, t)
    "0q 0011001 0 0 mmmmm 0010 ss nnnnn ttttt" => st1(q, {4}, s, m, n, t)
    "0q 0011000 0 000000 0100 ss nnnnn ttttt" => st3(q, s, {STAYS}, n, t)
    "0q 0011001 0 0 mmmmm 0100 ss nnnnn ttttt" => st3(q, s, m, n, t)
    "0q 0011000 0 000000 0110 ss nnnnn ttttt" => st1(q, {3}, s, {STAYS}, n, t)
    "0q 0011001 0 0 mmmmm 0110 ss nnnnn ttttt" => st1(q, {3}, s, m, n, t)
    "0q 0011000 0 000000 0111 ss nnnnn ttttt" => st1(q, {1}, s, {STAYS}, n, t)
    "0q 0011001 0 0 mmmmm 0111 ss nnnnn ttttt" => st1(q, {1}, s, m, n, t)
    "0q 0011000 0 000000 1000 ss nnnnn ttttt" => st2(q, s, {STAYS}, n, t)
    "0q 0011001 0 0 mmmmm 1000 ss nnnnn ttttt" => st2(q, s, m, n, t)
    "0q 0011000 0 000000 1010 ss nnnnn ttttt" => st1(q, {2}, s, {STAYS}, n, t)
    "0q 0011001 0 0 mmmmm 1010 ss nnnnn ttttt" => st1(q, {2}, s, m, n, t)
}

insns! {
    /// Lane `i`.
    SINGLE: Tx;
    "0i 0011010 1 0 00000 000 iii nnnnn ttttt" => ld1_lane({0}, i, {STAYS}, n, t)
    "0i 0011011 1 0 mmmmm 000 iii nnnnn ttttt" => ld1_lane({0}, i, m, n, t)
    "0i 0011010 1 0 00000 010 ii 0 nnnnn ttttt" => ld1_lane({1}, i, {STAYS}, n, t)
    "0i 0011011 1 0 mmmmm 010 ii 0 nnnnn ttttt" => ld1_lane({1}, i, m, n, t)
    "0i 0011010 1 0 00000 100 i 00 nnnnn ttttt" => ld1_lane({2}, i, {STAYS}, n, t)
    "0i 0011011 1 0 mmmmm 100 i 00 nnnnn ttttt" => ld1_lane({2}, i, m, n, t)
    "0i 0011010 1 0 00000 100 0 01 nnnnn ttttt" => ld1_lane({3}, i, {STAYS}, n, t)
    "0i 0011011 1 0 mmmmm 100 0 01 nnnnn ttttt" => ld1_lane({3}, i, m, n, t)
    "0i 0011010 1 1 00000 000 iii nnnnn ttttt" => ld2_lane({0}, i, {STAYS}, n, t)
    "0i 0011011 1 1 mmmmm 000 iii nnnnn ttttt" => ld2_lane({0}, i, m, n, t)
    "0i 0011010 1 1 00000 010 ii 0 nnnnn ttttt" => ld2_lane({1}, i, {STAYS}, n, t)
    "0i 0011011 1 1 mmmmm 010 ii 0 nnnnn ttttt" => ld2_lane({1}, i, m, n, t)
    "0i 0011010 1 1 00000 100 i 00 nnnnn ttttt" => ld2_lane({2}, i, {STAYS}, n, t)
    "0i 0011011 1 1 mmmmm 100 i 00 nnnnn ttttt" => ld2_lane({2}, i, m, n, t)
    "0i 0011010 1 1 00000 100 0 01 nnnnn ttttt" => ld2_lane({3}, i, {STAYS}, n, t)
    "0i 0011011 1 1 mmmmm 100 0 01 nnnnn ttttt" => ld2_lane({3}, i, m, n, t)
    "0i 0011010 1 0 00000 001 iii nnnnn ttttt" => ld3_lane({0}, i, {STAYS}, n, t)
    "0i 0011011 1 0 mmmmm 001 iii nnnnn ttttt" => ld3_lane({0}, i, m, n, t)
    "0i 0011010 1 0 00000 011 ii 0 nnnnn ttttt" => ld3_lane({1}, i, {STAYS}, n, t)
    "0i 0011011 1 0 mmmmm 011 ii 0 nnnnn ttttt" => ld3_lane({1}, i, m, n, t)
    "0i 0011010 1 0 00000 101 i 00 nnnnn ttttt" => ld3_lane({2}, i, {STAYS}, n, t)
    "0i 0011011 1 0 mmmmm 101 i 00 nnnnn ttttt" => ld3_lane({2}, i, m, n, t)
    "0i 0011010 1 0 00000 101 0 01 nnnnn ttttt" => ld3_lane({3}, i, {STAYS}, n, t)
    "0i 0011011 1 0 mmmmm 101 0 01 nnnnn ttttt" => ld3_lane({3}, i, m, n, t)
    "0i 0011010 1 1 00000 001 iii nnnnn ttttt" => ld4_lane({0}, i, {STAYS}, n, t)
    "0i 0011011 1 1 mmmmm 001 iii nnnnn ttttt" => ld4_lane({0}, i, m, n, t)
    "0i 0011010 1 1 00000 011 ii 0 nnnnn ttttt" => ld4_lane({1}, i, {STAYS}, n, t)
    "0i 0011011 1 1 mmmmm 011 ii 0 nnnnn ttttt" => ld4_lane({1}, i, m, n, t)
    "0i 0011010 1 1 00000 101 i 00 nnnnn ttttt" => ld4_lane({2}, i, {STAYS}, n, t)
    "0i 0011011 1 1 mmmmm 101 i 00 nnnnn ttttt" => ld4_lane({2}, i, m, n, t)
    "0i 0011010 1 1 00000 101 0 01 nnnnn ttttt" => ld4_lane({3}, i, {STAYS}, n, t)
    "0i 0011011 1 1 mmmmm 101 0 01 nnnnn ttttt" => ld4_lane({3}, i, m, n, t)
    "0i 0011010 0 0 00000 000 iii nnnnn ttttt" => st1_lane({0}, i, {STAYS}, n, t)
    "0i 0011011 0 0 mmmmm 000 iii nnnnn ttttt" => st1_lane({0}, i, m, n, t)
    "0i 0011010 0 0 00000 010 ii 0 nnnnn ttttt" => st1_lane({1}, i, {STAYS}, n, t)
    "0i 0011011 0 0 mmmmm 010 ii 0 nnnnn ttttt" => st1_lane({1}, i, m, n, t)
    "0i 0011010 0 0 00000 100 i 00 nnnnn ttttt" => st1_lane({2}, i, {STAYS}, n, t)
    "0i 0011011 0 0 mmmmm 100 i 00 nnnnn ttttt" => st1_lane({2}, i, m, n, t)
    "0i 0011010 0 0 00000 100 0 01 nnnnn ttttt" => st1_lane({3}, i, {STAYS}, n, t)
    "0i 0011011 0 0 mmmmm 100 0 01 nnnnn ttttt" => st1_lane({3}, i, m, n, t)
    "0i 0011010 0 1 00000 000 iii nnnnn ttttt" => st2_lane({0}, i, {STAYS}, n, t)
    "0i 0011011 0 1 mmmmm 000 iii nnnnn ttttt" => st2_lane({0}, i, m, n, t)
    "0i 0011010 0 1 00000 010 ii 0 nnnnn ttttt" => st2_lane({1}, i, {STAYS}, n, t)
    "0i 0011011 0 1 mmmmm 010 ii 0 nnnnn ttttt" => st2_lane({1}, i, m, n, t)
    "0i 0011010 0 1 00000 100 i 00 nnnnn ttttt" => st2_lane({2}, i, {STAYS}, n, t)
    "0i 0011011 0 1 mmmmm 100 i 00 nnnnn ttttt" => st2_lane({2}, i, m, n, t)
    "0i 0011010 0 1 00000 100 0 01 nnnnn ttttt" => st2_lane({3}, i, {STAYS}, n, t)
    "0i 0011011 0 1 mmmmm 100 0 01 nnnnn ttttt" => st2_lane({3}, i, m, n, t)
    "0i 0011010 0 0 00000 001 iii nnnnn ttttt" => st3_lane({0}, i, {STAYS}, n, t)
    "0i 0011011 0 0 mmmmm 001 iii nnnnn ttttt" => st3_lane({0}, i, m, n, t)
    "0i 0011010 0 0 00000 011 ii 0 nnnnn ttttt" => st3_lane({1}, i, {STAYS}, n, t)
    "0i 0011011 0 0 mmmmm 011 ii 0 nnnnn ttttt" => st3_lane({1}, i, m, n, t)
    "0i 0011010 0 0 00000 101 i 00 nnnnn ttttt" => st3_lane({2}, i, {STAYS}, n, t)
    "0i 0011011 0 0 mmmmm 101 i 00 nnnnn ttttt" => st3_lane({2}, i, m, n, t)
    "0i 0011010 0 0 00000 101 0 01 nnnnn ttttt" => st3_lane({3}, i, {STAYS}, n, t)
    "0i 0011011 0 0 mmmmm 101 0 01 nnnnn ttttt" => st3_lane({3}, i, m, n, t)
    "0i 0011010 0 1 00000 001 iii nnnnn ttttt" => st4_lane({0}, i, {STAYS}, n, t)
    "0i 0011011 0 1 mmmmm 001 iii nnnnn ttttt" => st4_lane({0}, i, m, n, t)
    "0i 0011010 0 1 00000 011 ii 0 nnnnn ttttt" => st4_lane({1}, i, {STAYS}, n, t)
    "0i 0011011 0 1 mmmmm 011 ii 0 nnnnn ttttt" => st4_lane({1}, i, m, n, t)
    "0i 0011010 0 1 00000 101 i 00 nnnnn ttttt" => st4_lane({2}, i, {STAYS}, n, t)
    "0i 0011011 0 1 mmmmm 101 i 00 nnnnn ttttt" => st4_lane({2}, i, m, n, t)
    "0i 0011010 0 1 00000 101 0 01 nnnnn ttttt" => st4_lane({3}, i, {STAYS}, n, t)
    "0i 0011011 0 1 mmmmm 101 0 01 nnnnn ttttt" => st4_lane({3}, i, m, n, t)
}

insns! {
    /// All lanes.
    REPLICATED: Tx;
    "0q 0011010 1 0 00000 110 0 ss nnnnn ttttt" => ld1r(q, s, {STAYS}, n, t)
    "0q 0011011 1 0 mmmmm 110 0 ss nnnnn ttttt" => ld1r(q, s, m, n, t)
    "0q 0011010 1 1 00000 110 0 ss nnnnn ttttt" => ld2r(q, s, {STAYS}, n, t)
    "0q 0011011 1 1 mmmmm 110 0 ss nnnnn ttttt" => ld2r(q, s, m, n, t)
    "0q 0011010 1 0 00000 111 0 ss nnnnn ttttt" => ld3r(q, s, {STAYS}, n, t)
    "0q 0011011 1 0 mmmmm 111 0 ss nnnnn ttttt" => ld3r(q, s, m, n, t)
    "0q 0011010 1 1 00000 111 0 ss nnnnn ttttt" => ld4r(q, s, {STAYS}, n, t)
    "0q 0011011 1 1 mmmmm 111 0 ss nnnnn ttttt" => ld4r(q, s, m, n, t)
}

/// The base stays as it is.
const STAYS: u32 = 32;

/// Where structures lie: base and index register (31: the transfer's size), log2 of an element's bytes.
struct Place {
    base: Val,
    n: u32,
    m: u32,
    s: u32,
}

impl Place {
    fn new(t: &mut Tx, s: u32, m: u32, n: u32) -> Place {
        Place {
            base: t.base(n),
            n,
            m,
            s,
        }
    }
    /// Load `1 << log2` bytes from an offset.
    fn load(&self, t: &mut Tx, ty: Ty, log2: u8, at: u32) -> Val {
        let (addr, mem) = (t.plus(self.base, at.into()), t.mem_of(log2, self.s as u8));
        t.b.load(ty, addr, mem)
    }
    /// Store `1 << log2` bytes to an offset.
    fn store(&self, t: &mut Tx, v: Val, log2: u8, at: u32) {
        let (addr, mem) = (t.plus(self.base, at.into()), t.mem_of(log2, self.s as u8));
        t.b.store(addr, v, mem);
    }
    /// After a transfer of so many bytes.
    fn write_back(&self, t: &mut Tx, bytes: u32) {
        let moved = match self.m {
            STAYS => return,
            31 => t.plus(self.base, bytes.into()),
            m => {
                let by = t.x(m);
                t.b.add(self.base, by)
            }
        };
        t.set_sp(self.n, moved);
    }
}

/// Load `count` registers of a width from consecutive addresses, low halves by pairs where there are two.
fn load_all(t: &mut Tx, p: &Place, q: u32, count: u32) -> Vec<Val> {
    if q == 1 {
        return (0..count).map(|k| p.load(t, Ty::V128, 4, 16 * k)).collect();
    }
    let mut all = Vec::with_capacity(4);
    for at in (0..count * 8).step_by(16) {
        if count * 8 - at >= 16 {
            let pair = p.load(t, Ty::V128, 4, at);
            all.extend([t.b.vhalf(pair, false), t.b.vhalf(pair, true)]);
        } else {
            all.push(p.load(t, Ty::V64, 3, at));
        }
    }
    all
}

/// Store registers of a width to consecutive addresses.
fn store_all(t: &mut Tx, p: &Place, q: u32, all: &[Val]) {
    if q == 1 {
        return (0..).zip(all).for_each(|(k, v)| p.store(t, *v, 4, 16 * k));
    }
    for (k, pair) in (0..).zip(all.chunks(2)) {
        match *pair {
            [low, high] => {
                let both = t.b.vconcat(low, high);
                p.store(t, both, 4, 16 * k);
            }
            [alone] => p.store(t, alone, 3, 16 * k),
            _ => {}
        }
    }
}

/// Bytes picked from three vectors in a row: byte `k` of the result is byte `from(k)` of them.
fn gather(b: &mut Builder, [x, y, z]: [Val; 3], from: impl Fn(usize) -> usize) -> Val {
    let bytes = b.ty(x).bytes() as usize;
    let of = |first: usize| {
        std::array::from_fn(|k| match from(k).checked_sub(first * bytes) {
            Some(at) if k < bytes && at < bytes => at as u8,
            Some(at) if k < bytes && first == 0 && at < 2 * bytes => (at - bytes + 16) as u8,
            _ => u8::MAX,
        })
    };
    let (low, high) = (b.vperm(x, y, of(0)), b.vperm(z, z, of(2)));
    b.or(low, high)
}

/// From memory's order to a vector for each kind of element.
fn deinterleaved(b: &mut Builder, e: Lane, memory: &[Val]) -> Vec<Val> {
    let size = e.bits() as usize / 8;
    match *memory {
        [x, y] => [false, true].map(|odd| unzip(b, e, x, y, odd)).to_vec(),
        [x, y, z] => (0..3)
            .map(|kind| gather(b, [x, y, z], |k| (k / size * 3 + kind) * size + k % size))
            .collect(),
        [w, x, y, z] => {
            let [even, odd] = [false, true].map(|odd| [unzip(b, e, w, x, odd), unzip(b, e, y, z, odd)]);
            [(even, false), (odd, false), (even, true), (odd, true)]
                .map(|([x, y], odd)| unzip(b, e, x, y, odd))
                .to_vec()
        }
        _ => memory.to_vec(),
    }
}

/// Lanes of two vectors in turn: the first and the second half.
fn zip(b: &mut Builder, e: Lane, x: Val, y: Val) -> [Val; 2] {
    [0, 1].map(|half| pick(b, e, x, y, |k, lanes| (k + half * lanes) / 2 + k % 2 * lanes))
}

/// The reverse.
fn interleaved(b: &mut Builder, e: Lane, kinds: &[Val]) -> Vec<Val> {
    let size = e.bits() as usize / 8;
    match *kinds {
        [x, y] => zip(b, e, x, y).to_vec(),
        [x, y, z] => {
            let bytes = b.ty(x).bytes() as usize;
            let from = |at: usize| at / size % 3 * bytes + at / size / 3 * size + at % size;
            (0..3)
                .map(|part| gather(b, [x, y, z], |k| from(part * bytes + k)))
                .collect()
        }
        [w, x, y, z] => {
            let ([a, b1], [c, d]) = (zip(b, e, w, y), zip(b, e, x, z));
            [zip(b, e, a, c), zip(b, e, b1, d)].concat()
        }
        _ => kinds.to_vec(),
    }
}

/// LD1 of `c` registers.
fn ld1(t: &mut Tx, q: u32, c: u32, s: u32, m: u32, n: u32, r: u32) {
    let p = Place::new(t, s, m, n);
    for (k, v) in (0..).zip(load_all(t, &p, q, c)) {
        set(t, q, Lane::I64, r + k, v);
    }
    p.write_back(t, c << (3 + q));
}
/// ST1 of `c` registers.
fn st1(t: &mut Tx, q: u32, c: u32, s: u32, m: u32, n: u32, r: u32) {
    let p = Place::new(t, s, m, n);
    let all: Vec<_> = (0..c).map(|k| t.b.get(state::v(r + k, ty(q)))).collect();
    store_all(t, &p, q, &all);
    p.write_back(t, c << (3 + q));
}

/// LD2 to LD4 of whole registers.
fn load_structures(t: &mut Tx, [q, s, kinds]: [u32; 3], [m, n, r]: [u32; 3]) -> Option<()> {
    let e = lane(t, q, s, 3)?;
    let p = Place::new(t, s, m, n);
    let memory = load_all(t, &p, q, kinds);
    for (k, v) in (0..).zip(deinterleaved(t.b, e, &memory)) {
        set(t, q, e, r + k, v);
    }
    p.write_back(t, kinds << (3 + q));
    Some(())
}
/// ST2 to ST4 of whole registers.
fn store_structures(t: &mut Tx, [q, s, kinds]: [u32; 3], [m, n, r]: [u32; 3]) -> Option<()> {
    let e = lane(t, q, s, 3)?;
    let p = Place::new(t, s, m, n);
    let all: Vec<_> = (0..kinds).map(|k| t.b.get(state::v(r + k, ty(q)))).collect();
    let memory = interleaved(t.b, e, &all);
    store_all(t, &p, q, &memory);
    p.write_back(t, kinds << (3 + q));
    Some(())
}

/// One structure to lane `i` of each register.
fn load_lane(t: &mut Tx, [s, i, kinds]: [u32; 3], [m, n, r]: [u32; 3]) {
    let (p, e) = (Place::new(t, s, m, n), Lane::int(s));
    let all: Vec<_> = (0..kinds).map(|k| p.load(t, e.scalar(), s as u8, k << s)).collect();
    for (k, v) in (0..).zip(all) {
        t.b.set(lane_slot(r + k, e, i), v);
    }
    p.write_back(t, kinds << s);
}
/// One structure from lane `i` of each register.
fn store_lane(t: &mut Tx, [s, i, kinds]: [u32; 3], [m, n, r]: [u32; 3]) {
    let (p, e) = (Place::new(t, s, m, n), Lane::int(s));
    for k in 0..kinds {
        let v = t.b.get(lane_slot(r + k, e, i));
        p.store(t, v, s as u8, k << s);
    }
    p.write_back(t, kinds << s);
}
/// One structure to all lanes of each register.
fn replicated(t: &mut Tx, [q, s, kinds]: [u32; 3], [m, n, r]: [u32; 3]) {
    let (p, e) = (Place::new(t, s, m, n), Lane::int(s));
    let all: Vec<_> = (0..kinds).map(|k| p.load(t, e.scalar(), s as u8, k << s)).collect();
    for (k, v) in (0..).zip(all) {
        let v = t.b.vdup(ty(q), e, v);
        if q == 1 {
            t.b.set(state::v(r + k, Ty::V128), v);
        } else {
            fp::set(t, r + k, v);
        }
    }
    p.write_back(t, kinds << s);
}

macro_rules! structures {
    ($( $kinds:literal $load:ident $store:ident; )*) => { $(
        #[doc = concat!("LD", $kinds, " (multiple structures).")]
        fn $load(t: &mut Tx, q: u32, s: u32, m: u32, n: u32, r: u32) -> Option<()> {
            load_structures(t, [q, s, $kinds], [m, n, r])
        }
        #[doc = concat!("ST", $kinds, " (multiple structures).")]
        fn $store(t: &mut Tx, q: u32, s: u32, m: u32, n: u32, r: u32) -> Option<()> {
            store_structures(t, [q, s, $kinds], [m, n, r])
        }
    )* };
}
structures! {
    2 ld2 st2;
    3 ld3 st3;
    4 ld4 st4;
}

macro_rules! lanes {
    ($( $kinds:literal $load:ident $store:ident $all:ident; )*) => { $(
        #[doc = concat!("LD", $kinds, " (single structure).")]
        fn $load(t: &mut Tx, s: u32, i: u32, m: u32, n: u32, r: u32) {
            load_lane(t, [s, i, $kinds], [m, n, r]);
        }
        #[doc = concat!("ST", $kinds, " (single structure).")]
        fn $store(t: &mut Tx, s: u32, i: u32, m: u32, n: u32, r: u32) {
            store_lane(t, [s, i, $kinds], [m, n, r]);
        }
        #[doc = concat!("LD", $kinds, "R.")]
        fn $all(t: &mut Tx, q: u32, s: u32, m: u32, n: u32, r: u32) {
            replicated(t, [q, s, $kinds], [m, n, r]);
        }
    )* };
}
lanes! {
    1 ld1_lane st1_lane ld1r;
    2 ld2_lane st2_lane ld2r;
    3 ld3_lane st3_lane ld3r;
    4 ld4_lane st4_lane ld4r;
}

//! Elements that a mask selects: what faults, what does not, and what is left then.

use super::run;
use super::simd::avx;
use super::user::{self, CODE, DATA, User};
use crate::fault::vector;

const DI: usize = 7;
const LOAD: [u8; 5] = [0xc4, 0xe2, 0x75, 0x8c, 0x07]; // VPMASKMOVD YMM0, YMM1, [RDI]
const STORE: [u8; 5] = [0xc4, 0xe2, 0x75, 0x8e, 0x07]; // VPMASKMOVD [RDI], YMM1, YMM0
const GATHER: [u8; 6] = [0xc4, 0xe2, 0x6d, 0x90, 0x04, 0x8f]; // VPGATHERDD YMM0, [RDI + YMM1 * 4], YMM2
const MASKMOVDQU: [u8; 4] = [0x66, 0x0f, 0xf7, 0xc1]; // MASKMOVDQU XMM0, XMM1

/// At an address, with some of the eight lanes selected by YMM1.
fn selecting(at: u64, lanes: &'static [usize]) -> impl Fn(&mut User) {
    move |user| {
        avx(user);
        user.cpu.regs[DI] = at;
        user.cpu.ymm[1] = lanes_of(|n| if lanes.contains(&n) { 1 << 31 } else { 0x7fff_ffff });
    }
}
/// A vector of eight lanes.
fn lanes_of(f: impl Fn(usize) -> u32) -> [u64; 4] {
    std::array::from_fn(|k| u64::from(f(2 * k)) | u64::from(f(2 * k + 1)) << 32)
}
fn untouched() -> Vec<u8> {
    run(&[], avx).memory()
}

#[test]
fn loads_of_what_is_not_selected_do_not_fault() {
    // The last two lanes that there are, one before them, and none where there is nothing.
    let (some, none) = (
        run(&LOAD, selecting(user::END - 8, &[0])),
        run(&LOAD, selecting(user::NOWHERE, &[])),
    );
    let all = run(&LOAD, selecting(DATA, &[0, 3, 4, 7]));
    let outside = run(&LOAD, selecting(user::END - 8, &[1, 2, 7]));

    assert_eq!((some.fault().0, some.cpu.ymm[0]), (vector::UD, [0; 4]));
    assert_eq!((none.fault().0, none.cpu.ymm[0]), (vector::UD, [0; 4]));
    let word = |n: u64| 0x1111_1111 * n;
    assert_eq!(all.cpu.ymm[0], [word(1), word(2) << 32, word(3), word(4) << 32]);
    assert_eq!(outside.fault(), (user::PAGE_FAULT, user::END, false));
    assert_eq!((outside.cpu.ymm[0], outside.cpu.pc), ([!0; 4], CODE));
}

#[test]
fn stores_store_what_is_selected_or_nothing() {
    let some = run(&STORE, selecting(DATA, &[1, 6]));
    let none = run(&STORE, selecting(user::NOWHERE, &[]));
    let outside = run(&STORE, selecting(user::END - 8, &[0, 1, 3]));
    let crosses = run(&STORE, selecting(DATA + 0x1000 - 6, &[0, 1, 2]));

    let changed: Vec<_> = (0..0x2000).filter(|&k| some.memory()[k] != untouched()[k]).collect();
    assert_eq!(changed, [4, 5, 6, 7, 24, 25, 26, 27]);
    assert_eq!(none.fault().0, vector::UD);
    assert_eq!(outside.fault(), (user::PAGE_FAULT, user::END + 4, true));
    assert_eq!(outside.memory(), untouched());
    assert_eq!(crosses.get(DATA + 0x1000 - 6), !0);
    assert_eq!(crosses.get(DATA + 0x1000 + 2), 0xffff_ffff);
}

#[test]
fn bytes_that_are_not_selected_are_not_there() {
    let at = |at: u64| {
        run(&MASKMOVDQU, move |user| {
            avx(user);
            user.cpu.regs[DI] = at;
            user.cpu.ymm[1] = [0x8000_0080, 0x7f7f_7f7f_7f7f_7f7f, !0, !0];
        })
    };

    let (some, fault) = (at(user::END - 4), at(user::END - 3));

    assert_eq!(
        (some.fault().0, some.get(user::END - 8)),
        (vector::UD, 0xff00_00ff << 32)
    );
    assert_eq!(fault.fault(), (user::PAGE_FAULT, user::END, true));
    assert_eq!(fault.memory(), untouched());
}

/// SDM 2, VPGATHERDD: elements are gathered in order, and a fault leaves those that were. What is not selected is done, too.
#[test]
fn a_gather_goes_on_where_it_faulted() {
    let before = |user: &mut User| {
        selecting(user::END - 8, &[])(user);
        user.put(user::END - 8, 0x2222_2222_1111_1111);
        user.cpu.ymm[1] = lanes_of(|n| [1, 0, 99, 2, 0, 0, 0, 0][n]);
        user.cpu.ymm[2] = lanes_of(|n| if n == 2 { 0x7fff_ffff } else { u32::MAX });
    };
    let fault = run(&GATHER, before);

    assert_eq!(
        (fault.fault(), fault.cpu.pc),
        ((user::PAGE_FAULT, user::END, false), CODE)
    );
    assert_eq!(
        fault.cpu.ymm[0],
        lanes_of(|n| [0x2222_2222, 0x1111_1111].get(n).copied().unwrap_or(!0))
    );
    assert_eq!(fault.cpu.ymm[2], lanes_of(|n| if n < 3 { 0 } else { u32::MAX }));

    let again = run(&GATHER, |user| {
        before(user);
        (user.cpu.ymm[0], user.cpu.ymm[2]) = (fault.cpu.ymm[0], fault.cpu.ymm[2]);
        user.cpu.ymm[1] = lanes_of(|n| [0, 0, 99, 1, 0, 0, 0, 0][n]);
    });
    let want = [
        0x2222_2222,
        0x1111_1111,
        !0,
        0x2222_2222,
        0x1111_1111,
        0x1111_1111,
        0x1111_1111,
        0x1111_1111,
    ];
    assert_eq!((again.fault().0, again.cpu.ymm[0]), (vector::UD, lanes_of(|n| want[n])));
    assert_eq!(again.cpu.ymm[2], [0; 4]);
}

#[test]
fn a_gather_into_its_own_mask_or_index_is_undefined() {
    // YMM0 is the mask; YMM0 is the index; YMM1 is the mask and the index.
    for (vvvv, sib) in [(0x7d, 0x8f), (0x6d, 0x87), (0x75, 0x8f)] {
        let user = run(&[0xc4, 0xe2, vvvv, 0x90, 0x04, sib], selecting(DATA, &[]));

        assert_eq!(
            (user.fault().0, user.cpu.pc),
            (vector::UD, CODE),
            "{vvvv:02x} {sib:02x}"
        );
    }
}

#[test]
fn lanes_of_a_gather_that_are_for_nothing_become_zero() {
    // VPGATHERQD XMM0, [RDI + XMM1], XMM2: two elements.
    let user = run(&[0xc4, 0xe2, 0x69, 0x91, 0x04, 0x0f], |user| {
        selecting(DATA, &[])(user);
        user.cpu.ymm[1] = [8, 16, !0, !0];
    });

    assert_eq!(user.cpu.ymm[0], [0x3333_3333_2222_2222, 0, 0, 0]);
    assert_eq!(user.cpu.ymm[2], [0; 4]);
}

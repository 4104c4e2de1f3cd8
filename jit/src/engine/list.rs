//! A list that grows at its end while other threads read it.

use std::sync::OnceLock;

/// Elements in a piece of the list.
const PIECE: usize = 512;

type Piece<T> = Box<[OnceLock<T>]>;

/// Elements are put in once and stay where they are for as long as the list is there. Who puts them in gives them numbers,
/// from 0 on; whoever is told a number afterwards finds the element.
pub struct List<T> {
    pieces: Box<[OnceLock<Piece<T>>]>,
}

impl<T> List<T> {
    /// Room for so many, which takes memory as they come.
    pub fn new(most: usize) -> List<T> {
        List {
            pieces: (0..most.div_ceil(PIECE)).map(|_| OnceLock::new()).collect(),
        }
    }
    /// How many there is room for.
    pub fn room(&self) -> usize {
        self.pieces.len() * PIECE
    }
    /// The element with that number.
    #[inline]
    pub fn get(&self, number: usize) -> Option<&T> {
        self.pieces.get(number / PIECE)?.get()?.get(number % PIECE)?.get()
    }
    /// Put in the element with that number, which is not there yet and for which there is room.
    pub fn put(&self, number: usize, element: T) {
        let fresh = || (0..PIECE).map(|_| OnceLock::new()).collect();
        let piece = self.pieces.get(number / PIECE).map(|piece| piece.get_or_init(fresh));
        let place = piece.and_then(|piece| piece.get(number % PIECE));
        let done = place.is_some_and(|place| place.set(element).is_ok());
        assert!(done, "element {number} of {}", self.room());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn elements_are_found_by_whoever_was_told_their_number() {
        const COUNT: usize = if cfg!(miri) { 700 } else { 20_000 };
        let (list, told) = (List::new(COUNT), AtomicUsize::new(0));

        std::thread::scope(|s| {
            s.spawn(|| {
                for n in 0..COUNT {
                    list.put(n, n.to_string());
                    told.store(n + 1, Ordering::Release);
                }
            });
            while told.load(Ordering::Acquire) < COUNT {
                let known = told.load(Ordering::Acquire);
                if let Some(last) = known.checked_sub(1) {
                    assert_eq!(list.get(last), Some(&last.to_string()));
                }
            }
        });

        assert!((0..COUNT).all(|n| list.get(n) == Some(&n.to_string())));
        assert_eq!([COUNT, list.room(), usize::MAX].map(|n| list.get(n)), [None; 3]);
    }

    #[test]
    fn elements_stay_where_they_are() {
        let list = List::new(3 * PIECE);
        list.put(0, 7);
        let first = std::ptr::from_ref(list.get(0).unwrap());

        (1..3 * PIECE).for_each(|n| list.put(n, n));

        assert!(std::ptr::eq(first, list.get(0).unwrap()));
    }

    #[test]
    fn an_element_is_put_in_once_and_where_there_is_room() {
        let list = List::new(1);
        list.put(0, ());
        for n in [0, PIECE, usize::MAX] {
            let put = std::panic::AssertUnwindSafe(|| list.put(n, ()));
            assert!(std::panic::catch_unwind(put).is_err(), "{n}");
        }
    }
}

//! Which entries of a data table may be for a physical page.

/// In place of an entry's place: none.
const NONE: u16 = u16::MAX;

/// For each of many sets of physical pages, a list of the places in a table whose entry was for one of them when it was
/// made. Entries go without being told of: what is found here is looked at. So nothing is to be done here where an address
/// space is forgotten, and a list is as long as there are places in it, at most.
pub(super) struct Stores {
    /// By set, the list's first place.
    first: Box<[u16]>,
    /// By place.
    links: Box<[Link]>,
}

/// A place's neighbours in the list that it is in.
#[derive(Clone, Copy)]
struct Link {
    before: u16,
    after: u16,
    /// The list; `NONE` if it is in none.
    set: u16,
}

impl Stores {
    /// For a table of `places`, a power of two that a `u16` has room for.
    pub(super) fn new(places: usize) -> Stores {
        assert!(
            places.is_power_of_two() && places <= usize::from(NONE),
            "{places} places"
        );
        let link = Link {
            before: NONE,
            after: NONE,
            set: NONE,
        };
        Stores {
            first: vec![NONE; places].into(),
            links: vec![link; places].into(),
        }
    }
    fn set(&self, page: u64) -> u16 {
        let hash = page.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        (hash as usize % self.first.len()) as u16
    }
    /// From now on the entry at `place` is for a physical page of this number.
    pub(super) fn note(&mut self, place: usize, page: u64) {
        let set = self.set(page);
        let old = self.links[place];
        if old.set == set {
            return;
        }
        if old.set != NONE {
            match old.before {
                NONE => self.first[usize::from(old.set)] = old.after,
                before => self.links[usize::from(before)].after = old.after,
            }
            if old.after != NONE {
                self.links[usize::from(old.after)].before = old.before;
            }
        }
        let after = std::mem::replace(&mut self.first[usize::from(set)], place as u16);
        if after != NONE {
            self.links[usize::from(after)].before = place as u16;
        }
        self.links[place] = Link {
            before: NONE,
            after,
            set,
        };
    }
    /// The places that may have an entry for a physical page of this number.
    pub(super) fn places(&self, page: u64) -> impl Iterator<Item = usize> {
        let of = |place: u16| (place != NONE).then_some(usize::from(place));
        std::iter::successors(of(self.first[usize::from(self.set(page))]), move |&place| {
            of(self.links[place].after)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_by_the_last_page_that_it_was_noted_for() {
        const PLACES: usize = 64;
        let mut stores = Stores::new(PLACES);
        let mut pages = [None; PLACES];
        let mut seed = 1u64;

        for _ in 0..10_000 {
            seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let (place, page) = ((seed >> 33) as usize % PLACES, seed >> 40 & 0xff);
            stores.note(place, page);
            pages[place] = Some(page);

            let asked = seed >> 50 & 0xff;
            let mut found: Vec<usize> = stores.places(asked).collect();
            found.sort_unstable();
            let of = |page: Option<u64>| page.is_some_and(|page| stores.set(page) == stores.set(asked));
            let right: Vec<usize> = (0..PLACES).filter(|&p| of(pages[p])).collect();
            assert_eq!(found, right);
        }
    }
    #[test]
    fn a_page_that_no_entry_is_for_is_asked_for_at_little_cost() {
        const PLACES: usize = 4096;
        let mut stores = Stores::new(PLACES);
        (0..PLACES).for_each(|place| stores.note(place, place as u64));

        let others = PLACES as u64..1 << 17;
        let looked_at: usize = others.clone().map(|page| stores.places(page).count()).sum();

        assert!(looked_at < 2 * others.count(), "{looked_at}");
    }
}

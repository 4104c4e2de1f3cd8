//! A board's memory as x86 programs are told of it (ACPI 6.5, 15: INT 15h E820h), and what of it is still free.

use crate::fdt::Region;

/// What an address range is; the numbers are E820h's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// RAM that the operating system may use.
    Ram = 1,
    /// Not for use.
    Reserved = 2,
}

/// A range of physical addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Where.
    pub region: Region,
    /// What.
    pub kind: Kind,
}

/// The memory map: ranges in ascending order that do not overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    ranges: Vec<Range>,
}

impl Map {
    /// A board with this RAM and these reserved ranges, in any order. Where they overlap, it is reserved; ranges of a kind
    /// that touch are one.
    pub fn new(ram: &[Region], reserved: &[Region]) -> Map {
        let reserved = joined(reserved);
        let mut free = joined(ram);
        for &hole in &reserved {
            free = free.into_iter().flat_map(|region| without(region, hole)).collect();
        }
        let ranges = free.into_iter().map(|region| (region, Kind::Ram));
        let ranges = ranges.chain(reserved.into_iter().map(|region| (region, Kind::Reserved)));
        let mut ranges: Vec<Range> = ranges.map(|(region, kind)| Range { region, kind }).collect();
        ranges.sort_by_key(|range| range.region.base);
        Map { ranges }
    }

    /// The ranges, ascending.
    pub fn ranges(&self) -> &[Range] {
        &self.ranges
    }

    /// RAM that may be used, ascending.
    pub fn ram(&self) -> impl Iterator<Item = Region> + '_ {
        let ram = self.ranges.iter().filter(|range| range.kind == Kind::Ram);
        ram.map(|range| range.region)
    }

    /// RAM from address `from` on without a gap, in bytes, below 4 GiB.
    pub fn ram_from(&self, from: u64) -> u64 {
        let holds = |region: &Region| region.base <= from && from < region.end();
        let found = self.ram().find(holds);
        found.map_or(0, |region| region.end().min(1 << 32).saturating_sub(from))
    }
}

/// The same addresses in ascending order, each once.
fn joined(regions: &[Region]) -> Vec<Region> {
    let mut regions: Vec<Region> = regions.iter().copied().filter(|r| r.size != 0).collect();
    regions.sort_by_key(|region| region.base);
    let mut all: Vec<Region> = Vec::new();
    for region in regions {
        match all.last_mut() {
            Some(last) if region.base <= last.end() => last.size = last.end().max(region.end()) - last.base,
            _ => all.push(Region::new(region.base, region.end() - region.base)),
        }
    }
    all
}

/// What of `region` is outside of `hole`.
fn without(region: Region, hole: Region) -> impl Iterator<Item = Region> {
    let between = |start: u64, end: u64| (start < end).then(|| Region::new(start, end - start));
    let before = between(region.base, region.end().min(hole.base));
    let behind = between(region.base.max(hole.end()), region.end());
    before.into_iter().chain(behind)
}

/// RAM that nothing has been placed in yet.
#[derive(Clone, Debug)]
pub struct Free {
    regions: Vec<Region>,
}

impl Free {
    /// All of a map's RAM but the first page, whose addresses programs take for none.
    pub fn of(map: &Map) -> Free {
        let mut free = Free {
            regions: map.ram().collect(),
        };
        free.cut(Region::new(0, PAGE));
        free
    }

    /// Takes `region`. `None`: not all of it is free.
    pub fn take(&mut self, region: Region) -> Option<Region> {
        let end = region.base.checked_add(region.size)?;
        let is_free = self.regions.iter().any(|r| r.base <= region.base && end <= r.end());
        is_free.then(|| self.cut(region))
    }

    /// Takes `size` bytes at the lowest multiple of `align` in `within` from which on they are free.
    pub fn lowest(&mut self, size: u64, align: u64, within: Region) -> Option<Region> {
        let place = |region: &Region| {
            let start = region.base.max(within.base).checked_next_multiple_of(align.max(1))?;
            let end = start.checked_add(size)?;
            (end <= region.end().min(within.end())).then(|| Region::new(start, size))
        };
        let found = self.regions.iter().find_map(place)?;
        Some(self.cut(found))
    }

    /// Takes `size` bytes at the highest multiple of `align` in `within` from which on they are free.
    pub fn highest(&mut self, size: u64, align: u64, within: Region) -> Option<Region> {
        let align = align.max(1);
        let place = |region: &Region| {
            let start = region.end().min(within.end()).checked_sub(size)? / align * align;
            (start >= region.base.max(within.base)).then(|| Region::new(start, size))
        };
        let found = self.regions.iter().rev().find_map(place)?;
        Some(self.cut(found))
    }

    /// Length in bytes of the largest free part of `within`.
    pub fn largest(&self, within: Region) -> u64 {
        let part = |r: &Region| r.end().min(within.end()).saturating_sub(r.base.max(within.base));
        self.regions.iter().map(part).max().unwrap_or(0)
    }

    fn cut(&mut self, taken: Region) -> Region {
        let left = self.regions.iter().flat_map(|&region| without(region, taken));
        self.regions = left.collect();
        taken
    }
}

/// A page in bytes.
pub const PAGE: u64 = 0x1000;

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(base: u64, end: u64) -> Region {
        Region::new(base, end - base)
    }

    fn kinds(map: &Map) -> Vec<(u64, u64, u32)> {
        let of = |range: &Range| (range.region.base, range.region.end(), range.kind as u32);
        map.ranges().iter().map(of).collect()
    }

    #[test]
    fn reserved_ranges_are_cut_out_of_ram() {
        let ram = [at(1 << 32, 2 << 32), at(0, 0x1000_0000)];
        let reserved = [
            at(0xa_0000, 0x10_0000),
            at(0x9_fc00, 0xa_0000),
            at(0xfec0_0000, 0xfec0_1000),
        ];

        let map = Map::new(&ram, &reserved);

        let expected = [
            (0, 0x9_fc00, 1),
            (0x9_fc00, 0x10_0000, 2),
            (0x10_0000, 0x1000_0000, 1),
            (0xfec0_0000, 0xfec0_1000, 2),
            (1 << 32, 2 << 32, 1),
        ];
        assert_eq!(kinds(&map), expected);
        assert_eq!(map.ram_from(0x10_0000), 0xff0_0000);
        assert_eq!([map.ram_from(0xa_0000), map.ram_from(1 << 32)], [0, 0]);
    }

    #[test]
    fn ranges_at_the_end_of_the_address_space_and_empty_ones() {
        let ram = [
            Region::new(u64::MAX - 1, 9),
            Region::new(5, 0),
            at(0x1000, 0x3000),
            at(0x2000, 0x4000),
        ];

        let map = Map::new(&ram, &[Region::new(0, u64::MAX)]);
        let all = Map::new(&ram, &[]);

        assert_eq!(kinds(&map), [(0, u64::MAX, 2)]);
        assert_eq!(kinds(&all), [(0x1000, 0x4000, 1), (u64::MAX - 1, u64::MAX, 1)]);
    }

    #[test]
    fn what_is_taken_is_free_no_more() {
        let mut free = Free::of(&Map::new(&[at(0, 0x10_0000)], &[at(0x8_0000, 0x9_0000)]));

        assert_eq!(free.lowest(0x1000, 0x1000, at(0, u64::MAX)), Some(at(0x1000, 0x2000)));
        assert_eq!(
            free.highest(0x1800, 0x1000, at(0, 0x9_0800)),
            Some(at(0x7_e000, 0x7_f800))
        );
        assert_eq!(free.take(at(0x7_f000, 0x8_0000)), None);
        assert_eq!(free.take(at(0x9_0000, 0x9_1000)), Some(at(0x9_0000, 0x9_1000)));
        assert_eq!(free.take(at(0x9_0000, 0x9_1000)), None);
        assert_eq!(free.largest(at(0, u64::MAX)), 0x7_e000 - 0x2000);
        assert_eq!(free.largest(at(0x9_1000, 0x9_8000)), 0x7000);
        assert_eq!(free.lowest(0x8_0000, 1, at(0, u64::MAX)), None);
        assert_eq!(free.highest(u64::MAX, u64::MAX, at(0, u64::MAX)), None);
    }
}

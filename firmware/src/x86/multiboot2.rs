//! Multiboot2, version 2.0 of its specification: a header of tags, and what the kernel is told, in tags too.

use super::elf::Program;
use super::layout::{Error, FOUR_GIB, Layout, Part};
use super::memory::{Map, Range};
use super::multiboot::{self, Addresses, LOADER, Multiboot};
use super::{Placement, Start};
use crate::fdt::Region;
use crate::kernel::{self, Segment, damaged, word};

const NAME: &str = "multiboot 2 kernel";
const WITH_ARTICLE: &str = "a multiboot 2 kernel";

/// A kernel with the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Multiboot2 {
    kernel: Multiboot,
    /// How it may be moved, if it may.
    relocation: Option<Relocation>,
}

/// How a kernel may be moved (3.1.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Relocation {
    /// Where it may be: the first address, and the last.
    first: u64,
    last: u64,
    align: u64,
    preference: Preference,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Preference {
    None,
    Lowest,
    Highest,
}

/// What the header's tags ask for.
#[derive(Default)]
struct Asked {
    addresses: Option<Addresses>,
    entry: Option<u64>,
    relocation: Option<Relocation>,
}

/// A tag of the header.
struct Tag<'a> {
    kind: u16,
    /// It may be left undone.
    is_optional: bool,
    /// What follows its first eight bytes.
    words: &'a [u8],
}

impl Tag<'_> {
    fn word(&self, n: usize) -> Result<u32, kernel::Error> {
        let short = || damaged(NAME, format!("its tag of type {} is too short", self.kind));
        word(self.words, 4 * n).ok_or_else(short)
    }
}

/// The header's tags (3.1.3), up to the one that ends them.
fn tags(bytes: &[u8], at: usize) -> Result<Vec<Tag<'_>>, kernel::Error> {
    let size = at as u64 + u64::from(word(bytes, at + 8).unwrap_or(0));
    let header = bytes.get(..size as usize).ok_or(kernel::Error::Truncated {
        format: NAME,
        size,
        have: bytes.len() as u64,
    })?;
    let mut rest = header.get(at + 16..).unwrap_or_default();
    let mut all = Vec::new();
    loop {
        let [first, size] = [word(rest, 0), word(rest, 4)];
        let (first, size) = first
            .zip(size)
            .ok_or_else(|| damaged(NAME, "its header's tags do not end"))?;
        let kind = first as u16;
        if kind == 0 {
            return Ok(all);
        }
        let words = rest.get(8..size as usize);
        let words = words.ok_or_else(|| damaged(NAME, format!("its tag of type {kind} has {size} bytes")))?;
        all.push(Tag {
            kind,
            is_optional: first >> 16 & 1 != 0,
            words,
        });
        rest = rest.get((size as usize).next_multiple_of(8)..).unwrap_or_default();
    }
}

impl Multiboot2 {
    /// Reads a file with a header at `at`.
    ///
    /// # Errors
    ///
    /// When it is damaged, or asks for what a board without firmware has not.
    pub fn parse(bytes: &[u8], at: usize) -> Result<Multiboot2, kernel::Error> {
        const I386: u32 = 0;
        let architecture = word(bytes, at + 4).unwrap_or(I386);
        if architecture != I386 {
            let what = format!("architecture {architecture}; {I386} is x86 in 32 bits");
            return Err(multiboot::refused(WITH_ARTICLE, &what));
        }
        let mut asked = Asked::default();
        for tag in tags(bytes, at)? {
            asked.take(&tag, at)?;
        }
        let (segments, own) = match asked.addresses {
            Some(addresses) => (vec![addresses.segment(bytes, NAME)?], None),
            None => {
                let program = Program::parse(bytes)?;
                (program.segments, program.entry)
            }
        };
        Ok(Multiboot2 {
            kernel: multiboot::entered(segments, asked.entry.or(own), NAME)?,
            relocation: asked.relocation,
        })
    }
}

impl Asked {
    /// Does what a tag says (3.1.4 to 3.1.12).
    fn take(&mut self, tag: &Tag<'_>, at: usize) -> Result<(), kernel::Error> {
        let refused = |what: &str| match tag.is_optional {
            true => Ok(()),
            false => Err(multiboot::refused(WITH_ARTICLE, what)),
        };
        match tag.kind {
            1 => match unknown_request(tag.words) {
                Some(kind) => refused(&format!("information of type {kind}, which is not known here")),
                None => Ok(()),
            },
            2 => self.addresses(tag, at),
            3 => {
                self.entry = Some(tag.word(0)?.into());
                Ok(())
            }
            4 if tag.word(0)? & 1 == 0 => Ok(()),
            4 => refused("a console, and there is no display"),
            5 => refused("a framebuffer, and there is no display"),
            // Modules are at pages whether asked or not; EFI's services and entries are for where there is EFI.
            6..=9 => Ok(()),
            10 => self.relocation(tag),
            kind => refused(&format!("what its tag of type {kind} means, which is not known here")),
        }
    }

    fn addresses(&mut self, tag: &Tag<'_>, at: usize) -> Result<(), kernel::Error> {
        /// From the file's first byte on.
        const WHOLE: u32 = u32::MAX;
        let header = tag.word(0)?;
        let load = match tag.word(1)? {
            WHOLE => header.wrapping_sub(at as u32),
            load => load,
        };
        self.addresses = Some(Addresses {
            header: (at, header),
            load,
            load_end: tag.word(2)?,
            bss_end: tag.word(3)?,
        });
        Ok(())
    }

    fn relocation(&mut self, tag: &Tag<'_>) -> Result<(), kernel::Error> {
        let align = u64::from(tag.word(2)?);
        if align != 0 && !align.is_power_of_two() {
            return Err(damaged(NAME, format!("it is to lie at a multiple of {align:#x}")));
        }
        self.relocation = Some(Relocation {
            first: tag.word(0)?.into(),
            last: tag.word(1)?.into(),
            align: align.max(1),
            preference: match tag.word(3)? {
                1 => Preference::Lowest,
                2 => Preference::Highest,
                _ => Preference::None,
            },
        });
        Ok(())
    }
}

/// The first type of information in a request that is not known. What is known and not to be had on the board is left out
/// (3.1.4): boot device, VBE, framebuffer, APM, EFI, SMBIOS and network.
fn unknown_request(words: &[u8]) -> Option<u32> {
    /// The sections' headers: the sections that are not loaded would have to be.
    const ELF_SECTIONS: u32 = 9;
    const LAST: u32 = 21;
    let kinds = words.chunks_exact(4).filter_map(|kind| word(kind, 0));
    kinds.into_iter().find(|&kind| kind == ELF_SECTIONS || kind > LAST)
}

/// Places a kernel with its modules.
///
/// # Errors
///
/// When something does not fit.
pub fn place<'a>(kernel: &'a Multiboot2, start: &Start<'_, 'a>) -> Result<Placement<'a>, Error> {
    /// In EAX.
    const MARK: u32 = 0x36d7_6289;
    let mut layout = Layout::new(start.map);
    let Multiboot { segments, entry } = &kernel.kernel;
    let whole = span(segments);
    let base = match kernel.relocation {
        Some(relocation) => relocation.place(whole, &mut layout)?,
        None => {
            layout.segments(segments)?;
            whole.base
        }
    };
    let moved = |address: u64| address - whole.base + base;
    if kernel.relocation.is_some() {
        for segment in segments {
            layout.put(Region::new(moved(segment.address), segment.size), &segment.bytes);
        }
    }
    let modules = multiboot::modules(start, base + whole.size, &mut layout)?;
    let told = told(start, &modules, kernel.relocation.map(|_| base));
    let information = layout.put_low(Part::Tables, told)?;
    let entry = multiboot::enter(&mut layout, moved(*entry), MARK, information)?;
    Ok(Placement {
        placed: layout.placed,
        modules,
        entry,
    })
}

/// From the first segment's start to the last one's end.
fn span(segments: &[Segment]) -> Region {
    let first = segments.iter().map(|segment| segment.address).min().unwrap_or(0);
    let end = segments.iter().map(|segment| segment.address + segment.size).max();
    Region::new(first, end.unwrap_or(first) - first)
}

impl Relocation {
    /// Finds a place for what is linked for `own`. Returns its address.
    fn place(self, own: Region, layout: &mut Layout<'_>) -> Result<u64, Error> {
        let within = Region::new(self.first, (self.last + 1).min(FOUR_GIB).saturating_sub(self.first));
        let may_stay = own.base.is_multiple_of(self.align) && own.base >= within.base && own.end() <= within.end();
        let place = match self.preference {
            Preference::Lowest => None,
            Preference::Highest => return Ok(layout.highest(Part::Kernel, own.size, self.align, within)?.base),
            Preference::None => Some(own).filter(|_| may_stay).and_then(|own| layout.try_fixed(own)),
        };
        match place {
            Some(place) => Ok(place.base),
            None => Ok(layout.lowest(Part::Kernel, own.size, self.align, within)?.base),
        }
    }
}

/// The boot information (3.6). Its tags have everything in them: no address but its own is needed.
fn told(start: &Start<'_, '_>, modules: &[Region], base: Option<u64>) -> Vec<u8> {
    let text = |text: &str| text.bytes().chain([0]).collect::<Vec<u8>>();
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let mut tags = vec![(1, text(start.command_line)), (2, text(LOADER))];
    for (module, place) in start.modules.iter().zip(modules) {
        let place = words(&[place.base as u32, place.end() as u32]);
        tags.push((3, [place, text(module.command_line)].concat()));
    }
    tags.extend([(4, words(&multiboot::kib(start.map))), (6, map(start.map))]);
    if let Some((_, rsdp)) = &start.rsdp {
        // The first version's part has a checksum of its own.
        let first = rsdp.iter().copied().take(20).collect();
        tags.extend([(14, first), (15, rsdp.to_vec())]);
    }
    tags.extend(base.map(|base| (21, words(&[base as u32]))));
    tags.push((0, Vec::new()));
    let mut all = vec![0; 8];
    for (kind, contents) in tags {
        all.extend(words(&[kind, 8 + contents.len() as u32]));
        all.extend(contents);
        all.resize(all.len().next_multiple_of(8), 0);
    }
    let size = (all.len() as u32).to_le_bytes();
    all.iter_mut().zip(size).for_each(|(to, from)| *to = from);
    all
}

/// The memory map's tag: length and version of an entry, then the entries.
fn map(map: &Map) -> Vec<u8> {
    let entry = |range: &Range| {
        let place = [range.region.base, range.region.size].map(u64::to_le_bytes).concat();
        [place, [range.kind as u32, 0].map(u32::to_le_bytes).concat()].concat()
    };
    let entries = map.ranges().iter().flat_map(entry);
    [24_u32, 0]
        .map(u32::to_le_bytes)
        .into_iter()
        .flatten()
        .chain(entries)
        .collect()
}

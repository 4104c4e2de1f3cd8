//! Kernels and boards for tests, and what is where.

use super::board::{Board, IoApic, Line, Override, Ports, Power, VirtioMmio};
use super::{Map, Module, Placement, Start};
use crate::fdt::Region;

pub fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

pub fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// What is at an address, as far as the piece there goes.
pub fn bytes<'p>(placement: &'p Placement<'_>, address: u64) -> &'p [u8] {
    let inside = |piece: &crate::boot::Piece<'p>| (piece.address..piece.address + piece.size.max(1)).contains(&address);
    let piece = placement.pieces().find(inside).expect("nothing is there");
    &piece.bytes[(address - piece.address) as usize..]
}

/// The text at an address.
pub fn text<'p>(placement: &'p Placement<'_>, address: u32) -> &'p str {
    let bytes = bytes(placement, address.into());
    let end = bytes.iter().position(|&byte| byte == 0).expect("no end");
    std::str::from_utf8(&bytes[..end]).unwrap()
}

/// 64 MiB with a hole below 1 MiB.
pub fn map() -> Map {
    Map::new(&[Region::new(0, 64 << 20)], &[Region::new(0xa_0000, 0x6_0000)])
}

pub fn start<'a>(map: &'a Map, modules: &'a [Module<'a>]) -> Start<'a, 'a> {
    Start {
        map,
        command_line: "quiet",
        modules,
        rsdp: Some((0xe_0000, [9; 36])),
        seed: None,
        device_tree: None,
    }
}

/// Two modules.
pub const MODULES: [Module<'static>; 2] = [
    Module {
        bytes: &[7; 0x1234],
        command_line: "first",
    },
    Module {
        bytes: b"second",
        command_line: "",
    },
];

/// An ELF file with a note of PVH's, entered at `pvh`, and two segments of which the second has 0x100 bytes more in memory: the
/// first has `head` at its start and lies at 2 MiB.
pub fn elf(machine: u16, pvh: Option<u32>, head: &[u8]) -> Vec<u8> {
    const AT: u64 = 0x200;
    let is_wide = machine == 62;
    let note = pvh.map_or_else(Vec::new, |entry| {
        let other = words(&[4, 2, 6, u32::from_le_bytes(*b"Xen\0"), 0]);
        let own = words(&[4, 4, 18, u32::from_le_bytes(*b"Xen\0"), entry]);
        [other, own].concat()
    });
    let size = (head.len() as u64).max(0x40);
    let note_at = AT + size + 0x10;
    let segments = [
        (1_u32, AT, 0x20_0000_u64, size, size),
        (1, AT + size, 0x40_0000, 0x10, 0x110),
        (4, note_at, 0, note.len() as u64, note.len() as u64),
    ];
    let mut bytes = b"\x7fELF".to_vec();
    bytes.extend([1 + u8::from(is_wide), 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend([2_u16, machine, 1, 0].map(u16::to_le_bytes).concat());
    let (header, entry_size) = if is_wide { (64_u64, 56_u16) } else { (52, 32) };
    let address = |value: u64| value.to_le_bytes()[..if is_wide { 8 } else { 4 }].to_vec();
    for value in [0x20_0010, header, 0] {
        bytes.extend(address(value));
    }
    bytes.extend(0_u32.to_le_bytes());
    bytes.extend([header as u16, entry_size, 3, 0, 0, 0].map(u16::to_le_bytes).concat());
    for (kind, offset, place, file, memory) in segments {
        bytes.extend(kind.to_le_bytes());
        if is_wide {
            bytes.extend(7_u32.to_le_bytes());
        }
        for value in [offset, place, place, file, memory] {
            bytes.extend(address(value));
        }
        if !is_wide {
            bytes.extend(7_u32.to_le_bytes());
        }
        bytes.extend(address(4));
    }
    bytes.resize(AT as usize, 0);
    bytes.extend(head);
    bytes.resize(note_at as usize, 0xcc);
    bytes.extend(note);
    bytes
}

/// A header of multiboot's with its checksum.
pub fn multiboot(flags: u32, fields: &[u32]) -> Vec<u8> {
    const MAGIC: u32 = 0x1bad_b002;
    let head = [MAGIC, flags, 0_u32.wrapping_sub(MAGIC + flags)];
    words(&[&head, fields].concat())
}

/// A header of multiboot 2's with these tags: type, flags, and words.
pub fn multiboot2(tags: &[(u16, u16, &[u32])]) -> Vec<u8> {
    const MAGIC: u32 = 0xe852_50d6;
    let mut all = Vec::new();
    for (kind, flags, contents) in tags.iter().chain(&[(0, 0, &[][..])]) {
        all.extend([*kind, *flags].map(u16::to_le_bytes).concat());
        all.extend(words(&[8 + 4 * contents.len() as u32]));
        all.extend(words(contents));
        all.resize(all.len().next_multiple_of(8), 0);
    }
    let length = 16 + all.len() as u32;
    let sum = 0_u32.wrapping_sub(MAGIC).wrapping_sub(length);
    [words(&[MAGIC, 0, length, sum]), all].concat()
}

/// Most of what a board may have.
pub fn board() -> Board {
    let slot = |n: u32| VirtioMmio {
        region: Region::new(0xfeb0_0000 + 0x200 * u64::from(n), 0x200),
        line: Line::edge(24 + n),
    };
    let io_apic = |id: u8, address: u32, first: u32| IoApic {
        id,
        address,
        first,
        inputs: 24,
    };
    Board {
        cpus: vec![0, 1, 300],
        local_apic: 0xfee0_0000,
        io_apics: vec![io_apic(2, 0xfec0_0000, 0), io_apic(3, 0xfec1_0000, 24)],
        overrides: vec![Override {
            irq: 0,
            line: Line::edge(2),
        }],
        has_pic: true,
        virtio: vec![slot(0), slot(1)],
        serial: vec![Ports {
            first: 0x3f8,
            count: 8,
            line: Some(Line::edge(4)),
        }],
        rtc: Some(Ports {
            first: 0x70,
            count: 8,
            line: Some(Line::edge(8)),
        }),
        fw_cfg: Some(Ports {
            first: 0x510,
            count: 12,
            line: None,
        }),
        power: Some(Power {
            events: 0xfea0_0000,
            button: 2,
            line: Line::edge(9),
            control: 0xfea0_0200,
            status: 0xfea0_0201,
            off: 5,
            reset: (0xfea0_0202, 0x42),
        }),
    }
}

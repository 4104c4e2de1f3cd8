use super::bits::{cr0, efer, eflags};
use super::*;
use bytemuck::Zeroable;

fn flat(attributes: u16) -> Segment {
    Segment {
        limit: u32::MAX,
        attributes: attributes | Attributes::P | Attributes::S | Attributes::DB | Attributes::G,
        ..Segment::default()
    }
}

/// A CPU in protected mode with flat segments.
fn protected() -> Cpu {
    let mut cpu = Cpu::zeroed();
    cpu.sys.cr0 = cr0::PE;
    cpu.segments = [flat(Attributes::WRITABLE); 6];
    *cpu.segment_mut(number::CS) = flat(Attributes::CODE | Attributes::READABLE);
    cpu.settle();
    cpu
}

#[test]
fn flags_are_kept_as_the_host_has_them_and_come_back_as_they_were() {
    for eflags in [
        0,
        eflags::CF,
        eflags::OF | eflags::SF,
        eflags::STATUS,
        eflags::DF | eflags::ZF | eflags::ID,
    ] {
        let mut cpu = protected();

        cpu.set_eflags(eflags);

        assert_eq!(cpu.eflags(), eflags | eflags::FIXED);
        assert_eq!(cpu.eflags & eflags::STATUS, 0);
    }
}

#[test]
fn mxcsr_comes_back_as_it_was() {
    let mut cpu = protected();
    for value in [0x1f80, 0xffff, 0, 0x7fc0, 0x3f] {
        cpu.set_mxcsr(value);

        assert_eq!(cpu.mxcsr(), value);
    }
}

#[test]
fn flat_segments_are_said_to_be() {
    let mut cpu = protected();
    assert_eq!(cpu.mode & mode::FLAT, mode::FLAT);

    for (n, change) in [
        (
            number::DS,
            Segment {
                base: 16,
                ..flat(Attributes::WRITABLE)
            },
        ),
        (
            number::ES,
            Segment {
                limit: 0xffff_fffe,
                ..flat(Attributes::WRITABLE)
            },
        ),
        (number::SS, flat(0)),
        (
            number::CS,
            Segment {
                base: 1 << 12,
                ..flat(Attributes::CODE)
            },
        ),
        (number::GS, Segment::default()),
    ] {
        cpu = protected();
        *cpu.segment_mut(n) = change;

        cpu.settle();

        assert_eq!(
            cpu.mode & mode::FLAT,
            mode::FLAT & !(1 << (mode::FLAT_SHIFT + u32::from(n))),
            "{n}"
        );
    }
}

#[test]
fn in_64_bit_mode_only_fs_and_gs_have_bases_and_nothing_has_limits() {
    let mut cpu = protected();
    cpu.sys.efer = efer::LMA;
    cpu.segments = [Segment {
        base: 0x1230,
        ..Segment::default()
    }; 6];
    *cpu.segment_mut(number::CS) = Segment {
        attributes: Attributes::L,
        ..flat(Attributes::CODE)
    };

    cpu.settle();

    assert_eq!(
        cpu.mode & (mode::CODE64 | mode::CODE32 | mode::LONG),
        mode::CODE64 | mode::LONG
    );
    assert_eq!(cpu.mode >> mode::FLAT_SHIFT & 0x3f, 0b00_1111);
    assert_eq!(cpu.bounds, [Bounds::ALL; 6]);
}

/// SDM 3, 5.3 "Limit Checking".
#[test]
fn bounds_are_below_the_limit_or_above_it() {
    const DOWN: u16 = Attributes::WRITABLE | Attributes::EXPAND_DOWN;
    let none = [1, 0];
    for (attributes, limit, read, write) in [
        (Attributes::WRITABLE, 0xfff, [0, 0xfff], [0, 0xfff]),
        (0, 0xfff, [0, 0xfff], none),
        (DOWN, 0xfff, [0x1000, 0xffff], [0x1000, 0xffff]),
        (DOWN | Attributes::DB, 0xfff, [0x1000, u32::MAX], [0x1000, u32::MAX]),
        (DOWN, 0xffff, none, none),
        (DOWN | Attributes::DB, u32::MAX, none, none),
        (Attributes::CODE, 0xfff, none, none),
        (Attributes::CODE | Attributes::READABLE, 0xfff, [0, 0xfff], none),
    ] {
        let segment = Segment {
            limit,
            attributes: attributes | Attributes::P | Attributes::S,
            ..Segment::default()
        };

        assert_eq!(segment.bounds(), Bounds { read, write }, "{attributes:#x} {limit:#x}");
        assert_eq!(
            Segment { attributes, ..segment }.bounds(),
            Bounds {
                read: none,
                write: none
            }
        );
    }
}

#[test]
fn a_descriptor_is_read_from_its_pieces() {
    let of = Descriptor(0x12cf_9a34_5678_9abc).segment(8);

    assert_eq!(
        (of.base, of.limit, of.attributes),
        (0x1234_5678, 0xf_9abc << 12 | 0xfff, 0xc9a)
    );
    assert_eq!(Descriptor(0x004f_9300_0000_ffff).limit(), 0xf_ffff);
}

#[test]
fn the_instruction_pointer_is_an_offset_in_its_segment() {
    let mut cpu = Cpu::zeroed();
    *cpu.segment_mut(number::CS) = Segment {
        base: 0xffff_0000,
        ..Segment::real(0xf000)
    };
    cpu.settle();

    cpu.set_rip(0xfff0);

    assert_eq!((cpu.pc, cpu.rip()), (0xffff_fff0, 0xfff0));
}

//! The MP table (Intel MultiProcessor Specification 1.4), which tells of CPUs and I/O APICs where ACPI does not.

use super::board::{Board, Line, TooLarge, fitting};
use crate::fdt::Region;

const VERSION: u8 = 4;
/// The local APICs' version, of a 486 at least (table 4-4).
const APIC_VERSION: u8 = 0x14;
/// The ID of the only bus.
const ISA: u8 = 0;
/// Interrupts of ISA.
const ISA_LINES: u8 = 16;
/// All local APICs.
const ALL: u8 = 0xff;
/// Kinds of interrupts: vectored, NMI, from the 8259s.
const INT: u8 = 0;
const NMI: u8 = 1;
const EXT_INT: u8 = 3;

/// Makes a board's table, which will be at the start of `at`, where programs look for it: in 0xf0000 to 0xfffff or the last
/// KiB of conventional memory, at a multiple of 16 (4).
///
/// # Errors
///
/// When it takes more than `at`.
pub fn table(board: &Board, at: Region) -> Result<Vec<u8>, TooLarge> {
    const POINTER: usize = 16;
    let table = configuration(board);
    let mut pointer = b"_MP_".to_vec();
    pointer.extend((at.base as u32 + POINTER as u32).to_le_bytes());
    // Length in paragraphs, version, checksum, features: none of the default configurations, virtual wire mode.
    pointer.extend([1, VERSION, 0, 0, 0, 0, 0, 0]);
    fitting([summed(pointer, 10), summed(table, 7)].concat(), at)
}

/// Bytes with a checksum in them, which make 0 when added up.
fn summed(mut bytes: Vec<u8>, at: usize) -> Vec<u8> {
    let sum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    bytes
        .iter_mut()
        .skip(at)
        .take(1)
        .for_each(|byte| *byte = sum.wrapping_neg());
    bytes
}

/// The configuration table (4.2 and 4.3).
fn configuration(board: &Board) -> Vec<u8> {
    const HEADER: usize = 44;
    let entries = entries(board);
    let length = HEADER + entries.iter().map(Vec::len).sum::<usize>();
    let mut table = b"PCMP".to_vec();
    table.extend((length as u16).to_le_bytes());
    table.extend([VERSION, 0]);
    table.extend(b"EMU     EMU         ");
    // No table of the maker's: address and length.
    table.extend([0; 6]);
    table.extend((entries.len() as u16).to_le_bytes());
    table.extend(board.local_apic.to_le_bytes());
    // No extended table.
    table.extend([0; 4]);
    table.extend(entries.concat());
    table
}

fn entries(board: &Board) -> Vec<Vec<u8>> {
    const CPU: u8 = 0;
    const BUS: u8 = 1;
    const IO_APIC: u8 = 2;
    const LOCAL_INTERRUPT: u8 = 4;
    const ENABLED: u8 = 1;
    const FIRST: u8 = 2;
    let mut all = Vec::new();
    // IDs that do not fit into a byte are none for this table.
    for (n, &id) in board.cpus.iter().filter(|&&id| id < ALL.into()).enumerate() {
        let flags = ENABLED | if n == 0 { FIRST } else { 0 };
        let cpu = [CPU, id as u8, APIC_VERSION, flags];
        // Signature and features, for programs without CPUID: none.
        all.push([&cpu[..], &[0; 16]].concat());
    }
    all.push([&[BUS, ISA], &b"ISA   "[..]].concat());
    for it in &board.io_apics {
        let head = [IO_APIC, it.id, APIC_VERSION, ENABLED];
        all.push([&head[..], &it.address.to_le_bytes()].concat());
    }
    all.extend(interrupts(board));
    for (kind, input) in [(EXT_INT, 0), (NMI, 1)]
        .into_iter()
        .filter(|it| board.has_pic || it.0 != EXT_INT)
    {
        all.push(vec![LOCAL_INTERRUPT, kind, 0, 0, ISA, 0, ALL, input]);
    }
    all
}

/// Where ISA's interrupts go, and what else is at the I/O APICs' inputs: by their numbers, as Linux takes them.
fn interrupts(board: &Board) -> Vec<Vec<u8>> {
    const IO_INTERRUPT: u8 = 3;
    let entry = |source: u8, line: Line, flags: u16| {
        let holds = |first: u32, inputs: u32| line.gsi.checked_sub(first).filter(|at| *at < inputs);
        let place = board
            .io_apics
            .iter()
            .find_map(|it| Some((it.id, holds(it.first, it.inputs)? as u8)));
        let (id, input) = place?;
        let [low, high] = flags.to_le_bytes();
        Some(vec![IO_INTERRUPT, INT, low, high, ISA, source, id, input])
    };
    let own = |gsi: u32| board.lines().find(|line| line.gsi == gsi);
    let isa = (0..ISA_LINES).filter_map(|irq| {
        let line = board.isa(irq);
        let is_special = board.overrides.iter().any(|it| it.irq == irq);
        let is_taken = board
            .overrides
            .iter()
            .any(|it| it.irq != irq && it.line.gsi == line.gsi);
        let flags = match (is_special, own(line.gsi)) {
            (true, _) => line.flags(),
            (false, Some(own)) => own.flags(),
            (false, None) => 0,
        };
        entry(irq, line, flags).filter(|_| is_special || !is_taken)
    });
    let others = (u32::from(ISA_LINES)..=u8::MAX.into()).filter_map(|gsi| {
        let line = own(gsi)?;
        entry(gsi as u8, line, line.flags())
    });
    isa.chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x86::testing::{board, word};

    const AT: Region = Region::new(0xf_0000, 0x400);

    fn sum(bytes: &[u8]) -> u8 {
        bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
    }

    #[test]
    fn the_pointer_leads_to_the_table() {
        let bytes = table(&board(), AT).unwrap();

        let (pointer, table) = bytes.split_at(16);
        assert_eq!(
            (&pointer[..4], word(pointer, 4), sum(pointer)),
            (&b"_MP_"[..], 0xf_0010, 0)
        );
        let length = usize::from(u16::from_le_bytes([table[4], table[5]]));
        assert_eq!((&table[..4], length, sum(table)), (&b"PCMP"[..], table.len(), 0));
        assert_eq!(word(table, 36), 0xfee0_0000);
    }

    #[test]
    fn the_entries_are_as_many_as_it_says() {
        let table = configuration(&board());

        let entries = entries(&board());
        assert_eq!(usize::from(table[34]), entries.len());
        let text: Vec<String> = entries.iter().map(|entry| format!("{entry:02x?}")).collect();
        insta::assert_snapshot!(text.join("\n"));
    }

    #[test]
    fn lines_have_the_flags_of_their_devices() {
        let mut board = board();
        board.serial[0].line = Some(Line::level(4));

        let entries = entries(&board);

        let flags = |source: u8| {
            entries
                .iter()
                .find(|entry| entry[0] == 3 && entry[5] == source)
                .map(|it| it[2])
        };
        assert_eq!([4, 5, 25].map(flags), [Some(0xd), Some(0), Some(5)]);
    }

    #[test]
    fn a_table_that_has_no_room() {
        assert_eq!(table(&board(), Region::new(0, 16)).unwrap_err().room, 16);
    }
}

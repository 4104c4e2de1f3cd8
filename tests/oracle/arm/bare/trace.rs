//! What an instruction accesses, whatever its alignment and the memory's type: its IR, interpreted on flat memory.

use super::super::super::Row;
use super::super::machine::arm;
use super::super::record::{CODE, DATA, initial_code};
use super::super::words::Fields;
use emu_frontend_arm::Arm;
use emu_frontend_arm::state::Cpu;
use emu_ir::testing::Alone;
use emu_ir::{Access, BlockKey, Builder, Bus, Fault, Fetch, Guest, Mem, RamPage};
use emu_jit::interp::{self, Memory, Now, Prepared, Scratch};

/// A load or a store.
#[derive(Clone, Copy, Debug)]
pub struct Accessed {
    pub addr: u32,
    pub bytes: u32,
    pub access: Access,
}

/// Memory that notes what is accessed; stores change nothing.
struct Notes<'a> {
    data: &'a [u8],
    code: Vec<u8>,
    seen: Vec<Accessed>,
}

impl Notes<'_> {
    fn note(&mut self, addr: u64, mem: Mem, access: Access) {
        let (addr, bytes) = (addr as u32, mem.bytes());
        self.seen.push(Accessed { addr, bytes, access });
    }
}

/// The bytes at an address in one of the areas.
fn held<const N: usize>(areas: [(u32, &[u8]); N], addr: u64, bytes: u32) -> Option<u128> {
    areas.into_iter().find_map(|(at, area)| {
        let start = usize::try_from(addr.checked_sub(at.into())?).ok()?;
        let held = area.get(start..start + bytes as usize)?;
        Some(held.iter().rev().fold(0, |all, &b| all << 8 | u128::from(b)))
    })
}

impl Memory<Arm> for Notes<'_> {
    fn load(&mut self, _: Now<Arm>, addr: u64, mem: Mem) -> Result<u128, Fault> {
        self.note(addr, mem, Access::Read);
        let areas = [(DATA, self.data), (CODE, &self.code[..])];
        let access = Access::Read;
        held(areas, addr, mem.bytes()).ok_or(Fault::Bus { addr, access })
    }
    fn store(&mut self, _: Now<Arm>, addr: u64, mem: Mem, _: u128) -> Result<(), Fault> {
        self.note(addr, mem, Access::Write);
        Ok(())
    }
    fn cas(&mut self, _: Now<Arm>, addr: u64, mem: Mem, _: u128, _: u128) -> Result<u128, Fault> {
        self.note(addr, mem, Access::Write);
        Ok(0)
    }
    fn update(&mut self, _: Now<Arm>, addr: u64, mem: Mem, _: &dyn Fn(u128) -> u128) -> Result<u128, Fault> {
        self.note(addr, mem, Access::Write);
        Ok(0)
    }
}

impl Bus for Notes<'_> {
    fn load(&mut self, _: u64, _: u8) -> Option<u64> {
        None
    }
    fn store(&mut self, _: u64, _: u8, _: u64) -> Option<()> {
        None
    }
    fn ram(&mut self, _: u64) -> Option<RamPage<'_>> {
        None
    }
}

impl Alone for Notes<'_> {}

struct Bytes<'a>(&'a [u8], u32);

impl Fetch for Bytes<'_> {
    fn u16(&mut self, offset: u32) -> Result<u16, Fault> {
        let at = (offset - self.1) as usize;
        Ok(u16::from_le_bytes([self.0[at], self.0[at + 1]]))
    }
}

/// The accesses of the instruction at the state's pc, in order; none where it is Undefined.
pub fn accesses(cpu: &Cpu, code: &[u8], data: &[u8]) -> Vec<Accessed> {
    let (mut guest, mut cpu, mut b) = (arm(), *cpu, Builder::new());
    let (phys, offset) = (cpu.r[15].into(), cpu.r[15] & 0xfff);
    let key = BlockKey {
        phys,
        mode: cpu.mode.into(),
        marked: false,
    };
    let mut fetch = Bytes(code, offset);
    guest
        .translate(key, offset, 1, &mut fetch, &mut b)
        .expect("code is there");
    let mut notes = Notes {
        data,
        code: initial_code(),
        seen: Vec::new(),
    };
    let (block, page) = (Prepared::new(b.block), phys & !0xfff);
    // Where it goes on, or that it faults, does not matter here.
    let _ = interp::run(&mut guest, &mut cpu, &mut notes, &block, page, &mut Scratch::default());
    notes.seen
}

/// As after the load-exclusive before a store-exclusive, whatever its alignment.
pub fn arm_monitor(cpu: &mut Cpu, row: &Row, word: u32, data: &[u8]) {
    let fields = Fields::of(row);
    let bytes = match row.name.trim_end_matches("_pair") {
        "strexb" => 1,
        "strexh" => 2,
        "strexd" => 8,
        _ => 4,
    };
    let base = cpu.r[fields.value('n', word).unwrap_or(0) as usize];
    let addr = base.wrapping_add(fields.value('i', word).unwrap_or(0) << 2);
    let held = held([(DATA, data)], addr.into(), bytes).unwrap_or(0);
    (cpu.excl_armed, cpu.excl_addr, cpu.excl_value) = (1, addr, held as u64);
}

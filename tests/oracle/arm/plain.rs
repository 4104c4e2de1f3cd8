//! The passes change nothing: runs of instructions as they were translated, and after the passes, on flat memory.

use super::super::{Random, Row, vectors};
use super::record::{CODE_WORDS, DATA, DATA_SIZE, Record, T, initial_data};
use super::{Arm as Instructions, machine, runs};
use emu_frontend_arm::Arm;
use emu_frontend_arm::state::{Cpu, mode};
use emu_ir::testing::Alone;
use emu_ir::{Access, Block, BlockKey, Builder, Bus, Fault, Fetch, Guest, Mem, RamPage};
use emu_jit::interp::{self, Memory, Now, Prepared, Scratch, Stopped};
use emu_jit::opt::{self, CallEffect};

/// The data area, addressed directly.
struct Flat(Vec<u8>);

impl Flat {
    fn bytes(&mut self, addr: u64, mem: Mem, access: Access) -> Result<&mut [u8], Fault> {
        if addr & ((1 << mem.align) - 1) != 0 {
            return Err(Fault::Alignment { addr, access });
        }
        let start = addr.wrapping_sub(DATA.into()) as usize;
        let end = start.wrapping_add(mem.bytes() as usize);
        self.0.get_mut(start..end).ok_or(Fault::Bus { addr, access })
    }
}

/// Bytes reversed within elements.
fn swapped(bytes: &[u8], mem: Mem) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes.chunks_mut(1 << mem.pieces.swap()).for_each(<[u8]>::reverse);
    bytes
}

impl Memory<Arm> for Flat {
    fn load(&mut self, _: Now<Arm>, addr: u64, mem: Mem) -> Result<u128, Fault> {
        let bytes = swapped(self.bytes(addr, mem, Access::Read)?, mem);
        Ok(bytes.iter().rev().fold(0, |all, &b| all << 8 | u128::from(b)))
    }
    fn store(&mut self, _: Now<Arm>, addr: u64, mem: Mem, value: u128) -> Result<(), Fault> {
        let bytes = swapped(&value.to_le_bytes()[..mem.bytes() as usize], mem);
        self.bytes(addr, mem, Access::Write)?.copy_from_slice(&bytes);
        Ok(())
    }
    fn cas(&mut self, _: Now<Arm>, _: u64, _: Mem, _: u128, _: u128) -> Result<u128, Fault> {
        unreachable!("runs have no exclusive accesses")
    }
    fn update(&mut self, at: Now<Arm>, addr: u64, mem: Mem, f: &dyn Fn(u128) -> u128) -> Result<u128, Fault> {
        let old = Memory::load(self, at, addr, mem)?;
        Memory::store(self, at, addr, mem, f(old))?;
        Ok(old)
    }
}

impl Bus for Flat {
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

impl Alone for Flat {}

struct Code<'a>(&'a [u32; CODE_WORDS]);

impl Fetch for Code<'_> {
    fn u16(&mut self, offset: u32) -> Result<u16, Fault> {
        let halves: &[u16] = bytemuck::cast_slice(self.0);
        Ok(halves[offset as usize / 2 % halves.len()])
    }
}

/// The block at the start of a record's code.
fn block(guest: &Arm, cpu: &Cpu, r: &Record) -> Block {
    let (key, mut b) = (
        BlockKey {
            phys: 0,
            mode: cpu.mode.into(),
            marked: false,
        },
        Builder::new(),
    );
    guest
        .translate(key, 0, 8, &mut Code(&r.code), &mut b)
        .expect("code is there");
    emu_ir::verify::verify(&b.block).unwrap_or_else(|e| panic!("{e}: {:?}", b.block.insts));
    b.block
}

/// Where a block goes from a state, and the state and memory after it.
fn run(guest: &mut Arm, cpu: &Cpu, block: Block) -> (Result<(), Stopped>, Cpu, Vec<u8>) {
    let (mut cpu, mut memory) = (*cpu, Flat(initial_data()));
    assert_eq!(memory.0.len(), DATA_SIZE);
    let done = interp::run(
        guest,
        &mut cpu,
        &mut memory,
        &Prepared::new(block),
        0,
        &mut Scratch::default(),
    );
    (done.map(|_| ()), cpu, memory.0)
}

#[test]
fn passes_change_nothing() {
    let (mut guest, mut scratch, start) = (machine::arm(), opt::Scratch::default(), machine::user());
    for name in runs::NAMES {
        let row = Row {
            file: runs::FILE.into(),
            name: name.into(),
            pattern: "plain".into(),
        };
        for number in 0..1500 {
            let code = runs::code(&row, &mut Random::of(name, number.into()));
            let r = vectors::before::<Instructions>(&row, number, code);
            let cpu = machine::state_of(&start, &r);
            assert_eq!(cpu.mode & mode::T != 0, r.cpsr & T != 0);
            let plain = block(&guest, &cpu, &r);
            let mut better = plain.clone();
            opt::run(&mut better, Arm::LAYOUT, CallEffect::of::<Arm>, &mut scratch);

            let [want, got] = [plain, better].map(|block| run(&mut guest, &cpu, block));

            assert_eq!((&want.0, &want.1), (&got.0, &got.1), "{name} {:08x?}", r.code);
            assert!(want.2 == got.2, "{name} {:08x?}", r.code);
        }
    }
}

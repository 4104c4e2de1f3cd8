//! Instructions on a state: the record that oracles exchange, and its run by translation and interpreter.

use bytemuck::{Pod, Zeroable};
use emu_frontend_arm::MODELS;
use emu_frontend_arm::guest::{Arm, Conduit, FirmwareResult, Platform, Timer, TimerOutput};
use emu_frontend_arm::state::{Cpu, mode, psr};
use emu_ir::{Access, Block, BlockKey, Builder, Bus, Env, Fault, Fetch, Flush, Guest, Mem, RamPage, Stop};
use emu_jit::interp::{self, Memory, Now, Prepared, Scratch, Stopped};

/// Where the instruction's memory and code are.
pub const MEMORY: u32 = 0x1000_0000;
pub const CODE: u32 = 0x2000_0000;

/// Bits of [`Record::set`].
pub const THUMB: u32 = 1;
pub const BIG_ENDIAN_DATA: u32 = 2;

/// As in arm_step.c.
#[derive(Clone, Copy, Pod, Zeroable, PartialEq)]
#[repr(C)]
pub struct Record {
    pub word: u32,
    pub fpscr: u32,
    pub r: [u32; 14],
    pub apsr: u32,
    pub set: u32,
    pub signal: u32,
    pub entry: u32,
    pub d: [u64; 32],
    pub memory: [[u8; 16]; 256],
}

struct NoMachine;

impl Platform for NoMachine {
    fn now_ns(&self) -> u64 {
        0
    }
    fn timer(&mut self, _: Timer, _: TimerOutput) {}
    fn pending(&self) -> u32 {
        0
    }
    fn firmware_call(&mut self, _: Conduit, _: [u32; 4]) -> FirmwareResult {
        FirmwareResult::Undefined
    }
    fn cpu_index(&self) -> u32 {
        0
    }
    fn cpu_count(&self) -> u32 {
        1
    }
}

/// The one page of memory.
pub struct Page(pub [u8; 4096]);

impl Page {
    fn at(&self, addr: u64, mem: Mem, access: Access) -> Result<usize, Fault> {
        if addr & ((1 << mem.align) - 1) != 0 {
            return Err(Fault::Alignment { addr, access });
        }
        let start = addr.wrapping_sub(MEMORY.into());
        let fits = start < 4096 && start + u64::from(mem.bytes()) <= 4096;
        if fits {
            Ok(start as usize)
        } else {
            Err(Fault::Bus { addr, access })
        }
    }
}

/// Bytes reversed within elements.
fn swapped(mut bytes: Vec<u8>, mem: Mem) -> Vec<u8> {
    bytes.chunks_mut(1 << mem.swap).for_each(<[u8]>::reverse);
    bytes
}

impl Memory<Arm> for Page {
    fn load(&mut self, _: Now<Arm>, addr: u64, mem: Mem) -> Result<u128, Fault> {
        let at = self.at(addr, mem, Access::Read)?;
        let bytes = swapped(self.0[at..at + mem.bytes() as usize].to_vec(), mem);
        Ok(bytes.iter().rev().fold(0, |all, &b| all << 8 | u128::from(b)))
    }
    fn store(&mut self, _: Now<Arm>, addr: u64, mem: Mem, value: u128) -> Result<(), Fault> {
        let at = self.at(addr, mem, Access::Write)?;
        let bytes = swapped(value.to_le_bytes()[..mem.bytes() as usize].to_vec(), mem);
        self.0[at..at + bytes.len()].copy_from_slice(&bytes);
        Ok(())
    }
    fn cas(&mut self, _: Now<Arm>, _: u64, _: Mem, _: u128, _: u128) -> Result<u128, Fault> {
        unreachable!("no exclusives here")
    }
    fn swap(&mut self, _: Now<Arm>, _: u64, _: Mem, _: u128) -> Result<u128, Fault> {
        unreachable!("no exclusives here")
    }
}

impl Bus for Page {
    fn load(&mut self, _: u64, _: u8) -> Option<u64> {
        None
    }
    fn store(&mut self, _: u64, _: u8, _: u64) -> Option<()> {
        None
    }
    fn ram(&mut self, _: u64) -> Option<RamPage> {
        None
    }
}

impl Env for Page {
    fn bus(&mut self) -> &mut dyn Bus {
        self
    }
    fn flush(&mut self, _: Flush, _: bool) {}
    fn context_changed(&mut self) {}
    fn stop(&mut self, _: Stop) {}
}

struct Code(Vec<u32>);

impl Fetch for Code {
    fn u16(&mut self, offset: u32) -> Result<u16, Fault> {
        let word = self.0.get(offset as usize / 4).copied().unwrap_or(0);
        Ok((word >> (8 * (offset & 2))) as u16)
    }
}

/// The block of some instructions, as the translator has it.
pub fn block(guest: &Arm, mode: u32, words: Vec<u32>) -> Block {
    let (key, mut b, limit) = (BlockKey { phys: 0, mode }, Builder::new(), words.len() as u32);
    let words = if mode & mode::T != 0 {
        words.iter().map(|w| w.rotate_left(16)).collect()
    } else {
        words
    };
    guest
        .translate(key, 0, limit, &mut Code(words), &mut b)
        .expect("code is there");
    emu_ir::verify::verify(&b.block).unwrap_or_else(|e| panic!("{e}: {:?}", b.block.insts));
    b.block
}

/// Run a block.
pub fn run(guest: &mut Arm, cpu: &mut Cpu, page: &mut Page, block: Block) -> Result<(), Stopped> {
    let code = Prepared::new(block);
    interp::run(guest, cpu, page, &code, CODE.into(), &mut Scratch::default()).map(|_| ())
}

/// A CPU of the default model.
pub fn arm() -> Arm {
    Arm {
        model: &MODELS[0],
        platform: Box::new(NoMachine),
    }
}

/// The record after its instruction, by translation and interpreter.
pub fn interpreted(r: &Record) -> Record {
    let (mut guest, mut cpu) = (arm(), state_of(r));
    let mut page = Page(bytemuck::cast(r.memory));
    let block = block(&guest, cpu.mode, vec![r.word]);
    if let Err(stopped) = run(&mut guest, &mut cpu, &mut page, block) {
        let signal = match stopped.fault {
            Fault::Guest { .. } => 4,
            Fault::Bus { .. } => 11,
            Fault::Alignment { .. } => 7,
        };
        return Record { signal, ..*r };
    }
    let mut after = *r;
    after.r[..13].copy_from_slice(&cpu.r[..13]);
    after.r[13] = cpu.r[14];
    after.apsr = cpu.cpsr() & APSR;
    after.fpscr = cpu.fpscr();
    after.d = cpu.d;
    after.memory = bytemuck::cast(page.0);
    after
}

/// N, Z, C, V, Q, GE.
pub const APSR: u32 = 0xf80f_0000;

pub fn state_of(r: &Record) -> Cpu {
    let mut cpu = Cpu::zeroed();
    cpu.psr = psr::USR;
    cpu.cp15.cpacr = 15 << 20;
    cpu.fpexc = 1 << 30;
    cpu.r[..13].copy_from_slice(&r.r[..13]);
    cpu.r[14] = r.r[13];
    cpu.n = (r.apsr >> 31) as u8;
    cpu.z = (r.apsr >> 30 & 1) as u8;
    cpu.c = (r.apsr >> 29 & 1) as u8;
    cpu.v = (r.apsr >> 28 & 1) as u8;
    cpu.q = (r.apsr >> 27 & 1) as u8;
    cpu.ge = (r.apsr >> 16 & 15) as u8;
    cpu.d = r.d;
    cpu.set_fpscr(r.fpscr);
    cpu.update_mode();
    cpu.mode |= if r.set & THUMB != 0 { mode::T } else { 0 };
    cpu.mode |= if r.set & BIG_ENDIAN_DATA != 0 { mode::E } else { 0 };
    cpu
}

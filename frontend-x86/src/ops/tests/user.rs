//! A program's view of a CPU: pages of code and data at their own addresses, nothing else.

use crate::fault::vector;
use crate::guest::LAYOUT;
use crate::machine_for_tests::x86;
use crate::model::Model;
use crate::platform::X86;
use crate::state::bits::{cr0, cr4, efer};
use crate::state::{Attributes, Cpu, Segment, number, of};
use crate::{calls, translate};
use bytemuck::Zeroable;
use emu_devices::bus;
use emu_ir::*;
use emu_jit::engine::{Accel, Exit, Vcpu};
use std::sync::Arc;

/// Where code is; a page of it.
pub const CODE: u64 = 0x1_0000;
/// Where data is; two pages of it.
pub const DATA: u64 = 0x2_0000;
/// Where data ends, and nothing follows.
pub const END: u64 = DATA + 0x2000;
/// Where nothing is.
pub const NOWHERE: u64 = 0x5_0000;
pub const PAGE_FAULT: u8 = 14;

/// Set where an exception was raised: nothing is translated any more.
const ENDED: u64 = 1 << 63;
const UD2: [u8; 2] = [0x0f, 0x0b];

/// A state and memory, before a program or after it.
pub struct User {
    pub cpu: Cpu,
    pub model: Model,
    ram: Arc<[bus::Ram; 2]>,
    fault: Option<Fault>,
}

/// The same, run by both accelerators, to the first exception: the program's end is UD2.
pub fn both(make: impl Fn() -> User) -> [User; 2] {
    [Accel::Interp, Accel::Jit].map(|accel| {
        let mut user = make();
        user.cpu.settle_x87_mode();
        let bus = Box::new(Memory(user.ram.clone()));
        let program = Program {
            x86: x86(user.model),
            fault: None,
        };
        let mut vcpu = Vcpu::new(program, user.cpu, bus, accel, true).unwrap();
        assert_eq!(vcpu.run(), Exit::Wait);
        user.cpu = *vcpu.state();
        user.cpu.mode &= !ENDED;
        user.fault = vcpu.guest().fault;
        user
    })
}

impl User {
    /// In 64-bit code.
    pub fn new(code: &[u8]) -> User {
        let ram = [0x1000, 0x2000].map(|bytes| bus::Ram::new(bytes).unwrap());
        ram[0].copy_in(0, &[code, &UD2].concat()).unwrap();
        let mut cpu = Cpu::zeroed();
        cpu.pc = CODE;
        (cpu.sys.cr0, cpu.sys.cr4) = (cr0::PE | cr0::PG, cr4::OSFXSR);
        let user = |attributes: u16| Segment {
            limit: u32::MAX,
            attributes: attributes | Attributes::P | Attributes::S | Attributes::DPL,
            ..Segment::default()
        };
        cpu.segments = [user(Attributes::WRITABLE | Attributes::DB); 6];
        *cpu.segment_mut(number::CS) = user(Attributes::CODE | Attributes::READABLE | Attributes::L);
        cpu.sys.efer = efer::LMA | efer::LME;
        cpu.settle_at(3);
        User {
            cpu,
            model: Model::ALL,
            ram: Arc::new(ram),
            fault: None,
        }
    }
    /// In 32-bit code instead.
    pub fn be_32_bit(&mut self) {
        let cs = self.cpu.segment_mut(number::CS);
        cs.attributes = cs.attributes & !Attributes::L | Attributes::DB;
        self.cpu.settle();
    }
    pub fn put(&mut self, at: u64, value: u64) {
        self.ram[1].copy_in(at - DATA, &value.to_le_bytes()).unwrap();
    }
    pub fn get(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        self.ram[1].copy_out(at - DATA, &mut bytes).unwrap();
        u64::from_le_bytes(bytes)
    }
    pub fn memory(&self) -> Vec<u8> {
        let mut bytes = vec![0; 0x2000];
        self.ram[1].copy_out(0, &mut bytes).unwrap();
        bytes
    }
    /// Whether it is of a misaligned operand, and #GP for that.
    pub fn misaligned(&self) -> bool {
        let misaligned = matches!(self.fault, Some(Fault::Alignment { .. }));
        assert!(!misaligned || self.cpu.of & of::ALIGNED != 0);
        misaligned
    }
    /// The vector of it.
    pub fn vector(&self) -> u8 {
        match self.fault.unwrap() {
            Fault::Alignment { .. } => vector::AC,
            _ => self.fault().0,
        }
    }
    /// Whether there was one.
    pub fn has_faulted(&self) -> bool {
        self.fault.is_some()
    }
    /// The exception: its vector, address, and whether it was of a write.
    pub fn fault(&self) -> (u8, u64, bool) {
        match self.fault.unwrap() {
            Fault::Guest { class, addr, info } => (class as u8, addr, info != 0),
            other => panic!("{other:?}"),
        }
    }
}

struct Memory(Arc<[bus::Ram; 2]>);

impl Memory {
    fn find(&self, phys: u64) -> Option<(&bus::Ram, u64)> {
        let [code, data] = &*self.0;
        let all = [(CODE, code), (DATA, data)].into_iter();
        let mut found = all.filter_map(|(at, ram)| Some((ram, phys.checked_sub(at).filter(|&o| o < ram.len())?)));
        found.next()
    }
}

impl Bus for Memory {
    fn load(&mut self, phys: u64, size: u8) -> Option<u64> {
        let (ram, at) = self.find(phys)?;
        let mut bytes = [0; 8];
        ram.copy_out(at, &mut bytes[..size.into()])?;
        Some(u64::from_le_bytes(bytes))
    }
    fn store(&mut self, phys: u64, size: u8, value: u64) -> Option<()> {
        let (ram, at) = self.find(phys)?;
        ram.copy_in(at, &value.to_le_bytes()[..size.into()])
    }
    fn ram(&mut self, page: u64) -> Option<RamPage<'_>> {
        let (ram, at) = self.find(page)?;
        Some(RamPage::plain(ram.mapping(), at, page))
    }
}

struct Program {
    x86: X86,
    fault: Option<Fault>,
}

impl AsMut<X86> for Program {
    fn as_mut(&mut self) -> &mut X86 {
        &mut self.x86
    }
}

impl Guest for Program {
    type State = Cpu;
    const LAYOUT: &'static Layout = &LAYOUT;
    const HELPERS: &'static [Helper<Program>] = &calls::helpers();

    fn translate(
        &self,
        key: BlockKey,
        offset: u32,
        limit: u32,
        fetch: &mut dyn Fetch,
        b: &mut Builder,
    ) -> Result<(), Fault> {
        if key.mode & ENDED != 0 {
            b.exit(Leave::Wait);
            (b.block.guest_insns, b.block.guest_bytes) = (1, 1);
            return Ok(());
        }
        translate::translate(&self.x86.model, key, offset, limit, fetch, b)
    }
    fn walk(&self, _: &Cpu, bus: &mut dyn Bus, va: u64, access: Access, _: u8) -> Result<Page, Fault> {
        let there = bus.ram(va & !0xfff).is_some();
        there.then_some(testing::page(va)).ok_or(Fault::Guest {
            class: PAGE_FAULT.into(),
            addr: va,
            info: (access == Access::Write).into(),
        })
    }
    fn context(&self, _: &Cpu, _: u8) -> Context {
        Context::default()
    }
    fn restore(&self, s: &mut Cpu, pc: u64, of: u32) {
        (s.pc, s.of) = (pc, of);
    }
    fn raise(&mut self, s: &mut Cpu, _: &mut dyn Env, fault: Fault) {
        self.fault.get_or_insert(fault);
        s.mode |= ENDED;
    }
    fn interrupt(&mut self, _: &mut Cpu, _: &mut dyn Env, _: u32) -> bool {
        false
    }
    fn wakes(&self, _: &Cpu, _: u32) -> bool {
        false
    }
}

//! A guest architecture for tests: slots of every type, flat memory, and a helper of each kind.

use crate::interp::{Memory, Now};
use emu_ir::testing::Alone;
use emu_ir::*;
use std::sync::LazyLock;

/// Bytes of test memory; accesses beyond fault. Address space `idx` makes no difference.
pub const MEMORY: u64 = 0x1000;
/// Where the blocks of test cases lie: their `page_base`.
pub const PAGE_BASE: u64 = 0x8000_0000;

/// The test guest's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct State {
    /// Virtual address of the next instruction.
    pub pc: u32,
    /// The mode.
    pub mode: u32,
    /// Cumulative floating-point flags.
    pub fp_flags: u32,
    /// Rounding mode.
    pub fp_round: u32,
    /// Pinned integers.
    pub r: [u32; 8],
    /// Room for 16 values of any type.
    pub v: [[u64; 2]; 16],
    /// MXCSR, where the rules are x86's.
    pub mxcsr: u32,
    /// The control word of the x87, and its status word but for TOP.
    pub x87_words: [u16; 2],
    /// TOP, and which registers are full.
    pub x87_stack: [u8; 2],
    /// The last instruction's opcode.
    pub x87_opcode: u16,
    /// Zero: no padding.
    pub reserved: u32,
    /// The last instruction's address.
    pub x87_instruction: u64,
    /// Zero: no padding.
    pub reserved2: u64,
    /// R0 to R7.
    pub x87: [[u64; 2]; 8],
}

/// Where [`State`] has the x87 unit.
pub const X87: X87Slots = X87Slots {
    regs: Slot::new(std::mem::offset_of!(State, x87), Ty::V128),
    control: Slot::new(std::mem::offset_of!(State, x87_words), Ty::I16),
    status: Slot::new(std::mem::offset_of!(State, x87_words) + 2, Ty::I16),
    top: Slot::new(std::mem::offset_of!(State, x87_stack), Ty::I8),
    full: Slot::new(std::mem::offset_of!(State, x87_stack) + 1, Ty::I8),
    opcode: Slot::new(std::mem::offset_of!(State, x87_opcode), Ty::I16),
    instruction: Slot::new(std::mem::offset_of!(State, x87_instruction), Ty::I64),
};

/// The `i`th of eight pinned I32 slots.
pub const fn pinned(i: u32) -> Slot {
    Slot::new(std::mem::offset_of!(State, r), Ty::I32).nth(i)
}

/// The `i`th of 16 slots that hold any type; they do not overlap.
pub const fn any(i: u32, ty: Ty) -> Slot {
    let at = Slot::new(std::mem::offset_of!(State, v), Ty::V128).nth(i);
    Slot { off: at.off, ty }
}

/// The layout of [`State`].
pub static LAYOUT: Layout = Layout {
    pc: Slot::new(0, Ty::I32),
    mode: Slot::new(4, Ty::I32),
    fp_flags: Slot::new(8, Ty::I32),
    fp_round: Slot::new(12, Ty::I32),
    rules: Rules::Arm,
    x87: Some(X87),
    insn_shift: 2,
    coherent: false,
    pins: &[
        pinned(0),
        pinned(1),
        pinned(2),
        pinned(3),
        pinned(4),
        pinned(5),
        pinned(6),
        pinned(7),
    ],
    names: &[
        (pinned(0), "r0"),
        (pinned(1), "r1"),
        (pinned(2), "r2"),
        (pinned(3), "r3"),
        (pinned(4), "r4"),
        (pinned(5), "r5"),
        (pinned(6), "r6"),
        (pinned(7), "r7"),
    ],
    helper: |i| ["mix", "flagged", "bump", "refuse"][i as usize],
};

/// A pure helper: a function of all four arguments.
pub const MIX: u16 = 0;
/// A helper with flags: the sum of the arguments, and the low six bits of the first as flags.
pub const FLAGGED: u16 = 1;
/// A state helper: adds its first argument to pinned slot 0, returns the old value.
pub const BUMP: u16 = 2;
/// A state helper: changes pinned slot 1 to its first argument, then faults if that is odd.
pub const REFUSE: u16 = 3;

fn mix(args: &[u128; 4]) -> u128 {
    args.iter().fold(1, |m: u128, a| {
        m.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(*a).rotate_left(29)
    })
}

fn flagged(args: &[u128; 4]) -> (u128, u32) {
    (
        args.iter().fold(0, |s: u128, a| s.wrapping_add(*a)),
        args[0] as u32 & 0x3f,
    )
}

fn bump(_: &mut TestGuest, s: &mut State, _: &mut dyn Env, args: &[u128; 4]) -> Result<u128, Fault> {
    let old = s.r[0];
    s.r[0] = old.wrapping_add(args[0] as u32);
    Ok(old as u128)
}

fn refuse(_: &mut TestGuest, s: &mut State, _: &mut dyn Env, args: &[u128; 4]) -> Result<u128, Fault> {
    s.r[1] = args[0] as u32;
    if args[0] & 1 == 0 {
        return Ok(args[0]);
    }
    Err(Fault::Guest {
        class: 7,
        addr: args[0] as u64,
        info: 9,
    })
}

/// The test guest. It translates nothing: its blocks are built by tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct TestGuest {
    /// All memory wants the pieces of accesses aligned.
    pub strict: bool,
}

impl Guest for TestGuest {
    type State = State;
    const LAYOUT: &'static Layout = &LAYOUT;
    const HELPERS: &'static [Helper<Self>] = &[
        Helper {
            name: "mix",
            f: HelperFn::Pure(mix),
        },
        Helper {
            name: "flagged",
            f: HelperFn::Flags(flagged),
        },
        Helper {
            name: "bump",
            f: HelperFn::State(bump),
        },
        Helper {
            name: "refuse",
            f: HelperFn::State(refuse),
        },
    ];

    fn translate(&self, _: BlockKey, _: u32, _: u32, _: &mut dyn Fetch, b: &mut Builder) -> Result<(), Fault> {
        b.exit(Leave::Sync);
        Ok(())
    }
    fn walk(&self, _: &State, _: &mut dyn Bus, va: u64, access: Access, _: u8) -> Result<Page, Fault> {
        if va >= MEMORY {
            return Err(Fault::Bus { addr: va, access });
        }
        Ok(Page {
            exec: false,
            strict: self.strict,
            ..emu_ir::testing::page(va)
        })
    }
    fn context(&self, _: &State, _: u8) -> Context {
        Context::default()
    }
    fn restore(&self, s: &mut State, pc: u64, _: u32) {
        s.pc = pc as u32;
    }
    fn raise(&mut self, _: &mut State, _: &mut dyn Env, _: Fault) {}
    fn interrupt(&mut self, _: &mut State, _: &mut dyn Env, _: u32) -> bool {
        false
    }
    fn wakes(&self, _: &State, pending: u32) -> bool {
        pending != 0
    }
}

/// An access that [`TestMemory`] saw: address, what, value (loaded, stored, or `old ^ new` of an atomic).
pub type Traced = (u64, Mem, Access, u128);

/// Flat memory of [`MEMORY`] bytes from address 0, that keeps a record of accesses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestMemory {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Accesses in order.
    pub trace: Vec<Traced>,
    /// The pieces of accesses must be aligned.
    pub strict: bool,
}

/// What test memory holds at first.
static IMAGE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    (0..MEMORY)
        .map(|i| (i.wrapping_mul(0x9d) >> 3) as u8 ^ i as u8)
        .collect()
});

impl Default for TestMemory {
    fn default() -> Self {
        Self {
            bytes: IMAGE.clone(),
            trace: Vec::new(),
            strict: false,
        }
    }
}

impl TestMemory {
    fn at(&self, addr: u64, mem: Mem, access: Access) -> Result<usize, Fault> {
        let misaligned = addr & ((1 << mem.strict()) - 1) != 0;
        if !mem.allows(addr) || self.strict && misaligned {
            return Err(Fault::Alignment { addr, access });
        }
        if addr >= MEMORY {
            return Err(Fault::Bus { addr, access });
        }
        match addr + mem.bytes() as u64 {
            end if end > MEMORY => Err(Fault::Bus { addr: MEMORY, access }),
            _ => Ok(addr as usize),
        }
    }
    fn read(&self, at: usize, mem: Mem) -> u128 {
        let n = mem.bytes() as usize;
        let mut raw = [0; 16];
        raw[..n].copy_from_slice(&self.bytes[at..at + n]);
        swapped(&mut raw[..n], mem);
        u128::from_le_bytes(raw)
    }
    fn write(&mut self, at: usize, mem: Mem, value: u128) {
        let n = mem.bytes() as usize;
        let mut raw = value.to_le_bytes();
        swapped(&mut raw[..n], mem);
        self.bytes[at..at + n].copy_from_slice(&raw[..n]);
    }
}

fn swapped(raw: &mut [u8], mem: Mem) {
    raw.chunks_exact_mut(1 << mem.pieces.swap()).for_each(<[u8]>::reverse);
}

impl<G: Guest> Memory<G> for TestMemory {
    fn load(&mut self, _: Now<G>, addr: u64, mem: Mem) -> Result<u128, Fault> {
        let at = self.at(addr, mem, Access::Read)?;
        let value = self.read(at, mem);
        self.trace.push((addr, mem, Access::Read, value));
        Ok(value)
    }
    fn store(&mut self, _: Now<G>, addr: u64, mem: Mem, value: u128) -> Result<(), Fault> {
        let at = self.at(addr, mem, Access::Write)?;
        self.write(at, mem, value);
        self.trace.push((addr, mem, Access::Write, value));
        Ok(())
    }
    fn cas(&mut self, _: Now<G>, addr: u64, mem: Mem, old: u128, new: u128) -> Result<u128, Fault> {
        let at = self.at(addr, mem, Access::Write)?;
        let held = self.read(at, mem);
        if held == old {
            self.write(at, mem, new);
        }
        self.trace.push((addr, mem, Access::Write, old ^ new));
        Ok(held)
    }
    fn update(&mut self, _: Now<G>, addr: u64, mem: Mem, f: &dyn Fn(u128) -> u128) -> Result<u128, Fault> {
        let at = self.at(addr, mem, Access::Write)?;
        let held = self.read(at, mem);
        let value = f(held);
        self.write(at, mem, value);
        self.trace.push((addr, mem, Access::Write, held ^ value));
        Ok(held)
    }
}

/// As a bus: the same bytes by physical address.
impl Bus for TestMemory {
    fn load(&mut self, phys: u64, size: u8) -> Option<u64> {
        let bytes = self.bytes.get(phys as usize..phys as usize + size as usize)?;
        Some(bytes.iter().rev().fold(0, |v, b| v << 8 | *b as u64))
    }
    fn store(&mut self, phys: u64, size: u8, value: u64) -> Option<()> {
        let bytes = self.bytes.get_mut(phys as usize..phys as usize + size as usize)?;
        bytes.copy_from_slice(&value.to_le_bytes()[..size as usize]);
        Some(())
    }
    fn ram(&mut self, _: u64) -> Option<RamPage<'_>> {
        None
    }
}

impl Alone for TestMemory {
    fn executes(&mut self, insn: X87Insn, unit: &mut X87Unit, operand: &mut [u8; 10], status: u16) -> u16 {
        crate::x64::x87::execute(insn, unit, operand, status)
    }
}

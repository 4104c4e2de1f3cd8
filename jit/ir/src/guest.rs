//! The traits between a guest architecture, an accelerator and the machine.

use crate::{Builder, Slot, X87Insn, X87Slots, X87Unit};
use memmap2::MmapRaw;
use std::sync::Arc;

/// What a block of code is found by: where it lies in physical memory, and every bit that changes what its bytes mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockKey {
    /// Guest physical address of the first byte.
    pub phys: u64,
    /// The value of the state's mode slot.
    pub mode: u64,
    /// Its page is marked: see [`Page::marked`].
    pub marked: bool,
}

/// What kind of memory access is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Access {
    Read,
    Write,
    Execute,
}

/// An architectural fault: a value for the guest, never an error of emu's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Found by the guest's own walk or helper; the meaning of the fields is the frontend's.
    Guest {
        /// The frontend's class of fault.
        class: u32,
        /// The faulting virtual address, where there is one.
        addr: u64,
        /// The frontend's syndrome.
        info: u32,
    },
    /// Nothing answers at the physical address behind virtual address `addr`.
    Bus {
        /// The virtual address.
        addr: u64,
        /// What was tried.
        access: Access,
    },
    /// The access was not aligned as the instruction demands.
    Alignment {
        /// The virtual address.
        addr: u64,
        /// What was tried.
        access: Access,
    },
}

/// What a page walk found: the 4 KiB page around the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Physical address of the page, 4 KiB aligned.
    pub phys: u64,
    /// Loads are allowed.
    pub read: bool,
    /// Stores are allowed.
    pub write: bool,
    /// Fetches are allowed.
    pub exec: bool,
    /// The mapping is the same in every address space (not tagged by ASID).
    pub global: bool,
    /// Accesses must be naturally aligned (ARM Device and Strongly-ordered memory).
    pub strict: bool,
    /// log2 of the bytes that the mapping covers, naturally aligned: 12, or more where one entry of the guest's tables
    /// maps a larger block, all of which [`Which::Pages`] forgets at any address in it.
    pub size: u8,
    /// What code in it means depends on this, too (Arm's guarded pages; nothing of x86's). Blocks in pages that are marked and
    /// in those that are not are kept apart, and no block need ask where it is.
    pub marked: bool,
}

/// Which address space accesses go through: translations cached under one context are never used under another, and
/// come back to life when it returns. A frontend packs into it all that a walk's result depends on, besides memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Context {
    /// The address space identifier (what [`Which::Asid`] names): Arm's ASID, x86's PCID.
    pub asid: u32,
    /// The virtual machine that it is of (what [`Flush::vmid`] names): Arm's VMID, x86's VPID; 0 where there are none.
    pub vmid: u16,
    /// Which of the guest's kinds of translation it is of, 0 to 7: Arm's translation regimes, x86's nested and host
    /// tables. The frontend numbers them.
    pub regime: u8,
    /// Everything else, as the frontend likes: privilege, domain rights, table bases, control bits (Arm: TTBR0, TTBR1, TCR,
    /// MAIR, SCTLR, HCR or VTTBR; x86: CR3, CR0, CR4, EFER).
    pub rest: [u64; 6],
}

/// Bytes whose accesses are to be looked at before they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Virtual address of the first byte.
    pub start: u64,
    /// How many bytes, at least 1.
    pub len: u64,
    /// Loads are looked at.
    pub reads: bool,
    /// Stores are looked at.
    pub writes: bool,
}

/// What a guest's own debug registers ask for: where [`Guest::trap`] and [`Guest::data_trap`] may have an exception.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traps {
    /// Virtual addresses of instructions.
    pub at: Vec<u64>,
    /// Any instruction may be meant.
    pub every: bool,
    /// Data.
    pub data: Vec<Watch>,
}

/// Cached translations to forget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flush {
    /// Those of some regimes ([`Context::regime`]): a bit each.
    pub regimes: u8,
    /// Those of one virtual machine ([`Context::vmid`]); `None`: of any.
    pub vmid: Option<u16>,
    /// Which of these.
    pub which: Which,
}

/// Which of an address space's cached translations to forget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    All,
    /// Those of one address space, but for global ones.
    Asid(u32),
    /// Some pages (and the larger blocks that were mapped there, see [`Page::size`]), in one address space and where they
    /// are global; `None`: in every address space.
    Pages {
        /// A virtual address in the first.
        first: u64,
        /// One in the last.
        last: u64,
        /// The address space.
        asid: Option<u32>,
    },
}

impl Flush {
    /// Everything.
    pub const ALL: Flush = Flush::of(Which::All);

    /// These, in every regime and virtual machine.
    pub const fn of(which: Which) -> Flush {
        Flush {
            regimes: u8::MAX,
            vmid: None,
            which,
        }
    }
    /// One address space.
    pub const fn asid(asid: u32) -> Flush {
        Flush::of(Which::Asid(asid))
    }
    /// The page at an address, in one address space or in all.
    pub const fn page(addr: u64, asid: Option<u32>) -> Flush {
        Flush::of(Which::Pages {
            first: addr,
            last: addr,
            asid,
        })
    }
    /// Whether a context's translations are among those meant, some of them or all.
    pub fn concerns(&self, context: &Context) -> bool {
        let regime = u32::from(self.regimes) >> (context.regime & 7) & 1 != 0;
        regime && self.vmid.is_none_or(|vmid| vmid == context.vmid)
    }
}

/// Physical memory and devices as a vCPU sees them.
pub trait Bus {
    /// Load 1, 2, 4 or 8 bytes, little-endian. `None`: nothing answers there.
    fn load(&mut self, phys: u64, size: u8) -> Option<u64>;
    /// Store 1, 2, 4 or 8 bytes, little-endian. `None`: nothing answers there.
    fn store(&mut self, phys: u64, size: u8, value: u64) -> Option<()>;
    /// Store 1, 2, 4 or 8 bytes in place of others that are there; what was there. Who has memory that others write to does
    /// both at once there. `None`: nothing answers.
    fn compare_exchange(&mut self, phys: u64, size: u8, old: u64, new: u64) -> Option<u64> {
        let held = self.load(phys, size)?;
        if held == old {
            self.store(phys, size, new)?;
        }
        Some(held)
    }
    /// The host memory behind a 4 KiB page, if it is plain memory.
    fn ram(&mut self, page: u64) -> Option<RamPage<'_>>;
    /// Code is about to be read from the page that memory is known by ([`RamPage::phys`]): who writes to it from now on,
    /// other than this vCPU, is to say so. Once this returns, whatever is read was there before, or is told.
    fn translating(&mut self, page: u64) {
        let _ = page;
    }
    /// Whether [`Bus::ram`] may answer differently than before, for any page, since this was last asked. Asked after each
    /// store to a device, and when another thread says so.
    fn remapped(&mut self) -> bool {
        false
    }
}

/// Host memory behind a guest page. It names the mapping that the page lies in, not an address: who accesses it directly
/// keeps the mapping for as long, and can see that the page is inside.
#[derive(Clone, Copy, Debug)]
pub struct RamPage<'a> {
    /// The mapping, which can be written to.
    pub mapping: &'a Arc<MmapRaw>,
    /// Where in it the page starts, a multiple of 4 KiB.
    pub offset: u64,
    /// The physical address that this memory is known by: where it shows at several, one of them.
    pub phys: u64,
    /// Loads go to memory directly; else (flash that answers a command) to [`Bus::load`], and only code is fetched from
    /// memory.
    pub readable: bool,
    /// Stores go to memory directly; else (flash, ROM) to [`Bus::store`]. Only of memory that is readable.
    pub writable: bool,
}

impl RamPage<'_> {
    /// Memory that is loaded from and stored to directly, and shows at one physical address.
    pub const fn plain(mapping: &Arc<MmapRaw>, offset: u64, phys: u64) -> RamPage<'_> {
        RamPage {
            mapping,
            offset,
            phys,
            readable: true,
            writable: true,
        }
    }
}

/// What a helper may do besides changing the guest's state and calling the guest.
pub trait Env {
    /// Physical memory and devices.
    fn bus(&mut self) -> &mut dyn Bus;
    /// Forget cached translations (of every vCPU where `broadcast`: the others soon, at the latest when
    /// [`Env::complete`] returns).
    fn flush(&mut self, what: Flush, broadcast: bool);
    /// Wait until every vCPU has done what this one has broadcast.
    fn complete(&mut self) {}
    /// [`Guest::context`] may answer differently from now on.
    fn context_changed(&mut self);
    /// [`Guest::traps`] may answer differently; it is asked before the next synchronisation (or exception) is past.
    fn traps_changed(&mut self);
    /// Stop running this vCPU after this instruction, for the given reason. The state must be consistent, its pc slot set.
    fn stop(&mut self, why: Stop);
    /// Execute an instruction on the host's x87 unit, which has this state then, and these status flags
    /// ([`STATUS_OVERFLOW`](crate::STATUS_OVERFLOW) and the others); the status flags afterwards. Its operand in memory is
    /// what stands here. Nothing happens where an exception waits that is not masked.
    fn x87(&mut self, insn: X87Insn, unit: &mut X87Unit, operand: &mut [u8; 10], status: u16) -> u16;
}

/// Why a vCPU stops running guest code, as decided by the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The guest asked for the machine to be powered off.
    PowerOff,
    /// The guest asked for a reset of the machine.
    Reset,
    /// The vCPU gives up, which resets the machine: exceptions that it could not deliver followed one another.
    Shutdown,
    /// This vCPU alone switches off.
    CpuOff,
}

/// The guest's code bytes, for a translator.
pub trait Fetch {
    /// Two bytes (little-endian) at `offset` bytes from the start of the block's page; from 4096 on, the next virtual page.
    ///
    /// # Errors
    /// The fault of fetching there (only past the page's end); any fault for an instruction that is not to be in this
    /// block, as one that crosses into the next page is a block of its own.
    fn u16(&mut self, offset: u32) -> Result<u16, Fault>;
    /// Four bytes (little-endian).
    ///
    /// # Errors
    /// As [`Fetch::u16`].
    fn u32(&mut self, offset: u32) -> Result<u32, Fault> {
        Ok(self.u16(offset)? as u32 | (self.u16(offset + 2)? as u32) << 16)
    }
    /// One byte.
    ///
    /// # Errors
    /// As [`Fetch::u16`].
    fn u8(&mut self, offset: u32) -> Result<u8, Fault> {
        let pair = self.u16(offset & !1)?;
        Ok((pair >> ((offset & 1) * 8)) as u8)
    }
}

/// A helper that may change the guest's state: guest, state, machine, arguments (zero-extended) to result.
pub type StateFn<G> = fn(&mut G, &mut <G as Guest>::State, &mut dyn Env, &[u128; 4]) -> Result<u128, Fault>;

/// What a helper does with the guest's state.
pub enum HelperFn<G: Guest> {
    /// Nothing: a function of its arguments (each zero-extended to 128 bits). It computes with integers only: the host's
    /// rounding mode may be the guest's, and flags that it raises become the guest's.
    Pure(fn(&[u128; 4]) -> u128),
    /// The same for one that may compute with floating point.
    Float(fn(&[u128; 4]) -> u128),
    /// Pure but for cumulative floating-point flags, which it returns ([`FP_INVALID`] …) besides the result. It may compute
    /// with floating point.
    Flags(fn(&[u128; 4]) -> (u128, u32)),
    /// Anything. An error is raised at the current instruction, and what the helper changed stays.
    State(StateFn<G>),
    /// Raises this at the current instruction, whatever the state; the block ends after it by [`crate::Leave::Resume`].
    Raise(fn(&[u128; 4]) -> Fault),
}

/// A Rust function that translated code calls.
pub struct Helper<G: Guest> {
    /// For listings.
    pub name: &'static str,
    /// The function and its effects.
    pub f: HelperFn<G>,
}

/// Cumulative floating-point flag: invalid operation. The bits are those of x86's MXCSR.
pub const FP_INVALID: u32 = 1 << 0;
/// Cumulative flag: a denormal input was flushed to zero; of x86, was there and was not.
pub const FP_DENORMAL: u32 = 1 << 1;
/// Cumulative flag: division by zero.
pub const FP_DIVZERO: u32 = 1 << 2;
/// Cumulative flag: overflow.
pub const FP_OVERFLOW: u32 = 1 << 3;
/// Cumulative flag: underflow.
pub const FP_UNDERFLOW: u32 = 1 << 4;
/// Cumulative flag: inexact.
pub const FP_INEXACT: u32 = 1 << 5;

/// Whose floating point operations compute, where architectures differ: which NaN results, whether a result is tiny before
/// or after it is rounded, what is flushed to zero, what conversions and comparisons give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// Arm's (ARM DDI 0406C, A2.7).
    Arm,
    /// SSE's and AVX's (SDM 1, 4.8, 4.9 and 10.2.3).
    X86 {
        /// MXCSR, of which DAZ, FTZ and the exceptions' masks count here (I32).
        mxcsr: Slot,
    },
}

/// Where an accelerator finds what it needs in a guest's state struct, and what things are called.
pub struct Layout {
    /// Virtual address of the next instruction; exact whenever the engine has control. I32 or I64: the address width.
    pub pc: Slot,
    /// Every bit that changes what code bytes mean (I32 or I64).
    pub mode: Slot,
    /// Cumulative floating-point flags, [`FP_INVALID`] … (I32).
    pub fp_flags: Slot,
    /// Current rounding mode, a [`Round`](crate::Round) from 0 to 3 (I32).
    pub fp_round: Slot,
    /// Whose floating point it is.
    pub rules: Rules,
    /// Its x87 unit, if it has one. Else there are no operations on it.
    pub x87: Option<X87Slots>,
    /// log2 of the bytes that instructions are aligned to: 0 (x86), 1 (Thumb), 2.
    pub insn_shift: u8,
    /// What a vCPU stores to code counts from its next instruction on (x86). Else the guest says when it has changed code.
    pub coherent: bool,
    /// Integer slots worth a host register, hottest first.
    pub pins: &'static [Slot],
    /// Names of slots, for listings.
    pub names: &'static [(Slot, &'static str)],
    /// The name of a helper, for listings.
    pub helper: fn(u16) -> &'static str,
}

impl Layout {
    /// Whether it fits a state of `size` bytes, for accelerators to rely on.
    #[expect(clippy::indexing_slicing, reason = "up to the lengths")]
    pub const fn fits(&self, size: usize) -> bool {
        let own = [self.pc, self.mode, self.fp_flags, self.fp_round];
        let mut inside = self.insn_shift <= 2;
        if let Rules::X86 { mxcsr } = self.rules {
            inside &= mxcsr.end() <= size && mxcsr.ty.bytes() == 4 && mxcsr.ty.is_int();
        }
        let mut i = 0;
        while i < own.len() {
            inside &= own[i].end() <= size && own[i].ty.is_int();
            i += 1;
        }
        if let Some(x87) = self.x87 {
            inside &= x87.fits(size);
        }
        i = 0;
        while i < self.pins.len() {
            inside &= self.pins[i].end() <= size && self.pins[i].ty.is_int();
            i += 1;
        }
        inside
    }
    /// The name of a slot: its own, or `outer+offset`.
    pub fn name(&self, s: Slot) -> String {
        if let Some((_, n)) = self.names.iter().find(|(k, _)| *k == s) {
            return n.to_string();
        }
        let inside = |k: &Slot| k.off <= s.off && s.off < k.off + k.ty.bytes() as u16;
        match self.names.iter().find(|(k, _)| inside(k)) {
            Some((k, n)) => format!("{n}+{}:{:?}", s.off - k.off, s.ty),
            None => format!("[{:#x}]:{:?}", s.off, s.ty),
        }
    }
}

/// A guest architecture. `Self` holds what is not architectural state: the CPU model, and the way to the machine
/// (timers, firmware calls).
pub trait Guest: Sized + Send + 'static {
    /// The architectural state: plain data, no padding, that any accelerator can load and a snapshot can hold. Its vector
    /// registers are pairs of u64, the low half first: of a u128, not every saved form keeps more than 64 bits.
    type State: bytemuck::Pod + Send;
    /// Where things are in it.
    const LAYOUT: &'static Layout;
    /// Functions that translated code may call.
    const HELPERS: &'static [Helper<Self>];

    /// Debug exceptions of data are taken when the instruction is done (x86): [`Guest::data_trap`] is of an access that is
    /// made, and [`Guest::trapped`] is told of it. Else they are taken in place of the access.
    const DATA_TRAPS_AFTER: bool = false;

    /// Translate the block at `key`, whose first instruction is `offset` bytes into its page (0..4096), up to a branch
    /// that cannot be followed, the page's end (an instruction may cross it), or `limit` instructions (>= 1). An instruction
    /// that cannot be fetched, and is not the first, ends the block before it.
    ///
    /// `b` is empty, or holds what the engine wants to happen first; on return it holds a complete block, with
    /// `guest_insns` and `guest_bytes` set. Depends on nothing but the key and the bytes.
    ///
    /// # Errors
    /// Only if the first instruction cannot be fetched.
    fn translate(
        &self,
        key: BlockKey,
        offset: u32,
        limit: u32,
        fetch: &mut dyn Fetch,
        b: &mut Builder,
    ) -> Result<(), Fault>;

    /// Translate a virtual address in address space `idx` (0: as the current mode's accesses go; 1: the guest's other
    /// one, for example unprivileged accesses). Permission bits in the page are those of that space; an access they
    /// forbid is a fault. Ignores alignment.
    ///
    /// # Errors
    /// The fault to raise.
    fn walk(&self, s: &Self::State, bus: &mut dyn Bus, va: u64, access: Access, idx: u8) -> Result<Page, Fault>;

    /// The context of address space `idx` (0 or 1).
    fn context(&self, s: &Self::State, idx: u8) -> Context;

    /// Bring the state to the start of the instruction at hand: `pc` and `aux` come from its `Insn`.
    fn restore(&self, s: &mut Self::State, pc: u64, aux: u32);

    /// Enter the exception for a fault of the instruction at the state's pc. Through `env` it reads and writes memory (x86's
    /// tables and stacks), and says what follows where it cannot be entered.
    fn raise(&mut self, s: &mut Self::State, env: &mut dyn Env, fault: Fault);

    /// Enter the exception for the most urgent of the pending interrupt lines (a bit each) that is not masked; whether
    /// one was taken.
    fn interrupt(&mut self, s: &mut Self::State, env: &mut dyn Env, pending: u32) -> bool;

    /// Whether one of the pending lines ends a wait for interrupt, masked or not.
    fn wakes(&self, s: &Self::State, pending: u32) -> bool;

    /// Whether the CPU carries out nothing until [`Guest::interrupt`] or [`Guest::trap`] takes something: x86's HLT. Arm's
    /// WFI may end for no reason.
    fn waits(&self, _: &Self::State) -> bool {
        false
    }

    /// Whether a helper of the kind [`HelperFn::State`] does nothing to state and machine, but may raise a fault, or wait.
    fn only_raises(_helper: u16) -> bool {
        false
    }

    /// Whether [`Guest::raise`] does nothing but change the state that it is given, when it is this one.
    fn raises_plainly(&self, _: &Self::State) -> bool {
        true
    }

    /// What watchpoints compare of an address of data: two that are the same then are the same byte to the guest, whatever
    /// it ignores of them. [`Guest::context`] changes with what this depends on.
    fn watched_as(&self, _: &Self::State, va: u64) -> u64 {
        va
    }

    /// What the guest's own debug registers ask for.
    fn traps(&self, _: &Self::State) -> Traps {
        Traps::default()
    }

    /// The debug exception of the instruction at the pc, to be taken before it runs. Asked only where [`Guest::traps`]
    /// said.
    fn trap(&self, _: &Self::State) -> Option<Fault> {
        None
    }

    /// The debug exception of an access of `len` bytes at `addr` through address space `idx`, to be taken before it is
    /// made. Asked only where [`Guest::traps`] said.
    fn data_trap(&self, _: &Self::State, _addr: u64, _len: u32, _access: Access, _idx: u8) -> Option<Fault> {
        None
    }

    /// The debug exception of an access that the instruction which is now done has made: [`Guest::trap`] is to have it. Only
    /// with [`Guest::DATA_TRAPS_AFTER`].
    fn trapped(&mut self, _: &mut Self::State, _: Fault) {}
}

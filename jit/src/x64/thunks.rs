//! The fixed pieces of code around translated blocks: entering, leaving, calling Rust.

use super::{PINS, STATE, TEMPS, frame::*};
use crate::cache::{Cache, Offset};
use dynasmrt::{DynasmApi, DynasmLabelApi, VecAssembler, dynasm, x64::X64Relocation};
use emu_ir::{Layout, Slot, Ty};

/// Bytes of stack a block may use: spilled values, then what slow paths save. With what [`Thunks::enter`] pushes and its
/// return address a multiple of 16.
pub const FRAME: i32 = X87_AT + X87_BYTES + 8;
const _: () = assert!(FRAME % 16 == 8);
/// Places for spilled values, 16 bytes each, from the stack pointer upward.
pub const SPILLS: usize = 96;
/// Where slow paths save vector registers, 16 bytes each.
pub const SAVE_AT: i32 = SPILLS as i32 * 16;
/// Where they save temporaries, 8 bytes each.
pub const SAVE_TEMPS_AT: i32 = SAVE_AT + 16 * 16;
/// Where they keep a register while they work in it, and an operand: 8 bytes each.
pub const SCRATCH_AT: i32 = SAVE_TEMPS_AT + 8 * TEMPS.len() as i32;

/// How many windows there are at most: see the module of that name.
pub const WINDOWS: usize = 4;
/// Where those are that are in no register, 8 bytes each.
pub const WINDOWS_AT: i32 = SCRATCH_AT + 16;

/// What runs of x87 instructions work on.
pub const X87_AT: i32 = (WINDOWS_AT + 8 * WINDOWS as i32 + 15) & !15;
/// How many bytes that is.
pub const X87_BYTES: i32 = 48 + 112;

/// Why translated code returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Reason {
    /// A `Goto` that is not linked yet: its site is told.
    Link = 0,
    /// A `Goto` that gave way to attention, or whose target page is not known: its site is told.
    Goto = 1,
    /// An indirect branch that found no code; the pc slot is set.
    Lookup = 2,
    /// `Exit(Sync)`.
    Sync = 3,
    /// `Exit(Wait)`.
    Wait = 4,
    /// `Exit(Yield)`.
    Yield = 5,
    /// A fault was found and is noted in the vCPU.
    Fault = 6,
}

impl Reason {
    /// From the register translated code returns it in.
    pub fn from_u32(v: u32) -> Reason {
        use Reason::*;
        [Link, Goto, Lookup, Sync, Wait, Yield, Fault][v as usize]
    }
}

/// Where the thunks are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Thunks {
    /// `extern "sysv64" fn(state, code) -> Reason`.
    pub enter: Offset,
    /// Return to Rust with the reason in eax.
    pub leave: Offset,
    /// The same with the site in ecx and reason `Link`.
    pub link: Offset,
    /// The same with reason `Goto`.
    pub goto: Offset,
    /// Return with `Lookup`: the pc slot is set.
    pub lookup: Offset,
    /// The same at the offset in the page that is in eax.
    pub elsewhere: Offset,
    /// Call the slow memory path: address in rsi, site in edx.
    pub slow: Offset,
    /// Call a helper that uses the guest's state, or an operation's interpretation: site in edx.
    pub call: Offset,
    /// Call a helper that is a function of its arguments, with 0 to 4 of them given: its index in edx. The result is in rax
    /// and, where it is longer, rdx.
    pub pure: [Offset; 5],
    /// The same for one that raises floating-point flags besides.
    pub flags: [Offset; 5],
}

type Asm = VecAssembler<X64Relocation>;

fn pins(layout: &Layout) -> impl Iterator<Item = (u8, Slot)> {
    PINS.iter().copied().zip(layout.pins.iter().copied())
}

fn load_pins(a: &mut Asm, layout: &Layout) {
    for (r, s) in pins(layout) {
        match s.ty {
            Ty::I64 => dynasm!(a ; .arch x64 ; mov Rq(r), [r15 + s.off as i32]),
            _ => dynasm!(a ; .arch x64 ; mov Rd(r), [r15 + s.off as i32]),
        }
    }
}

fn store_pins(a: &mut Asm, layout: &Layout) {
    for (r, s) in pins(layout) {
        match s.ty {
            Ty::I64 => dynasm!(a ; .arch x64 ; mov [r15 + s.off as i32], Rq(r)),
            _ => dynasm!(a ; .arch x64 ; mov [r15 + s.off as i32], Rd(r)),
        }
    }
}

/// Make the thunks at the start of an empty cache and keep them there.
#[expect(clippy::expect_used, reason = "the labels of a thunk are placed in it")]
pub fn build(cache: &mut Cache, layout: &Layout) -> Thunks {
    let mut t = Thunks::default();
    let mut put = |f: &mut dyn FnMut(&mut Asm)| {
        let mut a = Asm::new(cache.address(cache.next()) as usize);
        f(&mut a);
        cache.push(&a.finalize().expect("thunks have no open labels"))
    };
    t.enter = put(&mut |a| {
        dynasm!(a ; .arch x64
            ; push rbx ; push rbp ; push r12 ; push r13 ; push r14 ; push r15
            ; sub rsp, FRAME
            ; mov Rq(STATE), rdi
            ; stmxcsr [r15 + HOST_MXCSR]
            ; ldmxcsr [r15 + MXCSR]
            ; mov rax, rsi);
        load_pins(a, layout);
        dynasm!(a ; .arch x64 ; jmp rax);
    });
    let mut bail = 0;
    t.leave = put(&mut |a| {
        store_pins(a, layout);
        dynasm!(a ; .arch x64
            ; stmxcsr [r15 + MXCSR]
            ; ldmxcsr [r15 + HOST_MXCSR]);
        bail = a.offset().0 as Offset;
        dynasm!(a ; .arch x64
            ; add rsp, FRAME
            ; pop r15 ; pop r14 ; pop r13 ; pop r12 ; pop rbp ; pop rbx
            ; ret);
    });
    bail += t.leave;
    let base = cache.base() as usize;
    let mut put = |f: &mut dyn FnMut(&mut Asm)| {
        let mut a = Asm::new(cache.address(cache.next()) as usize);
        f(&mut a);
        cache.push(&a.finalize().expect("thunks have no open labels"))
    };
    let leave = base + t.leave as usize;
    t.link =
        put(&mut |a| dynasm!(a ; .arch x64 ; mov [r15 + SITE], ecx ; mov eax, Reason::Link as i32 ; jmp extern leave));
    t.goto =
        put(&mut |a| dynasm!(a ; .arch x64 ; mov [r15 + SITE], ecx ; mov eax, Reason::Goto as i32 ; jmp extern leave));
    t.lookup = put(&mut |a| dynasm!(a ; .arch x64 ; mov eax, Reason::Lookup as i32 ; jmp extern leave));
    let lookup = base + t.lookup as usize;
    t.elsewhere = put(&mut |a| {
        match layout.pc.ty {
            Ty::I64 => dynasm!(a ; .arch x64 ; add rax, [r15 + PAGE_BASE] ; mov [r15 + layout.pc.off as i32], rax),
            _ => dynasm!(a ; .arch x64 ; add eax, [r15 + PAGE_BASE] ; mov [r15 + layout.pc.off as i32], eax),
        }
        dynasm!(a ; .arch x64 ; jmp extern lookup);
    });
    let mut call = |function: i32| {
        put(&mut |a| {
            let stop = a.new_dynamic_label();
            store_pins(a, layout);
            dynasm!(a ; .arch x64
                ; stmxcsr [r15 + MXCSR]
                ; ldmxcsr [r15 + HOST_MXCSR]
                ; mov rdi, Rq(STATE)
                ; sub rsp, 8
                ; call QWORD [r15 + function]
                ; add rsp, 8
                ; test eax, eax
                ; jne =>stop
                ; ldmxcsr [r15 + MXCSR]);
            load_pins(a, layout);
            dynasm!(a ; .arch x64
                ; ret
                ; =>stop
                ; add rsp, 8
                ; mov eax, Reason::Fault as i32
                ; jmp extern base + bail as usize);
        })
    };
    t.slow = call(SLOW);
    t.call = call(CALL);
    t.pure = std::array::from_fn(|given| put(&mut |a| function(a, given, PURE)));
    t.flags = std::array::from_fn(|given| put(&mut |a| function(a, given, FLAGS)));
    cache.keep();
    t
}

/// Call a function of arguments of which so many are given. It sees nothing that registers hold for the guest, but may change
/// those of them that are its own by the host's convention.
fn function(a: &mut Asm, given: usize, function: i32) {
    let kept = || PINS.iter().copied().filter(|r| (8..12).contains(r));
    let aligned = 8 * (1 - kept().count() as i32 % 2);
    dynasm!(a ; .arch x64 ; vpxor xmm0, xmm0, xmm0);
    for k in given as i32..4 {
        dynasm!(a ; .arch x64 ; vmovdqu [r15 + ARGS + 16 * k], xmm0);
    }
    kept().for_each(|r| dynasm!(a ; .arch x64 ; push Rq(r)));
    if function == FLAGS {
        dynasm!(a ; .arch x64 ; stmxcsr [r15 + MXCSR] ; ldmxcsr [r15 + HOST_MXCSR]);
    }
    dynasm!(a ; .arch x64
        ; lea rdi, [r15 + ARGS]
        ; mov rsi, Rq(STATE)
        ; sub rsp, aligned
        ; call QWORD [r15 + function]
        ; add rsp, aligned);
    if function == FLAGS {
        dynasm!(a ; .arch x64 ; ldmxcsr [r15 + MXCSR]);
    }
    kept()
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .for_each(|r| dynasm!(a ; .arch x64 ; pop Rq(r)));
    dynasm!(a ; .arch x64 ; ret);
}

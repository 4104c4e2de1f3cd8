//! The memory that translated code works on: the guest's state with the accelerator's own words just below it.

use std::sync::atomic::{AtomicU32, AtomicU64};

/// What a vCPU's translated code needs besides the guest's state. It ends where the state starts; the host register that
/// points to the state reaches it at negative displacements. Nothing in it is architectural.
#[repr(C, align(64))]
pub struct Words {
    /// Arguments of a call into Rust, zero-extended.
    pub args: [u128; 4],
    /// Its result, zero-extended.
    pub ret: u128,
    /// The vCPU, for calls into Rust.
    pub owner: u64,
    /// The Rust function behind a memory access that missed the TLB.
    pub slow: u64,
    /// The Rust function behind a call operation.
    pub call: u64,
    /// Executable address of the code cache.
    pub code_base: u64,
    /// Data tables of address spaces 0 and 1.
    pub data: [u64; 2],
    /// Fetch table.
    pub code: u64,
    /// Virtual address of the running block's page.
    pub page_base: u64,
    /// The site that left translated code.
    pub site: u32,
    /// MXCSR for translated code: rounding as the guest's, cumulative flags since it was last read.
    pub mxcsr: u32,
    /// MXCSR for Rust.
    pub host_mxcsr: u32,
    /// Keeps the next field aligned.
    pub reserved: u32,
    /// What other threads ask for: see [`Attention`].
    pub attention: Attention,
    /// Fills up to a multiple of the alignment.
    pub padding: [u64; 1],
}

/// Two words other threads write: non-zero makes translated code leave at the next loop, indirect branch or poll.
#[repr(C, align(8))]
#[derive(Default)]
pub struct Attention {
    /// Leave at every poll point.
    pub now: AtomicU32,
    /// Pending interrupt lines, a bit each: leave where the guest unmasks.
    pub lines: AtomicU32,
}

impl Attention {
    /// Both words as the one that translated code compares with zero at polls.
    pub fn both(&self) -> u64 {
        use std::sync::atomic::Ordering::Acquire;
        self.now.load(Acquire) as u64 | (self.lines.load(Acquire) as u64) << 32
    }
}

const _: () = assert!(size_of::<AtomicU64>() == size_of::<Attention>());
/// Bytes of [`Words`]: a word at offset `o` in it is at displacement `o - SIZE` from the state.
pub const SIZE: i32 = size_of::<Words>() as i32;

macro_rules! displacement {
    ($($name:ident $field:ident;)*) => { $(
        /// Displacement of the field of the same name from the state pointer.
        pub const $name: i32 = std::mem::offset_of!(Words, $field) as i32 - SIZE;
    )* };
}
displacement! {
    ARGS args; RET ret; SLOW slow; CALL call; CODE_BASE code_base; DATA data; CODE code;
    PAGE_BASE page_base; SITE site; MXCSR mxcsr; HOST_MXCSR host_mxcsr; ATTENTION attention;
}
const _: () = assert!(ATTENTION % 8 == 0 && ARGS % 16 == 0);

//! The memory that translated code works on: the guest's state with the accelerator's own words just below it.

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// What a vCPU's translated code needs besides the guest's state. It ends where the state starts; the host register that
/// points to the state reaches it at negative displacements. Nothing in it is architectural.
#[repr(C, align(64))]
#[derive(Default)]
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
    /// The Rust function behind a call of a helper that is a function of its arguments.
    pub pure: u64,
    /// The same for one that raises floating-point flags besides, or computes with floating point.
    pub flags: u64,
    /// Fills up to a multiple of the alignment.
    pub padding: [u64; 1],
}

/// The addresses of the Rust functions that translated code calls.
#[derive(Clone, Copy, Debug)]
pub struct Functions {
    /// See [`Words::slow`].
    pub slow: u64,
    /// See [`Words::call`].
    pub call: u64,
    /// See [`Words::pure`].
    pub pure: u64,
    /// See [`Words::flags`].
    pub flags: u64,
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
    /// Have the vCPU come back and look.
    pub fn look(&self) {
        self.now.fetch_or(1, std::sync::atomic::Ordering::Release);
    }
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
    ARGS args; RET ret; SLOW slow; CALL call; PURE pure; FLAGS flags; CODE_BASE code_base; DATA data; CODE code;
    PAGE_BASE page_base; SITE site; MXCSR mxcsr; HOST_MXCSR host_mxcsr; ATTENTION attention;
}
const _: () = assert!(ATTENTION % 8 == 0 && ARGS % 16 == 0);

/// The name of the word at a (negative) displacement from the state pointer, for listings.
pub fn name(displacement: i32) -> Option<String> {
    let part = |name: &str, first: i32, unit: i32| {
        let (index, rest) = ((displacement - first) / unit, (displacement - first) % unit);
        let high = if rest == 0 { String::new() } else { format!("+{rest}") };
        format!("{name}[{index}]{high}")
    };
    let whole = |name: &str, first: i32| match displacement - first {
        0 => name.to_owned(),
        rest => format!("{name}+{rest}"),
    };
    Some(match displacement {
        d if (ARGS..ARGS + 64).contains(&d) => part("args", ARGS, 16),
        d if (DATA..DATA + 16).contains(&d) => part("data", DATA, 8),
        d if (RET..RET + 16).contains(&d) => whole("ret", RET),
        d if (ATTENTION..ATTENTION + 8).contains(&d) => whole("attention", ATTENTION),
        SLOW => "slow".into(),
        CALL => "call".into(),
        PURE => "pure".into(),
        FLAGS => "flags".into(),
        CODE_BASE => "code_base".into(),
        CODE => "code".into(),
        PAGE_BASE => "page_base".into(),
        SITE => "site".into(),
        MXCSR => "mxcsr".into(),
        HOST_MXCSR => "host_mxcsr".into(),
        _ => return None,
    })
}

/// The memory translated code works on. Other threads reach its [`Attention`] only.
#[repr(C)]
pub struct Frame<S> {
    words: UnsafeCell<Words>,
    state: UnsafeCell<S>,
}

// SAFETY: words and state are used only by who has the `Own`; the attention words are atomic.
unsafe impl<S: Send> Sync for Frame<S> {}

impl<S> Frame<S> {
    /// What other threads may write.
    pub fn attention(&self) -> &Attention {
        // SAFETY: the field is made of atomics and never borrowed mutably.
        unsafe { &(*self.words.get()).attention }
    }
}

/// A [`Frame`], with the right to use its state and words: there is one for each, made with it, and its vCPU has it.
pub struct Own<S> {
    frame: Arc<Frame<S>>,
    /// As if the state were in here: who may share or send that may share or send this.
    _state: PhantomData<S>,
}

impl<S> Own<S> {
    /// A frame with this state.
    pub fn new(state: S) -> Own<S> {
        const {
            assert!(
                align_of::<S>() <= align_of::<Words>(),
                "the state follows the words at once"
            )
        };
        let words = Words {
            mxcsr: MXCSR_DEFAULT,
            ..Words::default()
        };
        let frame = Frame {
            words: UnsafeCell::new(words),
            state: UnsafeCell::new(state),
        };
        Own {
            frame: Arc::new(frame),
            _state: PhantomData,
        }
    }
    /// The frame, for other threads.
    pub fn frame(&self) -> &Arc<Frame<S>> {
        &self.frame
    }
    /// What other threads may write.
    pub fn attention(&self) -> &Attention {
        self.frame.attention()
    }
    /// The state.
    pub fn state(&self) -> &S {
        // SAFETY: whoever could change it needs this, the only `Own` of the frame, mutably.
        unsafe { &*self.frame.state.get() }
    }
    /// The state, to change.
    pub fn state_mut(&mut self) -> &mut S {
        // SAFETY: the only `Own` of the frame is borrowed mutably.
        unsafe { &mut *self.frame.state.get() }
    }
    /// The state's address for translated code, with access to the words below it.
    pub fn pointer(&self) -> *mut u8 {
        let base = Arc::as_ptr(&self.frame).cast::<u8>().cast_mut();
        base.wrapping_add(SIZE as usize)
    }
    fn words(&self) -> *mut Words {
        self.frame.words.get()
    }
    /// The functions behind calls, and the code cache's address.
    pub fn connect(&mut self, to: Functions, code_base: u64) {
        let words = self.words();
        // SAFETY: this is borrowed mutably; fields are written one by one, past the attention words.
        unsafe {
            ((*words).slow, (*words).call) = (to.slow, to.call);
            ((*words).pure, (*words).flags) = (to.pure, to.flags);
            (*words).code_base = code_base;
        }
    }
    /// Where the vCPU is, for calls.
    pub fn set_owner(&mut self, owner: u64) {
        // SAFETY: as in `connect`.
        unsafe { (*self.words()).owner = owner }
    }
    /// The vCPU that translated code called from.
    ///
    /// # Safety
    /// `state` came from [`Own::pointer`], and its frame is still there.
    pub unsafe fn owner(state: *mut u8) -> u64 {
        // SAFETY: the words lie right below the state.
        unsafe { (*state.wrapping_sub(SIZE as usize).cast::<Words>()).owner }
    }
    /// The translation tables: data of both address spaces, fetch.
    pub fn set_tables(&mut self, data: [u64; 2], code: u64) {
        // SAFETY: as in `connect`.
        unsafe { ((*self.words()).data, (*self.words()).code) = (data, code) }
    }
    /// Before entering a block: the virtual address of its page, and what MXCSR says but for flags and masks.
    pub fn prepare(&mut self, page: u64, control: u32) {
        // SAFETY: as in `connect`.
        unsafe { ((*self.words()).page_base, (*self.words()).mxcsr) = (page, MXCSR_DEFAULT | control) }
    }
    /// The site that left, and the virtual address of the page it left from.
    pub fn left_at(&self) -> (u32, u64) {
        // SAFETY: as in `state`.
        unsafe { ((*self.words()).site, (*self.words()).page_base) }
    }
    /// The cumulative flags gathered since the last call.
    pub fn take_flags(&mut self) -> u32 {
        // SAFETY: as in `connect`.
        unsafe {
            let flags = (*self.words()).mxcsr & 0x3f;
            (*self.words()).mxcsr &= !0x3f;
            flags
        }
    }
    /// Call arguments.
    pub fn args(&self) -> [u128; 4] {
        // SAFETY: as in `state`.
        unsafe { (*self.words()).args }
    }
    /// A call's result.
    pub fn set_result(&mut self, ret: u128) {
        // SAFETY: as in `connect`.
        unsafe { (*self.words()).ret = ret }
    }
}

/// All exceptions masked, round to nearest, no flags.
pub const MXCSR_DEFAULT: u32 = 0x1f80;

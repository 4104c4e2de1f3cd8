//! Guest RAM by host address. Other vCPUs and devices access the same bytes at the same time: every access here is
//! made at once where it lies within an aligned 16 bytes, and bytewise otherwise, as the guest may expect.
#![allow(unsafe_code)]

use emu_ir::RamPage;
use memmap2::MmapRaw;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::*};
use std::sync::{Arc, Mutex, PoisonError};

/// The mappings that a vCPU accesses directly. They stay mapped as long as this; an access anywhere else is a panic, as
/// an index past the end of a slice is.
#[derive(Default)]
pub struct Memory {
    mappings: Vec<Arc<MmapRaw>>,
}

macro_rules! at {
    ($t:ident, $p:expr) => {
        // SAFETY: `place` found all the bytes in a mapping that we keep, which is accessed by atomics and by guests only;
        // the address is aligned for the type where this is used.
        unsafe { $t::from_ptr($p.cast()) }
    };
}

impl Memory {
    /// The host address of a page's first byte, for as long as this lives. `None`: the page does not lie in its mapping,
    /// or not at a multiple of 4 KiB.
    pub fn address(&mut self, page: &RamPage) -> Option<u64> {
        let map = page.mapping;
        let end = page.offset.checked_add(0x1000)?;
        let at = (map.as_ptr() as u64).checked_add(page.offset)?;
        if end > map.len() as u64 || !at.is_multiple_of(0x1000) {
            return None;
        }
        if !self.mappings.iter().any(|known| Arc::ptr_eq(known, map)) {
            self.mappings.push(map.clone());
        }
        Some(at)
    }
    /// Where `len` bytes at a host address are.
    #[inline]
    fn place(&self, a: u64, len: u64) -> *mut u8 {
        for map in &self.mappings {
            let offset = a.wrapping_sub(map.as_ptr() as u64);
            if offset.checked_add(len).is_some_and(|end| end <= map.len() as u64) {
                return map.as_mut_ptr().wrapping_add(offset as usize);
            }
        }
        outside(a)
    }
    /// Whether an access lies within an aligned 16 bytes.
    pub const fn at_once(a: u64, len: u32) -> bool {
        a & 15 <= 16 - len as u64
    }
    /// Load 1 to 16 bytes.
    #[inline]
    pub fn load(&self, a: u64, len: u32) -> u128 {
        let p = self.place(a, len.into());
        match len {
            // SAFETY: `place` found the bytes, which are accessed by atomics and by guests only.
            #[cfg(not(miri))]
            2 | 4 | 8 | 16 if Memory::at_once(a, len) => unsafe { load_at_once(p, len) },
            1 => at!(AtomicU8, p).load(Relaxed) as u128,
            2 if a.is_multiple_of(2) => at!(AtomicU16, p).load(Relaxed) as u128,
            4 if a.is_multiple_of(4) => at!(AtomicU32, p).load(Relaxed) as u128,
            8 if a.is_multiple_of(8) => at!(AtomicU64, p).load(Relaxed) as u128,
            16 if a.is_multiple_of(8) => {
                let [low, high] = [p, p.wrapping_add(8)].map(|p| at!(AtomicU64, p).load(Relaxed) as u128);
                low | high << 64
            }
            _ => (0..len as usize).fold(0, |v, k| {
                v | (at!(AtomicU8, p.wrapping_add(k)).load(Relaxed) as u128) << (8 * k)
            }),
        }
    }
    /// Store 1 to 16 bytes.
    #[inline]
    pub fn store(&self, a: u64, len: u32, v: u128) {
        let p = self.place(a, len.into());
        match len {
            // SAFETY: as for loads.
            #[cfg(not(miri))]
            2 | 4 | 8 | 16 if Memory::at_once(a, len) => unsafe { store_at_once(p, len, v) },
            1 => at!(AtomicU8, p).store(v as u8, Relaxed),
            2 if a.is_multiple_of(2) => at!(AtomicU16, p).store(v as u16, Relaxed),
            4 if a.is_multiple_of(4) => at!(AtomicU32, p).store(v as u32, Relaxed),
            8 if a.is_multiple_of(8) => at!(AtomicU64, p).store(v as u64, Relaxed),
            16 if a.is_multiple_of(8) => {
                at!(AtomicU64, p).store(v as u64, Relaxed);
                at!(AtomicU64, p.wrapping_add(8)).store((v >> 64) as u64, Relaxed);
            }
            _ => (0..len as usize).for_each(|k| at!(AtomicU8, p.wrapping_add(k)).store((v >> (8 * k)) as u8, Relaxed)),
        }
    }
    /// Store `new` if memory holds `old`; what it held. 1, 2, 4, 8 or 16 bytes that lie within an aligned 16 (else a panic).
    pub fn compare_exchange(&self, a: u64, len: u32, old: u128, new: u128) -> u128 {
        let fits = if cfg!(miri) {
            a.is_multiple_of(len.into())
        } else {
            Memory::at_once(a, len)
        };
        let possible = matches!(len, 1 | 2 | 4 | 8 | 16) && fits;
        assert!(possible, "an atomic access of {len} bytes at {a:#x}");
        let p = self.place(a, len.into());
        macro_rules! go {
            ($t:ident, $n:ty) => {
                match at!($t, p).compare_exchange(old as $n, new as $n, SeqCst, SeqCst) {
                    Ok(v) | Err(v) => v as u128,
                }
            };
        }
        match len {
            // SAFETY: as for loads.
            #[cfg(not(miri))]
            2 | 4 | 8 if !a.is_multiple_of(len.into()) => unsafe {
                compare_exchange_unaligned(p, len, old as u64, new as u64)
            },
            1 => go!(AtomicU8, u8),
            2 => go!(AtomicU16, u16),
            4 => go!(AtomicU32, u32),
            8 => go!(AtomicU64, u64),
            // SAFETY: as for the others, and the processor has it.
            #[cfg(not(miri))]
            _ if is_x86_feature_detected!("cmpxchg16b") => unsafe { compare_exchange_16(p.cast(), old, new) },
            _ => self.compare_exchange_apart(a, old, new),
        }
    }
    /// 16 bytes on a processor that cannot do it at once: only this is kept apart from itself.
    fn compare_exchange_apart(&self, a: u64, old: u128, new: u128) -> u128 {
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let held = self.load(a, 16);
        if held == old {
            self.store(a, 16, new);
        }
        held
    }
    /// Store what `f` makes of what memory held; what it held. 1, 2, 4 or 8 bytes, as for [`Memory::compare_exchange`].
    pub fn update(&self, a: u64, len: u32, f: impl Fn(u128) -> u128) -> u128 {
        let mut held = self.load(a, len);
        loop {
            let now = self.compare_exchange(a, len, held, f(held));
            if now == held {
                return held;
            }
            held = now;
        }
    }
}

/// By one instruction of the host, which is atomic within an aligned 16 bytes: of all lengths but the whole on every host that
/// is known, of the whole on those that have AVX.
///
/// # Safety
/// `p` is valid for `len` bytes (2, 4, 8 or 16), which are accessed by atomics and by guests only.
#[cfg(not(miri))]
#[inline]
unsafe fn load_at_once(p: *const u8, len: u32) -> u128 {
    let (v, low, high): (u64, u64, u64);
    // SAFETY: the caller's promise.
    unsafe {
        match len {
            2 => {
                std::arch::asm!("movzx {v:e}, word ptr [{p}]", p = in(reg) p, v = out(reg) v, options(nostack, preserves_flags, readonly))
            }
            4 => {
                std::arch::asm!("mov {v:e}, dword ptr [{p}]", p = in(reg) p, v = out(reg) v, options(nostack, preserves_flags, readonly))
            }
            8 => {
                std::arch::asm!("mov {v}, qword ptr [{p}]", p = in(reg) p, v = out(reg) v, options(nostack, preserves_flags, readonly))
            }
            _ => {
                std::arch::asm!(
                    "movdqa {x}, [{p}]",
                    "movq {low}, {x}",
                    "psrldq {x}, 8",
                    "movq {high}, {x}",
                    p = in(reg) p,
                    x = out(xmm_reg) _,
                    low = out(reg) low,
                    high = out(reg) high,
                    options(nostack, preserves_flags, readonly)
                );
                return low as u128 | (high as u128) << 64;
            }
        }
    }
    v.into()
}

/// # Safety
/// As for [`load_at_once`].
#[cfg(not(miri))]
#[inline]
unsafe fn store_at_once(p: *mut u8, len: u32, value: u128) {
    let v = value as u64;
    // SAFETY: the caller's promise.
    unsafe {
        match len {
            2 => {
                std::arch::asm!("mov word ptr [{p}], {v:x}", p = in(reg) p, v = in(reg) v, options(nostack, preserves_flags))
            }
            4 => {
                std::arch::asm!("mov dword ptr [{p}], {v:e}", p = in(reg) p, v = in(reg) v, options(nostack, preserves_flags))
            }
            8 => {
                std::arch::asm!("mov qword ptr [{p}], {v}", p = in(reg) p, v = in(reg) v, options(nostack, preserves_flags))
            }
            _ => std::arch::asm!(
                "movq {x}, {low}",
                "movq {y}, {high}",
                "punpcklqdq {x}, {y}",
                "movdqa [{p}], {x}",
                p = in(reg) p,
                x = out(xmm_reg) _,
                y = out(xmm_reg) _,
                low = in(reg) v,
                high = in(reg) (value >> 64) as u64,
                options(nostack, preserves_flags)
            ),
        }
    }
}

/// # Safety
/// As for [`load_at_once`]; 2, 4 or 8 bytes within an aligned 16.
#[cfg(not(miri))]
unsafe fn compare_exchange_unaligned(p: *mut u8, len: u32, old: u64, new: u64) -> u128 {
    let mut held = old;
    // SAFETY: the caller's promise.
    unsafe {
        match len {
            2 => {
                std::arch::asm!("lock cmpxchg word ptr [{p}], {n:x}", p = in(reg) p, n = in(reg) new, inout("rax") held, options(nostack))
            }
            4 => {
                std::arch::asm!("lock cmpxchg dword ptr [{p}], {n:e}", p = in(reg) p, n = in(reg) new, inout("rax") held, options(nostack))
            }
            _ => {
                std::arch::asm!("lock cmpxchg qword ptr [{p}], {n}", p = in(reg) p, n = in(reg) new, inout("rax") held, options(nostack))
            }
        }
    }
    u128::from(held) & (u128::MAX >> (128 - 8 * len))
}

/// # Safety
/// The processor has the instruction; `p` is valid and aligned, and its bytes are accessed by atomics and by guests only.
#[cfg(not(miri))]
unsafe fn compare_exchange_16(p: *mut u128, old: u128, new: u128) -> u128 {
    let (low, high): (u64, u64);
    // SAFETY: the caller's promise; rbx, which cannot be named as an operand, has its value back in the end. The operands
    // have registers of their own, for the compiler may choose rbx for any that it chooses.
    unsafe {
        std::arch::asm!(
            "xchg rsi, rbx",
            "lock cmpxchg16b [rdi]",
            "mov rbx, rsi",
            in("rdi") p,
            inout("rsi") new as u64 => _,
            in("rcx") (new >> 64) as u64,
            inout("rax") old as u64 => low,
            inout("rdx") (old >> 64) as u64 => high,
            options(nostack),
        );
    }
    low as u128 | (high as u128) << 64
}

#[cold]
#[expect(
    clippy::panic,
    reason = "an access outside of memory must not be made; entries point into memory alone"
)]
fn outside(a: u64) -> ! {
    panic!("host address {a:#x} is not guest memory")
}

#[cfg(test)]
mod tests {
    use super::*;
    use memmap2::MmapOptions;

    /// So many pages, known to a memory; the host address of the first.
    fn pages(count: usize) -> (Memory, Arc<MmapRaw>, u64) {
        let mapping = Arc::new(MmapRaw::from(MmapOptions::new().len(count << 12).map_anon().unwrap()));
        let mut memory = Memory::default();
        let at = memory.address(&page(&mapping, 0)).unwrap();
        (memory, mapping, at)
    }
    fn page(mapping: &Arc<MmapRaw>, offset: u64) -> RamPage<'_> {
        RamPage::plain(mapping, offset, 0)
    }

    #[test]
    fn accesses_of_every_length_and_alignment_read_what_was_stored() {
        let (memory, _, at) = pages(1);
        let value = 0x1011_1213_1415_1617_1819_1a1b_1c1d_1e1f;

        for len in 1..=16 {
            for offset in 0..16 {
                memory.store(at + 32, 16, 0);
                memory.store(at + offset, len, value);
                assert_eq!(memory.load(at + offset, len), value & u128::MAX >> (128 - 8 * len));
                assert_eq!(
                    memory.load(at + 32, 16),
                    0,
                    "{len} bytes at {offset}: more than that changed"
                );
            }
        }
    }

    #[test]
    fn atomic_accesses_give_what_was_there() {
        let (memory, _, at) = pages(1);

        for len in [1, 2, 4, 8, 16] {
            let ones = u128::MAX >> (128 - 8 * len);
            memory.store(at, 16, 5);
            assert_eq!(memory.update(at, len, |held| held ^ ones), 5);
            assert_eq!(memory.compare_exchange(at, len, 5, 7), 5 ^ ones, "{len} bytes differ");
            assert_eq!(memory.compare_exchange(at, len, 5 ^ ones, ones - 1), 5 ^ ones);
            assert_eq!(memory.load(at, 16), ones - 1, "{len} bytes");
        }
    }

    #[test]
    fn updates_by_several_threads_are_all_there() {
        let (memory, _, at) = pages(1);
        const COUNT: u128 = if cfg!(miri) { 20 } else { 10_000 };

        for len in [1, 2, 4, 8, 16] {
            memory.store(at, 16, 0);
            std::thread::scope(|s| {
                for _ in 0..2 {
                    s.spawn(|| {
                        (0..COUNT).for_each(|_| {
                            memory.update(at, len, |held| held + 1);
                        })
                    });
                }
            });
            assert_eq!(
                memory.load(at, len),
                (2 * COUNT) & (u128::MAX >> (128 - 8 * len)),
                "{len} bytes"
            );
        }
    }

    #[test]
    fn memory_is_kept_by_whoever_accesses_it() {
        let (memory, mapping, at) = pages(1);

        drop(mapping);

        assert_eq!(memory.load(at, 8), 0);
    }

    #[test]
    fn a_page_that_is_not_all_inside_its_mapping_has_no_address() {
        let (mut memory, mapping, at) = pages(2);

        assert_eq!(memory.address(&page(&mapping, 0x1000)), Some(at + 0x1000));
        for offset in [0x800, 0x1800, 0x2000, u64::MAX - 0xfff, u64::MAX] {
            assert_eq!(memory.address(&page(&mapping, offset)), None, "{offset:#x}");
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "Rust has no unaligned atomics")]
    fn read_modify_writes_need_not_be_aligned_within_16_bytes() {
        let (memory, _, at) = pages(1);
        for len in [2, 4, 8] {
            for by in 0..=16 - u64::from(len) {
                memory.store(at, 16, u128::MAX);
                let held = memory.update(at + by, len, |v| v - 5);
                let mask = u128::MAX >> (128 - 8 * len);
                assert_eq!(held, mask);
                assert_eq!(memory.compare_exchange(at + by, len, 1, 2), mask - 5, "{len} at {by}");
                assert_eq!(memory.load(at, 16), !(5 << (8 * by)));
            }
        }
    }

    #[test]
    fn nothing_is_accessed_outside_of_the_mappings() {
        let (memory, _, at) = pages(1);
        let panics = |f: &dyn Fn() -> u128| std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).is_err();

        for a in [0, at - 1, at + 0x1000, at + 0xfff, u64::MAX] {
            assert!(panics(&|| memory.load(a, 2)), "{a:#x}");
            assert!(panics(&|| (memory.store(a, 16, 0), 0).1), "{a:#x}");
        }
        for a in [at + 9, at + 0x1000, at - 8, 8] {
            assert!(panics(&|| memory.update(a, 8, |v| v)), "{a:#x}");
            assert!(panics(&|| memory.compare_exchange(a, 8, 0, 0)), "{a:#x}");
        }
        assert!(panics(&|| memory.compare_exchange(at + 8, 16, 0, 0)), "half aligned");
        assert!(panics(&|| memory.update(at, 3, |v| v)), "three bytes");
    }
}

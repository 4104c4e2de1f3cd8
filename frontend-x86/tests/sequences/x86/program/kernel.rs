//! What only the kernel does: it changes mappings and what registers of the system say, and goes to the user.

use super::steps::{A, C, D};
use super::{Kind, Writer};
use crate::program::Set;
use crate::x86::asm::{Asm, BUNDLE};
use crate::x86::layout::*;
use crate::x86::tables::Paging;
use emu_frontend_x86::state::bits::{cr0, cr4, eflags};
use emu_ir::testing::Random;

/// 16 bytes of zeros.
const ZEROS: u32 = TSS + 0x700;

/// To the next bundle, by the mapping that never changes.
fn go_home(asm: &mut Asm) {
    asm.align();
    let next = asm.here() + BUNDLE;
    if asm.set == Set::X64 {
        asm.set(A, next);
        asm.go(A, false);
    } else {
        asm.far(selector::KERNEL_CODE, next);
    }
    asm.align();
}

impl Writer<'_> {
    pub(super) fn govern(&self, asm: &mut Asm, random: &mut Random) {
        let pages = self.tables.paging != Paging::Off;
        match random.word_below(12) {
            0..=4 if pages => self.remap(asm, random),
            5 | 6 if pages => self.switch(asm, random),
            7 if pages => self.without_paging(asm, random),
            0..=7 => self.flip(asm, random),
            8 | 9 => self.breakpoints(asm, random),
            10 => self.model_specific(asm, random),
            _ => {
                // XSETBV.
                asm.set(C, 0);
                asm.set(D, 0);
                asm.set(A, random.pick(&[7, 7, 7, 3, 1, 6]));
                asm.put(&[0x0f, 0x01, 0xd1]);
            }
        }
    }

    /// Changes a mapping, and has the old one forgotten more or less.
    fn remap(&self, asm: &mut Asm, random: &mut Random) {
        go_home(asm);
        let (space, page) = (random.word_below(2), random.word_below(PLAY_PAGES));
        let within = random.word_below(0x1000);
        if random.one_in(8) {
            let entry = self.tables.large(random);
            self.put_entry(asm, self.tables.directory_entry(space, LARGE), entry, random);
            self.forget(asm, LARGE + within, random);
        } else {
            let entry = self.tables.play(random);
            self.put_entry(asm, self.tables.play_entry(space, page), entry, random);
            self.forget(asm, PLAY + (page << 12) + within, random);
        }
    }
    fn put_entry(&self, asm: &mut Asm, at: u32, entry: u64, random: &mut Random) {
        let (low, high) = (entry as u32, (entry >> 32) as u32);
        if self.tables.entry_size() == 4 {
            return asm.store(at, low);
        }
        if self.careful || random.one_in(2) {
            asm.store(at, 0);
        }
        asm.store(at + 4, high);
        asm.store(at, low);
    }
    fn forget(&self, asm: &mut Asm, address: u32, random: &mut Random) {
        let numbered = self.cr4 & cr4::PCIDE != 0;
        match random.word_below(6) {
            0 if !self.careful => {}
            1 if !numbered || !self.careful => {
                asm.mov_from_control(3, A);
                asm.mov_to_control(3, A);
            }
            2..=5 if !numbered || !self.careful => {
                asm.set(A, address);
                asm.put(&[0x36, 0x0f, 0x01, 0x38]); // INVLPG SS:[rAX]
            }
            _ => {
                asm.set(A, if self.careful { 2 } else { random.word_below(5) });
                let modrm: &[u8] = if asm.set == Set::X64 { &[0x04, 0x25] } else { &[0x05] };
                asm.join(&[&[0x36, 0x66, 0x0f, 0x38, 0x82], modrm, &ZEROS.to_le_bytes()]); // INVPCID
            }
        }
    }

    /// To the same address space, or the other.
    fn switch(&self, asm: &mut Asm, random: &mut Random) {
        go_home(asm);
        let root = self.tables.root(random.word_below(2), self.cr4);
        if asm.set == Set::X64 && random.one_in(2) {
            // Nothing is forgotten where there are numbers; without these that is reserved.
            let keep = u64::from(random.one_in(2)) << 63;
            asm.join(&[&[0x48, 0xb8], &(u64::from(root) | keep).to_le_bytes()]);
        } else {
            asm.set(A, root);
        }
        asm.mov_to_control(3, A);
    }

    /// Paging is off for a moment.
    fn without_paging(&self, asm: &mut Asm, random: &mut Random) {
        if self.kind == Kind::Long || self.tables.base != 0 {
            return self.flip(asm, random);
        }
        go_home(asm);
        for _ in 0..2 {
            asm.mov_from_control(0, A);
            asm.flip(cr0::PG as u32);
            asm.mov_to_control(0, A);
            if random.one_in(2) {
                asm.put(&[0x90, 0xf8]);
            }
        }
    }

    /// A bit of CR0 or CR4.
    fn flip(&self, asm: &mut Asm, random: &mut Random) {
        if random.one_in(2) {
            let always = [cr0::TS, cr0::MP, cr0::EM, cr0::AM, cr0::NE, cr0::TS];
            let bit = match self.careful {
                false if random.one_in(3) => cr0::WP,
                _ => random.pick(&always),
            };
            asm.mov_from_control(0, A);
            asm.flip(bit as u32);
            return asm.mov_to_control(0, A);
        }
        let bit = random.pick(&[
            cr4::SMEP,
            cr4::SMAP,
            cr4::SMAP,
            cr4::PGE,
            cr4::DE,
            cr4::TSD,
            cr4::OSXMMEXCPT,
            cr4::OSFXSR,
            cr4::OSXSAVE,
            cr4::FSGSBASE,
            cr4::UMIP,
            cr4::PVI,
            cr4::VME,
        ]);
        asm.mov_from_control(4, A);
        asm.flip(bit as u32);
        asm.mov_to_control(4, A);
    }

    /// Debug registers: breakpoints on data and on code.
    fn breakpoints(&self, asm: &mut Asm, random: &mut Random) {
        let mut control = 0x400;
        for n in 0..1 + random.word_below(2) {
            let at = match random.one_in(3) {
                true => self.place(asm.set, random) & !7,
                false => (CODE + random.word_below(DATA - CODE)) & !(BUNDLE - 1),
            };
            let executes = (CODE..DATA).contains(&at);
            let how = if executes {
                0
            } else {
                random.pick(&[0b0001, 0b1101, 0b0111, 0b1111, 0b1011])
            };
            control |= 1 << (2 * n) | how << (16 + 4 * n);
            asm.set(A, at);
            asm.mov_to_debug(n as u8, A);
        }
        asm.set(A, control | u32::from(random.one_in(16)) << 13);
        asm.mov_to_debug(7, A);
    }

    /// Model-specific registers: bases of segments, EFER.NXE; and PKRU.
    fn model_specific(&self, asm: &mut Asm, random: &mut Random) {
        match random.word_below(4) {
            0 if !self.careful => {
                asm.set(C, 0xc000_0080);
                asm.put(&[0x0f, 0x32]); // RDMSR
                asm.flip(1 << 11);
                asm.put(&[0x0f, 0x30]); // WRMSR
            }
            1 => {
                asm.set(C, 0);
                asm.set(D, 0);
                asm.set(A, random.word() & random.word() & random.word() & !3);
                asm.put(&[0x0f, 0x01, 0xef]); // WRPKRU
            }
            _ => {
                asm.set(C, random.pick(&[0xc000_0100, 0xc000_0101, 0xc000_0102, 0xc000_0084]));
                asm.set(D, 0);
                asm.set(A, random.pick(&[0, 0, 0x10]));
                asm.put(&[0x0f, 0x30]);
            }
        }
    }

    /// EFLAGS of the user.
    fn user_flags(&self, random: &mut Random) -> u32 {
        let mut flags = random.word() & (eflags::STATUS | eflags::DF | eflags::IF) | eflags::FIXED;
        let mut some = |n: u64, bits: u32| flags |= if random.one_in(n) { bits } else { 0 };
        some(2, eflags::IOPL);
        some(16, eflags::TF);
        some(4, eflags::AC);
        some(16, eflags::NT);
        some(16, eflags::VIF);
        some(32, eflags::RF);
        flags
    }
    /// Goes to one of the user's chunks.
    pub(super) fn leave(&self, asm: &mut Asm, random: &mut Random) {
        let chunks = self.chunks.iter().copied().filter(|c| *c >= KERNEL_CHUNKS);
        let chunks: Vec<u32> = chunks.collect();
        let chunk = random.pick(&chunks);
        let (to, set, flags) = (chunk_at(chunk), self.set_of(chunk), self.user_flags(random));
        if set == Set::X16 && self.is_virtual() {
            let segment = random.word_below(to >> 4);
            let frame = [
                0,
                0,
                0,
                0,
                0,
                USER_STACK,
                flags | eflags::VM,
                segment,
                to - (segment << 4),
            ];
            frame.into_iter().for_each(|word| asm.push(word));
            return asm.iret();
        }
        let (code, base) = match set {
            Set::X16 => (selector::USER_CODE16, 0),
            Set::X32 if random.one_in(4) => (selector::USER_BASED, USER_BASE),
            Set::X32 => (selector::USER_CODE32, 0),
            _ => (selector::USER_CODE64, 0),
        };
        match random.word_below(6) {
            0 if self.kind == Kind::Long && matches!(set, Set::X32 | Set::X64) => {
                asm.set(C, to);
                asm.set(11, flags);
                asm.put(if set == Set::X64 {
                    &[0x48, 0x0f, 0x07]
                } else {
                    &[0x0f, 0x07]
                }); // SYSRET
            }
            1 if matches!(set, Set::X32 | Set::X64) => {
                asm.set(D, to);
                asm.set(C, USER_STACK);
                asm.put(if set == Set::X64 {
                    &[0x48, 0x0f, 0x35]
                } else {
                    &[0x0f, 0x35]
                }); // SYSEXIT
            }
            2 => {
                [selector::USER_DATA.into(), USER_STACK, code.into(), to - base]
                    .into_iter()
                    .for_each(|word| asm.push(word));
                asm.ret_far();
            }
            _ => {
                [selector::USER_DATA.into(), USER_STACK, flags, code.into(), to - base]
                    .into_iter()
                    .for_each(|word| asm.push(word));
                asm.iret();
            }
        }
    }
}

//! CPUID (SDM 2, CPUID; APM 3, appendix E): leaves made of a model's features, of how many CPUs there are and of what registers say.

use crate::model::Model;
use crate::platform::X86;
use crate::state::bits::{cr4, xcr0};
use crate::state::{Cpu, mode};

/// EAX, EBX, ECX, EDX.
pub type Registers = [u32; 4];

const EAX: usize = 0;
const EBX: usize = 1;
const ECX: usize = 2;
const EDX: usize = 3;

/// A bit: leaf, subleaf, register, number.
type Bit = (u32, u32, usize, u32);

/// Where each feature's bit is.
#[rustfmt::skip]
pub const BITS: &[(&str, Bit)] = &[
    ("fpu", (1, 0, EDX, 0)), ("vme", (1, 0, EDX, 1)), ("de", (1, 0, EDX, 2)), ("pse", (1, 0, EDX, 3)), ("tsc", (1, 0, EDX, 4)),
    ("msr", (1, 0, EDX, 5)), ("pae", (1, 0, EDX, 6)), ("mce", (1, 0, EDX, 7)), ("cx8", (1, 0, EDX, 8)), ("apic", (1, 0, EDX, 9)),
    ("sep", (1, 0, EDX, 11)), ("mtrr", (1, 0, EDX, 12)), ("pge", (1, 0, EDX, 13)), ("mca", (1, 0, EDX, 14)),
    ("cmov", (1, 0, EDX, 15)), ("pat", (1, 0, EDX, 16)), ("pse36", (1, 0, EDX, 17)), ("clflush", (1, 0, EDX, 19)),
    ("mmx", (1, 0, EDX, 23)), ("fxsr", (1, 0, EDX, 24)), ("sse", (1, 0, EDX, 25)), ("sse2", (1, 0, EDX, 26)),
    ("ss", (1, 0, EDX, 27)),
    ("pni", (1, 0, ECX, 0)), ("pclmulqdq", (1, 0, ECX, 1)), ("monitor", (1, 0, ECX, 3)), ("ssse3", (1, 0, ECX, 9)),
    ("fma", (1, 0, ECX, 12)), ("cx16", (1, 0, ECX, 13)), ("pcid", (1, 0, ECX, 17)), ("sse4.1", (1, 0, ECX, 19)),
    ("sse4.2", (1, 0, ECX, 20)), ("x2apic", (1, 0, ECX, 21)), ("movbe", (1, 0, ECX, 22)), ("popcnt", (1, 0, ECX, 23)),
    ("tsc-deadline", (1, 0, ECX, 24)), ("aes", (1, 0, ECX, 25)), ("xsave", (1, 0, ECX, 26)), ("avx", (1, 0, ECX, 28)),
    ("f16c", (1, 0, ECX, 29)), ("rdrand", (1, 0, ECX, 30)), ("hypervisor", (1, 0, ECX, 31)),
    ("arat", (6, 0, EAX, 2)),
    ("fsgsbase", (7, 0, EBX, 0)), ("tsc-adjust", (7, 0, EBX, 1)), ("bmi1", (7, 0, EBX, 3)), ("avx2", (7, 0, EBX, 5)),
    ("smep", (7, 0, EBX, 7)), ("bmi2", (7, 0, EBX, 8)), ("invpcid", (7, 0, EBX, 10)), ("zero-fcs-fds", (7, 0, EBX, 13)), ("rdseed", (7, 0, EBX, 18)),
    ("adx", (7, 0, EBX, 19)), ("smap", (7, 0, EBX, 20)), ("clflushopt", (7, 0, EBX, 23)), ("clwb", (7, 0, EBX, 24)),
    ("sha-ni", (7, 0, EBX, 29)),
    ("umip", (7, 0, ECX, 2)), ("pku", (7, 0, ECX, 3)), ("gfni", (7, 0, ECX, 8)), ("vaes", (7, 0, ECX, 9)),
    ("vpclmulqdq", (7, 0, ECX, 10)), ("la57", (7, 0, ECX, 16)), ("rdpid", (7, 0, ECX, 22)),
    ("arch-capabilities", (7, 0, EDX, 29)),
    ("xsaveopt", (0xd, 1, EAX, 0)), ("xsavec", (0xd, 1, EAX, 1)), ("xgetbv1", (0xd, 1, EAX, 2)), ("xsaves", (0xd, 1, EAX, 3)),
    ("syscall", (EXTENDED + 1, 0, EDX, 11)), ("nx", (EXTENDED + 1, 0, EDX, 20)), ("mmxext", (EXTENDED + 1, 0, EDX, 22)),
    ("fxsr-opt", (EXTENDED + 1, 0, EDX, 25)), ("pdpe1gb", (EXTENDED + 1, 0, EDX, 26)), ("rdtscp", (EXTENDED + 1, 0, EDX, 27)),
    ("lm", (EXTENDED + 1, 0, EDX, 29)),
    ("lahf-lm", (EXTENDED + 1, 0, ECX, 0)), ("cmp-legacy", (EXTENDED + 1, 0, ECX, 1)), ("abm", (EXTENDED + 1, 0, ECX, 5)),
    ("3dnowprefetch", (EXTENDED + 1, 0, ECX, 8)), ("topoext", (EXTENDED + 1, 0, ECX, 22)),
    ("invtsc", (EXTENDED + 7, 0, EDX, 8)),
];

/// The first of the extended leaves.
const EXTENDED: u32 = 0x8000_0000;
/// The first of those that are a hypervisor's.
const HYPERVISOR: u32 = 0x4000_0000;
/// Of EDX of leaf 1, what AMD's have in the extended leaf as well.
const REPEATED: u32 = 0x0183_f3ff;
/// Bytes of a line of caches.
const LINE: u32 = 64;

/// A component of XSAVE's areas: its bit of XCR0, its bytes, and where it is in the standard format (SDM 1, 13.5).
pub const COMPONENTS: [(u64, u32, u32); 2] = [(xcr0::AVX, 256, 576), (xcr0::PKRU, 8, 2688)];
/// Bytes of what x87 and SSE take, and the header.
const LEGACY: u32 = 576;

/// What CPUID gives for a leaf and a subleaf.
pub fn cpuid(x: &X86, cpu: &Cpu, leaf: u32, subleaf: u32) -> Registers {
    let model = &x.model;
    let (leaf, subleaf) = match leaf {
        HYPERVISOR..=0x4000_00ff if model.has("hypervisor") => (leaf, subleaf),
        EXTENDED.. if leaf <= model.extended_level => (leaf, subleaf),
        _ if leaf <= model.level => (leaf, subleaf),
        // Leaves that there are not: the highest basic one (SDM 2, CPUID), of AMD's zeros (APM 3, CPUID).
        _ if model.amd => return [0; 4],
        _ => (model.level, subleaf),
    };
    let mut found = Leaf { x, cpu, subleaf }.registers(leaf);
    for (name, (of, sub, register, bit)) in BITS {
        // Of leaves without subleaves, ECX says nothing.
        let meant = *of == leaf && (*sub == subleaf || !matches!(leaf, 7 | 0xd));
        if meant && model.has(name) {
            #[allow(clippy::indexing_slicing, reason = "one of four")]
            let word = &mut found[*register];
            *word |= 1 << bit;
        }
    }
    if leaf == EXTENDED + 1 {
        repeat(&mut found, x, cpu);
    }
    found
}

/// What of EDX of 80000001H is not a feature's.
fn repeat(found: &mut Registers, x: &X86, cpu: &Cpu) {
    if x.model.amd {
        found[EDX] |= cpuid(x, cpu, 1, 0)[EDX] & REPEATED;
    } else if cpu.mode & mode::CODE64 == 0 {
        // Intel's have SYSCALL in 64-bit mode alone, and say so.
        found[EDX] &= !(1 << 11);
    }
}

/// A leaf that is asked for.
struct Leaf<'a> {
    x: &'a X86,
    cpu: &'a Cpu,
    subleaf: u32,
}

/// Twelve bytes as EBX, EDX, ECX.
fn vendor(amd: bool) -> [u32; 3] {
    words(if amd { b"AuthenticAMD" } else { b"GenuineIntel" })
}
fn words(bytes: &[u8; 12]) -> [u32; 3] {
    let word = |n: usize| {
        bytes
            .iter()
            .skip(4 * n)
            .take(4)
            .rev()
            .fold(0, |w, &b| w << 8 | u32::from(b))
    };
    [word(0), word(1), word(2)]
}

impl Leaf<'_> {
    fn model(&self) -> &Model {
        &self.x.model
    }
    /// How many CPUs there are, in one package, each a core.
    fn count(&self) -> u32 {
        self.x.platform.cpu_count().max(1)
    }
    /// The APIC ID.
    fn id(&self) -> u32 {
        self.x.platform.cpu_index()
    }
    /// Bits of an APIC ID within the package.
    fn id_bits(&self) -> u32 {
        self.count().next_power_of_two().trailing_zeros()
    }

    /// What is not a feature's bit.
    fn registers(&self, leaf: u32) -> Registers {
        let model = self.model();
        match leaf {
            0 | EXTENDED => {
                let [b, d, c] = vendor(model.amd);
                let highest = if leaf == 0 { model.level } else { model.extended_level };
                match leaf {
                    EXTENDED if !model.amd => [highest, 0, 0, 0],
                    _ => [highest, b, c, d],
                }
            }
            1 => self.identification(),
            2 if !model.amd => descriptors(model),
            4 if !model.amd => self.cache(),
            5 if model.has("monitor") => [LINE, LINE, 3, 0],
            0xb | 0x1f if !model.amd => self.topology(),
            7 if self.subleaf == 0 => {
                let keys = model.has("pku") && self.cpu.sys.cr4 & cr4::PKE != 0;
                [0, 0, u32::from(keys) << 4, 0]
            }
            0xd if model.has("xsave") => self.state(),
            0x15 if !model.amd => clock(self.x.platform.tsc_hz()),
            0x16 if !model.amd => {
                let mhz = (self.x.platform.tsc_hz() / 1_000_000) as u32 & 0xffff;
                [mhz, mhz, 100, 0]
            }
            HYPERVISOR => {
                let [b, c, d] = words(b"emuemuemuemu");
                [HYPERVISOR, b, c, d]
            }
            0x8000_0002..=0x8000_0004 => self.brand(leaf),
            _ => self.extended(leaf),
        }
    }

    fn identification(&self) -> Registers {
        let (model, count) = (self.model(), self.count());
        let flush = if model.has("clflush") { LINE / 8 } else { 0 };
        let several = count > 1 && model.has("apic");
        let logical = if several { count.next_power_of_two().min(255) } else { 0 };
        let ebx = flush << 8 | logical << 16 | self.id() << 24;
        let saves = model.has("xsave") && self.cpu.sys.cr4 & cr4::OSXSAVE != 0;
        [model.signature, ebx, u32::from(saves) << 27, u32::from(several) << 28]
    }

    /// Leaf 4, and AMD's 8000001DH, which is the same: a cache a subleaf.
    fn cache(&self) -> Registers {
        let Some(&(kind, level, ways, sets)) = CACHES.get(self.subleaf as usize) else {
            return [0; 4];
        };
        let sharing = if level == 3 {
            self.count().next_power_of_two()
        } else {
            1
        };
        let cores = if self.model().amd {
            1
        } else {
            self.count().next_power_of_two()
        };
        let [sharing, cores] = [sharing - 1, cores - 1];
        let eax = kind | level << 5 | 1 << 8 | (sharing & 0xfff) << 14 | (cores & 0x3f) << 26;
        let inclusive = u32::from(level == 3) << 1;
        [eax, (LINE - 1) | (ways - 1) << 22, sets - 1, inclusive]
    }
    /// Leaves 0BH and 1FH: threads of a core, cores of the package.
    fn topology(&self) -> Registers {
        let (level, id) = (self.subleaf & 0xff, self.id());
        match self.subleaf {
            0 => [0, 1, level | 1 << 8, id],
            1 => [self.id_bits(), self.count(), level | 2 << 8, id],
            _ => [0, 0, level, id],
        }
    }
    /// Leaf 0DH: what XSAVE saves.
    fn state(&self) -> Registers {
        let model = self.model();
        let needs = |bit| if bit == xcr0::AVX { "avx" } else { "pku" };
        let there = || COMPONENTS.iter().filter(|c| model.has(needs(c.0)));
        let all = there().fold(xcr0::X87 | xcr0::SSE, |all, c| all | c.0);
        let enabled = self.cpu.sys.xcr0 | self.cpu.sys.xss;
        let end = |of: u64| {
            let used = there().filter(|c| c.0 & of != 0);
            used.fold(LEGACY, |end, c| end.max(c.1 + c.2))
        };
        match self.subleaf {
            0 => [all as u32, end(self.cpu.sys.xcr0), end(all), 0],
            1 if model.has("xsavec") => {
                let used = there().filter(|c| c.0 & enabled != 0);
                [0, used.fold(LEGACY, |end, c| end + c.1), 0, 0]
            }
            n => {
                let found = there().find(|c| c.0.trailing_zeros() == n);
                found.map_or([0; 4], |c| [c.1, c.2, 0, 0])
            }
        }
    }
    fn brand(&self, leaf: u32) -> Registers {
        let at = 16 * (leaf - EXTENDED - 2) as usize;
        let mut bytes = self.model().brand.bytes().skip(at).chain(std::iter::repeat(0));
        [(); 4].map(|()| u32::from_le_bytes([(); 4].map(|()| bytes.next().unwrap_or(0))))
    }
    /// Extended leaves from 80000005H on.
    fn extended(&self, leaf: u32) -> Registers {
        let model = self.model();
        let linear = model.linear_bits();
        match leaf - EXTENDED.min(leaf) {
            // AMD's caches of level 1: KiB, ways, lines a tag, bytes of a line.
            5 if model.amd => [
                0,
                0,
                32 << 24 | 8 << 16 | 1 << 8 | LINE,
                32 << 24 | 8 << 16 | 1 << 8 | LINE,
            ],
            // Level 2: KiB, ways as a code (8: 16 ways), lines a tag, bytes of a line.
            6 => {
                let third = if model.amd {
                    32 << 18 | 8 << 12 | 1 << 8 | LINE
                } else {
                    0
                };
                [0, 0, 1024 << 16 | 8 << 12 | LINE, third]
            }
            8 => {
                let long = if model.has("lm") { linear << 8 } else { 32 << 8 };
                let cores = if model.amd {
                    self.id_bits() << 12 | (self.count() - 1) & 0xff
                } else {
                    0
                };
                [u32::from(model.address_bits) | long, 0, cores, 0]
            }
            0x1d if model.has("topoext") => self.cache(),
            0x1e if model.has("topoext") => [self.id(), self.id() & 0xff, 0, 0],
            _ => [0; 4],
        }
    }
}

/// Caches: 1 of data, 2 of instructions, 3 of both; level, ways, sets.
const CACHES: [(u32, u32, u32, u32); 4] = [(1, 1, 8, 64), (2, 1, 8, 64), (3, 2, 16, 1024), (3, 3, 16, 16384)];

/// Leaf 2: descriptors of caches and TLBs, or that leaf 4 has them (FFH).
fn descriptors(model: &Model) -> Registers {
    if model.level >= 4 {
        return [0x0000_ff01, 0, 0, 0];
    }
    [0x0302_0101, 0, 0, 0x0c04_0843]
}

/// Leaf 15H: the time-stamp counter's rate is the crystal's times EBX / EAX. The local APIC's timer counts at the crystal's (SDM
/// 3, 11.5.4).
fn clock(hz: u64) -> Registers {
    let times = hz.div_ceil(u32::MAX.into()).max(1);
    [1, times as u32, (hz / times) as u32, 0]
}

#[cfg(test)]
mod tests;

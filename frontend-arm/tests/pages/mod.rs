//! A CPU at EL1 with pages of its own for code.

use crate::ram::{BASE, Ram};
use emu_frontend_arm::a64::state::{psr, sctlr, tcr};
use emu_frontend_arm::a64::{A64, Cpu, model};
use emu_jit::engine::{Accel, Exit, Vcpu};

pub const VECTORS: u32 = BASE + 0x1000;
/// Pages of code, of which one is guarded.
pub const PLAIN: u32 = BASE + 0x2000;
pub const GUARDED: u32 = BASE + 0x3000;
pub const OTHER: u32 = BASE + 0x4000;
pub const STACK: u32 = BASE + 0x8000;
pub const TABLES: [u32; 3] = [BASE + 0x1_0000, BASE + 0x1_1000, BASE + 0x1_2000];
const PAGE: u64 = 1 << 11 | 1 << 10 | 3 << 8 | 3;
pub const GP: u64 = 1 << 50;

pub const WFI: u32 = 0xd503_207f;

pub struct Bench {
    pub v: Vcpu<A64>,
    pub ram: Ram,
}

impl Bench {
    /// At EL1, MMU on, WFI everywhere, X0 to X29 the start of the guarded page.
    pub fn new(accel: Accel, model: &str) -> Option<Bench> {
        let ram = Ram::new();
        for at in (VECTORS..OTHER + 0x1000).step_by(4) {
            ram.put(at, &WFI.to_le_bytes());
        }
        let put = |at: u32, d: u64| ram.put(at, &d.to_le_bytes());
        put(TABLES[0] + 8, u64::from(TABLES[1]) | 3);
        put(TABLES[1], u64::from(TABLES[2]) | 3);
        for page in 0..0x20 {
            put(TABLES[2] + 8 * page, u64::from(BASE + 0x1000 * page) | PAGE);
        }
        let guest = A64::alone(model::find(model).unwrap());
        let v = Vcpu::new(guest, Cpu::reset(), Box::new(ram.clone()), accel, true).ok()?;
        let mut bench = Bench { v, ram };
        bench.page(GUARDED, GP);
        bench.start();
        Some(bench)
    }
    fn start(&mut self) {
        let mut cpu = Cpu::reset();
        cpu.pc = PLAIN.into();
        let c = &mut cpu.sys;
        c.vbar = VECTORS.into();
        c.tcr = 25 | tcr::EPD1 | tcr::TBI0 | 2 << 32;
        c.ttbr0 = TABLES[0].into();
        c.mair = 0xff;
        c.sctlr |= sctlr::M | sctlr::NTWI;
        cpu.x = [GUARDED.into(); 32];
        (cpu.x[30], cpu.x[31]) = (PLAIN.into(), STACK.into());
        cpu.set_psr(psr::SP | 1 << psr::EL_SHIFT);
        *self.v.state_mut() = cpu;
    }
    /// What the descriptor of a page has besides.
    pub fn page(&mut self, at: u32, more: u64) -> &mut Bench {
        let place = TABLES[2] + 8 * ((at - BASE) >> 12);
        self.ram.put(place, &(u64::from(at) | PAGE | more).to_le_bytes());
        self.v.reset_caches();
        self
    }
    pub fn code(&mut self, at: u32, words: &[u32]) -> &mut Bench {
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        self.ram.put(at, &bytes);
        self.v.reset_caches();
        self
    }
    pub fn cpu(&mut self) -> &mut Cpu {
        self.v.state_mut()
    }
    /// Runs up to WFI: where that is, or what the exception says: ESR_EL1, ELR_EL1, SPSR_EL1.BTYPE.
    pub fn run(&mut self) -> Result<u64, (u64, u64, u64)> {
        assert_eq!(self.v.run(), Exit::Wait);
        let cpu = self.v.state();
        if cpu.pc.wrapping_sub(VECTORS.into()) < 0x800 {
            return Err((cpu.sys.esr, cpu.sys.elr, cpu.sys.spsr >> 10 & 3));
        }
        assert_eq!(cpu.btype(), 0);
        Ok(cpu.pc - 4)
    }
}

/// A bench for each accelerator that this host can run, with this code in the plain page, and floating point.
#[allow(dead_code, reason = "not every test needs them")]
pub fn benches(code: &[u32]) -> Vec<Bench> {
    let all = [Accel::Interp, Accel::Jit].map(|accel| Bench::new(accel, "max"));
    let with_code = |mut bench: Bench| {
        bench.code(PLAIN, code);
        bench.cpu().sys.cpacr = 3 << 20;
        bench.cpu().update_mode();
        bench
    };
    all.into_iter().flatten().map(with_code).collect()
}

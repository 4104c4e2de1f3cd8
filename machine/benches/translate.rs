//! What translating costs: guest bytes to host code, for compiled code of several kinds.
//!
//! The budget is 2,000 host cycles for each guest instruction; the last line says how many it took, in the fastest of
//! many batches and in the median.
#![allow(clippy::restriction, reason = "what cannot be measured ends it")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use emu_frontend_arm::Arm;
use emu_frontend_arm::MODELS;
use emu_frontend_arm::state::mode;
use emu_frontend_arm::translate::translate;
use emu_ir::{Access, BlockKey, Builder, Fault, Fetch, Guest};
use emu_jit::opt::{self, CallEffect};
use emu_jit::x64::{self, EmitInfo, Extensions, thunks::Thunks};
use std::time::Instant;

/// Code in one page, by the halfword.
struct Page(Vec<u8>);

impl Fetch for Page {
    fn u16(&mut self, offset: u32) -> Result<u16, Fault> {
        let fault = Fault::Bus {
            addr: offset.into(),
            access: Access::Execute,
        };
        let pair = self.0.get(offset as usize..offset as usize + 2).ok_or(fault)?;
        Ok(u16::from_le_bytes([pair[0], pair[1]]))
    }
}

/// Working memory as the engine keeps it.
#[derive(Default)]
struct Pipeline {
    builder: Builder,
    passes: opt::Scratch,
    emitter: x64::Scratch,
}

impl Pipeline {
    /// Translate all of the page's blocks, one after the other; how many guest instructions they have.
    fn run(&mut self, page: &mut Page, mode: u32) -> u32 {
        let (mut offset, mut insns) = (0, 0);
        while (offset as usize) < page.0.len() {
            let key = BlockKey {
                phys: offset.into(),
                mode: mode.into(),
                marked: false,
            };
            self.builder.block.clear();
            if translate(&MODELS[0], key, offset, 64, page, &mut self.builder).is_err() {
                break;
            }
            let block = &mut self.builder.block;
            let lives = opt::improve(block, Arm::LAYOUT, CallEffect::of::<Arm>, &mut self.passes);
            let info = EmitInfo {
                state: size_of::<<Arm as Guest>::State>(),
                layout: Arm::LAYOUT,
                effect: CallEffect::of::<Arm>,
                thunks: &Thunks::default(),
                at: 0x1000,
                next_page: None,
                alone: true,
                first_site: 0,
                extensions: Extensions::ALL,
            };
            std::hint::black_box(x64::emit(key, block, lives, &info, &mut self.emitter).is_some());
            insns += block.guest_insns;
            offset += block.guest_bytes.max(2);
        }
        insns
    }
}

fn bench(c: &mut Criterion) {
    let simd = mode::VFP | mode::NEON | mode::USER;
    let mut group = c.benchmark_group("translate");
    for (name, words, mode) in [("A32", A32, simd), ("T32", T32, simd | mode::T)] {
        let mut page = Page(words.iter().flat_map(|w| w.to_le_bytes()).collect());
        let mut pipeline = Pipeline::default();
        let insns = pipeline.run(&mut page, mode);
        group.throughput(Throughput::Elements(insns.into()));
        group.bench_function(name, |b| b.iter(|| pipeline.run(&mut page, mode)));
        let mut batches: Vec<f64> = (0..BATCHES).map(|_| ns_each(&mut pipeline, &mut page, mode)).collect();
        batches.sort_by(f64::total_cmp);
        let cycles = |ns: f64| mhz().map_or("?".into(), |mhz| format!("{:.0}", ns * mhz / 1000.0));
        let (fastest, median) = (cycles(batches[0]), cycles(batches[BATCHES / 2]));
        println!("translate/{name}: {fastest} cycles for each of {insns} guest instructions, in the median {median}");
    }
}

/// How often the cost is taken: what else the host does adds to some of them.
const BATCHES: usize = 100;

/// Nanoseconds for each guest instruction, over some rounds.
fn ns_each(pipeline: &mut Pipeline, page: &mut Page, mode: u32) -> f64 {
    let start = Instant::now();
    let insns: u32 = (0..20).map(|_| pipeline.run(page, mode)).sum();
    start.elapsed().as_nanos() as f64 / f64::from(insns)
}

/// The host's clock rate, as the kernel tells it.
fn mhz() -> Option<f64> {
    let info = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|l| l.starts_with("cpu MHz"))?;
    line.split(':').nth(1)?.trim().parse().ok()
}

/// Hash look-up, string comparison, insertion sort, 64-bit arithmetic, dot product, parser, CRC, saturation, calls: GCC -O2.
#[rustfmt::skip]
const A32: &[u32] = &[
    0xe30739b1, 0xe3493e37, 0xe0030193, 0xe1a03c23, 0xe7900103, 0xe3500000, 0x012fff1e, 0xe5903004, 0xe1530001, 0x012fff1e,
    0xe5900000, 0xe3500000, 0x1afffff9, 0xe12fff1e, 0xe5d03000, 0xe3530000, 0x05d12000, 0x1a000003, 0xea000006, 0xe5f03001,
    0xe3530000, 0x0a000005, 0xe1a0c001, 0xe4d12001, 0xe1520003, 0x0afffff8, 0xe0430002, 0xe12fff1e, 0xe5dc2001, 0xe0430002,
    0xe12fff1e, 0xe3510001, 0xd12fff1e, 0xe92d4070, 0xe1a06000, 0xe1a04000, 0xe2415001, 0xe3a00000, 0xe5b4e004, 0xe1a02000,
    0xe1a03004, 0xea000003, 0xe5831000, 0xe3720001, 0xe24c3004, 0x0a000009, 0xe5131004, 0xe2422001, 0xe1a0c003, 0xe151000e,
    0x8afffff6, 0xe2800001, 0xe58ce000, 0xe1550000, 0x1affffee, 0xe8bd8070, 0xe1a0c006, 0xeafffff8, 0xe1a0c683, 0xe0200682,
    0xe18cc9a2, 0xe1a023a2, 0xe1822c83, 0xe02cc001, 0xe0922000, 0xe30709b9, 0xe3490e37, 0xe0ac33a3, 0xe307cc15, 0xe347cf4a,
    0xe0010290, 0xe021139c, 0xe0802c92, 0xe0811000, 0xe1a00ea2, 0xe1800181, 0xe0211ea1, 0xe0200002, 0xe12fff1e, 0xe3520000,
    0xf2800e30, 0xd12fff1e, 0xe0802182, 0xecf01b02, 0xecf10b02, 0xe1500002, 0xeea10ba0, 0x1afffffa, 0xe12fff1e, 0xe5d03000,
    0xe3530000, 0x0a000016, 0xe92d4030, 0xe3a0e000, 0xe1a0200e, 0xe3a0500a, 0xe0243295, 0xe243c030, 0xe35c0009, 0x92442030,
    0x9a000004, 0xe353002c, 0x1a000009, 0xe781210e, 0xe28ee001, 0xe3a02000, 0xe5f03001, 0xe3530000, 0x1afffff2, 0xe081110e,
    0xe28e0001, 0xe5812000, 0xe8bd8030, 0xe3e00000, 0xe8bd8030, 0xe3a00001, 0xe5813000, 0xe12fff1e, 0xe3510000, 0x0a00000a,
    0xe080c001, 0xe3e01000, 0xe4d03001, 0xe0233001, 0xe150000c, 0xe6ef3073, 0xe7923103, 0xe0231421, 0x1afffff8, 0xe1e00001,
    0xe12fff1e, 0xe1a00001, 0xe12fff1e, 0xe0c10190, 0xe1a007a0, 0xe1a037c1, 0xe1800881, 0xe3700902, 0xe2b32000, 0xb3a00902,
    0xb34f0fff, 0xb3e03000, 0xe3500902, 0xe2d33000, 0xa3070fff, 0xe12fff1e, 0xe92d41f0, 0xe2507000, 0xe24dd008, 0xda000011,
    0xe3a05000, 0xe1a08001, 0xe1a04005, 0xe1a06005, 0xe1a03006, 0xe1a00004, 0xe58d5000, 0xe1a02008, 0xe1a01007, 0xe2844001,
    0xebfffffe, 0xe0855008, 0xe0866000, 0xe1570004, 0x1afffff4, 0xe1a00006, 0xe28dd008, 0xe8bd81f0, 0xe3a06000, 0xe1a00006,
    0xe28dd008, 0xe8bd81f0,
];

/// Hash look-up, string comparison, insertion sort, 64-bit arithmetic, dot product, parser, CRC, saturation, calls: GCC -O2.
#[rustfmt::skip]
const T32: &[u32] = &[
    0x13b1f647, 0x6337f6c9, 0xf303fb01, 0xf8500e1b, 0xb9100023, 0x6800e005, 0x6843b110, 0xd1fa428b, 0x47704770, 0xb91b7803,
    0xf810e00d, 0xb1333f01, 0xf811468c, 0x429a2b01, 0x1a98d0f7, 0xf89c4770, 0x1a982001, 0x780a4770, 0xbf00e7f7, 0xdd242901,
    0x4606b570, 0x1e4d4604, 0x0e00f04f, 0x0f04f854, 0x46234672, 0x6019e004, 0x0304f1ac, 0xd00c1c51, 0x1c04f853, 0x469c3a01,
    0xd8f44281, 0x0e01f10e, 0x0000f8cc, 0xd1e94575, 0x46b4bd70, 0x0e01f10e, 0xf8cc4575, 0xd1e10000, 0x4770e7f6, 0x3c43ea4f,
    0x3042ea80, 0x4cd2ea4c, 0xea4209d2, 0xea8c6243, 0x18120c01, 0x10b9f647, 0x6037f6c9, 0x13d3eb4c, 0x4c15f647, 0x7c4af6c7,
    0xf102fb00, 0x1103fb0c, 0x200cfba2, 0x0f504401, 0x00c1ea40, 0x7151ea81, 0x47704050, 0x0e30ef80, 0xdd0a2a00, 0x02c2eb00,
    0x1b02ecf0, 0x0b02ecf1, 0xeea14290, 0xd1f70ba0, 0x47704770, 0xb3137803, 0xf04fb530, 0x46720e00, 0xfb05250a, 0xf1a33402,
    0xf1bc0c30, 0xbf980f09, 0x0230f1a4, 0x2b2cd906, 0xf841d10e, 0xf10e202e, 0x22000e01, 0x3f01f810, 0xd1ea2b00, 0x018eeb01,
    0x0001f10e, 0xbd30600a, 0x30fff04f, 0x2001bd30, 0x4770600b, 0xeb00b179, 0xf04f0c01, 0xf81031ff, 0x404b3b01, 0xb2db4560,
    0x3023f852, 0x2111ea83, 0x43c8d1f5, 0x46084770, 0xbf004770, 0x0101fb80, 0x13cb0bc0, 0x4041ea40, 0x4f00f510, 0x32fff173,
    0xf44fbfbe, 0xf04f4000, 0xf6cf33ff, 0xf5b070ff, 0xf1734f00, 0xbfa80300, 0x70fff647, 0xbf004770, 0x41f0e92d, 0xb0821e07,
    0x2500dd13, 0x462c4688, 0x4633462e, 0x95004620, 0x46394642, 0xf7ff3401, 0x4445fffe, 0x42a74406, 0x4630d1f3, 0xe8bdb002,
    0x260081f0, 0xb0024630, 0x81f0e8bd,
];

criterion_group!(benches, bench);
criterion_main!(benches);

//! Floating point by x86's rules: what the host's instructions give, in every rounding mode, with and without DAZ and FTZ, is
//! what the interpreter computes.

use super::*;
use emu_ir::{Access, Builder, Context, Env, Fault, Fetch, Helper, Layout, Page, Rules};

/// A guest with [`State`], whose floating point is x86's.
#[derive(Default)]
struct X86;

static LAYOUT: Layout = Layout {
    rules: Rules::X86 {
        mxcsr: Slot::new(std::mem::offset_of!(State, mxcsr), Ty::I32),
    },
    x87: Some(cases::X87),
    pc: Slot::new(std::mem::offset_of!(State, pc), Ty::I32),
    mode: Slot::new(std::mem::offset_of!(State, mode), Ty::I32),
    fp_flags: Slot::new(std::mem::offset_of!(State, fp_flags), Ty::I32),
    fp_round: Slot::new(std::mem::offset_of!(State, fp_round), Ty::I32),
    insn_shift: 0,
    coherent: true,
    pins: &[cases::pinned(0)],
    names: &[],
    helper: |_| "",
};

impl Guest for X86 {
    type State = State;
    const LAYOUT: &'static Layout = &LAYOUT;
    const HELPERS: &'static [Helper<X86>] = &[];

    fn translate(&self, _: BlockKey, _: u32, _: u32, _: &mut dyn Fetch, b: &mut Builder) -> Result<(), Fault> {
        b.exit(Leave::Sync);
        Ok(())
    }
    fn walk(&self, _: &State, _: &mut dyn Bus, addr: u64, access: Access, _: u8) -> Result<Page, Fault> {
        Err(Fault::Bus { addr, access })
    }
    fn context(&self, _: &State, _: u8) -> Context {
        Context::default()
    }
    fn restore(&self, _: &mut State, _: u64, _: u32) {}
    fn raise(&mut self, _: &mut State, _: &mut dyn Env, _: Fault) {}
    fn interrupt(&mut self, _: &mut State, _: &mut dyn Env, _: u32) -> bool {
        false
    }
    fn wakes(&self, _: &State, _: u32) -> bool {
        false
    }
}

/// A block of the operation with operands from slots, as host code of its own vCPU.
struct Host {
    v: Vcpu<X86>,
    next: u64,
}

impl Host {
    fn new() -> Host {
        let translations = Translations::new(Accel::Jit, true, CODE_CACHE).expect("translations");
        let ram = Arc::new(Ram::new(MEMORY).expect("memory"));
        let state: State = bytemuck::Zeroable::zeroed();
        let mut v = Vcpu::sharing(&translations, X86, state, Box::new(OnePage(ram)));
        v.wake();
        Host { v, next: 0x10_0000 }
    }
    fn install(&mut self, block: &Block) -> u64 {
        self.next += 0x1000;
        let key = BlockKey {
            phys: self.next,
            mode: 0,
            marked: false,
        };
        let lives = opt::lives(block, &LAYOUT, CallEffect::of::<X86>, &mut self.v.passes);
        let from = Source {
            cpu: 0,
            key,
            next_page: None,
        };
        let book = self.v.mmu.book().clone();
        let found = book.install::<X86>(from, (block, lives), &mut self.v.emitter);
        entry(&found.unwrap_or_else(|refused| panic!("{refused:?}")))
    }
    fn run(&mut self, entry: u64, state: &State) -> State {
        *self.v.state_mut() = *state;
        self.v.reselect();
        self.v.own.prepare(PAGE_BASE, floating::control(state, &LAYOUT));
        call::enter(&mut self.v, entry);
        self.v.collect_flags();
        *self.v.state()
    }
}

/// DAZ, FTZ, and the masks.
const CONTROLS: [u32; 5] = [0x1f80, 0x1fc0, 0x9f80, 0x9fc0, 0x9780];

#[test]
#[cfg_attr(miri, ignore = "Miri runs no host code")]
fn floating_point_of_x86_emitted_equals_interpreted() {
    let (mut host, mut scratch) = (Host::new(), interp::Scratch::default());
    let mut memory = TestMemory::default();
    for case in cases::of_x86() {
        for how in [Operands::Slots, Operands::Spilled, Operands::Same] {
            let rows = case.rows();
            let block = case.block(how, &rows[0]);
            let entry = host.install(&block);
            let prepared = Prepared::new(block);
            let step = if how == Operands::Slots { 1 } else { 7 };
            for (n, row) in rows.iter().enumerate().step_by(step) {
                let mut state = case.state(row, n as u32 / 5);
                state.mxcsr = CONTROLS[n % 5];
                let mut want = state;

                interp::run(&mut X86, &mut want, &mut memory, &prepared, PAGE_BASE, &mut scratch).expect("no fault");
                let got = host.run(entry, &state);

                let listing = emu_ir::print::Listing {
                    block: prepared.block(),
                    layout: &LAYOUT,
                };
                assert_eq!(got, want, "start {state:x?}\n{listing}");
            }
        }
    }
}

/// The processor's result is the same whoever computes it: of words that SDM 1, 4.8.3.4 and E.4.2, has.
#[test]
fn nans_and_zeros_are_as_the_manual_has_them() {
    let of = |make: fn(&mut Builder, Val, Val) -> Val, a: u32, b: u32| {
        let mut block = Builder::new();
        let (x, y) = (block.imm(Ty::F32, a.into()), block.imm(Ty::F32, b.into()));
        let v = make(&mut block, x, y);
        block.set(any(0, Ty::F32), v);
        block.exit(Leave::Sync);
        let mut state: State = bytemuck::Zeroable::zeroed();
        state.mxcsr = 0x1f80;
        let (mut memory, mut scratch) = (TestMemory::default(), interp::Scratch::default());
        let prepared = Prepared::new(block.block);
        interp::run(&mut X86, &mut state, &mut memory, &prepared, PAGE_BASE, &mut scratch).expect("no fault");
        (state.v[0][0] as u32, state.fp_flags)
    };
    let (one, infinity, quiet, signalling) = (0x3f80_0000, 0x7f80_0000, 0xffc0_0002, 0x7fa0_0001);
    assert_eq!(
        of(|b, x, y| b.fadd(x, y, Fenv::IEEE), signalling, quiet),
        (0x7fe0_0001, emu_ir::FP_INVALID)
    );
    assert_eq!(
        of(|b, x, y| b.fadd(x, y, Fenv::IEEE), quiet, signalling),
        (quiet, emu_ir::FP_INVALID)
    );
    assert_eq!(
        of(|b, x, y| b.fsub(x, y, Fenv::IEEE), infinity, infinity),
        (0xffc0_0000, emu_ir::FP_INVALID)
    );
    assert_eq!(of(|b, x, y| b.fmul(x, y, Fenv::IEEE), 1, one), (1, emu_ir::FP_DENORMAL));
    assert_eq!(
        of(|b, x, y| b.fdiv(x, y, Fenv::IEEE), 1, 0),
        (infinity, emu_ir::FP_DIVZERO)
    );
}

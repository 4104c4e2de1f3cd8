//! A guest around a program of a test's own: all memory is at its own address, and nothing traps or interrupts.

use emu_ir::*;

/// What a [`Flat`] guest runs.
pub trait Program: Send + 'static {
    /// Its state: see [`Guest::State`].
    type State: bytemuck::Pod + Send;
    /// Where the engine finds what it needs in there.
    const LAYOUT: &'static Layout;

    /// Makes the block at page offset `at`: see [`Guest::translate`].
    fn translate(&self, key: BlockKey, at: u32, b: &mut Builder);
}

/// A guest that runs a [`Program`].
pub struct Flat<P>(pub P);

impl<P: Program> Guest for Flat<P> {
    type State = P::State;
    const LAYOUT: &'static Layout = P::LAYOUT;
    const HELPERS: &'static [Helper<Self>] = &[];

    fn translate(&self, key: BlockKey, at: u32, _: u32, _: &mut dyn Fetch, b: &mut Builder) -> Result<(), Fault> {
        self.0.translate(key, at, b);
        Ok(())
    }
    fn walk(&self, _: &P::State, _: &mut dyn Bus, va: u64, _: Access, _: u8) -> Result<Page, Fault> {
        Ok(emu_ir::testing::page(va))
    }
    fn context(&self, _: &P::State, _: u8) -> Context {
        Context::default()
    }
    fn restore(&self, _: &mut P::State, _: u64, _: u32) {}
    fn raise(&mut self, _: &mut P::State, _: &mut dyn Env, fault: Fault) {
        panic!("{fault:?}");
    }
    fn interrupt(&mut self, _: &mut P::State, _: &mut dyn Env, _: u32) -> bool {
        false
    }
    fn wakes(&self, _: &P::State, _: u32) -> bool {
        false
    }
}

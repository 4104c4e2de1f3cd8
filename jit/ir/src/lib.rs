//! The language everybody speaks: frontends write it, passes improve it, the interpreter and the emitter run it.
//!
//! One table of operations ([`ops`]), typed values ([`Ty`], [`Val`]), blocks and their builder ([`Block`], [`Builder`]),
//! a printer, a verifier, and the traits between guest architecture, accelerator and machine ([`Guest`], [`Bus`],
//! [`Env`]). Depends on nothing of ours and names no guest architecture, but for
//! the rules of arithmetic where those differ.
#![forbid(unsafe_code)]

pub mod block;
pub mod guest;
pub mod inspect;
pub mod ops;
pub mod pattern;
pub mod print;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod ty;
pub mod verify;
pub mod x87;

pub use block::{Block, Builder, Inst};
pub use guest::*;
pub use inspect::{Inspect, Plight, Span};
pub use ops::{Effect, Op, Rule};
pub use ty::*;
pub use x87::{X87Form, X87Insn, X87Slots, X87Unit, x87_status};

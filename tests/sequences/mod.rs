//! Random programs, whoever's processor they are for: what they are, who runs them, and how what they come to differs. The
//! frontends' tests have this as a module of theirs, and what is special to a processor is a [`harness::Subject`].
#![allow(dead_code, reason = "not every processor needs all of it")]

pub mod census;
pub mod harness;
pub mod memory;
pub mod pair;
pub mod program;
pub mod trial;
mod watchdog;

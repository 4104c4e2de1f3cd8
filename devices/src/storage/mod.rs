//! Storage.

pub mod pflash;

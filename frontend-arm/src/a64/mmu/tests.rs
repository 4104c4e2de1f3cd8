//! The walk against the manual's tables: sizes, permissions, faults.

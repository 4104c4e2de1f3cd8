//! The textual form of a block: one operation a line, slots by name.
#![expect(
    clippy::indexing_slicing,
    reason = "a verified block has the constants that it names"
)]

use crate::{Block, Layout, Op, Slot};
use std::fmt;

/// A block with the layout that names its slots.
pub struct Listing<'a> {
    /// What is printed.
    pub block: &'a Block,
    /// Where the names come from.
    pub layout: &'a Layout,
}

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, inst) in self.block.insts.iter().enumerate() {
            match inst.op {
                Op::Insn { offset, aux } => writeln!(f, "+{offset:03x}:{}", Aux(aux))?,
                Op::Place { label } => writeln!(f, "L{}:", label.0)?,
                op => {
                    write!(f, "    ")?;
                    if inst.result().is_some() {
                        write!(f, "%{i} = ")?;
                    }
                    write!(f, "{}.{:?}", op.name(), inst.ty)?;
                    self.operands(f, op, inst.ty)?;
                    writeln!(f)?;
                }
            }
        }
        Ok(())
    }
}

struct Aux(u32);
impl fmt::Display for Aux {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            Ok(())
        } else {
            write!(f, " aux {:#x}", self.0)
        }
    }
}

impl Listing<'_> {
    fn operands(&self, f: &mut fmt::Formatter<'_>, op: Op, ty: crate::Ty) -> fmt::Result {
        match op {
            Op::Get { slot } => write!(f, " {}", self.layout.name(Slot { off: slot, ty })),
            Op::Set { slot, a } => write!(f, " {} <- {a:?}", self.layout.name(Slot { off: slot, ty })),
            Op::Const { imm } => write!(f, " {imm:?}"),
            Op::Const128 { pool } => write!(f, " {:#034x}", self.block.pool[pool as usize]),
            Op::VPerm { a, b, pool } => {
                write!(f, " {a:?} {b:?} {:02x?}", self.block.pool[pool as usize].to_le_bytes())
            }
            Op::PcRel { offset } => write!(f, " page{offset:+#x}"),
            Op::Call { helper, args } => {
                write!(f, " {}", (self.layout.helper)(helper))?;
                args.iter()
                    .filter(|a| a.is_some())
                    .try_for_each(|a| write!(f, " {a:?}"))
            }
            Op::Goto {
                offset,
                mode,
                hint,
                poll,
            } => {
                write!(
                    f,
                    " page{offset:+#x} mode {:#x} {hint:?}{}",
                    self.block.mode(mode),
                    if poll { " poll" } else { "" }
                )
            }
            op => op.fields(f),
        }
    }
}

//! The operations by what they touch, as patterns: so that each match over them names every one.

/// Operations that are functions of their operands.
macro_rules! pure_ops {
    () => {
        Op::Const { .. }
            | Op::Const128 { .. }
            | Op::PcRel { .. }
            | Op::Add { .. }
            | Op::Sub { .. }
            | Op::Mul { .. }
            | Op::MulHiU { .. }
            | Op::MulHiS { .. }
            | Op::DivU { .. }
            | Op::DivS { .. }
            | Op::And { .. }
            | Op::Or { .. }
            | Op::Xor { .. }
            | Op::AndNot { .. }
            | Op::Not { .. }
            | Op::Neg { .. }
            | Op::Shl { .. }
            | Op::ShrU { .. }
            | Op::ShrS { .. }
            | Op::Rotr { .. }
            | Op::Clz { .. }
            | Op::Ctz { .. }
            | Op::Popcnt { .. }
            | Op::Bswap { .. }
            | Op::BitRev { .. }
            | Op::AddShl { .. }
            | Op::AddCarry { .. }
            | Op::AddOvf { .. }
            | Op::SubOvf { .. }
            | Op::Adc { .. }
            | Op::AdcCarry { .. }
            | Op::AdcOvf { .. }
            | Op::Eq { .. }
            | Op::Ne { .. }
            | Op::Ult { .. }
            | Op::Ule { .. }
            | Op::Slt { .. }
            | Op::Sle { .. }
            | Op::Select { .. }
            | Op::Zext { .. }
            | Op::Sext { .. }
            | Op::Trunc { .. }
            | Op::Bitcast { .. }
            | Op::FNeg { .. }
            | Op::FAbs { .. }
            | Op::VAdd { .. }
            | Op::VSub { .. }
            | Op::VMul { .. }
            | Op::VMulWideS { .. }
            | Op::VMulWideU { .. }
            | Op::VAbs { .. }
            | Op::VMinS { .. }
            | Op::VMinU { .. }
            | Op::VMaxS { .. }
            | Op::VMaxU { .. }
            | Op::VQAddS { .. }
            | Op::VQAddU { .. }
            | Op::VQSubS { .. }
            | Op::VQSubU { .. }
            | Op::VEq { .. }
            | Op::VGtS { .. }
            | Op::VGtU { .. }
            | Op::VShl { .. }
            | Op::VShrU { .. }
            | Op::VShrS { .. }
            | Op::VShlV { .. }
            | Op::VShrUV { .. }
            | Op::VShrSV { .. }
            | Op::VWidenS { .. }
            | Op::VWidenU { .. }
            | Op::VNarrow { .. }
            | Op::VNarrowSS { .. }
            | Op::VNarrowSU { .. }
            | Op::VNarrowUU { .. }
            | Op::VPopcnt { .. }
            | Op::VClz { .. }
            | Op::VDup { .. }
            | Op::VGetLane { .. }
            | Op::VSetLane { .. }
            | Op::VPerm { .. }
            | Op::VLookup { .. }
            | Op::VConcat { .. }
            | Op::VHalf { .. }
    };
}
/// Floating-point operations with flags.
macro_rules! fp_ops {
    () => {
        Op::FAdd { .. }
            | Op::FSub { .. }
            | Op::FMul { .. }
            | Op::FDiv { .. }
            | Op::FSqrt { .. }
            | Op::FMulAdd { .. }
            | Op::FEq { .. }
            | Op::FLt { .. }
            | Op::FLe { .. }
            | Op::FUn { .. }
            | Op::FCvt { .. }
            | Op::FFromHalf { .. }
            | Op::FToHalf { .. }
            | Op::FToS { .. }
            | Op::FToU { .. }
            | Op::SToF { .. }
            | Op::UToF { .. }
            | Op::VFAdd { .. }
            | Op::VFSub { .. }
            | Op::VFMul { .. }
            | Op::VFMax { .. }
            | Op::VFMin { .. }
            | Op::VFEq { .. }
            | Op::VFGt { .. }
            | Op::VFGe { .. }
            | Op::VFMulAdd { .. }
            | Op::VFToS { .. }
            | Op::VFToU { .. }
            | Op::VSToF { .. }
            | Op::VUToF { .. }
    };
}
/// Operations on state, memory, helpers and control flow.
macro_rules! effect_ops {
    () => {
        Op::Get { .. }
            | Op::Set { .. }
            | Op::Load { .. }
            | Op::Store { .. }
            | Op::Cas { .. }
            | Op::Swap { .. }
            | Op::Barrier { .. }
            | Op::Call { .. }
            | Op::Insn { .. }
            | Op::Place { .. }
            | Op::Br { .. }
            | Op::BrIf { .. }
            | Op::Goto { .. }
            | Op::GotoVal { .. }
            | Op::Exit { .. }
    };
}
pub(crate) use {effect_ops, fp_ops, pure_ops};

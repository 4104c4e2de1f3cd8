//! Helpers of VFP and Advanced SIMD: this part of the table, and what they do.

use crate::a32::vfp::vcvt_to_fixed16;
use crate::calls::{NEXT, calls};
use crate::vector::{estimate, polynomial};

calls! { SIMD at NEXT;
    /// VCVT from float to 16-bit fixed point: arguments float bits, control (see the function).
    VCVT_TO_FIXED16 Flags vcvt_to_fixed16;
    /// VMUL.P8: arguments two vectors.
    VMUL_P8 Pure polynomial::vmul_p8;
    /// VMULL.P8: arguments two V64; a V128.
    VMULL_P8 Pure polynomial::vmull_p8;
    /// VRECPE.U32: argument a vector.
    VRECPE_U32 Pure estimate::vrecpe_u32;
    /// VRSQRTE.U32: argument a vector.
    VRSQRTE_U32 Pure estimate::vrsqrte_u32;
    /// VRECPE.F32: arguments a vector, [`estimate::control`].
    VRECPE_F32 Flags estimate::recip;
    /// VRSQRTE.F32: arguments a vector, [`estimate::control`].
    VRSQRTE_F32 Flags estimate::rsqrt;
}

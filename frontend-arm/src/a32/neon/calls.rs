//! Helpers of VFP and Advanced SIMD: this part of the table, and what they do.

use crate::a32::vfp::vcvt_to_fixed16;
use crate::calls::{NEXT, calls};
use crate::checksum;
use crate::vector::crypto::sha;
use crate::vector::{brain, estimate, half, javascript, polynomial};

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
    /// CRC32: checksum, data, and how many of its bytes; the checksum.
    CRC32 Pure checksum::ieee;
    /// CRC32C: as CRC32.
    CRC32C Pure checksum::castagnoli;
    /// SHA1C: arguments a to d, e, words of the schedule.
    SHA1C Pure sha::sha1_choose;
    /// SHA1P: as SHA1C.
    SHA1P Pure sha::sha1_parity;
    /// SHA1M: as SHA1C.
    SHA1M Pure sha::sha1_majority;
    /// SHA1SU1: arguments Qd, Qm.
    SHA1SU1 Pure sha::sha1_schedule;
    /// SHA256H: arguments a to d, e to h, words of the schedule.
    SHA256H Pure sha::sha256_first;
    /// SHA256H2: as SHA256H.
    SHA256H2 Pure sha::sha256_second;
    /// SHA256SU0: arguments Qd, Qm.
    SHA256SU0 Pure sha::sha256_schedule0;
    /// SHA256SU1: arguments Qd, Qn, Qm.
    SHA256SU1 Pure sha::sha256_schedule1;
    /// VJCVT: arguments a double, whether denormals are flushed; the integer, and in bit 32 Z.
    VJCVT Flags javascript::convert;
    /// Halves as singles: arguments a V64, whether denormals are flushed.
    HALVES_AS_SINGLES Pure half::singles;
    /// VCVT.BF16.F32 and its scalar forms: arguments a vector, [`estimate::control`], the rounding mode.
    VCVT_BF16 Flags brain::convert;
    /// VDOT.BF16: arguments Vd, Vn, Vm.
    VDOT_BF16 Float brain::dot;
    /// VMMLA.BF16: arguments Qd, Qn, Qm.
    VMMLA_BF16 Float brain::matrix;
}

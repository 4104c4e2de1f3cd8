//! The operations by class, as patterns made from the table: so that each match over them names every one.

macro_rules! classes {
    ($( $effect:ident $class:ident {
        $( $(#[$d:meta])* $n:ident { $($fields:tt)* } -> $r:ident $(, $method:ident)?; )*
    } )*) => { $(
        macro_rules! $class { () => { $( Op::$n { .. } )|* }; }
        #[allow(unused_imports)]
        pub(crate) use $class;
    )* };
}
emu_ir::for_each_op!(classes);

/// Operations that are functions of their operands.
macro_rules! pure_ops {
    () => {
        $crate::classes::const_ops!()
            | $crate::classes::int_ops!()
            | $crate::classes::any_ops!()
            | $crate::classes::vec_ops!()
    };
}
/// Floating-point operations with flags, on scalars and vectors.
macro_rules! fp_ops {
    () => {
        $crate::classes::float_ops!() | $crate::classes::vec_float_ops!()
    };
}
/// Operations on state, memory, helpers and control flow.
macro_rules! effect_ops {
    () => {
        $crate::classes::get_ops!()
            | $crate::classes::set_ops!()
            | $crate::classes::load_ops!()
            | $crate::classes::store_ops!()
            | $crate::classes::atomic_ops!()
            | $crate::classes::fence_ops!()
            | $crate::classes::call_ops!()
            | $crate::classes::x87_ops!()
            | $crate::classes::position_ops!()
            | $crate::classes::branch_ops!()
            | $crate::classes::leave_ops!()
    };
}
pub(crate) use {effect_ops, fp_ops, pure_ops};

//! What becomes of telling blocks, from guest instructions to host code, as `emu explain` shows it: a change of the frontend,
//! the passes or the emitter is a change of text in `snapshots/`.
//!
//! After such a change, `INSTA_UPDATE=always cargo test --test emu listings` writes the snapshots anew.

use std::process::Command;

/// An instruction set, as `emu explain` is told of it.
type Set = &'static [&'static str];
const A32: Set = &["--arch", "arm"];
const T32: Set = &["--arch", "arm", "--thumb"];
const A64: Set = &["--arch", "aarch64"];
const I386: Set = &["--arch", "i386"];
const X86_64: Set = &["--arch", "x86_64"];

/// Name, instruction set, and the bytes.
#[rustfmt::skip]
const BLOCKS: &[(&str, Set, &str)] = &[
    ("adds", A32, "020091e0"),
    ("subs_bne", A32, "010050e2 feffff1a"),
    ("cmp_branch_signed", A32, "010050e1 060000aa"),
    ("cmp_branch_unsigned", A32, "0a0054e3 0600008a"),
    ("tst_keeps_carry", A32, "040011e3 0200000a"),
    ("movs_shifter_carry", A32, "a101b0e1 0200002a"),
    ("adc_chain", A32, "020090e0 0310a1e0"),
    ("sbc_chain", A32, "020050e0 0310d1e0 020000ba"),
    ("rsb_rsc", A32, "000070e2 0010e1e2"),
    ("cmn", A32, "010070e3 0200000a"),
    ("conditional_mov", A32, "000050e3 0110a003 0210a013"),
    ("conditional_load", A32, "010050e1 002093b5 042083a5"),
    ("conditional_run", A32, "000050e3 01108112 02208212 03308312"),
    ("shift_by_register", A32, "1102a0e1 5435a0e1 7760a0e1"),
    ("shift_immediate", A32, "c10fa0e1 6320a0e1 2540e0e1"),
    ("barrel_operand", A32, "020181e0 e43323e0"),
    ("push_pop", A32, "70402de9 7080bde8"),
    ("ldm_writeback", A32, "1e00b0e8"),
    ("stm_descending", A32, "07102de9"),
    ("ldr_forms", A32, "000091e5 0820b1e5 043011e4 054191e7"),
    ("ldr_literal", A32, "10009fe5"),
    ("ldrb_strb", A32, "0100d1e5 010042e5"),
    ("ldrh_signed", A32, "b000d1e1 f220d1e1 d330d1e1"),
    ("ldrd_strd", A32, "d000c2e1 f800c2e1"),
    ("ldr_pc", A32, "01f190e7"),
    ("ldrt", A32, "0000b1e4 0000a2e4"),
    ("exclusives", A32, "9f0f91e1 010080e2 902f81e1"),
    ("exclusive_double", A32, "9f0fb2e1 904fa2e1"),
    ("barriers", A32, "5bf07ff5 4ff07ff5 6ff07ff5"),
    ("call", A32, "0e0000eb"),
    ("call_other_page", A32, "fe0f00eb"),
    ("return", A32, "1eff2fe1"),
    ("interworking_call", A32, "33ff2fe1"),
    ("loop_to_self", A32, "041090e4 012052e2 fcffff1a"),
    ("multiply", A32, "910200e0 946523e0 902167e0"),
    ("multiply_long", A32, "920381e0 9647e5e0 940541e0"),
    ("multiply_halves", A32, "810260e1 a46503e1 813220e1"),
    ("divide", A32, "11f210e7 14f533e7"),
    ("saturate", A32, "510002e1 543065e1 1760a7e6 d101e5e6"),
    ("parallel", A32, "920f51e6 b53f84e6 17f086e7"),
    ("extend", A32, "7100efe6 7324bfe6 7640e5e6"),
    ("bit_fields", A32, "d101e4e7 5324a7e7 1542cfe7 1f60c3e7"),
    ("reverse_count", A32, "310fbfe6 b32fbfe6 354fffe6 176f6fe1"),
    ("movw_movt", A32, "340201e3 780645e3"),
    ("system_call", A32, "000000ef"),
    ("status_registers", A32, "00000fe1 01f028e1"),
    ("mask_interrupts", A32, "80000cf1 800008f1"),
    ("thread_pointer", A32, "700f1dee"),
    ("domain_write", A32, "100f03ee"),
    ("wait", A32, "03f020e3"),
    ("exception_return", A32, "04f05ee2"),
    ("undefined", A32, "f700f0e7"),
    ("vfp_arithmetic", A32, "020b21ee 030b30ee c54a34ee"),
    ("vfp_multiply_add", A32, "020b01ee 810aa0ee"),
    ("vfp_compare", A32, "410bb4ee 10faf1ee 020000ca"),
    ("vfp_convert", A32, "c20bb8ee c12bfdee c23bb7ee"),
    ("vfp_divide_root", A32, "020b81ee e33ab1ee"),
    ("vfp_load_store", A32, "020b90ed 001a81ed 064bb2ec"),
    ("vfp_transfer", A32, "120b51ec 904a01ee 005bb7ee"),
    ("neon_integer", A32, "440822f2 5a6918f2 020801f3"),
    ("neon_widen", A32, "030c82f3 052894f2 0862b6f3"),
    ("neon_saturate", A32, "540012f2 8862b6f3"),
    ("neon_shift", A32, "5205a3f2 56409bf3 5a8898f2"),
    ("neon_permute", A32, "4405b2f2 c861b6f3 0ba0b0f3 4eccbcf3"),
    ("neon_compare_select", A32, "540802f3 580116f3 4ea62cf2"),
    ("neon_float", A32, "440d02f2 580d06f2"),
    ("neon_load_store", A32, "8d0220f4 1f4701f4"),
    ("neon_structures", A32, "4f0820f4 0f2001f4"),
    ("thumb_it_block", T32, "0028 0cbf 0121 0221"),
    ("thumb_it_load", T32, "8842 18bf 1a68"),
    ("thumb_compare_zero_branch", T32, "30b1"),
    ("thumb_table_branch", T32, "dfe8 00f0"),
    ("thumb_narrow_flags", T32, "0130 0101 06d3"),
    ("thumb_push_call_pop", T32, "10b5 0446 00f0 1ef8"),
    ("thumb_wide_immediates", T32, "01f6 ff70 4ff0 ff22 64ea 0503"),
    ("thumb_stack_access", T32, "0498 0591 06b0"),
    ("thumb_literal", T32, "0348 02a1"),
    ("thumb_crc_loop", T32, "12f8 013f 6340 8a42 dbb2 0ceb 8303 d3f8 0832 83ea 1424 f5d1"),
    ("a64_adds", A64, "200002ab"),
    ("a64_subs_branch", A64, "00040071 e1ffff54"),
    ("a64_compare_branch", A64, "1f0001eb e8000054"),
    ("a64_test_branch", A64, "03022837"),
    ("a64_zero_branch", A64, "800000b4"),
    ("a64_select", A64, "1f000071 4100839a e4a79f1a"),
    ("a64_condition_compare", A64, "1f0000f1 201844fa cd010054"),
    ("a64_shifted", A64, "200c028b 831cc52a"),
    ("a64_extended", A64, "20c8228b ff6323cb"),
    ("a64_carry", A64, "200002ba 830005da"),
    ("a64_bit_fields", A64, "202c44d3 62101d13 a43c70b3 e624c893"),
    ("a64_logical_immediate", A64, "209c0892 5f001972 83000052"),
    ("a64_move_wide", A64, "8046e2d2 00cfaaf2 a1008012"),
    ("a64_multiply", A64, "200c029b a47c469b 077da99b"),
    ("a64_divide", A64, "2008c29a 830cc51a"),
    ("a64_reverse_count", A64, "200cc0da 6200c05a a410c0da"),
    ("a64_address", A64, "200000b0 e1000010"),
    ("a64_load_forms", A64, "200440f9 6278a4b8 c5144038 07c15fb8"),
    ("a64_store_forms", A64, "200c1ff8 62582478 c5f01f38"),
    ("a64_pairs", A64, "fd7bbea9 40044029 fd7bc2a8"),
    ("a64_exclusives", A64, "20fc5fc8 00040091 20fc02c8"),
    ("a64_exclusive_pair", A64, "40047fc8 441423c8"),
    ("a64_lse", A64, "410020f8 a480e3b8 077da6c8"),
    ("a64_acquire_release", A64, "20fcdfc8 62fc9f88"),
    ("a64_call", A64, "40000094"),
    ("a64_call_other_page", A64, "00080094"),
    ("a64_call_register", A64, "00013fd6"),
    ("a64_return", A64, "c0035fd6"),
    ("a64_loop_to_self", A64, "038440f8 210400f1 4200038b a1ffff54"),
    ("a64_system_call", A64, "010000d4"),
    ("a64_thread_pointer", A64, "40d03bd5 41d01bd5"),
    ("a64_mask_interrupts", A64, "df4203d5"),
    ("a64_exception_return", A64, "e0039fd6"),
    ("a64_barriers", A64, "bf3b03d5 bf3903d5 9f3f03d5 df3f03d5"),
    ("a64_zero_line", A64, "20740bd5"),
    ("a64_crc", A64, "205cc29a"),
    ("a64_aes", A64, "2048284e 0068284e 62e0e40e"),
    ("a64_half", A64, "2014424e 200c420e"),
    ("a64_rounding", A64, "2040661e 2000709e"),
    ("a64_undefined", A64, "01000000"),
    ("a64_fp_arithmetic", A64, "2028621e 8318051f 0741611e"),
    ("a64_fp_compare", A64, "0020611e 62cc641e"),
    ("a64_fp_convert", A64, "2000789e 6200221e a4c0221e"),
    ("a64_fp_load_store", A64, "0000c03d e827016d"),
    ("a64_wait", A64, "7f2003d5"),
    // MOV, MOV, ADD, MOV near each other; PUSH and POP.
    ("x86_near", X86_64, "488b4708 488b4f10 4801c8 48894718"),
    ("x86_push_pop", X86_64, "55 53 4889e5 5b 5d"),
    ("x86_compare_branch", X86_64, "4839d8 7405"),
    ("x86_loop", X86_64, "83e801 75fb"),
    ("x86_carry", X86_64, "4801d8 4811ca"),
    ("x86_shifts", X86_64, "c1e003 d1f9 48d3e2"),
    ("x86_call", X86_64, "e800010000"),
    ("x86_return", X86_64, "c3"),
    ("x86_string", X86_64, "f3a4"),
    ("x86_atomic", X86_64, "f0480fc107 f0480fb10f"),
    ("x86_sse", X86_64, "f20f5907 f20f5ac8 660fefc0"),
    ("x86_avx", X86_64, "c5f458c2 c4e2f5b8c2"),
    ("x86_divide", X86_64, "4899 48f7f9"),
    // PUSH, MOV, SUB; MOV, ADD; LEAVE, RET.
    ("i386_frame", I386, "55 89e5 83ec10 8b4508 0345fc c9 c3"),
    ("i386_segment", I386, "658b0500000000"),
    // FLD, FMUL, FLD, FADDP, FSTP; FLD, FLDCW, FISTP, FLDCW, MOV.
    ("x87_run", I386, "dd4508 dc4d10 dd4518 dec1 dd5d20"),
    ("x87_convert", I386, "dd4508 d96df8 db5df0 d96dfa 8b45f0"),
];

#[test]
fn telling_blocks() {
    for (name, set, bytes) in BLOCKS {
        let mut emu = Command::new(env!("CARGO_BIN_EXE_emu"));

        let output = emu.arg("explain").args(*set).arg(bytes).output().unwrap();

        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {errors}");
        insta::assert_snapshot!(*name, String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn names_are_told_once() {
    let mut names: Vec<_> = BLOCKS.iter().map(|b| b.0).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), BLOCKS.len());
    assert!(names.len() >= 100);
}

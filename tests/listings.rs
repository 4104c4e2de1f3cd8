//! What becomes of telling blocks, from guest instructions to host code, as `emu explain` shows it: a change of the frontend,
//! the passes or the emitter is a change of text in `snapshots/`.
//!
//! After such a change, `INSTA_UPDATE=always cargo test --test emu listings` writes the snapshots anew.

use std::process::Command;

/// Name, whether it is Thumb code, and the bytes.
#[rustfmt::skip]
const BLOCKS: &[(&str, bool, &str)] = &[
    ("adds", false, "020091e0"),
    ("subs_bne", false, "010050e2 feffff1a"),
    ("cmp_branch_signed", false, "010050e1 060000aa"),
    ("cmp_branch_unsigned", false, "0a0054e3 0600008a"),
    ("tst_keeps_carry", false, "040011e3 0200000a"),
    ("movs_shifter_carry", false, "a101b0e1 0200002a"),
    ("adc_chain", false, "020090e0 0310a1e0"),
    ("sbc_chain", false, "020050e0 0310d1e0 020000ba"),
    ("rsb_rsc", false, "000070e2 0010e1e2"),
    ("cmn", false, "010070e3 0200000a"),
    ("conditional_mov", false, "000050e3 0110a003 0210a013"),
    ("conditional_load", false, "010050e1 002093b5 042083a5"),
    ("conditional_run", false, "000050e3 01108112 02208212 03308312"),
    ("shift_by_register", false, "1102a0e1 5435a0e1 7760a0e1"),
    ("shift_immediate", false, "c10fa0e1 6320a0e1 2540e0e1"),
    ("barrel_operand", false, "020181e0 e43323e0"),
    ("push_pop", false, "70402de9 7080bde8"),
    ("ldm_writeback", false, "1e00b0e8"),
    ("stm_descending", false, "07102de9"),
    ("ldr_forms", false, "000091e5 0820b1e5 043011e4 054191e7"),
    ("ldr_literal", false, "10009fe5"),
    ("ldrb_strb", false, "0100d1e5 010042e5"),
    ("ldrh_signed", false, "b000d1e1 f220d1e1 d330d1e1"),
    ("ldrd_strd", false, "d000c2e1 f800c2e1"),
    ("ldr_pc", false, "01f190e7"),
    ("ldrt", false, "0000b1e4 0000a2e4"),
    ("exclusives", false, "9f0f91e1 010080e2 902f81e1"),
    ("exclusive_double", false, "9f0fb2e1 904fa2e1"),
    ("barriers", false, "5bf07ff5 4ff07ff5 6ff07ff5"),
    ("call", false, "0e0000eb"),
    ("call_other_page", false, "fe0f00eb"),
    ("return", false, "1eff2fe1"),
    ("interworking_call", false, "33ff2fe1"),
    ("loop_to_self", false, "041090e4 012052e2 fcffff1a"),
    ("multiply", false, "910200e0 946523e0 902167e0"),
    ("multiply_long", false, "920381e0 9647e5e0 940541e0"),
    ("multiply_halves", false, "810260e1 a46503e1 813220e1"),
    ("divide", false, "11f210e7 14f533e7"),
    ("saturate", false, "510002e1 543065e1 1760a7e6 d101e5e6"),
    ("parallel", false, "920f51e6 b53f84e6 17f086e7"),
    ("extend", false, "7100efe6 7324bfe6 7640e5e6"),
    ("bit_fields", false, "d101e4e7 5324a7e7 1542cfe7 1f60c3e7"),
    ("reverse_count", false, "310fbfe6 b32fbfe6 354fffe6 176f6fe1"),
    ("movw_movt", false, "340201e3 780645e3"),
    ("system_call", false, "000000ef"),
    ("status_registers", false, "00000fe1 01f028e1"),
    ("mask_interrupts", false, "80000cf1 800008f1"),
    ("thread_pointer", false, "700f1dee"),
    ("domain_write", false, "100f03ee"),
    ("wait", false, "03f020e3"),
    ("exception_return", false, "04f05ee2"),
    ("undefined", false, "f700f0e7"),
    ("vfp_arithmetic", false, "020b21ee 030b30ee c54a34ee"),
    ("vfp_multiply_add", false, "020b01ee 810aa0ee"),
    ("vfp_compare", false, "410bb4ee 10faf1ee 020000ca"),
    ("vfp_convert", false, "c20bb8ee c12bfdee c23bb7ee"),
    ("vfp_divide_root", false, "020b81ee e33ab1ee"),
    ("vfp_load_store", false, "020b90ed 001a81ed 064bb2ec"),
    ("vfp_transfer", false, "120b51ec 904a01ee 005bb7ee"),
    ("neon_integer", false, "440822f2 5a6918f2 020801f3"),
    ("neon_widen", false, "030c82f3 052894f2 0862b6f3"),
    ("neon_saturate", false, "540012f2 8862b6f3"),
    ("neon_shift", false, "5205a3f2 56409bf3 5a8898f2"),
    ("neon_permute", false, "4405b2f2 c861b6f3 0ba0b0f3 4eccbcf3"),
    ("neon_compare_select", false, "540802f3 580116f3 4ea62cf2"),
    ("neon_float", false, "440d02f2 580d06f2"),
    ("neon_load_store", false, "8d0220f4 1f4701f4"),
    ("neon_structures", false, "4f0820f4 0f2001f4"),
    ("thumb_it_block", true, "0028 0cbf 0121 0221"),
    ("thumb_it_load", true, "8842 18bf 1a68"),
    ("thumb_compare_zero_branch", true, "30b1"),
    ("thumb_table_branch", true, "dfe8 00f0"),
    ("thumb_narrow_flags", true, "0130 0101 06d3"),
    ("thumb_push_call_pop", true, "10b5 0446 00f0 1ef8"),
    ("thumb_wide_immediates", true, "01f6 ff70 4ff0 ff22 64ea 0503"),
    ("thumb_stack_access", true, "0498 0591 06b0"),
    ("thumb_literal", true, "0348 02a1"),
    ("thumb_crc_loop", true, "12f8 013f 6340 8a42 dbb2 0ceb 8303 d3f8 0832 83ea 1424 f5d1"),
];

#[test]
fn telling_blocks() {
    for (name, thumb, bytes) in BLOCKS {
        let mut emu = Command::new(env!("CARGO_BIN_EXE_emu"));
        emu.args(["explain", "--arch", "arm"]);
        if *thumb {
            emu.arg("--thumb");
        }

        let output = emu.arg(bytes).output().unwrap();

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
    assert!(names.len() >= 60);
}

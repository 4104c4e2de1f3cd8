//! The decoder against what a processor did with the instructions of the vectors: which there are, and how long.

use super::super::vectors::{self, Vector};
use super::X86;
use super::allowed::show;
use super::record::{Record, vector};
use super::words::{insn, rows};
use emu_frontend_x86::decode::insn::Insn;
use emu_frontend_x86::decode::row::Method;
use std::collections::BTreeSet;

/// Instructions that there are and that the processor answers with #UD: names of rows, and why.
#[rustfmt::skip]
const RAISES: &[(&[&str], &str)] = &[
    (&["ud0", "ud1", "ud2"], "this is what they do"),
    (&["clac", "stac", "rsm"], "at any level but 0, or outside of SMM"),
    (&["mov_from_control", "mov_to_control", "mov_from_debug", "mov_to_debug"], "of registers that are not there"),
    (&["mov_from_segment", "mov_to_segment"], "of registers that are not there, and to CS"),
    (&["vgatherdps", "vgatherdpd", "vgatherqps", "vgatherqpd", "vpgatherdd", "vpgatherdq", "vpgatherqd", "vpgatherqq"],
        "\"If any pair of the index, mask, or destination registers are the same\": SDM 2, 2.4.12"),
    (&["pextrd", "pinsrd"], "VEX.W in 32-bit code: the APM has no such form"),
];

/// Whether control goes on behind the instruction.
fn goes_on(insn: &Insn) -> bool {
    let jumps = insn
        .row
        .operands
        .iter()
        .any(|o| matches!(o.method, Method::J | Method::A));
    let names = ["call", "jmp", "ret", "call_far", "jmp_far", "ret_far", "iret"];
    !jumps && !names.contains(&insn.row.name)
}

/// How the processor's view differs from the decoder's, if it does.
fn difference(v: &Vector<Record>) -> Option<String> {
    let stayed = v.after.rip == v.before.rip;
    let undefined = stayed && v.after.vector == vector::UD;
    match insn(&v.before) {
        Ok(_) if undefined => Some("is decoded, but #UD".into()),
        Ok(insn) if !stayed && goes_on(&insn) && v.after.vector == vector::GP => {
            let length = v.after.rip.wrapping_sub(v.before.rip);
            (length != u64::from(insn.length)).then(|| format!("is {length} bytes long, not {}", insn.length))
        }
        // Before it is known to be undefined, a byte of it may be missing.
        Err(_) if !(undefined || stayed && v.after.vector == vector::PF) => Some("is not decoded, but works".into()),
        _ => None,
    }
}

#[test]
fn the_decoder_agrees_with_a_processor() {
    let files: BTreeSet<String> = rows().into_iter().map(|row| row.file).collect();
    let load = |file: String| vectors::load::<X86>(&file).unwrap_or_else(|e| panic!("{e}"));
    let (mut wrong, mut excused, mut count) = (Vec::new(), vec![0; RAISES.len()], 0);
    for (row, vectors) in files.into_iter().flat_map(load) {
        for v in &vectors {
            count += 1;
            let Some(text) = difference(v) else { continue };
            let reason = RAISES.iter().position(|(names, _)| names.contains(&row.name.as_str()));
            match reason.filter(|_| text.ends_with("#UD")) {
                Some(reason) => excused[reason] += 1,
                None => wrong.push(format!("{}: {} {text}", row.id(), show(&v.before))),
            }
        }
    }
    println!(
        "{count} instructions, {} that are decoded and raise #UD",
        excused.iter().sum::<usize>()
    );
    let unused: Vec<_> = RAISES.iter().zip(&excused).filter(|&(_, &n)| n == 0).collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(unused.is_empty(), "not needed: {unused:?}");
}

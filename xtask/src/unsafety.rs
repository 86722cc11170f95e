//! Where `unsafe` may stand. The compiler denies it everywhere (a workspace lint); this list says who may
//! lift that, so that a new place is a change that a reviewer sees here.

use crate::tidy::Source;

/// Files or folders, with the reason.
const ALLOWED: &[(&str, &str)] = &[
    ("src/wrd-sys/src/", "the kernel: descriptors, fork, exec, credentials"),
    ("src/pam-wrd-enrol/src/ffi.rs", "the face of a PAM module"),
    ("src/wrd-leader/src/pam.rs", "the PAM binding"),
    ("src/wrd-leader/src/pam/", "the PAM binding"),
    ("src/wrd-session/src/render/buffer.rs", "the framebuffer is a mapping that pixman draws into"),
];

pub fn check(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in sources {
        if ALLOWED.iter().any(|(place, _)| source.path.starts_with(place)) || source.path.starts_with("xtask/") {
            continue;
        }
        for (number, line) in source.text.lines().enumerate() {
            if uses_unsafe(line) {
                complaints.push(format!(
                    "{}:{}: unsafe outside the list in xtask/src/unsafety.rs",
                    source.path,
                    number + 1
                ));
            }
        }
    }
    complaints
}

/// Whether a line has the keyword or lifts the lint; comments and the names of attributes do not count.
fn uses_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe" || word == "unsafe_code")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keyword_is_found_and_the_word_is_not() {
        assert!(uses_unsafe("    let x = unsafe { y() };"));
        assert!(uses_unsafe("unsafe fn f() {}"));
        assert!(uses_unsafe("#[allow(unsafe_code)]"));
        assert!(!uses_unsafe("// unsafe is denied"));
        assert!(!uses_unsafe("#![deny(unsafe_op_in_unsafe_fn)]"));
        assert!(!uses_unsafe("let not_unsafe = 1;"));
    }

    #[test]
    fn a_file_outside_the_list_is_a_complaint() {
        let bad = Source { path: "src/wrd-gate/src/tls.rs".into(), text: "//! x\nunsafe { y() }\n".into() };
        let good = Source { path: "src/wrd-sys/src/spawn.rs".into(), text: "//! x\nunsafe { y() }\n".into() };
        assert_eq!(check(&[bad, good]).len(), 1);
    }
}

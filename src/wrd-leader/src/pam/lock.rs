//! What pam_unix keeps to itself when it refuses a password of `/etc/shadow`: that an administrator has locked it
//! (`usermod --lock`, `passwd --lock`), or that there is none. The journal is told of either; the user, where what they gave
//! is the password that was locked.
//!
//! Always true: nobody is let in by what is found here. Deliberately absent: accounts of other databases, whose modules
//! have their own words, and locks of whole accounts (`chage --expiredate`), which PAM tells by itself.

use nix::libc;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::null_mut;
use wrd_proto::Secret;
use zeroize::Zeroizing;

/// What else is to be known of a password that PAM has refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Nothing: it was the wrong one.
    Open,
    /// No password is the right one.
    NoPassword,
    /// Whatever password is given, the right one (`known`) as well.
    Locked { known: bool },
}

/// Looks at `user` after PAM has refused them; with the password that was all they gave, if it was. Costs the time of one
/// hash where that is locked.
pub fn of(user: &str, password: Option<&Secret>) -> Lock {
    match std::fs::read(SHADOW).map(Zeroizing::new) {
        Ok(file) => find(&file, user).map_or(Lock::Open, |field| judge(field, password)),
        Err(error) => {
            tracing::debug!("whether the password is locked is not known: {SHADOW}: {error}");
            Lock::Open
        }
    }
}

/// The second field of the line of `user` (shadow(5)).
fn find<'a>(file: &'a [u8], user: &str) -> Option<&'a str> {
    let field = file.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        if fields.next() == Some(user.as_bytes()) { fields.next() } else { None }
    });
    std::str::from_utf8(field?).ok()
}

/// By the field's text (shadow(5), passwd(1)): `!` locks what stands behind it, `*` is nobody's password.
fn judge(field: &str, password: Option<&Secret>) -> Lock {
    let hash = field.trim_start_matches('!');
    match (hash.is_empty() || hash.starts_with('*'), hash == field) {
        (true, _) => Lock::NoPassword,
        (false, true) => Lock::Open,
        (false, false) => Lock::Locked { known: password.is_some_and(|password| is_of(hash, password)) },
    }
}

/// Whether `hash` is that of `password`.
fn is_of(hash: &str, password: &Secret) -> bool {
    let phrase = Zeroizing::new([password.expose(), &[0]].concat());
    let (Ok(phrase), Ok(setting)) = (CStr::from_bytes_with_nul(&phrase), CString::new(hash)) else { return false };
    crypt(phrase, &setting).is_some_and(|made| made == setting)
}

/// `crypt(3)`: by libxcrypt, as pam_unix does it. (The crate of that name does not build beside pam-client: each wants
/// another bindgen, which want another libclang.)
#[allow(unsafe_code)]
fn crypt(phrase: &CStr, setting: &CStr) -> Option<CString> {
    let (mut data, mut size) = (null_mut(), 0);
    // SAFETY: two C strings, and an area that libcrypt allocates and frees nowhere.
    let made = unsafe { crypt_ra(phrase.as_ptr(), setting.as_ptr(), &raw mut data, &raw mut size) };
    // SAFETY: not null, it is a C string within that area.
    let made = (!made.is_null()).then(|| unsafe { CStr::from_ptr(made) }.to_owned());
    // SAFETY: of `malloc` or null, and nothing points to it any more.
    unsafe { libc::free(data) };
    made
}

#[allow(unsafe_code)]
#[link(name = "crypt")]
unsafe extern "C" {
    fn crypt_ra(phrase: *const c_char, setting: *const c_char, data: *mut *mut c_void, size: *mut c_int)
    -> *mut c_char;
}

const SHADOW: &str = "/etc/shadow";

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(field: &str, password: impl AsRef<[u8]>) -> Lock {
        super::judge(field, Some(&Secret::new(password.as_ref().to_vec()).unwrap()))
    }

    #[test]
    fn a_line_is_found_by_its_whole_name() {
        let file = b"alice:$6$a:1:\nal:!:1:\nbob:*\ncarol\ndave:\xff:\n";
        assert_eq!(find(file, "alice"), Some("$6$a"));
        assert_eq!(find(file, "al"), Some("!"));
        assert_eq!(find(file, "bob"), Some("*"));
        for none in ["", "ali", "carol", "dave", "erin", "bob:*"] {
            assert_eq!(find(file, none), None, "{none}");
        }
    }

    #[test]
    fn what_is_locked_is_known_to_who_knows_its_password() {
        // Every method that Debian's, Fedora's and SUSE's passwd(1) have had.
        for method in ["$y$j9T$saltsalt$", "$gy$j9T$saltsalt$", "$2b$05$abcdefghijklmnopqrstuu", "$6$salt$", "$5$salt$"]
        {
            let setting = CString::new(method).unwrap();
            let hash = crypt(c"pw-alice", &setting).unwrap().into_string().unwrap();
            assert!(hash.starts_with(method) && hash.len() > method.len() + 20, "{hash}");
            for mark in ["!", "!!"] {
                let field = format!("{mark}{hash}");
                assert_eq!(judge(&field, "pw-alice"), Lock::Locked { known: true }, "{method}");
                assert_eq!(super::judge(&field, None), Lock::Locked { known: false }, "{method}");
                for wrong in ["pw-alicf", "", "pw-alice ", &field, &hash] {
                    assert_eq!(judge(&field, wrong), Lock::Locked { known: false }, "{method} {wrong:?}");
                }
            }
            assert_eq!(judge(&hash, "pw-alice"), Lock::Open, "{method}");
        }
        assert_eq!(judge("!x", "x"), Lock::Locked { known: false });
        assert_eq!(judge("!$6$", b"\xff"), Lock::Locked { known: false });
    }

    #[test]
    fn no_password_is_no_lock() {
        for field in ["", "*", "!", "!!", "!*", "*LK*", "!*0"] {
            assert_eq!(judge(field, "x"), Lock::NoPassword, "{field}");
        }
        assert_eq!(judge("x", "x"), Lock::Open);
    }
}

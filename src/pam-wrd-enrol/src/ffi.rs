//! The face to PAM: entry points, and the few functions of libpam that they need. All of the `unsafe` is here.
//!
//! The `auth` part looks at the password in `pam_sm_authenticate`, where it cannot know yet whether the stack says yes,
//! and keeps its hash with the transaction; it writes in `pam_sm_setcred`, which programs call only after that.

#![allow(unsafe_code)]

use crate::store::{self, STATE_DIR, User};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::ptr;
use wrd_enrol::{EntryName, NotText, NtHash};

/// `pam_handle_t`.
#[repr(C)]
pub struct Handle {
    opaque: [u8; 0],
}

type Cleanup = unsafe extern "C" fn(*mut Handle, *mut c_void, c_int);

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_get_item(handle: *const Handle, item: c_int, value: *mut *const c_void) -> c_int;
    fn pam_set_data(handle: *mut Handle, name: *const c_char, data: *mut c_void, cleanup: Option<Cleanup>) -> c_int;
    fn pam_get_data(handle: *const Handle, name: *const c_char, data: *mut *const c_void) -> c_int;
    fn pam_modutil_getpwnam(handle: *mut Handle, user: *const c_char) -> *mut libc::passwd;
    fn pam_syslog(handle: *const Handle, priority: c_int, format: *const c_char, ...);
}

// Linux-PAM, <security/_pam_types.h>.
const PAM_SUCCESS: c_int = 0;
const PAM_IGNORE: c_int = 25;
const PAM_USER: c_int = 2;
const PAM_AUTHTOK: c_int = 6;
const PAM_ESTABLISH_CRED: c_int = 0x2;
const PAM_REINITIALIZE_CRED: c_int = 0x8;
const PAM_REFRESH_CRED: c_int = 0x10;
const PAM_UPDATE_AUTHTOK: c_int = 0x2000;

/// The password may be the right one: its hash is kept until that is known.
#[unsafe(no_mangle)]
pub extern "C" fn pam_sm_authenticate(
    handle: *mut Handle,
    _flags: c_int,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    ignoring(|| {
        let pam = Pam(handle);
        if let Some((_, Ok(hash))) = pam.user(min_uid(argc, argv)).zip(pam.hash()) {
            pam.keep(hash);
        }
    })
}

/// It was the right one.
#[unsafe(no_mangle)]
pub extern "C" fn pam_sm_setcred(handle: *mut Handle, flags: c_int, argc: c_int, argv: *const *const c_char) -> c_int {
    ignoring(|| {
        let pam = Pam(handle);
        if flags & (PAM_ESTABLISH_CRED | PAM_REINITIALIZE_CRED | PAM_REFRESH_CRED) == 0 {
            return;
        }
        if let Some((user, hash)) = pam.user(min_uid(argc, argv)).zip(pam.kept()) {
            pam.enrol(&user, &hash);
            pam.drop_kept();
        }
    })
}

/// There is a new password: in the second round, which comes after every module has agreed.
#[unsafe(no_mangle)]
pub extern "C" fn pam_sm_chauthtok(
    handle: *mut Handle,
    flags: c_int,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    ignoring(|| {
        let pam = Pam(handle);
        if flags & PAM_UPDATE_AUTHTOK == 0 {
            return;
        }
        let Some((user, hash)) = pam.user(min_uid(argc, argv)).zip(pam.hash()) else { return };
        match hash {
            Ok(hash) => pam.enrol(&user, &hash),
            Err(error) => {
                store::forget(Path::new(STATE_DIR), &user);
                pam.log(&format!("{} is not enrolled for NLA: {error}", user.name));
            }
        }
    })
}

/// Whatever happens is nothing to whoever called.
fn ignoring(work: impl FnOnce()) -> c_int {
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // Of this module alone: nothing is written to the terminal of whoever changes a password.
        std::panic::set_hook(Box::new(|_| {}));
        work();
    }));
    PAM_IGNORE
}

/// `min_uid=N` of the module's arguments; users below are no people.
fn min_uid(argc: c_int, argv: *const *const c_char) -> u32 {
    let mut min_uid = 1000;
    let Some(count) = usize::try_from(argc).ok().filter(|_| !argv.is_null()) else { return min_uid };
    // SAFETY: PAM calls with `argc` pointers, which live as long as the call.
    let arguments = unsafe { std::slice::from_raw_parts(argv, count) };
    for argument in arguments.iter().filter(|argument| !argument.is_null()) {
        // SAFETY: each of them is a string that lives as long as the call.
        let argument = unsafe { CStr::from_ptr(*argument) };
        let number = argument.to_str().ok().and_then(|text| text.strip_prefix("min_uid="));
        min_uid = number.and_then(|number| number.parse().ok()).unwrap_or(min_uid);
    }
    min_uid
}

/// One transaction, for the time of a call.
struct Pam(*mut Handle);

impl Pam {
    /// The user of the transaction, where that is a person.
    fn user(&self, min_uid: u32) -> Option<User> {
        let text = self.item(PAM_USER)?;
        let name = EntryName::try_from(text.to_str().ok()?).ok()?;
        // SAFETY: the handle is PAM's, the name a string that outlives the call.
        let account = unsafe { pam_modutil_getpwnam(self.0, text.as_ptr()) };
        // SAFETY: null, or an account that lives as long as the transaction.
        let uid = unsafe { account.as_ref() }?.pw_uid;
        (uid >= min_uid).then_some(User { name, uid })
    }

    /// Of the password, where there is one.
    fn hash(&self) -> Option<Result<NtHash, NotText>> {
        let password = self.item(PAM_AUTHTOK)?.to_bytes();
        (!password.is_empty()).then(|| NtHash::of_password(password))
    }

    /// A string of the transaction's. No call of this module changes one.
    fn item(&self, item: c_int) -> Option<&CStr> {
        let mut value = ptr::null();
        // SAFETY: the handle is PAM's, and the place for the answer is ours.
        let got = unsafe { pam_get_item(self.0, item, &raw mut value) };
        if got != PAM_SUCCESS || value.is_null() {
            return None;
        }
        // SAFETY: these items are strings that live until they are set anew.
        Some(unsafe { CStr::from_ptr(value.cast()) })
    }

    fn keep(&self, hash: NtHash) {
        let data = Box::into_raw(Box::new(hash));
        // SAFETY: the data is a box of ours, which `drop_hash` takes back, once.
        let kept = unsafe { pam_set_data(self.0, DATA.as_ptr(), data.cast(), Some(drop_hash)) };
        if kept != PAM_SUCCESS {
            // SAFETY: PAM did not take it.
            drop(unsafe { Box::from_raw(data) });
        }
    }

    fn kept(&self) -> Option<NtHash> {
        let mut data = ptr::null();
        // SAFETY: the handle is PAM's, and the place for the answer is ours.
        let got = unsafe { pam_get_data(self.0, DATA.as_ptr(), &raw mut data) };
        if got != PAM_SUCCESS {
            return None;
        }
        // SAFETY: null, or what `keep` has put there.
        unsafe { data.cast::<NtHash>().as_ref() }.cloned()
    }

    fn drop_kept(&self) {
        // SAFETY: PAM calls `drop_hash` for what is there, and puts nothing in its place.
        unsafe { pam_set_data(self.0, DATA.as_ptr(), ptr::null_mut(), None) };
    }

    fn enrol(&self, user: &User, hash: &NtHash) {
        match store::enrol(Path::new(STATE_DIR), user, hash) {
            Ok(()) => {}
            Err(error) if error.is_expected() => {}
            Err(error) => self.log(&format!("{} is not enrolled for NLA: {error}", user.name)),
        }
    }

    fn log(&self, text: &str) {
        let Ok(text) = CString::new(text) else { return };
        // SAFETY: the format takes one string, which is there.
        unsafe { pam_syslog(self.0, libc::LOG_WARNING, c"%s".as_ptr(), text.as_ptr()) };
    }
}

/// Takes back what [`Pam::keep`] gave to PAM.
unsafe extern "C" fn drop_hash(_: *mut Handle, data: *mut c_void, _: c_int) {
    if !data.is_null() {
        // SAFETY: only boxes of hashes are kept under our name, and PAM calls this once for each.
        drop(unsafe { Box::from_raw(data.cast::<NtHash>()) });
    }
}

const DATA: &CStr = c"pam_wrd_enroll";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_uid_is_an_argument() {
        let of = |arguments: &[&CStr]| {
            let pointers: Vec<*const c_char> = arguments.iter().map(|argument| argument.as_ptr()).collect();
            min_uid(arguments.len() as c_int, pointers.as_ptr())
        };
        assert_eq!(of(&[]), 1000);
        assert_eq!(of(&[c"debug", c"min_uid=500"]), 500);
        assert_eq!(of(&[c"min_uid=", c"min_uid=x", c"min_uid=-1"]), 1000);
        assert_eq!(min_uid(3, ptr::null()), 1000);
        assert_eq!(min_uid(-1, [c"min_uid=5".as_ptr()].as_ptr()), 1000);
    }

    #[test]
    fn a_panic_ends_here() {
        assert_eq!(ignoring(|| panic!("not seen")), PAM_IGNORE);
        assert_eq!(ignoring(|| {}), PAM_IGNORE);
    }
}

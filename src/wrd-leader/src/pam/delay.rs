//! The delay that modules want after a failure (pam_fail_delay(3)), kept for later instead of slept through: libpam
//! would sleep within `pam_authenticate`, deaf to a client that has gone and to a monitor that ends the login.
//!
//! Always true: one process has one login, so that there is one delay.

use pam_client::{Context, ConversationHandler, Result};
use std::ffi::{c_int, c_uint, c_void};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// In µs, as modules asked for it and libpam varied it.
static WANTED: AtomicU32 = AtomicU32::new(0);

/// What libpam calls instead of sleeping, at the end of each authentication and each change of a password.
extern "C" fn keep(status: c_int, microseconds: c_uint, _conversation: *mut c_void) {
    if status != PAM_SUCCESS {
        WANTED.store(microseconds, Ordering::Relaxed);
    }
}

/// Has the delays of this transaction kept.
#[allow(unsafe_code)]
pub fn keep_those_of<C: ConversationHandler>(context: &mut Context<C>) -> Result<()> {
    let keep: extern "C" fn(c_int, c_uint, *mut c_void) = keep;
    // SAFETY: the item is a function of exactly this kind, which is there as long as the process.
    unsafe { context.set_item(PAM_FAIL_DELAY, keep as *const c_void) }
}

/// How long a failure is to be kept from the user; nothing twice.
pub fn take() -> Duration {
    Duration::from_micros(WANTED.swap(0, Ordering::Relaxed).into()).min(LONGEST)
}

/// More than that is no delay but a fault of a module's.
const LONGEST: Duration = Duration::from_secs(30);
const PAM_SUCCESS: c_int = 0;
/// Linux-PAM's number for it, which the binding does not have.
const PAM_FAIL_DELAY: c_int = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_to_wait_once_and_a_success_not_at_all() {
        let nobody = std::ptr::null_mut();
        keep(PAM_SUCCESS, 2_000_000, nobody);
        assert_eq!(take(), Duration::ZERO);
        keep(7, 2_000_000, nobody);
        assert_eq!((take(), take()), (Duration::from_secs(2), Duration::ZERO));
        keep(7, c_uint::MAX, nobody);
        assert_eq!(take(), LONGEST);
    }
}

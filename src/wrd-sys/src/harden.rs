//! What a process does to itself so that a mistake in it costs less.

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};

/// No exec from here on gains rights (setuid bits, file capabilities).
pub fn no_new_privileges() -> nix::Result<()> {
    prctl::set_no_new_privs()
}

/// No core dump and no ptrace or /proc/PID/mem for processes of the same uid.
pub fn not_dumpable() -> nix::Result<()> {
    prctl::set_dumpable(false)?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)
}

/// From here on what is freed is overwritten: for a process that lives long after libraries of others
/// (PAM's) have freed their copies of a password.
#[cfg(target_env = "gnu")]
#[allow(unsafe_code)]
pub fn wipe_freed_memory() {
    // SAFETY: sets a byte that the C library's free() writes over what it frees.
    unsafe { nix::libc::mallopt(nix::libc::M_PERTURB, 0x5a) };
}

/// From here on a buffer of 2 MiB or more goes back to the kernel when it is freed. Left alone, the C
/// library takes the first large one that is freed for a habit and keeps all later ones: a desktop that was
/// once looked at in 4K would stay twice as large for the rest of its life.
#[cfg(target_env = "gnu")]
#[allow(unsafe_code)]
pub fn give_large_memory_back() {
    const LARGE: i32 = 2 << 20;
    // SAFETY: sets a number that the C library's malloc() compares sizes with.
    unsafe { nix::libc::mallopt(nix::libc::M_MMAP_THRESHOLD, LARGE) };
}

/// Other C libraries have no such thing.
#[cfg(not(target_env = "gnu"))]
pub fn wipe_freed_memory() {}

/// Other C libraries have no such habit.
#[cfg(not(target_env = "gnu"))]
pub fn give_large_memory_back() {}

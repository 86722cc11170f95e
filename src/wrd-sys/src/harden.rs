//! What a process does to itself so that a mistake in it costs less.

use nix::libc;
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use std::io;

/// Becomes another user for good, without any other group and without a way to gain a capability again, and looks
/// afterwards whether that is so. Allocates nothing: this runs between fork and exec, too.
#[allow(unsafe_code)]
pub fn become_user(uid: u32, gid: u32) -> io::Result<()> {
    empty_bounding_set()?;
    // SAFETY: setgroups reads no element of an empty list.
    check(unsafe { libc::setgroups(0, std::ptr::null()) })?;
    // SAFETY: takes three numbers.
    check(unsafe { libc::setresgid(gid, gid, gid) })?;
    // SAFETY: takes three numbers.
    check(unsafe { libc::setresuid(uid, uid, uid) })?;
    let now = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    // SAFETY: takes a number; getting root back must fail.
    let back = uid != 0 && unsafe { libc::setuid(0) } == 0;
    if now != (uid, gid) || back {
        return Err(io::Error::from_raw_os_error(libc::EPERM));
    }
    Ok(())
}

/// No program that this process may yet start can have a capability, whatever its file says. Needs CAP_SETPCAP.
#[allow(unsafe_code)]
fn empty_bounding_set() -> io::Result<()> {
    for capability in 0..64 {
        // SAFETY: takes two numbers; it is an error behind the last capability that this kernel has.
        match unsafe { libc::prctl(libc::PR_CAPBSET_READ, capability, 0, 0, 0) } {
            0 => {}
            // SAFETY: takes two numbers.
            1 => check(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) })?,
            _ => break,
        }
    }
    Ok(())
}

/// Gives up every capability that this process has or could hand on. The bounding set is beyond those who have none:
/// [`become_user`] empties it.
#[allow(unsafe_code)]
pub fn drop_capabilities() -> io::Result<()> {
    // SAFETY: takes two numbers.
    check(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) })?;
    // _LINUX_CAPABILITY_VERSION_3, this process; effective, permitted, inheritable, lower and upper half.
    let (header, none) = ([0x2008_0522_u32, 0], [0_u32; 6]);
    // SAFETY: reads a header of two and a body of six words, which are there.
    check(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) } as libc::c_int)
}

/// Closes every descriptor from `first` on, whoever thinks it is theirs: for the first lines of a program.
#[allow(unsafe_code)]
pub fn close_from(first: u32) -> io::Result<()> {
    // SAFETY: takes numbers; so early in a program nothing of it owns a descriptor of its own.
    check(unsafe { libc::close_range(first, u32::MAX, 0) })
}

/// Crashes end this process at once by their signal, without the standard library's handler, which would look
/// whether a stack has overflowed.
#[allow(unsafe_code)]
pub fn crash_plainly() -> io::Result<()> {
    for signal in [libc::SIGSEGV, libc::SIGBUS] {
        // SAFETY: sets a default action.
        if unsafe { libc::signal(signal, libc::SIG_DFL) } == libc::SIG_ERR {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// No exec from here on gains rights (setuid bits, file capabilities).
pub fn no_new_privileges() -> nix::Result<()> {
    prctl::set_no_new_privs()
}

/// No core dump and no ptrace or /proc/PID/mem for processes of the same uid.
pub fn not_dumpable() -> nix::Result<()> {
    prctl::set_dumpable(false)?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)
}

/// From here on what C libraries free is overwritten, but for the last eight bytes of a block: for a process that lives
/// long after PAM's have freed their copies of a password. Small blocks are passed over unless the process was started
/// with `glibc.malloc.tcache_count=0` in `GLIBC_TUNABLES`, which has no call. For our own there is [`crate::Wiping`].
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

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;
    use std::process::Command;

    /// In a process of its own, which is started as leaders are.
    #[test]
    #[allow(unsafe_code)]
    fn what_c_libraries_free_is_wiped_where_the_unit_says_so() {
        const CHILD: &str = "WRD_TEST_CHILD";
        if std::env::var_os(CHILD).is_none() {
            let unit = include_str!("../../../units/wrd-leader.service");
            let tunables = unit.lines().find_map(|line| line.strip_prefix("Environment=GLIBC_TUNABLES=")).unwrap();
            let name = "harden::tests::what_c_libraries_free_is_wiped_where_the_unit_says_so";
            let mut child = Command::new(std::env::current_exe().unwrap());
            let child = child.args(["--exact", name]).env(CHILD, "").env("GLIBC_TUNABLES", tunables);
            assert!(child.status().unwrap().success());
            return;
        }
        wipe_freed_memory();
        for size in [24, 72, 200, 1000] {
            // SAFETY: takes a number.
            let block = unsafe { libc::malloc(size) };
            // SAFETY: it has that many bytes.
            unsafe { block.cast::<u8>().write_bytes(0x43, size) };
            let address = block.addr();
            // SAFETY: it is what malloc gave.
            unsafe { libc::free(block) };
            let mut bytes = vec![0; size];
            std::fs::File::open("/proc/self/mem").unwrap().read_at(&mut bytes, address as u64).unwrap();
            assert!(bytes.iter().filter(|byte| **byte == 0x43).count() <= 8, "{size}: {bytes:x?}");
        }
    }
}

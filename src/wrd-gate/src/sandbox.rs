//! What the gate takes from itself before it reads the client's first byte.
//!
//! No new privileges, no core dump and no ptrace, small limits, Landlock (the keyboard data readable,
//! nothing else), and a seccomp filter that kills on any system call that is not listed. When the relay
//! begins a second, smaller filter follows ([`relay_only`]). What the kernel lacks of Landlock is logged;
//! everything else is required.

use anyhow::{Context, Result};
use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
    Scope, path_beneath_rules,
};
use nix::libc;
use nix::sys::resource::{Resource, setrlimit};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use std::collections::BTreeMap;
use tracing::{debug, warn};

/// Where keyboard layouts are; the second is where newer distributions keep what the first points to.
const KEYBOARD_DATA: [&str; 2] = ["/usr/share/X11/xkb", "/usr/share/xkeyboard-config-2"];

/// Address space in bytes: far more than a login at the largest size needs.
const ADDRESS_SPACE: u64 = 512 * 1024 * 1024;
/// The client, the monitor, the login, the link, the log, and a few files of keyboard data.
const DESCRIPTORS: u64 = 32;

/// Everything, in the order in which nothing takes away what a later step needs.
pub fn enter() -> Result<()> {
    wrd_sys::harden::no_new_privileges().context("no_new_privs")?;
    wrd_sys::harden::not_dumpable().context("not dumpable")?;
    // TLS and the decoders free buffers that had a password in them.
    wrd_sys::harden::wipe_freed_memory();
    limit(Resource::RLIMIT_NOFILE, DESCRIPTORS)?;
    // Only counts for ordinary users; the filter forbids fork to all.
    limit(Resource::RLIMIT_NPROC, 0)?;
    limit(Resource::RLIMIT_AS, ADDRESS_SPACE)?;
    match landlock()? {
        RulesetStatus::FullyEnforced => {}
        RulesetStatus::PartiallyEnforced => debug!("this kernel knows a part of landlock"),
        RulesetStatus::NotEnforced => warn!("this kernel has no landlock: files are kept away by uid and seccomp only"),
    }
    apply(&[MEMORY, TIME_AND_SIGNALS, SOCKETS, FILES, TIGHTEN]).context("seccomp")
}

/// What a relay needs is less: no files, no new descriptors.
pub fn relay_only() -> Result<()> {
    apply(&[MEMORY, TIME_AND_SIGNALS, SOCKETS]).context("seccomp")
}

fn limit(resource: Resource, value: u64) -> Result<()> {
    setrlimit(resource, value, value).with_context(|| format!("limit {resource:?} to {value}"))
}

fn landlock() -> Result<RulesetStatus> {
    let abi = ABI::V6;
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?
        .add_rules(path_beneath_rules(KEYBOARD_DATA, AccessFs::from_read(abi)))?
        .restrict_self()?;
    Ok(status.ruleset)
}

fn apply(groups: &[&[libc::c_long]]) -> Result<()> {
    // No conditions on arguments: descriptors are few and all of them the gate's own.
    let rules: BTreeMap<i64, Vec<_>> =
        groups.iter().flat_map(|group| group.iter()).map(|call| (*call, Vec::new())).collect();
    let arch = std::env::consts::ARCH.try_into()?;
    let filter = SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, arch)?;
    let program: BpfProgram = filter.try_into()?;
    Ok(seccompiler::apply_filter(&program)?)
}

/// The allocator, and the standard library around it.
const MEMORY: &[libc::c_long] = &[
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect, // glibc grows a heap by it
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_getrandom, // TLS, and the seeds of hash maps
];

/// Clocks are mostly read without a call; signals are for panics and stack overflow.
const TIME_AND_SIGNALS: &[libc::c_long] = &[
    libc::SYS_clock_gettime,
    libc::SYS_restart_syscall, // a poll that was stopped and continued
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_gettid, // in the message of a panic
    libc::SYS_getpid,
    libc::SYS_sched_yield,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Descriptors that are there, and those that come with a message. No socket can be made.
const SOCKETS: &[libc::c_long] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_shutdown,
    libc::SYS_close,
    libc::SYS_fcntl, // O_NONBLOCK on a descriptor that came
    libc::SYS_ioctl, // FIONBIO, the standard library's way to the same
];

/// Keyboard data, as far as Landlock lets it. The memory of a process that crashes is read from
/// /proc/self/maps, which Landlock denies.
const FILES: &[libc::c_long] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_open,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    libc::SYS_openat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_fstat,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_lseek,
    libc::SYS_pread64,
    libc::SYS_getcwd, // std's backtraces
    // How glibc checks whether a folder may be entered.
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getgroups,
];

/// What [`relay_only`] itself needs.
const TIGHTEN: &[libc::c_long] = &[libc::SYS_seccomp, libc::SYS_prctl];

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, ExitStatus, Stdio};

    /// Runs one of the tests below, which are ignored otherwise, in a process of its own: a sandbox is for good.
    fn in_a_process(name: &str) -> ExitStatus {
        let own = std::env::current_exe().unwrap();
        let args = ["--ignored", "--exact", "--nocapture", "--test-threads=1", name];
        Command::new(own).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap()
    }

    /// The test harness itself allocates, prints and exits in here.
    #[test]
    #[ignore = "run by another test"]
    fn inside_files() {
        if landlock().unwrap() == RulesetStatus::NotEnforced {
            return;
        }
        enter().unwrap();
        let refused = File::open("/etc/passwd").expect_err("outside of what landlock allows").kind();
        assert_eq!(refused, std::io::ErrorKind::PermissionDenied);
        assert!(File::create("/tmp/wrd-gate-was-here").is_err());
        match File::open("/usr/share/X11/xkb/rules/evdev") {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound),
        }
    }

    #[test]
    #[ignore = "run by another test"]
    fn inside_a_new_socket() {
        enter().unwrap();
        let _ = std::net::TcpListener::bind("127.0.0.1:0");
    }

    #[test]
    #[ignore = "run by another test"]
    fn inside_a_new_process() {
        enter().unwrap();
        let _ = Command::new("/bin/true").status();
    }

    #[test]
    #[ignore = "run by another test"]
    fn inside_a_file_while_relaying() {
        enter().unwrap();
        relay_only().unwrap();
        let _ = File::open("/usr/share/X11/xkb/rules/evdev");
    }

    #[test]
    fn only_keyboard_data_can_be_read() {
        assert!(in_a_process("sandbox::tests::inside_files").success());
    }

    #[test]
    fn what_is_not_listed_kills() {
        for name in ["inside_a_new_socket", "inside_a_new_process", "inside_a_file_while_relaying"] {
            let status = in_a_process(&format!("sandbox::tests::{name}"));
            assert_eq!(status.signal(), Some(libc::SIGSYS), "{name}: {status}");
        }
    }
}

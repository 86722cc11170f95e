//! Which system calls a gate may make, and why each of them. Whatever is not here kills it.
//!
//! `tests/needed.rs` takes the rules away one by one and sees a real gate die without each; what it does not die
//! without does not belong here. Deliberately absent: whatever makes a descriptor, a process, a thread, a signal or
//! executable memory, and whatever has a path in it.

use nix::libc;

/// The system calls of a gate's two stages.
#[derive(Clone, Debug)]
pub struct Policy {
    /// From the sandbox on, up to a login.
    pub(super) login: Vec<Rule>,
    /// While relaying.
    pub(super) relay: Vec<Rule>,
}

/// A system call that may be made, in one way. What is made in several ways has a rule for each, so that each is seen to
/// be needed.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    pub name: &'static str,
    pub(super) call: libc::c_long,
    /// All of them must hold; none at all: any arguments.
    pub(super) when: &'static [Argument],
    last: Stage,
}

/// A condition: these bits of an argument have this value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Argument {
    pub index: u8,
    pub mask: u64,
    pub value: u64,
}

/// What a gate is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Login,
    Relay,
}

impl Policy {
    /// What a gate gets.
    pub fn full() -> Self {
        let relay = RULES.iter().copied().filter(|rule| rule.last == Stage::Relay).collect();
        Self { login: RULES.to_vec(), relay }
    }

    /// Without one rule, from `stage` on.
    pub fn without(mut self, name: &str, stage: Stage) -> Self {
        if stage == Stage::Login {
            self.login.retain(|rule| rule.name != name);
        }
        self.relay.retain(|rule| rule.name != name);
        self
    }

    pub fn rules(&self, stage: Stage) -> &[Rule] {
        match stage {
            Stage::Login => &self.login,
            Stage::Relay => &self.relay,
        }
    }
}

const RULES: &[Rule] = &[
    // The allocator. Its memory is never executable, and never a file.
    always("brk", libc::SYS_brk),
    only("mmap", libc::SYS_mmap, &[bits(2, libc::PROT_EXEC, 0), bits(3, libc::MAP_ANONYMOUS, libc::MAP_ANONYMOUS)]),
    always("munmap", libc::SYS_munmap),
    // TLS, and the seeds of hash maps.
    only_login("getrandom", libc::SYS_getrandom, &[]),
    // Deadlines. Mostly the vDSO answers; not on machines whose clock it cannot read.
    always("clock_gettime", libc::SYS_clock_gettime),
    // Waiting, the relay for ever.
    #[cfg(target_arch = "x86_64")]
    always("poll", libc::SYS_poll),
    #[cfg(not(target_arch = "x86_64"))]
    always("ppoll", libc::SYS_ppoll),
    // A wait that was stopped and continued (SIGSTOP, a suspended machine, a debugger) comes back by this.
    always("restart_syscall", libc::SYS_restart_syscall),
    // The client and, in the relay, the link. No address: what is written to is what is connected.
    always("recvfrom", libc::SYS_recvfrom),
    only("sendto", libc::SYS_sendto, &[Argument { index: 4, mask: u64::MAX, value: 0 }]),
    always("writev", libc::SYS_writev), // TLS records, several at once
    // Of the client, when the gate says good-bye. Not of the log, which is the monitor's as well: nobody could hear either
    // of them any more. Monitor, login and link are closed, never shut.
    only("shutdown", libc::SYS_shutdown, &[CLIENT]),
    always("close", libc::SYS_close),
    // Messages of monitor and leader, and the descriptors that come with them.
    only_login("recvmsg", libc::SYS_recvmsg, &[]),
    only_login("sendmsg", libc::SYS_sendmsg, &[]),
    // The login socket is made non-blocking …
    only_login("fcntl, F_GETFL", libc::SYS_fcntl, &[equal(1, libc::F_GETFL as u64)]),
    only_login("fcntl, F_SETFL", libc::SYS_fcntl, &[LATER, equal(1, libc::F_SETFL as u64)]),
    // With debug assertions the standard library looks whether a descriptor is open before it closes it.
    #[cfg(debug_assertions)]
    only("fcntl, F_GETFD", libc::SYS_fcntl, &[equal(1, libc::F_GETFD as u64)]),
    // … and so is the link, in the standard library's way.
    only_login("ioctl", libc::SYS_ioctl, &[LATER, equal(1, libc::FIONBIO)]),
    // The log.
    only("write", libc::SYS_write, &[equal(0, libc::STDERR_FILENO as u64)]),
    // The second stage.
    only_login("prctl", libc::SYS_prctl, &[equal(0, libc::PR_SET_NO_NEW_PRIVS as u64)]),
    only_login("seccomp", libc::SYS_seccomp, &[equal(0, libc::SECCOMP_SET_MODE_FILTER as u64)]),
    // The standard library takes its signal stack away before it ends the process.
    always("sigaltstack", libc::SYS_sigaltstack),
    always("exit_group", libc::SYS_exit_group),
];

/// Descriptor 3.
const CLIENT: Argument = equal(0, 3);
/// Descriptors 4 to 7: the monitor, the login, the link.
const LATER: Argument = Argument { index: 0, mask: 0xffff_fffc, value: 4 };

pub(super) const fn always(name: &'static str, call: libc::c_long) -> Rule {
    only(name, call, &[])
}

const fn only(name: &'static str, call: libc::c_long, when: &'static [Argument]) -> Rule {
    Rule { name, call, when, last: Stage::Relay }
}

const fn only_login(name: &'static str, call: libc::c_long, when: &'static [Argument]) -> Rule {
    Rule { name, call, when, last: Stage::Login }
}

/// An argument of 32 bits that has exactly this value; the upper half of its register says nothing.
const fn equal(index: u8, value: u64) -> Argument {
    Argument { index, mask: u32::MAX as u64, value }
}

const fn bits(index: u8, mask: libc::c_int, value: libc::c_int) -> Argument {
    Argument { index, mask: mask as u64, value: value as u64 }
}

//! Has a process make a call that is none of its own.

use super::Outcome::{self, Dies, Returns};
use nix::libc::{self, c_long};
use nix::poll::{PollTimeout, poll};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use wrd_gate::Policy;
use wrd_gate::sandbox::{enter, relay_only};
use wrd_sys::spawn::Program;

/// What the processes that make a call are told by.
pub const STAGE: &str = "WRD_TEST_STAGE";

/// What becomes of the wait below is another call.
pub fn wait_in_the_sandbox(stage: &str) -> ! {
    raise(Signal::SIGSTOP).unwrap();
    let policy = Policy::full();
    enter(&policy, 3).unwrap();
    if stage == "relay" {
        relay_only(&policy).unwrap();
    }
    let _ = poll(&mut [], PollTimeout::NONE);
    unreachable!("nobody waits for the end of it");
}

/// A process at this stage makes this call.
pub fn make(stage: &str, number: c_long, arguments: [u64; 6]) -> Outcome {
    let mut child = Program::new(&std::env::current_exe().unwrap()).env(STAGE, stage).spawn().unwrap();
    let pid = Pid::from_raw(child.id() as i32);
    // It is seized while that is still allowed.
    assert_eq!(waitpid(pid, Some(WaitPidFlag::WUNTRACED)), Ok(WaitStatus::Stopped(pid, Signal::SIGSTOP)));
    ptrace::seize(pid, Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_EXITKILL).unwrap();
    assert!(matches!(waitpid(pid, None), Ok(WaitStatus::PtraceEvent(..))));
    kill(pid, Signal::SIGCONT).unwrap();
    let mut registers = loop {
        if next_stop(pid) == WaitStatus::PtraceSyscall(pid) {
            let registers = ptrace::getregs(pid).unwrap();
            if registers.orig_rax == libc::SYS_poll as u64 {
                break registers;
            }
        }
    };
    registers.orig_rax = number as u64;
    [registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9] = arguments;
    ptrace::setregs(pid, registers).unwrap();
    // It is on its way back from the call, made or not, and then makes its next one or is dead.
    assert_eq!(next_stop(pid), WaitStatus::PtraceSyscall(pid));
    match next_stop(pid) {
        WaitStatus::PtraceSyscall(_) => {
            child.kill().unwrap();
            child.wait().unwrap();
            Returns
        }
        WaitStatus::Signaled(_, Signal::SIGSYS, _) => Dies,
        other => panic!("{other:?}"),
    }
}

/// Lets it go on to the beginning or the end of a call, or to whatever comes before that.
fn next_stop(pid: Pid) -> WaitStatus {
    ptrace::syscall(pid, None).unwrap();
    waitpid(pid, None).unwrap()
}

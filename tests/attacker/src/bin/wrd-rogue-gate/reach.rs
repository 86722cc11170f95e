//! What is out of a gate's reach: files, sockets, other processes, and other users' sessions by the control socket.

use crate::rogue::Rogue;
use anyhow::{Result, bail};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, send, socket};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::{Pid, Uid, getppid, setuid};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open, setpriority_process};
use std::fs::{File, OpenOptions, read_dir, read_link};
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use wrd_proto::control::{Request, Response, Target};
use wrd_proto::{Bytes, Text, UserName};
use wrd_sys::RawChannel;

pub fn act(rogue: &mut Rogue, act: &str) -> Result<()> {
    match act {
        "reach" => {
            files(rogue);
            sockets(rogue);
            processes(rogue);
            control(rogue)
        }
        "reach-control-hold" => {
            let calls: Vec<_> = (0..100).map_while(|_| message_socket(CONTROL).ok()).collect();
            rogue.say(format!("control: {} calls", calls.len()));
            std::thread::sleep(std::time::Duration::from_secs(5));
            Ok(())
        }
        other => bail!("no act {other}"),
    }
}

const CONTROL: &str = "/run/wrd-dm/control";

/// Tells how something went that ought to fail.
fn tell<T>(rogue: &Rogue, what: &str, result: Result<T, impl Into<Errno>>) {
    match result {
        Ok(_) => rogue.say(format!("{what}: done")),
        Err(error) => rogue.say(format!("{what}: {:?}", error.into())),
    }
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or_default())
}

fn files(rogue: &Rogue) {
    let monitor = getppid();
    for (what, path) in [
        ("host key", "/var/lib/wrd-dm/tls/host.pem"),
        ("shadow", "/etc/shadow"),
        ("a home", "/home/alice/.bashrc"),
        ("memory of the monitor", &format!("/proc/{monitor}/mem")),
        ("environment of the monitor", &format!("/proc/{monitor}/environ")),
        ("memory of the machine", "/dev/mem"),
        ("settings of the kernel", "/proc/sys/kernel/core_pattern"),
        ("bus", "/run/dbus/system_bus_socket"),
    ] {
        tell(rogue, what, File::open(path).map_err(errno));
    }
    for (what, path) in [
        ("write beside the gate", "/usr/local/libexec/wrd-dm/rogue"),
        ("write among the sessions", "/run/wrd-dm/sessions/1.sock"),
        ("write beside the sockets", "/run/wrd-dm/rogue"),
        ("write beside the key", "/var/lib/wrd-dm/tls/rogue.pem"),
        ("write a setting", "/etc/wrd-dm/wrd-dm.toml"),
        ("write a temporary file", "/tmp/rogue"),
    ] {
        tell(rogue, what, OpenOptions::new().write(true).create(true).truncate(false).open(path).map_err(errno));
    }
    let open = read_dir("/proc/self/fd").map_or(0, |entries| entries.count());
    // One more for the folder itself.
    rogue.say(format!("descriptors: {}", open.saturating_sub(1)));
}

fn sockets(rogue: &Rogue) {
    tell(rogue, "leader's socket", message_socket("/run/wrd-dm/leader"));
    // alice's, whose session there is.
    tell(rogue, "a session's socket", message_socket("/run/wrd-dm/sessions/1000.sock"));
    tell(rogue, "private socket of systemd", message_socket("/run/systemd/private"));
    tell(rogue, "journal", message_socket("/run/systemd/journal/socket"));
    // The one socket of systemd's that the unit sees; it is for the service's main process.
    let words = format!("STOPPING=1\nMAINPID={}\nSTATUS=taken over\n", std::process::id());
    tell(rogue, "notify systemd", notify(words.as_bytes()));
    tell(rogue, "network", socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None));
    tell(rogue, "netlink", socket(AddressFamily::Netlink, SockType::Raw, SockFlag::empty(), None));
}

fn notify(words: &[u8]) -> nix::Result<usize> {
    let fd = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    connect(fd.as_raw_fd(), &UnixAddr::new("/run/systemd/notify")?)?;
    send(fd.as_raw_fd(), words, MsgFlags::MSG_NOSIGNAL)
}

fn message_socket(path: &str) -> nix::Result<OwnedFd> {
    let fd = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
    connect(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(fd)
}

fn processes(rogue: &Rogue) {
    let monitor = getppid();
    tell(rogue, "ptrace", ptrace::attach(monitor));
    tell(rogue, "kill", kill(monitor, Signal::SIGKILL));
    tell(rogue, "stop", kill(monitor, Signal::SIGSTOP));
    let mut byte = [0];
    let from = [RemoteIoVec { base: 0x1000, len: 1 }];
    tell(rogue, "process_vm_readv", process_vm_readv(monitor, &mut [IoSliceMut::new(&mut byte)], &from));
    tell(rogue, "pidfd_getfd", descriptor_of(monitor));
    let pid = rustix::process::Pid::from_raw(monitor.as_raw());
    tell(rogue, "slow down", setpriority_process(pid, 19).map_err(of_rustix));
    tell(rogue, "hurry", setpriority_process(None, 0).map_err(of_rustix));
    tell(rogue, "root", setuid(Uid::from_raw(0)));
    tell(rogue, "namespaces", unshare(CloneFlags::CLONE_NEWUSER));
    rogue.say(format!("memory of {} fellow gates: {:?}", fellows().len(), memory_of_fellows()));
}

fn descriptor_of(pid: Pid) -> nix::Result<OwnedFd> {
    let pid = rustix::process::Pid::from_raw(pid.as_raw()).ok_or(Errno::ESRCH)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(of_rustix)?;
    pidfd_getfd(pidfd, 0, PidfdGetfdFlags::empty()).map_err(of_rustix)
}

fn of_rustix(error: rustix::io::Errno) -> Errno {
    Errno::from_raw(error.raw_os_error())
}

/// Real gates, as far as they can be seen: same uid, same name; which program they run only another rogue gate would
/// tell.
fn fellows() -> Vec<std::path::PathBuf> {
    let own = Path::new("/proc").join(std::process::id().to_string());
    let named = |path: &Path| std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "wrd-gate");
    let entries = read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| *path != own && named(path) && read_link(path.join("exe")).is_err()).collect()
}

fn memory_of_fellows() -> Vec<Errno> {
    let opened = fellows().into_iter().map(|path| File::open(path.join("mem")));
    let mut results: Vec<_> = opened.map(|opened| opened.map_or_else(errno, |_| Errno::from_raw(0))).collect();
    results.sort_unstable_by_key(|errno| *errno as i32);
    results.dedup();
    results
}

/// In the form of an entry of the store of NT hashes (`wrd_enrol::Entry`), and nothing in it.
fn entry_of(uid: u32) -> Bytes<512> {
    Bytes::try_from([&b"wrd-dm nthash 1\n"[..], &uid.to_be_bytes(), &[7; 64]].concat()).unwrap_or_default()
}

/// Asks for sessions of others in every way there is, and for what they have enrolled.
fn control(rogue: &Rogue) -> Result<()> {
    let alice = || Target::User(UserName::truncated("alice"));
    for (what, request) in [
        ("list", Request::List),
        ("show", Request::Show(alice())),
        ("show by uid", Request::Show(Target::Uid(1000))),
        ("disconnect", Request::Disconnect(alice())),
        ("disconnect by uid", Request::Disconnect(Target::Uid(1000))),
        ("disconnect by logind", Request::Disconnect(Target::Logind(Text::truncated("c1")))),
        ("terminate", Request::Terminate(alice())),
        ("terminate by uid", Request::Terminate(Target::Uid(1000))),
        ("terminate all", Request::TerminateAll),
        ("enrolled", Request::Enrolled),
        ("enrol", Request::Enrol { user: UserName::truncated("alice"), sealed: entry_of(1000) }),
        ("forget", Request::Forget { user: Some(UserName::truncated("alice")) }),
    ] {
        let channel = RawChannel::from(message_socket(CONTROL)?).typed::<Request, Response>();
        channel.send(&request)?;
        let mut answers = Vec::new();
        while let Ok(answer) = channel.recv() {
            answers.push(match answer {
                Response::Session(info) => format!("session of {}", info.user),
                Response::EnrolmentKey(_) => "a key".to_owned(),
                Response::Enrolled(enrolment) => format!("enrolment of {}", enrolment.user),
                Response::Listening(_) | Response::Status(_) => "status".to_owned(),
                Response::Done => "done".to_owned(),
                Response::Error { kind, .. } => format!("{kind:?}"),
            });
        }
        rogue.say(format!("{what}: {}", answers.join(", ")));
    }
    Ok(())
}

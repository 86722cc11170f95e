//! Landlock, as [`enter`] puts it in force: behind a filter that lets through what it is there to refuse.

use super::super::policy::always;
use super::*;
use nix::libc;
use nix::unistd::{Pid, getpid};
use std::io::{ErrorKind, Result};
use std::net::TcpStream;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::os::unix::process::CommandExt;

/// What the processes below are told by: a process, a port and an abstract socket outside, and what is looked at.
const OUTSIDE: &str = "WRD_TEST_OUTSIDE";
const LOOK_AT: &str = "WRD_TEST_LOOK_AT";

/// What a gate without Landlock could do, were there a hole in its filter.
fn reach(what: &str) -> Result<()> {
    let outside = std::env::var(OUTSIDE).unwrap();
    let [process, port, name] = outside.split(' ').collect::<Vec<_>>().try_into().unwrap();
    match what {
        "read a file" => File::open("/etc/passwd").map(drop),
        "make a file" => File::create_new(made(name)).map(drop),
        "listen" => TcpListener::bind("127.0.0.1:0").map(drop),
        "connect" => TcpStream::connect(("127.0.0.1", port.parse().unwrap())).map(drop),
        "signal" => Ok(kill(Pid::from_raw(process.parse().unwrap()), None)?),
        "connect to an abstract socket" => UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?).map(drop),
        other => panic!("{other}"),
    }
}

fn made(name: &str) -> String {
    format!("/tmp/{name}-was-here")
}

/// All of it, by the version of Landlock that refuses it.
const REACHES: [(&str, ABI); 6] = [
    ("read a file", ABI::V1),
    ("make a file", ABI::V1),
    ("listen", ABI::V4),
    ("connect", ABI::V4),
    ("signal", ABI::V6),
    ("connect to an abstract socket", ABI::V6),
];

fn looked_at() -> Vec<String> {
    std::env::var(LOOK_AT).unwrap().split(", ").map(str::to_owned).collect()
}

/// As [`Policy::full`], and with a hole in it for each way out.
fn full_of_holes() -> Policy {
    let mut policy = Policy::full();
    for call in [
        libc::SYS_openat,
        libc::SYS_socket,
        libc::SYS_setsockopt,
        libc::SYS_bind,
        libc::SYS_listen,
        libc::SYS_connect,
        libc::SYS_kill,
        libc::SYS_getpid,
    ] {
        policy.login.push(always("a hole", call));
    }
    policy
}

#[test]
#[ignore = "run by another test"]
fn inside_of_it() {
    wrd_sys::log::init();
    enter(&full_of_holes(), 64).unwrap();
    for what in looked_at() {
        let refused = reach(&what).expect_err(&what);
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{what}: {refused}");
    }
    // It is somebody else who may not be reached.
    kill(getpid(), None).unwrap();
    done();
}

/// The same user without it, whom nothing else keeps from any of that.
#[test]
#[ignore = "run by another test"]
fn outside_of_it() {
    if geteuid().is_root() {
        harden::become_user(NOBODY, NOBODY).unwrap();
    }
    for what in looked_at() {
        reach(&what).expect(&what);
    }
}

/// Whether the kernel that runs knows all of this version, by its own word.
fn is_known(abi: ABI) -> bool {
    let ruleset = || Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    let asked = match abi {
        ABI::V1 => ruleset().handle_access(AccessFs::from_all(abi)),
        ABI::V4 => ruleset().handle_access(AccessNet::from_all(abi)),
        _ => ruleset().scope(Scope::from_all(abi)),
    };
    asked.and_then(Ruleset::create).is_ok()
}

#[test]
fn no_file_port_or_other_process_can_be_reached() {
    let name = format!("wrd-gate-{}", std::process::id());
    let _abstract = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (known, unknown): (Vec<_>, Vec<_>) = REACHES.into_iter().partition(|(_, abi)| is_known(*abi));
    if !unknown.is_empty() {
        println!("SKIPPED, because this kernel's landlock does not know of it: {unknown:?}");
    }
    if known.is_empty() {
        return;
    }
    let look_at = known.iter().map(|(what, _)| *what).collect::<Vec<_>>().join(", ");
    let mut neighbour = Command::new("sleep");
    neighbour.arg("3600");
    if geteuid().is_root() {
        neighbour.uid(NOBODY).gid(NOBODY);
    }
    let mut neighbour = neighbour.spawn().unwrap();
    let outside = format!("{} {port} {name}", neighbour.id());
    let [inside, without] = ["inside_of_it", "outside_of_it"].map(|test| {
        let mut command = process(&format!("landlock::{test}"));
        command.env(OUTSIDE, &outside).env(LOOK_AT, &look_at).env("WRD_LOG", "debug").output().unwrap()
    });
    neighbour.kill().unwrap();
    neighbour.wait().unwrap();
    let _ = std::fs::remove_file(made(&name));
    let said = String::from_utf8_lossy(&inside.stderr);
    assert!(inside.status.success(), "{}: {said}", inside.status);
    assert!(without.status.success(), "{}: {}", without.status, String::from_utf8_lossy(&without.stderr));
    // A gate that has less of it than the kernel is no success.
    assert!(!unknown.is_empty() || said.contains("landlock is in force, all of it"), "{said}");
}

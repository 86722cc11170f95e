//! The real wrd-dm as a process, stand-alone, between a test that plays the client and fakes that play
//! gate and leader.

mod fakes;
mod nla;
mod server;

use nix::sys::signal::Signal;
use server::{Home, Server, eventually, line, rest, text};
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use wrd_proto::control::{ErrorKind, Request, Response, Target};
use wrd_proto::session::State;

/// Not a test: what the monitor starts as `wrd-gate`.
#[test]
fn a_gate() {
    if let Ok(behaviour) = std::env::var("WRD_FAKE") {
        fakes::gate(&behaviour);
        std::process::exit(0);
    }
}

/// Not a test: what the monitor starts as `wrd-leader`.
#[test]
fn a_leader() {
    if let (Ok(behaviour), Ok(runtime)) = (std::env::var("WRD_FAKE"), std::env::var("WRD_FAKE_RUNTIME")) {
        fakes::leader(&behaviour, &PathBuf::from(runtime));
        std::process::exit(0);
    }
}

#[test]
fn a_port_that_is_taken_is_named_with_a_way_out() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = Home::new("idle", "works").run(&["--standalone", "--listen", &address]);
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(error.contains(&address) && error.contains("taken") && error.contains("--listen"), "{error}");
}

#[test]
fn a_configuration_is_checked_and_its_mistakes_are_told() {
    let home = Home::new("idle", "works");
    let output = home.run(&["--standalone", "--check-config"]);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), "OK\n"));

    home.configure("[limits]\nconnections = \"many\"\n\n[colour]\n");
    let output = home.run(&["--standalone", "--check-config"]);
    assert_eq!(output.status.code(), Some(1));
    let file = home.dir.path().join("config/wrd-dm/wrd-dm.toml");
    let file = file.display();
    assert_eq!(
        text(&output.stderr),
        format!(
            "{file}:2: limits.connections: expected a whole number from 1 to 65536, found text\n\
             {file}:4: colour: unknown section; known are admission, desktop, limits, login, session, tls\n"
        )
    );
    home.configure("[tls]\ncertificate = \"/nonexistent/a.pem\"\nkey = \"/nonexistent/b.pem\"\n");
    let output = home.run(&["--standalone", "--check-config"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("cannot read /nonexistent/a.pem"), "{}", text(&output.stderr));
    home.configure("[limits]\nconnections = \"many\"\n");
    // It does not start either, with the exit code on which systemd does not try again.
    let output = home.run(&["--standalone", "--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("limits.connections"));
}

#[test]
fn without_systemd_and_without_standalone_it_says_what_to_do() {
    let output = Home::new("idle", "works").run(&["--config-dir", "/nonexistent"]);
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(error.contains("--standalone"), "{error}");
}

#[test]
fn the_certificate_is_made_once_and_its_fingerprint_is_told() {
    let home = Home::new("idle", "works");
    let server = home.start();
    let fingerprint = server.in_banner("fingerprint");
    drop(server);
    assert_eq!(home.start().in_banner("fingerprint"), fingerprint);
    let output = home.run(&["--standalone", "--print-fingerprint"]);
    assert_eq!(text(&output.stdout).trim(), fingerprint);
    assert_eq!(fs::read_dir(home.state().join("wrd-dm/tls")).unwrap().count(), 1);
}

#[test]
fn no_place_for_the_certificate_is_told() {
    let home = Home::new("idle", "works");
    fs::write(home.state(), "a file where a folder should be").unwrap();
    let output = home.run(&["--standalone", "--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(error.contains("host certificate") && error.contains("host.pem"), "{error}");
}

#[test]
fn no_space_for_the_certificate_is_told_and_leaves_nothing_behind() {
    let home = Home::new("idle", "works");
    fs::create_dir(home.state()).unwrap();
    // A file system of our own with one page, which is full.
    let script = format!(
        "mount -t tmpfs -o size=4k full {state} && mkdir -p {state}/wrd-dm/tls && \
         head -c 4096 /dev/zero > {state}/filler && {program} --standalone --listen 127.0.0.1:0; \
         echo code $?; ls -A {state}/wrd-dm/tls",
        state = home.state().display(),
        program = home.program().display()
    );
    let mut command = Command::new("unshare");
    home.environment(&mut command);
    let output = command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]).output().unwrap();
    let error = text(&output.stderr);
    assert!(error.contains("No space left on device") && error.contains("host certificate"), "{error}");
    assert_eq!(text(&output.stdout), "code 1\n");
}

#[test]
fn over_the_limit_another_has_to_go_and_room_comes_back() {
    let home = Home::new("idle", "works");
    home.configure("[limits]\nconnections = 2\n");
    let server = home.start();
    let mut first = [server.connect(), server.connect()];
    server.wait_log("connection=2");
    let third = server.connect();
    server.wait_log("connection accepted; connection=3");
    server.wait_log("admission: turned away; rhost=127.0.0.1 reason=for-connections");
    // One of the two, and neither the newcomer nor both.
    eventually("one of them to be closed", || first.iter_mut().filter(|stream| is_closed(stream)).count() == 1);
    assert!(!is_closed(&third));
    // The one who hangs up makes room.
    drop(third);
    server.wait_log("connection ended; connection=3 client=127.0.0.1");
    let fourth = server.connect();
    server.wait_log("connection accepted; connection=4");
    assert_eq!(first.iter_mut().filter(|stream| is_closed(stream)).count(), 1);
    drop(fourth);
}

/// Whether the server has closed this connection, on which it says nothing.
fn is_closed(stream: &std::net::TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false).unwrap();
    !matches!(peeked, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

#[test]
fn a_client_that_says_nothing_has_no_gate_and_is_closed() {
    let home = Home::new("idle", "works");
    home.configure("[limits]\nlogin_seconds = 5\n");
    let server = home.start();
    let start = Instant::now();
    let mut silent = server.connect_silently();
    assert_eq!(rest(&mut silent), "");
    assert!(start.elapsed() >= Duration::from_secs(4), "{:?}", start.elapsed());
    server.wait_log("admission: turned away; rhost=127.0.0.1 reason=nothing-sent");
    assert!(!server.log().contains("connection accepted"), "{}", server.log());
}

#[test]
fn a_client_that_never_logs_in_is_ended() {
    let home = Home::new("idle", "works");
    home.configure("[limits]\nlogin_seconds = 5\n");
    let server = home.start();
    let start = Instant::now();
    assert_eq!(rest(&mut server.connect()), "");
    assert!(start.elapsed() >= Duration::from_secs(6), "{:?}", start.elapsed());
    server.wait_log("no login in time; connection=1 client=127.0.0.1");
}

#[test]
fn a_gate_that_breaks_the_rules_costs_its_own_connection_only() {
    for (behaviour, logged) in [
        ("garbage", "malformed message"),
        ("greedy", "Sign while Signed"),
        ("oracle", "no TLS handshake"),
        ("crash", "connection ended by a fault of its gate"),
    ] {
        let home = Home::new(behaviour, "works");
        let server = home.start();
        assert_eq!(rest(&mut server.connect()), "", "{behaviour}");
        server.wait_log(logged);
        server.wait_log("connection=1 client=127.0.0.1");
        assert_eq!(server.ask(&Request::List), [Response::Done]);
    }
}

#[test]
fn garbage_on_the_control_socket_ends_that_call_only() {
    let home = Home::new("idle", "works");
    let server = home.start();
    for bytes in [&[0xffu8; 64 * 1024][..], &[0xff; 3], &[0]] {
        let call = server.call();
        nix::sys::socket::send(std::os::fd::AsRawFd::as_raw_fd(&call), bytes, nix::sys::socket::MsgFlags::empty())
            .unwrap();
        if bytes != [0] {
            assert!(call.recv().is_err());
        }
    }
    let _silent = server.call();
    assert_eq!(server.ask(&Request::List), [Response::Done]);
    let missing = server.ask(&Request::Show(Target::Uid(4_000_000)));
    assert!(matches!(missing[..], [Response::Error { kind: ErrorKind::NotFound, .. }]), "{missing:?}");
}

#[test]
fn a_second_server_of_the_same_user_is_refused() {
    let home = Home::new("idle", "works");
    let server = home.start();
    let output = home.run(&["--standalone", "--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("another stand-alone wrd-dm"), "{}", text(&output.stderr));
    assert_eq!(server.ask(&Request::List), [Response::Done]);
}

fn states(server: &Server) -> Vec<State> {
    let of = |response: &Response| match response {
        Response::Session(info) => Some(info.state),
        _ => None,
    };
    server.ask(&Request::List).iter().filter_map(of).collect()
}

#[test]
fn a_session_outlives_its_clients_and_its_monitor() {
    let home = Home::new("login", "works");
    let mut server = home.start();
    let uid = Target::Uid(nix::unistd::geteuid().as_raw());

    let mut first = server.connect();
    let desktop = line(&mut first);
    assert!(desktop.starts_with("desktop of "), "{desktop}");
    eventually("the session to be connected", || states(&server) == [State::Connected]);
    let log = server.log();
    assert!(log.contains(r#"authentication failure; rhost=127.0.0.1 user="ro\not""#), "{log}");
    assert!(log.contains(r#"logged in; connection=1 client=127.0.0.1 user="somebody""#), "{log}");
    assert!(log.contains("session started"), "{log}");

    // A second connection takes over; the desktop is the same.
    let mut second = server.connect();
    assert_eq!(line(&mut second), desktop);
    assert_eq!(rest(&mut first), "");

    // Attached and idle: the monitor sleeps.
    server.wait_log("connection ended; connection=1");
    eventually("the idle monitor to sleep", || {
        let before = switches(&server);
        std::thread::sleep(Duration::from_millis(1500));
        switches(&server) == before
    });

    assert_eq!(server.ask(&Request::Disconnect(uid.clone())), [Response::Done]);
    assert_eq!(rest(&mut second), "");
    eventually("the session to be disconnected", || states(&server) == [State::Disconnected]);
    let again = server.ask(&Request::Disconnect(uid.clone()));
    assert!(matches!(again[..], [Response::Error { kind: ErrorKind::WrongState, .. }]), "{again:?}");

    // The monitor dies with a client attached: neither client nor session notice.
    let mut third = server.connect();
    assert_eq!(line(&mut third), desktop);
    eventually("the session to be connected", || states(&server) == [State::Connected]);
    server.signal(Signal::SIGKILL);
    server.wait();
    third.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert_eq!(std::io::Read::read(&mut third, &mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    let server = home.start();
    eventually("the session to be found", || states(&server) == [State::Connected]);
    server.wait_log("session found");
    let mut fourth = server.connect();
    assert_eq!(line(&mut fourth), desktop);
    assert_eq!(rest(&mut third), "");

    assert_eq!(server.ask(&Request::Terminate(uid)), [Response::Done]);
    assert_eq!(rest(&mut fourth), "");
    server.wait_log("session ended");
    assert_eq!(states(&server), []);
}

fn switches(server: &Server) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap().to_owned()
}

#[test]
fn a_monitor_that_dies_during_a_start_finds_the_session_later() {
    let home = Home::new("login", "slow");
    let mut server = home.start();
    let first = server.connect();
    server.wait_log("logged in");
    server.signal(Signal::SIGKILL);
    server.wait();
    drop(first);
    let server = home.start();
    // The leader goes on; whoever asks finds what has come of it.
    eventually("the session to be found", || states(&server) == [State::Disconnected]);
    let mut second = server.connect();
    assert!(line(&mut second).starts_with("desktop of "));
    assert!(!server.log().contains("session started"));
}

#[test]
fn two_first_logins_at_once_get_one_session() {
    let home = Home::new("login", "works");
    let server = home.start();
    let mut both = [server.connect(), server.connect()];
    let desktops = both.each_mut().map(line);
    assert!(desktops[0].starts_with("desktop of "), "{desktops:?}");
    assert_eq!(desktops[0], desktops[1]);
    assert_eq!(states(&server).len(), 1);
}

#[test]
fn a_session_that_cannot_start_is_nobodys_session() {
    let home = Home::new("login", "fails");
    let server = home.start();
    let _client = server.connect();
    server.wait_log("no home");
    assert_eq!(states(&server), []);
}

#[test]
fn ctrl_c_ends_everything_it_started() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let home = Home::new("login", "works");
        let mut server = home.start();
        let mut client = server.connect();
        assert!(line(&mut client).starts_with("desktop of "));
        eventually("the session to be connected", || states(&server) == [State::Connected]);
        let Response::Session(info) = server.ask(&Request::List).swap_remove(0) else { panic!("no session") };
        server.signal(signal);
        assert_eq!(server.wait().code(), Some(0));
        assert_eq!(rest(&mut client), "");
        assert!(!home.control().exists());
        // A fake does not clean up behind itself when it is killed; without any everything is gone.
        let leader = PathBuf::from(format!("/proc/{}", info.leader_pid));
        eventually("the leader to be gone", || !leader.exists());
    }
}

#[test]
fn nothing_is_left_where_nothing_was_started() {
    let home = Home::new("idle", "works");
    let mut server = home.start();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(fs::read_dir(home.runtime()).unwrap().count(), 0);
}

#[test]
fn sighup_reads_the_configuration_and_a_bad_one_changes_nothing() {
    let home = Home::new("idle", "works");
    home.configure("[limits]\nconnections = 1\n");
    let server = home.start();
    let mut first = server.connect();
    server.wait_log("connection accepted; connection=1");

    home.configure("[limits]\nconnections = 0\n");
    server.signal(Signal::SIGHUP);
    server.wait_log("limits.connections: expected a whole number from 1 to 65536, found 0");
    // Still one at a time.
    let second = server.connect();
    assert_eq!(rest(&mut first), "");
    server.wait_log("connection ended; connection=1");

    home.configure("[limits]\nconnections = 2\n");
    server.signal(Signal::SIGHUP);
    server.wait_log("configuration read");
    let _third = server.connect();
    server.wait_log("connection accepted; connection=3");
    assert!(!is_closed(&second));
}

//! A wrd-dm under test: the real program, stand-alone, with everything of its own in temporary folders.

use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::unistd::Pid;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use wrd_proto::control::{Request, Response};
use wrd_sys::{Channel, RawChannel};

/// The folders of one server, and the programs beside it.
pub struct Home {
    programs: TempDir,
    pub dir: TempDir,
}

impl Home {
    /// A home whose gates and leaders behave as named.
    pub fn new(gate: &str, leader: &str) -> Self {
        // In the build tree, where the program can be linked to: it looks beside itself for the others.
        let programs = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        fs::hard_link(env!("CARGO_BIN_EXE_wrd-dm"), programs.path().join("wrd-dm")).unwrap();
        let home = Self { programs, dir: tempfile::tempdir().unwrap() };
        fs::create_dir(home.runtime()).unwrap();
        home.script("wrd-gate", "a_gate", gate);
        home.script("wrd-leader", "a_leader", leader);
        home
    }

    fn script(&self, program: &str, role: &str, behaviour: &str) {
        let path = self.programs.path().join(program);
        let own = std::env::current_exe().unwrap();
        let text = format!(
            "#!/bin/sh\nWRD_FAKE={behaviour} WRD_FAKE_RUNTIME={} exec {} --exact {role} --test-threads 1 --quiet\n",
            self.runtime().display(),
            own.display()
        );
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub fn runtime(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub fn control(&self) -> PathBuf {
        self.runtime().join("wrd-dm/control")
    }

    pub fn configure(&self, text: &str) {
        let dir = self.dir.path().join("config/wrd-dm");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("wrd-dm.toml"), text).unwrap();
    }

    /// The program, to be started with `args`.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.program());
        command.args(args);
        self.environment(&mut command);
        command
    }

    pub fn program(&self) -> PathBuf {
        self.programs.path().join("wrd-dm")
    }

    pub fn environment(&self, command: &mut Command) {
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.dir.path())
            .env("XDG_RUNTIME_DIR", self.runtime())
            .env("XDG_STATE_HOME", self.state())
            .env("XDG_CONFIG_HOME", self.dir.path().join("config"))
            .env("WRD_LOG", "debug")
            .stdin(Stdio::null());
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Starts a server and waits until it has said where it listens.
    pub fn start(&self) -> Server {
        let log = self.dir.path().join("log");
        let out = self.dir.path().join("out");
        let append = |path| fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        fs::write(&out, "").unwrap();
        let child = self
            .command(&["--standalone", "--listen", "127.0.0.1:0"])
            .stdout(append(&out))
            .stderr(append(&log))
            .spawn()
            .unwrap();
        let mut server = Server { child, log, banner: String::new(), control: self.control() };
        eventually("the banner", || {
            server.banner = fs::read_to_string(&out).unwrap();
            server.banner.contains("Ctrl-C ends it")
        });
        server
    }
}

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    log: PathBuf,
    pub banner: String,
    control: PathBuf,
}

impl Server {
    pub fn address(&self) -> SocketAddr {
        self.in_banner("address").parse().unwrap()
    }

    pub fn in_banner(&self, name: &str) -> String {
        let line = self.banner.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    }

    /// A client that has said something, so that it has a gate.
    pub fn connect(&self) -> TcpStream {
        let mut stream = self.connect_silently();
        stream.write_all(&[3]).unwrap();
        stream
    }

    pub fn connect_silently(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    pub fn wait_log(&self, text: &str) {
        eventually(&format!("{text:?} in the log"), || self.log().contains(text));
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    pub fn wait(&mut self) -> std::process::ExitStatus {
        let mut status = None;
        eventually("the server to end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Asks over the control socket.
    pub fn ask(&self, request: &Request) -> Vec<Response> {
        let channel = self.call();
        channel.send(request).unwrap();
        let mut responses = Vec::new();
        while let Ok(response) = channel.recv() {
            responses.push(response);
        }
        responses
    }

    pub fn call(&self) -> Channel<Request, Response> {
        let fd = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
        connect(fd.as_raw_fd(), &UnixAddr::new(&self.control).unwrap()).unwrap();
        RawChannel::from(fd).typed()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of the server\n{}", self.log());
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            // Twice: what it has started is killed too.
            self.signal(Signal::SIGTERM);
            self.signal(Signal::SIGINT);
            let _ = self.child.wait();
        }
    }
}

/// Everything that comes until the connection is closed.
pub fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset ends it as well; patience that ends does not.
    if let Err(error) = stream.read_to_end(&mut bytes) {
        assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "the connection stays open");
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The next line that comes.
pub fn line(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).is_ok_and(|n| n == 1) && byte[0] != b'\n' {
        text.push(byte[0]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

pub fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let start = Instant::now();
    while !check() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited for {what} in vain");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

//! Stand-ins for the gate and the leader: this test's own executable, started by the monitor under test
//! through a script of their names. They keep to `wrd-proto` or break it, as the test wants.

use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use wrd_proto::gate::{ToGate, ToMonitor};
use wrd_proto::leader::{FromLeader, ToLeader};
use wrd_proto::session::{AttachedClient, FromSession, SessionInfo, State, ToSession};
use wrd_proto::{Bytes, UserName};
use wrd_sys::listen::take_fd;
use wrd_sys::{Channel, RawChannel};

/// A gate: 3 is the client, 4 the monitor.
pub fn gate(behaviour: &str) {
    let mut client = File::from(take_fd(3).unwrap());
    let monitor: Channel<ToMonitor, ToGate> = RawChannel::from(take_fd(4).unwrap()).typed();
    let ToGate::Start(start) = monitor.recv().unwrap() else { panic!("no Start") };
    match behaviour {
        "idle" => drop(std::io::copy(&mut client, &mut std::io::sink())),
        "garbage" => {
            nix::sys::socket::send(monitor.as_raw_fd(), &[0xff; 100], nix::sys::socket::MsgFlags::empty()).unwrap();
            drop(std::io::copy(&mut client, &mut std::io::sink()));
        }
        "greedy" => {
            for _ in 0..2 {
                sign(&monitor, &start.chain[0]);
            }
            client.write_all(b"signed twice").unwrap();
        }
        "oracle" => {
            let message = Bytes::try_from(b"pay 100 to mallory".to_vec()).unwrap();
            monitor.send(&ToMonitor::Sign { scheme: start.schemes[0], message }).unwrap();
            if monitor.recv().is_ok() {
                client.write_all(b"signed anything").unwrap();
            }
        }
        "crash" => std::process::abort(),
        "login" | "nla" => {
            sign(&monitor, &start.chain[0]);
            if behaviour == "nla" && !crate::nla::prove(&monitor, &mut client) {
                return;
            }
            monitor.send(&ToMonitor::OpenLogin).unwrap();
            let (ToGate::Login, Some(_login)) = monitor.recv_fd().unwrap() else { panic!("no Login") };
            let link = match monitor.recv_fd().unwrap() {
                (ToGate::Link, Some(link)) => link,
                (ToGate::Refused(text), None) => return client.write_all(text.as_bytes()).unwrap(),
                other => panic!("{other:?}"),
            };
            monitor.send(&ToMonitor::Relaying).unwrap();
            std::io::copy(&mut File::from(link), &mut client).unwrap();
        }
        other => panic!("{other}"),
    }
}

/// Has a TLS 1.3 handshake signed, and looks whether the certificate's key has signed it.
fn sign(monitor: &Channel<ToMonitor, ToGate>, certificate: &[u8]) {
    let mut message = vec![0x20; 64];
    message.extend_from_slice(b"TLS 1.3, server CertificateVerify\0");
    message.resize(message.len() + 32, 7);
    let wanted = Bytes::try_from(message.clone()).unwrap();
    monitor.send(&ToMonitor::Sign { scheme: 0x0403, message: wanted }).unwrap();
    let Ok(ToGate::Signature(signature)) = monitor.recv() else { std::process::exit(3) };
    // An uncompressed P-256 point behind the BIT STRING's header.
    let at = certificate.windows(4).position(|window| window == [0x03, 0x42, 0x00, 0x04]).unwrap() + 3;
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &certificate[at..at + 65]);
    key.verify(&message, &signature).unwrap();
}

/// A leader that lets everybody in as the user who runs it, and is their session's worker as well.
pub fn leader(behaviour: &str, runtime: &Path) {
    let monitor: Channel<FromLeader, ToLeader> = RawChannel::from(take_fd(0).unwrap()).typed();
    let (ToLeader::Begin { proven, .. }, Some(_gate)) = monitor.recv_fd().unwrap() else { panic!("no Begin") };
    let uid = nix::unistd::geteuid().as_raw() + u32::from(behaviour == "another");
    let user = proven.unwrap_or_else(|| UserName::truncated("somebody"));
    if behaviour == "stale" {
        monitor.send(&FromLeader::Stale).unwrap();
        monitor.send(&FromLeader::Denied { user, text: "no".try_into().unwrap(), pause_ms: 2000 }).unwrap();
        return;
    }
    monitor
        .send(&FromLeader::Denied {
            user: UserName::truncated("ro\not"),
            text: "no".try_into().unwrap(),
            pause_ms: 2000,
        })
        .unwrap();
    monitor.send(&FromLeader::Authenticated { uid, user: user.clone() }).unwrap();
    match monitor.recv().unwrap() {
        ToLeader::StartSession => {}
        ToLeader::HandedOver | ToLeader::Refused(_) => return,
        other => panic!("{other:?}"),
    }
    if behaviour == "fails" {
        monitor.send(&FromLeader::SessionFailed { text: "no home".try_into().unwrap() }).unwrap();
        return;
    }
    if behaviour == "slow" {
        std::thread::sleep(std::time::Duration::from_millis(1500));
    }
    let path = runtime.join(format!("wrd-dm/sessions/{uid}.sock"));
    let fd = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(fd.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
    listen(&fd, Backlog::new(4).unwrap()).unwrap();
    // That monitor may be dead by now; the next one finds the socket.
    let _ = monitor.send(&FromLeader::SessionReady);
    Session { uid, user, path, link: None, client: None }.serve(&UnixListener::from(fd));
}

struct Session {
    uid: u32,
    user: UserName,
    path: PathBuf,
    link: Option<File>,
    client: Option<AttachedClient>,
}

impl Session {
    /// One monitor after the other.
    fn serve(mut self, listener: &UnixListener) {
        for monitor in listener.incoming() {
            let channel: Channel<FromSession, ToSession> =
                RawChannel::from(std::os::fd::OwnedFd::from(monitor.unwrap())).typed();
            while let Ok((message, fd)) = channel.recv_fd() {
                match message {
                    ToSession::Describe => channel.send(&FromSession::Description(self.info())).unwrap(),
                    ToSession::Attach { connection, client } => {
                        let mut link = File::from(fd.unwrap());
                        writeln!(link, "desktop of {} by {}", self.uid, std::process::id()).unwrap();
                        // Whoever was attached finds the link closed.
                        self.link = Some(link);
                        self.client =
                            Some(AttachedClient { connection, address: client, since: 1, width: 640, height: 480 });
                        channel.send(&FromSession::Attached { connection }).unwrap();
                        channel.send(&FromSession::Changed(self.info())).unwrap();
                    }
                    ToSession::Disconnect => {
                        (self.link, self.client) = (None, None);
                        channel.send(&FromSession::Changed(self.info())).unwrap();
                    }
                    ToSession::Cookie { connection, .. } => {
                        assert_eq!(self.client.as_ref().map(|client| client.connection), Some(connection));
                    }
                    ToSession::Terminate => {
                        std::fs::remove_file(&self.path).unwrap();
                        return;
                    }
                }
            }
        }
    }

    fn info(&self) -> SessionInfo {
        SessionInfo {
            uid: self.uid,
            user: self.user.clone(),
            logind: None,
            state: if self.client.is_some() { State::Connected } else { State::Disconnected },
            desktop: "fake".try_into().unwrap(),
            wayland_display: "wayland-9".try_into().unwrap(),
            started: 1,
            leader_pid: std::process::id(),
            worker_pid: std::process::id(),
            client: self.client.clone(),
        }
    }
}

//! NLA through the real monitor: a client that computes NTLMv2 by itself behind a gate that passes it on, and what
//! comes of it in the journal, the store and the login.

use crate::server::{Home, Server, line, rest};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use wrd_enrol::{EntryName, NtHash, PublicKey, seal};
use wrd_proto::control::{Request, Response};
use wrd_proto::gate::{NtlmProof, NtlmVerdict, SessionKey, ToGate, ToMonitor};
use wrd_proto::{Bytes, UserName};
use wrd_sys::Channel;

/// A gate in NLA: its client has said whose hash it knows. Whether the client was believed.
pub fn prove(monitor: &Channel<ToMonitor, ToGate>, client: &mut std::fs::File) -> bool {
    let mut said = String::new();
    BufReader::new(&mut *client).read_line(&mut said).unwrap();
    // Behind the first byte, with which the client got its gate.
    let (name, password) = said.trim_end()[1..].split_once(' ').unwrap();
    monitor.send(&ToMonitor::NtlmChallenge).unwrap();
    let Ok(ToGate::NtlmChallenge { challenge }) = monitor.recv() else { panic!("no challenge") };
    let (proof, key) = answer(name, &NtHash::of_password(password.as_bytes()).unwrap(), &challenge);
    monitor.send(&ToMonitor::NtlmProof(proof)).unwrap();
    match monitor.recv().unwrap() {
        ToGate::NtlmVerdict(NtlmVerdict::Proven(given)) => assert_eq!(given, SessionKey::new(key)),
        ToGate::NtlmVerdict(NtlmVerdict::Refused) => {
            writeln!(client, "refused").unwrap();
            return false;
        }
        other => panic!("{other:?}"),
    }
    true
}

/// As a client computes it, without key exchange, and the key that comes of it.
fn answer(name: &str, hash: &NtHash, challenge: &[u8; 8]) -> (NtlmProof, [u8; 16]) {
    let names = [name.to_uppercase().as_str(), "LAB"].concat();
    let key = mac(hash.expose(), &[&names.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()]);
    let client_challenge = [&[1, 1][..], &[7; 40]].concat();
    let proof = mac(&key, &[challenge, &client_challenge]);
    let base = mac(&key, &[&proof]);
    let messages = [&b"negotiate"[..], b"challenge", b"authenticate"];
    let proof = NtlmProof {
        user: UserName::truncated(name),
        domain: "LAB".try_into().unwrap(),
        proof,
        client_challenge: Bytes::try_from(client_challenge).unwrap(),
        encrypted_session_key: None,
        mic: mac(&base, &messages),
        negotiate: Bytes::try_from(messages[0].to_vec()).unwrap(),
        challenge: Bytes::try_from(messages[1].to_vec()).unwrap(),
        authenticate: Bytes::try_from(messages[2].to_vec()).unwrap(),
    };
    (proof, base)
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 16] {
    let mut mac = Hmac::<Md5>::new_from_slice(key).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// A server with this test's user enrolled (or, where that is no root, with a one-time password).
struct Enrolled {
    server: Server,
    name: String,
    password: String,
    has_store: bool,
}

impl Enrolled {
    fn start(home: &Home) -> Self {
        home.configure("[login]\nenrol_min_uid = 0\n[admission]\nexempt = [\"127.0.0.1\"]\n");
        let server = home.start();
        let uid = nix::unistd::geteuid();
        let name = nix::unistd::User::from_uid(uid).unwrap().unwrap().name;
        let mut enrolled = Self { server, name, password: "canary".into(), has_store: uid.is_root() };
        if !enrolled.has_store {
            enrolled.password = enrolled.server.in_banner("password");
            return enrolled;
        }
        let Response::EnrolmentKey(key) = enrolled.server.ask(&Request::EnrolmentKey).swap_remove(0) else {
            panic!("no key")
        };
        let (key, hash) = (PublicKey::decode(key.as_bytes()).unwrap(), NtHash::of_password(b"canary").unwrap());
        let sealed = seal(&key, uid.as_raw(), &EntryName::try_from(enrolled.name.as_str()).unwrap(), &hash).unwrap();
        let user = UserName::truncated(&enrolled.name);
        let answer = enrolled.server.ask(&Request::Enrol { user, sealed: Bytes::try_from(sealed).unwrap() });
        assert_eq!(answer, [Response::Done]);
        enrolled
    }

    fn client(&self, name: &str, password: &str) -> TcpStream {
        let mut client = self.server.connect();
        client.write_all(format!("{name} {password}\n").as_bytes()).unwrap();
        client
    }

    fn is_enrolled(&self) -> bool {
        self.server.ask(&Request::Enrolled).iter().any(|response| matches!(response, Response::Enrolled(_)))
    }
}

#[test]
fn who_is_enrolled_is_proven_and_their_leader_is_told() {
    let home = Home::new("nla", "works");
    let enrolled = Enrolled::start(&home);
    let names =
        [enrolled.name.clone(), format!("LAB\\{}", enrolled.name), format!("{}@lab.example.org", enrolled.name)];
    for (number, name) in names.iter().enumerate() {
        let mut client = enrolled.client(name, &enrolled.password);
        assert!(line(&mut client).starts_with("desktop of "), "{}", enrolled.server.log());
        let id = number + 1;
        let log = enrolled.server.log();
        let proven = format!("proven by NLA; connection={id} client=127.0.0.1 user={:?} uid=", enrolled.name);
        assert!(log.contains(&proven), "{log}");
        // The fake logs in by the name that it was told.
        let logged_in = format!("logged in; connection={id} client=127.0.0.1 user={:?} uid=", enrolled.name);
        assert!(log.contains(&logged_in), "{log}");
    }
}

#[test]
fn a_wrong_password_and_an_unknown_user_are_refused_alike() {
    let home = Home::new("nla", "works");
    let enrolled = Enrolled::start(&home);
    let mut times = Vec::new();
    for (number, (name, password)) in
        [(enrolled.name.as_str(), "wrong"), ("nobody-of-that-name", "canary")].into_iter().enumerate()
    {
        let start = Instant::now();
        assert_eq!(rest(&mut enrolled.client(name, password)), "refused\n");
        times.push(start.elapsed());
        // The line that fail2ban's filter looks for.
        enrolled.server.wait_log(&format!(
            "authentication failure; rhost=127.0.0.1 user={name:?} connection={} reason=\"NLA: wrong password, or nobody is enrolled by that name\"",
            number + 1
        ));
    }
    assert!(times.iter().all(|time| *time >= Duration::from_millis(250)), "{times:?}");
    assert!(!enrolled.server.log().contains("canary"));
}

#[test]
fn a_password_that_pam_refuses_is_not_enrolled_any_more() {
    let home = Home::new("nla", "stale");
    let enrolled = Enrolled::start(&home);
    assert_eq!(enrolled.is_enrolled(), enrolled.has_store);
    let _client = enrolled.client(&enrolled.name, &enrolled.password);
    enrolled.server.wait_log("authentication failure; rhost=127.0.0.1");
    assert!(!enrolled.is_enrolled());
    if enrolled.has_store {
        enrolled.server.wait_log("enrolment removed: PAM does not let in by it");
    }
}

#[test]
fn nobody_logs_in_as_another_than_was_proven() {
    let home = Home::new("nla", "another");
    let enrolled = Enrolled::start(&home);
    let _client = enrolled.client(&enrolled.name, &enrolled.password);
    enrolled.server.wait_log("has logged in where uid");
    enrolled.server.wait_log("login refused; connection=1 reason=\"This account is not the one that was enrolled.");
    let log = enrolled.server.log();
    assert!(!log.contains("logged in; connection="), "{log}");
    assert!(!enrolled.is_enrolled());
}

#[test]
fn where_nla_is_required_a_gate_cannot_do_without() {
    let home = Home::new("login", "works");
    home.configure("[login]\nsecurity = \"nla-required\"\n");
    let server = home.start();
    assert_eq!(rest(&mut server.connect()), "");
    server.wait_log("OpenLogin while Signed(NlaRequired)");
}

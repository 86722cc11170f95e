//! One of each message that is said on some other channel than from a gate to its monitor.

use serde::Serialize;
use wrd_proto::control::{Enrolment, ErrorKind, Status, Target};
use wrd_proto::gate::{NtlmVerdict, Returning, Security, SessionKey, Start};
use wrd_proto::login::{Prompt, SessionChoice, Tone};
use wrd_proto::reconnect::Cookie;
use wrd_proto::session::{SessionInfo, State};
use wrd_proto::transcript::{Progress, Transcript};
use wrd_proto::{Address, Bytes, ConnectionId, Key, Line, Secret, Text, UserName};
use wrd_proto::{control, gate, leader, login, session, worker};
use wrd_sys::channel::encode;

#[derive(Clone)]
pub struct Message {
    /// Who says it to whom, and its name.
    pub name: &'static str,
    pub bytes: Vec<u8>,
}

/// All of them.
pub fn messages() -> Vec<Message> {
    let mut messages = of_channels();
    messages.push(message("gate-worker-Transcript", &transcript()));
    messages
}

fn message(name: &'static str, message: &impl Serialize) -> Message {
    let bytes = encode(message).expect("a message that fits a frame").to_vec();
    Message { name, bytes }
}

/// Every one of each kind, or this does not compile.
macro_rules! every_message {
    ($($way:literal: $module:ident::$kind:ident { $($message:ident $fields:tt,)* })*) => {
        fn of_channels() -> Vec<Message> {
            $(let _ = |message: $module::$kind| match message { $($module::$kind::$message { .. } => {})* };)*
            vec![$($(message(concat!($way, "-", stringify!($message)), &$module::$kind::$message $fields),)*)*]
        }
    };
}

every_message! {
    "monitor-gate": gate::ToGate {
        Start { 0: start() },
        Signature { 0: Bytes::try_from(vec![1; 70]).unwrap_or_default() },
        NtlmChallenge { challenge: [1; 8] },
        NtlmVerdict { 0: NtlmVerdict::Proven(SessionKey::new([1; 16])) },
        Reconnect { 0: Returning::Granted },
        Login {},
        Link {},
        Refused { 0: line() },
    }
    "monitor-leader": leader::ToLeader {
        Begin { connection: CONNECTION, client: client(), proven: None, returning: Some(root()) },
        StartSession {},
        HandedOver {},
        Refused { 0: line() },
    }
    "leader-monitor": leader::FromLeader {
        Authenticated { uid: 0, user: root() },
        SessionReady {},
        SessionFailed { text: line() },
        Denied { user: root(), text: line(), pause_ms: u16::MAX },
        Stale {},
        Broken { reason: line() },
        Tries {},
        Asks {},
        Answered {},
    }
    "gate-leader": login::FromGate {
        Credentials { user: root(), domain: UserName::default(), password: secret(), session: SessionChoice::Last },
        Answer { 0: secret() },
        Cancel {},
    }
    "leader-gate": login::FromLeader {
        Denied { text: line(), may_retry: true },
        Accepted {},
        SessionFailed { text: line() },
        Ask { kind: Prompt::Hidden, text: line() },
        Tell { tone: Tone::Info, text: line() },
    }
    "monitor-session": session::ToSession {
        Describe {},
        Attach { connection: CONNECTION, client: client() },
        Disconnect {},
        Terminate {},
        Cookie { connection: CONNECTION, cookie: cookie() },
    }
    "session-monitor": session::FromSession {
        Description { 0: info() },
        Attached { connection: CONNECTION },
        AttachRefused { connection: CONNECTION, text: line() },
        Changed { 0: info() },
        Ending { reason: line() },
        Left { connection: CONNECTION },
    }
    "leader-worker": worker::ToWorker {
        Attach { connection: CONNECTION, client: client() },
        Disconnect {},
        Terminate {},
        Cookie { connection: CONNECTION, cookie: cookie() },
    }
    "worker-leader": worker::FromWorker {
        Ready { wayland_display: Text::truncated("wayland-1") },
        Failed { text: line() },
        Attached { connection: CONNECTION, width: 800, height: 600 },
        Detached { connection: CONNECTION },
        Ending { reason: line() },
        Left { connection: CONNECTION },
        Unusable {},
    }
    "wrdctl-monitor": control::Request {
        List {},
        Show { 0: Target::Uid(0) },
        Disconnect { 0: Target::User(root()) },
        Terminate { 0: Target::User(root()) },
        TerminateAll {},
        EnrolmentKey {},
        Enrol { user: root(), sealed: Bytes::try_from(vec![1; 84]).unwrap_or_default() },
        // With a name it is, to the byte, the last word of a gate.
        Forget { user: None },
        Enrolled {},
        Status {},
    }
    "monitor-wrdctl": control::Response {
        Session { 0: info() },
        Done {},
        Error { kind: ErrorKind::Internal, text: line() },
        EnrolmentKey { 0: Text::truncated("a key") },
        Enrolled { 0: Enrolment { user: root(), uid: Some(0), good: true } },
        Listening { 0: Text::truncated("192.0.2.1:3389") },
        Status { 0: status() },
    }
}

fn start() -> Start {
    Start {
        connection: CONNECTION,
        client: client(),
        host_name: Text::truncated("host"),
        chain: vec![Bytes::default()],
        schemes: vec![0x0403],
        max_width: 4096,
        max_height: 4096,
        login_deadline_ms: 1000,
        security: Security::Auto,
        sessions: Vec::new(),
    }
}

fn transcript() -> Transcript {
    let (progress, layout, pdus) = (Progress::Licensing, None, Vec::new());
    Transcript { security: 1, max_width: 1, max_height: 1, progress, layout, pdus }
}

fn status() -> Status {
    Status {
        version: Text::truncated("1.0"),
        security: Security::Auto,
        fingerprint: Text::truncated("00:01"),
        sessions: 1,
        connected: 1,
        enrolled: Some(1),
    }
}

fn secret() -> Secret {
    Secret::new(b"password".to_vec()).expect("a short password")
}

fn cookie() -> Cookie {
    Cookie { logon_id: 1, secret: Key::new([1; 16]) }
}

fn info() -> SessionInfo {
    SessionInfo {
        uid: 0,
        user: root(),
        logind: None,
        state: State::Connected,
        desktop: Text::truncated("wrd"),
        wayland_display: Text::truncated("wayland-1"),
        started: 1,
        leader_pid: 1,
        worker_pid: 1,
        client: None,
    }
}

fn root() -> UserName {
    UserName::truncated("root")
}

fn client() -> Address {
    Address::truncated("192.0.2.1")
}

fn line() -> Line {
    Line::truncated("a line of text")
}

const CONNECTION: ConnectionId = ConnectionId(1);

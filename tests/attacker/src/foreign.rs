//! One of each message that is said on some other channel than from a gate to its monitor.

use serde::Serialize;
use wrd_proto::gate::{NtlmVerdict, Returning, Security, SessionKey, Start, ToGate};
use wrd_proto::reconnect::Cookie;
use wrd_proto::session::{SessionInfo, State};
use wrd_proto::transcript::{Progress, Transcript};
use wrd_proto::{Address, Bytes, ConnectionId, Key, Line, Secret, Text, UserName};
use wrd_proto::{control, leader, login, session, worker};
use wrd_sys::channel::encode;

#[derive(Clone)]
pub struct Message {
    /// Who says it to whom, and its name.
    pub name: &'static str,
    pub bytes: Vec<u8>,
}

/// All of them.
pub fn messages() -> Vec<Message> {
    [to_gates(), of_leaders(), of_logins(), of_sessions(), of_workers(), of_control()].concat()
}

fn message(name: &'static str, message: &impl Serialize) -> Message {
    let bytes = encode(message).map(|frame| frame.to_vec()).unwrap_or_default();
    Message { name, bytes }
}

fn to_gates() -> Vec<Message> {
    let start = Start {
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
    };
    let signature = Bytes::try_from(vec![1; 70]).unwrap_or_default();
    let (progress, layout, pdus) = (Progress::Licensing, None, Vec::new());
    let transcript = Transcript { security: 1, max_width: 1, max_height: 1, progress, layout, pdus };
    vec![
        message("monitor-gate-start", &ToGate::Start(start)),
        message("monitor-gate-signature", &ToGate::Signature(signature)),
        message("monitor-gate-ntlm-challenge", &ToGate::NtlmChallenge { challenge: [1; 8] }),
        message("monitor-gate-ntlm-verdict", &ToGate::NtlmVerdict(NtlmVerdict::Proven(SessionKey::new([1; 16])))),
        message("monitor-gate-reconnect", &ToGate::Reconnect(Returning::Granted)),
        message("monitor-gate-login", &ToGate::Login),
        message("monitor-gate-link", &ToGate::Link),
        message("monitor-gate-refused", &ToGate::Refused(line())),
        message("gate-worker-transcript", &transcript),
    ]
}

fn of_leaders() -> Vec<Message> {
    use leader::{FromLeader, ToLeader};
    let returning = Some(root());
    let begin = ToLeader::Begin { connection: CONNECTION, client: client(), proven: None, returning };
    vec![
        message("monitor-leader-begin", &begin),
        message("monitor-leader-start-session", &ToLeader::StartSession),
        message("monitor-leader-handed-over", &ToLeader::HandedOver),
        message("monitor-leader-refused", &ToLeader::Refused(line())),
        message("leader-monitor-authenticated", &FromLeader::Authenticated { uid: 0, user: root() }),
        message("leader-monitor-stale", &FromLeader::Stale),
        message("leader-monitor-session-ready", &FromLeader::SessionReady),
        message("leader-monitor-session-failed", &FromLeader::SessionFailed { text: line() }),
        message("leader-monitor-denied", &FromLeader::Denied { user: root(), text: line(), pause_ms: u16::MAX }),
    ]
}

fn of_logins() -> Vec<Message> {
    use login::{FromGate, FromLeader};
    let mut messages = vec![
        message("leader-gate-denied", &FromLeader::Denied { text: line(), may_retry: true }),
        message("leader-gate-accepted", &FromLeader::Accepted),
        message("leader-gate-session-failed", &FromLeader::SessionFailed { text: line() }),
    ];
    if let Ok(password) = Secret::new(b"password".to_vec()) {
        let session = login::SessionChoice::Last;
        let credentials = FromGate::Credentials { user: root(), domain: UserName::default(), password, session };
        messages.push(message("gate-leader-credentials", &credentials));
    }
    messages
}

fn of_sessions() -> Vec<Message> {
    use session::{FromSession, ToSession};
    vec![
        message("monitor-session-describe", &ToSession::Describe),
        message("monitor-session-attach", &ToSession::Attach { connection: CONNECTION, client: client() }),
        message("monitor-session-cookie", &ToSession::Cookie { connection: CONNECTION, cookie: cookie() }),
        message("monitor-session-disconnect", &ToSession::Disconnect),
        message("monitor-session-terminate", &ToSession::Terminate),
        message("session-monitor-description", &FromSession::Description(info())),
        message("session-monitor-attached", &FromSession::Attached { connection: CONNECTION }),
        message("session-monitor-attach-refused", &FromSession::AttachRefused { connection: CONNECTION, text: line() }),
        message("session-monitor-changed", &FromSession::Changed(info())),
        message("session-monitor-left", &FromSession::Left { connection: CONNECTION }),
        message("session-monitor-ending", &FromSession::Ending { reason: line() }),
    ]
}

fn of_workers() -> Vec<Message> {
    use worker::{FromWorker, ToWorker};
    let attached = FromWorker::Attached { connection: CONNECTION, width: 800, height: 600 };
    vec![
        message("leader-worker-attach", &ToWorker::Attach { connection: CONNECTION, client: client() }),
        message("leader-worker-cookie", &ToWorker::Cookie { connection: CONNECTION, cookie: cookie() }),
        message("leader-worker-disconnect", &ToWorker::Disconnect),
        message("leader-worker-terminate", &ToWorker::Terminate),
        message("worker-leader-ready", &FromWorker::Ready { wayland_display: Text::truncated("wayland-1") }),
        message("worker-leader-failed", &FromWorker::Failed { text: line() }),
        message("worker-leader-attached", &attached),
        message("worker-leader-detached", &FromWorker::Detached { connection: CONNECTION }),
        message("worker-leader-left", &FromWorker::Left { connection: CONNECTION }),
        message("worker-leader-ending", &FromWorker::Ending { reason: line() }),
    ]
}

fn of_control() -> Vec<Message> {
    use control::{ErrorKind, Request, Response, Target};
    vec![
        message("wrdctl-monitor-list", &Request::List),
        message("wrdctl-monitor-show", &Request::Show(Target::Uid(0))),
        message("wrdctl-monitor-disconnect", &Request::Disconnect(Target::User(root()))),
        message("wrdctl-monitor-terminate", &Request::Terminate(Target::User(root()))),
        message("wrdctl-monitor-terminate-all", &Request::TerminateAll),
        message("monitor-wrdctl-session", &Response::Session(info())),
        message("monitor-wrdctl-done", &Response::Done),
        message("monitor-wrdctl-error", &Response::Error { kind: ErrorKind::Internal, text: line() }),
    ]
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

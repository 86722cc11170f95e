//! What callers of the control socket may ask, and the answers: a request, the caller's uid and what this server has go
//! in. This and `enrolment/control.rs` are the places that authorise: root and the owner of this server may all, a user
//! only what is theirs. Deliberately absent: sockets and waiting.

use crate::cert::Identity;
use crate::enrolment::{self, Store};
use crate::table::{NotNow, Table};
use nix::unistd::Uid;
use std::net::SocketAddr;
use wrd_proto::control::{ErrorKind, Request, Response, Status, Target};
use wrd_proto::gate::Security;
use wrd_proto::session::SessionInfo;
use wrd_proto::{Line, Text};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    Administrator,
    User(u32),
}

impl Caller {
    pub fn of(peer: Uid, server: Uid) -> Self {
        if peer.is_root() || peer == server { Self::Administrator } else { Self::User(peer.as_raw()) }
    }

    pub fn may_see(self, uid: u32) -> bool {
        match self {
            Self::Administrator => true,
            Self::User(own) => own == uid,
        }
    }
}

/// What requests are about.
pub struct House<'a> {
    pub table: &'a mut Table,
    pub store: Option<&'a mut Store>,
    pub security: Security,
    pub identity: &'a Identity,
    pub addresses: &'a [SocketAddr],
}

/// Why something is not done.
pub struct Refusal(pub ErrorKind, pub String);

/// Does what is asked, and says what to answer.
pub fn answer(request: Request, caller: Caller, house: &mut House<'_>) -> Vec<Response> {
    let table = &mut *house.table;
    let done = match &request {
        Request::List => {
            let visible = table.sessions().filter(|info| caller.may_see(info.uid));
            Ok(visible.map(Response::Session).collect())
        }
        Request::Show(target) => find(target, caller, table).map(|info| vec![Response::Session(info)]),
        Request::Disconnect(target) => find(target, caller, table)
            .and_then(|info| table.disconnect(info.uid).map_err(not_now))
            .map(|()| Vec::new()),
        Request::Terminate(target) => {
            find(target, caller, table).and_then(|info| table.terminate(info.uid).map_err(not_now)).map(|()| Vec::new())
        }
        Request::TerminateAll => terminate_all(caller, table),
        Request::Status => Ok(status(caller, house)),
        Request::EnrolmentKey | Request::Enrol { .. } | Request::Forget { .. } | Request::Enrolled => {
            match house.store.as_deref_mut() {
                Some(store) => {
                    let sessions: Vec<_> = house.table.sessions().map(|info| (info.uid, info.user)).collect();
                    enrolment::answer(&request, caller, store, &sessions)
                }
                None => Err(refusal(ErrorKind::WrongState, ONE_TIME)),
            }
        }
    };
    match done {
        Ok(mut responses) => {
            responses.push(Response::Done);
            responses
        }
        Err(Refusal(kind, text)) => vec![Response::Error { kind, text: Line::truncated(&text) }],
    }
}

fn terminate_all(caller: Caller, table: &mut Table) -> Result<Vec<Response>, Refusal> {
    if caller != Caller::Administrator {
        return Err(refusal(ErrorKind::NotPermitted, "only root may end all sessions"));
    }
    let uids: Vec<u32> = table.sessions().map(|info| info.uid).collect();
    let starting = uids.into_iter().filter(|uid| table.terminate(*uid).is_err()).count();
    if starting > 0 {
        let text = format!("{starting} sessions are still starting and were left alone");
        return Err(refusal(ErrorKind::WrongState, &text));
    }
    Ok(Vec::new())
}

fn status(caller: Caller, house: &mut House<'_>) -> Vec<Response> {
    let sessions: Vec<_> = house.table.sessions().filter(|info| caller.may_see(info.uid)).collect();
    let connected = sessions.iter().filter(|info| info.client.is_some()).count();
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let enrolled = house.store.as_deref_mut().map(|store| match caller {
        Caller::Administrator => store.count(),
        Caller::User(uid) => store.names_of(uid).len(),
    });
    let listening = house.addresses.iter().map(|address| Response::Listening(Text::truncated(&address.to_string())));
    let status = Status {
        version: Text::truncated(env!("CARGO_PKG_VERSION")),
        security: house.security,
        fingerprint: Text::truncated(&house.identity.fingerprint()),
        sessions: count(sessions.len()),
        connected: count(connected),
        enrolled: enrolled.map(count),
    };
    listening.chain([Response::Status(status)]).collect()
}

fn find(target: &Target, caller: Caller, table: &Table) -> Result<SessionInfo, Refusal> {
    let matches = |info: &SessionInfo| match target {
        Target::Uid(uid) => info.uid == *uid,
        Target::User(user) => info.user == *user,
        Target::Logind(id) => info.logind.as_ref() == Some(id),
    };
    let foreign = matches!(target, Target::Uid(uid) if !caller.may_see(*uid));
    match table.sessions().find(matches) {
        Some(info) if caller.may_see(info.uid) => Ok(info),
        Some(_) => Err(refusal(ErrorKind::NotPermitted, "that session belongs to another user")),
        None if foreign => Err(refusal(ErrorKind::NotPermitted, "that session belongs to another user")),
        None => Err(refusal(ErrorKind::NotFound, "there is no such session")),
    }
}

fn not_now(why: NotNow) -> Refusal {
    match why {
        NotNow::NoSession => refusal(ErrorKind::NotFound, "there is no such session"),
        NotNow::Starting => refusal(ErrorKind::WrongState, "the session is still starting"),
        NotNow::NothingAttached => refusal(ErrorKind::WrongState, "no client is connected to the session"),
    }
}

fn refusal(kind: ErrorKind, text: &str) -> Refusal {
    Refusal(kind, text.to_owned())
}

const ONE_TIME: &str = "this server has a one-time password: nobody is enrolled";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Action, Looked, Timing};
    use std::time::{Duration, Instant};
    use wrd_proto::UserName;
    use wrd_proto::session::{FromSession, State};

    /// Sessions of uid 1 and 2, named `user1` (logind `c1`) and `user2`.
    fn table() -> Table {
        let now = Instant::now();
        const SECOND: Duration = Duration::from_secs(1);
        let mut table = Table::new(Timing { login: SECOND, screen: SECOND, start: SECOND, reconnect: SECOND });
        for uid in [1, 2] {
            table.discover(uid);
            table.looked(uid, Looked::Found, now);
            let mut info = table.sessions().find(|info| info.uid == uid).unwrap();
            info.user = UserName::truncated(&format!("user{uid}"));
            info.logind = (uid == 1).then(|| "c1".try_into().unwrap());
            info.state = State::Disconnected;
            table.session_says(uid, FromSession::Description(info), now);
        }
        while table.next_action().is_some() {}
        table
    }

    fn kinds(request: Request, caller: Caller) -> Vec<String> {
        let shown = |response: Response| match response {
            Response::Session(info) => info.user.to_string(),
            Response::Done => "done".into(),
            Response::Error { kind, .. } => format!("{kind:?}"),
            other => format!("{other:?}"),
        };
        ask(request, caller, &mut table(), None).into_iter().map(shown).collect()
    }

    fn ask(request: Request, caller: Caller, table: &mut Table, store: Option<&mut Store>) -> Vec<Response> {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity::load(&wrd_config::Tls::default(), dir.path()).unwrap();
        let addresses = ["192.0.2.1:3389".parse().unwrap(), "[::]:3389".parse().unwrap()];
        let mut house =
            House { table, store, security: Security::NlaPreferred, identity: &identity, addresses: &addresses };
        answer(request, caller, &mut house)
    }

    #[test]
    fn root_sees_all_and_a_user_only_their_own() {
        assert_eq!(kinds(Request::List, Caller::Administrator), ["user1", "user2", "done"]);
        assert_eq!(kinds(Request::List, Caller::User(2)), ["user2", "done"]);
        assert_eq!(kinds(Request::List, Caller::User(3)), ["done"]);
    }

    #[test]
    fn every_way_to_name_a_session_is_authorised_alike() {
        let targets =
            [Target::Uid(1), Target::User(UserName::truncated("user1")), Target::Logind("c1".try_into().unwrap())];
        for target in targets {
            for request in [Request::Disconnect(target.clone()), Request::Terminate(target.clone())] {
                assert_eq!(kinds(request, Caller::User(2)), ["NotPermitted"]);
            }
            assert_eq!(kinds(Request::Show(target.clone()), Caller::User(2)), ["NotPermitted"]);
            assert_eq!(kinds(Request::Show(target.clone()), Caller::User(1)), ["user1", "done"]);
            assert_eq!(kinds(Request::Disconnect(target.clone()), Caller::User(1)), ["WrongState"]);
            assert_eq!(kinds(Request::Terminate(target), Caller::User(1)), ["done"]);
        }
        // Whether somebody else has a session is not told by their uid.
        assert_eq!(kinds(Request::Show(Target::Uid(9)), Caller::User(2)), ["NotPermitted"]);
        assert_eq!(kinds(Request::Show(Target::Uid(9)), Caller::Administrator), ["NotFound"]);
    }

    #[test]
    fn all_sessions_are_ended_for_root_only() {
        assert_eq!(kinds(Request::TerminateAll, Caller::User(1)), ["NotPermitted"]);
        let mut table = table();
        assert_eq!(ask(Request::TerminateAll, Caller::Administrator, &mut table, None), [Response::Done]);
        let told = std::iter::from_fn(|| table.next_action()).filter(|a| matches!(a, Action::TellSession(..))).count();
        assert_eq!(told, 2);
    }

    #[test]
    fn the_status_counts_what_the_caller_may_see() {
        let status = |caller, store: Option<&mut Store>| match &ask(Request::Status, caller, &mut table(), store)[..] {
            [Response::Listening(first), Response::Listening(second), Response::Status(status), Response::Done] => {
                assert_eq!((first.as_str(), second.as_str()), ("192.0.2.1:3389", "[::]:3389"));
                assert_eq!((status.security, status.fingerprint.len()), (Security::NlaPreferred, 32 * 3 - 1));
                (status.sessions, status.connected, status.enrolled)
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(status(Caller::Administrator, None), (2, 0, None));
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(enrolment::Places::below(dir.path()), 0);
        assert_eq!(status(Caller::User(2), Some(&mut store)), (1, 0, Some(0)));
        assert_eq!(status(Caller::User(3), Some(&mut store)), (0, 0, Some(0)));
    }

    #[test]
    fn a_server_with_a_one_time_password_enrols_nobody() {
        for request in [Request::EnrolmentKey, Request::Enrolled, Request::Forget { user: None }] {
            assert_eq!(kinds(request, Caller::Administrator), ["WrongState"]);
        }
    }

    #[test]
    fn the_owner_of_the_server_is_its_administrator() {
        let (root, alice, bob) = (Uid::from_raw(0), Uid::from_raw(1000), Uid::from_raw(1001));
        assert_eq!(Caller::of(root, alice), Caller::Administrator);
        assert_eq!(Caller::of(alice, alice), Caller::Administrator);
        assert_eq!(Caller::of(bob, alice), Caller::User(1001));
        assert_eq!(Caller::of(alice, root), Caller::User(1000));
    }
}

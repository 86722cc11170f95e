//! What callers of the control socket may ask, and the answers. Pure: a request, the caller's uid and the
//! table go in. The one place that authorises: root and the owner of this server may all, a user only
//! what is theirs.

use crate::table::{NotNow, Table};
use nix::unistd::Uid;
use wrd_proto::Line;
use wrd_proto::control::{ErrorKind, Request, Response, Target};
use wrd_proto::session::SessionInfo;

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

    fn may_see(self, uid: u32) -> bool {
        match self {
            Self::Administrator => true,
            Self::User(own) => own == uid,
        }
    }
}

/// Why something is not done.
struct Refusal(ErrorKind, String);

/// Does what is asked, and says what to answer.
pub fn answer(request: &Request, caller: Caller, table: &mut Table) -> Vec<Response> {
    let done = match request {
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
        let mut table = Table::new(Timing { login: SECOND, screen: SECOND, start: SECOND });
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
        };
        answer(&request, caller, &mut table()).into_iter().map(shown).collect()
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
        assert_eq!(answer(&Request::TerminateAll, Caller::Administrator, &mut table), [Response::Done]);
        let told = std::iter::from_fn(|| table.next_action()).filter(|a| matches!(a, Action::TellSession(..))).count();
        assert_eq!(told, 2);
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

//! The store as callers of the control socket see it: root enrols and forgets anybody, a user themselves.

use super::{Listed, PutError, Store, Word};
use crate::control::{Caller, Refusal};
use std::time::Instant;
use wrd_enrol::Entry;
use wrd_proto::control::{Enrolment, ErrorKind, Request, Response};
use wrd_proto::{Text, UserName};

/// Does what is asked of the store; what to answer before the end.
///
/// `sessions` has the names that PAM let users in by.
pub fn answer(
    request: &Request,
    caller: Caller,
    store: &mut Store,
    sessions: &[(u32, UserName)],
) -> Result<Vec<Response>, Refusal> {
    match request {
        Request::EnrolmentKey => {
            let key = store.public_key().map_err(internal)?;
            Ok(vec![Response::EnrolmentKey(Text::truncated(&key))])
        }
        Request::Enrol { user, sealed } => {
            let (word, uid) = match caller {
                Caller::Administrator => (Word::Trusted, Entry::parse(sealed).map_err(PutError::Entry)?.uid()),
                Caller::User(uid) if !store.may_put(uid, Instant::now()) => {
                    return Err(Refusal(ErrorKind::WrongState, "that was quick: try again in a second".into()));
                }
                Caller::User(uid) if sessions.contains(&(uid, user.clone())) => (Word::Trusted, uid),
                Caller::User(uid) => (Word::Own, uid),
            };
            store.put(word, uid, user, sealed)?;
            tracing::info!("enrolled for NLA; user={:?} uid={uid}", user);
            Ok(Vec::new())
        }
        Request::Forget { user } => forget(caller, store, user.as_ref()).map(|()| Vec::new()),
        Request::Enrolled => {
            let seen = |uid: Option<u32>| uid.map_or(caller == Caller::Administrator, |uid| caller.may_see(uid));
            let shown = |listed: Listed| {
                let user = UserName::truncated(&listed.name);
                Response::Enrolled(Enrolment { user, uid: listed.uid, good: listed.good })
            };
            Ok(store.list(seen).into_iter().map(shown).collect())
        }
        _ => Err(Refusal(ErrorKind::Internal, "this is not about enrolments".into())),
    }
}

fn forget(caller: Caller, store: &mut Store, user: Option<&UserName>) -> Result<(), Refusal> {
    let names = match (caller, user) {
        (Caller::Administrator, Some(user)) => vec![user.to_string()],
        (Caller::Administrator, None) => return Err(Refusal(ErrorKind::Invalid, "whom? root forgets by name".into())),
        (Caller::User(uid), user) => {
            let mut own: Vec<String> = store.names_of(uid).iter().map(|name| name.to_string()).collect();
            if let Some(user) = user {
                own.retain(|name| name == user.as_str());
                // Nobody learns who else is enrolled.
                if own.is_empty() {
                    return Err(Refusal(ErrorKind::NotPermitted, "that is not your enrolment".into()));
                }
            }
            own
        }
    };
    let mut forgotten = 0;
    for name in names {
        if store.forget(&name).map_err(internal)? {
            tracing::info!("enrolment forgotten; user={name:?}");
            forgotten += 1;
        }
    }
    if forgotten == 0 { Err(Refusal(ErrorKind::NotFound, "there is no enrolment".into())) } else { Ok(()) }
}

impl From<PutError> for Refusal {
    fn from(error: PutError) -> Self {
        let kind = match &error {
            PutError::Name(..) | PutError::Entry(_) => ErrorKind::Invalid,
            PutError::ForAnother(_) | PutError::System(_) | PutError::NotYourName(_) | PutError::Unknown => {
                ErrorKind::NotPermitted
            }
            PutError::Failed(_) => ErrorKind::Internal,
        };
        if let PutError::Failed(error) = &error {
            tracing::error!("nobody can be enrolled for NLA: {error:#}");
        }
        Self(kind, error.to_string())
    }
}

fn internal(error: anyhow::Error) -> Refusal {
    tracing::error!("enrolments are out of order: {error:#}");
    Refusal(ErrorKind::Internal, format!("{error:#}"))
}

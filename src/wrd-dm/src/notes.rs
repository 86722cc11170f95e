//! What the tables note, as lines in the log. Names come from strangers: they are quoted and escaped,
//! and the address stands before them, so that no name can pass for an address. It is `rhost` where a line is about
//! what is held against it, which fail2ban's filter looks for, and `client` elsewhere.

use crate::admission::{Reason, Refusal};
use crate::listener::Quiet;
use crate::table::Note;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Instant;
use tracing::{error, info, warn};

pub fn log(note: &Note) {
    match note {
        Note::Denied { id, client, user, text, pause: _ } => {
            warn!("authentication failure; rhost={client} user={:?} connection={id} reason={:?}", user, text);
        }
        Note::Proven { id, client, uid, user } => {
            info!("proven by NLA; connection={id} client={client} user={:?} uid={uid}", user);
        }
        Note::LoggedIn { id, client, uid, user } => {
            info!("logged in; connection={id} client={client} user={:?} uid={uid}", user);
        }
        Note::Returned { id, client, uid, user } => {
            info!("reconnected by cookie; connection={id} client={client} user={:?} uid={uid}", user);
        }
        Note::Attached { id, uid } => info!("attached to the session; connection={id} uid={uid}"),
        Note::Refused { id, text } => warn!("login refused; connection={id} reason={:?}", text),
        Note::Broken { id, client, reason } => {
            warn!("connection broke the rules; connection={id} rhost={client} reason={reason:?}");
        }
        Note::Unserved { id, client, reason } => {
            error!("cannot serve a connection: {reason}; connection={id} client={client}");
        }
        Note::Deadline { id, client } => {
            warn!("no login in time; connection={id} client={client}");
        }
        // Said by admission, which does not say it each time.
        Note::TurnedAway { .. } => {}
        Note::SessionStarted { uid, user } => info!("session started; user={:?} uid={uid}", user),
        Note::SessionFound { uid, user } => info!("session found; user={:?} uid={uid}", user),
        Note::SessionEnded { uid, user, reason } => {
            info!("session ended; user={:?} uid={uid} reason={:?}", user, reason);
        }
        Note::SessionFault { uid, reason } => error!("the session's leader is at fault; uid={uid} reason={reason:?}"),
    }
}

/// Lines about those who are not let in, or have to go again: in a flood one of each kind once in a while.
#[derive(Default)]
pub struct Refusals(BTreeMap<&'static str, Quiet>);

impl Refusals {
    pub fn refused(&mut self, client: &dyn Display, refusal: Refusal) {
        let reason = match refusal {
            Refusal::Penalty { .. } => "penalty",
            Refusal::SourceConnections => "source-connections",
            Refusal::SourceRate => "source-rate",
            Refusal::Flood { .. } => "flood",
            Refusal::Startups => "startups",
            Refusal::Connections => "connections",
        };
        let Some(others) = self.0.entry(reason).or_default().may_speak(Instant::now()) else { return };
        match refusal {
            Refusal::Penalty { left: time } | Refusal::Flood { lasts: time } => {
                let seconds = time.as_secs();
                warn!(not_logged = others, "admission: refused; rhost={client} reason={reason} seconds={seconds}");
            }
            _ => warn!(not_logged = others, "admission: refused; rhost={client} reason={reason}"),
        }
    }

    pub fn turned_away(&mut self, client: &dyn Display, reason: Reason) {
        let reason = reason_word(reason);
        if let Some(others) = self.0.entry(reason).or_default().may_speak(Instant::now()) {
            warn!(not_logged = others, "admission: turned away; rhost={client} reason={reason}");
        }
    }
}

/// Unlike those of a refusal, which are told apart in the counting too.
pub fn reason_word(reason: Reason) -> &'static str {
    match reason {
        Reason::Silent => "nothing-sent",
        Reason::WaitingRoom => "for-waiting-room",
        Reason::Startups => "for-startups",
        Reason::Screens => "for-login-screens",
        Reason::Connections => "for-connections",
    }
}

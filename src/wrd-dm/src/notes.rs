//! What the tables note, as lines in the log. Names come from strangers: they are quoted and escaped,
//! and the address stands before them, so that no name can pass for an address.

use crate::table::Note;
use tracing::{error, info, warn};

pub fn log(note: &Note) {
    match note {
        Note::Denied { id, client, user, text } => {
            warn!("authentication failure; rhost={client} user={:?} connection={id} reason={:?}", user, text);
        }
        Note::LoggedIn { id, client, uid, user } => {
            info!("logged in; connection={id} client={client} user={:?} uid={uid}", user);
        }
        Note::Attached { id, uid } => info!("attached to the session; connection={id} uid={uid}"),
        Note::Refused { id, text } => warn!("login refused; connection={id} reason={:?}", text),
        Note::GateFailed { id, client, stage, reason } => {
            info!("connection given up; connection={id} client={client} stage={stage:?} reason={:?}", reason);
        }
        Note::Broken { id, client, reason } => {
            warn!("connection broke the rules; connection={id} client={client} reason={reason:?}");
        }
        Note::Deadline { id, client } => {
            warn!("no login in time; connection={id} client={client}");
        }
        Note::TurnedAway { id, client, reason } => {
            warn!("connection turned away; connection={id} client={client} reason={reason:?}");
        }
        Note::SessionStarted { uid, user } => info!("session started; user={:?} uid={uid}", user),
        Note::SessionFound { uid, user } => info!("session found; user={:?} uid={uid}", user),
        Note::SessionEnded { uid, user, reason } => {
            info!("session ended; user={:?} uid={uid} reason={:?}", user, reason);
        }
        Note::SessionFault { uid, reason } => error!("the session's leader is at fault; uid={uid} reason={reason:?}"),
    }
}

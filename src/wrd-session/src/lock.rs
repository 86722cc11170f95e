//! logind's word that the session is to be locked (`loginctl lock-session`). What asks for the password of a desktop of
//! ours is the login screen, so that to lock it is to send its client there.
//!
//! Best effort, on a thread of its own that rests until there is a word. Deliberately absent: `Unlock`, which nobody needs
//! who cannot see a desktop without a password; what becomes of the client (`state.rs`).

use calloop::channel::{Channel, Sender, channel};
use logind_zbus::manager::ManagerProxyBlocking;
use logind_zbus::session::SessionProxyBlocking;
use std::time::Duration;
use zbus::blocking::connection;
use zbus::proxy::CacheProperties;

/// One message for each lock. `None` where logind does not know of this session.
pub fn watch() -> Option<Channel<()>> {
    let id = std::env::var("XDG_SESSION_ID").ok()?;
    let (sender, locks) = channel();
    let listen = move || {
        if let Err(error) = listen(&id, &sender) {
            tracing::warn!(%error, "logind cannot be listened to, `loginctl lock-session` will do nothing");
        }
    };
    match std::thread::Builder::new().name("session-lock".into()).spawn(listen) {
        Ok(_) => Some(locks),
        Err(error) => {
            tracing::error!(%error, "nobody listens to logind");
            None
        }
    }
}

fn listen(id: &str, sender: &Sender<()>) -> zbus::Result<()> {
    let connection = connection::Builder::system()?.method_timeout(PATIENCE).build()?;
    let manager = ManagerProxyBlocking::builder(&connection).cache_properties(CacheProperties::No).build()?;
    let path = manager.get_session(id)?;
    let session =
        SessionProxyBlocking::builder(&connection).path(path)?.cache_properties(CacheProperties::No).build()?;
    for _lock in session.receive_lock()? {
        if sender.send(()).is_err() {
            break;
        }
    }
    Ok(())
}

/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(5);

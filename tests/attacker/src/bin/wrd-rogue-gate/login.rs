//! On the login socket, whose other end a leader holds that runs as root; and on the link, behind which is a worker
//! of the user's who has logged in.

use crate::frames::{largest, live_on, of_hex, raw};
use crate::rogue::{Rogue, credentials, credentials_for};
use anyhow::{Context, Result, bail};
use nix::sys::socket::{MsgFlags, send};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use wrd_proto::login::{FromLeader, SessionChoice, SessionName};
use wrd_sys::ChannelError;
use wrd_sys::channel::encode;

/// Longer than a worker waits for a transcript.
const PATIENCE: Duration = Duration::from_secs(30);

pub fn act(rogue: &mut Rogue, act: &str) -> Result<()> {
    let good = encode(&credentials("carol", "wrong"))?;
    let socket = rogue.login()?.as_fd();
    if let Some(bytes) = act.strip_prefix("login-bytes:") {
        raw(socket, &of_hex(bytes)?, &[])?;
        return listen(rogue);
    }
    match act {
        "login-empty" => raw(socket, &[], &[])?,
        "login-garbage" => raw(socket, &[0xff; 100], &[])?,
        "login-cut" => raw(socket, good.get(..5).unwrap_or_default(), &[])?,
        "login-behind" => raw(socket, &[&good[..], &[0]].concat(), &[])?,
        "login-largest" => rogue.say(format!("sent {} bytes", largest(socket)?)),
        "login-descriptors" => {
            let null = File::open("/dev/null")?;
            raw(socket, &good, &[null.as_raw_fd(); 250])?;
        }
        // A name, a domain and a password of 300, 0 and 2000 bytes.
        "login-too-long" => {
            let name = [&[0, 0xac, 2][..], &[b'x'; 300], &[0]].concat();
            raw(socket, &[&name[..], &[0xd0, 0x0f], &[b'x'; 2000]].concat(), &[])?;
        }
        "login-session-path" => name_session(rogue, "../../../tmp/evil")?,
        // What the journal quotes must not pass for the rest of its line, or for another one.
        "login-session-forged" => name_session(rogue, "x\"\n rhost=198.51.100.96 user=\"y\" reason=\"")?,
        "login-thousand" => {
            let sent = (0..1000).take_while(|_| send(socket.as_raw_fd(), &good, MsgFlags::MSG_NOSIGNAL).is_ok());
            rogue.say(format!("sent {} credentials", sent.count()));
        }
        "login-root" => return try_once(rogue, "root", "x"),
        "login-no-name" => return try_once(rogue, "", "x"),
        "login-no-password" => return try_once(rogue, "carol", ""),
        "login-no-text" => return try_once(rogue, "carol\0", "pw-carol\0"),
        "login-close" => {
            rogue.login = None;
            live_on();
        }
        other => bail!("no act {other}"),
    }
    listen(rogue)
}

fn name_session(rogue: &Rogue, name: &str) -> Result<()> {
    let session = SessionChoice::Named(SessionName::truncated(name));
    Ok(rogue.login()?.send(&credentials_for("carol", "pw-carol", session))?)
}

/// Tells what the leader says of these credentials.
fn try_once(rogue: &Rogue, user: &str, password: &str) -> Result<()> {
    rogue.login()?.send(&credentials(user, password))?;
    hear(rogue).map(drop)
}

/// Tells what the leader still says, until it is gone.
fn listen(rogue: &Rogue) -> Result<()> {
    while hear(rogue)? {}
    Ok(())
}

/// Tells the leader's next word; whether there may be another.
fn hear(rogue: &Rogue) -> Result<bool> {
    let heard = match rogue.login()?.recv_fd() {
        Ok((FromLeader::Denied { may_retry: true, .. }, _)) => "denied".into(),
        Ok((FromLeader::Denied { may_retry: false, .. }, _)) => "denied for good".into(),
        Ok((FromLeader::Ask { .. }, _)) => "a question".into(),
        Ok((FromLeader::Tell { .. }, _)) => "a message".into(),
        Ok((FromLeader::Accepted, _)) => "accepted".into(),
        Ok((FromLeader::SessionFailed { text }, _)) => format!("session failed: {text}"),
        Err(ChannelError::Closed) => "login closed".into(),
        Err(error) => format!("misunderstood: {error}"),
    };
    rogue.say(&heard);
    Ok(!heard.starts_with("login closed") && !heard.starts_with("misunderstood"))
}

/// No transcript: the worker should want no more of it.
pub fn act_on_link(rogue: &mut Rogue, act: &str) -> Result<()> {
    let mut link = UnixStream::from(rogue.link.take().context("there is no link")?);
    link.set_read_timeout(Some(PATIENCE))?;
    link.set_write_timeout(Some(PATIENCE))?;
    // What cannot be written is not wanted any more, which is what the end below says, too.
    let _ = match act {
        "link-garbage" => link.write_all(&[0xff; 100]),
        "link-half" => link.write_all(&[0, 1, 0, 0, 1, 2, 3]),
        "link-flood" => {
            let block = [&0x1_0000_u32.to_le_bytes()[..], &[0xff; 0x1_0000]].concat();
            (0..1000).try_for_each(|_| link.write_all(&block))
        }
        other => bail!("no act {other}"),
    };
    match link.read_to_end(&mut Vec::new()) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => rogue.say(format!("link: {error}")),
        _ => rogue.say("link closed"),
    }
    Ok(())
}

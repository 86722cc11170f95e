//! The control socket: a bounded number of callers, one request each, five seconds for all of it.

use crate::control::{Caller, House, answer};
use crate::leaders::connect_to;
use crate::monitor::Monitor;
use crate::wire::Wire;
use anyhow::{Context, bail};
use calloop::generic::Generic;
use calloop::timer::{TimeoutAction, Timer};
use calloop::{Interest, LoopHandle, Mode, PostAction, RegistrationToken};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, getsockopt, listen, socket, sockopt,
};
use nix::unistd::{Uid, geteuid};
use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, Permissions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;
use wrd_proto::control::{Request, Response};
use wrd_sys::{ChannelError, RawChannel};

/// Everybody who has the control socket open.
#[derive(Default)]
pub struct Callers {
    open: BTreeMap<u64, Call>,
    last: u64,
}

struct Call {
    wire: Wire<Monitor, Response, Request>,
    caller: Caller,
    peer: Uid,
    request: Option<Request>,
    answers: VecDeque<Response>,
    timer: RegistrationToken,
    /// The same socket as something that becomes writable, once a caller reads slower than we answer.
    room: Option<RegistrationToken>,
    writable: OwnedFd,
}

/// Makes the control socket at `path`. Stand-alone a living server of the same user keeps it.
pub fn listen_at(path: &Path, taken: Taken) -> anyhow::Result<OwnedFd> {
    if taken == Taken::IsAnError && connect_to(path).is_ok() {
        bail!("another stand-alone wrd-dm of yours is running (it answers on {}): end it first", path.display());
    }
    let make = || -> anyhow::Result<OwnedFd> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let listener = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
        bind(listener.as_raw_fd(), &UnixAddr::new(path)?)?;
        // Everybody may ask; who it is decides about the answer.
        fs::set_permissions(path, Permissions::from_mode(0o666))?;
        listen(&listener, Backlog::new(BACKLOG)?)?;
        Ok(listener)
    };
    make().with_context(|| format!("cannot make the control socket {}", path.display()))
}

/// What a living server on the control socket means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    IsAnError,
    /// systemd runs one server only: it is the one that is just ending.
    IsReplaced,
}

/// Puts the control socket into the loop.
pub fn serve(handle: &LoopHandle<'static, Monitor>, listener: OwnedFd) -> anyhow::Result<RegistrationToken> {
    // The standard library's accept does not mind that this is a message socket.
    let listener = UnixListener::from(listener);
    listener.set_nonblocking(true)?;
    let source = Generic::new(listener, Interest::READ, Mode::Level);
    let token = handle.insert_source(source, |_, listener, monitor| {
        match listener.accept() {
            Ok((socket, _)) => {
                if let Err(error) = take(monitor, socket.into()) {
                    tracing::debug!("a caller of the control socket was turned away: {error:#}");
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => tracing::warn!("cannot accept a caller of the control socket: {error}"),
        }
        Ok(PostAction::Continue)
    });
    Ok(token.map_err(|error| error.error)?)
}

/// Answers every request that can be answered by now. A session that was just found may say in a moment
/// what it is, and is waited for.
pub fn answer_all(monitor: &mut Monitor) {
    if monitor.table.is_joining() {
        return;
    }
    let asked: Vec<u64> =
        monitor.callers.open.iter().filter(|(_, call)| call.request.is_some()).map(|(id, _)| *id).collect();
    for id in asked {
        let Some(call) = monitor.callers.open.get_mut(&id) else { continue };
        let Some(request) = call.request.take() else { continue };
        let mut house = House {
            table: &mut monitor.table,
            store: monitor.enrolment.as_mut(),
            security: monitor.config.login.security,
            identity: &monitor.identity,
            addresses: &monitor.addresses,
        };
        call.answers.extend(answer(request, call.caller, &mut house));
        write(monitor, id);
    }
}

/// A new caller, if there is room for one.
fn take(monitor: &mut Monitor, socket: OwnedFd) -> anyhow::Result<()> {
    let peer = Uid::from_raw(getsockopt(&socket, sockopt::PeerCredentials)?.uid());
    let caller = Caller::of(peer, geteuid());
    let calls = &monitor.callers.open;
    let same = calls.values().filter(|call| call.peer == peer).count();
    if caller != Caller::Administrator && (same >= MAX_OF_ONE_USER || calls.len() >= MAX_CALLERS) {
        bail!("{same} calls of uid {peer} and {} in all are open", calls.len());
    }
    monitor.callers.last += 1;
    let id = monitor.callers.last;
    let writable = socket.try_clone()?;
    let wire = Wire::open(&monitor.handle, RawChannel::from(socket), move |monitor: &mut Monitor, request| {
        heard(monitor, id, request);
    })?;
    let timer = Timer::from_duration(CALL_TIME);
    let timer = monitor.handle.insert_source(timer, move |_, (), monitor: &mut Monitor| {
        close(monitor, id);
        TimeoutAction::Drop
    });
    let timer = timer.map_err(|error| error.error)?;
    let call = Call { wire, caller, peer, request: None, answers: VecDeque::new(), timer, room: None, writable };
    monitor.callers.open.insert(id, call);
    Ok(())
}

fn heard(monitor: &mut Monitor, id: u64, request: Result<Request, ChannelError>) {
    let request = match request {
        Ok(request) => request,
        Err(error) => {
            if !matches!(error, ChannelError::Closed) {
                tracing::debug!("a caller of the control socket is not understood: {error}");
            }
            return close(monitor, id);
        }
    };
    let Some(call) = monitor.callers.open.get_mut(&id) else { return };
    if call.request.is_some() || !call.answers.is_empty() {
        return close(monitor, id);
    }
    call.request = Some(request);
    monitor.discover_sessions();
}

/// Writes as many answers as there is room for, and closes behind the last.
fn write(monitor: &mut Monitor, id: u64) {
    let Some(call) = monitor.callers.open.get_mut(&id) else { return };
    while let Some(response) = call.answers.front() {
        match call.wire.send(response, &[]) {
            Ok(()) => drop(call.answers.pop_front()),
            Err(ChannelError::WouldBlock) => {
                if call.room.is_none() {
                    match wait_for_room(&monitor.handle, &call.writable, id) {
                        Ok(token) => call.room = Some(token),
                        Err(error) => {
                            tracing::warn!("cannot wait for a caller of the control socket: {error:#}");
                            return close(monitor, id);
                        }
                    }
                }
                return;
            }
            Err(_) => break,
        }
    }
    close(monitor, id);
}

fn wait_for_room(
    handle: &LoopHandle<'static, Monitor>,
    socket: &OwnedFd,
    id: u64,
) -> anyhow::Result<RegistrationToken> {
    let source = Generic::new(socket.try_clone()?, Interest::WRITE, Mode::Level);
    let token = handle.insert_source(source, move |_, _, monitor: &mut Monitor| {
        write(monitor, id);
        Ok(PostAction::Continue)
    });
    Ok(token.map_err(|error| error.error)?)
}

fn close(monitor: &mut Monitor, id: u64) {
    if let Some(call) = monitor.callers.open.remove(&id) {
        monitor.handle.remove(call.timer);
        if let Some(room) = call.room {
            monitor.handle.remove(room);
        }
    }
}

const BACKLOG: i32 = 64;
const MAX_CALLERS: usize = 64;
const MAX_OF_ONE_USER: usize = 8;
const CALL_TIME: Duration = Duration::from_secs(5);

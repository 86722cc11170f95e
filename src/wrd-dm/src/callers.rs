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
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;
use wrd_proto::control::{Request, Response};
use wrd_sys::{ChannelError, RawChannel};

/// Everybody who has the control socket open.
pub struct Callers {
    open: BTreeMap<u64, Call>,
    last: u64,
    /// How long each of them may have it.
    time: Duration,
}

impl Default for Callers {
    fn default() -> Self {
        Self { open: BTreeMap::new(), last: 0, time: CALL_TIME }
    }
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
                if let Err(error) = uid_of(&socket).and_then(|peer| take(monitor, socket.into(), peer)) {
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

fn uid_of(socket: &UnixStream) -> anyhow::Result<Uid> {
    Ok(Uid::from_raw(getsockopt(socket, sockopt::PeerCredentials)?.uid()))
}

/// A new caller, if there is room for one.
fn take(monitor: &mut Monitor, socket: OwnedFd, peer: Uid) -> anyhow::Result<()> {
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
    let timer = Timer::from_duration(monitor.callers.time);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::Admission;
    use crate::cert::Identity;
    use crate::door::{Door, Manner};
    use crate::monitor::Sockets;
    use crate::nla::Nla;
    use crate::offers::Offers;
    use crate::places::{Authority, GateUser, Mode};
    use crate::table::Table;
    use calloop::EventLoop;
    use std::time::Instant;
    use tempfile::TempDir;
    use wrd_config::{Paths, System};
    use wrd_proto::Text;
    use wrd_sys::Channel;
    use wrd_sys::channel::Blocking;

    const ROOT: Uid = Uid::from_raw(0);

    /// Users who are not the server's own.
    fn user(number: u32) -> Uid {
        Uid::from_raw(geteuid().as_raw() + number)
    }

    /// A monitor, and its loop.
    struct Stage {
        monitor: Monitor,
        events: EventLoop<'static, Monitor>,
        _dir: TempDir,
    }

    impl Stage {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let [config_dir, runtime_dir, state_dir, libexec_dir] =
                ["config", "run", "state", "libexec"].map(|name| dir.path().join(name));
            let (config, mode) = (System::default(), Mode::Standalone(Authority::Pam));
            let events = EventLoop::try_new().unwrap();
            let monitor = Monitor {
                handle: events.handle(),
                signal: events.get_signal(),
                gate_user: GateUser::Own,
                identity: Identity::load(&config.tls, &state_dir).unwrap(),
                host_name: Text::default(),
                offers: Offers::of(&[""; 0]),
                table: Table::new(Monitor::timing(&config)),
                admission: Admission::new(Monitor::rules(&config), 0),
                door: Door::new(Manner::AsOthers).unwrap(),
                nla: Nla::new(&mode).unwrap(),
                enrolment: None,
                addresses: Vec::new(),
                listeners: Vec::new(),
                callers: Callers::default(),
                children: BTreeMap::new(),
                shutdown: None,
                sockets: Sockets::default(),
                alarm: None,
                status: String::new(),
                paths: Paths { config_dir, runtime_dir, state_dir, libexec_dir },
                mode,
                config,
            };
            Self { monitor, events, _dir: dir }
        }

        fn call(&mut self, uid: Uid) -> Channel<Request, Response> {
            let (ours, theirs) = RawChannel::pair().unwrap();
            // Who is turned away finds that out by themselves.
            let _ = take(&mut self.monitor, theirs.into(), uid);
            let call = ours.typed();
            call.set_nonblocking(Blocking::No).unwrap();
            call
        }

        fn calls(&mut self, uid: Uid, count: usize) -> Vec<Channel<Request, Response>> {
            (0..count).map(|_| self.call(uid)).collect()
        }

        /// Everything that has happened by now.
        fn settle(&mut self) {
            self.events.dispatch(Duration::ZERO, &mut self.monitor).unwrap();
            answer_all(&mut self.monitor);
        }

        fn is_answered(&mut self, uid: Uid) -> bool {
            let call = self.call(uid);
            let _ = call.send(&Request::List);
            self.settle();
            matches!((call.recv(), call.recv()), (Ok(Response::Done), Err(ChannelError::Closed)))
        }

        /// One who asks for more than their socket holds, and reads nothing of it.
        fn call_of_a_slow_reader(&mut self) -> Channel<Request, Response> {
            self.monitor.addresses = vec!["192.0.2.1:3389".parse().unwrap(); 10_000];
            let call = self.call(user(1));
            call.send(&Request::Status).unwrap();
            self.settle();
            assert_eq!(self.monitor.callers.open.len(), 1);
            call
        }
    }

    fn is_open(call: &Channel<Request, Response>) -> bool {
        matches!(call.recv(), Err(ChannelError::WouldBlock))
    }

    #[test]
    fn one_uid_has_eight_calls_and_all_have_sixty_four_and_root_is_answered_all_the_same() {
        let mut stage = Stage::new();
        let mut calls = stage.calls(user(1), 8);
        assert!(!is_open(&stage.call(user(1))));
        assert!(stage.is_answered(user(2)) && stage.is_answered(ROOT) && !stage.is_answered(user(1)));
        for number in 2..=8 {
            calls.extend(stage.calls(user(number), 8));
        }
        assert!(calls.len() == 64 && calls.iter().all(is_open));
        assert!(!is_open(&stage.call(user(9))));
        assert!(stage.is_answered(ROOT) && !stage.is_answered(user(9)));
        // Whoever hangs up makes room.
        calls.truncate(63);
        stage.settle();
        assert!(stage.is_answered(user(9)) && calls.iter().all(is_open));
    }

    #[test]
    fn a_caller_has_its_time_and_no_more_to_ask_and_to_be_answered() {
        const SHORT: Duration = Duration::from_millis(200);
        const PATIENCE: Duration = Duration::from_secs(30);
        assert_eq!(Callers::default().time, Duration::from_secs(5));
        let mut stage = Stage::new();
        stage.monitor.callers.time = SHORT;
        for is_silent in [true, false] {
            let began = Instant::now();
            let call = if is_silent { stage.call(ROOT) } else { stage.call_of_a_slow_reader() };
            while !stage.monitor.callers.open.is_empty() {
                stage.events.dispatch(SHORT / 4, &mut stage.monitor).unwrap();
                assert!(began.elapsed() < PATIENCE);
            }
            assert!(began.elapsed() >= SHORT);
            let last =
                std::iter::repeat_with(|| call.recv()).find(|heard| !matches!(heard, Ok(Response::Listening(_))));
            assert!(matches!(last, Some(Err(ChannelError::Closed))), "{last:?}");
        }
    }

    #[test]
    fn a_call_has_one_request() {
        let mut stage = Stage::new();
        let call = stage.call_of_a_slow_reader();
        call.send(&Request::List).unwrap();
        stage.settle();
        assert!(stage.monitor.callers.open.is_empty());
    }
}

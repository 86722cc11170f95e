//! The worker's state: composes the rooms and routes events between them; the only room that sees every
//! other.
//!
//! A turn of the loop ends in [`State::turn`]: what was asked for is done, and whoever watches is shown
//! what has changed. Always true: with an attached client and nothing to do, there is no timer and no byte.

use crate::deadlines::Deadlines;
use crate::handover::{Key, Link};
use crate::link::Farewell;
use crate::source::{KeyboardLayout, Request, Source};
use calloop::channel::{self, Channel as Messages};
use calloop::generic::Generic;
use calloop::timer::{TimeoutAction, Timer};
use calloop::{Interest, LoopHandle, LoopSignal, Mode, PostAction, RegistrationToken};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;
use wrd_proto::worker::{FromWorker, ToWorker};
use wrd_proto::{ConnectionId, Line};
use wrd_rdp::client::Keyboard;
use wrd_rdp::keymap::{LayoutName, xkb};
use wrd_rdp::pdu::EndReason;
use wrd_sys::channel::Blocking;
use wrd_sys::{Channel, ChannelError};

/// The channel to the leader.
pub type Leader = Channel<FromWorker, ToWorker>;

/// See the module.
pub struct State<S: Source + 'static> {
    pub source: S,
    pub(crate) handle: LoopHandle<'static, Self>,
    pub(crate) links: BTreeMap<Key, Link>,
    pub(crate) attached: Option<Key>,
    pub(crate) next_key: Key,
    pub(crate) deadlines: Deadlines,
    signal: LoopSignal,
    leader: Leader,
    /// The keyboard of the last client: one with another gets its own layout, but what the user chose for this
    /// one, on the login screen or since then, is not fought.
    keyboard: Option<Keyboard>,
    /// Whose client may come back without a password.
    pub(crate) cookie_of: Option<ConnectionId>,
    /// Runs while nobody watches.
    tick: Option<RegistrationToken>,
    course: Course,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    Running,
    /// The clients are being told; then the loop stops.
    Ending,
}

/// Frames in one turn, so that input has its turn too.
const MAX_FRAMES: usize = 8;

impl<S: Source + 'static> State<S> {
    /// Registers the leader's channel and the signals with the loop.
    pub fn new(
        source: S,
        leader: Leader,
        handle: LoopHandle<'static, Self>,
        signal: LoopSignal,
        deadlines: Deadlines,
    ) -> anyhow::Result<Self> {
        leader.set_nonblocking(Blocking::No)?;
        let readable = leader.as_fd().try_clone_to_owned()?;
        handle
            .insert_source(Generic::new(readable, Interest::READ, Mode::Level), |_, _, state: &mut Self| {
                Ok(state.leader_speaks())
            })
            .map_err(|error| error.error)?;
        Ok(Self {
            source,
            handle,
            links: BTreeMap::new(),
            attached: None,
            next_key: 0,
            deadlines,
            signal,
            leader,
            keyboard: None,
            cookie_of: None,
            tick: None,
            course: Course::Running,
        })
    }

    /// Ends the session once `event` is readable.
    pub fn end_on(&self, event: OwnedFd) -> anyhow::Result<()> {
        let source = Generic::new(event, Interest::READ, Mode::Level);
        self.handle
            .insert_source(source, |_, _, state: &mut Self| {
                state.end(EndReason::Terminated, "the session was told to end");
                Ok(PostAction::Remove)
            })
            .map_err(|error| error.error)?;
        Ok(())
    }

    /// Locks the session at each of these.
    pub fn lock_on(&self, locks: Messages<()>) -> anyhow::Result<()> {
        self.handle
            .insert_source(locks, |event, (), state: &mut Self| {
                if let channel::Event::Msg(()) = event {
                    state.lock();
                }
            })
            .map_err(|error| error.error)?;
        Ok(())
    }

    /// Whoever watches is sent away, and who comes next shows a password, whether their line was cut or not.
    fn lock(&mut self) {
        tracing::info!("the session is locked");
        if let Some(connection) = self.cookie_of.take() {
            self.report(&FromWorker::Left { connection });
        }
        self.detach(Farewell::Reason(EndReason::Disconnected));
    }

    /// The end of a turn of the loop.
    pub fn turn(&mut self) {
        self.requests();
        self.show();
        self.keep_ticking();
        if self.course == Course::Ending && self.links.is_empty() {
            self.signal.stop();
        }
    }

    /// Says something to the leader. Without one to listen the session ends anyway.
    pub fn report(&self, message: &FromWorker) {
        match self.leader.send(message) {
            Ok(()) | Err(ChannelError::Closed) => {}
            Err(error) => tracing::warn!(%error, "the leader could not be told"),
        }
    }

    /// Ends the session: whoever watches is told why, then the loop stops.
    pub fn end(&mut self, reason: EndReason, text: &str) {
        if self.course == Course::Ending {
            return;
        }
        tracing::info!(reason = text, "the session ends");
        self.course = Course::Ending;
        self.report(&FromWorker::Ending { reason: Line::truncated(text) });
        self.detach(Farewell::Reason(reason));
        self.signal.wakeup();
    }

    pub(crate) fn apply_keyboard(&mut self, keyboard: Keyboard, chosen: Option<LayoutName>) {
        let before = self.keyboard.replace(keyboard);
        if chosen.is_none() && before == Some(keyboard) {
            return;
        }
        let name = chosen.unwrap_or_else(|| xkb(keyboard));
        tracing::debug!(klid = format_args!("{:#010x}", keyboard.layout), layout = name.layout, "keyboard");
        self.source.set_keyboard_layout(&KeyboardLayout {
            layout: name.layout.to_owned(),
            variant: name.variant.to_owned(),
            ..KeyboardLayout::default()
        });
    }

    fn leader_speaks(&mut self) -> PostAction {
        loop {
            match self.leader.recv_fd() {
                Ok((ToWorker::Attach { connection, client }, Some(link))) if self.course == Course::Running => {
                    if let Err(error) = self.arrive(connection, client, link) {
                        tracing::error!(%connection, error = format_args!("{error:#}"), "a connection is refused");
                    }
                }
                Ok((ToWorker::Attach { connection, .. }, _)) => {
                    tracing::info!(%connection, "a connection is refused: the session ends, or it has no link");
                }
                Ok((ToWorker::Cookie { connection, cookie }, _)) => self.give_cookie(connection, cookie),
                Ok((ToWorker::Disconnect, _)) => self.detach(Farewell::Reason(EndReason::Disconnected)),
                Ok((ToWorker::Terminate, _)) => self.end(EndReason::Terminated, "the session was terminated"),
                Err(ChannelError::WouldBlock) => return PostAction::Continue,
                Err(error) => {
                    self.end(EndReason::Terminated, &format!("the leader is gone: {error}"));
                    return PostAction::Remove;
                }
            }
        }
    }

    /// What the person at the desktop asked for.
    fn requests(&mut self) {
        for request in self.source.take_requests() {
            match request {
                Request::Disconnect => self.detach(Farewell::Reason(EndReason::DisconnectedByUser)),
                Request::LogOut => self.end(EndReason::LoggedOut, "the user has logged out"),
                Request::Unusable => self.report(&FromWorker::Unusable),
                Request::Ended { reason } => self.end(EndReason::LoggedOut, &reason),
            }
        }
    }

    /// Brings the attached client up to date.
    fn show(&mut self) {
        for _ in 0..MAX_FRAMES {
            let Some(key) = self.attached else { return };
            let Some(link) = self.links.get_mut(&key) else { return };
            let queued = link.stream.output.len();
            let Some(viewer) = link.viewer() else { return };
            // The borrow of the link ends here, the source's does not begin before.
            let shown = match viewer_show(viewer, &mut self.source, queued) {
                Ok(more) => more,
                Err(error) => return self.fault(key, &error),
            };
            self.flush(key);
            // What was refused for the bytes in its way is asked for again once they are gone: nothing else
            // would wake us for it.
            let left = self.links.get(&key).map_or(0, |link| link.stream.output.len());
            if !shown && left >= queued {
                return;
            }
        }
        self.signal.wakeup();
    }

    /// While nobody watches, applications go on slowly.
    fn keep_ticking(&mut self) {
        let watched =
            self.attached_link().and_then(|(_, link)| link.viewer()).is_some_and(|viewer| viewer.is_watching());
        if watched {
            if let Some(tick) = self.tick.take() {
                self.handle.remove(tick);
            }
            return;
        }
        if self.tick.is_some() {
            return;
        }
        let Some(pause) = self.source.tick_detached() else { return };
        let timer = self.handle.insert_source(Timer::from_duration(pause), |_, _, state: &mut Self| {
            // The turn that ends now asks anew.
            state.tick = None;
            TimeoutAction::Drop
        });
        match timer {
            Ok(token) => self.tick = Some(token),
            Err(error) => tracing::error!(%error, "detached applications will not go on"),
        }
    }
}

fn viewer_show<S: Source>(
    viewer: &mut crate::viewer::Viewer,
    source: &mut S,
    queued: usize,
) -> Result<bool, crate::link::LinkError> {
    viewer.show(source, queued, Instant::now())
}

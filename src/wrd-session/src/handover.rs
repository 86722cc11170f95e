//! Links: they arrive with a transcript, one of them is looked at the desktop through, and all of them
//! leave in good order. The events of their sockets and their deadlines are handled here.
//!
//! Always true: at most one link is attached; a new one takes over at once, and an old one that does not
//! read holds nobody up. What goes wrong with a link ends that link.

use crate::link::outbox::Flushed;
use crate::link::stream::{Received, Stream, StreamError};
use crate::link::{Farewell, LinkError};
use crate::source::Source;
use crate::state::State;
use crate::viewer::{News, Viewer};
use anyhow::Context;
use calloop::generic::Generic;
use calloop::timer::{TimeoutAction, Timer};
use calloop::{Interest, LoopHandle, Mode, PostAction, RegistrationToken};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use wrd_proto::reconnect::Cookie;
use wrd_proto::transcript::{MAX_TRANSCRIPT, Transcript};
use wrd_proto::worker::FromWorker;
use wrd_proto::{Address, ConnectionId};
use wrd_rdp::pdu::EndReason;

/// Names a link within this worker.
pub type Key = u64;

/// One link.
pub struct Link {
    pub connection: ConnectionId,
    pub client: Address,
    pub stream: Stream,
    pub stage: Stage,
    /// What its client may come back with, until it is active and can be told.
    cookie: Option<Cookie>,
    tokens: Tokens,
    deadline: Option<Instant>,
}

pub enum Stage {
    /// The transcript is being read.
    Arriving(Vec<u8>),
    Attached(Box<Viewer>),
    /// Told to go; what it says is not listened to any more.
    Leaving,
}

struct Tokens {
    read: RegistrationToken,
    /// Only while something waits to be written.
    write: Option<RegistrationToken>,
    timer: Option<RegistrationToken>,
}

impl Link {
    pub fn viewer(&mut self) -> Option<&mut Viewer> {
        match &mut self.stage {
            Stage::Attached(viewer) => Some(viewer),
            _ => None,
        }
    }
}

/// Why a link is taken away.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error("a transcript of {0} bytes, at most {MAX_TRANSCRIPT} are allowed")]
    Transcript(usize),
    #[error("malformed transcript: {0}")]
    Malformed(#[from] wrd_sys::ChannelError),
}

impl<S: Source + 'static> State<S> {
    /// A login of this user: the one who is attached goes, the new one comes.
    pub fn arrive(&mut self, connection: ConnectionId, client: Address, link: OwnedFd) -> anyhow::Result<()> {
        self.detach(Farewell::Reason(EndReason::TakenOver));
        let key = self.next_key;
        self.next_key += 1;
        let stream = Stream::new(link).context("the link cannot be used")?;
        let tokens = register(&self.handle, &stream, key)?;
        tracing::info!(%connection, %client, "a connection arrives");
        let stage = Stage::Arriving(Vec::new());
        self.links.insert(key, Link { connection, client, stream, stage, cookie: None, tokens, deadline: None });
        self.set_deadline(key, Some(self.deadlines.transcript));
        Ok(())
    }

    /// Sends the attached client away, and one that is still arriving, and keeps the desktop.
    pub fn detach(&mut self, why: Farewell) {
        let keys: Vec<Key> = self.links.keys().copied().collect();
        keys.into_iter().for_each(|key| self.send_away(key, why));
    }

    /// For the client of `connection`, if it is still the one.
    pub fn give_cookie(&mut self, connection: ConnectionId, cookie: Cookie) {
        let link = self.links.iter_mut().find(|(_, link)| link.connection == connection);
        let Some((key, link)) = link.map(|(key, link)| (*key, link)) else { return };
        link.cookie = Some(cookie);
        self.cookie_of = Some(connection);
        self.hand_over_cookie(key);
        self.flush(key);
    }

    /// Once the client is active.
    fn hand_over_cookie(&mut self, key: Key) {
        let Some(link) = self.links.get_mut(&key) else { return };
        if let Stage::Attached(viewer) = &mut link.stage
            && let Some(cookie) = link.cookie.take_if(|_| viewer.is_active())
        {
            viewer.give_cookie(&cookie);
        }
    }

    /// The key of the attached link, and the link.
    pub fn attached_link(&mut self) -> Option<(Key, &mut Link)> {
        let key = self.attached?;
        Some((key, self.links.get_mut(&key)?))
    }

    /// Writes what a link has to write, and sees to it that the rest follows.
    pub fn flush(&mut self, key: Key) {
        let Some(link) = self.links.get_mut(&key) else { return };
        if let Some(viewer) = link.viewer() {
            let output = viewer.take_output();
            link.stream.output.push(output);
        }
        let leaving = matches!(link.stage, Stage::Leaving);
        match link.stream.flush() {
            Ok(Flushed::All) => {
                if let Some(token) = link.tokens.write.take() {
                    self.handle.remove(token);
                }
                if leaving {
                    // The rest is the other side's: it reads, closes, and `receive` finds the end.
                    link.stream.finish().unwrap_or_else(|error| tracing::debug!(%error, "ignoring"));
                } else if link.deadline.is_some() && link.viewer().is_some_and(|viewer| viewer.is_open()) {
                    self.set_deadline(key, None);
                }
            }
            Ok(Flushed::Blocked(written)) => {
                if link.tokens.write.is_none() {
                    link.tokens.write = wait_for_room(&self.handle, &link.stream, key);
                }
                // Whoever arrives or leaves has a deadline of its own.
                let open = link.viewer().is_some_and(|viewer| viewer.is_open());
                if link.deadline.is_none() {
                    self.set_deadline(key, Some(self.deadlines.stall));
                } else if open && written > 0 {
                    link.deadline = Some(Instant::now() + self.deadlines.stall);
                }
            }
            Err(error) => self.lost(key, &error),
        }
    }

    /// A fault of the link's viewer.
    pub fn fault(&mut self, key: Key, error: &LinkError) {
        let Some(link) = self.links.get(&key) else { return };
        tracing::warn!(connection = %link.connection, client = %link.client, %error, "the client's connection is ended");
        self.send_away(key, Farewell::NotUnderstood);
    }

    fn readable(&mut self, key: Key) -> PostAction {
        let Some(link) = self.links.get_mut(&key) else { return PostAction::Remove };
        match link.stream.receive() {
            Ok(Received::Nothing) => {}
            Ok(Received::End) => {
                let reason = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
                self.lost(key, &reason);
            }
            Err(error) => self.lost(key, &error),
            Ok(Received::Bytes) => match self.received(key) {
                Ok(()) => {}
                Err(Fault::Link(error)) => self.fault(key, &error),
                Err(error) => {
                    if let Some(link) = self.links.get(&key) {
                        tracing::warn!(connection = %link.connection, %error, "the client's connection is ended");
                    }
                    self.send_away(key, Farewell::NotUnderstood);
                }
            },
        }
        PostAction::Continue
    }

    fn received(&mut self, key: Key) -> Result<(), Fault> {
        let Some(link) = self.links.get_mut(&key) else { return Ok(()) };
        match &mut link.stage {
            Stage::Leaving => {
                let length = link.stream.input.len();
                link.stream.input.consume(length);
                return Ok(());
            }
            Stage::Arriving(block) => {
                let Some(transcript) = read_transcript(block, &mut link.stream)? else { return Ok(()) };
                let viewer = Viewer::new(&transcript, Instant::now())?;
                link.stage = Stage::Attached(Box::new(viewer));
                self.attached = Some(key);
                self.set_deadline(key, Some(self.deadlines.activation));
            }
            Stage::Attached(_) => {}
        }
        self.pdus(key)
    }

    /// Hands whole PDUs to the viewer.
    fn pdus(&mut self, key: Key) -> Result<(), Fault> {
        loop {
            let Some(link) = self.links.get_mut(&key) else { return Ok(()) };
            let Stage::Attached(viewer) = &mut link.stage else { return Ok(()) };
            let Some(pdu) = link.stream.input.next_pdu().map_err(StreamError::from)? else { break };
            let news = viewer.receive(pdu, &mut self.source, Instant::now())?;
            for news in news {
                self.news(key, news);
            }
        }
        if let Some(link) = self.links.get_mut(&key) {
            link.stream.input.consume(0);
            link.stream.input.shrink(4 * crate::link::stream::READ);
        }
        self.flush(key);
        Ok(())
    }

    fn news(&mut self, key: Key, news: News) {
        let Some(link) = self.links.get(&key) else { return };
        let connection = link.connection;
        match news {
            News::Active(keyboard, chosen) => {
                self.apply_keyboard(keyboard, chosen);
                self.hand_over_cookie(key);
            }
            News::Shown(size) => {
                tracing::info!(%connection, width = size.width, height = size.height, "the desktop is shown");
                self.set_deadline(key, None);
                self.report(&FromWorker::Attached { connection, width: size.width, height: size.height });
            }
            News::Disconnected => {
                tracing::info!(%connection, "the client has disconnected");
                self.report(&FromWorker::Left { connection });
                self.take_away(key);
            }
        }
    }

    fn writable(&mut self, key: Key) -> PostAction {
        self.flush(key);
        PostAction::Continue
    }

    fn timed_out(&mut self, key: Key) -> TimeoutAction {
        let Some(link) = self.links.get_mut(&key) else { return TimeoutAction::Drop };
        match link.deadline {
            Some(deadline) if deadline > Instant::now() => return TimeoutAction::ToInstant(deadline),
            None => {}
            Some(_) => {
                link.deadline = None;
                let what = match &link.stage {
                    Stage::Arriving(_) => "no transcript came in time",
                    Stage::Attached(viewer) if !viewer.is_open() => "the client did not finish its activation in time",
                    Stage::Attached(_) => "the client has stopped reading",
                    Stage::Leaving => "the client did not read its farewell",
                };
                tracing::info!(connection = %link.connection, "{what}");
                self.take_away(key);
            }
        }
        TimeoutAction::Drop
    }

    /// The link is broken or closed.
    fn lost(&mut self, key: Key, error: &std::io::Error) {
        if let Some(link) = self.links.get(&key) {
            if !matches!(link.stage, Stage::Leaving) {
                tracing::info!(connection = %link.connection, %error, "the connection is gone");
            }
            self.take_away(key);
        }
    }

    /// Tells a client why, and lets it read that. What it has not read of the desktop is dropped.
    fn send_away(&mut self, key: Key, why: Farewell) {
        let Some(link) = self.links.get_mut(&key) else { return };
        let words = match &link.stage {
            Stage::Attached(viewer) => viewer.farewell(why),
            // Nothing is known of it; the gate sees the end.
            Stage::Arriving(_) => wrd_rdp::pdu::disconnect_ultimatum(),
            Stage::Leaving => return,
        };
        link.stage = Stage::Leaving;
        link.stream.output.cut();
        link.stream.output.push(words);
        let connection = link.connection;
        self.report(&FromWorker::Left { connection });
        self.has_left(key, connection);
        self.set_deadline(key, Some(self.deadlines.farewell));
        self.flush(key);
    }

    /// Takes a link away at once.
    fn take_away(&mut self, key: Key) {
        if let Some(link) = self.links.remove(&key) {
            self.forget(&link);
            // Of one that was sent away this has been said.
            if !matches!(link.stage, Stage::Leaving) {
                self.has_left(key, link.connection);
            }
        }
    }

    fn has_left(&mut self, key: Key, connection: ConnectionId) {
        if self.attached == Some(key) {
            self.attached = None;
            self.source.release_all();
        }
        // One that never came to its transcript was offered all the same, and counts as attached elsewhere.
        self.report(&FromWorker::Detached { connection });
    }

    fn forget(&self, link: &Link) {
        self.handle.remove(link.tokens.read);
        for token in [link.tokens.write, link.tokens.timer].into_iter().flatten() {
            self.handle.remove(token);
        }
    }

    fn set_deadline(&mut self, key: Key, time: Option<Duration>) {
        let Some(link) = self.links.get_mut(&key) else { return };
        if let Some(timer) = link.tokens.timer.take() {
            self.handle.remove(timer);
        }
        link.deadline = time.map(|time| Instant::now() + time);
        let Some(time) = time else { return };
        let timer = Timer::from_duration(time);
        match self.handle.insert_source(timer, move |_, _, state: &mut Self| state.timed_out(key)) {
            Ok(token) => link.tokens.timer = Some(token),
            Err(error) => tracing::error!(%error, "a deadline cannot be set"),
        }
    }
}

fn register<S: Source + 'static>(
    handle: &LoopHandle<'static, State<S>>,
    stream: &Stream,
    key: Key,
) -> anyhow::Result<Tokens> {
    let source = Generic::new(stream.duplicate()?, Interest::READ, Mode::Level);
    let read = handle
        .insert_source(source, move |_, _, state: &mut State<S>| Ok(state.readable(key)))
        .map_err(|error| error.error)?;
    Ok(Tokens { read, write: None, timer: None })
}

fn wait_for_room<S: Source + 'static>(
    handle: &LoopHandle<'static, State<S>>,
    stream: &Stream,
    key: Key,
) -> Option<RegistrationToken> {
    let source = stream.duplicate().map(|socket| Generic::new(socket, Interest::WRITE, Mode::Level));
    let token = source.map_err(anyhow::Error::from).and_then(|source| {
        let insert = handle.insert_source(source, move |_, _, state: &mut State<S>| Ok(state.writable(key)));
        insert.map_err(|error| error.error.into())
    });
    token.inspect_err(|error| tracing::error!(%error, "a link cannot be waited for")).ok()
}

/// The transcript, once it is whole. What is read behind it stays in the stream.
fn read_transcript(block: &mut Vec<u8>, stream: &mut Stream) -> Result<Option<Transcript>, Fault> {
    const LENGTH: usize = 4;
    let rest = stream.input.rest();
    // One byte of the block at most is beyond what it needs: the length is looked at first.
    let wanted = |block: &[u8]| -> Result<usize, Fault> {
        let Some(length) = block.first_chunk::<LENGTH>() else { return Ok(LENGTH) };
        let length = u32::from_le_bytes(*length) as usize;
        if length > MAX_TRANSCRIPT { Err(Fault::Transcript(length)) } else { Ok(LENGTH + length) }
    };
    let mut taken = 0;
    while block.len() < wanted(block)? {
        let more = (wanted(block)? - block.len()).min(rest.len() - taken);
        if more == 0 {
            break;
        }
        block.extend_from_slice(rest.get(taken..taken + more).unwrap_or_default());
        taken += more;
    }
    let whole = block.len() >= LENGTH && block.len() == wanted(block)?;
    stream.input.consume(taken);
    if !whole {
        return Ok(None);
    }
    Ok(Some(wrd_sys::channel::decode(block.get(LENGTH..).unwrap_or_default())?))
}

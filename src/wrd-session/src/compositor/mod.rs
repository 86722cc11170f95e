//! The Wayland compositor: windows, seat, and the furniture around them, drawn into one framebuffer.
//!
//! [`Wayland`] is the whole of it: it owns its socket and its clients and puts one descriptor into
//! whichever loop runs it. It flushes its clients itself whenever it has told them something.
//!
//! Deliberately absent: RDP, codecs and processes. What the person at the desktop asks of the session
//! comes out as requests; who starts and ends programs is `desktop`'s affair.

mod core;
mod furniture;
pub mod geometry;
mod handlers;
mod keyboard;
pub mod layout;
mod manage;
mod pointer;
mod popups;
mod rhythm;
mod scene;
mod socket;
mod source;
mod unicode;
mod windows;

pub use furniture::Kind as Furniture;

use self::core::{Client, Compositor};
use self::rhythm::Rhythm;
use self::socket::Socket;
use crate::render::screen::Screen;
use crate::source::{KeyboardLayout, Pointer, Size};
use anyhow::Context as _;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use smithay::reexports::calloop::generic::Generic;
use smithay::reexports::calloop::{Interest, LoopHandle, Mode, PostAction};
use smithay::reexports::wayland_server::Display;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wrd_config::{Background, Rgb};

/// What a compositor starts with.
#[derive(Clone, Debug)]
pub struct Options {
    pub size: Size,
    pub keyboard: KeyboardLayout,
    pub background: Background,
    /// Where `wayland-N` is bound: `$XDG_RUNTIME_DIR`.
    pub runtime_dir: PathBuf,
    pub furniture: Furniture,
}

/// What the furniture asks of the desktop (not of the connection: those are `source::Request`s).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    StartTerminal,
    /// The message was clicked away.
    MessageSeen,
}

/// See the module.
pub struct Wayland {
    display: Display<Compositor>,
    compositor: Compositor,
    screen: Screen,
    socket: Socket,
    /// Readable when anything below is.
    epoll: Epoll,
    clock: TimerFd,
    rhythm: Rhythm,
    /// The clock is drawn while somebody looks.
    attached: bool,
    lazy: Option<Instant>,
    background: Rgb,
    /// As the far end was last told.
    pointer: Pointer,
}

impl Wayland {
    /// Binds the first free `wayland-N`; clients can connect from then on.
    pub fn new(options: &Options) -> anyhow::Result<Self> {
        let mut display = Display::new()?;
        let compositor = Compositor::new(&display, options)?;
        let screen = Screen::new(options.size, &options.background)?;
        let socket = Socket::bind(&options.runtime_dir)
            .with_context(|| format!("no Wayland socket in {}", options.runtime_dir.display()))?;
        let clock = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let read = || EpollEvent::new(EpollFlags::EPOLLIN, 0);
        epoll.add(display.backend().poll_fd(), read())?;
        epoll.add(&socket, read())?;
        epoll.add(&clock, read())?;
        let rhythm = Rhythm::new()?;
        epoll.add(&rhythm, read())?;
        if let Some(loaded) = screen.loaded() {
            epoll.add(loaded, read())?;
        }
        let background = match options.background {
            Background::Colour(color) => color,
            Background::Picture(_) => Background::DEFAULT_COLOUR,
        };
        Ok(Self {
            display,
            compositor,
            screen,
            socket,
            epoll,
            clock,
            rhythm,
            attached: false,
            lazy: None,
            background,
            pointer: Pointer::Default,
        })
    }

    /// The value of `WAYLAND_DISPLAY`: `wayland-N`.
    pub fn socket_name(&self) -> &str {
        self.socket.name()
    }

    /// Serves the clients whenever `handle`'s loop finds that they want something.
    pub fn insert_into<'l, D: 'l>(
        &self,
        handle: &LoopHandle<'l, D>,
        access: fn(&mut D) -> &mut Self,
    ) -> anyhow::Result<()> {
        let source = Generic::new(self.as_fd().try_clone_to_owned()?, Interest::READ, Mode::Level);
        let inserted = handle.insert_source(source, move |_, _: &mut _, data| {
            access(data).dispatch();
            Ok(PostAction::Continue)
        });
        inserted.map(drop).map_err(|error| anyhow::anyhow!("the loop takes no Wayland clients: {error}"))
    }

    /// Does everything that is waiting to be done, and returns; call it when the descriptor is readable.
    pub fn dispatch(&mut self) {
        while let Some(stream) = self.socket.accept() {
            self.add_client(stream);
        }
        if let Err(error) = self.display.dispatch_clients(&mut self.compositor) {
            tracing::error!(%error, "the Wayland clients cannot be served");
        }
        if self.clock.wait().is_ok() {
            self.set_clock();
        }
        // What was drawn since the last frame waits for the next one.
        if self.rhythm.is_due() && !self.compositor.damaged {
            self.compositor.send_frames();
        }
        self.compositor.tidy_popups();
        self.compositor.damaged |= self.screen.has_loaded();
        self.flush();
    }

    /// A client that is connected already (tests use a socketpair).
    pub fn add_client(&mut self, stream: UnixStream) {
        if let Err(error) = self.display.handle().insert_client(stream, Arc::new(Client::default())) {
            tracing::warn!(%error, "ignoring a Wayland client");
        }
    }

    /// Shows a message in front of everything until it is clicked away ([`Ask::MessageSeen`]).
    pub fn show_message(&mut self, title: &str, lines: Vec<String>) {
        self.compositor.show_message(title.to_owned(), lines);
        self.flush();
    }

    pub fn take_asks(&mut self) -> Vec<Ask> {
        std::mem::take(&mut self.compositor.asks)
    }

    pub(crate) fn flush(&mut self) {
        if let Err(error) = self.display.flush_clients() {
            tracing::debug!(%error, "ignoring a Wayland client that does not read");
        }
    }

    /// The time as the bar shows it, and the next look at it when the minute is over.
    fn set_clock(&mut self) {
        if !self.attached || !self.compositor.furniture.has_bar() {
            return;
        }
        let now = chrono::Local::now();
        self.compositor.set_clock(now.format("%a %-d %b  %H:%M").to_string());
        let second = u64::from(chrono::Timelike::second(&now).min(59));
        let next = Expiration::OneShot(Duration::from_secs(60 - second).into());
        if let Err(error) = self.clock.set(next, TimerSetTimeFlags::empty()) {
            tracing::error!(%error, "the clock of the bar stands still");
        }
    }
}

impl AsFd for Wayland {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}

//! The login screen: drawn on the client's own display before there is a session.
//!
//! One loop over the client, the monitor and the leader; it sleeps while nothing happens. The picture is made
//! tile by tile when there is room to send one, so that no more than a tile is ever held. No virtual channel
//! is used: fast-path bitmap updates out, input in.

mod compose;
mod field;
mod form;
mod keyboard;
mod keymap;
mod layout;
mod picture;
mod screen;
mod tiles;

use crate::client::{Client, ClientError, Flushed, MOST_INCOMING, Stream};
use crate::deadline::{Deadline, WaitError, wait};
use crate::login::{Event, Login};
use anyhow::Result;
use form::{Action, Form, Tone};
use keyboard::Keyboard;
use nix::poll::{PollFd, PollFlags};
use screen::Screen;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;
use tracing::debug;
use wrd_proto::{Line, UserName};
use wrd_rdp::DesktopSize;
use wrd_rdp::client::Keyboard as KeyboardSettings;
use wrd_rdp::input::{self, Input};
use wrd_rdp::keymap::xkb;
use wrd_rdp::pdu::{self, Slow, data_type};

/// What the screen is drawn for.
pub struct Scene {
    pub size: DesktopSize,
    /// In percent.
    pub scale: u32,
    pub host_name: String,
    pub keyboard: KeyboardSettings,
}

/// What is on the screen at first.
pub enum Opening {
    Fresh,
    /// The client's own credentials are being tried.
    Checking,
    /// The client's own credentials were wrong.
    Denied(Line),
    /// There is nothing to type: only a text and a button to close.
    Failed(Line),
}

/// How the screen ended.
pub enum Outcome {
    Link(OwnedFd),
    /// A final failure was read, or nobody was there to read it.
    Closed,
    /// The user gave up.
    Cancelled,
}

/// How long the screen waits for somebody to be there at all: the first key, the first move of the pointer.
const FIRST_INPUT: Duration = Duration::from_secs(20);
/// How long a final failure stays on the screen.
const READING: Duration = Duration::from_secs(60);
/// Most tiles made in one turn, so that input is not kept waiting.
const TILES_A_TURN: usize = 64;

pub struct Greeter {
    form: Form,
    screen: Screen,
    keyboard: Keyboard,
    /// Set until somebody is there.
    first_input: Option<Deadline>,
    /// Set once only a text is left.
    reading: Option<Deadline>,
}

impl Greeter {
    pub fn new(scene: Scene, user: &UserName, opening: Opening) -> Self {
        let layout = xkb(scene.keyboard);
        let keyboard = Keyboard::new(layout);
        let form = Form::new(user);
        let screen = Screen::new(scene.size, scene.scale, &scene.host_name, layout.name);
        let mut greeter =
            Self { form, screen, keyboard, first_input: Some(Deadline::after(FIRST_INPUT)), reading: None };
        match opening {
            Opening::Fresh => {}
            Opening::Checking => greeter.form.busy("Checking…"),
            Opening::Denied(text) => greeter.form.denied(&text),
            Opening::Failed(text) => greeter.failed(&text),
        }
        greeter
    }

    /// Shows the screen until there is a link, or nothing more to come.
    pub fn run(&mut self, client: &mut Client, mut login: Login, deadline: Deadline) -> Result<Outcome> {
        client.queue(&tiles::default_pointer())?;
        let mut accepted = false;
        loop {
            while let Some(event) = login.next_event() {
                match event {
                    Event::Link(link) => return Ok(Outcome::Link(link)),
                    Event::Accepted => {
                        accepted = true;
                        self.form.busy("Starting your desktop…");
                    }
                    Event::Denied { text, may_retry: true } => {
                        self.form.denied(&text);
                        // Nobody could type before.
                        self.first_input = self.first_input.map(|_| Deadline::after(FIRST_INPUT));
                    }
                    Event::Denied { text, may_retry: false } | Event::Failed(text) => self.failed(&text),
                }
            }
            if let Some(outcome) = self.take_input(client, &mut login)? {
                return Ok(outcome);
            }
            if self.reading.is_some_and(Deadline::is_over) {
                return Ok(Outcome::Closed);
            }
            // A session that is being made, and a text that is being read, have deadlines of their own.
            let waiting = match (self.reading, accepted) {
                (Some(_), _) | (_, true) => None,
                (None, false) if login.is_busy() => Some(deadline),
                (None, false) => Some(self.first_input.map_or(deadline, |first| first.min(deadline))),
            };
            if waiting.is_some_and(Deadline::is_over) {
                return Err(ClientError::TimedOut.into());
            }
            self.paint(client)?;
            let until = [waiting, self.reading, login.deadline(), client.stalled()].into_iter().flatten().min();
            self.wait(client, &login, until)?;
        }
    }

    fn failed(&mut self, text: &str) {
        self.form.failed(text);
        self.reading = Some(Deadline::after(READING));
    }

    /// Draws and sends tiles while the client takes them.
    fn paint(&mut self, client: &mut Client) -> Result<(), ClientError> {
        self.screen.update(self.form.view(self.keyboard.caps_lock()));
        for _ in 0..TILES_A_TURN {
            if client.flush()? != Flushed::All {
                return Ok(());
            }
            let Some(update) = self.screen.next_tile() else { return Ok(()) };
            client.queue(&update)?;
        }
        Ok(())
    }

    fn wait(&self, client: &mut Client, login: &Login, until: Option<Deadline>) -> Result<()> {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::POLLIN, client.incoming.len() < MOST_INCOMING);
        flags.set(PollFlags::POLLOUT, client.wants_write() || self.screen.is_dirty());
        let mut fds = vec![PollFd::new(client.as_fd(), flags)];
        login.watch(&mut fds);
        match wait(&mut fds, until) {
            Ok(()) | Err(WaitError::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
        drop(fds);
        if client.receive()? == Stream::Ended {
            return Err(ClientError::Gone.into());
        }
        Ok(())
    }

    fn take_input(&mut self, client: &mut Client, login: &mut Login) -> Result<Option<Outcome>> {
        while let Some(pdu) = client.incoming.next_pdu().map_err(ClientError::from)? {
            if pdu::is_disconnect_ultimatum(pdu) {
                return Err(ClientError::Gone.into());
            }
            match pdu::classify(pdu) {
                // The window was closed: nobody wants to log in any more.
                Slow::Data(data_type::SHUTDOWN_REQUEST) => return Ok(Some(Outcome::Cancelled)),
                Slow::Data(data_type::REFRESH_RECT) => self.screen.redraw(),
                _ => {}
            }
            let events = match input::events(pdu) {
                Ok(events) => events,
                Err(error) => {
                    debug!("ignoring input: {error}");
                    continue;
                }
            };
            for event in events {
                // Clients tell of their locks by themselves.
                if !matches!(event, Input::Sync(_)) {
                    self.first_input = None;
                }
                if let Some(outcome) = self.one_event(event, login) {
                    return Ok(Some(outcome));
                }
            }
        }
        // Keys of a password went through this buffer.
        client.incoming.wipe_consumed();
        Ok(None)
    }

    fn one_event(&mut self, event: Input, login: &mut Login) -> Option<Outcome> {
        let action = match event {
            Input::Motion { x, y } => {
                self.form.hover(self.screen.at(x, y));
                Action::None
            }
            Input::Button { button: input::Button::Left, action, x, y } => {
                let target = self.screen.at(x, y);
                let caret = self.screen.caret_at(x, target);
                self.form.click(target, action, caret)
            }
            Input::Button { .. } | Input::Wheel { .. } => Action::None,
            Input::Scancode(_) | Input::Unicode { .. } | Input::Sync(_) => match self.keyboard.key(event) {
                Some(key) => self.form.key(key),
                None => Action::None,
            },
        };
        match action {
            Action::None => None,
            Action::Close => Some(if self.reading.is_some() { Outcome::Closed } else { Outcome::Cancelled }),
            Action::Submit => {
                self.submit(login);
                None
            }
        }
    }

    fn submit(&mut self, login: &mut Login) {
        match self.form.take_credentials() {
            Ok((user, password)) => {
                self.form.busy("Checking…");
                if let Err(Event::Failed(text)) = login.submit(user, UserName::default(), password) {
                    self.failed(&text);
                }
            }
            Err(text) => self.form.say(Tone::Error, text),
        }
    }
}

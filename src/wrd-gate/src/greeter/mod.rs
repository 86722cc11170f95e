//! The login screen: drawn on the client's own display before there is a session.
//!
//! One loop over the client, the monitor and the leader; it sleeps while nothing happens. The picture is made
//! tile by tile when there is room to send one, so that no more than a tile is ever held. No virtual channel
//! is used: fast-path bitmap updates out, input in.

mod choices;
mod compose;
mod dialogue;
mod field;
mod form;
mod keyboard;
mod keymap;
mod layout;
mod menu;
mod picture;
#[cfg(test)]
mod references;
mod screen;
#[cfg(test)]
mod tests;
mod tiles;
mod words;

use crate::client::{Client, ClientError, Flushed, MOST_INCOMING, Stream};
use crate::deadline::{Deadline, WaitError, wait};
use crate::deadlines::Deadlines;
use crate::login::{Event, Login};
use anyhow::Result;
use choices::Choices;
use form::{Action, Form, Tone, View};
use keyboard::Keyboard;
use nix::poll::{PollFd, PollFlags};
use screen::Screen;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;
use tracing::debug;
use words::Language;
use wrd_proto::gate::SessionEntry;
use wrd_proto::login::{Prompt, Tone as Told};
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
    /// Which can be chosen.
    pub sessions: Vec<SessionEntry>,
}

/// What is on the screen at first.
pub enum Opening {
    Fresh,
    /// The client's own credentials are being tried.
    Checking,
    /// The client's own credentials were wrong.
    Denied(Line),
    /// The client's own credentials were not enough.
    Asked {
        kind: Prompt,
        text: Line,
    },
    /// The client's own credentials are being tried, and there is something to read.
    Told {
        tone: Told,
        text: Line,
    },
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

/// From when on the screen says how long the user has left.
const SOON: Duration = Duration::from_secs(15);
/// Lines that one click of the wheel rolls a menu by.
const WHEEL: isize = 3;
/// Most tiles made in one turn, so that input is not kept waiting.
const TILES_A_TURN: usize = 64;

pub struct Greeter {
    form: Form,
    screen: Screen,
    keyboard: Keyboard,
    deadlines: Deadlines,
    /// Set until somebody is there.
    first_input: Option<Deadline>,
    /// Set once only a text is left.
    reading: Option<Deadline>,
    /// Until when what was told may not have been read yet.
    unread: Option<Deadline>,
    /// Something was asked, which gives the user the whole time once more: once only, as the monitor has it, too.
    asked: bool,
    /// The user does not answer.
    cancelled: bool,
}

impl Greeter {
    pub fn new(scene: Scene, user: &UserName, opening: Opening, deadlines: Deadlines) -> Self {
        let layout = xkb(scene.keyboard);
        let keyboard = Keyboard::new(layout);
        let language = Language::of_keyboard(scene.keyboard.layout);
        let form = Form::new(user, Choices::new(layout, scene.sessions));
        let screen = Screen::new(scene.size, scene.scale, &scene.host_name, language);
        let mut greeter = Self {
            form,
            screen,
            keyboard,
            deadlines,
            first_input: Some(Deadline::after(deadlines.first_input)),
            reading: None,
            unread: None,
            asked: false,
            cancelled: false,
        };
        match opening {
            Opening::Fresh => {}
            Opening::Checking => greeter.form.busy("Checking…"),
            Opening::Denied(text) => greeter.form.denied(Tone::Error, &text),
            Opening::Asked { kind, text } => greeter.ask(kind, &text),
            Opening::Told { tone, text } => {
                greeter.form.busy("Checking…");
                greeter.tell(tone, &text);
            }
            Opening::Failed(text) => greeter.failed(&text),
        }
        greeter
    }

    /// Shows the screen until there is a link, or nothing more to come. The user has `time` from here on, and again
    /// from the first question on.
    pub fn run(&mut self, client: &mut Client, mut login: Login, time: Duration) -> Result<Outcome> {
        client.queue(&tiles::default_pointer())?;
        let mut deadline = Deadline::after(time);
        let mut accepted = false;
        let mut there = None;
        loop {
            while let Some(event) = login.next_event() {
                match event {
                    Event::Link(link) => there = Some(link),
                    Event::Accepted => {
                        accepted = true;
                        self.form.busy("Starting your desktop…");
                    }
                    Event::Ask { kind, text } => {
                        if !self.asked {
                            deadline = Deadline::after(time);
                        }
                        self.ask(kind, &text);
                    }
                    Event::Tell { tone, text } => self.tell(tone, &text),
                    Event::Denied { text, may_retry: true } => {
                        let cancelled = std::mem::take(&mut self.cancelled);
                        self.form.denied(if cancelled { Tone::Plain } else { Tone::Error }, &text);
                        // Nobody could type before.
                        self.first_input = self.first_input.map(|_| Deadline::after(self.deadlines.first_input));
                    }
                    Event::Denied { text, may_retry: false } | Event::Failed(text) => self.failed(&text),
                }
            }
            self.unread = self.unread.filter(|unread| !unread.is_over());
            if self.unread.is_none()
                && let Some(link) = there.take()
            {
                return Ok(Outcome::Link(link));
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
            let left = waiting.map(Deadline::left);
            self.paint(client, left.filter(|left| *left <= SOON).map(|left| left.as_secs()))?;
            // The number of seconds that are left changes when the next whole one is over.
            let whole = |left: Duration| Duration::from_nanos(u64::from(left.subsec_nanos()) + 1);
            let tick = left.map(|left| Deadline::after(left.checked_sub(SOON).unwrap_or_else(|| whole(left))));
            let unread = self.unread.filter(|_| there.is_some());
            let until =
                [waiting, tick, self.reading, unread, login.deadline(), client.stalled()].into_iter().flatten().min();
            self.wait(client, &login, until)?;
        }
    }

    /// Whoever is asked was there a moment ago; to look for the answer takes longer than a first key.
    fn ask(&mut self, kind: Prompt, text: &str) {
        (self.asked, self.first_input, self.unread) = (true, None, None);
        self.form.ask(kind, text);
    }

    fn tell(&mut self, tone: Told, text: &str) {
        let tone = match tone {
            Told::Info => Tone::Plain,
            Told::Error => Tone::Error,
        };
        self.form.tell(tone, text);
        self.unread = Some(Deadline::after(self.deadlines.told));
    }

    fn failed(&mut self, text: &str) {
        self.form.failed(text);
        self.reading = Some(Deadline::after(self.deadlines.reading));
    }

    /// The keyboard layout that the user chose, by its Windows identifier.
    pub fn chosen_layout(&self) -> Option<u32> {
        self.form.choices().chosen_layout()
    }

    /// Draws and sends tiles while the client takes them.
    fn paint(&mut self, client: &mut Client, left: Option<u64>) -> Result<(), ClientError> {
        self.screen.update(View { left, ..self.form.view(self.keyboard.caps_lock()) });
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
        if is_press(&event) {
            self.unread = None;
        }
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
            Input::Wheel { axis: input::Axis::Vertical, units } => {
                self.form.scroll(if units > 0 { -WHEEL } else { WHEEL });
                Action::None
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
            Action::Answer => {
                self.answer(login);
                None
            }
            Action::Layout => {
                self.keyboard.set_layout(self.form.choices().layout());
                None
            }
            Action::Cancel => {
                self.form.cancel();
                self.form.busy("Cancelling…");
                self.cancelled = true;
                self.sent(login.cancel());
                None
            }
        }
    }

    fn submit(&mut self, login: &mut Login) {
        match self.form.take_credentials() {
            Ok((user, password)) => {
                self.form.busy("Checking…");
                self.sent(login.submit(user, UserName::default(), password, self.form.choices().session()));
            }
            Err(text) => self.form.say(Tone::Error, text),
        }
    }

    fn answer(&mut self, login: &mut Login) {
        match self.form.take_answer() {
            Ok(answer) => {
                self.form.busy("Checking…");
                self.sent(login.answer(answer));
            }
            Err(text) => self.form.say(Tone::Error, text),
        }
    }

    /// What went to the leader; or how that failed.
    fn sent(&mut self, result: Result<(), Event>) {
        if let Err(Event::Failed(text)) = result {
            self.failed(&text);
        }
    }
}

/// Whether somebody does something on purpose.
fn is_press(event: &Input) -> bool {
    let action = match event {
        Input::Button { action, .. } | Input::Unicode { action, .. } => action,
        Input::Scancode(key) => &key.action,
        Input::Motion { .. } | Input::Wheel { .. } | Input::Sync(_) => return false,
    };
    *action == input::Action::Press
}

//! One login as the gate sees it: a leader is asked for with the first credentials, tries them, perhaps asks the
//! user more, and once it has accepted them the link comes from the monitor. Who comes back by a cookie that is right
//! has a leader without credentials, which can deny that like any others.
//!
//! Driven by descriptors that become readable; nothing here waits. A leader is only asked for when there is
//! something to try, so that strangers who look at the login screen cost no process of root.

use crate::deadline::Deadline;
use crate::deadlines::Deadlines;
use crate::monitor::{Monitor, MonitorError};
use nix::poll::{PollFd, PollFlags};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use tracing::debug;
use wrd_proto::gate::{Returning, ToGate, ToMonitor};
use wrd_proto::login::{FromGate, FromLeader, Prompt, SessionChoice, Tone};
use wrd_proto::reconnect::Claim;
use wrd_proto::{Line, Secret, UserName};
use wrd_sys::channel::Blocking;
use wrd_sys::{Channel, ChannelError, RawChannel};

/// What became of the credentials.
#[derive(Debug)]
pub enum Event {
    Denied {
        text: Line,
        may_retry: bool,
    },
    /// The user is asked something: [`Login::answer`] or [`Login::cancel`] comes next.
    Ask {
        kind: Prompt,
        text: Line,
    },
    /// For the user to read; the login goes on.
    Tell {
        tone: Tone,
        text: Line,
    },
    /// The session is being found or started.
    Accepted,
    /// The session is there.
    Link(OwnedFd),
    /// No session can be had, or the login cannot go on; the text is for the screen.
    Failed(Line),
}

pub struct Login {
    monitor: Arc<Monitor>,
    leader: Option<Channel<FromGate, FromLeader>>,
    state: State,
    deadlines: Deadlines,
    deadline: Option<Deadline>,
}

enum State {
    /// No leader was asked for yet.
    New,
    /// A leader was asked for, to try these, or by a client that comes back.
    Opening(Option<FromGate>),
    /// The leader waits for credentials.
    Idle,
    /// The leader tries some.
    Trying,
    /// The leader waits for an answer.
    Asked,
    /// Some were accepted.
    Accepted,
    /// Nothing more can come of this.
    Over,
}

impl Login {
    pub fn new(monitor: Arc<Monitor>, deadlines: Deadlines) -> Self {
        Self { monitor, leader: None, state: State::New, deadlines, deadline: None }
    }

    /// Has these credentials tried. Only while nothing else is being tried.
    pub fn submit(
        &mut self,
        user: UserName,
        domain: UserName,
        password: Secret,
        session: SessionChoice,
    ) -> Result<(), Event> {
        let credentials = FromGate::Credentials { user, domain, password, session };
        self.deadline = Some(Deadline::after(self.deadlines.verdict));
        match &self.state {
            State::New => {
                self.monitor.send(&ToMonitor::OpenLogin).map_err(|error| self.lost(&error))?;
                self.state = State::Opening(Some(credentials));
                Ok(())
            }
            State::Idle => self.hand_over(&credentials),
            State::Opening(_) | State::Trying | State::Asked | State::Accepted | State::Over => {
                Err(self.fail("The login cannot be tried again. Please connect again."))
            }
        }
    }

    /// Has the client come back to its session, where its cookie is right. Before anything else is tried.
    pub fn come_back(&mut self, claim: Claim) -> Result<Returning, MonitorError> {
        let returning = self.monitor.reconnect(claim)?;
        if returning == Returning::Granted {
            self.deadline = Some(Deadline::after(self.deadlines.verdict));
            self.state = State::Opening(None);
        }
        Ok(returning)
    }

    /// Answers the question that was asked last.
    pub fn answer(&mut self, answer: Secret) -> Result<(), Event> {
        self.reply(&FromGate::Answer(answer))
    }

    /// The user does not answer. What comes of that is said by the leader, as of credentials that were refused.
    pub fn cancel(&mut self) -> Result<(), Event> {
        self.reply(&FromGate::Cancel)
    }

    fn reply(&mut self, message: &FromGate) -> Result<(), Event> {
        if !matches!(self.state, State::Asked) {
            return Err(self.fail("The login service is confused. Please connect again."));
        }
        self.deadline = Some(Deadline::after(self.deadlines.verdict));
        self.hand_over(message)
    }

    /// Whether credentials are being tried or a session is being made.
    pub fn is_busy(&self) -> bool {
        matches!(self.state, State::Opening(_) | State::Trying | State::Accepted)
    }

    /// When what is under way has failed.
    pub fn deadline(&self) -> Option<Deadline> {
        if self.is_busy() { self.deadline } else { None }
    }

    /// What to wait for: the monitor and, where there is one, the leader.
    pub fn watch<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        if matches!(self.state, State::Over) {
            return;
        }
        fds.push(PollFd::new(self.monitor.as_fd(), PollFlags::POLLIN));
        if let Some(leader) = &self.leader {
            fds.push(PollFd::new(leader.as_fd(), PollFlags::POLLIN));
        }
    }

    /// The next thing that happened, if anything did.
    pub fn next_event(&mut self) -> Option<Event> {
        if matches!(self.state, State::Over) {
            return None;
        }
        if self.deadline().is_some_and(Deadline::is_over) {
            return Some(self.fail("The login took too long. Please connect again."));
        }
        self.hear_monitor().or_else(|| self.hear_leader())
    }

    fn hear_monitor(&mut self) -> Option<Event> {
        match self.monitor.try_receive() {
            Ok(None) => None,
            Ok(Some((ToGate::Login, Some(fd)))) => {
                let State::Opening(credentials) = std::mem::replace(&mut self.state, State::Idle) else {
                    return Some(self.fail("The login service is confused. Please connect again."));
                };
                let leader: Channel<FromGate, FromLeader> = RawChannel::from(fd).typed();
                if let Err(errno) = leader.set_nonblocking(Blocking::No) {
                    return Some(self.lost(&errno));
                }
                self.leader = Some(leader);
                match credentials {
                    Some(credentials) => self.hand_over(&credentials).err(),
                    None => {
                        self.state = State::Trying;
                        None
                    }
                }
            }
            Ok(Some((ToGate::Link, Some(fd)))) if matches!(self.state, State::Accepted | State::Trying) => {
                self.end();
                Some(Event::Link(fd))
            }
            Ok(Some((ToGate::Refused(line), _))) => {
                self.end();
                Some(Event::Failed(line))
            }
            Ok(Some(_)) => Some(self.fail("The login service is confused. Please connect again.")),
            Err(error) => Some(self.lost(&error)),
        }
    }

    fn hear_leader(&mut self) -> Option<Event> {
        let message = self.leader.as_ref()?.recv();
        match message {
            Err(ChannelError::WouldBlock) => None,
            Ok(FromLeader::Denied { text, may_retry }) if self.expects_denial(may_retry) => {
                self.state = State::Idle;
                if !may_retry {
                    self.end();
                }
                Some(Event::Denied { text, may_retry })
            }
            Ok(FromLeader::Ask { kind, text }) if matches!(self.state, State::Trying) => {
                self.state = State::Asked;
                Some(Event::Ask { kind, text })
            }
            Ok(FromLeader::Tell { tone, text }) if matches!(self.state, State::Trying) => {
                Some(Event::Tell { tone, text })
            }
            Ok(FromLeader::Accepted) if matches!(self.state, State::Trying) => {
                self.state = State::Accepted;
                self.deadline = Some(Deadline::after(self.deadlines.session));
                Some(Event::Accepted)
            }
            Ok(FromLeader::SessionFailed { text }) => {
                self.end();
                Some(Event::Failed(text))
            }
            Ok(_) => Some(self.fail("The login service is confused. Please connect again.")),
            // Its work is done: another leader has the session, and the link is on its way.
            Err(_) if matches!(self.state, State::Accepted) => {
                self.leader = None;
                None
            }
            Err(error) => Some(self.lost(&error)),
        }
    }

    /// While it tries any; while it waits for the user only the last one, because that took too long.
    fn expects_denial(&self, may_retry: bool) -> bool {
        match self.state {
            State::Trying => true,
            State::Idle | State::Asked => !may_retry,
            State::New | State::Opening(_) | State::Accepted | State::Over => false,
        }
    }

    fn hand_over(&mut self, message: &FromGate) -> Result<(), Event> {
        let sent = match &self.leader {
            Some(leader) => leader.send(message).map_err(MonitorError::Channel),
            None => Err(MonitorError::OutOfTurn),
        };
        sent.map_err(|error| self.lost(&error))?;
        self.state = State::Trying;
        Ok(())
    }

    fn lost(&mut self, error: &dyn std::fmt::Debug) -> Event {
        debug!("the login ends: {error:?}");
        self.fail("The login service was interrupted. Please connect again.")
    }

    fn fail(&mut self, text: &str) -> Event {
        self.end();
        Event::Failed(Line::truncated(text))
    }

    fn end(&mut self) {
        self.state = State::Over;
        self.leader = None;
    }
}

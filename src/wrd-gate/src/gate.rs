//! The whole of one connection, in order.

use crate::client::{Client, ClientError, Stream};
use crate::connect::{Connected, activate, connect};
use crate::deadline::{Deadline, WaitError, wait};
use crate::deadlines::Deadlines;
use crate::greeter::{self, Greeter, Opening};
use crate::login::{Event, Login};
use crate::monitor::Monitor;
use crate::relay::{End, Relay};
use crate::sandbox::Policy;
use crate::{client, sandbox};
use anyhow::{Context, Result, bail};
use nix::poll::{PollFd, PollFlags};
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tracing::{debug, info, info_span, warn};
use wrd_proto::gate::{MAX_SESSIONS, Returning, Stage, Start, ToGate, ToMonitor};
use wrd_proto::login::SessionChoice;
use wrd_proto::transcript::Progress;
use wrd_rdp::DesktopSize;
use wrd_rdp::acceptor::granted_size;
use wrd_rdp::pdu::{self, EndReason};

/// Descriptors that the monitor gives us; there is none behind them.
const CLIENT: i32 = 3;
const MONITOR: i32 = 4;
const GIVEN: u32 = 5;
/// How long a login that the client asked for at once may go on behind a black screen. A right password takes less,
/// and then the client sees nothing but its desktop; PAM takes seconds to say that one is wrong.
const SCREENLESS: Duration = Duration::from_millis(250);

/// Serves the connection and says how it ended.
pub fn run(policy: &Policy, deadlines: Deadlines) -> ExitCode {
    let (client, monitor, start) = match prepare(policy, &deadlines) {
        Ok(prepared) => prepared,
        Err(error) => {
            warn!("cannot serve a connection: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let _span = info_span!("gate", connection = start.connection.0, client = %start.client).entered();
    let mut gate = Gate { client: Some(client), monitor: Some(monitor), start, deadlines, stage: Stage::Negotiation };
    match gate.serve(policy) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => gate.report(&error),
    }
}

/// Takes the descriptors over and goes into the sandbox; the first message tells what to serve.
fn prepare(policy: &Policy, deadlines: &Deadlines) -> Result<(Client, Arc<Monitor>, Start)> {
    let client = wrd_sys::listen::take_fd(CLIENT).context("descriptor 3, the client")?;
    let monitor = wrd_sys::listen::take_fd(MONITOR).context("descriptor 4, the monitor")?;
    let client = Client::new(client, deadlines.login_stall)?;
    let monitor = Arc::new(Monitor::new(monitor, deadlines.answer)?);
    sandbox::enter(policy, GIVEN).context("sandbox")?;
    match monitor.receive()? {
        (ToGate::Start(start), None) => Ok((client, monitor, start)),
        _ => bail!("the monitor's first message is no start"),
    }
}

struct Gate {
    /// Gone once it was closed.
    client: Option<Client>,
    /// Gone once this relays.
    monitor: Option<Arc<Monitor>>,
    start: Start,
    deadlines: Deadlines,
    stage: Stage,
}

/// How a login ended well.
enum LoggedIn {
    Link(OwnedFd, Progress),
    /// The user has read what is wrong; nothing is left to say.
    Over(EndReason),
}

impl Gate {
    fn serve(&mut self, policy: &Policy) -> Result<()> {
        let Some(mut client) = self.client.take() else { return Ok(()) };
        let result = self.serve_client(&mut client);
        match result {
            Ok((LoggedIn::Link(link, progress), connected)) => self.relay(client, link, (progress, connected), policy),
            Ok((LoggedIn::Over(reason), _)) => {
                self.say_good_bye(client, reason);
                Ok(())
            }
            Err(error) => {
                let timed_out = matches!(error.downcast_ref(), Some(ClientError::TimedOut));
                if self.stage == Stage::Login && timed_out {
                    self.say_good_bye(client, EndReason::LogonTimeout);
                } else {
                    client.close(self.deadlines.good_bye);
                }
                Err(error)
            }
        }
    }

    /// Up to a login that succeeded, or failed for good.
    fn serve_client(&mut self, client: &mut Client) -> Result<(LoggedIn, Connected)> {
        let deadline = self.login_deadline();
        let monitor = self.monitor()?.clone();
        let mut connected = connect(client, (&monitor, &self.start), (&self.deadlines, deadline), &mut self.stage)?;
        self.stage = Stage::Login;
        let settings = &connected.settings;
        debug!(
            "client {:?}, build {}, {}×{} at {} %, keyboard {:#x}, user {:?}",
            settings.name.as_str(),
            settings.build,
            settings.width,
            settings.height,
            settings.desktop_scale,
            settings.keyboard.layout,
            connected.info.user.as_str(),
        );
        let mut login = Login::new(monitor, self.deadlines);
        let opening = match try_client_info(client, &mut login, &mut connected, deadline)? {
            Tried::Link(link) => return Ok((LoggedIn::Link(link, Progress::Licensing), connected)),
            Tried::Screen(opening) => opening,
        };
        let logged_in = self.login_screen(client, &mut connected, (login, opening), deadline)?;
        Ok((logged_in, connected))
    }

    /// The client has until `deadline` to become active, and as long again for the screen.
    fn login_screen(
        &self,
        client: &mut Client,
        connected: &mut Connected,
        (login, opening): (Login, Opening),
        deadline: Deadline,
    ) -> Result<LoggedIn> {
        activate(client, &mut connected.acceptor, Deadline::after(self.deadlines.activation).min(deadline))?;
        self.monitor()?.send(&ToMonitor::Screen)?;
        let asked = DesktopSize { width: connected.settings.width, height: connected.settings.height };
        let max = DesktopSize { width: self.start.max_width, height: self.start.max_height };
        let scene = greeter::Scene {
            size: granted_size(asked, max),
            scale: connected.settings.desktop_scale,
            host_name: self.start.host_name.to_string(),
            keyboard: connected.settings.keyboard,
            sessions: self.start.sessions.iter().take(MAX_SESSIONS).cloned().collect(),
        };
        let mut greeter = Greeter::new(scene, &connected.info.user, opening, self.deadlines);
        Ok(match greeter.run(client, login, self.login_time())? {
            greeter::Outcome::Link(link) => {
                client.send(&pdu::deactivate_all(), Deadline::after(self.deadlines.good_bye))?;
                connected.transcript.layout = greeter.chosen_layout();
                LoggedIn::Link(link, Progress::Deactivated)
            }
            greeter::Outcome::Closed => LoggedIn::Over(EndReason::Denied),
            greeter::Outcome::Cancelled => LoggedIn::Over(EndReason::DisconnectedByUser),
        })
    }

    fn monitor(&self) -> Result<&Arc<Monitor>> {
        self.monitor.as_ref().context("the monitor is gone")
    }

    fn login_deadline(&self) -> Deadline {
        Deadline::after(self.login_time())
    }

    fn login_time(&self) -> Duration {
        Duration::from_millis(self.start.login_deadline_ms.into())
    }

    fn relay(
        &mut self,
        client: Client,
        link: OwnedFd,
        (progress, connected): (Progress, Connected),
        policy: &Policy,
    ) -> Result<()> {
        self.stage = Stage::Relay;
        let mut transcript = connected.transcript;
        transcript.progress = progress;
        // Nothing of the login is needed any more, its memory least of all.
        drop((connected.acceptor, connected.settings, connected.info));
        let relay = Relay::begin(client, link, &transcript, &self.deadlines)?;
        drop(transcript);
        if let Some(monitor) = self.monitor.take()
            && let Err(error) = monitor.send(&ToMonitor::Relaying)
        {
            debug!("ignoring that the monitor cannot be told, which a restart of it must not mean: {error}");
        }
        sandbox::relay_only(policy)?;
        let (client, end) = relay.run();
        client.close(self.deadlines.good_bye);
        match end? {
            // No fault of this process: the client has been told, and the session's leader says why.
            End::WorkerLost => warn!("the session went away without a word"),
            End::ByWorker => info!("the session ended the connection"),
            End::ByClient => info!("the client disconnected"),
        }
        Ok(())
    }

    fn say_good_bye(&self, mut client: Client, reason: EndReason) {
        if let Err(error) = client.send(&pdu::end(reason), Deadline::after(self.deadlines.good_bye)) {
            debug!("ignoring that the client does not hear the reason: {error}");
        }
        client.close(self.deadlines.good_bye);
    }

    /// One line, for the monitor to log, or for the journal where it does not hear it.
    fn report(&self, error: &anyhow::Error) -> ExitCode {
        let stage = match self.stage {
            Stage::Negotiation => "negotiation",
            Stage::Tls => "tls",
            Stage::Connection => "connection",
            Stage::Login => "login",
            Stage::Relay => "relay",
        };
        let monitor = self.monitor.as_ref().filter(|_| self.stage != Stage::Relay);
        let told = monitor.is_some_and(|monitor| monitor.failed(self.stage, &format!("{error:#}")));
        let gone = matches!(error.downcast_ref(), Some(ClientError::Gone));
        match (told, gone) {
            // The monitor says it, with whose connection that was.
            (true, _) => debug!(stage, "{error:#}"),
            (false, true) => info!(stage, "{error:#}"),
            (false, false) => warn!(stage, "{error:#}"),
        }
        if gone {
            return ExitCode::SUCCESS;
        }
        // A client that a relay has lost, to a cut line or by its own doing, is no fault of the gate's.
        if self.stage == Stage::Relay && error.is::<ClientError>() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// What the client's own credentials came to.
enum Tried {
    Link(OwnedFd),
    Screen(Opening),
}

/// Tries what the client sent, once, its cookie first, as far as that is done without a screen.
fn try_client_info(
    client: &mut Client,
    login: &mut Login,
    connected: &mut Connected,
    deadline: Deadline,
) -> Result<Tried> {
    let info = &mut connected.info;
    let returning = match info.returning.take() {
        Some(claim) => login.come_back(claim)?,
        None => Returning::Refused,
    };
    let password = info.password.take().filter(|_| !info.user.is_empty());
    let mut happened = match (returning, password) {
        (Returning::Granted, _) => None,
        (Returning::Refused, Some(password)) => {
            login.submit(info.user.clone(), info.domain.clone(), password, SessionChoice::Last).err()
        }
        (Returning::Refused, None) => return Ok(Tried::Screen(Opening::Fresh)),
    };
    let verdict_due = Deadline::after(SCREENLESS);
    let mut accepted = false;
    loop {
        match happened.or_else(|| login.next_event()) {
            Some(Event::Link(link)) => return Ok(Tried::Link(link)),
            Some(Event::Denied { text, may_retry: true }) => return Ok(Tried::Screen(Opening::Denied(text))),
            Some(Event::Denied { text, may_retry: false } | Event::Failed(text)) => {
                return Ok(Tried::Screen(Opening::Failed(text)));
            }
            // Nobody can be asked, or read what is said, without a screen.
            Some(Event::Ask { kind, text }) => return Ok(Tried::Screen(Opening::Asked { kind, text })),
            Some(Event::Tell { tone, text }) => return Ok(Tried::Screen(Opening::Told { tone, text })),
            Some(Event::Accepted) => accepted = true,
            None => {}
        }
        happened = None;
        if !accepted && deadline.is_over() {
            return Err(ClientError::TimedOut.into());
        }
        if !accepted && verdict_due.is_over() {
            return Ok(Tried::Screen(Opening::Checking));
        }
        let mut fds = Vec::with_capacity(3);
        // A full buffer is read on later; until then only the login counts.
        if client.incoming.len() < client::MOST_INCOMING {
            fds.push(PollFd::new(client.as_fd(), PollFlags::POLLIN));
        }
        login.watch(&mut fds);
        let until = if accepted { login.deadline() } else { Some(verdict_due.min(deadline)) };
        match wait(&mut fds, until) {
            Ok(()) | Err(WaitError::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
        drop(fds);
        if client.receive()? == Stream::Ended {
            return Err(ClientError::Gone.into());
        }
    }
}

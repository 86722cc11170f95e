//! One login, read from top to bottom: begin, authenticate, ask the monitor, then start a session, hand
//! the connection over, or say why not.
//!
//! Always true: the client's process (the gate) and the monitor may vanish at any moment, which ends a
//! login without a trace; a slow PAM module keeps nobody waiting but its own client.

use crate::authority::{Admission, Admits, Credentials};
use crate::deadlines::Deadlines;
use crate::denial::{Again, Denial};
use crate::dialogue::{Dialogue, End};
use crate::options::Options;
use crate::proven::Proven;
use crate::wait::{Interest, wait};
use crate::{audit, session, worker};
use anyhow::{Context, bail};
use nix::unistd::{alarm, dup2_stdin, dup2_stdout};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use wrd_config::Choice;
use wrd_proto::leader::{FromLeader, MAX_TRIES, ToLeader};
use wrd_proto::login::FromGate;
use wrd_proto::{Address, ConnectionId, Line, UserName, login};
use wrd_sys::channel::{Channel, ChannelError};
use wrd_sys::place::Place;
use wrd_sys::{RawChannel, listen};

/// A login under way: who it is for, and both who talk about it.
pub struct Login {
    pub connection: ConnectionId,
    pub client: Address,
    pub proven: Proven,
    /// Who comes back to their session, without credentials.
    returning: Option<UserName>,
    pub monitor: MonitorChannel,
    pub gate: GateChannel,
    deadlines: Deadlines,
    deadline: Instant,
}

pub type MonitorChannel = Channel<FromLeader, ToLeader>;
pub type GateChannel = Channel<login::FromLeader, FromGate>;

/// Serves the login, and the session that comes of it until that ends.
pub fn run(options: &Options, deadlines: Deadlines) -> anyhow::Result<()> {
    let monitor = settle()?;
    // Whoever is to be authenticated is a stranger, and what that costs theirs. The listener has put us there already.
    let place = Place::of_parent().context("cannot ask for the place to return to")?;
    place.of_strangers().and_then(|place| place.take()).context("cannot take the place of strangers")?;
    let authority = options.authority()?;
    deadlines.arm_backstop();

    let Some(login) = Login::begin(monitor, deadlines)? else { return Ok(()) };
    let _span = tracing::info_span!("login", connection = %login.connection, client = %login.client).entered();
    let Some((mut admission, choice)) = login.admit(&authority)? else { return Ok(()) };
    alarm::cancel();
    place.take().context("cannot leave the place of strangers")?;
    let account = &admission.account;
    tracing::info!(user = %account.name, uid = account.uid, "authenticated");

    match login.ask_monitor(&admission)? {
        Verdict::Start => match choice {
            Some(choice) => session::run(login, admission, &choice, options),
            // The monitor knows better: nobody has shown a password.
            None => bail!("told to start a session for somebody who comes back to one"),
        },
        Verdict::HandedOver => {
            audit::logged_in(account, &login.client);
            admission.door.refresh();
            login.wait_for_gate();
            Ok(())
        }
        Verdict::Refused(text) => {
            tracing::info!(%text, "refused by the monitor");
            audit::no_session(account, &login.client);
            login.tell_gate(&login::FromLeader::SessionFailed { text });
            Ok(())
        }
        Verdict::Cancelled => Ok(()),
    }
}

/// What the monitor has decided about an authenticated user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Start,
    HandedOver,
    Refused(Line),
    Cancelled,
}

/// Takes the channel to the monitor from descriptor 0 and makes this process fit for its work.
fn settle() -> anyhow::Result<MonitorChannel> {
    let monitor =
        RawChannel::from(listen::take_fd(0).context("descriptor 0 is not the monitor's channel")?.try_clone()?);
    // PAM modules run programs: those must find neither the channel nor a closed descriptor.
    dup2_stdin(std::fs::File::open("/dev/null")?)?;
    dup2_stdout(std::io::stderr())?;
    wrd_sys::harden::wipe_freed_memory();
    worker::lower_own_oom_score();
    nix::sys::prctl::set_dumpable(false)?;
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    std::env::set_current_dir("/")?;
    Ok(monitor.typed())
}

impl Login {
    /// The first message of the monitor's. `None` where that has changed its mind.
    pub fn begin(monitor: MonitorChannel, deadlines: Deadlines) -> anyhow::Result<Option<Self>> {
        let deadline = Instant::now() + deadlines.login;
        let events = wait(&[(monitor.as_fd(), Interest::Read)], Some(deadline))?;
        if !events.iter().any(|event| event.readable) {
            bail!("the monitor said nothing");
        }
        match monitor.recv_fd() {
            Ok((ToLeader::Begin { connection, client, proven, returning }, Some(gate))) => {
                let (proven, gate) = (Proven::new(proven), RawChannel::from(gate).typed());
                Ok(Some(Self { connection, client, proven, returning, monitor, gate, deadlines, deadline }))
            }
            Ok((message, fd)) => bail!("{message:?} (descriptor: {}) where Begin is due", fd.is_some()),
            Err(ChannelError::Closed) => Ok(None),
            Err(error) => Err(error).context("the monitor's first message"),
        }
    }

    /// Has the client let in, who comes back without credentials and everybody else with theirs. `None` where that will
    /// not happen. Who comes back has no choice of a session.
    pub fn admit(&self, authority: &impl Admits) -> anyhow::Result<Option<(Admission, Option<Choice>)>> {
        match self.returning.as_ref().map(|user| self.come_back(authority, user)) {
            Some(Ok(admission)) => return Ok(Some((admission, None))),
            Some(Err(Again::Pointless)) => return Ok(None),
            Some(Err(Again::Allowed)) | None => {}
        }
        let admitted = self.authenticate(authority)?;
        Ok(admitted.map(|(admission, choice)| (admission, Some(choice))))
    }

    /// Tries what the client presents until PAM says yes; then with the session that was wanted. `None` where that will
    /// not happen.
    fn authenticate(&self, authority: &impl Admits) -> anyhow::Result<Option<(Admission, Choice)>> {
        let mut dialogue = Dialogue::new(&self.gate, &self.monitor, self.deadline, self.deadlines);
        let tries = MAX_TRIES - u32::from(self.returning.is_some());
        for tries_left in (0..tries).rev() {
            let Some((credentials, choice)) = self.credentials(dialogue.deadline())? else { return Ok(None) };
            let user = credentials.user.clone();
            self.tell_monitor(&FromLeader::Tries);
            // Behind NLA the first are those that it delegated.
            let delegated = tries_left + 1 == MAX_TRIES && !credentials.password.is_empty();
            let admitted = authority.admit(credentials, &self.client, &mut dialogue);
            // Whatever PAM makes of that: an optional module may have shrugged it off.
            let admitted = match dialogue.take_end() {
                None => admitted,
                Some(End::Cancelled) => {
                    tracing::info!(?user, "the user cancelled the login");
                    let (text, may_retry) = (Line::truncated(CANCELLED), tries_left > 0);
                    self.tell_gate(&login::FromLeader::Denied { text, may_retry });
                    continue;
                }
                Some(End::TooMany) => Err(Denial::said(TOO_MANY, "PAM asks too many questions").for_good()),
                Some(End::TooLate) => return Ok(self.too_late()),
                Some(End::Gone) => {
                    tracing::info!(?user, "the login ended in the middle of a question");
                    return Ok(None);
                }
                Some(End::Broken(reason)) => return Ok(self.broken(&reason)),
            };
            let denial = match admitted.and_then(|admission| self.check(admission)) {
                Ok(admission) => return Ok(Some((admission, choice))),
                Err(denial) => denial,
            };
            if delegated && !dialogue.has_asked() && self.proven.is_stale(&user, &denial) {
                self.tell_monitor(&FromLeader::Stale);
            }
            if self.deny(authority, &user, denial, tries_left) == Again::Pointless {
                break;
            }
        }
        Ok(None)
    }

    /// `user` has shown the cookie of their session to the monitor: PAM says whether that account may still be used, and
    /// nothing is asked. After a denial one may log in as everybody does.
    fn come_back(&self, authority: &impl Admits, user: &UserName) -> Result<Admission, Again> {
        let admitted = authority.admit_returning(user, &self.client).and_then(|admission| self.check(admission));
        admitted.map_err(|denial| self.deny(authority, user, denial, MAX_TRIES - 1))
    }

    /// Whether this connection may be theirs.
    fn check(&self, admission: Admission) -> Result<Admission, Denial> {
        self.proven.check(&admission.account).map(|()| admission)
    }

    /// Tells everybody, and whether there is another try: the monitor at once, the user when it is time. Who has left by
    /// then, or is sent away, is not waited for.
    fn deny(&self, authority: &impl Admits, user: &UserName, denial: Denial, tries_left: u32) -> Again {
        tracing::warn!(?user, reason = ?denial.reason, "login denied");
        authority.note_denied(user, &self.client);
        let again = if tries_left > 0 { denial.again } else { Again::Pointless };
        let pause_ms = denial.pause.as_millis().try_into().unwrap_or(u16::MAX);
        self.tell_monitor(&FromLeader::Denied { user: user.clone(), text: denial.text.clone(), pause_ms });
        if self.rests(denial.pause) {
            self.tell_gate(&login::FromLeader::Denied { text: denial.text, may_retry: again == Again::Allowed });
        }
        again
    }

    /// Lets this time pass. Not so if the monitor has something to say meanwhile, which is that this login is over.
    fn rests(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        pause.is_zero()
            || wait(&[(self.monitor.as_fd(), Interest::Read)], Some(until))
                .is_ok_and(|events| events.iter().all(|monitor| !monitor.readable))
    }

    /// The next credentials; `None` where the login is over.
    fn credentials(&self, deadline: Instant) -> anyhow::Result<Option<(Credentials, Choice)>> {
        let fds = [(self.gate.as_fd(), Interest::Read), (self.monitor.as_fd(), Interest::Read)];
        let events = wait(&fds, Some(deadline))?;
        let [gate, monitor] = events.as_slice() else { bail!("poll lost a descriptor") };
        if monitor.readable {
            match self.monitor.recv() {
                Err(ChannelError::Closed) => tracing::debug!("the monitor has cancelled the login"),
                other => bail!("{other:?} from the monitor during a login"),
            }
            return Ok(None);
        }
        if !gate.readable {
            return Ok(self.too_late());
        }
        match self.gate.recv() {
            Ok(FromGate::Credentials { user, domain: _, password, session }) => Ok(match Choice::of(&session) {
                Some(choice) => Some((Credentials { user, password }, choice)),
                None => self.broken(&format!("no session can be called {session:?}")),
            }),
            Err(ChannelError::Closed) => {
                tracing::debug!("the client went away before it logged in");
                Ok(None)
            }
            Ok(FromGate::Answer(_) | FromGate::Cancel) => Ok(self.broken("an answer where nothing was asked")),
            Err(error) => Ok(self.broken(&error.to_string())),
        }
    }

    /// Nobody is there, or cannot make up their mind.
    fn too_late<T>(&self) -> Option<T> {
        tracing::info!("nobody has logged in in time");
        self.tell_gate(&login::FromLeader::Denied { text: Line::truncated(TOO_LATE), may_retry: false });
        None
    }

    /// The gate is not what it should be.
    fn broken<T>(&self, reason: &str) -> Option<T> {
        tracing::warn!("the gate is not understood: {reason}");
        self.tell_monitor(&FromLeader::Broken { reason: Line::truncated(reason) });
        None
    }

    /// Reports who was let in and waits for what to do with them.
    pub fn ask_monitor(&self, admission: &Admission) -> anyhow::Result<Verdict> {
        let account = &admission.account;
        let user = UserName::truncated(&account.name);
        self.monitor.send(&FromLeader::Authenticated { uid: account.uid, user }).context("cannot tell the monitor")?;
        self.tell_gate(&login::FromLeader::Accepted);

        let fds = [(self.monitor.as_fd(), Interest::Read), (self.gate.as_fd(), Interest::Read)];
        let events = wait(&fds, Some(Instant::now() + self.deadlines.verdict))?;
        let [monitor, gate] = events.as_slice() else { bail!("poll lost a descriptor") };
        if monitor.readable {
            return match self.monitor.recv() {
                Ok(ToLeader::StartSession) => Ok(Verdict::Start),
                Ok(ToLeader::HandedOver) => Ok(Verdict::HandedOver),
                Ok(ToLeader::Refused(text)) => Ok(Verdict::Refused(text)),
                Ok(message) => bail!("{message:?} where a verdict is due"),
                Err(ChannelError::Closed) => Ok(Verdict::Cancelled),
                Err(error) => Err(error).context("the monitor's verdict"),
            };
        }
        if gate.readable {
            tracing::info!("the client went away before it had a session");
            return Ok(Verdict::Cancelled);
        }
        tracing::warn!("the monitor gives no verdict");
        Ok(Verdict::Refused(Line::truncated(NO_VERDICT)))
    }

    /// The gate reads the end of this channel as a failure until it has its link: leave that to it.
    pub fn wait_for_gate(&self) {
        let _ = wait(&[(self.gate.as_fd(), Interest::Read)], Some(Instant::now() + self.deadlines.link));
    }

    /// A gate that is gone is nobody to tell; whoever waits on it next will see that.
    pub fn tell_gate(&self, message: &login::FromLeader) {
        if let Err(error) = self.gate.send(message) {
            tracing::debug!("ignoring that the gate cannot be told: {error}");
        }
    }

    pub fn tell_monitor(&self, message: &FromLeader) {
        if let Err(error) = self.monitor.send(message) {
            tracing::debug!("ignoring that the monitor cannot be told: {error}");
        }
    }
}

const TOO_LATE: &str = "The login took too long.";
const CANCELLED: &str = "The login was cancelled.";
const TOO_MANY: &str = "The login service of this machine asks too many questions. Ask its administrator.";
const NO_VERDICT: &str = "The login service does not answer. Try again.";

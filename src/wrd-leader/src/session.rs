//! From an admission to a running session: checked, opened, forked, ready; and closed again.
//!
//! Always true: on every path what was opened is closed in reverse: the worker and all its processes
//! end, then PAM closes the session, and only then does the monitor see that it is over.

use crate::account::{Account, is_private_folder};
use crate::audit;
use crate::authority::{Admission, Door};
use crate::environment::{Environment, LOCALE_FILES, locale};
use crate::login::Login;
use crate::logind;
use crate::memory::Memory;
use crate::options::{Options, Place};
use crate::serve::{Listener, Session};
use crate::wait::{Interest, wait};
use crate::worker::{self, Launch, Worker};
use anyhow::Context;
use nix::unistd::{Gid, Pid, Uid};
use std::ffi::{CString, OsString};
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use wrd_config::{Choice, SESSION_FOLDERS};
use wrd_proto::leader::FromLeader;
use wrd_proto::session::{SessionInfo, State};
use wrd_proto::worker::FromWorker;
use wrd_proto::{Line, Text, UserName, login};
use wrd_sys::channel::ChannelError;
use wrd_sys::process::{Signals, Told};

/// Starts the session, leads it until it ends, and closes it.
pub fn run(login: Login, admission: Admission, choice: &Choice, options: &Options) -> anyhow::Result<()> {
    let Admission { account, mut door } = admission;
    let started = Start { login: &login, account: &account, choice, options }.start(&mut door);
    let session = match started {
        Ok(session) => {
            audit::logged_in(&account, &login.client);
            session
        }
        Err(Failure { text, cause }) => {
            audit::no_session(&account, &login.client);
            let cause = cause.map(|cause| format!("{cause:#}"));
            tracing::warn!(user = %account.name, cause, "no session: {text}");
            let text = Line::truncated(&text);
            login.tell_gate(&login::FromLeader::SessionFailed { text: text.clone() });
            door.close();
            login.tell_monitor(&FromLeader::SessionFailed { text });
            return Ok(());
        }
    };
    let monitors = match login.monitor.send(&FromLeader::SessionReady) {
        Ok(()) => {
            let Login { gate, monitor, .. } = login;
            // From here on monitors come to the session's own socket, which outlives this connection.
            drop(monitor);
            session.serve(gate)
        }
        Err(error) => {
            tracing::error!("the monitor is gone, ending a session that it would not know: {error}");
            session.abandon();
            Vec::new()
        }
    };
    door.close();
    tracing::info!(user = %account.name, "the session is closed");
    drop(monitors);
    Ok(())
}

/// Why there is no session: a text for the user, and where the trouble is.
struct Failure {
    text: String,
    cause: Option<anyhow::Error>,
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self { text, cause: None }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self { text: format!("The session cannot be started: {error}."), cause: Some(error) }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        anyhow::Error::from(error).into()
    }
}

impl From<nix::Error> for Failure {
    fn from(error: nix::Error) -> Self {
        anyhow::Error::from(error).into()
    }
}

struct Start<'a> {
    login: &'a Login,
    account: &'a Account,
    choice: &'a Choice,
    options: &'a Options,
}

impl Start<'_> {
    fn start(&self, door: &mut Door) -> Result<Session, Failure> {
        self.account.check_shell()?;
        let mut paths = wrd_config::Paths::system()?;
        paths.runtime_dir.clone_from(&self.options.runtime_dir);
        make_folder(&paths.sessions_dir(), 0o700)?;
        let socket = paths.session_socket(self.account.uid);
        Listener::check_free(&socket)?;
        let (settings, errors) = wrd_config::System::load_lenient(&self.options.config_dir);
        for error in errors {
            tracing::warn!("ignoring a wrong setting: {error}");
        }

        self.check_logind()?;

        // From here on a request to end must find its way through what is open by then.
        wrd_sys::process::note_termination()?;
        let memory = Memory::of(self.account.uid, &self.options.state_dir);
        let wanted = memory.consult(self.choice, &SESSION_FOLDERS);
        let desktop = wanted.desktop(&settings.desktop.name);
        let variables = self.open(door, desktop)?;
        let environment = self.environment(door, variables)?;
        let logind = self.logind_session(&environment);
        let signals = Signals::take_over()?;
        let launch = Launch {
            account: self.account,
            environment: &environment,
            program: worker::program()?,
            config_dir: &self.options.config_dir,
            session: wanted.id(),
        };
        let mut worker = launch.fork()?;
        let deadline = Instant::now() + Duration::from_secs(settings.session.start_seconds.into());
        let wayland_display = self.await_ready(&mut worker, &signals, deadline)?;
        let listener = Listener::bind(&socket)?;
        memory.keep(self.choice, &wanted);

        let info = SessionInfo {
            uid: self.account.uid,
            user: UserName::truncated(&self.account.name),
            logind: logind.as_deref().map(Text::truncated),
            state: State::Disconnected,
            desktop: Text::truncated(desktop),
            wayland_display,
            started: crate::serve::now(),
            leader_pid: Pid::this().as_raw().unsigned_abs(),
            worker_pid: worker.pid.as_raw().unsigned_abs(),
            client: None,
        };
        tracing::info!(user = %info.user, logind = info.logind.as_deref(), worker = info.worker_pid, "session started");
        Ok(Session::new(info, worker, listener, signals, memory))
    }

    fn open(&self, door: &mut Door, desktop: &str) -> Result<Vec<(OsString, OsString)>, Failure> {
        // Started by the listener we lead a session already, and that is all this is for.
        let _ = nix::unistd::setsid();
        if Uid::effective().is_root() {
            // Before PAM sets credentials, which may add groups.
            let name = CString::new(self.account.name.as_str()).context("a user name with a NUL in it")?;
            nix::unistd::initgroups(&name, Gid::from_raw(self.account.gid)).context("initgroups")?;
        }
        let variables = [
            ("XDG_SESSION_TYPE", "wayland"),
            ("XDG_SESSION_CLASS", "user"),
            ("XDG_SESSION_DESKTOP", desktop),
            // systemd 260 and later gives a seatless session the render node for this.
            ("XDG_SESSION_EXTRA_DEVICE_ACCESS", "render"),
        ];
        Ok(door.open(self.account, &variables)?)
    }

    fn environment(&self, door: &Door, variables: Vec<(OsString, OsString)>) -> Result<Environment, Failure> {
        let mut environment = Environment::base(self.account);
        for file in LOCALE_FILES {
            environment.extend(locale(&std::fs::read_to_string(file).unwrap_or_default()));
        }
        if let Door::OwnUser = door {
            environment.keep_own(std::env::vars_os());
        }
        // Where the worker logs to and how much.
        for name in ["JOURNAL_STREAM", "WRD_LOG"] {
            environment.extend(std::env::var_os(name).map(|value| (name.into(), value)));
        }
        environment.extend(variables);
        let runtime_dir = environment.get("XDG_RUNTIME_DIR").map(PathBuf::from);
        if !runtime_dir.is_some_and(|dir| is_private_folder(&dir, self.account.uid)) {
            environment.set("XDG_RUNTIME_DIR", self.make_runtime_dir().context("no XDG_RUNTIME_DIR")?);
            // A bus that was found by way of the folder that is not usable is none either.
            environment.remove("DBUS_SESSION_BUS_ADDRESS");
        }
        Ok(environment)
    }

    /// Where neither logind nor the user's own environment has one.
    fn make_runtime_dir(&self) -> anyhow::Result<PathBuf> {
        let (parent, mode) = match Uid::effective().is_root() {
            // Our own runtime folder may be closed to users.
            true => (PathBuf::from(ROOT_RUNTIME_DIRS), 0o711),
            false => (self.options.runtime_dir.join("user"), 0o700),
        };
        make_folder(&parent, mode)?;
        let dir = parent.join(self.account.uid.to_string());
        make_folder(&dir, 0o700)?;
        let (uid, gid) = (Uid::from_raw(self.account.uid), Gid::from_raw(self.account.gid));
        nix::unistd::chown(&dir, Some(uid), Some(gid)).context("cannot give it to the user")?;
        anyhow::ensure!(is_private_folder(&dir, self.account.uid), "{} is not private", dir.display());
        Ok(dir)
    }

    /// Another graphical session of the user stands against this one.
    fn check_logind(&self) -> Result<(), Failure> {
        if self.options.place() == Place::Standalone {
            return Ok(());
        }
        match logind::graphical_session(self.account.uid) {
            Ok(None) => Ok(()),
            Ok(Some(other)) => Err(format!(
                "{} has a graphical session already: {other}. Log out there, then log in here again.",
                self.account.name
            )
            .into()),
            Err(error) => {
                tracing::warn!("ignoring that logind cannot be asked for other sessions: {error:#}");
                Ok(())
            }
        }
    }

    /// logind's id of this session.
    fn logind_session(&self, environment: &Environment) -> Option<String> {
        if self.options.place() == Place::Standalone {
            return None;
        }
        let id = environment.get("XDG_SESSION_ID").and_then(|id| id.to_str()).map(str::to_owned);
        if id.is_none() {
            tracing::warn!("PAM made no logind session: is pam_systemd in its stack?");
        }
        id
    }

    /// Waits for the worker's desktop; its Wayland display.
    fn await_ready(&self, worker: &mut Worker, signals: &Signals, deadline: Instant) -> Result<Text<64>, Failure> {
        loop {
            let events = {
                let fds = [
                    (worker.channel.as_fd(), Interest::Read),
                    (signals.as_fd(), Interest::Read),
                    (self.login.monitor.as_fd(), Interest::Read),
                ];
                wait(&fds, Some(deadline))?
            };
            let [from_worker, told, monitor] = events.as_slice() else { continue };
            if from_worker.readable {
                match worker.channel.recv() {
                    Ok(FromWorker::Ready { wayland_display }) => return Ok(wayland_display),
                    Ok(FromWorker::Failed { text }) => return Err(text.into_string().into()),
                    Ok(FromWorker::Ending { reason }) => return Err(format!("The desktop ended: {reason}.").into()),
                    Ok(
                        FromWorker::Attached { .. }
                        | FromWorker::Detached { .. }
                        | FromWorker::Left { .. }
                        | FromWorker::Unusable,
                    )
                    | Err(ChannelError::WouldBlock) => {}
                    // Its exit status says more, if it comes.
                    Err(ChannelError::Closed) => return Err(self.early_end(worker, signals)?),
                    Err(error) => return Err(anyhow::Error::from(error).context("the worker talks nonsense").into()),
                }
            } else if told.readable {
                while let Some(told) = signals.next()? {
                    if told == Told::Terminate {
                        return Err("The session was told to end before it was ready.".to_owned().into());
                    }
                }
                if worker.reap() {
                    return Err(self.early_end(worker, signals)?);
                }
            } else if monitor.readable {
                return Err("The login service was restarted. Try again.".to_owned().into());
            } else {
                return Err("The desktop was not ready in time.".to_owned().into());
            }
        }
    }

    fn early_end(&self, worker: &mut Worker, signals: &Signals) -> Result<Failure, Failure> {
        let until = Instant::now() + EXIT_TIME;
        while !worker.reap() && Instant::now() < until {
            wait(&[(signals.as_fd(), Interest::Read)], Some(until))?;
            while signals.next()?.is_some() {}
        }
        let text =
            format!("The desktop ended before it was ready: {}. The log of this session says more.", worker.ending());
        Ok(text.into())
    }
}

fn make_folder(dir: &Path, mode: u32) -> anyhow::Result<()> {
    match std::fs::DirBuilder::new().mode(mode).create(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(error).with_context(|| format!("cannot make {}", dir.display()))
        }
        _ => Ok(()),
    }
}

const ROOT_RUNTIME_DIRS: &str = "/run/wrd-dm-user";
const EXIT_TIME: Duration = Duration::from_secs(1);

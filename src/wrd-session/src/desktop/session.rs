//! The session's command, configured or of an installed session: its start, its end, and what the user is told where
//! it fails.

use super::Desktop;
use super::children::Role;
use crate::source::Request;
use nix::sys::timerfd::{Expiration, TimerSetTimeFlags};
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};
use wrd_config::InstalledSession;

/// A command that fails within this time has never worked.
const AT_ONCE: Duration = Duration::from_secs(3);
/// How long its message stays.
const SHOWN: Duration = Duration::from_secs(15);

/// How the session stands.
pub enum Session {
    /// No command is configured: the session lasts until somebody logs out.
    Embedded,
    Running {
        command: String,
        since: Instant,
        origin: Origin,
    },
    /// The user reads why; then it ends.
    Failed {
        reason: String,
    },
    Ended,
}

/// Where a session's command comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Settings,
    /// The file of an installed session.
    Installed(PathBuf),
}

impl Desktop {
    /// Starts an installed session: its program with its arguments, as they are.
    pub(super) fn start_installed(&mut self, session: &InstalledSession) {
        let mut words = session.command.iter();
        let program = words.next().map(String::as_str).unwrap_or_default();
        let mut command = Command::new(program);
        command.args(words).current_dir(&self.home);
        tracing::info!(session = %session.id, program, "an installed session starts");
        let origin = Origin::Installed(session.file.clone());
        self.session = Session::Running { command: session.command.join(" "), since: Instant::now(), origin };
        if let Err(error) = self.run(program, Role::Session, &mut command) {
            self.fail(format!("{program} cannot be run: {error}."));
        }
    }

    /// Starts the configured command by the user's shell.
    pub(super) fn start_command(&mut self, line: &str) {
        let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
        let shell = shell.unwrap_or_else(|| OsString::from("/bin/sh"));
        let mut command = Command::new(&shell);
        command.arg("-c").arg(line).current_dir(&self.home);
        let origin = Origin::Settings;
        self.session = Session::Running { command: line.to_owned(), since: Instant::now(), origin };
        if let Err(error) = self.run(line, Role::Session, &mut command) {
            self.fail(format!("{} cannot be run: {error}.", shell.display()));
        }
    }

    pub(super) fn session_ended(&mut self, status: ExitStatus) {
        let Session::Running { command, since, .. } = &self.session else { return };
        tracing::info!(command, %status, "the session's command has ended");
        if !status.success() && since.elapsed() < AT_ONCE {
            self.fail(format!("It ended at once: {}.", describe(status)));
            return;
        }
        let reason = if status.success() {
            "the session's command has ended".to_owned()
        } else {
            format!("the session's command has ended: {}", describe(status))
        };
        self.session = Session::Ended;
        self.requests.push(Request::Ended { reason });
    }

    /// Shows what is wrong, for a while.
    fn fail(&mut self, what: String) {
        let Session::Running { command, origin, .. } = &self.session else { return };
        let reason = format!("the session's command \"{command}\" could not be run: {what}");
        tracing::warn!(command, what, "the session's command has failed");
        let whence = match origin {
            Origin::Settings => "The command is set in wrd-dm.toml or in ~/.config/wrd-dm/session.toml, [session] \
                                 command."
                .to_owned(),
            Origin::Installed(file) => {
                // The next login must not end here again, perhaps before there is a screen to choose on.
                self.requests.push(Request::Unusable);
                format!(
                    "The command is that of {}. Where no other session is chosen, the next login starts the \
                         default desktop.",
                    file.display()
                )
            }
        };
        let said = format!("What it said is in the journal (journalctl -e). {whence}");
        let lines = vec![command.clone(), String::new(), what, said];
        self.wayland.show_message("The desktop could not be started", lines);
        self.session = Session::Failed { reason };
        if let Err(error) = self.timer.set(Expiration::OneShot(SHOWN.into()), TimerSetTimeFlags::empty()) {
            tracing::error!(%error, "the message stays until it is clicked away");
        }
    }

    /// The message about a failure was read, or long enough there.
    pub(super) fn message_is_over(&mut self) {
        if let Session::Failed { reason } = &self.session {
            self.requests.push(Request::Ended { reason: reason.clone() });
            self.session = Session::Ended;
        }
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(126), _) => "exit status 126 (it may not be run)".to_owned(),
        (Some(127), _) => "exit status 127 (there is no such program)".to_owned(),
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => status.to_string(),
    }
}

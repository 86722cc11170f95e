//! The command line, and what each command asks and prints.

use crate::client::{Client, Error};
use crate::{enrol, output, status};
use clap::{Parser, Subcommand};
use nix::unistd::{User, getuid};
use std::path::PathBuf;
use wrd_proto::control::{ErrorKind, Request, Target};
use wrd_proto::session::SessionInfo;
use wrd_proto::{Text, UserName};

/// See and control wrd-dm and its sessions.
///
/// SESSION is a user's name, a uid, or logind's id of the session; without it your own is meant.
#[derive(Debug, Parser)]
#[command(version)]
#[command(
    after_help = "Exit status: 0 done, 1 failed, 2 wrong usage, 3 no such session or enrolment, 4 not permitted, 5 wrd-dm is not running."
)]
pub struct Cli {
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Where wrd-dm answers [default: /run/wrd-dm/control, else that of your stand-alone server]
    #[arg(long, global = true, value_name = "PATH", env = "WRD_CONTROL", hide_env_values = true)]
    pub socket: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the sessions
    List,
    /// Show all there is to know of one session
    Show { session: Option<String> },
    /// End the connection; the desktop goes on
    Disconnect { session: Option<String> },
    /// End the session and the programs in it
    Terminate {
        #[arg(conflicts_with = "all")]
        session: Option<String>,
        /// End every session (root only)
        #[arg(long)]
        all: bool,
    },
    /// Say what this server answers to each kind of client, and its certificate's fingerprint
    Status,
    /// Enrol for NLA: ask for the password and keep its NT hash, sealed
    Enroll {
        /// Whom (for root; else yourself)
        user: Option<String>,
    },
    /// Forget an enrolment
    Forget {
        /// Whose (for root; else your own)
        user: Option<String>,
    },
    /// List who is enrolled for NLA
    Enrolled,
}

/// Does what the command line says; what to print.
pub fn run(cli: &Cli) -> Result<String, Error> {
    let client = Client::new(cli.socket.clone());
    match &cli.command {
        Command::List => {
            let mut sessions = client.ask(&Request::List)?;
            sessions.sort_by(|a, b| a.user.cmp(&b.user).then(a.uid.cmp(&b.uid)));
            Ok(if cli.json { output::json_list(&sessions) } else { output::table(&sessions, output::now()) })
        }
        Command::Show { session } => {
            let shown = of_target(&client, session.as_deref(), Request::Show)?;
            let shown = shown.first().ok_or(Error::Answer)?;
            Ok(if cli.json { output::json(shown) } else { output::sheet(shown, output::now()) })
        }
        Command::Disconnect { session } => {
            of_target(&client, session.as_deref(), Request::Disconnect)?;
            Ok(String::new())
        }
        Command::Terminate { all: true, .. } => {
            client.ask(&Request::TerminateAll)?;
            Ok(String::new())
        }
        Command::Terminate { session, all: false } => {
            of_target(&client, session.as_deref(), Request::Terminate)?;
            Ok(String::new())
        }
        Command::Status => {
            let shown = status::of(client.answers(&Request::Status)?).ok_or(Error::Answer)?;
            Ok(if cli.json { status::json(&shown) } else { status::sheet(&shown) })
        }
        Command::Enroll { user } => enrol::enrol(&client, user.as_deref()).map(|()| String::new()),
        Command::Forget { user } => {
            let user = user.as_deref().map(enrol::name).transpose()?;
            client.answers(&Request::Forget { user })?;
            Ok(String::new())
        }
        Command::Enrolled => {
            let shown = enrol::rows(client.answers(&Request::Enrolled)?)?;
            Ok(if cli.json { output::pretty(&shown) } else { enrol::table(&shown) })
        }
    }
}

/// Asks for the first of the meanings of `session` that there is.
fn of_target(
    client: &Client,
    session: Option<&str>,
    request: impl Fn(Target) -> Request,
) -> Result<Vec<SessionInfo>, Error> {
    let own = || User::from_uid(getuid()).ok().flatten().map_or_else(|| getuid().to_string(), |user| user.name);
    let name = session.map_or_else(own, str::to_owned);
    let meanings = match session {
        Some(session) => meanings(session),
        None => vec![Target::Uid(getuid().as_raw())],
    };
    for target in meanings {
        match client.ask(&request(target)) {
            Err(Error::Refused { kind: ErrorKind::NotFound, .. }) => {}
            Err(Error::Refused { kind, text }) => return Err(Error::Of { session: name, kind, text }),
            other => return other,
        }
    }
    let text = "there is no such session".into();
    Err(Error::Of { session: name, kind: ErrorKind::NotFound, text })
}

/// What a word may stand for. A number is first a uid, then an id of logind's.
fn meanings(word: &str) -> Vec<Target> {
    let mut targets = Vec::new();
    if let Ok(uid) = word.parse() {
        targets.push(Target::Uid(uid));
    }
    // The uid decides, and so a name is looked up here, with the caller's rights and patience.
    if let Ok(Some(user)) = User::from_name(word) {
        targets.push(Target::Uid(user.uid.as_raw()));
    } else if let Ok(user) = UserName::try_from(word) {
        targets.push(Target::User(user));
    }
    if let Ok(id) = Text::try_from(word) {
        targets.push(Target::Logind(id));
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
        assert!(Cli::try_parse_from(["wrdctl", "terminate", "--all", "alice"]).is_err());
        assert!(Cli::try_parse_from(["wrdctl", "list", "--json"]).unwrap().json);
    }

    #[test]
    fn a_word_may_be_a_uid_a_name_and_an_id() {
        assert_eq!(meanings("root"), [Target::Uid(0), Target::Logind("root".try_into().unwrap())]);
        let nobody = "no such user";
        assert_eq!(
            meanings(nobody),
            [Target::User(nobody.try_into().unwrap()), Target::Logind(nobody.try_into().unwrap())]
        );
        assert_eq!(meanings("4242424")[0], Target::Uid(4_242_424));
        assert_eq!(meanings("4242424").last(), Some(&Target::Logind("4242424".try_into().unwrap())));
        assert!(meanings(&"x".repeat(300)).is_empty());
    }
}

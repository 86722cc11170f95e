//! The user's bus and user manager: told of the session's environment when it starts, and that it is over.
//!
//! Everything here is best effort and happens on a thread of its own: a slow or missing bus must not keep
//! anybody from their desktop.

use super::environment::Environment;
use super::programs;
use anyhow::Context as _;
use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use zbus::blocking::{Connection, connection};

/// The unit that stands for a session in the user manager; `units/user/wrd-session.target`.
const TARGET: &str = "wrd-session.target";
/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which bus the session's programs use.
pub enum Bus {
    /// The one of the user's login; its address, where it is not in our environment.
    Users {
        address: Option<String>,
    },
    /// One of our own, for as long as the session lasts.
    Own {
        daemon: Child,
        address: String,
    },
    None,
}

impl Bus {
    /// Finds the user's bus; starts one where there is none, or where it belongs to a desktop that we were
    /// started from and that must not be told another display.
    pub fn find(runtime_dir: &Path) -> Self {
        let variable = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let in_desktop = variable("WAYLAND_DISPLAY") || variable("DISPLAY");
        let socket = runtime_dir.join("bus");
        if !in_desktop && variable("DBUS_SESSION_BUS_ADDRESS") {
            return Self::Users { address: None };
        }
        if !in_desktop && socket.exists() {
            return Self::Users { address: Some(format!("unix:path={}", socket.display())) };
        }
        match start() {
            Ok((daemon, address)) => Self::Own { daemon, address },
            Err(error) => {
                tracing::warn!("the session has no bus: {error:#}");
                Self::None
            }
        }
    }

    /// What the programs are told, where it is not what they inherit.
    pub fn address(&self) -> Option<&str> {
        match self {
            Self::Own { address, .. } => Some(address),
            Self::Users { address } => address.as_deref(),
            Self::None => None,
        }
    }

    /// Ends a bus of our own.
    pub fn end(self) {
        if let Self::Own { daemon, .. } = self
            && let Err(error) = stop(daemon)
        {
            tracing::warn!(%error, "the session's bus does not end");
        }
    }
}

fn start() -> anyhow::Result<(Child, String)> {
    let program = programs::find("dbus-daemon").context("dbus-daemon is not installed")?;
    // The shell waits for the end of its input, which comes with ours however we end: a bus of nobody's must
    // not stay behind. It does not hold the output, whose end says that there is no address.
    const SCRIPT: &str = "\"$0\" --session --nofork --nopidfile --print-address=1 </dev/null & \
                          exec >&-; read -r _; kill $!; wait";
    let mut daemon = Command::new("/bin/sh")
        .args(["-c", SCRIPT])
        .arg(program)
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("DBUS_SESSION_BUS_ADDRESS")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let mut address = String::new();
    if let Some(stdout) = daemon.stdout.take() {
        BufReader::new(stdout).read_line(&mut address)?;
    }
    let address = address.trim().to_owned();
    if address.is_empty() {
        stop(daemon)?;
        anyhow::bail!("dbus-daemon has ended");
    }
    Ok((daemon, address))
}

fn stop(mut daemon: Child) -> io::Result<()> {
    drop(daemon.stdin.take());
    daemon.wait().map(drop)
}

/// The thread that talks to the bus.
pub struct Announcer {
    leave: Sender<()>,
    done: Receiver<()>,
}

impl Announcer {
    /// Tells the bus and the user manager of the session.
    pub fn enter(environment: &Environment, bus: &Bus) -> Option<Self> {
        let address = match bus {
            Bus::None => return None,
            bus => bus.address().map(str::to_owned),
        };
        // On a bus of our own there is no manager to wait for.
        let manager = if matches!(bus, Bus::Users { .. }) { Manager::Perhaps } else { Manager::Never };
        let variables = environment.shared();
        let (leave, wait) = channel();
        let (finished, done) = channel();
        let announce = move || {
            let told = tell(address.as_deref(), manager, &variables);
            // An error is the end of the session as well.
            let _ = wait.recv();
            if let Some(told) = told {
                told.take_back(&variables);
            }
            let _ = finished.send(());
        };
        match std::thread::Builder::new().name("session-bus".into()).spawn(announce) {
            Ok(_) => Some(Self { leave, done }),
            Err(error) => {
                tracing::error!(%error, "nobody tells the bus of the session");
                None
            }
        }
    }

    /// Takes back what was told, for at most so long.
    pub fn leave(self, patience: Duration) {
        if self.leave.send(()).is_ok() && self.done.recv_timeout(patience).is_err() {
            tracing::warn!("the user manager was not told in time that the session is over");
        }
    }
}

/// Whether the user manager is on the bus.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manager {
    Perhaps,
    Never,
}

/// Who has been told.
struct Told {
    connection: Connection,
    managed: bool,
}

fn tell(address: Option<&str>, manager: Manager, variables: &[(&'static str, String)]) -> Option<Told> {
    let connection = match connect(address) {
        Ok(connection) => connection,
        Err(error) => {
            tracing::warn!(%error, "the user's bus cannot be reached, programs that it starts will not find the display");
            return None;
        }
    };
    // Asked first, so that no bus tries to start a manager.
    let managed = manager == Manager::Perhaps && has_manager(&connection);
    if managed && other_desktop(&connection) {
        tracing::warn!("the user has another graphical session: the bus keeps its environment");
        return None;
    }
    update_activation(&connection, variables);
    if managed {
        enter_manager(&connection, variables);
    } else {
        tracing::debug!("there is no user manager to tell of the session");
    }
    Some(Told { connection, managed })
}

fn enter_manager(connection: &Connection, variables: &[(&'static str, String)]) {
    let settings: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if let Err(error) = manager(connection, "SetEnvironment", &settings) {
        tracing::warn!(%error, "what the user manager starts will not find the display");
    }
    // One that is there already was left by a session of ours that crashed.
    let start = if is_active(connection, TARGET) { "RestartUnit" } else { "StartUnit" };
    if let Err(error) = manager_unit(connection, start) {
        tracing::warn!(%error, "{TARGET} is not started");
    }
}

impl Told {
    fn take_back(&self, variables: &[(&'static str, String)]) {
        if self.managed
            && let Err(error) = manager_unit(&self.connection, "StopUnit")
        {
            tracing::debug!(%error, "{TARGET} is not stopped");
        }
        // A bus cannot forget a variable; empty is what it can do. It tells the manager the same, which can
        // forget, and has to be asked to after that.
        let empty: Vec<_> = variables.iter().map(|(name, _)| (*name, String::new())).collect();
        update_activation(&self.connection, &empty);
        if self.managed {
            let names: Vec<String> = variables.iter().map(|(name, _)| (*name).to_owned()).collect();
            if let Err(error) = manager(&self.connection, "UnsetEnvironment", &names) {
                tracing::warn!(%error, "the user manager keeps the session's environment");
            }
        }
    }
}

fn connect(address: Option<&str>) -> zbus::Result<Connection> {
    let builder = match address {
        Some(address) => connection::Builder::address(address)?,
        None => connection::Builder::session()?,
    };
    builder.method_timeout(PATIENCE).build()
}

/// Whether the user manager is on the bus. One that runs joins it a moment after the bus was started, which
/// our own connection may have done.
fn has_manager(connection: &Connection) -> bool {
    let runtime_dir = std::env::var_os("XDG_RUNTIME_DIR").unwrap_or_default();
    let expected = Path::new(&runtime_dir).join("systemd/private").exists();
    let end = Instant::now() + if expected { PATIENCE } else { Duration::ZERO };
    loop {
        if manager_is_there(connection) {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn manager_is_there(connection: &Connection) -> bool {
    let owner = connection.call_method(
        Some("org.freedesktop.DBus"),
        "/org/freedesktop/DBus",
        Some("org.freedesktop.DBus"),
        "NameHasOwner",
        &"org.freedesktop.systemd1",
    );
    owner.is_ok_and(|reply| reply.body().deserialize().unwrap_or(false))
}

/// Whether the user manager has a graphical session already, which is not ours: that one's programs would
/// find their way here.
fn other_desktop(connection: &Connection) -> bool {
    is_active(connection, "graphical-session.target") && !is_active(connection, TARGET)
}

fn is_active(connection: &Connection, unit: &str) -> bool {
    let state = || -> zbus::Result<String> {
        let unit: zbus::zvariant::OwnedObjectPath = connection
            .call_method(
                Some("org.freedesktop.systemd1"),
                "/org/freedesktop/systemd1",
                Some("org.freedesktop.systemd1.Manager"),
                "GetUnit",
                &unit,
            )?
            .body()
            .deserialize()?;
        let value = connection.call_method(
            Some("org.freedesktop.systemd1"),
            &unit,
            Some("org.freedesktop.DBus.Properties"),
            "Get",
            &("org.freedesktop.systemd1.Unit", "ActiveState"),
        )?;
        let body = value.body();
        let value: zbus::zvariant::Value<'_> = body.deserialize()?;
        Ok(String::try_from(value)?)
    };
    state().is_ok_and(|state| state == "active")
}

fn update_activation(connection: &Connection, variables: &[(&'static str, String)]) {
    let map: HashMap<&str, &str> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let told = connection.call_method(
        Some("org.freedesktop.DBus"),
        "/org/freedesktop/DBus",
        Some("org.freedesktop.DBus"),
        "UpdateActivationEnvironment",
        &map,
    );
    if let Err(error) = told {
        tracing::warn!(%error, "programs that the bus starts will not find the display");
    }
}

fn manager(connection: &Connection, method: &str, strings: &[String]) -> zbus::Result<()> {
    let service = "org.freedesktop.systemd1";
    let told = connection.call_method(
        Some(service),
        "/org/freedesktop/systemd1",
        Some("org.freedesktop.systemd1.Manager"),
        method,
        &(strings,),
    );
    told.map(drop)
}

fn manager_unit(connection: &Connection, method: &str) -> zbus::Result<()> {
    let told = connection.call_method(
        Some("org.freedesktop.systemd1"),
        "/org/freedesktop/systemd1",
        Some("org.freedesktop.systemd1.Manager"),
        method,
        &(TARGET, "replace"),
    );
    told.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bus_of_our_own_answers_and_ends_with_us() {
        let (daemon, address) = start().expect("dbus-daemon is installed");
        let connection = connect(Some(&address)).unwrap();
        assert!(!manager_is_there(&connection));
        update_activation(&connection, &[("WAYLAND_DISPLAY", "wayland-9".to_owned())]);
        stop(daemon).unwrap();
        assert!(connect(Some(&address)).is_err());
    }
}

//! From the command line to the running loop, and what each mistake on the way there is told as.

use crate::admission::Admission;
use crate::callers::{self, Taken};
use crate::cert::{Identity, host_name};
use crate::cli::{Cli, DEFAULT_LISTEN};
use crate::door::{Door, Manner};
use crate::enrolment::{self, Store};
use crate::listener::{self, Listener};
use crate::monitor::{Monitor, Sockets};
use crate::nla::Nla;
use crate::offers::Offers;
use crate::places::{Authority, GateUser, Mode};
use crate::standalone;
use crate::table::Table;
use anyhow::{Context, bail, ensure};
use calloop::generic::Generic;
use calloop::signals::{Signal, Signals};
use calloop::{EventLoop, Interest, LoopHandle, PostAction};
use nix::unistd::geteuid;
use std::collections::BTreeMap;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use wrd_config::{Paths, SESSION_FOLDERS, System};
use wrd_proto::Text;

/// A configuration that cannot be used: starting again does not help (see wrd-dm.service).
const BAD_CONFIGURATION: u8 = 2;

pub fn main(cli: &Cli) -> anyhow::Result<ExitCode> {
    let mut paths = if cli.standalone { Paths::standalone() } else { Paths::system() }.context("no place to be")?;
    if let Some(dir) = &cli.config_dir {
        paths.config_dir = std::path::absolute(dir)?;
    }
    let config = match System::load(&paths.config_dir) {
        Ok(config) => config,
        Err(errors) if cli.check_config => {
            eprintln!("{errors}");
            return Ok(ExitCode::FAILURE);
        }
        Err(errors) => {
            for error in &errors.0 {
                tracing::error!("{error}");
            }
            return Ok(ExitCode::from(BAD_CONFIGURATION));
        }
    };
    if cli.check_config {
        if config.tls.certificate.is_some() {
            Identity::load(&config.tls, &paths.state_dir)?;
        }
        println!("OK");
        return Ok(ExitCode::SUCCESS);
    }
    if cli.print_fingerprint {
        println!("{}", Identity::load(&config.tls, &paths.state_dir)?.fingerprint());
        return Ok(ExitCode::SUCCESS);
    }
    serve(cli, paths, config)?;
    Ok(ExitCode::SUCCESS)
}

/// Everything that was opened before the loop.
struct Opened {
    listeners: Vec<TcpListener>,
    control: OwnedFd,
}

fn serve(cli: &Cli, paths: Paths, config: System) -> anyhow::Result<()> {
    wrd_sys::harden::not_dumpable().context("cannot keep others from reading this process")?;
    let mode = mode(cli)?;
    let opened = open(cli, &mode, &paths)?;
    for program in ["wrd-gate", "wrd-leader"] {
        let path = paths.libexec_dir.join(program);
        ensure!(path.is_file(), "{} is missing", path.display());
    }
    let gate_user = GateUser::choose(&mode, &paths)?;
    let addresses = opened.listeners.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>()?;
    let identity = Identity::load(&config.tls, &paths.state_dir)?;

    let mut events: EventLoop<'static, Monitor> = EventLoop::try_new().context("cannot make an event loop")?;
    let handle = events.handle();
    watch_signals(&handle)?;
    let listeners =
        opened.listeners.into_iter().map(|listener| watch(&handle, listener)).collect::<anyhow::Result<Vec<_>>>()?;
    callers::serve(&handle, opened.control)?;

    let enrolment = match &mode {
        Mode::Standalone(Authority::OneTimePassword(_)) => None,
        _ => Some(Store::open(enrolment::Places::below(&paths.state_dir), config.login.enrol_min_uid)),
    };
    let nla = Nla::new(&mode)?;
    announce(&mode, &addresses, &identity);
    // Stand-alone, sessions begin in this process's own place.
    let door = Door::new(if mode.is_standalone() { Manner::AsOthers } else { Manner::Patient })?;
    let mut monitor = Monitor {
        signal: events.get_signal(),
        handle,
        table: Table::new(Monitor::timing(&config)),
        admission: Admission::new(Monitor::rules(&config), getrandom::u64().context("no randomness")?),
        paths,
        mode,
        gate_user,
        config,
        identity,
        host_name: Text::truncated(&host_name()),
        offers: Offers::of(&SESSION_FOLDERS),
        door,
        nla,
        enrolment,
        addresses,
        listeners,
        callers: Default::default(),
        children: BTreeMap::new(),
        shutdown: None,
        sockets: Sockets::default(),
        alarm: None,
        status: String::new(),
    };
    monitor.discover_sessions();
    monitor.settle();
    // A container's manager may have left its socket in our environment without the right to use it.
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        tracing::warn!("ignoring that NOTIFY_SOCKET cannot be told that this is ready: {error}");
    }
    events.run(None, &mut monitor, Monitor::settle).context("the event loop failed")
}

fn mode(cli: &Cli) -> anyhow::Result<Mode> {
    Ok(match (cli.standalone, geteuid().is_root()) {
        (false, true) => Mode::System,
        (false, false) => bail!("this is for root and systemd; for yourself alone: wrd-dm --standalone"),
        (true, true) => Mode::Standalone(Authority::Pam),
        (true, false) => {
            Mode::Standalone(Authority::OneTimePassword(standalone::one_time_password().context("no randomness")?))
        }
    })
}

fn open(cli: &Cli, mode: &Mode, paths: &Paths) -> anyhow::Result<Opened> {
    let inherited = wrd_sys::listen::inherited(&[LISTENERS, CONTROL]).context("the sockets handed over")?;
    if mode.is_standalone() {
        let wanted = if cli.listen.is_empty() { &[DEFAULT_LISTEN][..] } else { &cli.listen };
        let listeners = wanted.iter().map(|address| listener::open(*address)).collect::<anyhow::Result<Vec<_>>>()?;
        make_private(&paths.runtime_dir)?;
        make_private(&paths.sessions_dir())?;
        let control = callers::listen_at(&paths.control_socket(), Taken::IsAnError)?;
        return Ok(Opened { listeners, control });
    }
    let (listeners, control): (Vec<_>, Vec<_>) = inherited.into_iter().partition(|(name, _)| name == LISTENERS);
    ensure!(
        !listeners.is_empty(),
        "systemd has handed over no socket: `systemctl start wrd-dm.socket`, or try wrd-dm --standalone"
    );
    let listeners = listeners.into_iter().map(|(_, fd)| TcpListener::from(fd)).collect();
    let control = match control.into_iter().next() {
        Some((_, fd)) => fd,
        None => callers::listen_at(&paths.control_socket(), Taken::IsReplaced)?,
    };
    Ok(Opened { listeners, control })
}

fn make_private(dir: &Path) -> anyhow::Result<()> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.with_context(|| format!("cannot make the folder {}", dir.display()))
}

fn watch(handle: &LoopHandle<'static, Monitor>, socket: TcpListener) -> anyhow::Result<Listener> {
    socket.set_nonblocking(true)?;
    listener::prepare(&socket)?;
    let socket = Rc::new(socket);
    let source = Generic::new(socket.clone(), Interest::READ, calloop::Mode::Level);
    let token = handle.insert_source(source, |_, socket, monitor| {
        monitor.accept(socket);
        Ok(PostAction::Continue)
    });
    Ok(Listener { socket, token: token.map_err(|error| error.error)? })
}

fn watch_signals(handle: &LoopHandle<'static, Monitor>) -> anyhow::Result<()> {
    let signals = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGCHLD];
    let source = Signals::new(&signals).context("cannot watch signals")?;
    let inserted = handle.insert_source(source, |event, (), monitor| match event.signal() {
        Signal::SIGCHLD => monitor.reap(),
        Signal::SIGHUP => monitor.reload(),
        _ => monitor.stop(),
    });
    inserted.map_err(|error| error.error)?;
    Ok(())
}

/// Says on standard output how to log in, where somebody started this by hand; else in the log.
fn announce(mode: &Mode, addresses: &[SocketAddr], identity: &Identity) {
    let fingerprint = identity.fingerprint();
    let text = match mode {
        Mode::System => {
            tracing::info!("host certificate; sha256={fingerprint}");
            return;
        }
        Mode::Standalone(Authority::Pam) => standalone::banner(addresses, &fingerprint, None),
        Mode::Standalone(Authority::OneTimePassword(password)) => {
            let name = standalone::own_name().unwrap_or_else(|| "USER".into());
            standalone::banner(addresses, &fingerprint, Some((&name, password)))
        }
    };
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        tracing::warn!("cannot print how to log in: {error}");
    }
}

impl Monitor {
    /// SIGHUP: the configuration is read again. What is wrong changes nothing.
    fn reload(&mut self) {
        let config = match System::load(&self.paths.config_dir) {
            Ok(config) => config,
            Err(errors) => {
                for error in &errors.0 {
                    tracing::error!("{error}");
                }
                return tracing::error!("the configuration has mistakes, the old one stays");
            }
        };
        match Identity::load(&config.tls, &self.paths.state_dir) {
            Ok(identity) => {
                self.identity = identity;
                self.table.set_timing(Self::timing(&config));
                self.admission.set_rules(Self::rules(&config));
                if let Some(store) = &mut self.enrolment {
                    store.set_min_uid(config.login.enrol_min_uid);
                }
                self.config = config;
                self.offers.forget();
                tracing::info!("configuration read; sha256={}", self.identity.fingerprint());
            }
            Err(error) => tracing::error!("{error:#}; the old configuration stays"),
        }
    }
}

const LISTENERS: &str = "wrd-dm";
const CONTROL: &str = "control";

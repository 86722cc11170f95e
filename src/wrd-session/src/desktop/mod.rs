//! What runs in the session: its programs, their environment, and the compositor they are shown by.
//!
//! [`Desktop`] is the worker's source of pixels: the compositor with a session in it. Always true: every
//! program started here has ended when [`Desktop::end`] returns. Deliberately absent: RDP, and the decision
//! when a session ends (that comes out as a request).

pub mod autostart;
mod bus;
mod children;
pub mod chosen;
mod environment;
mod programs;
mod session;
pub mod shell;
mod source;

use self::bus::{Announcer, Bus};
use self::children::{Children, Role};
use self::environment::Environment;
use self::session::Session;
use crate::compositor::{self, Ask, Furniture, Wayland};
use crate::source::{KeyboardLayout, Request, Size};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};
use smithay::reexports::calloop::generic::Generic;
use smithay::reexports::calloop::{Interest, LoopHandle, Mode, PostAction};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use wrd_config::{InstalledSession, SessionSettings};

/// What a desktop starts with.
#[derive(Clone, Debug)]
pub struct Options {
    pub size: Size,
    pub keyboard: KeyboardLayout,
    pub settings: SessionSettings,
    /// Runs in place of what the settings say.
    pub session: Option<InstalledSession>,
    /// What is wrong with the settings, or the session that was wanted; shown to the user.
    pub notices: Vec<String>,
    /// `$XDG_RUNTIME_DIR`.
    pub runtime_dir: PathBuf,
    pub home: PathBuf,
}

/// See the module.
pub struct Desktop {
    wayland: Wayland,
    children: Children,
    environment: Environment,
    bus: Bus,
    announcer: Option<Announcer>,
    session: Session,
    home: PathBuf,
    requests: Vec<Request>,
    epoll: Epoll,
    timer: TimerFd,
}

/// How long programs have to end by themselves.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long the user manager has to be told.
const BUS_PATIENCE: Duration = Duration::from_secs(2);

impl Desktop {
    /// Starts the compositor and the session in it. Fails only where there can be no desktop at all: a
    /// command that cannot be run is shown to the user.
    pub fn start(options: &Options) -> anyhow::Result<Self> {
        let settings = &options.settings;
        let wayland = Wayland::new(&compositor::Options {
            size: options.size,
            keyboard: options.keyboard.clone(),
            background: settings.background.clone(),
            runtime_dir: options.runtime_dir.clone(),
            furniture: match (&options.session, &settings.command) {
                (None, None) => Furniture::Desktop,
                _ => Furniture::Windows,
            },
        })?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)?;
        for fd in [wayland.as_fd(), timer.as_fd()] {
            epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        }
        let mut environment = Environment::new(wayland.socket_name(), &settings.desktop_name, &options.runtime_dir);
        if let Some(session) = &options.session {
            environment.be_of(session);
        }
        let bus = Bus::find(&options.runtime_dir);
        if let Some(address) = bus.address() {
            environment.set("DBUS_SESSION_BUS_ADDRESS", address.to_owned());
        }
        let announcer = Announcer::enter(&environment, &bus);
        let mut desktop = Self {
            wayland,
            children: Children::default(),
            environment,
            bus,
            announcer,
            session: Session::Embedded,
            home: options.home.clone(),
            requests: Vec::new(),
            epoll,
            timer,
        };
        match (&options.session, &settings.command) {
            // One that is installed starts what starts with it by itself.
            (Some(session), _) => desktop.start_installed(session),
            (None, Some(command)) => {
                desktop.start_command(command);
                desktop.start_autostart(&settings.desktop_name);
            }
            (None, None) => {
                desktop.start_terminal();
                desktop.start_autostart(&settings.desktop_name);
            }
        }
        if !options.notices.is_empty() {
            desktop.wayland.show_message("Some settings are ignored", options.notices.clone());
        }
        Ok(desktop)
    }

    /// The value of `WAYLAND_DISPLAY`.
    pub fn socket_name(&self) -> &str {
        self.wayland.socket_name()
    }

    /// Serves applications and programs whenever `handle`'s loop finds that there is something to do.
    pub fn insert_into<'l, D: 'l>(
        &self,
        handle: &LoopHandle<'l, D>,
        access: fn(&mut D) -> &mut Self,
    ) -> anyhow::Result<()> {
        let source = Generic::new(self.as_fd().try_clone_to_owned()?, Interest::READ, Mode::Level);
        let inserted = handle.insert_source(source, move |_, _: &mut _, data| {
            access(data).dispatch();
            Ok(PostAction::Continue)
        });
        inserted.map(drop).map_err(|error| anyhow::anyhow!("the loop takes no desktop: {error}"))
    }

    /// Does everything that is waiting to be done, and returns; call it when the descriptor is readable.
    pub fn dispatch(&mut self) {
        self.wayland.dispatch();
        for ended in self.children.reap() {
            match ended.role {
                Role::Session => self.session_ended(ended.status),
                Role::Application => {
                    tracing::debug!(program = ended.name, status = %ended.status, "a program has ended")
                }
            }
        }
        if self.timer.wait().is_ok() {
            self.message_is_over();
        }
        self.answer();
    }

    /// Ends every program and takes back what the bus was told. Blocks, for a few seconds at most.
    pub fn end(mut self) {
        let wayland = &mut self.wayland;
        // The compositor goes on meanwhile: a program that saves its windows' places needs it.
        match wayland.as_fd().try_clone_to_owned() {
            Ok(fd) => self.children.end(PATIENCE, fd, || wayland.dispatch()),
            Err(error) => {
                tracing::error!(%error, "the programs are killed at once");
                self.children.end(Duration::ZERO, &self.timer, || {});
            }
        }
        if let Some(announcer) = self.announcer.take() {
            announcer.leave(BUS_PATIENCE);
        }
        self.bus.end();
    }

    /// What the furniture asks for.
    fn answer(&mut self) {
        for ask in self.wayland.take_asks() {
            match ask {
                Ask::StartTerminal => self.start_terminal(),
                Ask::MessageSeen => self.message_is_over(),
            }
        }
    }

    fn start_terminal(&mut self) {
        let Some(program) = programs::terminal() else {
            let lines = vec![format!("Install one of these to work here: {}.", programs::terminals())];
            self.wayland.show_message("No terminal is installed", lines);
            return;
        };
        let mut command = Command::new(&program);
        command.current_dir(&self.home);
        let name = program.display().to_string();
        if let Err(error) = self.run(&name, Role::Application, &mut command) {
            tracing::warn!(%error, program = name, "the terminal cannot be started");
            self.wayland.show_message("The terminal cannot be started", vec![format!("{name}: {error}")]);
        }
    }

    fn start_autostart(&mut self, desktop: &str) {
        let folders = autostart::folders(&self.home);
        let is_installed = |program: &str| programs::find(program).is_some();
        for entry in autostart::entries(&folders, &[desktop.to_owned()], is_installed) {
            let mut arguments = entry.arguments.iter();
            let Some(program) = arguments.next() else { continue };
            let mut command = Command::new(program);
            command.args(arguments).current_dir(entry.folder.as_ref().unwrap_or(&self.home));
            if let Err(error) = self.run(&entry.name, Role::Application, &mut command) {
                tracing::warn!(%error, program = entry.name, "an autostart program cannot be started");
            }
        }
    }

    fn run(&mut self, name: &str, role: Role, command: &mut Command) -> std::io::Result<()> {
        self.environment.apply(command);
        self.children.start(name, role, command, &self.epoll)
    }
}

impl AsFd for Desktop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}

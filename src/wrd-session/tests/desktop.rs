//! The desktop with real programs: the session's command, its failures, and the end.

use smithay::reexports::calloop::EventLoop;
use std::path::Path;
use std::time::{Duration, Instant};
use wrd_config::{Background, InstalledSession, SessionId, SessionSettings};
use wrd_session::desktop::{Desktop, Options};
use wrd_session::source::{InputEvent, KeyboardLayout, Press, Request, Size, Source};

struct Test {
    desktop: Desktop,
    events: EventLoop<'static, Desktop>,
}

impl Test {
    fn new(folder: &Path, command: Option<&str>) -> Self {
        Self::with_session(folder, command, None)
    }

    fn with_session(folder: &Path, command: Option<&str>, session: Option<InstalledSession>) -> Self {
        let options = Options {
            size: Size { width: 800, height: 600 },
            keyboard: KeyboardLayout::default(),
            settings: SessionSettings {
                command: command.map(str::to_owned),
                start_seconds: 30,
                background: Background::default(),
                desktop_name: "wrd".into(),
            },
            session,
            notices: Vec::new(),
            runtime_dir: folder.to_owned(),
            home: folder.to_owned(),
        };
        let desktop = Desktop::start(&options).unwrap();
        let events = EventLoop::try_new().unwrap();
        desktop.insert_into(&events.handle(), |desktop| desktop).unwrap();
        Self { desktop, events }
    }

    fn until(&mut self, seconds: u64, mut done: impl FnMut(&mut Desktop) -> bool) -> bool {
        let end = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < end {
            if done(&mut self.desktop) {
                return true;
            }
            self.events.dispatch(Duration::from_millis(50), &mut self.desktop).unwrap();
        }
        false
    }

    fn request(&mut self, seconds: u64) -> Option<Request> {
        let mut request = None;
        self.until(seconds, |desktop| {
            request = desktop.take_requests().pop();
            request.is_some()
        });
        request
    }

    /// How much of the frame is not background: a message is seen.
    fn has_panel(&mut self) -> bool {
        self.desktop.damage_all();
        self.desktop.render();
        let frame = self.desktop.frame();
        frame.pixels.chunks_exact(4).any(|pixel| pixel != &frame.pixels[..4])
    }
}

#[test]
fn the_commands_end_is_the_sessions_and_it_finds_its_environment() {
    let folder = tempfile::tempdir().unwrap();
    let command = "env > environment; sleep 0.3";
    let mut test = Test::new(folder.path(), Some(command));
    let Some(Request::Ended { reason }) = test.request(10) else { panic!("the session ends") };
    assert_eq!(reason, "the session's command has ended");
    let environment = std::fs::read_to_string(folder.path().join("environment")).unwrap();
    for line in [
        format!("WAYLAND_DISPLAY={}", test.desktop.socket_name()),
        "XDG_SESSION_TYPE=wayland".to_owned(),
        "XDG_CURRENT_DESKTOP=wrd".to_owned(),
        format!("XDG_RUNTIME_DIR={}", folder.path().display()),
    ] {
        assert!(environment.lines().any(|known| known == line), "{line} in\n{environment}");
    }
    assert!(!environment.lines().any(|line| line.starts_with("DISPLAY=")));
    test.desktop.end();
}

#[test]
fn a_command_that_fails_at_once_is_shown_until_a_key_is_pressed() {
    let folder = tempfile::tempdir().unwrap();
    let mut test = Test::new(folder.path(), Some("no-such-desktop --now"));
    let mut seen = false;
    for _ in 0..100 {
        test.until(0, |_| false);
        test.events.dispatch(Duration::from_millis(50), &mut test.desktop).unwrap();
        seen = test.has_panel();
        if seen {
            break;
        }
    }
    assert!(seen, "a message is to be seen");
    assert_eq!(test.desktop.take_requests(), []);
    for state in [Press::Pressed, Press::Released] {
        test.desktop.input(InputEvent::Key { code: 30, state });
    }
    let Some(Request::Ended { reason }) = test.request(5) else { panic!("the session ends") };
    assert!(reason.contains("no-such-desktop") && reason.contains("127"), "{reason}");
    test.desktop.end();
}

/// The session "test" that is installed in a folder.
fn installed(folder: &Path, exec: &str) -> Option<InstalledSession> {
    let entry = format!("[Desktop Entry]\nName=Test\nDesktopNames=Test;wlroots\nExec={exec}\n");
    std::fs::write(folder.join("test.desktop"), entry).unwrap();
    Some(InstalledSession::look_up(&[folder], SessionId::parse("test").unwrap()).unwrap())
}

#[test]
fn an_installed_session_runs_in_place_of_the_command_and_knows_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let session = installed(folder.path(), r#"sh -c "env > environment; sleep 0.3""#);
    let mut test = Test::with_session(folder.path(), Some("touch configured; sleep 1000"), session);
    assert!(matches!(test.request(10), Some(Request::Ended { .. })));
    let environment = std::fs::read_to_string(folder.path().join("environment")).unwrap();
    for line in ["XDG_CURRENT_DESKTOP=Test:wlroots", "XDG_SESSION_DESKTOP=test", "DESKTOP_SESSION=test"] {
        assert!(environment.lines().any(|known| known == line), "{line} in\n{environment}");
    }
    assert!(!folder.path().join("configured").exists());
    test.desktop.end();
}

#[test]
fn an_installed_session_that_fails_at_once_is_unusable() {
    for exec in ["no-such-program-anywhere --x", "false"] {
        let folder = tempfile::tempdir().unwrap();
        let session = installed(folder.path(), exec);
        let mut test = Test::with_session(folder.path(), None, session);
        assert_eq!(test.request(10), Some(Request::Unusable), "{exec}");
        assert!(test.has_panel(), "{exec}");
        for state in [Press::Pressed, Press::Released] {
            test.desktop.input(InputEvent::Key { code: 30, state });
        }
        let Some(Request::Ended { reason }) = test.request(5) else { panic!("the session ends") };
        assert!(reason.contains(exec), "{reason}");
        test.desktop.end();
    }
}

#[test]
fn autostart_programs_run_and_all_are_ended() {
    let folder = tempfile::tempdir().unwrap();
    let autostart = folder.path().join(".config/autostart");
    std::fs::create_dir_all(&autostart).unwrap();
    let mark = folder.path().join("mark");
    let script = folder.path().join("sleeper");
    std::fs::write(&script, format!("#!/bin/sh\necho $$ > {}\nexec sleep 1000\n", mark.display())).unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let entry = format!("[Desktop Entry]\nType=Application\nName=Mark\nExec={}\n", script.display());
    std::fs::write(autostart.join("mark.desktop"), entry).unwrap();
    let mut test = Test::new(folder.path(), Some("sleep 1000"));
    let mut pid = String::new();
    assert!(test.until(10, |_| {
        pid = std::fs::read_to_string(&mark).unwrap_or_default().trim().to_owned();
        !pid.is_empty()
    }));
    assert!(Path::new("/proc").join(&pid).exists());
    let start = Instant::now();
    test.desktop.end();
    assert!(start.elapsed() < Duration::from_secs(6));
    assert!(!Path::new("/proc").join(&pid).exists(), "{pid} is still there");
}

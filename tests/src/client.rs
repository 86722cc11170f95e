//! FreeRDP under Xvfb, inside the machine: one client with a screen of its own.

use crate::machine::{Machine, shots};
use crate::screen::Picture;
use crate::{PATIENCE, eventually, poll};
use anyhow::{Context, bail};
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The colour that the tests give the desktop's background.
pub const DESKTOP: u32 = 0x2e6f40;
/// That of an empty terminal.
const TERMINAL: u32 = 0x242424;

/// That of the login screen's button while it can be pushed, which is while something can be typed; and with the pointer
/// on it.
const LIT: [u32; 2] = [0x3b82d6, 0x5296e4];

/// How pictures reach the client.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Graphics {
    /// The graphics pipeline (EGFX).
    Pipeline,
    /// Bitmap updates.
    Bitmaps,
}

/// What a client is started with.
#[derive(Clone)]
pub struct Options {
    pub user: String,
    pub password: String,
    pub width: usize,
    pub height: usize,
    pub graphics: Graphics,
    /// `HOST:PORT`.
    pub server: String,
    pub more: Vec<String>,
}

impl Options {
    /// A user of the test machine with the right password, at 1024×768 by the graphics pipeline.
    pub fn user(name: &str) -> Self {
        Self {
            user: name.to_owned(),
            password: format!("pw-{name}"),
            width: 1024,
            height: 768,
            graphics: Graphics::Pipeline,
            server: format!("{}:3389", crate::server::ADDRESS),
            more: Vec::new(),
        }
    }

    pub fn password(mut self, password: &str) -> Self {
        self.password = password.to_owned();
        self
    }

    pub fn size(mut self, width: usize, height: usize) -> Self {
        (self.width, self.height) = (width, height);
        self
    }

    pub fn bitmaps(mut self) -> Self {
        self.graphics = Graphics::Bitmaps;
        self
    }

    pub fn server(mut self, server: &str) -> Self {
        self.server = server.to_owned();
        self
    }

    pub fn more(mut self, option: &str) -> Self {
        self.more.push(option.to_owned());
        self
    }
}

/// A running client. Dropping it ends it the hard way, its X server too.
pub struct Client<'m> {
    machine: &'m Machine,
    number: u32,
    /// The `nsenter` that waits for xfreerdp3; its exit code is the client's.
    process: Child,
    /// Its window has been there for a moment.
    settled: bool,
    pub options: Options,
}

impl<'m> Client<'m> {
    /// Starts an X server and the client on it; it may not be connected yet.
    pub fn start(machine: &'m Machine, options: Options) -> anyhow::Result<Self> {
        let number = 100 + next();
        let dir = format!("/tmp/client-{number}");
        let (width, height) = (options.width, options.height);
        machine.sh(&format!(
            "mkdir -p {dir}; cd {dir}; \
             Xvfb :{number} -screen 0 {width}x{height}x24 -fbdir {dir} -noreset -nocursor -nolisten tcp -r \
               >{dir}/xvfb.log 2>&1 </dev/null & echo $! >{dir}/xvfb.pid; \
             i=0; until xdpyinfo -display :{number} >/dev/null 2>&1; do \
               sleep .05; i=$((i+1)); [ $i -lt 1000 ] || {{ cat {dir}/xvfb.log; exit 1; }}; done"
        ))?;
        let mut words: Vec<String> =
            ["/cert:ignore", "-decorations", "-auto-reconnect", "/log-level:INFO", "/timeout:60000"]
                .map(str::to_owned)
                .to_vec();
        words.push(format!("/v:{}", options.server));
        words.push(format!("/u:{}", options.user));
        words.push(format!("/p:{}", options.password));
        words.push(format!("/size:{width}x{height}"));
        // Without a word FreeRDP detects the network, and with that it switches the pipeline on.
        let graphics = if options.graphics == Graphics::Pipeline { "/gfx" } else { "/network:lan" };
        words.push(graphics.to_owned());
        words.extend(options.more.iter().cloned());
        let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        // What it says is in its log at once, not a few thousand bytes later.
        let script = format!("echo $$ >{dir}/pid; exec stdbuf -oL xfreerdp3 {} >{dir}/log 2>&1", quoted.join(" "));
        let process = machine
            .command(&["sh", "-c", &script])
            .env("DISPLAY", format!(":{number}"))
            .env("HOME", &dir)
            .stdin(Stdio::null())
            .spawn()
            .context("cannot enter the machine")?;
        let client = Self { machine, number, process, settled: false, options };
        // Which ends it when this is dropped.
        let pid = machine.path(&format!("{dir}/pid"));
        // Soon enough for whoever wants to see it connect.
        poll("the client to be started", PATIENCE, Duration::from_millis(1), || {
            Ok(fs::metadata(&pid).is_ok_and(|pid| pid.len() > 0).then_some(()))
        })?;
        Ok(client)
    }

    /// Starts a client and waits for the desktop.
    pub fn login(machine: &'m Machine, options: Options) -> anyhow::Result<Self> {
        let mut client = Self::start(machine, options)?;
        client.wait_for_desktop()?;
        Ok(client)
    }

    fn dir(&self) -> String {
        format!("/tmp/client-{}", self.number)
    }

    /// The X display it is on.
    pub fn display(&self) -> u32 {
        self.number
    }

    /// The file with the pixels of its screen, as a path outside; see [`Picture::of_xvfb`].
    pub fn screen_file(&self) -> std::path::PathBuf {
        self.machine.path(&format!("{}/Xvfb_screen0", self.dir()))
    }

    pub fn screen(&self) -> anyhow::Result<Picture> {
        Picture::of_xvfb(&self.screen_file())
    }

    /// Waits until enough of the screen has the background's colour.
    pub fn wait_for_desktop(&mut self) -> anyhow::Result<()> {
        let share = if self.options.height < 700 { 0.05 } else { 0.2 };
        self.wait_for_screen("the desktop", |screen| screen.share_of(DESKTOP) > share)
    }

    /// Waits until the screen shows something that is not the desktop, and stays as it is for a moment.
    pub fn wait_for_greeter(&mut self) -> anyhow::Result<()> {
        self.wait_for_screen("the login screen", |screen| screen.share_of(0) < 0.5 && screen.share_of(DESKTOP) < 0.1)?;
        // The first key press makes the client's window known to X; let it settle.
        if !std::mem::replace(&mut self.settled, true) {
            std::thread::sleep(Duration::from_millis(700));
        }
        Ok(())
    }

    /// Waits until something can be typed on the login screen: not while that waits for a word of the server's.
    pub fn wait_for_input(&mut self) -> anyhow::Result<()> {
        self.wait_for_greeter()?;
        self.wait_for_input_after(None)
    }

    /// The same behind something that was typed there, of which this was the picture.
    pub fn wait_for_input_after(&mut self, typed: Option<&Picture>) -> anyhow::Result<()> {
        // The server's word may come before the screen has shown that it waits for one.
        let good = |screen: &Picture| {
            LIT.iter().map(|colour| screen.share_of(*colour)).sum::<f32>() > 0.006 && Some(screen) != typed
        };
        let what = "a login screen to type on";
        loop {
            self.wait_for_screen(what, good)?;
            // Half of it may have been drawn.
            if good(&self.settle()?) {
                return Ok(());
            }
        }
    }

    /// Types something on the login screen, sees it there and presses Return. What it looked like before that.
    pub fn enter(&mut self, text: &str) -> anyhow::Result<Picture> {
        if !text.is_empty() {
            let before = self.settle()?;
            self.type_text(text)?;
            self.wait_for_screen("what is typed", |screen| *screen != before)?;
        }
        let typed = self.settle()?;
        self.key("Return")?;
        Ok(typed)
    }

    /// Waits until the desktop shows a terminal, which has the keyboard as soon as the pointer is on it.
    pub fn wait_for_terminal(&mut self) -> anyhow::Result<()> {
        let (x, y) = (self.options.width / 2, self.options.height / 2);
        self.wait_for_screen("a terminal", |screen| screen.at(x, y) == TERMINAL)?;
        self.settle()?;
        self.xdotool(&["mousemove", &x.to_string(), &y.to_string()])
    }

    pub fn wait_for_screen(&mut self, what: &str, good: impl Fn(&Picture) -> bool) -> anyhow::Result<()> {
        let waited = poll(what, PATIENCE, Duration::from_millis(50), || {
            if let Some(code) = self.exit_code()? {
                bail!("the client ended with {code} instead of showing {what}:\n{}", self.log());
            }
            // Its X server may not have made it yet.
            Ok(self.screen().is_ok_and(|screen| good(&screen)).then_some(()))
        });
        if waited.is_err() {
            self.shot(&format!("failed-{}", self.number));
        }
        waited.with_context(|| format!("its log ends with:\n{}", tail(&self.log(), 15)))
    }

    /// Waits until nothing has changed on the screen for a moment.
    pub fn settle(&self) -> anyhow::Result<Picture> {
        let mut last = self.screen()?;
        let mut same = 0;
        poll("the screen to come to rest", PATIENCE, Duration::from_millis(100), || {
            let now = self.screen()?;
            same = if now == last { same + 1 } else { 0 };
            last = now;
            Ok((same >= 4).then(|| last.clone()))
        })
    }

    /// Types text; needs the keyboard focus, which without a window manager is where the pointer is.
    pub fn type_text(&self, text: &str) -> anyhow::Result<()> {
        self.xdotool(&["type", "--delay", "25", text])
    }

    /// Presses a key by its X name, perhaps with modifiers (`ctrl+d`).
    pub fn key(&self, name: &str) -> anyhow::Result<()> {
        self.xdotool(&["key", "--delay", "25", name])
    }

    pub fn click(&self, x: usize, y: usize) -> anyhow::Result<()> {
        self.xdotool(&["mousemove", &x.to_string(), &y.to_string(), "sleep", "0.1", "click", "1"])
    }

    pub fn xdotool(&self, words: &[&str]) -> anyhow::Result<()> {
        let mut command = self.machine.command(&["xdotool"]);
        let output = command.args(words).env("DISPLAY", format!(":{}", self.number)).output()?;
        if !output.status.success() {
            bail!("xdotool {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// Keeps a picture of the screen for people, in target/lab/screens.
    pub fn shot(&self, name: &str) {
        let inside = format!("{}/shot.png", self.dir());
        let made = self.machine.sh(&format!("convert xwd:{}/Xvfb_screen0 {inside}", self.dir()));
        let kept = fs::create_dir_all(shots())
            .and_then(|()| fs::copy(self.machine.path(&inside), shots().join(format!("{name}.png"))));
        if made.is_err() || kept.is_err() {
            println!("    no screenshot {name}");
        }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.machine.path(&format!("{}/log", self.dir()))).unwrap_or_default()
    }

    pub fn exit_code(&mut self) -> anyhow::Result<Option<i32>> {
        Ok(self.process.try_wait()?.map(|status| status.code().unwrap_or(-1)))
    }

    /// Waits until the client has ended of itself, and with which code.
    pub fn wait_exit(&mut self) -> anyhow::Result<i32> {
        eventually("the client to end", PATIENCE, || self.exit_code())
            .with_context(|| format!("its log ends with:\n{}", tail(&self.log(), 15)))
    }

    /// Waits until the client has ended because the server told it this, `code` being FreeRDP's exit code
    /// for it and `name` its name for the error info.
    pub fn wait_told(&mut self, code: i32, name: &str) -> anyhow::Result<()> {
        let is = self.wait_exit()?;
        if is != code || !self.log().contains(name) {
            bail!(
                "the client ended with {is}, expected {code} and {name}; its log ends with:\n{}",
                tail(&self.log(), 15)
            );
        }
        Ok(())
    }

    /// Sends the client a signal.
    pub fn signal(&self, name: &str) -> anyhow::Result<()> {
        self.machine.sh(&format!("kill -{name} $(cat {}/pid)", self.dir()))?;
        Ok(())
    }

    /// Closes the connection as a user who closes the window does.
    pub fn disconnect(mut self) -> anyhow::Result<()> {
        self.signal("TERM")?;
        self.wait_exit()?;
        Ok(())
    }
}

impl Drop for Client<'_> {
    fn drop(&mut self) {
        let dir = self.dir();
        let _ = self
            .machine
            .try_sh(&format!("kill -CONT $(cat {dir}/pid); kill -KILL $(cat {dir}/pid) $(cat {dir}/xvfb.pid)"));
        // nsenter stops with what it waits for, and does not wake up with it.
        let _ = Command::new("kill").args(["-CONT", &self.process.id().to_string()]).output();
        let _ = self.process.wait();
    }
}

pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

fn next() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

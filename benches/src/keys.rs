//! From a key press at the client to the pixel that changes on its screen, through a terminal program
//! that paints a block of another colour for each key.

use crate::login::options;
use crate::probe::{Screen, until};
use crate::report::summary;
use anyhow::ensure;
use serde_json::{Value, json};
use std::process::Command;
use std::time::{Duration, Instant};
use wrd_tests::client::Client;
use wrd_tests::keyboard::Keyboard;
use wrd_tests::machine::Machine;
use wrd_tests::server;

const KEYS: u32 = 110;
/// The first ones wake everything up.
const FIRST: u32 = 10;
const PAUSE: Duration = Duration::from_millis(150);
/// A place well within the block.
const POINT: (u64, u64) = (400, 300);

const BLOCK: &str = "import os
colour = 1
while os.read(0, 1):
    colour = 3 - colour
    os.write(1, b'\\x1b[H\\x1b[4%dm' % colour + (b' ' * 80 + b'\\r\\n') * 24)
";

pub fn latency(machine: &Machine) -> anyhow::Result<Value> {
    let mut desk = Desk::take(machine)?;
    let samples = desk.press(KEYS, PAUSE)?;
    desk.leave()?;
    Ok(json!({ "key_to_pixel_ms": summary(samples) }))
}

/// A user at a client, whose session is that program.
pub struct Desk<'m> {
    machine: &'m Machine,
    client: Client<'m>,
    screen: Screen,
    keyboard: Keyboard,
    pressed: u32,
}

impl<'m> Desk<'m> {
    pub fn take(machine: &'m Machine) -> anyhow::Result<Self> {
        machine.write("/opt/block.py", BLOCK)?;
        machine.write(
            "/home/alice/.config/wrd-dm/session.toml",
            "[session]\ncommand = \"exec foot --maximized sh -c 'stty raw -echo; exec python3 /opt/block.py'\"\n",
        )?;
        machine.sh("chown -R alice: /home/alice/.config")?;
        let client = Client::start(machine, options())?;
        server::wait_state(machine, "alice", "connected")?;
        // The terminal covers the place, whatever its colour.
        std::thread::sleep(Duration::from_secs(3));
        client.settle()?;
        client.xdotool(&["mousemove", "960", "540"])?;
        let screen = Screen::open(&client.screen_file())?;
        let keyboard = Keyboard::connect(&machine.path(&format!("/tmp/.X11-unix/X{}", client.display())))?;
        let mut desk = Self { machine, client, screen, keyboard, pressed: 0 };
        desk.press(FIRST, PAUSE)?;
        Ok(desk)
    }

    /// Whatever else runs here, the client and whoever looks at it run first, as if on machines of their own: what
    /// is left to be felt is felt by the server.
    pub fn set_apart(&self) -> anyhow::Result<()> {
        self.machine
            .sh("for client in $(pgrep -x 'xfreerdp3|Xvfb'); do chrt --all-tasks --rr --pid 1 $client; done")?;
        // But not what is started from here.
        let own = std::process::id().to_string();
        let set = Command::new("chrt").args(["--reset-on-fork", "--rr", "--pid", "1", &own]).status()?;
        ensure!(set.success(), "chrt: {set}");
        Ok(())
    }

    /// Presses a key so many times, with this pause and a little more in between; the time in ms that each took.
    pub fn press(&mut self, keys: u32, pause: Duration) -> anyhow::Result<Vec<f64>> {
        let mut samples = Vec::new();
        for _ in 0..keys {
            let before = self.screen.pixel(POINT.0, POINT.1)?;
            let pressed = Instant::now();
            self.keyboard.tap(KEYCODE_A)?;
            let changed = until("a pixel to change", || Ok(self.screen.pixel(POINT.0, POINT.1)? != before))
                .inspect_err(|_| eprintln!("bench: the client's log:\n{}", self.client.log()))?;
            samples.push((changed - pressed).as_secs_f64() * 1000.0);
            // Not in step with anybody's timer.
            self.pressed += 1;
            std::thread::sleep(pause + Duration::from_millis(u64::from(self.pressed * 37 % 50)));
        }
        Ok(samples)
    }

    pub fn leave(self) -> anyhow::Result<()> {
        let machine = self.machine;
        drop(self);
        machine.sh("rm -r /home/alice/.config")?;
        server::clear(machine)
    }
}

/// XK_a on the keyboard of an X server with the usual (evdev) key codes.
const KEYCODE_A: u8 = 38;

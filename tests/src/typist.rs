//! A user at work: a session with one terminal, and letters that are typed into it without a pause. What
//! arrives is exactly what was typed, or something was felt.

use crate::client::{Client, Options};
use crate::keyboard::{Keyboard, LETTERS};
use crate::machine::Machine;
use crate::{PATIENCE, eventually, server};
use anyhow::{Context, bail, ensure};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Some 25 letters a second, which nobody types.
const PAUSE: Duration = Duration::from_millis(40);

pub struct Typist<'m> {
    machine: &'m Machine,
    pub client: Client<'m>,
    file: PathBuf,
    warm_up: usize,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<anyhow::Result<usize>>>,
}

impl<'m> Typist<'m> {
    /// Logs alice in and begins to type.
    pub fn start(machine: &'m Machine) -> anyhow::Result<Self> {
        machine.sh("mkdir -p /home/alice/.config/wrd-dm; rm -f /home/alice/typed")?;
        machine.write(
            "/home/alice/.config/wrd-dm/session.toml",
            "[session]\ncommand = \"exec foot --maximized sh -c 'stty raw -echo; exec cat >/home/alice/typed'\"\n",
        )?;
        machine.sh("chown -R alice: /home/alice/.config")?;
        let client = Client::start(machine, Options::user("alice"))?;
        let file = machine.path("/home/alice/typed");
        eventually("alice's terminal", PATIENCE, || Ok(file.exists().then_some(())))?;
        server::wait_state(machine, "alice", "connected")?;
        client.xdotool(&["mousemove", "500", "400"])?;
        let socket = machine.path(&format!("/tmp/.X11-unix/X{}", client.display()));
        let mut keyboard = Keyboard::connect(&socket)?;
        // The window must have appeared, the terminal must have the focus: typed until something arrives.
        let mut warm_up = 0;
        eventually("a first letter to arrive", PATIENCE, || {
            keyboard.tap(LETTERS[0].0)?;
            warm_up += 1;
            std::thread::sleep(Duration::from_millis(200));
            Ok((std::fs::metadata(&file)?.len() > 0).then_some(()))
        })?;
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let stop = stop.clone();
            move || {
                let mut typed = 0;
                while !stop.load(Ordering::Relaxed) {
                    keyboard.tap(LETTERS[(typed + 1) % LETTERS.len()].0)?;
                    typed += 1;
                    std::thread::sleep(PAUSE);
                }
                Ok(typed)
            }
        });
        Ok(Self { machine, client, file, warm_up, stop, thread: Some(thread) })
    }

    /// How much has arrived by now.
    pub fn arrived(&self) -> anyhow::Result<u64> {
        Ok(std::fs::metadata(&self.file)?.len())
    }

    /// Waits until more has arrived, which is typed from now on.
    pub fn goes_on(&self) -> anyhow::Result<()> {
        let before = self.arrived()?;
        eventually("what is typed to arrive", PATIENCE, || Ok((self.arrived()? > before + 5).then_some(())))
    }

    /// Ends the typing; every letter must have arrived, in order, and no other. How many they were.
    pub fn stop(&mut self) -> anyhow::Result<usize> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("it has been stopped before")?;
        let typed = match thread.join() {
            Ok(typed) => typed?,
            Err(_) => bail!("the typing thread panicked"),
        };
        ensure!(typed > 20, "only {typed} letters were typed: the attack was over too early to say anything");
        let letter = |index: usize| LETTERS[index % LETTERS.len()].1;
        eventually("every letter to arrive", PATIENCE, || {
            let text = std::fs::read(&self.file)?;
            // Of the first ones, typed at random moments of the session's beginning, some may have gone nowhere.
            let begin = text.windows(2).position(|two| two == [letter(0), letter(1)]).unwrap_or(text.len());
            ensure!(
                begin < self.warm_up,
                "the first letters are {:?}",
                String::from_utf8_lossy(&text[..begin.min(60)])
            );
            let rest = text.get(begin + 1..).unwrap_or_default();
            if let Some(wrong) = (0..rest.len()).find(|index| rest[*index] != letter(index + 1)) {
                let around = &rest[wrong.saturating_sub(10)..rest.len().min(wrong + 10)];
                bail!("after {wrong} of {typed} letters came {:?}", String::from_utf8_lossy(around));
            }
            ensure!(rest.len() <= typed, "{} letters arrived of {typed} typed", rest.len());
            Ok((rest.len() == typed).then_some(()))
        })?;
        Ok(typed)
    }
}

impl Drop for Typist<'_> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.machine.try_sh("rm -rf /home/alice/.config/wrd-dm /home/alice/typed");
    }
}

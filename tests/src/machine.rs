//! One throw-away Debian 13 machine: booted, entered, powered off, forgotten.

use crate::{PATIENCE, eventually, expect_in};
use anyhow::{Context, bail, ensure};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// A booted container. Dropping it ends everything in it and removes its files.
pub struct Machine {
    /// `/proc/PID` of its init.
    init: u32,
    supervisor: Child,
    dir: PathBuf,
}

/// The top of our sources.
pub fn tree() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Where the build puts its programs and the lab its machines.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| tree().join("target"), |dir| tree().join(dir))
}

/// Where screenshots of the tests are kept, for people.
pub fn shots() -> PathBuf {
    target().join("lab/screens")
}

/// What runs in a machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Init {
    /// systemd, with all that Debian starts.
    Systemd,
    /// Nothing: as in a plain container, or a chroot.
    Nothing,
}

/// Which build is installed in a machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Build {
    Dev,
    Release,
}

impl Machine {
    /// Starts a fresh machine that sees our sources, read-only, at `/usr/src/wrd-dm`.
    pub fn boot(kind: Init) -> anyhow::Result<Self> {
        let root = fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
        ensure!(root, "system tests need root (sudo make test; or leave them out with WRD_SKIP_SYSTEM=1)");
        let lab = target().join("lab");
        fs::create_dir_all(&lab)?;
        sweep(&lab)?;
        // Named after the process that owns it, see `sweep`.
        let dir = lab.join(format!("run-{}-{}", std::process::id(), next()));
        let built = Command::new(tree().join("tests/lab/root")).env("CARGO_TARGET_DIR", target()).output();
        let built = built.context("cannot run tests/lab/root")?;
        ensure!(built.status.success(), "no root: {}", String::from_utf8_lossy(&built.stderr));
        fs::create_dir(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let supervisor = Command::new("setpriv")
            // Nothing must be left running should this process be killed.
            .args(["--pdeathsig", "KILL"])
            .arg(tree().join("tests/lab/boot"))
            .arg(&dir)
            .args((kind == Init::Nothing).then_some("--bare"))
            .arg(format!("--bind-ro={}:/usr/src/wrd-dm", tree().canonicalize()?.display()))
            .arg(format!("--bind-ro={}:/usr/src/wrd-dm/target", target().canonicalize()?.display()))
            .env("CARGO_TARGET_DIR", target())
            .stdin(Stdio::null())
            .spawn()
            .context("cannot run setpriv")?;
        let mut machine = Self { init: 0, supervisor, dir };
        machine.init = eventually("the machine to boot", 2 * PATIENCE, || {
            if let Some(status) = machine.supervisor.try_wait()? {
                let log = fs::read_to_string(machine.dir.join("boot.log")).unwrap_or_default();
                bail!("the machine ended while it booted ({status}): {log}");
            }
            let Some(init) = init_below(machine.supervisor.id()) else { return Ok(None) };
            note_init(&machine.dir, init)?;
            let question = match kind {
                Init::Systemd => ["systemctl", "is-system-running"],
                Init::Nothing => ["echo", "running"],
            };
            let state = enter(init, &question).output()?;
            let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
            Ok(matches!(state.as_str(), "running" | "degraded").then_some(init))
        })?;
        Ok(machine)
    }

    /// A command to be run inside, as root, in a clean environment.
    pub fn command(&self, words: &[&str]) -> Command {
        enter(self.init, words)
    }

    /// Runs a shell script inside as root; what it printed, or an error with what it complained of.
    pub fn sh(&self, script: &str) -> anyhow::Result<String> {
        let output = self.try_sh(script)?;
        if !output.status.success() {
            bail!(
                "`{script}` failed ({}): {}{}",
                output.status,
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    /// Runs a shell script inside as root, however it ends.
    pub fn try_sh(&self, script: &str) -> anyhow::Result<Output> {
        self.command(&["sh", "-c", script]).stdin(Stdio::null()).output().context("cannot enter the machine")
    }

    /// Runs a shell script inside as `user`, outside of any session; however it ends.
    pub fn try_sh_as(&self, user: &str, script: &str) -> anyhow::Result<Output> {
        let switch = ["setpriv", "--reuid", user, "--regid", user, "--init-groups", "--reset-env", "sh", "-c", script];
        self.command(&switch).stdin(Stdio::null()).output().context("cannot enter the machine")
    }

    /// Installs a build the way the README says, and starts the socket.
    pub fn install(&self, build: Build) -> anyhow::Result<()> {
        let profile = if build == Build::Release { "release" } else { "dev" };
        self.sh(&format!("make -C /usr/src/wrd-dm install PROFILE={profile} 2>&1"))?;
        self.sh("systemctl enable --now wrd-dm.socket 2>&1")?;
        Ok(())
    }

    /// The pid of its first process, as seen from outside.
    pub fn init(&self) -> u32 {
        self.init
    }

    /// A file inside, as a path outside.
    pub fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.init))
    }

    pub fn write(&self, inside: &str, text: &str) -> anyhow::Result<()> {
        let path = self.path(inside);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, text).with_context(|| format!("cannot write {inside}"))
    }

    /// The journal from `span` ago until now.
    pub fn journal_since(&self, span: Duration) -> String {
        let seconds = span.as_secs() + 1;
        self.sh(&format!("journalctl --no-pager -o short-monotonic --since=-{seconds}s")).unwrap_or_default()
    }

    /// A place in the journal, to read on from later.
    pub fn mark(&self) -> anyhow::Result<Mark> {
        let out =
            self.sh("journalctl --sync; journalctl -n 1 --show-cursor --no-pager -q | sed -n 's/^-- cursor: //p'")?;
        Ok(Mark(out))
    }

    /// What the journal has behind a mark.
    pub fn journal(&self, mark: &Mark) -> anyhow::Result<String> {
        self.sh(&format!("journalctl --sync; journalctl --no-pager -q -o cat --after-cursor='{}'", mark.0))
    }

    /// Waits until the journal says `part` behind a mark.
    pub fn wait_journal(&self, mark: &Mark, part: &str) -> anyhow::Result<()> {
        let said = eventually("the journal", PATIENCE, || Ok(self.journal(mark)?.contains(part).then_some(())));
        if said.is_err() {
            expect_in("the journal", part, &self.journal(mark)?)?;
        }
        Ok(())
    }
}

/// A place in a machine's journal.
pub struct Mark(String);

impl Drop for Machine {
    fn drop(&mut self) {
        // A clean end is not what the tests are about: with its init the kernel kills all that is inside.
        // nspawn alone is not enough, the machine would go on without it.
        kill_init(&self.dir);
        let _ = self.supervisor.kill();
        let _ = self.supervisor.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn enter(init: u32, words: &[&str]) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["--target", &init.to_string(), "--all", "--"]).args(words).env_clear();
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command.env("HOME", "/root").env("LANG", "C.UTF-8");
    command
}

/// Where a machine's folder says which process is its init: the pid and when that started.
const INIT_FILE: &str = "init";

/// Notes a machine's init, so that it can be ended even by another run of the tests.
fn note_init(dir: &Path, init: u32) -> anyhow::Result<()> {
    let started = started(init).context("the machine's init is gone")?;
    Ok(fs::write(dir.join(INIT_FILE), format!("{init} {started}"))?)
}

/// Ends the init that a machine's folder names, if it is still the same process.
fn kill_init(dir: &Path) {
    let note = fs::read_to_string(dir.join(INIT_FILE)).unwrap_or_default();
    if let Some((init, since)) = note.split_once(' ')
        && init.parse().ok().and_then(started).as_deref() == Some(since)
    {
        let _ = Command::new("kill").args(["-KILL", init]).status();
    }
}

/// When a process started, in clock ticks since boot.
fn started(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Field 22; the name before it, in parentheses, may hold anything.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19).map(str::to_owned)
}

/// The child of a process that is the first process of a pid namespace, once there is one. Before nspawn has
/// made it, the supervisor has other children that come and go: those of its script, and nspawn's own.
fn init_below(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().filter_map(|child| child.parse().ok()).find(|child: &u32| {
        let status = fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
        let pids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
        pids.split_whitespace().nth(1).is_some() && pids.split_whitespace().last() == Some("1")
    })
}

/// Removes what runs left behind that were killed too hard to do it.
fn sweep(lab: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(lab)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix("run-")) else { continue };
        let owner = rest.split('-').next().unwrap_or_default();
        if !Path::new("/proc").join(owner).exists() {
            kill_init(&entry.path());
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

fn next() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

//! Gates as the kernel sees them: what `/proc` says of each, read from outside of the machine.

use anyhow::{Context, bail, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use wrd_tests::machine::Machine;
use wrd_tests::processes::Stopped;
use wrd_tests::{PATIENCE, eventually, processes};

/// A process of ours, by its folder in `/proc`.
pub struct Process(PathBuf);

/// All gates that run.
pub fn all(machine: &Machine) -> anyhow::Result<Vec<PathBuf>> {
    let ours = processes::ours(machine)?;
    Ok(ours.into_iter().filter(|(name, _)| name == "wrd-gate").map(|(_, path)| path).collect())
}

/// The gate of a connection that `connect` makes.
pub fn of<T>(machine: &Machine, connect: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<(Process, T)> {
    let before = all(machine)?;
    let made = connect()?;
    let gate = eventually("a gate", PATIENCE, || {
        let mut new = all(machine)?.into_iter().filter(|gate| !before.contains(gate));
        let first = new.next();
        ensure!(new.next().is_none(), "one connection has more than one gate");
        Ok(first)
    })?;
    Ok((Process(gate), made))
}

impl Process {
    fn read(&self, file: &str) -> anyhow::Result<String> {
        let path = self.0.join(file);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// The whole of `status`, but for its one line that is longer than all others together.
    pub fn status(&self) -> anyhow::Result<String> {
        let status = self.read("status")?;
        Ok(status
            .lines()
            .filter(|line| !line.starts_with("Mems_allowed:"))
            .map(|line| format!("      {line}\n"))
            .collect())
    }

    /// A line of `status`, its words parted by one space.
    pub fn field(&self, name: &str) -> anyhow::Result<String> {
        let status = self.read("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let line = line.with_context(|| format!("no {name} in\n{status}"))?;
        Ok(line.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// How many system call filters it is under.
    pub fn filters(&self) -> anyhow::Result<u64> {
        Ok(self.field("Seccomp_filters")?.parse()?)
    }

    /// On how many processors it may run.
    pub fn processors(&self) -> anyhow::Result<u32> {
        let mask = self.field("Cpus_allowed")?;
        Ok(mask.chars().filter_map(|digit| digit.to_digit(16)).map(u32::count_ones).sum())
    }

    /// Its number inside of the machine.
    fn pid_inside(&self) -> anyhow::Result<u32> {
        let pids = self.field("NSpid")?;
        Ok(pids.split(' ').next_back().unwrap_or_default().parse()?)
    }

    pub fn stop(&self) -> anyhow::Result<Stopped> {
        Stopped::now(&self.0)
    }

    pub fn parent(&self) -> anyhow::Result<Self> {
        Ok(Self(Path::new("/proc").join(self.field("PPid")?)))
    }

    /// A limit, soft and hard.
    pub fn limit(&self, name: &str) -> anyhow::Result<(String, String)> {
        let limits = self.read("limits")?;
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            [soft, hard, ..] => Ok((soft.to_owned(), hard.to_owned())),
            _ => bail!("{name}: {line}"),
        }
    }

    /// Who may look into it: root alone where it is not dumpable.
    pub fn keeper(&self) -> anyhow::Result<u32> {
        let owners: Vec<u32> = ["environ", "fd", "mem", "maps"]
            .iter()
            .map(|file| Ok(fs::metadata(self.0.join(file))?.uid()))
            .collect::<anyhow::Result<_>>()?;
        ensure!(owners.iter().all(|owner| *owner == owners[0]), "owners {owners:?}");
        Ok(owners[0])
    }

    /// What is behind each of its descriptors: `null`, a kind of socket, or the path of whatever else.
    pub fn descriptors(&self, machine: &Machine) -> anyhow::Result<BTreeMap<u32, String>> {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(self.0.join("fd"))? {
            let entry = entry?;
            let target = fs::read_link(entry.path())?.to_string_lossy().into_owned();
            let kind = match target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')) {
                Some(inode) => self.socket(machine, inode)?,
                None if target == "/dev/null" => "null".to_owned(),
                None => target,
            };
            found.insert(entry.file_name().to_string_lossy().parse()?, kind);
        }
        Ok(found)
    }

    /// A socket is listed in the network it was made in: the unit's own, or the machine's.
    fn socket(&self, machine: &Machine, inode: &str) -> anyhow::Result<String> {
        let machine = Self(Path::new("/proc").join(machine.init().to_string()));
        for (place, file, column) in
            [(&machine, "net/tcp", 9), (&machine, "net/tcp6", 9), (&machine, "net/unix", 6), (self, "net/unix", 6)]
        {
            for line in place.read(file)?.lines() {
                let words: Vec<_> = line.split_whitespace().collect();
                if words.get(column) == Some(&inode) {
                    return Ok(match (file, words.get(4)) {
                        ("net/unix", Some(&"0001")) => "unix stream",
                        ("net/unix", Some(&"0005")) => "unix messages",
                        ("net/unix", _) => "unix",
                        _ => "tcp",
                    }
                    .to_owned());
                }
            }
        }
        Ok(format!("socket {inode}"))
    }

    /// Has it make a system call that is none of its own, in place of the one it waits in.
    pub fn make_call(&self, machine: &Machine, number: u32) -> anyhow::Result<()> {
        let pid = self.pid_inside()?.to_string();
        let output = machine.command(&["python3", "-c", INTRUDER, &pid, &number.to_string()]).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}

/// Attaches while it waits in a system call, turns back to the instruction `syscall`, which is two bytes long, with another number, and lets go.
/// The registers are those of x86-64's `struct user_regs_struct`.
const INTRUDER: &str = "
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long
pid, call = int(sys.argv[1]), int(sys.argv[2])
def ptrace(request, data=None):
    if libc.ptrace(request, pid, None, data) == -1:
        raise OSError(ctypes.get_errno(), f'ptrace {request}')
ATTACH, DETACH, GETREGS, SETREGS = 16, 17, 12, 13
RAX, ORIG_RAX, RIP = 10, 15, 16
registers = (ctypes.c_ulonglong * 27)()
for _ in range(300):
    ptrace(ATTACH)
    os.waitpid(pid, 0x40000000)
    ptrace(GETREGS, ctypes.addressof(registers))
    if registers[ORIG_RAX] < 1024: break
    ptrace(DETACH)
    time.sleep(0.1)
assert registers[ORIG_RAX] < 1024, 'it waits in no system call'
registers[RIP] -= 2
registers[RAX] = call
registers[ORIG_RAX] = 2**64 - 1
ptrace(SETREGS, ctypes.addressof(registers))
ptrace(DETACH)
";

//! Strangers of few words: connections from an address of their own that say a few bytes and stay.

use anyhow::Context;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Stdio};
use wrd_tests::machine::Machine;

/// Where the installed server listens.
pub const INSTALLED: u16 = 3389;
/// The beginning of a first PDU: enough for a gate, which then waits for the rest.
pub const A_BYTE: &str = "03";

/// Connections that stay until this is dropped, unless the server ends them.
pub struct Visitors {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl Visitors {
    /// `count` connections from `source` to `port`; each says `words` (in hex). The source is any address of
    /// 127.0.0.0/8, or another one of the machine's own, which is then that of the server, too.
    pub fn come(machine: &Machine, source: &str, port: u16, (count, words): (usize, &str)) -> anyhow::Result<Self> {
        let (port, count) = (port.to_string(), count.to_string());
        let mut command = machine.command(&["python3", "-c", SCRIPT, source, &port, &count, words]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let output = process.stdout.take().context("no output")?;
        let mut visitors = Self { process, output: BufReader::new(output) };
        // Answered once all have come.
        visitors.ended()?;
        Ok(visitors)
    }

    /// How many of them the server has ended by now.
    pub fn ended(&mut self) -> anyhow::Result<usize> {
        self.process.stdin.as_mut().context("no input")?.write_all(b"\n")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        line.trim().parse().with_context(|| format!("the visitors say {line:?}"))
    }
}

impl Drop for Visitors {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

const SCRIPT: &str = "
import socket, sys
source, port, count, words = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), bytes.fromhex(sys.argv[4])
def come():
    s = socket.socket()
    s.settimeout(90)
    s.bind((source, 0))
    s.connect(('127.0.0.1' if source.startswith('127.') else source, port))
    try: s.sendall(words)
    except OSError: pass
    s.setblocking(False)
    return s
def ended(s):
    try: return not s.recv(4096)
    except BlockingIOError: return False
    except OSError: return True
visitors = [come() for _ in range(count)]
for _ in sys.stdin:
    print(sum(map(ended, visitors)), flush=True)
";

//! Bad input and bad luck: each case ends in a clear message where its reader looks, and costs only its
//! own connection. In a booted Debian 13; strangers are played by small Python scripts inside.

#[path = "trouble/refusals.rs"]
mod refusals;
mod words;

use anyhow::ensure;
use std::process::ExitCode;
use std::time::Duration;
use wrd_tests::client::{Client, Options};
use wrd_tests::machine::{Init, Machine};
use wrd_tests::runner::{Plan, Test};
use wrd_tests::{PATIENCE, eventually, expect_eq, expect_in, runner, server};

fn main() -> ExitCode {
    let tests = [STRANGERS, refusals::TESTS, MISHAPS].concat();
    runner::run(&Plan { init: Init::Systemd, prepare, restore }, &tests)
}

const STRANGERS: &[Test] = &[
    ("garbage", garbage),
    ("half_a_handshake", half_a_handshake),
    ("a_slow_loris", a_slow_loris),
    ("tls_without_rdp", tls_without_rdp),
    ("a_client_without_tls_is_told", a_client_without_tls_is_told),
    ("old_and_new_tls", old_and_new_tls),
    ("too_many_connections", too_many_connections),
    ("a_client_that_stops_reading", a_client_that_stops_reading),
    ("a_client_that_vanishes_without_fin", a_client_that_vanishes_without_fin),
];

const MISHAPS: &[Test] = &[
    ("a_bad_user_file_does_not_lock_out", a_bad_user_file_does_not_lock_out),
    ("no_space_for_the_certificate", no_space_for_the_certificate),
    ("a_certificate_that_is_none", a_certificate_that_is_none),
    ("the_administrators_own_certificate", the_administrators_own_certificate),
    ("the_port_is_taken", the_port_is_taken),
    ("a_bad_configuration", a_bad_configuration),
];

const CONFIG: &str = "[desktop]\nbackground = \"#2e6f40\"\n[limits]\nconnections = 12\n\
     [admission]\nexempt = [\"127.0.0.0/8\", \"::1\", \"192.0.2.0/24\"]\n";

fn prepare(machine: &Machine) -> anyhow::Result<()> {
    server::prepare(machine)?;
    configure(machine, CONFIG)
}

/// Back to where `prepare` was.
fn restore(machine: &Machine) -> anyhow::Result<()> {
    machine.try_sh("rm -rf /home/alice/.config; chown carol: /home/carol; umount /var/lib/wrd-dm/tls")?;
    configure(machine, CONFIG)?;
    server::restore(machine)
}

fn configure(machine: &Machine, text: &str) -> anyhow::Result<()> {
    machine.write("/etc/wrd-dm/wrd-dm.toml", text)?;
    // The socket stays open, as it does for an administrator who changes a setting.
    machine.sh("systemctl reset-failed wrd-dm.service wrd-dm.socket
         systemctl start wrd-dm.socket && systemctl restart wrd-dm.service")?;
    Ok(())
}

/// Runs Python inside with `s` connected to the server; prints what the server answered last.
fn stranger(machine: &Machine, script: &str) -> anyhow::Result<String> {
    let program = format!(
        "import socket, ssl, time\n\
         def connect():\n    return socket.create_connection(('{}', 3389), {patience})\n\
         def drain(s, limit={patience}):\n    s.settimeout(limit)\n    got = b''\n    try:\n        while True:\n            part = s.recv(4096)\n            if not part: return got, 'closed'\n            got += part\n    except TimeoutError: return got, 'open'\n    except OSError: return got, 'closed'\n\
         CONNECT = bytes.fromhex('030000130ee000000000000100080003000000')\n\
         s = connect()\n{script}\n",
        server::ADDRESS,
        patience = PATIENCE.as_secs(),
    );
    machine.write("/tmp/stranger.py", &program)?;
    machine.sh("python3 /tmp/stranger.py 2>&1")
}

/// Nothing that a stranger did may be felt by the next user.
fn still_serves(machine: &Machine) -> anyhow::Result<()> {
    let client = Client::login(machine, Options::user("alice"))?;
    drop(client);
    server::clear(machine)?;
    no_gate_is_left(machine)
}

fn no_gate_is_left(machine: &Machine) -> anyhow::Result<()> {
    eventually("the gates to end", PATIENCE, || {
        Ok((!machine.try_sh("pgrep -x wrd-gate")?.status.success()).then_some(()))
    })
}

fn garbage(machine: &Machine) -> anyhow::Result<()> {
    let mark = machine.mark()?;
    for bytes in [
        "b'GET / HTTP/1.1\\r\\n\\r\\n'",
        "bytes(range(256)) * 64",
        "b'\\x03\\x00\\xff\\xff' + b'A' * 70000",
        "b'\\x03\\x00\\x00\\x04'",
    ] {
        let said = stranger(machine, &format!("s.sendall({bytes})\nprint(drain(s)[1])"))?;
        expect_eq("the connection", said.as_str(), "closed")?;
    }
    machine.wait_journal(&mark, server::ADDRESS)?;
    still_serves(machine)
}

fn half_a_handshake(machine: &Machine) -> anyhow::Result<()> {
    // The client goes away in the middle, at several places.
    for cut in [1, 4, 10, 18] {
        stranger(machine, &format!("s.sendall(CONNECT[:{cut}])\ns.close()"))?;
    }
    stranger(machine, "s.sendall(CONNECT)\ns.recv(100)\ns.sendall(bytes.fromhex('16030100c801'))\ns.close()")?;
    still_serves(machine)
}

fn a_slow_loris(machine: &Machine) -> anyhow::Result<()> {
    // A short deadline, so that waiting for it is bearable; nobody else has to keep it.
    configure(machine, &CONFIG.replace("[limits]\n", "[limits]\nlogin_seconds = 6\n"))?;
    let mark = machine.mark()?;
    // It is silent for less than two seconds at a time, and says nothing wrong for half a minute.
    let said = stranger(
        machine,
        "state = 'open'\n\
         try:\n    for b in CONNECT[:18]: s.sendall(bytes([b])); time.sleep(1.7)\n\
         except OSError: state = 'closed'\nprint(state)",
    )?;
    expect_eq("the connection", said.as_str(), "closed")?;
    machine.wait_journal(&mark, &format!("client={}", server::ADDRESS))?;
    // The same for one that says nothing at all.
    expect_eq("the silent connection", stranger(machine, "print(drain(s)[1])")?.as_str(), "closed")?;
    configure(machine, CONFIG)?;
    still_serves(machine)
}

fn tls_without_rdp(machine: &Machine) -> anyhow::Result<()> {
    // A TLS handshake where X.224 is due, and HTTP where MCS is due.
    let hello = "c = ssl.create_default_context(); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE\n";
    let said = stranger(
        machine,
        &format!("{hello}try:\n    c.wrap_socket(s)\n    print('shook hands')\nexcept OSError: print('closed')"),
    )?;
    expect_eq("TLS at once", said.as_str(), "closed")?;
    let said = stranger(
        machine,
        &format!(
            "{hello}s.sendall(CONNECT)\ns.recv(100)\nt = c.wrap_socket(s)\nt.sendall(b'GET / HTTP/1.1\\r\\n\\r\\n')\nprint(drain(t)[1])"
        ),
    )?;
    expect_eq("HTTP over TLS", said.as_str(), "closed")?;
    still_serves(machine)
}

fn a_client_without_tls_is_told(machine: &Machine) -> anyhow::Result<()> {
    // MS-RDPBCGR 2.2.1.2.2: RDP_NEG_FAILURE (3), SSL_REQUIRED_BY_SERVER (1), and it must really arrive.
    let said =
        stranger(machine, "s.sendall(CONNECT[:15] + bytes(4))\ngot, state = drain(s)\nprint(got[11:].hex(), state)")?;
    expect_eq("the answer to PROTOCOL_RDP", said.as_str(), "0300080001000000 closed")?;
    // What FreeRDP makes of it.
    let mut client = Client::start(machine, Options::user("alice").more("/sec:rdp"))?;
    ensure!(client.wait_exit()? != 0, "a client without TLS came in");
    expect_in("the client's log", "SSL_REQUIRED_BY_SERVER", &client.log())
}

fn old_and_new_tls(machine: &Machine) -> anyhow::Result<()> {
    for (version, good) in [("TLSv1_1", false), ("TLSv1_2", true), ("TLSv1_3", true)] {
        let said = stranger(
            machine,
            &format!(
                "c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE\n\
                 c.set_ciphers('DEFAULT@SECLEVEL=0')\n\
                 c.minimum_version = c.maximum_version = ssl.TLSVersion.{version}\n\
                 s.sendall(CONNECT)\ns.recv(100)\n\
                 try: print(c.wrap_socket(s).version())\nexcept OSError: print('refused')"
            ),
        )?;
        let last = said.lines().last().unwrap_or_default();
        expect_eq(version, last != "refused", good)?;
    }
    Ok(())
}

fn too_many_connections(machine: &Machine) -> anyhow::Result<()> {
    let mark = machine.mark()?;
    // Twelve are allowed: as many others must go, whoever they are, and those within must not suffer.
    let said = stranger(
        machine,
        &format!(
            "all = [s] + [connect() for _ in range(19)]\n\
             for c in all: c.sendall(b'\\x03')\n\
             def closed(): return [drain(c, 0.05)[1] for c in all].count('closed')\n\
             end = time.time() + {}\n\
             while closed() < 8 and time.time() < end: pass\n\
             time.sleep(0.3)\nprint(closed())",
            PATIENCE.as_secs()
        ),
    )?;
    expect_eq("how many are closed", said.as_str(), "8")?;
    machine.wait_journal(&mark, "reason=for-connections")?;
    no_gate_is_left(machine)?;
    still_serves(machine)
}

fn a_client_that_stops_reading(machine: &Machine) -> anyhow::Result<()> {
    // The screen changes all the time and the client takes none of it.
    machine.write(
        "/home/alice/.config/wrd-dm/session.toml",
        "[session]\ncommand = \"foot sh -c 'while :; do od -N 4000 /dev/urandom; done'\"\n",
    )?;
    machine.sh("chown -R alice: /home/alice/.config")?;
    let mut client = Client::start(machine, Options::user("alice"))?;
    let result = server::wait_state(machine, "alice", "connected").and_then(|_| {
        // It is shown numbers, and others, for a while.
        client.wait_for_desktop()?;
        for _ in 0..10 {
            let before = client.screen()?;
            client.wait_for_screen("a change", |screen| *screen != before)?;
        }
        std::thread::sleep(Duration::from_secs(2));
        let worker = server::worker(machine, "alice")?;
        let memory = |pid: &str| -> anyhow::Result<u64> {
            Ok(machine.sh(&format!("awk '/^RssAnon/{{print $2}}' /proc/{pid}/status"))?.parse()?)
        };
        let gate = machine.sh("pgrep -n -x wrd-gate")?;
        let before = (memory(&worker.to_string())?, memory(&gate)?);
        client.signal("STOP")?;
        std::thread::sleep(Duration::from_secs(6));
        let after = (memory(&worker.to_string())?, memory(&gate)?);
        ensure!(after.0 < before.0 + 24_000 && after.1 < before.1 + 24_000, "kB before {before:?}, after {after:?}");
        // The desktop is not blocked: a second client takes it over, though the first cannot be told.
        let second = Client::start(machine, Options::user("alice").size(800, 600))?;
        eventually("the second client to have the session", PATIENCE, || {
            let session = server::session(machine, "alice")?;
            Ok(session.filter(|session| session["client"]["width"] == 800).map(drop))
        })?;
        drop(second);
        Ok(())
    });
    drop(client);
    machine.sh("rm -r /home/alice/.config")?;
    server::clear(machine)?;
    result
}

fn a_client_that_vanishes_without_fin(machine: &Machine) -> anyhow::Result<()> {
    // The client has an address of its own, which goes away: no packet of its gets through any more, not
    // even the end of the connection.
    let server = server::ADDRESS;
    machine.sh(&format!(
        "ip address add 192.0.2.8/32 dev lo; ip route replace local {server} dev lo src 192.0.2.8 table local"
    ))?;
    let client = Client::login(machine, Options::user("alice"));
    machine.sh(&format!(
        "ip address del 192.0.2.8/32 dev lo; ip route replace local {server} dev lo src {server} table local"
    ))?;
    let client = client?;
    connected_from(machine, "192.0.2.8")?;
    client.signal("KILL")?;
    std::thread::sleep(Duration::from_secs(2));
    let session = server::session(machine, "alice")?.unwrap_or_default();
    expect_eq("the state, as nobody can know", session["state"].as_str(), Some("connected"))?;
    expect_eq("the address", session["client"]["address"].as_str(), Some("192.0.2.8"))?;
    // The user's next connection does not have to wait for a timeout.
    let second = Client::login(machine, Options::user("alice"))?;
    connected_from(machine, server)?;
    drop((second, client));
    server::clear(machine)
}

/// Waits until alice's session has a client from this address.
fn connected_from(machine: &Machine, address: &str) -> anyhow::Result<()> {
    eventually(&format!("a client from {address}"), PATIENCE, || {
        let session = server::session(machine, "alice")?.filter(|session| session["state"] == "connected");
        Ok(session.filter(|session| session["client"]["address"] == address).map(drop))
    })
}

fn a_bad_user_file_does_not_lock_out(machine: &Machine) -> anyhow::Result<()> {
    machine.write("/home/alice/.config/wrd-dm/session.toml", "[session]\ncomand = \"sway\"\n")?;
    machine.sh("chown -R alice: /home/alice/.config")?;
    let mark = machine.mark()?;
    let client = Client::login(machine, Options::user("alice"));
    machine.sh("rm -r /home/alice/.config")?;
    client?.shot("bad-user-file");
    machine.wait_journal(&mark, "session.toml:2")?;
    expect_in("the journal", "comand", &machine.journal(&mark)?)?;
    server::clear(machine)
}

fn no_space_for_the_certificate(machine: &Machine) -> anyhow::Result<()> {
    machine.sh("systemctl stop wrd-dm.service; mount -t tmpfs -o size=4k,mode=0700 full /var/lib/wrd-dm/tls; head -c 9000 /dev/zero >/var/lib/wrd-dm/tls/fill 2>/dev/null; true")?;
    let mark = machine.mark()?;
    machine.try_sh("systemctl restart wrd-dm.service")?;
    let told = machine.wait_journal(&mark, "No space left on device");
    let journal = machine.journal(&mark)?;
    let left = machine.sh("ls /var/lib/wrd-dm/tls")?;
    machine.sh("systemctl stop wrd-dm.service wrd-dm.socket; umount /var/lib/wrd-dm/tls; systemctl reset-failed wrd-dm.service wrd-dm.socket; systemctl start wrd-dm.socket")?;
    told?;
    expect_in("the journal", "/var/lib/wrd-dm/tls", &journal)?;
    expect_eq("what was written", left.as_str(), "fill")?;
    still_serves(machine)
}

fn a_certificate_that_is_none(machine: &Machine) -> anyhow::Result<()> {
    machine.sh("echo rubbish >/etc/wrd-dm/own.pem")?;
    machine.write(
        "/etc/wrd-dm/wrd-dm.toml",
        "[tls]\ncertificate = \"/etc/wrd-dm/own.pem\"\nkey = \"/etc/wrd-dm/own.pem\"\n",
    )?;
    let mark = machine.mark()?;
    ensure!(
        !machine.try_sh("systemctl restart wrd-dm.service")?.status.success(),
        "started with rubbish for a certificate"
    );
    let told = machine.wait_journal(&mark, "/etc/wrd-dm/own.pem");
    configure(machine, CONFIG)?;
    told
}

fn the_administrators_own_certificate(machine: &Machine) -> anyhow::Result<()> {
    let ask = format!(
        "import socket, ssl, hashlib\nfor own in range(1):\n\
         \x20   s = socket.create_connection(('{}', 3389), 60)\n\
         \x20   s.sendall(bytes.fromhex('030000130ee000000000000100080003000000'))\n    s.recv(100)\n\
         \x20   c = ssl.create_default_context(); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE\n\
         \x20   print(hashlib.sha256(c.wrap_socket(s).getpeercert(True)).hexdigest())\n",
        server::ADDRESS
    );
    machine.write("/tmp/ask.py", &ask)?;
    for algorithm in ["rsa:2048", "ec -pkeyopt ec_paramgen_curve:P-256"] {
        machine.sh(&format!("openssl req -x509 -newkey {algorithm} -nodes -subj /CN=own -days 9 -keyout /etc/wrd-dm/own.key -out /etc/wrd-dm/own.pem 2>&1"))?;
        configure(
            machine,
            &format!("{CONFIG}[tls]\ncertificate = \"/etc/wrd-dm/own.pem\"\nkey = \"/etc/wrd-dm/own.key\"\n"),
        )?;
        let should = machine.sh("openssl x509 -in /etc/wrd-dm/own.pem -outform DER | sha256sum | cut -d' ' -f1")?;
        expect_eq(algorithm, machine.sh("python3 /tmp/ask.py 2>&1")?, should)?;
        still_serves(machine)?;
    }
    configure(machine, CONFIG)
}

fn the_port_is_taken(machine: &Machine) -> anyhow::Result<()> {
    // Stand-alone, beside the service that has the port.
    let output = machine.try_sh_as(
        "alice",
        "HOME=/home/alice timeout 60 /usr/src/wrd-dm/target/debug/wrd-dm --standalone --listen 127.0.0.1:3389",
    )?;
    ensure!(!output.status.success() && output.status.code() != Some(124), "it started: {:?}", output.status);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    expect_in("wrd-dm", "127.0.0.1:3389", &said)?;
    expect_in("wrd-dm", "taken", &said)
}

fn a_bad_configuration(machine: &Machine) -> anyhow::Result<()> {
    for (text, key, line) in [
        ("[limits]\nconections = 5\n", "conections", 2),
        ("\n[limits]\nmax_width = \"wide\"\n", "max_width", 3),
        ("[desktop]\n\nbackground = \"red\"\n", "background", 3),
    ] {
        machine.write("/etc/wrd-dm/wrd-dm.toml", text)?;
        let output = machine.try_sh("wrd-dm --check-config")?;
        ensure!(!output.status.success(), "{text:?} was found to be good");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        expect_in("--check-config", &format!("/etc/wrd-dm/wrd-dm.toml:{line}"), &said)?;
        expect_in("--check-config", key, &said)?;
        let mark = machine.mark()?;
        ensure!(!machine.try_sh("systemctl restart wrd-dm.service")?.status.success(), "started with {text:?}");
        machine.wait_journal(&mark, &format!("wrd-dm.toml:{line}"))?;
        machine.sh("systemctl stop wrd-dm.service; systemctl reset-failed wrd-dm.service")?;
    }
    configure(machine, CONFIG)?;
    machine.sh("wrd-dm --check-config")?;
    still_serves(machine)
}

//! Shows the login screen without the rest of wrd-dm: `cargo run -p wrd-gate --example stand -- 3390`.
//! The password is "secret"; "expired" and "broken" show what happens then, "code" and "new" what PAM may ask. No
//! session follows.

#[path = "../tests/common/mod.rs"]
mod common;

use common::{Identity, accept, denied};
use std::net::TcpListener;
use std::time::Duration;
use wrd_proto::Line;
use wrd_proto::gate::ToMonitor;
use wrd_proto::login::{FromGate, FromLeader, Prompt, Tone};

fn main() {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(3390u16);
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    let identity = Identity::new();
    loop {
        let monitor = accept(&listener, &identity, 120_000);
        match monitor.next(&identity) {
            ToMonitor::OpenLogin => {}
            other => {
                println!("{other:?}");
                continue;
            }
        }
        let leader = monitor.open_login();
        while let Ok(FromGate::Credentials { user, domain, password, session }) = leader.recv() {
            println!("tried: {user} {domain} {session:?}");
            std::thread::sleep(Duration::from_millis(700));
            let questions: &[(Prompt, &str)] = match password.expose() {
                b"code" => &[(Prompt::Hidden, "Verification code:"), (Prompt::Shown, "Trust this device? [y/n]")],
                b"new" => &[(Prompt::Hidden, "New password:"), (Prompt::Hidden, "Retype new password:")],
                _ => &[],
            };
            let answered = questions.iter().all(|(kind, text)| {
                let said = FromLeader::Tell { tone: Tone::Info, text: Line::truncated("More is wanted of you.") };
                let asked = FromLeader::Ask { kind: *kind, text: Line::truncated(text) };
                leader.send(&said).is_ok()
                    && leader.send(&asked).is_ok()
                    && matches!(leader.recv(), Ok(FromGate::Answer(_)))
            });
            let answer = match password.expose() {
                _ if !answered => denied("The login was cancelled."),
                b"secret" | b"code" | b"new" => FromLeader::Accepted,
                b"expired" => FromLeader::Denied {
                    text: Line::truncated("Your account has expired. Please contact your system administrator."),
                    may_retry: false,
                },
                b"broken" => FromLeader::SessionFailed {
                    text: Line::truncated("The desktop could not be started: /home/alice cannot be read."),
                },
                _ => denied("The user name or the password is wrong."),
            };
            let accepted = answer == FromLeader::Accepted;
            if leader.send(&answer).is_err() {
                break;
            }
            if accepted {
                std::thread::sleep(Duration::from_millis(700));
                let link = monitor.link();
                println!("{:?}", monitor.next(&identity));
                std::thread::sleep(Duration::from_millis(500));
                drop(link);
                break;
            }
        }
        std::thread::spawn(move || {
            let mut monitor = monitor;
            println!("gate: {:?}", monitor.exit_code(Duration::from_secs(130)));
        });
    }
}

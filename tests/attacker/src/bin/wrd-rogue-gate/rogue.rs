//! The gate itself: the way to a stage, which is an honest one, and the acts.

use crate::frames::of_hex;
use crate::{CLIENT, WORD, frames, login, process, reach};
use anyhow::{Context, Result, bail};
use std::fmt::Display;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::Duration;
use wrd_proto::gate::{NtlmProof, NtlmVerdict, Stage, Start, ToGate, ToMonitor};
use wrd_proto::reconnect::Claim;
use wrd_proto::{Bytes, Key, Line, Secret, UserName, login as wire};
use wrd_sys::listen::take_fd;
use wrd_sys::{Channel, ChannelError, RawChannel};
use wrd_test_client::nla::prove;

const MONITOR: i32 = 4;

/// How long whatever was heard here may be on its way to the monitor from somebody else.
const MEANWHILE: Duration = Duration::from_secs(5);

pub type MonitorChannel = Channel<ToMonitor, ToGate>;
pub type LoginChannel = Channel<wire::FromGate, wire::FromLeader>;

pub struct Rogue {
    pub client: TcpStream,
    /// Gone once the gate has closed it.
    pub monitor: Option<MonitorChannel>,
    pub start: Start,
    pub login: Option<LoginChannel>,
    pub link: Option<OwnedFd>,
    person: (String, String),
    session: wire::SessionChoice,
}

impl Rogue {
    /// Takes the descriptors over, and from the client the line that asked for this.
    pub fn new(case: &str) -> Result<Self> {
        let mut client = TcpStream::from(take_fd(CLIENT).context("the client")?);
        client.read_exact(&mut vec![0; WORD.len() + case.len() + 1]).context("the client's first line")?;
        let monitor: MonitorChannel = RawChannel::from(take_fd(MONITOR).context("the monitor")?).typed();
        let ToGate::Start(start) = monitor.recv()? else { bail!("the monitor's first message is no start") };
        let mut words = case.split(' ').skip(1).map(str::to_owned);
        let person = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let session = words.next().map_or(wire::SessionChoice::Last, |id| session(&id));
        let rogue = Self { client, monitor: Some(monitor), start, login: None, link: None, person, session };
        rogue.say("start");
        Ok(rogue)
    }

    /// Goes to the stage and does the act. "asked" is what is said between the two.
    pub fn play(&mut self, case: &str) -> Result<()> {
        let (stage, act) = case.split(' ').next().and_then(|it| it.split_once('/')).context("no case")?;
        self.go_to(stage).inspect_err(|error| self.say(format!("not reached: {error:#}")))?;
        self.say("asked");
        match act {
            "nothing" => Ok(()),
            _ => self.act(act).inspect_err(|error| self.say(format!("failed: {error:#}"))),
        }
    }

    /// Tells the client, who may be gone.
    pub fn say(&self, what: impl Display) {
        let line = serde_json::Value::from(what.to_string());
        let _ = (&self.client).write_all(format!("{line}\n").as_bytes());
    }

    pub fn monitor(&self) -> Result<&MonitorChannel> {
        self.monitor.as_ref().context("the monitor's channel is closed")
    }

    pub fn login(&self) -> Result<&LoginChannel> {
        self.login.as_ref().context("there is no login")
    }

    fn go_to(&mut self, stage: &str) -> Result<()> {
        match stage {
            "start" => Ok(()),
            "failed" => Ok(self.monitor()?.send(&failed("it gives up"))?),
            "signed" => self.sign(),
            "challenged" => {
                self.go_to("signed")?;
                self.monitor()?.send(&ToMonitor::NtlmChallenge)?;
                self.expect("challenge").map(drop)
            }
            "proven" => {
                self.go_to("signed")?;
                self.monitor()?.send(&ToMonitor::NtlmChallenge)?;
                let ToGate::NtlmChallenge { challenge } = self.monitor()?.recv()? else { bail!("no challenge") };
                let (user, password) = &self.person;
                self.monitor()?.send(&ToMonitor::NtlmProof(prove(user, password, challenge)))?;
                self.expect("proven").map(drop)
            }
            "disproven" => {
                self.go_to("challenged")?;
                self.monitor()?.send(&proof())?;
                self.expect("disproven").map(drop)
            }
            "turned-back" => {
                self.go_to("signed")?;
                self.monitor()?.send(&made_up())?;
                self.expect("reconnect Refused").map(drop)
            }
            "screen" => {
                self.go_to("signed")?;
                Ok(self.monitor()?.send(&ToMonitor::Screen)?)
            }
            "login" => {
                self.go_to("signed")?;
                self.monitor()?.send(&ToMonitor::OpenLogin)?;
                let fd = self.expect("login")?.context("a login without a socket")?;
                self.login = Some(RawChannel::from(fd).typed());
                Ok(())
            }
            "denied" => {
                self.go_to("login")?;
                self.guess().map(drop)
            }
            "refused" => {
                self.go_to("login")?;
                while self.guess()? {}
                std::thread::sleep(MEANWHILE);
                Ok(())
            }
            "starting" => {
                self.go_to("login")?;
                let (user, password) = &self.person;
                self.login()?.send(&credentials_for(user, password, self.session.clone()))?;
                match self.login()?.recv()? {
                    wire::FromLeader::Accepted => Ok(()),
                    other => bail!("{other:?} where the right password was sent"),
                }
            }
            "linked" => {
                self.go_to("starting")?;
                self.link = Some(self.expect("link")?.context("a link without a socket")?);
                Ok(())
            }
            "relaying" => {
                self.go_to("linked")?;
                self.monitor()?.send(&ToMonitor::Relaying)?;
                match self.monitor()?.recv() {
                    Err(ChannelError::Closed) => Ok(()),
                    other => bail!("{other:?} where the monitor was to close its channel"),
                }
            }
            other => bail!("no stage {other}"),
        }
    }

    fn act(&mut self, act: &str) -> Result<()> {
        let acted = if let Some(message) = self.request(act) {
            self.tell(&message)
        } else {
            match act {
                "offers" => {
                    let offered = self.start.sessions.iter();
                    offered.for_each(|entry| self.say(format!("offer {}: {}", entry.id, entry.name)));
                    return Ok(());
                }
                // Not a word of what came of it is waited for.
                "proof-and-login" => self.tell(&proof()).and_then(|()| self.tell(&ToMonitor::OpenLogin)),
                "proof-twice" => self.tell(&proof()).and_then(|()| self.tell(&proof())),
                "screen-twice" => self.tell(&ToMonitor::Screen).and_then(|()| self.tell(&ToMonitor::Screen)),
                _ if act.starts_with("reconnect:") => self.reconnect(act),
                _ if act.starts_with("sign-") => self.sign_something(act),
                _ if act.starts_with("login-") => return login::act(self, act),
                _ if act.starts_with("link-") => return login::act_on_link(self, act),
                _ if act.starts_with("process-") => return process::act(self, act),
                _ if act.starts_with("reach") => return reach::act(self, act),
                _ => frames::act(self, act),
            }
        };
        match acted {
            Ok(()) => self.listen(),
            Err(error) => self.say(format!("not sent: {error:#}")),
        }
        Ok(())
    }

    /// One of the requests that a gate may have.
    fn request(&self, name: &str) -> Option<ToMonitor> {
        Some(match name {
            "sign" => self.handshake(),
            "ntlm-challenge" => ToMonitor::NtlmChallenge,
            "ntlm-proof" => proof(),
            "screen" => ToMonitor::Screen,
            "open-login" => ToMonitor::OpenLogin,
            "reconnect" => made_up(),
            "relaying" => ToMonitor::Relaying,
            "failed" => failed("it gives up again"),
            // Whoever reads the journal line by line must not take it for one of the monitor's own.
            "failed-forged" => failed(&format!("x\n{FORGED}\"")),
            _ => return None,
        })
    }

    /// Presents cookies as clients have them, one after the other, and hears what is said to each but the last.
    fn reconnect(&self, act: &str) -> Result<()> {
        let cookies = act.trim_start_matches("reconnect:").split(',');
        for (number, cookie) in cookies.enumerate() {
            if number > 0 {
                self.say(name_of(&self.monitor()?.recv()?));
            }
            self.tell(&presented(&of_hex(cookie)?)?)?;
        }
        Ok(())
    }

    fn tell(&self, message: &ToMonitor) -> Result<()> {
        Ok(self.monitor()?.send(message)?)
    }

    /// Has its one handshake signed.
    fn sign(&self) -> Result<()> {
        self.tell(&self.handshake())?;
        self.expect("signature").map(drop)
    }

    pub fn handshake(&self) -> ToMonitor {
        self.signing(self.scheme(), certificate_verify("server"))
    }

    fn scheme(&self) -> u16 {
        self.start.schemes.first().copied().unwrap_or_default()
    }

    fn signing(&self, scheme: u16, message: Vec<u8>) -> ToMonitor {
        ToMonitor::Sign { scheme, message: Bytes::try_from(message).unwrap_or_default() }
    }

    /// Something else than a handshake of this server's.
    fn sign_something(&self, act: &str) -> Result<()> {
        let own = self.scheme();
        let message = match act {
            "sign-text" => self.signing(own, b"pay 100 to mallory".to_vec()),
            "sign-nothing" => self.signing(own, Vec::new()),
            "sign-as-client" => self.signing(own, certificate_verify("client")),
            "sign-more" => self.signing(own, [certificate_verify("server"), vec![0]].concat()),
            // ECDSA with P-384 and RSA-PSS with SHA-256, one of which no key has.
            "sign-other-scheme" => {
                let other = if own == 0x0503 { 0x0804 } else { 0x0503 };
                self.signing(other, certificate_verify("server"))
            }
            "sign-scheme-zero" => self.signing(0, certificate_verify("server")),
            other => bail!("no act {other}"),
        };
        self.tell(&message)
    }

    /// The next message of the monitor's, which must be this one; what came with it.
    fn expect(&self, name: &str) -> Result<Option<OwnedFd>> {
        let (message, fd) = self.monitor()?.recv_fd()?;
        let heard = name_of(&message);
        self.say(&heard);
        if heard != name {
            bail!("{heard} where {name} was due");
        }
        Ok(fd)
    }

    /// Tells all that the monitor still says, until it has closed the channel.
    pub fn listen(&self) {
        let Some(monitor) = &self.monitor else { return };
        loop {
            match monitor.recv_fd() {
                Ok((message, _)) => self.say(name_of(&message)),
                Err(ChannelError::Closed) => return self.say("closed"),
                Err(error) => return self.say(format!("misunderstood: {error}")),
            }
        }
    }

    /// Tries a wrong password; whether another may be tried.
    fn guess(&self) -> Result<bool> {
        self.login()?.send(&credentials("carol", "wrong"))?;
        match self.login()?.recv()? {
            wire::FromLeader::Denied { may_retry, .. } => Ok(may_retry),
            other => bail!("{other:?} where a wrong password was sent"),
        }
    }
}

/// A line as the monitor writes it, about an address that is nobody's.
pub const FORGED: &str = "authentication failure; rhost=203.0.113.66 user=\"forged\" connection=1 reason=\"forged\"";

pub fn credentials(user: &str, password: &str) -> wire::FromGate {
    credentials_for(user, password, wire::SessionChoice::Last)
}

/// A dash is the configured one, which has no name.
fn session(id: &str) -> wire::SessionChoice {
    wire::SessionChoice::Named(wire::SessionName::truncated(if id == "-" { "" } else { id }))
}

pub fn credentials_for(user: &str, password: &str, session: wire::SessionChoice) -> wire::FromGate {
    wire::FromGate::Credentials {
        user: UserName::truncated(user),
        domain: UserName::default(),
        password: Secret::new(password.as_bytes().to_vec()).expect("a short password"),
        session,
    }
}

fn failed(reason: &str) -> ToMonitor {
    ToMonitor::Failed { stage: Stage::Tls, reason: Line::truncated(reason) }
}

/// Of somebody there is, by somebody who does not know the password; each field as long as it may be.
fn proof() -> ToMonitor {
    fn full<const N: usize>() -> Bytes<N> {
        Bytes::try_from(vec![1; N]).unwrap_or_default()
    }
    ToMonitor::NtlmProof(NtlmProof {
        user: UserName::truncated("carol"),
        domain: wrd_proto::gate::Domain::truncated(&"D".repeat(1000)),
        proof: [1; 16],
        client_challenge: full(),
        encrypted_session_key: Some([1; 16]),
        mic: [1; 16],
        negotiate: full(),
        challenge: full(),
        authenticate: full(),
    })
}

/// What a gate makes of a client's cookie (ARC_CS_PRIVATE_PACKET, MS-RDPBCGR 2.2.4.3).
fn presented(cookie: &[u8]) -> Result<ToMonitor> {
    let cookie: &[u8; 28] = cookie.try_into().context("a cookie has 28 bytes")?;
    let [_, _, _, _, _, _, _, _, a, b, c, d, verifier @ ..] = *cookie;
    Ok(ToMonitor::Reconnect(Claim { logon_id: u32::from_le_bytes([a, b, c, d]), verifier: Key::new(verifier) }))
}

/// A cookie that is nobody's.
fn made_up() -> ToMonitor {
    ToMonitor::Reconnect(Claim { logon_id: 1, verifier: Key::new([1; 16]) })
}

/// RFC 8446 4.4.3, over the hash of some transcript.
fn certificate_verify(whose: &str) -> Vec<u8> {
    [&[0x20; 64][..], format!("TLS 1.3, {whose} CertificateVerify\0").as_bytes(), &[7; 32]].concat()
}

fn name_of(message: &ToGate) -> String {
    match message {
        ToGate::Start(_) => "start".into(),
        ToGate::Signature(_) => "signature".into(),
        ToGate::NtlmChallenge { .. } => "challenge".into(),
        ToGate::NtlmVerdict(NtlmVerdict::Proven(_)) => "proven".into(),
        ToGate::NtlmVerdict(NtlmVerdict::Refused) => "disproven".into(),
        ToGate::Reconnect(returning) => format!("reconnect {returning:?}"),
        ToGate::Login => "login".into(),
        ToGate::Link => "link".into(),
        ToGate::Refused(text) => format!("refused: {text}"),
    }
}

//! Seeds of `leader_login` and `gate_login`: one login, from its leader's side and from its gate's.

use super::{Failure, ParseText, write};
use serde::Serialize;
use wrd_proto::{Bytes, ConnectionId, Secret, gate, leader, login};

/// One login from its leader's side, in the steps of `targets/leader_login.rs`.
struct Login(Vec<u8>);

impl Login {
    const GATE: u8 = 0;
    const MONITOR: u8 = 1;
    const GATE_WITH_DESCRIPTOR: u8 = 2;
    const MONITOR_WITH_DESCRIPTOR: u8 = 3;
    const GATE_GOES: u8 = 4;
    const MONITOR_GOES: u8 = 5;
    const ASKS_HIDDEN: u8 = 6;
    const ASKS_SHOWN: u8 = 7;
    const ASKS_YES_OR_NO: u8 = 8;
    const TELLS: u8 = 9;
    const COMPLAINS: u8 = 10;
    const AUTHENTICATED: u8 = 11;
    const ADMITS: u8 = 12;
    const DENIES: u8 = 13;

    fn of(proven: Option<&str>, returning: Option<&str>) -> Result<Self, Failure> {
        let name = |name: Option<&str>| name.map(str::parse_text).transpose();
        let begin = leader::ToLeader::Begin {
            connection: ConnectionId(1),
            client: "192.0.2.7".parse_text()?,
            proven: name(proven)?,
            returning: name(returning)?,
        };
        Self(Vec::new()).says(1, &begin)
    }

    fn then(mut self, steps: &[u8]) -> Self {
        self.0.extend(steps);
        self
    }

    fn says(self, who: u8, message: &impl Serialize) -> Result<Self, Failure> {
        Ok(self.frame(who, &wrd_sys::channel::encode(message)?))
    }

    fn frame(self, who: u8, frame: &[u8]) -> Self {
        self.then(&[who, frame.len() as u8]).then(frame)
    }

    /// The gate has credentials of alice's; PAM asks for the password.
    fn tries(self) -> Result<Self, Failure> {
        Ok(self.says(Self::GATE, &credentials("sway")?)?.frame(Self::ASKS_HIDDEN, b"Password: "))
    }

    fn answers(self, answer: &str) -> Result<Self, Failure> {
        self.says(Self::GATE, &login::FromGate::Answer(Secret::new(answer.as_bytes().to_vec())?))
    }
}

fn credentials(session: &str) -> Result<login::FromGate, Failure> {
    Ok(login::FromGate::Credentials {
        user: "alice".parse_text()?,
        domain: "".parse_text()?,
        password: Secret::new(b"secret".to_vec())?,
        session: login::SessionChoice::Named(session.parse_text()?),
    })
}

pub fn of_leaders() -> Result<(), Failure> {
    let write = |name: &str, login: Login| write("leader_login", name, &login.0);
    let plain = || Login::of(None, None)?.tries();
    let admitted = || Ok::<_, Failure>(plain()?.then(&[Login::AUTHENTICATED, Login::ADMITS, 0]));
    let refused = leader::ToLeader::Refused("no".parse_text()?);
    write("starts", admitted()?.says(Login::MONITOR, &leader::ToLeader::StartSession)?)?;
    write("handed-over", admitted()?.says(Login::MONITOR, &leader::ToLeader::HandedOver)?.then(&[Login::GATE_GOES]))?;
    write("refused", admitted()?.says(Login::MONITOR, &refused)?)?;
    write("no-verdict", admitted()?)?;
    write("monitor-gone-before-its-verdict", admitted()?.then(&[Login::MONITOR_GOES]))?;
    write("gate-gone-before-the-verdict", admitted()?.then(&[Login::GATE_GOES]))?;
    let second_factor = plain()?
        .frame(Login::TELLS, b"A code was sent.")
        .answers("123456")?
        .frame(Login::ASKS_HIDDEN, b"Code: ")
        .answers("blue")?
        .frame(Login::ASKS_SHOWN, b"Colour? ")
        .answers("yes")?
        .frame(Login::ASKS_YES_OR_NO, b"Sure?")
        .then(&[Login::AUTHENTICATED])
        .frame(Login::COMPLAINS, b"Your password expires.")
        .then(&[Login::ADMITS, 0])
        .says(Login::MONITOR, &leader::ToLeader::StartSession)?;
    write("second-factor", second_factor)?;
    let quiet = Login::of(None, None)?.says(Login::GATE, &credentials("")?)?.frame(Login::TELLS, b"locked");
    write(
        "told-to-nobody",
        quiet.frame(Login::ASKS_HIDDEN, b"Password: ").frame(Login::COMPLAINS, b"3 failures").then(&[Login::DENIES, 0]),
    )?;
    let mut often = Login::of(None, None)?;
    for _ in 0..6 {
        often = often.tries()?.then(&[Login::DENIES, 0]);
    }
    write("denied-on-and-on", often)?;
    let cancelled = plain()?.says(Login::GATE, &login::FromGate::Cancel)?.frame(Login::ASKS_HIDDEN, b"Code: ");
    write("cancelled-and-admitted", cancelled.then(&[Login::ADMITS, 0]).tries()?.then(&[Login::ADMITS, 0]))?;
    let mut many = plain()?;
    for _ in 0..66 {
        many = many.answers("x")?.frame(Login::ASKS_HIDDEN, b"Code: ");
    }
    write("too-many-questions", many.then(&[Login::ADMITS, 0]))?;
    let gone = plain()?.then(&[Login::GATE_GOES]).frame(Login::ASKS_HIDDEN, b"Code: ");
    write("gone-and-admitted", gone.then(&[Login::ADMITS, 0]))?;
    write("answer-to-nothing", Login::of(None, None)?.answers("x")?)?;
    let other = plain()?.says(Login::GATE, &credentials("")?)?.frame(Login::ASKS_HIDDEN, b"Code: ");
    write("credentials-for-an-answer", other.then(&[Login::ADMITS, 0]))?;
    write("no-session-of-that-name", Login::of(None, None)?.says(Login::GATE, &credentials("../x")?)?)?;
    write("malformed", Login::of(None, None)?.frame(Login::GATE, &[9, 9, 9]))?;
    let descriptor = Login::of(None, None)?;
    write("with-descriptor", descriptor.says(Login::GATE_WITH_DESCRIPTOR, &credentials("")?)?)?;
    let early = Login::of(None, None)?.says(Login::MONITOR, &leader::ToLeader::StartSession)?;
    write("verdict-before-the-login", early.tries()?.then(&[Login::ADMITS, 0]))?;
    let asked = plain()?.says(Login::MONITOR_WITH_DESCRIPTOR, &refused)?.frame(Login::ASKS_HIDDEN, b"Code: ");
    write("verdict-in-a-question", asked.then(&[Login::ADMITS, 0]))?;
    let proven = || Login::of(Some("alice"), None)?.tries();
    write("proven", proven()?.then(&[Login::ADMITS, 0]).says(Login::MONITOR, &leader::ToLeader::StartSession)?)?;
    write("proven-another", proven()?.then(&[Login::ADMITS, 1]).tries()?.then(&[Login::ADMITS, 1]))?;
    write("stale", proven()?.then(&[Login::DENIES, 0]).tries()?.then(&[Login::DENIES, 2]))?;
    let back = || Login::of(None, Some("alice"));
    let admits = [Login::ADMITS, 0];
    write("comes-back", back()?.then(&admits).says(Login::MONITOR, &leader::ToLeader::HandedOver)?)?;
    write("comes-back-to-start", back()?.then(&admits).says(Login::MONITOR, &leader::ToLeader::StartSession)?)?;
    write("comes-back-denied", back()?.then(&[Login::DENIES, 1]).tries()?.then(&admits))?;
    write("comes-back-for-good", back()?.then(&[Login::DENIES, 2]))?;
    let mut two = Login::of(None, None)?.tries()?;
    two.0[0] = 2;
    write("two-descriptors", two)
}

/// One login from its gate's side, in the steps of `targets/gate_login.rs`.
pub fn of_gates() -> Result<(), Failure> {
    const MONITOR: u8 = 0;
    const MONITOR_WITH_DESCRIPTOR: u8 = 1;
    const MONITOR_WITH_TWO: u8 = 2;
    const LEADER: u8 = 3;
    const LEADER_WITH_DESCRIPTOR: u8 = 4;
    const LOOKS: u8 = 5;
    const SUBMITS: u8 = 6;
    const COMES_BACK: u8 = 7;
    const ANSWERS: u8 = 8;
    const CANCELS: u8 = 9;
    const SIGNS: u8 = 10;
    const CHALLENGES: u8 = 11;
    const PROVES: u8 = 12;
    const MONITOR_GOES: u8 = 13;
    const LEADER_GOES: u8 = 14;
    let write = |name: &str, login: Login| write("gate_login", name, &login.0);
    let begin = || Login(Vec::new()).then(&[SUBMITS]).says(MONITOR_WITH_DESCRIPTOR, &gate::ToGate::Login);
    let tries = || Ok::<_, Failure>(begin()?.then(&[LOOKS]));
    let denied = |may_retry| Ok::<_, Failure>(login::FromLeader::Denied { text: "no".parse_text()?, may_retry });
    let ask = login::FromLeader::Ask { kind: login::Prompt::Hidden, text: "Code:".parse_text()? };
    let tell = login::FromLeader::Tell { tone: login::Tone::Info, text: "sent".parse_text()? };
    let failed = login::FromLeader::SessionFailed { text: "no".parse_text()? };
    let accepted = || Ok::<_, Failure>(tries()?.says(LEADER, &login::FromLeader::Accepted)?.then(&[LOOKS]));
    let refused = gate::ToGate::Refused("no".parse_text()?);
    write("link", accepted()?.says(MONITOR_WITH_DESCRIPTOR, &gate::ToGate::Link)?.then(&[LOOKS, SUBMITS]))?;
    write("link-at-once", tries()?.says(MONITOR_WITH_DESCRIPTOR, &gate::ToGate::Link)?)?;
    let gone = accepted()?.then(&[LEADER_GOES, LOOKS]);
    write("leader-done", gone.says(MONITOR_WITH_DESCRIPTOR, &gate::ToGate::Link)?)?;
    write("session-failed", accepted()?.says(LEADER, &failed)?)?;
    write("refused", tries()?.says(MONITOR, &refused)?.then(&[LOOKS, CANCELS]))?;
    write("again", tries()?.says(LEADER, &denied(true)?)?.then(&[LOOKS, SUBMITS]).says(LEADER, &denied(false)?)?)?;
    let asked = || Ok::<_, Failure>(tries()?.says(LEADER, &tell)?.says(LEADER, &ask)?.then(&[LOOKS]));
    write("answers", asked()?.then(&[ANSWERS]).says(LEADER, &login::FromLeader::Accepted)?)?;
    write("cancels", asked()?.then(&[CANCELS]).says(LEADER, &denied(true)?)?.then(&[LOOKS, SUBMITS]))?;
    write("asked-too-long", asked()?.says(LEADER, &denied(false)?)?)?;
    write("asked-twice", asked()?.says(LEADER, &ask)?)?;
    write("submits-for-an-answer", asked()?.then(&[SUBMITS]))?;
    write("answers-nothing", tries()?.then(&[ANSWERS]))?;
    write("accepted-twice", accepted()?.says(LEADER, &login::FromLeader::Accepted)?)?;
    let unasked = Login(Vec::new()).says(MONITOR_WITH_DESCRIPTOR, &gate::ToGate::Login)?;
    write("login-for-nothing", unasked.says(LEADER, &login::FromLeader::Accepted)?)?;
    write("login-without-descriptor", Login(vec![SUBMITS]).says(MONITOR, &gate::ToGate::Login)?)?;
    write("login-with-two", Login(vec![SUBMITS]).says(MONITOR_WITH_TWO, &gate::ToGate::Login)?)?;
    let twice = tries()?.says(MONITOR_WITH_DESCRIPTOR, &gate::ToGate::Login)?.then(&[LOOKS]);
    let twice = twice.says(LEADER, &login::FromLeader::Accepted)?;
    write("login-twice", twice.says(MONITOR_WITH_DESCRIPTOR, &gate::ToGate::Link)?)?;
    write("link-for-nothing", Login(vec![SUBMITS]).says(MONITOR_WITH_DESCRIPTOR, &gate::ToGate::Link)?)?;
    write("leader-with-descriptor", tries()?.says(LEADER_WITH_DESCRIPTOR, &ask)?)?;
    write("malformed", tries()?.frame(LEADER, &[9, 9, 9]))?;
    write("monitor-malformed", Login(vec![SUBMITS]).frame(MONITOR, &[99]))?;
    write("monitor-gone", tries()?.then(&[MONITOR_GOES, LOOKS, SUBMITS]))?;
    write("leader-gone", tries()?.then(&[LEADER_GOES]))?;
    let back = |returning| Login(Vec::new()).says(COMES_BACK, &gate::ToGate::Reconnect(returning));
    let granted = back(gate::Returning::Granted)?.says(MONITOR_WITH_DESCRIPTOR, &gate::ToGate::Login)?.then(&[LOOKS]);
    let granted = granted.says(LEADER, &login::FromLeader::Accepted)?.then(&[LOOKS]);
    write("comes-back", granted.says(MONITOR_WITH_DESCRIPTOR, &gate::ToGate::Link)?)?;
    write("comes-back-in-vain", back(gate::Returning::Refused)?.then(&[SUBMITS]))?;
    let signature = gate::ToGate::Signature(Bytes::try_from(vec![7; 64])?);
    let verdict = gate::ToGate::NtlmVerdict(gate::NtlmVerdict::Proven(gate::SessionKey::new([7; 16])));
    let nla = Login(Vec::new()).says(SIGNS, &signature)?;
    let nla = nla.says(CHALLENGES, &gate::ToGate::NtlmChallenge { challenge: [7; 8] })?.says(PROVES, &verdict)?;
    write("nla", nla.then(&[SUBMITS]).says(MONITOR_WITH_DESCRIPTOR, &gate::ToGate::Login)?)?;
    write("out-of-turn", Login(Vec::new()).says(SIGNS, &verdict)?.says(PROVES, &refused)?)
}

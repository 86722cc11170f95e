//! The request table against a model of it: one connection and one session, whose gate, leader and session's
//! leader say anything in any order. The model is the matrix below and the few lines that go from row to row;
//! the two must agree after every word on what is allowed and where the connection stands.

use super::connection::Stage;
use super::*;
use proptest::prelude::*;
use wrd_proto::gate::{Security, SessionKey, ToMonitor};
use wrd_proto::leader::FromLeader;
use wrd_proto::reconnect::Claim;
use wrd_proto::session::FromSession;

/// What a gate and the leader of its login may say, by the connection's stage. All of it once, Denied and Tries five times, Asks
/// and Answered 64 times; the gate nothing after Failed.
const ALLOWED: &[(&str, &str)] = &[
    ("Unsigned", "Sign Failed"),
    ("Signed, auto", "NtlmChallenge Screen OpenLogin Reconnect Failed"),
    ("Signed, NLA required", "NtlmChallenge Failed"),
    ("Signed, no NLA", "Screen OpenLogin Reconnect Failed"),
    ("Challenged", "NtlmProof Failed"),
    ("Disproven", "Failed"),
    ("Proven", "Screen OpenLogin Reconnect Failed"),
    ("Screen", "OpenLogin Failed"),
    ("Login", "Screen Failed Denied Stale Tries Asks Answered Authenticated Broken"),
    ("Starting", "Screen Failed SessionReady SessionFailed"),
    ("Waiting", "Screen Failed"),
    ("Attaching", "Screen Failed"),
    ("Linked", "Screen Failed Relaying"),
    ("Relaying", ""),
    ("Over", "Screen Failed"),
];

/// What a session's leader may say, by the phase of the session. Ending once, the others always.
const ALLOWED_TO_SESSIONS: &[(&str, &str)] = &[
    ("Joining", "Description Changed Left Ending"),
    ("Live", "Description Changed Left Ending Attached AttachRefused"),
    ("Ending", "Description Changed Left Ending Attached AttachRefused"),
];

const UID: u32 = 1000;
pub(super) const ALL: &[Security] = &[Security::Auto, Security::NlaPreferred, Security::NlaRequired, Security::Tls];

/// Whom a client proves to be: the one whose login comes, another, or nobody.
const ALICE: &str = "alice";
const BOB: &str = "bob";
const NOBODY: &str = "nobody";

/// Where the model is.
struct Model {
    security: Security,
    proven: &'static str,
    stage: &'static str,
    phase: &'static str,
    gate_speaks: bool,
    leader_speaks: bool,
    said: Vec<&'static str>,
    authenticated: bool,
}

impl Model {
    fn new(security: Security) -> Self {
        Self {
            security,
            proven: "",
            stage: "Unsigned",
            phase: "none",
            gate_speaks: true,
            leader_speaks: false,
            said: Vec::new(),
            authenticated: false,
        }
    }

    fn allows(&self, name: &'static str) -> bool {
        let row = ALLOWED.iter().find(|(stage, _)| *stage == self.stage).map_or("", |(_, row)| row);
        let most = match name {
            "Denied" | "Tries" => 5,
            "Asks" | "Answered" => 64,
            _ => 1,
        };
        let is_gates = GATES.contains(&name);
        let over = is_gates && self.times("Failed") > 0;
        row.split(' ').any(|allowed| allowed == name) && self.times(name) < most && !over
    }

    fn allows_session(&self, name: &'static str) -> bool {
        let row = ALLOWED_TO_SESSIONS.iter().find(|(phase, _)| *phase == self.phase).map_or("", |(_, row)| row);
        row.split(' ').any(|allowed| allowed == name) && !(name == "Ending" && self.times(name) > 0)
    }

    fn times(&self, name: &'static str) -> usize {
        self.said.iter().filter(|said| **said == name).count()
    }

    /// What follows from a message that was allowed.
    fn take(&mut self, name: &'static str) {
        self.said.push(name);
        match name {
            "Sign" => self.stage = signed(self.security),
            "NtlmChallenge" => self.stage = "Challenged",
            "NtlmProof" => self.stage = if self.proven == NOBODY { "Disproven" } else { "Proven" },
            "Screen" if self.stage.starts_with("Signed") => self.stage = "Screen",
            "OpenLogin" => (self.stage, self.leader_speaks) = ("Login", true),
            // NLA has proven somebody else.
            "Authenticated" if self.proven == BOB => (self.stage, self.leader_speaks) = ("Over", false),
            // Nobody has a session yet: this login's leader is told to start one.
            "Authenticated" => (self.stage, self.authenticated) = ("Starting", true),
            // Nobody is there any more to be brought to it.
            "SessionReady" if self.times("Failed") > 0 => {
                (self.stage, self.leader_speaks, self.phase) = ("Over", false, "Joining");
            }
            "SessionReady" => (self.stage, self.leader_speaks, self.phase) = ("Waiting", false, "Joining"),
            "SessionFailed" => (self.stage, self.leader_speaks) = ("Over", false),
            "Relaying" => self.stage = "Relaying",
            // A session that is being started is started all the same: its user may come back.
            "Failed" if self.stage == "Starting" => {}
            "Failed" => (self.stage, self.leader_speaks) = ("Over", false),
            "Description" | "Changed" if self.phase == "Joining" => {
                self.phase = "Live";
                if self.stage == "Waiting" {
                    self.stage = "Attaching";
                }
            }
            "Attached" if self.stage == "Attaching" => self.stage = "Linked",
            "AttachRefused" if self.stage == "Attaching" => match self.phase {
                // There is no leader any more that could start another one.
                "Ending" | "Live" => self.stage = "Over",
                _ => {}
            },
            "Ending" => self.phase = "Ending",
            _ => {}
        }
    }
}

const GATES: [&str; 8] =
    ["Sign", "NtlmChallenge", "NtlmProof", "Screen", "OpenLogin", "Reconnect", "Relaying", "Failed"];

fn signed(security: Security) -> &'static str {
    match security {
        Security::Auto | Security::NlaPreferred => "Signed, auto",
        Security::NlaRequired => "Signed, NLA required",
        Security::Tls => "Signed, no NLA",
    }
}

#[derive(Clone, Debug)]
enum Word {
    Gate(ToMonitor),
    Leader(FromLeader),
    Session(FromSession),
}

fn name(word: &Word) -> &'static str {
    match word {
        Word::Gate(message) => requests::of_gate(message).name,
        Word::Leader(message) => requests::of_leader(message).name,
        Word::Session(message) => requests::of_session(message).name,
    }
}

fn every_word() -> Vec<Word> {
    let text = || Line::truncated("x");
    let user = || UserName::truncated("alice");
    let described = || SessionInfo { state: State::Disconnected, ..starting(UID, user()) };
    let connection = ConnectionId(1);
    let proofs = [ALICE, ALICE, BOB, NOBODY].map(|name| Word::Gate(ToMonitor::NtlmProof(proof_of(name))));
    let mut words = vec![
        Word::Gate(ToMonitor::Sign { scheme: 0x0403, message: Bytes::default() }),
        Word::Gate(ToMonitor::NtlmChallenge),
        Word::Gate(ToMonitor::Screen),
        Word::Gate(ToMonitor::OpenLogin),
        Word::Gate(ToMonitor::Reconnect(Claim { logon_id: 1, verifier: SessionKey::new([1; 16]) })),
        Word::Gate(ToMonitor::Relaying),
        Word::Gate(ToMonitor::Failed { stage: wrd_proto::gate::Stage::Tls, reason: text() }),
        Word::Leader(FromLeader::Denied { user: user(), text: text(), pause_ms: 2000 }),
        Word::Leader(FromLeader::Authenticated { uid: UID, user: user() }),
        Word::Leader(FromLeader::Tries),
        Word::Leader(FromLeader::Asks),
        Word::Leader(FromLeader::Answered),
        Word::Leader(FromLeader::Stale),
        Word::Leader(FromLeader::Broken { reason: text() }),
        Word::Leader(FromLeader::SessionReady),
        Word::Leader(FromLeader::SessionFailed { text: text() }),
        Word::Session(FromSession::Description(described())),
        Word::Session(FromSession::Changed(described())),
        Word::Session(FromSession::Attached { connection }),
        Word::Session(FromSession::AttachRefused { connection, text: text() }),
        Word::Session(FromSession::Left { connection }),
        Word::Session(FromSession::Ending { reason: text() }),
    ];
    words.extend(proofs);
    words
}

pub(super) fn proof_of(name: &str) -> NtlmProof {
    NtlmProof {
        user: UserName::truncated(name),
        domain: Default::default(),
        proof: [1; 16],
        client_challenge: Bytes::default(),
        encrypted_session_key: None,
        mic: [1; 16],
        negotiate: Bytes::default(),
        challenge: Bytes::default(),
        authenticate: Bytes::default(),
    }
}

/// The right words in their order, of which random ones are left out and among which others come.
fn words() -> impl Strategy<Value = Vec<Word>> {
    prop_oneof![story(&["Sign"]), story(&["Sign", "NtlmChallenge", "NtlmProof"])]
}

fn story(first: &'static [&'static str]) -> impl Strategy<Value = Vec<Word>> {
    let story = ["OpenLogin", "Authenticated", "SessionReady", "Description", "Attached", "Relaying"];
    let word = || proptest::sample::select(every_word());
    let step = |wanted: &'static str| {
        let right: Vec<_> = every_word().into_iter().filter(|word| name(word) == wanted).collect();
        let right = proptest::option::weighted(0.95, proptest::sample::select(right));
        let others = proptest::option::weighted(0.2, word());
        (others, right).prop_map(|(other, right)| other.into_iter().chain(right).collect::<Vec<_>>())
    };
    let any = proptest::collection::vec(word(), 0..3);
    let steps: Vec<_> = first.iter().copied().chain(story).map(step).collect();
    (steps, any).prop_map(|(steps, rest)| steps.into_iter().flatten().chain(rest).collect())
}

fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Unsigned => "Unsigned",
        Stage::Signed(security) => signed(security),
        Stage::Challenged => "Challenged",
        Stage::Proving => "Proving",
        Stage::Disproven => "Disproven",
        Stage::Proven => "Proven",
        Stage::Screen => "Screen",
        Stage::Login => "Login",
        Stage::Waiting(UID) => "Waiting",
        Stage::Starting(UID) => "Starting",
        Stage::Attaching(UID) => "Attaching",
        Stage::Linked(UID) => "Linked",
        Stage::Relaying(UID) => "Relaying",
        Stage::Over => "Over",
        _ => "of another uid",
    }
}

/// What the table wants done of what matters here.
#[derive(Default, Debug, PartialEq)]
struct Done {
    ended: bool,
    broken: bool,
    session_fault: bool,
}

fn settle(table: &mut Table, now: Instant, running: bool) -> Done {
    let mut done = Done::default();
    while let Some(action) = table.next_action() {
        match action {
            Action::EndGate(_) => done.ended = true,
            Action::Challenge(id) => table.challenged(id, [7; 8]),
            Action::Judge(id, proof) => {
                assert_eq!((table.take_challenge(id), table.take_challenge(id)), (Some([7; 8]), None));
                let uid = if proof.user.as_str() == ALICE { UID } else { UID + 1 };
                let key = SessionKey::new([uid as u8; 16]);
                match proof.user.as_str() {
                    NOBODY => table.not_proven(id, proof.user.clone(), Line::truncated("x"), now),
                    _ => table.proven(id, Proven { uid, name: proof.user }, key),
                }
            }
            Action::Look(uid) => {
                table.looked(uid, if running { Looked::Found } else { Looked::Missing }, now);
            }
            Action::Note(Note::Broken { .. }) => done.broken = true,
            Action::Note(Note::SessionFault { .. }) => done.session_fault = true,
            _ => {}
        }
    }
    done
}

#[test]
fn only_a_leader_that_says_so_lets_anybody_in() {
    use requests::Decides::{Authentication, Nothing};
    for word in every_word() {
        let decides = match &word {
            Word::Gate(message) => requests::of_gate(message).decides,
            Word::Leader(message) => requests::of_leader(message).decides,
            Word::Session(message) => requests::of_session(message).decides,
        };
        let expected = if name(&word) == "Authenticated" { Authentication } else { Nothing };
        assert_eq!(decides, expected, "{}", name(&word));
    }

    // And where another request comes to it all the same, that is a fault, and the connection ends.
    let (now, id, second) = (Instant::now(), ConnectionId(1), Duration::from_secs(1));
    let mut table = Table::new(Timing { login: second, screen: second, start: second, reconnect: second });
    table.accepted(id, Address::truncated("192.0.2.7"), Security::Tls, now);
    table.gate_says(id, ToMonitor::Sign { scheme: 0x0403, message: Bytes::default() }, now);
    table.gate_says(id, ToMonitor::OpenLogin, now);
    let named = FromLeader::Authenticated { uid: UID, user: UserName::truncated(ALICE) };
    let screen = requests::of_gate(&ToMonitor::Screen);
    let fault = table.ask(id, screen, |table| table.leader_says(id, named, now)).unwrap_err();
    assert_eq!(fault, "Screen, which does not decide, and was let in");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn the_table_allows_what_the_matrix_allows(words in words(), security in proptest::sample::select(ALL)) {
        let now = Instant::now();
        let timing = Timing { login: Duration::from_secs(9), screen: Duration::from_secs(9), start: Duration::from_secs(9), reconnect: Duration::from_secs(9) };
        let (mut table, mut model, id) = (Table::new(timing), Model::new(security), ConnectionId(1));
        prop_assert_eq!(table.unused_id(), id);
        table.accepted(id, Address::truncated("192.0.2.7"), security, now);
        for word in words {
            let said = name(&word);
            let (heard, allowed) = match &word {
                Word::Gate(_) => (model.gate_speaks, model.allows(said)),
                Word::Leader(_) => (model.leader_speaks, model.allows(said)),
                Word::Session(_) => (model.phase != "none", model.allows_session(said)),
            };
            if let Word::Gate(ToMonitor::NtlmProof(proof)) = &word
                && heard
                && allowed
            {
                model.proven = [ALICE, BOB, NOBODY].into_iter().find(|name| *name == proof.user.as_str()).unwrap_or("");
            }
            let is_session = matches!(word, Word::Session(_));
            match word {
                Word::Gate(message) => table.gate_says(id, message, now),
                Word::Leader(message) => table.leader_says(id, message, now),
                Word::Session(message) if model.phase != "none" => table.session_says(UID, message, now),
                // There is no socket that it could come from.
                Word::Session(_) => {}
            }
            // What is not heard changes nothing.
            let running = model.phase != "none" || (heard && allowed && said == "SessionReady");
            let done = settle(&mut table, now, running);
            let wrong = heard && !allowed;
            let ends = (wrong && !is_session) || (heard && said == "Broken");
            prop_assert_eq!(done.broken, ends, "{} while {}", said, model.stage);
            prop_assert_eq!(done.session_fault, wrong && is_session, "{} while {}", said, model.phase);
            prop_assert_eq!(done.ended, ends, "{} while {}", said, model.stage);
            if wrong || ends {
                // Nothing more is heard of it, whatever was allowed before.
                break;
            }
            if heard {
                model.take(said);
            }
            let connection = table.connection(id);
            prop_assert_eq!(connection.map(|connection| stage_name(connection.stage)), Some(model.stage), "after {}", said);
            prop_assert_eq!(connection.is_some_and(Connection::is_authenticated), model.authenticated, "after {}", said);
        }
    }
}

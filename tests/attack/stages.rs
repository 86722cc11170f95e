//! What a gate may say, and at which stages the rogue says everything else: a list by hand, so that a mistake in the
//! monitor's request table is seen as one. It is held against that table, so that nothing which is added there goes
//! unplayed.

use anyhow::ensure;
use wrd_dm::table::{self, gate_may_say};
use wrd_proto::gate::{NtlmProof, Security, SessionKey, ToMonitor};
use wrd_proto::reconnect::Claim;
use wrd_proto::{Bytes, Line, UserName};

/// Every one of them, or this does not compile.
macro_rules! every_request {
    ($($name:literal: $request:ident $fields:tt,)*) => {
        /// What a gate can ask for, and what the journal calls it.
        pub const REQUESTS: &[(&str, &str)] = &[$(($name, stringify!($request))),*];

        fn requests() -> Vec<(&'static str, ToMonitor)> {
            let _ = |request: ToMonitor| match request { $(ToMonitor::$request { .. } => {})* };
            vec![$(($name, ToMonitor::$request $fields)),*]
        }
    };
}

every_request! {
    "sign": Sign { scheme: 0x0403, message: Bytes::default() },
    "ntlm-challenge": NtlmChallenge {},
    "ntlm-proof": NtlmProof { 0: proof() },
    "screen": Screen {},
    "open-login": OpenLogin {},
    "reconnect": Reconnect { 0: Claim { logon_id: 1, verifier: SessionKey::new([1; 16]) } },
    "relaying": Relaying {},
    "failed": Failed { stage: wrd_proto::gate::Stage::Tls, reason: Line::default() },
}

/// Every one of the monitor's, or this does not compile; and which ones of the rogue's those are.
macro_rules! every_stage {
    ($($stage:ident $(($of:expr))?: $names:expr,)*) => {
        fn stages() -> Vec<(table::Stage, &'static [&'static str])> {
            let _ = |stage: table::Stage| match stage { $(table::Stage::$stage { .. } => {})* };
            vec![$((table::Stage::$stage $(($of))?, &$names)),*]
        }
    };
}

every_stage! {
    Unsigned: ["start"],
    Signed(Security::Auto): ["signed", "turned-back"],
    Challenged: ["challenged"],
    // Here the monitor judges, and lets time pass.
    Proving: [],
    Disproven: [],
    Proven: ["proven"],
    Screen: ["screen"],
    Login: ["login", "denied"],
    // Between login and link the monitor goes through these by itself; there a gate hits what it hits.
    Waiting(1000): [],
    Starting(1000): ["starting"],
    Attaching(1000): [],
    Linked(1000): ["linked"],
    // The monitor has closed the channel, and nobody listens.
    Relaying(1000): ["relaying"],
    Over: ["disproven", "refused"],
}

/// A stage of a connection that its gate can bring about.
pub struct Stage {
    pub name: &'static str,
    /// Who it takes to come there, in turn.
    pub people: &'static [&'static str],
    /// What may be asked for there.
    pub allowed: &'static str,
    /// What might be, and was already.
    pub said: &'static str,
    /// What the journal says of everything else.
    pub words: &'static str,
}

const fn stage(name: &'static str, allowed: &'static str, words: &'static str) -> Stage {
    Stage { name, people: &[""], allowed, said: "", words }
}

pub const STAGES: &[Stage] = &[
    stage("start", "sign failed", " while Unsigned"),
    stage("signed", "ntlm-challenge screen open-login reconnect failed", " while Signed(Auto)"),
    Stage {
        said: "reconnect",
        ..stage("turned-back", "ntlm-challenge screen open-login failed", " while Signed(Auto)")
    },
    stage("challenged", "ntlm-proof failed", " while Challenged"),
    Stage { people: CAROL, ..stage("proven", "screen open-login reconnect failed", " while Proven") },
    stage("disproven", "screen failed", " while Over"),
    Stage { said: "screen", ..stage("screen", "open-login failed", " while Screen") },
    stage("login", "screen failed", " while Login"),
    stage("denied", "screen failed", " while Login"),
    stage("refused", "screen failed", " while Over"),
    Stage { people: VICTIMS_OF_STARTS, ..stage("starting", "screen failed", SOMEWHERE) },
    Stage { people: CAROL, ..stage("linked", "screen relaying failed", " while Linked(") },
    Stage { people: CAROL, ..stage("relaying", "", "") },
    stage(LAST_WORD, "", " after its last word"),
];

/// Where nobody gets in but by NLA.
pub const SIGNED_FOR_NLA: Stage = stage("signed", "ntlm-challenge failed", " while Signed(NlaRequired)");

/// No stage of the monitor's: whatever is said behind this is wrong.
const LAST_WORD: &str = "failed";

const CAROL: &[&str] = &[" carol pw-carol"];
const VICTIMS_OF_STARTS: &[&str] =
    &[" erin pw-erin", " frank pw-frank", " erin pw-erin", " frank pw-frank", " erin pw-erin", " grace pw-grace"];
/// Where a gate says it on the way to its link, which may be on its way to the gate by then.
const SOMEWHERE: &str = " while ";

/// Whether this list and the monitor's table say the same.
pub fn agree_with_the_monitor() -> anyhow::Result<()> {
    let mut rows = vec![(table::Stage::Signed(Security::NlaRequired), &SIGNED_FOR_NLA)];
    for (stage, names) in stages() {
        let found: Vec<_> = STAGES.iter().filter(|row| names.contains(&row.name)).map(|row| (stage, row)).collect();
        ensure!(found.len() == names.len(), "not all of {names:?} are played");
        rows.extend(found);
    }
    let strayed =
        STAGES.iter().find(|row| row.name != LAST_WORD && !rows.iter().any(|(_, known)| known.name == row.name));
    ensure!(strayed.is_none(), "{:?} is no stage of the monitor's", strayed.map(|row| row.name));
    for (stage, row) in rows {
        for (name, request) in requests() {
            let is_listed = row.allowed.split(' ').chain([row.said]).any(|allowed| allowed == name);
            ensure!(
                gate_may_say(&request, stage) == is_listed,
                "{name} while {stage:?}: the monitor's table and the rogue's ({}) differ",
                row.name
            );
        }
        let in_journal = format!(" while {stage:?}");
        ensure!(in_journal.starts_with(row.words), "{}: the journal will not say {:?}", row.name, row.words);
    }
    Ok(())
}

fn proof() -> NtlmProof {
    NtlmProof {
        user: UserName::default(),
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

//! The request table: what a gate, the leader of its login and the leader of a session may say, and when.
//! Every message kind has one rule here, and [`Table::ask`] and [`Table::session_says`] are the only ways to
//! an answer: what the rule does not allow ends the connection, or the channel to the session, with a line
//! in the journal. Deliberately absent: what the answers are.
//!
//! No message of a gate's names a uid, a path or a descriptor (see [`ToMonitor`]); a leader's names a uid, but which
//! leader speaks for which connection is known by its socket, never by what it says.

use super::connection::Stage;
use super::session::Phase;
use std::collections::BTreeMap;
use wrd_proto::gate::ToMonitor;
use wrd_proto::leader::{FromLeader, MAX_TRIES};
use wrd_proto::login::MAX_QUESTIONS;
use wrd_proto::session::FromSession;

/// When a request is allowed.
#[derive(Debug)]
pub struct Rule<S: 'static> {
    /// The message's name, for the journal.
    pub name: &'static str,
    /// The stages in which it is allowed.
    stages: fn(S) -> bool,
    /// How often on one connection.
    times: Times,
    /// Whether its answer may be that the connection is authenticated.
    pub decides: Decides,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Times {
    Once,
    AtMost(u32),
    Always,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decides {
    Authentication,
    Nothing,
}

pub fn of_gate(message: &ToMonitor) -> &'static Rule<Stage> {
    match message {
        ToMonitor::Sign { .. } => &SIGN,
        ToMonitor::NtlmChallenge => &NTLM_CHALLENGE,
        ToMonitor::NtlmProof(_) => &NTLM_PROOF,
        ToMonitor::Screen => &SCREEN,
        ToMonitor::OpenLogin => &OPEN_LOGIN,
        ToMonitor::Reconnect(_) => &RECONNECT,
        ToMonitor::Relaying => &RELAYING,
        ToMonitor::Failed { .. } => &FAILED,
    }
}

/// Whether a gate may say this at a stage at all, how often aside.
pub fn gate_may_say(message: &ToMonitor, stage: Stage) -> bool {
    (of_gate(message).stages)(stage)
}

pub fn of_leader(message: &FromLeader) -> &'static Rule<Stage> {
    match message {
        FromLeader::Denied { .. } => &DENIED,
        FromLeader::Authenticated { .. } => &AUTHENTICATED,
        FromLeader::Tries => &TRIES,
        FromLeader::Stale => &STALE,
        FromLeader::Broken { .. } => &BROKEN,
        FromLeader::Asks => &ASKS,
        FromLeader::Answered => &ANSWERED,
        FromLeader::SessionReady => &SESSION_READY,
        FromLeader::SessionFailed { .. } => &SESSION_FAILED,
    }
}

pub fn of_session(message: &FromSession) -> &'static Rule<Phase> {
    match message {
        FromSession::Description(_) => &DESCRIPTION,
        FromSession::Changed(_) => &CHANGED,
        FromSession::Attached { .. } => &ATTACHED,
        FromSession::AttachRefused { .. } => &ATTACH_REFUSED,
        FromSession::Ending { .. } => &ENDING,
        FromSession::Left { .. } => &LEFT,
    }
}

// A gate's.
const SIGN: Rule<Stage> = rule("Sign", |stage| matches!(stage, Stage::Unsigned), Times::Once);
/// Before anything of a login, where policy lets gates choose NLA. That a name is proven lets nobody in: it decides
/// whose login this may be, and the leader decides that one.
const NTLM_CHALLENGE: Rule<Stage> = rule("NtlmChallenge", may_prove, Times::Once);
const NTLM_PROOF: Rule<Stage> = rule("NtlmProof", |stage| matches!(stage, Stage::Challenged), Times::Once);
/// A Client Info login that is refused, or takes its time, ends on the screen too. Its leader may wait for more
/// there, may be gone, or may have been heard first with what came of the credentials; even the link may be on its
/// way when the gate says this.
const SCREEN: Rule<Stage> = rule("Screen", may_show, Times::Once);
const OPEN_LOGIN: Rule<Stage> = rule("OpenLogin", may_log_in, Times::Once);
/// In the place of a login, and where one would be allowed. It lets nobody in by itself: a leader looks at the account.
const RECONNECT: Rule<Stage> = rule("Reconnect", may_return, Times::Once);
const RELAYING: Rule<Stage> = rule("Relaying", |stage| matches!(stage, Stage::Linked(_)), Times::Once);
const FAILED: Rule<Stage> = rule("Failed", |stage| !matches!(stage, Stage::Relaying(_)), Times::Once);

// A leader's.
const TRIES: Rule<Stage> = rule("Tries", |stage| matches!(stage, Stage::Login), Times::AtMost(MAX_TRIES));
const DENIED: Rule<Stage> = rule("Denied", |stage| matches!(stage, Stage::Login), Times::AtMost(MAX_TRIES));
const AUTHENTICATED: Rule<Stage> = deciding("Authenticated", |stage| matches!(stage, Stage::Login), Times::Once);
const STALE: Rule<Stage> = rule("Stale", |stage| matches!(stage, Stage::Login), Times::Once);
/// A question may be cancelled, which is no answer.
const ASKS: Rule<Stage> = rule("Asks", |stage| matches!(stage, Stage::Login), Times::AtMost(MAX_QUESTIONS));
const ANSWERED: Rule<Stage> = rule("Answered", |stage| matches!(stage, Stage::Login), Times::AtMost(MAX_QUESTIONS));
const BROKEN: Rule<Stage> = rule("Broken", |stage| matches!(stage, Stage::Login), Times::Once);
const SESSION_READY: Rule<Stage> = rule("SessionReady", |stage| matches!(stage, Stage::Starting(_)), Times::Once);
const SESSION_FAILED: Rule<Stage> = rule("SessionFailed", |stage| matches!(stage, Stage::Starting(_)), Times::Once);

// A session's leader's.
const DESCRIPTION: Rule<Phase> = rule("Description", is_connected, Times::Always);
const CHANGED: Rule<Phase> = rule("Changed", is_connected, Times::Always);
const ATTACHED: Rule<Phase> = rule("Attached", may_attach, Times::Always);
const ATTACH_REFUSED: Rule<Phase> = rule("AttachRefused", may_attach, Times::Always);
const ENDING: Rule<Phase> = rule("Ending", is_connected, Times::Once);
const LEFT: Rule<Phase> = rule("Left", is_connected, Times::Always);

fn may_prove(stage: Stage) -> bool {
    matches!(stage, Stage::Signed(security) if security.allows_nla())
}

/// An NLA that was begun is ended first, and where it is required there is nothing without it.
fn may_log_in(stage: Stage) -> bool {
    match stage {
        Stage::Signed(security) => !security.requires_nla(),
        Stage::Proven | Stage::Screen => true,
        _ => false,
    }
}

/// Before anybody is at the screen: nothing but Client Info has a cookie.
fn may_return(stage: Stage) -> bool {
    stage != Stage::Screen && may_log_in(stage)
}

fn may_show(stage: Stage) -> bool {
    match stage {
        Stage::Unsigned | Stage::Challenged | Stage::Proving | Stage::Disproven | Stage::Relaying(_) => false,
        Stage::Signed(_) => may_log_in(stage),
        _ => true,
    }
}

fn is_connected(phase: Phase) -> bool {
    matches!(phase, Phase::Joining | Phase::Live | Phase::Ending)
}

/// Nothing is offered to a session before it is live.
fn may_attach(phase: Phase) -> bool {
    matches!(phase, Phase::Live | Phase::Ending)
}

const fn rule<S>(name: &'static str, stages: fn(S) -> bool, times: Times) -> Rule<S> {
    Rule { name, stages, times, decides: Decides::Nothing }
}

const fn deciding<S>(name: &'static str, stages: fn(S) -> bool, times: Times) -> Rule<S> {
    Rule { name, stages, times, decides: Decides::Authentication }
}

impl<S: Copy + std::fmt::Debug> Rule<S> {
    /// Counts a request that is allowed; of one that is not, says why.
    pub fn check(&self, stage: S, asked: &mut Asked) -> Result<(), String> {
        if !(self.stages)(stage) {
            return Err(format!("{} while {stage:?}", self.name));
        }
        let allowed = match self.times {
            Times::Once => 1,
            Times::AtMost(times) => times,
            Times::Always => return Ok(()),
        };
        let count = asked.0.entry(self.name).or_default();
        if *count >= allowed {
            return Err(format!("{} more than {allowed} times", self.name));
        }
        *count += 1;
        Ok(())
    }
}

/// What was asked so far, of all that is counted.
#[derive(Debug, Default)]
pub struct Asked(BTreeMap<&'static str, u32>);

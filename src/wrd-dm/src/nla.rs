//! What the monitor does for NLA: it makes the challenges and asks who is enrolled. [`ntlm`] is the judge.
//!
//! Always true: an NT hash leaves this process in no form; what is derived of it for one connection does.

use crate::enrolment::{Enrolled, Store};
use crate::monitor::Monitor;
use crate::ntlm::{self, Refused};
use crate::places::{Authority, Mode};
use crate::standalone;
use crate::table::Proven;
use anyhow::Context;
use nix::unistd::geteuid;
use std::time::Instant;
use wrd_enrol::{EntryName, NtHash};
use wrd_proto::gate::{NtlmProof, SessionKey, ToGate};
use wrd_proto::names::meanings;
use wrd_proto::{ConnectionId, Line, UserName};

/// What NLA needs besides the store.
pub struct Nla {
    /// In the place of the hash of whoever is not enrolled.
    decoy: NtHash,
    /// The only user there is, where a one-time password is all there is.
    only: Option<Enrolled>,
}

impl Nla {
    pub fn new(mode: &Mode) -> anyhow::Result<Self> {
        let mut decoy = [0; NtHash::LEN];
        getrandom::fill(&mut decoy).context("no randomness")?;
        let only = match mode {
            Mode::Standalone(Authority::OneTimePassword(password)) => owner(password),
            _ => None,
        };
        Ok(Self { decoy: NtHash::from(decoy), only })
    }

    /// Who has proven to be whom, and the key that they have from it.
    fn judge(
        &self,
        proof: &NtlmProof,
        challenge: &[u8; 8],
        store: Option<&mut Store>,
    ) -> Result<(Proven, SessionKey), Refused> {
        let enrolled = match store {
            Some(store) => meanings(&proof.user).find_map(|name| store.lookup(name)),
            None => self.only.clone().filter(|only| meanings(&proof.user).any(|name| name == &*only.name)),
        };
        let hash = enrolled.as_ref().map(|enrolled| enrolled.hash.expose());
        let key = ntlm::judge(proof, challenge, hash, self.decoy.expose())?;
        let Enrolled { uid, name, .. } = enrolled.ok_or(Refused::Proof)?;
        Ok((Proven { uid, name: UserName::truncated(&name) }, key))
    }
}

/// This process's user with the one-time password.
fn owner(password: &str) -> Option<Enrolled> {
    let name = EntryName::try_from(standalone::own_name()?.as_str()).ok()?;
    let hash = NtHash::of_password(password.as_bytes()).ok()?;
    Some(Enrolled { uid: geteuid().as_raw(), name, hash })
}

impl Monitor {
    pub fn challenge(&mut self, id: ConnectionId) {
        let mut challenge = [0; 8];
        if let Err(error) = getrandom::fill(&mut challenge) {
            return self.table.unserved(id, &format!("no randomness for its challenge: {error}"));
        }
        self.table.challenged(id, challenge);
        self.tell_gate(id, &ToGate::NtlmChallenge { challenge }, None);
    }

    pub fn judge_proof(&mut self, id: ConnectionId, proof: &NtlmProof) {
        let heard = Instant::now();
        let Some(challenge) = self.table.take_challenge(id) else { return };
        match self.nla.judge(proof, &challenge, self.enrolment.as_mut()) {
            Ok((proven, key)) => self.table.proven(id, proven, key),
            Err(refused) => {
                let text = Line::truncated(&refused.to_string());
                self.table.not_proven(id, proof.user.clone(), text, heard);
            }
        }
    }

    /// PAM disagrees with what is enrolled.
    pub fn forget_enrolment(&mut self, proven: &Proven) {
        let Some(store) = &mut self.enrolment else { return };
        let Proven { uid, name } = proven;
        match store.forget(name) {
            Ok(true) => {
                tracing::warn!("enrolment removed: PAM does not let in by it; user={name:?} uid={uid}");
            }
            Ok(false) => {}
            Err(error) => tracing::warn!("enrolment cannot be removed: {error:#}; user={name:?} uid={uid}"),
        }
    }
}

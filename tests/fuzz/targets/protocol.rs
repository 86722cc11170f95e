//! The monitor between gates, leaders and sessions that say anything at any time: frames as they come from a
//! socket, into the tables, with a small world around them that does what the tables want done.

use super::peer::frame;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use wrd_dm::table::{Action, Looked, Proven, Table, Timing};
use wrd_proto::gate::{NtlmVerdict, Returning, Security, SessionKey, ToMonitor};
use wrd_proto::leader::{FromLeader, ToLeader};
use wrd_proto::reconnect::Claim;
use wrd_proto::session::FromSession;
use wrd_proto::{Address, ConnectionId, Key, Line};

/// The first byte is the policy. Steps: what happens (1 byte), to whom (1 byte), and for a frame its length (1 byte) and bytes.
pub fn protocol(data: &[u8]) {
    let Some((policy, mut rest)) = data.split_first() else { return };
    let mut world = World::new(POLICIES[usize::from(policy % 4)]);
    while let [what, whom, behind @ ..] = rest {
        rest = behind;
        let (id, uid) = (ConnectionId(u64::from(whom % 4) + 1), u32::from(whom % 2) + 1000);
        match what % 12 {
            0 => world.connect(),
            1 => world.gate(id, frame(&mut rest)),
            2 => world.leader(id, frame(&mut rest)),
            3 => world.session(uid, frame(&mut rest)),
            4 => world.gate_ends(id),
            5 => world.leader_ends(id),
            6 => world.session_ends(uid),
            7 => drop(world.running.insert(uid)),
            8 => world.table.gate_closed(id, world.now),
            9 => drop(world.table.disconnect(uid)),
            10 => drop(world.table.terminate(uid)),
            _ => world.pass(Duration::from_secs(u64::from(*whom))),
        }
        world.settle();
    }
    // Whatever was said, nobody waits for ever.
    for _ in 0..20 {
        world.pass(Duration::from_secs(120));
    }
    assert_eq!(world.table.next_deadline(), None);
}

const POLICIES: [Security; 4] = [Security::Auto, Security::NlaPreferred, Security::NlaRequired, Security::Tls];

struct World {
    table: Table,
    security: Security,
    /// Who was proven to be whom.
    proven: BTreeMap<ConnectionId, u32>,
    /// Who has come back to whose session, and has shown no password.
    back: BTreeMap<ConnectionId, u32>,
    /// Which sessions have a cookie that nobody has used. Their verifiers are zeros, so that they can be guessed.
    cookies: BTreeMap<u32, ConnectionId>,
    now: Instant,
    gates: BTreeSet<ConnectionId>,
    leaders: BTreeSet<ConnectionId>,
    /// Whom its leader has let in, and as whom.
    authenticated: BTreeMap<ConnectionId, u32>,
    /// Told to start a session.
    starting: BTreeSet<ConnectionId>,
    running: BTreeSet<u32>,
    connected: BTreeSet<u32>,
    offered: BTreeMap<ConnectionId, u32>,
    signed: BTreeSet<ConnectionId>,
    linked: BTreeSet<ConnectionId>,
    released: BTreeSet<ConnectionId>,
}

impl World {
    fn new(security: Security) -> Self {
        let seconds = Duration::from_secs;
        let timing = Timing { login: seconds(120), screen: seconds(120), start: seconds(60), reconnect: seconds(200) };
        Self {
            security,
            proven: BTreeMap::new(),
            back: BTreeMap::new(),
            cookies: BTreeMap::new(),
            table: Table::new(timing),
            now: Instant::now(),
            gates: BTreeSet::new(),
            leaders: BTreeSet::new(),
            authenticated: BTreeMap::new(),
            starting: BTreeSet::new(),
            running: BTreeSet::new(),
            connected: BTreeSet::new(),
            offered: BTreeMap::new(),
            signed: BTreeSet::new(),
            linked: BTreeSet::new(),
            released: BTreeSet::new(),
        }
    }

    fn connect(&mut self) {
        // As the door does it, but for how many there may be.
        if self.gates.len() < 4 {
            let id = self.table.unused_id();
            self.table.accepted(id, Address::truncated("192.0.2.7"), self.security, self.now);
            self.gates.insert(id);
        }
    }

    fn gate(&mut self, id: ConnectionId, bytes: &[u8]) {
        // The channel of a gate that relays is closed.
        if self.gates.contains(&id) && !self.released.contains(&id) {
            match wrd_sys::channel::decode::<ToMonitor>(bytes) {
                Ok(message) => self.table.gate_says(id, message, self.now),
                Err(error) => self.table.broken(id, &error.to_string()),
            }
        }
    }

    fn leader(&mut self, id: ConnectionId, bytes: &[u8]) {
        if self.leaders.contains(&id) {
            match wrd_sys::channel::decode::<FromLeader>(bytes) {
                Ok(message) => {
                    let said = match &message {
                        FromLeader::Authenticated { uid, .. } => Some(*uid),
                        _ => None,
                    };
                    if matches!(message, FromLeader::SessionReady)
                        && self.starting.contains(&id)
                        && let Some(uid) = self.authenticated.get(&id)
                    {
                        self.running.insert(*uid);
                    }
                    if matches!(message, FromLeader::Denied { .. }) {
                        self.back.remove(&id);
                    }
                    let before = self.table.connection(id).is_some_and(|connection| connection.is_authenticated());
                    self.table.leader_says(id, message, self.now);
                    let after = self.table.connection(id).is_some_and(|connection| connection.is_authenticated());
                    if after && !before {
                        let uid = said.expect("only one message lets anybody in");
                        let proven = self.proven.get(&id);
                        assert!(
                            proven.is_none_or(|proven| *proven == uid),
                            "{id} is let in as another than was proven"
                        );
                        assert!(self.back.get(&id).is_none_or(|back| *back == uid), "{id} is back as another");
                        self.authenticated.insert(id, uid);
                    }
                }
                Err(_) => self.leader_ends(id),
            }
        }
    }

    fn session(&mut self, uid: u32, bytes: &[u8]) {
        if self.connected.contains(&uid) {
            match wrd_sys::channel::decode::<FromSession>(bytes) {
                Ok(message) => self.table.session_says(uid, message, self.now),
                Err(error) => self.table.session_broken(uid, &error.to_string()),
            }
        }
    }

    fn gate_ends(&mut self, id: ConnectionId) {
        if self.gates.remove(&id) {
            self.table.gate_left(id);
        }
    }

    fn leader_ends(&mut self, id: ConnectionId) {
        if self.leaders.remove(&id) {
            self.starting.remove(&id);
            self.table.leader_left(id);
        }
    }

    fn session_ends(&mut self, uid: u32) {
        self.running.remove(&uid);
        if self.connected.remove(&uid) {
            self.table.session_left(uid);
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.table.expire(self.now);
        self.settle();
    }

    fn settle(&mut self) {
        // More than any one event can lead to: each look may lead to one more action for each connection.
        for _ in 0..1000 {
            let Some(action) = self.table.next_action() else { return };
            self.perform(action);
        }
        panic!("one event leads to more and more");
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Sign { id, .. } => assert!(self.signed.insert(id), "{id} signs twice"),
            Action::Challenge(id) => {
                assert!(self.security.allows_nla(), "{id} has NLA where it is off");
                self.table.challenged(id, [7; 8]);
            }
            // A name that begins with a digit is that of a user, any other one wrong.
            Action::Judge(id, proof) => {
                assert_eq!(self.table.take_challenge(id), Some([7; 8]), "{id} answers to nothing");
                match proof.user.bytes().next() {
                    Some(digit @ b'0'..=b'9') => {
                        let proven = Proven { uid: 1000 + u32::from(digit % 2), name: proof.user };
                        self.table.proven(id, proven, SessionKey::new([7; 16]));
                    }
                    _ => self.table.not_proven(id, proof.user, Line::default(), self.now),
                }
            }
            Action::TellVerdict(id, verdict) => {
                assert!(self.signed.contains(&id), "{id} is judged before TLS");
                if matches!(verdict, NtlmVerdict::Proven(_)) {
                    let proven = self.table.who_was_proven(id).expect("somebody was proven");
                    assert_eq!(self.proven.insert(id, proven.uid), None, "{id} is proven twice");
                }
            }
            Action::TellReconnect(id, returning) => {
                assert!(self.signed.contains(&id), "{id} comes back before TLS");
                let may = self.proven.contains_key(&id) || !self.security.requires_nla();
                assert!(may, "{id} comes back without NLA");
                if returning == Returning::Granted {
                    let uid = self.table.who_is_back(id).expect("somebody is back").uid;
                    assert!(self.connected.contains(&uid), "{id} comes back to nothing");
                    assert!(self.cookies.remove(&uid).is_some(), "{id} comes back by a cookie that was used");
                    assert!(self.proven.get(&id).is_none_or(|proven| *proven == uid), "{id} comes back to another");
                    assert_eq!(self.back.insert(id, uid), None, "{id} comes back twice");
                }
            }
            Action::MakeCookie { uid, client } => {
                self.cookies.insert(uid, client);
                self.table.cookie_made(uid, client, Claim { logon_id: uid, verifier: Key::new([0; 16]) });
            }
            Action::Forget(proven) => assert!(self.proven.values().any(|uid| *uid == proven.uid), "{proven:?} was not"),
            Action::OpenLeader(id) => {
                let may = self.proven.contains_key(&id) || !self.security.requires_nla();
                assert!(may, "{id} opens a login without NLA");
                assert!(self.signed.contains(&id), "{id} opens a login before TLS");
                assert!(self.leaders.insert(id), "{id} has two leaders");
            }
            Action::RefuseGate(id, _) => assert!(!self.linked.contains(&id), "{id} is refused behind its link"),
            Action::Link(id) => {
                let uid = self.offered.remove(&id).expect("a link that was offered");
                assert_eq!(self.authenticated.get(&id), Some(&uid), "{id} gets the desktop of another");
                assert!(self.linked.insert(id), "{id} gets two links");
            }
            Action::Release(id) => {
                assert!(self.linked.contains(&id), "{id} is released without a link");
                self.released.insert(id);
            }
            Action::EndGate(id) => self.gate_ends(id),
            Action::TellLeader(id, message) => {
                assert!(self.leaders.contains(&id), "{id} has no leader");
                if matches!(message, ToLeader::StartSession) {
                    assert!(self.authenticated.contains_key(&id), "a session for nobody");
                    assert!(!self.back.contains_key(&id), "a session without a password");
                    self.starting.insert(id);
                }
            }
            Action::DropLeader(id) => {
                self.leaders.remove(&id);
                self.starting.remove(&id);
            }
            Action::Look(uid) => {
                let found = self.running.contains(&uid);
                if found {
                    self.connected.insert(uid);
                }
                self.table.looked(uid, if found { Looked::Found } else { Looked::Missing }, self.now);
            }
            Action::Attach { uid, id, .. } => {
                assert_eq!(self.authenticated.get(&id), Some(&uid), "{id} is offered to another's session");
                assert!(self.connected.contains(&uid), "{id} is offered to nobody");
                self.offered.insert(id, uid);
            }
            Action::DropLink(id) => drop(self.offered.remove(&id)),
            Action::TellSession(uid, _) => assert!(self.connected.contains(&uid), "{uid} is not connected"),
            Action::DropSession(uid) => drop(self.connected.remove(&uid)),
            Action::Tries(id) | Action::Asks(id) | Action::Answered(id) => {
                assert!(self.leaders.contains(&id), "{id} has no leader");
            }
            Action::Note(_) => {}
        }
    }
}

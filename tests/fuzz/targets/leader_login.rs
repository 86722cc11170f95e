//! A login as its leader sees it, which is root: a gate and a monitor that say anything at any time, and PAM by a script,
//! which speaks by way of the leader's own conversation. What the leader says of it goes into the monitor's own table.

use super::peer::{Peer, byte, frame};
use std::cell::RefCell;
use std::ffi::CString;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use wrd_dm::table::{Action, Looked, Note, Table, Timing};
use wrd_leader::account::Account;
use wrd_leader::authority::{Admission, Admits, Credentials, Door};
use wrd_leader::conversation::Conversation;
use wrd_leader::denial::Denial;
use wrd_leader::dialogue::Dialogue;
use wrd_leader::login::{Login, Verdict};
use wrd_leader::{ConversationHandler, Deadlines};
use wrd_proto::gate::{Security, ToMonitor};
use wrd_proto::leader::{FromLeader, MAX_TRIES, ToLeader};
use wrd_proto::login::{FromLeader as ToGate, MAX_QUESTIONS, MAX_TELLS};
use wrd_proto::{Address, Bytes, ConnectionId, UserName};
use wrd_sys::RawChannel;

/// How many descriptors come with the monitor's first frame (1 byte), that frame, then steps: what happens (1 byte) and
/// what belongs to it. Those of PAM are taken one by one while the leader asks it, those of gate and monitor before.
pub fn leader_login(data: &[u8]) {
    verdict(data);
}

/// What the monitor says of who is let in, where somebody is.
pub fn verdict(data: &[u8]) -> Option<Verdict> {
    let mut rest = data;
    let descriptors = usize::from(byte(&mut rest).unwrap_or_default() % 4);
    let first = frame(&mut rest);
    let (to_monitor, monitor) = Peer::pair();
    let (to_gate, gate) = Peer::pair();
    monitor.says(first, &vec![to_gate.as_fd(); descriptors]);
    drop(to_gate);
    let script = Script(RefCell::new(World::new(rest, gate, monitor, first)));
    let begun = Login::begin(to_monitor.typed(), AT_ONCE).ok().flatten();
    let verdict = begun.and_then(|login| {
        assert_eq!(descriptors, 1, "a login without its socket, or with another");
        script.0.borrow_mut().others_act();
        run(&login, &script)
    });
    script.0.borrow_mut().listen();
    verdict
}

/// Nobody is waited for: what is to be said has been said before.
const AT_ONCE: Deadlines = Deadlines {
    login: Duration::ZERO,
    answering: Duration::ZERO,
    verdict: Duration::ZERO,
    link: Duration::ZERO,
    backstop: None,
};

fn run(login: &Login, script: &Script<'_>) -> Option<Verdict> {
    let (admission, choice) = login.admit(script).ok().flatten()?;
    {
        let mut world = script.0.borrow_mut();
        world.listen();
        assert_eq!(world.let_in.as_ref(), Some(&admission.account), "somebody is let in whom PAM has not");
        assert_eq!(choice.is_none(), world.came_back, "a session of its own for who comes back to one, or none");
        let proven = match &world.begin {
            Some(ToLeader::Begin { proven, .. }) => proven.as_ref(),
            _ => panic!("a login that nobody began"),
        };
        assert!(proven.is_none_or(|proven| proven.as_str() == admission.account.name), "not who was proven");
        world.others_act();
    }
    let verdict = login.ask_monitor(&admission).ok()?;
    let world = script.0.borrow();
    // Behind Begin.
    let said = world.monitor_said.get(1);
    match verdict {
        Verdict::Start => assert_eq!(said, Some(&ToLeader::StartSession)),
        Verdict::HandedOver => {
            assert_eq!(said, Some(&ToLeader::HandedOver));
            login.wait_for_gate();
        }
        Verdict::Refused(_) | Verdict::Cancelled => {}
    }
    Some(verdict)
}

struct Script<'a>(RefCell<World<'a>>);

struct World<'a> {
    rest: &'a [u8],
    gate: Peer<ToGate>,
    monitor: Peer<FromLeader>,
    begin: Option<ToLeader>,
    /// Those frames of the monitor's that were messages.
    monitor_said: Vec<ToLeader>,
    /// What the real monitor makes of the leader.
    table: Table,
    now: Instant,
    tries: u32,
    /// Of this try: how much was told, and whether anything may be.
    told: u32,
    may_be_told: bool,
    let_in: Option<Account>,
    came_back: bool,
    /// Of the whole login.
    all_told: u32,
    all_asked: u32,
    /// The gate was told that nothing more comes of it.
    gate_told_end: bool,
}

const ID: ConnectionId = ConnectionId(1);

impl<'a> World<'a> {
    fn new(rest: &'a [u8], gate: Peer<ToGate>, monitor: Peer<FromLeader>, first: &[u8]) -> Self {
        let seconds = Duration::from_secs;
        let timing = Timing { login: seconds(120), screen: seconds(120), start: seconds(60), reconnect: seconds(200) };
        let (mut table, now) = (Table::new(timing), Instant::now());
        assert_eq!(table.unused_id(), ID);
        table.accepted(ID, Address::truncated("192.0.2.7"), Security::Tls, now);
        table.gate_says(ID, ToMonitor::Sign { scheme: 0x0403, message: Bytes::default() }, now);
        table.gate_says(ID, ToMonitor::OpenLogin, now);
        let begin = wrd_sys::channel::decode(first).ok();
        let mut world = Self {
            rest,
            gate,
            monitor,
            monitor_said: begin.iter().cloned().collect(),
            begin,
            table,
            now,
            tries: 0,
            told: 0,
            may_be_told: false,
            let_in: None,
            came_back: false,
            all_told: 0,
            all_asked: 0,
            gate_told_end: false,
        };
        world.settle(false);
        world
    }

    /// What gate and monitor do next, up to where PAM is due.
    fn others_act(&mut self) {
        while let Some(what) = self.rest.first().map(|what| what % 16).filter(|what| *what < 6) {
            byte(&mut self.rest);
            match what {
                0 => self.gate.says(frame(&mut self.rest), &[]),
                1 => self.monitor_says(0),
                2 => {
                    let (extra, _other) = RawChannel::pair().expect("sockets can be made");
                    self.gate.says(frame(&mut self.rest), &[extra.as_fd()]);
                }
                3 => self.monitor_says(1),
                4 => self.gate.goes(),
                _ => self.monitor.goes(),
            }
        }
    }

    fn monitor_says(&mut self, descriptors: usize) {
        let said = frame(&mut self.rest);
        let (extra, _other) = RawChannel::pair().expect("sockets can be made");
        self.monitor.says(said, &vec![extra.as_fd(); descriptors]);
        self.monitor_said.extend(wrd_sys::channel::decode(said).ok());
    }

    /// What the leader has told both since the last time.
    fn listen(&mut self) {
        for message in self.monitor.hears() {
            let broken = matches!(message, FromLeader::Broken { .. });
            self.table.leader_says(ID, message, self.now);
            self.settle(broken);
        }
        for message in self.gate.hears() {
            assert!(!self.gate_told_end, "{message:?} behind the end");
            match message {
                ToGate::Ask { .. } => self.all_asked += 1,
                ToGate::Tell { text, .. } => {
                    (self.told, self.all_told) = (self.told + 1, self.all_told + 1);
                    assert!(!text.starts_with(UNHEARD), "{text:?} was said before there was a password");
                }
                ToGate::Denied { may_retry, .. } => self.gate_told_end = !may_retry,
                ToGate::Accepted => assert!(self.let_in.is_some(), "accepted, and nobody was let in"),
                ToGate::SessionFailed { .. } => panic!("no session was asked for"),
            }
        }
        assert!(self.told == 0 || self.may_be_told, "what modules say reaches a stranger");
        assert!(self.all_asked <= MAX_QUESTIONS && self.all_told <= MAX_TELLS);
    }

    /// The monitor is satisfied with the leader as long as the leader is satisfied with the gate.
    fn settle(&mut self, broken: bool) {
        while let Some(action) = self.table.next_action() {
            match action {
                Action::Look(uid) => self.table.looked(uid, Looked::Missing, self.now),
                Action::Note(Note::Broken { reason, .. }) => assert!(broken, "the leader breaks the rules: {reason}"),
                _ => {}
            }
        }
    }

    fn next_try(&mut self) {
        self.tries += 1;
        (self.told, self.may_be_told, self.let_in, self.came_back) = (0, false, None, false);
        assert!(self.tries <= MAX_TRIES, "{} tries", self.tries);
    }

    /// Who PAM lets in, or why not, by the next two bytes.
    fn verdict(&mut self, lets_in: bool) -> Result<Admission, Denial> {
        let who = byte(&mut self.rest).unwrap_or_default();
        if lets_in {
            let account = Account {
                name: ["alice", "bob", ""][usize::from(who % 3)].to_owned(),
                uid: 1000 + u32::from(who % 3),
                gid: 1000,
                home: "/".into(),
                shell: "/bin/sh".into(),
            };
            self.let_in = Some(account.clone());
            return Ok(Admission { account, door: Door::OwnUser });
        }
        Err(match who % 4 {
            0 => Denial::credentials("wrong"),
            1 => Denial::said("locked", "locked"),
            2 => Denial::credentials("wrong").for_good(),
            _ => Denial::credentials("wrong").after(Duration::from_millis(1)),
        })
    }
}

/// Before what a module says that nobody may hear, and before everything else.
const UNHEARD: &str = "unheard";
const HEARD: &str = "heard";

impl Admits for Script<'_> {
    fn admit(&self, credentials: Credentials, _: &Address, dialogue: &mut Dialogue<'_>) -> Result<Admission, Denial> {
        let mut world = self.0.borrow_mut();
        world.listen();
        world.next_try();
        let user = credentials.user.as_str().to_owned();
        let mut conversation = Conversation::new(&user, credentials.password, dialogue);
        // Nobody has a password yet.
        let mut stranger = true;
        let admitted = loop {
            world.others_act();
            let Some(what) = byte(&mut world.rest) else { break Err(Denial::credentials("nothing more happens")) };
            let text = |world: &mut World<'_>| {
                let text = String::from_utf8_lossy(frame(&mut world.rest)).into_owned();
                let text = format!("{} {text}", if stranger { UNHEARD } else { HEARD });
                CString::new(text.replace('\0', " ")).expect("it has no NUL")
            };
            match what % 16 {
                6 => {
                    // The first one is for the password.
                    world.may_be_told |= !stranger;
                    let _ = conversation.prompt_echo_off(&text(&mut world));
                    stranger = false;
                }
                7 => {
                    world.may_be_told = true;
                    let _ = conversation.prompt_echo_on(&text(&mut world));
                }
                8 => {
                    world.may_be_told = true;
                    let _ = conversation.radio_prompt(&text(&mut world));
                }
                9 => conversation.text_info(&text(&mut world)),
                10 => conversation.error_msg(&text(&mut world)),
                11 => {
                    // As after `pam_authenticate`.
                    conversation.finish();
                    conversation.authenticated();
                    (world.may_be_told, stranger) = (true, false);
                }
                12 => break world.verdict(true),
                _ => break world.verdict(false),
            }
            world.listen();
        };
        drop(conversation);
        if dialogue.is_over() {
            // Whatever PAM makes of that.
            world.let_in = None;
        }
        // What the leader is to find where it looks next.
        world.others_act();
        admitted
    }

    fn admit_returning(&self, user: &UserName, _: &Address) -> Result<Admission, Denial> {
        let mut world = self.0.borrow_mut();
        assert!(
            matches!(&world.begin, Some(ToLeader::Begin { returning: Some(back), .. }) if back == user),
            "{user:?} comes back, and nobody said so"
        );
        world.next_try();
        let lets_in = byte(&mut world.rest).is_some_and(|what| what % 16 == 12);
        world.came_back = lets_in;
        let admitted = world.verdict(lets_in);
        world.others_act();
        admitted
    }

    fn note_denied(&self, _: &UserName, _: &Address) {
        self.0.borrow_mut().listen();
    }
}

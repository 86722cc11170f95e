//! The monitor's deadlines are those of the documented table, and the table has no others of it.

use crate::monitor::Monitor;
use crate::table::Table;
use std::time::{Duration, Instant};
use wrd_config::System;
use wrd_proto::gate::{Security, ToMonitor};
use wrd_proto::leader::FromLeader;
use wrd_proto::{Address, Bytes, UserName};

/// How long a connection may take, each time from the moment on that the time is for: to its first byte, to the login
/// screen, there, from the first question on, and from the login to its desktop.
fn kept(config: &System) -> [Duration; 5] {
    const PAUSE: Duration = Duration::from_millis(100);
    let mut table = Table::new(Monitor::timing(config));
    let (id, mut now) = (table.unused_id(), Instant::now());
    let left = |table: &Table, now| table.next_deadline().unwrap() - now;

    table.accepted(id, Address::truncated("192.0.2.7"), Security::Auto, now);
    let login = left(&table, now);
    now += PAUSE;
    table.gate_says(id, ToMonitor::Sign { scheme: 0x0403, message: Bytes::default() }, now);
    table.gate_says(id, ToMonitor::Screen, now);
    let screen = left(&table, now);
    now += PAUSE;
    table.gate_says(id, ToMonitor::OpenLogin, now);
    table.leader_says(id, FromLeader::Asks, now);
    let answer = left(&table, now);
    now += PAUSE;
    table.leader_says(id, FromLeader::Answered, now);
    table.leader_says(id, FromLeader::Asks, now);
    assert_eq!(left(&table, now), answer - PAUSE, "once, for all questions");
    table.leader_says(id, FromLeader::Authenticated { uid: 1000, user: UserName::truncated("alice") }, now);
    [Monitor::rules(config).silence, login, screen, answer, left(&table, now)]
}

#[test]
fn they_are_those_of_the_table_and_the_table_has_no_others() {
    let page = include_str!("../../../docs/security-model.md");
    let (_, section) = page.split_once("### Deadlines").unwrap();
    let (_, table) = section.split_once("|---|---|---|\n").unwrap();
    let mut rows: Vec<[&str; 3]> = table
        .lines()
        .map_while(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .map(|line| line.split(" | ").collect::<Vec<_>>().try_into().unwrap())
        .collect();
    rows.retain(|[_, keeper, _]| keeper.contains("monitor"));

    let config = System::default();
    let seconds = |count: u32| Duration::from_secs(count.into());
    let (limit, start) = (seconds(config.limits.login_seconds), seconds(config.session.start_seconds));
    let [first_byte, login, screen, answer, desktop] = kept(&config);
    let s = |time: Duration| format!("{} s", time.as_secs_f32());
    let later = |time: Duration| format!("gate; monitor {} later", s(time - limit));
    let wanted = [
        ("the first byte", "monitor".into(), format!("{} (`login_seconds`, if that is less)", s(first_byte))),
        ("all of these together", later(login), format!("`login_seconds`, {}", s(limit))),
        ("the login screen", later(screen), "`login_seconds` again".into()),
        (
            "an answer to what PAM asks",
            later(answer),
            "`login_seconds` anew from the first question on: once, for all questions".into(),
        ),
        (
            "from there to the desktop",
            "gate, monitor".into(),
            format!("the monitor's is {} + `start_seconds`", s(desktop - start)),
        ),
    ];
    assert_eq!(rows.len(), wanted.len(), "{rows:?}");
    for ([what, keeper, time], (begin, wanted_keeper, wanted_time)) in rows.into_iter().zip(wanted) {
        assert!(what.starts_with(begin), "{what}, where {begin} is due");
        assert_eq!(keeper, wanted_keeper, "{what}");
        let is_there = format!(" {time}").ends_with(&format!(" {wanted_time}"));
        assert!(is_there, "{what}: {wanted_time}, where the table has {time}");
    }

    // And so it goes by any configuration.
    let mut other = config;
    (other.limits.login_seconds, other.session.start_seconds) = (7, 44);
    let [grace, more] = [login - limit, seconds(44) - start];
    assert_eq!(kept(&other), [seconds(7), seconds(7) + grace, seconds(7) + grace, seconds(7) + grace, desktop + more]);
}

//! Sessions as a table, as a sheet, and as JSON, and how those are made. Pure.

use crate::client::printable;
use serde::Serialize;
use std::time::{SystemTime, UNIX_EPOCH};
use wrd_proto::session::SessionInfo;

/// One session in JSON. Fields are only ever added.
#[derive(Debug, Serialize)]
struct Session<'a> {
    uid: u32,
    user: &'a str,
    /// logind's id, or null where there is no logind.
    logind: Option<&'a str>,
    /// `starting`, `connected`, `disconnected` or `ending`.
    state: String,
    desktop: &'a str,
    wayland_display: &'a str,
    /// Seconds since the epoch; 0 while it is starting.
    started: u64,
    leader_pid: u32,
    worker_pid: u32,
    /// Who is connected, or null.
    client: Option<Client<'a>>,
}

#[derive(Debug, Serialize)]
struct Client<'a> {
    connection: u64,
    address: &'a str,
    /// Seconds since the epoch.
    since: u64,
    /// Desktop size in physical px, 0 until the client has finished connecting.
    width: u16,
    height: u16,
}

impl<'a> Session<'a> {
    fn of(info: &'a SessionInfo) -> Self {
        Self {
            uid: info.uid,
            user: &info.user,
            logind: info.logind.as_deref(),
            state: info.state.to_string(),
            desktop: &info.desktop,
            wayland_display: &info.wayland_display,
            started: info.started,
            leader_pid: info.leader_pid,
            worker_pid: info.worker_pid,
            client: info.client.as_ref().map(|client| Client {
                connection: client.connection.0,
                address: &client.address,
                since: client.since,
                width: client.width,
                height: client.height,
            }),
        }
    }
}

/// Seconds since the epoch.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// Every session on a line, or a word that there is none.
pub fn table(sessions: &[SessionInfo], now: u64) -> String {
    if sessions.is_empty() {
        return "No sessions.\n".into();
    }
    let mut rows = vec![["USER", "UID", "SESSION", "STATE", "CLIENT", "SIZE", "AGE"].map(str::to_owned).to_vec()];
    for info in sessions {
        let client = info.client.as_ref();
        rows.push(vec![
            printable(&info.user),
            info.uid.to_string(),
            info.logind.as_deref().map_or_else(|| "-".into(), printable),
            info.state.to_string(),
            client.map_or_else(|| "-".into(), |client| printable(&client.address)),
            client.map_or_else(|| "-".into(), |client| size(client.width, client.height)),
            age(info.started, now),
        ]);
    }
    aligned(&rows)
}

/// One session, a line for each thing.
pub fn sheet(info: &SessionInfo, now: u64) -> String {
    let mut rows = vec![
        row("User", format!("{} ({})", printable(&info.user), info.uid)),
        row("Session", info.logind.as_deref().map_or_else(|| "-".into(), printable)),
        row("State", info.state.to_string()),
        row("Desktop", printable(&info.desktop)),
        row("Display", printable(&info.wayland_display)),
        row("Age", age(info.started, now)),
        row("Leader", info.leader_pid.to_string()),
        row("Worker", info.worker_pid.to_string()),
    ];
    if let Some(client) = &info.client {
        rows.push(row("Client", printable(&client.address)));
        rows.push(row("Size", size(client.width, client.height)));
        rows.push(row("Connected", age(client.since, now)));
        rows.push(row("Connection", client.connection.to_string()));
    }
    aligned(&rows)
}

pub fn json(info: &SessionInfo) -> String {
    pretty(&Session::of(info))
}

pub fn json_list(sessions: &[SessionInfo]) -> String {
    pretty(&sessions.iter().map(Session::of).collect::<Vec<_>>())
}

pub fn pretty(value: &impl Serialize) -> String {
    // Numbers, text and null: there is nothing in it that JSON cannot say.
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

pub fn row(name: &str, value: String) -> Vec<String> {
    vec![format!("{name}:"), if value.is_empty() { "-".into() } else { value }]
}

/// Columns as wide as their widest cell.
pub fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

fn size(width: u16, height: u16) -> String {
    if width == 0 { "-".into() } else { format!("{width}x{height}") }
}

/// How long ago, in the two largest units.
fn age(since: u64, now: u64) -> String {
    if since == 0 {
        return "-".into();
    }
    let seconds = now.saturating_sub(since);
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, s) => format!("{m}min {s}s"),
        (0, h, m, _) => format!("{h}h {m}min"),
        (d, h, _, _) => format!("{d}d {h}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wrd_proto::ConnectionId;
    use wrd_proto::session::{AttachedClient, State};

    fn alice() -> SessionInfo {
        SessionInfo {
            uid: 1000,
            user: "alice".try_into().unwrap(),
            logind: Some("c3".try_into().unwrap()),
            state: State::Connected,
            desktop: "wrd".try_into().unwrap(),
            wayland_display: "wayland-1".try_into().unwrap(),
            started: 1000,
            leader_pid: 41,
            worker_pid: 42,
            client: Some(AttachedClient {
                connection: ConnectionId(7),
                address: "192.0.2.7".try_into().unwrap(),
                since: 1100,
                width: 1920,
                height: 1080,
            }),
        }
    }

    fn bob() -> SessionInfo {
        SessionInfo {
            uid: 100_001,
            user: "bob\u{1b}[2J".try_into().unwrap(),
            logind: None,
            state: State::Starting,
            started: 0,
            client: None,
            ..alice()
        }
    }

    #[test]
    fn a_table_is_aligned_and_clean() {
        assert_eq!(table(&[], 0), "No sessions.\n");
        assert_eq!(
            table(&[alice(), bob()], 1125),
            "USER     UID     SESSION  STATE      CLIENT     SIZE       AGE\n\
             alice    1000    c3       connected  192.0.2.7  1920x1080  2min 5s\n\
             bob?[2J  100001  -        starting   -          -          -\n"
        );
    }

    #[test]
    fn a_sheet_says_everything() {
        assert_eq!(
            sheet(&alice(), 90_000),
            "User:        alice (1000)\nSession:     c3\nState:       connected\nDesktop:     wrd\n\
             Display:     wayland-1\nAge:         1d 0h\nLeader:      41\nWorker:      42\n\
             Client:      192.0.2.7\nSize:        1920x1080\nConnected:   1d 0h\nConnection:  7\n"
        );
    }

    #[test]
    fn the_fields_of_json_stay_as_they_are() {
        let value: serde_json::Value = serde_json::from_str(&json_list(&[alice(), bob()])).unwrap();
        assert_eq!(
            value[0],
            serde_json::json!({
                "uid": 1000, "user": "alice", "logind": "c3", "state": "connected", "desktop": "wrd",
                "wayland_display": "wayland-1", "started": 1000, "leader_pid": 41, "worker_pid": 42,
                "client": {"connection": 7, "address": "192.0.2.7", "since": 1100, "width": 1920, "height": 1080}
            })
        );
        assert_eq!(value[1]["client"], serde_json::Value::Null);
        assert_eq!(json_list(&[]), "[]\n");
        assert!(json(&alice()).starts_with("{\n"));
    }

    #[test]
    fn ages_are_short() {
        assert_eq!(age(0, 99), "-");
        assert_eq!(age(50, 40), "0s");
        assert_eq!(age(1, 3721), "1h 2min");
    }
}

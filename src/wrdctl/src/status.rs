//! What a server answers whom with, for people and as JSON. Pure.

use crate::client::printable;
use crate::output::{aligned, pretty, row};
use serde::Serialize;
use wrd_proto::control::Response;
use wrd_proto::gate::Security;

/// A server in JSON. Fields are only ever added.
#[derive(Debug, Serialize)]
pub struct Status {
    version: String,
    addresses: Vec<String>,
    /// `auto`, `nla-preferred`, `nla-required` or `tls`.
    security: &'static str,
    /// SHA-256 of the certificate, hexadecimal with colons.
    fingerprint: String,
    sessions: u32,
    connected: u32,
    /// Null where this server enrols nobody.
    enrolled: Option<u32>,
    clients: Vec<Meeting>,
}

/// What one kind of client meets.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Meeting {
    /// What it offers: `tls-and-nla`, `tls-and-nla-takes-nla` (it offers both and takes one), `tls`, `nla` or `rdp`.
    offers: &'static str,
    /// What it is given: `tls`, `nla`, or null where nothing comes of it.
    gets: Option<&'static str>,
}

/// `None` where the server answers something else.
pub fn of(answers: Vec<Response>) -> Option<Status> {
    let mut addresses = Vec::new();
    let mut status = None;
    for answer in answers {
        match answer {
            Response::Listening(address) => addresses.push(address.into_string()),
            Response::Status(answered) => status = Some(answered),
            _ => return None,
        }
    }
    let status = status?;
    Some(Status {
        version: status.version.into_string(),
        addresses,
        security: word(status.security),
        fingerprint: status.fingerprint.into_string(),
        sessions: status.sessions,
        connected: status.connected,
        enrolled: status.enrolled,
        clients: meetings(status.security),
    })
}

pub fn json(status: &Status) -> String {
    pretty(status)
}

/// A line for each thing, and one for each kind of client.
pub fn sheet(status: &Status) -> String {
    let mut rows = vec![row("Version", printable(&status.version))];
    for address in &status.addresses {
        rows.push(row("Address", printable(address)));
    }
    rows.push(row("Fingerprint", format!("{} (SHA-256)", printable(&status.fingerprint))));
    rows.push(row("Security", status.security.to_owned()));
    rows.push(row("Sessions", format!("{}, {} connected", status.sessions, status.connected)));
    let enrolled = status.enrolled.map_or_else(|| "nobody can be".into(), |count| count.to_string());
    rows.push(row("Enrolled", enrolled));
    let mut text = aligned(&rows);
    text.push_str("\nA client that offers\n");
    let meetings = status.clients.iter().map(|meeting| vec![offered(meeting.offers).into(), met(meeting.gets).into()]);
    let lines = aligned(&meetings.collect::<Vec<_>>());
    lines.lines().for_each(|line| text.push_str(&format!("  {line}\n")));
    text
}

fn word(security: Security) -> &'static str {
    match security {
        Security::Auto => "auto",
        Security::NlaPreferred => "nla-preferred",
        Security::NlaRequired => "nla-required",
        Security::Tls => "tls",
    }
}

fn meetings(security: Security) -> Vec<Meeting> {
    const TLS: Option<&str> = Some("tls");
    const NLA: Option<&str> = Some("nla");
    let (both, tls, nla) = match security {
        Security::Auto => (TLS, TLS, NLA),
        Security::NlaPreferred => (NLA, TLS, NLA),
        Security::NlaRequired => (NLA, None, NLA),
        Security::Tls => (TLS, TLS, None),
    };
    // It cannot be told from the first kind, and does not take what that is given.
    let fussy = both.filter(|gets| *gets == "nla");
    [("tls-and-nla", both), ("tls-and-nla-takes-nla", fussy), ("tls", tls), ("nla", nla), ("rdp", None)]
        .map(|(offers, gets)| Meeting { offers, gets })
        .into()
}

fn offered(offers: &str) -> &'static str {
    match offers {
        "tls-and-nla" => "TLS and NLA (mstsc, FreeRDP, Remmina by default)",
        "tls-and-nla-takes-nla" => "both, and takes NLA only (xfreerdp3 /sec:nla)",
        "tls" => "TLS alone (xfreerdp3 /sec:tls)",
        "nla" => "NLA alone",
        _ => "neither (old RDP security)",
    }
}

fn met(gets: Option<&str>) -> &'static str {
    match gets {
        Some("tls") => "logs in with any account, on the login screen if need be",
        Some(_) => "logs in if its user is enrolled, and is refused otherwise",
        None => "does not get in",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wrd_proto::control;

    fn status(security: Security) -> Status {
        let status = control::Status {
            version: "0.1.0".try_into().unwrap(),
            security,
            fingerprint: "aa:bb".try_into().unwrap(),
            sessions: 2,
            connected: 1,
            enrolled: Some(3),
        };
        let listening = Response::Listening("[::]:3389".try_into().unwrap());
        of(vec![listening, Response::Status(status)]).unwrap()
    }

    #[test]
    fn a_sheet_says_what_each_client_meets() {
        assert_eq!(
            sheet(&status(Security::Auto)),
            "Version:      0.1.0\nAddress:      [::]:3389\nFingerprint:  aa:bb (SHA-256)\nSecurity:     auto\n\
             Sessions:     2, 1 connected\nEnrolled:     3\n\nA client that offers\n  \
             TLS and NLA (mstsc, FreeRDP, Remmina by default)  \
             logs in with any account, on the login screen if need be\n  \
             both, and takes NLA only (xfreerdp3 /sec:nla)     does not get in\n  \
             TLS alone (xfreerdp3 /sec:tls)                    \
             logs in with any account, on the login screen if need be\n  \
             NLA alone                                         \
             logs in if its user is enrolled, and is refused otherwise\n  \
             neither (old RDP security)                        does not get in\n"
        );
    }

    #[test]
    fn each_policy_has_its_answers() {
        let gets = |security| status(security).clients.into_iter().map(|meeting| meeting.gets).collect::<Vec<_>>();
        assert_eq!(gets(Security::Auto), [Some("tls"), None, Some("tls"), Some("nla"), None]);
        assert_eq!(gets(Security::NlaPreferred), [Some("nla"), Some("nla"), Some("tls"), Some("nla"), None]);
        assert_eq!(gets(Security::NlaRequired), [Some("nla"), Some("nla"), None, Some("nla"), None]);
        assert_eq!(gets(Security::Tls), [Some("tls"), None, Some("tls"), None, None]);
    }

    #[test]
    fn the_fields_of_json_stay_as_they_are() {
        let value: serde_json::Value = serde_json::from_str(&json(&status(Security::Tls))).unwrap();
        assert_eq!(
            value,
            serde_json::json!({
                "version": "0.1.0", "addresses": ["[::]:3389"], "security": "tls", "fingerprint": "aa:bb",
                "sessions": 2, "connected": 1, "enrolled": 3,
                "clients": [{"offers": "tls-and-nla", "gets": "tls"},
                    {"offers": "tls-and-nla-takes-nla", "gets": null}, {"offers": "tls", "gets": "tls"},
                    {"offers": "nla", "gets": null}, {"offers": "rdp", "gets": null}]
            })
        );
    }
}

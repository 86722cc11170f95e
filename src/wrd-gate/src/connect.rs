//! From the first byte to Client Info: X.224, TLS, CredSSP where it was agreed upon, MCS and GCC, driven through the
//! acceptor, recorded for the worker.

use crate::client::{Client, ClientError};
use crate::credssp::{self, CredSsp, Delegated, EarlyResult, Step};
use crate::deadline::Deadline;
use crate::deadlines::Deadlines;
use crate::monitor::Monitor;
use anyhow::{Context, Result, bail};
use ironrdp_acceptor::Acceptor;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::debug;
use wrd_proto::gate::{Stage, Start};
use wrd_proto::transcript::{MAX_PDUS, MAX_TRANSCRIPT, Progress, Transcript};
use wrd_proto::{Bytes, UserName};
use wrd_rdp::acceptor::{
    DriveError, Pause, Waiting, agreed, credssp_is_done, drive, expects_client_info, new_acceptor, offer, requested,
    tls_is_up,
};
use wrd_rdp::client::ClientSettings;
use wrd_rdp::client_info::{ClientInfo, decode_client_info, scrub};
use wrd_rdp::{DesktopSize, SecurityProtocol};

/// A client that has said who it is and waits for licensing.
pub struct Connected {
    pub acceptor: Acceptor,
    pub transcript: Transcript,
    pub settings: ClientSettings,
    /// Who is to log in: as Client Info has it or, after NLA, as CredSSP has delegated it.
    pub info: ClientInfo,
}

/// Serves the client up to Client Info, by `last` at the latest. `stage` is kept at where it stands.
pub fn connect(
    client: &mut Client,
    (monitor, start): (&Arc<Monitor>, &Start),
    (deadlines, last): (&Deadlines, Deadline),
    stage: &mut Stage,
) -> Result<Connected> {
    let max = DesktopSize { width: start.max_width, height: start.max_height };
    let security = offer(start.security, SecurityProtocol::empty());
    let mut acceptor = new_acceptor(security, max);
    let mut recorder = Recorder::new(security, max);

    *stage = Stage::Negotiation;
    let deadline = Deadline::after(deadlines.negotiation).min(last);
    loop {
        let pdu = client.read_pdu(deadline)?;
        recorder.record(&pdu)?;
        if let Some(requested) = requested(&pdu) {
            let security = offer(start.security, requested);
            acceptor = new_acceptor(security, max);
            recorder.0.security = security.bits();
        }
        if turn(client, &mut acceptor, Some(&pdu), deadline)? == Waiting::ForTls {
            break;
        }
    }

    *stage = Stage::Tls;
    let config = crate::tls::config(start, monitor)?;
    client.start_tls(config, Deadline::after(deadlines.handshake).min(last))?;
    let early_result = match agreed(&acceptor) {
        Some(SecurityProtocol::HYBRID_EX) => EarlyResult::Sent,
        _ => EarlyResult::NotSent,
    };
    tls_is_up(&mut acceptor);
    debug!("tls is up: {}", client.tls_summary());

    *stage = Stage::Connection;
    let mut deadline = Deadline::after(deadlines.first_pdu).min(last);
    let mut waiting = turn(client, &mut acceptor, None, deadline)?;
    let mut delegated = None;
    if waiting == Waiting::ForCredSsp {
        delegated = Some(nla(client, (monitor, start), early_result, (deadlines, deadline))?);
        credssp_is_done(&mut acceptor);
        deadline = Deadline::after(deadlines.after_credssp).min(last);
        waiting = turn(client, &mut acceptor, None, deadline)?;
    }
    let mut info = ClientInfo::default();
    let mut settings = None;
    while waiting != Waiting::AtLicensing {
        let mut pdu = client.read_pdu(deadline)?;
        deadline = deadline.min(Deadline::after(deadlines.sequence));
        if expects_client_info(&acceptor) {
            info = decode_client_info(&pdu).context("client info")?;
            scrub(&mut pdu).context("client info")?;
            client.incoming.wipe_consumed();
        } else if settings.is_none() {
            settings = Some(ClientSettings::decode(&pdu)?);
        }
        recorder.record(&pdu)?;
        waiting = turn(client, &mut acceptor, Some(&pdu), deadline)?;
    }
    let Some(settings) = settings else { bail!("the client never said what it is") };
    if let Some(Delegated { user, domain, password }) = delegated {
        // Client Info has the same then, or nothing. Who delegates nothing types the password on the screen.
        let password = Some(password).filter(|password| !password.is_empty());
        info = ClientInfo { user, domain, password, ..info };
    }
    Ok(Connected { acceptor, transcript: recorder.0, settings, info })
}

/// CredSSP: the monitor says whether the client has proven who it is; what it delegates is for PAM.
fn nla(
    client: &mut Client,
    (monitor, start): (&Arc<Monitor>, &Start),
    early_result: EarlyResult,
    (deadlines, mut deadline): (&Deadlines, Deadline),
) -> Result<Delegated> {
    let leaf = start.chain.first().context("no certificate")?;
    let server = credssp::Server {
        host_name: start.host_name.to_string(),
        public_key: credssp::subject_public_key(leaf)?,
        early_result,
    };
    let mut driver = CredSsp::new(server);
    let mut step = Step::Request;
    let mut proven = (UserName::default(), UserName::default());
    loop {
        let mut output = Vec::new();
        let result = match step {
            // Who proves a password and delegates none is asked for it, and need not be asked for the name.
            Step::Done(Delegated { user, password, .. }) if user.is_empty() => {
                return Ok(Delegated { user: proven.0, domain: proven.1, password });
            }
            Step::Done(delegated) => return Ok(delegated),
            Step::Request => {
                let request = client.read_ts_request(deadline)?;
                deadline = deadline.min(Deadline::after(deadlines.credssp));
                driver.receive(&request, &mut output)
            }
            Step::Challenge => driver.challenge(monitor.ntlm_challenge()?, filetime(SystemTime::now()), &mut output),
            Step::Verdict(proof) => {
                debug!("{:?} of {:?} wants to prove a password", proof.user.as_str(), proof.domain.as_str());
                proven = (proof.user.clone(), proof.domain.clone());
                driver.verdict(monitor.ntlm_verdict(*proof)?, &mut output)
            }
        };
        // A refusal, too.
        let sent = client.send(&output, deadline);
        step = result.context("credssp")?;
        sent?;
    }
}

/// In units of 100 ns since 1601 (MS-DTYP 2.3.3).
fn filetime(now: SystemTime) -> u64 {
    const TO_1970: u64 = 11_644_473_600 * 10_000_000;
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos() / 100).unwrap_or(u64::MAX).saturating_add(TO_1970)
}

/// Goes on from licensing until the client is active, for the login screen.
pub fn activate(client: &mut Client, acceptor: &mut Acceptor, deadline: Deadline) -> Result<()> {
    let mut waiting = go(client, acceptor, None, Pause::Nowhere, deadline)?;
    while waiting != Waiting::Active {
        let pdu = client.read_pdu(deadline)?;
        waiting = go(client, acceptor, Some(&pdu), Pause::Nowhere, deadline)?;
    }
    Ok(())
}

fn turn(client: &mut Client, acceptor: &mut Acceptor, pdu: Option<&[u8]>, deadline: Deadline) -> Result<Waiting> {
    go(client, acceptor, pdu, Pause::BeforeLicensing, deadline)
}

/// One turn of the driver; what it produced is sent in any case, so that a refusal arrives.
fn go(
    client: &mut Client,
    acceptor: &mut Acceptor,
    pdu: Option<&[u8]>,
    pause: Pause,
    deadline: Deadline,
) -> Result<Waiting> {
    let mut output = Vec::new();
    let result = drive(acceptor, pdu, pause, &mut output);
    let sent = client.send(&output, deadline);
    let waiting = match result {
        Err(DriveError::Disconnected) => return Err(ClientError::Gone.into()),
        other => other?,
    };
    sent?;
    Ok(waiting)
}

struct Recorder(Transcript);

impl Recorder {
    fn new(security: SecurityProtocol, max: DesktopSize) -> Self {
        Self(Transcript {
            security: security.bits(),
            max_width: max.width,
            max_height: max.height,
            progress: Progress::Licensing,
            layout: None,
            pdus: Vec::new(),
        })
    }

    fn record(&mut self, pdu: &[u8]) -> Result<()> {
        // The frame has a few bytes for each PDU and for the whole besides the PDUs themselves.
        let length = self.0.pdus.iter().map(|pdu| pdu.len() + 4).sum::<usize>() + pdu.len() + 64;
        if self.0.pdus.len() >= MAX_PDUS || length > MAX_TRANSCRIPT {
            bail!("the client said too much before its client info");
        }
        self.0.pdus.push(Bytes::try_from(pdu.to_vec())?);
        Ok(())
    }
}

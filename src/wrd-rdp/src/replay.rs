//! Bringing a fresh acceptor to where the gate's one stands, from the transcript.
//!
//! What the acceptor writes meanwhile was sent by the gate already (byte for byte the same) and is
//! discarded.

use crate::acceptor::{DriveError, Pause, Waiting, credssp_is_done, drive, state, state_name, step, tls_is_up};
use crate::client::{ClientError, ClientSettings};
use ironrdp_acceptor::{Acceptor, AcceptorState, DesktopSize};
use ironrdp_pdu::nego::SecurityProtocol;
use wrd_proto::transcript::{Progress, Transcript};

/// An acceptor that goes on where the client waits.
pub struct Replayed {
    /// At licensing or, after the login screen, right before a new Demand Active: [`drive`] it with no
    /// input and [`Pause::Nowhere`], and send what comes out.
    pub acceptor: Acceptor,
    /// What the client said about itself.
    pub client: ClientSettings,
}

impl std::fmt::Debug for Replayed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replayed")
            .field("state", &state_name(&self.acceptor))
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("the transcript ends before the client is known ({0})")]
    Incomplete(&'static str),
    #[error("the transcript has more in it than the sequence takes")]
    TooMuch,
    #[error(transparent)]
    Drive(#[from] DriveError),
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// The two settings that the acceptor of this transcript needs ([`crate::acceptor::new_acceptor`]).
pub fn settings(transcript: &Transcript) -> (SecurityProtocol, DesktopSize) {
    let size = DesktopSize { width: transcript.max_width, height: transcript.max_height };
    (SecurityProtocol::from_bits_retain(transcript.security), size)
}

/// Replays `transcript` into `acceptor`, which is fresh, made with [`settings`] and has its static channels
/// attached.
pub fn replay(mut acceptor: Acceptor, transcript: &Transcript) -> Result<Replayed, ReplayError> {
    let mut discarded = Vec::new();
    let mut client = None;
    for pdu in &transcript.pdus {
        discarded.clear();
        if matches!(state(&acceptor), Some(AcceptorState::BasicSettingsWaitInitial { .. })) {
            client = Some(ClientSettings::decode(pdu)?);
        }
        match drive(&mut acceptor, Some(pdu), Pause::BeforeLicensing, &mut discarded) {
            Ok(Waiting::ForTls) => {
                tls_is_up(&mut acceptor);
                credssp_is_done(&mut acceptor);
                drive(&mut acceptor, None, Pause::BeforeLicensing, &mut discarded)?;
            }
            Ok(_) => {}
            Err(DriveError::NotDue) => return Err(ReplayError::TooMuch),
            Err(error) => return Err(error.into()),
        }
    }
    let (Some(client), Some(AcceptorState::LicensingExchange { .. })) = (client, state(&acceptor)) else {
        return Err(ReplayError::Incomplete(state_name(&acceptor)));
    };
    if transcript.progress == Progress::Deactivated {
        // Licensing and whatever follows it up to Demand Active; the number of states is fixed.
        for _ in 0..4 {
            if matches!(state(&acceptor), Some(AcceptorState::CapabilitiesSendServer { .. })) {
                break;
            }
            step(&mut acceptor, &[], &mut discarded)?;
        }
    }
    Ok(Replayed { acceptor, client })
}

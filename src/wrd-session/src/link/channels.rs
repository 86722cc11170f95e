//! Virtual channels of one client: the static ones it joined, and the dynamic ones on top of drdynvc.
//!
//! Only drdynvc is served so far; PDUs on other channels are ignored. A message that a client may send is
//! at most [`MAX_MESSAGE`] bytes.

use super::LinkError;
use ironrdp_core::{Decode, ReadCursor, decode_cursor};
use ironrdp_dvc::pdu::{CreationStatus, DrdynvcClientPdu, DrdynvcDataPdu};
use ironrdp_dvc::{DrdynvcServer, DvcMessage, DvcServerProcessor, encode_dvc_messages};
use ironrdp_pdu::rdp::vc::{ChannelControlFlags, ChannelPduHeader};
use ironrdp_svc::{ChannelFlags, StaticChannelSet, SvcMessage, server_encode_svc_messages};
use wrd_rdp::acceptor::SERVER_CHANNEL;

/// Longest message of a client on a channel, in bytes; the longest legal one is a cache import offer.
pub const MAX_MESSAGE: u32 = 256 * 1024;

/// See the module.
#[derive(Debug, Default)]
pub struct Channels(StaticChannelSet);

/// What a PDU on a channel was, as far as the link must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The client does not have the dynamic channel with this id.
    Declined(u32),
    Other,
}

impl Channels {
    pub fn new(joined: StaticChannelSet) -> Self {
        Self(joined)
    }

    /// Whether the client has joined drdynvc.
    pub fn has_dynamic(&self) -> bool {
        self.0.get_channel_id_by_type::<DrdynvcServer>().is_some()
    }

    /// The first words of every channel that is served.
    pub fn start(&mut self) -> Result<Vec<u8>, LinkError> {
        let Some(id) = self.0.get_channel_id_by_type::<DrdynvcServer>() else { return Ok(Vec::new()) };
        let Some(channel) = self.0.get_by_channel_id_mut(id) else { return Ok(Vec::new()) };
        let messages = channel.start().map_err(LinkError::Channel)?;
        encode(messages, id)
    }

    /// A chunk on the static channel `id`. Answers are appended to `output`.
    pub fn receive(&mut self, id: u16, chunk: &[u8], output: &mut Vec<u8>) -> Result<Seen, LinkError> {
        let Some(channel) = self.0.get_by_channel_id_mut(id) else { return Ok(Seen::Other) };
        let seen = look(chunk)?;
        let answers = channel.process(chunk).map_err(LinkError::Channel)?;
        output.extend(encode(answers, id)?);
        Ok(seen)
    }

    /// The id of the dynamic channel that `T` serves.
    pub fn dynamic_id<T: DvcServerProcessor + 'static>(&self) -> Option<u32> {
        self.0
            .get_by_type::<DrdynvcServer>()?
            .channel_processor_downcast_ref::<DrdynvcServer>()?
            .get_channel_id_by_type::<T>()
    }

    /// Lets `act` have the server of an open dynamic channel and sends what it returns.
    pub fn with_dynamic<T: DvcServerProcessor + 'static>(
        &mut self,
        act: impl FnOnce(&mut T) -> Vec<DvcMessage>,
    ) -> Result<Vec<u8>, LinkError> {
        let Some(id) = self.0.get_channel_id_by_type::<DrdynvcServer>() else { return Ok(Vec::new()) };
        let Some(server) = self
            .0
            .get_by_type_mut::<DrdynvcServer>()
            .and_then(|channel| channel.channel_processor_downcast_mut::<DrdynvcServer>())
        else {
            return Ok(Vec::new());
        };
        let Some(dynamic_id) = server.get_channel_id_by_type::<T>() else { return Ok(Vec::new()) };
        let Some(mut channel) = server.dvc_by_id_mut::<T>(dynamic_id) else { return Ok(Vec::new()) };
        let messages = act(channel.processor_mut());
        let messages =
            encode_dvc_messages(dynamic_id, messages, ChannelFlags::SHOW_PROTOCOL).map_err(LinkError::Encode)?;
        encode(messages, id)
    }
}

fn encode(messages: Vec<SvcMessage>, id: u16) -> Result<Vec<u8>, LinkError> {
    if messages.is_empty() {
        return Ok(Vec::new());
    }
    server_encode_svc_messages(messages, id, SERVER_CHANNEL).map_err(LinkError::Encode)
}

/// Checks lengths before anything is collected, and finds refusals of dynamic channels, of which the
/// channel's own server is not told.
fn look(chunk: &[u8]) -> Result<Seen, LinkError> {
    let mut cursor = ReadCursor::new(chunk);
    let header: ChannelPduHeader = decode_cursor(&mut cursor).map_err(LinkError::Malformed)?;
    if header.length > MAX_MESSAGE {
        return Err(LinkError::TooLong(header.length));
    }
    if !header.flags.contains(ChannelControlFlags::FLAG_FIRST) {
        return Ok(Seen::Other);
    }
    match DrdynvcClientPdu::decode(&mut cursor) {
        Ok(DrdynvcClientPdu::Data(DrdynvcDataPdu::DataFirst(first))) if first.length() > MAX_MESSAGE => {
            Err(LinkError::TooLong(first.length()))
        }
        Ok(DrdynvcClientPdu::Data(DrdynvcDataPdu::DataFirstCompressed(first))) if first.length() > MAX_MESSAGE => {
            Err(LinkError::TooLong(first.length()))
        }
        Ok(DrdynvcClientPdu::Create(answer)) if answer.creation_status() != CreationStatus::OK => {
            Ok(Seen::Declined(answer.channel_id()))
        }
        _ => Ok(Seen::Other),
    }
}

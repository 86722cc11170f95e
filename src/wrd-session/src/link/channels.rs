//! Virtual channels of one client: the static ones it joined, and the dynamic ones on top of drdynvc.
//!
//! Only drdynvc is served so far; PDUs on other channels are ignored. A message that a client may send is
//! at most [`MAX_MESSAGE`] bytes, checked before `ironrdp-svc` and `ironrdp-dvc` collect anything: they
//! themselves collect as much as a client announces (docs/upstream.md).

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
pub struct Channels {
    joined: StaticChannelSet,
    message: Message,
}

/// Where the client is with its message on drdynvc.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Message {
    /// The next chunk begins one.
    #[default]
    Awaited,
    /// The next chunk goes on with it.
    UnderWay,
}

/// What a PDU on a channel was, as far as the link must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The client does not have the dynamic channel with this id.
    Declined(u32),
    Other,
}

impl Channels {
    pub fn new(joined: StaticChannelSet) -> Self {
        Self { joined, message: Message::Awaited }
    }

    /// Whether the client has joined drdynvc.
    pub fn has_dynamic(&self) -> bool {
        self.joined.get_channel_id_by_type::<DrdynvcServer>().is_some()
    }

    /// The first words of every channel that is served.
    pub fn start(&mut self) -> Result<Vec<u8>, LinkError> {
        let Some(id) = self.joined.get_channel_id_by_type::<DrdynvcServer>() else { return Ok(Vec::new()) };
        let Some(channel) = self.joined.get_by_channel_id_mut(id) else { return Ok(Vec::new()) };
        let messages = channel.start().map_err(LinkError::Channel)?;
        encode(messages, id)
    }

    /// A chunk on the static channel `id`. Answers are appended to `output`.
    pub fn receive(&mut self, id: u16, chunk: &[u8], output: &mut Vec<u8>) -> Result<Seen, LinkError> {
        let Some(channel) = self.joined.get_by_channel_id_mut(id) else { return Ok(Seen::Other) };
        let seen = look(chunk, &mut self.message)?;
        let answers = channel.process(chunk).map_err(LinkError::Channel)?;
        output.extend(encode(answers, id)?);
        Ok(seen)
    }

    /// The id of the dynamic channel that `T` serves.
    pub fn dynamic_id<T: DvcServerProcessor + 'static>(&self) -> Option<u32> {
        self.joined
            .get_by_type::<DrdynvcServer>()?
            .channel_processor_downcast_ref::<DrdynvcServer>()?
            .get_channel_id_by_type::<T>()
    }

    /// Lets `act` have the server of an open dynamic channel and sends what it returns.
    pub fn with_dynamic<T: DvcServerProcessor + 'static>(
        &mut self,
        act: impl FnOnce(&mut T) -> Vec<DvcMessage>,
    ) -> Result<Vec<u8>, LinkError> {
        let Some(id) = self.joined.get_channel_id_by_type::<DrdynvcServer>() else { return Ok(Vec::new()) };
        let Some(server) = self
            .joined
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
fn look(chunk: &[u8], message: &mut Message) -> Result<Seen, LinkError> {
    let mut cursor = ReadCursor::new(chunk);
    let header: ChannelPduHeader = decode_cursor(&mut cursor).map_err(LinkError::Malformed)?;
    if header.length > MAX_MESSAGE {
        return Err(LinkError::TooLong(header.length));
    }
    // We announce that there is no compression (MS-RDPBCGR 2.2.7.1.10), and of chunks that say so nobody counts the
    // bytes.
    if header.flags.contains(ChannelControlFlags::PACKET_COMPRESSED) {
        return Err(LinkError::Compressed);
    }
    let first = header.flags.contains(ChannelControlFlags::FLAG_FIRST) || *message == Message::Awaited;
    // A chunk without either flag, where none was begun, is a whole message to `ironrdp-svc`.
    let whole = first && !header.flags.contains(ChannelControlFlags::FLAG_FIRST);
    let last = whole || header.flags.contains(ChannelControlFlags::FLAG_LAST);
    *message = if last { Message::Awaited } else { Message::UnderWay };
    if !first {
        return Ok(Seen::Other);
    }
    // The first chunk of a message has its whole header, or lengths could be smuggled past here in pieces.
    match DrdynvcClientPdu::decode(&mut cursor).map_err(LinkError::Malformed)? {
        DrdynvcClientPdu::Data(DrdynvcDataPdu::DataFirst(first)) if first.length() > MAX_MESSAGE => {
            Err(LinkError::TooLong(first.length()))
        }
        DrdynvcClientPdu::Data(DrdynvcDataPdu::DataFirstCompressed(first)) if first.length() > MAX_MESSAGE => {
            Err(LinkError::TooLong(first.length()))
        }
        DrdynvcClientPdu::Create(answer) if answer.creation_status() != CreationStatus::OK => {
            Ok(Seen::Declined(answer.channel_id()))
        }
        _ => Ok(Seen::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channels::display_control::DisplayControl;
    use crate::source::Size;
    use std::any::TypeId;

    const DRDYNVC: u16 = 1004;
    const FIRST: u32 = 1;
    const LAST: u32 = 2;
    const COMPRESSED: u32 = 0x20_0000;

    fn chunk(length: usize, flags: u32, data: &[u8]) -> Vec<u8> {
        let mut chunk = (length as u32).to_le_bytes().to_vec();
        chunk.extend(flags.to_le_bytes());
        chunk.extend_from_slice(data);
        chunk
    }

    /// A client with display control open on channel 0.
    fn channels() -> Channels {
        let (wish, _) = std::sync::mpsc::channel();
        let largest = Size { width: 800, height: 600 };
        let mut joined = StaticChannelSet::new();
        joined.insert(DrdynvcServer::new().with_dynamic_channel(DisplayControl::new(largest, wish)));
        joined.attach_channel_id(TypeId::of::<DrdynvcServer>(), DRDYNVC);
        let mut channels = Channels::new(joined);
        channels.start().unwrap();
        for answer in [&[0x50, 0, 3, 0][..], &[0x10, 0, 0, 0, 0, 0]] {
            say(&mut channels, &chunk(answer.len(), FIRST | LAST, answer)).unwrap();
        }
        assert_eq!(channels.dynamic_id::<DisplayControl>(), Some(0));
        channels
    }

    fn say(channels: &mut Channels, chunk: &[u8]) -> Result<Seen, LinkError> {
        channels.receive(DRDYNVC, chunk, &mut Vec::new())
    }

    #[test]
    fn chunks_that_claim_compression_are_not_collected() {
        let mut channels = channels();
        let said = say(&mut channels, &chunk(10, FIRST | COMPRESSED, &[0x30; 1600]));
        assert!(matches!(said, Err(LinkError::Compressed)), "{said:?}");
    }

    #[test]
    fn a_message_that_is_too_long_is_seen_in_whatever_chunk_it_begins() {
        // DYNVC_DATA_FIRST for channel 0, of 4 GiB (MS-RDPEDYC 2.2.3.1).
        let first = [0x28, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
        for flags in [FIRST | LAST, FIRST, LAST, 0] {
            let said = say(&mut channels(), &chunk(first.len(), flags, &first));
            assert!(matches!(said, Err(LinkError::TooLong(u32::MAX))), "{flags}: {said:?}");
        }
        // Behind a message in two chunks, too.
        let mut channels = channels();
        say(&mut channels, &chunk(8, FIRST, &[0x30, 0, 1, 0])).unwrap();
        say(&mut channels, &chunk(8, LAST, &[0, 0, 8, 0])).unwrap();
        let said = say(&mut channels, &chunk(first.len(), 0, &first));
        assert!(matches!(said, Err(LinkError::TooLong(u32::MAX))), "{said:?}");
        // And where the header comes in pieces.
        let mut channels = self::channels();
        let said = say(&mut channels, &chunk(first.len(), FIRST, &first[..3]));
        assert!(matches!(said, Err(LinkError::Malformed(_))), "{said:?}");
    }

    #[test]
    fn messages_in_chunks_arrive() {
        let mut channels = channels();
        for _ in 0..3 {
            say(&mut channels, &chunk(8, FIRST, &[0x30, 0])).unwrap();
            say(&mut channels, &chunk(8, 0, &[1, 0, 0])).unwrap();
            say(&mut channels, &chunk(8, LAST, &[0, 8, 0])).unwrap();
            say(&mut channels, &chunk(6, 0, &[0x30, 0, 1, 0, 0, 0])).unwrap();
        }
    }
}

//! One client that looks at the desktop: its connection, what it shows, and when it gets the next frame.
//!
//! The place where link, encode, pace and input meet the [`Source`]. No sockets here: PDUs come in, bytes go
//! out, and time is an argument. Always true: nothing is rendered for a client that cannot take it, and no
//! frame is longer than [`BUDGET`] and one rectangle.

use crate::encode::bitmap::{self, Depth, Form};
use crate::encode::clear::Clear;
use crate::encode::{Differ, MAX_AREA};
use crate::input::Translator;
use crate::link::update::{Tile, TileForm};
use crate::link::{Connection, Event, Farewell, LinkError, Output, Pixels, Show};
use crate::pace::{Acks, Pace};
use crate::source::{Frame, Rect, Size, Source};
use std::time::Instant;
use wrd_proto::reconnect::Cookie;
use wrd_proto::transcript::Transcript;
use wrd_rdp::client::Keyboard;
use wrd_rdp::keymap::LayoutName;

/// See the module.
pub struct Viewer {
    connection: Connection,
    stage: Stage,
    output: Output,
    clear: Clear,
    pace: Pace,
    input: Translator,
    started: Instant,
}

enum Stage {
    /// The activation or the graphics channel is under way.
    Opening,
    Showing(Picture),
}

/// What the client shows and how it is told of more.
struct Picture {
    show: Show,
    differ: Differ,
    depth: Depth,
    /// The client has not been told of the pointer yet.
    pointer_due: bool,
}

/// What becomes of the client that its keeper must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Its keyboard is known, and which layout its user has just chosen for it.
    Active(Keyboard, Option<LayoutName>),
    /// It is shown the desktop at this size.
    Shown(Size),
    /// It has said good-bye.
    Disconnected,
}

/// A frame is ended where it reaches so many bytes; the rest of the damage comes with the next.
pub const BUDGET: usize = 1024 * 1024;

impl Viewer {
    pub fn new(transcript: &Transcript, now: Instant) -> Result<Self, LinkError> {
        Ok(Self {
            connection: Connection::new(transcript)?,
            stage: Stage::Opening,
            output: Output::Wanted,
            clear: Clear::default(),
            pace: Pace::default(),
            input: Translator::default(),
            started: now,
        })
    }

    /// One whole PDU of the client.
    pub fn receive(&mut self, pdu: &[u8], desktop: &mut impl Source, now: Instant) -> Result<Vec<News>, LinkError> {
        let mut events = Vec::new();
        let mut news = Vec::new();
        self.connection.receive(pdu, &mut events)?;
        // A resize makes events of its own; there is at most one of them in a PDU.
        let mut next = events.into_iter();
        while let Some(event) = next.next() {
            match event {
                Event::Resize(size) => {
                    let mut more = Vec::new();
                    self.connection.resize(size, &mut more)?;
                    next = more.into_iter().chain(next).collect::<Vec<_>>().into_iter();
                }
                event => self.handle(event, desktop, now, &mut news)?,
            }
        }
        Ok(news)
    }

    /// Brings the client up to date as far as it can take it, with `queued` bytes of it still in the way.
    /// True where more could be sent at once.
    pub fn show(&mut self, desktop: &mut impl Source, queued: usize, now: Instant) -> Result<bool, LinkError> {
        if !self.is_watching() {
            return Ok(false);
        }
        let Stage::Showing(picture) = &mut self.stage else { return Ok(false) };
        let changed = desktop.take_pointer();
        if let Some(pointer) = if std::mem::take(&mut picture.pointer_due) { Some(desktop.pointer()) } else { changed }
        {
            self.connection.pointer(&pointer);
        }
        if !(desktop.is_damaged() || picture.differ.is_pending()) || !self.pace.may_send(queued) {
            return Ok(false);
        }
        if desktop.is_damaged() {
            let rects = desktop.render();
            picture.differ.damage(&rects);
        }
        let frame = desktop.frame();
        match picture.show {
            Show::Pipeline => {
                let pictures = pipeline(&mut picture.differ, &mut self.clear, &frame);
                if !pictures.is_empty() {
                    let milliseconds = now.saturating_duration_since(self.started).as_millis() as u32;
                    match self.connection.frame(pictures, milliseconds)? {
                        Some(number) => self.pace.sent(number, now),
                        // Refused: what the client shows is not what we think.
                        None => {
                            picture.differ.forget_all();
                            return Ok(false);
                        }
                    }
                }
            }
            Show::Bitmaps => {
                let tiles = bitmaps(&mut picture.differ, picture.depth, &frame);
                self.connection.bitmaps(&tiles);
            }
        }
        Ok(picture.differ.is_pending())
    }

    /// Whether the client is shown the desktop now.
    pub fn is_watching(&self) -> bool {
        self.is_open() && self.output == Output::Wanted
    }

    /// Whether the client's activation is behind it, and no new one under way.
    pub fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Showing(_)) && self.connection.is_active()
    }

    /// Whether the client can be told anything.
    pub fn is_active(&self) -> bool {
        self.connection.is_active()
    }

    /// What the client may come back with.
    pub fn give_cookie(&mut self, cookie: &Cookie) {
        self.connection.give_cookie(cookie);
    }

    pub fn take_output(&mut self) -> Vec<u8> {
        self.connection.take_output()
    }

    pub fn farewell(&self, why: Farewell) -> Vec<u8> {
        self.connection.farewell(why)
    }

    fn handle(
        &mut self,
        event: Event,
        desktop: &mut impl Source,
        now: Instant,
        news: &mut Vec<News>,
    ) -> Result<(), LinkError> {
        match event {
            Event::Active => {
                self.stage = Stage::Opening;
                news.push(News::Active(self.connection.keyboard(), self.connection.take_layout()));
            }
            Event::Ready(show) => {
                let size = self.connection.size();
                if desktop.frame().size != size {
                    desktop.resize(size);
                }
                desktop.damage_all();
                let bits = self.connection.capabilities().bits_per_pixel;
                let depth = Depth::from_bits(bits).ok_or(LinkError::Depth(bits))?;
                self.pace.restart(match show {
                    Show::Pipeline => Acks::Each,
                    Show::Bitmaps => Acks::Never,
                });
                self.stage = Stage::Showing(Picture { show, differ: Differ::new(size), depth, pointer_due: true });
                news.push(News::Shown(size));
            }
            Event::Input(inputs) => self.input.hand_over(&inputs, self.connection.size(), desktop),
            Event::Output(output) => {
                // Who was suppressed may have lost what it showed.
                if output == Output::Wanted
                    && let Stage::Showing(picture) = &mut self.stage
                {
                    picture.differ.forget_all();
                }
                self.output = output;
            }
            Event::Refresh(rects) => {
                if let Stage::Showing(picture) = &mut self.stage {
                    rects.into_iter().for_each(|rect| picture.differ.forget(rect));
                }
            }
            Event::Acknowledged { frame, queue_depth } => self.pace.acknowledged(frame, queue_depth, now),
            Event::Disconnected => news.push(News::Disconnected),
            Event::Resize(_) => {}
        }
        Ok(())
    }
}

fn pipeline(differ: &mut Differ, clear: &mut Clear, frame: &Frame<'_>) -> Vec<Pixels> {
    let mut pictures = Vec::new();
    let mut bytes = 0;
    for_rects(differ, frame, |rect| {
        let data = clear.encode(frame, rect);
        bytes += data.len();
        pictures.push(Pixels { target: rect, data });
        bytes
    });
    pictures
}

fn bitmaps(differ: &mut Differ, depth: Depth, frame: &Frame<'_>) -> Vec<Tile> {
    let mut tiles = Vec::new();
    let mut bytes = 0;
    for_rects(differ, frame, |rect| {
        for bitmap in bitmap::encode(frame, rect, depth) {
            bytes += bitmap.data.len();
            let form = match bitmap.form {
                Form::Planar => TileForm::Planar,
                Form::Raw => TileForm::Raw,
            };
            let (target, width, data) = (bitmap.target, bitmap.width, bitmap.data);
            tiles.push(Tile { target, width, bits_per_pixel: depth.bits(), form, data });
        }
        bytes
    });
    tiles
}

/// Encodes what differs until `encode`, which returns the bytes so far, has reached the budget.
fn for_rects(differ: &mut Differ, frame: &Frame<'_>, mut encode: impl FnMut(Rect) -> usize) {
    let mut bytes = 0;
    while bytes < BUDGET && differ.is_pending() {
        let rects = differ.take(frame, MAX_AREA);
        if rects.is_empty() && frame.size != differ.size() {
            return;
        }
        for rect in rects {
            bytes = encode(rect);
        }
    }
}

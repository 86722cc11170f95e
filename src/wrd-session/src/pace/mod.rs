//! When the next frame may be sent, from what was sent, acknowledged and is still queued.
//!
//! Pure: time comes as an argument. Latency first: after rest the answer is always yes. When it is no,
//! the caller keeps the damage and asks again once an acknowledgement has come or the queue has shrunk;
//! both are events, so no timer stands in the way of a frame.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The frames of one client on their way.
#[derive(Debug, Default)]
pub struct Pace {
    acks: Acks,
    /// Sent and not acknowledged, oldest first.
    flying: VecDeque<(u32, Instant)>,
    round_trip: Option<Duration>,
    /// Bytes that the client says it has not decoded yet.
    backlog: u32,
}

/// What the client says about the frames it has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acks {
    /// Nothing: only the queue counts.
    #[default]
    Never,
    /// Each of them.
    Each,
    /// Nothing for now (MS-RDPEGFX 2.2.2.13, SUSPEND_FRAME_ACKNOWLEDGEMENT).
    Suspended,
}

/// With more bytes than this still queued here, a newer frame is worth more than an earlier one.
pub const MAX_QUEUED: usize = 32 * 1024;
/// Frames in flight are enough for this many a second, whatever the distance, …
const RATE: u32 = 60;
/// … but at least two, so that the client always has one to decode while the next travels, …
const MIN_FLYING: usize = 2;
/// … and never more than this.
const MAX_FLYING: usize = 12;
/// A client that is so many bytes behind gets no more than [`MIN_FLYING`].
const MAX_BACKLOG: u32 = 1024 * 1024;
const SUSPEND: u32 = u32::MAX;

impl Pace {
    /// Forgets all frames: the client has started anew and will acknowledge as `acks` says.
    pub fn restart(&mut self, acks: Acks) {
        self.flying.clear();
        self.backlog = 0;
        self.acks = acks;
    }

    /// Whether a frame may be sent now, with `queued` bytes not yet handed to the kernel.
    pub fn may_send(&self, queued: usize) -> bool {
        queued <= MAX_QUEUED && (self.acks != Acks::Each || self.flying.len() < self.limit())
    }

    /// A frame was queued.
    pub fn sent(&mut self, frame: u32, now: Instant) {
        if self.acks == Acks::Each {
            self.flying.push_back((frame, now));
        }
    }

    /// The client has shown `frame`, and with it all earlier ones.
    pub fn acknowledged(&mut self, frame: u32, queue_depth: u32, now: Instant) {
        if queue_depth == SUSPEND {
            self.acks = Acks::Suspended;
            self.flying.clear();
            return;
        }
        self.acks = Acks::Each;
        self.backlog = queue_depth;
        let Some(position) = self.flying.iter().position(|(id, _)| *id == frame) else { return };
        if let Some((_, at)) = self.flying.drain(..=position).next_back() {
            let sample = now.saturating_duration_since(at);
            self.round_trip = Some(match self.round_trip {
                Some(smoothed) => (smoothed * 7 + sample) / 8,
                None => sample,
            });
        }
    }

    /// Time from a frame's sending to its acknowledgement, smoothed.
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    pub fn in_flight(&self) -> usize {
        self.flying.len()
    }

    fn limit(&self) -> usize {
        if self.backlog > MAX_BACKLOG {
            return MIN_FLYING;
        }
        let frames = self.round_trip.unwrap_or_default().as_secs_f64() * f64::from(RATE);
        (frames as usize + 1).clamp(MIN_FLYING, MAX_FLYING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Op {
        Send,
        /// Acknowledges one of the frames sent so far, or one that never was.
        Ack(usize, u32),
        Wait(u16),
        Restart(Acks),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            4 => Just(Op::Send),
            4 => (0usize..6, prop_oneof![Just(0u32), 0u32..4_000_000]).prop_map(|(f, d)| Op::Ack(f, d)),
            1 => (0usize..6).prop_map(|f| Op::Ack(f, SUSPEND)),
            2 => any::<u16>().prop_map(Op::Wait),
            1 => prop_oneof![Just(Acks::Each), Just(Acks::Never)].prop_map(Op::Restart),
        ]
    }

    proptest! {
        #[test]
        fn frames_in_flight_are_bounded_and_it_never_gets_stuck(ops in proptest::collection::vec(op(), 0..200)) {
            let mut now = Instant::now();
            let mut pace = Pace::default();
            let mut frame = 0;
            for op in ops {
                match op {
                    Op::Send => {
                        if pace.may_send(0) {
                            pace.sent(frame, now);
                            frame += 1;
                        }
                    }
                    Op::Ack(back, depth) => pace.acknowledged(frame.wrapping_sub(back as u32), depth, now),
                    Op::Wait(ms) => now += Duration::from_millis(ms.into()),
                    Op::Restart(acks) => pace.restart(acks),
                }
                prop_assert!(pace.in_flight() <= MAX_FLYING);
                // Whenever it says no, an acknowledgement is outstanding which will make it say yes.
                prop_assert!(pace.may_send(0) || pace.in_flight() >= MIN_FLYING);
                prop_assert!(!pace.may_send(MAX_QUEUED + 1));
            }
            pace.acknowledged(frame.wrapping_sub(1), 0, now);
            prop_assert!(pace.may_send(0));
        }
    }

    #[test]
    fn a_far_client_gets_more_frames_in_flight_than_a_near_one() {
        let start = Instant::now();
        let mut flights = Vec::new();
        for round_trip in [1, 100, 5000] {
            let mut pace = Pace::default();
            pace.restart(Acks::Each);
            for frame in 0..40 {
                pace.sent(frame, start);
                pace.acknowledged(frame, 0, start + Duration::from_millis(round_trip));
            }
            while pace.may_send(0) {
                pace.sent(100 + pace.in_flight() as u32, start);
            }
            flights.push(pace.in_flight());
        }
        assert_eq!(flights, [2, 7, MAX_FLYING]);
    }

    #[test]
    fn a_client_that_suspends_acknowledgements_is_paced_by_the_queue() {
        let now = Instant::now();
        let mut pace = Pace::default();
        pace.restart(Acks::Each);
        pace.sent(0, now);
        pace.sent(1, now);
        assert!(!pace.may_send(0));
        pace.acknowledged(0, SUSPEND, now);
        for frame in 2..50 {
            assert!(pace.may_send(0));
            pace.sent(frame, now);
        }
        assert!(!pace.may_send(MAX_QUEUED * 2));
        pace.acknowledged(49, 0, now);
        pace.sent(50, now);
        assert_eq!(pace.in_flight(), 1);
    }
}

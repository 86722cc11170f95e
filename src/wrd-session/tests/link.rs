//! The worker's side of a link against a real client: what the client shows is what the desktop is.

mod client;
#[path = "link/deadlines.rs"]
mod deadlines;

use calloop::EventLoop;
use calloop::ping::{Ping, make_ping};
use client::{Arrival, Client, Kind, PLAIN};
use ironrdp_pdu::input::MousePdu;
use ironrdp_pdu::input::fast_path::{FastPathInputEvent, KeyboardFlags};
use ironrdp_pdu::input::mouse::PointerFlags;
use ironrdp_pdu::rdp::headers::ShareDataPdu;
use ironrdp_pdu::rdp::suppress_output::SuppressOutputPdu;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;
use wrd_proto::reconnect::Cookie;
use wrd_proto::worker::{FromWorker, ToWorker};
use wrd_proto::{Address, ConnectionId, Key};
use wrd_session::deadlines::Deadlines;
use wrd_session::source::*;
use wrd_session::state::State;
use wrd_sys::{Channel, RawChannel};

const PIPELINE: Kind<'static> = Kind { pipeline: true, ..PLAIN };

/// What the test and the desktop in the worker's thread share.
#[derive(Default)]
struct Desk {
    size: Option<Size>,
    /// Changes the picture.
    seed: u32,
    /// The rows that changed with it; none is all of them.
    rows: Option<(u16, u16)>,
    damaged: bool,
    pointer: Option<Pointer>,
    requests: Vec<Request>,
    events: Vec<InputEvent>,
    layouts: Vec<KeyboardLayout>,
    released: usize,
    renders: usize,
}

struct TestSource {
    desk: Arc<Mutex<Desk>>,
    size: Size,
    pixels: Vec<u8>,
    damaged: bool,
}

/// Text-like content: flat areas, and areas where every px differs.
fn colour(seed: u32, x: u32, y: u32) -> [u8; 3] {
    if !(x / 60 + y / 30).is_multiple_of(3) {
        return [seed as u8, (x / 60 * 20) as u8, (y / 30 * 9) as u8];
    }
    let n = (x * 7919 + y * 104_729 + seed).wrapping_mul(2_654_435_761);
    [(n >> 8) as u8, (n >> 16) as u8, (n >> 24) as u8]
}

impl Source for TestSource {
    fn resize(&mut self, size: Size) {
        self.size = size;
        self.pixels = vec![0; usize::from(size.width) * usize::from(size.height) * 4];
        self.damaged = true;
        let mut desk = self.desk.lock().unwrap();
        desk.size = Some(size);
        desk.rows = None;
    }
    fn set_keyboard_layout(&mut self, layout: &KeyboardLayout) {
        self.desk.lock().unwrap().layouts.push(layout.clone());
    }
    fn input(&mut self, event: InputEvent) {
        self.desk.lock().unwrap().events.push(event);
    }
    fn release_all(&mut self) {
        self.desk.lock().unwrap().released += 1;
    }
    fn is_damaged(&self) -> bool {
        self.damaged || self.desk.lock().unwrap().damaged
    }
    fn render(&mut self) -> Vec<Rect> {
        let mut desk = self.desk.lock().unwrap();
        desk.renders += 1;
        let whole = std::mem::take(&mut self.damaged);
        desk.damaged = false;
        let rows = desk.rows.filter(|_| !whole).unwrap_or((0, self.size.height));
        for y in rows.0..rows.1 {
            for x in 0..self.size.width {
                let at = (usize::from(y) * usize::from(self.size.width) + usize::from(x)) * 4;
                self.pixels[at..at + 3].copy_from_slice(&colour(desk.seed, x.into(), y.into()));
            }
        }
        vec![Rect { x: 0, y: rows.0, width: self.size.width, height: rows.1 - rows.0 }]
    }
    fn damage_all(&mut self) {
        self.damaged = true;
    }
    fn frame(&self) -> Frame<'_> {
        Frame { size: self.size, stride: usize::from(self.size.width) * 4, pixels: &self.pixels }
    }
    fn take_pointer(&mut self) -> Option<Pointer> {
        self.desk.lock().unwrap().pointer.take()
    }
    fn pointer(&self) -> Pointer {
        Pointer::Hidden
    }
    fn take_requests(&mut self) -> Vec<Request> {
        std::mem::take(&mut self.desk.lock().unwrap().requests)
    }
    fn tick_detached(&mut self) -> Option<Duration> {
        None
    }
}

struct Worker {
    desk: Arc<Mutex<Desk>>,
    leader: Channel<ToWorker, FromWorker>,
    ping: Ping,
    thread: Option<JoinHandle<()>>,
    connections: u64,
}

impl Worker {
    fn start() -> Self {
        Self::start_with(Deadlines::default())
    }

    fn start_with(deadlines: Deadlines) -> Self {
        wrd_sys::log::init();
        let desk = Arc::new(Mutex::new(Desk::default()));
        let (leader, theirs) = RawChannel::pair().unwrap();
        let (ping, pings) = make_ping().unwrap();
        let shared = desk.clone();
        let thread = std::thread::spawn(move || {
            let mut events: EventLoop<'static, State<TestSource>> = EventLoop::try_new().unwrap();
            let size = Size { width: 300, height: 300 };
            let pixels = vec![0; 300 * 300 * 4];
            let source = TestSource { desk: shared, size, pixels, damaged: true };
            let (handle, signal) = (events.handle(), events.get_signal());
            handle.insert_source(pings, |_, _, _| {}).unwrap();
            let mut state = State::new(source, theirs.typed(), handle, signal, deadlines).unwrap();
            events.run(None, &mut state, State::turn).unwrap();
        });
        Self { desk, leader: leader.typed(), ping, thread: Some(thread), connections: 0 }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap()
    }

    /// A link to the worker, our end.
    fn link(&mut self) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        self.connections += 1;
        let client = Address::try_from("192.0.2.1").unwrap();
        let message = ToWorker::Attach { connection: ConnectionId(self.connections), client };
        self.leader.send_fds(&message, &[theirs.as_fd()]).unwrap();
        ours
    }

    fn connect(&mut self, kind: Kind<'_>) -> Client {
        let link = self.link();
        let mut client = Arrival::new(kind).connect(link);
        self.watch(&mut client);
        client
    }

    /// Lets the client read until it shows the desktop.
    fn watch(&mut self, client: &mut Client) {
        let desk = self.desk.clone();
        client.until("the desktop to be shown", |client| shows(client, &desk.lock().unwrap()));
    }

    /// Has the client ask for another size, and lets it read until it shows that.
    fn resize(&mut self, client: &mut Client, width: u16, height: u16) {
        let end = std::time::Instant::now() + Duration::from_secs(10);
        while !client.has_display_control() {
            assert!(std::time::Instant::now() < end);
            client.pump();
        }
        client.wish_size(width.into(), height.into());
        client.until("the new size", |client| (client.image.width(), client.image.height()) == (width, height));
        self.watch(client);
    }

    fn change(&self, rows: Option<(u16, u16)>) {
        let mut desk = self.desk();
        desk.seed += 1;
        desk.rows = rows;
        desk.damaged = true;
        drop(desk);
        self.ping.ping();
    }

    fn ask(&self, request: Request) {
        self.desk().requests.push(request);
        self.ping.ping();
    }

    /// Ends the session; the client, if one is attached, reads to its end.
    fn end(mut self, client: Option<&mut Client>) {
        self.leader.send(&ToWorker::Terminate).unwrap();
        if let Some(client) = client {
            client.until_end();
            assert_eq!(client.errors, [2]);
        }
        self.join();
    }

    fn join(&mut self) {
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Whether the client shows exactly what the desktop is. Rows outside the changed ones have an older seed,
/// so they count only where all changed at once.
fn shows(client: &Client, desk: &Desk) -> bool {
    let image = &client.image;
    if desk.size != Some(Size { width: image.width(), height: image.height() }) {
        return false;
    }
    let (top, bottom) = desk.rows.unwrap_or((0, image.height()));
    (u32::from(top)..u32::from(bottom)).all(|y| {
        (0..u32::from(image.width())).all(|x| {
            let at = (y as usize * usize::from(image.width()) + x as usize) * 4;
            let [blue, green, red] = colour(desk.seed, x, y);
            image.data()[at..at + 3] == [red, green, blue]
        })
    })
}

fn key(code: u8, flags: KeyboardFlags) -> FastPathInputEvent {
    FastPathInputEvent::KeyboardEvent(flags, code)
}

/// First picture, changes, input, resize, and what the leader is told.
fn lives(kind: Kind<'_>) {
    let mut worker = Worker::start();
    let mut client = worker.connect(kind);
    assert_eq!((client.image.width(), client.image.height()), (kind.width, kind.height));
    let message = worker.leader.recv().unwrap();
    let attached = |width, height| FromWorker::Attached { connection: ConnectionId(1), width, height };
    assert_eq!(message, attached(kind.width, kind.height));
    assert_eq!(worker.desk().layouts, [KeyboardLayout { layout: "de".into(), ..Default::default() }]);

    for rows in [Some((100, 140)), None, Some((0, 1)), Some((290, 301))] {
        worker.change(rows);
        worker.watch(&mut client);
    }

    let mouse =
        MousePdu { flags: PointerFlags::MOVE, number_of_wheel_rotation_units: 0, x_position: 5000, y_position: 7 };
    client.type_events(&[
        key(0x1e, KeyboardFlags::empty()),
        key(0x1e, KeyboardFlags::RELEASE),
        FastPathInputEvent::MouseEvent(mouse),
    ]);
    let desk = worker.desk.clone();
    client.link.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    client.until("input", |_| desk.lock().unwrap().events.len() == 3);
    assert_eq!(
        worker.desk().events,
        [
            InputEvent::Key { code: 30, state: Press::Pressed },
            InputEvent::Key { code: 30, state: Press::Released },
            InputEvent::Motion { x: kind.width - 1, y: 7 },
        ]
    );

    worker.desk().pointer = Some(Pointer::Default);
    worker.ping.ping();
    client.until("the pointer", |client| client.pointers == ["hidden", "default"]);

    for (width, height) in [(500, 320), (240, 233)] {
        worker.resize(&mut client, width, height);
        assert_eq!(worker.leader.recv().unwrap(), attached(width, height));
    }
    worker.change(None);
    worker.watch(&mut client);

    // Idle: not a byte, not a frame.
    client.pump();
    let (renders, bytes) = (worker.desk().renders, client.bytes);
    for _ in 0..4 {
        client.pump();
    }
    assert_eq!((worker.desk().renders, client.bytes), (renders, bytes));

    // Closing the window: the client asks, is denied, and goes; the desktop stays.
    client.say_share_data(ShareDataPdu::ShutdownRequest);
    client.until("the answer to a shutdown request", |client| client.denied);
    // Not cut off: it has said good-bye.
    assert_eq!(worker.leader.recv().unwrap(), FromWorker::Left { connection: ConnectionId(1) });
    assert_eq!(worker.leader.recv().unwrap(), FromWorker::Detached { connection: ConnectionId(1) });
    let mut client = worker.connect(kind);
    worker.end(Some(&mut client));
}

#[test]
fn a_client_with_the_pipeline_lives() {
    lives(PIPELINE);
}

#[test]
fn a_client_with_bitmap_updates_lives() {
    lives(PLAIN);
}

#[test]
fn after_the_login_screen_it_goes_on_with_the_same_client() {
    for kind in [PLAIN, PIPELINE] {
        let mut worker = Worker::start();
        let mut link = worker.link();
        link.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let (arrival, stage, factory) = Arrival::from_login_screen(kind);
        std::io::Write::write_all(&mut link, &arrival.block()).unwrap();
        // Late input of the login screen, which nobody wants any more.
        std::io::Write::write_all(&mut link, &[0x04, 0x04, 0x00, 0x1e]).unwrap();
        let size = ironrdp_connector::DesktopSize { width: kind.width, height: kind.height };
        let mut client = Client::new(link, Default::default(), stage, factory, size);
        client.reactivate();
        worker.watch(&mut client);
        assert!(worker.desk().events.is_empty());
        worker.end(Some(&mut client));
    }
}

#[test]
fn the_layout_is_the_clients_until_its_user_chooses_another() {
    const ENGLISH: u32 = 0x0409;
    const GERMAN: u32 = 0x0407;
    const FRENCH: u32 = 0x040c;
    const UNHEARD_OF: u32 = 0x0bad_0407;
    let mut worker = Worker::start();
    let mut client = None;
    for (own, chosen, applied) in [
        (ENGLISH, Some(GERMAN), Some("de")),
        // Coming back without a choice, and with one that is no layout.
        (ENGLISH, None, None),
        (ENGLISH, Some(UNHEARD_OF), None),
        (FRENCH, Some(UNHEARD_OF), Some("fr")),
        (ENGLISH, None, Some("us")),
        (ENGLISH, Some(FRENCH), Some("fr")),
        (ENGLISH, Some(ENGLISH), Some("us")),
    ] {
        let arrival = Arrival::new(Kind { layout: own, ..PIPELINE });
        let arrival = chosen.into_iter().fold(arrival, Arrival::choosing);
        let link = worker.link();
        let client = client.insert(arrival.connect(link));
        worker.watch(client);
        let layouts = std::mem::take(&mut worker.desk().layouts);
        let layouts: Vec<&str> = layouts.iter().map(|layout| layout.layout.as_str()).collect();
        assert_eq!(layouts, Vec::from_iter(applied), "{chosen:x?} at {own:#x}");
        // A new activation, as of a new size, is no new choice.
        worker.resize(client, 500, 320);
        assert!(worker.desk().layouts.is_empty());
    }
    worker.end(client.as_mut());
}

#[test]
fn a_second_client_takes_over_at_its_own_size() {
    let mut worker = Worker::start();
    let mut first = worker.connect(PIPELINE);
    let mut second = worker.connect(Kind { width: 500, height: 400, layout: 0x0409, ..PLAIN });
    first.until_end();
    assert_eq!(first.errors, [5]);
    worker.change(None);
    worker.watch(&mut second);
    let told: Vec<FromWorker> = (0..4).map(|_| worker.leader.recv().unwrap()).collect();
    assert!(matches!(told[1], FromWorker::Left { connection: ConnectionId(1) }), "{told:?}");
    assert!(matches!(told[2], FromWorker::Detached { connection: ConnectionId(1) }), "{told:?}");
    assert!(matches!(told[3], FromWorker::Attached { connection: ConnectionId(2), width: 500, height: 400 }));
    let layouts: Vec<String> = worker.desk().layouts.iter().map(|layout| layout.layout.clone()).collect();
    assert_eq!(layouts, ["de", "us"]);
    // The same client again: the layout stays what the user has made of it.
    let mut third = worker.connect(Kind { layout: 0x0409, ..PIPELINE });
    assert_eq!(worker.desk().layouts.len(), 2);
    worker.end(Some(&mut third));
}

#[test]
fn one_that_does_not_read_holds_nobody_up() {
    let mut worker = Worker::start();
    let mut first = worker.connect(PLAIN);
    // Until its socket is full.
    let renders = || {
        let before = worker.desk().renders;
        for _ in 0..5 {
            worker.change(None);
            std::thread::sleep(Duration::from_millis(20));
        }
        worker.desk().renders - before
    };
    assert!((0..100).any(|_| renders() == 0), "rendered for one who does not read");
    let begin = std::time::Instant::now();
    let link = worker.link();
    let second = Arrival::new(PIPELINE).connect(link);
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    first.until_end();
    // What it had not read is whole PDUs, and the reason is the last of them.
    assert_eq!(first.errors, [5]);
    drop(second);
    worker.end(None);
}

#[test]
fn what_was_refused_for_a_full_queue_is_shown_once_it_is_empty() {
    let mut worker = Worker::start();
    let mut client = worker.connect(Kind { width: 640, height: 480, ..PLAIN });
    for _ in 0..20 {
        // One frame that does not fit into the socket, …
        worker.change(None);
        std::thread::sleep(Duration::from_millis(20));
        {
            // … and while the worker stands between looking at its queue and showing the next …
            let mut desk = worker.desk();
            desk.seed += 1;
            desk.damaged = true;
            worker.ping.ping();
            std::thread::sleep(Duration::from_millis(20));
            // … the client makes room for all that is left.
            for _ in 0..4 {
                client.pump();
            }
        }
        worker.watch(&mut client);
    }
    worker.end(Some(&mut client));
}

#[test]
fn a_suppressed_client_is_not_drawn_to_and_then_all_at_once() {
    let mut worker = Worker::start();
    let mut client = worker.connect(PIPELINE);
    client.say_share_data(ShareDataPdu::SuppressOutput(SuppressOutputPdu { desktop_rect: None }));
    client.link.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    // Once the worker has read that.
    let mut renders = || {
        let before = worker.desk().renders;
        worker.change(None);
        (0..3).for_each(|_| client.pump());
        worker.desk().renders - before
    };
    assert!((0..100).any(|_| renders() == 0), "rendered for one who does not look");
    let all = ironrdp_pdu::geometry::InclusiveRectangle { left: 0, top: 0, right: 9, bottom: 9 };
    client.say_share_data(ShareDataPdu::SuppressOutput(SuppressOutputPdu { desktop_rect: Some(all) }));
    worker.watch(&mut client);
    worker.end(Some(&mut client));
}

#[test]
fn garbage_ends_the_connection_and_not_the_desktop() {
    let mut worker = Worker::start();
    // Not a PDU; not X.224; not MCS; input that is cut; a channel message of 4 GB.
    let garbage: [&[u8]; 5] = [
        &[0x07, 0x07, 0x07],
        &[3, 0, 0, 9, 1, 2, 3, 4, 5],
        &[3, 0, 0, 9, 2, 0xf0, 0x80, 0xff, 0xff],
        &[0x10, 0x04, 0x00, 0x1e],
        &[3, 0, 0, 23, 2, 0xf0, 0x80, 0x64, 0, 7, 3, 0xec, 0x70, 8, 0xff, 0xff, 0xff, 0xff, 3, 0, 0, 0, 0],
    ];
    for bytes in garbage {
        let mut client = worker.connect(PIPELINE);
        client.say(bytes);
        client.until_end();
        assert_eq!(client.errors, [0x10cb], "{bytes:02x?}");
    }
    for block in [vec![0xff; 8], vec![3, 0, 0, 0, 1, 2, 3], vec![0, 0, 0, 0]] {
        let mut link = worker.link();
        link.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        std::io::Write::write_all(&mut link, &block).unwrap();
        let mut end = Vec::new();
        let _ = std::io::Read::read_to_end(&mut link, &mut end);
        assert_eq!(end, wrd_rdp::pdu::disconnect_ultimatum());
    }
    let mut client = worker.connect(PLAIN);
    worker.end(Some(&mut client));
}

#[test]
fn what_the_desktop_asks_for_is_done() {
    let mut worker = Worker::start();
    let mut client = worker.connect(PLAIN);
    worker.ask(Request::Disconnect);
    client.until_end();
    assert_eq!(client.errors, [0xb]);
    let mut client = worker.connect(PLAIN);
    worker.leader.send(&ToWorker::Disconnect).unwrap();
    client.until_end();
    assert_eq!(client.errors, [1]);
    let mut client = worker.connect(PLAIN);
    worker.ask(Request::LogOut);
    client.until_end();
    assert_eq!(client.errors, [0xc]);
    worker.join();
    let mut last = None;
    while let Ok(message) = worker.leader.recv() {
        last = Some(last.map_or(message.clone(), |before| match before {
            FromWorker::Ending { .. } => before,
            _ => message,
        }));
    }
    assert!(matches!(last, Some(FromWorker::Ending { .. })), "{last:?}");
}

#[test]
fn a_client_gets_the_cookie_that_is_its_own_once_it_is_active() {
    let cookie = |number: u8| Cookie { logon_id: number.into(), secret: Key::new([number; 16]) };
    for kind in [PLAIN, PIPELINE] {
        let mut worker = Worker::start();
        // Here before the transcript is; the other one is for a connection that is not there.
        let link = worker.link();
        for (number, connection) in [(1, ConnectionId(1)), (9, ConnectionId(9))] {
            worker.leader.send(&ToWorker::Cookie { connection, cookie: cookie(number) }).unwrap();
        }
        let mut client = Arrival::new(kind).connect(link);
        worker.watch(&mut client);
        client.until("the first cookie", |client| client.cookies == [cookie(1)]);
        worker.leader.send(&ToWorker::Cookie { connection: ConnectionId(1), cookie: cookie(2) }).unwrap();
        client.until("the second cookie", |client| client.cookies == [cookie(1), cookie(2)]);
        // Whose line is cut has not left.
        assert!(matches!(worker.leader.recv().unwrap(), FromWorker::Attached { .. }));
        drop(client);
        assert_eq!(worker.leader.recv().unwrap(), FromWorker::Detached { connection: ConnectionId(1) });
        let mut next = worker.connect(kind);
        assert_eq!(next.cookies, []);
        worker.end(Some(&mut next));
    }
}

#[test]
fn without_a_leader_the_session_ends() {
    let mut worker = Worker::start();
    let mut client = worker.connect(PLAIN);
    let (gone, _) = RawChannel::pair().unwrap();
    worker.leader = gone.typed();
    client.until_end();
    assert_eq!(client.errors, [2]);
    worker.join();
}

#[test]
fn clients_of_every_depth_see_the_desktop() {
    for depth in [16, 24] {
        let mut worker = Worker::start();
        let link = worker.link();
        let mut client = Arrival::new(Kind { depth, ..PLAIN }).connect(link);
        let desk = worker.desk.clone();
        client.until("a picture", |client| {
            let desk = desk.lock().unwrap();
            let image = &client.image;
            // The low bits are the client's to make up.
            image.data().chunks_exact(4).enumerate().all(|(i, px)| {
                let (x, y) = (i as u32 % u32::from(image.width()), i as u32 / u32::from(image.width()));
                let [blue, green, red] = colour(desk.seed, x, y);
                px.iter().zip([red, green, blue]).all(|(shown, wanted)| shown.abs_diff(wanted) < 8)
            })
        });
        worker.end(Some(&mut client));
    }
}

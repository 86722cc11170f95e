//! Every state of the login screen as a picture, beside the one that was looked at and found good
//! (`tests/screens/`). After a change that is meant: `WRD_BLESS=1 cargo test -p wrd-gate references`, and look at
//! each of them before it is committed.

use super::choices::{Choices, What};
use super::form::{Form, Key, Target, Tone, View};
use super::picture::Picture;
use super::words::Language;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use wrd_draw::{Area, Canvas};
use wrd_proto::UserName;
use wrd_proto::gate::SessionEntry;
use wrd_proto::login::Prompt;
use wrd_rdp::DesktopSize;
use wrd_rdp::client::Keyboard;
use wrd_rdp::input::Action as Pointer;
use wrd_rdp::keymap::xkb;

const WRONG: &str = "The user name or the password is wrong.";

/// What is drawn, and for whom.
struct Sight {
    name: String,
    size: (u16, u16),
    scale: u32,
    /// The client's keyboard layout.
    layout: u32,
    view: View,
}

fn form(user: &str, layout: u32, sessions: &[(&str, &str)]) -> Form {
    let entry =
        |(id, name): &(&str, &str)| SessionEntry { id: (*id).try_into().unwrap(), name: (*name).try_into().unwrap() };
    let layout = xkb(Keyboard { layout, ..Keyboard::default() });
    Form::new(&UserName::try_from(user).unwrap(), Choices::new(layout, sessions.iter().map(entry).collect()))
}

fn typed(mut form: Form, text: &str) -> Form {
    for c in text.chars() {
        form.key(Key::Char(c));
    }
    form
}

/// Does something to a form.
fn with(mut form: Form, act: impl FnOnce(&mut Form)) -> Form {
    act(&mut form);
    form
}

const ENGLISH: u32 = 0x409;
const SESSIONS: &[(&str, &str)] = &[("", "Default desktop"), ("sway", "Sway"), ("labwc", "labwc")];

/// Every state there is, in English: its name, how it looks, whether caps lock is on, how many seconds are left.
fn states() -> Vec<(&'static str, Form, bool, Option<u64>)> {
    let mut states = Vec::new();
    let mut add = |name, form: Form| states.push((name, form, false, None));
    let alice = || form("alice", ENGLISH, &[]);
    let press = |form: &mut Form, target| {
        form.click(Some(target), Pointer::Press, None);
    };
    add("stranger", form("", ENGLISH, &[]));
    add("typed", typed(alice(), "secret"));
    add("revealed", with(typed(alice(), "Secret 12"), |form| press(form, Target::Reveal)));
    let checking = with(typed(alice(), "secret"), |form| {
        form.take_credentials().unwrap();
        form.busy("Checking…");
    });
    add("checking", checking);
    add("denied", denied(ENGLISH));
    add("question", asked(ENGLISH));
    add("question-revealed", with(asked(ENGLISH), |form| press(form, Target::Reveal)));
    add("question-layout", with(asked(ENGLISH), |form| _ = form.key(Key::BackTab)));
    add("question-shown", typed(with(alice(), |form| form.ask(Prompt::Shown, "Your favourite colour:")), "blue"));
    let cancelling = with(asked(ENGLISH), |form| form.busy("Cancelling…"));
    add("cancelling", cancelling);
    let told = |tone, text: &'static str| {
        with(alice(), |form| {
            form.tell(tone, text);
            form.busy("Starting your desktop…");
        })
    };
    add("told", told(Tone::Plain, "Warning: your password will expire in 2 days."));
    add("told-error", told(Tone::Error, "Your home directory could not be mounted."));
    add("starting", with(alice(), |form| form.busy("Starting your desktop…")));
    let failed = "The desktop ended before it was ready: sway exited with 1. The log of this session says more.";
    add("failed", with(alice(), |form| form.failed(failed)));
    add("layouts", with(alice(), |form| press(form, Target::Menu(What::Layout))));
    let sessions = || form("alice", ENGLISH, SESSIONS);
    add("sessions-closed", sessions());
    add("sessions", with(sessions(), |form| press(form, Target::Menu(What::Session))));
    states.push(("caps-lock", typed(alice(), "SEC"), true, None));
    states.push(("question-caps-lock", asked(ENGLISH), true, None));
    states.push(("time-left", alice(), false, Some(12)));
    states
}

fn denied(layout: u32) -> Form {
    with(form("alice", layout, &[]), |form| form.denied(Tone::Error, WRONG))
}

fn asked(layout: u32) -> Form {
    let asked = with(form("alice", layout, &[]), |form| {
        form.tell(Tone::Error, "You are required to change your password immediately (administrator enforced).");
        form.tell(Tone::Plain, "Changing password for alice.");
        form.ask(Prompt::Hidden, "New password:");
    });
    typed(asked, "secret12")
}

/// Each state at 100 % and at 200 %; the languages, phones, and the smallest screen by example.
fn sights() -> Vec<Sight> {
    let usual = (640, 600);
    let mut sights = Vec::new();
    for (name, form, caps, left) in states() {
        let view = || View { left, ..form.view(caps) };
        sights.push(Sight { name: name.into(), size: usual, scale: 100, layout: ENGLISH, view: view() });
        let (name, size) = (format!("{name}-200"), (2 * usual.0, 2 * usual.1));
        sights.push(Sight { name, size, scale: 200, layout: ENGLISH, view: view() });
    }
    let mut add = |name: &str, size, scale, layout, form: &Form, left| {
        let view = View { left, ..form.view(false) };
        sights.push(Sight { name: name.into(), size, scale, layout, view });
    };
    for (name, layout) in [("german", 0x407), ("french", 0x40c), ("spanish", 0x40a), ("chinese", 0x804)] {
        add(name, usual, 100, layout, &denied(layout), None);
    }
    add("chinese-question", usual, 100, 0x804, &asked(0x804), None);
    add("phone-upright", (1080, 2340), 300, ENGLISH, &denied(ENGLISH), None);
    add("phone-on-its-side", (844, 390), 100, ENGLISH, &denied(ENGLISH), Some(9));
    add("tiny", (320, 240), 100, ENGLISH, &form("alice", ENGLISH, &[]), None);
    sights
}

fn draw(sight: &Sight) -> Canvas {
    let size = DesktopSize { width: sight.size.0, height: sight.size.1 };
    let mut canvas = Canvas::new(size.width.into(), size.height.into()).unwrap();
    let picture = Picture::new(size, sight.scale, "server7.example.org", Language::of_keyboard(sight.layout));
    picture.draw(&mut canvas, Area::new(0.0, 0.0, size.width.into(), size.height.into()), &sight.view);
    canvas
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/screens")
}

fn write(path: &Path, canvas: &Canvas) {
    let (width, height) = canvas.size();
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(path).unwrap()), width, height);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_compression(png::Compression::High);
    encoder.write_header().unwrap().write_image_data(canvas.rgba()).unwrap();
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let mut reader = png::Decoder::new(BufReader::new(File::open(path).ok()?)).read_info().ok()?;
    let mut pixels = vec![0; reader.output_buffer_size()?];
    reader.next_frame(&mut pixels).ok()?;
    Some(pixels)
}

/// How many pixels differ by more than what another processor's rounding does.
fn differing(a: &[u8], b: &[u8]) -> usize {
    if a.len() != b.len() {
        return usize::MAX;
    }
    let differ = |(a, b): (&[u8], &[u8])| a.iter().zip(b).any(|(a, b)| a.abs_diff(*b) > 4);
    a.chunks(4).zip(b.chunks(4)).filter(|pair| differ(*pair)).count()
}

#[test]
fn references_are_what_is_drawn() {
    let mut wrong = Vec::new();
    let sights = sights();
    for sight in &sights {
        let (canvas, path) = (draw(sight), folder().join(format!("{}.png", sight.name)));
        if std::env::var_os("WRD_BLESS").is_some() {
            write(&path, &canvas);
        }
        match read(&path).map(|seen| differing(&seen, canvas.rgba())) {
            Some(0) => {}
            found => {
                let now = std::env::temp_dir().join(format!("wrd-screen-{}.png", sight.name));
                write(&now, &canvas);
                wrong.push(format!("{}: {found:?} pixels differ, see {}", sight.name, now.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let kept = std::fs::read_dir(folder()).unwrap().count();
    assert_eq!(kept, sights.len(), "pictures of states that there are none of any more");
}

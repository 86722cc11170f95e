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
    name: &'static str,
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

fn sights() -> Vec<Sight> {
    let mut sights = Vec::new();
    let mut add = |name, size, scale, layout, form: &Form, left| {
        let caps = name == "caps-lock";
        sights.push(Sight { name, size, scale, layout, view: View { left, ..form.view(caps) } });
    };
    let alice = || form("alice", ENGLISH, &[]);
    let denied = |layout| with(form("alice", layout, &[]), |form| form.denied(Tone::Error, WRONG));
    let asked = |layout| {
        with(form("alice", layout, &[]), |form| {
            form.tell(Tone::Error, "You are required to change your password immediately (administrator enforced).");
            form.tell(Tone::Plain, "Changing password for alice.");
            form.ask(Prompt::Hidden, "New password:");
            *form = typed(std::mem::replace(form, alice()), "secret12");
        })
    };
    let press = |form: &mut Form, target| {
        form.click(Some(target), Pointer::Press, None);
    };
    let usual = (640, 600);
    for (name, scale, size) in [("stranger", 100, usual), ("stranger-200", 200, (1280, 1200))] {
        add(name, size, scale, ENGLISH, &form("", ENGLISH, &[]), None);
    }
    add("typed", usual, 100, ENGLISH, &typed(alice(), "secret"), None);
    add("revealed", usual, 100, ENGLISH, &with(typed(alice(), "Secret 12"), |form| press(form, Target::Reveal)), None);
    add("caps-lock", usual, 100, ENGLISH, &typed(alice(), "SEC"), None);
    add(
        "checking",
        usual,
        100,
        ENGLISH,
        &with(typed(alice(), "secret"), |form| {
            form.take_credentials().unwrap();
            form.busy("Checking…");
        }),
        None,
    );
    for (name, scale, size) in [("denied", 100, usual), ("denied-200", 200, (1280, 1200))] {
        add(name, size, scale, ENGLISH, &denied(ENGLISH), None);
    }
    add("time-left", usual, 100, ENGLISH, &alice(), Some(12));
    for (name, scale, size) in [("question", 100, usual), ("question-200", 200, (1280, 1200))] {
        add(name, size, scale, ENGLISH, &asked(ENGLISH), None);
    }
    let beside = with(asked(ENGLISH), |form| {
        form.key(Key::BackTab);
    });
    add("question-layout", usual, 100, ENGLISH, &beside, None);
    add(
        "told",
        usual,
        100,
        ENGLISH,
        &with(alice(), |form| {
            form.tell(Tone::Plain, "Warning: your password will expire in 2 days.");
            form.busy("Starting your desktop…");
        }),
        None,
    );
    for (name, scale, size) in [("failed", 100, usual), ("failed-200", 200, (1280, 1200))] {
        let form = with(alice(), |form| {
            form.failed(
                "The desktop ended before it was ready: sway exited with 1. The log of this session says more.",
            );
        });
        add(name, size, scale, ENGLISH, &form, None);
    }
    let layouts = with(alice(), |form| press(form, Target::Menu(What::Layout)));
    for (name, scale, size) in [("layouts", 100, usual), ("layouts-200", 200, (1280, 1200))] {
        add(name, size, scale, ENGLISH, &layouts, None);
    }
    let sessions = form("alice", ENGLISH, SESSIONS);
    add("sessions-closed", usual, 100, ENGLISH, &sessions, None);
    add("sessions", usual, 100, ENGLISH, &with(sessions, |form| press(form, Target::Menu(What::Session))), None);
    for (name, layout) in [("german", 0x407), ("french", 0x40c), ("spanish", 0x40a), ("chinese", 0x804)] {
        add(name, usual, 100, layout, &denied(layout), None);
    }
    add("chinese-question", usual, 100, 0x804, &asked(0x804), None);
    add("phone-upright", (1080, 2340), 300, ENGLISH, &denied(ENGLISH), None);
    add("phone-on-its-side", (844, 390), 100, ENGLISH, &denied(ENGLISH), Some(9));
    add("tiny", (320, 240), 100, ENGLISH, &alice(), None);
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

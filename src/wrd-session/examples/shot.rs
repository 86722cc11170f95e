//! Runs a program on the compositor alone and writes what there is to see as pictures, for a look by eye:
//! `cargo run -p wrd-session --example shot -- FOLDER foot`. A `background.png` in the folder is shown.

use anyhow::Context as _;
use smithay::reexports::calloop::EventLoop;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use wrd_config::Background;
use wrd_session::compositor::{Furniture, Options, Wayland};
use wrd_session::source::{InputEvent, KeyboardLayout, Press, Size, Source};

fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().context("a folder for the pictures")?;
    let program = arguments.next().context("a program")?;
    let folder = Path::new(&folder);
    let picture = folder.join("background.png");
    let runtime = tempfile::tempdir()?;
    let size = Size { width: 1280, height: 800 };
    let mut wayland = Wayland::new(&Options {
        size,
        keyboard: KeyboardLayout { layout: "de".into(), ..KeyboardLayout::default() },
        background: if picture.exists() { Background::Picture(picture) } else { Background::default() },
        runtime_dir: runtime.path().to_owned(),
        furniture: Furniture::Desktop,
    })?;
    let mut events = EventLoop::<Wayland>::try_new()?;
    wayland.insert_into(&events.handle(), |wayland| wayland)?;
    let mut children = Vec::new();
    let arguments: Vec<_> = arguments.collect();
    let mut start = |wayland: &Wayland| -> anyhow::Result<()> {
        let mut command = Command::new(&program);
        command.args(&arguments).env("WAYLAND_DISPLAY", wayland.socket_name()).env("XDG_RUNTIME_DIR", runtime.path());
        children.push(command.spawn()?);
        Ok(())
    };
    start(&wayland)?;
    run(&mut events, &mut wayland, 1500)?;
    type_text(&mut wayland, &[38, 31, 57, 12, 38, 30, 28]);
    run(&mut events, &mut wayland, 700)?;
    shot(&mut wayland, &folder.join("one.png"))?;
    start(&wayland)?;
    run(&mut events, &mut wayland, 1500)?;
    // Over the close button of the second window.
    wayland.input(InputEvent::Motion { x: 1002, y: 162 });
    run(&mut events, &mut wayland, 300)?;
    shot(&mut wayland, &folder.join("two.png"))?;
    click(&mut wayland, 1280 - 60, 780);
    run(&mut events, &mut wayland, 300)?;
    shot(&mut wayland, &folder.join("logout.png"))?;
    wayland.input(InputEvent::Key { code: 1, state: Press::Pressed });
    wayland.input(InputEvent::Key { code: 1, state: Press::Released });
    wayland.resize(Size { width: 800, height: 600 });
    run(&mut events, &mut wayland, 700)?;
    shot(&mut wayland, &folder.join("small.png"))?;
    wayland.show_message(
        "The desktop's command could not be run",
        vec![
            "gnome-session --session=none".into(),
            "It ended at once with exit status 127. Its last messages are in the journal: journalctl --user -e".into(),
        ],
    );
    run(&mut events, &mut wayland, 300)?;
    shot(&mut wayland, &folder.join("message.png"))?;
    for mut child in children {
        child.kill()?;
        child.wait()?;
    }
    Ok(())
}

fn run(events: &mut EventLoop<'_, Wayland>, wayland: &mut Wayland, ms: u64) -> anyhow::Result<()> {
    let end = Instant::now() + Duration::from_millis(ms);
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        events.dispatch(Some(left), wayland)?;
        if wayland.is_damaged() {
            let start = Instant::now();
            let damage = wayland.render();
            let area: u32 = damage.iter().map(|rect| u32::from(rect.width) * u32::from(rect.height)).sum();
            tracing::debug!(us = start.elapsed().as_micros() as u64, area, ?damage, "frame");
        }
        if let Some(pointer) = wayland.take_pointer() {
            tracing::debug!(?pointer);
        }
    }
    Ok(())
}

fn type_text(wayland: &mut Wayland, codes: &[u32]) {
    for code in codes {
        for state in [Press::Pressed, Press::Released] {
            wayland.input(InputEvent::Key { code: *code, state });
        }
    }
}

fn click(wayland: &mut Wayland, x: u16, y: u16) {
    wayland.input(InputEvent::Motion { x, y });
    for state in [Press::Pressed, Press::Released] {
        wayland.input(InputEvent::Button { code: 0x110, state });
    }
}

fn shot(wayland: &mut Wayland, path: &Path) -> anyhow::Result<()> {
    wayland.render();
    let frame = wayland.frame();
    let pixels = frame.pixels.chunks_exact(4).flat_map(|pixel| match *pixel {
        [b, g, r, _] => [r, g, b],
        _ => [0; 3],
    });
    let (width, height) = (u32::from(frame.size.width), u32::from(frame.size.height));
    image::RgbImage::from_raw(width, height, pixels.collect()).context("a whole frame")?.save(path)?;
    Ok(())
}

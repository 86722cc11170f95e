//! Random clients and a random person: nothing panics or hangs, and what is drawn bit by bit is what would be
//! drawn at once.

use crate::Test;
use crate::client::{Client, Toplevel};
use proptest::prelude::*;
use wayland_client::protocol::wl_surface::WlSurface;
use wayland_protocols::xdg::shell::client::xdg_popup::XdgPopup;
use wrd_session::source::{Axis, InputEvent, KeyboardLayout, Press, Size, Source, Toggle};

#[derive(Clone, Debug)]
enum Op {
    Window { client: usize, ours: bool },
    Draw { window: usize, w: i32, h: i32, color: u32 },
    Unmap(usize),
    Destroy(usize),
    Parent { window: usize, parent: usize },
    Maximise(usize),
    Restore(usize),
    Fullscreen(usize),
    LeaveFullscreen(usize),
    Minimise(usize),
    Title(usize),
    Popup { window: usize, x: i32, y: i32, w: i32, h: i32, grab: bool },
    DrawPopup { popup: usize, color: u32 },
    DestroyPopup,
    Leave,
    Motion { x: u16, y: u16 },
    Button { left: bool, down: bool },
    Key { code: u32, down: bool },
    Wheel(i32),
    Unicode(char),
    Locks { caps: bool },
    Layout { german: bool },
    ReleaseAll,
    Output { w: u16, h: u16 },
    Message,
    Render,
    Tick,
}

fn op() -> impl Strategy<Value = Op> {
    let window = 0..6usize;
    let side = 1..900i32;
    let key = prop_oneof![Just(56u32), Just(15), Just(62), Just(1), Just(28), Just(42), 2..120u32];
    prop_oneof![
        3 => (0..2usize, any::<bool>()).prop_map(|(client, ours)| Op::Window { client, ours }),
        6 => (window.clone(), side.clone(), side.clone(), 0..0xff_ffffu32)
            .prop_map(|(window, w, h, color)| Op::Draw { window, w, h, color }),
        1 => window.clone().prop_map(Op::Unmap),
        1 => window.clone().prop_map(Op::Destroy),
        1 => (window.clone(), window.clone()).prop_map(|(window, parent)| Op::Parent { window, parent }),
        1 => window.clone().prop_map(Op::Maximise),
        1 => window.clone().prop_map(Op::Restore),
        1 => window.clone().prop_map(Op::Fullscreen),
        1 => window.clone().prop_map(Op::LeaveFullscreen),
        1 => window.clone().prop_map(Op::Minimise),
        1 => window.clone().prop_map(Op::Title),
        2 => (window, -50..500i32, -50..500i32, side.clone(), side, any::<bool>())
            .prop_map(|(window, x, y, w, h, grab)| Op::Popup { window, x, y, w, h, grab }),
        2 => (0..4usize, 0..0xff_ffffu32).prop_map(|(popup, color)| Op::DrawPopup { popup, color }),
        1 => Just(Op::DestroyPopup),
        1 => Just(Op::Leave),
        6 => (0..1400u16, 0..900u16).prop_map(|(x, y)| Op::Motion { x, y }),
        6 => (any::<bool>(), any::<bool>()).prop_map(|(left, down)| Op::Button { left, down }),
        4 => (key, any::<bool>()).prop_map(|(code, down)| Op::Key { code, down }),
        1 => (-600..600i32).prop_map(Op::Wheel),
        1 => any::<char>().prop_map(Op::Unicode),
        1 => any::<bool>().prop_map(|caps| Op::Locks { caps }),
        1 => any::<bool>().prop_map(|german| Op::Layout { german }),
        1 => Just(Op::ReleaseAll),
        1 => (200..1600u16, 200..1200u16).prop_map(|(w, h)| Op::Output { w, h }),
        1 => Just(Op::Message),
        5 => Just(Op::Render),
        1 => Just(Op::Tick),
    ]
}

/// What the clients have made.
#[derive(Default)]
struct Made {
    windows: Vec<(usize, Toplevel)>,
    popups: Vec<(usize, WlSurface, XdgPopup, (i32, i32))>,
}

fn apply(test: &mut Test, made: &mut Made, op: Op) {
    let press = |down| if down { Press::Pressed } else { Press::Released };
    match op {
        Op::Window { client, ours } => {
            let toplevel = test.clients[client].toplevel("Random");
            if ours {
                test.clients[client].decorate(&toplevel.toplevel);
            }
            made.windows.push((client, toplevel));
        }
        Op::Draw { window, w, h, color } => {
            if let Some((client, window)) = made.windows.get(window) {
                test.settle();
                test.clients[*client].draw(&window.surface, w, h, color);
            }
        }
        Op::Unmap(window) => {
            // A window that is shown again has to ask for a configure first; a popup on it would be an error.
            if let Some((_, window)) = made.windows.get(window)
                && made.popups.is_empty()
            {
                window.surface.attach(None, 0, 0);
                window.surface.commit();
                window.surface.commit();
            }
        }
        Op::Destroy(window) => {
            if window < made.windows.len() && made.popups.is_empty() {
                let (_, window) = made.windows.remove(window);
                window.toplevel.destroy();
                window.xdg.destroy();
                window.surface.destroy();
            }
        }
        Op::Parent { window, parent } => {
            if let (Some((a, window)), Some((b, parent))) = (made.windows.get(window), made.windows.get(parent))
                && a == b
                && window.surface != parent.surface
            {
                window.toplevel.set_parent(Some(&parent.toplevel));
            }
        }
        Op::Maximise(window) => each(made, window, |window| window.toplevel.set_maximized()),
        Op::Restore(window) => each(made, window, |window| window.toplevel.unset_maximized()),
        Op::Fullscreen(window) => each(made, window, |window| window.toplevel.set_fullscreen(None)),
        Op::LeaveFullscreen(window) => each(made, window, |window| window.toplevel.unset_fullscreen()),
        Op::Minimise(window) => each(made, window, |window| window.toplevel.set_minimized()),
        Op::Title(window) => each(made, window, |window| window.toplevel.set_title("Another title\u{1f600}\n".into())),
        Op::Popup { window, x, y, w, h, grab } => {
            if let (Some((client, window)), true) = (made.windows.get(window), made.popups.is_empty()) {
                test.settle();
                let (surface, popup) = test.clients[*client].popup(&window.xdg, (x, y, 10, 10), (w, h));
                if grab {
                    let serial = test.clients[*client].heard.buttons.last().map_or(0, |(_, _, serial)| *serial);
                    popup.grab(&test.clients[*client].seat(), serial);
                }
                surface.commit();
                test.settle();
                made.popups.push((*client, surface, popup, (w, h)));
            }
        }
        Op::DrawPopup { popup, color } => {
            if let Some((client, surface, _, (w, h))) = made.popups.get(popup) {
                test.clients[*client].draw(surface, *w, *h, color);
            }
        }
        Op::DestroyPopup => {
            if let Some((_, surface, popup, _)) = made.popups.pop() {
                popup.destroy();
                surface.destroy();
            }
        }
        Op::Leave => {
            // The last client goes, with all it has, and another comes.
            let gone = test.clients.len() - 1;
            made.windows.retain(|(client, _)| *client != gone);
            made.popups.retain(|(client, ..)| *client != gone);
            test.clients.pop();
            test.settle();
            listening(test);
        }
        Op::Motion { x, y } => test.wayland.input(InputEvent::Motion { x, y }),
        Op::Button { left, down } => {
            test.wayland.input(InputEvent::Button { code: if left { 0x110 } else { 0x111 }, state: press(down) });
        }
        Op::Key { code, down } => test.wayland.input(InputEvent::Key { code, state: press(down) }),
        Op::Wheel(v120) => test.wayland.input(InputEvent::Wheel { axis: Axis::Vertical, v120 }),
        Op::Unicode(unit) => test.wayland.input(InputEvent::Unicode { unit, state: Press::Pressed }),
        Op::Locks { caps } => {
            let caps = if caps { Toggle::On } else { Toggle::Off };
            test.wayland.input(InputEvent::Locks { caps, num: Toggle::On, scroll: Toggle::Off });
        }
        Op::Layout { german } => {
            let layout = if german { "de" } else { "no such layout" };
            test.wayland.set_keyboard_layout(&KeyboardLayout { layout: layout.into(), ..KeyboardLayout::default() });
        }
        Op::ReleaseAll => test.wayland.release_all(),
        Op::Output { w, h } => test.wayland.resize(Size { width: w, height: h }),
        Op::Message => test.wayland.show_message("A message", vec!["of one line".into()]),
        Op::Render => drop(test.wayland.render()),
        Op::Tick => drop(test.wayland.tick_detached()),
    }
    test.settle();
}

fn each(made: &Made, window: usize, act: impl Fn(&Toplevel)) {
    if let Some((_, window)) = made.windows.get(window) {
        act(window);
    }
}

fn listening(test: &mut Test) {
    let client = test.client();
    let (keyboard, pointer) = Client::listen(&test.clients[client]);
    // The objects live on in the connection; the handles are not needed.
    drop((keyboard, pointer));
    test.settle();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_the_picture_is_right(ops in proptest::collection::vec(op(), 1..60)) {
        let mut test = Test::new();
        let mut made = Made::default();
        listening(&mut test);
        listening(&mut test);
        for op in ops {
            apply(&mut test, &mut made, op);
        }
        let damage = test.wayland.render();
        let size = test.wayland.frame().size;
        for rect in damage {
            prop_assert!(rect.width > 0 && rect.height > 0);
            prop_assert!(u32::from(rect.x) + u32::from(rect.width) <= size.width.into());
            prop_assert!(u32::from(rect.y) + u32::from(rect.height) <= size.height.into());
        }
        let drawn = test.wayland.frame().pixels.to_vec();
        test.wayland.damage_all();
        test.wayland.render();
        prop_assert!(drawn == test.wayland.frame().pixels, "the picture depends on how it came about");
    }
}

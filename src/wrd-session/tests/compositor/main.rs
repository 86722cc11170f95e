//! The compositor with real Wayland clients, over socketpairs and in one loop.

mod client;
mod random;

use client::{Client, Toplevel, read_all};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use wayland_protocols::wp::cursor_shape::v1::client::wp_cursor_shape_device_v1::Shape;
use wayland_protocols::xdg::decoration::zv1::client::zxdg_toplevel_decoration_v1::Mode;
use wayland_protocols::xdg::shell::client::xdg_toplevel::{ResizeEdge, State};
use wrd_session::compositor::geometry::TITLE;
use wrd_session::compositor::{Ask, Furniture, Options, Wayland};
use wrd_session::source::{Axis, InputEvent, KeyboardLayout, Pointer, Press, Rect, Request, Size, Source, Toggle};

const SIZE: Size = Size { width: 1280, height: 720 };
const BAR: i32 = 40;
const RED: u32 = 0xe02020;
const GREEN: u32 = 0x20e020;
const BTN_LEFT: u32 = 0x110;

struct Test {
    wayland: Wayland,
    clients: Vec<Client>,
    _runtime: tempfile::TempDir,
}

impl Test {
    fn new() -> Self {
        Self::with_background(wrd_config::Background::default())
    }

    fn with_background(background: wrd_config::Background) -> Self {
        let runtime = tempfile::tempdir().unwrap();
        let wayland = Wayland::new(&Options {
            size: SIZE,
            keyboard: KeyboardLayout { layout: "de".into(), ..KeyboardLayout::default() },
            background,
            runtime_dir: runtime.path().to_owned(),
            furniture: Furniture::Desktop,
        })
        .unwrap();
        Self { wayland, clients: Vec::new(), _runtime: runtime }
    }

    fn client(&mut self) -> usize {
        let (ours, theirs) = UnixStream::pair().unwrap();
        self.wayland.add_client(ours);
        self.clients.push(Client::new(theirs));
        self.settle();
        self.clients.len() - 1
    }

    /// Until nobody has anything to say.
    fn settle(&mut self) {
        let mut quiet = 0;
        while quiet < 3 {
            self.wayland.dispatch();
            let spoke = self.clients.iter_mut().map(Client::pump).filter(|spoke| *spoke).count() > 0;
            quiet = if spoke { 0 } else { quiet + 1 };
        }
    }

    /// A toplevel with a frame of ours, drawn in one colour.
    fn window(&mut self, client: usize, width: i32, height: i32, color: u32) -> Toplevel {
        let toplevel = self.clients[client].toplevel("A window");
        let decoration = self.clients[client].decorate(&toplevel.toplevel);
        decoration.set_mode(Mode::ServerSide);
        self.settle();
        self.clients[client].draw(&toplevel.surface, width, height, color);
        self.settle();
        toplevel
    }

    fn pixel(&self, x: i32, y: i32) -> u32 {
        let frame = self.wayland.frame();
        let at = y as usize * frame.stride + 4 * x as usize;
        u32::from_le_bytes(frame.pixels[at..at + 4].try_into().unwrap()) & 0xff_ffff
    }

    /// The rectangle of all pixels of this colour.
    fn find(&self, color: u32) -> Option<Rect> {
        let (mut left, mut top, mut right, mut bottom) = (i32::MAX, i32::MAX, -1, -1);
        let size = self.wayland.frame().size;
        for y in 0..i32::from(size.height) {
            for x in 0..i32::from(size.width) {
                if self.pixel(x, y) == color {
                    (left, right) = (left.min(x), right.max(x));
                    (top, bottom) = (top.min(y), bottom.max(y));
                }
            }
        }
        let side = |value: i32| u16::try_from(value).unwrap();
        (right >= 0).then(|| Rect {
            x: side(left),
            y: side(top),
            width: side(right - left + 1),
            height: side(bottom - top + 1),
        })
    }

    fn shown(&mut self, color: u32) -> Rect {
        self.wayland.render();
        self.settle();
        self.find(color).expect("the colour is to be seen")
    }

    fn motion(&mut self, x: i32, y: i32) {
        self.wayland.input(InputEvent::Motion { x: x as u16, y: y as u16 });
    }

    fn button(&mut self, state: Press) {
        self.wayland.input(InputEvent::Button { code: BTN_LEFT, state });
        self.settle();
    }

    fn click(&mut self, x: i32, y: i32) {
        self.motion(x, y);
        self.button(Press::Pressed);
        self.button(Press::Released);
    }

    fn key(&mut self, code: u32, state: Press) {
        self.wayland.input(InputEvent::Key { code, state });
        self.settle();
    }

    fn type_key(&mut self, code: u32) {
        self.key(code, Press::Pressed);
        self.key(code, Press::Released);
    }

    fn last_configure(&self, client: usize) -> (i32, i32, Vec<State>) {
        self.clients[client].heard.configures.last().unwrap().clone()
    }
}

#[test]
fn a_window_is_seen_with_its_frame_and_only_what_changes_is_damage() {
    let mut test = Test::new();
    let client = test.client();
    let _inputs = test.clients[client].listen();
    let window = test.window(client, 300, 200, RED);
    assert_eq!(test.clients[client].heard.decoration, Some(Mode::ServerSide));
    let seen = test.shown(RED);
    assert_eq!((seen.width, seen.height), (300, 200));
    // In the middle of what the bar leaves.
    assert!(i32::from(seen.x).abs_diff((1280 - 300) / 2) <= 1, "{seen:?}");
    assert!(i32::from(seen.y).abs_diff((720 - BAR - 200 + TITLE) / 2) <= 2, "{seen:?}");
    assert_eq!(test.clients[client].heard.frames, 1, "a frame callback for a frame");
    assert!(test.clients[client].heard.has_focus, "a new window gets the focus");

    assert!(!test.wayland.is_damaged());
    window.surface.attach(Some(&test.clients[client].buffer(300, 200, RED)), 0, 0);
    window.surface.damage_buffer(10, 20, 8, 16);
    window.surface.commit();
    test.settle();
    assert!(test.wayland.is_damaged());
    let damage = test.wayland.render();
    assert_eq!(damage, [Rect { x: seen.x + 10, y: seen.y + 20, width: 8, height: 16 }]);
    assert!(!test.wayland.is_damaged());
    assert!(test.wayland.render().is_empty(), "nothing has changed");
    test.wayland.damage_all();
    let all = test.wayland.render();
    assert_eq!(all, [Rect { x: 0, y: 0, width: 1280, height: 720 }]);
}

#[test]
fn a_client_that_insists_draws_its_own_frame() {
    let mut test = Test::new();
    let client = test.client();
    let window = test.clients[client].toplevel("Own frame");
    test.clients[client].decorate(&window.toplevel).set_mode(Mode::ClientSide);
    test.settle();
    assert_eq!(test.clients[client].heard.decoration, Some(Mode::ClientSide));
    test.clients[client].draw(&window.surface, 300, 200, RED);
    test.settle();
    let seen = test.shown(RED);
    let above = test.pixel(seen.x.into(), i32::from(seen.y) - 5);
    assert_eq!(above, test.pixel(3, 3), "there is background above it");
}

#[test]
fn another_size_of_the_desktop_keeps_windows_and_maximised_ones_follow() {
    let mut test = Test::new();
    let client = test.client();
    let window = test.window(client, 1000, 600, RED);
    window.toplevel.set_maximized();
    test.settle();
    let (width, height, states) = test.last_configure(client);
    assert_eq!((width, height), (1280, 720 - BAR - TITLE));
    assert!(states.contains(&State::Maximized) && states.contains(&State::Activated));

    test.wayland.resize(Size { width: 800, height: 600 });
    test.settle();
    let (width, height, _) = test.last_configure(client);
    assert_eq!((width, height), (800, 600 - BAR - TITLE));
    test.clients[client].draw(&window.surface, width, height, RED);
    test.settle();
    assert_eq!(test.wayland.render(), [Rect { x: 0, y: 0, width: 800, height: 600 }]);
    assert_eq!(test.find(RED).unwrap(), Rect { x: 0, y: 32, width: 800, height: 528 });

    window.toplevel.unset_maximized();
    test.settle();
    let (width, height, states) = test.last_configure(client);
    assert!(width < 800 && height < 560 && !states.contains(&State::Maximized), "squeezed into the desktop");
    test.wayland.resize(SIZE);
    test.settle();
    assert_eq!(test.last_configure(client).0, 1000, "and as large as before where there is room");

    window.toplevel.set_fullscreen(None);
    test.settle();
    let (width, height, states) = test.last_configure(client);
    assert_eq!((width, height), (1280, 720));
    assert!(states.contains(&State::Fullscreen));
    test.clients[client].draw(&window.surface, 1280, 720, GREEN);
    test.settle();
    assert_eq!(test.shown(GREEN).height, 720, "over the bar");
}

#[test]
fn the_frame_moves_maximises_minimises_and_closes() {
    let mut test = Test::new();
    let client = test.client();
    let _inputs = test.clients[client].listen();
    let _window = test.window(client, 300, 200, RED);
    let before = test.shown(RED);
    let (x, y) = (i32::from(before.x) + 100, i32::from(before.y) - 16);
    test.motion(x, y);
    test.button(Press::Pressed);
    test.motion(x + 50, y - 30);
    test.button(Press::Released);
    let moved = test.shown(RED);
    assert_eq!((moved.x, moved.y), (before.x + 50, before.y - 30));
    test.motion(5, 5);
    assert_eq!(test.shown(RED), moved, "a released window stays");

    let right = i32::from(moved.x) + 301;
    let title = i32::from(moved.y) - 16;
    test.click(right - 60, title);
    assert!(test.last_configure(client).2.contains(&State::Maximized));
    test.click(1280 - 60, 16);
    assert!(!test.last_configure(client).2.contains(&State::Maximized));
    assert_eq!(test.shown(RED), moved);

    test.click(right - 100, title);
    test.wayland.render();
    assert_eq!(test.find(RED), None, "minimised");
    assert!(!test.clients[client].heard.has_focus);
    test.click(100, 700);
    assert_eq!(test.shown(RED), moved, "back by its button in the bar");
    assert!(test.clients[client].heard.has_focus);

    // A button under the pointer looks different, and nothing else is drawn again.
    test.motion(5, 5);
    test.wayland.render();
    test.motion(right - 20, title);
    let damage = test.wayland.render();
    assert_eq!(test.pixel(right - 20, title - 10), 0xd6_4545);
    assert!(damage.iter().all(|rect| rect.width <= 40 && rect.height <= 32), "{damage:?}");
    test.click(right - 20, title);
    assert!(test.clients[client].heard.closed);
}

#[test]
fn an_edge_of_the_frame_resizes() {
    let mut test = Test::new();
    let client = test.client();
    let window = test.window(client, 300, 200, RED);
    let before = test.shown(RED);
    let (x, y) = (i32::from(before.x) - 3, i32::from(before.y) + 100);
    test.motion(x, y);
    assert!(matches!(test.wayland.take_pointer(), Some(Pointer::Shape(_))), "a resize pointer");
    test.button(Press::Pressed);
    test.motion(x - 40, y);
    test.settle();
    let (width, height, states) = test.last_configure(client);
    assert_eq!((width, height), (340, 200));
    assert!(states.contains(&State::Resizing));
    // Not another configure until this one is drawn.
    let count = test.clients[client].heard.configures.len();
    test.motion(x - 60, y);
    test.settle();
    assert!(test.clients[client].heard.configures.len() <= count + 1);
    test.button(Press::Released);
    let (width, height, states) = test.last_configure(client);
    assert_eq!((width, height), (360, 200));
    assert!(!states.contains(&State::Resizing));
    test.clients[client].draw(&window.surface, 360, 200, RED);
    test.settle();
    let after = test.shown(RED);
    assert_eq!((after.x + after.width, after.width), (before.x + before.width, 360), "the other edge stays");
}

#[test]
fn a_client_moves_and_resizes_its_window_with_a_press() {
    let mut test = Test::new();
    let client = test.client();
    let _inputs = test.clients[client].listen();
    let window = test.window(client, 300, 200, RED);
    let before = test.shown(RED);
    let (x, y) = (i32::from(before.x) + 20, i32::from(before.y) + 20);
    test.motion(x, y);
    test.button(Press::Pressed);
    let serial = test.clients[client].heard.buttons.last().unwrap().2;
    window.toplevel._move(&test.clients[client].seat(), serial);
    test.settle();
    assert_eq!(test.clients[client].heard.pointer_at, None, "the press is ours now");
    test.motion(x + 30, y + 10);
    test.button(Press::Released);
    let moved = test.shown(RED);
    assert_eq!((moved.x, moved.y), (before.x + 30, before.y + 10));
    test.motion(x + 31, y + 10);
    test.settle();
    assert!(test.clients[client].heard.pointer_at.is_some(), "and the pointer is back");

    window.toplevel.resize(&test.clients[client].seat(), 12345, ResizeEdge::Bottom);
    test.settle();
    test.motion(x + 31, y + 90);
    test.settle();
    assert_eq!(test.shown(RED), moved, "a request without a press does nothing");
}

#[test]
fn a_popup_is_placed_on_the_desktop_and_dismissed_by_a_click_elsewhere() {
    let mut test = Test::new();
    let client = test.client();
    let _inputs = test.clients[client].listen();
    let window = test.window(client, 300, 200, RED);
    let seen = test.shown(RED);
    test.motion(i32::from(seen.x) + 10, i32::from(seen.y) + 190);
    test.button(Press::Pressed);
    let serial = test.clients[client].heard.buttons.last().unwrap().2;
    // So tall that below there is no room for it: it flips above its anchor.
    let (surface, popup) = test.clients[client].popup(&window.xdg, (0, 180, 20, 20), (120, 300));
    popup.grab(&test.clients[client].seat(), serial);
    surface.commit();
    test.settle();
    assert_eq!(test.clients[client].heard.popup.last(), Some(&(0, 180 - 300, 120, 300)));
    test.clients[client].draw(&surface, 120, 300, GREEN);
    test.button(Press::Released);
    let popped = test.shown(GREEN);
    assert_eq!((i32::from(popped.x), i32::from(popped.y)), (i32::from(seen.x), i32::from(seen.y) - 120));
    test.click(i32::from(seen.x) + 200, i32::from(seen.y) + 100);
    assert!(!test.clients[client].heard.popup_done, "the same client may get clicks");
    test.click(30, 30);
    assert!(test.clients[client].heard.popup_done);
}

#[test]
fn keys_come_by_the_layout_once_each_and_lock_keys_follow() {
    use smithay::input::keyboard::{Keycode, xkb};
    let mut test = Test::new();
    let client = test.client();
    let _inputs = test.clients[client].listen();
    let _window = test.window(client, 300, 200, RED);
    let context = xkb::Context::new(xkb::CONTEXT_NO_FLAGS);
    let compile = |text: &str| {
        let (format, flags) = (xkb::KEYMAP_FORMAT_TEXT_V1, xkb::KEYMAP_COMPILE_NO_FLAGS);
        xkb::Keymap::new_from_string(&context, text.to_owned(), format, flags).unwrap()
    };
    let state = xkb::State::new(&compile(&test.clients[client].heard.keymap));
    assert_eq!(state.key_get_utf8(Keycode::new(21 + 8)), "z", "German: Y and Z change places");
    assert_eq!(test.clients[client].heard.repeat, Some((25, 400)));

    // A client of RDP repeats presses; applications repeat by themselves.
    for _ in 0..3 {
        test.key(21, Press::Pressed);
    }
    test.key(21, Press::Released);
    test.key(21, Press::Released);
    assert_eq!(test.clients[client].heard.keys, [(21, true), (21, false)]);

    let locks = |test: &Test| test.clients[client].heard.modifiers.last().unwrap().1;
    test.wayland.input(InputEvent::Locks { caps: Toggle::On, num: Toggle::On, scroll: Toggle::Off });
    test.settle();
    assert_eq!(locks(&test), 0x12, "caps lock and num lock");
    test.wayland.input(InputEvent::Locks { caps: Toggle::Off, num: Toggle::On, scroll: Toggle::Off });
    test.settle();
    assert_eq!(locks(&test), 0x10);

    test.key(29, Press::Pressed);
    test.wayland.release_all();
    test.settle();
    assert_eq!(test.clients[client].heard.keys.last(), Some(&(29, false)), "nothing stays down");

    test.clients[client].heard.keys.clear();
    test.wayland.input(InputEvent::Unicode { unit: '語', state: Press::Pressed });
    test.wayland.input(InputEvent::Unicode { unit: '語', state: Press::Released });
    test.settle();
    let keys = test.clients[client].heard.keys.clone();
    assert_eq!(keys.iter().map(|(_, down)| *down).collect::<Vec<_>>(), [true, false]);
    let state = xkb::State::new(&compile(&test.clients[client].heard.keymap));
    assert_eq!(state.key_get_utf8(Keycode::new(keys[0].0 + 8)), "語");
    assert_eq!(locks(&test), 0x10, "num lock is as it was");
}

#[test]
fn shortcuts_of_the_window_manager() {
    let mut test = Test::new();
    let (first, second) = (test.client(), test.client());
    let _inputs = (test.clients[first].listen(), test.clients[second].listen());
    let (_one, _two) = (test.window(first, 300, 200, RED), test.window(second, 300, 200, GREEN));
    let focus = |test: &Test| (test.clients[first].heard.has_focus, test.clients[second].heard.has_focus);
    assert_eq!(focus(&test), (false, true));
    test.key(56, Press::Pressed);
    test.type_key(15);
    assert_eq!(focus(&test), (true, false));
    test.type_key(15);
    assert_eq!(focus(&test), (false, true));
    test.type_key(15);
    test.key(56, Press::Released);
    assert_eq!(focus(&test), (true, false));
    assert!(!test.clients[first].heard.keys.iter().any(|(key, _)| *key == 15), "no client sees the shortcut");
    test.key(56, Press::Pressed);
    test.type_key(62);
    test.key(56, Press::Released);
    assert!(test.clients[first].heard.closed && !test.clients[second].heard.closed);

    let before = test.shown(RED);
    test.key(56, Press::Pressed);
    test.motion(i32::from(before.x) + 100, i32::from(before.y) + 100);
    test.button(Press::Pressed);
    test.motion(i32::from(before.x) + 110, i32::from(before.y) + 90);
    test.button(Press::Released);
    test.key(56, Press::Released);
    let after = test.shown(RED);
    assert_eq!((after.x, after.y), (before.x + 10, before.y - 10));
    assert!(test.clients[first].heard.buttons.is_empty());
}

#[test]
fn what_one_client_copies_another_pastes() {
    let mut test = Test::new();
    let (first, second) = (test.client(), test.client());
    let _inputs = (test.clients[first].listen(), test.clients[second].listen());
    let devices = (test.clients[first].data_device(), test.clients[second].data_device());
    let _one = test.window(first, 300, 200, RED);
    test.type_key(30);
    let serial = test.clients[first].heard.press_serial;
    test.clients[first].copy(&devices.0, serial, "Grüße");
    test.settle();
    let _two = test.window(second, 300, 200, GREEN);
    let pasted = test.clients[second].paste();
    test.settle();
    assert_eq!(read_all(pasted), "Grüße");
}

#[test]
fn the_pointer_is_what_the_client_below_it_wants() {
    let mut test = Test::new();
    let client = test.client();
    let (_keyboard, pointer) = test.clients[client].listen();
    let _window = test.window(client, 300, 200, RED);
    let seen = test.shown(RED);
    test.motion(i32::from(seen.x) + 10, i32::from(seen.y) + 10);
    test.settle();
    assert_eq!(test.clients[client].heard.pointer_at, Some((10.0, 10.0)));
    test.wayland.take_pointer();
    test.clients[client].set_shape(&pointer, Shape::Text);
    test.settle();
    let Some(Pointer::Shape(shape)) = test.wayland.take_pointer() else { panic!("a text pointer") };
    assert_eq!(shape.pixels.len(), 4 * usize::from(shape.size.width) * usize::from(shape.size.height));
    assert_eq!(test.wayland.take_pointer(), None, "told once");
    assert_eq!(test.wayland.pointer(), Pointer::Shape(shape));

    let surface = test.clients[client].bind::<wayland_client::protocol::wl_compositor::WlCompositor>();
    let surface = surface.create_surface(&test.clients[client].handle(), ());
    pointer.set_cursor(test.clients[client].heard.enter_serial, Some(&surface), 3, 4);
    test.clients[client].draw(&surface, 16, 18, 0x123456);
    test.settle();
    let Some(Pointer::Shape(shape)) = test.wayland.take_pointer() else { panic!("the client's own picture") };
    assert_eq!((shape.size, shape.hotspot_x, shape.hotspot_y), (Size { width: 16, height: 18 }, 3, 4));
    assert_eq!(shape.pixels[..4], [0x56, 0x34, 0x12, 255]);
    pointer.set_cursor(test.clients[client].heard.enter_serial, None, 0, 0);
    test.settle();
    assert_eq!(test.wayland.take_pointer(), Some(Pointer::Hidden));
    test.motion(5, 5);
    test.settle();
    assert_eq!(test.wayland.take_pointer(), Some(Pointer::Default), "the arrow over the background");

    test.motion(i32::from(seen.x) + 10, i32::from(seen.y) + 10);
    test.wayland.input(InputEvent::Wheel { axis: Axis::Vertical, v120: -240 });
    test.settle();
    assert_eq!(test.clients[client].heard.wheel, [-240]);
}

#[test]
fn the_bar_asks_for_a_terminal_and_for_the_end() {
    let mut test = Test::new();
    test.wayland.render();
    test.click(24, 700);
    assert_eq!(test.wayland.take_asks(), [Ask::StartTerminal]);
    let client = test.client();
    let _inputs = test.clients[client].listen();
    let _window = test.window(client, 300, 200, RED);
    test.wayland.render();
    // Log out asks first, and meanwhile has the keyboard.
    test.click(1280 - 40, 700);
    assert!(test.wayland.take_requests().is_empty());
    assert!(!test.clients[client].heard.has_focus);
    test.wayland.render();
    test.type_key(1);
    assert!(test.wayland.take_requests().is_empty());
    assert!(test.clients[client].heard.has_focus);
    // Whoever comes after a disconnection is not asked what another was.
    test.click(1280 - 40, 700);
    test.wayland.tick_detached();
    test.type_key(28);
    assert!(test.wayland.take_requests().is_empty());
    test.settle();
    assert!(!std::mem::take(&mut test.clients[client].heard.keys).is_empty(), "the window has the keyboard again");
    test.wayland.render();
    test.click(1280 - 40, 700);
    test.type_key(28);
    assert_eq!(test.wayland.take_requests(), [Request::LogOut]);
    assert!(test.clients[client].heard.keys.is_empty(), "no client sees the answers");
    test.click(1280 - 150, 700);
    assert_eq!(test.wayland.take_requests(), [Request::Disconnect]);
}

#[test]
fn nobody_looks_and_applications_go_on_slowly() {
    let mut test = Test::new();
    let client = test.client();
    let window = test.window(client, 300, 200, RED);
    assert_eq!(test.clients[client].heard.frames, 0, "nothing was rendered");
    let next = test.wayland.tick_detached().expect("somebody waits");
    test.settle();
    assert_eq!(test.clients[client].heard.frames, 1);
    test.clients[client].draw(&window.surface, 300, 200, GREEN);
    test.settle();
    let wait = test.wayland.tick_detached().expect("somebody waits");
    test.settle();
    assert!(wait <= next && test.clients[client].heard.frames == 1, "not before a second is over");
    std::thread::sleep(wait);
    test.wayland.tick_detached();
    test.settle();
    assert_eq!(test.clients[client].heard.frames, 2);
    std::thread::sleep(next);
    assert_eq!(test.wayland.tick_detached(), None, "nobody waits");
    assert_eq!(test.shown(GREEN).width, 300, "and the newest picture is there for the next who looks");
}

#[test]
fn a_client_that_goes_takes_its_windows_along() {
    let mut test = Test::new();
    let (first, second) = (test.client(), test.client());
    let _inputs = test.clients[first].listen();
    let (_one, _two) = (test.window(first, 300, 200, RED), test.window(second, 300, 200, GREEN));
    test.shown(GREEN);
    test.clients.pop();
    test.settle();
    test.wayland.render();
    assert_eq!(test.find(GREEN), None);
    assert!(test.clients[first].heard.has_focus, "the focus goes to what is left");
}

#[test]
fn an_animation_runs_no_faster_than_the_output() {
    let mut test = Test::new();
    let client = test.client();
    let window = test.window(client, 300, 200, RED);
    test.shown(RED);
    std::thread::sleep(Duration::from_millis(20));
    test.clients[client].heard.frames = 0;
    let start = Instant::now();
    test.clients[client].draw(&window.surface, 300, 200, GREEN);
    test.settle();
    test.wayland.render();
    test.settle();
    assert_eq!(test.clients[client].heard.frames, 1, "at once after a rest");
    let mut drawn = 1;
    // Half a second; on a busy machine for as long as it takes to see some.
    while start.elapsed() < Duration::from_millis(500) || (drawn < 10 && start.elapsed() < Duration::from_secs(30)) {
        if test.clients[client].heard.frames == drawn {
            drawn += 1;
            test.clients[client].draw(&window.surface, 300, 200, if drawn % 2 == 0 { RED } else { GREEN });
        }
        test.settle();
        if test.wayland.is_damaged() {
            test.wayland.render();
        }
    }
    let most = start.elapsed().as_millis() / 16 + 2;
    assert!((10..=most).contains(&(drawn as u128)), "{drawn} frames in {:?}", start.elapsed());
}

#[test]
fn a_double_click_maximises_and_dragging_takes_it_off_again() {
    let mut test = Test::new();
    let client = test.client();
    let window = test.window(client, 300, 200, RED);
    let before = test.shown(RED);
    let (x, y) = (i32::from(before.x) + 60, i32::from(before.y) - 16);
    test.click(x, y);
    test.click(x, y);
    let (width, height, states) = test.last_configure(client);
    assert!(states.contains(&State::Maximized));
    test.clients[client].draw(&window.surface, width, height, RED);
    test.settle();
    std::thread::sleep(Duration::from_millis(450));
    test.motion(640, 10);
    test.button(Press::Pressed);
    test.motion(640, 60);
    test.settle();
    let (width, height, states) = test.last_configure(client);
    assert_eq!((width, height), (300, 200));
    assert!(!states.contains(&State::Maximized));
    test.button(Press::Released);
    test.clients[client].draw(&window.surface, 300, 200, RED);
    test.settle();
    let after = test.shown(RED);
    assert!(i32::from(after.x) < 640 && i32::from(after.x + after.width) > 640, "below the pointer: {after:?}");
}

#[test]
fn alt_tab_leaves_the_windows_it_passes_as_they_were() {
    let mut test = Test::new();
    let clients = [test.client(), test.client(), test.client()];
    let _inputs: Vec<_> = clients.iter().map(|client| test.clients[*client].listen()).collect();
    let _windows: Vec<_> = clients.iter().map(|client| test.window(*client, 300, 200, RED)).collect();
    let focused = |test: &Test| clients.iter().position(|client| test.clients[*client].heard.has_focus);
    assert_eq!(focused(&test), Some(2));
    test.key(56, Press::Pressed);
    test.type_key(15);
    test.type_key(15);
    test.key(56, Press::Released);
    assert_eq!(focused(&test), Some(0));
    test.key(56, Press::Pressed);
    test.type_key(15);
    test.key(56, Press::Released);
    assert_eq!(focused(&test), Some(2), "the one before, not the one that was passed by");
    test.key(56, Press::Pressed);
    test.key(42, Press::Pressed);
    test.type_key(15);
    test.key(42, Press::Released);
    test.key(56, Press::Released);
    assert_eq!(focused(&test), Some(1), "and backwards");
}

#[test]
fn a_dialog_is_in_the_middle_of_its_window_and_goes_with_it() {
    let mut test = Test::new();
    let client = test.client();
    let _inputs = test.clients[client].listen();
    let main = test.window(client, 600, 400, RED);
    let around = test.shown(RED);
    let dialog = test.clients[client].toplevel("Dialog");
    dialog.toplevel.set_parent(Some(&main.toplevel));
    test.settle();
    test.clients[client].draw(&dialog.surface, 100, 50, GREEN);
    test.settle();
    let seen = test.shown(GREEN);
    let centre =
        |rect: Rect| (i32::from(rect.x) + i32::from(rect.width) / 2, i32::from(rect.y) + i32::from(rect.height) / 2);
    assert!(centre(seen).0.abs_diff(centre(around).0) <= 1 && centre(seen).1.abs_diff(centre(around).1) <= 17);
    test.click(i32::from(around.x) + 5, i32::from(around.y) + 5);
    assert_eq!(test.shown(GREEN), seen, "above its window still");
    main.toplevel.set_minimized();
    test.settle();
    test.wayland.render();
    assert_eq!((test.find(RED), test.find(GREEN)), (None, None));
}

#[test]
fn something_is_dragged_from_one_window_to_another() {
    let mut test = Test::new();
    let (first, second) = (test.client(), test.client());
    let _inputs = (test.clients[first].listen(), test.clients[second].listen());
    let devices = (test.clients[first].data_device(), test.clients[second].data_device());
    let one = test.window(first, 300, 200, RED);
    let from = test.shown(RED);
    let _two = test.window(second, 300, 200, GREEN);
    // Side by side.
    let beside = test.shown(GREEN);
    test.motion(i32::from(beside.x) + 20, i32::from(beside.y) - 16);
    test.button(Press::Pressed);
    test.motion(i32::from(beside.x) + 370, i32::from(beside.y) - 16);
    test.button(Press::Released);
    let to = test.shown(GREEN);
    let from = Rect { ..test.find(RED).unwrap_or(from) };

    test.motion(i32::from(from.x) + 10, i32::from(from.y) + 10);
    test.button(Press::Pressed);
    let serial = test.clients[first].heard.buttons.last().unwrap().2;
    test.clients[first].drag(&devices.0, &one.surface, serial, "dragged");
    test.settle();
    test.motion(i32::from(to.x) + 50, i32::from(to.y) + 50);
    test.settle();
    assert!(test.clients[second].heard.dragged_over, "the other window is told");
    test.clients[second].accept_drag();
    test.settle();
    let pasted = test.clients[second].paste_drag();
    test.button(Press::Released);
    assert!(test.clients[second].heard.dropped);
    assert_eq!(read_all(pasted), "dragged");
}

#[test]
fn the_input_comes_back_when_a_popup_goes() {
    let mut test = Test::new();
    let (first, second) = (test.client(), test.client());
    let _inputs = (test.clients[first].listen(), test.clients[second].listen());
    let window = test.window(first, 300, 200, RED);
    let seen = test.shown(RED);
    let open = |test: &mut Test| {
        test.motion(i32::from(seen.x) + 10, i32::from(seen.y) + 10);
        test.button(Press::Pressed);
        let serial = test.clients[first].heard.buttons.last().unwrap().2;
        let (surface, popup) = test.clients[first].popup(&window.xdg, (0, 0, 20, 20), (60, 60));
        popup.grab(&test.clients[first].seat(), serial);
        surface.commit();
        test.settle();
        test.clients[first].draw(&surface, 60, 60, GREEN);
        test.button(Press::Released);
        (surface, popup)
    };
    let (surface, popup) = open(&mut test);
    test.type_key(30);
    assert_eq!(test.clients[first].heard.keyboard_on.as_ref(), Some(&surface), "the popup has the keyboard");
    popup.destroy();
    surface.destroy();
    test.settle();
    assert_eq!(test.clients[first].heard.keyboard_on.as_ref(), Some(&window.surface));
    let keys = test.clients[first].heard.keys.len();
    test.type_key(30);
    assert_eq!(test.clients[first].heard.keys.len(), keys + 2);

    let _popup = open(&mut test);
    let _other = test.window(second, 100, 100, GREEN);
    assert!(test.clients[first].heard.popup_done, "another window takes the focus");
    assert!(test.clients[second].heard.has_focus);
    test.type_key(31);
    assert_eq!(test.clients[second].heard.keys, [(31, true), (31, false)]);
}

#[test]
fn the_background_picture_comes_and_follows_the_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("red.png");
    image::RgbImage::from_pixel(64, 64, image::Rgb([0xe0, 0x20, 0x20])).save(&path).unwrap();
    let mut test = Test::with_background(wrd_config::Background::Picture(path));
    for size in [SIZE, Size { width: 800, height: 600 }, Size { width: 1600, height: 900 }] {
        test.wayland.resize(size);
        let end = Instant::now() + Duration::from_secs(60);
        while Instant::now() < end {
            test.wayland.dispatch();
            test.wayland.render();
            if test.pixel(i32::from(size.width) - 1, i32::from(size.height) - BAR - 1) == RED && test.pixel(0, 0) == RED
            {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let whole = Rect { x: 0, y: 0, width: size.width, height: size.height - BAR as u16 };
        assert_eq!(test.find(RED), Some(whole));
    }
    let mut test = Test::with_background(wrd_config::Background::Picture("/nonexistent.png".into()));
    test.settle();
    test.wayland.render();
    assert_eq!(test.pixel(0, 0), 0x2d3640, "the default colour instead");
}

//! A Wayland client for tests: does what it is told and remembers what it hears.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream;
use wayland_client::backend::WaylandError;
use wayland_client::protocol::{
    wl_buffer::WlBuffer,
    wl_callback,
    wl_callback::WlCallback,
    wl_compositor::WlCompositor,
    wl_data_device,
    wl_data_device::WlDataDevice,
    wl_data_device_manager::{DndAction, WlDataDeviceManager},
    wl_data_offer,
    wl_data_offer::WlDataOffer,
    wl_data_source,
    wl_data_source::WlDataSource,
    wl_keyboard,
    wl_keyboard::WlKeyboard,
    wl_pointer,
    wl_pointer::WlPointer,
    wl_registry,
    wl_registry::WlRegistry,
    wl_seat::WlSeat,
    wl_shm,
    wl_shm::WlShm,
    wl_shm_pool::WlShmPool,
    wl_surface::WlSurface,
};
use wayland_client::{Connection, Dispatch, EventQueue, Proxy, QueueHandle, WEnum, delegate_noop, event_created_child};
use wayland_protocols::wp::cursor_shape::v1::client::{
    wp_cursor_shape_device_v1::{Shape, WpCursorShapeDeviceV1},
    wp_cursor_shape_manager_v1::WpCursorShapeManagerV1,
};
use wayland_protocols::xdg::decoration::zv1::client::{
    zxdg_decoration_manager_v1::ZxdgDecorationManagerV1, zxdg_toplevel_decoration_v1,
    zxdg_toplevel_decoration_v1::ZxdgToplevelDecorationV1,
};
use wayland_protocols::xdg::shell::client::{
    xdg_popup, xdg_popup::XdgPopup, xdg_positioner, xdg_positioner::XdgPositioner, xdg_surface,
    xdg_surface::XdgSurface, xdg_toplevel, xdg_toplevel::XdgToplevel, xdg_wm_base, xdg_wm_base::XdgWmBase,
};

pub struct Client {
    connection: Connection,
    queue: EventQueue<Heard>,
    pub heard: Heard,
    registry: WlRegistry,
}

/// Everything that was heard, in order where order matters.
#[derive(Default)]
pub struct Heard {
    globals: Vec<(u32, String, u32)>,
    /// Size and states of each toplevel's configures.
    pub configures: Vec<(i32, i32, Vec<xdg_toplevel::State>)>,
    pub decoration: Option<zxdg_toplevel_decoration_v1::Mode>,
    pub closed: bool,
    pub popup: Vec<(i32, i32, i32, i32)>,
    pub popup_done: bool,
    pub frames: usize,
    pub keymap: String,
    pub keys: Vec<(u32, bool)>,
    pub modifiers: Vec<(u32, u32)>,
    pub has_focus: bool,
    pub keyboard_on: Option<WlSurface>,
    pub repeat: Option<(i32, i32)>,
    pub pointer_at: Option<(f64, f64)>,
    pub buttons: Vec<(u32, bool, u32)>,
    pub enter_serial: u32,
    pub press_serial: u32,
    pub wheel: Vec<i32>,
    pub offer: Option<(WlDataOffer, Vec<String>)>,
    pub selection: Option<WlDataOffer>,
    pub copied: Vec<u8>,
    pub drag: Option<(u32, WlDataOffer)>,
    pub dragged_over: bool,
    pub dropped: bool,
    ack: bool,
}

pub struct Toplevel {
    pub surface: WlSurface,
    pub xdg: XdgSurface,
    pub toplevel: XdgToplevel,
}

impl Client {
    pub fn new(stream: UnixStream) -> Self {
        let connection = Connection::from_socket(stream).unwrap();
        let queue = connection.new_event_queue();
        let registry = connection.display().get_registry(&queue.handle(), ());
        Self { connection, queue, heard: Heard { ack: true, ..Heard::default() }, registry }
    }

    /// Reads and writes what there is; whether anything was read.
    pub fn pump(&mut self) -> bool {
        let mut any = self.queue.dispatch_pending(&mut self.heard).unwrap() > 0;
        self.connection.flush().unwrap();
        if let Some(guard) = self.connection.prepare_read() {
            match guard.read() {
                Ok(count) => any |= count > 0,
                Err(WaylandError::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
        }
        any |= self.queue.dispatch_pending(&mut self.heard).unwrap() > 0;
        self.connection.flush().unwrap();
        any
    }

    pub fn handle(&self) -> QueueHandle<Heard> {
        self.queue.handle()
    }

    pub fn bind<I: Proxy + 'static>(&self) -> I
    where
        Heard: Dispatch<I, ()>,
    {
        let name = I::interface().name;
        let (global, _, version) = self
            .heard
            .globals
            .iter()
            .find(|(_, interface, _)| interface == name)
            .unwrap_or_else(|| panic!("no {name}"));
        self.registry.bind(*global, (*version).min(I::interface().version), &self.handle(), ())
    }

    /// A toplevel that has asked for its first configure.
    pub fn toplevel(&self, title: &str) -> Toplevel {
        let handle = self.handle();
        let surface = self.bind::<WlCompositor>().create_surface(&handle, ());
        let xdg = self.bind::<XdgWmBase>().get_xdg_surface(&surface, &handle, ());
        let toplevel = xdg.get_toplevel(&handle, ());
        toplevel.set_title(title.into());
        surface.commit();
        Toplevel { surface, xdg, toplevel }
    }

    pub fn decorate(&self, toplevel: &XdgToplevel) -> ZxdgToplevelDecorationV1 {
        self.bind::<ZxdgDecorationManagerV1>().get_toplevel_decoration(toplevel, &self.handle(), ())
    }

    /// A buffer of one colour (0xrrggbb).
    pub fn buffer(&self, width: i32, height: i32, color: u32) -> WlBuffer {
        let file = tempfile::tempfile().unwrap();
        let pixels = color.to_le_bytes().repeat((width * height) as usize);
        file.write_all_at(&pixels, 0).unwrap();
        let pool = self.bind::<WlShm>().create_pool(file.as_fd(), pixels.len() as i32, &self.handle(), ());
        pool.create_buffer(0, width, height, width * 4, wl_shm::Format::Xrgb8888, &self.handle(), ())
    }

    /// Draws all of the surface in one colour.
    pub fn draw(&self, surface: &WlSurface, width: i32, height: i32, color: u32) {
        surface.attach(Some(&self.buffer(width, height, color)), 0, 0);
        surface.damage_buffer(0, 0, width, height);
        surface.frame(&self.handle(), ());
        surface.commit();
    }

    /// A popup of this size below the middle of its parent's anchor rectangle.
    pub fn popup(&self, parent: &XdgSurface, anchor: (i32, i32, i32, i32), size: (i32, i32)) -> (WlSurface, XdgPopup) {
        let handle = self.handle();
        let base = self.bind::<XdgWmBase>();
        let positioner = base.create_positioner(&handle, ());
        positioner.set_size(size.0, size.1);
        positioner.set_anchor_rect(anchor.0, anchor.1, anchor.2, anchor.3);
        positioner.set_anchor(xdg_positioner::Anchor::BottomLeft);
        positioner.set_gravity(xdg_positioner::Gravity::BottomRight);
        positioner.set_constraint_adjustment(
            xdg_positioner::ConstraintAdjustment::SlideX | xdg_positioner::ConstraintAdjustment::FlipY,
        );
        let surface = self.bind::<WlCompositor>().create_surface(&handle, ());
        let xdg = base.get_xdg_surface(&surface, &handle, ());
        let popup = xdg.get_popup(Some(parent), &positioner, &handle, ());
        (surface, popup)
    }

    pub fn seat(&self) -> WlSeat {
        self.bind()
    }

    pub fn listen(&self) -> (WlKeyboard, WlPointer) {
        let seat = self.seat();
        (seat.get_keyboard(&self.handle(), ()), seat.get_pointer(&self.handle(), ()))
    }

    pub fn set_shape(&self, pointer: &WlPointer, shape: Shape) {
        let device = self.bind::<WpCursorShapeManagerV1>().get_pointer(pointer, &self.handle(), ());
        device.set_shape(self.heard.enter_serial, shape);
    }

    pub fn data_device(&self) -> WlDataDevice {
        self.bind::<WlDataDeviceManager>().get_data_device(&self.seat(), &self.handle(), ())
    }

    pub fn copy(&mut self, device: &WlDataDevice, serial: u32, text: &str) {
        self.heard.copied = text.into();
        let source = self.bind::<WlDataDeviceManager>().create_data_source(&self.handle(), ());
        source.offer("text/plain".into());
        device.set_selection(Some(&source), serial);
    }

    /// Drags text along from a press that is held.
    pub fn drag(&mut self, device: &WlDataDevice, from: &WlSurface, serial: u32, text: &str) {
        self.heard.copied = text.into();
        let source = self.bind::<WlDataDeviceManager>().create_data_source(&self.handle(), ());
        source.offer("text/plain".into());
        source.set_actions(DndAction::Copy);
        device.start_drag(Some(&source), from, None, serial);
    }

    pub fn accept_drag(&self) {
        let (serial, offer) = self.heard.drag.as_ref().expect("something is dragged over us");
        offer.accept(*serial, Some("text/plain".into()));
        offer.set_actions(DndAction::Copy, DndAction::Copy);
    }

    pub fn paste_drag(&self) -> File {
        let (read, write) = pipe();
        let (_, offer) = self.heard.drag.as_ref().expect("something is dragged over us");
        offer.receive("text/plain".into(), write.as_fd());
        File::from(read)
    }

    /// Asks for what another client has copied; read it after both have been pumped.
    pub fn paste(&self) -> File {
        let (read, write) = pipe();
        self.heard.selection.as_ref().expect("something was copied").receive("text/plain".into(), write.as_fd());
        File::from(read)
    }
}

pub fn read_all(mut file: File) -> String {
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    text
}

fn pipe() -> (OwnedFd, OwnedFd) {
    let (read, write) = std::io::pipe().unwrap();
    (read.into(), write.into())
}

impl Dispatch<WlRegistry, ()> for Heard {
    fn event(
        heard: &mut Self,
        _: &WlRegistry,
        event: wl_registry::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wl_registry::Event::Global { name, interface, version } = event {
            heard.globals.push((name, interface, version));
        }
    }
}

impl Dispatch<XdgWmBase, ()> for Heard {
    fn event(_: &mut Self, base: &XdgWmBase, event: xdg_wm_base::Event, _: &(), _: &Connection, _: &QueueHandle<Self>) {
        if let xdg_wm_base::Event::Ping { serial } = event {
            base.pong(serial);
        }
    }
}

impl Dispatch<XdgSurface, ()> for Heard {
    fn event(
        heard: &mut Self,
        xdg: &XdgSurface,
        event: xdg_surface::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let xdg_surface::Event::Configure { serial } = event
            && heard.ack
        {
            xdg.ack_configure(serial);
        }
    }
}

impl Dispatch<XdgToplevel, ()> for Heard {
    fn event(
        heard: &mut Self,
        _: &XdgToplevel,
        event: xdg_toplevel::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        match event {
            xdg_toplevel::Event::Configure { width, height, states } => {
                let states = states
                    .chunks_exact(4)
                    .filter_map(|state| xdg_toplevel::State::try_from(u32::from_ne_bytes(state.try_into().ok()?)).ok());
                heard.configures.push((width, height, states.collect()));
            }
            xdg_toplevel::Event::Close => heard.closed = true,
            _ => {}
        }
    }
}

impl Dispatch<ZxdgToplevelDecorationV1, ()> for Heard {
    fn event(
        heard: &mut Self,
        _: &ZxdgToplevelDecorationV1,
        event: zxdg_toplevel_decoration_v1::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let zxdg_toplevel_decoration_v1::Event::Configure { mode: WEnum::Value(mode) } = event {
            heard.decoration = Some(mode);
        }
    }
}

impl Dispatch<XdgPopup, ()> for Heard {
    fn event(heard: &mut Self, _: &XdgPopup, event: xdg_popup::Event, _: &(), _: &Connection, _: &QueueHandle<Self>) {
        match event {
            xdg_popup::Event::Configure { x, y, width, height } => heard.popup.push((x, y, width, height)),
            xdg_popup::Event::PopupDone => heard.popup_done = true,
            _ => {}
        }
    }
}

impl Dispatch<WlCallback, ()> for Heard {
    fn event(
        heard: &mut Self,
        _: &WlCallback,
        event: wl_callback::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wl_callback::Event::Done { .. } = event {
            heard.frames += 1;
        }
    }
}

impl Dispatch<WlKeyboard, ()> for Heard {
    fn event(
        heard: &mut Self,
        _: &WlKeyboard,
        event: wl_keyboard::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        match event {
            wl_keyboard::Event::Keymap { fd, size, .. } => {
                let mut text = vec![0; size as usize];
                File::from(fd).read_exact_at(&mut text, 0).unwrap();
                heard.keymap = String::from_utf8_lossy(&text).trim_end_matches('\0').to_owned();
            }
            wl_keyboard::Event::Enter { serial, surface, .. } => {
                heard.has_focus = true;
                heard.keyboard_on = Some(surface);
                heard.press_serial = serial;
            }
            wl_keyboard::Event::Leave { .. } => {
                heard.has_focus = false;
                heard.keyboard_on = None;
            }
            wl_keyboard::Event::Key { key, state, serial, .. } => {
                heard.keys.push((key, state == WEnum::Value(wl_keyboard::KeyState::Pressed)));
                heard.press_serial = serial;
            }
            wl_keyboard::Event::Modifiers { mods_depressed, mods_locked, .. } => {
                heard.modifiers.push((mods_depressed, mods_locked));
            }
            wl_keyboard::Event::RepeatInfo { rate, delay } => heard.repeat = Some((rate, delay)),
            _ => {}
        }
    }
}

impl Dispatch<WlPointer, ()> for Heard {
    fn event(heard: &mut Self, _: &WlPointer, event: wl_pointer::Event, _: &(), _: &Connection, _: &QueueHandle<Self>) {
        match event {
            wl_pointer::Event::Enter { serial, surface_x, surface_y, .. } => {
                heard.enter_serial = serial;
                heard.pointer_at = Some((surface_x, surface_y));
            }
            wl_pointer::Event::Motion { surface_x, surface_y, .. } => heard.pointer_at = Some((surface_x, surface_y)),
            wl_pointer::Event::Leave { .. } => heard.pointer_at = None,
            wl_pointer::Event::Button { serial, button, state, .. } => {
                heard.buttons.push((button, state == WEnum::Value(wl_pointer::ButtonState::Pressed), serial));
            }
            wl_pointer::Event::AxisValue120 { value120, .. } => heard.wheel.push(value120),
            _ => {}
        }
    }
}

impl Dispatch<WlDataDevice, ()> for Heard {
    fn event(
        heard: &mut Self,
        _: &WlDataDevice,
        event: wl_data_device::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        match event {
            wl_data_device::Event::DataOffer { id } => heard.offer = Some((id, Vec::new())),
            wl_data_device::Event::Selection { id } => heard.selection = id,
            wl_data_device::Event::Enter { serial, id, .. } => {
                heard.dragged_over = true;
                heard.drag = id.map(|id| (serial, id));
            }
            wl_data_device::Event::Drop => heard.dropped = true,
            _ => {}
        }
    }

    event_created_child!(Heard, WlDataDevice, [
        wl_data_device::EVT_DATA_OFFER_OPCODE => (WlDataOffer, ()),
    ]);
}

impl Dispatch<WlDataOffer, ()> for Heard {
    fn event(
        heard: &mut Self,
        _: &WlDataOffer,
        event: wl_data_offer::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let (wl_data_offer::Event::Offer { mime_type }, Some((_, types))) = (event, &mut heard.offer) {
            types.push(mime_type);
        }
    }
}

impl Dispatch<WlDataSource, ()> for Heard {
    fn event(
        heard: &mut Self,
        _: &WlDataSource,
        event: wl_data_source::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        if let wl_data_source::Event::Send { fd, .. } = event {
            File::from(fd).write_all(&heard.copied).unwrap();
        }
    }
}

delegate_noop!(Heard: WlCompositor);
delegate_noop!(Heard: ignore WlShm);
delegate_noop!(Heard: WlShmPool);
delegate_noop!(Heard: ignore WlBuffer);
delegate_noop!(Heard: ignore WlSurface);
delegate_noop!(Heard: ignore WlSeat);
delegate_noop!(Heard: XdgPositioner);
delegate_noop!(Heard: ZxdgDecorationManagerV1);
delegate_noop!(Heard: WlDataDeviceManager);
delegate_noop!(Heard: WpCursorShapeManagerV1);
delegate_noop!(Heard: WpCursorShapeDeviceV1);

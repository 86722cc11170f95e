//! What the compositor is made of: the value that every Wayland request arrives at.
//!
//! The protocols' own handlers are in `handlers`, one thin file each; what the person does is in
//! `pointer` and `keyboard`; which window is where is in `layout`.

use super::furniture::Furniture;
use super::geometry::Extent;
use super::keyboard::Keys;
use super::layout::Layout;
use super::pointer::{Buttons, Drag};
use super::windows::Windows;
use super::{Ask, Options};
use crate::render::cursor::Cursor;
use crate::source::Request;
use anyhow::Context as _;
use smithay::desktop::{PopupGrab, PopupManager};
use smithay::input::keyboard::{KeyboardHandle, XkbConfig};
use smithay::input::pointer::PointerHandle;
use smithay::input::{Seat, SeatState};
use smithay::output::{Mode, Output, PhysicalProperties, Scale, Subpixel};
use smithay::reexports::wayland_protocols::xdg::shell::server::xdg_toplevel::WmCapabilities;
use smithay::reexports::wayland_server::backend::{ClientData, ClientId, DisconnectReason};
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::reexports::wayland_server::{Display, DisplayHandle};
use smithay::utils::Transform;
use smithay::wayland::compositor::{CompositorClientState, CompositorState};
use smithay::wayland::cursor_shape::CursorShapeManagerState;
use smithay::wayland::fractional_scale::FractionalScaleManagerState;
use smithay::wayland::output::OutputManagerState;
use smithay::wayland::selection::data_device::DataDeviceState;
use smithay::wayland::selection::primary_selection::PrimarySelectionState;
use smithay::wayland::shell::xdg::XdgShellState;
use smithay::wayland::shell::xdg::decoration::XdgDecorationState;
use smithay::wayland::shm::ShmState;
use smithay::wayland::single_pixel_buffer::SinglePixelBufferState;
use smithay::wayland::viewporter::ViewporterState;
use smithay::wayland::xdg_activation::XdgActivationState;
use std::time::Instant;

/// Repeats a second, and ms until the first; clients repeat by themselves.
const REPEAT_RATE: i32 = 25;
const REPEAT_DELAY: i32 = 400;

pub struct Compositor {
    pub(super) handle: DisplayHandle,
    pub(super) protocols: Protocols,
    pub(super) seat: Seat<Self>,
    pub(super) keyboard: KeyboardHandle<Self>,
    pub(super) pointer: PointerHandle<Self>,
    pub(super) output: Output,
    pub(super) layout: Layout,
    pub(super) windows: Windows,
    pub(super) popups: PopupManager,
    /// The popup that has the input now, and those below it.
    pub(super) popup_grab: Option<PopupGrab<Self>>,
    pub(super) furniture: Furniture,
    pub(super) cursor: Cursor,
    pub(super) keys: Keys,
    pub(super) buttons: Buttons,
    pub(super) drag: Option<Drag>,
    /// What a client lets the pointer drag along.
    pub(super) drag_icon: Option<WlSurface>,
    /// Something has changed since the last frame.
    pub(super) damaged: bool,
    pub(super) requests: Vec<Request>,
    pub(super) asks: Vec<Ask>,
    started: Instant,
}

/// The globals and what Smithay keeps for them.
pub struct Protocols {
    pub(super) compositor: CompositorState,
    pub(super) shm: ShmState,
    pub(super) xdg_shell: XdgShellState,
    pub(super) seats: SeatState<Compositor>,
    pub(super) data_device: DataDeviceState,
    pub(super) primary: PrimarySelectionState,
    pub(super) activation: XdgActivationState,
    _others: Others,
}

/// Globals that need nothing but to exist.
struct Others {
    _decoration: XdgDecorationState,
    _output: OutputManagerState,
    _viewporter: ViewporterState,
    _cursor_shape: CursorShapeManagerState,
    _fractional_scale: FractionalScaleManagerState,
    _single_pixel: SinglePixelBufferState,
}

impl Compositor {
    pub(super) fn new(display: &Display<Self>, options: &Options) -> anyhow::Result<Self> {
        let handle = display.handle();
        let mut seats = SeatState::new();
        let mut seat = seats.new_wl_seat(&handle, "seat0");
        let layout = &options.keyboard;
        let config = XkbConfig {
            rules: "",
            model: &layout.model,
            layout: &layout.layout,
            variant: &layout.variant,
            options: Some(layout.options.clone()),
        };
        let keyboard = seat
            .add_keyboard(config, REPEAT_DELAY, REPEAT_RATE)
            .or_else(|error| {
                tracing::warn!(%error, ?layout, "ignoring the client's keyboard layout: xkb does not know it");
                seat.add_keyboard(XkbConfig { layout: "us", ..XkbConfig::default() }, REPEAT_DELAY, REPEAT_RATE)
            })
            .context("no keyboard layout can be loaded (is xkb-data installed?)")?;
        let pointer = seat.add_pointer();
        let output = output(&handle);
        let size = Extent::from((i32::from(options.size.width), i32::from(options.size.height)));
        set_mode(&output, size);
        let furniture = Furniture::new(options.furniture);
        Ok(Self {
            layout: Layout::new(size, furniture.bar_height()),
            protocols: Protocols::new(&handle, seats),
            handle,
            seat,
            keyboard,
            pointer,
            output,
            windows: Windows::default(),
            popups: PopupManager::default(),
            popup_grab: None,
            furniture,
            cursor: Cursor::new(),
            keys: Keys::default(),
            buttons: Buttons::default(),
            drag: None,
            drag_icon: None,
            damaged: true,
            requests: Vec::new(),
            asks: Vec::new(),
            started: Instant::now(),
        })
    }

    /// Milliseconds for events; the start is of no meaning.
    pub(super) fn time(&self) -> u32 {
        self.started.elapsed().as_millis() as u32
    }

    pub(super) fn set_output_size(&mut self, size: Extent) {
        set_mode(&self.output, size);
        self.layout.set_output(size, self.furniture.bar_height());
        self.drag = None;
        self.sync_windows();
        self.reposition_popups();
        self.damaged = true;
    }
}

impl Protocols {
    fn new(handle: &DisplayHandle, seats: SeatState<Compositor>) -> Self {
        // No window menu: there is none of ours yet.
        let capabilities = [WmCapabilities::Maximize, WmCapabilities::Minimize, WmCapabilities::Fullscreen];
        Self {
            compositor: CompositorState::new_v6::<Compositor>(handle),
            shm: ShmState::new::<Compositor>(handle, []),
            xdg_shell: XdgShellState::new_with_capabilities::<Compositor>(handle, capabilities),
            seats,
            data_device: DataDeviceState::new::<Compositor>(handle),
            primary: PrimarySelectionState::new::<Compositor>(handle),
            activation: XdgActivationState::new::<Compositor>(handle),
            _others: Others {
                _decoration: XdgDecorationState::new::<Compositor>(handle),
                _output: OutputManagerState::new_with_xdg_output::<Compositor>(handle),
                _viewporter: ViewporterState::new::<Compositor>(handle),
                _cursor_shape: CursorShapeManagerState::new::<Compositor>(handle),
                _fractional_scale: FractionalScaleManagerState::new::<Compositor>(handle),
                _single_pixel: SinglePixelBufferState::new::<Compositor>(handle),
            },
        }
    }
}

fn output(handle: &DisplayHandle) -> Output {
    let properties = PhysicalProperties {
        size: (0, 0).into(),
        subpixel: Subpixel::None,
        make: "wrd-dm".into(),
        model: "Remote display".into(),
    };
    let output = Output::new("RDP-1".into(), properties);
    output.create_global::<Compositor>(handle);
    output
}

/// A remote display has exactly one mode.
fn set_mode(output: &Output, size: Extent) {
    let mode = Mode { size: (size.w, size.h).into(), refresh: 60_000 };
    for old in output.modes() {
        if old != mode {
            output.delete_mode(old);
        }
    }
    output.change_current_state(Some(mode), Some(Transform::Normal), Some(Scale::Integer(1)), Some((0, 0).into()));
    output.set_preferred(mode);
}

/// What Smithay wants kept for each client.
#[derive(Default)]
pub(super) struct Client {
    pub(super) compositor: CompositorClientState,
}

impl ClientData for Client {
    fn initialized(&self, _: ClientId) {}
    fn disconnected(&self, _: ClientId, _: DisconnectReason) {}
}

//! One thin file per protocol: what a client asks for, handed to the room that knows.

mod activation;
mod compositor;
mod decoration;
mod output;
mod seat;
mod selection;
mod shm;
mod small;
mod xdg_shell;

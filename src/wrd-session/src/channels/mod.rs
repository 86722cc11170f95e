//! What a client and a desktop say to each other beside pictures and input: a file or a folder each.
//!
//! So far display control only; clipboard, sound and drives have their place here.

pub mod display_control;

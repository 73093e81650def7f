//! The example models, driven by events through the service: every behaviour that they list
//! fires, weighs what it should beside the others, and is explained. The numbers here are
//! written again by hand, so that a wrong weight in a model fails.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod community;
mod lifecycle;
mod recruiting;
mod robots;
mod social;
mod twenty_people;
mod world;

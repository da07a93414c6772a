//! `landfall init`: from nothing to a first deployment, a step at a time. It never overwrites a file.
//!
//! In a new directory it asks what it has to know, where somebody is there to answer, and writes files to start from. In
//! one that was begun it looks which steps are done, and says which is next, with the words to type.

mod answers;
mod begin;
mod origin;
mod seeds;
mod steps;

pub(super) use begin::{InitArgs, run};

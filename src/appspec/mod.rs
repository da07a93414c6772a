//! Text to specification, with findings: server, Lambda and ECS AppSpecs. Pure: reads no file and asks nobody.
//!
//! Why a tree of raw scalars and not a deserializer: AWS's agent reads YAML 1.1, where `0644` is a number to base 8 and
//! a repeated key silently wins. What a person wrote can only be judged from the letters they wrote, with their place.

mod content;
mod ecs;
mod faults;
mod hooks;
mod matching;
mod parse;
mod permissions;
mod reader;
mod server;
mod serverless;
mod spec;
mod style;
mod variables;
mod yaml;

pub use matching::Spoken;
pub use parse::{Filled, MOST_BYTES, parse, parse_bytes, parse_filled, parse_what_can_be, parse_with_events};
pub use spec::{
    AppSpec, EcsSpec, FileMapping, Hook, LIFECYCLE, LambdaSpec, Os, PREVIOUS_EVENTS, Permission, PermissionKinds,
    RESERVED_EVENTS, SCRIPTED_EVENTS, Script, SecurityContext, ServerSpec,
};
pub use variables::{BUILT_IN, Unfilled, Variables, is_name, names_in, unknown};

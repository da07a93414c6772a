//! `[login]` as written: signing in with GitHub. It means nothing yet.

use std::ops::Range;

use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use super::raw::RawSecret;
use super::written::{Read, Reader, Table, Written, join, key, read_as_table, read_written, table, unknown};

table! {
    /// `[login]`
    RawLogin {
        client_id: String,
        client_secret: RawSecret,
        allow: Vec<Written<RawAdmission>>,
    }
}

table! {
    /// `[[login.allow]]`
    RawAdmission {
        role: String,
        targets: Vec<Written<String>>,
        people: Vec<Written<String>>,
        teams: Vec<Written<String>>,
        organizations: Vec<Written<String>>,
    }
}

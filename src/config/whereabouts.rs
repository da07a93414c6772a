//! Where a running server is, for the command line that wants to ask it. It needs no secret and checks nothing else.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::check::Checker;
use super::environment::Environment;
use super::raw::Raw;
use super::written::Reader;
use crate::domain::{Finding, Findings};

/// Where the server listens, and where its data lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whereabouts {
    /// The address it listens on.
    pub listen: SocketAddr,
    /// The directory with its token.
    pub data_dir: PathBuf,
}

impl Whereabouts {
    /// Reads them from a configuration whose secrets may be out of reach, as they should be for most people.
    pub fn load(path: &Path, environment: &Environment) -> Result<Self, Findings> {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|error| {
            let message = format!("the configuration `{name}` cannot be read: {}", crate::domain::plainly(&error));
            let help = "name the server with `--url URL`, or its configuration with `-c FILE`";
            Findings(vec![Finding::error("config/unreadable", message).help(help)])
        })?;
        let mut reader = Reader::new(&name, &text);
        let raw = Raw::parse(&text, &mut reader);
        let mut told = std::mem::take(&mut reader.findings);
        let Some(raw) = raw else { return Err(told) };
        let mut checker = Checker::new(reader, path, environment);
        let (data_dir, server) = (checker.data_dir(&raw), checker.server(raw.server.as_ref().map(|it| &it.value)));
        told.0.append(&mut checker.reader.findings.0);
        let (Some(data_dir), Some(server)) = (data_dir, server) else { return Err(told) };
        Ok(Self { listen: server.listen, data_dir })
    }
}

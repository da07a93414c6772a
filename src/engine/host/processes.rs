//! Other processes, as far as the system shows them: for messages that name who is in the way. It ends none.

use std::fs;

/// A process, and the name of its program.
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) name: String,
}

/// A process other than this one that has the pipe open.
pub(super) fn holding(pipe: &str) -> Option<Process> {
    let own = std::process::id();
    let holds = |pid: &u32| {
        let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        descriptors.flatten().any(|it| fs::read_link(it.path()).is_ok_and(|name| name.to_string_lossy() == pipe))
    };
    let pid = all().find(|pid| *pid != own && !pipe.is_empty() && holds(pid))?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(Process { pid, name: name.trim().to_owned() })
}

/// The living processes of a process group.
pub(super) fn of_group(group: u32) -> Vec<Process> {
    all().filter_map(|pid| in_group(pid, group)).collect()
}

/// When a process began, in the system's ticks: with its id that is it, and no later one of the same id.
pub(super) fn began(pid: u32) -> Option<u64> {
    const FIELD: usize = 19; // of those after the name
    stat(pid)?.1.split_whitespace().nth(FIELD)?.parse().ok()
}

fn all() -> impl Iterator<Item = u32> {
    let listing = fs::read_dir("/proc").into_iter().flatten().flatten();
    listing.filter_map(|it| it.file_name().to_str()?.parse().ok())
}

fn in_group(pid: u32, group: u32) -> Option<Process> {
    let (name, after) = stat(pid)?;
    let mut fields = after.split_whitespace();
    let lives = fields.next()? != "Z";
    let is_of_it = fields.nth(1)?.parse() == Ok(group);
    (lives && is_of_it).then_some(Process { pid, name })
}

/// `4711 (a name) S 1 4700 …`: the name, which may hold anything, and what follows after the last `)`.
fn stat(pid: u32) -> Option<(String, String)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (before, after) = text.rsplit_once(')')?;
    Some((before.split_once('(')?.1.to_owned(), after.to_owned()))
}

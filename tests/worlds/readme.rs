//! The README, as somebody who follows it to the letter reads it.

/// The code blocks of the section whose title begins so, without the indentation of the list that they stand in.
pub(crate) fn blocks(title: &str) -> Vec<String> {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let section = readme.split("\n## ").find(|it| it.starts_with(title)).expect("the section is there");
    section.split("```").skip(1).step_by(2).map(without_indentation).collect()
}

/// The lines after the one that names the language, as far to the left as the first of them.
fn without_indentation(block: &str) -> String {
    let indentation = block.lines().nth(1).map_or(0, |first| first.len() - first.trim_start().len());
    // The last line is what stands before the closing fence.
    let lines: Vec<&str> = block.trim_end().lines().skip(1).collect();
    lines.into_iter().map(|line| format!("{}\n", line.get(indentation..).unwrap_or_default())).collect()
}

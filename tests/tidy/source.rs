//! Rust source as the tidy rules look at it: without comments, literals and test modules, and as a list of paths.
//!
//! No parser: a scanner that knows where comments, strings and characters begin and end, which is all the rules need.

/// Code with every comment, string and character literal blanked; lines stay where they are.
pub fn strip(code: &str) -> String {
    let bytes = code.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => line_end(bytes, at),
            b'/' if bytes[at..].starts_with(b"/*") => comment_end(bytes, at),
            b'"' => string_end(bytes, at),
            b'r' if raw_hashes(bytes, at).is_some() => raw_end(bytes, at),
            b'\'' => character_end(bytes, at),
            _ => at + 1,
        };
        if end > at + 1 {
            blank(&mut out[at..end]);
        }
        at = end;
    }
    String::from_utf8(out).expect("blanked in whole literals, so still UTF-8")
}

/// Stripped code without the items under `#[cfg(test)]`.
pub fn without_tests(stripped: &str) -> String {
    let mut out = stripped.as_bytes().to_vec();
    let mut from = 0;
    while let Some(found) = stripped[from..].find("#[cfg(test)]") {
        let start = from + found;
        let end = item_end(stripped.as_bytes(), start + "#[cfg(test)]".len());
        blank(&mut out[start..end]);
        from = end;
    }
    String::from_utf8(out).expect("blanked in whole items, so still UTF-8")
}

/// Every path in stripped code: those of `use` with their braces resolved, and those written out.
pub fn paths(stripped: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = stripped;
    while let Some(word) = next_word(rest) {
        let after = &rest[word.end..];
        if &rest[word.start..word.end] == "use" {
            let tree = after.split(';').next().unwrap_or(after);
            flatten(&[], tree, &mut found);
            rest = &after[tree.len()..];
        } else {
            let mut path = vec![rest[word.start..word.end].to_owned()];
            let mut end = word.end;
            while let Some(next) = rest[end..].strip_prefix("::").and_then(|tail| next_word(tail).filter(|next| next.start == 0)) {
                path.push(rest[end + 2..end + 2 + next.end].to_owned());
                end += 2 + next.end;
            }
            found.push(path);
            rest = &rest[end..];
        }
    }
    found
}

/// The tree of one `use`, each leaf as a path; names after `as` are dropped.
fn flatten(before: &[String], tree: &str, found: &mut Vec<Vec<String>>) {
    let tree = tree.trim();
    let (head, group) = tree.split_once('{').map_or((tree, None), |(head, group)| (head, group.rsplit_once('}').map(|(inner, _)| inner)));
    let head = head.split(" as ").next().unwrap_or(head);
    let mut path = before.to_vec();
    path.extend(head.split("::").map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned));
    match group {
        None => found.push(path),
        Some(inner) => split_commas(inner).into_iter().for_each(|part| flatten(&path, part, found)),
    }
}

/// The parts between the commas that stand outside of braces.
fn split_commas(inner: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut from) = (Vec::new(), 0usize, 0);
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b',' if depth == 0 => {
                parts.push(&inner[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[from..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

fn next_word(text: &str) -> Option<std::ops::Range<usize>> {
    let start = text.bytes().position(is_word)?;
    let length = text[start..].bytes().take_while(|byte| is_word(*byte)).count();
    Some(start..start + length)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn blank(bytes: &mut [u8]) {
    bytes.iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |length| at + length)
}

/// Block comments nest.
fn comment_end(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0usize;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if bytes[at..].starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

fn string_end(bytes: &[u8], mut at: usize) -> usize {
    at += 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// How many hashes a raw string has whose `r` stands here; `None` where no raw string begins.
fn raw_hashes(bytes: &[u8], at: usize) -> Option<usize> {
    let before = at.checked_sub(1).map(|before| bytes[before]);
    let prefixed = matches!(before, Some(b'b' | b'c')) && at.checked_sub(2).is_none_or(|before| !is_word(bytes[before]));
    if before.is_some_and(is_word) && !prefixed {
        return None;
    }
    let hashes = bytes[at + 1..].iter().take_while(|byte| **byte == b'#').count();
    (bytes.get(at + 1 + hashes) == Some(&b'"')).then_some(hashes)
}

fn raw_end(bytes: &[u8], at: usize) -> usize {
    let hashes = raw_hashes(bytes, at).unwrap_or(0);
    let close = [b"\"".as_slice(), &vec![b'#'; hashes]].concat();
    let from = at + 2 + hashes;
    bytes[from..].windows(close.len()).position(|window| window == close).map_or(bytes.len(), |length| from + length + close.len())
}

/// The end of a character literal, or one past the tick of a lifetime.
fn character_end(bytes: &[u8], at: usize) -> usize {
    let Some(first) = bytes.get(at + 1) else { return bytes.len() };
    if *first == b'\\' {
        let close = bytes[at + 3..].iter().position(|byte| *byte == b'\'');
        return close.map_or(bytes.len(), |length| at + 4 + length);
    }
    let width = match first {
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    };
    if bytes.get(at + 1 + width) == Some(&b'\'') { at + 2 + width } else { at + 1 }
}

/// The end of the item that begins here: its closing brace, or its semicolon.
fn item_end(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0usize;
    while at < bytes.len() {
        match bytes[at] {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && bytes[at] == b'}' {
                    return at + 1;
                }
            }
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked() {
        for (code, left) in [
            ("a // tokio\nb", "a b"),
            ("a /* x /* tokio */ y */ b", "a b"),
            (r#"f("tokio \" // ", 1)"#, "f( , 1)"),
            (r###"f(r#"a " tokio"#, b"x", br"\", 'x')"###, "f( , b , b , )"),
            ("fn f<'a>(x: &'a str) -> char { '\"' }", "fn f<'a>(x: &'a str) -> char { }"),
            (r"['\'', '\u{1f600}', 'ä', b'\\', 'a']", "[ , , , b , ]"),
            ("for r in bar { r#type(\"x\") }", "for r in bar { r#type( ) }"),
        ] {
            let stripped = strip(code);
            assert_eq!(stripped.split_whitespace().collect::<Vec<_>>().join(" "), left, "{code}");
            assert_eq!(stripped.len(), code.len(), "{code}");
        }
    }

    #[test]
    fn test_items_are_left_out() {
        let code = "fn a() {}\n#[cfg(test)]\n#[allow(x)]\nmod tests { fn f() { g(); } }\n#[cfg(test)]\nuse x;\nfn b() {}";
        let words = without_tests(code).split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words, "fn a() {} fn b() {}");
    }

    #[test]
    fn uses_are_resolved_to_paths() {
        let code = "use std::{fs, collections::{BTreeMap, HashMap as Map}};\npub use crate::units::*;\nlet x = std::env::var(y);";
        let all: Vec<String> = paths(code).iter().map(|path| path.join("::")).collect();
        for path in ["std::fs", "std::collections::BTreeMap", "std::collections::HashMap", "crate::units::*", "std::env::var", "y"] {
            assert!(all.iter().any(|found| found == path), "{path} is not among {all:?}");
        }
    }
}
